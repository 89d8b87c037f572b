package extension

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/tables"
)

// threeColumns has one column of each kind.
var threeColumns = &tables.Table{
	Name: "numbers",
	Columns: []tables.ColumnInfo{
		{Name: "name", Type: tables.Text},
		{Name: "bits", Type: tables.Integer, Options: tables.Additional},
		{Name: "a_rather_long_name", Type: tables.BigInt, Options: tables.Index | tables.Additional},
	},
}

// sent is what osquery's generated code reads of an answer.
func sent(t *testing.T, r *response) osquery.ExtensionPluginResponse {
	t.Helper()
	ctx := context.Background()
	buf := thrift.NewTMemoryBuffer()
	out := bufio.NewWriter(buf)
	proto := thrift.NewTBinaryProtocolConf(buf, nil)
	status := &osquery.ExtensionStatus{Code: 3, Message: "said", UUID: 5}
	if err := r.write(ctx, out, &request{method: "call", seq: 7}, status); err != nil {
		t.Fatal(err)
	}
	name, kind, seq, err := proto.ReadMessageBegin(ctx)
	if err != nil || name != "call" || kind != thrift.REPLY || seq != 7 {
		t.Fatalf("message %s %v %v, %v", name, kind, seq, err)
	}
	var result osquery.ExtensionCallResult
	if err := result.Read(ctx, proto); err != nil {
		t.Fatal(err)
	}
	if !result.Success.Status.Equals(status) {
		t.Errorf("status %v, want %v", result.Success.Status, status)
	}
	if n := buf.Len(); n > 0 {
		t.Errorf("%d bytes behind the answer", n)
	}
	return result.Success.Response
}

func TestResponse(t *testing.T) {
	long := strings.Repeat("long ", chunkSize/4)
	rows := []map[string]string{
		{"name": "zero", "bits": "0", "a_rather_long_name": "-9223372036854775808"},
		{},
		{"name": long},
		{"name": "\x00\xff", "bits": "4294967295"},
		{"bits": "1"},
	}
	for range 20000 { // several chunks
		rows = append(rows, map[string]string{"name": fmt.Sprintf("row %d", len(rows)), "bits": "1"})
	}
	for _, used := range [][]bool{{true, true, true}, {true, false, false}, {false, true, true},
		{false, false, false}} {
		want := make(osquery.ExtensionPluginResponse, len(rows))
		for i, row := range rows {
			want[i] = map[string]string{}
			for col, c := range threeColumns.Columns {
				if v := row[c.Name]; used[col] && v != "" {
					want[i][c.Name] = v
				}
			}
		}
		r, err := newResponse(t.Context(), threeColumns, tables.Query{Used: used}, values(threeColumns, rows...),
			memoryLimit{})
		if err != nil {
			t.Fatal(err)
		}
		if got := sent(t, r); !reflect.DeepEqual(got, want) {
			t.Errorf("used %v: %.300v, want %.300v", used, got, want)
		}
		r.free()
	}

	unused := tables.Query{Used: make([]bool, 3)}
	r, err := newResponse(t.Context(), threeColumns, unused, values(threeColumns), memoryLimit{})
	if err != nil {
		t.Fatal(err)
	}
	if got := sent(t, r); len(got) != 0 {
		t.Errorf("%v, want no rows", got)
	}
	if got := sent(t, &response{}); len(got) != 0 {
		t.Errorf("%v, want no rows", got)
	}
}

// allUsed is a query of all columns.
func allUsed(t *tables.Table) tables.Query {
	return tables.Query{Used: slices.Repeat([]bool{true}, len(t.Columns))}
}

// TestResponseOfRoutes has every value of routes of all kinds, though columns are
// passed over where a route has not the attributes for them.
func TestResponseOfRoutes(t *testing.T) {
	captures, err := filepath.Glob("../../testdata/captures/*.pcap")
	if err != nil || len(captures) < 10 {
		t.Fatal(captures, err)
	}
	passedOver := false
	for _, file := range captures {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		capture, err := capture.Read(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range []*tables.Table{tables.Routes, tables.Nexthops} { // of what the captures have
			q := allUsed(table)
			scan := func() tables.Rows {
				rows, err := table.Scan(t.Context(), capture, q)
				if err != nil {
					t.Fatal(err)
				}
				return rows
			}
			want := osquery.ExtensionPluginResponse{}
			for rows := scan(); rows.Next(); {
				row := map[string]string{}
				for i, c := range table.Columns {
					if v, ok := table.AppendValue(nil, rows, i); ok {
						row[c.Name] = string(v)
					}
				}
				want = append(want, row)
			}
			rows := scan()
			passedOver = passedOver || newEncoder(t.Context(), table, q, rows, memoryLimit{}).optional
			r, err := newResponse(t.Context(), table, q, rows, memoryLimit{})
			if err != nil {
				t.Fatal(err)
			}
			if got := sent(t, r); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s: %.500v, want %.500v", file, table.Name, got, want)
			}
		}
	}
	if !passedOver {
		t.Error("no column is passed over")
	}
}

func TestResponseCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("no time"))
	_, err := newResponse(ctx, threeColumns, tables.Query{Used: make([]bool, 3)}, values(threeColumns, nil),
		memoryLimit{})
	if err == nil || err.Error() != "no time" {
		t.Errorf("%v, want the reason", err)
	}
}

func TestResponseLimit(t *testing.T) {
	const n = 300_000
	rows := &valueRows{table: threeColumns, rows: make([]map[string]string, n), at: -1}
	for i := range rows.rows {
		rows.rows[i] = map[string]string{"bits": "1", "name": "0123456789abcdefghij"}
	}
	cost := int64(rowCost + 2*valueCost + copies*(20+17)) // of each row
	q := tables.Query{Used: []bool{true, true, false}}

	for _, limit := range []int64{0, n * cost} {
		rows.at = -1
		r, err := newResponse(t.Context(), threeColumns, q, rows, memoryLimit{limit, MaxResponseVariable})
		if err != nil {
			t.Fatalf("limit %d: %v", limit, err)
		}
		if r.rows != n {
			t.Errorf("limit %d: %d rows, want %d", limit, r.rows, n)
		}
		r.free()
	}

	rows.at, rows.read = -1, 0
	_, err := newResponse(t.Context(), threeColumns, q, rows, memoryLimit{100 << 20, MaxResponseVariable})
	want := "the answer would take about 759 MB of osquery's memory (300,000 rows, 2 columns), over the limit of 100 " +
		"MB " +
		"(KERNEL_ROUTES_MAX_RESPONSE_MB): select fewer columns, or narrow it with WHERE bits=..., " +
		"a_rather_long_name=... or another = or IN (LIKE and LIMIT do not narrow what osquery reads)"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	if most := 2 * (int(100<<20/cost) + tellEvery); rows.read > most {
		t.Errorf("%d values were read, want at most %d: what is over the limit is only counted", rows.read, most)
	}
}

// TestResponseOfManyRoutes has so many routes of the kernel that they are not held,
// for both tables; what would be held is the same.
func TestResponseOfManyRoutes(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // fewer are many
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	var lines []string
	for i := range 15_000 {
		hops := "via 10.0.0.9"
		if i%10 == 0 {
			hops = "nexthop via 10.0.0.7 nexthop via 10.0.0.8 weight 3"
		}
		lines = append(lines, fmt.Sprintf("route add 20.%d.%d.0/24 metric %d %s", i>>8, i&255, i, hops))
	}
	nstest.Batch(t, "-4", lines...)
	s, err := new(rtnl.Kernel).Read(t.Context(), rtnl.RouteRequest(rtnl.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range []*tables.Table{tables.Routes, tables.Nexthops} {
		q := allUsed(table)
		scan := func(q tables.Query) tables.Rows {
			rows, err := table.Scan(t.Context(), s.Instant(iproute2.HostNames()), q)
			if err != nil {
				t.Fatal(err)
			}
			return rows
		}
		answer := func(q tables.Query) *response {
			r, err := newResponse(t.Context(), table, q, scan(q), memoryLimit{})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		held := func(q tables.Query) *response {
			rows, r := scan(q), &response{}
			newEncoder(t.Context(), table, q, rows, memoryLimit{}).encode(rows, r)
			return r
		}
		made := answer(q)
		if made.parts == nil {
			t.Fatalf("%s: the answer is held", table.Name)
		}
		got, want := sent(t, made), sent(t, held(q))
		if len(got) < len(lines) || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d rows, %d if they are held", table.Name, len(got), len(want))
		}
		// A condition leaves some out: how many is not known before.
		filtered := tables.Query{Used: q.Used, Constraints: []tables.Constraint{
			{Column: table.Column("metric"), Op: tables.GreaterThan, Expr: "13999"}}}
		few := answer(filtered)
		if n := map[*tables.Table]int{tables.Routes: 1000, tables.Nexthops: 1100}[table]; few.parts != nil ||
			few.rows != n {
			t.Errorf("%s: %d rows, want %d", table.Name, few.rows, n)
		}
		// They are still too many to be held.
		filtered.Constraints[0].Expr = "99"
		made = answer(filtered)
		if made.parts == nil || made.rows < len(lines)-100 {
			t.Errorf("%s: %d rows, in %d parts", table.Name, made.rows, len(made.parts))
		}
		if got, want := sent(t, made), sent(t, held(filtered)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d rows, %d if they are held", table.Name, len(got), len(want))
		}
	}
}

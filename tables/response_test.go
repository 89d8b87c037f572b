package tables

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/inorder"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
)

// narrowTable has one column of each kind.
var narrowTable = &Table{
	Name: "numbers",
	Columns: []ColumnInfo{
		{Name: "name", Type: Text},
		{Name: "bits", Type: Integer, Options: Additional},
		{Name: "a_rather_long_name", Type: BigInt, Options: Index | Additional},
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
	for _, used := range [][]bool{{true, true, true}, {true, false, false}, {false, true, true}, {false, false, false}} {
		want := make(osquery.ExtensionPluginResponse, len(rows))
		for i, row := range rows {
			want[i] = map[string]string{}
			for col, c := range narrowTable.Columns {
				if v := row[c.Name]; used[col] && v != "" {
					want[i][c.Name] = v
				}
			}
		}
		r, err := newResponse(t.Context(), narrowTable, Query{Used: used}, values(narrowTable, rows...), memoryLimit{})
		if err != nil {
			t.Fatal(err)
		}
		if got := sent(t, r); !reflect.DeepEqual(got, want) {
			t.Errorf("used %v: %.300v, want %.300v", used, got, want)
		}
		r.free()
	}

	r, err := newResponse(t.Context(), narrowTable, Query{Used: make([]bool, 3)}, values(narrowTable), memoryLimit{})
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
func allUsed(t *Table) Query { return Query{Used: slices.Repeat([]bool{true}, len(t.Columns))} }

// TestResponseOfRoutes has every value of routes of all kinds, though columns are
// passed over where a route has not the attributes for them.
func TestResponseOfRoutes(t *testing.T) {
	captures, err := filepath.Glob("../testdata/captures/*.pcap")
	if err != nil || len(captures) < 10 {
		t.Fatal(captures, err)
	}
	passedOver := false
	for _, file := range captures {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		capture, err := rtnl.ReadCapture(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, table := range All() {
			q := allUsed(table)
			scan := func() Rows {
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
			passedOver = passedOver || newEncoder(t.Context(), table, q, rows, memoryLimit{}).sparse
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
	_, err := newResponse(ctx, narrowTable, Query{Used: make([]bool, 3)}, values(narrowTable, nil), memoryLimit{})
	if err == nil || err.Error() != "no time" {
		t.Errorf("%v, want the reason", err)
	}
}

func TestResponseLimit(t *testing.T) {
	const n = 300_000
	rows := &valueRows{table: narrowTable, rows: make([]map[string]string, n), at: -1}
	for i := range rows.rows {
		rows.rows[i] = map[string]string{"bits": "1", "name": "0123456789abcdefghij"}
	}
	cost := int64(rowCost + 2*valueCost + copies*(20+17)) // of each row
	q := Query{Used: []bool{true, true, false}}

	for _, limit := range []int64{0, n * cost} {
		rows.at = -1
		r, err := newResponse(t.Context(), narrowTable, q, rows, memoryLimit{limit, MaxResponseVariable})
		if err != nil {
			t.Fatalf("limit %d: %v", limit, err)
		}
		if r.rows != n {
			t.Errorf("limit %d: %d rows, want %d", limit, r.rows, n)
		}
		r.free()
	}

	rows.at, rows.read = -1, 0
	_, err := newResponse(t.Context(), narrowTable, q, rows, memoryLimit{100 << 20, MaxResponseVariable})
	want := "the answer would take about 759 MB of osquery's memory (300,000 rows, 2 columns), over the limit of 100 MB " +
		"(KERNEL_ROUTES_MAX_RESPONSE_MB): select fewer columns, or narrow it with WHERE bits=..., " +
		"a_rather_long_name=... or another = or IN (LIKE and LIMIT do not narrow what osquery reads)"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	if most := 2 * (int(100<<20/cost) + tellEvery); rows.read > most {
		t.Errorf("%d values were read, want at most %d: what is over the limit is only counted", rows.read, most)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
}

// splitRows are rows in parts.
type splitRows struct {
	Rows
	parts []Rows
	count int // -1: not known
}

func (s *splitRows) Split(n int) []Rows { return s.parts[:min(n, len(s.parts))] }

func (s *splitRows) Count() (int, bool) { return s.count, s.count >= 0 }

// lateRows are the rows that another function makes when they are read.
type lateRows struct {
	Rows
	first func() Rows
}

func (l *lateRows) Next() bool {
	if l.Rows == nil {
		l.Rows = l.first()
	}
	return l.Rows.Next()
}

// numbered are n rows whose bits are numbers.
func numbered(from, n int) Rows {
	var rows []map[string]string
	for i := range n {
		rows = append(rows, map[string]string{"bits": fmt.Sprint(from + i)})
	}
	return values(narrowTable, rows...)
}

var onlyBits = Query{Used: []bool{false, true, false}}

// TestResponseParts makes an answer of parts, in their order, within one limit.
func TestResponseParts(t *testing.T) {
	rows := &splitRows{parts: []Rows{numbered(0, 1000), numbered(1000, 3000)}, count: 4000}
	r, err := newResponse(t.Context(), narrowTable, onlyBits, rows, memoryLimit{})
	if err != nil || r.rows != 4000 {
		t.Fatalf("%d rows, %v", r.rows, err)
	}
	whole, err := newResponse(t.Context(), narrowTable, onlyBits, numbered(0, 4000), memoryLimit{})
	if err != nil || !bytes.Equal(bytes.Join(r.chunks, nil), bytes.Join(whole.chunks, nil)) {
		t.Errorf("the parts do not make the whole; %v", err)
	}
	rows = &splitRows{parts: []Rows{numbered(0, 1000), numbered(1000, 3000)}, count: 4000}
	limit := memoryLimit{2000 * (rowCost + valueCost), ""}
	_, err = newResponse(t.Context(), narrowTable, onlyBits, rows, limit)
	if err == nil || !strings.Contains(err.Error(), "(4,000 rows") {
		t.Errorf("over the limit: %v", err)
	}
	defer func() {
		if p, ok := recover().(*inorder.Panic); !ok || p.Value != "a broken row" {
			t.Errorf("recovered %v", p)
		}
	}()
	newResponse(t.Context(), narrowTable, onlyBits, &splitRows{parts: []Rows{numbered(0, 1), panicRows{}}}, memoryLimit{})
	t.Error("the panic is lost")
}

// manyParts are rows in so many parts that they are not held.
func manyParts() *splitRows {
	s := &splitRows{}
	for range 5 * inorder.Ahead() {
		s.parts = append(s.parts, numbered(s.count, 100))
		s.count += 100
	}
	return s
}

// TestResponseMadeWhileSent has rows whose number is known and not limited.
func TestResponseMadeWhileSent(t *testing.T) {
	rows := manyParts()
	whole, err := newResponse(t.Context(), narrowTable, onlyBits, numbered(0, rows.count), memoryLimit{})
	if err != nil {
		t.Fatal(err)
	}
	want := sent(t, whole)
	for _, tc := range []struct {
		name  string
		limit int64
		count int
		held  bool
	}{
		{"known", 0, rows.count, false},
		{"unknown", 0, -1, true},
		{"far from the limit", 1 << 40, rows.count, false},
		{"near the limit", int64(rows.count) * (rowCost + valueCost) * 3 / 2, rows.count, true},
	} {
		rows := manyParts()
		rows.count = tc.count
		if tc.held {
			// As many parts as are asked for, not all.
			rows.parts = []Rows{numbered(0, len(want))}
			for range inorder.Ahead() {
				rows.parts = append(rows.parts, values(narrowTable))
			}
		}
		r, err := newResponse(t.Context(), narrowTable, onlyBits, rows, memoryLimit{tc.limit, ""})
		if err != nil {
			t.Fatal(err)
		}
		if held := r.parts == nil; held != tc.held {
			t.Errorf("%s: held %v", tc.name, held)
		}
		if got := sent(t, r); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %.300v, want %.300v", tc.name, got, want)
		}
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
	s, err := new(rtnl.Kernel).Read(t.Context(), rtnl.Request{Links: true, Nexthops: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range All() {
		q := allUsed(table)
		scan := func(q Query) Rows {
			rows, err := table.Scan(t.Context(), snapshotSource{s}, q)
			if err != nil {
				t.Fatal(err)
			}
			return rows
		}
		answer := func(q Query) *response {
			r, err := newResponse(t.Context(), table, q, scan(q), memoryLimit{})
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		held := func(q Query) *response {
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
		narrowed := Query{Used: q.Used, Constraints: []Constraint{
			{Column: table.Column("metric"), Op: GreaterThan, Expr: "13999"}}}
		few := answer(narrowed)
		if n := map[*Table]int{Routes: 1000, Nexthops: 1100}[table]; few.parts != nil || few.rows != n {
			t.Errorf("%s: %d rows, want %d", table.Name, few.rows, n)
		}
		// They are still too many to be held.
		narrowed.Constraints[0].Expr = "99"
		made = answer(narrowed)
		if made.parts == nil || made.rows < len(lines)-100 {
			t.Errorf("%s: %d rows, in %d parts", table.Name, made.rows, len(made.parts))
		}
		if got, want := sent(t, made), sent(t, held(narrowed)); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d rows, %d if they are held", table.Name, len(got), len(want))
		}
	}
}

// A snapshotSource answers each request with the same snapshot.
type snapshotSource struct{ *rtnl.Snapshot }

func (snapshotSource) Names() *rtnl.Names { return rtnl.HostNames() }

func (s snapshotSource) Read(context.Context, rtnl.Request) (*rtnl.Snapshot, error) {
	return s.Snapshot, nil
}

// A brokenTransport takes some parts of an answer and then no more.
type brokenTransport struct{ left int }

func (b *brokenTransport) Write(p []byte) (int, error) {
	if len(p) > 1000 {
		b.left--
	}
	if b.left < 0 {
		return 0, errors.New("the line is dead")
	}
	return len(p), nil
}

// TestResponseBreaksOff has answers that end in an error in their middle.
func TestResponseBreaksOff(t *testing.T) {
	status := &osquery.ExtensionStatus{}
	write := func(ctx context.Context, rows *splitRows, left int) error {
		r, err := newResponse(t.Context(), narrowTable, onlyBits, rows, memoryLimit{})
		if err != nil || r.parts == nil {
			t.Fatalf("held, %v", err)
		}
		return r.write(ctx, bufio.NewWriterSize(&brokenTransport{left}, 16), &request{method: "call", seq: 7}, status)
	}
	const enough = 1 << 20
	if err := write(t.Context(), manyParts(), enough); err != nil {
		t.Fatal(err)
	}
	rows := manyParts()
	rows.count++
	want := fmt.Sprintf("internal error: %d rows instead of %d", rows.count-1, rows.count)
	if err := write(t.Context(), rows, enough); err == nil || err.Error() != want {
		t.Errorf("a row too few: %v", err)
	}
	rows = manyParts()
	rows.parts[len(rows.parts)-2] = panicRows{}
	err := write(t.Context(), rows, enough)
	if err == nil || !strings.HasPrefix(err.Error(), "internal error: a broken row\n") ||
		!strings.Contains(err.Error(), "tables.panicRows") {
		t.Errorf("a panic: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no time"))
	if err := write(ctx, manyParts(), enough); err == nil || err.Error() != "no time" {
		t.Errorf("cancelled: %v", err)
	}

	// No more is made than is sent soon.
	var made atomic.Int32
	rows = manyParts()
	for i, part := range rows.parts {
		rows.parts[i] = &lateRows{first: func() Rows { made.Add(1); return part }}
	}
	err = write(t.Context(), rows, 3)
	if err == nil || err.Error() != "the line is dead" {
		t.Errorf("a dead line: %v", err)
	}
	if n := int(made.Load()); n != 3+inorder.Ahead() {
		t.Errorf("%d of %d parts were made, want %d", n, len(rows.parts), 3+inorder.Ahead())
	}
}

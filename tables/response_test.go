package tables

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"
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
	proto := thrift.NewTBinaryProtocolConf(buf, nil)
	status := &osquery.ExtensionStatus{Code: 3, Message: "said", UUID: 5}
	if err := r.write(ctx, proto, 7, status); err != nil {
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
		r, err := newResponse(t.Context(), narrowTable, Query{Used: used}, values(narrowTable, rows...), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := sent(t, r); !reflect.DeepEqual(got, want) {
			t.Errorf("used %v: %.300v, want %.300v", used, got, want)
		}
		r.free()
	}

	r, err := newResponse(t.Context(), narrowTable, Query{Used: make([]bool, 3)}, values(narrowTable), 0)
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

func TestResponseCancelled(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("no time"))
	_, err := newResponse(ctx, narrowTable, Query{Used: make([]bool, 3)}, values(narrowTable, nil), 0)
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
	cost := int64(rowCost + 2*valueCost + 2*(20+17)) // of each row
	q := Query{Used: []bool{true, true, false}}

	for _, limit := range []int64{0, n * cost} {
		rows.at = -1
		r, err := newResponse(t.Context(), narrowTable, q, rows, limit)
		if err != nil {
			t.Fatalf("limit %d: %v", limit, err)
		}
		if r.rows != n {
			t.Errorf("limit %d: %d rows, want %d", limit, r.rows, n)
		}
		r.free()
	}

	rows.at, rows.read = -1, 0
	_, err := newResponse(t.Context(), narrowTable, q, rows, 100<<20)
	want := "the answer would take about 181 MB of osquery's memory (300,000 rows, 2 columns), over the limit of 100 MB " +
		"(KERNEL_ROUTES_MAX_RESPONSE_MB): select fewer columns, or narrow it with WHERE bits=..., a_rather_long_name=..."
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

// splitRows are rows in parts, one of which may panic.
type splitRows struct {
	Rows
	parts []Rows
}

func (s *splitRows) Split(n int) []Rows { return s.parts[:min(n, len(s.parts))] }

type brokenRows struct{ Rows }

func (brokenRows) Next() bool { panic("no rows") }

// TestResponseParts makes an answer of parts, in their order, within one limit.
func TestResponseParts(t *testing.T) {
	part := func(from, n int) Rows {
		var rows []map[string]string
		for i := range n {
			rows = append(rows, map[string]string{"bits": fmt.Sprint(from + i)})
		}
		return values(narrowTable, rows...)
	}
	q := Query{Used: []bool{false, true, false}}
	rows := &splitRows{parts: []Rows{part(0, 1000), part(1000, 3000)}}
	r, err := newResponse(t.Context(), narrowTable, q, rows, 0)
	if err != nil || r.rows != 4000 {
		t.Fatalf("%d rows, %v", r.rows, err)
	}
	whole, err := newResponse(t.Context(), narrowTable, q, part(0, 4000), 0)
	if err != nil || !bytes.Equal(bytes.Join(r.chunks, nil), bytes.Join(whole.chunks, nil)) {
		t.Errorf("the parts do not make the whole; %v", err)
	}
	rows = &splitRows{parts: []Rows{part(0, 1000), part(1000, 3000)}}
	if _, err = newResponse(t.Context(), narrowTable, q, rows, 2000*(rowCost+valueCost)); err == nil || !strings.Contains(err.Error(), "(4,000 rows") {
		t.Errorf("over the limit: %v", err)
	}
	defer func() {
		if p := recover(); p != "no rows" {
			t.Errorf("recovered %v", p)
		}
	}()
	newResponse(t.Context(), narrowTable, q, &splitRows{parts: []Rows{part(0, 1), brokenRows{}}}, 0)
	t.Error("the panic is lost")
}

package shell

import (
	"context"
	"io"
	"strconv"
	"syscall"
	"testing"

	"kernelroutes/tables"
)

type fakeRows struct {
	n, i int
}

func (r *fakeRows) Next() bool { r.i++; return r.i <= r.n }
func (r *fakeRows) AppendText(b []byte, col int) []byte {
	switch {
	case col == 0:
		b = append(b, "4/254/10."...)
		b = strconv.AppendInt(b, int64(r.i>>16), 10)
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(r.i>>8&255), 10)
		return append(b, ".0/24/0123456789abcdef"...)
	case col == 1:
		b = append(b, "10."...)
		b = strconv.AppendInt(b, int64(r.i>>16), 10)
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(r.i>>8&255), 10)
		return append(b, ".0/24"...)
	case col < 4:
		return append(b, "eth0"...)
	}
	return b
}
func (r *fakeRows) Int(col int) (int64, bool) {
	if col > 8 {
		return 0, false
	}
	return int64(r.i), true
}

func fakeTable(n, cols int) relation {
	t := &tables.Table{Name: "t"}
	for i := range cols {
		typ := tables.Text
		if i%2 == 0 && i > 3 {
			typ = tables.BigInt
		}
		t.Columns = append(t.Columns, tables.ColumnInfo{Name: "c" + strconv.Itoa(i), Type: typ})
	}
	return relation{t, func(context.Context, tables.Source, tables.Query) (tables.Rows, error) {
		return &fakeRows{n: n}, nil
	}}
}

func cpu() int64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

func benchQuery(b *testing.B, cols int, sql string, f Format) {
	all := []relation{fakeTable(1_000_000, cols)}
	b.ReportAllocs()
	begin := cpu()
	for b.Loop() {
		if err := query(context.Background(), io.Discard, nil, all, sql, f); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu()-begin)/float64(b.N)/1e6, "cpu-ms/op")
}

func BenchmarkCount(b *testing.B)    { benchQuery(b, 5, "SELECT count(*) FROM t", CSV) }
func BenchmarkCSV4(b *testing.B)     { benchQuery(b, 5, "SELECT c1,c2,c3,c4 FROM t", CSV) }
func BenchmarkGroup(b *testing.B)    { benchQuery(b, 5, "SELECT c3,count(*) FROM t GROUP BY 1", CSV) }
func BenchmarkAllCSV(b *testing.B)   { benchQuery(b, 75, "SELECT * FROM t", CSV) }
func BenchmarkAllJSONL(b *testing.B) { benchQuery(b, 75, "SELECT * FROM t", JSONL) }

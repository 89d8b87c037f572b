package shell

import (
	"context"
	"io"
	"strconv"
	"testing"

	"kernelroutes/tables"
)

// A million rows of a table whose columns are filled like those of a table of
// routes: the first ones with texts that differ, some with one that repeats, and
// most of them not at all.
type million int

func (r *million) Next() bool { *r++; return *r <= 1_000_000 }

func (r *million) RowID() int64 { return 0 }

func (r *million) AppendText(b []byte, col int) []byte {
	switch {
	case col < 2:
		b = append(b, "10."...)
		b = strconv.AppendInt(b, int64(*r>>16), 10)
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(*r>>8&255), 10)
		return append(b, ".0/24"...)
	case col < 12:
		return append(b, "eth0"...)
	}
	return b
}

func (r *million) Int(col int) (int64, bool) { return int64(*r), col < 20 }

func BenchmarkQuery(b *testing.B) {
	table := &tables.Table{Name: "t"}
	for i := range 75 {
		typ := tables.Text
		if i%2 == 0 && i > 3 {
			typ = tables.BigInt
		}
		table.Columns = append(table.Columns, tables.ColumnInfo{Name: "c" + strconv.Itoa(i), Type: typ})
	}
	all := []sqlTable{{table, func(context.Context, tables.Source, tables.Query) (tables.Rows, error) {
		return new(million), nil
	}}}
	for _, bench := range []struct {
		name, sql string
		format    Format
	}{
		{"count", "SELECT count(*) FROM t", CSV},
		{"4 columns/csv", "SELECT c1, c2, c3, c4 FROM t", CSV},
		{"4 columns/pretty", "SELECT c1, c2, c3, c4 FROM t", Pretty},
		{"75 columns/csv", "SELECT * FROM t", CSV},
		{"75 columns/jsonl", "SELECT * FROM t", JSONL},
		{"where", "SELECT c1 FROM t WHERE c2 = 'eth1' OR c4 < 0", CSV},
		{"group", "SELECT c3, count(*) FROM t GROUP BY c3", CSV},
		{"order", "SELECT c1, c2 FROM t ORDER BY c4 DESC", CSV},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				opts := Options{Format: bench.format}
				if err := query(context.Background(), io.Discard, nil, all, bench.sql, opts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

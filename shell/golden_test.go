package shell

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"kernelroutes/tables"
)

// rows returns the names of the columns that SELECT * has, and the rows of a table; "" is a value that is absent.
func rows(t testing.TB, src tables.Source, table *tables.Table) (columns []string, rows [][]string) {
	r, err := table.Scan(context.Background(), src, tables.Query{})
	if err != nil {
		t.Fatal(err)
	}
	var shown []int
	for i, c := range table.Columns {
		if c.Options&tables.Hidden == 0 {
			columns, shown = append(columns, c.Name), append(shown, i)
		}
	}
	for r.Next() {
		row := make([]string, len(columns))
		for n, i := range shown {
			value, _ := table.AppendValue(nil, r, i)
			row[n] = string(value)
		}
		rows = append(rows, row)
	}
	return columns, rows
}

// TestCapturedRowsThroughSQLite: all columns, in their order, are what SELECT * has,
// and what is absent is NULL in a column of numbers, and empty in one of texts.
func TestCapturedRowsThroughSQLite(t *testing.T) {
	for _, c := range goldenCases {
		src := openCapture(t, c.name)
		for _, table := range []*tables.Table{tables.Routes, tables.Nexthops} { // of what the captures have
			columns, rows := rows(t, src, table)
			want := strings.Join(columns, ",") + "\n"
			for _, row := range rows {
				for i, value := range row {
					if value != "" || table.Columns[table.Column(columns[i])].Type == tables.Text {
						value = string(appendCSV(nil, []byte(value), []byte(",")))
					}
					row[i] = value
				}
				want += strings.Join(row, ",") + "\n"
			}
			var got bytes.Buffer
			err := Query(context.Background(), &got, src, "SELECT * FROM "+table.Name, Options{Format: CSV})
			if err != nil {
				t.Fatal(err)
			}
			diff(t, c.name+" "+table.Name, got.String(), want)
		}
	}
}

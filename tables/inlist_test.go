package tables_test

import (
	"fmt"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// TestInLists asks as osquery asks for dst IN (SELECT dst ...), with one equality for
// each route: what it costs is not the product of routes and values.
func TestInLists(t *testing.T) {
	inLists(t, nstest.Amount(16_000, 2_000), func(column string, ask func() int, want int) {
		if n := ask(); n != want {
			t.Errorf("%s: %d rows, want %d", column, n, want)
		}
	})
}

// BenchmarkInLists compares that with an answer of all routes.
func BenchmarkInLists(b *testing.B) {
	inLists(b, 16_000, func(column string, ask func() int, want int) {
		b.Run(column, func(b *testing.B) {
			for b.Loop() {
				ask()
			}
		})
	})
}

// inLists makes a namespace with as many routes and calls each for every kind of
// column, with what asks for a list of as many values, and how many rows there are.
func inLists(t testing.TB, most int, each func(column string, ask func() int, want int)) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	lines := make([]string, most)
	for i := range lines {
		lines[i] = fmt.Sprintf("route add 20.%d.%d.0/24 via 10.0.0.2 proto static", i>>8, i&255)
	}
	nstest.Batch(t, "-4", lines...)
	source := &rtnl.Cache{}
	defer source.Close()
	table := tables.Routes
	ask := func(constraints []tables.Constraint, columns ...string) (rows []string) {
		q := tables.Query{Constraints: constraints, Used: make([]bool, len(table.Columns))}
		for _, name := range columns {
			q.Used[table.Column(name)] = true
		}
		r, err := table.Scan(t.Context(), source, q)
		if err != nil {
			t.Fatal(err)
		}
		for r.Next() {
			value, _ := table.AppendValue(nil, r, table.Column(columns[0]))
			rows = append(rows, string(value))
		}
		return rows
	}
	in := func(column string, values []string) (list []tables.Constraint) {
		for _, v := range values {
			list = append(list, tables.Constraint{Column: table.Column(column), Op: tables.Equals, Expr: v})
		}
		return list
	}
	each("no condition", func() int { return len(ask(in("protocol", []string{"static"}), "dst", "dev")) }, most)
	for _, tc := range []struct {
		column string
		value  func(i int) string // nil: those of the routes
		found  bool
	}{
		{"dst", nil, true},
		{"route_id", nil, true},
		{"table_id", func(i int) string { return fmt.Sprint(1000 + i) }, false},
		{"table_name", func(i int) string { return fmt.Sprint(1000 + i) }, false},
		{"metric", func(i int) string { return fmt.Sprint(1000 + i) }, false},
		{"dev", func(i int) string { return fmt.Sprint("eth", i) }, false},
		{"dev_index", func(i int) string { return fmt.Sprint(1000 + i) }, false},
		{"gateway", func(i int) string { return fmt.Sprintf("11.0.%d.%d", i>>8, i&255) }, false},
		{"protocol", func(i int) string { return fmt.Sprint("p", i) }, false},
	} {
		values := make([]string, most)
		if tc.value == nil {
			values = ask(in("protocol", []string{"static"}), tc.column)
		}
		for i := range values {
			if tc.value != nil {
				values[i] = tc.value(i)
			}
		}
		condition, want := in(tc.column, values), 0
		if tc.found {
			want = most
		}
		each(tc.column, func() int { return len(ask(condition, tc.column, "dev")) }, want)
	}
}

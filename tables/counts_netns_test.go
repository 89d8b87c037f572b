package tables_test

import (
	"fmt"
	"slices"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// TestCountsOfNamespaces counts the routes of several namespaces, which do not add up: each has
// rows of its own.
func TestCountsOfNamespaces(t *testing.T) {
	namespaces(t, "red", "blue")
	if err := rtnl.Namespace("/run/netns/red").Do(func() error {
		nstest.IP(t, "route add 30.0.0.0/8 via 10.0.0.5")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	of := func(table *tables.Table) []tables.Constraint {
		return []tables.Constraint{where(table, "netns", tables.Equals, "red"),
			where(table, "netns", tables.Equals, "blue"), where(table, "protocol", tables.Equals, "boot")}
	}
	for name, src := range map[string]tables.Source{"kernel": &rtnl.Kernel{}, "cache": &rtnl.Cache{}} {
		routes := map[string]int{}
		for _, r := range scan(t, tables.Routes, src, of(tables.Routes)...) {
			routes[r["netns"]]++
		}
		q := tables.Query{Used: make([]bool, len(tables.Counts.Columns)), Constraints: of(tables.Counts), RowIDs: true}
		for _, column := range []string{"netns", "routes"} {
			q.Used[tables.Counts.Column(column)] = true
		}
		rows, err := tables.Counts.Scan(t.Context(), src, q)
		if err != nil {
			t.Fatal(err)
		}
		got, ids := map[string]int{}, []int64{}
		for rows.Next() {
			n, _ := rows.Int(tables.Counts.Column("routes"))
			got[string(rows.AppendText(nil, tables.Counts.Column("netns")))] += int(n)
			ids = append(ids, rows.RowID())
		}
		if fmt.Sprint(got) != fmt.Sprint(routes) || routes["red"] != routes["blue"]+1 || len(ids) != 2 ||
			ids[0] == ids[1] {
			t.Errorf("%s: %v, numbers %v; there are %v", name, got, ids, routes)
		}
		// No column of the table's own: as many rows as SELECT * has.
		q.Used = make([]bool, len(tables.Counts.Columns))
		q.Constraints = q.Constraints[:2]
		count := func(used []bool) (n int) {
			q.Used = used
			rows, err := tables.Counts.Scan(t.Context(), src, q)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				n++
			}
			return n
		}
		if some, all := count(q.Used), count(slices.Repeat([]bool{true}, len(q.Used))); some != all || all < 10 {
			t.Errorf("%s: %d rows, SELECT * has %d", name, some, all)
		}
	}
}

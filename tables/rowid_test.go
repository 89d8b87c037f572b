package tables_test

import (
	"fmt"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// TestRowIDs: a row has the same number in every answer, and another than all others.
// So SQLite can merge what it has asked for by several requests.
func TestRowIDs(t *testing.T) {
	nstest.New(t)
	network(t)
	nstest.Batch(t, "-4", "route add 20.0.0.0/8 nexthop dev v0 nexthop dev v1", "route add 21.0.0.0/8 dev v0",
		"route add 21.0.0.0/8 dev v0 metric 5", "route add 21.0.0.0/8 dev v0 tos 0x10",
		"route add 21.0.0.0/8 dev v0 table 77")
	// Two that are alike in all that the kernel compares.
	nstest.Batch(t, "-6", "route add fd06::/64 dev v0", "route append fd06::/64 dev v1",
		"route replace fd06::/64 dev v1")
	for _, table := range tables.Whole() {
		if table == tables.Counts {
			continue // whose rows are those of the columns that are used: see TestCounts
		}
		numbers := func(used []bool, constraints ...tables.Constraint) (ids []int64) {
			q := tables.Query{RowIDs: true, Used: used, Constraints: constraints}
			rows, err := table.Scan(t.Context(), &rtnl.Kernel{}, q)
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				ids = append(ids, rows.RowID())
			}
			return ids
		}
		all := map[int64]bool{}
		for _, id := range numbers(nil) {
			if id < 0 || all[id] {
				t.Errorf("%s: the number %d is not the row's own", table.Name, id)
			}
			all[id] = true
		}
		one := make([]bool, len(table.Columns))
		one[max(table.Column("metric"), 0)] = true
		if got := fmt.Sprint(numbers(one)); got != fmt.Sprint(numbers(nil)) {
			t.Errorf("%s: other numbers with other columns: %s", table.Name, got)
		}
		if table.Column("family") < 0 {
			continue
		}
		found := map[int64]bool{}
		for _, family := range []string{"ipv4", "ipv6", "mpls", "ipmr", "ip6mr"} {
			for _, id := range numbers(one, where(table, "family", tables.Equals, family)) {
				if !all[id] || found[id] {
					t.Errorf("%s: row %d of %s is another one in the answer for all", table.Name, id, family)
				}
				found[id] = true
			}
		}
		if ofRoutes := table == tables.Routes || table == tables.Nexthops; len(found) != len(all) ||
			ofRoutes && len(all) < 10 {
			t.Errorf("%s: %d rows of %d", table.Name, len(found), len(all))
		}
	}
}

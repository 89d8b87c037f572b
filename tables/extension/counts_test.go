package extension

import (
	"fmt"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// TestCountsAreSmall: where the routes of a GROUP BY are more than osquery has memory for, their
// counts are an answer of a few rows.
func TestCountsAreSmall(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	var lines []string
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf("route add 20.%d.%d.0/24 via 10.0.0.2 proto bgp", i/200, i%200))
	}
	nstest.Batch(t, "-4", lines...)
	ask := func(table *tables.Table, columns ...string) (*response, error) {
		q := tables.Query{RowIDs: true, Used: make([]bool, len(table.Columns))}
		for _, name := range columns {
			q.Used[table.Column(name)] = true
		}
		rows, err := table.Scan(t.Context(), &rtnl.Kernel{}, q)
		if err != nil {
			t.Fatal(err)
		}
		return newResponse(t.Context(), table, q, rows, memoryLimit{1 * mb, "a test"})
	}
	if _, err := ask(tables.Routes, "protocol"); err == nil || !strings.Contains(err.Error(), countsInstead) {
		t.Errorf("5,000 routes: %v", err)
	}
	r, err := ask(tables.Counts, "protocol", "routes")
	if err != nil {
		t.Fatal(err)
	}
	rows, found := sent(t, r), false
	for _, row := range rows {
		found = found || row["protocol"] == "bgp" && row["routes"] == "5000"
	}
	if !found || len(rows) > 3 {
		t.Errorf("counts: %v", rows)
	}
}

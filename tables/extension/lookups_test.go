package extension

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// TestLookups asks for packets as osquery does: the destination is required, lists come whole,
// and what is refused is an error of the query.
func TestLookups(t *testing.T) {
	nstest.New(t)
	// Requests are answered on other threads.
	ns := fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), syscall.Gettid())
	cache := &rtnl.Cache{}
	t.Cleanup(cache.Close)
	var all []*tables.Table
	for _, table := range []*tables.Table{tables.Lookups, tables.Routes} {
		all = append(all, table.AnsweredBy(
			func(ctx context.Context, _ tables.Source, q tables.Query) (tables.Rows, error) {
				return table.Scan(ctx, cache, q)
			}))
	}
	m, uuid, p := registered(t, all...)
	options := map[string]string{}
	for _, c := range m.Registry(uuid)["table"]["kernel_route_lookups"] {
		options[c["name"]] = c["op"]
	}
	for column, want := range map[string]string{"destination": "11", "from_addr": "28", "mark": "28", "dport": "28",
		"destination_key": "28", "dev": "12", "route_id": "12", "error": "12"} {
		if options[column] != want { // index 1, required 2, additional 4, optimized 8, hidden 16
			t.Errorf("%s has the options %s, not %s", column, options[column], want)
		}
	}
	ask := func(terms ...osquerytest.Term) ([]map[string]string, error) {
		return m.Select(timeLimit(t), "kernel_route_lookups",
			[]string{"destination", "mark", "dev", "type", "matched_dst", "route_id", "error"},
			append(terms, osquerytest.Is("netns", ns))...)
	}
	rows, err := ask(osquerytest.Is("destination", "127.0.0.1"))
	if err != nil || len(rows) != 1 || rows[0]["dev"] != "lo" || rows[0]["type"] != "local" ||
		rows[0]["matched_dst"] == "" || rows[0]["mark"] != "" {
		t.Fatalf("%v, %v", rows, err)
	}
	routes, err := m.Select(timeLimit(t), "kernel_routes", []string{"dst"},
		osquerytest.Is("route_id", rows[0]["route_id"]))
	if err != nil || len(routes) != 1 || routes[0]["dst"] != rows[0]["matched_dst"] {
		t.Errorf("%s joins %v, %v", rows[0]["route_id"], routes, err)
	}
	var many, got []string
	for n := range 300 {
		many = append(many, fmt.Sprintf("127.0.%d.%d", n/100, n%100))
	}
	rows, err = ask(osquerytest.Is("destination", many...), osquerytest.Is("mark", "5"))
	ids := map[string]bool{}
	for _, r := range rows {
		got, ids[r["rowid"]] = append(got, r["destination"]), true
		if r["mark"] != "5" || r["dev"] != "lo" {
			t.Errorf("%v", r)
		}
	}
	slices.Sort(got)
	slices.Sort(many)
	if err != nil || !slices.Equal(got, many) || len(ids) != len(many) {
		t.Errorf("%d rows with %d numbers, %v", len(got), len(ids), err)
	}
	for _, c := range []struct {
		terms []osquerytest.Term
		want  string
	}{
		{[]osquerytest.Term{osquerytest.Is("destination", "x")}, "'x' is no IP address for destination"},
		{[]osquerytest.Term{osquerytest.Is("destination", "127.0.0.1"), osquerytest.Is("out_dev", "nix")},
			"out_dev='nix': there is no such interface"},
		{[]osquerytest.Term{osquerytest.Is("mark", "5")}, "without a required column"}, // osquery's own words
		{[]osquerytest.Term{osquerytest.Is("destination", "")},
			"which destination? Say WHERE destination = '192.0.2.1'"},
	} {
		if rows, err := ask(c.terms...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, %v, want %s", c.terms, rows, err, c.want)
		}
	}
	// SQLite has left out that mark is another table's column: it will drop the row.
	if rows, err := ask(osquerytest.Is("destination", "127.0.0.1")); err != nil || len(rows) != 1 {
		t.Errorf("%v, %v", rows, err)
	}
	p.saw("mark is used, but no value for it has come")
}

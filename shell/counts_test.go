package shell

import (
	"bytes"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/tables"
)

// TestCounts: statements about counts answer what the same ones about routes do, in one scan
// and in several, of the kernel and of a capture.
func TestCounts(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	nstest.Batch(t, "-N", "nexthop add id 1 via 10.0.0.3 dev v0", "nexthop add id 2 via 10.0.0.4 dev v0",
		"nexthop add id 3 group 1/2", "route add 20.0.0.0/8 via 10.0.0.2 proto bgp",
		"route add 21.0.0.0/8 via 10.0.0.3 proto bgp table 77", "route add 22.0.0.0/8 nhid 3",
		"route add 24.0.0.0/8 nhid 1",
		"route add 23.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.0.0.3", "route add blackhole 25.0.0.0/8 proto bgp",
		"route add default via 10.0.0.2", "route add fd01::/64 via fd00::2 proto bgp")
	var file bytes.Buffer
	if err := capture.Write(t.Context(), &rtnl.Kernel{}, &file); err != nil {
		t.Fatal(err)
	}
	captured, err := capture.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	const all = "family, table_id, table_name, protocol, type, scope, dev, dev_index"
	for name, src := range map[string]tables.Source{"kernel": &rtnl.Kernel{}, "capture": captured} {
		answer := func(sql string) string {
			var out bytes.Buffer
			if err := Query(t.Context(), &out, src, sql, Options{Format: List}); err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			_, rows, _ := strings.Cut(out.String(), "\n") // the names of the columns differ
			return rows
		}
		for _, c := range [][2]string{
			{"SELECT protocol, sum(routes) FROM kernel_route_counts GROUP BY 1",
				"SELECT protocol, count(*) FROM kernel_routes GROUP BY 1"},
			{"SELECT protocol, routes, nexthops FROM kernel_route_counts ORDER BY 1",
				"SELECT protocol, count(*), sum(nexthop_count) FROM kernel_routes GROUP BY 1"},
			{"SELECT routes FROM kernel_route_counts", "SELECT count(*) FROM kernel_routes"},
			{"SELECT sum(routes), sum(nexthops), sum(ecmp_routes), sum(default_routes) FROM kernel_route_counts",
				"SELECT count(*), sum(nexthop_count), sum(nexthop_count > 1), sum(dst_len = 0) FROM kernel_routes"},
			{"SELECT count(*) FROM kernel_route_counts",
				"SELECT count(*) FROM (SELECT DISTINCT " + all + " FROM kernel_routes)"},
			{"SELECT " + all + ", routes FROM kernel_route_counts ORDER BY " + all,
				"SELECT " + all + ", count(*) FROM kernel_routes GROUP BY " + all + " ORDER BY " + all},
			{"SELECT dev, routes FROM kernel_route_counts WHERE protocol = 'bgp' ORDER BY dev",
				"SELECT dev, count(*) FROM kernel_routes WHERE protocol = 'bgp' GROUP BY dev"},
			{"SELECT sum(routes) FROM kernel_route_counts WHERE dev = 'v0' OR table_id = 77 OR " +
				"protocol IN ('bgp', 'boot')",
				"SELECT count(*) FROM kernel_routes WHERE dev = 'v0' OR table_id = 77 OR protocol IN ('bgp', 'boot')"},
			{"SELECT sum(routes) FROM kernel_route_counts WHERE table_name = '254' OR type = 'local'",
				"SELECT count(*) FROM kernel_routes WHERE table_name = '254' OR type = 'local'"},
			{"SELECT sum(routes) FROM kernel_route_counts WHERE type LIKE 'uni%'",
				"SELECT count(*) FROM kernel_routes WHERE type LIKE 'uni%'"},
			{"SELECT protocol FROM kernel_route_counts WHERE routes > 4 ORDER BY 1",
				"SELECT protocol FROM kernel_routes GROUP BY 1 HAVING count(*) > 4"},
			{"SELECT a.protocol, a.routes, sum(b.routes) FROM kernel_route_counts a, kernel_route_counts b " +
				"WHERE b.protocol <> a.protocol GROUP BY 1 ORDER BY 1",
				"SELECT a.protocol, count(*), (SELECT count(*) FROM kernel_routes WHERE protocol <> a.protocol) " +
					"FROM kernel_routes a GROUP BY 1 ORDER BY 1"},
			{"SELECT count(*) FROM kernel_routes r JOIN kernel_route_counts c " +
				"ON c.protocol = r.protocol AND c.routes > 4",
				"SELECT count(*) FROM kernel_routes WHERE protocol IN " +
					"(SELECT protocol FROM kernel_routes GROUP BY 1 HAVING count(*) > 4)"},
			{"SELECT sum(routes) FROM kernel_route_counts WHERE protocol = 'nobody'", "SELECT NULL"},
		} {
			if got, want := answer(c[0]), answer(c[1]); got != want || want == "" {
				t.Errorf("%s: %s: got\n%swant\n%s", name, c[0], got, want)
			}
		}
	}
}

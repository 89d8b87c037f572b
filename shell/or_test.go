package shell

import (
	"bytes"
	"context"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
)

// TestOr: conditions of which either holds, for which SQLite scans a table several
// times, find what the same conditions find when no scan is narrowed by them.
func TestOr(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	nstest.Batch(t, "-4", "route add 20.0.0.0/8 via 10.0.0.2 proto bgp", "route add 21.0.0.0/8 via 10.0.0.3 proto bgp",
		"route add 22.0.0.0/8 via 10.0.0.2 metric 7", "route add 23.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.0.0.3")
	answer := func(sql string) string {
		var out bytes.Buffer
		if err := Query(context.Background(), &out, &rtnl.Kernel{}, sql, Options{Format: List}); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for _, table := range []string{"kernel_routes", "kernel_route_nexthops"} {
		for _, c := range [][2]string{
			{"gateway = '10.0.0.2' OR metric = 7", "+gateway = '10.0.0.2' OR +metric = 7"},
			{"family = 'ipv4' OR dev = 'v0'", "+family = 'ipv4' OR +dev = 'v0'"},
			{"gateway = '' OR table_name = 'main'", "+gateway = '' OR +table_name = 'main'"},
			{"dst = '20.0.0.0/8' OR gateway IN ('10.0.0.3', 'fd00::2')",
				"+dst = '20.0.0.0/8' OR +gateway IN ('10.0.0.3', 'fd00::2')"},
			{"dst = '20.0.0.0/8' OR dst = '21.0.0.0/8' OR metric > 100",
				"+dst = '20.0.0.0/8' OR +dst = '21.0.0.0/8' OR +metric > 100"},
		} {
			const order = " ORDER BY dst, gateway, metric"
			got := answer("SELECT dst, gateway, metric FROM " + table + " WHERE " + c[0] + order)
			want := answer("SELECT dst, gateway, metric FROM " + table + " WHERE " + c[1] + order)
			if got != want || len(want) < 20 {
				t.Errorf("%s: %s: got\n%swant\n%s", table, c[0], got, want)
			}
		}
	}
}

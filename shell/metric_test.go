package shell

import (
	"bytes"
	"context"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
)

// TestMetricZero asks for the default route that the kernel prefers and sends
// without RTA_PRIORITY.
func TestMetricZero(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "d0", "192.0.2.1/24")
	nstest.Batch(t, "-4", "route add default dev d0", "route add default via 192.0.2.254 metric 50")
	const routes, hops = " FROM kernel_routes", " FROM kernel_route_nexthops"
	const def = " WHERE dst = '0.0.0.0/0'"
	for sql, want := range map[string]string{
		"SELECT min(metric) AS m, count(metric) AS n" + routes + def: "m|n\n0|2\n",
		"SELECT gateway, dev, metric" + routes + def +
			" AND metric = 0": "gateway|dev|metric\n|d0|0\n",
		"SELECT dev, metric" + routes + def + " AND metric < 50":                                  "dev|metric\nd0|0\n",
		"SELECT count(*) AS n" + routes + def + " AND metric < 100":                               "n\n2\n",
		"SELECT count(*) AS n" + routes + " WHERE metric IS NULL":                                 "n\n0\n",
		"SELECT dev, min(metric) AS m" + hops + def + " AND metric < 100":                         "dev|m\nd0|0\n",
		"SELECT count(*) AS n" + hops + " WHERE metric IS NULL":                                   "n\n0\n",
		"SELECT count(*) AS n" + routes + " JOIN kernel_route_nexthops USING (dst, metric)" + def: "n\n2\n",
	} {
		var out bytes.Buffer
		if err := Query(context.Background(), &out, &rtnl.Kernel{}, sql, Options{Format: List}); err != nil ||
			out.String() != want {
			t.Errorf("%s: %v\n got %q\nwant %q", sql, err, &out, want)
		}
	}
}

package tables_test

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// idsFor tells a child process to print route_ids.
const idsFor = "KERNEL_ROUTES_TEST_PRINT_IDS"

// Routes to the same destination, apart in one thing alone.
var (
	alikeIPv4 = []string{
		"route add 10.5.0.0/24 via 10.0.0.9",
		"route append 10.5.0.0/24 via 10.0.0.8",
		"route append 10.5.0.0/24 via 10.0.0.9 proto 16",
		"route append 10.5.0.0/24 via 10.0.0.9 src 10.0.0.2",
		"route append 10.5.0.0/24 via 10.0.0.9 mtu 1400",
		"route append 10.5.0.0/24 via 10.0.0.9 mtu lock 1400",
		"route append 10.5.0.0/24 via 10.0.0.9 realm 5",
		"route append 10.5.0.0/24 via 10.0.0.9 realm 5/5",
		"route append 10.5.0.0/24 via 10.0.0.9 congctl cubic",
		"route append 10.5.0.0/24 via 10.0.0.9 congctl reno",
		"route append 10.5.0.0/24 via 10.0.0.9 dev v0 onlink",
		"route append 10.5.0.0/24 via 10.0.0.9 encap ip id 1 dst 10.9.9.9",
		"route append 10.5.0.0/24 via 10.0.0.9 encap ip id 2 dst 10.9.9.9",
		"route append 10.5.0.0/24 nhid 21",
		"route append 10.5.0.0/24 nhid 33",
		"route append 10.5.0.0/24 dev v0",
		"route append 10.5.0.0/24 dev v0 scope host",
		"route append 10.5.0.0/24 nexthop dev v0 nexthop dev v1",
		"route append 10.5.0.0/24 nexthop dev v0 weight 2 nexthop dev v1",
		"route append 10.5.0.0/24 nexthop dev v1 nexthop dev v0",
		"route append blackhole 10.5.0.0/24",
		"route append prohibit 10.5.0.0/24",
		"route add 10.5.0.0/24 via 10.0.0.9 tos 4",
		"route add 10.5.0.0/24 via 10.0.0.9 metric 7",
		"route add 10.5.0.0/24 via 10.0.0.9 table 7",
		"route add 10.5.0.0/25 via 10.0.0.9",
	}
	alikeIPv6 = []string{
		"route add fd05::/64 via fd00::9",
		"route append fd05::/64 dev v0",
		"route append fd05::/64 dev v1",
		"route append fd05::/64 dev v0 encap seg6 mode encap segs fd00::9",
		"route append fd05::/64 dev v0 encap seg6 mode encap segs fd00::8",
		"route append fd05::/64 nhid 1",
		"route append fd05::/64 nhid 13",
		"route append fd05::/64 via fd00::9 metric 7",
		"route append fd05::/64 via fd00::9 from fd00::/16",
		"route append fd05::/64 via fd00::9 from fd00::/17",
		"route append fd05::/64 via fd00::9 table 7",
	}
)

// TestIdentity sees that routes which the kernel keeps apart have identities of
// their own, which last, here and in another process, whatever comes and goes.
func TestIdentity(t *testing.T) {
	if os.Getenv(idsFor) != "" {
		for _, r := range scan(t, tables.Routes, &rtnl.Kernel{}) {
			fmt.Println("id", r.name(), r["route_id"])
		}
		return
	}
	live(t)
	nstest.Batch(t, "-4", alikeIPv4...)
	nstest.Batch(t, "-6", alikeIPv6...)
	ids := identities(kernelRoutes(t)) // which sees that no two are the same
	same := func(when string, got []string) {
		t.Helper()
		for _, id := range ids {
			if !slices.Contains(got, id) {
				t.Errorf("%s: no %s", when, id)
			}
		}
	}
	for range 3 {
		same("again", identities(kernelRoutes(t)))
	}
	nstest.Batch(t, "-4",
		"route prepend 10.5.0.0/24 via 10.0.0.77", "route add 10.5.0.0/23 via 10.0.0.9",
		"route add 10.5.0.0/26 via 10.0.0.9", "route add 10.5.0.0/24 via 10.0.0.9 tos 8")
	nstest.Batch(t, "-6", "route add fd05::/63 dev v0", "route add fd05::/65 dev v0",
		"route add fd05::/64 via fd00::9 metric 6", "nexthop add id 99 dev v0")
	same("with other routes", identities(kernelRoutes(t)))
	nstest.IP(t, "route del 10.5.0.0/24 via 10.0.0.77")
	nstest.IP(t, "-6 route del fd05::/64 metric 6")
	if got := identities(kernelRoutes(t)); len(got) != len(ids)+5 {
		t.Errorf("%d routes, then %d", len(ids), len(got))
	}
	// Traffic changes the counters, but neither the tunnel nor what the route is.
	send(t, "v0p", "fd00::9", "fd01:14::1")
	eventually(t, func() string {
		r := scan(t, tables.Routes, &rtnl.Kernel{}, where(tables.Routes, "dst", tables.Equals, "fd01:14::/32"))
		if r[0]["encap_errors"] != "1" || r[0]["encap"] != "seg6local action End.DT6 table 1000" {
			return fmt.Sprintf("not counted: %s, encap_errors %s", r[0]["encap"], r[0]["encap_errors"])
		}
		return ""
	})
	same("after traffic", identities(kernelRoutes(t)))
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestIdentity$", "-test.count=1")
	cmd.Env = append(os.Environ(), idsFor+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	same("in another process", strings.Fields(string(out)))
}

// TestTwins has IPv6 routes that differ in nothing by which the kernel tells
// routes from each other: "replace" takes the place of the first route with the
// same metric that is no part of a multipath route (fib6_add_rt2node), even if
// there is a second one to which the new one is equal.
func TestTwins(t *testing.T) {
	nstest.New(t)
	network(t)
	nstest.Batch(t, "-6",
		"route add fd05::/64 dev v0", "route append fd05::/64 dev v1",
		"route replace fd05::/64 dev v1 proto 16 pref low",
		"route add fd06::/64 dev v0", "route append fd06::/64 dev v1", "route replace fd06::/64 dev v1")
	twins := 0
	for _, r := range compareAll(t) {
		if d := r.row["dst"]; d == "fd05::/64" || d == "fd06::/64" {
			twins++
		}
	}
	if twins != 4 {
		t.Logf("%d routes: this kernel makes no twins", twins)
	}
}

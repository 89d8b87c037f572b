package shadow

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// TestCarrier: a route whose interface has lost its carrier comes before others, unless the kernel is to ignore it.
func TestCarrier(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.0.1.1/24", "fd01::1/64")
	for _, family := range []string{"-4 ", "-6 "} {
		nstest.IP(t, family+"route add default dev v0 metric 5")
		nstest.IP(t, family+"route add default dev v1 metric 9")
	}
	nstest.IP(t, "link set v0p down")
	for _, family := range []string{"-4 ", "-6 "} { // of which the kernel's workers tell a little later
		for try := 0; !strings.Contains(nstest.IP(t, family+"route show dev v0"), "linkdown"); try++ {
			if time.Sleep(10 * time.Millisecond); try == 3000 {
				t.Fatal("the interface does not lose its carrier")
			}
		}
	}
	for _, ignored := range []string{"0", "1"} {
		for f, to := range map[object.Family]string{object.IPv4: "192.0.2.1", object.IPv6: "2001:db8::1"} {
			nstest.Sysctl(t, "net."+f.String()+".conf.v0.ignore_routes_with_linkdown", ignored)
			l, err := (&rtnl.Kernel{}).Lookups(t.Context(), "", 0)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			found, err := l.Lookup(&rtnl.LookupRequest{Destination: netip.MustParseAddr(to)}, rtnl.WantMatch)
			if err != nil || found.Match == nil {
				t.Fatal(found, err)
			}
			used := found.Match.Priority.V
			table := analyze(t).Table(f, object.RT_TABLE_MAIN)
			for i := range table.Len() {
				var r object.Route
				table.Route(i, &r, object.AllFields)
				if _, ok := table.Shadow(i); r.Dst.Bits() == 0 && ok != (r.Priority.V == 9 && ignored == "0") {
					t.Errorf("%v, ignored %s: that metric %d is shadowed is %t, the kernel uses metric %d", f, ignored,
						r.Priority.V, ok, used)
				}
			}
			if want := map[string]uint32{"0": 5, "1": 9}[ignored]; used != want {
				t.Errorf("%v, ignored %s: the kernel uses metric %d", f, ignored, used)
			}
		}
	}
}

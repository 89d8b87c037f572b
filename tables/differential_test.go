package tables_test

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

var (
	seed   = flag.Uint64("seed", 1, "seed of TestDifferential's routes; 0: another one every time")
	amount = flag.Int("routes", 10000, "how many routes TestDifferential compares at least")
)

// network makes interfaces of several kinds and states, with addresses. Nothing
// in it changes by itself once it returns.
func network(t testing.TB) {
	t.Helper()
	// No link-local addresses, which come and become usable after a while.
	nstest.Sysctl(t, "net.ipv6.conf.default.addr_gen_mode", "1")
	nstest.Veth(t, "v0", "10.0.0.1/24", "10.0.0.2/24", "fd00::1/64", "fd00::2/64")
	nstest.Veth(t, "v1", "10.0.1.1/24", "fd00:1::1/64", "fe80::1/64")
	// Without a carrier: linkdown. And it stays away from routes: dead.
	nstest.IP(t, "link add v2 type veth peer name v2p")
	nstest.IP(t, "link set v2 up")
	nstest.IP(t, "addr add 10.0.2.1/24 dev v2")
	nstest.IP(t, "addr add fd00:2::1/64 dev v2 nodad")
	nstest.IP(t, "link add br0 type bridge")
	nstest.IP(t, "link set br0 up")
	// As a tunnel has it: no ARP, an address for each end, and nobody at the other.
	// (A tun device needs /dev/net/tun, which not every user may open; modules of
	// tunnels are not in every kernel.)
	nstest.IP(t, "link add p0 type veth peer name p0p")
	nstest.IP(t, "link set p0 arp off")
	nstest.IP(t, "link set p0 up")
	nstest.IP(t, "addr add 10.0.3.1 peer 10.0.3.2 dev p0")
	// What the kernel's workers (linkwatch_event, addrconf_dad_work) add later.
	waitForCarriers(t)
	nstest.WaitRoutes(t, "local fd00:2::1 dev v2 ")
}

// waitForCarriers waits until every interface that has a carrier is known to have one.
func waitForCarriers(t testing.TB) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); ; {
		busy := ""
		for _, l := range ipJSON(t, "-j link show") {
			flags := "," + flagNames(l.get("flags")) + ","
			state := l.text("operstate")
			if strings.Contains(flags, ",LOWER_UP,") && state != "UP" && state != "UNKNOWN" ||
				strings.Contains(flags, ",NO-CARRIER,") && state != "LOWERLAYERDOWN" && state != "DOWN" {
				busy += fmt.Sprint(l.text("ifname"), " is ", state, " ", flags, "; ")
			}
		}
		if busy == "" {
			return
		}
		if time.Now().After(limit) {
			t.Fatal(busy)
		}
	}
}

// batch runs ip -batch -force: lines that the kernel refuses are passed over.
// Lines that ip itself does not understand would end the batch: they fail the
// test. family is -4, -6 or nothing.
func batch(t testing.TB, family string, lines ...string) {
	t.Helper()
	lines = asKnown(t, lines...)
	const last = "link show dev lo"
	cmd := exec.Command("ip", append(strings.Fields(family), "-force", "-batch", "-")...)
	cmd.Stdin = strings.NewReader(strings.Join(append(lines, last), "\n") + "\n")
	out, _ := cmd.CombinedOutput() // its status is that of some line
	if n := len(out); !strings.Contains(string(out), "1: lo:") || strings.Contains(string(out), "is unknown, try") {
		t.Fatalf("ip -batch: %s", out[max(0, n-1000):])
	}
}

// TestDifferential adds random routes and compares every column of every row
// with what ip says of them, and what ip does not say with the kernel's bytes.
func TestDifferential(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	want := nstest.Amount(*amount, min(*amount, 1000))
	var c coverage
	for round := uint64(0); c.routes < want; round++ {
		ok := t.Run(fmt.Sprint(round), func(t *testing.T) {
			differential(t, generator{rand.New(rand.NewPCG(*seed, round))}, &c)
		})
		if !ok {
			t.Fatalf("run again with -seed %d: round %d failed", *seed, round)
		}
	}
	t.Logf("seed %d: %d routes compared, %d lines refused or merged into other routes by the kernel", *seed, c.routes,
		c.refused)
	for _, k := range []string{"src", "gateway", "dev", "dev_kind", "metric", "prefsrc", "flag_names", "pref",
		"nexthop_id", "mtu", "advmss", "window",
		"hoplimit", "initcwnd", "initrwnd", "rtt", "rttvar", "ssthresh", "cwnd", "reordering", "rto_min", "quickack",
		"congctl", "features",
		"fastopen_no_cookie", "locked", "realm_from", "realm_to", "encap_type", "encap", "cache_expires", "expires",
		"nexthop1.gateway",
		"nexthop1.dev", "nexthop1.weight", "nexthop1.flag_names", "nexthop1.nexthop_id", "nexthop1.realm_from",
		"nexthop1.realm_to", "nexthop1.encap"} {
		if c.values[k] == 0 {
			t.Errorf("with -seed %d no route had a value of %s", *seed, k)
		}
	}
}

// coverage is what the routes had that were compared.
type coverage struct {
	routes  int
	refused int
	values  map[string]int // by column
}

// differential fills a namespace with routes and compares them, with and without
// the copies of nexthop objects that older programs need in routes.
func differential(t *testing.T, g generator, c *coverage) {
	nstest.New(t)
	network(t)
	if g.chance(2) {
		nstest.Sysctl(t, "net.ipv4.conf.v2.ignore_routes_with_linkdown", "1")
		nstest.Sysctl(t, "net.ipv6.conf.v2.ignore_routes_with_linkdown", "1")
	}
	g.objects(t)
	each := nstest.Amount(3000, 1500)
	var lines4, lines6 []string
	for range each {
		lines4, lines6 = append(lines4, g.route4()), append(lines6, g.route6())
	}
	own := len(kernelRoutes(t))
	batch(t, "-4", lines4...)
	batch(t, "-6", lines6...)
	unhide(t)
	all := compareAll(t)
	c.routes += len(all) - own
	c.refused += 2*each - (len(all) - own)
	if c.values == nil {
		c.values = map[string]int{}
	}
	for _, r := range all {
		for k := range r.flat() {
			c.values[k]++
		}
	}
	nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", "0")
	if !slices.Equal(identities(all), identities(compareAll(t))) {
		t.Error("net.ipv4.nexthop_compat_mode changed a route_id")
	}
}

// unhide takes multipath IPv6 routes away where a kernel before 6.9 has routes between their nexthops,
// which neither it nor ip shows: such a kernel counts them, and an answer without them is refused.
func unhide(t *testing.T) {
	t.Helper()
	if !older(t, "6.9") {
		return
	}
	for refused := false; ; refused = true {
		stats, err := os.ReadFile("/proc/thread-self/net/rt6_stats")
		fields := strings.Fields(string(stats))
		if err != nil || len(fields) < 4 {
			t.Fatalf("rt6_stats: %q, %v", stats, err)
		}
		counted, err := strconv.ParseInt(fields[3], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		shown, multipath := 0, []string(nil)
		for _, r := range ipJSON(t, "-j -6 route show table all") {
			hops, _ := r.get("nexthops").([]any)
			if shown++; len(hops) > 1 && r.get("nhid") == nil {
				shown += len(hops) - 1
				multipath = append(multipath, fmt.Sprintf("route flush exact %s table %s", r.text("dst"),
					cmp.Or(r.text("table"), "main")))
			}
		}
		if int(counted) == shown {
			return
		}
		if _, err := scanErr(tables.Routes, &rtnl.Kernel{}); !refused && (!errors.Is(err, rtnl.ErrTooLarge) ||
			!strings.Contains(err.Error(), "between two nexthops")) {
			t.Errorf("%d routes are hidden, and the answer is %v", int(counted)-shown, err)
		}
		if len(multipath) == 0 {
			t.Fatalf("%d IPv6 routes, but %d are shown", counted, shown)
		}
		batch(t, "-6", multipath...)
	}
}

// identities returns the route_id of all routes, sorted.
func identities(all []route) []string {
	var ids []string
	for _, r := range all {
		ids = append(ids, r.row["route_id"])
	}
	slices.Sort(ids)
	return ids
}

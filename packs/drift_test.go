package packs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/tables"
)

// changing finds what makes a differential query log a line every time: columns that change
// with time, those that tell the state of an interface, and all.
var changing = regexp.MustCompile(`(?i)\b(` +
	strings.Join(append(volatile(), "flags", "dev_operstate"), "|") + `)\b`)

// volatile returns the names of the columns that change with time.
func volatile() (names []string) {
	for _, t := range tables.All() {
		for _, c := range t.Columns {
			if c.Volatile {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// driftChecks returns what logs the changes of a host, by comparing what there is.
func driftChecks(t *testing.T) (checks []*Check) {
	for _, p := range loadPacks(t) {
		if p.Logged == Difference && !p.Policy {
			checks = append(checks, slices.DeleteFunc(p.Checks, (*Check).ofEvents)...)
		}
	}
	return checks
}

// TestStable runs what logs the changes of a host: on a quiet one twenty runs have the same rows. A
// route more is one row more of all queries together.
func TestStable(t *testing.T) {
	checks := driftChecks(t)
	for _, host := range someHosts(t) {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			buildHost(t, host)
			first := rowsOf(t, checks)
			for range nstest.Amount(19, 3) {
				if more, less := difference(first, rowsOf(t, checks)); len(more)+len(less) > 0 {
					t.Fatalf("a quiet host has the rows\n%v\nmore, and\n%v\nless", more, less)
				}
			}
			nstest.IP(t, "route add 203.0.113.128/25 dev lo")
			more, less := difference(first, rowsOf(t, checks))
			if len(more) != 1 || len(less) > 0 {
				t.Errorf("a route more has the rows\n%v\nmore, and\n%v\nless", more, less)
			}
		})
	}
}

// TestDrift changes a host, step by step, and counts the rows that come and go of all queries
// together: one for what somebody adds, none for what the kernel and containers do by themselves.
func TestDrift(t *testing.T) {
	buildHost(t, "docker-host")
	checks := driftChecks(t)
	before := rowsOf(t, checks)
	for _, step := range []struct {
		run        string
		more, less int
	}{
		{"ip route add 10.1.0.0/16 via 192.168.1.7", 1, 0},
		{"ip route replace 10.1.0.0/16 via 192.168.1.8", 1, 1},
		{"ip route del 10.1.0.0/16; ip route add 10.1.0.0/16 via 192.168.1.8", 0, 0},
		{"ip route add blackhole 10.2.0.0/16", 1, 0},
		{"ip route add 10.3.0.0/16 nexthop via 192.168.1.7 weight 2 nexthop via 192.168.1.8", 1, 0},
		{"ip route replace 10.3.0.0/16 nexthop via 192.168.1.8 nexthop via 192.168.1.7 weight 2", 0, 0},
		{"ip route replace 10.3.0.0/16 nexthop via 192.168.1.7 nexthop via 192.168.1.8 nexthop via 192.168.1.9", 1, 1},
		{"ip -6 route add 2001:db8:3::/48 nexthop via fe80::7 dev eth0 nexthop via fe80::8 dev eth0", 1, 0},
		{"ip -6 route append 2001:db8:3::/48 via fe80::9 dev eth0", 1, 1},
		{"ip -6 route add local 2001:db8:4::1 dev lo", 1, 0},
		{"ip route add default via 192.168.1.7 table 77", 1, 0},
		{"ip rule add fwmark 7 table 77", 1, 0},
		{"ip nexthop add id 7 via 192.168.1.9 dev eth0", 1, 0},
		{"ip route add 10.7.0.0/16 nhid 7", 1, 0},
		// A daemon that starts anew gives its objects other numbers.
		{"ip nexthop add id 8 via 192.168.1.9 dev eth0; ip route replace 10.7.0.0/16 nhid 8; ip nexthop del id 7",
			1, 1},
		{"set_sysctl net.ipv4.conf.eth0.accept_source_route 1; set_sysctl net.ipv4.conf.all.accept_source_route 1",
			1, 1},
		{"containers=9; container veth9a9b9c9 02:42:8f:10:00:09 br-3c9f1d7ab210; wait_for_carrier veth9a9b9c9", 0, 0},
		{"ip link del veth9a9b9c9", 0, 0},
		{"ip address add 2001:db8:1::77/64 dev eth0", 1, 0},
		{"ip address add 2001:db8:1::78/64 dev eth0 noprefixroute", 0, 0}, // as a temporary address
		{"ip link del docker0; bridge docker0 02:42:8f:10:00:01; ip address add 172.17.0.1/16 brd + dev docker0", 0, 0},
		{narrowPath, 0, 0}, // whose MTU is learnt
		{`nsenter -t "$OUTSIDE" -n ip link set cable1 down; while ip link show eth0 | grep -q LOWER_UP; do :; done`,
			0, 2}, // the kernel itself drops nexthop objects then, and their routes
	} {
		runShell(t, step.run)
		if step.run == narrowPath {
			learnMTU(t)
		}
		after := rowsOf(t, checks)
		more, less := difference(before, after)
		if len(more) != step.more || len(less) != step.less {
			t.Errorf("%s\nhas the rows\n%v\nmore, and\n%v\nless", step.run, more, less)
		}
		before = after
	}
}

// TestLargeGroup has more rows of one protocol than osquery's memory is for: these routes are named
// together and not listed, and the others are as ever.
func TestLargeGroup(t *testing.T) {
	buildHost(t, "docker-host")
	checks := driftChecks(t)
	before := rowsOf(t, checks)
	const each = 3 // a route and two nexthops
	change := func(verb string, from, to int) {
		var lines []string
		for i := from; i < to; i++ {
			lines = append(lines, fmt.Sprintf("route %s 10.%d.%d.0/24 proto bgp nexthop via 192.168.1.7 nexthop via "+
				"192.168.1.8", verb, i/256, i%256))
		}
		nstest.Batch(t, "-4", lines...)
	}
	change("add", 0, 9000/each)
	after := rowsOf(t, checks)
	more, less := difference(before, after)
	if len(more) != 1 || !strings.HasPrefix(more[0], "routes_not_listed") ||
		!strings.Contains(more[0], "protocol:bgp") || len(less) > 0 {
		t.Errorf("%d rows more, and %v less: %.500v", len(more), less, more)
	}
	change("del", 6000/each, 9000/each)
	if more, less := difference(after, rowsOf(t, checks)); len(more) != 6000/each || len(less) != 1 {
		t.Errorf("of fewer routes there are %d rows more, and %v less", len(more), less)
	}
}

// narrowPath makes the other end of eth0 a router with a cable behind it that takes 1300 bytes.
const narrowPath = `nsenter -t "$OUTSIDE" -n sh -euc '
	ip address add 192.168.1.1/24 dev cable1
	ip link add narrow mtu 1300 type veth peer name end
	ip link set narrow up
	ip link set end up
	ip address add 198.51.100.1/24 dev narrow
	echo 1 >/proc/sys/net/ipv4/ip_forward'`

// learnMTU sends more than fits, until the router's answer is in the kernel's cache.
func learnMTU(t *testing.T) {
	t.Helper()
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(s)
	if err := unix.SetsockoptInt(s, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DO); err != nil {
		t.Fatal(err)
	}
	to := &unix.SockaddrInet4{Port: 9, Addr: [4]byte{198, 51, 100, 9}}
	for range 1000 {
		if err := unix.Sendto(s, make([]byte, 1400), 0, to); err == unix.EMSGSIZE {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("the path's MTU is not learnt")
}

// rowsOf returns all rows of checks, as texts, with how often each is there.
func rowsOf(t *testing.T, checks []*Check) map[string]int {
	t.Helper()
	all := map[string]int{}
	for _, c := range checks {
		for _, r := range ask(t, c.SQL()) {
			for name := range r {
				if changing.FindString(name) == name {
					t.Fatalf("%v shows %s, which changes with time", r, name)
				}
			}
			all[fmt.Sprint(c.Name, r)]++
		}
	}
	return all
}

// difference returns the rows that b has more and less often than a.
func difference(a, b map[string]int) (more, less []string) {
	for _, r := range slices.Sorted(maps.Keys(b)) {
		if b[r] > a[r] {
			more = append(more, r)
		}
	}
	for _, r := range slices.Sorted(maps.Keys(a)) {
		if a[r] > b[r] {
			less = append(less, r)
		}
	}
	return more, less
}

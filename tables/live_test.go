package tables_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// A liveCase is a route, as a line for ip -batch, and what its row must say; ip
// is asked about the columns that are not named here. Nexthops come as rows too.
type liveCase struct {
	line string
	want row
	hops []row
}

// heaviest stands for the highest weight that the kernel takes.
const heaviest = "maxWeight"

// objectLines make the nexthop objects of liveIPv4 and liveIPv6. Group 60 is made
// over netlink, with weights of 16 bits.
var (
	objectLines4 = []string{
		"nexthop add id 21 via 10.0.0.9 dev v0",
		"nexthop add id 22 dev v1",
		"nexthop add id 23 blackhole",
		"nexthop add id 24 via 10.0.1.9 dev v1 encap ip id 42 dst 10.9.9.9",
	}
	objectLines6 = []string{
		"nexthop add id 1 via fd00::9 dev v0",
		"nexthop add id 2 dev v1",
		"nexthop add id 3 blackhole",
		"nexthop add id 4 via fd00:1::9 dev v1 encap seg6 mode encap segs fd00::7",
		"nexthop add id 5 via fe80::5 dev v1 onlink",
	}
	groupLines = []string{
		"nexthop add id 30 group 21,5/24,200",
		"nexthop add id 31 group 21/1,256 type resilient buckets 32 idle_timer 10",
		"nexthop add id 32 group 23",
		"nexthop add id 33 group 21",
		"nexthop add id 10 group 1,5/4,200/5",
		"nexthop add id 11 group 1/2,256 type resilient buckets 32",
		"nexthop add id 12 group 3",
		"nexthop add id 13 group 1",
	}
)

var liveIPv4 = []liveCase{
	// Types.
	{"default via 10.0.0.9", row{"dst": "0.0.0.0/0", "dst_len": "0", "type": "unicast", "gateway": "10.0.0.9", "gateway_family": "ipv4", "dev": "v0",
		"dev_kind": "veth", "dev_operstate": "UP", "table_id": "254", "protocol": "boot", "scope": "global", "tos": "0", "flags": "0", "src_len": "0"},
		[]row{{"nexthop_index": "0", "gateway": "10.0.0.9", "dev": "v0", "weight": "1"}}},
	{"local 10.1.0.1 dev v0 table 1000", row{"dst": "10.1.0.1/32", "type": "local", "scope": "host", "table_name": "1000", "table_id": "1000"}, nil},
	{"broadcast 10.1.0.2 dev v0", row{"dst": "10.1.0.2/32", "type": "broadcast", "scope": "link", "table_name": "local", "table_id": "255"}, nil},
	{"multicast 239.1.0.0/16 dev v0", row{"dst": "239.1.0.0/16", "type": "multicast", "dst_len": "16"}, nil},
	{"blackhole 10.1.1.0/24", row{"dst": "10.1.1.0/24", "type": "blackhole", "nexthop_count": "0"}, []row{}},
	{"unreachable 10.1.2.0/24 metric 4294967295", row{"dst": "10.1.2.0/24", "type": "unreachable", "metric": "4294967295"}, []row{}},
	{"prohibit 10.1.3.0/24", row{"dst": "10.1.3.0/24", "type": "prohibit"}, []row{}},
	{"throw 10.1.4.0/24 table 4294967294", row{"dst": "10.1.4.0/24", "type": "throw", "table_id": "4294967294", "table_name": "4294967294"}, []row{}},
	// Protocols and scopes.
	{"10.1.5.0/24 dev v0 proto 2", row{"dst": "10.1.5.0/24", "protocol": "kernel", "scope": "link"}, nil},
	{"10.1.6.0/24 dev v0 proto 3 scope host", row{"dst": "10.1.6.0/24", "protocol": "boot", "scope": "host"}, nil},
	{"10.1.7.0/24 dev v0 proto 4 scope site", row{"dst": "10.1.7.0/24", "protocol": "static", "scope": "site"}, nil},
	{"10.1.8.0/24 dev v0 proto 16 scope 77", row{"dst": "10.1.8.0/24", "protocol": "dhcp", "scope": "77"}, nil},
	{"10.1.9.0/24 dev v0 proto 186 scope global", row{"dst": "10.1.9.0/24", "protocol": "bgp", "scope": "global"}, nil},
	{"blackhole 10.1.10.0/24 proto 77 scope nowhere", row{"dst": "10.1.10.0/24", "protocol": "77", "scope": "nowhere"}, nil},
	// Metrics, with and without a lock.
	{"10.1.11.0/24 dev v0 mtu 1400 advmss 1300 window 9999 hoplimit 7 initcwnd 11 initrwnd 12 rtt 100ms rttvar 50ms ssthresh 13 cwnd 14 reordering 15 quickack 1 features ecn congctl cubic fastopen_no_cookie 1",
		row{"dst": "10.1.11.0/24", "mtu": "1400", "advmss": "1300", "window": "9999", "hoplimit": "7", "initcwnd": "11", "initrwnd": "12", "rtt": "100", "rttvar": "50",
			"ssthresh": "13", "cwnd": "14", "reordering": "15", "quickack": "1", "features": "ecn", "congctl": "cubic", "fastopen_no_cookie": "1", "locked": ""}, nil},
	{"10.1.12.0/24 dev v0 mtu lock 1400 advmss lock 1300 window lock 9999 hoplimit lock 7 initcwnd lock 11 initrwnd lock 12 rtt lock 100ms rttvar lock 50ms ssthresh lock 13 cwnd lock 14 reordering lock 15 rto_min 200 congctl lock reno",
		row{"dst": "10.1.12.0/24", "mtu": "1400", "rto_min": "200", "congctl": "reno",
			"locked": "mtu,window,rtt,rttvar,ssthresh,cwnd,advmss,reordering,hoplimit,initcwnd,rto_min,initrwnd,congctl"}, nil},
	{"10.1.13.0/24 dev v0 mtu lock 0", row{"dst": "10.1.13.0/24", "mtu": "", "locked": "mtu"}, nil},
	{"10.1.14.0/24 dev v0 rtt 7 rttvar 3", row{"dst": "10.1.14.0/24", "rtt": "0", "rttvar": "0"}, nil},
	// Several nexthops.
	{"10.1.15.0/24 nexthop via 10.0.0.9 weight 256 nexthop via inet6 fd00::9 dev v0 realm 3 nexthop dev v1 weight 2 encap ip id 5 dst 10.9.9.9 nexthop via 10.0.2.9 dev v2 onlink",
		row{"dst": "10.1.15.0/24", "nexthop_count": "4", "gateway": "", "dev": "", "dev_index": "", "encap": ""},
		[]row{{"nexthop_index": "0", "gateway": "10.0.0.9", "weight": "256", "dev": "v0"},
			{"nexthop_index": "1", "gateway": "fd00::9", "gateway_family": "ipv6", "realm_to": "3", "realm_from": "", "weight": "1"},
			{"nexthop_index": "2", "gateway": "", "dev": "v1", "weight": "2", "encap_type": "ip", "encap": "ip id 5 src 0.0.0.0 dst 10.9.9.9 ttl 0 tos 0"},
			{"nexthop_index": "3", "flags": "20", "flag_names": "onlink,linkdown"}}},
	{"10.1.16.0/24 via inet6 fe80::9 dev v1", row{"dst": "10.1.16.0/24", "gateway": "fe80::9", "gateway_family": "ipv6", "dev": "v1"}, nil},
	// Nexthop objects.
	{"10.1.17.0/24 nhid 21", row{"dst": "10.1.17.0/24", "nexthop_id": "21", "gateway": "10.0.0.9", "dev": "v0"}, []row{{"nexthop_id": "21", "weight": "1", "gateway": "10.0.0.9"}}},
	{"10.1.18.0/24 nhid 22", row{"dst": "10.1.18.0/24", "nexthop_id": "22", "gateway": "", "dev": "v1"}, nil},
	{"10.1.19.0/24 nhid 23", row{"dst": "10.1.19.0/24", "nexthop_id": "23", "type": "blackhole", "nexthop_count": "0", "dev": "", "dev_index": "", "gateway": ""}, []row{}},
	{"10.1.20.0/24 nhid 24", row{"dst": "10.1.20.0/24", "nexthop_id": "24", "encap": "ip id 42 src 0.0.0.0 dst 10.9.9.9 ttl 0 tos 0"}, nil},
	{"10.1.21.0/24 nhid 1", row{"dst": "10.1.21.0/24", "nexthop_id": "1", "gateway": "fd00::9", "gateway_family": "ipv6"}, nil},
	{"10.1.22.0/24 nhid 30", row{"dst": "10.1.22.0/24", "nexthop_id": "30", "nexthop_count": "2", "gateway": "", "dev": ""},
		[]row{{"nexthop_id": "21", "weight": "5", "gateway": "10.0.0.9"}, {"nexthop_id": "24", "weight": "200", "gateway": "10.0.1.9", "encap_type": "ip"}}},
	{"10.1.23.0/24 nhid 31", row{"dst": "10.1.23.0/24", "nexthop_id": "31", "nexthop_count": "2"}, []row{{"nexthop_id": "21", "weight": "1"}, {"nexthop_id": "1", "weight": "256", "gateway": "fd00::9"}}},
	{"10.1.24.0/24 nhid 32", row{"dst": "10.1.24.0/24", "nexthop_id": "32", "type": "blackhole", "nexthop_count": "0", "dev": "", "dev_index": "", "gateway": ""}, []row{}},
	{"10.1.25.0/24 nhid 33", row{"dst": "10.1.25.0/24", "nexthop_id": "33", "gateway": "10.0.0.9", "dev": "v0", "nexthop_count": "1"}, []row{{"nexthop_id": "21"}}},
	{"10.1.26.0/24 nhid 60", row{"dst": "10.1.26.0/24", "nexthop_id": "60", "nexthop_count": "2"}, []row{{"nexthop_id": "21", "weight": heaviest}, {"nexthop_id": "1", "weight": "3"}}},
	// Tunnels.
	{"10.1.27.0/24 via 10.0.0.9 encap ip id 42 src 10.0.0.1 dst 10.9.9.9 ttl 3 tos 0x5 key csum seq",
		row{"dst": "10.1.27.0/24", "encap_type": "ip", "encap": "ip id 42 src 10.0.0.1 dst 10.9.9.9 ttl 3 tos 5 key csum seq"}, nil},
	{"10.1.28.0/24 via 10.0.0.9 encap ip6 id 18446744073709551615 src fd00::1 dst ::ffff:10.9.9.9 hoplimit 3 tc 0x5 csum",
		row{"dst": "10.1.28.0/24", "encap_type": "ip6", "encap": "ip6 id 18446744073709551615 src fd00::1 dst ::ffff:10.9.9.9 hoplimit 3 tc 5 csum"}, nil},
	{"10.1.29.0/24 dev v0 encap seg6 mode encap segs fd00::9,fd00::8", row{"dst": "10.1.29.0/24", "encap": "seg6 mode encap segs 2 [ fd00::9 fd00::8 ]"}, nil},
	// The rest.
	{"10.1.30.0/24 via 10.77.0.9 dev v0 onlink", row{"dst": "10.1.30.0/24", "gateway": "10.77.0.9", "flags": "4", "flag_names": "onlink"}, nil},
	{"10.1.31.0/24 dev v0 realm 5/7", row{"dst": "10.1.31.0/24", "realm_from": "5", "realm_to": "7"}, []row{{"realm_from": "5", "realm_to": "7"}}},
	{"10.1.32.0/24 dev v0 tos 0x28 metric 0", row{"dst": "10.1.32.0/24", "tos": "40", "metric": "0"}, nil},
	{"blackhole 10.1.99.0/24 nhid 21", row{"dst": "10.1.99.0/24", "nexthop_id": "21", "type": "blackhole", "nexthop_count": "1", "dev": "v0", "gateway": "10.0.0.9"}, nil},
	{"10.1.33.0/24 dev v0 src 10.0.0.2", row{"dst": "10.1.33.0/24", "prefsrc": "10.0.0.2"}, nil},
	{"10.1.34.0/24 dev p0", row{"dst": "10.1.34.0/24", "dev_kind": "veth", "flag_names": "linkdown"}, nil},
	{"10.1.35.0/24 dev br0", row{"dst": "10.1.35.0/24", "dev_kind": "bridge"}, nil},
	{"10.1.36.0/24 dev lo", row{"dst": "10.1.36.0/24", "dev": "lo", "dev_kind": "", "dev_operstate": "UNKNOWN"}, nil},
}

var liveIPv6 = []liveCase{
	{"default via fd00::9", row{"dst": "::/0", "dst_len": "0", "type": "unicast", "gateway": "fd00::9", "gateway_family": "ipv6", "dev": "v0", "metric": "1024",
		"protocol": "boot", "scope": "global", "pref": "medium", "expires": "", "cache_expires": "0", "cache_clntref": "0"}, []row{{"nexthop_index": "0", "gateway": "fd00::9", "weight": "1"}}},
	{"local fd01::1 dev v0 table 1000", row{"dst": "fd01::1/128", "type": "local", "table_id": "1000"}, nil},
	{"anycast fd01::2 dev v0", row{"dst": "fd01::2/128", "type": "anycast", "table_id": "255"}, nil},
	{"broadcast fd01::3 dev v0", row{"dst": "fd01::3/128", "type": "broadcast", "table_name": "local"}, nil},
	{"multicast ff05::/16 dev v0 table 4294967294", row{"dst": "ff05::/16", "type": "multicast", "table_id": "4294967294"}, nil},
	{"blackhole fd01:1::/32", row{"dst": "fd01:1::/32", "type": "blackhole"}, nil},
	{"unreachable fd01:2::/32 metric 4294967295", row{"dst": "fd01:2::/32", "type": "unreachable", "metric": "4294967295"}, nil},
	{"prohibit fd01:3::/32", row{"dst": "fd01:3::/32", "type": "prohibit"}, nil},
	{"throw fd01:4::/32", row{"dst": "fd01:4::/32", "type": "throw"}, nil},
	{"fd01:5::/32 dev v0 proto 4 pref high", row{"dst": "fd01:5::/32", "protocol": "static", "pref": "high"}, nil},
	{"fd01:6::/32 dev v0 proto 77 pref low", row{"dst": "fd01:6::/32", "protocol": "77", "pref": "low"}, nil},
	{"fd01:7::/32 dev v0 mtu lock 1400 hoplimit 7 rtt 100ms features ecn congctl cubic rto_min 300", row{"dst": "fd01:7::/32", "mtu": "1400", "hoplimit": "7", "rtt": "100",
		"features": "ecn", "congctl": "cubic", "rto_min": "300", "locked": "mtu,rto_min"}, nil},
	{"fd01:8::/32 nexthop via fd00::9 weight 256 encap ip6 dst fd00::4 nexthop via fe80::8 dev v1 onlink nexthop via fd00:2::9 dev v2",
		row{"dst": "fd01:8::/32", "nexthop_count": "3", "gateway": "", "dev": ""},
		[]row{{"gateway": "fd00::9", "weight": "256", "encap": "ip6 id 0 src :: dst fd00::4 hoplimit 0 tc 0"},
			{"gateway": "fe80::8", "flags": "4", "flag_names": "onlink", "dev": "v1"},
			{"gateway": "fd00:2::9", "flag_names": "linkdown", "weight": "1"}}},
	{"fd01:9::/32 nhid 1", row{"dst": "fd01:9::/32", "nexthop_id": "1", "gateway": "fd00::9", "dev": "v0"}, []row{{"nexthop_id": "1"}}},
	{"fd01:a::/32 nhid 2", row{"dst": "fd01:a::/32", "nexthop_id": "2", "gateway": "", "dev": "v1"}, nil},
	{"fd01:b::/32 nhid 3", row{"dst": "fd01:b::/32", "nexthop_id": "3", "type": "blackhole", "nexthop_count": "0", "dev": "", "dev_index": "", "gateway": ""}, []row{}},
	{"fd01:c::/32 nhid 4", row{"dst": "fd01:c::/32", "nexthop_id": "4", "encap": "seg6 mode encap segs 1 [ fd00::7 ]"}, nil},
	{"fd01:d::/32 nhid 10", row{"dst": "fd01:d::/32", "nexthop_id": "10", "nexthop_count": "3"},
		[]row{{"nexthop_id": "1", "weight": "5"}, {"nexthop_id": "4", "weight": "200", "encap_type": "seg6"}, {"nexthop_id": "5", "flag_names": "onlink"}}},
	{"fd01:e::/32 nhid 11", row{"dst": "fd01:e::/32", "nexthop_id": "11", "nexthop_count": "2"}, []row{{"nexthop_id": "1", "weight": "1"}, {"nexthop_id": "2", "weight": "256", "dev": "v1"}}},
	{"fd01:f::/32 nhid 12", row{"dst": "fd01:f::/32", "nexthop_id": "12", "type": "blackhole", "nexthop_count": "0", "dev": "", "dev_index": "", "gateway": ""}, []row{}},
	{"blackhole fd01:1b::/32 nhid 1", row{"dst": "fd01:1b::/32", "nexthop_id": "1", "type": "blackhole", "nexthop_count": "1", "dev": "v0", "gateway": "fd00::9"}, nil},
	{"fd01:10::/32 nhid 13", row{"dst": "fd01:10::/32", "nexthop_id": "13", "nexthop_count": "1", "gateway": "fd00::9", "dev": "v0"}, nil},
	{"fd01:11::/32 nhid 61", row{"dst": "fd01:11::/32", "nexthop_id": "61", "nexthop_count": "2"}, []row{{"nexthop_id": "1", "weight": heaviest}, {"nexthop_id": "2", "weight": "3"}}},
	{"fd01:12::/32 via fd00::9 encap seg6 mode encap.red segs fd00::1,::ffff:10.9.9.9 hmac 171", row{"dst": "fd01:12::/32", "encap_type": "seg6",
		"encap": "seg6 mode encap.red segs 2 [ fd00::1 ::ffff:10.9.9.9 ] hmac AB"}, nil},
	{"fd01:13::/32 dev v0 encap seg6 mode inline segs fd00::1", row{"dst": "fd01:13::/32", "encap": "seg6 mode inline segs 2 [ fd00::1 :: ]"}, nil},
	{"fd01:14::/32 dev v0 encap seg6local action End.DT6 table 1000 count", row{"dst": "fd01:14::/32", "encap_type": "seg6local",
		"encap": "seg6local action End.DT6 table 1000", "encap_packets": "0", "encap_bytes": "0", "encap_errors": "0"},
		[]row{{"encap": "seg6local action End.DT6 table 1000", "encap_packets": "0", "encap_bytes": "0", "encap_errors": "0"}}},
	{"fd01:1c::/32 dev v0 encap seg6local action End.X nh6 fd00::9 oif v1 count", row{"dst": "fd01:1c::/32", "encap": "seg6local action End.X nh6 fd00::9 oif v1", "encap_errors": "0"}, nil},
	{"fd01:1d::/32 nexthop via fd00::9 dev v0 encap seg6local action End.DX2 oif v2 nexthop via fd00:1::9 dev v1 encap seg6local action End.T table main count",
		row{"dst": "fd01:1d::/32", "encap": "", "encap_packets": ""},
		[]row{{"encap": "seg6local action End.DX2 oif v2", "encap_packets": ""}, {"encap": "seg6local action End.T table main", "encap_packets": "0"}}},
	{"fd01:15::/32 encap seg6local action End.B6.Encaps srh segs fd00::1,fd00::2 dev v0", row{"dst": "fd01:15::/32", "encap": "seg6local action End.B6.Encaps segs 2 [ fd00::1 fd00::2 ]"}, nil},
	{"fd01:16::/32 dev v0 encap seg6local action End flavors next-csid lblen 48 nflen 16", row{"dst": "fd01:16::/32", "encap": "seg6local action End flavors next-csid lblen 48 nflen 16"}, nil},
	{"fd01:17::/32 via 2001:db8::9 dev v1 onlink", row{"dst": "fd01:17::/32", "flag_names": "onlink"}, nil},
	{"fd01:18::/32 from fd09::/16 dev v0", row{"dst": "fd01:18::/32", "src": "fd09::/16", "src_len": "16"}, nil},
	{"default from fd09::7 dev v0 metric 7", row{"dst": "::/0", "src": "fd09::7/128", "src_len": "128", "metric": "7"}, nil},
	{"fd01:19::/32 dev v0 src fd00::2", row{"dst": "fd01:19::/32", "prefsrc": "fd00::2"}, nil},
	{"fd01:1a::/32 dev v0 expires 100000", row{"dst": "fd01:1a::/32"}, nil},
	{"::10.9.9.9 dev v0", row{"dst": "::10.9.9.9/128"}, nil},
	{"::ffff:10.9.9.9 dev v0", row{"dst": "::ffff:10.9.9.9/128"}, nil},
}

// live makes the routes of both lists in a namespace of the test's own.
func live(t testing.TB) {
	nstest.New(t)
	network(t)
	nstest.Batch(t, "-4", objectLines4...)
	nstest.Batch(t, "-6", objectLines6...)
	for _, line := range groupLines {
		nstest.IP(t, line)
	}
	addWireGroup(t, 60, nhMember{21, maxWeight(t)}, nhMember{1, 3})
	addWireGroup(t, 61, nhMember{1, maxWeight(t)}, nhMember{2, 3})
	for family, cases := range map[string][]liveCase{"-4": liveIPv4, "-6": liveIPv6} {
		var lines []string
		for _, c := range cases {
			lines = append(lines, "route add "+c.line)
		}
		nstest.Batch(t, family, lines...)
	}
}

// TestLive compares every column of routes of all kinds with what it should be,
// with ip, and with the bytes, with and without the copies of nexthop objects
// that older programs need in routes.
func TestLive(t *testing.T) {
	live(t)
	for _, compat := range []string{"1", "0"} {
		nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", compat)
		all := compareAll(t)
		for _, c := range slices.Concat(liveIPv4, liveIPv6) {
			c.check(t, all)
		}
		if t.Failed() {
			t.Fatalf("with net.ipv4.nexthop_compat_mode=%s", compat)
		}
	}
}

func (c liveCase) check(t *testing.T, all []route) {
	t.Helper()
	var found []route
	for _, r := range all {
		// A route is told by these; the others are then compared.
		same := true
		for _, k := range []string{"dst", "src", "table_id", "nexthop_id"} {
			if v, ok := c.want[k]; ok || k == "src" {
				same = same && r.row[k] == v
			}
		}
		if same {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		t.Errorf("%s: %d routes", c.line, len(found))
		return
	}
	r := found[0]
	for k, v := range c.want {
		if r.row[k] != v {
			t.Errorf("%s: %s is %q, not %q", c.line, k, r.row[k], v)
		}
	}
	if c.hops == nil {
		return
	}
	if len(r.hops) != len(c.hops) {
		t.Errorf("%s: %d nexthops", c.line, len(r.hops))
		return
	}
	for i, want := range c.hops {
		for k, v := range want {
			if v == heaviest {
				v = fmt.Sprint(maxWeight(t))
			}
			if r.hops[i][k] != v {
				t.Errorf("%s: %s of nexthop %d is %q, not %q", c.line, k, i, r.hops[i][k], v)
			}
		}
	}
}

// TestExpires sees that a route with a lifetime says so, in both columns.
func TestExpires(t *testing.T) {
	nstest.New(t)
	network(t)
	nstest.IP(t, "-6 route add fd01::/32 dev v0 expires 3000")
	rows := scan(t, tables.Routes, &rtnl.Kernel{}, where(tables.Routes, "dst", tables.Equals, "fd01::/32"))
	if len(rows) != 1 {
		t.Fatalf("%d routes", len(rows))
	}
	if e := atoi(rows[0]["expires"]); e < 2900 || e > 3000 || rows[0]["cache_expires"] != rows[0]["expires"] {
		t.Errorf("expires %s, cache_expires %s", rows[0]["expires"], rows[0]["cache_expires"])
	}
}

// TestVolatile looks twice at routes with a lifetime and with traffic: only columns
// that say so have changed.
func TestVolatile(t *testing.T) {
	nstest.New(t)
	network(t)
	nstest.Batch(t, "-6", "route add fd01::/32 dev v0 expires 3000",
		"route add fd02::/32 dev v0 encap seg6local action End.DT6 table 1000 count",
		"route add fd03::/32 nexthop via fd00::9 encap seg6local action End.DT6 table main count nexthop via fd00:1::9")
	m := newMulticastRouter(t, false, 0)
	m.addInterface(0, number(newIPView(t).links["v0"]["dev_index"]))
	m.addInterface(1, number(newIPView(t).links["v1"]["dev_index"]))
	m.add("10.0.0.9", "239.1.1.1", 0, 1)
	var before [2][]row
	for i, table := range tables.All() {
		before[i] = scan(t, table, &rtnl.Kernel{})
	}
	send(t, "v0p", "10.0.0.9", "239.1.1.1")
	send(t, "v0p", "fd00::9", "fd02::1")
	send(t, "v0p", "fd00::9", "fd03::1")
	time.Sleep(1100 * time.Millisecond)
	changed := map[string]bool{}
	for i, table := range tables.All() {
		key := func(r row) string { return r["route_id"] + r["nexthop_index"] }
		after := map[string]row{}
		for _, r := range scan(t, table, &rtnl.Kernel{}) {
			after[key(r)] = r
		}
		if len(after) != len(before[i]) {
			t.Errorf("%s: %d rows, then %d", table.Name, len(before[i]), len(after))
		}
		for _, r := range before[i] {
			for _, name := range unlike(r, after[key(r)]) {
				changed[name] = true
				if !table.Columns[table.Column(name)].Volatile {
					t.Errorf("%s.%s: %q, then %q: %v", table.Name, name, r[name], after[key(r)][name], r)
				}
			}
		}
	}
	for _, name := range []string{"expires", "cache_expires", "mfc_packets", "mfc_bytes", "encap_errors"} {
		if !changed[name] {
			t.Errorf("%s has not changed, so that this test shows nothing", name)
		}
	}
}

// TestMetricZero has the default route that the kernel prefers and sends without
// RTA_PRIORITY: conditions on its metric must find it, in both tables, and so
// must an IPv6 route of metric 0.
func TestMetricZero(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "d0", "192.0.2.1/24", "fd00::1/64")
	nstest.Batch(t, "-4", "route add default dev d0", "route add default via 192.0.2.254 metric 50")
	for _, table := range tables.All() {
		dst := where(table, "dst", tables.Equals, "0.0.0.0/0")
		for _, c := range []struct {
			op   tables.Op
			expr string
			want string
		}{
			{tables.Equals, "0", "0"}, {tables.LessThan, "50", "0"}, {tables.LessThan, "100", "0 50"},
			{tables.LessOrEqual, "0", "0"}, {tables.GreaterOrEqual, "0", "0 50"}, {tables.GreaterThan, "0", "50"},
			{tables.GreaterThan, "-1", "0 50"}, {tables.Equals, "0.0", "0"}, {tables.Equals, "", ""},
		} {
			var got []string
			for _, r := range scan(t, table, &rtnl.Kernel{}, dst, where(table, "metric", c.op, c.expr)) {
				got = append(got, r["metric"])
			}
			if slices.Sort(got); strings.Join(got, " ") != c.want {
				t.Errorf("%s, metric %d %q: metrics %q, not %q", table.Name, c.op, c.expr, got, c.want)
			}
		}
		for _, r := range scan(t, table, &rtnl.Kernel{}) {
			if r["metric"] == "" {
				t.Errorf("%s: no metric in %v", table.Name, r)
			}
		}
	}
}

// TestRename looks for the interface's new name at once after a rename.
func TestRename(t *testing.T) {
	nstest.New(t)
	network(t)
	for i := range 10 {
		old, now := fmt.Sprintf("br%d", i), fmt.Sprintf("br%d", i+1)
		nstest.IP(t, "link set "+old+" down") // not needed since Linux 6.2
		nstest.IP(t, "link set "+old+" name "+now)
		nstest.IP(t, "link set "+now+" up")
		nstest.Batch(t, "-4", "route add 10.1.0.0/24 dev "+now, "route add 10.2.0.0/24 nexthop dev v0 nexthop dev "+now)
		routes := scan(t, tables.Routes, &rtnl.Kernel{}, where(tables.Routes, "dst", tables.Equals, "10.1.0.0/24"))
		hops := scan(t, tables.Nexthops, &rtnl.Kernel{}, where(tables.Nexthops, "dst", tables.Equals, "10.2.0.0/24"))
		if len(routes) != 1 || routes[0]["dev"] != now || len(hops) != 2 || hops[1]["dev"] != now {
			t.Fatalf("after a rename from %s to %s: %v %v", old, now, routes, hops)
		}
		for name, want := range map[string]int{old: 0, now: 1} {
			got := scan(t, tables.Nexthops, &rtnl.Kernel{}, where(tables.Nexthops, "dev", tables.Equals, name), where(tables.Nexthops, "dst", tables.Equals, "10.2.0.0/24"))
			if len(got) != want {
				t.Errorf("dev = %s: %v", name, got)
			}
		}
		nstest.IP(t, "route del 10.2.0.0/24")
	}
}

// noLinks reads no interfaces, as if all had gone away.
type noLinks struct{ rtnl.Kernel }

func (*noLinks) Names() *rtnl.Names { return rtnl.HostNames() }

func (s *noLinks) Read(ctx context.Context, r rtnl.Request) (*rtnl.Snapshot, error) {
	r.Links = false
	return s.Kernel.Read(ctx, r)
}

// TestNoInterface looks at interfaces that are not there. The kernel has no such
// routes: an interface takes its routes and nexthop objects with it under the
// same lock. They can only be seen if it goes between two dumps.
func TestNoInterface(t *testing.T) {
	nstest.New(t)
	network(t)
	nstest.Batch(t, "-4", "nexthop add id 1 via 10.0.0.9 dev v0", "route add 10.1.0.0/24 nhid 1")
	for _, table := range tables.All() {
		rows := scan(t, table, &noLinks{}, where(table, "dst", tables.Equals, "10.1.0.0/24"))
		if len(rows) != 1 || rows[0]["dev"] != "" || rows[0]["dev_index"] == "" || rows[0]["dev_kind"] != "" || rows[0]["dev_operstate"] != "" {
			t.Errorf("%s: %v", table.Name, rows)
		}
	}
	nstest.IP(t, "link del v0")
	for _, table := range tables.All() {
		if rows := scan(t, table, &rtnl.Kernel{}, where(table, "dst", tables.Equals, "10.1.0.0/24")); len(rows) > 0 {
			t.Errorf("%s: %v", table.Name, rows)
		}
	}
}

// idsFor tells a child process to print route_ids.
const idsFor = "KERNEL_ROUTES_TEST_PRINT_IDS"

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
	// The same destination, apart in one thing alone.
	nstest.Batch(t, "-4",
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
		"route add 10.5.0.0/25 via 10.0.0.9")
	nstest.Batch(t, "-6",
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
		"route append fd05::/64 via fd00::9 table 7")
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
		"route prepend 10.5.0.0/24 via 10.0.0.77", "route add 10.5.0.0/23 via 10.0.0.9", "route add 10.5.0.0/26 via 10.0.0.9", "route add 10.5.0.0/24 via 10.0.0.9 tos 8")
	nstest.Batch(t, "-6", "route add fd05::/63 dev v0", "route add fd05::/65 dev v0", "route add fd05::/64 via fd00::9 metric 6", "nexthop add id 99 dev v0")
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
		"route add fd05::/64 dev v0", "route append fd05::/64 dev v1", "route replace fd05::/64 dev v1 proto 16 pref low",
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

package tables_test

import (
	"fmt"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// vrfNetwork has two VRF devices with the same addresses in each, as two customers have them.
func vrfNetwork(t testing.TB) {
	nstest.New(t)
	needLink(t, "vrf", "4.3", "table 4242")
	nstest.Sysctl(t, "net.ipv6.conf.default.addr_gen_mode", "1")
	network(t)
	for name, table := range map[string]uint32{"red": 1010, "blue": 3000000000} {
		nstest.IP(t, fmt.Sprintf("link add %s type vrf table %d", name, table))
		nstest.IP(t, "link set "+name+" up")
		dev := name[:1] + "0"
		nstest.IP(t, "link add "+dev+" type veth peer name "+dev+"p")
		nstest.IP(t, "link set "+dev+" master "+name)
		nstest.IP(t, "link set "+dev+"p up")
		nstest.IP(t, "link set "+dev+" up")
		nstest.IP(t, "addr add 10.5.0.1/24 dev "+dev)
		nstest.IP(t, "addr add fd05::1/64 dev "+dev+" nodad")
		nstest.WaitUp(t, dev, dev+"p")
		nstest.IP(t, "route add unreachable default metric 4278198272 vrf "+name)
		nstest.IP(t, "-6 route add unreachable default metric 4278198272 vrf "+name)
	}
	for _, line := range []string{
		"-4 route add 20.0.0.0/8 via 10.5.0.9 vrf red", "-4 route add 20.0.0.0/8 via 10.5.0.8 mtu 1400 vrf blue",
		"-6 route add fd20::/16 via fd05::9 vrf red", "-4 route add 21.0.0.0/8 vrf blue nexthop via 10.5.0.7 nexthop " +
			"via 10.5.0.6 weight 3",
		"-4 route add 10.5.0.0/25 dev red",                    // leads from the main table into a VRF
		"-4 route add 22.0.0.0/8 vrf red via 10.0.0.9 dev v0", // and out of one
		"-6 route add fd22::/16 vrf red via fd00::9 dev v0",   //
		"nexthop add id 5 via 10.5.0.5 dev r0", "nexthop add id 6 via fd05::5 dev r0",
		"-4 route add 23.0.0.0/8 nhid 5 vrf red", "-6 route add fd23::/16 nhid 6 vrf red",
		"-4 rule add from 10.7.0.0/16 lookup 1010 priority 500",
		"-6 rule add from fd07::/16 lookup 3000000000 priority 500",
		"-4 rule add oif red lookup 1010 priority 400",
	} {
		nstest.IP(t, line)
	}
	nstest.WaitRoutes(t, "local fd00:2::1 dev v2 ")
}

// vrfPackets go through a VRF, into one, or past them.
var vrfPackets = []row{
	{"destination": "20.1.2.3", "out_dev": "red"}, {"destination": "20.1.2.3", "out_dev": "blue"},
	{"destination": "20.1.2.3", "out_dev": "r0"}, {"destination": "20.1.2.3"},
	{"destination": "20.1.2.3", "in_dev": "b0", "from_addr": "10.5.0.77"},
	{"destination": "10.5.0.77", "out_dev": "blue"},
	{"destination": "10.5.0.1", "out_dev": "red"}, {"destination": "99.0.0.1", "out_dev": "red"},
	{"destination": "22.1.2.3", "out_dev": "red"}, {"destination": "23.1.2.3", "out_dev": "red"},
	{"destination": "10.5.0.77"}, {"destination": "fd20::1", "out_dev": "red"}, {"destination": "fd20::1"},
	{"destination": "fd05::77", "out_dev": "blue"}, {"destination": "fd22::1", "out_dev": "red"},
	{"destination": "fd99::1", "out_dev": "blue"}, {"destination": "fd20::1", "in_dev": "r0", "from_addr": "fd05::77"},
}

// TestVRFLive compares what the tables say of VRF devices, and of what is in them, with ip.
func TestVRFLive(t *testing.T) {
	vrfNetwork(t)
	for _, compat := range []string{"1", "0"} {
		nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", compat)
		all := compareAll(t)
		count := map[string]int{}
		for _, r := range all {
			count[r.row["vrf"]]++
			if r.row["dst"] == "10.5.0.0/25" && (r.row["dev_kind"] != "vrf" || r.row["vrf"] != "") {
				t.Errorf("a route into a VRF: %v", r)
			}
		}
		if t.Logf("routes by VRF: %v", count); count["red"] < 13 || count["blue"] < 9 {
			t.Errorf("routes by VRF: %v", count)
		}
		for name, n := range count {
			rows := scan(t, tables.Routes, &rtnl.Kernel{}, where(tables.Routes, "vrf", tables.Equals, name))
			if name != "" && len(rows) != n {
				t.Errorf("vrf = %s: %d routes, not %d", name, len(rows), n)
			}
		}
	}
	compareObjects(t, newIPView(t))

	rules := scan(t, tables.Rules, &rtnl.Kernel{})
	compareRules(t, "ipv4", rules)
	compareRules(t, "ipv6", rules)
	got := map[string]bool{}
	for _, r := range rules {
		got[r["family"]+" "+r["priority"]+" "+r["vrf"]+" "+r["l3mdev"]] = true
	}
	for _, want := range []string{"ipv4 400 red 0", "ipv4 500 red 0", "ipv6 500 blue 0", "ipv4 1000  1",
		"ipv6 1000  1"} {
		if !got[want] {
			t.Errorf("no rule %q: %v", want, got)
		}
	}
	checkCaptured(t)
	checkVRFConfig(t)
	checkVRFLookups(t)
}

// checkVRFLookups compares what becomes of packets in VRFs with ip route get.
func checkVRFLookups(t *testing.T) {
	t.Helper()
	nstest.Sysctl(t, "net.ipv4.conf.all.forwarding", "1")
	nstest.Sysctl(t, "net.ipv6.conf.all.forwarding", "1")
	known, vrf := map[string]row{}, newIPView(t).vrfs
	for _, r := range scan(t, tables.Routes, &rtnl.Kernel{}) {
		known[r["route_id"]] = r
	}
	seen := map[string]int{}
	for _, p := range vrfPackets {
		testLookup(t, &rtnl.Kernel{}, known, p, seen)
		var all []tables.Constraint
		for column, value := range p {
			all = append(all, where(tables.Lookups, column, tables.Equals, value))
		}
		for _, r := range scan(t, tables.Lookups, &rtnl.Kernel{}, all...) {
			if r["vrf"] != vrf[r["table_id"]] {
				t.Errorf("%v: VRF %q, table %s is that of %q", p, r["vrf"], r["table_id"], vrf[r["table_id"]])
			}
			seen["VRF "+r["vrf"]]++
		}
	}
	if t.Log(seen); seen["VRF red"] < 5 || seen["VRF blue"] < 3 || seen["unreachable"] < 2 {
		t.Errorf("too few packets went through VRFs: %v", seen)
	}
}

// checkVRFConfig compares the settings of VRF devices, and of what is in them, with /proc/sys, and
// which VRF that is with ip.
func checkVRFConfig(t *testing.T) {
	t.Helper()
	rows := configs(t, &rtnl.Kernel{})
	v := newIPView(t)
	checkConf(t, rows)
	in := 0
	for key, r := range rows {
		if r["vrf"] != v.in[key.dev] || r["dev_index"] != "0" && r["dev_index"] != v.links[key.dev]["dev_index"] ||
			r["dev_kind"] != v.links[key.dev]["dev_kind"] {
			t.Errorf("%v: VRF %q, index %s, kind %q; to ip %q, %v", key, r["vrf"], r["dev_index"], r["dev_kind"],
				v.in[key.dev], v.links[key.dev])
		}
		if r["vrf"] != "" {
			in++
		}
	}
	if in != 4 {
		t.Errorf("%d rows of interfaces in a VRF", in)
	}
}

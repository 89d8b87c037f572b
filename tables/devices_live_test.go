package tables_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// TestWireGuard has what wg-quick makes of a peer that all addresses are behind, and of one that
// half of them are.
func TestWireGuard(t *testing.T) {
	nstest.New(t)
	needLink(t, "wireguard", "5.6", "")
	network(t)
	nstest.IP(t, "link add wg0 mtu 1420 type wireguard")
	nstest.IP(t, "link set wg0 up")
	for _, line := range []string{
		"-4 addr add 10.66.0.2/32 dev wg0", "-6 addr add fd66::2/128 dev wg0 nodad",
		"-4 route add default via 10.0.0.9 dev v0", "-6 route add default via fd00::9 dev v0",
		// Table = auto.
		"-6 route add ::/0 dev wg0 table 51820", "-6 rule add not fwmark 51820 table 51820",
		"-6 rule add table main suppress_prefixlength 0",
		"-4 route add 0.0.0.0/0 dev wg0 table 51820", "-4 rule add not fwmark 51820 table 51820",
		"-4 rule add table main suppress_prefixlength 0",
		// Halves, by which a default route stays.
		"-4 route add 0.0.0.0/1 dev wg0", "-4 route add 128.0.0.0/1 dev wg0", "-6 route add ::/1 dev wg0",
		"-6 route add 8000::/1 dev wg0",
	} {
		nstest.IP(t, line)
	}
	nstest.WaitRoutes(t, "local fd66::2 dev wg0 ")
	var got []string
	for _, r := range compareAll(t) {
		if r.row["dev_kind"] == "wireguard" && r.row["type"] == "unicast" {
			got = append(got, r.row["dst"]+" "+r.row["table_name"])
		}
	}
	slices.Sort(got)
	if want := "0.0.0.0/0 51820,0.0.0.0/1 main,128.0.0.0/1 main,8000::/1 main,::/0 51820,::/1 main"; !strings.Contains(
		strings.Join(got, ","), want) {
		t.Errorf("routes through WireGuard: %q, want %s", got, want)
	}
	rules := scan(t, tables.Rules, &rtnl.Kernel{})
	compareRules(t, "ipv4", rules)
	compareRules(t, "ipv6", rules)
	nstest.Batch(t, "-4", "route del 0.0.0.0/1", "route del 128.0.0.0/1")
	for _, p := range []row{{"destination": "192.0.2.1"}, {"destination": "192.0.2.1", "mark": "51820"},
		{"destination": "10.0.0.77"}, {"destination": "2001:db8::1"}, {"destination": "2001:db8::1", "mark": "51820"}} {
		known := map[string]row{}
		for _, r := range scan(t, tables.Routes, &rtnl.Kernel{}) {
			known[r["route_id"]] = r
		}
		testLookup(t, &rtnl.Kernel{}, known, p, map[string]int{})
	}
	rows := configs(t, &rtnl.Kernel{})
	checkConf(t, rows)
	if kind := rows[configKey{"ipv4", "wg0"}]["dev_kind"]; kind != "wireguard" {
		t.Errorf("kind %q of wg0", kind)
	}
}

// deviceKinds are kinds of interfaces, and what ip is told after the name of one.
var deviceKinds = []struct{ kind, since, line string }{
	{"dummy", "2.6", "type dummy"}, {"ifb", "2.6", "type ifb"}, {"vrf", "4.3", "type vrf table 7"},
	{"wireguard", "5.6", "type wireguard"}, {"macvlan", "2.6", "link v0 type macvlan"},
	{"vlan", "2.6", "link v0 type vlan id 7"}, {"bridge", "2.6", "type bridge"}, {"veth", "2.6", "type veth"},
	{"ipip", "3.9", "type ipip local 10.0.0.1 remote 10.9.9.9"},
	{"sit", "3.9", "type sit local 10.0.0.1 remote 10.9.9.9"},
	{"gre", "2.6", "type gre local 10.0.0.1 remote 10.9.9.9"},
	{"ip6tnl", "3.9", "type ip6tnl local fd00::1 remote fd00::9"}, {"xfrm", "4.19", "type xfrm dev v0 if_id 3"},
	{"nlmon", "3.11", "type nlmon"},
}

// TestDeviceKinds has routes through interfaces of many kinds, alone or beside another.
func TestDeviceKinds(t *testing.T) {
	nstest.New(t)
	network(t)
	failed := make([]error, len(deviceKinds))
	for i, d := range deviceKinds {
		dev := fmt.Sprint("x", i)
		if _, failed[i] = nstest.Try("link add " + dev + " " + d.line); failed[i] == nil {
			nstest.IP(t, "link set "+dev+" up")
			nstest.IP(t, fmt.Sprintf("route add 30.%d.0.0/16 dev %s", i, dev))
			nstest.IP(t, fmt.Sprintf("route add 31.%d.0.0/16 nexthop dev %s nexthop dev v0", i, dev))
		}
	}
	all := compareAll(t)
	for i, d := range deviceKinds {
		t.Run(d.kind, func(t *testing.T) {
			needtest.Kernel(t, "devices of type "+d.kind, d.since, failed[i])
			one := liveCase{d.line, row{"dst": fmt.Sprintf("30.%d.0.0/16", i), "dev": fmt.Sprint("x", i),
				"dev_kind": d.kind}, nil}
			one.check(t, all)
		})
	}
}

// TestResilient has groups whose buckets stay where they are, and what says how long.
func TestResilient(t *testing.T) {
	nstest.New(t)
	network(t)
	nstest.IP(t, "nexthop add id 1 via 10.0.0.9 dev v0")
	nstest.IP(t, "nexthop add id 2 via 10.0.1.9 dev v1")
	_, err := nstest.Try("nexthop add id 10 group 1/2 type resilient buckets 32 idle_timer 60 unbalanced_timer 300")
	needtest.Kernel(t, "resilient nexthop groups", "5.13", err)
	for _, line := range []string{"nexthop add id 11 group 1,7/2,9 type resilient buckets 8",
		"nexthop add id 12 group 2 type resilient buckets 1024 idle_timer 5", "route add 30.0.0.0/8 nhid 10",
		"route add 31.0.0.0/8 nhid 11", "nexthop replace id 10 group 1,3/2 type resilient"} {
		nstest.IP(t, line)
	}
	compareAll(t)
	rows, _ := compareObjects(t, newIPView(t))
	var got []string
	for _, r := range rows {
		if r["group_type"] == "resilient" {
			got = append(got, strings.Join([]string{r["nexthop_id"], r["group_member_id"], r["weight"], r["buckets"],
				r["idle_timer"], r["unbalanced_timer"], r["routes"]}, " "))
		}
	}
	want := []string{"10 1 3 32 60000 300000 1", "10 2 1 32 60000 300000 1", "11 1 7 8 120000 0 1",
		"11 2 9 8 120000 0 1", "12 2 1 1024 5000 0 0"}
	if !slices.Equal(got, want) {
		t.Errorf("resilient groups\n%q, want\n%q", got, want)
	}
}

package shell

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
)

// list returns the rows that a statement has of the namespace, one a line.
func list(t *testing.T, sql string) string {
	t.Helper()
	var out bytes.Buffer
	if err := Query(t.Context(), &out, &rtnl.Kernel{}, sql, Options{Format: List, NoHeader: true}); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return strings.TrimSpace(out.String())
}

// TestRuleKeysInSQL: which rules are for an address is a BETWEEN, and inverted says of which of
// them it is the other way round.
func TestRuleKeysInSQL(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	for _, line := range []string{
		"-4 rule add priority 100 to 20.1.2.3/16 table 100", // the kernel keeps the bits beyond the length
		"-4 rule add priority 101 not to 20.1.0.0/16 table 101",
		"-4 rule add priority 102 from 10.0.0.0/24 to 20.0.0.0/8 table 102",
		"-4 rule add priority 103 to 20.1.2.3 table 103",
		"-6 rule add priority 100 to 2001:db8::5/32 table 100",
		"-6 rule add priority 101 from fd00::/64 table 101",
		"-4 route add 20.1.0.0/16 via 10.0.0.2 table 100",
		"-4 route add 20.1.9.0/24 via 10.0.0.2 table 100",
		"-4 route add 20.2.0.0/16 via 10.0.0.2 table 100",
	} {
		nstest.IP(t, line)
	}
	for _, c := range []struct{ where, want string }{
		{"'4:14010203' BETWEEN dst_first AND dst_last", "0 100 101 102 103 32766 32767"},
		{"'4:1401ffff' BETWEEN dst_first AND dst_last", "0 100 101 102 32766 32767"},
		{"'4:14020000' BETWEEN dst_first AND dst_last", "0 102 32766 32767"},
		{"('4:14010204' BETWEEN dst_first AND dst_last) <> inverted", "0 100 102 32766 32767"},
		{"('4:14020000' BETWEEN dst_first AND dst_last) <> inverted AND family = 'ipv4'", "0 101 102 32766 32767"},
		{"'4:0a000105' BETWEEN src_first AND src_last", "0 100 101 103 32766 32767"},
		// Rules for all of a prefix, for a part of it, and for the very prefix.
		{"dst_first <= '4:14010200' AND dst_last >= '4:140102ff'", "0 100 101 102 32766 32767"},
		{"dst_first >= '4:14010000' AND dst_last <= '4:1401ffff'", "100 101 103"},
		{"dst_first = '4:14010000' AND dst_last = '4:1401ffff'", "100 101"},
		{"'6:20010db8000000000000000000000001' BETWEEN dst_first AND dst_last", "0 100 101 32766"},
		{"'6:20010db9000000000000000000000000' BETWEEN dst_first AND dst_last", "0 101 32766"},
		{"'6:fd000000000000010000000000000000' BETWEEN src_first AND src_last", "0 100 32766"},
	} {
		const from = "SELECT priority FROM kernel_route_rules WHERE family NOT IN ('ipmr', 'ip6mr') AND "
		const order = " ORDER BY priority"
		if got := strings.Join(strings.Fields(list(t, from+c.where+order)), " "); got != c.want {
			t.Errorf("%s: rules %q, want %q", c.where, got, c.want)
		}
		unpushed := c.where
		for _, key := range []string{"dst_first", "dst_last", "src_first", "src_last"} {
			unpushed = strings.ReplaceAll(unpushed, key, "+"+key)
		}
		if got := strings.Join(strings.Fields(list(t, from+unpushed+order)), " "); got != c.want {
			t.Errorf("%s: rules %q, want %q", unpushed, got, c.want)
		}
	}
	// Which routes a rule leads its packets to: it has none for 20.2.0.0/16.
	if got := list(t, "SELECT r.priority, t.dst FROM kernel_route_rules r JOIN kernel_routes t USING (family, "+
		"table_id) WHERE r.table_id = 100 AND t.dst_first <= r.dst_last AND t.dst_last >= r.dst_first ORDER BY t.dst",
	); got != "100|20.1.0.0/16\n100|20.1.9.0/24" {
		t.Errorf("routes of rule 100 are %q", got)
	}
	multicastRuleKeys(t)
}

// multicastRuleKeys sees that rules of multicast routing, which have no prefixes, are for every
// address of their family.
func multicastRuleKeys(t *testing.T) {
	families := strings.Fields(list(t, "SELECT DISTINCT family FROM kernel_route_rules WHERE family LIKE 'ip%mr'"))
	if len(families) == 0 {
		t.Log("the kernel has no rules of multicast routing")
	}
	for _, family := range families {
		key := map[string]string{"ipmr": "4:ef010101", "ip6mr": "6:ff050000000000000000000000000001"}[family]
		got := list(t, "SELECT count(*), sum('"+key+"' BETWEEN dst_first AND dst_last), sum('"+key+
			"' BETWEEN src_first AND src_last) FROM kernel_route_rules WHERE family = '"+family+"'")
		if n, _, _ := strings.Cut(got, "|"); got != n+"|"+n+"|"+n || n == "0" {
			t.Errorf("%s: of the rules are %q for a group", family, got)
		}
	}
}

// TestNexthopsOfRoutes: conditions on what a nexthop tells of its route and of its own device
// find what SQL chooses of all nexthops, of routes with one, with several, and with objects.
func TestNexthopsOfRoutes(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.IP(t, "link add br0 type bridge")
	nstest.IP(t, "link set br0 up")
	nstest.IP(t, "addr add 10.0.1.1/24 dev br0")
	nstest.Batch(t, "-N", "nexthop add id 1 via 10.0.0.3 dev v0", "nexthop add id 2 via 10.0.1.4 dev br0",
		"nexthop add id 3 group 1/2", "nexthop add id 4 blackhole", "nexthop add id 5 group 2",
		"route add default via 10.0.0.2", "route add 20.0.0.0/8 via 10.0.1.2 proto bgp",
		"route add 21.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.0.1.2", "route add 22.0.0.0/8 nhid 1 proto bgp",
		"route add 23.0.0.0/8 nhid 3 proto bgp", "route add 24.0.0.0/8 nhid 4", "route add 25.0.0.0/8 nhid 5",
		"route add blackhole 26.0.0.0/8", "route add 27.0.0.0/24 tos 0x10 via 10.0.0.2", "route add 28.0.0.0/8 dev lo",
		"route add fd01::/64 nexthop via fd00::2 nexthop via fd00::3")
	conditions := []string{"type = 'unicast' AND dev_kind IN ('tun', 'veth')",
		"type = 'unicast' AND dev_kind = 'bridge'",
		"type IN ('local', 'broadcast') AND dev_kind <> 'veth'", "type <> 'unicast' AND dev_kind > ''",
		"type = 'UNICAST' COLLATE NOCASE AND dev_kind = 'BRIDGE' COLLATE NOCASE", "type = 'unicast' AND dev_kind = ''",
		"dev_kind IS NOT 'veth' AND protocol = 'bgp'", "dev_operstate = 'UP' AND type = 'unicast'",
		"dev_operstate IN ('UP', 'UNKNOWN', 'DOWN') AND protocol IN ('bgp', 'kernel')", "dst_len = 0",
		"dst_len BETWEEN 1 AND 24 AND dev = 'br0'", "scope = 'link'", "tos = 16", "tos > 0 OR dev_kind = 'bridge'",
		"vrf = '' AND type = 'unicast'"}
	nothing := []string{"type = 'blackhole'", "dev_kind = 'tun'", "dev_operstate = 'DORMANT'", "protocol = 'ospf'"}
	find := func(where string) string {
		return list(t, "SELECT dst, nexthop_index, dev, type, protocol, scope, dst_len, tos, dev_kind, dev_operstate, "+
			"vrf FROM kernel_route_nexthops WHERE "+where+" ORDER BY route_id, nexthop_index")
	}
	for _, compat := range []string{"1", "0"} {
		nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", compat)
		for _, where := range slices.Concat(conditions, nothing) {
			plain := where
			for _, c := range []string{"type", "protocol", "scope", "dst_len", "tos", "dev_kind", "dev_operstate",
				"vrf", "dev "} {
				if strings.HasPrefix(plain, c) {
					plain = "+" + plain
				}
				plain = strings.ReplaceAll(plain, " "+c, " +"+c)
			}
			got, want := find(where), find(plain)
			for limit := time.Now().Add(5 * time.Second); got != want && time.Now().Before(limit); {
				got, want = find(where), find(plain) // carriers come a little later
			}
			if got != want || want == "" != slices.Contains(nothing, where) {
				t.Errorf("compat %s, %s: got\n%s\nwant, as of %s,\n%s", compat, where, got, plain, want)
			}
		}
		got := list(t, "SELECT dst || ' ' || gateway FROM kernel_route_nexthops WHERE type = 'unicast' AND "+
			"dev_kind IN ('tun', 'bridge') AND protocol <> 'kernel' ORDER BY dst")
		if got != "20.0.0.0/8 10.0.1.2\n21.0.0.0/8 10.0.1.2\n23.0.0.0/8 10.0.1.4\n25.0.0.0/8 10.0.1.4" {
			t.Errorf("compat %s: over the bridge go %q", compat, got)
		}
	}
}

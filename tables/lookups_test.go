package tables_test

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/tables"
)

// lookupNetwork makes a namespace with two interfaces and some routes and rules.
func lookupNetwork(t testing.TB) {
	nstest.New(t)
	nstest.Sysctl(t, "net.ipv6.conf.default.addr_gen_mode", "1")
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.0.1.1/24", "fd00:1::1/64", "fe80::1/64")
	nstest.Batch(t, "-4", "route add default via 10.0.0.2 proto dhcp metric 100",
		"route add 20.0.0.0/8 via 10.0.1.2 mtu 1400", "route add blackhole 21.0.0.0/8",
		"route add 22.0.0.0/8 via inet6 fd00::2 dev v0", "route add 23.0.0.0/8 via 10.0.1.3 table 500",
		"rule add fwmark 7 lookup 500", "rule add from 10.0.1.1 lookup 500", "rule add oif v1 lookup 500",
		"rule add tos 8 lookup 500", "rule add uidrange 0-0 to 23.0.0.8 lookup 500",
		"rule add ipproto tcp sport 99 dport 443 lookup 500", "rule add iif v0 lookup 500")
	nstest.Batch(t, "-6", "route add default via fd00::2", "route add fd20::/16 via fd00:1::2")
	nstest.Sysctl(t, "net.ipv4.conf.all.forwarding", "1")
}

// looked returns the rows for conditions that are written "column=value", alternatives with
// a |.
func looked(t testing.TB, src tables.Source, conditions ...string) ([]row, error) {
	t.Helper()
	var all []tables.Constraint
	for _, c := range conditions {
		column, values, _ := strings.Cut(c, "=")
		for v := range strings.SplitSeq(values, "|") {
			all = append(all, where(tables.Lookups, column, tables.Equals, v))
		}
	}
	rows, err := scanErr(tables.Lookups, src, all...)
	for _, r := range rows {
		for _, c := range conditions {
			column, values, _ := strings.Cut(c, "=")
			if shown := slices.Contains(strings.Split(values, "|"), r[column]); !shown {
				t.Errorf("%v: %s is %q", conditions, column, r[column])
			}
		}
	}
	return rows, err
}

// TestLookups has what single columns show.
func TestLookups(t *testing.T) {
	lookupNetwork(t)
	for _, c := range []struct {
		where []string
		want  row // "" is absent
	}{
		{[]string{"destination=192.0.2.1"}, row{"destination_key": "4:c0000201", "family": "ipv4", "type": "unicast",
			"table_id": "254", "table_name": "main", "gateway": "10.0.0.2", "gateway_family": "ipv4", "dev": "v0",
			"dev_kind": "veth", "prefsrc": "10.0.0.1", "mtu": "", "metric": "100", "protocol": "dhcp",
			"matched_dst": "0.0.0.0/0", "error": "", "vrf": "", "snapshot_consistent": "1", "from_addr": "",
			"in_dev":  "",
			"out_dev": "", "mark": "", "tos": "", "uid": "", "ip_proto": "", "sport": "", "dport": ""}},
		{[]string{"destination=20.1.1.1"}, row{"mtu": "1400", "gateway": "10.0.1.2", "dev": "v1", "metric": "0",
			"protocol": "boot", "matched_dst": "20.0.0.0/8"}},
		{[]string{"destination=::ffff:20.1.1.1"}, row{"destination_key": "4:14010101", "family": "ipv4",
			"gateway": "10.0.1.2"}},
		{[]string{"destination=::FFFF:1401:101"}, row{"destination_key": "4:14010101", "family": "ipv4"}},
		{[]string{"destination=21.1.1.1"}, row{"error": "blackhole", "family": "ipv4", "type": "", "table_id": "",
			"table_name": "", "gateway": "", "gateway_family": "", "dev": "", "dev_index": "", "dev_kind": "",
			"prefsrc": "", "mtu": "", "metric": "", "protocol": "", "matched_dst": "", "route_id": "", "vrf": "",
			"snapshot_consistent": "1", "destination_key": "4:15010101"}},
		{[]string{"destination=22.1.1.1"}, row{"gateway": "fd00::2", "gateway_family": "ipv6", "dev": "v0"}},
		{[]string{"destination=10.0.0.1"}, row{"type": "local", "dev": "lo", "table_name": "local", "gateway": "",
			"gateway_family": "", "dev_kind": "", "matched_dst": "10.0.0.1/32"}},
		{[]string{"destination=FD20:0::1"}, row{"destination_key": "6:fd200000000000000000000000000001",
			"family": "ipv6", "gateway": "fd00:1::2", "gateway_family": "ipv6", "metric": "1024",
			"matched_dst": "fd20::/16"}},
		{[]string{"destination=fe80::9%v1"}, row{"dev": "v1", "destination_key": "6:fe800000000000000000000000000009",
			"out_dev": ""}},
		{[]string{"destination=fe80::9%v1", "out_dev=v1"}, row{"dev": "v1"}},
		{[]string{"destination=23.0.0.1"}, row{"dev": "v0", "table_id": "254"}},
		{[]string{"destination=23.0.0.1", "mark=7"}, row{"dev": "v1", "table_id": "500", "table_name": "500"}},
		{[]string{"destination=23.0.0.1", "from_addr=10.0.1.1"}, row{"dev": "v1", "table_id": "500", "prefsrc": ""}},
		{[]string{"destination=23.0.0.1", "from_addr=::ffff:10.0.1.1"}, row{"table_id": "500"}},
		{[]string{"destination=23.0.0.1", "from_addr=::"}, row{"table_id": "254"}},
		{[]string{"destination=23.0.0.1", "out_dev=v1"}, row{"dev": "v1", "table_id": "500"}},
		{[]string{"destination=99.0.0.1", "out_dev=v1"}, row{"dev": "v1", "table_id": "", "table_name": "", "error": "",
			"route_id": "", "metric": "", "matched_dst": "", "type": "unicast"}},
		{[]string{"destination=23.0.0.1", "in_dev=v0", "from_addr=10.0.0.9"}, row{"dev": "v1", "table_id": "500"}},
		{[]string{"destination=23.0.0.1", "in_dev=v1", "from_addr=10.0.1.9"}, row{"dev": "v0", "table_id": "254"}},
		{[]string{"destination=23.0.0.1", "in_dev=v1"}, row{"error": "invalid"}},
		{[]string{"destination=23.0.0.1", "tos=8"}, row{"table_id": "500"}},
		{[]string{"destination=23.0.0.8", "uid=0"}, row{"table_id": "500"}},
		{[]string{"destination=23.0.0.8", "uid=7"}, row{"table_id": "254"}},
		{[]string{"destination=23.0.0.1", "ip_proto=6", "sport=99", "dport=443"}, row{"table_id": "500"}},
		{[]string{"destination=23.0.0.1", "ip_proto=17", "sport=99", "dport=443"}, row{"table_id": "254"}},
		{[]string{"destination=23.0.0.1", "mark=4294967295", "tos=0", "uid=4294967295", "sport=65535", "dport=0"},
			row{"table_id": "254"}},
	} {
		rows, err := looked(t, &rtnl.Kernel{}, c.where...)
		if err != nil || len(rows) != 1 {
			t.Errorf("%v: %v, %v", c.where, rows, err)
			continue
		}
		for column, value := range c.want {
			if rows[0][column] != value {
				t.Errorf("%v: %s is %q, not %q", c.where, column, rows[0][column], value)
			}
		}
	}
}

// TestLookupsOfSeveral has lists of conditions: a row for each combination.
func TestLookupsOfSeveral(t *testing.T) {
	lookupNetwork(t)
	rows, err := looked(t, &rtnl.Kernel{}, "destination=23.0.0.1|192.0.2.1|fd20::1|23.0.0.1", "mark=7|8|7",
		"out_dev=|v0|v1")
	if err != nil || len(rows) != 3*2*3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	seen := map[string]bool{}
	for _, r := range rows {
		seen[r["destination"]+" "+r["mark"]+" "+r["out_dev"]] = true
	}
	if len(seen) != len(rows) || !seen["23.0.0.1 8 v1"] {
		t.Errorf("rows %v", slices.Sorted(maps.Keys(seen)))
	}
	// A number is the same however it is written.
	one := func(column, value string) tables.Constraint {
		return where(tables.Lookups, column, tables.Equals, value)
	}
	rows, err = scanErr(tables.Lookups, &rtnl.Kernel{}, one("destination", "23.0.0.1"), one("mark", "7.0"),
		one("mark", " 7"))
	if err != nil || len(rows) != 1 || rows[0]["mark"] != "7" || rows[0]["table_id"] != "500" {
		t.Errorf("%v, %v", rows, err)
	}
	// Only addresses of one family belong together.
	rows, err = looked(t, &rtnl.Kernel{}, "destination=192.0.2.1|fd20::1", "from_addr=10.0.0.1|fd00::1|")
	if err != nil || len(rows) != 4 {
		t.Errorf("%v, %v", rows, err)
	}
	// Results can be chosen from.
	rows, err = looked(t, &rtnl.Kernel{}, "destination=192.0.2.1|20.0.0.1|10.0.0.1|21.0.0.1", "dev=v0|lo")
	if err != nil || len(rows) != 2 {
		t.Errorf("%v, %v", rows, err)
	}
	for _, c := range []struct{ where, want string }{{"error=", "3"}, {"error=blackhole", "1"}, {"table_name=254", "0"},
		{"table_id=254", "2"}, {"destination_key=4:14000001", "1"}, {"mark=1", "4"}} {
		rows, err = looked(t, &rtnl.Kernel{}, "destination=192.0.2.1|20.0.0.1|10.0.0.1|21.0.0.1", c.where)
		if err != nil || fmt.Sprint(len(rows)) != c.want {
			t.Errorf("%s: %v, %v", c.where, rows, err)
		}
	}
	var many []string
	for n := range 2000 {
		many = append(many, fmt.Sprint(n))
	}
	list := strings.Join(many, "|")
	if rows, err := looked(t, &rtnl.Kernel{}, "destination=192.0.2.1", "mark="+list, "sport="+list); err == nil ||
		!strings.Contains(err.Error(), "more than 1048576 packets") {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

// TestLookupsRefused has conditions that are about no packet.
func TestLookupsRefused(t *testing.T) {
	lookupNetwork(t)
	for _, c := range []struct{ where, want string }{
		{"", "which destination? Say WHERE destination = '192.0.2.1'"},
		{"mark=7", "which destination?"},
		{"destination=", "'' is no IP address for destination: an empty one is none"},
		{"destination=x", "'x' is no IP address for destination: it is like 192.0.2.1"},
		{"destination=192.0.2.1|localhost", "'localhost' is no IP address"},
		{"destination=10.0.0.0/8", "'10.0.0.0/8' is no IP address for destination: give one address of that prefix"},
		{"destination= 10.0.0.1", "did you mean '10.0.0.1'?"},
		{"destination=10.0.0.256", "is no IP address"},
		{"destination=010.0.0.1", "is no IP address"},
		{"destination=192.0.2.1 from_addr=x", "'x' is no IP address for from_addr"},
		{"destination=192.0.2.1 from_addr=fd00::1",
			"from_addr='fd00::1' is an address of another family than destination='192.0.2.1'"},
		{"destination=192.0.2.1 in_dev=eth7", "in_dev='eth7': there is no such interface"},
		{"destination=192.0.2.1 out_dev=v0|eth7", "out_dev='eth7': there is no such interface"},
		{"destination=192.0.2.1 out_dev=9999", "out_dev='9999': there is no such interface"},
		{"destination=fe80::1%eth7", "the zone of destination='eth7': there is no such interface"},
		{"destination=fe80::1%v0 out_dev=v1", "destination='fe80::1%v0' is to be reached through another interface " +
			"than"},
		{"destination=192.0.2.1 mark=-1", "mark='-1' is out of range: it is a whole number from 0 to 4294967295"},
		{"destination=192.0.2.1 mark=4294967296", "from 0 to 4294967295"},
		{"destination=192.0.2.1 mark=1.5", "it is a whole number"},
		{"destination=192.0.2.1 mark=0x7", "it is a whole number"},
		{"destination=192.0.2.1 tos=256", "tos='256' is out of range: it is a whole number from 0 to 255"},
		{"destination=192.0.2.1 uid=root", "from 0 to 4294967295"},
		{"destination=192.0.2.1 ip_proto=256", "from 0 to 255"},
		{"destination=192.0.2.1 ip_proto=47", "Unsupported ip proto: 47; the kernel looks up 1 (icmp), 6 (tcp)"},
		{"destination=192.0.2.1 sport=65536", "sport='65536' is out of range: it is a whole number from 0 to 65535"},
		{"destination=192.0.2.1 dport=-1", "from 0 to 65535"},
	} {
		var conditions []string
		if c.where != "" {
			conditions = strings.Split(strings.Replace(c.where, "= 1", "=_1", 1), " ")
		}
		for i := range conditions {
			conditions[i] = strings.Replace(conditions[i], "=_1", "= 1", 1)
		}
		rows, err := looked(t, &rtnl.Kernel{}, conditions...)
		if err == nil || !strings.HasPrefix(err.Error(), "kernel_route_lookups: ") || !strings.Contains(err.Error(),
			c.want) {
			t.Errorf("%s: %v, %v, want %s", c.where, rows, err, c.want)
		}
	}
	var file bytes.Buffer // of this host: captures that are kept are of the other byte order on some
	if err := capture.Write(t.Context(), &rtnl.Kernel{}, &file); err != nil {
		t.Fatal(err)
	}
	c, err := capture.Read(&file)
	if err != nil {
		t.Fatal(err)
	}
	if rows, err := looked(t, c, "destination=192.0.2.1"); !errors.Is(err, rtnl.ErrNotRunning) {
		t.Errorf("of a capture: %v, %v", rows, err)
	}
	rows, err := looked(t, &rtnl.Kernel{}, "destination=192.0.2.1", "netns=/dev/null")
	if !errors.Is(err, rtnl.ErrNoNamespace) {
		t.Errorf("of no namespace: %v, %v", rows, err)
	}
}

// TestLookupsByIndex gives interfaces by their number, which may be another one's name.
func TestLookupsByIndex(t *testing.T) {
	lookupNetwork(t)
	v := newIPView(t)
	index := v.links["v1"]["dev_index"]
	for n := range 2 {
		rows, err := looked(t, &rtnl.Kernel{}, "destination=99.0.0.1", "out_dev="+index)
		if want := []string{"v1", index}[n]; err != nil || len(rows) != 1 || rows[0]["dev"] != want {
			t.Errorf("%v, %v, not through %s", rows, err, want)
		}
		if n == 0 {
			nstest.Veth(t, index, "10.0.7.1/24")
		}
	}
}

// TestLookupsNamespaces looks up in other namespaces: routes that join are of the same one.
func TestLookupsNamespaces(t *testing.T) {
	ids := namespaces(t, "red", "blue")
	cache := &rtnl.Cache{}
	defer cache.Close()
	for _, c := range []struct{ netns, gateway string }{{"", "10.0.0.101"}, {"red", "10.0.0.2"}, {"blue", "10.0.0.3"}} {
		rows, err := looked(t, cache, "destination=20.0.0.1", "netns="+c.netns)
		if err != nil || len(rows) != 1 || rows[0]["gateway"] != c.gateway ||
			rows[0]["netns_id"] != fmt.Sprint(ids[c.netns]) {
			t.Errorf("%q: %v, %v, want %s", c.netns, rows, err, c.gateway)
			continue
		}
		routes := scan(t, tables.Routes, cache, where(tables.Routes, "route_id", tables.Equals, rows[0]["route_id"]))
		if len(routes) != 1 || routes[0]["gateway"] != c.gateway {
			t.Errorf("%q: %s joins %v", c.netns, rows[0]["route_id"], routes)
		}
	}
	rows, err := looked(t, cache, "destination=20.0.0.1|21.0.0.1", "netns=red|blue")
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a["netns"], b["netns"]), cmp.Compare(a["destination"], b["destination"]))
	})
	var got []string
	for _, r := range rows {
		got = append(got, r["netns"]+" "+r["destination"]+" "+r["gateway"])
	}
	want := []string{"blue 20.0.0.1 10.0.0.3", "blue 21.0.0.1 10.0.0.2", "red 20.0.0.1 10.0.0.2",
		"red 21.0.0.1 10.0.0.2"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
}

// TestLookupsJoinAmidChanges changes through which way packets go: no row mixes two ways.
func TestLookupsJoinAmidChanges(t *testing.T) {
	lookupNetwork(t)
	lines := []string{"route replace 60.0.0.0/8 via 10.0.0.7 proto 100",
		"route replace 60.0.0.0/8 via 10.0.1.7 proto 101",
		"route replace 60.0.0.0/8 via 10.0.1.6 proto 102"}
	protocols := map[string]string{"10.0.0.7": "100", "10.0.1.7": "101", "10.0.1.6": "102"}
	nstest.Batch(t, "-4", lines[0])
	stop := nstest.Every(t, time.Millisecond, lines...)
	seen := map[string]int{}
	for n := 0; n < nstest.Amount(2000, 300) || len(seen) < 3; n++ {
		rows, err := looked(t, &rtnl.Kernel{}, "destination=60.0.0.1")
		if err != nil || len(rows) != 1 {
			t.Fatal(rows, err)
		}
		r := rows[0]
		if r["snapshot_consistent"] == "1" && r["protocol"] != protocols[r["gateway"]] {
			t.Fatalf("mixes two routes: %v", r)
		}
		seen[r["gateway"]]++
	}
	if n := stop(); n < 3 {
		t.Fatalf("%d changes", n)
	}
}

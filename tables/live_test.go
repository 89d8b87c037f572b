package tables_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// live makes the routes of both lists in a namespace of the test's own.
func live(t testing.TB) {
	nstest.New(t)
	network(t)
	nstest.Batch(t, "-4", objectLines4...)
	nstest.Batch(t, "-6", objectLines6...)
	for _, line := range asKnown(t, groupLines...) {
		nstest.IP(t, line)
	}
	addWireGroup(t, 60, nhMember{21, maxWeight(t)}, nhMember{1, 3})
	addWireGroup(t, 61, nhMember{1, maxWeight(t)}, nhMember{2, 3})
	for family, cases := range map[string][]liveCase{"-4": liveIPv4, "-6": liveIPv6} {
		var lines []string
		for _, c := range knownCases(t, cases) {
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
		for _, c := range knownCases(t, slices.Concat(liveIPv4, liveIPv6)) {
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
	before := map[*tables.Table][]row{}
	for _, table := range tables.OfRoutes() {
		before[table] = scan(t, table, &rtnl.Kernel{})
	}
	send(t, "v0p", "10.0.0.9", "239.1.1.1")
	send(t, "v0p", "fd00::9", "fd02::1")
	send(t, "v0p", "fd00::9", "fd03::1")
	time.Sleep(1100 * time.Millisecond)
	changed := map[string]bool{}
	for _, table := range tables.OfRoutes() {
		key := func(r row) string { return r["route_id"] + r["nexthop_index"] }
		after := map[string]row{}
		for _, r := range scan(t, table, &rtnl.Kernel{}) {
			after[key(r)] = r
		}
		if len(after) != len(before[table]) {
			t.Errorf("%s: %d rows, then %d", table.Name, len(before[table]), len(after))
		}
		for _, r := range before[table] {
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
	for _, table := range tables.OfRoutes() {
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
			got := scan(t, tables.Nexthops, &rtnl.Kernel{}, where(tables.Nexthops, "dev", tables.Equals, name),
				where(tables.Nexthops, "dst", tables.Equals, "10.2.0.0/24"))
			if len(got) != want {
				t.Errorf("dev = %s: %v", name, got)
			}
		}
		nstest.IP(t, "route del 10.2.0.0/24")
	}
}

// noLinks reads no interfaces, as if all had gone away.
type noLinks struct{ rtnl.Kernel }

func (*noLinks) Names() *iproute2.Names { return iproute2.HostNames() }

func (s *noLinks) Read(ctx context.Context, r rtnl.Request) (*rtnl.Snapshot, error) {
	r.Referred = slices.DeleteFunc(slices.Clone(r.Referred),
		func(k *object.Kind) bool { return k == object.Links.Kind })
	r.Along = nil
	return s.Kernel.Read(ctx, r)
}

// TestNoInterface looks at interfaces that are not there. The kernel has no such
// routes: an interface takes its routes and nexthop objects with it under the
// same lock. They can only be seen if it goes between two dumps.
func TestNoInterface(t *testing.T) {
	nstest.New(t)
	network(t)
	nstest.Batch(t, "-4", "nexthop add id 1 via 10.0.0.9 dev v0", "route add 10.1.0.0/24 nhid 1")
	for _, table := range tables.OfRoutes() {
		rows := scan(t, table, &noLinks{}, where(table, "dst", tables.Equals, "10.1.0.0/24"))
		if len(rows) != 1 || rows[0]["dev"] != "" || rows[0]["dev_index"] == "" || rows[0]["dev_kind"] != "" ||
			rows[0]["dev_operstate"] != "" {
			t.Errorf("%s: %v", table.Name, rows)
		}
	}
	nstest.IP(t, "link del v0")
	for _, table := range tables.OfRoutes() {
		if rows := scan(t, table, &rtnl.Kernel{}, where(table, "dst", tables.Equals, "10.1.0.0/24")); len(rows) > 0 {
			t.Errorf("%s: %v", table.Name, rows)
		}
	}
}

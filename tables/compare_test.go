package tables_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// notFromIP are the columns, and keys in ip's JSON, that iproute2 (6.1; 7.1 does
// no better unless noted) leaves out or gets wrong, with the reason and with what
// they are checked against instead. "nexthop" stands for each row of
// kernel_route_nexthops.
var notFromIP = map[string]string{
	"route_id":            "iproute2 has no identity of a route; checked to be unique, stable and to join",
	"nexthop.route_id":    "the same",
	"flags":               "ip prints the names alone; the bytes, and flag_names against ip",
	"nexthop.flags":       "the same; nexthop.flag_names against ip",
	"locked":              "ip -j drops which metrics are locked; the bytes",
	"mark":                "ip leaves a mark of 0 out; the bytes (routes have none, only answers of RTM_GETROUTE)",
	"uid":                 "not in a dump; the bytes",
	"ip_proto":            "ip does not print RTA_IP_PROTO; the bytes",
	"sport":               "ip does not print RTA_SPORT; the bytes",
	"dport":               "ip does not print RTA_DPORT; the bytes",
	"mfc_packets":         "ip route does not print RTA_MFC_STATS; ip mroute, and the bytes",
	"mfc_bytes":           "the same",
	"mfc_wrong_if":        "the same",
	"(zero metrics)":      "ip prints 0 for a metric that is locked and has no value, as for one of 0; the bytes",
	"(zero cache fields)": "ip leaves zeros out, as if RTA_CACHEINFO were not there; the bytes",
	"(doubled keys)": "an encap's src, dst, id, ttl, tos, hoplimit, table stand among the route's keys and hide " +
		"them from a JSON parser; the test reads tokens",
	"(metric 0)": "ip prints no metric of 0; fib_dump_info leaves RTA_PRIORITY out only where it is 0",
	"(blackhole objects)": "ip shows the loopback interface that the kernel copies into a route whose nexthop object " +
		"is a blackhole",
	"(weights)": "ip cuts the weights of nexthop groups to 8 bits (6.14 does not); the bytes of " +
		"RTM_GETNEXTHOP",
	"(realm 0)":   "ip names it as rt_realms does, or unknown, depending on what it printed before",
	"(protocols)": "ip 6.1 has no names for mrouted, ovn, openr",
	"(expires)":   "passes while the test runs; ip's lies between that before and that after",
}

// scan returns the rows of a table, all columns used.
func scan(t testing.TB, table *tables.Table, src tables.Source, constraints ...tables.Constraint) []row {
	t.Helper()
	rows, err := scanErr(table, src, constraints...)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func scanErr(table *tables.Table, src tables.Source, constraints ...tables.Constraint) ([]row, error) {
	rows, err := table.Scan(context.Background(), src, tables.Query{Constraints: constraints})
	if err != nil {
		return nil, err
	}
	var all []row
	var buf []byte
	for rows.Next() {
		r := row{}
		for i := range table.Columns {
			var ok bool
			if buf, ok = table.AppendValue(buf[:0], rows, i); ok {
				r[table.Columns[i].Name] = string(buf)
			}
		}
		all = append(all, r)
	}
	return all, nil
}

// where makes a constraint on a column of a table.
func where(table *tables.Table, column string, op tables.Op, expr string) tables.Constraint {
	return tables.Constraint{Column: table.Column(column), Op: op, Expr: expr}
}

// kernelRoutes reads both tables and joins them on route_id.
func kernelRoutes(t testing.TB) []route {
	t.Helper()
	var kernel rtnl.Kernel
	return join(t, scan(t, tables.Routes, &kernel), scan(t, tables.Nexthops, &kernel))
}

// join checks that each route has an identity of its own and gets exactly its
// own nexthops.
func join(t testing.TB, routes, hops []row) []route {
	t.Helper()
	all := make([]route, len(routes))
	byID := map[string]*route{}
	for i, r := range routes {
		all[i].row = r
		if other := byID[r["route_id"]]; other != nil {
			t.Errorf("two routes have the same route_id; they differ in %v: %v", unlike(other.row, r), r)
		}
		byID[r["route_id"]] = &all[i]
	}
	for _, h := range hops {
		r := byID[h["route_id"]]
		if r == nil {
			t.Errorf("a nexthop without a route: %v", h)
			continue
		}
		for _, k := range sharedColumns {
			if h[k] != r.row[k] {
				t.Errorf("%s of a nexthop is not its route's:\n\t%v\n\t%v", k, h, r.row)
			}
		}
		r.hops = append(r.hops, h)
	}
	for _, r := range all {
		if r.row["nexthop_count"] != fmt.Sprint(len(r.hops)) {
			t.Errorf("a route with %d nexthops: %v", len(r.hops), r.row)
		}
	}
	return all
}

// shownByIP returns what is compared with ip: routes of all families but multicast routing's, without
// what ip does not tell. expires is apart.
func shownByIP(all []route) (routes []row, expires map[string][]int64) {
	expires = map[string][]int64{}
	for _, r := range all {
		if f := r.row["family"]; f != "ipv4" && f != "ipv6" && f != "mpls" {
			continue
		}
		flat := r.flat()
		when := flat["expires"]
		for k, v := range flat {
			name := k
			if _, column, ok := strings.Cut(k, "."); ok {
				name = "nexthop." + column
			}
			_, metric := slices.BinarySearch(zeroMetrics, k)
			switch {
			case notFromIP[name] != "", name == "expires", name == "cache_expires" && v == cmp.Or(when, "0"),
				metric && v == "0":
				delete(flat, k)
			case strings.HasSuffix(name, "realm_to"):
				flat[k] = canonicalRealm(v)
			}
		}
		routes = append(routes, flat)
		if when != "" {
			expires[flat.String()] = append(expires[flat.String()], atoi(when))
		}
	}
	return routes, expires
}

// zeroMetrics are the numeric metrics, sorted.
var zeroMetrics = []string{"advmss", "cwnd", "fastopen_no_cookie", "hoplimit", "initcwnd", "initrwnd", "mtu",
	"quickack", "reordering", "rto_min", "rtt", "rttvar", "ssthresh", "window"}

// String is the same for the same values.
func (r row) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(r)) {
		fmt.Fprintf(&b, "%s=%s ", k, r[k])
	}
	return b.String()
}

// name is what a person looks for.
func (r row) name() string {
	return fmt.Sprintf("%s table %s %s %s", r["family"], r["table_id"], r["dst"], r["src"])
}

// differences compares two bags of rows and returns a text for each row of one
// that the other lacks.
func differences(got, want []row, gotName, wantName string) []string {
	count := map[string]int{}
	rows := map[string]row{}
	for sign, list := range map[int][]row{1: got, -1: want} {
		for _, r := range list {
			s := r.String()
			count[s] += sign
			rows[s] = r
		}
	}
	extra := map[string][]row{} // by name
	var missing []row
	for _, s := range slices.Sorted(maps.Keys(count)) {
		for n := count[s]; n > 0; n-- {
			extra[rows[s].name()] = append(extra[rows[s].name()], rows[s])
		}
		for n := count[s]; n < 0; n++ {
			missing = append(missing, rows[s])
		}
	}
	var all []string
	for _, w := range missing {
		name := w.name()
		like := extra[name]
		if len(like) == 0 {
			all = append(all, fmt.Sprintf("%s: only %s has it: %v", name, wantName, w))
			continue
		}
		nearest := slices.MinFunc(like, func(a, b row) int { return len(unlike(a, w)) - len(unlike(b, w)) })
		i := slices.IndexFunc(like, func(r row) bool { return r.String() == nearest.String() })
		extra[name] = slices.Delete(like, i, i+1)
		text := name + ":"
		for _, k := range unlike(nearest, w) {
			text += fmt.Sprintf("\n\t%s: %q, %s says %q", k, nearest[k], wantName, w[k])
		}
		all = append(all, text)
	}
	for _, name := range slices.Sorted(maps.Keys(extra)) {
		for _, r := range extra[name] {
			all = append(all, fmt.Sprintf("%s: only %s has it: %v", name, gotName, r))
		}
	}
	return all
}

// unlike returns the columns in which two rows differ.
func unlike(a, b row) []string {
	var columns []string
	for k, v := range a {
		if b[k] != v {
			columns = append(columns, k)
		}
	}
	for k := range b {
		if _, ok := a[k]; !ok {
			columns = append(columns, k)
		}
	}
	slices.Sort(columns)
	return slices.Compact(columns)
}

// report fails the test with the first differences.
func report(t testing.TB, what string, all []string) {
	t.Helper()
	if len(all) > 0 {
		t.Errorf("%d differences: %s:\n%s", len(all), what, strings.Join(all[:min(len(all), 5)], "\n"))
	}
}

// compareAll compares every column of every route of the namespace with ip's
// JSON or, for the rest, with the kernel's bytes. It returns the routes.
func compareAll(t testing.TB) []route {
	t.Helper()
	view := newIPView(t)
	before := kernelRoutes(t)
	ip := view.routes()
	after := kernelRoutes(t)

	got, latest := shownByIP(before)
	want, expires := shownByIP(ip)
	report(t, "kernel_routes and ip -d -j route", differences(got, want, "kernel_routes", "ip"))
	_, earliest := shownByIP(after)
	for name, at := range expires {
		e, l := earliest[name], latest[name]
		slices.Sort(at)
		slices.Sort(e)
		slices.Sort(l)
		if len(e) != len(at) || len(l) != len(at) {
			t.Errorf("expires: %v %v %v: %s", l, at, e, name)
			continue
		}
		for i := range at {
			if l[i] < at[i] || at[i] < e[i] {
				t.Errorf("expires: ip says %d, kernel_routes %d before and %d after it: %s", at[i], l[i], e[i], name)
			}
		}
	}

	wire := wireRoutes(t)
	got = nil
	for _, r := range after {
		short := row{}
		for _, k := range wireColumns {
			if v, ok := r.row[k]; ok {
				short[k] = v
			}
		}
		got = append(got, short)
	}
	report(t, "kernel_routes and the bytes", differences(got, wire, "kernel_routes", "the kernel"))
	return after
}

// ofNamespace are the columns that are the namespace's.
var ofNamespace = []string{netnsID, "pid_with_namespace"}

const netnsID = "netns_id"

// addHidden adds the hidden columns, as net.IPNet and Stat have them.
func addHidden(t testing.TB, r row) {
	t.Helper()
	var own unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &own); err != nil {
		t.Fatal(err)
	}
	r[netnsID], r["pid_with_namespace"] = fmt.Sprint(own.Ino), "0"
	addKeys(r)
}

// addKeys adds the keys of a row's prefixes, as net.IPNet has them: those of all addresses of
// the family for one that is empty.
func addKeys(r row) {
	for _, column := range []string{"dst", "src"} {
		p := r[column]
		if p == "" {
			p = map[string]string{"ipv4": "0.0.0.0/0", "ipmr": "0.0.0.0/0", "ipv6": "::/0",
				"ip6mr": "::/0"}[r["family"]]
		}
		_, n, err := net.ParseCIDR(p)
		if err != nil {
			continue // a label
		}
		first, last := n.IP, slices.Clone(n.IP)
		for i := range last {
			last[i] |= ^n.Mask[i]
		}
		family := map[int]string{4: "4:", 16: "6:"}[len(first)]
		r[column+"_first"], r[column+"_last"] = fmt.Sprintf("%s%x", family, []byte(first)),
			fmt.Sprintf("%s%x", family, []byte(last))
	}
}

package tables_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// A lookupScene makes routes and rules by chance, and packets that they are about.
type lookupScene struct {
	*rand.Rand
	ipv6 bool
}

func pick[T any](r *rand.Rand, all ...T) T { return all[r.IntN(len(all))] }

// The devices of a lookupScene, and for each what is in its network.
var lookupDevs = []string{"v0", "v1", "v2"}

func (s *lookupScene) in(dev, host int) string {
	if s.ipv6 {
		return fmt.Sprintf("fd00:%d::%d", dev, host)
	}
	return fmt.Sprintf("10.0.%d.%d", dev, host)
}

// prefix is one of few, some of which contain others.
func (s *lookupScene) prefix() string {
	a, b := s.IntN(6), s.IntN(4)
	if s.ipv6 {
		return pick(s.Rand, fmt.Sprintf("fd2%d::/16", a), fmt.Sprintf("fd2%d:%d::/32", a, b), "::/0")
	}
	return pick(s.Rand, fmt.Sprintf("2%d.0.0.0/8", a), fmt.Sprintf("2%d.%d.0.0/16", a, b), "0.0.0.0/0")
}

// destination is an address that some of the prefixes contain, or one that the routes of the
// kernel itself are for.
func (s *lookupScene) destination() string {
	a, b, dev := s.IntN(7), s.IntN(5), s.IntN(3)
	if s.ipv6 {
		low := fmt.Sprintf("fd2%d:%d::%d", a, b, 1+s.IntN(50))
		return pick(s.Rand, low, low, low, s.in(dev, 1), s.in(dev, 9), "::1", "2001:db8::7", "ff0e::1", "ff02::1")
	}
	low := fmt.Sprintf("2%d.%d.0.%d", a, b, 1+s.IntN(50))
	return pick(s.Rand, low, low, low, s.in(dev, 1), s.in(dev, 9), s.in(dev, 255), "127.0.0.1", "192.0.2.7",
		"224.0.0.9",
		"239.1.2.3", "255.255.255.255",
		"0.0.0.0")
}

// sharedObjects are nexthop objects that IPv6 routes use, some in a group.
var sharedObjects = []string{"6 via fd00:0::5 dev v0 onlink", "7 via fd00:1::5 dev v1 onlink"}

var lookupTables = []string{"main", "500", "600", "70000"}

func (s *lookupScene) way() string {
	return fmt.Sprintf("via %s dev v%d", s.in(1, 2+s.IntN(5)), 1)
}

func (s *lookupScene) route() string {
	n := s.IntN(3)
	hop := func(dev int) string { return fmt.Sprintf("via %s dev %s", s.in(dev, 2+s.IntN(5)), lookupDevs[dev]) }
	way := pick(s.Rand, hop(n), hop(n), fmt.Sprintf("dev v%d", n),
		fmt.Sprintf("nexthop %s weight %d nexthop %s", hop(n), 1+s.IntN(4), hop((n+1)%3)),
		fmt.Sprintf("nexthop %s nexthop %s nexthop %s", hop(0), hop(1), hop(2)), "nhid")
	kind, options := "", fmt.Sprintf(" table %s metric %d proto %d", pick(s.Rand, lookupTables...), 1+s.IntN(900),
		100+s.IntN(9))
	switch {
	case s.IntN(4) == 0:
		kind, way = pick(s.Rand, "blackhole ", "unreachable ", "prohibit ", "throw "), ""
	case way == "nhid" && s.ipv6:
		way = pick(s.Rand, "nhid 6", "nhid 8")
	case way == "nhid":
		way = pick(s.Rand, "nhid 1", "nhid 3")
	case s.IntN(4) == 0:
		options += fmt.Sprintf(" mtu %d", 1280+s.IntN(200))
	}
	if !s.ipv6 && s.IntN(5) == 0 {
		options = " tos 8" + options
	}
	if !s.ipv6 && kind == "" && s.IntN(4) == 0 {
		options += " src " + s.in(0, 1)
	}
	return "route add " + kind + s.prefix() + options + " " + way
}

func (s *lookupScene) rule(priority int) string {
	condition := pick(s.Rand, fmt.Sprintf("fwmark %d", 1+s.IntN(3)), "from "+s.in(s.IntN(3), 1),
		"from "+s.in(s.IntN(3), 9), fmt.Sprintf("iif v%d", s.IntN(3)), fmt.Sprintf("oif v%d", s.IntN(3)),
		"to "+s.prefix(), "tos 8",
		"uidrange 0-0 to "+s.prefix(), "ipproto tcp dport 443", "ipproto udp sport 1000-2000",
		"not fwmark 1 to "+s.prefix())
	action := "lookup " + pick(s.Rand, lookupTables[1:]...)
	if s.IntN(5) == 0 {
		action = pick(s.Rand, "blackhole", "prohibit", "unreachable")
	}
	return fmt.Sprintf("rule add priority %d %s %s", priority, condition, action)
}

// fill adds some routes and rules, and nexthop objects before them.
func (s *lookupScene) fill(t *testing.T) {
	family := "-4"
	if s.ipv6 {
		family = "-6"
	}
	for n := range 60 {
		line := family + " " + s.route()
		if n == 0 {
			line = family + " route add default " + s.way() + " metric 5000"
		}
		// Some are there already.
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil &&
			!strings.Contains(string(out), "File exists") {
			t.Fatalf("ip %s: %s", line, out)
		}
	}
	for n := range 8 {
		nstest.IP(t, family+" "+s.rule(100+n))
	}
}

// packet is one by chance, by column.
func (s *lookupScene) packet() row {
	p := row{"destination": s.destination()}
	give := func(column string, one int, values ...string) {
		if s.IntN(one) == 0 {
			p[column] = pick(s.Rand, values...)
		}
	}
	switch dev := s.IntN(3); s.IntN(4) {
	case 0:
		p["in_dev"] = lookupDevs[dev]
		p["from_addr"] = s.in(dev, pick(s.Rand, 9, 9, 9, 1))
	case 1:
		p["from_addr"] = s.in(dev, pick(s.Rand, 1, 1, 1, 9))
	case 2:
		give("out_dev", 2, lookupDevs...)
	}
	give("mark", 2, "1", "2", "3", "0")
	give("tos", 4, "8", "16")
	give("uid", 4, "0", "7")
	if s.IntN(3) == 0 {
		p["ip_proto"] = pick(s.Rand, "6", "17", map[bool]string{false: "1", true: "58"}[s.ipv6])
		give("sport", 2, "1500", "999", "65535")
		give("dport", 2, "443", "80")
	}
	return p
}

// ipWords are what ip calls the columns that a packet is given by.
var ipWords = []struct{ column, word string }{{"from_addr", "from"}, {"in_dev", "iif"}, {"out_dev", "oif"},
	{"mark", "mark"}, {"tos", "tos"}, {"uid", "uid"}, {"ip_proto", "ipproto"}, {"sport", "sport"}, {"dport", "dport"}}

// ipGet asks ip about a packet. The text is what it says if it fails.
func ipGet(t *testing.T, flags string, p row) (answer jsonObject, failed string) {
	t.Helper()
	args := strings.Fields("-j -d " + flags)
	args = append(args, p["destination"])
	for _, w := range ipWords {
		if v, ok := p[w.column]; ok {
			args = append(args, w.word, v)
		}
	}
	cmd := exec.Command("ip", args...)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, errs.String()
	}
	d := json.NewDecoder(bytes.NewReader(out))
	d.UseNumber()
	return objects(readJSON(d))[0], ""
}

// ipLookup returns the row of kernel_route_lookups as ip has it, and what there are for errors
// that it does not tell apart.
func ipLookup(t *testing.T, p row) (want row, errs []string) {
	t.Helper()
	want = row{"family": "ipv4"}
	if strings.Contains(p["destination"], ":") {
		want["family"] = "ipv6"
	}
	numeric, failed := ipGet(t, "-N route get", p)
	switch {
	case failed == "":
	case strings.Contains(failed, "Network is unreachable"):
		return want, []string{"no route"}
	case strings.Contains(failed, "No route to host"):
		return want, []string{"unreachable"}
	case strings.Contains(failed, "Permission denied"):
		return want, []string{"prohibit"}
	case strings.Contains(failed, "Invalid argument"):
		return want, []string{"blackhole", "invalid"}
	case strings.Contains(failed, "Message too long") && strings.HasPrefix(p["destination"], "ff"):
		return want, []string{"invalid"}
	default:
		t.Fatalf("%v: ip says %s", p, failed)
	}
	named, _ := ipGet(t, "route get", p)
	set := func(column, value string) {
		if value != "" {
			want[column] = value
		}
	}
	set("type", named.text("type"))
	if table := numeric.text("table"); table != "" && table != "unspec" && table != "0" {
		set("table_id", table)
		set("table_name", named.text("table"))
	}
	set("gateway", numeric.text("gateway"))
	if via, ok := numeric.get("via").(jsonObject); ok {
		set("gateway", via.text("host"))
	}
	if want["gateway"] != "" {
		want["gateway_family"] = map[bool]string{false: "ipv4", true: "ipv6"}[strings.Contains(want["gateway"], ":")]
	}
	set("dev", numeric.text("dev"))
	set("prefsrc", numeric.text("prefsrc"))
	if metrics, ok := numeric.get("metrics").([]any); ok {
		set("mtu", objects(metrics)[0].text("mtu"))
	}
	if match, failed := ipGet(t, "route get fibmatch", p); failed == "" {
		if id := match.text("nhid"); id != "" && want["family"] == "ipv6" {
			want["nexthop_id"] = id
		}
		dst := match.text("dst")
		switch {
		case dst == "default" && want["family"] == "ipv4":
			dst = "0.0.0.0/0"
		case dst == "default":
			dst = "::/0"
		case !strings.Contains(dst, "/") && want["family"] == "ipv4":
			dst += "/32"
		case !strings.Contains(dst, "/"):
			dst += "/128"
		}
		set("matched_dst", dst)
		set("protocol", match.text("protocol"))
		want["metric"] = match.text("metric")
		if want["metric"] == "" {
			want["metric"] = "0"
		}
	}
	return want, []string{""}
}

// TestLookupsRandom compares packets by chance with ip route get and ip route get fibmatch.
func TestLookupsRandom(t *testing.T) {
	nstest.New(t)
	nstest.Sysctl(t, "net.ipv6.conf.default.addr_gen_mode", "1")
	for i, dev := range lookupDevs {
		nstest.Veth(t, dev, fmt.Sprintf("10.0.%d.1/24", i), fmt.Sprintf("fd00:%d::1/64", i))
	}
	for _, line := range append(sharedObjects, "1 via 10.0.0.5 dev v0", "2 via 10.0.1.5 dev v1", "3 group 1,3/2",
		"8 group 6/7") {
		nstest.IP(t, "nexthop add id "+line)
	}
	for _, key := range []string{"net.ipv4.fib_multipath_hash_policy", "net.ipv6.fib_multipath_hash_policy",
		"net.ipv4.conf.all.forwarding", "net.ipv6.conf.all.forwarding"} {
		nstest.Sysctl(t, key, "1")
	}
	rng := rand.New(rand.NewPCG(10, 0))
	scenes := []*lookupScene{{rng, false}, {rng, true}}
	for _, s := range scenes {
		s.fill(t)
	}
	seen := map[string]int{}
	cache := &rtnl.Cache{}
	defer cache.Close()
	known := map[string]row{}
	for _, r := range scan(t, tables.Routes, cache) {
		known[r["route_id"]] = r
	}
	for n := range nstest.Amount(500, 60) {
		p := scenes[n%2].packet()
		testLookup(t, cache, known, p, seen)
	}
	for _, what := range []string{"", "no route", "unreachable", "prohibit", "blackhole", "unicast", "local", "matched",
		"ecmp", "unmatched", "told"} {
		if seen[what] == 0 && !testing.Short() {
			t.Errorf("never %q: %v", what, seen)
		}
	}
	t.Log(seen)
}

// testLookup compares one packet's row.
func testLookup(t *testing.T, src tables.Source, known map[string]row, p row, seen map[string]int) {
	t.Helper()
	var constraints []tables.Constraint
	for column, value := range p {
		constraints = append(constraints, where(tables.Lookups, column, tables.Equals, value))
	}
	rows, err := scanErr(tables.Lookups, src, constraints...)
	if err != nil || len(rows) != 1 {
		t.Errorf("%v: %v, %v", p, rows, err)
		return
	}
	got := rows[0]
	want, errs := ipLookup(t, p)
	if !slices.Contains(errs, got["error"]) {
		t.Errorf("%v: error %q, ip has one of %q", p, got["error"], errs)
	}
	seen[got["error"]]++
	seen[got["type"]]++
	for column, value := range p {
		if got[column] != value {
			t.Errorf("%v: shows %s %q", p, column, got[column])
		}
	}
	columns := []string{"family", "type", "gateway", "gateway_family", "dev", "prefsrc", "table_id", "table_name",
		"mtu",
		"metric", "protocol", "matched_dst"}
	if want["nexthop_id"] != "" {
		// Here ip has shown any of the routes that use the object, until it is another one.
		for _, line := range sharedObjects {
			nstest.IP(t, "nexthop replace id "+line)
		}
		want, _ = ipLookup(t, p)
		want["mtu"] = got["mtu"]   // packets had that of the other route
		if got["route_id"] == "" { // it cannot be told which of several tables decides
			seen["untold"]++
			for _, column := range []string{"table_id", "table_name", "metric", "protocol", "matched_dst"} {
				want[column] = ""
			}
		} else {
			seen["told"]++
		}
	}
	for _, column := range columns {
		if got[column] != want[column] {
			t.Errorf("%v: %s is %q, to ip %q", p, column, got[column], want[column])
		}
	}
	if got["snapshot_consistent"] != "1" {
		t.Errorf("%v: is not of one time", p)
	}
	route, ok := known[got["route_id"]]
	switch {
	case want["matched_dst"] == "":
		seen["unmatched"]++
		if got["route_id"] != "" {
			t.Errorf("%v: no route decides, but %s", p, got["route_id"])
		}
	case !ok:
		t.Errorf("%v: no route is %q", p, got["route_id"])
	default:
		seen["matched"]++
		if atoi(route["nexthop_count"]) > 1 {
			seen["ecmp"]++
		}
		for column, of := range map[string]string{"dst": "matched_dst", "metric": "metric", "protocol": "protocol",
			"table_id": "table_id", "family": "family"} {
			if route[column] != got[of] {
				t.Errorf("%v: %s is %q, that of the route %q", p, of, got[of], route[column])
			}
		}
	}
}

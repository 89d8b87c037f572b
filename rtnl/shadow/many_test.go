package shadow

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// made analyzes routes and rules.
func made(t testing.TB, routes []*object.Route, rules []object.Rule) *Analysis {
	t.Helper()
	var all, ruling [][]byte
	for _, r := range routes {
		all = append(all, nltest.AppendRoute(nil, r))
	}
	for i := range rules {
		ruling = append(ruling, nltest.AppendRule(nil, &rules[i]))
	}
	a, err := Analyze(t.Context(), rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{
		object.Routes.Kind: nltest.Runs(t, object.Routes.Kind, all...),
		object.Rules.Kind:  nltest.Runs(t, object.Rules.Kind, ruling...),
		object.Links.Kind:  nltest.Runs(t, object.Links.Kind, nltest.AppendLink(nil, &object.Link{Index: 1})),
	}))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// preferredTo is preferred as its words say, with no regard for how long it takes.
func (t *Table) preferredTo(i int) (before int, ok bool) {
	var r, o object.Route
	t.Route(i, &r, object.AllFields)
	same := func(j int) bool {
		t.Route(j, &o, object.AllFields)
		return o.Dst == r.Dst && o.Src == r.Src && o.TOS == r.TOS
	}
	if t.Family == object.IPv4 {
		for before = range i {
			if same(before) && t.routes[before].flags&alive != 0 {
				return before, o.Priority.V < r.Priority.V || r.Dst.Bits() > 0
			}
		}
		return -1, false
	}
	lowest := r.Priority.V
	for j := range t.Len() {
		if same(j) {
			lowest = min(lowest, o.Priority.V)
		}
	}
	for j := range t.Len() {
		if same(j) && o.Priority.V == lowest && t.routes[j].flags&alive != 0 {
			return j, lowest < r.Priority.V
		}
	}
	return -1, false
}

// TestPreferred: the route that comes before others of its destination is that which is so by the kernel's rules.
func TestPreferred(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 6))
	found := map[object.Family]int{}
	for range 400 {
		var routes []*object.Route
		for range 24 {
			text := fmt.Sprintf("254 %s metric %d", []string{"10.0.0.0/8", "0.0.0.0/0"}[random.IntN(2)], random.IntN(4))
			if random.IntN(2) == 0 {
				dst := []string{"2001:db8::/32", "::/0"}[random.IntN(2)]
				text = fmt.Sprintf("254 %s metric %d", dst, random.IntN(4))
				text += []string{"", " from fd00::/64", " from fd00::/65", " from fd01::/64"}[random.IntN(4)]
			} else {
				text += []string{"", " tos 16", " tos 8"}[random.IntN(3)]
			}
			routes = append(routes, parseRoute(text+[]string{"", "", " dead"}[random.IntN(3)]))
		}
		for table := range made(t, routes, nil).Tables() {
			table.prepare()
			for i := range table.Len() {
				before, ok := table.preferred(i)
				want, wanted := table.preferredTo(i)
				if ok != wanted || ok && before != want {
					t.Fatalf("before route %d of %v comes %d, %v, want %d, %v: %+v", i, table.Family, before, ok, want,
						wanted, table.routes)
				}
				if ok {
					found[table.Family]++
				}
			}
		}
	}
	if found[object.IPv4] < 1000 || found[object.IPv6] < 1000 {
		t.Errorf("before so few routes comes another one: %v", found)
	}
}

// manyOf are routes, and rules, of which there may be many that have much in common.
var manyOf = []struct {
	name  string
	route func(i int) *object.Route
	rule  func(i int) object.Rule // nil: there are none but one
	// shadowed is how many of so many routes are shadowed.
	shadowed func(n int) int
}{
	{"sources", func(i int) *object.Route {
		r := parseRoute("254 ::/0 metric 5")
		r.Src = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 4: byte(i >> 16), byte(i >> 8), byte(i)}), 64)
		return r
	}, nil, func(int) int { return 0 }},
	{"sources with two metrics", func(i int) *object.Route {
		r := parseRoute(fmt.Sprint("254 ::/0 metric ", 5+i%2))
		r.Src = netip.PrefixFrom(netip.AddrFrom16([16]byte{0x20, 1, 4: byte(i >> 17), byte(i >> 9), byte(i >> 1)}), 64)
		return r
	}, nil, func(n int) int { return n / 2 }},
	{"IPv6 metrics", func(i int) *object.Route { return parseRoute(fmt.Sprint("254 2001:db8::/32 metric ", i)) }, nil,
		func(n int) int { return n - 1 }},
	{"dead IPv4 metrics", func(i int) *object.Route {
		return parseRoute(fmt.Sprint("254 10.0.0.0/8 dead metric ", i))
	}, nil, func(int) int { return 0 }},
	{"types of service, the first of which are others", func(i int) *object.Route {
		return parseRoute(fmt.Sprint("254 10.0.0.0/8 tos ", 16*(i%2), " metric ", i))
	}, nil, func(n int) int { return n - 2 }},
	{"rules that refuse all packets but few", each, func(i int) object.Rule {
		return parseRule(object.IPv4, fmt.Sprint(1+i, " prohibit not fwmark"))
	}, func(n int) int { return n }},
	{"rules for few packets", each, func(i int) object.Rule {
		return parseRule(object.IPv4, fmt.Sprint(1+i, " 254 fwmark"))
	}, func(int) int { return 0 }},
	{"rules for few packets, before a table for all", second, func(i int) object.Rule {
		r := parseRule(object.IPv4, fmt.Sprint(1+i, " 254 fwmark"))
		if r.Mark.V += uint32(i); i == 0 {
			return parseRule(object.IPv4, "32000 51820")
		}
		return r
	}, func(n int) int { return n - 1 }},
	{"rules for other packets, before a table for all but few", second, func(i int) object.Rule {
		r := parseRule(object.IPv4, fmt.Sprint(1+i, " 51821 from"))
		if r.Src = each(i).Dst; i == 0 {
			return parseRule(object.IPv4, "32000 51820 not fwmark")
		}
		return r
	}, func(n int) int { return n - 1 }},
	{"some rules for few packets, before a table for all", second, func(i int) object.Rule {
		r := parseRule(object.IPv4, fmt.Sprint(1+i%30, " nop fwmark"))
		switch r.Mark.V += uint32(i % 30); {
		case i == 0:
			return parseRule(object.IPv4, "32000 51820")
		case i < maxExceptions:
			r.Action, r.Table = object.FR_ACT_TO_TBL, 254
		}
		return r
	}, func(n int) int { return n - 1 }},
	{"rules for one destination", each, func(i int) object.Rule {
		r := parseRule(object.IPv4, fmt.Sprint(1+i, " prohibit"))
		r.Dst = each(i).Dst
		return r
	}, func(int) int { return maxBefore }},
	{"rules that accept no short prefixes", each, func(i int) object.Rule {
		return parseRule(object.IPv4, fmt.Sprint(1+i, " 254 longer ", i))
	}, func(int) int { return 0 }},
}

// second is a route of a table after another one, which has the first.
func second(i int) *object.Route {
	if i == 0 {
		return parseRoute("51820 0.0.0.0/0")
	}
	return each(i)
}

// each is a route to a destination of its own.
func each(i int) *object.Route {
	r := parseRoute("254 10.0.0.0/32")
	r.Dst = netip.PrefixFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 10<<24|uint32(i)))), 32)
	return r
}

// many makes so many routes, and rules.
func many(t testing.TB, n int, route func(int) *object.Route, rule func(int) object.Rule) *Analysis {
	t.Helper()
	routes, rules := make([]*object.Route, n), []object.Rule{parseRule(route(0).Family, "32766 254")}
	for i := range routes {
		routes[i] = route(i)
		if rule != nil {
			rules = append(rules, rule(i))
		}
	}
	return made(t, routes, rules)
}

// shadowed returns how many routes are shadowed.
func (a *Analysis) shadowed() (n int) {
	for table := range a.Tables() {
		for i := range table.Len() {
			if _, ok := table.Shadow(i); ok {
				n++
			}
		}
	}
	return n
}

// TestMany has so many routes that it would not end if each were decoded for each, or compared with all rules that
// are before each rule.
func TestMany(t *testing.T) {
	for _, c := range manyOf {
		n := 10_000
		if c.name == "sources" {
			n = 40_000
		}
		t.Run(c.name, func(t *testing.T) {
			if got, want := many(t, n, c.route, c.rule).shadowed(), c.shadowed(n); got != want {
				t.Errorf("%d routes are shadowed, want %d", got, want)
			}
		})
	}
}

// BenchmarkMany: what a route takes does not depend on how many there are.
func BenchmarkMany(b *testing.B) {
	for _, c := range manyOf {
		for _, n := range []int{4_000, 16_000} {
			b.Run(fmt.Sprint(c.name, "/", n), func(b *testing.B) {
				snap := many(b, n, c.route, c.rule).snap
				for b.Loop() {
					a, err := Analyze(b.Context(), snap)
					if err != nil {
						b.Fatal(err)
					}
					a.shadowed()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/route")
			})
		}
	}
}

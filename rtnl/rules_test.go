package rtnl

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/mdlayher/netlink"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// A familySocket notes of which families the kernel is asked for rules.
type familySocket struct {
	conn.Socket
	asked *[]object.Family
}

func (s familySocket) Send(m netlink.Message) (netlink.Message, error) {
	if m.Header.Type == object.RTM_GETRULE {
		*s.asked = append(*s.asked, object.Family(m.Data[0]))
	}
	return s.Socket.Send(m)
}

// rulesRequest asks for rules that a filter lets through.
func rulesRequest(f Filter) Request {
	return Request{Kinds: []*object.Kind{object.Rules.Kind}, Filter: f}
}

// TestRulesByFamily asks the kernel for no more families than are wanted, and leaves all else
// that a filter says to routes.
func TestRulesByFamily(t *testing.T) {
	nstest.New(t)
	nstest.Batch(t, "-4", "rule add priority 100 from 10.0.0.0/8 table 100")
	nstest.Batch(t, "-6", "rule add priority 200 from fd00::/8 table 100")
	var asked []object.Family
	k := Kernel{stats: rt6StatsPath}
	k.dial = func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
		s, strict, err := conn.Dial(ctx, ns, groups)
		return familySocket{s, &asked}, strict, err
	}
	all, err := k.Read(t.Context(), rulesRequest(Filter{}))
	if err != nil || !all.Consistent || all.Tries != 1 {
		t.Fatal(err, all)
	}
	type families = []object.Family
	for _, tc := range []struct {
		filter Filter
		asked  families
		wanted func(object.Family) bool
	}{
		{Filter{}, families{0}, func(object.Family) bool { return true }},
		{Filter{Families: families{object.IPv4}}, families{object.IPv4},
			func(f object.Family) bool { return f == object.IPv4 }},
		{Filter{Families: families{object.IPv6, object.IPv4, object.IPv6}}, families{object.IPv4, object.IPv6},
			func(f object.Family) bool { return f == object.IPv4 || f == object.IPv6 }},
		{Filter{Families: families{object.MPLS}}, families{object.MPLS}, func(object.Family) bool { return false }},
		{Filter{Tables: []uint32{7}, Protocols: []uint8{77}, Types: []object.RouteType{1}, OIFs: []uint32{7}},
			families{0}, func(object.Family) bool { return true }},
		{Filter{None: true}, nil, func(object.Family) bool { return false }},
		{Filter{None: true, EveryFamily: true}, families{0}, func(object.Family) bool { return true }},
		{Filter{Families: families{object.IPv4}, EveryFamily: true}, families{0},
			func(object.Family) bool { return true }},
	} {
		var want []string
		for r := range All(all, object.Rules) {
			if tc.wanted(r.Family) {
				want = append(want, fmt.Sprint(r.Family, " ", r.Priority))
			}
		}
		slices.SortStableFunc(want, func(a, b string) int { return compareFamilies(a, b) })
		asked = nil
		req := rulesRequest(tc.filter)
		for _, source := range []interface {
			Read(context.Context, Request) (*Snapshot, error)
			Count(context.Context, Request) (int, bool, error)
		}{&k, all.Instant(nil)} {
			s, err := source.Read(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			got := rulesIn(s, object.Rules.Kind)
			slices.SortStableFunc(got, func(a, b string) int { return compareFamilies(a, b) })
			if !slices.Equal(got, want) || !s.Consistent {
				t.Errorf("%+v: %T has the rules %q, not %q", tc.filter, source, got, want)
			}
			if source == any(&k) && !slices.Equal(asked, tc.asked) {
				t.Errorf("%+v: asked for the families %v", tc.filter, asked)
			}
			if n, _, err := source.Count(t.Context(), req); err != nil || n != len(want) {
				t.Errorf("%+v: %T counts %d rules of %d, %v", tc.filter, source, n, len(want), err)
			}
		}
	}
}

// compareFamilies orders by the family, which comes first.
func compareFamilies(a, b string) int { return slices.Compare([]byte(a[:4]), []byte(b[:4])) }

// TestUnionOfRules: what rules are asked for does not narrow what routes are, nor the other
// way round.
func TestUnionOfRules(t *testing.T) {
	type families = []object.Family
	four, six := families{object.IPv4}, families{object.IPv6}
	none := Filter{None: true}
	for _, tc := range []struct {
		routes, rules Filter
		want          Filter
	}{
		{Filter{}, Filter{}, Filter{}},
		{Filter{}, Filter{Families: four}, Filter{}},
		{Filter{Families: four}, Filter{}, Filter{Families: four, EveryFamily: true}},
		{Filter{Families: four}, Filter{Families: four}, Filter{Families: four}},
		{Filter{Families: four}, Filter{Families: six}, Filter{Families: four, EveryFamily: true}},
		{Filter{Families: four, Tables: []uint32{7}}, Filter{Families: four}, Filter{Families: four,
			Tables: []uint32{7}}},
		{Filter{Tables: []uint32{7}}, Filter{}, Filter{Tables: []uint32{7}}},
		{none, Filter{Families: six}, Filter{None: true, EveryFamily: true}},
		{Filter{Families: six}, none, Filter{Families: six, EveryFamily: true}},
		{none, none, none},
	} {
		routes, rules := RouteRequest(tc.routes), rulesRequest(tc.rules)
		for _, u := range []Request{routes.Union(rules), rules.Union(routes), routes.Union(rules).Union(rules),
			rules.Union(rules).Union(routes)} {
			got := Filter{None: u.None, Families: u.Families, Tables: u.Tables, EveryFamily: u.EveryFamily}
			if fmt.Sprint(got) != fmt.Sprint(tc.want) || !u.All(object.Rules.Kind) || !u.All(object.Routes.Kind) {
				t.Errorf("%+v and %+v: %+v, not %+v", tc.routes, tc.rules, got, tc.want)
			}
			for _, k := range []*object.Kind{object.Rules.Kind, object.Routes.Kind} {
				if of := u.Of(k); k == object.Rules.Kind && !tc.rules.None && of.None ||
					k == object.Routes.Kind && of.None != tc.routes.None {
					t.Errorf("%+v and %+v: of %s %+v", tc.routes, tc.rules, k.Plural, of)
				}
			}
		}
	}
	if u := rulesRequest(Filter{Families: four}).Union(rulesRequest(Filter{Families: six})); len(u.Families) != 2 ||
		u.EveryFamily {
		t.Errorf("rules of both families: %+v", u.Filter)
	}
	links := Request{Kinds: []*object.Kind{object.Links.Kind}, Filter: none}
	if u := links.Union(links); u.None || u.Nothing() {
		t.Errorf("links and links: %+v", u.Filter)
	}
}

// TestRulesBesideRoutes answers for both from one snapshot.
func TestRulesBesideRoutes(t *testing.T) {
	nstest.New(t)
	nstest.IP(t, "link set lo up")
	nstest.Batch(t, "-4", "rule add priority 100 table 100", "route add 10.0.0.0/8 dev lo table 100")
	nstest.Batch(t, "-6", "rule add priority 200 table 100")
	routes := RouteRequest(Filter{Tables: []uint32{100}})
	rules := rulesRequest(Filter{Families: []object.Family{object.IPv6}})
	s, err := new(Kernel).Read(t.Context(), routes.Union(rules))
	if err != nil || !s.Consistent {
		t.Fatal(err, s)
	}
	if n := s.Count(object.Routes.Kind); n != 1 {
		t.Errorf("%d routes", n)
	}
	for _, req := range []Request{routes, rules} {
		want, err := new(Kernel).Read(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Instant(nil).Read(t.Context(), req)
		if err != nil || got.Count(req.Kinds[0]) != want.Count(req.Kinds[0]) || want.Count(req.Kinds[0]) == 0 {
			t.Errorf("%d %s of %d, %v", got.Count(req.Kinds[0]), req.Kinds[0].Plural, want.Count(req.Kinds[0]), err)
		}
	}
}

// TestDetachedRules: that an interface of a rule came or went is told by the interface alone.
func TestDetachedRules(t *testing.T) {
	nstest.New(t)
	nstest.Batch(t, "-4", "rule add priority 100 iif v0 table 100")
	flags := func() uint32 {
		s, err := new(Kernel).Read(t.Context(), rulesRequest(Filter{}))
		if err != nil {
			t.Fatal(err)
		}
		for r := range All(s, object.Rules) {
			if r.Priority == 100 {
				return r.Flags
			}
		}
		return 0
	}
	before := flags()
	nstest.Veth(t, "v0", "10.0.0.1/24")
	if after := flags(); before != object.FIB_RULE_IIF_DETACHED || after != 0 {
		t.Errorf("flags %#x, then %#x", before, after)
	}
	if !slices.Contains(object.Rules.StaleWith, object.Links.Kind) {
		t.Error("a change of interfaces makes no rule stale")
	}
}

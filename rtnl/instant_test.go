package rtnl

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// texts are the routes of a snapshot, each with all that is known of it.
func texts(s *Snapshot) (all []string) {
	for c := s.Cursor(object.AllFields); c.Next(); {
		r := c.Route()
		text := string(r.AppendID(nil)) + fmt.Sprintf(" %+v", *r)
		for _, n := range s.Nexthops(r, nil) {
			l, ok := s.Link(n.OIF)
			text += fmt.Sprintf(" %v %v %v", n, l, ok)
		}
		all = append(all, text)
	}
	return all
}

// anyRequest is a request with conditions of all kinds, for destinations among some.
func anyRequest(rnd *rand.Rand, dsts []netip.Prefix) (req Request) {
	some := func(n int) bool { return rnd.IntN(n) == 0 }
	req = RouteRequest(Filter{})
	if some(2) {
		req.Families = []object.Family{[]object.Family{object.IPv4, object.IPv6, object.IPMR}[rnd.IntN(3)]}
	}
	if some(3) {
		req.Tables = []uint32{254 + uint32(rnd.IntN(4))}
	}
	if some(4) {
		req.Types = []object.RouteType{object.Unicast, object.Blackhole}[rnd.IntN(2):]
	}
	if some(4) {
		req.Protocols = []uint8{2, 3, 4}[rnd.IntN(3):]
	}
	if some(4) {
		req.Link = func(l *object.Link) bool { return l.Name == "v0" }
		req.Single = some(2)
	}
	if some(2) {
		rnd.Shuffle(len(dsts), func(i, j int) { dsts[i], dsts[j] = dsts[j], dsts[i] })
		req.Dsts = append([]netip.Prefix{dsts[0]}, dsts[:rnd.IntN(24)]...)
	}
	return req
}

// TestInstant asks an instant and the kernel the same.
func TestInstant(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	nstest.Veth(t, "v1", "10.1.0.1/16")
	nstest.IP(t, "nexthop add id 5 via 10.0.0.7 dev v0")
	var lines []string
	for i := range 60 {
		lines = append(lines, fmt.Sprintf("route add 20.0.%d.0/24 via 10.%d.0.9 metric %d table %d", i/3, i%2, i%3,
			254+i/20),
			fmt.Sprintf("route append fd20:%x::/48 via fd00::%x table %d", i/3+1, i+2, 254+i/20))
	}
	lines = append(lines, "route add 22.0.0.0/8 nhid 5", "route add blackhole 23.0.0.0/8 proto static",
		"route add 24.0.0.0/8 nexthop via 10.0.0.8 nexthop via 10.1.0.8")
	nstest.Batch(t, "-N", lines...)
	// Replacing one of two routes can leave two that are alike.
	nstest.Batch(t, "-6", "route add fd06::/64 dev v0", "route append fd06::/64 dev v1",
		"route replace fd06::/64 dev v1")
	ctx := context.Background()
	k := &Kernel{}
	whole, err := k.Read(ctx, RouteRequest(Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	instant := whole.Instant(nil)
	dsts := []netip.Prefix{netip.MustParsePrefix("99.0.0.0/8"), netip.MustParsePrefix("0.0.0.0/0"),
		netip.MustParsePrefix("fd20:1::/48")}
	for c := whole.Cursor(object.FieldDst); c.Next(); {
		if d := c.Route().Dst; !slices.Contains(dsts, d) {
			dsts = append(dsts, d)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		req := anyRequest(rnd, dsts)
		want, err := k.Read(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := instant.Read(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		// Destinations that are looked up come in the order of the list.
		a, b := texts(want), texts(got)
		if len(req.Dsts) > 0 {
			slices.Sort(a)
			slices.Sort(b)
		}
		if !slices.Equal(a, b) || got.Consistent != want.Consistent {
			t.Fatalf("%+v:\ngot  %d %q\nwant %d %q", req, len(b), b, len(a), a)
		}
	}
	testIdentities(t, whole)
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := instant.Read(canceled, request(Filter{})); err == nil {
		t.Error("a request that was canceled is answered")
	}
}

// testIdentities looks each route of a snapshot up by its identity.
func testIdentities(t *testing.T, whole *Snapshot) {
	instant, ctx := whole.Instant(nil), t.Context()
	seen := map[string]bool{}
	for c := whole.Cursor(object.FieldID); c.Next(); {
		id := string(c.Route().AppendID(nil))
		if seen[id] {
			t.Errorf("two routes are %s", id)
		}
		seen[id] = true
		s, err := instant.Read(ctx, Request{Kinds: []*object.Kind{object.Routes.Kind},
			IDs: []string{id, "ipv4:254:99.0.0.0/8:0000000000000000"}})
		if err != nil {
			t.Fatal(err)
		}
		if all := texts(s); !slices.ContainsFunc(all,
			func(text string) bool { return strings.HasPrefix(text, id+" ") }) || len(all) > 3 {
			t.Errorf("%s is looked up: %q", id, all)
		}
	}
}

// TestUnion: what either request brings, their union brings.
func TestUnion(t *testing.T) {
	all := []Request{
		request(Filter{}),
		request(Filter{Families: []object.Family{object.IPv4}}),
		request(Filter{None: true}),
		request(Filter{Tables: []uint32{1, 2}}, object.Links.Kind),
		request(Filter{Tables: []uint32{2, 3}, Types: []object.RouteType{object.Unicast}}, object.NexthopObjects.Kind),
		request(Filter{Protocols: []uint8{4}, Dsts: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}),
		request(Filter{OIFs: []uint32{7}, Single: true, Cloned: true}),
		request(Filter{Link: func(*object.Link) bool { return true }}),
		{Kinds: []*object.Kind{object.Links.Kind}},
		{Kinds: []*object.Kind{object.NexthopObjects.Kind}, Filter: Filter{None: true}},
	}
	brings := func(r *Request, k *object.Kind) bool { return r.brings(k) || k == r.Chooses() }
	for _, a := range all {
		for _, b := range all {
			u := a.Union(b)
			for _, k := range object.Kinds {
				if (brings(&a, k) || brings(&b, k)) != brings(&u, k) || (a.All(k) || b.All(k)) != u.All(k) {
					t.Errorf("%+v and %+v: %s of %+v", a, b, k.Plural, u)
				}
			}
			for _, table := range []uint32{1, 2, 3} {
				for _, proto := range []uint8{3, 4} {
					for _, r := range []object.Route{
						{Family: object.IPv4, Table: table, Protocol: proto, Type: object.Unicast,
							Dst: netip.MustParsePrefix("10.0.0.0/8"), OIF: object.Some(uint32(7))},
						{Family: object.IPv6, Table: table, Protocol: proto, Type: object.Local, Flags: 0x200},
					} {
						var m object.Message
						if err := object.Routes.Check(&m, nltest.RouteMessage(0, &r)); err != nil {
							t.Fatal(err)
						}
						matches := func(r *Request) bool { return r.All(object.Routes.Kind) && r.Match(&m) }
						if (matches(&a) || matches(&b)) && !matches(&u) {
							t.Errorf("%+v and %+v: their union %+v excludes %+v", a, b, u, r)
						}
					}
				}
			}
		}
	}
}

// TestCacheOfManyTables: look-ups that go to many tables cost few dumps.
func TestCacheOfManyTables(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	for i := range 50 {
		nstest.IP(t, fmt.Sprintf("route add 20.0.%d.0/24 via 10.0.0.%d table %d", i, i+2, 1000+i))
	}
	dials := 0
	c := &Cache{Kernel: Kernel{dial: countingDialer(&dials)}}
	defer c.Close()
	for i := range 400 {
		i %= 50
		req := request(Filter{Tables: []uint32{1000 + uint32(i)},
			Dsts: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("20.0.%d.0/24", i))}})
		s, err := c.Read(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		at := s.Cursor(object.AllFields)
		if !at.Next() || at.Route().Gateway.String() != fmt.Sprintf("10.0.0.%d", i+2) || at.Next() {
			t.Errorf("table %d: wrong routes", 1000+i)
		}
	}
	if dials > maxHeldTables+1 {
		t.Errorf("the kernel was asked %d times", dials)
	}
}

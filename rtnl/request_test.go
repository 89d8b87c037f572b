package rtnl

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// TestOneKind asks for objects of one kind alone: nothing else is asked of the kernel, nor
// listened to but what makes them go away.
func TestOneKind(t *testing.T) {
	for _, tc := range []struct {
		kind   *object.Kind
		groups uint32
		count  int
	}{
		{object.Links.Kind, 1 << 0, 2},                // RTNLGRP_LINK
		{object.NexthopObjects.Kind, 1<<0 | 1<<31, 1}, // and RTNLGRP_NEXTHOP
	} {
		var groups []uint32
		k := &fakeKernel{fake: fake{T: t, Answer: ordinary,
			DialErr: func(_ Namespace, g uint32) error { groups = append(groups, g); return nil }}}
		req := Request{Kinds: []*object.Kind{tc.kind}, Filter: Filter{None: true}} // which is about routes
		s, err := k.read(req)
		if err != nil || !s.Consistent || s.Tries != 1 || s.Count(tc.kind) != tc.count {
			t.Fatalf("%s: %v, %+v", tc.kind.Plural, err, s)
		}
		for _, other := range object.Kinds {
			if other != tc.kind && s.Count(other) != 0 {
				t.Errorf("%s: %d %s", tc.kind.Plural, s.Count(other), other.Plural)
			}
		}
		if len(k.Requests) != 1 || k.Requests[0].Type != tc.kind.Get || !slices.Equal(groups, []uint32{tc.groups, 0}) {
			t.Errorf("%s: requests %+v, groups %#x", tc.kind.Plural, k.Requests, groups)
		}
		if n, consistent, err := k.kernel().Count(t.Context(), req); err != nil || !consistent || n != tc.count {
			t.Errorf("%s: %v, %d, consistent %v", tc.kind.Plural, err, n, consistent)
		}
		// Of objects that nothing refers to each is as it was before or after its change.
		message := map[uint16][]byte{unix.RTM_GETLINK: link(0, 3, "v0"),
			unix.RTM_GETNEXTHOP: nexthop(0, 5)}[tc.kind.Get]
		k.Hear = func(int) []event { return []event{datagram(message)} }
		if s, err := k.read(req); err != nil || !s.Consistent || s.Tries != 1 {
			t.Errorf("%s that change: %v, %+v", tc.kind.Plural, err, s)
		}
	}
}

// TestNoKind asks for objects that are only listened to.
func TestNoKind(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t, Answer: ordinary}}
	for _, req := range []Request{{Kinds: []*object.Kind{object.Addresses}}, request(Filter{}, object.Addresses)} {
		if s, err := k.read(req); err == nil || err.Error() != "read addresses: the kernel is not asked for them" {
			t.Errorf("%v, %v", err, s)
		}
	}
}

// TestNexthopObjectsAndLinks asks for nexthop objects and their interfaces.
func TestNexthopObjectsAndLinks(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	nstest.Veth(t, "v1", "10.1.0.1/16")
	nstest.Batch(t, "-N", "nexthop add id 5 via 10.0.0.2 dev v0", "nexthop add id 6 group 5",
		"nexthop add id 7 blackhole")
	s, err := new(Kernel).Read(t.Context(), Request{Kinds: []*object.Kind{object.NexthopObjects.Kind},
		Referred: []*object.Kind{object.Links.Kind}})
	if err != nil || !s.Consistent {
		t.Fatal(err, s)
	}
	var ids []uint32
	for o := range All(s, object.NexthopObjects) {
		ids = append(ids, o.ID)
	}
	if !slices.Equal(ids, []uint32{5, 6, 7}) {
		t.Errorf("nexthop objects %v", ids)
	}
	o, _ := Get(s, object.NexthopObjects, 5)
	var names []string
	for l := range All(s, object.Links) {
		names = append(names, l.Name)
	}
	// The blackhole is of the loopback interface.
	if l, ok := s.Link(o.OIF); !ok || l.Name != "v0" || l.Kind != "veth" || slices.Contains(names, "v1") {
		t.Errorf("link %+v of %+v; links %v", l, o, names)
	}
}

// TestNoKinds: a request that names no kind is a mistake, and no request for nothing.
func TestNoKinds(t *testing.T) {
	if _, err := new(Kernel).Read(t.Context(), Request{}); err == nil {
		t.Error("a request for no kind is answered")
	}
	if _, _, err := new(Kernel).Count(t.Context(), Request{}); err == nil {
		t.Error("a request for no kind is counted")
	}
	if _, err := NewSnapshot(true, nil).Instant(nil).Read(t.Context(), Request{}); err == nil {
		t.Error("a request for no kind is answered from a snapshot")
	}
}

// TestCount: what is counted is as much as what is read.
func TestCount(t *testing.T) {
	nstest.New(t)
	someOfAll(t)
	kinds := func(f Filter, all ...*object.Kind) Request { return Request{Kinds: all, Filter: f} }
	four := []object.Family{object.IPv4}
	for _, req := range []Request{
		RouteRequest(Filter{}),
		RouteRequest(Filter{None: true}),
		RouteRequest(Filter{Families: four}),
		RouteRequest(Filter{Families: []object.Family{object.IPv6}}),
		RouteRequest(Filter{Tables: []uint32{1000}}),
		RouteRequest(Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("20.0.0.0/8")}}),
		RouteRequest(Filter{Link: func(l *object.Link) bool { return l.Name == "w0" }}),
		request(Filter{Types: []object.RouteType{object.Local}}),
		everything(Filter{}),
		everything(Filter{None: true}),
		kinds(Filter{}, object.Links.Kind),
		kinds(Filter{Families: four}, object.NexthopObjects.Kind),
		kinds(Filter{Families: four}, object.Routes.Kind, object.Links.Kind),
	} {
		s, err := new(Kernel).Read(t.Context(), req)
		if err != nil || !s.Consistent {
			t.Fatal(err, s)
		}
		want := 0
		for _, k := range req.Kinds {
			want += s.Count(k)
		}
		cache := &Cache{}
		for name, source := range map[string]interface {
			Count(context.Context, Request) (int, bool, error)
		}{"kernel": new(Kernel), "cache": cache, "instant": s.Instant(nil)} {
			if n, consistent, err := source.Count(t.Context(), req); err != nil || !consistent || n != want {
				t.Errorf("%s: %+v: %d objects are counted, %d read; consistent %v, %v", name, req, n, want,
					consistent, err)
			}
		}
		cache.Close()
	}
}

// TestUnionWithNone: a request that nothing meets adds nothing to another one, but what it
// asks for besides routes.
func TestUnionWithNone(t *testing.T) {
	none, some := RouteRequest(Filter{None: true}),
		RouteRequest(Filter{Tables: []uint32{1000}, Types: []object.RouteType{object.Local}})
	links := Request{Namespace: "/run/netns/blue", Kinds: []*object.Kind{object.Links.Kind}}
	for _, u := range []Request{none.Union(some), some.Union(none), some.Union(links), links.Union(some),
		some.Union(Request{})} {
		if u.None || !slices.Equal(u.Tables, some.Tables) || !slices.Equal(u.Types, some.Types) || len(u.Families) > 0 {
			t.Errorf("%+v", u)
		}
	}
	for _, u := range []Request{none.Union(none), none.Union(Request{}), Request{}.Union(none)} {
		if !u.None || !u.Nothing() {
			t.Errorf("%+v", u)
		}
	}
	if u := none.Union(links); u.Nothing() || !u.None || !u.All(object.Links.Kind) {
		t.Errorf("%+v", u)
	}
	if u := links.Union(links); !reflect.DeepEqual(u, links) {
		t.Errorf("%+v", u)
	}
	if u := (Request{}).Union(Request{}); !u.Nothing() {
		t.Errorf("%+v", u)
	}
}

// TestReadVanishedObject has a nexthop object that goes with its interface, of which the
// kernel tells alone: a route that was read before must not stay without it.
func TestReadVanishedObject(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t}}
	gone := false
	k.Answer = func(r fakeRequest) []event {
		switch {
		case r.Type == unix.RTM_GETROUTE && !gone:
			gone = true
			return []event{datagram(nltest.RouteMessage(r.Seq, nltest.ViaObject(object.IPv4)), route6(r.Seq, 1, 255)),
				datagram(done(r.Seq, 0))}
		case r.Type == unix.RTM_GETROUTE:
			return []event{datagram(route6(r.Seq, 1, 255)), datagram(done(r.Seq, 0))}
		case r.Type == unix.RTM_GETNEXTHOP:
			return []event{datagram(done(r.Seq, 0))}
		}
		return ordinary(r)
	}
	k.Hear = func(n int) []event {
		if n == 1 {
			return []event{withoutLink(4, "v1")}
		}
		return nil
	}
	s, err := k.read(RouteRequest(Filter{}))
	if err != nil || !s.Consistent || s.Tries != 2 || size(s) != 1 {
		t.Errorf("%v, %+v with %d routes", err, s, size(s))
	}
}

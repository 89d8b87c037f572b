package rtnl

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/consistency"
	"kernelroutes/rtnl/object"
)

func size(s *Snapshot) int { return s.Count(object.Routes.Kind) }

// rtmsg is struct rtmsg of a route with a prefix of no bits in table main.
func rtmsg(f object.Family) []byte {
	return []byte{byte(f), 0, 0, 0, object.RT_TABLE_MAIN, nltest.RTPROT_STATIC, 0, byte(object.Unicast), 0, 0, 0, 0}
}

const always = 1000

func TestReadOrdinary(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t, Answer: ordinary}}
	s, err := k.read(RouteRequest(Filter{}))
	if err != nil || !s.Consistent || s.Tries != 1 || size(s) != 5 {
		t.Fatalf("%v, %+v", err, s)
	}
	if l, ok := s.Link(3); !ok || l.Name != "v0" {
		t.Errorf("link 3 is %+v", l)
	}
	if _, ok := s.Link(7); ok {
		t.Error("there is a link 7")
	}
	// No route uses an object, so that they are not asked for.
	if _, ok := Get(s, object.NexthopObjects, 5); ok || k.Conns != 1 || k.Listeners != 1 || k.logged() != 0 {
		t.Errorf("%d connections, %d lines logged", k.Conns, k.logged())
	}
	if s, err := k.read(request(Filter{})); err != nil {
		t.Error(err)
	} else if _, ok := s.Link(3); ok {
		t.Error("links were read that nobody asked for")
	}
}

// TestReadAbsent has what is absent and no error.
func TestReadAbsent(t *testing.T) {
	one := func(errno uint32) func(fakeRequest) []event {
		return broken(unix.RTM_GETROUTE, always,
			func(r fakeRequest) []event { return []event{datagram(done(r.Seq, errno))} })
	}
	noObjects := func(r fakeRequest) []event {
		switch r.Type {
		case unix.RTM_GETNEXTHOP:
			return []event{datagram(nltest.Padded(unix.NLMSG_ERROR, 0, r.Seq,
				done(r.Seq, uint32(unix.EOPNOTSUPP))[unix.NLMSG_HDRLEN:]))}
		case unix.RTM_GETROUTE:
			return []event{datagram(nltest.RouteMessage(r.Seq, nltest.ViaObject(object.IPv4))),
				datagram(done(r.Seq, 0))}
		}
		return ordinary(r)
	}
	for _, tc := range []struct {
		name   string
		answer func(fakeRequest) []event
		req    Request
		rows   int
		err    error
	}{
		{"table", one(uint32(unix.ENOENT)), request(Filter{Tables: []uint32{77}}), 0, nil},
		{"interface", one(uint32(unix.ENODEV)), request(Filter{OIFs: []uint32{77}, Single: true}), 0, nil},
		{"routes", one(0), request(Filter{}), 0, nil},
		{"what was not asked for", one(uint32(unix.ENOENT)), request(Filter{}), 0, unix.ENOENT},
		{"an interface that was not asked for", one(uint32(unix.ENODEV)), request(Filter{OIFs: []uint32{77}}), 0,
			unix.ENODEV},
		{"nexthop objects, before Linux 5.3", noObjects, request(Filter{}, object.NexthopObjects.Kind), 1, nil},
	} {
		k := &fakeKernel{fake: fake{T: t, Answer: tc.answer}}
		s, err := k.read(tc.req)
		if !errors.Is(err, tc.err) || err == nil && (!s.Consistent || size(s) != tc.rows) {
			t.Errorf("%s: %v, %+v", tc.name, err, s)
		}
	}
	// DONE without an errno, and in the datagram of the last route.
	k := &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		return []event{datagram(route4(r.Seq, 1, 254), nltest.Padded(unix.NLMSG_DONE, 0, r.Seq, nil))}
	})}}
	if s, err := k.read(request(Filter{})); err != nil || !s.Consistent || size(s) != 1 {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestReadForeign has messages that answer something else.
func TestReadForeign(t *testing.T) {
	var foreign []event
	for range 2 * consistency.ParallelAfter {
		foreign = append(foreign, datagram(route4(7, 9, 254), interruptedFlag(done(7, uint32(unix.EINVAL)))))
	}
	k := &fakeKernel{fake: fake{T: t, Answer: func(r fakeRequest) []event {
		return slices.Concat(foreign, ordinary(r))
	}}}
	s, err := k.read(request(Filter{}, object.Links.Kind))
	if err != nil || !s.Consistent || s.Tries != 1 || size(s) != 5 {
		t.Errorf("%v, %+v", err, s)
	}
	// And of another type, or another family.
	k = &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		can := rtmsg(29)
		return []event{datagram(link(r.Seq, 1, "lo"), route4(r.Seq, 1, 254),
			nltest.Padded(unix.RTM_NEWROUTE, 0, r.Seq, can)), datagram(done(r.Seq, 0))}
	})}}
	if s, err := k.read(request(Filter{})); err != nil || size(s) != 1 {
		t.Errorf("%v, %+v", err, s)
	}
}

func TestReadGroups(t *testing.T) {
	var groups []uint32
	k := &fakeKernel{fake: fake{T: t, Answer: ordinary,
		DialErr: func(_ Namespace, g uint32) error { groups = append(groups, g); return nil }}}
	if _, err := k.read(request(Filter{})); err != nil {
		t.Fatal(err)
	}
	// LINK 1, IPV4_IFADDR 5, IPV4_MROUTE 6, IPV4_ROUTE 7, IPV6_IFADDR 9, IPV6_MROUTE
	// 10, IPV6_ROUTE 11, MPLS_ROUTE 27, NEXTHOP 32; first the listener.
	want := uint32(1<<0 | 1<<4 | 1<<5 | 1<<6 | 1<<8 | 1<<9 | 1<<10 | 1<<26 | 1<<31)
	if !slices.Equal(groups, []uint32{want, 0}) {
		t.Errorf("groups %#x, want %#x", groups, want)
	}
}

// TestReadLax has a kernel before Linux 4.20, which takes no conditions.
func TestReadLax(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t, Lax: true, Answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		return []event{datagram(route4(r.Seq, 1, 254), route4(r.Seq, 2, 1000), route6(r.Seq, 1, 254)),
			datagram(done(r.Seq, 0))}
	})}}
	s, err := k.read(request(Filter{Tables: []uint32{254, 1000}, Protocols: []uint8{4},
		Types: []object.RouteType{object.Unicast}, OIFs: []uint32{3}, Single: true}))
	if err != nil || size(s) != 3 || !s.Consistent {
		t.Errorf("%v, %+v", err, s)
	}
	for _, r := range k.Routes() {
		if r != (object.DumpRequest{}) {
			t.Errorf("request %+v", r)
		}
	}
}

func TestReadRequests(t *testing.T) {
	byTable := broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		return []event{datagram(route4(r.Seq, byte(r.Route.Table), r.Route.Table)), datagram(done(r.Seq, 0))}
	})
	for _, tc := range []struct {
		name string
		req  Request
		want []object.DumpRequest
		rows int
	}{
		{"two tables", request(Filter{Tables: []uint32{1000, 254}}),
			[]object.DumpRequest{{Table: 254}, {Table: 1000}}, 2},
		{"conditions", request(Filter{Tables: []uint32{254}, Protocols: []uint8{4},
			Types: []object.RouteType{object.Unicast}, OIFs: []uint32{3}, Single: true}),
			[]object.DumpRequest{{Table: 254, Type: object.Unicast, Protocol: 4, OIF: 3}}, 1},
		{"a choice of interfaces", request(Filter{Tables: []uint32{254},
			Link: func(l *object.Link) bool { return l.Name == "v0" }, Single: true}),
			[]object.DumpRequest{{Table: 254, OIF: 3}}, 1},
		{"a choice of none", request(Filter{Link: func(l *object.Link) bool { return false }}), nil, 0},
	} {
		k := &fakeKernel{fake: fake{T: t, Answer: byTable}}
		s, err := k.read(tc.req)
		if err != nil || !s.Consistent || size(s) != tc.rows || !reflect.DeepEqual(k.Routes(), tc.want) {
			t.Errorf("%s: %v, %+v, requests %+v", tc.name, err, s, k.Routes())
		}
	}
}

// TestReadCount asks for the number of routes: those of IPv4 and IPv6 are kept only
// where something changed so that one dump does not tell it.
func TestReadCount(t *testing.T) {
	for _, tc := range []struct {
		name        string
		change      []byte
		filter      Filter
		tries, kept int
		rows        int
	}{
		{"nothing changed", nil, Filter{}, 1, 0, 5},
		{"ipv4", nil, Filter{Families: []object.Family{object.IPv4}}, 1, 0, 2},
		{"no routes", nil, Filter{Tables: []uint32{77}}, 1, 0, 0},
		{"IPv4 changed where it does not matter", route4(0, 1, 254), Filter{}, 1, 0, 5},
		{"IPv4 changed where a datagram ended", route4(0, 2, 254), Filter{Tables: []uint32{254}}, 2, 2, 2},
		{"IPv6 changed", route6(0, 9, 255), Filter{}, 2, 1, 5},
	} {
		answer := func(r fakeRequest) []event {
			if r.Route.Table != 254 {
				return ordinary(r)
			}
			first, second := route4(r.Seq, 1, 254), route4(r.Seq, 3, 254)
			if r.Conn > 1 { // another one, whose datagrams end elsewhere
				return []event{datagram(first, second), datagram(done(r.Seq, 0))}
			}
			return []event{datagram(first), datagram(second), datagram(done(r.Seq, 0))}
		}
		k := &fakeKernel{fake: fake{T: t, Answer: answer, Hear: func(n int) []event {
			if n == 1 && tc.change != nil {
				return []event{datagram(tc.change)}
			}
			return nil
		}}}
		s, counted, err := k.kernel().read(t.Context(), request(tc.filter), &object.Grouping{})
		n := 0
		if counted != nil {
			n = counted.Total()
		}
		if err != nil || !s.Consistent || s.Tries != tc.tries || size(s) != tc.kept || n+size(s) != tc.rows {
			t.Errorf("%s: %v, %d tries, %d routes counted, %d kept", tc.name, err, s.Tries, n, size(s))
		}
		k.Drains = 0
		if n, consistent, err := k.kernel().Count(t.Context(), request(tc.filter)); err != nil || !consistent ||
			n != tc.rows {
			t.Errorf("%s: %v, %d routes, consistent %v", tc.name, err, n, consistent)
		}
	}
}

// TestReadNothing asks for what cannot be.
func TestReadNothing(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t, DialErr: func(Namespace, uint32) error {
		t.Error("a socket was opened")
		return nil
	}}}
	s, err := k.read(request(Filter{None: true}, object.Links.Kind))
	if err != nil || !s.Consistent || size(s) != 0 {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestReadEndsEarly has IPv6 routes where only IPv4 is wanted: the rest of the
// dump is not read, and what comes next has a connection of its own.
func TestReadEndsEarly(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		return []event{datagram(route4(r.Seq, 1, 254), route6(r.Seq, 1, 254)), datagram(route6(r.Seq, 2, 254)),
			datagram(route6(r.Seq, 3, 254))}
	})}}
	s, err := k.read(request(Filter{Families: []object.Family{object.IPv4}}, object.Links.Kind))
	if err != nil || !s.Consistent || size(s) != 1 || k.Conns != 2 {
		t.Errorf("%v, %+v, %d connections", err, s, k.Conns)
	}
}

// TestReadClosesSockets counts the files that are open before and after.
func TestReadClosesSockets(t *testing.T) {
	nstest.New(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	read := func() {
		if _, err := new(Kernel).Read(context.Background(), everything(Filter{})); err != nil {
			t.Fatal(err)
		}
		if _, err := new(Kernel).Read(context.Background(),
			request(Filter{Families: []object.Family{object.IPv4}}, object.Links.Kind)); err != nil {
			t.Fatal(err)
		}
		if _, err := new(Kernel).Read(ctx, request(Filter{})); err == nil {
			t.Fatal("a context that was cancelled makes no difference")
		}
	}
	read() // what is opened once
	before := nstest.OpenFiles(t)
	for range 100 {
		read()
	}
	if after := nstest.OpenFiles(t); after > before {
		t.Errorf("%d files are open, %d before", after, before)
	}
}

// TestReadBigRoutes has one route of 250 nexthops beside others, which makes a
// plain dump of IPv4 end at once.
func TestReadBigRoutes(t *testing.T) {
	manyRoutes(t, 2000)
	hops := ""
	for i := range 250 {
		hops += fmt.Sprintf(" nexthop via 10.0.1.%d", i+1)
	}
	nstest.IP(t, "route add 30.0.0.0/8 table 500"+hops)
	for _, f := range []Filter{{}, {Families: []object.Family{object.IPv4}}, {Tables: []uint32{254, 500}}} {
		s, err := new(Kernel).Read(context.Background(), request(f))
		if err != nil {
			t.Fatal(err)
		}
		n, big := 0, 0
		for c := s.Cursor(object.AllFields); c.Next(); {
			switch r := c.Route(); {
			case r.Table == 500:
				big += len(r.Multipath)
			case r.Family == object.IPv4 && r.Table == 254:
				n++
			}
		}
		if n != 2001 || big != 250 {
			t.Errorf("%+v: %d routes, %d nexthops", f, n, big)
		}
	}
}

// TestCursorPanics has what cannot be: a snapshot that holds what was not
// accepted.
func TestCursorPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var m object.Message
	if err := object.Routes.Check(&m, route4(0, 1, 254)); err != nil {
		t.Fatal(err)
	}
	run := m.RunIn(nltest.Padded(unix.RTM_NEWROUTE, 0, 0, []byte{1, 0, 0, 0}))
	c := NewSnapshot(true, map[*object.Kind][]object.Run{object.Routes.Kind: {run}}).Cursor(object.AllFields)
	c.Next()
	c.Route()
}

package rtnl

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// TestReadInterrupted sets NLM_F_DUMP_INTR in one message.
func TestReadInterrupted(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(fakeRequest) []event
	}{
		{"on a route", func(r fakeRequest) []event {
			return []event{datagram(route4(r.Seq, 1, 254), interruptedFlag(route4(r.Seq, 2, 254))),
				datagram(done(r.Seq, 0))}
		}},
		{"on DONE alone", func(r fakeRequest) []event {
			return []event{datagram(route4(r.Seq, 1, 254), route4(r.Seq, 2, 254)),
				datagram(interruptedFlag(done(r.Seq, 0)))}
		}},
		{"on a message of another type", func(r fakeRequest) []event {
			return []event{datagram(route4(r.Seq, 1, 254),
				interruptedFlag(nltest.Padded(unix.NLMSG_NOOP, 0, r.Seq, nil)), route4(r.Seq, 2, 254)),
				datagram(done(r.Seq, 0))}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETROUTE, 1, tc.answer)}}
			s, err := k.read(request(Filter{Families: []object.Family{object.IPv4}}))
			if err != nil || !s.Consistent || s.Tries != 2 || size(s) != 2 || k.Conns != 2 || k.logged() != 0 {
				t.Errorf("once: %v, %+v, %d connections, logged %s", err, s, k.Conns, &k.log)
			}
			k = &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETROUTE, always, tc.answer)}}
			s, err = k.read(request(Filter{}))
			if err != nil || s.Consistent || s.Tries != MaxTries || size(s) != 2 || k.Conns != MaxTries ||
				k.logged() != 1 {
				t.Errorf("always: %v, %+v, %d connections, logged %s", err, s, k.Conns, &k.log)
			}
			if !strings.Contains(k.log.String(), "level=WARN") ||
				!strings.Contains(k.log.String(), "routes_incomplete=true links_changed=false") {
				t.Errorf("logged %s", &k.log)
			}
		})
	}
}

// TestReadInterruptedElsewhere interrupts the dumps that are not of routes, where that means
// something: see TestObjectsInterrupted.
func TestReadInterruptedElsewhere(t *testing.T) {
	viaObject := func(r fakeRequest) []event {
		return []event{datagram(nltest.RouteMessage(r.Seq, nltest.ViaObject(object.IPv4))), datagram(done(r.Seq, 0))}
	}
	for _, tc := range []struct {
		name string
		typ  uint16
		msg  func(seq uint32) []byte
		op   string
	}{
		{"links", unix.RTM_GETLINK, func(seq uint32) []byte { return link(seq, 1, "lo") }, "dump links: "},
	} {
		for _, onDone := range []bool{false, true} {
			answer := func(n int) func(r fakeRequest) []event {
				return func(r fakeRequest) []event {
					switch {
					case r.Type == unix.RTM_GETROUTE:
						return viaObject(r)
					case r.Type != tc.typ || r.Conn > n:
						return ordinary(r)
					case onDone:
						return []event{datagram(tc.msg(r.Seq)), datagram(interruptedFlag(done(r.Seq, 0)))}
					}
					return []event{datagram(interruptedFlag(tc.msg(r.Seq)), tc.msg(r.Seq)), datagram(done(r.Seq, 0))}
				}
			}
			k := &fakeKernel{fake: fake{T: t, Answer: answer(2)}}
			s, err := k.read(everything(Filter{})) // all links, none by its index
			if err != nil || !s.Consistent || s.Tries != 3 || size(s) != 1 {
				t.Errorf("%s, on DONE %v: %v, %+v", tc.name, onDone, err, s)
			}
			k = &fakeKernel{fake: fake{T: t, Answer: answer(always)}}
			_, err = k.read(everything(Filter{}))
			if !errors.Is(err, ErrInterrupted) || !strings.HasPrefix(err.Error(), tc.op) || k.Conns != MaxTries {
				t.Errorf("%s, on DONE %v: %v, %d connections", tc.name, onDone, err, k.Conns)
			}
		}
	}
}

func TestReadListener(t *testing.T) {
	newRoute := func(table uint32) event { return datagram(route4(0, 1, table)) }
	newLink := datagram(link(0, 3, "v0"))
	newObject := datagram(nexthop(0, 5))
	newAddr := datagram(nltest.Padded(unix.RTM_NEWADDR, 0, 0, make([]byte, 8)))
	usesObject := func(r fakeRequest) []event {
		if r.Type == unix.RTM_GETROUTE {
			return []event{datagram(nltest.RouteMessage(r.Seq, nltest.ViaObject(object.IPv4)), route6(r.Seq, 1, 255)),
				datagram(done(r.Seq, 0))}
		}
		return ordinary(r)
	}
	for _, tc := range []struct {
		name   string
		events []event
		answer func(fakeRequest) []event
		req    Request
		tries  int // 1: it makes no difference
	}{
		{"overflow", []event{failure(unix.ENOBUFS)}, ordinary, request(Filter{}), 2},
		{"a message that is no message", []event{{Datagram: []byte{1, 2, 3}}}, ordinary, request(Filter{}), 2},
		{"a datagram that is too large", []event{{Datagram: make([]byte, 2*conn.MaxDatagram)}}, ordinary,
			request(Filter{}), 2},
		{"an address", []event{newAddr}, ordinary, request(Filter{}), 2},
		{"a link", []event{newLink}, ordinary, request(Filter{}), 2},
		{"a link, links wanted", []event{newLink}, ordinary, request(Filter{}, object.Links.Kind), 2},
		{"a nexthop object", []event{newObject}, usesObject, request(Filter{}, object.NexthopObjects.Kind), 2},
		{"a route in another table", []event{newRoute(1000)}, ordinary, request(Filter{}), 1},
		{"a route in another table with the same low byte", []event{newRoute(510)}, ordinary,
			request(Filter{Families: []object.Family{object.IPv4}}), 1},
		{"a route of a family that is not wanted", []event{datagram(route6(0, 9, 255))}, ordinary,
			request(Filter{Families: []object.Family{object.IPv4}}), 1},
		{"a route of the last table", []event{datagram(route6(0, 9, 255))}, ordinary, request(Filter{}), 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &fakeKernel{fake: fake{T: t, Answer: tc.answer, Hear: func(n int) []event {
				if n > 1 {
					return nil
				}
				return tc.events
			}}}
			s, err := k.read(tc.req)
			if err != nil || !s.Consistent || s.Tries != tc.tries || k.logged() != 0 {
				t.Errorf("once: %v, %+v", err, s)
			}
			if k.Listeners != 1 {
				t.Errorf("%d listeners", k.Listeners)
			}
			k = &fakeKernel{fake: fake{T: t, Answer: tc.answer, Hear: func(int) []event { return tc.events }}}
			s, err = k.read(tc.req)
			want := MaxTries
			if tc.tries == 1 {
				want = 1
			}
			if err != nil || s.Consistent != (want == 1) || s.Tries != want || k.logged() != min(want-1, 1) {
				t.Errorf("always: %v, %+v, logged %s", err, s, &k.log)
			}
			// Whatever happens, nothing is lost that every dump had, and nothing comes twice.
			if n := size(s); n != 5 && n != 2 {
				t.Errorf("%d routes", n)
			}
		})
	}
	k := &fakeKernel{fake: fake{T: t, Answer: ordinary, Hear: func(int) []event { return []event{failure(unix.EIO)} }}}
	if _, err := k.read(request(Filter{})); !errors.Is(err, unix.EIO) ||
		!strings.HasPrefix(err.Error(), "listen for changes: ") {
		t.Error(err)
	}
	k = &fakeKernel{fake: fake{T: t, Answer: ordinary, Hear: func(n int) []event {
		return []event{[]event{{}, newLink, failure(unix.EIO)}[n]}
	}}}
	if _, err := k.read(request(Filter{})); !errors.Is(err, unix.EIO) {
		t.Error(err)
	}
}

// TestReadListens has a dump so long that the listener's queue would overflow if it
// were asked at the end only.
func TestReadListens(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) (all []event) {
		for i := range 5 * 32 {
			all = append(all, datagram(route6(r.Seq, byte(i), 254)))
		}
		return append(all, datagram(done(r.Seq, 0)))
	})}}
	if s, err := k.read(request(Filter{})); err != nil || !s.Consistent || k.Drains < 5 {
		t.Errorf("%v, the listener was asked %d times", err, k.Drains)
	}
	// It breaks meanwhile.
	k.Drains, k.Hear = 0, func(n int) []event {
		if n == 2 {
			return []event{failure(unix.EBADF)}
		}
		return nil
	}
	if _, err := k.read(request(Filter{})); !errors.Is(err, unix.EBADF) {
		t.Error(err)
	}
}

// TestReadChangedLinks has an interface that is renamed while routes are read.
func TestReadChangedLinks(t *testing.T) {
	n := 0
	k := &fakeKernel{fake: fake{T: t, Hear: func(n int) []event {
		if n == 1 {
			return []event{datagram(link(0, 3, "new"))}
		}
		return nil
	}, Answer: func(r fakeRequest) []event {
		if r.Type == unix.RTM_GETLINK {
			n++
			return []event{datagram(link(r.Seq, 3, []string{"old", "new"}[n-1])), datagram(done(r.Seq, 0))}
		}
		return ordinary(r)
	}}}
	s, err := k.read(request(Filter{}, object.Links.Kind))
	if err != nil || !s.Consistent || n != 2 {
		t.Fatalf("%v, %+v, %d link dumps", err, s, n)
	}
	if l, _ := s.Link(3); l.Name != "new" {
		t.Errorf("link is %+v", l)
	}
}

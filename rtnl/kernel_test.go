package rtnl

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// ordinary answers every request well: two routes of each family, two
// interfaces, one nexthop object.
func ordinary(r fakeRequest) []event {
	switch r.typ {
	case unix.RTM_GETLINK:
		return links(r, Link{Index: 1, Name: "lo"}, Link{Index: 3, Name: "v0"})
	case unix.RTM_GETNEXTHOP:
		return []event{datagram(object(r.seq, 5)), datagram(done(r.seq, 0))}
	}
	var all [][]byte
	if r.route.family != IPv6 {
		all = append(all, route4(r.seq, 1, 254), route4(r.seq, 2, 254))
	}
	if r.route.family != IPv4 {
		all = append(all, route6(r.seq, 1, 254), route6(r.seq, 2, 254), route6(r.seq, 3, 255))
	}
	return []event{datagram(all...), datagram(done(r.seq, 0))}
}

// broken answers as ordinary does, but for one type of request on the first n
// connections.
func broken(typ uint16, n int, answer func(fakeRequest) []event) func(fakeRequest) []event {
	return func(r fakeRequest) []event {
		if r.typ == typ && r.conn <= n {
			return answer(r)
		}
		return ordinary(r)
	}
}

func size(s *Snapshot) (n int) {
	for c := s.Cursor(0); c.Next(); {
		n++
	}
	return n
}

const always = 1000

func TestReadOrdinary(t *testing.T) {
	k := &fakeKernel{t: t, answer: ordinary}
	s, err := k.read(Request{Links: true, Nexthops: true})
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
	if _, ok := s.Object(5); ok || k.conns != 1 || k.listeners != 1 || k.logged() != 0 {
		t.Errorf("%d connections, %d lines logged", k.conns, k.logged())
	}
	if s, err := k.read(Request{}); err != nil {
		t.Error(err)
	} else if _, ok := s.Link(3); ok {
		t.Error("links were read that nobody asked for")
	}
}

// TestReadInterrupted sets NLM_F_DUMP_INTR in one message.
func TestReadInterrupted(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(fakeRequest) []event
	}{
		{"on a route", func(r fakeRequest) []event {
			return []event{datagram(route4(r.seq, 1, 254), interruptedFlag(route4(r.seq, 2, 254))), datagram(done(r.seq, 0))}
		}},
		{"on DONE alone", func(r fakeRequest) []event {
			return []event{datagram(route4(r.seq, 1, 254), route4(r.seq, 2, 254)), datagram(interruptedFlag(done(r.seq, 0)))}
		}},
		{"on a message of another type", func(r fakeRequest) []event {
			return []event{datagram(route4(r.seq, 1, 254), interruptedFlag(message(unix.NLMSG_NOOP, 0, r.seq, nil)), route4(r.seq, 2, 254)), datagram(done(r.seq, 0))}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &fakeKernel{t: t, answer: broken(unix.RTM_GETROUTE, 1, tc.answer)}
			s, err := k.read(Request{Filter: Filter{Families: []Family{IPv4}}})
			if err != nil || !s.Consistent || s.Tries != 2 || size(s) != 2 || k.conns != 2 || k.logged() != 0 {
				t.Errorf("once: %v, %+v, %d connections, logged %s", err, s, k.conns, &k.log)
			}
			k = &fakeKernel{t: t, answer: broken(unix.RTM_GETROUTE, always, tc.answer)}
			s, err = k.read(Request{})
			if err != nil || s.Consistent || s.Tries != MaxTries || size(s) != 2 || k.conns != MaxTries || k.logged() != 1 {
				t.Errorf("always: %v, %+v, %d connections, logged %s", err, s, k.conns, &k.log)
			}
			if !strings.Contains(k.log.String(), "level=WARN") || !strings.Contains(k.log.String(), "routes_incomplete=true links_changed=false") {
				t.Errorf("logged %s", &k.log)
			}
		})
	}
}

// TestReadInterruptedElsewhere interrupts the dumps that are not of routes.
func TestReadInterruptedElsewhere(t *testing.T) {
	viaObject := func(r fakeRequest) []event {
		return []event{datagram(message(unix.RTM_NEWROUTE, 0, r.seq, appendRoute(nil, viaObject(IPv4)))), datagram(done(r.seq, 0))}
	}
	for _, tc := range []struct {
		name string
		typ  uint16
		msg  func(seq uint32) []byte
		op   string
	}{
		{"links", unix.RTM_GETLINK, func(seq uint32) []byte { return link(seq, 1, "lo") }, "dump links: "},
		{"nexthop objects", unix.RTM_GETNEXTHOP, func(seq uint32) []byte { return object(seq, 5) }, "dump nexthop objects: "},
	} {
		for _, onDone := range []bool{false, true} {
			answer := func(n int) func(r fakeRequest) []event {
				return func(r fakeRequest) []event {
					switch {
					case r.typ == unix.RTM_GETROUTE:
						return viaObject(r)
					case r.typ != tc.typ || r.conn > n:
						return ordinary(r)
					case onDone:
						return []event{datagram(tc.msg(r.seq)), datagram(interruptedFlag(done(r.seq, 0)))}
					}
					return []event{datagram(interruptedFlag(tc.msg(r.seq)), tc.msg(r.seq)), datagram(done(r.seq, 0))}
				}
			}
			k := &fakeKernel{t: t, answer: answer(2)}
			s, err := k.read(Request{Links: true, Nexthops: true, raw: true}) // all links, none by its index
			if err != nil || !s.Consistent || s.Tries != 3 || size(s) != 1 {
				t.Errorf("%s, on DONE %v: %v, %+v", tc.name, onDone, err, s)
			}
			k = &fakeKernel{t: t, answer: answer(always)}
			_, err = k.read(Request{Links: true, Nexthops: true, raw: true})
			if !errors.Is(err, ErrInterrupted) || !strings.HasPrefix(err.Error(), tc.op) || k.conns != MaxTries {
				t.Errorf("%s, on DONE %v: %v, %d connections", tc.name, onDone, err, k.conns)
			}
		}
	}
}

func TestReadRetries(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(fakeRequest) []event
		kind   error
		tries  int
		text   string
	}{
		{"receive buffer overflows", func(r fakeRequest) []event {
			return []event{datagram(route4(r.seq, 1, 254)), failure(unix.ENOBUFS)}
		}, ErrInterrupted, MaxTries, "dump routes: dump interrupted; routes change too fast: ask again, or ask for one table"},
		{"overrun", func(r fakeRequest) []event {
			return []event{datagram(route4(r.seq, 1, 254), message(unix.NLMSG_OVERRUN, 0, r.seq, nil))}
		}, ErrInterrupted, MaxTries, "dump interrupted"},
		{"a table comes twice", func(r fakeRequest) []event {
			return []event{datagram(route4(r.seq, 1, 254), route4(r.seq, 2, 255), route4(r.seq, 3, 254)), datagram(done(r.seq, 0))}
		}, ErrInterrupted, MaxTries, "dump interrupted"},
		{"a route does not fit", func(r fakeRequest) []event {
			return []event{datagram(route4(r.seq, 1, 254)), datagram(done(r.seq, uint32(unix.EMSGSIZE)))}
		}, ErrTooLarge, 2, "dump routes: a route is too large for a netlink message; it has more nexthops than 32 KiB hold: put them into a nexthop group and set net.ipv4.nexthop_compat_mode=0, or ask for another table"},
		{"empty datagram", func(r fakeRequest) []event { return []event{datagram(route6(r.seq, 1, 254)), {b: []byte{}}} }, ErrTooLarge, 2, "dump routes: a route is too large"},
		{"a datagram that fills the buffer", func(r fakeRequest) []event { return []event{{b: make([]byte, 4*maxDatagram)}} }, ErrTooLarge, 2, "dump routes: a route is too large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &fakeKernel{t: t, answer: broken(unix.RTM_GETROUTE, 1, tc.answer)}
			s, err := k.read(Request{})
			if err != nil || !s.Consistent || s.Tries != 2 || size(s) != 5 || k.conns != 2 {
				t.Errorf("once: %v, %+v, %d connections", err, s, k.conns)
			}
			k = &fakeKernel{t: t, answer: broken(unix.RTM_GETROUTE, always, tc.answer)}
			_, err = k.read(Request{})
			var read *ReadError
			if !errors.Is(err, tc.kind) || !errors.As(err, &read) || read.Kind != tc.kind || k.conns != tc.tries || !strings.HasPrefix(err.Error(), "dump routes: ") || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("always: %v, %d connections", err, k.conns)
			}
			if k.logged() != 0 {
				t.Errorf("logged %s", &k.log)
			}
		})
	}
}

// TestReadTooLargeAndInterrupted has both in turns: it ends all the same.
func TestReadTooLargeAndInterrupted(t *testing.T) {
	k := &fakeKernel{t: t, answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		if r.conn%2 == 0 {
			return []event{failure(unix.ENOBUFS)}
		}
		return []event{datagram(done(r.seq, uint32(unix.EMSGSIZE)))}
	})}
	if _, err := k.read(Request{}); !errors.Is(err, ErrTooLarge) || k.conns != MaxTries {
		t.Errorf("%v, %d connections", err, k.conns)
	}
}

func TestReadErrors(t *testing.T) {
	const words = "Unknown attribute"
	nlmsgerr := func(flags uint16, errno uint32, rest ...[]byte) func(fakeRequest) []event {
		return func(r fakeRequest) []event {
			return []event{datagram(message(unix.NLMSG_ERROR, flags, r.seq, encCat(encNE(-errno), slices.Concat(rest...))))}
		}
	}
	echo := func(n int) []byte { return message(unix.RTM_GETROUTE, 0, 1, make([]byte, n-unix.NLMSG_HDRLEN)) }
	ext := encAttr(nlmsgerrAttrMsg, encStr(words))
	for _, tc := range []struct {
		name   string
		answer func(fakeRequest) []event
		is     error
		text   string
	}{
		{"DONE with an errno", func(r fakeRequest) []event {
			return []event{datagram(route4(r.seq, 1, 254)), datagram(done(r.seq, uint32(unix.EINVAL)))}
		}, unix.EINVAL, "dump routes: invalid argument"},
		{"DONE with words", func(r fakeRequest) []event { return []event{datagram(done(r.seq, uint32(unix.EINVAL), words))} }, unix.EINVAL, "dump routes: invalid argument: " + words},
		{"DONE with a positive errno", func(r fakeRequest) []event { return []event{datagram(done(r.seq, 1<<32-5))} }, nil, "dump routes: error 5"},
		{"ERROR", nlmsgerr(0, uint32(unix.EOPNOTSUPP)), unix.EOPNOTSUPP, "operation not supported"},
		{"ERROR with the request", nlmsgerr(0, uint32(unix.EINVAL), echo(28)), unix.EINVAL, "dump routes: invalid argument"},
		{"ERROR with words", nlmsgerr(unix.NLM_F_ACK_TLVS, uint32(unix.EINVAL), echo(36), encAttr(2, encNE(uint32(7))), ext), unix.EINVAL, words},
		{"ERROR with words, capped", nlmsgerr(unix.NLM_F_ACK_TLVS|unix.NLM_F_CAPPED, uint32(unix.EINVAL), echo(36)[:16], ext), unix.EINVAL, words},
		{"ERROR whose request says that it is longer", nlmsgerr(0, uint32(unix.EINVAL), encWith(echo(16), 0, 255), ext), unix.EINVAL, "invalid argument"},
		{"ERROR whose request says that it is shorter", nlmsgerr(0, uint32(unix.EINVAL), encWith(echo(16), 0, 1), ext), unix.EINVAL, words},
		{"EPERM", nlmsgerr(0, uint32(unix.EPERM)), ErrPermission, "not permitted: operation not permitted; reading routes needs no privilege"},
		{"EACCES", nlmsgerr(0, uint32(unix.EACCES)), syscall.EACCES, "not permitted"},
		{"receive fails", func(fakeRequest) []event { return []event{failure(unix.EIO)} }, unix.EIO, "dump routes: input/output error"},
		{"send fails", func(fakeRequest) []event { return []event{failure(errSend)} }, errSend, "dump routes: cannot send"},
		{"short header", func(r fakeRequest) []event {
			return []event{{b: append(route4(r.seq, 1, 254), make([]byte, 15)...)}}
		}, ErrMalformed, "malformed datagram at byte " + fmt.Sprint(len(route4(1, 1, 254))) + ": shorter than struct nlmsghdr; please report it"},
		{"length 0", func(r fakeRequest) []event { return []event{{b: make([]byte, 16)}} }, ErrMalformed, "malformed datagram at byte 0: nlmsg_len does not fit"},
		{"length too large", func(r fakeRequest) []event {
			return []event{{b: route4(r.seq, 1, 254)[:40]}}
		}, ErrMalformed, "malformed datagram at byte 0: nlmsg_len does not fit"},
		{"short ERROR", func(r fakeRequest) []event {
			return []event{datagram(route4(r.seq, 1, 254), message(unix.NLMSG_ERROR, 0, r.seq, []byte{1, 2})[:20])}
		}, ErrMalformed, "malformed datagram at byte " + fmt.Sprint(len(route4(1, 1, 254))) + ": shorter than struct nlmsgerr"},
		{"malformed route", func(r fakeRequest) []event {
			return []event{datagram(message(unix.RTM_NEWROUTE, 0, r.seq, append(rtmsg(IPv4), 3, 0, 0, 0)))}
		}, ErrMalformed, "dump routes: malformed route at byte 12: attribute does not fit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &fakeKernel{t: t, answer: broken(unix.RTM_GETROUTE, always, tc.answer)}
			_, err := k.read(Request{})
			if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.text) || k.conns != 1 {
				t.Errorf("%v, %d connections", err, k.conns)
			}
			var m *MalformedError
			if errors.As(err, &m) != errors.Is(err, ErrMalformed) {
				t.Errorf("%v is malformed and not", err)
			}
		})
	}
	for _, typ := range []uint16{unix.RTM_GETLINK, unix.RTM_GETNEXTHOP} {
		k := &fakeKernel{t: t, answer: broken(typ, always, func(r fakeRequest) []event {
			return []event{datagram(message(typ-2, 0, r.seq, []byte{1, 2, 3}))}
		})}
		if _, err := k.read(Request{Links: true, raw: true}); !errors.Is(err, ErrMalformed) {
			t.Errorf("request %d: %v", typ, err)
		}
	}
}

// TestReadAbsent has what is absent and no error.
func TestReadAbsent(t *testing.T) {
	one := func(errno uint32) func(fakeRequest) []event {
		return broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event { return []event{datagram(done(r.seq, errno))} })
	}
	noObjects := func(r fakeRequest) []event {
		switch r.typ {
		case unix.RTM_GETNEXTHOP:
			return []event{datagram(message(unix.NLMSG_ERROR, 0, r.seq, done(r.seq, uint32(unix.EOPNOTSUPP))[unix.NLMSG_HDRLEN:]))}
		case unix.RTM_GETROUTE:
			return []event{datagram(message(unix.RTM_NEWROUTE, 0, r.seq, appendRoute(nil, viaObject(IPv4)))), datagram(done(r.seq, 0))}
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
		{"table", one(uint32(unix.ENOENT)), Request{Filter: Filter{Tables: []uint32{77}}}, 0, nil},
		{"interface", one(uint32(unix.ENODEV)), Request{Filter: Filter{OIFs: []uint32{77}, Single: true}}, 0, nil},
		{"routes", one(0), Request{}, 0, nil},
		{"what was not asked for", one(uint32(unix.ENOENT)), Request{}, 0, unix.ENOENT},
		{"an interface that was not asked for", one(uint32(unix.ENODEV)), Request{Filter: Filter{OIFs: []uint32{77}}}, 0, unix.ENODEV},
		{"nexthop objects, before Linux 5.3", noObjects, Request{Nexthops: true}, 1, nil},
	} {
		k := &fakeKernel{t: t, answer: tc.answer}
		s, err := k.read(tc.req)
		if !errors.Is(err, tc.err) || err == nil && (!s.Consistent || size(s) != tc.rows) {
			t.Errorf("%s: %v, %+v", tc.name, err, s)
		}
	}
	// DONE without an errno, and in the datagram of the last route.
	k := &fakeKernel{t: t, answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		return []event{datagram(route4(r.seq, 1, 254), message(unix.NLMSG_DONE, 0, r.seq, nil))}
	})}
	if s, err := k.read(Request{}); err != nil || !s.Consistent || size(s) != 1 {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestReadForeign has messages that answer something else.
func TestReadForeign(t *testing.T) {
	var foreign []event
	for range 2 * asideAfter {
		foreign = append(foreign, datagram(route4(7, 9, 254), interruptedFlag(done(7, uint32(unix.EINVAL)))))
	}
	k := &fakeKernel{t: t, answer: func(r fakeRequest) []event { return slices.Concat(foreign, ordinary(r)) }}
	s, err := k.read(Request{Links: true})
	if err != nil || !s.Consistent || s.Tries != 1 || size(s) != 5 {
		t.Errorf("%v, %+v", err, s)
	}
	// And of another type, or another family.
	k = &fakeKernel{t: t, answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		can := rtmsg(29)
		return []event{datagram(link(r.seq, 1, "lo"), route4(r.seq, 1, 254), message(unix.RTM_NEWROUTE, 0, r.seq, can)), datagram(done(r.seq, 0))}
	})}
	if s, err := k.read(Request{}); err != nil || size(s) != 1 {
		t.Errorf("%v, %+v", err, s)
	}
}

func TestReadListener(t *testing.T) {
	newRoute := func(table uint32) event { return datagram(route4(0, 1, table)) }
	newLink := datagram(link(0, 3, "v0"))
	newObject := datagram(object(0, 5))
	newAddr := datagram(message(unix.RTM_NEWADDR, 0, 0, make([]byte, 8)))
	usesObject := func(r fakeRequest) []event {
		if r.typ == unix.RTM_GETROUTE {
			return []event{datagram(message(unix.RTM_NEWROUTE, 0, r.seq, appendRoute(nil, viaObject(IPv4))), route6(r.seq, 1, 255)), datagram(done(r.seq, 0))}
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
		{"overflow", []event{failure(unix.ENOBUFS)}, ordinary, Request{}, 2},
		{"a message that is no message", []event{{b: []byte{1, 2, 3}}}, ordinary, Request{}, 2},
		{"a datagram that is too large", []event{{b: make([]byte, 2*maxDatagram)}}, ordinary, Request{}, 2},
		{"an address", []event{newAddr}, ordinary, Request{}, 2},
		{"a link", []event{newLink}, ordinary, Request{}, 2},
		{"a link, links wanted", []event{newLink}, ordinary, Request{Links: true}, 2},
		{"a nexthop object", []event{newObject}, usesObject, Request{Nexthops: true}, 2},
		{"a route in another table", []event{newRoute(1000)}, ordinary, Request{}, 1},
		{"a route in another table with the same low byte", []event{newRoute(510)}, ordinary, Request{Filter: Filter{Families: []Family{IPv4}}}, 1},
		{"a route of a family that is not wanted", []event{datagram(route6(0, 9, 255))}, ordinary, Request{Filter: Filter{Families: []Family{IPv4}}}, 1},
		{"a route of the last table", []event{datagram(route6(0, 9, 255))}, ordinary, Request{}, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &fakeKernel{t: t, answer: tc.answer, hear: func(n int) []event {
				if n > 1 {
					return nil
				}
				return tc.events
			}}
			s, err := k.read(tc.req)
			if err != nil || !s.Consistent || s.Tries != tc.tries || k.logged() != 0 {
				t.Errorf("once: %v, %+v", err, s)
			}
			if k.listeners != 1 {
				t.Errorf("%d listeners", k.listeners)
			}
			k = &fakeKernel{t: t, answer: tc.answer, hear: func(int) []event { return tc.events }}
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
	k := &fakeKernel{t: t, answer: ordinary, hear: func(int) []event { return []event{failure(unix.EIO)} }}
	if _, err := k.read(Request{}); !errors.Is(err, unix.EIO) || !strings.HasPrefix(err.Error(), "listen for changes: ") {
		t.Error(err)
	}
	k = &fakeKernel{t: t, answer: ordinary, hear: func(n int) []event {
		return []event{[]event{{}, newLink, failure(unix.EIO)}[n]}
	}}
	if _, err := k.read(Request{}); !errors.Is(err, unix.EIO) {
		t.Error(err)
	}
}

// TestReadListens has a dump so long that the listener's queue would overflow if it
// were asked at the end only.
func TestReadListens(t *testing.T) {
	k := &fakeKernel{t: t, answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) (all []event) {
		for i := range 5 * listenAfter {
			all = append(all, datagram(route6(r.seq, byte(i), 254)))
		}
		return append(all, datagram(done(r.seq, 0)))
	})}
	if s, err := k.read(Request{}); err != nil || !s.Consistent || k.drains < 5 {
		t.Errorf("%v, the listener was asked %d times", err, k.drains)
	}
	// It breaks meanwhile.
	k.drains, k.hear = 0, func(n int) []event {
		if n == 2 {
			return []event{failure(unix.EBADF)}
		}
		return nil
	}
	if _, err := k.read(Request{}); !errors.Is(err, unix.EBADF) {
		t.Error(err)
	}
}

// TestReadChangedLinks has an interface that is renamed while routes are read.
func TestReadChangedLinks(t *testing.T) {
	n := 0
	k := &fakeKernel{t: t, hear: func(n int) []event {
		if n == 1 {
			return []event{datagram(link(0, 3, "new"))}
		}
		return nil
	}, answer: func(r fakeRequest) []event {
		if r.typ == unix.RTM_GETLINK {
			n++
			return []event{datagram(link(r.seq, 3, []string{"old", "new"}[n-1])), datagram(done(r.seq, 0))}
		}
		return ordinary(r)
	}}
	s, err := k.read(Request{Links: true})
	if err != nil || !s.Consistent || n != 2 {
		t.Fatalf("%v, %+v, %d link dumps", err, s, n)
	}
	if l, _ := s.Link(3); l.Name != "new" {
		t.Errorf("link is %+v", l)
	}
}

func TestReadDial(t *testing.T) {
	for _, tc := range []struct {
		err, kind error
		text      string
	}{
		{unix.EPERM, ErrPermission, "open a netlink socket: not permitted: operation not permitted; reading routes needs no privilege"},
		{unix.EACCES, ErrPermission, "look for a seccomp or LSM rule that denies AF_NETLINK"},
		{os.NewSyscallError("socket", unix.EMFILE), ErrSocket, "open a netlink socket: cannot open the netlink socket: socket: too many open files; check that"},
		{unix.EPROTONOSUPPORT, ErrSocket, "protocol not supported"},
	} {
		for _, listener := range []bool{true, false} {
			k := &fakeKernel{t: t, answer: ordinary, dialErr: func(groups uint32) error {
				if (groups != 0) == listener {
					return tc.err
				}
				return nil
			}}
			_, err := k.read(Request{})
			if !errors.Is(err, tc.kind) || !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.text) || len(k.requests) > 0 {
				t.Errorf("listener %v: %v", listener, err)
			}
		}
	}
}

func TestReadGroups(t *testing.T) {
	var groups []uint32
	k := &fakeKernel{t: t, answer: ordinary, dialErr: func(g uint32) error { groups = append(groups, g); return nil }}
	if _, err := k.read(Request{}); err != nil {
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
	k := &fakeKernel{t: t, lax: true, answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		return []event{datagram(route4(r.seq, 1, 254), route4(r.seq, 2, 1000), route6(r.seq, 1, 254)), datagram(done(r.seq, 0))}
	})}
	s, err := k.read(Request{Filter: Filter{Tables: []uint32{254, 1000}, Protocols: []uint8{4}, Types: []RouteType{Unicast}, OIFs: []uint32{3}, Single: true}})
	if err != nil || size(s) != 3 || !s.Consistent {
		t.Errorf("%v, %+v", err, s)
	}
	for _, r := range k.routes() {
		if r != (dumpRequest{}) {
			t.Errorf("request %+v", r)
		}
	}
}

func TestReadRequests(t *testing.T) {
	byTable := broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		return []event{datagram(route4(r.seq, byte(r.route.table), r.route.table)), datagram(done(r.seq, 0))}
	})
	for _, tc := range []struct {
		name string
		req  Request
		want []dumpRequest
		rows int
	}{
		{"two tables", Request{Filter: Filter{Tables: []uint32{1000, 254}}}, []dumpRequest{{table: 254}, {table: 1000}}, 2},
		{"conditions", Request{Filter: Filter{Tables: []uint32{254}, Protocols: []uint8{4}, Types: []RouteType{Unicast}, OIFs: []uint32{3}, Single: true}},
			[]dumpRequest{{table: 254, typ: Unicast, protocol: 4, oif: 3}}, 1},
		{"a choice of interfaces", Request{Filter: Filter{Tables: []uint32{254}, Link: func(l *Link) bool { return l.Name == "v0" }, Single: true}}, []dumpRequest{{table: 254, oif: 3}}, 1},
		{"a choice of none", Request{Filter: Filter{Link: func(l *Link) bool { return false }}}, nil, 0},
	} {
		k := &fakeKernel{t: t, answer: byTable}
		s, err := k.read(tc.req)
		if err != nil || !s.Consistent || size(s) != tc.rows || !reflect.DeepEqual(k.routes(), tc.want) {
			t.Errorf("%s: %v, %+v, requests %+v", tc.name, err, s, k.routes())
		}
	}
}

// TestReadCount asks for the number of routes: those of IPv4 are kept only where
// something changed so that one dump does not tell it. kept is in runs.
func TestReadCount(t *testing.T) {
	for _, tc := range []struct {
		name        string
		change      []byte
		filter      Filter
		tries, kept int
		rows        int
	}{
		{"nothing changed", nil, Filter{}, 1, 2, 5},
		{"ipv4", nil, Filter{Families: []Family{IPv4}}, 1, 0, 2},
		{"no routes", nil, Filter{Tables: []uint32{77}}, 1, 0, 0},
		{"IPv4 changed where it does not matter", route4(0, 1, 254), Filter{}, 1, 2, 5},
		{"IPv4 changed where a datagram ended", route4(0, 2, 254), Filter{Tables: []uint32{254}}, 2, 1, 2},
		{"IPv6 changed", route6(0, 9, 255), Filter{}, 2, 2, 5},
	} {
		answer := func(r fakeRequest) []event {
			if r.route.table != 254 {
				return ordinary(r)
			}
			first, second := route4(r.seq, 1, 254), route4(r.seq, 3, 254)
			if r.conn > 1 { // another one, whose datagrams end elsewhere
				return []event{datagram(first, second), datagram(done(r.seq, 0))}
			}
			return []event{datagram(first), datagram(second), datagram(done(r.seq, 0))}
		}
		k := &fakeKernel{t: t, answer: answer, hear: func(n int) []event {
			if n == 1 && tc.change != nil {
				return []event{datagram(tc.change)}
			}
			return nil
		}}
		s, err := k.read(Request{Filter: tc.filter, Count: true})
		if err != nil || !s.Consistent || s.Tries != tc.tries || len(s.routes) != tc.kept || size(s) != tc.rows {
			t.Errorf("%s: %v, %d tries, %d routes and %d kept runs", tc.name, err, s.Tries, size(s), len(s.routes))
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a route that is not there was decoded")
		}
	}()
	c := (&Snapshot{counted: 1}).Cursor(AllFields)
	c.Next()
	c.Route()
}

// TestReadNothing asks for what cannot be.
func TestReadNothing(t *testing.T) {
	k := &fakeKernel{t: t, dialErr: func(uint32) error { t.Error("a socket was opened"); return nil }}
	s, err := k.read(Request{Filter: Filter{Families: []Family{}}, Links: true})
	if err != nil || !s.Consistent || size(s) != 0 {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestReadEndsEarly has IPv6 routes where only IPv4 is wanted: the rest of the
// dump is not read, and what comes next has a connection of its own.
func TestReadEndsEarly(t *testing.T) {
	k := &fakeKernel{t: t, answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		return []event{datagram(route4(r.seq, 1, 254), route6(r.seq, 1, 254)), datagram(route6(r.seq, 2, 254)), datagram(route6(r.seq, 3, 254))}
	})}
	s, err := k.read(Request{Filter: Filter{Families: []Family{IPv4}}, Links: true})
	if err != nil || !s.Consistent || size(s) != 1 || k.conns != 2 {
		t.Errorf("%v, %+v, %d connections", err, s, k.conns)
	}
}

func TestReadDeadline(t *testing.T) {
	silent := func(fakeRequest) []event { return nil }
	k := &fakeKernel{t: t, answer: silent}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := k.kernel().Read(ctx, Request{})
	if !errors.Is(err, ErrDeadline) || !errors.Is(err, context.DeadlineExceeded) || k.conns != 1 || k.open != 0 ||
		errors.Is(err, ErrCanceled) || err.Error() !=
		"dump routes: context deadline exceeded: the caller's deadline passed; "+
			"allow more time, or ask for less: one table, one destination" {
		t.Errorf("%v, %d connections, %d open", err, k.conns, k.open)
	}
	// It was over before.
	if _, err = k.kernel().Read(ctx, Request{}); !errors.Is(err, ErrDeadline) || k.conns != 1 {
		t.Errorf("%v, %d connections", err, k.conns)
	}
	// Someone no longer wants to know.
	ctx, stop := context.WithCancelCause(context.Background())
	why := errors.New("no more interest")
	k = &fakeKernel{t: t, answer: func(r fakeRequest) []event { stop(why); return nil }}
	_, err = k.kernel().Read(ctx, Request{})
	if !canceled(err) || !errors.Is(err, why) || k.open != 0 || err.Error() != "dump routes: "+
		"no more interest (context canceled): the caller canceled it; ask again if the answer is still wanted" {
		t.Errorf("%v, %d open", err, k.open)
	}
	ctx, stop = context.WithCancelCause(context.Background())
	k = &fakeKernel{t: t, answer: func(r fakeRequest) []event { stop(nil); return []event{failure(errSend)} }}
	if _, err = k.kernel().Read(ctx, Request{}); !canceled(err) {
		t.Error(err)
	}
	// The cause may be an error that means something of its own.
	ctx, cancel = context.WithTimeoutCause(context.Background(), time.Millisecond, unix.EPERM)
	defer cancel()
	k = &fakeKernel{t: t, answer: silent}
	if _, err = k.kernel().Read(ctx, Request{}); !errors.Is(err, ErrDeadline) || errors.Is(err, ErrPermission) ||
		!errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
}

// canceled reports whether an error is told as the caller's who canceled, and not as
// one who wants an answer and has no more time.
func canceled(err error) bool {
	return errors.Is(err, ErrCanceled) && errors.Is(err, context.Canceled) && !errors.Is(err, ErrDeadline)
}

// TestReadErrorText has the texts of errors without a kind, and of some that are
// wrapped already.
func TestReadErrorText(t *testing.T) {
	first := readError("dump links", fmt.Errorf("somewhere: %w", unix.EPERM))
	if again := readError("dump routes", first); again != first {
		t.Errorf("%v became %v", first, again)
	}
	for _, c := range []struct {
		err  *ReadError
		want string
	}{
		{&ReadError{Op: "op", Err: io.EOF}, "op: EOF"},
		{&ReadError{Op: "op", Kind: ErrSocket}, "op: cannot open the netlink socket"},
		{&ReadError{Op: "op", Kind: ErrSocket, Err: io.EOF, Remedy: "do"}, "op: cannot open the netlink socket: EOF; do"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if errors.Is(readError("op", io.EOF), ErrInterrupted) || !errors.Is(readError("op", io.EOF), io.EOF) {
		t.Error("EOF is not what it was")
	}
}

// A mute socket is the kernel's, but its requests for routes are not sent.
type mute struct {
	socket
	before func()
}

func (m mute) send(msg netlink.Message) (netlink.Message, error) {
	if msg.Header.Type != unix.RTM_GETROUTE {
		return m.socket.send(msg)
	}
	m.before()
	return msg, nil
}

// TestReadCancelledKernel waits for a kernel that has nothing to say.
func TestReadCancelledKernel(t *testing.T) {
	nstest.New(t)
	ctx, cancel := context.WithCancel(context.Background())
	k := Kernel{dial: func(ctx context.Context, groups uint32) (socket, bool, error) {
		s, strict, err := dialKernel(ctx, groups)
		return mute{s, cancel}, strict, err
	}}
	result := make(chan error, 1)
	go func() {
		_, err := k.Read(ctx, Request{})
		result <- err
	}()
	select {
	case err := <-result:
		if !canceled(err) || !strings.HasPrefix(err.Error(), "dump routes: context canceled") {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Read goes on after its context was cancelled")
	}
	if _, err := new(Kernel).Read(ctx, Request{}); !canceled(err) {
		t.Error(err)
	}
}

// TestReadClosesSockets counts the files that are open before and after.
func TestReadClosesSockets(t *testing.T) {
	nstest.New(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	read := func() {
		if _, err := new(Kernel).Read(context.Background(), Request{Links: true, raw: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := new(Kernel).Read(context.Background(), Request{Filter: Filter{Families: []Family{IPv4}}, Links: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := new(Kernel).Read(ctx, Request{}); err == nil {
			t.Fatal("a context that was cancelled makes no difference")
		}
	}
	read() // what is opened once
	before := openFiles(t)
	for range 100 {
		read()
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files are open, %d before", after, before)
	}
}

func openFiles(t *testing.T) int {
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
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
	for _, f := range []Filter{{}, {Families: []Family{IPv4}}, {Tables: []uint32{254, 500}}} {
		s, err := new(Kernel).Read(context.Background(), Request{Filter: f})
		if err != nil {
			t.Fatal(err)
		}
		n, big := 0, 0
		for c := s.Cursor(AllFields); c.Next(); {
			switch r := c.Route(); {
			case r.Table == 500:
				big += len(r.Multipath)
			case r.Family == IPv4 && r.Table == 254:
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
	c := (&Snapshot{routes: [][]byte{message(unix.RTM_NEWROUTE, 0, 0, []byte{1})}}).Cursor(AllFields)
	c.Next()
	c.Route()
}

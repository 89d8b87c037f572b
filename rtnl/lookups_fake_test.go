package rtnl

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A way is a route as a fake kernel answers with it: its table and its gateway.
type way struct{ table, gateway uint32 }

// TestLookupAsksAgain has all that can happen between the answers.
func TestLookupAsksAgain(t *testing.T) {
	unreachable := way{gateway: uint32(syscall.ENETUNREACH)}
	noRoute := way{gateway: uint32(syscall.EHOSTUNREACH)}
	one, two, other := way{254, 1}, way{254, 2}, way{500, 1}
	none := way{0, 1}
	for _, c := range []struct {
		name    string
		want    Want
		answers []way // A M A, or M A
		asked   int
		check   func(*Lookup) bool
	}{
		{"nothing changes", WantAnswer | WantMatch, []way{one, one, one}, 3,
			func(l *Lookup) bool { return l.Consistent }},
		{"only the answer", WantAnswer, []way{one}, 1, func(l *Lookup) bool { return l.Match == nil }},
		{"only the route", WantMatch, []way{one}, 1, func(l *Lookup) bool { return l.Answer == nil && l.Match != nil }},
		{"another answer", WantAnswer | WantMatch, []way{one, two, two, two, two, two}, 6,
			func(l *Lookup) bool { return l.Consistent && l.Match.Gateway == l.Answer.Gateway }},
		{"another table meanwhile", WantAnswer | WantMatch, []way{one, other, one, one, one, one}, 6,
			func(l *Lookup) bool { return l.Consistent && l.Match.Table == 254 }},
		{"no route meanwhile", WantAnswer | WantMatch, []way{one, unreachable, one, one, one, one}, 6,
			func(l *Lookup) bool { return l.Consistent && l.Match != nil }},
		{"no route at the end", WantAnswer | WantMatch, []way{one, one, unreachable, unreachable}, 4,
			func(l *Lookup) bool { return l.Error == NoRoute && l.Answer == nil && l.Match == nil && l.Consistent }},
		{"no route is needed", WantAnswer | WantMatch, []way{none, noRoute, none}, 3,
			func(l *Lookup) bool { return l.Error == "" && l.Answer != nil && l.Match == nil && l.Consistent }},
		{"no route is needed for the route", WantMatch, []way{noRoute, none}, 2,
			func(l *Lookup) bool { return l.Error == "" && l.Match == nil && l.Consistent }},
		{"there is a route after all", WantMatch, []way{noRoute, one, one}, 3,
			func(l *Lookup) bool { return l.Error == "" && l.Match != nil && l.Consistent }},
		{"unreachable", WantMatch, []way{unreachable, unreachable}, 2,
			func(l *Lookup) bool { return l.Error == NoRoute }},
		{"a redirect", WantAnswer | WantMatch, []way{two, one, two, one, two, one, two}, 7,
			func(l *Lookup) bool { return l.Consistent && l.Match.Gateway != l.Answer.Gateway }},
		{"another route between the same answers", WantAnswer | WantMatch, []way{one, two, one, one, one}, 7,
			func(l *Lookup) bool { return l.Consistent && l.Match.Gateway == l.Answer.Gateway }},
		{"the same twice", WantAnswer | WantMatch, []way{one, two, one, two, two, two}, 8,
			func(l *Lookup) bool { return l.Consistent && l.Match.Gateway == l.Answer.Gateway }},
		{"always another", WantAnswer | WantMatch, slices.Repeat([]way{one, one, two}, MaxTries), 3 * MaxTries,
			func(l *Lookup) bool { return !l.Consistent && l.Answer != nil }},
	} {
		asked := 0
		k := &fakeKernel{fake: fake{T: t, Answer: func(r fakeRequest) []event {
			w := c.answers[min(asked, len(c.answers)-1)]
			asked++
			if w.table == 0 && w != none {
				return []event{datagram(nltest.Failed(r.Seq, w.gateway))}
			}
			route := object.Route{Family: object.IPv4, Table: w.table, Type: object.Unicast,
				OIF:     object.Some(uint32(3)),
				Dst:     netip.MustParsePrefix("10.0.0.0/8"),
				Gateway: netip.AddrFrom4([4]byte{10, 0, 0, byte(w.gateway)})}
			if !r.Match { // how long ago is no matter
				route.Cache = object.Some(object.CacheInfo{LastUse: uint32(asked)})
			}
			return []event{datagram(nltest.RouteMessage(r.Seq, &route))}
		}}}
		l, err := k.kernel().Lookups(context.Background(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		req := to("10.1.2.3")
		found, err := l.Lookup(&req, c.want)
		if err != nil || asked != c.asked || !c.check(found) {
			t.Errorf("%s: %+v, %v after %d requests, not %d", c.name, found, err, asked, c.asked)
		}
		if l.Close(); k.Open != 0 {
			t.Errorf("%s: %d sockets are still open", c.name, k.Open)
		}
	}
}

// TestLookupOfOldKernel has one before Linux 4.13, which answers a request for the route that decides with
// what becomes of the packet: it does not tell of a route.
func TestLookupOfOldKernel(t *testing.T) {
	const cloned = 0x200
	k := &fakeKernel{fake: fake{T: t, Answer: func(r fakeRequest) []event {
		route := object.Route{Family: object.IPv4, Table: 254, Type: object.Unicast, OIF: object.Some(uint32(3)),
			Flags: cloned, Dst: netip.MustParsePrefix("10.1.2.3/32"), Gateway: netip.MustParseAddr("10.0.0.1")}
		return []event{datagram(nltest.RouteMessage(r.Seq, &route))}
	}}}
	l, err := k.kernel().Lookups(context.Background(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, want := range []Want{WantMatch, WantID, WantAnswer | WantMatch | WantID} {
		req := to("10.1.2.3")
		found, err := l.Lookup(&req, want)
		if err != nil || found.Match != nil || found.ID != "" || found.Error != "" || !found.Consistent {
			t.Errorf("%v: %+v, %v", want, found, err)
			continue
		}
		if a := found.Answer; want&WantAnswer != 0 && (a == nil || a.Table != 0 || a.OIF.V != 3) {
			t.Errorf("%v: the answer is %+v", want, a)
		}
	}
}

// TestLookupFails has errors that are no answers.
func TestLookupFails(t *testing.T) {
	words := func(seq, errno uint32) []byte {
		return nltest.MessageOf(wire.NLMSG_ERROR, wire.NLM_F_CAPPED|wire.NLM_F_ACK_TLVS, seq,
			nltest.Cat(nltest.NE(-errno), make([]byte, wire.HeaderLen), nltest.Attr(1, nltest.Str("bad request"))))
	}
	for _, c := range []struct {
		answer func(seq uint32) event
		want   string
	}{
		{func(seq uint32) event { return datagram(words(seq, uint32(syscall.EINVAL))) },
			"invalid argument: bad request"},
		{func(seq uint32) event { return datagram(words(seq, uint32(syscall.EACCES))) }, "bad request"},
		{func(seq uint32) event { return datagram(nltest.Failed(seq, uint32(syscall.EPERM))) }, "not permitted"},
		{func(seq uint32) event { return datagram(nltest.Failed(seq, 0)) }, "gave no answer"},
		{func(uint32) event { return failure(syscall.EACCES) }, "not permitted"},
		{func(uint32) event { return failure(syscall.EINVAL) }, "invalid argument"},
		{func(uint32) event { return event{Datagram: []byte{1}} }, "malformed"},
		{func(seq uint32) event { return datagram(nltest.Padded(object.RTM_NEWROUTE, 0, seq, nil)) },
			"malformed route"},
	} {
		k := &fakeKernel{fake: fake{T: t, Answer: func(r fakeRequest) []event { return []event{c.answer(r.Seq)} }}}
		l, err := k.kernel().Lookups(context.Background(), "", 0)
		if err != nil {
			t.Fatal(err)
		}
		req := to("10.1.2.3")
		found, err := l.Lookup(&req, WantAnswer)
		var failed *ReadError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), c.want) ||
			!strings.HasPrefix(err.Error(), "look up the route to 10.1.2.3: ") {
			t.Errorf("got %+v, %v, want %s", found, err, c.want)
		}
		l.Close()
	}
	k := &fakeKernel{fake: fake{T: t, DialErr: func(conn.Namespace, uint32) error { return syscall.EMFILE }}}
	if l, err := k.kernel().Lookups(context.Background(), "", 0); !errors.Is(err, ErrSocket) {
		t.Errorf("got %v, %v", l, err)
	}
	if l, err := new(Kernel).Lookups(context.Background(), "/dev/null", 0); !errors.Is(err, ErrNoNamespace) {
		t.Errorf("got %v, %v", l, err)
	}
	if l, err := NewSnapshot(true, nil).Instant(nil).Lookups(context.Background(), "", 0); err != ErrNotRunning {
		t.Errorf("got %v, %v", l, err)
	}
}

// TestLookupWithoutIPv6 has a kernel that was started with ipv6.disable=1: nothing there knows of
// the family's routes, or of the protocols of its packets.
func TestLookupWithoutIPv6(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t, Answer: func(r fakeRequest) []event {
		return []event{datagram(nltest.Failed(r.Seq, uint32(syscall.EOPNOTSUPP)))}
	}}}
	l, err := k.kernel().Lookups(context.Background(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for proto, known := range map[uint8]bool{0: true, 6: true, 17: true, 58: true, 1: false, 47: false} {
		req := to("2001:db8::1")
		req.IPProto = object.Opt[uint8]{V: proto, OK: proto != 0}
		found, err := l.Lookup(&req, WantAnswer)
		if known && (err != nil || found.Error != NoRoute) || !known && err == nil {
			t.Errorf("protocol %d: %+v, %v", proto, found, err)
		}
	}
}

// TestLookupEnds has a context that ends.
func TestLookupEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	k := &fakeKernel{fake: fake{T: t, Answer: func(fakeRequest) []event {
		cancel()
		return nil
	}}}
	l, err := k.kernel().Lookups(ctx, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	req := to("10.1.2.3")
	if found, err := l.Lookup(&req, WantAnswer); !errors.Is(err, ErrCanceled) {
		t.Errorf("got %+v, %v", found, err)
	}
	if l.Close(); k.Open != 0 {
		t.Errorf("%d sockets are still open", k.Open)
	}
	if l, err := k.kernel().Lookups(ctx, "", 0); !errors.Is(err, ErrCanceled) {
		t.Errorf("got %v, %v", l, err)
	}
}

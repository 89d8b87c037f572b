package object_test

import (
	"net/netip"
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// TestLookupRequest has the bytes of requests.
func TestLookupRequest(t *testing.T) {
	four, six := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fd00::1%v0")
	dst4 := Attr(1, []byte{192, 0, 2, 1})
	dst6 := Attr(1, six.AsSlice())
	for _, c := range []struct {
		req   LookupRequest
		match bool
		want  []byte
	}{
		{LookupRequest{Destination: four}, false, Cat([]byte{2, 32, 0, 0, 0, 0, 0, 0}, NE(uint32(0x1000)), dst4)},
		{LookupRequest{Destination: four}, true, Cat([]byte{2, 32, 0, 0, 0, 0, 0, 0}, NE(uint32(0x3000)), dst4)},
		{LookupRequest{Destination: netip.AddrFrom16(four.As16()), From: netip.MustParseAddr("::ffff:192.0.2.2")},
			false,
			Cat([]byte{2, 32, 32, 0, 0, 0, 0, 0}, NE(uint32(0x1000)), dst4, Attr(2, []byte{192, 0, 2, 2}))},
		{LookupRequest{Destination: four, From: netip.IPv6Unspecified()}, false,
			Cat([]byte{2, 32, 0, 0, 0, 0, 0, 0}, NE(uint32(0x1000)), dst4)},
		{LookupRequest{Destination: six}, false, Cat([]byte{10, 128, 0, 0, 0, 0, 0, 0}, NE(uint32(0)), dst6)},
		{LookupRequest{Destination: six, From: netip.MustParseAddr("fd00::2"), InDev: 3, OutDev: 4,
			Mark: Some(uint32(0)), TOS: Some(uint8(8)), UID: Some(uint32(1 << 31)), IPProto: Some(uint8(6)),
			SPort: Some(uint16(0x102)), DPort: Some(uint16(443))}, true,
			Cat([]byte{10, 128, 128, 8, 0, 0, 0, 0}, NE(uint32(0x2000)), dst6,
				Attr(2, netip.MustParseAddr("fd00::2").AsSlice()), Attr(3, NE(uint32(3))), Attr(4, NE(uint32(4))),
				Attr(16, NE(uint32(0))), Attr(25, NE(uint32(1<<31))), Attr(27, []byte{6}),
				Attr(28, []byte{1, 2}), Attr(29, BE(uint16(443))))},
	} {
		if got := c.req.AppendTo([]byte{}, c.match); !slices.Equal(got, c.want) {
			t.Errorf("%+v: got\n%x, want\n%x", c.req, got, c.want)
		}
	}
}

// TestLookupDecides changes a route, and says whether the kernel may show it so in answer to
// a look-up.
func TestLookupDecides(t *testing.T) {
	rotate := func(r *Route) { r.Multipath = append(slices.Clone(r.Multipath[1:]), r.Multipath[0]) }
	for _, c := range []struct {
		what     string
		dst      string
		route    func() *Route
		change   func(*Route)
		doubtful bool
		decides  bool
	}{
		{"nothing", "10.0.0.1", V4, func(*Route) {}, false, true},
		{"nothing", "fd00::1", V6, func(*Route) {}, false, true},
		{"the type", "224.0.0.1", V4, func(r *Route) { r.Type = Multicast }, true, true},
		{"the type", "255.255.255.255", V4, func(r *Route) { r.Type = Broadcast }, true, true},
		{"the packet's tos", "10.0.0.1", V4, func(r *Route) { r.TOS = 8 }, true, true},
		{"another tos", "10.0.0.1", V4, func(r *Route) { r.TOS = 4 }, true, false},
		{"the metric", "224.0.0.1", V4, func(r *Route) { r.Priority.V++ }, true, false},
		{"the table", "224.0.0.1", V4, func(r *Route) { r.Table++ }, true, false},
		{"main", "10.0.0.1", func() *Route { r := V4(); r.Type, r.Table = Local, 255; return r },
			func(r *Route) { r.Table = 254 }, true, true},
		{"main", "10.0.0.1", func() *Route { r := V4(); r.Type, r.Table, r.Protocol = Broadcast, 255, 2; return r },
			func(r *Route) { r.Table = 254 }, false, true},
		{"main", "10.0.0.1", func() *Route { r := V4(); r.Table = 255; return r },
			func(r *Route) { r.Table = 254 }, false, false},
		{"main", "fd00::1", func() *Route { r := V6(); r.Type, r.Table = Local, 255; return r },
			func(r *Route) { r.Table = 254 }, false, false},
		{"the destination", "224.0.0.1", V4, func(r *Route) { r.Dst = netip.MustParsePrefix("224.0.0.0/4") }, true,
			false},
		{"the order", "10.0.0.1", func() *Route { return ECMP(IPv4) }, rotate, false, false},
		{"the order", "fd00::1", func() *Route { return ECMP(IPv6) }, rotate, true, true},
		{"a nexthop", "fd00::1", func() *Route { return ECMP(IPv6) }, func(r *Route) { r.Multipath[1].OIF++ }, true,
			false},
		{"a weight", "fd00::1", func() *Route { return ECMP(IPv6) }, func(r *Route) { r.Multipath[1].Weight++ }, true,
			true},
		{"one nexthop less", "fd00::1", func() *Route { return ECMP(IPv6) },
			func(r *Route) { r.Multipath = append(r.Multipath[:1], r.Multipath[0]) }, true, false},
	} {
		req := LookupRequest{Destination: netip.MustParseAddr(c.dst), TOS: Some(uint8(8))}
		dumped, match := c.route(), c.route()
		dumped.TOS = 0
		match.TOS = 0
		c.change(match)
		req.Settle(match)
		before := string(match.AppendID(nil))
		if got := req.Doubtful(match); got != c.doubtful {
			t.Errorf("%s, %s: doubtful %v", c.what, c.dst, got)
		}
		if got := req.Decides(dumped, match); got != c.decides {
			t.Errorf("%s, %s: decides %v", c.what, c.dst, got)
		}
		if string(match.AppendID(nil)) != before {
			t.Errorf("%s, %s: comparing has changed the route", c.what, c.dst)
		}
	}
}

// TestSameAnswer has answers that differ.
func TestSameAnswer(t *testing.T) {
	message := func(change func(*Route)) *Message {
		r := V6()
		r.Cache = Some(CacheInfo{Used: 1})
		change(r)
		m := new(Message)
		if err := Routes.Check(m, RouteMessage(1, r)); err != nil {
			t.Fatal(err)
		}
		return m
	}
	plain := message(func(*Route) {})
	for _, c := range []struct {
		what   string
		change func(*Route)
		same   bool
	}{
		{"nothing", func(*Route) {}, true},
		{"the number of uses", func(r *Route) { r.Cache.V.Used++ }, true},
		{"the type", func(r *Route) { r.Type++ }, false},
		{"the flags", func(r *Route) { r.Flags++ }, false},
		{"the gateway", func(r *Route) { r.Gateway = r.Gateway.Next() }, false},
		{"no metric", func(r *Route) { r.Priority = Opt[uint32]{} }, false},
		{"an attribute more", func(r *Route) { r.Unknown = append(r.Unknown, wire.Attr{Type: 60}) }, false},
	} {
		other := message(c.change)
		if SameAnswer(plain, other) != c.same || SameAnswer(other, plain) != c.same {
			t.Errorf("%s: same %v", c.what, !c.same)
		}
	}
}

// TestLookupExplains has answers, and whether they come from a route as far as can be seen.
func TestLookupExplains(t *testing.T) {
	answer := func(r *Route) *Route {
		a := *r
		a.Metrics, a.Priority, a.Multipath, a.NexthopID = Metrics{}, Opt[uint32]{}, nil, Opt[uint32]{}
		if mtu, ok := r.Metrics.Get(RTAX_MTU); ok {
			a.Metrics.Set(RTAX_MTU, mtu)
		}
		if len(r.Multipath) > 0 {
			a.OIF, a.Gateway = Some(r.Multipath[1].OIF), r.Multipath[1].Gateway
		}
		return &a
	}
	for _, c := range []struct {
		what   string
		route  func() *Route
		change func(*Route)
		is     bool
	}{
		{"nothing", V4, func(*Route) {}, true},
		{"nothing", V6, func(*Route) {}, true},
		{"nothing", func() *Route { return ECMP(IPv4) }, func(*Route) {}, true},
		{"nothing", func() *Route { return ECMP(IPv6) }, func(*Route) {}, true},
		{"nothing", func() *Route { return ViaObject(IPv4) }, func(*Route) {}, true},
		{"the table", V4, func(r *Route) { r.Table++ }, false},
		{"the type", V4, func(r *Route) { r.Type++ }, false},
		{"the gateway", V4, func(r *Route) { r.Gateway = r.Gateway.Next() }, false},
		{"the gateway", func() *Route { return ECMP(IPv6) }, func(r *Route) { r.Gateway = r.Gateway.Next() }, false},
		{"the interface", V6, func(r *Route) { r.OIF.V++ }, false},
		{"the source", V4, func(r *Route) { r.PrefSrc = r.PrefSrc.Next() }, false},
		{"no source", V4, func(r *Route) { r.PrefSrc = netip.Addr{} }, true},
		{"the mtu", V4, func(r *Route) { r.Metrics.Set(RTAX_MTU, 1300) }, false},
		{"no mtu", V4, func(r *Route) { r.Metrics = Metrics{} }, false},
		{"a path mtu", V4, func(r *Route) {
			r.Metrics.Set(RTAX_MTU, 1300)
			r.Cache = Some(CacheInfo{Expires: 59_000})
		}, true},
		{"the gateway of a local route", func() *Route { r := V6(); r.Type = Local; return r },
			func(r *Route) { r.Gateway, r.OIF.V = netip.Addr{}, 1 }, true},
	} {
		match := c.route()
		got := answer(match)
		c.change(got)
		if is := (&LookupRequest{}).Explains(match, got); is != c.is {
			t.Errorf("%v, %s: %v", match.Family, c.what, is)
		}
	}
}

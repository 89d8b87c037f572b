package object_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

func TestRouteRoundTrip(t *testing.T) {
	for seed := range uint64(3000) {
		want := NewChance(seed).Route()
		b := AppendRoute(nil, want)
		var got Route
		if err := got.UnmarshalBinary(b); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !reflect.DeepEqual(&got, want) {
			t.Fatalf("seed %d:\n got %+v\nwant %+v", seed, got, *want)
		}
		checkRoute(t, b)
	}
}

// TestRouteReuse decodes into a route that was used.
func TestRouteReuse(t *testing.T) {
	var r Route
	for seed := range uint64(500) {
		b := AppendRoute(nil, NewChance(seed).Route())
		var want Route
		if err := errors.Join(r.UnmarshalBinary(b), want.UnmarshalBinary(b)); err != nil {
			t.Fatal(err)
		}
		if len(r.Multipath)+len(want.Multipath) == 0 {
			r.Multipath = nil
		}
		if len(r.Unknown)+len(want.Unknown) == 0 {
			r.Unknown = nil
		}
		if !reflect.DeepEqual(r, want) {
			t.Fatalf("seed %d:\n got %+v\nwant %+v", seed, r, want)
		}
	}
}

func TestRouteDoesNotAllocate(t *testing.T) {
	b := AppendRoute(nil, &Route{Family: IPv6, Dst: netip.MustParsePrefix("fd00::/64"), Table: 254,
		Multipath: []Nexthop{{OIF: 1, Weight: 1}, {OIF: 2, Weight: 2}},
		Unknown:   []wire.Attr{{Type: 99, Data: []byte{1}}}})
	var r Route
	if n := testing.AllocsPerRun(100, func() {
		if err := r.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
	}); n != 1 { // for the Message
		t.Errorf("%v allocations", n)
	}
	var m Message
	msg := MessageOf(RTM_NEWROUTE, 0, 0, b)
	if n := testing.AllocsPerRun(100, func() {
		if err := Routes.Check(&m, msg); err != nil {
			t.Fatal(err)
		}
		r.Decode(&m, AllFields)
	}); n != 0 {
		t.Errorf("%v allocations where a Message is used again", n)
	}
}

func TestRouteAttributes(t *testing.T) {
	for _, c := range routeAttrs {
		b := append(rtmsg(c.family), c.attrs...)
		want := bareRoute(c.family)
		c.set(&want)
		var got Route
		if err := got.UnmarshalBinary(b); err != nil {
			t.Errorf("%v, %s: %v", c.family, c.name, err)
		} else if !reflect.DeepEqual(got, want) {
			t.Errorf("%v, %s:\n got %+v\nwant %+v", c.family, c.name, got, want)
		}
		checkRoute(t, b)
		checkRouteFields(t, b, ^uint32(0))
	}
}

// TestRouteHeader has what is in struct rtmsg.
func TestRouteHeader(t *testing.T) {
	b := Cat([]byte{byte(IPv6), 64, 48, 0x10, 252, 186, 253, 7}, NE(uint32(0x20000111)),
		Attr(RTA_DST, bytes6), Attr(RTA_SRC, bytes6), Attr(RTA_TABLE, NE(uint32(1000))))
	want := Route{Family: IPv6, Type: Unreachable, Protocol: 186, Scope: 253, TOS: 16, Flags: 0x20000111, Table: 1000,
		Dst: netip.PrefixFrom(addr6, 64), Src: netip.PrefixFrom(addr6, 48)}
	var got Route
	if err := got.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	// Prefixes without an address.
	b = append([]byte{byte(IPv4), 8, 16, 0, 0, 0, 0, 0}, NE(uint32(0))...)
	want = Route{Family: IPv4, Dst: netip.MustParsePrefix("0.0.0.0/8"), Src: netip.MustParsePrefix("0.0.0.0/16")}
	got = Route{}
	if err := got.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
}

// TestRouteLengths gives each attribute every length.
func TestRouteLengths(t *testing.T) {
	for _, f := range []Family{0, IPv4, IPv6, MPLS, IPMR, IP6MR} {
		for typ := range uint16(70) {
			for n := range 40 {
				data := bytes.Repeat([]byte{byte(f)}, n)
				b := append(rtmsg(f), Attr(typ, data)...)
				var r Route
				err := r.UnmarshalBinary(b)
				checkRoute(t, b)
				switch {
				case typ == RTA_DST && f.AddrLen() > 0 && n != f.AddrLen(),
					typ == RTA_METRICS && n > 0, typ == RTA_MULTIPATH && n > 0:
					if f == 0 && typ != RTA_DST && n < 4 {
						continue // zeros: padding
					}
					if !errors.Is(err, wire.ErrMalformed) {
						t.Errorf("%v, attribute %d of %d bytes: %v", f, typ, n, err)
					}
				case err != nil:
					t.Errorf("%v, attribute %d of %d bytes: %v", f, typ, n, err)
				case !reflect.DeepEqual(r.Unknown,
					notUnderstood([]wire.Attr{{Type: typ, Data: data}}, r.Encap, RTA_ENCAP,
						func(typ uint16, d []byte) bool { return understood(f, typ, d) })):
					t.Errorf("%v, attribute %d of %d bytes: unknown are %v", f, typ, n, r.Unknown)
				}
			}
		}
	}
}

func TestMultipathAttributes(t *testing.T) {
	hop := func(attrs ...[]byte) []byte {
		body := Cat(attrs...)
		return Cat(NE(uint16(8+len(body))), []byte{0x11, 0xff}, NE(uint32(5)), body)
	}
	for _, c := range []struct {
		name string
		body []byte
		set  func(*Nexthop)
	}{
		{"none", hop(), func(*Nexthop) {}},
		{"RTA_GATEWAY", hop(Attr(RTA_GATEWAY, bytes4)), func(h *Nexthop) { h.Gateway = addr4 }},
		{"RTA_GATEWAY ::", hop(Attr(RTA_GATEWAY, make([]byte, 16))),
			func(h *Nexthop) { h.Gateway = netip.IPv6Unspecified() }},
		{"RTA_VIA", hop(Attr(RTA_VIA, NE(uint16(IPv6)), bytes6)), func(h *Nexthop) { h.Gateway = addr6 }},
		{"RTA_FLOW", hop(Attr(RTA_FLOW, NE(uint32(1<<16)))), func(h *Nexthop) { h.Realms = Some(uint32(1 << 16)) }},
		{"RTA_FLOW 0", hop(Attr(RTA_FLOW, NE(uint32(0)))), func(h *Nexthop) { h.Realms = Some(uint32(0)) }},
		{"RTA_NEWDST", hop(Attr(RTA_NEWDST, Labels(1<<12|0x100))),
			func(h *Nexthop) { h.NewDst = Labels(1<<12 | 0x100) }},
		{"RTA_ENCAP", hop(Attr(RTA_ENCAP, encIPDst), Attr(RTA_ENCAP_TYPE, NE(uint16(2)))),
			func(h *Nexthop) { h.Encap = Encap{2, encIPDst} }},
		{"RTA_ENCAP alone", hop(Attr(RTA_ENCAP, encIPDst)),
			func(h *Nexthop) { h.Encap.Raw, h.Unknown = encIPDst, []wire.Attr{{Type: RTA_ENCAP, Data: encIPDst}} }},
		{"RTA_VIA of a link", hop(Attr(RTA_VIA, NE(uint16(AF_PACKET)), []byte{2, 0, 0, 0, 0, 1})),
			func(h *Nexthop) { h.LinkGateway = []byte{2, 0, 0, 0, 0, 1} }},
		{"RTA_PAD", hop(Attr(RTA_PAD)), func(*Nexthop) {}},
		{"RTA_PAD that holds something", hop(Attr(RTA_PAD, []byte{0})),
			func(h *Nexthop) { h.Unknown = []wire.Attr{{Type: RTA_PAD, Data: []byte{0}}} }},
		{"what belongs to the route", hop(Attr(RTA_OIF, NE(uint32(1))), Attr(RTA_TABLE, NE(uint32(1)))),
			func(h *Nexthop) {
				h.Unknown = []wire.Attr{{Type: RTA_OIF, Data: NE(uint32(1))}, {Type: RTA_TABLE, Data: NE(uint32(1))}}
			}},
		{"wrong lengths", hop(Attr(RTA_GATEWAY, []byte{1}), Attr(RTA_VIA, []byte{2, 0}), Attr(RTA_FLOW),
			Attr(RTA_NEWDST), Attr(RTA_ENCAP_TYPE, []byte{1})),
			func(h *Nexthop) {
				h.Unknown = []wire.Attr{{Type: RTA_GATEWAY, Data: []byte{1}}, {Type: RTA_VIA, Data: []byte{2, 0}},
					{Type: RTA_FLOW, Data: []byte{}}, {Type: RTA_NEWDST, Data: []byte{}},
					{Type: RTA_ENCAP_TYPE, Data: []byte{1}}}
			}},
	} {
		want := Nexthop{OIF: 5, Weight: 256, Flags: 0x11}
		c.set(&want)
		for _, n := range []int{1, 3} {
			b := append(rtmsg(IPv4), Attr(RTA_MULTIPATH, bytes.Repeat(c.body, n))...)
			var r Route
			if err := r.UnmarshalBinary(b); err != nil {
				t.Errorf("%s: %v", c.name, err)
			} else if !reflect.DeepEqual(r.Multipath, slices.Repeat([]Nexthop{want}, n)) {
				t.Errorf("%s, %d times:\n got %+v\nwant %+v", c.name, n, r.Multipath, want)
			}
			checkRoute(t, b)
		}
	}
	// The last rtnexthop may lack its padding.
	var r Route
	if err := CheckMultipath(Cat(hop(Attr(RTA_ENCAP, []byte{1})), hop(Attr(RTA_ENCAP, []byte{1}))[:13])); err == nil {
		t.Error("rtnh_len beyond the end was accepted")
	}
	if err := r.DecodeMultipath(append([]byte{13, 0, 0, 0, 5, 0, 0, 0, 5, 0, RTA_ENCAP, 0}, 1)); wire.U16([]byte{1,
		0}) == 1 && err != nil {
		t.Error(err)
	}
}

func TestRouteMalformed(t *testing.T) {
	hop := Cat(NE(uint16(8)), []byte{0, 0}, NE(uint32(5)))
	for _, c := range []struct {
		name   string
		b      []byte
		what   string
		offset int
	}{
		{"nothing", nil, "route", 0},
		{"a byte too few", rtmsg(IPv4)[:11], "route", 11},
		{"dst_len of IPv4", With(rtmsg(IPv4), 1, 33), "route", 1},
		{"dst_len of IPv6", With(rtmsg(IPv6), 1, 129), "route", 1},
		{"src_len of IPv4", With(rtmsg(IPv4), 2, 33), "route", 2},
		{"src_len of IP6MR", With(rtmsg(IP6MR), 2, 129), "route", 2},
		{"destination of IPv6", append(rtmsg(IPv4), Attr(RTA_DST, bytes6)...), "route", 12},
		{"second destination", Cat(rtmsg(IPv4), Attr(RTA_OIF, NE(uint32(1))), Attr(RTA_DST, bytes4),
			Attr(RTA_DST, []byte{1}), Attr(RTA_PAD)), "route", 28},
		{"attribute of length 0", append(rtmsg(IPv4), 0, 0, 0, 0), "route", 12},
		{"attribute of length 3", Cat(rtmsg(IPv4), Attr(RTA_PAD), NE(uint16(3)), []byte{0, 0}), "route", 16},
		{"attribute beyond the end", Cat(rtmsg(IPv4), Attr(RTA_PAD), NE(uint16(5)), []byte{0, 0}), "route", 16},
		{"attribute cut short", append(rtmsg(IPv4), Attr(RTA_OIF, NE(uint32(1)))[:7]...), "route", 12},
		{"rest that is no attribute", Cat(rtmsg(IPv4), Attr(RTA_PAD), []byte{0, 1}), "route", 16},
		{"metrics", append(rtmsg(IPv4), Attr(RTA_METRICS, Attr(2, NE(uint32(1))), []byte{9, 0, 2, 0})...),
			"RTA_METRICS", 8},
		{"hop cut short", append(rtmsg(IPv4), Attr(RTA_MULTIPATH, hop, hop[:7])...), "RTA_MULTIPATH", 8},
		{"rtnh_len 0", append(rtmsg(IPv4), Attr(RTA_MULTIPATH, hop, With(hop, 0, 0, 1, 0))...), "RTA_MULTIPATH", 8},
		{"rtnh_len 7", append(rtmsg(IPv4), Attr(RTA_MULTIPATH, NE(uint16(7)), hop[2:])...), "RTA_MULTIPATH", 0},
		{"rtnh_len beyond the end", append(rtmsg(IPv4), Attr(RTA_MULTIPATH, hop, NE(uint16(9)), hop[2:])...),
			"RTA_MULTIPATH", 8},
		{"attribute of a hop", append(rtmsg(IPv4), Attr(RTA_MULTIPATH, hop, NE(uint16(16)), hop[2:], Attr(RTA_PAD),
			[]byte{5, 0, 0, 0})...), "RTA_MULTIPATH", 20},
	} {
		var r Route
		err := r.UnmarshalBinary(c.b)
		_, headErr := check(Routes.Kind, c.b)
		for _, err := range []error{err, headErr} {
			var m *wire.MalformedError
			if !errors.As(err, &m) || !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s: got %v", c.name, err)
			} else if m.What != c.what || m.Offset != c.offset {
				t.Errorf("%s: got %v, want %s at %d", c.name, m, c.what, c.offset)
			}
		}
		checkRoute(t, c.b)
	}
	if got := wire.Malformed("route", 12,
		"attribute does not fit").Error(); got != "malformed route at byte 12: attribute does not fit" {
		t.Errorf("got %q", got)
	}
}

// TestRouteMPLS has `ip -f mpls route add 100 as 200/300 via inet 10.0.0.2 dev
// eth0`, and one that pops its label, as mpls_dump_route of Linux 6.18 encodes
// them.
func TestRouteMPLS(t *testing.T) {
	b := Cat([]byte{byte(MPLS), 20, 0, 0, 254, 3, 0, 1}, NE(uint32(0)),
		Attr(RTA_DST, []byte{0, 0x06, 0x41, 0}), Attr(RTA_TTL_PROPAGATE, []byte{0}),
		Attr(RTA_NEWDST, []byte{0, 0x0c, 0x80, 0, 0, 0x12, 0xc1, 0}), Attr(RTA_VIA, NE(uint16(IPv4)), bytes4),
		Attr(RTA_OIF, NE(uint32(2))))
	var r Route
	if err := r.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	text := func(r *Route) string {
		return fmt.Sprintf("%v %s %s %v %v %v %v", r.Family, r.AppendDst(nil), AppendLabels(nil, r.NewDst), r.Gateway,
			r.OIF, r.TTLPropagate, r.Dst.IsValid())
	}
	if got, want := text(&r), "mpls 100 200/300 10.0.0.2 {2 true} {0 true} false"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b = Cat([]byte{byte(MPLS), 20, 0, 0, 254, 4, 0, 1}, NE(uint32(0)),
		Attr(RTA_DST, []byte{0, 0, 0x21, 0}), Attr(RTA_MULTIPATH, AppendMultipath(nil, MPLS, []Nexthop{
			{OIF: 2, Weight: 1, Gateway: addr4, NewDst: []byte{0, 0x0c, 0x81, 0}},
			{OIF: 3, Weight: 1, Gateway: addr6, Flags: 16}})))
	if err := r.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	hops := r.Nexthops(nil, nil)
	if got, want := fmt.Sprintf("%s %d %v %s %v %d", r.AppendDst(nil), len(hops), hops[0].Gateway,
		AppendLabels(nil, hops[0].NewDst), hops[1].Gateway, hops[1].Flags),
		"2 2 10.0.0.2 200 fd00::9 16"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := string(AppendLabels([]byte("x "), []byte{1, 2, 3})); got != "x hex:010203" {
		t.Errorf("got %q", got)
	}
	for want, addr := range map[string][]byte{"02:00:00:00:00:01": {2, 5: 1}, "ff": {0xff}, "": nil} {
		if got := string(AppendLinkAddr([]byte("x "), addr)); got != "x "+want {
			t.Errorf("got %q, want %q", got, "x "+want)
		}
	}
}

// TestRouteMetric has the metric where the kernel sends none.
func TestRouteMetric(t *testing.T) {
	for f, none := range map[Family]Opt[uint32]{IPv4: Some(uint32(0)), IPv6: Some(uint32(0)), MPLS: {}, IPMR: {},
		IP6MR: {}} {
		for _, priority := range []Opt[uint32]{{}, Some(uint32(0)), Some(uint32(7))} {
			want := priority
			if !priority.OK {
				want = none
			}
			r := Route{Family: f, Priority: priority}
			if v, ok := r.Metric(); v != want.V || ok != want.OK {
				t.Errorf("%v, RTA_PRIORITY %v: metric %v, %v, not %v", f, priority, v, ok, want)
			}
		}
	}
}

// TestRouteIPMR has a resolved and an unresolved multicast route, as
// mr_fill_mroute of Linux 6.18 encodes them.
func TestRouteIPMR(t *testing.T) {
	group, source := netip.MustParseAddr("239.1.2.3"), netip.MustParseAddr("10.1.0.7")
	head := func(scope byte, flags uint32) []byte {
		return Cat([]byte{byte(IPMR), 32, 32, 0, 252, 17, scope, 5}, NE(flags), Attr(RTA_TABLE, NE(uint32(1000))),
			Attr(RTA_SRC, source.AsSlice()), Attr(RTA_DST, group.AsSlice()))
	}
	b := Cat(head(0, 0), Attr(RTA_IIF, NE(uint32(3))),
		Attr(RTA_MULTIPATH, NE(uint16(8)), []byte{0, 1}, NE(uint32(4)), NE(uint16(8)), []byte{0, 2}, NE(uint32(5))),
		Attr(RTA_MFC_STATS, NE(uint64(10)), NE(uint64(5000000000)), NE(uint64(1))), Attr(RTA_PAD),
		Attr(RTA_EXPIRES, NE(uint64(12345))))
	want := Route{Family: IPMR, Type: Multicast, Protocol: 17, Table: 1000, Dst: netip.PrefixFrom(group, 32),
		Src: netip.PrefixFrom(source, 32),
		IIF: Some(uint32(3)), Multipath: []Nexthop{{OIF: 4, TTLThreshold: Some(uint8(1))},
			{OIF: 5, TTLThreshold: Some(uint8(2))}},
		MFC: Some(MFCStats{10, 5000000000, 1}), Expires: Some(uint64(12345))}
	var got Route
	if err := got.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	want = Route{Family: IPMR, Type: Multicast, Protocol: 17, Table: 1000, Dst: want.Dst, Src: want.Src, Flags: 32}
	got = Route{}
	if err := got.UnmarshalBinary(head(0, RTNH_F_UNRESOLVED)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
}

func TestFields(t *testing.T) {
	for seed := range uint64(1000) {
		c := NewChance(seed)
		b := AppendRoute(nil, c.Route())
		checkRouteFields(t, b, c.Uint32())
		checkRouteFields(t, b, 1<<c.IntN(32))
	}
	all := Fields(1 << RTA_PAD)
	for _, f := range fieldList {
		if all&f != 0 {
			t.Errorf("%#x is in two fields", all&f)
		}
		all |= f
	}
	// RTA_PROTOINFO, _SESSION and _MP_ALGO are not used any more.
	const first = 1<<(RTA_DEL_REASON+1) - 1
	if want := Fields(first) &^ (1 | 1<<10 | 1<<13 | 1<<14); all&first != want {
		t.Errorf("fields are %#x, want %#x", all, want)
	}
}

func TestRouteNames(t *testing.T) {
	types := []string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable",
		"prohibit",
		"throw", "nat", "xresolve", "12"}
	for i, want := range types {
		typ := RouteType(i)
		if got := typ.String(); got != want {
			t.Errorf("type %d is %q", i, got)
		}
	}
	seen := map[string]int{}
	families := map[Family]string{2: "ipv4", 10: "ipv6", 28: "mpls", 128: "ipmr", 129: "ip6mr"}
	for i := range 256 {
		f := Family(i)
		want, known := families[f]
		if !known {
			want = fmt.Sprint(i)
		}
		back, ok := ParseFamily(want)
		if f.String() != want || ok != known || ok && back != f {
			t.Errorf("family %d is %q and back %v, %v", i, f, back, ok)
		}
		name := RouteType(i).String()
		if other, twice := seen[name]; twice {
			t.Errorf("types %d and %d are both %q", other, i, name)
		}
		seen[name] = i
	}
}

func TestOpt(t *testing.T) {
	if v, ok := Some(7).Get(); v != 7 || !ok {
		t.Error(v, ok)
	}
	if v, ok := (Opt[int]{}).Get(); v != 0 || ok {
		t.Error(v, ok)
	}
}

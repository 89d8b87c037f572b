package object_test

import (
	"net/netip"
	"reflect"
	"slices"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// rtmsg is struct rtmsg of a route with a prefix of no bits in table main.
func rtmsg(f Family) []byte {
	return []byte{byte(f), 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, 0, byte(Unicast), 0, 0, 0, 0}
}

// bareRoute is what rtmsg decodes to.
func bareRoute(f Family) Route {
	r := Route{Family: f, Table: 254, Protocol: RTPROT_STATIC, Type: Unicast}
	switch f.AddrLen() {
	case 4:
		r.Dst = netip.MustParsePrefix("0.0.0.0/0")
	case 16:
		r.Dst = netip.MustParsePrefix("::/0")
	}
	return r
}

// Metrics (RTAX_*) that are plain numbers.
const (
	RTAX_MTU                = 2
	RTAX_RTT                = 4
	RTAX_ADVMSS             = 8
	RTAX_RTO_MIN            = 13
	RTAX_FASTOPEN_NO_COOKIE = 17
)

// Parts of tunnels.
var (
	encEnd   = Attr(1, NE(uint32(1))) // seg6local action End
	encIPDst = Attr(2, []byte{10, 0, 0, 2})
)

var (
	addr4  = netip.MustParseAddr("10.0.0.2")
	addr6  = netip.MustParseAddr("fd00::9")
	bytes4 = addr4.AsSlice()
	bytes6 = addr6.AsSlice()
)

// routeAttrs has each attribute of a route with a value, and where it makes a
// difference with zero.
var routeAttrs = []struct {
	name   string
	family Family
	attrs  []byte
	set    func(*Route)
}{
	{"none", IPv4, nil, func(*Route) {}},
	{"none", IPv6, nil, func(*Route) {}},
	{"none", MPLS, nil, func(*Route) {}},
	{"RTA_DST", IPv4, Attr(RTA_DST, bytes4), func(r *Route) { r.Dst = netip.PrefixFrom(addr4, 0) }},
	{"RTA_DST", IPv6, Attr(RTA_DST, bytes6), func(r *Route) { r.Dst = netip.PrefixFrom(addr6, 0) }},
	{"RTA_DST", IPMR, Attr(RTA_DST, bytes4), func(r *Route) { r.Dst = netip.PrefixFrom(addr4, 0) }},
	{"RTA_DST", IP6MR, Attr(RTA_DST, bytes6), func(r *Route) { r.Dst = netip.PrefixFrom(addr6, 0) }},
	{"RTA_DST", MPLS, Attr(RTA_DST, Labels(100<<12|0x100)), func(r *Route) { r.DstLabel = Labels(100<<12 | 0x100) }},
	{"RTA_SRC", IPv6, Attr(RTA_SRC, bytes6), func(r *Route) { r.Src = netip.PrefixFrom(addr6, 0) }},
	{"RTA_SRC", IPv4, Attr(RTA_SRC, make([]byte, 4)), func(r *Route) { r.Src = netip.MustParsePrefix("0.0.0.0/0") }},
	{"RTA_IIF", IPMR, Attr(RTA_IIF, NE(uint32(7))), func(r *Route) { r.IIF = Some(uint32(7)) }},
	{"RTA_IIF 0", IPMR, Attr(RTA_IIF, NE(uint32(0))), func(r *Route) { r.IIF = Some(uint32(0)) }},
	{"RTA_OIF", IPv4, Attr(RTA_OIF, NE(uint32(7))), func(r *Route) { r.OIF = Some(uint32(7)) }},
	{"RTA_OIF 0", IPv4, Attr(RTA_OIF, NE(uint32(0))), func(r *Route) { r.OIF = Some(uint32(0)) }},
	{"RTA_GATEWAY", IPv4, Attr(RTA_GATEWAY, bytes4), func(r *Route) { r.Gateway = addr4 }},
	{"RTA_GATEWAY", IPv6, Attr(RTA_GATEWAY, bytes6), func(r *Route) { r.Gateway = addr6 }},
	{"RTA_GATEWAY 0", IPv4, Attr(RTA_GATEWAY, make([]byte, 4)), func(r *Route) { r.Gateway = netip.IPv4Unspecified() }},
	{"RTA_GATEWAY ::", IPv6, Attr(RTA_GATEWAY, make([]byte, 16)),
		func(r *Route) { r.Gateway = netip.IPv6Unspecified() }},
	{"RTA_PRIORITY", IPv6, Attr(RTA_PRIORITY, NE(^uint32(0))), func(r *Route) { r.Priority = Some(^uint32(0)) }},
	{"RTA_PRIORITY 0", IPv6, Attr(RTA_PRIORITY, NE(uint32(0))), func(r *Route) { r.Priority = Some(uint32(0)) }},
	{"RTA_PREFSRC", IPv4, Attr(RTA_PREFSRC, bytes4), func(r *Route) { r.PrefSrc = addr4 }},
	{"RTA_PREFSRC ::", IPv6, Attr(RTA_PREFSRC, make([]byte, 16)),
		func(r *Route) { r.PrefSrc = netip.IPv6Unspecified() }},
	{"RTA_METRICS", IPv4, Attr(RTA_METRICS, Attr(RTAX_MTU, NE(uint32(1400)))),
		func(r *Route) { r.Metrics.Set(RTAX_MTU, 1400) }},
	{"RTA_METRICS, empty", IPv4, Attr(RTA_METRICS), func(*Route) {}},
	{"RTA_MULTIPATH", IPv4, Attr(RTA_MULTIPATH,
		AppendMultipath(nil, IPv4, []Nexthop{{OIF: 3, Weight: 256, Flags: 4, Gateway: addr4}})),
		func(r *Route) { r.Multipath = []Nexthop{{OIF: 3, Weight: 256, Flags: 4, Gateway: addr4}} }},
	{"RTA_MULTIPATH, empty", IPv4, Attr(RTA_MULTIPATH), func(*Route) {}},
	{"RTA_FLOW", IPv4, Attr(RTA_FLOW, NE(uint32(3<<16|4))), func(r *Route) { r.Realms = Some(uint32(3<<16 | 4)) }},
	{"RTA_FLOW 0", IPv4, Attr(RTA_FLOW, NE(uint32(0))), func(r *Route) { r.Realms = Some(uint32(0)) }},
	{"RTA_CACHEINFO", IPv6, Attr(RTA_CACHEINFO, NE(uint32(1)), NE(uint32(2)), NE(^uint32(2)), NE(uint32(4)),
		NE(uint32(5)), NE(uint32(6)), NE(uint32(7)), NE(uint32(8))),
		func(r *Route) { r.Cache = Some(CacheInfo{1, 2, -3, 4, 5, 6, 7, 8}) }},
	{"RTA_CACHEINFO 0", IPv6, Attr(RTA_CACHEINFO, make([]byte, 32)), func(r *Route) { r.Cache = Some(CacheInfo{}) }},
	{"RTA_TABLE", IPv4, Attr(RTA_TABLE, NE(uint32(4294967294))), func(r *Route) { r.Table = 4294967294 }},
	{"RTA_TABLE 0", IPv4, Attr(RTA_TABLE, NE(uint32(0))), func(r *Route) { r.Table = 0 }},
	{"RTA_MARK", IPv4, Attr(RTA_MARK, NE(uint32(9))), func(r *Route) { r.Mark = Some(uint32(9)) }},
	{"RTA_MARK 0", IPv4, Attr(RTA_MARK, NE(uint32(0))), func(r *Route) { r.Mark = Some(uint32(0)) }},
	{"RTA_MFC_STATS", IPMR, Attr(RTA_MFC_STATS, NE(uint64(1)), NE(uint64(1<<40)), NE(uint64(3))),
		func(r *Route) { r.MFC = Some(MFCStats{1, 1 << 40, 3}) }},
	{"RTA_MFC_STATS 0", IPMR, Attr(RTA_MFC_STATS, make([]byte, 24)), func(r *Route) { r.MFC = Some(MFCStats{}) }},
	{"RTA_VIA of IPv6", IPv4, Attr(RTA_VIA, NE(uint16(IPv6)), bytes6), func(r *Route) { r.Gateway = addr6 }},
	{"RTA_VIA of IPv4", MPLS, Attr(RTA_VIA, NE(uint16(IPv4)), bytes4), func(r *Route) { r.Gateway = addr4 }},
	{"RTA_VIA after RTA_GATEWAY", IPv4, Cat(Attr(RTA_GATEWAY, bytes4), Attr(RTA_VIA, NE(uint16(IPv6)), bytes6)),
		func(r *Route) { r.Gateway = addr6 }},
	{"RTA_GATEWAY after RTA_VIA", IPv4, Cat(Attr(RTA_VIA, NE(uint16(IPv6)), bytes6), Attr(RTA_GATEWAY, bytes4)),
		func(r *Route) { r.Gateway = addr4 }},
	{"RTA_NEWDST", MPLS, Attr(RTA_NEWDST, Labels(200<<12, 300<<12|0x100)),
		func(r *Route) { r.NewDst = Labels(200<<12, 300<<12|0x100) }},
	{"RTA_PREF", IPv6, Attr(RTA_PREF, []byte{3}), func(r *Route) { r.Pref = Some(byte(3)) }},
	{"RTA_PREF 0", IPv6, Attr(RTA_PREF, []byte{0}), func(r *Route) { r.Pref = Some(byte(0)) }},
	{"RTA_ENCAP", IPv4, Cat(Attr(RTA_ENCAP_TYPE, NE(uint16(1))), Attr(RTA_ENCAP, Attr(1, Labels(100<<12|0x100)))),
		func(r *Route) { r.Encap = Encap{1, Attr(1, Labels(100<<12|0x100))} }},
	{"RTA_ENCAP before its type", IPv4, Cat(Attr(RTA_ENCAP), Attr(RTA_ENCAP_TYPE, NE(uint16(300)))),
		func(r *Route) { r.Encap = Encap{300, []byte{}} }},
	{"RTA_ENCAP_TYPE 0", IPv4, Attr(RTA_ENCAP_TYPE, NE(uint16(0))),
		func(r *Route) { r.Unknown = []wire.Attr{{Type: RTA_ENCAP_TYPE, Data: []byte{0, 0}}} }},
	{"RTA_EXPIRES, u64", IPMR, Attr(RTA_EXPIRES, NE(uint64(1<<33))),
		func(r *Route) { r.Expires = Some(uint64(1 << 33)) }},
	{"RTA_EXPIRES, u32", IPv6, Attr(RTA_EXPIRES, NE(uint32(60000))),
		func(r *Route) { r.Expires = Some(uint64(60000)) }},
	{"RTA_EXPIRES 0", IPMR, Attr(RTA_EXPIRES, NE(uint64(0))), func(r *Route) { r.Expires = Some(uint64(0)) }},
	{"RTA_PAD", IPMR, Attr(RTA_PAD), func(*Route) {}},
	{"RTA_UID", IPv4, Attr(RTA_UID, NE(uint32(1000))), func(r *Route) { r.UID = Some(uint32(1000)) }},
	{"RTA_UID 0", IPv4, Attr(RTA_UID, NE(uint32(0))), func(r *Route) { r.UID = Some(uint32(0)) }},
	{"RTA_TTL_PROPAGATE", MPLS, Attr(RTA_TTL_PROPAGATE, []byte{1}), func(r *Route) { r.TTLPropagate = Some(byte(1)) }},
	{"RTA_TTL_PROPAGATE 0", MPLS, Attr(RTA_TTL_PROPAGATE, []byte{0}),
		func(r *Route) { r.TTLPropagate = Some(byte(0)) }},
	{"RTA_IP_PROTO", IPv4, Attr(RTA_IP_PROTO, []byte{17}), func(r *Route) { r.IPProto = Some(byte(17)) }},
	{"RTA_IP_PROTO 0", IPv4, Attr(RTA_IP_PROTO, []byte{0}), func(r *Route) { r.IPProto = Some(byte(0)) }},
	{"RTA_SPORT", IPv4, Attr(RTA_SPORT, []byte{0x1f, 0x90}), func(r *Route) { r.SPort = Some(uint16(8080)) }},
	{"RTA_SPORT 0", IPv4, Attr(RTA_SPORT, []byte{0, 0}), func(r *Route) { r.SPort = Some(uint16(0)) }},
	{"RTA_DPORT", IPv4, Attr(RTA_DPORT, []byte{0, 53}), func(r *Route) { r.DPort = Some(uint16(53)) }},
	{"RTA_DPORT 0", IPv4, Attr(RTA_DPORT, []byte{0, 0}), func(r *Route) { r.DPort = Some(uint16(0)) }},
	{"RTA_NH_ID", IPv4, Attr(RTA_NH_ID, NE(uint32(4294967295))),
		func(r *Route) { r.NexthopID = Some(uint32(4294967295)) }},
	{"RTA_NH_ID 0", IPv4, Attr(RTA_NH_ID, NE(uint32(0))), func(r *Route) { r.NexthopID = Some(uint32(0)) }},
	{"RTA_FLOWLABEL", IPv6, Attr(RTA_FLOWLABEL, []byte{0, 1, 2, 3}), func(r *Route) {
		r.FlowLabel = Some(uint32(0x10203))
		if Requested(RTA_FLOWLABEL) {
			r.Unknown = []wire.Attr{{Type: RTA_FLOWLABEL, Data: []byte{0, 1, 2, 3}}}
		}
	}},
	{"RTA_DEL_REASON", IPv6, Attr(RTA_DEL_REASON, NE(uint32(2))), func(r *Route) {
		r.DelReason, r.Unknown = Some(uint32(2)), []wire.Attr{{Type: RTA_DEL_REASON, Data: NE(uint32(2))}}
	}},

	{"number 0", IPv4, Attr(0, []byte{1}), func(r *Route) { r.Unknown = []wire.Attr{{Type: 0, Data: []byte{1}}} }},
	{"RTA_PROTOINFO, RTA_SESSION, RTA_MP_ALGO", IPv4, Cat(Attr(10), Attr(13, []byte{1, 2}), Attr(14)),
		func(r *Route) {
			r.Unknown = []wire.Attr{{Type: 10, Data: []byte{}}, {Type: 13, Data: []byte{1, 2}},
				{Type: 14, Data: []byte{}}}
		}},
	{"numbers to come", IPv4, Cat(Attr(RTA_END), Attr(63), Attr(64), Attr(0x3fff)),
		func(r *Route) {
			r.Unknown = []wire.Attr{{Type: RTA_END, Data: []byte{}}, {Type: 63, Data: []byte{}},
				{Type: 64, Data: []byte{}}, {Type: 0x3fff, Data: []byte{}}}
		}},
	{"flags of the number", IPv4, Cat(Attr(0x8000|RTA_OIF, NE(uint32(7))), Attr(0xc000|99, []byte{1})),
		func(r *Route) { r.OIF, r.Unknown = Some(uint32(7)), []wire.Attr{{Type: 99, Data: []byte{1}}} }},
	{"an attribute twice", IPv4, Cat(Attr(RTA_OIF, NE(uint32(7))), Attr(RTA_OIF, NE(uint32(8)))),
		func(r *Route) { r.OIF = Some(uint32(8)) }},
	{"padding at the end", IPv4, append(Attr(RTA_OIF, NE(uint32(7))), 0, 0, 0),
		func(r *Route) { r.OIF = Some(uint32(7)) }},
	{"no padding at the end", IPv6, Attr(RTA_PREF, []byte{1})[:5], func(r *Route) { r.Pref = Some(byte(1)) }},
	{"RTA_GATEWAY of no family", IPv4, Attr(RTA_GATEWAY, make([]byte, 5)),
		func(r *Route) { r.Unknown = []wire.Attr{{Type: RTA_GATEWAY, Data: make([]byte, 5)}} }},
	{"RTA_VIA of another family", IPv4, Attr(RTA_VIA, NE(uint16(7)), bytes4),
		func(r *Route) { r.Unknown = []wire.Attr{{Type: RTA_VIA, Data: Cat(NE(uint16(7)), bytes4)}} }},
	{"RTA_VIA of a wrong length", IPv4, Attr(RTA_VIA, NE(uint16(IPv6)), bytes4),
		func(r *Route) { r.Unknown = []wire.Attr{{Type: RTA_VIA, Data: Cat(NE(uint16(IPv6)), bytes4)}} }},
	{"RTA_VIA of a link", MPLS, Attr(RTA_VIA, NE(uint16(AF_PACKET)), []byte{2, 0, 0, 0, 0, 1}),
		func(r *Route) { r.LinkGateway = []byte{2, 0, 0, 0, 0, 1} }},
	{"RTA_VIA of an InfiniBand link", MPLS, Attr(RTA_VIA, NE(uint16(AF_PACKET)), make([]byte, 20)),
		func(r *Route) { r.LinkGateway = make([]byte, 20) }},
	{"RTA_VIA of a link without address", MPLS, Attr(RTA_VIA, NE(uint16(AF_PACKET))),
		func(r *Route) { r.Unknown = []wire.Attr{{Type: RTA_VIA, Data: NE(uint16(AF_PACKET))}} }},
	{"RTA_VIA of a link with too long an address", MPLS, Attr(RTA_VIA, NE(uint16(AF_PACKET)), make([]byte, 33)),
		func(r *Route) {
			r.Unknown = []wire.Attr{{Type: RTA_VIA, Data: Cat(NE(uint16(AF_PACKET)), make([]byte, 33))}}
		}},
	{"RTA_PAD that holds something", IPv4, Attr(RTA_PAD, []byte{1}),
		func(r *Route) { r.Unknown = []wire.Attr{{Type: RTA_PAD, Data: []byte{1}}} }},
	{"RTA_ENCAP without RTA_ENCAP_TYPE", IPv4, Attr(RTA_ENCAP, encIPDst),
		func(r *Route) { r.Encap.Raw, r.Unknown = encIPDst, []wire.Attr{{Type: RTA_ENCAP, Data: encIPDst}} }},
	{"RTA_SRC without addresses", MPLS, Attr(RTA_SRC, bytes4),
		func(r *Route) { r.Unknown = []wire.Attr{{Type: RTA_SRC, Data: bytes4}} }},
	{"RTA_DST that is no label", MPLS, Attr(RTA_DST, bytes6),
		func(r *Route) { r.Unknown = []wire.Attr{{Type: RTA_DST, Data: bytes6}} }},
	{"RTA_DST of a family that is none of IP", 29, Attr(RTA_DST, bytes4),
		func(r *Route) { r.Unknown = []wire.Attr{{Type: RTA_DST, Data: bytes4}} }},
	{"a wrong length after a right one", IPv4, Cat(Attr(RTA_MARK, NE(uint32(1))), Attr(RTA_MARK, []byte{1})),
		func(r *Route) { r.Mark, r.Unknown = Some(uint32(1)), []wire.Attr{{Type: RTA_MARK, Data: []byte{1}}} }},
	{"RTA_METRICS with an unknown one", IPv4,
		Attr(RTA_METRICS, Attr(RTAX_MTU, NE(uint32(1400))), Attr(uint16(RTAX_END), NE(uint32(5)))),
		func(r *Route) {
			r.Metrics.Set(RTAX_MTU, 1400)
			r.Unknown = []wire.Attr{{Type: RTA_METRICS,
				Data: Cat(Attr(RTAX_MTU, NE(uint32(1400))), Attr(uint16(RTAX_END), NE(uint32(5))))}}
		}},
}

// understood reports whether an attribute of a route is one that is decoded. It
// says nothing of what is malformed.
func understood(f Family, typ uint16, d []byte) bool {
	n, alen := len(d), f.AddrLen()
	switch typ {
	case RTA_DST:
		return f == MPLS && n == 4 || alen > 0 && n == alen
	case RTA_SRC:
		return alen > 0 && n == alen
	case RTA_IIF, RTA_OIF, RTA_PRIORITY, RTA_FLOW, RTA_TABLE, RTA_MARK, RTA_UID, RTA_NH_ID:
		return n == 4
	case RTA_GATEWAY, RTA_PREFSRC:
		return n == 4 || n == 16
	case RTA_VIA:
		return n == 6 && (wire.U16(d) == uint16(IPv4) || wire.U16(d) == uint16(IPMR)) ||
			n == 18 && (wire.U16(d) == uint16(IPv6) || wire.U16(d) == uint16(IP6MR)) ||
			n > 2 && n <= 2+MaxLinkAddr && wire.U16(d) == AF_PACKET
	case RTA_METRICS:
		a := wire.Walk(d)
		for a.Next() {
			if !metricUnderstood(a.Type, a.Data) {
				return false
			}
		}
		return true
	case RTA_CACHEINFO:
		return n == 32
	case RTA_MFC_STATS:
		return n == 24
	case RTA_NEWDST:
		return n > 0 && n%4 == 0
	case RTA_PREF, RTA_TTL_PROPAGATE, RTA_IP_PROTO:
		return n == 1
	case RTA_SPORT, RTA_DPORT:
		return n == 2
	case RTA_ENCAP_TYPE:
		return n == 2 && wire.U16(d) != 0
	case RTA_EXPIRES:
		return n == 4 || n == 8
	case RTA_PAD:
		return n == 0
	case RTA_MULTIPATH, RTA_ENCAP:
		return true
	}
	// The others are numbers that are shown as they are.
	i := slices.IndexFunc(RouteAttributes(), func(a Attribute) bool { return a.Number == typ })
	return i >= 0 && n == RouteAttributes()[i].Size && !Requested(typ)
}

// notUnderstood returns the attributes that should be kept as they are, and an
// encapsulation without a type after them.
func notUnderstood(all []wire.Attr, e Encap, encap uint16,
	understood func(typ uint16, d []byte) bool) (unknown []wire.Attr) {
	for _, a := range all {
		if !understood(a.Type, a.Data) {
			unknown = append(unknown, a)
		}
	}
	if e.Type == 0 && e.Raw != nil {
		unknown = append(unknown, wire.Attr{Type: encap, Data: e.Raw})
	}
	return unknown
}

// hopUnderstood does the same for an attribute inside RTA_MULTIPATH.
func hopUnderstood(typ uint16, d []byte) bool {
	switch typ {
	case RTA_GATEWAY, RTA_VIA, RTA_FLOW, RTA_NEWDST, RTA_ENCAP_TYPE, RTA_ENCAP, RTA_PAD:
		return understood(IPv4, typ, d)
	}
	return false
}

// fieldList has every attribute of a route, those that make one field together.
var fieldList = func() (list []Fields) {
	for _, a := range RouteAttributes() {
		f := a.Field()
		if f == 1<<RTA_PAD {
			continue
		}
		for _, together := range []Fields{FieldVia &^ (1 << RTA_OIF), FieldEncap} {
			if f&together != 0 {
				f = together
			}
		}
		if !slices.Contains(list, f) {
			list = append(list, f)
		}
	}
	return list
}()

// fields chooses from fieldList by the bits of a number.
func fields(bits uint32) (f Fields) {
	for i, one := range fieldList {
		if bits>>i&1 != 0 {
			f |= one
		}
	}
	return f
}

// restrict returns what decoding only some fields gives, from a route that was
// decoded in full.
func restrict(r *Route, f Fields) Route {
	out := *r
	zero := func(field Fields, clear func()) {
		if f&field == 0 {
			clear()
		}
	}
	zero(1<<RTA_DST, func() { out.Dst, out.DstLabel = netip.Prefix{}, nil })
	zero(1<<RTA_SRC, func() { out.Src = netip.Prefix{} })
	zero(1<<RTA_IIF, func() { out.IIF = Opt[uint32]{} })
	zero(1<<RTA_OIF, func() { out.OIF = Opt[uint32]{} })
	zero(1<<RTA_GATEWAY|1<<RTA_VIA, func() { out.Gateway, out.LinkGateway = netip.Addr{}, nil })
	zero(1<<RTA_PRIORITY, func() { out.Priority = Opt[uint32]{} })
	zero(1<<RTA_PREFSRC, func() { out.PrefSrc = netip.Addr{} })
	zero(1<<RTA_METRICS, func() { out.Metrics = Metrics{} })
	zero(1<<RTA_MULTIPATH, func() { out.Multipath = nil })
	zero(1<<RTA_FLOW, func() { out.Realms = Opt[uint32]{} })
	zero(1<<RTA_CACHEINFO, func() { out.Cache = Opt[CacheInfo]{} })
	zero(1<<RTA_MARK, func() { out.Mark = Opt[uint32]{} })
	zero(1<<RTA_MFC_STATS, func() { out.MFC = Opt[MFCStats]{} })
	zero(1<<RTA_NEWDST, func() { out.NewDst = nil })
	zero(1<<RTA_PREF, func() { out.Pref = Opt[uint8]{} })
	zero(1<<RTA_ENCAP_TYPE|1<<RTA_ENCAP, func() { out.Encap = Encap{} })
	zero(1<<RTA_EXPIRES, func() { out.Expires = Opt[uint64]{} })
	zero(1<<RTA_UID, func() { out.UID = Opt[uint32]{} })
	zero(1<<RTA_TTL_PROPAGATE, func() { out.TTLPropagate = Opt[uint8]{} })
	zero(1<<RTA_IP_PROTO, func() { out.IPProto = Opt[uint8]{} })
	zero(1<<RTA_SPORT, func() { out.SPort = Opt[uint16]{} })
	zero(1<<RTA_DPORT, func() { out.DPort = Opt[uint16]{} })
	zero(1<<RTA_NH_ID, func() { out.NexthopID = Opt[uint32]{} })
	zero(1<<RTA_FLOWLABEL, func() { out.FlowLabel = Opt[uint32]{} })
	zero(1<<RTA_DEL_REASON, func() { out.DelReason = Opt[uint32]{} })
	for number := uint16(RTA_DEL_REASON + 1); number < RTA_END; number++ { // what was added since
		if i := FieldOf(number); i >= 0 {
			zero(1<<number, func() { reflect.ValueOf(&out).Elem().Field(i).SetZero() })
		}
	}
	out.Unknown = nil
	return out
}

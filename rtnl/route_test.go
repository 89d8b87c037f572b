package rtnl

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// appendRoute encodes what Route.UnmarshalBinary decodes. Attributes that are not
// understood come first, so that they do not replace what is.
func appendRoute(b []byte, r *Route) []byte {
	table := byte(unix.RT_TABLE_COMPAT)
	if r.Table < 256 {
		table = byte(r.Table)
	}
	dstLen := r.Dst.Bits()
	if r.Family == MPLS {
		dstLen = 20
	}
	b = append(b, byte(r.Family), byte(max(dstLen, 0)), byte(max(r.Src.Bits(), 0)), r.TOS,
		table, r.Protocol, r.Scope, byte(r.Type))
	b = append(b, encNE(r.Flags)...)
	for _, a := range r.Unknown {
		b = append(b, encAttr(a.Type, a.Data)...)
	}
	put := func(typ uint16, ok bool, data ...[]byte) {
		if ok {
			b = append(b, encAttr(typ, data...)...)
		}
	}
	put32 := func(typ uint16, o Opt[uint32]) { put(typ, o.OK, encNE(o.V)) }
	put(rtaDst, r.Dst.IsValid(), r.Dst.Addr().AsSlice())
	put(rtaDst, r.DstLabel != nil, r.DstLabel)
	put(rtaSrc, r.Src.IsValid(), r.Src.Addr().AsSlice())
	put32(rtaIIF, r.IIF)
	put32(rtaOIF, r.OIF)
	b = appendGateway(b, r.Family, r.Gateway, r.LinkGateway)
	put32(rtaPriority, r.Priority)
	put(rtaPrefSrc, r.PrefSrc.IsValid(), r.PrefSrc.AsSlice())
	put(rtaMetrics, r.Metrics.has != 0, appendMetrics(nil, &r.Metrics))
	put(rtaMultipath, len(r.Multipath) > 0, appendMultipath(nil, r.Family, r.Multipath))
	put32(rtaFlow, r.Realms)
	c := r.Cache.V
	put(rtaCacheInfo, r.Cache.OK, encNE(c.ClntRef), encNE(c.LastUse), encNE(uint32(c.Expires)), encNE(c.Error),
		encNE(c.Used), encNE(c.ID), encNE(c.TS), encNE(c.TSAge))
	put(rtaTable, true, encNE(r.Table))
	put32(rtaMark, r.Mark)
	put(rtaMFCStats, r.MFC.OK, encNE(r.MFC.V.Packets), encNE(r.MFC.V.Bytes), encNE(r.MFC.V.WrongIf))
	put(rtaNewDst, r.NewDst != nil, r.NewDst)
	put(rtaPref, r.Pref.OK, encNE(r.Pref.V))
	b = appendEncap(b, rtaEncapType, r.Encap)
	put(rtaExpires, r.Expires.OK, encNE(r.Expires.V))
	put32(rtaUID, r.UID)
	put(rtaTTLPropagate, r.TTLPropagate.OK, encNE(r.TTLPropagate.V))
	put(rtaIPProto, r.IPProto.OK, encNE(r.IPProto.V))
	put(rtaSPort, r.SPort.OK, encBE(r.SPort.V))
	put(rtaDPort, r.DPort.OK, encBE(r.DPort.V))
	put32(rtaNHID, r.NexthopID)
	return b // RTA_FLOWLABEL and RTA_DEL_REASON are among the unknown ones
}

// appendGateway encodes RTA_GATEWAY, or RTA_VIA for an address of another family
// than the route's, and RTA_VIA for a link-layer address.
func appendGateway(b []byte, f Family, gw netip.Addr, link []byte) []byte {
	if link != nil {
		b = append(b, encAttr(rtaVia, encNE(uint16(unix.AF_PACKET)), link)...)
	}
	switch {
	case !gw.IsValid():
		return b
	case gw.BitLen() == f.addrLen()*8:
		return append(b, encAttr(rtaGateway, gw.AsSlice())...)
	case gw.Is4():
		return append(b, encAttr(rtaVia, encNE(uint16(IPv4)), gw.AsSlice())...)
	}
	return append(b, encAttr(rtaVia, encNE(uint16(IPv6)), gw.AsSlice())...)
}

// appendEncap encodes the two attributes of an encapsulation, of which the second
// has the number after the first's.
func appendEncap(b []byte, typ uint16, e Encap) []byte {
	if e.Type != 0 {
		b = append(b, encAttr(typ, encNE(e.Type))...)
	}
	if e.Raw != nil {
		b = append(b, encAttr(typ+1, e.Raw)...)
	}
	return b
}

// appendMultipath encodes the payload of RTA_MULTIPATH.
func appendMultipath(b []byte, f Family, hops []Nexthop) []byte {
	for i := range hops {
		h := &hops[i]
		start := len(b)
		hops := byte(h.Weight - 1)
		if h.TTLThreshold.OK {
			hops = h.TTLThreshold.V
		}
		b = append(b, 0, 0, byte(h.Flags), hops)
		b = append(b, encNE(h.OIF)...)
		for _, a := range h.Unknown {
			b = append(b, encAttr(a.Type, a.Data)...)
		}
		b = appendGateway(b, f, h.Gateway, h.LinkGateway)
		if h.Realms.OK {
			b = append(b, encAttr(rtaFlow, encNE(h.Realms.V))...)
		}
		if h.NewDst != nil {
			b = append(b, encAttr(rtaNewDst, h.NewDst)...)
		}
		b = appendEncap(b, rtaEncapType, h.Encap)
		copy(b[start:], encNE(uint16(len(b)-start)))
	}
	return b
}

// A chance makes random values.
type chance struct{ *rand.Rand }

func newChance(seed uint64) chance { return chance{rand.New(rand.NewPCG(seed, 0))} }

func (c chance) yes() bool { return c.IntN(2) == 0 }

func (c chance) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(c.Uint32())
	}
	return b
}

func (c chance) u32() uint32 {
	return []uint32{0, 1, 1<<32 - 1, c.Uint32(), c.Uint32N(256)}[c.IntN(5)]
}

func (c chance) opt32() Opt[uint32] { return perhaps(c, c.u32()) }

func perhaps[T any](c chance, v T) (o Opt[T]) {
	if c.yes() {
		o = some(v)
	}
	return o
}

func (c chance) addr(n int) netip.Addr {
	a, _ := netip.AddrFromSlice(c.bytes(n))
	return a
}

// gateway is an address of either family, or none.
func (c chance) gateway() netip.Addr { return c.addr([]int{0, 4, 16}[c.IntN(3)]) }

func (c chance) labels() []byte {
	if c.yes() {
		return nil
	}
	return c.bytes(4 * (1 + c.IntN(3)))
}

func (c chance) encap() (e Encap) {
	if c.yes() {
		e = Encap{uint16(1 + c.IntN(12)), c.bytes(c.IntN(40))}
	}
	return e
}

func (c chance) unknown(types ...uint16) (all []Attr) {
	for range c.IntN(3) {
		all = append(all, Attr{types[c.IntN(len(types))], c.bytes(c.IntN(9))})
	}
	return all
}

func (c chance) metrics() (m Metrics) {
	for n := MetricLock; n < metricEnd; n++ {
		switch {
		case c.yes():
		case n == MetricCCAlgo:
			m.has |= 1 << n
			m.CC = "cubic"
		default:
			m.has |= 1 << n
			m.values[n] = c.u32()
		}
	}
	return m
}

func (c chance) hops(f Family) (hops []Nexthop) {
	for range c.IntN(4) {
		h := Nexthop{OIF: c.u32(), Gateway: c.gateway(), LinkGateway: c.linkAddr(), Flags: c.Uint32N(256),
			Realms: c.opt32(), Encap: c.encap(), NewDst: c.labels(), Unknown: c.unknown(0, 1, 4, 33, 200)}
		if f == IPMR || f == IP6MR {
			h.TTLThreshold = some(byte(c.u32()))
		} else {
			h.Weight = 1 + c.Uint32N(256)
		}
		hops = append(hops, h)
	}
	return hops
}

// linkAddr is mostly none.
func (c chance) linkAddr() []byte {
	if c.IntN(4) > 0 {
		return nil
	}
	return c.bytes(1 + c.IntN(maxLinkAddr))
}

// route is a route that appendRoute can encode.
func (c chance) route() *Route {
	r := &Route{
		Family: []Family{IPv4, IPv6, MPLS, IPMR, IP6MR}[c.IntN(5)],
		Type:   RouteType(c.IntN(13)), Protocol: byte(c.u32()), Scope: byte(c.u32()), TOS: byte(c.u32()),
		Flags: c.u32(), Table: c.u32(),
		IIF: c.opt32(), OIF: c.opt32(), Gateway: c.gateway(), Priority: c.opt32(), PrefSrc: c.gateway(),
		LinkGateway: c.linkAddr(), Metrics: c.metrics(), Realms: c.opt32(),
		Cache: perhaps(c, CacheInfo{c.u32(), c.u32(), int32(c.u32()), c.u32(), c.u32(), c.u32(), c.u32(), c.u32()}),
		Mark:  c.opt32(), MFC: perhaps(c, MFCStats{c.Uint64(), c.Uint64(), c.Uint64()}),
		NewDst: c.labels(), Pref: perhaps(c, byte(c.u32())), Encap: c.encap(), Expires: perhaps(c, c.Uint64()),
		UID: c.opt32(), TTLPropagate: perhaps(c, byte(c.u32())), IPProto: perhaps(c, byte(c.u32())),
		SPort: perhaps(c, uint16(c.u32())), DPort: perhaps(c, uint16(c.u32())), NexthopID: c.opt32(),
		FlowLabel: c.opt32(), DelReason: c.opt32(), Unknown: c.unknown(0, 10, 13, 14, 33, 63, 64, 300),
	}
	r.Multipath = c.hops(r.Family)
	if r.FlowLabel.OK {
		r.Unknown = append(r.Unknown, Attr{rtaFlowLabel, encBE(r.FlowLabel.V)})
	}
	if r.DelReason.OK {
		r.Unknown = append(r.Unknown, Attr{rtaDelReason, encNE(r.DelReason.V)})
	}
	if n := r.Family.addrLen(); n > 0 {
		r.Dst = netip.PrefixFrom(c.addr(n), c.IntN(n*8+1))
		if c.yes() {
			r.Src = netip.PrefixFrom(c.addr(n), c.IntN(n*8+1))
		}
	} else if c.yes() {
		r.DstLabel = c.bytes(4)
	}
	return r
}

func TestRouteRoundTrip(t *testing.T) {
	for seed := range uint64(3000) {
		want := newChance(seed).route()
		b := appendRoute(nil, want)
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
		b := appendRoute(nil, newChance(seed).route())
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
	b := appendRoute(nil, &Route{Family: IPv6, Dst: netip.MustParsePrefix("fd00::/64"), Table: 254,
		Multipath: []Nexthop{{OIF: 1, Weight: 1}, {OIF: 2, Weight: 2}}, Unknown: []Attr{{99, []byte{1}}}})
	var r Route
	if n := testing.AllocsPerRun(100, func() {
		if err := r.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// rtmsg is struct rtmsg of a route with a prefix of no bits in table main.
func rtmsg(f Family) []byte {
	return []byte{byte(f), 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, 0, byte(Unicast), 0, 0, 0, 0}
}

// bareRoute is what rtmsg decodes to.
func bareRoute(f Family) Route {
	r := Route{Family: f, Table: 254, Protocol: unix.RTPROT_STATIC, Type: Unicast}
	switch f.addrLen() {
	case 4:
		r.Dst = netip.MustParsePrefix("0.0.0.0/0")
	case 16:
		r.Dst = netip.MustParsePrefix("::/0")
	}
	return r
}

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
	{"RTA_DST", IPv4, encAttr(rtaDst, bytes4), func(r *Route) { r.Dst = netip.PrefixFrom(addr4, 0) }},
	{"RTA_DST", IPv6, encAttr(rtaDst, bytes6), func(r *Route) { r.Dst = netip.PrefixFrom(addr6, 0) }},
	{"RTA_DST", IPMR, encAttr(rtaDst, bytes4), func(r *Route) { r.Dst = netip.PrefixFrom(addr4, 0) }},
	{"RTA_DST", IP6MR, encAttr(rtaDst, bytes6), func(r *Route) { r.Dst = netip.PrefixFrom(addr6, 0) }},
	{"RTA_DST", MPLS, encAttr(rtaDst, encLabels(100<<12|0x100)), func(r *Route) { r.DstLabel = encLabels(100<<12 | 0x100) }},
	{"RTA_SRC", IPv6, encAttr(rtaSrc, bytes6), func(r *Route) { r.Src = netip.PrefixFrom(addr6, 0) }},
	{"RTA_SRC", IPv4, encAttr(rtaSrc, make([]byte, 4)), func(r *Route) { r.Src = netip.MustParsePrefix("0.0.0.0/0") }},
	{"RTA_IIF", IPMR, encAttr(rtaIIF, encNE(uint32(7))), func(r *Route) { r.IIF = some(uint32(7)) }},
	{"RTA_IIF 0", IPMR, encAttr(rtaIIF, encNE(uint32(0))), func(r *Route) { r.IIF = some(uint32(0)) }},
	{"RTA_OIF", IPv4, encAttr(rtaOIF, encNE(uint32(7))), func(r *Route) { r.OIF = some(uint32(7)) }},
	{"RTA_OIF 0", IPv4, encAttr(rtaOIF, encNE(uint32(0))), func(r *Route) { r.OIF = some(uint32(0)) }},
	{"RTA_GATEWAY", IPv4, encAttr(rtaGateway, bytes4), func(r *Route) { r.Gateway = addr4 }},
	{"RTA_GATEWAY", IPv6, encAttr(rtaGateway, bytes6), func(r *Route) { r.Gateway = addr6 }},
	{"RTA_GATEWAY 0", IPv4, encAttr(rtaGateway, make([]byte, 4)), func(r *Route) { r.Gateway = netip.IPv4Unspecified() }},
	{"RTA_GATEWAY ::", IPv6, encAttr(rtaGateway, make([]byte, 16)), func(r *Route) { r.Gateway = netip.IPv6Unspecified() }},
	{"RTA_PRIORITY", IPv6, encAttr(rtaPriority, encNE(^uint32(0))), func(r *Route) { r.Priority = some(^uint32(0)) }},
	{"RTA_PRIORITY 0", IPv6, encAttr(rtaPriority, encNE(uint32(0))), func(r *Route) { r.Priority = some(uint32(0)) }},
	{"RTA_PREFSRC", IPv4, encAttr(rtaPrefSrc, bytes4), func(r *Route) { r.PrefSrc = addr4 }},
	{"RTA_PREFSRC ::", IPv6, encAttr(rtaPrefSrc, make([]byte, 16)), func(r *Route) { r.PrefSrc = netip.IPv6Unspecified() }},
	{"RTA_METRICS", IPv4, encAttr(rtaMetrics, encAttr(uint16(MetricMTU), encNE(uint32(1400)))),
		func(r *Route) { r.Metrics.has, r.Metrics.values[MetricMTU] = 1<<MetricMTU, 1400 }},
	{"RTA_METRICS, empty", IPv4, encAttr(rtaMetrics), func(*Route) {}},
	{"RTA_MULTIPATH", IPv4, encAttr(rtaMultipath, appendMultipath(nil, IPv4, []Nexthop{{OIF: 3, Weight: 256, Flags: 4, Gateway: addr4}})),
		func(r *Route) { r.Multipath = []Nexthop{{OIF: 3, Weight: 256, Flags: 4, Gateway: addr4}} }},
	{"RTA_MULTIPATH, empty", IPv4, encAttr(rtaMultipath), func(*Route) {}},
	{"RTA_FLOW", IPv4, encAttr(rtaFlow, encNE(uint32(3<<16|4))), func(r *Route) { r.Realms = some(uint32(3<<16 | 4)) }},
	{"RTA_FLOW 0", IPv4, encAttr(rtaFlow, encNE(uint32(0))), func(r *Route) { r.Realms = some(uint32(0)) }},
	{"RTA_CACHEINFO", IPv6, encAttr(rtaCacheInfo, encNE(uint32(1)), encNE(uint32(2)), encNE(^uint32(2)), encNE(uint32(4)),
		encNE(uint32(5)), encNE(uint32(6)), encNE(uint32(7)), encNE(uint32(8))),
		func(r *Route) { r.Cache = some(CacheInfo{1, 2, -3, 4, 5, 6, 7, 8}) }},
	{"RTA_CACHEINFO 0", IPv6, encAttr(rtaCacheInfo, make([]byte, 32)), func(r *Route) { r.Cache = some(CacheInfo{}) }},
	{"RTA_TABLE", IPv4, encAttr(rtaTable, encNE(uint32(4294967294))), func(r *Route) { r.Table = 4294967294 }},
	{"RTA_TABLE 0", IPv4, encAttr(rtaTable, encNE(uint32(0))), func(r *Route) { r.Table = 0 }},
	{"RTA_MARK", IPv4, encAttr(rtaMark, encNE(uint32(9))), func(r *Route) { r.Mark = some(uint32(9)) }},
	{"RTA_MARK 0", IPv4, encAttr(rtaMark, encNE(uint32(0))), func(r *Route) { r.Mark = some(uint32(0)) }},
	{"RTA_MFC_STATS", IPMR, encAttr(rtaMFCStats, encNE(uint64(1)), encNE(uint64(1<<40)), encNE(uint64(3))),
		func(r *Route) { r.MFC = some(MFCStats{1, 1 << 40, 3}) }},
	{"RTA_MFC_STATS 0", IPMR, encAttr(rtaMFCStats, make([]byte, 24)), func(r *Route) { r.MFC = some(MFCStats{}) }},
	{"RTA_VIA of IPv6", IPv4, encAttr(rtaVia, encNE(uint16(IPv6)), bytes6), func(r *Route) { r.Gateway = addr6 }},
	{"RTA_VIA of IPv4", MPLS, encAttr(rtaVia, encNE(uint16(IPv4)), bytes4), func(r *Route) { r.Gateway = addr4 }},
	{"RTA_NEWDST", MPLS, encAttr(rtaNewDst, encLabels(200<<12, 300<<12|0x100)),
		func(r *Route) { r.NewDst = encLabels(200<<12, 300<<12|0x100) }},
	{"RTA_PREF", IPv6, encAttr(rtaPref, []byte{3}), func(r *Route) { r.Pref = some(byte(3)) }},
	{"RTA_PREF 0", IPv6, encAttr(rtaPref, []byte{0}), func(r *Route) { r.Pref = some(byte(0)) }},
	{"RTA_ENCAP", IPv4, encCat(encAttr(rtaEncapType, encNE(uint16(1))), encAttr(rtaEncap, encAttr(1, encLabels(100<<12|0x100)))),
		func(r *Route) { r.Encap = Encap{1, encAttr(1, encLabels(100<<12|0x100))} }},
	{"RTA_ENCAP before its type", IPv4, encCat(encAttr(rtaEncap), encAttr(rtaEncapType, encNE(uint16(300)))),
		func(r *Route) { r.Encap = Encap{300, []byte{}} }},
	{"RTA_ENCAP_TYPE 0", IPv4, encAttr(rtaEncapType, encNE(uint16(0))), func(r *Route) { r.Unknown = []Attr{{rtaEncapType, []byte{0, 0}}} }},
	{"RTA_EXPIRES, u64", IPMR, encAttr(rtaExpires, encNE(uint64(1<<33))), func(r *Route) { r.Expires = some(uint64(1 << 33)) }},
	{"RTA_EXPIRES, u32", IPv6, encAttr(rtaExpires, encNE(uint32(60000))), func(r *Route) { r.Expires = some(uint64(60000)) }},
	{"RTA_EXPIRES 0", IPMR, encAttr(rtaExpires, encNE(uint64(0))), func(r *Route) { r.Expires = some(uint64(0)) }},
	{"RTA_PAD", IPMR, encAttr(rtaPad), func(*Route) {}},
	{"RTA_UID", IPv4, encAttr(rtaUID, encNE(uint32(1000))), func(r *Route) { r.UID = some(uint32(1000)) }},
	{"RTA_UID 0", IPv4, encAttr(rtaUID, encNE(uint32(0))), func(r *Route) { r.UID = some(uint32(0)) }},
	{"RTA_TTL_PROPAGATE", MPLS, encAttr(rtaTTLPropagate, []byte{1}), func(r *Route) { r.TTLPropagate = some(byte(1)) }},
	{"RTA_TTL_PROPAGATE 0", MPLS, encAttr(rtaTTLPropagate, []byte{0}), func(r *Route) { r.TTLPropagate = some(byte(0)) }},
	{"RTA_IP_PROTO", IPv4, encAttr(rtaIPProto, []byte{17}), func(r *Route) { r.IPProto = some(byte(17)) }},
	{"RTA_IP_PROTO 0", IPv4, encAttr(rtaIPProto, []byte{0}), func(r *Route) { r.IPProto = some(byte(0)) }},
	{"RTA_SPORT", IPv4, encAttr(rtaSPort, []byte{0x1f, 0x90}), func(r *Route) { r.SPort = some(uint16(8080)) }},
	{"RTA_SPORT 0", IPv4, encAttr(rtaSPort, []byte{0, 0}), func(r *Route) { r.SPort = some(uint16(0)) }},
	{"RTA_DPORT", IPv4, encAttr(rtaDPort, []byte{0, 53}), func(r *Route) { r.DPort = some(uint16(53)) }},
	{"RTA_DPORT 0", IPv4, encAttr(rtaDPort, []byte{0, 0}), func(r *Route) { r.DPort = some(uint16(0)) }},
	{"RTA_NH_ID", IPv4, encAttr(rtaNHID, encNE(uint32(4294967295))), func(r *Route) { r.NexthopID = some(uint32(4294967295)) }},
	{"RTA_NH_ID 0", IPv4, encAttr(rtaNHID, encNE(uint32(0))), func(r *Route) { r.NexthopID = some(uint32(0)) }},
	{"RTA_FLOWLABEL", IPv6, encAttr(rtaFlowLabel, []byte{0, 1, 2, 3}), func(r *Route) {
		r.FlowLabel, r.Unknown = some(uint32(0x10203)), []Attr{{rtaFlowLabel, []byte{0, 1, 2, 3}}}
	}},
	{"RTA_DEL_REASON", IPv6, encAttr(rtaDelReason, encNE(uint32(2))), func(r *Route) {
		r.DelReason, r.Unknown = some(uint32(2)), []Attr{{rtaDelReason, encNE(uint32(2))}}
	}},

	{"number 0", IPv4, encAttr(0, []byte{1}), func(r *Route) { r.Unknown = []Attr{{0, []byte{1}}} }},
	{"RTA_PROTOINFO, RTA_SESSION, RTA_MP_ALGO", IPv4, encCat(encAttr(10), encAttr(13, []byte{1, 2}), encAttr(14)),
		func(r *Route) { r.Unknown = []Attr{{10, []byte{}}, {13, []byte{1, 2}}, {14, []byte{}}} }},
	{"numbers to come", IPv4, encCat(encAttr(rtaEnd), encAttr(63), encAttr(64), encAttr(nlaTypeMask)),
		func(r *Route) { r.Unknown = []Attr{{33, []byte{}}, {63, []byte{}}, {64, []byte{}}, {0x3fff, []byte{}}} }},
	{"flags of the number", IPv4, encCat(encAttr(0x8000|rtaOIF, encNE(uint32(7))), encAttr(0xc000|99, []byte{1})),
		func(r *Route) { r.OIF, r.Unknown = some(uint32(7)), []Attr{{99, []byte{1}}} }},
	{"an attribute twice", IPv4, encCat(encAttr(rtaOIF, encNE(uint32(7))), encAttr(rtaOIF, encNE(uint32(8)))),
		func(r *Route) { r.OIF = some(uint32(8)) }},
	{"padding at the end", IPv4, append(encAttr(rtaOIF, encNE(uint32(7))), 0, 0, 0), func(r *Route) { r.OIF = some(uint32(7)) }},
	{"no padding at the end", IPv6, encAttr(rtaPref, []byte{1})[:5], func(r *Route) { r.Pref = some(byte(1)) }},
	{"RTA_GATEWAY of no family", IPv4, encAttr(rtaGateway, make([]byte, 5)), func(r *Route) { r.Unknown = []Attr{{rtaGateway, make([]byte, 5)}} }},
	{"RTA_VIA of another family", IPv4, encAttr(rtaVia, encNE(uint16(7)), bytes4),
		func(r *Route) { r.Unknown = []Attr{{rtaVia, encCat(encNE(uint16(7)), bytes4)}} }},
	{"RTA_VIA of a wrong length", IPv4, encAttr(rtaVia, encNE(uint16(IPv6)), bytes4),
		func(r *Route) { r.Unknown = []Attr{{rtaVia, encCat(encNE(uint16(IPv6)), bytes4)}} }},
	{"RTA_VIA of a link", MPLS, encAttr(rtaVia, encNE(uint16(unix.AF_PACKET)), []byte{2, 0, 0, 0, 0, 1}),
		func(r *Route) { r.LinkGateway = []byte{2, 0, 0, 0, 0, 1} }},
	{"RTA_VIA of an InfiniBand link", MPLS, encAttr(rtaVia, encNE(uint16(unix.AF_PACKET)), make([]byte, 20)),
		func(r *Route) { r.LinkGateway = make([]byte, 20) }},
	{"RTA_VIA of a link without address", MPLS, encAttr(rtaVia, encNE(uint16(unix.AF_PACKET))),
		func(r *Route) { r.Unknown = []Attr{{rtaVia, encNE(uint16(unix.AF_PACKET))}} }},
	{"RTA_VIA of a link with too long an address", MPLS, encAttr(rtaVia, encNE(uint16(unix.AF_PACKET)), make([]byte, 33)),
		func(r *Route) { r.Unknown = []Attr{{rtaVia, encCat(encNE(uint16(unix.AF_PACKET)), make([]byte, 33))}} }},
	{"RTA_PAD that holds something", IPv4, encAttr(rtaPad, []byte{1}), func(r *Route) { r.Unknown = []Attr{{rtaPad, []byte{1}}} }},
	{"RTA_ENCAP without RTA_ENCAP_TYPE", IPv4, encAttr(rtaEncap, encIPDst),
		func(r *Route) { r.Encap.Raw, r.Unknown = encIPDst, []Attr{{rtaEncap, encIPDst}} }},
	{"RTA_SRC without addresses", MPLS, encAttr(rtaSrc, bytes4), func(r *Route) { r.Unknown = []Attr{{rtaSrc, bytes4}} }},
	{"RTA_DST that is no label", MPLS, encAttr(rtaDst, bytes6), func(r *Route) { r.Unknown = []Attr{{rtaDst, bytes6}} }},
	{"RTA_DST of a family that is none of IP", 29, encAttr(rtaDst, bytes4), func(r *Route) { r.Unknown = []Attr{{rtaDst, bytes4}} }},
	{"a wrong length after a right one", IPv4, encCat(encAttr(rtaMark, encNE(uint32(1))), encAttr(rtaMark, []byte{1})),
		func(r *Route) { r.Mark, r.Unknown = some(uint32(1)), []Attr{{rtaMark, []byte{1}}} }},
	{"RTA_METRICS with an unknown one", IPv4, encAttr(rtaMetrics, encAttr(uint16(MetricMTU), encNE(uint32(1400))), encAttr(18, encNE(uint32(5)))),
		func(r *Route) {
			r.Metrics.has, r.Metrics.values[MetricMTU] = 1<<MetricMTU, 1400
			r.Unknown = []Attr{{rtaMetrics, encCat(encAttr(uint16(MetricMTU), encNE(uint32(1400))), encAttr(18, encNE(uint32(5))))}}
		}},
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
	}
}

// TestRouteHeader has what is in struct rtmsg.
func TestRouteHeader(t *testing.T) {
	b := encCat([]byte{byte(IPv6), 64, 48, 0x10, 252, 186, 253, 7}, encNE(uint32(0x20000111)),
		encAttr(rtaDst, bytes6), encAttr(rtaSrc, bytes6), encAttr(rtaTable, encNE(uint32(1000))))
	want := Route{Family: IPv6, Type: Unreachable, Protocol: 186, Scope: 253, TOS: 16, Flags: 0x20000111, Table: 1000,
		Dst: netip.PrefixFrom(addr6, 64), Src: netip.PrefixFrom(addr6, 48)}
	var got Route
	if err := got.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	// Prefixes without an address.
	b = append([]byte{byte(IPv4), 8, 16, 0, 0, 0, 0, 0}, encNE(uint32(0))...)
	want = Route{Family: IPv4, Dst: netip.MustParsePrefix("0.0.0.0/8"), Src: netip.MustParsePrefix("0.0.0.0/16")}
	got = Route{}
	if err := got.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
}

// understood reports whether an attribute of a route is one that is decoded. It
// says nothing of what is malformed.
func understood(f Family, typ uint16, d []byte) bool {
	n, alen := len(d), f.addrLen()
	switch typ {
	case rtaDst:
		return f == MPLS && n == 4 || alen > 0 && n == alen
	case rtaSrc:
		return alen > 0 && n == alen
	case rtaIIF, rtaOIF, rtaPriority, rtaFlow, rtaTable, rtaMark, rtaUID, rtaNHID:
		return n == 4
	case rtaGateway, rtaPrefSrc:
		return n == 4 || n == 16
	case rtaVia:
		return n == 6 && (u16(d) == uint16(IPv4) || u16(d) == uint16(IPMR)) ||
			n == 18 && (u16(d) == uint16(IPv6) || u16(d) == uint16(IP6MR)) ||
			n > 2 && n <= 2+maxLinkAddr && u16(d) == unix.AF_PACKET
	case rtaMetrics:
		a := walk(d)
		for a.next() {
			if !metricUnderstood(a.typ, a.data) {
				return false
			}
		}
		return true
	case rtaCacheInfo:
		return n == 32
	case rtaMFCStats:
		return n == 24
	case rtaNewDst:
		return n > 0 && n%4 == 0
	case rtaPref, rtaTTLPropagate, rtaIPProto:
		return n == 1
	case rtaSPort, rtaDPort:
		return n == 2
	case rtaEncapType:
		return n == 2 && u16(d) != 0
	case rtaExpires:
		return n == 4 || n == 8
	case rtaPad:
		return n == 0
	case rtaMultipath, rtaEncap:
		return true
	}
	return false
}

// notUnderstood returns the attributes that should be kept as they are, and an
// encapsulation without a type after them.
func notUnderstood(all []Attr, e Encap, encap uint16, understood func(typ uint16, d []byte) bool) (unknown []Attr) {
	for _, a := range all {
		if !understood(a.Type, a.Data) {
			unknown = append(unknown, a)
		}
	}
	if e.Type == 0 && e.Raw != nil {
		unknown = append(unknown, Attr{encap, e.Raw})
	}
	return unknown
}

// hopUnderstood does the same for an attribute inside RTA_MULTIPATH.
func hopUnderstood(typ uint16, d []byte) bool {
	switch typ {
	case rtaGateway, rtaVia, rtaFlow, rtaNewDst, rtaEncapType, rtaEncap, rtaPad:
		return understood(IPv4, typ, d)
	}
	return false
}

// TestRouteLengths gives each attribute every length.
func TestRouteLengths(t *testing.T) {
	for _, f := range []Family{0, IPv4, IPv6, MPLS, IPMR, IP6MR} {
		for typ := range uint16(70) {
			for n := range 40 {
				data := bytes.Repeat([]byte{byte(f)}, n)
				b := append(rtmsg(f), encAttr(typ, data)...)
				var r Route
				err := r.UnmarshalBinary(b)
				checkRoute(t, b)
				switch {
				case typ == rtaDst && f.addrLen() > 0 && n != f.addrLen(),
					typ == rtaMetrics && n > 0, typ == rtaMultipath && n > 0:
					if f == 0 && typ != rtaDst && n < 4 {
						continue // zeros: padding
					}
					if !errors.Is(err, ErrMalformed) {
						t.Errorf("%v, attribute %d of %d bytes: %v", f, typ, n, err)
					}
				case err != nil:
					t.Errorf("%v, attribute %d of %d bytes: %v", f, typ, n, err)
				case !reflect.DeepEqual(r.Unknown, notUnderstood([]Attr{{typ, data}}, r.Encap, rtaEncap,
					func(typ uint16, d []byte) bool { return understood(f, typ, d) })):
					t.Errorf("%v, attribute %d of %d bytes: unknown are %v", f, typ, n, r.Unknown)
				}
			}
		}
	}
}

func TestMultipathAttributes(t *testing.T) {
	hop := func(attrs ...[]byte) []byte {
		body := encCat(attrs...)
		return encCat(encNE(uint16(8+len(body))), []byte{0x11, 0xff}, encNE(uint32(5)), body)
	}
	for _, c := range []struct {
		name string
		body []byte
		set  func(*Nexthop)
	}{
		{"none", hop(), func(*Nexthop) {}},
		{"RTA_GATEWAY", hop(encAttr(rtaGateway, bytes4)), func(h *Nexthop) { h.Gateway = addr4 }},
		{"RTA_GATEWAY ::", hop(encAttr(rtaGateway, make([]byte, 16))), func(h *Nexthop) { h.Gateway = netip.IPv6Unspecified() }},
		{"RTA_VIA", hop(encAttr(rtaVia, encNE(uint16(IPv6)), bytes6)), func(h *Nexthop) { h.Gateway = addr6 }},
		{"RTA_FLOW", hop(encAttr(rtaFlow, encNE(uint32(1<<16)))), func(h *Nexthop) { h.Realms = some(uint32(1 << 16)) }},
		{"RTA_FLOW 0", hop(encAttr(rtaFlow, encNE(uint32(0)))), func(h *Nexthop) { h.Realms = some(uint32(0)) }},
		{"RTA_NEWDST", hop(encAttr(rtaNewDst, encLabels(1<<12|0x100))), func(h *Nexthop) { h.NewDst = encLabels(1<<12 | 0x100) }},
		{"RTA_ENCAP", hop(encAttr(rtaEncap, encIPDst), encAttr(rtaEncapType, encNE(uint16(2)))), func(h *Nexthop) { h.Encap = Encap{2, encIPDst} }},
		{"RTA_ENCAP alone", hop(encAttr(rtaEncap, encIPDst)), func(h *Nexthop) { h.Encap.Raw, h.Unknown = encIPDst, []Attr{{rtaEncap, encIPDst}} }},
		{"RTA_VIA of a link", hop(encAttr(rtaVia, encNE(uint16(unix.AF_PACKET)), []byte{2, 0, 0, 0, 0, 1})), func(h *Nexthop) { h.LinkGateway = []byte{2, 0, 0, 0, 0, 1} }},
		{"RTA_PAD", hop(encAttr(rtaPad)), func(*Nexthop) {}},
		{"RTA_PAD that holds something", hop(encAttr(rtaPad, []byte{0})), func(h *Nexthop) { h.Unknown = []Attr{{rtaPad, []byte{0}}} }},
		{"what belongs to the route", hop(encAttr(rtaOIF, encNE(uint32(1))), encAttr(rtaTable, encNE(uint32(1)))),
			func(h *Nexthop) { h.Unknown = []Attr{{rtaOIF, encNE(uint32(1))}, {rtaTable, encNE(uint32(1))}} }},
		{"wrong lengths", hop(encAttr(rtaGateway, []byte{1}), encAttr(rtaVia, []byte{2, 0}), encAttr(rtaFlow), encAttr(rtaNewDst), encAttr(rtaEncapType, []byte{1})),
			func(h *Nexthop) {
				h.Unknown = []Attr{{rtaGateway, []byte{1}}, {rtaVia, []byte{2, 0}}, {rtaFlow, []byte{}}, {rtaNewDst, []byte{}}, {rtaEncapType, []byte{1}}}
			}},
	} {
		want := Nexthop{OIF: 5, Weight: 256, Flags: 0x11}
		c.set(&want)
		for _, n := range []int{1, 3} {
			b := append(rtmsg(IPv4), encAttr(rtaMultipath, bytes.Repeat(c.body, n))...)
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
	if err := r.decodeMultipath(encCat(hop(encAttr(rtaEncap, []byte{1})), hop(encAttr(rtaEncap, []byte{1}))[:13])); err == nil {
		t.Error("rtnh_len beyond the end was accepted")
	}
	if err := r.decodeMultipath(append([]byte{13, 0, 0, 0, 5, 0, 0, 0, 5, 0, rtaEncap, 0}, 1)); u16([]byte{1, 0}) == 1 && err != nil {
		t.Error(err)
	}
}

func TestRouteMalformed(t *testing.T) {
	hop := encCat(encNE(uint16(8)), []byte{0, 0}, encNE(uint32(5)))
	for _, c := range []struct {
		name   string
		b      []byte
		what   string
		offset int
	}{
		{"nothing", nil, "route", 0},
		{"a byte too few", rtmsg(IPv4)[:11], "route", 11},
		{"dst_len of IPv4", encWith(rtmsg(IPv4), 1, 33), "route", 1},
		{"dst_len of IPv6", encWith(rtmsg(IPv6), 1, 129), "route", 1},
		{"src_len of IPv4", encWith(rtmsg(IPv4), 2, 33), "route", 2},
		{"src_len of IP6MR", encWith(rtmsg(IP6MR), 2, 129), "route", 2},
		{"destination of IPv6", append(rtmsg(IPv4), encAttr(rtaDst, bytes6)...), "route", 12},
		{"second destination", encCat(rtmsg(IPv4), encAttr(rtaOIF, encNE(uint32(1))), encAttr(rtaDst, bytes4), encAttr(rtaDst, []byte{1}), encAttr(rtaPad)), "route", 28},
		{"attribute of length 0", append(rtmsg(IPv4), 0, 0, 0, 0), "route", 12},
		{"attribute of length 3", encCat(rtmsg(IPv4), encAttr(rtaPad), encNE(uint16(3)), []byte{0, 0}), "route", 16},
		{"attribute beyond the end", encCat(rtmsg(IPv4), encAttr(rtaPad), encNE(uint16(5)), []byte{0, 0}), "route", 16},
		{"attribute cut short", append(rtmsg(IPv4), encAttr(rtaOIF, encNE(uint32(1)))[:7]...), "route", 12},
		{"rest that is no attribute", encCat(rtmsg(IPv4), encAttr(rtaPad), []byte{0, 1}), "route", 16},
		{"metrics", append(rtmsg(IPv4), encAttr(rtaMetrics, encAttr(2, encNE(uint32(1))), []byte{9, 0, 2, 0})...), "RTA_METRICS", 8},
		{"hop cut short", append(rtmsg(IPv4), encAttr(rtaMultipath, hop, hop[:7])...), "RTA_MULTIPATH", 8},
		{"rtnh_len 0", append(rtmsg(IPv4), encAttr(rtaMultipath, hop, encWith(hop, 0, 0, 1, 0))...), "RTA_MULTIPATH", 8},
		{"rtnh_len 7", append(rtmsg(IPv4), encAttr(rtaMultipath, encNE(uint16(7)), hop[2:])...), "RTA_MULTIPATH", 0},
		{"rtnh_len beyond the end", append(rtmsg(IPv4), encAttr(rtaMultipath, hop, encNE(uint16(9)), hop[2:])...), "RTA_MULTIPATH", 8},
		{"attribute of a hop", append(rtmsg(IPv4), encAttr(rtaMultipath, hop, encNE(uint16(16)), hop[2:], encAttr(rtaPad), []byte{5, 0, 0, 0})...), "RTA_MULTIPATH", 20},
	} {
		var r Route
		err := r.UnmarshalBinary(c.b)
		_, headErr := readHead(c.b)
		for _, err := range []error{err, headErr} {
			var m *MalformedError
			if !errors.As(err, &m) || !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: got %v", c.name, err)
			} else if m.What != c.what || m.Offset != c.offset {
				t.Errorf("%s: got %v, want %s at %d", c.name, m, c.what, c.offset)
			}
		}
		checkRoute(t, c.b)
	}
	if got := malformed("route", 12, "attribute does not fit").Error(); got != "malformed route at byte 12: attribute does not fit" {
		t.Errorf("got %q", got)
	}
}

// TestRouteMPLS has `ip -f mpls route add 100 as 200/300 via inet 10.0.0.2 dev
// eth0`, and one that pops its label, as mpls_dump_route of Linux 6.18 encodes
// them.
func TestRouteMPLS(t *testing.T) {
	b := encCat([]byte{byte(MPLS), 20, 0, 0, 254, 3, 0, 1}, encNE(uint32(0)),
		encAttr(rtaDst, []byte{0, 0x06, 0x41, 0}), encAttr(rtaTTLPropagate, []byte{0}),
		encAttr(rtaNewDst, []byte{0, 0x0c, 0x80, 0, 0, 0x12, 0xc1, 0}), encAttr(rtaVia, encNE(uint16(IPv4)), bytes4),
		encAttr(rtaOIF, encNE(uint32(2))))
	var r Route
	if err := r.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	text := func(r *Route) string {
		return fmt.Sprintf("%v %s %s %v %v %v %v", r.Family, r.AppendDst(nil), AppendLabels(nil, r.NewDst), r.Gateway, r.OIF, r.TTLPropagate, r.Dst.IsValid())
	}
	if got, want := text(&r), "mpls 100 200/300 10.0.0.2 {2 true} {0 true} false"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	b = encCat([]byte{byte(MPLS), 20, 0, 0, 254, 4, 0, 1}, encNE(uint32(0)),
		encAttr(rtaDst, []byte{0, 0, 0x21, 0}), encAttr(rtaMultipath, appendMultipath(nil, MPLS, []Nexthop{
			{OIF: 2, Weight: 1, Gateway: addr4, NewDst: []byte{0, 0x0c, 0x81, 0}}, {OIF: 3, Weight: 1, Gateway: addr6, Flags: 16}})))
	if err := r.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	hops := new(Snapshot).Nexthops(&r, nil)
	if got, want := fmt.Sprintf("%s %d %v %s %v %d", r.AppendDst(nil), len(hops), hops[0].Gateway, AppendLabels(nil, hops[0].NewDst), hops[1].Gateway, hops[1].Flags),
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
	for f, none := range map[Family]Opt[uint32]{IPv4: some(uint32(0)), IPv6: some(uint32(0)), MPLS: {}, IPMR: {}, IP6MR: {}} {
		for _, priority := range []Opt[uint32]{{}, some(uint32(0)), some(uint32(7))} {
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
		return encCat([]byte{byte(IPMR), 32, 32, 0, 252, 17, scope, 5}, encNE(flags), encAttr(rtaTable, encNE(uint32(1000))),
			encAttr(rtaSrc, source.AsSlice()), encAttr(rtaDst, group.AsSlice()))
	}
	b := encCat(head(0, 0), encAttr(rtaIIF, encNE(uint32(3))),
		encAttr(rtaMultipath, encNE(uint16(8)), []byte{0, 1}, encNE(uint32(4)), encNE(uint16(8)), []byte{0, 2}, encNE(uint32(5))),
		encAttr(rtaMFCStats, encNE(uint64(10)), encNE(uint64(5000000000)), encNE(uint64(1))), encAttr(rtaPad),
		encAttr(rtaExpires, encNE(uint64(12345))))
	want := Route{Family: IPMR, Type: Multicast, Protocol: 17, Table: 1000, Dst: netip.PrefixFrom(group, 32), Src: netip.PrefixFrom(source, 32),
		IIF: some(uint32(3)), Multipath: []Nexthop{{OIF: 4, TTLThreshold: some(uint8(1))}, {OIF: 5, TTLThreshold: some(uint8(2))}},
		MFC: some(MFCStats{10, 5000000000, 1}), Expires: some(uint64(12345))}
	var got Route
	if err := got.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
	want = Route{Family: IPMR, Type: Multicast, Protocol: 17, Table: 1000, Dst: want.Dst, Src: want.Src, Flags: 32}
	got = Route{}
	if err := got.UnmarshalBinary(head(0, unix.RTNH_F_UNRESOLVED)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
	}
}

// fieldList has every Field constant.
var fieldList = []Fields{FieldDst, FieldSrc, FieldIIF, FieldOIF, FieldGateway, FieldPriority, FieldPrefSrc, FieldMetrics, FieldMultipath,
	FieldRealms, FieldCache, FieldTable, FieldMark, FieldMFC, FieldNewDst, FieldPref, FieldEncap, FieldExpires, FieldUID,
	FieldTTLPropagate, FieldIPProto, FieldSPort, FieldDPort, FieldNexthopID}

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
	zero(FieldDst, func() { out.Dst, out.DstLabel = netip.Prefix{}, nil })
	zero(FieldSrc, func() { out.Src = netip.Prefix{} })
	zero(FieldIIF, func() { out.IIF = Opt[uint32]{} })
	zero(FieldOIF, func() { out.OIF = Opt[uint32]{} })
	zero(FieldGateway, func() { out.Gateway, out.LinkGateway = netip.Addr{}, nil })
	zero(FieldPriority, func() { out.Priority = Opt[uint32]{} })
	zero(FieldPrefSrc, func() { out.PrefSrc = netip.Addr{} })
	zero(FieldMetrics, func() { out.Metrics = Metrics{} })
	zero(FieldMultipath, func() { out.Multipath = nil })
	zero(FieldRealms, func() { out.Realms = Opt[uint32]{} })
	zero(FieldCache, func() { out.Cache = Opt[CacheInfo]{} })
	zero(FieldMark, func() { out.Mark = Opt[uint32]{} })
	zero(FieldMFC, func() { out.MFC = Opt[MFCStats]{} })
	zero(FieldNewDst, func() { out.NewDst = nil })
	zero(FieldPref, func() { out.Pref = Opt[uint8]{} })
	zero(FieldEncap, func() { out.Encap = Encap{} })
	zero(FieldExpires, func() { out.Expires = Opt[uint64]{} })
	zero(FieldUID, func() { out.UID = Opt[uint32]{} })
	zero(FieldTTLPropagate, func() { out.TTLPropagate = Opt[uint8]{} })
	zero(FieldIPProto, func() { out.IPProto = Opt[uint8]{} })
	zero(FieldSPort, func() { out.SPort = Opt[uint16]{} })
	zero(FieldDPort, func() { out.DPort = Opt[uint16]{} })
	zero(FieldNexthopID, func() { out.NexthopID = Opt[uint32]{} })
	zero(1<<rtaFlowLabel, func() { out.FlowLabel = Opt[uint32]{} })
	zero(1<<rtaDelReason, func() { out.DelReason = Opt[uint32]{} })
	out.Unknown = nil
	for _, a := range r.Unknown {
		if f != 0 && (a.Type >= 64 || f&(1<<a.Type) != 0) {
			out.Unknown = append(out.Unknown, a)
		}
	}
	return out
}

func TestFields(t *testing.T) {
	for seed := range uint64(1000) {
		c := newChance(seed)
		b := appendRoute(nil, c.route())
		checkRouteFields(t, b, c.Uint32())
		checkRouteFields(t, b, 1<<c.IntN(32))
	}
	all := Fields(1<<rtaFlowLabel | 1<<rtaDelReason | 1<<rtaPad)
	for _, f := range fieldList {
		if all&f != 0 {
			t.Errorf("%#x is in two fields", all&f)
		}
		all |= f
	}
	// RTA_PROTOINFO, _SESSION and _MP_ALGO are not used any more.
	if want := Fields(1<<rtaEnd-1) &^ (1 | 1<<10 | 1<<13 | 1<<14); all != want {
		t.Errorf("fields are %#x, want %#x", all, want)
	}
}

func TestAppendFlags(t *testing.T) {
	for _, c := range []struct {
		flags uint32
		want  string
	}{
		{0, ""}, {1, "dead"}, {2, "pervasive"}, {4, "onlink"}, {8, "offload"}, {16, "linkdown"}, {32, "unresolved"}, {64, "trap"},
		{0x100, "notify"}, {0x200, "cloned"}, {0x400, "equalize"}, {0x800, "prefix"}, {0x1000, "lookup_table"}, {0x2000, "fib_match"},
		{0x4000, "rt_offload"}, {0x8000, "rt_trap"}, {0x20000000, "rt_offload_failed"},
		{0x11, "dead,linkdown"}, {0x80, "0x80"}, {0x10000084, "onlink,0x10000080"}, {1 << 31, "0x80000000"},
		{0xffffffff, "dead,onlink,pervasive,offload,trap,notify,linkdown,unresolved,rt_offload,rt_trap,rt_offload_failed," +
			"cloned,equalize,prefix,lookup_table,fib_match,0xdfff0080"},
	} {
		if got := string(AppendFlags([]byte("x "), c.flags)); got != "x "+c.want {
			t.Errorf("%#x: got %q, want %q", c.flags, got, c.want)
		}
	}
}

func TestRouteNames(t *testing.T) {
	types := []string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit",
		"throw", "nat", "xresolve", "12"}
	for i, want := range types {
		typ := RouteType(i)
		back, ok := ParseRouteType(want)
		if got := typ.String(); got != want || !ok || back != typ {
			t.Errorf("type %d is %q and back %v, %v", i, got, back, ok)
		}
	}
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
		if back, ok := ParseRouteType(RouteType(i).String()); !ok || back != RouteType(i) {
			t.Errorf("type %d and back is %v, %v", i, back, ok)
		}
	}
	for _, s := range []string{"", "UNICAST", "256", "-1", "unicast "} {
		if typ, ok := ParseRouteType(s); ok {
			t.Errorf("%q is type %v", s, typ)
		}
	}
}

func TestAttrJSON(t *testing.T) {
	for _, c := range []struct {
		attr Attr
		want string
	}{
		{Attr{99, []byte{0, 1, 0xfe}}, `{"type":99,"len":3,"hex":"0001fe"}`},
		{Attr{16383, nil}, `{"type":16383,"len":0,"hex":""}`},
	} {
		if got := string(c.attr.AppendJSON([]byte("["))); got != "["+c.want {
			t.Errorf("got %s, want [%s", got, c.want)
		}
	}
}

func TestOpt(t *testing.T) {
	if v, ok := some(7).Get(); v != 7 || !ok {
		t.Error(v, ok)
	}
	if v, ok := (Opt[int]{}).Get(); v != 0 || ok {
		t.Error(v, ok)
	}
}

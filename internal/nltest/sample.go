package nltest

import (
	"net/netip"

	"kernelroutes/rtnl/object"
)

var (
	gateway4 = netip.MustParseAddr("10.0.0.2")
	gateway6 = netip.MustParseAddr("fd00::9")
	ipDst    = Attr(2, []byte{10, 0, 0, 2}) // LWTUNNEL_IP_DST
)

// Sample is an ordinary route of a family, with something of all that its identity is
// made of.
func Sample(f object.Family) *object.Route {
	r := &object.Route{Family: f, Type: object.Unicast, Protocol: RTPROT_STATIC, Table: object.RT_TABLE_MAIN,
		OIF: object.Some(uint32(3)), Gateway: gateway4, Priority: object.Some(uint32(100)), PrefSrc: gateway4,
		Realms: object.Some(uint32(7)), Encap: object.Encap{Type: object.LWTUNNEL_ENCAP_IP, Raw: ipDst}}
	switch f.AddrLen() {
	case 4:
		r.Dst = netip.MustParsePrefix("10.0.0.0/8")
	case 16:
		r.Dst, r.Src, r.Gateway = netip.MustParsePrefix("fd00::/64"), netip.MustParsePrefix("fd01::/64"), gateway6
	default:
		r.DstLabel, r.NewDst = Labels(100<<12|0x100), Labels(200<<12|0x100)
	}
	r.Metrics = MetricsOf(map[uint8]uint32{2: 1400}, "") // RTAX_MTU
	return r
}

// V4 and V6 are Sample(IPv4) and Sample(IPv6).
func V4() *object.Route { return Sample(object.IPv4) }

// V6: see V4.
func V6() *object.Route { return Sample(object.IPv6) }

// ECMP is a route with two nexthops.
func ECMP(f object.Family) *object.Route {
	r := withoutNexthop(f)
	r.Multipath = []object.Nexthop{{OIF: 3, Gateway: Sample(f).Gateway, Weight: 1},
		{OIF: 4, Weight: 2, Realms: object.Some(uint32(1)), Encap: object.Encap{Type: 2, Raw: ipDst}}}
	return r
}

// ViaObject is a route that uses nexthop object 5.
func ViaObject(f object.Family) *object.Route {
	r := withoutNexthop(f)
	r.NexthopID = object.Some(uint32(5))
	return r
}

func withoutNexthop(f object.Family) *object.Route {
	r := Sample(f)
	r.OIF, r.Gateway, r.Encap, r.Realms = object.Opt[uint32]{}, netip.Addr{}, object.Encap{}, object.Opt[uint32]{}
	return r
}

// Mroute is a multicast route from a source; 0.0.0.0 and :: are any source.
func Mroute(f object.Family, source string) *object.Route {
	r := &object.Route{Family: f, Type: object.Multicast, Protocol: 17, Table: object.RT_TABLE_MAIN,
		IIF: object.Some(uint32(3)), Multipath: []object.Nexthop{{OIF: 4, Weight: 2}},
		MFC: object.Some(object.MFCStats{Packets: 1, Bytes: 2, WrongIf: 3}), Expires: object.Some(uint64(100))}
	r.Dst, r.Src = netip.MustParsePrefix("239.1.2.3/32"), netip.MustParsePrefix(source+"/32")
	if f == object.IP6MR {
		r.Dst, r.Src = netip.MustParsePrefix("ff0e::1/128"), netip.MustParsePrefix(source+"/128")
	}
	return r
}

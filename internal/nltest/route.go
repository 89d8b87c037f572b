package nltest

import (
	"net/netip"

	"kernelroutes/rtnl/object"
)

// AppendRoute encodes what Route.UnmarshalBinary decodes. Attributes that are not
// understood come first, so that they do not replace what is.
func AppendRoute(b []byte, r *object.Route) []byte {
	table := byte(object.RT_TABLE_COMPAT)
	if r.Table < 256 {
		table = byte(r.Table)
	}
	dstLen := r.Dst.Bits()
	if r.Family == object.MPLS {
		dstLen = 20
	}
	b = append(b, byte(r.Family), byte(max(dstLen, 0)), byte(max(r.Src.Bits(), 0)), r.TOS,
		table, r.Protocol, r.Scope, byte(r.Type))
	b = append(b, NE(r.Flags)...)
	for _, a := range r.Unknown {
		b = append(b, Attr(a.Type, a.Data)...)
	}
	put := func(typ uint16, ok bool, data ...[]byte) {
		if ok {
			b = append(b, Attr(typ, data...)...)
		}
	}
	put32 := func(typ uint16, o object.Opt[uint32]) { put(typ, o.OK, NE(o.V)) }
	put(RTA_DST, r.Dst.IsValid(), r.Dst.Addr().AsSlice())
	put(RTA_DST, r.DstLabel != nil, r.DstLabel)
	put(RTA_SRC, r.Src.IsValid(), r.Src.Addr().AsSlice())
	put32(RTA_IIF, r.IIF)
	put32(RTA_OIF, r.OIF)
	b = appendGateway(b, r.Family, r.Gateway, r.LinkGateway)
	put32(RTA_PRIORITY, r.Priority)
	put(RTA_PREFSRC, r.PrefSrc.IsValid(), r.PrefSrc.AsSlice())
	metrics := AppendRouteMetrics(nil, &r.Metrics)
	put(RTA_METRICS, len(metrics) > 0, metrics)
	put(RTA_MULTIPATH, len(r.Multipath) > 0, AppendMultipath(nil, r.Family, r.Multipath))
	put32(RTA_FLOW, r.Realms)
	c := r.Cache.V
	put(RTA_CACHEINFO, r.Cache.OK, NE(c.ClntRef), NE(c.LastUse), NE(uint32(c.Expires)), NE(c.Error),
		NE(c.Used), NE(c.ID), NE(c.TS), NE(c.TSAge))
	put(RTA_TABLE, true, NE(r.Table))
	put32(RTA_MARK, r.Mark)
	put(RTA_MFC_STATS, r.MFC.OK, NE(r.MFC.V.Packets), NE(r.MFC.V.Bytes), NE(r.MFC.V.WrongIf))
	put(RTA_NEWDST, r.NewDst != nil, r.NewDst)
	put(RTA_PREF, r.Pref.OK, NE(r.Pref.V))
	b = appendEncap(b, RTA_ENCAP_TYPE, r.Encap)
	put(RTA_EXPIRES, r.Expires.OK, NE(r.Expires.V))
	put32(RTA_UID, r.UID)
	put(RTA_TTL_PROPAGATE, r.TTLPropagate.OK, NE(r.TTLPropagate.V))
	put(RTA_IP_PROTO, r.IPProto.OK, NE(r.IPProto.V))
	put(RTA_SPORT, r.SPort.OK, BE(r.SPort.V))
	put(RTA_DPORT, r.DPort.OK, BE(r.DPort.V))
	put32(RTA_NH_ID, r.NexthopID)
	// What no dump has is among the unknown ones.
	put(RTA_FLOWLABEL, r.FlowLabel.OK && !Requested(RTA_FLOWLABEL), BE(r.FlowLabel.V))
	put(RTA_DEL_REASON, r.DelReason.OK && !Requested(RTA_DEL_REASON), NE(r.DelReason.V))
	return appendAdded(b, r)
}

// appendGateway encodes RTA_GATEWAY, or RTA_VIA for an address of another family
// than the route's, and RTA_VIA for a link-layer address.
func appendGateway(b []byte, f object.Family, gw netip.Addr, link []byte) []byte {
	if link != nil {
		b = append(b, Attr(RTA_VIA, NE(uint16(AF_PACKET)), link)...)
	}
	switch {
	case !gw.IsValid():
		return b
	case gw.BitLen() == f.AddrLen()*8:
		return append(b, Attr(RTA_GATEWAY, gw.AsSlice())...)
	case gw.Is4():
		return append(b, Attr(RTA_VIA, NE(uint16(object.IPv4)), gw.AsSlice())...)
	}
	return append(b, Attr(RTA_VIA, NE(uint16(object.IPv6)), gw.AsSlice())...)
}

// appendEncap encodes the two attributes of an encapsulation, of which the second
// has the number after the first's.
func appendEncap(b []byte, typ uint16, e object.Encap) []byte {
	if e.Type != 0 {
		b = append(b, Attr(typ, NE(e.Type))...)
	}
	if e.Raw != nil {
		b = append(b, Attr(typ+1, e.Raw)...)
	}
	return b
}

// AppendMultipath encodes the payload of RTA_MULTIPATH.
func AppendMultipath(b []byte, f object.Family, hops []object.Nexthop) []byte {
	for i := range hops {
		h := &hops[i]
		start := len(b)
		hops := byte(h.Weight - 1)
		if h.TTLThreshold.OK {
			hops = h.TTLThreshold.V
		}
		b = append(b, 0, 0, byte(h.Flags), hops)
		b = append(b, NE(h.OIF)...)
		for _, a := range h.Unknown {
			b = append(b, Attr(a.Type, a.Data)...)
		}
		b = appendGateway(b, f, h.Gateway, h.LinkGateway)
		if h.Realms.OK {
			b = append(b, Attr(RTA_FLOW, NE(h.Realms.V))...)
		}
		if h.NewDst != nil {
			b = append(b, Attr(RTA_NEWDST, h.NewDst)...)
		}
		b = appendEncap(b, RTA_ENCAP_TYPE, h.Encap)
		copy(b[start:], NE(uint16(len(b)-start)))
	}
	return b
}

// AppendRouteMetrics encodes the payload of RTA_METRICS.
func AppendRouteMetrics(b []byte, m *object.Metrics) []byte {
	for n := range RTAX_END {
		v, ok := m.Get(n)
		switch {
		case !ok:
		case n == object.RTAX_CC_ALGO:
			b = append(b, Attr(uint16(n), Str(m.CC))...)
		default:
			b = append(b, Attr(uint16(n), NE(v))...)
		}
	}
	return b
}

// MetricsOf returns the metrics with these values (RTAX_*), and with an algorithm of
// congestion control unless it is "".
func MetricsOf(values map[uint8]uint32, cc string) object.Metrics {
	var b []byte
	for n, v := range values {
		b = append(b, Attr(uint16(n), NE(v))...)
	}
	if cc != "" {
		b = append(b, Attr(object.RTAX_CC_ALGO, Str(cc))...)
	}
	var r object.Route
	if err := r.UnmarshalBinary(append(make([]byte, RtmsgLen), Attr(RTA_METRICS, b)...)); err != nil {
		panic(err)
	}
	return r.Metrics
}

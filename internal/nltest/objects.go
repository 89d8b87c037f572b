package nltest

import (
	"slices"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// AppendLink encodes what Link.UnmarshalBinary decodes.
func AppendLink(b []byte, l *object.Link) []byte {
	b = append(b, make([]byte, 4)...)
	b = append(b, NE(l.Index)...)
	b = append(b, make([]byte, 8)...)
	b = append(b, Attr(IFLA_IFNAME, Str(l.Name))...)
	if l.Kind != "" {
		data := []byte{1, 2, 3} // which is the kind's own
		if l.Kind == "vrf" {
			data = Attr(IFLA_VRF_TABLE, NE(l.VRFTable))
		}
		b = append(b, Attr(IFLA_LINKINFO, Attr(IFLA_INFO_KIND, Str(l.Kind)), Attr(IFLA_INFO_DATA, data))...)
	}
	return append(b, Attr(IFLA_OPERSTATE, []byte{l.OperState})...)
}

// AppendNexthop encodes what NexthopObject.UnmarshalBinary decodes.
func AppendNexthop(b []byte, o *object.NexthopObject) []byte {
	b = append(b, byte(o.Family), o.Scope, o.Protocol, 0)
	b = append(b, NE(o.Flags)...)
	for _, a := range o.Unknown {
		b = append(b, Attr(a.Type, a.Data)...)
	}
	if o.ID != 0 {
		b = append(b, Attr(NHA_ID, NE(o.ID))...)
	}
	if o.Group != nil {
		var group []byte
		for _, m := range o.Group {
			w := m.Weight - 1
			group = append(append(group, NE(m.ID)...), byte(w), byte(w>>8), 0, 0)
		}
		b = append(b, Attr(NHA_GROUP, group)...)
	}
	if o.GroupType != 0 {
		b = append(b, Attr(NHA_GROUP_TYPE, NE(o.GroupType))...)
	}
	if o.Blackhole {
		b = append(b, Attr(NHA_BLACKHOLE)...)
	}
	if o.OIF != 0 {
		b = append(b, Attr(NHA_OIF, NE(o.OIF))...)
	}
	if o.Gateway.IsValid() {
		b = append(b, Attr(NHA_GATEWAY, o.Gateway.AsSlice())...)
	}
	if o.FDB {
		b = append(b, Attr(NHA_FDB)...)
	}
	b = appendResilient(b, o.Resilient, isUnknown(o, NHA_RES_GROUP))
	if o.OpFlags.OK {
		b = append(b, Attr(NHA_OP_FLAGS, NE(o.OpFlags.V))...)
	}
	if o.Stats != nil || isUnknown(o, NHA_GROUP_STATS) {
		b = append(b, Attr(NHA_GROUP_STATS, memberStats(o.Stats))...)
	}
	if o.HWStats.OK {
		b = append(b, Attr(NHA_HW_STATS_ENABLE, NE(o.HWStats.V))...)
	}
	if o.HWStatsUsed.OK {
		b = append(b, Attr(NHA_HW_STATS_USED, NE(o.HWStatsUsed.V))...)
	}
	return appendEncap(b, NHA_ENCAP_TYPE, o.Encap)
}

// AppendNetconf encodes what Netconf.UnmarshalBinary decodes.
func AppendNetconf(b []byte, n *object.Netconf) []byte {
	b = append(b, byte(n.Family), 0, 0, 0)
	for i, o := range []object.Opt[uint32]{n.Index, n.Forwarding, n.RPFilter, n.MCForwarding, n.ProxyNeigh,
		n.IgnoreLinkdown, n.Input, n.BCForwarding, n.ForceForwarding} {
		if o.OK {
			b = append(b, Attr(uint16(i+1), NE(o.V))...)
		}
	}
	for _, a := range n.Unknown {
		b = append(b, Attr(a.Type, a.Data)...)
	}
	return b
}

// AppendLinkConfig encodes an interface with arrays of settings.
func AppendLinkConfig(b []byte, l *object.Link, ipv4, ipv6 []uint32) []byte {
	array := func(values []uint32) (b []byte) {
		for _, v := range values {
			b = append(b, NE(v)...)
		}
		return b
	}
	return append(AppendLink(b, l), Attr(IFLA_AF_SPEC, Attr(AF_INET, Attr(IFLA_INET_CONF, array(ipv4))),
		Attr(AF_INET6, Attr(IFLA_INET6_CONF, array(ipv6))))...)
}

// isUnknown reports whether an attribute comes before, of which not all was understood.
func isUnknown(o *object.NexthopObject, typ uint16) bool {
	return slices.ContainsFunc(o.Unknown, func(a wire.Attr) bool { return a.Type == typ })
}

// appendResilient encodes NHA_RES_GROUP, if there is anything in it or it is forced.
func appendResilient(b []byte, r object.Resilient, force bool) []byte {
	var nested []byte
	if r.Buckets.OK {
		nested = append(nested, Attr(1, NE(r.Buckets.V))...)
	}
	if r.IdleTimer.OK {
		nested = append(nested, Attr(2, NE(r.IdleTimer.V))...)
	}
	if r.UnbalancedTimer.OK {
		nested = append(nested, Attr(3, NE(r.UnbalancedTimer.V))...)
	}
	if r.UnbalancedTime.OK {
		nested = append(nested, Attr(4, NE(r.UnbalancedTime.V))...)
	}
	if nested == nil && !force {
		return b
	}
	return append(b, Attr(NHA_RES_GROUP, nested)...)
}

// memberStats encodes what is in NHA_GROUP_STATS: numbers that need no more in 4 bytes.
func memberStats(all []object.MemberStats) (b []byte) {
	for _, s := range all {
		entry := Attr(1, NE(s.ID))
		for i, n := range []object.Opt[uint64]{s.Packets, s.PacketsHW} {
			switch {
			case !n.OK:
			case n.V < 1<<32:
				entry = append(entry, Attr(uint16(2+i), NE(uint32(n.V)))...)
			default:
				entry = append(entry, Attr(uint16(2+i), NE(n.V))...)
			}
		}
		b = append(b, Attr(1, entry)...)
	}
	return b
}

package nltest

import "kernelroutes/rtnl/object"

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

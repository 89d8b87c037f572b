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

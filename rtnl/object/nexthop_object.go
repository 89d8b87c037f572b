package object

import (
	"net/netip"

	"kernelroutes/rtnl/wire"
)

// A NexthopObject is a nexthop that routes refer to by its id, from
// RTM_NEWNEXTHOP (Linux 5.3): a single one, a blackhole, or a group of others.
type NexthopObject struct {
	Family   Family // nh_family; 0 for a group
	Protocol uint8  // nh_protocol, RTPROT_*
	Scope    uint8  // nh_scope, RT_SCOPE_*
	Flags    uint32 // nh_flags, RTNH_F_*

	ID        uint32        `nha:"1 ID"`
	Group     []GroupMember `nha:"2 GROUP"`
	GroupType uint16        `nha:"3 GROUP_TYPE"` // 0 multipath, 1 resilient (Linux 5.13)
	Blackhole bool          `nha:"4 BLACKHOLE"`
	OIF       uint32        `nha:"5 OIF"` // 0: none
	Gateway   netip.Addr    `nha:"6 GATEWAY"`
	Encap     Encap         `nha:"7 ENCAP_TYPE,8 ENCAP"`

	Unknown []wire.Attr // what has no place above
}

// A GroupMember is struct nexthop_grp.
type GroupMember struct {
	ID     uint32 // of the nexthop object, which is no group itself
	Weight uint32 // as ip prints it: weight + 1, 16 bits wide since Linux 6.12 (b72a6a7ab957)
}

// The attributes (NHA_*) that are more than a field.
const (
	nhaID        = 1
	nhaGroup     = 2
	nhaEncapType = 7
	nhaEncap     = 8
)

// nexthopObjectFields decode a nexthop object.
var nexthopObjectFields = attributesOf("nha", map[uint16]setter[NexthopObject]{
	nhaGroup:     (*NexthopObject).decodeGroup,
	nhaEncapType: func(o *NexthopObject, d []byte) bool { return o.Encap.decodeType(d) },
	nhaEncap:     func(o *NexthopObject, d []byte) bool { return o.Encap.decodeRaw(d) },
})

// NexthopObjects is the kind of NexthopObject.
var NexthopObjects = Values[NexthopObject]{&Kind{
	Name: "nexthop", Plural: "nexthop objects",
	Get: RTM_GETNEXTHOP, New: RTM_NEWNEXTHOP, Del: RTM_DELNEXTHOP, Groups: []uint{RTNLGRP_NEXTHOP},
	Lacked: "no nexthop objects, so that routes that use one may lack gateway and dev",
	Remedy: "record while `ip nexthop` runs",
	Struct: "nhmsg", Header: 8,
	Number:    numberOfNexthopObject,
	Request:   func(uint32) []byte { return make([]byte, 8) },
	Refer:     referNexthopObject,
	StaleWith: []*Kind{Links.Kind},
	Asked: func(payload []byte) (r DumpRequest, more bool) {
		r, more = askedWhole(8, 0)(payload)
		return r, more || len(payload) > 0 && payload[0] != 0
	},
}, (*NexthopObject).decode}

// UnmarshalBinary decodes the payload of an RTM_NEWNEXTHOP message: struct nhmsg
// and its attributes.
func (o *NexthopObject) UnmarshalBinary(b []byte) error { return NexthopObjects.unmarshal(o, b) }

func (o *NexthopObject) decode(m *Message) {
	b := m.payload
	*o = NexthopObject{Family: Family(b[0]), Scope: b[1], Protocol: b[2], Flags: wire.U32(b[4:])}
	o.Unknown = nexthopObjectFields.decodeAll(o, m.Attributes(), nil)
	o.Unknown = o.Encap.appendUntyped(o.Unknown, nhaEncap)
}

func (o *NexthopObject) decodeGroup(d []byte) bool {
	if len(d)%8 != 0 {
		return false
	}
	o.Group = nil // if there is another one
	for ; len(d) > 0; d = d[8:] {
		o.Group = append(o.Group, GroupMember{wire.U32(d), uint32(d[5])<<8 + uint32(d[4]) + 1})
	}
	return true
}

func numberOfNexthopObject(m *Message) uint32 {
	if d := m.Data(nhaID); len(d) == 4 {
		return wire.U32(d)
	}
	var o NexthopObject // there may be another one, which is understood
	o.decode(m)
	return o.ID
}

// referNexthopObject notes what an object refers to, the members of a group among it.
func referNexthopObject(m *Message, refs *References) {
	var o NexthopObject
	o.decode(m)
	refs.addLink(o.OIF)
	o.Encap.refer(refs)
	for _, member := range o.Group {
		refs.Add(m.kind, member.ID)
	}
}

// hop returns the object as a route's nexthop, with a group's weight for it.
func (o *NexthopObject) hop(weight uint32) Nexthop {
	return Nexthop{OIF: o.OIF, Gateway: o.Gateway, Weight: weight, Flags: o.Flags & 0xff, Encap: o.Encap,
		ID: Some(o.ID), Unknown: o.Unknown}
}

// blackhole reports whether the object is a blackhole, or a group of one
// (nexthop_is_blackhole; a larger group cannot have any). The kernel then copies the
// loopback interface into the route, which is no way to anywhere.
func (o *NexthopObject) blackhole(objects map[uint32]*NexthopObject) bool {
	if o != nil && len(o.Group) == 1 {
		o = objects[o.Group[0].ID]
	}
	return o != nil && o.Blackhole
}

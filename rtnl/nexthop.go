package rtnl

import (
	"net/netip"
	"slices"
)

// A NexthopObject is a nexthop that routes refer to by its id, from
// RTM_NEWNEXTHOP (Linux 5.3): a single one, a blackhole, or a group of others.
type NexthopObject struct {
	ID        uint32        // NHA_ID
	Family    Family        // nh_family; 0 for a group
	Protocol  uint8         // nh_protocol, RTPROT_*
	Scope     uint8         // nh_scope, RT_SCOPE_*
	Flags     uint32        // nh_flags, RTNH_F_*
	OIF       uint32        // NHA_OIF; 0: none
	Gateway   netip.Addr    // NHA_GATEWAY
	Encap     Encap         // NHA_ENCAP_TYPE and NHA_ENCAP
	Blackhole bool          // NHA_BLACKHOLE
	Group     []GroupMember // NHA_GROUP
	GroupType uint16        // NHA_GROUP_TYPE: 0 multipath, 1 resilient (Linux 5.13)
	Unknown   []Attr        // what has no place above
}

// A GroupMember is struct nexthop_grp.
type GroupMember struct {
	ID     uint32
	Weight uint32 // as ip prints it: weight + 1, 16 bits wide since Linux 6.12 (b72a6a7ab957)
}

// The attributes of linux/nexthop.h (NHA_*).
const (
	nhaID        = 1
	nhaGroup     = 2
	nhaGroupType = 3
	nhaBlackhole = 4
	nhaOIF       = 5
	nhaGateway   = 6
	nhaEncapType = 7
	nhaEncap     = 8

	nhmsgLen = 8
)

// UnmarshalBinary decodes the payload of an RTM_NEWNEXTHOP message: struct nhmsg
// and its attributes.
func (o *NexthopObject) UnmarshalBinary(b []byte) error {
	if len(b) < nhmsgLen {
		return malformed("nexthop", len(b), "shorter than struct nhmsg")
	}
	*o = NexthopObject{Family: Family(b[0]), Scope: b[1], Protocol: b[2], Flags: u32(b[4:])}
	a := walk(b[nhmsgLen:])
	for a.next() {
		d, ok := a.data, true
		switch a.typ {
		case nhaID:
			if ok = len(d) == 4; ok {
				o.ID = u32(d)
			}
		case nhaGroup:
			if ok = len(d)%8 == 0; ok {
				for ; len(d) > 0; d = d[8:] {
					o.Group = append(o.Group, GroupMember{u32(d), uint32(d[5])<<8 + uint32(d[4]) + 1})
				}
			}
		case nhaGroupType:
			if ok = len(d) == 2; ok {
				o.GroupType = u16(d)
			}
		case nhaBlackhole:
			ok = len(d) == 0
			o.Blackhole = true
		case nhaOIF:
			if ok = len(d) == 4; ok {
				o.OIF = u32(d)
			}
		case nhaGateway:
			ok = address(&o.Gateway, d)
		case nhaEncapType:
			ok = o.Encap.decodeType(d)
		case nhaEncap:
			o.Encap.Raw = d
		default:
			ok = false
		}
		if !ok {
			o.Unknown = append(o.Unknown, Attr{a.typ, d})
		}
	}
	if !a.ok() {
		return malformed("nexthop", len(b)-len(a.rest), "attribute does not fit")
	}
	o.Unknown = o.Encap.appendUntyped(o.Unknown, nhaEncap)
	return nil
}

// hop returns the object as a route's nexthop, with a group's weight for it.
func (o *NexthopObject) hop(weight uint32) Nexthop {
	return Nexthop{OIF: o.OIF, Gateway: o.Gateway, Weight: weight, Flags: o.Flags & 0xff, Encap: o.Encap,
		ID: some(o.ID), Unknown: o.Unknown}
}

// hop returns what the route itself says of its only nexthop.
func (r *Route) hop() Nexthop {
	return Nexthop{OIF: r.OIF.V, Gateway: r.Gateway, LinkGateway: r.LinkGateway, Weight: 1, Flags: r.Flags & 0xff,
		Realms: r.Realms, Encap: r.Encap, NewDst: r.NewDst, ID: r.NexthopID}
}

// is says which nexthop object a nexthop is that the kernel has copied into the
// route, and adds what the copy lacks.
func (n *Nexthop) is(id, weight uint32, objects map[uint32]*NexthopObject) {
	n.ID, n.Weight = some(id), weight
	if o := objects[id]; o != nil && o.Unknown != nil {
		n.Unknown = append(slices.Clip(n.Unknown), o.Unknown...)
	}
}

// blackhole reports whether the route's nexthop object is a blackhole, or a group
// of one (nexthop_is_blackhole; a larger group cannot have any). The kernel then
// copies the loopback interface into the route, which is no way to anywhere.
func (s *Snapshot) blackhole(r *Route) bool {
	if !r.NexthopID.OK {
		return false
	}
	o := s.objects[r.NexthopID.V]
	if o != nil && len(o.Group) == 1 {
		o = s.objects[o.Group[0].ID]
	}
	return o != nil && o.Blackhole
}

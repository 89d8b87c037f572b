package object

import (
	"encoding/binary"
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

	ID        uint32        `nha:"1 ID" since:"5.3"`
	Group     []GroupMember `nha:"2 GROUP" since:"5.3"`
	GroupType uint16        `nha:"3 GROUP_TYPE" since:"5.3"` // 0 multipath, 1 resilient (Linux 5.13)
	Blackhole bool          `nha:"4 BLACKHOLE" since:"5.3"`
	OIF       uint32        `nha:"5 OIF" since:"5.3"` // 0: none
	Gateway   netip.Addr    `nha:"6 GATEWAY" since:"5.3"`
	Encap     Encap         `nha:"7 ENCAP_TYPE,8 ENCAP" since:"5.3"`
	FDB       bool          `nha:"11 FDB" since:"5.8"`        // it is for a bridge's table, not for routes
	Resilient Resilient     `nha:"12 RES_GROUP" since:"5.13"` // of a resilient group
	OpFlags   Opt[uint32]   `nha:"14 OP_FLAGS" since:"6.9"`   // of the answer: NHA_OP_FLAG_RESP_*, of groups

	// What the kernel counts for a group, if it is asked with NHA_OP_FLAG_DUMP_STATS.
	Stats       []MemberStats `nha:"15 GROUP_STATS" since:"6.9"`
	HWStats     Opt[uint32]   `nha:"16 HW_STATS_ENABLE" since:"6.9"` // 1 if it is to be counted in hardware too
	HWStatsUsed Opt[uint32]   `nha:"17 HW_STATS_USED" since:"6.9"`   // 1 if a driver does: NHA_OP_FLAG_DUMP_HW_STATS

	// Unknown is what has no place above, be it NHA_GROUPS and NHA_MASTER, which only requests
	// have, or NHA_RES_BUCKET, which RTM_NEWNEXTHOPBUCKET has.
	Unknown []wire.Attr
}

// A GroupMember is struct nexthop_grp.
type GroupMember struct {
	ID     uint32 // of the nexthop object, which is no group itself
	Weight uint32 // as ip prints it: weight + 1, 16 bits wide since Linux 6.12 (b72a6a7ab957)
}

// Resilient is NHA_RES_GROUP: how a resilient group moves its buckets to other members. Times
// are in units of 1/UserHZ seconds.
type Resilient struct {
	Buckets         Opt[uint16] `nha_res_group:"1 BUCKETS" since:"5.13"`
	IdleTimer       Opt[uint32] `nha_res_group:"2 IDLE_TIMER" since:"5.13"`       // unused so long, a bucket may move
	UnbalancedTimer Opt[uint32] `nha_res_group:"3 UNBALANCED_TIMER" since:"5.13"` // so long, then any; 0: never
	UnbalancedTime  Opt[uint64] `nha_res_group:"4 UNBALANCED_TIME" since:"5.13"`  // of imbalance; 0: none
	_               struct{}    `nha_res_group:"0 PAD" since:"5.13"`
}

// MemberStats is NHA_GROUP_STATS_ENTRY: what a group has sent to one of its members.
type MemberStats struct {
	ID        uint32      // of the member
	Packets   Opt[uint64] // in software and hardware
	PacketsHW Opt[uint64] // in hardware: NHA_OP_FLAG_DUMP_HW_STATS
}

// The attributes (NHA_*) that are more than a field, or asked for.
const (
	nhaID            = 1
	nhaGroup         = 2
	nhaOIF           = 5
	nhaEncapType     = 7
	nhaEncap         = 8
	nhaResGroup      = 12
	nhaOpFlags       = 14
	nhaGroupStats    = 15
	nhaHWStatsEnable = 16
	nhaHWStatsUsed   = 17

	nhaResGroupUnbalancedTime = 4 // NHA_RES_GROUP_UNBALANCED_TIME

	nhaGroupStatsEntry  = 1 // NHA_GROUP_STATS_ENTRY
	nhaStatsEntryID     = 1 // NHA_GROUP_STATS_ENTRY_ID
	nhaStatsEntryAll    = 2 // NHA_GROUP_STATS_ENTRY_PACKETS
	nhaStatsEntryHW     = 3 // NHA_GROUP_STATS_ENTRY_PACKETS_HW
	opFlagDumpStats     = 1 << 0
	opFlagReservedZero  = 1 << 31 // NHA_OP_FLAG_RESP_GRP_RESVD_0
	nexthopObjectHeader = 8       // struct nhmsg
	rtnhFOnlink         = 1 << 2  // RTNH_F_ONLINK
)

var (
	// nexthopObjectFields decode a nexthop object.
	nexthopObjectFields = attributesOf("nha", map[uint16]setter[NexthopObject]{
		nhaGroup:      (*NexthopObject).decodeGroup,
		nhaEncapType:  func(o *NexthopObject, d []byte) bool { return o.Encap.decodeType(d) },
		nhaEncap:      func(o *NexthopObject, d []byte) bool { return o.Encap.decodeRaw(d) },
		nhaResGroup:   (*NexthopObject).decodeResilient,
		nhaGroupStats: (*NexthopObject).decodeStats,
	})
	resilientFields = attributesOf("nha_res_group", map[uint16]setter[Resilient]{})
)

// NexthopObjects is the kind of NexthopObject.
var NexthopObjects = Values[NexthopObject]{&Kind{
	Name: "nexthop", Plural: "nexthop objects",
	Get: RTM_GETNEXTHOP, New: RTM_NEWNEXTHOP, Del: RTM_DELNEXTHOP, Groups: []uint{RTNLGRP_NEXTHOP},
	Lacked: "no nexthop objects, so that routes that use one may lack gateway and dev",
	Remedy: "record while `ip nexthop` runs",
	Struct: "nhmsg", Header: nexthopObjectHeader,
	Nested:  checkNexthopObject,
	Number:  numberOfNexthopObject,
	Request: requestNexthopObject,
	Details: func(id uint32) []byte {
		return wire.AppendU32(requestNexthopObject(id), nhaOpFlags, opFlagDumpStats)
	},
	// rtm_dump_walk_nexthops since 9e46fb656fdb; before, it counted objects.
	ByNumber: Release{Major: 5, Minor: 13},
	// Before 14cf0cd35361, which is in 7.0 and some stable releases, the answer had to fit into a
	// page, and rtm_get_nexthop warned in the kernel's log of a group that did not.
	LookupSince: []Release{{Major: 7}, {Major: 6, Minor: 18, Patch: 30}},
	Refer:       referNexthopObject,
	StaleWith:   []*Kind{Links.Kind},
	Asked: func(payload []byte) (r DumpRequest, more bool) {
		r, more = askedWhole(nexthopObjectHeader, nhaOpFlags)(payload)
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
	if o.OpFlags.V&opFlagReservedZero == 0 {
		// Before Linux 6.12 the upper half was reserved, and had whatever was in the kernel's
		// memory (6d745cd0e972).
		for i := range o.Group {
			o.Group[i].Weight = (o.Group[i].Weight-1)&0xff + 1
		}
	}
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

// decodeResilient decodes NHA_RES_GROUP. One that has more than is known is kept, too.
func (o *NexthopObject) decodeResilient(d []byte) bool {
	o.Resilient = Resilient{}
	return len(resilientFields.decodeAll(&o.Resilient, d, nil)) == 0
}

// decodeStats decodes NHA_GROUP_STATS, as decodeResilient does.
func (o *NexthopObject) decodeStats(d []byte) bool {
	o.Stats = nil
	understood := true
	for a := wire.Walk(d); a.Next(); {
		if a.Type != nhaGroupStatsEntry {
			understood = false
			continue
		}
		var s MemberStats
		understood = s.decode(a.Data) && understood
		o.Stats = append(o.Stats, s)
	}
	return understood
}

func (s *MemberStats) decode(d []byte) bool {
	understood := true
	for a := wire.Walk(d); a.Next(); {
		switch {
		case a.Type == nhaStatsEntryID && len(a.Data) == 4:
			s.ID = wire.U32(a.Data)
		case a.Type == nhaStatsEntryAll && decodeUint(&s.Packets, a.Data):
		case a.Type == nhaStatsEntryHW && decodeUint(&s.PacketsHW, a.Data):
		default:
			understood = false
		}
	}
	return understood
}

// decodeUint decodes a number that has 4 bytes, or 8 where it needs them (nla_put_uint).
func decodeUint(n *Opt[uint64], d []byte) bool {
	switch len(d) {
	case 4:
		*n = Some(uint64(wire.U32(d)))
	case 8:
		*n = Some(binary.NativeEndian.Uint64(d))
	default:
		return false
	}
	return true
}

// checkNexthopObject checks that what is nested can be decoded.
func checkNexthopObject(m *Message) error {
	err := m.each(nhaResGroup, func(_ int, d []byte) error { return checkNested("NHA_RES_GROUP", d) })
	if err != nil {
		return err
	}
	return m.each(nhaGroupStats, func(_ int, d []byte) error {
		if err := checkNested("NHA_GROUP_STATS", d); err != nil {
			return err
		}
		for a := wire.Walk(d); a.Next(); {
			if a.Type != nhaGroupStatsEntry {
				continue
			}
			if err := checkNested("NHA_GROUP_STATS_ENTRY", a.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

// requestNexthopObject is the payload of a request: for one object with its NHA_ID.
func requestNexthopObject(id uint32) []byte {
	b := make([]byte, nexthopObjectHeader, nexthopObjectHeader+wire.AttrHeaderLen+4)
	if id != 0 {
		b = wire.AppendU32(b, nhaID, id)
	}
	return b
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
	const fields = 1<<nhaGroup | 1<<nhaEncapType | 1<<nhaEncap
	if m.twice&fields != 0 || m.has&(1<<nhaEncap) != 0 {
		var o NexthopObject
		o.decode(m)
		o.refer(m.kind, refs)
		return
	}
	// Without decoding it, which would take as long as the dump does.
	refs.addLink(m.U32(nhaOIF))
	if d := m.Data(nhaGroup); len(d)%8 == 0 {
		for ; len(d) > 0; d = d[8:] {
			refs.Add(m.kind, wire.U32(d))
		}
	}
}

func (o *NexthopObject) refer(k *Kind, refs *References) {
	refs.addLink(o.OIF)
	o.Encap.refer(refs)
	for _, member := range o.Group {
		refs.Add(k, member.ID)
	}
}

// Onlink reports whether the gateway is taken to be on the link, though no address says so.
func (o *NexthopObject) Onlink() bool { return o.Flags&rtnhFOnlink != 0 }

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

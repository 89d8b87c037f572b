package object

import (
	"bytes"
	"net/netip"
	"slices"
	"unsafe"

	"kernelroutes/rtnl/wire"
)

// A Route is one route of the kernel: struct rtmsg and its attributes, from an
// RTM_NEWROUTE message.
//
// Byte slices (Encap, NewDst, Unknown, ...) alias the message that was decoded: see Clone.
//
// An attribute is one line, its field: see Attribute for what the tag says.
type Route struct {
	Family   Family    // rtm_family
	Type     RouteType // rtm_type
	Protocol uint8     // rtm_protocol, RTPROT_*
	Scope    uint8     // rtm_scope, RT_SCOPE_*
	TOS      uint8     // rtm_tos
	Flags    uint32    // rtm_flags: RTM_F_* and, in the low byte, RTNH_F_* of a single nexthop

	// Dst is RTA_DST/rtm_dst_len: 0.0.0.0/0 or ::/0 for a default route; not valid for MPLS.
	Dst netip.Prefix `rta:"1 DST"`
	// DstLabel is RTA_DST of an MPLS route: one label stack entry, 4 bytes, network order.
	DstLabel []byte
	// Src is RTA_SRC/rtm_src_len; not valid where there is neither.
	Src netip.Prefix `rta:"2 SRC"`
	// IIF is the input interface of a multicast route.
	IIF Opt[uint32] `rta:"3 IIF"`
	// OIF is the output interface of a single nexthop.
	OIF Opt[uint32] `rta:"4 OIF"`
	// Gateway is RTA_GATEWAY, or RTA_VIA: one of the other family (Linux 5.2, d15662682db2).
	Gateway netip.Addr `rta:"5 GATEWAY"`
	// Priority is the metric; Metric knows what it is where it is absent.
	Priority Opt[uint32] `rta:"6 PRIORITY"`
	// PrefSrc is the address that packets of this host leave with, if they have none yet.
	PrefSrc netip.Addr `rta:"7 PREFSRC"`
	Metrics Metrics    `rta:"8 METRICS"`
	// Multipath are the members of RTA_MULTIPATH.
	Multipath []Nexthop `rta:"9 MULTIPATH"`
	// Realms are from<<16 | to.
	Realms Opt[uint32] `rta:"11 FLOW"`
	// Cache is in dumps of IPv6 routes alone.
	Cache Opt[CacheInfo] `rta:"12 CACHEINFO"`
	// Table is RTA_TABLE, rtm_table where it is absent (Linux before 2.6.19).
	Table uint32      `rta:"15 TABLE"`
	Mark  Opt[uint32] `rta:"16 MARK" column:"mark" doc:"Firewall mark looked up; not in dumps"`
	// MFC are the counters of a multicast route.
	MFC Opt[MFCStats] `rta:"17 MFC_STATS" since:"3.8"`
	// LinkGateway is RTA_VIA of AF_PACKET: a link-layer address, MPLS alone.
	LinkGateway []byte `rta:"18 VIA" since:"4.1"`
	// NewDst is the MPLS label stack that replaces the destination's.
	NewDst []byte `rta:"19 NEWDST" since:"4.1"`
	// Pref is RFC 4191's preference: 0 medium, 1 high, 3 low.
	Pref Opt[uint8] `rta:"20 PREF" since:"4.1"`
	// Encap is the tunnel of a single nexthop.
	Encap Encap `rta:"21 ENCAP_TYPE,22 ENCAP" since:"4.3"`
	// Expires is in USER_HZ ticks (1/100 s): for multicast routing the time since last use.
	Expires Opt[uint64] `rta:"23 EXPIRES" since:"4.5"`
	_       struct{}    `rta:"24 PAD"`
	UID     Opt[uint32] `rta:"25 UID" since:"4.10" column:"uid" doc:"User id looked up; not in dumps"`
	// TTLPropagate is 1 if MPLS propagates the TTL.
	TTLPropagate Opt[uint8] `rta:"26 TTL_PROPAGATE" since:"4.12"`
	// IPProto, SPort and DPort are in the answer to a look-up.
	IPProto Opt[uint8]  `rta:"27 IP_PROTO" since:"4.18" column:"ip_proto" doc:"IP protocol looked up; not in dumps"`
	SPort   Opt[uint16] `rta:"28 SPORT be" since:"4.18" column:"sport" doc:"Source port looked up; not in dumps"`
	DPort   Opt[uint16] `rta:"29 DPORT be" since:"4.18" column:"dport" doc:"Destination port looked up; not in dumps"`
	// NexthopID is the nexthop object that the route uses.
	NexthopID Opt[uint32] `rta:"30 NH_ID" since:"5.3"`
	// FlowLabel is in the request for a look-up alone.
	FlowLabel Opt[uint32] `rta:"31 FLOWLABEL be request" since:"6.14"`
	// DelReason says in RTM_DELROUTE why the route went (RT_DEL_REASON_*), of IPv6 alone.
	DelReason Opt[uint32] `rta:"32 DEL_REASON request" since:"7.3"`

	// Unknown is all that no dump has, that has no place above, or not the length that it
	// should have.
	Unknown []wire.Attr

	twin int // how many routes before it, to one destination, are like it: see AppendID
}

// The attributes of a route, for what is to be decoded of it (Snapshot.Routes of package
// rtnl). One that is not among them is decoded with AllFields, or see Attribute.Field.
const (
	// FieldNexthops is what the nexthops of a route are worked out from.
	FieldNexthops Fields = FieldVia | 1<<rtaMultipath | 1<<rtaFlow | 1<<rtaEncapType | 1<<rtaEncap |
		1<<rtaNewDst | 1<<rtaNHID
	FieldDst      Fields = 1 << rtaDst
	FieldSrc      Fields = 1 << rtaSrc
	FieldIIF      Fields = 1 << rtaIIF
	FieldPriority Fields = 1 << rtaPriority
	FieldPrefSrc  Fields = 1 << rtaPrefSrc
	FieldMetrics  Fields = 1 << rtaMetrics
	FieldRealms   Fields = 1 << rtaFlow
	FieldCache    Fields = 1 << rtaCacheInfo
	FieldTable    Fields = 1 << rtaTable
	FieldMFC      Fields = 1 << rtaMFCStats
	FieldNewDst   Fields = 1 << rtaNewDst
	FieldEncap    Fields = 1<<rtaEncapType | 1<<rtaEncap
	FieldExpires  Fields = 1 << rtaExpires
	FieldPref     Fields = 1 << rtaPref

	FieldTTLPropagate Fields = 1 << rtaTTL
	FieldNexthopID    Fields = 1 << rtaNHID

	// FieldVia is what the way of a single nexthop is in.
	FieldVia Fields = 1<<rtaOIF | 1<<rtaGateway | 1<<rtaVia
	// FieldID is what Route.AppendID needs.
	FieldID = FieldNexthops | 1<<rtaDst | 1<<rtaTable | 1<<rtaSrc | 1<<rtaIIF | 1<<rtaPriority |
		1<<rtaPrefSrc | 1<<rtaMetrics
)

// routeFields decode a route.
var routeFields = attributesOf("rta", map[uint16]setter[Route]{
	rtaDst:       (*Route).decodeDst,
	rtaSrc:       func(r *Route, d []byte) bool { return r.decodePrefix(&r.Src, d) },
	rtaMetrics:   func(r *Route, d []byte) bool { return r.Metrics.decode(d) },
	rtaMultipath: (*Route).decodeMultipath,
	rtaCacheInfo: (*Route).decodeCacheInfo,
	rtaMFCStats:  (*Route).decodeMFCStats,
	rtaVia:       func(r *Route, d []byte) bool { return via(&r.Gateway, &r.LinkGateway, d) },
	rtaNewDst:    func(r *Route, d []byte) bool { return labels(&r.NewDst, d) },
	rtaEncapType: func(r *Route, d []byte) bool { return r.Encap.decodeType(d) },
	rtaEncap:     func(r *Route, d []byte) bool { return r.Encap.decodeRaw(d) },
	rtaExpires:   (*Route).decodeExpires,
}).sharing(1<<rtaGateway | 1<<rtaVia)

// RouteAttributes returns the attributes of a route, in the order of Route's fields.
func RouteAttributes() []Attribute { return routeFields.list }

// Of returns the number in a route, if the route has it.
func (a *Attribute) Of(r *Route) (uint64, bool) { return a.get(unsafe.Pointer(r)) }

// CacheInfo is struct rta_cacheinfo. Times are in USER_HZ ticks: 100 a second
// on every architecture but Alpha.
type CacheInfo struct {
	ClntRef uint32 // references held by clients; 0 since Linux 3.6 for IPv4
	LastUse uint32 // ticks since the route was last used
	Expires int32  // ticks until it expires, negative once it has; 0: never
	Error   uint32 // error that the route gives, a positive errno (or negative as u32)
	Used    uint32 // number of uses
	ID      uint32 // no longer set
	TS      uint32 // no longer set
	TSAge   uint32 // no longer set
}

// UserHZ is the number of ticks a second in CacheInfo and Route.Expires.
const UserHZ = 100

// MFCStats is struct rta_mfc_stats.
type MFCStats struct {
	Packets uint64 // forwarded
	Bytes   uint64 // forwarded
	WrongIf uint64 // packets that came in through another interface than the route's
}

// Decode overwrites r with what is wanted of a message, but keeps the memory of its
// slices.
func (r *Route) Decode(m *Message, want Fields) {
	b, multipath, unknown := m.payload, r.Multipath[:0], r.Unknown[:0]
	*r = Route{} // in place: a literal of its own would be filled and then copied
	r.Family, r.TOS, r.Table = Family(b[0]), b[3], uint32(b[4])
	r.Protocol, r.Scope, r.Type = b[5], b[6], RouteType(b[7])
	r.Flags = wire.U32(b[8:])
	r.Multipath, r.Unknown = multipath, unknown
	if want == 0 {
		return
	}
	if r.Family.AddrLen() > 0 {
		// Where the kernel sends no address it is all zeros.
		if want&(1<<rtaDst) != 0 {
			r.Dst = prefix(nil, int(b[1]), r.Family.AddrLen())
		}
		if b[2] > 0 && want&(1<<rtaSrc) != 0 {
			r.Src = prefix(nil, int(b[2]), r.Family.AddrLen())
		}
	}
	r.Unknown = routeFields.decode(r, m, want, r.Unknown)
	if want == AllFields {
		r.Unknown = r.Encap.appendUntyped(r.Unknown, rtaEncap)
	}
}

// Clone returns a copy of the route that stays what it is: it shares no memory with the
// message that the route was decoded from, nor with the route.
func (r *Route) Clone() *Route {
	c := *r
	c.DstLabel, c.LinkGateway = bytes.Clone(r.DstLabel), bytes.Clone(r.LinkGateway)
	c.NewDst, c.Encap.Raw = bytes.Clone(r.NewDst), bytes.Clone(r.Encap.Raw)
	c.Multipath = slices.Clone(r.Multipath)
	for i := range c.Multipath {
		n := &c.Multipath[i]
		n.LinkGateway, n.NewDst, n.Encap.Raw = bytes.Clone(n.LinkGateway), bytes.Clone(n.NewDst),
			bytes.Clone(n.Encap.Raw)
		n.Unknown = cloneUnknown(n.Unknown)
	}
	c.Unknown = cloneUnknown(r.Unknown)
	return &c
}

func cloneUnknown(all []wire.Attr) []wire.Attr {
	all = slices.Clone(all)
	for i := range all {
		all[i].Data = bytes.Clone(all[i].Data)
	}
	return all
}

// decodeDst decodes RTA_DST, whose length is in r.Dst already.
func (r *Route) decodeDst(d []byte) bool {
	if r.Family == MPLS && len(d) == 4 {
		r.DstLabel = d
		return true
	}
	return r.decodePrefix(&r.Dst, d)
}

// decodePrefix decodes the address of a prefix that has its length, or is 0 bits long.
func (r *Route) decodePrefix(p *netip.Prefix, d []byte) bool {
	alen := r.Family.AddrLen()
	if alen == 0 || len(d) != alen {
		return false
	}
	*p = prefix(d, max(p.Bits(), 0), alen)
	return true
}

func (r *Route) decodeCacheInfo(d []byte) bool {
	if len(d) != 32 {
		return false
	}
	u := func(n int) uint32 { return wire.U32(d[4*n:]) }
	r.Cache = Some(CacheInfo{u(0), u(1), int32(u(2)), u(3), u(4), u(5), u(6), u(7)})
	return true
}

func (r *Route) decodeMFCStats(d []byte) bool {
	if len(d) != 24 {
		return false
	}
	r.MFC = Some(MFCStats{wire.U64(d), wire.U64(d[8:]), wire.U64(d[16:])})
	return true
}

// decodeExpires decodes RTA_EXPIRES, a u64 (mr_table_dump) or a u32.
func (r *Route) decodeExpires(d []byte) bool {
	switch len(d) {
	case 8:
		r.Expires = Some(wire.U64(d))
	case 4:
		r.Expires = Some(uint64(wire.U32(d)))
	default:
		return false
	}
	return true
}

// Metric returns the metric, which the kernel leaves out where an IPv4 route's is
// 0 (fib_dump_info). Routes other than IPv4's and IPv6's have none. RTA_PRIORITY
// must have been decoded.
func (r *Route) Metric() (metric uint32, ok bool) {
	return r.Priority.V, r.Priority.OK || r.Family == IPv4 || r.Family == IPv6
}

// decodeMultipath reads RTA_MULTIPATH, which was checked.
func (r *Route) decodeMultipath(b []byte) bool {
	r.Multipath = r.Multipath[:0] // if there is another one
	w := multipath{b: b}          // a variable of the loop would be copied in each round
	for w.next() {
		r.Multipath = append(r.Multipath, Nexthop{Flags: uint32(w.head[2]), OIF: w.oif()})
		nh := &r.Multipath[len(r.Multipath)-1]
		if r.Family == IPMR || r.Family == IP6MR {
			nh.TTLThreshold = Some(w.head[3]) // mr_fill_mroute
		} else {
			nh.Weight = uint32(w.head[3]) + 1
		}
		nh.Unknown = nexthopFields.decodeAll(nh, w.attributes, nil)
		nh.Unknown = nh.Encap.appendUntyped(nh.Unknown, rtaEncap)
	}
	return true
}

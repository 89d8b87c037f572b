package rtnl

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"
)

// An Opt is a value that a message may carry or not. The kernel tells absent
// and zero apart, and so does this package.
type Opt[T any] struct {
	V  T    // the zero value where OK is false
	OK bool // whether the message carried it
}

// Get returns the value and whether it is there.
func (o Opt[T]) Get() (T, bool) { return o.V, o.OK }

func some[T any](v T) Opt[T] { return Opt[T]{v, true} }

// A Family is an address family as it stands in rtm_family.
type Family uint8

// The families whose routes this package reads. A dump of all families may
// bring others (CAN gateways, Phonet); they are no IP routes and are left out.
const (
	IPv4  Family = 2   // AF_INET
	IPv6  Family = 10  // AF_INET6
	MPLS  Family = 28  // AF_MPLS: label routes, Linux 4.1
	IPMR  Family = 128 // RTNL_FAMILY_IPMR: IPv4 multicast routing
	IP6MR Family = 129 // RTNL_FAMILY_IP6MR: IPv6 multicast routing
)

var familyNames = map[Family]string{IPv4: "ipv4", IPv6: "ipv6", MPLS: "mpls", IPMR: "ipmr", IP6MR: "ip6mr"}

// String returns ipv4, ipv6, mpls, ipmr or ip6mr, and the number for others.
func (f Family) String() string {
	if s, ok := familyNames[f]; ok {
		return s
	}
	return strconv.Itoa(int(f))
}

// ParseFamily is the inverse of String for the families of this package.
func ParseFamily(s string) (Family, bool) {
	for f, name := range familyNames {
		if name == s {
			return f, true
		}
	}
	return 0, false
}

// addrLen is the length of an address of the family in bytes.
func (f Family) addrLen() int {
	switch f {
	case IPv4, IPMR:
		return 4
	case IPv6, IP6MR:
		return 16
	}
	return 0
}

// A RouteType is rtm_type (RTN_*).
type RouteType uint8

// The types of linux/rtnetlink.h.
const (
	Unspec RouteType = iota
	Unicast
	Local
	Broadcast
	Anycast
	Multicast
	Blackhole
	Unreachable
	Prohibit
	Throw
	NAT
	XResolve
)

var typeNames = [...]string{"unspec", "unicast", "local", "broadcast", "anycast", "multicast",
	"blackhole", "unreachable", "prohibit", "throw", "nat", "xresolve"}

// String returns iproute2's word for the type, the number where it has none.
func (t RouteType) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return strconv.Itoa(int(t))
}

// ParseRouteType is the inverse of String.
func ParseRouteType(s string) (RouteType, bool) {
	for t := range 256 {
		if RouteType(t).String() == s {
			return RouteType(t), true
		}
	}
	return 0, false
}

// A Route is one route of the kernel: struct rtmsg and its attributes, from an
// RTM_NEWROUTE message.
//
// Byte slices (Encap, NewDst, Unknown, ...) alias the message that was decoded.
type Route struct {
	Family   Family    // rtm_family
	Type     RouteType // rtm_type
	Protocol uint8     // rtm_protocol, RTPROT_*; Names.Protocol has its name
	Scope    uint8     // rtm_scope, RT_SCOPE_*; Names.Scope has its name
	TOS      uint8     // rtm_tos
	Flags    uint32    // rtm_flags: RTM_F_* and, in the low byte, RTNH_F_* of a single nexthop
	Table    uint32    // RTA_TABLE, rtm_table where it is absent (Linux before 2.6.19)

	Dst      netip.Prefix // RTA_DST/rtm_dst_len; 0.0.0.0/0 or ::/0 for a default route; not valid for MPLS
	DstLabel []byte       // RTA_DST of an MPLS route: one label stack entry, 4 bytes, network order
	Src      netip.Prefix // RTA_SRC/rtm_src_len; not valid where there is neither

	IIF          Opt[uint32]    // RTA_IIF: input interface, multicast routing
	OIF          Opt[uint32]    // RTA_OIF: output interface of a single nexthop
	Gateway      netip.Addr     // RTA_GATEWAY, or RTA_VIA: a gateway of the other family (Linux 5.2, d15662682db2)
	LinkGateway  []byte         // RTA_VIA of AF_PACKET: a link-layer address, MPLS alone; AppendLinkAddr prints it
	Priority     Opt[uint32]    // RTA_PRIORITY: the metric; Metric knows what it is where it is absent
	PrefSrc      netip.Addr     // RTA_PREFSRC
	Metrics      Metrics        // RTA_METRICS
	Multipath    []Nexthop      // RTA_MULTIPATH
	Realms       Opt[uint32]    // RTA_FLOW: from<<16 | to
	Cache        Opt[CacheInfo] // RTA_CACHEINFO
	Mark         Opt[uint32]    // RTA_MARK
	MFC          Opt[MFCStats]  // RTA_MFC_STATS: counters of a multicast route, Linux 3.8
	NewDst       []byte         // RTA_NEWDST: MPLS label stack that replaces the destination's; AppendLabels prints it
	Pref         Opt[uint8]     // RTA_PREF: RFC 4191 preference, 0 medium, 1 high, 3 low; Linux 4.1
	Encap        Encap          // RTA_ENCAP_TYPE and RTA_ENCAP, Linux 4.3
	Expires      Opt[uint64]    // RTA_EXPIRES in USER_HZ ticks (1/100 s): for multicast routing the time since last use
	UID          Opt[uint32]    // RTA_UID
	TTLPropagate Opt[uint8]     // RTA_TTL_PROPAGATE: MPLS, 1 if the TTL is propagated; Linux 4.12
	IPProto      Opt[uint8]     // RTA_IP_PROTO, of a look-up's answer; Linux 4.18
	SPort        Opt[uint16]    // RTA_SPORT, of a look-up's answer
	DPort        Opt[uint16]    // RTA_DPORT, of a look-up's answer
	NexthopID    Opt[uint32]    // RTA_NH_ID: the nexthop object that this route uses, Linux 5.3
	FlowLabel    Opt[uint32]    // RTA_FLOWLABEL: requests only, so that it is in Unknown too
	DelReason    Opt[uint32]    // RTA_DEL_REASON: RTM_DELROUTE only, so that it is in Unknown too

	Unknown []Attr // all that no dump has, that has no place above, or not the length that it should have

	twin int // how many routes before it, to one destination, are like it: see AppendID
}

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

// A Nexthop is one way that a route sends packets: a member of RTA_MULTIPATH, a
// nexthop object, or what the route itself says of its only one.
type Nexthop struct {
	OIF         uint32      // rtnh_ifindex, RTA_OIF or NHA_OIF; 0: none
	Gateway     netip.Addr  // RTA_GATEWAY, RTA_VIA or NHA_GATEWAY
	LinkGateway []byte      // RTA_VIA of AF_PACKET: a link-layer address, MPLS alone; AppendLinkAddr prints it
	Weight      uint32      // as ip prints it: 1 to 256, to 65535 in nexthop groups (Linux 6.12); 0: see TTLThreshold
	Flags       uint32      // RTNH_F_*
	Realms      Opt[uint32] // RTA_FLOW: from<<16 | to
	Encap       Encap       // RTA_ENCAP_TYPE and RTA_ENCAP, or NHA_*
	NewDst      []byte      // RTA_NEWDST: MPLS label stack
	ID          Opt[uint32] // the nexthop object that this one is
	Unknown     []Attr      // what has no place above, with the numbers of RTA_*, then NHA_* of the nexthop object

	// TTLThreshold is rtnh_hops of an output of a multicast route (IPMR, IP6MR),
	// which has no weight: only packets of a higher TTL leave through it.
	TTLThreshold Opt[uint8]
}

// Fields says which parts of a Route are to be decoded: bit N for attribute
// RTA_N. What struct rtmsg holds is always decoded: family, type, protocol,
// scope, tos and flags.
type Fields uint64

// The attributes of linux/rtnetlink.h (RTA_*).
const (
	rtaDst          = 1
	rtaSrc          = 2
	rtaIIF          = 3
	rtaOIF          = 4
	rtaGateway      = 5
	rtaPriority     = 6
	rtaPrefSrc      = 7
	rtaMetrics      = 8
	rtaMultipath    = 9
	rtaFlow         = 11
	rtaCacheInfo    = 12
	rtaTable        = 15
	rtaMark         = 16
	rtaMFCStats     = 17
	rtaVia          = 18
	rtaNewDst       = 19
	rtaPref         = 20
	rtaEncapType    = 21
	rtaEncap        = 22
	rtaExpires      = 23
	rtaPad          = 24
	rtaUID          = 25
	rtaTTLPropagate = 26
	rtaIPProto      = 27
	rtaSPort        = 28
	rtaDPort        = 29
	rtaNHID         = 30
	rtaFlowLabel    = 31
	rtaDelReason    = 32
	rtaEnd          = 33
)

// What a caller may ask for.
const (
	FieldDst          Fields = 1 << rtaDst
	FieldSrc          Fields = 1 << rtaSrc
	FieldIIF          Fields = 1 << rtaIIF
	FieldOIF          Fields = 1 << rtaOIF
	FieldGateway      Fields = 1<<rtaGateway | 1<<rtaVia
	FieldPriority     Fields = 1 << rtaPriority
	FieldPrefSrc      Fields = 1 << rtaPrefSrc
	FieldMetrics      Fields = 1 << rtaMetrics
	FieldMultipath    Fields = 1 << rtaMultipath
	FieldRealms       Fields = 1 << rtaFlow
	FieldCache        Fields = 1 << rtaCacheInfo
	FieldTable        Fields = 1 << rtaTable
	FieldMark         Fields = 1 << rtaMark
	FieldMFC          Fields = 1 << rtaMFCStats
	FieldNewDst       Fields = 1 << rtaNewDst
	FieldPref         Fields = 1 << rtaPref
	FieldEncap        Fields = 1<<rtaEncapType | 1<<rtaEncap
	FieldExpires      Fields = 1 << rtaExpires
	FieldUID          Fields = 1 << rtaUID
	FieldTTLPropagate Fields = 1 << rtaTTLPropagate
	FieldIPProto      Fields = 1 << rtaIPProto
	FieldSPort        Fields = 1 << rtaSPort
	FieldDPort        Fields = 1 << rtaDPort
	FieldNexthopID    Fields = 1 << rtaNHID

	// FieldUnknown needs every attribute looked at.
	FieldUnknown = AllFields
	AllFields    = ^Fields(0)

	// FieldNexthops is what Snapshot.Nexthops needs.
	FieldNexthops = FieldOIF | FieldGateway | FieldMultipath | FieldRealms | FieldEncap | FieldNewDst | FieldNexthopID
	// FieldID is what Route.AppendID needs.
	FieldID = FieldNexthops | FieldDst | FieldTable | FieldSrc | FieldIIF | FieldPriority | FieldPrefSrc | FieldMetrics
)

// rtmsgLen is the size of struct rtmsg.
const rtmsgLen = 12

// rtnhLen is the size of struct rtnexthop.
const rtnhLen = 8

// UnmarshalBinary decodes the payload of an RTM_NEWROUTE or RTM_DELROUTE
// message: struct rtmsg and its attributes. On a *MalformedError the route is
// not to be used.
func (r *Route) UnmarshalBinary(b []byte) error { return r.decode(b, AllFields) }

// decode overwrites r, but keeps the memory of its slices.
func (r *Route) decode(b []byte, want Fields) error {
	if len(b) < rtmsgLen {
		return malformed("route", len(b), "shorter than struct rtmsg")
	}
	*r = Route{
		Family:    Family(b[0]),
		TOS:       b[3],
		Table:     uint32(b[4]),
		Protocol:  b[5],
		Scope:     b[6],
		Type:      RouteType(b[7]),
		Flags:     u32(b[8:]),
		Multipath: r.Multipath[:0],
		Unknown:   r.Unknown[:0],
	}
	dstLen, srcLen := int(b[1]), int(b[2])
	alen := r.Family.addrLen()
	if err := checkLengths(b, alen); err != nil {
		return err
	}
	if want == 0 {
		return nil
	}
	var dst, src []byte
	a := walk(b[rtmsgLen:])
	for a.next() {
		d := a.data
		if a.typ < 64 && want&(1<<a.typ) == 0 {
			continue
		}
		ok := true
		switch a.typ {
		case rtaDst:
			if r.Family == MPLS && len(d) == 4 {
				r.DstLabel = d
			} else if ok = alen > 0 && len(d) == alen; ok {
				dst = d
			} else if alen > 0 {
				return malformed("route", a.at(b), "destination is no address of its family")
			}
		case rtaSrc:
			if ok = alen > 0 && len(d) == alen; ok {
				src = d
			}
		case rtaIIF:
			ok = opt32(&r.IIF, d)
		case rtaOIF:
			ok = opt32(&r.OIF, d)
		case rtaGateway:
			ok = address(&r.Gateway, d)
		case rtaVia:
			ok = via(&r.Gateway, &r.LinkGateway, d)
		case rtaPriority:
			ok = opt32(&r.Priority, d)
		case rtaPrefSrc:
			ok = address(&r.PrefSrc, d)
		case rtaMetrics:
			var err error
			if ok, err = r.Metrics.decode(d); err != nil {
				return err
			}
		case rtaMultipath:
			if err := r.decodeMultipath(d); err != nil {
				return err
			}
		case rtaFlow:
			ok = opt32(&r.Realms, d)
		case rtaCacheInfo:
			if ok = len(d) == 32; ok {
				r.Cache = some(CacheInfo{u32(d), u32(d[4:]), int32(u32(d[8:])), u32(d[12:]),
					u32(d[16:]), u32(d[20:]), u32(d[24:]), u32(d[28:])})
			}
		case rtaTable:
			if ok = len(d) == 4; ok {
				r.Table = u32(d)
			}
		case rtaPref:
			ok = opt8(&r.Pref, d)
		case rtaEncapType:
			ok = r.Encap.decodeType(d)
		case rtaEncap:
			r.Encap.Raw = d
		case rtaNHID:
			ok = opt32(&r.NexthopID, d)
		default:
			ok = r.decodeRare(a.typ, d)
		}
		if !ok {
			r.Unknown = append(r.Unknown, Attr{a.typ, d})
		}
	}
	if !a.ok() {
		return malformed("route", len(b)-len(a.rest), "attribute does not fit")
	}
	r.Unknown = r.Encap.appendUntyped(r.Unknown, rtaEncap)
	if alen > 0 {
		if want&FieldDst != 0 {
			r.Dst = prefix(dst, dstLen, alen)
		}
		if src != nil || srcLen > 0 && want&FieldSrc != 0 {
			r.Src = prefix(src, srcLen, alen)
		}
	}
	return nil
}

// decodeRare decodes an attribute that few routes have. It returns false for one that
// is to be in Unknown.
func (r *Route) decodeRare(typ uint16, d []byte) (ok bool) {
	switch typ {
	case rtaMark:
		return opt32(&r.Mark, d)
	case rtaMFCStats:
		if ok = len(d) == 24; ok {
			r.MFC = some(MFCStats{u64(d), u64(d[8:]), u64(d[16:])})
		}
	case rtaNewDst:
		if ok = len(d) > 0 && len(d)%4 == 0; ok {
			r.NewDst = d
		}
	case rtaExpires:
		switch len(d) {
		case 8:
			r.Expires = some(u64(d))
		case 4:
			r.Expires = some(uint64(u32(d)))
		}
		ok = len(d) == 8 || len(d) == 4
	case rtaPad:
		ok = len(d) == 0
	case rtaUID:
		return opt32(&r.UID, d)
	case rtaTTLPropagate:
		return opt8(&r.TTLPropagate, d)
	case rtaIPProto:
		return opt8(&r.IPProto, d)
	case rtaSPort:
		return optPort(&r.SPort, d)
	case rtaDPort:
		return optPort(&r.DPort, d)
	case rtaFlowLabel: // in no dump
		if len(d) == 4 {
			r.FlowLabel = some(binary.BigEndian.Uint32(d))
		}
	case rtaDelReason: // in no dump
		opt32(&r.DelReason, d)
	}
	return ok
}

// checkLengths checks rtm_dst_len and rtm_src_len against the length of an
// address in bytes, 0 for a family without any.
func checkLengths(b []byte, alen int) error {
	for i, bits := range b[1:3] {
		if alen > 0 && int(bits) > alen*8 {
			return malformed("route", 1+i, "prefix longer than an address")
		}
	}
	return nil
}

// decodeMultipath reads RTA_MULTIPATH: struct rtnexthop, each with attributes
// of its own.
func (r *Route) decodeMultipath(b []byte) error {
	for off := 0; off < len(b); {
		rest := b[off:]
		if len(rest) < rtnhLen {
			return malformed("RTA_MULTIPATH", off, "shorter than struct rtnexthop")
		}
		n := int(u16(rest))
		if n < rtnhLen || n > len(rest) {
			return malformed("RTA_MULTIPATH", off, "rtnh_len does not fit")
		}
		nh := Nexthop{Flags: uint32(rest[2]), OIF: u32(rest[4:])}
		if r.Family == IPMR || r.Family == IP6MR {
			nh.TTLThreshold = some(rest[3]) // mr_fill_mroute
		} else {
			nh.Weight = uint32(rest[3]) + 1
		}
		a := walk(rest[rtnhLen:n])
		for a.next() {
			d, ok := a.data, true
			switch a.typ {
			case rtaGateway:
				ok = address(&nh.Gateway, d)
			case rtaVia:
				ok = via(&nh.Gateway, &nh.LinkGateway, d)
			case rtaFlow:
				ok = opt32(&nh.Realms, d)
			case rtaNewDst:
				if ok = len(d) > 0 && len(d)%4 == 0; ok {
					nh.NewDst = d
				}
			case rtaEncapType:
				ok = nh.Encap.decodeType(d)
			case rtaEncap:
				nh.Encap.Raw = d
			case rtaPad:
				ok = len(d) == 0
			default:
				ok = false
			}
			if !ok {
				nh.Unknown = append(nh.Unknown, Attr{a.typ, d})
			}
		}
		if !a.ok() {
			return malformed("RTA_MULTIPATH", off+n-len(a.rest), "attribute does not fit")
		}
		nh.Unknown = nh.Encap.appendUntyped(nh.Unknown, rtaEncap)
		r.Multipath = append(r.Multipath, nh)
		off += align4(n)
	}
	return nil
}

// prefix makes a prefix of an address that may be absent (all zeros).
func prefix(addr []byte, bits, alen int) netip.Prefix {
	var a netip.Addr
	switch {
	case addr != nil:
		a, _ = netip.AddrFromSlice(addr)
	case alen == 4:
		a = netip.IPv4Unspecified()
	default:
		a = netip.IPv6Unspecified()
	}
	return netip.PrefixFrom(a, bits)
}

func opt32(o *Opt[uint32], d []byte) bool {
	if len(d) != 4 {
		return false
	}
	*o = some(u32(d))
	return true
}

func opt8(o *Opt[uint8], d []byte) bool {
	if len(d) != 1 {
		return false
	}
	*o = some(d[0])
	return true
}

// optPort reads a __be16.
func optPort(o *Opt[uint16], d []byte) bool {
	if len(d) != 2 {
		return false
	}
	*o = some(binary.BigEndian.Uint16(d))
	return true
}

func address(a *netip.Addr, d []byte) bool {
	v, ok := netip.AddrFromSlice(d)
	if ok {
		*a = v
	}
	return ok
}

// maxLinkAddr is the size of the longest link-layer address, MAX_ADDR_LEN.
const maxLinkAddr = 32

// via reads struct rtvia: a u16 family and an address of it.
func via(a *netip.Addr, link *[]byte, d []byte) bool {
	if len(d) <= 2 {
		return false
	}
	family, addr := u16(d), d[2:]
	if family == unix.AF_PACKET && len(addr) <= maxLinkAddr {
		*link = addr
		return true
	}
	return family <= 0xff && len(addr) == Family(family).addrLen() && address(a, addr)
}

// AppendLinkAddr appends a link-layer address as iproute2 prints it:
// "02:00:00:00:00:01".
func AppendLinkAddr(b, addr []byte) []byte {
	for i := range addr {
		if i > 0 {
			b = append(b, ':')
		}
		b = hex.AppendEncode(b, addr[i:i+1])
	}
	return b
}

// Metric returns the metric, which the kernel leaves out where an IPv4 route's is
// 0 (fib_dump_info). Routes other than IPv4's and IPv6's have none. RTA_PRIORITY
// must have been decoded.
func (r *Route) Metric() (metric uint32, ok bool) {
	return r.Priority.V, r.Priority.OK || r.Family == IPv4 || r.Family == IPv6
}

// AppendLabels appends an MPLS label stack as iproute2 prints it ("100/200"),
// for Route.NewDst, Nexthop.NewDst and Route.DstLabel. Bytes that are no label
// stack are appended as "hex:" and their hexadecimal digits.
func AppendLabels(b, stack []byte) []byte {
	if out, ok := appendMPLS(b, stack); ok {
		return out
	}
	return appendHex(append(b, "hex:"...), stack)
}

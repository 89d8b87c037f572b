package object

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"kernelroutes/rtnl/wire"
)

// A LookupRequest is a packet: RTM_GETROUTE asks what the kernel would do with it. What is
// not there is not asked for.
type LookupRequest struct {
	// Destination is where the packet goes. An IPv4-mapped IPv6 address (::ffff:192.0.2.1),
	// as sockets have them, is looked up as the IPv4 address that packets go to. A zone is
	// not looked at.
	Destination netip.Addr
	// From is the packet's source, of the same family. The zero Addr and the unspecified
	// address are none: the kernel chooses one.
	From netip.Addr
	// InDev is the index of the interface that the packet came in through (RTA_IIF), 0 for
	// a packet of this host. IPv4 looks up no packet that came in without From.
	InDev uint32
	// OutDev is the index of the interface that a packet of this host is to leave through
	// (RTA_OIF), as that of a socket which is bound to one; 0: any. It means nothing where
	// InDev is set.
	OutDev uint32
	Mark   Opt[uint32] // RTA_MARK, 0 where it is absent
	TOS    Opt[uint8]  // rtm_tos, 0 where it is absent
	// UID is RTA_UID; Linux 4.10. Where it is absent it is that of this process, and that
	// of nobody for a packet that came in.
	UID Opt[uint32]
	// IPProto is RTA_IP_PROTO; Linux 4.18. The kernel takes 1, 6 and 17, and 58 for IPv6.
	// Where it is absent it is 17 (UDP) for IPv4, none for IPv6.
	IPProto Opt[uint8]
	// SPort and DPort are RTA_SPORT and RTA_DPORT; Linux 4.18. 0 is the same as none.
	SPort, DPort Opt[uint16]
}

// The attributes (RTA_*) that only look-ups ask with.
const (
	rtaMark    = 16
	rtaUID     = 25
	rtaIPProto = 27
	rtaSPort   = 28
	rtaDPort   = 29
)

// The flags (RTM_F_*) of a look-up.
const (
	rtmFLookupTable = 0x1000
	rtmFFIBMatch    = 0x2000 // Linux 4.13
)

// IsMatch reports whether an answer to a request for the route that decides is that route. Linux before
// 4.13 does not know RTM_F_FIB_MATCH and tells what becomes of the packet, which for IPv4 always has
// RTM_F_CLONED (rt_fill_info), as no route of a table has; for IPv6 that is the route.
func IsMatch(answer *Route) bool { return answer.Family != IPv4 || answer.Flags&rtmFCloned == 0 }

// Family returns IPv4 or IPv6.
func (r *LookupRequest) Family() Family {
	if r.Destination.Unmap().Is4() {
		return IPv4
	}
	return IPv6
}

// AppendTo appends struct rtmsg and the attributes of the request for what becomes of the
// packet, or for the route that decides it. They are such that a kernel accepts them which
// checks them (inet_rtm_valid_getroute_req, inet6_rtm_valid_getroute_req, Linux 5.0).
func (r *LookupRequest) AppendTo(b []byte, match bool) []byte {
	family := r.Family()
	bits := uint8(family.AddrLen() * 8)
	// IPv6 says the table without being asked, and refuses the flag.
	flags := uint32(0)
	if family == IPv4 {
		flags = rtmFLookupTable
	}
	if match {
		flags |= rtmFFIBMatch
	}
	srcBits := bits
	if !r.hasFrom() {
		srcBits = 0
	}
	b = append(b, byte(family), bits, srcBits, r.TOS.V, 0, 0, 0, 0)
	b = binary.NativeEndian.AppendUint32(b, flags)
	b = wire.AppendAttr(b, rtaDst, r.Destination.Unmap().AsSlice()...)
	if r.hasFrom() {
		b = wire.AppendAttr(b, rtaSrc, r.From.Unmap().AsSlice()...)
	}
	for _, a := range []struct {
		number uint16
		value  Opt[uint32]
	}{
		{rtaIIF, Opt[uint32]{r.InDev, r.InDev != 0}},
		{rtaOIF, Opt[uint32]{r.OutDev, r.OutDev != 0}},
		{rtaMark, r.Mark},
		{rtaUID, r.UID},
	} {
		if a.value.OK {
			b = wire.AppendU32(b, a.number, a.value.V)
		}
	}
	if r.IPProto.OK {
		b = wire.AppendAttr(b, rtaIPProto, r.IPProto.V)
	}
	if r.SPort.OK {
		b = wire.AppendAttr(b, rtaSPort, byte(r.SPort.V>>8), byte(r.SPort.V))
	}
	if r.DPort.OK {
		b = wire.AppendAttr(b, rtaDPort, byte(r.DPort.V>>8), byte(r.DPort.V))
	}
	return b
}

func (r *LookupRequest) hasFrom() bool { return r.From.IsValid() && !r.From.Unmap().IsUnspecified() }

// SameFamily reports whether source and destination are of one family, if there is a source.
func (r *LookupRequest) SameFamily() bool {
	return !r.hasFrom() || r.From.Unmap().Is4() == r.Destination.Unmap().Is4()
}

// Settle sets the table of a route that decides about the packet, as the kernel shows it in
// answer to a look-up. As long as nobody has added a rule, IPv4's tables local and main are one
// trie, and the kernel says main for both (fib_lookup, fib_trie_unmerge). What it adds itself for
// addresses of this host is in table local (fib_magic).
func (r *LookupRequest) Settle(match *Route) {
	if r.DoubtfulTable(match) && match.Protocol == rtprotKernel && !r.typed() {
		match.Table = RT_TABLE_LOCAL
	}
}

const rtprotKernel = 2

// DoubtfulTable reports whether such a route, when Settle was called, may yet be in table local
// where it says main. Routes of type unicast are taken to be in table main.
func (r *LookupRequest) DoubtfulTable(match *Route) bool {
	return match.Family == IPv4 && match.Table == RT_TABLE_MAIN && match.Type != Unicast
}

// typed reports whether the type in an answer is that of the packet, for the address alone makes
// it a broadcast or a multicast of IPv4 (__mkroute_output).
func (r *LookupRequest) typed() bool {
	dst := r.Destination.Unmap()
	return dst.Is4() && (dst.IsMulticast() || dst == limitedBroadcast)
}

var limitedBroadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Doubtful reports whether such a route, when Settle was called, may differ from what a dump
// shows of the same route in what its identity is made of: see Decides.
func (r *LookupRequest) Doubtful(match *Route) bool {
	if match.Family == IPv6 {
		// The nexthops begin with the one that was chosen (rt6_fill_node).
		return len(match.Multipath) > 1 && !match.NexthopID.OK
	}
	// The tos is that of the packet before Linux 6.11.
	return r.typed() || match.TOS != 0 || r.DoubtfulTable(match)
}

// Decides reports whether a route of a dump may be the one that the kernel showed as what
// decides about the packet: whether both are alike but for what Doubtful speaks of.
func (r *LookupRequest) Decides(dumped, match *Route) bool {
	merged := r.DoubtfulTable(match) && dumped.Table == RT_TABLE_LOCAL
	if dumped.Family != match.Family || dumped.Table != match.Table && !merged || dumped.Dst != match.Dst {
		return false
	}
	a, b := *dumped, *match
	if a.Family == IPv4 {
		if r.typed() {
			b.Type = a.Type
		}
		if b.TOS == r.TOS.V {
			b.TOS = a.TOS
		}
		return a.identity() == b.identity()
	}
	a.Multipath, b.Multipath = inOrder(a.Multipath), inOrder(b.Multipath)
	return a.identity() == b.identity()
}

// inOrder returns the nexthops in an order that is that of no kernel.
func inOrder(hops []Nexthop) []Nexthop {
	type sortable struct {
		hash
		*Nexthop
	}
	all := make([]sortable, len(hops))
	for i := range hops {
		all[i] = sortable{newHash(), &hops[i]}
		all[i].hash.hop(IPv6, &hops[i])
	}
	slices.SortFunc(all, func(a, b sortable) int {
		switch {
		case a.hash < b.hash:
			return -1
		case a.hash > b.hash:
			return 1
		}
		return 0
	})
	sorted := make([]Nexthop, len(hops))
	for i := range all {
		sorted[i] = *all[i].Nexthop
	}
	return sorted
}

// Explains reports whether a route is what an answer comes from, as far as that can be seen:
// the packet takes one of its nexthops, with its metrics. It cannot where something was learnt
// of the path (a redirect, a path MTU).
func (r *LookupRequest) Explains(match, answer *Route) bool {
	if match.Table != answer.Table || match.Type != answer.Type {
		return false
	}
	got, limited := answer.Metrics.MTU()
	set, sets := match.Metrics.MTU()
	if (got != set || limited != sets) && answer.Cache.V.Expires == 0 {
		return false
	}
	if match.PrefSrc.IsValid() && answer.PrefSrc.IsValid() && !r.hasFrom() && match.PrefSrc != answer.PrefSrc {
		return false
	}
	hops := match.Multipath
	if len(hops) == 0 {
		hops = []Nexthop{match.hop()}
	}
	if answer.Type != Unicast || match.NexthopID.OK && !match.OIF.OK && len(match.Multipath) == 0 {
		return true // the answer is lo, or has no gateway; or it is not known what the nexthops are
	}
	return slices.ContainsFunc(hops, func(n Nexthop) bool {
		return n.OIF == answer.OIF.V && n.Gateway == answer.Gateway
	})
}

// SameAnswer reports whether two answers to one look-up are the same, but for how long ago
// and how often it was made (RTA_CACHEINFO).
func SameAnswer(a, b *Message) bool {
	x, y := wire.Walk(a.Attributes()), wire.Walk(b.Attributes())
	same := string(a.payload[:rtmsgLen]) == string(b.payload[:rtmsgLen])
	for same {
		more := next(&x)
		if next(&y) != more {
			return false
		}
		if !more {
			break
		}
		same = x.Type == y.Type && string(x.Data) == string(y.Data)
	}
	return same
}

func next(a *wire.Attributes) bool {
	for a.Next() {
		if a.Type != rtaCacheInfo {
			return true
		}
	}
	return false
}

// LinkRequest is the payload of RTM_GETLINK for one interface by its name, or by another
// name that it has (Linux 5.5).
func LinkRequest(name string) []byte {
	const iflaIfName, maxName = 3, 15
	typ := uint16(iflaIfName)
	if len(name) > maxName {
		typ = iflaAltIfName
	}
	b := Links.Request(0)
	return wire.AppendAttr(b, typ, append([]byte(name), 0)...)
}

// VRFRequest is the payload of RTM_GETLINK for a dump of the VRF devices alone. If it is large,
// the kernel makes room for whatever a link has, and to know how much that is looks at every
// link (rtnl_calcit); else it does not begin the dump where the first one takes more than a page.
func VRFRequest(large bool) []byte { return kindRequest(kindVRF, large) }

func kindRequest(kind string, large bool) []byte {
	b := Links.Request(0)
	if !large {
		b = b[:ifinfomsgLen] // without IFLA_EXT_MASK
	}
	return wire.AppendAttr(b, iflaLinkInfo, wire.AppendAttr(nil, iflaInfoKind, append([]byte(kind), 0)...)...)
}

package object

import "kernelroutes/rtnl/wire"

// A Netconf is what the kernel tells of some settings of an interface, of all or of default,
// for one family, from RTM_NEWNETCONF (Linux 3.8). The numbers are signed, as in /proc/sys.
type Netconf struct {
	Family Family // ncm_family: IPv4, IPv6, MPLS

	Index           Opt[uint32] `netconfa:"1 IFINDEX"` // of the interface, or NetconfAll, NetconfDefault
	Forwarding      Opt[uint32] `netconfa:"2 FORWARDING"`
	RPFilter        Opt[uint32] `netconfa:"3 RP_FILTER"` // of IPv4
	MCForwarding    Opt[uint32] `netconfa:"4 MC_FORWARDING"`
	ProxyNeigh      Opt[uint32] `netconfa:"5 PROXY_NEIGH"`                 // proxy_arp, proxy_ndp
	IgnoreLinkdown  Opt[uint32] `netconfa:"6 IGNORE_ROUTES_WITH_LINKDOWN"` // Linux 4.2
	Input           Opt[uint32] `netconfa:"7 INPUT"`                       // of MPLS, Linux 4.1
	BCForwarding    Opt[uint32] `netconfa:"8 BC_FORWARDING"`               // of IPv4, Linux 5.0
	ForceForwarding Opt[uint32] `netconfa:"9 FORCE_FORWARDING"`            // of IPv6, Linux 6.17

	Unknown []wire.Attr // what has no place above
}

// What Netconf.Index is where it is no interface's: NETCONFA_IFINDEX_ALL, -1, and
// NETCONFA_IFINDEX_DEFAULT, -2.
const (
	NetconfAll     = 1<<32 - 1
	NetconfDefault = 1<<32 - 2
)

// netconfmsgLen is the size of struct netconfmsg, a byte, with its padding.
const netconfmsgLen = 4

const netconfaIndex = 1 // NETCONFA_IFINDEX

var netconfFields = attributesOf[Netconf]("netconfa", nil)

// Netconfs is the kind of Netconf. A dump of all families asks for AF_UNSPEC (Linux 3.10).
// What all and default have goes with what the interfaces have: when it changes while these
// are read, and the kernel tells of it, which it does for what a Netconf has, all is read
// again. That an interface comes or goes is told too, and changes nothing for others.
var Netconfs = Values[Netconf]{&Kind{
	Name: "netconf", Plural: "netconf settings",
	Get: RTM_GETNETCONF, New: RTM_NEWNETCONF, Del: RTM_DELNETCONF,
	Groups: []uint{RTNLGRP_IPV4_NETCONF, RTNLGRP_IPV6_NETCONF, RTNLGRP_MPLS_NETCONF},
	Lacked: "no netconf settings, so that those of all and default are not known",
	Remedy: "record while `ip netconf` runs",
	Struct: "netconfmsg", Header: netconfmsgLen,
	Number:  func(m *Message) uint32 { return m.U32(netconfaIndex) }, // to which no other object refers
	Governs: func(m *Message) bool { i := m.U32(netconfaIndex); return i == NetconfAll || i == NetconfDefault },
	Request: func(uint32) []byte { return make([]byte, netconfmsgLen) },
	Asked: func(payload []byte) (r DumpRequest, more bool) {
		r, more = askedWhole(netconfmsgLen, 0)(payload)
		return r, more || len(payload) > 0 && payload[0] != 0
	},
}, (*Netconf).decode}

// UnmarshalBinary decodes the payload of an RTM_NEWNETCONF message: struct netconfmsg and its
// attributes.
func (n *Netconf) UnmarshalBinary(b []byte) error { return Netconfs.unmarshal(n, b) }

func (n *Netconf) decode(m *Message) {
	*n = Netconf{Family: Family(m.payload[0])}
	n.Unknown = netconfFields.decodeAll(n, m.Attributes(), nil)
}

// Value returns the value of a setting that it has.
func (n *Netconf) Value(s *Setting) (int64, bool) {
	var o Opt[uint32]
	switch s.Name {
	case "forwarding":
		o = n.Forwarding
	case "rp_filter":
		o = n.RPFilter
	case "mc_forwarding":
		o = n.MCForwarding
	case "proxy_arp", "proxy_ndp":
		o = n.ProxyNeigh
	case "ignore_routes_with_linkdown":
		o = n.IgnoreLinkdown
	case "bc_forwarding":
		o = n.BCForwarding
	case "force_forwarding":
		o = n.ForceForwarding
	}
	return int64(int32(o.V)), o.OK
}

package object

import (
	"net/netip"

	"kernelroutes/rtnl/wire"
)

// Addresses are the addresses of interfaces. They are only listened to: IPv4 routes go
// away with the address that they prefer, and with the link, with no RTM_DELROUTE.
var Addresses = &Kind{
	Name: "address", Plural: "addresses", New: RTM_NEWADDR, Del: RTM_DELADDR,
	Groups: []uint{RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR},
	Struct: "ifaddrmsg", Header: 8,
}

// An InterfaceAddress is an address of an interface, from RTM_NEWADDR.
type InterfaceAddress struct {
	Family  Family       // ifa_family
	Link    uint32       // ifa_index
	Address netip.Prefix // IFA_LOCAL, else IFA_ADDRESS, with ifa_prefixlen; not valid if it has neither
}

// The attributes (IFA_*) that have an address: the interface's own is IFA_LOCAL where there is a
// peer's in IFA_ADDRESS.
const (
	ifaAddress = 1
	ifaLocal   = 2
)

// Decode decodes a message about an interface's address.
func (a *InterfaceAddress) Decode(m *Message) {
	*a = InterfaceAddress{Family: Family(m.payload[0]), Link: wire.U32(m.payload[4:])}
	var addr netip.Addr
	if size := a.Family.AddrLen(); size > 0 && (address(&addr, m.Sized(ifaLocal, size)) ||
		address(&addr, m.Sized(ifaAddress, size))) {
		a.Address = netip.PrefixFrom(addr, int(m.payload[1]))
	}
}

// AddressLink returns the index of the interface whose address a message is about.
func AddressLink(m *Message) uint32 { return wire.U32(m.payload[4:]) }

package object

import (
	"net/netip"

	"kernelroutes/rtnl/wire"
)

// rtmsgLen is the size of struct rtmsg.
const rtmsgLen = 12

// rtmFCloned is RTM_F_CLONED: a cached route, which nobody configured.
const rtmFCloned = 0x200

func (m *Message) routeTable() Table {
	t := Table{Family(m.payload[0]), uint32(m.payload[4])}
	if d := m.Sized(rtaTable, 4); d != nil {
		t.ID = wire.U32(d)
	}
	return t
}

func (m *Message) routeFlags() uint32 { return wire.U32(m.payload[8:]) }

// RouteDst returns the address and the length of a route's destination. The address is
// nil where the kernel sends none: it is all zeros.
func (m *Message) RouteDst() (addr []byte, bits int) { return m.Data(rtaDst), int(m.payload[1]) }

// RouteDstAt returns where in the payload that address is, and how many bytes it has; 0, 0: there
// is none.
func (m *Message) RouteDstAt() (at, n int) {
	if m.has&(1<<rtaDst) == 0 {
		return 0, 0
	}
	return int(m.at[rtaDst]) + wire.AttrHeaderLen, len(m.data(rtaDst))
}

// RoutePrefix returns a route's destination, not valid for MPLS.
func (m *Message) RoutePrefix() netip.Prefix {
	alen := m.routeTable().Family.AddrLen()
	if alen == 0 {
		return netip.Prefix{}
	}
	return prefix(m.Data(rtaDst), int(m.payload[1]), alen)
}

// UsesObject reports whether a route uses a nexthop object.
func (m *Message) UsesObject() bool { return m.has&(1<<rtaNHID) != 0 }

// NexthopID returns the nexthop object that a route uses, 0 for none.
func (m *Message) NexthopID() uint32 { return m.U32(rtaNHID) }

// RouteScope returns rtm_scope of a message about a route.
func RouteScope(m *Message) uint8 { return m.payload[6] }

// RouteProtocol returns rtm_protocol of a message about a route.
func RouteProtocol(m *Message) uint8 { return m.payload[5] }

package nltest

import (
	"bytes"
	"net/netip"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// Padded makes a message with its padding.
func Padded(typ, flags uint16, seq uint32, payload []byte) []byte {
	return wire.AppendMessage(nil, MessageOf(typ, flags, seq, payload))
}

// Done is NLMSG_DONE, with an errno (positive, 0: success) and the kernel's own words.
func Done(seq, errno uint32, words ...string) []byte {
	payload := NE(-errno)
	for _, w := range words {
		payload = append(payload, Attr(wire.NLMSGERR_ATTR_MSG, Str(w))...)
	}
	return Padded(wire.NLMSG_DONE, wire.NLM_F_MULTI, seq, payload)
}

// Failed is NLMSG_ERROR, with the header of the request.
func Failed(seq, errno uint32) []byte {
	return Padded(wire.NLMSG_ERROR, 0, seq, append(NE(-errno), make([]byte, wire.HeaderLen)...))
}

// Interrupted sets NLM_F_DUMP_INTR in a copy of a message.
func Interrupted(msg []byte) []byte {
	msg = bytes.Clone(msg)
	copy(msg[6:], NE(wire.Flags(msg)|wire.NLM_F_DUMP_INTR))
	return msg
}

// RouteMessage is a message about a route.
func RouteMessage(seq uint32, r *object.Route) []byte {
	return Padded(object.RTM_NEWROUTE, wire.NLM_F_MULTI, seq, AppendRoute(nil, r))
}

// Route4 is a message about a route to 10.N.0.0/16 in a table.
func Route4(seq uint32, n byte, table uint32) []byte {
	r := V4()
	r.Table, r.Dst = table, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, n}), 16)
	return RouteMessage(seq, r)
}

// Route6 is a message about a route to fdNN::/64 in a table.
func Route6(seq uint32, n byte, table uint32) []byte {
	r := V6()
	r.Table, r.Src, r.Dst = table, netip.Prefix{}, netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, n}), 64)
	return RouteMessage(seq, r)
}

// LinkMessage is a message about an interface.
func LinkMessage(seq, index uint32, name string) []byte {
	payload := AppendLink(nil, &object.Link{Index: index, Name: name})
	return Padded(object.RTM_NEWLINK, wire.NLM_F_MULTI, seq, payload)
}

// NexthopMessage is a message about a nexthop object of interface 3.
func NexthopMessage(seq, id uint32) []byte {
	payload := AppendNexthop(nil, &object.NexthopObject{ID: id, OIF: 3})
	return Padded(object.RTM_NEWNEXTHOP, wire.NLM_F_MULTI, seq, payload)
}

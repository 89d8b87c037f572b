package object

import (
	"kernelroutes/rtnl/wire"
)

// Routes is the kind of Route.
var Routes = Values[Route]{&Kind{
	Name: "route", Plural: "routes",
	Get: RTM_GETROUTE, New: RTM_NEWROUTE, Del: RTM_DELROUTE,
	Groups: []uint{RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_MROUTE, RTNLGRP_IPV6_MROUTE,
		RTNLGRP_MPLS_ROUTE},
	Struct: "rtmsg", Header: rtmsgLen,
	Nested: checkRoute,
	// IPv4 routes go away with their link or address, and all with their nexthop object,
	// and no RTM_DELROUTE tells of it.
	StaleWith: []*Kind{Links.Kind, Addresses, NexthopObjects.Kind},
	Refer:     referRoute,
	Filtered:  true,
	Dump:      func(r DumpRequest) []byte { return r.AppendTo(nil) },
	Table:     (*Message).routeTable,
	Position:  routePosition,
	Order:     orderOfRoutes,
	Grows:     growingRoute,
	Within:    routeWithin,
	Entries:   routeEntries,
	Asked:     askedRoutes,
	Remedy:    "record while `ip route show table all` runs",
}, func(r *Route, m *Message) { r.Decode(m, AllFields) }}

// askedRoutes reads the payload of RTM_GETROUTE: struct rtmsg and its attributes, or
// what older programs send instead, of which the kernel reads the family only.
func askedRoutes(b []byte) (r DumpRequest, more bool) {
	if len(b) > 0 {
		r.Family = Family(b[0])
	}
	if len(b) < rtmsgLen {
		return r, false
	}
	r.Table, r.Protocol = uint32(b[4]), b[5]
	more = b[1] != 0 || b[2] != 0 || b[3] != 0 || b[6] != 0 || b[7] != 0 || wire.U32(b[8:]) != 0
	for a := wire.Walk(b[rtmsgLen:]); a.Next(); {
		if a.Type == rtaTable && len(a.Data) == 4 {
			r.Table = wire.U32(a.Data)
		} else {
			more = true
		}
	}
	return r, more
}

// checkRoute checks what decoding a route relies on.
func checkRoute(m *Message) error {
	alen := Family(m.payload[0]).AddrLen()
	for i, bits := range m.payload[1:3] {
		if alen > 0 && int(bits) > alen*8 {
			return wire.Malformed("route", 1+i, "prefix longer than an address")
		}
	}
	if err := m.each(rtaDst, func(at int, dst []byte) error {
		if alen > 0 && len(dst) != alen {
			return wire.Malformed("route", at, "destination is no address of its family")
		}
		return nil
	}); err != nil {
		return err
	}
	if err := m.each(rtaMetrics, checkMetrics); err != nil {
		return err
	}
	return m.each(rtaMultipath, checkMultipath)
}

// The functions that follow read a route's message without decoding the route.

func routePosition(m *Message) Position {
	p := Position{DstLen: m.payload[1], SrcLen: m.payload[2], TOS: m.payload[3], Priority: m.U32(rtaPriority)}
	copy(p.Dst[:], m.Data(rtaDst))
	copy(p.Src[:], m.Sized(rtaSrc, Family(m.payload[0]).AddrLen()))
	return p
}

func orderOfRoutes(f Family) Order {
	switch f {
	case IPv4:
		return Order{compareIPv4, ByAddress}
	case IPv6:
		return Order{compareIPv6, ByCount}
	case MPLS:
		return Order{compareMPLS, Exact}
	}
	return Order{}
}

func referRoute(m *Message, refs *References) {
	if id := m.U32(rtaNHID); id != 0 {
		refs.Add(NexthopObjects.Kind, id)
	}
	refs.addLink(m.U32(rtaOIF))
	refs.addLink(m.U32(rtaIIF))
	if m.has&(1<<rtaEncap) != 0 {
		referEncap(m.Attributes(), refs)
	}
	if m.has&(1<<rtaMultipath) == 0 {
		return
	}
	w := multipath{b: m.data(rtaMultipath)}
	for w.next() {
		refs.addLink(w.oif())
		referEncap(w.attributes, refs)
	}
}

// referEncap notes what a tunnel among some attributes refers to.
func referEncap(attributes []byte, refs *References) {
	var e Encap
	a := wire.Walk(attributes)
	for a.Next() {
		switch a.Type {
		case rtaEncapType:
			e.decodeType(a.Data)
		case rtaEncap:
			e.decodeRaw(a.Data)
		}
	}
	e.refer(refs)
}

// routeEntries returns how many entries the route has in the kernel's IPv6 tables: one
// for each nexthop, unless it uses a nexthop object. (A cached route is one of its own
// before Linux 4.15, none since.) Those of other families have none.
func routeEntries(m *Message) (n int, cached bool) {
	if Family(m.payload[0]) != IPv6 {
		return 0, false
	}
	cached = m.routeFlags()&rtmFCloned != 0
	if m.has&(1<<rtaMultipath) == 0 || m.UsesObject() {
		return 1, cached
	}
	for range outputs(m.data(rtaMultipath)) {
		n++
	}
	return n, cached
}

// growingRoute: the kernel adds the nexthops of an IPv6 multipath route one by one
// (ip6_route_multipath_add), and tells of the route when it has them all.
func growingRoute(m *Message) bool {
	return Family(m.payload[0]) == IPv6 && m.has&(1<<rtaMultipath) != 0
}

// routeWithin reports whether a route has all nexthops of the other and more.
func routeWithin(part, whole *Message) bool {
	var p, w Route
	p.Decode(part, FieldNexthops)
	if !p.Gateway.IsValid() && len(p.Multipath) == 0 {
		return false // a route without a gateway does not join others
	}
	hops := p.Nexthops(nil, nil)
	w.Decode(whole, FieldNexthops)
	if len(w.Multipath) <= len(hops) {
		return false
	}
	for i := range hops {
		if !hops[i].among(w.Multipath) {
			return false
		}
	}
	return true
}

// among reports whether a nexthop is one of several.
func (n *Nexthop) among(hops []Nexthop) bool {
	for i := range hops {
		m := &hops[i]
		if n.OIF == m.OIF && n.Gateway == m.Gateway && n.Encap.Type == m.Encap.Type &&
			string(n.Encap.Raw) == string(m.Encap.Raw) {
			return true
		}
	}
	return false
}

// AppendTo appends struct rtmsg and the attributes of the request.
func (r DumpRequest) AppendTo(b []byte) []byte {
	b = append(b, byte(r.Family), 0, 0, 0, 0, r.Protocol, 0, byte(r.Type), 0, 0, 0, 0)
	if r.Table != 0 {
		b = wire.AppendU32(b, rtaTable, r.Table)
	}
	if r.OIF != 0 {
		b = wire.AppendU32(b, rtaOIF, r.OIF)
	}
	return b
}

// UnmarshalBinary decodes the payload of an RTM_NEWROUTE or RTM_DELROUTE message:
// struct rtmsg and its attributes. On a *wire.MalformedError the route is not to be used.
func (r *Route) UnmarshalBinary(b []byte) error { return Routes.unmarshal(r, b) }

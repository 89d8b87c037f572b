package tables

import (
	"net/netip"
	"strconv"

	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// A routeRow is a row of kernel_routes: a route; or of kernel_route_nexthops: one of its
// nexthops, hop.
type routeRow struct {
	*object.Route
	*scope
	names *iproute2.Names
	at    *object.Cursor
	cover string           // see cover
	hops  []object.Nexthop // every nexthop, if a column needs them

	hop   *object.Nexthop // nil: the row shows what is single in the route
	index int             // of hop, among hops
	id    []byte          // route_id, worked out once for all nexthops; empty if it has not been
}

// routeRows returns an iterator with a row for each route.
func routeRows(p *plan[routeRow], s *scope) func() *routeRow {
	c := s.snap.Cursor(p.needs.fields)
	row := &routeRow{scope: s, names: p.names, at: c}
	return covered(p.covers, func() *routeRow {
		if !c.Next() {
			return nil
		}
		row.Route = c.Route()
		row.hops = row.hops[:0]
		if p.needs.hops || p.needs.referred.has(object.NexthopObjects.Kind) && row.NexthopID.OK {
			row.hops = s.snap.Nexthops(row.Route, row.hops)
		}
		return row
	})
}

// appendRouteID appends the route's identity, and the namespace if it is another one.
func (r *routeRow) appendRouteID(b []byte) []byte { return append(r.AppendID(b), r.idSuffix...) }

func (r *routeRow) appendFamily(b []byte) []byte { return append(b, r.Family.String()...) }

func (r *routeRow) appendType(b []byte) []byte { return append(b, r.Type.String()...) }

func (r *routeRow) appendProtocol(b []byte) []byte { return r.names.AppendProtocol(b, r.Protocol) }

func (r *routeRow) appendScope(b []byte) []byte { return r.names.AppendScope(b, r.Scope) }

func (r *routeRow) appendTable(b []byte) []byte { return r.names.AppendTable(b, r.Table) }

func (r *routeRow) dstLen() (int64, bool) {
	if r.Dst.IsValid() {
		return present(r.Dst.Bits())
	}
	return 20, true // a label
}

func (r *routeRow) appendVRF(b []byte) []byte { return append(b, r.snap.VRF(r.Table)...) }

func (r *routeRow) appendSrc(b []byte) []byte { return object.AppendPrefix(b, r.Src) }

func (r *routeRow) metric() (int64, bool) {
	m, ok := r.Metric()
	return int64(m), ok
}

func (r *routeRow) appendPrefSrc(b []byte) []byte { return object.AppendAddr(b, r.PrefSrc) }

// prefNames are the words for RTA_PREF.
var prefNames = [...]string{0: "medium", 1: "high", 3: "low"}

func (r *routeRow) appendPref(b []byte) []byte {
	switch p := r.Pref; {
	case !p.OK:
		return b
	case int(p.V) < len(prefNames) && prefNames[p.V] != "":
		return append(b, prefNames[p.V]...)
	default:
		return strconv.AppendUint(b, uint64(p.V), 10)
	}
}

func (r *routeRow) appendCongctl(b []byte) []byte { return append(b, r.Metrics.CC...) }

func (r *routeRow) appendFeatures(b []byte) []byte {
	mask, _ := r.Metrics.Get(object.RTAX_FEATURES)
	return iproute2.AppendFeatures(b, mask)
}

func (r *routeRow) appendLocked(b []byte) []byte {
	mask, _ := r.Metrics.Get(object.RTAX_LOCK)
	return iproute2.AppendMetrics(b, mask)
}

func (r *routeRow) appendIIF(b []byte) []byte {
	switch l, ok := r.snap.Link(r.IIF.V); {
	case !r.IIF.OK:
		return b
	case ok:
		return append(b, l.Name...)
	}
	return strconv.AppendUint(b, uint64(r.IIF.V), 10)
}

// expires is what ip prints as expires: rta_expires, unless it is 0.
func (r *routeRow) expires() (int64, bool) {
	if r.Expires.OK {
		return int64(r.Expires.V / object.UserHZ), true
	}
	return int64(r.Cache.V.Expires / object.UserHZ), r.Cache.V.Expires != 0
}

// What follows is that of a nexthop: of the one that is shown, or else of the route
// itself, where that has a single one.

// single is the nexthop that a nexthop object gives the route, for a kernel that does not
// copy it into the route (nexthop_compat_mode 0).
func (r *routeRow) single() *object.Nexthop {
	if r.NexthopID.OK && len(r.hops) == 1 {
		return &r.hops[0]
	}
	return &object.Nexthop{}
}

func (r *routeRow) gateway() (a netip.Addr, link []byte) {
	switch {
	case r.hop != nil:
		return r.hop.Gateway, r.hop.LinkGateway
	case r.Gateway.IsValid() || !r.NexthopID.OK:
		return r.Gateway, r.LinkGateway
	}
	return r.single().Gateway, r.LinkGateway
}

func (r *routeRow) appendGateway(b []byte) []byte {
	a, link := r.gateway()
	return object.AppendAddr(object.AppendLinkAddr(b, link), a)
}

// linkFamily is iproute2's word for AF_PACKET.
const linkFamily = "link"

func (r *routeRow) appendGatewayFamily(b []byte) []byte {
	switch a, link := r.gateway(); {
	case link != nil:
		return append(b, linkFamily...)
	case a.Is4():
		return append(b, "ipv4"...)
	case a.IsValid():
		return append(b, "ipv6"...)
	}
	return b
}

// oif is none for a nexthop object that is a blackhole, though the kernel copies
// the loopback interface into the route.
func (r *routeRow) oif() object.Opt[uint32] {
	switch {
	case r.hop != nil:
		return object.Opt[uint32]{V: r.hop.OIF, OK: r.hop.OIF != 0}
	case !r.NexthopID.OK:
		return r.OIF
	case r.OIF.OK && len(r.hops) > 0:
		return r.OIF
	}
	i := r.single().OIF
	return object.Opt[uint32]{V: i, OK: i != 0}
}

// link is the output interface, the zero Link if there is none.
func (r *routeRow) link() object.Link {
	l, _ := r.snap.Link(r.oif().V)
	return l
}

func (r *routeRow) appendDev(b []byte) []byte { return append(b, r.link().Name...) }

func (r *routeRow) appendDevKind(b []byte) []byte { return append(b, r.link().Kind...) }

func (r *routeRow) appendOperState(b []byte) []byte {
	if l := r.link(); l.Index != 0 {
		return append(b, l.OperStateName()...)
	}
	return b
}

func (r *routeRow) flags() uint32 {
	if r.hop != nil {
		return r.hop.Flags
	}
	return r.Flags
}

func (r *routeRow) appendFlagNames(b []byte) []byte { return iproute2.AppendFlags(b, r.flags()) }

func (r *routeRow) realms() object.Opt[uint32] {
	if r.hop != nil {
		return r.hop.Realms
	}
	return r.Realms
}

// appendRealmFrom appends the upper half of RTA_FLOW; 0 is none.
func (r *routeRow) appendRealmFrom(b []byte) []byte {
	if from := r.realms().V >> 16; from != 0 {
		return r.names.AppendRealm(b, from)
	}
	return b
}

func (r *routeRow) appendRealmTo(b []byte) []byte {
	if realms := r.realms(); realms.OK {
		return r.names.AppendRealm(b, realms.V&0xffff)
	}
	return b
}

func (r *routeRow) encap() object.Encap {
	switch {
	case r.hop != nil:
		return r.hop.Encap
	case r.Encap.Type != 0 || !r.NexthopID.OK:
		return r.Encap
	}
	return r.single().Encap
}

func (r *routeRow) appendEncapType(b []byte) []byte { return append(b, r.encap().TypeName()...) }

func (r *routeRow) appendEncap(b []byte) []byte {
	return iproute2.AppendEncap(b, r.encap(), r.names, r.snap)
}

func (r *routeRow) appendNewDst(b []byte) []byte {
	stack := r.NewDst
	if r.hop != nil {
		stack = r.hop.NewDst
	}
	if stack == nil {
		return b
	}
	return object.AppendLabels(b, stack)
}

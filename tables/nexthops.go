package tables

import "kernelroutes/rtnl"

// A nexthopRow is a row of kernel_route_nexthops: one nexthop of a route.
type nexthopRow struct {
	routeRow
	hop   *rtnl.Nexthop
	index int
}

// Nexthops is the table kernel_route_nexthops.
var Nexthops = define("kernel_route_nexthops",
	"Nexthops of the routes of the Linux kernel, one row for each nexthop of every route that has one.",
	[]string{
		"SELECT * FROM kernel_route_nexthops WHERE table_name = 'main'",
		"SELECT r.dst, n.gateway, n.dev, n.weight FROM kernel_routes r JOIN kernel_route_nexthops n USING (route_id)",
		"SELECT dst, count(*) AS ways, sum(weight) AS total FROM kernel_route_nexthops GROUP BY route_id HAVING ways > 1",
	},
	needHops,
	[]column[nexthopRow]{
		text("route_id", "Identity of the route; joins with kernel_routes", field(rtnl.FieldID), func(b []byte, r *nexthopRow) []byte { return r.AppendID(b) }).by(byRouteID).holds(routeIDs).key(),
		small("nexthop_index", "Place among the route's nexthops, from 0", nothing, func(r *nexthopRow) (int64, bool) { return count(r.index) }),
		text("family", "Address family of the route: ipv4, ipv6, mpls, and ipmr or ip6mr for multicast routing", header, func(b []byte, r *nexthopRow) []byte { return append(b, r.Family.String()...) }).by(byFamily).holds(families),
		big("table_id", "Number of the routing table", field(rtnl.FieldTable), func(r *nexthopRow) (int64, bool) { return count(r.Table) }).by(byTableID),
		text("table_name", "Name of the routing table in rt_tables, its number where it has none", field(rtnl.FieldTable), func(b []byte, r *nexthopRow) []byte { return r.names.AppendTable(b, r.Table) }).by(byTableName).named(tableNames, func(r *nexthopRow) uint32 { return r.Table }),
		text("dst", "Destination in CIDR notation, 0.0.0.0/0 or ::/0 for a default route; a label for mpls", field(rtnl.FieldDst), func(b []byte, r *nexthopRow) []byte { return r.AppendDst(b) }).by(byDst).holds(dsts),
		big("metric", "Metric (priority) of the route", field(rtnl.FieldPriority), func(r *nexthopRow) (int64, bool) { return optional(r.Priority) }),
		text("gateway", "Address of the gateway", nothing, func(b []byte, r *nexthopRow) []byte { return rtnl.AppendAddr(b, r.hop.Gateway) }).holds(addrs),
		text("gateway_family", "Family of the gateway's address: ipv4 or ipv6", nothing, func(b []byte, r *nexthopRow) []byte { return append(b, addrFamily(r.hop.Gateway)...) }).holds(addrFamilies),
		text("dev", "Name of the output interface, empty if it has gone away or there is none", needLinks, func(b []byte, r *nexthopRow) []byte { return append(b, r.dev()...) }).by(byDev).holds(outputs),
		big("dev_index", "Index of the output interface", nothing, func(r *nexthopRow) (int64, bool) { return int64(r.hop.OIF), r.hop.OIF != 0 }).by(byDevIndex),
		big("weight", "Weight among the route's nexthops, from 1", nothing, func(r *nexthopRow) (int64, bool) { return count(r.hop.Weight) }),
		big("flags", "Flags of the nexthop (RTNH_F_*)", header, func(r *nexthopRow) (int64, bool) { return count(r.hop.Flags) }),
		text("flag_names", "Names of the flags, separated by commas: onlink, linkdown, dead, offload and others", header, func(b []byte, r *nexthopRow) []byte { return rtnl.AppendFlags(b, r.hop.Flags) }).holds(flagLists),
		big("nexthop_id", "Id of the nexthop object that this nexthop is", nothing, func(r *nexthopRow) (int64, bool) { return optional(r.hop.ID) }),
		text("realm_from", "Source realm, by its name in rt_realms or its number", nothing, func(b []byte, r *nexthopRow) []byte { return appendRealmFrom(b, r.names, r.hop.Realms) }).named(realmNames, func(r *nexthopRow) uint32 { return r.hop.Realms.V >> 16 }),
		text("realm_to", "Destination realm, by its name in rt_realms or its number", nothing, func(b []byte, r *nexthopRow) []byte { return appendRealmTo(b, r.names, r.hop.Realms) }).named(realmNames, func(r *nexthopRow) uint32 { return r.hop.Realms.V & 0xffff }),
		text("encap_type", "Type of the tunnel: mpls, ip, ila, ip6, seg6, bpf, seg6local, rpl, ioam6, xfrm", nothing, func(b []byte, r *nexthopRow) []byte { return append(b, r.hop.Encap.TypeName()...) }).holds(encapTypes),
		text("encap", "Tunnel in the words of ip route, TYPE hex:... if it is not fully understood", nothing, func(b []byte, r *nexthopRow) []byte { return r.hop.Encap.AppendText(b) }),
		text("newdst", "MPLS label stack that replaces the destination's", nothing, func(b []byte, r *nexthopRow) []byte { return appendLabels(b, r.hop.NewDst) }),
		text("unknown_attrs", "Attributes of the nexthop that are not understood, as JSON: [{\"type\":N,\"len\":N,\"hex\":\"...\"}]", nothing, func(b []byte, r *nexthopRow) []byte { return appendAttrs(b, r.hop.Unknown) }),
		small("snapshot_consistent", "1 if nothing changed while the kernel was read or all changes are accounted for, else 0", nothing, func(r *nexthopRow) (int64, bool) { return truth(r.snap.Consistent) }).holds(numbersTo(1)),
	},
	func(p *plan[nexthopRow], s *rtnl.Snapshot) func() *nexthopRow {
		c := s.Cursor(p.fields())
		row := &nexthopRow{routeRow: routeRow{snap: s, names: p.names, at: c}}
		return func() *nexthopRow {
			for row.index++; row.index >= len(row.hops); row.index = 0 {
				if !c.Next() {
					return nil
				}
				row.Route = c.Route()
				row.hops = s.Nexthops(row.Route, row.hops)
				if len(row.hops) > 0 {
					row.index = 0
					break
				}
			}
			row.hop = &row.hops[row.index]
			return row
		}
	})

// dev is the name of the nexthop's interface.
func (r *nexthopRow) dev() string {
	l, _ := r.snap.Link(r.hop.OIF)
	return l.Name
}

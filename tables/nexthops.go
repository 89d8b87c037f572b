package tables

import "kernelroutes/rtnl"

// A nexthopRow is a row of kernel_route_nexthops: one nexthop of a route.
type nexthopRow struct {
	routeRow
	hop   *rtnl.Nexthop
	index int
	id    []byte // route_id, worked out once a route; empty if it has not been
}

// Nexthops is the table kernel_route_nexthops.
var Nexthops = define("kernel_route_nexthops",
	"Nexthops of the routes of the Linux kernel, one row for each nexthop of every route that has one.",
	[]string{
		"SELECT * FROM kernel_route_nexthops WHERE table_name = 'main'",
		"SELECT r.dst, n.gateway, n.dev, n.weight FROM kernel_routes r JOIN kernel_route_nexthops n USING (route_id)",
		"SELECT dst, count(*) AS ways, sum(weight) AS total FROM kernel_route_nexthops GROUP BY route_id " +
			"HAVING ways > 1",
	},
	needHops,
	[]column[nexthopRow]{
		text("route_id", "Identity of the route; joins with kernel_routes",
			field(rtnl.FieldID), func(b []byte, r *nexthopRow) []byte { return r.appendID(b) }).by(byRouteID).key().
			holds(routeIDs),
		small("nexthop_index", "Place among the route's nexthops, from 0",
			nothing, func(r *nexthopRow) (int64, bool) { return count(r.index) }).perRow(),
		text("family", aboutFamily,
			header, func(b []byte, r *nexthopRow) []byte { return append(b, r.Family.String()...) }).by(byFamily).
			holds(families),
		big("table_id", aboutTableID,
			field(rtnl.FieldTable), func(r *nexthopRow) (int64, bool) { return count(r.Table) }).by(byTableID).
			holds(tableIDs),
		text("table_name", aboutTableName,
			field(rtnl.FieldTable),
			func(b []byte, r *nexthopRow) []byte { return r.names.AppendTable(b, r.Table) }).by(byTableName).
			named(tableNames, func(r *nexthopRow) uint32 { return r.Table }),
		text("dst", aboutDst,
			field(rtnl.FieldDst), func(b []byte, r *nexthopRow) []byte { return r.AppendDst(b) }).by(byDst).holds(dsts),
		big("metric", aboutMetric, field(rtnl.FieldPriority), func(r *nexthopRow) (int64, bool) { return r.metric() }),
		text("gateway",
			"Address of the gateway, a link-layer address if gateway_family is link; empty for a nexthop without one",
			nothing,
			func(b []byte, r *nexthopRow) []byte { return appendGateway(b, r.hop.Gateway, r.hop.LinkGateway) }).
			holds(gateways),
		text("gateway_family", aboutGatewayFamily,
			nothing,
			func(b []byte, r *nexthopRow) []byte {
				return append(b, gatewayFamily(r.hop.Gateway, r.hop.LinkGateway)...)
			}).holds(gatewayFamilies),
		text("dev", "Name of the output interface, empty if it has gone away or there is none",
			needLinks, func(b []byte, r *nexthopRow) []byte { return append(b, r.dev()...) }).by(byDev).holds(outputs),
		big("dev_index", "Index of the output interface, absent if there is none",
			nothing, func(r *nexthopRow) (int64, bool) { return int64(r.hop.OIF), r.hop.OIF != 0 }).by(byDevIndex),
		big("weight",
			"Weight among the route's nexthops, from 1; 1 for a single one; absent for ipmr and ip6mr: see "+
				"ttl_threshold",
			nothing, func(r *nexthopRow) (int64, bool) { return int64(r.hop.Weight), !r.hop.TTLThreshold.OK }),
		small("ttl_threshold",
			"TTL above which packets of a multicast route leave through this output; absent for other families",
			nothing, func(r *nexthopRow) (int64, bool) { return optional(r.hop.TTLThreshold) }),
		big("flags", "Flags of the nexthop (RTNH_F_*), 0 for none",
			header, func(r *nexthopRow) (int64, bool) { return count(r.hop.Flags) }),
		text("flag_names", aboutFlagNames,
			header, func(b []byte, r *nexthopRow) []byte { return rtnl.AppendFlags(b, r.hop.Flags) }).holds(flagLists),
		big("nexthop_id", "Id of the nexthop object that this nexthop is, absent if it is none",
			nothing, func(r *nexthopRow) (int64, bool) { return optional(r.hop.ID) }),
		text("realm_from", aboutRealmFrom,
			nothing, func(b []byte, r *nexthopRow) []byte { return appendRealmFrom(b, r.names, r.hop.Realms) }).
			named(realmNames, func(r *nexthopRow) uint32 { return r.hop.Realms.V >> 16 }),
		text("realm_to", aboutRealmTo,
			nothing, func(b []byte, r *nexthopRow) []byte { return appendRealmTo(b, r.names, r.hop.Realms) }).
			named(realmNames, func(r *nexthopRow) uint32 { return r.hop.Realms.V & 0xffff }),
		text("encap_type", aboutEncapType,
			nothing, func(b []byte, r *nexthopRow) []byte { return append(b, r.hop.Encap.TypeName()...) }).
			holds(encapTypes),
		text("encap", aboutEncap,
			needLinks, func(b []byte, r *nexthopRow) []byte { return r.hop.Encap.AppendText(b, r.names, r.snap) }),
		encapCounter("encap_packets", "Packets that a seg6local action has processed", nothing,
			(*nexthopRow).encap, func(c rtnl.EncapCounters) uint64 { return c.Packets }),
		encapCounter("encap_bytes", "Bytes that a seg6local action has processed", nothing,
			(*nexthopRow).encap, func(c rtnl.EncapCounters) uint64 { return c.Bytes }),
		encapCounter("encap_errors", "Packets that a seg6local action could not process", nothing,
			(*nexthopRow).encap, func(c rtnl.EncapCounters) uint64 { return c.Errors }),
		text("newdst", aboutNewDst,
			nothing, func(b []byte, r *nexthopRow) []byte { return appendLabels(b, r.hop.NewDst) }),
		text("unknown_attrs",
			"Attributes of the nexthop that are not understood, as JSON: "+
				"[{\"type\":N,\"len\":N,\"hex\":\"...\"}], [] for none",
			nothing, func(b []byte, r *nexthopRow) []byte { return appendAttrs(b, r.hop.Unknown) }),
		small("snapshot_consistent", aboutConsistent,
			nothing, func(r *nexthopRow) (int64, bool) { return truth(r.snap.Consistent) }).volatile().
			holds(numbersTo(1)),
	},
	func(p *plan[nexthopRow], s *rtnl.Snapshot) func() *nexthopRow {
		c := s.Cursor(p.fields())
		row := &nexthopRow{routeRow: routeRow{snap: s, names: p.names, at: c}}
		return func() *nexthopRow {
			for row.index++; row.index >= len(row.hops); row.index = 0 {
				if !c.Next() {
					return nil
				}
				row.Route, row.id = c.Route(), row.id[:0]
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

// appendID appends the route's identity, in which every nexthop is hashed.
func (r *nexthopRow) appendID(b []byte) []byte {
	if len(r.id) == 0 {
		r.id = r.AppendID(r.id)
	}
	return append(b, r.id...)
}

func (r *nexthopRow) encap() rtnl.Encap { return r.hop.Encap }

// dev is the name of the nexthop's interface.
func (r *nexthopRow) dev() string {
	l, _ := r.snap.Link(r.hop.OIF)
	return l.Name
}

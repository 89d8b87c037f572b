package tables

import (
	"slices"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// Nexthops is the table kernel_route_nexthops.
var Nexthops = define(Table{
	Name:        "kernel_route_nexthops",
	Description: "Nexthops of the routes of the Linux kernel, one row for each nexthop of every route that has one.",
	Examples: []Example{
		{"Every way that packets can take by the routes in table main.",
			"SELECT * FROM kernel_route_nexthops WHERE table_name = 'main'"},
		{"Gateway and interface of every route, also of those with several.",
			"SELECT r.dst, n.gateway, n.dev, n.weight FROM kernel_routes r " +
				"JOIN kernel_route_nexthops n USING (route_id)"},
		{"Destinations with several ways, and the sum of their weights.",
			"SELECT dst, count(*) AS ways, sum(weight) AS total FROM kernel_route_nexthops GROUP BY route_id " +
				"HAVING ways > 1"},
	},
}, nexthopColumns, source[routeRow]{
	kind:   object.Routes.Kind,
	needs:  needHops,
	rows:   nexthopRows,
	splits: true,
})

// nexthopColumns are the columns of kernel_route_nexthops. Many are those of kernel_routes,
// which show the nexthop of the row.
var nexthopColumns = []column[routeRow]{
	ofRoute("covers"),
	text("route_id",
		"Identity of the route; joins with kernel_routes",
		field(object.FieldID), (*routeRow).appendID).
		from("worked out from struct rtmsg and the attributes that tell routes apart").
		key().givesIDs().pushed(pushRouteID).holds(routeIDs),
	integer("nexthop_index",
		"Place among the route's nexthops, from 0",
		nothing, func(r *routeRow) (int64, bool) { return present(r.index) }).
		from("worked out from the order in RTA_MULTIPATH or NHA_GROUP").perRow(),
	ofRoute("family"),
	ofRoute("table_id"),
	ofRoute("table_name"),
	ofRoute("dst"),
	ofRoute("metric"),
	ofRoute("gateway").describe(
		"Address of the gateway, a link-layer address if gateway_family is link; empty for a nexthop without one"),
	ofRoute("gateway_family"),
	ofRoute("dev").describe("Name of the output interface, empty if it has gone away or there is none").
		pushed(pushDev),
	ofRoute("dev_index").describe("Index of the output interface, absent if there is none").
		pushed(pushDevIndex),
	bigint("weight",
		"Weight among the route's nexthops, from 1; 1 for a single one; absent for ipmr and ip6mr: see "+
			"ttl_threshold",
		nothing, func(r *routeRow) (int64, bool) { return int64(r.hop.Weight), !r.hop.TTLThreshold.OK }).
		from("rtnh_hops in RTA_MULTIPATH, or weight and weight_high in NHA_GROUP"),
	integer("ttl_threshold",
		"TTL above which packets of a multicast route leave through this output; absent for other families",
		nothing, func(r *routeRow) (int64, bool) { return opt(r.hop.TTLThreshold) }).
		from("rtnh_hops in RTA_MULTIPATH"),
	ofRoute("flags").
		from(ofHopFlags).describe("Flags of the nexthop (RTNH_F_*), 0 for none"),
	ofRoute("flag_names").
		from(ofHopFlags).describe("Names of the flags, separated by commas: onlink, dead, offload (Linux 4.1), " +
		"linkdown (4.2), trap (5.11) and others; empty for none"),
	bigint("nexthop_id",
		"Id of the nexthop object that this nexthop is, absent if it is none",
		nothing, func(r *routeRow) (int64, bool) { return opt(r.hop.ID) }).
		from("RTA_NH_ID, or id in NHA_GROUP"),
	ofRoute("realm_from"),
	ofRoute("realm_to"),
	ofRoute("encap_type"),
	ofRoute("encap"),
	ofRoute("encap_packets"),
	ofRoute("encap_bytes"),
	ofRoute("encap_errors"),
	ofRoute("newdst"),
	unknownAttrs("Attributes of the nexthop",
		"what RTA_MULTIPATH or the nexthop object has, but for what has columns", nothing,
		func(r *routeRow) []wire.Attr { return r.hop.Unknown }),
	ofRoute("snapshot_consistent"),
	// What a question about where traffic leaves needs to know of the route, without a join.
	ofRoute("type").describe(
		"Type of the route: unicast, local, broadcast, anycast, multicast and others; a route without nexthops, as a " +
			"blackhole, has no row"),
	ofRoute("protocol"),
	ofRoute("scope"),
	ofRoute("dst_len"),
	ofRoute("tos").describe("Type of service that the route is for, 0 for any"),
	ofRoute("dev_kind"),
	ofRoute("dev_operstate"),
	ofRoute("vrf").describe("Name of the VRF device whose routing table table_id is, empty for none"),
	ofRoute("dst_first"),
	ofRoute("dst_last"),
	ofRoute("src_first"),
	ofRoute("src_last"),
}

// ofHopFlags is where the flags of a nexthop are from.
const ofHopFlags = "rtnh_flags in RTA_MULTIPATH, rtm_flags of a single one, or nh_flags of the nexthop object"

// ofRoute returns a column of kernel_routes as one of kernel_route_nexthops. It is not
// optional: the route need not have the attribute that its nexthop has.
func ofRoute(name string) column[routeRow] {
	i := slices.IndexFunc(routeColumns, func(c column[routeRow]) bool { return c.Name == name })
	c := routeColumns[i]
	c.requires = 0
	return c
}

// nexthopRows returns an iterator with a row for each nexthop of each route.
func nexthopRows(p *plan[routeRow], s *scope) func() *routeRow {
	c := s.snap.Cursor(p.needs.fields)
	row := &routeRow{scope: s, names: p.names, at: c}
	return covered(p.covers, func() *routeRow {
		for row.index++; row.index >= len(row.hops); row.index = 0 {
			if !c.Next() {
				return nil
			}
			row.Route, row.id = c.Route(), row.id[:0]
			row.hops = s.snap.Nexthops(row.Route, row.hops)
			if len(row.hops) > 0 {
				row.index = 0
				break
			}
		}
		row.hop = &row.hops[row.index]
		return row
	})
}

// appendID appends the route's identity, in which every nexthop is hashed.
func (r *routeRow) appendID(b []byte) []byte {
	if len(r.id) == 0 {
		r.id = r.appendRouteID(r.id)
	}
	return append(b, r.id...)
}

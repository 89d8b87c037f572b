package tables

import (
	"cmp"
	"encoding/binary"
	"slices"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// Counts is the table kernel_route_counts. The columns that a query uses decide how finely
// the routes are counted: its rows differ in a column that is used. A query that has a
// condition on a column uses it. One that uses none of these columns, but a count, is
// answered with one row, whose counts are 0 where there is no route; and one that uses
// nothing, as count(*), with as many rows as SELECT * has.
var Counts = define(Table{
	Name: "kernel_route_counts",
	Description: "Number of routes of the Linux kernel and of their nexthops, one row for each combination of " +
		"those of the columns family, table_id, table_name, protocol, type, scope, dev and dev_index that the " +
		"query uses.",
	Examples: []Example{
		{"How many routes each daemon, or whoever else, has installed.",
			"SELECT protocol, routes FROM kernel_route_counts"},
		{"How many routes a BGP daemon has installed in each table, and how many of them have several nexthops.",
			"SELECT family, table_name, routes, ecmp_routes FROM kernel_route_counts WHERE protocol = 'bgp'"},
		{"How many routes of table main lead through each interface.",
			"SELECT family, dev, sum(routes) AS routes FROM kernel_route_counts " +
				"WHERE table_name = 'main' GROUP BY 1, 2"},
		{"How many routes and nexthops there are altogether.",
			"SELECT routes, nexthops FROM kernel_route_counts"},
	},
}, countColumns, source[countRow]{
	kind:    object.Routes.Kind,
	rows:    countRows,
	grouped: true,
})

// A countRow is a row of kernel_route_counts.
type countRow struct {
	rtnl.Group
	snap  *rtnl.Snapshot
	names *iproute2.Names
}

// by is for a column that routes are told apart by, or for one of a count.
func by(g object.Grouping) needs { return needs{countBy: g} }

// byOutput is for a column that shows the output interface.
var byOutput = by(object.Grouping{Output: true})

// countColumns are the columns of kernel_route_counts. Most are those of kernel_routes,
// which show what all routes of the row have in common.
var countColumns = []column[countRow]{
	text("family",
		"Address family of the routes: ipv4, ipv6, mpls (Linux 4.1), and ipmr or ip6mr for multicast routing",
		by(object.Grouping{Family: true}),
		func(r *countRow, b []byte) []byte { return append(b, r.Family.String()...) }).
		from("rtm_family").perRow().pushed(pushFamily).holds(families),
	bigint("table_id",
		"Number of the routing table: 254 main, 255 local, 253 default, or any other",
		by(object.Grouping{Table: true}), func(r *countRow) (int64, bool) { return present(r.Table) }).
		from("RTA_TABLE, else rtm_table").perRow().pushed(pushTableID).holds(tableIDs),
	text("table_name",
		"Name of the routing table in rt_tables, its number where it has none",
		by(object.Grouping{Table: true}),
		func(r *countRow, b []byte) []byte { return r.names.AppendTable(b, r.Table) }).
		from("RTA_TABLE, else rtm_table, named by rt_tables").
		perRow().pushed(pushTableName).named(tableNames, func(r *countRow) uint32 { return r.Table }),
	text("protocol",
		"Who installed the routes: kernel, boot, static, dhcp, ra, bgp, or another name in rt_protos",
		by(object.Grouping{Protocol: true}),
		func(r *countRow, b []byte) []byte { return r.names.AppendProtocol(b, r.Protocol) }).
		from("rtm_protocol, named by rt_protos").perRow().pushed(pushProtocol).
		named(protocolNames, func(r *countRow) uint32 { return uint32(r.Protocol) }),
	text("type",
		"Type: unicast, local, broadcast, anycast, multicast, blackhole, unreachable, prohibit, throw, nat, xresolve",
		by(object.Grouping{Type: true}),
		func(r *countRow, b []byte) []byte { return append(b, r.Type.String()...) }).
		from("rtm_type").perRow().pushed(pushType).holds(routeTypes),
	text("scope",
		"Distance to the destinations: global, site, link, host, nowhere, or another name in rt_scopes; global "+
			"for all but ipv4",
		by(object.Grouping{Scope: true}),
		func(r *countRow, b []byte) []byte { return r.names.AppendScope(b, r.Scope) }).
		from("rtm_scope, named by rt_scopes").
		perRow().named(scopeNames, func(r *countRow) uint32 { return uint32(r.Scope) }),
	text("dev",
		"Name of the output interface, empty if it has gone away, for routes that have none and for those with "+
			"several nexthops",
		byOutput.and(needLinks), (*countRow).appendDev).
		from("IFLA_IFNAME of RTA_OIF or NHA_OIF").perRow().pushed(ofSingle(pushDev)).holds(outputs),
	bigint("dev_index",
		"Index of the output interface, absent for routes that have none and for those with several nexthops",
		byOutput, func(r *countRow) (int64, bool) { return opt(r.Output) }).
		from("RTA_OIF, or NHA_OIF of the nexthop object").perRow().pushed(ofSingle(pushDevIndex)),
	bigint("routes",
		"Number of the routes",
		nothing, func(r *countRow) (int64, bool) { return present(r.Routes) }).
		from("worked out from the number of messages RTM_NEWROUTE").holds(anyNumber),
	bigint("nexthops",
		"Number of their nexthops: the sum of nexthop_count in kernel_routes",
		by(object.Grouping{Nexthops: true}), func(r *countRow) (int64, bool) { return present(r.Nexthops) }).
		from("worked out from RTA_MULTIPATH, RTA_OIF, RTA_GATEWAY, RTA_VIA and NHA_GROUP").holds(anyNumber),
	bigint("ecmp_routes",
		"Number of routes with more than one nexthop",
		by(object.Grouping{Nexthops: true}), func(r *countRow) (int64, bool) { return present(r.Multipath) }).
		from("worked out from RTA_MULTIPATH and NHA_GROUP").holds(anyNumber),
	bigint("default_routes",
		"Number of default routes, whose destination has the length 0; 0 for mpls",
		by(object.Grouping{Defaults: true}), func(r *countRow) (int64, bool) { return present(r.Defaults) }).
		from("worked out from rtm_dst_len").holds(anyNumber),
	consistent[countRow](),
}

func (r *countRow) appendDev(b []byte) []byte {
	l, _ := r.snap.Link(r.Output.V)
	return append(b, l.Name...)
}

// countRows returns an iterator with a row for each combination of what the columns that are
// used show: two numbers may have one name.
func countRows(p *plan[countRow], s *scope) func() *countRow {
	groups := slices.Clone(s.snap.Groups)
	slices.SortFunc(groups, func(a, b rtnl.Group) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.Table, b.Table),
			cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Scope, b.Scope),
			cmp.Compare(a.Output.V, b.Output.V))
	})
	if len(p.key) == 0 && len(groups) == 0 {
		groups = []rtnl.Group{{}} // of all routes, of which there are none
	}
	var all []*countRow
	rows := map[string]*countRow{}
	var key []byte
	for _, g := range groups {
		row := &countRow{g, s.snap, p.names}
		key = row.appendKey(key[:0], p.key)
		if same := rows[string(key)]; same != nil {
			same.Counts.Add(g.Counts)
			continue
		}
		rows[string(key)] = row
		all = append(all, row)
	}
	return func() (row *countRow) {
		if len(all) > 0 {
			row, all = all[0], all[1:]
		}
		return row
	}
}

// appendKey appends what some columns show.
func (r *countRow) appendKey(b []byte, columns []column[countRow]) []byte {
	for i := range columns {
		if c := &columns[i]; c.text != nil {
			b = append(c.text(r, b), 0)
		} else if v, ok := c.number(r); ok {
			b = binary.BigEndian.AppendUint64(append(b, 1), uint64(v))
		} else {
			b = append(b, 0)
		}
	}
	return b
}

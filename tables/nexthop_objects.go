package tables

import (
	"math"
	"strconv"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// NexthopObjects is the table kernel_nexthops.
var NexthopObjects = define(Table{
	Name: "kernel_nexthops",
	Description: "Nexthop objects of the Linux kernel (ip nexthop), which routes refer to by their id: one row for " +
		"each, and for a group one for each member.",
	Since: "5.3",
	Examples: []Example{
		{"One nexthop object, or the members of a group.",
			"SELECT * FROM kernel_nexthops WHERE nexthop_id = 1"},
		{"Nexthop objects that no route uses.",
			"SELECT nexthop_id, gateway, dev, protocol FROM kernel_nexthops WHERE routes = 0"},
		{"Where the members of groups lead, and with which weight.",
			"SELECT g.nexthop_id, g.group_type, g.weight, m.gateway, m.dev FROM kernel_nexthops g " +
				"JOIN kernel_nexthops m ON m.nexthop_id = g.group_member_id"},
	},
}, nexthopObjectColumns, source[nexthopObjectRow]{
	kind:   object.NexthopObjects.Kind,
	rows:   nexthopObjectRows,
	splits: true,
})

// A nexthopObjectRow is a row of kernel_nexthops: an object, or one member of a group.
type nexthopObjectRow struct {
	*object.NexthopObject
	snap  *rtnl.Snapshot
	names *iproute2.Names

	index  int // of the member
	routes map[uint32]int
}

// nexthopObjectColumns are the columns of kernel_nexthops. A group has no gateway, interface
// or tunnel, and its members show none in its place: they have rows of their own.
var nexthopObjectColumns = []column[nexthopObjectRow]{
	bigint("nexthop_id",
		"Id of the nexthop object; joins with nexthop_id of the other tables",
		nothing, func(r *nexthopObjectRow) (int64, bool) { return present(r.ID) }).
		from("NHA_ID").key().pushed(pushNumber),
	text("family",
		"Address family: ipv4 or ipv6; empty for a group",
		nothing, (*nexthopObjectRow).appendFamily).
		from("nh_family").holds(objectFamilies),
	text("gateway",
		"Address of the gateway, of the tunnel's other end if fdb is 1; empty for an object without one",
		nothing, func(r *nexthopObjectRow, b []byte) []byte { return object.AppendAddr(b, r.Gateway) }).
		from("NHA_GATEWAY").holds(addrs),
	text("gateway_family",
		"Family of the gateway's address: ipv4 or ipv6; empty where gateway is",
		nothing, (*nexthopObjectRow).appendGatewayFamily).
		from("NHA_GATEWAY").holds(objectFamilies),
	text("dev",
		"Name of the output interface, empty for an object without one",
		needLinks, (*nexthopObjectRow).appendDev).
		from("IFLA_IFNAME of NHA_OIF").holds(outputs),
	bigint("dev_index",
		"Index of the output interface, absent for an object without one: a group, a blackhole or fdb",
		nothing, func(r *nexthopObjectRow) (int64, bool) { return int64(r.OIF), r.OIF != 0 }).
		from("NHA_OIF"),
	text("scope",
		"Distance to the gateway: link; host for an ipv4 object without a gateway, global for a group and "+
			"a blackhole",
		nothing, func(r *nexthopObjectRow, b []byte) []byte { return r.names.AppendScope(b, r.Scope) }).
		from("nh_scope, named by rt_scopes").
		named(scopeNames, func(r *nexthopObjectRow) uint32 { return uint32(r.Scope) }),
	text("protocol",
		"Who made the object: unspec, zebra, bgp, static, or another name in rt_protos",
		nothing, func(r *nexthopObjectRow, b []byte) []byte { return r.names.AppendProtocol(b, r.Protocol) }).
		from("nh_protocol, named by rt_protos").
		named(protocolNames, func(r *nexthopObjectRow) uint32 { return uint32(r.Protocol) }),
	bigint("flags",
		"Flags (RTNH_F_*), 0 for none",
		nothing, func(r *nexthopObjectRow) (int64, bool) { return present(r.Flags) }).
		from("nh_flags"),
	text("flag_names",
		"Names of the flags, separated by commas: onlink, linkdown, dead, offload and others; empty for none",
		nothing, func(r *nexthopObjectRow, b []byte) []byte { return iproute2.AppendFlags(b, r.Flags) }).
		from("nh_flags").holds(flagLists),
	flag("blackhole",
		"1 if packets are dropped, else 0",
		func(r *nexthopObjectRow) bool { return r.Blackhole }).
		from("NHA_BLACKHOLE"),
	flag("fdb",
		"1 if it is for the forwarding table of a bridge or tunnel, not for routes, else 0",
		func(r *nexthopObjectRow) bool { return r.FDB }).
		from("NHA_FDB"),
	flag("onlink",
		"1 if the gateway is taken to be on the link, though no address says so, else 0",
		func(r *nexthopObjectRow) bool { return r.Onlink() }).
		from("RTNH_F_ONLINK in nh_flags"),
	text("encap_type",
		tunnelTypes,
		nothing, func(r *nexthopObjectRow, b []byte) []byte { return append(b, r.Encap.TypeName()...) }).
		from("NHA_ENCAP_TYPE").holds(encapTypes),
	text("encap",
		"Tunnel in the words of ip -d nexthop, TYPE hex:... if it is not fully understood; empty for none",
		needLinks, func(r *nexthopObjectRow, b []byte) []byte {
			return iproute2.AppendEncap(b, r.Encap, r.names, r.snap)
		}).
		from("NHA_ENCAP"),
	bigint("group_member_id",
		"Id of the nexthop object that the row's member of a group is; joins with nexthop_id; absent for an object "+
			"that is no group",
		nothing, func(r *nexthopObjectRow) (int64, bool) { return int64(r.member().ID), r.isGroup() }).
		from("id in NHA_GROUP").perRow(),
	text("group_type",
		"How a group shares out packets: mpath by a hash, resilient by buckets (Linux 5.13); empty for an object "+
			"that is no group",
		nothing, (*nexthopObjectRow).appendGroupType).
		from("NHA_GROUP_TYPE").holds(groupTypes),
	integer("weight",
		"Weight of the member in the group, from 1, to 65535 from Linux 6.12 on, before to 256; absent for an object "+
			"that is no group",
		nothing, func(r *nexthopObjectRow) (int64, bool) { return int64(r.member().Weight), r.isGroup() }).
		from("weight and weight_high in NHA_GROUP"),
	integer("buckets",
		"Number of buckets of a resilient group, absent for other objects",
		nothing, func(r *nexthopObjectRow) (int64, bool) { return opt(r.Resilient.Buckets) }).
		from("NHA_RES_GROUP_BUCKETS"),
	timer("idle_timer",
		"[Milliseconds] that a bucket must be unused before it moves to another member",
		func(r *nexthopObjectRow) object.Opt[uint32] { return r.Resilient.IdleTimer }).
		from("NHA_RES_GROUP_IDLE_TIMER"),
	timer("unbalanced_timer",
		"[Milliseconds] that a group may be out of balance before buckets in use move too, 0 for ever",
		func(r *nexthopObjectRow) object.Opt[uint32] { return r.Resilient.UnbalancedTimer }).
		from("NHA_RES_GROUP_UNBALANCED_TIMER"),
	bigint("unbalanced_time",
		"[Milliseconds] since a resilient group is out of balance, 0 while it is not; absent for other objects",
		nothing, func(r *nexthopObjectRow) (int64, bool) {
			t := r.Resilient.UnbalancedTime
			return int64(t.V * millisecondsPerTick), t.OK
		}).
		from("NHA_RES_GROUP_UNBALANCED_TIME").holds(anyNumber).volatile(),
	integer("hw_stats",
		"1 if packets of a group are to be counted in hardware too, else 0; absent for other objects",
		nothing, func(r *nexthopObjectRow) (int64, bool) { return opt(r.HWStats) }).
		from("NHA_HW_STATS_ENABLE").holds(numbersTo(1)),
	bigint("routes",
		"Number of routes that use the object, directly or as a member of a group; all routes are read for it, so "+
			"only if it is asked for",
		needUses, func(r *nexthopObjectRow) (int64, bool) { return present(r.routes[r.ID]) }).
		from("worked out from RTA_NH_ID of all routes and NHA_GROUP"),
	unknownAttrs("Attributes", "the message, but for what has columns", nothing,
		func(r *nexthopObjectRow) []wire.Attr { return r.Unknown }),
	consistent[nexthopObjectRow](),
}

// groupTypeNames are iproute2's words for NEXTHOP_GRP_TYPE_*.
var groupTypeNames = [...]string{"mpath", "resilient"}

var (
	objectFamilies = words(true, math.MaxUint8, familyNames(object.IPv4, object.IPv6), ipFamilies)
	groupTypes     = words(true, math.MaxUint16, groupTypeNames[:], nil)
)

// millisecondsPerTick is how long a tick of NHA_RES_GROUP is (jiffies_to_clock_t).
const millisecondsPerTick = 1000 / object.UserHZ

// flag declares a column that says whether something holds.
func flag(name, description string, holds func(*nexthopObjectRow) bool) column[nexthopObjectRow] {
	return integer(name, description, nothing, func(r *nexthopObjectRow) (int64, bool) { return boolean(holds(r)) }).
		holds(numbersTo(1))
}

// timer declares a column of a time that a resilient group is made with.
func timer(name, description string, of func(*nexthopObjectRow) object.Opt[uint32]) column[nexthopObjectRow] {
	description += "; absent for an object that is no resilient group"
	return bigint(name, description, nothing, func(r *nexthopObjectRow) (int64, bool) {
		t := of(r)
		return int64(t.V) * millisecondsPerTick, t.OK
	}).holds(numbersTo(math.MaxUint32 * millisecondsPerTick))
}

// nexthopObjectRows returns an iterator with a row for each object, and for each member of a
// group.
func nexthopObjectRows(p *plan[nexthopObjectRow], at *scope) func() *nexthopObjectRow {
	s := at.snap
	next := rtnl.Each(s, object.NexthopObjects)
	row := &nexthopObjectRow{snap: s, names: p.names, NexthopObject: &object.NexthopObject{}}
	if p.needs.along.has(object.Routes.Kind) {
		row.routes = routesByObject(s)
	}
	return func() *nexthopObjectRow {
		if row.index++; row.index >= len(row.Group) {
			if row.NexthopObject = next(); row.NexthopObject == nil {
				return nil
			}
			row.index = 0
		}
		return row
	}
}

// isGroup reports whether the row is that of a group's member. The kernel has no group
// without members: it goes with the last one (remove_nh_grp_entry).
func (r *nexthopObjectRow) isGroup() bool { return len(r.Group) > 0 }

func (r *nexthopObjectRow) member() object.GroupMember {
	if r.isGroup() {
		return r.Group[r.index]
	}
	return object.GroupMember{}
}

func (r *nexthopObjectRow) appendFamily(b []byte) []byte {
	if r.Family == 0 {
		return b
	}
	return append(b, r.Family.String()...)
}

func (r *nexthopObjectRow) appendGatewayFamily(b []byte) []byte {
	switch {
	case r.Gateway.Is4():
		return append(b, object.IPv4.String()...)
	case r.Gateway.IsValid():
		return append(b, object.IPv6.String()...)
	}
	return b
}

func (r *nexthopObjectRow) appendDev(b []byte) []byte {
	l, _ := r.snap.Link(r.OIF)
	return append(b, l.Name...)
}

func (r *nexthopObjectRow) appendGroupType(b []byte) []byte {
	switch t := int(r.GroupType); {
	case !r.isGroup():
		return b
	case t < len(groupTypeNames):
		return append(b, groupTypeNames[t]...)
	default:
		return strconv.AppendInt(b, int64(t), 10)
	}
}

// routesByObject returns how many routes use each nexthop object: one uses a group and all of
// its members. Entries of the routing cache are none.
func routesByObject(s *rtnl.Snapshot) map[uint32]int {
	uses := map[uint32]int{}
	for _, routes := range s.Groups {
		if routes.NexthopID == 0 {
			continue
		}
		uses[routes.NexthopID] += routes.Routes
		if o, ok := rtnl.Get(s, object.NexthopObjects, routes.NexthopID); ok {
			for _, member := range o.Group {
				uses[member.ID] += routes.Routes
			}
		}
	}
	return uses
}

package tables

import (
	"math"
	"slices"
	"strings"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// Routes is the table kernel_routes.
var Routes = define(Table{
	Name:        "kernel_routes",
	Description: "Routes of the Linux kernel in all tables and families, read over RTNetlink.",
	Examples: []Example{
		{"Everything about the routes in table main.",
			"SELECT * FROM kernel_routes WHERE table_name = 'main'"},
		{"Where packets go for which there is no other route, and by which of several routes.",
			"SELECT dst, gateway, dev, metric FROM kernel_routes WHERE dst IN ('0.0.0.0/0', '::/0')"},
		{"How many routes each table has, and who installed them.",
			"SELECT table_name, protocol, count(*) FROM kernel_routes GROUP BY 1, 2"},
		{"The ways that packets of routes with several nexthops take, and how they are shared out.",
			"SELECT r.dst, n.gateway, n.dev, n.weight FROM kernel_routes r " +
				"JOIN kernel_route_nexthops n USING (route_id) WHERE r.nexthop_count > 1"},
	},
}, routeColumns, source[routeRow]{
	kind:       object.Routes.Kind,
	rows:       routeRows,
	single:     true,
	splits:     true,
	attributes: func(r *routeRow) object.Fields { return r.at.Attributes() },
})

// routeColumns are the columns of kernel_routes.
var routeColumns = withOthers(slices.Concat(
	[]column[routeRow]{
		covers(),
		text("route_id",
			"Identity of the route, the same in every query as long as the route exists, with @ and netns_id if it is "+
				"of another network namespace; joins with kernel_route_nexthops",
			field(object.FieldID), (*routeRow).appendRouteID).
			from("worked out from struct rtmsg and the attributes that tell routes apart").
			key().givesIDs().pushed(pushRouteID).holds(routeIDs),
		text("family",
			"Address family of the route: ipv4, ipv6, mpls (Linux 4.1), and ipmr or ip6mr for multicast routing",
			nothing, (*routeRow).appendFamily).
			from("rtm_family").pushed(pushFamily).holds(families),
		text("type",
			"Type: unicast, local, broadcast, anycast, multicast, blackhole, unreachable, prohibit, throw, nat, "+
				"xresolve",
			nothing, (*routeRow).appendType).
			from("rtm_type").pushed(pushType).holds(routeTypes),
		text("protocol",
			"Who installed the route: kernel, boot, static, dhcp, ra, bgp, or another name in rt_protos",
			nothing, (*routeRow).appendProtocol).
			from("rtm_protocol, named by rt_protos").
			pushed(pushProtocol).named(protocolNames, func(r *routeRow) uint32 { return uint32(r.Protocol) }),
		text("scope",
			"Distance to the destination: global, site, link, host, nowhere, or another name in rt_scopes; global "+
				"for all but ipv4",
			nothing, (*routeRow).appendScope).
			from("rtm_scope, named by rt_scopes").
			named(scopeNames, func(r *routeRow) uint32 { return uint32(r.Scope) }),
		bigint("table_id",
			"Number of the routing table: 254 main, 255 local, 253 default, or any other",
			field(object.FieldTable), func(r *routeRow) (int64, bool) { return present(r.Table) }).
			from("RTA_TABLE, else rtm_table").pushed(pushTableID).holds(tableIDs),
		text("table_name",
			"Name of the routing table in rt_tables, its number where it has none",
			field(object.FieldTable), (*routeRow).appendTable).
			from("RTA_TABLE, else rtm_table, named by rt_tables").
			pushed(pushTableName).named(tableNames, func(r *routeRow) uint32 { return r.Table }),
		text("dst",
			"Destination in CIDR notation, 0.0.0.0/0 or ::/0 where the kernel sends none (a default route); "+
				"a label for mpls",
			field(object.FieldDst), (*routeRow).AppendDst).
			from("RTA_DST, rtm_dst_len").pushed(pushDst).holds(dsts),
		integer("dst_len",
			"Length of the destination's prefix in [bits], 0 for a default route, 20 for a label",
			field(object.FieldDst), (*routeRow).dstLen).
			from("rtm_dst_len").holds(numbersTo(128)),
		text("src",
			"Source that the route is restricted to, in CIDR notation, empty for any source",
			field(object.FieldSrc), (*routeRow).appendSrc).
			from("RTA_SRC, rtm_src_len").holds(srcs),
		integer("src_len",
			"Length of the source's prefix in [bits], 0 for any source",
			field(object.FieldSrc), func(r *routeRow) (int64, bool) { return present(max(r.Src.Bits(), 0)) }).
			from("rtm_src_len").holds(numbersTo(128)),
		text("gateway",
			"Address of the gateway, a link-layer address if gateway_family is link; empty for a route without "+
				"one and for several nexthops",
			needSingle, (*routeRow).appendGateway).
			from(ofGateway).holds(gateways),
		text("gateway_family",
			"Family of the gateway's address: ipv4, ipv6 (of an ipv4 route from Linux 5.2 on), or link for a "+
				"link-layer address (mpls); empty where gateway is",
			needSingle, (*routeRow).appendGatewayFamily).
			from(ofGateway).holds(gatewayFamilies),
		text("dev",
			"Name of the output interface, empty if it has gone away, if there is none and for several nexthops",
			needSingle.and(needLinks), (*routeRow).appendDev).
			from("IFLA_IFNAME of RTA_OIF or NHA_OIF").pushed(ofSingle(pushDev)).holds(outputs),
		bigint("dev_index",
			"Index of the output interface, absent if there is none and for several nexthops",
			needSingle, func(r *routeRow) (int64, bool) { return opt(r.oif()) }).
			from("RTA_OIF, or NHA_OIF of the nexthop object").pushed(ofSingle(pushDevIndex)),
		text("dev_kind",
			"Kind of the output interface: veth, bridge, wireguard, tun, ...; empty for hardware and where dev is",
			needSingle.and(needLinks), (*routeRow).appendDevKind).
			from("IFLA_INFO_KIND of RTA_OIF or NHA_OIF"),
		text("dev_operstate",
			"Operational state of the output interface: UP, DOWN, UNKNOWN, LOWERLAYERDOWN and others; empty where "+
				"dev is",
			needSingle.and(needLinks), (*routeRow).appendOperState).
			from("IFLA_OPERSTATE of RTA_OIF or NHA_OIF").holds(operStates),
		bigint("metric",
			"Metric (priority): the lower is preferred; 0 where the kernel sends none for ipv4 or ipv6, "+
				"absent for other families",
			field(object.FieldPriority), (*routeRow).metric),
		text("prefsrc",
			"Preferred source address, empty where the kernel chooses",
			field(object.FieldPrefSrc), (*routeRow).appendPrefSrc).
			optional().holds(addrs),
		integer("tos",
			"Type of service, 0 for any",
			nothing, func(r *routeRow) (int64, bool) { return present(r.TOS) }).
			from("rtm_tos").holds(numbersTo(math.MaxUint8)),
		bigint("flags",
			"Flags of the route and of its single nexthop (RTM_F_* and RTNH_F_*), 0 for none",
			nothing, func(r *routeRow) (int64, bool) { return present(r.flags()) }).
			from("rtm_flags"),
		text("flag_names",
			"Names of the flags, separated by commas: onlink, dead, offload (Linux 4.1), linkdown (4.2), rt_offload "+
				"and rt_trap (5.6) and others; empty for none",
			nothing, (*routeRow).appendFlagNames).
			from("rtm_flags").holds(flagLists),
		text("pref",
			"Preference of an IPv6 router: low, medium, high; empty for other families",
			field(object.FieldPref), (*routeRow).appendPref).
			optional().holds(prefs),
		integer("nexthop_count",
			"Number of nexthops, 0 for a route without any, as a blackhole, or one whose nexthop object is a "+
				"blackhole",
			needHops, func(r *routeRow) (int64, bool) { return present(len(r.hops)) }).
			from("worked out from RTA_MULTIPATH, RTA_OIF, RTA_GATEWAY, RTA_VIA and NHA_GROUP"),
		bigint("nexthop_id",
			"Id of the nexthop object that the route uses, absent if it uses none",
			field(object.FieldNexthopID), func(r *routeRow) (int64, bool) { return opt(r.NexthopID) }).
			optional(),
	},
	metricColumns("mtu", "advmss", "window", "hoplimit", "initcwnd", "initrwnd", "rtt", "rttvar", "ssthresh", "cwnd",
		"reordering", "rto_min", "quickack"),
	[]column[routeRow]{
		text("congctl",
			"TCP congestion control algorithm, empty unless the route sets it",
			field(object.FieldMetrics), (*routeRow).appendCongctl).
			ofMetric(metricNumbered(object.RTAX_CC_ALGO)).optional(),
		text("features",
			"Names of the features, separated by commas: ecn, sack, timestamp, allfrag, tcp_usec_ts (Linux 6.7); "+
				"empty for none",
			field(object.FieldMetrics), (*routeRow).appendFeatures).
			ofMetric(metricNumbered(object.RTAX_FEATURES)).optional().holds(featureLists),
	},
	metricColumns("fastopen_no_cookie"),
	[]column[routeRow]{
		text("locked",
			"Names of the metrics that are locked, separated by commas; empty for none",
			field(object.FieldMetrics), (*routeRow).appendLocked).
			ofMetric(metricNumbered(object.RTAX_LOCK)).optional().holds(metricLists),
		text("realm_from",
			"Source realm, by its name in rt_realms or its number, empty for none",
			field(object.FieldRealms), (*routeRow).appendRealmFrom).
			from("RTA_FLOW, upper 16 bits, named by rt_realms").
			optional().named(realmNames, func(r *routeRow) uint32 { return r.realms().V >> 16 }),
		text("realm_to",
			"Destination realm, by its name in rt_realms or its number, empty for none",
			field(object.FieldRealms), (*routeRow).appendRealmTo).
			from("RTA_FLOW, lower 16 bits, named by rt_realms").
			optional().named(realmNames, func(r *routeRow) uint32 { return r.realms().V & 0xffff }),
	},
	attributeColumns("mark", "uid"),
	[]column[routeRow]{
		text("iif",
			"Input interface of a multicast route, its index if it has gone away; empty for other routes and "+
				"while it is unresolved",
			field(object.FieldIIF).and(needLinks), (*routeRow).appendIIF).
			from("IFLA_IFNAME of RTA_IIF").optional().holds(inputs),
		integer("ttl_propagate",
			"1 if MPLS propagates the TTL, else 0; absent if net.mpls.ip_ttl_propagate decides and for other families",
			field(object.FieldTTLPropagate), func(r *routeRow) (int64, bool) { return opt(r.TTLPropagate) }).
			optional(),
		text("encap_type",
			tunnelTypes,
			needEncap, (*routeRow).appendEncapType).
			from("RTA_ENCAP_TYPE, or NHA_ENCAP_TYPE of the nexthop object").holds(encapTypes),
		text("encap",
			"Tunnel in the words of ip -d route, TYPE hex:... if it is not fully understood; empty for none",
			needEncap.and(needLinks), (*routeRow).appendEncap).
			from("RTA_ENCAP, or NHA_ENCAP of the nexthop object"),
		encapCounter("encap_packets", "SEG6_LOCAL_CNT_PACKETS", "[Packets] that a seg6local action has processed",
			func(c object.EncapCounters) uint64 { return c.Packets }),
		encapCounter("encap_bytes", "SEG6_LOCAL_CNT_BYTES", "[Bytes] that a seg6local action has processed",
			func(c object.EncapCounters) uint64 { return c.Bytes }),
		encapCounter("encap_errors", "SEG6_LOCAL_CNT_ERRORS", "[Packets] that a seg6local action could not process",
			func(c object.EncapCounters) uint64 { return c.Errors }),
		cache("cache_clntref", "References by clients",
			func(c *object.CacheInfo) int64 { return int64(c.ClntRef) }),
		cache("cache_last_use", "[Seconds] since the last use",
			func(c *object.CacheInfo) int64 { return int64(c.LastUse / object.UserHZ) }),
		cache("cache_expires", "[Seconds] until the route expires, 0 if it does not, negative once it has",
			func(c *object.CacheInfo) int64 { return int64(c.Expires / object.UserHZ) }),
		cache("cache_error", "Error that the route gives, as the kernel sends it: an errno, negative ones plus 2^32",
			func(c *object.CacheInfo) int64 { return int64(c.Error) }),
		cache("cache_used", "Number of uses",
			func(c *object.CacheInfo) int64 { return int64(c.Used) }),
		cache("cache_id", "IP identification, no longer set",
			func(c *object.CacheInfo) int64 { return int64(c.ID) }),
		cache("cache_ts", "TCP timestamp, no longer set",
			func(c *object.CacheInfo) int64 { return int64(c.TS) }),
		cache("cache_tsage", "Age of the TCP timestamp in [seconds], no longer set",
			func(c *object.CacheInfo) int64 { return int64(c.TSAge) }),
		bigint("expires",
			"[Seconds] until a route with a lifetime expires, absent for one without; for a multicast route seconds "+
				"since its last use (Linux 4.5)",
			field(object.FieldCache|object.FieldExpires), (*routeRow).expires).
			from("rta_expires in RTA_CACHEINFO, RTA_EXPIRES of a multicast route").
			optional().volatile().holds(anyNumber),
		mfc("mfc_packets", "[Packets] that a multicast route has forwarded",
			func(s *object.MFCStats) uint64 { return s.Packets }),
		mfc("mfc_bytes", "[Bytes] that a multicast route has forwarded",
			func(s *object.MFCStats) uint64 { return s.Bytes }),
		mfc("mfc_wrong_if", "[Packets] of a multicast route that came in through another interface than its own",
			func(s *object.MFCStats) uint64 { return s.WrongIf }),
	},
	attributeColumns("ip_proto", "sport", "dport"),
	[]column[routeRow]{
		text("newdst",
			"MPLS label stack that replaces the destination's, empty for none",
			field(object.FieldNewDst), (*routeRow).appendNewDst).
			optional(),
		unknownAttrs("Attributes", "the message, but for what has columns", field(object.AllFields),
			func(r *routeRow) []wire.Attr { return r.Unknown }),
		consistent[routeRow](),
		text("vrf",
			"Name of the VRF device whose routing table it is, empty for none",
			field(object.FieldTable).and(needVRFs), (*routeRow).appendVRF).
			from(ofVRF("RTA_TABLE, else rtm_table")).since(vrfsSince),
	},
	prefixKeys(),
))

// withOthers adds the columns of attributes and metrics that have none among these: a new
// one comes last.
func withOthers(columns []column[routeRow]) []column[routeRow] {
	lacks := func(name string) bool {
		return !slices.ContainsFunc(columns, func(c column[routeRow]) bool { return c.Name == name })
	}
	for _, a := range object.RouteAttributes() {
		if a.Column != "" && lacks(a.Column) {
			columns = append(columns, attributeColumn(a))
		}
	}
	for _, m := range object.RouteMetrics {
		if m.Ticks != 0 && lacks(m.Name) {
			columns = append(columns, metricColumn(m))
		}
	}
	return columns
}

// attributeColumns declares the columns of attributes that are numbers.
func attributeColumns(names ...string) (columns []column[routeRow]) {
	for _, name := range names {
		all := object.RouteAttributes()
		i := slices.IndexFunc(all, func(a object.Attribute) bool { return a.Column == name })
		columns = append(columns, attributeColumn(all[i]))
	}
	return columns
}

// attributeColumn declares the column of an attribute as the attribute is declared.
func attributeColumn(a object.Attribute) column[routeRow] {
	number := func(r *routeRow) (int64, bool) {
		v, ok := a.Of(r.Route)
		return int64(v), ok
	}
	if a.Size > 2 {
		return bigint(a.Column, a.Doc, field(a.Field()), number).optional()
	}
	return integer(a.Column, a.Doc, field(a.Field()), number).optional()
}

// metricColumns declares the columns of route metrics.
func metricColumns(names ...string) (columns []column[routeRow]) {
	for _, name := range names {
		i := slices.IndexFunc(object.RouteMetrics, func(m object.Metric) bool { return m.Name == name })
		columns = append(columns, metricColumn(object.RouteMetrics[i]))
	}
	return columns
}

// metricColumn declares the column of a route metric: its value divided by the ticks
// in one unit. The kernel sends no metric of 0, which is one that is not set
// (rtnetlink_put_metrics): what holds then is for the sockets and sysctls to say.
func metricColumn(m object.Metric) column[routeRow] {
	doc := m.Doc
	if m.Unit != "" {
		doc += " in [" + m.Unit + "]"
	}
	doc += ", absent unless the route sets it"
	return bigint(m.Name, doc, field(object.FieldMetrics), func(r *routeRow) (int64, bool) {
		v, ok := r.Metrics.Get(m.Number)
		if m.Number == object.RTAX_HOPLIMIT && v == 1<<32-1 {
			return 0, false // -1: not set
		}
		return int64(v / m.Ticks), ok
	}).optional().ofMetric(m)
}

// cache declares a column of struct rta_cacheinfo, which the kernel sends for
// every IPv6 route (rt6_fill_node), for IPv4 only with a cached one.
func cache(name, description string, f func(*object.CacheInfo) int64) column[routeRow] {
	part := strings.TrimPrefix(name, "cache_")
	description += "; absent for all but ipv6"
	return bigint(name, description, field(object.FieldCache), func(r *routeRow) (int64, bool) {
		return f(&r.Cache.V), r.Cache.OK
	}).optional().holds(anyNumber).volatile().from("rta_" + strings.ReplaceAll(part, "_", "") + " in RTA_CACHEINFO")
}

// mfc declares a column of struct rta_mfc_stats.
func mfc(name, description string, f func(*object.MFCStats) uint64) column[routeRow] {
	part := strings.TrimPrefix(name, "mfc_")
	description += "; absent for other routes and while it is unresolved"
	return bigint(name, description, field(object.FieldMFC), func(r *routeRow) (int64, bool) {
		return int64(f(&r.MFC.V)), r.MFC.OK
	}).optional().holds(anyNumber).volatile().from("mfcs_" + part + " in RTA_MFC_STATS")
}

// encapCounter declares a column of a counter that a tunnel keeps.
func encapCounter(name, constant, description string, f func(object.EncapCounters) uint64) column[routeRow] {
	return bigint(name, description+", absent if none counts", needEncap, func(r *routeRow) (int64, bool) {
		c, ok := r.encap().Counters()
		return int64(f(c)), ok
	}).holds(anyNumber).volatile().
		from(constant + " in SEG6_LOCAL_COUNTERS, in RTA_ENCAP or NHA_ENCAP").since(countersSince)
}

package tables

import (
	"math"
	"net/netip"
	"strconv"

	"kernelroutes/rtnl"
)

// A routeRow is a row of kernel_routes.
type routeRow struct {
	*rtnl.Route
	snap  *rtnl.Snapshot
	names *rtnl.Names
	hops  []rtnl.Nexthop // every nexthop, if a column needs them
	at    *rtnl.Cursor
}

func (r *routeRow) attributes() rtnl.Fields { return r.at.Attributes() }

// What both tables say of a column.
const (
	aboutFamily    = "Address family of the route: ipv4, ipv6, mpls, and ipmr or ip6mr for multicast routing"
	aboutTableID   = "Number of the routing table: RTA_TABLE, or rtm_table where the kernel sends none"
	aboutTableName = "Name of the routing table in rt_tables, its number where it has none"
	aboutDst       = "Destination in CIDR notation, 0.0.0.0/0 or ::/0 where the kernel sends none (a default route); " +
		"a label for mpls"
	aboutMetric = "Metric (priority): the lower is preferred; 0 where the kernel sends none for ipv4 or ipv6, " +
		"absent for other families"
	aboutGatewayFamily = "Family of the gateway's address: ipv4, ipv6, or link for a link-layer address (mpls); " +
		"empty where gateway is"
	aboutFlagNames = "Names of the flags, separated by commas: onlink, linkdown, dead, offload and others; " +
		"empty for none"
	aboutRealmFrom  = "Source realm, by its name in rt_realms or its number, empty for none"
	aboutRealmTo    = "Destination realm, by its name in rt_realms or its number, empty for none"
	aboutEncapType  = "Type of the tunnel: mpls, ip, ila, ip6, seg6, bpf, seg6local, rpl, ioam6, xfrm; empty for none"
	aboutEncap      = "Tunnel in the words of ip -d route, TYPE hex:... if it is not fully understood; empty for none"
	aboutNewDst     = "MPLS label stack that replaces the destination's, empty for none"
	aboutConsistent = "1 if nothing changed while the kernel was read or all changes are accounted for, else 0"
)

// needEncap is for a column that shows the tunnel of a route's only nexthop.
const needEncap = needOnly | needs(rtnl.FieldEncap)

// Routes is the table kernel_routes.
var Routes = define("kernel_routes",
	"Routes of the Linux kernel in all tables and families, read over RTNetlink.",
	[]string{
		"SELECT * FROM kernel_routes WHERE table_name = 'main'",
		"SELECT dst, gateway, dev, metric FROM kernel_routes WHERE dst IN ('0.0.0.0/0', '::/0')",
		"SELECT table_name, protocol, count(*) FROM kernel_routes GROUP BY 1, 2",
		"SELECT r.dst, n.gateway, n.dev, n.weight FROM kernel_routes r JOIN kernel_route_nexthops n USING (route_id) " +
			"WHERE r.nexthop_count > 1",
	},
	nothing,
	[]column[routeRow]{
		text("route_id",
			"Identity of the route, the same in every query as long as the route exists; joins with "+
				"kernel_route_nexthops",
			field(rtnl.FieldID), func(b []byte, r *routeRow) []byte { return r.AppendID(b) }).by(byRouteID).key().
			holds(routeIDs),
		text("family", aboutFamily,
			header, func(b []byte, r *routeRow) []byte { return append(b, r.Family.String()...) }).by(byFamily).
			holds(families),
		text("type",
			"Type: unicast, local, broadcast, anycast, multicast, blackhole, unreachable, prohibit, throw, nat, "+
				"xresolve",
			header, func(b []byte, r *routeRow) []byte { return append(b, r.Type.String()...) }).by(byType).
			holds(routeTypes),
		text("protocol", "Who installed the route: kernel, boot, static, dhcp, ra, bgp, or another name in rt_protos",
			header, func(b []byte, r *routeRow) []byte { return r.names.AppendProtocol(b, r.Protocol) }).by(byProtocol).
			named(protocolNames, func(r *routeRow) uint32 { return uint32(r.Protocol) }),
		text("scope",
			"Distance to the destination: global, site, link, host, nowhere, or another name in rt_scopes; global "+
				"for all but ipv4",
			header, func(b []byte, r *routeRow) []byte { return r.names.AppendScope(b, r.Scope) }).
			named(scopeNames, func(r *routeRow) uint32 { return uint32(r.Scope) }),
		big("table_id", aboutTableID,
			field(rtnl.FieldTable), func(r *routeRow) (int64, bool) { return count(r.Table) }).by(byTableID).
			holds(tableIDs),
		text("table_name", aboutTableName,
			field(rtnl.FieldTable),
			func(b []byte, r *routeRow) []byte { return r.names.AppendTable(b, r.Table) }).by(byTableName).
			named(tableNames, func(r *routeRow) uint32 { return r.Table }),
		text("dst", aboutDst,
			field(rtnl.FieldDst), func(b []byte, r *routeRow) []byte { return r.AppendDst(b) }).by(byDst).holds(dsts),
		small("dst_len", "Length of the destination's prefix in bits, 0 for a default route, 20 for a label",
			field(rtnl.FieldDst), func(r *routeRow) (int64, bool) { return count(r.dstLen()) }).holds(numbersTo(128)),
		text("src", "Source that the route is restricted to, in CIDR notation, empty for any source",
			field(rtnl.FieldSrc), func(b []byte, r *routeRow) []byte { return rtnl.AppendPrefix(b, r.Src) }).
			holds(srcs),
		small("src_len", "Length of the source's prefix in bits, 0 for any source",
			field(rtnl.FieldSrc), func(r *routeRow) (int64, bool) { return count(max(r.Src.Bits(), 0)) }).
			holds(numbersTo(128)),
		text("gateway",
			"Address of the gateway, a link-layer address if gateway_family is link; empty for a route without "+
				"one and for several nexthops",
			needOnly, func(b []byte, r *routeRow) []byte { return appendGateway(b, r.gateway(), r.LinkGateway) }).
			holds(gateways),
		text("gateway_family", aboutGatewayFamily,
			needOnly,
			func(b []byte, r *routeRow) []byte { return append(b, gatewayFamily(r.gateway(), r.LinkGateway)...) }).
			holds(gatewayFamilies),
		text("dev",
			"Name of the output interface, empty if it has gone away, if there is none and for several nexthops",
			needOnly|needLinks,
			func(b []byte, r *routeRow) []byte { return append(b, r.link().Name...) }).by(single(byDev)).holds(outputs),
		big("dev_index", "Index of the output interface, absent if there is none and for several nexthops",
			needOnly, func(r *routeRow) (int64, bool) { return optional(r.oif()) }).by(single(byDevIndex)),
		text("dev_kind",
			"Kind of the output interface: veth, bridge, wireguard, tun, ...; empty for hardware and where dev is",
			needOnly|needLinks, func(b []byte, r *routeRow) []byte { return append(b, r.link().Kind...) }),
		text("dev_operstate",
			"Operational state of the output interface: UP, DOWN, UNKNOWN, LOWERLAYERDOWN and others; empty where "+
				"dev is",
			needOnly|needLinks, func(b []byte, r *routeRow) []byte { return append(b, r.operState()...) }).
			holds(operStates),
		big("metric", aboutMetric, field(rtnl.FieldPriority), func(r *routeRow) (int64, bool) { return r.metric() }),
		text("prefsrc", "Preferred source address, empty where the kernel chooses",
			field(rtnl.FieldPrefSrc),
			func(b []byte, r *routeRow) []byte { return rtnl.AppendAddr(b, r.PrefSrc) }).sparse().holds(addrs),
		small("tos", "Type of service, 0 for any", header, func(r *routeRow) (int64, bool) { return count(r.TOS) }).
			holds(numbersTo(math.MaxUint8)),
		big("flags", "Flags of the route and of its single nexthop (rtm_flags), 0 for none",
			header, func(r *routeRow) (int64, bool) { return count(r.Flags) }),
		text("flag_names", aboutFlagNames,
			header, func(b []byte, r *routeRow) []byte { return rtnl.AppendFlags(b, r.Flags) }).holds(flagLists),
		text("pref", "Preference of an IPv6 router: low, medium, high; empty for other families",
			field(rtnl.FieldPref), func(b []byte, r *routeRow) []byte { return appendPref(b, r.Pref) }).sparse().
			holds(prefs),
		small("nexthop_count",
			"Number of nexthops, 0 for a route without any, as a blackhole, or one whose nexthop object is a "+
				"blackhole",
			needHops, func(r *routeRow) (int64, bool) { return count(len(r.hops)) }),
		big("nexthop_id", "Id of the nexthop object that the route uses, absent if it uses none",
			field(rtnl.FieldNexthopID), func(r *routeRow) (int64, bool) { return optional(r.NexthopID) }).sparse(),
		metric("mtu", "Path MTU in bytes", rtnl.MetricMTU, 1),
		metric("advmss", "Advertised maximum TCP segment size in bytes", rtnl.MetricAdvMSS, 1),
		metric("window", "Maximum TCP window to advertise in bytes", rtnl.MetricWindow, 1),
		metric("hoplimit", "Hop limit (TTL) of packets sent", rtnl.MetricHopLimit, 1),
		metric("initcwnd", "Initial TCP congestion window in segments", rtnl.MetricInitCwnd, 1),
		metric("initrwnd", "Initial TCP receive window in segments", rtnl.MetricInitRwnd, 1),
		metric("rtt", "Initial round-trip time in milliseconds", rtnl.MetricRTT, 8),
		metric("rttvar", "Initial variance of the round-trip time in milliseconds", rtnl.MetricRTTVar, 4),
		metric("ssthresh", "Initial slow-start threshold in segments", rtnl.MetricSSThresh, 1),
		metric("cwnd", "Clamp of the congestion window in segments", rtnl.MetricCwnd, 1),
		metric("reordering", "Maximum reordering in segments", rtnl.MetricReordering, 1),
		metric("rto_min", "Minimum TCP retransmission timeout in milliseconds", rtnl.MetricRTOMin, 1),
		metric("quickack", "1 if TCP quick acknowledgements are on", rtnl.MetricQuickAck, 1),
		text("congctl", "TCP congestion control algorithm, empty unless the route sets it",
			field(rtnl.FieldMetrics),
			func(b []byte, r *routeRow) []byte { return append(b, r.Metrics.CC...) }).sparse(),
		text("features",
			"Names of the features, separated by commas: ecn, sack, timestamp, allfrag, tcp_usec_ts; empty for none",
			field(rtnl.FieldMetrics),
			func(b []byte, r *routeRow) []byte { return r.Metrics.AppendFeatures(b) }).sparse().
			holds(featureLists),
		metric("fastopen_no_cookie", "1 if TCP Fast Open needs no cookie", rtnl.MetricFastOpenNoCookie, 1),
		text("locked", "Names of the metrics that are locked, separated by commas; empty for none",
			field(rtnl.FieldMetrics), func(b []byte, r *routeRow) []byte { return r.Metrics.AppendLocked(b) }).sparse().
			holds(metricLists),
		text("realm_from", aboutRealmFrom,
			field(rtnl.FieldRealms),
			func(b []byte, r *routeRow) []byte { return appendRealmFrom(b, r.names, r.Realms) }).sparse().
			named(realmNames, func(r *routeRow) uint32 { return r.Realms.V >> 16 }),
		text("realm_to", aboutRealmTo,
			field(rtnl.FieldRealms),
			func(b []byte, r *routeRow) []byte { return appendRealmTo(b, r.names, r.Realms) }).sparse().
			named(realmNames, func(r *routeRow) uint32 { return r.Realms.V & 0xffff }),
		big("mark", "Firewall mark that was looked up, absent in a dump",
			field(rtnl.FieldMark), func(r *routeRow) (int64, bool) { return optional(r.Mark) }).sparse(),
		big("uid", "User id that was looked up, absent in a dump",
			field(rtnl.FieldUID), func(r *routeRow) (int64, bool) { return optional(r.UID) }).sparse(),
		text("iif",
			"Input interface of a multicast route, its index if it has gone away; empty for other routes and "+
				"while it is unresolved",
			field(rtnl.FieldIIF)|needLinks, func(b []byte, r *routeRow) []byte { return r.appendIIF(b) }).sparse().
			holds(inputs),
		small("ttl_propagate",
			"1 if MPLS propagates the TTL, else 0; absent if net.mpls.ip_ttl_propagate decides and for other families",
			field(rtnl.FieldTTLPropagate),
			func(r *routeRow) (int64, bool) { return optional(r.TTLPropagate) }).sparse(),
		text("encap_type", aboutEncapType,
			needEncap, func(b []byte, r *routeRow) []byte { return append(b, r.encap().TypeName()...) }).
			holds(encapTypes),
		text("encap", aboutEncap,
			needEncap|needLinks,
			func(b []byte, r *routeRow) []byte { return r.encap().AppendText(b, r.names, r.snap) }),
		encapCounter("encap_packets", "Packets that a seg6local action has processed", needEncap,
			(*routeRow).encap, func(c rtnl.EncapCounters) uint64 { return c.Packets }),
		encapCounter("encap_bytes", "Bytes that a seg6local action has processed", needEncap,
			(*routeRow).encap, func(c rtnl.EncapCounters) uint64 { return c.Bytes }),
		encapCounter("encap_errors", "Packets that a seg6local action could not process", needEncap,
			(*routeRow).encap, func(c rtnl.EncapCounters) uint64 { return c.Errors }),
		cache("cache_clntref", "References by clients", func(c *rtnl.CacheInfo) int64 { return int64(c.ClntRef) }),
		cache("cache_last_use", "Seconds since the last use",
			func(c *rtnl.CacheInfo) int64 { return int64(c.LastUse / rtnl.UserHZ) }),
		cache("cache_expires", "Seconds until the route expires, 0 if it does not, negative once it has",
			func(c *rtnl.CacheInfo) int64 { return int64(c.Expires / rtnl.UserHZ) }),
		cache("cache_error", "Error that the route gives, as the kernel sends it: an errno, negative ones plus 2^32",
			func(c *rtnl.CacheInfo) int64 { return int64(c.Error) }),
		cache("cache_used", "Number of uses", func(c *rtnl.CacheInfo) int64 { return int64(c.Used) }),
		cache("cache_id", "IP identification, no longer set", func(c *rtnl.CacheInfo) int64 { return int64(c.ID) }),
		cache("cache_ts", "TCP timestamp, no longer set", func(c *rtnl.CacheInfo) int64 { return int64(c.TS) }),
		cache("cache_tsage", "Age of the TCP timestamp in seconds, no longer set",
			func(c *rtnl.CacheInfo) int64 { return int64(c.TSAge) }),
		big("expires",
			"Seconds until a route with a lifetime expires, absent for one without; for a multicast route seconds "+
				"since its last use",
			field(rtnl.FieldCache|rtnl.FieldExpires),
			func(r *routeRow) (int64, bool) { return r.expires() }).sparse().volatile().holds(anyNumber),
		mfc("mfc_packets", "Packets that a multicast route has forwarded",
			func(s *rtnl.MFCStats) uint64 { return s.Packets }).holds(anyNumber),
		mfc("mfc_bytes", "Bytes that a multicast route has forwarded",
			func(s *rtnl.MFCStats) uint64 { return s.Bytes }).holds(anyNumber),
		mfc("mfc_wrong_if", "Packets of a multicast route that came in through another interface than its own",
			func(s *rtnl.MFCStats) uint64 { return s.WrongIf }).holds(anyNumber),
		small("ip_proto", "IP protocol that was looked up, absent in a dump",
			field(rtnl.FieldIPProto), func(r *routeRow) (int64, bool) { return optional(r.IPProto) }).sparse(),
		small("sport", "Source port that was looked up, absent in a dump",
			field(rtnl.FieldSPort), func(r *routeRow) (int64, bool) { return optional(r.SPort) }).sparse(),
		small("dport", "Destination port that was looked up, absent in a dump",
			field(rtnl.FieldDPort), func(r *routeRow) (int64, bool) { return optional(r.DPort) }).sparse(),
		text("newdst", aboutNewDst,
			field(rtnl.FieldNewDst), func(b []byte, r *routeRow) []byte { return appendLabels(b, r.NewDst) }).sparse(),
		text("unknown_attrs",
			"Attributes that are not understood, as JSON: [{\"type\":N,\"len\":N,\"hex\":\"...\"}], [] for none",
			field(rtnl.FieldUnknown), func(b []byte, r *routeRow) []byte { return appendAttrs(b, r.Unknown) }),
		small("snapshot_consistent", aboutConsistent,
			nothing, func(r *routeRow) (int64, bool) { return truth(r.snap.Consistent) }).volatile().
			holds(numbersTo(1)),
	},
	func(p *plan[routeRow], s *rtnl.Snapshot) func() *routeRow {
		c := s.Cursor(p.fields())
		row := &routeRow{snap: s, names: p.names, at: c}
		return func() *routeRow {
			if !c.Next() {
				return nil
			}
			if p.needs == nothing {
				return row // count(*)
			}
			row.Route = c.Route()
			row.hops = row.hops[:0]
			if p.needs&hops != 0 || p.needs&objects != 0 && row.NexthopID.OK {
				row.hops = s.Nexthops(row.Route, row.hops)
			}
			return row
		}
	})

func (r *routeRow) dstLen() int {
	if r.Dst.IsValid() {
		return r.Dst.Bits()
	}
	return 20 // a label
}

// only is the single nexthop that a nexthop object gives the route, for a kernel
// that does not copy it into the route (nexthop_compat_mode 0).
func (r *routeRow) only() *rtnl.Nexthop {
	if r.NexthopID.OK && len(r.hops) == 1 {
		return &r.hops[0]
	}
	return &rtnl.Nexthop{}
}

// metric is r.Metric as a column has it.
func (r *routeRow) metric() (int64, bool) {
	m, ok := r.Metric()
	return int64(m), ok
}

func (r *routeRow) gateway() netip.Addr {
	if r.Gateway.IsValid() || !r.NexthopID.OK {
		return r.Gateway
	}
	return r.only().Gateway
}

// oif is none for a nexthop object that is a blackhole, though the kernel copies
// the loopback interface into the route.
func (r *routeRow) oif() rtnl.Opt[uint32] {
	switch {
	case !r.NexthopID.OK:
		return r.OIF
	case r.OIF.OK && len(r.hops) > 0:
		return r.OIF
	}
	i := r.only().OIF
	return rtnl.Opt[uint32]{V: i, OK: i != 0}
}

func (r *routeRow) encap() rtnl.Encap {
	if r.Encap.Type != 0 || !r.NexthopID.OK {
		return r.Encap
	}
	return r.only().Encap
}

// link is the output interface, the zero Link if there is none.
func (r *routeRow) link() rtnl.Link {
	l, _ := r.snap.Link(r.oif().V)
	return l
}

func (r *routeRow) operState() string {
	if l := r.link(); l.Index != 0 {
		return l.OperStateName()
	}
	return ""
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
		return int64(r.Expires.V / rtnl.UserHZ), true
	}
	return int64(r.Cache.V.Expires / rtnl.UserHZ), r.Cache.V.Expires != 0
}

// metric declares the column of a route metric: its value divided by the ticks
// in one unit. The kernel sends no metric of 0, which is one that is not set
// (rtnetlink_put_metrics): what holds then is for the sockets and sysctls to say.
func metric(name, description string, m rtnl.Metric, ticks uint32) column[routeRow] {
	description += ", absent unless the route sets it"
	return big(name, description, field(rtnl.FieldMetrics), func(r *routeRow) (int64, bool) {
		v, ok := r.Metrics.Get(m)
		if m == rtnl.MetricHopLimit && v == 1<<32-1 {
			return 0, false // -1: not set
		}
		return int64(v / ticks), ok
	}).sparse()
}

// cache declares a column of struct rta_cacheinfo, which the kernel sends for
// every IPv6 route (rt6_fill_node), for IPv4 only with a cached one.
func cache(name, description string, f func(*rtnl.CacheInfo) int64) column[routeRow] {
	return big(name, description+"; absent for all but ipv6", field(rtnl.FieldCache), func(r *routeRow) (int64, bool) {
		return f(&r.Cache.V), r.Cache.OK
	}).sparse().holds(anyNumber).volatile()
}

// mfc declares a column of struct rta_mfc_stats.
func mfc(name, description string, f func(*rtnl.MFCStats) uint64) column[routeRow] {
	description += "; absent for other routes and while it is unresolved"
	return big(name, description, field(rtnl.FieldMFC), func(r *routeRow) (int64, bool) {
		return int64(f(&r.MFC.V)), r.MFC.OK
	}).sparse().holds(anyNumber).volatile()
}

// encapCounter declares a column of a counter that a tunnel keeps.
func encapCounter[R any](name, description string, n needs, encap func(*R) rtnl.Encap,
	f func(rtnl.EncapCounters) uint64) column[R] {
	return big(name, description+", absent if none counts", n, func(r *R) (int64, bool) {
		c, ok := encap(r).Counters()
		return int64(f(c)), ok
	}).holds(anyNumber).volatile()
}

// volatile says that the column changes with time, or from one reading to the
// next, while the route stays as it is.
func (c column[R]) volatile() column[R] {
	c.Volatile = true
	c.Description += changesWithTime
	return c
}

// changesWithTime ends the description of a volatile column.
const changesWithTime = "; changes with time"

var prefNames = [...]string{0: "medium", 1: "high", 3: "low"}

func appendPref(b []byte, p rtnl.Opt[uint8]) []byte {
	switch {
	case !p.OK:
		return b
	case int(p.V) < len(prefNames) && prefNames[p.V] != "":
		return append(b, prefNames[p.V]...)
	}
	return strconv.AppendUint(b, uint64(p.V), 10)
}

// appendRealmFrom appends the upper half of RTA_FLOW; 0 is none.
func appendRealmFrom(b []byte, n *rtnl.Names, realms rtnl.Opt[uint32]) []byte {
	if from := realms.V >> 16; from != 0 {
		return n.AppendRealm(b, from)
	}
	return b
}

func appendRealmTo(b []byte, n *rtnl.Names, realms rtnl.Opt[uint32]) []byte {
	if !realms.OK {
		return b
	}
	return n.AppendRealm(b, realms.V&0xffff)
}

func appendLabels(b, stack []byte) []byte {
	if stack == nil {
		return b
	}
	return rtnl.AppendLabels(b, stack)
}

func appendGateway(b []byte, a netip.Addr, link []byte) []byte {
	return rtnl.AppendAddr(rtnl.AppendLinkAddr(b, link), a)
}

// linkFamily is iproute2's word for AF_PACKET.
const linkFamily = "link"

// gatewayFamily is addrFamily, and iproute2's word for a link-layer address.
func gatewayFamily(a netip.Addr, link []byte) string {
	if link != nil {
		return linkFamily
	}
	return addrFamily(a)
}

func truth(v bool) (int64, bool) {
	if v {
		return 1, true
	}
	return 0, true
}

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

// Routes is the table kernel_routes.
var Routes = define("kernel_routes",
	"Routes of the Linux kernel in all tables and families, read over RTNetlink.",
	[]string{
		"SELECT * FROM kernel_routes WHERE table_name = 'main'",
		"SELECT dst, gateway, dev, metric FROM kernel_routes WHERE dst IN ('0.0.0.0/0', '::/0')",
		"SELECT table_name, protocol, count(*) FROM kernel_routes GROUP BY 1, 2",
		"SELECT r.dst, n.gateway, n.dev, n.weight FROM kernel_routes r JOIN kernel_route_nexthops n USING (route_id) WHERE r.nexthop_count > 1",
	},
	nothing,
	[]column[routeRow]{
		text("route_id", "Identity of the route, the same in every query as long as the route exists; joins with kernel_route_nexthops", field(rtnl.FieldID), func(b []byte, r *routeRow) []byte { return r.AppendID(b) }).by(byRouteID).holds(routeIDs).key(),
		text("family", "Address family: ipv4, ipv6, mpls, and ipmr or ip6mr for multicast routing", header, func(b []byte, r *routeRow) []byte { return append(b, r.Family.String()...) }).by(byFamily).holds(families),
		text("type", "Type: unicast, local, broadcast, anycast, multicast, blackhole, unreachable, prohibit, throw, nat, xresolve", header, func(b []byte, r *routeRow) []byte { return append(b, r.Type.String()...) }).by(byType).holds(routeTypes),
		text("protocol", "Who installed the route: kernel, boot, static, dhcp, ra, bgp, or another name in rt_protos", header, func(b []byte, r *routeRow) []byte { return r.names.AppendProtocol(b, r.Protocol) }).by(byProtocol).named(protocolNames, func(r *routeRow) uint32 { return uint32(r.Protocol) }),
		text("scope", "Distance to the destination: global, site, link, host, nowhere, or another name in rt_scopes", header, func(b []byte, r *routeRow) []byte { return r.names.AppendScope(b, r.Scope) }).named(scopeNames, func(r *routeRow) uint32 { return uint32(r.Scope) }),
		big("table_id", "Number of the routing table", field(rtnl.FieldTable), func(r *routeRow) (int64, bool) { return count(r.Table) }).by(byTableID),
		text("table_name", "Name of the routing table in rt_tables, its number where it has none", field(rtnl.FieldTable), func(b []byte, r *routeRow) []byte { return r.names.AppendTable(b, r.Table) }).by(byTableName).named(tableNames, func(r *routeRow) uint32 { return r.Table }),
		text("dst", "Destination in CIDR notation, 0.0.0.0/0 or ::/0 for a default route; a label for mpls", field(rtnl.FieldDst), func(b []byte, r *routeRow) []byte { return r.AppendDst(b) }).by(byDst).holds(dsts),
		small("dst_len", "Length of the destination's prefix in bits", field(rtnl.FieldDst), func(r *routeRow) (int64, bool) { return count(r.dstLen()) }).holds(numbersTo(128)),
		text("src", "Source that the route is restricted to, in CIDR notation", field(rtnl.FieldSrc), func(b []byte, r *routeRow) []byte { return rtnl.AppendPrefix(b, r.Src) }).holds(srcs),
		small("src_len", "Length of the source's prefix in bits, 0 for any source", field(rtnl.FieldSrc), func(r *routeRow) (int64, bool) { return count(max(r.Src.Bits(), 0)) }).holds(numbersTo(128)),
		text("gateway", "Address of the gateway, empty for a route without one and for several nexthops", needOnly, func(b []byte, r *routeRow) []byte { return rtnl.AppendAddr(b, r.gateway()) }).holds(addrs),
		text("gateway_family", "Family of the gateway's address: ipv4 or ipv6", needOnly, func(b []byte, r *routeRow) []byte { return append(b, addrFamily(r.gateway())...) }).holds(addrFamilies),
		text("dev", "Name of the output interface, empty if it has gone away, if there is none and for several nexthops", needOnly|needLinks, func(b []byte, r *routeRow) []byte { return append(b, r.link().Name...) }).by(single(byDev)).holds(outputs),
		big("dev_index", "Index of the output interface", needOnly, func(r *routeRow) (int64, bool) { return optional(r.oif()) }).by(single(byDevIndex)),
		text("dev_kind", "Kind of the output interface: veth, bridge, wireguard, tun, ...; empty for hardware", needOnly|needLinks, func(b []byte, r *routeRow) []byte { return append(b, r.link().Kind...) }),
		text("dev_operstate", "Operational state of the output interface: UP, DOWN, UNKNOWN, LOWERLAYERDOWN and others", needOnly|needLinks, func(b []byte, r *routeRow) []byte { return append(b, r.operState()...) }).holds(operStates),
		big("metric", "Metric (priority): the lower is preferred", field(rtnl.FieldPriority), func(r *routeRow) (int64, bool) { return optional(r.Priority) }),
		text("prefsrc", "Preferred source address", field(rtnl.FieldPrefSrc), func(b []byte, r *routeRow) []byte { return rtnl.AppendAddr(b, r.PrefSrc) }).sparse().holds(addrs),
		small("tos", "Type of service", header, func(r *routeRow) (int64, bool) { return count(r.TOS) }).holds(numbersTo(math.MaxUint8)),
		big("flags", "Flags of the route and of its single nexthop (rtm_flags)", header, func(r *routeRow) (int64, bool) { return count(r.Flags) }),
		text("flag_names", "Names of the flags, separated by commas: onlink, linkdown, dead, offload and others", header, func(b []byte, r *routeRow) []byte { return rtnl.AppendFlags(b, r.Flags) }).holds(flagLists),
		text("pref", "Preference of an IPv6 router: low, medium, high", field(rtnl.FieldPref), func(b []byte, r *routeRow) []byte { return appendPref(b, r.Pref) }).sparse().holds(prefs),
		small("nexthop_count", "Number of nexthops, 0 for a route without any, as a blackhole", needHops, func(r *routeRow) (int64, bool) { return count(len(r.hops)) }),
		big("nexthop_id", "Id of the nexthop object that the route uses", field(rtnl.FieldNexthopID), func(r *routeRow) (int64, bool) { return optional(r.NexthopID) }).sparse(),
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
		metric("quickack", "1 if TCP quick acknowledgements are on, else 0", rtnl.MetricQuickAck, 1),
		text("congctl", "TCP congestion control algorithm", field(rtnl.FieldMetrics), func(b []byte, r *routeRow) []byte { return append(b, r.Metrics.CC...) }).sparse(),
		text("features", "Names of the features, separated by commas: ecn, sack, timestamp, allfrag, tcp_usec_ts", field(rtnl.FieldMetrics), func(b []byte, r *routeRow) []byte { return r.Metrics.AppendFeatures(b) }).sparse(),
		metric("fastopen_no_cookie", "1 if TCP Fast Open needs no cookie, else 0", rtnl.MetricFastOpenNoCookie, 1),
		text("locked", "Names of the metrics that are locked, separated by commas", field(rtnl.FieldMetrics), func(b []byte, r *routeRow) []byte { return r.Metrics.AppendLocked(b) }).sparse(),
		text("realm_from", "Source realm, by its name in rt_realms or its number", field(rtnl.FieldRealms), func(b []byte, r *routeRow) []byte { return appendRealmFrom(b, r.names, r.Realms) }).sparse().named(realmNames, func(r *routeRow) uint32 { return r.Realms.V >> 16 }),
		text("realm_to", "Destination realm, by its name in rt_realms or its number", field(rtnl.FieldRealms), func(b []byte, r *routeRow) []byte { return appendRealmTo(b, r.names, r.Realms) }).sparse().named(realmNames, func(r *routeRow) uint32 { return r.Realms.V & 0xffff }),
		big("mark", "Firewall mark", field(rtnl.FieldMark), func(r *routeRow) (int64, bool) { return optional(r.Mark) }).sparse(),
		big("uid", "User id", field(rtnl.FieldUID), func(r *routeRow) (int64, bool) { return optional(r.UID) }).sparse(),
		text("iif", "Input interface of a multicast route, its index if it has gone away", field(rtnl.FieldIIF)|needLinks, func(b []byte, r *routeRow) []byte { return r.appendIIF(b) }).sparse().holds(inputs),
		small("ttl_propagate", "1 if MPLS propagates the TTL, else 0", field(rtnl.FieldTTLPropagate), func(r *routeRow) (int64, bool) { return optional(r.TTLPropagate) }).sparse(),
		text("encap_type", "Type of the tunnel: mpls, ip, ila, ip6, seg6, bpf, seg6local, rpl, ioam6, xfrm", field(rtnl.FieldEncap)|needOnly, func(b []byte, r *routeRow) []byte { return append(b, r.encap().TypeName()...) }).holds(encapTypes),
		text("encap", "Tunnel in the words of ip route, TYPE hex:... if it is not fully understood", field(rtnl.FieldEncap)|needOnly, func(b []byte, r *routeRow) []byte { return r.encap().AppendText(b) }),
		cache("cache_clntref", "References by clients", func(c *rtnl.CacheInfo) int64 { return int64(c.ClntRef) }),
		cache("cache_last_use", "Seconds since the last use", func(c *rtnl.CacheInfo) int64 { return int64(c.LastUse / rtnl.UserHZ) }),
		cache("cache_expires", "Seconds until the route expires, 0 if it does not, negative once it has", func(c *rtnl.CacheInfo) int64 { return int64(c.Expires / rtnl.UserHZ) }),
		cache("cache_error", "Error that the route gives, as the kernel sends it: an errno, negative ones plus 2^32", func(c *rtnl.CacheInfo) int64 { return int64(c.Error) }),
		cache("cache_used", "Number of uses", func(c *rtnl.CacheInfo) int64 { return int64(c.Used) }),
		cache("cache_id", "IP identification, no longer set", func(c *rtnl.CacheInfo) int64 { return int64(c.ID) }),
		cache("cache_ts", "TCP timestamp, no longer set", func(c *rtnl.CacheInfo) int64 { return int64(c.TS) }),
		cache("cache_tsage", "Age of the TCP timestamp in seconds, no longer set", func(c *rtnl.CacheInfo) int64 { return int64(c.TSAge) }),
		big("expires", "Seconds until a route with a lifetime expires; for a multicast route seconds since its last use", field(rtnl.FieldCache|rtnl.FieldExpires), func(r *routeRow) (int64, bool) { return r.expires() }).sparse().holds(anyNumber),
		big("mfc_packets", "Packets that a multicast route has forwarded", field(rtnl.FieldMFC), func(r *routeRow) (int64, bool) { return int64(r.MFC.V.Packets), r.MFC.OK }).sparse().holds(anyNumber),
		big("mfc_bytes", "Bytes that a multicast route has forwarded", field(rtnl.FieldMFC), func(r *routeRow) (int64, bool) { return int64(r.MFC.V.Bytes), r.MFC.OK }).sparse().holds(anyNumber),
		big("mfc_wrong_if", "Packets of a multicast route that came in through another interface than its own", field(rtnl.FieldMFC), func(r *routeRow) (int64, bool) { return int64(r.MFC.V.WrongIf), r.MFC.OK }).sparse().holds(anyNumber),
		small("ip_proto", "IP protocol that the route is restricted to", field(rtnl.FieldIPProto), func(r *routeRow) (int64, bool) { return optional(r.IPProto) }).sparse(),
		small("sport", "Source port that the route is restricted to", field(rtnl.FieldSPort), func(r *routeRow) (int64, bool) { return optional(r.SPort) }).sparse(),
		small("dport", "Destination port that the route is restricted to", field(rtnl.FieldDPort), func(r *routeRow) (int64, bool) { return optional(r.DPort) }).sparse(),
		text("newdst", "MPLS label stack that replaces the destination's", field(rtnl.FieldNewDst), func(b []byte, r *routeRow) []byte { return appendLabels(b, r.NewDst) }).sparse(),
		text("unknown_attrs", "Attributes that are not understood, as JSON: [{\"type\":N,\"len\":N,\"hex\":\"...\"}]", field(rtnl.FieldUnknown), func(b []byte, r *routeRow) []byte { return appendAttrs(b, r.Unknown) }),
		small("snapshot_consistent", "1 if nothing changed while the kernel was read or all changes are accounted for, else 0", nothing, func(r *routeRow) (int64, bool) { return truth(r.snap.Consistent) }).holds(numbersTo(1)),
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

func (r *routeRow) gateway() netip.Addr {
	if r.Gateway.IsValid() || !r.NexthopID.OK {
		return r.Gateway
	}
	return r.only().Gateway
}

func (r *routeRow) oif() rtnl.Opt[uint32] {
	if r.OIF.OK || !r.NexthopID.OK {
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
// in one unit.
func metric(name, description string, m rtnl.Metric, ticks uint32) column[routeRow] {
	return big(name, description, field(rtnl.FieldMetrics), func(r *routeRow) (int64, bool) {
		v, ok := r.Metrics.Get(m)
		if m == rtnl.MetricHopLimit && v == 1<<32-1 {
			return 0, false // -1: not set
		}
		return int64(v / ticks), ok
	}).sparse()
}

// cache declares a column of struct rta_cacheinfo.
func cache(name, description string, f func(*rtnl.CacheInfo) int64) column[routeRow] {
	return big(name, description, field(rtnl.FieldCache), func(r *routeRow) (int64, bool) {
		return f(&r.Cache.V), r.Cache.OK
	}).sparse().holds(anyNumber)
}

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

func truth(v bool) (int64, bool) {
	if v {
		return 1, true
	}
	return 0, true
}

package tables

import (
	"math"
	"net/netip"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// Lookups is the table kernel_route_lookups.
var Lookups = define(Table{
	Name: "kernel_route_lookups",
	Description: "What the Linux kernel would do with a packet, one row for each destination that is asked for: " +
		"WHERE destination = '192.0.2.1', IN, or a join on an address. Each look-up is of the time when it is made.",
	Examples: []Example{
		{"Where a packet to an address would go.",
			"SELECT * FROM kernel_route_lookups WHERE destination = '192.0.2.1'"},
		{"Where packets of two families with a firewall mark would go, and why they would not.",
			"SELECT destination, dev, gateway, table_name, error FROM kernel_route_lookups " +
				"WHERE destination IN ('192.0.2.1', '2001:db8::1') AND mark = 51820"},
		{"The route that decides where a packet goes.",
			"SELECT l.destination, r.dst, r.metric, r.protocol FROM kernel_route_lookups l " +
				"JOIN kernel_routes r USING (route_id) WHERE l.destination = '192.0.2.1'"},
	},
}, lookupColumns, source[lookupRow]{find: findLookups, rows: foundRows[lookupRow]})

// A lookupRow is a row of kernel_route_lookups: a packet, and what becomes of it.
type lookupRow struct {
	*packet
	names    *iproute2.Names
	idSuffix string // see place

	err        rtnl.LookupError
	answered   bool // what follows is known
	kind       object.RouteType
	table      uint32 // 0: none
	gateway    netip.Addr
	oif        object.Opt[uint32]
	link       object.Link // the zero Link: there is none, or nobody wants it
	prefsrc    netip.Addr
	mtu        object.Opt[uint32]
	vrf        string
	matched    bool // what follows is known
	metric     uint32
	protocol   uint8
	dst        netip.Prefix
	id         string
	consistent bool
}

// What is found out of a packet for a column.
var (
	needAnswer = needs{found: rtnl.WantAnswer}
	needMatch  = needs{found: rtnl.WantMatch}
	needTable  = needAnswer.and(needMatch)
	needID     = needs{found: rtnl.WantID}
)

// lookupColumns are the columns of kernel_route_lookups. Those that a packet is given by, inputs,
// come first.
var lookupColumns = []column[lookupRow]{
	text("destination",
		"Input, required: address that the packet goes to, = or IN; an IPv4-mapped IPv6 address is looked up as "+
			"the IPv4 address that it stands for, one with a zone (fe80::1%eth0) through that interface",
		nothing, func(r *lookupRow, b []byte) []byte { return append(b, r.destination...) }).
		from("what the query asks for: RTA_DST of the request").key().required(),
	inputText("from_addr",
		"Input: source address of the packet, one of this host's unless it came in; empty: the kernel chooses",
		func(p *packet) string { return p.from }).
		from("what the query asks for: RTA_SRC of the request"),
	inputText("in_dev",
		"Input: interface that the packet came in through, by name or index; empty: it is this host's own. ipv4 "+
			"needs from_addr with it",
		func(p *packet) string { return p.inDev }).
		from("what the query asks for: RTA_IIF of the request"),
	inputText("out_dev",
		"Input: interface that the packet is to leave through, by name or index, as that of a socket that is bound "+
			"to one; empty: any. Means nothing with in_dev",
		func(p *packet) string { return p.outDev }).
		from("what the query asks for: RTA_OIF of the request"),
	inputNumber("mark", BigInt,
		"Input: firewall mark of the packet",
		func(p *packet) object.Opt[uint32] { return p.request.Mark }).
		from("what the query asks for: RTA_MARK of the request"),
	inputNumber("tos", Integer,
		"Input: type of service of the packet",
		func(p *packet) object.Opt[uint32] { return widen(p.request.TOS) }).
		from("what the query asks for: rtm_tos of the request"),
	inputNumber("uid", BigInt,
		"Input: user whose packet it is; absent: the one that osquery runs as, nobody's for in_dev",
		func(p *packet) object.Opt[uint32] { return p.request.UID }).
		from("what the query asks for: RTA_UID of the request"),
	inputNumber("ip_proto", Integer,
		"Input: IP protocol of the packet: 1 (icmp), 6 (tcp), 17 (udp), or 58 (icmpv6) for ipv6; absent: 17 for "+
			"ipv4, none for ipv6",
		func(p *packet) object.Opt[uint32] { return widen(p.request.IPProto) }).
		from("what the query asks for: RTA_IP_PROTO of the request"),
	inputNumber("sport", Integer,
		"Input: source port of the packet",
		func(p *packet) object.Opt[uint32] { return widen(p.request.SPort) }).
		from("what the query asks for: RTA_SPORT of the request"),
	inputNumber("dport", Integer,
		"Input: destination port of the packet",
		func(p *packet) object.Opt[uint32] { return widen(p.request.DPort) }).
		from("what the query asks for: RTA_DPORT of the request"),
	text("destination_key",
		"Destination as text in the order of addresses: 4: or 6: and hexadecimal digits, as dst_first of "+
			"kernel_routes",
		nothing, func(r *lookupRow, b []byte) []byte {
			return appendAddrKey(b, r.request.Destination.Unmap().WithZone(""))
		}).
		from("worked out from destination").ranged(nil).hidden().holds(keys),
	text("family",
		"Address family of the packet: ipv4, ipv6",
		nothing, func(r *lookupRow, b []byte) []byte { return append(b, r.request.Family().String()...) }).
		from("worked out from destination").
		holds(words(false, noNumber, familyNames(object.IPv4, object.IPv6), ipFamilies)),
	text("type",
		"What becomes of the packet: unicast, local, broadcast, multicast, anycast; empty where error is not",
		needAnswer, (*lookupRow).appendType).
		from("rtm_type of the answer").holds(words(true, math.MaxUint8, wordList(routeType), nil)),
	bigint("table_id",
		"Number of the routing table that decides, absent if there is none, as where out_dev alone decides, and if "+
			"it cannot be told: see route_id",
		needTable, func(r *lookupRow) (int64, bool) { return int64(r.table), r.table != 0 }).
		from("RTA_TABLE of the route that decides (RTM_F_FIB_MATCH), else of the answer").since(matchesSince),
	text("table_name",
		"Name of the routing table in rt_tables, its number where it has none; empty where table_id is absent",
		needTable, (*lookupRow).appendTable).
		from("RTA_TABLE of the route that decides (RTM_F_FIB_MATCH), else of the answer, named by rt_tables").
		since(matchesSince).
		named(tableNames, func(r *lookupRow) uint32 { return r.table }),
	text("gateway",
		"Address of the gateway that the packet is sent to, empty if it is sent to the destination itself",
		needAnswer, func(r *lookupRow, b []byte) []byte { return object.AppendAddr(b, r.gateway) }).
		from("RTA_GATEWAY or RTA_VIA of the answer").holds(addrs),
	text("gateway_family",
		"Family of the gateway's address: ipv4, ipv6; empty where gateway is",
		needAnswer, (*lookupRow).appendGatewayFamily).
		from("RTA_GATEWAY or RTA_VIA of the answer").
		holds(words(true, noNumber, familyNames(object.IPv4, object.IPv6), ipFamilies)),
	text("dev",
		"Name of the interface that the packet leaves through, lo for this host; empty where error is not",
		needAnswer.and(needLinks), func(r *lookupRow, b []byte) []byte { return append(b, r.link.Name...) }).
		from("IFLA_IFNAME of RTA_OIF of the answer"),
	bigint("dev_index",
		"Index of that interface, absent where error is not empty",
		needAnswer, func(r *lookupRow) (int64, bool) { return opt(r.oif) }).
		from("RTA_OIF of the answer"),
	text("dev_kind",
		"Kind of that interface: veth, bridge, wireguard, tun, ...; empty for hardware and where dev is",
		needAnswer.and(needLinks), func(r *lookupRow, b []byte) []byte { return append(b, r.link.Kind...) }).
		from("IFLA_INFO_KIND of RTA_OIF of the answer"),
	text("prefsrc",
		"Source address that the packet leaves with if it has none yet; empty where the kernel tells of none",
		needAnswer, func(r *lookupRow, b []byte) []byte { return object.AppendAddr(b, r.prefsrc) }).
		from("RTA_PREFSRC of the answer").holds(addrs),
	bigint("mtu",
		"Path MTU in [bytes] that the route sets or that was learnt, absent if that is the interface's",
		needAnswer, func(r *lookupRow) (int64, bool) { return opt(r.mtu) }).
		from("RTAX_MTU in RTA_METRICS of the answer"),
	bigint("metric",
		"Metric (priority) of the route that decides, absent if there is none",
		needMatch, func(r *lookupRow) (int64, bool) { return int64(r.metric), r.matched }).
		from("RTA_PRIORITY of the route that decides (RTM_F_FIB_MATCH)").since(matchesSince),
	text("protocol",
		"Who installed the route that decides: kernel, boot, static, dhcp, ra, bgp, or another name in rt_protos; "+
			"empty if there is none",
		needMatch, (*lookupRow).appendProtocol).
		from("rtm_protocol of the route that decides (RTM_F_FIB_MATCH), named by rt_protos").since(matchesSince).
		named(protocolNames, func(r *lookupRow) uint32 { return uint32(r.protocol) }),
	text("matched_dst",
		"Destination of the route that decides, in CIDR notation; empty if there is none",
		needMatch, func(r *lookupRow, b []byte) []byte { return object.AppendPrefix(b, r.dst) }).
		from("RTA_DST, rtm_dst_len of the route that decides (RTM_F_FIB_MATCH)").since(matchesSince).
		holds(&domain{absent: true, spell: spellDst, advise: adviseDst}),
	text("route_id",
		"Identity of the route that decides; joins with kernel_routes; empty if there is none, and if it cannot be "+
			"told, for the kernel takes ipv6 routes that use one nexthop object for each other",
		needID, (*lookupRow).appendRouteID).
		from("worked out from the route that decides (RTM_F_FIB_MATCH)").since(matchesSince),
	text("error",
		"Why the packet goes nowhere: unreachable, prohibit, blackhole (a route or rule of that type; unreachable "+
			"also if it came in while forwarding is off), no route (also for an unreachable rule, and a source that "+
			"is not this host's), invalid (addresses or an in_dev that the kernel refuses); empty if it does not",
		nothing, func(r *lookupRow, b []byte) []byte { return append(b, r.err...) }).
		from("errno of the answer, or its rtm_type").holds(words(true, noNumber, lookupErrors, nil)),
	text("vrf",
		"Name of the VRF device whose routing table decides, empty for none",
		needTable.and(needVRFs), func(r *lookupRow, b []byte) []byte { return append(b, r.vrf...) }).
		from(ofVRF("RTA_TABLE")).since(matchesSince),
	integer("snapshot_consistent",
		"1 if what the row shows is of one time, 0 if it changed on every try",
		nothing, func(r *lookupRow) (int64, bool) { return boolean(r.consistent) }).
		from("worked out from answers before and after, and from notifications").holds(numbersTo(1)).volatile(),
}

var lookupErrors = []string{"", string(rtnl.Unreachable), string(rtnl.Prohibit), string(rtnl.Blackhole),
	string(rtnl.NoRoute), string(rtnl.Invalid)}

// required says that there is no answer without an equality on the column.
func (c column[R]) required() column[R] {
	c.Options |= Required
	return c
}

// inputText declares a column that shows what a query says of a packet.
func inputText(name, description string, value func(*packet) string) column[lookupRow] {
	c := text(name, description, nothing, func(r *lookupRow, b []byte) []byte { return append(b, value(r.packet)...) })
	return c.hidden().input(name).perRow()
}

func inputNumber(name string, t Type, description string, value func(*packet) object.Opt[uint32]) column[lookupRow] {
	c := declare[lookupRow](name, t, description+"; absent unless it is asked for", nothing)
	c.number = func(r *lookupRow) (int64, bool) { return opt(value(r.packet)) }
	return c.hidden().input(name).perRow()
}

func widen[T uint8 | uint16](o object.Opt[T]) object.Opt[uint32] {
	return object.Opt[uint32]{V: uint32(o.V), OK: o.OK}
}

func (r *lookupRow) appendType(b []byte) []byte {
	if !r.answered {
		return b
	}
	return append(b, r.kind.String()...)
}

func (r *lookupRow) appendTable(b []byte) []byte {
	if r.table == 0 {
		return b
	}
	return r.names.AppendTable(b, r.table)
}

func (r *lookupRow) appendGatewayFamily(b []byte) []byte {
	switch {
	case !r.gateway.IsValid():
		return b
	case r.gateway.Is4():
		return append(b, object.IPv4.String()...)
	}
	return append(b, object.IPv6.String()...)
}

func (r *lookupRow) appendRouteID(b []byte) []byte {
	if r.id == "" {
		return b
	}
	return append(append(b, r.id...), r.idSuffix...)
}

func (r *lookupRow) appendProtocol(b []byte) []byte {
	if !r.matched {
		return b
	}
	return r.names.AppendProtocol(b, r.protocol)
}

// fill takes over what was found.
func (r *lookupRow) fill(found *rtnl.Lookup) {
	r.err, r.id, r.consistent = found.Error, found.ID, found.Consistent
	if a := found.Answer; a != nil {
		r.answered, r.kind, r.table, r.gateway, r.oif, r.prefsrc = true, a.Type, a.Table, a.Gateway, a.OIF, a.PrefSrc
		r.mtu.V, r.mtu.OK = a.Metrics.MTU()
	}
	if m := found.Match; m != nil {
		r.matched, r.protocol, r.dst = true, m.Protocol, m.Dst
		r.metric, _ = m.Metric()
	}
}

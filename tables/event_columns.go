package tables

import (
	"slices"

	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/object"
)

// Columns of other tables, where the object of an event is a row of those.
func ofChanged(name string) column[eventRow] { return ofTable(routeColumns, name, eventRoute) }
func ofNexthopObj(name string) column[eventRow] {
	return ofTable(nexthopObjectColumns, name, eventNexthop)
}
func ofChangedRule(name string) column[eventRow] {
	return ofTable(slices.Concat(ruleSelectors, ruleActions, ruleProtocol), name, eventRule)
}

// changedColumns say what has changed.
var changedColumns = slices.Concat(
	[]column[eventRow]{
		ofChanged("route_id").describe(
			"Identity of the route, as in kernel_routes; empty if it is none").holds(orEmpty(routeIDs)),
		ofChanged("family").or(ofChangedRule("family"), ofNexthopObj("family"), addressFamily).describe(
			"Address family: ipv4, ipv6, mpls (Linux 4.1), and ipmr or ip6mr for multicast routing; empty for a link " +
				"and for a group of nexthop objects").
			holds(words(true, noNumber,
				familyNames(object.IPv4, object.IPv6, object.MPLS, object.IPMR, object.IP6MR), ipFamilies)),
		ofChanged("type").describe("Type of the route: unicast, local, broadcast, blackhole and others, as in " +
			"kernel_routes; empty if it is none").
			holds(orEmpty(routeTypes)),
		ofChanged("protocol").or(ofChangedRule("protocol"), ofNexthopObj("protocol")).describe(
			"Who installed it, as it is said: kernel, boot, static, dhcp, ra, bgp, or another name in rt_protos; " +
				"empty if it says nothing").
			from("rtm_protocol, nh_protocol, or that of a rule; named by rt_protos").holds(absentProtocols.domain()),
		ofChanged("scope").or(ofNexthopObj("scope")).describe(
			"Distance to the destination, or to the nexthop object's gateway: global, site, link, host, nowhere, or " +
				"another name in rt_scopes; empty for other objects").
			from("rtm_scope or nh_scope, named by rt_scopes").holds(absentScopes.domain()),
		ofChanged("table_id").or(ofChangedRule("table_id")).describe(
			"Number of the routing table of the route, or that the rule names: 254 main, 255 local, 253 default, or " +
				"any other; absent for other objects and for a rule that names none").
			from("RTA_TABLE, else rtm_table; FRA_TABLE, else fib_rule_hdr.table"),
		ofChanged("table_name").or(ofChangedRule("table_name")).describe(
			"Name of that table in rt_tables, its number where it has none; empty where table_id is absent").
			from("RTA_TABLE, else rtm_table; FRA_TABLE, else fib_rule_hdr.table; named by rt_tables").
			holds(ruleTableNames.domain()),
		ofChanged("dst").or(ofChangedRule("dst"), addressPrefix).describe(
			"Destination of the route in CIDR notation (0.0.0.0/0 or ::/0 for a default route, a label for mpls) or " +
				"of the rule's packets; the address with its prefix length if object is address; empty otherwise, " +
				"and for a rule for any").
			from("RTA_DST, rtm_dst_len; FRA_DST, fib_rule_hdr.dst_len; IFA_LOCAL or IFA_ADDRESS").
			holds(eventDsts),
		ofChanged("gateway").or(ofNexthopObj("gateway")).describe(
			"Address of the gateway, a link-layer address for some of mpls; empty for a route without one and for " +
				"several nexthops").
			holds(gateways),
		ofChanged("dev").or(ofNexthopObj("dev"), linkName).describe(
			"Name that the output interface had then, or the link, or that of the address; empty if there is none, " +
				"if it was gone already, and for several nexthops").
			from("IFLA_IFNAME of RTA_OIF, NHA_OIF or the link").holds(nil),
		ofChanged("dev_index").or(ofNexthopObj("dev_index"), linkIndex).describe(
			"Index of that interface; absent if there is none and for several nexthops").
			from("RTA_OIF or NHA_OIF; ifi_index or ifa_index"),
		ofChanged("metric").describe("Metric (priority) of the route: the lower is preferred; absent if it is none " +
			"and for families but ipv4 and ipv6"),
		ofChanged("prefsrc"),
		ofChanged("tos").or(ofChangedRule("tos")).describe(
			"Type of service of the route or rule, 0 for any; absent for other objects").
			from("rtm_tos or fib_rule_hdr.tos"),
		ofChanged("nexthop_count").describe("Number of nexthops of the route, 0 for a route without any, as a " +
			"blackhole; absent if it is none"),
		ofChanged("nexthop_id").or(ofNexthopObj("nexthop_id")).describe(
			"Id of the nexthop object that has changed, or that the route uses; absent for others").
			from("RTA_NH_ID or NHA_ID").since("5.3"),
		ofChanged("encap_type").or(ofNexthopObj("encap_type")),
		ofChangedRule("rule_id").describe(
			"Identity of the rule, as in kernel_route_rules; empty if it is none").holds(orEmpty(ruleIDs)),
		ofChangedRule("priority").describe(
			"Place of the rule among those of the family: the lower is asked first; absent if it is none"),
		ofChangedRule("action").called("rule_action").describe(
			"What the rule does: table, goto, nop, blackhole, unreachable, prohibit, unspec, a number for any other; " +
				"empty if it is none").
			holds(orEmpty(ruleActionWords)),
		ofChangedRule("inverted").describe("1 if the rule is for all packets but those that it describes (ip's not), " +
			"else 0; absent if it is none"),
		ofChanged("src").or(ofChangedRule("src")).describe(
			"Source that the route is restricted to, or of the rule's packets, in CIDR notation; empty for any").
			from("RTA_SRC, rtm_src_len; FRA_SRC, fib_rule_hdr.src_len").holds(rulePrefixes),
		ofChangedRule("iif").or(ofChanged("iif")).describe(
			"Name of the interface that the rule's packets came in through, or those of a multicast route; empty for " +
				"any and for other objects").
			from("FRA_IIFNAME, or IFLA_IFNAME of RTA_IIF").holds(nil),
	},
	changedRuleColumns("oif", "fwmark", "fwmask", "uid_start", "uid_end", "ip_proto", "sport_start", "sport_end",
		"dport_start", "dport_end", "dscp"),
	[]column[eventRow]{
		ofChangedRule("goto_priority").describe(
			"Priority of the rule to go on with; absent if rule_action is not goto"),
		ofChangedRule("suppress_prefixlength"),
		ofChangedRule("suppress_ifgroup"),
		ofChangedRule("l3mdev").describe("1 if the rule's table is that of the VRF that the packet came in through " +
			"or goes out through, else 0; absent if it is no rule"),
	},
)

// ruleProtocol is the column of rules that is in neither list.
var ruleProtocol = ruleColumns[len(ruleSelectors)+len(ruleActions):][:1]

// changedRuleColumns returns columns of rules, which are absent for other objects.
func changedRuleColumns(names ...string) (columns []column[eventRow]) {
	for _, name := range names {
		columns = append(columns, ofChangedRule(name))
	}
	return columns
}

// The columns of links and of addresses that took routes along.
var (
	addressFamily = text("family", "", nothing, func(r *eventRow, b []byte) []byte {
		if a := eventAddress(r); a != nil {
			return append(b, a.Family.String()...)
		}
		return b
	})
	addressPrefix = text("dst", "", nothing, func(r *eventRow, b []byte) []byte {
		if a := eventAddress(r); a != nil {
			return object.AppendPrefix(b, a.Address)
		}
		return b
	})
	linkName = text("dev", "", needLinks, func(r *eventRow, b []byte) []byte {
		if l := eventLink(r); l != nil {
			return append(b, l.Name...)
		}
		return b
	})
	linkIndex = bigint("dev_index", "", nothing, func(r *eventRow) (int64, bool) {
		if l := eventLink(r); l != nil {
			return present(l.Index)
		}
		return 0, false
	})
)

// replacedColumns say what was replaced, and why what went has gone.
var replacedColumns = []column[eventRow]{
	ofTable(routeColumns, "route_id", replacedRoute).called("old_route_id").describe(
		"Identity of the route that was replaced, or is a part of this one now; empty if there was none, or it is " +
			"not known").
		holds(orEmpty(routeIDs)),
	ofOld("gateway").describe(
		"Gateway of what was replaced; of a route with several nexthops that of the only one that went; else empty"),
	ofOld("dev").describe("Output interface of what was replaced, of several nexthops as in old_gateway; else empty").
		holds(nil),
	bigint("del_reason",
		"Why the kernel took the route away (enum rt_del_reason): 1 its lifetime ran out, 2 a router withdrew it; "+
			"absent if it does not say",
		field(delReason.Field()), func(r *eventRow) (int64, bool) {
			if route := eventRoute(r); route != nil {
				return opt(route.DelReason)
			}
			return 0, false
		}),
}

var delReason = func() object.Attribute {
	all := object.RouteAttributes()
	return all[slices.IndexFunc(all, func(a object.Attribute) bool { return a.Name == "RTA_DEL_REASON" })]
}()

// ofOld returns a column of what was replaced, of which all nexthops are needed.
func ofOld(name string) column[eventRow] {
	c := ofTable(routeColumns, name, replacedRoute).or(ofTable(nexthopObjectColumns, name, replacedNexthop))
	c.needs = c.needs.and(needHops)
	return c.called("old_" + name)
}

// authorColumns say who has asked for the change.
var authorColumns = []column[eventRow]{
	bigint("port_id",
		"Netlink port of whoever asked for the change, 0 for the kernel and for who asked by other means than "+
			"netlink; absent if there was no message",
		nothing, func(r *eventRow) (int64, bool) { return int64(r.Port), r.Told }).
		from("nlmsg_pid"),
	authorNumber("pid", "Process that asked for the change", func(a *author.Author) uint32 { return a.PID }).
		from("nlmsg_pid, or who holds the socket with that port in /proc/PID/fd"),
	authorText("process_name", "Name of that process (comm), which it can choose itself",
		func(a *author.Author) string { return a.Name }).
		from("/proc/PID/comm"),
	authorText("process_path", "Path of the program that it ran", func(a *author.Author) string { return a.Path }).
		from("/proc/PID/exe"),
	authorNumber("parent_pid", "Its parent", func(a *author.Author) uint32 { return a.ParentPID }).
		from("/proc/PID/stat"),
	authorNumber("uid", "User that it ran as, as the user namespace of the reader numbers them",
		func(a *author.Author) uint32 { return a.UID }).
		from("/proc/PID/status"),
	authorText("cgroup", "Path of its control group, without 0:: in front, as /system.slice/ssh.service",
		func(a *author.Author) string { return a.Cgroup }).
		from("/proc/PID/cgroup"),
	text("author_certainty",
		"How sure the author is: process (the port is its id, and it holds the socket), other socket (a second one "+
			"of the process, whose port is no id), other namespace (its id is another one in its PID namespace), "+
			"kernel (by itself, or asked by other means than netlink), unknown (it had ended, may not be looked at, "+
			"or asked for a new route by ioctl: then port_id is 0)",
		nothing, func(r *eventRow, b []byte) []byte { return append(b, r.Certainty.String()...) }).
		from("worked out from nlmsg_pid, /proc/net/netlink and /proc/PID/fd").
		holds(words(false, noNumber, certainties, map[string]string{"other_socket": "other socket",
			"other_namespace": "other namespace"})),
}

var certainties = func() (all []string) {
	for c := author.Unknown; c <= author.Kernel; c++ {
		all = append(all, c.String())
	}
	return all
}()

const noAuthor = "if it is not known"

func authorNumber(name, description string, of func(*author.Author) uint32) column[eventRow] {
	return bigint(name, description+"; absent "+noAuthor, nothing, func(r *eventRow) (int64, bool) {
		if r.Author == nil {
			return 0, false
		}
		return present(of(r.Author))
	})
}

func authorText(name, description string, of func(*author.Author) string) column[eventRow] {
	return text(name, description+"; empty "+noAuthor, nothing, func(r *eventRow, b []byte) []byte {
		if r.Author == nil {
			return b
		}
		return append(b, of(r.Author)...)
	})
}

// Which values the columns of events can have.
var (
	absentProtocols = nameDomain{set: protocolNames.set, absent: true}
	absentScopes    = nameDomain{set: scopeNames.set, absent: true, others: scopeNames.others}

	eventDsts = &domain{absent: true, advise: adviseDst, spell: func(value string) (string, bool) {
		if shown, ok := spellDst(value); ok {
			return shown, ok
		}
		return spellRulePrefix(value) // which may have bits beyond its length, as an address has
	}}
)

// orEmpty is a domain with the empty text.
func orEmpty(d *domain) *domain {
	c := *d
	c.absent = true
	return &c
}

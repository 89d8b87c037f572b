package tables

import (
	"math"
	"net/netip"
	"slices"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// Rules is the table kernel_route_rules.
var Rules = define(Table{
	Name: "kernel_route_rules",
	Description: "Policy rules of the Linux kernel: which of its routing tables is consulted for which packets, in " +
		"the order of their priority.",
	Examples: []Example{
		{"The rules of IPv4 in the order in which the kernel asks them.",
			"SELECT priority, inverted, fwmark, action, table_name FROM kernel_route_rules WHERE family = 'ipv4' " +
				"ORDER BY priority"},
		{"Rules that the kernel has not made itself.",
			"SELECT family, priority, src, dst, iif, oif, table_name FROM kernel_route_rules " +
				"WHERE protocol <> 'kernel'"},
		{"The default routes that the tables have which rules name.",
			"SELECT r.priority, r.table_name, t.dst, t.dev FROM kernel_route_rules r JOIN kernel_routes t " +
				"USING (family, table_id) WHERE t.dst IN ('0.0.0.0/0', '::/0') ORDER BY r.family, r.priority"},
	},
}, ruleColumns, source[ruleRow]{
	kind:   object.Rules.Kind,
	rows:   ruleRows,
	single: true,
	splits: true,
})

// ruleColumns are the columns of kernel_route_rules.
var ruleColumns = slices.Concat(ruleSelectors, ruleActions, []column[ruleRow]{
	text("protocol",
		"Who added the rule: kernel, boot, static, or another name in rt_protos; empty where the "+
			"kernel does not say",
		nothing, (*ruleRow).appendProtocol).
		from("FRA_PROTOCOL, named by rt_protos").
		named(protocolNames, func(r *ruleRow) uint32 { return uint32(r.Protocol.V) }),
	bigint("flags",
		"Flags of the rule, 0 for none: permanent 1, inverted 2, goto_unresolved 4, "+
			"iif_detached 8, oif_detached 16, find_saddr 65536",
		nothing, func(r *ruleRow) (int64, bool) { return present(r.Flags) }).
		from("fib_rule_hdr.flags"),
	unknownAttrs("Attributes", "the message, but for what has columns", nothing,
		func(r *ruleRow) []wire.Attr { return r.Unknown }),
	consistent[ruleRow](),
	text("vrf",
		"Name of the VRF device whose routing table table_id is, empty for none",
		needVRFs, func(r *ruleRow, b []byte) []byte { return append(b, r.snap.VRF(r.Table)...) }).
		from(ofVRF("FRA_TABLE, else fib_rule_hdr.table")).since(vrfsSince),
}, rulePrefixKeys())

// ruleSelectors are the columns that say which packets a rule is for.
var ruleSelectors = []column[ruleRow]{
	text("rule_id",
		"Identity of the rule, the same in every query as long as the rule exists, with @ and netns_id if it is of "+
			"another network namespace",
		needRuleID, (*ruleRow).appendRuleID).
		from("worked out from struct fib_rule_hdr and its attributes").key().pushed(pushRuleID).holds(ruleIDs),
	text("family",
		"Address family of the rule: ipv4, ipv6, and ipmr or ip6mr for multicast routing",
		nothing, func(r *ruleRow, b []byte) []byte { return append(b, r.Family.String()...) }).
		from("fib_rule_hdr.family").pushed(pushFamily).holds(ruleFamilies),
	bigint("priority",
		"Place among the rules of the family: the lower is asked first, those of one priority as they were added",
		nothing, func(r *ruleRow) (int64, bool) { return present(r.Priority) }).
		from("FRA_PRIORITY"),
	text("action",
		"What the rule does: table, goto, nop, blackhole, unreachable, prohibit, unspec, a number for any other",
		nothing, func(r *ruleRow, b []byte) []byte { return append(b, r.Action.String()...) }).
		from("fib_rule_hdr.action").holds(ruleActionWords),
	integer("inverted",
		"1 if the rule is for all packets but those that it describes (ip's not), else 0",
		nothing, func(r *ruleRow) (int64, bool) { return boolean(r.Flags&object.FIB_RULE_INVERT != 0) }).
		from("FIB_RULE_INVERT in fib_rule_hdr.flags").holds(numbersTo(1)),
	text("src",
		"Source of the packets in CIDR notation, empty for any",
		nothing, func(r *ruleRow, b []byte) []byte { return appendAnyPrefix(b, r.Src) }).
		from("FRA_SRC, fib_rule_hdr.src_len").holds(rulePrefixes),
	text("dst",
		"Destination of the packets in CIDR notation, empty for any",
		nothing, func(r *ruleRow, b []byte) []byte { return appendAnyPrefix(b, r.Dst) }).
		from("FRA_DST, fib_rule_hdr.dst_len").holds(rulePrefixes),
	text("iif",
		"Name of the interface that the packets came in through, lo for those of this host; empty for any",
		nothing, func(r *ruleRow, b []byte) []byte { return append(b, r.IIF...) }).
		from("FRA_IIFNAME"),
	text("oif",
		"Name of the interface that the packets' socket is bound to, empty for any",
		nothing, func(r *ruleRow, b []byte) []byte { return append(b, r.OIF...) }).
		from("FRA_OIFNAME"),
	integer("iif_detached",
		"1 if there is no interface with the name in iif, so that the rule is for no packet, or with inverted for "+
			"every one; else 0",
		nothing, func(r *ruleRow) (int64, bool) { return boolean(r.IIFDetached()) }).
		from("FIB_RULE_IIF_DETACHED in fib_rule_hdr.flags").holds(numbersTo(1)),
	integer("oif_detached",
		"1 if there is no interface with the name in oif, so that the rule is for no packet, or with inverted for "+
			"every one; else 0",
		nothing, func(r *ruleRow) (int64, bool) { return boolean(r.OIFDetached()) }).
		from("FIB_RULE_OIF_DETACHED in fib_rule_hdr.flags").holds(numbersTo(1)),
	bigint("fwmark",
		"Firewall mark of the packets, which is compared under fwmask; absent for any",
		nothing, func(r *ruleRow) (int64, bool) {
			mark, _, ok := r.FWMark()
			return int64(mark), ok
		}).
		from("FRA_FWMARK"),
	bigint("fwmask",
		"Bits of the firewall mark that are compared, 4294967295 for all; absent where fwmark is",
		nothing, func(r *ruleRow) (int64, bool) {
			_, mask, ok := r.FWMark()
			return int64(mask), ok
		}).
		from("FRA_FWMASK"),
	integer("tos",
		"Type of service of the packets, 0 for any and where dscp says more",
		nothing, func(r *ruleRow) (int64, bool) { return present(r.TOS) }).
		from("fib_rule_hdr.tos").holds(numbersTo(math.MaxUint8)),
	integer("dscp",
		"DSCP of the packets (the upper six bits of the type of service, from 0 to 63), which is compared under "+
			"dscp_mask; absent for any",
		nothing, func(r *ruleRow) (int64, bool) { return opt(r.DSCP) }).
		from("FRA_DSCP").holds(numbersTo(math.MaxUint8)),
	integer("dscp_mask",
		"Bits of the DSCP that are compared, 63 for all; absent where dscp is",
		nothing, func(r *ruleRow) (int64, bool) { return opt(r.FullDSCPMask()) }).
		from("FRA_DSCP_MASK, else 63 with FRA_DSCP").holds(numbersTo(math.MaxUint8)),
	bigint("uid_start",
		"First of the users whose sockets send the packets, as the user namespace of the reader numbers them; absent "+
			"for any",
		nothing, func(r *ruleRow) (int64, bool) { return int64(r.UIDs.V.Start), r.UIDs.OK }).
		from("start in FRA_UID_RANGE"),
	bigint("uid_end",
		"Last of these users; absent where uid_start is",
		nothing, func(r *ruleRow) (int64, bool) { return int64(r.UIDs.V.End), r.UIDs.OK }).
		from("end in FRA_UID_RANGE"),
	integer("ip_proto",
		"Protocol of the packets (IPPROTO_*: 6 TCP, 17 UDP), absent for any",
		nothing, func(r *ruleRow) (int64, bool) { return opt(r.IPProto) }).
		from("FRA_IP_PROTO").holds(numbersTo(math.MaxUint8)),
	port("sport_start", "First source port of the packets, which is compared under sport_mask if it is the only one; "+
		"absent for any",
		func(r *ruleRow) (int64, bool) { return int64(r.SPorts.V.Start), r.SPorts.OK }).
		from("start in FRA_SPORT_RANGE"),
	port("sport_end", "Last source port of the packets, absent where sport_start is",
		func(r *ruleRow) (int64, bool) { return int64(r.SPorts.V.End), r.SPorts.OK }).
		from("end in FRA_SPORT_RANGE"),
	port("sport_mask", "Bits of the source port that are compared, 65535 for all; absent for a range of ports and "+
		"for any",
		func(r *ruleRow) (int64, bool) { return opt(r.SourcePortMask()) }).
		from("FRA_SPORT_MASK, else 65535 with one port in FRA_SPORT_RANGE"),
	port("dport_start", "First destination port of the packets, which is compared under dport_mask if it is the only "+
		"one; absent for any",
		func(r *ruleRow) (int64, bool) { return int64(r.DPorts.V.Start), r.DPorts.OK }).
		from("start in FRA_DPORT_RANGE"),
	port("dport_end", "Last destination port of the packets, absent where dport_start is",
		func(r *ruleRow) (int64, bool) { return int64(r.DPorts.V.End), r.DPorts.OK }).
		from("end in FRA_DPORT_RANGE"),
	port("dport_mask", "Bits of the destination port that are compared, 65535 for all; absent for a range of ports "+
		"and "+
		"for any",
		func(r *ruleRow) (int64, bool) { return opt(r.DestinationPortMask()) }).
		from("FRA_DPORT_MASK, else 65535 with one port in FRA_DPORT_RANGE"),
}

// ruleActions are the columns that say what a rule does, and those that describe packets in
// rarer ways.
var ruleActions = []column[ruleRow]{
	bigint("table_id",
		"Number of the routing table that is consulted; absent if the rule names none, as for goto, nop and l3mdev",
		nothing, func(r *ruleRow) (int64, bool) { return int64(r.Table), r.Table != 0 }).
		from("FRA_TABLE, else fib_rule_hdr.table").holds(tableIDs),
	text("table_name",
		"Name of that table in rt_tables, its number where it has none; empty where table_id is absent",
		nothing, (*ruleRow).appendTable).
		from("FRA_TABLE, else fib_rule_hdr.table, named by rt_tables").
		named(ruleTableNames, func(r *ruleRow) uint32 { return r.Table }),
	bigint("goto_priority",
		"Priority of the rule to go on with; absent if action is not goto",
		nothing, func(r *ruleRow) (int64, bool) { return opt(r.Goto) }).
		from("FRA_GOTO"),
	integer("goto_unresolved",
		"1 if there is no rule of that priority, so that the rule does nothing, else 0",
		nothing, func(r *ruleRow) (int64, bool) { return boolean(r.Unresolved()) }).
		from("FIB_RULE_UNRESOLVED in fib_rule_hdr.flags").holds(numbersTo(1)),
	bigint("suppress_prefixlength",
		"Length in [bits]: a route to a prefix that is no longer than that is not taken from the table, 0 for default "+
			"routes; absent if any is taken",
		nothing, func(r *ruleRow) (int64, bool) {
			v, ok := r.SuppressedPrefixLen()
			return int64(v), ok
		}).
		from("FRA_SUPPRESS_PREFIXLEN"),
	bigint("suppress_ifgroup",
		"Number of an interface group: a route through one of its interfaces is not taken from the table; absent if "+
			"any is taken",
		nothing, func(r *ruleRow) (int64, bool) {
			v, ok := r.SuppressedIfGroup()
			return int64(v), ok
		}).
		from("FRA_SUPPRESS_IFGROUP"),
	bigint("tun_id",
		"Id of the tunnel that the packets came in through, from 2^63 on less 2^64; absent for any",
		nothing, func(r *ruleRow) (int64, bool) { return int64(r.TunID.V), r.TunID.OK }).
		from("FRA_TUN_ID").holds(anyNumber),
	integer("l3mdev",
		"1 if the table is that of the VRF that the packet came in through or goes out through, else 0",
		nothing, func(r *ruleRow) (int64, bool) { return boolean(r.L3MDev.V != 0) }).
		from("FRA_L3MDEV").holds(numbersTo(1)),
	text("realm_from",
		"Source realm that the packets get, by its name in rt_realms or its number; empty for none",
		nothing, (*ruleRow).appendRealmFrom).
		from("FRA_FLOW, upper 16 bits, named by rt_realms").
		named(realmNames, func(r *ruleRow) uint32 { return r.Realms.V >> 16 }),
	text("realm_to",
		"Destination realm that the packets get, by its name in rt_realms or its number; empty for none",
		nothing, (*ruleRow).appendRealmTo).
		from("FRA_FLOW, lower 16 bits, named by rt_realms").
		named(realmNames, func(r *ruleRow) uint32 { return r.Realms.V & 0xffff }),
	bigint("flowlabel",
		"Flow label of the packets, which is compared under flowlabel_mask; absent for any and for all but ipv6",
		nothing, func(r *ruleRow) (int64, bool) { return opt(r.FlowLabel) }).
		from("FRA_FLOWLABEL"),
	bigint("flowlabel_mask",
		"Bits of the flow label that are compared, 1048575 for all; absent where flowlabel is",
		nothing, func(r *ruleRow) (int64, bool) { return opt(r.FullFlowLabelMask()) }).
		from("FRA_FLOWLABEL_MASK, else 1048575 with FRA_FLOWLABEL"),
}

// port declares a column of ports.
func port(name, description string, f func(*ruleRow) (int64, bool)) column[ruleRow] {
	return integer(name, description, nothing, f).holds(numbersTo(math.MaxUint16))
}

// A ruleRow is a row of kernel_route_rules.
type ruleRow struct {
	*object.Rule
	*scope
	names *iproute2.Names
	twin  int // how many rules like this one come before it, if needRuleID
}

// needRuleID is for a column that shows a rule's identity.
var needRuleID = field(object.FieldID)

// ruleRows returns an iterator with a row for each rule.
func ruleRows(p *plan[ruleRow], s *scope) func() *ruleRow {
	next := rtnl.Each(s.snap, object.Rules)
	row := &ruleRow{scope: s, names: p.names}
	var twins object.RuleTwins
	return func() *ruleRow {
		if row.Rule = next(); row.Rule == nil {
			return nil
		}
		if p.needs.fields&object.FieldID == object.FieldID {
			row.twin = twins.Before(row.Rule)
		}
		return row
	}
}

// appendRuleID appends the rule's identity, and the namespace if it is another one.
func (r *ruleRow) appendRuleID(b []byte) []byte { return append(r.AppendID(b, r.twin), r.idSuffix...) }

// appendAnyPrefix appends a prefix, nothing for that of no length, which is any.
func appendAnyPrefix(b []byte, p netip.Prefix) []byte {
	if p.Bits() <= 0 {
		return b
	}
	return object.AppendPrefix(b, p)
}

func (r *ruleRow) appendTable(b []byte) []byte {
	if r.Table == 0 {
		return b
	}
	return r.names.AppendTable(b, r.Table)
}

func (r *ruleRow) appendProtocol(b []byte) []byte {
	if !r.Protocol.OK {
		return b
	}
	return r.names.AppendProtocol(b, r.Protocol.V)
}

// appendRealmFrom appends the upper half of FRA_FLOW; 0 is none.
func (r *ruleRow) appendRealmFrom(b []byte) []byte {
	if from := r.Realms.V >> 16; from != 0 {
		return r.names.AppendRealm(b, from)
	}
	return b
}

func (r *ruleRow) appendRealmTo(b []byte) []byte {
	if !r.Realms.OK {
		return b
	}
	return r.names.AppendRealm(b, r.Realms.V&0xffff)
}

// Which values the columns of rules can have.
var (
	ruleFamilies = words(false, noNumber, familyNames(object.IPv4, object.IPv6, object.IPMR, object.IP6MR), ipFamilies)
	// lookup is ip's word, FR_ACT_TO_TBL the kernel's.
	ruleActionWords = words(false, math.MaxUint8, object.RuleActions,
		map[string]string{"lookup": "table", "to_tbl": "table", "unicast": "table", "drop": "blackhole"})
	rulePrefixes   = &domain{absent: true, spell: spellRulePrefix, advise: adviseRulePrefix}
	ruleTableNames = nameDomain{set: (*iproute2.Names).Tables, absent: true, used: (*adviser).ruleTables}
	ruleIDs        = &domain{spell: spellRuleID, advise: func(*adviser, string) string {
		return "a rule_id is like ipv4:32766:0123456789abcdef"
	}}
)

func adviseRulePrefix(a *adviser, value string) string {
	p, err := netip.ParsePrefix(value)
	if isDefault(value) || err == nil && p.Bits() == 0 {
		return "where any is meant, it is empty: " + didYouMean("")
	}
	if advice := advisePrefix(a, value); advice != prefixForm {
		return advice
	}
	return "a prefix is like 10.0.0.0/8 or 2001:db8::/32"
}

// ruleTables returns the tables that rules name.
func (a *adviser) ruleTables() (ids []uint32) {
	for r := range rtnl.All(a.read(rtnl.Filter{}, object.Rules.Kind), object.Rules) {
		if !slices.Contains(ids, r.Table) && r.Table != 0 {
			ids = append(ids, r.Table)
		}
	}
	slices.Sort(ids)
	return ids
}

// parseRuleID reads the family, and the inode of the namespace, from an identity.
func parseRuleID(value string) (f object.Family, inode uint64, ok bool) {
	id, inode, named := cutID(value)
	family, rest, _ := strings.Cut(id, ":")
	priority, hash, _ := strings.Cut(rest, ":")
	_, number := spellNumber(priority, math.MaxUint32)
	f, ok = object.ParseFamily(family)
	return f, inode, ok && named && number && len(hash) == 16 && strings.Trim(hash, "0123456789abcdef") == ""
}

// spellRulePrefix takes a prefix with bits beyond its length, which the kernel keeps, but none
// of no length, for which the column is empty.
func spellRulePrefix(value string) (string, bool) {
	p, err := netip.ParsePrefix(value)
	if err != nil || p.Bits() == 0 {
		return "", false
	}
	return nilIfEqual(object.AppendPrefix(nil, p), value), true
}

func spellRuleID(value string) (string, bool) {
	_, _, ok := parseRuleID(value)
	return value, ok
}

// pushRuleID asks for the families and namespaces alone that identities name.
func pushRuleID(n *pushdown, values []string) {
	families := []object.Family{}
	for _, v := range values {
		f, inode, ok := parseRuleID(strings.ToLower(strings.TrimRight(v, " ")))
		if !ok {
			continue
		}
		families = append(families, f)
		if !slices.Contains(n.inodes, inode) {
			n.inodes = append(n.inodes, inode)
		}
	}
	restrict(n.Filter, &n.Families, families)
}

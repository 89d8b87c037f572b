package object

import (
	"cmp"
	"net/netip"
	"strconv"

	"kernelroutes/rtnl/wire"
)

// A Rule is a policy rule, from RTM_NEWRULE (linux/fib_rules.h): which packets it is for,
// and what becomes of them, mostly the table that is consulted. The kernel goes through the
// rules of a family by their priority, those of one priority as they were added.
type Rule struct {
	Family Family
	TOS    uint8      // fib_rule_hdr.tos, 0 for any
	Action RuleAction // fib_rule_hdr.action, FR_ACT_*
	Flags  uint32     // fib_rule_hdr.flags, FIB_RULE_*

	Dst      netip.Prefix `fra:"1 DST"`     // not valid for any
	Src      netip.Prefix `fra:"2 SRC"`     // not valid for any
	IIF      string       `fra:"3 IIFNAME"` // as wire.AppendName has it, "" for any
	Goto     Opt[uint32]  `fra:"4 GOTO"`    // priority of the rule to go on with
	Priority uint32       `fra:"6 PRIORITY"`
	Mark     Opt[uint32]  `fra:"10 FWMARK"` // not there for 0, though there may be a mask
	Realms   Opt[uint32]  `fra:"11 FLOW"`   // IPv4: source << 16, destination
	TunID    Opt[uint64]  `fra:"12 TUN_ID be" since:"4.3"`
	// SuppressIfGroup and SuppressPrefixLen, from whose value on shorter prefixes
	// count, are 2^32-1 for none.
	SuppressIfGroup   Opt[uint32] `fra:"13 SUPPRESS_IFGROUP" since:"3.12"`
	SuppressPrefixLen Opt[uint32] `fra:"14 SUPPRESS_PREFIXLEN" since:"3.12"`
	Table             uint32      `fra:"15 TABLE"`  // or fib_rule_hdr.table; 0 for none
	Mask              Opt[uint32] `fra:"16 FWMASK"` // of Mark
	OIF               string      `fra:"17 OIFNAME"`
	_                 struct{}    `fra:"18 PAD"`
	L3MDev            Opt[uint8]  `fra:"19 L3MDEV" since:"4.8"` // 1 for the table of the VRF of iif or oif

	UIDs     Opt[UIDRange]  `fra:"20 UID_RANGE" since:"4.10"`
	Protocol Opt[uint8]     `fra:"21 PROTOCOL" since:"4.17"` // RTPROT_*
	IPProto  Opt[uint8]     `fra:"22 IP_PROTO" since:"4.17"` // IPPROTO_*
	SPorts   Opt[PortRange] `fra:"23 SPORT_RANGE" since:"4.17"`
	DPorts   Opt[PortRange] `fra:"24 DPORT_RANGE" since:"4.17"`
	DSCP     Opt[uint8]     `fra:"25 DSCP" since:"6.12"`

	FlowLabel     Opt[uint32] `fra:"26 FLOWLABEL be" since:"6.14"` // IPv6
	FlowLabelMask Opt[uint32] `fra:"27 FLOWLABEL_MASK be" since:"6.14"`
	SPortMask     Opt[uint16] `fra:"28 SPORT_MASK" since:"6.15"`
	DPortMask     Opt[uint16] `fra:"29 DPORT_MASK" since:"6.15"`
	DSCPMask      Opt[uint8]  `fra:"30 DSCP_MASK" since:"6.15"`

	Unknown []wire.Attr // what has no place above
}

// A UIDRange is struct fib_rule_uid_range, as the user namespace of the reader has the ids.
type UIDRange struct{ Start, End uint32 }

// A PortRange is struct fib_rule_port_range.
type PortRange struct{ Start, End uint16 }

// A RuleAction is what a rule does (FR_ACT_*).
type RuleAction uint8

// The actions of linux/fib_rules.h that are not reserved.
const (
	FR_ACT_UNSPEC      RuleAction = 0
	FR_ACT_TO_TBL      RuleAction = 1
	FR_ACT_GOTO        RuleAction = 2
	FR_ACT_NOP         RuleAction = 3
	FR_ACT_BLACKHOLE   RuleAction = 6
	FR_ACT_UNREACHABLE RuleAction = 7
	FR_ACT_PROHIBIT    RuleAction = 8
)

// RuleActions are the words for actions, by their numbers; "" for what is reserved.
var RuleActions = []string{
	FR_ACT_UNSPEC:      "unspec",
	FR_ACT_TO_TBL:      "table",
	FR_ACT_GOTO:        "goto",
	FR_ACT_NOP:         "nop",
	FR_ACT_BLACKHOLE:   "blackhole",
	FR_ACT_UNREACHABLE: "unreachable",
	FR_ACT_PROHIBIT:    "prohibit",
}

// String returns the word for the action, the number where it has none.
func (a RuleAction) String() string {
	if int(a) < len(RuleActions) && RuleActions[a] != "" {
		return RuleActions[a]
	}
	return strconv.Itoa(int(a))
}

// The flags of linux/fib_rules.h.
const (
	FIB_RULE_PERMANENT    = 0x1
	FIB_RULE_INVERT       = 0x2
	FIB_RULE_UNRESOLVED   = 0x4
	FIB_RULE_IIF_DETACHED = 0x8
	FIB_RULE_OIF_DETACHED = 0x10
	FIB_RULE_FIND_SADDR   = 0x10000

	// ruleState are the flags that say how things are, not what the rule is.
	ruleState = FIB_RULE_UNRESOLVED | FIB_RULE_IIF_DETACHED | FIB_RULE_OIF_DETACHED
)

// The attributes (FRA_*) that are more than a field.
const (
	fraDst      = 1
	fraSrc      = 2
	fraPriority = 6
	fraUIDRange = 20
	fraSPorts   = 23
	fraDPorts   = 24

	fibRuleHdrLen = 12
)

// ruleFields decode a rule.
var ruleFields = attributesOf("fra", map[uint16]setter[Rule]{
	fraDst:      func(r *Rule, d []byte) bool { return r.decodePrefix(&r.Dst, d) },
	fraSrc:      func(r *Rule, d []byte) bool { return r.decodePrefix(&r.Src, d) },
	fraUIDRange: (*Rule).decodeUIDs,
	fraSPorts:   func(r *Rule, d []byte) bool { return decodePorts(&r.SPorts, d) },
	fraDPorts:   func(r *Rule, d []byte) bool { return decodePorts(&r.DPorts, d) },
})

// Rules is the kind of Rule. There are those of IPv4 and IPv6, and of multicast routing
// where the kernel has several tables of it (CONFIG_IP_MROUTE_MULTIPLE_TABLES), which is
// told of in the groups of IPv4 and IPv6 (ipmr_rules_ops_template).
var Rules = Values[Rule]{&Kind{
	Name: "rule", Plural: "rules",
	Get: RTM_GETRULE, New: RTM_NEWRULE, Del: RTM_DELRULE,
	Groups: []uint{RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE},
	Struct: "fib_rule_hdr", Header: fibRuleHdrLen,
	Nested: checkRule,
	// That the interface of a rule came or went is in its flags, and no RTM_NEWRULE tells of
	// it (fib_rules_event).
	StaleWith: []*Kind{Links.Kind},
	ByFamily:  true,
	Unlocked:  true,
	Same:      sameRule,
	// The kernel refuses any condition but the family (fib_valid_dumprule_req).
	Dump:     func(r DumpRequest) []byte { return append([]byte{byte(r.Family)}, make([]byte, fibRuleHdrLen-1)...) },
	Table:    func(m *Message) Table { return Table{Family: Family(m.payload[0])} },
	Position: func(m *Message) Position { return Position{Priority: m.U32(fraPriority)} },
	Order:    func(Family) Order { return Order{Compare: compareRules, Resume: ByCount} },
	Asked: func(b []byte) (r DumpRequest, more bool) {
		if len(b) > 0 {
			r.Family = Family(b[0])
		}
		return r, false
	},
	Remedy: "record while `ip rule` and `ip -6 rule` run",
}, (*Rule).decode}

// compareRules: by priority, then as they were added (fib_newrule), which nothing in a
// message tells.
func compareRules(a, b *Position) int { return cmp.Compare(a.Priority, b.Priority) }

// checkRule checks what decoding a rule relies on.
func checkRule(m *Message) error {
	alen := Family(m.payload[0]).AddrLen()
	for i, bits := range m.payload[1:3] {
		if alen > 0 && int(bits) > alen*8 {
			return wire.Malformed("rule", 1+i, "prefix longer than an address")
		}
	}
	return nil
}

// UnmarshalBinary decodes the payload of an RTM_NEWRULE message: struct fib_rule_hdr and
// its attributes.
func (r *Rule) UnmarshalBinary(b []byte) error { return Rules.unmarshal(r, b) }

func (r *Rule) decode(m *Message) {
	b := m.payload
	*r = Rule{Family: Family(b[0]), TOS: b[3], Table: uint32(b[4]), Action: RuleAction(b[7]), Flags: wire.U32(b[8:])}
	alen := r.Family.AddrLen()
	// The kernel sends no address of any length without the attribute: what is decoded
	// takes the place of these.
	for i, p := range []*netip.Prefix{&r.Dst, &r.Src} {
		if bits := int(b[1+i]); bits > 0 && alen > 0 {
			*p = prefix(nil, bits, alen)
		}
	}
	r.Unknown = ruleFields.decodeAll(r, m.Attributes(), nil)
}

// decodePrefix decodes the address of a prefix whose length is in the header.
func (r *Rule) decodePrefix(p *netip.Prefix, d []byte) bool {
	var a netip.Addr
	if len(d) != r.Family.AddrLen() || !address(&a, d) {
		return false
	}
	*p = netip.PrefixFrom(a, max(p.Bits(), 0))
	return true
}

func (r *Rule) decodeUIDs(d []byte) bool {
	if len(d) != 8 {
		return false
	}
	r.UIDs = Some(UIDRange{wire.U32(d), wire.U32(d[4:])})
	return true
}

func decodePorts(p *Opt[PortRange], d []byte) bool {
	if len(d) != 4 {
		return false
	}
	*p = Some(PortRange{wire.U16(d), wire.U16(d[2:])})
	return true
}

// none is what the kernel sends of a rule that suppresses nothing.
const none = 1<<32 - 1

// suppressed returns what a rule suppresses, if it does.
func suppressed(o Opt[uint32]) (uint32, bool) { return o.V, o.OK && o.V != none }

// SuppressedPrefixLen returns the length of prefixes, in bits, of which no longer ones the
// rule does not accept a route.
func (r *Rule) SuppressedPrefixLen() (uint32, bool) { return suppressed(r.SuppressPrefixLen) }

// SuppressedIfGroup returns the group of interfaces through which the rule does not accept a
// route.
func (r *Rule) SuppressedIfGroup() (uint32, bool) { return suppressed(r.SuppressIfGroup) }

// The flags that say how things are mean something only where there is what they tell of: the
// kernel keeps whatever flags a rule is added with (fib_nl2rule), and adds these where they
// hold (fib_nl_fill_rule).

// Unresolved reports whether there is no rule of the priority that a goto names.
func (r *Rule) Unresolved() bool { return r.Action == FR_ACT_GOTO && r.Flags&FIB_RULE_UNRESOLVED != 0 }

// IIFDetached reports whether there is no interface with the name in IIF.
func (r *Rule) IIFDetached() bool { return r.IIF != "" && r.Flags&FIB_RULE_IIF_DETACHED != 0 }

// OIFDetached reports whether there is no interface with the name in OIF.
func (r *Rule) OIFDetached() bool { return r.OIF != "" && r.Flags&FIB_RULE_OIF_DETACHED != 0 }

package rtnl

import (
	"cmp"
	"net/netip"
	"os"
	"slices"

	"kernelroutes/rtnl/object"
)

// Whether a rule is for a packet, and which tables the rules lead it to.
type verdict int8

const (
	never verdict = iota
	perhaps
	surely
)

// A RuleCondition is what a rule asks of a packet, as ip writes it.
type RuleCondition string

// The conditions of rules (fib_rule_match, fib4_rule_match, fib6_rule_match).
const (
	ConditionIIF       RuleCondition = "iif"
	ConditionOIF       RuleCondition = "oif"
	ConditionMark      RuleCondition = "fwmark"
	ConditionTunID     RuleCondition = "tun_id"
	ConditionL3MDev    RuleCondition = "l3mdev"
	ConditionUID       RuleCondition = "uidrange"
	ConditionFrom      RuleCondition = "from"
	ConditionTo        RuleCondition = "to"
	ConditionTOS       RuleCondition = "tos"
	ConditionDSCP      RuleCondition = "dscp"
	ConditionFlowLabel RuleCondition = "flowlabel"
	ConditionIPProto   RuleCondition = "ipproto"
	ConditionSPort     RuleCondition = "sport"
	ConditionDPort     RuleCondition = "dport"
	// ConditionUnknown is an attribute (FRA_*) that this program does not know.
	ConditionUnknown RuleCondition = "unknown"
)

// A lead is a table that a rule leads a packet to.
type lead struct {
	table uint32
	sure  bool // if no table before it decides
}

// leads returns the tables that IPv6's rules may lead a packet to, in the order in which they are
// looked at.
func (l *Lookups) leads(req *LookupRequest) (all []lead, err error) {
	s, err := l.read(l.ctx, Request{Namespace: l.ns, Kinds: []*object.Kind{object.Rules.Kind}})
	if err != nil {
		return nil, err
	}
	f, err := l.flow(req)
	if err != nil {
		return nil, err
	}
	skips := false // a goto may have gone past the rule
	rules := RulesInOrder(s, object.IPv6)
	for i := range rules {
		r := &rules[i]
		v, _, err := l.applies(r, f)
		switch {
		case err != nil:
			return nil, err
		case v == never:
		case r.Action == object.FR_ACT_GOTO:
			skips = true
		case r.Action == object.FR_ACT_TO_TBL:
			_, length := r.SuppressedPrefixLen()
			_, group := r.SuppressedIfGroup()
			all = append(all, lead{f.table(r), v == surely && !length && !group && !skips})
		}
	}
	return all, nil
}

// RulesInOrder returns the rules of a family in the order in which the kernel tries them.
func RulesInOrder(s *Snapshot, family object.Family) (rules []object.Rule) {
	for r := range All(s, object.Rules) {
		if r.Family == family {
			rules = append(rules, *r)
		}
	}
	slices.SortStableFunc(rules, func(a, b object.Rule) int { return cmp.Compare(a.Priority, b.Priority) })
	return rules
}

// A flow is a packet as rules and routes see it (struct flowi).
type flow struct {
	family     object.Family
	dst        netip.Addr
	src        netip.Addr // not valid: none
	srcUnknown bool       // the kernel chose one before it looked at rules
	mark       uint32     // flowi_mark
	tos        uint8      // rtm_tos
	uid        object.Opt[uint32]
	proto      uint8
	sport      uint16
	dport      uint16
	in, out    device // the zero device: none
	vrf        device // that in, or the device that was asked for to leave through, is or is a part of
	vrfOut     bool   // FLOWI_FLAG_L3MDEV_OIF: it is of the latter
	redirected bool   // out was that VRF itself, and is none now
}

// A device is an interface, and what rules ask of it.
type device struct {
	object.Link
	up            bool
	master, group uint32
}

// own is LOOPBACK_IFINDEX: where this host's packets come in.
const own = 1

// invalidUID is that of nobody.
const invalidUID = 1<<32 - 1

// flow returns what the kernel makes of a request (inet_rtm_getroute, inet6_rtm_getroute,
// l3mdev_update_flow).
func (l *Lookups) flow(req *LookupRequest) (f *flow, err error) {
	f = &flow{family: req.Family(), dst: req.Destination.Unmap().WithZone(""), mark: req.Mark.V, tos: req.TOS.V,
		uid: req.UID, proto: req.IPProto.V, sport: req.SPort.V, dport: req.DPort.V}
	if from := req.From.Unmap().WithZone(""); from.IsValid() && !from.IsUnspecified() {
		f.src = from
	}
	if f.family == object.IPv4 && !req.IPProto.OK {
		const udp = 17
		f.proto = udp
	}
	if f.in, err = l.device(cmp.Or(req.InDev, own)); err != nil {
		return nil, err
	}
	if req.InDev == 0 {
		if f.out, err = l.device(req.OutDev); err != nil {
			return nil, err
		}
		f.srcUnknown = f.family == object.IPv4 && !f.src.IsValid() && f.out.Index != 0 && f.dst.IsMulticast()
	}
	f.setUser(req, l.ns)
	const icmp = 1
	if f.family == object.IPv4 && req.InDev != 0 && f.proto == icmp {
		f.sport, f.dport = 0, 0 // which such a packet has none of (fib4_rules_early_flow_dissect)
	}
	through := f.out
	if through.Index == 0 && f.in.Index > own {
		through = f.in
	}
	f.vrfOut = f.out.Index != 0
	f.vrf = through
	if through.VRFTable == 0 {
		if f.vrf, err = l.device(through.master); err != nil {
			return nil, err
		}
	}
	if f.vrf.VRFTable == 0 {
		f.vrf = device{}
	}
	if f.out.Index != 0 && f.out.Index == f.vrf.Index {
		f.out, f.redirected = device{}, true
	}
	return f, nil
}

// setUser sets whose packet it is.
func (f *flow) setUser(req *LookupRequest, ns Namespace) {
	switch {
	case req.InDev != 0 && f.family == object.IPv4:
		// The root user of the namespace's user namespace, whatever was asked for (ip_route_input_slow,
		// sock_net_uid): which id that has here is not known if that is another one.
		f.uid = object.Opt[uint32]{OK: ns.OfOwnUsers()}
	case req.UID.OK:
	case req.InDev != 0:
		f.uid = object.Some[uint32](invalidUID)
	default:
		f.uid = object.Some(uint32(os.Getuid()))
	}
}

// cameIn reports whether it is a packet that came in.
func (f *flow) cameIn() bool { return f.in.Index > own }

// table returns the table that a rule has looked at (fib_rule_get_table, fib_get_table).
func (f *flow) table(r *object.Rule) uint32 {
	table := r.Table
	if r.L3MDev.V != 0 {
		table = f.vrf.VRFTable
	}
	return cmp.Or(table, object.RT_TABLE_MAIN)
}

// device asks for an interface, the zero device for none.
func (l *Lookups) device(index uint32) (d device, err error) {
	if index == 0 {
		return d, nil
	}
	d.Link, err = l.linkWith("look up a link", object.Links.Request(index), func(m *object.Message) {
		d.up = object.LinkFlags(m)&object.IFF_UP != 0
		d.master, d.group = object.LinkMaster(m), object.LinkGroup(m)
	})
	return d, err
}

// applies reports whether a rule is for a packet (fib_rule_match, fib4_rule_match,
// fib6_rule_match), and the first condition of the rule that is not met, or of which that is not
// known. A rule that is inverted is for packets that do not meet all of its conditions.
func (l *Lookups) applies(r *object.Rule, f *flow) (v verdict, why RuleCondition, err error) {
	v = surely
	is := func(c RuleCondition, met verdict) {
		if met < v {
			v, why = met, c
		}
	}
	in, err := l.through(r.IIF, r.IIFDetached(), f.in, f, !f.vrfOut)
	if err != nil {
		return never, "", err
	}
	is(ConditionIIF, in)
	out, err := l.through(r.OIF, r.OIFDetached(), f.out, f, f.vrfOut)
	if err != nil {
		return never, "", err
	}
	is(ConditionOIF, out)
	mark, mask, marked := r.FWMark()
	is(ConditionMark, when(!marked || (mark^f.mark)&mask == 0))
	is(ConditionTunID, when(r.TunID.V == 0))
	is(ConditionL3MDev, when(r.L3MDev.V == 0 || f.vrf.Index != 0))
	is(ConditionUID, f.uidIn(r))
	is(ConditionFrom, f.from(r))
	is(ConditionTo, when(!r.Dst.IsValid() || r.Dst.Contains(f.dst)))
	is(ConditionTOS, when(r.TOS == 0 || r.TOS == f.rulesTOS()))
	is(ConditionDSCP, when(!r.DSCP.OK || (r.DSCP.V^f.tos>>2)&dscpMask(r) == 0))
	is(ConditionFlowLabel, when(r.FlowLabel.V&flowLabelMask(r) == 0))
	is(ConditionIPProto, when(r.IPProto.V == 0 || r.IPProto.V == f.proto))
	is(ConditionSPort, when(portIn(r.SPorts, r.SPortMask, f.sport)))
	is(ConditionDPort, when(portIn(r.DPorts, r.DPortMask, f.dport)))
	if len(r.Unknown) > 0 {
		is(ConditionUnknown, perhaps)
	}
	if r.Flags&object.FIB_RULE_INVERT != 0 {
		v = surely - v
	}
	return v, why, nil
}

func when(met bool) verdict {
	if met {
		return surely
	}
	return never
}

// through reports whether a packet comes or goes through the interface that a rule names. A rule
// that names a VRF is for what goes through its parts, but not in all kernels from 5.18 to
// 6.15; before, no rule was for what goes through such a part alone (l3mdev_update_flow).
func (l *Lookups) through(name string, detached bool, d device, f *flow, ofVRF bool) (verdict, error) {
	switch {
	case name == "":
		return surely, nil
	case detached:
		return never, nil
	case ofVRF && f.vrf.Index != 0 && d.Index != f.vrf.Index && (name == f.vrf.Name || name == d.Name):
		old, fixed := hostRelease().Before(5, 18, 0), !hostRelease().Before(6, 15, 0)
		if name == f.vrf.Name && !old && !fixed || name == d.Name && old {
			return perhaps, nil
		}
		return surely, nil
	case d.Index == 0:
		return never, nil
	case name == d.Name:
		return surely, nil
	}
	link, _, err := l.LinkByName(name) // it may be another name of it
	return when(link.Index == d.Index), err
}

// uidIn reports whether a packet is that of a user in a rule's range. The kernel shows ids that
// are unknown in the reader's user namespace as overflowUID.
func (f *flow) uidIn(r *object.Rule) verdict {
	const overflowUID = 65534
	switch u := r.UIDs.V; {
	case !r.UIDs.OK:
		return surely
	case !f.uid.OK, u.Start == overflowUID, u.End == overflowUID:
		return perhaps
	default:
		return when(u.Start <= f.uid.V && f.uid.V <= u.End)
	}
}

// from reports whether a packet has the source that a rule asks for. With FIB_RULE_FIND_SADDR it
// is looked for after the route is found (fib6_rule_saddr).
func (f *flow) from(r *object.Rule) verdict {
	switch {
	case !r.Src.IsValid() || r.Src.Bits() == 0:
		return surely
	case f.src.IsValid():
		return when(r.Src.Contains(f.src))
	case f.srcUnknown, f.family == object.IPv6 && r.Flags&object.FIB_RULE_FIND_SADDR != 0:
		return perhaps
	case f.family == object.IPv4:
		return when(r.Src.Contains(netip.IPv4Unspecified())) // as which fib4_rule_match takes it
	}
	return never
}

// rulesTOS returns the bits of the packet's TOS that rules and routes are compared with
// (fib_dscp_masked_match, ip6_dscp).
func (f *flow) rulesTOS() uint8 {
	if f.family == object.IPv4 {
		return f.tos & 0x1c // IPTOS_RT_MASK
	}
	return f.tos & 0xfc
}

func dscpMask(r *object.Rule) uint8 {
	if r.DSCPMask.OK {
		return r.DSCPMask.V
	}
	return 0x3f
}

func flowLabelMask(r *object.Rule) uint32 {
	if r.FlowLabelMask.OK {
		return r.FlowLabelMask.V
	}
	return 0xfffff
}

// portIn reports whether a port is among those that a rule asks for (fib_rule_port_match).
func portIn(ports object.Opt[object.PortRange], mask object.Opt[uint16], port uint16) bool {
	switch {
	case !ports.OK:
		return true
	case mask.V != 0:
		return (ports.V.Start^port)&mask.V == 0
	}
	return ports.V.Start <= port && port <= ports.V.End
}

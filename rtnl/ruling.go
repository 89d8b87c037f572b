package rtnl

import (
	"cmp"
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

// A lead is a table that a rule leads a packet to.
type lead struct {
	table uint32
	sure  bool // if no table before it decides
}

// leads returns the tables that IPv6's rules may lead a packet to, in the order in which they are
// looked at. They are not told if one is that of a VRF (known is false).
func (l *Lookups) leads(req *LookupRequest) (all []lead, known bool, err error) {
	s, err := l.read(l.ctx, Request{Namespace: l.ns, Kinds: []*object.Kind{object.Rules.Kind}})
	if err != nil {
		return nil, false, err
	}
	var rules []*object.Rule
	for r := range All(s, object.Rules) {
		if r.Family == object.IPv6 {
			one := *r
			rules = append(rules, &one)
		}
	}
	slices.SortStableFunc(rules, func(a, b *object.Rule) int { return cmp.Compare(a.Priority, b.Priority) })
	skips := false // a goto may have gone past the rule
	for _, r := range rules {
		v, err := l.applies(r, req)
		switch {
		case err != nil:
			return nil, false, err
		case v == never:
		case r.L3MDev.V != 0:
			return nil, false, nil
		case r.Action == object.FR_ACT_GOTO:
			skips = true
		case r.Action == object.FR_ACT_TO_TBL:
			whole := !suppresses(r.SuppressPrefixLen) && !suppresses(r.SuppressIfGroup)
			all = append(all, lead{r.Table, v == surely && whole && !skips})
		}
	}
	return all, true, nil
}

func suppresses(o object.Opt[uint32]) bool { return o.OK && o.V != 1<<32-1 }

// applies reports whether a rule is for an IPv6 packet (fib_rule_match, fib6_rule_match).
func (l *Lookups) applies(r *object.Rule, req *LookupRequest) (v verdict, err error) {
	v = surely
	is := func(met bool) {
		if !met {
			v = never
		}
	}
	mask := r.Mask.V
	if !r.Mask.OK && r.Mark.OK {
		mask = 1<<32 - 1
	}
	is((r.Mark.V^req.Mark.V)&mask == 0)
	is(!r.Dst.IsValid() || r.Dst.Contains(req.Destination.WithZone("")))
	is(!r.IPProto.OK || r.IPProto.V == req.IPProto.V)
	for _, p := range []struct {
		set  object.Opt[object.PortRange]
		mask object.Opt[uint16]
		port uint16
	}{{r.SPorts, r.SPortMask, req.SPort.V}, {r.DPorts, r.DPortMask, req.DPort.V}} {
		is(!p.set.OK || p.mask.OK || p.set.V.Start <= p.port && p.port <= p.set.V.End)
	}
	const own = 1 // LOOPBACK_IFINDEX: where this host's packets come in
	out := req.OutDev
	if req.InDev != 0 {
		out = 0 // inet6_rtm_getroute
	}
	for _, d := range []struct {
		name     string
		detached uint32
		index    uint32
	}{{r.IIF, object.FIB_RULE_IIF_DETACHED, cmp.Or(req.InDev, own)}, {r.OIF, object.FIB_RULE_OIF_DETACHED, out}} {
		if d.name == "" {
			continue
		}
		link, _, err := l.Link(d.index)
		if err != nil {
			return never, err
		}
		is(r.Flags&d.detached == 0 && link.Name == d.name)
	}
	if from := req.From.WithZone(""); from.IsValid() && !from.IsUnspecified() {
		is(!r.Src.IsValid() || r.Src.Contains(from))
	} else {
		is(!r.Src.IsValid() || r.Flags&object.FIB_RULE_FIND_SADDR != 0)
	}
	is(!r.UIDs.OK || !req.UID.OK || r.UIDs.V.Start <= req.UID.V && req.UID.V <= r.UIDs.V.End)
	if v == surely && unsure(r, req) {
		return perhaps, nil
	}
	if r.Flags&object.FIB_RULE_INVERT != 0 {
		v = surely - v
	}
	return v, nil
}

// unsure reports whether a rule has a condition of which it is not known here whether the packet
// meets it.
func unsure(r *object.Rule, req *LookupRequest) bool {
	return r.Flags&object.FIB_RULE_FIND_SADDR != 0 || r.UIDs.OK && !req.UID.OK ||
		r.TOS != 0 || r.DSCP.OK || r.DSCPMask.OK || r.FlowLabel.OK || r.FlowLabelMask.OK || r.TunID.V != 0 ||
		r.SPortMask.OK || r.DPortMask.OK || len(r.Unknown) > 0
}

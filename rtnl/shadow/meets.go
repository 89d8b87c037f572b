package shadow

import (
	"net/netip"

	"kernelroutes/rtnl/object"
)

// A verdict is whether a condition is met.
type verdict uint8

const (
	never verdict = iota
	perhaps
	surely
)

func when(met bool) verdict {
	if met {
		return surely
	}
	return never
}

// meets tells whether the packets that meet the conditions of a rule meet those of another one, but for their
// destinations; neither is inverted here. plain: not all these packets, but one that is like others in all that the
// first rule does not ask for: it comes from this host, without a source yet, a mark or a type of service.
func meets(c, r *object.Rule, plain bool) verdict {
	if r.IIFDetached() || r.OIFDetached() {
		return never
	}
	if len(r.Unknown) > 0 || (r.Flags|c.Flags)&object.FIB_RULE_FIND_SADDR != 0 {
		return perhaps
	}
	lacking := perhaps // of what the first rule does not ask for
	if plain {
		lacking = never
	}
	l3mdev := surely
	if r.L3MDev.V != 0 {
		l3mdev = perhaps
		if plain && c.IIF == "" && c.OIF == "" && c.L3MDev.V == 0 {
			l3mdev = never
		}
	}
	tos := part(c.TOS, r.TOS, 0, never, lacking)
	if r.TOS != 0 && c.DSCP.OK {
		tos = perhaps
	}
	return min(l3mdev, tos, marked(c, r, plain), comesFrom(c, r, plain), through(c, r, plain),
		part(c.OIF, r.OIF, "", perhaps, lacking), part(c.TunID.V, r.TunID.V, 0, never, lacking),
		part(c.DSCP, r.DSCP, object.Opt[uint8]{}, perhaps, perhaps),
		part(c.DSCPMask, r.DSCPMask, object.Opt[uint8]{}, perhaps, perhaps),
		part(c.UIDs, r.UIDs, object.Opt[object.UIDRange]{}, perhaps, perhaps),
		part(c.IPProto, r.IPProto, object.Opt[uint8]{}, perhaps, perhaps),
		part(c.SPorts, r.SPorts, object.Opt[object.PortRange]{}, perhaps, perhaps),
		part(c.DPorts, r.DPorts, object.Opt[object.PortRange]{}, perhaps, perhaps),
		part(c.SPortMask, r.SPortMask, object.Opt[uint16]{}, perhaps, perhaps),
		part(c.DPortMask, r.DPortMask, object.Opt[uint16]{}, perhaps, perhaps),
		part(c.FlowLabel, r.FlowLabel, object.Opt[uint32]{}, perhaps, perhaps),
		part(c.FlowLabelMask, r.FlowLabelMask, object.Opt[uint32]{}, perhaps, perhaps))
}

// part is meets for one condition: other if they ask for different things, lacking if only the second rule asks.
func part[T comparable](c, r, none T, other, lacking verdict) verdict {
	switch {
	case r == none || r == c:
		return surely
	case c == none:
		return lacking
	}
	return other
}

func marked(c, r *object.Rule, plain bool) verdict {
	mark, mask, ok := r.FWMark()
	has, known, asked := c.FWMark()
	if !asked {
		has, known = 0, 0
	}
	if plain {
		has, known = has&known, 1<<32-1
	}
	switch {
	case !ok:
		return surely
	case (mark^has)&mask&known != 0:
		return never
	case mask&^known != 0:
		return perhaps
	}
	return surely
}

// comesFrom is meets for sources. A packet without one is for no rule of IPv6's that asks for one (fib6_rule_match),
// and has 0.0.0.0 for those of IPv4 (fib4_rule_match); one that came in from anywhere may have another than that.
func comesFrom(c, r *object.Rule, plain bool) verdict {
	asks, has := r.Src.Bits() > 0, c.Src.Bits() > 0
	switch {
	case !asks:
		return surely
	case has && r.Src.Bits() <= c.Src.Bits() && r.Src.Contains(c.Src.Addr()):
		return surely
	case has && !r.Src.Overlaps(c.Src):
		return never
	case has || !plain || c.IIF != "" && c.IIF != "lo":
		return perhaps
	}
	return when(c.Family == object.IPv4 && r.Src.Contains(netip.IPv4Unspecified()))
}

// through is meets for the interface that packets came in through, which may have several names.
func through(c, r *object.Rule, plain bool) verdict {
	const own = "lo"
	switch {
	case r.IIF == "" || r.IIF == c.IIF:
		return surely
	case c.IIF == "" && plain:
		return when(r.IIF == own)
	case c.IIF != "" && (c.IIF == own || r.IIF == own):
		return never
	}
	return perhaps
}

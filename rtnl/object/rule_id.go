package object

import "strconv"

// AppendID appends the rule's identity as text: family, priority and a hash of all else that
// the kernel compares when it decides whether two rules are one, as in
// "ipv4:32766:9c1f0e6b5a3d2c47". A rule has the same in every dump and every process.
//
// The kernel compares (rule_exists and fib4_rule_compare, fib6_rule_compare) action, table,
// interfaces by their names, mark, what is suppressed, tunnel, l3mdev, users, protocol of the
// packet and of who added the rule, ports, prefixes, tos or DSCP, realms and flow label.
// Beyond that the target of a goto and the flags count that the rule was added with, among
// them FIB_RULE_INVERT, not those that tell how things are: whether the target and the
// interfaces are there. Masks that older kernels do not send count as what they stand for, so
// that an upgrade of the kernel changes no identity but those of rules with ranges of users,
// if another user namespace reads them.
//
// Without NLM_F_EXCL rules can be added that are alike in all of this: twin is how many such
// ones are before it, in the kernel's order. See RuleTwins.
func (r *Rule) AppendID(b []byte, twin int) []byte {
	b = append(b, r.Family.String()...)
	b = append(b, ':')
	b = strconv.AppendUint(b, uint64(r.Priority), 10)
	b = append(b, ':')
	h := r.identity()
	if twin > 0 {
		h.num(uint64(twin))
	}
	return h.append(b)
}

// identity hashes what tells rules of one priority apart.
func (r *Rule) identity() hash {
	h := newHash()
	h.num(uint64(r.Action), uint64(r.Flags&^ruleState), uint64(r.Table), uint64(r.TOS))
	h.prefix(r.Dst)
	h.prefix(r.Src)
	h.bytes([]byte(r.IIF))
	h.bytes([]byte(r.OIF))
	h.opt(r.Goto)
	mark, mask, _ := r.FWMark()
	h.num(uint64(mark), uint64(mask))
	h.num(uint64(r.Realms.V), r.TunID.V)
	for _, o := range []Opt[uint32]{r.SuppressIfGroup, r.SuppressPrefixLen} {
		if v, ok := suppressed(o); ok {
			h.opt(Some(v))
		} else {
			h.opt(Opt[uint32]{})
		}
	}
	h.num(uint64(r.L3MDev.V), uint64(r.Protocol.V), uint64(r.IPProto.V))
	if h.present(r.UIDs.OK) {
		h.num(uint64(r.UIDs.V.Start), uint64(r.UIDs.V.End))
	}
	for _, p := range []struct {
		ports Opt[PortRange]
		mask  Opt[uint16]
	}{{r.SPorts, r.SourcePortMask()}, {r.DPorts, r.DestinationPortMask()}} {
		if h.present(p.ports.OK) {
			h.num(uint64(p.ports.V.Start), uint64(p.ports.V.End), uint64(p.mask.V))
		}
	}
	if h.present(r.DSCP.OK) {
		h.num(uint64(r.DSCP.V), uint64(r.FullDSCPMask().V))
	}
	if h.present(r.FlowLabel.OK) {
		h.num(uint64(r.FlowLabel.V), uint64(r.FullFlowLabelMask().V))
	}
	return h
}

// sameRule hashes all that tells rules apart.
func sameRule(m *Message) uint64 {
	var r Rule
	r.decode(m)
	h := r.identity()
	h.num(uint64(r.Family), uint64(r.Priority))
	return uint64(h)
}

// present hashes whether there is something, and returns that.
func (h *hash) present(there bool) bool {
	if there {
		h.byte(1)
	} else {
		h.byte(0)
	}
	return there
}

// FWMark returns the firewall mark that packets have and the mask that is laid over theirs, if
// the rule is for those with a mark. The kernel sends no mark of 0, but the mask.
func (r *Rule) FWMark() (mark, mask uint32, ok bool) {
	mask = r.Mask.V
	if !r.Mask.OK {
		mask = 1<<32 - 1
	}
	if !r.Mask.OK && !r.Mark.OK {
		return 0, 0, false
	}
	return r.Mark.V, mask, true
}

// SourcePortMask returns the mask that is laid over packets' source ports, if the rule is for
// a single one: Linux before 6.15 sends none, and compares all bits.
func (r *Rule) SourcePortMask() Opt[uint16] { return portMask(r.SPorts, r.SPortMask) }

// DestinationPortMask is the same of destination ports.
func (r *Rule) DestinationPortMask() Opt[uint16] { return portMask(r.DPorts, r.DPortMask) }

func portMask(ports Opt[PortRange], mask Opt[uint16]) Opt[uint16] {
	if !mask.OK && ports.OK && ports.V.Start == ports.V.End {
		return Some[uint16](1<<16 - 1)
	}
	return mask
}

// FullDSCPMask returns the mask that is laid over packets' DSCP, if the rule is for one: Linux
// before 6.15 sends none, and compares all six bits.
func (r *Rule) FullDSCPMask() Opt[uint8] {
	if !r.DSCPMask.OK && r.DSCP.OK {
		return Some[uint8](1<<6 - 1)
	}
	return r.DSCPMask
}

// FullFlowLabelMask returns the mask that is laid over packets' flow label, if the rule is for
// one.
func (r *Rule) FullFlowLabelMask() Opt[uint32] {
	if !r.FlowLabelMask.OK && r.FlowLabel.OK {
		return Some[uint32](1<<20 - 1)
	}
	return r.FlowLabelMask
}

// RuleTwins counts rules that are alike. The zero value is ready to use.
type RuleTwins struct {
	family   Family
	priority uint32
	seen     map[hash]int
}

// Before returns how many rules like this one came before it, where they come in the kernel's
// order: those of one family and priority one after the other.
func (t *RuleTwins) Before(r *Rule) int {
	if t.seen == nil {
		t.seen = map[hash]int{}
	}
	if r.Family != t.family || r.Priority != t.priority {
		t.family, t.priority = r.Family, r.Priority
		clear(t.seen)
	}
	h := r.identity()
	n := t.seen[h]
	t.seen[h] = n + 1
	return n
}

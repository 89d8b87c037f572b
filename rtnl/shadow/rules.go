package shadow

import (
	"cmp"
	"math"
	"net/netip"
	"slices"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// An order is the rules of a family, in the order in which they are asked.
type order struct {
	family   object.Family
	steps    []step
	jumps    []int // places of gotos for few packets
	refusing int   // place of the first rule that refuses all but few packets, which none goes past; -1: none
	original bool  // whether they are those that the kernel makes itself
	links    bool  // whether it is known which tables are those of VRFs
}

// A step is a rule.
type step struct {
	rule    object.Rule
	who     who
	comes   bool // whether a packet may come to it
	reached bool // whether every packet that comes so far is asked by it, but those that few skip
	shorter int  // prefixes up to this length are not accepted; -1: all are
}

// Which packets a rule is for.
type who uint8

const (
	some   who = iota // which may be most, or none
	all               //
	few               // that are singled out: by a mark, their source, the interface that they came in through
	butFew            // all that are not singled out
	allTo             // all to some destinations
)

func newOrder(snap *rtnl.Snapshot, f object.Family) *order {
	o := &order{family: f, links: snap.Count(object.Links.Kind) > 0, refusing: -1}
	var past, fewPast uint32 // the rules of a lower priority may have been gone past, the latter by few packets
	for _, r := range rtnl.RulesInOrder(snap, f) {
		o.steps = append(o.steps, step{rule: r, shorter: -1, who: whoseRule(&r)})
	}
	o.follow()
	for i := range o.steps {
		s := &o.steps[i]
		r := &s.rule
		s.reached = s.comes && r.Priority >= past
		if n, ok := r.SuppressedPrefixLen(); ok {
			s.shorter = int(min(n, math.MaxInt16))
		}
		if _, ok := r.SuppressedIfGroup(); ok {
			s.reached = false // what it decides is not known
		}
		if o.refusing < 0 && s.reached && s.who == butFew && refuses(r) && r.Priority >= fewPast {
			o.refusing = i
		}
		switch {
		case !s.comes || r.Action != object.FR_ACT_GOTO:
		case o.nowhere(r):
		case s.who == few:
			o.jumps = append(o.jumps, i)
			fewPast = max(fewPast, r.Goto.V)
		default:
			past = max(past, r.Goto.V)
		}
	}
	o.original = originalRules(o.steps)
	return o
}

// follow finds the rules that a packet may come to (fib_rules_lookup): those that come after one that does not send
// all packets elsewhere, or that such a one jumps to. That a table decides about all of them is not looked at.
func (o *order) follow() {
	if len(o.steps) > 0 {
		o.steps[0].comes = true
	}
	for i := range o.steps {
		s := &o.steps[i]
		if !s.comes {
			continue
		}
		stays := s.who != all || !refuses(&s.rule)
		if s.rule.Action == object.FR_ACT_GOTO && !o.nowhere(&s.rule) {
			target, found := o.place(s.rule.Goto.V)
			if target < len(o.steps) {
				o.steps[target].comes = true
			}
			stays = s.who != all || !found || s.rule.Unresolved() || target <= i
		}
		if stays && i+1 < len(o.steps) {
			o.steps[i+1].comes = true
		}
	}
}

// place returns the place of the first rule of a priority, which is what a goto jumps to; false: of the first after it.
func (o *order) place(priority uint32) (int, bool) {
	return slices.BinarySearchFunc(o.steps, priority, func(s step, priority uint32) int {
		return cmp.Compare(s.rule.Priority, priority)
	})
}

// nowhere reports whether there is certainly no rule that a goto can jump to, so that it does nothing.
func (o *order) nowhere(r *object.Rule) bool {
	_, found := o.place(r.Goto.V)
	return !found && r.Unresolved()
}

// barrier returns the place of the rule for every packet because of which none comes to any of some rules that lead
// to a table; -1: one may.
func (o *order) barrier(by []reach) int {
	if len(by) == 0 || slices.ContainsFunc(by, func(r reach) bool { return o.steps[r.step].comes }) {
		return -1
	}
	at := by[0].step
	for !o.steps[at].comes {
		at--
	}
	return at
}

// whoseRule tells which packets a rule is for.
func whoseRule(r *object.Rule) who {
	inverted := r.Flags&object.FIB_RULE_INVERT != 0
	anywhere := *r
	anywhere.Dst = netip.Prefix{}
	switch {
	case forAll(r):
		return all
	case forAll(&anywhere):
		return allTo
	case len(r.Unknown) > 0 || !singlesOut(r):
		return some
	case inverted:
		return butFew
	}
	return few
}

// singlesOut reports whether a rule, but that it may be inverted, is for few packets.
func singlesOut(r *object.Rule) bool {
	const many = 8 // bits, of a source that is most of all
	mark, mask, marked := r.FWMark()
	return marked && mark&mask != 0 || r.Src.Bits() >= many || r.IIF != "" && r.IIF != "lo" || r.OIF != "" ||
		r.TOS != 0 || r.DSCP.V != 0 && !r.DSCPMask.OK || r.TunID.V != 0
}

// originalRules reports whether rules may be those that the kernel makes itself, so that IPv4 may look up the
// tables local and main as one (fib_unmerge has not been called).
func originalRules(steps []step) bool {
	return !slices.ContainsFunc(steps, func(s step) bool {
		const local, main, last = 0, 32766, 32767
		r := &s.rule
		return !forAll(r) || s.shorter >= 0 || r.Action != object.FR_ACT_TO_TBL || !slices.Contains([][2]uint32{
			{local, object.RT_TABLE_LOCAL}, {main, object.RT_TABLE_MAIN}, {last, object.RT_TABLE_DEFAULT}},
			[2]uint32{r.Priority, r.Table})
	})
}

// forAll reports whether a rule is for every packet.
func forAll(r *object.Rule) bool {
	_, _, marked := r.FWMark()
	any := func(p interface{ Bits() int }) bool { return p.Bits() <= 0 } // -1: there is none
	return any(r.Dst) && any(r.Src) && r.IIF == "" && r.OIF == "" && !marked && r.TOS == 0 && !r.DSCP.OK &&
		!r.UIDs.OK && !r.IPProto.OK && !r.SPorts.OK && !r.DPorts.OK && (!r.TunID.OK || r.TunID.V == 0) &&
		!r.FlowLabel.OK && !r.FlowLabelMask.OK && !r.SPortMask.OK && !r.DPortMask.OK && !r.DSCPMask.OK &&
		r.L3MDev.V == 0 && r.Flags&object.FIB_RULE_INVERT == 0 && len(r.Unknown) == 0
}

// refuses reports whether a packet that a rule is for goes no further.
func refuses(r *object.Rule) bool {
	return r.Action == object.FR_ACT_BLACKHOLE || r.Action == object.FR_ACT_PROHIBIT ||
		r.Action == object.FR_ACT_UNREACHABLE
}

// A reach is a rule that leads to a table.
type reach struct {
	step    int // its place
	shorter int // routes to prefixes up to this length are not accepted
}

// reaches returns the rules by which a table is consulted.
func (o *order) reaches(snap *rtnl.Snapshot, table uint32) (all []reach) {
	ofVRF := snap.VRF(table) != "" || !o.links
	for i := range o.steps {
		s := &o.steps[i]
		if s.rule.L3MDev.V != 0 && ofVRF || s.rule.Action == object.FR_ACT_TO_TBL && s.rule.Table == table {
			all = append(all, reach{i, s.shorter})
		}
	}
	return all
}

package rtnl

import (
	"cmp"
	"net/netip"
	"slices"

	"kernelroutes/rtnl/object"
)

// The ways that a packet may take through rules and tables, as the kernel goes (fib_rules_lookup).

// An Outcome is what comes of a rule that is tried.
type Outcome string

// What may come of a rule.
const (
	// Skipped: the rule is not for the packet.
	Skipped Outcome = "skipped"
	// Decides: its table has the route in Step.Route, or the rule itself drops the packet.
	Decides Outcome = "decides"
	// NoneFound: its table has no route for the packet; or it has, in Step.Route, and it is
	// less specific than one of table main: as long as nobody has added a rule, IPv4's tables
	// local and main are looked at as one.
	NoneFound Outcome = "no route"
	// Thrown: its table has a route of type throw, in Step.Route.
	Thrown Outcome = "throw"
	// SuppressedByLength and SuppressedByGroup: the rule does not accept the route that
	// its table has, in Step.Route.
	SuppressedByLength Outcome = "suppress_prefixlength"
	SuppressedByGroup  Outcome = "suppress_ifgroup"
	// Jumps: what comes next is the rule of the priority Step.Rule.Goto.
	Jumps Outcome = "goto"
	// NoTarget: there is no such rule, so that the next one comes.
	NoTarget Outcome = "goto nowhere"
	// Passed: the rule does nothing (FR_ACT_NOP).
	Passed Outcome = "nop"
)

// A Step is a rule that is tried for a packet.
type Step struct {
	Rule object.Rule
	// Met says whether the rule is for the packet; it may not be known.
	Met object.Opt[bool]
	// Why is the condition of the rule that is not met, or of which it is not known whether it
	// is; "": all are met. If the rule is inverted (FIB_RULE_INVERT), it is for packets that do
	// not meet all conditions.
	Why     RuleCondition
	Outcome Outcome
	// Table is the table that is looked at, 0 if none is.
	Table uint32
	// Route is the route that it has for the packet, nil: none.
	Route *object.Route
}

// A trail is a way that a packet may take.
type trail struct {
	last  *path       // its steps; nil: none
	route *candidate  // that decides; nil: none
	err   LookupError // if it is not a route that the packet goes along
}

// A candidate is a route to the packet's destination.
type candidate struct {
	*object.Route
	hops []object.Nexthop
	// firm says of each nexthop that it needs no neighbour, or one that has not failed to answer.
	firm []bool
}

// A tracer finds all ways that a packet may take.
type tracer struct {
	flow   *flow
	rules  []object.Rule
	judged []judgement // of each rule
	tables map[uint32][]candidate
	group  func(index uint32) uint32 // of an interface
	ways   []trail
	lost   bool // there are too many
}

type judgement struct {
	verdict verdict
	why     RuleCondition
}

// maxWays bounds how many ways are found.
const maxWays = 1000

// add notes a way. Where there are too many, none of them is of use.
func (t *tracer) add(w trail) {
	if t.lost || len(t.ways) == maxWays {
		t.ways, t.lost = nil, true
		return
	}
	t.ways = append(t.ways, w)
}

// A path is the steps so far, the last one first, which several ways may have in common: there may be
// thousands. nil: none. What all ways have in common of a rule is not in it, see tracer.step.
type path struct {
	before  *path
	route   *object.Route
	outcome Outcome
	rule    int32 // its place
	table   uint32
	length  int32
}

// with returns the steps and one more.
func (p *path) with(s path) *path {
	s.before, s.length = p, int32(p.len()+1)
	return &s
}

// len returns how many they are.
func (p *path) len() int {
	if p == nil {
		return 0
	}
	return int(p.length)
}

// step returns the last step of a path.
func (t *tracer) step(p *path) Step {
	return Step{Rule: t.rules[p.rule], Met: object.Some(p.outcome != Skipped), Why: t.judged[p.rule].why,
		Outcome: p.outcome, Table: p.table, Route: p.route}
}

// steps returns the steps of a path in order.
func (t *tracer) steps(p *path) []Step {
	if p == nil {
		return nil
	}
	all := make([]Step, p.length)
	for ; p != nil; p = p.before {
		all[p.length-1] = t.step(p)
	}
	return all
}

// from finds the ways from a rule on.
func (t *tracer) from(i int, so *path) {
	for !t.lost && i < len(t.rules) {
		r, verdict := &t.rules[i], t.judged[i].verdict
		skip := path{rule: int32(i), outcome: Skipped}
		if verdict == perhaps {
			if t.from(i+1, so.with(skip)); t.lost {
				return
			}
		}
		if verdict == never {
			so, i = so.with(skip), i+1
			continue
		}
		step := path{rule: int32(i)}
		switch r.Action {
		case object.FR_ACT_TO_TBL:
			if so = t.consult(i, so, step); so == nil {
				return
			}
			i++
			continue
		case object.FR_ACT_GOTO:
			step.outcome = NoTarget
			next := i + 1
			if to := t.target(r); to > i {
				step.outcome, next = Jumps, to
			}
			i = next
		case object.FR_ACT_NOP:
			step.outcome = Passed
			i++
		default:
			step.outcome = Decides
			t.add(trail{last: so.with(step), err: ruleError(r)})
			return
		}
		so = so.with(step)
	}
	if !t.lost {
		t.add(trail{last: so, err: NoRoute})
	}
}

// target returns which rule a goto leads to, -1 for none.
func (t *tracer) target(r *object.Rule) int {
	if r.Unresolved() {
		return -1
	}
	return slices.IndexFunc(t.rules, func(o object.Rule) bool { return o.Priority == r.Goto.V })
}

// ruleError returns what becomes of packets by a rule that leads nowhere (fib4_rule_action).
func ruleError(r *object.Rule) LookupError {
	switch r.Action {
	case object.FR_ACT_UNREACHABLE:
		return NoRoute
	case object.FR_ACT_PROHIBIT:
		return Prohibit
	}
	return Blackhole
}

// typeErrors are what routes of a type make of packets (fib_props, ip6_rt_type_to_error).
var typeErrors = map[object.RouteType]LookupError{object.Unspec: Blackhole, object.Blackhole: Blackhole,
	object.NAT: Blackhole, object.XResolve: Blackhole, object.Unreachable: Unreachable, object.Prohibit: Prohibit}

// consult finds the ways from what the table of a rule has. It returns the steps with which the last of them goes
// on to the next rule, for the caller to follow: there may be thousands of rules. nil: it does not.
func (t *tracer) consult(i int, so *path, step path) (next *path) {
	r := &t.rules[i]
	step.table = t.flow.table(r)
	found := t.find(step.table)
	for s := so; s != nil && len(found) > 1; s = s.before {
		if s.table == step.table && s.route != nil { // what a table has does not depend on the rule
			found = slices.DeleteFunc(found, func(c candidate) bool { return c.Route != s.route })
		}
	}
	if len(found) == 0 {
		step.outcome = NoneFound
		return so.with(step)
	}
	for n := range found {
		if next != nil {
			t.from(i+1, next)
			next = nil
		}
		c := &found[n]
		step.route = c.Route
		if c.Type == object.Throw {
			step.outcome = Thrown
			next = so.with(step)
			continue
		}
		err := typeErrors[c.Type]
		if length, ok := r.SuppressedPrefixLen(); err == "" && ok && c.Dst.Bits() <= int(length) {
			step.outcome = SuppressedByLength
			next = so.with(step)
			continue
		}
		suppressed := never
		if err == "" {
			suppressed = t.suppressedByGroup(r, c)
		}
		if suppressed != never {
			step.outcome = SuppressedByGroup
			next = so.with(step)
		}
		if suppressed == surely {
			continue
		}
		if next != nil {
			t.from(i+1, next)
			next = nil
		}
		step.outcome = Decides
		t.add(trail{last: so.with(step), route: c, err: err})
	}
	return next
}

// suppressedByGroup reports whether a rule does not accept a route for its interface.
func (t *tracer) suppressedByGroup(r *object.Rule, c *candidate) verdict {
	group, ok := r.SuppressedIfGroup()
	if !ok {
		return never
	}
	in := 0
	for _, h := range c.hops {
		if h.OIF != 0 && t.group(h.OIF) == group {
			in++
		}
	}
	switch in {
	case 0:
		return never
	case len(c.hops):
		return surely
	}
	return perhaps
}

// usable reports whether a route has a nexthop that the packet may take (fib_lookup_good_nhc,
// find_match), and whether it takes such a one for certain.
func (t *tracer) usable(c *candidate) (usable, firm bool) {
	through := t.flow.out.Index
	if t.flow.family == object.IPv6 {
		if c.Cache.V.Expires < 0 {
			return false, false
		}
		through = t.flow.strictly()
	} else if _, nowhere := typeErrors[c.Type]; nowhere || c.Type == object.Throw {
		return true, true
	}
	if len(c.hops) == 0 {
		return true, true
	}
	for i, h := range c.hops {
		if h.Flags&object.RTNH_F_DEAD == 0 && (through == 0 || h.OIF == through) {
			usable = true
			firm = firm || c.firm == nil || c.firm[i]
		}
	}
	return usable, firm
}

// strictly returns the interface that IPv6 routes must lead through, 0 for any (RT6_LOOKUP_F_IFACE).
func (f *flow) strictly() uint32 {
	scoped := f.dst.IsMulticast() || f.dst.IsLinkLocalUnicast() || f.dst.IsLoopback()
	switch {
	case f.cameIn() && scoped:
		return f.in.Index
	case f.cameIn() || !scoped && f.src.IsValid():
		return 0
	}
	return f.out.Index
}

// find returns the routes of a table of which one is what it has for the packet. For IPv6 that
// may depend on neighbours that have failed to answer (rt6_score_route, fib6_table_lookup).
func (t *tracer) find(table uint32) (found []candidate) {
	settled := false
	for _, c := range t.tables[table] {
		usable, firm := t.usable(&c)
		if !usable {
			continue
		}
		if len(found) > 0 {
			if last := found[len(found)-1]; t.flow.family == object.IPv4 || settled && compareCandidates(last, c) != 0 {
				break
			}
		}
		found = append(found, c)
		settled = settled || firm
	}
	return found
}

// compareCandidates: the kernel prefers longer prefixes, of IPv6 then longer sources, of IPv4 a
// TOS, then lower metrics.
func compareCandidates(a, b candidate) int {
	return cmp.Or(cmp.Compare(b.Dst.Bits(), a.Dst.Bits()), cmp.Compare(b.Src.Bits(), a.Src.Bits()),
		cmp.Compare(b.TOS, a.TOS), cmp.Compare(a.Priority.V, b.Priority.V))
}

// candidates returns the routes of a snapshot that are for a packet, by table and as they are
// preferred.
func (f *flow) candidates(s *Snapshot) map[uint32][]candidate {
	all := map[uint32][]candidate{}
	src := f.src
	if !src.IsValid() {
		src = netip.IPv6Unspecified()
	}
	for r := range s.Routes(object.AllFields) {
		if r.Family != f.family || !r.Dst.Contains(f.dst) || r.Src.IsValid() && !r.Src.Contains(src) ||
			f.family == object.IPv4 && r.TOS != 0 && r.TOS != f.rulesTOS() {
			continue
		}
		one := r.Clone()
		all[r.Table] = append(all[r.Table], candidate{Route: one, hops: s.Nexthops(one, nil)})
	}
	for _, table := range all {
		slices.SortStableFunc(table, compareCandidates)
	}
	return all
}

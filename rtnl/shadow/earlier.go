package shadow

import (
	"math"
	"slices"

	"kernelroutes/rtnl/object"
)

// An earlier rule is one that packets are asked by before a table is consulted.
type earlier struct {
	step   *step
	to     prefix     // only packets to it are asked
	except exceptions // but those of them that come to the route all the same
	all    bool       // whether it is only something if it is so for all packets
}

// before is what decides about the packets of routes before their table is consulted.
type before struct {
	use     []int          // the places of the rules by which the routes are used
	rules   []earlier      // that are asked before
	refused []*object.Rule // if there are no uses: those that lead to the table, but do not accept the routes
}

// maxBefore is of how many tables it is worked out whether their routes come before a table's; and of how many rules
// for packets to some destinations what comes of them.
const maxBefore = 16

// earlier returns the rules that may decide about the packets of a route before its table is consulted. They are
// the same for all routes that the same rules accept: there may be thousands of rules and of routes.
func (t *Table) earlier(r *route) before {
	within := math.MaxInt
	if n, _ := slices.BinarySearch(t.lengths, int(r.bits)); n < len(t.lengths) && r.flags&rejects == 0 {
		within = t.lengths[n]
	}
	b, known := t.before[within]
	if !known {
		use, first, refused := t.uses(within)
		b = before{use: use, rules: t.askedBefore(use, first)}
		if len(use) == 0 && t.barrier < 0 {
			b.refused = refused
		}
		t.before[within] = b
	}
	return b
}

// uses returns the places of the rules by which a route can be used that is within a length, and the first of
// those that are for more than few packets, -1: none is. A rule that does not accept short prefixes accepts those
// that refuse packets (fib_rules_lookup). refused are the rules that do not accept it.
func (t *Table) uses(within int) (use []int, first int, refused []*object.Rule) {
	first = -1
	for _, by := range t.reach {
		s := &t.of.order[t.Family].steps[by.step]
		switch {
		case t.barrier < 0 && !s.comes:
			continue
		case by.shorter >= within:
			refused = append(refused, &s.rule)
			continue
		}
		use = append(use, by.step)
		if first < 0 && s.who != few {
			first = by.step
		}
	}
	return use, first, refused
}

// askedBefore is earlier for routes whose uses are given.
func (t *Table) askedBefore(use []int, first int) (found []earlier) {
	o := t.of.order[t.Family]
	if len(use) == 0 && t.barrier >= 0 {
		return []earlier{{step: &o.steps[t.barrier]}}
	}
	if len(use) == 0 || t.ID == object.RT_TABLE_DEFAULT && o.original {
		return nil // with the kernel's own rules alone, what refuses packets is no end (fib_lookup)
	}
	last := first
	if last < 0 {
		last = use[0] // for others than its few packets the route is none anyway
	}
	tried, triedTo, mostly := 0, 0, false // mostly: all but few packets are refused before
	for i := range o.steps[:last] {
		s := &o.steps[i]
		if i == t.barrier {
			return append(found, earlier{step: s})
		}
		if !s.reached || s.who == some || s.who == few {
			continue
		}
		e := earlier{step: s, all: mostly || first < 0}
		if e.all && s.who == butFew || !t.mayDecide(s) {
			continue
		}
		switch {
		case s.who == allTo:
			e.to = prefixOf(s.rule.Dst)
			triedTo++
		case !refuses(&s.rule):
			tried++
		}
		if s.who == allTo && triedTo > maxBefore || s.who != allTo && !refuses(&s.rule) && tried > maxBefore {
			continue
		}
		if e.except = t.exceptions(use, i); mostly && e.except.any() {
			continue
		}
		found = append(found, e)
		if refuses(&s.rule) && s.who != allTo {
			if !e.except.any() {
				break
			}
			mostly = true
		}
	}
	return found
}

// mayDecide reports whether a rule refuses packets, or leads to another table that has routes.
func (t *Table) mayDecide(s *step) bool {
	other := t.of.Table(t.Family, s.rule.Table)
	return refuses(&s.rule) || s.rule.Action == object.FR_ACT_TO_TBL && other != nil && other != t
}

// exceptions returns the rules for few packets by which these may come to a route, whose uses are given, or past
// a rule, and that rule if it leaves some out.
func (t *Table) exceptions(use []int, at int) (all exceptions) {
	o := t.of.order[t.Family]
	s := &o.steps[at]
	var by []int
	for _, i := range use {
		if i < at && o.steps[i].comes && o.steps[i].who == few {
			by = append(by, i)
		}
	}
	for _, i := range o.jumps {
		if i < at && o.steps[i].rule.Goto.V > s.rule.Priority {
			by = append(by, i)
		}
	}
	slices.Sort(by)
	if s.who == butFew {
		by = append(by, at)
	}
	for _, i := range by {
		if len(by) > maxExceptions {
			all.many = append(all.many, &o.steps[i].rule)
		} else {
			all.few = append(all.few, &exception{rule: &o.steps[i].rule, at: i})
		}
	}
	return all
}

// Barred returns the rule that refuses every packet before any rule leads to a table, or has them go past all that
// lead to it; or one that refuses all but few, and is inverted. nil: there is none. all: none of these few comes there
// either.
func (a *Analysis) Barred(f object.Family, table uint32) (rule *object.Rule, all bool) {
	o := a.order[f]
	if o == nil {
		return nil, false
	}
	by := o.reaches(a.snap, table)
	if at := o.barrier(by); at >= 0 {
		return &o.steps[at].rule, true
	}
	first := slices.IndexFunc(by, func(r reach) bool { return o.steps[r.step].comes })
	if first < 0 || o.refusing < 0 || o.refusing > by[first].step {
		return nil, false
	}
	rule = &o.steps[o.refusing].rule
	t := a.Table(f, table)
	if t == nil {
		t = &Table{Family: f, ID: table, of: a} // with no routes
	}
	t.prepare()
	var use []int
	for _, r := range by {
		use = append(use, r.step)
	}
	return rule, !t.mayAsk(&exception{rule: rule, at: o.refusing}, use)
}

package shadow

import (
	"slices"

	"kernelroutes/rtnl/object"
)

// A Shadow is what comes before a route, always.
type Shadow struct {
	// Table is that of Routes; nil: a rule refuses all packets before.
	Table *Table
	// Routes are the first of them, by their places in Table: one that is preferred to the route or covers
	// it, or several that cover it together, in the order of their destinations. Count is how many destinations
	// these are.
	Routes []int
	Count  int
	// Own are more specific routes of the route's own table, by their places in it, which decide where Table passes
	// packets on to the next rule: the first ones, of so many destinations. nil: it passes none.
	Own      []int
	OwnCount int
	// Rule is the one that refuses all packets.
	Rule *object.Rule
	// Except are rules whose packets the route may decide about all the same, or those that such a rule, which is
	// inverted, leaves out. nil: there are none.
	Except []*object.Rule
}

// maxBefore is of how many tables it is worked out whether their routes come before a table's.
const maxBefore = 16

// Shadow returns what comes before a route, by its place in the table; false: nothing does for certain.
func (t *Table) Shadow(i int) (Shadow, bool) {
	if t.of.order[t.Family] == nil {
		return Shadow{}, false
	}
	t.prepare()
	r := &t.routes[i]
	named := func(p prefix) bool { return p.contains(r.prefix) }
	if t.Family == object.IPv6 && slices.ContainsFunc(namesInterface, named) {
		return Shadow{}, false
	}
	n, _ := search(t.nodes, r.prefix)
	if before, ok := t.preferred(&t.nodes[n], i); ok {
		return Shadow{Table: t, Routes: []int{before}, Count: 1}, true
	}
	if s := &t.own.state[n]; s.tiled {
		return t.shadowOf(s.tiles), true
	}
	return t.before(r)
}

// prepare works out what is needed for a table's routes.
func (t *Table) prepare() {
	if t.nodes != nil {
		return
	}
	t.nodes = nodesOf(t.routes)
	t.own = newCover(t.nodes, t.decides)
	t.reach = t.of.order[t.Family].reaches(t.of.snap, t.ID)
}

// decides reports whether every packet that comes to a node gets no further in the table. Where there are
// routes for certain sources, packets from others pass over those for all too (fib6_node_lookup_1).
func (t *Table) decides(n *node) class {
	c := unsure
	for i := n.from; i < n.to; i++ {
		r := &t.routes[i]
		if r.flags&sourced != 0 {
			return unsure
		}
		if r.flags&alive != 0 && r.tos == 0 {
			c = decides
		}
	}
	return c
}

// accepted is decides for packets that a rule has led to the table, which does not accept short prefixes: where
// they are not accepted, and of type throw, the next rule is asked.
func (t *Table) accepted(shorter int) func(*node) class {
	return func(n *node) class {
		if int(n.bits) <= shorter {
			return passes
		}
		c := t.decides(n)
		for i := n.from; i < n.to; i++ {
			if t.routes[i].flags&throws != 0 {
				return passes
			}
		}
		return c
	}
}

// preferred returns the route of a node that always comes before another one.
func (t *Table) preferred(n *node, i int) (before int, ok bool) {
	r := &t.routes[i]
	if t.Family == object.IPv6 {
		return t.preferred6(n, i)
	}
	for before = int(n.from); before < i; before++ {
		o := &t.routes[before]
		if o.tos != r.tos || o.flags&alive == 0 {
			continue
		}
		// Of default routes that are alike the kernel takes one whose gateway answers (fib_select_default).
		return before, o.metric < r.metric || n.bits > 0
	}
	return 0, false
}

// preferred6 is preferred for IPv6: of the routes with the lowest metric one is taken, if any is alive; else
// the preference of the router counts more than the metric (find_rr_leaf).
func (t *Table) preferred6(n *node, i int) (int, bool) {
	r := &t.routes[i]
	lowest := -1
	for o := int(n.from); o < int(n.to); o++ {
		if !t.sameSource(o, i) {
			continue
		}
		if lowest >= 0 && t.routes[o].metric != t.routes[lowest].metric {
			break
		}
		if lowest < 0 || t.routes[lowest].flags&alive == 0 {
			lowest = o
		}
	}
	return lowest, lowest >= 0 && t.routes[lowest].flags&alive != 0 && t.routes[lowest].metric < r.metric
}

// sameSource reports whether two routes are for packets from the same sources.
func (t *Table) sameSource(a, b int) bool {
	if t.routes[a].flags&sourced != t.routes[b].flags&sourced {
		return false
	}
	if t.routes[a].flags&sourced == 0 {
		return true
	}
	var x, y object.Route
	t.Route(a, &x, object.FieldSrc)
	t.Route(b, &y, object.FieldSrc)
	return x.Src == y.Src
}

// shadowOf returns the shadow of some nodes.
func (t *Table) shadowOf(by tiling) Shadow {
	s := Shadow{Table: t, Count: int(by.count)}
	for _, n := range by.first[:min(by.count, 2)] {
		s.Routes = append(s.Routes, int(t.nodes[n].from))
	}
	return s
}

// before returns what comes before a route of other tables, which are consulted before it; if possible for every
// packet.
func (t *Table) before(r *route) (found Shadow, ok bool) {
	o := t.of.order[t.Family]
	use, first := t.uses(r)
	if len(use) == 0 || t.ID == object.RT_TABLE_DEFAULT && o.original {
		return Shadow{}, false // with the kernel's own rules alone, what refuses packets is no end (fib_lookup)
	}
	last := first
	if last < 0 {
		last = use[0] // for others than its few packets the route is none anyway
	}
	tried := 0
	for i := range o.steps[:last] {
		s := &o.steps[i]
		if !s.reached || s.who != all && s.who != butFew {
			continue
		}
		if other := t.of.Table(t.Family, s.rule.Table); !refuses(&s.rule) {
			if s.rule.Action != object.FR_ACT_TO_TBL || other == nil || other == t {
				continue
			}
			if tried++; tried > maxBefore {
				break
			}
		}
		except := t.exceptions(use, i)
		if ok && len(except) > 0 || first < 0 && len(except) > 0 {
			continue
		}
		if by, decides := t.decidedBy(r, s); decides {
			by.Except = except
			if found, ok = by, true; except == nil {
				break
			}
		}
	}
	return found, ok
}

// uses returns the places of rules by which a route can be used, and the first of those that are for more than
// few packets, -1: none is. A rule that does not accept short prefixes accepts those that refuse packets
// (fib_rules_lookup).
func (t *Table) uses(r *route) (use []int, first int) {
	first = -1
	for _, by := range t.reach {
		if int(r.bits) <= by.shorter && r.flags&rejects == 0 {
			continue
		}
		use = append(use, by.step)
		if first < 0 && t.of.order[t.Family].steps[by.step].who != few {
			first = by.step
		}
	}
	return use, first
}

// exceptions returns the rules for few packets by which these may come to a route, whose uses are given, or past
// a rule, and that rule if it leaves some out.
func (t *Table) exceptions(use []int, at int) (except []*object.Rule) {
	steps := t.of.order[t.Family].steps
	s := &steps[at]
	for i := range steps[:at] {
		r := &steps[i].rule
		if steps[i].who == few && (slices.Contains(use, i) ||
			r.Action == object.FR_ACT_GOTO && r.Goto.V > s.rule.Priority) {
			except = append(except, r)
		}
	}
	if s.who == butFew {
		except = append(except, &s.rule)
	}
	return except
}

// decidedBy returns what comes before a route of what a rule does with the packets that it is for; false: not all
// of them end there.
func (t *Table) decidedBy(r *route, s *step) (Shadow, bool) {
	if refuses(&s.rule) {
		return Shadow{Rule: &s.rule}, true
	}
	// As long as there are the kernel's own rules alone, IPv4's tables local and main may be one, of which
	// the longest prefix decides (fib_trie_table).
	longer := t.of.order[t.Family].original && t.Family == object.IPv4
	other := t.of.Table(t.Family, s.rule.Table)
	c := other.answer(s.shorter)
	by, ok := c.covers(r.prefix, longer)
	if base := c.base(r.prefix); !ok && !longer && base >= 0 {
		own, filled := t.fill(c, r)
		found := other.shadowOf(one(base))
		of := t.shadowOf(own)
		found.Own, found.OwnCount = of.Routes, of.Count
		return found, filled
	}
	return other.shadowOf(by), ok
}

// fill returns the table's own nodes more specific than a route that decide where another table passes packets on;
// false: they do not everywhere.
func (t *Table) fill(c *cover, r *route) (own tiling, ok bool) {
	gaps, few := c.gaps(r.prefix)
	if !few {
		return own, false
	}
	for _, gap := range gaps {
		by, ok := t.own.covers(gap, false)
		if !ok || t.nodes[by.first[0]].bits <= r.bits {
			return own, false
		}
		if own.count == 0 || own.first[0] != by.first[0] {
			own.add(by)
		}
	}
	return own, own.count > 0
}

// answer returns what a table decides if prefixes up to a length are not accepted, which few rules say.
func (t *Table) answer(shorter int) *cover {
	t.prepare()
	c := t.answers[shorter]
	if c == nil {
		if t.answers == nil {
			t.answers = map[int]*cover{}
		}
		c = newCover(t.nodes, t.accepted(shorter))
		t.answers[shorter] = c
	}
	return c
}

// Barred returns the rule that refuses every packet before any other rule leads to a table; or all but few, if
// it is inverted. nil: there is none.
func (a *Analysis) Barred(f object.Family, table uint32) (barred *object.Rule) {
	o := a.order[f]
	if o == nil {
		return nil
	}
	by := o.reaches(a.snap, table)
	if len(by) == 0 {
		return nil
	}
	for i := range o.steps[:by[0].step] {
		switch s := &o.steps[i]; {
		case !s.reached || !refuses(&s.rule):
		case s.who == all:
			return &s.rule
		case s.who == butFew && barred == nil:
			barred = &s.rule
		}
	}
	return barred
}

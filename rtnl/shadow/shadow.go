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
	// Rule is the one that refuses all packets, or all to the route's destination, or has them go past the rules
	// that lead to the table (goto).
	Rule *object.Rule
	// Except are rules of whose packets the route decides about some all the same, or about some that such a rule,
	// which is inverted, leaves out. Of Perhaps that is not certain. nil: there are none. Packets of other rules may
	// be decided about by something else than is said above, but not by the route.
	Except, Perhaps []*object.Rule
	// Refused are the rules that lead to the table if none of them accepts the route, as its prefix is too short for
	// them; then there is nothing else.
	Refused []*object.Rule
}

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
	if before, ok := t.preferred(i); ok {
		return Shadow{Table: t, Routes: []int{before}, Count: 1}, true
	}
	if s := &t.own.state[n]; s.tiled {
		return t.shadowOf(s.tiles), true
	}
	return t.passedOver(i)
}

// prepare works out what is needed for a table's routes.
func (t *Table) prepare() {
	if t.nodes != nil {
		return
	}
	t.nodes = nodesOf(t.routes)
	t.first = t.firsts()
	for i := range t.routes {
		t.tos = t.tos || t.routes[i].tos != 0
	}
	t.own = newCover(t.nodes, t.decides)
	t.reach = t.of.order[t.Family].reaches(t.of.snap, t.ID)
	t.barrier = t.of.order[t.Family].barrier(t.reach)
	for _, by := range t.reach {
		t.lengths = append(t.lengths, by.shorter)
	}
	slices.Sort(t.lengths)
	t.lengths, t.before = slices.Compact(t.lengths), map[int]before{}
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

// shadowOf returns the shadow of some nodes.
func (t *Table) shadowOf(by tiling) Shadow {
	s := Shadow{Table: t, Count: int(by.count)}
	for _, n := range by.first[:min(by.count, 2)] {
		s.Routes = append(s.Routes, int(t.nodes[n].from))
	}
	return s
}

// passedOver returns what comes before a route of other tables, which are consulted before it; if possible for every
// packet, and without a look at what becomes of some of them.
func (t *Table) passedOver(i int) (found Shadow, ok bool) {
	r := &t.routes[i]
	b := t.earlier(r)
	if b.refused != nil {
		return Shadow{Refused: b.refused}, true
	}
	whole := false
	for _, e := range b.rules {
		if whole && e.except.any() || !e.to.contains(r.prefix) {
			continue
		}
		by, decides := t.decidedBy(r, e.step)
		if !decides {
			continue
		}
		by.Except, by.Perhaps = t.remaining(e.except, i, b.use)
		some := by.Except != nil || by.Perhaps != nil
		if some && (ok || e.all) {
			continue
		}
		found, ok, whole = by, true, !some
		if !e.except.any() {
			break
		}
	}
	return found, ok
}

// decidedBy returns what comes before a route of what a rule does with the packets that it is for; false: not all
// of them end there.
func (t *Table) decidedBy(r *route, s *step) (Shadow, bool) {
	if s.rule.Action != object.FR_ACT_TO_TBL {
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

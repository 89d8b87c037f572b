package shadow

import (
	"net/netip"
	"slices"

	"kernelroutes/rtnl/object"
)

// An exception is a rule by which few packets may come to a route all the same: it leads to the table itself, has
// them go past the rule that all others are asked by, or is this rule and leaves them out.
type exception struct {
	rule    *object.Rule
	at      int  // its place
	known   bool // whether asked and plain are
	unclear bool // they would be too many: it is not looked at what becomes of the packets
	asked   []asked
	plain   []asked
}

// Exceptions are those to one rule.
type exceptions struct {
	few  []*exception
	many []*object.Rule // so many that it is not looked at what becomes of the packets of each
}

func (e *exceptions) any() bool { return e.few != nil || e.many != nil }

// maxExceptions is of how many it is looked at for each route.
const maxExceptions = 8

// Asked is a rule that packets of an exception are asked by, if they come to it, and whether they meet its conditions,
// but for their destinations, and for that it may be inverted.
type asked struct {
	step int
	met  verdict
}

// maxAsked is by how many rules at most the packets of an exception may be asked, so that it is looked at what comes
// of that for each route.
const maxAsked = 32

// askedBy finds which rules ask the packets of an exception. plain is as in meets.
func (o *order) askedBy(x *exception, plain bool) (all []asked, ok bool) {
	for i := range o.steps {
		s := &o.steps[i]
		if !s.comes {
			continue
		}
		met := surely
		if i != x.at {
			met = meets(x.rule, &s.rule, plain)
			if inverted(&s.rule) && met == surely && s.rule.Dst.Bits() <= 0 || !inverted(&s.rule) && met == never {
				continue
			}
		}
		if all = append(all, asked{i, met}); len(all) > maxAsked {
			return nil, false
		}
	}
	return all, true
}

func inverted(r *object.Rule) bool { return r.Flags&object.FIB_RULE_INVERT != 0 }

// applies tells whether a rule is for packets to a prefix that meet the rest of its conditions to some degree.
func applies(r *object.Rule, met verdict, to prefix) verdict {
	if r.Dst.Bits() > 0 {
		switch dst := prefixOf(r.Dst); {
		case dst.contains(to):
		case to.contains(dst):
			met = min(met, perhaps)
		default:
			met = never
		}
	}
	if inverted(r) {
		return surely - met
	}
	return met
}

// remaining returns the rules by which packets come to a route, whose uses are given, although something comes before
// it for all others: for certain, and perhaps.
func (t *Table) remaining(all exceptions, i int, use []int) (except, possible []*object.Rule) {
	possible = all.many
	for _, x := range all.few {
		if !x.known {
			o, ok, also := t.of.order[t.Family], false, false
			x.asked, ok = o.askedBy(x, false)
			x.plain, also = o.askedBy(x, true)
			x.known, x.unclear = true, !ok || !also
		}
		r := t.routes[i] // for packets that the rule is for alone
		if x.rule.Dst.Bits() > 0 {
			switch dst := prefixOf(x.rule.Dst.Masked()); {
			case dst.contains(r.prefix):
			case r.contains(dst):
				r.prefix = dst
			default:
				continue
			}
		}
		switch {
		case x.rule.IIFDetached() || x.rule.OIFDetached():
		case x.unclear:
			possible = append(possible, x.rule)
		case !t.mayCome(x, &r, use):
		case t.comes(x, i, r.prefix, use):
			except = append(except, x.rule)
		default:
			possible = append(possible, x.rule)
		}
	}
	return except, possible
}

// mayCome reports whether a packet of an exception may come to a route by its rule: what may become of those that
// others of its table decide about does not count.
func (t *Table) mayCome(x *exception, r *route, use []int) bool {
	w := walk{t: t, x: x, r: r, use: use}
	return w.through()
}

// mayAsk reports whether the table may be consulted for a packet of an exception by its rule: the routes that it has
// do not matter.
func (t *Table) mayAsk(x *exception, use []int) bool {
	if x.rule.IIFDetached() || x.rule.OIFDetached() {
		return false
	}
	r := route{family: t.Family} // to all destinations
	if x.rule.Dst.Bits() > 0 {
		r.prefix = prefixOf(x.rule.Dst.Masked())
	}
	var ok bool
	x.asked, ok = t.of.order[t.Family].askedBy(x, false)
	w := walk{t: t, x: x, r: &r, use: use, whole: true}
	return !ok || w.through()
}

// place returns the first of some rules that is not before a step.
func place(all []asked, step int) (int, bool) {
	return slices.BinarySearchFunc(all, step, func(a asked, step int) int { return a.step - step })
}

// A walk goes through the rules that may ask the packets of an exception.
type walk struct {
	t      *Table
	x      *exception
	r      *route
	use    []int
	whole  bool               // all packets matter, not only those for which the table has the route
	may    [maxAsked + 1]bool // come to which of the rules
	tables int                // that have been looked at
}

// through reports whether packets may come to the route that have been asked by the exception's rule.
func (w *walk) through() bool {
	w.may[0] = true
	at, _ := place(w.x.asked, w.x.at)
	if w.to(0, at); !w.may[at] {
		return false
	}
	clear(w.may[at+1:])
	return w.to(at, len(w.x.asked))
}

// to goes from one rule on to another one, and reports whether packets may come to the route in between.
func (w *walk) to(from, to int) (comes bool) {
	o := w.t.of.order[w.t.Family]
	for k := from; k < to; k++ {
		if !w.may[k] {
			continue
		}
		s := &o.steps[w.x.asked[k].step]
		met := applies(&s.rule, w.x.asked[k].met, w.r.prefix)
		stays := met != surely
		if met != never {
			here, goesOn := w.act(k, s)
			comes, stays = comes || here, stays || goesOn
		}
		if stays {
			w.may[k+1] = true
		}
	}
	return comes
}

// act tells whether a rule may lead packets to the route, and whether they may be asked by the next one.
func (w *walk) act(k int, s *step) (comes, goesOn bool) {
	o := w.t.of.order[w.t.Family]
	_, byGroup := s.rule.SuppressedIfGroup()
	switch {
	case refuses(&s.rule):
		return false, false
	case s.rule.Action == object.FR_ACT_GOTO && !o.nowhere(&s.rule):
		target, found := o.place(s.rule.Goto.V)
		goesOn = !found || s.rule.Unresolved() || target <= w.x.asked[k].step
		if next, _ := place(w.x.asked, target); next > k {
			w.may[next] = true
		}
		return false, goesOn
	case s.rule.Action != object.FR_ACT_TO_TBL:
		return false, true
	case s.rule.L3MDev.V != 0 || s.rule.Table == 0:
		return true, true
	case s.rule.Table == w.t.ID:
		_, accepted := slices.BinarySearch(w.use, w.x.asked[k].step)
		return accepted, !accepted || byGroup
	}
	other := w.t.of.Table(w.t.Family, s.rule.Table)
	// Of packets that name an interface what a table decides is not certain.
	if w.tables++; other == nil || byGroup || w.x.rule.OIF != "" || w.tables > maxBefore {
		return false, true
	}
	if w.whole {
		_, ends := other.answer(s.shorter).covers(w.r.prefix, false)
		return false, !ends
	}
	_, ends := w.t.decidedBy(w.r, s)
	return false, !ends
}

// unlike are destinations of which the kernel has packets go other ways than by routes alone, or drops them.
var unlike = map[object.Family][]prefix{
	object.IPv4: {prefixOf(netip.MustParsePrefix("0.0.0.0/8")), prefixOf(netip.MustParsePrefix("127.0.0.0/8")),
		prefixOf(netip.MustParsePrefix("224.0.0.0/3"))},
	object.IPv6: append([]prefix{prefixOf(netip.MustParsePrefix("::/8"))}, namesInterface[:2]...),
}

// comes reports whether a plain packet of an exception certainly comes to a route by its rule, to one of some
// destinations in a prefix: where something more specific decides, the one after that is tried.
func (t *Table) comes(x *exception, i int, within prefix, use []int) bool {
	const tries = 16
	r := &t.routes[i]
	if !r.plain() || t.first[i] != int32(i) || x.rule.OIF != "" || x.rule.L3MDev.V != 0 {
		return false
	}
	if next := i + 1; r.bits == 0 && next < len(t.routes) && t.routes[next].prefix == r.prefix && t.SameRank(i, next) {
		return false // one of default routes that are alike (fib_select_default)
	}
	to := prefix{within.key, uint8(t.Family.AddrLen() * 8)}
	for range tries {
		by, ok := t.comesTo(x, to, r, use)
		if ok {
			return true
		}
		end, more := by.end()
		if to.key = end; !more || by.bits <= within.bits || !within.contains(to) {
			return false
		}
	}
	return false
}

// comesTo reports whether a plain packet of an exception to an address certainly comes to a route by its rule; else to
// which prefix around it that is so, the zero prefix: to more than that.
func (t *Table) comesTo(x *exception, to prefix, r *route, use []int) (by prefix, ok bool) {
	if n := slices.IndexFunc(unlike[t.Family], func(p prefix) bool { return p.contains(to) }); n >= 0 {
		return unlike[t.Family][n], false
	}
	switch i, ok := t.plainly(x.rule, to); {
	case !ok || i < 0:
		return prefix{}, false
	case t.nodes[i].prefix != r.prefix:
		return t.nodes[i].prefix, false
	}
	if by, ok = t.follows(x, to, r, use); by.contains(to) {
		return by, ok
	}
	return prefix{}, ok
}

// plainly returns the node that decides about packets to an address in the table, -1: none does. They are plain ones
// but for what a rule asks for; false: it is not certain, as there are routes for certain types of service, or sources
// (see decides).
func (t *Table) plainly(c *object.Rule, to prefix) (decides int32, ok bool) {
	t.prepare()
	if t.tos && (c.TOS != 0 || c.DSCP.OK) {
		return -1, false
	}
	n, found := search(t.nodes, to)
	if !found {
		n--
	}
	for i := int32(n); i >= 0; i = t.nodes[i].parent {
		if !t.nodes[i].contains(to) {
			continue
		}
		routes := t.routes[t.nodes[i].from:t.nodes[i].to]
		if slices.ContainsFunc(routes, func(r route) bool { return r.flags&sourced != 0 }) {
			return -1, false
		}
		if slices.ContainsFunc(routes, route.plain) {
			return i, true
		}
	}
	return -1, true
}

// plain reports whether a route is for packets without a type of service, of any source.
func (r route) plain() bool { return r.flags&alive != 0 && r.flags&sourced == 0 && r.tos == 0 }

// follows is comesTo where the route's table has the route for the address.
func (t *Table) follows(x *exception, to prefix, r *route, use []int) (by prefix, ok bool) {
	o := t.of.order[t.Family]
	for k := 0; k < len(x.plain); k++ {
		at := x.plain[k].step
		s := &o.steps[at]
		met := applies(&s.rule, x.plain[k].met, to)
		_, byGroup := s.rule.SuppressedIfGroup()
		switch {
		case met == never || s.rule.Action == object.FR_ACT_NOP:
			continue
		case met == perhaps || s.rule.L3MDev.V != 0:
			return prefix{}, false
		case s.rule.Action == object.FR_ACT_GOTO:
			target, found := o.place(s.rule.Goto.V)
			switch next, _ := place(x.plain, target); {
			case o.nowhere(&s.rule):
				continue
			case !found || s.rule.Unresolved() || target <= at || at < x.at && target > x.at:
				return prefix{}, false
			default:
				k = next - 1
			}
		case s.rule.Action != object.FR_ACT_TO_TBL || s.rule.Table == 0:
			return prefixOf(s.rule.Dst), false
		case s.rule.Table == t.ID:
			if _, accepted := slices.BinarySearch(use, at); accepted {
				return prefix{}, at >= x.at && !byGroup
			}
		default:
			if by, passes := t.of.passing(x.rule, s, to); !passes {
				return by, false
			}
		}
	}
	return prefix{}, false
}

// passing reports whether a plain packet to an address that a rule leads to a table is asked by the next rule for
// certain; else the destination of the routes that may decide there.
func (a *Analysis) passing(c *object.Rule, s *step, to prefix) (by prefix, ok bool) {
	other := a.Table(s.rule.Family, s.rule.Table)
	if other == nil {
		return prefix{}, true
	}
	i, ok := other.plainly(c, to)
	if i < 0 {
		return prefix{}, ok
	}
	n := &other.nodes[i]
	passes := true
	for _, r := range other.routes[n.from:n.to] {
		if r.plain() && r.flags&throws == 0 && (int(n.bits) > s.shorter || r.flags&rejects != 0) {
			passes = false
		}
	}
	return n.prefix, passes
}

package show

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/shadow"
	"kernelroutes/shell/iptext"
	"kernelroutes/tables"
)

// Destinations are in a column that is as wide as most of a table need it, up to a width.
const (
	looked   = 256 // so many routes are looked at for it
	maxWidth = 38
)

// leadsThrough reports whether a route leads through the interface that is wanted.
func (w *writer) leadsThrough(t *shadow.Table, i int) bool {
	t.Route(i, &w.route, object.FieldNexthops|object.FieldIIF)
	w.hops = w.snap.Nexthops(&w.route, w.hops)
	return w.route.IIF.OK && w.route.IIF.V == w.dev ||
		slices.ContainsFunc(w.hops, func(h object.Nexthop) bool { return h.OIF == w.dev })
}

// routesOf prints the routes of a table that are to be shown.
func (w *writer) routesOf(t *shadow.Table) error {
	width := 0
	for i := range min(t.Len(), looked) {
		if w.dev != 0 && !w.leadsThrough(t, i) {
			continue
		}
		t.Route(i, &w.route, object.AllFields)
		if n := iptext.Width([]byte(w.destination())); n <= maxWidth {
			width = max(width, n)
		}
	}
	barred, _ := w.all.Barred(w.family, t.ID)
	w.opts.Progress.Begin("going through the routes", "table "+w.text.Names.Table(t.ID), t.Len())
	for i := range t.Len() {
		w.opts.Progress.Next()
		if w.ctx.Err() != nil {
			return fmt.Errorf("print routes: %w", context.Cause(w.ctx))
		}
		if w.dev != 0 && !w.leadsThrough(t, i) {
			continue
		}
		t.Route(i, &w.route, object.AllFields)
		w.printRoute(width)
		w.routes++
		by, ok := t.Shadow(i)
		if !ok {
			continue
		}
		switch {
		case by.Except != nil:
			w.mostly++
		case by.Perhaps != nil:
			w.perhaps++
		default:
			w.shadowed++
		}
		switch {
		case by.Refused != nil:
			w.print("      shadowed: not accepted by " + w.refusedBy(by.Refused))
		case by.Table != nil || barred == nil || by.Rule.Priority != barred.Priority: // else the table's head says it
			w.print("      shadowed by " + w.shadowedBy(t, i, by))
		}
	}
	return nil
}

// destination describes which packets a route is for.
func (w *writer) destination() string { return strings.Join(w.text.Destination(&w.route, w.snap), " ") }

// printRoute prints a route, and below it its nexthops if they are several.
func (w *writer) printRoute(width int) {
	r := &w.route
	w.hops = iptext.Nexthops(w.snap, r, w.hops)
	several := iptext.Several(r, w.hops)
	var parts []string
	switch {
	case several:
	case len(w.hops) == 1:
		parts = w.text.Way(w.snap, &w.hops[0])
	default:
		parts = w.text.Way(w.snap, iptext.OnlyNexthop(r))
	}
	parts = append(append(parts, w.properties(r)...), w.more(r)...)
	dst := iptext.Visible([]byte(w.destination()), 0)
	w.line = append(w.line[:0], "  "...)
	w.line = w.style(r).Append(w.line, dst)
	column := iptext.Width(dst)
	for ; column < width; column++ {
		w.line = append(w.line, ' ')
	}
	w.appendParts(parts, 2+column, 2+width+2)
	w.out.Write(append(w.line, '\n'))
	if several {
		for i := range w.hops {
			w.print("      " + iptext.NexthopWord + strings.Join(w.hop(&w.hops[i]), " "))
		}
	}
}

// appendParts appends parts to the line, whose last column is given; at a terminal those that do not fit beside
// each other come below each other, from a column on.
func (w *writer) appendParts(parts []string, column, indent int) {
	if w.opts.Width > 0 && indent > w.opts.Width/2 {
		indent = 6
	}
	gap := 2
	for _, part := range parts {
		visible := iptext.Visible([]byte(part), 0)
		n := iptext.Width(visible)
		if w.opts.Width > 0 && column+gap+n > w.opts.Width {
			w.line = append(w.line, '\n')
			column, gap = 0, indent
		}
		for range gap {
			w.line = append(w.line, ' ')
		}
		w.line = append(w.line, visible...)
		column, gap = column+gap+n, 1
	}
}

// hop describes one nexthop of several.
func (w *writer) hop(h *object.Nexthop) []string {
	p := w.text.Hop(w.snap, h)
	if h.ID.OK {
		p = append(p, "nhid "+number(h.ID.V))
	}
	return p
}

// properties describes what every description of a route says, with what there is to say of it.
func (w *writer) properties(r *object.Route) []string {
	p := w.text.Properties(r)
	for i := range p {
		word, _, _ := strings.Cut(p[i], " ")
		switch locked, _ := r.Metrics.Get(object.RTAX_LOCK); {
		case word == "nhid":
			p[i] += w.objectOf(r.NexthopID.V)
		case word == "mtu" && locked&(1<<2) != 0: // RTAX_MTU
			p[i] += " (locked)"
		}
	}
	return p
}

// more describes what a route is beside what every description of one says.
func (w *writer) more(r *object.Route) (p []string) {
	if r.Realms.OK {
		realms := w.text.Names.Realm(r.Realms.V & 0xffff)
		if from := r.Realms.V >> 16; from != 0 {
			realms = w.text.Names.Realm(from) + "/" + realms
		}
		p = append(p, "realms "+realms)
	}
	if r.Cache.OK && r.Cache.V.Expires != 0 {
		p = append(p, "expires "+strconv.Itoa(int(r.Cache.V.Expires)/object.UserHZ)+"s")
	}
	switch r.Pref {
	case object.Some[uint8](1):
		p = append(p, "pref high")
	case object.Some[uint8](3):
		p = append(p, "pref low")
	}
	const offloaded = 0x4000 | 0x8000 | 0x20000000 // RTM_F_OFFLOAD, RTM_F_TRAP, RTM_F_OFFLOAD_FAILED
	if flags := iproute2.AppendFlags(nil, r.Flags&offloaded); len(flags) > 0 {
		p = append(p, strings.ReplaceAll(string(flags), ",", " "))
	}
	return p
}

// objectOf says what a nexthop object is, if it is none of the usual.
func (w *writer) objectOf(id uint32) string {
	switch o, ok := rtnl.Get(w.snap, object.NexthopObjects, id); {
	case !ok:
	case o.Blackhole:
		return " (blackhole nexthop)"
	case len(o.Group) > 0 && o.GroupType == 1: // NEXTHOP_GRP_TYPE_RES
		return " (resilient nexthop group)"
	case len(o.Group) > 0:
		return " (nexthop group)"
	}
	return ""
}

// style is that of the other tables of the program.
func (w *writer) style(r *object.Route) iptext.Style {
	switch {
	case !w.opts.Color:
	case r.Type == object.Blackhole || r.Type == object.Unreachable || r.Type == object.Prohibit:
		return iptext.Red
	case r.Dst.IsValid() && r.Dst.Bits() == 0:
		return iptext.Bold
	}
	return ""
}

// shadowedBy names what comes before a route, and for which packets it does not.
func (w *writer) shadowedBy(t *shadow.Table, i int, by shadow.Shadow) (text string) {
	except, perhaps := by.Except, by.Perhaps
	if by.Table == nil {
		text = w.rule(by.Rule) + " " + outcome(by.Rule) // which says itself what it leaves out
		except, perhaps = without(except, by.Rule), without(perhaps, by.Rule)
	} else {
		text = w.before(t, i, by)
	}
	switch {
	case len(except) > 0:
		text += ", except for packets " + w.packets(except)
		if len(perhaps) > 0 {
			text += ", and perhaps for packets " + w.packets(perhaps)
		}
	case len(perhaps) > 0:
		text += ", except perhaps for packets " + w.packets(perhaps)
	}
	return text
}

// without returns rules without one of them that may be the last.
func without(rules []*object.Rule, last *object.Rule) []*object.Rule {
	if n := len(rules); n > 0 && rules[n-1] == last {
		return rules[:n-1]
	}
	return rules
}

// packets names those that rules are for, or that they leave out.
func (w *writer) packets(rules []*object.Rule) string {
	return firsts(rules, func(r *object.Rule) string {
		conditions := slices.DeleteFunc(w.text.Conditions(r), func(c string) bool { return c == "not" })
		return strings.Join(conditions, " ") + " (rule " + number(r.Priority) + ")"
	})
}

// refusedBy names rules that do not accept a route, and which they accept.
func (w *writer) refusedBy(rules []*object.Rule) string {
	return firsts(rules, func(r *object.Rule) string { return "rule " + number(r.Priority) + " (" + but(r) + ")" })
}

// firsts lists rules as a function has them, not all if they are many.
func firsts(rules []*object.Rule, name func(*object.Rule) string) string {
	const most = 3
	var names []string
	for _, r := range rules[:min(len(rules), most)] {
		names = append(names, name(r))
	}
	if more := len(rules) - most; more > 0 {
		names = append(names, plural(more, "more rule"))
	}
	return tables.Listed(names)
}

// before names the routes that come before a route.
func (w *writer) before(t *shadow.Table, i int, by shadow.Shadow) string {
	var own, other object.Route
	t.Route(i, &own, object.FieldDst)
	var names []string
	for _, j := range by.Routes {
		by.Table.Route(j, &other, object.FieldDst|object.FieldPriority|object.FieldSrc)
		name := iptext.Destination(other.Dst)
		if by.Table == t && other.Dst == own.Dst {
			if other.Src.IsValid() && other.Src.Bits() > 0 {
				name += " from " + iptext.Prefix(other.Src)
			}
			metric, _ := other.Metric()
			name += " metric " + number(metric)
			if t.SameRank(i, j) {
				name += ", which was first"
			}
		}
		names = append(names, name)
	}
	text := listed(names, by.Count)
	if by.Table != t {
		text = "table " + w.text.Names.Table(by.Table.ID) + " " + text
	}
	if by.Own == nil {
		return text
	}
	names = nil
	for _, j := range by.Own {
		t.Route(j, &other, object.FieldDst)
		names = append(names, iptext.Destination(other.Dst))
	}
	return text + ", and where that table throws by " + listed(names, by.OwnCount)
}

// listed lists some names, of so many there are.
func listed(names []string, count int) string {
	if count > len(names) {
		return names[0] + " and " + strconv.Itoa(count-1) + " others"
	}
	return strings.Join(names, " and ")
}

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

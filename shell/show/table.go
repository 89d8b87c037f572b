package show

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/shadow"
	"kernelroutes/shell/iptext"
)

// tablesInOrder prints the tables of a family in the order in which its rules consult them, then the others.
func (w *writer) tablesInOrder() error {
	for i := range w.rules {
		r := &w.rules[i]
		var ids []uint32
		switch {
		case r.L3MDev.V != 0:
			if ids = w.vrfTables(); len(ids) == 0 && w.everything() {
				w.print("")
				w.print(w.rule(r) + " lookup l3mdev-table: there is no VRF")
			}
		case r.Action == object.FR_ACT_TO_TBL && r.Table != 0:
			ids = []uint32{r.Table}
		case w.everything():
			w.print("")
			w.print(w.rule(r) + " " + outcome(r))
		}
		for _, id := range ids {
			if err := w.table(id); err != nil {
				return err
			}
		}
	}
	return w.unconsulted()
}

// everything reports whether nothing is left out.
func (w *writer) everything() bool { return w.only == nil && w.dev == 0 }

// unconsulted prints the tables that no rule leads to.
func (w *writer) unconsulted() error {
	var rest []uint32
	for t := range w.all.Tables() {
		if t.Family == w.family && !w.shown[t.ID] && w.wants(t.ID) && w.some(t) {
			rest = append(rest, t.ID)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	switch {
	case w.family == object.MPLS: // labels have one table, and no rules
	case len(w.rules) > 0:
		w.print("")
		w.print("no rule consults:")
	case w.family == object.IPv4 || w.family == object.IPv6:
		w.print("")
		w.print("no rules are known, so not which table is consulted when:")
	}
	if len(w.rules) == 0 { // then as the kernel's own rules have it: local, main, default
		slices.SortStableFunc(rest, func(a, b uint32) int { return cmp.Compare(place(a), place(b)) })
	}
	for _, id := range rest {
		if err := w.table(id); err != nil {
			return err
		}
	}
	return nil
}

// place is where the kernel's own rules have a table.
func place(table uint32) int {
	all := []uint32{object.RT_TABLE_LOCAL, object.RT_TABLE_MAIN, object.RT_TABLE_DEFAULT}
	if i := slices.Index(all, table); i >= 0 {
		return i
	}
	return math.MaxInt
}

// vrfTables returns the tables of VRFs, by the names of these.
func (w *writer) vrfTables() (ids []uint32) {
	for l := range rtnl.All(w.snap, object.Links) {
		if l.VRFTable != 0 && !slices.Contains(ids, l.VRFTable) {
			ids = append(ids, l.VRFTable)
		}
	}
	slices.SortFunc(ids, func(a, b uint32) int {
		return cmp.Or(strings.Compare(w.snap.VRF(a), w.snap.VRF(b)), cmp.Compare(a, b))
	})
	return ids
}

// ruleColumn is where the rules begin that lead to a table.
const ruleColumn = 36

// table prints a table that has not been printed yet, with all rules that lead to it.
func (w *writer) table(id uint32) error {
	if w.shown[id] || !w.wants(id) {
		return nil
	}
	w.shown[id] = true
	t := w.all.Table(w.family, id)
	some := w.some(t)
	head := "table " + w.text.Names.Table(id)
	if name := number(id); head != "table "+name {
		head += " (" + name + ")"
	}
	vrf := w.snap.VRF(id)
	if vrf != "" && (w.family == object.IPv4 || w.family == object.IPv6) {
		head += ", of VRF " + vrf
	}
	if !some {
		if w.dev != 0 {
			return nil
		}
		head += ", no routes"
	}
	w.print("")
	for i := range w.rules {
		r := &w.rules[i]
		if r.Action != object.FR_ACT_TO_TBL || r.Table != id && (r.L3MDev.V == 0 || vrf == "") {
			continue
		}
		b := iptext.Pad([]byte(head), 0, ruleColumn-2)
		w.print(string(b) + "  " + w.rule(r) + w.accepts(r, vrf))
		head = ""
	}
	if head != "" {
		w.print(head)
	}
	if r, all := w.all.Barred(w.family, id); r != nil {
		who := "  no packet comes here: before, "
		if !all {
			who = "  no packet comes here but those that a rule leaves out: before, "
		}
		w.print(who + w.rule(r) + " " + outcome(r))
	}
	if !some {
		return nil
	}
	w.tables++
	return w.routesOf(t)
}

// rule describes a rule, and which packets it is for.
func (w *writer) rule(r *object.Rule) string {
	p := w.text.Conditions(r)
	at := 0
	if len(p) > 0 && p[0] == "not" {
		at = 1
	}
	if !r.Src.IsValid() {
		p = slices.Insert(p, at, "from all")
	}
	s := "rule " + number(r.Priority) + ": " + strings.Join(p, " ")
	if r.IIFDetached() {
		s += " [no interface " + r.IIF + "]"
	}
	if r.OIFDetached() {
		s += " [no interface " + r.OIF + "]"
	}
	return s
}

// accepts says which packets and routes a rule that leads to a table is about beside that.
func (w *writer) accepts(r *object.Rule, vrf string) (s string) {
	if r.L3MDev.V != 0 {
		s += ", in VRF " + vrf + " (l3mdev)"
	}
	if all := but(r); all != "" {
		s += ", but " + all
	}
	return s
}

// but says which routes a rule accepts, "" for all.
func but(r *object.Rule) string {
	var all []string
	switch n, ok := r.SuppressedPrefixLen(); {
	case ok && n == 0:
		all = append(all, "no default route")
	case ok:
		all = append(all, "only routes longer than /"+number(n))
	}
	if group, ok := r.SuppressedIfGroup(); ok {
		all = append(all, "none through interface group "+number(group))
	}
	return strings.Join(all, " and ")
}

// outcome says what a rule does that leads to no table.
func outcome(r *object.Rule) string {
	s := r.Action.String()
	if r.Action == object.FR_ACT_GOTO {
		s += " " + number(r.Goto.V)
	}
	if r.Unresolved() {
		s += " [there is no such rule]"
	}
	return s
}

// some reports whether a table has routes that are to be shown.
func (w *writer) some(t *shadow.Table) bool {
	if t == nil || w.dev == 0 {
		return t != nil
	}
	for i := range t.Len() {
		if w.leadsThrough(t, i) {
			return true
		}
	}
	return false
}

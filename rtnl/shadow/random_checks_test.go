package shadow

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// exceptions checks that no packets come to a route but those of the rules that are named, and that packets of each of
// these do, but where that is not certain.
func (s *scene) exceptions(t *testing.T, proto uint8, by *Shadow, answers map[packet]string) {
	t.Helper()
	s.mostly++
	s.excepted += len(by.Except)
	s.possible += len(by.Perhaps)
	comes := map[*object.Rule]bool{}
	for p, answer := range answers {
		if answer != fmt.Sprint(proto) {
			continue
		}
		known := false
		for _, r := range append(by.Except[:len(by.Except):len(by.Except)], by.Perhaps...) {
			if p.of(r) {
				comes[r], known = true, true
			}
		}
		if !known {
			t.Errorf("is said to be shadowed but for packets of other rules, and decides about %+v: %s", p,
				s.lines[proto])
		}
	}
	refuses := !strings.Contains(s.lines[proto], "dev ") // of which the answer does not say which one it was
	for _, r := range by.Except {
		if !comes[r] && !refuses {
			t.Errorf("packets of rule %d are said to come to it, and do not: %s", r.Priority, s.lines[proto])
		}
	}
}

// of reports whether a packet is one of those that a rule singles out.
func (p packet) of(r *object.Rule) bool {
	mark, mask, marked := r.FWMark()
	return (marked || r.Src.IsValid() || r.TOS != 0 || r.IIF == "v0") && (!marked || (mark^p.mark)&mask == 0) &&
		(r.IIF == "" || r.IIF == "v0" && p.in) &&
		(!r.Src.IsValid() || p.from) && (r.TOS == 0 || p.tos) && (!r.Dst.IsValid() || r.Dst.Contains(p.to))
}

// singling returns a rule by chance, of a scene in which most are for few packets, or for all but few.
func (s *scene) singling() string {
	from := s.pick("from 10.0.0.1 ", "from fd00::1 ")
	priority := 100 * (1 + s.IntN(9))
	rule := fmt.Sprintf("rule add priority %d ", priority)
	rule += s.one("", "", "", "fwmark 1 ", "fwmark 1 ", "not fwmark 1 ", "not fwmark 1 ", "not fwmark 1 ", from,
		"not "+from, "fwmark 1 "+from, "not fwmark 1 "+from, "fwmark 2 ",
		"iif v0 ", "not iif v0 ", "iif lo ", "not iif v0 fwmark 1 ", "iif v0 fwmark 1 ", "fwmark 1/3 ",
		"not fwmark 0/2 ", "tos 0x10 ")
	if s.IntN(8) == 0 {
		rule += "to " + s.dst() + " "
	}
	switch s.IntN(9) {
	case 0, 1:
		return rule + fmt.Sprintf("goto %d", priority+100*(1+s.IntN(4)))
	case 2:
		return rule + s.one("prohibit", "unreachable", "nop")
	}
	rule += "lookup " + s.one("100", "101", "main")
	if s.entangled && s.IntN(3) == 0 {
		rule += fmt.Sprintf(" suppress_prefixlength %d", s.IntN(2)*(s.family.AddrLen()*8-1-s.IntN(5)))
	}
	return rule
}

// counted checks that there was something to be checked of packets that come to a route all the same.
func (s *scene) counted(t *testing.T, mode string) {
	t.Helper()
	t.Logf("%d routes were shadowed for all but few packets, %d rules let these come for certain, %d perhaps", s.mostly,
		s.excepted, s.possible)
	t.Logf("%d routes were accepted by no rule", s.refused)
	if mode != "few packets" {
		return
	}
	if s.excepted < nstest.Amount(60, 20) || s.possible > 2*s.excepted {
		t.Error("of too few packets it was certain that they come to a route that is shadowed for all others")
	}
	t.Logf("to %d tables no packets came, not even those that a rule leaves out", s.none)
	if s.none == 0 {
		t.Error("there were none of them")
	}
	if s.refused < nstest.Amount(10, 2) {
		t.Error("too few routes were accepted by no rule")
	}
}

// barred checks that no packet, or none that no rule singles out, comes to a table of which that is said.
func (s *scene) barred(t *testing.T, a *Analysis, table *Table, deciding, ordinary map[string]bool) {
	t.Helper()
	by, all := a.Barred(s.family, table.ID)
	if table.Family != s.family || by == nil {
		return
	}
	if !all {
		deciding = ordinary
	}
	if by.Flags&object.FIB_RULE_INVERT != 0 && all {
		s.none++
	}
	for i := range table.Len() {
		var r object.Route
		if table.Route(i, &r, object.AllFields); s.lines[r.Protocol] != "" && deciding[fmt.Sprint(r.Protocol)] {
			t.Errorf("no packet is said to come to it by rule %d, and it decides: %s", by.Priority, s.lines[r.Protocol])
		}
	}
}

// without takes away routes that decide about nothing.
func (s *scene) without(t *testing.T, shadowed []uint8, to []netip.Addr, before map[packet]string) {
	t.Helper()
	var lines []string
	for _, proto := range shadowed {
		lines = append(lines, "route del "+s.lines[proto])
	}
	batch(t, s.family, lines)
	for packet, answer := range s.answers(t, to) {
		if answer != before[packet] {
			t.Errorf("without what is said to be shadowed %v becomes %q, not %q", packet, answer, before[packet])
		}
	}
}

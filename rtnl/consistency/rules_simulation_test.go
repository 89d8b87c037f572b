package consistency

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
)

// A ruleList is a kernel's list of rules of one family, by their names (see ruleOf), while it
// changes.
type ruleList struct {
	*rand.Rand
	rules  []string
	stayed []string       // those that are there since the beginning
	most   map[string]int // how many of a name there were at most
	late   []byte         // the last change, of which nobody was told yet
	heard  *Changes
}

func count(rules []string, name string) (n int) {
	for _, r := range rules {
		if r == name {
			n++
		}
	}
	return n
}

// change adds a rule behind those of its priority, or deletes the first one of its name, which
// is told now, or before the next change, as whoever made it waits for that.
func (l *ruleList) change() {
	l.tell()
	name := fmt.Sprintf("%d%c", 1+l.IntN(2), 'a'+l.IntN(26))
	typ := object.RTM_NEWRULE
	if i := slices.Index(l.rules, name); i >= 0 && l.IntN(4) > 0 {
		l.rules = slices.Delete(l.rules, i, i+1)
		if i := slices.Index(l.stayed, name); i >= 0 {
			l.stayed = slices.Delete(l.stayed, i, i+1)
		}
		typ = object.RTM_DELRULE
	} else {
		after := slices.IndexFunc(l.rules, func(r string) bool { return r[0] > name[0] })
		if after < 0 {
			after = len(l.rules)
		}
		l.rules = slices.Insert(l.rules, after, name)
	}
	l.late = ruleOf(name)
	copy(l.late[4:], NE(uint16(typ)))
	if l.IntN(3) > 0 {
		l.tell()
	}
	l.most[name] = max(l.most[name], count(l.rules, name))
}

func (l *ruleList) tell() {
	if l.late != nil {
		l.heard.add(l.late)
		l.late = nil
	}
}

// dump returns the datagrams of a dump that resumes by how many rules it has sent. What is told
// late is told before the end of the next dump.
func (l *ruleList) dump(changes int) string {
	defer func(late []byte) {
		if late != nil && l.late != nil && &late[0] == &l.late[0] {
			l.tell()
		}
	}(l.late)
	var datagrams []string
	for sent := 0; ; {
		n := min(1+l.IntN(9), max(len(l.rules)-sent, 0))
		d := slices.Clone(l.rules[min(sent, len(l.rules)):min(sent+n, len(l.rules))])
		if sent += n; sent >= len(l.rules) {
			datagrams = append(datagrams, strings.Join(append(d, "DONE"), " "))
			return strings.Join(datagrams, "|")
		}
		datagrams = append(datagrams, strings.Join(d, " "))
		for range l.IntN(changes + 1) {
			l.change()
		}
	}
}

// TestSimulationRules reads simulated rules while some change, of which some are alike: where it
// is said to be whole, none that was there all the time is missing, and none comes more often
// than there were.
func TestSimulationRules(t *testing.T) {
	whole, all := 0, 0
	for seed := range seeds() * 5 {
		l := &ruleList{Rand: rand.New(rand.NewPCG(seed, 9)), most: map[string]int{}, heard: &Changes{}}
		alike := 1 + l.IntN(30)
		for range 5 + l.IntN(40) {
			name := fmt.Sprintf("%d%c", 1+l.IntN(2), 'a'+l.IntN(26))
			if count(l.rules, name) == 0 || l.IntN(alike) == 0 {
				l.rules = append(l.rules, name)
			}
		}
		slices.SortStableFunc(l.rules, func(a, b string) int { return int(a[0]) - int(b[0]) })
		l.stayed = slices.Clone(l.rules)
		for _, r := range l.rules {
			l.most[r] = count(l.rules, r)
		}
		changes := l.IntN(4)
		var dumps []*Dump
		var history []string
		for range 5 {
			before := strings.Join(l.rules, " ")
			datagrams := l.dump(changes)
			history = append(history, before+"\n    "+datagrams)
			s, err := runSink(t, answerRules(datagrams), func(s *Sink) { s.Dump.Kind = object.Rules.Kind })
			if err != nil {
				t.Fatal(err)
			}
			s.Dump.FindGaps(l.heard)
			dumps = append(dumps, &s.Dump)
			next := l.heard.Next()
			l.heard = &next
			list, _, missing := Merge(dumps, wanted, nil)
			if all++; len(missing) > 0 {
				continue
			}
			whole++
			got := map[string]int{}
			object.Each(list, func(m *object.Message) bool {
				got[ruleName(m)]++
				return true
			})
			for name, most := range l.most {
				if n := count(l.stayed, name); got[name] < n || got[name] > most {
					t.Errorf("seed %d: %d of %s, of which there were %d all the time and %d at most\n  %s", seed,
						got[name],
						name, n, most, strings.Join(history, "\n  "))
				}
			}
			if t.Failed() {
				return
			}
			break
		}
	}
	t.Logf("%d of %d were whole", whole, all)
}

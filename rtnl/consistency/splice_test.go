package consistency

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"

	. "kernelroutes/internal/fakekernel"
	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
)

// ruleOf is a message about a rule, told by a letter from others of its priority: the same
// letter twice is one rule.
func ruleOf(name string) []byte {
	priority := uint32(name[0])
	var letter byte
	if len(name) > 1 {
		letter = name[1]
	}
	return RuleMessage(0, &object.Rule{Family: object.IPv4, Priority: priority, Table: 7,
		Dst: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, letter}), 16)})
}

// ruleName is what ruleOf made a message of.
func ruleName(m *object.Message) string {
	var r object.Rule
	object.Rules.Decode(&r, m)
	name := string(rune(r.Priority))
	if letter := r.Dst.Addr().As4()[1]; letter != 0 {
		name += string(rune(letter))
	}
	return name
}

// ruleDump has what datagrams of a dump hold, separated by "|", and what was heard while it
// ran, with a "-" where it went. Where DONE comes last it is in the last datagram, as since
// Linux 6.9; the others are older.
type ruleDump struct{ datagrams, heard string }

// ruleMerges are dumps of rules and what is proved of them: digits are priorities, letters rules
// of one.
var ruleMerges = []struct {
	name  string
	dumps []ruleDump
	want  string
	whole bool
}{
	{"one datagram, while others change", []ruleDump{{"1 2 3 DONE", "9"}}, "1 2 3", true},
	{"one datagram whose end is not told", []ruleDump{{"1 2 3", "9"}}, "1 2 3", false},
	{"one that heard of nothing, before Linux 6.9", []ruleDump{{"1 2 | 3", ""}}, "1 2 3", true},
	{"one that heard of nothing may hear of it yet", []ruleDump{{"1 2 | 3 DONE", ""}}, "1 2 3", false},
	{"nor is it known where NLMSG_DONE came alone", []ruleDump{{"1 2 | 3 | DONE", ""}}, "1 2 3", false},
	{"two that heard of nothing", []ruleDump{{"1 2 | 3 DONE", ""}, {"1 2 | 3 DONE", ""}}, "1 2 3", true},
	{"two that are not alike", []ruleDump{{"1 2 | 3 DONE", ""}, {"1 2 | 2 3 DONE", ""}}, "", false},
	{"the second one heard of it", []ruleDump{{"1 2 | 4 DONE", ""}, {"1 2 | 4 DONE", "1"}}, "1 2 4", false},
	{"one begins where the other ended", []ruleDump{{"1 2 | 4 DONE", "1"}, {"1 | 2 3 4 DONE", "1"}}, "", false},
	{"or before that", []ruleDump{{"1 2 3 | 5 DONE", "1"}, {"1 | 2 3 4 5 DONE", "1"}}, "1 2 3 4 5", true},
	{"as far as it is known where", []ruleDump{{"1 2 | 5 DONE", "1"}, {"1 2 3 4 | 5 DONE", "1"}}, "1 2 3 4 5", false},
	{"and on", []ruleDump{{"1 2 | 5 6 7 DONE", "1"}, {"1 2 3 5 6 | 7 DONE", "1"}}, "1 2 3 5 6 7", true},

	// Rules of one priority.
	{"one datagram", []ruleDump{{"5a 5b DONE", "5a"}}, "5a 5b", true},
	{"an untouched one leads on", []ruleDump{{"5a 5b | 5d DONE", "5x"}, {"5a 5b 5c | 5d DONE", "5x"}}, "", false},
	{"over the gap", []ruleDump{{"5a 5b | 5d 5e 5f DONE", "5x"}, {"5a 5b 5c 5d 5e | 5f DONE", "5x"}},
		"5a 5b 5c 5d 5e 5f", true},
	{"where the one before ends is touched",
		[]ruleDump{{"5a 5b | 5d 5e DONE", "5b"}, {"5a | 5b 5c 5d | 5e DONE", "5b"}}, "", false},
	{"but one before that is not",
		[]ruleDump{{"5a 5b | 5d 5e 5f DONE", "5b"}, {"5a 5b 5c 5d 5e | 5f DONE", "5b"}}, "5a 5b 5c 5d 5e 5f", true},
	{"nor the one before it, which another one may be like",
		[]ruleDump{{"5a 5b | 5d 5e DONE", "5x"}, {"5a 5b 5c 5d | 5e DONE", "5x"}}, "", false},
	{"what is touched comes once",
		[]ruleDump{{"5a 5t 5b | 5d DONE", "5t"}, {"5a 5b 5c 5d 5t DONE", ""}}, "5a 5b 5c 5d 5t", true},
	{"taken before, it does not come again",
		[]ruleDump{{"5a 5t 5b 5c | 5e DONE", "-5t"}, {"5a | 5b 5c 5d 5e 5f 5t DONE", "5t"}}, "5a 5t 5b 5c 5d 5e 5f",
		true},
	{"but one that did not go is another one", []ruleDump{{"5a 5t 5b 5c | 5e DONE", "5x"},
		{"5a | 5b 5c 5d 5e 5t 5f 5t DONE", "5t"}}, "5a 5t 5b 5c 5d 5e 5t 5f 5t", true},
	{"of several, it is not known which went", []ruleDump{{"5a 5t 5b 5c | 5e DONE", "5x"},
		{"5a 5b | 5c 5d 5e 5t 5f 5t DONE", "5t -5t"}}, "", false},
	{"alike ones are none to go by",
		[]ruleDump{{"5a 5b 5b | 5d DONE", "5x"}, {"5a | 5c 5b 5b 5d | 5e DONE", "5x"}}, "", false},
	{"but stay as many",
		[]ruleDump{{"5a 5b 5b 5f 5c | 5e DONE", "5x"}, {"5a | 5b 5b 5f 5c 5d 5e DONE", "5x"}},
		"5a 5b 5b 5f 5c 5d 5e", true},
	{"alike ones in different datagrams are none to go by either",
		[]ruleDump{{"5a 5b | 5c 5d | 5a 5b | 5c 5e DONE", "5x"}, {"5a 5b 5c | 5d 5a 5b | 5c 5e DONE", "5x"}}, "",
		false},
	{"others among them are", []ruleDump{{"5a 5b 5e 5f 5a | 5b 5g 5h DONE", "5x"},
		{"5a 5b | 5e 5f 5a 5b 5g 5h | 5i DONE", "5i"}}, "5a 5b 5e 5f 5a 5b 5g 5h", true},
	{"one went, and another one was before an untouched one all the time", []ruleDump{
		{"5a 5t 5b 5c | 5e 5f DONE", "-5t"}, {"5a | 5b 5c 5t 5d | 5e 5f 5t DONE", "5t"},
		{"5a 5b | 5c 5t 5d 5e 5f | 5t DONE", ""}}, "5a 5t 5b 5c 5t 5d 5e 5f", true},
	{"it is not known what changed, but likely",
		[]ruleDump{{"5a 5b | 5d 5e 5f DONE", "?"}, {"5a 5b 5c 5d 5e | 5f DONE", "5x"}}, "5a 5b 5c 5d 5e 5f", false},
}

// TestRulesMerge has what is proved of rules.
func TestRulesMerge(t *testing.T) {
	for _, tc := range ruleMerges {
		var dumps []*Dump
		heard := &Changes{}
		for _, d := range tc.dumps {
			s, err := runSink(t, answerRules(d.datagrams), func(s *Sink) {
				s.Dump.Kind, s.Dump.Locked = object.Rules.Kind, !strings.Contains(d.datagrams, "DONE")
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range strings.Fields(d.heard) {
				switch name, gone := strings.CutPrefix(name, "-"); {
				case gone:
					m := ruleOf(name)
					copy(m[4:], NE(uint16(object.RTM_DELRULE)))
					heard.add(m)
				case name == "?":
					heard.everything()
				default:
					heard.add(ruleOf(name))
				}
			}
			s.Dump.FindGaps(heard)
			dumps = append(dumps, &s.Dump)
			next := heard.Next()
			heard = &next
		}
		list, _, missing := Merge(dumps, wanted, nil)
		var got []string
		object.Each(list, func(m *object.Message) bool {
			got = append(got, ruleName(m))
			return true
		})
		if whole := len(missing) == 0; whole != tc.whole || (tc.want != "" && strings.Join(got, " ") != tc.want) {
			t.Errorf("%s: %q, whole %v, want %q, %v", tc.name, got, whole, tc.want, tc.whole)
		}
	}
}

// answerRules answers a dump with datagrams of rules.
func answerRules(datagrams string) func(Request) []Event {
	return func(r Request) (all []Event) {
		done := false
		for text := range strings.SplitSeq(datagrams, "|") {
			var messages [][]byte
			for _, name := range strings.Fields(text) {
				if done = name == "DONE"; done {
					messages = append(messages, Done(r.Seq, 0))
					continue
				}
				m := ruleOf(name)
				copy(m[8:], NE(r.Seq))
				messages = append(messages, m)
			}
			all = append(all, Datagram(messages...))
		}
		if !done {
			all = append(all, Datagram(Done(r.Seq, 0)))
		}
		return all
	}
}

// TestNoRules: a kernel without rules, of a family or at all, has none; any other error is one.
func TestNoRules(t *testing.T) {
	for errno, ok := range map[syscall.Errno]bool{syscall.EAFNOSUPPORT: true, syscall.EOPNOTSUPP: true,
		syscall.ENOENT: false, syscall.EINVAL: false} {
		answer := func(r Request) []Event { return []Event{Datagram(Failed(r.Seq, uint32(errno)))} }
		s, err := runSink(t, answer, func(s *Sink) {
			s.Dump.Kind, s.Dump.Request.Family = object.Rules.Kind, object.IPMR
		})
		if (err == nil) != ok || len(s.Dump.Parts) > 0 || s.Dump.done {
			t.Errorf("%v: %v, %d parts", errno, err, len(s.Dump.Parts))
		}
	}
	if _, err := runSink(t, func(r Request) []Event {
		return []Event{Datagram(Failed(r.Seq, uint32(syscall.EAFNOSUPPORT)))}
	}, nil); err == nil {
		t.Error("routes are none where their family is not known")
	}
}

// TestTouched forgets which objects were touched where there are too many.
func TestTouched(t *testing.T) {
	var few touched
	for i := range uint64(maxTouched) {
		few.add(i, false)
		few.add(i, false)
	}
	if few.lost || len(few.objects) != maxTouched {
		t.Errorf("%d, lost %v", len(few.objects), few.lost)
	}
	if few.add(maxTouched, false); !few.lost {
		t.Error("there are not too many")
	}
	var c Changes
	c.add(ruleOf("1"))
	c.add(ruleOf("2"))
	next := c.Next()
	next.add(ruleOf("3"))
	if got := len(next.heard(object.Rules.Kind).touched.objects); got != 3 {
		t.Errorf("%d rules are known to be touched", got)
	}
	if next.Told(links) || !next.Told(object.Rules.Kind) {
		t.Error("what was told before is told again")
	}
}

package rtnl

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/netlink"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

const (
	rtmGetRule    = object.RTM_GETRULE
	fraPriority   = 6 // FRA_PRIORITY
	fibRuleHdrLen = 12
)

// withRules returns the kind of rules, as it is declared, or until the test ends in its place
// one that the package has never heard of: whose objects a dump brings all (whole), or that is
// dumped by table as routes are, in all families at once.
func withRules(t *testing.T, how string) *object.Kind {
	t.Helper()
	if how == "as declared" {
		return object.Rules.Kind
	}
	rules := &object.Kind{}
	*rules = *object.Rules.Kind // its place cannot be set
	rules.ByFamily, rules.Unlocked, rules.Nested, rules.StaleWith = false, false, nil, nil
	if how == "whole" {
		rules.Request = func(uint32) []byte { return make([]byte, fibRuleHdrLen) }
		rules.Dump, rules.Table, rules.Position, rules.Order = nil, nil, nil, nil
	}
	before := object.Kinds
	t.Cleanup(func() { object.Kinds = before })
	object.Kinds = slices.Clone(before)
	object.Kinds[rules.Ordinal()] = rules
	return rules
}

// eachWay runs a test with all declarations of rules.
func eachWay(t *testing.T, test func(t *testing.T, rules *object.Kind)) {
	for _, how := range []string{"as declared", "by table", "whole"} {
		t.Run(how, func(t *testing.T) { test(t, withRules(t, how)) })
	}
}

// rulesIn returns family and priority of the rules in a snapshot.
func rulesIn(s *Snapshot, rules *object.Kind) (all []string) {
	object.Each(s.Runs(rules), func(m *object.Message) bool {
		all = append(all, fmt.Sprint(object.Family(m.Payload()[0]), " ", m.U32(fraPriority)))
		return true
	})
	return all
}

// rulesOfIP returns the same of those that ip shows.
func rulesOfIP(t *testing.T, family string, f object.Family) (all []string) {
	t.Helper()
	out, err := exec.Command("ip", "-j", family, "rule").Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Priority uint32 }
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		all = append(all, fmt.Sprint(f, " ", r.Priority))
	}
	return all
}

// A spyingSocket notes what the kernel is asked.
type spyingSocket struct {
	conn.Socket
	asked *[]uint16
}

func (s spyingSocket) Send(m netlink.Message) (netlink.Message, error) {
	*s.asked = append(*s.asked, uint16(m.Header.Type))
	return s.Socket.Send(m)
}

// TestRules reads rules as ip shows them, and asks for nothing else.
func TestRules(t *testing.T) {
	eachWay(t, func(t *testing.T, rules *object.Kind) {
		nstest.New(t)
		nstest.Batch(t, "-4", "rule add priority 100 from 10.0.0.0/8 table 100",
			"rule add priority 100 fwmark 1 table 101")
		nstest.Batch(t, "-6", "rule add priority 200 from fd00::/8 table 100")
		var asked []uint16
		k := Kernel{stats: rt6StatsPath}
		k.dial = func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
			s, strict, err := conn.Dial(ctx, ns, groups)
			return spyingSocket{s, &asked}, strict, err
		}
		want := slices.Concat(rulesOfIP(t, "-4", object.IPv4), rulesOfIP(t, "-6", object.IPv6))
		req := Request{Kinds: []*object.Kind{rules}}
		s, err := k.Read(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		got := slices.DeleteFunc(rulesIn(s, rules), func(r string) bool { return !strings.HasPrefix(r, "ipv") })
		// Where the kernel has IPv6 behind its other families, only a second dump tells that it came to its end.
		if !slices.Equal(got, want) || !s.Consistent || s.Tries > 2 || len(want) != 8 {
			t.Errorf("got %q, want %q; consistent: %v, tries: %d, asked %d", got, want, s.Consistent, s.Tries,
				asked)
		}
		for _, typ := range asked {
			if typ != rtmGetRule && typ != wire.NLMSG_NOOP { // with which a socket is warmed
				t.Errorf("asked for %d", typ)
			}
		}
		cache := Cache{Kernel: k}
		defer cache.Close()
		req.Filter = Filter{None: true, Families: []object.Family{object.IPv4}, EveryFamily: true} // which is of routes
		for _, source := range []interface {
			Read(context.Context, Request) (*Snapshot, error)
		}{&k, &cache, s.Instant(nil)} {
			again, err := source.Read(t.Context(), req)
			if err != nil || !slices.Equal(rulesIn(again, rules), rulesIn(s, rules)) {
				t.Errorf("%T has other rules, %v", source, err)
			}
		}
		if n, consistent, err := k.Count(t.Context(), req); err != nil || !consistent || n != s.Count(rules) {
			t.Errorf("%d rules of %d, %v, %v", n, s.Count(rules), consistent, err)
		}
	})
}

// TestSplitRules parts what has a place of its own, and no destination.
func TestSplitRules(t *testing.T) {
	eachWay(t, func(t *testing.T, rules *object.Kind) {
		const all = 3 * leastPart / 36 // bytes
		var log object.Messages
		var m object.Message
		for i := range uint32(all) {
			payload := nltest.Cat(nltest.With(make([]byte, fibRuleHdrLen), 0, byte(object.IPv4)),
				nltest.Attr(fraPriority, nltest.NE(i/5)))
			if err := rules.Check(&m, nltest.Padded(object.RTM_NEWRULE, 0, 0, payload)); err != nil {
				t.Fatal(err)
			}
			log.Add(&m)
		}
		parts := NewSnapshot(true, map[*object.Kind][]object.Run{rules: log.Runs}).Split(rules, 3)
		byNumber := func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }
		var got []string
		for i, p := range parts {
			of := rulesIn(p, rules)
			if i > 0 && rules.Order != nil && got[len(got)-1] == of[0] {
				t.Errorf("%s is in two parts", of[0])
			}
			got = append(got, of...)
		}
		if len(parts) < 2 || len(got) != all || !slices.IsSortedFunc(got, byNumber) {
			t.Errorf("%d of %d rules in %d parts", len(got), all, len(parts))
		}
	})
}

// TestWatchRules tells of rules.
func TestWatchRules(t *testing.T) {
	eachWay(t, func(t *testing.T, rules *object.Kind) {
		nstest.New(t)
		changes := (&Kernel{}).Watch(t.Context(), "", rules)
		nstest.Batch(t, "-4", "rule add priority 100 table 100", "rule del priority 100")
		nstest.Batch(t, "-6", "rule add priority 200 table 100", "rule del priority 200")
		var got []string
		for c, err := range changes {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(object.Family(c.Message.Payload()[0]), " ", c.Message.U32(fraPriority), " ",
				c.Gone))
			if len(got) == 4 {
				break
			}
		}
		if want := []string{"ipv4 100 false", "ipv4 100 true", "ipv6 200 false", "ipv6 200 true"}; !slices.Equal(got,
			want) {
			t.Errorf("got %q", got)
		}
	})
}

// TestChurnOfRules reads rules beside changes of others, and looks for those that nobody
// touched. The kernel goes on by how many it has walked over, and does not say that a dump
// was interrupted.
func TestChurnOfRules(t *testing.T) {
	for _, tc := range []struct {
		family string
		f      object.Family
	}{{"-4", object.IPv4}, {"-6", object.IPv6}} {
		eachWay(t, func(t *testing.T, rules *object.Kind) {
			nstest.New(t)
			var lines []string
			want := map[string]int{}
			for i := range manyRules {
				lines = append(lines, fmt.Sprintf("rule add priority %d table 100", 1000+2*i))
				want[fmt.Sprint(tc.f, " ", 1000+2*i)] = 0
			}
			nstest.Batch(t, tc.family, lines...)
			c := churn(t, tc.family, func(i int) string {
				if i%100 == 0 {
					// Without a pause, on a machine that is busy, no dump of the last table ends
					// before something changes, and every snapshot rightly says so.
					time.Sleep(5 * time.Millisecond)
				}
				verb := []string{"add", "del"}[i%2]
				return fmt.Sprintf("rule %s priority %d table 100", verb, 1001+i/2*7919%manyRules*2)
			})
			readRules(t, rules, want, func() bool { return c.changes.Load() >= manyChanges })
			close(c.stop)
			<-c.done
			if c.changes.Load() < manyChanges {
				t.Errorf("only %d changes: this proves nothing", c.changes.Load())
			}
		})
	}
}

const (
	manyRules   = 1000 // take several datagrams
	manyChanges = 5000 // are more than wait in a pipe for ip to make them
)

// readRules reads rules again and again, until enough has changed, and counts in untouched
// how often each came.
func readRules(t *testing.T, rules *object.Kind, untouched map[string]int, enough func() bool) {
	dumps, tries, consistent := 0, 0, 0
	least := nstest.Amount(200, 50)
	for ; dumps < least || !enough() && dumps < 100*least; dumps++ {
		s, err := (&Kernel{}).Read(t.Context(), Request{Kinds: []*object.Kind{rules}})
		if err != nil {
			t.Fatal(err)
		}
		if tries += s.Tries; s.Consistent {
			consistent++
		}
		for _, r := range rulesIn(s, rules) {
			if _, ok := untouched[r]; ok {
				untouched[r]++
			}
		}
		lost, twice := 0, 0
		for r, n := range untouched {
			if untouched[r] = 0; n == 0 {
				lost++
			} else if n > 1 {
				twice++
			}
		}
		if lost > 0 && s.Consistent || twice > 0 && (s.Consistent || rules.Dump != nil) {
			t.Errorf("%d rules lost, %d twice, consistent %v, %d tries", lost, twice, s.Consistent, s.Tries)
		}
	}
	t.Logf("%d dumps, %d consistent, %.1f tries each", dumps, consistent, float64(tries)/float64(dumps))
	if consistent == 0 {
		t.Error("no snapshot is consistent")
	}
}

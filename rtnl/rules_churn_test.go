package rtnl

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// TestChurnOfManyRules reads rules beside changes of others without a pause, and looks for
// those that nobody touched in every snapshot, whether or not it is consistent: none is lost,
// none comes twice.
func TestChurnOfManyRules(t *testing.T) {
	for _, f := range []object.Family{object.IPv4, object.IPv6} {
		for _, tc := range []struct {
			name      string
			untouched func(i int) string
			change    func(i int) string // of the i-th change
		}{
			{"between others", func(i int) string { return fmt.Sprintf("priority %d", 1000+2*i) },
				func(i int) string { return fmt.Sprintf("priority %d", 1001+i/2*7919%manyRules*2) }},
			// All that comes after them moves by so many places from one datagram to the next.
			{"before others, in bursts", func(i int) string { return fmt.Sprintf("priority %d", 1000+i) },
				func(i int) string { return fmt.Sprintf("priority %d", 10+i%burst) }},
			{"of one priority", func(i int) string { return "priority 1000 from " + hostOf(f, 1, i) },
				func(i int) string { return "priority 10 from " + hostOf(f, 2, i%burst) }},
			{"of one priority, among others", func(i int) string { return "priority 1000 from " + hostOf(f, 1, i) },
				func(i int) string { return "priority 1000 from " + hostOf(f, 2, i%burst) }},
		} {
			t.Run(fmt.Sprint(f, " ", tc.name), func(t *testing.T) {
				nstest.New(t)
				option := map[object.Family]string{object.IPv4: "-4", object.IPv6: "-6"}[f]
				var before, lines []string
				for i := range burst { // some are there in any case, and come and go
					if tc.name != "between others" {
						before = append(before, "rule add "+tc.change(i)+" table 100")
					}
				}
				for i := range manyRules {
					lines = append(lines, "rule add "+tc.untouched(i)+" table 200")
				}
				nstest.Batch(t, option, append(before[:len(before)/2], lines...)...)
				c := churn(t, option, func(i int) string {
					verb := []string{"add", "del"}[i%2]
					if tc.name != "between others" {
						verb = []string{"add", "del"}[i/burst%2]
					}
					return "rule " + verb + " " + tc.change(i) + " table 100"
				})
				start := time.Now()
				readUntouched(t, f, func() bool { return c.changes.Load() >= manyChanges })
				changes := c.changes.Load()
				t.Logf("%.0f changes a second", float64(changes)/time.Since(start).Seconds())
				close(c.stop)
				<-c.done
				if changes < manyChanges {
					t.Errorf("only %d changes: this proves nothing", changes)
				}
			})
		}
	}
}

// burst is how many rules come, or go, one after the other.
const burst = 200

// hostOf returns the i-th prefix of a family and network.
func hostOf(f object.Family, network byte, i int) string {
	if f == object.IPv4 {
		return netip.AddrFrom4([4]byte{10, network, byte(i >> 8), byte(i)}).String()
	}
	return netip.AddrFrom16([16]byte{0xfd, 1: network, 14: byte(i >> 8), 15: byte(i)}).String()
}

// readUntouched reads the rules of a family again and again, until enough has changed, and
// counts those of table 200.
func readUntouched(t *testing.T, f object.Family, enough func() bool) {
	t.Helper()
	dumps, tries, consistent, worst := 0, 0, 0, 0
	least := nstest.Amount(200, 30)
	for ; dumps < least || !enough() && dumps < 100*least; dumps++ {
		req := Request{Kinds: []*object.Kind{object.Rules.Kind}}
		if dumps%2 == 0 {
			req.Families = []object.Family{f}
		}
		s, err := (&Kernel{}).Read(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		tries += s.Tries
		if s.Consistent {
			consistent++
		}
		seen := map[string]int{}
		for r := range All(s, object.Rules) {
			if r.Table == 200 {
				seen[fmt.Sprint(r.Family, r.Priority, r.Src)]++
			}
		}
		twice := 0
		for _, n := range seen {
			if n > 1 {
				twice++
			}
		}
		if lost := manyRules - len(seen); lost > 0 || twice > 0 {
			worst = max(worst, lost)
			t.Errorf("dump %d: %d rules lost, %d twice (consistent: %v, tries: %d)", dumps, lost, twice, s.Consistent,
				s.Tries)
		}
	}
	t.Logf("%d dumps, %d consistent, %.1f tries each, at most %d lost", dumps, consistent,
		float64(tries)/float64(dumps), worst)
}

package diff

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kernelroutes/tables"
)

// TestRandomChanges: whatever changes, as many routes and rules differ as ip says, and what was with
// the differences is what is now.
func TestRandomChanges(t *testing.T) {
	hosts(t, "v0", "v1")
	routing(t)
	random := rand.New(rand.NewPCG(15, 4))
	before := taken(t, "before")
	routes, rules := listed(t, "route", "show", "table", "all"), listed(t, "rule", "show")
	told := 0
	for round := range 12 {
		var batch strings.Builder
		for range 1 + random.IntN(12) {
			fmt.Fprintln(&batch, randomChange(random))
		}
		cmd := exec.Command("ip", "-force", "-batch", "-") // some are of what is not there
		cmd.Stdin = strings.NewReader(batch.String())
		out, _ := cmd.CombinedOutput()
		after := taken(t, "after")
		all := differences(t, before, after)
		told += len(all)
		moreRoutes, moreRules := listed(t, "route", "show", "table", "all"), listed(t, "rule", "show")
		for table, ip := range map[string][2][]string{
			tables.Routes.Name: {routes, moreRoutes}, tables.Rules.Name: {rules, moreRules},
		} {
			var was, now int
			for _, x := range all {
				if x.Table == table {
					was, now = was+min(len(x.Was), 1), now+min(len(x.Now), 1)
				}
			}
			if gone, come := len(less(ip[0], ip[1])), len(less(ip[1], ip[0])); was != gone || now != come {
				t.Fatalf("round %d: %s: %d that were and %d that are, ip has %d and %d\n%s%s\n%s\n%s\n%v", round, table,
					was, now, gone, come, &batch, out, less(ip[0], ip[1]), less(ip[1], ip[0]), all)
			}
		}
		mirrored(t, before, after)
		applied(t, before, after, all)
		before, routes, rules = after, moreRoutes, moreRules
	}
	if told < 20 {
		t.Errorf("only %d differences in all", told)
	}
}

func randomChange(r *rand.Rand) string {
	one := func(words ...string) string { return words[r.IntN(len(words))] }
	way := func() string {
		return one("via 10.0.0.2", "via 10.0.0.3", "dev v1 scope link", "via 10.0.0.2 mtu 1400",
			"nexthop via 10.0.0.2 nexthop via 10.0.0.3", "nexthop via 10.0.0.2 weight 3 nexthop via 10.0.0.4")
	}
	switch dst := fmt.Sprintf("10.%d.0.0/16", 1+r.IntN(5)); r.IntN(8) {
	case 0, 1, 2:
		return "route " + one("add", "replace", "append") + " " + dst + " " + way() + " table " + one("main", "7") +
			one("", " metric 7") + one("", " proto bgp")
	case 3:
		return "route replace blackhole " + dst + " table " + one("main", "7")
	case 4:
		return "route del " + dst + " table " + one("main", "7")
	case 5:
		return "-6 route " + one("add", "replace", "append", "del") +
			fmt.Sprintf(" fd%02d::/64 via fd00::%d", r.IntN(5), 2+r.IntN(3))
	case 6:
		return fmt.Sprintf("rule add pref %d from 10.9.0.0/16 lookup %s", 90+r.IntN(20), one("7", "8"))
	}
	return fmt.Sprintf("rule del pref %d", 90+r.IntN(20))
}

// listed returns what ip lists of both families, each as JSON.
func listed(t *testing.T, args ...string) (all []string) {
	t.Helper()
	for _, family := range []string{"-4", "-6"} {
		out, err := exec.Command("ip", append([]string{"-j", "-d", family}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		var objects []json.RawMessage
		if err := json.Unmarshal(out, &objects); err != nil {
			t.Fatal(err)
		}
		for _, o := range objects {
			all = append(all, string(o))
		}
	}
	return all
}

// less returns what is in one list and not in the other.
func less(a, b []string) (left []string) {
	count := map[string]int{}
	for _, x := range b {
		count[x]++
	}
	for _, x := range a {
		if count[x]--; count[x] < 0 {
			left = append(left, x)
		}
	}
	return left
}

// applied checks that what was, without what is no more and with what is new, is what is now.
func applied(t *testing.T, was, now State, all []jsonDifference) {
	t.Helper()
	nothing := State{Source: empty{was.Source}, Name: "nothing"}
	text := func(row map[string]any) string {
		b, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	rows := func(s State) (list []string) {
		for _, x := range differences(t, nothing, s) {
			list = append(list, text(x.Now))
		}
		return list
	}
	var gone, come []string
	for _, x := range all {
		if x.Was != nil {
			gone = append(gone, text(x.Was))
		}
		if x.Now != nil {
			come = append(come, text(x.Now))
		}
	}
	got, want := append(less(rows(was), gone), come...), rows(now)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("applied:\n%s\nwant:\n%s", strings.Join(less(got, want), "\n"), strings.Join(less(want, got), "\n"))
	}
}

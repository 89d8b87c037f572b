package diff

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
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
	told, moved := 0, 0
	for round := range nstest.Amount(60, 30) {
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
				if x.Table == table && !slices.Equal(x.Columns, []string{placed}) {
					was, now = was+min(len(x.Was), 1), now+min(len(x.Now), 1)
				}
			}
			if gone, come := len(less(ip[0], ip[1])), len(less(ip[1], ip[0])); was != gone || now != come {
				t.Fatalf("round %d: %s: %d that were and %d that are, ip has %d and %d\n%s%s\n%s\n%s\n%v", round, table,
					was, now, gone, come, &batch, out, less(ip[0], ip[1]), less(ip[1], ip[0]), all)
			}
		}
		moved += reordered(t, all, routes, moreRoutes) + reordered(t, all, rules, moreRules)
		mirrored(t, before, after)
		applied(t, before, after, all)
		before, routes, rules = after, moreRoutes, moreRules
	}
	if told < 60 || moved < 5 {
		t.Errorf("only %d differences in all, %d of order", told, moved)
	}
}

// reordered checks that as many of those that are as they were, but have moved past others, are told as ip has in
// another order. It returns how many.
func reordered(t *testing.T, all []jsonDifference, was, now []string) (count int) {
	t.Helper()
	group := func(row map[string]any, names ...string) string {
		var values []string
		for _, name := range names {
			value := fmt.Sprint(row[name])
			if row[name] == nil { // as ip has what nearly all have
				value = map[string]string{"table": "main", "metric": "0"}[name]
			}
			values = append(values, value)
		}
		return strings.Join(values, " ")
	}
	groups := func(list []string) map[string][]string {
		in := map[string][]string{}
		for _, text := range list {
			var row map[string]any
			if err := json.Unmarshal([]byte(text), &row); err != nil {
				t.Fatal(err)
			}
			key := "rule " + group(row, "priority")
			if row["dst"] != nil && row["type"] != nil {
				key = "route " + group(row, "table", "dst", "metric")
			}
			in[key] = append(in[key], text)
		}
		return in
	}
	told := map[string]int{}
	for _, x := range all {
		if !slices.Equal(x.Columns, []string{placed}) {
			continue
		}
		key := "rule " + group(x.Now, "priority")
		if x.Table == tables.Routes.Name {
			key = "route " + group(x.Now, "table_name", "dst", "metric")
		}
		told[key]++
	}
	before, after := groups(was), groups(now)
	for key, old := range before {
		current := after[key]
		both := len(old) - len(less(old, current))
		want := both - common(old, current)
		if told[key] != want {
			t.Errorf("%s: %d have moved, ip has %d:\n%s\n\n%s", key, told[key], want, strings.Join(old, "\n"),
				strings.Join(current, "\n"))
		}
		count += told[key]
	}
	return count
}

func randomChange(r *rand.Rand) string {
	one := func(words ...string) string { return words[r.IntN(len(words))] }
	way := func() string {
		return one("via 10.0.0.2", "via 10.0.0.3", "dev v1 scope link", "via 10.0.0.2 mtu 1400",
			"nexthop via 10.0.0.2 nexthop via 10.0.0.3", "nexthop via 10.0.0.2 weight 3 nexthop via 10.0.0.4")
	}
	// The nexthops come last, as ip reads it. It sees by the addresses what is of which family.
	table := " table " + one("main", "7")
	// again has something put behind all others, if it is there.
	again := func(object string) string { return "route del " + object + "\nroute append " + object }
	switch dst := fmt.Sprintf("10.%d.0.0/16", 1+r.IntN(5)); r.IntN(11) {
	case 0, 1, 2:
		return "route " + one("add", "replace", "append", "prepend") + " " + dst + table + one("", " metric 7") +
			one("", " proto bgp") + " " + way()
	case 3:
		return "route replace blackhole " + dst + table
	case 4:
		return "route del " + dst + table + one("", " via 10.0.0.3")
	case 5:
		return "route " + one("add", "replace", "append", "del") +
			fmt.Sprintf(" fd%02d::/64 via fd00::%d", r.IntN(7), 2+r.IntN(3))
	case 6:
		return again(dst + table + " " + way())
	case 7:
		return again(fmt.Sprintf("fd%02d::/64 dev %s", 5+r.IntN(2), one("v0", "v0p", "v1", "v1p")))
	}
	rule := fmt.Sprintf("pref %d from 10.%d.0.0/16 lookup %s", 90+r.IntN(3), 8+r.IntN(2), one("7", "8"))
	return one("rule add "+rule, "rule del "+rule, "rule del "+rule+"\nrule add "+rule)
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
		row = maps.Clone(row)
		delete(row, placed)
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

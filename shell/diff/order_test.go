package diff

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
)

// TestOrder: of what is tried one after the other that is told which has moved past others, and no other one.
func TestOrder(t *testing.T) {
	hosts(t, "v0", "v1")
	for _, dst := range []string{"10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16", "10.4.0.0/16 table 7"} {
		for n := range 3 {
			nstest.IP(t, fmt.Sprintf("route append %s via 10.0.0.%d", dst, 2+n))
		}
	}
	for n := range 3 {
		nstest.IP(t, fmt.Sprintf("rule add pref 100 from 10.%d.0.0/16 lookup 7", 9-n)) // with selectors of their own
		nstest.IP(t, fmt.Sprintf("rule add pref 101 lookup %d", 100+n))                // with the same
	}
	nstest.Batch(t, "-6",
		"route add fd05::/64 dev v0 metric 7",
		"route append fd05::/64 dev v1 metric 7",
		"route append fd05::/64 via fd00::2 metric 7",
		"route append fd05::/64 via fd00::3 metric 7", // with the one before it one route
	)
	was := taken(t, "was")
	nstest.Batch(t, "-4",
		"route del 10.1.0.0/16 via 10.0.0.2",
		"route append 10.1.0.0/16 via 10.0.0.2",
		"route del 10.2.0.0/16 via 10.0.0.4",
		"route prepend 10.2.0.0/16 via 10.0.0.4 mtu 1400",
		"route prepend 10.3.0.0/16 via 10.0.0.5",
		"route del 10.3.0.0/16 via 10.0.0.3",
		"route del 10.4.0.0/16 via 10.0.0.2 table 7",
		"route append 10.4.0.0/16 via 10.0.0.2 table 7",
		"rule del pref 100 from 10.9.0.0/16 lookup 7",
		"rule add pref 100 from 10.9.0.0/16 lookup 7",
		"rule del pref 101 lookup 100",
		"rule add pref 101 lookup 100",
	)
	nstest.IP(t, "-6 route del fd05::/64 dev v0 metric 7")
	nstest.IP(t, "-6 route append fd05::/64 dev v0 metric 7")
	want := []string{
		"changed rule ipv4 100 from 10.9.0.0/16 lookup 7 proto unspec, place 1 -> 3",
		"changed rule ipv4 101 lookup 100 proto unspec, place 1 -> 3",
		"changed route ipv4 7 10.4.0.0/16 via 10.0.0.2 dev v0 proto boot, place 1 -> 3",
		"changed route ipv4 main 10.1.0.0/16 via 10.0.0.2 dev v0 proto boot, place 1 -> 3",
		"changed route ipv4 main 10.2.0.0/16 via 10.0.0.4 dev v0 proto boot mtu 1400, mtu none -> 1400, place 3 -> 1",
		"vanished route ipv4 main 10.3.0.0/16 via 10.0.0.3 dev v0 proto boot",
		"appeared route ipv4 main 10.3.0.0/16 via 10.0.0.5 dev v0 proto boot",
		"changed route ipv6 main fd05::/64 dev v0 proto boot metric 7, place 1 -> 3",
		"1 appeared, 1 vanished, 6 changed",
	}
	now := taken(t, "now")
	for name, state := range map[string]State{"the kernel": live(t), "a capture": now} {
		if lines, _ := printed(t, was, state, Options{}); !slices.Equal(lines, want) {
			t.Errorf("%s:\n%s", name, strings.Join(lines, "\n"))
		}
	}
	mirrored(t, was, now)
	for _, x := range differences(t, was, now) {
		moved := slices.Contains(x.Columns, placed)
		if moved != (x.Was[placed] != nil) || moved != (x.Now[placed] != nil) {
			t.Errorf("%+v", x)
		}
	}
	// What is not of one time may have any order.
	loose := now
	loose.Source = &lesser{Source: now.Source, lessen: func(s *rtnl.Snapshot) { s.Consistent = false }}
	for _, pair := range [][2]State{{was, loose}, {loose, was}} {
		for _, x := range differences(t, pair[0], pair[1]) {
			if slices.Contains(x.Columns, placed) {
				t.Errorf("of an unknown order: %+v", x)
			}
		}
	}
}

// TestOrderOfTable: of rules of one priority those are told that are of the table, whatever they have moved past.
func TestOrderOfTable(t *testing.T) {
	hosts(t, "v0")
	for _, rule := range []string{"from 10.7.0.0/16 lookup 7", "from 10.9.0.0/16 lookup 9",
		"from 10.8.0.0/16 lookup 8"} {
		nstest.IP(t, "rule add pref 100 "+rule)
	}
	before := taken(t, "before")
	nstest.IP(t, "rule del pref 100 from 10.9.0.0/16 lookup 9")
	nstest.IP(t, "rule add pref 100 from 10.9.0.0/16 lookup 9")
	for table, want := range map[string]string{
		"8": "changed rule ipv4 100 from 10.8.0.0/16 lookup 8 proto unspec, place 3 -> 2",
		"9": "changed rule ipv4 100 from 10.9.0.0/16 lookup 9 proto unspec, place 2 -> 3",
		"7": "no differences",
	} {
		if lines, _ := printed(t, before, live(t), Options{Table: table}); lines[0] != want {
			t.Errorf("table %s: %q", table, lines)
		}
	}
}

// TestInOrder: routes that the kernel does not try in the order of dumps, or whose order says nothing.
func TestInOrder(t *testing.T) {
	routes := things[1]
	for group, want := range map[string]bool{
		"ipv4 254 0.0.0.0/0": true, "ipv4 255 224.0.0.0/4": true, "ipv6 254 ::/0": true, "ipv6 254 fe8::/16": true,
		"ipv6 254 fe80::/64": false, "ipv6 255 ff00::/8": false, "ipmr 253 224.1.1.1/32": false, "mpls 254 100": false,
	} {
		if got := routes.inOrder(strings.ReplaceAll(group, " ", "\x00") + "\x00\x000\x000\x00"); got != want {
			t.Errorf("%s: %v", group, got)
		}
	}
	for _, x := range things[2:] {
		if x.inOrder("ipv4\x00") {
			t.Errorf("%s are tried in an order", x.Name)
		}
	}
}

// TestPlaces: whatever the order was and is, what is not told has kept its, and no fewer can be told.
func TestPlaces(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 5))
	for round := range 4000 {
		few, distinct, options := 1+random.IntN(9), round%4 > 0, round%4 > 1
		sequence := func() (all []entry) {
			for _, n := range random.Perm(few)[:1+random.IntN(few)] {
				if !distinct {
					n = random.IntN(few)
				}
				all = append(all, entry{key: fmt.Sprintf("x\x00%d\x00", n%3), value: uint64(n), like: uint64(n % 4),
					index: len(all), is: !options || n%4 > 0})
			}
			return all
		}
		was, now := sequence(), sequence()
		pairs, moved := shifted(was, now)
		back, movedBack := shifted(now, was)
		fault := func(what string) {
			t.Errorf("%s: %v, %v: %v, %v, backward %v, %v", what, was, now, pairs, moved, back, movedBack)
		}
		for p, place := range moved {
			if place[0] == place[1] || distinct && movedBack[pair{p.now, p.was}] != [2]int{place[1], place[0]} {
				fault("moved")
			}
		}
		if len(back) != len(pairs) || len(movedBack) != len(moved) {
			fault("not the same backward")
		}
		if !distinct || options {
			continue
		}
		is := map[int]int{} // which entry now is which one that was
		for i := range was {
			if at := slices.IndexFunc(now, func(e entry) bool { return e.equal(&was[i]) }); at >= 0 {
				is[at] = i
			}
		}
		// Those in both states that are as they were; and all that have not moved.
		var a, b, stayA, stayB []int
		for at := range now {
			if i, same := is[at]; same {
				b = append(b, i)
			}
		}
		a = slices.Sorted(slices.Values(b))
		told := 0
		for p := range moved {
			if is[p.now] == p.was && slices.Contains(b, p.was) {
				told++
			}
		}
		if told != len(b)-common(a, b) {
			fault("not the least")
		}
		for _, p := range pairs {
			if p.was >= 0 && p.now >= 0 {
				is[p.now] = p.was
			}
		}
		for at := range now {
			if i, both := is[at]; both && moved[pair{i, at}] == [2]int{} {
				stayB = append(stayB, i)
			}
		}
		if stayA = slices.Sorted(slices.Values(stayB)); !slices.Equal(stayA, stayB) {
			fault("some have moved that are not told")
		}
	}
}

// TestAlikeInOrder: of those that are alike one has gone, or come, that leaves the others where they were.
func TestAlikeInOrder(t *testing.T) {
	entries := func(text string) (all []entry) {
		for i, c := range text {
			all = append(all, entry{key: "x\x00" + string(c) + "\x00", value: uint64(c), index: i, is: true})
		}
		return all
	}
	for _, test := range []struct {
		was, now string
		want     pair
	}{
		{"bab", "ab", pair{0, -1}},
		{"bab", "ba", pair{2, -1}},
		{"ab", "bab", pair{-1, 0}},
		{"ab", "aab", pair{-1, 1}},
		{"abcab", "abab", pair{2, -1}},
	} {
		pairs, moved := shifted(entries(test.was), entries(test.now))
		if !slices.Equal(pairs, []pair{test.want}) || len(moved) > 0 {
			t.Errorf("%s, %s: %v, %v", test.was, test.now, pairs, moved)
		}
	}
}

// shifted returns which entries of one group differ, and which have moved from which place to which.
func shifted(was, now []entry) (pairs []pair, moved map[pair][2]int) {
	f := &finder{thing: &thing{key: []string{"group", "rest"}, shares: 1}, ordered: true}
	sorted := func(all []entry) []entry {
		all = slices.Clone(all)
		slices.SortStableFunc(all, func(x, y entry) int { return cmp.Compare(x.key, y.key) })
		return all
	}
	f.match(sorted(was), sorted(now))
	moved = map[pair][2]int{}
	values := func(s *shift) []uint64 {
		return []uint64{min(was[s.was].value, now[s.now].value),
			max(was[s.was].value, now[s.now].value)}
	}
	for _, o := range f.orders {
		o.tell(o.stays(func(x, y *shift) int { return slices.Compare(values(x), values(y)) }), moved)
	}
	return f.pairs, moved
}

// common returns how long the longest sequence is that both have in this order.
func common[T comparable](a, b []T) int {
	lengths := make([]int, len(b)+1) // of the beginning of a with each of b
	for _, x := range a {
		before := 0
		for i, y := range b {
			longer := max(lengths[i], lengths[i+1])
			if x == y {
				longer = before + 1
			}
			before, lengths[i+1] = lengths[i+1], longer
		}
	}
	return lengths[len(b)]
}

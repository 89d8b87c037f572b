package tables_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nametest"
	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// nested adds routes that lie in each other, of both families.
func nested(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Batch(t, "-4", "route add default via 10.0.0.2", "route add 0.0.0.0/1 via 10.0.0.3",
		"route add 128.0.0.0/1 via 10.0.0.3", "route add 20.0.0.0/8 via 10.0.0.2",
		"route add 20.16.0.0/12 via 10.0.0.2",
		"route add 20.16.1.0/24 nexthop via 10.0.0.2 nexthop via 10.0.0.3", "route add 20.16.1.1/32 via 10.0.0.2",
		"route add 20.16.0.0/12 via 10.0.0.4 table 77", "route add 255.255.255.255/32 via 10.0.0.2 table 77")
	nstest.Batch(t, "-6", "route add default via fd00::2", "route add 2000::/3 via fd00::2",
		"route add 2001:db8::/32 via fd00::3", "route add 2001:db8::/32 from fd01::/16 via fd00::4",
		"route add 2001:db8:1::/48 via fd00::3", "route add ::ffff:20.16.1.0/120 via fd00::3")
}

// dstsOf returns the destinations of rows, sorted.
func dstsOf(rows []row) []string { return columns(rows, "dst", "table_id", "src") }

// chosen returns the rows whose destination meets a condition.
func chosen(all []row, is func(netip.Prefix) bool) []row {
	return slices.DeleteFunc(slices.Clone(all), func(r row) bool {
		p, err := netip.ParsePrefix(r["dst"])
		return err != nil || !is(p)
	})
}

// TestCovering asks which routes cover an address or a prefix, by keys and by column covers:
// only what may cover it is asked of the kernel.
func TestCovering(t *testing.T) {
	nested(t)
	k := &recorder{}
	all := scan(t, tables.Routes, &rtnl.Kernel{})
	for _, c := range []string{"20.16.1.1", "20.16.1.1/32", "20.16.1.0/24", "20.16.0.0/13", "0.0.0.0/0", "0.0.0.0/1",
		"::/0",
		"255.255.255.255", "2001:db8:1::5", "2001:DB8:0::/32", "::", "fd00::1", "128.0.0.0/1", "20.16.1.77/30"} {
		p, err := netip.ParsePrefix(c)
		if a, is := netip.ParseAddr(c); is == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			t.Fatal(err)
		}
		first, last := tables.Keys(p.Masked())
		want := dstsOf(chosen(all, func(dst netip.Prefix) bool {
			return dst.Bits() <= p.Bits() &&
				dst.Contains(p.Addr())
		}))
		if len(want) == 0 {
			t.Fatalf("nothing covers %s: this proves nothing", c)
		}
		for _, constraints := range [][]tables.Constraint{
			{where(tables.Routes, "dst_first", tables.LessOrEqual, first), where(tables.Routes, "dst_last",
				tables.GreaterOrEqual, last)},
			{where(tables.Routes, "covers", tables.Equals, c)},
		} {
			k.asked = nil
			rows := scan(t, tables.Routes, k, constraints...)
			if got := dstsOf(rows); !slices.Equal(got, want) {
				t.Errorf("%s, %v: got %q, want %q", c, constraints, got, want)
			}
			if n := len(k.asked[0].Dsts); n != p.Bits()+1 {
				t.Errorf("%s: %d destinations are asked for", c, n)
			}
		}
	}
	// Several at once: a row for each that it covers, which shows it as it was written.
	both := scan(t, tables.Routes, k, where(tables.Routes, "covers", tables.Equals, "20.16.1.1"),
		where(tables.Routes, "covers", tables.Equals, "::ffff:20.16.1.1"),
		where(tables.Routes, "covers", tables.Equals, "junk"),
		where(tables.Routes, "dst", tables.Equals, "20.0.0.0/8"))
	if got := columns(both, "dst", "covers"); !slices.Equal(got, []string{"20.0.0.0/8 20.16.1.1",
		"20.0.0.0/8 ::ffff:20.16.1.1"}) {
		t.Errorf("got %q", got)
	}
	for junk, want := range map[string]int{"junk": 0, "1.2.3": 0, "1.2.3.4/33": 0, "": len(all)} {
		if got := scan(t, tables.Routes, k, where(tables.Routes, "covers", tables.Equals, junk)); len(got) != want {
			t.Errorf("covers=%q: %d rows", junk, len(got))
		}
	}
	hops := scan(t, tables.Nexthops, k, where(tables.Nexthops, "covers", tables.Equals, "20.16.1.1"),
		where(tables.Nexthops, "dst", tables.Equals, "20.16.1.0/24"))
	if len(hops) != 2 || hops[1]["covers"] != "20.16.1.1" {
		t.Errorf("nexthops %v", hops)
	}
	// A query for many is answered from what is held.
	cache := &rtnl.Cache{}
	defer cache.Close()
	for range 5 {
		got := scan(t, tables.Routes, cache, where(tables.Routes, "covers", tables.Equals, "2001:db8::1"))
		if len(got) != 4 {
			t.Errorf("got %q", dstsOf(got))
		}
	}
}

// TestKeyOrder compares keys of random prefixes: one lies in another, or overlaps it, exactly if
// netip says so, whatever the families are.
func TestKeyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	some := func() netip.Prefix {
		b := make([]byte, []int{4, 16}[r.IntN(2)])
		for i := range b {
			b[i] = []byte{0, 0, 255, 128, byte(r.IntN(256))}[r.IntN(5)]
		}
		a, _ := netip.AddrFromSlice(b)
		return netip.PrefixFrom(a, r.IntN(a.BitLen()+1)).Masked()
	}
	within, overlap := 0, 0
	for range 200_000 {
		a, b := some(), some()
		aFirst, aLast := tables.Keys(a)
		bFirst, bLast := tables.Keys(b)
		in := a.Bits() >= b.Bits() && b.Contains(a.Addr())
		if got := bFirst <= aFirst && aLast <= bLast; got != in {
			t.Fatalf("%s in %s: keys say %v", a, b, got)
		}
		if got := aFirst <= bLast && bFirst <= aLast; got != a.Overlaps(b) {
			t.Fatalf("%s and %s overlap: keys say %v", a, b, got)
		}
		if in {
			within++
		}
		if a.Overlaps(b) {
			overlap++
		}
	}
	if within < 1000 || overlap < 1000 {
		t.Errorf("only %d within, %d overlap", within, overlap)
	}
}

// TestKeyConditions tries comparisons of every kind beside each other, against what SQLite would
// choose of all rows.
func TestKeyConditions(t *testing.T) {
	nested(t)
	for range 150 { // beside those that there always are
		addRule(t)
	}
	keyConditions(t, tables.Routes, "route_id")
	keyConditions(t, tables.Nexthops, "route_id", "nexthop_index")
	keyConditions(t, tables.Rules, "rule_id")
}

// addRule adds a random rule for a source or a destination, in half of all cases with bits
// beyond the length of its prefixes, which the kernel keeps.
func addRule(t *testing.T) {
	t.Helper()
	c := nltest.NewChance(rand.Uint64())
	r := &object.Rule{Family: []object.Family{object.IPv4, object.IPv6}[c.IntN(2)], Priority: 1 + c.Uint32N(300),
		Action: object.FR_ACT_TO_TBL, Table: 254}
	if c.Yes() {
		r.Flags = object.FIB_RULE_INVERT
	}
	for _, p := range []*netip.Prefix{&r.Src, &r.Dst} {
		if n := r.Family.AddrLen(); c.IntN(3) > 0 {
			if *p = netip.PrefixFrom(c.Addr(n), c.IntN(n*8+1)); c.Yes() {
				*p = p.Masked()
			}
		}
	}
	if err := nstest.Send(t, object.RTM_NEWRULE, 0, nltest.AppendRule(nil, r)); err != nil {
		t.Fatalf("%+v: %v", *r, err)
	}
}

// keyConditions tries such comparisons on one table, whose rows are told apart by columns.
func keyConditions(t *testing.T, table *tables.Table, identity ...string) {
	t.Helper()
	all := scan(t, table, &rtnl.Kernel{})
	id := func(r row) string { return fmt.Sprint(columns([]row{r}, identity...)) }
	keys := []string{"dst_first", "dst_last", "src_first", "src_last"}
	var values []string
	for _, c := range keys {
		for _, r := range all {
			values = append(values, r[c])
		}
	}
	values = append(values, "", "4:", "6:", "5", "4:0A000000", "6:20010DB8", "4:0F000000",
		"4:0a00000", "junk", "9", "\xff")
	rnd := rand.New(rand.NewPCG(3, 4))
	ops := []tables.Op{tables.LessThan, tables.LessOrEqual, tables.GreaterThan, tables.GreaterOrEqual, tables.Equals}
	some := 0
	for range nstest.Amount(2000, 300) {
		var constraints []tables.Constraint
		want := all
		equal := map[string]bool{} // one on each column: several are alternatives
		for range 1 + rnd.IntN(4) {
			c, op, v := keys[rnd.IntN(len(keys))], ops[rnd.IntN(len(ops))], values[rnd.IntN(len(values))]
			if op == tables.Equals && equal[c] {
				continue
			}
			equal[c] = equal[c] || op == tables.Equals
			constraints = append(constraints, where(table, c, op, v))
			want = slices.DeleteFunc(slices.Clone(want), func(r row) bool {
				return op == tables.Equals && r[c] != v || op != tables.Equals && !comesFirst(r[c], op, v)
			})
		}
		got := map[string]bool{}
		for _, r := range scan(t, table, &rtnl.Kernel{}, constraints...) {
			got[id(r)] = true
		}
		for _, r := range want {
			if !got[id(r)] {
				t.Fatalf("%s, %v loses %v", table.Name, constraints, r)
			}
		}
		upper := func(c tables.Constraint) bool { return c.Expr != strings.ToLower(c.Expr) }
		lower := !slices.ContainsFunc(constraints, upper)
		if lower && len(got) != len(want) {
			t.Fatalf("%s, %v: %d rows, not %d", table.Name, constraints, len(got), len(want))
		}
		if len(want) > 0 && len(want) < len(all) {
			some++
		}
	}
	if some < nstest.Amount(400, 60) {
		t.Errorf("%s: only %d answers are some of the rows: this proves little", table.Name, some)
	}
}

// TestKeysOfOthers: what has no address has no key.
func TestKeysOfOthers(t *testing.T) {
	first, last := tables.Keys(netip.Prefix{})
	if first != "" || last != "" {
		t.Errorf("%q, %q", first, last)
	}
	for p, want := range map[string]string{
		"10.0.0.0/8":     "4:0a000000 4:0affffff",
		"0.0.0.0/0":      "4:00000000 4:ffffffff",
		"2001:db8::/127": "6:20010db8000000000000000000000000 6:20010db8000000000000000000000001",
		"1.2.3.4/32":     "4:01020304 4:01020304",
		"10.0.0.0/25":    "4:0a000000 4:0a00007f",
	} {
		first, last := tables.Keys(netip.MustParsePrefix(p))
		if got := fmt.Sprint(first, " ", last); got != want {
			t.Errorf("%s: %s", p, got)
		}
	}
}

// TestCoveringMulticast: multicast routes cover their group.
func TestCoveringMulticast(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	v0, err := net.InterfaceByName("v0") // of the namespace that this thread is in
	if err != nil {
		t.Fatal(err)
	}
	for family, of := range map[string][2]string{"ipmr": {"10.0.0.9", "239.1.1.1"}, "ip6mr": {"fd00::9", "ff05::1"}} {
		m := newMulticastRouter(t, family == "ip6mr", 0)
		m.addInterface(0, uint32(v0.Index))
		m.add(of[0], of[1], 0)
		group := netip.MustParseAddr(of[1])
		first, _ := tables.Keys(netip.PrefixFrom(group, group.BitLen()))
		all := scan(t, tables.Routes, &rtnl.Kernel{}, where(tables.Routes, "family", tables.Equals, family))
		if len(all) != 1 || all[0]["dst_first"] != first || all[0]["dst_last"] != first {
			t.Fatalf("%s: %v", family, all)
		}
		for _, constraints := range [][]tables.Constraint{
			{where(tables.Routes, "covers", tables.Equals, of[1])},
			{where(tables.Routes, "dst_first", tables.LessOrEqual, first),
				where(tables.Routes, "dst_last", tables.GreaterOrEqual, first)},
		} {
			rows := scan(t, tables.Routes, &rtnl.Kernel{}, constraints...)
			if !slices.ContainsFunc(rows, func(r row) bool { return r["route_id"] == all[0]["route_id"] }) {
				t.Errorf("%s: %v finds %v", family, constraints, rows)
			}
		}
	}
}

// TestRuleKeys: the keys of a rule are those of its prefix, without the bits beyond its length,
// whether it is inverted or not; and of all addresses of its family where it is for any.
func TestRuleKeys(t *testing.T) {
	const none, all = "6:00000000000000000000000000000000", "6:ffffffffffffffffffffffffffffffff"
	prefix := netip.MustParsePrefix
	for _, c := range []struct {
		rule object.Rule
		want string // dst_first, dst_last, src_first, src_last
	}{
		{object.Rule{Family: object.IPv4}, "4:00000000 4:ffffffff 4:00000000 4:ffffffff"},
		{object.Rule{Family: object.IPv4, Dst: prefix("10.1.2.3/8")}, "4:0a000000 4:0affffff 4:00000000 4:ffffffff"},
		{object.Rule{Family: object.IPv4, Dst: prefix("10.1.2.3/8"), Flags: object.FIB_RULE_INVERT},
			"4:0a000000 4:0affffff 4:00000000 4:ffffffff"},
		{object.Rule{Family: object.IPv4, Src: prefix("192.0.2.129/25"), Dst: prefix("198.51.100.7/32")},
			"4:c6336407 4:c6336407 4:c0000280 4:c00002ff"},
		{object.Rule{Family: object.IPv4, Src: prefix("192.0.2.1/0")}, "4:00000000 4:ffffffff 4:00000000 4:ffffffff"},
		{object.Rule{Family: object.IPv6}, none + " " + all + " " + none + " " + all},
		{object.Rule{Family: object.IPv6, Dst: prefix("2001:db8::1/33"), Src: prefix("::ffff:10.1.2.3/104")},
			"6:20010db8000000000000000000000000 6:20010db87fffffffffffffffffffffff " +
				"6:00000000000000000000ffff0a000000 6:00000000000000000000ffff0affffff"},
		{object.Rule{Family: object.IPMR}, "4:00000000 4:ffffffff 4:00000000 4:ffffffff"},
		{object.Rule{Family: object.IP6MR}, none + " " + all + " " + none + " " + all},
	} {
		src := rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{
			object.Rules.Kind: nltest.Runs(t, object.Rules.Kind, nltest.AppendRule(nil, &c.rule)),
		}).Instant(nametest.New(nil))
		got := columns(scan(t, tables.Rules, src), "dst_first", "dst_last", "src_first", "src_last")
		if !slices.Equal(got, []string{c.want}) {
			t.Errorf("%+v has the keys %q, not %q", c.rule, got, c.want)
		}
	}
}

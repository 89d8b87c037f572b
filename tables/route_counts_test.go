package tables_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// told are the columns that tell the rows of kernel_route_counts apart, counts the others.
var (
	told   = []string{"family", "table_id", "table_name", "protocol", "type", "scope", "dev", "dev_index"}
	counts = []string{"routes", "nexthops", "ecmp_routes", "default_routes"}
)

// A counting is a query of kernel_route_counts.
type counting struct {
	tables.Query
	columns []string // that are used, or have a condition
}

func (q *counting) uses(column string) bool { return slices.Contains(q.columns, column) }

// randomCounting makes a query with random columns, and random conditions on what some of the
// routes are.
func (g generator) randomCounting(routes []row) counting {
	q := counting{Query: tables.Query{Used: make([]bool, len(tables.Counts.Columns)), RowIDs: g.chance(2)}}
	one := 1 + g.IntN(8)
	for _, name := range slices.Concat(told, counts) {
		if g.chance(one) {
			q.Used[tables.Counts.Column(name)] = true
			q.columns = append(q.columns, name)
		}
	}
	condition := func(column string, op tables.Op, expr string) {
		q.Constraints = append(q.Constraints, where(tables.Counts, column, op, expr))
		if !q.uses(column) {
			q.columns = append(q.columns, column)
		}
	}
	for range g.IntN(3) {
		name := told[g.IntN(len(told))]
		for range 1 + g.IntN(3) {
			condition(name, tables.Equals, routes[g.IntN(len(routes))][name])
		}
	}
	if g.chance(4) {
		condition(g.pick("table_id", "dev_index"), tables.GreaterThan, g.pick("2", "3", "254", "1000"))
	}
	if g.chance(4) {
		condition(counts[g.IntN(len(counts))], tables.GreaterThan, g.pick("0", "1", "10"))
	}
	return q
}

// answer is what a query says of rows of kernel_routes: a GROUP BY over those that meet the
// conditions.
func (q *counting) answer(routes []row) []string {
	by := slices.DeleteFunc(slices.Clone(told), func(c string) bool { return !q.uses(c) && len(q.columns) > 0 })
	sums := map[string]map[string]int{}
	if len(by) == 0 {
		sums[""] = map[string]int{}
	}
	for _, r := range routes {
		if !q.meets(func(column string) (string, bool) { return r[column], slices.Contains(told, column) }) {
			continue
		}
		key := ""
		for _, c := range by {
			key += c + "=" + r[c] + " "
		}
		if sums[key] == nil {
			sums[key] = map[string]int{}
		}
		n, s := atoi(r["nexthop_count"]), sums[key]
		s["routes"]++
		s["nexthops"] += int(n)
		if n > 1 {
			s["ecmp_routes"]++
		}
		if r["dst_len"] == "0" {
			s["default_routes"]++
		}
	}
	var all []string
	for key, s := range sums {
		sum := func(column string) (string, bool) { return fmt.Sprint(s[column]), slices.Contains(counts, column) }
		if !q.meets(sum) {
			continue
		}
		for _, c := range counts {
			if q.uses(c) {
				key += fmt.Sprintf("%s=%d ", c, s[c])
			}
		}
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

// meets reports whether values meet the conditions on columns of which value returns one.
func (q *counting) meets(value func(column string) (string, bool)) bool {
	equal := map[int]bool{}
	for _, c := range q.Constraints {
		col := &tables.Counts.Columns[c.Column]
		v, ok := value(col.Name)
		if !ok {
			continue
		}
		is, _ := holds(col, v, c.Op, c.Expr)
		if c.Op != tables.Equals && !is {
			return false
		}
		if c.Op == tables.Equals {
			equal[c.Column] = equal[c.Column] || is
		}
	}
	return !slices.Contains(slices.Collect(maps.Values(equal)), false)
}

// ask returns the rows, and their numbers by what tells them apart.
func (q *counting) ask(t *testing.T, src tables.Source) (all []string, ids map[string]int64) {
	t.Helper()
	rows, err := tables.Counts.Scan(t.Context(), src, q.Query)
	if err != nil {
		t.Fatal(err)
	}
	ids = map[string]int64{}
	for rows.Next() {
		text := ""
		for _, name := range slices.Concat(told, counts) {
			if name == counts[0] && q.RowIDs {
				if ids[text] != 0 {
					t.Errorf("two rows with %s", text)
				}
				ids[text] = rows.RowID()
			}
			if !q.uses(name) && (len(q.columns) > 0 || slices.Contains(counts, name)) {
				continue
			}
			v, _ := tables.Counts.AppendValue(nil, rows, tables.Counts.Column(name))
			text += name + "=" + string(v) + " "
		}
		all = append(all, text)
	}
	slices.Sort(all)
	return all, ids
}

// TestCounts compares counts by random columns and conditions with what is read of the
// routes, of all kinds, with and without the copies of nexthop objects in them; of the kernel
// and of a capture of it.
func TestCounts(t *testing.T) {
	nstest.New(t)
	network(t)
	g := generator{rand.New(rand.NewPCG(7, 7))}
	g.objects(t)
	var lines4, lines6 []string
	for range nstest.Amount(800, 300) {
		lines4, lines6 = append(lines4, g.route4()), append(lines6, g.route6())
	}
	batch(t, "-4", append(lines4, "route add default via 10.0.0.9", "route add default via 10.0.0.9 metric 7 proto 99",
		"route add blackhole default table 77")...)
	batch(t, "-6", append(lines6, "route add default via fd00::9", "route add default nhid 9 table 77")...)
	v := newIPView(t)
	m := newMulticastRouter(t, false, 0)
	for vif, dev := range []string{"v0", "v1", "br0"} {
		m.addInterface(uint16(vif), number(v.links[dev]["dev_index"]))
	}
	m.add("10.0.0.9", "239.1.1.1", 0, 1, 2)
	m.add("10.0.0.9", "239.1.1.2", 0, 1)
	for _, compat := range []string{"1", "0"} {
		nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", compat)
		kernel := &rtnl.Kernel{}
		var file bytes.Buffer
		if err := capture.Write(t.Context(), kernel, &file); err != nil {
			t.Fatal(err)
		}
		captured, err := capture.Read(&file)
		if err != nil {
			t.Fatal(err)
		}
		routes := scan(t, tables.Routes, kernel)
		numbers := map[string]int64{} // by what tells rows apart
		some, several := 0, 0
		for range nstest.Amount(200, 60) {
			q := g.randomCounting(routes)
			for name, src := range map[string]tables.Source{"kernel": kernel, "capture": captured} {
				got, ids := q.ask(t, src)
				want := q.answer(routes)
				if !slices.Equal(got, want) {
					t.Fatalf("%s, compat mode %s, %v where %+v:\n got %s\nwant %s", name, compat, q.columns,
						q.Constraints,
						strings.Join(got, "\n     "), strings.Join(want, "\n     "))
				}
				seen := map[int64]bool{}
				for key, id := range ids {
					if was, ok := numbers[key]; ok && was != id || seen[id] {
						t.Fatalf("%s has the number %d, not %d, or another row has it too", key, id, was)
					}
					numbers[key], seen[id] = id, true
				}
				if len(got) > 0 {
					some++
				}
				if len(got) > 1 {
					several++
				}
			}
		}
		if some < 30 || several < 15 {
			t.Errorf("%d answers have rows, %d several", some, several)
		}
	}
}

// countsOf answers with one column of kernel_route_counts, or more.
func countsOf(t *testing.T, src tables.Source, columns []string, constraints ...tables.Constraint) []string {
	t.Helper()
	q := counting{tables.Query{Used: make([]bool, len(tables.Counts.Columns)), Constraints: constraints}, columns}
	for _, name := range columns {
		q.Used[tables.Counts.Column(name)] = true
	}
	all, _ := q.ask(t, src)
	return all
}

// TestCountsOfNothing: what no route is in has no row, but for counts of all routes.
func TestCountsOfNothing(t *testing.T) {
	nstest.New(t)
	nstest.IP(t, "addr flush dev lo")
	nstest.IP(t, "link set lo down")
	none, err := captured()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		columns     []string
		constraints []tables.Constraint
		want        []string
	}{
		{[]string{"routes", "nexthops", "ecmp_routes", "default_routes"}, nil,
			[]string{"routes=0 nexthops=0 ecmp_routes=0 default_routes=0 "}},
		{[]string{"protocol", "routes"}, nil, nil},
		{nil, nil, nil},
		{[]string{"routes"}, []tables.Constraint{where(tables.Counts, "protocol", tables.Equals, "bgp")}, nil},
		{[]string{"routes"}, []tables.Constraint{where(tables.Counts, "family", tables.Equals, "junk")}, nil},
		{[]string{"routes"}, []tables.Constraint{where(tables.Counts, "routes", tables.GreaterThan, "0")}, nil},
	} {
		for name, src := range map[string]tables.Source{"kernel": &rtnl.Kernel{}, "capture": none} {
			if got := countsOf(t, src, c.columns, c.constraints...); !slices.Equal(got, c.want) {
				t.Errorf("%s: %v where %v: %q, not %q", name, c.columns, c.constraints, got, c.want)
			}
		}
	}
}

// TestCountsAsk sees that no more is asked for than a query needs.
func TestCountsAsk(t *testing.T) {
	nstest.New(t)
	network(t)
	asked := func(columns []string, constraints ...tables.Constraint) rtnl.Request {
		src := &askedKernel{}
		countsOf(t, src, columns, constraints...)
		if len(src.asked) != 1 || src.asked[0].CountBy == nil || src.asked[0].GivesIDs {
			t.Fatalf("%v: asks for %+v", columns, src.asked)
		}
		return src.asked[0]
	}
	if r := asked([]string{"protocol", "routes"}); len(r.Referred) > 0 || len(r.Along) > 0 || !r.CountBy.Protocol ||
		r.CountBy.UsesObjects() || r.CountBy.Family || r.CountBy.Defaults {
		t.Errorf("routes by protocol ask for %+v, by %+v", r, r.CountBy)
	}
	if r := asked([]string{"dev", "nexthops"}); len(r.Referred) != 1 || !r.CountBy.UsesObjects() || r.CountBy.Table {
		t.Errorf("nexthops by dev ask for %+v, by %+v", r, r.CountBy)
	}
	if r := asked(nil); !r.CountBy.Family || !r.CountBy.Output || !r.CountBy.Scope {
		t.Errorf("the number of rows asks for %+v", r.CountBy)
	}
	v0 := newIPView(t).links["v0"]["dev_index"]
	if r := asked([]string{"routes"}, where(tables.Counts, "dev_index", tables.Equals, v0),
		where(tables.Counts, "table_name", tables.Equals, "main"), where(tables.Counts, "type", tables.Equals, "local"),
		where(tables.Counts, "protocol", tables.Equals, "static")); len(r.OIFs) != 1 || !r.Single ||
		len(r.Tables) != 1 || len(r.Types) != 1 || len(r.Protocols) != 1 || !r.CountBy.Table || !r.CountBy.Output {
		t.Errorf("conditions ask for %+v, by %+v", r.Filter, r.CountBy)
	}
}

// An askedKernel is the kernel, and notes what it is asked.
type askedKernel struct {
	rtnl.Kernel
	asked []rtnl.Request
}

func (k *askedKernel) Read(ctx context.Context, r rtnl.Request) (*rtnl.Snapshot, error) {
	k.asked = append(k.asked, r)
	return k.Kernel.Read(ctx, r)
}

// TestCountsOfOneName: two numbers that show the same make one row.
func TestCountsOfOneName(t *testing.T) {
	src, err := captured(nlRoute(object.IPv4, nlAttr(unix.RTA_OIF, nlU32(3))),
		nlRoute(object.IPv6, nlAttr(unix.RTA_OIF, nlU32(4)))) // interfaces that have gone away
	if err != nil {
		t.Fatal(err)
	}
	if got := countsOf(t, src, []string{"dev", "routes"}); !slices.Equal(got, []string{"dev= routes=2 "}) {
		t.Errorf("%q", got)
	}
	if got := countsOf(t, src, []string{"dev", "dev_index"}); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

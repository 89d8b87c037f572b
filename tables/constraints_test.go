package tables_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// A recorder is the kernel, and remembers what it was asked. Requests that are
// not filtered get the same snapshot each time.
type recorder struct {
	rtnl.Kernel
	asked []rtnl.Request
	whole *rtnl.Snapshot
}

func (s *recorder) Read(ctx context.Context, r rtnl.Request) (*rtnl.Snapshot, error) {
	s.asked = append(s.asked, r)
	if !reflect.ValueOf(r.Filter).IsZero() {
		return s.Kernel.Read(ctx, r)
	}
	if s.whole == nil {
		var err error
		if s.whole, err = s.Kernel.Read(ctx, rtnl.Request{Kinds: object.Kinds}); err != nil {
			return nil, err
		}
	}
	if r.CountBy != nil {
		return s.whole.Instant(nil).Read(ctx, r)
	}
	return s.whole, nil
}

// holds reports whether an engine may let a value pass a condition, whatever
// collation it compares text with (BINARY, NOCASE, RTRIM), and whether it may do
// so only then. An absent number passes nothing.
func holds(col *tables.ColumnInfo, v string, op tables.Op, expr string) (may, only bool) {
	if col.Type == tables.Text {
		if op != tables.Equals && col.Sorted {
			return comesFirst(v, op, expr) || comesFirst(strings.ToLower(v), op, strings.ToLower(expr)), true
		}
		if op != tables.Equals {
			return true, false // left to the engine
		}
		return strings.EqualFold(strings.TrimRight(v, " "), strings.TrimRight(expr, " ")) || sameAddr(v, expr), true
	}
	if v == "" {
		return false, false
	}
	n := float64(atoi(v))
	x, ok := sqliteNumber(expr)
	switch op {
	case tables.Equals:
		return ok && n == x, true
	case tables.GreaterThan:
		return ok && n > x, ok
	case tables.GreaterOrEqual:
		return ok && n >= x, ok
	case tables.LessThan:
		return !ok || n < x, ok // any text is greater than any number
	case tables.LessOrEqual:
		return !ok || n <= x, ok
	}
	return true, false
}

// comesFirst compares texts by their bytes.
func comesFirst(v string, op tables.Op, expr string) bool {
	switch op {
	case tables.GreaterThan:
		return v > expr
	case tables.GreaterOrEqual:
		return v >= expr
	case tables.LessThan:
		return v < expr
	case tables.LessOrEqual:
		return v <= expr
	}
	return true
}

// sameAddr reports whether both are one address or one prefix, in any spelling.
func sameAddr(a, b string) bool {
	x, errX := netip.ParsePrefix(a)
	y, errY := netip.ParsePrefix(b)
	if errX == nil && errY == nil {
		return x == y
	}
	v, errV := netip.ParseAddr(a)
	w, errW := netip.ParseAddr(b)
	return errV == nil && errW == nil && v == w
}

// sqliteNumber reads text as SQLite does for a column with numeric affinity:
// decimal digits, perhaps with a sign, a point, an exponent and blanks around.
func sqliteNumber(s string) (float64, bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// A tester runs queries on one table and compares their rows with a plain choice
// from all of its rows.
type tester struct {
	table *tables.Table
	src   *recorder
	all   []row
	keys  []int64 // of all
	every int     // one query in so many is run
	asked int     // queries
}

func newTester(t testing.TB, table *tables.Table) *tester {
	q := &tester{table: table, src: &recorder{}, every: 1}
	if testing.Short() {
		q.every = 7 // no divisor of the lengths of the lists below: each column and operator has its turn
	}
	rows := q.scan(t, nil)
	for rows.Next() {
		r := row{}
		for i, col := range table.Columns {
			if v, ok := table.AppendValue(nil, rows, i); ok {
				r[col.Name] = string(v)
			}
		}
		q.all, q.keys = append(q.all, r), append(q.keys, rows.RowID())
	}
	return q
}

func (q *tester) scan(t testing.TB, constraints []tables.Constraint) tables.Rows {
	t.Helper()
	rows, err := q.table.Scan(t.Context(), q.src, tables.Query{Constraints: constraints, RowIDs: true})
	if err != nil {
		t.Fatalf("%s: %v", q.describe(constraints), err)
	}
	return rows
}

func (q *tester) describe(constraints []tables.Constraint) string {
	var words []string
	for _, c := range constraints {
		words = append(words, fmt.Sprintf("%s op %d %q", q.table.Columns[c.Column].Name, c.Op, c.Expr))
	}
	return q.table.Name + " where " + strings.Join(words, ", ")
}

// check runs a query: no row that may be asked for is missing, and where only
// equalities are asked for no other row comes.
func (q *tester) check(t *testing.T, constraints ...tables.Constraint) {
	t.Helper()
	if q.asked++; q.asked%q.every != 0 {
		return
	}
	got := map[int64]bool{}
	n := 0
	for rows := q.scan(t, constraints); rows.Next(); n++ {
		got[rows.RowID()] = true
	}
	exact := true
	want := 0
	for i, r := range q.all {
		may := true
		equal := map[int]bool{} // by column: several equalities are alternatives
		for _, c := range constraints {
			col := q.table.Columns[c.Column]
			m, only := holds(&col, r[col.Name], c.Op, c.Expr)
			exact = exact && only
			if c.Op == tables.Equals {
				equal[c.Column] = equal[c.Column] || m
			} else {
				may = may && m
			}
		}
		for _, m := range equal {
			may = may && m
		}
		if !may {
			continue
		}
		want++
		if !got[q.keys[i]] {
			t.Errorf("%s loses a row: %v", q.describe(constraints), r)
			return
		}
	}
	if n != want && exact {
		t.Errorf("%s: %d rows, not %d", q.describe(constraints), n, want)
	}
}

var junk = []string{"MAIN", "main  ", "Main ", " main", "junk", "254", "254.0", "254.5", "2.54e2", " 254 ", "0254",
	"+254", "0xfe", "0", "-0", "-1", "1", "3",
	"4294967295", "4294967296", "9223372036854775807", "9223372036854775808", "-9223372036854775809",
	"99999999999999999999999", "1e400", ".", "nan", "inf", "-inf", "0x1p4", "1_0",
	"0.0.0.0/0", "::/0", "10.1.5.0/24", "10.1.5.7/24", "010.1.5.0/24", "10.1.5.0", "FD01:5::/32", "fd01:0005::/32",
	"fd01:5::/32 ", "::ffff:10.9.9.9/128", "::FFFF:a09:909/128",
	"ipv4:254:10.1.5.0/24:0000000000000000", "ipv4:254:junk:0", "ipv4::::", "mpls:0::0", "IPV6", "ipv6 ", "2", "10",
	"Unicast", "kernel", "KERNEL", "V0", "v0 ", "lo", "nosuch"}

// operators are those that a table may be sent; 64 and over are MATCH, LIKE,
// GLOB, REGEXP, <>, and LIMIT and OFFSET on whatever column comes first.
var operators = []tables.Op{tables.Equals, tables.GreaterThan, tables.GreaterOrEqual, tables.LessThan,
	tables.LessOrEqual, 64, 65, 66, 67, 68, 73, 74}

// TestConstraints runs every operator on every column of both tables, with the
// column's own values and with others, alone and in company.
func TestConstraints(t *testing.T) {
	for _, compat := range []string{"1", "0"} {
		for _, table := range tables.Whole() {
			t.Run(table.Name+" compat "+compat, func(t *testing.T) {
				live(t)
				nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", compat)
				testConstraints(t, newTester(t, table))
			})
		}
	}
}

func testConstraints(t *testing.T, q *tester) {
	values := make([][]string, len(q.table.Columns))
	for i, col := range q.table.Columns {
		if col.Name == "expires" || col.Name == "cache_expires" {
			continue // passes by itself
		}
		for _, r := range q.all {
			if v := r[col.Name]; !slices.Contains(values[i], v) && len(values[i]) < 40 {
				values[i] = append(values[i], v)
			}
		}
		for _, v := range values[i] {
			q.check(t, tables.Constraint{Column: i, Op: tables.Equals, Expr: v})
		}
		// Junk is tried on columns that are pushed down, and on one of each type.
		down := !reflect.ValueOf(q.src.asked[len(q.src.asked)-1].Filter).IsZero()
		others := values[i][:min(3, len(values[i]))]
		if down || col.Name == "metric" || col.Name == "nexthop_index" || col.Name == "encap" {
			others = append(others, junk...)
		}
		for _, op := range operators {
			for _, v := range others {
				q.check(t, tables.Constraint{Column: i, Op: op, Expr: v})
			}
		}
		if t.Failed() {
			t.Fatalf("column %s", col.Name)
		}
	}
	// In company: equalities on one column are alternatives, all else holds at once.
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var constraints []tables.Constraint
		row := q.all[r.IntN(len(q.all))]
		for range 1 + r.IntN(3) {
			col := r.IntN(len(values))
			if r.IntN(2) == 0 {
				col = r.IntN(min(15, len(values))) // those that are pushed down are among the first
			}
			if values[col] == nil {
				continue
			}
			constraints = append(constraints, tables.Constraint{Column: col, Op: tables.Equals,
				Expr: row[q.table.Columns[col].Name]})
			for range r.IntN(3) {
				constraints = append(constraints, tables.Constraint{Column: col, Op: tables.Equals,
					Expr: values[col][r.IntN(len(values[col]))]})
			}
			if r.IntN(4) == 0 {
				constraints = append(constraints, tables.Constraint{Column: col,
					Op: operators[r.IntN(len(operators))], Expr: values[col][r.IntN(len(values[col]))]})
			}
		}
		q.check(t, constraints...)
		if t.Failed() {
			return
		}
	}
}

// TestPushDown sees that a constraint reaches the request to the kernel, as
// exactly as can be, and that operators which say nothing do not.
func TestPushDown(t *testing.T) {
	nstest.New(t)
	network(t)
	v0 := number(newIPView(t).links["v0"]["dev_index"])
	type f = rtnl.Filter
	type is struct{ column, expr string }
	dst := netip.MustParsePrefix("10.0.0.0/8")
	for _, c := range []struct {
		where []is
		want  f
	}{
		{nil, f{}},
		{[]is{{"family", "ipv4"}}, f{Families: []object.Family{object.IPv4}}},
		{[]is{{"family", "IPV6 "}}, f{Families: []object.Family{object.IPv6}}},
		{[]is{{"family", "ipv6"}, {"family", "ipv4"}}, f{Families: []object.Family{object.IPv4, object.IPv6}}},
		{[]is{{"family", "junk"}}, f{None: true, Families: []object.Family{}}},
		{[]is{{"table_id", "254"}}, f{Tables: []uint32{254}}},
		{[]is{{"table_id", "254.0"}}, f{Tables: []uint32{254}}},
		{[]is{{"table_id", "4294967294"}}, f{Tables: []uint32{4294967294}}},
		{[]is{{"table_id", "0xfe"}}, f{None: true, Tables: []uint32{}}},
		{[]is{{"table_id", "-1"}}, f{None: true, Tables: []uint32{}}},
		{[]is{{"table_id", "254"}, {"table_id", "junk"}, {"table_id", "1000"}}, f{Tables: []uint32{254, 1000}}},
		{[]is{{"table_name", "MAIN "}}, f{Tables: []uint32{254}}},
		{[]is{{"table_name", "1000"}}, f{Tables: []uint32{1000}}},
		{[]is{{"table_name", "254"}}, f{None: true, Tables: []uint32{}}},
		{[]is{{"table_name", "main"}, {"table_name", "local"}, {"table_id", "255"}}, f{Tables: []uint32{255}}},
		{[]is{{"dst", "10.0.0.0/8"}}, f{Dsts: []netip.Prefix{dst}}},
		{[]is{{"dst", "10.0.0.0"}}, f{None: true, Dsts: []netip.Prefix{}}},
		{[]is{{"route_id", "ipv4:254:10.0.0.0/8:0123456789abcdef"}},
			f{Families: []object.Family{object.IPv4}, Tables: []uint32{254}, Dsts: []netip.Prefix{dst}}},
		{[]is{{"route_id", "junk"}}, f{None: true, Families: []object.Family{}, Tables: []uint32{},
			Dsts: []netip.Prefix{}}},
		{[]is{{"dev_index", fmt.Sprint(v0)}}, f{OIFs: []uint32{v0}}},
	} {
		for _, table := range tables.OfRoutes() {
			asksFor(t, table, c.want, func() (all []tables.Constraint) {
				for _, w := range c.where {
					all = append(all, where(table, w.column, tables.Equals, w.expr))
				}
				return all
			}())
		}
	}
	for _, c := range []struct {
		is
		want f
	}{
		{is{"type", "blackhole"}, f{Types: []object.RouteType{object.Blackhole}}},
		{is{"type", "Unicast"}, f{Types: []object.RouteType{object.Unicast}}},
		{is{"protocol", "dhcp"}, f{Protocols: []uint8{16}}},
		{is{"protocol", "77"}, f{Protocols: []uint8{77}}},
		{is{"protocol", "16"}, f{None: true, Protocols: []uint8{}}},
	} {
		for _, table := range tables.OfRoutes() {
			asksFor(t, table, c.want, []tables.Constraint{where(table, c.column, tables.Equals, c.expr)})
		}
	}
	// Others are not pushed down.
	for _, table := range tables.Whole() {
		for _, op := range operators[1:] {
			for i := range table.Columns {
				asksFor(t, table, f{}, []tables.Constraint{{Column: i, Op: op, Expr: "1"}})
			}
		}
	}
	// A name chooses interfaces once their names are known.
	src := &recorder{}
	scan(t, tables.Routes, src, where(tables.Routes, "dev", tables.Equals, "v0"))
	if r := src.asked[0]; r.Link == nil || !r.Link(&object.Link{Name: "v0"}) || r.Link(&object.Link{Name: "v1"}) {
		t.Errorf("dev = v0 asks for %+v", r)
	}
}

// TestUnreadColumns: columns that nobody reads are not paid for.
func TestUnreadColumns(t *testing.T) {
	nstest.New(t)
	objects := []*object.Kind{object.NexthopObjects.Kind}
	devices := []*object.Kind{object.Links.Kind, object.NexthopObjects.Kind}
	for _, c := range []struct {
		table    *tables.Table
		used     []string
		referred []*object.Kind
		along    []*object.Kind
	}{
		{tables.Routes, []string{"dst"}, nil, nil},
		{tables.Nexthops, []string{"dst", "gateway", "weight"}, objects, nil},
		{tables.Nexthops, []string{"type", "protocol", "scope", "dst_len", "tos"}, objects, nil},
		{tables.Nexthops, []string{"dev_kind"}, devices, nil},
		{tables.Nexthops, []string{"dev_operstate"}, devices, nil},
		{tables.Nexthops, []string{"vrf"}, objects, devices[:1]},
	} {
		src, used := &recorder{}, make([]bool, len(c.table.Columns))
		for _, name := range c.used {
			used[c.table.Column(name)] = true
		}
		if _, err := c.table.Scan(t.Context(), src, tables.Query{Used: used}); err != nil {
			t.Fatal(err)
		}
		if r := src.asked[0]; !slices.Equal(r.Referred, c.referred) || !slices.Equal(r.Along, c.along) {
			t.Errorf("%s, %q alone asks for %+v", c.table.Name, c.used, r)
		}
	}
}

// asksFor checks what one query asks for. How interfaces are matched is left out.
func asksFor(t *testing.T, table *tables.Table, want rtnl.Filter, constraints []tables.Constraint) {
	t.Helper()
	src := &recorder{}
	if _, err := scanErr(table, src, constraints...); err != nil {
		t.Fatal(err)
	}
	got := src.asked[0].Filter
	got.Link, got.Single = nil, false
	slices.Sort(got.Families)
	if len(src.asked) != 1 || !reflect.DeepEqual(got, want) {
		q := tester{table: table}
		t.Errorf("%s: %d requests, %+v, not %+v", q.describe(constraints), len(src.asked), got, want)
	}
}

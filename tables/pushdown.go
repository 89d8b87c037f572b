package tables

import (
	"bytes"
	"errors"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// A check is what a query's constraints demand of one column.
//
// It lets through whatever an engine may still accept: text is compared without
// regard to case and to blanks at the end, because neither osquery nor a virtual
// table is told the collation (NOCASE, RTRIM) that the query asks for.
type check struct {
	column int
	values []string       // equalities: one of them must hold
	texts  textSet        // the same, for a TEXT column
	whole  map[int64]bool // the same, those that are whole numbers, for others
	bounds []bound        // the other numbers, and the inequalities
	order  []textBound    // the inequalities, for a TEXT column that is Sorted
}

// A bound is a numeric condition.
type bound struct {
	op    Op
	value float64
	exact int64 // the value, where isInt
	isInt bool
}

// checks sorts constraints by column. Those on operators that mean nothing here
// are dropped.
func checks(info func(col int) *ColumnInfo, constraints []Constraint) []check {
	var all []check
	for _, c := range constraints {
		i := slices.IndexFunc(all, func(k check) bool { return k.column == c.Column })
		fresh := i < 0
		if fresh {
			i = len(all)
			all = append(all, check{column: c.Column})
		}
		k := &all[i]
		column := info(c.Column)
		numeric := column.Type != Text
		switch c.Op {
		case Equals:
			k.values = append(k.values, c.Expr)
			if !numeric {
				k.texts.add(c.Expr)
			}
		case GreaterThan, GreaterOrEqual, LessThan, LessOrEqual:
			if column.Sorted {
				k.order = append(k.order, textBound{c.Op, c.Expr})
			}
		default:
			numeric = false
		}
		if numeric {
			k.addBound(c.Op, c.Expr)
		}
		if fresh && k.values == nil && k.bounds == nil && k.order == nil {
			all = all[:i]
		}
	}
	return all
}

func (c *check) addBound(op Op, expr string) {
	b, ok := parseBound(op, expr)
	switch {
	case !ok:
	case op == Equals && b.isInt:
		if c.whole == nil {
			c.whole = map[int64]bool{}
		}
		c.whole[b.exact] = true
	default:
		c.bounds = append(c.bounds, b)
	}
}

// parseBound reads a number as SQLite reads one from text. Text that is no
// number equals none; what is greater or less than it is left to the engine.
func parseBound(op Op, expr string) (bound, bool) {
	expr = strings.Trim(expr, " \t\n\v\f\r")
	b := bound{op: op}
	if i, err := strconv.ParseInt(expr, 10, 64); err == nil {
		b.exact, b.isInt, b.value = i, true, float64(i)
		return b, true
	}
	// What else Go takes for a number is text to SQLite: 0x10p0, inf, nan.
	if strings.Trim(expr, "0123456789+-.eE") != "" {
		return b, false
	}
	f, err := strconv.ParseFloat(expr, 64)
	b.value = f
	return b, err == nil || errors.Is(err, strconv.ErrRange)
}

func (b *bound) holds(v int64) bool {
	order := 0
	if b.isInt {
		order = compare(v, b.exact)
	} else {
		order = compare(float64(v), b.value)
	}
	switch b.op {
	case Equals:
		return order == 0
	case GreaterThan:
		return order > 0
	case GreaterOrEqual:
		return order >= 0
	case LessThan:
		return order < 0
	case LessOrEqual:
		return order <= 0
	}
	return true
}

func compare[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// text reports whether a TEXT value passes.
func (c *check) text(v []byte) bool {
	for i := range c.order {
		if !c.order[i].holds(v) {
			return false
		}
	}
	return len(c.values) == 0 || c.texts.has(v)
}

// A textSet is a set of texts that are compared without regard to case, ASCII's as
// in SQLite's NOCASE, and to blanks at the end.
type textSet map[string]struct{}

func newTextSet(values []string) (s textSet) {
	for _, v := range values {
		s.add(v)
	}
	return s
}

func (s *textSet) add(text string) {
	if *s == nil {
		*s = textSet{}
	}
	(*s)[string(appendFolded(nil, []byte(text)))] = struct{}{}
}

func (s textSet) has(text []byte) bool {
	var buf [64]byte
	_, ok := s[string(appendFolded(buf[:0], text))]
	return ok
}

func appendFolded(b, text []byte) []byte {
	for _, c := range bytes.TrimRight(text, " ") {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

// number reports whether a numeric value passes.
func (c *check) number(v int64) bool {
	equal := len(c.values) == 0 || c.whole[v]
	for i := range c.bounds {
		switch b := &c.bounds[i]; {
		case b.op == Equals:
			equal = equal || b.holds(v)
		case !b.holds(v):
			return false
		}
	}
	return equal
}

// A pushdown is the request in the making: what a query asks for is pushed down into it.
type pushdown struct {
	*rtnl.Filter
	ids   *[]string // identities that are looked up
	names *iproute2.Names
	devs  *devNames // nil: nobody wants to know
	// numbers of the table's objects (object.Kind.Number) that alone are wanted; nil: all are
	numbers []uint32

	inodes  []uint64 // see plan.inodes
	covers  []cover  // nil: none is asked for
	covered keyRange // by the destinations of all routes that are wanted
}

// A devNames knows which of the interfaces that are asked for by name there are,
// when the routes have been read.
type devNames struct {
	mu    sync.Mutex
	found map[string]bool // nil: interfaces were not looked at
}

// lack reports whether it is sure that no interface has the name.
func (d *devNames) lack(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.found != nil && !d.found[name]
}

// note is told of each interface that there is, of several namespaces side by side.
func (d *devNames) note(name string, wanted bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found == nil {
		d.found = map[string]bool{}
	}
	if wanted {
		d.found[name] = true
	}
}

// restrict leaves in one of the filter's lists what is also in values, each once. An empty
// list is everything, so that one with nothing left is no route.
func restrict[T comparable](f *rtnl.Filter, list *[]T, values []T) {
	everything := len(*list) == 0
	left := make(map[T]bool, len(*list)) // what is not in it is left if that is everything
	for _, v := range *list {
		left[v] = true
	}
	out := []T{}
	for _, v := range values {
		if is, known := left[v]; is || !known && everything {
			out = append(out, v)
		}
		left[v] = false
	}
	*list, f.None = out, f.None || len(out) == 0
}

// matching returns the numbers below 256 whose name is one of the values.
func matching[T ~uint8](values []string, name func(T) string) []T {
	set := newTextSet(values)
	out := []T{}
	for i := range 256 {
		if set.has([]byte(name(T(i)))) {
			out = append(out, T(i))
		}
	}
	return out
}

func numbers(values []string) []uint32 {
	out := []uint32{}
	for _, v := range values {
		if n, ok := wholeNumber(v); ok && 0 <= n && n <= math.MaxUint32 {
			out = append(out, uint32(n))
		}
	}
	return out
}

// wholeNumber reads a number as parseBound does, if it is a whole one of 64 bits.
func wholeNumber(value string) (n int64, ok bool) {
	b, ok := parseBound(Equals, value)
	if b.isInt {
		return b.exact, ok
	}
	n = int64(b.value)
	return n, ok && float64(n) == b.value
}

func pushFamily(n *pushdown, values []string) {
	restrict(n.Filter, &n.Families, matching(values, object.Family.String))
}

func pushType(n *pushdown, values []string) {
	restrict(n.Filter, &n.Types, matching(values, object.RouteType.String))
}

func pushProtocol(n *pushdown, values []string) {
	protocols := []uint8{}
	for _, id := range ids(n.names.Protocols(), values) {
		protocols = append(protocols, uint8(id))
	}
	restrict(n.Filter, &n.Protocols, protocols)
}

func pushTableID(n *pushdown, values []string) { restrict(n.Filter, &n.Tables, numbers(values)) }

func pushTableName(n *pushdown, values []string) {
	restrict(n.Filter, &n.Tables, ids(n.names.Tables(), values))
}

// ids returns the numbers that have one of the values as a name.
func ids(set *iproute2.NameSet, values []string) []uint32 {
	all := []uint32{}
	for _, v := range values {
		all = append(all, set.IDs(strings.TrimRight(v, " "))...)
	}
	return all
}

func pushDst(n *pushdown, values []string) {
	dsts := []netip.Prefix{}
	for _, v := range values {
		v = strings.TrimRight(v, " ")
		if strings.Trim(v, "0123456789/") == "" {
			return // an MPLS label
		}
		if p, err := netip.ParsePrefix(strings.ToLower(v)); err == nil {
			dsts = append(dsts, p)
		}
	}
	restrict(n.Filter, &n.Dsts, dsts)
}

// pushRouteID asks only for what the identity itself names.
func pushRouteID(n *pushdown, values []string) {
	families, tables, dsts := []object.Family{}, []uint32{}, []netip.Prefix{}
	labels := false
	ids := []string{}
	for _, v := range values {
		id, inode, named := cutID(strings.ToLower(strings.TrimRight(v, " ")))
		f, table, dst, ok := object.ParseID(id)
		if !ok || !named {
			continue
		}
		ids = append(ids, id)
		if !slices.Contains(n.inodes, inode) {
			n.inodes = append(n.inodes, inode)
		}
		families, tables = append(families, f), append(tables, table)
		if dst.IsValid() {
			dsts = append(dsts, dst)
		} else {
			labels = true
		}
	}
	*n.ids = ids
	restrict(n.Filter, &n.Families, families)
	restrict(n.Filter, &n.Tables, tables)
	if !labels {
		restrict(n.Filter, &n.Dsts, dsts)
	}
}

// pushDev and pushDevIndex choose interfaces. An empty name is that of no interface
// as well as of one that went away: then nothing can be pushed down.
func pushDev(n *pushdown, values []string) {
	wanted := newTextSet(values)
	if wanted.has(nil) {
		return
	}
	n.Link = func(l *object.Link) bool {
		is := wanted.has([]byte(l.Name))
		if n.devs != nil {
			n.devs.note(l.Name, is)
		}
		return is
	}
}

func pushNumber(n *pushdown, values []string) { n.numbers = numbers(values) }

func pushDevIndex(n *pushdown, values []string) { restrict(n.Filter, &n.OIFs, numbers(values)) }

// ofSingle is pushDev or pushDevIndex for a table in which a route with several
// nexthops has no interface.
func ofSingle(push func(*pushdown, []string)) func(*pushdown, []string) {
	return func(n *pushdown, values []string) {
		push(n, values)
		n.Single = n.Link != nil || len(n.OIFs) > 0
	}
}

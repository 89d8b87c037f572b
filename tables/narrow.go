package tables

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
)

// A check is what a query's constraints demand of one column.
//
// It lets through whatever an engine may still accept: text is compared without
// regard to case and to blanks at the end, because neither osquery nor a virtual
// table is told the collation (NOCASE, RTRIM) that the query asks for.
type check struct {
	column int
	values []string // equalities: one of them must hold
	folded [][]byte // the same, for comparing text
	bounds []bound  // the numeric ones of them, and the inequalities
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
func checks(columns []ColumnInfo, constraints []Constraint) []check {
	var all []check
	for _, c := range constraints {
		i := slices.IndexFunc(all, func(k check) bool { return k.column == c.Column })
		fresh := i < 0
		if fresh {
			i = len(all)
			all = append(all, check{column: c.Column})
		}
		k := &all[i]
		numeric := columns[c.Column].Type != Text
		switch c.Op {
		case Equals:
			k.values = append(k.values, c.Expr)
			if !numeric {
				k.folded = append(k.folded, bytes.TrimRight([]byte(c.Expr), " "))
			}
		case GreaterThan, GreaterOrEqual, LessThan, LessOrEqual:
		default:
			numeric = false
		}
		if numeric {
			if b, ok := parseBound(c.Op, c.Expr); ok {
				k.bounds = append(k.bounds, b)
			}
		}
		if fresh && k.values == nil && k.bounds == nil {
			all = all[:i]
		}
	}
	return all
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
	v = bytes.TrimRight(v, " ")
	for _, f := range c.folded {
		if bytes.EqualFold(v, f) {
			return true
		}
	}
	return len(c.values) == 0
}

// number reports whether a numeric value passes.
func (c *check) number(v int64) bool {
	equal := len(c.values) == 0
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

// narrowing is the request in the making.
type narrowing struct {
	*rtnl.Filter
	names *rtnl.Names
	devs  *devNames // nil: nobody wants to know
}

// A devNames knows which of the interfaces that are asked for by name there are,
// when the routes have been read.
type devNames struct {
	listed bool // there are no others
	found  []string
}

// lack reports whether it is sure that no interface has the name.
func (d *devNames) lack(name string) bool { return d.listed && !slices.Contains(d.found, name) }

func (d *devNames) note(name string, wanted []string) {
	d.listed = true
	if slices.Contains(wanted, name) {
		d.found = append(d.found, name)
	}
}

// meet leaves in list what is also in values; a nil list is everything.
func meet[T comparable](list, values []T) []T {
	out := []T{}
	for _, v := range values {
		if (list == nil || slices.Contains(list, v)) && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// matching returns the numbers below n whose name is one of the values.
func matching[T ~uint8](values []string, name func(T) string) []T {
	out := []T{}
	for i := range 256 {
		s := name(T(i))
		if slices.ContainsFunc(values, func(v string) bool { return same(v, s) }) {
			out = append(out, T(i))
		}
	}
	return out
}

// same compares as check.text does.
func same(a, b string) bool {
	return strings.EqualFold(strings.TrimRight(a, " "), strings.TrimRight(b, " "))
}

func numbers(values []string) []uint32 {
	out := []uint32{}
	for _, v := range values {
		b, ok := parseBound(Equals, v)
		if n := uint32(b.value); ok && float64(n) == b.value {
			out = append(out, n)
		}
	}
	return out
}

func byFamily(n *narrowing, values []string) {
	n.Families = meet(n.Families, matching(values, rtnl.Family.String))
}

func byType(n *narrowing, values []string) {
	n.Types = meet(n.Types, matching(values, rtnl.RouteType.String))
}

func byProtocol(n *narrowing, values []string) {
	protocols := []uint8{}
	for _, id := range ids(n.names.Protocols(), values) {
		protocols = append(protocols, uint8(id))
	}
	n.Protocols = meet(n.Protocols, protocols)
}

func byTableID(n *narrowing, values []string) { n.Tables = meet(n.Tables, numbers(values)) }

func byTableName(n *narrowing, values []string) {
	n.Tables = meet(n.Tables, ids(n.names.Tables(), values))
}

// ids returns the numbers that have one of the values as a name.
func ids(set *rtnl.NameSet, values []string) []uint32 {
	all := []uint32{}
	for _, v := range values {
		all = append(all, set.IDs(strings.TrimRight(v, " "))...)
	}
	return all
}

func byDst(n *narrowing, values []string) {
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
	n.Dsts = meet(n.Dsts, dsts)
}

// byRouteID asks only for what the identity itself names.
func byRouteID(n *narrowing, values []string) {
	families, tables, dsts := []rtnl.Family{}, []uint32{}, []netip.Prefix{}
	labels := false
	for _, v := range values {
		f, table, dst, ok := rtnl.ParseID(strings.ToLower(strings.TrimRight(v, " ")))
		if !ok {
			continue
		}
		families, tables = append(families, f), append(tables, table)
		if dst.IsValid() {
			dsts = append(dsts, dst)
		} else {
			labels = true
		}
	}
	n.Families, n.Tables = meet(n.Families, families), meet(n.Tables, tables)
	if !labels {
		n.Dsts = meet(n.Dsts, dsts)
	}
}

// byDev and byDevIndex choose interfaces. An empty name is that of no interface
// as well as of one that went away: then nothing can be narrowed.
func byDev(n *narrowing, values []string) {
	if slices.ContainsFunc(values, func(v string) bool { return same(v, "") }) {
		return
	}
	n.Link = func(l *rtnl.Link) bool {
		if n.devs != nil {
			n.devs.note(l.Name, values)
		}
		return slices.ContainsFunc(values, func(v string) bool { return same(v, l.Name) })
	}
}

func byDevIndex(n *narrowing, values []string) { n.OIFs = meet(n.OIFs, numbers(values)) }

// single is byDev or byDevIndex for a table in which a route with several
// nexthops has no interface.
func single(narrow func(*narrowing, []string)) func(*narrowing, []string) {
	return func(n *narrowing, values []string) {
		narrow(n, values)
		n.Single = n.Link != nil || n.OIFs != nil
	}
}

package tables

import (
	"math"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// needs is what must be read and decoded for a column, beside the fixed header of the
// object's message.
type needs struct {
	fields   object.Fields // attributes of a route
	referred kinds         // objects of other kinds that the row's object refers to
	along    kinds         // all objects of other kinds
	hops     bool          // every nexthop of a route is worked out
	found    rtnl.Want     // what is found out by a look-up

	countBy object.Grouping // of a table in which routes are counted
}

// kinds is a set of kinds, by their ordinal.
type kinds uint32

func kindSet(all ...*object.Kind) (set kinds) {
	for _, k := range all {
		set |= 1 << k.Ordinal()
	}
	return set
}

func (s kinds) has(k *object.Kind) bool { return s&kindSet(k) != 0 }

// list returns the kinds in the set.
func (s kinds) list() (list []*object.Kind) {
	for _, k := range object.Kinds {
		if s.has(k) {
			list = append(list, k)
		}
	}
	return list
}

// and returns what is needed for both.
func (n needs) and(o needs) needs {
	return needs{n.fields | o.fields, n.referred | o.referred, n.along | o.along, n.hops || o.hops,
		n.found | o.found, n.countBy.And(o.countBy)}
}

var (
	nothing needs

	// needLinks is for a column that shows an interface.
	needLinks = needs{referred: kindSet(object.Links.Kind)}
	// needVRFs is for a column that shows the VRF of a table.
	needVRFs = needs{along: kindSet(object.Links.Kind)}
	// needUses is for a column that shows how many routes use nexthop objects.
	needUses = needs{along: kindSet(object.Routes.Kind), countBy: object.Grouping{Object: true}}
	// needObjects is for a column that shows something of a nexthop object.
	needObjects = needs{referred: kindSet(object.NexthopObjects.Kind)}
	// needHops is for a column that shows all nexthops.
	needHops = needs{hops: true}.and(needObjects).and(field(object.FieldNexthops))
	// needSingle is for a column that shows a route's single nexthop, which may be
	// known to a nexthop object alone.
	needSingle = needObjects.and(field(object.FieldNexthopID | object.FieldVia))
	// needEncap is for a column that shows the tunnel of a route's single nexthop.
	needEncap = needSingle.and(field(object.FieldEncap))
)

func field(f object.Fields) needs { return needs{fields: f} }

// A column is declared once: what it is called, how it is read from a row, and
// what that needs. R is the row of its table.
type column[R any] struct {
	ColumnInfo
	needs needs
	// One of the four that follow:
	text         func(*R, []byte) []byte     // TEXT: appends, nothing where absent
	number       func(*R) (int64, bool)      // INTEGER, BIGINT: false where absent
	sharedText   func(*scope, []byte) []byte // the same of every row of one reading
	sharedNumber func(*scope) (int64, bool)  //

	push     func(*pushdown, []string) // pushes equalities down into the request; may be nil
	ranges   func(*pushdown, *check)   // the same of < and >, and of equalities; may be nil
	domain   *domain                   // which values there can be; nil: any
	row      bool                      // tells rows apart, with others that do
	given    bool                      // its values are identities: see givesIDs
	requires object.Fields             // optional: absent unless the row's object has one of them; 0: not

	// Of a TEXT column that shows the name of a number:
	names func(*iproute2.Names) *iproute2.NameSet
	id    func(*R) uint32
}

func declare[R any](name string, t Type, description string, n needs) column[R] {
	info := ColumnInfo{Name: name, Type: t, Options: Additional | Optimized}
	info.Description, info.Unit = cutUnit(description)
	return column[R]{ColumnInfo: info, needs: n}
}

// text declares a TEXT column.
func text[R any](name, description string, n needs, f func(*R, []byte) []byte) column[R] {
	c := declare[R](name, Text, description, n)
	c.text = f
	return c
}

// integer declares an INTEGER column: it fits into 31 bits.
func integer[R any](name, description string, n needs, f func(*R) (int64, bool)) column[R] {
	c := declare[R](name, Integer, description, n)
	c.number, c.domain = f, numbersTo(math.MaxInt32)
	return c
}

// bigint declares a BIGINT column.
func bigint[R any](name, description string, n needs, f func(*R) (int64, bool)) column[R] {
	c := declare[R](name, BigInt, description, n)
	c.number, c.domain = f, numbersTo(math.MaxUint32)
	return c
}

// pushed says how equalities on the column are pushed down into the request.
func (c column[R]) pushed(push func(*pushdown, []string)) column[R] {
	c.push = push
	return c
}

// optional says that the column is absent where the route has none of the attributes
// that it needs, so that most rows need not be asked for it.
func (c column[R]) optional() column[R] {
	c.requires = c.needs.fields
	return c
}

// ranged says that <, <=, > and >= on the column are made use of: rows that do not meet them
// are not sent, and push pushes them down.
func (c column[R]) ranged(push func(*pushdown, *check)) column[R] {
	c.Sorted, c.ranges = true, push
	return c
}

// input says that equalities on the column say what rows are to show: see ColumnInfo.Input.
func (c column[R]) input(what string) column[R] {
	c.Input = what
	return c
}

// hidden says that the column is no part of SELECT *.
func (c column[R]) hidden() column[R] {
	c.Options |= Hidden
	return c
}

// isShared reports whether the column is the same of every row of one reading.
func (c *column[R]) isShared() bool { return c.sharedText != nil || c.sharedNumber != nil }

// holds says which values the column can have.
func (c column[R]) holds(d *domain) column[R] {
	c.domain = d
	return c
}

// named says that the column shows the name of a number, which may have others.
func (c column[R]) named(d nameDomain, id func(*R) uint32) column[R] {
	c.names, c.id, c.domain = d.set, id, d.domain()
	return c
}

// key marks the column that identifies a row, or the object of several.
func (c column[R]) key() column[R] {
	c.Options = Index | Optimized
	return c.perRow()
}

// perRow says that the column tells rows with the same key apart.
func (c column[R]) perRow() column[R] {
	c.row = true
	return c
}

// givesIDs says that the values are identities of routes, which may be looked up soon: see
// rtnl.Request.GivesIDs.
func (c column[R]) givesIDs() column[R] {
	c.given = true
	return c
}

// describe sets another description.
func (c column[R]) describe(description string) column[R] {
	c.Description, c.Unit = cutUnit(description)
	return c
}

// volatile says that the column changes with time, or from one reading to the
// next, while the object stays as it is.
func (c column[R]) volatile() column[R] {
	c.Volatile = true
	return c
}

// changesWithTime ends the description of a volatile column.
const changesWithTime = "; changes with time"

// consistent declares the column that every table has.
func consistent[R any]() column[R] {
	c := declare[R]("snapshot_consistent", Integer,
		"1 if nothing changed while the kernel was read or all changes are accounted for, else 0", nothing)
	c.sharedNumber = func(s *scope) (int64, bool) { return boolean(s.snap.Consistent) }
	return c.holds(numbersTo(1)).volatile().
		from("worked out from notifications that came meanwhile, and NLM_F_DUMP_INTR")
}

// unknownAttrs declares the column of the attributes that have none.
func unknownAttrs[R any](attributes, source string, n needs, attrs func(*R) []wire.Attr) column[R] {
	return text("unknown_attrs",
		attributes+" that are not understood, as JSON: [{\"type\":N,\"len\":N,\"hex\":\"...\"}], [] for none",
		n, func(r *R, b []byte) []byte { return appendAttrs(b, attrs(r)) }).from(source)
}

func appendAttrs(b []byte, attrs []wire.Attr) []byte {
	b = append(b, '[')
	for i, a := range attrs {
		if i > 0 {
			b = append(b, ',')
		}
		b = a.AppendJSON(b)
	}
	return append(b, ']')
}

// columnInfos returns what is known of the columns of a table that Linux has since some version.
func columnInfos[R any](columns []column[R], tableSince string) []ColumnInfo {
	infos := make([]ColumnInfo, len(columns))
	for i := range columns {
		columns[i].settle(tableSince)
		infos[i] = columns[i].ColumnInfo
	}
	return infos
}

// The values of columns of numbers.

func present[T uint8 | uint16 | uint32 | int](v T) (int64, bool) { return int64(v), true }

func opt[T uint8 | uint16 | uint32](o object.Opt[T]) (int64, bool) { return int64(o.V), o.OK }

func boolean(v bool) (int64, bool) {
	if v {
		return 1, true
	}
	return 0, true
}

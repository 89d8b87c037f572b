package tables

import (
	"context"
	"encoding/binary"
	"iter"
	"math"
	"net/netip"
	"slices"

	"kernelroutes/rtnl"
)

// needs is what must be read and decoded for a column: rtnl.Fields in the low
// bits, and what is no part of a route.
type needs uint64

const (
	nothing needs = 0

	// header is for a column that is in struct rtmsg.
	header needs = 1 // RTA_UNSPEC, which is never sent

	links   needs = 1 << 62 // interfaces are read
	objects needs = 1 << 61 // nexthop objects are read
	hops    needs = 1 << 60 // every nexthop of a route is worked out

	// needLinks is for a column that shows an interface.
	needLinks = links
	// needHops is for a column that shows all nexthops.
	needHops = hops | objects | needs(rtnl.FieldNexthops)
	// needOnly is for a column that shows a route's only nexthop, which may be
	// known to a nexthop object alone.
	needOnly = objects | needs(rtnl.FieldNexthopID|rtnl.FieldOIF|rtnl.FieldGateway)

	fields needs = hops - 1
)

func field(f rtnl.Fields) needs { return needs(f) & fields }

// A column is declared once: what it is called, how it is read from a row, and
// what that needs. R is the row of its table.
type column[R any] struct {
	ColumnInfo
	needs  needs
	text   func([]byte, *R) []byte    // TEXT: appends, nothing where absent
	number func(*R) (int64, bool)     // INTEGER, BIGINT: false where absent
	narrow func(*narrowing, []string) // makes a narrower request of equalities; may be nil
	rare   bool                       // absent unless the route has an attribute that is needed
	domain *domain                    // which values there can be
	row    bool                       // tells rows apart, with others that do

	// Of a TEXT column that shows the name of a number:
	names func(*rtnl.Names) *rtnl.NameSet
	id    func(*R) uint32
}

// text declares a TEXT column.
func text[R any](name, description string, n needs, f func([]byte, *R) []byte) column[R] {
	return column[R]{ColumnInfo: info(name, Text, description), needs: n, text: f}
}

// small declares an INTEGER column: it fits into 31 bits.
func small[R any](name, description string, n needs, f func(*R) (int64, bool)) column[R] {
	return column[R]{ColumnInfo: info(name, Integer, description), needs: n, number: f,
		domain: numbersTo(math.MaxInt32)}
}

func info(name string, t Type, description string) ColumnInfo {
	return ColumnInfo{Name: name, Type: t, Options: Additional | Optimized, Description: description}
}

// big declares a BIGINT column.
func big[R any](name, description string, n needs, f func(*R) (int64, bool)) column[R] {
	c := small(name, description, n, f)
	c.Type, c.domain = BigInt, numbersTo(math.MaxUint32)
	return c
}

// by lets equalities on the column narrow the request.
func (c column[R]) by(narrow func(*narrowing, []string)) column[R] {
	c.narrow = narrow
	return c
}

// sparse says that the column is absent where the route has none of the
// attributes that it needs, so that most rows need not be asked for it.
func (c column[R]) sparse() column[R] {
	c.rare = true
	return c
}

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

// key marks the column that identifies a row.
func (c column[R]) key() column[R] {
	c.Options = Index | Optimized
	return c.perRow()
}

// perRow says that the column tells rows with the same key apart.
func (c column[R]) perRow() column[R] {
	c.row = true
	return c
}

// A plan is what a query comes to: the request, and the conditions that are
// checked here, row by row, so that rows which the engine would drop are not sent.
type plan[R any] struct {
	request rtnl.Request
	names   *rtnl.Names
	needs   needs
	columns []column[R]
	checks  []check
	devs    devNames
	key     []column[R] // if rows have numbers: see Query.RowIDs
}

// newPlan works a query out; base is what every row of the table needs.
func newPlan[R any](columns []column[R], base needs, names *rtnl.Names, q Query) *plan[R] {
	numeric := func(col int) bool { return columns[col].Type != Text }
	p := &plan[R]{needs: base, columns: columns, names: names, checks: checks(numeric, q.Constraints)}
	n := narrowing{Filter: &p.request.Filter, ids: &p.request.IDs, names: names}
	if q.Warn != nil {
		n.devs = &p.devs
	}
	for i := range columns {
		if q.Used == nil || i < len(q.Used) && q.Used[i] {
			p.needs |= columns[i].needs
			p.request.GivesIDs = p.request.GivesIDs || columns[i].Options&Index != 0
		}
	}
	for i := range columns {
		if q.RowIDs && columns[i].row {
			p.needs |= columns[i].needs
			p.key = append(p.key, columns[i])
		}
	}
	for _, c := range p.checks {
		p.needs |= columns[c.column].needs
		if len(c.values) == 0 {
			continue
		}
		if narrow := columns[c.column].narrow; narrow != nil {
			narrow(&n, c.values)
		}
		if asked := columns[c.column].respelled(names, c.values); asked != nil {
			p.columns = slices.Clone(p.columns)
			p.columns[c.column].text = asked
		}
	}
	p.request.Links = p.needs&links != 0
	p.request.Nexthops = p.needs&objects != 0
	p.request.Count = p.needs == nothing
	return p
}

// narrowed reports whether the request is as narrow as the checks, more or less.
func (p *plan[R]) narrowed() bool {
	return !slices.ContainsFunc(p.checks, func(c check) bool {
		return len(c.bounds) > 0 || len(c.values) > 0 && p.columns[c.column].narrow == nil
	})
}

// gives returns a function for rtnl.Request.Gives: the identities in rows that meet the
// checks.
func (p *plan[R]) gives(
	key column[R], walk func(*plan[R], *rtnl.Snapshot) func() *R,
) func(*rtnl.Snapshot) iter.Seq[[]byte] {
	return func(s *rtnl.Snapshot) iter.Seq[[]byte] {
		return func(yield func([]byte) bool) {
			var id []byte
			for r := (&rows[R]{plan: p, next: walk(p, s)}); r.Next(); {
				if id = key.text(id[:0], r.row); !yield(id) {
					return
				}
			}
		}
	}
}

// fields is what has to be decoded: rtnl.FieldUnknown whole, also where its bits
// are not those of a route here.
func (p *plan[R]) fields() rtnl.Fields {
	if p.needs&fields == fields {
		return rtnl.FieldUnknown
	}
	return rtnl.Fields(p.needs & fields)
}

func columnInfos[R any](columns []column[R]) []ColumnInfo {
	infos := make([]ColumnInfo, len(columns))
	for i := range columns {
		infos[i] = columns[i].ColumnInfo
	}
	return infos
}

// rows walks over the rows of a table that meet the checks.
type rows[R any] struct {
	plan *plan[R]
	next func() *R // nil at the end
	row  *R
	buf  []byte

	parts func(n int) []Rows // the same rows, in at most n parts
	count func() int         // nil where it takes the checks to know
}

// Split returns the rows, none of which has been read yet, in at most n parts
// that may be read side by side.
func (r *rows[R]) Split(n int) []Rows { return r.parts(n) }

// Count returns how many rows there are, if that is known without reading them.
func (r *rows[R]) Count() (n int, ok bool) {
	if r.count == nil {
		return 0, false
	}
	return r.count(), true
}

// unless returns the attributes of which a route must have one for a column to be
// there; 0: it may be there in any case.
func (r *rows[R]) unless(col int) rtnl.Fields {
	if c := &r.plan.columns[col]; c.rare {
		return rtnl.Fields(c.needs & fields)
	}
	return 0
}

// attributes returns those of the current row's route.
func (r *rows[R]) attributes() rtnl.Fields {
	return any(r.row).(interface{ attributes() rtnl.Fields }).attributes()
}

func (r *rows[R]) Next() bool {
	for r.row = r.next(); r.row != nil; r.row = r.next() {
		if r.passes() {
			return true
		}
	}
	return false
}

func (r *rows[R]) passes() bool {
	for i := range r.plan.checks {
		c := &r.plan.checks[i]
		col := &r.plan.columns[c.column]
		if col.text != nil {
			r.buf = col.text(r.buf[:0], r.row)
			if !c.text(r.buf) {
				return false
			}
		} else if v, ok := col.number(r.row); !ok || !c.number(v) {
			return false
		}
	}
	return true
}

func (r *rows[R]) AppendText(b []byte, col int) []byte { return r.plan.columns[col].text(b, r.row) }

func (r *rows[R]) Int(col int) (int64, bool) { return r.plan.columns[col].number(r.row) }

// RowID returns 63 bits of a hash of what tells the row apart.
func (r *rows[R]) RowID() int64 {
	r.buf = r.buf[:0]
	for i := range r.plan.key {
		if c := &r.plan.key[i]; c.text != nil {
			r.buf = append(c.text(r.buf, r.row), 0)
		} else {
			v, _ := c.number(r.row)
			r.buf = binary.BigEndian.AppendUint64(r.buf, uint64(v))
		}
	}
	hash := uint64(14695981039346656037) // FNV-1a
	for _, c := range r.buf {
		hash = (hash ^ uint64(c)) * 1099511628211
	}
	return int64(hash & math.MaxInt64)
}

// inconsistent is what is said of an answer that may not be of one time.
const inconsistent = ": routes changed while they were read, or cannot be proved to be all: " +
	"some may be missing (snapshot_consistent is 0)"

// define makes a Table of columns and the function that yields its rows.
func define[R any](name, description string, examples []string, base needs, columns []column[R],
	walk func(*plan[R], *rtnl.Snapshot) func() *R) *Table {
	return &Table{
		Name: name, Description: description, Examples: examples, Columns: columnInfos(columns),
		request: func(names *rtnl.Names, q Query) rtnl.Request { return newPlan(columns, base, names, q).request },
		scan: func(ctx context.Context, src Source, q Query) (Rows, error) {
			p := newPlan(columns, base, src.Names(), q)
			if p.request.GivesIDs && !p.narrowed() {
				key := slices.IndexFunc(columns, func(c column[R]) bool { return c.Options&Index != 0 })
				p.request.Gives = p.gives(columns[key], walk)
			}
			s, err := src.Read(ctx, p.request)
			if err != nil {
				return nil, err
			}
			if q.Warn != nil {
				p.warn(ctx, name, src, q)
				if !s.Consistent { // what the rows say in snapshot_consistent, if there are any
					q.Warn(name + inconsistent)
				}
			}
			all := &rows[R]{plan: p, next: walk(p, s), parts: func(n int) (parts []Rows) {
				for _, part := range s.Split(n) {
					parts = append(parts, &rows[R]{plan: p, next: walk(p, part)})
				}
				return parts
			}}
			if len(p.checks) == 0 {
				all.count = func() (n int) {
					for next := walk(&plan[R]{needs: base, names: p.names}, s); next() != nil; n++ {
					}
					return n
				}
			}
			return all, nil
		},
	}
}

// The helpers that follow keep a column's declaration to one line.

func count[T uint8 | uint16 | uint32 | int](v T) (int64, bool) { return int64(v), true }

func optional[T uint8 | uint16 | uint32](o rtnl.Opt[T]) (int64, bool) { return int64(o.V), o.OK }

// addrFamily is the family of an address that may be absent.
func addrFamily(a netip.Addr) string {
	switch {
	case !a.IsValid():
		return ""
	case a.Is4():
		return "ipv4"
	}
	return "ipv6"
}

func appendAttrs(b []byte, attrs []rtnl.Attr) []byte {
	b = append(b, '[')
	for i, a := range attrs {
		if i > 0 {
			b = append(b, ',')
		}
		b = a.AppendJSON(b)
	}
	return append(b, ']')
}

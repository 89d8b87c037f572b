package tables

import (
	"context"
	"encoding/binary"
	"iter"
	"math"
	"slices"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// A source is where the rows of a table come from.
type source[R any] struct {
	kind  *object.Kind // whose objects the rows are made of
	needs needs        // of every row
	// rows returns an iterator over the rows that are in a snapshot; it returns nil at the
	// end. A row is valid until the next.
	rows func(*plan[R], *rtnl.Snapshot) func() *R
	// single says that each object makes one row: then rows can be counted unread.
	single bool
	// splits says that the rows of one object can be made without other objects of its
	// kind but those beside it: then a snapshot can be read in parts (rtnl.Snapshot.Split).
	splits bool
	// grouped says that the rows are numbers of routes, which are counted by the columns that
	// are used of those that tell rows apart.
	grouped bool
	// attributes returns those of the row's object, for columns that are optional; nil:
	// that is not known.
	attributes func(*R) object.Fields
}

// define makes a table of columns and of where its rows come from.
func define[R any](t Table, columns []column[R], src source[R]) *Table {
	if !slices.ContainsFunc(columns, func(c column[R]) bool { return c.row }) {
		panic(t.Name + ": no column tells its rows apart") // all had one rowid
	}
	t.Columns = columnInfos(columns)
	t.request = func(names *iproute2.Names, q Query) rtnl.Request {
		return newPlan(&src, columns, names, q).request
	}
	t.scan = func(ctx context.Context, from Source, q Query) (Rows, error) {
		p := newPlan(&src, columns, from.Names(), q)
		if src.single && !p.reads {
			return p.counted(ctx, &t, from, q)
		}
		if p.request.GivesIDs && !p.pushedDown() {
			p.request.Gives = p.gives
		}
		s, err := from.Read(ctx, p.request)
		if err != nil {
			return nil, err
		}
		p.tell(ctx, &t, from, q, s.Consistent)
		return p.rows(s), nil
	}
	return &t
}

// A plan is what a query comes to: the request, and the conditions that are
// checked here, row by row, so that rows which the engine would drop are not sent.
type plan[R any] struct {
	source  *source[R]
	request rtnl.Request
	names   *iproute2.Names
	needs   needs
	reads   bool // a column that is used is not the same of every row
	columns []column[R]
	checks  []check
	devs    devNames
	key     []column[R] // if rows have numbers: see Query.RowIDs
	given   *column[R]  // if it is used
}

// newPlan works a query out.
func newPlan[R any](src *source[R], columns []column[R], names *iproute2.Names, q Query) *plan[R] {
	numeric := func(col int) bool { return columns[col].Type != Text }
	p := &plan[R]{source: src, needs: src.needs, columns: columns, names: names, checks: checks(numeric, q.Constraints)}
	n := pushdown{Filter: &p.request.Filter, ids: &p.request.IDs, names: names}
	if q.Warn != nil {
		n.devs = &p.devs
	}
	for i := range columns {
		if q.Used == nil || i < len(q.Used) && q.Used[i] {
			p.use(&columns[i])
			if columns[i].given {
				p.request.GivesIDs, p.given = true, &columns[i]
			}
		}
		if q.RowIDs && columns[i].row && !src.grouped {
			p.use(&columns[i])
			p.key = append(p.key, columns[i])
		}
	}
	for _, c := range p.checks {
		p.use(&columns[c.column])
		if len(c.values) == 0 {
			continue
		}
		if push := columns[c.column].push; push != nil {
			push(&n, c.values)
		}
		if asked := columns[c.column].respelled(names, c.values); asked != nil {
			p.columns = slices.Clone(p.columns)
			p.columns[c.column].text = asked
		}
	}
	if src.grouped {
		p.group(columns, q)
	}
	p.request.Kinds, p.request.Referred = []*object.Kind{src.kind}, p.needs.referred.list()
	return p
}

// group has routes counted by the columns that are used, of which conditions make use too;
// by all that there are if none is, not even that of a count: then it is the rows that count.
func (p *plan[R]) group(columns []column[R], q Query) {
	all := !p.reads
	for i := range columns {
		used := all || q.Used == nil || i < len(q.Used) && q.Used[i] ||
			slices.ContainsFunc(p.checks, func(c check) bool { return c.column == i })
		if columns[i].row && used {
			p.use(&columns[i])
			p.key = append(p.key, columns[i])
		}
	}
	p.request.CountBy = &p.needs.countBy
}

// use notes that a column will be read.
func (p *plan[R]) use(c *column[R]) {
	p.needs = p.needs.and(c.needs)
	p.reads = p.reads || c.shared == nil
}

// pushedDown reports whether the request has all that is checked, more or less.
func (p *plan[R]) pushedDown() bool {
	return !slices.ContainsFunc(p.checks, func(c check) bool {
		return len(c.bounds) > 0 || len(c.values) > 0 && p.columns[c.column].push == nil
	})
}

// gives is for rtnl.Request.Gives: the identities in rows that meet the checks.
func (p *plan[R]) gives(s *rtnl.Snapshot) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var id []byte
		for r := p.part(s); r.Next(); {
			if id = p.given.text(r.row, id[:0]); !yield(id) {
				return
			}
		}
	}
}

// tell warns of what the user should know.
func (p *plan[R]) tell(ctx context.Context, t *Table, from Source, q Query, consistent bool) {
	if q.Warn == nil {
		return
	}
	p.warn(ctx, t.Name, from, q)
	if !consistent { // what the rows say in snapshot_consistent, if there are any
		q.Warn(t.Name + ": " + p.source.kind.Plural + inconsistent)
	}
}

// inconsistent ends what is said of an answer that may not be of one time.
const inconsistent = " changed while they were read, or cannot be proved to be all: " +
	"some may be missing (snapshot_consistent is 0)"

// rows are the rows of a table that meet the checks.
type rows[R any] struct {
	plan *plan[R]
	snap *rtnl.Snapshot
	next func() *R // nil at the end
	row  *R
	buf  []byte

	parts func(n int) []Rows // the same rows, in at most n parts
	count func() int         // nil where it takes the checks to know
}

// rows returns the rows that are in a snapshot.
func (p *plan[R]) rows(s *rtnl.Snapshot) *rows[R] {
	all := p.part(s)
	all.parts = func(n int) (parts []Rows) {
		if !p.source.splits {
			return []Rows{p.part(s)}
		}
		for _, one := range s.Split(p.source.kind, n) {
			parts = append(parts, p.part(one))
		}
		return parts
	}
	if len(p.checks) == 0 {
		all.count = func() int { return p.source.count(s, p.names) }
	}
	return all
}

// part returns the rows that are in a part of a snapshot.
func (p *plan[R]) part(s *rtnl.Snapshot) *rows[R] {
	return &rows[R]{plan: p, snap: s, next: p.source.rows(p, s)}
}

// count returns how many rows are in a snapshot.
func (src *source[R]) count(s *rtnl.Snapshot, names *iproute2.Names) (n int) {
	if src.single {
		return s.Count(src.kind)
	}
	for next := src.rows(&plan[R]{needs: src.needs, names: names}, s); next() != nil; n++ {
	}
	return n
}

// counted answers a query that needs nothing of the rows but their number.
func (p *plan[R]) counted(ctx context.Context, t *Table, from Source, q Query) (Rows, error) {
	total, consistent, err := from.Count(ctx, p.request)
	if err != nil {
		return nil, err
	}
	p.tell(ctx, t, from, q, consistent)
	s, unread := rtnl.NewSnapshot(consistent, nil), new(R)
	part := func(n int) *rows[R] {
		return &rows[R]{plan: p, snap: s, next: func() *R {
			if n--; n < 0 {
				return nil
			}
			return unread
		}}
	}
	all := part(total)
	all.count = func() int { return total }
	all.parts = func(n int) (parts []Rows) {
		n = max(1, min(n, total/leastPart))
		for i := range n {
			parts = append(parts, part(total*(i+1)/n-total*i/n))
		}
		return parts
	}
	return all, nil
}

// leastPart is how many rows without values a part has at least.
const leastPart = 10_000

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

// requires returns the attributes of which a row's object must have one for a column to be
// there; 0: it may be there in any case.
func (r *rows[R]) requires(col int) object.Fields {
	if r.plan.source.attributes == nil {
		return 0
	}
	return r.plan.columns[col].requires
}

// attributes returns those of the current row's object.
func (r *rows[R]) attributes() object.Fields { return r.plan.source.attributes(r.row) }

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
		if r.plan.columns[c.column].text != nil {
			r.buf = r.AppendText(r.buf[:0], c.column)
			if !c.text(r.buf) {
				return false
			}
		} else if v, ok := r.Int(c.column); !ok || !c.number(v) {
			return false
		}
	}
	return true
}

func (r *rows[R]) AppendText(b []byte, col int) []byte { return r.plan.columns[col].text(r.row, b) }

func (r *rows[R]) Int(col int) (int64, bool) {
	c := &r.plan.columns[col]
	if c.number == nil {
		return c.shared(r.snap)
	}
	return c.number(r.row)
}

// RowID returns 63 bits of a hash of what tells the row apart.
func (r *rows[R]) RowID() int64 {
	r.buf = r.buf[:0]
	for i := range r.plan.key {
		if c := &r.plan.key[i]; c.text != nil {
			r.buf = append(c.text(r.row, r.buf), 0)
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

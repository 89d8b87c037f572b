package tables

import (
	"context"
	"encoding/binary"
	"math"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// A scope is what all rows of one reading have in common: what was read, and where.
type scope struct {
	snap *rtnl.Snapshot
	place
}

// rows are the rows of a table that meet the checks.
type rows[R any] struct {
	plan  *plan[R]
	scope *scope
	left  []scope   // those after it
	next  func() *R // of the scope; nil at its end
	row   *R
	buf   []byte

	parts func(n int) []Rows // the same rows, in at most n parts
	count func() int         // nil where it takes the checks to know
}

// rows returns the rows that are in some snapshots.
func (p *plan[R]) rows(scopes []scope) *rows[R] {
	all := p.part(scopes)
	all.parts = func(n int) (parts []Rows) {
		if !p.source.splits {
			return []Rows{p.part(scopes)}
		}
		if len(scopes) > n { // each part is several of them
			for i := range n {
				parts = append(parts, p.part(scopes[i*len(scopes)/n:(i+1)*len(scopes)/n]))
			}
			return parts
		}
		for i := range scopes {
			for _, one := range scopes[i].snap.Split(p.source.kind, n/len(scopes)) {
				parts = append(parts, p.part([]scope{{one, scopes[i].place}}))
			}
		}
		return parts
	}
	if len(p.checks) == 0 && !p.source.grouped {
		all.count = func() (n int) {
			for i := range scopes {
				n += p.source.count(&scopes[i], p.names)
			}
			return n
		}
	}
	return all
}

// part returns the rows that are in some parts of snapshots.
func (p *plan[R]) part(scopes []scope) *rows[R] {
	return &rows[R]{plan: p, left: scopes, next: func() *R { return nil }}
}

// count returns how many rows are in a snapshot.
func (src *source[R]) count(s *scope, names *iproute2.Names) (n int) {
	if src.single {
		return s.snap.Count(src.kind)
	}
	for next := src.rows(&plan[R]{needs: src.needs, names: names}, s); next() != nil; n++ {
	}
	return n
}

// counted answers a query that needs nothing of the rows but their number.
func (p *plan[R]) counted(ctx context.Context, t *Table, from Source, q Query) (Rows, error) {
	type number struct {
		n          int
		consistent bool
	}
	read, err := eachPlace(ctx, p, from, func(at place) (c number, err error) {
		c.n, c.consistent, err = from.Count(ctx, at.request(&p.request))
		return c, err
	})
	if err != nil {
		return nil, err
	}
	scopes, total := make([]scope, len(read)), 0
	for i, r := range read {
		scopes[i] = scope{rtnl.NewSnapshot(r.value.consistent, nil), r.place}
		total += r.value.n
	}
	p.tell(ctx, t, from, q, scopes)
	unread := new(R)
	all := &rows[R]{plan: p}
	if len(scopes) != 1 || len(p.checks) > 0 {
		// Seldom many: each scope has its own rows.
		at, left := -1, 0
		all.next = func() *R {
			for left == 0 {
				if at++; at == len(read) {
					return nil
				}
				all.scope, left = &scopes[at], read[at].value.n
			}
			left--
			return unread
		}
		all.parts = func(int) []Rows { return []Rows{all} }
		return all, nil
	}
	part := func(n int) *rows[R] {
		return &rows[R]{plan: p, scope: &scopes[0], next: func() *R {
			if n--; n < 0 {
				return nil
			}
			return unread
		}}
	}
	all = part(total)
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

// Requires returns the attributes of which a row's object must have one for a column to be
// there; 0: it may be there in any case.
func (r *rows[R]) Requires(col int) object.Fields {
	if r.plan.source.attributes == nil {
		return 0
	}
	return r.plan.columns[col].requires
}

// Attributes returns those of the current row's object.
func (r *rows[R]) Attributes() object.Fields { return r.plan.source.attributes(r.row) }

func (r *rows[R]) Next() bool {
	for {
		for r.row = r.next(); r.row != nil; r.row = r.next() {
			if r.passes() {
				return true
			}
		}
		if len(r.left) == 0 {
			return false
		}
		r.scope, r.left = &r.left[0], r.left[1:]
		r.next = r.plan.source.rows(r.plan, r.scope)
	}
}

func (r *rows[R]) passes() bool {
	for i := range r.plan.checks {
		c := &r.plan.checks[i]
		if r.plan.columns[c.column].Type == Text {
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

func (r *rows[R]) AppendText(b []byte, col int) []byte {
	c := &r.plan.columns[col]
	if c.text == nil {
		return c.sharedText(r.scope, b)
	}
	return c.text(r.row, b)
}

func (r *rows[R]) Int(col int) (int64, bool) {
	c := &r.plan.columns[col]
	if c.number == nil {
		return c.sharedNumber(r.scope)
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
			v, ok := c.number(r.row)
			if !ok {
				v = math.MinInt64 // which no column has
			}
			r.buf = binary.BigEndian.AppendUint64(r.buf, uint64(v))
		}
	}
	r.buf = r.scope.appendKey(r.buf)
	hash := uint64(14695981039346656037) // FNV-1a
	for _, c := range r.buf {
		hash = (hash ^ uint64(c)) * 1099511628211
	}
	return int64(hash & math.MaxInt64)
}

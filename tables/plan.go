package tables

import (
	"context"
	"iter"
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
	rows func(*plan[R], *scope) func() *R
	// find, if set, asks the kernel for what the rows are made of, in each namespace, in the
	// place of a snapshot. Then rows is foundRows.
	find func(context.Context, *plan[R], Source) ([]placed[[]R], error)
	// single says that each object makes one row: then rows can be counted unread.
	single bool
	// splits says that the rows of one object can be made without other objects of its
	// kind but those beside it: then a snapshot can be read in parts (rtnl.Snapshot.Split).
	splits bool
	// grouped says that the rows are numbers of routes, which are counted by the columns that
	// are used of those that tell rows apart.
	grouped bool
	// doubts says what should be known of rows that are made of a snapshot; "", nil: nothing.
	doubts func(*rtnl.Snapshot) string
	// attributes returns those of the row's object, for columns that are optional; nil:
	// that is not known.
	attributes func(*R) object.Fields
}

// define makes a table of columns and of where its rows come from. The columns of network
// namespaces, which every table has, come first: they are hidden, so that nobody counts on
// their place, and of columns after the 63rd SQLite does not tell which are used.
func define[R any](t Table, columns []column[R], src source[R]) *Table {
	if !slices.ContainsFunc(columns, func(c column[R]) bool { return c.row }) {
		panic(t.Name + ": no column tells its rows apart") // all had one rowid
	}
	columns = slices.Concat(namespaceColumns[R](), columns)
	t.Columns = columnInfos(columns, t.Since)
	if t.Since != "" {
		t.Description += " Since Linux " + t.Since + "."
	}
	t.request = func(names *iproute2.Names, q Query) rtnl.Request {
		if src.find != nil {
			return rtnl.Request{}
		}
		return newPlan(&src, columns, names, q).request
	}
	t.scan = func(ctx context.Context, from Source, q Query) (Rows, error) {
		p := newPlan(&src, columns, from.Names(), q)
		if src.find != nil {
			return p.find(ctx, &t, from, q)
		}
		if src.single && !p.reads {
			return p.counted(ctx, &t, from, q)
		}
		read, err := eachPlace(ctx, p, from, func(at place) (*rtnl.Snapshot, error) {
			req := at.request(&p.request)
			if req.GivesIDs && !p.pushedDown() {
				req.Gives = func(s *rtnl.Snapshot) iter.Seq[[]byte] { return p.gives(&scope{s, at}) }
			}
			return from.Read(ctx, req)
		})
		if err != nil {
			return nil, err
		}
		scopes := make([]scope, len(read))
		for i, r := range read {
			scopes[i] = scope{r.value, r.place}
		}
		p.tell(ctx, &t, from, q, scopes)
		return p.rows(scopes), nil
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
	namesID bool        // column netns_id is used
	covers  []cover     // nil: none is asked for
	inodes  []uint64    // namespaces of the identities that are looked up; 0: that of the process

	found map[*rtnl.Snapshot][]R // what source.find has found, by the scope's snapshot, which is empty
}

// newPlan works a query out.
func newPlan[R any](src *source[R], columns []column[R], names *iproute2.Names, q Query) *plan[R] {
	p := &plan[R]{source: src, needs: src.needs, columns: columns, names: names,
		checks: checks(func(col int) *ColumnInfo { return &columns[col].ColumnInfo }, q.Constraints)}
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
	for i := range p.checks {
		c := &p.checks[i]
		p.use(&columns[c.column])
		if push := columns[c.column].ranges; push != nil {
			push(&n, c)
		}
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
	n.pushCovered()
	if src.grouped {
		p.group(columns, q)
	}
	p.inodes, p.covers = n.inodes, n.covers
	if src.kind != nil {
		p.request.Kinds = []*object.Kind{src.kind}
	}
	p.request.Referred = p.needs.referred.list()
	p.request.Along = p.needs.along.list()
	if p.needs.countBy != (object.Grouping{}) {
		p.request.CountBy = &p.needs.countBy
	}
	if n.numbers != nil {
		p.request.Numbers = map[*object.Kind][]uint32{src.kind: n.numbers}
	}
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
	p.reads = p.reads || !c.isShared()
	p.namesID = p.namesID || c.Name == netnsID
}

// pushedDown reports whether the request has all that is checked, more or less.
func (p *plan[R]) pushedDown() bool {
	return !slices.ContainsFunc(p.checks, func(c check) bool {
		return len(c.bounds) > 0 || len(c.order) > 0 ||
			len(c.values) > 0 && p.columns[c.column].push == nil && !p.columns[c.column].isShared()
	})
}

// gives is for rtnl.Request.Gives: the identities in rows that meet the checks.
func (p *plan[R]) gives(s *scope) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var id []byte
		for r := p.part([]scope{*s}); r.Next(); {
			if id = p.given.text(r.row, id[:0]); !yield(id[:len(id)-len(s.idSuffix)]) {
				return
			}
		}
	}
}

// tell warns of what the user should know.
func (p *plan[R]) tell(ctx context.Context, t *Table, from Source, q Query, scopes []scope) {
	if q.Warn == nil || len(scopes) == 0 {
		return
	}
	p.warn(ctx, t.Name, from, q, &scopes[0].place)
	if q.Dropped {
		p.warnOfInputs(t, q)
	}
	if p.source.doubts != nil {
		for i := range scopes {
			if doubt := p.source.doubts(scopes[i].snap); doubt != "" {
				q.Warn(t.Name + ": " + doubt)
				break
			}
		}
	}
	for i := range scopes {
		if !scopes[i].snap.Consistent { // what the rows say in snapshot_consistent, if there are any
			q.Warn(t.Name + ": " + p.source.kind.Plural + inconsistent)
			return
		}
	}
}

// inconsistent ends what is said of an answer that may not be of one time.
const inconsistent = " changed while they were read, or cannot be proved to be all: " +
	"some may be missing (snapshot_consistent is 0)"

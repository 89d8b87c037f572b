package diff

import (
	"cmp"
	"hash/maphash"
	"iter"
	"slices"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/iptext"
	"kernelroutes/shell/statusline"
	"kernelroutes/tables"
)

// prepare works out the columns.
func (t *thing) prepare() *thing {
	t.columns = columnsOf(t.Table, func(c *tables.ColumnInfo) bool {
		return !slices.Contains(t.without, c.Name) && !slices.Contains(t.member, c.Name)
	})
	if t.parts != nil {
		t.partColumns = columnsOf(t.parts, func(*tables.ColumnInfo) bool { return true })
		return t
	}
	t.partColumns = columnsOf(t.Table, func(c *tables.ColumnInfo) bool { return slices.Contains(t.member, c.Name) })
	return t
}

// columnsOf returns the wanted ones of those that do not say what the query asks for.
func columnsOf(t *tables.Table, wanted func(*tables.ColumnInfo) bool) (columns []int) {
	for i := range t.Columns {
		c := &t.Columns[i]
		if c.Options&tables.Hidden == 0 && c.Input == "" && wanted(c) {
			columns = append(columns, i)
		}
	}
	return columns
}

// place returns the place of a column among those of an object; -1: it has none.
func (t *thing) place(name string) int {
	if t.Column(name) < 0 {
		return -1
	}
	return slices.Index(t.columns, t.Column(name))
}

// ofParts returns the table of the parts.
func (t *thing) ofParts() *tables.Table { return cmp.Or(t.parts, t.Table) }

// used is tables.Query.Used for some columns.
func used(t *tables.Table, columns []int) []bool {
	all := make([]bool, len(t.Columns))
	for _, c := range columns {
		all[c] = true
	}
	return all
}

// A reader goes over the objects of a thing in a snapshot.
type reader struct {
	*thing
	progress   *statusline.Counter
	rows, hops tables.Rows // hops: nil if there are no parts in a table of their own
	step       func() (int, func(iptext.Describer) []string)
	describe   func(iptext.Describer) []string // the current object

	// Of the current object, if it has been filled: the values of columns, one after the other, and
	// where each ends; then those of its parts.
	buf  []byte
	ends []int
	has  int // parts
}

// open returns a reader before the first object. doing is what for, as those who wait are told.
func (d *differ) open(t *thing, doing string, s *state, snap *rtnl.Snapshot, names *iproute2.Names) (*reader, error) {
	r := &reader{thing: t, progress: d.opts.Progress}
	count := 0
	if t.kind != nil {
		count = snap.Count(t.kind)
	}
	d.opts.Progress.Begin(doing+" "+t.Name, s.Name, count)
	src := &frozen{s.Source, snap, names}
	all := r.columns
	if t.parts == nil {
		all = slices.Concat(r.columns, r.partColumns)
	}
	var err error
	if r.rows, err = t.Scan(d.ctx, src, tables.Query{Used: used(t.Table, all)}); err != nil {
		return nil, err
	}
	if t.parts != nil {
		r.hops, err = t.parts.Scan(d.ctx, src, tables.Query{Used: used(t.parts, r.partColumns)})
	}
	if t.walk != nil {
		r.step = t.walk(snap)
	}
	return r, err
}

// next moves to the next object, the first at first. Without fill its values cannot be asked for.
func (r *reader) next(fill bool) bool {
	if !r.rows.Next() {
		return false
	}
	r.progress.Next()
	r.buf, r.ends, r.has = r.buf[:0], r.ends[:0], 0
	rows := 1
	if r.step != nil {
		rows, r.describe = r.step()
	}
	if fill {
		r.add(r.Table, r.rows, r.columns)
	}
	if r.hops != nil {
		n, _ := r.rows.Int(r.Column(hopCount))
		for ; r.has < int(n) && r.hops.Next(); r.has++ {
			if fill {
				r.add(r.parts, r.hops, r.partColumns)
			}
		}
		return true
	}
	for i := range rows {
		if i > 0 {
			r.rows.Next()
		}
		if fill && r.member != nil {
			r.add(r.Table, r.rows, r.partColumns)
			r.has++
		}
	}
	return true
}

func (r *reader) add(t *tables.Table, rows tables.Rows, columns []int) {
	for _, c := range columns {
		r.buf, _ = t.AppendValue(r.buf, rows, c)
		r.ends = append(r.ends, len(r.buf))
	}
}

// cell returns a value by its place among all; empty: it is absent.
func (r *reader) cell(i int) []byte {
	from := 0
	if i > 0 {
		from = r.ends[i-1]
	}
	return r.buf[from:r.ends[i]]
}

// value returns the value of a column of the object.
func (r *reader) value(name string) []byte {
	return r.cell(r.place(name))
}

// A layout says which values of an object count for what.
type layout struct {
	key, alike     []int  // places
	compared       []bool // by place, of the object
	partsCompared  []bool // by place, of a part
	ofObject       []bool // by place: the nexthop object tells it, if there is one
	family, tables int    // places, -1: there is none
	nexthopID      int    // place in a route; -1: there is none, or no nexthop objects are compared
	gatewayFamily  int    // place in a part of a route
	expires        int    // place of which only whether there is a value is compared; -1: there is none
	only           string // the family of which nexthop objects are compared; "": of all
	seed           maphash.Seed
}

// layout returns the layout of a thing as it is compared.
func (d *differ) layout(t *thing) *layout {
	l := &layout{family: t.place(family), tables: t.place(tableID), nexthopID: -1, expires: -1,
		seed: maphash.MakeSeed()}
	if t.Table == tables.Routes {
		l.expires = t.place("expires")
	}
	if t.Table == tables.Routes && d.tables == nil {
		l.nexthopID = t.place(nexthopID)
		l.gatewayFamily = slices.Index(t.partColumns, t.parts.Column("gateway_family"))
	}
	if d.opts.Family != 0 {
		l.only = d.opts.Family.String()
	}
	for _, name := range t.key {
		l.key = append(l.key, t.place(name))
	}
	for _, name := range t.alike {
		l.alike = append(l.alike, t.place(name))
	}
	counts := func(c *tables.ColumnInfo, aside []string) bool { return !c.Volatile && !slices.Contains(aside, c.Name) }
	for _, c := range t.columns {
		l.compared = append(l.compared, counts(&t.Columns[c], t.aside))
		l.ofObject = append(l.ofObject, strings.Contains(t.Columns[c].Source, "NHA_"))
	}
	for _, c := range t.partColumns {
		l.partsCompared = append(l.partsCompared, counts(&t.ofParts().Columns[c], partsAside))
	}
	return l
}

// hash returns a hash of all that is compared of the object, but for what skip has. The order of the
// parts does not count: the kernel keeps it as they came.
//
// Of a route with a nexthop object that one is compared, once, and of the route only which one it is:
// else a change of the object was one of each of its routes. It is one of each where objects are not compared.
func (r *reader) hash(l *layout, skip []bool) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	has := l.nexthopID >= 0 && comparesObject(l, r.cell(l.nexthopID), func(yield func([]byte) bool) {
		for i := range r.has {
			if !yield(r.cell(len(r.columns) + i*len(r.partColumns) + l.gatewayFamily)) {
				return
			}
		}
	})
	for i, counts := range l.compared {
		if counts && (skip == nil || !skip[i]) && !(has && l.ofObject[i]) {
			writeCell(&h, r.cell(i))
		}
	}
	if expires(l, r.cell) {
		h.WriteByte(1)
	}
	sum := h.Sum64()
	if has {
		return sum
	}
	at := len(r.columns)
	for range r.has {
		h.Reset()
		for i, counts := range l.partsCompared {
			if counts {
				writeCell(&h, r.cell(at+i))
			}
		}
		sum += h.Sum64()
		at += len(r.partColumns)
	}
	return sum
}

// comparesObject reports whether the nexthop object of a route is compared itself: not if the route has none, and
// not if only objects of one family are, of which its gateways are not. IPv4 routes may have IPv6 gateways.
func comparesObject[T string | []byte](l *layout, id T, gatewayFamilies iter.Seq[T]) bool {
	if len(id) == 0 {
		return false
	}
	for f := range gatewayFamilies {
		if l.only != "" && len(f) > 0 && string(f) != l.only {
			return false
		}
	}
	return true
}

// expires reports whether a route has a lifetime, as IPv6 knows it. How much of it is left does not count. Of
// multicast routes the column says something else.
func expires[T string | []byte](l *layout, cell func(place int) T) bool {
	return l.expires >= 0 && len(cell(l.expires)) > 0 && string(cell(l.family)) == object.IPv6.String()
}

func writeCell(h *maphash.Hash, cell []byte) {
	h.Write(cell)
	h.WriteByte(0) // which no value has
}

// appendKey appends what tells the object from others.
func (r *reader) appendKey(b []byte, l *layout) []byte {
	for _, i := range l.key {
		b = append(append(b, r.cell(i)...), 0)
	}
	return b
}

// likeness is a hash of what makes one object another one's successor.
func (r *reader) likeness(l *layout) uint64 {
	var h maphash.Hash
	h.SetSeed(l.seed)
	for _, i := range l.alike {
		writeCell(&h, r.cell(i))
	}
	return h.Sum64()
}

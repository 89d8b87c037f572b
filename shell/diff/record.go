package diff

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/shell/iptext"
	"kernelroutes/tables"
)

// A record is what is shown of an object.
type record struct {
	cells []string   // by place of the column, "" where absent
	parts [][]string // the same of each part
	words []string   // what describes it
	skip  []bool     // places of columns that are not compared
}

// A difference is an object that has appeared, vanished or changed.
type difference struct {
	*thing
	layout   *layout
	was, now *record // nil: there is none
	own      *record // was, with the names of its own state
	change   string
	moved    [2]int // from which place to which: see order.go; zero: it has not
	order    []byte // by which differences are sorted
	line     []byte // what is printed
}

// A reading is one way through the objects of a state, for those that differ.
type reading struct {
	state *state
	snap  *rtnl.Snapshot
	names *iproute2.Names
	take  map[int]func(*record) // by their place
}

// differences returns what is to be printed of pairs, in its order. Of each nothing else is held, as
// there may be as many as routes.
func (d *differ) differences(t *thing, l *layout, told *told, pairs []pair, moved map[pair][2]int,
	states [2]*state, snaps [2]*rtnl.Snapshot) (all []*difference, err error) {
	common, own, now := map[int]func(*record){}, map[int]func(*record){}, map[int]func(*record){}
	for _, p := range pairs {
		x := &difference{thing: t, layout: l, change: changed, moved: moved[p]}
		all = append(all, x)
		switch {
		case p.was < 0:
			x.change = appeared
		case p.now < 0:
			x.change = vanished
			own[p.was] = func(r *record) { x.own = r; d.render(x, r) }
			continue
		default:
			common[p.was] = func(r *record) { x.was = r }
			own[p.was] = func(r *record) { x.own = r }
		}
		now[p.now] = func(r *record) { x.now = r; d.render(x, r) }
	}
	for _, r := range []reading{
		{states[0], snaps[0], d.names, common},
		{states[0], snaps[0], states[0].Names(), own},
		{states[1], snaps[1], d.names, now},
	} {
		if err := d.take(t, told, &r); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(all, func(a, b *difference) int { return bytes.Compare(a.order, b.order) })
	return all, nil
}

// take reads the objects that are to be taken.
func (d *differ) take(t *thing, told *told, from *reading) error {
	if len(from.take) == 0 {
		return nil
	}
	r, err := d.open(t, "describing", from.state, from.snap, from.names)
	if err != nil {
		return err
	}
	describer := iptext.Describer{Names: from.names}
	for i, left := 0, len(from.take); left > 0; i++ {
		if i%1024 == 0 && d.ctx.Err() != nil {
			return d.ctx.Err()
		}
		take := from.take[i]
		if !r.next(take != nil) {
			return nil
		}
		if take != nil {
			record := r.record(describer)
			_, record.skip = told.of(r)
			take(record)
			left--
		}
	}
	return nil
}

// render makes what is printed of a difference, all of which is known, and lets go of the rest.
func (d *differ) render(x *difference, last *record) {
	x.order = x.appendOrder(nil, last)
	if d.opts.JSON {
		x.line = x.appendJSON(nil)
	} else {
		x.line = x.appendText(nil)
	}
	x.was, x.now, x.own = nil, nil, nil
}

func (r *reader) record(d iptext.Describer) *record {
	text := string(r.buf)
	cells, from := make([]string, len(r.ends)), 0
	for i, end := range r.ends {
		cells[i], from = text[from:end], end
	}
	out := &record{cells: cells[:len(r.columns)]}
	for rest := cells[len(r.columns):]; len(rest) > 0; rest = rest[len(r.partColumns):] {
		out.parts = append(out.parts, rest[:len(r.partColumns)])
	}
	if r.describe == nil {
		out.words = []string{r.word}
		for _, name := range r.key {
			out.words = append(out.words, string(r.value(name)))
		}
		return out
	}
	out.words = r.describe(d)
	return out
}

// appendOrder appends bytes that sort as the key does: numbers and addresses by their value.
func (x *difference) appendOrder(b []byte, r *record) []byte {
	for _, place := range x.layout.key {
		cell := r.cells[place]
		if n, err := strconv.ParseUint(cell, 10, 64); err == nil {
			b = binary.BigEndian.AppendUint64(append(b, 1), n)
		} else if p, err := netip.ParsePrefix(cell); err == nil {
			b = append(append(append(b, 2), p.Addr().AsSlice()...), byte(p.Bits()))
		} else if cell == "" || x.Columns[x.columns[place]].Type != tables.Text {
			b = append(b, 0)
		} else {
			b = append(append(append(b, 3), cell...), 0)
		}
	}
	return b
}

func (r *record) cell(place int) string { return r.cells[place] }

// changed returns the names of the columns that are others now, with called for the parts and placed.
func (x *difference) changed() (names []string) {
	l := x.layout
	haveObjects := x.was.comparesObject(l) && x.now.comparesObject(l)
	for i, counts := range l.compared {
		left := x.now.skip != nil && x.now.skip[i] || haveObjects && l.ofObject[i]
		differs := counts && x.was.cells[i] != x.now.cells[i] ||
			i == l.expires && expires(l, x.was.cell) != expires(l, x.now.cell)
		if differs && !left {
			names = append(names, x.Columns[x.columns[i]].Name)
		}
	}
	if !haveObjects && !slices.EqualFunc(x.sortedParts(x.was), x.sortedParts(x.now), slices.Equal) {
		names = append(names, x.called)
	}
	if x.moved != [2]int{} {
		names = append(names, placed)
	}
	return names
}

// comparesObject reports whether the object is a route whose nexthop object is compared itself.
func (r *record) comparesObject(l *layout) bool {
	return l.nexthopID >= 0 && comparesObject(l, r.cells[l.nexthopID], func(yield func(string) bool) {
		for _, p := range r.parts {
			if !yield(p[l.gatewayFamily]) {
				return
			}
		}
	})
}

// sortedParts returns what is compared of the parts, in an order of its own.
func (x *difference) sortedParts(r *record) (parts [][]string) {
	for _, p := range r.parts {
		var cells []string
		for i, counts := range x.layout.partsCompared {
			if counts {
				cells = append(cells, p[i])
			}
		}
		parts = append(parts, cells)
	}
	slices.SortFunc(parts, slices.Compare)
	return parts
}

// partNames returns the names of the columns in sortedParts.
func (x *difference) partNames() (names []string) {
	for i, c := range x.partColumns {
		if x.layout.partsCompared[i] {
			names = append(names, x.ofParts().Columns[c].Name)
		}
	}
	return names
}

// values returns the values of a column of sorted parts.
func values(parts [][]string, column int) (all []string) {
	for _, p := range parts {
		all = append(all, cmp.Or(p[column], none))
	}
	return all
}

// distinct returns the values in their order, each once.
func distinct(values []string) []string { return slices.Compact(slices.Sorted(slices.Values(values))) }

package diff

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

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
	order    []byte  // by which differences are sorted
}

// records returns the differences that pairs are, in their order.
func (d *differ) records(t *thing, l *layout, told *told, pairs []pair, states [2]*state, snaps [2]*rtnl.Snapshot) (
	all []*difference, err error) {
	var wanted [2]map[int]*record
	for i := range wanted {
		wanted[i] = map[int]*record{}
	}
	for _, p := range pairs {
		wanted[0][p.was], wanted[1][p.now] = nil, nil
	}
	own := maps.Clone(wanted[0])
	for _, read := range []struct {
		records map[int]*record
		state   int
		names   *iproute2.Names
	}{{wanted[0], 0, d.names}, {own, 0, states[0].Names()}, {wanted[1], 1, d.names}} {
		if err := d.fill(t, told, read.records, states[read.state], snaps[read.state], read.names); err != nil {
			return nil, err
		}
	}
	for _, p := range pairs {
		one := &difference{thing: t, layout: l, was: wanted[0][p.was], now: wanted[1][p.now], own: own[p.was]}
		one.order = one.appendOrder(nil, cmp.Or(one.now, one.was))
		all = append(all, one)
	}
	slices.SortStableFunc(all, func(a, b *difference) int { return bytes.Compare(a.order, b.order) })
	return all, nil
}

// fill reads the objects whose places are wanted.
func (d *differ) fill(t *thing, told *told, wanted map[int]*record, s *state, snap *rtnl.Snapshot,
	names *iproute2.Names) error {
	delete(wanted, -1)
	if len(wanted) == 0 {
		return nil
	}
	r, err := d.open(t, s, snap, names)
	if err != nil {
		return err
	}
	describer := iptext.Describer{Names: names}
	left := len(wanted)
	for i := 0; left > 0; i++ {
		if i%1024 == 0 && d.ctx.Err() != nil {
			return d.ctx.Err()
		}
		_, is := wanted[i]
		if !r.next(is) {
			return nil
		}
		if is {
			wanted[i] = r.record(describer)
			_, wanted[i].skip = told.of(r)
			left--
		}
	}
	return nil
}

func (r *reader) record(d iptext.Describer) *record {
	text := string(r.buf)
	cells, from := make([]string, len(r.ends)), 0
	for i, end := range r.ends {
		cells[i], from = text[from:end], end
	}
	out := &record{cells: cells[:len(r.columns)]}
	for rest := cells[len(r.columns):]; len(rest) > 0; rest = rest[len(r.hopCols):] {
		out.parts = append(out.parts, rest[:len(r.hopCols)])
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
	columns := x.columns()
	for _, place := range x.layout.key {
		cell := r.cells[place]
		if n, err := strconv.ParseUint(cell, 10, 64); err == nil {
			b = binary.BigEndian.AppendUint64(append(b, 1), n)
		} else if p, err := netip.ParsePrefix(cell); err == nil {
			b = append(append(append(b, 2), p.Addr().AsSlice()...), byte(p.Bits()))
		} else if cell == "" || x.Columns[columns[place]].Type != tables.Text {
			b = append(b, 0)
		} else {
			b = append(append(append(b, 3), cell...), 0)
		}
	}
	return b
}

// changed returns the names of the columns that are others now, with called for the parts.
func (x *difference) changed() (names []string) {
	columns := x.columns()
	for i, counts := range x.layout.compared {
		if counts && (x.now.skip == nil || !x.now.skip[i]) && x.was.cells[i] != x.now.cells[i] {
			names = append(names, x.Columns[columns[i]].Name)
		}
	}
	if !slices.EqualFunc(x.sortedParts(x.was), x.sortedParts(x.now), slices.Equal) {
		names = append(names, x.called)
	}
	return names
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
	from := cmp.Or(x.parts, x.Table)
	for i, c := range x.partColumns() {
		if x.layout.partsCompared[i] {
			names = append(names, from.Columns[c].Name)
		}
	}
	return names
}

// joined returns the values of a column of sorted parts.
func joined(parts [][]string, column int) string {
	var values []string
	for _, p := range parts {
		values = append(values, cmp.Or(p[column], none))
	}
	return strings.Join(values, ",")
}

package fakekernel

import (
	"cmp"
	"encoding/binary"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
)

// A simDump is what a dump remembers from datagram to datagram.
type simDump struct {
	k      *Simulation
	seq    uint32
	family object.Family // 0: all
	only   uint32        // table; 0: all

	at      object.Table // family, low byte of the table
	e       int          // place in the list of tables with this low byte
	key     uint32
	wrapped bool
	index   int // in the node
	count   int // nodes
	of      *simTable
	version int
	ended   bool
}

// next makes a datagram of at most room bytes.
func (d *simDump) next(room int) (b []byte) {
	finish := func() []byte { return append(b, nltest.Done(d.seq, 0)...) }
	if d.ended {
		return finish()
	}
	for {
		t, ok := d.table()
		if !ok {
			if d.ended = true; len(b) == 0 || d.k.Yes() {
				return finish()
			}
			return b
		}
		wanted := (d.family == 0 || t.Family == d.family) && (d.only == 0 || t.ID == d.only)
		if wanted && !d.walk(t, &b, room) {
			return b
		}
		d.e++
		d.key, d.wrapped, d.index, d.count, d.of = 0, false, 0, 0, nil
	}
}

// table returns the table that the dump is at.
func (d *simDump) table() (*simTable, bool) {
	e := 0
	for _, t := range d.k.tables {
		here := object.Table{Family: t.Family, ID: t.ID & 0xff}
		order := cmp.Or(cmp.Compare(here.Family, d.at.Family), cmp.Compare(here.ID, d.at.ID))
		switch {
		case order < 0:
		case order == 0 && e < d.e:
			e++
		case order == 0:
			return t, true
		default:
			d.at, d.e = here, 0
			return t, true
		}
	}
	return nil, false
}

// walk appends the routes of a table from where the dump is; false: there is no
// more room.
func (d *simDump) walk(t *simTable, b *[]byte, room int) bool {
	put := func(r *simRoute) bool {
		msg := r.message(t.Table, object.RTM_NEWROUTE, d.seq)
		if len(*b)+len(msg) > room {
			return false
		}
		*b = append(*b, msg...)
		return true
	}
	if t.Family == object.IPv4 {
		return d.walkByAddress(t, put)
	}
	if d.of != t || d.version != t.version {
		d.index = 0
	}
	d.of, d.version = t, t.version
	n := 0
	for i := 0; i < len(t.routes); n++ {
		end := t.node(i)
		if n < d.count {
			i = end
			continue
		}
		for j := i + d.index; j < end; j++ {
			if !put(t.routes[j]) {
				d.index = j - i
				return false
			}
		}
		d.index = 0
		d.count++
		i = end
	}
	return true
}

// walkByAddress is walk for a family that is resumed so: see object.ByAddress.
func (d *simDump) walkByAddress(t *simTable, put func(*simRoute) bool) bool {
	for i := 0; i < len(t.routes) && !d.wrapped; {
		end, key := t.node(i), binary.BigEndian.Uint32(t.routes[i].pos.Dst[:])
		if key < d.key {
			i = end
			continue
		}
		for j := i + d.index; j < end; j++ {
			if !put(t.routes[j]) {
				d.index = j - i
				return false
			}
		}
		d.key, d.index = key+1, 0
		d.wrapped = d.key == 0
		i = end
	}
	return true
}

package diff

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
)

// An entry is an object while it is compared.
type entry struct {
	key   string
	value uint64 // a hash of all that is compared
	like  uint64 // see reader.likeness
	index int    // its place among the objects of its state
	is    bool   // the options let it through
	kept  bool   // see keep
}

// A pair is an object that was and the one that is now in its place; -1: there is none.
type pair struct{ was, now int }

// compare returns the differences of a thing, in their order.
func (d *differ) compare(t *thing, was, now *state) ([]*difference, error) {
	req := d.request(t)
	a, err := was.read(d.ctx, req)
	if err != nil {
		return nil, err
	}
	b, err := now.read(d.ctx, req)
	if err != nil {
		return nil, err
	}
	told, err := d.told(t, [2]*state{was, now}, [2]*rtnl.Snapshot{a, b})
	if err != nil {
		return nil, err
	}
	l := d.layout(t)
	d.leaveOutDevices(t, l, was, a)
	d.leaveOutDevices(t, l, now, b)
	old, err := d.entries(t, l, told, was, a)
	if err != nil {
		return nil, err
	}
	current, err := d.entries(t, l, told, now, b)
	if err != nil {
		return nil, err
	}
	f := &finder{thing: t, ordered: a.Consistent && b.Consistent}
	f.match(old, current)
	states, snaps := [2]*state{was, now}, [2]*rtnl.Snapshot{a, b}
	moved, err := d.moved(t, l, told, f, states, snaps)
	if err != nil {
		return nil, err
	}
	return d.differences(t, l, told, f.pairs, moved, states, snaps)
}

// entries returns the objects of a state, sorted by their keys.
func (d *differ) entries(t *thing, l *layout, told *told, s *state, snap *rtnl.Snapshot) (all []entry, err error) {
	r, err := d.open(t, "comparing", s, snap, d.names)
	if err != nil {
		return nil, err
	}
	var key []byte
	for i := 0; r.next(true); i++ {
		if i%1024 == 0 && d.ctx.Err() != nil {
			return nil, d.ctx.Err()
		}
		class, skip := told.of(r)
		if told.unknown[class] {
			continue
		}
		key = r.appendKey(key[:0], l)
		all = append(all, entry{key: string(key), value: r.hash(l, skip), like: r.likeness(l), index: i,
			is: d.wanted(r, l)})
	}
	slices.SortStableFunc(all, func(x, y entry) int { return cmp.Compare(x.key, y.key) })
	return all, nil
}

// wanted reports whether the options let the object through. Without a family it is of any.
func (d *differ) wanted(r *reader, l *layout) bool {
	if d.opts.Family != 0 && l.family >= 0 {
		if f := r.cell(l.family); len(f) > 0 && string(f) != d.opts.Family.String() {
			return false
		}
	}
	if d.tables == nil || l.tables < 0 {
		return true
	}
	id, err := strconv.ParseUint(string(r.cell(l.tables)), 10, 32)
	return err == nil && slices.Contains(d.tables, uint32(id))
}

// A finder finds out which object of one state is which of the other.
type finder struct {
	*thing
	ordered bool // whether the order of both states is known

	pairs  []pair  // those that differ
	orders []order // those of objects that may stand in another one
	both   []shift // of a group that may be: those in both states
}

// match finds those that differ, and those that may stand in another order.
func (f *finder) match(was, now []entry) {
	for len(was) > 0 || len(now) > 0 {
		group := f.group(lowest(was, now))
		var a, b []entry
		a, was = cut(was, group)
		b, now = cut(now, group)
		switch {
		case len(a) == 1 && len(b) == 1 && a[0].equal(&b[0]): // as nearly all are
		case len(a) > 1 && len(b) > 1 && f.ordered && f.inOrder(group):
			f.matchOrdered(a, b)
		default:
			f.matchKeys(a, b)
		}
		f.both = f.both[:0]
	}
}

// matchKeys matches objects with any keys.
func (f *finder) matchKeys(was, now []entry) {
	for len(was) > 0 || len(now) > 0 {
		key := lowest(was, now)
		var a, b []entry
		a, was = cut(was, key)
		b, now = cut(now, key)
		f.matchAlike(a, b)
	}
}

// lowest returns the lowest key.
func lowest(was, now []entry) string {
	switch {
	case len(was) == 0:
		return now[0].key
	case len(now) == 0:
		return was[0].key
	}
	return min(was[0].key, now[0].key)
}

// cut splits the entries off whose keys begin with something.
func cut(all []entry, with string) (these, rest []entry) {
	n := 0
	for n < len(all) && strings.HasPrefix(all[n].key, with) {
		n++
	}
	return all[:n], all[n:]
}

// matchAlike finds what differs of objects that all have the same key. One that was the only one is
// the one that is now. Of several those are the same that are equal, then those that are alike.
func (f *finder) matchAlike(was, now []entry) {
	like := func(e *entry) uint64 { return e.like }
	if len(was) == 1 && len(now) == 1 {
		like = func(*entry) uint64 { return 0 }
	}
	was, now = others(was), others(now)
	was, now, same := without(was, now, func(e *entry) uint64 { return e.value })
	was, now, alike := without(was, now, like)
	f.both = append(f.both, same...)
	for _, s := range alike {
		if s.differs = true; s.is {
			f.pairs = append(f.pairs, s.pair)
		}
		f.both = append(f.both, s)
	}
	for _, e := range was {
		if e.is {
			f.pairs = append(f.pairs, pair{e.index, -1})
		}
	}
	for _, e := range now {
		if e.is {
			f.pairs = append(f.pairs, pair{-1, e.index})
		}
	}
}

// without returns the entries that have no counterpart with the same hash in the other list, and
// those that have.
func without(was, now []entry, hash func(*entry) uint64) (a, b []entry, both []shift) {
	if len(was) == 0 || len(now) == 0 {
		return was, now, nil
	}
	there := map[uint64][]int{}
	for i := range now {
		h := hash(&now[i])
		there[h] = append(there[h], i)
	}
	taken := make([]bool, len(now))
	for i := range was {
		h := hash(&was[i])
		if list := there[h]; len(list) > 0 {
			there[h], taken[list[0]] = list[1:], true
			e := &now[list[0]]
			both = append(both, shift{pair: pair{was[i].index, e.index}, is: was[i].is || e.is})
		} else {
			a = append(a, was[i])
		}
	}
	for i := range now {
		if !taken[i] {
			b = append(b, now[i])
		}
	}
	return a, b, both
}

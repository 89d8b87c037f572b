package diff

import (
	"cmp"
	"slices"
	"strconv"

	"kernelroutes/rtnl"
)

// An entry is an object while it is compared.
type entry struct {
	key   string
	value uint64 // a hash of all that is compared
	like  uint64 // see reader.likeness
	index int    // its place among the objects of its state
	is    bool   // the options let it through
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
	pairs := match(old, current)
	return d.differences(t, l, told, pairs, [2]*state{was, now}, [2]*rtnl.Snapshot{a, b})
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
		all = append(all, entry{string(key), r.hash(l, skip), r.likeness(l), i, d.wanted(r, l)})
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

// match finds out which object of one state is which of the other, and returns those that differ.
func match(was, now []entry) (pairs []pair) {
	for len(was) > 0 || len(now) > 0 {
		var key string
		switch {
		case len(was) == 0:
			key = now[0].key
		case len(now) == 0:
			key = was[0].key
		default:
			key = min(was[0].key, now[0].key)
		}
		var a, b []entry
		a, was = cut(was, key)
		b, now = cut(now, key)
		pairs = matchAlike(pairs, a, b)
	}
	return pairs
}

// cut splits the entries with a key off.
func cut(all []entry, key string) (these, rest []entry) {
	n := 0
	for n < len(all) && all[n].key == key {
		n++
	}
	return all[:n], all[n:]
}

// matchAlike appends what differs of objects that all have the same key. One that was the only one is
// the one that is now. Of several those are the same that are equal, then those that are alike.
func matchAlike(pairs []pair, was, now []entry) []pair {
	only := len(was) == 1 && len(now) == 1
	was, now, _ = without(was, now, func(e *entry) uint64 { return e.value })
	var alike []pair
	if only {
		was, now, alike = without(was, now, func(*entry) uint64 { return 0 })
	} else {
		was, now, alike = without(was, now, func(e *entry) uint64 { return e.like })
	}
	pairs = append(pairs, alike...)
	for _, e := range was {
		if e.is {
			pairs = append(pairs, pair{e.index, -1})
		}
	}
	for _, e := range now {
		if e.is {
			pairs = append(pairs, pair{-1, e.index})
		}
	}
	return pairs
}

// without returns the entries that have no counterpart with the same hash in the other list, and
// those that have.
func without(was, now []entry, hash func(*entry) uint64) (a, b []entry, pairs []pair) {
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
			if was[i].is || now[list[0]].is {
				pairs = append(pairs, pair{was[i].index, now[list[0]].index})
			}
		} else {
			a = append(a, was[i])
		}
	}
	for i := range now {
		if !taken[i] {
			b = append(b, now[i])
		}
	}
	return a, b, pairs
}

package consistency

import "kernelroutes/rtnl/object"

// maxTouched bounds how many objects are noted as changed, by object.Kind.Same.
const maxTouched = 1 << 16

// touched are the objects of a kind that were heard of since the reading began, by
// object.Kind.Same.
type touched struct {
	objects map[uint64]bool
	lost    bool // there were others, which are not known
}

func (t *touched) add(object uint64) {
	switch {
	case t.lost, t.objects[object]:
	case len(t.objects) == maxTouched:
		*t = touched{lost: true}
	default:
		if t.objects == nil {
			t.objects = map[uint64]bool{}
		}
		t.objects[object] = true
	}
}

// An item is an object of a segment.
type item struct {
	same     uint64
	part     *Part
	from, to int // where it is in the part's data
}

// A chain is a segment by its items.
type chain struct {
	begins, ends bool
	items        []item
	place        map[uint64]int // of an item
}

// splice puts one list together from segments of a table in which objects come in an order
// that no position tells, as rules of one priority do, which come as they were added. Nobody
// touched an object that was not heard of, so that two such ones are in the same order in each
// segment that has both, and what was between them all the time is there too. So where a
// segment ends, another one that has its last untouched object goes on after that.
//
// An object of which there are several that are alike is none to go by: it is not known which
// of them one is. What is touched comes as it is in the segment that is taken, and only once.
func splice(k *object.Kind, segments []segment, t *touched) (list []object.Run, whole bool) {
	if k.Same == nil || t.lost {
		return nil, false
	}
	chains, several := chainsOf(k, segments)
	anchor := func(i item) bool { return !t.objects[i.same] && !several[i.same] }
	var current *chain
	most := -1
	for i := range chains {
		if c := &chains[i]; c.begins && c.reach(anchor, 0) > most {
			current, most = c, c.reach(anchor, 0)
		}
	}
	taken := map[uint64]bool{} // those that were touched
	at := 0
	for range len(chains) {
		if current == nil {
			return nil, false
		}
		items := current.items[at:]
		if current.ends {
			return appendItems(list, items, t, taken), true
		}
		last := len(items) - 1
		for last >= 0 && !anchor(items[last]) {
			last--
		}
		if last < 0 {
			return nil, false
		}
		list = appendItems(list, items[:last+1], t, taken)
		current, at = farthest(chains, items[last].same, anchor)
	}
	return nil, false
}

// chainsOf takes segments apart; several are the objects that one has more than once.
func chainsOf(k *object.Kind, segments []segment) (chains []chain, several map[uint64]bool) {
	several = map[uint64]bool{}
	for i := range segments {
		s := &segments[i]
		c := chain{begins: s.begins(), ends: s.ends(), place: map[uint64]int{}}
		for n := range s.parts {
			p := &s.parts[n]
			var m object.Message
			from := 0
			for left := p.data; left.Next(&m); {
				to := p.data.Len() - left.Len()
				same := k.Same(&m)
				if _, ok := c.place[same]; ok {
					several[same] = true
				}
				c.place[same] = len(c.items)
				c.items = append(c.items, item{same, p, from, to})
				from = to
			}
		}
		chains = append(chains, c)
	}
	return chains, several
}

// reach returns how far a chain leads from an item on.
func (c *chain) reach(anchor func(item) bool, from int) (n int) {
	if c.ends {
		return len(c.items) + 1<<30
	}
	for _, i := range c.items[from:] {
		if anchor(i) {
			n++
		}
	}
	return n
}

// farthest returns the chain that leads farthest beyond an object, and where it does; nil: none
// does.
func farthest(chains []chain, object uint64, anchor func(item) bool) (best *chain, at int) {
	most := 0
	for i := range chains {
		c := &chains[i]
		place, ok := c.place[object]
		if !ok {
			continue
		}
		if n := c.reach(anchor, place+1); n > most {
			best, at, most = c, place+1, n
		}
	}
	return best, at
}

// appendItems appends the messages of items, but for those that were touched and were taken
// from a segment before.
func appendItems(list []object.Run, items []item, t *touched, taken map[uint64]bool) []object.Run {
	var mine []uint64
	var p *Part
	from, to := 0, 0
	flush := func() {
		if p != nil && from < to {
			list = object.AppendRun(list, p.data.Cut(from, to))
		}
	}
	for _, i := range items {
		if t.objects[i.same] {
			if taken[i.same] {
				continue
			}
			mine = append(mine, i.same)
		}
		if i.part != p || i.from != to {
			flush()
			p, from = i.part, i.from
		}
		to = i.to
	}
	flush()
	for _, same := range mine {
		taken[same] = true
	}
	return list
}

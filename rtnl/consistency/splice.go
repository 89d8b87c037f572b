package consistency

import "kernelroutes/rtnl/object"

// maxTouched bounds how many objects are noted as changed, by object.Kind.Same.
const maxTouched = 1 << 16

// touched are the objects of a kind that were heard of since the reading began, by
// object.Kind.Same.
type touched struct {
	objects map[uint64]bool // whether one was heard to go, and so may have come again elsewhere
	lost    bool            // there were others, which are not known
}

func (t *touched) add(object uint64, gone bool) {
	switch {
	case t.lost:
	case len(t.objects) == maxTouched && !t.has(object):
		*t = touched{lost: true}
	default:
		if t.objects == nil {
			t.objects = map[uint64]bool{}
		}
		t.objects[object] = t.objects[object] || gone
	}
}

// has reports whether an object was heard of.
func (t *touched) has(object uint64) bool {
	_, ok := t.objects[object]
	return ok
}

// An item is an object of a segment.
type item struct {
	same     uint64
	position object.Position
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
// An object that a dump brought twice is none to go by: there may be several that are alike, and
// it is not known which of them one is.
//
// What is touched comes as it is in the segment that is taken, and once it was heard to go only
// once, as it may have come again elsewhere: behind all of its position, as they were added. One
// that has stayed is another one that is alike.
func splice(k *object.Kind, all []walked, t *touched) (list []object.Run, whole bool) {
	if k.Same == nil || t.lost {
		return nil, false
	}
	chains, twice, dumps := chainsOf(k, all)
	for same, gone := range t.objects {
		if gone && twice[same] == inOneSegment {
			return nil, false
		}
	}
	anchor := func(i item) bool { return !t.has(i.same) && twice[i.same] == 0 }
	// One that a single dump brought may be new, and told of later.
	known := func(i item) bool { return anchor(i) && dumps[i.same] > 1 }
	var current *chain
	most := -1
	for i := range chains {
		if c := &chains[i]; c.begins && c.reach(anchor, 0) > most {
			current, most = c, c.reach(anchor, 0)
		}
	}
	taken := map[uint64]bool{} // by item.same
	for from, n := 0, 0; current != nil && n < len(chains); n++ {
		to := len(current.items)
		for !current.ends && to > from && !anchor(current.items[to-1]) {
			to--
		}
		items := current.items[from:to]
		stayed := stayed(items, known, k.Order(all[0].parts[0].Family).Compare)
		list = appendItems(list, items, func(i int) bool { return !t.objects[items[i].same] || stayed[i] }, taken)
		switch {
		case current.ends:
			return list, true
		case from == to:
			return nil, false
		}
		current, from = farthest(chains, current, to-1, anchor)
	}
	return nil, false
}

// stayed returns which items have been where they are since before the reading began: those with
// an untouched one of their position behind them.
func stayed(items []item, known func(item) bool, compare compare) []bool {
	stayed := make([]bool, len(items))
	var behind *item
	for i := len(items) - 1; i >= 0; i-- {
		n := &items[i]
		stayed[i] = behind != nil && compare(&n.position, &behind.position) == 0
		if known(*n) {
			behind = n
		}
	}
	return stayed
}

// How often a dump brought an object, not 0 for more than once: where others came before it
// meanwhile, a single one may be in two datagrams.
const (
	inOneDump = 1 + iota
	inOneSegment
)

// chainsOf takes the segments of dumps apart, and returns which objects came how often, and in
// how many dumps.
func chainsOf(k *object.Kind, all []walked) (chains []chain, twice, dumps map[uint64]int) {
	twice, dumps = map[uint64]int{}, map[uint64]int{}
	for _, w := range all {
		seen := map[uint64]int{} // in which segment
		for n, s := range appendSegments(nil, w.parts) {
			c := chainOf(k, &s)
			for _, i := range c.items {
				switch seen[i.same] {
				case 0:
					dumps[i.same]++
				case n + 1:
					twice[i.same] = inOneSegment
				default:
					twice[i.same] = max(twice[i.same], inOneDump)
				}
				seen[i.same] = n + 1
			}
			chains = append(chains, c)
		}
	}
	return chains, twice, dumps
}

func chainOf(k *object.Kind, s *segment) chain {
	c := chain{begins: s.begins(), ends: s.ends(), place: map[uint64]int{}}
	var m object.Message
	for n := range s.parts {
		p := &s.parts[n]
		from := 0
		for left := p.data; left.Next(&m); {
			to := p.data.Len() - left.Len()
			same := k.Same(&m)
			c.place[same] = len(c.items)
			c.items = append(c.items, item{same, k.Position(&m), p, from, to})
			from = to
		}
	}
	return c
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

// farthest returns the chain that leads farthest beyond an item of another one, and where it
// does; nil: none does. It must have the untouched one before that, too: or that one might be
// another one that is alike, both of which no dump happened to bring.
func farthest(chains []chain, from *chain, n int, anchor func(item) bool) (best *chain, at int) {
	before, found := from.before(n, anchor)
	most := 0
	for i := range chains {
		c := &chains[i]
		place, ok := c.place[from.items[n].same]
		if !ok {
			continue
		}
		if b, f := c.before(place, anchor); b != before || f != found || !found && !(from.begins && c.begins) {
			continue
		}
		if n := c.reach(anchor, place+1); n > most {
			best, at, most = c, place+1, n
		}
	}
	return best, at
}

// before returns the anchor before an item.
func (c *chain) before(n int, anchor func(item) bool) (same uint64, ok bool) {
	for n--; n >= 0; n-- {
		if anchor(c.items[n]) {
			return c.items[n].same, true
		}
	}
	return 0, false
}

// appendItems appends the messages of items, but for those that may have moved and were taken
// from a segment before. sure are those that have not.
func appendItems(list []object.Run, items []item, sure func(i int) bool, taken map[uint64]bool) []object.Run {
	var mine []uint64
	var p *Part
	from, to := 0, 0
	flush := func() {
		if p != nil && from < to {
			list = object.AppendRun(list, p.data.Cut(from, to))
		}
	}
	for n, i := range items {
		if taken[i.same] && !sure(n) {
			continue
		}
		mine = append(mine, i.same)
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

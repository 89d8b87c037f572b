package diff

import (
	"hash/fnv"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// Of rules with one priority, and of routes with one key, the kernel tries the first one first: those that have
// come to stand elsewhere among the others are told as changed.

// placed is the name, beside those of columns, of where an object stands among those with which it is tried: of
// these only those count that are in both states and have kept their order, so that others which come and go
// change it of none.
const placed = "place"

// A shift is an object that is in both states.
type shift struct {
	pair
	is      bool // the options let it through
	differs bool // in what is compared
}

// An order is objects that are tried one after the other, by where they were. Those do not belong to it that are
// the same ones before and behind all others.
type order struct {
	ahead int // how many are before all others
	all   []shift
}

// group returns what the keys begin with of the objects with which one with a key is tried in one order.
func (t *thing) group(key string) string {
	if t.shares == 0 || t.shares == len(t.key) {
		return key
	}
	end := 0
	for range t.shares {
		end += strings.IndexByte(key[end:], 0) + 1
	}
	return key[:end]
}

// inOrder reports whether objects of a group are tried in the order in which they are dumped.
//
// Routes are by IPv4 and IPv6. A packet to a link-local or multicast IPv6 address names its interface, and each has
// a route for them, which came when it was set up: which was first says nothing of where packets go.
func (t *thing) inOrder(group string) bool {
	if t.Table != tables.Routes {
		return t.shares > 0
	}
	cells := strings.Split(group, "\x00")
	switch cells[slices.Index(t.key, family)] {
	case object.IPv4.String():
		return true
	case object.IPv6.String():
		dst, err := netip.ParsePrefix(cells[slices.Index(t.key, "dst")])
		return err == nil && !dst.Addr().IsLinkLocalUnicast() && !dst.Addr().IsMulticast()
	}
	return false // the kernel finds them by a hash
}

// equal reports whether two objects are the same in all that is compared.
func (e *entry) equal(other *entry) bool { return e.value == other.value && e.key == other.key }

// matchOrdered matches objects of one group, and notes in which order they stand.
//
// Those that are the same at the beginning and at the end are themselves, so that of several that are alike the
// one has gone, or come, that leaves the others where they were.
func (f *finder) matchOrdered(was, now []entry) {
	a, b := inPlace(was), inPlace(now)
	ahead := 0
	for ; len(a) > 0 && len(b) > 0 && a[0].equal(b[0]); ahead++ {
		a[0].kept, b[0].kept = true, true
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1].equal(b[len(b)-1]) {
		a[len(a)-1].kept, b[len(b)-1].kept = true, true
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	f.matchKeys(was, now)
	byWas := func(x, y shift) int { return x.was - y.was }
	slices.SortFunc(f.both, byWas)
	inOrder := slices.IsSortedFunc(f.both, func(x, y shift) int { return x.now - y.now })
	if !inOrder && slices.ContainsFunc(f.both, func(s shift) bool { return s.is }) {
		f.orders = append(f.orders, order{ahead, slices.Clone(f.both)})
	}
}

// inPlace returns the entries in the order in which they are in their state.
func inPlace(all []entry) (ordered []*entry) {
	for i := range all {
		ordered = append(ordered, &all[i])
	}
	slices.SortFunc(ordered, func(x, y *entry) int { return x.index - y.index })
	return ordered
}

// others returns the entries but for those that are kept.
func others(all []entry) []entry {
	if !slices.ContainsFunc(all, func(e entry) bool { return e.kept }) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(e entry) bool { return e.kept })
}

// moved adds to what differs the objects that stand elsewhere, and returns from which place to which each has moved.
func (d *differ) moved(t *thing, l *layout, told *told, f *finder, states [2]*state, snaps [2]*rtnl.Snapshot) (
	map[pair][2]int, error) {
	if len(f.orders) == 0 {
		return nil, nil
	}
	// There may be a choice which of several have moved past which. It is the same whichever state is the first.
	var sums [2]map[int]uint64
	for side := range sums {
		sums[side] = map[int]uint64{}
		take := map[int]func(*record){}
		for _, o := range f.orders {
			for _, s := range o.all {
				place := []int{s.was, s.now}[side]
				take[place] = func(r *record) { sums[side][place] = r.sum(l) }
			}
		}
		if err := d.take(t, told, &reading{states[side], snaps[side], d.names, take}); err != nil {
			return nil, err
		}
	}
	places := map[pair][2]int{}
	for _, o := range f.orders {
		stays := o.stays(func(x, y *shift) int {
			a, b := [2]uint64{sums[0][x.was], sums[1][x.now]}, [2]uint64{sums[0][y.was], sums[1][y.now]}
			slices.Sort(a[:])
			slices.Sort(b[:])
			return slices.Compare(a[:], b[:])
		})
		o.tell(stays, places)
	}
	for _, o := range f.orders {
		for _, s := range o.all {
			if _, moved := places[s.pair]; moved && !s.differs {
				f.pairs = append(f.pairs, s.pair)
			}
		}
	}
	return places, nil
}

// sum is a hash of what is compared of an object, the same in every process.
func (r *record) sum(l *layout) uint64 {
	h := fnv.New64a()
	for i, counts := range l.compared {
		if counts {
			h.Write(append([]byte(r.cells[i]), 0))
		}
	}
	for _, p := range r.parts {
		for i, counts := range l.partsCompared {
			if counts {
				h.Write(append([]byte(p[i]), 0))
			}
		}
	}
	return h.Sum64()
}

// stays returns which objects have kept their order: of several choices the one that leaves the least to be told.
// So those that the options leave out stay rather than others, and then those that differ in nothing else. Where
// that decides nothing, it is the first by what before says.
func (o *order) stays(before func(x, y *shift) int) []bool {
	n := len(o.all)
	many := int64(n + 1)
	weight := func(i int) int64 {
		switch s := &o.all[i]; {
		case !s.is:
			return many * many
		case !s.differs:
			return many
		}
		return 1
	}
	// The heaviest of all that stay from an object on, itself included; by that, which objects these are; and by
	// where objects stand now, from behind, the heaviest so far (a Fenwick tree of maxima).
	byWeight, heaviest, whole := map[int64][]int{}, make([]int64, n+1), int64(0)
	place := make([]int, n)
	for at, i := range o.byNow() {
		place[i] = n - at
	}
	for i := n - 1; i >= 0; i-- {
		most := int64(0)
		for at := place[i]; at > 0; at &= at - 1 {
			most = max(most, heaviest[at])
		}
		most += weight(i)
		for at := place[i]; at <= n; at += at & -at {
			heaviest[at] = max(heaviest[at], most)
		}
		byWeight[most] = append(byWeight[most], i)
		whole = max(whole, most)
	}
	stays := make([]bool, n)
	for last := -1; whole > 0; whole -= weight(last) {
		best := -1
		for _, i := range byWeight[whole] {
			behind := last < 0 || i > last && place[i] < place[last]
			if behind && (best < 0 || before(&o.all[i], &o.all[best]) < 0) {
				best = i
			}
		}
		stays[best], last = true, best
	}
	return stays
}

// byNow returns the objects in the order in which they stand now.
func (o *order) byNow() []int {
	all := make([]int, len(o.all))
	for i := range all {
		all[i] = i
	}
	slices.SortFunc(all, func(i, j int) int { return o.all[i].now - o.all[j].now })
	return all
}

// tell notes from which place to which the others have moved that the options let through.
func (o *order) tell(stays []bool, places map[pair][2]int) {
	was := make([]int, len(o.all))
	place := o.ahead + 1
	for i := range o.all {
		was[i] = place
		if stays[i] {
			place++
		}
	}
	place = o.ahead + 1
	for _, i := range o.byNow() {
		if stays[i] {
			place++
		} else if s := o.all[i]; s.is {
			places[s.pair] = [2]int{was[i], place}
		}
	}
}

// places returns where an object that has moved stood and stands, as text.
func (x *difference) places() (was, now string) {
	return strconv.Itoa(x.moved[0]), strconv.Itoa(x.moved[1])
}

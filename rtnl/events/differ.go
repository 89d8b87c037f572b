package events

import (
	"cmp"
	"maps"
	"slices"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// differences are what a comparison finds.
type differences struct {
	*follower
	at      item
	whole   bool // all that there is was read: what was not has gone
	touched touchedKeys
	left    bool // there is a difference in what more is told of
}

func (d *differences) tell(a Action, run, old object.Run, twin, oldTwin int) {
	d.emit(&d.at, &Event{Action: a, Kind: run.Kind(), Object: run, Old: old, Twin: twin, OldTwin: oldTwin,
		Referred: d.state.referred(run, old)})
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// nexthops compares the nexthop objects. Those that have gone are forgotten at the end, as routes
// refer to them.
func (d *differences) nexthops(s *rtnl.Snapshot) {
	there := map[uint32]bool{}
	held := d.state.nexthops
	for _, run := range singles(s, object.NexthopObjects.Kind) {
		var m object.Message
		one := run
		one.Next(&m)
		id := object.NexthopObjects.Number(&m)
		there[id] = true
		if d.touched.nexthops[id] {
			d.left = true
			continue
		}
		var o object.Message
		old, known := held[id]
		before := old
		switch {
		case !known:
			held[id] = lasting(&m)
			d.tell(Added, run, object.Run{}, 0, 0)
		case before.Next(&o) && !object.Alike(&o, &m):
			held[id] = lasting(&m)
			d.tell(Replaced, run, old, 0, 0)
		}
	}
	for _, id := range sortedKeys(held) {
		if d.touched.nexthops[id] {
			d.left = true
		} else if d.whole && !there[id] {
			d.tell(Gone, held[id], object.Run{}, 0, 0)
			delete(held, id)
		}
	}
}

// singles returns copies of a snapshot's messages, each in a run of its own.
func singles(s *rtnl.Snapshot, k *object.Kind) (all []object.Run) {
	object.Each(s.Runs(k), func(m *object.Message) bool {
		all = append(all, copied(m))
		return true
	})
	return all
}

// rules compares the rules.
func (d *differences) rules(s *rtnl.Snapshot) {
	now := map[ruleKey][]object.Run{}
	for _, run := range singles(s, object.Rules.Kind) {
		var m object.Message
		one := run
		one.Next(&m)
		k := ruleKeyOf(&m)
		now[k] = append(now[k], run)
	}
	all := maps.Clone(now)
	maps.Copy(all, d.state.rules)
	keys := slices.SortedFunc(maps.Keys(all), func(a, b ruleKey) int {
		return cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.priority, b.priority))
	})
	for _, k := range keys {
		if d.touched.rules[k] {
			d.left = true
			continue
		}
		if list, held := now[k], d.state.rules[k]; d.lists(held, list, ruleIdentity) {
			d.state.setRules(k, list)
		}
	}
}

// lists tells how a list differs from what is held. It returns false if what is held is to stay.
func (d *differences) lists(held, now []object.Run, identity func(*object.Message) uint64) bool {
	type one struct {
		run  object.Run
		id   uint64
		twin int
	}
	number := func(list []object.Run) (all []one) {
		often := map[uint64]int{}
		for _, run := range list {
			var m object.Message
			r := run
			r.Next(&m)
			id := identity(&m)
			all = append(all, one{run, id, often[id]})
			often[id]++
		}
		return all
	}
	before, after := number(held), number(now)
	is := func(o one) func(one) bool { return func(p one) bool { return p.id == o.id && p.twin == o.twin } }
	for _, o := range before {
		if !slices.ContainsFunc(after, is(o)) {
			if !d.whole {
				return false
			}
			d.tell(Gone, o.run, object.Run{}, o.twin, 0)
		}
	}
	for _, o := range after {
		i := slices.IndexFunc(before, is(o))
		if i < 0 {
			d.tell(Added, o.run, object.Run{}, o.twin, 0)
			continue
		}
		var m, old object.Message
		r, b := o.run, before[i].run
		if r.Next(&m) && b.Next(&old) && !object.Alike(&old, &m) {
			d.tell(Replaced, o.run, before[i].run, o.twin, o.twin)
		}
	}
	return true
}

// routes compares the routes: those of each key for which something is not as it is held.
func (d *differences) routes(s *rtnl.Snapshot) {
	st := d.state
	odd := map[key]bool{}
	seen := st.mark(s, func(m *object.Message) { odd[keyOf(m)] = true })
	for r := range st.routes.all {
		if !seen.has(r) {
			st.routes.message(&st.other, r)
			odd[keyOf(&st.other)] = true
		}
	}
	n := len(odd)
	maps.DeleteFunc(odd, func(k key, _ bool) bool { return d.touched.routes[k] })
	d.left = d.left || len(odd) < n
	if len(odd) == 0 {
		return
	}
	now := map[key][]object.Run{}
	object.Each(s.Runs(object.Routes.Kind), func(m *object.Message) bool {
		if k := keyOf(m); odd[k] {
			now[k] = append(now[k], copied(m))
		}
		return true
	})
	keys := slices.SortedFunc(maps.Keys(odd), compareKeys)
	for _, k := range keys {
		st.group = st.routes.group(st.group[:0], &k)
		var held []object.Run
		for _, r := range st.group {
			held = append(held, st.routes.run(r))
		}
		if now[k] = d.withHidden(now[k], seen); !d.lists(held, now[k], st.exact) {
			continue
		}
		for _, r := range st.group {
			st.removeRoute(r)
		}
		for _, run := range now[k] {
			var m object.Message
			run.Next(&m)
			st.addRoute(&m, 0)
		}
	}
	st.routes.compact()
}

// withHidden adds to the routes of a key those that are held and hidden, unless messages were lost.
func (d *differences) withHidden(now []object.Run, seen refSet) []object.Run {
	st := d.state
	if d.missed {
		return now
	}
	var m, o object.Message
	for _, r := range st.group {
		run := st.routes.run(r)
		if st.routes.message(&st.other, r); seen.has(r) || !st.hidden(&st.other, seen) {
			continue
		}
		st.routes.message(&m, r)
		at := slices.IndexFunc(now, func(other object.Run) bool {
			return other.Next(&o) && object.Routes.Position(&o).Priority > object.Routes.Position(&m).Priority
		})
		if at < 0 {
			at = len(now)
		}
		now = slices.Insert(now, at, run)
	}
	return now
}

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.table.Family, b.table.Family), cmp.Compare(a.table.ID, b.table.ID),
		slices.Compare(a.dst[:], b.dst[:]), cmp.Compare(a.dstBits, b.dstBits), slices.Compare(a.src[:], b.src[:]),
		cmp.Compare(a.srcBits, b.srcBits))
}

// twins counts objects that are alike, which come in the kernel's order.
type twins struct {
	kind  *object.Kind
	key   any
	often map[uint64]int
	route object.Route
}

func newTwins(k *object.Kind) *twins { return &twins{kind: k, often: map[uint64]int{}} }

// before returns how many objects like this one came before it.
func (t *twins) before(m *object.Message) int {
	var id uint64
	switch t.kind {
	case object.Routes.Kind:
		if object.Routes.Table(m).Family != object.IPv6 {
			return 0
		}
		t.route.Decode(m, object.FieldID)
		id = t.route.IdentityHash()
	case object.Rules.Kind:
		id = ruleIdentity(m)
	default:
		return 0
	}
	if k := keyFor(m); k != t.key {
		t.key = k
		clear(t.often)
	}
	n := t.often[id]
	t.often[id]++
	return n
}

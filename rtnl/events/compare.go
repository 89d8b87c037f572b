package events

import (
	"maps"
	"runtime/debug"
	"slices"
	"time"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// sweep finds out what went with a cause, and yields that.
func (f *follower) sweep(c *cause) error {
	filter, any := f.concerns(c)
	if !any {
		return nil
	}
	// The kernel tells of an address or a nexthop object before it takes the routes away. Both is
	// done under the RTNL lock, for which the answer about an interface has to wait.
	lock := rtnl.Request{Namespace: f.ns, Kinds: []*object.Kind{object.Links.Kind},
		Numbers: map[*object.Kind][]uint32{object.Links.Kind: {loopback}}}
	if _, err := f.kernel.Read(f.ctx, lock); err != nil {
		return f.failed(err)
	}
	req := rtnl.Request{Namespace: f.ns, Kinds: []*object.Kind{object.NexthopObjects.Kind, object.Routes.Kind},
		Filter: filter}
	s, err := f.kernel.Read(f.ctx, req)
	if err != nil {
		return f.failed(err)
	}
	f.wasRead()
	if err := f.fence(); err != nil {
		return err
	}
	if !s.Consistent {
		f.doubts(true)
		return nil
	}
	w := sweeping{follower: f, cause: c, later: f.later(), touched: f.touched()}
	w.nexthops(s)
	w.routes(s, &filter)
	f.doubts(w.odd || w.left)
	if w.left {
		f.ahead = append(f.ahead, item{again: c})
	}
	return nil
}

// loopback is the index of the interface lo.
const loopback = 1

// failed takes in that the kernel could not be read. What fails while it rests because of that is no
// other try: there may be hundreds in a second, which are not to put the next comparison off.
func (f *follower) failed(err error) error {
	if f.ctx.Err() != nil {
		return err
	}
	now := time.Now()
	if now.Sub(f.warned) >= warnInterval {
		f.Logger.Warn("what went with a link, an address or a nexthop object, or was lost, cannot be found out yet",
			"err", err)
		f.warned = now
	}
	f.doubt = true
	if !f.unread || !now.Before(f.due) {
		f.rest(true)
	}
	f.unread = true
	return nil
}

// wasRead takes in that the kernel could be read: what could not be found out before is so soon.
func (f *follower) wasRead() {
	if !f.unread {
		return
	}
	f.unread, f.vain = false, 0
	if soon := time.Now().Add(f.pause()); soon.Before(f.due) {
		f.due = soon
	}
}

// rest puts the next comparison off, more and more if they are in vain: the kernel cannot be read, or
// it cannot be proved that all was, though nothing happens.
func (f *follower) rest(vain bool) {
	if f.vain++; !vain {
		f.vain = 0
	}
	pause := f.pause()
	f.due = time.Now().Add(max(pause, min(pause<<min(f.vain, 16), maxRest)))
}

// A change of what is touched is told of, and taken in later.
type touchedKeys struct {
	routes   map[key]bool
	rules    map[ruleKey]bool
	nexthops map[uint32]bool
	// One of which more is told is left as it was before: that it went down would be no change any
	// more when the message comes, and take no routes along.
	links map[uint32]bool
}

func (f *follower) touched() touchedKeys {
	all := touchedKeys{map[key]bool{}, map[ruleKey]bool{}, map[uint32]bool{}, map[uint32]bool{}}
	var m object.Message
	for _, i := range f.ahead {
		switch k, ok := checked(&m, i.msg); {
		case !ok:
		case k == object.Routes.Kind:
			all.routes[keyOf(&m)] = true
		case k == object.Rules.Kind:
			all.rules[ruleKeyOf(&m)] = true
		case k == object.NexthopObjects.Kind:
			all.nexthops[object.NexthopObjects.Number(&m)] = true
		case k == object.Links.Kind:
			all.links[object.Links.Number(&m)] = true
		}
	}
	return all
}

// keyFor returns what objects have in common that a message may change.
func keyFor(m *object.Message) any {
	switch m.Kind() {
	case object.Routes.Kind:
		return keyOf(m)
	case object.Rules.Kind:
		return ruleKeyOf(m)
	case object.NexthopObjects.Kind:
		return object.NexthopObjects.Number(m)
	}
	return nil
}

// A sweeping is the work on what went with a cause.
type sweeping struct {
	*follower
	cause   *cause
	later   []*cause
	touched touchedKeys
	told    bool // of the cause
	odd     bool // there is something that the cause does not explain
	left    bool // something may have gone of which more is told
}

// takes reports whether an object that is missing has gone with the cause. What may have gone with
// another one that came meanwhile is left to that.
func (w *sweeping) takes(m *object.Message) bool {
	if w.cause.surely(m) {
		return true
	}
	if slices.ContainsFunc(w.later, func(c *cause) bool { return c.takes(m) }) {
		return false
	}
	w.odd = w.odd || !w.cause.takes(m)
	return w.cause.takes(m)
}

// wentFirst reports whether an IPv4 route of a key that is touched went with the cause, and what is
// told of the key came after that: of those with one metric the first is replaced, so that it
// matters which there were. there says whether the snapshot has it.
func (w *sweeping) wentFirst(m *object.Message, there bool) bool {
	if object.Routes.Table(m).Family != object.IPv4 || m.UsesObject() || !w.cause.takes(m) {
		return false
	}
	for oif := range m.Ways {
		if w.cause.kind == object.Links.Kind && oif != w.cause.number {
			return false // it has another way
		}
	}
	k, exact := keyOf(m), w.state.exact(m)
	var o object.Message
	for _, i := range w.ahead {
		kind, ok := checked(&o, i.msg)
		if !ok || kind != object.Routes.Kind || keyOf(&o) != k ||
			w.state.exact(&o) != exact {
			continue
		}
		if wire.Type(i.msg) != kind.Del && exclusive(&o) {
			return true // it came again
		}
		return wire.Type(i.msg) != kind.Del && w.cause.surely(m) // or was replaced; or went later
	}
	return !there && w.cause.surely(m)
}

// deletedLater reports whether it is told later that just this IPv6 route was deleted.
func (w *sweeping) deletedLater(m *object.Message) bool {
	if object.Routes.Table(m).Family != object.IPv6 {
		return false
	}
	k, exact := keyOf(m), w.state.exact(m)
	var o object.Message
	return slices.ContainsFunc(w.ahead, func(i item) bool {
		kind, ok := checked(&o, i.msg)
		return ok && kind == object.Routes.Kind && wire.Type(i.msg) == kind.Del && keyOf(&o) == k &&
			w.state.exact(&o) == exact
	})
}

// tell tells of an object that has gone, or is another one now, and of the cause before, if nothing
// else does.
func (w *sweeping) tell(a Action, run, old object.Run, twin int) {
	c, st := w.cause, w.state
	if !w.told && c.kind != object.NexthopObjects.Kind {
		w.emit(&c.item, &Event{Action: c.action, Kind: c.kind, Object: c.object,
			Referred: st.referred(c.object, object.Run{})})
	}
	w.told = true
	w.emit(&c.item, &Event{Action: a, Kind: run.Kind(), Object: run, Old: old, Twin: twin, OldTwin: twin,
		Referred: st.referred(run, old)})
}

// nexthops tells of the nexthop objects that are not in a snapshot, and of the groups that have lost
// members.
func (w *sweeping) nexthops(s *rtnl.Snapshot) {
	there := map[uint32]object.Run{}
	for _, run := range singles(s, object.NexthopObjects.Kind) {
		var m object.Message
		one := run
		one.Next(&m)
		there[object.NexthopObjects.Number(&m)] = run
	}
	held := w.state.nexthops
	for _, id := range sortedKeys(held) {
		var m, n object.Message
		run, now := held[id], there[id]
		run.Next(&m)
		switch {
		case w.touched.nexthops[id]:
			w.left = w.left || !now.Next(&n) && w.cause.takes(&m)
		case !now.Next(&n):
			if w.takes(&m) {
				w.tell(Gone, held[id], object.Run{}, 0)
				defer delete(held, id) // routes refer to it
			}
		case w.cause.takes(&m) && !object.Alike(&m, &n):
			old := held[id]
			held[id] = lasting(&n)
			w.tell(Replaced, there[id], old, 0)
		}
	}
}

// routes tells of the routes that a filter lets through and that are not in a snapshot.
func (w *sweeping) routes(s *rtnl.Snapshot, filter *rtnl.Filter) {
	if filter.None {
		return
	}
	st := w.state
	filter.Prepare()
	var changed, others []object.Run
	seen := st.mark(s, func(m *object.Message) {
		switch {
		case w.touched.routes[keyOf(m)]:
		case m.UsesObject() && w.cause.takes(m):
			changed = append(changed, copied(m))
		case object.Routes.Table(m).Family == object.IPv6:
			others = append(others, copied(m))
		}
	})
	var missing []ref
	for r := range st.routes.which(filter.Lets) {
		st.routes.message(&st.other, r)
		switch {
		case w.touched.routes[keyOf(&st.other)]:
			if w.wentFirst(&st.other, seen.has(r)) {
				missing = append(missing, r)
			} else {
				w.left = w.left || !seen.has(r) && w.cause.takes(&st.other) && !w.deletedLater(&st.other)
			}
		case !seen.has(r):
			if w.takes(&st.other) && (w.cause.surely(&st.other) || !st.hidden(&st.other, seen)) {
				missing = append(missing, r)
			}
		case w.cause.kind != object.Addresses && w.cause.surely(&st.other) && !w.cause.stays(&st.other):
			w.odd = true // it should have gone
		}
	}
	for _, r := range st.byKey(missing) {
		st.routes.message(&st.other, r)
		k := keyOf(&st.other)
		st.group = st.routes.group(st.group[:0], &k)
		if w.isAnother(r, others) {
			continue
		}
		w.tell(Gone, st.routes.run(r), object.Run{}, st.alike(r)-1)
		st.removeRoute(r)
	}
	for _, run := range changed { // their group has lost members
		var m object.Message
		one := run
		one.Next(&m)
		k := keyOf(&m)
		st.group = st.routes.group(st.group[:0], &k)
		if r, n := st.find(&m); n == 1 {
			w.tell(Replaced, run, st.routes.run(r), 0)
			st.replaceRoute(r, &m)
		}
	}
	st.routes.compact()
}

// byKey sorts records by their keys.
func (s *state) byKey(list []ref) []ref {
	keys := make(map[ref]key, len(list))
	for _, r := range list {
		s.routes.message(&s.other, r)
		keys[r] = keyOf(&s.other)
	}
	slices.SortStableFunc(list, func(a, b ref) int {
		x, y := keys[a], keys[b]
		return compareKeys(x, y)
	})
	return list
}

// isAnother reports whether an IPv6 route is among others by its nexthops, and takes it in as that
// one: what it is beside these was not told when it lost its first nexthop.
func (w *sweeping) isAnother(r ref, others []object.Run) bool {
	st := w.state
	var was, m object.Message
	old := st.routes.run(r)
	for old.Next(&was); len(others) > 0 && was.Joins(); others = others[1:] {
		run := others[0]
		if run.Next(&m); keyOf(&was) != keyOf(&m) || !object.SameWays(&was, &m) ||
			object.Routes.Position(&was).Priority != object.Routes.Position(&m).Priority {
			continue
		}
		c := st.withTwin(st.putInPlace(r, &m, Replaced), &m)
		w.emit(&item{time: w.cause.item.time, uptime: w.cause.item.uptime}, &Event{Action: c.action,
			Kind: object.Routes.Kind, Object: c.object, Old: c.old, Twin: c.twin, OldTwin: c.oldTwin,
			Referred: st.referred(c.object, c.old)})
		return true
	}
	return false
}

// mark returns which routes that are held are in a snapshot. Those of the snapshot that are not
// held, or in another order, or that say something else are told to differs.
func (s *state) mark(snap *rtnl.Snapshot, differs func(m *object.Message)) refSet {
	seen := newRefSet(&s.routes.records)
	var group []ref
	object.Each(snap.Runs(object.Routes.Kind), func(m *object.Message) bool {
		k := keyOf(m)
		group = s.routes.group(group[:0], &k)
		exact := s.exact(m)
		behind := false // one that is held comes before it
		for _, r := range group {
			if seen.has(r) {
				continue
			}
			if s.routes.exact(r) == exact {
				seen.add(r)
				if s.routes.message(&s.other, r); behind || !object.Alike(&s.other, m) {
					differs(m)
				}
				return true
			}
			behind = true
		}
		differs(m)
		return true
	})
	return seen
}

// hidden reports whether no dump has an IPv6 route though it is there: the kernel goes on from
// the first nexthop of a route that others have joined to its last one, and passes over what came
// between these (fib6_dump_node). What is in s.other is not valid then.
func (s *state) hidden(m *object.Message, seen refSet) bool {
	if object.Routes.Table(m).Family != object.IPv6 || m.Joins() {
		return false
	}
	k, metric := keyOf(m), object.Routes.Position(m).Priority
	var o object.Message
	for _, r := range s.routes.group(nil, &k) {
		s.routes.message(&o, r)
		if seen.has(r) && object.Routes.Position(&o).Priority == metric && o.Joins() && len(o.AppendRawWays(nil)) > 1 {
			return true
		}
	}
	return false
}

// compare compares all with what the kernel has, and yields the differences.
func (f *follower) compare(at item) error {
	at.msg, at.author, at.certainty = nil, nil, 0
	begun := time.Now()
	if f.state.routes.count >= many {
		debug.FreeOSMemory() // there will be as much again
	}
	s, err := f.kernel.Read(f.ctx, f.everything())
	if err != nil {
		return f.failed(err)
	}
	f.wasRead()
	if err := f.fence(); err != nil {
		return err
	}
	quiet := len(f.ahead) == 0
	touched := f.touched()
	st := f.state
	there := map[uint32]bool{}
	object.Each(s.Runs(object.Links.Kind), func(m *object.Message) bool {
		i := object.Links.Number(m)
		if there[i] = true; !touched.links[i] {
			st.setLink(m)
		}
		return true
	})
	d := &differences{follower: f, at: at, whole: s.Consistent, touched: touched}
	d.nexthops(s)
	d.rules(s)
	d.routes(s)
	if s.Consistent { // that a link has gone may have been lost, and what went referred to it
		maps.DeleteFunc(st.links, func(i uint32, _ *link) bool { return !there[i] && !touched.links[i] })
	}
	f.tried = time.Since(begun)
	f.missed = f.missed && (!s.Consistent || d.left)
	f.doubt = !s.Consistent || d.left
	f.rest(!s.Consistent && quiet)
	giveBack(s)
	return nil
}

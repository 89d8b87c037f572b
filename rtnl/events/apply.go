package events

import (
	"slices"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A change is what a message comes to.
type change struct {
	action        Action
	object, old   object.Run
	twin, oldTwin int
	// doubt says that what is held may not be what the kernel has: it did not fit what was told.
	doubt bool
	// went are routes that must have gone before, or the kernel had not added this one.
	went []went
}

type went struct {
	object object.Run
	twin   int
}

// apply takes in a message about a route, a rule or a nexthop object, in memory that the change
// may keep.
func (s *state) apply(m *object.Message, gone bool) change {
	switch m.Kind() {
	case object.Rules.Kind:
		return s.applyRule(m, gone)
	case object.NexthopObjects.Kind:
		return s.applyNexthop(m, gone)
	}
	k := keyOf(m)
	s.group = s.routes.group(s.group[:0], &k)
	found, alike := s.find(m)
	if found != 0 && !gone && !s.beginning && exclusive(m) {
		before := went{s.routes.run(found), alike - 1}
		s.removeRoute(found)
		c := s.apply(m, gone)
		c.went, c.doubt = append([]went{before}, c.went...), true
		return c
	}
	switch {
	case gone:
		return s.deleteRoute(m, found, alike)
	case k.table.Family == object.IPv4:
		return s.newIPv4(m, found)
	case k.table.Family == object.IPv6:
		return s.newIPv6(m, found)
	case k.table.Family == object.MPLS && len(s.group) > 0: // a label has one route
		found = s.group[0]
	}
	if found != 0 {
		return s.putInPlace(found, m, Replaced)
	}
	s.addRoute(m, 0)
	return change{action: Added, object: object.RunOf(m)}
}

// putInPlace holds a route in the place of another one.
func (s *state) putInPlace(old ref, m *object.Message, action Action) change {
	c := change{action: action, object: object.RunOf(m), old: s.routes.run(old), oldTwin: s.alike(old) - 1}
	s.replaceRoute(old, m)
	return c
}

// alike returns how many routes of the group are like one of them, with itself.
func (s *state) alike(r ref) (n int) {
	exact := s.routes.exact(r)
	for _, o := range s.group {
		if s.routes.exact(o) == exact {
			n++
		}
	}
	return n
}

// told notes an object that was there already: it came while all was read at first.
func (s *state) told(found ref, m *object.Message) change {
	c := change{action: Added, object: object.RunOf(m)}
	if appends(m) {
		c.action = Appended
	}
	s.replaceRoute(found, m)
	return c
}

// exclusive reports whether a new route is told of only if there was none like it: adding that
// fails with EEXIST, unless it is to be replaced.
func exclusive(m *object.Message) bool {
	f := object.Routes.Table(m).Family
	return (f == object.IPv4 || f == object.IPv6) && creates(m) && !replaces(m)
}

func appends(m *object.Message) bool  { return wire.Flags(m.Bytes())&wire.NLM_F_APPEND != 0 }
func creates(m *object.Message) bool  { return wire.Flags(m.Bytes())&wire.NLM_F_CREATE != 0 }
func replaces(m *object.Message) bool { return wire.Flags(m.Bytes())&wire.NLM_F_REPLACE != 0 }

// newIPv4 takes in a route that was added or replaced (fib_table_insert): of those with one tos
// and metric the first is replaced, and a new one comes before them, or behind if it is appended.
// One that is told to replace itself is another one now by its nexthop object, and one that is told
// without any of that is in another state, as in hardware (fib_alias_hw_flags_set).
func (s *state) newIPv4(m *object.Message, found ref) change {
	p := object.Routes.Position(m)
	var first, behind ref // of those with the same tos and metric, and the one after them
	for _, r := range s.group {
		s.routes.message(&s.other, r)
		o := object.Routes.Position(&s.other)
		same := o.TOS == p.TOS && o.Priority == p.Priority
		if same && first == 0 {
			first = r
		}
		if o.TOS < p.TOS || o.TOS == p.TOS && o.Priority > p.Priority {
			behind = r
			break
		}
	}
	switch {
	case found != 0 && (replaces(m) || !creates(m)):
		return s.putInPlace(found, m, Replaced)
	case found != 0:
		return s.told(found, m)
	case replaces(m) && first != 0:
		return s.putInPlace(first, m, Replaced)
	case appends(m):
		s.addRoute(m, behind)
		return change{action: Appended, object: object.RunOf(m), doubt: first == 0}
	case first != 0:
		behind = first
	}
	s.addRoute(m, behind)
	return change{action: Added, object: object.RunOf(m), doubt: replaces(m)}
}

// newIPv6 takes in a route that was added or replaced (fib6_add_rt2node): of those with one metric
// the first is replaced that joins others as the new one does, or else the first. A new one that
// joins others is told of with all their nexthops.
func (s *state) newIPv6(m *object.Message, found ref) change {
	metric := object.Routes.Position(m).Priority
	var first, victim, behind ref
	for _, r := range s.group {
		s.routes.message(&s.other, r)
		other := object.Routes.Position(&s.other).Priority
		if other > metric {
			behind = r
			break
		}
		if other < metric {
			continue
		}
		if first == 0 {
			first = r
		}
		if victim == 0 && s.other.Joins() == m.Joins() {
			victim = r
		}
		if !replaces(m) && found == 0 && m.Joins() && s.other.Joins() {
			if c, ok := s.join(r, m); ok {
				return c
			}
		}
	}
	if victim == 0 {
		victim = first
	}
	switch {
	case found != 0 && (replaces(m) && m.UsesObject() || !replaces(m) && !creates(m)):
		return s.putInPlace(found, m, Replaced)
	case replaces(m) && victim != 0:
		return s.withTwin(s.putInPlace(victim, m, Replaced), m)
	case found != 0 && !replaces(m):
		return s.told(found, m)
	}
	s.addRoute(m, behind)
	c := change{action: Added, object: object.RunOf(m), doubt: replaces(m)}
	if appends(m) {
		c.action = Appended
	}
	return c
}

// withTwin says how many routes that are alike come before one that was taken in.
func (s *state) withTwin(c change, m *object.Message) change {
	k := keyOf(m)
	s.group = s.routes.group(s.group[:0], &k)
	exact := s.exact(m)
	for _, r := range s.group {
		if s.routes.exact(r) != exact {
			continue
		}
		if s.routes.message(&s.other, r); object.Alike(&s.other, m) {
			break
		}
		c.twin++
	}
	return c
}

// join takes in a route that has become a part of another one, r, which is s.other: its nexthops
// come behind those of that one, but the message may begin with them. The rest of what a route
// is stays that of the first.
func (s *state) join(r ref, m *object.Message) (c change, ok bool) {
	s.hops = s.other.AppendRawWays(s.hops[:0])
	before := s.hops // in the memory of s.other
	ways := m.AppendRawWays(nil)
	if len(ways) < len(before) || !within(before, ways) {
		return change{}, false
	}
	at := slices.IndexFunc(ways, before[0].Same)
	ways = append(slices.Clone(ways[at:]), ways[:at]...)
	for i := range before {
		c.doubt = c.doubt || !before[i].Same(ways[i])
	}
	var joined object.Message
	if !remade(&joined, &s.other, m, ways) {
		return change{}, false
	}
	c.action, c.object = Appended, object.RunOf(&joined)
	c.old, c.oldTwin = s.routes.run(r), s.alike(r)-1
	s.replaceRoute(r, &joined)
	return c, true
}

// remade makes a message about a route with other nexthops, with the header of what was told.
func remade(to, route, told *object.Message, ways []object.Way) bool {
	b := padded(route.AppendWithWays(nil, ways))
	copy(b[4:wire.HeaderLen], told.Bytes()[4:wire.HeaderLen])
	return object.Routes.Check(to, b[:wire.Len(b)]) == nil
}

// within reports whether all ways are among others.
func within(ways, others []object.Way) bool {
	return !slices.ContainsFunc(ways, func(w object.Way) bool { return !slices.ContainsFunc(others, w.Same) })
}

// deleteRoute takes in that a route has gone, or some nexthops of an IPv6 route. Of routes that are
// alike the last identity is the one that there is no more.
func (s *state) deleteRoute(m *object.Message, found ref, alike int) change {
	if found != 0 {
		s.removeRoute(s.very(found, m))
		return change{action: Deleted, object: object.RunOf(m), twin: alike - 1}
	}
	if object.Routes.Table(m).Family != object.IPv6 {
		return change{action: Deleted, object: object.RunOf(m), doubt: true}
	}
	metric := object.Routes.Position(m).Priority
	gone := m.AppendRawWays(nil)
	for _, r := range s.group {
		s.routes.message(&s.other, r)
		if object.Routes.Position(&s.other).Priority != metric || !s.other.Joins() {
			continue
		}
		ways := s.other.AppendRawWays(nil)
		if len(ways) < len(gone) || !within(gone, ways) {
			continue
		}
		first := ways[0]
		ways = slices.DeleteFunc(ways, func(w object.Way) bool { return slices.ContainsFunc(gone, w.Same) })
		var left object.Message
		if len(ways) == 0 || !remade(&left, &s.other, m, ways) {
			// It was held, and told of, with the protocol of a nexthop that went before: what goes is
			// that one, or it would be there for ever for who replays the events.
			c := change{action: Deleted, object: s.routes.run(r), twin: s.alike(r) - 1}
			s.removeRoute(r)
			return c
		}
		c := change{action: Replaced, object: object.RunOf(&left)}
		// Type, protocol and metrics are those of the first nexthop's route: now of another one.
		c.doubt = !first.Same(ways[0])
		c.old, c.oldTwin = s.routes.run(r), s.alike(r)-1
		s.replaceRoute(r, &left)
		return s.withTwin(c, &left)
	}
	return change{action: Deleted, object: object.RunOf(m), doubt: true}
}

// very returns which of those that are alike, of which one is the first, a message is about: they
// may differ in what no identity has, as metrics.
func (s *state) very(first ref, m *object.Message) ref {
	exact := s.routes.exact(first)
	for _, r := range s.group {
		if s.routes.exact(r) == exact {
			if s.routes.message(&s.other, r); object.Alike(&s.other, m) {
				return r
			}
		}
	}
	return first
}

// applyRule takes in that a rule was added, behind all of its priority, or has gone.
func (s *state) applyRule(m *object.Message, gone bool) change {
	c := change{action: Added, object: object.RunOf(m)}
	k := ruleKeyOf(m)
	list := s.rules[k]
	var alike []int
	identity := ruleIdentity(m)
	for i, run := range list {
		var o object.Message
		if run.Next(&o); ruleIdentity(&o) == identity {
			alike = append(alike, i)
		}
	}
	switch {
	case !gone:
		c.twin = len(alike)
		s.rules[k] = append(list, c.object)
	case len(alike) == 0:
		c.action, c.doubt = Deleted, true
	default:
		c.action, c.twin = Deleted, len(alike)-1
		s.setRules(k, slices.Delete(list, alike[0], alike[0]+1))
	}
	return c
}

func (s *state) setRules(k ruleKey, list []object.Run) {
	if len(list) == 0 {
		delete(s.rules, k)
	} else {
		s.rules[k] = list
	}
}

func ruleIdentity(m *object.Message) uint64 {
	var r object.Rule
	object.Rules.Decode(&r, m)
	return r.IdentityHash()
}

// applyNexthop takes in that a nexthop object was added or replaced, or has gone.
func (s *state) applyNexthop(m *object.Message, gone bool) change {
	id := object.NexthopObjects.Number(m)
	old, there := s.nexthops[id]
	c := change{action: Added, object: object.RunOf(m)}
	switch {
	case gone:
		delete(s.nexthops, id)
		c.action, c.doubt = Deleted, !there
		return c
	case there:
		c.action, c.old = Replaced, old
		// The kernel may not tell that routes that use it are of another type now.
		c.doubt = len(s.overNexthop) > 0 && isBlackhole(c.object) != isBlackhole(old)
	}
	s.nexthops[id] = lasting(m)
	return c
}

func isBlackhole(run object.Run) bool {
	var o object.NexthopObject
	return object.Decode(run, object.NexthopObjects, &o) && o.Blackhole
}

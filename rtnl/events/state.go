package events

import (
	"slices"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A state is what there is, by what the kernel has told: routes, rules, nexthop objects and
// links.
type state struct {
	routes   *store
	rules    map[ruleKey][]object.Run // those of one priority, in the kernel's order
	nexthops map[uint32]object.Run
	links    map[uint32]*link

	beginning bool // what comes may be there already: it was told while all was read at first

	// How many routes lead through a link, or use a nexthop object.
	overLink, overNexthop map[uint32]int

	group []ref          // of the route that is being looked at
	other object.Message // one of them
	route object.Route   // and that, decoded
	hops  []object.Way

	// Of referred.
	message    object.Message
	references object.References
	numbers    []uint32
	found      []object.Run
	last       []object.Run
}

// A ruleKey is what rules of one priority have in common.
type ruleKey struct {
	family   object.Family
	priority uint32
}

// A link is what matters of an interface.
type link struct {
	run   object.Run // its message, without what is never decoded
	flags uint32     // ifi_flags
	upper uint32     // IFLA_MASTER
}

func newState() *state {
	return &state{routes: newStore(), rules: map[ruleKey][]object.Run{}, nexthops: map[uint32]object.Run{},
		links: map[uint32]*link{}, overLink: map[uint32]int{}, overNexthop: map[uint32]int{}}
}

// load takes over what a snapshot has.
func (s *state) load(snap *rtnl.Snapshot) {
	for _, k := range []*object.Kind{object.Links.Kind, object.NexthopObjects.Kind, object.Rules.Kind,
		object.Routes.Kind} {
		if k == object.Routes.Kind {
			s.routes.reserve(snap.Count(k))
		}
		object.Each(snap.Runs(k), func(m *object.Message) bool {
			switch k {
			case object.Links.Kind:
				s.setLink(m)
			case object.NexthopObjects.Kind:
				s.nexthops[k.Number(m)] = lasting(m)
			case object.Rules.Kind:
				at := ruleKeyOf(m)
				s.rules[at] = append(s.rules[at], copied(m))
			default:
				s.addRoute(m, 0)
			}
			return true
		})
	}
}

// lasting returns a copy of a message without what changes with time.
func lasting(m *object.Message) object.Run {
	return m.RunIn(padded(m.AppendLasting(make([]byte, 0, wire.Align(len(m.Bytes()))))))
}

// padded adds a message's padding.
func padded(b []byte) []byte { return append(b, make([]byte, wire.Align(len(b))-len(b))...) }

func ruleKeyOf(m *object.Message) ruleKey {
	return ruleKey{object.Rules.Table(m).Family, object.Rules.Position(m).Priority}
}

// setLink notes an interface as it is now, and returns what it was before; nil: it was not there.
func (s *state) setLink(m *object.Message) (before *link) {
	i := object.Links.Number(m)
	before = s.links[i]
	var known object.Messages
	known.AddKnown(m)
	now := &link{run: known.Runs[0], flags: object.LinkFlags(m), upper: object.LinkMaster(m)}
	if before != nil && string(before.run.Bytes()) == string(now.run.Bytes()) {
		now.run = before.run // which events share
	}
	s.links[i] = now
	return before
}

// exact returns what tells a route from others of its key.
func (s *state) exact(m *object.Message) uint64 {
	s.route.Decode(m, object.FieldID)
	return s.route.IdentityHash()
}

// addRoute holds a route: before another one of its key, or behind all if that is 0.
func (s *state) addRoute(m *object.Message, before ref) ref {
	s.count(m, 1)
	return s.routes.add(m, before)
}

// removeRoute holds a route no more.
func (s *state) removeRoute(r ref) {
	s.routes.message(&s.other, r)
	s.count(&s.other, -1)
	s.routes.remove(r)
}

// replaceRoute holds a route in the place of another one.
func (s *state) replaceRoute(old ref, m *object.Message) {
	s.count(m, 1)
	s.routes.message(&s.other, old)
	s.count(&s.other, -1)
	s.routes.replace(old, m)
}

// count counts by what ways a route leads.
func (s *state) count(m *object.Message, n int) {
	for oif := range m.Ways {
		if s.overLink[oif] += n; s.overLink[oif] == 0 {
			delete(s.overLink, oif)
		}
	}
	if id := m.NexthopID(); id != 0 {
		if s.overNexthop[id] += n; s.overNexthop[id] == 0 {
			delete(s.overNexthop, id)
		}
	}
}

// find returns the first record of the group that is like a route, and how many are; 0: none is.
func (s *state) find(m *object.Message) (found ref, n int) {
	if len(s.group) == 0 {
		return 0, 0
	}
	exact := s.exact(m)
	for _, r := range s.group {
		if s.routes.exact(r) == exact {
			if found == 0 {
				found = r
			}
			n++
		}
	}
	return found, n
}

// referred returns what two objects refer to, and what these refer to, as it is now; the second may
// be none. It is the slice of the last call where that returned the same, as for most of many changes.
func (s *state) referred(a, b object.Run) []object.Run {
	s.found = s.found[:0]
	s.refer(a)
	s.refer(b)
	for i := 0; i < len(s.found); i++ { // which grows
		s.refer(s.found[i])
	}
	if len(s.found) == 0 {
		return nil
	}
	if !slices.EqualFunc(s.found, s.last, same) {
		s.last = slices.Clone(s.found)
	}
	return s.last
}

// refer adds to found what an object refers to.
func (s *state) refer(of object.Run) {
	s.references.Reset()
	for of.Next(&s.message) {
		if k := s.message.Kind(); k.Refer != nil {
			k.Refer(&s.message, &s.references)
		}
		if s.message.Kind() == object.Addresses {
			s.references.Add(object.Links.Kind, object.AddressLink(&s.message))
		}
	}
	for _, id := range s.sorted(object.NexthopObjects.Kind) {
		if run, ok := s.nexthops[id]; ok {
			s.note(run)
		}
	}
	for _, id := range s.sorted(object.Links.Kind) {
		if l := s.links[id]; l != nil {
			s.note(l.run)
		}
	}
}

// sorted returns the numbers of the references to a kind, valid until the next call.
func (s *state) sorted(k *object.Kind) []uint32 {
	s.numbers = s.numbers[:0]
	for id := range s.references.Of(k) {
		s.numbers = append(s.numbers, id)
	}
	slices.Sort(s.numbers)
	return s.numbers
}

// note adds a run to found, once.
func (s *state) note(run object.Run) {
	if !slices.ContainsFunc(s.found, func(o object.Run) bool { return same(o, run) }) {
		s.found = append(s.found, run)
	}
}

// same reports whether two runs are one.
func same(a, b object.Run) bool {
	return a.Len() == b.Len() && a.Len() > 0 && &a.Bytes()[0] == &b.Bytes()[0]
}

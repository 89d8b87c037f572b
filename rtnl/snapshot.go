package rtnl

import (
	"iter"
	"slices"
	"sync"

	"kernelroutes/rtnl/object"
)

// A Snapshot is the routing state at one time: for each kind that was asked for the
// kernel's own messages, which are decoded when they are looked at. It does not change
// and may be read by several goroutines, each with a Cursor of its own.
type Snapshot struct {
	// Consistent is true if nothing changed while the kernel was read, or if all
	// changes are accounted for: each object that was there all the time is here
	// once, and one that changed is as it was before or after. Otherwise one may
	// be missing, though none comes twice but for multicast routes, and for kinds of
	// which it is not declared how the kernel walks over them.
	Consistent bool
	// Tries is how often the kernel was asked, at most MaxTries.
	Tries int
	// Sysctls are the settings of all and default where object.Netconfs were asked for, and
	// all of them: as they were before and after all else was read. nil: they are not known.
	Sysctls Sysctls
	// Groups are the routes that were counted instead of read, in no order: see
	// Request.CountBy. Of each class there is one.
	Groups []Group

	sections []*section // by object.Kind.Ordinal; nil: none was asked for
}

// A section is the objects of one kind.
type section struct {
	runs []object.Run

	once     sync.Once
	byNumber any // map[uint32]*T

	vrfOnce sync.Once
	vrfs    map[uint32]string // by their table: see VRF
}

// NewSnapshot returns a snapshot of messages that were read elsewhere.
func NewSnapshot(consistent bool, runs map[*object.Kind][]object.Run) *Snapshot {
	s := &Snapshot{Consistent: consistent}
	for k, r := range runs {
		s.set(k, &section{runs: r})
	}
	return s
}

func (s *Snapshot) set(k *object.Kind, sec *section) {
	if s.sections == nil {
		s.sections = make([]*section, len(object.Kinds))
	}
	s.sections[k.Ordinal()] = sec
}

func (s *Snapshot) section(k *object.Kind) *section {
	if s.sections != nil && s.sections[k.Ordinal()] != nil {
		return s.sections[k.Ordinal()]
	}
	return &section{}
}

// Runs returns the messages about the objects of a kind, in the kernel's order.
func (s *Snapshot) Runs(k *object.Kind) []object.Run { return s.section(k).runs }

// Count returns how many objects of a kind the snapshot has.
func (s *Snapshot) Count(k *object.Kind) (n int) {
	for _, run := range s.Runs(k) {
		n += run.Count()
	}
	return n
}

// byNumber returns the objects of a kind by the number that others refer to them by.
func byNumber[T any](s *Snapshot, k object.Values[T]) map[uint32]*T {
	if s.sections == nil || s.sections[k.Ordinal()] == nil {
		return nil
	}
	sec := s.sections[k.Ordinal()]
	sec.once.Do(func() {
		objects := map[uint32]*T{}
		object.Each(sec.runs, func(m *object.Message) bool {
			v := new(T)
			k.Decode(v, m)
			objects[k.Number(m)] = v
			return true
		})
		sec.byNumber = objects
	})
	return sec.byNumber.(map[uint32]*T)
}

// Get returns the object of a kind with a number. There is none if the kind was not
// asked for or if the object has gone away.
func Get[T any](s *Snapshot, k object.Values[T], number uint32) (*T, bool) {
	v, ok := byNumber(s, k)[number]
	return v, ok
}

// All yields the objects of a kind, in the kernel's order. Each is valid until the next. For
// the identities of routes use Routes, which tells apart IPv6 routes that are alike.
func All[T any](s *Snapshot, k object.Values[T]) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		next := Each(s, k)
		for v := next(); v != nil && yield(v); v = next() {
		}
	}
}

// Each returns a function that returns the objects of a kind, one after the other, and nil
// at the end: All for those who cannot be called back. Each is valid until the next.
func Each[T any](s *Snapshot, k object.Values[T]) func() *T {
	var m object.Message
	var v T
	var run object.Run
	runs := s.Runs(k.Kind)
	return func() *T {
		for !run.Next(&m) {
			if len(runs) == 0 {
				return nil
			}
			run, runs = runs[0], runs[1:]
		}
		k.Decode(&v, &m)
		return &v
	}
}

// Link returns an interface by its index. There is none if links were not asked
// for or if the interface has gone away.
func (s *Snapshot) Link(index uint32) (object.Link, bool) {
	if l, ok := Get(s, object.Links, index); ok {
		return *l, true
	}
	return object.Link{}, false
}

// VRF returns the name of the VRF device whose routing table has a number (IFLA_VRF_TABLE), of
// several the one with the lowest index; "" if there is none, or if links were not asked for
// (Request.Along).
func (s *Snapshot) VRF(table uint32) string {
	sec := s.section(object.Links.Kind)
	sec.vrfOnce.Do(func() {
		sec.vrfs = map[uint32]string{}
		lowest := map[uint32]uint32{}
		for l := range All(s, object.Links) {
			if index, ok := lowest[l.VRFTable]; l.VRFTable != 0 && (!ok || l.Index < index) {
				sec.vrfs[l.VRFTable], lowest[l.VRFTable] = l.Name, l.Index
			}
		}
	})
	return sec.vrfs[table]
}

// Nexthops returns every way that a route has: see object.Route.Nexthops.
func (s *Snapshot) Nexthops(r *object.Route, buf []object.Nexthop) []object.Nexthop {
	if !r.NexthopID.OK {
		return r.Nexthops(nil, buf)
	}
	return r.Nexthops(byNumber(s, object.NexthopObjects), buf)
}

// Routes yields the routes, in the kernel's order. Of each only the parts in want are
// decoded; it is valid until the next: see object.Route.Clone.
func (s *Snapshot) Routes(want object.Fields) iter.Seq[*object.Route] {
	return func(yield func(*object.Route) bool) {
		for c := s.Cursor(want); c.Next() && yield(c.Route()); {
		}
	}
}

// Cursor returns a cursor before the first route: see Routes.
func (s *Snapshot) Cursor(want object.Fields) *object.Cursor {
	return object.NewCursor(s.Runs(object.Routes.Kind), want)
}

// with returns a copy of the snapshot with other objects of a kind.
func (s *Snapshot) with(k *object.Kind, runs []object.Run) *Snapshot {
	c := &Snapshot{Consistent: s.Consistent, Tries: s.Tries, Sysctls: s.Sysctls, Groups: s.Groups,
		sections: slices.Clone(s.sections)}
	c.set(k, &section{runs: runs})
	return c
}

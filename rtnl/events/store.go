package events

import (
	"hash/maphash"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A key is what routes to one destination in one table have in common.
type key struct {
	table            object.Table
	dst, src         [maxDst]byte
	dstBits, srcBits uint8
}

func keyOf(m *object.Message) key {
	p := object.Routes.Position(m)
	return key{object.Routes.Table(m), p.Dst, p.Src, p.DstLen, p.SrcLen}
}

// A store holds the messages about routes, those of one key in the kernel's order, in less memory
// than they take: a record each, which is the reference of the next one in its bucket, the route's
// shape and its destination, and a hash table of references. A million IPv4 routes like those of
// the Internet take 16 MB.
type store struct {
	records
	shapes  shapes
	buckets []ref // a power of two
	count   int
	seed    maphash.Seed

	probe object.Message // of group
}

const (
	recordNext  = 0
	recordShape = 4
	recordHead  = 8
)

func newStore() *store {
	seed := maphash.MakeSeed()
	return &store{shapes: newShapes(seed), buckets: make([]ref, minBuckets), seed: seed}
}

func (s *store) next(r ref) ref    { return ref(s.u32(r, recordNext)) }
func (s *store) shapeOf(r ref) ref { return ref(s.u32(r, recordShape)) }

// exact returns what tells a route from others of its key: Route.IdentityHash.
func (s *store) exact(r ref) uint64 { return s.shapes.exact(s.shapeOf(r)) }

// dst returns the bytes of a route's destination.
func (s *store) dst(r ref) []byte {
	_, n := s.shapes.dst(s.shapeOf(r))
	return s.at(r)[recordHead : recordHead+n]
}

// hash returns the hash of a route's key.
func (s *store) hash(r ref) uint32 {
	var dst [maxDst]byte
	copy(dst[:], s.dst(r))
	return s.shapes.u32(s.shapeOf(r), shapeKey) ^ hashDst(s.seed, &dst)
}

func (s *store) bucket(hash uint32) *ref { return &s.buckets[hash&uint32(len(s.buckets)-1)] }

// message makes m the message of a record. It is valid until the next call.
func (s *store) message(m *object.Message, r ref) { s.shapes.fill(m, s.shapeOf(r), s.dst(r)) }

// run returns a copy of a record's message.
func (s *store) run(r ref) object.Run {
	var m object.Message
	s.message(&m, r)
	return copied(&m)
}

// copied returns a copy of a message.
func copied(m *object.Message) object.Run {
	b := m.Bytes()
	return m.RunIn(wire.AppendMessage(make([]byte, 0, wire.Align(len(b))), b))
}

// group appends the records of a key, in their order.
func (s *store) group(list []ref, k *key) []ref {
	rest := hashRest(s.seed, k)
	m := &s.probe
	for r := *s.bucket(rest ^ hashDst(s.seed, &k.dst)); r != 0; r = s.next(r) {
		if dst := s.dst(r); s.shapes.u32(s.shapeOf(r), shapeKey) != rest || string(dst) != string(k.dst[:len(dst)]) {
			continue
		}
		if s.message(m, r); keyOf(m) == *k {
			list = append(list, r)
		}
	}
	return list
}

// add adds a message: before another record of its key, or behind all if that is 0.
func (s *store) add(m *object.Message, before ref) ref {
	if s.count >= len(s.buckets) {
		s.resize(2 * len(s.buckets))
	}
	sh, dst := s.shapes.hold(m)
	r := s.records.add(recordHead + wire.Align(len(dst)))
	s.set(r, recordShape, uint32(sh))
	copy(s.at(r)[recordHead:], dst)
	s.link(r, before)
	s.count++
	return r
}

// link puts a record into its bucket's list: before another, or at the end.
func (s *store) link(r, before ref) {
	b := s.bucket(s.hash(r))
	if *b == before {
		s.set(r, recordNext, uint32(before))
		*b = r
		return
	}
	at := *b
	for s.next(at) != before {
		at = s.next(at)
	}
	s.set(r, recordNext, uint32(before))
	s.set(at, recordNext, uint32(r))
}

// remove removes a record.
func (s *store) remove(r ref) {
	b := s.bucket(s.hash(r))
	if *b == r {
		*b = s.next(r)
	} else {
		at := *b
		for s.next(at) != r {
			at = s.next(at)
		}
		s.set(at, recordNext, uint32(s.next(r)))
	}
	n, sh := len(s.dst(r)), s.shapeOf(r)
	s.records.remove(r, recordHead+wire.Align(n))
	s.shapes.release(sh)
	s.count--
}

// replace puts a message in a record's place, and returns the new record.
func (s *store) replace(old ref, m *object.Message) ref {
	r := s.add(m, old)
	s.remove(old)
	return r
}

// reserve makes room for so many routes.
func (s *store) reserve(n int) {
	buckets := len(s.buckets)
	for buckets < n {
		buckets *= 2
	}
	if buckets > len(s.buckets) {
		s.resize(buckets)
	}
}

// resize makes a hash table of another size.
func (s *store) resize(buckets int) {
	old := s.buckets
	s.buckets = make([]ref, buckets)
	for _, r := range old {
		for r != 0 {
			next := s.next(r)
			s.link(r, 0)
			r = next
		}
	}
}

// compact takes back the memory of what was removed, where that is most. No ref is valid then.
func (s *store) compact() {
	freed, used := s.freed+s.shapes.freed, s.used+s.shapes.used
	if freed <= 256<<10 || freed <= used/2 {
		return
	}
	n := newStore()
	n.reserve(s.count)
	var m object.Message
	for r := range s.all {
		s.message(&m, r)
		n.add(&m, 0)
	}
	*s = *n
}

// all yields every record, which may be removed then.
func (s *store) all(yield func(ref) bool) {
	for _, r := range s.buckets {
		for r != 0 {
			next := s.next(r)
			if !yield(r) {
				return
			}
			r = next
		}
	}
}

// which yields every record whose route has something, which does not depend on its destination:
// has is asked once for each shape.
func (s *store) which(has func(m *object.Message) bool) func(yield func(ref) bool) {
	return func(yield func(ref) bool) {
		shapes := s.shapes.which(has)
		for r := range s.all {
			if shapes.has(s.shapeOf(r)) && !yield(r) {
				return
			}
		}
	}
}

package events

import (
	"encoding/binary"
	"hash/maphash"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A router has a million routes, but most of them differ in their destination alone: they have a
// shape in common, which is a message about a route whose destination is zeros.
//
// The record of a shape is the reference of the next one in its bucket, the hash of its message, how
// many routes have it, the hash of their key but for the destination, their identity, where in the
// payload the destination is and how many bytes it has, the length of the payload, and the payload.
type shapes struct {
	records
	buckets []ref // a power of two
	count   int
	seed    maphash.Seed

	room    [maxDst]byte
	lasting []byte
	scratch []byte
	message object.Message
	route   object.Route
}

const (
	shapeNext   = 0
	shapeHash   = 4
	shapeRoutes = 8
	shapeKey    = 12
	shapeID     = 16 // u64
	shapeDstAt  = 24 // u16
	shapeDstLen = 26 // u16
	shapeLen    = 28
	shapeHead   = 32

	minBuckets = 1 << 8
	// maxDst is how many bytes a key has for the destination.
	maxDst = 16
)

func newShapes(seed maphash.Seed) shapes {
	return shapes{buckets: make([]ref, minBuckets), seed: seed}
}

// exact returns the identity that the routes of a shape have.
func (s *shapes) exact(sh ref) uint64 { return binary.NativeEndian.Uint64(s.at(sh)[shapeID:]) }

func (s *shapes) payload(sh ref) []byte {
	rec := s.at(sh)
	return rec[shapeHead : shapeHead+int(wire.U32(rec[shapeLen:]))]
}

// dst returns where in the payload the destination is, and how many bytes it has.
func (s *shapes) dst(sh ref) (at, n int) {
	rec := s.at(sh)
	return int(wire.U16(rec[shapeDstAt:])), int(wire.U16(rec[shapeDstLen:]))
}

// hold returns the shape of a route, which has one route more then. dst is the route's destination,
// valid until the next call.
func (s *shapes) hold(m *object.Message) (sh ref, dst []byte) {
	s.lasting = m.AppendLasting(s.lasting[:0])
	run := m.RunIn(s.lasting)
	run.Next(&s.message)
	at, n := s.message.RouteDstAt()
	if n > maxDst || at > 1<<16-1 {
		at, n = 0, 0 // no kernel sends such a one
	}
	payload := s.message.Payload()
	dst = append(s.room[:0], payload[at:at+n]...)
	clear(payload[at : at+n])
	hash := uint32(maphash.Bytes(s.seed, payload))
	for sh = s.buckets[hash&uint32(len(s.buckets)-1)]; sh != 0; sh = ref(s.u32(sh, shapeNext)) {
		if s.u32(sh, shapeHash) != hash {
			continue
		}
		if a, l := s.dst(sh); a == at && l == n && string(s.payload(sh)) == string(payload) {
			s.set(sh, shapeRoutes, s.u32(sh, shapeRoutes)+1)
			return sh, dst
		}
	}
	return s.new(payload, hash, at, n), dst
}

// new adds the shape of a payload, which s.message has, with one route.
func (s *shapes) new(payload []byte, hash uint32, at, n int) ref {
	if s.count >= len(s.buckets) {
		s.grow()
	}
	k := keyOf(&s.message)
	s.route.Decode(&s.message, object.FieldID)
	sh := s.records.add(shapeHead + wire.Align(len(payload)))
	b := &s.buckets[hash&uint32(len(s.buckets)-1)]
	rec := s.at(sh)[:0]
	rec = binary.NativeEndian.AppendUint32(rec, uint32(*b))
	rec = binary.NativeEndian.AppendUint32(rec, hash)
	rec = binary.NativeEndian.AppendUint32(rec, 1)
	rec = binary.NativeEndian.AppendUint32(rec, hashRest(s.seed, &k))
	rec = binary.NativeEndian.AppendUint64(rec, s.route.IdentityHash())
	rec = binary.NativeEndian.AppendUint16(rec, uint16(at))
	rec = binary.NativeEndian.AppendUint16(rec, uint16(n))
	rec = binary.NativeEndian.AppendUint32(rec, uint32(len(payload)))
	wire.AppendMessage(rec, payload)
	*b = sh
	s.count++
	return sh
}

func (s *shapes) grow() {
	old := s.buckets
	s.buckets = make([]ref, 2*len(old))
	for _, sh := range old {
		for sh != 0 {
			next := ref(s.u32(sh, shapeNext))
			b := &s.buckets[s.u32(sh, shapeHash)&uint32(len(s.buckets)-1)]
			s.set(sh, shapeNext, uint32(*b))
			*b = sh
			sh = next
		}
	}
}

// release notes that a shape has one route less.
func (s *shapes) release(sh ref) {
	n := s.u32(sh, shapeRoutes) - 1
	s.set(sh, shapeRoutes, n)
	if n > 0 {
		return
	}
	b := &s.buckets[s.u32(sh, shapeHash)&uint32(len(s.buckets)-1)]
	if *b == sh {
		*b = ref(s.u32(sh, shapeNext))
	} else {
		at := *b
		for ref(s.u32(at, shapeNext)) != sh {
			at = ref(s.u32(at, shapeNext))
		}
		s.set(at, shapeNext, s.u32(sh, shapeNext))
	}
	s.remove(sh, shapeHead+wire.Align(len(s.payload(sh))))
	s.count--
}

// which returns the shapes that have something.
func (s *shapes) which(has func(m *object.Message) bool) refSet {
	all := newRefSet(&s.records)
	s.each(func(m *object.Message, sh ref) {
		if has(m) {
			all.add(sh)
		}
	})
	return all
}

// each calls f for every shape, with the message of a route to zeros.
func (s *shapes) each(f func(m *object.Message, sh ref)) {
	var m object.Message
	for _, sh := range s.buckets {
		for ; sh != 0; sh = ref(s.u32(sh, shapeNext)) {
			s.fill(&m, sh, nil)
			f(&m, sh)
		}
	}
}

// fill makes m the message of a route of a shape, with its destination; nil: zeros. It is valid
// until the next call.
func (s *shapes) fill(m *object.Message, sh ref, dst []byte) {
	payload := s.payload(sh)
	at, _ := s.dst(sh)
	s.scratch = wire.AppendHeader(s.scratch[:0], wire.HeaderLen+len(payload), object.Routes.New, 0, 0)
	s.scratch = append(s.scratch, payload...)
	copy(s.scratch[wire.HeaderLen+at:], dst)
	run := s.message.RunIn(s.scratch) // a shape has been made, so that s.message is of the kind
	run.Next(m)
}

// hashRest returns the hash of a key but for the destination, hashDst of that.
func hashRest(seed maphash.Seed, k *key) uint32 {
	rest := *k
	rest.dst = [maxDst]byte{}
	return uint32(maphash.Comparable(seed, rest))
}

func hashDst(seed maphash.Seed, dst *[maxDst]byte) uint32 { return uint32(maphash.Bytes(seed, dst[:])) }

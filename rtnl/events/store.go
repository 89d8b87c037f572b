package events

import (
	"encoding/binary"
	"hash/maphash"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A key is what routes to one destination in one table have in common.
type key struct {
	table            object.Table
	dst, src         [16]byte
	dstBits, srcBits uint8
}

func keyOf(m *object.Message) key {
	p := object.Routes.Position(m)
	return key{object.Routes.Table(m), p.Dst, p.Src, p.DstLen, p.SrcLen}
}

// A store holds the messages about routes, those of one key in the kernel's order, in little more
// memory than they take: a record each in large chunks, and a hash table of 32-bit references,
// which a collector of garbage has nothing to look at in. A router has a million.
//
// A record is the reference of the next one in its bucket, the hash of its key, the hash of the
// route's identity, its length, and the message without struct nlmsghdr.
type store struct {
	chunks  [][]byte
	buckets []ref // a power of two
	count   int
	used    int // bytes of records
	garbage int // bytes of those that were removed
	seed    maphash.Seed

	scratch []byte // see message
	lasting []byte // see append
}

// A ref is where a record is: the chunk, and 4-byte units in it from 1 on; 0 is none.
type ref uint32

const (
	chunkSize  = 1 << 20
	chunkUnits = chunkSize / 4
	firstChunk = 64 << 10

	recordNext = 0
	recordKey  = 4
	recordID   = 8
	recordLen  = 12
	recordHead = 16

	minBuckets = 1 << 8
)

func newStore() *store {
	return &store{buckets: make([]ref, minBuckets), seed: maphash.MakeSeed()}
}

// record returns a record, with whatever comes after it in its chunk.
func (s *store) record(r ref) []byte {
	return s.chunks[(r-1)/chunkUnits][(r-1)%chunkUnits*4:]
}

func (s *store) next(r ref) ref        { return ref(wire.U32(s.record(r)[recordNext:])) }
func (s *store) identity(r ref) uint32 { return wire.U32(s.record(r)[recordID:]) }

func (s *store) setNext(r, next ref) {
	binary.NativeEndian.PutUint32(s.record(r)[recordNext:], uint32(next))
}

func (s *store) hash(k *key) uint32 { return uint32(maphash.Comparable(s.seed, *k)) }

func (s *store) bucket(hash uint32) *ref { return &s.buckets[hash&uint32(len(s.buckets)-1)] }

// message makes m the message of a record. It is valid until the next call.
func (s *store) message(m *object.Message, r ref) {
	rec := s.record(r)
	n := int(wire.U32(rec[recordLen:]))
	s.scratch = wire.AppendHeader(s.scratch[:0], wire.HeaderLen+n, object.Routes.New, 0, 0)
	s.scratch = append(s.scratch, rec[recordHead:recordHead+n]...)
	if err := object.Routes.Check(m, s.scratch); err != nil {
		panic("a route that was checked is not to be read: " + err.Error())
	}
}

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
	hash := s.hash(k)
	var m object.Message
	for r := *s.bucket(hash); r != 0; r = s.next(r) {
		if wire.U32(s.record(r)[recordKey:]) != hash {
			continue
		}
		if s.message(&m, r); keyOf(&m) == *k {
			list = append(list, r)
		}
	}
	return list
}

// add adds a message with an identity: before another record of its key, or behind all if that is 0.
func (s *store) add(m *object.Message, identity uint32, before ref) ref {
	if s.count >= len(s.buckets) {
		s.grow()
	}
	k := keyOf(m)
	hash := s.hash(&k)
	r := s.append(m, hash, identity)
	s.link(r, hash, before)
	s.count++
	return r
}

// link puts a record into its bucket's list: before another, or at the end.
func (s *store) link(r ref, hash uint32, before ref) {
	b := s.bucket(hash)
	if *b == before {
		s.setNext(r, before)
		*b = r
		return
	}
	at := *b
	for s.next(at) != before {
		at = s.next(at)
	}
	s.setNext(r, before)
	s.setNext(at, r)
}

func (s *store) append(m *object.Message, hash, identity uint32) ref {
	s.lasting = m.AppendLasting(s.lasting[:0])
	payload := wire.Payload(s.lasting)
	size := recordHead + wire.Align(len(payload))
	last := len(s.chunks) - 1
	if last < 0 || cap(s.chunks[last])-len(s.chunks[last]) < size {
		n := chunkSize
		if last < 0 {
			n = firstChunk
		}
		s.chunks = append(s.chunks, make([]byte, 0, max(n, size)))
		last++
	}
	c := s.chunks[last]
	r := ref(last*chunkUnits + len(c)/4 + 1)
	c = binary.NativeEndian.AppendUint32(c, 0)
	c = binary.NativeEndian.AppendUint32(c, hash)
	c = binary.NativeEndian.AppendUint32(c, identity)
	c = binary.NativeEndian.AppendUint32(c, uint32(len(payload)))
	s.chunks[last] = wire.AppendMessage(c, payload)
	s.used += size
	return r
}

// remove removes a record.
func (s *store) remove(r ref) {
	rec := s.record(r)
	b := s.bucket(wire.U32(rec[recordKey:]))
	if *b == r {
		*b = s.next(r)
	} else {
		at := *b
		for s.next(at) != r {
			at = s.next(at)
		}
		s.setNext(at, s.next(r))
	}
	s.garbage += recordHead + wire.Align(int(wire.U32(rec[recordLen:])))
	s.count--
}

// replace puts a message in a record's place, and returns the new record.
func (s *store) replace(old ref, m *object.Message, identity uint32) ref {
	r := s.add(m, identity, old)
	s.remove(old)
	return r
}

// grow makes room for twice as many buckets.
func (s *store) grow() { s.rebuild(2 * len(s.buckets)) }

// compact takes back the memory of what was removed, where that is most. No ref is valid then.
func (s *store) compact() {
	if s.garbage > 256<<10 && s.garbage > s.used/2 {
		n := len(s.buckets)
		for n > minBuckets && s.count < n/4 {
			n /= 2
		}
		s.move(n)
	}
}

// rebuild makes a hash table of another size.
func (s *store) rebuild(buckets int) {
	old := s.buckets
	s.buckets = make([]ref, buckets)
	for _, r := range old {
		for r != 0 {
			next := s.next(r)
			s.link(r, wire.U32(s.record(r)[recordKey:]), 0)
			r = next
		}
	}
}

// move copies all records to memory of their size.
func (s *store) move(buckets int) {
	n := &store{buckets: make([]ref, buckets), seed: s.seed}
	var m object.Message
	for _, r := range s.buckets {
		for ; r != 0; r = s.next(r) {
			rec := s.record(r)
			s.message(&m, r)
			hash := wire.U32(rec[recordKey:])
			n.link(n.append(&m, hash, s.identity(r)), hash, 0)
			n.count++
		}
	}
	*s = *n
}

// all yields every record.
func (s *store) all(yield func(ref) bool) {
	for _, r := range s.buckets {
		for ; r != 0; r = s.next(r) {
			if !yield(r) {
				return
			}
		}
	}
}

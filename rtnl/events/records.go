package events

import (
	"encoding/binary"

	"kernelroutes/rtnl/wire"
)

// A ref is where a record is: the chunk, and 4-byte units in it from 1 on; 0 is none.
type ref uint32

// Records are pieces of memory in large chunks, in which a collector of garbage has nothing to look
// at. The place of one that was freed is taken by the next one of its size.
type records struct {
	chunks [][]byte
	used   int // bytes of all records
	free   map[int]ref
	freed  int // bytes of those in free
}

const (
	chunkSize  = 1 << 20
	chunkUnits = chunkSize / 4
	firstChunk = 64 << 10
)

// at returns a record, with whatever comes after it in its chunk.
func (s *records) at(r ref) []byte {
	return s.chunks[(r-1)/chunkUnits][(r-1)%chunkUnits*4:]
}

// u32 returns the number at an offset of a record, set sets it.
func (s *records) u32(r ref, at int) uint32 { return wire.U32(s.at(r)[at:]) }

func (s *records) set(r ref, at int, v uint32) { binary.NativeEndian.PutUint32(s.at(r)[at:], v) }

// add returns a record of a size in bytes, which is a multiple of 4 and not more than a chunk has.
// What is in it is to be overwritten.
func (s *records) add(size int) ref {
	if r := s.free[size]; r != 0 {
		s.freed -= size
		s.free[size] = ref(s.u32(r, 0))
		return r
	}
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
	s.chunks[last] = c[:len(c)+size]
	s.used += size
	return r
}

// remove frees a record of a size.
func (s *records) remove(r ref, size int) {
	if s.free == nil {
		s.free = map[int]ref{}
	}
	s.set(r, 0, uint32(s.free[size]))
	s.free[size] = r
	s.freed += size
}

// A refSet is a set of records.
type refSet []uint64

// newRefSet returns an empty set, which may have each of some records.
func newRefSet(s *records) refSet { return make(refSet, len(s.chunks)*chunkUnits/64+1) }

func (s refSet) has(r ref) bool { return int(r/64) < len(s) && s[r/64]&(1<<(r%64)) != 0 }

func (s refSet) add(r ref) { s[r/64] |= 1 << (r % 64) }

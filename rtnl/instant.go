package rtnl

import (
	"context"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync"
)

// An Instant answers requests from one snapshot, so that all answers are of one
// time. A request must not ask for more than the snapshot was read for: see
// Request.Union. Safe for concurrent use.
type Instant struct {
	snapshot *Snapshot
	byDst    func() dstIndex // made when the first request needs it
}

// Instant returns a source of the routes of the snapshot, which must not have been
// read with Request.Count.
func (s *Snapshot) Instant() *Instant {
	return &Instant{s, sync.OnceValue(func() dstIndex { return newDstIndex(s.routes) })}
}

// Read returns what Kernel.Read had returned for the request at that time.
func (i *Instant) Read(ctx context.Context, req Request) (*Snapshot, error) {
	all := i.snapshot
	if req.Nothing() {
		return &Snapshot{Consistent: true}, nil
	}
	s := &Snapshot{Consistent: all.Consistent, Tries: all.Tries}
	if req.Links || req.Link != nil {
		s.links = all.links
	}
	if req.Nexthops {
		s.objects = all.objects
	}
	if req.Link != nil {
		if req.chooseLinks(all.links); req.Nothing() {
			return s, nil
		}
	}
	if req.Dsts != nil && len(req.Dsts) < manyDsts {
		s.routes = i.byDst().appendMatching(s.routes, &req.Filter)
		return s, nil
	}
	req.prepare()
	for _, run := range all.routes {
		if ctx.Err() != nil {
			return nil, deadline("read a snapshot", context.Cause(ctx))
		}
		s.routes = req.appendMatching(s.routes, run)
	}
	return s, nil
}

// appendMatching appends the stretches of a run whose routes match.
func (f *Filter) appendMatching(list [][]byte, run []byte) [][]byte {
	from := 0
	for off := 0; off < len(run); {
		h := headAt(run[off:])
		next := off + align4(int(u32(run[off:])))
		if !f.match(&h) {
			list = appendRun(list, run[from:off])
			from = next
		}
		off = next
	}
	return appendRun(list, run[from:])
}

// A dstIndex finds routes by their destination, whatever their table: a hash table
// whose buckets are lists of routes in the snapshot's order. It takes some 20 bytes
// a route.
type dstIndex struct {
	routes  [][]byte
	buckets []int32    // the first route of each, -1: none
	places  []dstPlace // of the routes
	next    []int32    // the next route in the same bucket, -1: none
	seed    maphash.Seed
}

// A dstPlace is where a route's message begins.
type dstPlace struct{ run, off uint32 }

func newDstIndex(routes [][]byte) dstIndex {
	x := dstIndex{routes: routes, seed: maphash.MakeSeed()}
	for i, run := range routes {
		for off := 0; off < len(run); off += align4(int(u32(run[off:]))) {
			x.places = append(x.places, dstPlace{uint32(i), uint32(off)})
		}
	}
	x.next = make([]int32, len(x.places))
	x.buckets = make([]int32, 1<<bits.Len(uint(len(x.places))))
	for i := range x.buckets {
		x.buckets[i] = -1
	}
	// From the last to the first, as each is put before those that are there.
	for i := len(x.places) - 1; i >= 0; i-- {
		h := headAt(x.at(i))
		if alen := h.family.addrLen(); alen > 0 {
			b := x.bucket(h.dst, h.dstLen, alen)
			x.next[i], *b = *b, int32(i)
		}
	}
	return x
}

// at returns what is from a route on.
func (x *dstIndex) at(i int) []byte { return x.routes[x.places[i].run][x.places[i].off:] }

// bucket returns the bucket of a destination. A missing address is all zeros.
func (x *dstIndex) bucket(dst []byte, prefixLen uint8, alen int) *int32 {
	var key [17]byte
	copy(key[:alen], dst)
	key[16] = prefixLen
	return &x.buckets[maphash.Bytes(x.seed, key[:])&uint64(len(x.buckets)-1)]
}

// appendMatching appends the routes that match a filter of some destinations, those
// to one destination in the snapshot's order.
func (x dstIndex) appendMatching(list [][]byte, f *Filter) [][]byte {
	for n, p := range f.Dsts {
		one := *f
		one.Dsts = f.Dsts[n : n+1]
		if slices.Contains(f.Dsts[:n], p) {
			continue
		}
		addr := p.Addr().AsSlice()
		for i := *x.bucket(addr, uint8(p.Bits()), len(addr)); i >= 0; i = x.next[i] {
			msg := x.at(int(i))
			if h := headAt(msg); one.match(&h) {
				list = appendRun(list, msg[:align4(int(u32(msg)))])
			}
		}
	}
	return list
}

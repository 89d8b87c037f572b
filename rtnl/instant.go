package rtnl

import (
	"cmp"
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

	// Indexes, made when the first request needs them.
	byDst func() dstIndex
	byID  func() idIndex
}

// Instant returns a source of the routes of the snapshot, which must not have been
// read with Request.Count.
func (s *Snapshot) Instant() *Instant {
	i := &Instant{snapshot: s, byDst: sync.OnceValue(func() dstIndex { return newDstIndex(s.routes) })}
	i.byID = sync.OnceValue(func() idIndex { return newIDIndex(s) })
	return i
}

// Read returns what Kernel.Read had returned for the request at that time, and if
// Request.IDs is not empty hardly more than the routes with these identities, to the
// letter. Routes come in the kernel's order, but destinations that are looked up in
// that of Filter.Dsts.
func (i *Instant) Read(ctx context.Context, req Request) (*Snapshot, error) {
	all := i.snapshot
	if req.Nothing() {
		return &Snapshot{Consistent: true}, nil
	}
	s := all.answer(&req)
	if req.Nothing() {
		return s, nil
	}
	req.prepare()
	switch {
	case len(req.IDs) > 0:
		s.routes = i.identified(nil, &req)
		return s, nil
	case req.Dsts != nil && len(req.Dsts) < many:
		s.routes = i.byDst().appendMatching(s.routes, &req.Filter)
		return s, nil
	}
	for _, run := range all.routes {
		if ctx.Err() != nil {
			return nil, readError("read a snapshot", ended(ctx))
		}
		s.routes = req.appendMatching(s.routes, run)
	}
	return s, nil
}

// answer begins the answer to a narrower request, which has no routes yet, and makes
// the interfaces that the request chooses a list.
func (s *Snapshot) answer(req *Request) *Snapshot {
	a := &Snapshot{Consistent: s.Consistent, Tries: s.Tries}
	if req.Links || req.Link != nil {
		a.links = s.links
	}
	if req.Nexthops {
		a.objects = s.objects
	}
	if req.Link != nil {
		req.chooseLinks(s.links)
	}
	return a
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
	buckets []int32 // the first route of each, -1: none
	places  []place // of the routes
	next    []int32 // the next route in the same bucket, -1: none
}

// A place is where a route's message begins.
type place struct{ run, off uint32 }

func (p place) in(routes [][]byte) []byte { return routes[p.run][p.off:] }

// placesOf returns where each route's message begins.
func placesOf(routes [][]byte) (places []place) {
	for i, run := range routes {
		for off := 0; off < len(run); off += align4(int(u32(run[off:]))) {
			places = append(places, place{uint32(i), uint32(off)})
		}
	}
	return places
}

// hashSeed is for hashes that are never shown.
var hashSeed = maphash.MakeSeed()

func newDstIndex(routes [][]byte) dstIndex {
	x := dstIndex{routes: routes, places: placesOf(routes)}
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
func (x *dstIndex) at(i int) []byte { return x.places[i].in(x.routes) }

// bucket returns the bucket of a destination. A missing address is all zeros.
func (x *dstIndex) bucket(dst []byte, prefixLen uint8, alen int) *int32 {
	var key [17]byte
	copy(key[:alen], dst)
	key[16] = prefixLen
	return &x.buckets[maphash.Bytes(hashSeed, key[:])&uint64(len(x.buckets)-1)]
}

// alike returns where the routes are that have a route's family, table and destination.
func (x dstIndex) alike(h *routeHead) (places []place) {
	alen := h.family.addrLen()
	for i := *x.bucket(h.dst, h.dstLen, alen); i >= 0; i = x.next[i] {
		if o := headAt(x.at(int(i))); o.family == h.family && o.table == h.table &&
			prefix(o.dst, int(o.dstLen), alen) == prefix(h.dst, int(h.dstLen), alen) {
			places = append(places, x.places[i])
		}
	}
	return places
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

// An idIndex finds routes by the hash of their identity, in whose order it is.
type idIndex []idPlace

// An idPlace is where a route with an identity is.
type idPlace struct {
	hash uint64
	place
	twin bool // its identity counts the routes like it that come before it
}

func newIDIndex(s *Snapshot) idIndex {
	places := placesOf(s.routes)
	x := make(idIndex, 0, len(places))
	var id []byte
	for c := s.Cursor(FieldID); c.Next(); {
		r := c.Route()
		id = r.AppendID(id[:0])
		x = append(x, idPlace{maphash.Bytes(hashSeed, id), places[len(x)], r.twin > 0})
	}
	slices.SortStableFunc(x, func(a, b idPlace) int { return cmp.Compare(a.hash, b.hash) })
	return x
}

// find returns where the routes with an identity are, more than one only by chance.
func (x idIndex) find(id string) idIndex {
	hash := maphash.String(hashSeed, id)
	from, _ := slices.BinarySearchFunc(x, hash, func(p idPlace, h uint64) int { return cmp.Compare(p.hash, h) })
	to := from
	for to < len(x) && x[to].hash == hash {
		to++
	}
	return x[from:to]
}

// identified appends the routes with the identities of a request, and where one of
// them is a twin all routes to its destination.
func (i *Instant) identified(list [][]byte, req *Request) [][]byte {
	routes, ids := i.snapshot.routes, i.byID()
	var found []place
	for _, id := range req.IDs {
		for _, p := range ids.find(id) {
			if p.twin {
				h := headAt(p.in(routes))
				found = append(found, i.byDst().alike(&h)...)
			} else {
				found = append(found, p.place)
			}
		}
	}
	slices.SortFunc(found, func(a, b place) int { return cmp.Or(cmp.Compare(a.run, b.run), cmp.Compare(a.off, b.off)) })
	for _, p := range slices.Compact(found) {
		msg := p.in(routes)
		if h := headAt(msg); req.match(&h) {
			list = appendRun(list, msg[:align4(int(u32(msg)))])
		}
	}
	return list
}

package rtnl

import (
	"cmp"
	"context"
	"errors"
	"hash/maphash"
	"math/bits"
	"slices"
	"sync"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// An Instant answers requests from one snapshot, so that all answers are of one
// time. A request must not ask for more than the snapshot was read for: see
// Request.Union. Safe for concurrent use.
type Instant struct {
	snapshot *Snapshot
	names    *iproute2.Names

	// Indexes, made when the first request needs them.
	byDst func() dstIndex
	byID  func() idIndex
}

// Instant returns a source of the objects of the snapshot, on a host with some names.
func (s *Snapshot) Instant(names *iproute2.Names) *Instant {
	i := &Instant{snapshot: s, names: names}
	i.byDst = sync.OnceValue(func() dstIndex { return newDstIndex(s.Runs(object.Routes.Kind)) })
	i.byID = sync.OnceValue(func() idIndex { return newIDIndex(s) })
	return i
}

// Names returns the names of the host.
func (i *Instant) Names() *iproute2.Names { return i.names }

// NamespaceID returns 0 for the namespace that the snapshot is of, whose inode it does not
// hold, and an error for any other.
func (i *Instant) NamespaceID(ns Namespace) (uint64, error) {
	if ns == "" {
		return 0, nil
	}
	return 0, &ReadError{Op: "enter network namespace " + string(ns), Kind: ErrNoNamespace,
		Err: errors.New("a snapshot is of one"), Remedy: "read the kernel, or a snapshot of that one"}
}

// Namespaces returns the one that the snapshot is of.
func (i *Instant) Namespaces() (found []FoundNamespace, unseen int, err error) {
	return []FoundNamespace{{}}, 0, nil
}

// Read returns what Kernel.Read had returned for the request at that time, and if
// Request.IDs is not empty hardly more than the routes with these identities, to the
// letter. Routes come in the kernel's order, but destinations that are looked up in
// that of Filter.Dsts.
func (i *Instant) Read(ctx context.Context, req Request) (*Snapshot, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	req.completeCount()
	s := i.snapshot.begin(&req)
	for _, k := range join(req.Kinds, req.Along) {
		if !(k.Filtered || k.ByFamily) || req.Of(k).None {
			continue
		}
		req.Prepare()
		var runs []object.Run
		switch {
		case !k.Filtered:
			runs = i.matching(&req, k)
		case len(req.IDs) > 0:
			runs = i.identified(&req)
		case len(req.Dsts) > 0 && len(req.Dsts) < fewDsts:
			runs = i.byDst().appendMatching(nil, &req.Filter)
		default:
			for _, run := range i.snapshot.Runs(k) {
				if ctx.Err() != nil {
					return nil, conn.NewReadError("read a snapshot", conn.Ended(ctx))
				}
				runs = req.AppendMatching(runs, run)
			}
		}
		s.set(k, &section{runs: runs})
	}
	if req.CountBy != nil {
		s = s.counted(req.CountBy, nil)
	}
	return s, nil
}

// matching returns the objects of a kind that a request wants.
func (i *Instant) matching(req *Request, k *object.Kind) (runs []object.Run) {
	for _, run := range i.snapshot.Runs(k) {
		runs = req.AppendMatching(runs, run)
	}
	return runs
}

// Count returns how many objects Read would find of the kinds that the request asks for.
func (i *Instant) Count(ctx context.Context, req Request) (n int, consistent bool, err error) {
	s, err := i.Read(ctx, req)
	if err != nil {
		return 0, false, err
	}
	return s.count(&req), s.Consistent, nil
}

// fewDsts is up to how many destinations are looked up one by one.
const fewDsts = 300 // as many as may cover one address, and more

// begin returns the beginning of the answer to a request that asks for less: it has what
// is asked for but objects of the kinds that are filtered, and the request's choice is made.
func (s *Snapshot) begin(req *Request) *Snapshot {
	a := &Snapshot{Consistent: s.Consistent, Tries: s.Tries}
	if req.Nothing() {
		a.Consistent, a.Tries = true, 0
		return a
	}
	if req.wantsSysctls() {
		a.Sysctls = s.Sysctls
	}
	chooses := req.Chooses()
	for _, k := range object.Kinds {
		if (req.brings(k) || k == chooses) && !((k.Filtered || k.ByFamily) && req.All(k)) {
			a.set(k, s.section(k))
		}
	}
	if chooses != nil {
		req.Choose(s.Runs(chooses))
	}
	return a
}

// A dstIndex finds routes by their destination, whatever their table: a hash table
// whose buckets are lists of routes in the snapshot's order. It takes some 20 bytes
// a route.
type dstIndex struct {
	runs    []object.Run
	buckets []int32 // the first route of each, -1: none
	places  []place // of the routes
	next    []int32 // the next route in the same bucket, -1: none
}

// A place is where a route's message begins.
type place struct{ run, off uint32 }

// message makes m the message there, and returns it as a run.
func (p place) message(m *object.Message, runs []object.Run) object.Run {
	left := runs[p.run].At(int(p.off))
	left.Next(m)
	return object.RunOf(m)
}

// placesOf returns where each route's message begins.
func placesOf(runs []object.Run) (places []place) {
	for i, run := range runs {
		for off := range run.Offsets() {
			places = append(places, place{uint32(i), uint32(off)})
		}
	}
	return places
}

// hashSeed is for hashes that are never shown.
var hashSeed = maphash.MakeSeed()

func newDstIndex(runs []object.Run) dstIndex {
	x := dstIndex{runs: runs, places: placesOf(runs)}
	x.next = make([]int32, len(x.places))
	x.buckets = make([]int32, 1<<bits.Len(uint(len(x.places))))
	for i := range x.buckets {
		x.buckets[i] = -1
	}
	var m object.Message
	// From the last to the first, as each is put before those that are there.
	for i := len(x.places) - 1; i >= 0; i-- {
		x.places[i].message(&m, runs)
		if alen := object.Routes.Table(&m).Family.AddrLen(); alen > 0 {
			addr, bits := m.RouteDst()
			b := x.bucket(addr, bits, alen)
			x.next[i], *b = *b, int32(i)
		}
	}
	return x
}

// bucket returns the bucket of a destination. A missing address is all zeros.
func (x *dstIndex) bucket(dst []byte, prefixLen, alen int) *int32 {
	var key [17]byte
	copy(key[:alen], dst)
	key[16] = uint8(prefixLen)
	return &x.buckets[maphash.Bytes(hashSeed, key[:])&uint64(len(x.buckets)-1)]
}

// alike returns where the routes are that have a route's table and destination.
func (x dstIndex) alike(m *object.Message) (places []place) {
	table := object.Routes.Table(m)
	dst := m.RoutePrefix()
	addr, bits := m.RouteDst()
	var o object.Message
	for i := *x.bucket(addr, bits, table.Family.AddrLen()); i >= 0; i = x.next[i] {
		if x.places[i].message(&o, x.runs); object.Routes.Table(&o) == table && o.RoutePrefix() == dst {
			places = append(places, x.places[i])
		}
	}
	return places
}

// appendMatching appends the routes that match a filter of some destinations, those
// to one destination in the snapshot's order.
func (x dstIndex) appendMatching(list []object.Run, f *Filter) []object.Run {
	var m object.Message
	for n, p := range f.Dsts {
		one := *f
		one.Dsts = f.Dsts[n : n+1]
		one.Prepare() // or it would match all of them
		if slices.Contains(f.Dsts[:n], p) {
			continue
		}
		addr := p.Addr().AsSlice()
		for i := *x.bucket(addr, p.Bits(), len(addr)); i >= 0; i = x.next[i] {
			if run := x.places[i].message(&m, x.runs); one.Match(&m) {
				list = append(list, run)
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
	places := placesOf(s.Runs(object.Routes.Kind))
	x := make(idIndex, 0, len(places))
	var id []byte
	for c := s.Cursor(object.FieldID); c.Next(); {
		r := c.Route()
		id = r.AppendID(id[:0])
		x = append(x, idPlace{maphash.Bytes(hashSeed, id), places[len(x)], r.Twin()})
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

// identified returns the routes with the identities of a request, and where one of
// them is a twin all routes to its destination.
func (i *Instant) identified(req *Request) (list []object.Run) {
	runs, ids := i.snapshot.Runs(object.Routes.Kind), i.byID()
	var m object.Message
	var found []place
	for _, id := range req.IDs {
		for _, p := range ids.find(id) {
			if p.twin {
				p.message(&m, runs)
				found = append(found, i.byDst().alike(&m)...)
			} else {
				found = append(found, p.place)
			}
		}
	}
	slices.SortFunc(found, func(a, b place) int { return cmp.Or(cmp.Compare(a.run, b.run), cmp.Compare(a.off, b.off)) })
	for _, p := range slices.Compact(found) {
		if run := p.message(&m, runs); req.Match(&m) {
			list = append(list, run)
		}
	}
	return list
}

package rtnl

import (
	"cmp"
	"container/list"
	"context"
	"hash/maphash"
	"iter"
	"slices"
	"sync"
	"time"

	"kernelroutes/rtnl/object"
)

// RecallTime is how long a Cache answers look-ups by an identity as of the answer
// that gave it out: after it was given out, and after it was looked up for the first
// time. (A join may take minutes, but asks for all about one route at a time; while
// one who asks again and again shall see the route change.)
const RecallTime = 10 * time.Second

// recallBytes bounds the memory that all answers take together which a Cache
// remembers. An answer that is larger alone is not remembered.
const recallBytes = 64 << 20

// recallObject is about what an object of a remembered answer takes beside its message:
// indexes, the table of identities, what is decoded.
const recallObject = 192

// A recall remembers answers whose routes were given out by their identities.
type recall struct {
	mu      sync.Mutex
	answers *list.List // of *recalled, the one that was last used first
	fresh   []*recalled
	given   uint64                   // counts answers
	ids     map[identity]*recalledID // the newest answer that gave each out
	bytes   int64
	expiry  *time.Timer

	limit int64            // recallBytes
	now   func() time.Time // of a clock that never goes back
}

// A recalled answer.
type recalled struct {
	instant   *Instant
	namespace nsKey
	bytes     int64
	given     uint64 // recall.given when it came
	used      time.Time
	known     bool                             // its identities are in recall.ids
	gives     func(*Snapshot) iter.Seq[[]byte] // Request.Gives
	only      map[uint64]bool                  // the hashes of what gives yielded, if it is set
	place     *list.Element
}

// An identity is the hash of a route's, and of its namespace.
type identity uint64

func identityOf(ns nsKey, hash uint64) identity {
	if ns.id != 0 {
		ns.path = ""
	}
	if ns != (nsKey{}) {
		hash ^= maphash.Comparable(hashSeed, ns)
	}
	return identity(hash)
}

// An nsKey tells namespaces apart: by the inode where that is known, as one may have several
// paths, and a path may come to stand for another one.
type nsKey struct {
	id   uint64
	path Namespace // with an id the one that leads there; "": the inode itself
}

func (r *Request) nsKey() nsKey {
	switch {
	case r.NamespaceID == 0 || r.Namespace == "":
		return nsKey{path: r.Namespace}
	case r.Namespace.IsInode():
		return nsKey{id: r.NamespaceID}
	}
	return nsKey{r.NamespaceID, r.Namespace}
}

// serves reports whether an answer about one namespace is one about another that is asked for.
// When a namespace goes away the kernel gives its inode to the next one (proc_alloc_inum), which
// then has another path.
func (k nsKey) serves(asked nsKey) bool {
	return k == asked || k.id != 0 && k.id == asked.id && asked.path == ""
}

// A recalledID is an identity that an answer gave out.
type recalledID struct {
	answer *recalled
	asked  time.Time // when it was first looked up
}

func newRecall() *recall {
	return &recall{answers: list.New(), ids: map[identity]*recalledID{}, limit: recallBytes, now: time.Now}
}

// add remembers the answer to a request, which gives out only some of its identities if gives is set.
func (r *recall) add(req *Request, s *Snapshot, gives func(*Snapshot) iter.Seq[[]byte]) {
	a := &recalled{gives: gives, namespace: req.nsKey()}
	const few = 64 << 10
	ids := 0
	for _, k := range object.Kinds {
		n, bytes := s.size(k)
		a.bytes += int64(recallObject*n + bytes)
		if k.Filtered {
			ids += n
			if bytes <= few { // they may be a small part of much memory
				s = s.with(k, object.Packed(s.Runs(k)))
			}
		}
	}
	if ids == 0 || a.bytes > r.limit {
		return
	}
	a.instant = s.Instant(nil)

	r.mu.Lock()
	defer r.mu.Unlock()
	r.given++
	a.given, a.used = r.given, r.now()
	a.place = r.answers.PushFront(a)
	r.fresh = append(r.fresh, a)
	r.bytes += a.bytes
	r.expire()
}

// read answers a request for routes by their identity, the answer that was given
// first in front. left are the identities that were not given out, or not lately.
func (r *recall) read(ctx context.Context, req Request) (known []*Snapshot, left []string, err error) {
	found, left := r.find(req.nsKey(), req.IDs)
	for _, f := range found {
		req.IDs = f.ids
		s, err := f.answer.instant.Read(ctx, req)
		if err != nil {
			return nil, nil, err
		}
		known = append(known, s)
	}
	return known, left, nil
}

// A foundIDs is in which answer some identities are to be looked up.
type foundIDs struct {
	answer *recalled
	ids    []string
}

// find returns in which answers the identities are to be looked up: all in one that
// gave all of them out, the newest, for what is asked for together was mostly given
// out together; if there is none, each in the newest that gave it out.
func (r *recall) find(ns nsKey, ids []string) (found []foundIDs, left []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire()
	for _, a := range r.fresh {
		r.identify(a)
	}
	r.fresh = nil
	now := r.now()
	var known []string
	newest := map[*recalled][]string{}
	for _, id := range ids {
		k := r.ids[identityOf(ns, maphash.String(hashSeed, id))]
		if k == nil || !k.answer.namespace.serves(ns) || !k.asked.IsZero() && now.Sub(k.asked) > RecallTime {
			left = append(left, id)
			continue
		}
		if k.asked.IsZero() {
			k.asked = now
		}
		known = append(known, id)
		newest[k.answer] = append(newest[k.answer], id)
	}
	if len(newest) > 1 {
		if a := r.newestOf(ns, known); a != nil {
			newest = map[*recalled][]string{a: known}
		}
	}
	for a, ids := range newest {
		a.used = now
		r.answers.MoveToFront(a.place)
		found = append(found, foundIDs{a, ids})
	}
	slices.SortFunc(found, func(a, b foundIDs) int { return cmp.Compare(a.answer.given, b.answer.given) })
	return found, left
}

// newestOf returns the newest answer that gave out all of the identities.
func (r *recall) newestOf(ns nsKey, ids []string) (newest *recalled) {
	for e := r.answers.Front(); e != nil; e = e.Next() {
		a := e.Value.(*recalled)
		if !a.namespace.serves(ns) || newest != nil && a.given < newest.given {
			continue
		}
		index := a.instant.byID()
		if !slices.ContainsFunc(ids, func(id string) bool {
			found := index.find(id)
			return len(found) == 0 || !a.gave(found[0].hash)
		}) {
			newest = a
		}
	}
	return newest
}

// identify notes the identities that an answer gave out. That is not done when it
// is given: of most answers nobody asks for a route again.
func (r *recall) identify(a *recalled) {
	if a.gives != nil {
		a.only = map[uint64]bool{}
		for id := range a.gives(a.instant.snapshot) {
			a.only[maphash.Bytes(hashSeed, id)] = true
		}
	}
	for _, p := range a.instant.byID() {
		if a.gave(p.hash) {
			r.ids[identityOf(a.namespace, p.hash)] = &recalledID{answer: a}
		}
	}
	a.known = true
}

// expire forgets answers that were not used for a while or are too many.
func (r *recall) expire() {
	for e := r.answers.Back(); e != nil; e = r.answers.Back() {
		a := e.Value.(*recalled)
		left := RecallTime - r.now().Sub(a.used)
		if left > 0 && r.bytes <= r.limit {
			r.expireIn(left)
			return
		}
		r.forget(a)
	}
}

// expireIn lets expire run when nobody asks.
func (r *recall) expireIn(d time.Duration) {
	if r.expiry != nil {
		r.expiry.Reset(d)
		return
	}
	r.expiry = time.AfterFunc(d, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.expire()
	})
}

// gave reports whether an identity in the answer was given out.
func (a *recalled) gave(hash uint64) bool { return a.gives == nil || a.only[hash] }

func (r *recall) forget(a *recalled) {
	r.answers.Remove(a.place)
	r.bytes -= a.bytes
	if !a.known {
		r.fresh = slices.DeleteFunc(r.fresh, func(f *recalled) bool { return f == a })
		return
	}
	for _, p := range a.instant.byID() {
		key := identityOf(a.namespace, p.hash)
		if id := r.ids[key]; id != nil && id.answer == a {
			delete(r.ids, key)
		}
	}
	if len(r.ids) == 0 {
		r.ids = map[identity]*recalledID{} // as a map keeps the memory of what it had
	}
}

// close forgets everything.
func (r *recall) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for e := r.answers.Back(); e != nil; e = r.answers.Back() {
		r.forget(e.Value.(*recalled))
	}
	if r.expiry != nil {
		r.expiry.Stop()
	}
}

// combined returns the objects of several snapshots as one. Of one that changed in
// between, and that others refer to, the newest state is found, that of the last one.
func combined(all []*Snapshot) *Snapshot {
	if len(all) == 1 {
		return all[0]
	}
	s := &Snapshot{Consistent: true}
	for _, part := range all {
		s.Consistent = s.Consistent && part.Consistent
		s.Tries = max(s.Tries, part.Tries)
		for _, k := range object.Kinds {
			s.set(k, &section{runs: append(slices.Clip(s.Runs(k)), part.Runs(k)...)})
		}
	}
	return s
}

// size returns how many objects of a kind the snapshot has, and how many bytes their
// messages take.
func (s *Snapshot) size(k *object.Kind) (n, bytes int) {
	for _, run := range s.Runs(k) {
		n, bytes = n+run.Count(), bytes+run.Len()
	}
	return n, bytes
}

package rtnl

import (
	"errors"
	"slices"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/consistency"
	"kernelroutes/rtnl/object"
)

// A reading is the work on one snapshot.
type reading struct {
	*session
	chosen bool           // whether the interfaces are known that the filter chooses
	tabled []*tableReader // of the kinds that are dumped by table,
	whole  []*wholeReader // and of the others, each before those that it refers to
	conf   sysctlReader
}

// begin forgets what was read, so that all is read (again), at one time.
func (r *reading) begin() {
	r.session.begin()
	r.chosen, r.tabled, r.whole, r.conf = false, nil, nil, sysctlReader{}
	for _, k := range slices.Backward(object.Kinds) {
		switch {
		case !r.asked.brings(k) && k != r.filter.Chooses():
		case k.Dump != nil:
			r.tabled = append(r.tabled, &tableReader{session: r.session, kind: k})
		default:
			w := &wholeReader{session: r.session, kind: k, all: r.asked.All(k), whole: r.asked.whole(k)}
			if r.asked.few(k) && (k.Lookup || r.release.Since(k.LookupSince...)) {
				w.few = slices.DeleteFunc(slices.Clone(r.asked.Numbers[k]), func(n uint32) bool { return n == 0 })
			}
			r.whole = append(r.whole, w)
		}
	}
	r.refers = len(r.whole) > 0
}

// read tries until everything is of one time, or MaxTries times.
func (r *reading) read() (_ *Snapshot, counted *object.Tally, _ error) {
	for r.tries = 1; ; r.tries++ {
		if r.tries > 1 {
			r.progress.rereads()
		}
		err := r.try()
		switch {
		case err == nil:
		case r.tries == MaxTries || !errors.Is(err, conn.ErrInterrupted) && !errors.Is(err, conn.ErrTooLarge):
			return nil, nil, err
		case errors.Is(err, conn.ErrTooLarge) && r.tooLarge:
			return nil, nil, err // twice: it is no shortage of memory
		default:
			r.tooLarge = errors.Is(err, conn.ErrTooLarge)
			continue
		}
		heard, err := r.takeChanges()
		if err != nil {
			return nil, nil, err
		}
		s, counted := r.assemble(heard)
		if !r.again() || r.tries == MaxTries {
			return s, counted, nil
		}
		// What was heard while that was worked out does not concern the dumps to come.
		if heard, err = r.takeChanges(); err != nil {
			return nil, nil, err
		}
		r.markStale(heard)
		r.retry()
	}
}

// maxPacked is how many bytes of routes are copied at most.
const maxPacked = 1 << 20

// pack moves the objects of a small snapshot to memory of their size, so that it does
// not hold the memory that datagrams were received into.
func (r *reading) pack(s *Snapshot) {
	size, held := 0, r.mem.Size()
	for _, t := range r.tabled {
		for _, run := range s.Runs(t.kind) {
			size += run.Len()
		}
		for _, d := range t.dumps {
			held += d.ParallelBytes
		}
	}
	if size > min(held/2, maxPacked) {
		return
	}
	for _, t := range r.tabled {
		s.set(t.kind, &section{runs: object.Packed(s.Runs(t.kind))})
	}
	r.giveBack()
}

// try reads what is missing over a fresh connection. What others refer to comes after
// them, so that the objects that they refer to are among it.
func (r *reading) try() error {
	defer r.close()
	if err := r.conf.begin(r.session); err != nil {
		return err
	}
	if err := r.choose(); err != nil {
		return err
	}
	for _, t := range r.tabled {
		if err := t.read(); err != nil {
			return err
		}
	}
	for _, w := range r.whole {
		r.completeReferences()
		if err := w.read(); err != nil {
			return err
		}
	}
	return r.conf.end(r.session)
}

// choose has the filter choose, if it is to, and plans the dumps once that is done.
func (r *reading) choose() error {
	if r.chosen {
		return nil
	}
	if k := r.filter.Chooses(); k != nil {
		w := r.wholeOf(k)
		if err := r.run("dump "+k.Plural, w.dump); err != nil {
			return err
		}
		r.filter.Choose(w.log.Runs)
	}
	r.chosen = true
	for _, t := range r.tabled {
		t.begin()
	}
	return nil
}

func (r *reading) wholeOf(k *object.Kind) *wholeReader {
	i := slices.IndexFunc(r.whole, func(w *wholeReader) bool { return w.kind == k })
	return r.whole[i]
}

// assemble puts the snapshot together, after what was heard during the try. counted are
// the objects that were counted instead of kept, nil for none.
func (r *reading) assemble(heard *consistency.Changes) (s *Snapshot, counted *object.Tally) {
	s = &Snapshot{Tries: r.tries, Sysctls: r.conf.after}
	for _, t := range r.tabled {
		runs, tally := t.assemble(heard)
		s.set(t.kind, &section{runs: runs})
		switch {
		case counted == nil:
			counted = tally
		case tally != nil:
			counted.Union(tally)
		}
	}
	for _, w := range r.whole {
		s.set(w.kind, &section{runs: w.log.Runs})
	}
	r.markStale(heard)
	s.Consistent = !r.again() && !r.unproved() && r.listener != nil
	return s, counted
}

// again reports whether the snapshot is not of one time.
func (r *reading) again() bool {
	return slices.ContainsFunc(r.tabled, func(t *tableReader) bool { return len(t.missing) > 0 || t.lost }) ||
		slices.ContainsFunc(r.whole, func(w *wholeReader) bool { return w.stale }) || r.conf.changed()
}

// unproved reports whether it is not known that all objects came.
func (r *reading) unproved() bool {
	return slices.ContainsFunc(r.tabled, func(t *tableReader) bool { return t.unproved })
}

// markStale notes which objects changed after they were read, or after one was that refers
// to them.
func (r *reading) markStale(heard *consistency.Changes) {
	r.completeReferences()
	for _, w := range r.whole {
		w.markStale(heard)
	}
}

// retry notes which dumps have to be made again.
func (r *reading) retry() {
	if slices.ContainsFunc(r.whole, func(w *wholeReader) bool { return w.stale }) || r.conf.changed() {
		// An object and what it refers to must be of one time.
		r.begin()
		return
	}
	for _, w := range r.whole {
		w.retry()
	}
	for _, t := range r.tabled {
		t.retry()
	}
}

// completeReferences adds what the objects refer to that others refer to, and what was
// heard of growing objects, which may come in their place: see consistency.Complete.
func (r *reading) completeReferences() {
	for _, t := range r.tabled {
		t.referGrowing()
	}
	for _, w := range r.whole {
		if w.kind.Refer != nil {
			w.refer()
		}
	}
}

package rtnl

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/consistency"
	"kernelroutes/rtnl/object"
)

// A wholeReader reads a kind of which a dump brings all objects: all, or where only those are
// wanted that others refer to, and they are few, one by one.
type wholeReader struct {
	session *session
	kind    *object.Kind
	all     bool // all objects are wanted
	whole   bool // in their whole messages

	log      object.Messages
	dumped   bool            // all objects were read
	lookedUp map[uint32]bool // those that were asked for, whether or not they were there
	stale    bool            // objects that are wanted changed after they were read
	others   bool            // others changed
}

// maxLookups is how many objects are looked up one by one rather than all of
// them dumped. A look-up of a link takes some 8 us, a dump 4 us for each link of the
// host, of which there are at least as many.
const maxLookups = 64

// read reads what is wanted and not known yet.
func (w *wholeReader) read() error {
	unknown := w.unknown()
	switch {
	case w.dumped:
	case w.all || len(unknown) > maxLookups || len(unknown) > 0 && !w.kind.Lookup:
		return w.session.run("dump "+w.kind.Plural, w.dump)
	case len(unknown) > 0:
		return w.session.run("look up "+w.kind.Plural, func(c *conn.Conn) error { return w.lookUp(c, unknown) })
	}
	return nil
}

// dump reads all objects. A kernel that does not know the kind (nexthop objects before
// Linux 5.3) answers EOPNOTSUPP: it has none.
func (w *wholeReader) dump(c *conn.Conn) error {
	b := conn.Buffers.Get().(*conn.Buffer)
	defer conn.Buffers.Put(b)
	w.forget()
	interrupted, err := c.Dump(w.kind.Get, w.kind.Request(0), conn.Sink{
		Want:     w.kind.New,
		Buffer:   func() []byte { return b[:] },
		Message:  func(msg []byte) (bool, error) { return true, w.add(msg) },
		Datagram: func() bool { return true },
	})
	switch {
	case errors.Is(err, syscall.EOPNOTSUPP):
	case err == nil && interrupted:
		w.forget()
		return conn.ErrInterrupted
	case err != nil:
		w.forget()
		return err
	}
	w.dumped = true
	return nil
}

// add keeps an object: of one that others refer to what is decoded, as a link has a
// kilobyte of other things.
func (w *wholeReader) add(msg []byte) error {
	m := &w.session.message
	if err := w.kind.Check(m, msg); err != nil {
		return err
	}
	if w.whole {
		w.log.Add(m)
	} else {
		w.log.AddKnown(m)
	}
	return nil
}

// lookUp reads objects one by one. One that has gone is an error of the kernel's.
func (w *wholeReader) lookUp(c *conn.Conn, numbers []uint32) error {
	for _, n := range numbers {
		err := c.Get(w.kind.Get, w.kind.Request(n), w.kind.New, w.add)
		if err != nil && !errors.Is(err, syscall.ENODEV) {
			return fmt.Errorf("%s %d: %w", w.kind.Name, n, err)
		}
		if w.lookedUp == nil {
			w.lookedUp = map[uint32]bool{}
		}
		w.lookedUp[n] = true
	}
	return nil
}

// forget has everything read again.
func (w *wholeReader) forget() {
	w.log, w.dumped, w.lookedUp = object.Messages{}, false, nil
}

// unknown returns the objects that are referred to and were not read.
func (w *wholeReader) unknown() (unknown []uint32) {
	if w.dumped {
		return nil
	}
	for n := range w.session.refs.Of(w.kind) {
		if !w.lookedUp[n] {
			unknown = append(unknown, n)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// refer notes what the objects refer to that are wanted, among them perhaps others of
// this kind.
func (w *wholeReader) refer() {
	refs := &w.session.refs
	for before := -1; before != len(refs.Of(w.kind)); {
		before = len(refs.Of(w.kind))
		object.Each(w.log.Runs, func(m *object.Message) bool {
			if w.all || refs.Of(w.kind)[w.kind.Number(m)] {
				w.kind.Refer(m, refs)
			}
			return true
		})
	}
}

// markStale notes whether an object changed that is wanted. Then what refers to it and it
// are not of one time.
func (w *wholeReader) markStale(heard *consistency.Changes) {
	r := w.session
	if w.kind.Number == nil {
		// It cannot be told which one changed, nor what the dump passed over for it.
		w.stale = w.stale || heard.Told(w.kind) || heard.Any(w.kind)
		return
	}
	if !w.dumped && len(w.lookedUp) == 0 && !w.all && w.kind != r.filter.Chooses() {
		w.stale = w.stale || len(w.unknown()) > 0
		return
	}
	concerns := func(m *object.Message) bool {
		return r.refs.Of(w.kind)[w.kind.Number(m)] || w.kind == r.filter.Chooses() && r.filter.Chose(m) ||
			w.all && w.kind.Governs != nil && w.kind.Governs(m)
	}
	w.stale = w.stale || len(w.unknown()) > 0 || heard.Number(w.kind, concerns) || heard.Any(w.kind) && w.lacks()
	w.others = w.others || heard.Told(w.kind)
}

// lacks reports whether an object is not there that others refer to: it has gone after them,
// and if with a link, then with no message about it.
func (w *wholeReader) lacks() bool {
	there := map[uint32]bool{}
	object.Each(w.log.Runs, func(m *object.Message) bool {
		there[w.kind.Number(m)] = true
		return true
	})
	for n := range w.session.refs.Of(w.kind) {
		if !there[n] {
			return true
		}
	}
	return false
}

// retry has objects read again that changed, as those to come may refer to them.
func (w *wholeReader) retry() {
	if w.others {
		w.forget()
		w.others = false
	}
}

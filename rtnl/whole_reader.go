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
	// those that are asked for one by one in the place of all; nil: none are
	few []uint32

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
	case w.few != nil && len(unknown) > 0:
		return w.session.run("look up "+w.kind.Plural, func(c *conn.Conn) error { return w.lookUp(c, unknown) })
	case w.few != nil:
	case w.all || len(unknown) > maxLookups || len(unknown) > 0 && !w.kind.Lookup:
		return w.session.run("dump "+w.kind.Plural, w.dump)
	case len(unknown) > 0:
		return w.session.run("look up "+w.kind.Plural, func(c *conn.Conn) error { return w.lookUp(c, unknown) })
	}
	return nil
}

// dump reads all objects.
func (w *wholeReader) dump(c *conn.Conn) error {
	return w.ask(0, func(request []byte) error { return w.dumpAs(c, request) })
}

// ask makes a request for all objects or one, with what the kernel tells only if asked where
// they are what is wanted, not what others refer to.
func (w *wholeReader) ask(number uint32, request func([]byte) error) error {
	if w.whole && w.kind.Details != nil {
		err := request(w.kind.Details(number))
		// The kernel does not know the request, or has no room for an object with all that.
		if !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EMSGSIZE) {
			return err
		}
	}
	return request(w.kind.Request(number))
}

// dumpAs makes one dump. A kernel that does not know the kind (nexthop objects before
// Linux 5.3) answers EOPNOTSUPP: it has none.
func (w *wholeReader) dumpAs(c *conn.Conn, request []byte) error {
	b := conn.Buffers.Get().(*conn.Buffer)
	defer conn.Buffers.Put(b)
	w.forget()
	interrupted, err := c.Dump(w.kind.Get, request, conn.Sink{
		Want:     w.kind.New,
		Buffer:   func() []byte { return b[:] },
		Message:  func(msg []byte) (bool, error) { return true, w.add(msg) },
		Datagram: func() bool { return true },
	})
	switch {
	case errors.Is(err, syscall.EOPNOTSUPP):
	case err == nil && interrupted && !w.byNumber():
		w.forget()
		return conn.ErrInterrupted
	case err != nil:
		w.forget()
		return err
	}
	w.dumped = true
	return nil
}

// byNumber reports whether a dump brings what does not change, though something else does.
func (w *wholeReader) byNumber() bool {
	return w.kind.ByNumber != object.Release{} && w.session.release.Since(w.kind.ByNumber)
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

// lookUp reads objects one by one. One that is not there is an error of the kernel's: ENODEV
// for an interface, ENOENT for a nexthop object.
func (w *wholeReader) lookUp(c *conn.Conn, numbers []uint32) error {
	for _, n := range numbers {
		err := w.ask(n, func(request []byte) error { return c.Get(w.kind.Get, request, w.kind.New, w.add) })
		if err != nil && !errors.Is(err, syscall.ENODEV) && !errors.Is(err, syscall.ENOENT) {
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

// unknown returns the objects that are referred to and were not read; or where few are
// wanted, which others do not refer to, those of them.
func (w *wholeReader) unknown() (unknown []uint32) {
	if w.dumped {
		return nil
	}
	for _, n := range w.few {
		if !w.lookedUp[n] {
			unknown = append(unknown, n)
		}
	}
	if w.few != nil {
		return unknown
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
	if w.few != nil {
		// Each is as it was at some time, and nothing that was read says more of it.
		w.stale = w.stale || len(w.unknown()) > 0
		return
	}
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

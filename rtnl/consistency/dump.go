package consistency

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A Part is what one datagram holds of one table: an uninterrupted part of the
// kernel's walk. Objects that the filter excludes count for first and last.
type Part struct {
	object.Table
	first, last object.Position
	data        object.Run // the messages that are kept; none if they are counted

	begins bool // it is the first of its table: nothing is before it
	cut    bool // its datagram ended after it: the kernel's walk was interrupted

	// Known when it is known what changed meanwhile: see FindGaps.
	ends    bool // nothing of the table is after it
	follows bool // nothing is between the part before and this one
}

// A Dump is the answer to one request for a dump.
type Dump struct {
	Kind            *object.Kind
	Request         object.DumpRequest
	Parts           []Part
	References      object.References // of the objects that are kept
	WithoutIPv6     bool              // IPv6 is dumped by itself
	EndedBeforeIPv6 bool              // ended before IPv6
	Truncated       bool              // it may have ended too early: see Reached
	CountBy         *object.Grouping  // see counts; nil: all objects are kept
	// Locked says that the kernel took the lock for each datagram that it takes for changes, and
	// for telling of them, though the kind is Unlocked: before Linux 6.9.
	Locked        bool
	ParallelBytes int // size of the arena that the objects are in, if not the reader's

	done        bool                           // NLMSG_DONE was in the datagram of the last object
	tallies     map[object.Table]*object.Tally // of the tables whose objects are counted
	interrupted bool                           // the kernel set NLM_F_DUMP_INTR
	until       *Changes                       // what was heard until it ended, if that is known
	heard       *Changes                       // while it ran, nil before FindGaps
}

// A Sink takes the messages of one dump and keeps those that match.
type Sink struct {
	Dump  Dump
	Arena *Arena
	Match func(*object.Message) bool
	Refer bool // whether to note what the objects refer to
	// OnlyIPv4 says that no other family can match.
	OnlyIPv4 bool
	// Listen, if set, takes in what the listener has heard.
	Listen func() *Changes
	// Parallel, if set, is asked to read IPv6 beside this dump once IPv4 proves long. What it
	// returns waits for the end of that, and reports whether it is known to be whole.
	Parallel func() (whole func() bool)

	// Progress, if set, is told after each datagram how much came: objects, or entries of those that
	// stand for several (see object.Kind.Entries).
	Progress func(f object.Family, n int)

	Entries int // of all messages: see object.Kind.Entries
	Cached  int // of those, cached ones
	Largest int // of one message

	messages   *[2]object.Message
	current    *object.Message
	last       *object.Message // the one before it in the same datagram
	buf        []byte          // where the current datagram is
	kept, from int             // bytes kept of it; where its last part begins
	fresh      bool            // it has no part yet
	untold     int             // what Progress has not been told of
	datagrams  int
	seen       map[object.Table]bool
	tally      *object.Tally // of the table that is being walked; nil: its objects are kept
	whole      func() bool   // see Parallel
	short      error         // why there is no memory for more
}

// listenAfter is the number of datagrams after which the listener is asked.
const listenAfter = 32

// ParallelAfter is the number of datagrams of IPv4 routes (some 500 each) from which on
// IPv6 is read beside them.
const ParallelAfter = 16

// pairs of messages are used again, as one is larger than most routes.
var pairs = sync.Pool{New: func() any { return new([2]object.Message) }}

// Run runs one dump over a connection that a buffer was offered on: see conn.Conn.OfferBuffer.
func (s *Sink) Run(c *conn.Conn) error {
	d := &s.Dump
	if !c.Strict {
		// The kernel would ignore the conditions, or misread them.
		d.Request = object.DumpRequest{Family: d.Request.Family}
	}
	s.messages = pairs.Get().(*[2]object.Message)
	defer pairs.Put(s.messages)
	s.current = &s.messages[0]
	interrupted, err := c.Dump(d.Kind.Get, d.Kind.Dump(d.Request), conn.Sink{
		Want:     d.Kind.New,
		Buffer:   s.buffer,
		Message:  s.message,
		Datagram: s.datagram,
	})
	d.interrupted = interrupted
	if s.short != nil {
		return s.short
	}
	switch {
	case errors.Is(err, syscall.ENOENT) && d.Request.Table != 0, errors.Is(err, syscall.ENODEV) && d.Request.OIF != 0:
		// No such table or interface: no such routes.
	case d.Kind.ByFamily && (errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EOPNOTSUPP)):
		// The kernel has no objects of the family (lookup_rules_ops), or was built without any
		// (CONFIG_FIB_RULES).
	case err != nil:
		return err
	}
	d.done = err == nil && !c.Ended && !s.fresh
	s.endPart()
	s.Arena.keep(s.kept)
	if s.Refer {
		for _, t := range d.tallies {
			t.Refer(&d.References)
		}
	}
	return nil
}

func (s *Sink) buffer() []byte {
	s.buf, s.kept, s.fresh = s.Arena.room(), 0, true
	return s.buf
}

func (s *Sink) message(msg []byte) (more bool, err error) {
	m := s.current
	if err := s.Dump.Kind.Check(m, msg); err != nil {
		return false, err
	}
	t := s.Dump.Kind.Table(m)
	if n := len(s.Dump.Parts); s.fresh || s.Dump.Parts[n-1].Table != t {
		s.endPart()
		if !s.fresh {
			s.Dump.Parts[n-1].cut = false
		}
		if s.complete(t.Family) {
			return false, nil
		}
		if err := s.startPart(t, s.Dump.Kind.Position(m)); err != nil {
			return false, err
		}
	}
	s.fresh = false
	s.count(m)
	switch p := &s.Dump.Parts[len(s.Dump.Parts)-1]; {
	case !s.Match(m):
	case s.tally != nil:
		s.tally.Add(m)
	default:
		if s.Refer {
			s.Dump.Kind.Refer(m, &s.Dump.References)
		}
		n := copy(s.buf[s.kept:], msg) // over what was dropped, and so over the message itself
		m.Moved(s.buf[s.kept : s.kept+n])
		s.kept += wire.Align(n)
		p.data = m.RunIn(s.buf[s.from:s.kept:s.kept])
	}
	// Two are used in turn, as the end of a part is known only with the message after it.
	s.last, s.current = m, &s.messages[0]
	if s.last == s.current {
		s.current = &s.messages[1]
	}
	return true, nil
}

// count counts the entries of a message, wanted or not.
func (s *Sink) count(m *object.Message) {
	if s.Dump.Kind.Entries == nil {
		s.untold++
		return
	}
	n, cached := s.Dump.Kind.Entries(m)
	s.untold += max(n, 1)
	s.Entries += n
	s.Largest = max(s.Largest, n)
	if cached {
		s.Cached += n
	}
}

// startPart begins a part. The kernel brings the tables one after the other; that
// it comes back to one is what a new table can do: see bucket.
func (s *Sink) startPart(t object.Table, pos object.Position) error {
	n := len(s.Dump.Parts)
	begins := n == 0 || s.Dump.Parts[n-1].Table != t
	if begins && s.seen[t] {
		return fmt.Errorf("%w: a table came twice", conn.ErrInterrupted)
	}
	if s.seen == nil {
		s.seen = map[object.Table]bool{}
	}
	s.seen[t] = true
	s.Dump.Parts = append(s.Dump.Parts, Part{Table: t, first: pos, begins: begins, cut: true})
	s.from, s.tally = s.kept, s.Dump.tally(t)
	return nil
}

// endPart notes the last position of the part that has ended.
func (s *Sink) endPart() {
	if s.last == nil {
		return
	}
	part := &s.Dump.Parts[len(s.Dump.Parts)-1]
	part.last = s.Dump.Kind.Position(s.last)
	s.last = nil
	if s.Progress != nil {
		s.Progress(part.Family, s.untold)
	}
	s.untold = 0
}

// complete reports whether everything that is wanted came before the first object
// of a family: a dump of all families brings one after the other.
func (s *Sink) complete(next object.Family) bool {
	d := &s.Dump
	switch {
	case d.Request.Family != 0:
		// A kernel that does not know the family dumps all of them.
		return next != d.Request.Family
	case next == object.IPv4:
		return false
	case s.OnlyIPv4:
		return true
	case next != object.IPv6:
		return false
	case d.WithoutIPv6:
		d.EndedBeforeIPv6 = true
		return true
	case s.whole == nil:
		return false
	}
	// What changes while the other dump goes on does not concern this one.
	heard := s.Listen().clone()
	if d.EndedBeforeIPv6 = s.whole(); d.EndedBeforeIPv6 {
		d.until = heard
	}
	return d.EndedBeforeIPv6
}

func (s *Sink) datagram() (more bool) {
	s.endPart()
	s.Arena.keep(s.kept)
	s.kept = 0
	if s.short = s.Arena.ask(); s.short != nil {
		return false
	}
	s.datagrams++
	if s.Listen != nil && s.datagrams%listenAfter == 0 {
		s.Listen()
	}
	n := len(s.Dump.Parts)
	if s.datagrams == ParallelAfter && s.Parallel != nil && n > 0 && s.Dump.Parts[n-1].Family == object.IPv4 {
		s.whole = s.Parallel()
	}
	return true
}

// counts reports whether the objects of a table are counted instead of kept: those of IPv4
// and IPv6, which may be many.
func (d *Dump) counts(t object.Table) bool {
	return d.CountBy != nil && (t.Family == object.IPv4 || t.Family == object.IPv6)
}

// tally returns the tally of a table, nil if its objects are kept.
func (d *Dump) tally(t object.Table) *object.Tally {
	if !d.counts(t) {
		return nil
	}
	tally := d.tallies[t]
	if tally == nil {
		if d.tallies == nil {
			d.tallies = map[object.Table]*object.Tally{}
		}
		tally = object.NewTally(*d.CountBy)
		d.tallies[t] = tally
	}
	return tally
}

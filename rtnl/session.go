package rtnl

import (
	"context"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/consistency"
	"kernelroutes/rtnl/object"
)

// MaxTries bounds how often the kernel is asked again because something changed
// or a dump was interrupted.
const MaxTries = 5

// A session is what those who read the kinds of one snapshot share: the connection and
// the listener, what was asked for, and what the objects refer to.
type session struct {
	ctx      context.Context
	dial     conn.Dialer
	stats    string
	sysctls  string // where they are; "": they are not read
	release  release
	listener *consistency.Listener // nil: the kernel does not let changes be heard
	conn     *conn.Conn            // nil: it is yet to be opened
	asked    Request
	countBy  *object.Grouping // of what need not be kept a tally is enough; nil: it is not
	tries    int
	progress *Progress // nil: nobody is told
	tooLarge bool      // the last try failed for an object that does not fit

	heard     consistency.Changes // since takeChanges was called
	listenErr error               // the listener is broken

	// What was read since begin.
	filter  Filter // asked, with the interfaces that it chooses
	mem     consistency.Arena
	lent    []*conn.Buffer    // in which mem and those of parallel dumps begin
	refs    object.References // of the objects that any dump kept
	refers  bool              // what they refer to is wanted
	message object.Message    // the one that is being added to a wholeReader
}

// begin forgets what was read.
func (s *session) begin() {
	s.giveBack()
	*s = session{ctx: s.ctx, dial: s.dial, stats: s.stats, sysctls: s.sysctls, release: s.release,
		listener: s.listener, asked: s.asked, countBy: s.countBy, tries: s.tries, tooLarge: s.tooLarge,
		progress: s.progress, listenErr: s.listenErr, filter: s.asked.Filter}
	s.mem = s.newArena()
}

// newArena returns an arena that begins in a buffer which is used again: see giveBack.
func (s *session) newArena() consistency.Arena {
	b := conn.Buffers.Get().(*conn.Buffer)
	s.lent = append(s.lent, b)
	return consistency.NewArena(b)
}

// counts reports whether objects of a kind need not be kept, but counted.
func (s *session) counts(k *object.Kind) bool {
	if s.asked.CountBy != nil {
		return k == object.Routes.Kind
	}
	return s.countBy != nil && s.asked.whole(k) && !k.ByFamily // of which there are few
}

// giveBack ends the use of the buffers in which arenas began.
func (s *session) giveBack() {
	for _, b := range s.lent {
		conn.Buffers.Put(b)
	}
	s.lent = nil
}

// firstDatagram is how large the first datagram of a dump is, by try. Datagrams
// of later tries begin and end elsewhere than those before, so that what was cut
// in two there is in one piece here.
var firstDatagram = [MaxTries]int{conn.MaxDatagram, 16 << 10, 24 << 10, 8 << 10, 28 << 10}

// connect opens a connection and says what buffer it receives into.
func (s *session) connect(first int) (*conn.Conn, error) {
	c, err := s.dial.Open(s.ctx, s.asked.Namespace, 0)
	if err != nil {
		return nil, err
	}
	if err := c.OfferBuffer(first); err != nil {
		c.Close()
		return nil, conn.NewReadError("prepare a netlink socket", err)
	}
	return c, nil
}

func (s *session) run(op string, exchange func(*conn.Conn) error) (err error) {
	s.progress.asks(op)
	if s.conn != nil && s.conn.Ended {
		s.close()
	}
	if s.conn == nil {
		first := firstDatagram[s.tries-1]
		if s.tooLarge {
			first = conn.MaxDatagram
		}
		if s.conn, err = s.connect(first); err != nil {
			return err
		}
	}
	if err = exchange(s.conn); err != nil {
		err = conn.NewReadError(op, err)
	}
	return err
}

func (s *session) close() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}

// drain takes in what the listener has heard, so that its queue does not overflow.
// The result is still being added to.
func (s *session) drain() *consistency.Changes {
	if s.listenErr == nil && s.listener != nil {
		s.listenErr = s.listener.Drain(&s.heard)
	}
	return &s.heard
}

// takeChanges returns what was heard since it was called before, and the growing objects that
// were heard of since the reading began.
func (s *session) takeChanges() (*consistency.Changes, error) {
	heard := *s.drain()
	if s.listenErr != nil {
		return nil, conn.NewReadError("listen for changes", s.listenErr)
	}
	s.heard = heard.Next()
	return &heard, nil
}

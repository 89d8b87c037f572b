package rtnl

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"
)

// An arena holds the bytes that the kernel sent, in chunks that are never moved.
type arena struct {
	chunk []byte // the current chunk: len is what is used of it
	size  int    // of all chunks
}

// Chunks grow from what holds a laptop's routes to what wastes little of a
// router's. From hugeChunk on the kernel is asked to back them with huge pages,
// which saves a sixth of the time that a large dump takes: it is spent on page
// faults.
const (
	minChunk  = len(buffer{})
	hugeChunk = 64 * maxDatagram
	maxChunk  = 128 * maxDatagram
)

// room returns at least maxDatagram bytes after those that are used.
func (a *arena) room() []byte {
	if cap(a.chunk)-len(a.chunk) < maxDatagram {
		a.chunk = make([]byte, 0, min(max(2*cap(a.chunk), minChunk), maxChunk))
		a.size += cap(a.chunk)
		if cap(a.chunk) >= hugeChunk {
			_ = unix.Madvise(a.chunk[:cap(a.chunk)], unix.MADV_HUGEPAGE) // a kernel without them is only slower
		}
	}
	return a.chunk[len(a.chunk):cap(a.chunk)][:maxDatagram:maxDatagram]
}

// keep marks the first n bytes of room as used.
func (a *arena) keep(n int) { a.chunk = a.chunk[:len(a.chunk)+n] }

// A group is a routing table of one family: what the kernel walks in order.
type group struct {
	family Family
	table  uint32
}

// ordered reports whether it is known in which order the kernel walks the family.
func (f Family) ordered() bool { return f == IPv4 || f == IPv6 || f == MPLS }

// A position is where a route stands in the kernel's walk of its group.
type position struct {
	dst, src       [16]byte
	dstLen, srcLen uint8
	tos            uint8
	priority       uint32
}

func positionOf(h *routeHead) position {
	p := position{dstLen: h.dstLen, srcLen: h.srcLen, tos: h.tos, priority: h.priority}
	copy(p.dst[:], h.dst)
	copy(p.src[:], h.src)
	return p
}

// compare orders positions as the kernel walks them.
//
//   - IPv4 (fib_table_dump): by address; in one leaf the longer prefix first,
//     then the higher tos, then the lower metric (fib_insert_alias).
//   - IPv6 (fib6_walk_continue): a tree in post-order, a prefix after those that
//     it contains; but the subtree of source-specific routes of a prefix comes
//     before everything that the prefix contains.
//
// Routes that compare equal may be in any order.
func (f Family) compare(a, b *position) int {
	switch f {
	case IPv6:
		return compareIPv6(a, b)
	case IPv4:
		return cmp.Or(bytes.Compare(a.dst[:4], b.dst[:4]), cmp.Compare(b.dstLen, a.dstLen),
			cmp.Compare(b.tos, a.tos), cmp.Compare(a.priority, b.priority))
	}
	return bytes.Compare(a.dst[:4], b.dst[:4])
}

func compareIPv6(a, b *position) int {
	if n := int(min(a.dstLen, b.dstLen)); commonBits(&a.dst, &b.dst) < n {
		return bytes.Compare(a.dst[:], b.dst[:])
	}
	aSrc, bSrc := a.srcLen > 0, b.srcLen > 0
	if a.dstLen == b.dstLen {
		switch {
		case aSrc && bSrc:
			if n := int(min(a.srcLen, b.srcLen)); commonBits(&a.src, &b.src) < n {
				return bytes.Compare(a.src[:], b.src[:])
			}
			return cmp.Compare(b.srcLen, a.srcLen)
		case aSrc:
			return -1
		case bSrc:
			return 1
		}
		return 0
	}
	// One contains the other. The one that contains comes first only if it is
	// source-specific.
	if a.dstLen < b.dstLen {
		if aSrc {
			return -1
		}
		return 1
	}
	if bSrc {
		return 1
	}
	return -1
}

func commonBits(a, b *[16]byte) int {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return i*8 + bits.LeadingZeros8(x)
		}
	}
	return 128
}

// A run is what one datagram holds of one group: an uninterrupted piece of the
// kernel's walk. Routes that the filter excludes count for first and last.
type run struct {
	group
	first, last position
	data        []byte // the messages that are kept
	counted     int    // or their number, if the dump counts

	begins bool // it is the first of its group: nothing is before it
	cut    bool // its datagram ended after it: the kernel's walk was interrupted

	// Known when it is known what changed meanwhile: see judge.
	ends    bool // nothing of the group is after it
	follows bool // nothing is between the run before and this one
}

// A routeDump is the answer to one RTM_GETROUTE dump.
type routeDump struct {
	runs        []run
	refs        references // of the routes that are kept
	interrupted bool       // the kernel set NLM_F_DUMP_INTR
	request     dumpRequest
	withoutIPv6 bool     // IPv6 is dumped by itself
	spared      bool     // ended before IPv6
	truncated   bool     // it may have ended too early: see reached
	counting    bool     // see counts
	until       *changes // what was heard until it ended, if that is known
	heard       *changes // while it ran, nil before judge
	aside       int      // size of the arena that the routes are in, if not the reading's
}

// changed reports whether a group may have changed while the dump ran, or is not
// all there.
func (d *routeDump) changed(g group) bool { return d.interrupted || !d.reached(g) || d.heard.group(g) }

// reached reports whether the dump has certainly come to the end of a group: one of
// IPv6 that may have ended too early, where a group comes after it. The kernel goes
// by the low byte of a table's number (inet6_dump_fib).
func (d *routeDump) reached(g group) bool {
	n := len(d.runs)
	return !d.truncated || n > 0 && g.table&0xff < d.runs[n-1].table&0xff
}

// counts reports whether the routes of a group are counted instead of kept. Those
// of IPv4 may be: of other families one dump is hardly ever enough when something
// changes, and another one takes long.
func (d *routeDump) counts(g group) bool { return d.counting && g.family == IPv4 }

// asked reports whether the dump would have brought the routes of a group.
func (d *routeDump) asked(g group) bool {
	return d.request.asks(g) && !(d.spared && g.family != IPv4) && !(d.withoutIPv6 && g.family == IPv6)
}

// judge notes what is certain about the dump's runs once it is known what
// changed while it ran. Where a datagram ends, the kernel remembers
//
//   - of IPv6 and multicast routing how many it has walked over in the table: if
//     others go away and come, it passes over as many that nobody has seen. Even
//     that the group has more is not told if all that is left is passed over.
//   - of IPv4 an address, and how many routes it has walked over at the first
//     address from there on (fib_table_dump, fn_trie_dump_leaf), sent or not. If
//     nothing changed between the last route before and the first one after, it
//     went on where it was.
//   - of MPLS a label: it loses nothing.
func (d *routeDump) judge(heard *changes) {
	if d.heard != nil {
		return
	}
	if d.until != nil {
		heard = d.until
	}
	d.heard = heard
	heard.sort()
	for i := range d.runs {
		r := &d.runs[i]
		to := [4]byte{255, 255, 255, 255}
		same := i+1 < len(d.runs) && d.runs[i+1].group == r.group
		if same {
			to = [4]byte(d.runs[i+1].first.dst[:])
		}
		sure := r.family == MPLS || r.family == IPv4 && !d.interrupted && !heard.between([4]byte(r.last.dst[:]), to)
		switch {
		case same:
			next := &d.runs[i+1]
			next.follows = sure && r.family.compare(&r.last, &next.first) < 0
		case i+1 < len(d.runs):
			r.ends = sure || !r.cut
		default:
			// A dump of one family ends in the same way where a route does not fit.
			r.ends = !r.cut || sure && d.request.family == 0
		}
	}
}

// A routeSink takes the messages of one route dump and keeps those that match.
type routeSink struct {
	request dumpRequest
	filter  *Filter
	mem     *arena
	dump    routeDump

	head       routeHead // of the current message
	last       []byte    // the message before it, in the same datagram
	buf        []byte    // where the current datagram is
	kept, from int       // bytes kept of it; where its last run begins
	fresh      bool      // it has no run yet
	datagrams  int
	entries    int // of all messages: see routeHead.entries
	cloned     int // of those, cached routes
	largest    int // of one message
	seen       map[group]bool
	links      bool // whether to note what the routes refer to

	// listen, if set, takes in what the listener has heard.
	listen func() *changes
	// aside, if set, is asked to read IPv6 beside this dump once IPv4 proves long.
	aside   func() *aside
	started *aside
}

// listenAfter is the number of datagrams after which the listener is asked.
const listenAfter = 32

// asideAfter is the number of datagrams of IPv4 routes (some 500 each) from which
// on IPv6 is read beside them.
const asideAfter = 16

func (s *routeSink) buffer() []byte {
	s.buf, s.kept, s.fresh = s.mem.room(), 0, true
	return s.buf
}

func (s *routeSink) message(msg []byte) (more bool, err error) {
	h := &s.head
	if err := h.read(msg[unix.NLMSG_HDRLEN:]); err != nil {
		return false, err
	}
	g := group{h.family, h.table}
	if n := len(s.dump.runs); s.fresh || s.dump.runs[n-1].group != g {
		s.endRun()
		if !s.fresh {
			s.dump.runs[n-1].cut = false
		}
		if s.complete(h.family) {
			return false, nil
		}
		if err := s.startRun(g, positionOf(h)); err != nil {
			return false, err
		}
	}
	s.fresh = false
	s.count(h)
	s.last = msg
	switch r := &s.dump.runs[len(s.dump.runs)-1]; {
	case !s.filter.match(h):
	case s.dump.counts(g):
		r.counted++
	default:
		s.dump.refs.add(h, msg[unix.NLMSG_HDRLEN:], s.links)
		n := copy(s.buf[s.kept:], msg) // over what was dropped, and so over what h refers to
		s.last = s.buf[s.kept : s.kept+n]
		s.kept += align4(n)
		r.data = s.buf[s.from:s.kept:s.kept]
	}
	return true, nil
}

// count counts the entries of a message, wanted or not.
func (s *routeSink) count(h *routeHead) {
	n := h.entries()
	s.entries += n
	s.largest = max(s.largest, n)
	if h.flags&rtmFCloned != 0 {
		s.cloned += n
	}
}

// endRun notes the last position of the run that has ended.
func (s *routeSink) endRun() {
	if s.last == nil {
		return
	}
	h := headAt(s.last)
	s.dump.runs[len(s.dump.runs)-1].last = positionOf(&h)
	s.last = nil
}

// complete reports whether everything that is wanted came before the first route
// of a family: a dump of all families brings one after the other.
func (s *routeSink) complete(next Family) bool {
	switch {
	case s.request.family != 0:
		// A kernel that does not know the family dumps all of them.
		return next != s.request.family
	case next == IPv4:
		return false
	case len(s.filter.Families) == 1 && s.filter.Families[0] == IPv4:
		return true
	case next != IPv6:
		return false
	case s.dump.withoutIPv6:
		s.dump.spared = true
		return true
	case s.started == nil:
		return false
	}
	// What changes while the other dump goes on does not concern this one.
	heard := s.listen().clone()
	if s.dump.spared = s.started.whole(s.listen); s.dump.spared {
		s.dump.until = heard
	}
	return s.dump.spared
}

func (s *routeSink) datagram() (more bool) {
	s.endRun()
	s.mem.keep(s.kept)
	s.kept = 0
	s.datagrams++
	if s.listen != nil && s.datagrams%listenAfter == 0 {
		s.listen()
	}
	if n := len(s.dump.runs); s.datagrams == asideAfter && s.aside != nil && n > 0 && s.dump.runs[n-1].family == IPv4 {
		s.started = s.aside()
	}
	return true
}

// dumpRoutes runs one dump over a connection that was warmed.
func (c *conn) dumpRoutes(s *routeSink) error {
	s.dump.request = s.request
	interrupted, err := c.dump(unix.RTM_GETROUTE, s.request.appendTo(nil), dumpSink{
		want:     unix.RTM_NEWROUTE,
		buffer:   s.buffer,
		message:  s.message,
		datagram: s.datagram,
	})
	s.dump.interrupted = interrupted
	switch {
	case errors.Is(err, unix.ENOENT) && s.request.table != 0, errors.Is(err, unix.ENODEV) && s.request.oif != 0:
		// No such table or interface: no such routes.
	case err != nil:
		return err
	}
	s.endRun()
	s.mem.keep(s.kept)
	return nil
}

// startRun begins a run. The kernel brings the groups one after the other; that
// it comes back to one is what a new table can do: see bucket.
func (s *routeSink) startRun(g group, pos position) error {
	n := len(s.dump.runs)
	begins := n == 0 || s.dump.runs[n-1].group != g
	if begins && s.seen[g] {
		return fmt.Errorf("%w: a table came twice", ErrInterrupted)
	}
	if s.seen == nil {
		s.seen = map[group]bool{}
	}
	s.seen[g] = true
	s.dump.runs = append(s.dump.runs, run{group: g, first: pos, begins: begins, cut: true})
	s.from = s.kept
	return nil
}

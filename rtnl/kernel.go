package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A Request says what a Snapshot is to hold.
type Request struct {
	Filter
	Links    bool // the interfaces that routes refer to, for their names
	Nexthops bool // the nexthop objects that routes refer to
	// Count says that only the number of routes matters: a Cursor may go over IPv4
	// routes without being able to decode them. It saves the memory that they take.
	Count bool

	// GivesIDs says that the identities of the routes will be given out, to be looked
	// up soon, and IDs are identities that are looked up. A Cache answers the one as
	// of the answer to the other; for a Kernel neither means anything, for it is the
	// Filter that narrows a look-up.
	GivesIDs bool
	IDs      []string
	// Gives, if set, yields the identities that will be given out of those in the
	// snapshot: for conditions that the Filter does not know. It may be called when
	// the answer is long given, on another goroutine, or never.
	Gives func(*Snapshot) iter.Seq[[]byte]

	raw bool // for a capture: all nexthop objects, and the messages of both kept
}

// Union returns a request that brings all that either of two brings.
func (r Request) Union(o Request) Request {
	return Request{
		Filter: Filter{
			Families:  union(r.Families, o.Families),
			Tables:    union(r.Tables, o.Tables),
			Types:     union(r.Types, o.Types),
			Protocols: union(r.Protocols, o.Protocols),
			Cloned:    r.Cloned || o.Cloned,
		},
		// Interfaces and destinations are chosen from what it brings.
		Links:    r.Links || o.Links || r.Link != nil || o.Link != nil,
		Nexthops: r.Nexthops || o.Nexthops,
	}
}

// union joins two conditions on one value, of which nil is none.
func union[T comparable](a, b []T) []T {
	if a == nil || b == nil {
		return nil
	}
	out, seen := []T{}, make(map[T]bool, len(a)+len(b))
	for _, list := range [][]T{a, b} {
		for _, v := range list {
			if !seen[v] {
				out = append(out, v)
			}
			seen[v] = true
		}
	}
	return out
}

// MaxTries bounds how often the kernel is asked again because something changed
// or a dump was interrupted.
const MaxTries = 5

// Kernel reads the routing state of the running kernel, in the network namespace
// of the calling thread. No privilege is needed. The zero value is ready to use.
type Kernel struct {
	// Logger is told of snapshots that are not consistent; nil: nobody is.
	Logger *slog.Logger

	toldUnproved uint32 // whether Logger was told that IPv6 cannot be proved whole

	// What tests replace: all of it, if dial is set.
	dial    dialer // nil: the kernel
	stats   string // where rt6_stats is
	release string // of the kernel, as uname prints it; "": a recent one
}

// Read returns a snapshot of what the request asks for. It sees every change
// that was complete before the call. On an error there is no snapshot.
func (k *Kernel) Read(ctx context.Context, req Request) (*Snapshot, error) {
	if req.Nothing() {
		return &Snapshot{Consistent: true}, nil
	}
	req.prepare()
	r := reading{dial: k.dial, stats: k.stats, release: parseRelease(k.release), asked: req}
	if k.dial == nil {
		r.dial, r.stats, r.release = dialKernel, rt6StatsPath, hostRelease()
	}
	l, err := listen(ctx, r.dial)
	if err != nil {
		return nil, err
	}
	defer l.close()
	r.listener = l
	r.begin()
	s, err := r.read(ctx)
	if err != nil {
		r.giveBack()
		return nil, err
	}
	r.pack(s)
	k.warn(&r, s)
	return s, nil
}

// warn tells the logger what is not consistent, and why.
func (k *Kernel) warn(r *reading, s *Snapshot) {
	switch {
	case s.Consistent || k.Logger == nil:
	case r.again():
		k.Logger.Warn("routes changed too fast for a consistent snapshot",
			"tries", s.Tries, "routes_incomplete", len(r.missing) > 0,
			"links_changed", r.stale.links, "nexthops_changed", r.stale.objects)
	case r.unproved && atomic.CompareAndSwapUint32(&k.toldUnproved, 0, 1):
		k.Logger.Warn("IPv6 routes may be missing: Linux before 6.9 leaves out what comes after a route that is "+
			"too large, and how many there are cannot be told", "file", r.stats, "kernel", r.release.String())
	}
}

// Names returns the names of this host.
func (k *Kernel) Names() *Names { return HostNames() }

func (k *Kernel) dialer() dialer {
	if k.dial != nil {
		return k.dial
	}
	return dialKernel
}

// A reading is the work on one snapshot.
type reading struct {
	dial     dialer
	stats    string
	release  release
	listener *listener
	asked    Request
	tries    int
	tooLarge bool // the last try failed for a route that does not fit

	heard changes // since hear was called
	deaf  error   // the listener is broken

	// What was read since begin.
	req      Request       // asked, with the interfaces that it chooses
	planned  bool          // whether it is known what to dump
	todo     []dumpRequest // route dumps that are still to be run
	todoIPv6 bool          // and the one of dumpCounted
	mem      arena
	lent     []*buffer // in which mem and that of each aside begin
	dumps    []*routeDump
	refs     references // of the routes that any dump kept
	referred int        // how many of heard.multipath are in refs
	links    map[uint32]Link
	lookedUp map[uint32]bool // links that were asked for, whether or not they were there
	allLinks bool            // all were asked for
	objects  map[uint32]*NexthopObject
	missing  []group // what the dumps do not tell for certain
	unproved bool    // nor that these are all groups of IPv6, and another dump would not
	lost     bool    // the listener heard more multipath routes than it keeps
	stale    struct {
		links, objects bool // that routes refer to changed after they were read
		others         bool // links changed that no route refers to
	}

	rawLinks, rawObjects []byte // the messages, if the request is raw
}

// begin forgets what was read, so that all is read (again), at one time.
func (r *reading) begin() {
	r.giveBack()
	*r = reading{dial: r.dial, stats: r.stats, release: r.release, listener: r.listener, asked: r.asked,
		tries: r.tries, tooLarge: r.tooLarge, deaf: r.deaf, req: r.asked}
	r.mem = r.newArena()
	r.forgetLinks()
}

// newArena returns an arena that begins in a buffer which is used again: see giveBack.
func (r *reading) newArena() arena {
	b := buffers.Get().(*buffer)
	r.lent = append(r.lent, b)
	return arena{chunk: b[:0], size: len(b)}
}

// giveBack ends the use of the buffers in which arenas began.
func (r *reading) giveBack() {
	for _, b := range r.lent {
		buffers.Put(b)
	}
	r.lent = nil
}

// read tries until everything is of one time, or MaxTries times.
func (r *reading) read(ctx context.Context) (*Snapshot, error) {
	for r.tries = 1; ; r.tries++ {
		err := r.try(ctx)
		switch {
		case err == nil:
		case r.tries == MaxTries || !errors.Is(err, ErrInterrupted) && !errors.Is(err, ErrTooLarge):
			return nil, err
		case errors.Is(err, ErrTooLarge) && r.tooLarge:
			return nil, err // twice: it is no shortage of memory
		default:
			r.tooLarge = errors.Is(err, ErrTooLarge)
			continue
		}
		heard, err := r.hear()
		if err != nil {
			return nil, err
		}
		s := r.assess(heard)
		if !r.again() || r.tries == MaxTries {
			return s, nil
		}
		// What was heard while that was judged does not concern the dumps to come.
		if heard, err = r.hear(); err != nil {
			return nil, err
		}
		r.outdate(heard)
		r.plan()
	}
}

// maxPacked is how many bytes of routes are copied at most.
const maxPacked = 1 << 20

// pack moves the routes of a small snapshot to memory of their size, so that it does
// not hold the memory that datagrams were received into.
func (r *reading) pack(s *Snapshot) {
	size := 0
	for _, run := range s.routes {
		size += len(run)
	}
	held := r.mem.size
	for _, d := range r.dumps {
		held += d.aside
	}
	if size > min(held/2, maxPacked) {
		return
	}
	packed := make([]byte, 0, size)
	for i, run := range s.routes {
		packed = append(packed, run...)
		s.routes[i] = packed[len(packed)-len(run) : len(packed) : len(packed)]
	}
	r.giveBack()
}

// warmUp is how large the first datagram of a route dump is, by try. Datagrams
// of later tries begin and end elsewhere than those before, so that what was cut
// in two there is in one piece here.
var warmUp = [MaxTries]int{maxDatagram, 16 << 10, 24 << 10, 8 << 10, 28 << 10}

// connect opens a connection and warms it.
func (r *reading) connect(ctx context.Context, first int) (*conn, error) {
	c, err := r.dial.open(ctx, 0)
	if err != nil {
		return nil, err
	}
	if err := c.warm(first); err != nil {
		c.close()
		return nil, readError("prepare a netlink socket", err)
	}
	return c, nil
}

// A session runs exchanges over one connection as long as it is usable.
type session struct {
	reading *reading
	ctx     context.Context
	conn    *conn
}

func (e *session) run(op string, exchange func(*conn) error) (err error) {
	if e.conn != nil && e.conn.spent {
		e.close()
	}
	if e.conn == nil {
		first := warmUp[e.reading.tries-1]
		if e.reading.tooLarge {
			first = maxDatagram
		}
		if e.conn, err = e.reading.connect(e.ctx, first); err != nil {
			return err
		}
	}
	if err = exchange(e.conn); err != nil {
		err = readError(op, err)
	}
	return err
}

func (e *session) close() {
	if e.conn != nil {
		e.conn.close()
		e.conn = nil
	}
}

// try reads what is missing over a fresh connection. Nexthop objects come after the
// routes and interfaces last, so that those that a route refers to are among them.
func (r *reading) try(ctx context.Context) error {
	e := &session{reading: r, ctx: ctx}
	defer e.close()
	if !r.planned {
		if r.req.Link != nil {
			if err := e.run("dump links", r.chooseLinks); err != nil {
				return err
			}
		}
		if !r.req.Nothing() {
			r.todo, r.todoIPv6 = r.requests(), r.counted()
		}
		r.planned = true
	}
	for len(r.todo) > 0 || r.todoIPv6 {
		var err error
		if r.todoIPv6 && (len(r.todo) == 0 || r.todo[0].family != 0) { // after IPv4
			err = e.run("dump IPv6 routes", r.dumpCounted)
		} else {
			err = r.dumpNext(ctx, e)
		}
		if err != nil {
			return err
		}
	}
	if r.objects == nil && (r.req.raw || r.req.Nexthops && len(r.refs.objects) > 0) {
		err := e.run("dump nexthop objects", func(c *conn) (err error) {
			r.objects, r.rawObjects, err = c.dumpNexthops(r.req.raw)
			return err
		})
		if err != nil {
			r.objects = nil
			return err
		}
	}
	if r.wantsLinks() {
		return r.readLinks(e)
	}
	return nil
}

// wantsLinks reports whether the interfaces matter that routes refer to.
func (r *reading) wantsLinks() bool { return r.req.Links || r.req.Link != nil }

// chooseLinks reads all interfaces and chooses those whose routes are wanted.
func (r *reading) chooseLinks(c *conn) (err error) {
	if err = r.dumpLinks(c); err == nil {
		r.req.chooseLinks(r.links)
	}
	return err
}

// requests returns the dumps that together bring every route that matches, but for
// those of dumpCounted.
func (r *reading) requests() []dumpRequest {
	if r.counted() {
		return r.req.withoutIPv6().requests()
	}
	return r.req.requests()
}

// sink returns a sink for a dump of routes.
func (r *reading) sink(request dumpRequest, mem *arena) routeSink {
	return routeSink{request: request, filter: &r.req.Filter, mem: mem, links: r.wantsLinks()}
}

// dumpNext runs the first of the dumps that are to be run.
func (r *reading) dumpNext(ctx context.Context, e *session) error {
	beside := !r.counted() && r.todo[0].beside() && allows(r.req.Families, IPv6)
	if beside && !allows(r.req.Families, IPv4) {
		if a := r.startAside(ctx); a.whole(r.listen) {
			r.tookIPv6(a)
			return nil
		}
		beside = false
	}
	s := r.sink(r.todo[0], &r.mem)
	s.listen = r.listen
	s.dump.withoutIPv6 = r.counted()
	s.dump.counting = r.req.Count && r.tries == 1
	if beside {
		s.aside = func() *aside { return r.startAside(ctx) }
	}
	err := e.run("dump routes", func(c *conn) error {
		s.request = s.request.forKernel(c.strict)
		return c.dumpRoutes(&s)
	})
	if s.started != nil {
		<-s.started.done
	}
	if err != nil {
		return err
	}
	r.took(&s.dump)
	if s.dump.spared {
		r.tookIPv6(s.started)
	} else {
		r.todo = r.todo[1:]
	}
	return nil
}

// took takes in a dump that has ended.
func (r *reading) took(d *routeDump) {
	r.dumps = append(r.dumps, d)
	r.refs.union(&d.refs)
}

// tookIPv6 takes in IPv6 that was read aside of the first dump to do, if it was, and
// leaves what would have come after it to be done.
func (r *reading) tookIPv6(a *aside) {
	if a != nil {
		a.sink.dump.aside = a.mem.size
		r.took(&a.sink.dump)
	}
	table := r.todo[0].table
	r.todo = r.todo[1:]
	for _, f := range r.req.others() {
		r.todo = append(r.todo, dumpRequest{family: f, table: table})
	}
}

// forKernel drops the conditions that a kernel without NETLINK_GET_STRICT_CHK
// would ignore or misread.
func (r dumpRequest) forKernel(strict bool) dumpRequest {
	if !strict {
		return dumpRequest{family: r.family}
	}
	return r
}

// listen takes in what the listener has heard, so that its queue does not overflow.
// The result is still being added to.
func (r *reading) listen() *changes {
	if r.deaf == nil {
		r.deaf = r.listener.drain(&r.heard)
	}
	return &r.heard
}

// hear returns what was heard since it was called before, and the multipath
// routes that were heard of since the reading began.
func (r *reading) hear() (*changes, error) {
	heard := *r.listen()
	if r.deaf != nil {
		return nil, readError("listen for changes", r.deaf)
	}
	r.heard.forget()
	return &heard, nil
}

// assess puts the snapshot together, after what was heard during the try.
func (r *reading) assess(heard *changes) *Snapshot {
	s := &Snapshot{Tries: r.tries, links: r.links, objects: r.objects, rawLinks: r.rawLinks, rawObjects: r.rawObjects}
	for _, d := range r.dumps {
		d.judge(heard)
	}
	s.routes, s.counted, r.missing = merge(r.dumps, r.req.wants)
	if r.counted() && r.truncatedIPv6() {
		r.missing = append(r.missing, group{family: IPv6})
	}
	s.routes = settle(s.routes, heard.multipath, &r.req.Filter)
	r.lost = heard.lost
	r.outdate(heard)
	s.Consistent = !r.again() && !r.unproved
	return s
}

// again reports whether the snapshot is not of one time.
func (r *reading) again() bool {
	return len(r.missing) > 0 || r.stale.links || r.stale.objects || r.lost
}

// outdate notes which interfaces and nexthop objects changed after they were read,
// or after a route was that refers to them.
func (r *reading) outdate(heard *changes) {
	if r.wantsLinks() {
		r.stale.links = r.stale.links || len(r.unknownLinks()) > 0 || r.concerns(heard)
		r.stale.others = r.stale.others || heard.links
	}
	r.stale.objects = r.stale.objects || r.objects != nil && heard.objects
}

// plan notes which dumps have to be made again.
func (r *reading) plan() {
	if r.stale.links || r.stale.objects {
		// A route and what it refers to must be of one time.
		r.begin()
		return
	}
	if r.stale.others {
		r.forgetLinks() // the routes to come may refer to them
		r.stale.others = false
	}
	for _, req := range r.requests() {
		missing := slices.DeleteFunc(slices.Clone(r.missing), func(g group) bool {
			return !req.asks(g) || r.counted() && g.family == IPv6
		})
		if len(missing) > 0 {
			r.todo = append(r.todo, missingRequest(req, missing, r.narrow(missing[0])))
		}
	}
	r.todo = slices.Compact(r.todo)
	r.todoIPv6 = r.counted() && slices.ContainsFunc(r.missing, func(g group) bool { return g.family == IPv6 })
}

// narrow reports whether a table is better dumped alone than with those that come
// after it: the last of all, or once if it needs few datagrams, so that nothing
// may change in it meanwhile.
func (r *reading) narrow(g group) bool {
	d := r.dumps[len(r.dumps)-1]
	n := 0
	for _, run := range d.runs {
		if run.group == g {
			n++
		}
	}
	return r.tries == 1 && n <= 2 || n > 0 && d.request.table == 0 && d.runs[len(d.runs)-1].group == g
}

// linkRequest is the payload of an RTM_GETLINK request: for an interface, or for all
// of them if index is 0.
func linkRequest(index uint32) []byte {
	req := make([]byte, ifinfomsgLen, ifinfomsgLen+nlaHeaderLen+4)
	binary.NativeEndian.PutUint32(req[4:], index) // ifi_index
	req = binary.NativeEndian.AppendUint16(req, nlaHeaderLen+4)
	req = binary.NativeEndian.AppendUint16(req, iflaExtMask)
	return binary.NativeEndian.AppendUint32(req, rtextFilterSkipStats)
}

// dumpLinks reads all interfaces, and keeps their messages if asked to.
func (c *conn) dumpLinks(keep bool) (links map[uint32]Link, raw []byte, err error) {
	links = map[uint32]Link{}
	err = c.collect(unix.RTM_GETLINK, unix.RTM_NEWLINK, linkRequest(0), func(msg []byte) error {
		if keep {
			raw = appendMessage(raw, msg)
		}
		return addLink(links, msg)
	})
	return links, raw, err
}

// dumpNexthops reads all nexthop objects, and keeps their messages if asked to.
// A kernel that has none (before Linux 5.3) answers EOPNOTSUPP.
func (c *conn) dumpNexthops(keep bool) (objects map[uint32]*NexthopObject, raw []byte, err error) {
	objects = map[uint32]*NexthopObject{}
	err = c.collect(unix.RTM_GETNEXTHOP, unix.RTM_NEWNEXTHOP, make([]byte, nhmsgLen), func(msg []byte) error {
		if keep {
			raw = appendMessage(raw, msg)
		}
		return addObject(objects, msg)
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		err = nil
	}
	return objects, raw, err
}

func addLink(links map[uint32]Link, msg []byte) error {
	var l Link
	if err := l.UnmarshalBinary(msg[unix.NLMSG_HDRLEN:]); err != nil {
		return err
	}
	links[l.Index] = l
	return nil
}

func addObject(objects map[uint32]*NexthopObject, msg []byte) error {
	o := new(NexthopObject)
	if err := o.UnmarshalBinary(slices.Clone(msg[unix.NLMSG_HDRLEN:])); err != nil {
		return err
	}
	objects[o.ID] = o
	return nil
}

// collect runs a dump whose messages are decoded as they come.
func (c *conn) collect(get, want uint16, req []byte, decode func(msg []byte) error) error {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	interrupted, err := c.dump(get, req, dumpSink{
		want:     want,
		buffer:   func() []byte { return b[:] },
		message:  func(msg []byte) (bool, error) { return true, decode(msg) },
		datagram: func() bool { return true },
	})
	if err == nil && interrupted {
		err = ErrInterrupted
	}
	return err
}

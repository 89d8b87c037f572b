package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"

	"golang.org/x/sys/unix"
)

// A Request says what a Snapshot is to hold.
type Request struct {
	Filter
	Links    bool // interfaces, for their names
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
	out := slices.Clone(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	if out == nil {
		out = []T{}
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

	dial  dialer // nil: the kernel
	stats string // where rt6_stats is, if dial is set
}

// Read returns a snapshot of what the request asks for. It sees every change
// that was complete before the call. On an error there is no snapshot.
func (k *Kernel) Read(ctx context.Context, req Request) (*Snapshot, error) {
	if req.Nothing() {
		return &Snapshot{Consistent: true}, nil
	}
	req.prepare()
	dial, stats := k.dialer(), k.stats
	if k.dial == nil {
		stats = rt6StatsPath
	}
	l, err := listen(ctx, dial)
	if err != nil {
		return nil, err
	}
	defer l.close()
	r := reading{dial: dial, stats: stats, listener: l, req: req, todo: req.requests()}
	r.stale.links, r.stale.objects = req.Links || req.Link != nil, req.raw
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
		if s.Consistent || r.tries == MaxTries {
			if !s.Consistent && k.Logger != nil {
				k.Logger.Warn("routes changed too fast for a consistent snapshot",
					"tries", s.Tries, "routes_incomplete", len(r.missing) > 0,
					"links_changed", r.stale.links, "nexthops_changed", r.stale.objects)
			}
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
	listener *listener
	req      Request
	tries    int

	todo  []dumpRequest // route dumps that are still to be run
	stale struct {      // what else is to be read (again)
		links, objects bool
	}
	heard    changes // since hear was called
	deaf     error   // the listener is broken
	missing  []group
	tooLarge bool

	mem     arena
	dumps   []*routeDump
	links   map[uint32]Link
	objects map[uint32]*NexthopObject

	rawLinks, rawObjects []byte // the messages, if the request is raw
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
	if err := c.warm(make([]byte, first)); err != nil {
		c.close()
		return nil, readError("prepare a netlink socket", err)
	}
	return c, nil
}

// try reads what is missing over a fresh connection.
func (r *reading) try(ctx context.Context) error {
	first := warmUp[r.tries-1]
	if r.tooLarge {
		first = maxDatagram
	}
	var c *conn
	// each runs one exchange, over the same connection as long as it is usable.
	each := func(op string, exchange func() error) (err error) {
		if c != nil && c.spent {
			c.close()
			c = nil
		}
		if c == nil {
			if c, err = r.connect(ctx, first); err != nil {
				return err
			}
		}
		if err = exchange(); err != nil {
			err = readError(op, err)
		}
		return err
	}
	defer func() {
		if c != nil {
			c.close()
		}
	}()
	// Interfaces come last, so that a route's is among them, unless routes are
	// chosen by them.
	if r.req.Link != nil && r.dumps == nil {
		if err := each("dump links", func() error { return r.readLinks(c) }); err != nil {
			return err
		}
		r.req.chooseLinks(r.links)
		r.todo = nil
		if !r.req.Nothing() {
			r.todo = r.req.requests()
		}
	}
	for len(r.todo) > 0 {
		beside := r.todo[0].beside() && allows(r.req.Families, IPv6)
		if beside && !allows(r.req.Families, IPv4) {
			if a := r.startAside(ctx); a.whole(r.listen) {
				r.tookAside(a)
				continue
			}
			beside = false
		}
		s := routeSink{filter: &r.req.Filter, mem: &r.mem, listen: r.listen}
		s.dump.counting = r.req.Count && r.tries == 1
		err := each("dump routes", func() error {
			s.request = r.todo[0].forKernel(c.strict)
			if beside {
				s.aside = func() *aside { return r.startAside(ctx) }
			}
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
			r.tookAside(s.started)
		} else {
			r.todo = r.todo[1:]
		}
	}
	if r.stale.links {
		if err := each("dump links", func() error { return r.readLinks(c) }); err != nil {
			return err
		}
	}
	if r.stale.objects {
		err := each("dump nexthop objects", func() (err error) { r.objects, r.rawObjects, err = c.dumpNexthops(r.req.raw); return err })
		if err != nil {
			return err
		}
		r.stale.objects = false
	}
	return nil
}

func (r *reading) readLinks(c *conn) (err error) {
	r.links, r.rawLinks, err = c.dumpLinks(r.req.raw)
	r.stale.links = err != nil
	return err
}

// took takes in a dump that has ended.
func (r *reading) took(d *routeDump) {
	r.dumps = append(r.dumps, d)
	r.stale.objects = r.stale.objects || r.req.Nexthops && d.objects && r.objects == nil
}

// tookAside takes in IPv6 that was read aside of the first dump to do, and leaves
// what would have come after it to be done.
func (r *reading) tookAside(a *aside) {
	r.took(&a.sink.dump)
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
	s.routes = settle(s.routes, heard.multipath, &r.req.Filter)
	r.outdate(heard)
	s.Consistent = len(r.missing) == 0 && !r.stale.links && !r.stale.objects && !heard.lost
	return s
}

// plan notes which dumps have to be made again.
func (r *reading) plan() {
	if r.stale.objects {
		// A route and the object that it uses must be of one time.
		r.dumps, r.mem, r.heard = nil, arena{}, changes{}
		r.todo = r.req.requests()
		return
	}
	if len(r.missing) == 0 {
		return
	}
	for _, req := range r.req.requests() {
		missing := slices.DeleteFunc(slices.Clone(r.missing), func(g group) bool { return !req.asks(g) })
		if len(missing) > 0 {
			r.todo = append(r.todo, missingRequest(req, missing, r.narrow(missing[0])))
		}
	}
	r.todo = slices.Compact(r.todo)
}

// outdate notes which interfaces and nexthop objects have to be read again.
func (r *reading) outdate(heard *changes) {
	r.stale.links = r.stale.links || r.links != nil && heard.links
	r.stale.objects = r.stale.objects || r.objects != nil && heard.objects
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

// dumpLinks reads all interfaces, and keeps their messages if asked to.
func (c *conn) dumpLinks(keep bool) (links map[uint32]Link, raw []byte, err error) {
	req := make([]byte, ifinfomsgLen)
	req = binary.NativeEndian.AppendUint16(req, nlaHeaderLen+4)
	req = binary.NativeEndian.AppendUint16(req, iflaExtMask)
	req = binary.NativeEndian.AppendUint32(req, rtextFilterSkipStats)
	links = map[uint32]Link{}
	err = c.collect(unix.RTM_GETLINK, unix.RTM_NEWLINK, req, func(msg []byte) error {
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
	buf := make([]byte, 4*maxDatagram)
	interrupted, err := c.dump(get, req, dumpSink{
		want:     want,
		buffer:   func() []byte { return buf },
		message:  func(msg []byte) (bool, error) { return true, decode(msg) },
		datagram: func() bool { return true },
	})
	if err == nil && interrupted {
		err = ErrInterrupted
	}
	return err
}

package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"

	"golang.org/x/sys/unix"
)

// A Request says what a Snapshot is to hold.
type Request struct {
	Filter
	Links    bool // interfaces, for their names
	Nexthops bool // the nexthop objects that routes refer to
}

// MaxTries bounds how often the kernel is asked again because something changed
// or a dump was interrupted.
const MaxTries = 5

// Kernel reads the routing state of the running kernel, in the network namespace
// of the calling thread. No privilege is needed. The zero value is ready to use.
type Kernel struct {
	// Logger is told of snapshots that are not consistent; nil: nobody is.
	Logger *slog.Logger

	dial dialer // nil: the kernel
}

// Read returns a snapshot of what the request asks for. It sees every change
// that was complete before the call. On an error there is no snapshot.
func (k *Kernel) Read(ctx context.Context, req Request) (*Snapshot, error) {
	if req.Nothing() {
		return &Snapshot{Consistent: true}, nil
	}
	dial := k.dial
	if dial == nil {
		dial = dialKernel
	}
	l, err := listen(ctx, dial)
	if err != nil {
		return nil, err
	}
	defer l.close()
	r := reading{dial: dial, req: req, todo: req.requests()}
	r.stale.links = req.Links || req.Link != nil
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
		if err := l.drain(&r.heard); err != nil {
			return nil, readError("listen for changes", err)
		}
		s := r.assess()
		if s.Consistent || r.tries == MaxTries {
			if !s.Consistent && k.Logger != nil {
				k.Logger.Warn("routes changed too fast for a consistent snapshot",
					"tries", s.Tries, "routes_incomplete", len(r.missing) > 0,
					"links_changed", r.stale.links, "nexthops_changed", r.stale.objects)
			}
			return s, nil
		}
	}
}

// A reading is the work on one snapshot.
type reading struct {
	dial  dialer
	req   Request
	tries int

	todo  []dumpRequest // route dumps that are still to be run
	stale struct {      // what else is to be read (again)
		links, objects bool
	}
	heard    changes // since the reading began
	missing  []group
	tooLarge bool

	mem     arena
	dumps   []*routeDump
	links   map[uint32]Link
	objects map[uint32]*NexthopObject
}

// warmUp is how large the first datagram of a route dump is, by try. Datagrams
// of later tries begin and end elsewhere than those before, so that what was cut
// in two there is in one piece here.
var warmUp = [MaxTries]int{maxDatagram, 16 << 10, 24 << 10, 8 << 10, 28 << 10}

// try reads what is missing over a fresh connection.
func (r *reading) try(ctx context.Context) error {
	c, err := r.dial.open(ctx, 0)
	if err != nil {
		return err
	}
	defer c.close()
	first := warmUp[r.tries-1]
	if r.tooLarge {
		first = maxDatagram
	}
	if err := c.warm(make([]byte, first)); err != nil {
		return readError("prepare a netlink socket", err)
	}
	if r.stale.links {
		if r.links, err = c.dumpLinks(); err != nil {
			return readError("dump links", err)
		}
		r.stale.links = false
		if r.req.Link != nil && r.dumps == nil {
			r.chooseLinks()
		}
	}
	for len(r.todo) > 0 {
		f := r.req.Filter
		d, err := c.dumpRoutes(r.todo[0].forKernel(c.strict), &f, &r.mem, first)
		if err != nil {
			return readError("dump routes", err)
		}
		if d.interrupted {
			r.heard.routes = true
		}
		r.dumps = append(r.dumps, d)
		r.todo = r.todo[1:]
		if r.req.Nexthops && d.objects && r.objects == nil {
			r.stale.objects = true
		}
	}
	if r.stale.objects {
		if r.objects, err = c.dumpNexthops(); err != nil {
			return readError("dump nexthop objects", err)
		}
		r.stale.objects = false
	}
	return nil
}

// forKernel drops the conditions that a kernel without NETLINK_GET_STRICT_CHK
// would ignore or misread.
func (r dumpRequest) forKernel(strict bool) dumpRequest {
	if !strict {
		return dumpRequest{family: r.family}
	}
	return r
}

// chooseLinks makes the filter's choice of interfaces a list of indexes.
func (r *reading) chooseLinks() {
	indexes := []uint32{}
	for i, l := range r.links {
		if r.req.Link(&l) && allows(r.req.OIFs, i) {
			indexes = append(indexes, i)
		}
	}
	r.req.OIFs = indexes
	r.todo = nil
	if !r.req.Nothing() {
		r.todo = r.req.requests()
	}
}

// assess puts the snapshot together and notes what has to be read again.
func (r *reading) assess() *Snapshot {
	s := &Snapshot{Tries: r.tries, links: r.links, objects: r.objects}
	s.routes, r.missing = merge(r.dumps, r.heard.group)
	r.stale.links = r.links != nil && r.heard.links
	r.stale.objects = r.objects != nil && r.heard.objects
	r.heard.links, r.heard.objects = false, false
	s.Consistent = len(r.missing) == 0 && !r.stale.links && !r.stale.objects
	if len(r.missing) > 0 {
		for _, req := range r.req.requests() {
			if missing := inTable(r.missing, req.table); len(missing) > 0 {
				r.todo = append(r.todo, missingRequest(req, missing))
			}
		}
	}
	return s
}

// dumpLinks reads all interfaces.
func (c *conn) dumpLinks() (map[uint32]Link, error) {
	req := make([]byte, ifinfomsgLen)
	req = binary.NativeEndian.AppendUint16(req, nlaHeaderLen+4)
	req = binary.NativeEndian.AppendUint16(req, iflaExtMask)
	req = binary.NativeEndian.AppendUint32(req, rtextFilterSkipStats)
	links := map[uint32]Link{}
	err := c.collect(unix.RTM_GETLINK, unix.RTM_NEWLINK, req, func(b []byte) error {
		var l Link
		if err := l.UnmarshalBinary(b); err != nil {
			return err
		}
		links[l.Index] = l
		return nil
	})
	return links, err
}

// dumpNexthops reads all nexthop objects. A kernel that has none (before Linux
// 5.3) answers EOPNOTSUPP.
func (c *conn) dumpNexthops() (map[uint32]*NexthopObject, error) {
	objects := map[uint32]*NexthopObject{}
	err := c.collect(unix.RTM_GETNEXTHOP, unix.RTM_NEWNEXTHOP, make([]byte, nhmsgLen), func(b []byte) error {
		o := new(NexthopObject)
		if err := o.UnmarshalBinary(append([]byte(nil), b...)); err != nil {
			return err
		}
		objects[o.ID] = o
		return nil
	})
	if errors.Is(err, unix.EOPNOTSUPP) {
		return objects, nil
	}
	return objects, err
}

// collect runs a dump whose messages are decoded as they come.
func (c *conn) collect(get, want uint16, req []byte, decode func(payload []byte) error) error {
	buf := make([]byte, 4*maxDatagram)
	interrupted, err := c.dump(get, req, dumpSink{
		want:     want,
		buffer:   func() []byte { return buf },
		message:  func(msg []byte) (bool, error) { return true, decode(msg[unix.NLMSG_HDRLEN:]) },
		datagram: func(int) {},
	})
	if err == nil && interrupted {
		err = ErrInterrupted
	}
	return err
}

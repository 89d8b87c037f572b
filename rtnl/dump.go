package rtnl

import (
	"bytes"
	"cmp"
	"errors"
	"math/bits"

	"golang.org/x/sys/unix"
)

// An arena holds the bytes that the kernel sent, in chunks that are never moved.
type arena struct {
	chunk []byte // the current chunk: len is what is used of it
}

// Chunks grow from what holds a laptop's routes to what wastes little of a
// router's.
const (
	minChunk = 2 * maxDatagram
	maxChunk = 16 * maxDatagram
)

// room returns at least maxDatagram bytes after those that are used.
func (a *arena) room() []byte {
	if cap(a.chunk)-len(a.chunk) < maxDatagram {
		a.chunk = make([]byte, 0, min(max(2*cap(a.chunk), minChunk), maxChunk))
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

// keyed reports whether the kernel resumes a dump of the family at a key, and
// not at a count: at an address (fib_table_dump) or a label (mpls_dump_routes).
// Between two datagrams such a walk loses nothing, whatever changes.
func (f Family) keyed() bool { return f == IPv4 || f == MPLS }

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

	begins, ends bool // whether it is known that the group has nothing before, after it
	follows      bool // whether it is known that nothing is between the run before and this one
}

// A routeDump is the answer to one RTM_GETROUTE dump.
type routeDump struct {
	runs        []run
	objects     bool // whether a route that is kept uses a nexthop object
	interrupted bool // the kernel set NLM_F_DUMP_INTR
}

// batchCapacity is how much of a dump fits into one datagram of the kernel:
// SKB_WITH_OVERHEAD(32768), with a reserve for a larger overhead.
const batchCapacity = 32<<10 - 512

// dumpRoutes runs one dump over a connection that was warmed with a buffer of
// the given size, which is how much the first datagram holds.
func (c *conn) dumpRoutes(req dumpRequest, f *Filter, mem *arena, warmed int) (*routeDump, error) {
	d := &routeDump{}
	// The room that was left in the datagram before, and the largest message so
	// far: where that would have fitted, the kernel had nothing more to say of the
	// group and did not stop for want of room.
	var room, largest int
	capacity := min(warmed, batchCapacity)
	var buf []byte
	kept, from := 0, 0 // bytes kept of this datagram; where its last run begins
	fresh := true      // whether it has no run yet
	only4 := len(f.Families) == 1 && f.Families[0] == IPv4
	interrupted, err := c.dump(unix.RTM_GETROUTE, req.appendTo(nil), dumpSink{
		want: unix.RTM_NEWROUTE,
		buffer: func() []byte {
			buf, kept, fresh = mem.room(), 0, true
			return buf
		},
		message: func(msg []byte) (bool, error) {
			h, err := readHead(msg[unix.NLMSG_HDRLEN:])
			if err != nil {
				return false, err
			}
			largest = max(largest, len(msg))
			g := group{h.family, h.table}
			pos := positionOf(&h)
			if n := len(d.runs); fresh || d.runs[n-1].group != g {
				if only4 && h.family != IPv4 {
					// Families come one after the other: IPv4 is complete.
					return false, nil
				}
				d.startRun(g, pos, fresh, room >= largest)
				from = kept
			}
			fresh = false
			r := &d.runs[len(d.runs)-1]
			r.last = pos
			if f.match(&h) {
				// Over what was dropped.
				copy(buf[kept:], msg)
				kept += align4(len(msg))
				r.data = buf[from:kept:kept]
				d.objects = d.objects || h.object
			}
			return true, nil
		},
		datagram: func(n int) {
			room, capacity = capacity-n, batchCapacity
			mem.keep(kept)
		},
	})
	d.interrupted = interrupted
	switch {
	case errors.Is(err, unix.ENOENT) && req.table != 0, errors.Is(err, unix.ENODEV) && req.oif != 0:
		err = nil // no such table or interface: no such routes
	case err != nil:
		return nil, err
	}
	mem.keep(kept)
	if n := len(d.runs); n > 0 {
		// A dump of one family ends in the same way where a route does not fit.
		last := &d.runs[n-1]
		last.ends = req.family == 0 && (last.family.keyed() || room >= largest)
	}
	return d, nil
}

// startRun begins a run and notes what is known about its neighbour.
func (d *routeDump) startRun(g group, pos position, first, roomLeft bool) {
	r := run{group: g, first: pos}
	if len(d.runs) == 0 {
		r.begins = true
	} else {
		before := &d.runs[len(d.runs)-1]
		switch {
		case before.group == g:
			r.follows = g.family.keyed() && before.last.dst != pos.dst
		case !first, before.family.keyed(), before.family != g.family, roomLeft:
			before.ends, r.begins = true, true
		}
	}
	d.runs = append(d.runs, r)
}

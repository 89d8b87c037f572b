package rtnl

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"

	"golang.org/x/sys/unix"
)

// listenGroups are the multicast groups that tell of changes to what a Snapshot
// holds (bit N-1 for group N). IPv4 routes that go away with their link or
// address send no RTM_DELROUTE, so that links and addresses are heard too.
const listenGroups = 1<<(unix.RTNLGRP_LINK-1) |
	1<<(unix.RTNLGRP_IPV4_IFADDR-1) | 1<<(unix.RTNLGRP_IPV6_IFADDR-1) |
	1<<(unix.RTNLGRP_IPV4_ROUTE-1) | 1<<(unix.RTNLGRP_IPV6_ROUTE-1) |
	1<<(unix.RTNLGRP_IPV4_MROUTE-1) | 1<<(unix.RTNLGRP_IPV6_MROUTE-1) |
	1<<(unix.RTNLGRP_MPLS_ROUTE-1) | 1<<(unix.RTNLGRP_NEXTHOP-1)

// changes are what a listener heard.
type changes struct {
	groups  map[group]bool // table by its low byte: see bucket
	dsts4   [][4]byte      // addresses of the destinations of IPv4 routes, in any table
	routes  bool           // any group may have changed
	links   bool           // an interface changed: one of devs, any if anyDev
	devs    []Link         // what was said of it, at most maxDevs
	anyDev  bool
	objects bool
	entries uint64 // of the IPv6 tables that may have changed: see routeHead.entries

	route     func(*routeHead) // is told of each route that changed; may be nil
	multipath [][]byte         // messages about new IPv6 multipath routes, for settle
	size      int              // of these
	lost      bool             // there were more of them
}

// maxDevs bounds how many messages about interfaces are told apart.
const maxDevs = 1000

// anyEntries is added to changes.entries for what is no message about a route.
const anyEntries = 1 << 32

// bucket is where the kernel keeps a table: those of one low byte in one list
// (fib_new_table, fib6_link_table). A dump resumes at a place in that list, so a
// table that is new in it can make others come again.
func (g group) bucket() group { return group{g.family, g.table & 0xff} }

func (c *changes) group(g group) bool { return c.routes || c.groups[g.bucket()] }

// sort is what between needs.
func (c *changes) sort() {
	slices.SortFunc(c.dsts4, func(a, b [4]byte) int { return bytes.Compare(a[:], b[:]) })
}

// between reports whether an IPv4 route may have changed whose destination's
// address is in a range, ends included.
func (c *changes) between(from, to [4]byte) bool {
	i, _ := slices.BinarySearchFunc(c.dsts4, from, func(a, b [4]byte) int { return bytes.Compare(a[:], b[:]) })
	return c.routes || i < len(c.dsts4) && bytes.Compare(c.dsts4[i][:], to[:]) <= 0
}

// clone returns a copy of what is about routes, but for the multipath ones, that is
// added to no more.
func (c *changes) clone() *changes {
	return &changes{groups: maps.Clone(c.groups), dsts4: slices.Clone(c.dsts4), routes: c.routes, objects: c.objects}
}

// keep keeps a message about a multipath route.
func (c *changes) keep(msg []byte) {
	if c.size += len(msg); c.size > maxMultipath {
		c.lost = true
		return
	}
	c.multipath = append(c.multipath, append(make([]byte, 0, align4(len(msg))), msg...)[:align4(len(msg))])
}

// forget empties c but for the multipath routes.
func (c *changes) forget() {
	*c = changes{route: c.route, multipath: c.multipath, size: c.size, lost: c.lost}
}

// everything notes that it is not known what changed.
func (c *changes) everything() {
	c.routes, c.links, c.anyDev, c.objects = true, true, true, true
	c.entries += anyEntries
}

// dev notes a message about an interface.
func (c *changes) dev(payload []byte) {
	var l Link
	if l.UnmarshalBinary(payload) != nil || len(c.devs) >= maxDevs {
		c.anyDev = true
	} else {
		c.devs = append(c.devs, l)
	}
	c.routes, c.links = true, true
	c.entries += anyEntries
}

// A listener is a socket that hears of every change from when it was opened. The
// kernel queues the message about an IPv6 route while it holds the table's lock,
// and about others while it holds the RTNL lock, which a dump of all families
// takes for each datagram: what a dump can have seen has been told when it ends.
type listener struct{ conn *conn }

func listen(ctx context.Context, dial dialer) (*listener, error) {
	c, err := dial.open(ctx, listenGroups)
	if err != nil {
		return nil, err
	}
	return &listener{c}, nil
}

func (l *listener) close() { l.conn.close() }

// drain adds to c what has been heard since the last call. A socket whose queue
// overflowed has heard of everything.
func (l *listener) drain(c *changes) error {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	for {
		n, err := l.conn.receive(b[:maxDatagram], true)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.ENOBUFS), errors.Is(err, ErrTooLarge):
			c.everything()
		case err != nil:
			return err
		default:
			c.add(b[:n])
		}
	}
}

// add notes the messages of a datagram.
func (c *changes) add(b []byte) {
	for len(b) >= unix.NLMSG_HDRLEN {
		n := int(u32(b))
		if n < unix.NLMSG_HDRLEN || n > len(b) {
			break
		}
		switch u16(b[4:]) {
		case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
			h, err := readHead(b[unix.NLMSG_HDRLEN:n])
			if err != nil {
				c.everything()
				return
			}
			if c.route != nil {
				c.route(&h)
			}
			if c.groups == nil {
				c.groups = map[group]bool{}
			}
			c.groups[group{h.family, h.table}.bucket()] = true
			if h.family == IPv4 {
				var a [4]byte
				copy(a[:], h.dst)
				c.dsts4 = append(c.dsts4, a)
			}
			if h.family == IPv6 {
				c.entries += uint64(h.entries())
				if h.hops != nil && u16(b[4:]) == unix.RTM_NEWROUTE {
					c.keep(b[:n])
				}
			}
		case unix.RTM_NEWNEXTHOP, unix.RTM_DELNEXTHOP:
			// Routes go away with their object, with no message for each.
			c.routes, c.objects = true, true
			c.entries += anyEntries
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			c.dev(b[unix.NLMSG_HDRLEN:n])
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			c.routes = true
			c.entries += anyEntries
		default:
			c.everything()
		}
		b = b[min(align4(n), len(b)):]
	}
	if len(b) > 0 {
		c.everything()
	}
}

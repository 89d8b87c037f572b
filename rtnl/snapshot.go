package rtnl

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// A Snapshot is the routing state at one time: the kernel's own messages, and
// the interfaces and nexthop objects that they refer to. It does not change and
// may be read by several goroutines, each with a Cursor of its own.
type Snapshot struct {
	// Consistent is true if nothing changed while the kernel was read, or if all
	// changes are accounted for: each route that was there all the time is here
	// once, and one that changed is its old or its new self. Otherwise a route may
	// be missing, though none comes twice but for multicast routes.
	Consistent bool
	// Tries is how often the kernel was asked, at most MaxTries.
	Tries int

	routes  [][]byte // runs of RTM_NEWROUTE messages
	counted int      // routes that are not among them: see Request.Count
	links   map[uint32]Link
	objects map[uint32]*NexthopObject

	rawLinks, rawObjects []byte // the messages, for a capture
}

// Link returns an interface by its index. There is none if links were not asked
// for or if the interface has gone away.
func (s *Snapshot) Link(index uint32) (Link, bool) {
	l, ok := s.links[index]
	return l, ok
}

// Object returns a nexthop object by its id. There are none unless they were
// asked for and a route uses one.
func (s *Snapshot) Object(id uint32) (*NexthopObject, bool) {
	o, ok := s.objects[id]
	return o, ok
}

// Cursor returns a cursor before the first route. Only the parts of each route
// that are in want are decoded.
func (s *Snapshot) Cursor(want Fields) *Cursor {
	return &Cursor{runs: s.routes, counted: s.counted, want: want}
}

// A Cursor walks over the routes of a snapshot, in the kernel's order.
type Cursor struct {
	runs    [][]byte
	counted int
	rest    []byte
	msg     []byte
	want    Fields

	route   Route
	decoded bool

	node  group        // table and destination of the IPv6 routes in alike
	dst   netip.Prefix //
	alike []hash       // their identities,
	often map[hash]int // and how often each was there, if they are many
}

// Next moves to the next route. It returns false at the end.
func (c *Cursor) Next() bool {
	if c.counted > 0 {
		c.counted--
		return true
	}
	for len(c.rest) == 0 {
		if len(c.runs) == 0 {
			return false
		}
		c.rest, c.runs = c.runs[0], c.runs[1:]
	}
	n := int(u32(c.rest))
	c.msg = c.rest[unix.NLMSG_HDRLEN:n]
	c.rest = c.rest[min(align4(n), len(c.rest)):]
	c.decoded = false
	return true
}

// Route decodes and returns the current route. It is valid until the next call
// of Next: copy it, slices included, to keep it.
func (c *Cursor) Route() *Route {
	if !c.decoded {
		if err := c.route.decode(c.msg, c.want); err != nil {
			panic("rtnl: a route was accepted that cannot be decoded: " + err.Error())
		}
		c.decoded = true
		if c.want&FieldID == FieldID && c.route.Family == IPv6 {
			c.countTwins()
		}
	}
	return &c.route
}

// Attributes returns which attributes the current route has, wanted or not.
func (c *Cursor) Attributes() (f Fields) {
	for a := walk(c.msg[rtmsgLen:]); a.next(); {
		f |= 1 << a.typ // nothing from 64 on
	}
	return f
}

// manyAlike is from how many routes to one destination on a map is faster.
const manyAlike = 32

// countTwins notes how many of the routes to the same destination that came
// before are like the current one. They come one after the other, and a filter
// lets all of them through or none.
func (c *Cursor) countTwins() {
	r := &c.route
	if g := (group{r.Family, r.Table}); g != c.node || r.Dst != c.dst {
		c.node, c.dst, c.alike, c.often = g, r.Dst, c.alike[:0], nil
	}
	id := r.identity()
	switch {
	case c.often != nil:
		r.twin = c.often[id]
		c.often[id]++
	case len(c.alike) < manyAlike:
		for _, other := range c.alike {
			if other == id {
				r.twin++
			}
		}
		c.alike = append(c.alike, id)
	default: // as multicast has, a route for each interface
		c.often = map[hash]int{}
		for _, other := range c.alike {
			c.often[other]++
		}
		r.twin = c.often[id]
		c.often[id]++
	}
}

// Nexthops returns every way that a route has: the members of its RTA_MULTIPATH,
// its nexthop object or the members of its group, or the single one that the
// route itself names. A route without any (a blackhole, or one whose nexthop
// object is one) has none. buf is reused if it has room; FieldNexthops must have
// been decoded.
func (s *Snapshot) Nexthops(r *Route, buf []Nexthop) []Nexthop {
	buf = buf[:0]
	o := s.objects[r.NexthopID.V]
	if !r.NexthopID.OK {
		o = nil
	}
	switch {
	case s.blackhole(r):
	case len(r.Multipath) > 0:
		buf = append(buf, r.Multipath...)
		if o != nil && len(o.Group) == len(buf) {
			// RTA_MULTIPATH cuts weights to 8 bits and does not name the members.
			for i, m := range o.Group {
				buf[i].is(m.ID, m.Weight, s.objects)
			}
		}
	case r.OIF.OK || r.Gateway.IsValid() || r.LinkGateway != nil:
		buf = append(buf, r.hop())
		switch {
		case o == nil:
		case len(o.Group) == 1:
			buf[0].is(o.Group[0].ID, o.Group[0].Weight, s.objects)
		default:
			buf[0].is(o.ID, 1, s.objects)
		}
	case o != nil && len(o.Group) > 0:
		for _, m := range o.Group {
			n := Nexthop{Weight: m.Weight, ID: some(m.ID)}
			if member := s.objects[m.ID]; member != nil {
				n = member.hop(m.Weight)
			}
			buf = append(buf, n)
		}
	case o != nil:
		buf = append(buf, o.hop(1))
	case r.NexthopID.OK:
		buf = append(buf, Nexthop{Weight: 1, Flags: r.Flags & 0xff, ID: r.NexthopID})
	}
	return buf
}

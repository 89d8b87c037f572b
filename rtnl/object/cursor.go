package object

import "net/netip"

// A Cursor walks over the routes in some runs, in the kernel's order.
type Cursor struct {
	runs    []Run
	current Run
	message Message
	want    Fields

	route   Route
	decoded bool

	table Table        // table and destination of the IPv6 routes in alike
	dst   netip.Prefix //
	alike []hash       // their identities,
	often map[hash]int // and how often each was there, if they are many
}

// NewCursor returns a cursor before the first route. Only the parts of each route
// that are in want are decoded.
func NewCursor(runs []Run, want Fields) *Cursor { return &Cursor{runs: runs, want: want} }

// Next moves to the next route. It returns false at the end.
func (c *Cursor) Next() bool {
	for !c.current.Next(&c.message) {
		if len(c.runs) == 0 {
			return false
		}
		c.current, c.runs = c.runs[0], c.runs[1:]
	}
	c.decoded = false
	return true
}

// Route decodes and returns the current route. It is valid until the next call
// of Next: see Route.Clone.
func (c *Cursor) Route() *Route {
	if !c.decoded {
		c.route.Decode(&c.message, c.want)
		c.decoded = true
		if c.want&FieldID == FieldID && c.route.Family == IPv6 {
			c.countTwins()
		}
	}
	return &c.route
}

// Twin reports whether a route before it, to the same destination, is like the route in
// all that its identity is made of but their number.
func (r *Route) Twin() bool { return r.twin > 0 }

// SetTwin says how many routes before it are like the route, for one that was decoded without
// these.
func (r *Route) SetTwin(n int) { r.twin = n }

// Attributes returns which attributes the current route has, wanted or not.
func (c *Cursor) Attributes() Fields { return c.message.has }

// manyAlike is from how many routes to one destination on a map is faster.
const manyAlike = 32

// countTwins notes how many of the routes to the same destination that came
// before are like the current one. They come one after the other, and a filter
// lets all of them through or none.
func (c *Cursor) countTwins() {
	r := &c.route
	if g := (Table{r.Family, r.Table}); g != c.table || r.Dst != c.dst {
		c.table, c.dst, c.alike, c.often = g, r.Dst, c.alike[:0], nil
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

package object

import "kernelroutes/rtnl/wire"

// A Grouping says by what routes are told apart that are counted, and what is counted of
// them beside their number. The zero value counts objects of any kind.
type Grouping struct {
	Family, Table, Protocol, Type, Scope bool

	Object   bool // by the nexthop object that they use
	Output   bool // by the output interface of a route with a single nexthop
	Nexthops bool // Counts.Nexthops and Counts.Multipath are wanted
	Defaults bool // Counts.Defaults is wanted
}

// And returns the grouping that tells apart and counts what either of two does.
func (g Grouping) And(o Grouping) Grouping {
	return Grouping{g.Family || o.Family, g.Table || o.Table, g.Protocol || o.Protocol, g.Type || o.Type,
		g.Scope || o.Scope, g.Object || o.Object, g.Output || o.Output, g.Nexthops || o.Nexthops,
		g.Defaults || o.Defaults}
}

// UsesObjects reports whether the nexthop objects must be known.
func (g *Grouping) UsesObjects() bool { return g.Output || g.Nexthops }

// A Class is what routes share that are counted together. What the grouping does not tell
// them apart by is zero.
type Class struct {
	Family   Family    // rtm_family
	Protocol uint8     // rtm_protocol, RTPROT_*
	Type     RouteType // rtm_type
	Scope    uint8     // rtm_scope, RT_SCOPE_*
	Table    uint32    // RTA_TABLE
	// NexthopID is the nexthop object that the routes use (RTA_NH_ID), 0 for none.
	NexthopID uint32
	// Output is the index of the output interface, absent if there is none and for several
	// nexthops.
	Output Opt[uint32]

	// Until the nexthop objects are known: the one that the routes use, and how many
	// nexthops the kernel has copied from it into each, which net.ipv4.nexthop_compat_mode
	// decides.
	object Opt[uint32]
	copied uint32
}

// Counts are how many routes there are of a class.
type Counts struct {
	Routes    int // or objects of another kind
	Nexthops  int // of all of them together: see Route.Nexthops
	Multipath int // routes with more than one nexthop
	Defaults  int // routes whose destination has no length: all but MPLS's
}

// Add adds others.
func (c *Counts) Add(o Counts) {
	c.Routes += o.Routes
	c.Nexthops += o.Nexthops
	c.Multipath += o.Multipath
	c.Defaults += o.Defaults
}

// A Tally counts routes by their class, on the bytes of their messages.
type Tally struct {
	by     Grouping
	counts map[Class]*Counts

	// The class of the last one, which most routes share with the one before.
	class Class
	last  *Counts
}

// NewTally returns a tally of no routes.
func NewTally(by Grouping) *Tally { return &Tally{by: by, counts: map[Class]*Counts{}} }

// Add counts a route, or with the zero Grouping an object of any kind.
func (t *Tally) Add(m *Message) {
	class, hops := t.by.classify(m)
	c := t.of(class)
	c.Routes++
	c.Nexthops += hops
	if hops > 1 {
		c.Multipath++
	}
	if t.by.Defaults && m.payload[1] == 0 && Family(m.payload[0]).AddrLen() > 0 {
		c.Defaults++
	}
}

// of returns the counts of a class.
func (t *Tally) of(class Class) *Counts {
	if t.last != nil && class == t.class {
		return t.last
	}
	c := t.counts[class]
	if c == nil {
		c = new(Counts)
		t.counts[class] = c
	}
	t.class, t.last = class, c
	return c
}

// AddAll counts the routes of some runs.
func (t *Tally) AddAll(runs []Run) {
	Each(runs, func(m *Message) bool {
		t.Add(m)
		return true
	})
}

// Union adds what another one with the same grouping has counted.
func (t *Tally) Union(o *Tally) {
	for class, c := range o.counts {
		t.of(class).Add(*c)
	}
}

// Total returns how many there are of all classes.
func (t *Tally) Total() (n int) {
	for _, c := range t.counts {
		n += c.Routes
	}
	return n
}

// Refer notes what must be known of the routes that were counted, as Kind.Refer notes it of
// each: the nexthop objects, and the output interfaces.
func (t *Tally) Refer(refs *References) {
	for class := range t.counts {
		for _, id := range []uint32{class.object.V, class.NexthopID} {
			if id != 0 {
				refs.Add(NexthopObjects.Kind, id)
			}
		}
		refs.addLink(class.Output.V)
	}
}

// Resolve returns the counts by class, with what the nexthop objects tell of the routes
// that use them.
func (t *Tally) Resolve(objects map[uint32]*NexthopObject) map[Class]Counts {
	all := map[Class]Counts{}
	for class, c := range t.counts {
		counts := *c
		if class.object.OK {
			var hops int
			class, hops = class.resolve(objects)
			if !t.by.Output {
				class.Output = Opt[uint32]{}
			}
			if t.by.Nexthops {
				counts.Nexthops = hops * c.Routes
				if hops > 1 {
					counts.Multipath = c.Routes
				}
			}
		}
		sum := all[class]
		sum.Add(counts)
		all[class] = sum
	}
	return all
}

// resolve returns the class of routes that use a nexthop object, and how many nexthops each
// of them has: Route.Nexthops, for all of them at once.
func (c Class) resolve(objects map[uint32]*NexthopObject) (_ Class, hops int) {
	o := objects[c.object.V]
	switch hops = int(c.copied); {
	case o.blackhole(objects):
		hops, c.Output = 0, Opt[uint32]{}
	case hops == 0:
		r := Route{NexthopID: c.object}
		all := r.Nexthops(objects, nil)
		if hops = len(all); hops == 1 {
			c.Output = Opt[uint32]{V: all[0].OIF, OK: all[0].OIF != 0}
		}
	}
	c.object, c.copied = Opt[uint32]{}, 0
	return c, hops
}

// classify returns the class of a route, and how many nexthops it has if it uses no nexthop
// object and that is wanted.
func (g *Grouping) classify(m *Message) (c Class, hops int) {
	b := m.payload
	if g.Family {
		c.Family = Family(b[0])
	}
	if g.Table {
		c.Table = m.routeTable().ID
	}
	if g.Protocol {
		c.Protocol = b[5]
	}
	if g.Scope {
		c.Scope = b[6]
	}
	if g.Type {
		c.Type = RouteType(b[7])
	}
	if g.Object {
		c.NexthopID = m.NexthopID()
	}
	if !g.UsesObjects() {
		return c, 0
	}
	c.object = m.optU32(rtaNHID)
	if g.Output {
		c.Output = m.optU32(rtaOIF)
	}
	if !c.object.OK {
		if g.Nexthops {
			hops = m.ownNexthops()
		}
		return c, hops
	}
	own := m.ownNexthops()
	c.copied = uint32(own)
	if g.Output && own == 1 && !c.Output.OK && m.has&(1<<rtaMultipath) != 0 {
		for oif := range outputs(m.data(rtaMultipath)) { // of a group of one, as IPv6 has it
			c.Output = Opt[uint32]{V: oif, OK: oif != 0}
		}
	}
	return c, 0
}

// optU32 returns an attribute that is a u32.
func (m *Message) optU32(number uint16) (o Opt[uint32]) {
	if d := m.Sized(number, 4); d != nil {
		o.V, o.OK = wire.U32(d), true
	}
	return o
}

// ownNexthops returns how many nexthops are in a route's own message.
func (m *Message) ownNexthops() (n int) {
	if m.has&(1<<rtaMultipath) != 0 {
		w := multipath{b: m.data(rtaMultipath)}
		for w.next() {
			n++
		}
	}
	switch {
	case n > 0:
		return n
	case m.has&FieldVia == 0:
		return 0
	case m.Sized(rtaOIF, 4) != nil:
		return 1
	}
	var r Route
	if r.Decode(m, FieldVia); r.Gateway.IsValid() || r.LinkGateway != nil {
		return 1
	}
	return 0
}

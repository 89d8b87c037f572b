package events

import (
	"net/netip"
	"slices"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A cause is a change that may take routes or nexthop objects along, of which the kernel does not
// tell.
type cause struct {
	item   item
	kind   *object.Kind
	number uint32     // of the link or nexthop object
	addr   netip.Addr // of a link that lost it
	// carrier says that a link has lost its carrier and nothing else: only what uses a nexthop object
	// goes (nexthop_flush_dev), while routes are marked and stay (fib_sync_down_dev, fib6_ifdown).
	carrier bool

	action Action
	object object.Run // of a link or address, which is told of only if it takes something along

	nexthops map[uint32]bool // that may be gone with it; true: that are, as groups of such alone
}

// takeLink takes in a message about an interface.
func (f *follower) takeLink(i item, m *object.Message, gone bool) (err error) {
	c := f.linkCause(i, m, gone)
	if !gone {
		f.state.setLink(m)
	}
	if c != nil {
		err = f.sweep(c)
	}
	if gone {
		delete(f.state.links, object.Links.Number(m))
	}
	return err
}

// linkCause returns a cause if an interface has gone, or went down, lost its carrier, or came into
// a VRF or out of it: then what leads through it may go; nil: nothing goes.
func (f *follower) linkCause(i item, m *object.Message, gone bool) *cause {
	c := &cause{item: i, kind: object.Links.Kind, number: object.Links.Number(m), action: Deleted,
		object: object.RunOf(m)}
	if gone {
		return c
	}
	c.action = Replaced
	const carrier = object.IFF_RUNNING | object.IFF_LOWER_UP
	before, flags := f.state.links[c.number], object.LinkFlags(m)
	if before == nil {
		return nil
	}
	c.carrier = before.flags&^flags&object.IFF_UP == 0 && before.upper == object.LinkMaster(m)
	if c.carrier && (before.flags&carrier != carrier || flags&carrier == carrier) {
		return nil
	}
	return c
}

// addressCause returns a cause if an IPv4 address has gone: routes go with the one that they
// prefer, and with the last one of their interface (fib_sync_down_addr, fib_disable_ip).
func addressCause(i item, m *object.Message, gone bool) *cause {
	var a object.InterfaceAddress
	a.Decode(m)
	if !gone || a.Family != object.IPv4 {
		return nil
	}
	return &cause{item: i, kind: object.Addresses, number: a.Link, addr: a.Address.Addr(), action: Deleted,
		object: object.RunOf(m)}
}

// nexthopCause returns a cause if a nexthop object has gone.
func nexthopCause(i item, m *object.Message, gone bool) *cause {
	if !gone {
		return nil
	}
	return &cause{item: i, kind: object.NexthopObjects.Kind, number: object.NexthopObjects.Number(m)}
}

// later returns the causes that came while the kernel was read.
func (f *follower) later() (all []*cause) {
	for _, i := range f.ahead {
		var m object.Message
		k, ok := checked(&m, i.msg)
		if !ok || k.Foreign != nil && k.Foreign(&m) {
			continue
		}
		gone := wire.Type(i.msg) == k.Del
		var c *cause
		switch k {
		case object.Links.Kind:
			c = f.linkCause(i, &m, gone)
		case object.Addresses:
			c = addressCause(i, &m, gone)
		case object.NexthopObjects.Kind:
			c = nexthopCause(i, &m, gone)
		}
		if c != nil {
			f.concerns(c)
			all = append(all, c)
		}
	}
	return all
}

// surely reports whether an object that has gone can have gone with the cause alone: an address
// takes along what leads through its interface only if it was the last one, and a nexthop object a
// group only if that has no other.
func (c *cause) surely(m *object.Message) bool {
	switch {
	case m.Kind() == object.NexthopObjects.Kind:
		return c.nexthops[object.NexthopObjects.Number(m)]
	case m.UsesObject():
		return c.nexthops[m.NexthopID()]
	}
	return c.takes(m) && (!c.addr.IsValid() || string(m.PrefSrc()) == string(c.addr.AsSlice()))
}

// takes reports whether an object may go with the cause.
func (c *cause) takes(m *object.Message) bool {
	if m.Kind() == object.NexthopObjects.Kind {
		_, may := c.nexthops[object.NexthopObjects.Number(m)]
		return may
	}
	if m.Kind() != object.Routes.Kind {
		return false
	}
	if _, may := c.nexthops[m.NexthopID()]; may {
		return true
	}
	switch {
	case c.kind == object.NexthopObjects.Kind, c.carrier,
		c.kind == object.Addresses && object.Routes.Table(m).Family != object.IPv4:
		return false
	}
	if src := m.PrefSrc(); c.addr.IsValid() && string(src) == string(c.addr.AsSlice()) {
		return true
	}
	for oif := range m.Ways {
		if oif == c.number {
			return true
		}
	}
	return false
}

// stays reports whether a route that leads through an interface is there all the same when that went
// down: it has another way, or it is one to an address of the host itself, which stay as long as the
// interface does.
func (c *cause) stays(m *object.Message) bool {
	if c.kind != object.Links.Kind || m.UsesObject() {
		return false
	}
	for oif := range m.Ways {
		if oif != c.number {
			return true
		}
	}
	const host = 254 // RT_SCOPE_HOST
	return c.action != Deleted && object.Routes.Table(m).Family == object.IPv4 && object.RouteScope(m) == host
}

// concerns works out which nexthop objects may go with the cause, and returns a filter for the
// routes that may; false: nothing may.
func (f *follower) concerns(c *cause) (routes rtnl.Filter, any bool) {
	s := f.state
	c.nexthops = map[uint32]bool{}
	switch c.kind {
	case object.NexthopObjects.Kind:
		c.nexthops[c.number] = true
	case object.Links.Kind: // nexthop objects do without addresses
		for id, run := range s.nexthops {
			var o object.NexthopObject
			if object.Decode(run, object.NexthopObjects, &o) && o.OIF == c.number {
				c.nexthops[id] = true
			}
		}
	}
	// A group goes with its last member.
	for id, run := range s.nexthops {
		var o object.NexthopObject
		goes := func(g object.GroupMember) bool { return c.nexthops[g.ID] }
		if object.Decode(run, object.NexthopObjects, &o) && slices.ContainsFunc(o.Group, goes) {
			c.nexthops[id] = !slices.ContainsFunc(o.Group, func(g object.GroupMember) bool { return !goes(g) })
		}
	}
	_, any = s.nexthops[c.number]
	any = any && c.kind == object.NexthopObjects.Kind || len(c.nexthops) > 0 && c.kind != object.NexthopObjects.Kind
	routes.None = true
	leads := c.kind == object.Links.Kind && !c.carrier && s.overLink[c.number] > 0
	if c.kind != object.Addresses && !leads && !f.used(c.nexthops) {
		return routes, any
	}
	byNexthop := false
	s.routes.shapes.each(func(m *object.Message, _ ref) {
		if !c.takes(m) {
			return
		}
		t := object.Routes.Table(m)
		routes.None = false
		routes.Families, routes.Tables = with(routes.Families, t.Family), with(routes.Tables, t.ID)
		byNexthop = byNexthop || m.UsesObject()
		for oif := range m.Ways {
			routes.OIFs = with(routes.OIFs, oif)
		}
	})
	if byNexthop || len(routes.OIFs) > maxOutputs {
		routes.OIFs = nil
	}
	return routes, any || !routes.None
}

// maxOutputs is for how many interfaces the kernel is asked one by one, at most.
const maxOutputs = 4

// used reports whether routes use any of some nexthop objects.
func (f *follower) used(ids map[uint32]bool) bool {
	for id := range ids {
		if f.state.overNexthop[id] > 0 {
			return true
		}
	}
	return false
}

// with returns a list that has a value.
func with[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

package object

import "slices"

// hop returns what the route itself says of its only nexthop.
func (r *Route) hop() Nexthop {
	return Nexthop{OIF: r.OIF.V, Gateway: r.Gateway, LinkGateway: r.LinkGateway, Weight: 1, Flags: r.Flags & 0xff,
		Realms: r.Realms, Encap: r.Encap, NewDst: r.NewDst, ID: r.NexthopID}
}

// is says which nexthop object a nexthop is that the kernel has copied into the
// route, and adds what the copy lacks.
func (n *Nexthop) is(id, weight uint32, objects map[uint32]*NexthopObject) {
	n.ID, n.Weight = Some(id), weight
	if o := objects[id]; o != nil && o.Unknown != nil {
		n.Unknown = append(slices.Clip(n.Unknown), o.Unknown...)
	}
}

// Nexthops returns every way that a route has: the members of its RTA_MULTIPATH,
// its nexthop object or the members of its group, or the single one that the
// route itself names. A route without any (a blackhole, or one whose nexthop
// object is one) has none. buf is reused if it has room; FieldNexthops must have
// been decoded.
func (r *Route) Nexthops(objects map[uint32]*NexthopObject, buf []Nexthop) []Nexthop {
	buf = buf[:0]
	var o *NexthopObject
	if r.NexthopID.OK {
		o = objects[r.NexthopID.V]
	}
	switch {
	case o.blackhole(objects):
	case len(r.Multipath) > 0:
		buf = append(buf, r.Multipath...)
		if o != nil && len(o.Group) == len(buf) {
			// RTA_MULTIPATH cuts weights to 8 bits and does not name the members.
			for i, m := range o.Group {
				buf[i].is(m.ID, m.Weight, objects)
			}
		}
	case r.OIF.OK || r.Gateway.IsValid() || r.LinkGateway != nil:
		buf = append(buf, r.hop())
		switch {
		case o == nil:
		case len(o.Group) == 1:
			buf[0].is(o.Group[0].ID, o.Group[0].Weight, objects)
		default:
			buf[0].is(o.ID, 1, objects)
		}
	case o != nil && len(o.Group) > 0:
		for _, m := range o.Group {
			n := Nexthop{Weight: m.Weight, ID: Some(m.ID)}
			if member := objects[m.ID]; member != nil {
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

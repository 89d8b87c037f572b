package survival

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
)

// emptyRoute returns a route at a place, with nothing else.
func emptyRoute(p soakPlace) *object.Route {
	r := &object.Route{Family: object.IPv4, Table: tableNumber(p.table), Dst: netip.MustParsePrefix(p.dst),
		Priority: object.Some(uint32(p.metric))}
	if p.family == "ipv6" {
		r.Family = object.IPv6
	}
	return r
}

var soakProtocols = map[uint8]string{4: "static", 11: "zebra", 186: "bgp"}

// newRoute makes up a route for a place.
func (c *soakChurner) newRoute(p soakPlace) *soakThing {
	r := emptyRoute(p)
	r.Type, r.Protocol = object.Unicast, []uint8{4, 11, 186}[c.IntN(3)]
	if c.IntN(4) == 0 {
		r.Metrics = nltest.MetricsOf(map[uint8]uint32{2: 1300 + 100*uint32(c.IntN(2))}, "") // RTAX_MTU
	}
	dev := ""
	switch n := c.IntN(20); {
	case n == 0:
		r.Type = object.Blackhole
	case n < 3:
		dev = []string{"w0", "w1"}[c.IntN(2)]
		if !c.links[dev] {
			dev = "v0"
		}
		r.OIF = object.Some(soakIndex[dev])
		if r.Family == object.IPv4 {
			r.Scope = 253 // link
		}
	case n < 6:
		r.NexthopID = c.someNexthop(p.family)
	case n < 10:
		r.Multipath = c.hops(r.Family, 2+c.IntN(3))
	}
	if r.Type == object.Unicast && dev == "" && !r.NexthopID.OK && r.Multipath == nil {
		hop := c.hops(r.Family, 1)[0]
		r.Gateway, r.OIF = hop.Gateway, object.Some(hop.OIF)
	}
	if r.NexthopID.OK && r.Family == object.IPv4 {
		// The kernel has such routes share what they have, whatever their metrics are (fib_find_info_nh).
		r.Metrics = object.Metrics{}
	}
	return thingOfRoute(p, r)
}

// hops are so many nexthops, each another one.
func (c *soakChurner) hops(f object.Family, n int) (hops []object.Nexthop) {
	for _, i := range c.Perm(12)[:n] {
		hops = append(hops, object.Nexthop{OIF: soakIndex[fmt.Sprintf("v%d", i%3)], Weight: 1 + c.Uint32N(3),
			Gateway: soakGateway(f, i)})
	}
	return hops
}

// soakGateway is the number i, of 12, on interface i%3.
func soakGateway(f object.Family, i int) netip.Addr {
	if f == object.IPv6 {
		return netip.AddrFrom16([16]byte{0xfd, byte(i % 3), 15: byte(2 + i/3)})
	}
	return netip.AddrFrom4([4]byte{10, byte(i % 3), 0, byte(2 + i/3)})
}

// thingOfRoute is what the tables are to show of a route.
func thingOfRoute(p soakPlace, r *object.Route) *soakThing {
	is := &soakThing{soakPlace: p, typ: r.Type.String(), protocol: soakProtocols[r.Protocol],
		route: nltest.AppendRoute(nil, r)}
	gone := emptyRoute(p)
	if r.Family == object.IPv4 {
		gone.Scope = 255 // nowhere: any
	}
	is.remove = nltest.AppendRoute(nil, gone)
	row := soakRow{"type": is.typ, "protocol": is.protocol}
	if mtu, ok := r.Metrics.Get(2); ok {
		row["mtu"] = fmt.Sprint(mtu)
	}
	hops := r.Multipath
	switch {
	case r.NexthopID.OK:
		is.nexthop = r.NexthopID.V
		row["nexthop_id"] = fmt.Sprint(is.nexthop)
	case r.Type == object.Unicast && hops == nil:
		hops = []object.Nexthop{{OIF: r.OIF.V, Gateway: r.Gateway, Weight: 1}}
	}
	for _, h := range hops {
		is.gateways = append(is.gateways, gatewayText(h))
	}
	is.text, is.hops = textOfHops(row, hops), hopsText(hops)
	if len(hops) == 1 {
		is.dev = row["dev"]
	}
	if r.Family == object.IPv6 {
		for n := 1; n < len(hops); n++ {
			is.partial = append(is.partial, textOfHops(row, hops[:n]), hopsText(hops[:n]))
		}
	}
	return is
}

// textOfHops is textOfRoute of a row that has nexthops.
func textOfHops(row soakRow, hops []object.Nexthop) string {
	row["gateway"], row["dev"], row["nexthop_count"] = "", "", fmt.Sprint(len(hops))
	if len(hops) == 1 {
		row["gateway"], row["dev"] = gatewayText(hops[0]), linkName(hops[0].OIF)
	}
	return textOfRoute(row)
}

// hopsText is what kernel_route_nexthops is to show.
func hopsText(hops []object.Nexthop) string {
	var all []string
	for i, h := range hops {
		all = append(all, hopText(fmt.Sprint(i), gatewayText(h), linkName(h.OIF), fmt.Sprint(h.Weight)))
	}
	return strings.Join(all, ", ")
}

func hopText(index, gateway, dev, weight string) string {
	return index + ": " + gateway + " " + dev + " " + weight
}

func gatewayText(h object.Nexthop) string {
	if !h.Gateway.IsValid() {
		return ""
	}
	return h.Gateway.String()
}

func linkName(index uint32) string {
	for name, i := range soakIndex {
		if i == index {
			return name
		}
	}
	return ""
}

// Nexthop objects 1 to 8 are of IPv4, 11 to 18 of IPv6; 31 to 34 and 41 to 44 are groups of these.
const (
	soakObjects = 8
	soakGroups  = 4
)

func nexthopPlace(id uint32) soakPlace { return soakPlace{kind: "nexthop", dst: fmt.Sprint(id)} }

// someNexthop returns an object of a family, none if the one that was tried is not there.
func (c *soakChurner) someNexthop(family string) (id object.Opt[uint32]) {
	n := 1 + c.Uint32N(soakObjects)
	if c.Yes() {
		n = 31 + c.Uint32N(soakGroups)
	}
	if family == "ipv6" {
		n += 10
	}
	if c.model.now(nexthopPlace(n)) != nil {
		id = object.Some(n)
	}
	return id
}

// nexthop adds, replaces or deletes a nexthop object or a group. What uses it goes with it.
func (c *soakChurner) nexthop() {
	o := &object.NexthopObject{ID: 1 + c.Uint32N(soakObjects), Family: object.IPv4}
	is := &soakThing{}
	six := c.Uint32N(2) * 10
	if six > 0 {
		o.Family = object.IPv6
	}
	if c.IntN(3) == 0 {
		o.ID, o.Family = 31+c.Uint32N(soakGroups), 0
		is.members = map[uint32]uint32{}
		for _, n := range c.Perm(soakObjects)[:1+c.IntN(3)] {
			if m := uint32(n) + 1 + six; c.model.now(nexthopPlace(m)) != nil {
				is.members[m] = 1 + c.Uint32N(200)
			}
		}
		for _, id := range slices.Sorted(maps.Keys(is.members)) {
			o.Group = append(o.Group, object.GroupMember{ID: id, Weight: is.members[id]})
		}
		is.text = textOfGroup(is.members)
	} else {
		hop := c.hops(o.Family, 1)[0]
		o.OIF, o.Gateway = hop.OIF, hop.Gateway
		is.text = "via " + gatewayText(hop) + " dev " + linkName(hop.OIF)
	}
	o.ID += six
	p := nexthopPlace(o.ID)
	is.soakPlace = p
	there := c.model.now(p) != nil
	switch {
	case there && c.IntN(4) == 0:
		gone := map[soakPlace]*soakThing{}
		c.takeAway(gone, o.ID)
		c.change(gone, object.RTM_DELNEXTHOP, 0, nltest.AppendNexthop(nil, &object.NexthopObject{ID: o.ID}))
	case is.members != nil && len(o.Group) == 0:
	case there:
		c.change(map[soakPlace]*soakThing{p: is}, object.RTM_NEWNEXTHOP, unix.NLM_F_CREATE|unix.NLM_F_REPLACE,
			nltest.AppendNexthop(nil, o))
	default:
		c.change(map[soakPlace]*soakThing{p: is}, object.RTM_NEWNEXTHOP, unix.NLM_F_CREATE|unix.NLM_F_EXCL,
			nltest.AppendNexthop(nil, o))
	}
}

// takeAway notes what goes with a nexthop object: its routes, and a group whose last member it is.
func (c *soakChurner) takeAway(gone map[soakPlace]*soakThing, id uint32) {
	gone[nexthopPlace(id)] = nil
	for p, is := range c.model.those("route") {
		if is.nexthop == id {
			gone[p] = nil
		}
	}
	for p, is := range c.model.those("nexthop") {
		if is.members[id] == 0 {
			continue
		}
		left := *is
		left.members = maps.Clone(is.members)
		if delete(left.members, id); len(left.members) > 0 {
			left.text = textOfGroup(left.members)
			gone[p] = &left
			continue
		}
		var group uint32
		fmt.Sscan(p.dst, &group)
		c.takeAway(gone, group)
	}
}

// fill makes the routes that nobody touches, and the others that there are at first.
func (c *soakChurner) fill() {
	for i := range soakStatic {
		p := soakPlace{kind: "route", family: "ipv4", table: "main", metric: 100,
			dst: fmt.Sprintf("21.%d.%d.0/24", i/200, i%200)}
		if i%2 == 1 {
			p.family, p.dst = "ipv6", fmt.Sprintf("fd21:%x:%x::/48", 1+i/200, 1+i%200)
		}
		r := emptyRoute(p)
		r.Type, r.Protocol = object.Unicast, 4
		r.Gateway, r.OIF = soakGateway(r.Family, i%12), object.Some(soakIndex[fmt.Sprintf("v%d", i%3)])
		is := thingOfRoute(p, r)
		c.change(map[soakPlace]*soakThing{p: is}, object.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, is.route)
	}
	for range soakPlaces {
		c.step()
	}
	c.made.Store(0)
}

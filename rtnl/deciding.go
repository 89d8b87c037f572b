package rtnl

import (
	"net/netip"
	"slices"

	"kernelroutes/rtnl/object"
)

// What the kernel's answers to a look-up leave open: what an error means, and which route it
// was that decided.

// explain tells a blackhole of IPv4 from a packet that is refused for what it is: both are
// EINVAL, with no word about it. IPv6 gives it for a blackhole alone.
func (l *Lookups) explain(req *LookupRequest) error {
	if l.found.Error != Blackhole || req.Family() == object.IPv6 {
		return nil
	}
	dst, from := req.Destination.Unmap(), req.From.Unmap()
	suspect := from.IsValid() && !from.IsUnspecified() &&
		(from.IsMulticast() || from.IsLoopback() || from == broadcast4)
	if req.InDev == 0 && !suspect {
		return nil // ip_route_output_key_hash_rcu, __mkroute_output
	}
	l.found.Error = Invalid
	if from.IsMulticast() || from == broadcast4 || req.InDev != 0 && (dst.IsMulticast() || dst.IsLoopback() ||
		from.IsLoopback() || !from.IsValid() || from.IsUnspecified()) {
		return nil // a martian, before any route is looked up (ip_route_input_slow)
	}
	// Where this host's own packets, from any of its addresses, go into a blackhole, so does this one.
	own := *req
	own.From, own.InDev, own.OutDev = netip.Addr{}, 0, 0
	if err := l.ask(&own, false, &l.second); err != nil {
		return err
	}
	if l.second.err == Blackhole {
		l.found.Error = Blackhole
	}
	return nil
}

var broadcast4 = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// identify finds the table and the identity of the route that decides. It returns false if there
// is no such route any more.
func (l *Lookups) identify(req *LookupRequest, want Want) (same bool, err error) {
	match := l.found.Match
	if match.Family == object.IPv6 && match.NexthopID.OK {
		return l.decide(req, want)
	}
	req.Settle(match)
	switch {
	case want&WantID == 0 && !req.DoubtfulTable(match):
	case req.Doubtful(match):
		if same, err = l.find(req, want); !same || err != nil {
			return false, err
		}
	default:
		l.found.ID = string(match.AppendID(nil))
	}
	l.setTable(match.Table)
	return true, nil
}

// find finds the route that decides among those of a dump. It returns false if it is none of
// them.
func (l *Lookups) find(req *LookupRequest, want Want) (same bool, err error) {
	match := l.found.Match
	tables := []uint32{match.Table}
	if req.DoubtfulTable(match) {
		tables = []uint32{object.RT_TABLE_LOCAL, match.Table} // in this order they are looked at
	}
	for _, table := range tables {
		s, err := l.routes(Filter{Families: []object.Family{match.Family}, Tables: []uint32{table},
			Dsts: []netip.Prefix{match.Dst}})
		if err != nil {
			return false, err
		}
		alike := 0
		for r := range s.Routes(object.AllFields) {
			if req.Decides(r, match) {
				l.found.ID = string(r.AppendID(nil))
				alike++
			}
		}
		if alike > 1 || want&WantID == 0 {
			l.found.ID = "" // of several it is not told which
		}
		if alike > 0 {
			match.Table = table
			return true, nil
		}
	}
	return false, nil
}

// setTable notes the table in which the route is that decides.
func (l *Lookups) setTable(table uint32) {
	if l.found.Answer != nil {
		l.found.Answer.Table = table
	}
}

// decide finds the route that decides among those that use nexthop objects of IPv6. The kernel
// shows the first of them that a packet took on this processor, whichever decides now: what it
// keeps for later packets belongs to the object, of a group to the member, and remembers that
// route (rt6_get_pcpu_route, Linux 5.3). It returns false if there is none any more.
func (l *Lookups) decide(req *LookupRequest, want Want) (same bool, err error) {
	dst := req.Destination.WithZone("")
	l.found.Match = nil
	l.setTable(0)
	answer := l.found.Answer
	if answer == nil {
		if err := l.ask(req, false, &l.second); err != nil || l.second.err != "" {
			return false, err
		}
		answer = &l.second.route
	}
	f := Filter{Families: []object.Family{object.IPv6}}
	for bits := range dst.BitLen() + 1 {
		p, _ := dst.Prefix(bits)
		f.Dsts = append(f.Dsts, p)
	}
	s, err := l.routes(f)
	if err != nil {
		return false, err
	}
	found := mostSpecific(s, func(n *object.Nexthop) bool {
		return n.OIF == answer.OIF.V && n.Gateway == answer.Gateway
	})
	if len(found) == 0 { // another gateway on the same link was learnt (a redirect)
		found = mostSpecific(s, func(n *object.Nexthop) bool { return n.OIF == answer.OIF.V })
	}
	if len(found) == 0 {
		return false, nil
	}
	decides, err := l.ruled(req, s, found)
	if err != nil || decides == nil {
		return true, err
	}
	l.found.Match = decides
	l.setTable(decides.Table)
	if want&WantID != 0 {
		l.found.ID = string(decides.AppendID(nil))
	}
	return true, nil
}

// mostSpecific returns the most specific route in each table of those that use nexthop objects
// and have a nexthop that the packet takes: such routes have no source (ip6_route_info_create).
func mostSpecific(s *Snapshot, takes func(*object.Nexthop) bool) map[uint32]*object.Route {
	var hops []object.Nexthop
	all := map[uint32]*object.Route{}
	for r := range s.Routes(object.AllFields) {
		if !r.NexthopID.OK {
			continue
		}
		hops = s.Nexthops(r, hops[:0])
		if !slices.ContainsFunc(hops, func(n object.Nexthop) bool { return takes(&n) }) {
			continue
		}
		if found := all[r.Table]; found == nil || r.Dst.Bits() > found.Dst.Bits() ||
			r.Dst.Bits() == found.Dst.Bits() && r.Priority.V < found.Priority.V {
			all[r.Table] = r.Clone()
		}
	}
	return all
}

// ruled returns the route that decides of some routes, the most specific of their tables; nil: it
// cannot be told. The snapshot has all routes that the packet may take.
func (l *Lookups) ruled(req *LookupRequest, s *Snapshot, found map[uint32]*object.Route) (*object.Route, error) {
	if len(found) == 1 {
		for _, r := range found {
			return r, nil
		}
	}
	all, err := l.leads(req)
	if err != nil {
		return nil, err
	}
	var decides *object.Route
	for _, lead := range all {
		r := found[lead.table]
		switch {
		case r == nil || r == decides:
		case decides != nil:
			return nil, nil
		case lead.sure && !exceeded(s, r):
			return r, nil
		default:
			decides = r
		}
	}
	return decides, nil
}

// exceeded reports whether its table has a route that is preferred to a route: one of type throw
// has the next rule looked at.
func exceeded(s *Snapshot, r *object.Route) bool {
	for other := range s.Routes(object.AllFields) {
		if other.Table != r.Table {
			continue
		}
		longer, metric := other.Dst.Bits()-r.Dst.Bits(), int64(other.Priority.V)-int64(r.Priority.V)
		if longer > 0 || longer == 0 && (metric < 0 || metric == 0 && other.NexthopID != r.NexthopID) {
			return true
		}
	}
	return false
}

// routes reads the routes that a filter lets through, and the nexthop objects that they use.
func (l *Lookups) routes(f Filter) (*Snapshot, error) {
	return l.read(l.ctx, Request{Namespace: l.ns, Kinds: []*object.Kind{object.Routes.Kind},
		Referred: []*object.Kind{object.NexthopObjects.Kind}, Filter: f})
}

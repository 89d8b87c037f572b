package rtnl

import (
	"net/netip"
	"slices"

	"kernelroutes/rtnl/object"
)

// An Explanation is what the kernel would do with a packet, and how it comes to that. It stays
// valid.
type Explanation struct {
	// Lookup is the kernel's answer.
	Lookup
	// Told says whether it is known how the kernel comes to the answer: Steps and Shortcut. It
	// is worked out from rules and routes, and never against the answer. It is not known
	// where these changed on every try, or where it depends on what the kernel does not
	// tell.
	Told bool
	// Shortcut is why no rule is tried; "": rules are.
	Shortcut Shortcut
	// Steps are the rules that are tried, in order.
	Steps []Step
	// Decisive is the route that decides, as a dump shows it. nil: there is none, or the way
	// is not told.
	Decisive *object.Route
	// OnLink says that no route was found, and that the kernel takes the destination of an IPv4
	// packet for a neighbour on LookupRequest.OutDev.
	OnLink bool
	// VRF is the VRF that the packet comes in or is to leave through; the zero Link: none.
	VRF object.Link
	// Out is the interface that the packet leaves through, and OutVRF the VRF that that is a part
	// of; the zero Link: none.
	Out, OutVRF object.Link
	// Snapshot has what the routes refer to: links and nexthop objects.
	Snapshot *Snapshot
}

// A Shortcut is why no rule is tried for a packet.
type Shortcut string

// The cases in which the kernel tries no rule (ip_route_output_key_hash_rcu,
// ip_route_input_rcu, ip_route_input_slow, l3mdev_link_scope_lookup).
const (
	// SourceRefused: no packet may have such a source, or such addresses if it came in.
	SourceRefused Shortcut = "no packet may have these addresses"
	// SourceNotOwn: no interface of this host that is up has the source.
	SourceNotOwn Shortcut = "the source is not an address of this host"
	// OutDown: the interface to leave through is down, or has no IPv4.
	OutDown Shortcut = "the interface to leave through is down"
	// OutOfSource: a multicast or broadcast goes out through the interface that has the
	// source.
	OutOfSource Shortcut = "it goes out through the interface that has the source"
	// OutAsAsked: such a packet goes out through the interface that was asked for.
	OutAsAsked Shortcut = "it goes out through the interface that was asked for"
	// ToThisHost: the destination 0.0.0.0 is this host.
	ToThisHost Shortcut = "0.0.0.0 is this host itself"
	// InForAll: a multicast or broadcast that came in is for whoever listens.
	InForAll Shortcut = "it came in for all who listen"
	// NotJoined: nobody here listens to the multicast that came in.
	NotJoined Shortcut = "nobody on this host listens to that multicast address"
	// LinkScope: link-local and multicast addresses of IPv6 are looked up in the table of the VRF.
	LinkScope Shortcut = "the address is of the link, and the link is part of a VRF"
)

// Explain finds out what the kernel would do with a packet, and how it comes to that. It reads
// all rules and routes of the packet's family, until the answer before and after that is the
// same and follows from them, at most MaxTries times.
func (l *Lookups) Explain(req *LookupRequest) (*Explanation, error) {
	for try := 1; ; try++ {
		before, err := l.answer(req)
		if err != nil {
			return nil, err
		}
		e, err := l.explanation(req, before)
		if err != nil {
			return nil, err
		}
		after, err := l.answer(req)
		if err != nil {
			return nil, err
		}
		e.Told = e.Told && e.Snapshot.Consistent && sameLookup(before, after)
		if e.Told || try == MaxTries {
			if !e.Told {
				e.Shortcut, e.Steps, e.Decisive, e.OnLink = "", nil, nil, false
			}
			return e, nil
		}
	}
}

// answer returns a Lookup that stays valid.
func (l *Lookups) answer(req *LookupRequest) (*Lookup, error) {
	found, err := l.Lookup(req, WantAnswer|WantMatch|WantID)
	if err != nil {
		return nil, err
	}
	kept := *found
	for _, r := range []**object.Route{&kept.Answer, &kept.Match} {
		if *r != nil {
			*r = (*r).Clone()
		}
	}
	return &kept, nil
}

// sameLookup reports whether two answers to one request are the same.
func sameLookup(a, b *Lookup) bool {
	if a.Error != b.Error || a.ID != b.ID || !a.Consistent || !b.Consistent ||
		(a.Answer == nil) != (b.Answer == nil) || (a.Match == nil) != (b.Match == nil) {
		return false
	}
	if x, y := a.Answer, b.Answer; x != nil &&
		(x.Table != y.Table || x.Type != y.Type || x.OIF != y.OIF || x.Gateway != y.Gateway) {
		return false
	}
	return a.Match == nil || isRoute(a.Match, b.Match)
}

// isRoute reports whether two routes are alike in what no two routes of IPv4 or IPv6 have in
// common but those of a group between which the kernel chooses.
func isRoute(a, b *object.Route) bool {
	return a.Table == b.Table && a.Dst == b.Dst && a.Priority.V == b.Priority.V && sourceBits(a) == sourceBits(b)
}

func sourceBits(r *object.Route) int { return max(r.Src.Bits(), 0) }

// explanation works out how the kernel comes to an answer.
func (l *Lookups) explanation(req *LookupRequest, found *Lookup) (*Explanation, error) {
	e := &Explanation{Lookup: *found}
	if err := l.describeOut(e); err != nil {
		return nil, err
	}
	f, err := l.flow(req)
	if err != nil {
		return nil, err
	}
	filter := Filter{Families: []object.Family{f.family}, Dsts: prefixesOf(f.dst)}
	if f.src.IsValid() {
		filter.Dsts = append(filter.Dsts, prefixesOf(f.src)...)
	}
	e.Snapshot, err = l.read(l.ctx, Request{Namespace: l.ns, Filter: filter,
		Kinds:    []*object.Kind{object.Rules.Kind, object.Routes.Kind},
		Referred: []*object.Kind{object.Links.Kind, object.NexthopObjects.Kind}})
	if err != nil {
		return nil, err
	}
	e.VRF = f.vrf.Link
	if e.Shortcut = f.shortcut(found, e.Snapshot); e.Shortcut != "" {
		e.Told, e.Decisive = f.fits(e.Shortcut, found), found.Match
		return e, nil
	}
	t := &tracer{flow: f, rules: RulesInOrder(e.Snapshot, f.family), tables: f.candidates(e.Snapshot)}
	for i := range t.rules {
		v, why, err := l.applies(&t.rules[i], f)
		if err != nil {
			return nil, err
		}
		t.judged = append(t.judged, judgement{v, why})
	}
	if f.family == object.IPv6 {
		if err := l.askNeighbours(t.tables); err != nil {
			return nil, err
		}
	}
	groups := map[uint32]uint32{}
	t.group = func(index uint32) uint32 {
		if _, known := groups[index]; !known && err == nil {
			var d device
			d, err = l.device(index)
			groups[index] = d.group
		}
		return groups[index]
	}
	t.from(0, nil)
	if err != nil {
		return nil, err
	}
	e.settle(req, t)
	return e, nil
}

// describeOut notes what the interface is that the packet leaves through.
func (l *Lookups) describeOut(e *Explanation) error {
	if e.Answer == nil {
		return nil
	}
	out, err := l.device(e.Answer.OIF.V)
	if err != nil {
		return err
	}
	e.Out = out.Link
	master, err := l.device(out.master)
	if master.VRFTable != 0 {
		e.OutVRF = master.Link
	}
	return err
}

// prefixesOf returns all prefixes that contain an address.
func prefixesOf(a netip.Addr) (all []netip.Prefix) {
	for bits := range a.BitLen() + 1 {
		p, _ := a.Prefix(bits)
		all = append(all, p)
	}
	return all
}

// settle takes the way that leads to the answer. There must be one, or such as differ in nothing
// but whether a rule is for the packet that then decides nothing.
func (e *Explanation) settle(req *LookupRequest, t *tracer) {
	if t.lost {
		return
	}
	fit := t.fitting(req, &e.Lookup)
	if len(fit) == 0 && t.merged() {
		fit = t.fitting(req, &e.Lookup)
	}
	if len(fit) == 0 {
		return
	}
	first := fit[0]
	e.Steps = t.steps(first.last)
	for _, other := range fit[1:] {
		if other.last.len() != len(e.Steps) || !other.endsAs(&first) {
			return
		}
		for p := other.last; p != nil; p = p.before {
			if step := t.step(p); !e.Steps[p.length-1].joins(&step) {
				return
			}
		}
	}
	e.Told, e.OnLink = true, first.err != "" && e.Error == ""
	if first.route != nil && !e.OnLink {
		e.Decisive = first.route.Route
		e.decided(req, t, fit)
	}
}

// endsAs reports whether the same decides on two ways.
func (w *trail) endsAs(o *trail) bool {
	return w.err == o.err && (w.route == nil) == (o.route == nil) &&
		(w.route == nil || isRoute(w.route.Route, o.route.Route))
}

// joins makes a step of two ways one in which it is not known whether the rule is for the packet,
// if they differ in that.
func (s *Step) joins(o *Step) bool {
	if s.Rule.Priority != o.Rule.Priority || s.Table != o.Table && s.Table != 0 && o.Table != 0 {
		return false
	}
	if s.Met == o.Met && s.Outcome == o.Outcome && s.Table == o.Table {
		if s.Route != o.Route && s.Outcome != Decides {
			s.Route = nil
		}
		return true
	}
	if s.Outcome == Decides || o.Outcome == Decides || s.Outcome == Jumps || o.Outcome == Jumps {
		return false
	}
	s.Met, s.Outcome, s.Table, s.Route = object.Opt[bool]{}, Skipped, 0, nil
	return true
}

// decided takes, of several routes that are alike, the one that the packet goes along.
func (e *Explanation) decided(req *LookupRequest, t *tracer, fit []trail) {
	if e.Answer == nil {
		return
	}
	for _, w := range fit {
		if takes(w.route, e.Answer) {
			e.Decisive = w.route.Route
			break
		}
	}
	if first := (candidate{Route: e.Decisive}); t.flow.family == object.IPv4 && !takes(fit[0].route, e.Answer) {
		for _, c := range t.tables[first.Table] { // fib_select_default
			if isRoute(c.Route, first.Route) && takes(&c, e.Answer) {
				e.Decisive = c.Route
				break
			}
		}
	}
	last := &e.Steps[len(e.Steps)-1]
	last.Route = e.Decisive
}

// takes reports whether an answer leads along a nexthop of a route.
func takes(c *candidate, answer *object.Route) bool {
	return slices.ContainsFunc(c.hops, func(h object.Nexthop) bool {
		return h.OIF == answer.OIF.V && h.Gateway == answer.Gateway
	})
}

// fitting returns the ways that lead to the kernel's answer.
func (t *tracer) fitting(req *LookupRequest, found *Lookup) (fit []trail) {
	for _, w := range t.ways {
		if t.fits(&w, req, found) {
			fit = append(fit, w)
		}
	}
	return fit
}

// fits reports whether a way leads to the kernel's answer.
func (t *tracer) fits(w *trail, req *LookupRequest, found *Lookup) bool {
	ipv4 := t.flow.family == object.IPv4
	switch {
	case found.Match != nil:
		return w.err == "" && isRoute(w.route.Route, found.Match)
	case found.Error == "" && w.err != "":
		// With OutDev the destination is taken for a neighbour.
		return ipv4 && t.flow.out.Index != 0 && found.Answer.Table == 0 &&
			(t.flow.dst.IsMulticast() || t.flow.vrf.Index == 0)
	case found.Error == "":
		// The kernel takes IPv6 routes that use one nexthop object for each other.
		return !ipv4 && w.route.NexthopID.OK && len(t.ways) == 1 && takes(w.route, found.Answer)
	case ipv4 && t.flow.cameIn():
		switch found.Error {
		case Unreachable: // or forwarding is off
			return w.route == nil || w.route.Type != object.Local && w.route.Type != object.Broadcast
		case Invalid:
			return w.err == "" || w.err == Blackhole
		}
		return w.err == found.Error
	case w.err == "":
		return !ipv4 && t.flow.cameIn() && t.flow.dst.IsMulticast() && found.Error == Invalid
	}
	return w.err == found.Error || ipv4 && w.err == Blackhole && found.Error == Invalid
}

// merged has the ways be those of IPv4 as long as nobody has added a rule: tables local and main
// are one, and after an error in it comes table default (fib_lookup). It returns false if
// there are rules other than those of the kernel.
func (t *tracer) merged() bool {
	tables := []uint32{object.RT_TABLE_LOCAL, object.RT_TABLE_MAIN, object.RT_TABLE_DEFAULT}
	if t.flow.family != object.IPv4 || len(t.rules) != len(tables) {
		return false
	}
	t.ways = nil
	for i, r := range t.rules {
		if r.Action != object.FR_ACT_TO_TBL || r.Table != tables[i] || t.judged[i] != (judgement{surely, ""}) {
			return false
		}
	}
	local, main := t.find(tables[0]), t.find(tables[1])
	if len(local) == 0 || len(main) == 0 || compareCandidates(main[0], local[0]) >= 0 {
		return false
	}
	if main[0].Type == object.Throw {
		return false
	}
	var so *path
	so = so.with(path{rule: 0, table: tables[0], route: local[0].Route, outcome: NoneFound})
	so = so.with(path{rule: 1, table: tables[1], route: main[0].Route, outcome: Decides})
	t.add(trail{last: so, route: &main[0], err: typeErrors[main[0].Type]})
	return true
}

package object

import (
	"net/netip"
	"slices"
)

// A Filter says which routes are wanted. An empty list sets no condition. The kernel is
// asked for as little as the conditions allow (NETLINK_GET_STRICT_CHK, Linux 4.20), and
// each route is checked here in any case.
type Filter struct {
	// None is a condition that no route meets.
	None     bool
	Families []Family
	// EveryFamily says that Families, and None, are of routes alone: of kinds of which the
	// families alone choose (Kind.ByFamily) all objects are wanted.
	EveryFamily bool

	Tables    []uint32 // RTA_TABLE
	Types     []RouteType
	Protocols []uint8 // RTPROT_*
	// OIFs are output interfaces by their index, and Link chooses some of all
	// there are. A route with several nexthops matches if one of them uses such an
	// interface, unless Single leaves these routes out (but for those that use a
	// nexthop group, which may have one member).
	OIFs   []uint32
	Link   func(*Link) bool
	Single bool
	// Dsts are exact destinations, not the addresses that they contain.
	Dsts []netip.Prefix
	// Cloned asks for cached routes (RTM_F_CLONED) too, which nobody configured.
	Cloned bool

	// The lists of which there is no telling how long they are, as sets: see Prepare.
	tableSet, oifSet valueSet[uint32]
	dstSet           valueSet[netip.Prefix]
}

// A valueSet is a long list, nil for one in which looking is as fast.
type valueSet[T comparable] map[T]struct{}

// many is from how many values on a set is faster than the list.
const many = 8

func newValueSet[T comparable](list []T) valueSet[T] {
	if len(list) < many {
		return nil
	}
	s := make(valueSet[T], len(list))
	for _, v := range list {
		s[v] = struct{}{}
	}
	return s
}

// allows is the function of that name for a list of which s may be the set.
func (s valueSet[T]) allows(list []T, v T) bool {
	if s == nil {
		return allows(list, v)
	}
	_, ok := s[v]
	return ok
}

// Prepare makes deciding about a route cost the same however long the lists are. It
// is called when they are known.
func (f *Filter) Prepare() {
	f.tableSet, f.oifSet, f.dstSet = newValueSet(f.Tables), newValueSet(f.OIFs), newValueSet(f.Dsts)
}

// Chooses returns the kind of which some objects are to be chosen, by Choose, before it
// is known which routes are wanted; nil: none.
func (f *Filter) Chooses() *Kind {
	if f.Link == nil {
		return nil
	}
	return Links.Kind
}

// Choose makes the choice of interfaces a list of indexes, and prepares the filter.
func (f *Filter) Choose(links []Run) {
	f.Prepare()
	indexes := []uint32{}
	Each(links, func(m *Message) bool {
		if l := f.link(m); f.Link(&l) && f.oifSet.allows(f.OIFs, l.Index) {
			indexes = append(indexes, l.Index)
		}
		return true
	})
	f.OIFs, f.None = indexes, f.None || len(indexes) == 0
	f.Prepare()
}

// Chose reports whether the filter, with which Choose was called, has chosen an object or
// may choose it as it is now.
func (f *Filter) Chose(m *Message) bool {
	l := f.link(m)
	return slices.Contains(f.OIFs, l.Index) || f.Link(&l)
}

func (f *Filter) link(m *Message) (l Link) {
	l.decode(m)
	return l
}

// allows reports whether a list has a value, or sets no condition.
func allows[T comparable](list []T, v T) bool { return len(list) == 0 || slices.Contains(list, v) }

// Union returns a filter for all that either of two lets through. Interfaces and
// destinations are chosen from that.
func (f *Filter) Union(o *Filter) Filter {
	switch {
	case f.None:
		return Filter{None: o.None, Families: o.Families, Tables: o.Tables, Types: o.Types, Protocols: o.Protocols,
			Cloned: o.Cloned}
	case o.None:
		return o.Union(f)
	}
	return Filter{
		Families:  union(f.Families, o.Families),
		Tables:    union(f.Tables, o.Tables),
		Types:     union(f.Types, o.Types),
		Protocols: union(f.Protocols, o.Protocols),
		Cloned:    f.Cloned || o.Cloned,
	}
}

// union joins two conditions on one value.
func union[T comparable](a, b []T) []T {
	if len(a) == 0 || len(b) == 0 {
		return nil
	}
	out, seen := []T{}, make(map[T]bool, len(a)+len(b))
	for _, list := range [][]T{a, b} {
		for _, v := range list {
			if !seen[v] {
				out = append(out, v)
			}
			seen[v] = true
		}
	}
	return out
}

// Of returns the filter that chooses among the objects of a kind.
func (f *Filter) Of(k *Kind) *Filter {
	switch {
	case k.Filtered:
		return f
	case k.ByFamily && !f.EveryFamily:
		return &Filter{None: f.None, Families: f.Families}
	}
	return &Filter{}
}

// Lets reports whether an object of any kind is wanted: a route that matches, one of a kind of
// which the families choose that is of such a family, any other.
func (f *Filter) Lets(m *Message) bool {
	switch k := m.kind; {
	case k.Filtered:
		return f.Match(m)
	case k.ByFamily:
		family := k.Table(m).Family
		return family.AddrLen() > 0 && f.Of(k).WantsFamily(family)
	}
	return true
}

// AppendMatching appends the parts of a run whose objects are wanted.
func (f *Filter) AppendMatching(list []Run, run Run) []Run {
	var m Message
	from, off := 0, 0
	for left := run; left.Next(&m); {
		next := run.Len() - left.Len()
		if !f.Lets(&m) {
			list = AppendRun(list, run.Cut(from, off))
			from = next
		}
		off = next
	}
	return AppendRun(list, run.Cut(from, run.Len()))
}

// WantsFamily reports whether a route of the family can match.
func (f *Filter) WantsFamily(family Family) bool { return !f.None && allows(f.Families, family) }

// WantsTable reports whether a route of a table with a number can match.
func (f *Filter) WantsTable(id uint32) bool { return !f.None && f.tableSet.allows(f.Tables, id) }

// Wants reports whether a route of the table can match.
func (f *Filter) Wants(t Table) bool {
	return !f.None && allows(f.Families, t.Family) && f.tableSet.allows(f.Tables, t.ID)
}

// Match decides on the bytes. Interfaces of a nexthop object are not in them, so
// a route that uses one passes.
func (f *Filter) Match(m *Message) bool {
	t := m.routeTable()
	switch t.Family {
	case IPv4, IPv6, MPLS, IPMR, IP6MR:
	default:
		return false
	}
	object := m.has&(1<<rtaNHID) != 0
	return (f.Cloned || m.routeFlags()&rtmFCloned == 0) && f.Wants(t) &&
		allows(f.Types, RouteType(m.payload[7])) && allows(f.Protocols, m.payload[5]) &&
		!(f.Single && m.has&(1<<rtaMultipath) != 0 && !object) && (len(f.OIFs) == 0 || object || f.uses(m)) &&
		(len(f.Dsts) == 0 || f.goesTo(m))
}

func (f *Filter) uses(m *Message) bool {
	if oif := m.U32(rtaOIF); oif != 0 && f.oifSet.allows(f.OIFs, oif) {
		return true
	}
	for oif := range outputs(m.Data(rtaMultipath)) {
		if f.oifSet.allows(f.OIFs, oif) {
			return true
		}
	}
	return false
}

func (f *Filter) goesTo(m *Message) bool {
	addr, bits := m.RouteDst()
	alen := m.routeTable().Family.AddrLen()
	if f.dstSet != nil {
		_, ok := f.dstSet[prefix(addr, bits, alen)]
		return ok && alen > 0
	}
	for _, p := range f.Dsts {
		if p.Bits() != bits || p.Addr().BitLen() != alen*8 {
			continue
		}
		want := p.Addr().As16()
		if addr == nil && p.Addr().IsUnspecified() || string(want[16-alen:]) == string(addr) {
			return true
		}
	}
	return false
}

// MayMatchIPv6 reports whether an IPv6 route can match.
func (f *Filter) MayMatchIPv6() bool {
	return f.WantsFamily(IPv6) && (len(f.Dsts) == 0 ||
		slices.ContainsFunc(f.Dsts, func(p netip.Prefix) bool { return p.Addr().BitLen() == 128 }))
}

// WithoutIPv6 returns the filter for all other families.
func (f *Filter) WithoutIPv6() *Filter {
	others := *f
	others.Families = slices.DeleteFunc([]Family{IPv4, MPLS, IPMR, IP6MR},
		func(o Family) bool { return !allows(f.Families, o) })
	others.None = f.None || len(others.Families) == 0
	return &others
}

// Matches reports whether a route meets the request's conditions that are in its fixed
// header: family, type and protocol.
func (r DumpRequest) Matches(m *Message) bool {
	return (r.Family == 0 || r.Family == Family(m.payload[0])) && (r.Protocol == 0 || r.Protocol == m.payload[5]) &&
		(r.Type == 0 || r.Type == RouteType(m.payload[7]))
}

// maxTableDumps is how many tables are dumped one by one rather than all tables
// at once.
const maxTableDumps = 8

// RequestsOf returns the dumps that together bring every object of a kind that is wanted, each
// only once.
func (f *Filter) RequestsOf(k *Kind) []DumpRequest {
	of := f.Of(k)
	switch {
	case !k.ByFamily:
		return of.Requests()
	case of.None:
		return nil
	case len(of.Families) == 0:
		return []DumpRequest{{}}
	}
	var all []DumpRequest
	families := slices.Clone(of.Families)
	slices.Sort(families)
	for _, family := range slices.Compact(families) {
		all = append(all, DumpRequest{Family: family})
	}
	return all
}

// Requests returns the dumps that together bring every route that matches, each
// only once.
//
// Type blackhole never goes into the kernel: it compares the type that the
// route was added with, but sends blackhole for a route whose nexthop object is
// one (fib_dump_info, rt6_fill_node); for the same reason no other type loses
// routes, it only brings some that are dropped here.
func (f *Filter) Requests() []DumpRequest {
	if f.None {
		return nil
	}
	var r DumpRequest
	if len(f.Types) == 1 && f.Types[0] != Blackhole {
		r.Type = f.Types[0]
	}
	if len(f.Protocols) == 1 {
		r.Protocol = f.Protocols[0]
	}
	if len(f.OIFs) == 1 && f.Single {
		// Not every kernel looks at each member of RTA_MULTIPATH.
		r.OIF = f.OIFs[0]
	}
	tables := []uint32{0}
	if len(f.Tables) > 0 && len(f.Tables) <= maxTableDumps {
		// RT_TABLE_UNSPEC: no route is in it, and the kernel would take it for no condition.
		tables = slices.DeleteFunc(slices.Clone(f.Tables), func(t uint32) bool { return t == 0 })
		slices.Sort(tables)
		tables = slices.Compact(tables)
	}
	var all []DumpRequest
	for _, r.Family = range f.dumped() {
		for _, r.Table = range tables {
			all = append(all, r)
		}
	}
	return all
}

// dumped returns the families that are asked of the kernel, 0 for all at once: only
// a dump of all families tells of an IPv4 or IPv6 route that does not fit. The
// others have none that large.
func (f *Filter) dumped() []Family {
	if allows(f.Families, IPv4) || allows(f.Families, IPv6) {
		return []Family{0}
	}
	return f.Others()
}

// Others returns the families that come after IPv6 and can match.
func (f *Filter) Others() []Family {
	return slices.DeleteFunc([]Family{MPLS, IPMR, IP6MR}, func(o Family) bool { return !allows(f.Families, o) })
}

package rtnl

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// A Filter says which routes are wanted. A nil list sets no condition, an empty
// one that is not nil can be met by no route. The kernel is asked for as little
// as the conditions allow (NETLINK_GET_STRICT_CHK, Linux 4.20), and each route
// is checked here in any case.
type Filter struct {
	Families  []Family
	Tables    []uint32
	Types     []RouteType
	Protocols []uint8
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

	// The lists of which there is no telling how long they are, as sets: see prepare.
	tableSet, oifSet set[uint32]
	dstSet           set[netip.Prefix]
}

// A set is a long list, nil for one in which looking is as fast.
type set[T comparable] map[T]struct{}

// many is from how many values on a set is faster than the list.
const many = 8

func newSet[T comparable](list []T) set[T] {
	if len(list) < many {
		return nil
	}
	s := make(set[T], len(list))
	for _, v := range list {
		s[v] = struct{}{}
	}
	return s
}

// allows is the function of that name for a list of which s may be the set.
func (s set[T]) allows(list []T, v T) bool {
	if s == nil {
		return allows(list, v)
	}
	_, ok := s[v]
	return ok
}

// prepare makes deciding about a route cost the same however long the lists are. It
// is called when they are known.
func (f *Filter) prepare() {
	f.tableSet, f.oifSet, f.dstSet = newSet(f.Tables), newSet(f.OIFs), newSet(f.Dsts)
}

// Nothing reports whether no route can match.
func (f *Filter) Nothing() bool {
	return none(f.Families) || none(f.Tables) || none(f.Types) || none(f.Protocols) ||
		none(f.OIFs) || none(f.Dsts)
}

// chooseLinks makes the choice of interfaces a list of indexes, and prepares the filter.
func (f *Filter) chooseLinks(links map[uint32]Link) {
	f.prepare()
	indexes := []uint32{}
	for i, l := range links {
		if f.Link(&l) && f.oifSet.allows(f.OIFs, i) {
			indexes = append(indexes, i)
		}
	}
	f.OIFs = indexes
	f.prepare()
}

func none[T any](list []T) bool { return list != nil && len(list) == 0 }

func allows[T comparable](list []T, v T) bool { return list == nil || slices.Contains(list, v) }

// A routeHead is what deciding about a message needs, read from the bytes
// without decoding them.
type routeHead struct {
	family   Family
	typ      RouteType
	protocol uint8
	table    uint32
	flags    uint32
	tos      uint8
	dstLen   uint8
	srcLen   uint8
	dst      []byte // RTA_DST, nil where absent
	src      []byte // RTA_SRC, nil where absent
	priority uint32 // RTA_PRIORITY, 0 where absent
	iif      uint32 // RTA_IIF, 0 where absent
	oif      uint32 // RTA_OIF, 0 where absent
	hops     []byte // RTA_MULTIPATH
	object   bool   // RTA_NH_ID is there
	objectID uint32 // RTA_NH_ID
	encap    bool   // RTA_ENCAP is there, or in a member of RTA_MULTIPATH
}

// readHead checks that the payload of a route message can be decoded, nested
// attributes included, and returns its head. What passes here, Route.decode
// takes.
func readHead(b []byte) (h routeHead, err error) {
	err = h.read(b)
	return h, err
}

// headAt reads the head of the message that a run begins with, which was accepted
// when it came.
func headAt(run []byte) routeHead {
	h, err := readHead(run[unix.NLMSG_HDRLEN:u32(run)])
	if err != nil {
		panic(err)
	}
	return h
}

func (h *routeHead) read(b []byte) error {
	if len(b) < rtmsgLen {
		return malformed("route", len(b), "shorter than struct rtmsg")
	}
	*h = routeHead{family: Family(b[0]), dstLen: b[1], srcLen: b[2], tos: b[3], table: uint32(b[4]), protocol: b[5],
		typ: RouteType(b[7]), flags: u32(b[8:])}
	alen := h.family.addrLen()
	if err := checkLengths(b, alen); err != nil {
		return err
	}
	a := walk(b[rtmsgLen:])
	for a.next() {
		switch a.typ {
		case rtaDst:
			if alen > 0 && len(a.data) != alen {
				return malformed("route", a.at(b), "destination is no address of its family")
			}
			h.dst = a.data
		case rtaSrc:
			if len(a.data) == alen {
				h.src = a.data
			}
		case rtaPriority:
			if len(a.data) == 4 {
				h.priority = u32(a.data)
			}
		case rtaTable:
			if len(a.data) == 4 {
				h.table = u32(a.data)
			}
		case rtaIIF:
			if len(a.data) == 4 {
				h.iif = u32(a.data)
			}
		case rtaOIF:
			if len(a.data) == 4 {
				h.oif = u32(a.data)
			}
		case rtaMetrics:
			n := walk(a.data)
			for n.next() {
			}
			if !n.ok() {
				return malformed("RTA_METRICS", len(a.data)-len(n.rest), "attribute does not fit")
			}
		case rtaMultipath:
			encap, err := checkMultipath(a.data)
			if err != nil {
				return err
			}
			h.hops, h.encap = a.data, h.encap || encap
		case rtaEncap:
			h.encap = true
		case rtaNHID:
			h.object = true
			if len(a.data) == 4 {
				h.objectID = u32(a.data)
			}
		}
	}
	if !a.ok() {
		return malformed("route", len(b)-len(a.rest), "attribute does not fit")
	}
	return nil
}

// rtmFCloned is RTM_F_CLONED: a cached route, which nobody configured.
const rtmFCloned = 0x200

// entries returns how many entries the route has in the kernel's IPv6 tables: one
// for each nexthop, unless it uses a nexthop object. (A cached route is one of its
// own before Linux 4.15, none since: see routeSink.cloned.)
func (h *routeHead) entries() (n int) {
	if h.hops == nil || h.object {
		return 1
	}
	for range h.members() {
		n++
	}
	return n
}

// members yields each struct rtnexthop of RTA_MULTIPATH, and what comes after it.
func (h *routeHead) members() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for b := h.hops; len(b) >= rtnhLen && yield(b); b = b[min(align4(int(u16(b))), len(b)):] {
		}
	}
}

// checkMultipath walks RTA_MULTIPATH as decodeMultipath does, and reports whether a
// member has RTA_ENCAP.
func checkMultipath(b []byte) (encap bool, err error) {
	for off := 0; off < len(b); {
		if len(b)-off < rtnhLen {
			return false, malformed("RTA_MULTIPATH", off, "shorter than struct rtnexthop")
		}
		n := int(u16(b[off:]))
		if n < rtnhLen || n > len(b)-off {
			return false, malformed("RTA_MULTIPATH", off, "rtnh_len does not fit")
		}
		a := walk(b[off+rtnhLen : off+n])
		for a.next() {
			encap = encap || a.typ == rtaEncap
		}
		if !a.ok() {
			return false, malformed("RTA_MULTIPATH", off+n-len(a.rest), "attribute does not fit")
		}
		off += align4(n)
	}
	return encap, nil
}

// wants reports whether a route of the group can match.
func (f *Filter) wants(g group) bool {
	return allows(f.Families, g.family) && f.tableSet.allows(f.Tables, g.table)
}

// match decides on the bytes. Interfaces of a nexthop object are not in them, so
// a route that uses one passes.
func (f *Filter) match(h *routeHead) bool {
	switch h.family {
	case IPv4, IPv6, MPLS, IPMR, IP6MR:
	default:
		return false
	}
	return (f.Cloned || h.flags&rtmFCloned == 0) &&
		allows(f.Families, h.family) && f.tableSet.allows(f.Tables, h.table) &&
		allows(f.Types, h.typ) && allows(f.Protocols, h.protocol) &&
		!(f.Single && h.hops != nil && !h.object) && (f.OIFs == nil || h.object || f.uses(h)) &&
		(f.Dsts == nil || f.goesTo(h))
}

func (f *Filter) uses(h *routeHead) bool {
	if h.oif != 0 && f.oifSet.allows(f.OIFs, h.oif) {
		return true
	}
	for member := range h.members() {
		if f.oifSet.allows(f.OIFs, u32(member[4:])) {
			return true
		}
	}
	return false
}

func (f *Filter) goesTo(h *routeHead) bool {
	alen := h.family.addrLen()
	if f.dstSet != nil {
		_, ok := f.dstSet[prefix(h.dst, int(h.dstLen), alen)]
		return ok && alen > 0
	}
	for _, p := range f.Dsts {
		if p.Bits() != int(h.dstLen) || p.Addr().BitLen() != alen*8 {
			continue
		}
		want := p.Addr().As16()
		if h.dst == nil && p.Addr().IsUnspecified() || string(want[16-alen:]) == string(h.dst) {
			return true
		}
	}
	return false
}

// mayMatchIPv6 reports whether an IPv6 route can match.
func (f *Filter) mayMatchIPv6() bool {
	return allows(f.Families, IPv6) && (f.Dsts == nil ||
		slices.ContainsFunc(f.Dsts, func(p netip.Prefix) bool { return p.Addr().BitLen() == 128 }))
}

// withoutIPv6 returns the filter for all other families.
func (f *Filter) withoutIPv6() *Filter {
	others := *f
	others.Families = slices.DeleteFunc([]Family{IPv4, MPLS, IPMR, IP6MR},
		func(o Family) bool { return !allows(f.Families, o) })
	return &others
}

// A dumpRequest is one RTM_GETROUTE dump: zero fields set no condition.
type dumpRequest struct {
	family   Family
	table    uint32
	typ      RouteType
	protocol uint8
	oif      uint32
}

// maxTableDumps is how many tables are dumped one by one rather than all tables
// at once.
const maxTableDumps = 8

// requests returns the dumps that together bring every route that matches, each
// only once.
//
// Type blackhole never goes into the kernel: it compares the type that the
// route was added with, but sends blackhole for a route whose nexthop object is
// one (fib_dump_info, rt6_fill_node); for the same reason no other type loses
// routes, it only brings some that are dropped here.
func (f *Filter) requests() []dumpRequest {
	var r dumpRequest
	if len(f.Types) == 1 && f.Types[0] != Blackhole {
		r.typ = f.Types[0]
	}
	if len(f.Protocols) == 1 {
		r.protocol = f.Protocols[0]
	}
	if len(f.OIFs) == 1 && f.Single {
		// Not every kernel looks at each member of RTA_MULTIPATH.
		r.oif = f.OIFs[0]
	}
	tables := []uint32{0}
	if f.Tables != nil && len(f.Tables) <= maxTableDumps {
		// RT_TABLE_UNSPEC: no route is in it, and the kernel would take it for no condition.
		tables = slices.DeleteFunc(slices.Clone(f.Tables), func(t uint32) bool { return t == 0 })
		slices.Sort(tables)
		tables = slices.Compact(tables)
	}
	var all []dumpRequest
	for _, r.family = range f.dumped() {
		for _, r.table = range tables {
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
	return f.others()
}

// others returns the families that come after IPv6 and can match.
func (f *Filter) others() []Family {
	return slices.DeleteFunc([]Family{MPLS, IPMR, IP6MR}, func(o Family) bool { return !allows(f.Families, o) })
}

// asks reports whether the dump brings the routes of a group.
func (r dumpRequest) asks(g group) bool {
	return (r.family == 0 || r.family == g.family) && (r.table == 0 || r.table == g.table)
}

// appendTo appends struct rtmsg and the attributes of the request.
func (r dumpRequest) appendTo(b []byte) []byte {
	b = append(b, byte(r.family), 0, 0, 0, 0, r.protocol, 0, byte(r.typ), 0, 0, 0, 0)
	for _, a := range []struct {
		typ uint16
		val uint32
	}{{rtaTable, r.table}, {rtaOIF, r.oif}} {
		if a.val != 0 {
			b = binary.NativeEndian.AppendUint16(b, nlaHeaderLen+4)
			b = binary.NativeEndian.AppendUint16(b, a.typ)
			b = binary.NativeEndian.AppendUint32(b, a.val)
		}
	}
	return b
}

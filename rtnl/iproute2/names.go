package iproute2

import (
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl/wire"
)

// Names gives the numbers of tables, protocols, scopes and realms the names
// that iproute2 prints for them on this host. A Names never changes and is safe
// for concurrent use.
//
// The names compiled in come first, then, each over the ones
// before it, those of a file rt_tables, rt_protos, rt_scopes or rt_realms (the
// one in /etc/iproute2 if it is there, whatever is in it, else the one in
// /usr/share/iproute2, else the one in /usr/lib/iproute2), then those of the
// files *.conf in the folders rt_tables.d and so on: /usr's first, those without
// a namesake in /etc's, then /etc's. Files of one folder are read in the folder's
// own order, as readdir gives it. A later line wins over an earlier one.
//
// A line is a number, decimal or 0x and hexadecimal, and a name; what follows
// is ignored. Protocols, scopes and realms have names up to 255, tables up to
// 2147483647.
//
// All of this is iproute2's lib/rt_names.c (as of 7.1), but for these points:
//   - iproute2 gives up a file at the first malformed line; here the line is
//     skipped.
//   - iproute2 takes what a line has beyond its 511th byte for another line;
//     here it is ignored.
//   - iproute2 lets a number that overflows wrap around; here the line is
//     skipped.
//   - iproute2 looks into its files only when it meets a protocol, scope or
//     realm without a compiled-in name, so that what it prints for one that has
//     both depends on what it printed before; here the file always wins.
//   - iproute2 is built for one of the two folders below /usr, and has no .d
//     folders for scopes and realms.
//   - Only regular files are read, and of each the lines that lie within the
//     first MiB; of a folder the first 1,024 entries are considered.
//
// A number that is given several names has all of them: the one that iproute2
// prints, that of the last line, is shown, and each of them means the number
// ([NameSet.IDs]), as for `ip route show table NAME`. A name reads as [wire.AppendName]
// has it.
type Names struct {
	tables, protocols, scopes, realms NameSet
}

// builtinNames is what iproute2 has compiled in or, for table unspec and the
// protocols ovn and openr, in its stock files (not every version's), and
// protocol mrouted of linux/rtnetlink.h, which it has no name for.
var builtinNames = struct{ tables, protocols, scopes, realms map[uint32]string }{
	tables: map[uint32]string{0: "unspec", 253: "default", 254: "main", 255: "local"},
	protocols: map[uint32]string{
		0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static",
		8: "gated", 9: "ra", 10: "mrt", 11: "zebra", 12: "bird", 13: "dnrouted", 14: "xorp",
		15: "ntk", 16: "dhcp", 17: "mrouted", 18: "keepalived", 42: "babel", 84: "ovn", 99: "openr",
		186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
	},
	scopes: map[uint32]string{0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"},
	realms: map[uint32]string{0: "unknown"},
}

// builtin returns the names compiled in, for others to be added.
func builtin() *Names {
	n := NoNames()
	for set, names := range map[*NameSet]map[uint32]string{
		&n.tables: builtinNames.tables, &n.protocols: builtinNames.protocols,
		&n.scopes: builtinNames.scopes, &n.realms: builtinNames.realms,
	} {
		for id, name := range names {
			set.set(id, name)
		}
	}
	return n
}

// NoNames returns a Names in which no number has a name yet.
func NoNames() *Names {
	return &Names{
		tables: newNameSet(math.MaxUint32), protocols: newNameSet(math.MaxUint8),
		scopes: newNameSet(math.MaxUint8), realms: newNameSet(math.MaxUint16),
	}
}

// Tables returns the names of routing tables (RTA_TABLE).
func (n *Names) Tables() *NameSet { return &n.tables }

// Protocols returns the names of what installs routes (RTPROT_*).
func (n *Names) Protocols() *NameSet { return &n.protocols }

// Scopes returns the names of scopes (RT_SCOPE_*).
func (n *Names) Scopes() *NameSet { return &n.scopes }

// Realms returns the names of realms (one half of RTA_FLOW).
func (n *Names) Realms() *NameSet { return &n.realms }

// Table returns a table's name, or its number in decimal if it has no name.
func (n *Names) Table(id uint32) string { return n.tables.Text(id) }

// Protocol returns the name or the number of a route's origin (RTPROT_*).
func (n *Names) Protocol(p uint8) string { return n.protocols.Text(uint32(p)) }

// Scope returns the name or the number of a scope (RT_SCOPE_*).
func (n *Names) Scope(s uint8) string { return n.scopes.Text(uint32(s)) }

// Realm returns the name or the number of a realm, one half of RTA_FLOW.
func (n *Names) Realm(r uint32) string { return n.realms.Text(r) }

// AppendTable appends Table(id) without allocating.
func (n *Names) AppendTable(b []byte, id uint32) []byte { return n.tables.Append(b, id) }

// AppendProtocol appends Protocol(p) without allocating.
func (n *Names) AppendProtocol(b []byte, p uint8) []byte { return n.protocols.Append(b, uint32(p)) }

// AppendScope appends Scope(s) without allocating.
func (n *Names) AppendScope(b []byte, s uint8) []byte { return n.scopes.Append(b, uint32(s)) }

// AppendRealm appends Realm(r) without allocating.
func (n *Names) AppendRealm(b []byte, r uint32) []byte { return n.realms.Append(b, r) }

// A NameSet is the names of one kind of numbers.
type NameSet struct {
	last  uint32                 // the highest number there can be
	low   [256]string            // the name that is shown; "" where there is none, here and in high
	high  map[uint32]string      // of 256 and over, which only tables have names for
	named map[string][]nameGiven // by name in lower case: all names that were given, shown or not
}

// A nameGiven is one line of a file, or a name compiled in.
type nameGiven struct {
	id   uint32
	name string
}

func newNameSet(last uint32) NameSet {
	return NameSet{last: last, high: map[uint32]string{}, named: map[string][]nameGiven{}}
}

// set gives a number a name as it is in a file, which is shown from then on.
func (s *NameSet) set(id uint32, name string) {
	if !wire.PlainName(name) {
		name = string(wire.AppendName(nil, name))
	}
	s.give(id, name)
}

// give gives a number a name as it is shown.
func (s *NameSet) give(id uint32, name string) {
	switch {
	case id < 256:
		s.low[id] = name
	case s.last > math.MaxUint16: // tables
		s.high[id] = name
	default:
		return
	}
	folded := strings.ToLower(name)
	s.named[folded] = append(s.named[folded], nameGiven{id, name})
}

// Name returns the name that is shown for a number, "" if it has none.
func (s *NameSet) Name(id uint32) string {
	if id < 256 {
		return s.low[id]
	}
	return s.high[id]
}

// Text returns the name that is shown for a number, the number in decimal if it
// has none.
func (s *NameSet) Text(id uint32) string {
	if name := s.Name(id); name != "" {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}

// Append appends Text(id) without allocating.
func (s *NameSet) Append(b []byte, id uint32) []byte {
	if name := s.Name(id); name != "" {
		return append(b, name...)
	}
	return strconv.AppendUint(b, uint64(id), 10)
}

// IDs returns, in ascending order, every number that has the name, shown or not,
// without regard to case, and the number that it is the decimal form of if that
// has no name: nothing for "007" and for "254", which is main. Two numbers may
// have the same name.
func (s *NameSet) IDs(name string) []uint32 {
	var ids []uint32
	for _, g := range s.named[strings.ToLower(name)] {
		ids = append(ids, g.id)
	}
	if id, ok := s.unnamed(name); ok {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Has reports whether the name is one of the number's, or the number in decimal
// if it has no name. Case matters.
func (s *NameSet) Has(id uint32, name string) bool {
	if n, ok := s.unnamed(name); ok && n == id {
		return true
	}
	return slices.Contains(s.named[strings.ToLower(name)], nameGiven{id, name})
}

// unnamed reads the decimal form of a number that has no name.
func (s *NameSet) unnamed(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	id := uint32(n)
	return id, err == nil && id <= s.last && (len(text) == 1 || text[0] != '0') && s.Name(id) == ""
}

// All yields every name, shown or not, with its number, in no order.
func (s *NameSet) All() iter.Seq2[uint32, string] {
	return func(yield func(uint32, string) bool) {
		for _, given := range s.named {
			for _, g := range given {
				if !yield(g.id, g.name) {
					return
				}
			}
		}
	}
}

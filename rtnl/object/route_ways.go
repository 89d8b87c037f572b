package object

import (
	"encoding/binary"
	"slices"

	"kernelroutes/rtnl/wire"
)

// IdentityHash returns a hash of what AppendID makes of the route beside family, table and
// destination, but for how many that are alike come before it.
func (r *Route) IdentityHash() uint64 { return uint64(r.identity()) }

// IdentityHash returns a hash of what AppendID makes of the rule beside family and priority, but
// for how many that are alike come before it.
func (r *Rule) IdentityHash() uint64 { return uint64(r.identity()) }

// Ways yields the output interfaces of a route's nexthops, as far as its message has them: those
// of a nexthop object may not be there.
func (m *Message) Ways(yield func(oif uint32) bool) {
	if oif := m.U32(rtaOIF); oif != 0 && !yield(oif) {
		return
	}
	if m.has&(1<<rtaMultipath) != 0 {
		for oif := range outputs(m.data(rtaMultipath)) {
			if oif != 0 && !yield(oif) {
				return
			}
		}
	}
}

// PrefSrc returns the source address that a route prefers, nil for none.
func (m *Message) PrefSrc() []byte { return m.Data(rtaPrefSrc) }

// A Way is one nexthop of a route in the kernel's bytes: struct rtnexthop and its attributes.
type Way []byte

// wayFields are the attributes of a route's only nexthop, which a way of several has in it.
const wayFields Fields = 1<<rtaGateway | 1<<rtaVia | 1<<rtaEncapType | 1<<rtaEncap | 1<<rtaFlow | 1<<rtaNewDst

// AppendRawWays appends the nexthops that an IPv4 or IPv6 route's message has.
func (m *Message) AppendRawWays(ways []Way) []Way {
	if m.has&(1<<rtaMultipath) != 0 {
		w := multipath{b: m.data(rtaMultipath)}
		for w.next() {
			ways = append(ways, w.b[w.end-nexthopLen-len(w.attributes):w.end])
		}
		return ways
	}
	b := make([]byte, nexthopLen, nexthopLen+len(m.Attributes()))
	b[2] = byte(m.routeFlags()) // rtnh_flags are the low byte of rtm_flags
	binary.NativeEndian.PutUint32(b[4:], m.U32(rtaOIF))
	for a := wire.Walk(m.Attributes()); a.Next(); {
		if wayFields&fieldOf(a.Type) != 0 {
			b = wire.AppendAttr(b, a.Type, a.Data...)
		}
	}
	binary.NativeEndian.PutUint16(b, uint16(len(b)))
	return append(ways, b)
}

// Same reports whether two ways are one to the kernel, whatever their state and weight is.
func (w Way) Same(o Way) bool {
	return string(w[4:nexthopLen]) == string(o[4:nexthopLen]) && string(w[nexthopLen:]) == string(o[nexthopLen:])
}

// AppendWithWays appends the message of a route with other nexthops in the place of its own.
func (m *Message) AppendWithWays(b []byte, ways []Way) []byte {
	start := len(b)
	b = m.appendSome(b, ^(wayFields | 1<<rtaOIF | 1<<rtaMultipath))
	flags := m.routeFlags() &^ 0xff // the state of a single nexthop
	switch len(ways) {
	case 0:
	case 1:
		flags |= uint32(ways[0][2])
		if oif := wire.U32(ways[0][4:]); oif != 0 {
			b = wire.AppendU32(b, rtaOIF, oif)
		}
		b = append(b, ways[0][nexthopLen:]...)
	default:
		var all []byte
		for _, w := range ways {
			all = wire.AppendMessage(all, w)
		}
		b = wire.AppendAttr(b, rtaMultipath, all...)
	}
	binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start)) // nlmsg_len
	binary.NativeEndian.PutUint32(b[start+wire.HeaderLen+8:], flags)
	return b
}

// lastingRoute are the attributes of a route that do not change with time.
const lastingRoute = ^(FieldCache | FieldMFC | FieldExpires)

// lastingNexthop are the same of a nexthop object, without what only a dump has that asks for it:
// NHA_HW_STATS_ENABLE comes with the statistics alone (nla_put_nh_group).
const lastingNexthop = ^Fields(1<<nhaGroupStats | 1<<nhaOpFlags | 1<<nhaHWStatsUsed | 1<<nhaHWStatsEnable)

// AppendLasting appends the message without what changes with time while the object stays as it
// is: ages, counters.
func (m *Message) AppendLasting(b []byte) []byte {
	switch m.kind {
	case Routes.Kind:
		return m.appendSome(b, lastingRoute)
	case NexthopObjects.Kind:
		return m.appendSome(b, lastingNexthop)
	}
	return append(b, m.bytes...)
}

// appendSome appends the message with some of its attributes.
func (m *Message) appendSome(b []byte, some Fields) []byte {
	start := len(b)
	b = append(b, m.bytes[:wire.HeaderLen+m.kind.Header]...)
	for rest := m.Attributes(); ; {
		typ, n := wire.Head(rest)
		if n == 0 {
			break
		}
		if some&fieldOf(typ) != 0 {
			b = wire.AppendMessage(b, rest[:n])
		}
		rest = rest[min(wire.Align(n), len(rest)):]
	}
	binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start)) // nlmsg_len
	return b
}

// Alike reports whether two messages about objects of one kind say the same, whatever state
// the objects are in: header and attributes in any order, but for flags and what AppendLasting
// leaves out.
func Alike(a, b *Message) bool {
	// In struct nhmsg, struct rtmsg and struct fib_rule_hdr, where they come last.
	const nhFlags, rtmFlags, ruleFlags = 4, 8, 8
	lasting, head := AllFields, a.kind.Header
	switch a.kind {
	case Routes.Kind:
		lasting, head = lastingRoute, rtmFlags
	case NexthopObjects.Kind:
		lasting, head = lastingNexthop, nhFlags
	case Rules.Kind:
		if head = ruleFlags; (wire.U32(a.payload[head:])^wire.U32(b.payload[head:]))&^ruleState != 0 {
			return false
		}
	}
	if (a.has^b.has)&lasting != 0 || string(a.payload[:head]) != string(b.payload[:head]) {
		return false
	}
	for n := range lastField + 1 {
		switch {
		case a.has&lasting&(1<<n) == 0:
		case a.kind == Routes.Kind && n == rtaMultipath:
			if !SameWays(a, b) {
				return false
			}
		case a.kind == NexthopObjects.Kind && n == nhaResGroup:
			if !sameResilience(a.data(n), b.data(n)) {
				return false
			}
		case string(a.data(n)) != string(b.data(n)):
			return false
		}
	}
	return true
}

// sameResilience reports whether two resilient groups move their buckets alike, however long they
// have been unbalanced.
func sameResilience(a, b []byte) bool {
	lasting := func(d []byte) (kept []byte) {
		for w := wire.Walk(d); w.Next(); {
			if w.Type != nhaResGroupUnbalancedTime {
				kept = wire.AppendAttr(kept, w.Type, w.Data...)
			}
		}
		return kept
	}
	return string(lasting(a)) == string(lasting(b))
}

// SameWays reports whether two routes have the same nexthops, with the same weights, in one order.
func SameWays(a, b *Message) bool {
	return slices.EqualFunc(a.AppendRawWays(nil), b.AppendRawWays(nil), func(v, w Way) bool {
		return v.Same(w) && v[3] == w[3] // rtnh_hops
	})
}

// rtprotRA is RTPROT_RA: the kernel itself, from a router's advertisement.
const rtprotRA = 9

// Joins reports whether the kernel makes one route of an IPv6 route and others with the same
// destination and metric (rt6_qualify_for_ecmp).
func (m *Message) Joins() bool {
	const ways = 1<<rtaGateway | 1<<rtaVia | 1<<rtaMultipath
	return m.has&ways != 0 && !m.UsesObject() && RouteProtocol(m) != rtprotRA
}

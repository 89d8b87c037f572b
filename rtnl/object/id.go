package object

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"kernelroutes/rtnl/wire"
)

// AppendID appends the route's identity as text: family, table and destination,
// and a hash of all else that the kernel compares when it decides whether two
// routes are one, as in "ipv4:254:10.0.0.0/8:9c1f0e6b5a3d2c47". Routes that the
// kernel keeps apart have different identities; a route has the same in every
// dump and every process. Counters, ages, cached and link state are not in it.
//
//   - IPv4 (fib_table_insert, fib_find_info): tos, metric, type, protocol,
//     scope, preferred source, route metrics, nexthops with weight.
//   - IPv6 (fib6_add_rt2node, rt6_duplicate_nexthop): source, metric, type,
//     protocol, nexthops without weight. Replacing a route can leave two that are
//     alike in all of this: a Cursor counts them, in the kernel's order.
//   - Multicast routing (mr_mfc_find_parent): source, and the input interface of
//     a route from any source.
//   - MPLS: the label alone.
//
// A route with a nexthop object is told by the object's id, whatever the object
// is at the moment. The fields in FieldID must have been decoded.
func (r *Route) AppendID(b []byte) []byte {
	b = append(b, r.Family.String()...)
	b = append(b, ':')
	b = strconv.AppendUint(b, uint64(r.Table), 10)
	b = append(b, ':')
	b = r.AppendDst(b)
	b = append(b, ':')
	h := r.identity()
	if r.twin > 0 {
		h.num(uint64(r.twin))
	}
	return h.append(b)
}

// identity hashes what tells routes to one destination apart.
func (r *Route) identity() hash {
	h := newHash()
	h.prefix(r.Src)
	typ := r.Type
	if r.NexthopID.OK && typ == Blackhole {
		typ = Unicast // the object is a blackhole now, the route was added as unicast
	}
	switch r.Family {
	case IPv4:
		h.num(uint64(r.TOS), uint64(typ), uint64(r.Protocol), uint64(r.Scope))
		h.opt(r.Priority)
		h.addr(r.PrefSrc)
		h.num(uint64(r.Metrics.has))
		h.num32(r.Metrics.values[:firstMetrics])
		h.bytes([]byte(r.Metrics.CC))
		for n := firstMetrics; n < maxMetrics; n++ {
			if v, ok := r.Metrics.Get(uint8(n)); ok {
				h.num(uint64(v))
			}
		}
	case IPv6:
		h.num(uint64(typ), uint64(r.Protocol))
		h.opt(r.Priority)
	case IPMR, IP6MR:
		if r.Src.Addr().IsUnspecified() {
			h.opt(r.IIF)
		}
		return h
	default:
		return h
	}
	switch {
	case r.NexthopID.OK:
		h.opt(r.NexthopID)
	case len(r.Multipath) > 0:
		h.num(uint64(len(r.Multipath)))
		for i := range r.Multipath {
			h.hop(r.Family, &r.Multipath[i])
		}
	default:
		only := r.hop()
		h.hop(r.Family, &only)
	}
	return h
}

// AppendDst appends the destination: a prefix, or an MPLS label.
func (r *Route) AppendDst(b []byte) []byte {
	if r.Dst.IsValid() {
		return AppendPrefix(b, r.Dst)
	}
	return AppendLabels(b, r.DstLabel)
}

// ParseID reads family, table and destination from an identity. The destination
// is not valid for an MPLS route.
func ParseID(id string) (f Family, table uint32, dst netip.Prefix, ok bool) {
	family, rest, _ := strings.Cut(id, ":")
	number, rest, _ := strings.Cut(rest, ":")
	i := strings.LastIndexByte(rest, ':')
	if f, ok = ParseFamily(family); !ok || i < 0 {
		return 0, 0, dst, false
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0, 0, dst, false
	}
	if f != MPLS {
		if dst, err = netip.ParsePrefix(rest[:i]); err != nil {
			return 0, 0, dst, false
		}
	}
	return f, uint32(n), dst, true
}

// firstMetrics is up to which metric identities have had each since they are as they are;
// a later one changes that of no route without it.
const firstMetrics = 18

// A hash is 64-bit FNV-1a over values that each say how long they are, so that
// different sequences of values are different sequences of bytes.
type hash uint64

func newHash() hash { return 14695981039346656037 }

func (h *hash) byte(c byte) { *h = (*h ^ hash(c)) * 1099511628211 }

func (h *hash) num(values ...uint64) {
	for _, v := range values {
		for ; v >= 0x80; v >>= 7 {
			h.byte(byte(v) | 0x80)
		}
		h.byte(byte(v))
	}
}

func (h *hash) num32(values []uint32) {
	for _, v := range values {
		h.num(uint64(v))
	}
}

func (h *hash) bytes(b []byte) {
	h.num(uint64(len(b)))
	for _, c := range b {
		h.byte(c)
	}
}

func (h *hash) opt(o Opt[uint32]) {
	if !o.OK {
		h.byte(0)
		return
	}
	h.byte(1)
	h.num(uint64(o.V))
}

func (h *hash) addr(a netip.Addr) {
	if !a.IsValid() {
		h.byte(0)
		return
	}
	b := a.As16()
	h.bytes(b[16-a.BitLen()/8:])
}

func (h *hash) prefix(p netip.Prefix) {
	// ::/0 and 0.0.0.0/0 as a source are no source.
	if !p.IsValid() || p.Bits() == 0 {
		h.byte(0)
		return
	}
	h.addr(p.Addr())
	h.num(uint64(p.Bits()))
}

func (h *hash) hop(f Family, n *Nexthop) {
	h.num(uint64(n.OIF))
	if n.LinkGateway != nil {
		h.num(afPacket) // which is no length of an IP address
		h.bytes(n.LinkGateway)
	} else {
		h.addr(n.Gateway)
	}
	h.num(uint64(n.Encap.Type))
	h.encap(n.Encap)
	h.bytes(n.NewDst)
	if f == IPv4 {
		const lasting = 0x2 | 0x4 | 0x20 // RTNH_F_PERVASIVE, ONLINK, UNRESOLVED: all but RTNH_COMPARE_MASK
		h.num(uint64(n.Flags&lasting), uint64(n.Weight))
		h.opt(n.Realms)
	}
}

// encap leaves out the counters that a seg6local action keeps
// (SEG6_LOCAL_COUNTERS): the kernel compares only whether they are there.
func (h *hash) encap(e Encap) {
	if e.Type != LWTUNNEL_ENCAP_SEG6_LOCAL {
		h.bytes(e.Raw)
		return
	}
	a := wire.Walk(e.Raw)
	for a.Next() {
		h.num(uint64(a.Type))
		if a.Type != seg6LocalCounters {
			h.bytes(a.Data)
		}
	}
	h.bytes(a.Rest)
}

// append appends the hash as 16 hexadecimal digits.
func (h *hash) append(b []byte) []byte {
	var sum [8]byte
	binary.BigEndian.PutUint64(sum[:], uint64(*h))
	return hex.AppendEncode(b, sum[:])
}

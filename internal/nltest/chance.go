package nltest

import (
	"math/rand/v2"
	"net/netip"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A Chance makes random values.
type Chance struct{ *rand.Rand }

// NewChance returns a Chance that makes the same values for the same seed.
func NewChance(seed uint64) Chance { return Chance{rand.New(rand.NewPCG(seed, 0))} }

// Yes is true every other time.
func (c Chance) Yes() bool { return c.IntN(2) == 0 }

// Bytes returns n bytes.
func (c Chance) Bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(c.Uint32())
	}
	return b
}

// U32 is often one with which something may go wrong.
func (c Chance) U32() uint32 {
	return []uint32{0, 1, 1<<32 - 1, c.Uint32(), c.Uint32N(256)}[c.IntN(5)]
}

func (c Chance) opt32() object.Opt[uint32] { return perhaps(c, c.U32()) }

func perhaps[T any](c Chance, v T) (o object.Opt[T]) {
	if c.Yes() {
		o = object.Some(v)
	}
	return o
}

// Addr is an address of n bytes.
func (c Chance) Addr(n int) netip.Addr {
	a, _ := netip.AddrFromSlice(c.Bytes(n))
	return a
}

// gateway is an address of either family, or none.
func (c Chance) gateway() netip.Addr { return c.Addr([]int{0, 4, 16}[c.IntN(3)]) }

func (c Chance) labels() []byte {
	if c.Yes() {
		return nil
	}
	return c.Bytes(4 * (1 + c.IntN(3)))
}

func (c Chance) encap() (e object.Encap) {
	if c.Yes() {
		e = object.Encap{Type: uint16(1 + c.IntN(12)), Raw: c.Bytes(c.IntN(40))}
	}
	return e
}

func (c Chance) unknown(types ...uint16) (all []wire.Attr) {
	for range c.IntN(3) {
		all = append(all, wire.Attr{Type: types[c.IntN(len(types))], Data: c.Bytes(c.IntN(9))})
	}
	return all
}

// Metrics are any that there are.
func (c Chance) Metrics() object.Metrics {
	values, cc := map[uint8]uint32{}, ""
	for n := uint8(1); n < RTAX_END; n++ {
		switch {
		case c.Yes():
		case n == object.RTAX_CC_ALGO:
			cc = "cubic"
		default:
			values[n] = c.U32()
		}
	}
	return MetricsOf(values, cc)
}

// Hops are up to three nexthops of a route.
func (c Chance) Hops(f object.Family) (hops []object.Nexthop) {
	for range c.IntN(4) {
		h := object.Nexthop{OIF: c.U32(), Gateway: c.gateway(), LinkGateway: c.linkAddr(), Flags: c.Uint32N(256),
			Realms: c.opt32(), Encap: c.encap(), NewDst: c.labels(), Unknown: c.unknown(0, 1, 4, 33, 200)}
		if f == object.IPMR || f == object.IP6MR {
			h.TTLThreshold = object.Some(byte(c.U32()))
		} else {
			h.Weight = 1 + c.Uint32N(256)
		}
		hops = append(hops, h)
	}
	return hops
}

// linkAddr is mostly none.
func (c Chance) linkAddr() []byte {
	if c.IntN(4) > 0 {
		return nil
	}
	return c.Bytes(1 + c.IntN(MaxLinkAddr))
}

// Route is a route that AppendRoute can encode.
func (c Chance) Route() *object.Route {
	r := &object.Route{
		Family: []object.Family{object.IPv4, object.IPv6, object.MPLS, object.IPMR, object.IP6MR}[c.IntN(5)],
		Type:   object.RouteType(c.IntN(13)), Protocol: byte(c.U32()), Scope: byte(c.U32()), TOS: byte(c.U32()),
		Flags: c.U32(), Table: c.U32(),
		IIF: c.opt32(), OIF: c.opt32(), Gateway: c.gateway(), Priority: c.opt32(), PrefSrc: c.gateway(),
		LinkGateway: c.linkAddr(), Metrics: c.Metrics(), Realms: c.opt32(),
		Cache: perhaps(c, object.CacheInfo{ClntRef: c.U32(), LastUse: c.U32(), Expires: int32(c.U32()), Error: c.U32(),
			Used: c.U32(), ID: c.U32(), TS: c.U32(), TSAge: c.U32()}),
		Mark: c.opt32(), MFC: perhaps(c, object.MFCStats{Packets: c.Uint64(), Bytes: c.Uint64(), WrongIf: c.Uint64()}),
		NewDst: c.labels(), Pref: perhaps(c, byte(c.U32())), Encap: c.encap(), Expires: perhaps(c, c.Uint64()),
		UID: c.opt32(), TTLPropagate: perhaps(c, byte(c.U32())), IPProto: perhaps(c, byte(c.U32())),
		SPort: perhaps(c, uint16(c.U32())), DPort: perhaps(c, uint16(c.U32())), NexthopID: c.opt32(),
		FlowLabel: c.opt32(), DelReason: c.opt32(), Unknown: c.unknown(0, 10, 13, 14, RTA_END, 63, 64, 300),
	}
	r.Multipath = c.Hops(r.Family)
	if r.FlowLabel.OK && Requested(RTA_FLOWLABEL) {
		r.Unknown = append(r.Unknown, wire.Attr{Type: RTA_FLOWLABEL, Data: BE(r.FlowLabel.V)})
	}
	if r.DelReason.OK && Requested(RTA_DEL_REASON) {
		r.Unknown = append(r.Unknown, wire.Attr{Type: RTA_DEL_REASON, Data: NE(r.DelReason.V)})
	}
	if n := r.Family.AddrLen(); n > 0 {
		r.Dst = netip.PrefixFrom(c.Addr(n), c.IntN(n*8+1))
		if c.Yes() {
			r.Src = netip.PrefixFrom(c.Addr(n), c.IntN(n*8+1))
		}
	} else if c.Yes() {
		r.DstLabel = c.Bytes(4)
	}
	return r
}

// Nexthop is a nexthop object that AppendNexthop can encode.
func (c Chance) Nexthop() *object.NexthopObject {
	o := &object.NexthopObject{ID: c.U32(), Family: []object.Family{0, object.IPv4, object.IPv6}[c.IntN(3)],
		Protocol: byte(c.U32()), Scope: byte(c.U32()), Flags: c.U32(),
		Unknown: c.unknown(0, 9, 10, 13, 18, 300), FDB: c.Yes()}
	switch c.IntN(3) {
	case 0:
		o.Blackhole = true
	case 1:
		o.GroupType = uint16(c.IntN(2))
		for range 1 + c.IntN(4) {
			o.Group = append(o.Group, object.GroupMember{ID: c.U32(), Weight: 1 + c.Uint32N(1<<16)})
		}
		o.OpFlags = object.Some(c.U32() | NHA_OP_FLAG_RESP_GRP_RESVD_0)
		o.Resilient = object.Resilient{Buckets: perhaps(c, uint16(c.U32())), IdleTimer: c.opt32(),
			UnbalancedTimer: c.opt32(), UnbalancedTime: perhaps(c, c.Uint64())}
		o.HWStats, o.HWStatsUsed = c.opt32(), c.opt32()
		for range c.IntN(3) {
			o.Stats = append(o.Stats, object.MemberStats{ID: c.U32(), Packets: perhaps(c, uint64(c.U32())),
				PacketsHW: perhaps(c, c.Uint64())})
		}
	default:
		o.OIF, o.Gateway, o.Encap = c.U32(), c.gateway(), c.encap()
	}
	return o
}

// Mask returns n bytes that begin with b, and are zeros after some bits.
func Mask(b []byte, n, bits int) []byte {
	out := make([]byte, n)
	copy(out, b)
	for i := bits; i < n*8; i++ {
		out[i/8] &^= 0x80 >> (i % 8)
	}
	return out
}

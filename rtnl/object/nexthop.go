package object

import (
	"iter"
	"net/netip"

	"kernelroutes/rtnl/wire"
)

// RTNH_F_DEAD is in the flags of a nexthop that no packet takes: its interface is down, or has no carrier where
// ignore_routes_with_linkdown is set.
const RTNH_F_DEAD = 0x1

// A Nexthop is one way that a route sends packets: a member of RTA_MULTIPATH, a
// nexthop object, or what the route itself says of its only one.
type Nexthop struct {
	OIF    uint32 // rtnh_ifindex, RTA_OIF or NHA_OIF; 0: none
	Weight uint32 // as ip prints it: 1 to 256, to 65535 in nexthop groups (Linux 6.12); 0: see TTLThreshold
	Flags  uint32 // RTNH_F_*

	Gateway netip.Addr `rta:"5 GATEWAY"` // RTA_GATEWAY, RTA_VIA or NHA_GATEWAY
	// LinkGateway is RTA_VIA of AF_PACKET: a link-layer address, MPLS alone.
	LinkGateway []byte      `rta:"18 VIA"`
	Realms      Opt[uint32] `rta:"11 FLOW"`                // from<<16 | to
	Encap       Encap       `rta:"21 ENCAP_TYPE,22 ENCAP"` // or NHA_*
	NewDst      []byte      `rta:"19 NEWDST"`              // MPLS label stack
	_           struct{}    `rta:"24 PAD"`

	ID      Opt[uint32] // the nexthop object that this one is
	Unknown []wire.Attr // what has no place above, with the numbers of RTA_*, then NHA_* of the nexthop object

	// TTLThreshold is rtnh_hops of an output of a multicast route (IPMR, IP6MR),
	// which has no weight: only packets of a higher TTL leave through it.
	TTLThreshold Opt[uint8]
}

// nexthopFields decode what follows struct rtnexthop.
var nexthopFields = attributesOf("rta", map[uint16]setter[Nexthop]{
	rtaVia:       func(n *Nexthop, d []byte) bool { return via(&n.Gateway, &n.LinkGateway, d) },
	rtaNewDst:    func(n *Nexthop, d []byte) bool { return labels(&n.NewDst, d) },
	rtaEncapType: func(n *Nexthop, d []byte) bool { return n.Encap.decodeType(d) },
	rtaEncap:     func(n *Nexthop, d []byte) bool { return n.Encap.decodeRaw(d) },
})

// nexthopLen is the size of struct rtnexthop.
const nexthopLen = 8

// multipath walks RTA_MULTIPATH: struct rtnexthop, each with attributes of its own.
type multipath struct {
	b   []byte
	off int    // where the next one begins
	end int    // where the current one ends
	bad string // why the walk ended early

	head       []byte // struct rtnexthop
	attributes []byte
}

// next moves to the next nexthop. It returns false at the end, and where none fits.
func (w *multipath) next() bool {
	rest := w.b[w.off:]
	if len(rest) == 0 {
		return false
	}
	if len(rest) < nexthopLen {
		w.bad = "shorter than struct rtnexthop"
		return false
	}
	n := int(wire.U16(rest))
	if n < nexthopLen || n > len(rest) {
		w.bad = "rtnh_len does not fit"
		return false
	}
	w.head, w.attributes = rest[:nexthopLen], rest[nexthopLen:n]
	w.end, w.off = w.off+n, min(w.off+wire.Align(n), len(w.b))
	return true
}

func (w *multipath) oif() uint32 { return wire.U32(w.head[4:]) }

// checkMultipath checks that RTA_MULTIPATH can be decoded.
func checkMultipath(_ int, b []byte) error {
	w := multipath{b: b}
	for w.next() {
		if end, ok := wire.Fit(w.attributes); !ok {
			return wire.Malformed("RTA_MULTIPATH", w.end-len(w.attributes)+end, "attribute does not fit")
		}
	}
	if w.bad != "" {
		return wire.Malformed("RTA_MULTIPATH", w.off, w.bad)
	}
	return nil
}

// outputs yields the output interfaces in RTA_MULTIPATH.
func outputs(b []byte) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		w := multipath{b: b}
		for w.next() && yield(w.oif()) {
		}
	}
}

// labels decodes an MPLS label stack.
func labels(stack *[]byte, d []byte) bool {
	if len(d) == 0 || len(d)%4 != 0 {
		return false
	}
	*stack = d
	return true
}

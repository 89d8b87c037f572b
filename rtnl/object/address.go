package object

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"

	"kernelroutes/rtnl/wire"
)

// A Family is an address family as it stands in rtm_family.
type Family uint8

// The families whose routes this package reads. A dump of all families may
// bring others (CAN gateways, Phonet); they are no IP routes and are left out.
const (
	IPv4  Family = 2   // AF_INET
	IPv6  Family = 10  // AF_INET6
	MPLS  Family = 28  // AF_MPLS: label routes, Linux 4.1
	IPMR  Family = 128 // RTNL_FAMILY_IPMR: IPv4 multicast routing
	IP6MR Family = 129 // RTNL_FAMILY_IP6MR: IPv6 multicast routing
)

var familyNames = map[Family]string{IPv4: "ipv4", IPv6: "ipv6", MPLS: "mpls", IPMR: "ipmr", IP6MR: "ip6mr"}

// String returns ipv4, ipv6, mpls, ipmr or ip6mr, and the number for others.
func (f Family) String() string {
	if s, ok := familyNames[f]; ok {
		return s
	}
	return strconv.Itoa(int(f))
}

// ParseFamily is the inverse of String for the families of this package.
func ParseFamily(s string) (Family, bool) {
	for f, name := range familyNames {
		if name == s {
			return f, true
		}
	}
	return 0, false
}

// AddrLen returns the length of an address of the family in bytes, 0 for one whose addresses
// are none of IP.
func (f Family) AddrLen() int {
	switch f {
	case IPv4, IPMR:
		return 4
	case IPv6, IP6MR:
		return 16
	}
	return 0
}

// afPacket is AF_PACKET, the family of a link-layer address.
const afPacket = 17

// AppendAddr appends an address as iproute2 does, which is the spelling of glibc's
// inet_ntop: that of RFC 5952, but with the last 32 bits of an IPv4-compatible
// address (RFC 4291, 2.5.5.1) in dotted form, ::192.0.2.1, as [netip.Addr] spells
// only IPv4-mapped ones. It appends nothing for the zero Addr.
func AppendAddr(b []byte, a netip.Addr) []byte {
	if a.Is6() {
		// The run of zeros that :: stands for is six words long: ::1 and ::ffff:1.2.3.4 are none of these.
		if w := a.As16(); [12]byte(w[:12]) == [12]byte{} && w[12]|w[13] != 0 {
			return netip.AddrFrom4([4]byte(w[12:])).AppendTo(append(b, "::"...))
		}
	}
	return a.AppendTo(b)
}

// AppendPrefix appends a prefix in CIDR notation, its address as AppendAddr does.
// It appends nothing for a prefix that is not valid.
func AppendPrefix(b []byte, p netip.Prefix) []byte {
	if !p.IsValid() {
		return b
	}
	b = append(AppendAddr(b, p.Addr()), '/')
	return strconv.AppendInt(b, int64(p.Bits()), 10)
}

// AppendLinkAddr appends a link-layer address as iproute2 prints it:
// "02:00:00:00:00:01".
func AppendLinkAddr(b, addr []byte) []byte {
	for i := range addr {
		if i > 0 {
			b = append(b, ':')
		}
		b = hex.AppendEncode(b, addr[i:i+1])
	}
	return b
}

// AppendLabels appends an MPLS label stack as iproute2 prints it ("100/200"),
// for Route.NewDst, Nexthop.NewDst and Route.DstLabel. Bytes that are no label
// stack are appended as "hex:" and their hexadecimal digits.
func AppendLabels(b, stack []byte) []byte {
	if out, ok := AppendLabelStack(b, stack); ok {
		return out
	}
	return hex.AppendEncode(append(b, "hex:"...), stack)
}

// AppendLabelStack appends a label stack (struct mpls_label, RFC 3032) as iproute2
// prints MPLS_IPTUNNEL_DST and RTA_NEWDST: the labels, outermost first, with
// slashes between. It reports false, and appends nothing, where the bytes are not
// whole entries of which the last, and no other, is marked as the bottom.
func AppendLabelStack(b, stack []byte) ([]byte, bool) {
	const bottom = 1 << 8 // MPLS_LS_S_MASK
	if len(stack) == 0 || len(stack)%4 != 0 {
		return b, false
	}
	start := len(b)
	for i := 0; i < len(stack); i += 4 {
		entry := binary.BigEndian.Uint32(stack[i:])
		if (entry&bottom != 0) != (i+4 == len(stack)) {
			return b[:start], false
		}
		if i > 0 {
			b = append(b, '/')
		}
		b = strconv.AppendUint(b, uint64(entry>>12), 10)
	}
	return b, true
}

// prefix makes a prefix of an address that may be absent (all zeros).
func prefix(addr []byte, bits, alen int) netip.Prefix {
	var a netip.Addr
	switch {
	case addr != nil:
		a, _ = netip.AddrFromSlice(addr)
	case alen == 4:
		a = netip.IPv4Unspecified()
	default:
		a = netip.IPv6Unspecified()
	}
	return netip.PrefixFrom(a, bits)
}

func address(a *netip.Addr, d []byte) bool {
	v, ok := netip.AddrFromSlice(d)
	if ok {
		*a = v
	}
	return ok
}

// maxLinkAddr is the size of the longest link-layer address, MAX_ADDR_LEN.
const maxLinkAddr = 32

// via reads struct rtvia: a u16 family and an address of it.
func via(a *netip.Addr, link *[]byte, d []byte) bool {
	if len(d) <= 2 {
		return false
	}
	family, addr := wire.U16(d), d[2:]
	if family == afPacket && len(addr) <= maxLinkAddr {
		*link = addr
		return true
	}
	return family <= 0xff && len(addr) == Family(family).AddrLen() && address(a, addr)
}

package shadow

import (
	"cmp"
	"encoding/binary"
	"net/netip"
)

// A key is an address of either family as a number: that of IPv4 is in the upper 32 bits, so that the
// length of a prefix means the same in both.
type key struct{ hi, lo uint64 }

func (k key) compare(o key) int { return cmp.Or(cmp.Compare(k.hi, o.hi), cmp.Compare(k.lo, o.lo)) }

// A prefix is one of either family. One that contains another comes before it: see compare.
type prefix struct {
	key
	bits uint8
}

func prefixOf(p netip.Prefix) prefix {
	if p.Addr().Is4() {
		a := p.Addr().As4()
		return prefix{key{hi: uint64(binary.BigEndian.Uint32(a[:])) << 32}, uint8(p.Bits())}
	}
	if !p.IsValid() {
		return prefix{}
	}
	a := p.Addr().As16()
	return prefix{key{binary.BigEndian.Uint64(a[:]), binary.BigEndian.Uint64(a[8:])}, uint8(p.Bits())}
}

// compare orders prefixes by their first address, the shorter first.
func (p prefix) compare(o prefix) int {
	return cmp.Or(p.key.compare(o.key), cmp.Compare(p.bits, o.bits))
}

// contains reports whether all addresses of o are in p.
func (p prefix) contains(o prefix) bool {
	if p.bits > o.bits {
		return false
	}
	if p.bits <= 64 {
		return (p.hi^o.hi)>>(64-p.bits) == 0
	}
	return p.hi == o.hi && (p.lo^o.lo)>>(128-p.bits) == 0
}

// end returns the address after the last one of the prefix; false: that is the last of all.
func (p prefix) end() (k key, ok bool) {
	switch {
	case p.bits == 0:
		return key{}, false
	case p.bits <= 64:
		k = key{hi: p.hi + 1<<(64-p.bits)}
	default:
		k = key{p.hi, p.lo + 1<<(128-p.bits)}
		if k.lo == 0 {
			k.hi++
		}
	}
	return k, k != key{}
}

// namesInterface are the destinations of which packets always name an interface (rt6_need_strict).
var namesInterface = []prefix{
	prefixOf(netip.MustParsePrefix("fe80::/10")),
	prefixOf(netip.MustParsePrefix("ff00::/8")),
	prefixOf(netip.MustParsePrefix("::1/128")),
}

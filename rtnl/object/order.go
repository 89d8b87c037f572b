package object

import (
	"bytes"
	"cmp"
	"math/bits"
)

// A Position is where an object stands in the kernel's walk of its table.
type Position struct {
	Dst, Src       [16]byte // IPv4 and MPLS: in the first four
	DstLen, SrcLen uint8    // in bits
	TOS            uint8
	Priority       uint32
}

// A Order says how the kernel walks over a table when it dumps it.
type Order struct {
	// Compare orders positions as the kernel walks them. Objects that compare equal may
	// be in any order. nil: the order is not known.
	Compare func(a, b *Position) int
	// Resume is how the kernel goes on after a datagram.
	Resume Resume
}

// A Resume is how the kernel finds its place again in a table after a datagram.
type Resume uint8

const (
	// ByCount: by how many objects it has walked over. If others go away and come, it
	// passes over as many that nobody has seen. Even that the table has more is not told
	// if all that is left is passed over.
	ByCount Resume = iota
	// ByAddress: by an address, and by how many objects it has walked over at the first
	// address from there on, sent or not. If nothing changed between the last object
	// before and the first one after, it went on where it was.
	ByAddress
	// Exact: it loses nothing.
	Exact
)

// compareIPv4: by address; in one leaf the longer prefix first, then the higher tos,
// then the lower metric (fib_table_dump, fib_insert_alias).
func compareIPv4(a, b *Position) int {
	return cmp.Or(bytes.Compare(a.Dst[:4], b.Dst[:4]), cmp.Compare(b.DstLen, a.DstLen),
		cmp.Compare(b.TOS, a.TOS), cmp.Compare(a.Priority, b.Priority))
}

// compareMPLS: by label (mpls_dump_routes).
func compareMPLS(a, b *Position) int { return bytes.Compare(a.Dst[:4], b.Dst[:4]) }

// compareIPv6: a tree in post-order, a prefix after those that it contains; but the
// subtree of source-specific routes of a prefix comes before everything that the prefix
// contains (fib6_walk_continue).
func compareIPv6(a, b *Position) int {
	if n := int(min(a.DstLen, b.DstLen)); commonBits(&a.Dst, &b.Dst) < n {
		return bytes.Compare(a.Dst[:], b.Dst[:])
	}
	aSrc, bSrc := a.SrcLen > 0, b.SrcLen > 0
	if a.DstLen == b.DstLen {
		switch {
		case aSrc && bSrc:
			if n := int(min(a.SrcLen, b.SrcLen)); commonBits(&a.Src, &b.Src) < n {
				return bytes.Compare(a.Src[:], b.Src[:])
			}
			return cmp.Compare(b.SrcLen, a.SrcLen)
		case aSrc:
			return -1
		case bSrc:
			return 1
		}
		return 0
	}
	// One contains the other. The one that contains comes first only if it is
	// source-specific.
	if a.DstLen < b.DstLen {
		if aSrc {
			return -1
		}
		return 1
	}
	if bSrc {
		return 1
	}
	return -1
}

func commonBits(a, b *[16]byte) int {
	for i := range a {
		if x := a[i] ^ b[i]; x != 0 {
			return i*8 + bits.LeadingZeros8(x)
		}
	}
	return 128
}

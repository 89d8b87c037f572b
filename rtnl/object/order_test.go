package object_test

import (
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
)

// A treeNode is a node of the kernel's tree of IPv6 routes: struct fib6_node.
type treeNode struct {
	left, right *treeNode
	subtree     *treeNode // of sources
	here        []Position
}

// add puts a position under the node of a destination, and of a source.
func (n *treeNode) add(p Position, key []byte, bits int, src bool) {
	for i := range bits {
		next := &n.left
		if key[i/8]>>(7-i%8)&1 != 0 {
			next = &n.right
		}
		if *next == nil {
			*next = &treeNode{}
		}
		n = *next
	}
	if !src && p.SrcLen > 0 {
		if n.subtree == nil {
			n.subtree = &treeNode{}
		}
		n.subtree.add(p, p.Src[:], int(p.SrcLen), true)
		return
	}
	n.here = append(n.here, p)
}

// walk visits the nodes as fib6_walk_continue does: subtree, left, right, self.
func (n *treeNode) walk(visit func([]Position)) {
	if n == nil {
		return
	}
	n.subtree.walk(visit)
	n.left.walk(visit)
	n.right.walk(visit)
	if len(n.here) > 0 {
		visit(n.here)
	}
}

// compare is the order of the kernel's walk of a family's tables.
func compare(f Family, a, b *Position) int { return Routes.Order(f).Compare(a, b) }

// smallPositions are all positions with destinations of up to four bits and
// sources of up to two.
func smallPositions() (all []Position) {
	for dstLen := range 5 {
		for dst := range 1 << dstLen {
			for srcLen := range 3 {
				for src := range 1 << srcLen {
					p := Position{DstLen: uint8(dstLen), SrcLen: uint8(srcLen)}
					p.Dst[0], p.Src[0] = byte(dst<<(8-dstLen)), byte(src<<(8-srcLen))
					all = append(all, p)
				}
			}
		}
	}
	return all
}

func TestCompareIPv6IsTheKernelsOrder(t *testing.T) {
	var root treeNode
	all := smallPositions()
	c := NewChance(1)
	c.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, p := range all {
		root.add(p, p.Dst[:], int(p.DstLen), false)
	}
	for range 2000 { // and large ones
		p := Position{DstLen: uint8(c.IntN(129)), SrcLen: uint8(max(c.IntN(200)-71, 0))}
		copy(p.Dst[:], Mask(c.Bytes(2), 16, int(p.DstLen)))
		copy(p.Src[:], Mask(c.Bytes(2), 16, int(p.SrcLen)))
		root.add(p, p.Dst[:], int(p.DstLen), false)
	}
	var before *Position
	root.walk(func(here []Position) {
		for i := range here {
			if compare(IPv6, &here[i], &here[0]) != 0 {
				t.Errorf("%v and %v are of one node, and in order", here[i], here[0])
			}
		}
		if before != nil && compare(IPv6, before, &here[0]) >= 0 {
			t.Errorf("%v comes before %v", *before, here[0])
		}
		before = &here[0]
	})
}

// TestCompareIsAnOrder checks that compare is a strict weak order.
func TestCompareIsAnOrder(t *testing.T) {
	six := smallPositions()
	var four []Position
	for dstLen := range uint8(3) {
		for dst := range 1 << dstLen {
			for _, tos := range []uint8{0, 4} {
				for prio := range uint32(2) {
					p := Position{DstLen: dstLen, TOS: tos, Priority: prio}
					p.Dst[0] = byte(dst << (8 - dstLen))
					four = append(four, p)
				}
			}
		}
	}
	for _, tc := range []struct {
		f   Family
		all []Position
	}{{IPv4, four}, {IPv6, six}, {MPLS, four}} {
		order := make([][]int, len(tc.all))
		for i := range tc.all {
			for j := range tc.all {
				order[i] = append(order[i], compare(tc.f, &tc.all[i], &tc.all[j]))
			}
		}
		for i := range order {
			for j := range order {
				if order[i][j] != -order[j][i] || i == j && order[i][j] != 0 {
					t.Fatalf("%v: %v and %v: %d and %d", tc.f, tc.all[i], tc.all[j], order[i][j], order[j][i])
				}
				for k := range order {
					if order[i][j] <= 0 && order[j][k] <= 0 &&
						(order[i][k] > 0 || order[i][k] == 0 && order[i][j]+order[j][k] < 0) {
						t.Fatalf("%v: %v <= %v <= %v, but %d", tc.f, tc.all[i], tc.all[j], tc.all[k], order[i][k])
					}
				}
			}
		}
	}
}

func TestWalks(t *testing.T) {
	for f, want := range map[Family]Resume{IPv4: ByAddress, IPv6: ByCount, MPLS: Exact} {
		if w := Routes.Order(f); w.Compare == nil || w.Resume != want {
			t.Errorf("%v: %v", f, w.Resume)
		}
	}
	for _, f := range []Family{IPMR, IP6MR, 0} {
		if w := Routes.Order(f); w.Compare != nil || w.Resume != ByCount {
			t.Errorf("%v: the order is known, %v", f, w.Resume)
		}
	}
}

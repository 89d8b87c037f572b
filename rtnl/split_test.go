package rtnl

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
)

// TestSplit walks over the parts of snapshots of many shapes.
func TestSplit(t *testing.T) {
	for _, perRun := range []int{1, 7, 300, 100000} {
		for _, perDst := range []int{1, 3, 5000} {
			s := &Snapshot{Consistent: true, Tries: 3}
			var run []byte
			for i := range 10000 {
				r := Route{Family: IPv6, Table: 254, Type: Unicast, OIF: some(uint32(i + 1))}
				var a [16]byte
				binary.BigEndian.PutUint32(a[:], 0xfd000000+uint32(i/perDst))
				r.Dst = netip.PrefixFrom(netip.AddrFrom16(a), 64)
				payload := appendRoute(nil, &r)
				run = append(appendHeader(run, 16+len(payload), 24, 0, 0), payload...)
				if (i+1)%perRun == 0 {
					s.routes = appendRun(s.routes, run)
					run = nil
				}
			}
			s.routes = appendRun(s.routes, run)
			for _, n := range []int{1, 2, 3, 8, 1000} {
				name := fmt.Sprintf("%d a run, %d a destination, %d parts", perRun, perDst, n)
				parts := s.Split(n)
				if len(parts) > n || n > 1 && perDst < 5000 && len(parts) < 2 {
					t.Errorf("%s: %d parts", name, len(parts))
				}
				next := uint32(1)
				var last netip.Prefix
				for _, p := range parts {
					if !p.Consistent || p.Tries != 3 {
						t.Errorf("%s: %+v", name, p)
					}
					first := true
					for c := p.Cursor(FieldDst | FieldOIF); c.Next(); next++ {
						r := c.Route()
						if r.OIF.V != next {
							t.Fatalf("%s: route %d in the place of %d", name, r.OIF.V, next)
						}
						if first && r.Dst == last {
							t.Errorf("%s: %v is in two parts", name, last)
						}
						first, last = false, r.Dst
					}
				}
				if next != 10001 {
					t.Errorf("%s: %d routes", name, next-1)
				}
			}
		}
	}
}

// TestSplitCounted has routes that are only counted.
func TestSplitCounted(t *testing.T) {
	run := make([]byte, 0, 4*leastPart)
	for i := byte(0); len(run) < 3*leastPart; i++ {
		run = append(run, route4(0, i, 254)...)
	}
	for _, s := range []*Snapshot{{counted: 7}, {counted: 7, routes: [][]byte{run}}} {
		n := 0
		for _, p := range s.Split(3) {
			n += size(p)
		}
		if n != size(s) {
			t.Errorf("%d routes in the parts, want %d", n, size(s))
		}
	}
}

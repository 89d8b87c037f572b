package rtnl

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// TestSplit walks over the parts of snapshots of many shapes.
func TestSplit(t *testing.T) {
	for _, perRun := range []int{1, 7, 300, 100000} {
		for _, perDst := range []int{1, 3, 5000} {
			var runs []object.Run
			var run []byte
			for i := range 10000 {
				r := object.Route{Family: object.IPv6, Table: 254, Type: object.Unicast,
					OIF: object.Some(uint32(i + 1))}
				var a [16]byte
				binary.BigEndian.PutUint32(a[:], 0xfd000000+uint32(i/perDst))
				r.Dst = netip.PrefixFrom(netip.AddrFrom16(a), 64)
				payload := nltest.AppendRoute(nil, &r)
				run = append(run, nltest.Padded(object.RTM_NEWROUTE, 0, 0, payload)...)
				if (i+1)%perRun == 0 {
					runs = appendRoutes(runs, run)
					run = nil
				}
			}
			runs = appendRoutes(runs, run)
			s := NewSnapshot(true, map[*object.Kind][]object.Run{object.Routes.Kind: runs})
			s.Tries = 3
			for _, n := range []int{1, 2, 3, 8, 1000} {
				name := fmt.Sprintf("%d a run, %d a destination, %d parts", perRun, perDst, n)
				parts := s.Split(object.Routes.Kind, n)
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
					for c := p.Cursor(object.FieldDst | object.FieldVia); c.Next(); next++ {
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

// appendRoutes appends messages about routes as a run, if there are any.
func appendRoutes(runs []object.Run, b []byte) []object.Run {
	if len(b) == 0 {
		return runs
	}
	var m object.Message
	for msg := range wire.Messages(b) {
		if err := object.Routes.Check(&m, msg); err != nil {
			panic(err)
		}
	}
	return append(runs, m.RunIn(b))
}

// TestSplitLinks has objects of which it is not known how the kernel walks over them, and
// a kind of which there are none.
func TestSplitLinks(t *testing.T) {
	var log object.Messages
	var m object.Message
	for i := range uint32(3 * leastPart / 40) {
		if err := object.Links.Check(&m, link(0, i+1, "v")); err != nil {
			t.Fatal(err)
		}
		log.Add(&m)
	}
	s := NewSnapshot(true, map[*object.Kind][]object.Run{object.Links.Kind: log.Runs})
	parts := s.Split(object.Links.Kind, 3)
	n := uint32(0)
	for _, p := range parts {
		for l := range All(p, object.Links) {
			if n++; l.Index != n {
				t.Fatalf("link %d in the place of %d", l.Index, n)
			}
		}
	}
	if len(parts) < 2 || int(n) != s.Count(object.Links.Kind) {
		t.Errorf("%d links in %d parts, want %d", n, len(parts), s.Count(object.Links.Kind))
	}
	if parts := s.Split(object.Routes.Kind, 3); len(parts) != 1 || size(parts[0]) != 0 {
		t.Errorf("%d parts of no routes", len(parts))
	}
}

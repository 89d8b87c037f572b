package events

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// routeMessage makes a message about a route to an IPv4 or IPv6 destination.
func routeMessage(t *testing.T, dst netip.Prefix, table, metric, oif uint32) *object.Message {
	t.Helper()
	family := object.IPv6
	if dst.Addr().Is4() {
		family = object.IPv4
	}
	const rtaDst, rtaOIF, rtaPriority, rtaTable = 1, 4, 6, 15
	p := []byte{byte(family), byte(dst.Bits()), 0, 0, 0, 3, 0, 1, 0, 0, 0, 0}
	if dst.Bits() > 0 { // the kernel says nothing of zeros
		p = wire.AppendAttr(p, rtaDst, dst.Addr().AsSlice()...)
	}
	p = wire.AppendU32(p, rtaTable, table)
	p = wire.AppendU32(p, rtaPriority, metric)
	p = wire.AppendU32(p, rtaOIF, oif)
	b := append(wire.AppendHeader(nil, wire.HeaderLen+len(p), object.Routes.New, 0, 0), p...)
	var m object.Message
	if err := object.Routes.Check(&m, b); err != nil {
		t.Fatal(err)
	}
	return &m
}

// anyRoute makes a message about a route of either family, to few destinations, and to all.
func anyRoute(t *testing.T, r *rand.Rand) *object.Message {
	t.Helper()
	dst := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(r.IntN(8)), byte(r.IntN(256))}), 32)
	switch r.IntN(9) {
	case 0:
		dst = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	case 1, 2, 3:
		dst = netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 15: byte(r.IntN(256))}), 128)
	}
	return routeMessage(t, dst, 254+uint32(r.IntN(2)), uint32(r.IntN(200)), uint32(1+r.IntN(3)))
}

// TestStoreEmpties removes every route, and holds nothing then.
func TestStoreEmpties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := newStore()
	for range 20_000 {
		s.add(anyRoute(t, r), 0)
	}
	compacted := 0
	for r := range s.all {
		before := s.used + s.shapes.used
		s.remove(r)
		if s.compact(); s.used+s.shapes.used < before {
			compacted++
			break // no ref is valid now
		}
	}
	for s.count > 0 {
		for r := range s.all {
			s.remove(r)
			break
		}
	}
	if s.compact(); compacted == 0 || s.shapes.count != 0 || s.used-s.freed != 0 || s.shapes.used-s.shapes.freed != 0 {
		t.Errorf("%d shapes are left, %d bytes of records and %d of shapes; compacted %d times", s.shapes.count,
			s.used-s.freed, s.shapes.used-s.shapes.freed, compacted)
	}
}

// TestStoreMemory: routes that differ in their destination alone take what that takes.
func TestStoreMemory(t *testing.T) {
	s := newStore()
	const n = 10_000
	s.reserve(n)
	for i := range n {
		dst := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
		s.add(routeMessage(t, dst, 254, 20, 3), 0)
	}
	if s.shapes.count != 1 || s.used != n*(recordHead+4) || len(s.buckets) > 2*n {
		t.Errorf("%d shapes, %d bytes and %d buckets for %d routes", s.shapes.count, s.used, len(s.buckets), n)
	}
}

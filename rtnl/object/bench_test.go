package object_test

import (
	"net/netip"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// everyAttribute is a route with every attribute that there is. No kernel sends
// such a one.
func everyAttribute() *Route {
	encap := Encap{Type: 1, Raw: Attr(1, Labels(100, 200))}
	hop := Nexthop{OIF: 2, Gateway: addr4, Weight: 10, Flags: 4, Realms: Some[uint32](1<<16 | 2), Encap: encap,
		NewDst: Labels(300)}
	r := &Route{Family: IPv4, Type: Unicast, Protocol: 186, Scope: 200, TOS: 8, Flags: 4, Table: 1000,
		Dst: netip.MustParsePrefix("192.0.2.0/24"), Src: netip.MustParsePrefix("198.51.100.0/24"),
		IIF: Some[uint32](3), OIF: Some[uint32](2), Gateway: addr4, Priority: Some[uint32](20), PrefSrc: addr4,
		Multipath: []Nexthop{hop, hop, hop, hop}, Realms: hop.Realms, Cache: Some(CacheInfo{1, 2, 3, 4, 5, 6, 7, 8}),
		Mark: Some[uint32](1), MFC: Some(MFCStats{1, 2, 3}), NewDst: hop.NewDst, Pref: Some[uint8](1), Encap: encap,
		Expires: Some[uint64](100), UID: Some[uint32](1000), TTLPropagate: Some[uint8](1), IPProto: Some[uint8](6),
		SPort: Some[uint16](80), DPort: Some[uint16](443), NexthopID: Some[uint32](5), FlowLabel: Some[uint32](9),
		DelReason: Some[uint32](1), Unknown: []wire.Attr{{Type: 99, Data: []byte{1, 2, 3, 4}}}}
	for n := uint8(RTAX_LOCK); n < RTAX_END; n++ {
		if n != RTAX_CC_ALGO {
			r.Metrics.Set(n, uint32(n))
		}
	}
	return r
}

// plainRoute is a route as a router has a million of.
func plainRoute() *Route {
	return &Route{Family: IPv4, Type: Unicast, Protocol: 186, Table: 254, Dst: netip.MustParsePrefix("192.0.2.0/24"),
		OIF: Some[uint32](2), Gateway: addr4, Priority: Some[uint32](20)}
}

// ipv6Route is one that a router has announced, ecmpRoute one with four nexthops.
func ipv6Route() *Route {
	return &Route{Family: IPv6, Type: Unicast, Protocol: 9, Table: 254, Dst: netip.MustParsePrefix("2001:db8::/64"),
		OIF: Some[uint32](2), Gateway: addr6, Priority: Some[uint32](1024), Cache: Some(CacheInfo{Expires: 100}),
		Pref: Some[uint8](0)}
}

func ecmpRoute() *Route {
	r := plainRoute()
	r.OIF, r.Gateway = Opt[uint32]{}, netip.Addr{}
	for i := range uint32(4) {
		r.Multipath = append(r.Multipath, Nexthop{OIF: 2 + i, Gateway: addr4, Weight: 1})
	}
	return r
}

var benchRoutes = []struct {
	name  string
	route func() *Route
}{{"plain", plainRoute}, {"IPv6", ipv6Route}, {"ECMP", ecmpRoute}, {"every attribute", everyAttribute}}

// TestDecodingDoesNotAllocate checks the steady state, in which the memory of the
// route before is used again. The name of a congestion control algorithm is a
// string that leaves.
func TestDecodingDoesNotAllocate(t *testing.T) {
	full := everyAttribute()
	full.Metrics = MetricsOf(map[uint8]uint32{RTAX_MTU: 1400}, "bbr")
	for _, tc := range []struct {
		name  string
		route *Route
		want  float64
	}{
		{"plain", plainRoute(), 0},
		{"every attribute", everyAttribute(), 0},
		{"every attribute, congestion control", full, 1},
	} {
		msg := MessageOf(RTM_NEWROUTE, 0, 0, AppendRoute(nil, tc.route))
		var m Message
		var r Route
		var id []byte
		decode := func() {
			if err := Routes.Check(&m, msg); err != nil {
				t.Fatal(err)
			}
			r.Decode(&m, AllFields)
			id = r.AppendID(id[:0])
		}
		if got := testing.AllocsPerRun(100, decode); got != tc.want {
			t.Errorf("%s: %v allocations, want %v", tc.name, got, tc.want)
		}
	}
}

func benchmark(b *testing.B, do func(*testing.B, *Route, []byte)) {
	for _, tc := range benchRoutes {
		b.Run(tc.name, func(b *testing.B) {
			r := tc.route()
			msg := MessageOf(RTM_NEWROUTE, 0, 0, AppendRoute(nil, r))
			b.ReportAllocs()
			do(b, r, msg)
		})
	}
}

// BenchmarkDecode decodes all of a route.
func BenchmarkDecode(b *testing.B) { benchmarkDecode(b, AllFields) }

// BenchmarkDecodeFew decodes what four columns need.
func BenchmarkDecodeFew(b *testing.B) {
	benchmarkDecode(b, FieldDst|FieldVia|FieldTable)
}

func benchmarkDecode(b *testing.B, want Fields) {
	benchmark(b, func(b *testing.B, _ *Route, msg []byte) {
		var m Message
		if err := Routes.Check(&m, msg); err != nil {
			b.Fatal(err)
		}
		var r Route
		for b.Loop() {
			r.Decode(&m, want)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	benchmark(b, func(b *testing.B, _ *Route, msg []byte) {
		var m Message
		for b.Loop() {
			if err := Routes.Check(&m, msg); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppendID(b *testing.B) {
	benchmark(b, func(b *testing.B, r *Route, _ []byte) {
		var id []byte
		for b.Loop() {
			id = r.AppendID(id[:0])
		}
	})
}

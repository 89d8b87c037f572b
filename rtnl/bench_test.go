package rtnl

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// everyAttribute is a route with every attribute that there is. No kernel sends
// such a one.
func everyAttribute() *Route {
	encap := Encap{Type: 1, Raw: encAttr(1, encLabels(100, 200))}
	hop := Nexthop{OIF: 2, Gateway: addr4, Weight: 10, Flags: 4, Realms: some[uint32](1<<16 | 2), Encap: encap, NewDst: encLabels(300)}
	r := &Route{Family: IPv4, Type: Unicast, Protocol: 186, Scope: 200, TOS: 8, Flags: 4, Table: 1000,
		Dst: netip.MustParsePrefix("192.0.2.0/24"), Src: netip.MustParsePrefix("198.51.100.0/24"),
		IIF: some[uint32](3), OIF: some[uint32](2), Gateway: addr4, Priority: some[uint32](20), PrefSrc: addr4,
		Multipath: []Nexthop{hop, hop, hop, hop}, Realms: hop.Realms, Cache: some(CacheInfo{1, 2, 3, 4, 5, 6, 7, 8}),
		Mark: some[uint32](1), MFC: some(MFCStats{1, 2, 3}), NewDst: hop.NewDst, Pref: some[uint8](1), Encap: encap,
		Expires: some[uint64](100), UID: some[uint32](1000), TTLPropagate: some[uint8](1), IPProto: some[uint8](6),
		SPort: some[uint16](80), DPort: some[uint16](443), NexthopID: some[uint32](5), FlowLabel: some[uint32](9),
		DelReason: some[uint32](1), Unknown: []Attr{{99, []byte{1, 2, 3, 4}}}}
	for n := MetricLock; n < metricEnd; n++ {
		if n != MetricCCAlgo {
			r.Metrics.values[n] = uint32(n)
			r.Metrics.has |= 1 << n
		}
	}
	return r
}

// plainRoute is a route as a router has a million of.
func plainRoute() *Route {
	return &Route{Family: IPv4, Type: Unicast, Protocol: 186, Table: 254, Dst: netip.MustParsePrefix("192.0.2.0/24"),
		OIF: some[uint32](2), Gateway: addr4, Priority: some[uint32](20)}
}

var benchRoutes = []struct {
	name  string
	route func() *Route
}{{"plain", plainRoute}, {"every attribute", everyAttribute}}

// TestDecodingDoesNotAllocate checks the steady state, in which the memory of the
// route before is used again. The name of a congestion control algorithm is a
// string that leaves.
func TestDecodingDoesNotAllocate(t *testing.T) {
	full := everyAttribute()
	full.Metrics.CC = "bbr"
	full.Metrics.has |= 1 << MetricCCAlgo
	for _, tc := range []struct {
		name  string
		route *Route
		want  float64
	}{
		{"plain", plainRoute(), 0},
		{"every attribute", everyAttribute(), 0},
		{"every attribute, congestion control", full, 1},
	} {
		msg := appendRoute(nil, tc.route)
		var r Route
		var id []byte
		decode := func() {
			if err := r.decode(msg, AllFields); err != nil {
				t.Fatal(err)
			}
			id = r.AppendID(id[:0])
			if _, err := readHead(msg); err != nil {
				t.Fatal(err)
			}
		}
		if got := testing.AllocsPerRun(100, decode); got != tc.want {
			t.Errorf("%s: %v allocations, want %v", tc.name, got, tc.want)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, tc := range benchRoutes {
		b.Run(tc.name, func(b *testing.B) {
			msg := appendRoute(nil, tc.route())
			b.SetBytes(int64(len(msg)))
			b.ReportAllocs()
			var r Route
			for b.Loop() {
				if err := r.decode(msg, AllFields); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadHead(b *testing.B) {
	for _, tc := range benchRoutes {
		b.Run(tc.name, func(b *testing.B) {
			msg := appendRoute(nil, tc.route())
			b.SetBytes(int64(len(msg)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := readHead(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendID(b *testing.B) {
	for _, tc := range benchRoutes {
		b.Run(tc.name, func(b *testing.B) {
			r := tc.route()
			b.ReportAllocs()
			var id []byte
			for b.Loop() {
				id = r.AppendID(id[:0])
			}
		})
	}
}

// manyRoutes makes a namespace with n IPv4 routes besides those of interface v0.
func manyRoutes(t testing.TB, n int) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("route add 20.%d.%d.0/24 via 10.0.0.%d proto bgp metric 20", i>>8, i&255, 2+i%70))
	}
	nstest.Batch(t, "-4", lines...)
}

// oneOfMany asks for one of the routes that manyRoutes makes.
var oneOfMany = Request{Filter: Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("20.7.7.0/24")}}, Links: true, Nexthops: true}

// TestReadAllocations looks one route up among 50,000: what is passed over costs
// no allocation, nor does a datagram of it.
func TestReadAllocations(t *testing.T) {
	routes := nstest.Amount(50_000, 20_000)
	manyRoutes(t, routes)
	n := testing.AllocsPerRun(3, func() {
		if s, err := new(Kernel).Read(t.Context(), oneOfMany); err != nil || size(s) != 1 {
			t.Error(s, err)
		}
	})
	// The sockets take some 120, a datagram has some 450 routes.
	if n > 250+float64(routes)/125 {
		t.Errorf("%v allocations", n)
	}
}

// fewRoutes makes a namespace with what a host has: some forty routes.
func fewRoutes(t testing.TB) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	var lines []string
	for i := range 20 {
		lines = append(lines, fmt.Sprintf("route add 20.0.%d.0/24 via 10.0.0.%d", i, i+2))
	}
	nstest.Batch(t, "-4", lines...)
}

// TestReadBytes reads few routes again and again: buffers are used again, and what is
// kept is not larger than they are.
func TestReadBytes(t *testing.T) {
	fewRoutes(t)
	least := uint64(1 << 62) // a garbage collection may take the buffers away
	for range 50 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s, err := new(Kernel).Read(t.Context(), Request{Links: true, Nexthops: true})
		runtime.ReadMemStats(&after)
		if err != nil || size(s) < 30 {
			t.Fatal(err, s)
		}
		least = min(least, after.TotalAlloc-before.TotalAlloc)
		kept, total := 0, 0
		for _, run := range s.routes {
			kept += cap(run)
			total += len(run)
		}
		if kept != total {
			t.Fatalf("%d bytes of routes are kept in %d", total, kept)
		}
	}
	if least > 16<<10 {
		t.Errorf("%d bytes are allocated", least)
	}
}

// TestReadKeepsRoutes checks that routes stay what they were when buffers are used
// again, whatever their number.
func TestReadKeepsRoutes(t *testing.T) {
	manyRoutes(t, 7000) // more than half of the memory that they come in
	var snapshots []*Snapshot
	var want [][]byte
	for i := range 43 { // the last one comes to the same memory with other routes
		req := Request{Links: true}
		if i%2 == 0 { // so few that they are moved
			req.Dsts = []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("20.0.%d.0/24", i))}
		}
		req.Tables = [][]uint32{{254}, {255}, nil}[i%3]
		s, err := new(Kernel).Read(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		snapshots, want = append(snapshots, s), append(want, slices.Concat(s.routes...))
	}
	for i, s := range snapshots {
		if !bytes.Equal(slices.Concat(s.routes...), want[i]) {
			t.Errorf("snapshot %d has changed", i)
		}
	}
}

// BenchmarkReadFew reads few routes, and floor the same with nothing around it: one
// dump over a socket that is opened for it.
func BenchmarkReadFew(b *testing.B) {
	b.Run("read", func(b *testing.B) {
		fewRoutes(b)
		b.ReportAllocs()
		for b.Loop() {
			s, err := new(Kernel).Read(b.Context(), Request{Links: true, Nexthops: true})
			if err != nil || size(s) < 30 {
				b.Fatal(s, err)
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		fewRoutes(b)
		b.ReportAllocs()
		const flags = unix.NLM_F_REQUEST | unix.NLM_F_DUMP
		req := appendHeader(nil, unix.NLMSG_HDRLEN+rtmsgLen, unix.RTM_GETROUTE, flags, 1)
		req = append(req, make([]byte, rtmsgLen)...)
		buf := make([]byte, maxDatagram)
		for b.Loop() {
			fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := unix.Write(fd, req); err != nil {
				b.Fatal(err)
			}
			for clear(buf[:unix.NLMSG_HDRLEN]); u16(buf[4:]) != unix.NLMSG_DONE; {
				if _, err := unix.Read(fd, buf); err != nil {
					b.Fatal(err)
				}
			}
			unix.Close(fd)
		}
	})
}

// BenchmarkReadManyLinks reads a few routes of a host with 4,000 interfaces: with
// look-ups of the few that they refer to, and as long as a dump of all takes.
func BenchmarkReadManyLinks(b *testing.B) {
	few := Request{Filter: Filter{Tables: []uint32{600}}, Links: true, Nexthops: true}
	b.Run("look up", func(b *testing.B) {
		manyLinks(b, 2000)
		for b.Loop() {
			if s, err := new(Kernel).Read(b.Context(), few); err != nil || len(s.links) != 4 {
				b.Fatal(s, err)
			}
		}
	})
	b.Run("dump", func(b *testing.B) {
		manyLinks(b, 2000)
		c, err := dialer(dialKernel).open(b.Context(), 0)
		if err != nil {
			b.Fatal(err)
		}
		defer c.close()
		for b.Loop() {
			if links, _, err := c.dumpLinks(false); err != nil || len(links) < 4000 {
				b.Fatal(len(links), err)
			}
		}
	})
}

// BenchmarkRead reads one route, the number of all, and all of 20,000.
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct {
		name   string
		req    Request
		routes int
	}{{"one", oneOfMany, 1}, {"count", Request{Count: true}, 20_000}, {"all", Request{Links: true, Nexthops: true}, 20_000}} {
		b.Run(c.name, func(b *testing.B) {
			manyRoutes(b, 20_000) // a namespace belongs to its test's goroutine
			b.ReportAllocs()
			for b.Loop() {
				if s, err := new(Kernel).Read(b.Context(), c.req); err != nil || size(s) < c.routes {
					b.Fatal(s, err)
				}
			}
		})
	}
}

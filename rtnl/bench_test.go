package rtnl

import (
	"bytes"
	"fmt"
	"net/netip"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// manyRoutes makes a namespace with n IPv4 routes besides those of interface v0.
func manyRoutes(t testing.TB, n int) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	var lines []string
	for i := range n {
		lines = append(lines, fmt.Sprintf("route add 20.%d.%d.0/24 via 10.0.0.%d proto bgp metric 20", i>>8, i&255,
			2+i%70))
	}
	nstest.Batch(t, "-4", lines...)
}

// oneOfMany asks for one of the routes that manyRoutes makes.
var oneOfMany = RouteRequest(Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("20.7.7.0/24")}})

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
		s, err := new(Kernel).Read(t.Context(), RouteRequest(Filter{}))
		runtime.ReadMemStats(&after)
		if err != nil || size(s) < 30 {
			t.Fatal(err, s)
		}
		least = min(least, after.TotalAlloc-before.TotalAlloc)
		kept, total := 0, 0
		for _, run := range s.Runs(object.Routes.Kind) {
			kept += cap(run.Bytes())
			total += run.Len()
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
		req := request(Filter{}, object.Links.Kind)
		if i%2 == 0 { // so few that they are moved
			req.Dsts = []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("20.0.%d.0/24", i))}
		}
		req.Tables = [][]uint32{{254}, {255}, nil}[i%3]
		s, err := new(Kernel).Read(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		snapshots, want = append(snapshots, s), append(want, bytesOf(s))
	}
	for i, s := range snapshots {
		if !bytes.Equal(bytesOf(s), want[i]) {
			t.Errorf("snapshot %d has changed", i)
		}
	}
}

// bytesOf returns a copy of the routes of a snapshot.
func bytesOf(s *Snapshot) (all []byte) {
	for _, run := range s.Runs(object.Routes.Kind) {
		all = append(all, run.Bytes()...)
	}
	return all
}

// BenchmarkReadFew reads few routes, and floor the same with nothing around it: one
// dump over a socket that is opened for it.
func BenchmarkReadFew(b *testing.B) {
	b.Run("read", func(b *testing.B) {
		fewRoutes(b)
		b.ReportAllocs()
		for b.Loop() {
			s, err := new(Kernel).Read(b.Context(), RouteRequest(Filter{}))
			if err != nil || size(s) < 30 {
				b.Fatal(s, err)
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		fewRoutes(b)
		b.ReportAllocs()
		for b.Loop() {
			floor(b)
		}
	})
}

// floor dumps all routes over a socket that it opens, and looks at nothing but whether that
// was all.
func floor(b *testing.B) {
	const flags = unix.NLM_F_REQUEST | unix.NLM_F_DUMP
	req := wire.AppendHeader(nil, unix.NLMSG_HDRLEN+nltest.RtmsgLen, unix.RTM_GETROUTE, flags, 1)
	req = append(req, make([]byte, nltest.RtmsgLen)...)
	buf := make([]byte, conn.MaxDatagram)
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		b.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, req); err != nil {
		b.Fatal(err)
	}
	for wire.U16(buf[4:]) != unix.NLMSG_DONE {
		if _, err := unix.Read(fd, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadManyLinks reads a few routes of a host with 4,000 interfaces: with
// look-ups of the few that they refer to, and as long as a dump of all takes.
func BenchmarkReadManyLinks(b *testing.B) {
	few := RouteRequest(Filter{Tables: []uint32{600}})
	b.Run("look up", func(b *testing.B) {
		manyLinks(b, 2000)
		for b.Loop() {
			if s, err := new(Kernel).Read(b.Context(), few); err != nil || s.Count(object.Links.Kind) != 4 {
				b.Fatal(s, err)
			}
		}
	})
	b.Run("dump", func(b *testing.B) {
		manyLinks(b, 2000)
		all := Request{Kinds: []*object.Kind{object.Links.Kind}}
		for b.Loop() {
			if s, err := new(Kernel).Read(b.Context(), all); err != nil || s.Count(object.Links.Kind) < 4000 {
				b.Fatal(s, err)
			}
		}
	})
}

// BenchmarkRead reads one route, the number of all, how many there are of what, and all of
// 20,000; floor is a dump in which nothing is looked at.
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct {
		name   string
		req    Request
		routes int
	}{{"one", oneOfMany, 1}, {"all", RouteRequest(Filter{}), 20_000}} {
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
	b.Run("count", func(b *testing.B) {
		manyRoutes(b, 20_000)
		b.ReportAllocs()
		for b.Loop() {
			if n, _, err := new(Kernel).Count(b.Context(), request(Filter{})); err != nil || n < 20_000 {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("tally", func(b *testing.B) {
		manyRoutes(b, 20_000)
		b.ReportAllocs()
		for b.Loop() {
			if s := tally(b, new(Kernel), request(Filter{}), byAll); len(s.Groups) < 3 {
				b.Fatal(s.Groups)
			}
		}
	})
	b.Run("floor", func(b *testing.B) {
		manyRoutes(b, 20_000)
		for b.Loop() {
			floor(b)
		}
	})
}

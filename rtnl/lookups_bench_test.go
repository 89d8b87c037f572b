package rtnl

import (
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// BenchmarkLookup looks a packet up beside 50,000 routes, with what two system calls take
// without anything else.
func BenchmarkLookup(b *testing.B) {
	manyRoutes(b, 50_000)
	req := to("20.7.7.7")
	b.Run("bare", func(b *testing.B) {
		fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE)
		if err != nil {
			b.Fatal(err)
		}
		defer unix.Close(fd)
		msg := nltest.MessageOf(object.RTM_GETROUTE, wire.NLM_F_REQUEST, 1, req.AppendTo(nil, false))
		buf := make([]byte, 32<<10)
		for b.Loop() {
			if err := unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
				b.Fatal(err)
			}
			if n, err := unix.Read(fd, buf); err != nil || n < wire.HeaderLen || wire.Type(buf) != object.RTM_NEWROUTE {
				b.Fatal(n, err)
			}
		}
	})
	l := lookups(b)
	for _, c := range []struct {
		name string
		want Want
	}{{"answer", WantAnswer}, {"route", WantID}, {"both", WantAnswer | WantID}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if found, err := l.Lookup(&req, c.want); err != nil || found.Error != "" {
					b.Fatal(found, err)
				}
			}
		})
	}
	b.Run("with a socket for each", func(b *testing.B) {
		for b.Loop() {
			l, err := new(Kernel).Lookups(b.Context(), "", 0)
			if err != nil {
				b.Fatal(err)
			}
			if found, err := l.Lookup(&req, WantAnswer); err != nil || found.Error != "" {
				b.Fatal(found, err)
			}
			l.Close()
		}
	})
}

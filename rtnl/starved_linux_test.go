package rtnl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// TestSmallReceiveBuffers: where sockets hold a message or two, as with the smallest net.core.rmem_max, dumps are
// whole, and changes that are lost have all read again.
func TestSmallReceiveBuffers(t *testing.T) {
	nstest.New(t)
	const many = 3000
	lines := make([]string, many)
	for i := range lines {
		lines[i] = fmt.Sprintf("route add blackhole 10.0.%d.%d/32 table 500", i>>8, i&255)
	}
	nstest.Batch(t, "-4", lines...)
	for _, changes := range []bool{false, true} {
		sockets := 0
		k := Kernel{stats: rt6StatsPath}
		k.dial = func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
			if sockets++; changes && sockets == 2 { // the listener is there
				nstest.Batch(t, "-4", lines[:100]...)
			}
			s, strict, err := conn.Dial(ctx, ns, groups)
			if err == nil {
				err = s.(interface{ SetReadBuffer(int) error }).SetReadBuffer(1) // the kernel's least (SOCK_MIN_RCVBUF)
			}
			return s, strict, err
		}
		if changes {
			nstest.IP(t, "route flush table 500")
			nstest.Batch(t, "-4", lines[100:]...)
		}
		s, err := k.Read(t.Context(), RouteRequest(Filter{Tables: []uint32{500}}))
		if err != nil || !s.Consistent || s.Count(object.Routes.Kind) != many || (s.Tries > 1) != changes {
			t.Errorf("changes %v: %v, %d routes, consistent %v, %d tries", changes, err, s.Count(object.Routes.Kind),
				s.Consistent, s.Tries)
		}
	}
}

// TestDeaf: what is read without a listener is whole, but not known to be, and the reason is logged once.
func TestDeaf(t *testing.T) {
	nstest.New(t)
	var log bytes.Buffer
	k := Kernel{stats: rt6StatsPath, Logger: slog.New(slog.NewTextHandler(&log, nil))}
	k.dial = func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
		if groups != 0 {
			return nil, false, fmt.Errorf("%w: %w", conn.ErrDeaf, syscall.EACCES)
		}
		return conn.Dial(ctx, ns, groups)
	}
	want, err := (&Kernel{}).Read(t.Context(), RouteRequest(Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, err := k.Read(t.Context(), RouteRequest(Filter{}))
		if err != nil || s.Consistent || s.Tries != 1 || s.Count(object.Routes.Kind) != want.Count(object.Routes.Kind) {
			t.Fatal(err, s)
		}
	}
	if n, consistent, err := k.Count(t.Context(), RouteRequest(Filter{})); err != nil || consistent ||
		n != want.Count(object.Routes.Kind) {
		t.Error(n, consistent, err)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("logged %d times: %s", n, &log)
	}
	// Nothing is held of which it would not be known when it is old.
	c := Cache{Kernel: k}
	defer c.Close()
	nstest.IP(t, "route add blackhole 198.51.100.0/24")
	req := RouteRequest(Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}})
	for range 4 {
		if s, err := c.Read(t.Context(), req); err != nil || s.Count(object.Routes.Kind) != 1 {
			t.Fatal(err)
		}
	}
	nstest.IP(t, "route del blackhole 198.51.100.0/24")
	if s, err := c.Read(t.Context(), req); err != nil || s.Count(object.Routes.Kind) != 0 {
		t.Error(err, "a route that is gone")
	}
	for _, err := range k.Watch(t.Context(), "", object.Routes.Kind) {
		if !errors.Is(err, ErrDeaf) || !strings.Contains(err.Error(), "denies bind") {
			t.Error(err)
		}
	}
}

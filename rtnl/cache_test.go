package rtnl

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// countingDialer counts the sockets that are opened to the kernel, listeners
// apart: one for each reading.
func countingDialer(dials *int) conn.Dialer {
	return func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
		if groups == 0 {
			*dials++
		}
		return conn.Dial(ctx, ns, groups)
	}
}

// lookup reads the gateways of the routes to a destination.
func lookup(t *testing.T, c *Cache, dst string) string {
	t.Helper()
	s, err := c.Read(context.Background(), RouteRequest(Filter{Dsts: []netip.Prefix{netip.MustParsePrefix(dst)}}))
	if err != nil {
		t.Fatal(err)
	}
	text := ""
	for c := s.Cursor(object.AllFields); c.Next(); {
		for _, n := range s.Nexthops(c.Route(), nil) {
			l, _ := s.Link(n.OIF)
			text += fmt.Sprintf("%v %v;", n.Gateway, l.Name)
		}
	}
	return text
}

// TestCacheSpares checks that look-ups do not cost a dump each.
func TestCacheSpares(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	for i := range 100 {
		nstest.IP(t, fmt.Sprintf("route add 20.0.%d.0/24 via 10.0.0.%d", i, i+2))
	}
	dials := 0
	c := &Cache{Kernel: Kernel{dial: countingDialer(&dials)}}
	defer c.drop()
	for i := range 100 {
		if got, want := lookup(t, c, fmt.Sprintf("20.0.%d.0/24", i)), fmt.Sprintf("10.0.0.%d v0;", i+2); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if dials != 2 {
		t.Errorf("the kernel was asked %d times", dials)
	}
	// One that changed is asked of the kernel, and if it is looked up again and again all is read.
	nstest.IP(t, "route replace 20.0.7.0/24 via 10.0.0.99")
	dials = 0
	for range 20 {
		if got := lookup(t, c, "20.0.7.0/24"); got != "10.0.0.99 v0;" {
			t.Errorf("got %q of a route that changed", got)
		}
	}
	if dials < 2 || dials > maxMissed+1 {
		t.Errorf("the kernel was asked %d times", dials)
	}
	if got := lookup(t, c, "99.0.0.0/8"); got != "" {
		t.Errorf("a route that is not there: %q", got)
	}
	c.expire()
	if c.held != nil || c.listener != nil {
		t.Error("something is held though nobody asks")
	}
}

// TestCacheLetsGo has a listener that lost messages, and nobody who asks any more.
func TestCacheLetsGo(t *testing.T) {
	lost := false
	k := &fakeKernel{fake: fake{T: t, Answer: ordinary, Hear: func(int) []event {
		if !lost {
			return nil
		}
		lost = false
		return []event{failure(unix.ENOBUFS)}
	}}}
	c := &Cache{Kernel: *k.kernel()}
	asked := func() int {
		before := len(k.Routes())
		if got := lookup(t, c, "10.1.0.0/16"); got == "" {
			t.Error("the route is not found")
		}
		return len(k.Routes()) - before
	}
	asked()
	asked()
	if n := asked(); n != 0 {
		t.Fatalf("nothing is held: %d dumps", n)
	}
	lost = true
	if n := asked(); n == 0 {
		t.Error("messages were lost, and what is held is taken for true")
	}
	if n := asked(); n != 0 {
		t.Errorf("nothing is held again: %d dumps", n)
	}
	c.mu.Lock()
	armed := c.idle.Reset(0) // as if holdTime were over
	c.mu.Unlock()
	if !armed {
		t.Error("what is held would be held for ever")
	}
	for {
		c.mu.Lock()
		gone := c.held == nil && c.listener == nil
		c.mu.Unlock()
		if gone {
			break
		}
		time.Sleep(time.Millisecond) // the test's own time limit ends it
	}
	if k.Open != 0 {
		t.Errorf("%d sockets are still open", k.Open)
	}
}

// TestCacheSeesChanges makes changes of all kinds and looks the result up at
// once.
func TestCacheSeesChanges(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	nstest.Veth(t, "v1", "10.1.0.1/16")
	nstest.IP(t, "route add 30.0.0.0/8 via 10.0.0.9") // is never touched
	c := &Cache{}
	defer c.drop()
	fill := func() {
		for range 3 {
			lookup(t, c, "30.0.0.0/8")
		}
		for _, h := range c.held {
			if h.instant == nil {
				t.Fatal("nothing is held: this proves nothing")
			}
		}
	}
	for _, tc := range []struct{ change, dst, want string }{
		{"route add 20.0.0.0/8 via 10.0.0.2", "20.0.0.0/8", "10.0.0.2 v0;"},
		{"route replace 20.0.0.0/8 via 10.0.0.3", "20.0.0.0/8", "10.0.0.3 v0;"},
		{"route append 20.0.0.0/8 via 10.0.0.4", "20.0.0.0/8", "10.0.0.3 v0;10.0.0.4 v0;"},
		{"route add 20.0.0.0/8 via 10.0.0.5 table 1000", "20.0.0.0/8", "10.0.0.5 v0;10.0.0.3 v0;10.0.0.4 v0;"},
		{"route del 20.0.0.0/8 via 10.0.0.3", "20.0.0.0/8", "10.0.0.5 v0;10.0.0.4 v0;"},
		{"route add 21.0.0.0/8 via 10.1.0.2", "21.0.0.0/8", "10.1.0.2 v1;"},
		{"link set v1 down", "21.0.0.0/8", ""}, // the kernel tells of the link alone
		{"link set v1 up", "21.0.0.0/8", ""},
		{"link set v1 down", "10.1.0.0/16", ""},
		{"link set v1 name w1", "10.1.0.0/16", ""},
		{"link set w1 up", "10.1.0.0/16", "invalid IP w1;"}, // renamed
		{"nexthop add id 5 via 10.0.0.7 dev v0", "22.0.0.0/8", ""},
		{"route add 22.0.0.0/8 nhid 5", "22.0.0.0/8", "10.0.0.7 v0;"},
		{"nexthop replace id 5 via 10.0.0.8 dev v0", "22.0.0.0/8", "10.0.0.8 v0;"},
		{"nexthop del id 5", "22.0.0.0/8", ""}, // the kernel tells of the nexthop alone
		{"addr del 10.0.0.1/16 dev v0", "10.0.0.0/16", ""},
		{"-6 route add fd20::/64 via fd00::2", "fd20::/64", "fd00::2 v0;"},
		{"-6 route append fd20::/64 via fd00::3", "fd20::/64", "fd00::2 v0;fd00::3 v0;"},
		{"-6 route del fd20::/64", "fd20::/64", ""},
	} {
		fill()
		nstest.IP(t, tc.change)
		if got := lookup(t, c, tc.dst); got != tc.want {
			t.Errorf("after ip %s: %s: got %q, want %q", tc.change, tc.dst, got, tc.want)
		}
		if tc.change == "addr del 10.0.0.1/16 dev v0" {
			nstest.IP(t, "addr add 10.0.0.1/16 dev v0")
			nstest.IP(t, "route add 30.0.0.0/8 via 10.0.0.9")
		}
	}
}

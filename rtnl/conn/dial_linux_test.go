package conn_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/fakekernel"
	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// dial opens a connection to the kernel, for as long as the test goes on.
func dial(t *testing.T, ctx context.Context, groups uint32) *conn.Conn {
	t.Helper()
	c, err := conn.Dialer(conn.Dial).Open(ctx, "", groups)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestKernel has the kernel answer, one request after the other.
func TestKernel(t *testing.T) {
	nstest.New(t)
	nstest.IP(t, "route add 10.0.0.0/8 dev lo table 1000")
	nstest.IP(t, "route add 10.0.0.0/8 dev lo table 1001")
	c := dial(t, t.Context(), 0)
	if !c.Strict {
		t.Error("the kernel knows no conditions") // before Linux 4.20
	}
	for range 2 {
		if err := c.OfferBuffer(conn.MaxDatagram); err != nil {
			t.Fatal(err)
		}
		if d := run(c, conn.MaxDatagram, all); d.err != nil || d.interrupted || len(d.messages) < 2 {
			t.Errorf("%v, %d routes", d.err, len(d.messages))
		}
		name := ""
		message := func(msg []byte) error {
			var l object.Link
			err := l.UnmarshalBinary(wire.Payload(msg))
			name = l.Name
			return err
		}
		err := c.Get(object.RTM_GETLINK, object.Links.Request(1), object.RTM_NEWLINK, message)
		if err != nil || name != "lo" {
			t.Errorf("%q, %v", name, err)
		}
		err = c.Get(object.RTM_GETLINK, object.Links.Request(99), object.RTM_NEWLINK, message)
		if !errors.Is(err, unix.ENODEV) {
			t.Error(err)
		}
		// The kernel says why, in words of its own (Linux 4.20).
		bad := append(object.DumpRequest{}.AppendTo(nil), nltest.Attr(nltest.RTA_PRIORITY, nltest.NE(uint32(1)))...)
		_, err = c.Dump(object.RTM_GETROUTE, bad, conn.Sink{
			Buffer: func() []byte { return make([]byte, conn.MaxDatagram) }, Datagram: func() bool { return true },
		})
		if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), ": ") {
			t.Error(err)
		}
	}
}

// TestKernelNotifies listens to one group.
func TestKernelNotifies(t *testing.T) {
	nstest.New(t)
	c := dial(t, t.Context(), 1<<(object.RTNLGRP_IPV4_ROUTE-1))
	buf := make([]byte, conn.MaxDatagram)
	if _, err := c.Receive(buf, true); !errors.Is(err, unix.EAGAIN) {
		t.Error(err)
	}
	nstest.IP(t, "-6 route add fd01::/64 dev lo") // of another group
	nstest.IP(t, "route add 10.0.0.0/8 dev lo table 1000")
	n, err := c.Receive(buf, false)
	if err != nil {
		t.Fatal(err)
	}
	var r object.Route
	msg, rest, ok := wire.Cut(buf[:n])
	if !ok || len(rest) > 0 || wire.Type(msg) != object.RTM_NEWROUTE {
		t.Fatalf("%x", buf[:n])
	}
	if err := r.UnmarshalBinary(wire.Payload(msg)); err != nil || r.Dst.String() != "10.0.0.0/8" {
		t.Errorf("%v, %v", r.Dst, err)
	}
	if _, err := c.Receive(buf, true); !errors.Is(err, unix.EAGAIN) {
		t.Error(err)
	}
}

// TestKernelCanceled waits for a kernel that has nothing to say.
func TestKernelCanceled(t *testing.T) {
	nstest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	muted := func(ctx context.Context, ns conn.Namespace, groups uint32) (conn.Socket, bool, error) {
		s, strict, err := conn.Dial(ctx, ns, groups)
		return fakekernel.Mute{Socket: s, Before: cancel}, strict, err
	}
	c, err := conn.Dialer(muted).Open(ctx, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	result := make(chan error, 1)
	go func() { result <- run(c, conn.MaxDatagram, all).err }()
	select {
	case err := <-result:
		if !canceled(err) || !strings.HasPrefix(err.Error(), "dump routes: context canceled") {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it goes on after its context was canceled")
	}
	if _, err := conn.Dialer(conn.Dial).Open(ctx, "", 0); !canceled(err) {
		t.Error(err)
	}
}

// TestKernelCloses counts the files that are open before and after.
func TestKernelCloses(t *testing.T) {
	nstest.New(t)
	once := func() {
		for _, groups := range []uint32{0, 1} {
			c, err := conn.Dialer(conn.Dial).Open(t.Context(), "", groups)
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
	}
	once() // what is opened once
	before := nstest.OpenFiles(t)
	for range 100 {
		once()
	}
	if after := nstest.OpenFiles(t); after > before {
		t.Errorf("%d files are open, %d before", after, before)
	}
}

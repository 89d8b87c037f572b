package conn_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	. "kernelroutes/internal/fakekernel"
	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// TestGet asks for one interface.
func TestGet(t *testing.T) {
	foreign := Datagram(LinkMessage(7, 9, "foreign"))
	for _, tc := range []struct {
		name   string
		answer func(Request) []Event
		want   string // of the interfaces that come
		err    error
	}{
		{"there", Ordinary, "v0", nil},
		{"not there", func(r Request) []Event { return Links(r) }, "", syscall.ENODEV},
		{"after the answer to something else", func(r Request) []Event {
			return append([]Event{foreign}, Ordinary(r)...)
		}, "v0", nil},
		{"and what is not taken", func(r Request) []Event {
			return []Event{Datagram(LinkMessage(r.Seq, 3, "v0")), Failure(syscall.EIO)}
		}, "v0", nil},
		{"an overflow", func(Request) []Event { return []Event{Failure(syscall.ENOBUFS)} }, "", conn.ErrInterrupted},
		{"an error of the socket", func(Request) []Event { return []Event{Failure(syscall.EIO)} }, "", syscall.EIO},
		{"a request that cannot be sent", func(Request) []Event { return []Event{Failure(ErrSend)} }, "", ErrSend},
		{"no message", func(Request) []Event { return []Event{Datagram([]byte{1, 2, 3})} }, "", wire.ErrMalformed},
	} {
		c := open(t, t.Context(), &Kernel{T: t, Answer: tc.answer})
		got := ""
		err := c.Get(object.RTM_GETLINK, object.Links.Request(3), object.RTM_NEWLINK, func(msg []byte) error {
			var l object.Link
			err := l.UnmarshalBinary(wire.Payload(msg))
			got += l.Name
			return err
		})
		if got != tc.want || !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
			t.Errorf("%s: %q, %v", tc.name, got, err)
		}
	}
	c := open(t, t.Context(), &Kernel{T: t, Answer: Ordinary})
	err := c.Get(object.RTM_GETLINK, object.Links.Request(3), object.RTM_NEWLINK, func([]byte) error { return io.EOF })
	if !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestOfferBuffer passes a buffer of the size that is asked for, and waits for its own answer.
func TestOfferBuffer(t *testing.T) {
	s := &sized{answers: [][]byte{{1, 2, 3}, Failed(99, 0), Failed(1, 0)}}
	c, err := conn.Dialer(s.dial).Open(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.OfferBuffer(24 << 10); err != nil || s.sent != wire.NLMSG_NOOP || len(s.answers) != 0 ||
		s.size != 24<<10 {
		t.Errorf("%v, a request %d, %d answers are left, a buffer of %d bytes", err, s.sent, len(s.answers), s.size)
	}
	if err := c.OfferBuffer(1 << 10); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}

// TestOpen has sockets that cannot be opened.
func TestOpen(t *testing.T) {
	for _, tc := range []struct {
		err, kind error
		text      string
	}{
		{syscall.EPERM, conn.ErrPermission,
			"open a netlink socket: not permitted: " + syscall.EPERM.Error() + "; reading routes needs no privilege"},
		{syscall.EACCES, conn.ErrPermission, "look for a seccomp or LSM rule that denies AF_NETLINK"},
		{os.NewSyscallError("socket", syscall.EMFILE), conn.ErrSocket,
			"open a netlink socket: cannot open the netlink socket: socket: " + syscall.EMFILE.Error() +
				"; check that"},
		{syscall.EPROTONOSUPPORT, conn.ErrSocket, syscall.EPROTONOSUPPORT.Error()},
	} {
		k := &Kernel{T: t, Answer: Ordinary, DialErr: func(conn.Namespace, uint32) error { return tc.err }}
		_, err := conn.Dialer(k.Dial).Open(t.Context(), "", 0)
		if !errors.Is(err, tc.kind) || !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.text) ||
			k.Open != 0 {
			t.Error(err)
		}
	}
	// The dialer is told what is wanted, and what it says is believed.
	for _, lax := range []bool{true, false} {
		k := &Kernel{T: t, Lax: lax, DialErr: func(ns conn.Namespace, groups uint32) error {
			if ns != "/a/path" || groups != 5 {
				t.Errorf("namespace %q, groups %#x", ns, groups)
			}
			return nil
		}}
		c, err := conn.Dialer(k.Dial).Open(t.Context(), "/a/path", 5)
		if err != nil || c.Strict == lax {
			t.Errorf("%v, strict %v", err, c.Strict)
		}
	}
}

// TestReceive hears notifications: none yet, and one that is larger than the buffer.
func TestReceive(t *testing.T) {
	k := &Kernel{T: t, Hear: func(n int) []Event {
		return [][]Event{{}, {}, {Datagram(make([]byte, 63))}, {Datagram(make([]byte, 64))},
			{Failure(syscall.ENOBUFS)}}[n]
	}}
	c, err := conn.Dialer(k.Dial).Open(t.Context(), "", 1)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	for _, want := range []struct {
		n   int
		err error
	}{
		{0, syscall.EAGAIN}, {63, nil}, {0, syscall.EAGAIN}, {0, conn.ErrTooLarge}, {0, syscall.EAGAIN},
		{0, syscall.ENOBUFS},
	} {
		if n, err := c.Receive(buf, true); n != want.n || !errors.Is(err, want.err) {
			t.Errorf("%d bytes, %v; want %d, %v", n, err, want.n, want.err)
		}
	}
}

// TestDeadline has a kernel with nothing to say.
func TestDeadline(t *testing.T) {
	// In a bubble a millisecond has passed when nothing is left to do, however slow the machine is.
	synctest.Test(t, testDeadline)
}

func testDeadline(t *testing.T) {
	silent := func(Request) []Event { return nil }
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	k := &Kernel{T: t, Answer: silent}
	err := run(open(t, ctx, k), conn.MaxDatagram, all).err
	const text = "dump routes: context deadline exceeded: the caller's deadline passed; " +
		"allow more time, or ask for less: one table, one destination"
	if !errors.Is(err, conn.ErrDeadline) || !errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, conn.ErrCanceled) || err.Error() != text {
		t.Error(err)
	}
	// It was over before.
	if _, err := conn.Dialer(k.Dial).Open(ctx, "", 0); !errors.Is(err, conn.ErrDeadline) || k.Conns != 1 {
		t.Errorf("%v, %d connections", err, k.Conns)
	}
	// Someone no longer wants to know.
	ctx, stop := context.WithCancelCause(t.Context())
	why := errors.New("no more interest")
	k = &Kernel{T: t, Answer: func(Request) []Event { stop(why); return nil }}
	err = run(open(t, ctx, k), conn.MaxDatagram, all).err
	if !canceled(err) || !errors.Is(err, why) || err.Error() != "dump routes: "+
		"no more interest (context canceled): the caller canceled it; ask again if the answer is still wanted" {
		t.Error(err)
	}
	ctx, stop = context.WithCancelCause(t.Context())
	k = &Kernel{T: t, Answer: func(Request) []Event { stop(nil); return []Event{Failure(ErrSend)} }}
	if err := run(open(t, ctx, k), conn.MaxDatagram, all).err; !canceled(err) {
		t.Error(err)
	}
	// The cause may be an error that means something of its own.
	ctx, cancel = context.WithTimeoutCause(t.Context(), time.Millisecond, syscall.EPERM)
	defer cancel()
	err = run(open(t, ctx, &Kernel{T: t, Answer: silent}), conn.MaxDatagram, all).err
	if !errors.Is(err, conn.ErrDeadline) || errors.Is(err, conn.ErrPermission) ||
		!errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, syscall.EPERM) {
		t.Error(err)
	}
}

// canceled reports whether an error is told as the caller's who canceled, and not as
// one who wants an answer and has no more time.
func canceled(err error) bool {
	return errors.Is(err, conn.ErrCanceled) && errors.Is(err, context.Canceled) && !errors.Is(err, conn.ErrDeadline)
}

// TestErrorText has the texts of errors without a kind, and of some that are
// wrapped already.
func TestErrorText(t *testing.T) {
	first := conn.NewReadError("dump links", fmt.Errorf("somewhere: %w", syscall.EPERM))
	if again := conn.NewReadError("dump routes", first); again != first {
		t.Errorf("%v became %v", first, again)
	}
	for _, c := range []struct {
		err  *conn.ReadError
		want string
	}{
		{&conn.ReadError{Op: "op", Err: io.EOF}, "op: EOF"},
		{&conn.ReadError{Op: "op", Kind: conn.ErrSocket}, "op: cannot open the netlink socket"},
		{&conn.ReadError{Op: "op", Kind: conn.ErrSocket, Err: io.EOF, Remedy: "do"},
			"op: cannot open the netlink socket: EOF; do"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if err := conn.NewReadError("op", io.EOF); errors.Is(err, conn.ErrInterrupted) || !errors.Is(err, io.EOF) {
		t.Error("EOF is not what it was")
	}
}

package rtnl

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/fakekernel"
	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

func TestReadRetries(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(fakeRequest) []event
		kind   error
		tries  int
		text   string
	}{
		{"receive buffer overflows", func(r fakeRequest) []event {
			return []event{datagram(route4(r.Seq, 1, 254)), failure(unix.ENOBUFS)}
		}, ErrInterrupted, MaxTries,
			"dump routes: dump interrupted; routes change too fast: ask again, or ask for one table"},
		{"overrun", func(r fakeRequest) []event {
			return []event{datagram(route4(r.Seq, 1, 254), nltest.Padded(unix.NLMSG_OVERRUN, 0, r.Seq, nil))}
		}, ErrInterrupted, MaxTries, "dump interrupted"},
		{"a table comes twice", func(r fakeRequest) []event {
			return []event{datagram(route4(r.Seq, 1, 254), route4(r.Seq, 2, 255), route4(r.Seq, 3, 254)),
				datagram(done(r.Seq, 0))}
		}, ErrInterrupted, MaxTries, "dump interrupted"},
		{"a route does not fit", func(r fakeRequest) []event {
			return []event{datagram(route4(r.Seq, 1, 254)), datagram(done(r.Seq, uint32(unix.EMSGSIZE)))}
		}, ErrTooLarge, 2, "dump routes: a route is too large for a netlink message; " +
			"it has more nexthops than 32 KiB hold: put them into a nexthop group and " +
			"set net.ipv4.nexthop_compat_mode=0, or ask for another table"},
		{"empty datagram", func(r fakeRequest) []event {
			return []event{datagram(route6(r.Seq, 1, 254)), {Datagram: []byte{}}}
		}, ErrTooLarge, 2, "dump routes: a route is too large"},
		{"a datagram that fills the buffer",
			func(r fakeRequest) []event { return []event{{Datagram: make([]byte, 4*conn.MaxDatagram)}} }, ErrTooLarge,
			2, "dump routes: a route is too large"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETROUTE, 1, tc.answer)}}
			s, err := k.read(request(Filter{}))
			if err != nil || !s.Consistent || s.Tries != 2 || size(s) != 5 || k.Conns != 2 {
				t.Errorf("once: %v, %+v, %d connections", err, s, k.Conns)
			}
			k = &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETROUTE, always, tc.answer)}}
			_, err = k.read(request(Filter{}))
			var read *ReadError
			if !errors.Is(err, tc.kind) || !errors.As(err, &read) || read.Kind != tc.kind || k.Conns != tc.tries ||
				!strings.HasPrefix(err.Error(), "dump routes: ") || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("always: %v, %d connections", err, k.Conns)
			}
			if k.logged() != 0 {
				t.Errorf("logged %s", &k.log)
			}
		})
	}
}

// TestReadTooLargeAndInterrupted has both in turns: it ends all the same.
func TestReadTooLargeAndInterrupted(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETROUTE, always, func(r fakeRequest) []event {
		if r.Conn%2 == 0 {
			return []event{failure(unix.ENOBUFS)}
		}
		return []event{datagram(done(r.Seq, uint32(unix.EMSGSIZE)))}
	})}}
	if _, err := k.read(request(Filter{})); !errors.Is(err, ErrTooLarge) || k.Conns != MaxTries {
		t.Errorf("%v, %d connections", err, k.Conns)
	}
}

func TestReadErrors(t *testing.T) {
	const words = "Unknown attribute"
	nlmsgerr := func(flags uint16, errno uint32, rest ...[]byte) func(fakeRequest) []event {
		return func(r fakeRequest) []event {
			return []event{datagram(nltest.Padded(unix.NLMSG_ERROR, flags, r.Seq,
				nltest.Cat(nltest.NE(-errno), slices.Concat(rest...))))}
		}
	}
	echo := func(n int) []byte { return nltest.Padded(unix.RTM_GETROUTE, 0, 1, make([]byte, n-unix.NLMSG_HDRLEN)) }
	ext := nltest.Attr(wire.NLMSGERR_ATTR_MSG, nltest.Str(words))
	for _, tc := range []struct {
		name   string
		answer func(fakeRequest) []event
		is     error
		text   string
	}{
		{"DONE with an errno", func(r fakeRequest) []event {
			return []event{datagram(route4(r.Seq, 1, 254)), datagram(done(r.Seq, uint32(unix.EINVAL)))}
		}, unix.EINVAL, "dump routes: invalid argument"},
		{"DONE with words", func(r fakeRequest) []event {
			return []event{datagram(done(r.Seq, uint32(unix.EINVAL), words))}
		}, unix.EINVAL, "dump routes: invalid argument: " + words},
		{"DONE with a positive errno", func(r fakeRequest) []event { return []event{datagram(done(r.Seq, 1<<32-5))} },
			nil, "dump routes: error 5"},
		{"ERROR", nlmsgerr(0, uint32(unix.EOPNOTSUPP)), unix.EOPNOTSUPP, "operation not supported"},
		{"ERROR with the request", nlmsgerr(0, uint32(unix.EINVAL), echo(28)), unix.EINVAL,
			"dump routes: invalid argument"},
		{"ERROR with words", nlmsgerr(unix.NLM_F_ACK_TLVS, uint32(unix.EINVAL), echo(36),
			nltest.Attr(2, nltest.NE(uint32(7))), ext), unix.EINVAL, words},
		{"ERROR with words, capped", nlmsgerr(unix.NLM_F_ACK_TLVS|unix.NLM_F_CAPPED, uint32(unix.EINVAL),
			echo(36)[:16], ext), unix.EINVAL, words},
		{"ERROR whose request says that it is longer",
			nlmsgerr(0, uint32(unix.EINVAL), nltest.With(echo(16), 0, 255), ext), unix.EINVAL, "invalid argument"},
		{"ERROR whose request says that it is shorter",
			nlmsgerr(0, uint32(unix.EINVAL), nltest.With(echo(16), 0, 1), ext), unix.EINVAL, words},
		{"EPERM", nlmsgerr(0, uint32(unix.EPERM)), ErrPermission,
			"not permitted: operation not permitted; reading routes needs no privilege"},
		{"EACCES", nlmsgerr(0, uint32(unix.EACCES)), syscall.EACCES, "not permitted"},
		{"receive fails", func(fakeRequest) []event { return []event{failure(unix.EIO)} }, unix.EIO,
			"dump routes: input/output error"},
		{"send fails", func(fakeRequest) []event { return []event{failure(fakekernel.ErrSend)} }, fakekernel.ErrSend,
			"dump routes: cannot send"},
		{"short header", func(r fakeRequest) []event {
			return []event{{Datagram: append(route4(r.Seq, 1, 254), make([]byte, 15)...)}}
		}, ErrMalformed, "malformed datagram at byte " + fmt.Sprint(len(route4(1, 1, 254))) +
			": shorter than struct nlmsghdr; please report it"},
		{"length 0", func(r fakeRequest) []event { return []event{{Datagram: make([]byte, 16)}} }, ErrMalformed,
			"malformed datagram at byte 0: nlmsg_len does not fit"},
		{"length too large", func(r fakeRequest) []event {
			return []event{{Datagram: route4(r.Seq, 1, 254)[:40]}}
		}, ErrMalformed, "malformed datagram at byte 0: nlmsg_len does not fit"},
		{"short ERROR", func(r fakeRequest) []event {
			return []event{datagram(route4(r.Seq, 1, 254),
				nltest.Padded(unix.NLMSG_ERROR, 0, r.Seq, []byte{1, 2})[:20])}
		}, ErrMalformed, "malformed datagram at byte " + fmt.Sprint(len(route4(1, 1, 254))) +
			": shorter than struct nlmsgerr"},
		{"malformed route", func(r fakeRequest) []event {
			return []event{datagram(nltest.Padded(unix.RTM_NEWROUTE, 0, r.Seq, append(rtmsg(object.IPv4), 3, 0, 0, 0)))}
		}, ErrMalformed, "dump routes: malformed route at byte 12: attribute does not fit"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			k := &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETROUTE, always, tc.answer)}}
			_, err := k.read(request(Filter{}))
			if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.text) ||
				k.Conns != 1 {
				t.Errorf("%v, %d connections", err, k.Conns)
			}
			var m *MalformedError
			if errors.As(err, &m) != errors.Is(err, ErrMalformed) {
				t.Errorf("%v is malformed and not", err)
			}
		})
	}
}

// TestReadMalformed has links and nexthop objects that are none.
func TestReadMalformed(t *testing.T) {
	for _, typ := range []uint16{unix.RTM_GETLINK, unix.RTM_GETNEXTHOP} {
		k := &fakeKernel{fake: fake{T: t, Answer: broken(typ, always, func(r fakeRequest) []event {
			return []event{datagram(nltest.Padded(typ-2, 0, r.Seq, []byte{1, 2, 3}))}
		})}}
		if _, err := k.read(everything(Filter{})); !errors.Is(err, ErrMalformed) {
			t.Errorf("request %d: %v", typ, err)
		}
	}
}

func TestReadDial(t *testing.T) {
	for _, tc := range []struct {
		err, kind error
		text      string
	}{
		{unix.EPERM, ErrPermission, "open a netlink socket: not permitted: operation not permitted; " +
			"reading routes needs no privilege"},
		{unix.EACCES, ErrPermission, "look for a seccomp or LSM rule that denies AF_NETLINK"},
		{os.NewSyscallError("socket", unix.EMFILE), ErrSocket,
			"open a netlink socket: cannot open the netlink socket: socket: too many open files; check that"},
		{unix.EPROTONOSUPPORT, ErrSocket, "protocol not supported"},
	} {
		for _, listener := range []bool{true, false} {
			k := &fakeKernel{fake: fake{T: t, Answer: ordinary, DialErr: func(_ Namespace, groups uint32) error {
				if (groups != 0) == listener {
					return tc.err
				}
				return nil
			}}}
			_, err := k.read(request(Filter{}))
			if !errors.Is(err, tc.kind) || !errors.Is(err, tc.err) || !strings.Contains(err.Error(), tc.text) ||
				len(k.Requests) > 0 {
				t.Errorf("listener %v: %v", listener, err)
			}
		}
	}
}

func TestReadDeadline(t *testing.T) {
	// In a bubble a millisecond has passed when nothing is left to do, however slow the machine is.
	synctest.Test(t, testReadDeadline)
}

func testReadDeadline(t *testing.T) {
	silent := func(fakeRequest) []event { return nil }
	k := &fakeKernel{fake: fake{T: t, Answer: silent}}
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := k.kernel().Read(ctx, request(Filter{}))
	if !errors.Is(err, ErrDeadline) || !errors.Is(err, context.DeadlineExceeded) || k.Conns != 1 || k.Open != 0 ||
		errors.Is(err, ErrCanceled) || err.Error() !=
		"dump routes: context deadline exceeded: the caller's deadline passed; "+
			"allow more time, or ask for less: one table, one destination" {
		t.Errorf("%v, %d connections, %d open", err, k.Conns, k.Open)
	}
	// It was over before.
	if _, err = k.kernel().Read(ctx, request(Filter{})); !errors.Is(err, ErrDeadline) || k.Conns != 1 {
		t.Errorf("%v, %d connections", err, k.Conns)
	}
	// Someone no longer wants to know.
	ctx, stop := context.WithCancelCause(context.Background())
	why := errors.New("no more interest")
	k = &fakeKernel{fake: fake{T: t, Answer: func(r fakeRequest) []event { stop(why); return nil }}}
	_, err = k.kernel().Read(ctx, request(Filter{}))
	if !canceled(err) || !errors.Is(err, why) || k.Open != 0 || err.Error() != "dump routes: "+
		"no more interest (context canceled): the caller canceled it; ask again if the answer is still wanted" {
		t.Errorf("%v, %d open", err, k.Open)
	}
	ctx, stop = context.WithCancelCause(context.Background())
	k = &fakeKernel{fake: fake{T: t, Answer: func(r fakeRequest) []event {
		stop(nil)
		return []event{failure(fakekernel.ErrSend)}
	}}}
	if _, err = k.kernel().Read(ctx, request(Filter{})); !canceled(err) {
		t.Error(err)
	}
	// The cause may be an error that means something of its own.
	ctx, cancel = context.WithTimeoutCause(context.Background(), time.Millisecond, unix.EPERM)
	defer cancel()
	k = &fakeKernel{fake: fake{T: t, Answer: silent}}
	if _, err = k.kernel().Read(ctx, request(Filter{})); !errors.Is(err, ErrDeadline) ||
		errors.Is(err, ErrPermission) ||
		!errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, unix.EPERM) {
		t.Error(err)
	}
}

// canceled reports whether an error is told as the caller's who canceled, and not as
// one who wants an answer and has no more time.
func canceled(err error) bool {
	return errors.Is(err, ErrCanceled) && errors.Is(err, context.Canceled) && !errors.Is(err, ErrDeadline)
}

// TestReadCancelledKernel waits for a kernel that has nothing to say.
func TestReadCancelledKernel(t *testing.T) {
	nstest.New(t)
	ctx, cancel := context.WithCancel(context.Background())
	k := Kernel{dial: func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
		s, strict, err := conn.Dial(ctx, ns, groups)
		return fakekernel.Mute{Socket: s, Before: cancel}, strict, err
	}}
	result := make(chan error, 1)
	go func() {
		_, err := k.Read(ctx, request(Filter{}))
		result <- err
	}()
	select {
	case err := <-result:
		if !canceled(err) || !strings.HasPrefix(err.Error(), "dump routes: context canceled") {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Read goes on after its context was cancelled")
	}
	if _, err := new(Kernel).Read(ctx, request(Filter{})); !canceled(err) {
		t.Error(err)
	}
}

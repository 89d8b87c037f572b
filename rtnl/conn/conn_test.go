package conn_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	. "kernelroutes/internal/fakekernel"
	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A dump is what came of one.
type dump struct {
	messages    [][]byte
	datagrams   int // that were taken
	interrupted bool
	err         error // as a conn.ReadError
}

// open opens a connection to a fake kernel, for as long as the test goes on.
func open(t *testing.T, ctx context.Context, k *Kernel) *conn.Conn {
	t.Helper()
	c, err := conn.Dialer(k.Dial).Open(ctx, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		before := k.Open
		if c.Close(); k.Open != before-1 {
			t.Errorf("%d sockets are open, %d before", k.Open, before)
		}
	})
	return c
}

// run dumps routes over a connection. more is asked after each message.
func run(c *conn.Conn, size int, more func(msg []byte) (bool, error)) (d dump) {
	buf := make([]byte, size)
	var err error
	d.interrupted, err = c.Dump(object.RTM_GETROUTE, object.DumpRequest{}.AppendTo(nil), conn.Sink{
		Want:   object.RTM_NEWROUTE,
		Buffer: func() []byte { return buf },
		Message: func(msg []byte) (bool, error) {
			d.messages = append(d.messages, slices.Clone(msg))
			return more(msg)
		},
		Datagram: func() bool { d.datagrams++; return true },
	})
	if err != nil {
		d.err = conn.NewReadError("dump routes", err)
	}
	return d
}

func all([]byte) (bool, error) { return true, nil }

// dumpOf dumps what a fake kernel answers.
func dumpOf(t *testing.T, answer func(Request) []Event) dump {
	t.Helper()
	return run(open(t, t.Context(), &Kernel{T: t, Answer: answer}), conn.MaxDatagram, all)
}

// TestInterrupted sets NLM_F_DUMP_INTR in one message.
func TestInterrupted(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(Request) []Event
		want   bool
	}{
		{"nowhere", func(r Request) []Event {
			return []Event{Datagram(Route4(r.Seq, 1, 254), Route4(r.Seq, 2, 254)), Datagram(Done(r.Seq, 0))}
		}, false},
		{"on a route", func(r Request) []Event {
			return []Event{Datagram(Route4(r.Seq, 1, 254), Interrupted(Route4(r.Seq, 2, 254))),
				Datagram(Done(r.Seq, 0))}
		}, true},
		{"on DONE alone", func(r Request) []Event {
			return []Event{Datagram(Route4(r.Seq, 1, 254), Route4(r.Seq, 2, 254)),
				Datagram(Interrupted(Done(r.Seq, 0)))}
		}, true},
		{"on a message of another type", func(r Request) []Event {
			noop := Interrupted(Padded(wire.NLMSG_NOOP, 0, r.Seq, nil))
			return []Event{Datagram(Route4(r.Seq, 1, 254), noop, Route4(r.Seq, 2, 254)), Datagram(Done(r.Seq, 0))}
		}, true},
		{"on the answer to something else", func(r Request) []Event {
			foreign := Interrupted(Route4(7, 9, 254))
			return []Event{Datagram(Route4(r.Seq, 1, 254), foreign, Route4(r.Seq, 2, 254)), Datagram(Done(r.Seq, 0))}
		}, false},
	} {
		if d := dumpOf(t, tc.answer); d.err != nil || d.interrupted != tc.want || len(d.messages) != 2 ||
			d.datagrams != 1 {
			t.Errorf("%s: %v, interrupted %v, %d messages of %d datagrams",
				tc.name, d.err, d.interrupted, len(d.messages), d.datagrams)
		}
	}
}

// TestLost has dumps of which the kernel or the socket lost something.
func TestLost(t *testing.T) {
	for _, tc := range []struct {
		name   string
		answer func(Request) []Event
		kind   error
		text   string
	}{
		{"receive buffer overflows", func(r Request) []Event {
			return []Event{Datagram(Route4(r.Seq, 1, 254)), Failure(syscall.ENOBUFS)}
		}, conn.ErrInterrupted,
			"dump routes: dump interrupted; routes change too fast: ask again, or ask for one table"},
		{"overrun", func(r Request) []Event {
			return []Event{Datagram(Route4(r.Seq, 1, 254), Padded(wire.NLMSG_OVERRUN, 0, r.Seq, nil))}
		}, conn.ErrInterrupted, "dump interrupted"},
		{"a route does not fit", func(r Request) []Event {
			return []Event{Datagram(Route4(r.Seq, 1, 254)), Datagram(Done(r.Seq, uint32(syscall.EMSGSIZE)))}
		}, conn.ErrTooLarge, "dump routes: a route is too large for a netlink message; it has more nexthops than " +
			"32 KiB hold: put them into a nexthop group and set net.ipv4.nexthop_compat_mode=0, or ask for " +
			"another table"},
		{"empty datagram", func(r Request) []Event {
			return []Event{Datagram(Route6(r.Seq, 1, 254)), {Datagram: []byte{}}}
		}, conn.ErrTooLarge, "dump routes: a route is too large"},
		{"a datagram that fills the buffer", func(r Request) []Event {
			return []Event{{Datagram: make([]byte, 4*conn.MaxDatagram)}}
		}, conn.ErrTooLarge, "dump routes: a route is too large"},
	} {
		err := dumpOf(t, tc.answer).err
		var read *conn.ReadError
		if !errors.Is(err, tc.kind) || !errors.As(err, &read) || read.Kind != tc.kind ||
			!strings.HasPrefix(err.Error(), "dump routes: ") || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestErrors has what the kernel refuses, and what is no answer.
func TestErrors(t *testing.T) {
	const words = "Unknown attribute"
	nlmsgerr := func(flags uint16, errno syscall.Errno, rest ...[]byte) func(Request) []Event {
		return func(r Request) []Event {
			payload := Cat(NE(-uint32(errno)), slices.Concat(rest...))
			return []Event{Datagram(Padded(wire.NLMSG_ERROR, flags, r.Seq, payload))}
		}
	}
	done := func(errno uint32, words ...string) func(Request) []Event {
		return func(r Request) []Event { return []Event{Datagram(Route4(r.Seq, 1, 254), Done(r.Seq, errno, words...))} }
	}
	raw := func(b func(seq uint32) []byte) func(Request) []Event {
		return func(r Request) []Event { return []Event{{Datagram: b(r.Seq)}} }
	}
	echo := func(n int) []byte { return Padded(object.RTM_GETROUTE, 0, 1, make([]byte, n-wire.HeaderLen)) }
	ext := Attr(wire.NLMSGERR_ATTR_MSG, Str(words))
	first := fmt.Sprint(len(Route4(1, 1, 254)))
	for _, tc := range []struct {
		name   string
		answer func(Request) []Event
		is     error
		text   string
	}{
		{"DONE with an errno", done(uint32(syscall.EINVAL)), syscall.EINVAL, "dump routes: invalid argument"},
		{"DONE with words", done(uint32(syscall.EINVAL), words), syscall.EINVAL,
			"dump routes: invalid argument: " + words},
		{"DONE with a positive errno", done(1<<32 - 5), nil, "dump routes: error 5"},
		{"ERROR", nlmsgerr(0, syscall.EOPNOTSUPP), syscall.EOPNOTSUPP, "operation not supported"},
		{"ERROR with the request", nlmsgerr(0, syscall.EINVAL, echo(28)), syscall.EINVAL,
			"dump routes: invalid argument"},
		{"ERROR with words", nlmsgerr(wire.NLM_F_ACK_TLVS, syscall.EINVAL, echo(36), Attr(2, NE(uint32(7))), ext),
			syscall.EINVAL, words},
		{"ERROR with words, capped",
			nlmsgerr(wire.NLM_F_ACK_TLVS|wire.NLM_F_CAPPED, syscall.EINVAL, echo(36)[:16], ext), syscall.EINVAL, words},
		{"ERROR whose request says that it is longer", nlmsgerr(0, syscall.EINVAL, With(echo(16), 0, 255), ext),
			syscall.EINVAL, "invalid argument"},
		{"ERROR whose request says that it is shorter", nlmsgerr(0, syscall.EINVAL, With(echo(16), 0, 1), ext),
			syscall.EINVAL, words},
		{"EPERM", nlmsgerr(0, syscall.EPERM), conn.ErrPermission,
			"not permitted: operation not permitted; reading routes needs no privilege"},
		{"EACCES", nlmsgerr(0, syscall.EACCES), syscall.EACCES, "not permitted"},
		{"receive fails", func(Request) []Event { return []Event{Failure(syscall.EIO)} }, syscall.EIO,
			"dump routes: input/output error"},
		{"send fails", func(Request) []Event { return []Event{Failure(ErrSend)} }, ErrSend, "dump routes: cannot send"},
		{"short header", raw(func(seq uint32) []byte { return append(Route4(seq, 1, 254), make([]byte, 15)...) }),
			wire.ErrMalformed, "malformed datagram at byte " + first +
				": shorter than struct nlmsghdr; please report it"},
		{"length 0", raw(func(uint32) []byte { return make([]byte, 16) }), wire.ErrMalformed,
			"malformed datagram at byte 0: nlmsg_len does not fit"},
		{"length too large", raw(func(seq uint32) []byte { return Route4(seq, 1, 254)[:40] }), wire.ErrMalformed,
			"malformed datagram at byte 0: nlmsg_len does not fit"},
		{"short ERROR", raw(func(seq uint32) []byte {
			return Cat(Route4(seq, 1, 254), Padded(wire.NLMSG_ERROR, 0, seq, []byte{1, 2})[:20])
		}), wire.ErrMalformed, "malformed datagram at byte " + first + ": shorter than struct nlmsgerr"},
	} {
		err := dumpOf(t, tc.answer).err
		if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", tc.name, err)
		}
		var m *wire.MalformedError
		if errors.As(err, &m) != errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%v is malformed and not", err)
		}
	}
}

// TestDone has NLMSG_DONE without an errno, and in the datagram of the last route.
func TestDone(t *testing.T) {
	d := dumpOf(t, func(r Request) []Event {
		return []Event{Datagram(Route4(r.Seq, 1, 254), Padded(wire.NLMSG_DONE, 0, r.Seq, nil)), Failure(syscall.EIO)}
	})
	if d.err != nil || len(d.messages) != 1 || d.interrupted {
		t.Errorf("%v, %d messages", d.err, len(d.messages))
	}
}

// TestForeign has messages that answer something else, or are of another type.
func TestForeign(t *testing.T) {
	d := dumpOf(t, func(r Request) []Event {
		foreign := Datagram(Route4(7, 9, 254), Interrupted(Done(7, uint32(syscall.EINVAL))))
		mine := Datagram(LinkMessage(r.Seq, 1, "lo"), Route4(r.Seq, 1, 254), Route4(7, 9, 254))
		return []Event{foreign, mine, foreign, Datagram(Done(r.Seq, 0))}
	})
	if d.err != nil || len(d.messages) != 1 || d.interrupted || d.datagrams != 3 {
		t.Errorf("%v, %d messages of %d datagrams", d.err, len(d.messages), d.datagrams)
	}
}

// TestEnded has a dump of which the rest is not wanted.
func TestEnded(t *testing.T) {
	k := &Kernel{T: t, Answer: func(r Request) []Event {
		return []Event{Datagram(Route4(r.Seq, 1, 254), Route6(r.Seq, 1, 254)), Datagram(Route6(r.Seq, 2, 254))}
	}}
	c := open(t, t.Context(), k)
	d := run(c, conn.MaxDatagram, func([]byte) (bool, error) { return false, nil })
	if d.err != nil || len(d.messages) != 1 || d.datagrams != 0 || !c.Ended {
		t.Errorf("%v, %d messages of %d datagrams, ended %v", d.err, len(d.messages), d.datagrams, c.Ended)
	}
	// The sink's own error is what comes back.
	c = open(t, t.Context(), k)
	d = run(c, conn.MaxDatagram, func([]byte) (bool, error) { return true, syscall.EDOM })
	if !errors.Is(d.err, syscall.EDOM) || len(d.messages) != 1 {
		t.Errorf("%v, %d messages", d.err, len(d.messages))
	}
}

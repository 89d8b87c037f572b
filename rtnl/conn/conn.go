package conn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/mdlayher/netlink"

	"kernelroutes/rtnl/wire"
)

// A Socket is a netlink socket: the kernel's, or a fake in tests.
type Socket interface {
	// Send sends one message and returns it with the sequence number that it was
	// given.
	Send(netlink.Message) (netlink.Message, error)
	// Receive reads one datagram. It waits for one unless nowait is set, then
	// nothing there is syscall.EAGAIN.
	Receive(buf []byte, nowait bool) (int, error)
	Close()
}

// A Dialer opens a socket in a network namespace, and has it join multicast groups (bit
// N-1 for group N). strict reports whether the kernel honours filters in dump
// requests.
type Dialer func(ctx context.Context, ns Namespace, groups uint32) (s Socket, strict bool, err error)

// A Conn is one conversation with the kernel.
type Conn struct {
	// Strict says that the kernel honours the conditions of a dump.
	Strict bool
	// Ended says that a dump was ended early: the rest of it would come first.
	Ended bool

	socket Socket
	ctx    context.Context
	seq    uint32 // of the request whose answer is awaited
}

// Buffers are the memory that datagrams are received into. They are used again, as
// to have them cleared takes longer than to read the routes of most hosts. One is
// larger than any datagram of the kernel: 32 KiB of routes or nexthop objects, some
// 70 KiB of a link with as many alternative names as it may have.
var Buffers = sync.Pool{New: func() any { return new(Buffer) }}

// A Buffer is what Buffers has.
type Buffer [2 * MaxDatagram]byte

// Open opens a connection.
func (dial Dialer) Open(ctx context.Context, ns Namespace, groups uint32) (*Conn, error) {
	const op = "open a netlink socket"
	if ctx.Err() != nil {
		return nil, NewReadError(op, Ended(ctx))
	}
	s, strict, err := dial(ctx, ns, groups)
	var done *ReadError
	switch {
	case err == nil:
		return &Conn{socket: s, ctx: ctx, Strict: strict}, nil
	case errors.As(err, &done): // of the namespace
		return nil, err
	case errors.Is(err, ErrDeaf):
		return nil, &ReadError{Op: op, Err: err, Remedy: "look for a seccomp or LSM rule that denies bind, and " +
			"connect or setsockopt, on AF_NETLINK sockets"}
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return nil, &ReadError{op, ErrPermission, err, permissionRemedy}
	}
	const remedy = "check that the kernel has netlink and that open files are not at their limit"
	return nil, &ReadError{op, ErrSocket, err, remedy}
}

// Close closes the connection.
func (c *Conn) Close() { c.socket.Close() }

// Receive reads one datagram into buf, as Socket.Receive does. One that fills it may have
// been cut, which is ErrTooLarge.
func (c *Conn) Receive(buf []byte, nowait bool) (int, error) {
	n, err := c.socket.Receive(buf, nowait)
	switch {
	case err != nil && c.ctx.Err() != nil:
		return 0, Ended(c.ctx)
	case err != nil:
		return 0, err
	case n == len(buf):
		return 0, fmt.Errorf("%w: a datagram of %d bytes or more", ErrTooLarge, n)
	}
	return n, nil
}

// OfferBuffer lets the kernel know how large a datagram this socket takes, before a
// dump begins. The kernel sizes a dump's first datagram by the largest buffer
// that was ever passed to recv (max_recvmsg_len, at most 32 KiB; about a page
// where there was none), and an IPv4 dump whose first route does not fit ends
// at once, as if there were no routes. An acknowledged NLMSG_NOOP is the
// shortest exchange that passes a buffer, and its size is all that matters.
func (c *Conn) OfferBuffer(size int) error {
	b := Buffers.Get().(*Buffer)
	defer Buffers.Put(b)
	buf := b[:size]
	if _, err := c.send(wire.NLMSG_NOOP, wire.NLM_F_REQUEST|wire.NLM_F_ACK, nil); err != nil {
		return err
	}
	for {
		n, err := c.Receive(buf, false)
		if err != nil {
			return err
		}
		if n >= wire.HeaderLen && wire.Seq(buf) == c.seq {
			return nil
		}
	}
}

// SetReceiveBuffer says how many bytes of messages, as the kernel counts them (about a kilobyte
// each), may wait to be received: without privilege at most what net.core.rmem_max allows.
func (c *Conn) SetReceiveBuffer(bytes int) {
	if s, ok := c.socket.(interface{ SetReadBuffer(int) error }); ok {
		_ = s.SetReadBuffer(bytes) // or it is what it was
	}
}

// Waiter returns a function that waits, on a thread of its own, until there may be something to
// receive, or the context has ended: the runtime's poller, by which Receive waits, goes on some tens
// of microseconds later, in which whoever asked for a change may end. wait is nil if the socket
// cannot do that. done is to be called at the end.
func (c *Conn) Waiter() (wait, done func()) {
	if s, ok := c.socket.(interface {
		Waiter(context.Context) (wait, done func())
	}); ok {
		return s.Waiter(c.ctx)
	}
	return nil, func() {}
}

// Fence asks the kernel to answer on this connection, which hears of changes: an NLMSG_ERROR with
// the number that is returned comes after all that was told before the call. It may be called
// while another goroutine receives.
func (c *Conn) Fence() (seq uint32, err error) {
	m, err := c.send(wire.NLMSG_NOOP, wire.NLM_F_REQUEST|wire.NLM_F_ACK, nil)
	return m.Header.Sequence, err
}

func (c *Conn) send(typ, flags uint16, data []byte) (netlink.Message, error) {
	header := netlink.Header{Type: netlink.HeaderType(typ), Flags: netlink.HeaderFlags(flags)}
	m, err := c.socket.Send(netlink.Message{Header: header, Data: data})
	c.seq = m.Header.Sequence
	if err != nil && c.ctx.Err() != nil {
		return m, Ended(c.ctx)
	}
	return m, err
}

// MaxDatagram is the largest datagram that the kernel makes of a dump, with a
// reserve: netlink_dump allocates at most 32 KiB.
const MaxDatagram = 64 << 10

// A Sink takes what a dump sends.
type Sink struct {
	Want uint16 // the message type: others are passed over
	// Buffer returns room for the next datagram.
	Buffer func() []byte
	// Message is shown each message's bytes, header included. It returns false to
	// end the dump: the rest is not wanted.
	Message func(msg []byte) (more bool, err error)
	// Datagram is called after the messages of each datagram; it may end the dump
	// too.
	Datagram func() (more bool)
}

// A KernelError is what the kernel answered a request with (NLMSG_ERROR).
type KernelError struct {
	// Err is the syscall.Errno itself, unless the kernel said in words what is wrong with
	// the request.
	Err error
}

func (e *KernelError) Error() string { return e.Err.Error() }

// Unwrap gives errors.Is the syscall.Errno.
func (e *KernelError) Unwrap() error { return e.Err }

// Get sends a request for one object and hands the answer to message. An object that is
// not there is a *KernelError (ENODEV for an interface).
func (c *Conn) Get(typ uint16, request []byte, want uint16, message func(msg []byte) error) error {
	if _, err := c.send(typ, wire.NLM_F_REQUEST, request); err != nil {
		return err
	}
	b := Buffers.Get().(*Buffer)
	defer Buffers.Put(b)
	answered, interrupted := false, false
	sink := Sink{Want: want, Message: func(msg []byte) (bool, error) {
		answered = true
		return true, message(msg)
	}}
	for !answered {
		n, err := c.Receive(b[:], false)
		if errors.Is(err, syscall.ENOBUFS) {
			return fmt.Errorf("%w: the receive buffer overflowed", ErrInterrupted)
		}
		if err != nil {
			return err
		}
		switch done, err := c.messages(b[:n], &sink, &interrupted); {
		case done && err != nil:
			return &KernelError{err}
		case done || err != nil:
			return err
		}
	}
	return nil
}

// Dump sends a dump request and hands its messages to the sink until the kernel
// says that it is done. interrupted reports NLM_F_DUMP_INTR on any message:
// something changed, and what was received may lack something or hold it twice.
func (c *Conn) Dump(typ uint16, request []byte, sink Sink) (interrupted bool, err error) {
	if _, err := c.send(typ, wire.NLM_F_REQUEST|wire.NLM_F_DUMP, request); err != nil {
		return false, err
	}
	for {
		buf := sink.Buffer()
		n, err := c.Receive(buf, false)
		if errors.Is(err, syscall.ENOBUFS) {
			return false, fmt.Errorf("%w: the receive buffer overflowed", ErrInterrupted)
		}
		if err != nil {
			return false, err
		}
		if n == 0 {
			return false, ErrTooLarge
		}
		done, err := c.messages(buf[:n], &sink, &interrupted)
		if done || err != nil {
			return interrupted, err
		}
		if c.Ended || !sink.Datagram() {
			c.Ended = true
			return interrupted, nil
		}
	}
}

// messages splits a datagram.
func (c *Conn) messages(b []byte, sink *Sink, interrupted *bool) (done bool, err error) {
	for off := 0; off < len(b); {
		if len(b)-off < wire.HeaderLen {
			return false, wire.Malformed("datagram", off, "shorter than struct nlmsghdr")
		}
		n := int(wire.U32(b[off:]))
		if n < wire.HeaderLen || n > len(b)-off {
			return false, wire.Malformed("datagram", off, "nlmsg_len does not fit")
		}
		msg := b[off : off+n]
		off += wire.Align(n)
		typ, flags, seq := wire.Type(msg), wire.Flags(msg), wire.Seq(msg)
		if seq != c.seq {
			continue // the late answer to something else
		}
		if flags&wire.NLM_F_DUMP_INTR != 0 {
			*interrupted = true
		}
		switch typ {
		case wire.NLMSG_DONE:
			if len(msg) >= wire.HeaderLen+4 {
				return true, Errno(msg)
			}
			return true, nil
		case wire.NLMSG_ERROR:
			if len(msg) < wire.HeaderLen+4 {
				return false, wire.Malformed("datagram", off-wire.Align(n), "shorter than struct nlmsgerr")
			}
			return true, Errno(msg)
		case wire.NLMSG_OVERRUN:
			return false, fmt.Errorf("%w: the kernel lost messages", ErrInterrupted)
		case sink.Want:
			more, err := sink.Message(msg)
			if err != nil {
				return false, err
			}
			if !more {
				c.Ended = true
				return false, nil
			}
		}
	}
	return false, nil
}

// Errno reads the error of NLMSG_DONE or NLMSG_ERROR, with the kernel's own
// words where it sends any (NLMSGERR_ATTR_MSG).
func Errno(msg []byte) error {
	errno := -int32(wire.U32(msg[wire.HeaderLen:]))
	if errno == 0 {
		return nil
	}
	err := error(syscall.Errno(errno))
	if errno < 0 {
		err = fmt.Errorf("error %d", -errno)
	}
	rest := msg[wire.HeaderLen+4:]
	if wire.Type(msg) == wire.NLMSG_ERROR {
		// The request that failed comes first.
		if len(rest) < wire.HeaderLen {
			return err
		}
		skip := int(wire.U32(rest))
		if wire.Flags(msg)&wire.NLM_F_CAPPED != 0 || skip < wire.HeaderLen {
			skip = wire.HeaderLen
		}
		rest = rest[min(wire.Align(min(skip, len(rest))), len(rest)):]
	}
	for a := wire.Walk(rest); a.Next(); {
		if a.Type == wire.NLMSGERR_ATTR_MSG {
			return fmt.Errorf("%w: %s", err, wire.String(a.Data))
		}
	}
	return err
}

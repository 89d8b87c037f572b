package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	netsocket "github.com/mdlayher/socket"
	"golang.org/x/sys/unix"
)

// A socket is a netlink socket: the kernel's, or a fake in tests.
type socket interface {
	// send sends one message and returns it with the sequence number that it was
	// given.
	send(netlink.Message) (netlink.Message, error)
	// receive reads one datagram. It waits for one unless nowait is set, then
	// nothing there is unix.EAGAIN.
	receive(buf []byte, nowait bool) (int, error)
	close()
}

// A dialer opens a socket that is a member of multicast groups (bit N-1 for
// group N). strict reports whether the kernel honours filters in dump requests.
type dialer func(ctx context.Context, groups uint32) (s socket, strict bool, err error)

// listenBuffer is how many bytes of messages, as the kernel counts them (about a
// kilobyte each), a listener's socket holds before it loses some.
const listenBuffer = 4 << 20

// A kernelSocket is in the network namespace of the thread that opened it.
//
// The socket and its deadlines are mdlayher/socket's. mdlayher/netlink's Conn, which
// is built on that, is not used, as its Receive keeps back three things that must be
// seen: the flags and the error of NLMSG_DONE, an empty datagram (with which Linux
// 6.9 and later answer for ever where an IPv6 route does not fit), and where one
// datagram ends and the next begins, for within a datagram the kernel's walk is not
// interrupted. Its random first sequence number alone costs more than the socket.
type kernelSocket struct {
	conn *netsocket.Conn
	raw  syscall.RawConn
	seq  uint32
	stop func() bool

	// The receive that is under way. With variables of receive instead, each one
	// would allocate.
	read   func(fd uintptr) (done bool)
	buf    []byte
	nowait bool
	n      int
	err    error
}

func dialKernel(ctx context.Context, groups uint32) (_ socket, strict bool, err error) {
	c, err := netsocket.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE, "netlink", nil)
	if err != nil {
		return nil, false, err
	}
	s := &kernelSocket{conn: c}
	s.read = s.readOnce
	if s.raw, err = c.SyscallConn(); err == nil {
		if groups != 0 {
			err = s.join(groups)
		} else {
			strict, err = s.strict()
		}
	}
	if err != nil {
		c.Close()
		return nil, false, err
	}
	// A deadline in the past wakes a receive that waits.
	s.stop = context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	return s, strict, nil
}

// join makes the socket a member of multicast groups.
func (s *kernelSocket) join(groups uint32) error {
	// With privilege as much as is asked for, else what net.core.rmem_max allows.
	_ = s.conn.SetReadBuffer(listenBuffer)
	return s.conn.Bind(&unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
}

// strict asks the kernel to say why it refuses something (Linux 4.12), and to honour
// the conditions of a dump (Linux 4.20): reports whether it does.
func (s *kernelSocket) strict() (bool, error) {
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_GET_STRICT_CHK} {
		switch err := s.conn.SetsockoptInt(unix.SOL_NETLINK, option, 1); {
		case errors.Is(err, unix.ENOPROTOOPT):
			return false, nil
		case err != nil:
			return false, err
		}
	}
	return true, nil
}

func (s *kernelSocket) send(m netlink.Message) (netlink.Message, error) {
	s.seq++
	m.Header.Length, m.Header.Sequence = uint32(unix.NLMSG_HDRLEN+align4(len(m.Data))), s.seq
	b, err := m.MarshalBinary()
	if err == nil {
		_, err = s.conn.Write(b)
	}
	return m, err
}

func (s *kernelSocket) receive(buf []byte, nowait bool) (int, error) {
	s.buf, s.nowait = buf, nowait
	if err := s.raw.Read(s.read); err != nil {
		return 0, err
	}
	return max(s.n, 0), s.err
}

// readOnce returns false if there is nothing yet, to be called again.
func (s *kernelSocket) readOnce(fd uintptr) (done bool) {
	for {
		s.n, s.err = unix.Read(int(fd), s.buf)
		if s.err != unix.EINTR {
			return s.nowait || s.err != unix.EAGAIN
		}
	}
}

func (s *kernelSocket) close() {
	s.stop()
	s.conn.Close()
}

// A conn is one conversation with the kernel.
type conn struct {
	socket
	ctx    context.Context
	seq    uint32 // of the request whose answer is awaited
	strict bool
	spent  bool // a dump was ended early: the rest of it would come first
}

// buffers are the memory that datagrams are received into. They are used again, as
// to have them cleared takes longer than to read the routes of most hosts. One is
// larger than any datagram of the kernel: 32 KiB of routes or nexthop objects, some
// 70 KiB of a link with as many alternative names as it may have.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

type buffer [2 * maxDatagram]byte

// open opens a connection.
func (dial dialer) open(ctx context.Context, groups uint32) (*conn, error) {
	const op = "open a netlink socket"
	if ctx.Err() != nil {
		return nil, readError(op, ended(ctx))
	}
	s, strict, err := dial(ctx, groups)
	switch {
	case err == nil:
		return &conn{socket: s, ctx: ctx, strict: strict}, nil
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return nil, &ReadError{op, ErrPermission, err, permissionRemedy}
	}
	const remedy = "check that the kernel has netlink and that open files are not at their limit"
	return nil, &ReadError{op, ErrSocket, err, remedy}
}

// receive reads one datagram into buf, as socket.receive does.
func (c *conn) receive(buf []byte, nowait bool) (int, error) {
	n, err := c.socket.receive(buf, nowait)
	switch {
	case err != nil && c.ctx.Err() != nil:
		return 0, ended(c.ctx)
	case err != nil:
		return 0, err
	case n == len(buf):
		return 0, fmt.Errorf("%w: a datagram of %d bytes or more", ErrTooLarge, n)
	}
	return n, nil
}

// warm lets the kernel know how large a datagram this socket takes, before a
// dump begins. The kernel sizes a dump's first datagram by the largest buffer
// that was ever passed to recv (max_recvmsg_len, at most 32 KiB; about a page
// where there was none), and an IPv4 dump whose first route does not fit ends
// at once, as if there were no routes. An acknowledged NLMSG_NOOP is the
// shortest exchange that passes a buffer, and its size is all that matters.
func (c *conn) warm(size int) error {
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	buf := b[:size]
	if _, err := c.send(unix.NLMSG_NOOP, unix.NLM_F_REQUEST|unix.NLM_F_ACK, nil); err != nil {
		return err
	}
	for {
		n, err := c.receive(buf, false)
		if err != nil {
			return err
		}
		if n >= unix.NLMSG_HDRLEN && u32(buf[8:]) == c.seq {
			return nil
		}
	}
}

func (c *conn) send(typ, flags uint16, data []byte) (netlink.Message, error) {
	header := netlink.Header{Type: netlink.HeaderType(typ), Flags: netlink.HeaderFlags(flags)}
	m, err := c.socket.send(netlink.Message{Header: header, Data: data})
	c.seq = m.Header.Sequence
	if err != nil && c.ctx.Err() != nil {
		return m, ended(c.ctx)
	}
	return m, err
}

// maxDatagram is the largest datagram that the kernel makes of a dump, with a
// reserve: netlink_dump allocates at most 32 KiB.
const maxDatagram = 64 << 10

// A dumpSink takes what a dump sends.
type dumpSink struct {
	want uint16 // the message type: others are passed over
	// buffer returns room for the next datagram.
	buffer func() []byte
	// message is shown each message's bytes, header included. It returns false to
	// end the dump: the rest is not wanted.
	message func(msg []byte) (more bool, err error)
	// datagram is called after the messages of each datagram; it may end the dump
	// too.
	datagram func() (more bool)
}

// get sends a request for one object and hands the answer to the sink's message. An
// object that is not there is an error of the kernel's (ENODEV for an interface).
func (c *conn) get(typ uint16, request []byte, want uint16, message func(msg []byte) error) error {
	if _, err := c.send(typ, unix.NLM_F_REQUEST, request); err != nil {
		return err
	}
	b := buffers.Get().(*buffer)
	defer buffers.Put(b)
	answered, interrupted := false, false
	sink := dumpSink{want: want, message: func(msg []byte) (bool, error) {
		answered = true
		return true, message(msg)
	}}
	for !answered {
		n, err := c.receive(b[:], false)
		if errors.Is(err, unix.ENOBUFS) {
			return fmt.Errorf("%w: the receive buffer overflowed", ErrInterrupted)
		}
		if err != nil {
			return err
		}
		if done, err := c.messages(b[:n], &sink, &interrupted); done || err != nil {
			return err
		}
	}
	return nil
}

// dump sends a dump request and hands its messages to the sink until the kernel
// says that it is done. interrupted reports NLM_F_DUMP_INTR on any message:
// something changed, and what was received may lack something or hold it twice.
func (c *conn) dump(typ uint16, request []byte, sink dumpSink) (interrupted bool, err error) {
	if _, err := c.send(typ, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, request); err != nil {
		return false, err
	}
	for {
		buf := sink.buffer()
		n, err := c.receive(buf, false)
		if errors.Is(err, unix.ENOBUFS) {
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
		if c.spent || !sink.datagram() {
			c.spent = true
			return interrupted, nil
		}
	}
}

// messages splits a datagram.
func (c *conn) messages(b []byte, sink *dumpSink, interrupted *bool) (done bool, err error) {
	for off := 0; off < len(b); {
		if len(b)-off < unix.NLMSG_HDRLEN {
			return false, malformed("datagram", off, "shorter than struct nlmsghdr")
		}
		n := int(u32(b[off:]))
		if n < unix.NLMSG_HDRLEN || n > len(b)-off {
			return false, malformed("datagram", off, "nlmsg_len does not fit")
		}
		msg := b[off : off+n]
		off += align4(n)
		typ, flags, seq := u16(msg[4:]), u16(msg[6:]), u32(msg[8:])
		if seq != c.seq {
			continue // the late answer to something else
		}
		if flags&unix.NLM_F_DUMP_INTR != 0 {
			*interrupted = true
		}
		switch typ {
		case unix.NLMSG_DONE:
			if len(msg) >= unix.NLMSG_HDRLEN+4 {
				return true, dumpErrno(msg)
			}
			return true, nil
		case unix.NLMSG_ERROR:
			if len(msg) < unix.NLMSG_HDRLEN+4 {
				return false, malformed("datagram", off-align4(n), "shorter than struct nlmsgerr")
			}
			return true, dumpErrno(msg)
		case unix.NLMSG_OVERRUN:
			return false, fmt.Errorf("%w: the kernel lost messages", ErrInterrupted)
		case sink.want:
			more, err := sink.message(msg)
			if err != nil {
				return false, err
			}
			if !more {
				c.spent = true
				return false, nil
			}
		}
	}
	return false, nil
}

// dumpErrno reads the error of NLMSG_DONE or NLMSG_ERROR, with the kernel's own
// words where it sends any (NLMSGERR_ATTR_MSG).
func dumpErrno(msg []byte) error {
	errno := -int32(u32(msg[unix.NLMSG_HDRLEN:]))
	if errno == 0 {
		return nil
	}
	err := error(syscall.Errno(errno))
	if errno < 0 {
		err = fmt.Errorf("error %d", -errno)
	}
	rest := msg[unix.NLMSG_HDRLEN+4:]
	if u16(msg[4:]) == unix.NLMSG_ERROR {
		// The request that failed comes first.
		if len(rest) < unix.NLMSG_HDRLEN {
			return err
		}
		skip := int(u32(rest))
		if u16(msg[6:])&unix.NLM_F_CAPPED != 0 || skip < unix.NLMSG_HDRLEN {
			skip = unix.NLMSG_HDRLEN
		}
		rest = rest[min(align4(skip), len(rest)):]
	}
	const nlmsgerrAttrMsg = 1
	for a := walk(rest); a.next(); {
		if a.typ == nlmsgerrAttrMsg {
			return fmt.Errorf("%w: %s", err, cstring(a.data))
		}
	}
	return err
}

// appendHeader appends a struct nlmsghdr.
func appendHeader(b []byte, length int, typ, flags uint16, seq uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(length))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	return binary.NativeEndian.AppendUint32(b, 0)
}

package conn

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"github.com/mdlayher/socket"
	"golang.org/x/sys/unix"

	"kernelroutes/rtnl/wire"
)

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
	conn *socket.Conn
	raw  syscall.RawConn
	seq  uint32
	stop func() bool
	wake atomic.Pointer[func()] // of a Waiter

	// The receive that is under way. With variables of receive instead, each one
	// would allocate.
	read   func(fd uintptr) (done bool)
	buf    []byte
	nowait bool
	n      int
	err    error
}

// Dial opens a socket to the kernel.
func Dial(ctx context.Context, ns Namespace, groups uint32) (_ Socket, strict bool, err error) {
	var c *socket.Conn
	err = ns.Do(func() (err error) {
		c, err = socket.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE, "netlink", nil)
		return err
	})
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
	_ = s.SetReadBuffer(listenBuffer)
	return s.conn.Bind(&unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
}

// SetReadBuffer is for Conn.SetReceiveBuffer: with privilege it is as large as is asked for, else what
// net.core.rmem_max allows.
func (s *kernelSocket) SetReadBuffer(bytes int) error {
	return raised(unix.CAP_NET_ADMIN, func() error { return s.conn.SetReadBuffer(bytes) })
}

// Waiter is for Conn.Waiter.
func (s *kernelSocket) Waiter(ctx context.Context) (wait, done func()) {
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, func() {}
	}
	var once sync.Once
	wake := func() { once.Do(func() { unix.Write(end, []byte{1, 1, 1, 1, 1, 1, 1, 1}) }) } // any number but 0
	s.wake.Store(&wake)
	stop := context.AfterFunc(ctx, wake)
	wait = func() {
		_ = s.raw.Control(func(fd uintptr) {
			// An error, as an interruption, is as good as something to receive: that is looked for.
			unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(end), Events: unix.POLLIN}}, -1)
		})
	}
	return wait, func() {
		stop()
		once.Do(func() {}) // nobody writes to it any more, when what writes has ended
		unix.Close(end)
	}
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

func (s *kernelSocket) Send(m netlink.Message) (netlink.Message, error) {
	s.seq++
	m.Header.Length, m.Header.Sequence = uint32(wire.HeaderLen+wire.Align(len(m.Data))), s.seq
	b, err := m.MarshalBinary()
	if err == nil {
		_, err = s.conn.Write(b)
	}
	return m, err
}

func (s *kernelSocket) Receive(buf []byte, nowait bool) (int, error) {
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

func (s *kernelSocket) Close() {
	s.stop()
	if wake := s.wake.Load(); wake != nil {
		(*wake)()
	}
	s.conn.Close()
}

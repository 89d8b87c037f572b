package conn

import (
	"context"
	"fmt"
	"math/bits"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/rtnl/wire"
)

// listenBuffer is how many bytes of messages, as the kernel counts them (about a
// kilobyte each), a listener's socket holds before it loses some.
const listenBuffer = 4 << 20

// A kernelSocket is in the network namespace of the thread that opened it.
//
// It is an os.File, which has deadlines, and asks the kernel nothing about the socket, as
// mdlayher/socket does (getsockopt): less can be denied. mdlayher/netlink's Conn, which
// is built on that, is not used either, as its Receive keeps back three things that must be
// seen: the flags and the error of NLMSG_DONE, an empty datagram (with which Linux
// 6.9 and later answer for ever where an IPv6 route does not fit), and where one
// datagram ends and the next begins, for within a datagram the kernel's walk is not
// interrupted. Its random first sequence number alone costs more than the socket.
type kernelSocket struct {
	file *os.File
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
	var fd int
	err = ns.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
		return os.NewSyscallError("socket", err)
	})
	if err != nil {
		return nil, false, err
	}
	f := os.NewFile(uintptr(fd), "netlink")
	s := &kernelSocket{file: f}
	s.read = s.readOnce
	// Where there is no poller for it, as where epoll is full, it would not wait.
	if err = f.SetDeadline(time.Time{}); err != nil {
		f.Close()
		return nil, false, err
	}
	if s.raw, err = f.SyscallConn(); err == nil {
		if groups != 0 {
			err = s.join(groups)
		} else {
			strict = s.strict()
		}
	}
	if err != nil {
		f.Close()
		return nil, false, err
	}
	// A deadline in the past wakes a receive that waits.
	s.stop = context.AfterFunc(ctx, func() { f.SetDeadline(time.Unix(1, 0)) })
	return s, strict, nil
}

// join makes the socket a member of multicast groups.
func (s *kernelSocket) join(groups uint32) error {
	_ = s.SetReadBuffer(listenBuffer)
	err := s.control("bind", func(fd int) error {
		return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	})
	if err == nil {
		return nil
	}
	// Where bind is denied, as to the apps of Android, a socket may still connect, and then join. It must
	// have a port for that: without one the kernel takes it for the sender of all changes that come from
	// the kernel, and passes it over (do_one_broadcast).
	refused := s.control("connect", func(fd int) error {
		return unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	})
	for left := groups; left != 0 && refused == nil; left &= left - 1 {
		refused = s.set(unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, bits.TrailingZeros32(left)+1)
	}
	if refused != nil {
		return fmt.Errorf("%w: %w", ErrDeaf, err)
	}
	return nil
}

// control calls f, which does what op says, with the descriptor.
func (s *kernelSocket) control(op string, f func(fd int) error) (err error) {
	if closed := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); closed != nil {
		return closed
	}
	return os.NewSyscallError(op, err)
}

// set sets an option of the socket.
func (s *kernelSocket) set(level, option, value int) error {
	return s.control("setsockopt", func(fd int) error { return unix.SetsockoptInt(fd, level, option, value) })
}

// SetReadBuffer is for Conn.SetReceiveBuffer: with privilege it is as large as is asked for, else what
// net.core.rmem_max allows.
func (s *kernelSocket) SetReadBuffer(bytes int) error {
	return raised(unix.CAP_NET_ADMIN, func() error {
		if s.set(unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bytes) == nil {
			return nil
		}
		return s.set(unix.SOL_SOCKET, unix.SO_RCVBUF, bytes)
	})
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
// the conditions of a dump (Linux 4.20): reports whether it does. A security module that denies
// to ask is like a kernel that cannot: all is read then, and chosen from here.
func (s *kernelSocket) strict() bool {
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_GET_STRICT_CHK} {
		if s.set(unix.SOL_NETLINK, option, 1) != nil {
			return false
		}
	}
	return true
}

func (s *kernelSocket) Send(m netlink.Message) (netlink.Message, error) {
	s.seq++
	m.Header.Length, m.Header.Sequence = uint32(wire.HeaderLen+wire.Align(len(m.Data))), s.seq
	b, err := m.MarshalBinary()
	if err == nil {
		_, err = s.file.Write(b)
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
	s.file.Close()
}

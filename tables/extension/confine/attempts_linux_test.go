package confine

import (
	native "encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// An attempt is what a confined process tries.
type attempt struct {
	name string
	try  func(folder string) error
	want string // the error: see expected
}

// Errors of attempts that do not say the same everywhere.
const (
	possible       = "done"
	ownNamespace   = "a network namespace" // possible if others may be entered
	wrongNamespace = "a namespace"         // never possible
	byOthers       = "another process"     // possible unless Landlock is applied, which takes it away
	byLandlock     = "a file"              // the same
)

// parent is the process that has started this one.
var parent = os.Getppid()

// sysno is a call without a function of package unix.
func sysno(call uintptr, args ...uintptr) error {
	var a [3]uintptr
	copy(a[:], args)
	if _, _, errno := unix.Syscall(call, a[0], a[1], a[2]); errno != 0 {
		return errno
	}
	return nil
}

func opened(fd int, err error) error {
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// attempts are in the order in which they are tried. What is refused has a system call that is not let
// through (ENOSYS), or one with other arguments (EPERM).
var attempts = []attempt{
	{"read a file", func(string) error { _, err := os.ReadFile("/proc/loadavg"); return err }, possible},
	{"read a folder", func(string) error { _, err := os.ReadDir("/proc/self/fd"); return err }, possible},
	{"collect garbage", func(string) error { debug.FreeOSMemory(); return nil }, possible},
	{"sleep", func(string) error { time.Sleep(time.Millisecond); return nil }, possible},
	{"make threads", makeThreads, possible},
	{"signal itself", func(string) error { return unix.Kill(os.Getpid(), 0) }, possible},
	{"open netlink", func(string) error {
		return opened(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE))
	}, possible},
	{"listen, connect, end", listenConnect, possible},
	{"look at its parent's namespace", func(string) error {
		_, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", parent))
		return err
	}, byOthers},
	{"list its parent's descriptors", func(string) error {
		folder := fmt.Sprintf("/proc/%d/fd/", parent)
		names, err := os.ReadDir(folder)
		if err == nil {
			_, err = os.Readlink(folder + names[0].Name())
		}
		return err
	}, byOthers},
	{"enter a network namespace", func(string) error { return enter("net", unix.CLONE_NEWNET) }, ownNamespace},

	{"enter a user namespace", func(string) error { return enter("user", unix.CLONE_NEWUSER) }, wrongNamespace},
	{"enter a mount namespace", func(string) error { return enter("mnt", unix.CLONE_NEWNS) }, wrongNamespace},
	{"enter whatever it is", func(string) error { return enter("net", 0) }, wrongNamespace},
	{"make a namespace", func(string) error { return unix.Unshare(unix.CLONE_NEWUSER) }, "ENOSYS"},
	{"mount", func(folder string) error { return unix.Mount("none", folder, "tmpfs", 0, "") }, "ENOSYS"},
	{"make a process", func(string) error {
		_, err := os.StartProcess("/proc/self/exe", []string{"x"}, &os.ProcAttr{})
		return err
	}, "EPERM"},
	{"run a program", func(string) error { return unix.Exec("/proc/self/exe", []string{"x"}, nil) }, "ENOSYS"},
	{"trace", func(string) error { return unix.PtraceAttach(parent) }, "ENOSYS"},
	{"read another's memory", func(string) error {
		b := make([]byte, 1)
		_, err := unix.ProcessVMReadv(parent, []unix.Iovec{{Base: &b[0], Len: 1}},
			[]unix.RemoteIovec{{Base: 4096, Len: 1}}, 0)
		return err
	}, "ENOSYS"},
	{"signal another", func(string) error { return unix.Kill(parent, 0) }, "EPERM"},
	{"signal all", func(string) error { return unix.Kill(-1, 0) }, "EPERM"},
	{"signal another's thread", func(string) error { return unix.Tgkill(parent, parent, 0) }, "EPERM"},
	{"limit another", func(string) error {
		return unix.Prlimit(parent, unix.RLIMIT_CORE, nil, &unix.Rlimit{})
	}, "EPERM"},
	{"open TCP", func(string) error { return opened(unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)) },
		anyFamily("EPERM")},
	{"open UDP", func(string) error { return opened(unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM, 0)) },
		anyFamily("EPERM")},
	{"open packets", func(string) error { return opened(unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)) },
		anyFamily("EPERM")},
	{"open datagrams", func(string) error { return opened(unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)) },
		anyFamily("EPERM")},
	{"open other netlink", func(string) error {
		return opened(unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT))
	}, anyFamily("EPERM")},
	{"dial", func(string) error {
		_, err := net.DialTimeout("tcp", "127.0.0.1:9", time.Second)
		return err
	}, anyFamily("EPERM")},
	{"write a file", func(folder string) error {
		return opened(unix.Open(filepath.Join(folder, "there"), unix.O_WRONLY, 0))
	}, "EPERM"},
	{"write and read one", func(folder string) error {
		return opened(unix.Open(filepath.Join(folder, "there"), unix.O_RDWR, 0))
	}, "EPERM"},
	{"cut off one", func(folder string) error {
		return opened(unix.Open(filepath.Join(folder, "there"), unix.O_RDONLY|unix.O_TRUNC, 0))
	}, "EPERM"},
	{"make one", func(folder string) error {
		return opened(unix.Open(filepath.Join(folder, "new"), unix.O_RDONLY|unix.O_CREAT, 0o600))
	}, "EPERM"},
	{"make one otherwise", func(folder string) error {
		how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CREAT, Mode: 0o600}
		return opened(unix.Openat2(unix.AT_FDCWD, filepath.Join(folder, "new"), &how))
	}, "ENOSYS"},
	{"truncate", func(folder string) error { return unix.Truncate(filepath.Join(folder, "there"), 0) }, "ENOSYS"},
	{"make a folder", func(folder string) error { return os.Mkdir(filepath.Join(folder, "new"), 0o700) }, "ENOSYS"},
	{"make a FIFO", func(folder string) error { return unix.Mkfifo(filepath.Join(folder, "new"), 0o600) }, "ENOSYS"},
	{"rename", func(folder string) error {
		return os.Rename(filepath.Join(folder, "there"), filepath.Join(folder, "new"))
	}, "ENOSYS"},
	{"link", func(folder string) error { return os.Symlink("there", filepath.Join(folder, "new")) }, "ENOSYS"},
	{"change rights", func(folder string) error { return os.Chmod(filepath.Join(folder, "there"), 0o666) }, "ENOSYS"},
	{"remove a file elsewhere", func(folder string) error {
		return unix.Unlink(filepath.Join(folder, "..", "elsewhere", "there"))
	}, byLandlock},
	{"make memory executable", func(string) error {
		b, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			return fmt.Errorf("mmap: %v", err)
		}
		return unix.Mprotect(b, unix.PROT_READ|unix.PROT_EXEC)
	}, "EPERM"},
	{"load into the kernel", func(string) error { return sysno(unix.SYS_BPF, 0, 0, 0) }, "ENOSYS"},
	{"start io_uring", func(string) error {
		var parameters [120]byte
		return sysno(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&parameters)))
	}, "ENOSYS"},
	{"load a module", func(string) error { return unix.FinitModule(0, "", 0) }, "ENOSYS"},
	{"be another user", func(string) error { return sysno(unix.SYS_SETUID, 1) }, "ENOSYS"},
	{"be dumped", func(string) error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) }, "EPERM"},
	{"drive a terminal", func(string) error { _, err := unix.IoctlGetInt(0, unix.TIOCSTI); return err }, "EPERM"},
	{"have signals sent", func(string) error {
		_, err := unix.FcntlInt(0, unix.F_SETOWN, parent)
		return err
	}, "EPERM"},
	{"use another filter", func(string) error {
		return sysno(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_STRICT, 0, 0)
	}, "ENOSYS"},
	{"change a route", changeRoute, "EPERM"},
	{"have a capability that is gone", func(string) error {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		sets := [2]unix.CapUserData{{Effective: 1 << unix.CAP_SYS_MODULE, Permitted: 1 << unix.CAP_SYS_MODULE}}
		return unix.Capset(&header, &sets[0])
	}, "EPERM"},
}

// anyFamily is an error that there is where a filter sees the arguments of sockets.
func anyFamily(errno string) string {
	if runtime.GOARCH == "386" || runtime.GOARCH == "s390x" {
		return "any"
	}
	return errno
}

func makeThreads(string) error {
	done, stop := make(chan bool), make(chan bool)
	defer close(stop)
	for range 20 {
		go func() {
			runtime.LockOSThread()
			done <- true
			<-stop
		}()
	}
	for range 20 {
		<-done
	}
	return nil
}

// listenConnect does what the extension does with sockets: its own is removed at the end.
func listenConnect(folder string) error {
	path := filepath.Join(folder, "osquery.em.17")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		return err
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return err
	}
	c.SetDeadline(time.Now().Add(time.Second))
	s, err := l.Accept()
	if err != nil {
		return err
	}
	if _, err := s.Write([]byte("x")); err != nil {
		return err
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		return err
	}
	c.Close()
	s.Close()
	l.Close()
	if _, err := os.Lstat(path); err == nil {
		return errors.New("the socket is still there")
	}
	return nil
}

// changeRoute asks the kernel to remove a default route, and returns its answer.
func changeRoute(string) error {
	s, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("socket: %v", err)
	}
	defer unix.Close(s)
	var b []byte
	for _, n := range []uint32{unix.SizeofNlMsghdr + unix.SizeofRtMsg, 0, 1, 0} {
		b = native.NativeEndian.AppendUint32(b, n)
	}
	native.NativeEndian.PutUint16(b[4:], unix.RTM_DELROUTE)
	native.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = append(b, unix.AF_INET)
	if _, err := unix.Write(s, append(b, make([]byte, unix.SizeofRtMsg-1)...)); err != nil {
		return fmt.Errorf("write: %v", err)
	}
	answer := make([]byte, 4096)
	n, err := unix.Read(s, answer)
	if err != nil || n < unix.SizeofNlMsghdr+4 {
		return fmt.Errorf("read: %d bytes, %v", n, err)
	}
	return syscall.Errno(-int32(native.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])))
}

// enter enters a namespace in which it is already, on a thread that ends then. What is not in effect and
// is needed it raises, as package conn does.
func enter(name string, kind int) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		f, err := os.Open("/proc/thread-self/ns/" + name)
		if err != nil {
			done <- fmt.Errorf("open: %v", err)
			return
		}
		defer f.Close()
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var sets [2]unix.CapUserData
		unix.Capget(&header, &sets[0])
		effective := sets[0].Effective
		sets[0].Effective = sets[0].Permitted
		unix.Capset(&header, &sets[0])
		err = unix.Setns(int(f.Fd()), kind)
		sets[0].Effective = effective // the thread may be there for a while yet
		unix.Capset(&header, &sets[0])
		done <- err
	}()
	return <-done
}

package conn

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Do calls f on a thread that is in the namespace. To enter one takes CAP_SYS_ADMIN in
// its user namespace and in one's own.
func (ns Namespace) Do(f func() error) error {
	if ns == "" {
		return f()
	}
	to, err := ns.open()
	if err != nil {
		return ns.failed(err)
	}
	defer to.Close()
	return ns.do(to, f)
}

// Hold returns the namespace by a file that this process keeps open until release is
// called: what is opened in it meanwhile is in one and the same, whatever the path comes to
// stand for (a name that is given to another one, a process that goes into another one).
// Whether it may be entered is not known yet.
func (ns Namespace) Hold() (held Namespace, release func(), err error) {
	if ns == "" {
		return ns, func() {}, nil
	}
	f, err := ns.open()
	if err != nil {
		return "", nil, ns.failed(err)
	}
	return Namespace(fmt.Sprintf("/proc/self/fd/%d", f.Fd())), func() { f.Close() }, nil
}

// ID returns the inode of the namespace, by which it can be told from any other as long as it
// is there. To enter it is not needed for that.
func (ns Namespace) ID() (uint64, error) {
	if id, ok := ns.inode(); ok {
		return id, nil
	}
	path := string(ns)
	if ns == "" {
		path = ownNamespace
	}
	// Nothing is opened, which might block: that it is none of users, mounts, ... is seen when it
	// is entered.
	var fs unix.Statfs_t
	var st unix.Stat_t
	err := unix.Statfs(path, &fs)
	if err == nil {
		err = unix.Stat(path, &st)
	}
	switch {
	case err != nil && ns == "":
		return 0, &ReadError{Op: "find the network namespace of this process", Err: fmt.Errorf("%s: %w", path, err),
			Remedy: procRemedy}
	case err != nil:
		return 0, Namespace(path).failed(err)
	case int64(fs.Type) != unix.NSFS_MAGIC:
		return 0, Namespace(path).failed(ErrNoNamespace)
	}
	return st.Ino, nil
}

// ownNamespace is that of the calling thread.
const ownNamespace = "/proc/thread-self/ns/net"

func (ns Namespace) do(to *os.File, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The process's first thread, which shows where the process is (/proc/PID/ns/net), would
			// not end if it could not return. While this one has it, another one has another thread.
			err := ns.do(to, f)
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- ns.enter(to, f)
	}()
	return <-done
}

// enter calls f in the namespace and returns to the one that the thread was in, unless
// that fails: then the thread stays locked, and ends with its goroutine.
func (ns Namespace) enter(to *os.File, f func() error) error {
	from, err := openFile(ownNamespace)
	if err != nil {
		runtime.UnlockOSThread()
		return ns.failed(fmt.Errorf("find the way back: %w", err))
	}
	defer from.Close()
	if err := setns(to); err != nil {
		runtime.UnlockOSThread()
		return ns.failed(os.NewSyscallError("setns", err))
	}
	err = f()
	if setns(from) == nil {
		runtime.UnlockOSThread()
	}
	return err
}

// setns moves the calling thread into a network namespace.
func setns(to *os.File) error {
	return raised(unix.CAP_SYS_ADMIN, func() error { return unix.Setns(int(to.Fd()), unix.CLONE_NEWNET) })
}

// open opens the file once it is known to be a namespace: to open anything else might
// block (a FIFO) or set a device in motion.
func (ns Namespace) open() (*os.File, error) {
	if inode, ok := ns.inode(); ok {
		return openInode(inode)
	}
	fd, err := unix.Open(string(ns), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	var fs unix.Statfs_t
	switch err := unix.Fstatfs(fd, &fs); {
	case err != nil:
		return nil, err
	case int64(fs.Type) != unix.NSFS_MAGIC:
		return nil, ErrNoNamespace
	}
	f, err := openFile(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return nil, err
	}
	// A namespace file may be of another kind: of users, mounts, ...
	if kind, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_NSTYPE); err != nil || kind != unix.CLONE_NEWNET {
		f.Close()
		return nil, ErrNoNamespace
	}
	return f, nil
}

// openFile opens a file of which nothing is read, and that Go's runtime need not poll, which
// os.Open asks the kernel for.
func openFile(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// OfOwnUsers reports whether it is certain that the namespace belongs to the user namespace that this
// process is in: that its root is user 0 here (NS_GET_USERNS, Linux 4.9).
func (ns Namespace) OfOwnUsers() bool {
	path := string(ns)
	if ns == "" {
		path = ownNamespace
	}
	f, err := openFile(path)
	if err != nil {
		return false
	}
	defer f.Close()
	owner, err := unix.IoctlRetInt(int(f.Fd()), unix.NS_GET_USERNS)
	if err != nil {
		return false
	}
	defer unix.Close(owner)
	var of, own unix.Stat_t
	if unix.Fstat(owner, &of) != nil || unix.Stat("/proc/self/ns/user", &own) != nil {
		return false
	}
	return of.Ino == own.Ino && of.Dev == own.Dev
}

package conn_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

const ownNamespace = "/proc/thread-self/ns/net"

// nameOf returns the name of the namespace that a file in /proc stands for.
func nameOf(t testing.TB, path string) string {
	t.Helper()
	name, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// another makes a network namespace with an interface of a name, and returns a path that
// stands for it until the test ends, and its name.
func another(t *testing.T, link string) (ns conn.Namespace, name string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "netns")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("another namespace", func(t *testing.T) { // whose goroutine ends, and the thread with it
		nstest.New(t)
		nstest.IP(t, "link add "+link+" type veth peer name "+link+"p")
		name = nameOf(t, ownNamespace)
		if err := unix.Mount(ownNamespace, path, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	})
	if name == "" {
		t.FailNow()
	}
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
	return conn.Namespace(path), name
}

// linksIn returns the names of the interfaces in a namespace.
func linksIn(t *testing.T, ns conn.Namespace) (names string) {
	t.Helper()
	c, err := conn.Dialer(conn.Dial).Open(t.Context(), ns, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, conn.MaxDatagram)
	_, err = c.Dump(object.RTM_GETLINK, object.Links.Request(0), conn.Sink{
		Want:     object.RTM_NEWLINK,
		Buffer:   func() []byte { return buf },
		Datagram: func() bool { return true },
		Message: func(msg []byte) (bool, error) {
			var l object.Link
			err := l.UnmarshalBinary(wire.Payload(msg))
			names += l.Name + " "
			return true, err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// stray returns the threads of this process that are in a namespace.
func stray(t *testing.T, name string) (tasks []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/self/task/*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		if of, err := os.Readlink(path); err == nil && of == name { // one that has ended has none
			tasks = append(tasks, path)
		}
	}
	return tasks
}

// TestNamespace opens sockets in another namespace, from threads that stay in theirs.
func TestNamespace(t *testing.T) {
	ns, name := another(t, "elsewhere")
	nstest.New(t)
	nstest.IP(t, "link add here type veth peer name herep")
	own := nameOf(t, ownNamespace)
	if own == name {
		t.Fatal("both are one namespace")
	}
	if got := linksIn(t, ns); got != "lo elsewherep elsewhere " {
		t.Errorf("interfaces %q", got)
	}
	if got := linksIn(t, ""); got != "lo herep here " || nameOf(t, ownNamespace) != own {
		t.Errorf("interfaces %q in one's own namespace", got)
	}
	// That of a process, and the one that the process is in itself.
	const self = "/proc/self/ns/net"
	var of string
	err := conn.Namespace(self).Do(func() error { of = nameOf(t, ownNamespace); return nil })
	if err != nil || of != nameOf(t, self) {
		t.Errorf("%v, %s", err, of)
	}
	path := conn.Namespace(fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid()))
	if got := linksIn(t, path); got != "lo herep here " {
		t.Errorf("interfaces %q by the number of the thread", got)
	}
}

// TestNamespaceDo calls the function where it is to be called, and hands on its error.
func TestNamespaceDo(t *testing.T) {
	ns, name := another(t, "v0")
	err := ns.Do(func() error {
		if got := nameOf(t, ownNamespace); got != name {
			t.Errorf("in %s, not %s", got, name)
		}
		return io.EOF
	})
	if err != io.EOF {
		t.Error(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	thread := unix.Gettid()
	err = conn.Namespace("").Do(func() error {
		if unix.Gettid() != thread {
			t.Error("on another thread")
		}
		return io.EOF
	})
	if err != io.EOF {
		t.Error(err)
	}
}

// TestNamespaceThreads leaves no thread in another namespace, on which a goroutine would
// go on that has nothing to do with it, nor a file open.
func TestNamespaceThreads(t *testing.T) {
	ns, name := another(t, "v0")
	before := nstest.OpenFiles(t)
	var all sync.WaitGroup
	for i := range 100 {
		all.Go(func() {
			err := ns.Do(func() error {
				if i%3 == 0 {
					runtime.Gosched()
				}
				if i%10 == 0 && len(stray(t, name)) == 0 {
					t.Error("no thread is in the namespace") // or stray finds none
				}
				return [...]error{nil, io.EOF}[i%2]
			})
			if err != [...]error{nil, io.EOF}[i%2] {
				t.Error(err)
			}
			if nameOf(t, ownNamespace) == name {
				t.Error("the caller was left in the namespace")
			}
		})
	}
	all.Wait()
	if left := stray(t, name); len(left) > 0 {
		t.Errorf("in the namespace are %v", left)
	}
	if after := nstest.OpenFiles(t); after > before {
		t.Errorf("%d files are open, %d before", after, before)
	}
}

// TestNoNamespace has paths that stand for none.
func TestNoNamespace(t *testing.T) {
	folder := t.TempDir()
	fifo, file := filepath.Join(folder, "fifo"), filepath.Join(folder, "file")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink("loop", folder+"/loop")); err != nil {
		t.Fatal(err)
	}
	before := nstest.OpenFiles(t)
	for _, tc := range []struct {
		path        string
		kind, cause error
		text        string
	}{
		{folder + "/missing", conn.ErrNoNamespace, fs.ErrNotExist,
			"no network namespace: no such file or directory; name a"},
		{file + "/below", conn.ErrNoNamespace, unix.ENOTDIR, "no network namespace: not a directory; name a file"},
		{folder + "/loop", conn.ErrNoNamespace, unix.ELOOP, "too many levels of symbolic links; name a file"},
		{folder + "/" + strings.Repeat("x", 300), conn.ErrNoNamespace, unix.ENAMETOOLONG, ""},
		{fifo, conn.ErrNoNamespace, conn.ErrNoNamespace, "no network namespace; name a file"},
		{file, conn.ErrNoNamespace, conn.ErrNoNamespace, ""},
		{folder, conn.ErrNoNamespace, conn.ErrNoNamespace, ""},
		{"/dev/null", conn.ErrNoNamespace, conn.ErrNoNamespace, ""},
		{"/proc/self/status", conn.ErrNoNamespace, conn.ErrNoNamespace, ""},
		{"/proc/self/ns/user", conn.ErrNoNamespace, conn.ErrNoNamespace, ""},
		{"/proc/self/ns/mnt", conn.ErrNoNamespace, conn.ErrNoNamespace, ""},
		{"a\x00path", nil, unix.EINVAL, "invalid argument"},
	} {
		// Of a Dialer, whose errors are told apart by what else may fail.
		_, err := conn.Dialer(conn.Dial).Open(t.Context(), conn.Namespace(tc.path), 0)
		var read *conn.ReadError
		if !errors.As(err, &read) || read.Kind != tc.kind || !errors.Is(err, tc.cause) ||
			!strings.HasPrefix(err.Error(), "enter network namespace "+tc.path+": ") ||
			!strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", tc.path, err)
		}
		called := false
		err = conn.Namespace(tc.path).Do(func() error { called = true; return nil })
		if called || !errors.As(err, &read) {
			t.Errorf("%s: called %v, %v", tc.path, called, err)
		}
	}
	if after := nstest.OpenFiles(t); after > before {
		t.Errorf("%d files are open, %d before", after, before)
	}
}

// TestForbiddenNamespace asks for that of the process outside, which is of another user
// namespace.
func TestForbiddenNamespace(t *testing.T) {
	_, err := conn.Dialer(conn.Dial).Open(t.Context(), conn.Namespace(fmt.Sprintf("/proc/%d/ns/net", os.Getppid())), 0)
	if !errors.Is(err, conn.ErrPermission) || !strings.Contains(err.Error(), "CAP_SYS_ADMIN") {
		t.Error(err)
	}
}

// TestNoWayBack enters a namespace from one that it may not return to, for that belongs to another
// user namespace. Threads that did so end; the first thread of a process would not.
func TestNoWayBack(t *testing.T) {
	const inside = "KERNEL_ROUTES_TEST_NO_WAY_BACK"
	if os.Getenv(inside) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestNoWayBack$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1", nstest.FreeThread+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			Pdeathsig:   syscall.SIGKILL,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}}
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestNoWayBack") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	own := nameOf(t, ownNamespace)
	process := exec.Command("sleep", "20")
	// Without Pdeathsig: the thread that starts it may end.
	process.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { process.Process.Kill(); process.Wait() }()
	ns := conn.Namespace(fmt.Sprintf("/proc/%d/ns/net", process.Process.Pid))
	var first atomic.Bool
	for range 50 {
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				err := ns.Do(func() error {
					if unix.Gettid() == unix.Getpid() {
						first.Store(true)
					}
					if nameOf(t, ownNamespace) == own {
						t.Error("not in the namespace")
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		runtime.Gosched()
	}
	if name := nameOf(t, "/proc/self/ns/net"); name != own || first.Load() {
		t.Errorf("the process is in %s, not %s", name, own)
	}
	for range 100 { // until threads have ended
		if len(stray(t, nameOf(t, string(ns)))) == 0 {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("threads are left in the namespace")
}

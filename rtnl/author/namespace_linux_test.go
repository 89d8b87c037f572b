package author

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
)

// TestOtherNamespace is of processes in another PID namespace, the first of which has the number 1
// there, and the second that of an innocent process here.
func TestOtherNamespace(t *testing.T) {
	l := listen(t)
	innocent, _ := start(t, self, 0)
	outer, inner := start(t, self, unix.CLONE_NEWPID)
	fd, port := outer.open(0)
	if port != 1 {
		t.Fatalf("port %d", port)
	}
	l.want(outer, fd, outer, OtherNamespace)
	second, _ := outer.open(0)
	l.rest = time.Time{}
	l.want(outer, second, outer, OtherSocket)

	until(t, "the same number", func() bool { // which a thread may take
		outer.do("last", innocent.pid-1)
		outer.share(inner, -1)
		if inner.pid == innocent.pid {
			return true
		}
		outer.end()
		outer, inner = start(t, self, unix.CLONE_NEWPID)
		return false
	})
	inner.pid = l.child(outer.pid) // as it is here
	fd, port = inner.open(0)
	if port != innocent.pid {
		t.Fatalf("port %d, want %d", port, innocent.pid)
	}
	l.rest = time.Time{}
	l.want(inner, fd, inner, OtherNamespace)
	// The innocent one has a socket, but not that one, and then that one.
	other, _ := innocent.open(0)
	l.rest = time.Time{}
	l.want(innocent, other, innocent, OtherSocket)
	inner.do("close", fd)
	fd, port = innocent.open(0)
	if port != innocent.pid {
		t.Fatalf("port %d, want %d", port, innocent.pid)
	}
	l.want(innocent, fd, innocent, Process)
}

// child returns the only child of a process.
func (l *listener) child(pid uint32) uint32 {
	var threads []string
	l.numbers(l.proc, fmt.Sprintf("%d/task", pid), func(_ int, name []byte) bool {
		threads = append(threads, string(name))
		return true
	})
	for _, thread := range threads {
		if n, ok := number(l.contents(l.proc, fmt.Sprintf("%d/task/%s/children", pid, thread))); ok {
			return n
		}
	}
	l.t.Fatalf("process %d has no child", pid)
	return 0
}

// TestOtherNetwork has the same port in two network namespaces: that one is found in which the
// change was.
func TestOtherNetwork(t *testing.T) {
	l := listen(t)
	here, _ := start(t, self, 0)
	fd, port := here.open(0)
	ns := conn.Namespace(fmt.Sprintf("/proc/%d/ns/net", here.pid))
	there := make(chan *Finder, 1)
	t.Run("another namespace", func(t *testing.T) {
		nstest.New(t)
		w, _ := start(t, self, 0)
		w.open(port)
		f, err := Open("")
		if err != nil {
			t.Fatal(err)
		}
		f.settle(t, w)
		if a, certainty := f.Find(port); a == nil || a.PID != w.pid || certainty != OtherSocket {
			t.Errorf("%+v, %s", a, certainty)
		}
		f.Close()
		if f, err = Open(ns); err != nil {
			t.Fatal(err)
		}
		there <- f
	})
	l.want(here, fd, here, Process)
	f := <-there
	defer f.Close()
	if a, certainty := f.Find(port); a == nil || a.PID != here.pid || certainty != Process {
		t.Errorf("from another namespace: %+v, %s", a, certainty)
	}
}

// TestOpenFails is of a namespace that there is not.
func TestOpenFails(t *testing.T) {
	before := nstest.OpenFiles(t)
	f, err := Open("/run/netns/missing")
	if f != nil || !errors.Is(err, conn.ErrNoNamespace) {
		t.Errorf("%v, %v", f, err)
	}
	if after := nstest.OpenFiles(t); after > before {
		t.Errorf("%d files are open, %d before", after, before)
	}
}

// TestYoung has a process in another PID namespace that is not there for long: it could have come
// after another one with the same number.
func TestYoung(t *testing.T) {
	l := listen(t)
	w, _ := start(t, self, unix.CLONE_NEWPID)
	_, port := w.open(0)
	p, ok := l.process(w.pid)
	if !ok {
		t.Fatal("the process is not there")
	}
	defer p.close()
	until(t, "it to be found", func() bool {
		young := l.age(p) < settled
		l.rest = time.Time{}
		a, certainty := l.Find(port)
		switch {
		case a == nil && certainty == Unknown:
			return false
		case certainty != OtherNamespace || a.PID != w.pid:
			t.Fatalf("%+v, %s", a, certainty)
		case young && l.age(p) < settled:
			t.Errorf("found when it was %s old", l.age(p))
		}
		return true
	})
}

// TestForbidden looks without rights at a process that has some, as at one of another user: the
// kernel treats both alike (ptrace_may_access). That it has the number is no proof.
func TestForbidden(t *testing.T) {
	l := listen(t)
	w, _ := start(t, self, 0)
	fd, port := w.open(0)
	second, random := w.open(0)
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine, without rights
		none := make([]unix.CapUserData, 2)
		err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0])
		for _, port := range []uint32{port, random} {
			for range 3 {
				if a, certainty := l.Find(port); a != nil || certainty != Unknown {
					t.Errorf("port %d: %+v, %s", port, a, certainty)
				}
			}
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	l.forgetAll()
	l.rest = time.Time{}
	l.want(w, fd, w, Process)
	l.want(w, second, w, OtherSocket)
}

// TestNoProc has no procfs at /proc, then that of another PID namespace.
func TestNoProc(t *testing.T) {
	l := listen(t)
	w, _ := start(t, self, 0)
	fd, port := w.open(0)
	l.want(w, fd, w, Process)
	elsewhere, _ := start(t, self, unix.CLONE_NEWPID|unix.CLONE_NEWNS)
	t.Run("none", func(t *testing.T) {
		ownMounts(t)
		if err := unix.Mount("tmpfs", "/proc", "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		nobody(t, port)
	})
	t.Run("another", func(t *testing.T) {
		mounts, err := os.Open(fmt.Sprintf("/proc/%d/ns/mnt", elsewhere.pid))
		if err != nil {
			t.Fatal(err)
		}
		defer mounts.Close()
		elsewhere.do("mount")
		ownMounts(t)
		if err := unix.Setns(int(mounts.Fd()), unix.CLONE_NEWNS); err != nil {
			t.Fatal(err)
		}
		if name, err := os.Readlink("/proc/self"); err == nil {
			t.Fatalf("this process is %s there", name)
		}
		nobody(t, port)
	})
	l.want(w, fd, w, Process)
}

// ownMounts gives the calling thread, which ends with the test, mounts of its own.
func ownMounts(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
}

// nobody finds nobody, which is no error.
func nobody(t *testing.T, port uint32) {
	t.Helper()
	f, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if a, certainty := f.Find(port); a != nil || certainty != Unknown {
		t.Errorf("%+v, %s", a, certainty)
	}
	if a, certainty := f.Find(0); a != nil || certainty != Kernel {
		t.Errorf("port 0: %+v, %s", a, certainty)
	}
}

// TestThreadNumber has a port that is the number of a thread, which /proc has like a process.
func TestThreadNumber(t *testing.T) {
	l := listen(t)
	w, _ := start(t, self, 0)
	var thread uint32
	until(t, "a second thread", func() bool {
		l.numbers(l.proc, fmt.Sprintf("%d/task", w.pid), func(_ int, name []byte) bool {
			thread, _ = number(name)
			return thread == w.pid
		})
		return thread != w.pid && thread != 0
	})
	fd, _ := w.open(thread)
	l.want(w, fd, w, OtherSocket)
}

// TestReused is of a process that has ended, whose number, descriptor and port another one has.
func TestReused(t *testing.T) {
	if !nstest.SeesAllProcesses(t) {
		return
	}
	l := listen(t)
	before, _ := start(t, self, 0)
	fd, port := before.open(0)
	old := l.want(before, fd, before, Process)
	before.do("name", "before")
	before.end()
	var after *worker
	until(t, "the same number", func() bool { // which a thread may take
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(int(port-1))), 0); err != nil {
			t.Fatal(err)
		}
		if after != nil {
			after.end()
		}
		after, _ = start(t, self, 0)
		return after.pid == port
	})
	again, same := after.open(0)
	if again != fd || same != port {
		t.Fatalf("descriptor %d and port %d, want %d and %d", again, same, fd, port)
	}
	after.do("name", "after")
	if a := l.want(after, again, after, Process); a == old || a == nil || a.Name != "after" {
		t.Errorf("got %+v, before %+v", a, old)
	}
}

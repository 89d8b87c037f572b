package survival

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// readsKernel reports whether a command asks the kernel for routes.
func (k *task) readsKernel() bool {
	line := strings.Join(k.args, " ")
	return !strings.Contains(line, "--from") && !strings.HasPrefix(line, "spec") &&
		!strings.HasPrefix(line, "completion") && line != "--version"
}

// needless are calls that can be denied, all at once, without a difference to any answer: what tells a socket's
// name, chooses a thread's namespace, and what only makes things faster or surer.
var needless = []uintptr{unix.SYS_GETSOCKNAME, unix.SYS_GETPEERNAME, unix.SYS_GETSOCKOPT, unix.SYS_SENDTO,
	unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_RECVFROM, unix.SYS_SETNS, unix.SYS_MADVISE, unix.SYS_MINCORE,
	unix.SYS_STATFS, unix.SYS_FSTATFS, unix.SYS_GETPID, unix.SYS_GETPPID, unix.SYS_KCMP, unix.SYS_PIDFD_OPEN,
	unix.SYS_PRCTL, unix.SYS_PRLIMIT64, unix.SYS_GETRANDOM, unix.SYS_SCHED_GETAFFINITY, unix.SYS_SCHED_YIELD,
	unix.SYS_PPOLL, unix.SYS_IOCTL, unix.SYS_READLINKAT, unix.SYS_GETDENTS64}

// TestNeedlessCalls: what is not needed may be denied, and so may bind, as Android denies it to apps, or
// setsockopt, by which the kernel is asked to choose among routes: one of the two, the
// second with connect, is needed to hear of changes.
func TestNeedlessCalls(t *testing.T) {
	nstest.New(t)
	all := tasks(t)
	for i, errno := range []syscall.Errno{unix.EPERM, unix.EACCES, unix.ENOSYS} {
		for j, one := range []uintptr{unix.SYS_BIND, unix.SYS_SETSOCKOPT} {
			if testing.Short() && i != j {
				continue
			}
			h, what := deny(errno, append(needless, one)...), fmt.Sprintf("call %d and more, %v", one, errno)
			for k := range all {
				if answered, r := all[k].try(t, h, what); !answered || r.stderr != "" {
					t.Errorf("%s: %s says %q", what, all[k].args, r.stderr)
				}
			}
		}
	}
}

// TestNeededCalls: without what is needed one line says what is denied.
func TestNeededCalls(t *testing.T) {
	nstest.New(t)
	all := some(tasks(t))
	for _, test := range []struct {
		name string
		h    *hardship
		part string // of the line of commands that read the kernel
		none bool   // no command works
	}{
		{"AF_NETLINK, EPERM", denyNetlink(unix.EPERM), "denies AF_NETLINK", false},
		{"AF_NETLINK, EACCES", denyNetlink(unix.EACCES), "denies AF_NETLINK", false},
		{"AF_NETLINK, EAFNOSUPPORT", denyNetlink(unix.EAFNOSUPPORT), "check that the kernel has netlink", false},
		{"AF_NETLINK, ENOSYS", denyNetlink(unix.ENOSYS), "check that the kernel has netlink", false},
		{"epoll_create1", deny(unix.EPERM, unix.SYS_EPOLL_CREATE1), "epoll", false},
		{"epoll_ctl", deny(unix.EPERM, unix.SYS_EPOLL_CTL), "epoll", false},
		{"eventfd2", deny(unix.ENOSYS, unix.SYS_EVENTFD2), "eventfd", false},
		{"clone", deny(unix.EPERM, unix.SYS_CLONE), "ulimit -u", true},
		{"clone, EAGAIN", deny(unix.EAGAIN, unix.SYS_CLONE), "ulimit -u", true},
		{"mmap", deny(unix.ENOMEM, unix.SYS_MMAP), "out of memory", true},
		{"mmap, EPERM", deny(unix.EPERM, unix.SYS_MMAP), "out of memory", true},
		{"fcntl", deny(unix.EPERM, unix.SYS_FCNTL), "fcntl", true},
		{"sigaction", deny(unix.EPERM, unix.SYS_RT_SIGACTION), "sigaction", true},
		{"SQLite's memory", deny(unix.EPERM, unix.SYS_MPROTECT), "", false},
		{"openat", deny(unix.EACCES, unix.SYS_OPENAT), "", false},
		{"fsync", deny(unix.EPERM, unix.SYS_FSYNC), "", false},
		{"read", deny(unix.EPERM, unix.SYS_READ), "", false},
		{"write", deny(unix.EIO, unix.SYS_WRITEV, unix.SYS_PWRITE64), "", false},
	} {
		for i := range all {
			answered, r := all[i].try(t, test.h, test.name)
			switch {
			case test.part == "":
			case answered && (test.none || all[i].readsKernel()):
				t.Errorf("%s: %s answers", test.name, all[i].args)
			case !answered && (test.none || all[i].readsKernel()) && !strings.Contains(r.stderr, test.part):
				t.Errorf("%s: %s does not say %q: %s", test.name, all[i].args, test.part, r.stderr)
			}
		}
	}
}

// TestDeaf: where no changes may be heard, routes are read, and said to be what they may be.
func TestDeaf(t *testing.T) {
	nstest.New(t)
	all := tasks(t)
	h := deny(unix.EPERM, unix.SYS_BIND, unix.SYS_SETSOCKOPT)
	const consistent = "SELECT DISTINCT snapshot_consistent AS c FROM kernel_routes"
	if r := h.run(t, "query", "--csv", consistent); r.stdout != "c\n0\n" || r.status != exitOK ||
		!strings.Contains(r.stderr, "cannot be heard") || !strings.Contains(r.stderr, "warning: kernel_routes: ") {
		t.Errorf("%+v", r)
	}
	if r := (&hardship{}).run(t, "query", "--csv", consistent); r.stdout != "c\n1\n" || r.stderr != "" {
		t.Errorf("%+v", r)
	}
	if answered, _ := all[0].try(t, h, "deaf"); !answered {
		t.Error("no answer")
	}
	// To follow changes without hearing of any is no answer.
	h.run(t, "monitor").failed(t, "monitor", "cannot be heard", "denies bind")
	h.run(t, "capture", "--follow", "1", t.TempDir()+"/x").failed(t, "capture --follow", "cannot be heard")
}

// netlinkBind is bind with an address of netlink, by its size: the extension's own socket needs bind.
var netlinkBind = denial{Call: unix.SYS_BIND, Arg: 3, Value: unix.SizeofSockaddrNetlink, Errno: unix.EACCES}

// TestExtensionRefused: the extension answers, or fails the query, and stays.
func TestExtensionRefused(t *testing.T) {
	nstest.New(t)
	tasks(t)
	for _, test := range []struct {
		name   string
		h      *hardship
		routes string // part of the error of a query; "": it is answered
		events string // the same of kernel_route_events
	}{
		{"getsockopt and more", deny(unix.EPERM, unix.SYS_GETSOCKOPT, unix.SYS_GETPEERNAME, unix.SYS_SETNS), "", ""},
		{"bind of netlink", &hardship{Denials: []denial{netlinkBind}}, "", ""},
		{"AF_NETLINK", denyNetlink(unix.EACCES), "denies AF_NETLINK", "denies AF_NETLINK"},
		{"eavesdropping", &hardship{Denials: []denial{netlinkBind,
			{Call: unix.SYS_SETSOCKOPT, Arg: 3, Value: unix.NETLINK_ADD_MEMBERSHIP, Errno: unix.EACCES}}},
			"", "denies bind"},
	} {
		x := exttest.StartAt(t, osquerytest.Start(t), test.h.before(t))
		for table, part := range map[string]string{"kernel_routes": test.routes, "kernel_route_events": test.events} {
			r, err := x.Call(x.Context, table, exttest.Request(nil, "dst"))
			switch {
			case err != nil:
				t.Errorf("%s: %s: %v", test.name, table, err)
			case (r.Status.Code == 0) != (part == "") || !strings.Contains(r.Status.Message, part):
				t.Errorf("%s: %s: status %d, %s", test.name, table, r.Status.Code, r.Status.Message)
			case part == "" && table == "kernel_routes" && len(r.Response) < 5:
				t.Errorf("%s: %d routes", test.name, len(r.Response))
			}
		}
		if test.routes == "" {
			notOld(t, x, test.name)
		}
		noTrace(t, test.name, x.Stderr.String())
		x.Cmd.Process.Signal(syscall.SIGTERM)
		if status := x.Wait(t); status != exitOK {
			t.Errorf("%s: exit status %d: %s", test.name, status, &x.Stderr)
		}
	}
}

// notOld asks for a route so often that it is held, and again when it is gone.
func notOld(t *testing.T, x *exttest.Process, what string) {
	t.Helper()
	const dst = "198.51.100.9/32"
	nstest.IP(t, "route add blackhole "+dst)
	for range 5 {
		if rows := x.Generate(t, "kernel_routes", []string{"dst=" + dst}, "dst"); len(rows) != 1 {
			t.Errorf("%s: %v", what, rows)
		}
	}
	nstest.IP(t, "route del blackhole "+dst)
	if rows := x.Generate(t, "kernel_routes", []string{"dst=" + dst}, "dst"); len(rows) != 0 {
		t.Errorf("%s: a route that is gone: %v", what, rows)
	}
}

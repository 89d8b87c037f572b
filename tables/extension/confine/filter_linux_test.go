package confine

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// verdict runs the filter as the kernel would, on a call with arguments.
func verdict(t *testing.T, program []bpf.Instruction, arch uint32, call uint32, args ...uint64) string {
	t.Helper()
	vm, err := bpf.NewVM(program)
	if err != nil {
		t.Fatal(err)
	}
	// struct seccomp_data. The machine of package bpf takes words as packets have them, high byte first.
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[offsetCall:], call)
	binary.BigEndian.PutUint32(data[offsetArchitecture:], arch)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[offsetArguments+8*i+int(lowWord):], uint32(a))
		binary.BigEndian.PutUint32(data[offsetArguments+8*i+int(4-lowWord):], uint32(a>>32))
	}
	n, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	switch uint32(n) {
	case unix.SECCOMP_RET_ALLOW:
		return "allowed"
	case unix.SECCOMP_RET_ERRNO | notAllowed:
		return "EPERM"
	case unix.SECCOMP_RET_ERRNO | notThere:
		return "ENOSYS"
	}
	return fmt.Sprintf("%#x", uint32(n))
}

// TestFilter has the filter decide about calls, those too that a test cannot make: with all arguments that
// the extension has a use for, and others.
func TestFilter(t *testing.T) {
	if architecture == 0 {
		t.Skip("there is no filter on this architecture")
	}
	me := uint64(os.Getpid())
	var flags [3]uint64 // of clone, where they are
	thread := func(more uint64) []uint64 {
		args := flags
		args[cloneFlags] = more |
			unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD
		return args[:]
	}
	const cwd = 1<<64 - 100 // AT_FDCWD, as Go passes it
	with := assemble(rules(&Options{Namespaces: true}))
	without := assemble(rules(&Options{}))
	for _, test := range []struct {
		call uint32
		args []uint64
		want string
	}{
		{unix.SYS_READ, nil, "allowed"},
		{unix.SYS_EXIT_GROUP, []uint64{2}, "allowed"},
		{unix.SYS_OPENAT, []uint64{cwd, 1, unix.O_RDONLY | unix.O_CLOEXEC | unix.O_PATH | unix.O_DIRECTORY}, "allowed"},
		{unix.SYS_OPENAT, []uint64{cwd, 1, unix.O_WRONLY}, "EPERM"},
		{unix.SYS_OPENAT, []uint64{cwd, 1, unix.O_RDWR | unix.O_CLOEXEC}, "EPERM"},
		{unix.SYS_OPENAT, []uint64{cwd, 1, unix.O_ACCMODE}, "EPERM"},
		{unix.SYS_OPENAT, []uint64{cwd, 1, unix.O_RDONLY | unix.O_CREAT}, "EPERM"},
		{unix.SYS_OPENAT, []uint64{cwd, 1, unix.O_TMPFILE | unix.O_RDWR}, "EPERM"},
		{unix.SYS_OPENAT, []uint64{cwd, 1, 1<<32 | unix.O_TRUNC}, "EPERM"},
		{unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW | unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK,
			unix.NETLINK_ROUTE}, "allowed"},
		{unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, 0}, "allowed"},
		{unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_RAW, 0}, "EPERM"},
		{unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_STREAM, 0}, "EPERM"},
		{unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER}, "EPERM"},
		{unix.SYS_SOCKET, []uint64{unix.AF_VSOCK, unix.SOCK_STREAM, 0}, "EPERM"},
		{unix.SYS_CLONE, thread(unix.CLONE_SETTLS | unix.CLONE_SYSVSEM), "allowed"},
		{unix.SYS_CLONE, thread(unix.CLONE_NEWUSER), "EPERM"},
		{unix.SYS_CLONE, thread(unix.CLONE_PTRACE), "EPERM"},
		{unix.SYS_CLONE, []uint64{uint64(unix.SIGCHLD), uint64(unix.SIGCHLD)}, "EPERM"},
		{unix.SYS_CLONE3, []uint64{1, 88}, "ENOSYS"},
		{unix.SYS_SETNS, []uint64{7, unix.CLONE_NEWNET}, "allowed"},
		{unix.SYS_SETNS, []uint64{7, unix.CLONE_NEWNET | unix.CLONE_NEWUSER}, "EPERM"},
		{unix.SYS_SETNS, []uint64{7, 0}, "EPERM"},
		{unix.SYS_TGKILL, []uint64{me, 1, 23}, "allowed"},
		{unix.SYS_TGKILL, []uint64{me + 1, 1, 23}, "EPERM"},
		{unix.SYS_KILL, []uint64{1, 9}, "EPERM"},
		{unix.SYS_KILL, []uint64{1<<64 - 1, 9}, "EPERM"},
		{unix.SYS_TKILL, []uint64{1, 9}, "ENOSYS"},
		{unix.SYS_PRCTL, []uint64{unix.PR_SET_VMA}, "allowed"},
		{unix.SYS_PRCTL, []uint64{unix.PR_SET_MM}, "EPERM"},
		{unix.SYS_IOCTL, []uint64{3, unix.NS_GET_NSTYPE}, "allowed"},
		{unix.SYS_IOCTL, []uint64{3, unix.TIOCSTI}, "EPERM"},
		{unix.SYS_FCNTL, []uint64{3, unix.F_DUPFD_CLOEXEC}, "allowed"},
		{unix.SYS_FCNTL, []uint64{3, unix.F_SETOWN}, "EPERM"},
		{unix.SYS_PRLIMIT64, []uint64{0, unix.RLIMIT_NOFILE}, "allowed"},
		{unix.SYS_PRLIMIT64, []uint64{1, unix.RLIMIT_NOFILE}, "EPERM"},
		{unix.SYS_MPROTECT, []uint64{0, 0, unix.PROT_READ | unix.PROT_WRITE}, "allowed"},
		{unix.SYS_MPROTECT, []uint64{0, 0, unix.PROT_READ | unix.PROT_EXEC}, "EPERM"},
		{unix.SYS_EXECVE, nil, "ENOSYS"},
		{unix.SYS_MOUNT, nil, "ENOSYS"},
		{1 << 20, nil, "ENOSYS"}, // that of a kernel to come
	} {
		if got := verdict(t, with, architecture, test.call, test.args...); got != test.want {
			t.Errorf("call %d%d: %s, want %s", test.call, test.args, got, test.want)
		}
		want := test.want
		if test.call == unix.SYS_SETNS {
			want = "ENOSYS"
		}
		if got := verdict(t, without, architecture, test.call, test.args...); got != want {
			t.Errorf("without namespaces: call %d%d: %s, want %s", test.call, test.args, got, want)
		}
		if got := verdict(t, with, architecture^1, test.call, test.args...); got != "ENOSYS" {
			t.Errorf("call %d%d of another architecture: %s", test.call, test.args, got)
		}
	}
}

// TestFilterFits: the kernel takes 4,096 instructions, and no jump is too far for its byte.
func TestFilterFits(t *testing.T) {
	all := rules(&Options{Namespaces: true})
	if n := len(assemble(all)); n > 1000 {
		t.Errorf("%d instructions", n)
	}
	for i, r := range all {
		size := 1
		for _, way := range r.ways {
			size += 3*len(way) + 1
		}
		if size > 255 {
			t.Errorf("call %d has %d instructions", r.call, size)
		}
		if slices.ContainsFunc(all[:i], func(other rule) bool { return other.call == r.call }) {
			t.Errorf("call %d has two rules", r.call)
		}
		if slices.Contains(common, r.call) && len(r.ways) > 0 {
			t.Errorf("call %d is let through with any arguments, and with some alone", r.call)
		}
	}
}

// TestRefused has a process confine itself where the kernel refuses that, as an old one does, or a container: it goes
// on, and its log says why.
func TestRefused(t *testing.T) {
	for _, test := range []struct{ refused, applied, log string }{
		{"seccomp", "no_new_privs capabilities landlock", "seccomp: operation not permitted"},
		{"capabilities", "no_new_privs landlock seccomp", "capabilities: "},
		{"landlock", "no_new_privs capabilities seccomp", "landlock: operation not permitted"},
		{"prctl", "capabilities seccomp", "no_new_privs: prctl: operation not permitted; "},
	} {
		t.Run(test.refused, func(t *testing.T) {
			t.Parallel()
			out, log, err := misused(t, "refused "+test.refused)
			want := test.applied
			if !hasLandlock() {
				want = strings.ReplaceAll(want, " landlock", "")
			}
			if err != nil || out != "applied "+want || !strings.Contains(log, test.log) {
				t.Errorf("%v: %s, want applied %s, with %s:\n%s", err, out, want, test.log, log)
			}
		})
	}
}

// TestCrash has a confined process end by itself: what Go says of that is said, and it ends.
func TestCrash(t *testing.T) {
	for how, says := range map[string]string{
		"panic":    "panic: on purpose",
		"nil":      "recovered: runtime error: invalid memory address or nil pointer dereference",
		"abort":    "SIGABRT",
		"overflow": "goroutine stack exceeds",
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			_, log, err := misused(t, "crash "+how)
			if (err == nil) != (how == "nil") || !strings.Contains(log, says) || strings.Contains(log, "SIGSYS") {
				t.Errorf("%v:\n%.2000s", err, log)
			}
		})
	}
}

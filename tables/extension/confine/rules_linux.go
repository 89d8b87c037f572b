package confine

import (
	"math"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// rules returns what is let through: what Go's runtime, its packages os and net, and the extension call.
// Whatever is not here is refused: to run a program, to trace or stop another process, to mount, to load
// anything into the kernel, to make a file, and all that is yet to come.
func rules(o *Options) []rule {
	process := exactly(0, uint32(os.Getpid()))
	all := []rule{
		when(unix.SYS_OPENAT, readOnly(2)),
		when(unix.SYS_SOCKET,
			// With SOCK_CLOEXEC and SOCK_NONBLOCK or without: see socketType.
			way(exactly(0, unix.AF_UNIX), socketType(1, unix.SOCK_STREAM), exactly(2, 0)),
			way(exactly(0, unix.AF_NETLINK), socketType(1, unix.SOCK_RAW), exactly(2, unix.NETLINK_ROUTE))),
		when(unix.SYS_FCHMOD, way(exactly(1, 0o600))), // the extension's own socket, before it has a file
		when(unix.SYS_CLONE, thread(cloneFlags)),
		when(unix.SYS_MPROTECT, noCode(2)),
		when(unix.SYS_TGKILL, way(process)), // Go's scheduler, to its threads
		when(unix.SYS_KILL, way(process)),   // and to end by a signal
		when(unix.SYS_PRCTL, way(exactly(0, unix.PR_SET_VMA))),
		when(unix.SYS_IOCTL, way(exactly(1, unix.NS_GET_NSTYPE))),
		when(unix.SYS_PRLIMIT64, way(exactly(0, 0))), // limits of its own
	}
	if o.Namespaces {
		all = append(all, when(unix.SYS_SETNS, way(exactly(1, unix.CLONE_NEWNET))))
	}
	all = append(append(all, descriptorCalls(unix.SYS_FCNTL)...), special()...)
	for _, call := range slices.Concat(common, own) {
		all = append(all, rule{call: call})
	}
	return merge(all)
}

// descriptorCalls lets fcntl through for what Go does to descriptors. It could also have signals sent.
func descriptorCalls(fcntl uint32) (all []rule) {
	for _, command := range []uint32{unix.F_GETFL, unix.F_SETFL, unix.F_GETFD, unix.F_SETFD, unix.F_DUPFD_CLOEXEC} {
		all = append(all, when(fcntl, way(exactly(1, command))))
	}
	return all
}

// merge makes one rule of those for the same call.
func merge(all []rule) (merged []rule) {
	for _, r := range all {
		i := slices.IndexFunc(merged, func(m rule) bool { return m.call == r.call })
		if i < 0 {
			merged = append(merged, r)
			continue
		}
		merged[i].ways = append(merged[i].ways, r.ways...)
	}
	return merged
}

// common are the calls of all architectures that may have any arguments.
var common = []uint32{
	// What is open: files, sockets, pipes.
	unix.SYS_READ, unix.SYS_WRITE, unix.SYS_READV, unix.SYS_WRITEV, unix.SYS_PREAD64, unix.SYS_LSEEK, unix.SYS_CLOSE,
	unix.SYS_FSTAT, unix.SYS_FSTATFS, unix.SYS_GETDENTS64,
	// Files by name. To remove one takes the rights to its folder.
	unix.SYS_STATFS, unix.SYS_READLINKAT, unix.SYS_FACCESSAT, unix.SYS_FACCESSAT2, unix.SYS_UNLINKAT, unix.SYS_GETCWD,
	// Sockets.
	unix.SYS_BIND, unix.SYS_CONNECT, unix.SYS_LISTEN, unix.SYS_ACCEPT4, unix.SYS_SHUTDOWN, unix.SYS_GETSOCKNAME,
	unix.SYS_GETPEERNAME, unix.SYS_SETSOCKOPT, unix.SYS_GETSOCKOPT, unix.SYS_SENDTO, unix.SYS_RECVFROM,
	unix.SYS_SENDMSG, unix.SYS_RECVMSG,
	// Waiting.
	unix.SYS_EPOLL_CREATE1, unix.SYS_EPOLL_CTL, unix.SYS_EPOLL_PWAIT, unix.SYS_EPOLL_PWAIT2, unix.SYS_PPOLL,
	unix.SYS_PSELECT6, unix.SYS_EVENTFD2, unix.SYS_PIPE2, unix.SYS_NANOSLEEP, unix.SYS_CLOCK_NANOSLEEP,
	unix.SYS_RESTART_SYSCALL, // the kernel's own, after a stop
	// Time.
	unix.SYS_CLOCK_GETTIME, unix.SYS_GETTIMEOFDAY, unix.SYS_TIMER_CREATE, unix.SYS_TIMER_SETTIME,
	unix.SYS_TIMER_DELETE, unix.SYS_SETITIMER,
	// Memory.
	unix.SYS_MUNMAP, unix.SYS_MADVISE, unix.SYS_MINCORE, unix.SYS_BRK,
	// Threads and signals.
	unix.SYS_FUTEX, unix.SYS_SCHED_YIELD, unix.SYS_SCHED_GETAFFINITY, unix.SYS_SIGALTSTACK, unix.SYS_RT_SIGACTION,
	unix.SYS_RT_SIGPROCMASK, unix.SYS_RT_SIGRETURN, unix.SYS_GETTID, unix.SYS_EXIT, unix.SYS_EXIT_GROUP,
	unix.SYS_RSEQ, unix.SYS_SET_ROBUST_LIST, // the C library's, where it is linked: by the race detector
	// What it is itself. To raise a capability takes one that it has kept.
	unix.SYS_GETPID, unix.SYS_GETUID, unix.SYS_GETEUID, unix.SYS_GETGID, unix.SYS_GETEGID, unix.SYS_CAPGET,
	unix.SYS_CAPSET, unix.SYS_UNAME, unix.SYS_SYSINFO, unix.SYS_GETRANDOM,
}

// when lets a call through in some ways.
func when(call uint32, ways ...[]condition) rule { return rule{call, ways} }

func way(all ...condition) []condition { return all }

// exactly: an argument has a value.
func exactly(argument int, value uint32) condition { return condition{argument, math.MaxUint32, value} }

// without: an argument has none of these bits.
func without(argument int, bits uint32) condition { return condition{argument, bits, 0} }

// readOnly: nothing is opened for writing, made or cut off.
func readOnly(flags int) []condition {
	return way(without(flags, unix.O_ACCMODE|unix.O_CREAT|unix.O_TRUNC))
}

// socketType: a socket has a type, which comes with flags.
func socketType(argument int, value uint32) condition {
	return condition{argument, ^uint32(unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK), value}
}

// noCode: memory is not made executable.
func noCode(protection int) []condition { return way(without(protection, unix.PROT_EXEC)) }

// thread: what is made is a thread, in the same namespaces.
func thread(flags int) []condition {
	const shared = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD
	const own = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER |
		unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_PTRACE | unix.CLONE_UNTRACED
	return way(condition{flags, shared | own, shared})
}

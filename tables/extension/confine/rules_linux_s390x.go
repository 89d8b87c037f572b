package confine

import "golang.org/x/sys/unix"

// See amd64. The kernel takes clone's stack first (CLONE_BACKWARDS2), and the arguments of mmap in memory,
// where a filter cannot look: that memory is not made executable later is all that it sees to.
const (
	architecture uint32 = unix.AUDIT_ARCH_S390X
	cloneFlags          = 1
)

var own = []uint32{unix.SYS_NEWFSTATAT, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_READLINK, unix.SYS_UNLINK,
	unix.SYS_ACCESS, unix.SYS_POLL, unix.SYS_EPOLL_WAIT, unix.SYS_SELECT, unix.SYS_GETRLIMIT, unix.SYS_MMAP}

func special() []rule { return append(socketCalls(), when(unix.SYS_OPEN, readOnly(1))) }

package confine

import "golang.org/x/sys/unix"

// See amd64.
const (
	architecture uint32 = unix.AUDIT_ARCH_PPC64LE
	cloneFlags          = 0
)

var own = []uint32{unix.SYS_NEWFSTATAT, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_READLINK, unix.SYS_UNLINK,
	unix.SYS_ACCESS, unix.SYS_POLL, unix.SYS_EPOLL_WAIT, unix.SYS_SELECT, unix.SYS_GETRLIMIT, unix.SYS_UGETRLIMIT}

func special() []rule {
	return []rule{when(unix.SYS_OPEN, readOnly(1)), when(unix.SYS_MMAP, noCode(2))}
}

package confine

import "golang.org/x/sys/unix"

// architecture is the kernel's name of the system calls whose numbers package unix has.
const architecture uint32 = unix.AUDIT_ARCH_X86_64

// cloneFlags is the argument of clone that has the flags.
const cloneFlags = 0

// own are the calls of this architecture alone that may have any arguments.
var own = []uint32{unix.SYS_NEWFSTATAT, unix.SYS_STAT, unix.SYS_LSTAT, unix.SYS_READLINK, unix.SYS_UNLINK,
	unix.SYS_ACCESS, unix.SYS_POLL, unix.SYS_EPOLL_WAIT, unix.SYS_SELECT, unix.SYS_GETRLIMIT}

// special are those whose arguments matter.
func special() []rule {
	return []rule{when(unix.SYS_OPEN, readOnly(1)), when(unix.SYS_MMAP, noCode(2))}
}

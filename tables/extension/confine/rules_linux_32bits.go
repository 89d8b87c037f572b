//go:build linux && (386 || arm)

package confine

import "golang.org/x/sys/unix"

// of32bits are the calls that architectures of 32 bits have beside those with the same names: for large
// files, and for times from 2038 on.
func of32bits() []uint32 {
	return []uint32{unix.SYS_FSTAT64, unix.SYS_FSTATAT64, unix.SYS_STAT64, unix.SYS_LSTAT64, unix.SYS_STATFS64,
		unix.SYS_FSTATFS64, unix.SYS__LLSEEK, unix.SYS_READLINK, unix.SYS_UNLINK, unix.SYS_ACCESS,
		unix.SYS_POLL, unix.SYS_EPOLL_WAIT, unix.SYS_UGETRLIMIT, unix.SYS_GETUID32, unix.SYS_GETEUID32,
		unix.SYS_GETGID32, unix.SYS_GETEGID32, unix.SYS_FUTEX_TIME64, unix.SYS_CLOCK_GETTIME64,
		unix.SYS_PPOLL_TIME64, unix.SYS_PSELECT6_TIME64, unix.SYS_TIMER_SETTIME64}
}

// special are the calls whose arguments matter.
func special() []rule {
	all := append(descriptorCalls(unix.SYS_FCNTL64), when(unix.SYS_OPEN, readOnly(1)), when(unix.SYS_MMAP2, noCode(2)))
	return append(all, socketCalls()...)
}

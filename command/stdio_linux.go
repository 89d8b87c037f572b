package command

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// stdoutClosed reports whether the program was started with its standard output
// closed (>&-). Go's runtime then opens /dev/null for reading and writing in its
// place, before any code of the program's, so that nothing fails and nothing is seen.
//
// A shell's > /dev/null is open for writing only, as is what most programs give to
// those that they start. Some open it for both, Python (subprocess.DEVNULL) and Node
// (stdio: 'ignore') among them. Where standard input or error, or the standard output
// of the program that started this one, is that same open file, it was not the
// runtime that opened it. Otherwise the two are alike in all that can be asked of an
// open file: flags, position, mount, device. Then it is taken for closed: a failure
// that says what to do is a smaller error than an answer that goes nowhere while the
// exit status says that all went well.
var stdoutClosed = sync.OnceValue(func() bool {
	var st, null unix.Stat_t
	if unix.Fstat(1, &st) != nil || unix.Stat(os.DevNull, &null) != nil ||
		st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != null.Rdev {
		return false
	}
	flags, err := unix.FcntlInt(1, unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE != unix.O_RDWR {
		return false
	}
	return !stdoutIs(os.Getpid(), 0) && !stdoutIs(os.Getpid(), 2) && !stdoutIs(os.Getppid(), 1)
})

// stdoutIs reports whether a process's descriptor is the same open file as standard
// output. Where the kernel does not tell it is not.
func stdoutIs(pid, fd int) bool {
	const kcmpFile = 0 // KCMP_FILE of linux/kcmp.h
	order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(os.Getpid()), uintptr(pid), kcmpFile, 1, uintptr(fd), 0)
	return errno == 0 && order == 0
}

// waitForReader returns when it is sure that nobody reads the standard output any longer: a pipe or
// socket has no other end, or a terminal is gone. Of a file it never is.
func waitForReader() {
	fds := []unix.PollFd{{Fd: 1}} // errors are told without being asked for
	for fds[0].Revents == 0 {
		if _, err := unix.Ppoll(fds, nil, nil); err != nil && err != unix.EINTR {
			select {} // a write will tell
		}
	}
}

//go:build unix

package extension

import (
	"os"

	"golang.org/x/sys/unix"
)

// freeFiles returns how many descriptors the process may still open.
func freeFiles() int {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return 0
	}
	open, _ := os.ReadDir("/proc/self/fd")
	return int(min(files.Cur, 1<<20)) - len(open)
}

// hungUp tells the end of a connection from that of its requests alone: who has
// only shut down its own sending still waits for an answer.
func (c *conn) hungUp() (yes bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		n, _ := unix.Poll(p, 0)
		yes = n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
	})
	return yes || err != nil
}

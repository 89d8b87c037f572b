//go:build unix

package extension

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// minFiles is how many descriptors the extension takes, at least, to answer one query at a time.
const minFiles = 24

// checkFiles returns an error where there are too few descriptors to answer.
func checkFiles() error {
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil && files.Cur < minFiles {
		return fmt.Errorf("no more than %d files may be open, and to answer queries takes %d: raise the limit of open "+
			"files (ulimit -n, LimitNOFILE of osqueryd's unit)", files.Cur, minFiles)
	}
	return nil
}

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

// forOwnerAlone makes a socket such that its file, which bind makes, is for its owner alone. A umask
// would be that of other goroutines too, and a chmod comes too late.
func forOwnerAlone(_, _ string, raw syscall.RawConn) error {
	var chmod error
	err := raw.Control(func(fd uintptr) { chmod = unix.Fchmod(int(fd), 0o600) })
	return errors.Join(err, chmod)
}

// othersWhoWrite says who may write to a folder beside root and the user that the process runs as, "" for
// nobody.
func othersWhoWrite(folder string) string {
	var st unix.Stat_t
	if unix.Stat(folder, &st) != nil {
		return ""
	}
	switch uid := int(st.Uid); {
	case st.Mode&unix.S_IWOTH != 0:
		return "every user"
	case uid != 0 && uid != os.Geteuid():
		return fmt.Sprintf("its owner, user %d", uid)
	}
	return ""
}

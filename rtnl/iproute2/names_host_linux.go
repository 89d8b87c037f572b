package iproute2

import (
	"syscall"
	"time"
)

// How files are opened that may have been replaced by what blocks.
const (
	openFile   = syscall.O_NONBLOCK | syscall.O_NOCTTY
	openFolder = syscall.O_NONBLOCK | syscall.O_DIRECTORY
)

// A fileStamp tells one state of a path from another.
type fileStamp struct {
	errno        syscall.Errno // of stat
	dev, ino     uint64
	mode         uint32
	size         int64
	mtime, ctime syscall.Timespec
}

func stampFile(path string) fileStamp {
	var st syscall.Stat_t
	for { // as os.Stat, which allocates 500 bytes for each file, in each query
		err := syscall.Stat(path, &st)
		if err == syscall.EINTR {
			continue
		}
		if errno, ok := err.(syscall.Errno); ok {
			return fileStamp{errno: errno}
		}
		break
	}
	return fileStamp{0, uint64(st.Dev), st.Ino, st.Mode, st.Size, st.Mtim, st.Ctim}
}

// missing reports whether there is no such file, which is not so of one that cannot be
// looked at.
func (s fileStamp) missing() bool { return s.errno == syscall.ENOENT }
func (s fileStamp) regular() bool { return s.is(syscall.S_IFREG) }
func (s fileStamp) folder() bool  { return s.is(syscall.S_IFDIR) }

func (s fileStamp) is(kind uint32) bool { return s.errno == 0 && s.mode&syscall.S_IFMT == kind }

// changed is when anything of the file changed.
func (s fileStamp) changed() time.Time { return time.Unix(s.ctime.Unix()) }

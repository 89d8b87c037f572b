package capture

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// uname returns what uname(2) says of this host.
func uname() (node, release, machine string) {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "", "", ""
	}
	return unix.ByteSliceToString(u.Nodename[:]), unix.ByteSliceToString(u.Release[:]),
		unix.ByteSliceToString(u.Machine[:])
}

// networkNamespace returns the calling thread's, and its name among the files that
// `ip netns` makes.
func networkNamespace(dir string) (inode uint64, name string) {
	var own, other unix.Stat_t
	if unix.Stat("/proc/thread-self/ns/net", &own) != nil { // Linux 3.17
		return 0, ""
	}
	files, _ := os.ReadDir(dir) // nobody has to have named a namespace
	for _, f := range files {
		if unix.Stat(filepath.Join(dir, f.Name()), &other) == nil && other.Dev == own.Dev && other.Ino == own.Ino {
			return own.Ino, f.Name()
		}
	}
	return own.Ino, ""
}

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
)

// An archive is written in cpio's format "newc", which Linux unpacks into its first file system
// (Documentation/driver-api/early-userspace/buffer-format.rst). All in it belongs to root.
type archive struct {
	w       *bufio.Writer
	n       int64 // bytes written
	entries int
	folders map[string]bool
	err     error
}

func newArchive(w io.Writer) *archive {
	return &archive{w: bufio.NewWriterSize(w, 1<<20), folders: map[string]bool{".": true, "/": true}}
}

// entry writes the head of an entry, whose contents follow.
func (a *archive) entry(name string, mode uint32, size int64) {
	a.entries++
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.entries, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0, name)
	a.write([]byte(head))
	a.pad()
}

func (a *archive) write(b []byte) {
	if a.err != nil {
		return
	}
	n, err := a.w.Write(b)
	a.n += int64(n)
	a.err = err
}

// pad fills up to a multiple of four bytes.
func (a *archive) pad() {
	if rest := a.n % 4; rest > 0 {
		a.write(make([]byte, 4-rest))
	}
}

// Modes are those of struct stat.
const (
	modeFolder  = 0o040000
	modeFile    = 0o100000
	modeSymlink = 0o120000
)

// folder writes a folder and those above it, unless it did before.
func (a *archive) folder(name string) {
	if a.folders[name] {
		return
	}
	a.folder(path.Dir(name))
	a.folders[name] = true
	a.entry(name, modeFolder|0o755, 0)
}

// text writes a file with the contents.
func (a *archive) text(name, contents string, perm fs.FileMode) {
	a.folder(path.Dir(name))
	a.entry(name, modeFile|uint32(perm.Perm()), int64(len(contents)))
	a.write([]byte(contents))
	a.pad()
}

func (a *archive) symlink(name, target string) {
	a.folder(path.Dir(name))
	a.entry(name, modeSymlink|0o777, int64(len(target)))
	a.write([]byte(target))
	a.pad()
}

// file writes a copy of a file, a symbolic link as such.
func (a *archive) file(name, from string) {
	if a.err != nil {
		return
	}
	info, err := os.Lstat(from)
	if err != nil {
		a.err = err
		return
	}
	switch info.Mode().Type() {
	case 0:
		contents, err := os.ReadFile(from)
		if err != nil {
			a.err = err
			return
		}
		a.text(name, string(contents), info.Mode())
	case fs.ModeSymlink:
		target, err := os.Readlink(from)
		if err != nil {
			a.err = err
			return
		}
		a.symlink(name, target)
	}
}

// close ends the archive; another may follow it in the same file.
func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, 0)
	if a.err != nil {
		return a.err
	}
	return a.w.Flush()
}

package iproute2

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxNameFile  = 1 << 20 // bytes
	maxNameFiles = 1024    // entries of a folder
)

// hostNames takes a file's time stamp for racy (git's word) until two seconds after a
// change: a second change within one tick of the file system's clock (2 s on the coarsest)
// shows in no time stamp.
var hostNames = namesCache{
	etc:     "/etc/iproute2",
	usr:     []string{"/usr/share/iproute2", "/usr/lib/iproute2"},
	racyFor: 2 * time.Second,
}

// HostNames returns the names that hold on this host now. It costs some stat
// calls and returns the same *Names as before where no file and no folder has
// changed, otherwise it reads them again. It is safe for concurrent use.
func HostNames() *Names { return hostNames.get() }

// A namesCache keeps the names until a file that they came from, or would have
// come from, changes.
type namesCache struct {
	etc     string
	usr     []string
	racyFor time.Duration // how long after a change a file is read again each time

	mu    sync.Mutex
	names *Names
	from  nameReader
}

func (c *namesCache) get() *Names {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.names != nil && c.from.current() {
		return c.names
	}
	c.from = nameReader{racyFor: c.racyFor}
	if n := c.from.read(c.etc, c.usr); c.names == nil || !n.equal(c.names) {
		c.names = n
	}
	return c.names
}

// A nameReader reads files and folders and remembers which, the missing ones
// included.
type nameReader struct {
	racyFor time.Duration
	seen    []seenFile
	racy    bool // what was read may not be what the stamps stand for
}

// A seenFile is a path, and the state that it was in: a fileStamp tells one from another.
type seenFile struct {
	path  string
	stamp fileStamp
}

// current reports whether another read would find the same.
func (r *nameReader) current() bool {
	if r.racy {
		return false
	}
	for _, s := range r.seen {
		if s.stamp != stampFile(s.path) {
			return false
		}
	}
	return true
}

func (r *nameReader) stat(path string) fileStamp {
	s := stampFile(path)
	r.seen = append(r.seen, seenFile{path, s})
	if !s.missing() && time.Since(s.changed()).Abs() < r.racyFor {
		r.racy = true
	}
	return s
}

func (r *nameReader) read(etc string, usr []string) *Names {
	n := builtin()
	dirs := append([]string{etc}, usr...)
	for _, kind := range []struct {
		file string
		set  func(uint32, string)
	}{
		{"rt_tables", n.tables.set},
		{"rt_protos", n.protocols.set},
		{"rt_scopes", n.scopes.set},
		{"rt_realms", n.realms.set},
	} {
		r.readFirst(dirs, kind.file, kind.set)
		r.readFolders(dirs, kind.file+".d", kind.set)
	}
	return n
}

// readFirst reads the file of the first folder that has it. A file that is there
// but cannot be read still stands for those of the other folders.
func (r *nameReader) readFirst(dirs []string, file string, set func(uint32, string)) {
	for _, dir := range dirs {
		if !r.readFile(filepath.Join(dir, file), set).missing() {
			return
		}
	}
}

// readFolders reads the files of a .d folder, those of the first of dirs last, so
// that they win. A file that an earlier one of dirs has too is passed over.
func (r *nameReader) readFolders(dirs []string, folder string, set func(uint32, string)) {
	for i, dir := range slices.Backward(dirs) {
		for _, name := range r.list(filepath.Join(dir, folder)) {
			if !slices.ContainsFunc(dirs[:i], func(before string) bool {
				_, err := os.Lstat(filepath.Join(before, folder, name))
				return err == nil
			}) {
				r.readFile(filepath.Join(dir, folder, name), set)
			}
		}
	}
}

// list returns the names of a folder's files that iproute2 would read.
func (r *nameReader) list(folder string) []string {
	if !r.stat(folder).folder() {
		return nil
	}
	f, err := os.OpenFile(folder, os.O_RDONLY|openFolder, 0)
	if err != nil {
		r.racy = true
		return nil
	}
	defer f.Close()
	names, err := f.Readdirnames(maxNameFiles)
	r.racy = r.racy || err != nil && err != io.EOF
	return slices.DeleteFunc(names, func(name string) bool {
		return strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".conf")
	})
}

// readFile parses a regular file; of anything else it returns the stamp alone,
// without opening it, because that might block or set a device in motion. A
// failure that may pass makes r racy.
func (r *nameReader) readFile(path string, set func(uint32, string)) fileStamp {
	s := r.stat(path)
	if !s.regular() {
		return s
	}
	data, err := readRegular(path)
	if err != nil {
		r.racy = true
		return s
	}
	parseNames(data, set)
	return s
}

// readRegular reads at most maxNameFile bytes, and then whole lines only.
func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|openFile, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	// It may have been replaced by something else since it was looked at.
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, errors.ErrUnsupported)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxNameFile+1))
	if len(data) > maxNameFile {
		data = data[:1+bytes.LastIndexByte(data, '\n')]
	}
	return data, err
}

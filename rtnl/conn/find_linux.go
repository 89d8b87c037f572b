package conn

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Namespaces returns each network namespace that a process, a thread of one, or a bind mount
// keeps alive, once, in the order of their inodes: the calling thread's first. (A socket or
// another open file keeps one alive too, but no path leads to it.)
//
// Unseen is the number of processes whose namespace may not be seen, and is none of these: it
// takes CAP_SYS_PTRACE for those of other users. Theirs may be missing.
func Namespaces() (found []Found, unseen int, err error) {
	own, err := Namespace("").ID()
	if err != nil {
		return nil, 0, err
	}
	f := finder{proc: procFolder, paths: map[uint64]string{own: ""}}
	if err := f.find(); err != nil {
		return nil, 0, &ReadError{Op: "find network namespaces", Err: err, Remedy: procRemedy}
	}
	for id, path := range f.paths {
		found = append(found, Found{Namespace(path), id})
	}
	foundLast.set(f.paths)
	slices.SortFunc(found, func(a, b Found) int {
		return cmp.Or(-cmp.Compare(bit(a.ID == own), bit(b.ID == own)), cmp.Compare(a.ID, b.ID))
	})
	return found, f.unseen, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// openInode opens a file that stands for the namespace with an inode.
func openInode(inode uint64) (*os.File, error) {
	f := finder{proc: procFolder, paths: map[uint64]string{}, wanted: inode}
	if own, err := Namespace("").ID(); err == nil && own == inode {
		f.add(inode, ownNamespace)
	} else if path := foundLast.get(inode); path != "" {
		f.add(inode, path)
	}
	// Twice, as what is mounted nowhere by now was perhaps unmounted in between.
	for try := 0; f.file == nil && (try == 0 || try == 1 && f.hidden); try++ {
		f.unseen, f.hidden = 0, false
		if err := f.find(); err != nil {
			return nil, err
		}
	}
	switch {
	case f.file != nil:
		foundLast.add(inode, f.paths[inode])
		return f.file, nil
	case f.unseen > 0:
		return nil, fmt.Errorf("no file leads to it that may be seen: %w", unix.EACCES)
	case f.hidden:
		return nil, errHidden
	}
	return nil, ErrNoNamespace
}

// foundLast remembers where namespaces were found, for joins that ask for them again and again: to
// look through all processes takes milliseconds. Who opens such a file looks whether it is still
// the one that is wanted.
var foundLast foundPaths

type foundPaths struct {
	mu    sync.Mutex
	paths map[uint64]string // by inode
}

const maxFoundPaths = 10_000

func (p *foundPaths) set(paths map[uint64]string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paths = paths
}

func (p *foundPaths) get(inode uint64) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paths[inode]
}

func (p *foundPaths) add(inode uint64, path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paths == nil || len(p.paths) >= maxFoundPaths {
		p.paths = map[uint64]string{}
	}
	p.paths[inode] = path
}

const (
	procFolder = "/proc"
	procRemedy = "check that /proc is mounted"
)

// A finder looks for namespaces.
type finder struct {
	proc   string            // procFolder
	paths  map[uint64]string // by inode
	mounts map[string]bool   // what was looked through: see lookThrough
	tasks  map[uint64]string // one that is in it, by inode
	closed closedTasks
	unseen int

	wanted uint64   // 0: all are
	file   *os.File // open, once the one was found that is wanted
	hidden bool     // it is mounted where no path leads to it
}

// firstProcess is there as long as its PID namespace is.
const firstProcess = "1"

// find looks through all processes.
func (f *finder) find() error {
	folder, err := os.Open(f.proc)
	if err != nil {
		return err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return err
	}
	f.mounts, f.tasks, f.closed = map[string]bool{}, map[uint64]string{}, closedTasks{}
	self := filepath.Join(f.proc, "thread-self")
	f.lookThrough(self, "") // whose paths need no root of a process
	if !slices.Contains(names, firstProcess) {
		f.unseen++ // hidepid: nobody knows how many others there are
	}
	for _, pid := range names {
		if _, err := strconv.Atoi(pid); err == nil && f.file == nil {
			f.process(filepath.Join(f.proc, pid))
		}
	}
	f.settle()
	return nil
}

// process looks at the threads of a process, and at what is mounted where it is.
func (f *finder) process(dir string) {
	threads, err := os.ReadDir(dir + "/task")
	if err != nil {
		f.refused(err)
		return
	}
	for _, t := range threads {
		// One that has ended says nothing of the others, even if it is the first.
		if err := f.task(filepath.Join(dir, "task", t.Name())); errors.Is(err, fs.ErrPermission) {
			f.refused(err)
			return
		}
	}
}

// refused notes what may not be seen. What has gone is none of it.
func (f *finder) refused(err error) {
	if errors.Is(err, fs.ErrPermission) {
		f.unseen++
	}
}

func (f *finder) task(dir string) error {
	name, err := os.Readlink(dir + "/ns/net")
	if errors.Is(err, fs.ErrPermission) {
		return f.closed.add(dir)
	}
	if err != nil {
		return err
	}
	if id, ok := Namespace(name).inode(); ok {
		if f.tasks[id] == "" {
			f.tasks[id] = dir
		}
		f.add(id, dir+"/ns/net")
	}
	return f.lookThrough(dir, dir+"/root")
}

// add notes a namespace. If it is the one that is wanted the file is opened at once, and is
// looked at again, because the path may stand for another one by now.
func (f *finder) add(id uint64, path string) {
	if _, known := f.paths[id]; known || f.wanted != 0 && (id != f.wanted || f.file != nil) {
		return
	}
	if f.wanted == 0 {
		f.paths[id] = path
		return
	}
	file, err := Namespace(path).open()
	if err != nil {
		f.refused(err)
		return
	}
	var st unix.Stat_t
	if unix.Fstat(int(file.Fd()), &st) != nil || st.Ino != id {
		file.Close()
		return
	}
	f.file, f.paths[id] = file, path
}

// lookThrough looks for namespaces in the mounts that a task sees, whose paths are below root.
// Of a mount namespace it sees those below its own root (show_mountinfo), so that one after a
// chroot sees others.
func (f *finder) lookThrough(task, root string) error {
	mounts, err := os.Readlink(task + "/ns/mnt")
	if err != nil {
		return err
	}
	top, err := os.Readlink(task + "/root")
	if err != nil {
		return err
	}
	if mounts += " " + top; f.mounts[mounts] {
		return nil
	}
	text, err := os.ReadFile(task + "/mountinfo")
	if err != nil {
		return err
	}
	f.mounts[mounts] = true
	for id, path := range mountedIn(string(text)) {
		f.add(id, root+path)
		f.hidden = f.hidden || id == f.wanted && f.file == nil
	}
	return nil
}

// mountedIn yields the namespaces that are mounted, and where.
func mountedIn(mountinfo string) iter.Seq2[uint64, string] {
	return func(yield func(uint64, string) bool) {
		for line := range strings.Lines(mountinfo) {
			// ID PARENT MAJOR:MINOR ROOT MOUNTPOINT ...: of a namespace the root is its name.
			fields := strings.Split(line, " ") // any other blank may be part of a name
			if len(fields) < 5 {
				continue
			}
			if id, ok := Namespace(fields[3]).inode(); ok && !yield(id, unescape(fields[4])) {
				return
			}
		}
	}
}

// unescape undoes how the kernel writes blanks and backslashes in a path (seq_path): \040.
func unescape(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] == '\\' && i+3 < len(path) {
			if n, err := strconv.ParseUint(path[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

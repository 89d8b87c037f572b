package conn

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Of a process whose files in /proc/PID/ns may not be read (it has a capability that this one
// lacks, or another user) two others may be: net/dev, which is one file for all processes of
// a network namespace, and mountinfo. So that such a process is in a namespace that is known
// from another one is seen, and only what is in none that is known may be missing.

// closedTasks are tasks whose namespaces may not be read.
type closedTasks struct {
	in     map[uint64]map[string]bool // their processes, by the inode of net/dev
	mounts map[uint64]bool            // namespaces that they see mounted
}

// add notes a task. The error is that it has gone, or that nothing of it may be read.
func (c *closedTasks) add(task string) error {
	dev, err := inodeOfDev(task)
	if err == nil {
		err = c.addMounts(task)
	}
	if err != nil {
		if _, gone := os.Lstat(task); errors.Is(gone, fs.ErrNotExist) {
			return gone
		}
		return fs.ErrPermission
	}
	if c.in == nil {
		c.in = map[uint64]map[string]bool{}
	}
	if c.in[dev] == nil {
		c.in[dev] = map[string]bool{}
	}
	c.in[dev][filepath.Dir(filepath.Dir(task))] = true
	return nil
}

func (c *closedTasks) addMounts(task string) error {
	text, err := os.ReadFile(task + "/mountinfo")
	if err != nil {
		return err
	}
	for id := range mountedIn(string(text)) {
		if c.mounts == nil {
			c.mounts = map[uint64]bool{}
		}
		c.mounts[id] = true
	}
	return nil
}

// inodeOfDev returns the inode of the file net/dev of a task, of which each network namespace
// has one (proc_create_net, proc_tgid_net_lookup).
func inodeOfDev(task string) (uint64, error) {
	var st unix.Stat_t
	err := unix.Stat(task+"/net/dev", &st)
	return st.Ino, err
}

// settle counts what such tasks say of namespaces that are not known.
func (f *finder) settle() {
	if len(f.closed.in) == 0 {
		return
	}
	known := map[uint64]bool{}
	note := func(task string) error {
		dev, err := inodeOfDev(task)
		if err == nil {
			known[dev] = true
		}
		return err
	}
	const self = "/proc/thread-self"
	note(self)
	for _, task := range f.tasks {
		note(task)
	}
	for id, path := range f.paths {
		if f.tasks[id] == "" && path != "" { // it is mounted
			Namespace(path).Do(func() error { return note(self) })
		}
	}
	for dev, processes := range f.closed.in {
		if !known[dev] {
			f.unseen += len(processes)
		}
	}
	for id := range f.closed.mounts {
		if _, ok := f.paths[id]; !ok && (f.wanted == 0 || f.wanted == id) {
			f.unseen++ // for whom it is mounted
		}
	}
}

package conn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"

	"kernelroutes/internal/nstest"
)

// TestClosedTasks: of a process whose namespaces may not be read it is known whether it is in one
// that is known. The parent of the tests is such a process: it is in another user namespace.
func TestClosedTasks(t *testing.T) {
	parent := fmt.Sprintf("/proc/%d/task/%[1]d", os.Getppid())
	if _, err := os.Readlink(parent + "/ns/net"); !errors.Is(err, fs.ErrPermission) {
		t.Fatalf("the namespace of the parent can be read: %v", err)
	}
	nstest.New(t)
	own, err := inodeOfDev("/proc/thread-self")
	if err != nil {
		t.Fatal(err)
	}
	f := finder{proc: procFolder, paths: map[uint64]string{inode(t): ""}}
	if err := f.task(parent); err != nil || len(f.closed.in) != 1 {
		t.Fatalf("%v, %v", f.closed, err)
	}
	f.closed.mounts = nil
	if f.settle(); f.unseen != 1 { // nobody knows its namespace
		t.Errorf("%d unseen", f.unseen)
	}
	// One that is in the own namespace, and one that is where another task is.
	elsewhere, err := inodeOfDev(parent)
	if err != nil || elsewhere == own {
		t.Fatal(elsewhere, err)
	}
	f = finder{proc: procFolder, paths: f.paths, tasks: map[uint64]string{1: parent}}
	f.closed.in = map[uint64]map[string]bool{own: {"a": true}, elsewhere: {"b": true}}
	if f.settle(); f.unseen != 0 {
		t.Errorf("%d unseen", f.unseen)
	}
	f.closed.in[12345] = map[string]bool{"c": true, "d": true}
	f.closed.mounts = map[uint64]bool{inode(t): true, 99: true}
	if f.settle(); f.unseen != 3 { // two processes, and who sees 99 mounted
		t.Errorf("%d unseen", f.unseen)
	}
	if err := f.closed.add("/proc/self/task/0"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a task that has gone: %v", err)
	}
	if err := f.closed.add(t.TempDir()); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("a task of which nothing can be read: %v", err)
	}
}

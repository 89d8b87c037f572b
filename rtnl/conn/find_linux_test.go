package conn

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// inode returns that of the calling thread's namespace.
func inode(t testing.TB) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &st); err != nil {
		t.Fatal(err)
	}
	return st.Ino
}

// TestFindInFakeProc looks through a folder that is like /proc: of processes with threads in
// other namespaces, of mounts with odd names, of what may not be seen, and of what has gone.
func TestFindInFakeProc(t *testing.T) {
	proc := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(proc, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(path, to string) {
		t.Helper()
		path = filepath.Join(proc, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.Symlink(to, path)); err != nil {
			t.Fatal(err)
		}
	}
	task := func(pid, tid, net, mnt string) {
		link(filepath.Join(pid, "task", tid, "ns/net"), net)
		link(filepath.Join(pid, "task", tid, "ns/mnt"), mnt)
		link(filepath.Join(pid, "task", tid, "root"), "/")
	}
	task("1", "1", "net:[10]", "mnt:[1]")
	task("1", "7", "net:[11]", "mnt:[1]") // a thread of its own
	task("20", "20", "net:[14]", "mnt:[2]")
	if err := os.MkdirAll(filepath.Join(proc, "50/task/50"), 0o700); err != nil { // has ended, another thread has not
		t.Fatal(err)
	}
	task("50", "51", "net:[15]", "mnt:[1]")
	link("60/task/60/root", "/jail") // sees other mounts than process 1
	link("60/task/60/ns/net", "net:[18]")
	link("60/task/60/ns/mnt", "mnt:[1]")
	write("60/task/60/mountinfo", "30 22 0:4 net:[16] /a\u00a0\rb rw shared:1 - nsfs nsfs rw\n"+
		"31 22 0:5 / / rw - overlay o "+strings.Repeat("lowerdir+=/a", 10_000)+"\n"+
		"30 22 0:4 net:[17] /c rw shared:1 - nsfs nsfs rw\n")
	write("1/task/1/mountinfo", "22 1 0:20 / / rw - ext4 /dev/sda rw\n"+
		`30 22 0:4 net:[12] /run/netns/with\040blank\134 rw shared:1 - nsfs nsfs rw`+"\n"+
		"31 22 0:4 mnt:[99] /run/mnt rw - nsfs nsfs rw\nshort\n")
	write("20/task/20/mountinfo", "30 22 0:4 net:[13] /ns rw - nsfs nsfs rw\n"+
		"31 22 0:4 net:[14] /known rw - nsfs nsfs rw\n")
	if err := os.MkdirAll(filepath.Join(proc, "30/task/30"), 0o700); err != nil { // a zombie
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(proc, "40"), 0o700); err != nil { // it ends
		t.Fatal(err)
	}
	write("self/task/1/none", "") // no number
	f := finder{proc: proc, paths: map[uint64]string{}}
	if err := f.find(); err != nil {
		t.Fatal(err)
	}
	want := map[uint64]string{
		10: proc + "/1/task/1/ns/net", 11: proc + "/1/task/7/ns/net",
		12: proc + `/1/task/1/root/run/netns/with blank\`, 13: proc + "/20/task/20/root/ns",
		14: proc + "/20/task/20/ns/net", 15: proc + "/50/task/51/ns/net",
		16: proc + "/60/task/60/root/a\u00a0\rb", 17: proc + "/60/task/60/root/c", 18: proc + "/60/task/60/ns/net",
	}
	if fmt.Sprint(f.paths) != fmt.Sprint(want) || f.unseen != 0 {
		t.Errorf("found %v, %d unseen", f.paths, f.unseen)
	}
	if err := os.RemoveAll(filepath.Join(proc, "1")); err != nil { // as with hidepid=invisible
		t.Fatal(err)
	}
	hidden := finder{proc: proc, paths: map[uint64]string{}}
	if err := hidden.find(); err != nil || hidden.unseen != 1 {
		t.Errorf("%d unseen, %v", hidden.unseen, err)
	}
	f.refused(&os.PathError{Err: syscall.EACCES})
	f.refused(&os.PathError{Err: syscall.ESRCH})
	if f.unseen != 1 {
		t.Errorf("%d unseen", f.unseen)
	}
}

// TestNamespaces finds those of a thread and of a mount, besides its own, each once.
func TestNamespaces(t *testing.T) {
	nstest.New(t)
	own := inode(t)
	path := filepath.Join(t.TempDir(), "with blank")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var mounted uint64
	t.Run("mounted", func(t *testing.T) {
		nstest.New(t)
		mounted = inode(t)
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	})
	ids, done := make(chan uint64), make(chan bool)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
		ids <- inode(t)
		<-done
	}()
	thread := <-ids
	find := func() (ids []uint64) {
		found, _, err := Namespaces()
		if err != nil {
			t.Fatal(err)
		}
		if found[0] != (Found{"", own}) {
			t.Errorf("the first is %v, not its own %d", found[0], own)
		}
		for _, f := range found {
			id, err := f.Namespace.ID()
			if gone := errors.Is(err, ErrNoNamespace); !gone && (err != nil || id != f.ID) { // a thread that ended
				t.Errorf("%v: %d, %v", f, id, err)
			}
			ids = append(ids, f.ID)
		}
		if slices.Sort(ids); len(slices.Compact(slices.Clone(ids))) != len(ids) {
			t.Errorf("some came twice: %d", ids)
		}
		return ids
	}
	there := find()
	for _, id := range []uint64{own, mounted, thread} {
		if !slices.Contains(there, id) {
			t.Errorf("%d is missing in %d", id, there)
		}
		var entered uint64
		if err := NamespaceOf(id).Do(func() error { entered = inode(t); return nil }); err != nil || entered != id {
			t.Errorf("%v: %d, %v", NamespaceOf(id), entered, err)
		}
	}
	if id, err := Namespace("").ID(); err != nil || id != own {
		t.Errorf("its own is %d, %v", id, err)
	}
	close(done)
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	if there = find(); slices.Contains(there, mounted) {
		t.Errorf("%d, which was mounted, is in %d", mounted, there)
	}
	err := NamespaceOf(mounted).Do(func() error { t.Error("there is no such namespace"); return nil })
	var read *ReadError // ErrPermission where the tests' parents may not be seen
	if !errors.As(err, &read) || read.Kind != ErrNoNamespace && read.Kind != ErrPermission {
		t.Error(err)
	}
}

// TestNamespacesSeen finds no less and no more than there is, where all processes can be seen:
// in a PID namespace of its own.
func TestNamespacesSeen(t *testing.T) {
	if !nstest.SeesAllProcesses(t) {
		return
	}
	nstest.New(t)
	sleeping := exec.Command("sleep", "60")
	sleeping.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := sleeping.Start(); err != nil {
		t.Fatal(err)
	}
	check := func(others string) {
		t.Helper()
		found, unseen, err := Namespaces()
		var got []string
		for _, f := range found {
			got = append(got, string(NamespaceOf(f.ID)))
		}
		var want []string
		for _, pattern := range []string{"/proc/self/task/*/ns/net", others} {
			links, _ := filepath.Glob(pattern)
			for _, link := range links {
				if name, err := os.Readlink(link); err == nil && !slices.Contains(want, name) {
					want = append(want, name)
				}
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || unseen != 0 || !slices.Equal(got, want) {
			t.Errorf("found %q, want %q, %d unseen, %v", got, want, unseen, err)
		}
	}
	check(fmt.Sprintf("/proc/%d/ns/net", sleeping.Process.Pid))
	sleeping.Process.Kill()
	sleeping.Wait()
	check("")
	if err := NamespaceOf(1).Do(func() error { return nil }); !errors.Is(err, ErrNoNamespace) {
		t.Error(err)
	}
}

// TestNoProc: without /proc it is not known which namespace one is in.
func TestNoProc(t *testing.T) {
	done := make(chan bool)
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends
		if err := errors.Join(unix.Unshare(unix.CLONE_FS|unix.CLONE_NEWNS),
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("none", "/proc", "tmpfs", 0, "")); err != nil {
			t.Error(err)
			return
		}
		_, err := Namespace("").ID()
		_, _, all := Namespaces()
		for _, err := range []error{err, all} {
			if err == nil || err.Error() != "find the network namespace of this process: /proc/thread-self/ns/net: "+
				"no such file or directory; check that /proc is mounted" {
				t.Error(err)
			}
		}
	}()
	<-done
}

// TestFoundLast: a namespace that was found is looked for where it was, and if that is another one
// by now everywhere.
func TestFoundLast(t *testing.T) {
	nstest.New(t)
	dir := t.TempDir()
	inodes := map[string]uint64{}
	path := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mount := func(name string) {
		t.Run(name, func(t *testing.T) {
			nstest.New(t)
			inodes[name] = inode(t)
			if err := unix.Mount(ownNamespace, path(name), "", unix.MS_BIND, ""); err != nil {
				t.Fatal(err)
			}
		})
	}
	mount("a")
	mount("b")
	t.Cleanup(func() {
		for _, name := range []string{"a", "b", "c"} {
			unix.Unmount(path(name), unix.MNT_DETACH)
		}
	})
	entered := func(name string) {
		t.Helper()
		want, in := inodes[name], uint64(0)
		if err := NamespaceOf(want).Do(func() error { in = inode(t); return nil }); err != nil || in != want {
			t.Errorf("%s is %d, and %d was entered: %v", name, want, in, err)
		}
	}
	foundLast.set(map[uint64]string{inodes["a"]: path("a"), inodes["b"]: path("a")}) // the second is wrong
	entered("a")
	entered("b")
	if got := foundLast.get(inodes["b"]); got != path("b") {
		t.Errorf("b was found at %q", got)
	}
	if err := errors.Join(unix.Mount(path("a"), path("c"), "", unix.MS_BIND, ""),
		unix.Unmount(path("a"), unix.MNT_DETACH), os.Remove(path("a")), unix.Mkfifo(path("a"), 0o600)); err != nil {
		t.Fatal(err)
	}
	entered("a")
	foundLast.set(map[uint64]string{inodes["a"]: path("c")})
	f := finder{proc: t.TempDir(), paths: map[uint64]string{}, wanted: inodes["a"]} // where there is nothing
	if f.add(inodes["a"], foundLast.get(inodes["a"])); f.file == nil {
		t.Error("it is not found where it was")
	} else {
		f.file.Close()
	}
	// One that is there, but where no path leads.
	if err := unix.Mount(path("b"), path("c"), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	err := NamespaceOf(inodes["a"]).Do(func() error { t.Error("another one was entered"); return nil })
	if !errors.Is(err, ErrPermission) {
		t.Error(err)
	}
	// Where the tests' parents may not be seen, it may be elsewhere too.
	if said := err.Error(); strings.Contains(said, "may be seen") == strings.Contains(said, "hides it; unmount what") {
		t.Error(err)
	}
	if err := unix.Unmount(path("c"), unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	entered("a")
}

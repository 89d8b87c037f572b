package iproute2

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// oddFilesUsr is a folder that names tables 1, 2 and 3, as that below /usr does.
func oddFilesUsr(t *testing.T) string {
	usr := t.TempDir()
	writeNames(t, usr, map[string]string{"rt_tables": "1 usr\n", "rt_tables.d/a.conf": "2 usr.d\n",
		"rt_tables.d/b.conf": "3 usr.d\n"})
	return usr
}

// TestNamesOddFiles puts things in place of files and folders that cannot be
// read or would block.
func TestNamesOddFiles(t *testing.T) {
	usr := oddFilesUsr(t)
	dangling := func(path string) error { return os.Symlink("nowhere", path) }
	fifo := func(path string) error { return syscall.Mkfifo(path, 0o644) }
	dir := func(path string) error { return os.Mkdir(path, 0o755) }
	link := func(to string) func(string) error {
		return func(path string) error { return os.Symlink(to, path) }
	}
	for _, c := range []struct {
		name, path string
		make       func(path string) error
		want       string // tables 1, 2 and 3
	}{
		{"FIFO for file", "rt_tables", fifo, "1 usr.d usr.d"},
		{"folder for file", "rt_tables", dir, "1 usr.d usr.d"},
		{"dangling link for file", "rt_tables", dangling, "usr usr.d usr.d"}, // as if it did not exist
		{"looping link for file", "rt_tables", link("rt_tables"), "1 usr.d usr.d"},
		{"device for file", "rt_tables", link("/dev/zero"), "1 usr.d usr.d"},
		{"file with a read error", "rt_tables", link("/proc/self/mem"), "1 usr.d usr.d"},
		{"FIFO for folder", "rt_tables.d", fifo, "usr usr.d usr.d"},
		{"file for folder", "rt_tables.d", func(path string) error { return os.WriteFile(path, nil, 0o644) },
			"usr usr.d usr.d"},
		{"FIFO in folder", "rt_tables.d/a.conf", fifo, "usr 2 usr.d"},
		{"folder in folder", "rt_tables.d/a.conf", dir, "usr 2 usr.d"},
		{"dangling link in folder", "rt_tables.d/a.conf", dangling, "usr 2 usr.d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			etc := t.TempDir()
			path := filepath.Join(etc, c.path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			n := readNames(etc, usr)
			if got := strings.Join([]string{n.Table(1), n.Table(2), n.Table(3)}, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// TestNamesUnreadable: what cannot be read, or not wholly, is left out.
func TestNamesUnreadable(t *testing.T) {
	t.Run("not permitted", func(t *testing.T) {
		etc, usr := t.TempDir(), oddFilesUsr(t)
		writeNames(t, etc, map[string]string{"rt_tables": "1 etc\n", "rt_tables.d/c.conf": "3 etc.d\n"})
		for _, name := range []string{"rt_tables", "rt_tables.d"} {
			if err := os.Chmod(filepath.Join(etc, name), 0); err != nil {
				t.Fatal(err)
			}
		}
		defer os.Chmod(filepath.Join(etc, "rt_tables.d"), 0o755)
		want := "1 usr.d usr.d"
		if os.Geteuid() == 0 {
			want = "etc usr.d etc.d" // root may read anything
		}
		n := readNames(etc, usr)
		if got := strings.Join([]string{n.Table(1), n.Table(2), n.Table(3)}, " "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("cannot be opened", func(t *testing.T) {
		// A removed file and folder, as if removed between stat and open.
		etc := t.TempDir()
		if _, err := readRegular(filepath.Join(etc, "none")); err == nil {
			t.Error("a missing file was read")
		}
		if err := syscall.Mkfifo(filepath.Join(etc, "fifo"), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := readRegular(filepath.Join(etc, "fifo")); err == nil {
			t.Error("a FIFO was read")
		}
	})
	t.Run("huge file", func(t *testing.T) {
		etc := t.TempDir()
		line := "1 first\n" + strings.Repeat("#", maxNameFile-8-3) + "\n"
		writeNames(t, etc, map[string]string{
			"rt_tables": line + "2 second\n",                     // the limit cuts this line
			"rt_protos": strings.Repeat("5 five ", maxNameFile),  // one line
			"rt_scopes": line[:len(line)-9] + "\n5 five\n6 six"}) // the limit exactly
		n := readNames(etc)
		if got := strings.Join([]string{n.Table(1), n.Table(2), n.Protocol(5), n.Scope(5), n.Scope(6)},
			" "); got != "first 2 5 five 6" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("huge folder", func(t *testing.T) {
		etc := t.TempDir()
		for i := range maxNameFiles + 10 {
			writeNames(t, etc, map[string]string{fmt.Sprintf("rt_tables.d/%d.conf", i): fmt.Sprintf("%d t\n", 1000+i)})
		}
		if n := readNames(etc); len(n.tables.high) != maxNameFiles {
			t.Errorf("%d names", len(n.tables.high))
		}
	})
}

// TestNamesCache changes files under a cache and looks whether it notices.
func TestNamesCache(t *testing.T) {
	root := t.TempDir()
	etc, usr := filepath.Join(root, "etc"), filepath.Join(root, "usr")
	c := &namesCache{etc: etc, usr: []string{usr, filepath.Join(root, "usr2")}}
	write := func(folder, name, content string) func(*testing.T) {
		return func(t *testing.T) { writeNames(t, folder, map[string]string{name: content}) }
	}
	do := func(f func() error) func(*testing.T) {
		return func(t *testing.T) {
			if err := f(); err != nil {
				t.Fatal(err)
			}
		}
	}
	before := c.get()
	for _, step := range []struct {
		name   string
		change func(*testing.T)
		table  uint32
		want   string
	}{
		{"second usr folder appears", write(filepath.Join(root, "usr2"), "rt_tables", "1 usr2\n"), 1, "usr2"},
		{"first usr folder appears", write(usr, "rt_tables", "1 usr\n"), 1, "usr"},
		{"etc's file appears", write(etc, "rt_tables", "1 one\n"), 1, "one"},
		{"file grows", write(etc, "rt_tables", "1 one\n2 two\n"), 2, "two"},
		{"folder appears", do(func() error { return os.Mkdir(filepath.Join(etc, "rt_tables.d"), 0o755) }), 2, "two"},
		{"file in folder appears", write(etc, "rt_tables.d/a.conf", "2 zwei\n"), 2, "zwei"},
		{"file in folder changes", write(etc, "rt_tables.d/a.conf", "2 deux\n3 trois\n"), 3, "trois"},
		{"file in folder is renamed away", do(func() error {
			return os.Rename(filepath.Join(etc, "rt_tables.d/a.conf"), filepath.Join(etc, "rt_tables.d/a.bak"))
		}), 2, "two"},
		{"file is replaced by one of the same size and time", do(func() error {
			path := filepath.Join(etc, "rt_tables")
			info, err := os.Stat(path)
			if err != nil {
				return err
			}
			if err := os.WriteFile(path+".new", []byte("1 uno\n2 dos\n"), 0o644); err != nil {
				return err
			}
			if err := os.Chtimes(path+".new", info.ModTime(), info.ModTime()); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}), 2, "dos"},
		{"etc's file goes away", do(func() error { return os.Remove(filepath.Join(etc, "rt_tables")) }), 1, "usr"},
	} {
		step.change(t)
		after := c.get()
		if got := after.Table(step.table); got != step.want {
			t.Errorf("%s: table %d is %q, want %q", step.name, step.table, got, step.want)
		}
		if again := c.get(); again != after {
			t.Errorf("%s: other names without a change", step.name)
		}
	}
	if before.Table(1) != "1" {
		t.Error("names that were handed out have changed")
	}
}

// TestNamesIproute2 compares with what the installed ip prints: it gives ip
// name files of its own in a mount namespace, and it routes in a network
// namespace. The files keep clear of the points in which Names differs.
func TestNamesIproute2(t *testing.T) {
	t.Run("etc and usr", func(t *testing.T) { namesOfIproute2(t, true, true) })
	t.Run("etc", func(t *testing.T) { namesOfIproute2(t, true, false) })
	t.Run("usr", func(t *testing.T) { namesOfIproute2(t, false, true) })
	t.Run("none", func(t *testing.T) { namesOfIproute2(t, false, false) })
}

// namesOfIproute2 compares where there is a folder of iproute2 below /etc or not,
// and below /usr.
func namesOfIproute2(t *testing.T, inEtc, inUsr bool) {
	root, etc, usr := foldersOfNames(t)

	// An ip looks into one or two folders, of which the host may have others:
	// iproute2 before 6.5 knows /etc/iproute2 alone.
	ip := readIP(t)
	script := "set -e\nip link set lo up\nmount -t tmpfs none /etc\nmount -t tmpfs none /usr/share\n"
	looks := false
	folder := func(name, ours string, there bool) string {
		known := bytes.Contains(ip, []byte(name))
		looks = looks || known
		if !known || !there {
			return filepath.Join(root, "none")
		}
		script += fmt.Sprintf("mkdir -p %s\nmount --bind '%s' %s\n", name, ours, name)
		return ours
	}
	n := readNames(folder(hostNames.etc, etc, inEtc), folder(hostNames.usr[0], usr, inUsr),
		folder(hostNames.usr[1], usr, inUsr))
	if !looks {
		t.Fatal("the installed ip names no folder of iproute2's in its binary: is it iproute2's?")
	}

	var batch strings.Builder
	want := make(map[string]ipRoute)
	add := func(table uint32, protocol, scope uint8, realm uint32) {
		r := ipRoute{Dst: fmt.Sprintf("198.18.%d.%d", len(want)/200, len(want)%200+1),
			Table: n.Table(table), Protocol: n.Protocol(protocol), Scope: n.Scope(scope)}
		fmt.Fprintf(&batch, "route add %s dev lo table %d proto %d scope %d", r.Dst, table, protocol, scope)
		if realm > 0 {
			fmt.Fprintf(&batch, " realms %d", realm)
			r.Flow.To = n.Realm(realm)
		}
		batch.WriteByte('\n')
		want[r.Dst] = r
	}
	for id := uint32(990); id < 1030; id++ {
		add(id, 77, 253, id&7)
	}
	for _, id := range []uint32{1, 253, 254, 255, 256, 2147483646, 2147483647, 2147483648, 4294967291, 4294967295} {
		add(id, 4, 253, 0)
	}
	for p := range 256 {
		// The names compiled in have two that ip has not, and two that not every ip has.
		if !slices.Contains([]int{17, 84, 99}, p) {
			add(1000, uint8(p), 253, 0)
		}
	}
	for s := range 255 { // the kernel takes no route of scope nowhere
		add(1000, 186, uint8(s), 0)
	}

	got := ipShows(t, script, batch.String())
	shown := 0
	for _, g := range got {
		if w, ok := want[g.Dst]; ok {
			shown++
			if g != w {
				t.Errorf("ip prints %+v, we %+v", g, w)
			}
		}
	}
	if shown != len(want) {
		t.Errorf("ip shows %d of %d routes", shown, len(want))
	}
}

// readIP returns the ip that tests run, as it is on disk.
func readIP(t *testing.T) []byte {
	path, err := exec.LookPath("ip")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// foldersOfNames has names as administrators write them, in etc and in usr below root.
func foldersOfNames(t *testing.T) (root, etc, usr string) {
	root = t.TempDir()
	etc, usr = filepath.Join(root, "etc"), filepath.Join(root, "usr")
	const tables = "# names\n255 local\n253 deflt\n1001 blue\n0x3ea hexed\r\n1003\tlate # why\n1003 later\n" +
		"1004glued\n  1005 tail#x\n2147483646 high\n2147483648 none\n-5 minus\n1006 #\n1007 a\x00b\n0x3f0\n1009 " +
		"no-newline"
	writeNames(t, etc, map[string]string{
		"rt_tables":          tables,
		"rt_tables.d/b.conf": "1010 b\n1011 b\n1012 b\n", "rt_tables.d/a.conf": "1010 a\n1011 a\n",
		"rt_tables.d/c.conf": "1010 c\n", "rt_tables.d/.d.conf": "1013 d\n", "rt_tables.d/README": "1014 r\n",
		"rt_tables.d/stop.conf": "1015 before\njunk\n",
		"rt_protos":             "77 seventy\n0x4e hex\n", "rt_protos.d/x.conf": "79 dotd\n77 dotd\n",
		"rt_scopes": "100 near\n", "rt_realms": "0 cosmos\n5 five\n0x6 six\n"})
	writeNames(t, usr, map[string]string{
		"rt_tables": "1016 usr\n", "rt_tables.d/b.conf": "1017 usr\n", "rt_tables.d/u.conf": "1018 usr\n1012 usr\n",
		"rt_protos": tables, "rt_scopes": "100 usr\n"})
	return root, etc, usr
}

// ipRoute is what ip prints of a route, as JSON, in which there are names.
type ipRoute struct {
	Dst, Table, Protocol, Scope string
	Flow                        struct{ To string }
}

// ipShows runs script, then adds the routes of batch, in a namespace of its own, and
// returns what ip shows there.
func ipShows(t *testing.T, script, batch string) []ipRoute {
	cmd := exec.Command("sh", "-c", script+"ip -batch -\nip -d -j route show table all")
	cmd.Stdin = strings.NewReader(batch)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ip in a namespace: %v\n%.500s", err, &stderr)
	}
	var got []ipRoute
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

package rtnl

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// writeNames writes files into folder, which it makes as needed.
func writeNames(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

type nameEntry struct {
	ID   uint32
	Name string
}

func parsedNames(data []byte) []nameEntry {
	var all []nameEntry
	parseNames(data, func(id uint32, name string) { all = append(all, nameEntry{id, name}) })
	return all
}

func TestNamesBuiltin(t *testing.T) {
	n := BuiltinNames()
	for id, want := range map[uint32]string{0: "unspec", 252: "252", 253: "default", 254: "main", 255: "local",
		1: "1", 256: "256", math.MaxUint32: "4294967295"} {
		checkName(t, "table", n.Table(id), string(n.AppendTable([]byte("x"), id)), want)
	}
	for id, want := range map[uint8]string{0: "unspec", 2: "kernel", 5: "5", 16: "dhcp", 17: "mrouted", 84: "ovn",
		99: "openr", 186: "bgp", 255: "255"} {
		checkName(t, "protocol", n.Protocol(id), string(n.AppendProtocol([]byte("x"), id)), want)
	}
	for id, want := range map[uint8]string{0: "global", 1: "1", 200: "site", 253: "link", 254: "host", 255: "nowhere"} {
		checkName(t, "scope", n.Scope(id), string(n.AppendScope([]byte("x"), id)), want)
	}
	for id, want := range map[uint32]string{0: "unknown", 1: "1", 256: "256", 65535: "65535"} {
		checkName(t, "realm", n.Realm(id), string(n.AppendRealm([]byte("x"), id)), want)
	}
	if n := ReadNames(filepath.Join(t.TempDir(), "none")); !n.equal(BuiltinNames()) {
		t.Error("without files the names are not the ones compiled in")
	}
}

func checkName(t *testing.T, what, got, appended, want string) {
	t.Helper()
	if got != want || appended != "x"+want {
		t.Errorf("%s: %q, appended to x: %q; want %q", what, got, appended, want)
	}
}

// TestNamesLines pins the syntax. What looks odd was compared with sscanf.
func TestNamesLines(t *testing.T) {
	long := strings.Repeat("n", 600)
	for _, c := range []struct {
		file string
		want []nameEntry
	}{
		{"", nil},
		{"100 blue\n", []nameEntry{{100, "blue"}}},
		{"100 blue", []nameEntry{{100, "blue"}}}, // no newline at the end
		{"100 blue\r\n101\tred\r\n", []nameEntry{{100, "blue"}, {101, "red"}}},
		{" \t 100 \t blue \t # why\n", []nameEntry{{100, "blue"}}},
		{"100 blue any other words\n", []nameEntry{{100, "blue"}}},
		{"100 blue#why\n", []nameEntry{{100, "blue#why"}}},
		{"100 # why\n", []nameEntry{{100, "#"}}},
		{"#100 blue\n \t#101 red\n\n \t\n102 green\n", []nameEntry{{102, "green"}}},
		{"0x64 blue\n0xC8 red\n", []nameEntry{{100, "blue"}, {200, "red"}}},
		{"0X64 blue\n", []nameEntry{{0, "X64"}}},
		{"0x64\n", []nameEntry{{0, "x64"}}},
		{"0xyz\n", []nameEntry{{0, "xyz"}}},
		{"0x-1 blue\n0x+5 red\n", []nameEntry{{5, "red"}}},
		{"100blue\n0x64zoo\n", []nameEntry{{100, "blue"}, {100, "zoo"}}},
		{"+7 plus\n-7 minus\n-0 zero\n", []nameEntry{{7, "plus"}, {0, "zero"}}},
		{"007 bond\n", []nameEntry{{7, "bond"}}},
		{"\v100 blue\n", []nameEntry{{100, "blue"}}},
		{"2147483647 last\n2147483648 over\n4294967396 wraps\n", []nameEntry{{math.MaxInt32, "last"}}},
		{"0x7fffffff last\n0x80000000 over\n0x100000064 wraps\n", []nameEntry{{math.MaxInt32, "last"}}},
		{"99999999999999999999 over\n-99999999999999999999 under\n0xfffffffffffffffff over\n1 one\n", []nameEntry{{1, "one"}}},
		{"blue 100\n100\n+ 1\n--1 x\n1 one\n", []nameEntry{{1, "one"}}}, // malformed lines are skipped
		{"\xef\xbb\xbf100 blue\n101 red\n", []nameEntry{{101, "red"}}},  // byte order mark
		{"100 bl\x00ue\n\x00101 red\n102\x00 green\n103 white\n", []nameEntry{{100, "bl"}, {103, "white"}}},
		{"100 \xff\xfe\x85\n", []nameEntry{{100, "\xff\xfe\x85"}}},
		{"100 " + long + "\n101 red\n", []nameEntry{{100, long[:507]}, {101, "red"}}},
		{"100 blue " + long + " 102 green\n101 red\n", []nameEntry{{100, "blue"}, {101, "red"}}},
		{strings.Repeat(" ", 511) + "100 blue\n101 red\n", []nameEntry{{101, "red"}}},
	} {
		if got := parsedNames([]byte(c.file)); !slices.Equal(got, c.want) {
			t.Errorf("%.80q:\n got %v\nwant %v", c.file, got, c.want)
		}
	}
}

// TestNamesOrder has one case for each rule of which file and which line wins.
func TestNamesOrder(t *testing.T) {
	type files = map[string]string
	for _, c := range []struct {
		name     string
		etc, usr files
		other    files // a second usr folder
		want     func(n *Names) []string
		is       string
	}{
		{name: "a file over the compiled-in list",
			etc: files{"rt_tables": "254 head\n", "rt_protos": "4 fixed\n", "rt_scopes": "0 world\n", "rt_realms": "0 cosmos\n7 seven\n"},
			want: func(n *Names) []string {
				return []string{n.Table(254), n.Protocol(4), n.Scope(0), n.Realm(0), n.Realm(7)}
			},
			is: "head fixed world cosmos seven"},
		{name: "a later line over an earlier one",
			etc:  files{"rt_tables": "1 a\n1000 a\n1 b\n1000 b\n", "rt_protos": "5 a\n5 b\n"},
			want: func(n *Names) []string { return []string{n.Table(1), n.Table(1000), n.Protocol(5)} },
			is:   "b b b"},
		{name: "numbers that coincide in the low byte are apart",
			etc:  files{"rt_tables": "1 a\n257 b\n513 c\n"},
			want: func(n *Names) []string { return []string{n.Table(1), n.Table(257), n.Table(513), n.Table(769)} },
			is:   "a b c 769"},
		{name: "256 and over are out of range but for tables",
			etc: files{"rt_tables": "256 t\n", "rt_protos": "256 p\n", "rt_scopes": "256 s\n", "rt_realms": "256 r\n"},
			want: func(n *Names) []string {
				return []string{n.Table(256), n.Protocol(0), n.Scope(0), n.Realm(0), n.Realm(256)}
			},
			is: "t unspec global unknown 256"},
		{name: "etc's file instead of usr's, not beside it",
			etc: files{"rt_tables": "1 etc\n"},
			usr: files{"rt_tables": "1 usr\n2 usr\n", "rt_protos": "5 usr\n", "rt_scopes": "5 usr\n", "rt_realms": "5 usr\n"},
			want: func(n *Names) []string {
				return []string{n.Table(1), n.Table(2), n.Protocol(5), n.Scope(5), n.Realm(5)}
			},
			is: "etc 2 usr usr usr"},
		{name: "etc's file instead of usr's even if it is empty or malformed",
			etc:  files{"rt_tables": "", "rt_protos": "junk\n"},
			usr:  files{"rt_tables": "1 usr\n", "rt_protos": "5 usr\n"},
			want: func(n *Names) []string { return []string{n.Table(1), n.Protocol(5)} },
			is:   "1 5"},
		{name: "of the usr folders, each file of the first that has it",
			usr:   files{"rt_tables": "1 usr\n"},
			other: files{"rt_tables": "1 other\n2 other\n", "rt_protos": "5 other\n"},
			want:  func(n *Names) []string { return []string{n.Table(1), n.Table(2), n.Protocol(5)} },
			is:    "usr 2 other"},
		{name: "the second usr folder where the first does not exist",
			other: files{"rt_tables": "1 other\n", "rt_tables.d/a.conf": "2 other\n"},
			want:  func(n *Names) []string { return []string{n.Table(1), n.Table(2)} },
			is:    "other other"},
		{name: "files in .d over the file, etc's over usr's",
			etc:  files{"rt_tables": "1 file\n2 file\n3 file\n", "rt_tables.d/e.conf": "2 etc.d\n"},
			usr:  files{"rt_tables.d/u.conf": "2 usr.d\n3 usr.d\n", "rt_protos.d/u.conf": "5 usr.d\n"},
			want: func(n *Names) []string { return []string{n.Table(1), n.Table(2), n.Table(3), n.Protocol(5)} },
			is:   "file etc.d usr.d usr.d"},
		{name: "usr's .d file not read if etc has one of that name",
			etc:  files{"rt_protos.d/x.conf": "5 etc.d\n"},
			usr:  files{"rt_protos.d/x.conf": "5 usr.d\n6 usr.d\n", "rt_protos.d/y.conf": "7 usr.d\n"},
			want: func(n *Names) []string { return []string{n.Protocol(5), n.Protocol(6), n.Protocol(7)} },
			is:   "etc.d 6 usr.d"},
		{name: "only *.conf, no hidden files, of .d",
			etc: files{"rt_tables.d/README": "1 x\n", "rt_tables.d/.conf": "2 x\n", "rt_tables.d/.a.conf": "3 x\n",
				"rt_tables.d/a.conf~": "4 x\n", "rt_tables.d/b.CONF": "5 x\n", "rt_tables.d/a.conf": "6 x\n"},
			want: func(n *Names) []string {
				return []string{n.Table(1), n.Table(2), n.Table(3), n.Table(4), n.Table(5), n.Table(6)}
			},
			is: "1 2 3 4 5 x"},
		{name: ".d folders for scopes and realms too",
			etc:  files{"rt_scopes.d/a.conf": "5 x\n", "rt_realms.d/a.conf": "5 x\n"},
			want: func(n *Names) []string { return []string{n.Scope(5), n.Realm(5)} },
			is:   "x x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			etc, usr, other := filepath.Join(root, "etc"), filepath.Join(root, "usr"), filepath.Join(root, "other")
			writeNames(t, etc, c.etc)
			writeNames(t, usr, c.usr)
			writeNames(t, other, c.other)
			if got := strings.Join(c.want(ReadNames(etc, usr, other)), " "); got != c.is {
				t.Errorf("got  %s\nwant %s", got, c.is)
			}
		})
	}
}

// TestNamesFolderOrder: of two files in one folder the later in the folder's
// own order wins, as readdir gives it.
func TestNamesFolderOrder(t *testing.T) {
	etc := t.TempDir()
	for i := range 20 {
		writeNames(t, etc, map[string]string{fmt.Sprintf("rt_tables.d/%d.conf", i*7%20): fmt.Sprintf("1 t%d\n", i*7%20)})
	}
	f, err := os.Open(filepath.Join(etc, "rt_tables.d"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		t.Fatal(err)
	}
	want := "t" + strings.TrimSuffix(names[len(names)-1], ".conf")
	if got := ReadNames(etc).Table(1); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestNamesOddFiles puts things in place of files and folders that cannot be
// read or would block.
func TestNamesOddFiles(t *testing.T) {
	usr := t.TempDir()
	writeNames(t, usr, map[string]string{"rt_tables": "1 usr\n", "rt_tables.d/a.conf": "2 usr.d\n", "rt_tables.d/b.conf": "3 usr.d\n"})
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
		{"file for folder", "rt_tables.d", func(path string) error { return os.WriteFile(path, nil, 0o644) }, "usr usr.d usr.d"},
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
			n := ReadNames(etc, usr)
			if got := strings.Join([]string{n.Table(1), n.Table(2), n.Table(3)}, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}

	t.Run("not permitted", func(t *testing.T) {
		etc := t.TempDir()
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
		n := ReadNames(etc, usr)
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
		n := ReadNames(etc)
		if got := strings.Join([]string{n.Table(1), n.Table(2), n.Protocol(5), n.Scope(5), n.Scope(6)}, " "); got != "first 2 5 five 6" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("huge folder", func(t *testing.T) {
		etc := t.TempDir()
		for i := range maxNameFiles + 10 {
			writeNames(t, etc, map[string]string{fmt.Sprintf("rt_tables.d/%d.conf", i): fmt.Sprintf("%d t\n", 1000+i)})
		}
		if n := ReadNames(etc); len(n.tables.high) != maxNameFiles {
			t.Errorf("%d names", len(n.tables.high))
		}
	})
}

func TestNamesIDs(t *testing.T) {
	etc := t.TempDir()
	writeNames(t, etc, map[string]string{
		"rt_tables": "1000 blue\n7 blue\n70000 blue\n8 1001\n9 254\n300 300\n2000 old\n2000 new\n254 inet\n",
		"rt_protos": "5 main\n6 main\n7 200\n4 fixed\n",
		"rt_scopes": "5 near\n"})
	n := ReadNames(etc)
	for name, want := range map[string][]uint32{
		"main": {254}, "local": {255}, "junk": nil, "": nil,
		"blue": {7, 1000, 70000}, "1000": nil, "7": nil, // they have a name
		"10": {10}, "255": nil, "256": {256}, "4294967294": {4294967294}, "4294967295": {4294967295}, "4294967296": nil,
		"1001": {8, 1001}, "254": {9}, "300": {300},
		"new": {2000}, "old": {2000}, "NEW": {2000}, "inet": {254}, // one is shown, both are names
		"007": nil, "+10": nil, "-1": nil, " 10": nil, "0x0a": nil, "01002": nil, "1e3": nil, "1_000": nil,
	} {
		if got := n.Tables().IDs(name); !slices.Equal(got, want) {
			t.Errorf("table %q: %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string][]uint32{
		"main": {5, 6}, "200": {7, 200}, "static": {4}, "fixed": {4}, "4": nil, "77": {77}, "077": nil, "256": nil, "": nil} {
		if got := n.Protocols().IDs(name); !slices.Equal(got, want) {
			t.Errorf("protocol %q: %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string][]uint32{"near": {5}, "global": {0}, "0": nil, "1": {1}, "universe": nil} {
		if got := n.Scopes().IDs(name); !slices.Equal(got, want) {
			t.Errorf("scope %q: %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string][]uint32{"unknown": {0}, "0": nil, "65535": {65535}, "65536": nil} {
		if got := n.Realms().IDs(name); !slices.Equal(got, want) {
			t.Errorf("realm %q: %v, want %v", name, got, want)
		}
	}
	if n.Table(254) != "inet" || n.Table(2000) != "new" {
		t.Errorf("shown: %s, %s", n.Table(254), n.Table(2000))
	}
	for name, want := range map[string]bool{"main": true, "inet": true, "MAIN": false, "254": false, "old": false} {
		if got := n.Tables().Has(254, name); got != want {
			t.Errorf("254 has the name %q: %v", name, got)
		}
	}
	if !n.Tables().Has(77, "77") || n.Tables().Has(77, "077") || n.Tables().Has(77, "78") {
		t.Error("a number without a name is its own")
	}
}

func TestNamesAppendDoesNotAllocate(t *testing.T) {
	etc := t.TempDir()
	writeNames(t, etc, map[string]string{"rt_tables": "1000 blue\n"})
	n, b := ReadNames(etc), make([]byte, 0, 256)
	if got := testing.AllocsPerRun(100, func() {
		b = b[:0]
		for _, id := range []uint32{254, 77, 1000, 1001, math.MaxUint32} {
			b = n.AppendTable(b, id)
			b = n.AppendProtocol(b, uint8(id))
			b = n.AppendScope(b, uint8(id))
			b = n.AppendRealm(b, id)
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
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

// TestNamesCacheReads: files are read once, except while they are fresh or
// cannot be read.
func TestNamesCacheReads(t *testing.T) {
	etc := t.TempDir()
	writeNames(t, etc, map[string]string{"rt_tables": "1 one\n"})
	reads := func(c *namesCache) bool {
		n := c.get()
		was := &c.from.seen[0]
		if c.get() != n {
			t.Error("other names without a change")
		}
		return was != &c.from.seen[0]
	}
	if reads(&namesCache{etc: etc}) {
		t.Error("files are read again without a change")
	}
	fresh := &namesCache{etc: etc, settle: time.Hour}
	if !reads(fresh) {
		t.Error("files that changed just now are not read again")
	}
	// In place, the same size, and within one tick of most clocks.
	writeNames(t, etc, map[string]string{"rt_tables": "1 uno\n"})
	if got := fresh.get().Table(1); got != "uno" {
		t.Errorf("file rewritten in place: %s", got)
	}
	if err := os.Symlink("/proc/self/mem", filepath.Join(etc, "rt_protos")); err != nil {
		t.Fatal(err)
	}
	if !reads(&namesCache{etc: etc}) {
		t.Error("a file that could not be read is not tried again")
	}
}

func TestHostNames(t *testing.T) {
	n := HostNames()
	if got, want := n, ReadNames(hostNames.etc, hostNames.usr...); !got.equal(want) {
		t.Error("the host's names differ from a read of its files")
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if HostNames() != n {
					t.Error("other names without a change")
				}
			}
		})
	}
	wg.Wait()
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
	root := t.TempDir()
	etc, usr := filepath.Join(root, "etc"), filepath.Join(root, "usr")
	const tables = "# names\n255 local\n253 deflt\n1001 blue\n0x3ea hexed\r\n1003\tlate # why\n1003 later\n" +
		"1004glued\n  1005 tail#x\n2147483646 high\n2147483648 none\n-5 minus\n1006 #\n1007 a\x00b\n0x3f0\n1009 no-newline"
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
	n := ReadNames(folder(hostNames.etc, etc, inEtc), folder(hostNames.usr[0], usr, inUsr), folder(hostNames.usr[1], usr, inUsr))
	if !looks {
		t.Fatal("the installed ip names no folder of iproute2's in its binary: is it iproute2's?")
	}

	type route struct {
		Dst, Table, Protocol, Scope string
		Flow                        struct{ To string }
	}
	var batch strings.Builder
	want := make(map[string]route)
	add := func(table uint32, protocol, scope uint8, realm uint32) {
		r := route{Dst: fmt.Sprintf("198.18.%d.%d", len(want)/200, len(want)%200+1),
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
		// BuiltinNames has two that ip has not, and two that not every ip has.
		if !slices.Contains([]int{17, 84, 99}, p) {
			add(1000, uint8(p), 253, 0)
		}
	}
	for s := range 255 { // the kernel takes no route of scope nowhere
		add(1000, 186, uint8(s), 0)
	}

	cmd := exec.Command("sh", "-c", script+"ip -batch -\nip -d -j route show table all")
	cmd.Stdin = strings.NewReader(batch.String())
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
	var got []route
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
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

// FuzzNames feeds any bytes to the parser of name files. Every entry is in
// range and a word, lines do not depend on one another, and the entries, written
// one a line, parse to the same entries.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{
		"", "255\tlocal\n254\tmain\n", "#\n# reserved values\n#\n0x10 dhcp # why\n", "100blue\r\n0x64\n\n-1 x\n+2 y",
		"\xef\xbb\xbf1 bom\n", "1 a\x00b\n\x00", "99999999999999999999 a\n0xffffffff b\n256 c\n", "1 " + strings.Repeat("n", 600) + "\n2 b\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries := parsedNames(data)
		var apart []nameEntry
		for line := range bytes.Lines(data) {
			apart = append(apart, parsedNames(line)...)
		}
		if !reflect.DeepEqual(entries, apart) {
			t.Fatalf("%v, line by line %v", entries, apart)
		}
		var canonical []byte
		kept := entries[:0]
		for _, e := range entries {
			if e.ID > math.MaxInt32 || e.Name == "" || len(e.Name) > maxNameLine || strings.ContainsAny(e.Name, " \t\n\v\f\r\x00") {
				t.Fatalf("entry %d %q", e.ID, e.Name)
			}
			if line := fmt.Appendf(nil, "%d\t%s\n", e.ID, e.Name); len(line) <= maxNameLine {
				kept = append(kept, e)
				canonical = append(canonical, line...)
			}
		}
		if again := parsedNames(canonical); !slices.Equal(again, kept) {
			t.Fatalf("%v, written and parsed again %v", kept, again)
		}
	})
}

func BenchmarkNamesAppend(b *testing.B) {
	n, buf := HostNames(), make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = n.AppendTable(buf[:0], 254)
		buf = n.AppendProtocol(buf, 16)
		buf = n.AppendScope(buf, 253)
	}
}

func BenchmarkHostNames(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		HostNames()
	}
}

package iproute2

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// readNames reads the names from the given folders instead of the host's: etc stands for
// /etc/iproute2, and the first of usr that exists for /usr/share/iproute2.
func readNames(etc string, usr ...string) *Names {
	var r nameReader
	return r.read(etc, usr)
}

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
	n := builtin()
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
	if n := readNames(filepath.Join(t.TempDir(), "none")); !n.equal(builtin()) {
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
		{"99999999999999999999 over\n-99999999999999999999 under\n0xfffffffffffffffff over\n1 one\n",
			[]nameEntry{{1, "one"}}},
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

// files are what files of names hold, by their paths.
type files = map[string]string

// namesOrder has files of names, and the names that are then in force.
var namesOrder = []struct {
	name     string
	etc, usr files
	other    files // a second usr folder
	want     func(n *Names) []string
	is       string
}{
	{name: "a file over the compiled-in list",
		etc: files{"rt_tables": "254 head\n", "rt_protos": "4 fixed\n", "rt_scopes": "0 world\n",
			"rt_realms": "0 cosmos\n7 seven\n"},
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
		usr: files{"rt_tables": "1 usr\n2 usr\n", "rt_protos": "5 usr\n", "rt_scopes": "5 usr\n",
			"rt_realms": "5 usr\n"},
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
}

// TestNamesOrder has one case for each rule of which file and which line wins.
func TestNamesOrder(t *testing.T) {
	for _, c := range namesOrder {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			etc, usr, other := filepath.Join(root, "etc"), filepath.Join(root, "usr"), filepath.Join(root, "other")
			writeNames(t, etc, c.etc)
			writeNames(t, usr, c.usr)
			writeNames(t, other, c.other)
			if got := strings.Join(c.want(readNames(etc, usr, other)), " "); got != c.is {
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
		writeNames(t, etc, map[string]string{fmt.Sprintf("rt_tables.d/%d.conf", i*7%20): fmt.Sprintf("1 t%d\n",
			i*7%20)})
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
	if got := readNames(etc).Table(1); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestNamesIDs(t *testing.T) {
	etc := t.TempDir()
	writeNames(t, etc, map[string]string{
		"rt_tables": "1000 blue\n7 blue\n70000 blue\n8 1001\n9 254\n300 300\n2000 old\n2000 new\n254 inet\n",
		"rt_protos": "5 main\n6 main\n7 200\n4 fixed\n",
		"rt_scopes": "5 near\n"})
	n := readNames(etc)
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
		"main": {5, 6}, "200": {7, 200}, "static": {4}, "fixed": {4}, "4": nil, "77": {77}, "077": nil, "256": nil,
		"": nil} {
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
	n, b := readNames(etc), make([]byte, 0, 256)
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
	fresh := &namesCache{etc: etc, racyFor: time.Hour}
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
	if got, want := n, readNames(hostNames.etc, hostNames.usr...); !got.equal(want) {
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

// FuzzNames feeds any bytes to the parser of name files. Every entry is in
// range and a word, lines do not depend on one another, and the entries, written
// one a line, parse to the same entries.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{
		"", "255\tlocal\n254\tmain\n", "#\n# reserved values\n#\n0x10 dhcp # why\n", "100blue\r\n0x64\n\n-1 x\n+2 y",
		"\xef\xbb\xbf1 bom\n", "1 a\x00b\n\x00", "99999999999999999999 a\n0xffffffff b\n256 c\n",
		"1 " + strings.Repeat("n", 600) + "\n2 b\n",
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
			if e.ID > math.MaxInt32 || e.Name == "" || len(e.Name) > maxNameLine ||
				strings.ContainsAny(e.Name, " \t\n\v\f\r\x00") {
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

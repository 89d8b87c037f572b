package rtnl

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Names gives the numbers of tables, protocols, scopes and realms the names
// that iproute2 prints for them on this host. A Names never changes and is safe
// for concurrent use.
//
// The names compiled in ([BuiltinNames]) come first, then, each over the ones
// before it, those of a file rt_tables, rt_protos, rt_scopes or rt_realms (the
// one in /etc/iproute2 if it is there, whatever is in it, else the one in
// /usr/share/iproute2, else the one in /usr/lib/iproute2), then those of the
// files *.conf in the folders rt_tables.d and so on: /usr's first, those without
// a namesake in /etc's, then /etc's. Files of one folder are read in the folder's
// own order, as readdir gives it. A later line wins over an earlier one.
//
// A line is a number, decimal or 0x and hexadecimal, and a name; what follows
// is ignored. Protocols, scopes and realms have names up to 255, tables up to
// 2147483647.
//
// All of this is iproute2's lib/rt_names.c (as of 7.1), but for these points:
//   - iproute2 gives up a file at the first malformed line; here the line is
//     skipped.
//   - iproute2 takes what a line has beyond its 511th byte for another line;
//     here it is ignored.
//   - iproute2 lets a number that overflows wrap around; here the line is
//     skipped.
//   - iproute2 looks into its files only when it meets a protocol, scope or
//     realm without a compiled-in name, so that what it prints for one that has
//     both depends on what it printed before; here the file always wins.
//   - iproute2 is built for one of the two folders below /usr, and has no .d
//     folders for scopes and realms.
//   - Only regular files are read, and of each the lines that lie within the
//     first MiB; of a folder the first 1,024 entries are considered.
//
// A number that is given several names has all of them: the one that iproute2
// prints, that of the last line, is shown, and each of them means the number
// ([NameSet.IDs]), as for `ip route show table NAME`. A name reads as [AppendName]
// has it.
type Names struct {
	tables, protocols, scopes, realms NameSet
}

const (
	maxNameLine  = 511     // iproute2's buffer, less the NUL
	maxNameFile  = 1 << 20 // bytes
	maxNameFiles = 1024    // entries of a folder
)

// builtinNames is what iproute2 has compiled in or, for table unspec and the
// protocols ovn and openr, in its stock files (not every version's), and
// protocol mrouted of linux/rtnetlink.h, which it has no name for.
var builtinNames = struct{ tables, protocols, scopes, realms map[uint32]string }{
	tables: map[uint32]string{0: "unspec", 253: "default", 254: "main", 255: "local"},
	protocols: map[uint32]string{
		0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static",
		8: "gated", 9: "ra", 10: "mrt", 11: "zebra", 12: "bird", 13: "dnrouted", 14: "xorp",
		15: "ntk", 16: "dhcp", 17: "mrouted", 18: "keepalived", 42: "babel", 84: "ovn", 99: "openr",
		186: "bgp", 187: "isis", 188: "ospf", 189: "rip", 192: "eigrp",
	},
	scopes: map[uint32]string{0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"},
	realms: map[uint32]string{0: "unknown"},
}

// newNames returns the names compiled in, for others to be added.
func newNames() *Names {
	n := noNames()
	for set, names := range map[*NameSet]map[uint32]string{
		&n.tables: builtinNames.tables, &n.protocols: builtinNames.protocols,
		&n.scopes: builtinNames.scopes, &n.realms: builtinNames.realms,
	} {
		for id, name := range names {
			set.set(id, name)
		}
	}
	return n
}

// noNames returns a Names in which no number has a name yet.
func noNames() *Names {
	return &Names{
		tables: newNameSet(math.MaxUint32), protocols: newNameSet(math.MaxUint8),
		scopes: newNameSet(math.MaxUint8), realms: newNameSet(math.MaxUint16),
	}
}

// BuiltinNames returns the names compiled in, the same on every host.
var BuiltinNames = sync.OnceValue(newNames)

// ReadNames reads the names from the given folders instead of the host's: etc
// stands for /etc/iproute2, and the first of usr that exists for
// /usr/share/iproute2. What cannot be read names nothing.
func ReadNames(etc string, usr ...string) *Names {
	var r nameReader
	return r.read(etc, usr)
}

// hostNames does not take a file for settled until two seconds after a change:
// a second change within one tick of the file system's clock (2 s on the
// coarsest) shows in no time stamp.
var hostNames = namesCache{
	etc:    "/etc/iproute2",
	usr:    []string{"/usr/share/iproute2", "/usr/lib/iproute2"},
	settle: 2 * time.Second,
}

// HostNames returns the names that hold on this host now. It costs some stat
// calls and returns the same *Names as before where no file and no folder has
// changed, otherwise it reads them again. It is safe for concurrent use.
func HostNames() *Names { return hostNames.get() }

// Tables returns the names of routing tables (RTA_TABLE).
func (n *Names) Tables() *NameSet { return &n.tables }

// Protocols returns the names of what installs routes (RTPROT_*).
func (n *Names) Protocols() *NameSet { return &n.protocols }

// Scopes returns the names of scopes (RT_SCOPE_*).
func (n *Names) Scopes() *NameSet { return &n.scopes }

// Realms returns the names of realms (one half of RTA_FLOW).
func (n *Names) Realms() *NameSet { return &n.realms }

// Table returns a table's name, or its number in decimal if it has no name.
func (n *Names) Table(id uint32) string { return n.tables.Text(id) }

// Protocol returns the name or the number of a route's origin (RTPROT_*).
func (n *Names) Protocol(p uint8) string { return n.protocols.Text(uint32(p)) }

// Scope returns the name or the number of a scope (RT_SCOPE_*).
func (n *Names) Scope(s uint8) string { return n.scopes.Text(uint32(s)) }

// Realm returns the name or the number of a realm, one half of RTA_FLOW.
func (n *Names) Realm(r uint32) string { return n.realms.Text(r) }

// AppendTable appends Table(id) without allocating.
func (n *Names) AppendTable(b []byte, id uint32) []byte { return n.tables.Append(b, id) }

// AppendProtocol appends Protocol(p) without allocating.
func (n *Names) AppendProtocol(b []byte, p uint8) []byte { return n.protocols.Append(b, uint32(p)) }

// AppendScope appends Scope(s) without allocating.
func (n *Names) AppendScope(b []byte, s uint8) []byte { return n.scopes.Append(b, uint32(s)) }

// AppendRealm appends Realm(r) without allocating.
func (n *Names) AppendRealm(b []byte, r uint32) []byte { return n.realms.Append(b, r) }

func (n *Names) equal(o *Names) bool {
	return n.tables.equal(&o.tables) && n.protocols.equal(&o.protocols) && n.scopes.equal(&o.scopes) &&
		n.realms.equal(&o.realms)
}

// A NameSet is the names of one kind of numbers.
type NameSet struct {
	last  uint32                 // the highest number there can be
	low   [256]string            // the name that is shown; "" where there is none, here and in high
	high  map[uint32]string      // of 256 and over, which only tables have names for
	named map[string][]nameGiven // by name in lower case: all names that were given, shown or not
}

// A nameGiven is one line of a file, or a name compiled in.
type nameGiven struct {
	id   uint32
	name string
}

func newNameSet(last uint32) NameSet {
	return NameSet{last: last, high: map[uint32]string{}, named: map[string][]nameGiven{}}
}

// set gives a number a name as it is in a file, which is shown from then on.
func (s *NameSet) set(id uint32, name string) {
	if !plainName(name) {
		name = string(AppendName(nil, name))
	}
	s.give(id, name)
}

// give gives a number a name as it is shown.
func (s *NameSet) give(id uint32, name string) {
	switch {
	case id < 256:
		s.low[id] = name
	case s.last > math.MaxUint16: // tables
		s.high[id] = name
	default:
		return
	}
	folded := strings.ToLower(name)
	s.named[folded] = append(s.named[folded], nameGiven{id, name})
}

// Name returns the name that is shown for a number, "" if it has none.
func (s *NameSet) Name(id uint32) string {
	if id < 256 {
		return s.low[id]
	}
	return s.high[id]
}

// Text returns the name that is shown for a number, the number in decimal if it
// has none.
func (s *NameSet) Text(id uint32) string {
	if name := s.Name(id); name != "" {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}

// Append appends Text(id) without allocating.
func (s *NameSet) Append(b []byte, id uint32) []byte {
	if name := s.Name(id); name != "" {
		return append(b, name...)
	}
	return strconv.AppendUint(b, uint64(id), 10)
}

// IDs returns, in ascending order, every number that has the name, shown or not,
// without regard to case, and the number that it is the decimal form of if that
// has no name: nothing for "007" and for "254", which is main. Two numbers may
// have the same name.
func (s *NameSet) IDs(name string) []uint32 {
	var ids []uint32
	for _, g := range s.named[strings.ToLower(name)] {
		ids = append(ids, g.id)
	}
	if id, ok := s.unnamed(name); ok {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Has reports whether the name is one of the number's, or the number in decimal
// if it has no name. Case matters.
func (s *NameSet) Has(id uint32, name string) bool {
	if n, ok := s.unnamed(name); ok && n == id {
		return true
	}
	return slices.Contains(s.named[strings.ToLower(name)], nameGiven{id, name})
}

// unnamed reads the decimal form of a number that has no name.
func (s *NameSet) unnamed(text string) (uint32, bool) {
	n, err := strconv.ParseUint(text, 10, 32)
	id := uint32(n)
	return id, err == nil && id <= s.last && (len(text) == 1 || text[0] != '0') && s.Name(id) == ""
}

// All yields every name, shown or not, with its number, in no order.
func (s *NameSet) All() iter.Seq2[uint32, string] {
	return func(yield func(uint32, string) bool) {
		for _, given := range s.named {
			for _, g := range given {
				if !yield(g.id, g.name) {
					return
				}
			}
		}
	}
}

func (s *NameSet) equal(o *NameSet) bool {
	return s.low == o.low && maps.Equal(s.high, o.high) && bytes.Equal(s.appendText(nil), o.appendText(nil))
}

// parseNames calls set for each entry of a file, in the file's order. Lines
// that are no entry are skipped.
func parseNames(data []byte, set func(id uint32, name string)) {
	for line := range bytes.SplitSeq(data, []byte{'\n'}) {
		line = line[:min(len(line), maxNameLine)]
		line, _, _ = bytes.Cut(line, []byte{0}) // a string ends there in C
		if id, name, ok := parseNameLine(line); ok && id >= 0 && id <= math.MaxInt32 {
			set(uint32(id), string(name))
		}
	}
}

// parseNameLine tries the two forms of an entry in iproute2's order. So "0x1f"
// without a name is no malformed line: it names 0 "x1f".
func parseNameLine(line []byte) (id int64, name []byte, ok bool) {
	line = bytes.TrimLeft(line, " \t")
	if hex, found := bytes.CutPrefix(line, []byte("0x")); found {
		if id, name, ok = scanEntry(hex, 16, "0123456789abcdefABCDEF"); ok {
			return id, name, true
		}
	}
	return scanEntry(line, 10, "0123456789")
}

// scanEntry reads a number and a word as sscanf does: white space before the
// number and a sign are allowed, white space after the number is not needed.
// A number that overflows is returned as the nearest one that does not.
func scanEntry(s []byte, base int, digits string) (id int64, name []byte, ok bool) {
	const space = " \t\n\v\f\r"
	s = bytes.TrimLeft(s, space)
	unsigned := s
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		unsigned = s[1:]
	}
	rest := bytes.TrimLeft(unsigned, digits)
	if len(rest) == len(unsigned) {
		return 0, nil, false
	}
	// There are digits, so the only error is one of range.
	id, _ = strconv.ParseInt(string(s[:len(s)-len(rest)]), base, 64)
	name = bytes.TrimLeft(rest, space)
	if end := bytes.IndexAny(name, space); end >= 0 {
		name = name[:end]
	}
	return id, name, len(name) > 0
}

// A namesCache keeps the names until a file that they came from, or would have
// come from, changes.
type namesCache struct {
	etc    string
	usr    []string
	settle time.Duration // how long after a change a file is read again each time

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
	c.from = nameReader{settle: c.settle}
	if n := c.from.read(c.etc, c.usr); c.names == nil || !n.equal(c.names) {
		c.names = n
	}
	return c.names
}

// A nameReader reads files and folders and remembers which, the missing ones
// included.
type nameReader struct {
	settle    time.Duration
	seen      []fileStamp
	unsettled bool // what was read may not be what the stamps stand for
}

// A fileStamp tells one state of a path from another.
type fileStamp struct {
	path         string
	errno        syscall.Errno // of stat
	dev, ino     uint64
	mode         uint32
	size         int64
	mtime, ctime syscall.Timespec
}

func stampFile(path string) fileStamp {
	var st syscall.Stat_t
	for { // as os.Stat, which allocates 500 bytes for each file, in each query
		err := syscall.Stat(path, &st)
		if err == syscall.EINTR {
			continue
		}
		if errno, ok := err.(syscall.Errno); ok {
			return fileStamp{path: path, errno: errno}
		}
		break
	}
	return fileStamp{path, 0, uint64(st.Dev), st.Ino, st.Mode, st.Size, st.Mtim, st.Ctim}
}

func (s fileStamp) is(kind uint32) bool { return s.errno == 0 && s.mode&syscall.S_IFMT == kind }

// current reports whether another read would find the same.
func (r *nameReader) current() bool {
	if r.unsettled {
		return false
	}
	for _, s := range r.seen {
		if s != stampFile(s.path) {
			return false
		}
	}
	return true
}

func (r *nameReader) stat(path string) fileStamp {
	s := stampFile(path)
	r.seen = append(r.seen, s)
	if s.errno == 0 && time.Since(time.Unix(s.ctime.Unix())).Abs() < r.settle {
		r.unsettled = true
	}
	return s
}

func (r *nameReader) read(etc string, usr []string) *Names {
	n := newNames()
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
		if r.readFile(filepath.Join(dir, file), set).errno != syscall.ENOENT {
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
	if !r.stat(folder).is(syscall.S_IFDIR) {
		return nil
	}
	f, err := os.OpenFile(folder, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		r.unsettled = true
		return nil
	}
	defer f.Close()
	names, err := f.Readdirnames(maxNameFiles)
	r.unsettled = r.unsettled || err != nil && err != io.EOF
	return slices.DeleteFunc(names, func(name string) bool {
		return strings.HasPrefix(name, ".") || !strings.HasSuffix(name, ".conf")
	})
}

// readFile parses a regular file; of anything else it returns the stamp alone,
// without opening it, because that might block or set a device in motion. A
// failure that may pass makes r unsettled.
func (r *nameReader) readFile(path string, set func(uint32, string)) fileStamp {
	s := r.stat(path)
	if !s.is(syscall.S_IFREG) {
		return s
	}
	data, err := readRegular(path)
	if err != nil {
		r.unsettled = true
		return s
	}
	parseNames(data, set)
	return s
}

// readRegular reads at most maxNameFile bytes, and then whole lines only.
func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
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

package author

import (
	"encoding/binary"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/rtnl/wire"
)

// A process is one by its folder in /proc, which stays its own when another gets its number.
type process struct {
	dir int // O_PATH
	pid uint32
}

func (f *Finder) process(pid uint32) (process, bool) {
	dir, err := unix.Openat(f.proc, strconv.FormatUint(uint64(pid), 10), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	return process{dir, pid}, err == nil
}

func (p process) close() { unix.Close(p.dir) }

// A holder is a process that has been seen to hold the socket with a port, by a descriptor.
type holder struct {
	process
	file string // the descriptor, fd/NUMBER
	link string // what it leads to, socket:[INODE]

	// What it is, when that was read, and what else must be as it was then for it to be true.
	author *Author
	status status
	read   time.Time
	owner  [2]uint32 // the effective user and group

	// Its children that do not hold the socket, and which process id had been given last when
	// they were looked at.
	children []uint32
	last     uint32
}

// forget closes what is open of a holder, which may be nil.
func (h *holder) forget() {
	if h != nil {
		h.close()
	}
}

// readlink returns where a link leads to, in a buffer that the next call fills.
func (f *Finder) readlink(dir int, name string) []byte {
	n, err := unix.Readlinkat(dir, name, f.link[:])
	if err != nil {
		return nil
	}
	return f.link[:n]
}

// contents returns what a small file has in it, in a buffer that the next call fills.
func (f *Finder) contents(dir int, name string) []byte {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	n, err := unix.Read(fd, f.text[:])
	if err != nil {
		return nil
	}
	return f.text[:n]
}

// numbers calls yield with each name in a folder of /proc that is a number, until it returns
// false. The names are read into a buffer that it must not use.
func (f *Finder) numbers(dir int, name string, yield func(fd int, name []byte) bool) {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Getdents(fd, f.names[:])
		if err != nil || n <= 0 {
			return
		}
		for b := f.names[:n]; len(b) > 19; { // struct linux_dirent64
			size := int(binary.NativeEndian.Uint16(b[16:]))
			if size < 19 || size > len(b) {
				return
			}
			entry := b[19:size]
			b = b[size:]
			if end := slices.Index(entry, 0); end > 0 && entry[0] >= '0' && entry[0] <= '9' && !yield(fd, entry[:end]) {
				return
			}
		}
	}
}

// descriptor returns the descriptor by which a process holds a socket, as holder.file; "" if it
// does not, or may not be looked at.
func (f *Finder) descriptor(p process, link string) (file string) {
	// The number is that which another process had it by, most often: to list them takes longer.
	if string(f.readlink(p.dir, f.usual)) == link {
		return f.usual
	}
	f.numbers(p.dir, "fd", func(fd int, name []byte) bool {
		f.left--
		if number := string(name); string(f.readlink(fd, number)) == link {
			file = "fd/" + number
		}
		return file == "" && f.left > 0
	})
	if file != "" {
		f.usual = file
	}
	return file
}

// holds reports whether the process still has that very socket, and its port with it, which a
// socket keeps as long as it is there.
func (f *Finder) holds(h *holder) bool { return string(f.readlink(h.dir, h.file)) == h.link }

// describe says who the process is; path is what was its program just now. A process that is
// ending loses its program first, then its sockets, and all else when its parent has waited for it.
func (f *Finder) describe(h *holder, path string, now time.Time) bool {
	owner := h.process.owner()
	s, ok := parseStatus(f.contents(h.dir, "status"))
	if ok && s.tgid != h.pid { // the number is that of a thread
		ok = false
	}
	if !ok {
		return false
	}
	if now := f.readlink(h.dir, "exe"); len(now) > 0 && string(now) != path { // it called execve
		path = string(now)
		if again, ok := parseStatus(f.contents(h.dir, "status")); ok {
			s = again
		}
	}
	a := Author{PID: h.pid, ParentPID: s.parent, UID: s.uid, Name: string(wire.AppendName(nil, s.name)), Path: path,
		Cgroup: parseCgroup(f.contents(h.dir, "cgroup"))}
	if h.author == nil || *h.author != a {
		h.author = &a
	}
	h.status, h.owner, h.read = s, owner, now
	return true
}

// owner returns the effective user and group, which cost less than a whole status.
func (p process) owner() [2]uint32 {
	var st unix.Stat_t
	unix.Fstat(p.dir, &st) // of one that has ended root, which it need not be
	return [2]uint32{st.Uid, st.Gid}
}

// current brings up to date what is known of a process that holds its socket.
func (f *Finder) current(h *holder, now time.Time) bool {
	path := f.readlink(h.dir, "exe")
	if string(path) == h.author.Path && h.process.owner() == h.owner && now.Sub(h.read) < maxAge {
		return true
	}
	return f.describe(h, string(path), now)
}

// shared reports whether a child of the process holds the socket too. Which of them used it
// cannot be known then. Children that did not have it do not get it later, so that only new ones
// are looked at, and these only if any process has been made since.
func (f *Finder) shared(h *holder) bool {
	last := f.lastPID()
	if last != 0 && last == h.last {
		return false
	}
	var children, threads []uint32
	f.numbers(h.dir, "task", func(_ int, name []byte) bool {
		thread, _ := number(name)
		threads = append(threads, thread)
		return true
	})
	for _, thread := range threads {
		text := f.contents(h.dir, "task/"+strconv.FormatUint(uint64(thread), 10)+"/children")
		for len(text) > 0 {
			end := slices.Index(text, ' ')
			if end < 0 {
				break
			}
			child, _ := number(text[:end])
			children = append(children, child)
			text = text[end+1:]
		}
	}
	for _, child := range children {
		if slices.Contains(h.children, child) {
			continue
		}
		if p, ok := f.process(child); ok {
			file := f.descriptor(p, h.link)
			p.close()
			if file != "" {
				return true
			}
		}
	}
	h.children, h.last = children, last
	return false
}

// lastPID returns the process id that was given last; 0: that is not known.
func (f *Finder) lastPID() uint32 {
	if f.loadavg < 0 {
		return 0
	}
	n, err := unix.Pread(f.loadavg, f.text[:], 0)
	if err != nil || n <= 0 {
		return 0
	}
	return lastPID(f.text[:n])
}

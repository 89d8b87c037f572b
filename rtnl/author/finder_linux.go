package author

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/rtnl/conn"
)

// Bounds of what is known.
const (
	maxPorts = 64          // of which something is known
	maxAge   = time.Second // of what is not looked at each time: name, parent, real user, cgroup
	patience = 8           // how often a port is looked for in vain before there are pauses
	maxPause = time.Second
)

// A Finder finds the authors of changes in one network namespace. It is for one goroutine.
//
// What it is asked again it need not look for: that a process still holds the socket is seen from
// one link in /proc. It keeps a file open for each of the 64 ports that asked last.
type Finder struct {
	proc    int // /proc; -1: nobody can be found
	ports   int // net/netlink of the namespace
	loadavg int // /proc/loadavg; -1: it does not count the processes that are in proc

	asked []*asker  // the one that asked last is the last
	rest  time.Time // no search through all processes before
	left  int       // descriptors that may be looked at yet
	usual string    // the descriptor by which a socket was held last

	link  [4 << 10]byte
	text  [16 << 10]byte // /proc/PID/status may have many groups
	names [16 << 10]byte
}

// An asker is what is known of a port.
type asker struct {
	port   uint32
	holder *holder // that was found last; it need not hold the socket any more

	failures int       // since it was found
	next     time.Time // it is not looked for before
	vain     string    // the socket that all processes were searched for
	again    time.Time // and that they are not searched for before
}

// Open prepares to find authors of changes in a network namespace, "" for that of the calling
// thread. It fails if that cannot be entered. Where /proc is missing, or hides others' processes,
// nobody is found, or only who is not hidden.
func Open(ns conn.Namespace) (*Finder, error) {
	f := &Finder{proc: -1, ports: -1, loadavg: -1, usual: "fd/3"}
	err := ns.Do(func() error {
		f.ports = open("/proc/thread-self/net/netlink", unix.O_RDONLY)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if f.ports >= 0 {
		f.proc = open("/proc", unix.O_PATH)
	}
	// In /proc of another PID namespace the numbers are others.
	if self := f.readlink(f.proc, "self"); string(self) == strconv.Itoa(os.Getpid()) {
		f.loadavg = open("/proc/loadavg", unix.O_RDONLY)
	}
	return f, nil
}

// open opens a file of procfs. Anything else that is mounted over it, as in some containers, might
// block, and would tell something else.
func open(path string, flags int) int {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(fd, &fs); err != nil || int64(fs.Type) != unix.PROC_SUPER_MAGIC {
		unix.Close(fd)
		return -1
	}
	return fd
}

// Close closes its files.
func (f *Finder) Close() {
	for _, k := range f.asked {
		k.holder.forget()
	}
	for _, fd := range []int{f.proc, f.ports, f.loadavg} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	*f = Finder{proc: -1, ports: -1, loadavg: -1}
}

// Find returns who has the netlink port of a notification; nil if that is not known. It takes some
// microseconds for a port that was found before, some tens for another process, and some
// milliseconds, a twentieth of a second at most or so, if all processes must be searched; what is
// not found is not looked for all the time. A command has ended a tenth of a millisecond after the
// notification: see Direct.
func (f *Finder) Find(port uint32) (*Author, Certainty) {
	a, c, _ := f.find(port, true)
	return a, c
}

// Direct is Find for who hears of notifications, as to wake another goroutine takes about as long as
// a command lives: it looks only at the process whose id the port may be. known is false if Find may
// know more.
func (f *Finder) Direct(port uint32) (a *Author, c Certainty, known bool) {
	if port >= maxPID {
		return nil, Unknown, false
	}
	return f.find(port, false)
}

func (f *Finder) find(port uint32, search bool) (a *Author, c Certainty, known bool) {
	switch {
	case port == 0:
		return nil, Kernel, true
	case f.proc < 0:
		return nil, Unknown, true
	}
	k, now := f.recall(port), time.Now()
	if now.Before(k.next) {
		return nil, Unknown, search
	}
	var found bool
	if k.holder != nil && f.holds(k.holder) {
		found = f.current(k.holder, now)
	} else {
		found = f.look(k, now, search)
	}
	if !found || f.shared(k.holder) {
		k.failed(now)
		return nil, Unknown, search
	}
	k.failures, k.vain = 0, ""
	return k.holder.author, k.holder.certainty(port), true
}

// recall returns what is known of a port, and forgets that which was not asked for longest.
func (f *Finder) recall(port uint32) *asker {
	for i := len(f.asked) - 1; i >= 0; i-- {
		if k := f.asked[i]; k.port == port {
			copy(f.asked[i:], f.asked[i+1:])
			f.asked[len(f.asked)-1] = k
			return k
		}
	}
	if len(f.asked) == maxPorts {
		f.asked[0].holder.forget()
		f.asked = append(f.asked[:0], f.asked[1:]...)
	}
	k := &asker{port: port}
	f.asked = append(f.asked, k)
	return k
}

// failed notes that nobody was found. A process that opens a socket for each change may be found
// the next time; but that it is not found must not cost the same ten thousand times a second.
func (k *asker) failed(now time.Time) {
	if k.failures++; k.failures >= patience {
		pause := maxPause
		if n := k.failures - patience; n < 10 {
			pause = min(time.Millisecond<<n, maxPause)
		}
		k.next = now.Add(pause)
	}
}

// look finds the process that holds the socket with a port: the one that had it before, the one
// whose id it is, or, if all are to be searched, any other.
func (f *Finder) look(k *asker, now time.Time, search bool) bool {
	f.left = maxLinks
	var p process
	var path string
	direct := false
	if k.port < maxPID && (k.holder == nil || k.holder.pid != k.port) {
		if p, direct = f.process(k.port); direct {
			path = string(f.readlink(p.dir, "exe")) // which goes first when it ends
		}
	}
	link := f.socket(k.port)
	if link == "" {
		if direct {
			p.close()
		}
		return false
	}
	if k.holder != nil && k.holder.made(k.port) && f.rejoin(k.holder, link) {
		if direct {
			p.close()
		}
		return f.current(k.holder, now)
	}
	k.holder.forget()
	k.holder = nil
	if direct {
		h := &holder{process: p, link: link, file: f.descriptor(p, link)}
		if h.file != "" && f.describe(h, path, now) {
			k.holder = h
			return true
		}
		p.close()
	}
	if search && (link != k.vain || !now.Before(k.again)) {
		var searched bool
		if k.holder, searched = f.search(k.port, link); searched && k.holder == nil {
			k.vain, k.again = link, time.Now().Add(maxPause)
		}
	}
	return k.holder != nil
}

// rejoin reports whether a process that held the socket with a port before holds the one that has
// it now: it may have opened another, most often by the same descriptor.
func (f *Finder) rejoin(h *holder, link string) bool {
	if string(f.readlink(h.dir, h.file)) != link {
		file := f.descriptor(h.process, link)
		if file == "" {
			return false
		}
		h.file = file
	}
	h.link, h.children, h.last = link, nil, 0
	return true
}

// made reports whether a process that holds the socket with a port has made it: the kernel gave the
// socket the process's own id.
func (h *holder) made(port uint32) bool { return h.pid == port || h.status.inner == port }

// certainty is that of a process that holds the socket with a port.
func (h *holder) certainty(port uint32) Certainty {
	switch {
	case h.pid == port:
		return Process
	case h.status.namespace && h.status.inner == port:
		return OtherNamespace
	}
	return OtherSocket
}

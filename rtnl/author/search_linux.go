package author

import (
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a search through all processes.
const (
	maxLinks = 50_000 // descriptors that are looked at for one port, a twentieth of a second or so
	resting  = 4      // after a search there is none for so many times as long as it took
)

// settled is how old a process must be to be found by a port that is not its id here. In containers,
// one command after the other has the same number, and so the same port: one that is younger may
// have got it since the notification. Numbers that the kernel makes up for a second socket, which
// are from madeUp on, do not come again.
const (
	settled = 100 * time.Millisecond
	madeUp  = 1 << 31
)

// search looks for the process that holds a socket among all of them. That whose own id is the port
// has made the socket, wherever it was passed on to; of any other socket nobody can say who uses it
// unless one process alone has it. searched is false if it is too early for a search.
func (f *Finder) search(port uint32, link string) (found *holder, searched bool) {
	start := time.Now()
	if start.Before(f.rest) {
		f.early = port >= madeUp // who has any other number may be another one by then
		return nil, false
	}
	defer func() { f.rest = time.Now().Add(resting * time.Since(start)) }()
	var all []uint32
	f.numbers(f.proc, ".", func(_ int, name []byte) bool {
		pid, _ := number(name)
		all = append(all, pid)
		return true
	})
	for _, pid := range all {
		h := f.holder(pid, link)
		switch {
		case h == nil && f.left > 0:
		case h != nil && h.made(port):
			found.forget()
			return f.old(h, port)
		case found != nil || h == nil: // there are several, or may be
			found.forget()
			h.forget()
			return nil, true
		default:
			found = h
		}
	}
	if found == nil {
		return nil, true
	}
	return f.old(found, port)
}

// old returns a process that was found if it is old enough.
func (f *Finder) old(h *holder, port uint32) (found *holder, searched bool) {
	if port >= madeUp || h.pid == port || f.age(h.process) >= settled {
		return h, true
	}
	h.forget()
	return nil, false
}

// age returns how long ago a process was started, at least; 0 if that is not known.
func (f *Finder) age(p process) time.Duration {
	var now unix.Timespec
	started, ok := parseStart(f.contents(p.dir, "stat"))
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil || !ok {
		return 0
	}
	return time.Duration(now.Nano()) - (started + 10*time.Millisecond)
}

// holder returns the process with an id if it holds a socket; nil if not.
func (f *Finder) holder(pid uint32, link string) *holder {
	p, ok := f.process(pid)
	if !ok {
		return nil
	}
	path := string(f.readlink(p.dir, "exe")) // which goes first when it ends
	h := &holder{process: p, link: link, file: f.descriptor(p, link)}
	if h.file == "" || !f.describe(h, path, time.Now()) {
		h.forget()
		return nil
	}
	return h
}

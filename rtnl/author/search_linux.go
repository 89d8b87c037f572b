package author

import (
	"slices"
	"time"
)

// Bounds of a search through all processes.
const (
	maxLinks = 200_000 // descriptors that are looked at for one port, a fifth of a second or so
	resting  = 4       // after a search there is none for so many times as long as it took
	newest   = 16      // process ids given last, which are tried first
)

// search looks for the process that holds a socket among all of them, the newest first, of which
// one that ends soon is. That whose own id is the port has made the socket, wherever it was passed
// on to; of any other socket nobody can say who uses it unless one process alone has it. searched is
// false if it is too early for a search.
func (f *Finder) search(port uint32, link string) (found *holder, searched bool) {
	start := time.Now()
	if start.Before(f.rest) {
		return nil, false
	}
	defer func() { f.rest = time.Now().Add(resting * time.Since(start)) }()
	several, made := false, false
	// try returns true when there is nothing more to look for.
	try := func(pid uint32) bool {
		if found != nil && pid == found.pid {
			return false
		}
		h := f.holder(pid, link)
		switch {
		case h == nil:
			return f.left <= 0
		case h.made(port):
			found.forget()
			found, made = h, true
			return true
		case found != nil:
			several = true
			h.close()
			return false
		}
		found = h
		return false
	}
	f.each(try)
	if !made && (several || f.left <= 0) { // or there may be several
		found.forget()
		found = nil
	}
	return found, true
}

// each calls try with the ids of processes until it returns true.
func (f *Finder) each(try func(pid uint32) bool) {
	if last := f.lastPID(); last > newest {
		for pid := last; pid > last-newest; pid-- {
			if try(pid) {
				return
			}
		}
	}
	var all []uint32
	f.numbers(f.proc, ".", func(_ int, name []byte) bool {
		pid, _ := number(name)
		all = append(all, pid)
		return true
	})
	for _, pid := range slices.Backward(all) {
		if try(pid) {
			return
		}
	}
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

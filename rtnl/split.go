package rtnl

import "bytes"

// leastPart is how many bytes of routes a part of a snapshot has at least: some
// 2,500 routes.
const leastPart = 256 << 10

// Split returns the snapshot in at most n parts of about the same size, for
// several goroutines to walk over. Together, one after the other, they have the
// routes of the snapshot in their order. Routes to one destination stay together.
func (s *Snapshot) Split(n int) []*Snapshot {
	total := 0
	for _, run := range s.routes {
		total += len(run)
	}
	n = min(n, total/leastPart)
	if n <= 1 {
		return []*Snapshot{s}
	}
	var parts []*Snapshot
	part := s.without()
	part.counted = s.counted
	size := 0 // of what is in parts and part
	for _, run := range s.routes {
		for len(parts) < n-1 && size+len(run) > total/n*(len(parts)+1) {
			at := destinationFrom(part.routes, run, total/n*(len(parts)+1)-size)
			if at == len(run) {
				break
			}
			part.routes = appendRun(part.routes, run[:at])
			parts, part = append(parts, part), s.without()
			size, run = size+at, run[at:]
		}
		part.routes = appendRun(part.routes, run)
		size += len(run)
	}
	return append(parts, part)
}

// without returns a copy of the snapshot without routes.
func (s *Snapshot) without() *Snapshot {
	c := *s
	c.routes, c.counted = nil, 0
	return &c
}

// destinationFrom returns where in a run, from an offset on, the routes to
// another destination begin than those before; the run's length if nowhere. What
// is before the run's first route is the last one of the runs before.
func destinationFrom(runs [][]byte, run []byte, from int) int {
	var before, h routeHead
	known := false // before
	if len(runs) > 0 {
		before, known = lastHead(runs[len(runs)-1]), true
	}
	for off := 0; off < len(run); {
		n := int(u32(run[off:]))
		if off+align4(n) >= from {
			h = headAt(run[off:])
			if off >= from && known && (h.family != before.family || h.table != before.table ||
				h.dstLen != before.dstLen || !bytes.Equal(h.dst, before.dst)) {
				return off
			}
			before, known = h, true
		}
		off += align4(n)
	}
	return len(run)
}

func lastHead(run []byte) routeHead {
	for {
		n := align4(int(u32(run)))
		if n >= len(run) {
			return headAt(run)
		}
		run = run[n:]
	}
}

package rtnl

import "kernelroutes/rtnl/object"

// leastPart is how many bytes of messages a part of a snapshot has at least: some
// 2,500 routes.
const leastPart = 256 << 10

// Split returns the snapshot in at most n parts of about the same size, for
// several goroutines to walk over the objects of a kind. Together, one after the other,
// they have these objects in their order. Those stay together that have one place in the
// kernel's walk, as IPv6 routes to one destination, which are told apart by their number.
func (s *Snapshot) Split(k *object.Kind, n int) []*Snapshot {
	all := s.Runs(k)
	total := 0
	for _, run := range all {
		total += run.Len()
	}
	n = min(n, total/leastPart)
	if n <= 1 {
		return []*Snapshot{s}
	}
	var parts []*Snapshot
	var part []object.Run
	size := 0 // of what is in parts and part
	for _, run := range all {
		for len(parts) < n-1 && size+run.Len() > total/n*(len(parts)+1) {
			at := placeFrom(part, run, total/n*(len(parts)+1)-size)
			if at == run.Len() {
				break
			}
			parts, part = append(parts, s.with(k, append(part, run.Cut(0, at)))), nil
			size, run = size+at, run.Cut(at, run.Len())
		}
		part = append(part, run)
		size += run.Len()
	}
	return append(parts, s.with(k, part))
}

// placeFrom returns where in a run, from an offset on, an object begins with another
// table or place in the kernel's walk than the one before; the run's length if nowhere. What is before
// the run's first object is the last one of the runs before.
func placeFrom(runs []object.Run, run object.Run, from int) int {
	var before, m object.Message
	known := false // before
	if len(runs) > 0 {
		for left := runs[len(runs)-1]; left.Next(&before); {
		}
		known = true
	}
	off := 0
	for left := run; left.Next(&m); off = run.Len() - left.Len() {
		if run.Len()-left.Len() < from {
			continue
		}
		if off >= from && known && !together(&before, &m) {
			return off
		}
		before, known = m, true
	}
	return run.Len()
}

// together reports whether two objects, one of which follows the other, are not to be
// parted.
func together(a, b *object.Message) bool {
	k := a.Kind()
	if k.Position == nil || k.Table(a) != k.Table(b) {
		return false
	}
	p, q := k.Position(a), k.Position(b)
	if compare := k.Order(k.Table(a).Family).Compare; compare != nil {
		return compare(&p, &q) == 0
	}
	return p.Dst == q.Dst && p.DstLen == q.DstLen
}

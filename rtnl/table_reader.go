package rtnl

import (
	"fmt"
	"slices"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/consistency"
	"kernelroutes/rtnl/object"
)

// A tableReader reads a kind whose objects are in tables that the kernel walks in order. One
// dump may lose some of them; several together do not: see package consistency.
type tableReader struct {
	session *session
	kind    *object.Kind

	todo     []object.DumpRequest // dumps that are still to be run
	todoIPv6 bool                 // and the one of dumpCounted
	dumps    []*consistency.Dump
	referred int            // how many of the growing objects are in the reading's references
	missing  []object.Table // what the dumps do not tell for certain
	unproved bool           // nor that these are all tables of IPv6, and another dump would not
	lost     bool           // the listener heard of more growing objects than it keeps
	again    bool           // there were dumps already, which were not enough
}

// begin plans the dumps.
func (t *tableReader) begin() {
	if t.wantsAny() {
		t.todo, t.todoIPv6 = t.requests(), t.counted()
	}
}

func (t *tableReader) wantsAny() bool { return !t.filter().None }

// filter says which objects are wanted: all of a kind that is not filtered.
func (t *tableReader) filter() *Filter { return t.session.filter.Of(t.kind) }

// match reports whether an object is wanted.
func (t *tableReader) match() func(*object.Message) bool {
	if t.kind.Filtered {
		return t.session.filter.Match
	}
	return t.session.filter.Lets
}

// requests returns the dumps that together bring every object that matches, but for
// those of dumpCounted.
func (t *tableReader) requests() []object.DumpRequest {
	if t.counted() {
		return t.filter().WithoutIPv6().Requests()
	}
	return t.filter().RequestsOf(t.kind)
}

// read runs the dumps that are to be run.
func (t *tableReader) read() error {
	for len(t.todo) > 0 || t.todoIPv6 {
		var err error
		if t.todoIPv6 && (len(t.todo) == 0 || t.todo[0].Family != 0) { // after IPv4
			err = t.session.run("dump IPv6 "+t.kind.Plural, t.dumpCounted)
		} else {
			err = t.dumpNext()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sink returns a sink for a dump.
func (t *tableReader) sink(request object.DumpRequest, mem *consistency.Arena) *consistency.Sink {
	families := t.filter().Families
	dump := consistency.Dump{Kind: t.kind, Request: request}
	// Of a kernel whose release cannot be read that is not known.
	dump.Locked = t.session.release != (release{}) && t.session.release.Before(6, 9, 0)
	if !t.again && t.session.tries <= lastCounting && t.session.counts(t.kind) {
		// Where it proves not to be enough, several dumps together will be.
		dump.CountBy = t.session.countBy
	}
	return &consistency.Sink{
		Dump:     dump,
		Arena:    mem,
		Match:    t.match(),
		Refer:    t.kind.Refer != nil && t.session.refers,
		Progress: t.session.progress.counter(t.kind, request),
		OnlyIPv4: len(families) == 1 && families[0] == object.IPv4,
	}
}

// dumpNext runs the first of the dumps that are to be run.
func (t *tableReader) dumpNext() error {
	r, filter := t.session, t.filter()
	inParallel := !t.counted() && t.kind.Entries != nil && parallelTo(t.todo[0]) && filter.WantsFamily(object.IPv6)
	if inParallel && !filter.WantsFamily(object.IPv4) {
		if p := t.startParallel(); p.whole(r.drain) {
			t.addIPv6(p)
			return nil
		}
		inParallel = false
	}
	s := t.sink(t.todo[0], &r.mem)
	s.Listen = r.drain
	s.Dump.WithoutIPv6 = t.counted()
	var started *parallel
	if inParallel {
		s.Parallel = func() (whole func() bool) {
			started = t.startParallel()
			return func() bool { return started.whole(r.drain) }
		}
	}
	err := t.session.run("dump "+t.kind.Plural, s.Run)
	if started != nil {
		<-started.done
	}
	if err != nil {
		return err
	}
	t.addDump(&s.Dump)
	if s.Dump.EndedBeforeIPv6 {
		t.addIPv6(started)
	} else {
		t.todo = t.todo[1:]
	}
	return nil
}

// startParallel begins a dump of IPv6 in parallel to the first one to do.
func (t *tableReader) startParallel() *parallel {
	local := object.Table{Family: object.IPv6, ID: object.RT_TABLE_LOCAL}
	return t.session.startParallel(t.sink(object.DumpRequest{Family: object.IPv6}, nil), t.filter().Wants(local))
}

// addDump adds a dump that has ended.
func (t *tableReader) addDump(d *consistency.Dump) {
	t.dumps = append(t.dumps, d)
	t.session.refs.Union(&d.References)
}

// addIPv6 takes in IPv6 that was read in parallel to the first dump to do, if it was,
// and leaves what would have come after it to be done.
func (t *tableReader) addIPv6(p *parallel) {
	if p != nil {
		p.sink.Dump.ParallelBytes = p.mem.Size()
		t.addDump(&p.sink.Dump)
	}
	table := t.todo[0].Table
	t.todo = t.todo[1:]
	for _, f := range t.filter().Others() {
		t.todo = append(t.todo, object.DumpRequest{Family: f, Table: table})
	}
}

// assemble puts together what the dumps brought, after what was heard during the try.
func (t *tableReader) assemble(heard *consistency.Changes) (runs []object.Run, counted *object.Tally) {
	for _, d := range t.dumps {
		d.FindGaps(heard)
	}
	growing, all := heard.Growing(t.kind)
	runs, counted, t.missing = consistency.Merge(t.dumps, t.filter().Wants, growing)
	if t.counted() && t.truncatedIPv6() {
		t.missing = append(t.missing, object.Table{Family: object.IPv6})
	}
	t.lost = !all
	return consistency.Complete(runs, growing, t.match()), counted
}

// referGrowing adds what was heard of growing objects to the references: see
// completeReferences.
func (t *tableReader) referGrowing() {
	if t.kind.Refer == nil {
		return
	}
	growing, _ := t.session.heard.Growing(t.kind)
	match, n := t.match(), 0
	object.Each(growing, func(m *object.Message) bool {
		if n++; n > t.referred {
			t.referred = n
			if match(m) {
				t.kind.Refer(m, &t.session.refs)
			}
		}
		return true
	})
}

// lastCounting is the last try in which objects are counted instead of kept: it leaves two
// for dumps that are put together.
const lastCounting = MaxTries - 2

// retry notes which dumps have to be made again.
func (t *tableReader) retry() {
	t.again = true
	if t.kind.ByFamily {
		for _, m := range t.missing {
			t.todo = append(t.todo, object.DumpRequest{Family: m.Family})
		}
		return
	}
	for _, req := range t.requests() {
		missing := slices.DeleteFunc(slices.Clone(t.missing), func(m object.Table) bool {
			return !req.Asks(m) || t.counted() && m.Family == object.IPv6
		})
		if len(missing) > 0 {
			t.todo = append(t.todo, consistency.Again(req, missing, t.alone(missing[0])))
		}
	}
	t.todo = slices.Compact(t.todo)
	t.todoIPv6 = t.counted() &&
		slices.ContainsFunc(t.missing, func(m object.Table) bool { return m.Family == object.IPv6 })
}

// alone reports whether a table is better dumped alone than with those that come
// after it: the last of all, or once if it needs few datagrams, so that nothing
// may change in it meanwhile.
func (t *tableReader) alone(table object.Table) bool {
	d := t.dumps[len(t.dumps)-1]
	n := 0
	for _, p := range d.Parts {
		if p.Table == table {
			n++
		}
	}
	return t.session.tries == 1 && n <= 2 ||
		n > 0 && d.Request.Table == 0 && d.Parts[len(d.Parts)-1].Table == table
}

// Before Linux 6.9 a dump ends at an IPv6 route that does not fit into a datagram, as
// if there were no more: with no error, whatever was asked for (inet6_dump_fib returns
// the length of a datagram, which is 0 then). What the kernel counts tells of it:
// there, all IPv6 routes are dumped, whichever are wanted, and compared with its count.

// counted reports whether IPv6 is dumped by itself, and its routes counted.
func (t *tableReader) counted() bool {
	return t.kind.Entries != nil && t.session.release.Before(6, 9, 0) && t.filter().MayMatchIPv6()
}

// dumpCounted dumps all IPv6 routes. If fewer come than the kernel counts, and more
// are missing than a dump may pass over for the changes that were heard meanwhile, the
// error is ErrTooLarge.
func (t *tableReader) dumpCounted(c *conn.Conn) error {
	r := t.session
	s := t.sink(object.DumpRequest{Family: object.IPv6}, &r.mem)
	s.Listen = r.drain
	stats := r.openRT6Stats()
	defer stats.close()
	heard := r.drain().Entries(t.kind)
	before := stats.entries()
	if err := s.Run(c); err != nil {
		return err
	}
	after := stats.entries()
	heard = r.drain().Entries(t.kind) - heard
	walked := s.Entries
	if !r.release.Before(4, 15, 0) {
		walked -= s.Cached
	}
	switch missing := min(before, after) - walked; {
	case before == walked && after == walked:
	case before < 0 || after < 0 || heard == 0 && before == after && missing < 0:
		t.unproved = true // it is not known, or no count of what there is
	case missing > 0 && heard < consistency.AnyEntries && uint64(missing) > heard*uint64(s.Largest):
		err := fmt.Errorf("the kernel has %d IPv6 nexthops and ended without an error after %d", after, walked)
		remedy := countedRemedy
		if s.Largest > 1 {
			remedy += hiddenRemedy
		}
		return &ReadError{Op: "dump IPv6 " + t.kind.Plural, Kind: ErrTooLarge, Err: err, Remedy: remedy}
	default:
		s.Dump.Truncated = true
	}
	t.addDump(&s.Dump)
	t.todoIPv6 = false
	return nil
}

const countedRemedy = "an IPv6 route has more nexthops than 32 KiB hold, and Linux before 6.9 leaves out " +
	"what comes after it: put its nexthops into a nexthop group and set net.ipv4.nexthop_compat_mode=0, " +
	"give it fewer, or use Linux 6.9 or later"

// hiddenRemedy is for where there are routes with several nexthops: the kernel keeps these in a list, and a
// dump that has shown them all goes on behind the last, whatever was between (fib6_dump_node).
const hiddenRemedy = "; or a route without a gateway was added between two nexthops of a multipath route to the same " +
	"destination with the same metric, which no kernel shows: take that one away (ip -6 route del DESTINATION dev " +
	"INTERFACE metric METRIC) or give it another metric"

// truncatedIPv6 reports whether IPv6 may have tables that are wanted, and that no dump
// has reached.
func (t *tableReader) truncatedIPv6() bool {
	ids := t.filter().Tables
	if len(ids) == 0 {
		ids = []uint32{object.RT_TABLE_LOCAL} // the kernel's last
	}
	for _, id := range ids {
		reached := false
		for _, d := range t.dumps {
			table := object.Table{Family: object.IPv6, ID: id}
			reached = reached || d.Asked(table) && d.Reached(table)
		}
		if !reached {
			return true
		}
	}
	return false
}

package rtnl

import (
	"fmt"
	"time"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/consistency"
	"kernelroutes/rtnl/object"
)

// A parallel is a dump of all IPv6 routes over a connection of its own, beside a
// dump of all families that is still busy with IPv4. Where it can be shown to be
// whole, the IPv6 part of the other need not be read.
type parallel struct {
	sink  *consistency.Sink
	local bool // routes of table local are wanted
	mem   consistency.Arena
	stats *rt6Stats
	err   error
	done  chan struct{}
}

// startParallel begins a parallel dump. What it needs is opened in the namespace that
// is read.
func (s *session) startParallel(sink *consistency.Sink, local bool) *parallel {
	p := &parallel{sink: sink, local: local, done: make(chan struct{}), mem: s.newArena()}
	sink.Arena = &p.mem
	c, err := s.connect(conn.MaxDatagram)
	if err != nil {
		p.err = err
		close(p.done)
		return p
	}
	p.stats = s.openRT6Stats()
	go func() {
		defer close(p.done)
		defer p.stats.close()
		defer c.Close()
		defer func() {
			// The dump beside it goes on, and comes to what made it panic.
			if v := recover(); v != nil {
				p.err = fmt.Errorf("panic: %v", v)
			}
		}()
		before := p.stats.entries()
		p.err = p.sink.Run(c)
		walked := p.sink.Entries - p.sink.Cached
		if p.err == nil && (before != walked || p.stats.entries() != before) {
			p.err = p.prove(c)
		}
	}()
	return p
}

// prove shows that the dump did not end where a route does not fit: the kernel
// says nothing of it in a dump of one family, but it goes no further. So a route
// of table local, which it walks last, shows that all other tables are whole
// (inet6_dump_fib goes by the low byte of a table's number, and adds new tables
// at the front), and table local itself is dumped once more with all families,
// where the kernel does say it. That takes long beside many IPv4 routes, which
// share table local's trie, and holds the RTNL lock, for which the dump beside
// this one waits; so it is not done if the kernel has counted as many routes as came.
func (p *parallel) prove(c *conn.Conn) error {
	const local = object.RT_TABLE_LOCAL
	n := len(p.sink.Dump.Parts)
	if n == 0 || p.sink.Dump.Parts[n-1].ID != local {
		return conn.ErrTooLarge
	}
	if !p.local {
		return nil
	}
	var mem consistency.Arena
	again := consistency.Sink{
		Dump:  consistency.Dump{Kind: p.sink.Dump.Kind, Request: object.DumpRequest{Table: local}},
		Arena: &mem,
		Match: func(*object.Message) bool { return false },
	}
	return again.Run(c)
}

// listenEvery is how often the listener is asked while a parallel dump is waited for.
const listenEvery = 50 * time.Millisecond

// whole waits for the dump to end and reports whether it is known to be whole.
func (p *parallel) whole(listen func() *consistency.Changes) bool {
	for tick := time.Tick(listenEvery); ; {
		select {
		case <-p.done:
			return p.err == nil
		case <-tick:
			listen()
		}
	}
}

// parallelTo reports whether IPv6 may be read in parallel to a dump: not to one in which
// the kernel leaves most routes out.
func parallelTo(r object.DumpRequest) bool {
	return r == object.DumpRequest{} || r == object.DumpRequest{Table: object.RT_TABLE_MAIN}
}

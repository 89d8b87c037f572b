package rtnl

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// An aside is a dump of all IPv6 routes over a connection of its own, beside a
// dump of all families that is still busy with IPv4. Where it can be shown to be
// whole, the IPv6 part of the other need not be read.
type aside struct {
	sink  routeSink
	mem   arena
	stats *rt6Stats
	err   error
	done  chan struct{}
}

// startAside begins an aside. What it needs is opened by the caller's thread, in
// its network namespace.
func (r *reading) startAside(ctx context.Context) *aside {
	a := &aside{done: make(chan struct{}), mem: r.newArena()}
	a.sink = r.sink(dumpRequest{family: IPv6}, &a.mem)
	c, err := r.connect(ctx, maxDatagram)
	if err != nil {
		a.err = err
		close(a.done)
		return a
	}
	a.stats = openRT6Stats(r.stats)
	go func() {
		defer close(a.done)
		defer a.stats.close()
		defer c.close()
		defer func() {
			// The dump beside it goes on, and comes to what made it panic.
			if p := recover(); p != nil {
				a.err = fmt.Errorf("panic: %v", p)
			}
		}()
		before := a.stats.entries()
		a.err = c.dumpRoutes(&a.sink)
		if walked := a.sink.entries - a.sink.cloned; a.err == nil && (before != walked || a.stats.entries() != before) {
			a.err = a.prove(c)
		}
	}()
	return a
}

// prove shows that the dump did not end where a route does not fit: the kernel
// says nothing of it in a dump of one family, but it goes no further. So a route
// of table local, which it walks last, shows that all other tables are whole
// (inet6_dump_fib goes by the low byte of a table's number, and adds new tables
// at the front), and table local itself is dumped once more with all families,
// where the kernel does say it. That takes long beside many IPv4 routes, which
// share table local's trie, and holds the RTNL lock, for which the dump beside
// this one waits; so it is spared if the kernel has counted as many routes as came.
func (a *aside) prove(c *conn) error {
	n := len(a.sink.dump.runs)
	if n == 0 || a.sink.dump.runs[n-1].table != unix.RT_TABLE_LOCAL {
		return ErrTooLarge
	}
	if !a.sink.filter.wants(group{IPv6, unix.RT_TABLE_LOCAL}) {
		return nil
	}
	var mem arena
	none := Filter{Families: []Family{}}
	again := routeSink{request: dumpRequest{table: unix.RT_TABLE_LOCAL}, filter: &none, mem: &mem}
	return c.dumpRoutes(&again)
}

// listenEvery is how often the listener is asked while an aside is waited for.
const listenEvery = 50 * time.Millisecond

// whole waits for the aside to end and reports whether it is known to be whole.
func (a *aside) whole(listen func() *changes) bool {
	if a == nil {
		return false
	}
	for tick := time.Tick(listenEvery); ; {
		select {
		case <-a.done:
			return a.err == nil
		case <-tick:
			listen()
		}
	}
}

// beside reports whether IPv6 may be read aside of a dump: not of one in which
// the kernel leaves most routes out.
func (r dumpRequest) beside() bool {
	return r == dumpRequest{} || r == dumpRequest{table: unix.RT_TABLE_MAIN}
}

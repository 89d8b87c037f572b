package rtnl

import (
	"context"
	"fmt"
)

// An aside is a dump of all IPv6 routes over a connection of its own, beside a
// dump of all families that is still busy with IPv4. Where it can be shown to be
// whole, the IPv6 part of the other need not be read.
type aside struct {
	sink routeSink
	mem  arena
	err  error
	done chan struct{}
}

// startAside begins an aside. The connection is opened by the caller's thread,
// in its network namespace.
func (r *reading) startAside(ctx context.Context) *aside {
	a := &aside{done: make(chan struct{})}
	a.sink = routeSink{request: dumpRequest{family: IPv6}, filter: &r.req.Filter, mem: &a.mem}
	c, err := r.connect(ctx, maxDatagram)
	if err != nil {
		a.err = err
		close(a.done)
		return a
	}
	go func() {
		defer close(a.done)
		defer c.close()
		defer func() {
			// The dump beside it goes on, and comes to what made it panic.
			if p := recover(); p != nil {
				a.err = fmt.Errorf("panic: %v", p)
			}
		}()
		if a.err = c.dumpRoutes(&a.sink); a.err == nil {
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
// where the kernel does say it.
func (a *aside) prove(c *conn) error {
	const local = 255
	n := len(a.sink.dump.runs)
	if n == 0 || a.sink.dump.runs[n-1].table != local {
		return ErrTooLarge
	}
	var mem arena
	again := routeSink{request: dumpRequest{table: local}, filter: &Filter{Families: []Family{}}, mem: &mem}
	return c.dumpRoutes(&again)
}

// whole waits for the aside to end and reports whether it is known to be whole.
func (a *aside) whole() bool {
	if a == nil {
		return false
	}
	<-a.done
	return a.err == nil
}

// beside reports whether IPv6 may be read aside of a dump: not of one in which
// the kernel leaves most routes out.
func (r dumpRequest) beside() bool {
	const main = 254
	return r == dumpRequest{} || r == dumpRequest{table: main}
}

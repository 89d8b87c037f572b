package extension

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"kernelroutes/tables"
)

// Counters count what an Extension is asked for. The zero value counts from 0 on. Safe for
// concurrent use.
type Counters struct {
	queries, errors, timeouts, rows atomic.Uint64
	conns                           atomic.Int64

	mu     sync.Mutex
	last   string // error
	lastAt time.Time
}

// Served returns what has been counted.
func (c *Counters) Served() *tables.Served {
	c.mu.Lock()
	defer c.mu.Unlock()
	return &tables.Served{Queries: c.queries.Load(), Errors: c.errors.Load(), Timeouts: c.timeouts.Load(),
		Rows: c.rows.Load(), Connections: int(c.conns.Load()), LastError: c.last, LastErrorAt: c.lastAt}
}

// failed counts a query that has failed, if it was not osquery that gave it up.
func (c *Counters) failed(err error) {
	if err == nil || closed(err) {
		return
	}
	c.errors.Add(1)
	if errors.Is(err, errTimeout) {
		c.timeouts.Add(1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last, c.lastAt = err.Error(), time.Now()
}

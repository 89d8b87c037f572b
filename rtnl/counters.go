package rtnl

import "sync/atomic"

// Counters count what a Kernel and the Cache over it have done. The zero value counts from 0 on.
// Safe for concurrent use.
type Counters struct {
	reads, failed, retries, inconsistent, hits atomic.Uint64
}

// Stats are what Counters have counted.
type Stats struct {
	Reads        uint64 // of the kernel, each of which made a snapshot or failed
	Failed       uint64 // those of them that failed
	Retries      uint64 // how often something changed meanwhile, so that it was asked again
	Inconsistent uint64 // snapshots that are not consistent: see Snapshot.Consistent
	CacheHits    uint64 // requests that a Cache has answered without the kernel
}

// Stats returns what has been counted; of nil Counters nothing has.
func (c *Counters) Stats() Stats {
	if c == nil {
		return Stats{}
	}
	return Stats{c.reads.Load(), c.failed.Load(), c.retries.Load(), c.inconsistent.Load(), c.hits.Load()}
}

// read counts a reading of the kernel after some tries, which has failed if there is no snapshot.
func (c *Counters) read(tries int, s *Snapshot) {
	if c == nil {
		return
	}
	c.reads.Add(1)
	c.retries.Add(uint64(max(tries, 1) - 1))
	switch {
	case s == nil:
		c.failed.Add(1)
	case !s.Consistent:
		c.inconsistent.Add(1)
	}
}

// hit counts a request that a Cache has answered.
func (c *Counters) hit() {
	if c != nil {
		c.hits.Add(1)
	}
}

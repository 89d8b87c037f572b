package events

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"kernelroutes/rtnl"
)

// Defaults of Options.
const (
	MaxRows  = 100_000
	MaxBytes = 64 << 20
)

// Options say what a Log keeps.
type Options struct {
	Namespace rtnl.Namespace
	MaxRows   int          // events that are kept; 0: MaxRows
	MaxBytes  int64        // of memory for them, by and large; 0: MaxBytes
	Logger    *slog.Logger // nil: none
}

// A Log keeps the newest events, and drops the oldest where it has no room for more: then the Seq
// of the first one says how many there were before. Safe for concurrent use.
type Log struct {
	options Options
	stop    context.CancelFunc
	done    chan struct{}
	begun   chan struct{} // closed when changes are followed, or that has failed at first

	mu    sync.Mutex
	ring  []*Event // a circle, which grows to MaxRows
	first int      // the oldest one
	count int
	size  int64
	seq   uint64 // of the last run of the follower
	lost  uint64 // events whose Action is Lost
	err   error  // why changes cannot be followed
	state *state // what there was, when they could be the last time; nil: they never could

	began func(*follower)                      // for tests: is called each time when changes are followed
	after func(time.Duration) <-chan time.Time // time.After, but in tests: when it is tried again
}

// How long after a failure it is tried again: twice as long each time, up to a bound.
const (
	firstRetry = time.Second
	lastRetry  = 10 * time.Minute
)

// Start begins to follow the changes in the background, until the Log is closed. Where no namespace
// is named all threads of the process must be in the same one.
func Start(k *rtnl.Kernel, o Options) *Log {
	l := newLog(o)
	l.start(k)
	return l
}

func newLog(o Options) *Log {
	if o.MaxRows <= 0 {
		o.MaxRows = MaxRows
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = MaxBytes
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Log{options: o, done: make(chan struct{}), begun: make(chan struct{}), after: time.After}
}

func (l *Log) start(k *rtnl.Kernel) {
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	go l.run(ctx, k)
}

// run follows the changes until the context ends.
func (l *Log) run(ctx context.Context, k *rtnl.Kernel) {
	defer close(l.done)
	var once sync.Once
	begun := func() { once.Do(func() { close(l.begun) }) }
	defer begun()
	retry := firstRetry
	for ctx.Err() == nil {
		f := newFollower(k, Following{Namespace: l.options.Namespace, Logger: l.options.Logger})
		if l.state != nil {
			f.state, f.resumed = l.state, true
		}
		f.Begun = func() error {
			l.mu.Lock()
			l.err, l.state = nil, f.state
			l.mu.Unlock()
			retry = firstRetry
			if l.began != nil {
				l.began(f)
			}
			begun()
			return nil
		}
		f.run(ctx, func(e *Event, err error) bool {
			if err == nil {
				l.add(e)
			} else if ctx.Err() == nil {
				l.fail(err, retry)
			}
			return err == nil
		})
		if ctx.Err() != nil {
			return
		}
		begun()
		select {
		case <-ctx.Done():
		case <-l.after(retry):
		}
		retry = min(2*retry, lastRetry)
	}
}

// fail notes why changes cannot be followed. What happens until they are is lost; what differs then is
// told.
func (l *Log) fail(err error, retry time.Duration) {
	l.mu.Lock()
	known := l.err != nil
	l.err = err
	lost := l.state != nil && !known
	l.mu.Unlock()
	if !known {
		l.options.Logger.Warn("changes of routes cannot be followed; trying again", "err", err, "in", retry)
	}
	if lost {
		wall, up := now()
		l.add(&Event{Time: wall, Uptime: up, Action: Lost, Lost: true})
	}
}

// add keeps an event.
func (l *Log) add(e *Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	e.Seq = l.seq
	if e.Action == Lost {
		l.lost++
	}
	if l.count == len(l.ring) {
		l.grow()
	}
	l.count++
	l.ring[(l.first+l.count-1)%len(l.ring)] = e
	l.size += int64(e.Size())
	if l.count > 1 {
		l.size += int64(e.shareable(l.at(l.count - 2)))
	} else {
		l.size += int64(e.shareable(nil))
	}
	for l.count > 1 && (l.count > l.options.MaxRows || l.size > l.options.MaxBytes) {
		l.drop()
	}
}

// at returns the event that so many older ones are before.
func (l *Log) at(i int) *Event { return l.ring[(l.first+i)%len(l.ring)] }

// drop forgets the oldest event. What it shared is the next one's alone now.
func (l *Log) drop() {
	e, next := l.at(0), l.at(1)
	l.size -= int64(e.Size() + e.shareable(nil) + next.shareable(e) - next.shareable(nil))
	l.ring[l.first] = nil
	l.first = (l.first + 1) % len(l.ring)
	l.count--
}

// grow makes room for more events than there are: for one more than are kept, at most.
func (l *Log) grow() {
	ring := make([]*Event, min(max(64, 2*len(l.ring)), l.options.MaxRows+1))
	for i := range l.count {
		ring[i] = l.at(i)
	}
	l.ring, l.first = ring, 0
}

// Stats are what a Log has seen and what it keeps.
type Stats struct {
	Seen    uint64 // events since the start
	Kept    int    // of them
	Dropped uint64 // of them, the oldest, as there was no more room
	Lost    uint64 // how often changes were lost: events whose Action is Lost
	Size    int64  // bytes that those take which are kept, by and large
	Err     error  // why changes cannot be followed at the moment; nil: they are
}

// Stats returns them. It does not wait until changes are followed.
func (l *Log) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Stats{l.seq, l.count, l.seq - uint64(l.count), l.lost, l.size, l.err}
}

// Close ends it.
func (l *Log) Close() {
	l.stop()
	<-l.done
}

// Events returns the events that are kept of those after one, by its Seq, oldest first. The
// slice is the caller's. It waits until changes are followed. On an error there are none: changes
// cannot be followed.
func (l *Log) Events(ctx context.Context, after uint64) ([]*Event, error) {
	select {
	case <-l.begun:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, fmt.Errorf("follow changes of routes: %w", l.err)
	}
	n := l.count
	if l.count > 0 {
		oldest := l.at(0).Seq
		n = int(min(uint64(n), l.seq-min(l.seq, max(after, oldest-1))))
	}
	all := make([]*Event, n)
	for i := range all {
		all[i] = l.at(l.count - n + i)
	}
	return all, nil
}

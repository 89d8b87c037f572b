package tables

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sys/unix"
)

var (
	// errTimeout is why a query ends that took too long.
	errTimeout = errors.New("the extension's own limit for one query")
	// errHungUp: osquery closed the connection of a query that waited.
	errHungUp = errors.New("osquery has closed the connection")
)

// A line lets some queries be answered at a time. The others wait, and the first
// that came goes first. An answer of many routes takes tens of megabytes and a
// processor, so that many at once would only be slow, all of them, and large.
type line struct {
	answers *semaphore.Weighted // first come, first served

	mu         sync.Mutex
	running    map[*answering]bool
	waiting    int
	maxWaiting int
}

// An answering is a query that is being answered.
type answering struct {
	table string
	since time.Time
}

func newLine(answers, maxWaiting int) *line {
	return &line{answers: semaphore.NewWeighted(int64(answers)), running: map[*answering]bool{}, maxWaiting: maxWaiting}
}

// enter waits until a query of t, which came on c, may be answered. It must leave
// when the answer has been sent.
func (l *line) enter(ctx context.Context, c *conn, t *Table) (leave func(), err error) {
	if !l.answers.TryAcquire(1) {
		if err := l.wait(ctx, c); err != nil {
			return nil, err
		}
	}
	a := &answering{t.Name, time.Now()}
	l.mu.Lock()
	l.running[a] = true
	l.mu.Unlock()
	return func() {
		l.mu.Lock()
		delete(l.running, a)
		l.mu.Unlock()
		l.answers.Release(1)
	}, nil
}

func (l *line) wait(ctx context.Context, c *conn) error {
	if n, ok := l.join(); !ok {
		return fmt.Errorf("too many queries at once: %d wait in line already, because %s; ask fewer at a time", n, l)
	}
	defer l.gone()
	ctx, stop := c.untilHungUp(ctx)
	defer stop()
	if l.answers.Acquire(ctx, 1) != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (l *line) join() (waiting int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting >= l.maxWaiting {
		return l.waiting, false
	}
	l.waiting++
	return l.waiting, true
}

func (l *line) gone() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting--
}

// String says what is being answered.
func (l *line) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	tables, oldest := map[string]int{}, time.Now()
	for a := range l.running {
		tables[a.table]++
		if a.since.Before(oldest) {
			oldest = a.since
		}
	}
	var of []string
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		of = append(of, fmt.Sprintf("%d of %s", tables[name], name))
	}
	are := "queries are"
	if len(l.running) == 1 {
		are = "query is"
	}
	return fmt.Sprintf("%d %s being answered: %s, the oldest for %v",
		len(l.running), are, strings.Join(of, " and "), time.Since(oldest).Round(100*time.Millisecond))
}

// untilHungUp returns a context that ends, with errHungUp, when osquery closes the
// connection. Nothing else may read it before stop has been called.
func (c *conn) untilHungUp(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	c.SetReadDeadline(time.Time{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, err := c.in.Peek(1) // no other request comes before the answer
		if err == nil || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, io.EOF) && !c.hungUp() {
			return
		}
		cancel(errHungUp)
	}()
	return ctx, func() {
		c.SetReadDeadline(time.Unix(1, 0)) // it is past, and wakes Peek
		<-ended
		cancel(nil)
	}
}

// hungUp tells the end of a connection from that of its requests alone: who has
// only shut down its own sending still waits for an answer.
func (c *conn) hungUp() (yes bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	err = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		n, _ := unix.Poll(p, 0)
		yes = n > 0 && p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
	})
	return yes || err != nil
}

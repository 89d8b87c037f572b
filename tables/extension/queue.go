package extension

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

	"kernelroutes/tables"
)

var (
	// errTimeout is why a query ends that took too long.
	errTimeout = errors.New("the extension's own limit for one query")
	// errHungUp: osquery closed the connection of a query that waited.
	errHungUp = errors.New("osquery has closed the connection")
)

// A queue lets some queries be answered at a time. The others wait, and the first
// that came goes first. An answer of many routes takes tens of megabytes and a
// processor, so that many at once would only be slow, all of them, and large.
type queue struct {
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

func newQueue(answers, maxWaiting int) *queue {
	return &queue{answers: semaphore.NewWeighted(int64(answers)), maxWaiting: maxWaiting,
		running: map[*answering]bool{}}
}

// enter waits until a query of t, which came on c, may be answered. It must leave
// when the answer has been sent.
func (q *queue) enter(ctx context.Context, c *conn, t *tables.Table) (leave func(), err error) {
	if !q.answers.TryAcquire(1) {
		if err := q.wait(ctx, c); err != nil {
			return nil, err
		}
	}
	a := &answering{t.Name, time.Now()}
	q.mu.Lock()
	q.running[a] = true
	q.mu.Unlock()
	return func() {
		q.mu.Lock()
		delete(q.running, a)
		q.mu.Unlock()
		q.answers.Release(1)
	}, nil
}

func (q *queue) wait(ctx context.Context, c *conn) error {
	if n, ok := q.join(); !ok {
		return fmt.Errorf("too many queries at once: %d wait in line already, because %s; ask fewer at a time", n, q)
	}
	defer q.gone()
	ctx, stop := c.untilHungUp(ctx)
	defer stop()
	if q.answers.Acquire(ctx, 1) != nil {
		return context.Cause(ctx)
	}
	return nil
}

func (q *queue) join() (waiting int, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting >= q.maxWaiting {
		return q.waiting, false
	}
	q.waiting++
	return q.waiting, true
}

func (q *queue) gone() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting--
}

// String says what is being answered.
func (q *queue) String() string {
	q.mu.Lock()
	defer q.mu.Unlock()
	running, oldest := map[string]int{}, time.Now()
	for a := range q.running {
		running[a.table]++
		if a.since.Before(oldest) {
			oldest = a.since
		}
	}
	var of []string
	for _, name := range slices.Sorted(maps.Keys(running)) {
		of = append(of, fmt.Sprintf("%d of %s", running[name], name))
	}
	are := "queries are"
	if len(q.running) == 1 {
		are = "query is"
	}
	return fmt.Sprintf("%d %s being answered: %s, the oldest for %v",
		len(q.running), are, strings.Join(of, " and "), time.Since(oldest).Round(100*time.Millisecond))
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

package logging

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// queued is how many lines wait for whoever reads the log.
const queued = 256

// A Queue writes lines that wait for nobody: where the reader of the log has stopped to read, as of a
// pipe, lines are lost, and the process goes on. Safe for concurrent use.
type Queue struct {
	lines chan line
	lost  atomic.Int64

	telling sync.Mutex
}

// A line is one of the log, or asks to be told when those before have been written.
type line struct {
	text    []byte
	written chan<- struct{}
}

// NewQueue returns a Queue whose lines go to w, one write for each.
func NewQueue(w io.Writer) *Queue {
	q := &Queue{lines: make(chan line, queued)}
	go func() {
		for l := range q.lines {
			if l.written != nil {
				close(l.written)
				continue
			}
			w.Write(l.text) // nobody could be told of an error
		}
	}()
	return q
}

// Write never fails.
func (q *Queue) Write(b []byte) (int, error) {
	select {
	case q.lines <- line{text: append([]byte(nil), b...)}:
	default:
		q.lost.Add(1)
	}
	return len(b), nil
}

// tell calls write, which writes a line, with how many were lost before. If that line is lost as well
// all are told of by another one.
func (q *Queue) tell(write func(lost int64) error) error {
	q.telling.Lock()
	defer q.telling.Unlock()
	lost := q.lost.Load()
	err := write(lost)
	if q.lost.Load() == lost {
		q.lost.Add(-lost)
	}
	return err
}

// Flush waits until what was written before has gone out, but not longer than d.
func (q *Queue) Flush(d time.Duration) {
	over := time.NewTimer(d)
	defer over.Stop()
	written := make(chan struct{})
	select {
	case q.lines <- line{written: written}:
	case <-over.C:
		return
	}
	select {
	case <-written:
	case <-over.C:
	}
}

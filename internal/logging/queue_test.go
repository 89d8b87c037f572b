package logging

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestQueue has a reader that stops to read: nothing waits for it, and it is told what it has missed.
func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader, w := io.Pipe()
		q := NewQueue(w)
		log := New(q, Options{})
		for i := range 3 * queued {
			log.Info(fmt.Sprint("line ", i))
			if i == 0 {
				synctest.Wait() // until it is written, or a line in between would tell of those before it
			}
		}
		start := time.Now()
		q.Flush(time.Second)
		if took := time.Since(start); took != time.Second {
			t.Errorf("Flush took %v", took)
		}
		var got strings.Builder
		read := make(chan struct{})
		go func() { io.Copy(&got, reader); close(read) }()
		synctest.Wait()
		log.Info("last")
		q.Flush(time.Second)
		if q.Flush(time.Second); time.Since(start) != time.Second {
			t.Errorf("Flush waits though all was read: %v", time.Since(start))
		}
		w.Close()
		<-read
		close(q.lines)
		lines := strings.Split(strings.TrimSpace(got.String()), "\n")
		if n := len(lines); n < queued || n > queued+3 || !strings.Contains(lines[0], "line 0") ||
			!strings.HasSuffix(lines[n-1], fmt.Sprintf("msg=last %s=%d", Lost, 3*queued+1-n)) {
			t.Errorf("%d lines, the last\n%s", len(lines), lines[len(lines)-1])
		}
	})
}

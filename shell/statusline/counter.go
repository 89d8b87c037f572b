package statusline

import (
	"fmt"
	"sync/atomic"
	"time"

	"kernelroutes/internal/thousands"
)

// A Counter is how far something is that goes through many objects, one stage after the other. Whoever does that
// counts, and whoever waits looks at it. Where nobody waits it is nil, and counts nothing.
type Counter struct{ now atomic.Pointer[stage] }

// A stage goes through objects once.
type stage struct {
	what, in string
	of       int
	since    time.Time
	done     atomic.Int64
}

// Begin begins a stage: what is done, in which state or file ("": that needs no word), and with how many objects
// (0: that is not known).
func (c *Counter) Begin(what, in string, of int) {
	if c != nil {
		c.now.Store(&stage{what: what, in: in, of: of, since: time.Now()})
	}
}

// Next counts an object of the stage that has begun.
func (c *Counter) Next() {
	if c == nil {
		return
	}
	if s := c.now.Load(); s != nil {
		s.done.Add(1)
	}
}

// Text says it in one line, with the numbers first, as the line is cut where the terminal ends; "": nothing has
// begun.
func (c *Counter) Text(now time.Time) string {
	s := c.now.Load()
	if s == nil {
		return ""
	}
	text := s.what
	if done := s.done.Load(); done > 0 {
		text += ": " + thousands.Of(done)
		if int64(s.of) >= done {
			text += " of " + thousands.Of(int64(s.of))
		}
		took := max(now.Sub(s.since), time.Millisecond)
		text += fmt.Sprintf(", %s/s", thousands.Of(int64(float64(done)/took.Seconds())))
	}
	if s.in != "" {
		text += ", in " + s.in
	}
	return text
}

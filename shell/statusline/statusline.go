// Package statusline tells somebody who waits at a terminal what is going on, in one line that is written
// anew until there is something else to write.
package statusline

import (
	"context"
	"io"
	"sync"
	"time"

	"kernelroutes/shell/iptext"
)

// When a line is shown first, and how long it stays as it is.
const (
	After = 500 * time.Millisecond
	every = 200 * time.Millisecond
)

// A Line is the line of a terminal in which the cursor is. All that is written to the terminal has to go
// through Writer, or after Clear or Hush. Safe for concurrent use.
type Line struct {
	out   io.Writer
	width func() int // of the terminal, as it is now; 0: not known

	mu    sync.Mutex
	text  func(since time.Time) string // nil: nothing is watched
	ctx   context.Context
	since time.Time
	hush  int  // how often Hush is in force
	over  bool // see Enough
	shown bool // something is in the line
}

// New returns a line of the terminal that out is.
func New(out io.Writer, width func() int) *Line { return &Line{out: out, width: width} }

// Watch shows text, if what it tells of goes on for longer than After, until the context ends or stop is
// called. text is told when that began. Of two that are watched at once only the first is shown.
func (l *Line) Watch(ctx context.Context, text func(since time.Time) string) (stop func()) {
	if !l.begin(ctx, text, time.Now()) {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				l.Clear()
				return
			case now := <-tick.C:
				l.draw(now)
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(done)
		l.end()
	})
}

func (l *Line) begin(ctx context.Context, text func(time.Time) string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text != nil {
		return false
	}
	l.ctx, l.text, l.since, l.over = ctx, text, now, false
	return true
}

func (l *Line) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	l.ctx, l.text = nil, nil
}

// draw writes the line, if it is time.
func (l *Line) draw(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text == nil || l.hush > 0 || l.over || l.ctx.Err() != nil || now.Sub(l.since) < After {
		return
	}
	text := iptext.Visible([]byte(l.text(l.since)), 0)
	if width := l.width(); width > 0 {
		text = iptext.Cut(text, width-1) // or the cursor may go to the next line
	}
	l.shown = true
	l.write("\r" + string(text) + "\x1b[K")
}

// Clear takes away what is in the line.
func (l *Line) Clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
}

func (l *Line) clear() {
	if l.shown {
		l.shown = false
		l.write("\r\x1b[K")
	}
}

func (l *Line) write(text string) { _, _ = io.WriteString(l.out, text) } // nothing depends on it

// Hush has the line be empty until resume is called, after which it takes as long as at first until
// something is shown.
func (l *Line) Hush() (resume func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	l.hush++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.hush--
		l.since, l.over = time.Now(), false
	})
}

// Anew has what is watched begin anew: it takes as long as at first until something is shown.
func (l *Line) Anew() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	l.since, l.over = time.Now(), false
}

// Enough has the line be empty until something else begins (Watch, Anew, or the end of a Hush): what is waited
// for comes by itself now.
func (l *Line) Enough() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	l.over = true
}

// Writer returns a writer to w, which writes to the same terminal, perhaps: the line is cleared before.
func (l *Line) Writer(w io.Writer) io.Writer { return writer{l, w} }

type writer struct {
	line *Line
	out  io.Writer
}

func (w writer) Write(b []byte) (int, error) {
	w.line.mu.Lock()
	defer w.line.mu.Unlock()
	w.line.clear()
	return w.out.Write(b)
}

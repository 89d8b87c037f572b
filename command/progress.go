package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"kernelroutes/internal/thousands"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell"
	"kernelroutes/shell/statusline"
)

// waiting is the line of the terminal, if standard error is one, that tells somebody who waits what is
// going on. Who writes to that terminal otherwise than by stderr and stdout calls its Hush before.
var waiting = statusline.New(os.Stderr, func() int { return widthOf(os.Stderr) })

// tellsProgress reports whether somebody waits at a terminal. Where the output goes into a pipe,
// others may write to the terminal too.
var tellsProgress = sync.OnceValue(func() bool {
	if dumb() || !term.IsTerminal(int(os.Stderr.Fd())) {
		return false
	}
	out, err := os.Stdout.Stat()
	return err == nil && (out.Mode().IsRegular() || out.Mode()&os.ModeCharDevice != 0)
})

// tellProgress tells what is going on until stop is called, or the context ends.
func tellProgress(ctx context.Context) (stop func()) {
	if !tellsProgress() {
		return func() {}
	}
	return waiting.Watch(ctx, func(since time.Time) string { return doing.text(since, time.Now()) })
}

// doing is what the command is doing.
var doing progress

// A progress is how far a command is.
type progress struct {
	sql     shell.Progress     // of a statement
	reading rtnl.Progress      // of the kernel
	stage   statusline.Counter // of what has been read

	mu   sync.Mutex
	from *fileReader // nil: no file is being read
}

// kernel returns what is to be told of what is read from the kernel; nil: nothing.
func (p *progress) kernel() *rtnl.Progress {
	if !tellsProgress() {
		return nil
	}
	return &p.reading
}

// statement returns what is to be told how far a statement is; nil: nothing.
func (p *progress) statement() *shell.Progress {
	if !tellsProgress() {
		return nil
	}
	p.sql.Begin = p.begin
	return &p.sql
}

// begin notes that a statement begins.
func (p *progress) begin() {
	p.reading.Forget()
	waiting.Anew()
}

// counter returns what is to count the objects that a command goes through; nil: nothing is.
func (p *progress) counter() *statusline.Counter {
	if !tellsProgress() {
		return nil
	}
	return &p.stage
}

// A fileReader counts what is read from a file.
type fileReader struct {
	io.Reader
	name string
	read atomic.Int64
}

func (r *fileReader) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	r.read.Add(int64(n))
	return n, err
}

// file notes that a file begins to be read, by what is returned; nil: that it ends.
func (p *progress) file(in io.Reader, name string) io.Reader {
	p.mu.Lock()
	defer p.mu.Unlock()
	if in == nil {
		p.from = nil
		return nil
	}
	p.from = &fileReader{Reader: in, name: name}
	return p.from
}

// text says it in one line.
func (p *progress) text(since, now time.Time) string {
	p.mu.Lock()
	from := p.from
	p.mu.Unlock()
	took := now.Sub(since)
	reading := p.reading.Now()
	switch rows := p.sql.Rows.Load(); {
	case from != nil:
		n := from.read.Load() >> 10
		return fmt.Sprintf("reading %s: %s KiB, %s KiB/s", from.name, thousands.Of(n), thousands.Of(rate(n, took)))
	case !reading.Since.IsZero():
		return readingText(reading, now)
	case rows > 0:
		text := thousands.Of(rows) + " rows"
		// It may go through them several times, and through others.
		if _, routes, _ := counted(reading); p.sql.Scans.Load() == 1 && routes >= rows {
			text += " of " + thousands.Of(routes) + " routes"
		}
		return fmt.Sprintf("%s, %s/s", text, thousands.Of(rate(rows, took)))
	}
	if text := p.stage.Text(now); text != "" {
		return text
	}
	return fmt.Sprintf("at work for %.1f s", took.Seconds())
}

// readingText says what is read from the kernel.
func readingText(r rtnl.Reading, now time.Time) string {
	what := strings.TrimPrefix(strings.TrimPrefix(r.What, "look up "), "dump ")
	if len(r.Families) == 0 || !strings.HasSuffix(what, "routes") {
		return "reading " + what
	}
	names, read, expected := counted(r)
	text := fmt.Sprintf("reading %s routes: %s", strings.Join(names, " and "), thousands.Of(read))
	if expected >= read {
		text += " of about " + thousands.Of(expected)
	}
	if r.Again {
		text += " (again, as some have changed)"
	}
	return text + ", " + thousands.Of(rate(read, now.Sub(r.Since))) + "/s"
}

// counted returns of which families routes have been read, how many, and how many there are; 0: that is not known.
func counted(r rtnl.Reading) (names []string, read, expected int64) {
	known := true
	for _, f := range r.Families {
		names = append(names, map[object.Family]string{object.IPv4: "IPv4", object.IPv6: "IPv6"}[f.Family])
		read += f.Read
		expected += f.Expected
		known = known && f.Expected > 0
	}
	if !known {
		expected = 0
	}
	return names, read, expected
}

// rate returns how many there were in a second.
func rate(n int64, took time.Duration) int64 {
	return int64(float64(n) / max(took, time.Millisecond).Seconds())
}

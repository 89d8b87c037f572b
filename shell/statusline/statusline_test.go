package statusline

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	var screen bytes.Buffer
	width := 20
	l := New(&screen, func() int { return width })
	begun := time.Now()
	ctx, cancel := context.WithCancel(t.Context())
	text := "some routes"
	draw := func(after time.Duration) string {
		screen.Reset()
		l.draw(begun.Add(after))
		return screen.String()
	}
	expect := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	expect("nothing is watched", draw(time.Hour), "")
	l.begin(ctx, func(since time.Time) string { return fmt.Sprint(text, since.Equal(begun)) }, begun)
	expect("too early", draw(After-1), "")
	expect("then", draw(After), "\rsome routestrue\x1b[K")
	text = "\x1b[31m日本日本日本日本"
	expect("cut", draw(2*After), "\r\\x1b[31m日本日本日…\x1b[K")
	width = 1
	expect("no room", draw(2*After), "\r\x1b[K")
	width, text = 0, strings.Repeat("x", 200)
	expect("width not known", draw(2*After), "\r"+text+"true\x1b[K")

	screen.Reset()
	io.WriteString(l.Writer(&screen), "warning\n")
	io.WriteString(l.Writer(&screen), "another\n")
	expect("written", screen.String(), "\r\x1b[Kwarning\nanother\n")

	text = "x"
	draw(After)
	screen.Reset()
	resume, resumeToo := l.Hush(), l.Hush()
	expect("hushed", screen.String(), "\r\x1b[K")
	expect("while hushed", draw(time.Hour), "")
	resume()
	resume()
	expect("still hushed", draw(time.Hour), "")
	resumeToo()
	l.since = begun
	expect("again", draw(After), "\rxtrue\x1b[K")
	l.Enough()
	expect("enough", draw(time.Hour), "")
	l.Hush()()
	l.since = begun
	expect("begun again", draw(After), "\rxtrue\x1b[K")
	if l.begin(ctx, nil, begun) {
		t.Error("two are watched")
	}
	cancel()
	expect("the context has ended", draw(After), "")
	screen.Reset()
	l.end()
	l.end()
	expect("at the end", screen.String(), "\r\x1b[K")
}

// TestWatch: it is drawn again and again, and nothing is left in the end.
func TestWatch(t *testing.T) {
	var screen bytes.Buffer
	l := New(&screen, func() int { return 80 })
	times := make(chan struct{})
	stop := l.Watch(t.Context(), func(time.Time) string {
		times <- struct{}{}
		return "busy"
	})
	if l.Watch(t.Context(), nil); l.text == nil {
		t.Error("the second one has taken its place")
	}
	<-times
	<-times
	go func() {
		for range times { // what stop waits for
		}
	}()
	stop()
	stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	got := screen.String()
	if !strings.HasPrefix(got, "\rbusy\x1b[K\rbusy\x1b[K") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("%q", got)
	}
	close(times)
}

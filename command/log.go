package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"kernelroutes/internal/logging"
)

// stderr is where the log goes, and all that the program has to say besides its output.
var stderr io.Writer = spoken

var spoken = &gate{out: waiting.Writer(os.Stderr)}

// collected: what is said is the extension's, and may be collected where its rows do not go, so that no addresses
// are in it. What a command says is for who has typed them.
var collected bool

// A gate passes on what is written to it, but keeps it for later while it is held.
type gate struct {
	out io.Writer

	mu   sync.Mutex
	held bool
	kept []byte
}

func (g *gate) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held {
		g.kept = append(g.kept, b...)
		return len(b), nil
	}
	return g.out.Write(b)
}

// hold keeps what is written until release is called.
func (g *gate) hold() (release func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held = true
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		_, _ = g.out.Write(g.kept)
		g.held, g.kept = false, nil
	}
}

// waitForNobody has what is said go on its way by itself: whoever started the extension may not read
// it, and it is to answer nevertheless. What is left at the end is written by the function returned,
// if it can be.
func waitForNobody() (atEnd func()) {
	q := logging.NewQueue(os.Stderr)
	stderr, collected = q, true
	return func() { q.Flush(time.Second) }
}

// stderrLog logs to standard error what is at least of a level, unless the environment says another
// one.
func stderrLog(level slog.Level) *slog.Logger {
	o, err := logging.Options{Level: level}.Parse(os.Getenv(logging.Variable))
	log := logging.New(stderr, o)
	if err != nil {
		log.Warn("ignoring a word in the environment", "err", err)
	}
	return log
}

// complain tells whoever has started the program of something, in one line: in words, or as a line
// of the log if that is to be JSON.
func complain(level slog.Level, text string) {
	o, _ := logging.Options{Level: level}.Parse(os.Getenv(logging.Variable))
	switch {
	case o.JSON:
		o.Level, o.Whole = level, !collected // the variable's level is for the log
		logging.New(stderr, o).Log(context.Background(), level, text)
	case level < slog.LevelWarn:
		fmt.Fprintf(stderr, "%s: %s\n", program, oneLine(text))
	case level < slog.LevelError:
		fmt.Fprintf(stderr, "%s: warning: %s\n", program, oneLine(text))
	default:
		fmt.Fprintf(stderr, "%s: %s\n", program, oneLine(text))
	}
}

// warn tells of what is no failure and should be known nevertheless.
func warn(text string) { complain(slog.LevelWarn, text) }

// note tells of what is neither a failure nor a fault.
func note(text string) { complain(slog.LevelInfo, text) }

// oneLine makes a text one line: SQL in a message may have line breaks and worse.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

package command

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"kernelroutes/internal/logging"
)

// stderr is where the log goes, and all that the program has to say besides its output.
var stderr io.Writer = os.Stderr

// waitForNobody has what is said go on its way by itself: whoever started the extension may not read
// it, and it is to answer nevertheless. What is left at the end is written by the function returned,
// if it can be.
func waitForNobody() (atEnd func()) {
	q := logging.NewQueue(os.Stderr)
	stderr = q
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
		o.Level = level // which is for the log
		logging.New(stderr, o).Log(context.Background(), level, text)
	case level < slog.LevelError:
		fmt.Fprintf(stderr, "%s: warning: %s\n", program, oneLine(text))
	default:
		fmt.Fprintf(stderr, "%s: %s\n", program, oneLine(text))
	}
}

// warn tells of what is no failure and should be known nevertheless.
func warn(text string) { complain(slog.LevelWarn, text) }

// oneLine makes a text one line: SQL in a message may have line breaks and worse.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

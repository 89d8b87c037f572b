package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"kernelroutes/internal/logging"
)

// stderrLog logs to standard error what is at least of a level, unless the environment says another
// one.
func stderrLog(level slog.Level) *slog.Logger {
	o, err := logging.Options{Level: level}.Parse(os.Getenv(logging.Variable))
	log := logging.New(os.Stderr, o)
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
		logging.New(os.Stderr, o).Log(context.Background(), level, text)
	case level < slog.LevelError:
		fmt.Fprintf(os.Stderr, "%s: warning: %s\n", program, oneLine(text))
	default:
		fmt.Fprintf(os.Stderr, "%s: %s\n", program, oneLine(text))
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

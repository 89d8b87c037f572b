package logging

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	all := Options{JSON: true, Level: slog.LevelDebug}
	for text, want := range map[string]Options{
		"":              {Level: slog.LevelWarn},
		"json":          {JSON: true, Level: slog.LevelWarn},
		"JSON, debug":   all,
		"debug,,json, ": all,
		"text":          {Level: slog.LevelWarn},
		"json,text":     {Level: slog.LevelWarn},
		"error":         {Level: slog.LevelError},
		"info":          {Level: slog.LevelInfo},
	} {
		if got, err := (Options{Level: slog.LevelWarn}).Parse(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"jsn,debug", "debug;json,debug", "debug,warn+1", "debug,1"} {
		got, err := (Options{Level: slog.LevelWarn}).Parse(text)
		if err == nil || got.JSON || got.Level != slog.LevelDebug || !strings.Contains(err.Error(), Variable) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// TestFailures has each failure logged once in a while, with how many there were since.
func TestFailures(t *testing.T) {
	var b strings.Builder
	log, now := New(&b, Options{}), time.Now()
	f := log.Handler().(*handler).failures
	f.now = func() time.Time { return now }
	for range 100 {
		log.Warn("one", "err", errors.New("broken"))
		log.With("table", "t").Error("another")
		log.Info("news")
	}
	log.Warn("for 10.0.0.1")
	log.Warn("for 10.0.0.2") // which looks the same
	if n := strings.Count(b.String(), "\n"); n != 103 {
		t.Errorf("%d lines:\n%s", n, &b)
	}
	now = now.Add(interval - 1)
	log.Warn("one", "err", errors.New("broken"))
	now = now.Add(1)
	log.Warn("one", "err", errors.New("broken"))
	if s := b.String(); !strings.HasSuffix(s, "msg=one err=broken not_logged_before=100\n") ||
		strings.Count(s, "\n") != 104 {
		t.Errorf("the log:\n%s", s)
	}
	for i := range 3 * maxKinds {
		log.Warn(fmt.Sprint("kind ", i))
	}
	if n := len(f.kinds); n > maxKinds {
		t.Errorf("%d kinds are remembered", n)
	}
}

func TestHideAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"gateway='10.0.0.1', not 10.0.0.0/8.":           "gateway='[address]', not [address].",
		"to 2001:db8::1/128: unreachable":               "to [address]: unreachable",
		"to 2001:db8::1: unreachable":                   "to [address]: unreachable",
		"no 2001:db8::1. No fe80::.: none":              "no [address]. No [address].: none",
		"fe80::1%eth0":                                  "[address]%eth0",
		"::ffff:10.0.0.1":                               "[address]",
		"ipv4:254:10.0.0.0/8:1bf3cf81d4f2dc2b":          "ipv4:254:[address]:1bf3cf81d4f2dc2b",
		"at 20:42:31, version 1.2.3, /a/b.c: EOF :: ::": "at 20:42:31, version 1.2.3, /a/b.c: EOF :: ::",
		"999.1.1.1 00:11:22:33:44:55":                   "999.1.1.1 00:11:22:33:44:55",
	} {
		if got := hideAddresses(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestAddresses has no address in what is logged above debug, wherever it is.
func TestAddresses(t *testing.T) {
	for _, options := range []Options{{Level: slog.LevelDebug}, {JSON: true, Level: slog.LevelDebug}} {
		var b strings.Builder
		log := New(&b, options)
		err := fmt.Errorf("route to 10.0.0.0/8: %w", errors.New("no 10.0.0.0"))
		for _, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
			log.With("a", "10.0.0.0").WithGroup("g").Log(t.Context(), level, level.String()+" for 10.0.0.0", "err", err,
				slog.Group("b", "c", "10.0.0.0/8", "n", 10), "list", []string{"10.0.0.0"})
		}
		if s := b.String(); strings.Contains(s, "10.0.0") || strings.Count(s, "\n") != 3 ||
			strings.Count(s, hidden) != 3*6 {
			t.Errorf("the log:\n%s", s)
		}
		b.Reset()
		log.Debug("route", "dst", "10.0.0.0/8")
		if !strings.Contains(b.String(), "10.0.0.0/8") {
			t.Errorf("debugging:\n%s", &b)
		}
	}
}

// TestWhole has addresses in each line if that is wanted.
func TestWhole(t *testing.T) {
	for _, options := range []Options{{Whole: true}, {Whole: true, JSON: true}} {
		var b strings.Builder
		New(&b, options).With("a", "10.0.0.1").WithGroup("g").Error("no 10.0.0.2", "err", errors.New("10.0.0.3"))
		for _, address := range []string{"10.0.0.1", "10.0.0.2", "10.0.0.3"} {
			if !strings.Contains(b.String(), address) {
				t.Errorf("%s is missing: %s", address, &b)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	var b strings.Builder
	New(&b, Options{JSON: true}).Warn("it \"failed\"\n", "err", errors.New("x"), "times", 3)
	var line map[string]any
	if err := json.Unmarshal([]byte(b.String()), &line); err != nil || line["msg"] != "it \"failed\"\n" ||
		line["err"] != "x" || line["times"] != 3.0 || line["level"] != "WARN" {
		t.Errorf("%v: %s", err, &b)
	}
}

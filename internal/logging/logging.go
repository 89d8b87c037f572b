// Package logging is how the program logs: lines of text or of JSON on standard error, of each
// failure not more than one in a while, and of the host's addresses none unless debugging,
// or where who reads them has typed them.
package logging

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Variable is the environment variable that says how to log: words of Parse.
const Variable = "KERNEL_ROUTES_LOG"

// Options say how to log.
type Options struct {
	JSON  bool // one object a line; else key=value
	Level slog.Level
	Whole bool // with addresses at each level: what is said to who has typed them
}

// Parse reads options as people write them: words, separated by commas, of which json and text
// choose the format, and debug, info, warn and error the least level. What no word chooses stays as
// it is. The error names the word that is none of these, and the options are without it.
func (o Options) Parse(text string) (_ Options, err error) {
	for word := range strings.SplitSeq(text, ",") {
		var level slog.Level
		switch word = strings.ToLower(strings.TrimSpace(word)); {
		case word == "":
		case word == "json" || word == "text":
			o.JSON = word == "json"
		case strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") == "" && level.UnmarshalText([]byte(word)) == nil:
			o.Level = level
		default:
			err = fmt.Errorf("%s: there is no %q: write json or text, and debug, info, warn or error, with a comma "+
				"between", Variable, word)
		}
	}
	return o, err
}

// New returns a logger that writes lines to w.
func New(w io.Writer, o Options) *slog.Logger {
	opts := &slog.HandlerOptions{Level: o.Level}
	var h slog.Handler = slog.NewTextHandler(w, opts)
	if o.JSON {
		h = slog.NewJSONHandler(w, opts)
	}
	q, _ := w.(*Queue)
	return slog.New(&handler{h, &failures{now: time.Now}, q, o.Whole})
}

// interval is how often a failure of one kind is logged.
const interval = 10 * time.Second

// maxKinds bounds the kinds of failures that are remembered. It is more than there are, unless
// their messages are different each time.
const maxKinds = 1000

// Suppressed is the attribute that says how many failures of the kind were not logged since the
// line before.
const Suppressed = "not_logged_before"

// Lost is the attribute that says how many lines before were lost: see Queue.
const Lost = "lines_lost_before"

// A handler logs warnings and errors, which are failures of some kind by their message, not more
// often than interval, and leaves addresses out of all that is not for debugging.
type handler struct {
	slog.Handler
	failures *failures
	queue    *Queue // nil: whoever logs waits for whoever reads
	whole    bool   // Options.Whole
}

func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level <= slog.LevelDebug {
		return h.write(ctx, r)
	}
	more, message := 0, h.shown(slog.String("", r.Message)).Value.String()
	if r.Level >= slog.LevelWarn {
		var ok bool
		if more, ok = h.failures.add(message); !ok {
			return nil
		}
	}
	shown := slog.NewRecord(r.Time, r.Level, message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		shown.AddAttrs(h.shown(a))
		return true
	})
	if more > 0 {
		shown.AddAttrs(slog.Int(Suppressed, more))
	}
	return h.write(ctx, shown)
}

func (h *handler) write(ctx context.Context, r slog.Record) error {
	if h.queue == nil {
		return h.Handler.Handle(ctx, r)
	}
	return h.queue.tell(func(lost int64) error {
		if lost > 0 {
			r.AddAttrs(slog.Int64(Lost, lost))
		}
		return h.Handler.Handle(ctx, r)
	})
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	shown := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		shown[i] = h.shown(a)
	}
	return &handler{h.Handler.WithAttrs(shown), h.failures, h.queue, h.whole}
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{h.Handler.WithGroup(name), h.failures, h.queue, h.whole}
}

// shown returns an attribute as the options want it.
func (h *handler) shown(a slog.Attr) slog.Attr {
	if h.whole {
		return a
	}
	return withoutAddresses(a)
}

// failures are those that were logged of late.
type failures struct {
	now func() time.Time

	mu    sync.Mutex
	kinds map[string]*failure
}

type failure struct {
	logged time.Time
	more   int // since then
}

// add notes a failure. It returns whether it is to be logged, and how many were not since the last
// one that was.
func (f *failures) add(kind string) (more int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	k := f.kinds[kind]
	switch {
	case k == nil:
		if f.kinds == nil || len(f.kinds) >= maxKinds {
			f.kinds = map[string]*failure{}
		}
		f.kinds[kind] = &failure{logged: now}
		return 0, true
	case now.Sub(k.logged) < interval:
		k.more++
		return 0, false
	}
	more, *k = k.more, failure{logged: now}
	return more, true
}

// withoutAddresses returns the attribute as it may be shown.
func withoutAddresses(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch v := a.Value.Any().(type) {
	case string:
		a.Value = slog.StringValue(hideAddresses(v))
	case []slog.Attr:
		shown := make([]slog.Attr, len(v))
		for i := range v {
			shown[i] = withoutAddresses(v[i])
		}
		a.Value = slog.GroupValue(shown...)
	case int64, uint64, float64, bool, time.Duration, time.Time, nil:
	default: // errors, and what else has a text
		a.Value = slog.StringValue(hideAddresses(fmt.Sprint(v)))
	}
	return a
}

// hidden stands for an address.
const hidden = "[address]"

// What may be an address, with the length of a prefix.
var (
	ipv6Like = regexp.MustCompile(`[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f.:]*(?:/[0-9]+)?`)
	ipv4Like = regexp.MustCompile(`(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?:/[0-9]+)?`)
)

// hideAddresses puts a word in the place of each address: the log may go elsewhere than the rows.
func hideAddresses(text string) string {
	if !strings.ContainsAny(text, ".:") {
		return text
	}
	return ipv4Like.ReplaceAllStringFunc(ipv6Like.ReplaceAllStringFunc(text, hideAddress), hideAddress)
}

func hideAddress(s string) string {
	text, _, _ := strings.Cut(s, "/")
	// Colons and full stops at its end may be the sentence's.
	for addr := text; ; addr = addr[:len(addr)-1] {
		if _, err := netip.ParseAddr(addr); err == nil && addr != "::" {
			return hidden + text[len(addr):]
		}
		if !strings.HasSuffix(addr, ":") && !strings.HasSuffix(addr, ".") {
			break
		}
	}
	return s
}

package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"kernelroutes/internal/memory"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/events"
	"kernelroutes/tables"
	"kernelroutes/tables/extension"
	"kernelroutes/tables/extension/confine"
)

// extensionFlags are the flags that osquery passes to an extension.
type extensionFlags struct {
	socket            string
	timeout, interval int
	verbose           bool
}

func (e *extensionFlags) define(f *pflag.FlagSet) {
	f.StringVar(&e.socket, "socket", "", "`path` of osquery's extension socket")
	f.IntVar(&e.timeout, "timeout", 3, "`seconds` to wait for osquery")
	f.IntVar(&e.interval, "interval", 3, "`seconds` between two looks at osquery")
	f.BoolVar(&e.verbose, "verbose", false, "log more")
}

// startedByOsquery reports whether the program is to be an extension: --socket is
// there, and no command before it.
func startedByOsquery(args []string) bool {
	return len(args) > 0 && strings.HasPrefix(args[0], "-") && slices.ContainsFunc(args, func(arg string) bool {
		name, _, _ := strings.Cut(arg, "=")
		return name == "--socket" || name == "-socket"
	})
}

// parse reads osquery's flags, with one dash or two. What it does not know it
// only warns of: osquery would start an extension that ends again and again.
func (e *extensionFlags) parse(known *pflag.FlagSet, args []string) error {
	warn := func(format string, a ...any) { warn(fmt.Sprintf(format, a...)) }
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, given := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		flag := known.Lookup(name)
		switch {
		case !strings.HasPrefix(arg, "-"):
			warn("ignoring the argument %q", arg)
			continue
		case flag == nil:
			warn("ignoring the unknown flag %s", arg)
			if !given && len(args) > 0 && !strings.HasPrefix(args[0], "-") {
				args = args[1:] // its value
			}
			continue
		case given:
		case flag.NoOptDefVal != "":
			value = flag.NoOptDefVal
		case len(args) == 0:
			return fmt.Errorf("--%s needs a value", name)
		default:
			value, args = args[0], args[1:]
		}
		if err := flag.Value.Set(value); err != nil {
			warn("ignoring --%s=%s: %s", name, value, wanted(flag))
			flag.Value.Set(flag.DefValue) // it may have been changed nevertheless
		}
	}
	if e.socket == "" {
		return errors.New("--socket needs a value: the path of osquery's extension socket")
	}
	return nil
}

// run is the extension until osquery ends it (SIGTERM) or is gone. It is in the
// process group of an osqueryi on a terminal, so that Ctrl-C, which there ends a
// query, Ctrl-\, and the terminal's end come to it as well: they are osqueryi's business.
func (e *extensionFlags) run() error {
	if runtime.GOOS != "linux" {
		return failed(errNeedsLinux)
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP)
	memory.KeepBelow()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	level := slog.LevelWarn
	if e.verbose {
		level = slog.LevelDebug
	}
	log := stderrLog(level)
	kernel := rtnl.Kernel{Logger: log, Counters: new(rtnl.Counters)}
	src := &extensionSource{Cache: &rtnl.Cache{Kernel: kernel}, served: new(extension.Counters),
		ownOnly: turnedOff(log, netnsVariable)}
	most := maxEvents(log)
	confined(log, confine.Options{Socket: e.socket, Namespaces: !src.ownOnly, Authors: most > 0})
	if most > 0 {
		src.log = events.Start(&kernel, events.Options{MaxBytes: most, Logger: log})
		defer src.log.Close()
	}
	ext := extension.Extension{
		Socket:      e.socket,
		Timeout:     time.Duration(e.timeout) * time.Second,
		Interval:    time.Duration(e.interval) * time.Second,
		Version:     thisBuild().Version,
		Source:      src,
		Tables:      tables.All(),
		Logger:      log,
		Counters:    src.served,
		MaxResponse: maxResponse(log),
	}
	return failed(ext.Run(ctx))
}

// An extensionSource is what the extension answers from: the kernel, and the changes since the
// extension was started.
type extensionSource struct {
	*rtnl.Cache
	log     *events.Log // nil: they are turned off
	served  *extension.Counters
	ownOnly bool // other network namespaces are not shown
}

// Events returns the changes that are kept of those after one.
func (s *extensionSource) Events(ctx context.Context, after uint64) ([]*events.Event, error) {
	if s.log == nil {
		return nil, errors.New("changes are not followed, as " + eventsVariable + " is 0 where osquery runs; set " +
			"it to how many megabytes of them to keep, or take it away, and start osquery again")
	}
	return s.log.Events(ctx, after)
}

// eventsVariable is the environment variable that says how many megabytes of changes are kept.
const eventsVariable = "KERNEL_ROUTES_EVENTS_MB"

// maxEvents returns how many bytes of changes are kept; 0: they are not followed.
func maxEvents(log *slog.Logger) int64 {
	mb, ok := megabytes(log, eventsVariable, fmt.Sprint(events.MaxBytes>>20))
	if !ok {
		return events.MaxBytes
	}
	return mb << 20
}

// maxResponse reads the limit for one answer to osquery from the environment. 0:
// it is not set, so that osquery's watchdog decides; -1: no limit.
func maxResponse(log *slog.Logger) int64 {
	mb, ok := megabytes(log, extension.MaxResponseVariable, "what osquery's watchdog allows")
	switch {
	case !ok:
		return 0
	case mb == 0:
		return -1
	}
	return mb << 20
}

// megabytes reads a number of megabytes from an environment variable. What is none is ignored,
// and used is what holds then.
func megabytes(log *slog.Logger, variable, used string) (mb int64, ok bool) {
	text, ok := os.LookupEnv(variable)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(text, 10, 40)
	if err != nil {
		log.Warn("ignoring an environment variable that is no number of megabytes", "variable", variable, "value", text,
			"used", used)
		return 0, false
	}
	return int64(n), true
}

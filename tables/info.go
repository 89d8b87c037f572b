package tables

import (
	"context"
	"errors"
	"math"
	"strings"
	"time"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/events"
)

// Info is the table kernel_routes_info.
var Info = define(Table{
	Name: "kernel_routes_info",
	Description: "The state of the program that the other tables come from, in one row: its version, what it has " +
		"been asked and has answered since it was started, what went wrong, and what it takes of the host.",
	Examples: []Example{
		{"Whether all is well: no query has failed, no change was missed.",
			"SELECT version, uptime, queries, errors, last_error, events_state, events_lost FROM kernel_routes_info"},
		{"What it takes: memory in MiB, open files, goroutines.",
			"SELECT memory / 1048576 AS mib, memory_peak / 1048576 AS peak_mib, open_files, goroutines " +
				"FROM kernel_routes_info"},
		{"How often the kernel was read again, as routes changed meanwhile, and how often in vain.",
			"SELECT snapshots, retries, snapshots_inconsistent, cache_hits FROM kernel_routes_info"},
	},
}, infoColumns, source[Health]{find: findInfo, rows: foundRows[Health]})

// A Health is what kernel_routes_info tells of the program.
type Health struct {
	Version string // as --version has it
	Commit  string
	Kernel  string // the release that runs
	PID     int
	Started time.Time
	// Protection lists what the process has given up: "no_new_privs", "capabilities", "seccomp",
	// "landlock"; separated by blanks.
	Protection string

	Reads   rtnl.Stats
	Process Usage

	Served *Served // nil: it is no extension

	// EventsState is one of the EventsStates. Where it is not EventsOff, Events are those of the Log.
	EventsState string
	Events      events.Stats
}

// What Health.EventsState may be.
const (
	EventsOff       = "off"       // no changes are followed
	EventsFollowing = "following" // changes are followed
	EventsFailing   = "failing"   // they cannot be at the moment; it is tried again
)

// Served is what an extension has been asked for since it was started.
type Served struct {
	Queries     uint64 // osquery's requests for rows
	Errors      uint64 // those of them that failed
	Timeouts    uint64 // those of these that took too long
	Rows        uint64 // that were sent
	Connections int    // that are open
	LastError   string // "": there was none
	LastErrorAt time.Time
}

// Usage is what a process takes of the host. What is not known is negative.
type Usage struct {
	Memory, MemoryPeak int64 // bytes, resident
	Goroutines         int
	OpenFiles          int
}

// A HealthSource is a Source that knows how the program is.
type HealthSource interface {
	Source
	Health() (Health, error)
}

// HealthOf returns how the program is that a source belongs to, or ErrNoHealth.
func HealthOf(src Source) (Health, error) {
	if s, ok := src.(HealthSource); ok {
		return s.Health()
	}
	return Health{}, ErrNoHealth
}

// ErrNoHealth is why a source has no row of kernel_routes_info.
var ErrNoHealth = errors.New("a capture says nothing of the program that reads it: leave --from out")

// findInfo finds the row of kernel_routes_info.
func findInfo(ctx context.Context, p *plan[Health], from Source) ([]placed[[]Health], error) {
	return eachPlace(ctx, p, from, func(at place) ([]Health, error) {
		const why = "the program is only in the one that osquery runs in; leave netns, pid_with_namespace and " +
			"netns_id out"
		if err := at.checkOwn(from, why); err != nil {
			return nil, err
		}
		h, err := HealthOf(from)
		return []Health{h}, err
	})
}

// count declares a column of a number that grows while the program runs, absent where number
// returns false.
func count(name, description string, number func(*Health) (uint64, bool)) column[Health] {
	return bigint(name, description, nothing, func(h *Health) (int64, bool) {
		n, ok := number(h)
		return int64(min(n, math.MaxInt64)), ok
	}).from(ownCount).volatile().holds(numbersTo(math.MaxInt64))
}

// served declares one of what an extension has served.
func served(name, description string, number func(*Served) uint64) column[Health] {
	return count(name, description+"; absent where it is no extension", func(h *Health) (uint64, bool) {
		if h.Served == nil {
			return 0, false
		}
		return number(h.Served), true
	})
}

// followed declares one of the changes that are followed.
func followed(name, description string, number func(*events.Stats) uint64) column[Health] {
	return count(name, description+"; absent if events_state is off", func(h *Health) (uint64, bool) {
		return number(&h.Events), h.EventsState != EventsOff
	})
}

// used declares one of what the process takes.
func used(name, description, source string, number func(*Usage) int64) column[Health] {
	return bigint(name, description+"; absent if it cannot be told", nothing, func(h *Health) (int64, bool) {
		n := number(&h.Process)
		return n, n >= 0
	}).from(source).volatile().holds(numbersTo(math.MaxInt64))
}

// ownCount is where the counts are from.
const ownCount = "counted by the program"

// infoColumns are the columns of kernel_routes_info.
var infoColumns = []column[Health]{
	text("version", "Version of the program, as --version prints it", nothing,
		func(h *Health, b []byte) []byte { return append(b, h.Version...) }).from("known since the build"),
	text("commit", "Commit that it was built from", nothing,
		func(h *Health, b []byte) []byte { return append(b, h.Commit...) }).from("known since the build"),
	text("kernel", "Release of the kernel that runs", nothing,
		func(h *Health, b []byte) []byte { return append(b, h.Kernel...) }).from("release of uname"),
	bigint("pid", "Process ID of the program", nothing,
		func(h *Health) (int64, bool) { return int64(h.PID), true }).from("getpid").key(),
	bigint("start_time", "When it was started, in [seconds] since 1970 (Unix time)", nothing,
		func(h *Health) (int64, bool) { return h.Started.Unix(), true }).from("CLOCK_REALTIME at the start").
		holds(anyNumber),
	bigint("uptime", "For how long it has run, in [seconds]", nothing,
		func(h *Health) (int64, bool) { return int64(time.Since(h.Started) / time.Second), true }).
		from("CLOCK_MONOTONIC since the start").volatile().holds(anyNumber),
	text("protection",
		"What the process has given up, separated by blanks: no_new_privs, capabilities, landlock, seccomp; empty for "+
			"nothing", nothing,
		func(h *Health, b []byte) []byte { return append(b, h.Protection...) }).from("known since the start"),
	served("queries", "Requests of osquery for rows, this one included",
		func(s *Served) uint64 { return s.Queries }),
	served("errors", "Those of them that failed", func(s *Served) uint64 { return s.Errors }),
	served("timeouts", "Those of the errors that were time-outs: no answer within 60 seconds",
		func(s *Served) uint64 { return s.Timeouts }),
	served("rows", "Rows that were sent", func(s *Served) uint64 { return s.Rows }),
	served("connections", "Connections of osquery's, and of others, that are open",
		func(s *Served) uint64 { return uint64(s.Connections) }),
	text("last_error", "Why the last of the failed queries failed; empty if none has", nothing,
		func(h *Health, b []byte) []byte {
			if h.Served == nil {
				return b
			}
			return append(b, strings.ToValidUTF8(h.Served.LastError, "\ufffd")...)
		}).from("noted by the program").volatile(),
	bigint("last_error_time", "When that was, in [seconds] since 1970 (Unix time); absent if none has", nothing,
		func(h *Health) (int64, bool) {
			if h.Served == nil || h.Served.LastErrorAt.IsZero() {
				return 0, false
			}
			return h.Served.LastErrorAt.Unix(), true
		}).from("CLOCK_REALTIME").volatile().holds(anyNumber),
	count("snapshots", "How often the kernel was read", func(h *Health) (uint64, bool) { return h.Reads.Reads, true }),
	count("snapshots_failed", "Those of them that failed",
		func(h *Health) (uint64, bool) { return h.Reads.Failed, true }),
	count("retries", "How often something changed while the kernel was read, so that it was read again",
		func(h *Health) (uint64, bool) { return h.Reads.Retries, true }),
	count("snapshots_inconsistent", "Snapshots that are not of one moment nevertheless (snapshot_consistent is 0)",
		func(h *Health) (uint64, bool) { return h.Reads.Inconsistent, true }),
	count("cache_hits", "Look-ups, as of joins, that were answered by what had been read just before",
		func(h *Health) (uint64, bool) { return h.Reads.CacheHits, true }),
	text("events_state",
		"Whether changes are followed, for kernel_route_events: following, failing (not at the moment, it is tried "+
			"again), off", nothing,
		func(h *Health, b []byte) []byte { return append(b, h.EventsState...) }).from("noted by the program").
		volatile().holds(words(false, noNumber, []string{EventsFollowing, EventsFailing, EventsOff}, nil)),
	text("events_error", "Why changes cannot be followed; empty if they can be", nothing,
		func(h *Health, b []byte) []byte {
			if h.Events.Err == nil {
				return b
			}
			return append(b, h.Events.Err.Error()...)
		}).from("noted by the program").volatile(),
	followed("events", "Changes that were noted, seq of the last one", func(s *events.Stats) uint64 { return s.Seen }),
	followed("events_kept", "Those of them that kernel_route_events shows",
		func(s *events.Stats) uint64 { return uint64(s.Kept) }),
	followed("events_dropped", "Those of them that are not shown any more, as there was no more room",
		func(s *events.Stats) uint64 { return s.Dropped }),
	followed("events_lost", "How often changes came too fast to be noted: rows whose action is lost",
		func(s *events.Stats) uint64 { return s.Lost }),
	followed("events_size", "About how much memory those take that are shown, in [bytes]",
		func(s *events.Stats) uint64 { return uint64(max(s.Size, 0)) }),
	used("memory", "Resident memory of the process, in [bytes]", "VmRSS in /proc/self/status",
		func(u *Usage) int64 { return u.Memory }),
	used("memory_peak", "The most that it ever was, in [bytes]", "VmHWM in /proc/self/status",
		func(u *Usage) int64 { return u.MemoryPeak }),
	used("open_files", "File descriptors that are open", "entries of /proc/self/fd",
		func(u *Usage) int64 { return int64(u.OpenFiles) }),
	used("goroutines", "Goroutines: what the program does side by side", "known to the runtime",
		func(u *Usage) int64 { return int64(u.Goroutines) }),
}

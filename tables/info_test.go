package tables_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/events"
	"kernelroutes/tables"
)

// A wellSource knows how the program is.
type wellSource struct {
	*rtnl.Kernel
	health tables.Health
}

func (s *wellSource) Health() (tables.Health, error) { return s.health, nil }

// TestInfo has the row of an extension, that of a command, and what is absent.
func TestInfo(t *testing.T) {
	extension := tables.Health{Version: "1.2.3", Commit: "abc", Kernel: "6.1.0", PID: 42, Started: time.Unix(1000, 0),
		Protection: "no_new_privs seccomp", Process: tables.Usage{Memory: 1 << 40, MemoryPeak: 2 << 40, Goroutines: 7,
			OpenFiles: 8}, Reads: rtnl.Stats{Reads: 5, Failed: 1, Retries: 3, Inconsistent: 2, CacheHits: 9},
		Served: &tables.Served{Queries: 10, Errors: 2, Timeouts: 1, Rows: 1 << 40, Connections: 3, LastError: "no\xff",
			LastErrorAt: time.Unix(2000, 0)},
		EventsState: tables.EventsFailing,
		Events:      events.Stats{Seen: 100, Kept: 60, Dropped: 40, Lost: 1, Size: 512, Err: errors.New("broken")}}
	command := tables.Health{Version: "1.2.3", Commit: "abc", Kernel: "6.1.0", PID: 42, Started: time.Unix(1000, 0),
		Process: tables.Usage{Memory: -1, MemoryPeak: -1, Goroutines: 7, OpenFiles: -1}, EventsState: tables.EventsOff}
	const both = "version=1.2.3 commit=abc kernel=6.1.0 pid=42 start_time=1000 "
	for want, h := range map[string]tables.Health{
		both + "protection=no_new_privs seccomp queries=10 errors=2 timeouts=1 rows=1099511627776 connections=3 " +
			"last_error=no\ufffd last_error_time=2000 snapshots=5 snapshots_failed=1 retries=3 " +
			"snapshots_inconsistent=2 cache_hits=9 events_state=failing events_error=broken events=100 " +
			"events_kept=60 events_dropped=40 events_lost=1 events_size=512 memory=1099511627776 " +
			"memory_peak=2199023255552 open_files=8 " +
			"goroutines=7": extension,
		both + "snapshots=0 snapshots_failed=0 retries=0 snapshots_inconsistent=0 cache_hits=0 events_state=off " +
			"goroutines=7": command,
	} {
		rows := scan(t, tables.Info, &wellSource{&rtnl.Kernel{}, h})
		if len(rows) != 1 {
			t.Fatalf("%d rows", len(rows))
		}
		if got := present(rows[0], tables.Info, "uptime"); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// TestInfoPlaces has the row of the process's own network namespace alone, and none of a capture.
func TestInfoPlaces(t *testing.T) {
	src := &wellSource{&rtnl.Kernel{}, tables.Health{Started: time.Now()}}
	if rows := scan(t, tables.Info, src, where(tables.Info, "netns", tables.Equals, "")); len(rows) != 1 {
		t.Errorf("%d rows", len(rows))
	}
	path := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("other", func(t *testing.T) {
		nstest.New(t)
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
	_, err := scanErr(tables.Info, src, where(tables.Info, "netns", tables.Equals, path))
	if err == nil || !strings.Contains(err.Error(), path) ||
		!strings.Contains(err.Error(), "leave netns, pid_with_namespace and netns_id out") {
		t.Errorf("another namespace: %v", err)
	}
	_, err = scanErr(tables.Info, openCapture(t, "ecmp"))
	if err == nil || !strings.Contains(err.Error(), "leave --from out") {
		t.Errorf("a capture: %v", err)
	}
}

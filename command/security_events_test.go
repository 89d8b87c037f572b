package command

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// authorFiles are what SECURITY.md lists for authors. It looks for them on every kernel.
var authorFiles = []string{"/proc/thread-self/net/netlink", "/proc/self", "/proc/loadavg", "/proc", "/proc/PID",
	"/proc/PID/fd", "/proc/PID/fd/*", "/proc/PID/exe", "/proc/PID/status", "/proc/PID/stat", "/proc/PID/cgroup",
	"/proc/PID/task", "/proc/PID/task/TID/children"}

// TestSecurityEvents compares what the built program does when it is told of changes, and looks who made
// them, with the lists of SECURITY.md: the extension, monitor and capture --follow.
func TestSecurityEvents(t *testing.T) {
	needStrace(t)
	for what, run := range map[string]func(*testing.T) (calls []call, socket string){
		"the extension":    tracedExtension,
		"monitor":          tracedMonitor,
		"capture --follow": tracedFollow,
	} {
		t.Run(what, func(t *testing.T) {
			nstest.New(t)
			nstest.Veth(t, "v0", "192.0.2.1/24")
			doc := readSecurity(t)
			calls, socket := run(t)
			for _, p := range doc.problems(calls, t.TempDir(), socket) {
				t.Errorf("SECURITY.md says %s", p)
			}
			for _, name := range authorFiles {
				if !doc.used[name] {
					t.Errorf("nothing looked at %s, which SECURITY.md lists", name)
				}
			}
			if !doc.used["NLMSG_NOOP"] || !doc.used["RTM_GETLINK"] {
				t.Errorf("it has not seen whether all that was told has come: %v", doc.used)
			}
		})
	}
}

// changing has two processes change a route until both are told of as authors: one that is known by its
// id, and one in a PID namespace of its own, for which all processes are searched. told says which are.
func changing(t *testing.T, told func() (certainties string)) {
	t.Helper()
	known, searched := nstest.Last(t, 0), nstest.Last(t, syscall.CLONE_NEWPID)
	end := time.Now().Add(time.Minute)
	for {
		got := told()
		if strings.Contains(got, "process") && strings.Contains(got, "other namespace") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("authors are %q", got)
		}
		for dst, ip := range map[string]*nstest.Lasting{"198.51.100.0/24": known, "203.0.113.0/24": searched} {
			ip.Change(t, "route add "+dst+" dev v0")
			ip.Change(t, "route del "+dst+" dev v0")
		}
		time.Sleep(20 * time.Millisecond) // for the two not to make one storm
	}
}

func tracedExtension(t *testing.T) (calls []call, socket string) {
	m := osquerytest.Start(t)
	calls, err := traced(t, []string{"--socket", m.Socket(), "--verbose"}, nil, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		uuid, err := m.WaitRegistered(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		defer m.Shutdown(ctx, uuid) // strace keeps signals to itself
		changing(t, func() string {
			rows, err := m.Query(ctx, "SELECT DISTINCT author_certainty FROM kernel_route_events")
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(rows)
		})
		if _, err := m.Query(ctx, "SELECT * FROM kernel_route_events"); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return calls, m.Socket()
}

// tracedMonitor reads lines of monitor, and goes when it has enough.
func tracedMonitor(t *testing.T) (calls []call, socket string) {
	return tracedPrinting(t, []string{"monitor", "--json"}, `"author_certainty":"process"`,
		`"author_certainty":"other namespace"`), ""
}

// tracedFollow reads a capture while it is written, and goes when it has enough.
func tracedFollow(t *testing.T) (calls []call, socket string) {
	return tracedPrinting(t, []string{"capture", "--follow", "1h", "-"}, "\ncertainty process\n",
		"\ncertainty other namespace\n"), ""
}

// tracedPrinting runs what prints changes until it has printed that of each author.
func tracedPrinting(t *testing.T, args []string, known, searched string) []call {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	calls, err := traced(t, args, w, func() {
		defer func() {
			r.Close()
			nstest.IP(t, "route add 198.51.100.0/24 dev v0") // a capture sees that when it writes next
		}()
		var mu sync.Mutex
		var printed bytes.Buffer
		go func() {
			part := make([]byte, 64<<10)
			for {
				n, err := r.Read(part)
				mu.Lock()
				printed.Write(part[:n])
				mu.Unlock()
				if err != nil {
					return
				}
			}
		}()
		changing(t, func() (certainties string) {
			mu.Lock()
			defer mu.Unlock()
			if bytes.Contains(printed.Bytes(), []byte(known)) {
				certainties = "process, "
			}
			if bytes.Contains(printed.Bytes(), []byte(searched)) {
				certainties += "other namespace"
			}
			return certainties
		})
	})
	if err != nil {
		t.Fatalf("%q: %v", args, err)
	}
	return calls
}

// TestSecurityEventsOff: an extension that is not to follow changes looks for no authors, and says why it
// has no rows.
func TestSecurityEventsOff(t *testing.T) {
	needStrace(t)
	nstest.New(t)
	t.Setenv(eventsVariable, "0")
	m := osquerytest.Start(t)
	calls, err := traced(t, []string{"--socket", m.Socket()}, nil, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		uuid, err := m.WaitRegistered(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		defer m.Shutdown(ctx, uuid)
		if _, err := m.Query(ctx, "SELECT * FROM kernel_routes"); err != nil {
			t.Error(err)
		}
		_, err = m.Query(ctx, "SELECT * FROM kernel_route_events")
		if err == nil || !strings.Contains(err.Error(), eventsVariable+" is 0") {
			t.Errorf("events: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	doc := readSecurity(t)
	if all := doc.problems(calls, t.TempDir(), m.Socket()); all != nil {
		t.Errorf("SECURITY.md says %q", all)
	}
	for _, name := range []string{"/proc/thread-self/net/netlink", "/proc/loadavg", "/proc/PID", "/proc/PID/fd/*"} {
		if doc.used[name] {
			t.Errorf("it has looked at %s", name)
		}
	}
}

package command

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// TestInfo has the extension tell of itself what was done with it.
func TestInfo(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	x := startExtension(t)
	routes := len(x.Generate(t, "kernel_routes", nil, "dst"))
	nstest.IP(t, "route add 20.0.0.0/8 via 10.0.0.2")
	x.refusal(t, "SELECT * FROM kernel_routes WHERE netns = 'nosuch'")
	// What is no query counts for nothing.
	if r, err := x.Call(x.Context, "kernel_routes", map[string]string{"action": "columns"}); err != nil ||
		len(r.Response) < 10 {
		t.Errorf("%v, %v", r, err)
	}
	row := x.Generate(t, "kernel_routes_info", nil)[0]
	for name, want := range map[string]string{
		"pid": strconv.Itoa(x.Cmd.Process.Pid), "queries": "3", "errors": "1", "timeouts": "0",
		"rows": strconv.Itoa(routes), "events_state": "following", "events_lost": "0", "events_dropped": "0",
		"retries": "0", "snapshots_inconsistent": "0", "protection": "no_new_privs capabilities seccomp",
	} {
		if row[name] != want {
			t.Errorf("%s is %q, not %q", name, row[name], want)
		}
	}
	for _, name := range []string{"version", "kernel", "start_time", "uptime", "snapshots", "memory", "memory_peak",
		"open_files", "goroutines", "connections", "last_error_time"} {
		if row[name] == "" {
			t.Errorf("no %s", name)
		}
	}
	if !strings.Contains(row["last_error"], "nosuch") {
		t.Errorf("the last error is %q", row["last_error"])
	}
}

// TestLogJSON has each line of the extension's log be JSON, the last words too, with no address but
// where debugging.
func TestLogJSON(t *testing.T) {
	nstest.New(t)
	x := startAt(t, osquerytest.Start(t), "export KERNEL_ROUTES_LOG=json,info KERNEL_ROUTES_EVENTS_MB=junk",
		"--nosuch=10.0.0.1")
	x.query(t, "SELECT dst FROM kernel_routes WHERE gateway = '10.0.0.1/33'")
	x.Deregister(x.UUID)
	if status := x.Wait(t); status != exitFailed {
		t.Errorf("status %d", status)
	}
	var said []string
	for line := range strings.Lines(x.Stderr.String()) {
		var l struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Time == "" || l.Level == "" || l.Msg == "" {
			t.Errorf("%v: %s", err, line)
		}
		if l.Level == "DEBUG" || strings.Contains(line, "10.0.0") {
			t.Errorf("not to be logged: %s", line)
		}
		said = append(said, l.Level+" "+l.Msg)
	}
	for _, want := range []string{"WARN ignoring the unknown flag --nosuch", "WARN ignoring an environment variable",
		"INFO registered with osquery", "WARN kernel_routes: no row can have gateway=",
		"ERROR deregistered by osquery"} {
		if n := strings.Count(strings.Join(said, "\n"), want); n != 1 {
			t.Errorf("%q is there %d times:\n%s", want, n, strings.Join(said, "\n"))
		}
	}
}

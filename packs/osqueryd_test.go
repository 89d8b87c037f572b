//go:build linux

package packs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/nstest"
)

// TestOsqueryd runs the packs in a real osqueryd, named by OSQUERYD or on PATH, on an attacked
// host: every query is run soon after a start, and after another one; the rows that are at fault
// are logged; twenty quiet runs log no difference, nor does the other start, and a route more one
// line of each query that shows it.
func TestOsqueryd(t *testing.T) {
	osqueryd := os.Getenv("OSQUERYD")
	if osqueryd == "" {
		var err error
		if osqueryd, err = exec.LookPath("osqueryd"); err != nil {
			t.Skip("no osqueryd: it is not on PATH and OSQUERYD does not name one")
		}
	}
	buildHost(t, "openvpn-def1")
	runShell(t, "ip route add 10.0.0.0/8 via 192.168.1.66 dev wlan0 proto dhcp")
	d := newDaemon(t, osqueryd)

	stop := d.start(t)
	d.waitRuns(t, 20)
	if missing := d.withoutSnapshot(t); len(missing) > 0 {
		t.Errorf("no snapshot of %q is logged", missing)
	}
	lines := d.results(t)
	bypassed := 0
	for _, l := range lines {
		if l.Counter > 0 || l.Action != "added" {
			t.Errorf("a quiet host logs %+v", l)
		}
		if l.Name == "pack_route-compliance_tunnel_bypass" && l.Columns["dst"] == "10.0.0.0/8" {
			bypassed++
		}
	}
	if bypassed != 1 {
		t.Errorf("the attack is logged %d times", bypassed)
	}
	nstest.IP(t, "route add 192.168.77.0/24 dev lo proto kernel") // beside what the checks look at
	d.waitRuns(t, 22)                                             // one may be under way
	logged := map[string]int{}
	for _, l := range d.results(t)[len(lines):] {
		if l.Action != "added" || l.Counter < 1 || l.Columns["dst"] != "192.168.77.0/24" {
			t.Errorf("a route more logs %+v", l)
		}
		logged[strings.TrimPrefix(l.Name, "pack_")]++
	}
	// It is one route more, one change, and one by somebody who is in no list.
	if want := map[string]int{"route-drift_routes": 1, "route-drift_changes": 1,
		"route-compliance_route_changed_by_stranger": 1}; !maps.Equal(logged, want) {
		t.Errorf("a route more is logged by %v, want %v", logged, want)
	}
	d.noErrors(t)
	stop()

	stop = d.start(t)
	d.waitRuns(t, 3)
	if missing := d.withoutSnapshot(t); len(missing) > 0 {
		t.Errorf("after another start no snapshot of %q is logged", missing)
	}
	if lines := d.results(t); len(lines) > 0 {
		t.Errorf("another start logs %+v", lines)
	}
	d.noErrors(t)
	stop()
}

// A daemon is an osqueryd with files of its own.
type daemon struct {
	osqueryd, dir string
	starts        int
	queries       []string // their names in the schedule
	snapshots     []string // those that log snapshots
}

// newDaemon writes what osqueryd reads: the packs, each query at the shortest interval, and
// where the extension is.
func newDaemon(t *testing.T, osqueryd string) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "kr") // sockets need a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &daemon{osqueryd: osqueryd, dir: dir}
	extension := d.at("kernel_routes.ext")
	if out, err := exec.Command("cp", buildtest.Program(t), extension).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	packs := map[string]string{}
	for _, p := range loadPacks(t) {
		// It takes to see all processes.
		p.Checks = slices.DeleteFunc(p.Checks, func(c *Check) bool { return c.Name == "namespaces" })
		for _, c := range p.Available() {
			c.Interval = int(interval.Seconds())
			name := "pack_" + p.Name + "_" + c.Name
			d.queries = append(d.queries, name)
			if c.Logged == Snapshot {
				d.snapshots = append(d.snapshots, name)
			}
		}
		data, err := p.Conf()
		packs[p.Name] = d.at(p.Name + ".conf")
		if err := errors.Join(err, os.WriteFile(packs[p.Name], data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.Marshal(map[string]any{"packs": packs})
	if err := errors.Join(err, os.WriteFile(d.at("osquery.conf"), data, 0o644),
		os.WriteFile(d.at("extensions.load"), []byte(extension+"\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	return d
}

// interval is that of all queries here.
const interval = time.Second

// at returns the path of a file of the daemon's.
func (d *daemon) at(name string) string { return filepath.Join(d.dir, name) }

// log returns the path of a log, of which each start has its own.
func (d *daemon) log(name string) string { return d.at(fmt.Sprintf("log%d/%s", d.starts, name)) }

// start starts osqueryd in the test's namespace. It runs until stop is called.
func (d *daemon) start(t *testing.T) (stop func()) {
	t.Helper()
	d.starts++
	if err := os.Mkdir(d.log(""), 0o755); err != nil {
		t.Fatal(err)
	}
	// In a user namespace root's files seem to be nobody's, which osquery runs only with allow_unsafe.
	// All queries each second take more of a processor than the watchdog allows.
	cmd := exec.Command(d.osqueryd, "--config_path="+d.at("osquery.conf"), "--database_path="+d.at("db"),
		"--pidfile="+d.at("pid"), "--extensions_socket="+d.at("em"), "--extensions_autoload="+d.at("extensions.load"),
		"--extensions_require=kernel_routes", "--extensions_timeout=30", "--logger_plugin=filesystem",
		"--logger_path="+d.log(""), "--schedule_splay_percent=0", "--schedule_lognames", "--disable_events",
		"--allow_unsafe", "--watchdog_level=-1", "--force")
	output, err := os.Create(d.log("output"))
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := false
	stop = func() {
		if !done {
			done = true
			stopGroup(t, cmd)
		}
	}
	t.Cleanup(stop)
	return stop
}

// stopGroup ends osqueryd, which ends its worker and the extension, and what is left of them.
func stopGroup(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	group := -cmd.Process.Pid
	cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(30*time.Second, func() { syscall.Kill(group, syscall.SIGKILL) })
	cmd.Wait()
	if !late.Stop() {
		t.Error("osqueryd did not end within 30 seconds")
	}
	for range 100 {
		if syscall.Kill(group, 0) != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	syscall.Kill(group, syscall.SIGKILL)
	t.Error("osqueryd has left a process behind")
}

// A result is a line of osquery's log of results.
type result struct {
	Name    string            `json:"name"`
	Action  string            `json:"action"`
	Counter int               `json:"counter"` // 0 for a query's first run
	Columns map[string]string `json:"columns"`
}

// results returns what queries have logged since the start but for snapshots, which have a log of their own.
func (d *daemon) results(t *testing.T) []result { return d.lines(t, "osqueryd.results.log") }

func (d *daemon) lines(t *testing.T, name string) (lines []result) {
	t.Helper()
	data, err := os.ReadFile(d.log(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var r result
		if !bytes.HasSuffix(line, []byte("\n")) {
			break // it is being written
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, line)
		}
		lines = append(lines, r)
	}
	return lines
}

// withoutSnapshot returns the queries that should have logged a snapshot since the start, and have not.
// One without rows is logged too.
func (d *daemon) withoutSnapshot(t *testing.T) []string {
	t.Helper()
	missing := slices.Clone(d.snapshots)
	for _, l := range d.lines(t, "osqueryd.snapshots.log") {
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == l.Name })
	}
	return missing
}

// waitRuns waits until every query has been run so often since the start.
func (d *daemon) waitRuns(t *testing.T, runs int) {
	t.Helper()
	deadline := time.Now().Add(time.Minute + time.Duration(5*runs)*interval)
	for {
		seen := map[string]int{}
		for line := range strings.Lines(d.status(t)) {
			if _, name, ok := strings.Cut(line, "Executing scheduled query "); ok {
				seen[strings.TrimSpace(name)]++
			}
		}
		// The last one may be under way.
		late := slices.DeleteFunc(slices.Clone(d.queries), func(name string) bool { return seen[name] > runs })
		if len(late) == 0 {
			return
		}
		if time.Now().After(deadline) {
			output, err := os.ReadFile(d.log("output"))
			t.Fatalf("these are not run %d times, but %v: %q\n%s%v", runs, seen, late, output, err)
		}
		time.Sleep(interval)
	}
}

// status returns what osqueryd has said since the start.
func (d *daemon) status(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(d.log("osqueryd.INFO.*")) // in which warnings and errors are too
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}

// failed finds what osqueryd says of queries and packs that it does not run (osquery/config and
// dispatcher/scheduler.cpp).
var failed = regexp.MustCompile(`Error executing scheduled query|Scheduled query may have failed|` +
	`denied scheduled query|Query has invalid interval|Invalid query name|` +
	`query pack named|pack JSON|Error (adding|parsing) pack`)

// noErrors fails for what osqueryd says of queries that failed. While it ends, some may.
func (d *daemon) noErrors(t *testing.T) {
	t.Helper()
	for line := range strings.Lines(d.status(t)) {
		if failed.MatchString(line) {
			t.Errorf("osqueryd says: %s", line)
		}
	}
}

//go:build linux

package packs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
)

// TestOsqueryd runs the packs in a real osqueryd, named by OSQUERYD or on PATH, on an attacked
// host: every query is run within its interval after a start, and after another one; the rows
// that are at fault are logged; twenty quiet runs log no difference, and a route more one line.
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
	d.waitSnapshots(t, 0)
	time.Sleep(25 * interval)
	lines := d.results(t)
	bypassed := 0
	for _, l := range lines {
		if l.Counter > 0 {
			t.Errorf("a quiet host logs %+v", l)
		}
		if l.Name == "pack_route-compliance_tunnel_bypass" && l.Action == "added" && l.Columns["dst"] == "10.0.0.0/8" {
			bypassed++
		}
	}
	if bypassed != 1 {
		t.Errorf("the attack is logged %d times", bypassed)
	}
	nstest.IP(t, "route add 203.0.113.128/25 dev lo")
	time.Sleep(5 * interval)
	if more := d.results(t)[len(lines):]; len(more) != 1 || more[0].Action != "added" ||
		more[0].Columns["dst"] != "203.0.113.128/25" {
		t.Errorf("a route more logs %+v", more)
	}
	stop()

	seen := len(d.snapshots(t))
	stop = d.start(t)
	d.waitSnapshots(t, seen)
	stop()
	if log := d.errors(t); log != "" {
		t.Errorf("osqueryd says:\n%s", log)
	}
}

// interval is that of all queries here.
const interval = time.Second

// A daemon is an osqueryd with files of its own.
type daemon struct {
	osqueryd, dir string
	snapshotNames []string // of the queries that log snapshots with rows on this host
}

// newDaemon writes what osqueryd reads: the packs, each query at the shortest interval, and
// where the extension is.
func newDaemon(t *testing.T, osqueryd string) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "kr") // sockets need a short path; in /tmp osquery loads no extension
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &daemon{osqueryd: osqueryd, dir: dir}
	loaded := filepath.Join(dir, "ext")
	if err := errors.Join(os.Mkdir(loaded, 0o755), os.Mkdir(filepath.Join(dir, "log"), 0o755)); err != nil {
		t.Fatal(err)
	}
	file, err := build()
	if err != nil {
		t.Fatal(err)
	}
	extension := filepath.Join(loaded, "kernel_routes.ext")
	if out, err := exec.Command("cp", file, extension).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	config := map[string]any{"schedule": map[string]any{}, "packs": map[string]any{}}
	for _, p := range loadPacks(t) {
		data, err := p.Conf()
		if err != nil {
			t.Fatal(err)
		}
		var conf map[string]any
		if err := json.Unmarshal(data, &conf); err != nil {
			t.Fatal(err)
		}
		queries := conf["queries"].(map[string]any)
		delete(queries, "namespaces") // it takes to see all processes
		for name, q := range queries {
			q := q.(map[string]any)
			q["interval"] = int(interval.Seconds())
			if q["snapshot"] == true && len(ask(t, strings.TrimSuffix(q["query"].(string), ";"))) > 0 {
				d.snapshotNames = append(d.snapshotNames, "pack_"+p.Name+"_"+name)
			}
		}
		config["packs"].(map[string]any)[p.Name] = conf
	}
	data, err := json.Marshal(config)
	if err := errors.Join(err, os.WriteFile(filepath.Join(dir, "osquery.conf"), data, 0o644),
		os.WriteFile(filepath.Join(dir, "extensions.load"), []byte(extension+"\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	return d
}

// start starts osqueryd in the test's namespace. It runs until stop is called.
func (d *daemon) start(t *testing.T) (stop func()) {
	t.Helper()
	at := func(name string) string { return filepath.Join(d.dir, name) }
	cmd := exec.Command(d.osqueryd, "--config_path="+at("osquery.conf"), "--database_path="+at("db"),
		"--pidfile="+at("pid"), "--extensions_socket="+at("em"), "--extensions_autoload="+at("extensions.load"),
		"--extensions_require=kernel_routes", "--extensions_timeout=10", "--logger_plugin=filesystem",
		"--logger_path="+at("log"), "--schedule_splay_percent=0", "--disable_events", "--force")
	output, err := os.OpenFile(at("output"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
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
			syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
			cmd.Wait()
		}
	}
	t.Cleanup(stop)
	return stop
}

// A result is a line of osquery's results log.
type result struct {
	Name    string            `json:"name"`
	Action  string            `json:"action"`
	Counter int               `json:"counter"` // 0 for a query's first run
	Columns map[string]string `json:"columns"`
}

func (d *daemon) results(t *testing.T) []result   { return d.log(t, "osqueryd.results.log") }
func (d *daemon) snapshots(t *testing.T) []result { return d.log(t, "osqueryd.snapshots.log") }

func (d *daemon) log(t *testing.T, name string) (lines []result) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(d.dir, "log", name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var r result
		if err := json.Unmarshal(line, &r); err != nil {
			break // it is being written
		}
		lines = append(lines, r)
	}
	return lines
}

// waitSnapshots waits until every query that logs snapshots has done so after the first lines.
func (d *daemon) waitSnapshots(t *testing.T, after int) {
	t.Helper()
	missing := d.snapshotNames
	for range 30 {
		time.Sleep(interval)
		missing = slices.Clone(d.snapshotNames)
		for _, l := range d.snapshots(t)[after:] {
			missing = slices.DeleteFunc(missing, func(name string) bool { return name == l.Name })
		}
		if len(missing) == 0 {
			return
		}
	}
	output, err := os.ReadFile(filepath.Join(d.dir, "output"))
	t.Fatalf("after %v these have not been run: %q\n%s%v%s", 30*interval, missing, output, err, d.errors(t))
}

// errors returns what osqueryd says of its queries.
func (d *daemon) errors(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.dir, "log", "osqueryd.*"))
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			if strings.Contains(line, "scheduled query") && strings.Contains(line, "rror") {
				said[line] = true
			}
		}
	}
	var all strings.Builder
	for line := range said {
		fmt.Fprint(&all, line)
	}
	return all.String()
}

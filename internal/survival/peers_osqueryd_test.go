package survival

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/buildtest"
)

// TestOsqueryd does to a real osqueryd, named by OSQUERYD or on PATH, and to its extension, what the other tests
// do to a stand-in. After each a query that is scheduled every second logs what ip shows. It takes some two
// minutes, as osqueryd looks at its extensions every three seconds.
func TestOsqueryd(t *testing.T) {
	osqueryd := findOsquery(t, "osqueryd", "OSQUERYD")
	newHost(t)
	d := startDaemon(t, osqueryd)
	d.logs(t)
	for _, tc := range []struct {
		name string
		do   func()
	}{
		{"the extension is killed", func() { d.signal(t, d.extension(t), syscall.SIGKILL) }},
		{"the extension is stopped for a while", func() {
			pid := d.extension(t)
			d.signal(t, pid, syscall.SIGSTOP)
			time.Sleep(20 * time.Second) // until osqueryd has dropped it
			d.signal(t, pid, syscall.SIGCONT)
		}},
		{"the extension's socket is removed", func() {
			sockets, _ := filepath.Glob(d.at("em.*"))
			if len(sockets) == 0 {
				t.Fatal("there is no socket of an extension")
			}
			for _, s := range sockets {
				must(t, os.Remove(s))
			}
		}},
		{"osquery's worker is killed", func() { d.signal(t, d.worker(t), syscall.SIGKILL) }},
		{"osquery's worker is stopped for a while", func() {
			pid := d.worker(t)
			d.signal(t, pid, syscall.SIGSTOP)
			time.Sleep(10 * time.Second) // longer than the extension waits for it
			d.signal(t, pid, syscall.SIGCONT)
		}},
	} {
		before := d.extension(t)
		tc.do()
		d.logs(t)
		t.Logf("%s: process %d was the extension, and %d is", tc.name, before, d.extension(t))
	}
}

// findOsquery returns the path of a program of osquery's, which a variable names, and skips the test where
// none does: it takes minutes.
func findOsquery(t *testing.T, name, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Skipf("no %s: %s does not name one", name, variable)
	}
	return path
}

// A daemon is an osqueryd, and the log of its query.
type daemon struct {
	dir string
	cmd *exec.Cmd
}

func (d *daemon) at(name string) string { return filepath.Join(d.dir, name) }

func startDaemon(t *testing.T, osqueryd string) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("/var/tmp", "kr") // sockets need a short path, and osqueryd no sticky folder above
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &daemon{dir: dir}
	if out, err := exec.Command("cp", buildtest.Program(t), d.at("kernel_routes.ext")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const conf = `{"schedule":{"routes":{"query":"SELECT dst, dev, gateway, table_name FROM kernel_routes",` +
		`"interval":1,"snapshot":true}}}`
	must(t, errors.Join(os.WriteFile(d.at("conf"), []byte(conf), 0o644), os.Mkdir(d.at("log"), 0o755),
		os.WriteFile(d.at("load"), []byte(d.at("kernel_routes.ext")+"\n"), 0o644)))
	// In a user namespace root's files seem to be nobody's, which osquery runs only with allow_unsafe.
	d.cmd = exec.Command(osqueryd, "--config_path="+d.at("conf"), "--database_path="+d.at("db"),
		"--pidfile="+d.at("pid"), "--extensions_socket="+d.at("em"), "--extensions_autoload="+d.at("load"),
		"--extensions_require=kernel_routes", "--extensions_timeout=30", "--logger_plugin=filesystem",
		"--logger_path="+d.at("log"), "--schedule_splay_percent=0", "--disable_events", "--allow_unsafe",
		"--watchdog_level=-1", "--force")
	output, err := os.Create(d.at("output"))
	must(t, err)
	defer output.Close()
	d.cmd.Stdout, d.cmd.Stderr = output, output
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	must(t, d.cmd.Start())
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := os.ReadFile(d.at("output"))
			t.Logf("osqueryd says:\n%s", said)
		}
		syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
		d.cmd.Wait()
	})
	return d
}

// logs waits until a run of the query that begins from now on is logged, and compares it with ip.
func (d *daemon) logs(t *testing.T) {
	t.Helper()
	want := strings.Join(shownByIP(t), "\n")
	begin := time.Now().Unix() + 1
	last := ""
	waitFor(t, func() bool {
		data, _ := os.ReadFile(d.at("log/osqueryd.snapshots.log"))
		for line := range bytes.Lines(data) {
			var l struct {
				Snapshot []map[string]string
				UnixTime int64
			}
			if !bytes.HasSuffix(line, []byte("\n")) || json.Unmarshal(line, &l) != nil || l.UnixTime <= begin {
				continue
			}
			last = rowsAsText(l.Snapshot)
			return true
		}
		return false
	})
	if last != want {
		t.Errorf("osqueryd logs\n%s\nip shows\n%s", last, want)
	}
}

// extension returns the process that is the extension, when there is one.
func (d *daemon) extension(t *testing.T) int { return d.child(t, d.at("kernel_routes.ext")) }

// worker returns the process that is osqueryd's worker, which runs the same program.
func (d *daemon) worker(t *testing.T) int { return d.child(t, d.cmd.Path) }

// child waits until osqueryd has a child that runs a program.
func (d *daemon) child(t *testing.T, program string) (child int) {
	t.Helper()
	want, err := os.Stat(program)
	must(t, err)
	waitFor(t, func() bool {
		lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", d.cmd.Process.Pid))
		for _, list := range lists {
			pids, _ := os.ReadFile(list)
			for pid := range strings.FieldsSeq(string(pids)) {
				if exe, err := os.Stat("/proc/" + pid + "/exe"); err == nil && os.SameFile(exe, want) {
					child, _ = strconv.Atoi(pid)
					return true
				}
			}
		}
		return false
	})
	return child
}

func (d *daemon) signal(t *testing.T, pid int, s syscall.Signal) {
	t.Helper()
	must(t, syscall.Kill(pid, s))
}

// TestOsqueryi has a real osqueryi, named by OSQUERYI or on PATH, ask for what it may: each is answered or an
// error, and the next is answered.
func TestOsqueryi(t *testing.T) {
	osqueryi := findOsquery(t, "osqueryi", "OSQUERYI")
	newHost(t)
	const all = "SELECT dst, dev, gateway, table_name FROM kernel_routes"
	dir := socketFolder(t)
	var in strings.Builder
	for _, sql := range []string{
		"SELECT dst FROM kernel_routes WHERE dst = 'a' || char(0) || 'b'",
		"SELECT dst FROM kernel_routes WHERE dst = CAST(x'ff00fe' AS TEXT)",
		"SELECT dst FROM kernel_routes WHERE netns = char(0)",
		"SELECT dst FROM kernel_routes WHERE dst = hex(zeroblob(6000000))", // 12 MB
		"INSERT INTO kernel_routes (dst) VALUES ('10.9.0.0/16')",
		"DELETE FROM kernel_routes",
		"UPDATE kernel_routes SET dst = 'x'",
	} {
		fmt.Fprintf(&in, "%s;\n%s;\n", sql, all)
	}
	cmd := exec.Command(osqueryi, "--json", "--disable_database", "--disable_events", "--allow_unsafe",
		"--extensions_socket="+dir+"/s", "--extensions_timeout=10", "--extension", buildtest.Program(t),
		"--extensions_require=kernel_routes")
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Logf("osqueryi ends: %v", err) // with the status of one of them
	}
	want, whole := strings.Join(shownByIP(t), "\n"), 0
	for text := string(out); ; {
		_, rest, found := strings.Cut(text, "[\n")
		if !found {
			break
		}
		var rows []map[string]string
		decoder := json.NewDecoder(strings.NewReader("[\n" + rest))
		if decoder.Decode(&rows) == nil && rowsAsText(rows) == want {
			whole++
		}
		text = rest
	}
	if whole != 7 {
		t.Errorf("%d whole answers, want 7, one behind each of what is strange:\n%s", whole, out)
	}
}

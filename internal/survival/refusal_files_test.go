package survival

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// makeOdd makes a file at a path, by what is odd about it.
func makeOdd(t *testing.T, kind, path string) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	switch kind {
	case "FIFO":
		must(t, unix.Mkfifo(path, 0o600))
	case "folder":
		must(t, os.Mkdir(path, 0o755))
	case "endless":
		must(t, os.Symlink("/dev/zero", path))
	case "terminal":
		must(t, os.Symlink("/dev/tty", path))
	case "dangling":
		must(t, os.Symlink("nowhere", path))
	case "loop":
		must(t, os.Symlink(filepath.Base(path), path))
	case "large":
		must(t, os.WriteFile(path, []byte("77 blue\n"), 0o644))
		must(t, os.Truncate(path, 10<<30))
	case "bytes":
		text := "\x00\x00 \x00\n5 \xff\xfe\n77 blue\n\x8077 red\n78" + strings.Repeat(" x", 100_000)
		must(t, os.WriteFile(path, []byte(text), 0o644))
	case "socket":
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		must(t, err)
		defer unix.Close(fd)
		must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	default:
		t.Fatal(kind)
	}
}

var oddKinds = []string{"FIFO", "folder", "endless", "terminal", "dangling", "loop", "large", "bytes", "socket"}

// etc is a hardship with a folder in the place of /etc.
func etc(folder string) *hardship {
	return &hardship{Mounts: []mount{{folder, "/etc", "", "", unix.MS_BIND}}}
}

// TestNameFiles: whatever the files are that give numbers names, and those of the time zone, nothing waits for
// them or reads them to an end that they do not have.
func TestNameFiles(t *testing.T) {
	nstest.New(t)
	tasks(t)
	for _, kind := range oddKinds {
		folder := socketFolder(t)
		for _, file := range []string{"rt_tables", "rt_protos", "rt_scopes.d", "rt_tables.d/a.conf", "rt_realms"} {
			makeOdd(t, kind, filepath.Join(folder, "iproute2", file))
		}
		makeOdd(t, kind, filepath.Join(folder, "localtime"))
		want := "table_name\n77\n"
		if kind == "large" || kind == "bytes" {
			want = "table_name\nblue\n"
		}
		r := etc(folder).run(t, "query", "--csv", "SELECT table_name FROM kernel_routes WHERE table_id = 77")
		if !r.check(t, kind, want) || r.stderr != "" {
			t.Errorf("%s: %+v", kind, r)
		}
		// Each line of the log has a time.
		h := etc(folder)
		h.Denials = deny(unix.EPERM, unix.SYS_BIND, unix.SYS_SETSOCKOPT).Denials
		for _, zone := range []string{"", "TZ=:" + folder + "/localtime", "TZ=../../../" + folder + "/localtime"} {
			if h.Env = nil; zone != "" {
				h.Env = []string{zone}
			}
			r := h.run(t, "query", "--csv", "SELECT table_name FROM kernel_routes WHERE table_id = 77")
			if r.stdout != want || r.status != exitOK || !strings.Contains(r.stderr, "time=20") {
				t.Errorf("%s, %s: %+v", kind, zone, r)
			}
		}
	}
	folder := socketFolder(t)
	for i := range 3000 {
		makeOdd(t, "dangling", filepath.Join(folder, fmt.Sprintf("iproute2/rt_tables.d/%d.conf", i)))
	}
	const unnamed = "SELECT count(*) AS n FROM kernel_routes WHERE table_name = '77'"
	if r := etc(folder).run(t, "query", "--csv", unnamed); r.stdout != "n\n1\n" || r.stderr != "" {
		t.Errorf("3000 files: %+v", r)
	}
}

// TestExtensionNameFiles: the same of the extension, which logs from the start.
func TestExtensionNameFiles(t *testing.T) {
	nstest.New(t)
	tasks(t)
	folder := socketFolder(t)
	for _, file := range []string{"iproute2/rt_tables", "iproute2/rt_tables.d/x.conf", "localtime"} {
		makeOdd(t, "FIFO", filepath.Join(folder, file))
	}
	x := exttest.StartAt(t, osquerytest.Start(t), etc(folder).before(t))
	if rows := x.Generate(t, "kernel_routes", []string{"table_id=77"}, "table_name"); len(rows) != 1 ||
		rows[0]["table_name"] != "77" {
		t.Errorf("%v", rows)
	}
	x.Cmd.Process.Signal(syscall.SIGTERM)
	if status := x.Wait(t); status != exitOK || !strings.Contains(x.Stderr.String(), "time=20") {
		t.Errorf("exit status %d: %s", status, &x.Stderr)
	}
}

// TestOddPaths: what a path names that a user gives is not waited for, if it is neither a namespace nor a
// capture. (A capture comes through a FIFO too, for which --from waits.)
func TestOddPaths(t *testing.T) {
	nstest.New(t)
	folder := socketFolder(t)
	for _, kind := range oddKinds {
		path := filepath.Join(folder, kind)
		makeOdd(t, kind, path)
		for _, table := range []string{"kernel_routes", "kernel_interface_config"} {
			(&hardship{}).run(t, "query", "SELECT * FROM "+table+" WHERE netns = '"+path+"'").failed(t, kind, path)
		}
		(&hardship{}).run(t, "monitor", "--netns", path).failed(t, kind, path)
		if kind != "FIFO" && kind != "terminal" {
			(&hardship{}).run(t, "query", "--from", path, "SELECT 1").failed(t, kind, "capture "+path)
			(&hardship{}).run(t, "routes", "--from", path).failed(t, kind, "capture "+path)
		}
	}
}

// TestProcesses: as the first process of a PID namespace, with that namespace's /proc, with another's, and with
// one in which others are hidden, it answers, names its namespace, and ends when it is told to.
func TestProcesses(t *testing.T) {
	nstest.New(t)
	all := some(tasks(t))
	proc := func(data string) []mount { return []mount{{"proc", "/proc", "proc", data, 0}} }
	for name, mounts := range map[string][]mount{"its own": proc(""), "another's": nil, "hidden": proc("hidepid=2")} {
		attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
		h := &hardship{Mounts: mounts, attr: attr}
		for i := range all {
			if answered, r := all[i].try(t, h, name); !answered {
				t.Errorf("/proc is %s: %s: %s", name, all[i].args, r.stderr)
			}
		}
		r := h.run(t, "query", "--csv", "SELECT count(*) > 0 AS n, netns_id > 0 AS i FROM kernel_routes "+
			"WHERE netns = '*' AND table_id = 77")
		if answered := r.check(t, name, "n,i\n1,1\n"); !answered && !strings.Contains(r.stderr, "cannot be seen") {
			t.Errorf("/proc is %s: %s", name, r.stderr)
		}
		cmd := h.command(t.Context(), t, "monitor", "--since-snapshot")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
			t.Errorf("/proc is %s: monitor: %q, %v", name, line, err)
		}
		cmd.Process.Signal(syscall.SIGTERM)
		if cmd.Wait(); cmd.ProcessState.ExitCode() != 128+int(syscall.SIGTERM) {
			t.Errorf("/proc is %s: monitor ends with %v", name, cmd.ProcessState)
		}
	}
}

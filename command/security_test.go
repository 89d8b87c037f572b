package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// TestSecurity compares the system calls of the built program with the lists of SECURITY.md.
func TestSecurity(t *testing.T) {
	needStrace(t)
	doc := readSecurity(t)
	nstest.New(t)
	nstest.Veth(t, "v0", "192.0.2.1/24", "2001:db8::1/64")
	nstest.IP(t, "-6 route add 2001:db8:1::/48 via 2001:db8::2")
	nstest.IP(t, "-6 route add 2001:db8:1::/48 via 2001:db8::3 metric 2000")
	other := processElsewhere(t)

	work := t.TempDir()
	capture := filepath.Join(work, "routes.pcap")
	tables := []string{"kernel_routes", "kernel_route_nexthops", "kernel_route_rules", "kernel_nexthops",
		"kernel_interface_config", "kernel_route_counts"}
	var all []string
	for _, table := range tables {
		all = append(all, "SELECT * FROM "+table,
			fmt.Sprintf("SELECT * FROM %s WHERE pid_with_namespace = %d", table, other))
	}
	all = append(all,
		"SELECT * FROM kernel_route_lookups WHERE destination IN ('192.0.2.7', '2001:db8::7', '198.51.100.1')",
		"SELECT dst FROM kernel_routes ORDER BY dst", "SELECT count(*) FROM kernel_routes WHERE netns_id > 0")
	for _, run := range []struct {
		args []string
		ok   bool // exit status 0
	}{
		{[]string{"query", strings.Join(all, "; ")}, true},
		{[]string{"query", "SELECT * FROM kernel_routes WHERE netns = '*'"}, false}, // who may see all processes?
		{[]string{"query", "SELECT * FROM kernel_routes WHERE netns = 'no-such-name'"}, false},
		{[]string{"routes", "--summary"}, true},
		{[]string{"show"}, true},
		{[]string{"get", "192.0.2.7", "2001:db8:1::7"}, true},
		{[]string{"capture", capture}, true},
		{[]string{"capture", capture}, true}, // in place of a file
		{[]string{"query", "--from", capture, "SELECT * FROM kernel_routes"}, true},
		{[]string{"diff", capture}, true},
		{[]string{"spec"}, true},
		{[]string{"--help"}, true},
	} {
		calls, err := traced(t, run.args, nil, nil)
		exit := (*exec.ExitError)(nil)
		if err != nil && (run.ok || !errors.As(err, &exit) || exit.ExitCode() != exitFailed) {
			t.Fatalf("%q: %v", run.args, err)
		}
		for _, p := range doc.problems(calls, work, "") {
			t.Errorf("%.60q: SECURITY.md says %s", run.args, p)
		}
	}

	m := osquerytest.Start(t)
	calls, err := traced(t, []string{"--socket", m.Socket(), "--verbose"}, nil, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		uuid, err := m.WaitRegistered(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		for _, sql := range all {
			if _, err := m.Query(ctx, sql); err != nil {
				t.Errorf("%s: %v", sql, err)
			}
		}
		if err := m.Shutdown(ctx, uuid); err != nil { // strace keeps signals to itself
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatalf("the extension: %v", err)
	}
	for _, p := range doc.problems(calls, work, m.Socket()) {
		t.Errorf("the extension: SECURITY.md says %s", p)
	}
	doc.unused(t)
}

// needStrace skips the test where the program cannot be traced; in CI it can.
func needStrace(t *testing.T) {
	t.Helper()
	needtest.Program(t, "strace")
	if out, err := exec.Command("strace", "-o", "/dev/null", "/proc/self/exe", "-V").CombinedOutput(); err != nil {
		needtest.Missing(t, "strace may trace nothing here: %v\n%s", err, out)
	}
}

// processElsewhere starts a process in a network namespace of its own, which lives as long as the test.
func processElsewhere(t *testing.T) (pid int) {
	t.Helper()
	cmd := exec.Command("sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd.Process.Pid
}

// traced runs the program and returns its system calls. out, if it is not nil, is what it prints to, and is
// closed here. meanwhile, if there is such a thing, is called while it runs, and has to end it.
func traced(t *testing.T, args []string, out *os.File, meanwhile func()) (calls []call, err error) {
	t.Helper()
	folder := t.TempDir()
	// A file for each thread, so that no call is cut in two.
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "strace", slices.Concat(
		[]string{"-ff", "-yy", "-xx", "-s", "4096", "-o", folder + "/thread", binary(t)}, args)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // what strace runs as well
	var said bytes.Buffer
	cmd.Stderr = &said
	if out != nil {
		cmd.Stdout = out
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if out != nil {
		out.Close()
	}
	if meanwhile != nil {
		meanwhile()
	}
	err = cmd.Wait()
	files, _ := filepath.Glob(folder + "/thread.*")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if c, ok := parseCall(line); ok {
				calls = append(calls, c)
			}
		}
	}
	if len(calls) < 50 {
		t.Fatalf("%q: strace shows %d calls\n%s", args, len(calls), said.Bytes())
	}
	if err != nil {
		err = fmt.Errorf("%w: %s", err, said.Bytes())
	}
	return calls, err
}

// A call is a system call as strace shows it.
type call struct {
	name, args string // strings are no hexadecimal numbers any more
}

var hexadecimal = regexp.MustCompile(`(?:\\x[0-9a-f]{2})+`)

func parseCall(line string) (call, bool) {
	name, args, ok := strings.Cut(line, "(")
	if !ok || strings.ContainsAny(name, " -+<") || name == "???" {
		return call{}, false // a signal, the end; ???: the process ended before strace could look what the call was
	}
	return call{name, hexadecimal.ReplaceAllStringFunc(strings.TrimSpace(args), func(s string) string {
		var b []byte
		for digits := range strings.SplitSeq(s[2:], `\x`) {
			n, _ := strconv.ParseUint(digits, 16, 8)
			b = append(b, byte(n))
		}
		return string(b)
	})}, true
}

// fileCall matches a call with a path: where it is relative to, and the path.
// strace says of a folder that is no more, as that of a process that has ended, that it is deleted.
var fileCall = regexp.MustCompile(`(?s)^(?:(?:AT_FDCWD|\d+)<([^>]*?)(?: \(deleted\))?>(?:\(deleted\))?, )?"([^"]*)"`)

// transfers are calls whose strings are no paths.
var transfers = []string{"read", "pread64", "readv", "write", "pwrite64", "writev", "recvfrom", "recvmsg", "sendto",
	"sendmsg", "getdents64", "getrandom", "epoll_wait", "epoll_pwait", "prctl", "uname", "getcwd"}

// String shows the call in one line.
func (c *call) String() string { return fmt.Sprintf("%s(%.300q)", c.name, c.args) }

// path returns the path that a call is about, "" for none.
func (c *call) path() string {
	m := fileCall.FindStringSubmatch(c.args)
	if m == nil || m[2] == "" || slices.Contains(transfers, c.name) {
		return ""
	}
	if filepath.IsAbs(m[2]) {
		return filepath.Clean(m[2])
	}
	return filepath.Join(m[1], m[2])
}

package survival

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/nstest"
)

// The exit statuses of the program: see its --help.
const (
	exitOK     = 0
	exitFailed = 1
)

// program is what the program calls itself in each line that it says.
const program = "kernel_routes.ext: "

// endurance is how long a command may take that is starved, before it hangs.
const endurance = time.Minute

// A hardship is what a program runs with.
type hardship struct {
	Mounts  []mount
	Limits  map[int]uint64 // RLIMIT_...
	Denials []denial
	Closed  []int    // descriptors
	Env     []string // more of the environment

	attr *syscall.SysProcAttr // of the process
}

// A result is what a command did.
type result struct {
	stdout, stderr string
	status         int // -1: a signal ended it
}

// run runs the program with a hardship.
func (h *hardship) run(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), endurance)
	defer cancel()
	cmd := h.command(ctx, t, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = endurance
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		t.Errorf("%s hangs: %s", strings.Join(args, " "), &errs)
	case err != nil && !errors.As(err, &exit):
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// command returns the command that run runs.
func (h *hardship) command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, self, append([]string{buildtest.Program(t)}, args...)...)
	cmd.Env = append(append(os.Environ(), h.Env...), hardships+"="+h.text(t))
	cmd.SysProcAttr = h.attr
	return cmd
}

func (h *hardship) text(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// before is what exttest.StartAt is to run first, for the extension to have a hardship.
func (h *hardship) before(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return "export " + hardships + "='" + h.text(t) + "'; set -- '" + self + "' \"$@\""
}

// trace is what a line of Go's runtime has, and none of the program.
var trace = []string{"goroutine ", "panic", "fatal error", "runtime:", "SIG", "[signal", ".go:"}

// noTrace fails where the runtime has said anything.
func noTrace(t *testing.T, what, text string) {
	t.Helper()
	for _, part := range trace {
		if strings.Contains(text, part) {
			t.Errorf("%s: Go's runtime speaks (%q): %.600s", what, part, text)
			return
		}
	}
}

// spoken returns the lines that are no warnings.
func spoken(stderr string) (lines []string) {
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, program+"warning: ") && !strings.Contains(line, " level=WARN ") {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// check fails unless the command gave the whole answer, or said in one line why not. It returns
// whether it was the answer.
func (r result) check(t *testing.T, what, want string) (answered bool) {
	t.Helper()
	noTrace(t, what, r.stderr)
	lines := spoken(r.stderr)
	switch {
	case r.status == exitOK && r.stdout == want && len(lines) == 0:
		return true
	case r.status == exitFailed && len(lines) == 1 && strings.HasPrefix(lines[0], program) && len(lines[0]) > 40:
		return false
	}
	t.Errorf("%s: exit status %d, printed %.300q and %.600q, want %.300q", what, r.status, r.stdout, r.stderr, want)
	return false
}

// failed fails unless the command said in one line why it failed, with all of these parts.
func (r result) failed(t *testing.T, what string, parts ...string) {
	t.Helper()
	if r.check(t, what, "\x00 no answer is wanted") {
		return
	}
	for _, part := range parts {
		if !strings.Contains(r.stderr, part) {
			t.Errorf("%s: %q is missing: %s", what, part, r.stderr)
		}
	}
}

// A task is a command with an answer that is always the same in the namespace of a test.
type task struct {
	args []string
	file string // which the command writes; "" where the answer is printed
	want string // what it prints, or what file has by routes --from
}

// tasks makes routes in the calling goroutine's namespace, and returns each of the commands with its answer.
func tasks(t *testing.T) []task {
	t.Helper()
	nstest.Veth(t, "ve", "192.0.2.1/24", "2001:db8::1/64")
	nstest.Batch(t, "-4", "route add 198.51.100.0/24 via 192.0.2.2", "route add blackhole 203.0.113.0/24 table 77",
		"rule add from 198.51.100.1 table 77 priority 70")
	capture := filepath.Join(t.TempDir(), "routes.pcap")
	const routes = "SELECT dst, table_name, dev, type FROM kernel_routes"
	all := []task{
		{args: []string{"query", "--csv", routes}},
		{args: []string{"query", "--csv", "SELECT family, priority, table_id FROM kernel_route_rules"}},
		{args: []string{"query", "--csv", "SELECT dev, family, forwarding FROM kernel_interface_config"}},
		{args: []string{"query", "--csv", "SELECT dev FROM kernel_route_lookups WHERE destination = '198.51.100.9'"}},
		{args: []string{"routes", "--summary"}},
		{args: []string{"capture", capture}, file: capture},
		{args: []string{"query", "--csv", "--from", capture, routes}},
		{args: []string{"spec", "kernel_routes"}},
		{args: []string{"completion", "bash"}},
		{args: []string{"--version"}},
	}
	for i := range all {
		r := (&hardship{}).run(t, all[i].args...)
		if r.status != exitOK || r.stderr != "" {
			t.Fatalf("%s: exit status %d, %s", all[i].args, r.status, r.stderr)
		}
		all[i].want = r.stdout
		if all[i].file != "" {
			all[i].want = readCapture(t, all[i].file)
		}
	}
	return all
}

// some returns a few of the tasks: of those that read the kernel, write, and do neither.
func some(all []task) []task { return []task{all[0], all[3], all[5], all[7]} }

// readCapture returns what routes shows of a capture.
func readCapture(t *testing.T, file string) string {
	t.Helper()
	r := (&hardship{}).run(t, "routes", "--from", file)
	if r.status != exitOK || len(r.stdout) < 100 {
		t.Fatalf("%s: exit status %d, %s", file, r.status, r.stderr)
	}
	return r.stdout
}

// try runs the command with a hardship and checks what it does. It returns whether it answered.
func (k *task) try(t *testing.T, h *hardship, what string) (answered bool, r result) {
	t.Helper()
	what += ": " + strings.Join(k.args, " ")
	r = h.run(t, k.args...)
	if k.file == "" {
		return r.check(t, what, k.want), r
	}
	// What was there stays where it fails, and it is the whole of it where it does not.
	answered = r.check(t, what, "")
	if got := readCapture(t, k.file); got != k.want {
		t.Errorf("%s: the file is another one: %s", what, got)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(k.file), ".kernel_routes-*")); len(left) > 0 {
		// A file that was begun when the runtime ended the program, as when it was killed.
		if answered || !strings.Contains(r.stderr, "the system gives the program no more") &&
			!strings.Contains(r.stderr, "no thread can be made") && !strings.Contains(r.stderr, "(epoll, eventfd)") {
			t.Errorf("%s: left %s behind", what, left)
		}
		for _, file := range left {
			os.Remove(file)
		}
	}
	return answered, r
}

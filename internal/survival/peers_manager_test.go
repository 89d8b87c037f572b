package survival

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/osquerytest"
)

// managerFolder is set in the environment of the process that is an osquery: where its socket is.
const managerFolder = "KERNEL_ROUTES_TEST_MANAGER"

const (
	// pingInterval and pingTimeout are an osquery's that has little time to lose: after two pings without an answer
	// the extension is dropped. An extension that waits for its turn on a busy machine is not.
	pingInterval = 200 * time.Millisecond
	pingTimeout  = 5 * time.Second
)

// manage is an osquery of a process of its own, which can be killed and stopped. It says what becomes of
// extensions, and ends with its standard input.
func manage(dir string) {
	m, err := osquerytest.New(dir)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	ended := make(chan struct{})
	go func() { io.Copy(io.Discard, os.Stdin); close(ended) }()
	fmt.Println("listening")
	known := map[osquery.ExtensionRouteUUID]bool{}
	next := time.Now() // ping
	for tick := time.NewTicker(pingInterval / 10); ; {
		there := m.Extensions()
		for uuid := range there {
			if !known[uuid] && ping(m, uuid) == nil {
				known[uuid] = true
				fmt.Println("registered", uuid)
			}
		}
		for uuid := range known {
			if _, is := there[uuid]; !is {
				delete(known, uuid)
				fmt.Println("gone", uuid)
			}
		}
		select {
		case <-ended:
			return
		case now := <-tick.C:
			if now.Before(next) {
				continue
			}
			next = now.Add(pingInterval)
		}
		for uuid := range known {
			if !pings(m, uuid) {
				m.Deregister(uuid)
			}
		}
	}
}

// pings reports whether an extension answers one of two pings: one that was on its way while this process was stopped
// has had no time to be answered.
func pings(m *osquerytest.Manager, uuid osquery.ExtensionRouteUUID) bool {
	for range 2 {
		if ping(m, uuid) == nil {
			return true
		}
	}
	return false
}

func ping(m *osquerytest.Manager, uuid osquery.ExtensionRouteUUID) error {
	ctx, cancel := context.WithTimeout(context.Background(), pingTimeout)
	defer cancel()
	return m.Ping(ctx, uuid)
}

// An osqueryProcess is a manager that is a process of its own.
type osqueryProcess struct {
	cmd    *exec.Cmd
	socket string
	lines  chan string
}

// startOsquery starts one with its socket in a folder, where that of a dead one may be.
func startOsquery(t *testing.T, dir string) *osqueryProcess {
	t.Helper()
	o := &osqueryProcess{cmd: exec.Command("/proc/self/exe"), socket: filepath.Join(dir, "em.sock"),
		lines: make(chan string, 1000)}
	os.Remove(o.socket) // as osquery does
	o.cmd.Env = append(os.Environ(), managerFolder+"="+dir)
	o.cmd.Stderr = os.Stderr
	out, err := o.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.cmd.StdinPipe(); err != nil { // which ends with this process, and the manager with it
		t.Fatal(err)
	}
	if err := o.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(o.kill)
	go func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			o.lines <- in.Text()
		}
		close(o.lines)
	}()
	o.wait(t, "listening")
	return o
}

// kill is SIGKILL: nothing is removed, nobody is told.
func (o *osqueryProcess) kill() {
	o.cmd.Process.Kill()
	o.cmd.Wait()
}

func (o *osqueryProcess) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	signal(t, o.cmd.Process, s)
}

// signal sends a signal, and waits until SIGSTOP has stopped the process, all threads of it.
func signal(t *testing.T, p *os.Process, s syscall.Signal) {
	t.Helper()
	if err := p.Signal(s); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		stats, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.Pid))
		return s != syscall.SIGSTOP || !slices.ContainsFunc(stats, func(path string) bool {
			stat, err := os.ReadFile(path)
			return err == nil && !strings.Contains(string(stat), ") T ")
		})
	})
}

// wait waits until the manager says something that begins like this, and returns the rest of it.
func (o *osqueryProcess) wait(t *testing.T, begin string) (rest string) {
	t.Helper()
	for end := time.After(patience); ; {
		select {
		case line, ok := <-o.lines:
			if rest, is := strings.CutPrefix(line, begin); is {
				return strings.TrimSpace(rest)
			}
			if !ok {
				t.Fatalf("the manager has ended before it said %q", begin)
			}
		case <-end:
			t.Fatalf("the manager does not say %q", begin)
		}
	}
}

// extension starts the program, and returns it and the address of its own socket when it has registered.
func (o *osqueryProcess) extension(t *testing.T, flags ...string) (x *exttest.Process, address string) {
	t.Helper()
	x = exttest.LaunchAt(t, o.socket, "", flags...)
	return x, o.socket + "." + o.wait(t, "registered")
}

// Package exttest runs the built program as osquery does: as an extension, at a manager of
// package osquerytest.
package exttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/osquerytest"
)

// patience is how long a process may take to register, to answer all that it is asked, and to end.
const patience = 2 * time.Minute

// A Process is the built program, and the manager that it is an extension of.
type Process struct {
	*osquerytest.Manager
	Cmd     *exec.Cmd
	Stderr  Log
	Started time.Time
	UUID    osquery.ExtensionRouteUUID
	Context context.Context // ends when patience does
}

// A Log is what a process has written, which may be read while it writes.
type Log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Start starts a manager, and the program as its child, in the calling goroutine's namespace.
func Start(t testing.TB, flags ...string) *Process {
	t.Helper()
	return StartAt(t, osquerytest.Start(t), "", flags...)
}

// StartAt starts the program at a manager, and waits until it has registered. Before, if it is
// not empty, is what a shell runs in the same process first: "ulimit -n 64", "export A=B".
func StartAt(t testing.TB, m *osquerytest.Manager, before string, flags ...string) *Process {
	t.Helper()
	x := Launch(t, m, before, flags...)
	var err error
	if x.UUID, err = m.WaitRegistered(x.Context); err != nil {
		t.Fatalf("not registered: %v\n%s", err, &x.Stderr)
	}
	return x
}

// Launch is StartAt for a program that may not get as far as to register.
func Launch(t testing.TB, m *osquerytest.Manager, before string, flags ...string) *Process {
	t.Helper()
	x := LaunchAt(t, m.Socket(), before, flags...)
	x.Manager = m
	return x
}

// LaunchAt is Launch for a socket of osquery's that may be anything. The process has no Manager.
func LaunchAt(t testing.TB, socket, before string, flags ...string) *Process {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	x := &Process{Context: ctx}
	// A manager of the test's own process has no more than this process has, which may have to wait for its turn.
	args := []string{buildtest.Program(t), "--verbose", "--socket", socket, "--timeout", "30", "--interval", "1"}
	args = append(args, flags...)
	x.Cmd = exec.Command("sh", append([]string{"-c", before + "\nexec \"$@\"", "sh"}, args...)...)
	x.Cmd.Stderr = &x.Stderr
	x.Started = time.Now()
	if err := x.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		x.Cmd.Process.Kill()
		x.Cmd.Wait()
	})
	return x
}

// Wait waits for the end of the process and returns its exit status.
func (x *Process) Wait(t testing.TB) int {
	t.Helper()
	stop := context.AfterFunc(x.Context, func() { x.Cmd.Process.Kill() })
	err := x.Cmd.Wait()
	if !stop() {
		t.Fatalf("the extension does not end")
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return x.Cmd.ProcessState.ExitCode()
}

// Told fails the test if the process, which has ended, is still registered. It gives its manager, which is in the
// test's process, a second to answer: where that was too little its log says so, and it is registered no more.
func (x *Process) Told(t testing.TB) {
	t.Helper()
	_, why, tried := strings.Cut(x.Stderr.String(), `msg="not deregistered"`)
	if late := tried && strings.Contains(why, "i/o timeout"); x.Deregister(x.UUID) && !late {
		t.Errorf("osquery has not been told\n%s", &x.Stderr)
	}
}

// Request is what osquery sends to generate a table's rows, with constraints written as
// "column=value", and for the columns named.
func Request(constraints []string, used ...string) map[string]string {
	lists := []map[string]any{}
	for _, c := range constraints {
		name, value, _ := strings.Cut(c, "=")
		lists = append(lists, map[string]any{"name": name, "affinity": "TEXT",
			"list": []map[string]any{{"op": 2, "expr": value}}})
	}
	request, err := json.Marshal(map[string]any{"constraints": lists, "colsUsed": used})
	if err != nil {
		panic(err) // these are texts
	}
	return map[string]string{"action": "generate", "context": string(request)}
}

// Generate asks a table for rows: see Request.
func (x *Process) Generate(t testing.TB, table string, constraints []string, used ...string) []map[string]string {
	t.Helper()
	r, err := x.Call(x.Context, table, Request(constraints, used...))
	if err != nil {
		t.Fatal(err)
	}
	if r.Status.Code != 0 {
		t.Fatalf("%s: %s", table, r.Status.Message)
	}
	ids := map[string]bool{}
	for _, row := range r.Response {
		id := row[RowID]
		if n, err := strconv.ParseInt(id, 10, 64); len(used) > 0 && (err != nil || n < 0 || ids[id]) {
			t.Fatalf("%s: rowid %q is no number, or not the row's own: %v", table, id, err)
		}
		ids[id] = true
		delete(row, RowID)
	}
	return r.Response
}

// RowID is what osquery hands to SQLite as the number of a row.
const RowID = "rowid"

// Size returns a size of the process in bytes, as /proc/PID/status names it: VmRSS, VmHWM.
func (x *Process) Size(t testing.TB, name string) (size int) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), name+":")
	if _, err := fmt.Sscan(rest, &size); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return size << 10
}

// Address is the path of the extension's own socket.
func (x *Process) Address() string { return fmt.Sprintf("%s.%d", x.Socket(), x.UUID) }

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/rtnl"
)

// TestManyQueries asks for 100,000 routes two hundred times at once (less with -short). The memory is
// that of the whole process; pings are answered meanwhile.
func TestManyQueries(t *testing.T) {
	routes, queries, memory := nstest.Amount(100_000, 10_000), nstest.Amount(200, 50), nstest.Amount(400<<20, 100<<20)
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	lines := make([]string, routes)
	for i := range lines {
		lines[i] = fmt.Sprintf("route add 20.%d.%d.%d/32 via 10.0.0.%d", i>>16, i>>8&255, i&255, 2+i%70)
	}
	nstest.Batch(t, "-4", lines...)
	m := osquerytest.Start(t)
	m.SetFlag("disable_watchdog", "true")
	x := startAt(t, m, "")
	message := osquerytest.Message("call", &osquery.ExtensionCallArgs{Registry: "table", Item: "kernel_routes",
		Request: map[string]string{"action": "generate",
			"context": `{"constraints":[],"colsUsed":["dst","gateway","dev"]}`}})
	socket := x.Address()

	start := time.Now()
	var answered, told atomic.Int32
	var calls sync.WaitGroup
	for range queries {
		calls.Go(func() {
			switch n, err := osquerytest.Exchange(socket, message); {
			case err != nil:
				t.Error(err)
			case n > int64(routes)*60:
				answered.Add(1)
			default: // TestQueue has what it says
				told.Add(1)
			}
		})
	}
	done := make(chan struct{})
	go func() { calls.Wait(); close(done) }()
	for pinging := true; pinging; {
		select {
		case <-done:
			pinging = false
		case <-time.After(200 * time.Millisecond):
			ctx, cancel := context.WithTimeout(x.Context, 5*time.Second)
			if err := x.Ping(ctx, x.UUID); err != nil {
				t.Errorf("a ping: %v", err)
			}
			cancel()
		}
	}
	peak := x.Size(t, "VmHWM")
	t.Logf("%d answered, %d told after %v; peak %d MiB", answered.Load(), told.Load(),
		time.Since(start).Round(time.Millisecond), peak>>20)
	if peak > memory {
		t.Errorf("%d MiB of memory", peak>>20)
	}
	if told.Load() > 0 && time.Since(start) < time.Minute {
		t.Errorf("%d were told before their time-out", told.Load())
	}
}

// TestFewDescriptors has 1,000 silent connections and few descriptors: queries are
// answered at once, and the log has a line.
func TestFewDescriptors(t *testing.T) {
	nstest.New(t)
	m := osquerytest.Start(t)
	x := startAt(t, m, "ulimit -n 64")
	for range 1000 {
		conn, err := net.Dial("unix", x.Address())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	for range 20 {
		start := time.Now()
		if rows := x.Generate(t, "kernel_routes", nil, "dst"); len(rows) == 0 {
			t.Error("no routes, not even of lo")
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("a query took %v", took)
		}
	}
	// More queries at once than there are descriptors: who cannot wait is told.
	var calls sync.WaitGroup
	for range 100 {
		calls.Go(func() {
			r, err := x.Call(x.Context, "kernel_routes", map[string]string{"action": "generate", "context": "{}"})
			if err == nil && r.Status.Code != 0 && !strings.Contains(r.Status.Message, "too many queries at once") {
				t.Error(r.Status.Message)
			}
		})
	}
	calls.Wait()
	if err := x.Ping(x.Context, x.UUID); err != nil {
		t.Error(err)
	}
	x.Cmd.Process.Signal(syscall.SIGTERM)
	x.Wait(t)
	if n := strings.Count(x.Stderr.String(), "level=WARN"); n < 1 || n > 5 {
		t.Errorf("%d warnings:\n%s", n, &x.Stderr)
	}
}

// TestCtrlC sends the signals that a terminal sends to the process group of an
// osqueryi and its extension.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	nstest.New(t)
	x := startExtension(t)
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		x.Cmd.Process.Signal(sig)
		for range 3 {
			if rows := x.Generate(t, "kernel_routes", nil, "dst"); len(rows) == 0 {
				t.Errorf("no routes after %v", sig)
			}
		}
	}
	x.Close() // osqueryi ends
	if code := x.Wait(t); code != 1 {
		t.Errorf("exit status %d", code)
	}
}

// TestKillNine starts the extension again after kill -9, before osquery notices.
func TestKillNine(t *testing.T) {
	t.Parallel()
	nstest.New(t)
	m := osquerytest.Start(t)
	x := startAt(t, m, "")
	x.Cmd.Process.Kill()
	x.Cmd.Wait()
	go func() {
		time.Sleep(1500 * time.Millisecond) // until its next ping
		m.Deregister(x.UUID)
	}()
	start := time.Now()
	again := exec.Command(binary(t), "--socket", m.Socket(), "--timeout", "3", "--interval", "1")
	if err := again.Start(); err != nil {
		t.Fatal(err)
	}
	defer again.Wait()
	defer again.Process.Kill()
	if err := m.WaitDeregistered(x.Context, x.UUID); err != nil {
		t.Fatal(err)
	}
	if _, err := m.WaitRegistered(x.Context); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("registered after %v", took)
	}
}

// TestMemoryGoesBack: what an answer took goes back to the kernel, also what is
// remembered of it for look-ups.
func TestMemoryGoesBack(t *testing.T) {
	if testing.Short() {
		t.Skip("waits until an answer is forgotten")
	}
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	var lines []string
	for i := range 80_000 {
		lines = append(lines, fmt.Sprintf("route add 20.%d.%d.%d/32 via 10.0.0.2", i>>16, i>>8&255, i&255))
	}
	nstest.Batch(t, "-4", lines...)
	x := startExtension(t)
	resident := func() int {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.Cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "VmRSS:")
		kb, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			t.Fatal(err)
		}
		return kb
	}
	before := resident()
	rows := x.Generate(t, "kernel_routes", nil, "route_id")
	if n := len(x.Generate(t, "kernel_routes", []string{"route_id=" + rows[7]["route_id"]}, "route_id")); n != 1 {
		t.Fatalf("%d routes by their route_id", n)
	}
	remembered := resident()
	if remembered < before+10<<10 {
		t.Fatalf("%d KB before and %d after: this proves nothing", before, remembered)
	}
	time.Sleep(rtnl.RecallTime + 3*time.Second)
	if after := resident(); after > before+6<<10 {
		t.Errorf("the process has %d KB, before a query %d and after it %d", after, before, remembered)
	}
}

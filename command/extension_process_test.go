package command

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
)

// TestCtrlC sends the signals that a terminal sends to the process group of an
// osqueryi and its extension.
func TestCtrlC(t *testing.T) {
	t.Parallel()
	nstest.New(t)
	x := startExtension(t)
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP} {
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
	// Soon after it is forgotten, where the machine has nothing else to do, and in any case before the runtime collects
	// garbage that nobody asked it to, which it does every two minutes.
	time.Sleep(rtnl.RecallTime)
	after := resident()
	for end := time.Now().Add(time.Minute); after > before+6<<10 && time.Now().Before(end); after = resident() {
		time.Sleep(100 * time.Millisecond)
	}
	if after > before+6<<10 {
		t.Errorf("the process has %d KB, before a query %d and after it %d", after, before, remembered)
	}
}

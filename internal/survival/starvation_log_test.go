package survival

import (
	"path/filepath"
	"syscall"
	"testing"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// TestLogUnread has nobody read the extension's log, which fills the pipe that it goes to: queries are
// answered as before, and the end is the same.
func TestLogUnread(t *testing.T) {
	t.Parallel()
	nstest.New(t)
	fifo := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	// The pipe is both ends' own.
	x := exttest.StartAt(t, osquerytest.Start(t), "exec 2<>"+fifo)
	for range 1000 { // with a line each, of some 130 bytes, where a pipe holds 64 KiB
		x.Generate(t, "kernel_routes", nil)
	}
	if err := x.Cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := x.Wait(t); status != 0 {
		t.Errorf("status %d after SIGTERM", status)
	}
}

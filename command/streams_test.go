package command

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
)

// TestClosedPipe: a reader that has had enough is no failure.
func TestClosedPipe(t *testing.T) {
	const much = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n LIMIT 10000) " +
		"SELECT a.v, b.v FROM n a, n b"
	for _, args := range [][]string{
		{"query", "--csv", much}, {"query", "--json", much}, {"query", "SELECT 1"}, {"routes"}, {"routes", "--summary"},
		{"spec"},
		{"capture", "-"}, {"--help"}, {"completion", "bash"}, {"monitor", "--since-snapshot"},
	} {
		cmd := exec.Command(binary(t), args...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdout = w
		if len(args[len(args)-1]) < len(much) {
			r.Close() // at once, as the answer is short
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w.Close()
		io.ReadFull(r, make([]byte, 100))
		r.Close()
		if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
			t.Errorf("%s: %v, %s", args, err, &stderr)
		}
	}
}

// TestFullDisk: a write that fails is a failure.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, args := range [][]string{
		{"query", "SELECT 1"}, {"routes"}, {"spec"}, {"capture", "-"}, {"--help"}, {"help"}, {"query", "--help"},
		{"--version"},
		{"completion", "bash"},
		{"monitor", "--since-snapshot"},
	} {
		cmd := exec.Command(binary(t), args...)
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = full, &stderr
		var exit *exec.ExitError
		err := cmd.Run()
		line, _, _ := strings.Cut(stderr.String(), "\n")
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.HasPrefix(line, program+": ") ||
			!strings.Contains(line, "no space left") {
			t.Errorf("%s: %v, %s", args, err, &stderr)
		}

		// Standard output closed.
		closed := exec.Command("sh", append([]string{"-c", `"$@" >&-`, "sh", binary(t)}, args...)...)
		stderr.Reset()
		closed.Stderr = &stderr
		err = closed.Run()
		line, _, _ = strings.Cut(stderr.String(), "\n")
		if !errors.As(err, &exit) || exit.ExitCode() != exitFailed || !strings.HasPrefix(line, program+": ") ||
			!strings.Contains(line, "standard output is closed") {
			t.Errorf("%s >&-: %v, %s", args, err, &stderr)
		}
	}
}

// TestNullOutput: not to see the output is no failure.
func TestNullOutput(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, stderr := range []*os.File{null, nil} {
		cmd := exec.Command(binary(t), "query", "SELECT 1")
		cmd.Stderr = null
		if stderr != nil {
			cmd.Stdout = null // one open file for both, as of a daemon
		}
		if err := cmd.Run(); err != nil {
			t.Error(err)
		}
	}
	inherited := exec.Command("sh", "-c", `"$0" query "SELECT 1"; exit "$?"`, binary(t))
	inherited.Stdout = null
	if err := inherited.Run(); err != nil {
		t.Errorf("the standard output of a shell: %v", err)
	}
	cmd := exec.Command("sh", "-c", `"$0" query <&-`, binary(t))
	out, err := cmd.CombinedOutput()
	if !strings.Contains(string(out), "no SQL") {
		t.Errorf("standard input closed: %v, %s", err, out)
	}
}

// TestFIFO: captures go through FIFOs, whoever comes first.
func TestFIFO(t *testing.T) {
	fixedNamespace(t)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	want := run(t, "", "routes")
	for _, wait := range []time.Duration{0, 100 * time.Millisecond} {
		reader := exec.Command(binary(t), "routes", "--from", fifo)
		var out bytes.Buffer
		reader.Stdout, reader.Stderr = &out, &out
		if err := reader.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(wait)
		if _, stderr, status := command(t, nil, "capture", fifo); status != exitOK || stderr != "" {
			t.Errorf("exit status %d, %s", status, stderr)
		}
		if err := reader.Wait(); err != nil || out.String() != want {
			t.Errorf("%v\n%s", err, firstDifference(want, out.String()))
		}
	}
	// A reader that goes away has not got the capture.
	reader := exec.Command("head", "-c", "1", fifo)
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	nstest.Batch(t, "-4", many("route add blackhole 10.%d.%d.0/24", 4000)...) // more than a FIFO holds
	_, stderr, status := command(t, nil, "capture", fifo)
	if status != exitFailed || !strings.Contains(stderr, "broken pipe") {
		t.Errorf("exit status %d, %s", status, stderr)
	}
	reader.Wait()
}

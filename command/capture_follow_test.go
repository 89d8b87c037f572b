package command

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/events"
)

// recordedEvents returns the events of a capture, which must be whole.
func recordedEvents(t *testing.T, file io.Reader) []*events.Event {
	t.Helper()
	c, err := capture.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	all, err := c.Events(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// changeUntil changes a route until it is told of.
func changeUntil(t *testing.T, told func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !told(); {
		if time.Now().After(deadline) {
			t.Fatal("no change is recorded")
		}
		nstest.Batch(t, "-4", "route add 10.99.0.0/16 dev lo", "route del 10.99.0.0/16 dev lo")
	}
}

// eventBegins is in a capture that has an event.
const eventBegins = "event\nseq 1\n"

// TestCaptureFollow: what changes is recorded until the time is over or a signal ends that, and the
// file is whole either way.
func TestCaptureFollow(t *testing.T) {
	fixedNamespace(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "changes.pcap")
	if err := os.WriteFile(file, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if out := run(t, "", "capture", "--follow", "1", file); out != "" {
		t.Errorf("capture printed %q", out)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if all := recordedEvents(t, f); len(all) > 0 {
		t.Errorf("%d events where nothing happens", len(all))
	}
	if live, got := run(t, "", "routes"), run(t, "", "routes", "--from", file); got != live {
		t.Errorf("%s", firstDifference(live, got))
	}

	for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		cmd := exec.Command(binary(t), "capture", "--follow", "1h", file)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		changeUntil(t, func() bool {
			temp, err := filepath.Glob(filepath.Join(dir, ".kernel_routes-*"))
			if err != nil || len(temp) == 0 {
				return false
			}
			b, err := os.ReadFile(temp[0])
			return err == nil && bytes.Contains(b, []byte(eventBegins))
		})
		cmd.Process.Signal(sig)
		stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
		cmd.Wait()
		stuck.Stop()
		if status := cmd.ProcessState.ExitCode(); status != want || stderr.String() != program+": interrupted\n" {
			t.Errorf("%v: exit status %d, %s", sig, status, &stderr)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		all := recordedEvents(t, f)
		// The route may have been there when following began: then it is removed first.
		if len(all) == 0 || all[0].Kind.Name != "route" {
			t.Errorf("%v: %d events", sig, len(all))
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// TestCaptureFollowStream: who reads a pipe has each event at once, and the whole at the end.
func TestCaptureFollowStream(t *testing.T) {
	fixedNamespace(t)
	cmd := exec.Command(binary(t), "capture", "--follow", "3600", "-")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	var mu sync.Mutex
	var got bytes.Buffer
	over := make(chan error)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := out.Read(b)
			mu.Lock()
			got.Write(b[:n])
			mu.Unlock()
			if err != nil {
				over <- err
				return
			}
		}
	}()
	changeUntil(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return bytes.Contains(got.Bytes(), []byte(eventBegins))
	})
	cmd.Process.Signal(syscall.SIGINT)
	if err := <-over; err != io.EOF {
		t.Error(err)
	}
	cmd.Wait()
	if all := recordedEvents(t, &got); len(all) == 0 {
		t.Error("no events")
	}
}

// TestCaptureFollowErrors: a time that is none is the command line's fault.
func TestCaptureFollowErrors(t *testing.T) {
	for _, text := range []string{"", "0", "-1", "soon", "0.5s", "999ms", "1 s",
		"99999999999999999999", "9999999999999"} {
		file := filepath.Join(t.TempDir(), "x")
		err := execute([]string{"capture", "--follow", text, file})
		const want = "is no time: give a number of seconds, at least 1, or a duration such as 10m"
		if err == nil || !strings.Contains(err.Error(), want) || status(err) != exitUsage {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%q: there is a file", text)
		}
	}
}

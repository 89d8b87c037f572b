package command

import (
	"bytes"
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

	"kernelroutes/internal/nstest"
)

// TestSignals: SIGINT, SIGTERM, SIGHUP and SIGQUIT end the program at once, with one line and its own status.
func TestSignals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		// in the middle
		{"query", "--csv", "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) SELECT v FROM n"},
		{"capture", "--follow", "60", fifo},   // nobody reads
		{"query", "--from", fifo, "SELECT 1"}, // nobody writes
		{"routes", "--from", fifo},
		{"routes", "--from", "-"},
		{"diff", fifo},
		{"diff", "testdata/captures/interface-config.pcap", "-"},
		{"query"},         // SQL
		{"capture", fifo}, // nobody reads
		{"monitor"},       // nothing changes
	} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
			cmd := exec.Command(binary(t), args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if slices.Contains(args, "--csv") {
				io.ReadFull(out, make([]byte, 100)) // it is at work
				go io.Copy(io.Discard, out)
			} else {
				waitsForOthers(t, cmd.Process.Pid)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
			cmd.Wait()
			stuck.Stop()
			in.Close()
			if status := cmd.ProcessState.ExitCode(); status != 128+int(sig) ||
				stderr.String() != program+": interrupted\n" {
				t.Errorf("%s, %v: exit status %d, %s", args, sig, status, &stderr)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestSecondSignal: whoever does not leave when asked is ended by the second signal.
func TestSecondSignal(t *testing.T) {
	const variable = "KERNEL_ROUTES_TEST_SIGNALS"
	if os.Getenv(variable) != "" {
		ctx, _ := untilSignal()
		fmt.Println("ready")
		<-ctx.Done()
		fmt.Println("asked")
		select {}
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestSecondSignal$")
	cmd.Env = append(os.Environ(), variable+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	for _, want := range []string{"ready\n", "asked\n"} {
		got := make([]byte, len(want))
		if _, err := io.ReadFull(out, got); err != nil || string(got) != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 130 {
		t.Errorf("exit status %d", status)
	}
}

// waitsForOthers waits until a process does nothing but wait for what nobody sends.
func waitsForOthers(t *testing.T, pid int) {
	t.Helper()
	for n, tries := 0, 0; n < 5; tries++ {
		if tries > 10_000 {
			t.Fatal("the program does not wait")
		}
		time.Sleep(5 * time.Millisecond)
		if n++; !waits(pid) {
			n = 0
		}
	}
}

// waits reports whether a thread of a process is opening a FIFO, reading, or waiting for the end of a pipe.
func waits(pid int) bool {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
	for _, file := range threads {
		text, _ := os.ReadFile(file)
		number, _, _ := strings.Cut(string(text), " ")
		if number == fmt.Sprint(syscall.SYS_OPENAT) || number == fmt.Sprint(syscall.SYS_READ) ||
			number == fmt.Sprint(syscall.SYS_PPOLL) {
			return true
		}
	}
	return false
}

// TestInterrupt: a signal ends every statement at once, whatever it is at. None of them would end by itself in
// many times what is allowed here, on any machine.
func TestInterrupt(t *testing.T) {
	const soon = time.Second // some 25 ms where nothing else runs
	const numbers = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n LIMIT 100000000) SELECT "
	for _, sql := range []string{
		numbers + "v FROM n ORDER BY v * 7 % 1000003",
		numbers + "DISTINCT v * 7 % 1000003 FROM n",
		numbers + "v * 7 % 1000003, count(*) FROM n GROUP BY 1",
		numbers + "group_concat(v) FROM n",
		"SELECT count(*) FROM kernel_routes" + strings.Repeat(", kernel_routes", 4) +
			strings.Repeat(", json_each('[1,2,3,4,5,6,7,8,9]')", 20),
		"SELECT sleep(1000)",
		// One step, between two of which SQLite would hear of an interruption.
		"SELECT instr(zeroblob(10000000), CAST(zeroblob(5000000) || x'01' AS BLOB))",
		"SELECT regex_match('" + strings.Repeat("a", 100) + "b', '(a+)+$', 0) FROM (" + numbers + "v FROM n)",
	} {
		for _, wait := range []int{5, 50, nstest.Amount(400, 100)} {
			took := untilInterrupted(t, sql, time.Duration(wait)*time.Millisecond)
			for tries := 1; took > soon && tries < 5; tries++ { // the machine may have been busy with others
				took = min(took, untilInterrupted(t, sql, time.Duration(wait)*time.Millisecond))
			}
			if took > soon {
				t.Fatalf("%s: %v after the signal", sql, took)
			}
		}
	}
}

// untilInterrupted sends SIGINT to a query after a while, and returns how long it
// still takes from then on.
func untilInterrupted(t *testing.T, sql string, wait time.Duration) time.Duration {
	t.Helper()
	cmd := exec.Command(binary(t), "query", "--csv", sql)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(wait)
	sent := time.Now()
	cmd.Process.Signal(syscall.SIGINT)
	stuck := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	cmd.Wait()
	stuck.Stop()
	took := time.Since(sent)
	early := cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled() // before the program listened
	if !early && stderr.String() != program+": interrupted\n" {
		t.Errorf("%s: %s", sql, &stderr)
	}
	return took
}

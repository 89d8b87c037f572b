package survival

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// leastAddressSpace and leastData are what the kernel needs to start a program of this size at all: below it
// kills the process (SIGSEGV) before the first instruction, of which nobody can say anything.
const (
	leastAddressSpace = 72 << 20
	leastData         = 40 << 20
)

// enough is where each command answers, also in the hole above 1.2 GB, where Go's runtime reserves more.
const (
	enoughAddressSpace = 1600 << 20
	enoughData         = 128 << 20
)

// TestMemoryLimits: from where a program can be started on, there is an answer or a line, and from some
// limit on the answer.
func TestMemoryLimits(t *testing.T) {
	nstest.New(t)
	all := some(tasks(t))
	for _, sweep := range []struct {
		name                string
		resource            int
		least, enough, step uint64
	}{
		{"RLIMIT_AS", unix.RLIMIT_AS, leastAddressSpace, enoughAddressSpace, uint64(nstest.Amount(56, 400)) << 20},
		{"RLIMIT_DATA", unix.RLIMIT_DATA, leastData, enoughData, uint64(nstest.Amount(4, 22)) << 20},
	} {
		n := 0
		for limit := sweep.least; limit < sweep.enough; limit += sweep.step {
			n++
			what := fmt.Sprintf("%s %d", sweep.name, limit)
			h := &hardship{Limits: map[int]uint64{sweep.resource: limit}}
			if answered, r := all[n%len(all)].try(t, h, what); !answered && !strings.Contains(r.stderr, "memory") {
				t.Errorf("%s: does not speak of memory: %s", what, r.stderr)
			}
		}
		h := &hardship{Limits: map[int]uint64{sweep.resource: sweep.enough}}
		for i := range all {
			if answered, r := all[i].try(t, h, sweep.name+", enough"); !answered {
				t.Errorf("%s of %d is not enough for %s: %s", sweep.name, sweep.enough, all[i].args, r.stderr)
			}
		}
	}
}

// TestFileLimits: the same of open files, the stack, and what is written.
func TestFileLimits(t *testing.T) {
	nstest.New(t)
	all := tasks(t)
	limited := func(resource int, limit uint64) *hardship {
		return &hardship{Limits: map[int]uint64{resource: limit}}
	}
	for files := uint64(3); files <= 16; files++ {
		for i := range all {
			if testing.Short() && i%4 != int(files)%4 {
				continue
			}
			answered, r := all[i].try(t, limited(unix.RLIMIT_NOFILE, files), fmt.Sprintf("RLIMIT_NOFILE %d", files))
			if !answered && (files >= 14 || !strings.Contains(r.stderr, "open files")) {
				t.Errorf("RLIMIT_NOFILE %d: %s: %s", files, all[i].args, r.stderr)
			}
		}
	}
	for i := range all {
		// Less than the arguments and the environment take, and the kernel starts no program at all.
		if answered, r := all[i].try(t, limited(unix.RLIMIT_STACK, 192<<10), "RLIMIT_STACK"); !answered {
			t.Errorf("RLIMIT_STACK: %s", r.stderr)
		}
		r := limited(unix.RLIMIT_FSIZE, 100).run(t, all[i].args...) // a pipe has no size
		if all[i].file != "" {
			r.failed(t, "RLIMIT_FSIZE", "file too large", all[i].file)
		} else if !r.check(t, "RLIMIT_FSIZE", all[i].want) {
			t.Errorf("RLIMIT_FSIZE: %s", r.stderr)
		}
	}
	file := filepath.Join(t.TempDir(), "changes.pcap")
	limited(unix.RLIMIT_FSIZE, 100).run(t, "capture", "--follow", "1", file).failed(t, "capture --follow", "too large")
	if _, err := os.Stat(file); err == nil {
		t.Error("there is a part of a capture")
	}
}

// TestExtensionMemory: where one query would take more memory than there is, it fails, or the process ends
// with a line; and as long as the process is there it answers what it has memory for.
func TestExtensionMemory(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "ve", "192.0.2.1/24")
	many := nstest.Amount(150_000, 60_000)
	lines := make([]string, many)
	for i := range lines {
		lines[i] = fmt.Sprintf("route add blackhole 10.%d.%d.%d/32 table 99", i>>16, i>>8&255, i&255)
	}
	nstest.Batch(t, "-4", lines...)
	refused, answered := 0, 0
	for data := 84; data <= 204; data += nstest.Amount(12, 40) {
		what := fmt.Sprintf("ulimit -d %d MiB", data)
		h := &hardship{Limits: map[int]uint64{unix.RLIMIT_DATA: uint64(data) << 20}}
		m := osquerytest.Start(t)
		x := exttest.Launch(t, m, "export KERNEL_ROUTES_MAX_RESPONSE_MB=0; "+h.before(t))
		ended := make(chan int, 1)
		go func() { ended <- x.Wait(t) }()
		registered := make(chan error, 1)
		go func() {
			_, err := m.WaitRegistered(x.Context)
			registered <- err
		}()
		gone := func(status int) {
			noTrace(t, what, x.Stderr.String())
			if status != exitFailed || !strings.Contains(x.Stderr.String(), program+"out of memory") {
				t.Errorf("%s: exit status %d: %s", what, status, &x.Stderr)
			}
		}
		select {
		case err := <-registered:
			if err != nil {
				t.Fatal(err)
			}
		case status := <-ended:
			gone(status)
			continue
		}
		for range 3 {
			r, err := x.Call(x.Context, "kernel_routes", exttest.Request(nil, "dst", "table_id", "type"))
			if err != nil {
				break // it has ended, or will be found alive
			}
			switch {
			case r.Status.Code == 0 && len(r.Response) >= many:
				answered++
			case r.Status.Code != 0 && strings.Contains(r.Status.Message, "out of memory"):
				refused++
			default:
				t.Errorf("%s: status %d, %s, %d rows", what, r.Status.Code, r.Status.Message, len(r.Response))
			}
			r, err = x.Call(x.Context, "kernel_routes", exttest.Request([]string{"table_name=main"}, "dst"))
			if err == nil && (r.Status.Code != 0 || len(r.Response) != 1) {
				t.Errorf("%s: table main: %s, %d rows", what, r.Status, len(r.Response))
			}
		}
		x.Cmd.Process.Signal(syscall.SIGTERM)
		if status := <-ended; status != exitOK {
			gone(status)
		}
	}
	t.Logf("%d answers, %d refused", answered, refused)
	if answered == 0 || refused == 0 {
		t.Error("there are not both")
	}
}

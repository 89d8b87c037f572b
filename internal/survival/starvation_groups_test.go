package survival

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// group makes a control group of the test's own and sets the first of the files that it has: one for each version
// of control groups. It returns what a shell runs to be in it. Only root can make one, which CI is not.
func group(t *testing.T, controller, value string, files ...string) (before string) {
	t.Helper()
	var last error
	for _, root := range []string{"/sys/fs/cgroup/" + controller, "/sys/fs/cgroup"} {
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil {
			last = err
			continue
		}
		dir, err := os.MkdirTemp(root, "kernel-routes-test")
		switch {
		case errors.Is(err, fs.ErrPermission), errors.Is(err, unix.EROFS):
			last = err
			continue
		case err != nil:
			t.Fatal(err)
		}
		t.Cleanup(func() {
			for start := time.Now(); os.Remove(dir) != nil && time.Since(start) < endurance; { // until all have ended
				time.Sleep(time.Millisecond)
			}
		})
		for _, file := range files {
			if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
				last = err
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0o644); err != nil {
				t.Fatal(err)
			}
			return "echo $$ >" + dir + "/cgroup.procs"
		}
	}
	t.Skipf("no control group with %s can be made, which takes root and the controller %s: %v", files[0], controller,
		last)
	return ""
}

// inGroup runs the program in a control group.
func inGroup(t *testing.T, before string, args ...string) (r result, killed bool) {
	t.Helper()
	plain := (&hardship{}).command(t.Context(), t, args...)
	shell := []string{"-c", before + "\nexec \"$@\"", "sh"}
	cmd := exec.CommandContext(t.Context(), "sh", append(shell, plain.Args[1:]...)...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.Run()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	r = result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
	return r, status.Signaled() && status.Signal() == unix.SIGKILL
}

// TestUserThreads: a limit of the user's threads is an answer or a line. (The kernel does not apply it to root,
// of whom clone is denied in TestNeededCalls, and pids.max here.)
func TestUserThreads(t *testing.T) {
	nstest.New(t)
	all := some(tasks(t))
	for most := range uint64(nstest.Amount(12, 6)) {
		h := &hardship{Limits: map[int]uint64{unix.RLIMIT_NPROC: most}}
		i := int(most) % len(all)
		if answered, r := all[i].try(t, h, fmt.Sprintf("RLIMIT_NPROC %d", most)); !answered &&
			!strings.Contains(r.stderr, "ulimit -u") {
			t.Errorf("RLIMIT_NPROC %d: %s", most, r.stderr)
		}
	}
}

// TestGroupThreads: so it is where a control group has the limit.
func TestGroupThreads(t *testing.T) {
	nstest.New(t)
	all := some(tasks(t))
	for most := 1; most <= 12; most++ {
		before := group(t, "pids", fmt.Sprint(most), "pids.max")
		k := &all[most%len(all)]
		r, _ := inGroup(t, before, k.args...)
		want := k.want
		if k.file != "" {
			want = ""
		}
		if r.status == exitFailed {
			r.stdout = "" // it may have answered when a thread was missed
		}
		answered := r.check(t, fmt.Sprintf("pids.max %d: %s", most, k.args), want)
		if !answered && (most > 10 || !strings.Contains(r.stderr, "pids.max")) {
			t.Errorf("pids.max %d: %s: %s", most, k.args, r.stderr)
		}
	}
}

// TestGroupMemory: a control group's memory is enough, or the kernel kills the program: no part of an answer is a
// success. A query that would take more than the extension may have is refused, and the others are answered.
func TestGroupMemory(t *testing.T) {
	nstest.New(t)
	all := some(tasks(t))
	files := []string{"memory.max", "memory.limit_in_bytes"}
	for mb := 4; mb <= 64; mb += 12 {
		r, killed := inGroup(t, group(t, "memory", fmt.Sprint(mb<<20), files...), all[0].args...)
		if !killed {
			r.check(t, fmt.Sprintf("%d MiB", mb), all[0].want)
		}
	}
	const many = 150_000
	lines := make([]string, many)
	for i := range lines {
		lines[i] = fmt.Sprintf("route add blackhole 10.%d.%d.%d/32 table 99", i>>16, i>>8&255, i&255)
	}
	nstest.Batch(t, "-4", lines...)
	for mb, refused := range map[int]bool{27: true, 64: false} {
		before := group(t, "memory", fmt.Sprint(mb<<20), files...)
		x := exttest.StartAt(t, osquerytest.Start(t),
			before+"; export KERNEL_ROUTES_MAX_RESPONSE_MB=0 KERNEL_ROUTES_EVENTS_MB=0")
		for range 3 {
			r, err := x.Call(x.Context, "kernel_routes", exttest.Request(nil, "dst", "table_id", "type"))
			if err != nil || (r.Status.Code != 0) != refused || !refused && len(r.Response) < many ||
				refused != strings.Contains(r.Status.Message, "control group") {
				t.Fatalf("%d MiB: %v, %v, %d rows: %s", mb, err, r.Status, len(r.Response), &x.Stderr)
			}
			if rows := x.Generate(t, "kernel_routes", []string{"table_id=77"}, "dst"); len(rows) != 1 {
				t.Errorf("%d MiB: %v", mb, rows)
			}
		}
		noTrace(t, "in a control group", x.Stderr.String())
		x.Cmd.Process.Signal(syscall.SIGTERM)
		if status := x.Wait(t); status != exitOK {
			t.Errorf("%d MiB: exit status %d", mb, status)
		}
	}
}

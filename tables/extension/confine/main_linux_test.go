package confine

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// confinedAs is set in the environment of the process that confines itself, and then tries things: to what is to
// remain possible of it ("namespaces", "authors").
const confinedAs = "KERNEL_ROUTES_TEST_CONFINED"

func TestMain(m *testing.M) {
	if as, ok := os.LookupEnv(confinedAs); ok {
		switch what, which, _ := strings.Cut(as, " "); what {
		case "refused":
			refuse(which)
		case "crash":
			crash(which)
		default:
			tryAll(as, os.Args[1])
		}
		return
	}
	nstest.Main(m)
}

// A tried is what a confined process has told.
type tried struct {
	results map[string]string // by what was tried: possible, or the error
	threads []map[string]string
	applied string
	log     string
}

// confined runs a process that confines itself and tries everything, in a folder. how changes how it is
// started.
func confined(t *testing.T, as, folder string, how func(*exec.Cmd)) tried {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", folder)
	cmd.Env = append(os.Environ(), confinedAs+"="+as)
	var said bytes.Buffer
	cmd.Stderr = &said
	if how != nil {
		how(cmd)
	}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, &said)
	}
	r := tried{results: map[string]string{}, log: said.String()}
	for line := range strings.Lines(string(out)) {
		kind, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		name, value, _ := strings.Cut(rest, ": ")
		switch kind {
		case "tried":
			r.results[name] = value
		case "thread":
			r.threads = append(r.threads, map[string]string{})
		case "status":
			r.threads[len(r.threads)-1][name] = value
		case "applied":
			r.applied = rest
		}
	}
	if len(r.results) < 20 || len(r.threads) < 8 {
		t.Fatalf("it has tried %d things on %d threads\n%s%s", len(r.results), len(r.threads), out, &said)
	}
	return r
}

// tryAll is the process that confined starts.
func tryAll(as, folder string) {
	// Threads that are there before it is confined, and one that is made later (by attempts).
	for range 6 {
		ready := make(chan bool)
		go func() {
			runtime.LockOSThread()
			close(ready)
			select {}
		}()
		<-ready
	}
	Apply(Options{Socket: filepath.Join(folder, "osquery.em"), Namespaces: strings.Contains(as, "namespaces"),
		Authors: strings.Contains(as, "authors"), Logger: toldLog()})
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintf(out, "applied %s\n", Applied())
	for _, a := range attempts {
		err := a.try(folder)
		text := possible
		if err != nil {
			text = err.Error()
			var errno syscall.Errno
			if errors.As(err, &errno) {
				text = unix.ErrnoName(errno)
			}
		}
		fmt.Fprintf(out, "tried %s: %s\n", a.name, text)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	for _, thread := range threads {
		text, err := os.ReadFile("/proc/self/task/" + thread.Name() + "/status")
		if err != nil {
			continue // it has ended
		}
		fmt.Fprintln(out, "thread", thread.Name())
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(line, ":")
			if strings.HasPrefix(name, "Cap") || slices.Contains([]string{"NoNewPrivs", "Seccomp", "Uid"}, name) {
				fmt.Fprintf(out, "status %s: %s\n", name, strings.TrimSpace(value))
			}
		}
	}
}

// misused runs a process that confines itself, otherwise than confined does.
func misused(t *testing.T, as string) (out, log string, err error) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", t.TempDir())
	cmd.Env = append(os.Environ(), confinedAs+"="+as)
	var said bytes.Buffer
	cmd.Stderr = &said
	text, err := cmd.Output()
	return strings.TrimSpace(string(text)), said.String(), err
}

// toldLog is the log of a process that confines itself.
func toldLog() *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// refuse confines a process that is not allowed what that takes.
func refuse(which string) {
	calls := map[string][]uint32{
		"seccomp":      {unix.SYS_SECCOMP},
		"capabilities": {unix.SYS_CAPSET, unix.SYS_CAPGET},
		"landlock":     {unix.SYS_LANDLOCK_CREATE_RULESET},
		"prctl":        {unix.SYS_PRCTL},
	}[which]
	program := []bpf.Instruction{bpf.LoadAbsolute{Off: offsetCall, Size: 4}}
	for _, call := range calls {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: call, SkipFalse: 1},
			bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | notAllowed})
	}
	if err := load(append(program, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	Apply(Options{Socket: filepath.Join(os.Args[1], "osquery.em"), Logger: toldLog()})
	fmt.Println("applied", Applied())
}

// crash ends a confined process.
func crash(how string) {
	Apply(Options{Socket: filepath.Join(os.Args[1], "osquery.em"), Logger: toldLog()})
	switch how {
	case "panic":
		go func() { panic("on purpose") }()
		select {}
	case "nil":
		defer func() { fmt.Fprintln(os.Stderr, "recovered:", recover()) }()
		var p *part
		fmt.Println(p.name)
	case "abort":
		syscall.Kill(os.Getpid(), syscall.SIGABRT)
		select {}
	case "overflow":
		debug.SetMaxStack(1 << 20)
		var deep func(n int) int
		deep = func(n int) int { return deep(n+1) + n }
		fmt.Println(deep(0))
	}
}

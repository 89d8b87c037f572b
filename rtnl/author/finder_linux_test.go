package author

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

const self = "/proc/self/exe"

// TestFirstSocket is of a process whose socket has its id, and of ip.
func TestFirstSocket(t *testing.T) {
	l := listen(t)
	w, _ := start(t, self, 0)
	w.do("name", `who's\x41`)
	fd, port := w.open(0)
	if port != w.pid {
		t.Fatalf("port %d of process %d", port, w.pid)
	}
	a := l.want(w, fd, w, Process)
	if a == nil || a.Name != `who's\x5cx41` || a.ParentPID != uint32(os.Getpid()) || a.UID != 0 ||
		a.Cgroup == "" {
		t.Errorf("got %+v", a)
	}
	if again := l.want(w, fd, w, Process); again != a {
		t.Error("what is the same takes memory again")
	}
}

// TestIP is ip itself, which waits for the next line meanwhile.
func TestIP(t *testing.T) {
	l := listen(t)
	cmd := nstest.Last(t, 0)
	for i := range 20 {
		cmd.Change(t, fmt.Sprintf("route add blackhole 192.0.2.%d", i))
		port := l.ports(1)[0]
		a, certainty := l.Find(port)
		if certainty != Process || a.Name != "ip" || a.PID != uint32(cmd.Process.Pid) || a.PID != port ||
			a.Path != exe(t, a.PID) {
			t.Fatalf("%+v, %s", a, certainty)
		}
	}
}

// TestKernel is what the kernel does by itself.
func TestKernel(t *testing.T) {
	l := listen(t)
	if a, certainty := l.Find(0); a != nil || certainty != Kernel {
		t.Errorf("%+v, %s", a, certainty)
	}
}

// TestSecondSocket changes by a socket with a number that the kernel made up, then by the first,
// then by one with a number of its own choice, that no process has.
func TestSecondSocket(t *testing.T) {
	l := listen(t)
	w, _ := start(t, self, 0)
	first, _ := w.open(0)
	second, port := w.open(0)
	if port == w.pid || port < maxPID {
		t.Fatalf("the second socket has port %d", port)
	}
	chosen, _ := w.open(maxPID + 7)
	for range 2 {
		l.want(w, second, w, OtherSocket)
		l.want(w, first, w, Process)
		l.rest = time.Time{}
		l.want(w, chosen, w, OtherSocket)
	}
}

// TestAgain has sockets that take a search each, one just after the other: the second is found at the
// time that it is asked for again.
func TestAgain(t *testing.T) {
	l := listen(t)
	w, _ := start(t, self, 0)
	w.open(0)
	second, _ := w.open(0)
	third, _ := w.open(0)
	l.settle(t, w)
	l.want(w, second, w, OtherSocket)
	if again := l.Again(); again != 0 {
		t.Errorf("again after %v, though it is found", again)
	}
	l.rest = time.Now().Add(time.Minute)
	w.do("change", third)
	port := l.ports(2)[0]
	if a, certainty := l.Find(port); a != nil || certainty != Unknown {
		t.Errorf("%+v, %s, too early for a search", a, certainty)
	}
	if again := l.Again(); again <= 0 || again > time.Minute {
		t.Errorf("again after %v", again)
	}
	l.rest = time.Time{}
	if a, certainty := l.Find(port); a == nil || a.PID != w.pid || certainty != OtherSocket || l.Again() != 0 {
		t.Errorf("%+v, %s, again after %v", a, certainty, l.Again())
	}
	// A number that others may have had, or have later, is not worth it: they would be named.
	chosen, _ := w.open(maxPID + 7)
	l.rest = time.Now().Add(time.Minute)
	w.do("change", chosen)
	if a, _ := l.Find(l.ports(2)[0]); a != nil || l.Again() != 0 {
		t.Errorf("%+v, again after %v", a, l.Again())
	}
}

// TestForgedPort has a socket with the number of a process that is not its own.
func TestForgedPort(t *testing.T) {
	l := listen(t)
	forger, _ := start(t, self, 0)
	innocent, _ := start(t, self, 0)
	forged, _ := forger.open(innocent.pid)
	second, _ := innocent.open(0) // it has a socket, but not that one
	l.want(forger, forged, forger, OtherSocket)
	l.rest = time.Time{}
	l.want(innocent, second, innocent, OtherSocket)
	// That of kthreadd, and of the process that all others come from.
	for _, pid := range []uint32{1, 2} {
		fd, _ := forger.open(pid)
		l.rest = time.Time{}
		l.want(forger, fd, forger, OtherSocket)
	}
}

// TestForgedLater has a number that was known as that of a process, which has closed its socket.
func TestForgedLater(t *testing.T) {
	l := listen(t)
	forger, _ := start(t, self, 0)
	innocent, _ := start(t, self, 0)
	fd, port := innocent.open(0)
	l.want(innocent, fd, innocent, Process)
	innocent.do("close", fd)
	forged, _ := forger.open(port)
	l.want(forger, forged, forger, OtherSocket)
	forger.do("close", forged)
	fd, _ = innocent.open(0)
	l.want(innocent, fd, innocent, Process)
}

// TestReopened is a process that opens a socket for each change.
func TestReopened(t *testing.T) {
	l := listen(t)
	w, _ := start(t, self, 0)
	for range 5 {
		fd, port := w.open(0)
		if port != w.pid {
			t.Fatalf("port %d of process %d", port, w.pid)
		}
		l.want(w, fd, w, Process)
		w.do("change", fd)
		w.do("close", fd)
		for _, port := range l.ports(2) { // when it is closed, nothing says that it was that one
			if a, certainty := l.Find(port); a != nil || certainty != Unknown {
				t.Errorf("%+v, %s", a, certainty)
			}
		}
	}
}

// TestEnded is a process that has ended before it is looked for, and one that was known.
func TestEnded(t *testing.T) {
	l := listen(t)
	nstest.IP(t, "route add blackhole 192.0.2.1")
	port := l.ports(1)[0]
	for range 3 * patience {
		if a, certainty := l.Find(port); a != nil || certainty != Unknown {
			t.Fatalf("port %d: %+v, %s", port, a, certainty)
		}
	}
	w, _ := start(t, self, 0)
	fd, _ := w.open(0)
	l.want(w, fd, w, Process)
	w.do("change", fd)
	w.end()
	for _, port := range l.ports(2) {
		if a, certainty := l.Find(port); a != nil || certainty != Unknown {
			t.Errorf("port %d: %+v, %s", port, a, certainty)
		}
	}
}

// TestExec has another program in the process, with the same socket.
func TestExec(t *testing.T) {
	l := listen(t)
	w, _ := start(t, self, 0)
	fd, _ := w.open(0)
	before := l.want(w, fd, w, Process)
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "otherwise")
	if err := os.WriteFile(path, program, 0o700); err != nil {
		t.Fatal(err)
	}
	w.do("exec", fd, path)
	after := l.want(w, fd, w, Process)
	if before == nil || after == nil || before.Path == path || after.Path != path || after.Name != "otherwise" {
		t.Errorf("before %+v, after %+v", before, after)
	}
	os.Remove(path)
	if a := l.want(w, fd, w, Process); a == nil || a.Path != path+" (deleted)" {
		t.Errorf("without its file %+v", a)
	}
}

// TestRenamed has another name and nothing else: that is seen within a second.
func TestRenamed(t *testing.T) {
	l := listen(t)
	w, _ := start(t, self, 0)
	fd, _ := w.open(0)
	l.want(w, fd, w, Process)
	w.do("name", "renamed")
	until(t, "the new name", func() bool { return l.want(w, fd, w, Process).Name == "renamed" })
}

// TestDaemon has its socket from a process that has ended.
func TestDaemon(t *testing.T) {
	l := listen(t)
	w, daemon := start(t, self, 0)
	fd, port := w.open(0)
	w.share(daemon, fd)
	w.end()
	if a := l.want(daemon, 3, daemon, OtherSocket); a != nil && (a.PID == port || a.PID != daemon.pid) {
		t.Errorf("got %+v", a)
	}
}

// TestSharedSocket is of a process and its child. Which one uses it, the kernel does not say.
func TestSharedSocket(t *testing.T) {
	for _, second := range []bool{false, true} {
		t.Run(fmt.Sprint("second ", second), func(t *testing.T) {
			l := listen(t)
			w, child := start(t, self, 0)
			want := Process
			if second {
				w.open(0)
				want = OtherSocket
			}
			fd, _ := w.open(0)
			l.want(w, fd, w, want)
			w.share(child, fd)
			l.want(child, 3, nil, Unknown)
			l.want(w, fd, nil, Unknown)
			w.do("close", fd)
			l.forgetAll() // and the pauses after so much in vain
			l.rest = time.Time{}
			l.want(child, 3, child, OtherSocket)
		})
	}
}

// TestChild has none of its parent's sockets.
func TestChild(t *testing.T) {
	l := listen(t)
	w, child := start(t, self, 0)
	fd, _ := w.open(0)
	l.want(w, fd, w, Process)
	w.share(child, -1)
	l.want(w, fd, w, Process)
	own, _ := child.open(0)
	l.want(child, own, child, Process)
}

// TestForget has more askers than are remembered.
func TestForget(t *testing.T) {
	l := listen(t)
	before := nstest.OpenFiles(t)
	w, _ := start(t, self, 0)
	fd, port := w.open(0)
	l.want(w, fd, w, Process)
	for n := range uint32(3 * maxPorts) {
		l.Find(maxPID + 1 + n)
		if n%maxPorts == maxPorts/2 {
			l.want(w, fd, w, Process)
		}
	}
	if len(l.asked) != maxPorts {
		t.Errorf("%d ports are known", len(l.asked))
	}
	l.want(w, fd, w, Process)
	if a, certainty := l.Find(port); a == nil || certainty != Process {
		t.Errorf("%+v, %s", a, certainty)
	}
	l.Close()
	if after := nstest.OpenFiles(t); after >= before+4 { // the four pipes of the process alone
		t.Errorf("%d files are open, %d before", after, before)
	}
	if a, certainty := l.Find(port); a != nil || certainty != Unknown {
		t.Errorf("closed: %+v, %s", a, certainty)
	}
}

// TestThousand is as many commands, each a process of its own, that end at once: most are found, and
// none is taken for another. They are looked for by the goroutine that hears of them, or by another
// one, which takes longer; and each in a PID namespace of its own, where all have the same number:
// then it might be the next one that has it when it is looked for.
func TestThousand(t *testing.T) {
	for _, tc := range []struct {
		name  string
		one   bool
		flags uintptr
		want  Certainty
	}{
		{"one goroutine", true, 0, Process},
		{"two goroutines", false, 0, Process},
		{"namespaces", true, unix.CLONE_NEWPID, OtherNamespace}, // few if any, as none is old enough
	} {
		t.Run(tc.name, func(t *testing.T) { thousand(t, tc.one, tc.flags, tc.want) })
	}
}

// An answer is what Find returns for a port.
type answer struct {
	port      uint32
	author    *Author
	certainty Certainty
}

func thousand(t *testing.T, one bool, flags uintptr, want Certainty) {
	l := listen(t)
	n := nstest.Amount(1000, 200)
	handed, found := make(chan uint32, n), make(chan answer, n)
	find := func(port uint32) {
		a, certainty := l.Find(port)
		found <- answer{port, a, certainty}
	}
	var both sync.WaitGroup
	both.Go(func() {
		defer close(handed)
		for range n {
			port, err := l.hear()
			switch {
			case err != nil:
				t.Error(err)
				return
			case one:
				find(port)
			default:
				handed <- port
			}
		}
	})
	both.Go(func() {
		for port := range handed {
			find(port)
		}
	})
	var pids []uint32
	for i := range n {
		cmd := exec.Command("ip", "route", "add", "blackhole", fmt.Sprintf("10.%d.%d.0/24", i>>8, i&255))
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		pids = append(pids, uint32(cmd.Process.Pid))
	}
	both.Wait()
	close(found)
	known, paths := 0, 0
	for got := range found {
		pid := pids[0]
		pids = pids[1:]
		a := got.author
		switch {
		case got.port != pid && want == Process || got.port != 1 && want == OtherNamespace:
			t.Errorf("process %d has port %d", pid, got.port)
		case got.certainty == Unknown && a == nil:
		case got.certainty != want || a.PID != pid || a.Name != "ip" || a.Path != "" && a.Path != ipPath(t):
			t.Errorf("process %d: %+v, %s", pid, a, got.certainty)
		case a.Path != "":
			paths++
			fallthrough
		default:
			known++
		}
	}
	t.Logf("%d of %d are found, %d with the path", known, n, paths)
	if known == 0 && want == Process {
		t.Error("none is found")
	}
}

// ipPath returns which file ip is.
func ipPath(t *testing.T) string {
	path, err := exec.LookPath("ip")
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

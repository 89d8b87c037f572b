package survival

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

const terminate = syscall.SIGTERM

// TestOsqueryKilled kills osquery, which starts again at the same socket, and its extension beside the one
// that has not noticed yet.
func TestOsqueryKilled(t *testing.T) {
	t.Parallel()
	newHost(t)
	dir := socketFolder(t)
	o := startOsquery(t, dir)
	old, address := o.extension(t)
	answers(t, address)
	// So that it does not notice, nor answer the new osquery before the new extension has taken its place.
	signal(t, old.Cmd.Process, syscall.SIGSTOP)
	o.kill()

	o = startOsquery(t, dir)
	x, again := o.extension(t)
	if again != address {
		t.Fatalf("the new one is at %s, and the old one was at %s: this proves nothing", again, address)
	}
	signal(t, old.Cmd.Process, syscall.SIGCONT)
	ends(t, old, "osquery is gone", "osqueryd starts it again")
	answers(t, again)
	o.signal(t, syscall.SIGKILL)
	ends(t, x, "osquery is gone")
	if _, err := os.Lstat(again); !os.IsNotExist(err) {
		t.Errorf("the extension's socket is left: %v", err)
	}
}

// TestOsqueryHung stops osquery for less than the time that it has to answer a ping, and for longer.
func TestOsqueryHung(t *testing.T) {
	t.Parallel()
	newHost(t)
	o := startOsquery(t, socketFolder(t))
	x, address := o.extension(t, "--timeout", "10", "--interval", "1")
	o.signal(t, syscall.SIGSTOP)
	time.Sleep(2 * time.Second) // which has a ping in it that waits
	answers(t, address)
	o.signal(t, syscall.SIGCONT)
	time.Sleep(2 * time.Second) // and this one that is answered
	answers(t, address)
	quiet(t, x)

	o.signal(t, syscall.SIGSTOP)
	ends(t, x, "osquery is gone", "timeout", "osqueryd starts it again")
	// It is started again while osquery is still stopped, as a watcher of another process does.
	ends(t, exttest.LaunchAt(t, o.socket, "", "--timeout", "1"), o.socket, "does not answer within 1s",
		"see whether osquery is stopped")
	o.signal(t, syscall.SIGCONT)
	x, address = o.extension(t)
	answers(t, address)
	terminates(t, x)
	quiet(t, x)
}

// TestExtensionStopped stops the extension itself, for less than osquery waits for it, and for longer.
func TestExtensionStopped(t *testing.T) {
	t.Parallel()
	newHost(t)
	o := startOsquery(t, socketFolder(t))
	x, address := o.extension(t)
	conn, err := connect(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	signal(t, x.Cmd.Process, syscall.SIGSTOP)
	answered := make(chan error, 1)
	go func() { _, err := conn.Ping(t.Context()); answered <- err }()
	select {
	case err := <-answered:
		t.Fatalf("it answers while it is stopped: %v", err)
	case <-time.After(pingTimeout / 3):
	}
	signal(t, x.Cmd.Process, syscall.SIGCONT)
	if err := <-answered; err != nil {
		t.Error(err)
	}
	answers(t, address)
	quiet(t, x)

	signal(t, x.Cmd.Process, syscall.SIGSTOP)
	o.wait(t, "gone")
	signal(t, x.Cmd.Process, syscall.SIGCONT)
	ends(t, x, "deregistered by osquery", "no answer in time", "osqueryd starts it again")
	x, address = o.extension(t)
	answers(t, address)
	terminates(t, x)
}

// TestDeregistered has osquery drop the extension, and go on to answer its pings.
func TestDeregistered(t *testing.T) {
	t.Parallel()
	newHost(t)
	x := exttest.Start(t)
	answers(t, x.Address())
	x.Deregister(x.UUID)
	ends(t, x, "deregistered by osquery", "osqueryd starts it again")
	x = exttest.StartAt(t, x.Manager, "")
	answers(t, x.Address())
	terminates(t, x)
}

// TestKillNine starts the extension again after kill -9, before osquery notices.
func TestKillNine(t *testing.T) {
	t.Parallel()
	newHost(t)
	m := osquerytest.Start(t)
	x := exttest.StartAt(t, m, "")
	x.Cmd.Process.Kill()
	x.Cmd.Wait()
	again := exttest.Launch(t, m, "")
	waitFor(t, func() bool { return strings.Contains(again.Stderr.String(), "still has an extension of this name") })
	m.Deregister(x.UUID) // its next ping
	if err := m.WaitDeregistered(x.Context, x.UUID); err != nil {
		t.Fatal(err)
	}
	var err error
	if again.UUID, err = m.WaitRegistered(x.Context); err != nil {
		t.Fatalf("%v\n%s", err, &again.Stderr)
	}
	answers(t, again.Address())
	quiet(t, again)
}

// waitFor waits until something is so.
func waitFor(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

// TestNoOsquery has something else than an osquery where its socket should be.
func TestNoOsquery(t *testing.T) {
	t.Parallel()
	nstest.New(t)
	needtest.Program(t, "setpriv")
	dir := socketFolder(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	listen := func(name string) *net.UnixListener {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: at(name)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	for _, err := range []error{os.Mkdir(at("folder"), 0o755), os.WriteFile(at("file"), nil, 0o644),
		syscall.Mkfifo(at("fifo"), 0o644), os.Symlink("loop", at("loop"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	dead := listen("dead")
	dead.SetUnlinkOnClose(false)
	dead.Close()
	listen("silent")
	listen("unreadable")
	if err := os.Chmod(at("unreadable"), 0); err != nil {
		t.Fatal(err)
	}
	long := at(strings.Repeat("x", 98-len(at(""))-1))
	unprivileged := `exec setpriv --bounding-set=-all "$@"` // whom modes of files bind, though they are its own
	cases := []struct {
		socket, before string
		words          []string
		x              *exttest.Process
	}{
		{at("nothing"), "", []string{"no such file", "see that osquery runs"}, nil},
		{at("file/em.sock"), "", []string{"not a directory"}, nil},
		{at("folder"), "", []string{"what is there is no socket", "correct the path"}, nil},
		{at("file"), "", []string{"what is there is no socket", "correct the path"}, nil},
		{at("fifo"), "", []string{"what is there is no socket", "correct the path"}, nil},
		{at("loop"), "", []string{"too many levels of symbolic links"}, nil},
		{at("dead"), "", []string{"nobody listens there"}, nil},
		{at("silent"), "", []string{"see whether osquery is stopped"}, nil},
		{at("unreadable"), unprivileged, []string{"permission denied", "run the extension as the user"}, nil},
		{long, "", []string{"98 characters", "at most 97", "shorten"}, nil},
		{"@abstract", "", []string{"every user of the host may connect"}, nil},
	}
	for i := range cases { // all at once, for each takes its time
		cases[i].x = exttest.LaunchAt(t, cases[i].socket, cases[i].before, "--timeout", "1")
	}
	for _, tc := range cases {
		ends(t, tc.x, append(tc.words, tc.socket)...)
	}
}

// TestOsquerySocketReplaced takes away the path of an osquery that runs on: the extension's connection is
// what counts, and osquery has its own to the extension.
func TestOsquerySocketReplaced(t *testing.T) {
	t.Parallel()
	newHost(t)
	type served struct {
		name, address string
		x             *exttest.Process
	}
	var all []served
	for name, replace := range map[string]func(path string){
		"removed": func(path string) {},
		"file":    func(path string) { must(t, os.WriteFile(path, nil, 0o644)) },
		"fifo":    func(path string) { must(t, syscall.Mkfifo(path, 0o644)) },
		"folder":  func(path string) { must(t, os.Mkdir(path, 0o755)) },
		"another osquery": func(path string) {
			other, err := osquerytest.New(filepath.Dir(path))
			must(t, err)
			t.Cleanup(other.Close)
		},
		"silence": func(path string) {
			l, err := net.Listen("unix", path)
			must(t, err)
			t.Cleanup(func() { l.Close() })
		},
	} {
		o := startOsquery(t, socketFolder(t))
		x, address := o.extension(t)
		must(t, os.Remove(o.socket))
		replace(o.socket)
		all = append(all, served{name, address, x})
	}
	time.Sleep(2 * time.Second) // two looks of theirs
	for _, s := range all {
		t.Log(s.name)
		answers(t, s.address)
		terminates(t, s.x)
		quiet(t, s.x)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

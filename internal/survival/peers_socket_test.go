package survival

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// TestOwnSocketLost takes the extension's own socket away while it serves: it would be alive, and out of
// osquery's reach. What is in its place is left alone.
func TestOwnSocketLost(t *testing.T) {
	t.Parallel()
	newHost(t)
	type lost struct {
		word   string
		x      *exttest.Process
		before os.FileInfo // what is in the socket's place, nil for nothing
	}
	var all []lost
	const replaced = "something else"
	for _, tc := range []struct {
		put  func(path string)
		word string
	}{
		{func(string) {}, "somebody has removed"},
		{func(path string) { must(t, os.WriteFile(path, []byte("kept"), 0o644)) }, replaced},
		{func(path string) { must(t, syscall.Mkfifo(path, 0o644)) }, replaced},
		{func(path string) { must(t, os.Symlink("/dev/null", path)) }, replaced},
		{func(path string) { must(t, os.Mkdir(path, 0o755)) }, replaced},
		{func(path string) {
			l, err := net.Listen("unix", path)
			must(t, err)
			t.Cleanup(func() { l.Close() })
		}, replaced},
	} {
		x := exttest.Start(t)
		answers(t, x.Address())
		signal(t, x.Cmd.Process, syscall.SIGSTOP) // it is not to look before something is there
		must(t, os.Remove(x.Address()))
		tc.put(x.Address())
		before, _ := os.Lstat(x.Address())
		signal(t, x.Cmd.Process, syscall.SIGCONT)
		all = append(all, lost{tc.word, x, before})
	}
	for _, l := range all {
		path := l.x.Address()
		ends(t, l.x, "the extension's socket is gone", l.word, path, "osqueryd starts it again")
		after, err := os.Lstat(path)
		if l.before == nil && err == nil || l.before != nil && !os.SameFile(l.before, after) {
			t.Errorf("what was in its place is not there any more: %v, %v", l.before, err)
		}
		l.x.Told(t)
		x := exttest.StartAt(t, l.x.Manager, "")
		answers(t, x.Address())
		terminates(t, x)
		quiet(t, x)
	}
}

// TestFolderMoved moves the folder of both sockets, with which both are lost.
func TestFolderMoved(t *testing.T) {
	t.Parallel()
	newHost(t)
	x := exttest.Start(t)
	dir := filepath.Dir(x.Socket())
	must(t, os.Rename(dir, dir+".moved"))
	t.Cleanup(func() { os.RemoveAll(dir + ".moved") })
	ends(t, x, "the extension's socket is gone", "somebody has removed")
}

// TestModeOfSocket has the umasks that osquery may pass on: nobody else than its user may connect.
func TestModeOfSocket(t *testing.T) {
	t.Parallel()
	newHost(t)
	for _, umask := range []string{"0", "022", "0177"} {
		x := exttest.StartAt(t, osquerytest.Start(t), "umask "+umask)
		fi, err := os.Lstat(x.Address())
		must(t, err)
		if fi.Mode() != os.ModeSocket|0o600 {
			t.Errorf("umask %s: %v", umask, fi.Mode())
		}
		answers(t, x.Address())
		terminates(t, x)
		quiet(t, x)
	}
}

// needOther skips the test where there is no other user: only root can have one.
func needOther(t *testing.T) {
	t.Helper()
	if !nstest.HasOther() {
		t.Skip("an ordinary user has no second user to be: run this as root")
	}
}

// dial and bind are for nstest.As, as Go's own may be done on another thread.
func dial(path string) error { return withSocket(path, unix.Connect) }
func bind(path string) error { return withSocket(path, unix.Bind) }

func withSocket(path string, do func(int, unix.Sockaddr) error) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return do(fd, &unix.SockaddrUnix{Name: path})
}

// TestOtherUser has another user on the host, in the folders that osquery's socket may be in.
func TestOtherUser(t *testing.T) {
	needOther(t)
	for _, tc := range []struct {
		name  string
		mode  os.FileMode
		place bool // whether others can put something beside the sockets
	}{
		{"osquery's own", 0o700, false},
		{"readable", 0o755, false}, // as /var/osquery is
		{"sticky", 0o777 | os.ModeSticky, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			newHost(t)
			dir := socketFolder(t)
			must(t, os.Chmod(dir, tc.mode))
			m, err := osquerytest.New(dir)
			must(t, err)
			t.Cleanup(m.Close)
			x := exttest.StartAt(t, m, "umask 0")
			var connect, remove, rename, create error
			nstest.As(t, func() {
				connect = dial(x.Address())
				remove = unix.Unlink(x.Address())
				rename = unix.Rename(x.Address(), x.Address()+".old")
				create = bind(m.Socket() + ".10002")
			})
			for what, err := range map[string]error{"connect": connect, "remove": remove, "rename": rename} {
				if err != unix.EACCES && err != unix.EPERM {
					t.Errorf("another user may %s: %v", what, err)
				}
			}
			if (create == nil) != tc.place {
				t.Errorf("another user puts a socket there: %v, want %v", create, tc.place)
			}
			answers(t, x.Address())
			terminates(t, x)
			if tc.place {
				if lines := said(x); len(lines) != 1 {
					t.Errorf("%q, want one warning of the folder", lines)
				}
			} else {
				quiet(t, x)
			}
		})
	}
}

// TestSquatter has something of another user's at the path of the extension's socket before it is opened. What
// is no socket stays, and the extension ends and is registered under another number when it is started again.
func TestSquatter(t *testing.T) {
	needOther(t)
	for name, put := range map[string]func(path string) error{
		"socket": bind,
		"link":   func(path string) error { return unix.Symlink("/tmp/kernel-routes-elsewhere", path) },
		"file":   func(path string) error { return unix.Mknod(path, unix.S_IFREG|0o666, 0) },
		"fifo":   func(path string) error { return unix.Mkfifo(path, 0o666) },
	} {
		t.Run(name, func(t *testing.T) {
			newHost(t)
			dir := socketFolder(t)
			must(t, os.Chmod(dir, 0o777|os.ModeSticky))
			m, err := osquerytest.New(dir)
			must(t, err)
			t.Cleanup(m.Close)
			path := fmt.Sprint(m.Socket(), ".10001")
			nstest.As(t, func() { err = put(path) })
			must(t, err)
			if name != "socket" { // root takes a socket away
				x := exttest.Launch(t, m, "")
				x.UUID = 10001
				ends(t, x, path, "something else is in its place", "who may write to the folder "+dir)
				x.Told(t)
			}
			x := exttest.StartAt(t, m, "")
			answers(t, x.Address())
			fi, err := os.Lstat(x.Address())
			if err != nil || fi.Sys().(*syscall.Stat_t).Uid != 0 || fi.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", fi, err)
			}
			if _, err := os.Lstat("/tmp/kernel-routes-elsewhere"); err == nil {
				t.Error("what a link leads to is made")
			}
			terminates(t, x)
		})
	}
}

// TestSquatterStays has a socket that the extension may not take away, as it is not root.
func TestSquatterStays(t *testing.T) {
	needOther(t)
	needtest.Program(t, "setpriv")
	newHost(t)
	dir := socketFolder(t)
	m, err := osquerytest.New(dir)
	must(t, err)
	t.Cleanup(m.Close)
	must(t, errors.Join(os.Chown(dir, nstest.Other, -1), os.Chmod(dir, 0o777|os.ModeSticky)))
	path := fmt.Sprint(m.Socket(), ".10001")
	nstest.As(t, func() { err = bind(path) })
	must(t, err)
	const unprivileged = `exec setpriv --bounding-set=-all "$@"`
	ends(t, exttest.Launch(t, m, unprivileged), path, "something else is in its place")
	x := exttest.StartAt(t, m, unprivileged)
	answers(t, x.Address())
	terminates(t, x)
	if lines := said(x); len(lines) != 1 || !strings.Contains(lines[0], "every user") {
		t.Errorf("%q, want one warning of the folder", lines)
	}
}

package extension

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// ErrSocketLost: the file of the extension's own socket has been removed, or something else is in its
// place, so that osquery cannot reach the extension any more.
var ErrSocketLost = errors.New("the extension's socket is gone")

// An ownSocket is the extension's own socket, and the file that it has put in the folder of osquery's.
type ownSocket struct {
	*net.UnixListener
	path string
	file os.FileInfo // which the kernel keeps as long as the socket is open, so that no other gets its number
}

// listenAt opens the extension's own socket. Whatever the umask is, nobody but root and the user that
// the extension runs as may connect.
func listenAt(ctx context.Context, path string) (*ownSocket, error) {
	// osquery gave the number to this process alone, so a socket of that name is
	// the rest of a dead one.
	if fi, err := os.Lstat(path); err == nil && fi.Mode().Type() == fs.ModeSocket {
		os.Remove(path)
	}
	config := net.ListenConfig{Control: forOwnerAlone}
	l, err := config.Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("open the extension's own socket: %w: something else is in its place; "+
			"see who may write to the folder %s", err, filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("open the extension's own socket: %w; the extension must be able to write to "+
			"the folder of osquery's", err)
	}
	s := &ownSocket{UnixListener: l.(*net.UnixListener), path: path}
	s.SetUnlinkOnClose(false)
	if s.file, err = os.Lstat(path); err != nil {
		s.UnixListener.Close()
		return nil, fmt.Errorf("%w: %w", ErrSocketLost, err)
	}
	return s, nil
}

// check returns ErrSocketLost, and how it was, when the file is not there any more.
func (s *ownSocket) check() error {
	fi, err := os.Lstat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: somebody has removed %s; find out who removes files there; %s", ErrSocketLost, s.path,
			startedAgain)
	case err == nil && !os.SameFile(fi, s.file):
		return fmt.Errorf("%w: something else is at %s; see who may write to its folder; %s", ErrSocketLost, s.path,
			startedAgain)
	}
	return nil // what cannot be looked at may be there
}

// Close closes the socket and removes its file, but no other in its place: it may be that of the extension
// which osquery has started instead.
func (s *ownSocket) Close() error {
	if fi, err := os.Lstat(s.path); err == nil && os.SameFile(fi, s.file) {
		os.Remove(s.path)
	}
	return s.UnixListener.Close()
}

// startedAgain is what becomes of an extension that ends by itself.
const startedAgain = "the extension ends, and osqueryd starts it again"

// whyNot says what to do about osquery's socket, which cannot be connected to or does not answer.
func whyNot(path string, err error) string {
	fi, statErr := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "run the extension as the user that osquery runs as"
	case errors.Is(statErr, fs.ErrNotExist):
		return "no file is there: see that osquery runs, and that this is the path of its flag extensions_socket"
	case statErr == nil && fi.Mode().Type() != fs.ModeSocket:
		return "what is there is no socket (" + fi.Mode().String() + "): correct the path, or osquery's flag " +
			"extensions_socket"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens there: see that osquery runs"
	}
	return "see whether osquery is stopped, or too busy"
}

// maxAnswer is how many bytes an answer of osquery's may have. Its flags have some 60 KB.
const maxAnswer = 4 << 20

// maxClaimed is how many bytes a part of it may claim to have.
const maxClaimed = 1 << 20

// A boundConn is a connection to osquery. What is there in osquery's place may send without an end, or a
// byte now and then: all of an answer must come in time.
type boundConn struct {
	net.Conn
	timeout time.Duration
	left    int // bytes of an answer
}

func (c *boundConn) Write(b []byte) (int, error) {
	c.left = maxAnswer
	if err := c.SetDeadline(time.Now().Add(c.timeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *boundConn) Read(b []byte) (int, error) {
	if c.left == 0 && len(b) > 0 {
		return 0, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

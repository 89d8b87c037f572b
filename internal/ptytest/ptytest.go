//go:build linux

// Package ptytest runs programs in a terminal of their own.
package ptytest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A Terminal is a pseudo-terminal in which a program runs. What it writes is kept.
type Terminal struct {
	t     testing.TB
	pty   *os.File
	Cmd   *exec.Cmd
	ended chan struct{} // the program has ended
	done  chan struct{} // all that was written has been read

	mu  sync.Mutex
	out []byte
}

// Size is that of a terminal.
type Size struct{ Rows, Columns uint16 }

// Open opens a pseudo-terminal, and returns both of its ends: what a program's streams can be, and ours.
func Open(t testing.TB, size Size) (tty, pty *os.File) {
	t.Helper()
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pty.Close() })
	n, err := unix.IoctlGetInt(int(pty.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(pty.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = resize(pty, size)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	return tty, pty
}

func resize(pty *os.File, size Size) error {
	return unix.IoctlSetWinsize(int(pty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Columns})
}

// Start starts a program in a terminal, which is its controlling one. Streams that the command has already
// stay as they are, so that some of them can be elsewhere.
func Start(t testing.TB, size Size, cmd *exec.Cmd) *Terminal {
	t.Helper()
	tty, pty := Open(t, size)
	ctty := -1
	if cmd.Stderr == nil {
		cmd.Stderr, ctty = tty, 2
	}
	if cmd.Stdout == nil {
		cmd.Stdout, ctty = tty, 1
	}
	if cmd.Stdin == nil {
		cmd.Stdin, ctty = tty, 0
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: ctty >= 0, Ctty: max(ctty, 0)}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x := &Terminal{t: t, pty: pty, Cmd: cmd, ended: make(chan struct{}), done: make(chan struct{})}
	tty.Close() // so that reading ends with the program
	go x.read()
	go func() {
		defer close(x.ended)
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-x.ended
		pty.Close()
	})
	return x
}

func (x *Terminal) read() {
	defer close(x.done)
	for b := make([]byte, 4096); ; {
		n, err := x.pty.Read(b)
		x.mu.Lock()
		x.out = append(x.out, b[:n]...)
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// Type types keys: "\r" is Enter, "\x03" Ctrl-C.
func (x *Terminal) Type(keys string) {
	x.t.Helper()
	if _, err := x.pty.WriteString(keys); err != nil {
		x.t.Fatalf("typing %q: %v", keys, err)
	}
}

// Resize gives the terminal another size, of which the program is told by SIGWINCH.
func (x *Terminal) Resize(size Size) {
	x.t.Helper()
	if err := resize(x.pty, size); err != nil {
		x.t.Fatal(err)
	}
}

// Mode returns how the terminal is set, whether keys are echoed for example.
func (x *Terminal) Mode() unix.Termios {
	x.t.Helper()
	mode, err := unix.IoctlGetTermios(int(x.pty.Fd()), unix.TCGETS)
	if err != nil {
		x.t.Fatal(err)
	}
	return *mode
}

// Written returns all that was written to the terminal so far, echoed keys among it, with \n for \r\n.
func (x *Terminal) Written() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return strings.ReplaceAll(string(x.out), "\r\n", "\n")
}

// patience is how long something may take. It is no measure of speed: machines that test have other work.
const patience = time.Minute

// WaitFor waits until a text has been written after the first n bytes of Written. It returns what was written
// from there on, and how many bytes come before what follows the text.
func (x *Terminal) WaitFor(n int, text string) (since string, behind int) {
	x.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		all := x.Written()
		if n <= len(all) {
			if i := strings.Index(all[n:], text); i >= 0 {
				return all[n:], n + i + len(text)
			}
		}
		if time.Now().After(end) {
			x.t.Fatalf("%q did not come; since then: %q", text, all[min(n, len(all)):])
		}
	}
}

// Wait waits until the program has ended, and returns its exit status.
func (x *Terminal) Wait() int {
	x.t.Helper()
	select {
	case <-x.ended:
	case <-time.After(patience):
		x.t.Fatalf("the program does not end; it wrote %q", x.Written())
	}
	select {
	case <-x.done:
	case <-time.After(patience):
		x.t.Fatal("the terminal is still open after the program has ended")
	}
	return x.Cmd.ProcessState.ExitCode()
}

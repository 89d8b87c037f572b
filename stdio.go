package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"kernelroutes/shell"
)

// A signalled is the cause with which a signal ends a context.
type signalled struct{ signal syscall.Signal }

func (s *signalled) Error() string { return shell.ErrInterrupted.Error() }

// status is the exit status that shells give to a process that a signal ended.
func (s *signalled) status() int { return 128 + int(s.signal) }

// untilSignal returns a context that ends on SIGINT, SIGTERM and SIGHUP, with a
// *signalled as its cause. A second signal ends the process at once.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		for s := range signals {
			cause := &signalled{s.(syscall.Signal)}
			if ctx.Err() != nil {
				os.Exit(cause.status())
			}
			cancel(cause)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(nil)
	}
}

// interruptible runs f, but waits for it only until the context ends. f may wait
// in a system call that nothing else ends, as opening a FIFO does.
func interruptible[T any](ctx context.Context, f func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		var none T
		return none, shell.ErrInterrupted
	}
}

// A reader reads until its context ends.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	return interruptible(r.ctx, func() (int, error) { return r.Reader.Read(b) })
}

// A writer writes until its context ends.
type writer struct {
	ctx context.Context
	io.Writer
}

func (w writer) Write(b []byte) (int, error) {
	return interruptible(w.ctx, func() (int, error) { return w.Writer.Write(b) })
}

// stdout is the standard output. That its reader has gone (| head) is an error of
// its own, and no failure.
type stdout struct{ ctx context.Context }

var (
	errClosedPipe   = errors.New("nobody reads the output")
	errClosedStdout = errors.New("standard output is closed, or is /dev/null open for reading too, " +
		"which looks the same: redirect it to a file, or to /dev/null for writing only")
)

func (s stdout) Write(b []byte) (int, error) {
	if stdoutClosed() {
		return 0, errClosedStdout
	}
	n, err := writer{s.ctx, os.Stdout}.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = errClosedPipe
	}
	return n, err
}

// stdoutClosed reports whether the program was started with its standard output
// closed (>&-). Go's runtime then opens /dev/null for reading and writing in its
// place, before any code of the program's, so that nothing fails and nothing is seen.
//
// A shell's > /dev/null is open for writing only, as is what most programs give to
// those that they start. Some open it for both, Python (subprocess.DEVNULL) and Node
// (stdio: 'ignore') among them. Where standard input or error, or the standard output
// of the program that started this one, is that same open file, it was not the
// runtime that opened it. Otherwise the two are alike in all that can be asked of an
// open file: flags, position, mount, device. Then it is taken for closed: a failure
// that says what to do is a smaller error than an answer that goes nowhere while the
// exit status says that all went well.
var stdoutClosed = sync.OnceValue(func() bool {
	var st, null unix.Stat_t
	if unix.Fstat(1, &st) != nil || unix.Stat(os.DevNull, &null) != nil ||
		st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != null.Rdev {
		return false
	}
	flags, err := unix.FcntlInt(1, unix.F_GETFL, 0)
	if err != nil || flags&unix.O_ACCMODE != unix.O_RDWR {
		return false
	}
	return !stdoutIs(os.Getpid(), 0) && !stdoutIs(os.Getpid(), 2) && !stdoutIs(os.Getppid(), 1)
})

// stdoutIs reports whether a process's descriptor is the same open file as standard
// output. Where the kernel does not tell it is not.
func stdoutIs(pid, fd int) bool {
	const kcmpFile = 0 // KCMP_FILE of linux/kcmp.h
	order, _, errno := unix.Syscall6(unix.SYS_KCMP, uintptr(os.Getpid()), uintptr(pid), kcmpFile, 1, uintptr(fd), 0)
	return errno == 0 && order == 0
}

// A printer is the standard output for what cobra prints by itself (help, version,
// completion), which does not care about errors. The first one is kept.
type printer struct {
	out io.Writer
	err error
}

func (p *printer) Write(b []byte) (int, error) {
	if p.err == nil {
		_, p.err = p.out.Write(b)
	}
	return len(b), nil
}

// isTerminal reports whether a file is a terminal.
func isTerminal(f *os.File) bool {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// readSQL reads all of standard input.
func readSQL(ctx context.Context) (string, error) {
	sql, err := io.ReadAll(reader{ctx, os.Stdin})
	if err != nil {
		return "", fmt.Errorf("reading the SQL: %w", err)
	}
	return string(sql), nil
}

package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"

	"kernelroutes/shell"
)

// A signalled is the cause with which a signal ends a context.
type signalled struct{ signal syscall.Signal }

func (s *signalled) Error() string        { return shell.ErrInterrupted.Error() }
func (s *signalled) Is(target error) bool { return target == shell.ErrInterrupted }

// status is the exit status that shells give to a process that a signal ended.
func (s *signalled) status() int { return 128 + int(s.signal) }

// interrupts, while it is set, takes every SIGINT, which otherwise ends the program.
var interrupts atomic.Pointer[func()]

// untilSignal returns a context that ends on SIGINT, SIGTERM, SIGHUP and SIGQUIT, with a
// *signalled as its cause. A second signal ends the process at once.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		for s := range signals {
			if f := interrupts.Load(); f != nil && s == syscall.SIGINT {
				(*f)()
				continue
			}
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
	if onTerminal() {
		waiting.Enough()
	}
	n, err := writer{s.ctx, os.Stdout}.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = errClosedPipe
	}
	return n, err
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

// readSQL reads all of standard input.
func readSQL(ctx context.Context) (string, error) {
	sql, err := io.ReadAll(reader{ctx, os.Stdin})
	if err != nil {
		return "", fmt.Errorf("reading the SQL: %w", err)
	}
	return string(sql), nil
}

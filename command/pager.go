package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kernelroutes/shell"
)

// paged calls f with where its output is to go: standard output, or the user's pager if --pager is given and
// that is a terminal. The context that f is given ends with the command's, when the pager ends, and on
// Ctrl-C, which is for the pager too and does not end the program before it.
func paged(cmd *cobra.Command, f func(ctx context.Context, out io.Writer) error) error {
	ctx := cmd.Context()
	command, err := pagerOf(cmd)
	if err != nil {
		return err
	}
	if command == "" {
		return f(ctx, stdout{ctx})
	}
	p := &pager{command: command, parent: ctx}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	defer p.cancel(nil)
	told, tell := context.WithCancel(ctx)
	defer tell()
	p.told = told
	interrupt := func() {
		tell()
		p.cancel(&signalled{syscall.SIGINT})
	}
	before := interrupts.Swap(&interrupt)
	defer interrupts.Store(before)
	running.Store(p)
	defer running.Store(nil)
	err = f(p.ctx, p)
	ended, cause := (*signalled)(nil), context.Cause(p.ctx) // or nil: it ends with the pager, too
	failure := p.end()
	enough := errors.Is(err, errClosedPipe) || errors.Is(err, shell.ErrInterrupted) && errors.Is(cause, errClosedPipe)
	switch {
	case failure != nil && (err == nil || enough || errors.Is(err, p.err)):
		return failure
	case enough: // has the user seen
		return nil
	case err != nil && errors.As(cause, &ended):
		return ended
	}
	return err
}

// pagerOf returns the pager that is to be used, "" for none.
func pagerOf(cmd *cobra.Command) (command string, err error) {
	if wanted, _ := cmd.Flags().GetBool("pager"); !wanted || !onTerminal() {
		return "", nil
	}
	command, set := os.LookupEnv("PAGER")
	if !set {
		command = "less"
	}
	words := strings.Fields(command)
	if len(words) == 0 || len(words) == 1 && words[0] == "cat" {
		return "", nil
	}
	if strings.ContainsAny(words[0], "|&;<>()$`\\\"'*?[#~=%") {
		return command, nil // only sh knows what that is
	}
	if exec.Command("sh", "-c", `command -v "$1" >/dev/null`, "sh", words[0]).Run() != nil {
		return "", failed(fmt.Errorf("the pager %q cannot be started: there is no %s; "+pagerRemedy, command, words[0]))
	}
	return command, nil
}

const pagerRemedy = "set PAGER to a command that there is, or leave --pager out"

// running is the pager that is in use; nil: none.
var running atomic.Pointer[pager]

// leavePager ends the use of the pager, if there is one: it shows the rest, and is waited for, as it has
// the terminal.
func leavePager() {
	p := running.Load()
	if p == nil {
		return
	}
	if err := p.end(); err != nil && errors.Is(context.Cause(p.ctx), errClosedPipe) { // or it ends for another reason
		os.Exit(status(err))
	}
}

// A pager shows what is written to it. It is started when something is.
type pager struct {
	command string
	parent  context.Context // the command's
	ctx     context.Context
	cancel  context.CancelCauseFunc
	told    context.Context // ends with parent, and on Ctrl-C

	mu     sync.Mutex
	cmd    *exec.Cmd // nil: it has not been started
	in     io.WriteCloser
	resume func() // see takeTerminal
	ended  chan struct{}
	once   sync.Once
	over   bool  // nothing more is to be shown
	err    error // it could not be started
	failed error // see outcome
}

func (p *pager) Write(b []byte) (int, error) {
	if err := p.start(); err != nil {
		return 0, err
	}
	n, err := writer{p.ctx, p.in}.Write(b)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) { // Wait closes the pipe of a pager that has ended
		err = errClosedPipe
	}
	return n, err
}

// start starts the pager if it has not been started.
func (p *pager) start() (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.over:
		return errClosedPipe
	case p.cmd != nil:
		return p.err
	}
	p.cmd = exec.Command("sh", "-c", p.command)
	p.cmd.Stdout, p.cmd.Stderr = os.Stdout, os.Stderr
	p.cmd.Env = os.Environ()
	if _, set := os.LookupEnv("LESS"); !set { // as git has it: what fits on the screen stays there; colors
		p.cmd.Env = append(p.cmd.Env, "LESS=FRX")
	}
	if _, set := os.LookupEnv("LV"); !set {
		p.cmd.Env = append(p.cmd.Env, "LV=-c")
	}
	p.resume, p.ended = takeTerminal(), make(chan struct{})
	if p.in, err = p.cmd.StdinPipe(); err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		p.err = fmt.Errorf("starting the pager %q: %w; "+pagerRemedy, p.command, err)
		close(p.ended)
		return p.err
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // outcome looks at how it ended
		p.cancel(errClosedPipe)
	}()
	return nil
}

// outcome returns why the pager, which has ended, has failed. Who ends it by a key has seen enough; a Ctrl-C that
// ends it is the program's too.
func (p *pager) outcome() error {
	if p.err != nil {
		return failed(p.err)
	}
	how, by := p.cmd.ProcessState.String(), syscall.Signal(0)
	code := p.cmd.ProcessState.ExitCode()
	if s := p.cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signaled() {
		by = s.Signal()
	} else if code > 128 && code < 128+65 { // so sh says that a signal has ended what it ran
		by = syscall.Signal(code - 128)
		how = "signal: " + by.String()
	}
	switch {
	case code == 0 || by == syscall.SIGPIPE:
		return nil
	case code == 126 || code == 127:
		return failed(fmt.Errorf("sh cannot run the pager %q; "+pagerRemedy, p.command))
	}
	// A signal of the terminal's is for the pager and for this program, which may hear of it later.
	const later = 500 * time.Millisecond
	select {
	case <-p.told.Done():
	case <-time.After(later):
	}
	switch {
	case p.parent.Err() != nil: // another signal than SIGINT ends the program
		return context.Cause(p.parent)
	case p.told.Err() != nil || by == syscall.SIGINT:
		return &signalled{syscall.SIGINT}
	}
	return failed(fmt.Errorf("the pager %q has ended with %s, perhaps before all was shown; "+pagerRemedy,
		p.command, how))
}

// takeTerminal has nobody else write to the terminal until the function that it returns is called.
func takeTerminal() (giveBack func()) {
	resume, release := waiting.Hush(), spoken.hold()
	state, err := term.GetState(int(os.Stdout.Fd()))
	return func() {
		if err == nil {
			_ = term.Restore(int(os.Stdout.Fd()), state) // a pager that was killed may have left it otherwise
		}
		release()
		resume()
	}
}

// end waits until the user has seen enough. It returns why the pager has failed, or what ends the program before.
func (p *pager) end() error {
	p.once.Do(func() {
		p.mu.Lock()
		p.over = true
		started := p.cmd != nil
		p.mu.Unlock()
		if !started {
			return
		}
		if p.in != nil {
			p.in.Close()
		}
		defer p.resume()
		select {
		case <-p.ended:
			p.failed = p.outcome()
			return
		case <-p.parent.Done(): // by another signal than SIGINT
			p.failed = context.Cause(p.parent)
		}
		if p.cmd.Process != nil {
			p.cmd.Process.Signal(syscall.SIGTERM)
		}
		select {
		case <-p.ended:
		case <-time.After(time.Second):
		}
	})
	return p.failed
}

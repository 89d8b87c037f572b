// Package prompt is where statements are typed: lines are edited, remembered and completed, and what
// was typed is run in a shell.Session. The files:
//
//	prompt.go     Prompt: reads statements and runs them
//	lines.go      lines, edited where the terminal can do that
//	statements.go where statements end
//	complete.go   what can stand where the cursor is
//	history.go    what was typed, in a file
package prompt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/peterh/liner"

	"kernelroutes/shell"
)

// What is shown where a statement begins, and where it goes on.
const (
	first     = "routes> "
	following = "   ...> "
)

// A Prompt is where statements are typed. Its standard input is a terminal.
type Prompt struct {
	Session *shell.Session // in which what is typed is run
	Banner  string         // what is said at the beginning, if anything

	// Through calls f with where the rows of one run go, and with a context that ends when they are not wanted
	// any more; f's error is returned, unless it is one with a reader who has had enough (a pager).
	Through func(f func(ctx context.Context, out io.Writer) error) error
	// Prompts is where prompts go if lines are not edited.
	Prompts io.Writer
	// Complain is told of errors, Warn of what should be known besides, Note of the rest; each is one line.
	Complain, Warn, Note func(text string)
	// Terminal returns where rows are seen at the time, nil if that is no terminal.
	Terminal func() *shell.Terminal

	lines     lineReader
	reading   chan line // gives the line that is being typed; nil: none is
	typed     completer // its before is the statement so far
	past      history
	forgotten bool // what is typed is not remembered, which has been said

	interrupts chan struct{} // SIGINT has come, and nothing runs
	running    chan error    // gives the end of a run that nobody waits for any more; nil: there is none

	mu     sync.Mutex
	cancel context.CancelFunc // ends the run; nil: nothing runs
}

// A line is what was read.
type line struct {
	text string
	err  error
}

// Interrupt ends the statement that runs, or throws away what has been typed, as Ctrl-C does. It is
// called for SIGINT.
func (p *Prompt) Interrupt() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cancel != nil {
		p.cancel()
		return
	}
	select {
	case p.interrupts <- struct{}{}:
	default: // one is waiting
	}
}

// New returns a prompt that Run can be called of, and Interrupt from then on.
func New(s *shell.Session) *Prompt { return &Prompt{Session: s, interrupts: make(chan struct{}, 1)} }

// Run reads statements and commands and runs them, until .quit, the end of the input, or the context's. Its error
// is that of the terminal, or that nothing can be written any more: what fails of statements is told.
func (p *Prompt) Run(ctx context.Context) error {
	if e := newEditor(&p.typed); e != nil {
		p.lines = e
		p.openHistory(e)
	} else {
		p.lines, p.forgotten = &plain{in: bufio.NewReader(os.Stdin), out: p.Prompts}, true
	}
	fmt.Fprint(p.Prompts, p.Banner)
	err := p.loop(ctx)
	if p.running != nil {
		return err // the session is in use until the process ends
	}
	return errors.Join(err, p.Session.Close())
}

func (p *Prompt) openHistory(e *editor) {
	path, err := historyPath(os.Getenv)
	p.past = history{path: path, uid: os.Geteuid()}
	var entries []string
	if err == nil {
		entries, err = p.past.load()
	}
	for _, entry := range entries {
		e.remember(entry)
	}
	p.noHistory(err)
}

// noHistory says once that what is typed is not remembered.
func (p *Prompt) noHistory(err error) {
	if err == nil || p.forgotten {
		return
	}
	p.forgotten = true
	where := "the history"
	if p.past.path != "" {
		where += " " + p.past.path
	}
	p.Warn(fmt.Sprintf("%s is not kept: %v; XDG_STATE_HOME says where it is to be", where, err))
}

// loop runs what is typed.
func (p *Prompt) loop(ctx context.Context) error {
	for {
		shown := first
		if p.typed.before != "" {
			shown = following
		}
		text, err := p.read(ctx, shown)
		switch {
		case ctx.Err() != nil:
			return shell.ErrInterrupted
		case errors.Is(err, liner.ErrPromptAborted), errors.Is(err, liner.ErrInternal): // Ctrl-C; no width any more
			p.typed.before = ""
			continue
		case errors.Is(err, io.EOF):
			fmt.Fprintln(p.Prompts)
			return nil
		case err != nil:
			return fmt.Errorf("reading from the terminal: %w", err)
		}
		if text = p.statement(text); text == "" {
			continue
		}
		p.remember(text)
		if p.ends(text) {
			return nil
		}
		if err := p.run(ctx, text); err != nil {
			if errors.Is(err, shell.ErrQuit) {
				err = nil
			}
			return err
		}
	}
}

// undotted are commands that begin no SQL, and are what somebody types who does not know where they are.
var undotted = []string{"help", "quit", "exit"}

// statement adds a line to the statement, and returns that once it is whole.
func (p *Prompt) statement(text string) string {
	if p.typed.before == "" && strings.HasPrefix(strings.TrimSpace(text), ".") {
		return strings.TrimSpace(text)
	}
	word := strings.TrimRight(strings.TrimSpace(text), "; ")
	if p.typed.before == "" && slices.Contains(undotted, word) {
		return "." + word
	}
	text = p.typed.before + text
	switch {
	case empty(text):
		p.typed.before = ""
		return ""
	case complete(text):
		p.typed.before = ""
		return text
	}
	p.typed.before = text + "\n"
	return ""
}

// remember has what was typed found again, also in later sessions.
func (p *Prompt) remember(text string) {
	entries := []string{text}
	if joined, ok := oneLine(text); ok {
		entries[0] = joined
	} else if !strings.HasPrefix(text, ".") {
		entries = strings.Split(text, "\n")
	}
	for _, entry := range entries {
		p.lines.remember(entry)
		if !p.forgotten {
			p.noHistory(p.past.add(entry))
		}
	}
}

// ends reports whether the session is to end while a statement goes on for which nobody waits any more.
func (p *Prompt) ends(text string) bool {
	if p.running == nil || text[0] != '.' {
		return false
	}
	words, err := shell.Words(strings.TrimRight(text, "; \t"))
	if err != nil || len(words) != 1 {
		return false
	}
	c, err := shell.FindCommand(words[0])
	return err == nil && (c.Name == ".quit" || c.Name == ".exit")
}

// read reads a line. It does not wait longer than the context, whatever the terminal does.
func (p *Prompt) read(ctx context.Context, prompt string) (string, error) {
	select {
	case <-p.interrupts: // too late for what it was meant for
	default:
	}
	if p.reading == nil {
		if p.running == nil {
			p.typed.made(p.Session.Own())
		}
		reading := make(chan line, 1)
		p.reading = reading
		go func() {
			text, err := p.lines.read(prompt)
			reading <- line{text, err}
		}()
	} else {
		fmt.Fprint(p.Prompts, prompt)
	}
	for {
		select {
		case l := <-p.reading:
			p.reading = nil
			return l.text, l.err
		case <-p.interrupts:
			if !p.lines.edits() {
				fmt.Fprintln(p.Prompts)
				return "", liner.ErrPromptAborted
			}
		case <-ctx.Done():
			const grace = 20 * time.Millisecond // for an editor that has just begun, and changes the terminal
			time.Sleep(grace)
			p.lines.restore()
			fmt.Fprintln(p.Prompts)
			return "", shell.ErrInterrupted
		}
	}
}

// run runs what was typed, and tells of what fails. Its error is one after which nothing can be run.
func (p *Prompt) run(base context.Context, text string) error {
	interrupted := false
	err := p.Through(func(ctx context.Context, out io.Writer) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		p.runs(cancel)
		defer p.runs(nil)
		select {
		case <-p.interrupts: // has come since the line was read
			cancel()
		default:
		}
		rows := &output{Pieces: shell.NewPieces(ctx, out)}
		err := p.execute(ctx, rows, text)
		interrupted = ctx.Err() != nil
		cancel()
		rows.Wait()
		if failed := rows.err.Load(); failed != nil {
			err = &unwritten{*failed}
		}
		return err
	})
	fatal := (*unwritten)(nil)
	switch {
	case base.Err() != nil:
		return shell.ErrInterrupted
	case errors.As(err, &fatal):
		return fatal.error
	case err == nil || errors.Is(err, shell.ErrQuit):
		return err
	case interrupted || errors.Is(err, shell.ErrInterrupted): // the pager, perhaps
		fmt.Fprintln(p.Prompts) // the terminal has shown ^C
	}
	p.Complain(err.Error())
	return nil
}

// An unwritten error is one with where rows go.
type unwritten struct{ error }

func (u *unwritten) Unwrap() error { return u.error }

// runs says what ends the run.
func (p *Prompt) runs(cancel context.CancelFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cancel = cancel
}

// execute runs what was typed until the context ends: SQLite hears of that between two steps of a statement
// only, and sorting is one step. What goes on then is waited for before the next statement.
func (p *Prompt) execute(ctx context.Context, out io.Writer, text string) error {
	const patience = time.Second / 2
	for said := false; p.running != nil; {
		var late <-chan time.Time
		if !said {
			late = time.After(patience)
		}
		select {
		case err := <-p.running:
			p.running = nil
			if err == nil { // it had no more steps, between which SQLite would have heard of the interruption
				p.Note("The statement that was interrupted has run to its end all the same.")
			}
		case <-late:
			said = true
			p.Note("The statement that was interrupted has not ended yet; this one waits for it.")
		case <-ctx.Done():
			return shell.ErrInterrupted
		}
	}
	s := p.Session
	s.Warn, s.Note, s.Terminal = whileRunning(ctx, p.Warn), whileRunning(ctx, p.Note), p.Terminal()
	if s.Terminal != nil {
		s.Terminal.Note = whileRunning(ctx, s.Terminal.Note)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, out, text) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	const grace = 20 * time.Millisecond
	select {
	case err := <-done:
		return err
	case <-time.After(grace):
		p.running = done
		return shell.ErrInterrupted
	}
}

// whileRunning returns a function that says something until the context ends.
func whileRunning(ctx context.Context, say func(string)) func(string) {
	if say == nil {
		return nil
	}
	return func(text string) {
		if ctx.Err() == nil {
			say(text)
		}
	}
}

// An output is where rows go. Its error is that of who reads them. A run that nobody waits for any more may
// still write to it.
type output struct {
	*shell.Pieces
	err atomic.Pointer[error]
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.Pieces.Write(b)
	if err != nil && !errors.Is(err, shell.ErrInterrupted) {
		o.err.Store(&err)
	}
	return n, err
}

package prompt

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/peterh/liner"
	"golang.org/x/term"
)

// A lineReader reads what is typed, line by line.
type lineReader interface {
	// read shows a prompt and returns a line; io.EOF after Ctrl-D, liner.ErrPromptAborted after Ctrl-C.
	read(prompt string) (string, error)
	// edits reports whether keys come to read as they are typed: Ctrl-C is one of them, and no signal.
	edits() bool
	// remember has a line found again, with the keys for that.
	remember(entry string)
	// restore gives the terminal back as it was.
	restore()
}

// An editor edits lines.
type editor struct {
	state       *liner.State // nil: nothing has been read yet
	complete    liner.WordCompleter
	cooked, raw liner.ModeApplier // of the terminal: for others, and while a line is edited
	entries     []string          // what has been typed
	wide        atomic.Bool       // there is room to edit in
}

// newEditor returns an editor, nil if the terminal, or what is none, has not what that takes.
func newEditor(c *completer) *editor {
	if !liner.TerminalSupported() || !term.IsTerminal(int(os.Stdin.Fd())) || !term.IsTerminal(int(os.Stdout.Fd())) {
		return nil
	}
	cooked, err := liner.TerminalMode()
	if err != nil {
		return nil
	}
	e := &editor{cooked: cooked, complete: c.complete}
	c.pasting = e.more
	return e
}

// renew begins anew, in a terminal as it is now.
func (e *editor) renew() {
	if e.state != nil {
		e.state.Close()
	}
	e.state = liner.NewLiner()
	if raw, err := liner.TerminalMode(); err == nil {
		e.raw = raw
	}
	e.restore()
	e.state.SetMultiLineMode(true) // what does not fit into a line goes on in the next
	e.state.SetCtrlCAborts(true)
	e.state.SetTabCompletionStyle(liner.TabPrints)
	e.state.SetWordCompleter(e.complete)
	for _, entry := range e.entries {
		e.state.AppendHistory(entry)
	}
}

// read edits a line. Where there is no room for that liner reads it plainly, and would go on so when there is.
func (e *editor) read(prompt string) (text string, err error) {
	const room = 10
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	if wide := err == nil && width >= len(prompt)+room; e.wide.Swap(wide) != wide || e.state == nil {
		e.renew()
	}
	if err := e.raw.ApplyMode(); err != nil {
		return "", err
	}
	defer e.restore()
	defer func() {
		if recover() != nil { // the terminal has become too narrow on the way
			text, err = "", liner.ErrInternal
		}
	}()
	return e.state.Prompt(prompt)
}

// more reports whether keys wait to be read, or come at once: nobody types as fast as text is pasted. The library
// does not tell, but has them in a channel, which it fills while this looks.
func (e *editor) more() bool {
	const atOnce = 10 * time.Millisecond
	next := reflect.ValueOf(e.state).Elem().FieldByName("next")
	if next.Kind() != reflect.Chan {
		return false
	}
	for end := time.Now().Add(atOnce); next.Len() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	return next.Len() > 0
}

func (e *editor) edits() bool { return e.wide.Load() }

func (e *editor) remember(entry string) {
	e.entries = append(e.entries, entry)
	e.entries = e.entries[max(0, len(e.entries)-liner.HistoryLimit):]
	if e.state != nil {
		e.state.AppendHistory(entry)
	}
}

func (e *editor) restore() { _ = e.cooked.ApplyMode() } // who cannot has no terminal any more

// A plain reader reads lines as the terminal hands them over.
type plain struct {
	in  *bufio.Reader
	out io.Writer // where prompts go
}

func (p *plain) read(prompt string) (string, error) {
	fmt.Fprint(p.out, prompt)
	line, err := p.in.ReadString('\n')
	if errors.Is(err, io.EOF) && line != "" {
		err = nil // Ctrl-D in the middle of a line sends it
	}
	return strings.TrimRight(line, "\r\n"), err
}

func (p *plain) edits() bool     { return false }
func (p *plain) remember(string) {}
func (p *plain) restore()        {}

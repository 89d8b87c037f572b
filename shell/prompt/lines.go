package prompt

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/peterh/liner"
	"golang.org/x/term"
)

// A lineReader reads what is typed, line by line.
type lineReader interface {
	// read shows a prompt and returns a line; io.EOF after Ctrl-D, liner.ErrPromptAborted after Ctrl-C.
	read(prompt string) (string, error)
	// edits reports whether keys come to read as they are typed: Ctrl-C is one of them, and no signal.
	edits(prompt string) bool
	// remember has a line found again, with the keys for that.
	remember(entry string)
	// restore gives the terminal back as it was.
	restore()
}

// An editor edits lines.
type editor struct {
	*liner.State
	cooked, raw liner.ModeApplier // of the terminal: for others, and while a line is edited
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
	e := &editor{State: liner.NewLiner(), cooked: cooked}
	if e.raw, err = liner.TerminalMode(); err != nil {
		e.Close()
		return nil
	}
	e.SetCtrlCAborts(true)
	e.SetTabCompletionStyle(liner.TabPrints)
	e.SetWordCompleter(c.complete)
	e.restore()
	return e
}

func (e *editor) read(prompt string) (string, error) {
	if err := e.raw.ApplyMode(); err != nil {
		return "", err
	}
	defer e.restore()
	return e.Prompt(prompt)
}

// edits: liner reads plainly where there is no room for what is typed.
func (e *editor) edits(prompt string) bool {
	const room = 10
	width, _, err := term.GetSize(int(os.Stdout.Fd()))
	return err == nil && width >= len(prompt)+room
}

func (e *editor) remember(entry string) { e.AppendHistory(entry) }

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

func (p *plain) edits(string) bool { return false }
func (p *plain) remember(string)   {}
func (p *plain) restore()          {}

package command

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kernelroutes/shell"
	"kernelroutes/shell/prompt"
	"kernelroutes/tables"
)

// prompted reads statements from the terminal that standard input is, and runs them.
func prompted(cmd *cobra.Command, opts shell.Options) error {
	ctx := cmd.Context()
	from, err := fromFlag(cmd)
	if err != nil {
		return err
	}
	src, err := openSource(ctx, from, warn)
	if err != nil {
		return err
	}
	opts.Files = &shell.Files{Read: readAll, Create: create, Source: source}
	p := prompt.New(shell.NewSession(src, opts))
	p.Banner = banner(from)
	p.Through = func(f func(context.Context, io.Writer) error) error {
		defer tellProgress(ctx)()
		return paged(cmd, f)
	}
	p.Prompts = os.Stderr
	if term.IsTerminal(int(os.Stdout.Fd())) {
		p.Prompts = os.Stdout
	}
	p.Complain, p.Warn, p.Note = say("Error: "), say("Warning: "), say("")
	p.Terminal = func() *shell.Terminal {
		t := terminalOf(cmd)
		if t != nil {
			t.Note = p.Note
		}
		return t
	}
	interrupt := p.Interrupt
	interrupts.Store(&interrupt)
	defer interrupts.Store(nil)
	return failed(p.Run(ctx))
}

// say returns a function that says something to who types, in one line.
func say(kind string) func(string) {
	return func(text string) { fmt.Fprintf(stderr, "%s%s\n", kind, oneLine(text)) }
}

// banner is what the prompt begins with.
func banner(from string) string {
	return fmt.Sprintf("%s %s, SQL about routes. Answers come from %s.\n"+
		"A statement ends with a semicolon; .help lists the commands; Ctrl-D ends.\n",
		program, thisBuild().Version, oneLine(cmp.Or(from, "the kernel")))
}

// maxSQL bounds what is read of a file with statements.
const maxSQL = 64 << 20

// readAll returns what a file holds.
func readAll(ctx context.Context, name string) (string, error) {
	f, err := interruptible(ctx, func() (*os.File, error) { return os.Open(name) })
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(reader{ctx, f}, maxSQL+1))
	if err == nil && len(b) > maxSQL {
		err = fmt.Errorf("it has more than %d MiB", maxSQL>>20)
	}
	return string(b), err
}

// create opens a file to be written.
func create(ctx context.Context, name string) (io.WriteCloser, error) {
	return interruptible(ctx, func() (io.WriteCloser, error) {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
		if err != nil {
			return nil, err
		}
		return f, nil
	})
}

// source returns what answers come from: a capture, or the kernel.
func source(ctx context.Context, name string) (tables.Source, error) {
	if name == standard {
		return nil, fmt.Errorf("standard input is the prompt's: give the name of a capture file")
	}
	return openSource(ctx, strings.TrimSpace(name), say("Warning: "))
}

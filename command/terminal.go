package command

import (
	"os"
	"sync"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kernelroutes/shell"
)

// defineTerminal gives a command the flags that terminalOf and paged read.
func defineTerminal(cmd *cobra.Command) {
	cmd.Flags().Bool("wide", false, "at a terminal, show all columns, and as wide as they are")
	definePager(cmd)
}

// definePager gives a command the flag that paged reads.
func definePager(cmd *cobra.Command) {
	cmd.Flags().Bool("pager", false, "at a terminal, show what is printed with $PAGER (default less)")
}

// onTerminal reports whether standard output is a terminal.
var onTerminal = sync.OnceValue(func() bool { return term.IsTerminal(int(os.Stdout.Fd())) })

// terminalOf returns the terminal that standard output is, as it is now; nil: it is none.
func terminalOf(cmd *cobra.Command) *shell.Terminal {
	if !onTerminal() {
		return nil
	}
	wide, _ := cmd.Flags().GetBool("wide")
	color := os.Getenv("NO_COLOR") == "" && !dumb()
	return &shell.Terminal{Width: widthOf(os.Stdout), Wide: wide, Color: color, Note: note}
}

// widthOf returns how many columns a terminal has now, 0 if it does not say.
func widthOf(f *os.File) int {
	width, _, _ := term.GetSize(int(f.Fd()))
	return width
}

// dumb reports whether terminals know no control sequences, as far as the environment tells.
func dumb() bool {
	name := os.Getenv("TERM")
	return name == "" || name == "dumb"
}

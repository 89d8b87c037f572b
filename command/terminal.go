package command

import (
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kernelroutes/shell"
)

// defineTerminal gives a command the flags that terminalOf reads.
func defineTerminal(cmd *cobra.Command) {
	cmd.Flags().Bool("wide", false, "at a terminal, show all columns, and as wide as they are")
}

// terminalOf returns the terminal that standard output is, as it is now; nil: it is none.
func terminalOf(cmd *cobra.Command) *shell.Terminal {
	fd := int(os.Stdout.Fd())
	if !term.IsTerminal(fd) {
		return nil
	}
	width, _, _ := term.GetSize(fd)
	wide, _ := cmd.Flags().GetBool("wide")
	return &shell.Terminal{Width: width, Wide: wide}
}

package command

import (
	"context"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kernelroutes/shell"
	"kernelroutes/tables"
)

func queryCommand() *cobra.Command {
	var separator string
	var header bool
	cmd := &cobra.Command{
		Use:     "query [SQL]",
		Aliases: []string{"shell"},
		Short:   "Answer SQL statements, as osqueryi does, also at a prompt",
		Long: `Answers SQL statements, as osqueryi does, and prints a table unless another
format is chosen. Without an argument the SQL is read from standard input; if that
is a terminal, there is a prompt, where lines are edited, completed (Tab) and
remembered (in XDG_STATE_HOME, or ~/.local/state). Lines that begin with a dot are
commands: .help lists them, .tables and .schema [TABLE] show what there is to ask.
Those that open files (.read, .output, .from) are for the prompt.

in_cidr_block(cidr, address) fails for what is no address of cidr's family, as in
osquery: ask for the family first, with iif or CASE. AND is no help, as SQLite may
look at its second term first.`,
		Example: named(`  kernel_routes.ext query "SELECT protocol, routes FROM kernel_route_counts"
  kernel_routes.ext query --json "SELECT * FROM kernel_routes WHERE dst IN ('0.0.0.0/0', '::/0')"
  kernel_routes.ext query "SELECT dst FROM kernel_routes ` +
			`WHERE iif(gateway_family='ipv4', in_cidr_block('192.0.2.0/24', gateway), 0)"
  kernel_routes.ext query "SELECT dev, gateway, error FROM kernel_route_lookups WHERE destination = '192.0.2.1'"
  echo "SELECT * FROM kernel_route_nexthops" | kernel_routes.ext query --csv`),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage(cmd, "more than one argument: put the SQL in quotes")
			}
			return nil
		},
	}
	defineFormat(cmd)
	cmd.Flags().BoolVar(&header, "header", true, "print the names of the columns with --csv and --list")
	cmd.Flags().StringVar(&separator, "separator", "",
		"print this `text` between values with --csv and --list (default \",\" and \"|\")")
	defineFrom(cmd)
	defineTerminal(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, err := chosenFormat(cmd)
		if err != nil {
			return err
		}
		opts := shell.Options{Format: format, Separator: separator, NoHeader: !header, Warn: warn, Note: say(""),
			Progress: doing.statement(), Terminal: terminalOf(cmd)}
		if from, _ := cmd.Flags().GetString("from"); len(args) == 0 && from == standard {
			return usage(cmd, "no SQL: give it as an argument, as --from - reads standard input")
		}
		if len(args) == 0 && term.IsTerminal(int(os.Stdin.Fd())) {
			return prompted(cmd, opts)
		}
		sql, err := sqlOf(cmd, args)
		if err != nil {
			return err
		}
		return withSource(cmd, func(_ context.Context, src tables.Source) error {
			return paged(cmd, func(ctx context.Context, out io.Writer) error {
				return orLeave(ctx, func() error { return failed(shell.Query(ctx, out, src, sql, opts)) })
			})
		})
	}
	return cmd
}

// sqlOf returns what is to be run: the argument, or what standard input has.
func sqlOf(cmd *cobra.Command, args []string) (sql string, err error) {
	if len(args) > 0 {
		sql = args[0]
	} else if sql, err = readSQL(cmd.Context()); err != nil {
		return "", failed(err)
	}
	if strings.TrimSpace(sql) == "" {
		return "", usage(cmd, "no SQL: give it as an argument or on standard input")
	}
	return sql, nil
}

// orLeave calls f, and ends the program if f goes on for a while when the context
// has ended: SQLite hears of that between two steps of a statement's program only,
// and sorting is one step.
func orLeave(ctx context.Context, f func() error) error {
	const grace = 20 * time.Millisecond
	var over atomic.Bool // f has returned, or the program is ending
	defer context.AfterFunc(ctx, func() {
		time.Sleep(grace)
		if over.CompareAndSwap(false, true) {
			leavePager()
			waiting.Clear()
			os.Exit(status(context.Cause(ctx)))
		}
	})()
	err := f()
	if !over.CompareAndSwap(false, true) {
		select {}
	}
	return err
}

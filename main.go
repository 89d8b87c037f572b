// Kernel_routes.ext shows the routes of the Linux kernel as SQL tables: inside
// osquery as an extension, and by itself on the command line.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kernelroutes/rtnl/object"
	"kernelroutes/shell"
	"kernelroutes/tables"
)

// Exit statuses; 128 and the number of the signal (130 for SIGINT) if one ended the
// command.
const (
	exitOK     = 0
	exitFailed = 1 // the routes could not be read, a query failed, osquery is gone
	exitUsage  = 2 // the command line means nothing
)

func main() {
	// A closed pipe is then an error of the write, not the end of the process.
	signal.Ignore(syscall.SIGPIPE)
	checkZone()
	atEnd := func() {}
	if startedByOsquery(os.Args[1:]) {
		atEnd = waitForNobody()
	}
	code := status(execute(os.Args[1:]))
	atEnd()
	os.Exit(code)
}

// execute runs the extension if osquery started the program, else a command.
func execute(args []string) error {
	var ext extensionFlags
	root := rootCommand(&ext)
	if startedByOsquery(args) {
		if err := ext.parse(root.Flags(), args); err != nil {
			return err
		}
		return ext.run()
	}
	for i, arg := range args {
		if strings.HasPrefix(arg, "-- ") {
			args[i] = "\n" + arg // SQL that begins with a comment is no flag
		}
	}
	ctx, stop := untilSignal()
	defer stop()
	out := &printer{out: stdout{ctx}}
	root.SetOut(out)
	refuseUnknown(root)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		err = failed(out.err)
	}
	if ended := (*signalled)(nil); err != nil && errors.As(context.Cause(ctx), &ended) {
		return ended
	}
	return err
}

// status reports an error in one line and returns the exit status for it.
func status(err error) int {
	if err == nil || errors.Is(err, errClosedPipe) {
		return exitOK
	}
	complain(slog.LevelError, err.Error())
	ended, failure := (*signalled)(nil), (*failure)(nil)
	switch {
	case errors.As(err, &ended):
		return ended.status()
	case errors.As(err, &failure):
		return exitFailed
	}
	return exitUsage
}

// A failure is an error that is not the command line's.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }

func failed(err error) error {
	if err == nil {
		return nil
	}
	return &failure{err}
}

// usage makes an error about the command line that says where to read on.
func usage(cmd *cobra.Command, format string, args ...any) error {
	return fmt.Errorf(format+"; see '%s --help'", append(args, cmd.CommandPath())...)
}

// usageOrFailed makes an error of package shell one about the command line, if that is what it is
// about, or else a failure.
func usageOrFailed(cmd *cobra.Command, err error) error {
	if bad := (*shell.OptionError)(nil); errors.As(err, &bad) {
		return usage(cmd, "%w", err)
	}
	return failed(err)
}

func unknownCommand(cmd *cobra.Command, name string) error {
	return usage(cmd, "unknown command %q: the commands are query, routes, monitor, capture, spec and completion", name)
}

func rootCommand(ext *extensionFlags) *cobra.Command {
	root := &cobra.Command{
		Use:   program,
		Short: "The routing state of the Linux kernel as SQL tables",
		Long: `The routing state of the Linux kernel as SQL tables:
  kernel_routes            routes of all tables and families
  kernel_route_nexthops    nexthops of routes
  kernel_route_rules       policy rules: which table is consulted for what
  kernel_nexthops          nexthop objects and groups
  kernel_route_lookups     what the kernel would do with a packet
  kernel_interface_config  how interfaces forward and what they accept
  kernel_route_counts      how many routes there are of what
  kernel_route_events      what has changed, and who did it
  kernel_routes_info       how the program itself is

With --socket it is an extension of osquery, which passes that flag. With a
command it answers by itself. No privilege is needed for either, but for other
network namespaces, and to see which process has changed something.

Exit status: 0 if all went well, also if the reader of the output has had enough
(| head); 1 if something failed; 2 if the command line means nothing; 130 if
interrupted (SIGINT, Ctrl-C), 143 if terminated (SIGTERM).`,
		Example: named(
			`  kernel_routes.ext query "SELECT dst, gateway, dev FROM kernel_routes WHERE table_name = 'main'"
  kernel_routes.ext routes --ipv4 --summary
  kernel_routes.ext monitor
`) + "  osqueryi --extension " + extensionPath() + ` --extensions_require=kernel_routes "SELECT * FROM kernel_routes"`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if version, _ := cmd.Flags().GetBool("version"); version {
				fmt.Fprint(cmd.OutOrStdout(), about())
				return nil
			}
			return usage(cmd, "nothing to do: give a command (query, routes, monitor, capture or spec), "+
				"or --socket to be an osquery extension")
		},
	}
	// cobra's own flag prints by a template if it is to print more than a line: with templates the linker has to
	// keep every method there is, a quarter of the program.
	root.Flags().BoolP("version", "v", false, "print version, commit, date, Go and kernel interface")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%w", err) })
	ext.define(root.Flags())
	root.AddCommand(queryCommand(), routesCommand(), monitorCommand(), captureCommand(), specCommand(),
		completionCommand())
	completeRoot(root)
	return root
}

func queryCommand() *cobra.Command {
	formats := []struct {
		name   string
		format shell.Format
		usage  string
	}{
		{"json", shell.JSON, "print a JSON array of objects with text values"},
		{"jsonl", shell.JSONL, "print one JSON object a line"},
		{"csv", shell.CSV, "print comma-separated values with a header"},
		{"line", shell.Line, "print one column a line"},
		{"list", shell.List, "print values separated by |"},
	}
	var separator string
	var header bool
	cmd := &cobra.Command{
		Use:   "query [SQL]",
		Short: "Answer SQL statements, as osqueryi does",
		Long: `Answers SQL statements, as osqueryi does, and prints a table unless another
format is chosen. Without an argument the SQL is read from standard input.
The lines .tables and .schema [TABLE] show what there is to ask.

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
	for _, f := range formats {
		cmd.Flags().Bool(f.name, false, f.usage)
	}
	cmd.Flags().BoolVar(&header, "header", true, "print the names of the columns with --csv and --list")
	cmd.Flags().StringVar(&separator, "separator", "",
		"print this `text` between values with --csv and --list (default \",\" and \"|\")")
	defineFrom(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		format, chosen := shell.Pretty, ""
		for _, f := range formats {
			if on, _ := cmd.Flags().GetBool(f.name); !on {
				continue
			}
			if chosen != "" {
				return usage(cmd, "--%s and --%s exclude each other: choose one format", chosen, f.name)
			}
			format, chosen = f.format, f.name
		}
		sql := strings.Join(args, "")
		if len(args) == 0 && !term.IsTerminal(int(os.Stdin.Fd())) {
			if from, _ := cmd.Flags().GetString("from"); from == standard {
				return usage(cmd, "no SQL: give it as an argument, as --from - reads standard input")
			}
			var err error
			if sql, err = readSQL(cmd.Context()); err != nil {
				return failed(err)
			}
		}
		if strings.TrimSpace(sql) == "" {
			return usage(cmd, "no SQL: give it as an argument or on standard input")
		}
		return withSource(cmd, func(ctx context.Context, src tables.Source) error {
			opts := shell.Options{Format: format, Separator: separator, NoHeader: !header, Warn: warn}
			return orLeave(ctx, func() error { return failed(shell.Query(ctx, stdout{ctx}, src, sql, opts)) })
		})
	}
	return cmd
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
			os.Exit(status(context.Cause(ctx)))
		}
	})()
	err := f()
	if !over.CompareAndSwap(false, true) {
		select {}
	}
	return err
}

func routesCommand() *cobra.Command {
	var opts shell.RoutesOptions
	cmd := &cobra.Command{
		Use:   "routes",
		Short: "Print routes as net_route_info.py did",
		Long: `Prints the IPv4 and IPv6 routes of all tables as net_route_info.py did: as a JSON
array with one route a line, or as a summary for people.`,
		Example: named(`  kernel_routes.ext routes
  kernel_routes.ext routes --ipv6 --table main
  kernel_routes.ext routes --summary`),
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if opts.Family, err = chosenFamily(cmd); err != nil {
				return err
			}
			if cmd.Flags().Changed("table") && opts.Table == "" {
				return usage(cmd, "--table is empty: give a name or a number")
			}
			return withSource(cmd, func(ctx context.Context, src tables.Source) error {
				return usageOrFailed(cmd, shell.Routes(ctx, stdout{ctx}, src, opts))
			})
		},
	}
	defineFamily(cmd, "only IPv4 routes", "only IPv6 routes")
	cmd.Flags().StringVar(&opts.Table, "table", "", "only routes of this table, a `name or number`")
	completeFlag(cmd, "table", completeTable)
	cmd.Flags().BoolVar(&opts.Summary, "summary", false, "print text for people instead of JSON")
	defineFrom(cmd)
	cmd.Flags().BoolVar(&opts.NoUnknownAttrs, "no-unknown-attrs", false, "leave unknown_rta_attrs out")
	return cmd
}

// onlyFlags is for commands without arguments.
func onlyFlags(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(cmd, "unexpected argument %q: there are only flags here", args[0])
	}
	return nil
}

// defineFamily gives a command the flags that chosenFamily reads.
func defineFamily(cmd *cobra.Command, ipv4, ipv6 string) {
	cmd.Flags().Bool("ipv4", false, ipv4)
	cmd.Flags().Bool("ipv6", false, ipv6)
}

// chosenFamily returns the family that flags choose, 0 for both.
func chosenFamily(cmd *cobra.Command) (object.Family, error) {
	ipv4, _ := cmd.Flags().GetBool("ipv4")
	ipv6, _ := cmd.Flags().GetBool("ipv6")
	switch {
	case ipv4 && ipv6:
		return 0, usage(cmd, "--ipv4 and --ipv6 exclude each other: leave both out for both families")
	case ipv4:
		return object.IPv4, nil
	case ipv6:
		return object.IPv6, nil
	}
	return 0, nil
}

func specCommand() *cobra.Command {
	var names []string
	for _, t := range tables.All() {
		names = append(names, t.Name)
	}
	return &cobra.Command{
		Use:   "spec [TABLE]",
		Short: "Print the specification of the tables, or of one, as JSON",
		Long: `Prints the specification of a table as JSON in osquery's format: what it is, its
columns with types and descriptions, and examples. Without a name, an array of
the specifications of all tables.`,
		Example:           named("  kernel_routes.ext spec kernel_routes"),
		ValidArgsFunction: completeFirst(names),
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return usage(cmd, "more than one table: give one, or none for all")
			case len(args) == 1 && !slices.Contains(names, args[0]):
				return usage(cmd, "unknown table %q: the tables are %s", args[0], tables.Listed(names))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			var specs []json.RawMessage
			for _, t := range tables.All() {
				spec, err := t.Spec()
				if err != nil {
					return failed(err)
				}
				if len(args) == 0 || args[0] == t.Name {
					specs = append(specs, spec)
				}
			}
			enc := json.NewEncoder(stdout{cmd.Context()})
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if len(args) == 1 {
				return failed(enc.Encode(specs[0]))
			}
			return failed(enc.Encode(specs))
		},
	}
}

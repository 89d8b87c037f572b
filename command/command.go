// Package command is the command line: a file for each command, and extension.go, which starts
// what osquery runs.
package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"kernelroutes/shell/option"
	"kernelroutes/tables"

	"github.com/spf13/cobra"
)

// Exit statuses; 128 and the number of the signal (130 for SIGINT) if one ended the
// command.
const (
	exitOK     = 0
	exitFailed = 1 // the routes could not be read, a query failed, osquery is gone
	exitUsage  = 2 // the command line means nothing
)

// Main is the program. It does not return.
func Main(l Linked) {
	linked = l
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
	err := fmt.Errorf(format, args...)
	if strings.HasSuffix(err.Error(), "?") {
		return fmt.Errorf("%w See '%s --help'", err, cmd.CommandPath())
	}
	return fmt.Errorf("%w; see '%s --help'", err, cmd.CommandPath())
}

// usageOrFailed makes an error of package shell one about the command line, if that is what it is
// about, or else a failure.
func usageOrFailed(cmd *cobra.Command, err error) error {
	if bad := (*option.Error)(nil); errors.As(err, &bad) {
		return usage(cmd, "%w", err)
	}
	return failed(err)
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
  kernel_routes_info       the program itself: version, failures, memory

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
			return usage(cmd, "nothing to do: give a command (%s), or --socket to be an osquery extension",
				tables.Listed(commandNames(cmd)))
		},
	}
	// cobra's own flag prints by a template if it is to print more than a line: with templates the linker has to
	// keep every method there is, a quarter of the program.
	root.Flags().BoolP("version", "v", false, "print version, commit, date, Go and kernel interface")
	root.SetFlagErrorFunc(flagError)
	ext.define(root.Flags())
	root.AddCommand(queryCommand(), showCommand(), getCommand(), diffCommand(), routesCommand(), monitorCommand(),
		captureCommand(), specCommand(),
		completionCommand())
	completeRoot(root)
	return root
}

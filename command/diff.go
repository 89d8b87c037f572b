package command

import (
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"kernelroutes/rtnl/capture"
	"kernelroutes/shell/diff"
)

func diffCommand() *cobra.Command {
	var opts diff.Options
	cmd := &cobra.Command{
		Use:   "diff A [B]",
		Short: "Tell what is different in two captures, or in a capture and now",
		Long: `Tells what has appeared, vanished and changed from capture A to capture B, or to
what the kernel has now: policy rules, routes with their nexthops, nexthop objects
and the settings of interfaces. A line for each says what it is now and what of it
was otherwise; --json prints all columns of the tables, and which are others.

Objects are compared by what they are. A route is the one with the family, table,
destination, source, TOS and metric, as for the kernel; a rule the one with the
priority and the selectors. Of several routes with all that the same, and of rules
with one priority, the kernel tries the first one first: one that has moved past
others is changed, "place 1 -> 2" (but not for link-local and multicast IPv6
destinations, where the interface decides). Interfaces are those with the same name,
so that hosts can be compared, or one before and after a reboot. Indexes, counters,
ages, how long a route is still valid (but whether it expires) and the order of
nexthops do not count, nor what a kernel or a capture does not tell: a warning says
what that is. Names of tables and protocols are each capture's own.

A capture is a file that the command capture made, - is standard input. The exit
status is 0 if both were compared, whatever has been found.`,
		Example: named(`  kernel_routes.ext capture before.pcap
  kernel_routes.ext diff before.pcap
  kernel_routes.ext diff --ipv4 --table main before.pcap after.pcap
  ssh router kernel_routes.ext capture - | kernel_routes.ext diff --json before.pcap -`),
		ValidArgsFunction: completeDiff,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usage(cmd, "give a capture to compare with now, or two captures")
			case len(args) > 2:
				return usage(cmd, "unexpected argument %q: give one capture, or two", args[2])
			case args[0] == "" || args[len(args)-1] == "":
				return usage(cmd, "the name of a capture is empty: give the name of a file")
			case len(args) == 2 && args[0] == standard && args[1] == standard:
				return usage(cmd, "only one of the captures can be standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if opts.Family, err = chosenFamily(cmd); err != nil {
				return err
			}
			if cmd.Flags().Changed("table") && opts.Table == "" {
				return usage(cmd, "--table is empty: give a name or a number")
			}
			opts.Warn, opts.Progress = warn, doing.counter()
			return runDiff(cmd, args, opts)
		},
	}
	defineFamily(cmd, "only what is of IPv4", "only what is of IPv6")
	cmd.Flags().StringVar(&opts.Table, "table", "", "only routes and rules of this table, a `name or number`")
	completeFlag(cmd, "table", completeTable)
	cmd.Flags().BoolVar(&opts.JSON, "json", false, "print a JSON array with an object for each difference")
	definePager(cmd)
	return cmd
}

// runDiff compares a capture with another, or with the kernel.
func runDiff(cmd *cobra.Command, args []string, opts diff.Options) error {
	ctx := cmd.Context()
	defer tellProgress(ctx)()
	states := make([]diff.State, 0, 2)
	for _, name := range args {
		c, said, err := openCapture(ctx, name, warn)
		if err != nil {
			return err
		}
		states = append(states, stateOf(c, said))
	}
	if len(states) == 1 {
		src, err := kernelSource()
		if err != nil {
			return err
		}
		states = append(states, diff.State{Source: src, Name: "the kernel",
			Kernel: strings.TrimPrefix(kernelRelease(), "Linux ")})
	}
	return paged(cmd, func(ctx context.Context, out io.Writer) error {
		return orLeave(ctx, func() error {
			return usageOrFailed(cmd, diff.Print(ctx, out, states[0], states[1], opts))
		})
	})
}

func stateOf(c *capture.Capture, said string) diff.State {
	s := diff.State{Source: c, Name: "capture " + said}
	if host := c.Host(); host != nil {
		s.Kernel = host.Kernel
	}
	return s
}

// completeDiff completes up to two files.
func completeDiff(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return completeFile(cmd, args[min(len(args), 1):], typed)
}

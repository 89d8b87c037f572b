package command

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/events"
	"kernelroutes/shell"
	"kernelroutes/tables"
)

func monitorCommand() *cobra.Command {
	var opts shell.MonitorOptions
	var present bool
	var netns string
	cmd := &cobra.Command{
		Use:   "monitor",
		Short: "Print changes as they come, and who made them",
		Long: `Prints changes of routes, policy rules and nexthop objects as they come, a line for
each: what is there now, what it has replaced, and the process that asked for it,
as far as that can be told. With --json each line is an object with the columns of
the table kernel_route_events, which osquery's extension answers.

What goes without a message of its own (IPv4 routes with their link or address,
routes with their nexthop object) is printed too. If changes come faster than they
can be followed, a line says so (lost), and what is different comes after it.

All users see all changes. Who made them only root sees: to others the kernel does
not show which sockets a process holds that may change routes. A command that ends
at once, as ip, may have ended before it could be looked at: then it is not known.`,
		Example: named(`  kernel_routes.ext monitor
  kernel_routes.ext monitor --ipv4 --table main --since-snapshot
  kernel_routes.ext monitor --json --ipv6`),
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if opts.Family, err = chosenFamily(cmd); err != nil {
				return err
			}
			if cmd.Flags().Changed("table") && opts.Table == "" {
				return usage(cmd, "--table is empty: give a name or a number")
			}
			if cmd.Flags().Changed("netns") && netns == "" {
				return usage(cmd, "--netns is empty: give a name in /run/netns or a path")
			}
			ns, err := tables.ParseNetns(netns)
			if err != nil {
				return usage(cmd, "--%w", err)
			}
			return usageOrFailed(cmd, monitor(cmd.Context(), ns, present, opts))
		},
	}
	defineFamily(cmd, "only changes of IPv4", "only changes of IPv6")
	cmd.Flags().StringVar(&opts.Table, "table", "", "only routes and rules of this table, a `name or number`")
	completeFlag(cmd, "table", completeTable)
	cmd.Flags().BoolVar(&opts.JSON, "json", false, "print one JSON object a line")
	cmd.Flags().BoolVar(&present, "since-snapshot", false, "print first what there is, as present")
	cmd.Flags().StringVar(&netns, "netns", "", "in this network namespace, a `name` in /run/netns or a path")
	completeFlag(cmd, "netns", completeNetns)
	return cmd
}

// monitor prints changes until the context ends or nobody reads the output any longer.
func monitor(ctx context.Context, ns rtnl.Namespace, present bool, opts shell.MonitorOptions) error {
	if runtime.GOOS != "linux" {
		return errNeedsLinux
	}
	if stdoutClosed() { // which a write would tell only when there is a change
		return errClosedStdout
	}
	k := &rtnl.Kernel{Logger: stderrLog(slog.LevelWarn)}
	if _, err := k.NamespaceID(ns); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		waitForReader()
		cancel(errClosedPipe)
	}()
	changes := events.Follow(ctx, k, events.Following{Namespace: ns, Present: present, Logger: k.Logger})
	err := shell.Monitor(ctx, stdout{ctx}, k.Names(), changes, opts)
	if errors.Is(context.Cause(ctx), errClosedPipe) {
		return errClosedPipe
	}
	return err
}

// completeNetns completes the name of a network namespace, or a path.
func completeNetns(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	if strings.HasPrefix(typed, "/") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	files, _ := os.ReadDir(tables.NetnsFolder) // where there is none, nothing has a name
	for _, f := range files {
		names = append(names, f.Name())
	}
	return beginning(names, typed), cobra.ShellCompDirectiveNoFileComp
}

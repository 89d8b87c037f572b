package command

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"runtime"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/get"
	"kernelroutes/tables"
)

func getCommand() *cobra.Command {
	var opts get.Options
	var netns string
	cmd := &cobra.Command{
		Use:   "get ADDRESS...",
		Short: "Explain where a packet to an address would go",
		Long: `Asks the kernel what it would do with a packet to an address, and explains how it
comes to that: the rules that are tried, in order, and why each is for the packet or
not; what the tables have for it; the route that decides, and which of its nexthops
the packet takes. Nothing is sent. The answer is the kernel's own, as of "ip route
get"; the way to it is worked out from rules and routes, and if that does not lead to
the answer, or all changes too fast, it is said that it cannot be told.

Without --iif it is a packet of this host. As long as no --source is given it has no
source address, so that rules for some sources do not apply: the kernel chooses one
when it has found the route.

With --json each address is an object on a line. It has the columns of the table
kernel_route_lookups, and: explained; verdict, in words; rules, those that were tried,
with matched (true, false, or null if it is not known), condition (the first that is
not met), outcome, why, table_name and route; shortcut, why none is tried; route and
nexthops, with taken. Numbers are numbers, and null where there is none.

A packet that goes nowhere is an answer: the exit status is 0, and "error" in the
JSON says why. It is 1 if the kernel gives no answer, 2 if an argument means nothing.`,
		Example: named(`  kernel_routes.ext get 192.0.2.1
  kernel_routes.ext get 192.0.2.1 --source 10.0.0.1 --mark 0xca6c
  kernel_routes.ext get 2001:db8::1 --ipproto tcp --dport 443 --json
  kernel_routes.ext get 192.0.2.1 --source 10.0.0.9 --iif eth0`),
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(cmd, "which address? Give one or more, as 192.0.2.1 or 2001:db8::1")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"source", "iif", "oif", "vrf", "mark", "tos", "uid", "ipproto", "sport",
				"dport", "netns"} {
				if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
					return usage(cmd, "--%s is empty: give a value, or leave it out", name)
				}
			}
			ns, err := tables.ParseNetns(netns)
			if err != nil {
				return usage(cmd, "--%w", err)
			}
			if t := terminalOf(cmd); t != nil {
				opts.Width = t.Width
			}
			return usageOrFailed(cmd, explain(cmd.Context(), ns, args, opts))
		},
	}
	f := cmd.Flags()
	f.StringVar(&opts.Source, "source", "", "source `address` of the packet, one of this host's unless --iif is given")
	f.StringVar(&opts.IIF, "iif", "",
		"the packet came in through this `interface`, a name or number (IPv4: with --source)")
	f.StringVar(&opts.OIF, "oif", "", "the packet is to leave through this `interface`, as of a socket bound to it")
	f.StringVar(&opts.VRF, "vrf", "", "the packet is to leave through this `VRF`")
	f.StringVar(&opts.Mark, "mark", "", "firewall mark of the packet, a `number` in decimal or after 0x")
	f.StringVar(&opts.TOS, "tos", "", "type of service of the packet, a `number` in decimal or after 0x")
	f.StringVar(&opts.UID, "uid", "", "`number` of the user whose packet it is (default: who asks)")
	f.StringVar(&opts.IPProto, "ipproto", "", "IP `protocol` of the packet: icmp, tcp, udp or icmpv6, or a number")
	f.StringVar(&opts.SPort, "sport", "", "source port of the packet, a `number`")
	f.StringVar(&opts.DPort, "dport", "", "destination port of the packet, a `number`")
	f.StringVar(&netns, "netns", "", "in this network namespace, a `name` in /run/netns or a path")
	f.BoolVar(&opts.JSON, "json", false, "print one JSON object a line, for each address")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if unknown := (*pflag.NotExistError)(nil); errors.As(err, &unknown) && unknown.GetSpecifiedName() == "from" {
			return usage(cmd, "%w: it is for captures elsewhere, and a packet is looked up by the kernel that runs; "+
				"the packet's source is --source ADDRESS", err)
		}
		return flagError(cmd, err)
	})
	completeFlag(cmd, "netns", completeNetns)
	completeFlag(cmd, "iif", completeDevice(nil))
	completeFlag(cmd, "oif", completeDevice(nil))
	completeFlag(cmd, "vrf", completeDevice(func(l *object.Link) bool { return l.VRFTable != 0 }))
	completeFlag(cmd, "ipproto", func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return beginning(slices.Sorted(maps.Keys(get.Protocols)), typed), cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

// explain prints what becomes of packets to some addresses.
func explain(ctx context.Context, ns rtnl.Namespace, addresses []string, opts get.Options) error {
	if runtime.GOOS != "linux" {
		return errNeedsLinux
	}
	return get.Run(ctx, stdout{ctx}, &rtnl.Kernel{Logger: stderrLog(slog.LevelWarn)}, ns, addresses, opts)
}

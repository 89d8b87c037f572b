package command

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"kernelroutes/shell/show"
	"kernelroutes/tables"
)

func showCommand() *cobra.Command {
	var opts show.Options
	var netns string
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the routes for people, table by table as rules consult them",
		Long: `Prints all routes for people: table by table, in the order in which policy rules
consult them, each with these rules, the name of its VRF, the nexthops of its
routes, and which of their interfaces are tunnels. Tables that no rule leads to
come last.

Below a route that is never used it says what comes before it, always: a route to
the same destination with a lower metric, more specific routes that cover it whole
(as 0.0.0.0/1 and 128.0.0.0/1 cover a default route), or routes of a table that a
rule consults before, for every packet, for all to these destinations, or for all
but those that it names (as with the mark of a VPN's own packets), some of which
come to the route, or perhaps do. Or it says which rules lead to the table, if none
of them accepts the route (suppress_prefixlength). Of a table to which no packet
comes it says what refuses them all before, or has them go past it (goto). That is
said where it is certain, for packets that name no interface to leave through: of a
socket that is bound to one the kernel passes over routes through others. It holds
for as long as interfaces and routes stay as they are, and IPv6 gateways answer.

All of it is of one time. With --table or --dev less is shown, but all is compared.`,
		Example: named(`  kernel_routes.ext show
  kernel_routes.ext show --ipv4 --table main
  kernel_routes.ext show --dev eth0
  kernel_routes.ext show --from routes.pcap`),
		Args: onlyFlags,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if opts.Family, err = chosenFamily(cmd); err != nil {
				return err
			}
			for _, flag := range []struct{ name, value, remedy string }{
				{"table", opts.Table, "give a name or a number"},
				{"dev", opts.Dev, "give a name or a number of an interface"},
				{"netns", netns, "give a name in /run/netns or a path"},
			} {
				if cmd.Flags().Changed(flag.name) && flag.value == "" {
					return usage(cmd, "--%s is empty: %s", flag.name, flag.remedy)
				}
			}
			if cmd.Flags().Changed("netns") && cmd.Flags().Changed("from") {
				return usage(cmd, "--netns and --from exclude each other: a capture is of one network namespace")
			}
			if opts.Namespace, err = tables.ParseNetns(netns); err != nil {
				return usage(cmd, "--%w", err)
			}
			opts.Warn, opts.Progress = warn, doing.counter()
			if t := terminalOf(cmd); t != nil {
				if opts.Color = t.Color; !t.Wide {
					opts.Width = t.Width
				}
			}
			return withSource(cmd, func(_ context.Context, src tables.Source) error {
				return paged(cmd, func(ctx context.Context, out io.Writer) error {
					return orLeave(ctx, func() error { return usageOrFailed(cmd, show.Write(ctx, out, src, opts)) })
				})
			})
		},
	}
	defineFamily(cmd, "only IPv4", "only IPv6")
	cmd.Flags().StringVar(&opts.Table, "table", "", "only this table, a `name or number`")
	completeFlag(cmd, "table", completeTable)
	cmd.Flags().StringVar(&opts.Dev, "dev", "", "only routes through this `interface`, a name or number")
	completeFlag(cmd, "dev", completeDevice(nil))
	cmd.Flags().StringVar(&netns, "netns", "", "in this network namespace, a `name` in /run/netns or a path")
	completeFlag(cmd, "netns", completeNetns)
	defineFrom(cmd)
	defineTerminal(cmd)
	return cmd
}

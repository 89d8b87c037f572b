package command

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"kernelroutes/rtnl/object"
	"kernelroutes/shell"
	"kernelroutes/tables"
)

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
			if opts.Summary && opts.NoUnknownAttrs {
				return usage(cmd, "--summary and --no-unknown-attrs exclude each other: a summary has no attributes")
			}
			return withSource(cmd, func(_ context.Context, src tables.Source) error {
				return paged(cmd, func(ctx context.Context, out io.Writer) error {
					return usageOrFailed(cmd, shell.Routes(ctx, out, src, opts))
				})
			})
		},
	}
	defineFamily(cmd, "only IPv4 routes", "only IPv6 routes")
	cmd.Flags().StringVar(&opts.Table, "table", "", "only routes of this table, a `name or number`")
	completeFlag(cmd, "table", completeTable)
	cmd.Flags().BoolVar(&opts.Summary, "summary", false, "print text for people instead of JSON")
	defineFrom(cmd)
	definePager(cmd)
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

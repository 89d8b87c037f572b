package command

import (
	"encoding/json"
	"slices"

	"github.com/spf13/cobra"

	"kernelroutes/internal/nearest"
	"kernelroutes/tables"
)

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
				hint := nearest.Question(nearest.Of(args[0], names))
				if hint != "" {
					hint += " "
				}
				return usage(cmd, "unknown table %q: %sthe tables are %s", args[0], hint, tables.Listed(names))
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

package command

import (
	"slices"

	"github.com/spf13/cobra"

	"kernelroutes/internal/nearest"
	"kernelroutes/shell"
	"kernelroutes/tables"
)

// formats are those of query. Each but the first has a flag of its name.
var formats = []struct {
	name   string
	format shell.Format
	usage  string
}{
	{"pretty", shell.Pretty, ""},
	{"json", shell.JSON, "print a JSON array of objects with text values"},
	{"jsonl", shell.JSONL, "print one JSON object a line"},
	{"csv", shell.CSV, "print comma-separated values with a header"},
	{"line", shell.Line, "print one column a line"},
	{"list", shell.List, "print values separated by |"},
}

func formatNames() (names []string) {
	for _, f := range formats {
		names = append(names, f.name)
	}
	return names
}

// defineFormat gives a command the flags that chosenFormat reads.
func defineFormat(cmd *cobra.Command) {
	for _, f := range formats {
		if f.usage != "" {
			cmd.Flags().Bool(f.name, false, f.usage)
		}
	}
	cmd.Flags().String("format", "", "print in the format with this `name`: "+tables.Listed(formatNames()))
	completeFlag(cmd, "format", completeFormat)
}

func completeFormat(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return beginning(formatNames(), typed), cobra.ShellCompDirectiveNoFileComp
}

// chosenFormat returns the format that flags choose, Pretty for none.
func chosenFormat(cmd *cobra.Command) (shell.Format, error) {
	format, chosen := shell.Pretty, "" // by which flag
	choose := func(f shell.Format, by string) error {
		if chosen != "" && f != format {
			return usage(cmd, "%s and %s exclude each other: choose one format", chosen, by)
		}
		format, chosen = f, by
		return nil
	}
	for _, f := range formats {
		if on, _ := cmd.Flags().GetBool(f.name); !on {
			continue
		}
		if err := choose(f.format, "--"+f.name); err != nil {
			return format, err
		}
	}
	if !cmd.Flags().Changed("format") {
		return format, nil
	}
	name, _ := cmd.Flags().GetString("format")
	names := formatNames()
	i := slices.Index(names, name)
	if i < 0 {
		hint := nearest.Question(nearest.Of(name, names))
		if hint != "" {
			hint += " "
		}
		return format, usage(cmd, "unknown format %q: %sthe formats are %s", name, hint, tables.Listed(names))
	}
	return format, choose(formats[i].format, "--format "+name)
}

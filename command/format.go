package command

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kernelroutes/internal/nearest"
	"kernelroutes/shell"
	"kernelroutes/tables"
)

// formatUsage is what the flag of a format does. A table is printed without one.
var formatUsage = map[shell.Format]string{
	shell.JSON:  "print a JSON array of objects with text values",
	shell.JSONL: "print one JSON object a line",
	shell.CSV:   "print comma-separated values with a header",
	shell.Line:  "print one column a line",
	shell.List:  "print values separated by |",
}

// defineFormat gives a command the flags that chosenFormat reads.
func defineFormat(cmd *cobra.Command) {
	for f, usage := range formatUsage {
		cmd.Flags().Bool(f.String(), false, usage)
	}
	cmd.Flags().Var(new(formatsNamed), "format",
		"print in the format with this `name`: "+tables.Listed(shell.FormatNames()))
	completeFlag(cmd, "format", completeFormat)
}

// formatsNamed are what a flag that is given several times has each time: a second format is not to win without a word.
type formatsNamed []string

func (n *formatsNamed) Set(name string) error {
	*n = append(*n, name)
	return nil
}

func (n *formatsNamed) String() string { return strings.Join(*n, ",") }

func (n *formatsNamed) Type() string { return "string" }

func completeFormat(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return beginning(shell.FormatNames(), typed), cobra.ShellCompDirectiveNoFileComp
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
	names := shell.FormatNames()
	for i, name := range names {
		if on, _ := cmd.Flags().GetBool(name); !on {
			continue
		}
		if err := choose(shell.Format(i), "--"+name); err != nil {
			return format, err
		}
	}
	for _, name := range *cmd.Flags().Lookup("format").Value.(*formatsNamed) {
		i := slices.Index(names, name)
		if i < 0 {
			hint := nearest.Question(nearest.Of(name, names))
			if hint != "" {
				hint += " "
			}
			return format, usage(cmd, "unknown format %q: %sthe formats are %s", name, hint, tables.Listed(names))
		}
		if err := choose(shell.Format(i), "--format "+name); err != nil {
			return format, err
		}
	}
	return format, nil
}

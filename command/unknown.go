package command

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kernelroutes/internal/nearest"
	"kernelroutes/shell"
	"kernelroutes/tables"
)

// What is said of commands and flags that there are not: which was probably meant.

// commandNames returns the commands that there are.
func commandNames(cmd *cobra.Command) (names []string) {
	for _, c := range cmd.Root().Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

func unknownCommand(cmd *cobra.Command, name string) error {
	names, hint := commandNames(cmd), ""
	known := slices.Clone(names)
	for _, c := range cmd.Root().Commands() {
		known = append(known, c.Aliases...)
	}
	if meant := nearest.Of(name, known); meant != nil {
		hint = nearest.Question(meant) + " "
	} else if looksLikeSQL(name) {
		hint = "SQL is an argument of query; "
	}
	return usage(cmd, "unknown command %q: %sthe commands are %s", name, hint, tables.Listed(names))
}

// looksLikeSQL reports whether a text begins as a statement that could be meant for query does.
func looksLikeSQL(text string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(text), " ")
	first := []string{"SELECT", "WITH", "EXPLAIN", "PRAGMA", "CREATE", "VALUES"}
	return slices.Contains(first, strings.ToUpper(word)) || strings.HasPrefix(word, ".")
}

// flagError makes an error about a flag one that says which was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		return usage(cmd, "--%s=%s means nothing: %s", f.Name, invalid.GetValue(), wanted(f))
	case !errors.As(err, &unknown):
		return usage(cmd, "%w", err)
	}
	name := unknown.GetSpecifiedName()
	if letters := unknown.GetSpecifiedShortnames(); letters != "" {
		name, _, _ = strings.Cut(letters, "=") // -json
	}
	flags := flagNames(cmd)
	meant := nearest.Of(name, flags)
	if len(name) == 1 {
		meant = slices.DeleteFunc([]string{shorthands[name]}, func(f string) bool { return !slices.Contains(flags, f) })
	}
	for i := range meant {
		meant[i] = "--" + meant[i]
	}
	choosing := slices.Contains([]string{"format", "mode", "output", "o"}, name)
	switch formats := formatFlags(flags); {
	case len(meant) > 0:
		return usage(cmd, "%w; %s", err, nearest.Question(meant))
	case cmd.Name() == "routes" && (choosing || slices.Contains(shell.FormatNames(), name)):
		return usage(cmd, "%w: it prints JSON, and with --summary text", err)
	case choosing && formats != nil:
		return usage(cmd, "%w: formats are chosen by %s", err, tables.Listed(formats))
	}
	if others := commandsWith(cmd, name); others != nil {
		return usage(cmd, "%w, which is one of %s", err, tables.Listed(others))
	}
	return usage(cmd, "%w", err)
}

// shorthands are flags by the letters that ip has for them.
var shorthands = map[string]string{"4": "ipv4", "6": "ipv6", "j": "json"}

// wanted says what is to be given where a flag's value means nothing.
func wanted(f *pflag.Flag) string {
	switch f.Value.Type() {
	case "bool":
		return fmt.Sprintf("give --%s or --%[1]s=false", f.Name)
	case "int":
		unit, _ := pflag.UnquoteUsage(f)
		return "give a whole number of " + unit
	}
	return "give another value"
}

// flagNames returns the names of a command's flags.
func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	return names
}

// formatFlags returns those flags that choose a format.
func formatFlags(names []string) (flags []string) {
	for _, name := range shell.FormatNames() {
		if slices.Contains(names, name) {
			flags = append(flags, "--"+name)
		}
	}
	return flags
}

// commandsWith returns the other commands that have a flag.
func commandsWith(cmd *cobra.Command, name string) (others []string) {
	for _, c := range cmd.Root().Commands() {
		if c != cmd && c.IsAvailableCommand() && slices.Contains(flagNames(c), name) {
			others = append(others, c.Name())
		}
	}
	return others
}

package schema

import (
	"slices"
	"strings"

	"kernelroutes/tables"
)

// notes returns what is to be known of a table before it is asked, as a list in Markdown.
func notes(t *tables.Table) (lines []string) {
	for _, note := range []string{
		"This table is not a core osquery table, nor one of fleetd's: it is in the extension `kernel_routes`, which " +
			"the package `kernel-routes` installs. Where `SELECT 1 FROM osquery_extensions " +
			"WHERE name = 'kernel_routes'` has no row, the table is not there.",
		since(t),
		privilege(t),
		required(t),
		inputs(t),
		ofColumns(t, func(c tables.ColumnInfo) bool { return c.Options&tables.Hidden != 0 },
			"`SELECT *` does not show these columns, which are to be named: "),
		consistency(t),
		ofColumns(t, func(c tables.ColumnInfo) bool { return c.Volatile },
			"These columns change by themselves, so that a query that logs differences should not have them: "),
		"What is absent reads as NULL in a column of numbers, and as '' in one of text.",
	} {
		for i, line := range wrap(note, width-4) {
			lines = append(lines, []string{"- ", "  "}[min(i, 1)]+line)
		}
	}
	return lines
}

// privilege says what takes which rights.
func privilege(t *tables.Table) string {
	switch t {
	case tables.Info:
		return "No privilege is needed. It is the process that osquery has started: to ask for another network " +
			"namespace (`netns`, `pid_with_namespace`, `netns_id`) is an error."
	case tables.Events:
		return "No privilege is needed to see changes. Who made them takes root: CAP_SYS_PTRACE, and " +
			"CAP_DAC_READ_SEARCH for processes of other users. They are those of the network namespace that osquery " +
			"runs in; to ask for another one (`netns`, `pid_with_namespace`, `netns_id`) is an error."
	}
	return "No privilege is needed for the network namespace that osquery runs in. To show another one (`netns`, " +
		"`pid_with_namespace`, `netns_id`) takes root: CAP_SYS_ADMIN, and CAP_SYS_PTRACE for processes of other users."
}

// since says which kernel a table needs.
func since(t *tables.Table) string {
	if t.Since == "" {
		return "It is for Linux alone. Columns whose values came with a later kernel than 3.2 say so; an older " +
			"kernel does not tell them."
	}
	return "It needs Linux " + t.Since + ", before which it has no rows. Columns whose values came later say so; an " +
		"older kernel does not tell them."
}

// required says which columns need a value.
func required(t *tables.Table) string {
	return ofColumns(t, func(c tables.ColumnInfo) bool { return c.Options&tables.Required != 0 },
		"There is no answer without a value, by `=`, `IN` or a join, for ")
}

// inputs says which columns say what rows are to show.
func inputs(t *tables.Table) string {
	return ofColumns(t, func(c tables.ColumnInfo) bool {
		return c.Input != "" && c.Options&tables.Required == 0
	}, "A condition on these columns says what to show, rather than choosing among rows. It is to be an `=` or "+
		"`IN`; in a join, the table with the values comes first (`CROSS JOIN`): ")
}

// consistency says what snapshot_consistent means.
func consistency(t *tables.Table) string {
	switch t {
	case tables.Events:
		return "Rows keep their values. That changes were lost is a row of its own, whose action is lost; that they " +
			"are not followed is an error, never an empty answer."
	case tables.Info:
		return "There is one row, of the moment when it is asked for."
	case tables.Lookups:
		return "Where `snapshot_consistent` is 0, what a row shows changed on every try to read it at one time."
	}
	return "All rows of a network namespace show one moment where `snapshot_consistent` is 1. Where it is 0, the " +
		"kernel's state changed on every try to read it, and a row may be missing or stale. What cannot be " +
		"read is an error, never an empty answer."
}

// ofColumns says something of the columns for which is holds, nothing if there are none.
func ofColumns(t *tables.Table, is func(tables.ColumnInfo) bool, text string) string {
	var names []string
	for _, c := range t.Columns {
		if is(c) {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	return text + "`" + strings.Join(names, "`, `") + "`."
}

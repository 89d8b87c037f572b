package tables

import (
	"encoding/json"
	"strings"

	"github.com/osquery/osquery-go/plugin/table"
)

// Spec returns the table's specification in osquery's format, as indented JSON.
func (t *Table) Spec() ([]byte, error) {
	columns := make([]table.ColumnDefinition, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = table.ColumnDefinition{
			Name: c.Name, Type: table.ColumnType(c.Type), Description: c.Description,
			Index: c.Options&Index != 0, Additional: c.Options&Additional != 0,
			Optimized: c.Options&Optimized != 0, Hidden: c.Options&Hidden != 0,
		}
	}
	opts := []table.TableOpt{table.WithDescription(t.Description), table.WithPlatforms(table.LinuxPlatform)}
	for _, e := range t.Examples {
		opts = append(opts, table.WithExample(e))
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(table.NewPlugin(t.Name, columns, nil, opts...).Spec())
	return []byte(out.String()), err
}

// Markdown returns the table's columns as a Markdown table, for documentation.
func (t *Table) Markdown() string {
	var b strings.Builder
	b.WriteString("| Column | Type | Description |\n|---|---|---|\n")
	for _, c := range t.Columns {
		b.WriteString("| `" + c.Name + "` | " + string(c.Type) + " | " + strings.ReplaceAll(c.Description, "|", `\|`) + " |\n")
	}
	return b.String()
}

package tables

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// A tableSpec is osquery's specification of a table, with the fields of
// osquery-go's table.OsqueryTableSpec in their order. That package is not used,
// because it brings OpenTelemetry along: a third of the time of every start.
type tableSpec struct {
	Name        string       `json:"name"`
	Description string       `json:"description"`
	URL         string       `json:"url"`
	Platforms   []string     `json:"platforms"`
	Evented     bool         `json:"evented"`
	Cacheable   bool         `json:"cacheable"`
	Examples    []string     `json:"examples,omitempty"`
	Columns     []columnSpec `json:"columns"`
}

type columnSpec struct {
	Name        string `json:"name"`
	Type        string `json:"type"` // in lower case
	Description string `json:"description,omitempty"`
	Index       bool   `json:"index"`
	Required    bool   `json:"required"`
	Additional  bool   `json:"additional"`
	Optimized   bool   `json:"optimized"`
	Hidden      bool   `json:"hidden"`
}

// Spec returns the table's specification in osquery's format, as indented JSON.
func (t *Table) Spec() ([]byte, error) {
	spec := tableSpec{Name: t.Name, Description: t.Description, Platforms: []string{"linux"}}
	for _, e := range t.Examples {
		spec.Examples = append(spec.Examples, e.SQL)
	}
	for _, c := range t.Columns {
		spec.Columns = append(spec.Columns, columnSpec{
			Name: c.Name, Type: strings.ToLower(string(c.Type)), Description: c.Description,
			Index: c.Options&Index != 0, Required: c.Options&Required != 0, Additional: c.Options&Additional != 0,
			Optimized: c.Options&Optimized != 0, Hidden: c.Options&Hidden != 0,
		})
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(spec)
	return out.Bytes(), err
}

// oldestLinux is the first that programs of Go run on.
const oldestLinux = "3.2"

// Markdown returns the table's columns as a Markdown table, for documentation, hidden ones last. The
// source is below the description: in a column of its own the kernel's long constants, which are not
// broken, would leave the descriptions no room.
func (t *Table) Markdown() string {
	var b strings.Builder
	b.WriteString("Minimum kernel is the first Linux that tells the values, " + oldestLinux +
		" where the oldest that this\nprogram runs on does. Source is where they come from, in the kernel's " +
		"words.\n\n" +
		"| Column | Type | Unit | Minimum kernel | Description and source |\n|---|---|---|---|---|\n")
	hidden := func(c ColumnInfo) int { return int(c.Options & Hidden) }
	columns := slices.Clone(t.Columns)
	slices.SortStableFunc(columns, func(a, b ColumnInfo) int { return cmp.Compare(hidden(a), hidden(b)) })
	for _, c := range columns {
		typ := string(c.Type)
		if c.Options&Required != 0 {
			typ += ", required"
		}
		if c.Options&Hidden != 0 {
			typ += ", hidden"
		}
		description := strings.Replace(c.Description, sinceLinux(c.Since), "", 1) // that has a column here
		cells := []string{"`" + c.Name + "`", typ, c.Unit, cmp.Or(c.Since, oldestLinux),
			markdownText(description) + "<br>Source: " + markdownText(c.Source)}
		b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	return b.String()
}

// markdownText returns text for a cell of a Markdown table, in which a * is no emphasis.
func markdownText(s string) string { return strings.NewReplacer("|", `\|`, "*", `\*`).Replace(s) }

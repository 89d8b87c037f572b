package schema

import (
	"errors"
	"fmt"
	"strings"

	"kernelroutes/tables"
)

// width is that of the lines of a page.
const width = 110

// Files returns Fleet's page of each table, by the path below schema/.
func Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, t := range tables.All() {
		page, err := File(t)
		if err != nil {
			return nil, err
		}
		files["tables/"+t.Name+".yml"] = page
	}
	return files, nil
}

// File returns Fleet's page of a table: YAML, whose texts are blocks that a person can read.
func File(t *tables.Table) ([]byte, error) {
	w := new(writer)
	w.line("# Fleet's page of the table, made from its declaration by go run ./schema/generate.")
	w.line("name: " + t.Name)
	w.line("platforms:")
	w.line("  - linux")
	w.folded("", "description", t.Description)
	w.line("evented: false")
	w.literal("notes", notes(t))
	w.literal("examples", examples(t))
	w.line("columns:")
	for _, c := range t.Columns {
		w.line("  - name: " + c.Name)
		w.line("    type: " + strings.ToLower(string(c.Type)))
		w.line(fmt.Sprint("    required: ", c.Options&tables.Required != 0))
		w.line(fmt.Sprint("    hidden: ", c.Options&tables.Hidden != 0))
		w.folded("    ", "description", c.Description)
	}
	if w.errs != nil {
		return nil, fmt.Errorf("make Fleet's page of %s: %w", t.Name, errors.Join(w.errs...))
	}
	return []byte(w.String()), nil
}

// A writer writes YAML.
type writer struct {
	strings.Builder
	errs []error
}

func (w *writer) line(s string) { w.WriteString(s + "\n") }

// folded writes a text of one line as a block, whose line breaks are spaces when it is read.
func (w *writer) folded(indent, key, text string) {
	if strings.Join(strings.Fields(text), " ") != text || text == "" {
		w.errs = append(w.errs, fmt.Errorf("%s %q: it is empty, or has white space that would be lost", key, text))
	}
	w.line(indent + key + ": >-")
	for _, line := range wrap(text, width-len(indent)-2) {
		w.line(indent + "  " + line)
	}
}

// literal writes lines as a block, which are the same when they are read.
func (w *writer) literal(key string, lines []string) {
	if len(lines) == 0 {
		w.errs = append(w.errs, fmt.Errorf("no %s", key))
		return
	}
	w.line(key + ": |-")
	for _, line := range lines {
		if line != "" {
			line = "  " + line
		}
		w.line(line)
	}
}

// wrap breaks a text into lines at its spaces.
func wrap(text string, width int) (lines []string) {
	for _, word := range strings.Fields(text) {
		last := len(lines) - 1
		if last >= 0 && len(lines[last])+1+len(word) <= width {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// examples returns the table's examples as Markdown: a sentence and a statement each.
func examples(t *tables.Table) (lines []string) {
	for _, e := range t.Examples {
		if len(lines) > 0 {
			lines = append(lines, "")
		}
		lines = append(lines, wrap(e.Shows, width-2)...)
		lines = append(lines, "", "```sql")
		lines = append(lines, statement(e.SQL)...)
		lines = append(lines, "```")
	}
	return lines
}

// statement breaks a statement that is too long for a line before what its clauses begin with.
func statement(sql string) []string {
	sql += ";"
	if len(sql) <= width-2 {
		return []string{sql}
	}
	for _, clause := range []string{"FROM", "JOIN", "WHERE", "GROUP BY", "HAVING", "ORDER BY"} {
		sql = strings.ReplaceAll(sql, " "+clause+" ", "\n"+clause+" ")
	}
	return strings.Split(sql, "\n")
}

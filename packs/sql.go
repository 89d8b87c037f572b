package packs

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// used returns the definitions that a query selects from, each after those that it uses.
func used(query string, defs []*definition) (with []*definition) {
	names := selected(plain(query))
	for _, d := range defs {
		if !names[d.name] {
			continue
		}
		for _, u := range slices.Concat(d.needs(defs), []*definition{d}) {
			if !slices.Contains(with, u) {
				with = append(with, u)
			}
		}
	}
	return with
}

// needs returns what a part selects from.
func (d *definition) needs(defs []*definition) []*definition {
	if d.list == nil && d.uses == nil {
		d.uses = used(d.sql, slices.DeleteFunc(slices.Clone(defs), func(o *definition) bool { return o == d }))
	}
	return d.uses
}

// selection finds a table that a query selects from.
var selection = regexp.MustCompile(`(?i)\b(?:FROM|JOIN|IN)\s+(\w+)`)

// selected returns the tables that a query selects from, in lower case.
func selected(query string) map[string]bool {
	names := map[string]bool{}
	for _, m := range selection.FindAllStringSubmatch(query, -1) {
		names[strings.ToLower(m[1])] = true
	}
	return names
}

// sql defines the list as a table of SQL.
func (l *List) sql(file string) (string, error) {
	switch {
	case l.Name != file:
		return "", fmt.Errorf("its name is %q, that of its file %q; give both the same", l.Name, file)
	case l.What == "" || len(l.Columns) == 0:
		return "", errors.New("what and columns must be there")
	}
	head := comment("List "+l.Name+": "+l.What) + fmt.Sprintf("%s(%s) AS (", l.Name, strings.Join(l.Columns, ", "))
	if len(l.Rows) == 0 {
		return head + "SELECT " + strings.Repeat("NULL, ", len(l.Columns)-1) + "NULL WHERE 0)", nil
	}
	var rows []string
	for n, row := range l.Rows {
		if len(row) != len(l.Columns) {
			return "", fmt.Errorf("row %d has %d values, not %d", n+1, len(row), len(l.Columns))
		}
		var values []string
		for _, v := range row {
			switch v := v.(type) {
			case string:
				values = append(values, "'"+strings.ReplaceAll(v, "'", "''")+"'")
			case int, int64, uint64: // what it takes, which depends on the processor
				values = append(values, fmt.Sprint(v))
			default:
				return "", fmt.Errorf("row %d has %v, which is neither a text nor a whole number", n+1, v)
			}
		}
		rows = append(rows, "("+strings.Join(values, ", ")+")")
	}
	return head + "VALUES\n  " + strings.Join(rows, ",\n  ") + ")", nil
}

// comment returns a text as lines of comment.
func comment(text string) string {
	const width = 96
	var out, line strings.Builder
	for word := range strings.FieldsSeq(text) {
		if line.Len()+1+len(word) > width {
			out.WriteString("--" + line.String() + "\n")
			line.Reset()
		}
		line.WriteString(" " + word)
	}
	return out.String() + "--" + line.String() + "\n"
}

// SQL is the check's whole statement, without a semicolon, with what it selects from, and with
// comments. There is no row where all is well, if it is a check of a policy.
func (c *Check) SQL() string {
	query := strings.TrimSpace(c.Query)
	if len(c.with) == 0 {
		return query
	}
	var defs []string
	for _, d := range c.with {
		defs = append(defs, d.sql)
	}
	head := "WITH " + strings.Join(defs, ",\n")
	if own := ownTables.FindString(query); own != "" {
		return head + ",\n" + query[len(own):]
	}
	return head + "\n" + query
}

// PolicySQL is a statement that has one row on a host that passes, and none on another.
func (c *Check) PolicySQL() string {
	return "SELECT 1 WHERE NOT EXISTS (\n" + indent(c.SQL()) + "\n)"
}

// ownTables is how a query begins that has tables of its own.
var ownTables = regexp.MustCompile(`^WITH\s+`)

func indent(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = "  " + l
		}
	}
	return strings.Join(lines, "\n")
}

// token finds what is apart in SQL: a text, a name in quotes, a comment, white space.
var token = regexp.MustCompile(`'(?:[^']|'')*'|"[^"]*"|--[^\n]*|\s+`)

// quoted finds texts and names in quotes.
var quoted = regexp.MustCompile(`'(?:[^']|'')*'|"[^"]*"`)

// plain returns a statement without comments.
func plain(sql string) string {
	return token.ReplaceAllStringFunc(sql, func(s string) string {
		if strings.HasPrefix(s, "--") {
			return ""
		}
		return s
	})
}

// flat returns a text of English on one line.
func flat(text string) string { return strings.Join(strings.Fields(text), " ") }

// oneLine returns a statement on one line, without comments: osquery's configuration is JSON,
// in which a text cannot go over several lines.
func oneLine(sql string) string {
	sql = token.ReplaceAllStringFunc(plain(sql), func(s string) string {
		if s[0] == '\'' || s[0] == '"' {
			return s
		}
		return " "
	})
	return strings.ReplaceAll(strings.ReplaceAll(strings.TrimSpace(sql), "( ", "("), " )", ")")
}

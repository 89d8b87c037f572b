package osquerytest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ncruces/go-sqlite3"
)

// A Term is a term of WHERE that compares a column with a value; with several, it is IN.
type Term struct {
	Column string
	Values []string
}

// Is is the term column = value, or column IN (values).
func Is(column string, values ...string) Term { return Term{column, values} }

// Select asks a table as osquery does for SELECT selected FROM table WHERE terms, all of
// which hold; nothing selected is *, which leaves hidden columns out. It returns the rows of
// all requests that this comes to, as they are before SQLite filters them. The error is
// osquery's or the table's.
func (m *Manager) Select(ctx context.Context, table string, selected []string, where ...Term) (
	rows []map[string]string, err error) {
	r, err := m.Run(ctx, selectSQL(table, selected, where))
	if err != nil {
		return nil, err
	}
	for _, q := range r.Requests {
		rows = append(rows, q.Rows...)
	}
	return rows, nil
}

func selectSQL(table string, selected []string, where []Term) string {
	columns := "*"
	if selected != nil {
		var quoted []string
		for _, c := range selected {
			quoted = append(quoted, sqlite3.QuoteIdentifier(c))
		}
		columns = strings.Join(quoted, ", ")
	}
	sql := fmt.Sprintf("SELECT %s FROM %s", columns, sqlite3.QuoteIdentifier(table))
	for i, t := range where {
		var values []string
		for _, v := range t.Values {
			values = append(values, sqlite3.Quote(v))
		}
		sql += []string{" WHERE ", " AND "}[min(i, 1)] + sqlite3.QuoteIdentifier(t.Column)
		if values = slices.Compact(values); len(values) == 1 {
			sql += " = " + values[0]
		} else {
			sql += " IN (" + strings.Join(values, ", ") + ")"
		}
	}
	return sql
}

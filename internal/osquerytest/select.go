package osquerytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/osquery/osquery-go/gen/osquery"
)

// A Term is a term of WHERE that compares a column with a value; with several, it is IN.
type Term struct {
	Column string
	Op     int // 2 =, 4 >, 8 <=, 16 <, 32 >=, 65 LIKE, 68 <>
	Values []string
}

// Is is the term column = value, or column IN (values).
func Is(column string, values ...string) Term { return Term{column, equals, values} }

const equals = 2

// osquery's ColumnOptions (core/sql/column.h).
const (
	index      = 1
	required   = 2
	additional = 4
	optimized  = 8
	hidden     = 16
)

// A column is one as an extension has registered it.
type column struct {
	name, affinity string
	options        int
}

func readColumns(registered osquery.ExtensionPluginResponse) (columns []column) {
	for _, c := range registered {
		if c["id"] == "column" {
			options, _ := strconv.Atoi(c["op"])
			if options == 0 {
				options = index // extensions_default_index
			}
			columns = append(columns, column{c["name"], c["type"], options})
		}
	}
	return columns
}

// sends reports whether osquery tells a table of a term (xBestIndex): not of the order of
// texts, and not of columns without an option that says so. A column that is only hidden, or
// only optimized, is such a one.
func (c column) sends(t Term) bool {
	ordered := t.Op == 4 || t.Op == 8 || t.Op == 16 || t.Op == 32
	return !(ordered && c.affinity == "TEXT") && c.options&(required|index|additional) != 0
}

// Select asks a table as osquery does for SELECT selected FROM table WHERE terms, all of
// which hold; nothing selected is *, which leaves hidden columns out. It returns the rows of
// all requests that this comes to, as they are before SQLite filters them. The error is
// osquery's or the table's.
func (m *Manager) Select(ctx context.Context, table string, selected []string, where ...Term) (
	rows []map[string]string, err error) {
	m.mu.Lock()
	var columns []column
	for _, e := range m.extensions {
		columns = append(columns, readColumns(e.registry["table"][table])...)
	}
	m.mu.Unlock()
	contexts, err := contexts(table, columns, selected, where)
	if err != nil {
		return nil, err
	}
	for _, c := range contexts {
		r, err := m.Call(ctx, table, map[string]string{"action": "generate", "context": c})
		if err != nil {
			return nil, err
		}
		if r.Status.Code != 0 {
			return nil, errors.New(r.Status.Message)
		}
		rows = append(rows, r.Response...)
	}
	return rows, nil
}

// contexts returns the requests of a SELECT: several for the values of IN, if the column is
// not optimized (xFilter is called for each).
func contexts(table string, columns []column, selected []string, where []Term) ([]string, error) {
	used := slices.Clone(selected)
	for _, c := range columns {
		if selected == nil && c.options&hidden == 0 {
			used = append(used, c.name)
		}
	}
	satisfied := !slices.ContainsFunc(columns, func(c column) bool { return c.options&required != 0 })
	sent := []map[string][]constraint{{}}
	for _, t := range where {
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == t.Column })
		if i < 0 {
			return nil, fmt.Errorf("no such column: %s", t.Column)
		}
		if !slices.Contains(used, t.Column) {
			used = append(used, t.Column)
		}
		if !columns[i].sends(t) {
			continue
		}
		// Any term on any of the required columns is enough, whatever its value.
		satisfied = satisfied || columns[i].options&required != 0
		values := slices.Compact(slices.Sorted(slices.Values(t.Values))) // as SQLite has them
		var all []constraint
		for _, v := range values {
			all = append(all, constraint{t.Op, v})
		}
		together := len(values) > 1 && columns[i].options&optimized != 0
		var next []map[string][]constraint
		for _, s := range sent {
			if together {
				next = append(next, with(s, t.Column, all))
				continue
			}
			for _, c := range all {
				if c.Expr == "" { // osquery does not send it
					next = append(next, s)
				} else {
					next = append(next, with(s, t.Column, []constraint{c}))
				}
			}
		}
		sent = next
	}
	if !satisfied {
		//lint:ignore ST1005 the words are osquery's
		return nil, fmt.Errorf("Table %s was queried without a required column in the WHERE clause", table)
	}
	var texts []string
	for _, s := range sent {
		text, err := contextText(columns, s, used)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// with returns a copy of what is sent, with more on one column.
func with(sent map[string][]constraint, column string, more []constraint) map[string][]constraint {
	s := map[string][]constraint{}
	for name, list := range sent {
		s[name] = list
	}
	s[column] = slices.Concat(s[column], more)
	return s
}

type constraint struct {
	Op   int    `json:"op"`
	Expr string `json:"expr"`
}

type columnConstraints struct {
	Name     string       `json:"name"`
	List     []constraint `json:"list"`
	Affinity string       `json:"affinity"`
}

// contextText is the JSON of a request: the columns are sorted by name.
func contextText(columns []column, sent map[string][]constraint, used []string) (string, error) {
	var c struct {
		Constraints []columnConstraints `json:"constraints"`
		ColsUsed    []string            `json:"colsUsed"`
		Bits        uint64              `json:"colsUsedBitset"`
	}
	c.ColsUsed = append([]string{}, used...)
	for i, col := range columns {
		list := append([]constraint{}, sent[col.name]...)
		c.Constraints = append(c.Constraints, columnConstraints{col.name, list, col.affinity})
		if slices.Contains(used, col.name) {
			c.Bits |= 1 << min(i, 63)
		}
	}
	slices.SortFunc(c.Constraints, func(a, b columnConstraints) int { return strings.Compare(a.Name, b.Name) })
	text, err := json.Marshal(c)
	return string(text), err
}

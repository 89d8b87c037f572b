package osquerytest

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPlannedAsOlder compares requests with those that SQLite of osquery's age sent for the same
// tables and statements: see testdata/planner.c.
func TestPlannedAsOlder(t *testing.T) {
	text, err := os.ReadFile("testdata/planned.txt")
	if err != nil {
		t.Fatal(err)
	}
	var extension []*fakeTable
	var own []*table
	schemas := map[string]string{}
	var statements [][]string // each with what it comes to
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		kind, rest, _ := strings.Cut(line, " ")
		switch kind {
		case "", "#":
		case "extension":
			extension, own = append(extension, &fakeTable{name: rest}), append(own, &table{name: rest, extension: true})
		case "table":
			own = append(own, &table{name: rest})
		case "column":
			f := strings.Fields(rest)
			options, err := strconv.Atoi(f[2])
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			last := own[len(own)-1]
			last.columns = append(last.columns, column{f[0], f[1], options, false})
		case "row":
			last, row := own[len(own)-1], map[string]string{}
			for i, cell := range strings.Split(rest, "|") {
				row[last.columns[i].name] = cell
			}
			last.rows = append(last.rows, row)
		case "CREATE":
			schemas[own[len(own)-1].name] = line
		default:
			if line[0] != '\t' {
				statements = append(statements, nil)
			}
			statements[len(statements)-1] = append(statements[len(statements)-1], line)
		}
	}
	for i, f := range extension {
		f.columns, f.rows = own[i].columns, own[i].rows
	}
	m := fakeExtension(t, extension...)
	m.own = own[len(extension):]
	compareSchemas(t, m, schemas)
	if len(statements) < 100 {
		t.Errorf("only %d statements", len(statements))
	}
	for _, s := range statements {
		sql, differs := strings.CutPrefix(s[0], "?")
		if got := cameTo(t, m, sql); slices.Equal(got, s[1:]) == differs {
			t.Errorf("%s\n%s\nwant %s", s[0], strings.Join(got, "\n"), strings.Join(s[1:], "\n"))
		}
	}
}

// compareSchemas compares how tables are declared.
func compareSchemas(t *testing.T, m *Manager, want map[string]string) {
	t.Helper()
	all := slices.Clone(m.own)
	for _, e := range m.extensions {
		for name, registered := range e.registry["table"] {
			all = append(all, &table{name: name, columns: readColumns(registered), extension: true})
		}
	}
	for _, table := range all {
		if got := table.schema(); got != want[table.name] {
			t.Errorf("%s, want %s", got, want[table.name])
		}
	}
	if len(all) != len(want) {
		t.Errorf("%d tables, want %d", len(all), len(want))
	}
}

// cameTo is what a statement comes to, as planner.c writes it.
func cameTo(t *testing.T, m *Manager, sql string) (lines []string) {
	t.Helper()
	r, err := m.Run(timeLimit(t), sql)
	for _, q := range r.Requests {
		var c struct {
			Constraints []columnConstraints
			Bits        uint64 `json:"colsUsedBitset"`
		}
		if err := json.Unmarshal([]byte(q.Context), &c); err != nil {
			t.Fatal(err)
		}
		line := fmt.Sprintf("\t%s %x", q.Table, c.Bits)
		for _, e := range m.extensions {
			for _, registered := range readColumns(e.registry["table"][q.Table]) {
				for _, col := range c.Constraints {
					for _, item := range col.List {
						if col.Name == registered.name {
							line += fmt.Sprintf(" [%s %d %s]", col.Name, item.Op, item.Expr)
						}
					}
				}
			}
		}
		lines = append(lines, line)
	}
	if err != nil {
		return append(lines, "\t"+err.Error())
	}
	return append(lines, fmt.Sprintf("\t%d rows", len(r.Rows)))
}

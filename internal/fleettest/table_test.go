package fleettest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const page = `name: kernel_widgets
platforms:
  - linux
description: >-
  Widgets of the kernel.
evented: false
notes: |-
  - None.
examples: |-
  All of them.

  ` + "```sql" + `
  SELECT * FROM kernel_widgets;
  ` + "```" + `
columns:
  - name: widget_id
    type: bigint
    required: true
    description: "Number: of the widget"
  - name: name
    type: text
    required: false
    hidden: true
    platforms: [linux]
    description: Name of the widget
`

// TestTable sees that a page which is right passes, and that a change in one place is found where it is.
func TestTable(t *testing.T) {
	if err := CheckTable("tables/kernel_widgets.yml", []byte(page)); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, file, old, new, want string }{
		{"another file", "a.yml", "", "", "a.yml: the page of kernel_widgets is kernel_widgets.yml"},
		{"another extension", "kernel_widgets.yaml", "", "", "reads no files but *.yml"},
		{"no name", "", "name: kernel_widgets\n", "", "missing property 'name'"},
		{"a name that is none", "", "name: kernel_widgets", "name: 7",
			"kernel_widgets.yml:1: name: got number, want string"},
		{"no description", "", "description: >-\n  Widgets of the kernel.\n", "", "missing property 'description'"},
		{"an empty description", "", "  Widgets of the kernel.\n", "\n", "kernel_widgets.yml:4: description"},
		{"no platforms", "", "platforms:\n  - linux\n", "", "missing property 'platforms'"},
		{"a platform that is no list", "", "platforms:\n  - linux\n", "platforms: linux\n",
			"platforms: got string, want array"},
		{"a platform of no osquery", "", "  - linux", "  - ubuntu",
			"kernel_widgets.yml:3: platforms.0: value must be one of"},
		{"not evented or not", "", "evented: false\n", "", "missing property 'evented'"},
		{"evented in words", "", "evented: false", `evented: "false"`, "evented: got string, want boolean"},
		{"notes that are a list", "", "notes: |-\n  - None.", "notes:\n  - None.", "notes: got array, want string"},
		{"examples that are a list", "", "examples: |-\n  All of them.\n", "examples:\n  - All of them.\nx: |\n",
			"examples: got array, want string"},
		{"an unknown key", "", "notes:", "note:", "additional properties 'note' not allowed"},
		{"an unknown key of a column", "", "hidden: true", "secret: true", "columns.1: additional properties 'secret'"},
		{"a column without a name", "", "  - name: name\n    type", "  - type", "columns.1: missing property 'name'"},
		{"a column without a type", "", "    type: text\n", "", "columns.1: missing property 'type'"},
		{"a type in upper case", "", "type: text", "type: TEXT", "columns.1.type: value must be one of"},
		{"a column without a description", "", "    description: Name of the widget\n", "",
			"columns.1: missing property 'description'"},
		{"a description of two lines", "", "description: Name of the widget",
			"description: |-\n      Name\n      of it",
			"columns.1.description"},
		{"a column that may be required or not", "", "    required: false\n", "",
			"columns.1: missing property 'required'"},
		{"required in words", "", "required: true", `required: "true"`, "kernel_widgets.yml:18: columns.0.required"},
		{"hidden in words", "", "hidden: true", `hidden: "yes"`, "columns.1.hidden: got string, want boolean"},
		{"a column's platform that is no list", "", "platforms: [linux]", "platforms: linux",
			"columns.1.platforms: got string"},
		{"four platforms of a column", "", "[linux]", "[linux, darwin, windows, chrome]",
			"columns.1.platforms: maxItems"},
		{"a column twice", "", "name: name", "name: widget_id", "column widget_id is there twice"},
		{"a key twice", "", "evented: false", "evented: false\nevented: true", `mapping key "evented" already defined`},
		{"two documents", "", "evented: false", "evented: false\n---\nname: b", "more than one document"},
		{"no YAML", "", "evented: false", "evented: [", "no YAML"},
		{"no columns", "", page[strings.Index(page, "columns:"):], "columns: []\n", "columns: minItems"},
		{"nothing", "", page, "", "no YAML: EOF"},
		{"a list", "", page, "- name: a\n", "got array, want object"},
	} {
		file := test.file
		if file == "" {
			file = "kernel_widgets.yml"
		}
		text := strings.Replace(page, test.old, test.new, 1)
		if test.old != "" && text == page {
			t.Errorf("%s: nothing to change", test.name)
		}
		err := CheckTable(file, []byte(text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v\nwanted: %s", test.name, err, test.want)
		}
	}
}

// TestValidateTable sees that files are read, and that one which is not there is told of.
func TestValidateTable(t *testing.T) {
	dir := t.TempDir()
	right, wrong := filepath.Join(dir, "kernel_widgets.yml"), filepath.Join(dir, "b.yml")
	for _, file := range []string{right, wrong} {
		if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ValidateTable(t, right)
	told := &teller{TB: t}
	ValidateTable(told, wrong, filepath.Join(dir, "none.yml"))
	if told.errors != 2 {
		t.Errorf("%d errors, not 2", told.errors)
	}
}

// A teller counts errors, where they are meant.
type teller struct {
	testing.TB
	errors int
}

func (t *teller) Helper()               {}
func (t *teller) Error(...any)          { t.errors++ }
func (t *teller) Errorf(string, ...any) { t.errors++ }

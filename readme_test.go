package main

import (
	"os"
	"strings"
	"testing"

	"kernelroutes/tables"
)

// TestReadme runs the commands that README.md shows in its console blocks, in the
// fixed namespace, and compares the columns that it lists with the tables'. With
// -update it writes both.
func TestReadme(t *testing.T) {
	fixedNamespace(t)
	old, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	console, table := false, false
	for line := range strings.Lines(string(old)) {
		line = strings.TrimSuffix(line, "\n")
		name, isTable := strings.CutPrefix(line, "<!-- columns of ")
		switch {
		case line == "```console":
			console = true
		case line == "```":
			console = false
		case console && !strings.HasPrefix(line, "$ "):
			continue // output: written anew
		case table && (line == "" || strings.HasPrefix(line, "|")):
			continue
		case table:
			text.WriteString("\n")
		}
		table = isTable
		text.WriteString(line + "\n")
		switch {
		case console && strings.HasPrefix(line, "$ "):
			text.WriteString(run(t, "", arguments(t, line)...))
		case isTable:
			text.WriteString(columns(t, strings.TrimSuffix(name, " -->")))
		}
	}
	golden(t, "README.md", text.String())
}

// columns returns the documentation of a table's columns.
func columns(t *testing.T, name string) string {
	for _, table := range tables.All() {
		if table.Name == name {
			return "\n" + table.Markdown()
		}
	}
	t.Fatalf("README.md: no such table: %s", name)
	return ""
}

// arguments splits a command line; only double quotes mean something.
func arguments(t *testing.T, line string) []string {
	line, ok := strings.CutPrefix(line, "$ "+program+" ")
	if !ok {
		t.Fatalf("README.md: not a command of %s: %s", program, line)
	}
	var args []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	return args
}

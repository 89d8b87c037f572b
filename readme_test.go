package main

import (
	"os"
	"strings"
	"testing"

	"kernelroutes/tables"
)

// TestReadme runs the commands that README.md shows in its console blocks, in the
// fixed namespace, and compares the tables that it lists, and their columns, with what
// there is. With -update it writes both.
func TestReadme(t *testing.T) {
	fixedNamespace(t)
	old, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	console, listed := false, false
	for line := range strings.Lines(string(old)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case line == "```console":
			console = true
		case line == "```":
			console = false
		case console && !strings.HasPrefix(line, "$ "):
			continue // output: written anew
		case strings.HasPrefix(line, "## "):
			listed = line == "## Columns"
		case listed:
			continue
		}
		text.WriteString(line + "\n")
		switch {
		case console && strings.HasPrefix(line, "$ "):
			text.WriteString(run(t, "", arguments(t, line)...))
		case line == "## Columns":
			for _, table := range tables.All() {
				text.WriteString("\n### " + table.Name + "\n\n" + table.Markdown())
			}
			text.WriteString("\n")
		}
	}
	golden(t, "README.md", text.String())
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

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"kernelroutes/tables"
)

// standIns are used for programs in examples that are not this one, so that what
// these are given is tried too: osqueryi's SQL, the capture for tshark, the command on another host.
var standIns = map[string]string{
	"osqueryi": `#!/bin/sh
for sql; do :; done
exec kernel_routes.ext query "$sql"
`,
	"tshark": `#!/bin/sh
cat > tshark.pcap && exec kernel_routes.ext query --from tshark.pcap "SELECT * FROM kernel_routes"
`,
	"ssh": `#!/bin/sh
shift && exec "$@"
`,
	"go": `#!/bin/sh
[ "$1 $2" = "run ." ] && shift 2 && exec kernel_routes.ext "$@"
`,
}

// exampleShell returns a function that runs a command line as a user would, in a
// folder of its own on the host that fixedNamespace makes. Each line has to print
// something, and nothing on standard error.
func exampleShell(t *testing.T) func(line string) {
	fixedNamespace(t)
	dir := t.TempDir()
	for name, script := range standIns {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	path := dir + ":" + filepath.Dir(binary(t)) + ":" + os.Getenv("PATH")
	return func(line string) {
		t.Helper()
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "PATH="+path)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil || errs.Len() > 0 {
			t.Errorf("%s: %v, %s", line, err, &errs)
		}
		if strings.Contains(line, " > ") || strings.Contains(line, " capture ") && !strings.Contains(line, "|") {
			return // it prints nothing: what it does is write a file
		}
		if strings.TrimSpace(out.String()) == "" {
			t.Errorf("%s: prints nothing", line)
		}
	}
}

// TestHelpExamples runs every example of every command's help.
func TestHelpExamples(t *testing.T) {
	run := exampleShell(t)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			run(strings.TrimSpace(line))
		}
		if cmd.Example == "" && cmd.Run != nil {
			t.Errorf("%s: no example", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}
	visit(rootCommand(new(extensionFlags)))
}

// TestReadmeCommands runs the commands in README.md's blocks for a shell that ask
// the tables. TestReadme runs those whose output is shown.
func TestReadmeCommands(t *testing.T) {
	run := exampleShell(t)
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	asks := regexp.MustCompile(`\b(osqueryi|query|routes|capture)\b.*`)
	commands := 0
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", " ")) {
			if line = strings.TrimSpace(line); asks.MatchString(line) && strings.Contains(line, `"`) {
				run(line)
				commands++
			}
		}
	}
	if commands < 2 {
		t.Errorf("%d commands", commands)
	}
}

// TestSpecExamples runs every example of every table's specification.
func TestSpecExamples(t *testing.T) {
	run := exampleShell(t)
	for _, table := range tables.All() {
		for _, sql := range table.Examples {
			if strings.ContainsAny(sql, "\"$`\\") {
				t.Errorf("cannot be quoted for a shell: %s", sql)
			}
			run(program + ` query "` + sql + `"`)
		}
	}
}

package command

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/ptytest"
	"kernelroutes/tables"
)

// exampleNames are the names of the program: that of the link which a package makes, and that which
// osquery demands.
var exampleNames = []string{"kernel-routes", "kernel_routes.ext"}

// standIns are used for programs in examples that are not this one, so that what
// these are given is tried too: osqueryi's SQL, the capture for tshark, the command on another host.
var standIns = map[string]string{
	"osqueryi": `#!/bin/sh
for sql; do
	case $sql in
	--extension) ;;
	./kernel_routes.ext) loaded=1 ;;
	--extensions_require=kernel_routes | --json | --csv | --line | --list) ;;
	-*) echo "osqueryi is given $sql, which nobody has looked up" >&2; exit 1 ;;
	esac
done
[ -n "$loaded" ] || { echo "osqueryi is not told of the extension" >&2; exit 1; }
exec kernel_routes.ext query "$(cat osquery.sql) $sql"
`,
	"tshark": `#!/bin/sh
cat > tshark.pcap && exec kernel_routes.ext query --from tshark.pcap "SELECT * FROM kernel_routes"
`,
	"ssh": `#!/bin/sh
shift && exec "$@"
`,
	"sudo": `#!/bin/sh
exec "$@"
`,
	"go": `#!/bin/sh
[ "$1 $2" = "run ." ] && shift 2 && exec kernel_routes.ext "$@"
`,
	"osquery.sql": osqueryTables,
}

// A shellHost is the host that fixedNamespace makes, with a shell in a folder of its own, which
// knows the program by both of its names.
type shellHost struct{ dir, path string }

func exampleShell(t *testing.T) *shellHost {
	fixedNamespace(t)
	dir := t.TempDir()
	for name, script := range standIns {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range exampleNames {
		if err := os.Symlink(binary(t), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	h := &shellHost{dir, dir + ":" + os.Getenv("PATH")}
	h.captures(t)
	return h
}

// captures makes the captures that examples compare: of the host, and of what it was for a moment.
func (h *shellHost) captures(t *testing.T) {
	t.Helper()
	h.run(t, "kernel-routes capture before.pcap")
	const (
		route = "route change default via %s dev eth0 proto dhcp src 192.0.2.10 metric 100"
		hole  = "route %s blackhole 198.51.100.0/24 proto static"
		added = "route %s 203.0.113.0/24 via 192.0.2.66 dev eth0 proto static"
	)
	change := func(gateway, hidden, new string) {
		nstest.Batch(t, "-4", fmt.Sprintf(route, gateway), fmt.Sprintf(hole, hidden), fmt.Sprintf(added, new))
	}
	change("192.0.2.66", "del", "add")
	h.run(t, "kernel-routes capture after.pcap")
	change("192.0.2.1", "add", "del")
	if said := h.shown(t, "captures", "kernel-routes diff before.pcap"); !strings.HasPrefix(said, "no differences") {
		t.Fatalf("the host is not what it was: %s", said)
	}
}

// followTime is how long an example follows changes, which nobody waits for here.
var followTime = regexp.MustCompile(`( --follow )\w+`)

// command returns a command line for a shell of the host.
func (h *shellHost) command(line string) *exec.Cmd {
	line = followTime.ReplaceAllString(line, "${1}1")
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir, cmd.Env = h.dir, append(os.Environ(), "PATH="+h.path)
	return cmd
}

// run runs a command line as a user would. It has to print something, and nothing on standard error.
func (h *shellHost) run(t *testing.T, line string) {
	t.Helper()
	cmd := h.command(line)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil || errs.Len() > 0 {
		t.Errorf("%s: %v, %s", line, err, &errs)
	}
	if strings.Contains(line, " capture ") && !strings.Contains(line, "|") || parse(line).redirected {
		return // it prints nothing
	}
	if strings.TrimSpace(out.String()) == "" {
		t.Errorf("%s: prints nothing", line)
	}
}

// shown returns what a terminal shows of a command, which succeeds.
func (h *shellHost) shown(t *testing.T, place, line string) string {
	t.Helper()
	out, err := h.command(line).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %s: %v\n%s", place, line, err, out)
	}
	return string(out)
}

// atPromptOf returns what is typed at a prompt of query in a line of a document, with its end; "": the line is no
// such one.
func atPromptOf(line string) string {
	for _, prompt := range []string{"routes> ", "   ...> "} {
		if typed, found := strings.CutPrefix(line, prompt); found {
			return typed
		}
	}
	return ""
}

// session returns what a terminal shows of a session at query's prompt, from the first prompt on. A dumb terminal
// shows what is typed, and nothing else that moves.
func (h *shellHost) session(t *testing.T, place string, lines []string) string {
	t.Helper()
	cmd := h.command("exec kernel-routes query")
	cmd.Env = append(cmd.Env, "TERM=dumb")
	x := ptytest.Start(t, ptytest.Size{Rows: 50, Columns: 95}, cmd)
	at := 0
	for _, line := range lines {
		for _, text := range []string{"> ", strings.TrimSuffix(line, "\n")} {
			if text != "> " {
				x.Type(line)
			}
			since, _ := x.WaitFor(at, text)
			at += strings.Index(since, text) + len(text)
		}
	}
	if status := x.Wait(); status != exitOK {
		t.Errorf("%s: exit status %d; does the session end with .quit?", place, status)
	}
	_, shown, _ := strings.Cut("\n"+x.Written(), "\nroutes> ")
	return "routes> " + shown
}

// TestHelpExamples runs every example of every command's help.
func TestHelpExamples(t *testing.T) {
	sh := exampleShell(t)
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			if line = strings.TrimSpace(line); monitors.MatchString(line) {
				sh.watch(t, line) // which does not end by itself
			} else {
				sh.run(t, line)
			}
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

// TestSpecExamples runs every example of every table's specification.
func TestSpecExamples(t *testing.T) {
	sh := exampleShell(t)
	for _, table := range tables.All() {
		if table == tables.Events {
			continue // a command has not listened: TestEventExamples of shell runs them
		}
		for _, e := range table.Examples {
			sql := e.SQL
			if strings.ContainsAny(sql, "\"$`\\") {
				t.Errorf("cannot be quoted for a shell: %s", sql)
			}
			sh.run(t, `kernel_routes.ext query "`+sql+`"`)
		}
	}
}

package command

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"kernelroutes/internal/ptytest"
	"kernelroutes/shell/iptext"
)

// inTerminal starts the program in a terminal of so many columns, with variables of the environment.
func inTerminal(t *testing.T, columns uint16, env []string, args ...string) *ptytest.Terminal {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	cmd.Env = append(terminalEnv(), env...)
	return ptytest.Start(t, ptytest.Size{Rows: 24, Columns: columns}, cmd)
}

// terminalEnv is an environment in which nothing is said of terminals but that they know colors.
func terminalEnv() []string {
	var env []string
	for _, v := range os.Environ() {
		switch name, _, _ := strings.Cut(v, "="); name {
		case "NO_COLOR", "PAGER", "LESS", "LV", "TERM":
		default:
			env = append(env, v)
		}
	}
	return append(env, "TERM=xterm")
}

// onScreen runs the program in a terminal, and returns what it has written there, but for the line that tells
// what is going on, where the machine is slow.
func onScreen(t *testing.T, columns uint16, env []string, args ...string) string {
	t.Helper()
	x := inTerminal(t, columns, env, args...)
	if status := x.Wait(); status != exitOK {
		t.Errorf("%q: exit status %d", args, status)
	}
	return drawn.ReplaceAllString(x.Written(), "")
}

var noColor = []string{"NO_COLOR=1"}

// TestTerminalFits: what is printed at a terminal fits there, and --wide is as in a pipe.
func TestTerminalFits(t *testing.T) {
	fixedNamespace(t)
	const all = "SELECT * FROM kernel_routes"
	const some = "SELECT type, dst, gateway, dev, protocol, route_id FROM kernel_routes"
	note := program + ": not shown, as empty in these rows: "
	for _, sql := range []string{all, some} {
		if got := onScreen(t, 80, noColor, "query", "--wide", sql); got != run(t, "", "query", sql) {
			t.Errorf("%s: got\n%s", sql, got)
		}
		for _, format := range []string{"--json", "--csv", "--line", "--list", "--jsonl"} {
			if got := onScreen(t, 20, noColor, "query", format, sql); got != run(t, "", "query", format, sql) {
				t.Errorf("%s %s: got\n%s", format, sql, got)
			}
		}
	}
	got := onScreen(t, 80, noColor, "query", all)
	if !strings.Contains(got, " dst = 10.0.0.0/8\n") || strings.Contains(got, " congctl = ") ||
		strings.Count(got, "\n"+note) != 1 || !strings.Contains(got, ", congctl, ") ||
		strings.Count(got, " side by side into the terminal's 80, ") != 1 {
		t.Errorf("got\n%s", got)
	}
	got = onScreen(t, 500, noColor, "query", all)
	if !strings.HasPrefix(got, "+--") || !strings.Contains(got, "; --wide shows all\n") {
		t.Errorf("got\n%s", got)
	}
	got = onScreen(t, 72, noColor, "query", some)
	if !strings.HasPrefix(got, "+--") || !strings.Contains(got, "…") || strings.Contains(got, note) {
		t.Errorf("got\n%s", got)
	}
	for line := range strings.Lines(got) {
		if n := iptext.Width([]byte(strings.TrimSuffix(line, "\n"))); n != 72 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, columns := range []uint16{0, 1, 2, 5, 13, 20} { // 0: it is not known how many
		onScreen(t, columns, nil, "query", all)
	}
}

func TestTerminalColor(t *testing.T) {
	fixedNamespace(t)
	const sql = "SELECT type, dst FROM kernel_routes"
	plain := run(t, "", "query", sql)
	if strings.Contains(plain, "\x1b") {
		t.Errorf("in a pipe: %q", plain)
	}
	for _, env := range [][]string{noColor, {"NO_COLOR=x"}, {"TERM=dumb"}, {"TERM="}} {
		if got := onScreen(t, 80, env, "query", sql); got != plain {
			t.Errorf("%s: got\n%q", env, got)
		}
	}
	for _, env := range [][]string{nil, {"NO_COLOR="}} {
		got := onScreen(t, 80, env, "query", sql)
		if !strings.Contains(got, "\x1b[31mblackhole\x1b[0m") || !strings.Contains(got, "\x1b[1m::/0\x1b[0m") {
			t.Errorf("%s: got\n%q", env, got)
		}
		if got := regexp.MustCompile("\x1b\\[[0-9]*m").ReplaceAllString(got, ""); got != plain {
			t.Errorf("%s: got\n%q", env, got)
		}
	}
}

// drawn is what is written of the line that tells what is going on.
var drawn = regexp.MustCompile("\r[^\r\n]*\x1b\\[K")

// cleared returns what is on the screen but for the line that tells what is going on, which must have been
// cleared in the end.
func cleared(t *testing.T, written string) string {
	t.Helper()
	lines := drawn.FindAllString(written, -1)
	if len(lines) < 2 || lines[len(lines)-1] != "\r\x1b[K" {
		t.Errorf("the line is not cleared, or was never there: %q", written)
	}
	return drawn.ReplaceAllString(written, "")
}

// TestProgressShown: who waits at a terminal is told what for, and nothing of it stays.
func TestProgressShown(t *testing.T) {
	dir := t.TempDir()
	fixedNamespace(t)
	file, fifo := filepath.Join(dir, "file"), filepath.Join(dir, "fifo")
	run(t, "", "capture", file)
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const sql = "SELECT count(*) AS n FROM kernel_routes"
	toFile := func(cmd *exec.Cmd) string {
		out, err := os.Create(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { out.Close() })
		cmd.Stdout = out
		return out.Name()
	}
	for _, redirected := range []bool{false, true} {
		cmd := exec.Command(binary(t), "query", "--from", fifo, sql)
		cmd.Env = terminalEnv()
		out := ""
		if redirected {
			out = toFile(cmd)
		}
		x := ptytest.Start(t, ptytest.Size{Rows: 24, Columns: 80}, cmd)
		w, err := os.OpenFile(fifo, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		x.WaitFor(0, "reading "+fifo[:10])
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		w.Close()
		if status := x.Wait(); status != exitOK {
			t.Errorf("exit status %d", status)
		}
		got := cleared(t, x.Written())
		if redirected {
			b, _ := os.ReadFile(out)
			got += string(b)
		}
		if want := run(t, "", "query", "--from", file, sql); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	x := inTerminal(t, 12, nil, "query", "SELECT sleep(1000)")
	x.WaitFor(0, "\rat work fo…\x1b[K")
	x.Type("\x03")
	status := x.Wait()
	if got := cleared(t, x.Written()); status != 130 || strings.TrimPrefix(got, "^C") != program+": interrupted\n" {
		t.Errorf("exit status %d, %q", status, got)
	}
}

// TestProgressOfEach: each statement tells what it does, also when one before has been answered.
func TestProgressOfEach(t *testing.T) {
	t.Parallel()
	p := atPrompt(t, nil)
	two := []byte("SELECT 1 AS x;\nSELECT sleep(1000);")
	if err := os.WriteFile(filepath.Join(p.dir, "two.sql"), two, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, typed := range []string{"SELECT 1 AS x; SELECT sleep(1000);\r", ".read two.sql\r"} {
		n := len(p.Terminal.Written())
		p.Type(typed)
		_, n = p.WaitFor(n, "| 1 |\n+---+\n")
		p.WaitFor(n, "\rat work for ")
		p.Type("\x03")
		p.wait("\nError: interrupted" + ready)
	}
	p.Type("\x04")
	p.ends(exitOK)
}

// TestProgressNotShown: nothing is told where nobody waits, or others may write.
func TestProgressNotShown(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*exec.Cmd, *bytes.Buffer){
		"stdout is a pipe":           func(c *exec.Cmd, b *bytes.Buffer) { c.Stdout = b },
		"stderr is no terminal":      func(c *exec.Cmd, b *bytes.Buffer) { c.Stderr = b },
		"the terminal is a dumb one": func(c *exec.Cmd, _ *bytes.Buffer) { c.Env = append(c.Env, "TERM=dumb") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(binary(t), "query", "SELECT sleep(1)")
			cmd.Env = terminalEnv()
			var other bytes.Buffer
			prepare(cmd, &other)
			x := ptytest.Start(t, ptytest.Size{Rows: 24, Columns: 80}, cmd)
			x.Wait()
			got := x.Written() + other.String()
			if strings.ContainsAny(got, "\r\x1b") || !strings.Contains(got, "| sleep(") {
				t.Errorf("got %q", got)
			}
		})
	}
}

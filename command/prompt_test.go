package command

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/ptytest"
)

// What begins a line that is typed, after what was printed before.
const (
	ready = "\nroutes> "
	goes  = "\n   ...> "
)

// promptCapture is another host's routes, and promptQuestion what tells it from this one.
const (
	promptCapture  = "testdata/captures/ecmp.pcap"
	promptQuestion = "SELECT count(*) > 0 AS x FROM kernel_routes WHERE dst = '10.1.0.0/16';"
)

// begun is a statement before another one, which runs when this one's answer is there.
const begun = "SELECT 'begun' AS x; "

// A typist types at a prompt.
type typist struct {
	*ptytest.Terminal
	t   *testing.T
	dir string // where the program runs
	at  int    // how much has been read of what is written
}

// atPrompt starts the program in a terminal and waits for its prompt. Its folder is empty, and the history too.
func atPrompt(t *testing.T, env []string, args ...string) *typist {
	t.Helper()
	return atPromptIn(t, t.TempDir(), env, args...)
}

func atPromptIn(t *testing.T, dir string, env []string, args ...string) *typist {
	t.Helper()
	cmd := exec.Command(binary(t), append([]string{"shell"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TERM=xterm", "XDG_STATE_HOME="+filepath.Join(dir, "state"), "NO_COLOR=1")
	cmd.Env = append(cmd.Env, env...)
	p := &typist{Terminal: ptytest.Start(t, ptytest.Size{Rows: 30, Columns: 100}, cmd), t: t, dir: dir}
	p.wait(ready)
	return p
}

// Written returns what has been written, but for the line that tells what is going on, where the machine is slow.
func (p *typist) Written() string { return drawn.ReplaceAllString(p.Terminal.Written(), "") }

// wait waits for a text, and returns what has been written up to there since it waited last.
func (p *typist) wait(text string) string {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		since := p.Written()
		since = since[min(p.at, len(since)):]
		if i := strings.Index(since, text); i >= 0 {
			p.at += i + len(text)
			return since[:i+len(text)]
		}
		if time.Now().After(end) {
			p.t.Fatalf("%q did not come; since then: %q", text, since)
		}
	}
}

// run types a line and returns what is written until the next prompt.
func (p *typist) run(line string) string {
	p.t.Helper()
	p.Type(line + "\r")
	return p.wait(ready)
}

// lineEnd matches where the cursor goes to the end of what was typed before the line ends.
var lineEnd = regexp.MustCompile(`\x1b\[\d+G\n`)

// says types a line, after which a text is to be written, and others not.
func (p *typist) says(line, want string, not ...string) {
	p.t.Helper()
	got := lineEnd.ReplaceAllString(p.run(line), "\n")
	if !strings.Contains(got, want) {
		p.t.Errorf("%s: %q is missing in %q", line, want, got)
	}
	for _, text := range not {
		if strings.Contains(got, text) {
			p.t.Errorf("%s: %q is in %q", line, text, got)
		}
	}
}

// ends waits until the program has ended, and sees that the terminal is as it was.
func (p *typist) ends(status int) {
	p.t.Helper()
	if got := p.Wait(); got != status {
		p.t.Errorf("exit status %d, want %d; it wrote %q", got, status, p.Written())
	}
	if !strings.HasSuffix(p.Written(), "\n") {
		p.t.Errorf("the last line does not end: %q", p.Written())
	}
	const cooked = syscall.ICANON | syscall.ECHO | syscall.ISIG | syscall.IEXTEN
	if mode := p.Mode(); mode.Lflag&cooked != cooked || mode.Iflag&syscall.ICRNL == 0 {
		p.t.Errorf("the terminal is left in another mode: %+v", mode)
	}
}

// TestPromptEdits: keys move in the line, and what is typed is put there.
func TestPromptEdits(t *testing.T) {
	t.Parallel()
	p := atPrompt(t, nil)
	p.says("SELECT 'ac' AS x;"+strings.Repeat("\x1b[D", 8)+"b", "\n| abc |\n")
	p.says("LECT 'home'||'end' AS x\x01SE\x05;", "\n| homeend |\n")
	p.says("SELECT 'wrong'\x17'right' AS x;", "\n| right |\n")
	p.says("rubbish\x15SELECT 'killed' AS x;", "\n| killed |\n")
	p.says("SELECT 'größe 日本' AS x;", "\n| größe 日本 |\n")
	p.says("\x1b[A", "\n| größe 日本 |\n")                // Up
	p.says("\x12killed\x05", "\n| killed |\n")          // Ctrl-R
	p.says("\x1aSELECT 'still' AS x;", "\n| still |\n") // Ctrl-Z is no suspension of what could not be resumed
	p.Type("\x04")
	p.ends(exitOK)
}

// TestPromptStatements: a statement ends with its semicolon, a command with its line; what fails is told in a
// line, and the session goes on.
func TestPromptStatements(t *testing.T) {
	t.Parallel()
	p := atPrompt(t, nil)
	p.Type("SELECT 'one;\r")
	p.wait(goes)
	p.Type("two' AS x -- not yet;\r")
	p.wait(goes)
	p.says(";", `| one;\ntwo |`)
	p.says("", "", "Error")
	p.says("  ;", "", "Error")
	p.says("-- nothing", "", "Error")
	p.Type("/* not\r")
	p.wait(goes)
	p.says("ended */ ;", "", "Error")
	p.says("SELECT 1 AS a; SELECT 2 AS b;", "\n| b |\n")
	p.says("SELECT 3 AS c; SELEC;", "\n| 3 |\n+---+\nError: near \"SELEC\": syntax error")
	p.says("CREATE VIEW v AS SELECT 'kept' AS x;", "", "Error")
	p.says("SELECT nope FROM kernel_routes;", "Error: no such column: nope")
	p.says("SELECT * FROM v;", "\n| kept |\n")
	p.says(".frobnicate", "Error: unknown command \".frobnicate\"")
	p.says(".tables", "  => kernel_routes\n")
	p.says(".tables v", "  => v\n")
	p.Type("SELECT\r")
	p.wait(goes)
	p.Type(".tables\r") // is a part of the statement here
	p.wait(goes)
	p.says(";", "Error: near \".\": syntax error")
	p.says(".quit nothing", "Error: .quit is to be written .quit")
	p.Type(".exit;\r")
	p.ends(exitOK)
}

// TestPromptCtrlC: what is typed is thrown away.
func TestPromptCtrlC(t *testing.T) {
	t.Parallel()
	for _, terminal := range []string{"xterm", "dumb"} {
		p := atPrompt(t, []string{"TERM=" + terminal})
		p.Type("SELECT nothing")
		p.wait("nothing")
		p.Type("\x03")
		p.wait(ready)
		p.Type("SELECT 'not\r")
		p.wait(goes)
		p.Type("ended")
		p.wait("ended")
		p.Type("\x03")
		p.wait(ready)
		p.says("SELECT 1 + 1 AS x;", "\n| 2 |\n", "Error")
		p.Type("SELECT 'not\r")
		p.wait(goes)
		p.Type("\x04")
		p.ends(exitOK)
	}
}

// TestPromptInterrupts: Ctrl-C ends a statement at once, also one in the midst of what SQLite does in one step, and
// nothing of it is printed afterwards. The next one has the same database.
func TestPromptInterrupts(t *testing.T) {
	t.Parallel()
	for _, terminal := range []string{"xterm", "dumb"} {
		p := atPrompt(t, []string{"TERM=" + terminal})
		p.run("CREATE VIEW v AS SELECT 'kept' AS x;")
		for _, sql := range []string{
			"SELECT count(*) AS done FROM n;",
			"SELECT max(v) AS done FROM (SELECT v FROM n LIMIT 3000000000);",
			"SELECT v AS done FROM (SELECT v, hex(v) FROM n LIMIT 30000000) ORDER BY hex(v);",
			"SELECT sleep(1000) AS done;",
		} {
			p.Type(begun + "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) " + sql + "\r")
			p.wait("| begun |\n")
			p.Type("\x03")
			got := p.wait(ready)
			if !strings.Contains(got, "\nError: interrupted\n") || strings.Contains(got, "| done") {
				t.Errorf("%s: %s: %q", terminal, sql, got)
			}
		}
		p.says("SELECT * FROM v;", "\n| kept |\n", "done")
		p.Type(begun + "CREATE TABLE t AS SELECT sleep(1000);\r") // a single step
		p.wait("| begun |\n")
		p.Type("\x03")
		p.wait("\nError: interrupted" + ready)
		p.says("SELECT * FROM t;", "Error: no such table: t;")
		p.Type(".quit\r")
		p.ends(exitOK)
	}
}

// TestPromptLargeAnswer: Ctrl-C ends an answer that is being printed, and the rest of it does not come.
func TestPromptLargeAnswer(t *testing.T) {
	t.Parallel()
	p := atPrompt(t, nil)
	p.Type("WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n) SELECT v AS number FROM n;\r")
	p.wait("| 1000 ")
	p.Type("\x03")
	p.wait("\nError: interrupted" + ready)
	p.says("SELECT 'and' || ' on' AS x;", "\n| and on |\n", "| 1")
	p.Type("\x04")
	p.ends(exitOK)
}

// TestPromptSignals: the terminal is given back whatever ends the program.
func TestPromptSignals(t *testing.T) {
	t.Parallel()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT} {
		for _, typed := range []string{"", "SELECT 1", begun + "SELECT sleep(1000);\r"} {
			for _, terminal := range []string{"xterm", "dumb"} {
				p := atPrompt(t, []string{"TERM=" + terminal})
				p.Type(typed)
				if strings.HasSuffix(typed, "\r") {
					p.wait("| begun |\n")
				} else {
					p.wait(typed)
				}
				if err := p.Cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
				p.ends(128 + int(sig))
				if all := p.Written(); !strings.HasSuffix(all, "\n"+program+": interrupted\n") {
					t.Errorf("%v after %q: %q", sig, typed, all)
				}
			}
		}
	}
	p := atPrompt(t, nil) // SIGINT from elsewhere ends nothing where nothing runs
	p.Type("SELECT 'whole")
	p.wait("whole")
	if err := p.Cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"'", " AS", " x"} { // what is typed after the signal was taken
		p.Type(key)
		p.wait(key)
		time.Sleep(50 * time.Millisecond)
	}
	p.says(";", "\n| whole |\n")
	p.Type("\x04")
	p.ends(exitOK)
}

// TestPromptHistory: what was typed in one session is there in the next, a statement of several lines as one.
func TestPromptHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := atPromptIn(t, dir, nil)
	p.Type("SELECT 'first' -- of them\r")
	p.wait(goes)
	p.says("AS x;", "\n| first |\n")
	p.run("SELECT 'second' AS x;")
	other := atPromptIn(t, dir, nil) // at the same time
	other.run("SELECT 'other' AS x;")
	p.run(".headers on")
	p.Type("\x04")
	p.ends(exitOK)
	other.Type(".quit\r")
	other.ends(exitOK)
	file := filepath.Join(dir, "state/kernel-routes/history")
	const want = "SELECT 'first' /* of them */ AS x;\nSELECT 'second' AS x;\nSELECT 'other' AS x;\n.headers on\n.quit\n"
	if b, err := os.ReadFile(file); err != nil || string(b) != want {
		t.Errorf("%v, the history is %q", err, b)
	}
	for path, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%v: %v, %v", path, info.Mode(), err)
		}
	}
	p = atPromptIn(t, dir, nil)
	p.says(strings.Repeat("\x1b[A", 5), "\n| first |\n")
	p.says("\x12other\x05", "\n| other |\n")
	p.Type("\x04")
	p.ends(exitOK)
}

// TestPromptWithoutHistory: where no history can be kept, one line says so.
func TestPromptWithoutHistory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := write("file", "")
	for _, name := range []string{"fifo", "folder"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "kernel-routes"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo/kernel-routes/history"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder/kernel-routes/history"), 0o700); err != nil {
		t.Fatal(err)
	}
	for want, env := range map[string][]string{
		"neither XDG_STATE_HOME nor HOME is set": {"XDG_STATE_HOME=", "HOME="},
		"XDG_STATE_HOME nor HOME":                {"XDG_STATE_HOME=relative", "HOME="},
		"not a directory":                        {"XDG_STATE_HOME=" + file},
		"no regular file":                        {"XDG_STATE_HOME=" + filepath.Join(dir, "fifo")},
		"is a directory":                         {"XDG_STATE_HOME=" + filepath.Join(dir, "folder")},
		"/proc/self/kernel-routes":               {"XDG_STATE_HOME=/proc/self"},
	} {
		p := atPrompt(t, env)
		p.says("SELECT 1 + 1 AS x;", "\n| 2 |\n", "Warning")
		p.says("\x1b[A", "\n| 2 |\n", "Warning") // it is remembered as long as the session lasts
		p.Type("\x04")
		p.ends(exitOK)
		all := p.Written()
		if n := strings.Count(all, "Warning: "); n != 1 || !strings.Contains(all, want) {
			t.Errorf("%v: %d warnings, want %s: %q", env, n, want, all)
		}
	}
}

// TestDumbPrompt: nothing is needed of a terminal but lines.
func TestDumbPrompt(t *testing.T) {
	t.Parallel()
	for _, env := range [][]string{{"TERM=dumb"}, {"TERM="}, {"TERM=dumb", "HOME=", "XDG_STATE_HOME="}} {
		p := atPrompt(t, env)
		p.Type("SELECT 1 +\r")
		p.wait(goes)
		p.says("1 AS x;", "\n| 2 |\n")
		p.says(".mode line", "")
		p.says("SELECT 'é' AS x;", "\n    x = é\n")
		p.Type("\x04")
		p.ends(exitOK)
		if all := p.Written(); strings.ContainsAny(all, "\x1b\a") || strings.Contains(all, "Warning") {
			t.Errorf("%v: %q", env, all)
		}
	}
}

// TestPromptElsewhere: rows that go to no terminal are as in a pipe; prompts are where they can be seen.
func TestPromptElsewhere(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "out")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(binary(t), "query")
	cmd.Stdout = out
	cmd.Env = append(os.Environ(), "TERM=xterm")
	p := &typist{Terminal: ptytest.Start(t, ptytest.Size{Rows: 30, Columns: 20}, cmd), t: t}
	p.wait(ready)
	const sql = "SELECT 'a long text that is wider than the terminal' AS x;"
	p.says(sql, "", "|")
	p.says("SELEC;", "Error: ")
	p.Type("\x04")
	p.ends(exitOK)
	b, err := os.ReadFile(file)
	if want, _, _ := command(t, nil, "query", sql); err != nil || string(b) != want {
		t.Errorf("%v, the file has %q, want %q", err, b, want)
	}
	if strings.Contains(p.Written(), "\x1b") {
		t.Errorf("the terminal has %q", p.Written())
	}
}

// TestPromptNarrow: in a terminal without room, or of no known size, lines are read as they come.
func TestPromptNarrow(t *testing.T) {
	t.Parallel()
	p := atPrompt(t, nil)
	for _, columns := range []uint16{12, 0, 1, 100} {
		p.Resize(ptytest.Size{Rows: 10, Columns: columns})
		p.run("")
		p.run(".mode csv")
		p.says(fmt.Sprintf("SELECT %d + 1 AS x;", columns), fmt.Sprintf("\nx\n%d\n", columns+1))
		p.Type("SELECT")
		p.wait("SELECT") // until then Ctrl-C may be a signal, with no line to throw away
		p.Type("\x03")
		p.wait(ready)
	}
	p.Type("\x04")
	p.ends(exitOK)
}

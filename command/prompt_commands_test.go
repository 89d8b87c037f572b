package command

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestPromptCompletes: Tab completes, in the middle of a line too, and lists what can follow.
func TestPromptCompletes(t *testing.T) {
	t.Parallel()
	p := atPrompt(t, nil)
	write := filepath.Join(p.dir, "a file.sql")
	if err := os.WriteFile(write, []byte("SELECT 'from a file' AS x"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.says("sel\t count(*) > 0 as x fr\t kernel_routes_i\t;", "\n| 1 |\n")
	p.says("SELECT ver FROM kernel_routes_info;"+strings.Repeat("\x1b[D", 25)+"\t", "\n| version ")
	p.Type("SELECT r.nexthop_")
	p.wait("nexthop_")
	p.Type("\t")
	p.wait("nexthop_") // as the first has drawn it, or the second one would seem to be pasted
	p.Type("\t")
	p.wait("nexthop_count")
	p.Type("\x03")
	p.wait(ready)
	p.says(".mo\t js\t", ".mode json")
	p.says(".mode pr\t", ".mode pretty")
	p.says(".read a\t", "\n| from a file |\n")
	p.says("help", "\n.width [N...]")
	p.Type(".qu\t\r")
	p.ends(exitOK)
}

// TestPromptPasted: tabs of a pasted text are blanks.
func TestPromptPasted(t *testing.T) {
	t.Parallel()
	p := atPrompt(t, nil)
	p.says("SELECT\t'pasted'\tAS\tx\t,\tcount(*)\tAS\tn;", "\n| pasted | 1 |\n")
	p.Type("\x04")
	p.ends(exitOK)
}

// TestPromptCommands tries every command.
func TestPromptCommands(t *testing.T) {
	t.Parallel()
	p := atPrompt(t, nil)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("good.sql", "-- a file\nSELECT 'read' AS x;\n.mode csv\nSELECT 'more' AS x")
	write("bad.sql", "\n.tables kernel_routes_info\nSELECT\n1;\nSELEC")
	write("outer.sql", "SELECT 1;\n.read bad.sql\n")
	write("self.sql", ".read self.sql")
	write("quit.sql", "SELECT 'bye' AS x;\n.quit\nSELECT 'not' AS x;")
	for _, c := range []struct{ line, want string }{
		{".help", "\n.width [N...]"},
		{".help mode", "\n.mode [MODE]  print rows as pretty, json, jsonl, csv, line or list"},
		{".tab kernel_routes_info", "\n  => kernel_routes_info" + ready},
		{".schema kernel_routes_info", "\nCREATE TABLE kernel_routes_info("},
		{".examples kernel_routes_info", "\n-- "},
		{".mode", "\ncurrent output mode: pretty" + ready},
		{".mode jsn", "did you mean json?"},
		{".mode csv", ""},
		{"SELECT 1 AS a, 'b c' AS d;", "\na,d\n1,b c" + ready},
		{".headers off", ""},
		{"SELECT 1 AS a, 'b c' AS d;", "\n1,b c" + ready},
		{".headers ON", ""},
		{".mode list", ""},
		{"SELECT 1 AS a, 2 AS d;", "\na|d\n1|2" + ready},
		{".timer on", ""},
		{"SELECT 1 AS a UNION ALL SELECT 2;", "\na\n1\n2\nRun Time: real "},
		{"SELECT 1 AS a;", " s, 1 row" + ready},
		{".timer off", ""},
		{".read good.sql", "\nx\nread\nx\nmore" + ready},
		{".read bad.sql", "\n  => kernel_routes_info\n1\n1\nError: bad.sql, line 5: near \"SELEC\": syntax error"},
		{".read outer.sql", "Error: bad.sql, line 5: near"},
		{".read self.sql", "Error: self.sql, line 1: reading self.sql: more than 20 files"},
		{".read none.sql", "Error: reading none.sql: no such file or directory"},
		{".read .", "Error: reading .: is a directory"},
		{".output out.txt", ""},
		{"SELECT 1 AS a;", "SELECT 1 AS a;" + ready},
		{"SELEC;", "Error: near"},
		{".mode pretty", ""},
		{"SELECT * FROM kernel_route_rules LIMIT 0; SELECT 'x' AS a;", ready},
		{".output", ""},
		{".output none/out.txt", "Error: writing none/out.txt: no such file or directory"},
		{"SELECT 'here' AS a;", "\n| here |\n"},
		{".output /dev/full", ""},
		{"SELECT 'here' AS a;", "Error: writing /dev/full: no space left on device"},
		{".output", ""},
		{".from '" + absolute(t, promptCapture) + "'", ""},
		{promptQuestion, "\n| 1 |\n"},
		{".from none.pcap", "Error: capture none.pcap: no such file or directory"},
		{promptQuestion, "\n| 1 |\n"},
		{".from -", "Error: standard input is the prompt's"},
		{".from", ""},
		{promptQuestion, "\n| 0 |\n"},
		{".width 5", ""},
		{".width", ""},
	} {
		p.says(c.line, c.want)
	}
	const want = "a\n1\n+---+\n| a |\n+---+\n| x |\n+---+\n"
	if b, err := os.ReadFile(filepath.Join(p.dir, "out.txt")); string(b) != want {
		t.Errorf("%v, the file has %q", err, b)
	}
	p.Type(".read quit.sql\r")
	p.wait("\n| bye |\n")
	p.ends(exitOK)
	if strings.Contains(p.Written(), "| not") {
		t.Errorf(".quit goes on: %q", p.Written())
	}
}

// TestPromptFlags: what the flags say holds at the prompt.
func TestPromptFlags(t *testing.T) {
	t.Parallel()
	p := atPrompt(t, nil, "--csv", "--header=false", "--from", absolute(t, promptCapture))
	if !strings.Contains(p.Written(), "Answers come from /") {
		t.Errorf("it begins with %q", p.Written())
	}
	p.says(promptQuestion, ";\n1"+ready)
	p.Type("\x04")
	p.ends(exitOK)
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestPromptFIFO: commands wait for who has the other end of a FIFO, until Ctrl-C.
func TestPromptFIFO(t *testing.T) {
	t.Parallel()
	p := atPrompt(t, nil)
	for _, command := range []string{".read", ".output", ".from"} {
		fifo := command[1:] + ".fifo" // of its own: who has opened one once may be there still
		if err := syscall.Mkfifo(filepath.Join(p.dir, fifo), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Type(command + " " + fifo + "\r")
		p.wait("fifo")
		for p.Mode().Lflag&syscall.ISIG == 0 { // until then Ctrl-C is for the line
			time.Sleep(time.Millisecond)
		}
		waitsForOthers(t, p.Cmd.Process.Pid)
		p.Type("\x03")
		if got := p.wait(ready); !strings.Contains(got, "interrupted\n") {
			t.Errorf("%s: %q", command, got)
		}
		p.says("SELECT 1 + 1 AS x;", "\n| 2 |\n")
	}
	p.Type("\x04")
	p.ends(exitOK)
}

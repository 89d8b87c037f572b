package shell

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/needtest"
	"kernelroutes/tables"
)

// TestSettings: what a command sets holds for what follows, in SQL from a pipe too.
func TestSettings(t *testing.T) {
	for sql, want := range map[string]string{
		".mode json\nSELECT 1 AS a;\nSELECT 2 AS a;": "[\n  {\"a\":\"1\"},\n  {\"a\":\"2\"}\n]\n",
		"SELECT 1 AS a;\n.mode json\nSELECT 2 AS a;\n.mode csv\nSELECT 3 AS a": "" +
			"a\n1\n[\n  {\"a\":\"2\"}\n]\na\n3\n",
		".headers off\nSELECT 1 AS a":                          "1\n",
		".mode list\n.headers off\n.headers on\nSELECT 1 AS a": "a\n1\n",
		".mode":                           "current output mode: csv\n",
		"SELECT 1 AS a;\n.quit\nSELECT 2": "a\n1\n",
		".exit\n.frobnicate":              "",
		".timer on\nSELECT 1 AS a":        "a\n1\n", // nobody is to be told
		".help .quit":                     ".quit  end the session, as Ctrl-D does\n",
		".tab r":                          "  => r\n",
		".width 3\nSELECT 1 AS a":         "a\n1\n",
		".help":                           help(),
		".schema 'r'\n.schema \"r\"\n.width": strings.Repeat(
			"CREATE TABLE r(`id` TEXT, `dst` TEXT, `dev` TEXT, `metric` BIGINT, `flags` INTEGER);\n", 2),
	} {
		if got := mustAsk(t, CSV, sql, routesFake()); got != want {
			t.Errorf("%q: got %q, want %q", sql, got, want)
		}
	}
}

func help() string {
	var b strings.Builder
	width := 0
	for _, c := range Commands() {
		width = max(width, len(c.usage()))
	}
	for _, c := range Commands() {
		b.WriteString(c.usage() + strings.Repeat(" ", width+2-len(c.usage())) + c.Help + "\n")
	}
	return b.String()
}

// TestCommandTable: the table of commands is in order, and its help fits into a terminal.
func TestCommandTable(t *testing.T) {
	all := Commands()
	if !slices.IsSortedFunc(all, func(a, b Command) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the commands are not in the order of the alphabet")
	}
	for line := range strings.Lines(help()) {
		if len(line) > 88 {
			t.Errorf("too long: %s", line)
		}
	}
	for name, want := range map[string]string{
		".q": ".quit", ".tables": ".tables", ".tab": ".tables", ".t": "", ".": "", "": "", "q": "",
	} {
		if c, err := FindCommand(name); c.Name != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v", name, c.Name, err)
		}
	}
}

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		".a":               {".a"},
		" .a  b\tc ":       {".a", "b", "c"},
		`.a 'b c' "d'e" f`: {".a", "b c", "d'e", "f"},
		`.a '' x`:          {".a", "", "x"},
		`.a it's`:          {".a", "it's"},
		"":                 nil,
	} {
		if got, err := Words(line); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
	if got, err := Words(".a 'b"); err == nil {
		t.Errorf("an open quote: %q", got)
	}
}

// closer is a file in memory.
type closer struct {
	bytes.Buffer
	closed bool
}

func (c *closer) Close() error {
	c.closed = true
	return nil
}

// typed is a session as somebody has who types.
func typed(opts Options, file io.WriteCloser) *Session {
	opts.Files = &Files{
		Create: func(context.Context, string) (io.WriteCloser, error) { return file, nil },
		Read:   func(context.Context, string) (string, error) { return "SELECT 'read' AS x", nil },
		Source: func(context.Context, string) (tables.Source, error) { return nil, nil },
	}
	s := NewSession(nil, opts)
	s.all = nil
	return s
}

// TestWideCommand: .wide holds for what follows, and notes at the prompt name it.
func TestWideCommand(t *testing.T) {
	var notes []string
	s := typed(Options{Terminal: &Terminal{Width: 40, Note: func(text string) { notes = append(notes, text) }}}, nil)
	const sql = "SELECT * FROM (SELECT 1 AS x, NULL AS y)"
	const narrow = "+---+\n| x |\n+---+\n| 1 |\n+---+\n"
	const wide = "+---+---+\n| x | y |\n+---+---+\n| 1 |   |\n+---+---+\n"
	for _, test := range []struct{ sql, want, note string }{
		{sql, narrow, "not shown, as empty in these rows: y; .wide on shows all"},
		{".wide on\n" + sql, wide, ""},
		{sql, wide, ""},
		{".wide off\n" + sql, narrow, "not shown, as empty in these rows: y; .wide on shows all"},
	} {
		notes = nil
		var out bytes.Buffer
		if err := s.Run(t.Context(), &out, test.sql); err != nil || out.String() != test.want ||
			strings.Join(notes, "|") != test.note {
			t.Errorf("%q: got %q, %q, %v", test.sql, &out, notes, err)
		}
	}
}

// TestOwn: what the session has made is listed as the tables are, and named where it may have been meant.
func TestOwn(t *testing.T) {
	s := typed(Options{}, nil)
	defer s.Close()
	for _, test := range []struct{ sql, want, err string }{
		{"CREATE VIEW mine AS\n\tSELECT 1 AS x; CREATE TEMP TABLE 'mi\x1b[31m'(y)", "", ""},
		{".tables", "  => mi\\x1b[31m\n  => mine\n", ""},
		{".schema min", "CREATE VIEW mine AS\n\tSELECT 1 AS x;\n", ""},
		{"SELECT * FROM mien", "", "no such table: mien; did you mean mine? the tables are"},
		{".examples mine", "", ""},
		{"DROP VIEW mine", "", ""},
		{"SELECT * FROM mien", "", "no such table: mien; the tables are"},
		{".tables mine", "", "no such table: mine;"},
		{"BEGIN; CREATE TABLE undone(x)", "", ""},
		{".tables u", "  => undone\n", ""},
		{"ROLLBACK", "", ""},
		{".tables u", "", "no such table: u;"},
		{"CREATE TABLE kept(x CHECK (x > 0)); BEGIN; CREATE TABLE undone(x)", "", ""},
		{"INSERT OR ROLLBACK INTO kept VALUES (0)", "", "CHECK constraint failed"},
		{".tables u", "", "no such table: u;"},
		{".tables k", "  => kept\n", ""},
		{"CREATE VIEW broken AS SELECT nosuch(1)", "", ""}, // SQLite looks at that later
		{"SELECT * FROM keptt", "", "no such table: keptt; did you mean kept?"},
		{".tables b", "  => broken\n", ""},
	} {
		var out bytes.Buffer
		err := s.Run(t.Context(), &out, test.sql)
		if out.String() != test.want || (err != nil) != (test.err != "") ||
			!strings.Contains(fmt.Sprint(err), test.err) {
			t.Errorf("%q: got %q, %v", test.sql, &out, err)
		}
	}
}

// TestInterruptedOwn: a statement that is interrupted in its only step has no effect, and what had one in spite of
// that is known.
func TestInterruptedOwn(t *testing.T) {
	s := typed(Options{}, nil)
	defer s.Close()
	if err := s.Run(t.Context(), io.Discard, "SELECT 1"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	err := s.Run(ctx, io.Discard, "CREATE TABLE slept AS SELECT sleep(1000)")
	if !errors.Is(err, ErrInterrupted) || s.Own() != nil {
		t.Errorf("%v, there are %v", err, s.Own())
	}
	s.db.SetInterrupt(t.Context())
	if err := s.db.Exec("CREATE TABLE made(x)"); err != nil {
		t.Fatal(err)
	}
	s.db.SetInterrupt(ctx)
	s.db.findOwn()
	if own := s.Own(); len(own) != 1 || own[0].Name != "made" || !slices.Equal(own[0].Columns, []string{"x"}) {
		t.Errorf("there are %v", own)
	}
}

// TestSession: statements are printed as they end; what is written to a file is not for the terminal.
func TestSession(t *testing.T) {
	var file closer
	var notes []string
	s := typed(Options{Terminal: &Terminal{Width: 10}, Note: func(text string) { notes = append(notes, text) }}, &file)
	run := func(sql, want string) {
		t.Helper()
		terminal := s.Terminal
		var out bytes.Buffer
		err := s.Run(context.Background(), &out, sql)
		got := out.String()
		if err != nil {
			got += "Error: " + err.Error()
		}
		if got != want || s.Terminal != terminal {
			t.Errorf("%q: got %q, want %q; %v", sql, got, want, s.Terminal)
		}
	}
	const one = "+---+\n| x |\n+---+\n| 1 |\n+---+\n"
	run("SELECT 1 AS x; SELECT 2 AS", one+"Error: incomplete input; the statement ends too early")
	run(".mode json\nSELECT 1 AS x; SELECT 2 AS x;", "[\n  {\"x\":\"1\"}\n]\n[\n  {\"x\":\"2\"}\n]\n")
	run(".mode pretty\n.output f\nSELECT 1 AS x;", "")
	run("SELECT 1 AS x;\n.output\nSELECT 1 AS x", one)
	if file.String() != one+one || !file.closed {
		t.Errorf("the file has %q, closed %v", &file, file.closed)
	}
	run(".read x", "+------+\n| x    |\n+------+\n| read |\n+------+\n")
	file = closer{}
	run(".output f\n.headers on", "")
	if err := s.Close(); err != nil || !file.closed || file.String() != "" {
		t.Errorf("%v, the file has %q", err, &file)
	}
	run(".timer on\nCREATE TABLE t(x); SELECT 1 AS x;", one)
	run("SELECT 1 AS x;\n.quit", one+"Error: "+ErrQuit.Error())
	if len(notes) != 3 || !strings.HasPrefix(notes[1], "Run Time: real 0.") ||
		!strings.HasSuffix(notes[1], " s, 1 row") {
		t.Errorf("notes: %q", notes)
	}
}

// TestLostDatabase: when SQLite has used up its memory, the session goes on with a new database, and says so.
func TestLostDatabase(t *testing.T) {
	defer func(m int64) { maxMemory = m }(maxMemory)
	maxMemory = 16 << 20
	s := typed(Options{Format: CSV}, nil)
	defer s.Close()
	big := "SELECT group_concat(zeroblob(1000000)) FROM " + numbers(100)
	for _, c := range []struct{ sql, fails string }{
		{big, "more than 16 MiB"},
		{"CREATE\nVIEW v AS SELECT 1 AS x", ""},
		{"SELECT * FROM v", ""},
		{big, "the views and tables that were made in this session are gone"},
		{"SELECT * FROM v", "no such table: v"},
		{"SELECT 1", ""},
	} {
		err := s.Run(context.Background(), io.Discard, c.sql)
		if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%s: %v", c.sql, err)
		}
	}
}

// TestMemoryComesBack: what SQLite has used up does not stay with a session that goes on.
func TestMemoryComesBack(t *testing.T) {
	defer func(m int64) { maxMemory = m }(maxMemory)
	const each, times = 64 << 20, 5
	maxMemory = each
	s := typed(Options{Format: CSV}, nil)
	defer s.Close()
	mapped := func() (bytes int) { // for SQLite
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			needtest.Missing(t, "what memory is mapped cannot be told: %v", err)
		}
		for line := range strings.Lines(string(maps)) {
			var from, to int
			if _, err := fmt.Sscanf(line, "%x-%x rw-p 00000000 00:00", &from, &to); err == nil {
				bytes += to - from
			}
		}
		return bytes
	}
	before := 0
	for i := range times {
		err := s.Run(context.Background(), io.Discard, "SELECT group_concat(zeroblob(5000000)) FROM "+numbers(100))
		if err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
			t.Fatal(err)
		}
		if i == 0 {
			before = mapped()
		}
	}
	if more := mapped() - before; more > each*times/4 {
		t.Errorf("%d MiB more are mapped", more>>20)
	}
}

// slow is a writer that waits.
type slow struct{ writes, wait chan int }

func (s slow) Write(b []byte) (int, error) {
	s.writes <- len(b)
	<-s.wait
	return len(b), nil
}

// TestPieces: once the context has ended, and what is being written is, nothing more is.
func TestPieces(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	to := slow{make(chan int, 100), make(chan int)}
	p := NewPieces(ctx, to)
	result := make(chan error, 1)
	go func() {
		_, err := p.Write(make([]byte, 100_000))
		result <- err
	}()
	<-to.writes
	cancel()
	waited := make(chan struct{})
	go func() {
		p.Wait()
		close(waited)
	}()
	select {
	case <-waited:
		t.Error("it is not waited for what is being written")
	case <-time.After(time.Millisecond):
	}
	close(to.wait)
	<-waited
	if err := <-result; !errors.Is(err, ErrInterrupted) || len(to.writes) > 0 {
		t.Errorf("%v, %d more writes", err, len(to.writes))
	}
	if n, err := p.Write([]byte("x")); n != 0 || !errors.Is(err, ErrInterrupted) {
		t.Errorf("wrote %d, %v", n, err)
	}
}

func TestCounted(t *testing.T) {
	for n, want := range map[int]string{
		0: "0 rows", 1: "1 row", 999: "999 rows", 1000: "1,000 rows", 1234567: "1,234,567 rows",
	} {
		if got := counted(n, "row"); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}

package prompt

import (
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/peterh/liner"

	"kernelroutes/shell"
	"kernelroutes/tables"
)

// TestCompletion: | is the cursor; want begins with what stands before the words.
func TestCompletion(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, name := range []string{"good.sql", "go on.sql", ".hidden", "it's.sql", "red\x1b.sql"} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(namesOf((&completer{}).relations()), " ")
	for _, c := range []struct{ before, line, head, want, tail string }{
		{"", "sele|", "", "select", ""},
		{"", "SELE|", "", "SELECT", ""},
		{"", "SELECT|", "", "SELECT ", ""},
		{"", "|", "", "    ", ""},
		{"", "  |x", "  ", "    ", "x"},
		{"", "SELECT dst FROM |", "SELECT dst FROM ", all, ""},
		{"", "SELECT dst FROM KERNEL_ROUTES_|", "SELECT dst FROM ", "kernel_routes_info", ""},
		{"", "SELECT 1 FROM a JOIN |", "SELECT 1 FROM a JOIN ", all, ""},
		{"SELECT dst\nFROM\n", "kernel_routes_|;", "", "kernel_routes_info", ";"},
		{"", "SELECT gatew| FROM kernel_route_nexthops", "SELECT ", "gateway gateway_family",
			" FROM kernel_route_nexthops"},
		{"", "SELECT gatew| FROM kernel_routes_info", "SELECT ", "", " FROM kernel_routes_info"},
		{"", "SELECT größe, versi| FROM kernel_routes_info", "SELECT größe, ",
			"version version_compare(", " FROM kernel_routes_info"},
		{"", "SELECT 1 FROM kernel_routes_info WHERE versi|", "SELECT 1 FROM kernel_routes_info WHERE ",
			"version version_compare(", ""},
		{"", "SELECT 'sele|", "SELECT 'sele", "", ""},
		{"SELECT 'a\n", "sele|", "sele", "", ""},
		{"", `SELECT "sele|`, `SELECT "sele`, "", ""},
		{"", "SELECT 1 -- sele|", "SELECT 1 -- sele", "", ""},
		{"", "SELECT 1 /* sele|", "SELECT 1 /* sele", "", ""},
		{"", "SELECT in_ci|", "SELECT ", "in_cidr_block(", ""},
		{"", "SELECT r.dst_l| FROM kernel_routes AS r", "SELECT r.", "dst_last dst_len", " FROM kernel_routes AS r"},
		{"", "SELECT r.dst_l| FROM kernel_routes_info r", "SELECT r.", "", " FROM kernel_routes_info r"},
		{"", "SELECT kernel_routes.dst_l| FROM kernel_routes", "SELECT kernel_routes.",
			"dst_last dst_len", " FROM kernel_routes"},
		{"", "SELECT x.dst_l|", "SELECT x.", "dst_last dst_len", ""},
		{"", "SELECT 1 FROM kernel_routes_info GROUP B|", "SELECT 1 FROM kernel_routes_info GROUP ", "BY", ""},
		{"", "AS|", "", "ASin( AS ASC", ""},
		{"", ".mo|", "", ".mode", ""},
		{"", " .mode|", " ", ".mode ", ""},
		{"", ".mode j|", ".mode ", "json jsonl", ""},
		{"", ".mode json |", ".mode json ", "", ""},
		{"", ".nothing |", ".nothing ", "", ""},
		{"", ".timer |", ".timer ", "on off", ""},
		{"", ".schema |", ".schema ", all, ""},
		{"", ".help .q|", ".help ", ".quit", ""},
		{"", ".width |", ".width ", "", ""},
		{"", ".read g|", ".read ", "'go on.sql' good.sql", ""},
		{"", ".read |", ".read ", "folder/ 'go on.sql' good.sql", ""},
		{"", ".read 'go o|", ".read ", "'go on.sql'", ""},
		{"", ".read fo|", ".read ", "folder/", ""},
		{"", ".read .h|", ".read ", ".hidden", ""},
		{"", ".read none/|", ".read ", "", ""},
		{"SELECT\n", ".mo|", ".", "", ""},
	} {
		line := strings.Replace(c.line, "|", "", 1)
		pos := len([]rune(c.line[:strings.Index(c.line, "|")]))
		head, words, tail := (&completer{before: c.before}).complete(line, pos)
		if got := strings.Join(words, " "); got != c.want || head != c.head || tail != c.tail {
			t.Errorf("%q %q: got %q, %q, %q", c.before, c.line, head, words, tail)
		}
	}
	_, words, _ := (&completer{}).complete("SELECT ", 7)
	for _, want := range []string{"dst", "version", "DISTINCT"} {
		if !slices.Contains(words, want) {
			t.Errorf("%s is not offered of %d words", want, len(words))
		}
	}
}

// TestOwnCompleted completes what a session has made, until it has dropped that.
func TestOwnCompleted(t *testing.T) {
	s := shell.NewSession(nil, shell.Options{Files: &shell.Files{}})
	defer s.Close()
	for _, c := range []struct{ sql, line, want string }{
		{"CREATE VIEW mine AS SELECT dst AS target, metric AS 'how far' FROM kernel_routes", "SELECT * FROM mi",
			"mine"},
		{"create temp table miner(ore, target)", "SELECT * FROM mi", "mine miner"},
		{"", "SELECT m.ta FROM mine AS m WHERE m.", "target"},
		{"", "SELECT * FROM miner WHERE tar", "target"},
		{"", ".schema mi", "mine miner"},
		{"CREATE TABLE 'mi x'(a); CREATE TABLE 'mi\x1b[31m'(a); CREATE TABLE mint(a INTEGER)", "DROP TABLE mi",
			"mine miner mint"},
		{"DROP VIEW mine; /* no */ DROP TABLE miner", "SELECT * FROM mi", "mint"},
	} {
		if err := s.Run(t.Context(), io.Discard, c.sql); err != nil {
			t.Errorf("%s: %v", c.sql, err)
		}
		completes := &completer{}
		completes.made(s.Own())
		if _, words, _ := completes.complete(c.line, len(c.line)); strings.Join(words, " ") != c.want {
			t.Errorf("%s: %q", c.line, words)
		}
	}
}

// FuzzCompletion: whatever is typed, what is offered stands in place of the end of what is before the cursor.
func FuzzCompletion(f *testing.F) {
	for _, line := range []string{
		"SELECT r.d FROM kernel_routes r", ".mode j", ".read '", "SELECT \"", "[x", "a.b.", "\xff.",
	} {
		f.Add("", line, 3)
		f.Add("SELECT\n", line, len(line))
	}
	f.Fuzz(func(t *testing.T, before, line string, pos int) {
		if strings.HasPrefix(strings.TrimLeft(line, " \t"), ".") && strings.Contains(line, "/") {
			return // files
		}
		if before != "" {
			before += "\n" // as those are lines
		}
		runes := []rune(line)
		line = string(runes) // as liner has it
		pos = max(0, min(pos, len(runes)))
		head, words, tail := (&completer{before: before}).complete(line, pos)
		if tail != string(runes[pos:]) || !strings.HasPrefix(string(runes[:pos]), head) {
			t.Errorf("%q at %d: %q and %q", line, pos, head, tail)
		}
		for _, w := range words {
			if strings.ContainsAny(w, "\n\x1b") {
				t.Errorf("%q offers %q", line, w)
			}
		}
	})
}

// TestCompletedTables: the tables are all that there are.
func TestCompletedTables(t *testing.T) {
	if there := (&completer{}).relations(); len(there) != len(tables.All()) || !slices.IsSorted(shell.Keywords()) {
		t.Errorf("%d tables, keywords are %v", len(there), shell.Keywords())
	}
}

// TestPastedTabs: between words of a pasted text a tab is a blank, unless it completes what is before it.
func TestPastedTabs(t *testing.T) {
	for line, want := range map[string]string{
		"SELECT dst":             "SELECT dst ",
		"SELECT count(*)":        "SELECT count(*) ",
		"SELECT 1 AS":            "SELECT 1 AS ",
		"SELECT 1 AS n":          "SELECT 1 AS n ",
		"SELECT 1 FROM ":         "SELECT 1 FROM  ",
		"SELECT 'a":              "SELECT 'a\t",
		"sele":                   "select",
		"SELECT 1 FROM kernel_n": "SELECT 1 FROM kernel_nexthops",
	} {
		c := completer{pasting: func() bool { return true }}
		head, words, tail := c.complete(line, len(line))
		if got := head + strings.Join(words, "|") + tail; got != want {
			t.Errorf("%q becomes %q, want %q", line, got, want)
		}
	}
}

// TestMore: the library's channel is where it is looked for.
func TestMore(t *testing.T) {
	field, there := reflect.TypeFor[liner.State]().FieldByName("next")
	if !there || field.Type.Kind() != reflect.Chan {
		t.Error("liner.State has no channel next: pasted tabs are not told from typed ones")
	}
}

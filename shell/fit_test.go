package shell

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kernelroutes/shell/iptext"
)

// shown returns what a terminal shows of a statement, and what is told besides.
func shown(t *testing.T, terminal Terminal, opts Options, sql string, fakes ...*fake) (out string, notes []string) {
	t.Helper()
	var all []sqlTable
	for _, f := range fakes {
		all = append(all, f.sqlTable)
	}
	var b strings.Builder
	terminal.Note = func(text string) {
		if b.Len() == 0 {
			t.Errorf("%q is told before anything is shown", text)
		}
		notes = append(notes, text)
	}
	opts.Terminal = &terminal
	if err := query(t.Context(), &b, nil, all, sql, opts); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return b.String(), notes
}

func sparse(rows ...[]any) *fake {
	return newFake("r", []string{"id", "dst", "gateway", "mtu BIGINT", "realm INTEGER"}, rows...)
}

func TestEmptyColumns(t *testing.T) {
	r := sparse([]any{"a", "10.0.0.0/8", nil, nil, 0}, []any{"b", "192.0.2.0/24", nil, nil, nil})
	const without = `+----+--------------+-------+
| id | dst          | realm |
+----+--------------+-------+
| a  | 10.0.0.0/8   | 0     |
| b  | 192.0.2.0/24 |       |
+----+--------------+-------+
`
	const note = "not shown, as empty in these rows: gateway, mtu; --wide shows all"
	for _, sql := range []string{"SELECT * FROM r", "SELECT DISTINCT r.* FROM r",
		"WITH x AS (SELECT * FROM r) SELECT * FROM x"} {
		for _, width := range []int{0, 80} {
			if out, notes := shown(t, Terminal{Width: width}, Options{}, sql, r); out != without ||
				!slices.Equal(notes, []string{note}) {
				t.Errorf("%s: got\n%s%q", sql, out, notes)
			}
		}
	}
	// Another column of the name is shown.
	if _, notes := shown(t, Terminal{Width: 80}, Options{}, "SELECT *, gateway FROM r", r); !slices.Equal(notes,
		[]string{"not shown, as empty in these rows: mtu; --wide shows all"}) {
		t.Errorf("%q", notes)
	}
	const named = "SELECT id, gateway FROM r"
	for sql, terminal := range map[string]Terminal{"SELECT * FROM r": {Wide: true, Width: 20}, named: {Width: 80}} {
		if out, notes := shown(t, terminal, Options{}, sql, r); out != mustAsk(t, Pretty, sql, r) || notes != nil {
			t.Errorf("%s: got\n%s%q", sql, out, notes)
		}
	}
	// What is named stays.
	out, notes := shown(t, Terminal{}, Options{}, "SELECT '' AS x, *, NULL AS y FROM r LIMIT 1", r)
	if !strings.Contains(out, "| x | id | dst        | realm | y |\n") || !slices.Equal(notes, []string{note}) {
		t.Errorf("got\n%s%q", out, notes)
	}
	// There must be something.
	out, notes = shown(t, Terminal{Width: 80}, Options{}, "SELECT * FROM (SELECT NULL AS a, '' AS b)")
	if want := mustAsk(t, Pretty, "SELECT NULL AS a, '' AS b"); out != want || notes != nil {
		t.Errorf("got\n%s%q", out, notes)
	}
	// In line and the formats for programs, all is there.
	for _, f := range []Format{Line, JSON, JSONL, CSV, List} {
		out, notes := shown(t, Terminal{Width: 20}, Options{Format: f}, "SELECT * FROM r", r)
		if out != mustAsk(t, f, "SELECT * FROM r", r) || notes != nil {
			t.Errorf("got\n%s%q", out, notes)
		}
	}
}

// TestLateValues: a value that comes in a column which was left out is shown, and its column from there on.
func TestLateValues(t *testing.T) {
	var rows [][]any
	for i := range 2500 {
		rows = append(rows, []any{fmt.Sprint(i), "d", nil, nil, nil})
	}
	rows[1200][2], rows[2300][3] = "192.0.2.1", 65535
	for _, width := range []int{80, 20} {
		out, notes := shown(t, Terminal{Width: width}, Options{}, "SELECT * FROM r", sparse(rows...))
		if width == 80 && !slices.Equal(notes, []string{"not shown, as empty in these rows: realm; --wide shows all"}) {
			t.Errorf("%q", notes)
		}
		if !strings.HasPrefix(out, "+-----+-----+\n| id  | dst |\n+-----+-----+\n| 0   | d   |\n") {
			t.Errorf("it begins with %q", out[:60])
		}
		for i := range rows {
			n := strings.Count(out, fmt.Sprintf("| %-3d ", i)) + strings.Count(out, fmt.Sprintf(" = %d\n", i))
			if n != 1 {
				t.Errorf("row %d is there %d times", i, n)
			}
		}
		if strings.Count(out, "192.0.2.1") != 1 || strings.Count(out, " 65535") != 1 {
			t.Errorf("%d, %d", strings.Count(out, "192.0.2.1"), strings.Count(out, " 65535"))
		}
	}
	out, _ := shown(t, Terminal{Width: 80}, Options{}, "SELECT * FROM r", sparse(rows...))
	const second = `| 1199 | d   |
+-----+-----+
+------+-----+-----------+
| id   | dst | gateway   |
+------+-----+-----------+
| 1200 | d   | 192.0.2.1 |
| 1201 | d   |           |
`
	if !strings.Contains(out, second) {
		t.Errorf("got\n%s", out[strings.Index(out, "| 1199"):][:300])
	}
}

func TestNarrow(t *testing.T) {
	const sql = "SELECT '2001:db8:aaaa:bbbb::/64' AS dst, 'fe80::1234:5678' AS gateway, '日本日本日本日本日本' AS dev, 1 AS n"
	for width, want := range map[int]string{
		81: `+-------------------------+-----------------+----------------------+---+
| dst                     | gateway         | dev                  | n |
+-------------------------+-----------------+----------------------+---+
| 2001:db8:aaaa:bbbb::/64 | fe80::1234:5678 | 日本日本日本日本日本 | 1 |
+-------------------------+-----------------+----------------------+---+
`,
		60: `+-----------------+-----------------+------------------+---+
| dst             | gateway         | dev              | n |
+-----------------+-----------------+------------------+---+
| 2001:db8:aaaa:… | fe80::1234:5678 | 日本日本日本日…  | 1 |
+-----------------+-----------------+------------------+---+
`,
		44: `+------------+------------+------------+---+
| dst        | gateway    | dev        | n |
+------------+------------+------------+---+
| 2001:db8:… | fe80::123… | 日本日本…  | 1 |
+------------+------------+------------+---+
`,
		43: `    dst = 2001:db8:aaaa:bbbb::/64
gateway = fe80::1234:5678
    dev = 日本日本日本日本日本
      n = 1
`,
	} {
		out, notes := shown(t, Terminal{Width: width}, Options{}, sql)
		if out != want {
			t.Errorf("%d columns: got\n%s", width, out)
		}
		if width == 43 != (len(notes) == 1 && strings.HasPrefix(notes[0], "4 columns do not fit side by side")) {
			t.Errorf("%d columns: %q", width, notes)
		}
	}
}

func TestNarrowOne(t *testing.T) {
	out, notes := shown(t, Terminal{Width: 9}, Options{}, "SELECT '2001:db8::' AS dst")
	const want = "the terminal's 9 columns have no room for a column; --wide shows a table"
	if out != "  dst = 2001:db8::\n" || !slices.Equal(notes, []string{want}) {
		t.Errorf("%q, %q", out, notes)
	}
}

// TestNarrowNames: names of columns are cut before values are.
func TestNarrowNames(t *testing.T) {
	const sql = "SELECT 'fe80::1234:5678' AS gateway, 1 AS snapshot_consistent, 2 AS fastopen_no_cookie"
	const want = `+-----------------+------------+------------+
| gateway         | snapshot_… | fastopen_… |
+-----------------+------------+------------+
| fe80::1234:5678 | 1          | 2          |
+-----------------+------------+------------+
`
	if out, _ := shown(t, Terminal{Width: 45}, Options{}, sql); out != want {
		t.Errorf("got\n%s", out)
	}
}

// TestFits: no line of a table is wider than the terminal, and each value is whole or says that it is not.
func TestFits(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", "/", "0", "ü", "e\u0301", "日", "👩‍👧", "\x1b", "\u202e"}
	text := func() string {
		var b strings.Builder
		for range random.IntN(30) {
			b.WriteString(letters[random.IntN(len(letters))])
		}
		return b.String()
	}
	for range 300 {
		columns := []string{"id"}
		for i := range 1 + random.IntN(7) {
			columns = append(columns, fmt.Sprint(strings.Repeat("c", 1+random.IntN(12)), i))
		}
		rows := make([][]any, 1+random.IntN(20))
		for i := range rows {
			for range columns {
				rows[i] = append(rows[i], text())
			}
		}
		if random.IntN(10) == 0 { // wider ones come when the table has begun
			rows = append(slices.Repeat([][]any{make([]any, len(columns))}, heldRows), rows...)
		}
		width := 1 + random.IntN(120)
		out, _ := shown(t, Terminal{Width: width}, Options{}, "SELECT * FROM r", newFake("r", columns, rows...))
		if !strings.HasPrefix(out, "+") {
			continue
		}
		for line := range strings.Lines(out) {
			if strings.HasPrefix(strings.TrimSpace(line), "id = ") {
				break // another table had no room
			}
			if n := iptext.Width([]byte(strings.TrimSuffix(line, "\n"))); n > width {
				t.Fatalf("%d columns in a terminal of %d: %s", n, width, line)
			}
		}
	}
}

func TestCut(t *testing.T) {
	for _, test := range []struct {
		text  string
		width int
		want  string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"abcd", 1, "…"}, {"abcd", 0, ""}, {"abcd", -1, ""}, {"", 0, ""},
		{"日本", 4, "日本"}, {"日本", 3, "日…"}, {"日本", 2, "…"}, {"日本", 1, "…"}, {"e\u0301e\u0301e\u0301", 2, "e\u0301…"},
		{"👩‍👧👩‍👧", 3, "👩‍👧…"},
	} {
		text := []byte(test.text)
		if got := string(iptext.Cut(text, test.width)); got != test.want || string(text) != test.text {
			t.Errorf("%q in %d columns: %q, want %q", test.text, test.width, got, test.want)
		}
	}
}

func TestWidths(t *testing.T) {
	const sql = "SELECT 'abcdef' AS first, 12 AS second, 'x' AS third"
	const want = `+-----+----------+-------+
| fi… |   second | third |
+-----+----------+-------+
| ab… |       12 | x     |
+-----+----------+-------+
`
	for _, terminal := range []*Terminal{nil, {}, {Width: 80}, {Wide: true}} {
		var b strings.Builder
		opts := Options{Widths: []int{3, -8, 0, 7}, Terminal: terminal}
		if err := query(t.Context(), &b, nil, nil, sql, opts); err != nil || b.String() != want {
			t.Errorf("%+v: %v, got\n%s", terminal, err, b.String())
		}
	}
}

func TestColor(t *testing.T) {
	const sql = "SELECT 'blackhole' AS type, '0.0.0.0/0' AS dst, 'default' AS table_name UNION ALL " +
		"SELECT 'unicast', '10.0.0.0/8', 'blackhole' UNION ALL SELECT 'prohibit', '::/0', ''"
	red := func(s string) string { return "\x1b[31m" + s + "\x1b[0m" }
	bold := func(s string) string { return "\x1b[1m" + s + "\x1b[0m" }
	want := `+-----------+------------+------------+
| type      | dst        | table_name |
+-----------+------------+------------+
| ` + red("blackhole") + ` | ` + bold("0.0.0.0/0") + `  | default    |
| unicast   | 10.0.0.0/8 | blackhole  |
| ` + red("prohibit") + `  | ` + bold("::/0") + `       |            |
+-----------+------------+------------+
`
	for _, wide := range []bool{false, true} {
		if out, _ := shown(t, Terminal{Width: 80, Color: true, Wide: wide}, Options{}, sql); out != want {
			t.Errorf("got\n%s", out)
		}
	}
	const lookup = "SELECT 'EHOSTUNREACH' AS error, 'unreachable' AS type"
	lines := "error = " + red("EHOSTUNREACH") + "\n type = " + red("unreachable") + "\n"
	if out, _ := shown(t, Terminal{Color: true}, Options{Format: Line}, lookup); out != lines {
		t.Errorf("got\n%s", out)
	}
	if out, _ := shown(t, Terminal{Color: true, Width: 8}, Options{}, lookup); out != lines {
		t.Errorf("got\n%s", out)
	}
	// A value that is cut is of the same color.
	if out, _ := shown(t, Terminal{Color: true, Width: 10}, Options{Widths: []int{4}},
		"SELECT 'unreachable' AS type"); !strings.Contains(out, "| "+red("unr…")+" |") {
		t.Errorf("got\n%s", out)
	}
	if out, _ := shown(t, Terminal{Color: true}, Options{Format: CSV}, lookup); strings.Contains(out, "\x1b") {
		t.Errorf("got\n%s", out)
	}
}

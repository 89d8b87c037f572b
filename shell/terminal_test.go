package shell

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/shell/iptext"
)

// TestWide: columns are aligned by what a terminal shows.
func TestWide(t *testing.T) {
	const sql = "SELECT 'x' AS '名前', 'größe' AS b UNION ALL SELECT '日本', 'e' || char(769) " +
		"UNION ALL SELECT char(27) || '[0m', ''"
	want := strings.ReplaceAll(`+---------+-------+
| 名前    | b     |
+---------+-------+
| x       | größe |
| 日本    | é     |
| \x1b[0m |       |
+---------+-------+
`, "é", "e\u0301")
	got := mustAsk(t, Pretty, sql)
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	for line := range strings.Lines(got) {
		if n := iptext.Width([]byte(strings.TrimSuffix(line, "\n"))); n != len("+---------+-------+") {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	for _, f := range []Format{Pretty, Line} {
		out := mustAsk(t, f, `SELECT char(27) || char(155) || char(8238) AS "`+"\x1b"+`", x'1b9b'`)
		if strings.ContainsAny(out, "\x1b\u009b\u202e") || !utf8.ValidString(out) {
			t.Errorf("%q", out)
		}
	}
	const lines = "日本語 = 1\nlonger = 2\n"
	if got := mustAsk(t, Line, "SELECT 1 AS '日本語', 2 AS longer"); got != lines {
		t.Errorf("got\n%swant\n%s", got, lines)
	}
}

// TestLongTable: a table is as wide as its first 1,000 rows; then rows come as
// they are, and the wider ones stick out.
func TestLongTable(t *testing.T) {
	table := func(rows, width int) string {
		border := "+" + strings.Repeat("-", width+2) + "+\n"
		var b strings.Builder
		fmt.Fprintf(&b, "%s| %-*s |\n%s", border, width, "x", border)
		for i := range rows {
			fmt.Fprintf(&b, "| %-*d |\n", width, i+1)
		}
		return b.String() + border
	}
	for rows, width := range map[int]int{1: 1, 9: 1, 10: 2, 999: 3, 1000: 4, 1001: 4, 9999: 4, 10000: 4} {
		got := mustAsk(t, Pretty, "SELECT value AS x FROM "+numbers(int64(rows))+"; SELECT 5 AS x")
		if want := table(rows, width) + strings.ReplaceAll(table(1, 1), "| 1", "| 5"); got != want {
			t.Errorf("%d rows: got\n%.200s\n...%.200s", rows, got, got[max(0, len(got)-200):])
		}
	}
}

func TestSeparatorAndHeader(t *testing.T) {
	const sql = "SELECT 'a' AS x, 'b;c' AS y UNION ALL SELECT '', NULL; SELECT 1 AS z WHERE 0"
	for _, test := range []struct {
		opts Options
		want string
	}{
		{Options{Format: List}, "x|y\na|b;c\n|\n"},
		{Options{Format: List, Separator: ";"}, "x;y\na;b;c\n;\n"},
		{Options{Format: List, Separator: ", ", NoHeader: true}, "a, b;c\n, \n"},
		{Options{Format: CSV}, "x,y\na,b;c\n\"\",\nz\n"},
		{Options{Format: CSV, Separator: ";"}, "x;y\na;\"b;c\"\n\"\";\nz\n"},
		{Options{Format: CSV, Separator: "|", NoHeader: true}, "a|b;c\n\"\"|\n"},
		{Options{Format: Line, Separator: ";", NoHeader: true}, "    x = a\n    y = b;c\n\n    x = \n    y = \n"},
		{Options{Format: JSONL, Separator: ";", NoHeader: true},
			"{\"x\":\"a\",\"y\":\"b;c\"}\n{\"x\":\"\",\"y\":\"\"}\n"},
	} {
		var out strings.Builder
		if err := query(t.Context(), &out, nil, nil, sql, test.opts); err != nil || out.String() != test.want {
			t.Errorf("%+v: got %q, %v, want %q", test.opts, out.String(), err, test.want)
		}
	}
}

// TestTerminalNames: an interface's name cannot drive the terminal.
func TestTerminalNames(t *testing.T) {
	nstest.New(t)
	const name = "a\x1b[7m\u202eb"
	nstest.IP(t, "link add "+name+" type veth peer name p")
	nstest.IP(t, "link set "+name+" up")
	nstest.IP(t, "route add 192.0.2.0/24 dev "+name)
	const sql = "SELECT dst, dev FROM kernel_routes WHERE dst = '192.0.2.0/24'"
	for format, want := range map[Format]string{
		Line: "  dst = 192.0.2.0/24\n  dev = a\\x1b[7m\\u202eb\n",
		Pretty: `+--------------+-----------------+
| dst          | dev             |
+--------------+-----------------+
| 192.0.2.0/24 | a\x1b[7m\u202eb |
+--------------+-----------------+
`,
		CSV: "dst,dev\n192.0.2.0/24," + name + "\n", // for programs
	} {
		var out strings.Builder
		err := Query(t.Context(), &out, new(rtnl.Kernel), sql, Options{Format: format})
		if err != nil || out.String() != want {
			t.Errorf("got\n%s%vwant\n%s", out.String(), err, want)
		}
	}
	var out strings.Builder
	err := Routes(t.Context(), &out, new(rtnl.Kernel), RoutesOptions{Summary: true, Table: "main"})
	if want := ` dev a\x1b[7m\u202eb [BOOT]`; err != nil || !strings.Contains(out.String(), want) {
		t.Errorf("got\n%s%v", out.String(), err)
	}
}

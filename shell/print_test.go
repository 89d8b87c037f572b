package shell

import (
	"encoding/csv"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

var formatNames = map[string]Format{"pretty": Pretty, "json": JSON, "jsonl": JSONL, "csv": CSV, "line": Line,
	"list": List}

// formatValues has a value of each type, and what is quoted.
const formatValues = `SELECT 'x' AS name, 12 AS n, NULL AS none, '' AS empty, 1.5 AS f UNION ALL
		SELECT 'größe, "q"', -1, 3, 'a
b', 2.0`

// formatCases are statements, and what is printed in each format.
var formatCases = []struct {
	name, sql string
	want      map[string]string
}{
	{"values", formatValues, map[string]string{
		"pretty": `+------------+----+------+-------+-----+
| name       | n  | none | empty | f   |
+------------+----+------+-------+-----+
| x          | 12 |      |       | 1.5 |
| größe, "q" | -1 | 3    | a\nb  | 2.0 |
+------------+----+------+-------+-----+
`,
		"json": `[
  {"empty":"","f":"1.5","n":"12","name":"x","none":""},
  {"empty":"a\nb","f":"2.0","n":"-1","name":"größe, \"q\"","none":"3"}
]
`,
		"jsonl": `{"empty":"","f":"1.5","n":"12","name":"x","none":""}
{"empty":"a\nb","f":"2.0","n":"-1","name":"größe, \"q\"","none":"3"}
`,
		"csv": `name,n,none,empty,f
x,12,,"",1.5
"größe, ""q""",-1,3,"a
b",2.0
`,
		"line": ` name = x
    n = 12
 none = 
empty = 
    f = 1.5

 name = größe, "q"
    n = -1
 none = 3
empty = a\nb
    f = 2.0
`,
		"list": `name|n|none|empty|f
x|12|||1.5
größe, "q"|-1|3|a
b|2.0
`,
	}},
	{"no rows", "SELECT 1 AS a, 2 AS b WHERE 0", map[string]string{
		"pretty": "", "json": "[\n\n]\n", "jsonl": "", "csv": "a,b\n", "line": "", "list": "",
	}},
	{"names that are the same", "SELECT 1 AS a, 2 AS a", map[string]string{
		"pretty": "+---+---+\n| a | a |\n+---+---+\n| 1 | 2 |\n+---+---+\n",
		"json":   "[\n  {\"a\":\"2\"}\n]\n", "jsonl": "{\"a\":\"2\"}\n", "csv": "a,a\n1,2\n",
		"line": "    a = 1\n    a = 2\n", "list": "a|a\n1|2\n",
	}},
	{"only NULL", "SELECT NULL AS a", map[string]string{
		"pretty": "+---+\n| a |\n+---+\n|   |\n+---+\n",
		"json":   "[\n  {\"a\":\"\"}\n]\n", "jsonl": "{\"a\":\"\"}\n", "csv": "a\n\"\"\n", "line": "    a = \n",
		"list": "a\n\n",
	}},
	{"several statements", "SELECT 1 AS a; SELECT 2 AS b;", map[string]string{
		"pretty": "+---+\n| a |\n+---+\n| 1 |\n+---+\n+---+\n| b |\n+---+\n| 2 |\n+---+\n",
		"json":   "[\n  {\"a\":\"1\"},\n  {\"b\":\"2\"}\n]\n", "jsonl": "{\"a\":\"1\"}\n{\"b\":\"2\"}\n",
		"csv": "a\n1\nb\n2\n", "line": "    a = 1\n    b = 2\n", "list": "a\n1\nb\n2\n",
	}},
	{"statements without rows", "CREATE TABLE t(a); INSERT INTO t VALUES (7); SELECT * FROM t; DROP TABLE t",
		map[string]string{
			"pretty": "+---+\n| a |\n+---+\n| 7 |\n+---+\n",
			"json":   "[\n  {\"a\":\"7\"}\n]\n", "jsonl": "{\"a\":\"7\"}\n", "csv": "a\n7\n", "line": "    a = 7\n",
			"list": "a\n7\n",
		}},
	{"a command between statements", "SELECT 1 AS a;\n.tables\nSELECT 2 AS a", map[string]string{
		"json": "[\n  {\"a\":\"1\"}\n]\n  => r\n[\n  {\"a\":\"2\"}\n]\n",
	}},
}

// TestFormats compares with what osqueryi prints; csv differs in its separator.
func TestFormats(t *testing.T) {
	for _, test := range formatCases {
		for format, want := range test.want {
			if got := mustAsk(t, formatNames[format], test.sql, routesFake()); got != want {
				t.Errorf("%s, %s: got\n%s\nwant\n%s", test.name, format, got, want)
			}
		}
	}
}

func FuzzFormats(f *testing.F) {
	for _, s := range []string{"", "plain", "\x00\x1f\x7f\"\\/\b\f\n\r\t", "a,b|c\n\"", "größe\u2028", "\xff\xc3",
		"\xf0\x9f\x98\x80", "\xed\xa0\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := string(appendJSON([]byte("x"), []byte(s))); !strings.HasPrefix(got, "x") || !utf8.ValidString(got) {
			t.Errorf("%q is no text", got)
		}
		var back string
		if err := json.Unmarshal([]byte(`"`+string(appendJSON(nil, []byte(s)))+`"`), &back); err != nil {
			t.Fatal(err)
		}
		if want := string([]rune(s)); back != want {
			t.Errorf("JSON reads as %q, want %q", back, want)
		}
		if strings.Contains(s, "\r") {
			return // the reader makes \r\n a \n
		}
		line := "x," + string(appendCSV(nil, []byte(s), []byte(","))) + "\n"
		row, err := csv.NewReader(strings.NewReader(line)).Read()
		if err != nil || !reflect.DeepEqual(row, []string{"x", s}) {
			t.Errorf("CSV reads as %q, %v, want %q", row, err, s)
		}
	})
}

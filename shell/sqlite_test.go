package shell

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"kernelroutes/tables"
)

// TestPushdown checks which conditions a table is told of, and that the answer
// is right although this one makes use of none.
func TestPushdown(t *testing.T) {
	for _, test := range []struct {
		where   string
		queries string // constraints of each scan, "|" between scans
		rows    string // ids
	}{
		{"1", "", "abc"},
		{"dst = '10.0.0.0/8'", "dst=10.0.0.0/8", "b"},
		{"dst = ''", "dst=", ""},
		{"dev = ''", "dev=", "c"},
		{"dev IS NULL", "", ""},
		{"'eth1' = dev", "dev=eth1", "b"},
		{"dev = 'eth0' AND dev = 'eth1'", "none", ""},
		{"dev IN ('eth0', 'x') AND dev IN ('eth1', 'eth0')", "dev=eth0 dev=x dev=eth0 dev=eth1", "a"},
		{"dev IN ('eth0', 'eth1')", "dev=eth0 dev=eth1", "ab"},
		{"dev IN ('eth0', NULL)", "dev=eth0", "a"},
		{"dev IN (NULL)", "none", ""},
		{"dev IN ()", "none", ""},
		{"dev NOT IN ('eth0')", "", "bc"},
		{"dev IN (SELECT 'eth' || value FROM " + numbers(3) + ")", "dev=eth1 dev=eth2 dev=eth3", "b"},
		{"dev = 'eth0' OR dst = '10.0.0.0/8'", "dev=eth0|dst=10.0.0.0/8", "ab"},
		{"metric = 100", "metric=100", "a"},
		{"metric = '100'", "metric=100", "a"},
		{"metric = 100.0", "metric=100.0", "a"},
		{"metric = NULL", "none", ""},
		{"metric IS NULL", "", "b"},
		{"metric = 'abc'", "metric=abc", ""},
		{"metric > 100", "metric>100", "c"},
		{"metric >= 100 AND metric < 4294967295", "metric>=100 metric<4294967295", "a"},
		{"metric BETWEEN 1 AND 100.5", "metric>=1 metric<=100.5", "a"},
		{"metric < '200'", "metric<200", "a"},
		{"metric < 'abc'", "", "ac"},
		{"metric > NULL", "none", ""},
		{"dst > '10'", "", "bc"},
		{"dst LIKE '10.%'", "", "b"},
		{"dev = 'ETH0' COLLATE NOCASE", "", "a"},
		{"dev = 'eth0 ' COLLATE RTRIM", "", "a"},
		{"rowid = 2", "", "b"},
		{"+metric = 100", "", "a"},
		{"id = 'c' AND metric > 1", "id=c metric>1", "c"},
		{"1 ORDER BY metric DESC LIMIT 1", "", "c"},
	} {
		f := routesFake()
		got := strings.NewReplacer("\n", "", "id", "").Replace(mustAsk(t, CSV, "SELECT id FROM r WHERE "+test.where, f))
		if got != test.rows {
			t.Errorf("%s: rows %q, want %q", test.where, got, test.rows)
		}
		var scans []string
		for _, q := range f.queries {
			scans = append(scans, constraints(f.Table, q))
		}
		got = strings.Join(scans, "|")
		if scans == nil {
			got = "none"
		}
		if got != test.queries {
			t.Errorf("%s: asked for %q, want %q", test.where, got, test.queries)
		}
	}
}

// constraints writes a query's constraints as in TestPushdown.
func constraints(t *tables.Table, q tables.Query) string {
	ops := map[tables.Op]string{tables.Equals: "=", tables.GreaterThan: ">", tables.GreaterOrEqual: ">=",
		tables.LessThan: "<", tables.LessOrEqual: "<="}
	var all []string
	for _, c := range q.Constraints {
		all = append(all, t.Columns[c.Column].Name+ops[c.Op]+c.Expr)
	}
	return strings.Join(all, " ")
}

func TestUsedColumns(t *testing.T) {
	wide := newFake("wide", nil, make([]any, 75))
	for i := range 75 {
		wide.Columns = append(wide.Columns, tables.ColumnInfo{Name: "c" + strconv.Itoa(i), Type: tables.Text})
	}
	for sql, want := range map[string]string{
		"SELECT count(*) FROM wide":         "",
		"SELECT c1, c7 FROM wide":           "1 7",
		"SELECT c2 FROM wide WHERE c3 = ''": "2 3",
		"SELECT c62 FROM wide":              "62",
		"SELECT c63 FROM wide":              "63 64 65 66 67 68 69 70 71 72 73 74", // SQLite does not say which
		"SELECT c74 FROM wide":              "63 64 65 66 67 68 69 70 71 72 73 74",
	} {
		wide.queries = nil
		mustAsk(t, CSV, sql, wide)
		var used []string
		for i, u := range wide.queries[0].Used {
			if u {
				used = append(used, strconv.Itoa(i))
			}
		}
		if got := strings.Join(used, " "); got != want {
			t.Errorf("%s: used %s, want %s", sql, got, want)
		}
	}
}

// TestJoin checks that the table whose rows can be looked up is inside, whichever
// way round the join is written.
func TestJoin(t *testing.T) {
	for _, sql := range []string{
		"SELECT r.dst, n.hop FROM r JOIN n USING (id) WHERE r.dev = 'eth1'",
		"SELECT r.dst, n.hop FROM n JOIN r USING (id) WHERE r.dev = 'eth1'",
		"SELECT r.dst, n.hop FROM r LEFT JOIN n ON n.id = r.id WHERE r.dev = 'eth1'",
	} {
		r := routesFake()
		n := newFake("n", []string{"id", "hop"}, []any{"a", "x"}, []any{"b", "y"}, []any{"b", "z"})
		if got, want := mustAsk(t, List, sql, r, n), "dst|hop\n10.0.0.0/8|y\n10.0.0.0/8|z\n"; got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
		if len(r.queries) != 1 || constraints(r.Table, r.queries[0]) != "dev=eth1" {
			t.Errorf("%s: r was asked %v", sql, r.queries)
		}
		if len(n.queries) != len(r.rows) { // r returns all rows, SQLite drops two of them
			continue
		}
		t.Errorf("%s: n was asked %v", sql, n.queries)
	}
}

func TestValues(t *testing.T) {
	// Texts that repeat are handed over in another way than those that do not.
	var rows [][]any
	var want strings.Builder
	for i := range 40 {
		text := any(fmt.Sprint("text ", i/10*(i%3)))
		if i%7 == 0 {
			text = nil
		}
		rows = append(rows, []any{text, i})
		if text == nil {
			text = ""
		}
		fmt.Fprintf(&want, "%d|%s\n", i, text)
	}
	f := newFake("t", []string{"a", "b INTEGER"}, rows...)
	for _, sql := range []string{
		"SELECT b, a FROM t",
		"SELECT b, a FROM t ORDER BY b",
		"SELECT b, a FROM (SELECT * FROM t UNION ALL SELECT * FROM t WHERE 0)",
		"SELECT x.b, x.a FROM t x JOIN t y ON x.b = y.b",
		"WITH w AS MATERIALIZED (SELECT * FROM t) SELECT b, a FROM w",
	} {
		got := mustAsk(t, List, sql, f)
		if _, got, _ = strings.Cut(got, "\n"); got != want.String() {
			t.Errorf("%s: got\n%s", sql, got)
		}
	}
}

// TestAbsent: TEXT reads as ”, a number as NULL.
func TestAbsent(t *testing.T) {
	f := newFake("t", []string{"a", "b BIGINT", "c INTEGER"}, []any{nil, nil, nil})
	if got, want := mustAsk(t, List, "SELECT quote(a), quote(b), quote(c) FROM t", f),
		"quote(a)|quote(b)|quote(c)\n''|NULL|NULL\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTableFails(t *testing.T) {
	f := routesFake()
	f.err = errors.New("dump routes: not permitted; do this or that")
	for _, sql := range []string{
		"SELECT * FROM r", "SELECT 1; SELECT count(*) FROM r", "SELECT 1 UNION ALL SELECT flags FROM r",
	} {
		for format := Pretty; format <= List; format++ {
			if out, err := ask(format, sql, f); !errors.Is(err, f.err) || err.Error() != f.err.Error() || out != "" {
				t.Errorf("%s: printed %q, error %v", sql, out, err)
			}
		}
	}
}

// TestDialect: what works in osquery works here.
func TestDialect(t *testing.T) {
	for expr, want := range map[string]string{
		`"a string"`:                             "a string",
		`regex_match('eth0', '^eth([0-9])$', 1)`: "0",
		`json_extract('[1,2]', '$[1]')`:          "2",
		`round(1.26, 1)`:                         "1.3",
		`1e3`:                                    "1000.0",
		`x'6162'`:                                "ab",
		`typeof((SELECT metric FROM r))`:         "integer",
		`(SELECT sum(metric) FROM r) / 2.0`:      "2147483697.5",
		`(SELECT group_concat(dev) FROM r)`:      "eth0,eth1,",
		`iif((SELECT count(*) FROM r)=3,7,8)`:    "7",
	} {
		got := mustAsk(t, List, "SELECT "+expr+" AS x", routesFake())
		if got = strings.TrimSuffix(strings.TrimPrefix(got, "x\n"), "\n"); got != want {
			t.Errorf("%s is %q, want %q", expr, got, want)
		}
	}
}

package osquerytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ncruces/go-sqlite3"
)

// told is what each request says of a table's columns: "name op expr" of each constraint.
func told(t *testing.T, requests []Request) (all []string) {
	t.Helper()
	for _, r := range requests {
		var c struct{ Constraints []columnConstraints }
		if err := json.Unmarshal([]byte(r.Context), &c); err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, col := range c.Constraints {
			for _, item := range col.List {
				words = append(words, fmt.Sprintf("%s %d %s", col.Name, item.Op, item.Expr))
			}
		}
		all = append(all, r.Table+": "+strings.Join(words, ", "))
	}
	return all
}

// TestConstraints has a column of each kind.
func TestConstraints(t *testing.T) {
	columns := []column{
		{"plain", "TEXT", 0, false},
		{"number", "BIGINT", additional, false},
		{"only_optimized", "TEXT", optimized, false},
		{"only_hidden", "TEXT", hidden, false},
		{"netns", "TEXT", hidden | additional | optimized, false},
	}
	m := fakeExtension(t, &fakeTable{name: "t", columns: columns},
		&fakeTable{name: "n", columns: append(slices.Clone(columns),
			column{"dst", "TEXT", required | optimized, false}, column{"src", "TEXT", required, false})})
	const missing = "Table n was queried without a required column in the WHERE clause"
	for where, want := range map[string][]string{
		"t WHERE plain IN ('a', 'b')":                       {"t: plain 2 a", "t: plain 2 b"}, // not optimized
		"t WHERE netns IN ('b', 'a')":                       {"t: netns 2 a, netns 2 b"},
		"t WHERE netns IN ('', 'a')":                        {"t: netns 2 , netns 2 a"},
		"t WHERE netns IN (SELECT 'a' UNION SELECT 'b')":    {"t: netns 2 a, netns 2 b"},
		"t WHERE netns IN (NULL, 'a')":                      {"t: netns 2 a"},
		"t WHERE netns IN ('a')":                            {"t: netns 2 a"},
		"t WHERE netns = ''":                                {"t: "},
		"t WHERE netns = 'a' || char(0) || 'b'":             {"t: netns 2 a"},
		"t WHERE number > 7":                                {"t: number 4 7"},
		"t WHERE number > 7.5":                              {"t: number 4 7.5"},
		"t WHERE number BETWEEN 1 AND 1e30":                 {"t: number 32 1, number 8 1.0e+30"},
		"t WHERE plain > '7'":                               {"t: "}, // the order of texts
		"t WHERE plain IS 'x' AND number IS NOT NULL":       {"t: plain 72 x"},
		"t WHERE only_hidden = 'a'":                         {"t: "},
		"t WHERE only_optimized IN ('a', 'b')":              {"t: "},
		"t WHERE rowid = 5":                                 {"t: "},
		"t WHERE netns = 'a' OR netns = 'b'":                {"t: netns 2 a, netns 2 b"},
		"t WHERE netns = 'a' OR plain = 'b'":                {"t: netns 2 a", "t: plain 2 b"},
		"t LIMIT 3 OFFSET 2":                                {"t: plain 73 3, plain 74 2"},
		"n WHERE netns = 'a'":                               {missing},
		"n WHERE dst > 'a'":                                 {missing},
		"n WHERE dst IN ('a', 'b')":                         {"n: dst 2 a, dst 2 b"},
		"n WHERE src = 'a'":                                 {"n: src 2 a"}, // one is enough
		"n WHERE src = ''":                                  {"n: "},
		"t CROSS JOIN n ON n.dst = t.plain":                 {"t: "}, // no rows
		"(SELECT netns FROM t) WHERE netns = 'pushed down'": {"t: netns 2 pushed down"},
		"t WHERE plain = 'a' AND plain = 'b'":               nil,
	} {
		r, err := m.Run(timeLimit(t), "SELECT * FROM "+where)
		got := told(t, r.Requests)
		if err != nil {
			got = []string{err.Error()}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%q, want\n%q", where, got, want)
		}
	}
	// All columns from the 64th on have one bit.
	many := &fakeTable{name: "many"}
	for i := range 70 {
		many.columns = append(many.columns, column{fmt.Sprint("c", i), "TEXT", 0, false})
	}
	m = fakeExtension(t, many)
	for name, want := range map[string]string{"c62": `["c62"],"colsUsedBitset":4611686018427387904`,
		"c65": `["c63","c64","c65","c66","c67","c68","c69"],"colsUsedBitset":9223372036854775808`} {
		r, err := m.Run(timeLimit(t), "SELECT "+name+" FROM many")
		if err != nil || len(r.Requests) != 1 || !strings.Contains(r.Requests[0].Context, `"colsUsed":`+want) {
			t.Errorf("%s: %v, %v, want %s", name, r.Requests, err, want)
		}
	}
}

// TestInsideJoin: osquery tells the inner table of a join of IN only the first time.
func TestInsideJoin(t *testing.T) {
	m := fakeExtension(t, recordedTables()...)
	first := "kernel_routes: dst 2 10.0.0.0/8, family 2 ipv4, family 2 ipv6"
	later := "kernel_routes: dst 2 10.0.0.0/8"
	r, err := m.Run(timeLimit(t), `SELECT n.metric FROM kernel_routes r CROSS JOIN kernel_routes n
		ON n.dst = r.dst WHERE n.family IN ('ipv4', 'ipv6')`)
	want := []string{"kernel_routes: ", first, later, later}
	if got := told(t, r.Requests); err != nil || len(r.Rows) != 9 || !slices.Equal(got, want) {
		t.Errorf("%d rows, %q, %v, want 9 rows, %q", len(r.Rows), got, err, want)
	}
}

// TestValues has values of rows as extensions may send them.
func TestValues(t *testing.T) {
	columns := []column{{"t", "TEXT", 0, false}, {"i", "INTEGER", 0, false}, {"b", "BIGINT", 0, false},
		{"u", "UNSIGNED BIGINT", 0, false}, {"d", "DOUBLE", 0, false}}
	table := &fakeTable{name: "v", columns: columns}
	m := fakeExtension(t, table)
	query := func(sql string) string {
		rows, err := m.Query(timeLimit(t), sql)
		if err != nil || len(rows) != 1 {
			t.Fatalf("%s: %v, %v", sql, rows, err)
		}
		return rows[0]["x"]
	}
	for _, tc := range []struct{ column, sent, want string }{
		{"i", "7", "integer 7"}, {"i", "4294967295", "integer -1"}, {"i", "0x10", "integer 16"},
		{"i", "010", "integer 8"}, {"i", "08", "integer 0"}, {"i", " 9", "integer 9"}, {"i", "12abc", "integer 12"},
		{"i", "0x", "integer 0"}, {"i", "-5", "integer -5"}, {"i", "+5", "integer 5"}, {"i", "-", "null "},
		{"i", "", "null "}, {"i", "x", "null "}, {"i", "9223372036854775808", "null "},
		{"b", "4294967295", "integer 4294967295"}, {"b", "-0x1f", "integer -31"},
		{"b", "99999999999999999999", "null "},
		{"u", "9223372036854775807", "integer 9223372036854775807"}, {"u", "18446744073709551615", "null "},
		{"d", "1.5", "real 1.5"}, {"d", "1.5x", "null "}, {"d", "", "null "}, {"d", " 2", "real 2.0"},
		{"t", "", "text "}, {"t", "a\x00b", "text a"}, {"t", "0x10", "text 0x10"},
	} {
		table.rows = []map[string]string{{tc.column: tc.sent}}
		sql := fmt.Sprintf("SELECT typeof(%[1]s) || ' ' || coalesce(%[1]s, '') AS x FROM v", tc.column)
		if got := query(sql); got != tc.want {
			t.Errorf("%s %q is %s, want %s", tc.column, tc.sent, got, tc.want)
		}
	}
	table.rows = []map[string]string{{"rowid": "77"}}
	for sql, want := range map[string]string{
		"SELECT typeof(t) || typeof(i) || typeof(d) AS x FROM v": "textnullnull", // absent
		`SELECT "a b" AS x`: "a b",
		`CREATE TEMP VIEW w AS SELECT "a b" AS x; SELECT x FROM w`: "a b",
		"SELECT NULL AS x":                            "",
		"SELECT 'a' || char(0) || 'b' AS x":           "a",
		"SELECT 2.0 AS x":                             "2.0",
		"SELECT 1.0/3 AS x":                           "0.333333333333333",
		"SELECT 1e20 AS x":                            "1e+20.0", // castVariant's
		"SELECT 0.00001 AS x":                         "1e-05.0",
		"SELECT -123456789012345.6 AS x":              "-123456789012346.0",
		"SELECT 1 AS x, 2 AS x":                       "2",
		"SELECT rowid AS x FROM v":                    "77",
		"SELECT x'414200' AS x":                       "AB",
		"SELECT 9223372036854775807 AS x":             "9223372036854775807",
		"; -- nothing\n/* at all */ SELECT 1 AS x; ;": "1",
	} {
		if got := query(sql); got != want {
			t.Errorf("%s is %q, want %q", sql, got, want)
		}
	}
}

// TestRefused has what osquery refuses, and what it does not.
func TestRefused(t *testing.T) {
	failing := &fakeTable{name: "failing", columns: []column{{"a", "TEXT", 0, false}},
		failure: "no, and that is that", rows: []map[string]string{{"a": "1"}}}
	m := fakeExtension(t, append(recordedTables(), failing)...)
	const some = "SELECT group_concat(route_id"
	for sql, want := range map[string]string{
		"ATTACH '/tmp/x' AS x":                                                 "not authorized",
		"PRAGMA temp_store_directory = '/tmp'":                                 "not authorized",
		"CREATE INDEX i ON kernel_routes (dst)":                                "virtual tables may not be indexed",
		"CREATE TEMP TABLE x (a PRIMARY KEY)":                                  "not authorized",
		"CREATE TABLE y (a); CREATE TRIGGER x DELETE ON y BEGIN SELECT 1; END": "not authorized",
		"SAVEPOINT x":                                    "not authorized",
		"SELECT regexp('a', 'b')":                        "no such function: regexp",
		"SELECT 'a' REGEXP 'b'":                          "no such function: regexp",
		"SELECT in_cidr_block('10.0.0.0/8', '10.0.0.1')": "no such function: in_cidr_block",
		"SELECT string_agg(dst, ',') FROM kernel_routes": "no such function: string_agg",
		"SELECT sqrt(2)":                                 "no such function: sqrt",
		"SELECT iif(1, 2)":                               "wrong number of arguments to function iif()",
		"SELECT value FROM generate_series(1, 2)":        "no such table: generate_series",
		some + " ORDER BY dst) FROM kernel_routes":       "near \"ORDER\": syntax error",
		"SELECT 1_000":                                   "near \"_000\": syntax error",
		"SELECT nix FROM kernel_routes":                  "no such column: nix",
		"SELECT * FROM processes":                        "no such table: processes",
		"SELEC 1":                                        "near \"SELEC\": syntax error",
		"SELECT 1; SELECT * FROM failing":                "no, and that is that",
		"INSERT INTO kernel_routes (dst) VALUES ('x')":   "table kernel_routes may not be modified",
	} {
		if rows, err := m.Query(timeLimit(t), sql); err == nil || err.Error() != want || len(rows) > 0 {
			t.Errorf("%s: %v, %v, want %s", sql, rows, err, want)
		}
	}
	for _, sql := range []string{
		"CREATE TEMP TABLE x AS SELECT * FROM kernel_routes; SELECT dst FROM x",
		"CREATE TEMP VIEW x AS SELECT * FROM kernel_routes; SELECT dst FROM x",
		"BEGIN; SELECT dst FROM kernel_routes; COMMIT",
		"PRAGMA table_info(kernel_routes)",
		"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3) SELECT * FROM c",
		"WITH r AS MATERIALIZED (SELECT * FROM kernel_routes) SELECT dst FROM r UNION ALL SELECT dst FROM r",
		"SELECT DISTINCT rank() OVER (ORDER BY dst) FROM kernel_routes",
		some + ", '(ORDER BY') FROM (SELECT * FROM kernel_routes ORDER BY dst)",
		"SELECT dst FROM kernel_routes WHERE dst LIKE (SELECT dst FROM kernel_routes ORDER BY dst)",
		"EXPLAIN QUERY PLAN SELECT dst FROM kernel_routes",
	} {
		if rows, err := m.Query(timeLimit(t), sql); err != nil || len(rows) == 0 {
			t.Errorf("%s: %v, %v", sql, rows, err)
		}
	}
	m.Define(func(conn *sqlite3.Conn) error {
		return conn.CreateFunction("in_cidr_block", 2, sqlite3.DETERMINISTIC,
			func(ctx sqlite3.Context, _ ...sqlite3.Value) { ctx.ResultInt(1) })
	})
	if rows, err := m.Query(timeLimit(t), "SELECT IN_CIDR_BLOCK('a', 'b') AS x"); err != nil || rows[0]["x"] != "1" {
		t.Errorf("a function that was defined: %v, %v", rows, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.Query(ctx, "SELECT 1"); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

// TestPlansAsOlder checks that SQLite does not make a join of EXISTS, as only newer ones do.
func TestPlansAsOlder(t *testing.T) {
	m := fakeExtension(t, recordedTables()...)
	const exists = `SELECT dst FROM kernel_routes r WHERE EXISTS
		(SELECT 1 FROM kernel_route_nexthops n WHERE n.route_id = r.route_id AND n.weight = 1)`
	rows, err := m.Query(timeLimit(t), "EXPLAIN QUERY PLAN "+exists)
	if err != nil || len(rows) != 3 || !strings.HasPrefix(rows[1]["detail"], "CORRELATED SCALAR SUBQUERY") {
		t.Errorf("%v, %v", rows, err)
	}
	r, err := m.Run(timeLimit(t), exists)
	if cost := r.Cost(); err != nil || len(r.Rows) != 3 || cost.Requests != 4 || cost.Rows != 12 {
		t.Errorf("%v, %v, %v", r.Rows, cost, err)
	}
}

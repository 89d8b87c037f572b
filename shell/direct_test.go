package shell

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
)

// TestOriginColumns: statements that pass rows on are found, others are not, and the
// answer is the same as through SQLite.
func TestOriginColumns(t *testing.T) {
	r := routesFake()
	r.rows = append(r.rows, []any{"d", "x\x00y\xff", nil, nil, -1})
	db, err := openDatabase([]sqlTable{r.sqlTable})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for sql, passed := range map[string]bool{
		"SELECT * FROM r":                                    true,
		"SELECT id, metric FROM r":                           true,
		"SELECT metric, id, metric AS m FROM r":              true,
		"SELECT dst FROM (SELECT id, dst FROM r)":            true,
		"WITH w AS (SELECT * FROM r) SELECT metric FROM w":   true,
		"-- all of it\nSELECT * FROM r":                      true,
		"SELECT 1":                                           false,
		"SELECT id, 1 FROM r":                                false,
		"SELECT id || dst FROM r":                            false,
		"SELECT rowid FROM r":                                false,
		"SELECT count(*) FROM r":                             false,
		"SELECT max(metric) FROM r":                          false,
		"SELECT id FROM r WHERE dst = '10.0.0.0/8'":          false,
		"SELECT id FROM r WHERE metric > 1":                  false,
		"SELECT id FROM r LIMIT 2":                           false,
		"SELECT id FROM r LIMIT -1 OFFSET 1":                 false,
		"SELECT id FROM r ORDER BY id DESC":                  false,
		"SELECT DISTINCT flags FROM r":                       false,
		"SELECT flags FROM r GROUP BY 1":                     false,
		"SELECT id FROM r UNION ALL SELECT dst FROM r":       false,
		"SELECT id FROM r EXCEPT SELECT 'a'":                 false,
		"SELECT a.id, b.id FROM r a, r b":                    false,
		"SELECT a.id FROM r a, r b":                          false,
		"SELECT id FROM r, " + numbers(3):                    false,
		"SELECT id FROM " + numbers(3) + ", r":               false,
		"SELECT value FROM json_each('[1, 2]')":              true,
		"SELECT b.id FROM r a LEFT JOIN r b ON b.id = a.dst": false,
		"SELECT id FROM r WHERE dst IN (SELECT dst FROM r)":  false,
		"SELECT id, (SELECT max(id) FROM r) FROM r":          false,
		"SELECT id, row_number() OVER (ORDER BY id) FROM r":  false,
		"EXPLAIN SELECT * FROM r":                            false,
		"SELECT lower(id) FROM r":                            false,
		"SELECT * FROM (SELECT id FROM r LIMIT 2)":           false,
		"SELECT id FROM r NATURAL JOIN (SELECT 'a' AS id)":   false,
		"VALUES (1)":                                           false,
		"SELECT id FROM r WHERE 0":                             true,
		"SELECT CAST(metric AS TEXT) FROM r":                   false,
		"SELECT id FROM r AS x WHERE EXISTS (SELECT * FROM r)": false,
	} {
		stmt, _, err := db.Prepare(sql)
		if err != nil {
			t.Fatal(sql, err)
		}
		from := originColumns(db.program(sql), stmt.ColumnCount())
		stmt.Close()
		if (from != nil) != passed {
			t.Errorf("%s: passed on is %v", sql, from)
		}
		if !passed {
			continue
		}
		for name, format := range formatNames {
			got, want := mustAsk(t, format, sql, r), mustAsk(t, format, sql+" LIMIT 1000", r)
			if got != want {
				t.Errorf("%s, %s: got\n%s\nwant\n%s", sql, name, got, want)
			}
		}
	}
}

// TestDirect compares what is printed with and without direct.go, for statements
// made at random.
func TestDirect(t *testing.T) {
	statements, together := nstest.Amount(4000, 1000), 50
	a := newFake("a", []string{"id", "x", "y BIGINT", "z INTEGER"})
	b := newFake("b", []string{"id", "x", "y BIGINT", "w"})
	random := rand.New(rand.NewPCG(1, 2))
	texts := []any{nil, "", "a", "B", "b", "a b", "10", "größe", "x\x00y", "\xff", "\"q\",|", "1.5"}
	numbers := []any{nil, 0, 1, -1, 10, int64(math.MaxUint32), int64(math.MinInt64), int64(math.MaxInt64)}
	for i := range 30 {
		pick := func(from []any) any { return from[random.IntN(len(from))] }
		a.rows = append(a.rows, []any{fmt.Sprint(i % 20), pick(texts), pick(numbers), pick(numbers[:5])})
		b.rows = append(b.rows, []any{fmt.Sprint(i), pick(texts), pick(numbers), pick(texts)})
	}
	run := func(sql string, f Format, indirect bool) string {
		var out bytes.Buffer
		opts := Options{Format: f, indirect: indirect}
		err := query(context.Background(), &out, nil, []sqlTable{a.sqlTable, b.sqlTable}, sql, opts)
		return fmt.Sprint(out.String(), err)
	}
	db, err := openDatabase([]sqlTable{a.sqlTable, b.sqlTable})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	passed := 0
	for i := range statements / together {
		f := Format(i % (int(List) + 1))
		var batch []string
		for range together {
			sql := (&generator{random}).statement()
			batch = append(batch, sql)
			stmt, _, err := db.Prepare(sql)
			if err != nil {
				t.Fatalf("%s: %v", sql, err)
			}
			if originColumns(db.program(sql), stmt.ColumnCount()) != nil {
				passed++
			}
			stmt.Close()
		}
		all := strings.Join(batch, ";\n")
		if run(all, f, false) == run(all, f, true) {
			continue
		}
		for _, sql := range batch {
			if got, want := run(sql, f, false), run(sql, f, true); got != want {
				t.Errorf("%s: got\n%s\nwant\n%s", sql, got, want)
			}
		}
	}
	if passed < statements/10 || passed > statements*9/10 {
		t.Errorf("%d of %d statements are passed on", passed, statements)
	}
}

// A generator makes SELECT statements on the tables a and b of TestDirect. SQLite
// runs a statement the same way each time, so also the order of rows that SQL
// leaves open has to be the same.
type generator struct{ *rand.Rand }

func (g *generator) one(from ...string) string { return from[g.IntN(len(from))] }

// maybe returns the text once in n times.
func (g *generator) maybe(n int, text string) string {
	if g.IntN(n) > 0 {
		return ""
	}
	return text
}

// column is one that both tables have, of the table t.
func (g *generator) column(t string) string { return t + "." + g.one("id", "x", "y") }

func (g *generator) literal() string {
	return g.one("'a'", "'B'", "'10'", "''", "NULL", "0", "1", "-1", "10", "4294967295", "1.5", "'größe'", "x'ff'")
}

func (g *generator) expression(t string) string {
	c, d := g.column(t), g.column(t)
	switch g.IntN(10) {
	case 0:
		return c + " || " + d
	case 1:
		return "CASE WHEN " + g.condition(t) + " THEN " + c + " ELSE " + g.literal() + " END"
	case 2:
		return g.one("upper", "length", "typeof", "quote", "hex", "abs", "-", "+", "NOT ") + "(" + c + ")"
	case 3:
		return g.literal()
	case 4:
		return "coalesce(nullif(" + c + ", ''), " + d + ")"
	case 5:
		return c + " = " + d
	}
	return c
}

func (g *generator) condition(t string) string {
	c := g.column(t)
	switch g.IntN(8) {
	case 0:
		return c + " IN (" + g.literal() + ", " + g.literal() + ")"
	case 1:
		return c + " BETWEEN " + g.literal() + " AND " + g.literal()
	case 2:
		return c + g.one(" IS NULL", " IS NOT NULL", " LIKE '%a%'", " GLOB '1*'")
	case 3:
		return c + " = " + g.literal() + " COLLATE " + g.one("NOCASE", "RTRIM", "BINARY")
	case 4:
		return c + " IN (SELECT " + g.one("id", "x", "y") + " FROM " + g.one("a", "b") + ")"
	case 5:
		return g.condition(t) + g.one(" AND ", " OR ") + g.condition(t)
	}
	return c + g.one(" = ", " <> ", " < ", " >= ") + g.literal()
}

// from is a table or what passes one on, with the name t.
func (g *generator) from(t string) string {
	table := g.one("a", "b")
	switch g.IntN(6) {
	case 0:
		return "(SELECT * FROM " + table + ") AS " + t
	case 1:
		return "(SELECT y, x, id FROM " + table + g.maybe(2, " WHERE "+g.condition(table)) + ") AS " + t
	}
	return table + " AS " + t
}

// selection is a SELECT of n columns.
func (g *generator) selection(n int) string {
	from, value := g.from("t"), g.column
	switch g.IntN(6) {
	case 0:
		from += g.one(" JOIN ", " LEFT JOIN ") + g.from("u") + " ON u." + g.one("id = t.id", "x = t.x", "y < t.y")
		value = func(string) string { return g.column(g.one("t", "u")) }
	case 1, 2:
		value = g.expression
	}
	columns := make([]string, n)
	for i := range columns {
		columns[i] = value("t") + g.maybe(4, " AS "+g.one("x", "y", "other", `"a ""name"""`))
	}
	sql := "SELECT " + g.maybe(8, "DISTINCT ") + strings.Join(columns, ", ") + " FROM " + from
	if g.IntN(3) == 0 {
		sql += " WHERE " + g.condition("t")
	}
	if g.IntN(8) == 0 {
		sql = "SELECT " + g.column("t") + strings.Repeat(", count(*)", n-1) + " FROM " + from +
			" GROUP BY 1" + g.maybe(3, " HAVING count(*) > 1")
	}
	return sql
}

func (g *generator) statement() string {
	n := 1 + g.IntN(4)
	sql := g.selection(n)
	switch g.IntN(12) {
	case 0:
		sql += g.one(" UNION ", " UNION ALL ", " EXCEPT ", " INTERSECT ") + g.selection(n)
	case 1:
		sql = "WITH w AS " + g.one("", "MATERIALIZED ") + "(SELECT * FROM " + g.one("a", "b") + ") " +
			"SELECT " + g.one("id", "y, x", "id, y, x") + " FROM w"
	case 2:
		return "SELECT " + g.one("*", "z, *", "y, id, y") + " FROM a"
	}
	sql += g.maybe(5, " ORDER BY 1"+g.one("", " DESC", " COLLATE NOCASE"))
	return sql + g.maybe(6, g.one(" LIMIT 5", " LIMIT 3 OFFSET 2", " LIMIT -1 OFFSET 4"))
}

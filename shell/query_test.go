package shell

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/tables"
)

func TestCommands(t *testing.T) {
	r, n := routesFake(), newFake("nexthops", []string{"id", "weight INTEGER"})
	const schemaR = "CREATE TABLE r(`id` TEXT, `dst` TEXT, `dev` TEXT, `metric` BIGINT, `flags` INTEGER);\n"
	const schemaN = "CREATE TABLE nexthops(`id` TEXT, `weight` INTEGER);\n"
	for sql, want := range map[string]string{
		"":                             "",
		" ; ;\n-- nothing\n/* here */": "",
		"/* not ended":                 "",
		"-- not ended":                 "",
		".tables":                      "  => nexthops\n  => r\n",
		"  .tables ;":                  "  => nexthops\n  => r\n",
		".tables next":                 "  => nexthops\n",
		".schema r":                    schemaR,
		".schema":                      schemaN + schemaR,
		"-- what is there?\n.schema n\n.schema r\r\n":                      schemaN + schemaR,
		"SELECT 1 AS a -- one\n;/* two */.tables r\nSELECT '.tables' AS b": "a\n1\n  => r\nb\n.tables\n",
	} {
		if got := mustAsk(t, CSV, sql, n, r); got != want {
			t.Errorf("%q: got %q, want %q", sql, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	const readOnly = "table r is read-only: it shows what the kernel has; change that with ip"
	big := strings.Repeat("SELECT 1 AS a;", 10)
	const commands = "the commands are .examples, .exit, .from, .headers, .help, .mode, .output, .quit, .read, " +
		".schema, .tables, .timer, .wide and .width"
	const lists, quotes = " .help lists the commands", "; a name with blanks is to be in quotes"
	const modes = "the modes are pretty, json, jsonl, csv, line and list"
	const opens = "opens a file, which SQL that is not typed at the prompt may not: use "
	const misspelt = `near "SELEC": syntax error; did you mean SELECT for SELEC? see query --help for examples`
	for sql, want := range map[string]string{
		"SELECT * FROM nope":                   "no such table: nope; the tables are r; osquery's own are not here",
		"SELECT nope FROM r":                   "no such column: nope; .schema r lists the columns",
		"SELEC 1":                              misspelt,
		"SELECT":                               "incomplete input; the statement ends too early",
		"SELECT 'x":                            `unrecognized token: "'x"; is a quote missing?`,
		"SELECT nope()":                        "no such function: nope",
		"SELECT 1; SELEC 1":                    misspelt,
		"SELECT abs(-9223372036854775807 - 1)": "integer overflow",
		"DELETE FROM r":                        readOnly,
		"UPDATE r SET dst = ''":                readOnly,
		"INSERT INTO r VALUES (1, 2, 3, 4, 5)": readOnly,
		"REPLACE INTO r(id) VALUES (1)":        readOnly,
		".frobnicate":                          `unknown command ".frobnicate": ` + commands,
		".tabels":                              `unknown command ".tabels": did you mean .tables?` + lists,
		".e":                                   `".e" may be .examples or .exit`,
		".headers x":                           `.headers takes on or off, not "x"`,
		".mode jsn":                            `unknown mode "jsn": did you mean json? ` + modes,
		".mode column":                         `unknown mode "column": ` + modes,
		".width 1 x":                           `.width takes numbers from -10000 to 10000, not "x"`,
		".schema 'r":                           "a quote is missing: .schema 'r",
		".read x":                              ".read " + opens + "query < FILE",
		".output x":                            ".output " + opens + "query > FILE",
		"SELECT 1;\n.from x":                   ".from " + opens + "query --from FILE",
		".schema nope":                         "no such table: nope; the tables are r; osquery's own are not here",
		".schema r r":                          ".schema is to be written .schema [TABLE]" + quotes,
		".":                                    `unknown command ".": ` + commands,
		"SELECT 1\x00SELECT 2":                 "the SQL has a NUL byte in it; it has to be UTF-8 text",
		big + "SELECT * FROM nope":             "no such table: nope; the tables are r; osquery's own are not here",
		// These fail after rows have come.
		"SELECT abs(value) FROM (SELECT 1 AS value UNION ALL SELECT -9223372036854775807 - 1)": "integer overflow",
		"SELECT abs(iif(value = 9000, -9223372036854775807 - 1, 1)) FROM " + numbers(9001):     "integer overflow",
	} {
		for name, format := range formatNames {
			if out, err := ask(format, sql, routesFake()); err == nil || err.Error() != want || out != "" {
				t.Errorf("%s, %q: printed %q, error %v, want %s", name, sql, out, err, want)
			}
		}
	}
}

func TestMemory(t *testing.T) {
	defer func(m int64) { maxMemory = m }(maxMemory)
	maxMemory = 16 << 20
	out, err := ask(CSV, "SELECT group_concat(zeroblob(1000000)) FROM "+numbers(100))
	if err == nil || !strings.Contains(err.Error(), "more than 16 MiB") || out != "" {
		t.Errorf("printed %d bytes, error %v", len(out), err)
	}
}

// TestPanic: a fault of the program is told in one line.
func TestPanic(t *testing.T) {
	f := routesFake()
	f.scan = func(context.Context, tables.Source, tables.Query) (tables.Rows, error) { panic("a fault") }
	const want = "internal error: a fault; please report it with the statement"
	if out, err := ask(CSV, "SELECT 1; SELECT * FROM r", f); err == nil || err.Error() != want || out != "" {
		t.Errorf("printed %q, error %v", out, err)
	}
}

// A limitedWriter fails once it has been written to a number of times.
type limitedWriter struct {
	writes, fails int
	size          int
}

var errWrite = errors.New("disk full")

func (w *limitedWriter) Write(b []byte) (int, error) {
	w.size += len(b)
	if w.writes++; w.writes == w.fails {
		return 0, errWrite
	}
	return len(b), nil
}

// TestStream: a large answer is written piece by piece, and a failed write ends
// the query.
func TestStream(t *testing.T) {
	sql := "SELECT value, '" + strings.Repeat("much text ", 50) + "' FROM " + numbers(12000)
	for name, format := range formatNames {
		var all limitedWriter
		if err := query(context.Background(), &all, nil, nil, sql, Options{Format: format}); err != nil {
			t.Error(name, err)
		}
		if all.writes < 4 || all.size/all.writes > 2*holdBack {
			t.Errorf("%s: %d writes for %d bytes", name, all.writes, all.size)
		}
		broken := limitedWriter{fails: 2}
		err := query(context.Background(), &broken, nil, nil, sql, Options{Format: format})
		if !errors.Is(err, errWrite) || broken.writes != 2 {
			t.Errorf("%s: %d writes, error %v", name, broken.writes, err)
		}
	}
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	for _, sql := range []string{
		"SELECT count(*) FROM " + numbers(1e12),
		"SELECT value FROM " + numbers(1e12),
		"SELECT 1",
	} {
		if err := query(ctx, new(limitedWriter), nil, nil, sql, Options{Format: CSV}); !errors.Is(err, ErrInterrupted) {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestWarn: a table's warning is told once, and only of what somebody wrote.
func TestWarn(t *testing.T) {
	f, g := routesFake(), newFake("g", []string{"id"}, []any{"a"}, []any{"b"}, []any{"c"})
	scan := f.scan
	f.scan = func(ctx context.Context, src tables.Source, q tables.Query) (tables.Rows, error) {
		for _, c := range q.Constraints {
			if q.Warn != nil && !slices.Contains(q.Joined, c.Column) {
				q.Warn("no row has " + c.Expr)
			}
		}
		return scan(ctx, src, q)
	}
	for sql, want := range map[string]string{
		"SELECT * FROM r WHERE dst = 'x'":                                           "no row has x",
		"SELECT * FROM r WHERE dst = 'x' UNION ALL SELECT * FROM r WHERE dst = 'x'": "no row has x",
		"SELECT * FROM r WHERE dst = 'x'; SELECT * FROM r WHERE dst IN ('x', 'y')":  "no row has x, no row has y",
		"SELECT * FROM g CROSS JOIN r ON r.id = g.id":                               "",
		"SELECT * FROM g CROSS JOIN r ON r.id = g.id AND r.dst = 'x'":               "no row has x",
		"SELECT * FROM g WHERE EXISTS (SELECT 1 FROM r WHERE r.id = g.id || '')":    "",
		"WITH w AS (SELECT * FROM r) SELECT * FROM w WHERE dst = 'x'":               "no row has x",
		"SELECT (SELECT id FROM r WHERE dst = 'x') FROM g":                          "no row has x",
		"SELECT * FROM r WHERE dst = lower('X')":                                    "",
		"SELECT * FROM r":                                                           "",
	} {
		var told []string
		opts := Options{Format: CSV, Warn: func(text string) { told = append(told, text) }}
		all := []sqlTable{f.sqlTable, g.sqlTable}
		if err := query(context.Background(), new(limitedWriter), nil, all, sql, opts); err != nil {
			t.Error(err)
		}
		if got := strings.Join(told, ", "); got != want {
			t.Errorf("%s: told %q, want %q", sql, got, want)
		}
	}
	mustAsk(t, CSV, "SELECT * FROM r WHERE dst = 'x'", f) // nobody wants to be warned
}

// FuzzQuery: no SQL makes the program panic, and what fails prints nothing.
func FuzzQuery(f *testing.F) {
	for _, sql := range []string{
		"SELECT * FROM r",
		"SELECT dst, count(*) FROM r GROUP BY 1 ORDER BY 2 DESC LIMIT 3",
		"WITH w(a) AS (VALUES (1)) SELECT * FROM w, r",
		"SELECT r.*, s.id FROM r LEFT JOIN r AS s USING (id) WHERE s.metric BETWEEN 1 AND 1e3",
		"SELECT \"x\" AS \"a\nb\", x'00ff', 1e999, NULL",
		"CREATE TEMP TABLE t AS SELECT * FROM r; " +
			"INSERT INTO t SELECT * FROM t; SELECT DISTINCT dev FROM t; DROP TABLE t",
		"BEGIN; CREATE VIEW v AS SELECT 1; SELECT * FROM v; ROLLBACK",
		"EXPLAIN SELECT * FROM r WHERE id IN ('a', (SELECT max(id) FROM r))",
		"PRAGMA table_info(r); PRAGMA journal_mode=wal; PRAGMA case_sensitive_like=1",
		".schema r\n.tables\nSELECT 1",
		"/* x */ -- y\n;;SELECT ?1, :a",
		"SELECT regex_match('aab', '(a+)(?=b)', 1), split('a,b', ',', 1), " +
			"concat_ws(',', 1, NULL, 2.5), version_compare('1', '2')",
		"SELECT json_extract('{\"a\":[1]}', '$.a[0]'), " +
			"printf('%*d|%.3f|%Q', 5, 1, 2.5, 'x''y'), substr('abc', -2), zeroblob(10)",
		"SELECT row_number() OVER (PARTITION BY dev ORDER BY metric ROWS 1 PRECEDING) FROM r",
		"UPDATE r SET id = 1",
		"DELETE FROM sqlite_master",
		"SELECT in_cidr_block('10.0.0.0/8', dst) FROM r",
		"ATTACH 'x' AS y",
		"VACUUM INTO 'x'",
		"SELECT from_base64('x'), inet_aton('1.2.3.4'), power(2, 9999)",
	} {
		f.Add(sql, 0)
		f.Add(sql, int(JSON))
	}
	f.Fuzz(func(t *testing.T, sql string, format int) {
		if strings.Contains(strings.ToLower(sql), "sleep") {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var out bytes.Buffer
		opts := Options{Format: Format(uint(format) % uint(List+1))}
		r := routesFake()
		err := query(ctx, &out, nil, []sqlTable{r.sqlTable}, sql, opts)
		if err != nil && (strings.Contains(err.Error(), "internal error") || out.Len() > 0 && out.Len() < holdBack) {
			t.Errorf("%q: printed %.100q, error %v", sql, out.String(), err)
		}
	})
}

package shell

import (
	"context"
	"errors"
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
	for sql, want := range map[string]string{
		"SELECT * FROM nope":                   "no such table: nope; the tables are r",
		"SELECT nope FROM r":                   "no such column: nope; .schema lists the columns",
		"SELEC 1":                              `near "SELEC": syntax error; see query --help for examples`,
		"SELECT":                               "incomplete input; the statement ends too early",
		"SELECT 'x":                            `unrecognized token: "'x"; is a quote missing?`,
		"SELECT nope()":                        "no such function: nope",
		"SELECT 1; SELEC 1":                    `near "SELEC": syntax error; see query --help for examples`,
		"SELECT abs(-9223372036854775807 - 1)": "integer overflow",
		"DELETE FROM r":                        readOnly,
		"UPDATE r SET dst = ''":                readOnly,
		"INSERT INTO r VALUES (1, 2, 3, 4, 5)": readOnly,
		"REPLACE INTO r(id) VALUES (1)":        readOnly,
		".help":                                `unknown command ".help": there are .tables [TABLE] and .schema [TABLE]`,
		".schema nope":                         "no such table: nope; the tables are r",
		".schema r r":                          `unknown command ".schema r r": there are .tables [TABLE] and .schema [TABLE]`,
		".":                                    `unknown command ".": there are .tables [TABLE] and .schema [TABLE]`,
		"SELECT 1\x00SELECT 2":                 "the SQL has a NUL byte in it; it has to be UTF-8 text",
		big + "SELECT * FROM nope":             "no such table: nope; the tables are r",
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
		if err := query(context.Background(), &broken, nil, nil, sql, Options{Format: format}); !errors.Is(err, errWrite) || broken.writes != 2 {
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

package shell

import "testing"

func TestStars(t *testing.T) {
	all := stars{any: true}
	for sql, want := range map[string]stars{
		"SELECT * FROM t":                                     all,
		"select*from t":                                       all,
		"SELECT DISTINCT * FROM t":                            all,
		"SELECT ALL r.* FROM t r":                             all,
		`SELECT "a ""b".*, [x].* , * FROM t`:                  all,
		"SELECT /* a, */ * -- b,\nFROM t":                     all,
		"WITH x AS (SELECT a, b FROM t) SELECT * FROM x":      all,
		"WITH x(a) AS (VALUES (1)) SELECT * FROM x":           all,
		"SELECT * FROM a UNION SELECT 1, 2":                   all,
		"SELECT *, a FROM t":                                  {true, 0, 1},
		"SELECT a, f(b, ','), *, t.*, 'FROM', 2 * 3 FROM t":   {true, 2, 2},
		"SELECT a IS DISTINCT FROM b, * FROM t":               {true, 1, 0},
		"SELECT *, a, * FROM t":                               {},
		"SELECT a FROM (SELECT * FROM t)":                     {},
		"SELECT count(*) FROM t":                              {},
		"SELECT 2 * 3":                                        {},
		"SELECT '*', \"*\" FROM t":                            {},
		"SELECT 'a' /* * */, '--' FROM t":                     {},
		"SELECT 'it''s, *' FROM t":                            {},
		"SELECT 1 UNION SELECT * FROM t":                      {},
		"SELECT (SELECT 1), (SELECT * FROM t) FROM t":         {},
		"EXPLAIN SELECT * FROM t":                             {},
		"INSERT INTO t SELECT * FROM r RETURNING *":           {},
		"VALUES (1), (2)":                                     {},
		"PRAGMA table_info(t)":                                {},
		"":                                                    {},
		"SELECT":                                              {},
		"SELECT 'unterminated":                                {},
		"WITH x AS (SELECT * FROM t) SELECT a, b FROM x":      {},
		"WITH x AS (SELECT * FROM t) DELETE FROM a RETURNING": {},
	} {
		if got := starsOf(sql); got != want {
			t.Errorf("%s: %+v, want %+v", sql, got, want)
		}
	}
}

func FuzzStars(f *testing.F) {
	f.Add("WITH a AS (SELECT 'x' -- [\n) SELECT \"\".*, /* */ 1.5e3 FROM `t`;")
	f.Fuzz(func(_ *testing.T, sql string) { starsOf(sql) })
}

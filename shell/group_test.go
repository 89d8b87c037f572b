package shell

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestGroup compares with what SQLite makes of rows in no order.
func TestGroup(t *testing.T) {
	defer func(n int) { maxGroups = n }(maxGroups)
	maxGroups = 100
	texts := []any{nil, "a", "b", "a\x00", "a\x00b", "a\x01", "\x00", "\xff", "größe"}
	numbers := []any{nil, 0, 1, -1, 255, 256, 4294967295, -9223372036854775808, 9223372036854775807}
	f := newFake("t", []string{"a", "b", "x INTEGER", "y BIGINT"})
	for range 500 {
		pick := func(from []any) any { return from[rand.IntN(len(from))] }
		f.rows = append(f.rows, []any{pick(texts), pick(texts), pick(numbers), pick(numbers[:3])})
	}
	for i := range 2 * maxGroups { // more than are remembered
		f.rows = append(f.rows, []any{"many", fmt.Sprint(i), 7, 7}, []any{"many", fmt.Sprint(i), 7, 7})
	}
	for sql, scans := range map[string]int{
		"SELECT a, count(*) FROM t GROUP BY a":                                                                 1,
		"SELECT hex(b), count(*), sum(y), max(x) FROM t GROUP BY b":                                            1,
		"SELECT x, y, count(*), min(hex(a)) FROM t GROUP BY x, y":                                              1,
		"SELECT y, x, count(DISTINCT a) FROM t GROUP BY y, x":                                                  1,
		"SELECT x, count(*) FROM t GROUP BY x ORDER BY x DESC":                                                 1,
		"SELECT hex(a), x, count(*) FROM t GROUP BY a, x ORDER BY a DESC, x":                                   1,
		"SELECT x, count(*) FROM t WHERE y IS NULL GROUP BY x HAVING count(*) > 1":                             1,
		"SELECT x, count(*) AS n FROM t WHERE a IN ('a', 'b') GROUP BY x ORDER BY n, x":                        1,
		"SELECT group_concat(n) FROM (SELECT count(*) AS n FROM t GROUP BY x)":                                 1,
		"SELECT upper(hex(a)), count(*) FROM t GROUP BY upper(hex(a))":                                         1,
		"SELECT x, count(*) FROM t GROUP BY x LIMIT 2":                                                         1,
		"SELECT DISTINCT x FROM t ORDER BY x":                                                                  1,
		"SELECT p.x, count(*) FROM (SELECT DISTINCT x, y FROM t) p GROUP BY p.x":                               1,
		"SELECT s.x, count(*) FROM (SELECT 0 AS x UNION ALL SELECT 1) s LEFT JOIN t ON t.x = s.x GROUP BY t.x": 2,
	} {
		f.queries = nil
		got := mustAsk(t, List, sql, f)
		if len(f.queries) != scans {
			t.Errorf("%s: %d scans", sql, len(f.queries))
		}
		want := mustAsk(t, List, "CREATE TEMP TABLE s AS SELECT * FROM t; WITH t AS (SELECT * FROM s) "+sql, f)
		if got != want {
			t.Errorf("%s: got\n%.300s\nwant\n%.300s", sql, got, want)
		}
	}
}

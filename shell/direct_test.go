package shell

import (
	"context"
	"testing"
)

// TestPassedOn: statements that pass rows on are found, others are not, and the
// answer is the same as through SQLite.
func TestPassedOn(t *testing.T) {
	r := routesFake()
	r.rows = append(r.rows, []any{"d", "x\x00y\xff", nil, nil, -1})
	db, err := openDatabase(context.Background(), nil, []relation{r.relation})
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
		from := db.passedOn(sql, stmt.ColumnCount())
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

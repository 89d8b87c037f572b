package shell

import (
	"bytes"
	"context"
	"testing"
)

// TestGroups: what SQL leaves open and SQLite does not (the order inside a group,
// the row that a bare column is of) is as it is in a table of SQLite's own.
func TestGroups(t *testing.T) {
	src := openCapture(t, "tables")
	ask := func(sql string) string {
		var out bytes.Buffer
		if err := Query(context.Background(), &out, src, sql, Options{Format: List}); err != nil {
			t.Fatal(sql, err)
		}
		return out.String()
	}
	for _, sql := range []string{
		"SELECT type, group_concat(dst, ' ') FROM kernel_routes GROUP BY type",
		"SELECT type, dst, table_id FROM kernel_routes GROUP BY type",
		"SELECT protocol, scope, dev, gateway FROM kernel_routes GROUP BY protocol, scope HAVING count(*) > 1",
		"SELECT table_name, count(*), min(dst), group_concat(gateway) FROM kernel_routes GROUP BY 1 ORDER BY 2 DESC, 1",
		"SELECT family, json_group_array(dst) FROM kernel_routes WHERE table_id > 100 GROUP BY family",
		"SELECT DISTINCT table_name, type FROM kernel_routes",
	} {
		got := ask(sql)
		want := ask("CREATE TEMP TABLE s AS SELECT * FROM kernel_routes; " +
			"WITH kernel_routes AS (SELECT * FROM s) " + sql)
		if got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", sql, got, want)
		}
	}
	const sql, want = "SELECT group_concat(dst, ' ') AS d FROM kernel_routes " +
		"WHERE family = 'ipv4' AND type = 'unicast' GROUP BY type",
		"d\n10.1.0.0/16 10.1.0.0/16 10.1.0.0/16 10.1.0.0/16 10.0.0.0/24 10.0.1.0/24 10.1.0.0/16 10.1.0.0/16\n"
	if got := ask(sql); got != want {
		t.Errorf("not in the kernel's order: %s", got)
	}
}

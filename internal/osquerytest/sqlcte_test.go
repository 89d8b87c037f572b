package osquerytest

import (
	"strings"
	"testing"
)

// TestMaterialized has common table expressions that are used once, and more often. Nothing wanted
// is what it was.
func TestMaterialized(t *testing.T) {
	const m = " MATERIALIZED"
	for _, tc := range []struct{ sql, want string }{
		{"SELECT 1", "SELECT 1"},
		{"WITH r AS (SELECT 1) SELECT * FROM r", ""},
		{"WITH r AS (SELECT 1) SELECT * FROM r, r q", "WITH r AS" + m + " (SELECT 1) SELECT * FROM r, r q"},
		{"with R(a, b) as(SELECT 1, 2) SELECT a FROM r JOIN \"r\" q",
			"with R(a, b) as" + m + "(SELECT 1, 2) SELECT a FROM r JOIN \"r\" q"},
		{"WITH r AS NOT MATERIALIZED (SELECT 1) SELECT * FROM r, r q", ""},
		{"WITH r AS (SELECT 1) SELECT r.a, 'r', r FROM r -- FROM r", ""},
		{"WITH r AS (SELECT 1) SELECT * FROM r WHERE a IN (SELECT 'FROM r', r, /* JOIN r */ r FROM x)", ""},
		{"WITH r AS (SELECT 1) SELECT * FROM r WHERE EXISTS (SELECT 1 FROM r)",
			"WITH r AS" + m + " (SELECT 1) SELECT * FROM r WHERE EXISTS (SELECT 1 FROM r)"},
		{"WITH r AS (SELECT 1), s AS (SELECT * FROM r) SELECT * FROM s", ""},
		{"WITH r AS (SELECT 1), s AS (SELECT * FROM r) SELECT * FROM s JOIN s q",
			"WITH r AS" + m + " (SELECT 1), s AS" + m + " (SELECT * FROM r) SELECT * FROM s JOIN s q"},
		{"WITH r AS (SELECT 1), s AS (SELECT * FROM r) SELECT * FROM s JOIN r",
			"WITH r AS" + m + " (SELECT 1), s AS (SELECT * FROM r) SELECT * FROM s JOIN r"},
		{"WITH r AS (SELECT 1), s AS (SELECT * FROM r, r q) SELECT 1", ""}, // s is not used at all
		{"WITH RECURSIVE c(n) AS (SELECT 1 UNION SELECT n FROM c JOIN c) SELECT * FROM c", ""},
		{"SELECT * FROM (WITH r AS (SELECT 1) SELECT * FROM r) JOIN r", ""},
		{"WITH r AS (SELECT 1) SELECT * FROM r; SELECT * FROM r", ""},
		{"WITH", ""}, {"WITH r", ""}, {"WITH r AS", ""}, {"WITH r AS (", ""}, {"WITH r AS (SELECT 1),", ""},
		{"WITH r AS (SELECT '", ""},
	} {
		want := tc.want
		if want == "" {
			want = tc.sql
		}
		if got := materialized(tc.sql); got != want {
			t.Errorf("%s\nis    %s\nwant  %s", tc.sql, got, want)
		}
	}
	// Whatever is no SQL is left to SQLite.
	whole := "WITH RECURSIVE r(a, [b]) AS (SELECT 'x''y', (1)), \"s\" AS NOT MATERIALIZED (SELECT * FROM r, r) -- c\n" +
		"SELECT group_concat(a ORDER BY b) /* c */ FROM s, r WHERE a IN (SELECT 1_0) )("
	for i := range whole {
		for _, sql := range []string{whole[:i], whole[i:]} {
			if got := materialized(sql); strings.ReplaceAll(got, m, "") != strings.ReplaceAll(sql, m, "") {
				t.Errorf("%q became %q", sql, got)
			}
			newerSyntax(sql)
		}
	}
	// SQLite understands what is made of it, and asks once.
	table := recordedTables()[0]
	e := fakeExtension(t, table)
	r, err := e.Run(timeLimit(t), `WITH r AS (SELECT dst, metric FROM kernel_routes)
		SELECT a.dst FROM r a JOIN r b ON a.dst = b.dst WHERE b.metric = 7`)
	if err != nil || len(r.Rows) != 9 || r.Cost().Requests != 1 {
		t.Errorf("%d rows, %v, %v", len(r.Rows), told(t, r.Requests), err)
	}
}

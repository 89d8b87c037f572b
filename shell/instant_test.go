package shell

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
)

// TestScansOnce: a statement that reads one table once asks for just what it needs,
// any other for all that it may need.
func TestScansOnce(t *testing.T) {
	r := routesFake()
	db, err := openDatabase([]sqlTable{r.sqlTable})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for sql, once := range map[string]bool{
		"SELECT * FROM r": true,
		"SELECT * FROM r WHERE dst = '10.0.0.0/8' AND metric > 1":          true,
		"SELECT * FROM r WHERE dst IN ('10.0.0.0/8', '11.0.0.0/8')":        true,
		"SELECT flags, count(*) FROM r GROUP BY 1 ORDER BY 2 DESC LIMIT 3": true,
		"SELECT DISTINCT flags FROM r ORDER BY id":                         true,
		"WITH w AS (SELECT * FROM r) SELECT * FROM w":                      true,
		"SELECT (SELECT max(metric) FROM r), 1":                            true,
		"SELECT 1 WHERE EXISTS (SELECT * FROM r)":                          true,
		"SELECT * FROM r a JOIN r b USING (id)":                            false,
		"SELECT * FROM r a LEFT JOIN r b ON a.dst = b.dst":                 false,
		"SELECT * FROM r WHERE dst IN (SELECT dst FROM r)":                 false,
		"SELECT * FROM r UNION ALL SELECT * FROM r":                        false,
		"SELECT (SELECT count(*) FROM r), (SELECT max(metric) FROM r)":     false,
		"SELECT * FROM r WHERE dst = 'a' OR metric = 3":                    false,
		// One scan, but in a program whose jumps do not show it.
		"SELECT id, row_number() OVER (ORDER BY id) FROM r":                                     false,
		"CREATE TEMP TABLE a AS SELECT * FROM r":                                                false,
		"SELECT * FROM (VALUES ('a'), ('b')) v JOIN r ON r.dst = v.column1":                     false,
		"SELECT (SELECT max(metric) FROM r WHERE dst = v.column1) FROM (VALUES ('a'), ('b')) v": false,
		// Once for each group, in a subroutine that stands after the loop over the groups.
		"SELECT column1, (SELECT count(*) FROM r WHERE dst = column1) FROM (VALUES ('a'), ('b')) " +
			"GROUP BY 1": false,
		"SELECT column1 FROM (VALUES ('a'), ('b')) GROUP BY 1 HAVING (SELECT count(*) FROM r WHERE dst = " +
			"column1) >= 0": false,
		"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c JOIN r WHERE x < 5) SELECT * FROM c": false,
	} {
		if got := scansOnce(db.program(sql)); got != once {
			t.Errorf("%s: scans once: %v", sql, got)
		}
	}
}

// TestStatementIsOfOneInstant joins in many ways while a route is replaced again and
// again: it exists all the time, so it must be in every answer.
func TestStatementIsOfOneInstant(t *testing.T) {
	rounds := nstest.Amount(1_500, 60)
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	nstest.IP(t, "route add 20.0.0.0/8 via 10.0.0.3")
	stop := nstest.Every(t, 5*time.Millisecond, "route replace 20.0.0.0/8 via 10.0.0.2",
		"route replace 20.0.0.0/8 via 10.0.0.3")
	statements := []string{
		"SELECT r.dst FROM kernel_routes r JOIN kernel_route_nexthops n USING (route_id) WHERE r.dst = '20.0.0.0/8'",
		"SELECT r.dst FROM kernel_route_nexthops n JOIN kernel_routes r USING (route_id) WHERE n.dst = '20.0.0.0/8'",
		"SELECT r.dst FROM kernel_routes r LEFT JOIN kernel_route_nexthops n USING (route_id) WHERE " +
			"r.table_name = 'main' AND r.dst LIKE '20.%' AND n.gateway = r.gateway",
		"SELECT dst FROM kernel_routes WHERE route_id IN (SELECT route_id FROM kernel_route_nexthops) AND dst = " +
			"'20.0.0.0/8'",
		"SELECT a.dst FROM kernel_routes a JOIN kernel_routes b ON a.dst = b.dst AND a.gateway = b.gateway " +
			"WHERE a.dst = '20.0.0.0/8'",
		"SELECT dst FROM (SELECT route_id, dst FROM kernel_routes INTERSECT SELECT route_id, dst FROM " +
			"kernel_route_nexthops) WHERE dst = '20.0.0.0/8'",
		"SELECT v.column1 FROM (VALUES ('20.0.0.0/8')) v WHERE (SELECT gateway FROM kernel_routes WHERE dst = " +
			"v.column1) = (SELECT gateway FROM kernel_route_nexthops WHERE dst = v.column1)",
	}
	for i := range rounds * len(statements) {
		var out bytes.Buffer
		sql := statements[i%len(statements)]
		if err := Query(context.Background(), &out, &rtnl.Kernel{}, sql, Options{Format: JSONL}); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if n := strings.Count(out.String(), "20.0.0.0/8"); n != 1 {
			t.Fatalf("%s: the route is there %d times, after %d statements:\n%s", sql, n, i, out.String())
		}
	}
	if n := stop(); n < 10 {
		t.Errorf("the route was replaced %d times: this proves nothing", n)
	} else {
		t.Logf("%d statements beside %d changes", rounds*len(statements), n)
	}
}

// A counter counts what a source is asked.
type counter struct {
	rtnl.Kernel
	asked []rtnl.Request
}

func (c *counter) Read(ctx context.Context, req rtnl.Request) (*rtnl.Snapshot, error) {
	c.asked = append(c.asked, req)
	return c.Kernel.Read(ctx, req)
}

// TestStatementsAsk: a statement asks the kernel once, and for no more than its
// constant conditions allow.
func TestStatementsAsk(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	nstest.IP(t, "route add 20.0.0.0/8 via 10.0.0.3 table 1000")
	for _, c := range []struct {
		sql    string
		tables []uint32
		rows   int
	}{
		{"SELECT * FROM kernel_routes WHERE table_id = 1000", []uint32{1000}, 1},
		{"SELECT * FROM kernel_routes r JOIN kernel_route_nexthops n USING (route_id) WHERE r.table_id = 1000 " +
			"AND n.table_id = 1000", []uint32{1000}, 1},
		{"SELECT * FROM kernel_routes r JOIN kernel_route_nexthops n USING (route_id) WHERE r.table_id = 1000", nil, 1},
		{"SELECT * FROM kernel_routes WHERE table_id = 1000 UNION ALL SELECT * FROM kernel_routes WHERE " +
			"table_id = 1001", []uint32{1000, 1001}, 1},
		{"SELECT * FROM (VALUES (1000), (1001)) v JOIN kernel_routes r ON r.table_id = v.column1", nil, 1},
	} {
		src := &counter{}
		var out bytes.Buffer
		if err := Query(context.Background(), &out, src, c.sql, Options{Format: JSONL}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out.String(), "\n"); n != c.rows {
			t.Errorf("%s: %d rows", c.sql, n)
		}
		if len(src.asked) != 1 {
			t.Fatalf("%s: the kernel was asked %d times", c.sql, len(src.asked))
		}
		got := map[uint32]bool{}
		for _, id := range src.asked[0].Tables {
			got[id] = true
		}
		if len(got) != len(c.tables) {
			t.Errorf("%s: asks for the tables %v", c.sql, src.asked[0].Tables)
		}
		for _, id := range c.tables {
			if !got[id] {
				t.Errorf("%s: does not ask for table %d", c.sql, id)
			}
		}
	}
}

package command

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// query answers SQL as osquery does.
func (x *extensionProcess) query(t *testing.T, sql string) osquerytest.Result {
	t.Helper()
	r, err := x.Run(x.Context, sql)
	if err != nil {
		t.Fatalf("%s\n%v", sql, err)
	}
	return r
}

// refusal is the error of a query that is refused.
func (x *extensionProcess) refusal(t *testing.T, sql string) string {
	t.Helper()
	r, err := x.Run(x.Context, sql)
	if err == nil {
		t.Fatalf("%s\nhas %d rows, and is to be refused", sql, len(r.Rows))
	}
	return err.Error()
}

// changed waits until changes to a destination are known, and returns the last one's seq.
func (x *extensionProcess) changed(t *testing.T, action, dst string) (seq int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		r := x.query(t, fmt.Sprintf("SELECT max(seq) AS seq FROM kernel_route_events "+
			"WHERE action = '%s' AND dst = '%s'", action, dst))
		if seq, err := strconv.Atoi(r.Rows[0]["seq"]); err == nil {
			return seq
		}
		if time.Now().After(end) {
			t.Fatalf("%s %s is not told: %v", action, dst, x.query(t, "SELECT * FROM kernel_route_events").Rows)
		}
	}
}

// cells returns the values of a column, or of several, in the order of rows.
func cells(rows []map[string]string, columns ...string) string {
	var all []string
	for _, r := range rows {
		var values []string
		for _, c := range columns {
			values = append(values, r[c])
		}
		all = append(all, strings.Join(values, " "))
	}
	return strings.Join(all, ", ")
}

// TestEventQueries has a route, a rule and a nexthop object change, and asks as osquery does: what conditions
// choose is what is sent, where the extension can choose, and processes tells more of who did it.
func TestEventQueries(t *testing.T) {
	fixedNamespace(t)
	x := startExtension(t)
	if n := len(x.query(t, "SELECT seq FROM kernel_route_events").Rows); n != 0 {
		t.Fatalf("%d changes before any", n)
	}
	ip := nstest.Last(t, 0)
	pid := strconv.Itoa(ip.Process.Pid)
	// osquery's spec has an index on pid.
	x.AddTable("processes", []osquerytest.Column{{Name: "pid", Type: "BIGINT", Options: 1},
		{Name: "cmdline", Type: "TEXT"}},
		map[string]string{"pid": "1", "cmdline": "init"}, map[string]string{"pid": pid, "cmdline": "ip -batch -"},
		map[string]string{"pid": strconv.Itoa(os.Getpid()), "cmdline": "the test"})
	start := time.Now().Unix()
	for _, line := range []string{
		"route add 203.0.113.0/24 via 192.0.2.1", "route replace 203.0.113.0/24 via 192.0.2.2",
		"rule add pref 100 from 198.51.100.0/24 table 77", "nexthop add id 7 via 192.0.2.3 dev eth0",
		"route add 2001:db8:7::/48 via 2001:db8::1", "nexthop del id 7", "rule del pref 100",
		"route del 203.0.113.0/24"} {
		ip.Change(t, line)
	}
	if seq := x.changed(t, "deleted", "203.0.113.0/24"); seq != 8 {
		t.Fatalf("the last one has seq %d", seq)
	}
	const from = " FROM kernel_route_events "
	for _, c := range []struct {
		sql, columns, want string
		requests, sent     int // 0 requests: SQLite may ask the one or the other table first
	}{
		{"SELECT seq, action, object" + from, "seq action object", "1 added route, 2 replaced route, 3 added rule, " +
			"4 added nexthop, 5 added route, 6 deleted nexthop, 7 deleted rule, 8 deleted route", 1, 8},
		{"SELECT seq" + from + "WHERE seq > 6", "seq", "7, 8", 1, 2},
		{"SELECT seq" + from + "WHERE seq >= 6 AND seq < 8", "seq", "6, 7", 1, 2},
		{"SELECT seq" + from + "WHERE seq IN (2, 5, 99)", "seq", "2, 5", 1, 2},
		{"SELECT seq" + from + "WHERE seq > (SELECT max(seq) - 2" + from + ")", "seq", "7, 8", 2, 10},
		{fmt.Sprintf("SELECT count(*) AS n"+from+"WHERE time >= %d", start), "n", "8", 1, 8},
		{fmt.Sprintf("SELECT seq"+from+"WHERE time > %d", start+3600), "", "", 1, 0},
		{"SELECT seq" + from + "WHERE action = 'deleted'", "seq", "6, 7, 8", 1, 3},
		{"SELECT seq" + from + "WHERE action IN ('replaced', 'gone', 'lost')", "seq", "2", 1, 1},
		{"SELECT seq" + from + "WHERE object = 'rule' AND action = 'added'", "seq", "3", 1, 1},
		{"SELECT seq, old_gateway" + from + "WHERE dst = '203.0.113.0/24' AND old_gateway <> ''", "seq old_gateway",
			"2 192.0.2.1", 1, 3},
		{"SELECT seq, family, dst" + from + "WHERE family = 'ipv6'", "seq family dst", "5 ipv6 2001:db8:7::/48", 1, 1},
		{"SELECT seq" + from + "ORDER BY seq DESC LIMIT 1", "seq", "8", 1, 8},
		{"SELECT seq" + from + "LIMIT 2", "seq", "1, 2", 1, 8},
		{"SELECT seq" + from + "WHERE seq > 2 ORDER BY seq LIMIT 2", "seq", "3, 4", 1, 6},
		{"SELECT action, count(*) AS n" + from + "WHERE pid = " + pid + " GROUP BY action ORDER BY action", "action n",
			"added 4, deleted 3, replaced 1", 1, 8},
		{"SELECT e.seq, p.cmdline" + from + "e JOIN processes p ON p.pid = e.pid WHERE e.seq > 6", "seq cmdline",
			"7 ip -batch -, 8 ip -batch -", 1, 2},
		{"SELECT p.cmdline, count(*) AS n" + from + "e CROSS JOIN processes p ON p.pid = e.parent_pid GROUP BY 1",
			"cmdline n", "the test 8", 1, 8},
		{"SELECT e.seq, e.dst" + from + "e JOIN kernel_routes r USING (route_id)", "seq dst", "5 2001:db8:7::/48",
			0, 0},
	} {
		r := x.query(t, c.sql)
		cost := r.Cost()
		if got := cells(r.Rows, strings.Fields(c.columns)...); got != c.want || c.requests > 0 &&
			(cost.Requests != c.requests || cost.Rows != c.sent) {
			t.Errorf("%s\nhas %s in %v, want %s in %d requests, %d rows", c.sql, got, cost, c.want, c.requests, c.sent)
		}
	}
	x.namespaceOfEvents(t)
}

// namespaceOfEvents asks for the hidden columns: the one namespace is there by its number, and others are refused.
func (x *extensionProcess) namespaceOfEvents(t *testing.T) {
	id := x.query(t, "SELECT netns_id FROM kernel_routes LIMIT 1").Rows[0]["netns_id"]
	r := x.query(t, "SELECT DISTINCT netns_id FROM kernel_route_events")
	if got := cells(r.Rows, "netns_id"); got != id || id == "" {
		t.Errorf("netns_id %q, that of routes %q", got, id)
	}
	if n := len(x.query(t, "SELECT seq FROM kernel_route_events WHERE netns_id = "+id).Rows); n != 8 {
		t.Errorf("%d rows of the namespace %s", n, id)
	}
	path := fmt.Sprintf("/proc/%d/ns/net", os.Getpid()) // where the test's namespaces were made from
	for netns, want := range map[string]string{path: "changes are known only of the one", "nosuch": "nosuch"} {
		err := x.refusal(t, "SELECT seq FROM kernel_route_events WHERE netns = '"+netns+"'")
		if !strings.Contains(err, want) {
			t.Errorf("%s: %s", netns, err)
		}
	}
}

// TestEventDifferences runs a differential query with all columns again and again: what was there stays as it was,
// byte by byte, also when its interface has another name or none, and each change is logged once.
func TestEventDifferences(t *testing.T) {
	fixedNamespace(t)
	x := startExtension(t)
	const sql = "SELECT * FROM kernel_route_events"
	x.query(t, sql)
	nstest.IP(t, "link add w0 type veth peer name w1")
	nstest.IP(t, "link set w0 up")
	nstest.IP(t, "link set w1 up")
	nstest.WaitUp(t, "w0", "w1")
	seen := map[string]map[string]string{}
	for i, line := range []string{"route add 203.0.113.0/24 dev w0", "route replace 203.0.113.0/24 dev eth0",
		"route add 198.51.100.128/25 dev w0", "nexthop add id 7 dev w0", "link set w0 down", "link set w0 name w7",
		"link del w7", "rule add pref 100 table 77", "rule del pref 100"} {
		nstest.IP(t, line)
		marker := fmt.Sprintf("192.88.99.%d/32", i)
		nstest.IP(t, "route add "+marker+" dev eth0")
		x.changed(t, "added", marker)
		rows := x.query(t, sql).Rows
		added := 0
		for _, r := range rows {
			if was := seen[r["seq"]]; was == nil {
				added++
			} else if !maps.Equal(was, r) {
				t.Errorf("after %s a row is\n%v\nand was\n%v", line, r, was)
			}
			seen[r["seq"]] = r
		}
		if len(rows) != len(seen) || added == 0 {
			t.Errorf("after %s there are %d rows, of %d that were seen, %d new", line, len(rows), len(seen), added)
		}
	}
	var names []string
	for _, r := range seen {
		if strings.HasPrefix(r["dst"], "198.51.100.128") {
			names = append(names, r["action"]+" "+r["dev"])
		}
	}
	if slices.Sort(names); !slices.Equal(names, []string{"added w0", "gone w0"}) {
		t.Errorf("the route over w0 was %q", names)
	}
}

// TestEventRestart kills the extension: the next one knows nothing of what was, and counts from 1; its first query
// is answered when it follows the changes, so that the next change is there.
func TestEventRestart(t *testing.T) {
	fixedNamespace(t)
	m := osquerytest.Start(t)
	x := startAt(t, m, "")
	x.query(t, "SELECT seq FROM kernel_route_events")
	nstest.IP(t, "route add 203.0.113.0/24 dev eth0")
	nstest.IP(t, "route del 203.0.113.0/24 dev eth0")
	if seq := x.changed(t, "deleted", "203.0.113.0/24"); seq != 2 {
		t.Errorf("seq %d", seq)
	}
	x.Cmd.Process.Signal(syscall.SIGKILL)
	x.Cmd.Wait()
	m.Deregister(x.UUID)
	nstest.IP(t, "route add 203.0.113.0/25 dev eth0")
	many := make([]string, nstest.Amount(50_000, 10_000)) // which it takes some time to read
	for i := range many {
		many[i] = fmt.Sprintf("route add 20.%d.%d.%d/32 dev eth0", i>>16, i>>8&255, i&255)
	}
	nstest.Batch(t, "-4", many...)
	x = startAt(t, m, "")
	if rows := x.query(t, "SELECT * FROM kernel_route_events").Rows; len(rows) != 0 {
		t.Errorf("a new one knows %v", rows)
	}
	nstest.IP(t, "route add 203.0.113.128/25 dev eth0")
	if seq := x.changed(t, "added", "203.0.113.128/25"); seq != 1 {
		t.Errorf("it counts from %d", seq)
	}
}

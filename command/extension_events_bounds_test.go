package command

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

// TestEventsOff: the table says how to have it back, and the others are there.
func TestEventsOff(t *testing.T) {
	fixedNamespace(t)
	x := startAt(t, osquerytest.Start(t), "export KERNEL_ROUTES_EVENTS_MB=0")
	err := x.refusal(t, "SELECT * FROM kernel_route_events")
	for _, want := range []string{"kernel_route_events: ", "KERNEL_ROUTES_EVENTS_MB is 0", "start osquery again"} {
		if !strings.Contains(err, want) {
			t.Errorf("%q is not in: %s", want, err)
		}
	}
	if len(x.query(t, "SELECT dst FROM kernel_routes").Rows) == 0 {
		t.Error("no routes")
	}
}

// TestEventsJunk: what is no number is told of in the log, and changed by nothing.
func TestEventsJunk(t *testing.T) {
	for _, value := range []string{"", "many", "-1", "1.5", "64MB", "99999999999999999999"} {
		t.Run(value, func(t *testing.T) {
			fixedNamespace(t)
			x := startAt(t, osquerytest.Start(t), "export KERNEL_ROUTES_EVENTS_MB='"+value+"'")
			x.query(t, "SELECT seq FROM kernel_route_events")
			nstest.IP(t, "route add 203.0.113.0/24 dev eth0")
			x.changed(t, "added", "203.0.113.0/24")
			said := func() bool {
				log := x.Stderr.String()
				return strings.Contains(log, "variable=KERNEL_ROUTES_EVENTS_MB") && strings.Contains(log, "used=64")
			}
			for !said() && x.Context.Err() == nil { // lines of the log wait for who writes them
				time.Sleep(time.Millisecond)
			}
			if !said() {
				t.Errorf("the log is\n%s", &x.Stderr)
			}
		})
	}
}

// storm adds and deletes routes, part by part, until n changes are told; of what is lost, on a slow machine, there are
// fewer.
func (x *extensionProcess) storm(t *testing.T, n int) {
	t.Helper()
	for part, last := 0, 0; last < n; part++ {
		if part > n/100 {
			t.Fatalf("%d changes are told", last)
		}
		var lines []string
		for i := range 2500 {
			dst := fmt.Sprintf("20.%d.%d.%d/32 dev eth0", part&255, i>>8, i&255)
			lines = append(lines, "route add "+dst, "route del "+dst)
		}
		nstest.Batch(t, "-4", lines...)
		marker := fmt.Sprintf("30.0.%d.%d/32", part>>8, part&255)
		nstest.IP(t, "route add "+marker+" dev eth0")
		last = x.changed(t, "added", marker)
	}
}

// span returns the first and the last seq that are kept, and how many.
func (x *extensionProcess) span(t *testing.T) (first, last, n int) {
	t.Helper()
	r := x.query(t, "SELECT min(seq) AS first, max(seq) AS last, count(*) AS n FROM kernel_route_events").Rows[0]
	for name, v := range map[string]*int{"first": &first, "last": &last, "n": &n} {
		var err error
		if *v, err = strconv.Atoi(r[name]); err != nil {
			t.Fatalf("%v: %v", r, err)
		}
	}
	return first, last, n
}

// TestEventsBounded makes more changes than there is room for: the newest are kept, without a gap.
func TestEventsBounded(t *testing.T) {
	fixedNamespace(t)
	x := startAt(t, osquerytest.Start(t), "export KERNEL_ROUTES_EVENTS_MB=1")
	x.query(t, "SELECT seq FROM kernel_route_events")
	const changes = 20_000
	x.storm(t, changes)
	first, last, n := x.span(t)
	t.Logf("from %d to %d", first, last)
	// An event takes 200 bytes and more.
	if first == 1 || last < changes || n != last-first+1 || n > 1<<20/200 || n < 100 {
		t.Errorf("%d rows from %d to %d", n, first, last)
	}
	rows := x.query(t, fmt.Sprintf("SELECT seq FROM kernel_route_events WHERE seq <= %d", first)).Rows
	if got := cells(rows, "seq"); got != strconv.Itoa(first) {
		t.Errorf("up to the first: %s", got)
	}
}

// TestEventsTooMany holds as many rows as there is room for: all columns of them are more than osquery's watchdog
// allows, which is said before osquery would be killed; what is new is as cheap as ever.
func TestEventsTooMany(t *testing.T) {
	fixedNamespace(t)
	x := startExtension(t)
	changes := nstest.Amount(100_000, 30_000)
	x.query(t, "SELECT seq FROM kernel_route_events")
	x.storm(t, changes)
	first, last, n := x.span(t)
	if n != min(last, 100_000) || n != last-first+1 || last < changes {
		t.Fatalf("%d rows from %d to %d", n, first, last)
	}
	if peak := x.Size(t, "VmHWM"); peak > 200<<20 { // 64 MiB of changes, at most
		t.Errorf("%d MiB of memory", peak>>20)
	}
	for _, sql := range []string{"SELECT * FROM kernel_route_events",
		fmt.Sprintf("SELECT * FROM kernel_route_events WHERE seq > %d", last-25_000)} {
		err := x.refusal(t, sql)
		for _, want := range []string{"MB of osquery's memory", "over the limit of 200 MB (that of osquery's watchdog)",
			"select fewer columns, or ask for what is new: WHERE seq > NUMBER, or time >= SECONDS"} {
			if !strings.Contains(err, want) {
				t.Errorf("%q is not in: %s", want, err)
			}
		}
		t.Log(err)
	}
	for _, sql := range []string{
		fmt.Sprintf("SELECT * FROM kernel_route_events WHERE seq > %d", last-10),
		fmt.Sprintf("SELECT * FROM kernel_route_events WHERE seq >= %d AND time >= 1", last-9),
	} {
		start := time.Now()
		r := x.query(t, sql)
		t.Logf("%v of %d rows: %v", r.Cost(), n, time.Since(start))
		if cost := r.Cost(); len(r.Rows) != 10 || cost.Rows != 10 || cost.Requests != 1 || cost.Bytes > 100_000 {
			t.Errorf("%s: %d rows, %v", sql, len(r.Rows), cost)
		}
	}
}

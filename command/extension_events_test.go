package command

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/tables"
)

// TestExtensionEvents asks the built extension what has changed since it was started: the rows of each
// change have its author, are sent by what conditions choose, and stay as they are.
func TestExtensionEvents(t *testing.T) {
	fixedNamespace(t)
	x := startExtension(t)
	shown := []string{"seq", "time", "action", "object", "dst", "gateway", "dev", "old_gateway", "pid", "process_name",
		"author_certainty", "boot_seq_lost"}
	if rows := x.Generate(t, tables.Events.Name, nil, shown...); len(rows) != 0 {
		t.Errorf("nothing has changed: %v", rows) // and now it is sure that it listens
	}
	ip := nstest.Last(t, 0)
	ip.Change(t, "route add 203.0.113.0/24 via 192.0.2.1 dev eth0")
	ip.Change(t, "route replace 203.0.113.0/24 via 192.0.2.2 dev eth0")
	ip.Change(t, "route del 203.0.113.0/24")
	var rows []map[string]string
	for end := time.Now().Add(time.Minute); len(rows) < 3; time.Sleep(10 * time.Millisecond) {
		if rows = x.Generate(t, tables.Events.Name, []string{"dst=203.0.113.0/24"}, shown...); time.Now().After(end) {
			t.Fatalf("rows are %v", rows)
		}
	}
	for i, want := range []string{"added 192.0.2.1 eth0 ", "replaced 192.0.2.2 eth0 192.0.2.1",
		"deleted 192.0.2.2 eth0 "} {
		r := rows[i]
		if got := r["action"] + " " + r["gateway"] + " " + r["dev"] + " " + r["old_gateway"]; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if r["object"] != "route" || r["pid"] != strconv.Itoa(ip.Process.Pid) || r["process_name"] != "ip" ||
			r["author_certainty"] != "process" || r["boot_seq_lost"] != "0" {
			t.Errorf("%v", r)
		}
		again := x.Generate(t, tables.Events.Name, []string{"seq=" + r["seq"]}, shown...)
		if len(again) != 1 || fmt.Sprint(again[0]) != fmt.Sprint(r) {
			t.Errorf("seq %s is %v, was %v", r["seq"], again, r)
		}
	}
}

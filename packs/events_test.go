package packs

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// eventColumns are the columns of kernel_route_events that a check may ask for.
var eventColumns = []string{"seq", "boot_seq_lost", "time", "action", "object", "family", "type", "protocol",
	"table_name", "dst", "gateway", "dev", "metric", "old_gateway", "old_dev", "port_id", "pid", "process_name",
	"process_path", "parent_pid", "uid", "cgroup", "author_certainty"}

// eventNumbers are those of them that are NULL where they are absent.
var eventNumbers = []string{"seq", "boot_seq_lost", "time", "metric", "port_id", "pid", "parent_pid", "uid"}

// usualEvents are what happens on a healthy host: by the kernel, by daemons and their scripts.
var usualEvents = []map[string]any{
	{"seq": 1, "action": "added", "object": "route", "port_id": 0, "author_certainty": "kernel", "protocol": "ra"},
	{"seq": 2, "action": "added", "object": "route", "port_id": 611, "pid": 611, "author_certainty": "process",
		"process_path": "/usr/sbin/NetworkManager", "cgroup": "/system.slice/NetworkManager.service"},
	{"seq": 3, "action": "replaced", "object": "route", "port_id": int64(4000000001), "pid": 612,
		"author_certainty": "other socket", "process_path": "/usr/lib/systemd/systemd-networkd",
		"cgroup": "/system.slice/systemd-networkd.service"},
	{"seq": 4, "action": "added", "object": "route", "port_id": 700, "pid": 700, "author_certainty": "process",
		"process_path": "/usr/sbin/ip", "cgroup": "/system.slice/networking.service"},
	{"seq": 5, "action": "added", "object": "rule", "port_id": 701, "pid": 701, "author_certainty": "process",
		"process_path": "/usr/bin/ip", "cgroup": "/system.slice/system-wg\\x2dquick.slice/wg-quick@wg0.service"},
	{"seq": 6, "action": "deleted", "object": "nexthop", "port_id": 702, "pid": 702, "author_certainty": "process",
		"process_path": "/usr/lib/frr/zebra", "cgroup": "/system.slice/frr.service"},
	{"seq": 7, "action": "added", "object": "route", "port_id": 9, "pid": 703, "author_certainty": "other namespace",
		"process_path": "/usr/bin/calico-node", "cgroup": "/kubepods.slice/kubepods-burstable.slice/cri-1.scope"},
	{"seq": 8, "action": "gone", "object": "route", "author_certainty": "unknown"},
}

// ofEvents reports whether the check asks for what has happened. Then it is tried with made-up events, in a
// table that hides the one of the extension's, and not compared with osquery, whose extension has others.
func (c *Check) ofEvents() bool { return c.Needs != "" }

// standIn makes the table of events, with what happens on any host and more.
func (c *Check) standIn(t *testing.T, more []map[string]any) string {
	t.Helper()
	if !c.ofEvents() {
		return ""
	}
	var rows []string
	for _, event := range slices.Concat(usualEvents, more) {
		for name := range event {
			if name != "age" && !slices.Contains(eventColumns, name) {
				t.Fatalf("%s is no column of events", name)
			}
		}
		var values []string
		for _, name := range eventColumns {
			v, there := event[name]
			text, _ := v.(string)
			switch {
			case name == "time":
				age, _ := event["age"].(int)
				values = append(values, fmt.Sprintf("strftime('%%s', 'now') - %d", age))
			case !there && slices.Contains(eventNumbers, name):
				values = append(values, "NULL")
			case slices.Contains(eventNumbers, name):
				values = append(values, fmt.Sprint(v))
			default:
				values = append(values, "'"+strings.ReplaceAll(text, "'", "''")+"'")
			}
		}
		rows = append(rows, "("+strings.Join(values, ", ")+")")
	}
	return fmt.Sprintf("CREATE TABLE %s (%s);\nINSERT INTO %[1]s VALUES\n%[3]s;\n", c.Needs,
		strings.Join(eventColumns, ", "), strings.Join(rows, ",\n"))
}

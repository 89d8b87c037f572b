package packs

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/eventtest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// An event is what a proof says of one: columns of kernel_route_events, and age, how many seconds ago it was.
type event = map[string]any

// usualEvents are what happens on a healthy host: by the kernel, by daemons and their scripts.
var usualEvents = []event{
	// A router's advertisement, an address that is added, a lifetime that ends.
	{"action": "added", "object": "route", "dst": "::/0", "port_id": 0, "author_certainty": "kernel", "protocol": "ra"},
	{"action": "added", "object": "route", "dst": "192.0.2.0/24", "port_id": 0, "author_certainty": "kernel",
		"protocol": "kernel"},
	{"action": "deleted", "object": "route", "dst": "2001:db8::/64", "port_id": 0, "author_certainty": "kernel",
		"protocol": "kernel"},
	// NetworkManager in another Wi-Fi: the old default route goes, the new one has a high metric until the
	// network is known to lead somewhere.
	{"action": "deleted", "object": "route", "dst": "0.0.0.0/0", "metric": 600, "port_id": 611, "pid": 611,
		"author_certainty": "process", "process_path": "/usr/sbin/NetworkManager",
		"cgroup": "/system.slice/NetworkManager.service"},
	{"action": "added", "object": "route", "dst": "0.0.0.0/0", "metric": 20600, "gateway": "192.0.2.1",
		"dev": "wlan0", "port_id": 611, "pid": 611, "author_certainty": "process",
		"process_path": "/usr/sbin/NetworkManager",
		"cgroup":       "/system.slice/NetworkManager.service"},
	{"action": "deleted", "object": "route", "dst": "0.0.0.0/0", "metric": 20600, "gateway": "192.0.2.1",
		"dev": "wlan0", "port_id": 611, "pid": 611, "author_certainty": "process",
		"process_path": "/usr/sbin/NetworkManager",
		"cgroup":       "/system.slice/NetworkManager.service"},
	// DHCP: a lease that is renewed, by a daemon whose program was updated meanwhile, and by scripts.
	{"action": "replaced", "object": "route", "dst": "0.0.0.0/0", "gateway": "192.0.2.1", "dev": "eth0",
		"old_gateway": "192.0.2.1", "old_dev": "eth0", "protocol": "dhcp", "port_id": int64(4000000001), "pid": 612,
		"author_certainty": "other socket", "process_path": "/usr/lib/systemd/systemd-networkd (deleted)",
		"cgroup": "/system.slice/systemd-networkd.service"},
	{"action": "added", "object": "route", "port_id": 700, "pid": 700, "author_certainty": "process",
		"process_name": "ip", "process_path": "/usr/sbin/ip", "cgroup": "/system.slice/networking.service"},
	{"action": "deleted", "object": "route", "port_id": 705, "pid": 705, "author_certainty": "process",
		"process_name": "ip", "process_path": "/usr/sbin/ip", "cgroup": "/system.slice/networking.service"},
	// One that was just ending: its program is not known any more.
	{"action": "added", "object": "rule", "port_id": 701, "pid": 701, "author_certainty": "process",
		"process_name": "ip", "process_path": "",
		"cgroup": `/system.slice/system-wg\x2dquick.slice/wg-quick@wg0.service`},
	{"action": "deleted", "object": "nexthop", "port_id": 702, "pid": 702, "author_certainty": "process",
		"process_path": "/usr/lib/frr/zebra", "cgroup": "/system.slice/frr.service"},
	// Containers that come and go.
	{"action": "added", "object": "route", "dst": "172.18.0.0/16", "port_id": 704, "pid": 704,
		"author_certainty": "process", "process_path": "/usr/bin/dockerd", "cgroup": "/system.slice/docker.service"},
	{"action": "gone", "object": "route", "dst": "172.18.0.0/16", "port_id": 704, "pid": 704,
		"author_certainty": "process", "process_path": "/usr/bin/dockerd", "cgroup": "/system.slice/docker.service"},
	{"action": "added", "object": "route", "dst": "10.65.1.7/32", "dev": "cali123", "port_id": 9, "pid": 703,
		"author_certainty": "other namespace", "process_path": "/usr/bin/calico-node",
		"cgroup": "/kubepods.slice/kubepods-burstable.slice/cri-1.scope"},
	{"action": "added", "object": "route", "dst": "10.65.2.0/26", "port_id": 10, "pid": 713,
		"author_certainty": "other namespace", "process_path": "/usr/bin/bird", "cgroup": "/kubepods/burstable/podx/y"},
	{"action": "gone", "object": "route", "dst": "10.65.1.7/32", "dev": "cali123", "port_id": 0,
		"author_certainty": "kernel"},
	{"action": "gone", "object": "route", "dst": "203.0.113.0/24", "author_certainty": "unknown"},
}

// ofEvents reports whether the check asks for what has happened. Then it is tried with made-up events.
func (c *Check) ofEvents() bool { return c.Needs != "" }

// ask runs a statement of the check: one of events is answered from what happens on any host, and more.
func (c *Check) ask(t *testing.T, sql string, more []event) []map[string]string {
	t.Helper()
	var from tables.Source = new(rtnl.Kernel)
	if c.ofEvents() {
		from = eventsOf(t, slices.Concat(usualEvents, more))
	}
	rows, err := queryOf(from, sql, func(text string) { t.Errorf("%s\nwarns: %s", sql, text) })
	if err != nil {
		t.Fatalf("%s\n%v", sql, err)
	}
	return rows
}

// eventsOf returns a source with events. Those that have no seq come after the others.
func eventsOf(t testing.TB, all []event) *eventtest.Source {
	t.Helper()
	src := &eventtest.Source{Source: new(rtnl.Kernel)}
	now := time.Now()
	for i, e := range all {
		made := eventOf(t, e)
		made.Seq = uint64(i + 1)
		if seq, ok := e["seq"].(int); ok {
			made.Seq = uint64(seq)
		}
		age, _ := e["age"].(int)
		made.Time = now.Add(-time.Duration(age) * time.Second).UnixNano()
		made.Uptime = int64(time.Hour) - int64(age)*int64(time.Second) + int64(i)
		src.All = append(src.All, made)
	}
	return src
}

// eventColumns are the columns that an event of a proof may have. What is absent is so in the table.
var eventColumns = []string{"seq", "age", "boot_seq_lost", "action", "object", "family", "protocol", "dst", "gateway",
	"dev", "metric", "old_gateway", "old_dev", "port_id", "pid", "process_name", "process_path", "parent_pid", "uid",
	"cgroup", "author_certainty"}

// eventOf makes an event.
func eventOf(t testing.TB, e event) *events.Event {
	t.Helper()
	for name := range e {
		if !slices.Contains(eventColumns, name) {
			t.Fatalf("an event has %q, which it cannot have", name)
		}
	}
	text := func(name string) string { v, _ := e[name].(string); return v }
	number := func(name string) uint32 {
		if v, ok := e[name].(int64); ok {
			return uint32(v)
		}
		v, _ := e[name].(int)
		return uint32(v)
	}
	made := &events.Event{Lost: number("boot_seq_lost") == 1, Port: number("port_id")}
	var known bool
	if made.Action, known = events.ParseAction(text("action")); !known {
		t.Fatalf("%v has no action", e)
	}
	if made.Certainty, known = author.ParseCertainty(text("author_certainty")); !known {
		t.Fatalf("%v has no author_certainty", e)
	}
	_, made.Told = e["port_id"]
	by := author.Author{PID: number("pid"), ParentPID: number("parent_pid"), UID: number("uid"),
		Name: text("process_name"), Path: text("process_path"), Cgroup: text("cgroup")}
	if by != (author.Author{}) {
		made.Author = &by
	}
	links := []string{text("dev")}
	if old := text("old_dev"); old != links[0] {
		links = append(links, old)
	}
	for i, name := range links {
		if name != "" {
			made.Referred = append(made.Referred, eventtest.Link(uint32(2+i), name))
		}
	}
	made.Object = objectOf(t, e, text, "", 2)
	if made.Object.Len() > 0 {
		made.Kind = made.Object.Kind()
	}
	if made.Action == events.Replaced {
		made.Old = objectOf(t, e, text, "old_", uint32(1+len(links)))
	}
	return made
}

// protocols are those that proofs name.
var protocols = map[string]uint8{"": 3, "kernel": 2, "boot": 3, "static": 4, "ra": 9, "dhcp": 16, "bgp": 186}

// objectOf makes the object of an event, or, with the prefix old_, what was there before.
func objectOf(t testing.TB, e event, text func(string) string, prefix string, link uint32) (none object.Run) {
	t.Helper()
	protocol, known := protocols[text("protocol")]
	if !known {
		t.Fatalf("%v has a protocol that is not known here", e)
	}
	family := map[string]object.Family{"": object.IPv4, "ipv4": object.IPv4, "ipv6": object.IPv6}[text("family")]
	var gateway netip.Addr
	if g := text(prefix + "gateway"); g != "" {
		gateway = netip.MustParseAddr(g)
	}
	if text(prefix+"dev") == "" {
		link = 9 // it is gone, and has no name any more
	}
	switch text("object") {
	case "route":
		r := &object.Route{Family: family, Type: object.Unicast, Protocol: protocol, Table: object.RT_TABLE_MAIN,
			Gateway: gateway, OIF: object.Some(link), Dst: netip.MustParsePrefix("198.51.100.0/24")}
		if dst := text("dst"); dst != "" {
			if r.Dst = netip.MustParsePrefix(dst); r.Dst.Addr().Is6() {
				r.Family = object.IPv6
			}
		}
		if metric, ok := e["metric"].(int); ok {
			r.Priority = object.Some(uint32(metric))
		}
		return eventtest.Route(r)
	case "rule":
		return eventtest.Rule(&object.Rule{Family: family, Action: object.FR_ACT_TO_TBL, Priority: 100, Table: 77})
	case "nexthop":
		return eventtest.Object(&object.NexthopObject{Family: family, Protocol: protocol, ID: 1, OIF: link,
			Gateway: gateway})
	case "link":
		return eventtest.Link(link, "eth9")
	case "address":
		return eventtest.Address(link, "192.0.2.8/24")
	case "":
		return none
	}
	t.Fatalf("%v has an object that is not known here", e)
	return none
}

// osqueryTime is osquery's table time, for the embedded SQLite.
const osqueryTime = "CREATE TABLE time (unix_time INTEGER); INSERT INTO time VALUES (strftime('%s', 'now'));\n"

// withTime adds the table time to a statement that selects from it.
func withTime(sql string) string {
	if strings.Contains(sql, "FROM time)") {
		return osqueryTime + sql
	}
	return sql
}

// checkNamed returns the check of a name.
func checkNamed(t *testing.T, name string) *Check {
	t.Helper()
	for _, p := range loadPacks(t) {
		for _, c := range p.Checks {
			if c.Name == name {
				return c
			}
		}
	}
	t.Fatalf("there is no check %s", name)
	return nil
}

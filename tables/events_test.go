package tables_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/eventtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// eventful returns a source that knows the events.
func eventful(all []*events.Event) *eventtest.Source {
	return &eventtest.Source{Source: &rtnl.Kernel{}, All: all}
}

// present are the columns of a row that have a value, but for some, in the order of the table.
func present(r row, table *tables.Table, without ...string) string {
	var all []string
	for _, c := range table.Columns {
		if v := r[c.Name]; v != "" && c.Options&tables.Hidden == 0 && !slices.Contains(without, c.Name) {
			all = append(all, c.Name+"="+v)
		}
	}
	return strings.Join(all, " ")
}

// TestEventRows has what rows of all kinds show.
func TestEventRows(t *testing.T) {
	now := time.Date(2026, 3, 4, 5, 6, 7, 890, time.UTC)
	src := eventful(eventtest.Sample(now))
	want := []string{
		"action=added object=route family=ipv4 type=unicast protocol=dhcp scope=global table_id=254 table_name=main " +
			"dst=0.0.0.0/0 gateway=192.0.2.9 dev=eth1 dev_index=3 metric=100 tos=0 nexthop_count=1 " +
			"port_id=4000000001 pid=611 process_name=dhclient process_path=/usr/sbin/dhclient parent_pid=1 uid=0 " +
			"cgroup=/system.slice/networking.service author_certainty=other socket",
		"action=replaced object=route family=ipv4 type=unicast protocol=dhcp scope=global table_id=254 " +
			"table_name=main dst=0.0.0.0/0 gateway=192.0.2.1 dev=eth0 dev_index=2 metric=100 tos=0 nexthop_count=1 " +
			"old_gateway=192.0.2.9 old_dev=eth1 port_id=611 pid=611 process_name=dhclient " +
			"process_path=/usr/sbin/dhclient parent_pid=1 uid=0 cgroup=/system.slice/networking.service " +
			"author_certainty=process",
		"action=added object=rule family=ipv4 protocol=boot table_id=1000 table_name=1000 tos=0 priority=32765 " +
			"rule_action=table inverted=1 fwmark=51820 fwmask=4294967295 l3mdev=0 port_id=701 pid=701 " +
			"process_name=ip process_path=/usr/bin/ip parent_pid=700 uid=0 " +
			`cgroup=/system.slice/system-wg\x2dquick.slice/wg-quick@wg0.service author_certainty=process`,
		"action=added object=nexthop family=ipv4 protocol=zebra scope=link gateway=192.0.2.2 dev=eth0 dev_index=2 " +
			"nexthop_id=1 port_id=702 pid=702 process_name=zebra process_path=/usr/lib/frr/zebra parent_pid=1 uid=92 " +
			"cgroup=/system.slice/frr.service author_certainty=process",
		"action=appended object=route family=ipv4 type=unicast protocol=boot scope=global table_id=254 " +
			"table_name=main dst=100.64.0.0/10 gateway=192.0.2.2 dev=eth0 dev_index=2 metric=0 tos=0 nexthop_count=1 " +
			"nexthop_id=1 port_id=702 pid=702 process_name=zebra process_path=/usr/lib/frr/zebra parent_pid=1 uid=92 " +
			"cgroup=/system.slice/frr.service author_certainty=process",
		"action=added object=route family=ipv4 type=unicast protocol=boot scope=link table_id=254 table_name=main " +
			"dst=198.51.100.0/24 dev=eth1 dev_index=3 metric=0 tos=0 nexthop_count=1 port_id=9 pid=703 " +
			"process_name=calico-node process_path=/usr/bin/calico-node parent_pid=650 uid=0 " +
			"cgroup=/kubepods.slice/cri-1.scope author_certainty=other namespace",
		"action=deleted object=route family=ipv4 type=unicast protocol=boot scope=link table_id=254 table_name=main " +
			"dst=198.51.100.0/24 dev=eth1 dev_index=3 metric=0 tos=0 nexthop_count=1 port_id=802 " +
			"author_certainty=unknown",
		"action=deleted object=address family=ipv4 dst=192.0.2.8/24 dev=eth1 dev_index=3 port_id=701 pid=701 " +
			"process_name=ip process_path=/usr/bin/ip parent_pid=700 uid=0 " +
			`cgroup=/system.slice/system-wg\x2dquick.slice/wg-quick@wg0.service author_certainty=process`,
		"action=gone object=route family=ipv4 type=unicast protocol=boot scope=link table_id=254 table_name=main " +
			"dst=192.0.2.0/24 dev=eth1 dev_index=3 metric=0 tos=0 nexthop_count=1 port_id=701 pid=701 " +
			"process_name=ip process_path=/usr/bin/ip parent_pid=700 uid=0 " +
			`cgroup=/system.slice/system-wg\x2dquick.slice/wg-quick@wg0.service author_certainty=process`,
		"action=deleted object=link dev=eth1 dev_index=3 port_id=0 author_certainty=kernel",
		"action=lost author_certainty=unknown",
		"action=gone object=route family=ipv4 type=unicast protocol=boot scope=link table_id=254 table_name=main " +
			"dst=203.0.113.0/24 dev_index=4 metric=0 tos=0 nexthop_count=1 author_certainty=unknown",
		"action=replaced object=route family=ipv6 type=unicast protocol=bgp scope=global table_id=254 " +
			"table_name=main dst=2001:db8:9::/48 metric=20 tos=0 nexthop_count=2 old_gateway=2001:db8::4 " +
			"old_dev=eth0 port_id=702 pid=702 process_name=zebra process_path=/usr/lib/frr/zebra parent_pid=1 uid=92 " +
			"cgroup=/system.slice/frr.service author_certainty=process",
		"action=added object=route family=ipv6 type=unicast protocol=bgp scope=global table_id=254 table_name=main " +
			"dst=2001:db8:a::/64 gateway=2001:db8::1 dev=eth0 dev_index=2 metric=20 tos=0 nexthop_count=1 port_id=0 " +
			"author_certainty=kernel",
	}
	rows := scan(t, tables.Events, src)
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d", len(rows), len(want))
	}
	for i, r := range rows {
		got := present(r, tables.Events, "seq", "boot_seq_lost", "time", "time_ns", "uptime_ns", "route_id",
			"old_route_id", "rule_id")
		if got != want[i] {
			t.Errorf("row %d:\n%s\nwant\n%s", i+1, got, want[i])
		}
		at := now.Add(-10*time.Second + time.Duration(i)*10*time.Millisecond)
		for name, v := range map[string]int64{"seq": int64(i + 1), "time": at.Unix(), "time_ns": at.UnixNano(),
			"uptime_ns": int64(time.Hour) + int64(i)*1e7, "boot_seq_lost": 0} {
			if name == "boot_seq_lost" && r["action"] == "lost" {
				v = 1
			}
			if r[name] != strconv.FormatInt(v, 10) {
				t.Errorf("row %d: %s is %s, want %d", i+1, name, r[name], v)
			}
		}
	}
	// The identities are those of the tables of objects, by which rows are replayed.
	if id := rows[1]["old_route_id"]; id == "" || id != rows[0]["route_id"] || id == rows[1]["route_id"] {
		t.Errorf("%s is replaced, %s was there", id, rows[0]["route_id"])
	}
	if rows[6]["route_id"] != rows[5]["route_id"] || rows[2]["rule_id"] == "" {
		t.Errorf("the identity of what is deleted is %s, was %s", rows[6]["route_id"], rows[5]["route_id"])
	}
}

// TestEventIdentities compares identities with those that the tables of objects show of the same messages,
// with the number of what is alike.
func TestEventIdentities(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Batch(t, "-4", "route add 20.0.0.0/8 via 10.0.0.2 mtu 1400", "rule add from 10.0.0.1 lookup 500")
	// Two routes that are alike in all that the kernel compares.
	nstest.Veth(t, "v1")
	nstest.Batch(t, "-6", "route add fd06::/64 dev v0", "route append fd06::/64 dev v1",
		"route replace fd06::/64 dev v1")
	var kernel rtnl.Kernel
	s, err := kernel.Read(t.Context(), rtnl.Request{Kinds: object.Kinds})
	if err != nil {
		t.Fatal(err)
	}
	var all []*events.Event
	add := func(m *object.Message, k *object.Kind, twin int) {
		var one object.Messages
		one.Add(m)
		all = append(all, &events.Event{Seq: uint64(len(all) + 1), Action: events.Added, Kind: k, Object: one.Runs[0],
			Twin: twin, Referred: s.Runs(object.Links.Kind)})
	}
	alike := map[string]int{}
	var route object.Route
	object.Each(s.Runs(object.Routes.Kind), func(m *object.Message) bool {
		route.Decode(m, object.FieldID)
		id := string(route.AppendID(nil))
		add(m, object.Routes.Kind, alike[id])
		alike[id]++
		return true
	})
	object.Each(s.Runs(object.Rules.Kind), func(m *object.Message) bool {
		add(m, object.Rules.Kind, 0)
		return true
	})
	rows := scan(t, tables.Events, eventful(all))
	twins := 0
	for _, table := range []struct {
		*tables.Table
		id, object string
		same       []string
	}{
		{tables.Routes, "route_id", "route", []string{"family", "type", "protocol", "scope", "table_id", "table_name",
			"dst", "src", "gateway", "dev", "dev_index", "metric", "prefsrc", "tos", "nexthop_count", "nexthop_id",
			"encap_type", "iif"}},
		{tables.Rules, "rule_id", "rule", []string{"family", "protocol", "table_id", "table_name", "dst", "src",
			"priority", "inverted", "iif", "oif", "fwmark", "fwmask", "tos", "l3mdev", "suppress_prefixlength"}},
	} {
		changed := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r["object"] != table.object })
		there := scan(t, table.Table, &kernel)
		if len(there) != len(changed) || len(there) < 4 {
			t.Fatalf("%s: %d rows, %d events", table.Name, len(there), len(changed))
		}
		for i, r := range there {
			for _, name := range append(table.same, table.id) {
				if changed[i][name] != r[name] {
					t.Errorf("%s: %s is %q, of the event %q", r[table.id], name, r[name], changed[i][name])
				}
			}
		}
	}
	for _, n := range alike {
		twins = max(twins, n)
	}
	if twins < 2 {
		t.Error("no two routes are alike")
	}
}

// TestEventConditions: conditions choose as SQL does, before rows are sent, and those on seq what is
// asked of the source.
func TestEventConditions(t *testing.T) {
	now := time.Now()
	all := eventtest.Sample(now)
	unix := all[0].At().Unix()
	last := strconv.Itoa(len(all))
	for _, c := range []struct {
		column string
		op     tables.Op
		expr   string
		after  uint64
		rows   int
	}{
		{"seq", tables.GreaterThan, "3", 3, len(all) - 3},
		{"seq", tables.GreaterOrEqual, "3", 2, len(all) - 2},
		{"seq", tables.GreaterThan, "3.5", 0, len(all) - 3},
		{"seq", tables.GreaterThan, "-3", 0, len(all)},
		{"seq", tables.GreaterThan, last, uint64(len(all)), 0},
		{"seq", tables.GreaterThan, fmt.Sprint(int64(math.MaxInt64)), 0, 0},
		{"seq", tables.GreaterOrEqual, fmt.Sprint(int64(math.MaxInt64)), math.MaxInt64 - 1, 0},
		{"seq", tables.LessThan, "3", 0, 2},
		{"seq", tables.LessOrEqual, "3", 0, 3},
		{"seq", tables.Equals, "4", 3, 1},
		{"seq", tables.Equals, "4.0", 0, 1},
		{"seq", tables.Equals, "x", math.MaxInt64 - 1, 0},
		{"seq", tables.Equals, "-4", 0, 0},
		{"time", tables.GreaterOrEqual, fmt.Sprint(unix), 0, len(all)},
		{"time", tables.GreaterThan, fmt.Sprint(unix + 9), 0, 0},
		{"time_ns", tables.GreaterThan, fmt.Sprint(all[5].Time), 0, len(all) - 6},
		{"uptime_ns", tables.LessOrEqual, fmt.Sprint(all[5].Uptime), 0, 6},
		{"port_id", tables.GreaterThan, "1000000", 0, 1},
		{"port_id", tables.Equals, "0", 0, 2},
		{"pid", tables.LessThan, "700", 0, 2},
		{"boot_seq_lost", tables.Equals, "1", 0, 1},
		{"action", tables.Equals, "gone", 0, 2},
		{"object", tables.Equals, "nexthop", 0, 1},
		{"object", tables.Equals, "", 0, 1},
		{"dst", tables.Equals, "0.0.0.0/0", 0, 2},
		{"dst", tables.Equals, "2001:DB8:9:0::/48", 0, 1},
		{"dst", tables.Equals, "192.0.2.8/24", 0, 1},
		{"protocol", tables.Equals, "dhcp", 0, 2},
		{"old_dev", tables.Equals, "eth1", 0, 1},
		{"author_certainty", tables.Equals, "kernel", 0, 2},
		{"process_path", tables.Equals, "/usr/bin/ip", 0, 3},
		{"rule_action", tables.Equals, "table", 0, 1},
		{"nexthop_id", tables.Equals, "1", 0, 2},
	} {
		src := eventful(all)
		rows, err := scanErr(tables.Events, src, where(tables.Events, c.column, c.op, c.expr))
		if err != nil || len(rows) != c.rows || !slices.Equal(src.Asked, []uint64{c.after}) {
			t.Errorf("%s %d %s: %v, %d rows, want %d; events after %d are asked for, want %d", c.column, c.op, c.expr,
				err, len(rows), c.rows, src.Asked, c.after)
		}
	}
	// Several at once.
	src := eventful(all)
	rows := scan(t, tables.Events, src, where(tables.Events, "seq", tables.GreaterThan, "2"),
		where(tables.Events, "seq", tables.LessOrEqual, "9"), where(tables.Events, "seq", tables.GreaterOrEqual, "5"),
		where(tables.Events, "object", tables.Equals, "route"))
	if len(rows) != 4 || !slices.Equal(src.Asked, []uint64{4}) {
		t.Errorf("%d rows, after %d", len(rows), src.Asked)
	}
	src = eventful(all)
	rows = scan(t, tables.Events, src, where(tables.Events, "seq", tables.Equals, "7"),
		where(tables.Events, "seq", tables.Equals, "6"))
	if len(rows) != 2 || !slices.Equal(src.Asked, []uint64{5}) {
		t.Errorf("two numbers: %d rows, after %d", len(rows), src.Asked)
	}
}

// TestEventAdvice: what no row can have is said, and what there is is not.
func TestEventAdvice(t *testing.T) {
	all := eventtest.Sample(time.Now())
	for _, c := range []struct{ column, value, want string }{
		{"action", "delete", "did you mean 'deleted'?"},
		{"action", "removed", "did you mean 'deleted'?"},
		{"action", "change", "did you mean 'replaced'?"},
		{"object", "routes", "did you mean 'route'?"},
		{"object", "interface", "did you mean 'link'?"},
		{"author_certainty", "other_socket", "did you mean 'other socket'?"},
		{"author_certainty", "proces", "did you mean 'process'?"},
		{"family", "inet", "did you mean 'ipv4'?"},
		{"dst", "default", "did you mean '0.0.0.0/0' or '::/0'?"},
		{"seq", "-1", "it is a whole number from 0 to 9223372036854775807"},
	} {
		tables.ForgetAdvice()
		got := warnings(t, eventful(all), tables.Events, c.column, c.value)
		if len(got) != 1 || !strings.HasSuffix(got[0], ": "+c.want) {
			t.Errorf("%s = %s: %q, want %q", c.column, c.value, got, c.want)
		}
	}
	for _, r := range scan(t, tables.Events, eventful(all)) {
		for _, c := range tables.Events.Columns {
			if v, ok := r[c.Name]; ok || c.Type == tables.Text {
				if got := warnings(t, eventful(all), tables.Events, c.Name, v); got != nil {
					t.Errorf("%q", got)
				}
			}
		}
	}
	for _, value := range []string{"gone0", "v9"} { // an interface that there is no more
		if got := warnings(t, eventful(all), tables.Events, "dev", value); got != nil {
			t.Errorf("%q", got)
		}
	}
}

// TestEventNamespaces: the own namespace is shown, by whatever name it is asked for, and none other.
func TestEventNamespaces(t *testing.T) {
	ids := namespaces(t, "other")
	own, other := strconv.FormatUint(ids[""], 10), strconv.FormatUint(ids["other"], 10)
	src := eventful(eventtest.Sample(time.Now()))
	for column, value := range map[string]string{"netns": "/proc/thread-self/ns/net", "netns_id": own} {
		rows, err := scanErr(tables.Events, src, where(tables.Events, column, tables.Equals, value))
		if err != nil || len(rows) != len(src.All) || rows[0][column] != value ||
			strings.Contains(rows[0]["route_id"], "@") {
			t.Errorf("%s = %s: %v, %d rows", column, value, err, len(rows))
		}
	}
	for column, value := range map[string]string{"netns": "other", "netns_id": other} {
		_, err := scanErr(tables.Events, src, where(tables.Events, column, tables.Equals, value))
		if err == nil || !strings.Contains(err.Error(), "changes are known only of the one") ||
			!strings.Contains(err.Error(), "monitor --netns") {
			t.Errorf("%s = %s: %v", column, value, err)
		}
	}
}

// TestOldNexthop: of several nexthops the old one is shown that alone went.
func TestOldNexthop(t *testing.T) {
	shared := func(gateways ...string) object.Run {
		return eventtest.Route(eventtest.Shared("2001:db8:9::/48", 2, gateways...))
	}
	for _, c := range []struct {
		old, now object.Run
		want     string
	}{
		{shared("fd00::2"), shared("fd00::3"), "fd00::2"},
		{shared("fd00::2"), shared("fd00::2", "fd00::3"), "fd00::2"},
		{shared("fd00::2", "fd00::3"), shared("fd00::2"), "fd00::3"},
		{shared("fd00::2", "fd00::3"), shared("fd00::4", "fd00::2"), "fd00::3"},
		{shared("fd00::2", "fd00::3"), shared("fd00::2", "fd00::3", "fd00::4"), ""},
		{shared("fd00::2", "fd00::3"), shared("fd00::4", "fd00::5"), ""},
		{object.Run{}, shared("fd00::2"), ""},
	} {
		rows := scan(t, tables.Events, eventful([]*events.Event{{Seq: 1, Action: events.Replaced,
			Kind: object.Routes.Kind, Object: c.now, Old: c.old, Referred: []object.Run{eventtest.Link(2, "eth0")},
			Certainty: author.Unknown}}))
		dev := ""
		if c.want != "" {
			dev = "eth0"
		}
		if rows[0]["old_gateway"] != c.want || rows[0]["old_dev"] != dev {
			t.Errorf("old gateway %q, want %q; old dev %q", rows[0]["old_gateway"], c.want, rows[0]["old_dev"])
		}
	}
}

// TestEventNames: an interface has the name that it had when the change was, however many changes refer to it
// by the same number, and to however many others.
func TestEventNames(t *testing.T) {
	var all []*events.Event
	for i := range 3_000 {
		refer := []object.Run{eventtest.Link(2, fmt.Sprintf("eth%d", i))}
		for n := range uint32(i % 7) {
			refer = append(refer, eventtest.Link(10+n, "other"))
		}
		e := events.Event{Seq: uint64(i + 1), Action: events.Added, Kind: object.Routes.Kind, Referred: refer,
			Object: eventtest.Route(eventtest.To("198.51.100.0/24", 2))}
		again := e
		all = append(all, &e, &again)
	}
	for i, r := range scan(t, tables.Events, eventful(all)) {
		if want := fmt.Sprintf("eth%d", i/2); r["dev"] != want {
			t.Fatalf("row %d: dev is %s, was %s", i, r["dev"], want)
		}
	}
}

// TestEventColumnsFit: SQLite tells only of the first 63 columns which are used.
func TestEventColumnsFit(t *testing.T) {
	if n := len(tables.Events.Columns); n > 63 {
		t.Errorf("%d columns", n)
	}
}

// BenchmarkEvents reads 100,000 rows, as many as are kept: all columns, those of a scheduled query, and
// what is newest.
func BenchmarkEvents(b *testing.B) {
	sample := eventtest.Sample(time.Now())
	all := make([]*events.Event, events.MaxRows)
	for i := range all {
		e := *sample[i%len(sample)]
		e.Seq = uint64(i + 1)
		all[i] = &e
	}
	src := eventful(all)
	used := func(names ...string) []bool {
		columns := make([]bool, len(tables.Events.Columns))
		for i, c := range tables.Events.Columns {
			columns[i] = names == nil || slices.Contains(names, c.Name)
		}
		return columns
	}
	for _, c := range []struct {
		name string
		tables.Query
		rows int
	}{
		{"all", tables.Query{Used: used()}, len(all)},
		{"some", tables.Query{Used: used("seq", "time", "action", "dst", "gateway", "dev", "process_name")}, len(all)},
		{"newest", tables.Query{Used: used(), Constraints: []tables.Constraint{
			where(tables.Events, "seq", tables.GreaterThan, fmt.Sprint(len(all)-10))}}, 10},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var value []byte
			for b.Loop() {
				rows, err := tables.Events.Scan(b.Context(), src, c.Query)
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for ; rows.Next(); n++ {
					for col, used := range c.Used {
						if used {
							value, _ = tables.Events.AppendValue(value[:0], rows, col)
						}
					}
				}
				if n != c.rows {
					b.Fatalf("%d rows", n)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.rows), "ns/row")
		})
	}
}

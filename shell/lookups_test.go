package shell

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// TestLookups asks of packets in SQL: one, several, those of another table, and joins what
// decides with the routes.
func TestLookups(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.0.1.1/24")
	nstest.Batch(t, "-4", "route add default via 10.0.0.2", "route add 20.0.0.0/8 via 10.0.1.2 metric 7",
		"route add blackhole 21.0.0.0/8", "route add 23.0.0.0/8 via 10.0.1.3 table 500", "rule add fwmark 7 lookup 500")
	nstest.Batch(t, "-6", "route add fd30::/16 nexthop via fd00::3 nexthop via fd00::4 nexthop via fd00::5")
	cache := &rtnl.Cache{}
	defer cache.Close()
	for _, c := range []struct{ sql, want string }{
		{"SELECT dev, gateway FROM kernel_route_lookups WHERE destination = '20.1.2.3'", "v1,10.0.1.2"},
		{"SELECT destination, dev, error FROM kernel_route_lookups WHERE destination IN ('21.0.0.1', '20.0.0.1') " +
			"ORDER BY 1", "20.0.0.1,v1,\"\"\n21.0.0.1,\"\",blackhole"},
		{"SELECT dev FROM kernel_route_lookups WHERE destination = '23.0.0.1' AND mark = 7", "v1"},
		{"SELECT dev FROM kernel_route_lookups WHERE destination = '23.0.0.1' AND mark IS NULL", "v0"},
		{"SELECT destination FROM kernel_route_lookups WHERE destination = '20.0.0.1' AND mark > 5", ""},
		{"SELECT destination FROM kernel_route_lookups WHERE destination = NULL", ""},
		{"SELECT count(*) FROM kernel_route_lookups WHERE destination IN ('20.0.0.1', '20.0.0.2')", "2"},
		{"SELECT destination, mark FROM kernel_route_lookups WHERE destination = '20.0.0.1' AND mark = 7 " +
			"OR destination = '20.0.0.2' AND mark = 8 ORDER BY 2", "20.0.0.1,7\n20.0.0.2,8"},
		{"SELECT column2, dev, table_id FROM (VALUES ('23.0.0.1', 7), ('23.0.0.1', 8), ('20.0.0.1', 7)) " +
			"JOIN kernel_route_lookups ON destination = column1 AND mark = column2 ORDER BY 1, 2, 3",
			"7,v1,254\n7,v1,500\n8,v0,254"},
		{"SELECT l.destination, r.dst, r.metric FROM kernel_route_lookups l JOIN kernel_routes r USING (route_id) " +
			"WHERE l.destination IN ('20.0.0.1', 'fd30::1', 'fd30::2', 'fd30::9', '21.0.0.1') ORDER BY 1",
			"20.0.0.1,20.0.0.0/8,7\nfd30::1,fd30::/16,1024\nfd30::2,fd30::/16,1024\nfd30::9,fd30::/16,1024"},
		{"SELECT l.destination, count(*) FROM (VALUES ('20.0.0.1'), ('fd30::1'), ('fd30::2')) " +
			"JOIN kernel_route_lookups l ON l.destination = column1 JOIN kernel_route_nexthops n USING (route_id) " +
			"GROUP BY 1 ORDER BY 1", "20.0.0.1,1\nfd30::1,3\nfd30::2,3"},
		{"SELECT r.dst FROM kernel_route_lookups l JOIN kernel_routes r ON l.destination_key BETWEEN r.dst_first AND " +
			"r.dst_last WHERE l.destination = '20.0.0.1' AND r.table_id = 254 ORDER BY r.dst_len DESC",
			"20.0.0.0/8\n0.0.0.0/0"},
		{"SELECT column1 FROM (VALUES ('20.0.0.1'), ('21.0.0.1')) WHERE EXISTS (SELECT 1 FROM kernel_route_lookups " +
			"WHERE destination = column1 AND error = '')", "20.0.0.1"},
		{"SELECT dev FROM kernel_route_lookups WHERE destination IN (SELECT column1 FROM (VALUES ('20.0.0.1')))", "v1"},
		// Once more: the same is found in what is held.
		{"SELECT count(DISTINCT route_id) FROM kernel_route_lookups WHERE destination IN ('fd30::1', 'fd30::2', " +
			"'fd30::3', 'fd30::4', 'fd30::5', 'fd30::6', 'fd30::7', 'fd30::8')", "1"},
	} {
		var out bytes.Buffer
		err := Query(context.Background(), &out, cache, c.sql, Options{Format: CSV, NoHeader: true})
		if got := strings.TrimSpace(out.String()); err != nil || got != c.want {
			t.Errorf("%s:\n%s, %v, want\n%s", c.sql, got, err, c.want)
		}
	}
	for sql, want := range map[string]string{
		"SELECT * FROM kernel_route_lookups":                              "kernel_route_lookups: which destination?",
		"SELECT count(*) FROM kernel_route_lookups":                       "kernel_route_lookups: which destination?",
		"SELECT * FROM kernel_route_lookups WHERE destination = 'x'":      "'x' is no IP address",
		"SELECT * FROM kernel_route_lookups WHERE destination LIKE '10%'": "which destination?",
		"SELECT * FROM (VALUES ('')) JOIN kernel_route_lookups ON destination = column1": "'' is no IP address for " +
			"destination: an empty one is none",
	} {
		var out bytes.Buffer
		if err := Query(context.Background(), &out, cache, sql, Options{}); err == nil ||
			!strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%s: %s, %v, want %s", sql, &out, err, want)
		}
	}
	src := openCapture(t, "basics-ipv4")
	if err := Query(context.Background(), new(bytes.Buffer), src,
		"SELECT * FROM kernel_route_lookups WHERE destination = '10.0.0.1'", Options{}); err == nil ||
		!strings.Contains(err.Error(), "look-ups are made by the kernel that runs") {
		t.Errorf("of a capture: %v", err)
	}
}

// TestLookupsOneColumn asks for little: what is shown does not hang on what else is.
func TestLookupsOneColumn(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	nstest.IP(t, "route add default via 10.0.0.2 metric 7 proto dhcp")
	for _, dst := range []string{"127.0.0.1", "10.0.0.1", "192.0.2.1", "::1"} {
		one := func(column string) string {
			var out bytes.Buffer
			sql := "SELECT " + column + " FROM kernel_route_lookups WHERE destination = '" + dst + "'"
			if err := Query(context.Background(), &out, &rtnl.Kernel{}, sql, Options{Format: List,
				NoHeader: true}); err != nil {
				t.Fatal(err)
			}
			return strings.TrimSuffix(out.String(), "\n")
		}
		var columns, want []string
		for _, c := range tables.Lookups.Columns {
			if c.Options&tables.Hidden == 0 || c.Name == "destination_key" {
				columns, want = append(columns, c.Name), append(want, one(c.Name))
			}
		}
		if got := one(strings.Join(columns, ", ")); got != strings.Join(want, "|") {
			t.Errorf("all columns are\n%s, each of them\n%s", got, strings.Join(want, "|"))
		}
	}
}

package shell

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
)

// twoNamespaces returns the path of one namespace, and leaves the calling goroutine in another
// with other gateways.
func twoNamespaces(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "blue")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fill := func(i int) {
		nstest.New(t)
		nstest.Veth(t, "v0", "10.0.0.1/24")
		nstest.Batch(t, "-4", fmt.Sprintf("route add 20.0.0.0/8 via 10.0.0.%d", i), "route add 21.0.0.0/8 via 10.0.0.9",
			fmt.Sprintf("route add 20.%d.0.0/16 via 10.0.0.8 metric 7", i))
		only := fmt.Sprintf("only%d", i)
		nstest.Veth(t, only, fmt.Sprintf("10.%d.0.1/24", i))
		nstest.IP(t, fmt.Sprintf("route add 23.0.0.0/8 via 10.%d.0.9", i))
	}
	t.Run("blue", func(s *testing.T) {
		outer := t
		t = s
		fill(2)
		t = outer
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			s.Fatal(err)
		}
	})
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
	fill(3)
	return path
}

// TestNetnsInJoins: a table shows the namespace that another one's row names, whatever else is
// asked of it and in whatever order they are written.
func TestNetnsInJoins(t *testing.T) {
	path := twoNamespaces(t)
	answer := func(sql string) string {
		t.Helper()
		var out, said bytes.Buffer
		err := Query(t.Context(), &out, &rtnl.Kernel{}, sql, Options{Format: List, NoHeader: true,
			Warn: func(text string) { fmt.Fprintln(&said, text) }})
		if err != nil || said.Len() > 0 {
			t.Errorf("%s: %v, %s", sql, err, said.Bytes())
		}
		return strings.Join(strings.Fields(out.String()), " ")
	}
	const r, n = "kernel_routes", "kernel_route_nexthops"
	in := " r.netns = '" + path + "'"
	for _, tc := range []struct{ from, where, want string }{
		{r + " r JOIN " + n + " n USING (route_id)", in + " AND r.dst = '20.0.0.0/8'", "10.0.0.2"},
		{r + " r JOIN " + n + " n USING (route_id, netns)", in + " AND r.dst = '20.0.0.0/8'", "10.0.0.2"},
		{r + " r JOIN " + n + " n USING (dst, netns_id)", in + " AND r.dst = '20.0.0.0/8'", "10.0.0.2"},
		{n + " n JOIN " + r + " r USING (dst, netns_id)", in + " AND r.dst = '20.0.0.0/8'", "10.0.0.2"},
		// A constant condition beside that on the namespace.
		{r + " r JOIN " + n + " n USING (dst, netns_id)", in + " AND n.metric = 7", "10.0.0.8"},
		{n + " n JOIN " + r + " r USING (dst, netns_id)", in + " AND n.metric = 7", "10.0.0.8"},
		{r + " r JOIN " + n + " n USING (dst, netns_id)", in + " AND n.gateway = '10.0.0.2'", "10.0.0.2"},
		{r + " r LEFT JOIN " + n + " n ON n.dst = r.dst AND n.netns_id = r.netns_id AND n.metric = 7",
			in + " AND r.metric = 7", "10.0.0.8"},
		{"(SELECT '" + path + "' AS p) v JOIN " + n + " n ON n.netns = v.p", "n.dst = '20.0.0.0/8'", "10.0.0.2"},
		{n + " n JOIN (VALUES ('" + path + "')) v ON n.netns = v.column1", "n.dst = '20.0.0.0/8'", "10.0.0.2"},
		// One row of each namespace.
		{"(VALUES ('" + path + "'), ('')) v JOIN " + n + " n ON n.netns = v.column1", "n.dst = '20.0.0.0/8'",
			"10.0.0.2 10.0.0.3"},
		{n + " n", "n.netns IN ('" + path + "', '') AND n.dst = '20.0.0.0/8'", "10.0.0.3 10.0.0.2"},
		{n + " n", "(n.netns = '" + path + "' OR n.metric = 7) AND n.dst LIKE '20%/%' AND n.dst <> '20.2.0.0/16'",
			"10.0.0.2 10.0.0.8"},
		{n + " n", "n.netns = '" + path + "' COLLATE NOCASE AND n.dst = '20.0.0.0/8'", "10.0.0.2"},
		{n + " n", "(n.netns = '" + path + "' OR n.pid_with_namespace = 0) AND n.dst = '20.0.0.0/8'",
			"10.0.0.2 10.0.0.3"},
		// What the first one has not got another one may have.
		{r + " r JOIN " + n + " n USING (dst, netns_id)", "r.netns IN ('', '" + path + "') AND n.dev = 'only2' " +
			"AND r.dst = '20.0.0.0/8'", ""},
		{r + " r CROSS JOIN " + n + " n USING (route_id)", "r.netns IN ('', '" + path + "') AND n.dev = 'only2' " +
			"AND r.dst = '23.0.0.0/8'", "10.2.0.9"},
		// Own namespace alone.
		{r + " r JOIN " + n + " n USING (route_id)", "r.dst = '20.0.0.0/8'", "10.0.0.3"},
		{r + " r JOIN " + n + " n USING (dst, netns_id)", "n.metric = 7", "10.0.0.8"},
	} {
		if got := answer("SELECT n.gateway FROM " + tc.from + " WHERE " + tc.where); got != tc.want {
			t.Errorf("FROM %s WHERE %s: got %q, want %q", tc.from, tc.where, got, tc.want)
		}
	}
}

// TestKeysInJoins joins by what lies in what.
func TestKeysInJoins(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Batch(t, "-4", "route add 20.0.0.0/8 via 10.0.0.2", "route add 20.1.0.0/16 via 10.0.0.3",
		"route add 20.1.2.0/24 via 10.0.0.4", "route add default via 10.0.0.5")
	nstest.Batch(t, "-6", "route add 2001:db8::/32 via fd00::2", "route add 2001:db8:1::/48 via fd00::3")
	answer := func(sql string) string {
		t.Helper()
		var out bytes.Buffer
		if err := Query(t.Context(), &out, &rtnl.Kernel{}, sql, Options{Format: List, NoHeader: true}); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		return strings.Join(strings.Fields(out.String()), " ")
	}
	const main = " r.table_name = 'main'"
	for sql, want := range map[string]string{
		// What takes a part of another route away.
		"SELECT p.dst FROM kernel_routes r JOIN kernel_routes p ON p.dst_first BETWEEN r.dst_first AND r.dst_last " +
			"AND p.dst_last <= r.dst_last WHERE r.dst = '20.0.0.0/8' AND p.dst <> r.dst AND" + main +
			" ORDER BY 1": "20.1.0.0/16 20.1.2.0/24",
		// What covers a prefix.
		"SELECT r.dst FROM kernel_routes r WHERE r.dst_first <= '4:14010200' AND r.dst_last >= '4:140102ff' AND" +
			main +
			" ORDER BY dst_len": "0.0.0.0/0 20.0.0.0/8 20.1.0.0/16 20.1.2.0/24",
		"SELECT r.dst FROM kernel_routes r WHERE '6:20010db8000100000000000000000001' BETWEEN r.dst_first AND " +
			"r.dst_last " +
			"AND" + main + " ORDER BY dst_len": "2001:db8::/32 2001:db8:1::/48",
		"SELECT r.dst FROM (VALUES ('20.1.2.3'), ('2001:db8:1::1')) v JOIN kernel_routes r ON r.covers = v.column1 " +
			"WHERE" +
			main + " AND r.dst_len > 0 ORDER BY v.column1, r.dst_len": "20.0.0.0/8 " +
			"20.1.0.0/16 20.1.2.0/24 2001:db8::/32 2001:db8:1::/48",
		"SELECT r.dst FROM kernel_routes r JOIN (VALUES ('20.1.2.3'), ('2001:db8:1::1')) v ON r.covers = v.column1 " +
			"WHERE" +
			main + " AND r.dst_len > 0 ORDER BY v.column1, r.dst_len": "20.0.0.0/8 " +
			"20.1.0.0/16 20.1.2.0/24 2001:db8::/32 2001:db8:1::/48",
		"SELECT count(*) FROM kernel_routes WHERE dst_first > 7":                                            "0",
		"SELECT count(*) > 0 FROM kernel_routes WHERE dst_first < x'00'":                                    "1",
		"SELECT count(*) FROM kernel_routes WHERE dst_first = '4:0A000000' COLLATE NOCASE AND dst_len = 24": "1",
	} {
		if got := answer(sql); got != want {
			t.Errorf("%s: got %q, want %q", sql, got, want)
		}
	}
}

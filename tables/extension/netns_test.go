package extension

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// TestNamespaces asks through osquery's side of an extension for other network namespaces: as a
// table with hidden columns is asked.
func TestNamespaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "blue")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var inode string
	t.Run("blue", func(t *testing.T) {
		nstest.New(t)
		nstest.Veth(t, "v0", "10.0.0.1/24")
		nstest.IP(t, "route add 20.0.0.0/8 via 10.0.0.2")
		var st unix.Stat_t
		err := unix.Stat("/proc/thread-self/ns/net", &st)
		if err == nil {
			err = unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		inode = fmt.Sprint(st.Ino)
	})
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
	m, _, p := startWith(t, Extension{Source: &rtnl.Cache{}, Tables: tables.All()})
	ask := func(table string, columns []string, where ...osquerytest.Term) []map[string]string {
		t.Helper()
		rows, err := m.Select(timeLimit(t), table, columns, where...)
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	blue := osquerytest.Is("netns", path)
	dst := osquerytest.Is("dst", "20.0.0.0/8")
	rows := ask("kernel_routes", []string{"gateway", "netns", "netns_id", "route_id"}, blue, dst)
	if len(rows) != 1 || rows[0]["gateway"] != "10.0.0.2" || rows[0]["netns"] != path || rows[0]["netns_id"] != inode {
		t.Fatalf("rows %v", rows)
	}
	// The second table of a join by route_id, and by what the row of the first one shows.
	id := rows[0]["route_id"]
	for _, terms := range [][]osquerytest.Term{
		{osquerytest.Is("route_id", id)},
		{osquerytest.Is("netns_id", inode), dst},
		{osquerytest.Is("netns", path, ""), dst}, // IN
		{blue, osquerytest.Is("covers", "20.1.2.3"), osquerytest.Is("table_name", "main")},
	} {
		hops := ask("kernel_route_nexthops", []string{"gateway", "netns_id"}, terms...)
		if len(hops) != 1 || hops[0]["gateway"] != "10.0.0.2" || hops[0]["netns_id"] != inode {
			t.Errorf("%v: rows %v", terms, hops)
		}
	}
	// SELECT * has no hidden column but that of the condition, which SQLite checks, and those
	// behind the 63rd column, for which SQLite has one bit with all others there.
	for _, r := range ask("kernel_routes", nil, blue) {
		for hidden, want := range map[string]bool{"netns": true, "netns_id": false, "dst_first": true} {
			if _, is := r[hidden]; is != want {
				t.Errorf("SELECT * has %s: %v, want %v: %v", hidden, is, want, r)
			}
		}
	}
	numbers := func(terms ...osquerytest.Term) (ids []string) {
		for _, r := range ask("kernel_routes", []string{"route_id", "netns"}, terms...) {
			ids = append(ids, r["rowid"])
		}
		return ids
	}
	one, other := numbers(blue), numbers(osquerytest.Is("netns", "/proc/self/ns/net"))
	if both := slices.Compact(slices.Sorted(slices.Values(slices.Concat(one,
		other)))); len(both) != len(one)+len(other) {
		t.Errorf("rows of two namespaces have the same rowid: %v, %v", one, other)
	}
	for _, bad := range []osquerytest.Term{osquerytest.Is("netns", "nosuch"),
		osquerytest.Is("pid_with_namespace", "4194304")} {
		if rows, err := m.Select(timeLimit(t), "kernel_routes", nil, bad); err == nil || len(rows) > 0 ||
			!strings.Contains(err.Error(), "no network namespace") {
			t.Errorf("%v: %d rows, %v", bad, len(rows), err)
		}
	}
	// A value that does not come is told of: SQLite has left the condition out.
	ask("kernel_routes", []string{"dst", "pid_with_namespace"}, osquerytest.Is("table_name", "main"))
	p.saw("pid_with_namespace is used, but no value for it has come")
}

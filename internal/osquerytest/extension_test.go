package osquerytest_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
	"kernelroutes/tables/extension"
)

const patience = 20 * time.Second

// ownExtension starts the program's own extension, in the namespace of the process.
func ownExtension(t *testing.T) (*osquerytest.Manager, context.Context) {
	t.Helper()
	m := osquerytest.Start(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e := extension.Extension{Source: &rtnl.Cache{}, Tables: tables.All(), Socket: m.Socket(), Timeout: patience,
			Interval: time.Second, Version: "1", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
		e.Run(ctx)
	}()
	t.Cleanup(func() { cancel(); <-done })
	limit, stop := context.WithTimeout(context.Background(), patience)
	t.Cleanup(stop)
	if _, err := m.WaitRegistered(limit); err != nil {
		t.Fatal(err)
	}
	return m, limit
}

// blue makes a namespace with three routes besides those of its device, and returns a file that
// stands for it.
func blue(t *testing.T) (path string) {
	path = filepath.Join(t.TempDir(), "blue")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("blue", func(t *testing.T) {
		nstest.New(t)
		nstest.Veth(t, "v0", "10.0.0.1/24")
		nstest.IP(t, "route add 20.0.0.0/8 via 10.0.0.2")
		nstest.IP(t, "route add 30.0.0.0/8 nexthop via 10.0.0.2 nexthop via 10.0.0.3")
		nstest.IP(t, "route add blackhole 40.0.0.0/8 table 100")
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { unix.Unmount(path, unix.MNT_DETACH) })
	return path
}

// TestExtension asks the program's own extension as packs do.
func TestExtension(t *testing.T) {
	ns := blue(t)
	m, ctx := ownExtension(t)
	for _, tc := range []struct {
		sql      string
		rows     string
		requests int
	}{
		{"SELECT dst FROM kernel_routes WHERE netns = $ AND gateway = '10.0.0.2'", "20.0.0.0/8", 1},
		{"WITH r AS MATERIALIZED (SELECT * FROM kernel_routes WHERE netns = $) SELECT dst FROM r " +
			"WHERE type = 'blackhole' UNION ALL SELECT dst FROM r WHERE nexthop_count > 1", "40.0.0.0/8 30.0.0.0/8", 1},
		{"SELECT r.dst, n.gateway FROM kernel_routes r CROSS JOIN kernel_route_nexthops n ON n.route_id = r.route_id " +
			"WHERE r.netns = $ AND r.nexthop_count > 1 AND n.netns = $", "30.0.0.0/8,10.0.0.2 30.0.0.0/8,10.0.0.3", 2},
		{"SELECT dst FROM kernel_routes r WHERE r.netns = $ AND r.type = 'blackhole' AND NOT EXISTS " +
			"(SELECT 1 FROM kernel_route_rules k WHERE k.netns = $ AND k.table_id = r.table_id)", "40.0.0.0/8", 2},
		{"SELECT l.matched_dst FROM (SELECT '20.1.1.1' AS d UNION ALL SELECT '30.1.1.1') s CROSS JOIN " +
			"kernel_route_lookups l ON l.destination = s.d WHERE l.netns = $", "20.0.0.0/8 30.0.0.0/8", 2},
	} {
		before := m.Sent()
		r, err := m.Run(ctx, strings.ReplaceAll(tc.sql, "$", "'"+ns+"'"))
		var rows []string
		for _, row := range r.Rows {
			text := row["dst"] + row["matched_dst"]
			if gateway := row["gateway"]; gateway != "" {
				text += "," + gateway
			}
			rows = append(rows, text)
		}
		cost := r.Cost()
		if got := strings.Join(rows, " "); err != nil || got != tc.rows || cost.Requests != tc.requests {
			t.Errorf("%s:\n%s, %d requests, %v, want %s, %d", tc.sql, got, cost.Requests, err, tc.rows, tc.requests)
		}
		if sent := m.Sent(); cost.Bytes < 50 || sent.Requests-before.Requests != cost.Requests ||
			sent.Bytes-before.Bytes != cost.Bytes || sent.Rows-before.Rows != cost.Rows {
			t.Errorf("%s: cost %v, but %v after %v", tc.sql, cost, sent, before)
		}
	}
	// Columns that are not used do not come.
	few, err := m.Run(ctx, "SELECT dst FROM kernel_routes WHERE netns = '"+ns+"'")
	all, e := m.Run(ctx, "SELECT * FROM kernel_routes WHERE netns = '"+ns+"'")
	if err != nil || e != nil || few.Cost().Rows != all.Cost().Rows || few.Cost().Bytes*3 > all.Cost().Bytes {
		t.Errorf("%v for dst, %v for *, %v, %v", few.Cost(), all.Cost(), err, e)
	}
	if _, err := m.Run(ctx, "SELECT * FROM kernel_routes WHERE netns = 'nosuch'"); err == nil ||
		!strings.Contains(err.Error(), "no network namespace") {
		t.Errorf("an error of the extension: %v", err)
	}
}

// TestInnerInput has what docs/namespaces.md says of joins by their columns: osquery's SQLite
// drops the condition with another table's column where there is a constant one too, unless CROSS
// JOIN says which table comes first. All of it comes from the costs that osquery gives SQLite.
func TestInnerInput(t *testing.T) {
	ns := blue(t)
	m, ctx := ownExtension(t)
	m.AddTable("containers", []osquerytest.Column{{Name: "ns", Type: "TEXT"}, {Name: "state", Type: "TEXT"}},
		map[string]string{"ns": ns, "state": "running"})
	const told = `{"name":"netns","list":[{"op":2,"expr":%q}]`
	for _, tc := range []struct {
		sql  string
		rows int
		told bool // the namespace
	}{
		{"containers c JOIN kernel_routes r ON r.netns = c.ns AND r.table_name = 'main'", 0, false},
		{"kernel_routes r JOIN containers c ON r.netns = c.ns AND r.table_name = 'main'", 0, false},
		{"containers c, kernel_routes r WHERE r.netns = c.ns AND r.table_name = 'main'", 0, false},
		{"containers c CROSS JOIN kernel_routes r ON r.netns = c.ns AND r.table_name = 'main'", 3, true},
		{"containers c LEFT JOIN kernel_routes r ON r.netns = c.ns AND r.table_name = 'main'", 3, true},
		{"containers c JOIN kernel_routes r ON r.netns = c.ns WHERE r.dst_len > 20", 0, false},
		{"containers c JOIN kernel_routes r ON r.netns = c.ns WHERE +r.table_name = 'main'", 3, true},
		{"kernel_routes r WHERE (r.netns = '" + ns + "' OR r.pid_with_namespace = 4194304) AND r.table_name = 'main'",
			0, false},
	} {
		r, err := m.Run(ctx, "SELECT r.dst FROM "+tc.sql)
		if err != nil {
			t.Errorf("%s: %v", tc.sql, err)
			continue
		}
		var contexts []string
		for _, q := range r.Requests {
			contexts = append(contexts, q.Context)
		}
		has := strings.Contains(strings.Join(contexts, " "), fmt.Sprintf(told, ns))
		if len(r.Rows) != tc.rows || len(contexts) != 1 || has != tc.told {
			t.Errorf("%s: %d rows, want %d, the namespace is told: %v, want %v\n%v", tc.sql, len(r.Rows), tc.rows,
				has, tc.told, contexts)
		}
	}
}

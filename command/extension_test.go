package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/tables"
)

// An extensionProcess is the built binary as osquery starts it.
type extensionProcess struct{ *exttest.Process }

// startExtension starts an extension manager, and the binary as its child, in
// the calling goroutine's namespace.
func startExtension(t *testing.T, flags ...string) *extensionProcess {
	t.Helper()
	return &extensionProcess{exttest.Start(t, flags...)}
}

// startAt starts the binary at a manager. A shell runs before first, if it is not
// empty.
func startAt(t *testing.T, m *osquerytest.Manager, before string, flags ...string) *extensionProcess {
	t.Helper()
	return &extensionProcess{exttest.StartAt(t, m, before, flags...)}
}

// TestExtension asks the built binary what osquery asks.
func TestExtension(t *testing.T) {
	fixedNamespace(t)
	x := startExtension(t, "--an_unknown_flag=1")
	if got := x.Extensions()[x.UUID]; got.Name != "kernel_routes" || got.Version != thisBuild().Version {
		t.Errorf("registered as %q %q", got.Name, got.Version)
	}
	for _, table := range tables.All() {
		columns := x.Registry(x.UUID)["table"][table.Name]
		if len(columns) != len(table.Columns) {
			t.Errorf("%s: %d columns are registered, of %d", table.Name, len(columns), len(table.Columns))
		}
	}

	t.Run("metric 0", func(t *testing.T) {
		for _, table := range []*tables.Table{tables.Routes, tables.Nexthops} {
			rows := x.Generate(t, table.Name, []string{"dst=0.0.0.0/0", "metric=0"}, "dst", "metric")
			if len(rows) != 1 || rows[0]["metric"] != "0" {
				t.Errorf("%s: %v", table.Name, rows)
			}
		}
	})

	t.Run("rows", func(t *testing.T) { defaultRoutes(t, x) })
	t.Run("join", func(t *testing.T) { joined(t, x) })
	t.Run("recorded", func(t *testing.T) { recorded(t, x) })
	t.Run("errors", func(t *testing.T) {
		for _, tc := range []struct{ table, action, context string }{
			{"kernel_routes", "generate", "{"},
			{"kernel_routes", "drop", "{}"},
			{"kernel_routes", "", ""},
		} {
			r, err := x.Call(x.Context, tc.table, map[string]string{"action": tc.action, "context": tc.context})
			if err != nil || r.Status.Code == 0 || !strings.Contains(r.Status.Message, tc.table) ||
				len(r.Response) != 0 {
				t.Errorf("%v: %v %v", tc, r, err)
			}
		}
	})
	t.Run("parallel", func(t *testing.T) { inParallel(t, x) })
	t.Run("SIGTERM", func(t *testing.T) {
		x.Cmd.Process.Signal(syscall.SIGTERM)
		if code := x.Wait(t); code != 0 {
			t.Errorf("exit status %d\n%s", code, &x.Stderr)
		}
		x.Told(t)
		if !strings.Contains(x.Stderr.String(), "an_unknown_flag") {
			t.Errorf("no warning of the unknown flag:\n%s", &x.Stderr)
		}
	})
}

// defaultRoutes asks for some columns of the default routes.
func defaultRoutes(t *testing.T, x *extensionProcess) {
	rows := x.Generate(t, "kernel_routes", []string{"dst=0.0.0.0/0"},
		"route_id", "table_name", "gateway", "metric", "locked", "src")
	if len(rows) != 2 {
		t.Fatalf("%d default routes", len(rows))
	}
	for i, want := range []map[string]string{
		{"table_name": "main", "gateway": "192.0.2.1", "metric": "100"},
		{"table_name": "1000", "gateway": "203.0.113.1", "locked": "mtu", "metric": "0"},
	} {
		// The kernel dumps table 1000 (232 in its hash) before main.
		got := rows[1-i]
		if got["route_id"] == "" {
			t.Errorf("no route_id in %v", got)
		}
		delete(got, "route_id")
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// joined asks for the nexthops of each route, as SQLite does for a join.
func joined(t *testing.T, x *extensionProcess) {
	for _, r := range x.Generate(t, "kernel_routes", nil, "route_id", "dst", "nexthop_count") {
		hops := x.Generate(t, "kernel_route_nexthops", []string{"route_id=" + r["route_id"]},
			"route_id", "dst", "gateway")
		if fmt.Sprint(len(hops)) != r["nexthop_count"] {
			t.Errorf("%s: %d nexthops, nexthop_count %s", r["dst"], len(hops), r["nexthop_count"])
		}
		for _, h := range hops {
			if h["route_id"] != r["route_id"] || h["dst"] != r["dst"] {
				t.Errorf("%v among the nexthops of %v", h, r)
			}
		}
	}
}

// inParallel has many queries at the same time.
func inParallel(t *testing.T, x *extensionProcess) {
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 20 {
				r, err := x.Call(x.Context, "kernel_routes", map[string]string{
					"action": "generate", "context": `{"constraints":[],"colsUsed":["dst"]}`})
				if err != nil || len(r.Response) < 10 {
					t.Errorf("%d rows, %v", len(r.Response), err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// recorded sends every request that was recorded from osqueryi.
func recorded(t *testing.T, x *extensionProcess) {
	all, err := osquerytest.ReadRecorded("testdata/osquery-contexts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, rec := range all {
		for _, c := range rec.Calls {
			n++
			r, err := x.Call(x.Context, c.Table, c.Request)
			if err != nil || r.Status.Code != 0 {
				t.Errorf("%s: %v %v", rec.SQL, r.Status, err)
				continue
			}
			var q struct{ ColsUsed []string }
			if err := json.Unmarshal([]byte(c.Request["context"]), &q); err != nil {
				t.Fatal(err)
			}
			for _, row := range r.Response {
				for name := range row {
					if name != exttest.RowID && !slices.Contains(q.ColsUsed, name) {
						t.Errorf("%s: column %s was not asked for", rec.SQL, name)
					}
				}
			}
			// LIMIT narrows nothing, whatever it comes on.
			if strings.Contains(rec.SQL, "LIMIT") && len(r.Response) < 10 {
				t.Errorf("%s: only %d rows", rec.SQL, len(r.Response))
			}
		}
	}
	if n < 24 {
		t.Errorf("only %d requests are recorded", n)
	}
}

// TestOsqueryi runs queries in a real osqueryi, named by OSQUERYI or on PATH.
func TestOsqueryi(t *testing.T) {
	osqueryi := os.Getenv("OSQUERYI")
	if osqueryi == "" {
		var err error
		if osqueryi, err = exec.LookPath("osqueryi"); err != nil {
			t.Skip("no osqueryi: it is not on PATH and OSQUERYI does not name one")
		}
	}
	fixedNamespace(t)
	ask := func(sql string) ([]byte, error) {
		dir, err := os.MkdirTemp("/tmp", "kr") // TMPDIR and t.TempDir may be too long for a socket
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		cmd := exec.Command(osqueryi, "--json", "--disable_database", "--disable_events", "--allow_unsafe",
			"--extensions_socket="+dir+"/s", "--extensions_timeout=10",
			"--extension", binary(t), "--extensions_require=kernel_routes", sql)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, &stderr)
		}
		return out, err
	}
	for _, sql := range []string{
		"SELECT * FROM kernel_routes",
		"SELECT * FROM kernel_routes WHERE table_name = 'main'",
		"SELECT * FROM kernel_routes WHERE table_name IN ('main', '1000') AND family = 'ipv4'",
		"SELECT count(*) AS n FROM kernel_routes",
		"SELECT dst FROM kernel_routes WHERE metric IS NULL",
		"SELECT dst FROM kernel_routes WHERE gateway = '' ORDER BY metric DESC LIMIT 3",
		"SELECT r.dst, n.gateway, n.weight FROM kernel_routes r JOIN kernel_route_nexthops n USING (route_id)",
		"SELECT n.* FROM kernel_route_nexthops n WHERE n.route_id IN " +
			"(SELECT route_id FROM kernel_routes WHERE nexthop_count > 1)",
		"SELECT dst FROM kernel_routes WHERE table_name = 'MAIN' COLLATE NOCASE",
		"SELECT * FROM kernel_route_rules",
		"SELECT priority FROM kernel_route_rules WHERE inverted AND fwmark = 51820",
		"SELECT * FROM kernel_nexthops WHERE nexthop_id IN (1, 10)",
		"SELECT protocol, sum(routes) AS n FROM kernel_route_counts GROUP BY 1 ORDER BY 1",
		"SELECT dev, family, effective_rp_filter FROM kernel_interface_config WHERE family = 'ipv4'",
		"SELECT * FROM kernel_route_lookups WHERE destination = '203.0.113.77'",
		"SELECT destination, mark, dev FROM kernel_route_lookups WHERE destination IN ('192.0.2.7', '203.0.113.77') " +
			"AND mark IN (0, 51820) ORDER BY 1, 2",
		"SELECT v.column1, l.dev, l.error FROM (VALUES ('198.51.100.7'), ('203.0.113.77')) v " +
			"CROSS JOIN kernel_route_lookups l ON l.destination = v.column1",
		"SELECT netns, pid_with_namespace, dst FROM kernel_routes WHERE netns = '/proc/self/ns/net' AND metric = 100",
		"SELECT netns, pid_with_namespace, dst FROM kernel_routes WHERE pid_with_namespace = 0 AND metric = 100",
		"SELECT dst FROM kernel_routes WHERE dst_first <= '4:0a010200' AND dst_last >= '4:0a0102ff' ORDER BY dst_len",
		"SELECT dst, covers FROM kernel_routes WHERE covers = '10.1.2.0/24' ORDER BY dst_len",
	} {
		out, err := ask(sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if got, want := decodeRows(t, out), decodeRows(t, []byte(run(t, "", "query", "--json", sql))); got != want {
			t.Errorf("%s:\nosqueryi: %s\n   query: %s", sql, got, want)
		}
	}
	if out, err := ask("SELECT * FROM kernel_route_lookups"); err == nil {
		t.Errorf("look-ups without a destination are %s", out)
	}
	// A socket of this process, which is in the namespace.
	socket, err := net.Dial("udp", "203.0.113.77:53")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	sql := fmt.Sprintf("SELECT DISTINCT l.dev FROM process_open_sockets s CROSS JOIN kernel_route_lookups l "+
		"ON l.destination = s.remote_address WHERE s.pid = %d AND s.remote_port = 53", os.Getpid())
	out, err := ask(sql)
	if err != nil || decodeRows(t, out) != "[map[dev:vpn0]]" {
		t.Errorf("%s: %s, %v", sql, out, err)
	}
}

// decodeRows makes JSON comparable.
func decodeRows(t *testing.T, data []byte) string {
	var rows []map[string]string
	if err := json.Unmarshal(data, &rows); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	return fmt.Sprint(rows)
}

// TestDependencies keeps out what would cost every start time and memory:
// osquery-go's server and plug-ins initialise OpenTelemetry.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(out)) {
		if strings.Contains(name, "opentelemetry") || strings.Contains(name, "osquery-go/plugin") {
			t.Errorf("the binary contains %s", name)
		}
	}
}

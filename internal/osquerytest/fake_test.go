package osquerytest

import (
	"context"
	"strconv"
	"testing"
	"time"

	osquerygo "github.com/osquery/osquery-go"
	"github.com/osquery/osquery-go/gen/osquery"
)

// patience is for what happens at once unless something is broken.
const patience = 20 * time.Second

func timeLimit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A fakeTable is a table of an extension that is osquery-go's, with the same rows whatever it is
// asked, or a failure. It is not the program's own extension, and does not know constraints.
type fakeTable struct {
	name    string
	columns []column
	rows    []map[string]string
	failure string
}

func (f *fakeTable) Name() string         { return f.name }
func (f *fakeTable) RegistryName() string { return "table" }
func (f *fakeTable) Shutdown()            {}

func (f *fakeTable) Ping() osquery.ExtensionStatus { return osquery.ExtensionStatus{Message: "OK"} }

func (f *fakeTable) Routes() (routes osquery.ExtensionPluginResponse) {
	for _, c := range f.columns {
		routes = append(routes, map[string]string{"id": "column", "name": c.name, "type": c.affinity,
			"op": strconv.Itoa(c.options)})
	}
	return routes
}

func (f *fakeTable) Call(_ context.Context, _ osquery.ExtensionPluginRequest) osquery.ExtensionResponse {
	if f.failure != "" {
		return osquery.ExtensionResponse{Status: &osquery.ExtensionStatus{Code: 1, Message: f.failure},
			Response: f.rows}
	}
	return osquery.ExtensionResponse{Status: &osquery.ExtensionStatus{Message: "OK"}, Response: f.rows}
}

// fakeExtension starts an extension with tables at a manager of its own.
func fakeExtension(t testing.TB, tables ...*fakeTable) *Manager {
	t.Helper()
	m := Start(t)
	server, err := osquerygo.NewExtensionManagerServer("fake", m.Socket(), osquerygo.ServerTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		server.RegisterPlugin(table)
	}
	done := make(chan error, 1)
	go func() { done <- server.Start() }()
	t.Cleanup(func() {
		server.Shutdown(context.Background())
		<-done
	})
	if _, err := m.WaitRegistered(timeLimit(t)); err != nil {
		t.Fatal(err)
	}
	return m
}

// recordedTables are those that the requests were recorded with.
func recordedTables() []*fakeTable {
	routes := &fakeTable{name: "kernel_routes", columns: []column{
		{"route_id", "TEXT", index | optimized, false},
		{"family", "TEXT", additional | optimized, false},
		{"type", "TEXT", 0, false},
		{"protocol", "TEXT", 0, false},
		{"table_id", "BIGINT", additional | optimized, false},
		{"table_name", "TEXT", additional | optimized, false},
		{"dst", "TEXT", 0, false},
		{"gateway", "TEXT", 0, false},
		{"dev", "TEXT", 0, false},
		{"metric", "BIGINT", 0, false},
	}}
	hops := &fakeTable{name: "kernel_route_nexthops", columns: []column{
		{"route_id", "TEXT", index | optimized, false},
		{"nexthop_index", "INTEGER", 0, false},
		{"gateway", "TEXT", 0, false},
		{"dev", "TEXT", 0, false},
		{"weight", "INTEGER", 0, false},
	}}
	for _, id := range []string{"r0", "r1", "r2"} {
		routes.rows = append(routes.rows, map[string]string{"route_id": id, "family": "ipv4", "table_id": "254",
			"table_name": "main", "dst": "10.0.0.0/8", "dev": "lo", "metric": "7"})
		hops.rows = append(hops.rows, map[string]string{"route_id": id, "weight": "1"})
	}
	return []*fakeTable{routes, hops}
}

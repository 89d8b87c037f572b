package extension

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"testing"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/osquerytest"
	"kernelroutes/tables"
)

func TestRegistration(t *testing.T) {
	m, uuid, _ := registered(t, tables.All()...)
	info := osquery.InternalExtensionInfo{Name: "kernel_routes", Version: "1.2.3"}
	if got := m.Extensions()[uuid]; got != info {
		t.Errorf("registered as %+v, want %+v", got, info)
	}
	got := m.Registry(uuid)
	if len(got) != 1 || len(got["table"]) != len(tables.All()) {
		t.Fatalf("registered %v, want the tables alone", got)
	}
	for _, table := range tables.All() {
		var want osquery.ExtensionPluginResponse
		for _, c := range table.Columns {
			want = append(want, map[string]string{
				"id": "column", "name": c.Name, "type": string(c.Type), "op": fmt.Sprint(c.Options)})
		}
		if !reflect.DeepEqual(got["table"][table.Name], want) {
			t.Errorf("%s: registered %v, want %v", table.Name, got["table"][table.Name], want)
		}
		r, err := m.Call(timeLimit(t), table.Name, map[string]string{"action": "columns"})
		if err != nil || r.Status.Code != 0 || !reflect.DeepEqual(r.Response, want) {
			t.Errorf("%s: columns: %v, %v, want %v", table.Name, r, err, want)
		}
	}
}

// The requests were recorded from osqueryi; each line has the SQL and what it
// came to.
func TestRecordedRequests(t *testing.T) {
	type asked struct {
		source tables.Source
		query  tables.Query
	}
	queries := make(chan asked, 1)
	record := func(table *tables.Table) *tables.Table {
		row := map[string]string{}
		for i, c := range table.Columns {
			row[c.Name] = strconv.Itoa(i)
		}
		return faked(table, func(_ context.Context, src tables.Source, q tables.Query) (tables.Rows, error) {
			queries <- asked{src, q}
			return values(table, row), nil
		})
	}
	m, _, _ := registered(t, record(tables.Routes), record(tables.Nexthops))

	all, err := osquerytest.ReadRecorded("../../testdata/osquery-contexts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, line := range all {
		for _, call := range line.Calls {
			calls++
			r, err := m.Call(timeLimit(t), call.Table, call.Request)
			if err != nil || r.Status.Code != 0 {
				t.Fatalf("%s: %v, %v", line.SQL, r.Status, err)
			}
			table := tables.Routes
			if call.Table == tables.Nexthops.Name {
				table = tables.Nexthops
			}
			constraints, used := understood(t, table, call.Request["context"])
			q := (<-queries).query
			if !slices.Equal(q.Constraints, constraints) {
				t.Errorf("%s: constraints %v, want %v", line.SQL, q.Constraints, constraints)
			}
			if len(r.Response) == 1 && len(used) > 0 {
				if _, err := strconv.ParseInt(r.Response[0]["rowid"], 10, 64); err != nil {
					t.Errorf("%s: no number of the row: %v", line.SQL, err)
				}
				delete(r.Response[0], "rowid")
			}
			if len(r.Response) != 1 || !slices.Equal(slices.Sorted(maps.Keys(r.Response[0])), used) {
				t.Errorf("%s: answer %v, want a row with %v", line.SQL, r.Response, used)
			}
		}
	}
	if calls < 30 {
		t.Errorf("%d requests", calls)
	}
}

// understood reads a request as it is, without a type of its own.
func understood(t *testing.T, table *tables.Table, context string) (constraints []tables.Constraint, used []string) {
	var c map[string]any
	if err := json.Unmarshal([]byte(context), &c); err != nil {
		t.Fatal(err)
	}
	for _, column := range c["constraints"].([]any) {
		column := column.(map[string]any)
		for _, item := range column["list"].([]any) {
			item := item.(map[string]any)
			switch op := item["op"].(float64); op {
			case 2, 4, 8, 16, 32:
				col := table.Column(column["name"].(string))
				constraints = append(constraints, where(col, tables.Op(op), item["expr"].(string)))
			}
		}
	}
	for _, name := range c["colsUsed"].([]any) {
		used = append(used, name.(string))
	}
	slices.Sort(used)
	return constraints, used
}

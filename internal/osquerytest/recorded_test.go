package osquerytest

import (
	"encoding/json"
	"reflect"
	"testing"
)

// TestRequestsAreOsqueries asks what was asked of a real osqueryi, and compares the requests
// with those that it sent.
func TestRequestsAreOsqueries(t *testing.T) {
	all, err := ReadRecorded("../../testdata/osquery-contexts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	m := fakeExtension(t, recordedTables()...)
	var interfaces []map[string]string
	for _, name := range []string{"lo", "ifb0", "ifb1", "eth0"} {
		interfaces = append(interfaces, map[string]string{"interface": name, "mtu": "1500"})
	}
	m.AddTable("interface_details", []Column{{"interface", "TEXT", 0}, {"mac", "TEXT", 0}, {"mtu", "INTEGER", 0}},
		interfaces...)
	requests := 0
	for _, recorded := range all {
		got, err := m.Run(timeLimit(t), recorded.SQL)
		if err != nil {
			t.Errorf("%s: %v", recorded.SQL, err)
			continue
		}
		if len(got.Requests) != len(recorded.Calls) {
			t.Errorf("%s: %d requests, %d are recorded: %v", recorded.SQL, len(got.Requests), len(recorded.Calls),
				got.Requests)
			continue
		}
		for i, call := range recorded.Calls {
			requests++
			want := call.Request["context"]
			if r := got.Requests[i]; r.Table != call.Table ||
				!reflect.DeepEqual(understood(t, r.Context), understood(t, want)) {
				t.Errorf("%s: request %d is\n%s %s\nrecorded is\n%s %s", recorded.SQL, i, r.Table, r.Context,
					call.Table, want)
			}
		}
	}
	if len(all) != 24 || requests < 30 {
		t.Errorf("only %d statements with %d requests are recorded", len(all), requests)
	}
	if cost := m.Sent(); cost.Requests != requests || cost.Rows != 3*requests || cost.Bytes < int64(100*requests) {
		t.Errorf("%d requests cost %v", requests, cost)
	}
}

// understood reads a request. The order of the columns used means nothing.
func understood(t *testing.T, context string) map[string]any {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal([]byte(context), &c); err != nil {
		t.Fatal(err)
	}
	names := map[any]bool{}
	for _, name := range c["colsUsed"].([]any) {
		names[name] = true
	}
	c["colsUsed"] = names
	return c
}

package osquerytest

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
)

// recordedColumns are those of kernel_routes when the requests were recorded.
var recordedColumns = []column{
	{"route_id", "TEXT", index | optimized},
	{"family", "TEXT", additional | optimized},
	{"type", "TEXT", index},
	{"protocol", "TEXT", index},
	{"table_id", "BIGINT", additional | optimized},
	{"table_name", "TEXT", additional | optimized},
	{"dst", "TEXT", index},
	{"gateway", "TEXT", index},
	{"dev", "TEXT", index},
	{"metric", "BIGINT", index},
}

// TestSelectIsOsqueries compares requests with those that osqueryi sent for the same SQL.
func TestSelectIsOsqueries(t *testing.T) {
	all, err := ReadRecorded("../../testdata/osquery-contexts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		sql      string
		selected []string
		where    []Term
	}{
		{"SELECT * FROM kernel_routes WHERE table_name='main'", nil, []Term{Is("table_name", "main")}},
		{"SELECT count(*) FROM kernel_routes", []string{}, nil},
		{"SELECT dst FROM kernel_routes", []string{"dst"}, nil},
		{"SELECT dst, gateway FROM kernel_routes WHERE family='ipv6' AND table_id=254", []string{"dst", "gateway"},
			[]Term{Is("family", "ipv6"), Is("table_id", "254")}},
		{"SELECT dst FROM kernel_routes WHERE table_name IN ('main','local')", []string{"dst"},
			[]Term{Is("table_name", "main", "local")}},
		{"SELECT dst FROM kernel_routes WHERE table_name LIKE 'ma%'", []string{"dst"},
			[]Term{{"table_name", 65, []string{"ma%"}}}},
		{"SELECT dst FROM kernel_routes WHERE metric >= 4294967295", []string{"dst"},
			[]Term{{"metric", 32, []string{"4294967295"}}}},
		{"SELECT dst FROM kernel_routes WHERE gateway = ''", []string{"dst"}, []Term{Is("gateway", "")}},
		{"SELECT dst FROM kernel_routes WHERE table_id = 254.0", []string{"dst"}, []Term{Is("table_id", "254.0")}},
	} {
		i := slices.IndexFunc(all, func(r Recorded) bool { return r.SQL == tc.sql })
		if i < 0 || len(all[i].Calls) != 1 {
			t.Fatalf("%s is not recorded as one request", tc.sql)
		}
		got, err := contexts("kernel_routes", recordedColumns, tc.selected, tc.where)
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %q, %v", tc.sql, got, err)
		}
		want := all[i].Calls[0].Request["context"]
		if !reflect.DeepEqual(understood(t, got[0]), understood(t, want)) {
			t.Errorf("%s:\n%s\nwant\n%s", tc.sql, got[0], want)
		}
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

// TestSelectByOptions has a column of each kind (xBestIndex and xFilter of osquery's
// virtual_table.cpp).
func TestSelectByOptions(t *testing.T) {
	columns := []column{
		{"plain", "TEXT", index},
		{"number", "BIGINT", additional},
		{"only_optimized", "TEXT", optimized},
		{"only_hidden", "TEXT", hidden},
		{"netns", "TEXT", hidden | additional | optimized},
	}
	needs := append(slices.Clone(columns), column{"to", "TEXT", required | optimized}, column{"from", "TEXT", required})
	many := []string{"a", "b"}
	for _, tc := range []struct {
		name    string
		columns []column
		where   []Term
		sent    []string // of each request what is sent of the last term's column; nil: an error
	}{
		{"IN of a column that is not optimized", columns, []Term{Is("plain", many...)},
			[]string{`[{"op":2,"expr":"a"}]`, `[{"op":2,"expr":"b"}]`}},
		{"IN of one that is", columns, []Term{Is("netns", many...)},
			[]string{`[{"op":2,"expr":"a"},{"op":2,"expr":"b"}]`}},
		{"nothing in IN", columns, []Term{Is("netns", "", "a")}, []string{`[{"op":2,"expr":""},{"op":2,"expr":"a"}]`}},
		{"nothing", columns, []Term{Is("netns", "")}, []string{`[]`}},
		{"the order of numbers", columns, []Term{{"number", 4, []string{"7"}}}, []string{`[{"op":4,"expr":"7"}]`}},
		{"the order of texts", columns, []Term{{"plain", 4, []string{"7"}}}, []string{`[]`}},
		{"only hidden", columns, []Term{Is("only_hidden", "a")}, []string{`[]`}},
		{"only optimized", columns, []Term{Is("only_optimized", "a")}, []string{`[]`}},
		{"not what is required", needs, []Term{Is("netns", "a")}, nil},
		{"the order of what is required", needs, []Term{{"to", 4, []string{"a"}}}, nil},
		{"what is required", needs, []Term{Is("to", many...)}, []string{`[{"op":2,"expr":"a"},{"op":2,"expr":"b"}]`}},
		{"one of what is required is enough", needs, []Term{Is("from", "a")}, []string{`[{"op":2,"expr":"a"}]`}},
		{"and even nothing is", needs, []Term{Is("from", "")}, []string{`[]`}},
	} {
		got, err := contexts("t", tc.columns, nil, tc.where)
		if (err != nil) != (tc.sent == nil) || len(got) != len(tc.sent) {
			t.Errorf("%s: %q, %v", tc.name, got, err)
			continue
		}
		last := tc.where[len(tc.where)-1].Column
		for i, context := range got {
			c := understood(t, context)
			var sent []byte
			for _, column := range c["constraints"].([]any) {
				if column := column.(map[string]any); column["name"] == last {
					if sent, err = json.Marshal(column["list"]); err != nil {
						t.Fatal(err)
					}
				}
			}
			var want any
			if err := json.Unmarshal([]byte(tc.sent[i]), &want); err != nil {
				t.Fatal(err)
			}
			if normal, _ := json.Marshal(want); string(sent) != string(normal) {
				t.Errorf("%s: sent %s, want %s", tc.name, sent, tc.sent[i])
			}
			used := c["colsUsed"].(map[any]bool)
			if !used[last] || used["only_hidden"] != (last == "only_hidden") || !used["plain"] {
				t.Errorf("%s: used are %v", tc.name, used)
			}
		}
	}
}

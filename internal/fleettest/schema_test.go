package fleettest

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A field has values that the schema allows, and others.
type field struct{ right, wrong []any }

var (
	long    = strings.Repeat("x", 256)
	text    = field{[]any{"", "of routes"}, []any{1.0, true, nil}}
	truth   = field{[]any{true, false}, []any{"true", 1.0}}
	library = field{[]any{"compliance, t1557"}, []any{"", 1.0, []any{"compliance"}}}
	labels  = field{[]any{[]any{}, []any{"Routers", "Hosts"}}, []any{"Routers", []any{1.0}, []any{""}}}
	name    = field{[]any{"a", long[1:]}, []any{"", " ", long, 1.0}}
	sql     = field{[]any{"SELECT 1"}, []any{"", "\n ", 1.0}}
	system  = field{[]any{"", "linux", "linux,darwin", "linux, chrome , windows"},
		[]any{"ubuntu", "linux,", ",linux", "linux darwin", "all", 1.0}}

	packSystem  = field{[]any{"linux", "linux,darwin", "any", "posix"}, []any{"", "ubuntu", "linux, darwin", 1.0}}
	packVersion = field{[]any{"5", "5.12.1"}, []any{"", "v5", "5.", 5.0}}
	packShard   = field{[]any{1.0, 100.0}, []any{0.0, 101.0, "10"}}
)

// policyFields, queryFields, packFields and packQueryFields are all that a document may have.
var (
	policyFields = map[string]field{
		"name": name, "query": sql, "description": text, "resolution": text, "critical": truth, "platform": system,
		"team": text, "fleet": text, "calendar_events_enabled": truth, "continuous_automations_enabled": truth,
		// Only macOS and Windows have it, and the document of this test names no platform.
		"conditional_access_enabled": {[]any{false}, []any{true, "false"}},
		"labels_include_any":         labels, "labels_include_all": labels,
		"labels_exclude_any": labels, "labels_exclude_all": labels,
		"type": {[]any{"dynamic"}, []any{"patch", ""}},
		"tags": library, "purpose": library, "contributors": library,
	}
	queryFields = map[string]field{
		"name":  {[]any{"a", "a b", long[1:]}, []any{"", " ", "Rouțes", "a\nb", long, 1.0}},
		"query": sql, "description": text, "platform": system,
		"interval":            {[]any{0.0, 604800.0}, []any{-1.0, 604801.0, 0.5, "60"}},
		"min_osquery_version": {[]any{"", "5.0.0"}, []any{"5", "5.0", "v5.0.0", 5.0}},
		"logging": {[]any{"snapshot", "differential", "differential_ignore_removals"},
			[]any{"", "Snapshot", "removed", true}},
		"automations_enabled": truth, "observer_can_run": truth, "discard_data": truth, "team": text, "fleet": text,
		"labels_include_any": labels, "labels_include_all": labels,
		"tags": library, "purpose": library, "contributors": library, "remediation": library,
	}
	packFields = map[string]field{
		"platform": packSystem, "version": packVersion, "shard": packShard, "oncall": text,
		"discovery": {[]any{[]any{}, []any{"SELECT 1"}}, []any{"SELECT 1", []any{1.0}, []any{" "}}},
		"queries": {[]any{map[string]any{"a": map[string]any{"query": "SELECT 1"}}}, []any{
			map[string]any{}, []any{}, map[string]any{"a": "SELECT 1"},
			map[string]any{"": map[string]any{"query": "SELECT 1"}},
		}},
	}
	packQueryFields = map[string]field{
		"query": sql, "snapshot": truth, "removed": truth, "denylist": truth, "description": text, "value": text,
		"platform": packSystem, "version": packVersion, "shard": packShard,
		"interval":         {[]any{1.0, 604800.0}, []any{0.0, 604801.0, 0.5, "60"}},
		"startup_priority": {[]any{0.0, 7.0}, []any{-1.0, "7"}},
	}
)

// tableFields and columnFields are all that a page of a table may have.
var (
	word    = field{[]any{"a", "route_id"}, []any{"", "A", "a b", "1a", 1.0}}
	some    = field{[]any{"of routes", "a\nb"}, []any{"", " \n", 1.0, nil}}
	systems = field{[]any{[]any{"linux"}, []any{"darwin", "chrome"}},
		[]any{[]any{}, "linux", []any{"macOS"}, []any{"linux", "linux"}}}
	tablesColumn = map[string]any{"name": "a", "type": "text", "description": "of a", "required": false}
	tableFields  = map[string]field{
		"name": word, "platforms": systems, "description": some, "notes": some, "examples": some, "evented": truth,
		"hidden":  truth,
		"columns": {[]any{[]any{tablesColumn}}, []any{[]any{}, tablesColumn, []any{"a"}}},
	}
	columnFields = map[string]field{
		"name": word, "type": {[]any{"text", "bigint"}, []any{"TEXT", "", 1.0}}, "required": truth, "hidden": truth,
		"description": {[]any{"of routes"}, []any{"", " ", "a\nb", 1.0}},
		"platforms": {systems.right,
			append([]any{[]any{"linux", "darwin", "windows", "chrome"}}, systems.wrong...)},
		"requires_user_context": truth,
	}
)

// TestFields sees that each field takes what it should and nothing else, that a document
// needs no other fields than two, and that the fields above are those of the schemas.
func TestFields(t *testing.T) {
	document := func(kind string) func(spec map[string]any) any {
		return func(spec map[string]any) any {
			return map[string]any{"apiVersion": "v1", "kind": kind, "spec": spec}
		}
	}
	for _, test := range []struct {
		schema, part string
		fields       map[string]field
		small        map[string]any
		in           func(spec map[string]any) any
	}{
		{"policy", "spec", policyFields, map[string]any{"name": "a", "query": "SELECT 1"}, document("policy")},
		{"query", "spec", queryFields, map[string]any{"name": "a", "query": "SELECT 1"}, document("query")},
		{"pack", "", packFields, map[string]any{"queries": packFields["queries"].right[0]},
			func(spec map[string]any) any { return spec }},
		{"pack", "query", packQueryFields, map[string]any{"query": "SELECT 1"}, func(spec map[string]any) any {
			return map[string]any{"queries": map[string]any{"a": spec}}
		}},
		{"table", "", tableFields, map[string]any{"name": "a", "platforms": []any{"linux"}, "description": "of a",
			"evented": false, "columns": []any{tablesColumn}}, func(spec map[string]any) any { return spec }},
		{"table", "column", columnFields, tablesColumn, func(spec map[string]any) any {
			return map[string]any{"name": "a", "platforms": []any{"linux"}, "description": "of a", "evented": false,
				"columns": []any{spec}}
		}},
	} {
		got, want := properties(t, test.schema, test.part), slices.Sorted(maps.Keys(test.fields))
		if !slices.Equal(got, want) {
			t.Errorf("%s %s: the schema has the fields\n%v, tested are\n%v", test.schema, test.part, got, want)
		}
		check := func(right bool, spec map[string]any) {
			t.Helper()
			found, err := validate(test.schema, test.in(spec))
			if err != nil || (len(found) == 0) != right {
				t.Errorf("%s %v: should be right: %v; found %v, %v", test.schema, spec, right, found, err)
			}
		}
		check(true, test.small)
		for needed := range test.small {
			less := maps.Clone(test.small)
			delete(less, needed)
			check(false, less)
		}
		for name, f := range test.fields {
			with := maps.Clone(test.small)
			for _, value := range f.right {
				with[name] = value
				check(true, with)
			}
			for _, value := range f.wrong {
				with[name] = value
				check(false, with)
			}
		}
		more := maps.Clone(test.small)
		more["no_such_field"] = "x"
		check(false, more)
	}
}

// TestAround sees what is around the fields: the document, and fields that exclude each other.
func TestAround(t *testing.T) {
	spec := map[string]any{"name": "a", "query": "SELECT 1"}
	with := func(more ...any) map[string]any {
		m := maps.Clone(spec)
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	some, none := []any{"a"}, []any{}
	for _, test := range []struct {
		schema, version, kind string
		spec                  any
		right                 bool
	}{
		{"policy", "v1", "policy", spec, true},
		{"policy", "v2", "policy", spec, false},
		{"policy", "v1", "Policy", spec, false},
		{"policy", "v1", "policy", []any{spec}, false},
		{"query", "v1", "query", spec, true},
		{"query", "v1", "report", spec, true},
		{"query", "v2", "query", spec, false},
		{"query", "v1", "policy", spec, false},
		{"query", "v1", "query", []any{spec}, false},
		{"policy", "v1", "policy", with("team", "a", "fleet", "b"), false},
		{"query", "v1", "query", with("team", "a", "fleet", "b"), false},
		{"policy", "v1", "policy", with("labels_include_any", some, "labels_include_all", some), false},
		{"policy", "v1", "policy", with("labels_include_any", none, "labels_include_all", some), true},
		{"policy", "v1", "policy", with("labels_include_any", some, "labels_include_all", none), true},
		{"policy", "v1", "policy", with("labels_exclude_any", some, "labels_exclude_all", some), false},
		{"policy", "v1", "policy", with("labels_exclude_any", none, "labels_exclude_all", some), true},
		{"policy", "v1", "policy", with("labels_exclude_any", some, "labels_exclude_all", none), true},
		{"policy", "v1", "policy", with("labels_include_any", some, "labels_exclude_any", some), true},
		{"query", "v1", "query", with("labels_include_any", some, "labels_include_all", some), false},
		{"query", "v1", "query", with("labels_include_any", none, "labels_include_all", some), true},
		{"query", "v1", "query", with("labels_include_any", some, "labels_include_all", none), true},
		{"policy", "v1", "policy", with("conditional_access_enabled", true, "platform", "linux"), false},
		{"policy", "v1", "policy", with("conditional_access_enabled", true, "platform", "linux,darwin"), true},
		{"policy", "v1", "policy", with("conditional_access_enabled", true, "platform", "windows"), true},
		{"policy", "v1", "policy", with("conditional_access_enabled", false, "platform", "linux"), true},
	} {
		document := map[string]any{"apiVersion": test.version, "kind": test.kind, "spec": test.spec}
		if found, err := validate(test.schema, document); err != nil || (len(found) == 0) != test.right {
			t.Errorf("%v: should be right: %v; found %v, %v", document, test.right, found, err)
		}
		for key := range document {
			less := maps.Clone(document)
			delete(less, key)
			if found, err := validate(test.schema, less); err != nil || len(found) == 0 {
				t.Errorf("%v without %s: nothing found, %v", document, key, err)
			}
		}
		document["metadata"] = "x"
		if found, err := validate(test.schema, document); err != nil || len(found) == 0 {
			t.Errorf("%v: nothing found, %v", document, err)
		}
	}
	for _, schema := range []string{"policy", "query", "pack", "table"} {
		if found, err := validate(schema, []any{}); err != nil || len(found) == 0 {
			t.Errorf("%s: a list is right, %v", schema, err)
		}
	}
	snapshot := func(snapshot bool) any {
		q := map[string]any{"query": "SELECT 1", "snapshot": snapshot, "removed": true}
		return map[string]any{"queries": map[string]any{"a": q}}
	}
	if found, err := validate("pack", snapshot(false)); err != nil || len(found) != 0 {
		t.Errorf("a differential query that logs what is removed: %v, %v", found, err)
	}
	if found, err := validate("pack", snapshot(true)); err != nil || len(found) == 0 {
		t.Errorf("a snapshot that logs what is removed: nothing found, %v", err)
	}
}

// properties returns the names of what may be in the part of a schema, in order.
func properties(t *testing.T, schema, part string) []string {
	text, err := os.ReadFile(filepath.Join("../../testdata/fleet", schema+".schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	type object struct{ Properties map[string]any }
	var whole struct {
		object
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	if part == "" {
		return slices.Sorted(maps.Keys(whole.Properties))
	}
	return slices.Sorted(maps.Keys(whole.Defs[part].Properties))
}

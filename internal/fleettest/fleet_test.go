package fleettest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// policy is a document with everything that this project's policies have.
const policy = `apiVersion: v1
kind: policy
spec:
  name: Traffic of tunnels goes through them
  platform: linux
  description: Another route takes what a tunnel should carry.
  resolution: |
    Delete the route: ip route del PREFIX
    --- and find out who made it.
  query: >-
    SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM kernel_routes);
  tags: compliance, ATTACK, t1557
  critical: true
`

const query = `apiVersion: v1
kind: report
spec:
  name: Default routes
  query: SELECT dst FROM kernel_routes WHERE is_default = 1;
  interval: 300
  platform: linux, darwin
  min_osquery_version: 5.0.0
  logging: differential_ignore_removals
  automations_enabled: true
  observer_can_run: false
  discard_data: true
  labels_include_any: [Routers]
`

// TestParse sees that documents which are right are read as they are.
func TestParse(t *testing.T) {
	got, err := Parse("packs/fleet/all.yml", []byte("\n---\n# Two.\n"+policy+"---\n"+query+"---\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Document{
		{"packs/fleet/all.yml", 3, "policy", Spec{
			Name: "Traffic of tunnels goes through them", Platform: "linux", Critical: true,
			Description: "Another route takes what a tunnel should carry.",
			Resolution:  "Delete the route: ip route del PREFIX\n--- and find out who made it.\n",
			Query:       "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM kernel_routes);", Tags: "compliance, ATTACK, t1557",
		}},
		{"packs/fleet/all.yml", 18, "report", Spec{
			Name: "Default routes", Query: "SELECT dst FROM kernel_routes WHERE is_default = 1;",
			Platform: "linux, darwin", Interval: 300, Logging: "differential_ignore_removals", AutomationsEnabled: true,
		}},
	}
	if len(got) != len(want) {
		t.Fatalf("%d documents, not %d: %+v", len(got), len(want), got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("document %d:\n%+v, not\n%+v", i, got[i], want[i])
		}
	}
}

// TestWrong changes a document that is right in one place each, after which it is not.
func TestWrong(t *testing.T) {
	for _, test := range []struct{ name, document, old, new, want string }{
		{"an unknown field", policy, "resolution:", "remedy:",
			"a.yml:3: policy spec: additional properties 'remedy' not allowed"},
		{"an unknown field beside spec", policy, "kind: policy", "kind: policy\nteam: x",
			"additional properties 'team'"},
		{"a query's field in a policy", policy, "critical: true", "interval: 60", "additional properties 'interval'"},
		{"a policy's field in a query", query, "discard_data:", "critical:", "additional properties 'critical'"},
		{"no query", policy, "query: >-", "purpose: >-", "missing property 'query'"},
		{"a blank query", query, "SELECT dst FROM kernel_routes WHERE is_default = 1;", "' '",
			"a.yml:5: report spec.query: ' '"},
		{"no name", query, "  name: Default routes\n", "", "missing property 'name'"},
		{"a name of none", policy, "Traffic of tunnels goes through them", "''", "spec.name: '' does not match"},
		{"a name too long", policy, "Traffic", strings.Repeat("x", 230), "maxLength"},
		{"a report's name beyond ASCII", query, "Default routes", "Rouțes", "spec.name: 'Rouțes' does not match"},
		{"another apiVersion", policy, "v1", "v2", "a.yml:1: policy apiVersion: value must be 'v1'"},
		{"another kind", policy, "kind: policy", "kind: pack", "its kind is pack: use policy, query or report"},
		{"no kind", policy, "kind: policy\n", "", "its kind is <nil>"},
		{"no spec", query, "spec:", "specs:", "missing property 'spec'"},
		{"an unknown platform", policy, "platform: linux", "platform: ubuntu",
			"a.yml:5: policy spec.platform: 'ubuntu'"},
		{"a platform that is empty", query, "linux, darwin", "linux,", "spec.platform: 'linux,'"},
		{"a wrong word for logging", query, "differential_ignore_removals", "diff",
			"spec.logging: value must be one of"},
		{"an interval that is text", query, "300", "5m", "a.yml:6: report spec.interval: got string, want integer"},
		{"an interval below nothing", query, "300", "-1", "spec.interval: minimum"},
		{"an interval above osquery's", query, "300", "604801", "spec.interval: maximum"},
		{"parts of seconds", query, "300", "0.5", "spec.interval: got number, want integer"},
		{"a version that is none", query, "5.0.0", "five", "spec.min_osquery_version: 'five'"},
		{"a version that is a number", query, "5.0.0", "5.0", "spec.min_osquery_version: got number, want string"},
		{"critical as text", policy, "critical: true", "critical: 'true'", "spec.critical: got string, want boolean"},
		{"tags in a list", policy, "compliance, ATTACK, t1557", "[compliance]", "spec.tags: got array, want string"},
		{"a label that is no text", query, "[Routers]", "[1]", "labels_include_any.0: got number, want string"},
		{"two lists of labels", query, "[Routers]", "[a]\n  labels_include_all: [b]",
			"spec: is against oneInclude in the schema"},
		{"two lists of labels left out", policy, "critical: true",
			"labels_exclude_any: [a]\n  labels_exclude_all: [b]", "is against oneExclude"},
		{"both names of a fleet", policy, "critical: true", "team: a\n  fleet: b", "is against oneFleet"},
		{"conditional access", policy, "critical: true", "conditional_access_enabled: true", "spec.platform: 'linux'"},
		{"a patch policy", policy, "critical: true", "type: patch", "spec.type: value must be 'dynamic'"},
		{"a tab before a key", policy, "  platform:", "\tplatform:",
			"a.yml: document at line 1: yaml: line 4: found a tab"},
		{"a key twice", policy, "critical: true", "platform: linux",
			`mapping key "platform" already defined at line 5`},
		{"an old truth value", policy, "Traffic of tunnels goes through them", "Off",
			"a.yml:4: policy spec.name: Off is a truth value"},
		{"an old truth value in a list", query, "[Routers]", "[Routers, NO]",
			"labels_include_any.1: NO is a truth value"},
		{"hyphens that divide a text", policy, "    --- and", "--- and", "document at line"},
		{"a document that --- does not divide", policy, "critical: true", "critical: true\n...\nkind: policy",
			"more follows that --- does not divide"},
		{"a list, as fleetctl gitops has it", policy, policy, "- name: a\n  query: SELECT 1\n",
			"cannot unmarshal !!seq"},
		{"no document", policy, policy, "---\n  \n---\n", "a.yml: no document in it"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := strings.Replace(test.document, test.old, test.new, 1)
			if changed == test.document {
				t.Fatalf("%q is not in the document", test.old)
			}
			documents, err := Parse("a.yml", []byte(changed))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, not %q", err, test.want)
			}
			if len(documents) > 0 {
				t.Errorf("documents in spite of it: %+v", documents)
			}
		})
	}
}

// TestRight changes a document that is right into others.
func TestRight(t *testing.T) {
	for _, test := range []struct{ name, document, old, new string }{
		{"a quoted truth value", policy, "Traffic of tunnels goes through them", `"Off"`},
		{"every platform", policy, "platform: linux", "platform: ''"},
		{"no platform", policy, "  platform: linux\n", ""},
		{"never scheduled", query, "300", "0"},
		{"a week", query, "300", "604800"},
		{"the older kind", query, "kind: report", "kind: query"},
		{"one list of labels, the other one empty", query, "[Routers]", "[a]\n  labels_include_all: []"},
		{"one of each lists of labels", policy, "critical: true", "labels_include_any: [a]\n  labels_exclude_all: [b]"},
		{"conditional access", policy, "platform: linux", "platform: linux,darwin\n  conditional_access_enabled: true"},
		{"a tab in a text", policy, "Delete the", "Delete\tthe"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := strings.Replace(test.document, test.old, test.new, 1)
			if changed == test.document {
				t.Fatalf("%q is not in the document", test.old)
			}
			if documents, err := Parse("a.yml", []byte(changed)); err != nil || len(documents) != 1 {
				t.Errorf("%d documents: %v", len(documents), err)
			}
		})
	}
}

// TestRead sees that names are unique in all files together, of policies and of queries,
// and that one document that is wrong hides none of the others.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	first := write("first.yml", policy+"---\n"+query)
	samePolicy := write("policy.yaml", policy)
	sameQuery := write("query.yml", strings.Replace(query, "kind: report", "kind: query", 1))
	sameName := write("name.yml", strings.Replace(query, "Default routes", "Traffic of tunnels goes through them", 1))
	text := write("all.txt", policy)
	broken := write("broken.yml", "kind: policy\n---\n"+query)
	comments := write("comments.yml", "# Of routes.\n---\n"+policy)
	missing := filepath.Join(dir, "missing.yml")

	for _, test := range []struct {
		files []string
		n     int
		want  string
	}{
		{[]string{first, sameName}, 3, ""},
		{[]string{first, samePolicy}, 3,
			`the name "Traffic of tunnels goes through them" is that of ` + first + ", line 1, already"},
		{[]string{first, sameQuery}, 3, `the name "Default routes" is that of ` + first + ", line 15, already"},
		{[]string{text}, 1, "names end in .yml or .yaml"},
		{[]string{broken}, 1, "missing properties 'apiVersion', 'spec'"},
		{[]string{comments}, 1, "document at line 1: nothing but comments, which fleetctl refuses"},
		{[]string{missing, first}, 2, "read Fleet's documents: open " + missing},
	} {
		documents, err := Read(test.files...)
		if len(documents) != test.n {
			t.Errorf("%v: %d documents, not %d", test.files, len(documents), test.n)
		}
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, not %q", test.files, err, test.want)
		}
	}
}

// TestValidate sees that what is wrong fails a test, once for a call, and what is right does not.
func TestValidate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.yml")
	for text, want := range map[string]int{policy: 0, strings.Replace(policy, "v1", "v2", 1): 1} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r := &recorder{TB: t}
		if documents := Validate(r, file); r.errors != want || len(documents) != 1-want {
			t.Errorf("%d errors, not %d, and %d documents", r.errors, want, len(documents))
		}
	}
}

// A recorder counts errors instead of failing.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Error(...any)          { r.errors++ }
func (r *recorder) Errorf(string, ...any) { r.errors++ }
func (r *recorder) Helper()               {}

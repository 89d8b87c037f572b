package fleettest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const pack = `{
  "platform": "linux",
  "version": "5.0.0",
  "shard": 100,
  "discovery": ["SELECT 1 FROM processes WHERE name = 'frr'"],
  "queries": {
    "default_routes": {
      "query": "SELECT dst FROM kernel_routes WHERE is_default = 1;",
      "interval": 300,
      "removed": true,
      "denylist": false,
      "shard": 10,
      "platform": "linux,darwin",
      "version": "5.12",
      "description": "Default routes",
      "value": "Where traffic goes"
    },
    "tables": {"query": "SELECT 1", "interval": 60, "snapshot": true}
  }
}
`

// TestCheckPack sees that a pack which is right passes, and that each change makes it wrong.
func TestCheckPack(t *testing.T) {
	// A text like a key is none.
	for _, right := range []string{pack, strings.Replace(pack, `"Default routes"`, `"removed"`, 1)} {
		if err := CheckPack("a.conf", []byte(right)); err != nil {
			t.Error(err)
		}
	}
	for _, test := range []struct{ name, old, new, want string }{
		{"a comma at the end", `"snapshot": true}`, `"snapshot": true},`, "a.conf: no strict JSON"},
		{"a comment", "{\n", "{\n  // of routes\n", "no strict JSON"},
		{"a comment that osquery takes", "{\n", "# of routes\n{\n", "no strict JSON"},
		{"more after it", "\n}\n", "\n}\n{}\n", "no strict JSON"},
		{"an unknown key", `"removed"`, `"remove"`,
			"queries.default_routes: additional properties 'remove' not allowed"},
		{"an unknown key of the pack", `"discovery"`, `"discover"`, "a.conf: additional properties 'discover'"},
		{"no query", `"query": "SELECT 1", `, ``, "queries.tables: missing property 'query'"},
		{"a blank query", `"SELECT 1"`, `" "`, "queries.tables.query: ' '"},
		{"no queries", `"queries"`, `"oncall"`, "missing property 'queries'"},
		{"an interval that is text", `300`, `"300"`, "default_routes.interval: got string, want integer"},
		{"an interval of nothing", `300`, `0`, "default_routes.interval: minimum"},
		{"more than a week", `300`, `604801`, "default_routes.interval: maximum"},
		{"removed as text", `"removed": true`, `"removed": "true"`, "got string, want boolean"},
		{"a snapshot of what is removed", `"snapshot": true`, `"snapshot": true, "removed": false`,
			"queries.tables: is against snapshotOrRemoved in the schema"},
		{"a host in none", `"shard": 10,`, `"shard": 0,`, "default_routes.shard: minimum"},
		{"an unknown platform", `"linux,darwin"`, `"ubuntu"`, "default_routes.platform: 'ubuntu'"},
		{"a version that is none", `"5.12"`, `"v5"`, "default_routes.version: 'v5'"},
		{"a name that osquery keeps", `"tables"`, `"query.tables"`, "is against unreserved in the schema"},
		{"a name's end that osquery keeps", `"tables"`, `"route_counter"`, "is against unreserved in the schema"},
		{"a name twice", `"tables"`, `"default_routes"`, "a.conf: default_routes: twice in one object"},
		{"a key twice", `"denylist": false`, `"removed": true`, "removed: twice in one object"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changed := strings.Replace(pack, test.old, test.new, 1)
			if changed == pack {
				t.Fatalf("%q is not in the pack", test.old)
			}
			if err := CheckPack("a.conf", []byte(changed)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, not %q", err, test.want)
			}
		})
	}
}

// TestValidatePack sees that each file that is wrong fails a test once.
func TestValidatePack(t *testing.T) {
	dir := t.TempDir()
	right, wrong := filepath.Join(dir, "right.conf"), filepath.Join(dir, "wrong.conf")
	for file, text := range map[string]string{right: pack, wrong: strings.Replace(pack, "300", "0", 1)} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := &recorder{TB: t}
	if ValidatePack(r, right); r.errors != 0 {
		t.Errorf("%d errors of what is right", r.errors)
	}
	if ValidatePack(r, wrong, filepath.Join(dir, "missing.conf"), right); r.errors != 2 {
		t.Errorf("%d errors, not one of each file that is wrong", r.errors)
	}
}

// TestPacks validates the packs of this repository.
func TestPacks(t *testing.T) {
	files, err := filepath.Glob("../../packs/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d packs: %v", len(files), err)
	}
	ValidatePack(t, files...)
}

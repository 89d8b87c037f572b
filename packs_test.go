package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kernelroutes/tables"
)

// changing finds what makes a differential query log a line every time: columns
// that change with time, those that tell the state of an interface, and all.
var changing = regexp.MustCompile(`(?i)\b(` +
	strings.Join(append(volatile(), "flags", "flag_names", "dev_operstate"), "|") + `)\b|SELECT\s+(\w+\.)?\*`)

// volatile returns the names of the columns that change with time.
func volatile() (names []string) {
	for _, t := range tables.All() {
		for _, c := range t.Columns {
			if c.Volatile {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// TestChanging sees that what changes is found.
func TestChanging(t *testing.T) {
	for query, want := range map[string]string{
		"SELECT dst, expires FROM kernel_routes":                          "expires",
		"SELECT dst FROM kernel_routes WHERE Cache_Used > 1":              "Cache_Used",
		"SELECT n.encap_bytes FROM kernel_route_nexthops n":               "encap_bytes",
		"SELECT dst, mfc_packets FROM kernel_routes":                      "mfc_packets",
		"SELECT snapshot_consistent FROM kernel_routes":                   "snapshot_consistent",
		"SELECT * FROM kernel_routes":                                     "SELECT *",
		"SELECT r.* FROM kernel_routes r":                                 "SELECT r.*",
		"SELECT dst, encap, count(*) AS expiry FROM kernel_routes":        "",
		"SELECT metric, weight, ttl_threshold FROM kernel_route_nexthops": "",
	} {
		if got := changing.FindString(query); got != want {
			t.Errorf("%s: found %q, not %q", query, got, want)
		}
	}
}

// A pack is a file of packs/ in osquery's format.
type pack struct {
	Platform string               `json:"platform"`
	Version  string               `json:"version"`
	Queries  map[string]packQuery `json:"queries"`
}

type packQuery struct {
	Query       string `json:"query"`
	Interval    int    `json:"interval"`
	Description string `json:"description"`
	Value       string `json:"value"`
	Snapshot    *bool  `json:"snapshot"`
	Removed     *bool  `json:"removed"`
}

// counting finds what has osquery count routes, all of which must be sent to it.
var counting = regexp.MustCompile(`(?i)(count\(|GROUP\s+BY).*\bkernel_routes\b|\bkernel_routes\b.*GROUP\s+BY`)

// TestCounting sees that what counts routes is found.
func TestCounting(t *testing.T) {
	for query, is := range map[string]bool{
		"SELECT protocol, count(*) FROM kernel_routes GROUP BY protocol":             true,
		"SELECT table_id FROM kernel_routes GROUP BY table_id":                       true,
		"SELECT count(1) FROM kernel_routes":                                         true,
		"SELECT protocol, sum(routes) FROM kernel_route_counts GROUP BY protocol":    false,
		"SELECT dst, gateway FROM kernel_routes WHERE dst IN ('0.0.0.0/0', '::/0');": false,
	} {
		if got := counting.MatchString(query); got != is {
			t.Errorf("%s: %v", query, got)
		}
	}
}

// TestPacks runs every query of every pack.
func TestPacks(t *testing.T) {
	fixedNamespace(t)
	files, err := filepath.Glob("packs/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatalf("no packs: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var p pack
		dec := json.NewDecoder(bytes.NewReader(data))
		// A discovery query, too, is a field that is not known here: it would run
		// before the extension has registered, and the pack would sleep for an hour.
		dec.DisallowUnknownFields()
		if err := dec.Decode(&p); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if p.Platform != "linux" || p.Version == "" || len(p.Queries) == 0 {
			t.Errorf("%s: platform %q, version %q, %d queries", file, p.Platform, p.Version, len(p.Queries))
		}
		for name, q := range p.Queries {
			if q.Interval < 1 || q.Interval > 604800 || q.Description == "" || q.Value == "" {
				t.Errorf("%s: %s: interval %d, description %q, value %q", file, name, q.Interval, q.Description,
					q.Value)
			}
			if (q.Snapshot == nil) == (q.Removed == nil) {
				t.Errorf("%s: %s: needs either snapshot or removed", file, name)
			}
			if c := changing.FindString(q.Query); c != "" {
				t.Errorf("%s: %s: asks for %q, which changes with time", file, name, c)
			}
			if counting.MatchString(q.Query) {
				t.Errorf("%s: %s: counts what kernel_route_counts has counted", file, name)
			}
			var rows []map[string]string
			if err := json.Unmarshal([]byte(run(t, "", "query", "--json", q.Query)), &rows); err != nil {
				t.Errorf("%s: %s: %v", file, name, err)
			}
			if len(rows) == 0 {
				t.Errorf("%s: %s: no rows, though the namespace has what it looks for", file, name)
			}
		}
	}
}

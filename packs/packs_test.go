package packs

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"kernelroutes/internal/fleettest"
	"kernelroutes/internal/nstest"
)

var update = flag.Bool("update", false, "write what is made of the declarations")

// compareFile compares with a file of this folder, or writes it.
func compareFile(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the declarations make; run go test ./packs -update and look at the difference", file)
	}
}

// TestGenerated compares what is there with what the declarations make. There is no other file.
func TestGenerated(t *testing.T) {
	files, err := Files(loadPacks(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range files {
		compareFile(t, name, data)
	}
	for _, pattern := range []string{"*.conf", "fleet/*.*", "fleet/gitops/*"} {
		there, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range there {
			if files[file] == nil {
				t.Errorf("%s is there, but is made of nothing", file)
			}
		}
	}
}

// TestConf reads the packs as strictly as osquery does.
func TestConf(t *testing.T) {
	for _, p := range loadPacks(t) {
		data, err := p.Conf()
		if err != nil {
			t.Fatal(err)
		}
		var c struct {
			Platform string `json:"platform"`
			Version  string `json:"version"`
			Queries  map[string]confQuery
		}
		d := json.NewDecoder(bytes.NewReader(data))
		// A discovery query, too, is a field that is not known here.
		d.DisallowUnknownFields()
		if err := d.Decode(&c); err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		if c.Platform != "linux" || c.Version != osqueryVersion || len(c.Queries) != len(p.Available()) {
			t.Errorf("%s: platform %q, version %q, %d queries", p.Name, c.Platform, c.Version, len(c.Queries))
		}
		for name, q := range c.Queries {
			if (q.Snapshot == nil) == (q.Removed == nil) || strings.Contains(q.Query, "\n") ||
				strings.Contains(q.Query, "--") || !strings.HasSuffix(q.Query, ";") {
				t.Errorf("%s: %s: %+v", p.Name, name, q)
			}
		}
	}
}

// TestInventory sees that every snapshot has a row on some host. One shows all network
// namespaces, which takes to see all processes: those of a PID namespace of its own.
func TestInventory(t *testing.T) {
	if !nstest.SeesAllProcesses(t) {
		return
	}
	some := map[string]bool{}
	var checks []*Check
	for _, p := range loadPacks(t) {
		for _, c := range p.Available() {
			if c.Logged == Snapshot {
				checks = append(checks, c)
			}
		}
	}
	for _, host := range someHosts(t) {
		t.Run(host, func(t *testing.T) {
			buildHost(t, host)
			for _, c := range checks {
				some[c.Name] = some[c.Name] || len(c.ask(t, c.SQL(), nil)) > 0
			}
		})
	}
	for _, c := range checks {
		if !some[c.Name] {
			t.Errorf("%s has no row on any host", c.Name)
		}
	}
}

// TestFleet checks what is made for Fleet against Fleet's structure, and the packs against
// osquery's. Each available check is there in each form.
func TestFleet(t *testing.T) {
	for _, p := range loadPacks(t) {
		documents := fleettest.Validate(t, "fleet/"+p.Name+".yml")
		reports := fleettest.ValidateList(t, "report", "fleet/gitops/"+p.Name+".reports.yml")
		var policies []fleettest.Document
		if p.Policy {
			policies = fleettest.ValidateList(t, "policy", "fleet/gitops/"+p.Name+".policies.yml")
		}
		fleettest.ValidatePack(t, p.Name+".conf")
		wanted := len(p.Available())
		if len(reports) != wanted || p.Policy && len(policies) != wanted ||
			len(documents) != len(reports)+len(policies) {
			t.Fatalf("%s has %d documents, %d reports and %d policies for %d checks", p.Name, len(documents),
				len(reports), len(policies), wanted)
		}
		for i, c := range p.Available() {
			if p.Policy {
				c.comparePolicy(t, documents[2*i], policies[i])
				c.compareReport(t, documents[2*i+1], reports[i])
			} else {
				c.compareReport(t, documents[i], reports[i])
			}
		}
	}
}

// comparePolicy sees that a policy has everything that is promised, in both forms.
func (c *Check) comparePolicy(t *testing.T, d, listed fleettest.Document) {
	t.Helper()
	s := d.Spec
	if d.Kind != "policy" || s.Name != c.Title || s.Platform != "linux" || s.Description == "" || s.Resolution == "" ||
		s.Query != c.PolicySQL()+";" || !strings.Contains(s.Tags, string(c.Severity)) {
		t.Errorf("%s: the policy is %+v", c.Name, d)
	}
	if s.Tags = ""; s != listed.Spec {
		t.Errorf("%s: the policy is\n%+v\nand in the list\n%+v", c.Name, s, listed.Spec)
	}
}

// compareReport is comparePolicy for reports.
func (c *Check) compareReport(t *testing.T, d, listed fleettest.Document) {
	t.Helper()
	s := d.Spec
	if d.Kind != "query" || !strings.HasSuffix(s.Name, ": "+c.Name) || s.Platform != "linux" ||
		s.Interval != c.Interval || s.Logging == "" || !s.AutomationsEnabled || s.Query != c.SQL()+";" {
		t.Errorf("%s: the query is %+v", c.Name, d)
	}
	if s != listed.Spec {
		t.Errorf("%s: the query is\n%+v\nand in the list\n%+v", c.Name, s, listed.Spec)
	}
}

// TestExamples reads what README.md says is to be written: osquery's configuration and a file of
// fleetctl gitops. The packs that they name are there.
func TestExamples(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(language string) string {
		_, rest, there := strings.Cut(string(page), "\n```"+language+"\n")
		text, _, ends := strings.Cut(rest, "\n```\n")
		if !there || !ends {
			t.Fatalf("README.md has no example in %s", language)
		}
		return text
	}
	var conf struct{ Packs map[string]string }
	if err := json.Unmarshal([]byte(block("json")), &conf); err != nil || len(conf.Packs) != len(loadPacks(t)) {
		t.Errorf("%v: %v", conf, err)
	}
	for name, path := range conf.Packs {
		if _, err := os.Stat(filepath.Base(path)); err != nil || filepath.Base(path) != name+".conf" {
			t.Errorf("%s is %s: %v", name, path, err)
		}
	}
	var fleet map[string][]struct{ Path string }
	if err := yaml.Unmarshal([]byte(block("yaml")), &fleet); err != nil || len(fleet["policies"]) == 0 ||
		len(fleet["reports"]) == 0 {
		t.Errorf("%v: %v", fleet, err)
	}
	for _, paths := range fleet {
		for _, p := range paths {
			if _, err := os.Stat(strings.TrimPrefix(p.Path, "../packs/")); err != nil {
				t.Error(err)
			}
		}
	}
}

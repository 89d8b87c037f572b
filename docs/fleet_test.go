//go:build linux

package docs

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/fleettest"
)

const fleetFolder = "examples/fleet/lib/kernel-routes/"

// kinds are the packages that there are, and the labels of the hosts that they are for.
var kinds = []string{"deb-amd64", "deb-arm64", "rpm-amd64", "rpm-arm64"}

func label(kind string) string { return "Linux " + strings.ReplaceAll(kind, "-", " ") }

// decode reads YAML that may hold nothing but what into has.
func decode(t *testing.T, file string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(read(t, file)))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

type pathTo struct{ Path string }

// TestFleetPackages reads the files of packages, with the keys that fleetctl gitops has for them.
func TestFleetPackages(t *testing.T) {
	variables := map[string]bool{}
	for _, kind := range kinds {
		var p struct {
			URL         string
			SHA256      string `yaml:"hash_sha256"`
			Install     pathTo `yaml:"install_script"`
			PostInstall pathTo `yaml:"post_install_script"`
			Uninstall   pathTo `yaml:"uninstall_script"`
		}
		decode(t, fleetFolder+kind+".package.yml", &p)
		name := "$KERNEL_ROUTES_" + strings.ToUpper(strings.ReplaceAll(kind, "-", "_"))
		if p.URL != name+"_URL" || p.SHA256 != name+"_SHA256" {
			t.Errorf("%s: %s, %s", kind, p.URL, p.SHA256)
		}
		variables[p.URL], variables[p.SHA256] = true, true
		if p.Install.Path != "./install.sh" || p.PostInstall.Path != "./post-install.sh" ||
			p.Uninstall.Path != "./uninstall.sh" {
			t.Errorf("%s: %+v", kind, p)
		}
	}
	page := read(t, "fleet.md")
	for name := range variables {
		if !strings.Contains(page, name[1:]) {
			t.Errorf("fleet.md does not name %s", name)
		}
	}
	for _, script := range []string{"install.sh", "post-install.sh", "uninstall.sh"} {
		if info, err := os.Stat(fleetFolder + script); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s: %v", script, err)
		}
	}
}

// A fleetLabel is what fleetctl gitops reads of a label.
type fleetLabel struct {
	Name, Description, Query, Platform string
	Membership                         string `yaml:"label_membership_type"`
}

// TestFleetLabels runs the queries of the labels on hosts of each kind: each has its label and no other.
func TestFleetLabels(t *testing.T) {
	var labels []fleetLabel
	decode(t, fleetFolder+"labels.yml", &labels)
	queries := map[string]string{}
	for _, l := range labels {
		// Until 4.91 the server answers platform linux with 422 (fleetdm/fleet #42477, #44088).
		if l.Membership != "dynamic" || l.Platform != "" || l.Description == "" {
			t.Errorf("%+v", l)
		}
		queries[l.Name] = l.Query
	}
	wanted := []string{"kernel_routes loaded"}
	for _, kind := range kinds {
		wanted = append(wanted, label(kind))
	}
	slices.Sort(wanted)
	if got := slices.Sorted(maps.Keys(queries)); len(labels) != len(wanted) || !slices.Equal(got, wanted) {
		t.Fatalf("labels %q, want %q", got, wanted)
	}
	for _, kind := range kinds {
		for _, system := range systems[kind[:3]] {
			for name, query := range queries {
				want := name == label(kind) || name == "kernel_routes loaded"
				if got := rows(t, host(kind, "0.1.0", system), query); got != want {
					t.Errorf("a host of %s, %s, is in %q: %v", kind, system, name, got)
				}
			}
		}
	}
	for _, system := range []string{"'arch', ''", "'alpine', ''", "'darwin', 'darwin'", "'windows', 'windows'"} {
		for name, query := range queries {
			if rows(t, host("neither-amd64", "", system), query) {
				t.Errorf("%s is in %q", system, name)
			}
		}
	}
}

// systems are platform and platform_like of osquery's os_version: ID and ID_LIKE of os-release, both rhel where there
// is /etc/redhat-release.
var systems = map[string][]string{
	"deb": {"'debian', ''", "'ubuntu', 'debian'", "'linuxmint', 'ubuntu debian'", "'raspbian', 'debian'"},
	"rpm": {"'rhel', 'rhel'", "'fedora', ''", "'amzn', 'fedora'", "'amzn', 'centos rhel fedora'",
		"'opensuse-leap', 'suse opensuse'", "'sles', 'suse'"},
}

// host makes osquery's tables as a host of a kind and a system has them, with a version of the extension, "" for none.
func host(kind, version, system string) string {
	arch := map[bool]string{true: "x86_64", false: "aarch64"}[strings.HasSuffix(kind, "amd64")]
	sql := "CREATE TABLE os_version (arch TEXT, platform TEXT, platform_like TEXT);" +
		"INSERT INTO os_version VALUES ('" + arch + "', " + system + ");" +
		"CREATE TABLE osquery_extensions (uuid BIGINT, name TEXT, version TEXT, sdk_version TEXT, path TEXT, " +
		"type TEXT);" +
		"INSERT INTO osquery_extensions VALUES (0, 'core', '5.23.1', '5.23.1', '/osquery.em', 'core');"
	if version != "" {
		sql += "INSERT INTO osquery_extensions VALUES (7, 'kernel_routes', '" + version + "', '', '', 'extension');"
	}
	return sql
}

// rows reports whether a query has a row on a host.
func rows(t *testing.T, host, query string) bool {
	t.Helper()
	out, err := exec.Command(buildtest.Program(t), "query", "--csv", host+query).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v, %s", query, err, out)
	}
	return strings.Count(string(out), "\n") > 1
}

// TestFleetPolicies reads the policies as fleetctl gitops does, and runs their queries.
func TestFleetPolicies(t *testing.T) {
	file := fleetFolder + "policies.yml"
	var policies []map[string]any
	decode(t, file, &policies)
	if len(policies) != len(kinds) {
		t.Fatalf("%d policies", len(policies))
	}
	for i, p := range policies {
		install, _ := p["install_software"].(map[string]any)
		if want := "./" + kinds[i] + ".package.yml"; len(install) != 1 || install["package_path"] != want {
			t.Errorf("%s installs %v, want %s", p["name"], install, want)
		}
		if labels, _ := p["labels_include_any"].([]any); len(labels) != 1 || labels[0] != label(kinds[i]) {
			t.Errorf("%s is for %v", p["name"], labels)
		}
		query := p["query"].(string)
		for version, want := range map[string]bool{"": false, "0.0.9": false, "0.1.0": true, "0.10.0": true,
			"1.0.0": true} {
			if got := rows(t, host(kinds[i], version, systems[kinds[i][:3]][0]), query); got != want {
				t.Errorf("%s: with version %q it passes: %v", p["name"], version, got)
			}
		}
		delete(p, "install_software") // a policy of one fleet: not in the schema of those that are shared
	}
	text, err := yaml.Marshal(policies)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleettest.ParseList("policy", file, text); err != nil {
		t.Error(err)
	}
}

// TestFleetFile reads the fleet's file: keys that fleetctl gitops has, files that there are, labels of the packages.
func TestFleetFile(t *testing.T) {
	var f struct {
		Name     string
		Settings struct {
			Secrets []struct{ Secret string }
		}
		AgentOptions struct {
			Flags  map[string]any `yaml:"command_line_flags"`
			Config struct{ Options map[string]any }
		} `yaml:"agent_options"`
		Controls          any
		Policies, Reports []pathTo
		Software          struct {
			Packages []struct {
				Path   string
				Labels []string `yaml:"labels_include_any"`
			}
		}
	}
	decode(t, "examples/fleet/fleets/linux-servers.yml", &f)
	// Fleet decodes flags strictly, as osquery declares them (server/fleet/agent_options_generated.go).
	texts := []string{"extensions_require", "extensions_timeout"}
	for name, value := range f.AgentOptions.Flags {
		if _, text := value.(string); text != slices.Contains(texts, name) {
			t.Errorf("flag %s is %v, which Fleet refuses", name, value)
		}
		if _, ok := osqueryDefaults[name]; !ok || !strings.Contains(read(t, "osquery.md"), "| `--"+name+"` |") {
			t.Errorf("flag %s is not explained", name)
		}
	}
	if f.Name == "" || f.AgentOptions.Flags["extensions_require"] != "kernel_routes" || len(f.Settings.Secrets) != 1 {
		t.Errorf("%+v", f)
	}
	var packages []string
	for i, p := range f.Software.Packages {
		packages = append(packages, strings.TrimSuffix(filepath.Base(p.Path), ".package.yml"))
		if !slices.Equal(p.Labels, []string{label(packages[i])}) {
			t.Errorf("%s is for %q", p.Path, p.Labels)
		}
		if _, err := os.Stat("examples/fleet/fleets/" + p.Path); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(packages, kinds) {
		t.Errorf("packages %q", packages)
	}
	// ../lib/packs is a copy of this repository's packs/fleet/gitops.
	var lists []string
	for _, p := range append(slices.Clone(f.Policies), f.Reports...) {
		if name, ok := strings.CutPrefix(p.Path, "../lib/packs/"); ok {
			lists = append(lists, name)
		} else if _, err := os.Stat("examples/fleet/fleets/" + p.Path); err != nil {
			t.Error(err)
		}
	}
	entries, err := filepath.Glob("../packs/fleet/gitops/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		entries[i] = filepath.Base(entries[i])
	}
	if slices.Sort(lists); !slices.Equal(lists, entries) {
		t.Errorf("lists %q, there are %q", lists, entries)
	}
	if !regexp.MustCompile(`(?m)^cp .*packs/fleet/gitops/\*\.yml .*lib/packs/`).MatchString(read(t, "fleet.md")) {
		t.Error("fleet.md does not say where lib/packs comes from")
	}
}

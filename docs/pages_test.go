//go:build linux

package docs

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/buildtest"
)

var pages = []string{"osquery.md", "fleet.md", "command.md"}

// shown is a file that a page shows: its path in a comment, and its text in the block after that.
var shown = regexp.MustCompile("(?ms)^<!-- (examples/\\S+) -->\n```(\\w*)\n(.*?)^```$")

// TestShown sees that pages show the files of examples as they are, and every one of them.
func TestShown(t *testing.T) {
	named := map[string]bool{}
	for _, page := range pages {
		old := read(t, page)
		for _, m := range shown.FindAllStringSubmatch(old, -1) {
			named[m[1]] = true
		}
		text := shown.ReplaceAllStringFunc(old, func(block string) string {
			m := shown.FindStringSubmatch(block)
			return "<!-- " + m[1] + " -->\n```" + m[2] + "\n" + read(t, m[1]) + "```"
		})
		for _, file := range examples(t) {
			if strings.Contains(text, "]("+file+")") {
				named[file] = true
			}
		}
		if text == old {
			continue
		}
		if !*update {
			t.Errorf("%s shows a file that has changed; write it anew with -update", page)
			continue
		}
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range examples(t) {
		if !named[file] {
			t.Errorf("no page shows or links %s", file)
		}
	}
}

// osqueryDefaults are osquery's flags that the page explains, with their defaults: read from osquery 5.23.1
// (osquery/extensions/extensions.cpp, core/watcher.cpp, core/init.cpp, sql/virtual_table.cpp, config/packs.cpp,
// filesystem/filesystem.cpp, plugins/config/filesystem_config.cpp, logger/logger.cpp,
// plugins/logger/filesystem_logger.cpp).
var osqueryDefaults = map[string]string{
	"flagfile":                   "",
	"config_path":                "/etc/osquery/osquery.conf",
	"extension":                  "",
	"extensions_autoload":        "/etc/osquery/extensions.load",
	"extensions_require":         "",
	"extensions_timeout":         "3",
	"extensions_interval":        "3",
	"extensions_socket":          "/var/osquery/osquery.em",
	"disable_extensions":         "false",
	"extensions_default_index":   "true",
	"allow_unsafe":               "false",
	"disable_watchdog":           "false",
	"watchdog_level":             "0",
	"watchdog_memory_limit":      "0",
	"watchdog_utilization_limit": "0",
	"watchdog_latency_limit":     "0",
	"watchdog_delay":             "60",
	"enable_extensions_watchdog": "false",
	"pack_refresh_interval":      "3600",
	"pack_delimiter":             "_",
	"schedule_splay_percent":     "10",
	"logger_plugin":              "filesystem",
	"logger_path":                "/var/log/osquery/",
	"logger_min_status":          "0",
	"logger_min_stderr":          "0",
	"logger_stderr":              "true",
	"logger_event_type":          "true",
	"logger_snapshot_event_type": "false",
	"verbose":                    "false",
}

var flagRow = regexp.MustCompile("(?m)^\\| `--(\\w+)` \\| (.*?) \\| .{20,} \\|$")

// TestFlags sees that the page explains each flag once and with its default, and those that the
// examples set among them.
func TestFlags(t *testing.T) {
	explained := map[string]string{}
	for _, m := range flagRow.FindAllStringSubmatch(read(t, "osquery.md"), -1) {
		if _, twice := explained[m[1]]; twice {
			t.Errorf("--%s is explained twice", m[1])
		}
		explained[m[1]] = strings.Trim(m[2], "`")
	}
	for name, value := range osqueryDefaults {
		if got, ok := explained[name]; !ok {
			t.Errorf("--%s is not explained", name)
		} else if got != value {
			t.Errorf("--%s: default %q, want %q", name, got, value)
		}
	}
	for name := range explained {
		if _, ok := osqueryDefaults[name]; !ok {
			t.Errorf("--%s is explained, and its default was not read from osquery's source", name)
		}
	}
	for _, file := range []string{"examples/docker/Dockerfile", "examples/kubernetes/daemonset.yaml"} {
		found := regexp.MustCompile(`"--(\w+)=`).FindAllStringSubmatch(read(t, file), -1)
		for _, m := range found {
			if _, ok := explained[m[1]]; !ok {
				t.Errorf("%s: --%s is not explained", file, m[1])
			}
		}
		if len(found) == 0 {
			t.Errorf("%s gives osqueryd no flag", file)
		}
	}
	set := lines(read(t, "examples/osquery.flags"))
	for _, line := range set {
		name, _, ok := strings.Cut(line, "=")
		if !ok || !strings.HasPrefix(name, "--") {
			t.Errorf("osquery.flags: %s is no --NAME=VALUE", line)
		} else if _, ok := explained[name[2:]]; !ok {
			t.Errorf("osquery.flags: %s is not explained", name)
		}
	}
	if len(set) < 5 || !slices.Contains(set, "--extensions_require=kernel_routes") {
		t.Errorf("osquery.flags: %q", set)
	}
}

// TestOsqueryConf sees that osquery.conf is what osquery reads: JSON, packs that there are, options that may be
// set there and are explained.
func TestOsqueryConf(t *testing.T) {
	var conf struct {
		Options map[string]any
		Packs   map[string]string
	}
	decoder := json.NewDecoder(strings.NewReader(read(t, "examples/osquery.conf")))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&conf); err != nil {
		t.Fatal(err)
	}
	packs, err := filepath.Glob("../packs/*.conf")
	if err != nil || len(packs) == 0 {
		t.Fatalf("packs: %q, %v", packs, err)
	}
	for _, pack := range packs {
		name := strings.TrimSuffix(filepath.Base(pack), ".conf")
		if want := "/usr/share/osquery/packs/" + name + ".conf"; conf.Packs[name] != want {
			t.Errorf("pack %s is at %q, want %s", name, conf.Packs[name], want)
		}
	}
	if len(conf.Packs) != len(packs) {
		t.Errorf("%d packs in osquery.conf, there are %d", len(conf.Packs), len(packs))
	}
	for name := range conf.Options {
		// Flags of the command line alone are refused there.
		if _, ok := osqueryDefaults[name]; !ok || strings.HasPrefix(name, "extension") ||
			strings.HasPrefix(name, "watchdog") || name == "flagfile" || name == "config_path" {
			t.Errorf("option %s", name)
		}
	}
}

// TestMessages provokes what the page says that the extension itself writes.
func TestMessages(t *testing.T) {
	page := read(t, "osquery.md")
	for _, c := range []struct {
		args, env []string
		want      string
	}{
		{[]string{"--socket", "/nonexistent/osquery.em", "--timeout", "1"}, nil, "does not answer within"},
		{[]string{"--socket", "/nonexistent/osquery.em", "--timeout", "1"},
			[]string{"KERNEL_ROUTES_MAX_RESPONSE_MB=much"},
			"ignoring an environment variable that is no number of megabytes"},
		{[]string{"--socket", "/nonexistent/osquery.em", "--timeout", "1"},
			[]string{"KERNEL_ROUTES_EVENTS_MB=much"},
			"ignoring an environment variable that is no number of megabytes"},
		{[]string{"--socket", "/" + strings.Repeat("x", 97), "--timeout", "1"}, nil,
			"is too long, at most 97 are possible"},
		{[]string{"--socket", "/nonexistent/osquery.em", "--timeout", "1", "--new"}, nil, "ignoring the unknown flag"},
	} {
		cmd := exec.Command(buildtest.Program(t), c.args...)
		cmd.Env = append(os.Environ(), c.env...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), c.want) {
			t.Errorf("%q: %v, %s", c.args, err, out)
		}
		if !strings.Contains(page, c.want) {
			t.Errorf("osquery.md does not say what to do about %q", c.want)
		}
	}
}

//go:build linux

package main

import (
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/osquerytest"
	"kernelroutes/internal/roottest"
)

// The versions that are installed, one upon the other.
const (
	older = "1.0.0"
	newer = "1.1.0"
)

// insideWith is roottest.Inside where packages of both versions are found.
func insideWith(t *testing.T, ending string) bool {
	t.Helper()
	var env []string
	if !roottest.IsInside() {
		for _, version := range []string{older, newer} {
			env = append(env, variable(version, ending)+"="+packaged(t, version, ending))
		}
	}
	return roottest.Inside(t, env...)
}

// file returns a package within the namespaces.
func file(version, ending string) string { return os.Getenv(variable(version, ending)) }

func variable(version, ending string) string { return "KERNEL_ROUTES_TEST_" + version + ending }

// A manager installs packages in a root directory.
type manager interface {
	// install installs a version, over another as well, and returns what is said.
	install(version string) string
	// remove removes the package, and its configuration where the manager knows that.
	remove() string
	// installed returns the version, "" for none. It tells the test of all that is wrong with what is there.
	installed() string
}

// A situation is what is on a machine before the package.
type situation struct {
	name           string
	osquery, orbit string // the lists, "-" where there is not even the folder
	own            bool   // orbit has an osqueryd, as Fleet's package has it
}

const noFolder = "-"

// ownOsqueryd is where orbit has it.
const ownOsqueryd = "opt/orbit/bin/osqueryd/linux/stable/osqueryd"

var situations = []situation{
	{name: "osquery", osquery: none, orbit: noFolder},
	{name: "orbit", osquery: noFolder, orbit: none},
	{name: "both with lists", osquery: "# ours\r\n/opt/a.ext", orbit: "/opt/b.ext\n", own: true},
	{name: "both, one list", osquery: "", orbit: none},
	{name: "orbit with its osqueryd", osquery: noFolder, orbit: "", own: true},
	{name: "neither", osquery: noFolder, orbit: noFolder},
}

func (s situation) prepare(r *roottest.Root) {
	if s.own {
		r.Script(ownOsqueryd, "exit 0\n")
	}
	for list, text := range map[string]string{osqueryList: s.osquery, orbitList: s.orbit} {
		r.Folder("etc")
		switch text {
		case noFolder:
		case none:
			r.Folder(strings.TrimSuffix(list, "/extensions.load"))
		default:
			r.Write(list, text)
		}
	}
}

// with returns what a list has with our line.
func with(text string) string {
	switch {
	case text == noFolder:
		return none
	case text == none || text == "":
		return extension + "\n"
	case !strings.HasSuffix(text, "\n"):
		text += "\n"
	}
	return text + extension + "\n"
}

// tryLife installs, installs again, upgrades, downgrades, removes, installs once more and removes, and looks
// at the lists after each step, and at all else after removals. State is where the manager remembers.
func tryLife(t *testing.T, r *roottest.Root, m manager, s situation, state ...string) {
	t.Helper()
	s.prepare(r)
	before := filled(r.Tree(state...))
	step := func(name, version, osquery, orbit string) {
		t.Helper()
		if got := m.installed(); got != version {
			t.Fatalf("%s: version %q is installed, expected %q", name, got, version)
		}
		for list, want := range map[string]string{osqueryList: osquery, orbitList: orbit} {
			if got := r.Read(list); got != want {
				t.Errorf("%s: /%s has %q, expected %q", name, list, got, want)
			}
		}
		if version != "" {
			tryLoading(t, r, name)
		} else if d := roottest.Differences(before, filled(r.Tree(state...))); d != "" {
			t.Errorf("%s: all is to be as it was, but\n%s", name, d)
		}
	}
	gone := func(text string) string { return strings.Replace(text, noFolder, none, 1) }
	osquery, orbit := with(s.osquery), with(s.orbit)
	if s.own {
		osquery = with(gone(s.osquery)) // which orbit's osqueryd reads where orbit has emptied the other
	}
	said := m.install(older)
	step("install", older, osquery, orbit)
	if told := strings.Contains(said, "there is neither"); told != (s.name == "neither") {
		t.Errorf("install: says %s", said)
	}
	m.install(older)
	step("install again", older, osquery, orbit)
	m.install(newer)
	step("upgrade", newer, osquery, orbit)
	m.install(older)
	step("downgrade", older, osquery, orbit)
	m.remove()
	step("remove", "", gone(s.osquery), gone(s.orbit))
	if testing.Short() {
		return
	}
	m.install(newer)
	step("install after removal", newer, osquery, orbit)
	m.remove()
	step("remove", "", gone(s.osquery), gone(s.orbit))
}

// filled is a tree without the folders below /usr/share that nothing is in: packages share them, and rpm leaves
// those that are not said to be a package's own. In a distribution others have them too.
func filled(tree map[string]string) map[string]string {
	for _, path := range slices.Backward(slices.Sorted(maps.Keys(tree))) {
		if !strings.HasPrefix(path, "usr/share") || !strings.HasPrefix(tree[path], "4") {
			continue
		}
		empty := true
		for other := range tree {
			empty = empty && !strings.HasPrefix(other, path+"/")
		}
		if empty {
			delete(tree, path)
		}
	}
	return tree
}

// tryLoading checks by osquery's own rules that all that is listed is loaded.
func tryLoading(t *testing.T, r *roottest.Root, step string) {
	t.Helper()
	for _, list := range []string{osqueryList, orbitList} {
		if r.Read(list) == none {
			continue
		}
		entries, err := osquerytest.LoadList(r.Path(list))
		if err != nil {
			t.Fatal(err)
		}
		found := 0
		for _, entry := range entries {
			if entry == extension {
				found++
				if err := osquerytest.SafeToLoad(r.Dir, entry, 0); err != nil {
					t.Errorf("%s: osquery would not load it: %v", step, err)
				}
			}
		}
		if found != 1 {
			t.Errorf("%s: osquery finds %d lines of ours in /%s: %q", step, found, list, entries)
		}
	}
}

// tryAnswers checks what was installed: that the program answers, by both names, and what comes with it.
func tryAnswers(t *testing.T, r *roottest.Root, version string) {
	t.Helper()
	for _, program := range []string{"/usr/bin/kernel-routes", extension} {
		if out := run(t, r, program, "query", "--csv", "SELECT 40+2 AS answer"); out != "answer\n42\n" {
			t.Errorf("%s answers %q", program, out)
		}
		if out := run(t, r, program, "--version"); !strings.Contains(out, version) {
			t.Errorf("%s --version says %q", program, out)
		}
	}
	tree := r.Tree()
	for path, want := range map[string]string{
		"usr/lib/osquery/extensions/kernel_routes.ext": "100755 0:0 ",
		"usr/lib/osquery":                                     "40755 0:0",
		"usr/lib/osquery/extensions":                          "40755 0:0",
		"usr/lib/kernel-routes/register":                      "100755 0:0 ",
		"usr/bin/kernel-routes":                               "120777 0:0 -> .." + extension[len("/usr"):],
		"usr/share/osquery/packs/route-drift.conf":            "100644 0:0 ",
		"usr/share/man/man1/kernel-routes.1.gz":               "100644 0:0 ",
		"usr/share/man/man7/kernel_routes.7.gz":               "100644 0:0 ",
		"usr/share/bash-completion/completions/kernel-routes": "100644 0:0 ",
	} {
		if !strings.HasPrefix(tree[path], want) {
			t.Errorf("/%s is %q, expected %q", path, tree[path], want)
		}
	}
	for path, what := range tree {
		example := strings.HasPrefix(path, "usr/share/doc/") && strings.HasPrefix(what, "100755 0:0 ") // a script
		if strings.HasPrefix(path, "usr/share/") && strings.HasPrefix(what, "10") && !example &&
			!strings.HasPrefix(what, "100644 0:0 ") {
			t.Errorf("/%s is %s", path, what)
		}
	}
}

// status runs a command of this machine.
func status(t *testing.T, env []string, name string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=" + os.TempDir(), "TMPDIR=" + os.TempDir(), "LC_ALL=C"}, env...)
	return roottest.Status(t, cmd)
}

//go:build linux

package osquerytest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/osquerytest"
)

const extensionFile = "/usr/lib/osquery/extensions/kernel_routes.ext"

// TestLoadList: how osquery's loadExtensions and isFileSafe read the list.
func TestLoadList(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       []string
	}{
		{"lines", "/a.ext\n/b.ext\n", []string{"/a.ext", "/b.ext"}},
		{"no line feed at the end", "/a.ext\n/b.ext", []string{"/a.ext", "/b.ext"}},
		{"trimmed", " \t/a.ext \r\n\v/b.ext\f\n", []string{"/a.ext", "/b.ext"}},
		{"no other blank is trimmed", "/a.ext\u00a0\n", []string{"/a.ext\u00a0"}},
		{"carriage returns end no line", "/a.ext\r/b.ext\n", []string{"/a.ext\r/b.ext"}},
		{"empty lines", "\n\n  \n/a.ext\n\n", []string{"/a.ext"}},
		{"comments", "# one\n  ; two\n#/a.ext\n/b.ext\n", []string{"/b.ext"}},
		{"no comment behind a path", "/a.ext # one\n", []string{"/a.ext # one"}},
		{"a set", "/b.ext\n/a.ext\n/b.ext\n", []string{"/b.ext", "/a.ext"}},
		{"nothing is quoted", "\"/a.ext\"\n~/b.ext\n", []string{`"/a.ext"`, "~/b.ext"}},
		{"blanks within", "/a b.ext\n", []string{"/a b.ext"}},
		{"empty", "", nil},
	} {
		list := filepath.Join(t.TempDir(), "extensions.load")
		write(t, list, test.text, 0o644)
		got, err := osquerytest.LoadList(list)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, %v instead of %q", test.name, got, err, test.want)
		}
	}
	if _, err := osquerytest.LoadList(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("a list that is not there: %v", err)
	}
	long := filepath.Join(t.TempDir(), "extensions.load")
	write(t, long, "/a.ext\n", 0o644)
	if err := os.Truncate(long, 50<<20+1); err != nil {
		t.Fatal(err)
	}
	if got, err := osquerytest.LoadList(long); err == nil {
		t.Errorf("a list longer than --read_max: %q", got)
	}
}

// TestSafeToLoad breaks one rule of osquery's safePermissions and isFileSafe after the other. The rule of
// owners is tried by TestOwner: an ordinary user can make no file that is another's.
func TestSafeToLoad(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, root string) string // what is loaded; "" is extensionFile
		want   string                                 // what the error names, "" if it is loaded
	}{
		{"as installed", nil, ""},
		{"the group writes", mode(extensionFile, 0o775), ""},
		{"only the owner", mode(extensionFile, 0o500), ""},
		{"folder of anybody", mode(filepath.Dir(extensionFile), 0o777), ""},
		{"setuid", mode(extensionFile, 0o755|os.ModeSetuid), ""},
		{"anybody writes", mode(extensionFile, 0o757), "hasSafePermissions"},
		{"owner does not execute", mode(extensionFile, 0o655), "isExecutable"},
		{"sticky folder", mode(filepath.Dir(extensionFile), 0o755|os.ModeSticky), "platformIsTmpDir"},
		{"sticky folder above", mode("/usr/lib/osquery", 0o755|os.ModeSticky), ""},
		{"missing", func(*testing.T, string) string { return "/usr/lib/osquery/extensions/none.ext" }, "pathExists"},
		{"folder", func(*testing.T, string) string { return "/usr/lib/osquery/extensions" }, "isDirectory"},
		{"other name", linkTo("/usr/bin/kernel-routes", extensionFile), "kFileExtensions"},
		{"link", linkTo("/usr/bin/kernel-routes.ext", extensionFile), ""},
		{"relative link", linkTo("/usr/bin/kernel-routes.ext", "../lib/osquery/extensions/kernel_routes.ext"), ""},
		{"link to nothing", linkTo("/usr/bin/kernel-routes.ext", "/none"), "pathExists"},
		{"link out of the root", linkTo("/usr/bin/sh.ext", "../../../../../../../../../../bin/sh"), "pathExists"},
		{"link in a sticky folder", linkTo("/tmp/kernel-routes.ext", extensionFile), "platformIsTmpDir"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root, file := installed(t), extensionFile
			if test.change != nil {
				if f := test.change(t, root); f != "" {
					file = f
				}
			}
			err := osquerytest.SafeToLoad(root, file, 0)
			if test.want == "" && err != nil {
				t.Error(err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v instead of what names %s", err, test.want)
			}
		})
	}
}

// TestAutoloaded: a list with all that a list may have, in a folder that is taken for the root directory.
func TestAutoloaded(t *testing.T) {
	root := installed(t)
	for _, name := range []string{"/opt/x/deep/er/b.ext", "/opt/x/deep/.c.ext", "/opt/x/a.ext", "/opt/x/.hidden.ext"} {
		write(t, root+name, "", 0o755)
	}
	write(t, root+"/opt/x/README", "", 0o644)
	linkTo("/opt/x/linked", "/usr/lib/osquery/extensions")(t, root)
	linkTo("/opt/x/deep/loop", "/opt/x/deep")(t, root)
	list := "# what we load\n" + extensionFile + "\n/opt/x\n/missing.ext\n" + extensionFile + "\n"
	write(t, root+"/etc/osquery/extensions.load", list, 0o644)
	started, refused, err := osquerytest.Autoloaded(root, "/etc/osquery/extensions.load", 0)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/opt/x/a.ext", "/opt/x/deep/.c.ext", "/opt/x/deep/er/b.ext",
		"/opt/x/linked/kernel_routes.ext", extensionFile}
	if !slices.Equal(started, want) {
		t.Errorf("started are\n%q instead of\n%q", started, want)
	}
	for i, name := range []string{"/opt/x/README", "/missing.ext"} {
		if i >= len(refused) || !strings.HasPrefix(refused[i].Error(), name+" ") &&
			!strings.HasPrefix(refused[i].Error(), name+":") {
			t.Errorf("refused are %v", refused)
		}
	}
	if _, _, err := osquerytest.Autoloaded(root, "/opt/orbit/extensions.load", 0); err == nil {
		t.Error("a list that is not there")
	}
}

// installed is a root directory in which the extension is installed as a package does.
func installed(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	write(t, root+extensionFile, "program", 0o755)
	write(t, root+"/usr/bin/other", "", 0o755)
	write(t, root+"/tmp/other", "", 0o644)
	mode("/tmp", 0o777|os.ModeSticky)(t, root)
	return root
}

func mode(name string, bits os.FileMode) func(*testing.T, string) string {
	return func(t *testing.T, root string) string {
		t.Helper()
		if err := os.Chmod(root+name, bits); err != nil {
			t.Fatal(err)
		}
		return ""
	}
}

func linkTo(name, target string) func(*testing.T, string) string {
	return func(t *testing.T, root string) string {
		t.Helper()
		if err := os.Symlink(target, root+name); err != nil {
			t.Fatal(err)
		}
		return name
	}
}

// write makes a file with its folders, with the mode whatever the umask says.
func write(t *testing.T, name, text string, bits os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, bits); err != nil {
		t.Fatal(err)
	}
}

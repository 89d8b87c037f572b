//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/osquerytest"
	"kernelroutes/internal/roottest"
)

// extension is the line, and the file.
const extension = "/usr/lib/osquery/extensions/kernel_routes.ext"

const (
	osqueryList = "etc/osquery/extensions.load"
	orbitList   = "opt/orbit/extensions.load"
	registerer  = "/usr/lib/kernel-routes/register"
)

// kinds are the shells and tools that the scripts are to run with. Bash has the tools of Dash, and what the shells
// read differently shows with lists.
var (
	kinds    = []roottest.Kind{roottest.Dash, roottest.Busybox}
	allKinds = append(kinds, roottest.Bash)
)

// registerRoot returns a root directory that has what a package installs, as far as it matters to its scripts.
func registerRoot(t *testing.T, kind roottest.Kind) *roottest.Root {
	t.Helper()
	if kind == roottest.Busybox {
		roottest.Need(t, "busybox-static", "busybox")
	}
	r := roottest.New(t, kind)
	for file, script := range map[string]string{
		registerer: "register.sh", "/postinstall": "postinstall.sh", "/preremove": "preremove.sh",
	} {
		text, err := os.ReadFile(filepath.Join("scripts", script))
		if err != nil {
			t.Fatal(err)
		}
		_, text2, _ := strings.Cut(string(text), "\n")
		r.Script(file, text2)
	}
	r.Script(extension, "exit 0\n")
	return r
}

// run runs a program that is to succeed, and returns what it says.
func run(t *testing.T, r *roottest.Root, program string, args ...string) string {
	t.Helper()
	out, status := r.Run(nil, program, args...)
	if status != 0 {
		t.Errorf("%s %s: status %d: %s", program, strings.Join(args, " "), status, out)
	}
	return out
}

const none = "(none)"

// lists are what a list may have, and what it is to have with our line. (none) is no file, and no end of a
// line behind what is before ours is added, and taken away again.
var lists = []struct{ name, before, with, after string }{
	{"none", none, extension + "\n", none},
	{"empty", "", extension + "\n", ""},
	{"another", "/opt/a.ext\n", "/opt/a.ext\n" + extension + "\n", "/opt/a.ext\n"},
	{"open", "/opt/a.ext", "/opt/a.ext\n" + extension + "\n", "/opt/a.ext"},
	{"comments", "# all of ours\n\n/opt/a.ext\n\n\n", "# all of ours\n\n/opt/a.ext\n\n\n" + extension + "\n",
		"# all of ours\n\n/opt/a.ext\n\n\n"},
	{"CRLF", "/opt/a.ext\r\n/opt/b.ext\r\n", "/opt/a.ext\r\n/opt/b.ext\r\n" + extension + "\n",
		"/opt/a.ext\r\n/opt/b.ext\r\n"},
	{"open CRLF", "/opt/a.ext\r\n\t/opt/b.ext\r", "/opt/a.ext\r\n\t/opt/b.ext\r\n" + extension + "\n",
		"/opt/a.ext\r\n\t/opt/b.ext\r"},
	{"blank lines only", "\n \n", "\n \n" + extension + "\n", "\n \n"},
	{"one end of a line", "\n", "\n" + extension + "\n", "\n"},
	{"commented out", "#" + extension + "\n ;" + extension + "\n# " + extension,
		"#" + extension + "\n ;" + extension + "\n# " + extension + "\n" + extension + "\n",
		"#" + extension + "\n ;" + extension + "\n# " + extension},
	{"part of others", extension + ".old\n/chroot" + extension + "\n" + extension + " # ours\n",
		extension + ".old\n/chroot" + extension + "\n" + extension + " # ours\n" + extension + "\n",
		extension + ".old\n/chroot" + extension + "\n" + extension + " # ours\n"},
	{"dots are dots", "/usr/lib/osquery/extensions/kernel_routesxext\n",
		"/usr/lib/osquery/extensions/kernel_routesxext\n" + extension + "\n",
		"/usr/lib/osquery/extensions/kernel_routesxext\n"},
	{"no UTF-8", "/opt/\xff\xfe.ext\n\xc3", "/opt/\xff\xfe.ext\n\xc3\n" + extension + "\n", "/opt/\xff\xfe.ext\n\xc3"},
	{"words of shells", "$(touch /x) `touch /x`\n\\n -e -n * %s\n-n", "$(touch /x) `touch /x`\n\\n -e -n * %s\n-n\n" +
		extension + "\n", "$(touch /x) `touch /x`\n\\n -e -n * %s\n-n"},
	{"long line", strings.Repeat("x", 1<<17) + "\n", strings.Repeat("x", 1<<17) + "\n" + extension + "\n",
		strings.Repeat("x", 1<<17) + "\n"},
	// Where the line is already, nothing is added.
	{"there", "/opt/a.ext\n" + extension + "\n/opt/b.ext\n", "/opt/a.ext\n" + extension + "\n/opt/b.ext\n",
		"/opt/a.ext\n/opt/b.ext\n"},
	{"there, open", "/opt/a.ext\n" + extension, "/opt/a.ext\n" + extension, "/opt/a.ext\n"},
	{"there, alone", extension + "\n", extension + "\n", ""},
	{"there, blanks around", " \t" + extension + " \r\n/opt/b.ext", " \t" + extension + " \r\n/opt/b.ext",
		"/opt/b.ext"},
	{"there, vertical tab, form feed", "\v" + extension + "\f\n", "\v" + extension + "\f\n", ""},
	{"there twice", extension + "\n/opt/a.ext\n" + extension + "\n", extension + "\n/opt/a.ext\n" + extension + "\n",
		"/opt/a.ext\n"},
}

// TestLists tries the script with each list for both, with each shell: installed, upgraded, removed.
func TestLists(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	for _, kind := range allKinds {
		t.Run(string(kind), func(t *testing.T) {
			r := registerRoot(t, kind)
			r.Folder("etc/osquery")
			r.Folder("opt/orbit")
			for n := 0; n < len(lists); n += 2 {
				list, other := lists[n], lists[(n+1)%len(lists)]
				put := func(file, text string) {
					r.Remove(file)
					if text != none {
						r.Write(file, text)
					}
				}
				put(osqueryList, list.before)
				put(orbitList, other.before)
				before := r.Tree()
				check := func(step, want, wantOther string) {
					t.Helper()
					if got := r.Read(osqueryList); got != want {
						t.Errorf("%s: %s: /%s has %q, want %q", list.name, step, osqueryList, got, want)
					}
					if got := r.Read(orbitList); got != wantOther {
						t.Errorf("%s: %s: /%s has %q, want %q", other.name, step, orbitList, got, wantOther)
					}
				}
				run(t, r, registerer, "installed")
				check("installed", list.with, other.with)
				if entries, err := osquerytest.LoadList(r.Path(osqueryList)); err != nil {
					t.Error(err)
				} else if strings.Count(strings.Join(entries, "\n")+"\n", extension+"\n") < 1 {
					t.Errorf("%s: osquery reads %q", list.name, entries)
				}
				run(t, r, registerer, "installed", "upgrade")
				run(t, r, registerer)
				check("upgraded", list.with, other.with)
				run(t, r, registerer, "removing")
				check("removed", list.after, other.after)
				if list.before == list.after && other.before == other.after {
					if d := roottest.Differences(before, r.Tree()); d != "" {
						t.Errorf("%s: removed:\n%s", list.name, d)
					}
				}
			}
		})
	}
}

// TestListBytes tries the bytes that busybox's sed does not keep.
func TestListBytes(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	r := registerRoot(t, roottest.Dash)
	for _, before := range []string{"a\x00b\n\x00\n", "\x00", "\n\x00"} {
		r.Write(osqueryList, before)
		run(t, r, registerer, "installed")
		want := strings.TrimSuffix(before, "\n") + "\n" + extension + "\n"
		if got := r.Read(osqueryList); got != want {
			t.Errorf("%q: got %q", before, got)
		}
		run(t, r, registerer, "removing")
		if got := r.Read(osqueryList); got != before {
			t.Errorf("%q: got %q back", before, got)
		}
	}
}

// TestAdministrator: what administrators do to a list between installation and removal holds.
func TestAdministrator(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	for _, kind := range kinds {
		t.Run(string(kind), func(t *testing.T) {
			r := registerRoot(t, kind)
			r.Folder("etc/osquery")
			expect := func(step, want string) {
				t.Helper()
				if got := r.Read(osqueryList); got != want {
					t.Fatalf("%s: %q, want %q", step, got, want)
				}
			}
			run(t, r, registerer, "installed")
			r.Write(osqueryList, "/opt/a.ext\n")
			run(t, r, registerer, "installed", "upgrade")
			expect("the line was taken out by hand, and stays so", "/opt/a.ext\n")
			run(t, r, registerer)
			expect("the administrator asks for it", "/opt/a.ext\n"+extension+"\n")
			run(t, r, registerer, "remove")
			run(t, r, registerer, "installed", "upgrade")
			expect("the administrator does not want it", "/opt/a.ext\n")
			run(t, r, registerer, "removing")
			expect("removed", "/opt/a.ext\n")
			run(t, r, registerer, "installed")
			expect("installed again", "/opt/a.ext\n"+extension+"\n")
			run(t, r, registerer, "removing")

			r.Write(osqueryList, "/opt/a.ext")
			run(t, r, registerer, "installed")
			r.Write(osqueryList, "/opt/a.ext\n"+extension+"\n/opt/b.ext\n")
			run(t, r, registerer, "removing")
			expect("a line behind ours", "/opt/a.ext\n/opt/b.ext\n")

			r.Remove(osqueryList)
			run(t, r, registerer, "installed")
			r.Write(osqueryList, extension+"\n/opt/b.ext\n")
			run(t, r, registerer, "removing")
			expect("a list that we made has others' lines", "/opt/b.ext\n")
			r.Remove(osqueryList)
			run(t, r, registerer, "installed")
			r.Remove(osqueryList)
			run(t, r, registerer, "removing")
			expect("the list was removed", none)
			run(t, r, registerer, "installed")
			r.Write(osqueryList, "")
			run(t, r, registerer, "removing")
			expect("a list that we made was emptied", none)
		})
	}
}

// TestListFiles: owner, mode and links stay, nothing is left beside.
func TestListFiles(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	for _, kind := range allKinds {
		t.Run(string(kind), func(t *testing.T) {
			r := registerRoot(t, kind)
			r.Write("srv/lists/osquery", "/opt/a.ext\n")
			if err := os.Chmod(r.Path("srv/lists/osquery"), 0o640); err != nil {
				t.Fatal(err)
			}
			if err := unix.Setxattr(r.Path("srv/lists/osquery"), "user.kept", []byte("yes"), 0); err != nil {
				t.Logf("no extended attributes here: %v", err)
			}
			r.Folder("etc/osquery")
			r.Folder("opt/orbit")
			r.Link(osqueryList, "../conf/list") // through two links, a relative one and one from the root directory
			r.Folder("etc/conf")
			r.Link("etc/conf/list", "/srv/lists/osquery")
			r.Link(orbitList, "/srv/lists/orbit") // which is not there
			before := r.Tree()
			run(t, r, registerer, "installed")
			after := r.Tree()
			for _, path := range []string{osqueryList, "etc/conf/list", orbitList} {
				if after[path] != before[path] {
					t.Errorf("%s was %s, is %s", path, before[path], after[path])
				}
			}
			if !strings.HasPrefix(after["srv/lists/osquery"], "100640 0:0 ") {
				t.Errorf("a list with mode 0640 has become %s", after["srv/lists/osquery"])
			}
			if !strings.HasPrefix(after["srv/lists/orbit"], "100644 0:0 ") {
				t.Errorf("a new list is %s", after["srv/lists/orbit"])
			}
			if got := r.Read("srv/lists/osquery") + r.Read("srv/lists/orbit"); got !=
				"/opt/a.ext\n"+extension+"\n"+extension+"\n" {
				t.Errorf("got %q", got)
			}
			run(t, r, registerer, "removing")
			if d := roottest.Differences(before, r.Tree()); d != "" {
				t.Errorf("removed:\n%s", d)
			}
		})
	}
}

//go:build linux

package main

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/roottest"
)

// A failure is a list that cannot be written.
type failure struct {
	name  string
	spoil func(t *testing.T, r *roottest.Root) // makes it so, the list having the text "/opt/a.ext\n"
	says  string                               // among what is said
}

// fill fills what is mounted at a folder, to the last byte.
func fill(t *testing.T, r *roottest.Root, dir string) {
	t.Helper()
	file, err := os.Create(r.Path(dir + "/filling"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for size := 64 << 10; size > 0; {
		if _, err := file.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
}

// small mounts a file system of four pages at the folder of osquery's list, which is in it.
func small(t *testing.T, r *roottest.Root, options string) {
	t.Helper()
	text := r.Read(osqueryList)
	r.Tmpfs("etc/osquery", "mode=0755,size=16k"+options)
	r.Write(osqueryList, text)
}

var failures = []failure{
	{"disk is full", func(t *testing.T, r *roottest.Root) {
		small(t, r, "")
		fill(t, r, "etc/osquery")
	}, "No space left on device"},
	{"disk is full when the line comes", func(t *testing.T, r *roottest.Root) {
		r.Tmpfs("etc/osquery", "mode=0755,size=8k") // two pages
		r.Write(osqueryList, strings.Repeat("x", 4095)+"\n"+strings.TrimPrefix(r.Read(osqueryList), "(none)"))
	}, ""},
	{"disk has no inode", func(t *testing.T, r *roottest.Root) { small(t, r, ",nr_inodes=2") }, "No space left"},
	{"folder is read-only", func(t *testing.T, r *roottest.Root) {
		small(t, r, "")
		r.ReadOnly("etc/osquery")
	}, "Read-only file system"},
	{"list is mounted by itself", func(t *testing.T, r *roottest.Root) {
		r.Write("srv/list", r.Read(osqueryList))
		if err := unix.Mount(r.Path("srv/list"), r.Path(osqueryList), "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Unmount(r.Path(osqueryList), unix.MNT_DETACH) })
	}, "usy"},
	{"a folder is in its place", func(t *testing.T, r *roottest.Root) {
		r.Remove(osqueryList)
		r.Folder(osqueryList + "/sub")
	}, "is not a file"},
	{"a pipe is in its place", func(t *testing.T, r *roottest.Root) {
		r.Remove(osqueryList)
		if err := unix.Mkfifo(r.Path(osqueryList), 0o644); err != nil {
			t.Fatal(err)
		}
	}, "is not a file"},
	{"link to nowhere", func(t *testing.T, r *roottest.Root) { r.Link(osqueryList, "/srv/none/list") }, "No such file"},
	{"link to itself", func(t *testing.T, r *roottest.Root) { r.Link(osqueryList, "extensions.load") }, "to itself"},
	{"nothing can be remembered", func(t *testing.T, r *roottest.Root) {
		r.Tmpfs("var/lib", "mode=0755,size=4k")
		r.ReadOnly("var/lib")
	}, "Read-only file system"},
}

// TestFailures: a list that cannot be written is as it was, nothing else is in its folder, what is to be
// done is said, and the installation fails, but not the removal.
func TestFailures(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	for _, kind := range kinds {
		for _, f := range failures {
			t.Run(string(kind)+"/"+f.name, func(t *testing.T) {
				r := registerRoot(t, kind)
				r.Folder("opt/orbit")
				r.Write(osqueryList, "/opt/a.ext\n")
				f.spoil(t, r)
				before := r.Tree("opt/orbit", "var/lib")
				out, status := r.Run(nil, registerer, "installed")
				says := []string{f.says, "/" + osqueryList, registerer, "KERNEL_ROUTES_REGISTER=0", extension}
				for _, want := range says {
					if !strings.Contains(out, want) {
						t.Errorf("%q does not say %q", out, want)
					}
				}
				if status != 1 {
					t.Errorf("status %d", status)
				}
				if d := roottest.Differences(before, r.Tree("opt/orbit", "var/lib")); d != "" {
					t.Errorf("changed:\n%s", d)
				}
				if want := extension + "\n"; f.name != "nothing can be remembered" && r.Read(orbitList) != want {
					t.Errorf("the other list has %q", r.Read(orbitList))
				}
				out, status = r.Run([]string{"KERNEL_ROUTES_REGISTER=0"}, registerer, "installed")
				if status != 0 || out != "" {
					t.Errorf("told to leave the lists alone: status %d: %s", status, out)
				}
				if out, status = r.Run(nil, registerer, "removing"); status != 0 {
					t.Errorf("removal: status %d: %s", status, out)
				}
			})
		}
	}
}

// TestFailedRemoval: a line that cannot be taken out stays, and this is said.
func TestFailedRemoval(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	for _, kind := range kinds {
		for _, f := range append([]failure{failures[0]}, failures[2:5]...) {
			t.Run(string(kind)+"/"+f.name, func(t *testing.T) {
				r := registerRoot(t, kind)
				r.Write(osqueryList, "/opt/a.ext\n")
				run(t, r, registerer, "installed")
				f.spoil(t, r)
				before := r.Tree("var/lib")
				out := run(t, r, "/preremove", "remove")
				for _, want := range []string{f.says, "/" + osqueryList, extension, "by hand"} {
					if !strings.Contains(out, want) {
						t.Errorf("%q does not say %q", out, want)
					}
				}
				if d := roottest.Differences(before, r.Tree("var/lib")); d != "" {
					t.Errorf("changed:\n%s", d)
				}
			})
		}
	}
}

// TestRetry: what failed for want of room is done when there is room.
func TestRetry(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	r := registerRoot(t, roottest.Dash)
	r.Write(osqueryList, "/opt/a.ext\n")
	small(t, r, "")
	fill(t, r, "etc/osquery")
	if out, status := r.Run(nil, "/postinstall", "configure", ""); status != 1 {
		t.Errorf("status %d: %s", status, out)
	}
	r.Remove("etc/osquery/filling")
	run(t, r, "/postinstall", "configure", "")
	if got := r.Read(osqueryList); got != "/opt/a.ext\n"+extension+"\n" {
		t.Errorf("%q", got)
	}
}

// TestNothingToDo: where a list has the line already, and nothing can be remembered, nothing fails.
func TestNothingToDo(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	for _, kind := range kinds {
		r := registerRoot(t, kind)
		r.Write(osqueryList, extension+"\n")
		r.Tmpfs("var/lib", "mode=0755,size=4k")
		r.ReadOnly("var/lib")
		run(t, r, "/postinstall", "configure", "")
		run(t, r, registerer)
		run(t, r, "/preremove", "remove")
		if got := r.Read(osqueryList); got != "" {
			t.Errorf("%s: removed: %q", kind, got)
		}
	}
}

// TestOthers: where the extension is loaded from elsewhere no second line is added, and it is said what to do.
func TestOthers(t *testing.T) {
	t.Parallel()
	if !roottest.Inside(t) {
		return
	}
	const handMade = "/usr/local/lib/osquery/kernel_routes.ext"
	for _, kind := range kinds {
		for _, test := range []struct {
			name, list, file, link string
			other                  string // "" where ours is to be added
		}{
			{"by hand", "/opt/a.ext\n " + handMade + "\r\n", handMade, "", handMade},
			{"by hand, open", handMade, handMade, "", handMade},
			{"by hand, gone", handMade + "\n", "", "", ""},
			{"by hand, commented out", "#" + handMade + "\n", handMade, "", ""},
			{"by hand, another name", "/opt/other.ext\n", "/opt/other.ext", "", ""},
			{"spelled otherwise", "/usr/lib//osquery/extensions/kernel_routes.ext\n", "", "",
				"/usr/lib//osquery/extensions/kernel_routes.ext"},
			{"the command", "/usr/bin/kernel-routes\n", "/usr/bin/kernel-routes", extension, ""},
			{"the folder", "/usr/lib/osquery/extensions\n", "", "", ""},
		} {
			t.Run(string(kind)+"/"+test.name, func(t *testing.T) {
				r := registerRoot(t, kind)
				r.Write(osqueryList, test.list)
				switch {
				case test.link != "":
					r.Link(test.file, test.link)
				case test.file != "":
					r.Script(test.file, "exit 0\n")
				}
				out := run(t, r, "/postinstall", "configure", "")
				entries := strings.Count("\n"+r.Read(osqueryList), "\n"+extension+"\n")
				if test.other == "" {
					if entries != 1 {
						t.Errorf("the list has %q: %s", r.Read(osqueryList), out)
					}
					return
				}
				if r.Read(osqueryList) != test.list || !strings.Contains(out, test.other) ||
					!strings.Contains(out, registerer) {
					t.Errorf("the list has %q, was %q: %s", r.Read(osqueryList), test.list, out)
				}
				r.Write(osqueryList, "")
				run(t, r, registerer)
				if got := r.Read(osqueryList); got != extension+"\n" {
					t.Errorf("after what it said: %q", got)
				}
			})
		}
	}
}

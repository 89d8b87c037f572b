//go:build linux

package main

import (
	"strings"
	"testing"

	"kernelroutes/internal/roottest"
)

// An rpm is a root directory with packages.
type rpm struct {
	t *testing.T
	*roottest.Root
	env []string
}

func newRpm(t *testing.T) *rpm {
	t.Helper()
	r := &rpm{t: t, Root: roottest.New(t, roottest.Bash)}
	r.Folder("var/tmp")
	r.Folder("var/lib/rpm")
	return r
}

// try runs rpm and returns what it says, and its status. What the package needs, as /bin/sh, is in no package.
func (r *rpm) try(args ...string) (string, int) {
	r.t.Helper()
	return status(r.t, r.env, "rpm", append([]string{"--root=" + r.Dir, "--dbpath=/var/lib/rpm"}, args...)...)
}

func (r *rpm) run(args ...string) string {
	r.t.Helper()
	out, status := r.try(args...)
	if status != 0 || strings.Contains(out, "scriptlet failed") {
		r.t.Fatalf("rpm %q: status %d: %s", args, status, out)
	}
	return out
}

func (r *rpm) install(version string) string {
	r.t.Helper()
	how := "-i"
	if r.installed() != "" {
		how = "-U"
	}
	return r.run(how, "--nodeps", "--replacepkgs", "--oldpackage", file(version, ".rpm"))
}

func (r *rpm) remove() string { r.t.Helper(); return r.run("-e", "kernel-routes") }

func (r *rpm) installed() string {
	r.t.Helper()
	out, code := r.try("-q", "--qf", "%{VERSION} ", "kernel-routes")
	if code != 0 {
		return ""
	}
	if out, code := r.try("--verify", "--nodeps", "kernel-routes"); code != 0 {
		r.t.Errorf("rpm finds fault: %s", out)
	}
	return strings.TrimSpace(out)
}

const rpmState = "var/lib/rpm"

func TestRpm(t *testing.T) {
	t.Parallel()
	roottest.Need(t, "rpm", "rpm")
	if !insideWith(t, ".rpm") {
		return
	}
	for n, s := range situations {
		if testing.Short() && n != 2 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			r := newRpm(t)
			tryLife(t, r.Root, r, s, rpmState)
		})
	}
}

// TestRpmAnswers is about what is there after installation, and about what fails.
func TestRpmAnswers(t *testing.T) {
	t.Parallel()
	roottest.Need(t, "rpm", "rpm")
	if !insideWith(t, ".rpm") {
		return
	}
	const before, after = "/opt/a.ext", "/opt/a.ext\n" + extension + "\n"
	r := newRpm(t)
	r.Write(osqueryList, before)
	r.run("-i", "--test", "--nodeps", file(older, ".rpm"))
	if got := r.Read(osqueryList); got != before {
		t.Errorf("--test: %q", got)
	}
	r.install(older)
	tryAnswers(t, r.Root, older)
	r.run("-e", "--test", "kernel-routes")
	r.run("-F", "--nodeps", file(newer, ".rpm"))
	if got := r.Read(osqueryList); got != after {
		t.Errorf("freshened: %q", got)
	}
	r.Write(osqueryList, before)
	r.run("-U", "--nodeps", "--replacepkgs", file(newer, ".rpm"))
	if got := r.Read(osqueryList); got != before {
		t.Errorf("the line was taken out by hand, then the package installed again: %q", got)
	}
	r.remove()

	umount := r.Tmpfs("etc/osquery", "mode=0755,size=16k")
	r.Write(osqueryList, before)
	fill(t, r.Root, "etc/osquery")
	out, _ := r.try("-i", "--nodeps", file(older, ".rpm"))
	if !strings.Contains(out, "scriptlet failed, exit status 1") || !strings.Contains(out, registerer) {
		t.Errorf("disk full: %s", out)
	}
	if got := r.Read(osqueryList); got != before || r.installed() != older {
		t.Errorf("disk full: version %s: %q", r.installed(), got)
	}
	r.Remove("etc/osquery/filling")
	run(t, r.Root, registerer)
	if got := r.Read(osqueryList); got != after {
		t.Errorf("there is room: %q", got)
	}
	fill(t, r.Root, "etc/osquery")
	r.remove()
	if got := r.Read(osqueryList); got != after {
		t.Errorf("removed on a full disk: %q", got)
	}
	umount()
}

//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/roottest"
)

// A dpkg is a root directory with packages.
type dpkg struct {
	t *testing.T
	*roottest.Root
	env []string
}

func newDpkg(t *testing.T) *dpkg {
	t.Helper()
	d := &dpkg{t: t, Root: roottest.New(t, roottest.Dash)}
	for _, file := range []string{"status", "available"} {
		d.Write("var/lib/dpkg/"+file, "")
	}
	for _, dir := range []string{"info", "updates", "triggers", "parts"} {
		d.Folder("var/lib/dpkg/" + dir)
	}
	return d
}

// try runs dpkg and returns what it says, and its status.
func (d *dpkg) try(args ...string) (string, int) {
	d.t.Helper()
	log := filepath.Join(os.TempDir(), "dpkg.log")
	return status(d.t, d.env, "dpkg", append([]string{"--root=" + d.Dir, "--log=" + log, "--no-debsig",
		"--force-unsafe-io"}, args...)...)
}

// run runs dpkg, which is to succeed.
func (d *dpkg) run(args ...string) string {
	d.t.Helper()
	out, status := d.try(args...)
	if status != 0 {
		d.t.Fatalf("dpkg %q: status %d: %s", args, status, out)
	}
	return out
}

func (d *dpkg) install(version string) string {
	d.t.Helper()
	return d.run("-i", file(version, ".deb"))
}

func (d *dpkg) remove() string { d.t.Helper(); return d.run("--purge", "kernel-routes") }

func (d *dpkg) installed() string {
	d.t.Helper()
	const format = "${db:Status-Status} ${Version}"
	out, code := status(d.t, nil, "dpkg-query", "--admindir="+d.Path(dpkgState), "-W", "-f="+format, "kernel-routes")
	state, version, _ := strings.Cut(out, " ")
	switch {
	case code != 0 || state == "not-installed":
		return ""
	case state != "installed":
		return state
	}
	if out := d.run("--audit") + d.run("--verify", "kernel-routes"); out != "" {
		d.t.Errorf("dpkg finds fault: %s", out)
	}
	version, _, _ = strings.Cut(version, "-")
	return version
}

// dpkgState is where dpkg remembers.
const dpkgState = "var/lib/dpkg"

func needDpkg(t *testing.T) {
	t.Helper()
	roottest.Need(t, "dpkg", "dpkg", "dpkg-deb", "dpkg-query")
}

func TestDeb(t *testing.T) {
	t.Parallel()
	needDpkg(t)
	if !insideWith(t, ".deb") {
		return
	}
	for n, s := range situations {
		if testing.Short() && n != 2 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			d := newDpkg(t)
			tryLife(t, d.Root, d, s, dpkgState)
		})
	}
}

// TestDebAnswers is about what is there after installation.
func TestDebAnswers(t *testing.T) {
	t.Parallel()
	needDpkg(t)
	if !insideWith(t, ".deb") {
		return
	}
	d := newDpkg(t)
	d.Add("bash")
	d.install(newer)
	tryAnswers(t, d.Root, newer)
	out := run(t, d.Root, "/usr/bin/bash", "--norc", "-c",
		". /usr/share/bash-completion/completions/kernel-routes && complete -p")
	if !strings.Contains(out, "kernel") {
		t.Errorf("bash's completion: %s", out)
	}
	// Removed, and purged later: dpkg knows nothing of it any more.
	d.run("--remove", "kernel-routes")
	if got := d.installed(); got != "" {
		t.Errorf("removed: %s", got)
	}
	d.run("--purge", "kernel-routes")
}

// TestDebImage: an image that has no shell yet is made from outside, by the machine's.
func TestDebImage(t *testing.T) {
	t.Parallel()
	needDpkg(t)
	if !insideWith(t, ".deb") {
		return
	}
	d := newDpkg(t)
	d.Remove("usr/bin")
	d.Write(osqueryList, "/opt/a.ext")
	for _, version := range []string{older, newer} {
		out := d.run("--force-script-chrootless", "-i", file(version, ".deb"))
		if got := d.Read(osqueryList); got != "/opt/a.ext\n"+extension+"\n" {
			t.Errorf("%s: %q: %s", version, got, out)
		}
	}
	out := d.run("--force-script-chrootless", "--purge", "kernel-routes")
	if got := d.Read(osqueryList); got != "/opt/a.ext" || d.Read("var/lib/kernel-routes/osquery") != none {
		t.Errorf("purged: %q: %s", got, out)
	}
}

// debPackage builds a package beside ours, with files (folders end in /) and scripts.
func (d *dpkg) debPackage(name, version, fields string, files map[string]string) string {
	d.t.Helper()
	dir := filepath.Join(d.t.TempDir(), name)
	files["DEBIAN/control"] = fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: a <a@b.invalid>\n"+
		"%sDescription: none\n", name, version, fields)
	for file, text := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			d.t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") {
			mode = 0o755
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			d.t.Fatal(err)
		}
	}
	deb := dir + "_" + version + ".deb"
	if out, code := status(d.t, nil, "dpkg-deb", "--build", "-Znone", dir, deb); code != 0 {
		d.t.Fatal(out)
	}
	return deb
}

// TestDebLater: osquery and Fleet's agent may come after the package, go, and come again.
func TestDebLater(t *testing.T) {
	t.Parallel()
	needDpkg(t)
	if !insideWith(t, ".deb") {
		return
	}
	d := newDpkg(t)
	osquery := func(version string) string {
		return d.debPackage("osquery", version, "", map[string]string{
			"etc/osquery/osquery.conf": "{}\n", "opt/osquery/bin/osqueryd": "#!/bin/sh\n"})
	}
	orbit := func(version string) string {
		return d.debPackage("fleet-osquery", version, "", map[string]string{"opt/orbit/bin/orbit/orbit": "#!/bin/sh\n",
			"DEBIAN/postrm": "#!/bin/sh\n[ $1 != remove ] || rm -rf /opt/orbit\n"})
	}
	expect := func(step, wantOsquery, wantOrbit string) {
		t.Helper()
		if got := d.Read(osqueryList); got != wantOsquery {
			t.Fatalf("%s: osquery's list has %q, expected %q", step, got, wantOsquery)
		}
		if got := d.Read(orbitList); got != wantOrbit {
			t.Fatalf("%s: orbit's list has %q, expected %q", step, got, wantOrbit)
		}
	}
	const line = extension + "\n"
	d.install(older)
	expect("neither", none, none)
	d.run("-i", osquery("5.0"))
	expect("osquery came", line, none)
	d.Write(osqueryList, "/opt/a.ext\n")
	d.run("-i", osquery("5.1"))
	expect("the line was taken out by hand, then osquery upgraded", "/opt/a.ext\n", none)
	d.run("-i", orbit("1.0"))
	expect("orbit came", "/opt/a.ext\n", line)
	d.run("--remove", "fleet-osquery")
	expect("orbit went", "/opt/a.ext\n", none)
	d.run("-i", orbit("1.1"))
	expect("orbit came again", "/opt/a.ext\n", line)
	d.Folder("srv/osquery")
	d.install(newer)
	expect("upgrade", "/opt/a.ext\n", line)
	d.remove()
	expect("removed", "/opt/a.ext\n", none)
	d.run("-i", osquery("5.2"))
	expect("osquery upgraded without us", "/opt/a.ext\n", none)

	// Both in one run of dpkg, in each order.
	d.run("--purge", "osquery", "fleet-osquery")
	d.Remove("etc/osquery")
	d.run("-i", osquery("5.3"), file(newer, ".deb"))
	expect("osquery first", line, none)
	d.run("--purge", "osquery", "kernel-routes")
	d.Remove("etc/osquery")
	d.run("-i", file(newer, ".deb"), osquery("5.3"))
	expect("osquery last", line, none)
	// A trigger that fails does not spoil osquery's installation.
	d.run("--purge", "osquery", "kernel-routes")
	d.Remove("etc/osquery")
	d.install(newer)
	d.Folder(osqueryList)
	if out := d.run("-i", osquery("5.4")); !strings.Contains(out, "is not a file") {
		t.Errorf("says %s", out)
	}
	if got := d.installed(); got != newer {
		t.Errorf("after a trigger that failed: %s", got)
	}
}

// TestDebFailures: what dpkg begins and cannot end leaves the lists as they are to be.
func TestDebFailures(t *testing.T) {
	t.Parallel()
	needDpkg(t)
	if !insideWith(t, ".deb") {
		return
	}
	const before, after = "/opt/a.ext", "/opt/a.ext\n" + extension + "\n"
	d := newDpkg(t)
	d.Folder("etc/osquery")
	expect := func(step, version, want string) {
		t.Helper()
		if got := d.installed(); got != version {
			t.Fatalf("%s: %s, expected %s", step, got, version)
		}
		if got := d.Read(osqueryList); got != want {
			t.Fatalf("%s: the list has %q, expected %q", step, got, want)
		}
	}
	d.Write(osqueryList, before)
	umount := d.Tmpfs("etc/osquery", "mode=0755,size=16k")
	d.Write(osqueryList, before)
	fill(t, d.Root, "etc/osquery")
	out, code := d.try("-i", file(older, ".deb"))
	if code == 0 || !strings.Contains(out, "No space left") || !strings.Contains(out, registerer) {
		t.Errorf("disk full: status %d: %s", code, out)
	}
	expect("disk full", "half-configured", before)
	d.Remove("etc/osquery/filling")
	d.run("--configure", "-a")
	expect("there is room", older, after)
	fill(t, d.Root, "etc/osquery")
	d.install(newer)
	expect("upgrade on a full disk", newer, after)
	d.remove()
	expect("removal on a full disk", "", after)
	umount()

	d.install(older)
	expect("install", older, after)
	fails := "#!/bin/sh\nexit 1\n"
	script := map[string]string{"DEBIAN/preinst": fails}
	if out, code := d.try("-i", d.debPackage("kernel-routes", "2.0", "", script)); code == 0 {
		t.Errorf("a preinst that fails did not: %s", out)
	}
	expect("upgrade failed", older, after)
	other := d.debPackage("rival", "1", "Conflicts: kernel-routes\nReplaces: kernel-routes\n", script)
	if out, code := d.try("--force-conflicts", "--auto-deconfigure", "-B", "-i", other); code == 0 {
		t.Errorf("a preinst that fails did not: %s", out)
	}
	expect("removal in favour of another failed", older, after)
	d.Write(osqueryList, before)
	d.run("--unpack", file(newer, ".deb"))
	d.run("--configure", "kernel-routes")
	expect("the line was taken out by hand", newer, before)
	d.remove()
	expect("removed", "", before)
	if left := slices.Sorted(func(yield func(string) bool) {
		for path := range d.Tree(dpkgState) {
			if strings.Contains(path, "kernel") && !yield(path) {
				return
			}
		}
	}); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
}

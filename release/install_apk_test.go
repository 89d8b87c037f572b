//go:build linux

package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/roottest"
)

// An apk is a root directory with a package. Debian has no apk-tools: what these do with a package's files and
// scripts is done here. (apk_db_install_file, apk_ipkg_run_script: a script is a file that is run, in the
// package's root directory, with the version, and on an upgrade with that of before.)
type apk struct {
	t *testing.T
	*roottest.Root
	now *apkPackage // what is installed
}

func newApk(t *testing.T) *apk {
	t.Helper()
	a := &apk{t: t, Root: roottest.New(t, roottest.Busybox)}
	a.Write("usr/lib/libc.musl.so", "") // another package has the folder too
	return a
}

// An apkPackage is what a file has.
type apkPackage struct {
	version string
	depends []string
	scripts map[string]string
	files   []*tar.Header // in the order of the file
	texts   map[string][]byte
}

// readApk reads a package: gzip streams of tar archives, of which only the last one has an end.
func readApk(t *testing.T, name string) *apkPackage {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	in := bufio.NewReader(file)
	p := &apkPackage{scripts: map[string]string{}, texts: map[string][]byte{}}
	z, err := gzip.NewReader(in)
	for ; err == nil; err = z.Reset(in) {
		z.Multistream(false)
		archive := tar.NewReader(z)
		for {
			h, err := archive.Next()
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			text, err := io.ReadAll(archive)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, h.Name, err)
			}
			p.add(h, text)
		}
		if _, err := io.Copy(io.Discard, z); err != nil {
			t.Fatal(err)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatalf("%s: %v", name, err)
	}
	return p
}

func (p *apkPackage) add(h *tar.Header, text []byte) {
	switch {
	case h.Name == ".PKGINFO":
		for line := range strings.Lines(string(text)) {
			switch name, value, _ := strings.Cut(strings.TrimSpace(line), " = "); name {
			case "pkgver":
				p.version = value
			case "depend":
				p.depends = append(p.depends, value)
			}
		}
	case strings.HasPrefix(h.Name, "."):
		p.scripts[strings.TrimPrefix(h.Name, ".")] = string(text)
	default:
		p.files = append(p.files, h)
		p.texts[h.Name] = text
	}
}

// script runs a script, if the package has it.
func (a *apk) script(p *apkPackage, name string, args ...string) string {
	a.t.Helper()
	text, found := p.scripts[name]
	if !found {
		return ""
	}
	path := "/lib/apk/exec/kernel-routes-" + p.version + "." + name
	a.Write(path, text)
	if err := os.Chmod(a.Path(path), 0o755); err != nil {
		a.t.Fatal(err)
	}
	defer a.Remove("usr/lib/apk")
	return run(a.t, a.Root, path, args...)
}

func (a *apk) install(version string) string {
	a.t.Helper()
	p := readApk(a.t, file(version, ".apk"))
	if a.now == nil {
		a.script(p, "pre-install", p.version)
		a.unpack(p)
		a.now = p
		return a.script(p, "post-install", p.version)
	}
	before := a.now
	a.script(p, "pre-upgrade", p.version, before.version)
	a.unpack(p)
	a.now = p
	return a.script(p, "post-upgrade", p.version, before.version)
}

func (a *apk) unpack(p *apkPackage) {
	a.t.Helper()
	for _, h := range p.files {
		if h.Uid != 0 || h.Gid != 0 || h.FileInfo().Mode()&0o022 != 0 && h.Typeflag != tar.TypeSymlink {
			a.t.Errorf("%s is of %d:%d with mode %o", h.Name, h.Uid, h.Gid, h.Mode)
		}
		path := a.Path(h.Name)
		var err error
		switch h.Typeflag {
		case tar.TypeDir:
			a.Folder(h.Name)
		case tar.TypeSymlink:
			a.Link(h.Name, h.Linkname)
		case tar.TypeReg:
			if err = os.WriteFile(path+".new", p.texts[h.Name], 0o600); err == nil {
				err = errors.Join(os.Chmod(path+".new", h.FileInfo().Mode()), os.Rename(path+".new", path))
			}
		default:
			a.t.Errorf("%s is of type %q", h.Name, h.Typeflag)
		}
		if err != nil {
			a.t.Fatal(err)
		}
	}
}

func (a *apk) remove() string {
	a.t.Helper()
	out := a.script(a.now, "pre-deinstall", a.now.version)
	for _, h := range slices.Backward(a.now.files) {
		err := os.Remove(a.Path(h.Name))
		if err != nil && (h.Typeflag != tar.TypeDir || errors.Is(err, fs.ErrNotExist)) {
			a.t.Error(err)
		}
	}
	out += a.script(a.now, "post-deinstall", a.now.version)
	a.now = nil
	return out
}

func (a *apk) installed() string {
	if a.now == nil {
		return ""
	}
	version, _, _ := strings.Cut(a.now.version, "-r")
	return version
}

func TestApk(t *testing.T) {
	t.Parallel()
	roottest.Need(t, "busybox-static", "busybox")
	if !insideWith(t, ".apk") {
		return
	}
	for n, s := range situations {
		if testing.Short() && n != 2 {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			a := newApk(t)
			tryLife(t, a.Root, a, s)
		})
	}
	a := newApk(t)
	a.Folder("opt/orbit")
	a.install(older)
	a.Remove(orbitList)
	a.Folder("etc/osquery")
	a.install(newer)
	if got := a.Read(orbitList); got != none {
		t.Errorf("the list was removed by hand: %q", got)
	}
	if got := a.Read(osqueryList); got != extension+"\n" {
		t.Errorf("osquery came before the upgrade: %q", got)
	}
	tryAnswers(t, a.Root, newer)
	if want := []string{"/bin/sh"}; !slices.Equal(a.now.depends, want) { // which busybox provides
		t.Errorf("it needs %q, expected %q", a.now.depends, want)
	}
}

// TestScripts reads the scripts by each shell, and by shellcheck.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("scripts/*.sh")
	if err != nil || len(scripts) != 3 {
		t.Fatalf("%q, %v", scripts, err)
	}
	for _, shell := range []struct {
		pkg  string
		line []string
	}{
		{"dash", []string{"dash", "-n"}}, {"bash", []string{"bash", "--posix", "-n"}},
		{"busybox-static", []string{"busybox", "ash", "-n"}}, {"shellcheck", []string{"shellcheck", "--shell=dash"}},
	} {
		t.Run(shell.pkg, func(t *testing.T) {
			roottest.Need(t, shell.pkg, shell.line[0])
			for _, script := range scripts {
				path, err := filepath.Abs(script)
				if err != nil {
					t.Fatal(err)
				}
				if out, code := status(t, nil, shell.line[0], append(shell.line[1:], path)...); code != 0 || out != "" {
					t.Errorf("%s: status %d: %s", script, code, out)
				}
			}
		})
	}
}

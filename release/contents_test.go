package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/needtest"
)

var update = flag.Bool("update", false, "write what packages have to testdata/contents.txt")

const tested = "1.0.0"

// TestContents compares what is in packages and archives, with owners and modes, with testdata/contents.txt.
func TestContents(t *testing.T) {
	var lines []string
	for _, ending := range []string{".deb", ".rpm", ".apk", ".tar.gz"} {
		t.Run(ending[1:], func(t *testing.T) {
			list, docs := contents(t, ending)
			checkDocs(t, docs)
			for _, line := range list {
				lines = append(lines, ending+" "+line)
			}
		})
	}
	if t.Failed() {
		return
	}
	want, err := os.ReadFile("testdata/contents.txt")
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := write("testdata/contents.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if err != nil {
		t.Fatal(err)
	} else {
		for _, line := range lines {
			if !slices.Contains(strings.Split(string(want), "\n"), line) {
				t.Errorf("it is not to have %s", line)
			}
		}
		for _, line := range strings.Split(strings.TrimSpace(string(want)), "\n") {
			ending, _, _ := strings.Cut(line, " ")
			if !slices.Contains(lines, line) && slices.ContainsFunc(lines, func(l string) bool {
				return strings.HasPrefix(l, ending+" ")
			}) {
				t.Errorf("it is to have %s", line)
			}
		}
	}
}

// documents are the folders of documents and manual pages.
var documents = []string{"/usr/share/doc/kernel-routes/docs/", "/usr/share/man/", "/usr/share/doc/kernel-routes/packs/",
	"docs/", "man/", "packs/"}

// contents lists what a package has, but for documents and manual pages, which it lists without their folder.
func contents(t *testing.T, ending string) (list []string, docs map[string]int64) {
	t.Helper()
	docs = map[string]int64{}
	top := fmt.Sprintf("kernel-routes-%s-linux-", tested)
	for _, h := range entries(t, ending) {
		name := "/" + strings.Trim(strings.TrimPrefix(h.Name, "./"), "/")
		if dir, rest, ok := strings.Cut(name[1:], "/"); ok && strings.HasPrefix(dir, top) {
			name = rest
		}
		mode := fs.FileMode(h.Mode).Perm()
		if h.Typeflag != tar.TypeSymlink && mode&0o022 != 0 {
			t.Errorf("%s can be written by others: %s", name, mode)
		}
		if !h.ModTime.Equal(time.Unix(1767323045, 0)) && h.Name != ".PKGINFO" {
			t.Errorf("%s is of %s", name, h.ModTime)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "root" && h.Uname != "" || h.Gname != "root" && h.Gname != "" {
			t.Errorf("%s belongs to %d:%d, %q:%q", name, h.Uid, h.Gid, h.Uname, h.Gname)
		}
		for _, dir := range documents {
			if strings.HasPrefix(name, dir) && h.Typeflag == tar.TypeReg {
				docs[path.Base(path.Dir(name))+"/"+path.Base(name)] = h.Mode
				name = ""
			}
		}
		switch {
		case name == "" || h.Typeflag == tar.TypeDir && strings.HasPrefix(name, "/usr/share/doc/kernel-routes/docs"):
		case h.Typeflag == tar.TypeDir:
			list = append(list, fmt.Sprintf("d %o %s", mode, name))
		case h.Typeflag == tar.TypeSymlink:
			list = append(list, fmt.Sprintf("l %s -> %s", name, h.Linkname))
		default:
			list = append(list, fmt.Sprintf("- %o %s", mode, name))
		}
	}
	slices.Sort(list)
	return list, docs
}

// checkDocs makes sure that every document and manual page of the repository is there, and no test of them.
func checkDocs(t *testing.T, docs map[string]int64) {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for name := range docs {
		if path.Ext(name) == ".go" {
			t.Errorf("it has %s, which is no document", name)
		}
	}
	err = filepath.WalkDir(filepath.Join(root, "docs"), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(file) == ".go" {
			return err
		}
		name := path.Base(path.Dir(file)) + "/" + d.Name()
		if dir, page, _ := strings.Cut(name, "/"); dir == "man" {
			name = "man" + page[strings.LastIndex(page, ".")+1:] + "/" + page + ".gz"
		}
		if _, ok := docs[name]; ok != (path.Ext(file) != ".go") {
			t.Errorf("%s: that it is there is %t", file, ok)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// entries returns what a package has, as headers of tar.
func entries(t *testing.T, ending string) []*tar.Header {
	t.Helper()
	file := packaged(t, tested, ending)
	switch ending {
	case ".deb":
		needtest.Program(t, "dpkg-deb")
		out, err := exec.Command("dpkg-deb", "--fsys-tarfile", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		return tarred(t, bytes.NewReader(out))
	case ".rpm":
		needtest.Program(t, "rpm")
		return inRpm(t, file)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f) // of all of an apk's three parts
	if err != nil {
		t.Fatal(err)
	}
	return tarred(t, z)
}

func tarred(t *testing.T, r io.Reader) (list []*tar.Header) {
	t.Helper()
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, h)
	}
}

func inRpm(t *testing.T, file string) (list []*tar.Header) {
	t.Helper()
	const format = "[%{FILEMODES} %{FILEMTIMES} %{FILEUSERNAME} %{FILEGROUPNAME} %{FILENAMES} %{FILELINKTOS}\n]"
	out, err := exec.Command("rpm", "-qp", "--qf", format, file).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		h, mode, seconds := &tar.Header{}, 0, int64(0)
		fmt.Sscan(line, &mode, &seconds, &h.Uname, &h.Gname, &h.Name, &h.Linkname)
		h.Mode, h.ModTime, h.Typeflag = int64(mode&0o7777), time.Unix(seconds, 0), tar.TypeReg
		switch mode & 0o170000 {
		case 0o040000:
			h.Typeflag = tar.TypeDir
		case 0o120000:
			h.Typeflag = tar.TypeSymlink
		}
		list = append(list, h)
	}
	return list
}

// TestDebFields checks what dpkg knows of the package, and what lintian thinks of it, where it is installed.
func TestDebFields(t *testing.T) {
	needtest.Program(t, "dpkg-deb")
	file := packaged(t, tested, ".deb")
	for field, want := range map[string]string{
		"Package": "kernel-routes", "Version": "1.0.0-1", "Maintainer": maintainer, "Section": "net",
		"Suggests": "osquery", "Depends": "",
	} {
		out, err := exec.Command("dpkg-deb", "--field", file, field).Output()
		if got := strings.TrimSpace(string(out)); err != nil || got != want {
			t.Errorf("%s is %q, expected %q (%v)", field, got, want, err)
		}
	}
	if _, err := exec.LookPath("lintian"); err == nil {
		if out, err := exec.Command("lintian", "--fail-on", "error,warning", file).CombinedOutput(); err != nil {
			t.Errorf("lintian: %v\n%s", err, out)
		}
	}
}

// TestApkFields: each line of .PKGINFO is a field, as apk reads it.
func TestApkFields(t *testing.T) {
	needtest.Program(t, "tar")
	file := packaged(t, tested, ".apk")
	out, err := exec.Command("tar", "-xzOf", file, "--occurrence=1", ".PKGINFO").Output()
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " = ")
		if line != "\n" && (!ok || strings.ContainsAny(name, " \t")) {
			t.Errorf("%q is no field", line)
		}
		fields[name] = value
	}
	for name, want := range map[string]string{"pkgname": "kernel-routes", "pkgver": "1.0.0-r1", "pkgdesc": summary,
		"maintainer": maintainer, "license": "Apache-2.0"} {
		if fields[name] != want {
			t.Errorf("%s is %q, expected %q", name, fields[name], want)
		}
	}
	if len(fields["datahash"]) != 64 || fields["arch"] == "" || fields["size"] == "" {
		t.Errorf("%v", fields)
	}
}

func TestRpmFields(t *testing.T) {
	needtest.Program(t, "rpm")
	out, err := exec.Command("rpm", "-qp", "--qf",
		"%{NAME}|%{VERSION}|%{RELEASE}|%{LICENSE}|%{BUILDHOST}|%{BUILDTIME}|%{PACKAGER}|%{SUMMARY}",
		packaged(t, tested, ".rpm")).Output()
	want := "kernel-routes|1.0.0|1|Apache-2.0|localhost|" + testDate + "|" + maintainer +
		"|Routing state of the Linux kernel as SQL tables, for osquery"
	if err != nil || string(out) != want {
		t.Errorf("%s, expected %s (%v)", out, want, err)
	}
	needed, err := exec.Command("rpm", "-qp", "--requires", packaged(t, tested, ".rpm")).Output()
	if err != nil || strings.Join(strings.Fields(string(needed)), " ") != "/bin/sh coreutils grep sed" {
		t.Errorf("it needs %s, %v", needed, err)
	}
	licences, err := exec.Command("rpm", "-qp", "--licensefiles", packaged(t, tested, ".rpm")).Output()
	if err != nil || strings.Count(string(licences), "/usr/share/licenses/kernel-routes/") != 2 {
		t.Errorf("licences: %s, %v", licences, err)
	}
}

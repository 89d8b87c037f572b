//go:build linux

package roottest

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// programs are files that were copied for a root directory, by where they come from: others have links.
var programs = map[string]string{}

// Add copies programs of this machine, and the libraries that they are linked with, into the root directory.
func (r *Root) Add(names ...string) {
	r.t.Helper()
	var paths []string
	for _, name := range names {
		path, err := find(name)
		if err != nil {
			r.t.Fatalf("%s is missing: %v", name, err)
		}
		r.copy(path, "usr/bin/"+name)
		paths = append(paths, path)
	}
	// ldd says of a static program that it is not a dynamic one, and fails.
	out, _ := exec.Command("ldd", paths...).CombinedOutput()
	for _, lib := range library.FindAllStringSubmatch(string(out), -1) {
		path := lib[1]
		to := path
		if !strings.HasPrefix(path, "/usr/") {
			to = "/usr" + path
		}
		r.copy(path, to)
	}
}

// library is a path in what ldd prints.
var library = regexp.MustCompile(`(/\S+) \(0x`)

func (r *Root) copy(from, to string) {
	r.t.Helper()
	r.Folder(filepath.Dir(to))
	to = r.Path(to)
	if _, err := os.Lstat(to); err == nil {
		return
	}
	if programs[from] == "" {
		copied, err := copyFile(from)
		if err != nil {
			r.t.Fatal(err)
		}
		programs[from] = copied
	}
	if err := os.Link(programs[from], to); err != nil {
		r.t.Fatal(err)
	}
}

// copyFile copies a program to a file of its own.
func copyFile(from string) (path string, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := os.CreateTemp("", filepath.Base(from))
	if err != nil {
		return "", err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return "", err
	}
	if err := out.Chmod(0o755); err != nil {
		return "", err
	}
	return out.Name(), out.Close()
}

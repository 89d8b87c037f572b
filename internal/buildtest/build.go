// Package buildtest builds the program for tests that run it.
package buildtest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Built names the variable of the environment that has the path of the program where it was built
// before: where tests run without Go, in machines of internal/vmtest.
const Built = "KERNEL_ROUTES_TEST_PROGRAM"

// folder is where the program was built, "" if it was not.
var folder string

// build builds the program once, as it is shipped.
var build = sync.OnceValues(func() (string, error) {
	if file := os.Getenv(Built); file != "" {
		return file, nil
	}
	dir, err := os.MkdirTemp("", "kernelroutes")
	if err != nil {
		return "", err
	}
	folder = dir
	if err := lookAtSources(); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "kernel_routes.ext")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", file, "kernelroutes")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return file, nil
})

// lookAtSources looks at the folders of the module, so that go test, which knows what a test has looked at,
// runs it again when the program has changed: it does not know that the test builds one.
func lookAtSources() error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	for ; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return errors.New("no folder above this one has a go.mod")
		}
	}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := filepath.Base(path)
		if err == nil && d.IsDir() && path != root &&
			(name[0] == '.' || name == "testdata" || name == "dist" || name == "docs") {
			return filepath.SkipDir
		}
		return err
	})
}

// Program returns the path of the built program, which is there until Remove.
func Program(t testing.TB) string {
	t.Helper()
	file, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Remove removes what was built, when all tests of a package have run.
func Remove() { os.RemoveAll(folder) }

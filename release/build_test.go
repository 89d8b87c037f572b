package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// built are the releases that tests have asked for, by version.
var built struct {
	sync.Mutex
	dir      string
	versions map[string]error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(status)
}

// packages returns the folder of a release of a version for this machine's architecture, which is
// built once. Nobody is to write there.
func packages(t *testing.T, version string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "kernel-routes-packages")
		if err != nil {
			t.Fatal(err)
		}
		built.dir, built.versions = dir, map[string]error{}
	}
	to := filepath.Join(built.dir, version)
	err, done := built.versions[version]
	if !done {
		err = release(options{Arches: []string{runtime.GOARCH}, To: to, Version: version, Date: testDate, Quiet: true})
		built.versions[version] = err
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// testDate is when what tests build was committed: 2026-01-02 03:04:05.
const testDate = "1767323045"

// packaged returns the only file of a release with such an ending, as ".deb".
func packaged(t *testing.T, version, ending string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(packages(t, version), "*"+ending))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %v, %v, expected one file", ending, files, err)
	}
	return files[0]
}

func TestPackages(t *testing.T) {
	for _, version := range []string{"1.0.0", "1.1.0"} { // which others ask for too
		for _, ending := range []string{".deb", ".rpm", ".apk"} {
			name := filepath.Base(packaged(t, version, ending))
			if want := "kernel-routes"; !strings.HasPrefix(name, want) || !strings.Contains(name, version) {
				t.Errorf("%s is to be named by program and version %s", name, version)
			}
		}
	}
}

//go:build linux

// Package docs tries what the pages about osquery and Fleet show: the files in examples.
package docs

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/nstest"
)

var update = flag.Bool("update", false, "write the files of examples into the pages that show them")

func TestMain(m *testing.M) { nstest.Main(m, buildtest.Remove) }

// extensionPath is where packages install the extension.
const extensionPath = "/usr/lib/osquery/extensions/kernel_routes.ext"

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// examples returns the files below examples, as paths from here.
func examples(t *testing.T) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir("examples", func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) < 15 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	return files
}

// lines returns the lines of a text that are neither empty nor comments.
func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			all = append(all, line)
		}
	}
	return all
}

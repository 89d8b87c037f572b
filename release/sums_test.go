package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestModes: what a builder with a umask of 077 has made can be published, too.
func TestModes(t *testing.T) {
	dir := t.TempDir()
	want := map[string]os.FileMode{"a.ext": 0o755, "a.deb": 0o644, "a.tar.gz": 0o644, sumsFile: 0o644}
	for name := range want {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := sums(dir); err != nil {
		t.Fatal(err)
	}
	for name, mode := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != mode {
			t.Errorf("%s has %v, expected %v", name, info.Mode(), mode)
		}
	}
}

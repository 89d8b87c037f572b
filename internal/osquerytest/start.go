package osquerytest

import (
	"os"
	"testing"
)

// Start starts a manager for a test, with which it ends.
func Start(t testing.TB) *Manager {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "kr") // TMPDIR and t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m, err := New(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

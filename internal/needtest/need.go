// Package needtest is for tests that need what a machine may lack: they are skipped where it is
// missing, and fail in CI, which has everything.
package needtest

import (
	"os"
	"os/exec"
	"testing"
)

// Missing ends a test that cannot run, and says what is missing.
func Missing(t testing.TB, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// Program returns the path of a program that the test needs.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, "%s is not installed", name)
	}
	return path
}

//go:build linux

package roottest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestInside: what a test does as root is done to nothing but its own folder.
func TestInside(t *testing.T) {
	if !Inside(t, "KERNEL_ROUTES_TEST_GIVEN=yes") {
		return
	}
	if os.Getuid() != 0 || os.Getpid() != 1 || os.Getenv("KERNEL_ROUTES_TEST_GIVEN") != "yes" {
		t.Errorf("user %d, process %d, environment %q", os.Getuid(), os.Getpid(), os.Environ())
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"/", "/etc", "/var/tmp", here, filepath.Dir(os.TempDir())} {
		if err := os.WriteFile(filepath.Join(dir, "kernel-routes-test"), nil, 0o644); !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s can be written: %v", dir, err)
		}
	}
	r := New(t, Dash)
	const script = "echo $WORD >/etc/word; cat /etc/word; exit 3"
	if out, status := r.Run([]string{"WORD=given"}, "/bin/sh", "-c", script); out != "given\n" || status != 3 {
		t.Errorf("status %d: %q", status, out)
	}
	if got := r.Read("etc/word"); got != "given\n" {
		t.Errorf("the root directory has %q", got)
	}
}

// TestTree: what is different is told.
func TestTree(t *testing.T) {
	if !Inside(t) {
		return
	}
	r := New(t, Dash)
	r.Write("etc/same", "same")
	r.Write("etc/text", "before")
	r.Write("etc/mode", "same")
	r.Write("etc/gone", "")
	r.Link("etc/link", "same")
	before := r.Tree("usr")
	if err := os.Chmod(r.Path("etc/mode"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.Write("etc/text", "after!")
	r.Remove("etc/gone")
	r.Link("etc/link", "text")
	r.Folder("etc/new")
	r.Folder("usr/new")
	got := Differences(before, r.Tree("usr"))
	for _, want := range []string{"text was", "mode was", "gone is gone", "link was", "new is new"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not told", want)
		}
	}
	if n := strings.Count(got, "\n"); n != 5 {
		t.Errorf("%d differences:\n%s", n, got)
	}
}

//go:build linux

// Package roottest makes root directories that packages can be installed in, by an ordinary user and
// without a trace on the machine: in user and mount namespaces in which all of the machine is read-only.
package roottest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/needtest"
)

// inside is set in the environment of the process that runs a test in namespaces, to the one place that
// it may write to.
const inside = "KERNEL_ROUTES_TEST_ROOTS"

// IsInside reports whether this process is in the namespaces.
func IsInside() bool { return os.Getenv(inside) != "" }

// Inside reports whether the test runs in namespaces of its own, where it is root and can write nowhere
// but to TMPDIR. Where it does not, it is run there, with the environment, and has ended when this returns.
func Inside(t *testing.T, env ...string) bool {
	t.Helper()
	if IsInside() {
		if err := settle(os.Getenv(inside)); err != nil {
			t.Fatal(err)
		}
		return true
	}
	dir := t.TempDir()
	args := []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.count=1"}
	if testing.Short() {
		args = append(args, "-test.short")
	}
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(append(os.Environ(), env...), inside+"="+dir, "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID |
			syscall.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil && strings.Contains(string(out), "\n--- SKIP: "+t.Name()):
		t.Skip(string(out))
	case err != nil || !strings.Contains(string(out), "\n--- PASS: "+t.Name()):
		t.Errorf("in namespaces (which must be allowed: CONTRIBUTING.md): %v\n%s", err, out)
	case testing.Verbose():
		t.Logf("in namespaces:\n%s", out)
	}
	return false
}

// settled is whether settle was called, which the tests of one process do once.
var settled bool

// settle makes all that is mounted read-only, and the folder a file system of its own.
func settle(dir string) error {
	if settled {
		return nil
	}
	settled = true
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return &os.PathError{Op: "make private", Path: "/", Err: err}
	}
	readOnly := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(-1, "/", unix.AT_RECURSIVE, readOnly); err != nil { // Linux 5.12
		return &os.PathError{Op: "make read-only", Path: "/", Err: err}
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755"); err != nil {
		return &os.PathError{Op: "mount a tmpfs", Path: dir, Err: err}
	}
	return nil
}

// Need skips a test that has not the programs of a package here, but where CI has set CI=true: there
// the test fails.
func Need(t *testing.T, pkg string, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := find(p); err == nil {
			continue
		}
		needtest.Missing(t, "%s is missing: install the package %s", p, pkg)
	}
}

// find looks for a program where an ordinary user's PATH may not lead.
func find(program string) (string, error) {
	if path, err := exec.LookPath(program); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"} {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

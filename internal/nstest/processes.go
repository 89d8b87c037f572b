//go:build linux

package nstest

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// SeesAllProcesses reports whether the test runs where all processes can be seen: in a PID
// namespace of its own. Where it does not, it is run there, and has ended when this returns.
func SeesAllProcesses(t *testing.T) bool {
	t.Helper()
	const inside = "KERNEL_ROUTES_TEST_PID_NAMESPACE"
	if os.Getenv(inside) == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS}
		out, err := cmd.CombinedOutput()
		switch {
		case strings.Contains(string(out), "--- SKIP"):
			t.Skip("procfs cannot be mounted in a user namespace here: " + string(out))
		case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
			t.Fatalf("%v\n%s", err, out)
		}
		return false
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		t.Skipf("mount procfs: %v", err)
	}
	return true
}

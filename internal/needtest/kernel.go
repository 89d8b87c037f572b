package needtest

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Machine is set in the environment of a machine whose kernel has all its modules, with the ip of
// its time: internal/vmtest starts such. There nothing may be missing that Linux has had since its
// kernel's release.
const Machine = "KERNEL_ROUTES_TEST_MACHINE"

// Kernel ends a test, if there is an error: it needs something that the kernel, or its ip, turned
// out to lack when it was tried. Linux has it since a release, as "5.13"; "" for what no kernel is
// expected to have.
func Kernel(t testing.TB, what, since string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if release, ok := expected(since); ok {
		t.Fatalf("Linux %s should have %s, which there is since %s, and has all its modules: %v", release, what, since,
			err)
	}
	t.Skipf("this kernel, or its ip, lacks %s: %v", what, err)
}

// expected reports whether the kernel must have what Linux has since a release.
func expected(since string) (release string, ok bool) {
	if os.Getenv(Machine) == "" || since == "" {
		return "", false
	}
	release, err := Release()
	if err != nil {
		return err.Error(), true
	}
	return release, !Older(release, since)
}

// Release returns the kernel's release, as "6.1.0-50-amd64".
func Release() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	return strings.TrimSpace(string(b)), err
}

// Older reports whether a release comes before another, by their first two numbers.
func Older(release, than string) bool {
	var a, b [2]int
	fmt.Sscanf(release, "%d.%d", &a[0], &a[1])
	fmt.Sscanf(than, "%d.%d", &b[0], &b[1])
	return a[0] < b[0] || a[0] == b[0] && a[1] < b[1]
}

package conn

import (
	"strings"
	"syscall"
	"testing"
)

// TestTooManyFiles: where there are too many open files that is what to mend, whatever was being done.
func TestTooManyFiles(t *testing.T) {
	e := &ReadError{Op: "find network namespaces", Err: syscall.EMFILE, Remedy: "check that /proc is mounted"}
	if s := e.Error(); !strings.HasSuffix(s, "; raise the limit of open files (ulimit -n, LimitNOFILE of a unit)") {
		t.Error(s)
	}
}

//go:build linux

package nstest

import (
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
)

// A Lasting is a process of ip, which makes a change for each line that it is given, and goes on
// until the test ends: who ends at once may not be found by its id.
type Lasting struct {
	*exec.Cmd
	in io.WriteCloser
}

// Last starts ip, in new namespaces (CLONE_NEW...) if any are named.
func Last(t testing.TB, namespaces uintptr) *Lasting {
	t.Helper()
	l := &Lasting{Cmd: exec.Command("ip", "-batch", "-")}
	l.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	l.Stderr = os.Stderr
	var err error
	if l.in, err = l.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.in.Close()
		if err := l.Wait(); err != nil {
			t.Errorf("ip -batch: %v", err)
		}
	})
	return l
}

// Change has it make a change.
func (l *Lasting) Change(t testing.TB, line string) {
	t.Helper()
	if _, err := io.WriteString(l.in, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

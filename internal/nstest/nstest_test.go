//go:build linux

package nstest

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { Main(m) }

// TestNoRights is a user namespace without capabilities, as AppArmor makes them.
func TestNoRights(t *testing.T) {
	check := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine, without capabilities
		none := make([]unix.CapUserData, 2)
		if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
			t.Error(err)
		}
		check <- checkRights()
	}()
	if err := <-check; !errors.Is(err, unix.EPERM) {
		t.Errorf("got %v, want EPERM", err)
	}
}

// TestNoNames: what this host calls a table is nothing to the tests.
func TestNoNames(t *testing.T) {
	for _, folder := range nameFolders {
		if files, err := os.ReadDir(folder); len(files) > 0 || err != nil && !os.IsNotExist(err) {
			t.Errorf("%s has %d files, %v", folder, len(files), err)
		}
	}
}

// TestNew is in a namespace with nothing but the loopback interface.
func TestNew(t *testing.T) {
	New(t)
	if links := IP(t, "-o link show"); !strings.HasPrefix(links, "1: lo:") || strings.Count(links, "\n") != 1 {
		t.Errorf("got %q", links)
	}
}

//go:build linux

package osquerytest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// TestOwner: osquery's isOwnerRoot and isOwnerCurrentUser, by which safePermissions lets an extension be
// root's or of the user that osquery runs as.
func TestOwner(t *testing.T) {
	for _, test := range []struct {
		owner uint32
		uid   int
		safe  bool
	}{{0, 0, true}, {0, 1000, true}, {1000, 1000, true}, {1000, 0, false}, {1001, 1000, false}, {65534, 0, false}} {
		err := safePermissions(unix.Stat_t{Uid: test.owner, Mode: 0o755}, test.uid)
		if (err == nil) != test.safe {
			t.Errorf("file of user %d, osquery of user %d: %v", test.owner, test.uid, err)
		}
	}
}

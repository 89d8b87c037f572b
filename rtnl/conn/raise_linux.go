package conn

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// raised calls f on a thread with a capability (CAP_...) in effect, if the process may have it: one that
// holds its capabilities back has them in effect for no longer than the call that takes them.
func raised(capability uint, f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	bit := uint32(1) << (capability % 32)
	set := &sets[capability/32]
	if err := unix.Capget(&header, &sets[0]); err != nil || set.Permitted&bit == 0 || set.Effective&bit != 0 {
		return f()
	}
	set.Effective |= bit
	if unix.Capset(&header, &sets[0]) == nil {
		defer func() {
			set.Effective &^= bit
			unix.Capset(&header, &sets[0])
		}()
	}
	return f()
}

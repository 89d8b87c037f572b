package confine

import "golang.org/x/sys/unix"

// See amd64.
const (
	architecture uint32 = unix.AUDIT_ARCH_I386
	cloneFlags          = 0
)

// A new thread sets its thread area.
var own = append(of32bits(), unix.SYS_SELECT, unix.SYS_GETRLIMIT, unix.SYS_SET_THREAD_AREA)

package confine

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// errNotWanted is of a part that would take something away that is needed.
var errNotWanted = errors.New("not wanted")

// parts are what a process is confined by, in the order in which they are applied: Landlock and the
// filter ask for no_new_privs, and behind the filter the others are not possible any more.
func parts(o *Options) []part {
	return []part{
		{noNewPrivs, setNoNewPrivs},
		{capabilities, func() error { return dropCapabilities(o) }},
		{landlock, func() error { return restrictFiles(o) }},
		{seccomp, func() error { return loadFilter(o) }},
	}
}

// setNoNewPrivs has no program that the process would run get more rights than it has itself (Linux 3.5).
func setNoNewPrivs() error {
	if _, _, errno := psx.Syscall6(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0); errno != 0 {
		return os.NewSyscallError("prctl", errno)
	}
	return nil
}

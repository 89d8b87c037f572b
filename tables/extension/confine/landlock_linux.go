package confine

import (
	"errors"
	"fmt"
	"path/filepath"

	ll "github.com/landlock-lsm/go-landlock/landlock"
	rights "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// restrictFiles has the kernel refuse whatever changes a file system, but to make a socket in the folder
// of osquery's and to remove it, and to run a program.
//
// A process in a Landlock domain may not look at any process outside of it either, whatever its
// capabilities (hook_ptrace_access_check in security/landlock/task.c, of each mode): neither at its
// descriptors nor at its namespaces. So it is for an extension that needs neither.
func restrictFiles(o *Options) error {
	if o.Namespaces || o.Authors {
		return errNotWanted
	}
	abi, err := rights.LandlockGetABIVersion()
	if err != nil {
		return err
	}
	if abi < 1 {
		return errors.New("the kernel has none")
	}
	folder := filepath.Dir(o.Socket)
	config := ll.Config{
		HandledAccessFS: rights.AccessFSExecute | rights.AccessFSWriteFile | rights.AccessFSRemoveDir |
			rights.AccessFSRemoveFile | rights.AccessFSMakeChar | rights.AccessFSMakeDir | rights.AccessFSMakeReg |
			rights.AccessFSMakeSock | rights.AccessFSMakeFifo | rights.AccessFSMakeBlock | rights.AccessFSMakeSym |
			rights.AccessFSRefer | rights.AccessFSTruncate | rights.AccessFSIoctlDev | rights.AccessFSResolveUnix,
		HandledAccessNet: rights.AccessNetBindTCP | rights.AccessNetConnectTCP | rights.AccessNetBindUDP |
			rights.AccessNetConnectSendUDP,
		Scoped: rights.ScopeAbstractUnixSocket | rights.ScopeSignal,
	}
	err = config.BestEffort().Restrict(ll.PathAccess(
		rights.AccessFSMakeSock|rights.AccessFSRemoveFile|rights.AccessFSResolveUnix, folder))
	if err != nil {
		return fmt.Errorf("ABI %d: %w", abi, err)
	}
	return nil
}

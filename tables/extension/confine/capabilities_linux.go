package confine

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// errNeedsAll is why capabilities stay where the extension may not look at processes that have more of
// them than it has (cap_ptrace_access_check): without CAP_SYS_PTRACE each that goes hides some.
var errNeedsAll = errors.New("without CAP_SYS_PTRACE the kernel shows it only processes that have no capability " +
	"which it has not itself, so that it keeps those that it has")

// A need is a capability that the extension has a use for.
type need struct {
	value cap.Value
	// onCall: it is in effect only while a thread makes the call that takes it, which raises it
	// (conn.Namespace.Do, conn.Conn.SetReceiveBuffer).
	onCall bool
}

// needs returns the capabilities that have a use.
func needs(o *Options) []need {
	// The receive buffer of a listener, beyond net.core.rmem_max. Nothing else that takes it is
	// done, and as long as it is not in effect the kernel refuses each change of a route.
	all := []need{{cap.NET_ADMIN, true}}
	if o.Namespaces {
		all = append(all, need{cap.SYS_ADMIN, true}) // setns
	}
	if o.Namespaces || o.Authors {
		// To see the namespaces and descriptors of processes with other users or more rights, and to
		// list those of other users.
		all = append(all, need{cap.SYS_PTRACE, false}, need{cap.DAC_READ_SEARCH, false})
	}
	if othersFolder(o.Socket) {
		all = append(all, need{cap.DAC_OVERRIDE, false})
	}
	return all
}

// othersFolder reports whether the process needs a capability to make its socket, or to connect to
// osquery's: with sudo, osqueryi may have it in the home folder of a user.
func othersFolder(socket string) bool {
	const write, search = 0o200, 0o100
	user := os.Geteuid()
	folder := filepath.Dir(socket)
	st, ok := stat(folder)
	if !ok || int(st.Uid) != user || st.Mode&(write|search) != write|search {
		return true
	}
	st, ok = stat(socket)
	return ok && (int(st.Uid) != user || st.Mode&write == 0)
}

func stat(path string) (st syscall.Stat_t, ok bool) {
	return st, syscall.Stat(path, &st) == nil
}

// dropCapabilities gives up all capabilities but those that are needed.
func dropCapabilities(o *Options) error {
	has, err := cap.GetPID(0)
	if err != nil {
		return err
	}
	can := func(v cap.Value) bool { return isOn(has, cap.Permitted, v) }
	if differ, err := has.Cf(cap.NewSet()); err == nil && differ == 0 {
		return nil // it has none
	}
	if (o.Namespaces || o.Authors) && !can(cap.SYS_PTRACE) {
		return errNeedsAll
	}
	keep := cap.NewSet()
	for _, n := range needs(o) {
		if !can(n.value) {
			continue
		}
		if err := keep.SetFlag(cap.Permitted, true, n.value); err != nil {
			return err
		}
		if err := keep.SetFlag(cap.Effective, !n.onCall, n.value); err != nil {
			return err
		}
	}
	if isOn(has, cap.Effective, cap.SETPCAP) { // which goes as well
		dropBound(keep)
	}
	return keep.SetProc() // which takes ambient ones that are not inheritable, as none is
}

// dropBound takes what is not kept out of the bounding set, if it may. What is in it could only be got by
// running a program, and no_new_privs keeps that from giving any.
func dropBound(keep *cap.Set) {
	for v := range cap.MaxBits() {
		if !isOn(keep, cap.Permitted, v) && cap.DropBound(v) != nil {
			return
		}
	}
}

func isOn(set *cap.Set, flag cap.Flag, v cap.Value) bool {
	on, err := set.GetFlag(flag, v)
	return err == nil && on
}

// kept names the capabilities that the process has, those too that are not in effect.
func kept() string {
	has, err := cap.GetPID(0)
	if err != nil {
		return ""
	}
	var names []string
	for v := range cap.MaxBits() {
		if isOn(has, cap.Permitted, v) {
			names = append(names, v.String())
		}
	}
	return strings.Join(names, " ")
}

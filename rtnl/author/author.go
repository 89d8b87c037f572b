// Package author finds out which process asked the kernel for a change that it tells of.
//
// A notification has the netlink port of whoever asked for the change (nlmsg_pid). That of the
// first socket of a process is its process id, in its own PID namespace; that of any other socket
// is a random number; 0 is the kernel itself. Whose socket has a port is in /proc/net/netlink and
// /proc/PID/fd. A process that has ended when it is looked for is not found, and none is ever
// taken for another.
package author

// An Author is a process that has asked for a change, as it was then. It does not change.
type Author struct {
	PID       uint32 // as /proc has it
	ParentPID uint32
	UID       uint32 // the real one, as the user namespace of the reader has it
	Name      string // /proc/PID/comm, as wire.AppendName has it
	Path      string // what /proc/PID/exe leads to; "" if that may not be read
	Cgroup    string // path in /proc/PID/cgroup, of version 2 or of name=systemd; "" for none
}

// A Certainty is how sure it is who the author is.
type Certainty uint8

const (
	// Unknown: the process had ended, may not be looked at, or is not to be seen from here.
	Unknown Certainty = iota
	// Process: the port is the id of a process that holds the socket with that port.
	Process
	// OtherSocket: the port is none of a process, as that of a second socket; the process is
	// the one that holds it.
	OtherSocket
	// OtherNamespace: the port is the id of a process in another PID namespace; the process is
	// the one that holds the socket, by the id that it has here.
	OtherNamespace
	// Kernel: the kernel did it by itself, or was asked by other means than netlink.
	Kernel
)

var certainties = [...]string{"unknown", "process", "other socket", "other namespace", "kernel"}

// String returns unknown, process, other socket, other namespace or kernel.
func (c Certainty) String() string { return certainties[c] }

// ParseCertainty is the inverse of String.
func ParseCertainty(s string) (Certainty, bool) {
	for c, name := range certainties {
		if name == s {
			return Certainty(c), true
		}
	}
	return Unknown, false
}

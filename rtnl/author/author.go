// Package author finds out which process asked the kernel for a change that it tells of.
//
// A notification has the netlink port of whoever asked for the change (nlmsg_pid). That of the
// first socket of a process is its process id, in its own PID namespace (netlink_autobind in
// net/netlink/af_netlink.c); that of any other socket is a random number; 0 is the kernel itself.
// But a program may bind a socket to any number that is free, be it the id of another process. So
// the number proves nothing: the socket that has it is looked for in /proc/net/netlink, and the
// process that holds that socket in /proc/PID/fd. One that has ended, has closed the socket or may
// not be looked at (without root, that of another user) is not known, and none is ever taken for
// another because of a number.
//
// What this cannot see: which of several processes has used a socket that all of them hold (where
// that is seen, none is named); a socket that has got the port since the notification, when the
// one that asked was closed (a process that is not known by its id must have been there for a
// while, as one command after the other in containers has the same id); and a link that is made in
// this namespace from another one, of which the notification has a port of the other one.
//
//	finder_linux.go   Finder: what is known of ports, and for how long
//	process_linux.go  what /proc has of one process
//	search_linux.go   whose socket it is, where the port does not say
//	ports_linux.go    which socket has a port
//	parse.go          the text of /proc
package author

// An Author is a process that has asked for a change, as it was when it was looked at: at once, or
// of one that asks often at most a second before. It does not change.
type Author struct {
	PID       uint32 // as /proc has it
	ParentPID uint32 // the same; 0 if it has none there
	UID       uint32 // the real one, as the user namespace of the reader has it
	// Name is that of the process's first thread, /proc/PID/comm, as wire.AppendName has it. A
	// process may call itself as it likes.
	Name string
	// Path is what /proc/PID/exe leads to, byte by byte, with the " (deleted)" that the kernel
	// writes behind a file that was there; "" if the process was just ending.
	Path string
	// Cgroup is the path in /proc/PID/cgroup, of version 2, or of name=systemd where that has
	// none; "" for none, or if the process had ended before it was read.
	Cgroup string
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

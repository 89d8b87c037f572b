//go:build linux && (386 || s390x)

package confine

import "golang.org/x/sys/unix"

// socketCalls lets socketcall through, by which Go makes all calls about sockets here, for what has a
// rule or is in common too. Its first argument says what is called, with arguments in memory, where a
// filter cannot look: of which family a socket is remains open.
func socketCalls() (all []rule) {
	const ( // linux/net.h
		socket      = 1
		bind        = 2
		connect     = 3
		listen      = 4
		getsockname = 6
		getpeername = 7
		sendto      = 11
		recvfrom    = 12
		shutdown    = 13
		setsockopt  = 14
		getsockopt  = 15
		sendmsg     = 16
		recvmsg     = 17
		accept4     = 18
	)
	for _, call := range []uint32{socket, bind, connect, listen, getsockname, getpeername, sendto, recvfrom, shutdown,
		setsockopt, getsockopt, sendmsg, recvmsg, accept4} {
		all = append(all, when(unix.SYS_SOCKETCALL, way(exactly(0, call))))
	}
	return all
}

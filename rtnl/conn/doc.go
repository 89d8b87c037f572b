// Package conn talks to the kernel over RTNetlink sockets: it sends a request and hands
// on what comes, message by message, with everything that says whether it is whole. It
// does not know what messages mean.
//
//	conn.go        Conn: dumps, single requests, notifications
//	errors.go      what can fail, and what to do
//	namespace*.go  Namespace: where sockets are opened
//	find*.go, closed_linux.go  Namespaces: those that there are
//	dial_*.go      Dial: the kernel's sockets
package conn

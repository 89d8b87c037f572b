package rtnl

import (
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/wire"
)

// A ReadError says what was being read when it failed, and what to do.
type ReadError = conn.ReadError

// A MalformedError tells which bytes could not be decoded.
type MalformedError = wire.MalformedError

// The ways in which reading the kernel's state can fail. errors.Is tells them
// apart; the error itself says what was being done and what to do.
var (
	// ErrSocket: the netlink socket could not be opened or set up.
	ErrSocket = conn.ErrSocket
	// ErrPermission: the kernel or a security module refused.
	ErrPermission = conn.ErrPermission
	// ErrDeaf: changes may not be heard, so that they cannot be watched. What there is can be read.
	ErrDeaf = conn.ErrDeaf
	// ErrNoNamespace: a path stands for no network namespace.
	ErrNoNamespace = conn.ErrNoNamespace
	// ErrInterrupted: the kernel said that a dump is not consistent
	// (NLM_F_DUMP_INTR), or messages were lost, on every try.
	ErrInterrupted = conn.ErrInterrupted
	// ErrTooLarge: a route does not fit into one netlink message, so that the
	// kernel cannot dump it, nor any route that comes after it.
	ErrTooLarge = conn.ErrTooLarge
	// ErrMalformed: bytes that are no netlink message; see MalformedError.
	ErrMalformed = wire.ErrMalformed
	// ErrDeadline: the deadline of the caller's context passed; the error is
	// context.DeadlineExceeded too, and the context's cause.
	ErrDeadline = conn.ErrDeadline
	// ErrCanceled: the caller's context was canceled; the error is context.Canceled
	// too, and the context's cause.
	ErrCanceled = conn.ErrCanceled
	// ErrUnsupported: this system is not Linux, which alone has RTNetlink. It is the
	// standard library's.
	ErrUnsupported = conn.ErrUnsupported
)

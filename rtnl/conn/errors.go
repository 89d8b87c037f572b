package conn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"kernelroutes/rtnl/wire"
)

// The ways in which reading the kernel's state can fail. errors.Is tells them
// apart; the error itself says what was being done and what to do.
var (
	// ErrSocket: the netlink socket could not be opened or set up.
	ErrSocket = errors.New("cannot open the netlink socket")
	// ErrPermission: the kernel or a security module refused.
	ErrPermission = errors.New("not permitted")
	// ErrDeaf: the socket may not hear of changes (bind, and connect or NETLINK_ADD_MEMBERSHIP, are
	// denied). What there is can be read all the same.
	ErrDeaf = errors.New("the kernel's changes cannot be heard")
	// ErrNoNamespace: a path stands for no network namespace.
	ErrNoNamespace = errors.New("no network namespace")
	// ErrInterrupted: the kernel said that a dump is not consistent
	// (NLM_F_DUMP_INTR), or messages were lost, on every try.
	ErrInterrupted = errors.New("dump interrupted")
	// ErrTooLarge: a route does not fit into one netlink message, so that the
	// kernel cannot dump it, nor any route that comes after it.
	ErrTooLarge = errors.New("a route is too large for a netlink message")
	// ErrDeadline: the deadline of the caller's context passed; the error is
	// context.DeadlineExceeded too, and the context's cause.
	ErrDeadline = errors.New("the caller's deadline passed")
	// ErrCanceled: the caller's context was canceled; the error is context.Canceled
	// too, and the context's cause.
	ErrCanceled = errors.New("the caller canceled it")
	// ErrUnsupported: this system is not Linux, which alone has RTNetlink. It is the
	// standard library's.
	ErrUnsupported = errors.ErrUnsupported
)

// A ReadError says what was being read when it failed, and what to do.
type ReadError struct {
	Op     string // "dump routes", "dump links", ...
	Kind   error  // one of the Err values, nil for any other failure
	Err    error  // the cause, if there is another than Kind
	Remedy string // what to do
}

func (e *ReadError) Error() string {
	s := e.Op + ": "
	switch {
	case (e.Kind == ErrDeadline || e.Kind == ErrCanceled) && e.Err != nil:
		s += e.Err.Error() + ": " + e.Kind.Error() // whose fault it is, and not the kernel's, comes first
	case e.Kind != nil && e.Err != nil:
		s += e.Kind.Error() + ": " + e.Err.Error()
	case e.Kind != nil:
		s += e.Kind.Error()
	default:
		s += e.Err.Error()
	}
	switch {
	case errors.Is(e.Err, syscall.EMFILE) && !strings.Contains(e.Remedy, "open files"):
		s += "; raise the limit of open files (ulimit -n, LimitNOFILE of a unit)"
	case e.Remedy != "":
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap gives errors.Is and errors.As both the kind and the cause.
func (e *ReadError) Unwrap() []error {
	var all []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// NewReadError sorts the cause of a failure into a kind and adds the remedy.
func NewReadError(op string, err error) error {
	var done *ReadError
	if errors.As(err, &done) {
		return err
	}
	e := &ReadError{Op: op, Err: err}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Remedy = ErrDeadline, "allow more time, or ask for less: one table, one destination"
	case errors.Is(err, context.Canceled):
		e.Kind, e.Remedy = ErrCanceled, "ask again if the answer is still wanted"
	case errors.Is(err, wire.ErrMalformed):
		e.Kind, e.Remedy = nil, "please report it with the output of the capture command"
	case errors.Is(err, ErrInterrupted):
		e.Kind, e.Err, e.Remedy = ErrInterrupted, nil, "routes change too fast: ask again, or ask for one table"
	case errors.Is(err, ErrTooLarge), errors.Is(err, syscall.EMSGSIZE):
		e.Kind, e.Err = ErrTooLarge, nil
		e.Remedy = "it has more nexthops than 32 KiB hold: put them into a nexthop group and set " +
			"net.ipv4.nexthop_compat_mode=0, or ask for another table"
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		e.Kind, e.Remedy = ErrPermission, permissionRemedy
	}
	return e
}

// Ended is the error of a context that has ended: the cause that the caller gave, and
// which of both ends it was.
func Ended(ctx context.Context) error {
	cause, end := context.Cause(ctx), ctx.Err()
	if errors.Is(cause, end) {
		return cause
	}
	return fmt.Errorf("%w (%w)", cause, end)
}

const permissionRemedy = "reading routes needs no privilege: look for a seccomp or LSM rule that denies AF_NETLINK"

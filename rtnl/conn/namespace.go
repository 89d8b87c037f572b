package conn

import (
	"errors"
	"io/fs"
	"syscall"
)

// A Namespace is a network namespace by the path of a file that stands for it:
// "/run/netns/NAME" for one that ip netns has made, "/proc/PID/ns/net" for that of a
// process. "" is the one that the calling thread is in.
type Namespace string

// failed is the error of a namespace that cannot be entered.
func (ns Namespace) failed(err error) error {
	e := &ReadError{Op: "enter network namespace " + string(ns), Err: err}
	switch {
	case err == ErrNoNamespace:
		e.Kind, e.Err, e.Remedy = ErrNoNamespace, nil, noNamespaceRemedy
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		e.Kind, e.Remedy = ErrNoNamespace, noNamespaceRemedy
	case errors.Is(err, fs.ErrPermission):
		e.Kind = ErrPermission
		e.Remedy = "it takes CAP_SYS_ADMIN, and CAP_SYS_PTRACE for that of another user's process"
	}
	return e
}

const noNamespaceRemedy = "name a file that stands for one, as /run/netns/NAME or /proc/PID/ns/net does"

package conn

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"
)

// A Namespace is a network namespace by the path of a file that stands for it:
// "/run/netns/NAME" for one that ip netns has made, "/proc/PID/ns/net" for that of a
// process; or by its inode as the kernel writes it: "net:[4026531840]", for which such a file
// is looked for. "" is the one that the calling thread is in.
type Namespace string

// NamespaceOf returns the namespace with an inode.
func NamespaceOf(inode uint64) Namespace { return Namespace(fmt.Sprintf("net:[%d]", inode)) }

// IsInode reports whether the namespace is named by its inode.
func (ns Namespace) IsInode() bool {
	_, is := ns.inode()
	return is
}

// inode returns the inode that the namespace is named by, if it is.
func (ns Namespace) inode() (uint64, bool) {
	number, ok := strings.CutPrefix(string(ns), "net:[")
	number, closed := strings.CutSuffix(number, "]")
	inode, err := strconv.ParseUint(number, 10, 64)
	return inode, ok && closed && err == nil
}

// As gives an error of entering the namespace the name that it was asked for by, where it is
// another one: see Hold.
func (ns Namespace) As(err error, asked Namespace) error {
	var read *ReadError
	if ns == asked || !errors.As(err, &read) || read.Op != opEnter+string(ns) {
		return err
	}
	named := *read
	named.Op = opEnter + string(asked)
	return &named
}

const opEnter = "enter network namespace "

// failed is the error of a namespace that cannot be entered.
func (ns Namespace) failed(err error) error {
	e := &ReadError{Op: opEnter + string(ns), Err: err}
	switch {
	case err == ErrNoNamespace:
		e.Kind, e.Err, e.Remedy = ErrNoNamespace, nil, noNamespaceRemedy
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ELOOP),
		errors.Is(err, syscall.ENAMETOOLONG):
		e.Kind, e.Remedy = ErrNoNamespace, noNamespaceRemedy
	case err == errHidden:
		e.Kind, e.Remedy = ErrPermission, "unmount what is mounted over it"
	case errors.Is(err, fs.ErrPermission):
		e.Kind = ErrPermission
		e.Remedy = "it takes CAP_SYS_ADMIN, and CAP_SYS_PTRACE for that of another user's process"
	}
	return e
}

// errHidden is of a namespace that a mount keeps alive, of which it is known that it is there.
var errHidden = errors.New("it is mounted where another mount hides it")

const noNamespaceRemedy = "name a file that stands for one, as /run/netns/NAME or /proc/PID/ns/net does"

//go:build !linux

package conn

import "errors"

// unsupported is the error of whatever only Linux has.
func unsupported(op string) error {
	return &ReadError{op, ErrUnsupported, errors.New("only Linux has RTNetlink"),
		"make a capture on Linux, and read that"}
}

// Do returns an error unless it is about the calling thread: only Linux has network
// namespaces of this kind.
func (ns Namespace) Do(f func() error) error {
	if ns == "" {
		return f()
	}
	return unsupported("enter network namespace " + string(ns))
}

// Hold fails where Do would.
func (ns Namespace) Hold() (held Namespace, release func(), err error) {
	if err := ns.Do(func() error { return nil }); err != nil {
		return "", nil, err
	}
	return ns, func() {}, nil
}

// ID fails where Do would.
func (ns Namespace) ID() (uint64, error) {
	return 0, ns.Do(func() error { return nil })
}

// Namespaces returns an error.
func Namespaces() (found []Found, unseen int, err error) {
	return nil, 0, unsupported("find network namespaces")
}

// OfOwnUsers reports false.
func (ns Namespace) OfOwnUsers() bool { return false }

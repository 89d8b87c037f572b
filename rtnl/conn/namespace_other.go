//go:build !linux

package conn

import "errors"

var errUnsupported = errors.New("only Linux has RTNetlink")

// Do returns an error unless it is about the calling thread: only Linux has network
// namespaces of this kind.
func (ns Namespace) Do(f func() error) error {
	if ns == "" {
		return f()
	}
	return errUnsupported
}

// Hold fails where Do would.
func (ns Namespace) Hold() (held Namespace, release func(), err error) {
	if err := ns.Do(func() error { return nil }); err != nil {
		return "", nil, err
	}
	return ns, func() {}, nil
}

//go:build !linux

package conn

import "context"

// Dial returns an error, ErrUnsupported: only Linux has RTNetlink.
func Dial(context.Context, Namespace, uint32) (Socket, bool, error) {
	return nil, false, unsupported("open a netlink socket")
}

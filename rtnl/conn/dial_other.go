//go:build !linux

package conn

import "context"

// Dial returns an error: only Linux has RTNetlink.
func Dial(context.Context, Namespace, uint32) (Socket, bool, error) {
	return nil, false, errUnsupported
}

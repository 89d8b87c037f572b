//go:build !linux

package command

import (
	"context"
	"io"
)

// writeTo writes nothing: there is no kernel whose routes a capture could have.
func writeTo(context.Context, string, func(io.Writer) error) error { return errNeedsLinux }

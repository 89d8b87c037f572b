package wire

import (
	"errors"
	"fmt"
)

// ErrMalformed: bytes that are no netlink message; see MalformedError.
var ErrMalformed = errors.New("malformed message")

// A MalformedError tells which bytes could not be decoded.
type MalformedError struct {
	What   string // "route", "RTA_MULTIPATH", "link", ...
	Offset int    // of the offending byte, from the beginning of What
	Why    string
}

// Malformed returns a *MalformedError.
func Malformed(what string, offset int, why string) error {
	return &MalformedError{what, offset, why}
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed %s at byte %d: %s", e.What, e.Offset, e.Why)
}

// Is makes errors.Is(err, ErrMalformed) true.
func (e *MalformedError) Is(target error) bool { return target == ErrMalformed }

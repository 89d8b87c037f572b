// Package memory asks whether there is memory before much of it is taken: Go's runtime ends the
// process where there is none, and a control group's kills it, while a question that is too large
// can be refused and the others be answered.
package memory

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrNone: there is not as much memory as was asked for.
var ErrNone = errors.New("out of memory")

// What is to be left beside what is asked for: data for what comes until the next question, at
// this and at other places; address space for the 64 MiB that Go's heap grows by.
const (
	dataReserve    = 24 << 20
	addressReserve = 128 << 20
)

// Ask returns an error, which is ErrNone and says what limit there is, if the process may not have
// so many bytes more. What is garbage is given back before that. It takes some microseconds.
func Ask(bytes int) error {
	if short(bytes) == nil {
		return nil
	}
	debug.FreeOSMemory()
	if err := short(bytes); err != nil {
		return fmt.Errorf("%w: %w; allow more, or ask for less: one table or destination", ErrNone, err)
	}
	return nil
}

// KeepBelow has garbage collected more often where the memory comes near to the limit of a control
// group, unless GOMEMLIMIT says something else.
func KeepBelow() {
	if limit, ok := groupLimit(); ok && debug.SetMemoryLimit(-1) == noLimit {
		debug.SetMemoryLimit(limit - limit/8)
	}
}

const noLimit = 1<<63 - 1

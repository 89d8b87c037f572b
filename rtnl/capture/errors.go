package capture

import "errors"

// ErrCapture: a file that is no capture, or not a whole one; see Error.
var ErrCapture = errors.New("no capture that can be read")

// An Error tells what a file is instead of a capture that can be read.
type Error struct {
	Why    string // what the file is
	Remedy string // what to do
}

func (e *Error) Error() string { return e.Why + "; " + e.Remedy }

// Is makes errors.Is(err, ErrCapture) true.
func (e *Error) Is(target error) bool { return target == ErrCapture }

// What is wrong with a file that is no capture, whatever it holds.
var (
	errEmpty = &Error{"the file is empty", makeFirst}
	errZstd  = &Error{"the file is compressed with zstd", "decompress it first: zstd -d"}
	errOrder = &Error{"its messages are of a host of the other byte order", "read it on such a host"}
	errOther = &Error{"it is no pcap file", makeFirst}
	// A capture that was edited. Of other files it makes a recording.
	errForeign = &Error{"it holds netlink messages, but is not the work of the capture command", makeFirst}
)

const (
	makeFirst = "make a capture with the capture command"
	makeAgain = "make it again with the capture command"
)

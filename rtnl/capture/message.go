package capture

import (
	"fmt"
	"math/bits"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// maxKept is how many bytes of messages are kept, 1 GiB: ten million routes. Where
// addresses have 32 bits a process has no room for that and what is made of it.
const maxKept = 1 << (28 + 2*(^uint(0)>>63)) // 256 MiB if uint has 32 bits

var errTooMuch = &Error{fmt.Sprintf("it holds more than %d MiB of messages", maxKept>>20), makeFirst}

// kindOf returns the kind whose objects come in messages of a type; nil: none that is
// known.
func kindOf(typ uint16) *object.Kind {
	for _, k := range object.Kinds {
		if k.New == typ {
			return k
		}
	}
	return nil
}

// otherOrder reports whether a message's length makes sense in the other byte order
// only.
func otherOrder(msg []byte) bool {
	if len(msg) < wire.HeaderLen {
		return false
	}
	fits := func(n uint32) bool { return n >= wire.HeaderLen && n <= uint32(len(msg)) }
	return !fits(wire.U32(msg)) && fits(bits.ReverseBytes32(wire.U32(msg)))
}

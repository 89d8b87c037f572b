package consistency

import (
	"kernelroutes/internal/memory"
	"kernelroutes/rtnl/conn"
)

// An Arena holds the bytes that the kernel sent, in chunks that are never moved.
type Arena struct {
	chunk []byte // the current chunk: len is what is used of it
	size  int    // of all chunks
}

// Chunks grow from what holds a laptop's routes to what wastes little of a
// router's. From hugeChunk on the kernel is asked to back them with huge pages,
// which saves a sixth of the time that a large dump takes: it is spent on page
// faults.
const (
	minChunk  = len(conn.Buffer{})
	askChunk  = 16 * conn.MaxDatagram // from here on it is asked whether there is memory
	hugeChunk = 64 * conn.MaxDatagram
	maxChunk  = 128 * conn.MaxDatagram
)

// full reports whether room takes another chunk.
func (a *Arena) full() bool { return cap(a.chunk)-len(a.chunk) < conn.MaxDatagram }

// next is the size of the next chunk.
func (a *Arena) next() int { return min(max(2*cap(a.chunk), minChunk), maxChunk) }

// ask returns an error if there is no memory for what room takes next.
func (a *Arena) ask() error {
	if !a.full() || a.next() < askChunk {
		return nil
	}
	return memory.Ask(a.next())
}

// room returns at least conn.MaxDatagram bytes after those that are used.
func (a *Arena) room() []byte {
	if a.full() {
		a.chunk = make([]byte, 0, a.next())
		a.size += cap(a.chunk)
		if cap(a.chunk) >= hugeChunk {
			adviseHuge(a.chunk[:cap(a.chunk)])
		}
	}
	return a.chunk[len(a.chunk):cap(a.chunk)][:conn.MaxDatagram:conn.MaxDatagram]
}

// keep marks the first n bytes of room as used.
func (a *Arena) keep(n int) { a.chunk = a.chunk[:len(a.chunk)+n] }

// NewArena returns an arena that begins in a buffer.
func NewArena(b *conn.Buffer) Arena { return Arena{chunk: b[:0], size: len(b)} }

// Size returns how many bytes all chunks take.
func (a *Arena) Size() int { return a.size }

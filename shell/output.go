package shell

import (
	"context"
	"io"
)

// holdBack is how much is held back before the first byte is written: an answer
// up to this size is printed whole or not at all, whatever happens on the way.
const holdBack = 1 << 20

// An output collects what is printed and writes it in large pieces, one while
// the next is made. Append to buf, then call rowDone.
type output struct {
	ctx context.Context
	w   io.Writer
	buf []byte

	stars   stars // which columns of the statement that is printed come from *
	notes   []toldLater
	started bool // something has been written

	written []byte     // the piece before, or room for the next
	writing chan error // gives the result of the write that is under way
}

func newOutput(ctx context.Context, w io.Writer) *output {
	return &output{ctx: ctx, w: w, buf: make([]byte, 0, holdBack+holdBack/8)}
}

// rowDone writes what has been collected once it is enough.
func (o *output) rowDone() error {
	if len(o.buf) < holdBack {
		return nil
	}
	return o.write()
}

// flush writes the rest.
func (o *output) flush() error {
	if len(o.buf) > 0 {
		if err := o.write(); err != nil {
			return err
		}
	}
	if err := o.wait(); err != nil {
		return err
	}
	o.tell()
	return nil
}

// close waits for what is being written, whether or not it is all.
func (o *output) close() {
	if o.wait() == nil && o.started {
		o.tell()
	}
}

// tell tells what is not shown of what has been written.
func (o *output) tell() {
	for _, n := range o.notes {
		n.to(n.text)
	}
	o.notes = nil
}

// A toldLater is a text that is told once what it is about has been written.
type toldLater struct {
	to   func(string)
	text string
}

func (o *output) write() error {
	if err := o.wait(); err != nil {
		return err
	}
	o.started = true
	piece, result := o.buf, make(chan error, 1)
	o.buf, o.written, o.writing = o.written[:0], piece, result
	go func() {
		_, err := o.w.Write(piece)
		result <- err
	}()
	return nil
}

// wait waits for the write that is under way. A reader that does not read makes
// it wait until the context ends.
func (o *output) wait() error {
	if o.writing == nil {
		return nil
	}
	select {
	case err := <-o.writing:
		o.writing = nil
		return err
	case <-o.ctx.Done():
		return ErrInterrupted
	}
}

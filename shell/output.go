package shell

import "io"

// holdBack is how much is held back before the first byte is written: an answer
// up to this size is printed whole or not at all, whatever happens on the way.
const holdBack = 1 << 20

// An output collects what is printed and writes it in large pieces. Append to
// buf, then call rowDone.
type output struct {
	w   io.Writer
	buf []byte
}

func newOutput(w io.Writer) *output { return &output{w, make([]byte, 0, holdBack+holdBack/8)} }

// rowDone writes what has been collected once it is enough.
func (o *output) rowDone() error {
	if len(o.buf) < holdBack {
		return nil
	}
	return o.flush()
}

// flush writes the rest.
func (o *output) flush() error {
	if len(o.buf) == 0 {
		return nil
	}
	_, err := o.w.Write(o.buf)
	o.buf = o.buf[:0]
	return err
}

package shell

import (
	"context"
	"io"
)

// Pieces is a writer that writes piece by piece, so that what is left of a large write is not written
// when its context has ended.
type Pieces struct {
	ctx  context.Context
	w    io.Writer
	busy chan struct{} // has room for who writes
}

// NewPieces returns a writer to w until ctx ends.
func NewPieces(ctx context.Context, w io.Writer) *Pieces {
	return &Pieces{ctx, w, make(chan struct{}, 1)}
}

// Write writes; once the context has ended it fails with ErrInterrupted.
func (p *Pieces) Write(b []byte) (n int, err error) {
	const most = 4096 // what a terminal takes at once
	for n < len(b) {
		p.busy <- struct{}{}
		if p.ctx.Err() != nil {
			<-p.busy
			return n, ErrInterrupted
		}
		wrote, err := p.w.Write(b[n:min(len(b), n+most)])
		<-p.busy
		if n += wrote; err != nil {
			return n, err
		}
	}
	return n, nil
}

// Wait waits until nothing is being written: nothing more will be, if the context has ended.
func (p *Pieces) Wait() {
	p.busy <- struct{}{}
	<-p.busy
}

package capture

import (
	"bufio"
	"context"
	"io"
	"iter"
	"time"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/object"
)

// Follow writes what Write does, and then the changes of the calling thread's network namespace as
// they happen, for some time or until the context ends: the file is whole either way. begun, if it
// is not nil, is called when the snapshot is written, from when on the end of the context is no
// error. Nothing is written on an error of reading.
//
// The changes are followed from before the snapshot is read, so that none is missed: what changed
// while it was read may be an event, and in the snapshot already. Made again, in their order, the
// events lead from the snapshot to what there was at the end nevertheless.
//
// A file that holds as much as can be read has no events after that, of which k.Logger is told.
func Follow(ctx context.Context, k *rtnl.Kernel, w io.Writer, d time.Duration, begun func()) error {
	f := follower{k: k, w: w, d: d, begun: begun}
	return f.follow(ctx, func(ctx context.Context, begun func() error) iter.Seq2[*events.Event, error] {
		return events.Follow(ctx, k, events.Following{Begun: begun, Logger: k.Logger})
	})
}

// A follower writes a capture with events.
type follower struct {
	k     *rtnl.Kernel
	w     io.Writer
	d     time.Duration
	begun func()

	out        *eventWriter // nil: it has not begun
	consistent bool
}

// changes are what events.Follow returns.
type changes func(ctx context.Context, begun func() error) iter.Seq2[*events.Event, error]

// follow is Follow.
func (f *follower) follow(ctx context.Context, from changes) error {
	following, stop := context.WithCancel(ctx)
	defer stop()
	for e, err := range from(following, func() error {
		if err := f.begin(ctx); err != nil {
			return err
		}
		time.AfterFunc(f.d, stop)
		return nil
	}) {
		switch {
		case err != nil && f.out != nil && following.Err() != nil: // it is over
		case err != nil:
			return err
		default:
			more, err := f.event(e)
			if err != nil {
				return err
			}
			if more {
				continue
			}
		}
		break
	}
	f.out.end(f.consistent)
	return f.out.w.Flush()
}

// begin writes the snapshot.
func (f *follower) begin(ctx context.Context) error {
	s, err := f.k.Read(ctx, rtnl.Request{Kinds: object.Kinds})
	if err != nil {
		return err
	}
	c := &captureWriter{w: bufio.NewWriterSize(f.w, conn.MaxDatagram)}
	if err := c.snapshot(s, thisHost(), f.k.Names(), captureFormat); err != nil {
		return err
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	f.out, f.consistent = newEventWriter(c), s.Consistent
	if f.begun != nil {
		f.begun()
	}
	return nil
}

// event writes an event. more: the file can hold others.
func (f *follower) event(e *events.Event) (more bool, err error) {
	if f.out.fits(e) {
		f.out.event(e)
		// Who reads the file while it is written sees what has happened.
		return true, f.out.w.Flush()
	}
	f.out.text([]byte(endText + "\n"))
	if f.k.Logger != nil {
		f.k.Logger.Warn("no file holds more events: the capture ends before its time", "seq", e.Seq)
	}
	return false, nil
}

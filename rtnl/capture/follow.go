package capture

import (
	"bufio"
	"context"
	"io"
	"iter"
	"log/slog"
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
// while it was read may be an event, and in the snapshot already. Events that change again what the
// snapshot has, in their order, lead to what there was at the end nevertheless.
//
// A file that holds as much as can be read has no events after that, of which k.Logger is told.
func Follow(ctx context.Context, k *rtnl.Kernel, w io.Writer, d time.Duration, begun func()) error {
	return follow(ctx, k, w, d, begun, func(ctx context.Context) iter.Seq2[*events.Event, error] {
		return events.Follow(ctx, k, "", false)
	})
}

// follow is Follow, of changes that are had from somewhere.
func follow(ctx context.Context, k *rtnl.Kernel, w io.Writer, d time.Duration, begun func(),
	changes func(context.Context) iter.Seq2[*events.Event, error]) error {
	following, stop := context.WithCancel(ctx)
	defer stop()
	q := newQueue(following, changes(following))
	s, err := k.Read(ctx, rtnl.Request{Kinds: object.Kinds})
	if err != nil {
		return err
	}
	c := &captureWriter{w: bufio.NewWriterSize(w, conn.MaxDatagram)}
	if err := c.snapshot(s, thisHost(), k.Names(), captureFormat); err != nil {
		return err
	}
	if err := c.w.Flush(); err != nil {
		return err
	}
	if begun != nil {
		begun()
	}
	defer time.AfterFunc(d, stop).Stop()
	if err := q.writeTo(newEventWriter(c), k.Logger); err != nil && following.Err() == nil {
		return err
	}
	c.end(s.Consistent)
	return c.w.Flush()
}

// A queue holds events until they are written, so that who the author of a change is can be looked
// up when it happens, however long writing takes.
type queue struct {
	events chan *events.Event
	err    error // why there are no more of them, when the channel is closed
}

// newQueue begins to take events, until the context ends.
func newQueue(ctx context.Context, changes iter.Seq2[*events.Event, error]) *queue {
	q := &queue{events: make(chan *events.Event, events.MaxRows)}
	go func() {
		defer close(q.events)
		for e, err := range changes {
			if err != nil {
				q.err = err
				return
			}
			select {
			case q.events <- e:
				continue
			default:
			}
			// Whoever makes the events knows what it means that they are not taken.
			select {
			case q.events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return q
}

// flushAfter is after how many events at most an error of writing is noticed.
const flushAfter = 1000

// writeTo writes the events until there are no more, and returns why, or the error of writing.
func (q *queue) writeTo(w *eventWriter, log *slog.Logger) error {
	for n := 1; ; n++ {
		e, more := <-q.events
		if !more {
			return q.err
		}
		if !w.fits(e) {
			w.text([]byte(endText + "\n"))
			if log != nil {
				log.Warn("no file holds more events: the capture ends before its time", "seq", e.Seq)
			}
			return nil
		}
		w.event(e)
		if len(q.events) > 0 && n%flushAfter != 0 {
			continue
		}
		// Who reads the file while it is written sees what has happened.
		if err := w.w.Flush(); err != nil {
			return err
		}
	}
}

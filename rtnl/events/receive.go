package events

import (
	"errors"
	"slices"
	"syscall"
	"time"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// The kinds of which changes are told, and those that make some of these go away.
var (
	followed = []*object.Kind{object.Routes.Kind, object.Rules.Kind, object.NexthopObjects.Kind}
	causes   = []*object.Kind{object.Links.Kind, object.Addresses}
	heard    = slices.Concat(followed, causes)
)

// queueSize is how many bytes of messages may wait for their author to be found, and as many for
// what they come to: some 40,000 messages. While all routes are compared, a second or two where
// there are a million, nothing is taken from the queue.
const queueSize = 8 << 20

// receive reads the socket until that fails. It does nothing else but look who has the port of a
// message, where that takes no longer than to wake another goroutine, for a command may have ended by
// then.
func (f *follower) receive() {
	b := new(conn.Buffer)
	wait, done := f.conn.Waiter()
	defer done()
	for {
		if f.hold != nil {
			f.hold()
		}
		n, err := f.conn.Receive(b[:], wait != nil)
		wall, up := now()
		switch {
		case wait != nil && errors.Is(err, syscall.EAGAIN):
			wait()
		case overflowed(err):
			// What was queued before the loss comes first. Until all is taken the kernel loses
			// what comes, and does not say so again (NETLINK_S_CONGESTED).
			f.drain(b, wall, up)
			f.came.put(item{time: wall, uptime: up})
		case err != nil:
			f.came.close(conn.NewReadError("follow changes", err))
			return
		default:
			f.split(b[:n], wall, up)
		}
	}
}

// overflowed reports whether an error is that messages were lost.
func overflowed(err error) bool {
	return errors.Is(err, syscall.ENOBUFS) || errors.Is(err, conn.ErrTooLarge)
}

// drain takes all that is queued.
func (f *follower) drain(b *conn.Buffer, wall, up int64) {
	for {
		n, err := f.conn.Receive(b[:], true)
		switch {
		case err == nil:
			f.split(b[:n], wall, up)
		case !overflowed(err):
			return // EAGAIN: there is no more; what else there is comes again
		}
	}
}

// split hands on the messages of a datagram.
func (f *follower) split(b []byte, wall, up int64) {
	for len(b) > 0 {
		msg, rest, ok := wire.Cut(b)
		if !ok {
			f.came.put(item{time: wall, uptime: up})
			return
		}
		b = rest
		if wire.Type(msg) == wire.NLMSG_ERROR || kindOf(msg) != nil {
			own := wire.AppendMessage(make([]byte, 0, wire.Align(len(msg))), msg)
			i := item{time: wall, uptime: up, msg: own[:len(msg)]}
			if wire.Type(msg) != wire.NLMSG_ERROR {
				i.author, i.certainty, i.named = f.direct.Direct(wire.Port(msg))
			}
			f.came.put(i)
		}
	}
}

// kindOf returns the kind whose change a message tells of; nil: none that is followed.
func kindOf(msg []byte) *object.Kind {
	for _, k := range heard {
		if t := wire.Type(msg); t == k.New || t == k.Del {
			return k
		}
	}
	return nil
}

// The last of a few items may wait so long for a search for its author.
const (
	fewItems = 8
	maxWait  = 100 * time.Millisecond
)

// name finds the authors that take a search through all processes.
func (f *follower) name() {
	var items []item
	for {
		var err error
		if items, err = f.came.take(items); err != nil {
			f.named.close(err)
			return
		}
		if len(items) == 0 {
			<-f.came.ready
			continue
		}
		for n, i := range items {
			if i.msg != nil && !i.named && wire.Type(i.msg) != wire.NLMSG_ERROR {
				port := wire.Port(i.msg)
				i.author, i.certainty = f.finder.Find(port)
				// Where little happens a process that has just begun with a second socket is worth
				// that what comes is told of a little later.
				if wait := f.finder.Again(); wait > 0 && wait <= maxWait && n == len(items)-1 && n < fewItems {
					time.Sleep(wait)
					i.author, i.certainty = f.finder.Find(port)
				}
			}
			f.named.put(i)
		}
	}
}

package rtnl

import (
	"context"
	"errors"
	"iter"
	"slices"
	"syscall"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A Change is what the kernel tells of one object.
type Change struct {
	// Message is about the object: its Kind says what it is, and decodes it. It is valid
	// until the next change.
	Message *object.Message
	// Gone says that the object was deleted, else it was added or replaced. Of an IPv6
	// multipath route nexthops may go alone: then the message has none but these.
	Gone bool
	// Port is the netlink port of whoever asked for the change, which is the process id for
	// the first socket of a process; 0 for the kernel itself.
	Port uint32
}

const opWatch = "watch for changes"

// Watch yields the changes of some kinds in a namespace, from the call on, as they happen.
// It is to be ranged over once, which closes the socket that it holds. It ends with an
// error, that of the context when that ends. One that is ErrInterrupted says that changes
// came faster than they were taken, and some were lost: what there is has to be read again;
// who goes on gets all that change later.
//
// Not everything is told: IPv4 routes go away with their link or address, and routes with
// their nexthop object, with no message about the route (see object.Kind.StaleWith).
func (k *Kernel) Watch(ctx context.Context, ns Namespace, kinds ...*object.Kind) iter.Seq2[Change, error] {
	c, err := k.Listen(ctx, ns, kinds...)
	return func(yield func(Change, error) bool) {
		if err != nil {
			yield(Change{}, err)
			return
		}
		defer c.Close()
		b := new(conn.Buffer)
		for {
			n, err := c.Receive(b[:], false)
			switch {
			case errors.Is(err, syscall.ENOBUFS), errors.Is(err, conn.ErrTooLarge):
				discard(c, b)
				if !yield(Change{}, conn.NewReadError(opWatch, conn.ErrInterrupted)) {
					return
				}
			case err != nil:
				yield(Change{}, conn.NewReadError(opWatch, err))
				return
			case !yieldChanges(b[:n], kinds, yield):
				return
			}
		}
	}
}

// Listen returns a connection that hears of the changes of some kinds in a namespace, from the
// call on: messages as the kernel sends them. Those of other kinds may be among them.
func (k *Kernel) Listen(ctx context.Context, ns Namespace, kinds ...*object.Kind) (*conn.Conn, error) {
	return k.dialer().Open(ctx, ns, object.Groups(kinds...))
}

// discard takes all that is queued. Until the queue is empty the kernel loses what comes
// without saying so again (NETLINK_S_CONGESTED).
func discard(c *conn.Conn, b *conn.Buffer) {
	for {
		_, err := c.Receive(b[:], true)
		if err != nil && !errors.Is(err, syscall.ENOBUFS) && !errors.Is(err, conn.ErrTooLarge) {
			return // EAGAIN: there is no more; what else there is comes again
		}
	}
}

// yieldChanges yields the changes of a datagram. It returns false if no more are wanted.
func yieldChanges(datagram []byte, kinds []*object.Kind, yield func(Change, error) bool) bool {
	var m object.Message
	for rest := datagram; len(rest) > 0; {
		msg, after, ok := wire.Cut(rest)
		if !ok {
			err := wire.Malformed("datagram", len(datagram)-len(rest), "nlmsg_len does not fit")
			yield(Change{}, conn.NewReadError(opWatch, err))
			return false
		}
		rest = after
		i := slices.IndexFunc(kinds, func(k *object.Kind) bool {
			return wire.Type(msg) == k.New || wire.Type(msg) == k.Del
		})
		if i < 0 {
			continue
		}
		k := kinds[i]
		if err := k.Check(&m, msg); err != nil {
			yield(Change{}, conn.NewReadError(opWatch, err))
			return false
		}
		if k.Foreign != nil && k.Foreign(&m) {
			continue // as what a bridge tells of its ports
		}
		if !yield(Change{Message: &m, Gone: wire.Type(msg) == k.Del, Port: wire.Port(msg)}, nil) {
			return false
		}
	}
	return true
}

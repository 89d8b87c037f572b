package consistency

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"syscall"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

const (
	// maxNumbered bounds how many messages about objects with a number are told apart.
	maxNumbered = 1000
	// maxGrowing bounds how many bytes of messages about growing objects are kept.
	maxGrowing = 16 << 20
	// AnyEntries is added to the entries that may have changed for what is no message
	// about the object.
	AnyEntries = 1 << 32
)

// Changes are what a listener heard.
type Changes struct {
	// Object, if set, is told of each message.
	Object func(m *object.Message, gone bool)

	kinds []changesOf // by Kind.Ordinal
	lost  bool        // there were more growing objects than are kept
	size  int         // bytes of the growing objects
}

// changesOf are the changes of a kind.
type changesOf struct {
	any       bool // any object may have changed
	silent    bool // one may have changed with no message: see object.Kind.StaleWith
	told      bool // there was a message about one
	tables    map[object.Table]bool
	addresses [][4]byte       // of the objects that the kernel resumes by address, in any table
	numbered  object.Messages // messages about objects with a number
	growing   object.Messages // messages about growing objects, in the order in which they came
	entries   uint64
	touched   touched // since the reading began
}

func (c *Changes) of(k *object.Kind) *changesOf {
	if len(c.kinds) == 0 {
		c.kinds = make([]changesOf, len(object.Kinds))
	}
	return &c.kinds[k.Ordinal()]
}

// heard returns the changes of a kind, to be looked at alone.
func (c *Changes) heard(k *object.Kind) *changesOf {
	if len(c.kinds) == 0 {
		return &noChanges
	}
	return &c.kinds[k.Ordinal()]
}

var noChanges changesOf

// bucket is where the kernel keeps a table: those of one low byte in one list
// (fib_new_table, fib6_link_table). A dump resumes at a place in that list, so a
// table that is new in it can make others come again.
func bucket(t object.Table) object.Table { return object.Table{Family: t.Family, ID: t.ID & 0xff} }

// Any reports whether objects of the kind may have changed, whichever.
func (c *Changes) Any(k *object.Kind) bool { return c.heard(k).unknown() }

func (c *changesOf) unknown() bool { return c.any || c.silent }

// Told reports whether there was a message about an object of the kind, as far as that is
// known.
func (c *Changes) Told(k *object.Kind) bool { return c.heard(k).told || c.heard(k).any }

// table reports whether a table may have changed.
func (c *Changes) table(k *object.Kind, t object.Table) bool {
	return c.heard(k).unknown() || c.heard(k).tables[bucket(t)]
}

// Number reports whether there was a message about an object that meets a condition; true
// if that is not known.
func (c *Changes) Number(k *object.Kind, concerns func(*object.Message) bool) (yes bool) {
	if c.heard(k).any {
		return true
	}
	object.Each(c.heard(k).numbered.Runs, func(m *object.Message) bool {
		yes = concerns(m)
		return !yes
	})
	return yes
}

// Entries returns how many entries of the kernel's own count may have changed.
func (c *Changes) Entries(k *object.Kind) uint64 { return c.heard(k).entries }

// Growing returns the messages about objects that grow, and whether these are all.
func (c *Changes) Growing(k *object.Kind) (messages []object.Run, all bool) {
	return c.heard(k).growing.Runs, !c.lost
}

// sort is what between needs.
func (c *changesOf) sort() {
	slices.SortFunc(c.addresses, func(a, b [4]byte) int { return bytes.Compare(a[:], b[:]) })
}

// between reports whether an object may have changed whose address is in a range, ends
// included.
func (c *changesOf) between(from, to [4]byte) bool {
	i, _ := slices.BinarySearchFunc(c.addresses, from, func(a, b [4]byte) int { return bytes.Compare(a[:], b[:]) })
	return c.unknown() || i < len(c.addresses) && bytes.Compare(c.addresses[i][:], to[:]) <= 0
}

// clone returns a copy of what FindGaps needs, to which no more is added.
func (c *Changes) clone() *Changes {
	n := new(Changes)
	for i := range c.kinds {
		k := &c.kinds[i]
		n.kinds = append(n.kinds, changesOf{any: k.any, silent: k.silent, told: k.told, tables: maps.Clone(k.tables),
			addresses: slices.Clone(k.addresses)})
	}
	return n
}

// Next returns what the changes after these are added to: it has the growing objects and those
// that were touched, and nothing else.
func (c *Changes) Next() Changes {
	next := Changes{Object: c.Object, lost: c.lost, size: c.size}
	for i := range c.kinds {
		if g := &c.kinds[i].growing; g.Count() > 0 {
			next.of(object.Kinds[i]).growing = *g
		}
		if t := &c.kinds[i].touched; t.lost || t.objects != nil {
			next.of(object.Kinds[i]).touched = *t
		}
	}
	return next
}

// everything notes that it is not known what changed.
func (c *Changes) everything() {
	for _, k := range object.Kinds {
		c.of(k).any = true
		c.of(k).touched = touched{lost: true}
		c.of(k).entries += AnyEntries
	}
}

// kindTold returns the kind of which a message tells that an object changed; nil: none.
func kindTold(typ uint16) *object.Kind {
	tells := func(k *object.Kind) bool { return k.New == typ || k.Del == typ }
	for _, k := range object.Kinds {
		if tells(k) {
			return k
		}
	}
	for _, k := range object.Kinds {
		if i := slices.IndexFunc(k.StaleWith, tells); i >= 0 {
			return k.StaleWith[i]
		}
	}
	return nil
}

// add notes the messages of a datagram.
func (c *Changes) add(b []byte) {
	var m object.Message
	for {
		msg, rest, ok := wire.Cut(b)
		if !ok {
			break
		}
		k := kindTold(wire.Type(msg))
		if k == nil || k.Check(&m, msg) != nil {
			c.everything()
			return
		}
		c.note(&m, wire.Type(msg) == k.Del)
		b = rest
	}
	if len(b) > 0 {
		c.everything()
	}
}

// note notes that an object changed or has gone.
func (c *Changes) note(m *object.Message, gone bool) {
	k := m.Kind()
	if c.Object != nil {
		c.Object(m, gone)
	}
	for _, other := range object.Kinds {
		if slices.Contains(other.StaleWith, k) {
			c.of(other).silent = true
			c.of(other).entries += AnyEntries
		}
	}
	if !slices.Contains(object.Kinds, k) {
		return // it is listened to for the others' sake
	}
	n := c.of(k)
	n.told = true
	switch {
	case k.Number == nil:
	case n.numbered.Count() < maxNumbered:
		n.numbered.Add(m)
	default:
		n.any = true
	}
	if k.Same != nil {
		n.touched.add(k.Same(m))
	}
	if k.Order == nil {
		return
	}
	t := k.Table(m)
	if n.tables == nil {
		n.tables = map[object.Table]bool{}
	}
	n.tables[bucket(t)] = true
	if k.Order(t.Family).Resume == object.ByAddress {
		p := k.Position(m)
		n.addresses = append(n.addresses, [4]byte(p.Dst[:]))
	}
	if k.Entries != nil {
		entries, _ := k.Entries(m)
		n.entries += uint64(entries)
	}
	if k.Grows != nil && !gone && k.Grows(m) {
		if c.size += len(m.Bytes()); c.size > maxGrowing {
			c.lost = true
		} else {
			n.growing.Add(m)
		}
	}
}

// A Listener is a socket that hears of every change from when it was opened. The
// kernel queues the message about an IPv6 route while it holds the table's lock,
// and about others while it holds the RTNL lock, which a dump of all families
// takes for each datagram: what a dump can have seen has been told when it ends. Rules are
// another matter: see object.Kind.Unlocked.
type Listener struct{ conn *conn.Conn }

// Listen opens a listener for changes of some kinds, and of those with which they become
// stale.
func Listen(ctx context.Context, dial conn.Dialer, ns conn.Namespace, kinds []*object.Kind) (*Listener, error) {
	groups := object.Groups(kinds...)
	for _, k := range kinds {
		groups |= object.Groups(k.StaleWith...)
	}
	c, err := dial.Open(ctx, ns, groups)
	if err != nil {
		return nil, err
	}
	return &Listener{c}, nil
}

// Close closes the socket.
func (l *Listener) Close() { l.conn.Close() }

// Drain adds to c what has been heard since the last call. A socket whose queue
// overflowed has heard of everything.
func (l *Listener) Drain(c *Changes) error {
	b := conn.Buffers.Get().(*conn.Buffer)
	defer conn.Buffers.Put(b)
	for {
		n, err := l.conn.Receive(b[:conn.MaxDatagram], true)
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case errors.Is(err, syscall.ENOBUFS), errors.Is(err, conn.ErrTooLarge):
			c.everything()
		case err != nil:
			return err
		default:
			c.add(b[:n])
		}
	}
}

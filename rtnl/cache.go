package rtnl

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/consistency"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// Cache answers like the Kernel that it is given, and makes many requests that
// belong together cheap and of one time:
//
//   - Routes that are looked up by their identity (Request.IDs) are shown as they
//     were in the answer that gave the identity out (Request.GivesIDs), even if they
//     have changed since, for RecallTime. So a join of two tables, which asks for
//     the second one row by row, loses no row and mixes no times. Up to 64 MiB of
//     answers are remembered, the ones used last.
//   - Look-ups of exact destinations (Filter.Dsts) that come soon one after the
//     other are answered from a snapshot that is held. What is held is never stale:
//     a listener hears of each change before whoever made it is told that it
//     succeeded. A destination that changed is asked of the kernel, and where more
//     may have changed (an interface, an address, a nexthop object, or messages were
//     lost) all that is held is dropped, and after three seconds without a look-up.
//   - Everything else is asked of the kernel and sees every change that was complete
//     before the request.
//
// Safe for concurrent use; but all requests that name no network namespace must be made
// by threads that are in the same one, of which alone anything is held. A Cache that is
// used no more should be closed.
type Cache struct {
	Kernel Kernel

	mu       sync.Mutex
	listener *consistency.Listener
	held     map[heldKey]*heldSnapshot
	idle     *time.Timer

	once   sync.Once
	recall *recall
}

// holdTime is how long a snapshot is held after the last look-up.
const holdTime = 3 * time.Second

// maxHeldTables bounds how many tables of one family are held one by one: where
// look-ups go to more, all tables are held at once. maxDirty bounds the destinations
// that are asked of the kernel in spite of what is held, and maxMissed how often it is asked
// for such a one before all is read anew.
const (
	maxHeldTables = 2
	maxDirty      = 1000
	maxMissed     = 3
)

// A heldKey is what look-ups must have in common.
type heldKey struct {
	family object.Family // 0: several or any
	table  uint32        // 0: several or any
}

// A heldSnapshot is a snapshot that look-ups are answered from. There is none before
// the second look-up.
type heldSnapshot struct {
	instant *Instant
	dirty   map[netip.Prefix]bool
	missed  int // look-ups that the kernel was asked for in spite of it
}

// Names returns the names of this host.
func (c *Cache) Names() *iproute2.Names { return iproute2.HostNames() }

// NamespaceID returns the inode of a namespace: see Namespace.ID.
func (c *Cache) NamespaceID(ns Namespace) (uint64, error) { return c.Kernel.NamespaceID(ns) }

// Namespaces returns each network namespace that there is: see Kernel.Namespaces.
func (c *Cache) Namespaces() (found []FoundNamespace, unseen int, err error) {
	return c.Kernel.Namespaces()
}

// Read answers a request.
func (c *Cache) Read(ctx context.Context, req Request) (*Snapshot, error) {
	c.once.Do(func() { c.recall = newRecall() })
	if req.CountBy != nil {
		return c.read(ctx, req)
	}
	var known []*Snapshot
	if len(req.IDs) > 0 {
		var err error
		known, req.IDs, err = c.recall.read(ctx, req)
		if err != nil {
			return nil, err
		}
		if len(req.IDs) == 0 {
			c.Kernel.Counters.hit()
			return combined(known), nil
		}
	}
	if req.GivesIDs {
		// What look-ups may want of these routes must be of the same time.
		all := lookupRequest()
		req.Referred, req.Along = join(req.Referred, all.Referred), join(req.Along, all.Along)
	}
	s, err := c.read(ctx, req)
	if err == nil && req.GivesIDs {
		c.recall.add(&req, s, req.Gives)
	}
	if err != nil || len(known) == 0 {
		return s, err
	}
	// It may have others too: routes to the same destinations.
	if s, err = s.Instant(nil).Read(ctx, req); err != nil {
		return nil, err
	}
	return combined(append(known, s)), nil
}

// Close lets go of everything that is held and remembered.
func (c *Cache) Close() {
	c.once.Do(func() { c.recall = newRecall() })
	c.recall.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
	if c.idle != nil {
		c.idle.Stop()
	}
}

// Count returns how many objects Read would find of the kinds that the request asks for.
func (c *Cache) Count(ctx context.Context, req Request) (n int, consistent bool, err error) {
	if len(req.IDs) > 0 || c.mayHold(&req) {
		s, err := c.Read(ctx, req)
		if err != nil {
			return 0, false, err
		}
		return s.count(&req), s.Consistent, nil
	}
	return c.Kernel.Count(ctx, req)
}

// lookupRequest returns a request for all that look-ups of routes may want: routes, what they
// refer to, and all links, of which some govern a table.
func lookupRequest() Request {
	req := RouteRequest(Filter{})
	req.Along = []*object.Kind{object.Links.Kind}
	return req
}

// mayHold reports whether a request can be answered from what is held.
func (c *Cache) mayHold(req *Request) bool {
	return len(req.Dsts) > 0 && !req.Cloned && !req.None && req.Namespace == "" &&
		!slices.ContainsFunc(req.Kinds, func(k *object.Kind) bool { return !k.Filtered }) &&
		!slices.ContainsFunc(req.Along, func(k *object.Kind) bool { return k != object.Links.Kind })
}

func (c *Cache) read(ctx context.Context, req Request) (*Snapshot, error) {
	if !c.mayHold(&req) {
		return c.Kernel.Read(ctx, req)
	}
	s, err := c.lookup(ctx, req)
	if s == nil && err == nil {
		return c.Kernel.Read(ctx, req)
	}
	return s, err
}

// lookup answers from what is held; nil: ask the kernel.
func (c *Cache) lookup(ctx context.Context, req Request) (*Snapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.update(); err != nil {
		c.drop()
	}
	if c.idle == nil {
		c.idle = time.AfterFunc(holdTime, c.expire)
	}
	c.idle.Reset(holdTime)
	if c.held == nil {
		c.held = map[heldKey]*heldSnapshot{}
	}
	key := c.keyOf(&req)
	h := c.held[key]
	switch {
	case h == nil:
		c.held[key] = &heldSnapshot{}
		return nil, nil
	case h.instant == nil:
		if err := c.hold(ctx, key, h); err != nil || h.instant == nil {
			return nil, err
		}
	}
	for _, p := range req.Dsts {
		if h.dirty[p.Masked()] {
			// Many may want one that changed: the default route covers all addresses.
			if h.missed++; h.missed == maxMissed {
				*h = heldSnapshot{}
			}
			return nil, nil
		}
	}
	c.Kernel.Counters.hit()
	return h.instant.Read(ctx, req)
}

// keyOf returns under which key a request is to be found, or will be.
func (c *Cache) keyOf(req *Request) (key heldKey) {
	if len(req.Families) == 1 {
		key.family = req.Families[0]
	}
	all := key
	if len(req.Tables) != 1 || c.held[all] != nil {
		return all
	}
	key.table = req.Tables[0]
	if c.held[key] != nil {
		return key
	}
	tables := 0
	for k := range c.held {
		if k.family == key.family {
			tables++
		}
	}
	if tables < maxHeldTables {
		return key
	}
	for k := range c.held {
		if k.family == key.family {
			delete(c.held, k)
		}
	}
	c.held[all] = &heldSnapshot{} // there were look-ups enough to hold it at once
	return all
}

// hold reads the snapshot that is to be held, after a listener was opened.
func (c *Cache) hold(ctx context.Context, key heldKey, h *heldSnapshot) (err error) {
	req := lookupRequest()
	if c.listener == nil {
		// It outlives the request.
		c.listener, err = consistency.Listen(context.Background(), c.Kernel.dialer(), "", req.kinds())
		if errors.Is(err, conn.ErrDeaf) {
			return nil // so that it would not be known when it is old
		}
		if err != nil {
			return err
		}
	}
	if key.family != 0 {
		req.Families = []object.Family{key.family}
	}
	if key.table != 0 {
		req.Tables = []uint32{key.table}
	}
	s, err := c.Kernel.Read(ctx, req)
	if err != nil || !s.Consistent {
		return err
	}
	h.instant, h.dirty = s.Instant(nil), map[netip.Prefix]bool{}
	// What was heard while it was read may or may not be in it.
	if err := c.update(); err != nil {
		c.drop()
	}
	return nil
}

// update brings what is held up to date with what the listener has heard.
func (c *Cache) update() error {
	if c.listener == nil {
		return nil
	}
	heard := consistency.Changes{Object: c.changed}
	if err := c.listener.Drain(&heard); err != nil {
		return err
	}
	for _, k := range object.Kinds {
		// Of objects that a destination tells apart it is known which changed.
		if heard.Any(k) || !k.Filtered && heard.Told(k) {
			c.clear()
		}
	}
	return nil
}

// changed notes that the routes to a destination changed.
func (c *Cache) changed(m *object.Message, _ bool) {
	if !m.Kind().Filtered {
		return
	}
	t, dst := m.Kind().Table(m), m.RoutePrefix()
	for key, s := range c.held {
		if s.instant == nil || key.family != 0 && key.family != t.Family || key.table != 0 && key.table != t.ID {
			continue
		}
		if !dst.IsValid() || len(s.dirty) >= maxDirty {
			*s = heldSnapshot{}
			continue
		}
		s.dirty[dst.Masked()] = true
	}
}

// clear drops the snapshots, drop the listener too.
func (c *Cache) clear() {
	for _, s := range c.held {
		*s = heldSnapshot{}
	}
}

func (c *Cache) drop() {
	c.held = nil
	if c.listener != nil {
		c.listener.Close()
		c.listener = nil
	}
}

// expire drops everything, as nobody has looked anything up for a while.
func (c *Cache) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
}

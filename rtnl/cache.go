package rtnl

import (
	"cmp"
	"context"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Cache answers like the Kernel that it is given, but spares the kernel a dump
// for each of many look-ups: a request for exact destinations (Filter.Dsts) that
// comes soon after one like it is answered from a snapshot that is held. A join
// asks in that way, once for every row.
//
// What is held is never stale: a listener hears of each change before whoever
// made it is told that it succeeded. A destination that changed is asked of the
// kernel, and where more may have changed (an interface, an address, a nexthop
// object, or messages were lost) all that is held is dropped. After HoldTime
// without a look-up it is dropped as well, and the memory with it.
//
// Safe for concurrent use. The network namespace is that of the thread which
// calls Read.
type Cache struct {
	Kernel Kernel

	mu       sync.Mutex
	listener *listener
	held     map[heldKey]*heldSnapshot
	idle     *time.Timer
}

// HoldTime is how long a snapshot is held after the last look-up.
const HoldTime = 3 * time.Second

// maxHeld bounds the number of snapshots held, maxDirty the number of
// destinations that are asked of the kernel in spite of one.
const (
	maxHeld  = 16
	maxDirty = 1000
)

// A heldKey is what look-ups must have in common.
type heldKey struct {
	family Family // 0: several or any
	table  uint32 // 0: several or any
}

// A heldSnapshot is a snapshot with an index of its destinations. It has none
// before the second look-up.
type heldSnapshot struct {
	snapshot *Snapshot
	entries  []entry // by hash
	dirty    map[netip.Prefix]bool
}

// An entry says where the routes to a destination are.
type entry struct {
	hash     uint64
	run, off uint32
}

// Names returns the names of this host.
func (c *Cache) Names() *Names { return HostNames() }

// Read answers a request.
func (c *Cache) Read(ctx context.Context, req Request) (*Snapshot, error) {
	if len(req.Dsts) == 0 || req.Cloned || req.Nothing() {
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
		c.idle = time.AfterFunc(HoldTime, c.expire)
	}
	c.idle.Reset(HoldTime)
	var key heldKey
	if len(req.Families) == 1 {
		key.family = req.Families[0]
	}
	if len(req.Tables) == 1 {
		key.table = req.Tables[0]
	}
	h := c.held[key]
	switch {
	case h == nil:
		if c.held == nil || len(c.held) >= maxHeld {
			c.held = map[heldKey]*heldSnapshot{}
		}
		c.held[key] = &heldSnapshot{}
		return nil, nil
	case h.snapshot == nil:
		if err := c.hold(ctx, key, h); err != nil || h.snapshot == nil {
			return nil, err
		}
	}
	for _, p := range req.Dsts {
		if h.dirty[p.Masked()] {
			return nil, nil
		}
	}
	return h.answer(req), nil
}

// hold reads the snapshot that is to be held, after a listener was opened.
func (c *Cache) hold(ctx context.Context, key heldKey, h *heldSnapshot) (err error) {
	if c.listener == nil {
		// It outlives the request.
		if c.listener, err = listen(context.Background(), c.Kernel.dialer()); err != nil {
			return err
		}
	}
	req := Request{Links: true, Nexthops: true}
	if key.family != 0 {
		req.Families = []Family{key.family}
	}
	if key.table != 0 {
		req.Tables = []uint32{key.table}
	}
	s, err := c.Kernel.Read(ctx, req)
	if err != nil || !s.Consistent {
		return err
	}
	h.snapshot, h.dirty = s, map[netip.Prefix]bool{}
	h.index()
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
	heard := changes{route: c.changed}
	if err := c.listener.drain(&heard); err != nil {
		return err
	}
	if heard.routes || heard.links || heard.objects {
		c.clear()
	}
	return nil
}

// changed notes that the routes to a destination changed.
func (c *Cache) changed(h *routeHead) {
	alen := h.family.addrLen()
	for key, s := range c.held {
		if s.snapshot == nil || key.family != 0 && key.family != h.family || key.table != 0 && key.table != h.table {
			continue
		}
		if alen == 0 || len(s.dirty) >= maxDirty {
			*s = heldSnapshot{}
			continue
		}
		s.dirty[prefix(h.dst, int(h.dstLen), alen).Masked()] = true
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
		c.listener.close()
		c.listener = nil
	}
}

// expire drops everything, as nobody has looked anything up for a while.
func (c *Cache) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
}

var seed = maphash.MakeSeed()

// dstHash tells destinations apart, whatever their table.
func dstHash(dst []byte, bits uint8, alen int) uint64 {
	var key [17]byte
	copy(key[:alen], dst)
	key[16] = bits
	return maphash.Bytes(seed, key[:])
}

// index sorts the routes by destination.
func (h *heldSnapshot) index() {
	for i, run := range h.snapshot.routes {
		for off := 0; off < len(run); {
			head := headAt(run[off:])
			if alen := head.family.addrLen(); alen > 0 {
				h.entries = append(h.entries, entry{dstHash(head.dst, head.dstLen, alen), uint32(i), uint32(off)})
			}
			off += align4(int(u32(run[off:])))
		}
	}
	slices.SortStableFunc(h.entries, func(a, b entry) int { return cmp.Compare(a.hash, b.hash) })
}

// answer makes a snapshot of the routes that match.
func (h *heldSnapshot) answer(req Request) *Snapshot {
	s := &Snapshot{Consistent: true, Tries: 1, links: h.snapshot.links, objects: h.snapshot.objects}
	if req.Link != nil {
		req.chooseLinks(s.links)
	}
	for i, p := range req.Dsts {
		if slices.Contains(req.Dsts[:i], p) {
			continue
		}
		addr := p.Addr().AsSlice()
		hash := dstHash(addr, uint8(p.Bits()), len(addr))
		at, _ := slices.BinarySearchFunc(h.entries, hash, func(e entry, h uint64) int { return cmp.Compare(e.hash, h) })
		one := req.Filter
		one.Dsts = req.Dsts[i : i+1]
		for ; at < len(h.entries) && h.entries[at].hash == hash; at++ {
			run := h.snapshot.routes[h.entries[at].run][h.entries[at].off:]
			if head := headAt(run); one.match(&head) {
				s.routes = append(s.routes, run[:align4(int(u32(run)))])
			}
		}
	}
	return s
}

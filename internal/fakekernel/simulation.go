package fakekernel

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"github.com/mdlayher/netlink"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// A simRoute is a route of a simulated kernel.
type simRoute struct {
	pos      object.Position
	id       uint32
	replaced uint32 // how often it was
	pad      int
}

func (r *simRoute) message(t object.Table, typ uint16, seq uint32) []byte {
	n := t.Family.AddrLen()
	dst, _ := netip.AddrFromSlice(r.pos.Dst[:n])
	route := object.Route{Family: t.Family, Type: object.Unicast, TOS: r.pos.TOS, Table: t.ID,
		Dst: netip.PrefixFrom(dst, int(r.pos.DstLen)), Priority: object.Some(r.pos.Priority),
		Mark: object.Some(r.id), Realms: object.Some(r.replaced),
		Unknown: []wire.Attr{{Type: 60, Data: make([]byte, r.pad)}}}
	if r.pos.SrcLen > 0 {
		src, _ := netip.AddrFromSlice(r.pos.Src[:n])
		route.Src = netip.PrefixFrom(src, int(r.pos.SrcLen))
	}
	return nltest.Padded(typ, wire.NLM_F_MULTI, seq, nltest.AppendRoute(nil, &route))
}

// A simTable is a table, its routes in the order in which the kernel walks them.
type simTable struct {
	object.Table
	routes  []*simRoute
	version int
}

func (t *simTable) add(r *simRoute) {
	at := len(t.routes)
	if t.Family != object.IPMR { // which adds at the end
		compare := object.Routes.Order(t.Family).Compare
		at, _ = slices.BinarySearchFunc(t.routes, r, func(a, b *simRoute) int {
			order := compare(&a.pos, &b.pos)
			if order == 0 {
				order = cmp.Compare(a.pos.Priority, b.pos.Priority)
			}
			return cmp.Or(order, -1) // after its equals
		})
	}
	t.routes = slices.Insert(t.routes, at, r)
	t.version++
}

// node returns where the routes end that are of one node with the i-th: of one
// address, or of one destination and source, or only itself.
func (t *simTable) node(i int) int {
	same := func(a, b *object.Position) bool {
		switch t.Family {
		case object.IPv4:
			return a.Dst == b.Dst
		case object.IPv6:
			return object.Routes.Order(object.IPv6).Compare(a, b) == 0
		}
		return false
	}
	j := i + 1
	for j < len(t.routes) && same(&t.routes[i].pos, &t.routes[j].pos) {
		j++
	}
	return j
}

// A Simulation is a kernel with routes that change while they are dumped. It loses its
// place as the kernel does, or worse. Each route has a number of its own in RTA_MARK, and
// in RTA_FLOW how often it was replaced.
type Simulation struct {
	nltest.Chance
	// Untouched are the routes that stay as they are.
	Untouched map[uint32]object.Table

	mu      sync.Mutex  // IPv6 is read beside the rest
	tables  []*simTable // by family, low byte and age, the newest first
	touched []*simRoute
	where   map[*simRoute]object.Table
	calm    int // one change in so many datagrams

	heard    [][]byte
	overflow bool
	alive    map[[2]uint32]bool // what there was since Begin
}

// SimulatedTables are the tables of a Simulation: some of one low byte, and table local,
// which comes last.
var SimulatedTables = []object.Table{
	{Family: object.IPv4, ID: 1000}, {Family: object.IPv4, ID: 254}, {Family: object.IPv4, ID: 255},
	{Family: object.IPv6, ID: 1000}, {Family: object.IPv6, ID: 254}, {Family: object.IPv6, ID: 510},
	{Family: object.IPv6, ID: 255}, {Family: object.IPMR, ID: 254},
}

// NewSimulation returns a simulation that does the same for the same seed, if it is asked
// the same.
func NewSimulation(seed uint64) *Simulation {
	k := &Simulation{Chance: nltest.NewChance(seed), where: map[*simRoute]object.Table{}}
	k.calm = 1 + k.IntN(20)
	k.Untouched = map[uint32]object.Table{}
	id := uint32(0)
	for _, t := range SimulatedTables {
		if k.IntN(4) == 0 {
			continue
		}
		for range k.IntN(60) {
			id++
			r := &simRoute{pos: k.position(t.Family), id: id, pad: k.IntN(200)}
			if k.IntN(20) == 0 {
				r.pad = 500
			}
			if k.Yes() {
				k.touched = append(k.touched, r)
				k.where[r] = t
				if k.Yes() {
					continue // it is not there yet
				}
			} else {
				k.Untouched[id] = t
			}
			k.table(t).add(r)
		}
	}
	k.Begin()
	return k
}

// Begin forgets what there was.
func (k *Simulation) Begin() {
	k.alive = map[[2]uint32]bool{}
	for _, t := range k.tables {
		for _, r := range t.routes {
			k.alive[[2]uint32{r.id, r.replaced}] = true
		}
	}
}

// Was reports whether a route was there since Begin, replaced so often.
func (k *Simulation) Was(id, replaced uint32) bool { return k.alive[[2]uint32{id, replaced}] }

// Alive returns how many routes there were since Begin, each as often as it was replaced.
func (k *Simulation) Alive() int { return len(k.alive) }

func (k *Simulation) table(of object.Table) *simTable {
	for _, t := range k.tables {
		if t.Table == of {
			return t
		}
	}
	t := &simTable{Table: of}
	at, _ := slices.BinarySearchFunc(k.tables, t, func(a, b *simTable) int {
		return cmp.Or(cmp.Compare(a.Family, b.Family), cmp.Compare(a.ID&0xff, b.ID&0xff), 1)
	})
	k.tables = slices.Insert(k.tables, at, t)
	return t
}

func (k *Simulation) position(f object.Family) object.Position {
	var p object.Position
	n := f.AddrLen()
	p.DstLen = uint8(k.IntN(9))
	copy(p.Dst[:], nltest.Mask(k.Bytes(1), n, int(p.DstLen)))
	switch f {
	case object.IPv4:
		p.TOS, p.Priority = uint8(k.IntN(2)*4), uint32(k.IntN(3))
	case object.IPv6:
		if k.IntN(4) == 0 {
			p.SrcLen = uint8(1 + k.IntN(2))
			copy(p.Src[:], nltest.Mask(k.Bytes(1), n, int(p.SrcLen)))
		}
		p.Priority = uint32(k.IntN(3))
	}
	return p
}

// change adds, deletes or replaces a route, or says that an interface did
// something.
func (k *Simulation) change() {
	if len(k.touched) == 0 {
		return
	}
	if k.IntN(300) == 0 {
		k.tell(nltest.Padded(object.RTM_NEWLINK, 0, 0, nltest.AppendLink(nil, &object.Link{Index: 1})))
		return
	}
	i := k.IntN(len(k.touched))
	r := k.touched[i]
	of := k.where[r]
	t := k.table(of)
	at := slices.Index(t.routes, r)
	switch {
	case at < 0:
		t.add(r)
		k.tell(r.message(of, object.RTM_NEWROUTE, 0))
	case k.Yes():
		t.routes = slices.Delete(t.routes, at, at+1)
		t.version++
		k.tell(r.message(of, object.RTM_DELROUTE, 0))
	default:
		next := &simRoute{pos: r.pos, id: r.id, replaced: r.replaced + 1, pad: k.IntN(300)}
		t.routes[at] = next
		t.version++
		k.touched[i], k.where[next] = next, of
		r = next
		k.tell(r.message(of, object.RTM_NEWROUTE, 0))
	}
	k.alive[[2]uint32{r.id, r.replaced}] = true
}

func (k *Simulation) tell(msg []byte) {
	if len(k.heard) >= 40 {
		k.overflow = true
		return
	}
	k.heard = append(k.heard, msg)
}

// Dial is a conn.Dialer.
func (k *Simulation) Dial(_ context.Context, _ conn.Namespace, groups uint32) (conn.Socket, bool, error) {
	return &simSocket{k: k, listens: groups != 0}, true, nil
}

// A simSocket is a connection to a simulated kernel.
type simSocket struct {
	k       *Simulation
	listens bool
	seq     uint32
	queue   [][]byte
	dump    *simDump
}

func (s *simSocket) Close() {}

func (s *simSocket) Send(m netlink.Message) (netlink.Message, error) {
	s.seq++
	m.Header.Sequence = s.seq
	switch m.Header.Type {
	case wire.NLMSG_NOOP:
		s.queue = append(s.queue, nltest.Failed(s.seq, 0))
	case object.RTM_GETROUTE:
		r := dumpRequest(m.Data)
		s.dump = &simDump{k: s.k, seq: s.seq, family: r.Family, only: r.Table}
	default:
		s.queue = append(s.queue, nltest.Done(s.seq, 0))
	}
	return m, nil
}

func (s *simSocket) Receive(buf []byte, nowait bool) (int, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.listens {
		switch {
		case s.k.overflow:
			s.k.overflow = false
			return 0, syscall.ENOBUFS
		case len(s.k.heard) == 0:
			return 0, syscall.EAGAIN
		}
		msg := s.k.heard[0]
		s.k.heard = s.k.heard[1:]
		return copy(buf, msg), nil
	}
	if len(s.queue) > 0 {
		msg := s.queue[0]
		s.queue = s.queue[1:]
		return copy(buf, msg), nil
	}
	b := s.dump.next(700 + s.k.IntN(3000))
	if s.k.IntN(s.k.calm) == 0 {
		for range 1 + s.k.IntN(12) {
			s.k.change()
		}
	}
	return copy(buf, b), nil
}

package rtnl

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// A treeNode is a node of the kernel's tree of IPv6 routes: struct fib6_node.
type treeNode struct {
	left, right *treeNode
	subtree     *treeNode // of sources
	here        []position
}

// add puts a position under the node of a destination, and of a source.
func (n *treeNode) add(p position, key []byte, bits int, src bool) {
	for i := range bits {
		next := &n.left
		if key[i/8]>>(7-i%8)&1 != 0 {
			next = &n.right
		}
		if *next == nil {
			*next = &treeNode{}
		}
		n = *next
	}
	if !src && p.srcLen > 0 {
		if n.subtree == nil {
			n.subtree = &treeNode{}
		}
		n.subtree.add(p, p.src[:], int(p.srcLen), true)
		return
	}
	n.here = append(n.here, p)
}

// walk visits the nodes as fib6_walk_continue does: subtree, left, right, self.
func (n *treeNode) walk(visit func([]position)) {
	if n == nil {
		return
	}
	n.subtree.walk(visit)
	n.left.walk(visit)
	n.right.walk(visit)
	if len(n.here) > 0 {
		visit(n.here)
	}
}

// smallPositions are all positions with destinations of up to four bits and
// sources of up to two.
func smallPositions() (all []position) {
	for dstLen := range 5 {
		for dst := range 1 << dstLen {
			for srcLen := range 3 {
				for src := range 1 << srcLen {
					p := position{dstLen: uint8(dstLen), srcLen: uint8(srcLen)}
					p.dst[0], p.src[0] = byte(dst<<(8-dstLen)), byte(src<<(8-srcLen))
					all = append(all, p)
				}
			}
		}
	}
	return all
}

func TestCompareIPv6IsTheKernelsWalk(t *testing.T) {
	var root treeNode
	all := smallPositions()
	c := newChance(1)
	c.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, p := range all {
		root.add(p, p.dst[:], int(p.dstLen), false)
	}
	for range 2000 { // and large ones
		p := position{dstLen: uint8(c.IntN(129)), srcLen: uint8(max(c.IntN(200)-71, 0))}
		copy(p.dst[:], maskBytes(c.bytes(2), 16, int(p.dstLen)))
		copy(p.src[:], maskBytes(c.bytes(2), 16, int(p.srcLen)))
		root.add(p, p.dst[:], int(p.dstLen), false)
	}
	var before *position
	root.walk(func(here []position) {
		for i := range here {
			if compareIPv6(&here[i], &here[0]) != 0 {
				t.Errorf("%v and %v are of one node, and in order", here[i], here[0])
			}
		}
		if before != nil && compareIPv6(before, &here[0]) >= 0 {
			t.Errorf("%v comes before %v", *before, here[0])
		}
		before = &here[0]
	})
}

// maskBytes fills up to n bytes with ones and zeros after bits.
func maskBytes(b []byte, n, bits int) []byte {
	out := make([]byte, n)
	copy(out, b)
	for i := bits; i < n*8; i++ {
		out[i/8] &^= 0x80 >> (i % 8)
	}
	return out
}

// TestCompareIsAnOrder checks that compare is a strict weak order.
func TestCompareIsAnOrder(t *testing.T) {
	six := smallPositions()
	var four []position
	for dstLen := range uint8(3) {
		for dst := range 1 << dstLen {
			for _, tos := range []uint8{0, 4} {
				for prio := range uint32(2) {
					p := position{dstLen: dstLen, tos: tos, priority: prio}
					p.dst[0] = byte(dst << (8 - dstLen))
					four = append(four, p)
				}
			}
		}
	}
	for _, tc := range []struct {
		f   Family
		all []position
	}{{IPv4, four}, {IPv6, six}, {MPLS, four}} {
		order := make([][]int, len(tc.all))
		for i := range tc.all {
			for j := range tc.all {
				order[i] = append(order[i], tc.f.compare(&tc.all[i], &tc.all[j]))
			}
		}
		for i := range order {
			for j := range order {
				if order[i][j] != -order[j][i] || i == j && order[i][j] != 0 {
					t.Fatalf("%v: %v and %v: %d and %d", tc.f, tc.all[i], tc.all[j], order[i][j], order[j][i])
				}
				for k := range order {
					if order[i][j] <= 0 && order[j][k] <= 0 && (order[i][k] > 0 || order[i][k] == 0 && order[i][j]+order[j][k] < 0) {
						t.Fatalf("%v: %v <= %v <= %v, but %d", tc.f, tc.all[i], tc.all[j], tc.all[k], order[i][k])
					}
				}
			}
		}
	}
}

// TestKernelOrder checks that dumps come in the order that compare knows.
func TestKernelOrder(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	c := newChance(7)
	var four, six []string
	added := map[string]bool{}
	add := func(list *[]string, line string) {
		if !added[line] {
			added[line] = true
			*list = append(*list, "route add "+line+" table 1000")
		}
	}
	for range 400 {
		bits := c.IntN(33)
		dst := netip.PrefixFrom(netip.AddrFrom4([4]byte(maskBytes([]byte{20, byte(c.IntN(4) << 6), byte(c.IntN(4)), byte(c.IntN(4))}, 4, bits))), bits)
		// Not "tos 0": without a file rt_dsfield ip takes that, in a batch, for the last tos that it read.
		add(&four, fmt.Sprintf("%v via 10.0.0.9 metric %d tos 0x%x", dst, 1+c.IntN(3), c.IntN(3)*4))
	}
	for range 600 {
		bits, srcBits := c.IntN(129), max(c.IntN(200)-71, 0)
		dst := netip.PrefixFrom(netip.AddrFrom16([16]byte(maskBytes([]byte{0x20, byte(c.IntN(4)), byte(c.IntN(4) << 6), 15: byte(c.IntN(4))}, 16, bits))), bits)
		line := dst.String()
		if srcBits > 0 {
			line += fmt.Sprintf(" from %v", netip.PrefixFrom(netip.AddrFrom16([16]byte(maskBytes([]byte{0x20, byte(c.IntN(4)), 15: 1}, 16, srcBits))), srcBits))
		}
		add(&six, fmt.Sprintf("%s via fd00::9 metric %d", line, 1+c.IntN(3)))
	}
	nstest.Batch(t, "-4", four...)
	nstest.Batch(t, "-6", six...)
	s, err := new(Kernel).Read(context.Background(), Request{})
	if err != nil {
		t.Fatal(err)
	}
	last := map[group]position{}
	n := map[group]int{}
	for _, run := range s.routes {
		for off := 0; off < len(run); off += align4(int(u32(run[off:]))) {
			h, err := readHead(run[off+unix.NLMSG_HDRLEN : off+int(u32(run[off:]))])
			if err != nil {
				t.Fatal(err)
			}
			g, pos := group{h.family, h.table}, positionOf(&h)
			if before, ok := last[g]; ok && g.family.compare(&before, &pos) > 0 {
				t.Errorf("%v: %v comes before %v", g, before, pos)
			}
			last[g] = pos
			n[g]++
		}
	}
	if a, b := n[group{IPv4, 1000}], n[group{IPv6, 1000}]; a != len(four) || b != len(six) {
		t.Errorf("%d and %d routes, want %d and %d", a, b, len(four), len(six))
	}
}

// A meddler is a kernel's socket in whose route dumps something happens before a
// datagram is received, which is before the kernel makes the one after it.
type meddler struct {
	socket
	n      int
	before func(n int)
}

func (m *meddler) send(msg netlink.Message) (netlink.Message, error) {
	m.n = 0
	if msg.Header.Type != unix.RTM_GETROUTE {
		m.n = -1
	}
	return m.socket.send(msg)
}

func (m *meddler) receive(buf []byte, nowait bool) (int, error) {
	if m.n >= 0 {
		m.n++
		m.before(m.n)
	}
	return m.socket.receive(buf, nowait)
}

// meddle returns a dialer of the kernel that calls before in each dump, with the
// numbers of the dump and of the datagram, from 1.
func meddle(before func(dump, datagram int)) dialer {
	dumps := 0
	return func(ctx context.Context, groups uint32) (socket, bool, error) {
		s, strict, err := dialKernel(ctx, groups)
		if err == nil && groups == 0 {
			s = &meddler{socket: s, before: func(n int) {
				if n == 1 {
					dumps++
				}
				before(dumps, n)
			}}
		}
		return s, strict, err
	}
}

// count counts the routes of a table by what tells them apart.
func count(s *Snapshot, f Family, table uint32) map[string]int {
	n := map[string]int{}
	for c := s.Cursor(AllFields); c.Next(); {
		if r := c.Route(); r.Family == f && r.Table == table {
			n[fmt.Sprintf("%v %v %d", r.Dst, r.Src, r.Priority.V)]++
		}
	}
	return n
}

// mostOf returns what comes most often.
func mostOf(n map[string]int) (what string, times int) {
	for w, i := range n {
		if i > times {
			what, times = w, i
		}
	}
	return what, times
}

// TestMeddling changes routes at the very places of a dump where the kernel loses
// its own.
func TestMeddling(t *testing.T) {
	hops := func(n int) (args string) {
		for i := range n {
			args += fmt.Sprintf(" nexthop via fd00::%x", i+16)
		}
		return args
	}
	// The last of all routes does not fit into the datagram of those before it.
	largeLast := func(add func(string, ...any)) {
		for i := range 215 {
			add("2001:db8:%x::/48 via fd00::9", i)
		}
		add("default%s", hops(130))
	}
	oneFewer := []string{"route del 2001:db8::/48 table 1000", "route del 2001:db8:1::/48 table 1000", "route add 2001:d00::/32 via fd00::9 table 1000"}
	for _, tc := range []struct {
		name, ip string
		family   Family
		routes   func(add func(format string, args ...any))
		change   []string
		want     []string // untouched routes that are in danger
		filter   Filter
	}{
		{
			// The kernel remembers that it has walked over N routes of an address, and
			// passes over as many at the next address when this one has gone.
			name: "an address goes away in the middle", ip: "-4", family: IPv4,
			routes: func(add func(string, ...any)) {
				for i := range 600 {
					add("20.0.0.0/24 via 10.0.0.9 metric %d", i+1)
				}
				for i := range 100 {
					add("20.0.1.%d/32 via 10.0.0.9", i)
				}
			},
			change: func() (all []string) {
				for i := range 600 {
					all = append(all, fmt.Sprintf("route del 20.0.0.0/24 metric %d table 1000", i+1))
				}
				return all
			}(),
			want: []string{"20.0.1.0/32 invalid Prefix 0", "20.0.1.1/32 invalid Prefix 0"},
		},
		{
			name: "an address loses what was sent of it", ip: "-4", family: IPv4,
			routes: func(add func(string, ...any)) {
				for i := range 600 {
					add("20.0.0.0/24 via 10.0.0.9 metric %d", i+1)
				}
			},
			change: []string{"route del 20.0.0.0/24 metric 1 table 1000", "route del 20.0.0.0/24 metric 2 table 1000"},
			want: func() (all []string) {
				for i := range 598 {
					all = append(all, fmt.Sprintf("20.0.0.0/24 invalid Prefix %d", i+3))
				}
				return all
			}(),
			filter: Filter{Tables: []uint32{1000}},
		},
		{
			// The kernel passes over as many as it had walked over: one too many.
			name: "the last one does not fit and is passed over", ip: "-6", family: IPv6,
			routes: largeLast,
			change: oneFewer,
			want:   []string{"::/0 invalid Prefix 1024"},
		},
		{
			name: "the last one of a table that is asked for alone", ip: "-6", family: IPv6,
			routes: largeLast,
			change: oneFewer,
			want:   []string{"::/0 invalid Prefix 1024"},
			filter: Filter{Tables: []uint32{1000}},
		},
		{
			// 2024 and 1000 have one low byte, and the kernel one list for both.
			name: "a new table before this one", ip: "-4", family: IPv4,
			routes: func(add func(string, ...any)) {
				for i := range 2000 {
					add("20.%d.%d.0/24 via 10.0.0.9", i/200, i%200)
				}
			},
			change: []string{"route add 20.9.0.0/16 via 10.0.0.9 table 2024"},
			want:   []string{"20.0.0.0/24 invalid Prefix 0", "20.9.199.0/24 invalid Prefix 0"},
		},
		{
			name: "a new table before this one", ip: "-6", family: IPv6,
			routes: func(add func(string, ...any)) {
				for i := range 1000 {
					add("2001:db8:%x::/48 via fd00::9", i)
				}
			},
			change: []string{"route add 2001:db9::/32 via fd00::9 table 2024"},
			want:   []string{"2001:db8::/48 invalid Prefix 1024", "2001:db8:3e7::/48 invalid Prefix 1024"},
		},
	} {
		for _, once := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s %s, once %v", tc.name, tc.ip, once), func(t *testing.T) {
				nstest.New(t)
				nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
				var lines []string
				tc.routes(func(format string, args ...any) {
					lines = append(lines, "route add table 1000 "+fmt.Sprintf(format, args...))
				})
				nstest.Batch(t, tc.ip, lines...)
				undo := make([]string, 0, len(tc.change))
				for _, line := range slices.Backward(tc.change) {
					if strings.HasPrefix(line, "route add") {
						line = strings.Replace(line, "add", "del", 1)
					} else if line = strings.Replace(line, "del", "add", 1); !strings.Contains(line, " via ") {
						via := " via 10.0.0.9"
						if tc.family == IPv6 {
							via = " via fd00::9"
						}
						line += via
					}
					undo = append(undo, line)
				}
				changed := false
				k := Kernel{dial: meddle(func(dump, datagram int) {
					if datagram != 1 || once && dump > 1 {
						return
					}
					// In turns, so that each dump meets the change.
					if changed = !changed; changed {
						nstest.Batch(t, tc.ip, tc.change...)
					} else {
						nstest.Batch(t, tc.ip, undo...)
					}
				})}
				s, err := k.Read(context.Background(), Request{Filter: tc.filter})
				if err != nil {
					t.Fatal(err)
				}
				n := count(s, tc.family, 1000)
				for _, want := range tc.want {
					if n[want] != 1 && (s.Consistent || n[want] > 1) {
						t.Fatalf("%s is there %d times (consistent %v, tries %d)", want, n[want], s.Consistent, s.Tries)
					}
				}
				if what, times := mostOf(n); times > 1 {
					t.Errorf("%s comes %d times (consistent %v, tries %d)", what, times, s.Consistent, s.Tries)
				}
				if once && !s.Consistent {
					t.Errorf("not consistent after %d tries, though there was one change", s.Tries)
				}
				t.Logf("consistent %v, %d tries", s.Consistent, s.Tries)
			})
		}
	}
}

// TestMeddlingAtRandom changes routes of the kernel before every datagram of
// every dump.
func TestMeddlingAtRandom(t *testing.T) {
	for _, tc := range []struct {
		ip, via string
		family  Family
		dst     func(c chance) netip.Prefix
	}{
		{"-4", "10.0.0.9", IPv4, func(c chance) netip.Prefix {
			bits := 20 + c.IntN(13)
			return netip.PrefixFrom(netip.AddrFrom4([4]byte(maskBytes([]byte{20, byte(c.IntN(4)), byte(c.IntN(256)), byte(c.IntN(4))}, 4, bits))), bits)
		}},
		{"-6", "fd00::9", IPv6, func(c chance) netip.Prefix {
			bits := 20 + c.IntN(60)
			return netip.PrefixFrom(netip.AddrFrom16([16]byte(maskBytes([]byte{0x20, 1, byte(c.IntN(256)), byte(c.IntN(4)), byte(c.IntN(4)), 15: 0}, 16, bits))), bits)
		}},
	} {
		t.Run(tc.ip, func(t *testing.T) {
			nstest.New(t)
			nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
			c := newChance(42)
			var untouched, touched []string
			seen := map[string]bool{}
			want := map[string]bool{}
			for len(untouched) < nstest.Amount(3000, 1000) {
				dst, metric := tc.dst(c), 1+c.IntN(3)
				line := fmt.Sprintf("%v via %s metric %d table 1000", dst, tc.via, metric)
				if seen[line] {
					continue
				}
				seen[line] = true
				if c.IntN(4) == 0 {
					touched = append(touched, line)
				} else {
					untouched = append(untouched, "route add "+line)
					want[fmt.Sprintf("%v invalid Prefix %d", dst, metric)] = true
				}
			}
			nstest.Batch(t, tc.ip, untouched...)
			consistent := 0
			const reads = 12
			for range reads {
				k := Kernel{dial: meddle(func(int, int) {
					var lines strings.Builder
					for range 1 + c.IntN(8) {
						verb := []string{"add", "del"}[c.IntN(2)]
						fmt.Fprintf(&lines, "route %s %s\n", verb, touched[c.IntN(len(touched))])
					}
					cmd := exec.Command("ip", tc.ip, "-force", "-batch", "-")
					cmd.Stdin = strings.NewReader(lines.String())
					cmd.Run() // some are there already, or not there
				})}
				s, err := k.Read(context.Background(), Request{Filter: Filter{Families: []Family{tc.family}}})
				if err != nil {
					t.Fatal(err)
				}
				n := count(s, tc.family, 1000)
				if what, times := mostOf(n); times > 1 {
					t.Errorf("%s comes %d times (consistent %v, tries %d)", what, times, s.Consistent, s.Tries)
				}
				if s.Consistent {
					consistent++
					lost := 0
					for what := range want {
						if n[what] == 0 {
							lost++
						}
					}
					if lost > 0 {
						t.Errorf("%d routes are not there after %d tries", lost, s.Tries)
					}
				}
			}
			t.Logf("%d of %d consistent", consistent, reads)
			if consistent*2 < reads {
				t.Errorf("only %d of %d are consistent", consistent, reads)
			}
		})
	}
}

// A simRoute is a route of a simulated kernel.
type simRoute struct {
	pos  position
	id   uint32
	self uint32 // how often it was replaced
	pad  int
}

func (r *simRoute) message(g group, typ uint16, seq uint32) []byte {
	n := g.family.addrLen()
	dst, _ := netip.AddrFromSlice(r.pos.dst[:n])
	route := Route{Family: g.family, Type: Unicast, TOS: r.pos.tos, Table: g.table, Dst: netip.PrefixFrom(dst, int(r.pos.dstLen)),
		Priority: some(r.pos.priority), Mark: some(r.id), Realms: some(r.self), Unknown: []Attr{{60, make([]byte, r.pad)}}}
	if r.pos.srcLen > 0 {
		src, _ := netip.AddrFromSlice(r.pos.src[:n])
		route.Src = netip.PrefixFrom(src, int(r.pos.srcLen))
	}
	return message(typ, unix.NLM_F_MULTI, seq, appendRoute(nil, &route))
}

// A simTable is a table, its routes in the order in which the kernel walks them.
type simTable struct {
	group
	routes  []*simRoute
	version int
}

func (t *simTable) add(r *simRoute) {
	at := len(t.routes)
	if t.family != IPMR { // which adds at the end
		at, _ = slices.BinarySearchFunc(t.routes, r, func(a, b *simRoute) int {
			order := t.family.compare(&a.pos, &b.pos)
			if order == 0 {
				order = cmp.Compare(a.pos.priority, b.pos.priority)
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
	same := func(a, b *position) bool {
		switch t.family {
		case IPv4:
			return a.dst == b.dst
		case IPv6:
			return compareIPv6(a, b) == 0
		}
		return false
	}
	j := i + 1
	for j < len(t.routes) && same(&t.routes[i].pos, &t.routes[j].pos) {
		j++
	}
	return j
}

// A simKernel has routes that change while they are dumped. It loses its place as
// the kernel does, or worse.
type simKernel struct {
	mu sync.Mutex // IPv6 is read beside the rest
	chance
	tables  []*simTable // by family, low byte and age, the newest first
	touched []*simRoute
	where   map[*simRoute]group
	quiet   int // one change in so many datagrams

	heard    [][]byte
	overflow bool
	alive    map[[2]uint32]bool // what there was since the reading began
}

func (k *simKernel) table(g group) *simTable {
	for _, t := range k.tables {
		if t.group == g {
			return t
		}
	}
	t := &simTable{group: g}
	at, _ := slices.BinarySearchFunc(k.tables, t, func(a, b *simTable) int {
		return cmp.Or(cmp.Compare(a.family, b.family), cmp.Compare(a.table&0xff, b.table&0xff), 1)
	})
	k.tables = slices.Insert(k.tables, at, t)
	return t
}

func (k *simKernel) position(f Family) position {
	var p position
	n := f.addrLen()
	p.dstLen = uint8(k.IntN(9))
	copy(p.dst[:], maskBytes(k.bytes(1), n, int(p.dstLen)))
	switch f {
	case IPv4:
		p.tos, p.priority = uint8(k.IntN(2)*4), uint32(k.IntN(3))
	case IPv6:
		if k.IntN(4) == 0 {
			p.srcLen = uint8(1 + k.IntN(2))
			copy(p.src[:], maskBytes(k.bytes(1), n, int(p.srcLen)))
		}
		p.priority = uint32(k.IntN(3))
	}
	return p
}

// simGroups has tables of one low byte, and table local, which comes last.
var simGroups = []group{{IPv4, 1000}, {IPv4, 254}, {IPv4, 255}, {IPv6, 1000}, {IPv6, 254}, {IPv6, 510}, {IPv6, 255}, {IPMR, 254}}

func newSimKernel(seed uint64) (*simKernel, map[uint32]group) {
	k := &simKernel{chance: newChance(seed), where: map[*simRoute]group{}}
	k.quiet = 1 + k.IntN(20)
	untouched := map[uint32]group{}
	id := uint32(0)
	for _, g := range simGroups {
		if k.IntN(4) == 0 {
			continue
		}
		for range k.IntN(60) {
			id++
			r := &simRoute{pos: k.position(g.family), id: id, pad: k.IntN(200)}
			if k.IntN(20) == 0 {
				r.pad = 500
			}
			if k.yes() {
				k.touched = append(k.touched, r)
				k.where[r] = g
				if k.yes() {
					continue // it is not there yet
				}
			} else {
				untouched[id] = g
			}
			k.table(g).add(r)
		}
	}
	k.begin()
	return k, untouched
}

// begin notes what there is.
func (k *simKernel) begin() {
	k.alive = map[[2]uint32]bool{}
	for _, t := range k.tables {
		for _, r := range t.routes {
			k.alive[[2]uint32{r.id, r.self}] = true
		}
	}
}

// change adds, deletes or replaces a route, or says that an interface did
// something.
func (k *simKernel) change() {
	if len(k.touched) == 0 {
		return
	}
	if k.IntN(300) == 0 {
		k.tell(message(unix.RTM_NEWLINK, 0, 0, appendLink(nil, &Link{Index: 1})))
		return
	}
	i := k.IntN(len(k.touched))
	r := k.touched[i]
	g := k.where[r]
	t := k.table(g)
	at := slices.Index(t.routes, r)
	switch {
	case at < 0:
		t.add(r)
		k.tell(r.message(g, unix.RTM_NEWROUTE, 0))
	case k.yes():
		t.routes = slices.Delete(t.routes, at, at+1)
		t.version++
		k.tell(r.message(g, unix.RTM_DELROUTE, 0))
	default:
		next := &simRoute{pos: r.pos, id: r.id, self: r.self + 1, pad: k.IntN(300)}
		t.routes[at] = next
		t.version++
		k.touched[i], k.where[next] = next, g
		r = next
		k.tell(r.message(g, unix.RTM_NEWROUTE, 0))
	}
	k.alive[[2]uint32{r.id, r.self}] = true
}

func (k *simKernel) tell(msg []byte) {
	if len(k.heard) >= 40 {
		k.overflow = true
		return
	}
	k.heard = append(k.heard, msg)
}

func (k *simKernel) dial(_ context.Context, groups uint32) (socket, bool, error) {
	return &simSocket{k: k, listens: groups != 0}, true, nil
}

// A simSocket is a connection to a simulated kernel.
type simSocket struct {
	k       *simKernel
	listens bool
	seq     uint32
	queue   [][]byte
	dump    *simDump
}

func (s *simSocket) close() {}

func (s *simSocket) send(m netlink.Message) (netlink.Message, error) {
	s.seq++
	m.Header.Sequence = s.seq
	switch m.Header.Type {
	case unix.NLMSG_NOOP:
		s.queue = append(s.queue, message(unix.NLMSG_ERROR, 0, s.seq, make([]byte, 20)))
	case unix.RTM_GETROUTE:
		s.dump = &simDump{k: s.k, seq: s.seq, family: Family(m.Data[0])}
		for a := walk(m.Data[rtmsgLen:]); a.next(); {
			if a.typ == rtaTable {
				s.dump.only = u32(a.data)
			}
		}
	default:
		s.queue = append(s.queue, message(unix.NLMSG_DONE, unix.NLM_F_MULTI, s.seq, make([]byte, 4)))
	}
	return m, nil
}

func (s *simSocket) receive(buf []byte, nowait bool) (int, error) {
	s.k.mu.Lock()
	defer s.k.mu.Unlock()
	if s.listens {
		switch {
		case s.k.overflow:
			s.k.overflow = false
			return 0, unix.ENOBUFS
		case len(s.k.heard) == 0:
			return 0, unix.EAGAIN
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
	if s.k.IntN(s.k.quiet) == 0 {
		for range 1 + s.k.IntN(12) {
			s.k.change()
		}
	}
	return copy(buf, b), nil
}

// A simDump is what a dump remembers from datagram to datagram.
type simDump struct {
	k      *simKernel
	seq    uint32
	family Family // 0: all
	only   uint32 // table; 0: all

	at      group // family, low byte of the table
	e       int   // place in the list of tables with this low byte
	key     uint32
	wrapped bool
	index   int // in the node
	count   int // nodes
	of      *simTable
	version int
	ended   bool
}

// next makes a datagram of at most room bytes.
func (d *simDump) next(room int) (b []byte) {
	finish := func() []byte { return append(b, message(unix.NLMSG_DONE, unix.NLM_F_MULTI, d.seq, make([]byte, 4))...) }
	if d.ended {
		return finish()
	}
	for {
		t, ok := d.table()
		if !ok {
			if d.ended = true; len(b) == 0 || d.k.yes() {
				return finish()
			}
			return b
		}
		wanted := (d.family == 0 || t.family == d.family) && (d.only == 0 || t.table == d.only)
		if wanted && !d.walk(t, &b, room) {
			return b
		}
		d.e++
		d.key, d.wrapped, d.index, d.count, d.of = 0, false, 0, 0, nil
	}
}

// table returns the table that the dump is at.
func (d *simDump) table() (*simTable, bool) {
	e := 0
	for _, t := range d.k.tables {
		here := group{t.family, t.table & 0xff}
		order := cmp.Or(cmp.Compare(here.family, d.at.family), cmp.Compare(here.table, d.at.table))
		switch {
		case order < 0:
		case order == 0 && e < d.e:
			e++
		case order == 0:
			return t, true
		default:
			d.at, d.e = here, 0
			return t, true
		}
	}
	return nil, false
}

// walk appends the routes of a table from where the dump is; false: there is no
// more room.
func (d *simDump) walk(t *simTable, b *[]byte, room int) bool {
	put := func(r *simRoute) bool {
		msg := r.message(t.group, unix.RTM_NEWROUTE, d.seq)
		if len(*b)+len(msg) > room {
			return false
		}
		*b = append(*b, msg...)
		return true
	}
	if t.family == IPv4 {
		for i := 0; i < len(t.routes) && !d.wrapped; {
			end, key := t.node(i), u32be(t.routes[i].pos.dst[:])
			if key < d.key {
				i = end
				continue
			}
			for j := i + d.index; j < end; j++ {
				if !put(t.routes[j]) {
					d.index = j - i
					return false
				}
			}
			d.key, d.index = key+1, 0
			d.wrapped = d.key == 0
			i = end
		}
		return true
	}
	if d.of != t || d.version != t.version {
		d.index = 0
	}
	d.of, d.version = t, t.version
	n := 0
	for i := 0; i < len(t.routes); n++ {
		end := t.node(i)
		if n < d.count {
			i = end
			continue
		}
		for j := i + d.index; j < end; j++ {
			if !put(t.routes[j]) {
				d.index = j - i
				return false
			}
		}
		d.index = 0
		d.count++
		i = end
	}
	return true
}

func u32be(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// TestSimulation reads a simulated kernel while it changes: no route that nobody
// touched is missing from a snapshot that is consistent, none comes twice in any,
// and each is one that was there.
func TestSimulation(t *testing.T) {
	reads, consistent, tries := 0, 0, 0
	for seed := range uint64(nstest.Amount(500, 100)) {
		k, untouched := newSimKernel(seed)
		var f Filter
		switch k.IntN(5) {
		case 0:
			f.Families = []Family{IPv4}
		case 1:
			f.Families = []Family{IPv6}
		case 2:
			f.Tables = []uint32{simGroups[k.IntN(len(simGroups))].table}
		case 3:
			f.Tables = []uint32{254, 1000}
		}
		for range 3 {
			k.begin()
			s, err := (&Kernel{dial: k.dial}).Read(context.Background(), Request{Filter: f})
			if err != nil {
				if strings.Contains(err.Error(), ErrInterrupted.Error()) {
					continue
				}
				t.Fatalf("seed %d: %v", seed, err)
			}
			reads++
			tries += s.Tries
			if s.Consistent {
				consistent++
			}
			seen := map[uint32]bool{}
			for c := s.Cursor(AllFields); c.Next(); {
				r := c.Route()
				if _, calm := untouched[r.Mark.V]; r.Family == IPMR && !calm && !s.Consistent {
					continue // it may have been deleted and added at another place
				}
				if seen[r.Mark.V] {
					t.Fatalf("seed %d, %+v: route %d comes twice (consistent %v, %d tries)", seed, f, r.Mark.V, s.Consistent, s.Tries)
				}
				seen[r.Mark.V] = true
				if !k.alive[[2]uint32{r.Mark.V, r.Realms.V}] {
					t.Fatalf("seed %d, %+v: route %d was never %d (consistent %v, %d tries)", seed, f, r.Mark.V, r.Realms.V, s.Consistent, s.Tries)
				}
			}
			if !s.Consistent {
				continue
			}
			for id, g := range untouched {
				if f.wants(g) && !seen[id] {
					t.Fatalf("seed %d, %+v: route %d of %v is missing after %d tries", seed, f, id, g, s.Tries)
				}
			}
		}
	}
	t.Logf("%d of %d consistent, %.1f tries each", consistent, reads, float64(tries)/float64(reads))
	if consistent*10 < reads*7 {
		t.Errorf("only %d of %d are consistent", consistent, reads)
	}
}

// TestSimulationCounts counts the routes of a simulated kernel: where one dump is
// enough to tell their number, it is that of the routes which the same dump holds.
func TestSimulationCounts(t *testing.T) {
	counted, all := 0, 0
	for seed := range uint64(nstest.Amount(500, 100)) {
		k, untouched := newSimKernel(seed)
		k.begin()
		l, err := listen(context.Background(), k.dial)
		if err != nil {
			t.Fatal(err)
		}
		req := Request{}
		r := reading{dial: k.dial, release: recent, listener: l, asked: req, tries: 1}
		r.begin()
		if r.try(context.Background()) != nil {
			continue
		}
		heard, err := r.hear()
		if err != nil {
			t.Fatal(err)
		}
		all++
		var counts []*routeDump
		for _, d := range r.dumps {
			d.judge(heard)
			c := *d
			c.counting, c.runs = true, slices.Clone(d.runs)
			for i := range c.runs {
				if r := &c.runs[i]; r.family == IPv4 {
					r.data, r.counted = nil, size(&Snapshot{routes: [][]byte{r.data}})
				}
			}
			counts = append(counts, &c)
		}
		list, none, missing := merge(r.dumps, req.wants)
		kept, n, uncounted := merge(counts, req.wants)
		if none != 0 || len(kept) >= len(list) && len(list) > 0 && n > 0 {
			t.Fatalf("seed %d: %d counted, %d runs of %d kept", seed, none, len(kept), len(list))
		}
		if len(uncounted) == 0 {
			counted++
			n += size(&Snapshot{routes: kept})
			if want := size(&Snapshot{routes: list}); n != want || len(missing) != 0 {
				t.Errorf("seed %d: %d routes are counted, there are %d, without %v", seed, n, want, missing)
			}
		}
		for _, g := range missing {
			if !slices.Contains(uncounted, g) {
				t.Errorf("seed %d: %v is counted but not whole", seed, g)
			}
		}

		// And from the outside.
		k.begin()
		s, err := (&Kernel{dial: k.dial}).Read(context.Background(), Request{Count: true})
		if err != nil || !s.Consistent {
			continue
		}
		if n := size(s); n < len(untouched) || n > len(k.alive) {
			t.Errorf("seed %d: %d routes after %d tries, of %d to %d", seed, n, s.Tries, len(untouched), len(k.alive))
		}
	}
	t.Logf("%d of %d counted", counted, all)
	if counted*10 < all {
		t.Errorf("only %d of %d are counted", counted, all)
	}
}

// message makes a netlink message, padded.
func message(typ, flags uint16, seq uint32, payload []byte) []byte {
	b := append(appendHeader(nil, unix.NLMSG_HDRLEN+len(payload), typ, flags, seq), payload...)
	return append(b, bytes.Repeat([]byte{0}, align4(len(payload))-len(payload))...)
}

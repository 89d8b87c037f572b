package rtnl

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// withoutLink is a message that an interface has gone.
func withoutLink(index uint32, name string) event {
	return datagram(message(unix.RTM_DELLINK, 0, 0, appendLink(nil, &Link{Index: index, Name: name})))
}

// routeVia is a message about a route that is changed.
func routeVia(seq uint32, r *Route, change func(*Route)) []byte {
	change(r)
	return message(unix.RTM_NEWROUTE, unix.NLM_F_MULTI, seq, appendRoute(nil, r))
}

// TestReadVanishedLink has an interface that goes while routes are read which refer to
// it, with a route that is whole at once, so that its table needs not be read again.
func TestReadVanishedLink(t *testing.T) {
	for _, tc := range []struct {
		name  string
		route func(seq uint32) []byte // refers to interface 4
		req   Request
	}{
		{"output", func(seq uint32) []byte {
			return routeVia(seq, v4(), func(r *Route) { r.OIF = some[uint32](4) })
		}, Request{Links: true}},
		{"a nexthop", func(seq uint32) []byte {
			return routeVia(seq, ecmp(IPv4), func(r *Route) { r.Multipath[1].OIF = 4 })
		}, Request{Links: true}},
		{"input", func(seq uint32) []byte {
			return routeVia(seq, v4(), func(r *Route) { r.IIF = some[uint32](4) })
		}, Request{Links: true}},
		{"a nexthop object", func(seq uint32) []byte {
			return routeVia(seq, viaObject(IPv4), func(r *Route) {})
		}, Request{Links: true, Nexthops: true}},
		{"a member of a group", func(seq uint32) []byte {
			return routeVia(seq, viaObject(IPv4), func(r *Route) { r.NexthopID = some[uint32](6) })
		}, Request{Links: true, Nexthops: true}},
		{"a tunnel", func(seq uint32) []byte {
			return routeVia(seq, v4(), func(r *Route) {
				r.Encap = Encap{unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encAttr(seg6LocalOIF, encNE(uint32(4)))}
			})
		}, Request{Links: true}},
		{"a nexthop's tunnel", func(seq uint32) []byte {
			return routeVia(seq, ecmp(IPv4), func(r *Route) {
				r.Multipath[1].OIF = 3
				r.Multipath[1].Encap = Encap{unix.LWTUNNEL_ENCAP_XFRM, encAttr(lwtXfrmLink, encNE(uint32(4)))}
			})
		}, Request{Links: true}},
		{"a choice of interfaces", func(seq uint32) []byte {
			return routeVia(seq, v4(), func(r *Route) { r.OIF = some[uint32](4) })
		}, Request{Filter: Filter{Link: func(l *Link) bool { return l.Name == "v1" }}, Links: true}},
		{"a capture", func(seq uint32) []byte {
			return routeVia(seq, v4(), func(r *Route) { r.OIF = some[uint32](4) })
		}, Request{Links: true, Nexthops: true, raw: true}},
	} {
		objects := func(seq uint32) []byte {
			return slices.Concat(
				message(unix.RTM_NEWNEXTHOP, 0, seq, appendNexthop(nil, &NexthopObject{ID: 5, OIF: 4})),
				message(unix.RTM_NEWNEXTHOP, 0, seq,
					appendNexthop(nil, &NexthopObject{ID: 6, Group: []GroupMember{{5, 1}}})))
		}
		// gone says after which of the listener's answers the interface is gone.
		fake := func(gone func(drains int) bool, hear func(n int) []event) *fakeKernel {
			k := &fakeKernel{t: t, hear: hear}
			read := false // the route
			k.answer = func(r fakeRequest) []event {
				all := []Link{{Index: 3, Name: "v0"}, {Index: 4, Name: "v1"}}
				if gone(k.drains) || read && k.drains == 0 {
					all = all[:1] // it goes after the routes were read
				}
				switch r.typ {
				case unix.RTM_GETLINK:
					return links(r, all...)
				case unix.RTM_GETNEXTHOP:
					return []event{datagram(objects(r.seq)), datagram(done(r.seq, 0))}
				}
				routes := [][]byte{route6(r.seq, 1, 254)}
				if !gone(k.drains) {
					read = true
					routes = slices.Insert(routes, 0, tc.route(r.seq))
				}
				return []event{datagram(routes...), datagram(done(r.seq, 0))}
			}
			return k
		}
		req := tc.req
		req.Families = []Family{IPv4}
		k := fake(func(drains int) bool { return drains > 0 }, func(n int) []event {
			if n == 1 {
				return []event{withoutLink(4, "v1")}
			}
			return nil
		})
		s, err := k.read(req)
		if err != nil || !s.Consistent || s.Tries != 2 || size(s) != 0 {
			t.Errorf("%s: %v, %+v", tc.name, err, s)
		}
		// It comes and goes for ever.
		k = fake(func(int) bool { return false }, func(int) []event { return []event{withoutLink(4, "v1")} })
		s, err = k.read(req)
		if err != nil || s.Consistent || s.Tries != MaxTries || k.logged() != 1 ||
			!strings.Contains(k.log.String(), "links_changed=true") {
			t.Errorf("%s, for ever: %v, %+v, logged %s", tc.name, err, s, &k.log)
		}
	}
}

// TestReadOtherLink has an interface that changes and that no route refers to: what
// was read stays true.
func TestReadOtherLink(t *testing.T) {
	for _, req := range []Request{
		{Filter: Filter{Families: []Family{IPv4}}, Links: true, Nexthops: true},
		{Filter: Filter{Families: []Family{IPv4}, Link: func(l *Link) bool { return l.Name == "v0" }}, Links: true},
		{Filter: Filter{Families: []Family{IPv4}}, Links: true, Nexthops: true, raw: true},
	} {
		k := &fakeKernel{t: t, answer: ordinary, hear: func(int) []event { return []event{datagram(link(0, 9, "v9"))} }}
		if s, err := k.read(req); err != nil || !s.Consistent || s.Tries != 1 || size(s) != 2 {
			t.Errorf("%v, %+v", err, s)
		}
	}
	// It becomes one that the request chooses.
	n := 0
	k := &fakeKernel{t: t, hear: func(int) []event {
		if n == 1 {
			return []event{datagram(link(0, 9, "v0"))}
		}
		return nil
	}, answer: func(r fakeRequest) []event {
		if r.typ != unix.RTM_GETLINK {
			via9 := routeVia(r.seq, v4(), func(r *Route) { r.OIF = some[uint32](9) })
			return []event{datagram(via9, route6(r.seq, 1, 254)), datagram(done(r.seq, 0))}
		}
		if n++; n == 1 {
			return links(r, Link{Index: 3, Name: "v0"}, Link{Index: 9, Name: "v9"})
		}
		return links(r, Link{Index: 9, Name: "v0"})
	}}
	chosen := Filter{Families: []Family{IPv4}, Link: func(l *Link) bool { return l.Name == "v0" }}
	s, err := k.read(Request{Filter: chosen, Links: true})
	if err != nil || !s.Consistent || s.Tries != 2 || size(s) != 1 {
		t.Errorf("%v, %+v", err, s)
	}
	// More of them than are told apart.
	var many []byte
	for i := range uint32(maxDevs + 1) {
		many = append(many, link(0, 1000+i, "v")...)
	}
	k = &fakeKernel{t: t, answer: ordinary, hear: func(n int) []event {
		if n == 1 {
			return []event{{b: many[:len(many)/2]}, {b: many[len(many)/2:]}}
		}
		return nil
	}}
	s, err = k.read(Request{Filter: Filter{Families: []Family{IPv4}}, Links: true})
	if err != nil || !s.Consistent || s.Tries != 2 {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestReadNewLink has an interface that comes with a route, after links were read.
func TestReadNewLink(t *testing.T) {
	k := &fakeKernel{t: t, hear: func(n int) []event {
		if n == 1 {
			return []event{datagram(link(0, 4, "v1"))}
		}
		return nil
	}}
	k.answer = func(r fakeRequest) []event {
		if r.typ == unix.RTM_GETLINK {
			if k.drains == 0 {
				return links(r, Link{Index: 3, Name: "v0"})
			}
			return links(r, Link{Index: 3, Name: "v0"}, Link{Index: 4, Name: "v1"})
		}
		routes := [][]byte{route4(r.seq, 1, 254)}
		if k.drains > 0 {
			routes = append(routes, routeVia(r.seq, v4(), func(r *Route) { r.OIF = some[uint32](4) }))
		}
		return []event{datagram(routes...), datagram(done(r.seq, 0))}
	}
	s, err := k.read(Request{Links: true})
	if l, ok := s.Link(4); err != nil || !s.Consistent || size(s) != 2 || !ok || l.Name != "v1" {
		t.Errorf("%v, %+v", err, s)
	}
}

// TestReadLookUpFails has a kernel that does not look up interfaces.
func TestReadLookUpFails(t *testing.T) {
	for _, tc := range []struct {
		answer func(seq uint32) event
		text   string
	}{
		{func(seq uint32) event { return failed(seq, unix.EIO) }, "look up links: interface 3: input/output error"},
		{func(seq uint32) event { return failed(seq, unix.EPERM) }, "look up links: not permitted: interface 3: "},
		{func(uint32) event { return failure(unix.EIO) }, "look up links: interface 3: input/output error"},
		{func(uint32) event { return failure(errSend) }, "look up links: interface 3: cannot send"},
		{func(uint32) event { return event{b: []byte{1}} }, "malformed datagram"},
		{func(seq uint32) event { return datagram(message(unix.RTM_NEWLINK, 0, seq, nil)) }, "malformed link"},
		{func(uint32) event { return failure(unix.ENOBUFS) }, "look up links: dump interrupted"},
	} {
		answer := func(r fakeRequest) []event { return []event{tc.answer(r.seq)} }
		k := &fakeKernel{t: t, answer: broken(unix.RTM_GETLINK, always, answer)}
		if s, err := k.read(Request{Links: true}); err == nil || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%v, %v, want %s", err, s, tc.text)
		}
	}
	once := func(fakeRequest) []event { return []event{failure(unix.ENOBUFS)} }
	k := &fakeKernel{t: t, answer: broken(unix.RTM_GETLINK, 1, once)}
	if s, err := k.read(Request{Links: true}); err != nil || !s.Consistent || s.Tries != 2 {
		t.Errorf("%v, %+v", err, s)
	}
}

// A linkCounter counts the requests for interfaces.
type linkCounter struct{ dumps, lookUps int }

type countedSocket struct {
	socket
	n *linkCounter
}

func (n *linkCounter) kernel() *Kernel {
	return &Kernel{dial: func(ctx context.Context, groups uint32) (socket, bool, error) {
		s, strict, err := dialKernel(ctx, groups)
		return &countedSocket{s, n}, strict, err
	}, stats: rt6StatsPath}
}

func (s *countedSocket) send(m netlink.Message) (netlink.Message, error) {
	if m.Header.Type == unix.RTM_GETLINK {
		if u32(m.Data[4:]) == 0 {
			s.n.dumps++
		} else {
			s.n.lookUps++
		}
	}
	return s.socket.send(m)
}

// manyLinks makes a namespace with more interfaces than are looked up one by one: v0
// to v3 are used by routes of every kind, in table 500 all are.
func manyLinks(t testing.TB, pairs int) {
	nstest.New(t)
	var lines []string
	for i := range 4 {
		lines = append(lines,
			fmt.Sprintf("link add v%d type veth peer name w%d", i, i),
			fmt.Sprintf("link set v%d up", i), fmt.Sprintf("link set w%d up", i),
			fmt.Sprintf("addr add 10.%d.0.1/24 dev v%d", i, i))
	}
	for i := range pairs {
		lines = append(lines,
			fmt.Sprintf("link add x%d type veth peer name y%d", i, i), fmt.Sprintf("link set x%d up", i))
	}
	nstest.Batch(t, "-4", lines...)
	lines = nil
	for i := range pairs {
		lines = append(lines, fmt.Sprintf("route add 20.%d.%d.0/24 dev x%d table 500", i>>8, i&255, i))
	}
	nstest.Batch(t, "-4", append(lines,
		"route add 30.0.0.0/24 via 10.0.0.2 table 600",
		"route add 30.0.1.0/24 table 600 nexthop via 10.1.0.2 dev v1 nexthop via 10.2.0.2 dev v2",
		"nexthop add id 7 via 10.3.0.2 dev v3",
	)...)
	nstest.IP(t, "nexthop add id 8 group 7")
	nstest.IP(t, "route add 30.0.2.0/24 nhid 8 table 600")
}

// TestReadLooksUpLinks reads few routes of a host with many interfaces, which are not
// dumped, and compares them with a dump.
func TestReadLooksUpLinks(t *testing.T) {
	manyLinks(t, maxLookups+10)
	nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", "0") // routes name their object alone
	c, err := dialer(dialKernel).open(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	dumped, _, err := c.dumpLinks(false)
	if err != nil {
		t.Fatal(err)
	}
	index := func(name string) uint32 {
		for i, l := range dumped {
			if l.Name == name {
				return i
			}
		}
		t.Fatalf("no link %s", name)
		return 0
	}
	all := Request{Links: true, Nexthops: true}
	with := func(change func(*Request)) Request {
		r := all
		change(&r)
		return r
	}
	to := func(dst string) Request {
		return with(func(r *Request) { r.Dsts = []netip.Prefix{netip.MustParsePrefix(dst)} })
	}
	four := []string{"v0", "v1", "v2", "v3"}
	for _, tc := range []struct {
		name  string
		req   Request
		links []string // looked up; nil: all are dumped
	}{
		{"a table", with(func(r *Request) { r.Tables = []uint32{600} }), four},
		{"without objects", with(func(r *Request) { r.Tables, r.Nexthops = []uint32{600}, false }), four[:3]},
		{"a destination", to("30.0.1.0/24"), four[1:3]},
		{"a destination by an object", to("30.0.2.0/24"), four[3:]},
		{"an interface", with(func(r *Request) {
			r.OIFs, r.Families, r.Single = []uint32{index("x3")}, []Family{IPv4}, true
		}), []string{"x3"}},
		{"nothing", with(func(r *Request) { r.Tables = []uint32{77} }), []string{}},
		{"all", all, nil},
		{"a large table", with(func(r *Request) { r.Tables = []uint32{500} }), nil},
		{"a capture", with(func(r *Request) { r.raw, r.Tables = true, []uint32{600} }), nil},
	} {
		var n linkCounter
		s, err := n.kernel().Read(t.Context(), tc.req)
		if err != nil || !s.Consistent {
			t.Fatalf("%s: %v, %+v", tc.name, err, s)
		}
		if tc.links == nil {
			if n.dumps != 1 || n.lookUps != 0 || len(s.links) != len(dumped) {
				t.Errorf("%s: %+v, %d links", tc.name, n, len(s.links))
			}
			continue
		}
		var names []string
		for i, l := range s.links {
			if !reflect.DeepEqual(l, dumped[i]) {
				t.Errorf("%s: link %d is %+v, in a dump %+v", tc.name, i, l, dumped[i])
			}
			names = append(names, l.Name)
		}
		slices.Sort(names)
		if n.dumps != 0 || n.lookUps != len(tc.links) || !slices.Equal(names, tc.links) {
			t.Errorf("%s: %+v, links %v, want %v", tc.name, n, names, tc.links)
		}
	}
}

// TestReadLooksUpTunnelLinks has the interfaces of tunnels, of those that this kernel
// and ip know.
func TestReadLooksUpTunnelLinks(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	nstest.Veth(t, "d0")
	for i, args := range []string{
		"encap seg6local action End.DX2 oif d0 dev v0",
		"nexthop via fd00::2 encap seg6local action End.DX2 oif d0 dev v0 nexthop via fd00::3 dev v0",
	} {
		nstest.IP(t, fmt.Sprintf("-6 route add fd01::/64 table %d %s", 600+i, args))
		s, err := new(Kernel).Read(t.Context(), Request{Filter: Filter{Tables: []uint32{uint32(600 + i)}}, Links: true})
		if err != nil || !s.Consistent || size(s) == 0 {
			t.Fatal(err, s)
		}
		var names []string
		for _, l := range s.links {
			names = append(names, l.Name)
		}
		if slices.Sort(names); !slices.Equal(names, []string{"d0", "v0"}) {
			t.Errorf("%s: links %v", args, names)
		}
	}
}

// linkChurn is how long TestLinkChurn reads, a quarter of it with -short.
const linkChurn = 2 * time.Second

// TestLinkChurn reads while interfaces with routes come and go: a route whose
// interface is not there is in no snapshot that is consistent.
func TestLinkChurn(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	cmd := exec.Command("ip", "-force", "-batch", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan int)
	go func() {
		for n := 0; ; n++ {
			if _, err := fmt.Fprintf(in, "link add t0 type veth peer name t1\naddr add 10.9.0.1/24 dev t0\n"+
				"link set t0 up\nlink set t1 up\n"+
				"route add 20.9.0.0/24 via 10.9.0.2\nroute add 20.9.1.0/24 nexthop via 10.9.0.2 nexthop via 10.0.0.2\n"+
				"route add fd09::/64 dev t0\nlink del t0\n"); err != nil {
				stopped <- n // it was killed
				return
			}
		}
	}()
	reads, consistent, seen := 0, 0, 0
	long := linkChurn / time.Duration(nstest.Amount(1, 4))
	// On a busy machine it takes longer until a read meets the interface.
	for start := time.Now(); time.Since(start) < long || seen == 0 && time.Since(start) < 30*time.Second; reads++ {
		s, err := new(Kernel).Read(t.Context(), Request{Links: true, Nexthops: true})
		if err != nil {
			t.Fatal(err)
		}
		if s.Consistent {
			consistent++
		}
		var hops []Nexthop
		for c := s.Cursor(AllFields); c.Next(); {
			r := c.Route()
			hops = s.Nexthops(r, hops)
			for _, hop := range hops {
				l, ok := s.Link(hop.OIF)
				if l.Name == "t0" {
					seen++
				}
				if s.Consistent && hop.OIF != 0 && !ok {
					t.Errorf("read %d: %v refers to interface %d, which is not there (%d tries)",
						reads, r.Dst, hop.OIF, s.Tries)
				}
			}
		}
	}
	cmd.Process.Kill()
	cmd.Wait()
	rounds := <-stopped
	t.Logf("%d reads, %d consistent, %d routes through the interface, which came %d times",
		reads, consistent, seen, rounds)
	if consistent*2 < reads || seen == 0 || rounds < 20 {
		t.Errorf("this proves nothing: %s", errs.String())
	}
}

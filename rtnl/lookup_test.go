package rtnl

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/fakekernel"
	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// TestReadLookUpFails has a kernel that does not look up interfaces.
func TestReadLookUpFails(t *testing.T) {
	for _, tc := range []struct {
		answer func(seq uint32) event
		text   string
	}{
		{func(seq uint32) event { return datagram(nltest.Failed(seq, uint32(unix.EIO))) },
			"look up links: link 3: input/output error"},
		{func(seq uint32) event { return datagram(nltest.Failed(seq, uint32(unix.EPERM))) },
			"look up links: not permitted: link 3: "},
		{func(uint32) event { return failure(unix.EIO) }, "look up links: link 3: input/output error"},
		{func(uint32) event { return failure(fakekernel.ErrSend) }, "look up links: link 3: cannot send"},
		{func(uint32) event { return event{Datagram: []byte{1}} }, "malformed datagram"},
		{func(seq uint32) event { return datagram(nltest.Padded(unix.RTM_NEWLINK, 0, seq, nil)) }, "malformed link"},
		{func(uint32) event { return failure(unix.ENOBUFS) }, "look up links: dump interrupted"},
	} {
		answer := func(r fakeRequest) []event { return []event{tc.answer(r.Seq)} }
		k := &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETLINK, always, answer)}}
		if s, err := k.read(request(Filter{}, object.Links.Kind)); err == nil ||
			!strings.Contains(err.Error(), tc.text) {
			t.Errorf("%v, %v, want %s", err, s, tc.text)
		}
	}
	once := func(fakeRequest) []event { return []event{failure(unix.ENOBUFS)} }
	k := &fakeKernel{fake: fake{T: t, Answer: broken(unix.RTM_GETLINK, 1, once)}}
	if s, err := k.read(request(Filter{}, object.Links.Kind)); err != nil || !s.Consistent || s.Tries != 2 {
		t.Errorf("%v, %+v", err, s)
	}
}

// A linkCounter counts the requests for interfaces.
type linkCounter struct{ dumps, lookUps int }

type countedSocket struct {
	conn.Socket
	n *linkCounter
}

func (n *linkCounter) kernel() *Kernel {
	return &Kernel{dial: func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
		s, strict, err := conn.Dial(ctx, ns, groups)
		return &countedSocket{s, n}, strict, err
	}, stats: rt6StatsPath}
}

func (s *countedSocket) Send(m netlink.Message) (netlink.Message, error) {
	if m.Header.Type == unix.RTM_GETLINK {
		if wire.U32(m.Data[4:]) == 0 {
			s.n.dumps++
		} else {
			s.n.lookUps++
		}
	}
	return s.Socket.Send(m)
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
	all, err := new(Kernel).Read(t.Context(), Request{Kinds: []*object.Kind{object.Links.Kind}})
	if err != nil {
		t.Fatal(err)
	}
	dumped := byNumber(all, object.Links)
	index := func(name string) uint32 {
		for i, l := range dumped {
			if l.Name == name {
				return i
			}
		}
		t.Fatalf("no link %s", name)
		return 0
	}
	with := func(change func(*Request)) Request {
		r := RouteRequest(Filter{})
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
		{"without objects", request(Filter{Tables: []uint32{600}}, object.Links.Kind), four[:3]},
		{"a destination", to("30.0.1.0/24"), four[1:3]},
		{"a destination by an object", to("30.0.2.0/24"), four[3:]},
		{"an interface", with(func(r *Request) {
			r.OIFs, r.Families, r.Single = []uint32{index("x3")}, []object.Family{object.IPv4}, true
		}), []string{"x3"}},
		{"nothing", with(func(r *Request) { r.Tables = []uint32{77} }), []string{}},
		{"all", RouteRequest(Filter{}), nil},
		{"a large table", with(func(r *Request) { r.Tables = []uint32{500} }), nil},
		{"a capture", everything(Filter{Tables: []uint32{600}}), nil},
	} {
		var n linkCounter
		s, err := n.kernel().Read(t.Context(), tc.req)
		if err != nil || !s.Consistent {
			t.Fatalf("%s: %v, %+v", tc.name, err, s)
		}
		if tc.links == nil {
			if n.dumps != 1 || n.lookUps != 0 || s.Count(object.Links.Kind) != len(dumped) {
				t.Errorf("%s: %+v, %d links", tc.name, n, s.Count(object.Links.Kind))
			}
			continue
		}
		var names []string
		for i, l := range byNumber(s, object.Links) {
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
		s, err := new(Kernel).Read(t.Context(), request(Filter{Tables: []uint32{uint32(600 + i)}}, object.Links.Kind))
		if err != nil || !s.Consistent || size(s) == 0 {
			t.Fatal(err, s)
		}
		var names []string
		for l := range All(s, object.Links) {
			names = append(names, l.Name)
		}
		if slices.Sort(names); !slices.Equal(names, []string{"d0", "v0"}) {
			t.Errorf("%s: links %v", args, names)
		}
	}
}

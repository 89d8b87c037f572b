package rtnl

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// TestForKernel: a kernel that does not check requests strictly is not asked for less.
func TestForKernel(t *testing.T) {
	k := &fakeKernel{fake: fake{T: t, Lax: true, Answer: ordinary}}
	filter := Filter{Families: []object.Family{object.MPLS}, Tables: []uint32{1000},
		Types:     []object.RouteType{object.Local},
		Protocols: []uint8{186}, OIFs: []uint32{3}, Single: true}
	if _, err := k.read(request(filter)); err != nil {
		t.Fatal(err)
	}
	if got, want := k.Routes(), []object.DumpRequest{{Family: object.MPLS}}; !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// filterNetwork makes a namespace with routes that a filter tells apart.
func filterNetwork(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.0.1.1/24", "fd01::1/64")
	nstest.IP(t, "nexthop add id 1 via 10.0.0.2 dev v0")
	nstest.IP(t, "nexthop add id 2 blackhole")
	nstest.IP(t, "-6 nexthop add id 3 blackhole")
	nstest.Batch(t, "-4",
		"route add default via 10.0.0.2 metric 100 proto 16",
		"route add default via 10.0.1.2 metric 200 table 1000",
		"route add 10.2.0.0/16 nexthop via 10.0.0.2 nexthop via 10.0.1.2 weight 3",
		"route add 10.3.0.0/16 nhid 1",
		"route add 10.4.0.0/16 nhid 2",
		"route add blackhole 10.5.0.0/16 proto 186",
		"route add unreachable 10.6.0.0/16 table 4294967294",
		"route add throw 10.7.0.0/16 table 1000",
	)
	nstest.Batch(t, "-6",
		"route add default via fd00::2 metric 4294967295",
		"route add fd04::/64 nexthop via fd00::2 nexthop via fd01::2",
		"route add fd05::/64 nhid 3",
		"route add blackhole fd06::/64 table 1000",
		"route add prohibit fd07::/64 proto 186",
	)
}

// indexOf returns the index of an interface of the namespace.
func indexOf(t *testing.T, name string) uint32 {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(i.Index)
}

// TestFilterKernel compares what the kernel and the filter leave of a namespace
// with what the filter alone does.
func TestFilterKernel(t *testing.T) {
	filterNetwork(t)
	read := func(f Filter) map[string]object.Route {
		t.Helper()
		s, err := new(Kernel).Read(context.Background(), request(f))
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]object.Route{}
		for c := s.Cursor(object.AllFields); c.Next(); {
			r := *c.Route()
			r.Multipath = slices.Clone(r.Multipath)
			if _, twice := all[string(r.AppendID(nil))]; twice {
				t.Errorf("%+v: %s twice", f, r.AppendID(nil))
			}
			all[string(r.AppendID(nil))] = r
		}
		return all
	}
	all := read(Filter{})
	families := [][]object.Family{nil, {object.IPv4}, {object.IPv6}, {object.IPv4, object.IPv6}, {object.MPLS}}
	tables := [][]uint32{nil, {254}, {1000}, {4294967294, 255, 77}, {77}, {1, 2, 3, 4, 5, 6, 7, 8, 254}}
	types := [][]object.RouteType{nil, {object.Unicast}, {object.Blackhole}, {object.Unreachable},
		{object.Local, object.Multicast}, {99}}
	protocols := [][]uint8{nil, {186}, {2}, {3, 16}, {0}}
	v0, v1 := indexOf(t, "v0"), indexOf(t, "v1") // which depend on what else the kernel puts into a namespace
	oifs := [][]uint32{nil, {v0}, {v1}, {v0, v1}, {indexOf(t, "lo")}, {77}}
	dsts := [][]netip.Prefix{nil, {netip.MustParsePrefix("0.0.0.0/0")},
		{netip.MustParsePrefix("::/0"), netip.MustParsePrefix("10.2.0.0/16")}, {netip.MustParsePrefix("10.0.0.0/25")}}
	c := nltest.NewChance(3)
	hits := 0
	for i := range 600 {
		f := Filter{Families: families[c.IntN(len(families))], Single: c.IntN(4) == 0}
		if i%3 > 0 || c.Yes() {
			f.Tables = tables[c.IntN(len(tables))]
		}
		if i%3 > 1 || c.Yes() {
			f.Types = types[c.IntN(len(types))]
		}
		if c.Yes() {
			f.Protocols = protocols[c.IntN(len(protocols))]
		}
		if c.Yes() {
			f.OIFs = oifs[c.IntN(len(oifs))]
		}
		if c.IntN(4) == 0 {
			f.Dsts = dsts[c.IntN(len(dsts))]
		}
		got := read(f)
		for id, r := range all {
			_, there := got[id]
			if r.NexthopID.OK && len(f.OIFs) > 0 && !there && !(r.NexthopID.V == 1 && slices.Contains(f.OIFs, v0)) {
				continue // the kernel knows that the object does not use the interface
			}
			if want := nltest.Matches(&f, &r); want != there {
				t.Errorf("%+v: %s is there: %v", f, id, there)
			} else if want {
				hits++
			}
			delete(got, id)
		}
		if len(got) > 0 {
			t.Errorf("%+v: %d routes that were not there", f, len(got))
		}
		if t.Failed() {
			break
		}
	}
	if hits < 1000 {
		t.Errorf("only %d routes were found: this proves little", hits)
	}
}

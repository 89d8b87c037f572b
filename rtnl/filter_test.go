package rtnl

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"kernelroutes/internal/nstest"
)

// matches says what Filter.match must say, from a route that was decoded.
func matches(f *Filter, r *Route) bool {
	uses := r.NexthopID.OK || slices.ContainsFunc(f.OIFs, func(i uint32) bool {
		return i != 0 && r.OIF == some(i) || slices.ContainsFunc(r.Multipath, func(n Nexthop) bool { return n.OIF == i })
	})
	return (f.Cloned || r.Flags&0x200 == 0) && slices.Contains([]Family{IPv4, IPv6, MPLS, IPMR, IP6MR}, r.Family) &&
		(f.Families == nil || slices.Contains(f.Families, r.Family)) &&
		(f.Tables == nil || slices.Contains(f.Tables, r.Table)) &&
		(f.Types == nil || slices.Contains(f.Types, r.Type)) &&
		(f.Protocols == nil || slices.Contains(f.Protocols, r.Protocol)) &&
		(!f.Single || len(r.Multipath) == 0 || r.NexthopID.OK) &&
		(f.OIFs == nil || uses) &&
		(f.Dsts == nil || r.Dst.IsValid() && slices.Contains(f.Dsts, r.Dst))
}

func TestFilterMatch(t *testing.T) {
	n := 0
	for seed := range uint64(20000) {
		c := newChance(seed)
		r := c.route()
		r.Family = []Family{IPv4, IPv6, MPLS, IPMR, IP6MR, 29}[c.IntN(6)]
		r.Dst, r.Src, r.DstLabel, r.Unknown = netip.Prefix{}, netip.Prefix{}, nil, nil
		if alen := r.Family.addrLen(); alen > 0 {
			r.Dst = netip.PrefixFrom(c.addr(alen), c.IntN(3))
			if c.yes() { // a default route may lack RTA_DST
				a, _ := netip.AddrFromSlice(make([]byte, alen))
				r.Dst = netip.PrefixFrom(a, 0)
			}
		}
		var f Filter
		pick := func() bool { return c.IntN(4) == 0 }
		if pick() {
			f.Families = []Family{IPv4, r.Family, IPMR}[c.IntN(3):]
		}
		if pick() {
			f.Tables = []uint32{254, r.Table, 1}[c.IntN(3):]
		}
		if pick() {
			f.Types = []RouteType{r.Type, Unicast}[c.IntN(2):]
		}
		if pick() {
			f.Protocols = []uint8{r.Protocol, 2}[c.IntN(2):]
		}
		if pick() {
			f.OIFs = []uint32{r.OIF.V, 1, 255}[c.IntN(3):]
			if len(r.Multipath) > 0 && c.yes() {
				f.OIFs = []uint32{r.Multipath[len(r.Multipath)-1].OIF}
			}
		}
		f.Single = pick()
		f.Cloned = pick()
		if pick() {
			f.Dsts = []netip.Prefix{r.Dst, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}[c.IntN(3):]
		}
		b := appendRoute(nil, r)
		if c.yes() && r.Dst.Bits() == 0 && r.Dst.Addr().IsUnspecified() {
			// Without RTA_DST, as the kernel does.
			copy(b[rtmsgLen:], encAttr(rtaPad, make([]byte, r.Family.addrLen())))
		}
		h, err := readHead(b)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		want := matches(&f, r)
		if got := f.match(&h); got != want {
			t.Fatalf("seed %d: %+v and %+v: %v", seed, f, r, got)
		}
		if want {
			n++
			if !f.wants(group{h.family, h.table}) {
				t.Fatalf("seed %d: %+v does not want %v %d", seed, f, h.family, h.table)
			}
		}
	}
	if n < 2000 {
		t.Errorf("only %d of 20000 match: this proves little", n)
	}
}

func TestFilterNothing(t *testing.T) {
	if (&Filter{}).Nothing() || (&Filter{Tables: []uint32{0}}).Nothing() {
		t.Error("a filter that sets no condition, or one, can be met by no route")
	}
	for _, f := range []Filter{{Families: []Family{}}, {Tables: []uint32{}}, {Types: []RouteType{}}, {Protocols: []uint8{}}, {OIFs: []uint32{}}, {Dsts: []netip.Prefix{}}} {
		if !f.Nothing() {
			t.Errorf("%+v can be met", f)
		}
	}
}

func TestFilterRequests(t *testing.T) {
	nine := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, c := range []struct {
		f    Filter
		want []dumpRequest
	}{
		{Filter{}, []dumpRequest{{}}},
		{Filter{Families: []Family{IPv4}}, []dumpRequest{{}}}, // a dump of IPv4 alone does not tell of a route that does not fit
		{Filter{Families: []Family{IPv6, IPMR}}, []dumpRequest{{}}},
		{Filter{Families: []Family{IPMR}}, []dumpRequest{{family: IPMR}}},
		{Filter{Families: []Family{IP6MR, MPLS, MPLS}, Protocols: []uint8{2}}, []dumpRequest{{family: MPLS, protocol: 2}, {family: IP6MR, protocol: 2}}},
		{Filter{Families: []Family{IPMR, MPLS}, Tables: []uint32{254, 7}}, []dumpRequest{
			{family: MPLS, table: 7}, {family: MPLS, table: 254}, {family: IPMR, table: 7}, {family: IPMR, table: 254}}},
		{Filter{Families: []Family{IPMR, MPLS}, Tables: []uint32{254, 7, 254}}, []dumpRequest{
			{family: MPLS, table: 7}, {family: MPLS, table: 254}, {family: IPMR, table: 7}, {family: IPMR, table: 254}}},
		{Filter{Families: []Family{29}}, nil},
		{Filter{Tables: []uint32{254}}, []dumpRequest{{table: 254}}},
		{Filter{Tables: []uint32{1000, 254, 1000}}, []dumpRequest{{table: 254}, {table: 1000}}},
		{Filter{Tables: []uint32{0}}, nil},
		{Filter{Tables: []uint32{0, 4294967295}}, []dumpRequest{{table: 4294967295}}},
		{Filter{Tables: nine[:8]}, []dumpRequest{{table: 1}, {table: 2}, {table: 3}, {table: 4}, {table: 5}, {table: 6}, {table: 7}, {table: 8}}},
		{Filter{Tables: nine, Protocols: []uint8{186}}, []dumpRequest{{protocol: 186}}},
		{Filter{Types: []RouteType{Local}, Protocols: []uint8{2}, Tables: []uint32{255}}, []dumpRequest{{table: 255, typ: Local, protocol: 2}}},
		{Filter{Types: []RouteType{Local, Unicast}, Protocols: []uint8{2, 3}}, []dumpRequest{{}}},
		{Filter{Types: []RouteType{Blackhole}}, []dumpRequest{{}}},
		{Filter{OIFs: []uint32{3}}, []dumpRequest{{}}},
		{Filter{OIFs: []uint32{3}, Single: true}, []dumpRequest{{oif: 3}}},
		{Filter{OIFs: []uint32{3, 4}, Single: true}, []dumpRequest{{}}},
	} {
		if got := c.f.requests(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v:\n got %+v\nwant %+v", c.f, got, c.want)
		}
	}
	got := dumpRequest{IPv6, 1000, Local, 186, 3}.appendTo([]byte{99})
	want := encCat([]byte{99, 10, 0, 0, 0, 0, 186, 0, 2, 0, 0, 0, 0}, encAttr(rtaTable, encNE(uint32(1000))), encAttr(rtaOIF, encNE(uint32(3))))
	if !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if got := (dumpRequest{}).appendTo(nil); !slices.Equal(got, make([]byte, 12)) {
		t.Errorf("got %x", got)
	}
	if got, want := (dumpRequest{IPv6, 1000, Local, 186, 3}).forKernel(false), (dumpRequest{family: IPv6}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestFilterKernel compares what the kernel and the filter leave of a namespace
// with what the filter alone does.
func TestFilterKernel(t *testing.T) {
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
	read := func(f Filter) map[string]Route {
		t.Helper()
		s, err := new(Kernel).Read(context.Background(), Request{Filter: f})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]Route{}
		for c := s.Cursor(AllFields); c.Next(); {
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
	families := [][]Family{nil, {IPv4}, {IPv6}, {IPv4, IPv6}, {MPLS}}
	tables := [][]uint32{nil, {254}, {1000}, {4294967294, 255, 77}, {77}, {1, 2, 3, 4, 5, 6, 7, 8, 254}}
	types := [][]RouteType{nil, {Unicast}, {Blackhole}, {Unreachable}, {Local, Multicast}, {99}}
	protocols := [][]uint8{nil, {186}, {2}, {3, 16}, {0}}
	oifs := [][]uint32{nil, {3}, {5}, {3, 5}, {1}, {77}}
	dsts := [][]netip.Prefix{nil, {netip.MustParsePrefix("0.0.0.0/0")}, {netip.MustParsePrefix("::/0"), netip.MustParsePrefix("10.2.0.0/16")}, {netip.MustParsePrefix("10.0.0.0/25")}}
	c := newChance(3)
	hits := 0
	for i := range 600 {
		f := Filter{Families: families[c.IntN(len(families))], Single: c.IntN(4) == 0}
		if i%3 > 0 || c.yes() {
			f.Tables = tables[c.IntN(len(tables))]
		}
		if i%3 > 1 || c.yes() {
			f.Types = types[c.IntN(len(types))]
		}
		if c.yes() {
			f.Protocols = protocols[c.IntN(len(protocols))]
		}
		if c.yes() {
			f.OIFs = oifs[c.IntN(len(oifs))]
		}
		if c.IntN(4) == 0 {
			f.Dsts = dsts[c.IntN(len(dsts))]
		}
		got := read(f)
		for id, r := range all {
			_, there := got[id]
			if r.NexthopID.OK && f.OIFs != nil && !there && !(r.NexthopID.V == 1 && slices.Contains(f.OIFs, 3)) {
				continue // the kernel knows that the object does not use the interface
			}
			if want := matches(&f, &r); want != there {
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

func TestChooseLinks(t *testing.T) {
	links := map[uint32]Link{1: {Index: 1, Name: "lo"}, 3: {Index: 3, Name: "v0"}, 5: {Index: 5, Name: "v1"}}
	for _, c := range []struct {
		oifs []uint32
		name string
		want []uint32
	}{
		{nil, "v0", []uint32{3}}, {[]uint32{3, 5}, "v0", []uint32{3}}, {[]uint32{5}, "v0", []uint32{}}, {nil, "x", []uint32{}},
	} {
		f := Filter{OIFs: c.oifs, Link: func(l *Link) bool { return l.Name == c.name }}
		if f.chooseLinks(links); fmt.Sprint(f.OIFs) != fmt.Sprint(c.want) || f.OIFs == nil {
			t.Errorf("%v and %s: got %v, want %v", c.oifs, c.name, f.OIFs, c.want)
		}
	}
}

// TestFilterLongLists: deciding about a route costs the same however long the lists
// are (of IN (SELECT ...)), and choosing interfaces too.
func TestFilterLongLists(t *testing.T) {
	const long = 100_000
	h := routeHead{family: IPv4, table: 254, typ: Unicast, oif: 1 << 30, dst: []byte{10, 0, 0, 0}, dstLen: 8,
		hops: make([]byte, rtnhLen)}
	h.hops[0] = rtnhLen
	links := map[uint32]Link{}
	for i := range uint32(long) {
		links[1<<20+i] = Link{Index: 1<<20 + i}
	}
	ask := func(n int, list func(*Filter, uint32)) {
		var f Filter
		for i := range uint32(n) {
			list(&f, 1000+i)
		}
		f.prepare()
		for range long {
			if f.match(&h) {
				t.Fatal("a route matches that is not asked for")
			}
		}
		if f.OIFs != nil {
			f.Link = func(*Link) bool { return true }
			if f.chooseLinks(links); len(f.OIFs) > 0 {
				t.Fatal("an interface is chosen that is not asked for")
			}
		}
	}
	// With lists that are gone through these are minutes.
	for _, list := range []func(*Filter, uint32){
		func(f *Filter, n uint32) { f.Tables = append(f.Tables, n) },
		func(f *Filter, n uint32) { f.OIFs = append(f.OIFs, n) },
		func(f *Filter, n uint32) {
			f.Dsts = append(f.Dsts, netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(n >> 16), byte(n >> 8), byte(n)}), 32))
		},
	} {
		ask(2, list)
		ask(long, list)
	}
	many := Request{Filter: Filter{Tables: make([]uint32, long)}}
	for i := range many.Tables {
		many.Tables[i] = uint32(i)
	}
	if u := many.Union(Request{Filter: Filter{Tables: []uint32{7, long}}}); len(u.Tables) != long+1 {
		t.Errorf("a union of %d tables", len(u.Tables))
	}
}

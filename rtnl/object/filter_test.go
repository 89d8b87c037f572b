package object_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
)

func TestFilterMatch(t *testing.T) {
	n := 0
	for seed := range uint64(20000) {
		c := NewChance(seed)
		r := c.Route()
		r.Family = []Family{IPv4, IPv6, MPLS, IPMR, IP6MR, 29}[c.IntN(6)]
		r.Dst, r.Src, r.DstLabel, r.Unknown = netip.Prefix{}, netip.Prefix{}, nil, nil
		if alen := r.Family.AddrLen(); alen > 0 {
			r.Dst = netip.PrefixFrom(c.Addr(alen), c.IntN(3))
			if c.Yes() { // a default route may lack RTA_DST
				a, _ := netip.AddrFromSlice(make([]byte, alen))
				r.Dst = netip.PrefixFrom(a, 0)
			}
		}
		f := someFilter(c, r)
		b := AppendRoute(nil, r)
		if c.Yes() && r.Dst.Bits() == 0 && r.Dst.Addr().IsUnspecified() {
			// Without RTA_DST, as the kernel does.
			copy(b[RtmsgLen:], Attr(RTA_PAD, make([]byte, r.Family.AddrLen())))
		}
		m, err := check(Routes.Kind, b)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		want := Matches(&f, r)
		if got := f.Match(m); got != want {
			t.Fatalf("seed %d: %+v and %+v: %v", seed, f, r, got)
		}
		if want {
			n++
			if table := Routes.Table(m); !f.Wants(table) {
				t.Fatalf("seed %d: %+v does not want %v", seed, f, table)
			}
		}
	}
	if n < 2000 {
		t.Errorf("only %d of 20000 match: this proves little", n)
	}
}

// someFilter is a filter that a route may well meet.
func someFilter(c Chance, r *Route) (f Filter) {
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
		if len(r.Multipath) > 0 && c.Yes() {
			f.OIFs = []uint32{r.Multipath[len(r.Multipath)-1].OIF}
		}
	}
	f.Single = pick()
	f.Cloned = pick()
	if pick() {
		f.Dsts = []netip.Prefix{r.Dst, netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}[c.IntN(3):]
	}
	if c.Yes() {
		f.Prepare()
	}
	return f
}

// TestFilterNone: a condition that no route meets, and one that is none.
func TestFilterNone(t *testing.T) {
	m, err := check(Routes.Kind, AppendRoute(nil, V4()))
	if err != nil {
		t.Fatal(err)
	}
	table := Routes.Table(m)
	for _, f := range []Filter{{}, {Families: []Family{}}, {Tables: []uint32{}}, {Types: []RouteType{}},
		{Protocols: []uint8{}}, {OIFs: []uint32{}}, {Dsts: []netip.Prefix{}}} {
		f.Prepare()
		if !f.Match(m) || !f.Wants(table) {
			t.Errorf("%+v lets nothing through", f)
		}
		f.None = true
		if f.Match(m) || f.Wants(table) {
			t.Errorf("%+v can be met", f)
		}
	}
}

func TestFilterRequests(t *testing.T) {
	nine := []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9}
	for _, c := range []struct {
		f    Filter
		want []DumpRequest
	}{
		{Filter{}, []DumpRequest{{}}},
		// a dump of IPv4 alone does not tell of a route that does not fit
		{Filter{Families: []Family{IPv4}}, []DumpRequest{{}}},
		{Filter{Families: []Family{IPv6, IPMR}}, []DumpRequest{{}}},
		{Filter{Families: []Family{IPMR}}, []DumpRequest{{Family: IPMR}}},
		{Filter{Families: []Family{IP6MR, MPLS, MPLS}, Protocols: []uint8{2}},
			[]DumpRequest{{Family: MPLS, Protocol: 2}, {Family: IP6MR, Protocol: 2}}},
		{Filter{Families: []Family{IPMR, MPLS}, Tables: []uint32{254, 7}}, []DumpRequest{
			{Family: MPLS, Table: 7}, {Family: MPLS, Table: 254}, {Family: IPMR, Table: 7},
			{Family: IPMR, Table: 254}}},
		{Filter{Families: []Family{IPMR, MPLS}, Tables: []uint32{254, 7, 254}}, []DumpRequest{
			{Family: MPLS, Table: 7}, {Family: MPLS, Table: 254}, {Family: IPMR, Table: 7},
			{Family: IPMR, Table: 254}}},
		{Filter{Families: []Family{29}}, nil},
		{Filter{Tables: []uint32{254}}, []DumpRequest{{Table: 254}}},
		{Filter{Tables: []uint32{1000, 254, 1000}}, []DumpRequest{{Table: 254}, {Table: 1000}}},
		{Filter{Tables: []uint32{0}}, nil},
		{Filter{Tables: []uint32{0, 4294967295}}, []DumpRequest{{Table: 4294967295}}},
		{Filter{Tables: nine[:8]}, []DumpRequest{{Table: 1}, {Table: 2}, {Table: 3}, {Table: 4}, {Table: 5}, {Table: 6},
			{Table: 7}, {Table: 8}}},
		{Filter{Tables: nine, Protocols: []uint8{186}}, []DumpRequest{{Protocol: 186}}},
		{Filter{Types: []RouteType{Local}, Protocols: []uint8{2}, Tables: []uint32{255}},
			[]DumpRequest{{Table: 255, Type: Local, Protocol: 2}}},
		{Filter{Types: []RouteType{Local, Unicast}, Protocols: []uint8{2, 3}}, []DumpRequest{{}}},
		{Filter{Types: []RouteType{Blackhole}}, []DumpRequest{{}}},
		{Filter{OIFs: []uint32{3}}, []DumpRequest{{}}},
		{Filter{OIFs: []uint32{3}, Single: true}, []DumpRequest{{OIF: 3}}},
		{Filter{OIFs: []uint32{3, 4}, Single: true}, []DumpRequest{{}}},
	} {
		if got := c.f.Requests(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v:\n got %+v\nwant %+v", c.f, got, c.want)
		}
	}
	got := DumpRequest{IPv6, 1000, Local, 186, 3}.AppendTo([]byte{99})
	want := Cat([]byte{99, 10, 0, 0, 0, 0, 186, 0, 2, 0, 0, 0, 0}, Attr(RTA_TABLE, NE(uint32(1000))),
		Attr(RTA_OIF, NE(uint32(3))))
	if !slices.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	if got := (DumpRequest{}).AppendTo(nil); !slices.Equal(got, make([]byte, 12)) {
		t.Errorf("got %x", got)
	}
}

// linkRuns returns the messages of some links.
func linkRuns(t *testing.T, links ...*Link) []Run {
	var log Messages
	for _, l := range links {
		m, err := check(Links.Kind, AppendLink(nil, l))
		if err != nil {
			t.Fatal(err)
		}
		log.Add(m)
	}
	return log.Runs
}

func TestChoose(t *testing.T) {
	links := linkRuns(t, &Link{Index: 1, Name: "lo"}, &Link{Index: 3, Name: "v0"}, &Link{Index: 5, Name: "v1"})
	for _, c := range []struct {
		oifs []uint32
		name string
		want []uint32
	}{
		{nil, "v0", []uint32{3}}, {[]uint32{3, 5}, "v0", []uint32{3}}, {[]uint32{5}, "v0", []uint32{}},
		{nil, "x", []uint32{}},
	} {
		f := Filter{OIFs: c.oifs, Link: func(l *Link) bool { return l.Name == c.name }}
		if f.Choose(links); fmt.Sprint(f.OIFs) != fmt.Sprint(c.want) || f.None != (len(c.want) == 0) {
			t.Errorf("%v and %s: got %v, want %v", c.oifs, c.name, f.OIFs, c.want)
		}
	}
}

// TestFilterLongLists: deciding about a route costs the same however long the lists
// are (of IN (SELECT ...)), and choosing interfaces too.
func TestFilterLongLists(t *testing.T) {
	const long = 100_000
	m, err := check(Routes.Kind, AppendRoute(nil,
		&Route{Family: IPv4, Table: 254, Type: Unicast, OIF: Some[uint32](1 << 30),
			Dst: netip.MustParsePrefix("10.0.0.0/8"), Multipath: []Nexthop{{Weight: 1}}}))
	if err != nil {
		t.Fatal(err)
	}
	var all []*Link
	for i := range uint32(long) {
		all = append(all, &Link{Index: 1<<20 + i})
	}
	links := linkRuns(t, all...)
	ask := func(n int, list func(*Filter, uint32)) {
		var f Filter
		for i := range uint32(n) {
			list(&f, 1000+i)
		}
		f.Prepare()
		for range long {
			if f.Match(m) {
				t.Fatal("a route matches that is not asked for")
			}
		}
		if f.OIFs != nil {
			f.Link = func(*Link) bool { return true }
			if f.Choose(links); len(f.OIFs) > 0 {
				t.Fatal("an interface is chosen that is not asked for")
			}
		}
	}
	// With lists that are gone through these are minutes.
	for _, list := range []func(*Filter, uint32){
		func(f *Filter, n uint32) { f.Tables = append(f.Tables, n) },
		func(f *Filter, n uint32) { f.OIFs = append(f.OIFs, n) },
		func(f *Filter, n uint32) {
			f.Dsts = append(f.Dsts, netip.PrefixFrom(netip.AddrFrom4([4]byte{20, byte(n >> 16), byte(n >> 8), byte(n)}),
				32))
		},
	} {
		ask(2, list)
		ask(long, list)
	}
	many := Filter{Tables: make([]uint32, long)}
	for i := range many.Tables {
		many.Tables[i] = uint32(i)
	}
	if u := many.Union(&Filter{Tables: []uint32{7, long}}); len(u.Tables) != long+1 {
		t.Errorf("a union of %d tables", len(u.Tables))
	}
}

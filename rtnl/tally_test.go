package rtnl

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"kernelroutes/internal/fakekernel"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// byAll tells routes apart by everything, and counts everything.
var byAll = object.Grouping{Family: true, Table: true, Protocol: true, Type: true, Scope: true, Output: true,
	Nexthops: true, Defaults: true}

// A reader answers requests.
type reader interface {
	Read(context.Context, Request) (*Snapshot, error)
}

// tally counts the routes of a request.
func tally(t testing.TB, from reader, req Request, by object.Grouping) *Snapshot {
	t.Helper()
	req.CountBy = &by
	s, err := from.Read(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	if size(s) > 0 {
		t.Errorf("%d routes are kept", size(s))
	}
	return s
}

// groupsOf returns the groups of routes by their class, of each only one.
func groupsOf(t *testing.T, s *Snapshot) map[object.Class]object.Counts {
	t.Helper()
	groups := map[object.Class]object.Counts{}
	for _, g := range s.Groups {
		if _, twice := groups[g.Class]; twice {
			t.Errorf("%+v is there twice", g.Class)
		}
		groups[g.Class] = g.Counts
	}
	return groups
}

// countedFrom counts the routes of a snapshot by all that tells them apart, each from what
// it is decoded to.
func countedFrom(s *Snapshot) map[object.Class]object.Counts {
	all := map[object.Class]object.Counts{}
	for r := range s.Routes(object.AllFields) {
		hops := s.Nexthops(r, nil)
		class := object.Class{Family: r.Family, Protocol: r.Protocol, Type: r.Type, Scope: r.Scope, Table: r.Table}
		switch {
		case !r.NexthopID.OK:
			class.Output = r.OIF
		case len(hops) == 1:
			class.Output = object.Some(hops[0].OIF)
		}
		n := object.Counts{Routes: 1, Nexthops: len(hops)}
		if len(hops) > 1 {
			n.Multipath = 1
		}
		if r.Dst.IsValid() && r.Dst.Bits() == 0 {
			n.Defaults = 1
		}
		sum := all[class]
		sum.Add(n)
		all[class] = sum
	}
	return all
}

// TestTally counts routes with and without nexthop objects, of the kernel, of what a cache
// holds and of a snapshot, and compares with what is read.
func TestTally(t *testing.T) {
	nstest.New(t)
	someOfAll(t)
	nstest.Batch(t, "-N", "nexthop add id 6 via 10.9.0.3 dev w0", "nexthop add id 7 blackhole",
		"nexthop add id 8 group 5/6",
		"nexthop add id 9 group 7", "nexthop add id 10 group 6", "nexthop add id 11 via fd09::2 dev w0",
		"nexthop add id 12 group 11", "route add 22.0.0.0/8 nhid 8", "route add 23.0.0.0/8 nhid 7",
		"route add 24.0.0.0/8 nhid 9", "route add 25.0.0.0/8 nhid 10", "route add fd21::/64 nhid 12",
		"route add fd22::/64 nhid 11", "route add default via 10.9.0.2", "route add default via fd09::2 metric 5",
		"route add 26.0.0.0/8 nexthop via 10.9.0.2 nexthop via 10.9.0.3", "route add blackhole 27.0.0.0/8")
	for _, compat := range []string{"1", "0"} {
		nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", compat)
		for _, f := range []Filter{
			{}, {Families: []object.Family{object.IPv6}}, {Tables: []uint32{254, 1000}}, {None: true},
			{Link: func(l *object.Link) bool { return l.Name == "w0" }}, {Protocols: []uint8{3}, Single: true},
		} {
			req := request(f, object.Links.Kind, object.NexthopObjects.Kind)
			s, err := new(Kernel).Read(t.Context(), req)
			if err != nil || !s.Consistent {
				t.Fatal(err, s)
			}
			want := countedFrom(s)
			cache := &Cache{}
			sources := map[string]reader{"kernel": new(Kernel), "cache": cache, "instant": s.Instant(nil)}
			for name, source := range sources {
				counted := tally(t, source, request(f, object.Links.Kind), byAll)
				if got := groupsOf(t, counted); !maps.Equal(got, want) || !counted.Consistent {
					t.Errorf("%s, compat mode %s, %+v:\n got %+v\nwant %+v", name, compat, f, got, want)
				}
				for class := range want {
					if _, ok := counted.Link(class.Output.V); class.Output.OK && !ok {
						t.Errorf("%s: interface %d is not known", name, class.Output.V)
					}
				}
			}
			cache.Close()
		}
	}
	for _, req := range []Request{everything(Filter{}), {}, {Kinds: []*object.Kind{object.Links.Kind}}} {
		req.CountBy = &byAll
		if _, err := new(Kernel).Read(t.Context(), req); err == nil {
			t.Errorf("%v are counted by class", req.Kinds)
		}
	}
}

// TestTallyHeld answers look-ups from what a cache holds, with counts that are true.
func TestTallyHeld(t *testing.T) {
	nstest.New(t)
	someOfAll(t)
	cache := &Cache{}
	defer cache.Close()
	req := request(Filter{Dsts: []netip.Prefix{netip.MustParsePrefix("20.0.0.0/8"),
		netip.MustParsePrefix("21.0.0.0/8")}})
	for range 4 {
		s := tally(t, cache, req, object.Grouping{Protocol: true, Nexthops: true})
		if len(s.Groups) != 1 || s.Groups[0].Counts != (object.Counts{Routes: 2, Nexthops: 2}) {
			t.Fatal(s.Groups)
		}
	}
}

// TestSimulationTally counts the routes of a simulated kernel by table: of each their
// number is that of some time while it was asked.
func TestSimulationTally(t *testing.T) {
	counted, all := 0, 0
	for seed := range uint64(nstest.Amount(500, 100)) {
		k := fakekernel.NewSimulation(seed)
		untouched := map[object.Table]int{}
		for _, table := range k.Untouched {
			untouched[table]++
		}
		req := request(Filter{})
		req.CountBy = &object.Grouping{Family: true, Table: true}
		s, err := (&Kernel{dial: k.Dial}).Read(t.Context(), req)
		all++
		if err != nil || !s.Consistent {
			continue
		}
		counted++
		total := 0
		for _, g := range s.Groups {
			table := object.Table{Family: g.Family, ID: g.Table}
			if g.Routes < untouched[table] {
				t.Errorf("seed %d: %d routes of %v, of which %d are there all the time", seed, g.Routes, table,
					untouched[table])
			}
			delete(untouched, table)
			total += g.Routes
		}
		if len(untouched) > 0 || total > k.Alive() {
			t.Errorf("seed %d: %d routes of %d, without %v", seed, total, k.Alive(), untouched)
		}
	}
	if counted*2 < all {
		t.Errorf("only %d of %d are counted", counted, all)
	}
}

// TestTallyBytes counts 25,000 routes of both families: none of them is kept.
func TestTallyBytes(t *testing.T) {
	manyRoutes(t, 20_000)
	var lines []string
	for i := range 5000 {
		lines = append(lines, fmt.Sprintf("route add fd05:%x::/64 via fd00::%x proto bgp", i, 2+i%7))
	}
	nstest.Batch(t, "-6", lines...)
	least := uint64(1 << 62)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := tally(t, new(Kernel), request(Filter{Protocols: []uint8{186}}), byAll)
		runtime.ReadMemStats(&after)
		if len(s.Groups) != 2 || s.Groups[0].Routes+s.Groups[1].Routes != 25_000 {
			t.Fatal(s.Groups)
		}
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	if least > 512<<10 { // the routes are 3 MiB; datagrams are received into 32 KiB each
		t.Errorf("%d bytes are allocated", least)
	}
}

// TestTallyChurn counts routes of both families again and again while another process
// changes others among them: of 1,000 that nobody touches none is missed, or counted twice.
func TestTallyChurn(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	const untouched = 1000
	var lines []string
	for i := range untouched {
		lines = append(lines, fmt.Sprintf("route add 20.%d.%d.0/24 via 10.0.0.9 proto 99", i/200, i%200),
			fmt.Sprintf("route add fd01:%x:%x::/64 via fd00::9 proto 99", i/200, i%200))
	}
	nstest.Batch(t, "-N", lines...)
	c := churn(t, "-N", func(i int) string {
		verb := []string{"add", "del"}[i/2%2]
		n := i / 4 * 7919 % untouched
		if i%2 == 0 {
			return fmt.Sprintf("route %s 20.%d.%d.%d/32 via 10.0.0.8 proto 98", verb, n/200, n%200, 1+i/4%200)
		}
		return fmt.Sprintf("route %s fd01:%x:%x:%x::/80 via fd00::8 proto 98", verb, n/200, n%200, 1+i/4%200)
	})
	defer func() {
		close(c.stop)
		<-c.done
	}()
	dumps := nstest.Amount(200, 30)
	consistent, start := 0, time.Now()
	for i := range dumps {
		s := tally(t, new(Kernel), request(Filter{}), object.Grouping{Family: true, Protocol: true})
		groups := groupsOf(t, s)
		if !s.Consistent {
			continue
		}
		consistent++
		for _, f := range []object.Family{object.IPv4, object.IPv6} {
			if n := groups[object.Class{Family: f, Protocol: 99}].Routes; n != untouched {
				t.Errorf("dump %d: %d %v routes of %d", i, n, f, untouched)
			}
		}
	}
	rate := float64(c.changes.Load()) / time.Since(start).Seconds()
	t.Logf("%d of %d consistent, beside %.0f changes a second", consistent, dumps, rate)
	if consistent*2 < dumps {
		t.Errorf("only %d of %d are consistent", consistent, dumps)
	}
}

// TestTallyObjectChurn counts routes that share a group of nexthop objects which is given
// two and three members in turn: all of them have as many in each answer.
func TestTallyObjectChurn(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	const routes = 500
	lines := []string{"nexthop add id 1 via 10.0.0.2 dev v0", "nexthop add id 2 via 10.0.0.3 dev v0",
		"nexthop add id 3 via 10.0.0.4 dev v0", "nexthop add id 9 group 1/2"}
	for i := range routes {
		lines = append(lines, fmt.Sprintf("route add 20.%d.%d.0/24 nhid 9", i/200, i%200))
	}
	nstest.Batch(t, "-N", lines...)
	// Each replacement is told of for every route, so that faster ones would leave a slow machine
	// no time between two.
	stop := nstest.Every(t, 20*time.Millisecond, "nexthop replace id 9 group 1/2/3", "nexthop replace id 9 group 1/2")
	dumps, consistent := nstest.Amount(300, 50), 0
	seen := map[int]int{}
	for range dumps {
		s := tally(t, new(Kernel), request(Filter{Protocols: []uint8{3}}), object.Grouping{Nexthops: true})
		if len(s.Groups) != 1 {
			t.Fatal(s.Groups)
		}
		if s.Consistent {
			consistent++
			g := s.Groups[0]
			seen[g.Nexthops]++
			if g.Routes != routes || g.Multipath != routes || g.Nexthops != 2*routes && g.Nexthops != 3*routes {
				t.Errorf("%+v", g.Counts)
			}
		}
	}
	t.Logf("%d of %d consistent beside %d changes: %v", consistent, dumps, stop(), seen)
	if consistent == 0 {
		t.Error("none is consistent: this proves nothing")
	}
}

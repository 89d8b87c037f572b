package rtnl

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
)

// texts are the routes of a snapshot, each with all that is known of it.
func texts(s *Snapshot) (all []string) {
	for c := s.Cursor(AllFields); c.Next(); {
		r := c.Route()
		text := string(r.AppendID(nil)) + fmt.Sprintf(" %+v", *r)
		for _, n := range s.Nexthops(r, nil) {
			l, ok := s.Link(n.OIF)
			text += fmt.Sprintf(" %v %v %v", n, l, ok)
		}
		all = append(all, text)
	}
	return all
}

// TestInstant asks an instant and the kernel the same.
func TestInstant(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	nstest.Veth(t, "v1", "10.1.0.1/16")
	nstest.IP(t, "nexthop add id 5 via 10.0.0.7 dev v0")
	var lines []string
	for i := range 60 {
		lines = append(lines, fmt.Sprintf("route add 20.0.%d.0/24 via 10.%d.0.9 metric %d table %d", i/3, i%2, i%3, 254+i/20),
			fmt.Sprintf("route append fd20:%x::/48 via fd00::%x table %d", i/3+1, i+2, 254+i/20))
	}
	lines = append(lines, "route add 22.0.0.0/8 nhid 5", "route add blackhole 23.0.0.0/8 proto static",
		"route add 24.0.0.0/8 nexthop via 10.0.0.8 nexthop via 10.1.0.8")
	nstest.Batch(t, "-N", lines...)
	// Replacing one of two routes can leave two that are alike.
	nstest.Batch(t, "-6", "route add fd06::/64 dev v0", "route append fd06::/64 dev v1", "route replace fd06::/64 dev v1")
	ctx := context.Background()
	k := &Kernel{}
	whole, err := k.Read(ctx, Request{Links: true, Nexthops: true})
	if err != nil {
		t.Fatal(err)
	}
	instant := whole.Instant()
	dsts := []netip.Prefix{netip.MustParsePrefix("99.0.0.0/8"), netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("fd20:1::/48")}
	for c := whole.Cursor(FieldDst); c.Next(); {
		if d := c.Route().Dst; !slices.Contains(dsts, d) {
			dsts = append(dsts, d)
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	some := func(n int) bool { return rnd.IntN(n) == 0 }
	for range 300 {
		req := Request{Links: true, Nexthops: true}
		if some(2) {
			req.Families = []Family{[]Family{IPv4, IPv6, IPMR}[rnd.IntN(3)]}
		}
		if some(3) {
			req.Tables = []uint32{254 + uint32(rnd.IntN(4))}
		}
		if some(4) {
			req.Types = []RouteType{Unicast, Blackhole}[rnd.IntN(2):]
		}
		if some(4) {
			req.Protocols = []uint8{2, 3, 4}[rnd.IntN(3):]
		}
		if some(4) {
			req.Link = func(l *Link) bool { return l.Name == "v0" }
			req.Single = some(2)
		}
		if some(2) {
			rnd.Shuffle(len(dsts), func(i, j int) { dsts[i], dsts[j] = dsts[j], dsts[i] })
			req.Dsts = append([]netip.Prefix{dsts[0]}, dsts[:rnd.IntN(3*many)]...)
		}
		want, err := k.Read(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := instant.Read(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		// Destinations that are looked up come in the order of the list.
		a, b := texts(want), texts(got)
		if len(req.Dsts) > 0 {
			slices.Sort(a)
			slices.Sort(b)
		}
		if !slices.Equal(a, b) || got.Consistent != want.Consistent {
			t.Fatalf("%+v:\ngot  %d %q\nwant %d %q", req, len(b), b, len(a), a)
		}
	}
	seen := map[string]bool{}
	for c := whole.Cursor(FieldID); c.Next(); {
		id := string(c.Route().AppendID(nil))
		if seen[id] {
			t.Errorf("two routes are %s", id)
		}
		seen[id] = true
		s, err := instant.Read(ctx, Request{IDs: []string{id, "ipv4:254:99.0.0.0/8:0000000000000000"}})
		if err != nil {
			t.Fatal(err)
		}
		if all := texts(s); !slices.ContainsFunc(all, func(text string) bool { return strings.HasPrefix(text, id+" ") }) || len(all) > 3 {
			t.Errorf("%s is looked up: %q", id, all)
		}
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := instant.Read(canceled, Request{}); err == nil {
		t.Error("a request that was canceled is answered")
	}
}

// TestUnion: what either request brings, their union brings.
func TestUnion(t *testing.T) {
	all := []Request{
		{},
		{Filter: Filter{Families: []Family{IPv4}}},
		{Filter: Filter{Families: []Family{}}},
		{Filter: Filter{Tables: []uint32{1, 2}}, Links: true},
		{Filter: Filter{Tables: []uint32{2, 3}, Types: []RouteType{Unicast}}, Nexthops: true},
		{Filter: Filter{Protocols: []uint8{4}, Dsts: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, Count: true},
		{Filter: Filter{OIFs: []uint32{7}, Single: true, Cloned: true}},
		{Filter: Filter{Link: func(*Link) bool { return true }}},
	}
	addr := []byte{10, 0, 0, 0}
	for _, a := range all {
		for _, b := range all {
			u := a.Union(b)
			if u.Count || (a.Links || b.Links || a.Link != nil || b.Link != nil) != u.Links || (a.Nexthops || b.Nexthops) != u.Nexthops {
				t.Errorf("%+v and %+v: %+v", a, b, u)
			}
			for _, table := range []uint32{1, 2, 3} {
				for _, proto := range []uint8{3, 4} {
					for _, h := range []routeHead{
						{family: IPv4, table: table, protocol: proto, typ: Unicast, dst: addr, dstLen: 8, oif: 7},
						{family: IPv6, table: table, protocol: proto, typ: Local, flags: 0x200},
					} {
						if (a.match(&h) || b.match(&h)) && !u.match(&h) {
							t.Errorf("%+v and %+v: their union %+v excludes %+v", a, b, u, h)
						}
					}
				}
			}
		}
	}
}

// A clock is set by hand.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

// recalling returns a cache over a fake kernel and its clock.
func recalling(t *testing.T) (*Cache, *recall, *clock) {
	k := &fakeKernel{t: t, answer: ordinary}
	c := &Cache{Kernel: *k.kernel()}
	t.Cleanup(c.Close)
	at := &clock{time.Now()}
	c.once.Do(func() { c.recall = newRecall() })
	c.recall.now = at.now
	return c, c.recall, at
}

// give makes a cache give out all routes, and returns their identities.
func give(t *testing.T, c *Cache) (ids []string) {
	t.Helper()
	s, err := c.Read(context.Background(), Request{GivesIDs: true})
	if err != nil {
		t.Fatal(err)
	}
	for at := s.Cursor(FieldID); at.Next(); {
		ids = append(ids, string(at.Route().AppendID(nil)))
	}
	if len(ids) < 3 {
		t.Fatal("a host with hardly a route")
	}
	return ids
}

// TestRecallTime: an identity is known for a time after it was given out, and after
// it was looked up first, however often it is looked up.
func TestRecallTime(t *testing.T) {
	c, r, at := recalling(t)
	ids := give(t, c)
	pass := func(d time.Duration) { at.Time = at.Add(d) }
	known := func(want bool, ids ...string) {
		t.Helper()
		found, left := r.find(ids)
		if got := len(found) == 1 && len(left) == 0; got != want {
			t.Errorf("%q: known: %v", ids, got)
		}
	}
	known(false, "ipv4:254:99.0.0.0/8:0000000000000000")
	known(false, ids[2], "ipv4:254:99.0.0.0/8:0000000000000000")
	pass(RecallTime - 1)
	known(true, ids[1])
	known(true, ids[1], ids[2], ids[1])
	pass(RecallTime - 1) // a join that goes on
	known(true, ids[0])
	known(true, ids[1])
	pass(2)
	known(false, ids[1]) // somebody who asks again and again
	known(true, ids[0])
	newer := give(t, c)
	known(true, newer[1])
	pass(RecallTime)
	known(false, ids[0])
	if len(r.ids) != 0 || r.answers.Len() != 0 || r.bytes != 0 || len(r.fresh) != 0 {
		t.Errorf("still remembered: %d identities of %d answers, %d bytes", len(r.ids), r.answers.Len(), r.bytes)
	}
}

// TestRecallBound: as many answers are remembered as memory is allowed for, those
// that were used last.
func TestRecallBound(t *testing.T) {
	c, r, at := recalling(t)
	ids := give(t, c)
	one := r.bytes
	r.limit = 3 * one
	for range 10 {
		at.Time = at.Add(time.Millisecond)
		give(t, c)
	}
	if r.answers.Len() != 3 || r.bytes != 3*one {
		t.Errorf("%d answers are remembered, %d bytes of %d", r.answers.Len(), r.bytes, r.limit)
	}
	if _, left := r.find(ids[:1]); left != nil {
		t.Error("a route of the newest answer is not known")
	}
	if len(r.ids) != len(ids) {
		t.Errorf("%d identities are known of %d routes", len(r.ids), len(ids))
	}
	r.limit = one - 1
	give(t, c)
	if found, _ := r.find(ids[:1]); found != nil {
		t.Error("an answer is remembered that is over the limit")
	}
}

// TestRecallLetsGo: memory is given back when nobody asks any more.
func TestRecallLetsGo(t *testing.T) {
	c, r, at := recalling(t)
	give(t, c)
	r.mu.Lock()
	at.Time = at.Add(RecallTime)
	armed := r.expiry.Reset(0)
	r.mu.Unlock()
	if !armed {
		t.Fatal("what is remembered would be remembered for ever")
	}
	for {
		r.mu.Lock()
		left := r.answers.Len()
		r.mu.Unlock()
		if left == 0 {
			return
		}
		time.Sleep(time.Millisecond) // the test's own time limit ends it
	}
}

// TestRecallOfTwoAnswers: identities that are looked up together are as in the answer
// that gave all of them out, or else each as in the one that gave it out; those that
// none gave out are asked of the kernel.
func TestRecallOfTwoAnswers(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	c := &Cache{}
	defer c.Close()
	dsts := []netip.Prefix{netip.MustParsePrefix("20.0.0.0/8"), netip.MustParsePrefix("21.0.0.0/8"), netip.MustParsePrefix("fd20::/64")}
	read := func(req Request) (ids, texts []string) {
		t.Helper()
		req.Dsts, req.Links = dsts, true
		s, err := c.Read(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		for at := s.Cursor(AllFields); at.Next(); {
			id := string(at.Route().AppendID(nil))
			if len(req.IDs) > 0 && !slices.Contains(req.IDs, id) {
				continue // hardly more than what is asked for
			}
			l, _ := s.Link(at.Route().OIF.V)
			ids, texts = append(ids, id), append(texts, id+" "+l.Name)
		}
		return ids, texts
	}
	give := func(lines ...string) []string {
		nstest.Batch(t, "-N", lines...)
		ids, _ := read(Request{GivesIDs: true})
		if len(ids) != len(dsts) {
			t.Fatalf("%q", ids)
		}
		return ids
	}
	a := give("route add 20.0.0.0/8 via 10.0.0.2", "route add 21.0.0.0/8 via 10.0.0.2", "route add fd20::/64 via fd00::2")
	b := give("route replace 20.0.0.0/8 via 10.0.0.3", "route replace fd20::/64 via fd00::3")
	d := give("route replace 20.0.0.0/8 via 10.0.0.2", "route replace 21.0.0.0/8 via 10.0.0.3", "link set v0 name w0")
	nstest.Batch(t, "-N", "route replace 20.0.0.0/8 via 10.0.0.4", "route replace 21.0.0.0/8 via 10.0.0.4", "route del fd20::/64",
		"route add 22.0.0.0/8 via 10.0.0.4")
	dsts = append(dsts, netip.MustParsePrefix("22.0.0.0/8"))
	c.mu.Lock()
	c.drop()
	c.mu.Unlock()
	s, err := new(Kernel).Read(context.Background(), Request{Filter: Filter{Dsts: dsts[3:]}})
	if err != nil {
		t.Fatal(err)
	}
	at := s.Cursor(FieldID)
	at.Next()
	never := string(at.Route().AppendID(nil)) // was given out
	const made = "ipv4:254:99.0.0.0/8:0000000000000000"
	for _, tc := range []struct {
		ids  []string
		want []string
	}{
		{a[:2], []string{a[0] + " v0", a[1] + " v0"}}, // the newest answers with them are two others
		{a, []string{a[0] + " v0", a[1] + " v0", a[2] + " v0"}},
		{b[:2], []string{b[0] + " v0", b[1] + " v0"}},
		{d, []string{d[0] + " w0", d[1] + " w0", d[2] + " w0"}},
		{[]string{a[2], b[0]}, []string{a[2] + " v0", b[0] + " v0"}}, // no answer has both
		{[]string{made, a[0], a[1], never, a[1]}, []string{a[0] + " w0", a[1] + " w0", never + " w0"}},
		{[]string{made}, nil},
	} {
		_, got := read(Request{IDs: tc.ids})
		slices.Sort(got)
		slices.Sort(tc.want)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%q:\n got %q\nwant %q", tc.ids, got, tc.want)
		}
	}
}

// TestCacheOfManyTables: look-ups that go to many tables cost few dumps.
func TestCacheOfManyTables(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	for i := range 50 {
		nstest.IP(t, fmt.Sprintf("route add 20.0.%d.0/24 via 10.0.0.%d table %d", i, i+2, 1000+i))
	}
	dials := 0
	c := &Cache{Kernel: Kernel{dial: countingDialer(&dials)}}
	defer c.Close()
	for i := range 400 {
		i %= 50
		req := Request{Filter: Filter{Tables: []uint32{1000 + uint32(i)}, Dsts: []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("20.0.%d.0/24", i))}}}
		s, err := c.Read(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		at := s.Cursor(AllFields)
		if !at.Next() || at.Route().Gateway.String() != fmt.Sprintf("10.0.0.%d", i+2) || at.Next() {
			t.Errorf("table %d: wrong routes", 1000+i)
		}
	}
	if dials > maxHeldTables+1 {
		t.Errorf("the kernel was asked %d times", dials)
	}
}

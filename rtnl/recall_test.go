package rtnl

import (
	"context"
	"net/netip"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// A clock is set by hand, while the timer of what is to be forgotten reads it.
type clock struct{ passed atomic.Int64 }

var clockStart = time.Now()

func (c *clock) now() time.Time       { return clockStart.Add(time.Duration(c.passed.Load())) }
func (c *clock) pass(d time.Duration) { c.passed.Add(int64(d)) }

// recalling returns a cache over a fake kernel and its clock.
func recalling(t *testing.T) (*Cache, *recall, *clock) {
	k := &fakeKernel{fake: fake{T: t, Answer: ordinary}}
	c := &Cache{Kernel: *k.kernel()}
	t.Cleanup(c.Close)
	at := new(clock)
	c.once.Do(func() { c.recall = newRecall() })
	c.recall.now = at.now
	return c, c.recall, at
}

// give makes a cache give out all routes, and returns their identities.
func give(t *testing.T, c *Cache) (ids []string) {
	t.Helper()
	s, err := c.Read(context.Background(), Request{Kinds: []*object.Kind{object.Routes.Kind}, GivesIDs: true})
	if err != nil {
		t.Fatal(err)
	}
	for at := s.Cursor(object.FieldID); at.Next(); {
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
	known := func(want bool, ids ...string) {
		t.Helper()
		found, left := r.find(nsKey{}, ids)
		if got := len(found) == 1 && len(left) == 0; got != want {
			t.Errorf("%q: known: %v", ids, got)
		}
	}
	known(false, "ipv4:254:99.0.0.0/8:0000000000000000")
	known(false, ids[2], "ipv4:254:99.0.0.0/8:0000000000000000")
	at.pass(RecallTime - 1)
	known(true, ids[1])
	known(true, ids[1], ids[2], ids[1])
	at.pass(RecallTime - 1) // a join that goes on
	known(true, ids[0])
	known(true, ids[1])
	at.pass(2)
	known(false, ids[1]) // somebody who asks again and again
	known(true, ids[0])
	newer := give(t, c)
	known(true, newer[1])
	at.pass(RecallTime)
	known(false, ids[0])
	if len(r.ids) != 0 || r.answers.Len() != 0 || r.bytes != 0 || len(r.fresh) != 0 {
		t.Errorf("still remembered: %d identities of %d answers, %d bytes", len(r.ids), r.answers.Len(), r.bytes)
	}
}

// TestRecallOfRecycledInode: what was given out of a namespace is not known of another one that has
// its inode by now.
func TestRecallOfRecycledInode(t *testing.T) {
	c, r, _ := recalling(t)
	s, err := c.Kernel.Read(t.Context(), Request{Kinds: []*object.Kind{object.Routes.Kind}})
	if err != nil {
		t.Fatal(err)
	}
	r.add(&Request{Namespace: "/run/netns/red", NamespaceID: 5}, s, nil)
	ids := give(t, c)[:3]
	for _, tc := range []struct {
		is   Request
		want bool
	}{
		{Request{Namespace: "/run/netns/red", NamespaceID: 5}, true},
		{Request{Namespace: NamespaceOf(5), NamespaceID: 5}, true},
		{Request{Namespace: "/run/netns/blue", NamespaceID: 5}, false},
		{Request{Namespace: "/run/netns/red", NamespaceID: 6}, false},
		{Request{Namespace: NamespaceOf(6), NamespaceID: 6}, false},
		{Request{NamespaceID: 5}, true}, // the own one
	} {
		found, left := r.find(tc.is.nsKey(), ids)
		if got := len(found) == 1 && len(left) == 0; got != tc.want || !got && len(found) > 0 {
			t.Errorf("%s, %d: known: %v", tc.is.Namespace, tc.is.NamespaceID, got)
		}
	}
}

// TestRecallServes: an answer about a namespace by its path alone is none about the own one.
func TestRecallServes(t *testing.T) {
	own, path, inode := nsKey{}, nsKey{path: "/run/netns/red"}, nsKey{id: 5}
	for _, pair := range [][2]nsKey{{path, own}, {own, path}, {inode, own}, {own, inode}, {inode, path}, {path,
		inode}} {
		if pair[0].serves(pair[1]) {
			t.Errorf("%v serves %v", pair[0], pair[1])
		}
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
		at.pass(time.Millisecond)
		give(t, c)
	}
	if r.answers.Len() != 3 || r.bytes != 3*one {
		t.Errorf("%d answers are remembered, %d bytes of %d", r.answers.Len(), r.bytes, r.limit)
	}
	if _, left := r.find(nsKey{}, ids[:1]); left != nil {
		t.Error("a route of the newest answer is not known")
	}
	if len(r.ids) != len(ids) {
		t.Errorf("%d identities are known of %d routes", len(r.ids), len(ids))
	}
	r.limit = one - 1
	give(t, c)
	if found, _ := r.find(nsKey{}, ids[:1]); found != nil {
		t.Error("an answer is remembered that is over the limit")
	}
}

// TestRecallLetsGo: memory is given back when nobody asks any more.
func TestRecallLetsGo(t *testing.T) {
	c, r, at := recalling(t)
	give(t, c)
	r.mu.Lock()
	at.pass(RecallTime)
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
	dsts := []netip.Prefix{netip.MustParsePrefix("20.0.0.0/8"), netip.MustParsePrefix("21.0.0.0/8"),
		netip.MustParsePrefix("fd20::/64")}
	read := func(req Request) (ids, texts []string) {
		t.Helper()
		req.Dsts, req.Referred = dsts, []*object.Kind{object.Links.Kind}
		s, err := c.Read(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		for at := s.Cursor(object.AllFields); at.Next(); {
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
		ids, _ := read(Request{Kinds: []*object.Kind{object.Routes.Kind}, GivesIDs: true})
		if len(ids) != len(dsts) {
			t.Fatalf("%q", ids)
		}
		return ids
	}
	a := give("route add 20.0.0.0/8 via 10.0.0.2", "route add 21.0.0.0/8 via 10.0.0.2",
		"route add fd20::/64 via fd00::2")
	b := give("route replace 20.0.0.0/8 via 10.0.0.3", "route replace fd20::/64 via fd00::3")
	_, err := nstest.Try("link set v0 name w0")
	needtest.Kernel(t, "another name for an interface that is up", "6.2", err)
	d := give("route replace 20.0.0.0/8 via 10.0.0.2", "route replace 21.0.0.0/8 via 10.0.0.3")
	nstest.Batch(t, "-N", "route replace 20.0.0.0/8 via 10.0.0.4", "route replace 21.0.0.0/8 via 10.0.0.4",
		"route del fd20::/64",
		"route add 22.0.0.0/8 via 10.0.0.4")
	dsts = append(dsts, netip.MustParsePrefix("22.0.0.0/8"))
	c.mu.Lock()
	c.drop()
	c.mu.Unlock()
	s, err := new(Kernel).Read(context.Background(), request(Filter{Dsts: dsts[3:]}))
	if err != nil {
		t.Fatal(err)
	}
	at := s.Cursor(object.FieldID)
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
		_, got := read(Request{Kinds: []*object.Kind{object.Routes.Kind}, IDs: tc.ids})
		slices.Sort(got)
		slices.Sort(tc.want)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%q:\n got %q\nwant %q", tc.ids, got, tc.want)
		}
	}
}

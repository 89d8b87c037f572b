package events

import (
	"context"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// FuzzTake takes in any bytes as messages, beside a kernel that has hardly anything.
func FuzzTake(f *testing.F) {
	seed := func(texts ...string) {
		var all []byte
		for _, text := range texts {
			all = append(all, messageOf(f, text)...)
		}
		f.Add(all)
	}
	for _, test := range applyTests {
		var texts []string
		for _, step := range test.steps {
			texts = append(texts, step[0])
		}
		seed(texts...)
	}
	link := nltest.LinkMessage(1, 3, "v0")
	f.Add(nltest.Cat(link, messageOf(f, "20.0.0.0/8 via 10.0.0.2"), nltest.Padded(object.Links.Del, 0, 0,
		wire.Payload(link))))
	f.Add([]byte{})
	f.Add([]byte{16, 0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		fo := newFollower(&rtnl.Kernel{}, Following{})
		fo.ctx = ctx
		seq := uint64(0)
		fo.yield = func(e *Event, err error) bool {
			if seq++; err != nil || e.Seq != seq || textOf(e) == "" {
				t.Errorf("event %d is %d, %v", seq, e.Seq, err)
			}
			if e.Snapshot() == nil || e.OldSnapshot() == nil {
				t.Error("no snapshot")
			}
			return true
		}
		if err := fo.begin(); err != nil {
			t.Fatal(err)
		}
		for len(b) > 0 {
			msg, rest, ok := wire.Cut(b)
			if !ok {
				break
			}
			b = rest
			own := wire.AppendMessage(make([]byte, 0, wire.Align(len(msg))), msg)
			if err := fo.take(item{msg: own[:len(msg)]}); err != nil {
				t.Fatal(err)
			}
		}
		if err := fo.compare(item{}); err != nil {
			t.Fatal(err)
		}
		fo.check(t)
	})
}

// check sees that what is held is counted right.
func (f *follower) check(t *testing.T) {
	t.Helper()
	s := f.state
	links, nexthops, n := map[uint32]int{}, map[uint32]int{}, 0
	for r := range s.routes.all {
		n++
		s.routes.message(&s.other, r)
		for oif := range s.other.Ways {
			links[oif]++
		}
		if id := s.other.NexthopID(); id != 0 {
			nexthops[id]++
		}
	}
	if n != s.routes.count {
		t.Errorf("%d routes are counted as %d", n, s.routes.count)
	}
	for _, c := range []struct{ is, counted map[uint32]int }{{links, s.overLink}, {nexthops, s.overNexthop}} {
		for id, n := range c.counted {
			if c.is[id] != n {
				t.Errorf("%d routes over %d are counted as %d", c.is[id], id, n)
			}
		}
		for id, n := range c.is {
			if c.counted[id] != n {
				t.Errorf("%d routes over %d are counted as %d", n, id, c.counted[id])
			}
		}
	}
}

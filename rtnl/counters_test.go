package rtnl

import (
	"context"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// TestCounters counts what is read, what fails, what is not consistent, and what a Cache answers.
func TestCounters(t *testing.T) {
	nstest.New(t)
	nstest.IP(t, "link set lo up")
	c := &Cache{Kernel: Kernel{Counters: new(Counters)}}
	defer c.Close()
	read := func(ctx context.Context, req Request) *Snapshot {
		s, err := c.Read(ctx, req)
		if err != nil && ctx.Err() == nil {
			t.Fatal(err)
		}
		return s
	}
	req := RouteRequest(Filter{Families: []object.Family{object.IPv4}})
	req.GivesIDs = true
	s := read(t.Context(), req)
	first := Each(s, object.Routes)()
	if first == nil {
		t.Fatal("no route, not even of lo")
	}
	read(t.Context(), Request{Kinds: req.Kinds, IDs: []string{string(first.AppendID(nil))}})
	if got, want := c.Kernel.Counters.Stats(), (Stats{Reads: 1, CacheHits: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	read(ended, RouteRequest(Filter{}))
	if got := c.Kernel.Counters.Stats(); got.Reads != 2 || got.Failed != 1 {
		t.Errorf("after one that fails: %+v", got)
	}
	var n *Counters
	n.read(3, nil)
	n.hit()
	if n.Stats() != (Stats{}) {
		t.Error("nobody counts")
	}
	n = new(Counters)
	n.read(MaxTries, NewSnapshot(false, nil))
	if got, want := n.Stats(), (Stats{Reads: 1, Retries: MaxTries - 1, Inconsistent: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

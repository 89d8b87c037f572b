package consistency

import (
	"errors"
	"slices"
	"testing"

	"kernelroutes/internal/fakekernel"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// A reader dumps routes until it is certain of all tables.
type reader struct {
	dial     conn.Dialer
	listener *Listener
	mem      Arena
	heard    Changes
	dumps    []*Dump
}

func newReader(t *testing.T, dial conn.Dialer) *reader {
	t.Helper()
	l, err := Listen(t.Context(), dial, "", object.Kinds)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return &reader{dial: dial, listener: l}
}

// seeds is how many simulations there are.
func seeds() uint64 {
	if testing.Short() {
		return 100
	}
	return 400
}

func wanted(object.Table) bool      { return true }
func matching(*object.Message) bool { return true }
func routesIn(list []object.Run) (n int) {
	for _, r := range list {
		n += r.Count()
	}
	return n
}

// run runs a dump, and finds its gaps.
func (r *reader) run(t *testing.T, request object.DumpRequest) error {
	t.Helper()
	c, err := r.dial.Open(t.Context(), "", 0)
	if err != nil {
		return err
	}
	defer c.Close()
	s := Sink{Dump: Dump{Kind: object.Routes.Kind, Request: request}, Arena: &r.mem, Match: matching}
	if err := s.Run(c); err != nil {
		return err
	}
	r.dumps = append(r.dumps, &s.Dump)
	if err := r.listener.Drain(&r.heard); err != nil {
		return err
	}
	heard := r.heard
	r.heard = heard.Next()
	for _, d := range r.dumps {
		d.FindGaps(&heard)
	}
	return nil
}

// TestSimulation reads a simulated kernel while it changes: no route that nobody touched is
// missing from tables of which the dumps are certain, none comes twice in any, and each is
// one that was there.
func TestSimulation(t *testing.T) {
	const tries = 5
	certain, all := 0, 0
	for seed := range seeds() {
		k := fakekernel.NewSimulation(seed)
		r := newReader(t, k.Dial)
		var list []object.Run
		missing := []object.Table{{}}
		request := object.DumpRequest{}
		for try := 0; try < tries && len(missing) > 0; try++ {
			if err := r.run(t, request); errors.Is(err, conn.ErrInterrupted) {
				continue
			} else if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			list, _, missing = Merge(r.dumps, wanted, nil)
			checkSimulated(t, k, seed, list, missing)
			if len(missing) > 0 {
				request = Again(object.DumpRequest{}, missing, try%2 == 0)
			}
		}
		all++
		if len(missing) == 0 {
			certain++
		}
	}
	t.Logf("%d of %d are certain", certain, all)
	if certain*10 < all*6 {
		t.Errorf("only %d of %d are certain", certain, all)
	}
}

func checkSimulated(t *testing.T, k *fakekernel.Simulation, seed uint64, list []object.Run, missing []object.Table) {
	t.Helper()
	uncertain := func(table object.Table) bool { return slices.Contains(missing, table) }
	seen := map[uint32]bool{}
	object.Each(list, func(m *object.Message) bool {
		var route object.Route
		route.Decode(m, object.AllFields)
		id, table := route.Mark.V, object.Routes.Table(m)
		if _, calm := k.Untouched[id]; route.Family == object.IPMR && !calm && uncertain(table) {
			return true // it may have been deleted and added at another place
		}
		if seen[id] {
			t.Fatalf("seed %d: route %d of %v comes twice, without %v", seed, id, table, missing)
		}
		if seen[id] = true; !k.Was(id, route.Realms.V) {
			t.Fatalf("seed %d: route %d was never %d", seed, id, route.Realms.V)
		}
		return true
	})
	for id, table := range k.Untouched {
		if !seen[id] && !uncertain(table) {
			t.Fatalf("seed %d: route %d of %v is missing, without %v", seed, id, table, missing)
		}
	}
}

// TestSimulationCounts counts the routes of a simulated kernel: where one dump is
// enough to tell their number, it is that of the routes which the same dump holds.
func TestSimulationCounts(t *testing.T) {
	counted, all := 0, 0
	for seed := range seeds() {
		k := fakekernel.NewSimulation(seed)
		r := newReader(t, k.Dial)
		if r.run(t, object.DumpRequest{}) != nil {
			continue
		}
		all++
		var counts []*Dump
		for _, d := range r.dumps {
			c := *d
			c.CountBy, c.Parts = &object.Grouping{}, slices.Clone(d.Parts)
			for i := range c.Parts {
				if p := &c.Parts[i]; c.counts(p.Table) {
					c.tally(p.Table).AddAll([]object.Run{p.data})
					p.data = object.Run{}
				}
			}
			counts = append(counts, &c)
		}
		list, none, missing := Merge(r.dumps, wanted, nil)
		kept, tally, uncounted := Merge(counts, wanted, nil)
		n := total(tally)
		if none != nil || len(kept) >= len(list) && len(list) > 0 && n > 0 {
			t.Fatalf("seed %d: %d counted, %d runs of %d kept", seed, total(none), len(kept), len(list))
		}
		if len(uncounted) == 0 {
			counted++
			n += routesIn(kept)
			if want := routesIn(list); n != want || len(missing) != 0 {
				t.Errorf("seed %d: %d routes are counted, there are %d, without %v", seed, n, want, missing)
			}
		}
		for _, table := range missing {
			if !slices.Contains(uncounted, table) {
				t.Errorf("seed %d: %v is counted but not whole", seed, table)
			}
		}
	}
	t.Logf("%d of %d counted", counted, all)
	if counted*10 < all {
		t.Errorf("only %d of %d are counted", counted, all)
	}
}

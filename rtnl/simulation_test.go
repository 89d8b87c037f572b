package rtnl

import (
	"errors"
	"testing"

	"kernelroutes/internal/fakekernel"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

// TestSimulation reads a simulated kernel while it changes: no route that nobody
// touched is missing from a snapshot that is consistent, none comes twice in any,
// and each is one that was there.
func TestSimulation(t *testing.T) {
	reads, consistent, tries := 0, 0, 0
	for seed := range uint64(nstest.Amount(500, 100)) {
		k := fakekernel.NewSimulation(seed)
		var f Filter
		switch k.IntN(5) {
		case 0:
			f.Families = []object.Family{object.IPv4}
		case 1:
			f.Families = []object.Family{object.IPv6}
		case 2:
			f.Tables = []uint32{fakekernel.SimulatedTables[k.IntN(len(fakekernel.SimulatedTables))].ID}
		case 3:
			f.Tables = []uint32{254, 1000}
		}
		for range 3 {
			k.Begin()
			s, err := (&Kernel{dial: k.Dial}).Read(t.Context(),
				Request{Kinds: []*object.Kind{object.Routes.Kind}, Filter: f})
			if err != nil {
				if errors.Is(err, conn.ErrInterrupted) {
					continue
				}
				t.Fatalf("seed %d: %v", seed, err)
			}
			reads++
			tries += s.Tries
			if s.Consistent {
				consistent++
			}
			checkSimulated(t, k, s, &f, seed)
		}
	}
	t.Logf("%d of %d consistent, %.1f tries each", consistent, reads, float64(tries)/float64(reads))
	if consistent*10 < reads*7 {
		t.Errorf("only %d of %d are consistent", consistent, reads)
	}
}

// checkSimulated checks what was read of a simulated kernel.
func checkSimulated(t *testing.T, k *fakekernel.Simulation, s *Snapshot, f *Filter, seed uint64) {
	t.Helper()
	seen := map[uint32]bool{}
	for r := range s.Routes(object.AllFields) {
		if _, calm := k.Untouched[r.Mark.V]; r.Family == object.IPMR && !calm && !s.Consistent {
			continue // it may have been deleted and added at another place
		}
		if seen[r.Mark.V] {
			t.Fatalf("seed %d, %+v: route %d comes twice (consistent %v, %d tries)",
				seed, f, r.Mark.V, s.Consistent, s.Tries)
		}
		seen[r.Mark.V] = true
		if !k.Was(r.Mark.V, r.Realms.V) {
			t.Fatalf("seed %d, %+v: route %d was never %d (consistent %v, %d tries)",
				seed, f, r.Mark.V, r.Realms.V, s.Consistent, s.Tries)
		}
	}
	if !s.Consistent {
		return
	}
	for id, table := range k.Untouched {
		if f.Wants(table) && !seen[id] {
			t.Fatalf("seed %d, %+v: route %d of %v is missing after %d tries", seed, f, id, table, s.Tries)
		}
	}
}

// TestSimulationCounts counts the routes of a simulated kernel: their number is that of
// some time while it was asked.
func TestSimulationCounts(t *testing.T) {
	counted, all := 0, 0
	for seed := range uint64(nstest.Amount(500, 100)) {
		k := fakekernel.NewSimulation(seed)
		n, consistent, err := (&Kernel{dial: k.Dial}).Count(t.Context(),
			Request{Kinds: []*object.Kind{object.Routes.Kind}})
		all++
		if err != nil || !consistent {
			continue
		}
		counted++
		if n < len(k.Untouched) || n > k.Alive() {
			t.Errorf("seed %d: %d routes, of %d to %d", seed, n, len(k.Untouched), k.Alive())
		}
	}
	t.Logf("%d of %d counted", counted, all)
	if counted*2 < all {
		t.Errorf("only %d of %d are counted", counted, all)
	}
}

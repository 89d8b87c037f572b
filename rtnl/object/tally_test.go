package object_test

import (
	"maps"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
)

// tallied is a route that uses one of a few nexthop objects, or none, and is much like others.
func tallied(c Chance) *Route {
	r := c.Route()
	r.Protocol, r.Scope, r.Table = byte(c.IntN(2)), byte(c.IntN(2)), uint32(c.IntN(2))
	r.Type = RouteType(c.IntN(2))
	few := func() Opt[uint32] { return Opt[uint32]{V: uint32(c.IntN(3)), OK: true} }
	if r.OIF.OK {
		r.OIF = few()
	}
	if r.NexthopID = (Opt[uint32]{}); c.Yes() {
		r.NexthopID = Some(uint32(c.IntN(10)))
	}
	if c.Yes() {
		r.Multipath = nil
	}
	if r.Family.AddrLen() > 0 && c.IntN(4) == 0 {
		r.Dst, _ = r.Dst.Addr().Prefix(0)
	}
	return r
}

// talliedObjects are nexthop objects of every kind, but for some that have gone.
func talliedObjects(c Chance) map[uint32]*NexthopObject {
	objects := map[uint32]*NexthopObject{}
	for id := range uint32(8) {
		o := c.Nexthop()
		o.ID, o.OIF = id, uint32(c.IntN(3))
		for i := range o.Group {
			o.Group[i].ID = uint32(c.IntN(9))
		}
		objects[id] = o
	}
	return objects
}

// classOf is what Tally.Resolve says of one route, worked out of the decoded route.
func classOf(by Grouping, r *Route, dstLen byte, objects map[uint32]*NexthopObject) (class Class, n Counts) {
	hops := r.Nexthops(objects, nil)
	n.Routes = 1
	if by.Family {
		class.Family = r.Family
	}
	if by.Table {
		class.Table = r.Table
	}
	if by.Protocol {
		class.Protocol = r.Protocol
	}
	if by.Type {
		class.Type = r.Type
	}
	if by.Scope {
		class.Scope = r.Scope
	}
	if by.Output {
		switch {
		case !r.NexthopID.OK, r.OIF.OK && len(hops) > 0:
			class.Output = r.OIF
		case len(hops) == 1 && hops[0].OIF != 0:
			class.Output = Some(hops[0].OIF)
		}
	}
	if by.Nexthops {
		n.Nexthops = len(hops)
		if len(hops) > 1 {
			n.Multipath = 1
		}
	}
	if by.Defaults && dstLen == 0 && r.Family.AddrLen() > 0 {
		n.Defaults = 1
	}
	return class, n
}

// TestTally counts random routes by what a random grouping tells apart, in two tallies that
// are then one, and in another order.
func TestTally(t *testing.T) {
	c := NewChance(11)
	seen := Counts{}
	for range 300 {
		by := Grouping{Family: c.Yes(), Table: c.Yes(), Protocol: c.Yes(), Type: c.Yes(), Scope: c.Yes(),
			Output: c.Yes(), Nexthops: c.Yes(), Defaults: c.Yes()}
		objects := talliedObjects(c)
		want, references := map[Class]Counts{}, References{}
		tallies := [2]*Tally{NewTally(by), NewTally(by)}
		routes := c.IntN(60)
		for range routes {
			b := AppendRoute(nil, tallied(c))
			if c.IntN(4) == 0 { // attributes twice
				b = append(b, AppendRoute(nil, tallied(c))[12:]...)
			}
			m, err := check(Routes.Kind, b)
			if err != nil {
				continue // of another family, some do not fit
			}
			var r Route
			r.Decode(m, AllFields)
			class, n := classOf(by, &r, b[1], objects)
			sum := want[class]
			sum.Add(n)
			want[class] = sum
			seen.Add(n)
			if r.NexthopID.V != 0 {
				references.Add(NexthopObjects.Kind, r.NexthopID.V)
			}
			tallies[c.IntN(2)].Add(m)
		}
		tallies[0].Union(tallies[1])
		if got := tallies[0].Resolve(objects); !maps.Equal(got, want) {
			t.Fatalf("%+v:\n got %+v\nwant %+v", by, got, want)
		}
		var got References
		tallies[0].Refer(&got)
		if by.UsesObjects() && !maps.Equal(got.Of(NexthopObjects.Kind), references.Of(NexthopObjects.Kind)) {
			t.Errorf("%+v: the objects %v, not %v", by, got.Of(NexthopObjects.Kind), references.Of(NexthopObjects.Kind))
		}
	}
	if seen.Nexthops == 0 || seen.Multipath == 0 || seen.Defaults == 0 || seen.Routes < 5000 {
		t.Errorf("%+v", seen)
	}
}

// checkTally counts one route by what bits say, which uses one of a few objects if it uses any.
func checkTally(t testing.TB, b []byte, bits uint32) {
	t.Helper()
	m, err := check(Routes.Kind, b)
	if err != nil {
		return
	}
	bit := func(n int) bool { return bits>>n&1 != 0 }
	by := Grouping{Family: bit(0), Table: bit(1), Protocol: bit(2), Type: bit(3), Scope: bit(4), Output: bit(5),
		Nexthops: bit(6), Defaults: bit(7)}
	var r Route
	r.Decode(m, AllFields)
	objects := talliedObjects(NewChance(uint64(bits)))
	if r.NexthopID.OK && bit(8) {
		objects[r.NexthopID.V] = objects[bits>>9%8]
	}
	class, n := classOf(by, &r, b[1], objects)
	tally := NewTally(by)
	tally.Add(m)
	if got := tally.Resolve(objects); !maps.Equal(got, map[Class]Counts{class: n}) {
		t.Fatalf("%x by %+v:\n got %+v\nwant %+v: %+v", b, by, got, class, n)
	}
}

// TestTallyAnyKind counts objects of a kind that is in no class.
func TestTallyAnyKind(t *testing.T) {
	tally := NewTally(Grouping{})
	for range 3 {
		m, err := check(NexthopObjects.Kind, AppendNexthop(nil, &NexthopObject{ID: 7}))
		if err != nil {
			t.Fatal(err)
		}
		tally.Add(m)
	}
	if tally.Total() != 3 {
		t.Error(tally.Total())
	}
}

// BenchmarkTally counts routes by all that tells them apart.
func BenchmarkTally(b *testing.B) {
	by := Grouping{Family: true, Table: true, Protocol: true, Type: true, Scope: true, Output: true, Nexthops: true,
		Defaults: true}
	for _, c := range benchRoutes {
		b.Run(c.name, func(b *testing.B) {
			m, err := check(Routes.Kind, AppendRoute(nil, c.route()))
			if err != nil {
				b.Fatal(err)
			}
			tally := NewTally(by)
			for b.Loop() {
				tally.Add(m)
			}
		})
	}
}

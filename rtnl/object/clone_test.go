package object_test

import (
	"reflect"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
)

// TestClone: a clone stays what it was when the message, and the memory that the route
// has of its own, are used for another one.
func TestClone(t *testing.T) {
	c := NewChance(1)
	var r Route
	for range 500 {
		b := AppendRoute(nil, c.Route())
		if err := r.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		clone := r.Clone()
		if !reflect.DeepEqual(clone, &r) {
			t.Fatalf("got  %+v\nwant %+v", clone, &r)
		}
		var want Route // decoded from other memory
		if err := want.UnmarshalBinary(append([]byte(nil), b...)); err != nil {
			t.Fatal(err)
		}
		for i := range b {
			b[i] ^= 0xff
		}
		clear(r.Multipath[:cap(r.Multipath)])
		clear(r.Unknown[:cap(r.Unknown)])
		if string(clone.AppendID(nil)) != string(want.AppendID(nil)) || !alike(clone, &want) {
			t.Fatalf("got  %+v\nwant %+v", clone, &want)
		}
	}
}

// alike reports whether two routes are the same, but for empty slices that are nil.
func alike(a, b *Route) bool {
	a, b = a.Clone(), b.Clone()
	for _, r := range []*Route{a, b} {
		if len(r.Multipath) == 0 {
			r.Multipath = nil
		}
		if len(r.Unknown) == 0 {
			r.Unknown = nil
		}
	}
	return reflect.DeepEqual(a, b)
}

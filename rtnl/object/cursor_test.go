package object_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
)

// TestCursorTwins: routes that are alike in all that tells routes apart are told by their
// order among those to one destination, be there few or many.
func TestCursorTwins(t *testing.T) {
	for _, n := range []int{2, 40, 100} {
		var log Messages
		seen := map[string]string{}
		add := func(what string, r *Route) {
			m, err := check(Routes.Kind, AppendRoute(nil, r))
			if err != nil {
				t.Fatal(err)
			}
			log.Add(m)
			seen[what] = ""
		}
		for i := range n {
			other := V6()
			other.OIF = Some(uint32(1000 + i))
			add(fmt.Sprint("other ", i), other)
			add(fmt.Sprint("alike ", i), V6())
		}
		elsewhere, table := V6(), V6()
		elsewhere.Dst, table.Table = netip.MustParsePrefix("fd09::/64"), 1000
		add("another destination", elsewhere)
		add("another table", table)

		var ids, again []string
		for c := NewCursor(log.Runs, FieldID); c.Next(); {
			ids = append(ids, string(c.Route().AppendID(nil)))
			if first := c.Route(); first != c.Route() || c.Attributes()&FieldID == 0 {
				t.Error("another route")
			}
		}
		for c := NewCursor(log.Runs, AllFields); c.Next(); {
			again = append(again, string(c.Route().AppendID(nil)))
		}
		if !slices.Equal(ids, again) {
			t.Error("the second time they have other identities")
		}
		if ids[1] != string(V6().AppendID(nil)) || ids[len(ids)-1] != string(table.AppendID(nil)) {
			t.Error("the first of them has not the identity of a single one")
		}
		slices.Sort(ids)
		if got := len(slices.Compact(ids)); got != len(seen) {
			t.Errorf("%d routes have %d identities", len(seen), got)
		}
	}
	// Routes of IPv4 are never alike.
	var log Messages
	m, err := check(Routes.Kind, AppendRoute(nil, V4()))
	if err != nil {
		t.Fatal(err)
	}
	log.Add(m)
	log.Add(m)
	for c := NewCursor(log.Runs, FieldID); c.Next(); {
		if got, want := string(c.Route().AppendID(nil)), string(V4().AppendID(nil)); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	if NewCursor(nil, FieldID).Next() {
		t.Error("there is a route where there is none")
	}
}

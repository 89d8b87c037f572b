package events

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kernelroutes/internal/nstest"
)

// TestRest: comparisons that come to nothing are made less and less often, and one that does is soon
// followed by another one, if it is to be.
func TestRest(t *testing.T) {
	// In a bubble no time passes between two lines.
	synctest.Test(t, testRest)
}

func testRest(t *testing.T) {
	f := follower{tried: time.Millisecond}
	var last time.Duration
	for n := range 100 {
		f.rest(true)
		now := time.Until(f.due).Round(10 * time.Millisecond)
		if now < last || n == 1 && now != 400*time.Millisecond {
			t.Fatalf("after %d in vain %v, before %v", n+1, now, last)
		}
		last = now
	}
	if last != maxRest {
		t.Errorf("at last %v, not %v", last, maxRest)
	}
	f.rest(false)
	if got := time.Until(f.due); got > settleTime {
		t.Errorf("after one that came to something %v", got)
	}
	f.tried = time.Hour
	if f.rest(true); time.Until(f.due) < 19*time.Hour {
		t.Error("one that takes an hour is followed by another too soon")
	}
}

// TestUnread takes nexthop objects away, with their routes, while the kernel cannot be read: that it
// failed many times in a moment does not put off the next try, and that it can be read again brings
// it near. Then it is told which routes have gone.
func TestUnread(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	var first, later []string
	for _, n := range strings.Fields("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20") {
		first = append(first, "nexthop add id "+n+" via 10.0.0.2 dev v0", "route add 20."+n+".0.0/16 nhid "+n)
		later = append(later, "nexthop del id "+n)
	}
	nstest.Batch(t, "-4", first...)
	var gone []string
	f := testFollower(t)
	f.begins(t, func(e *Event, _ error) bool {
		if text := textOf(e); strings.HasPrefix(text, "gone route 254 20.") {
			gone = append(gone, text)
		}
		return true
	})
	take := func(lines ...string) {
		t.Helper()
		nstest.Batch(t, "-4", lines...)
		if err := f.fence(); err != nil {
			t.Fatal(err)
		}
		items := slices.Clone(f.ahead)
		f.ahead = nil
		for _, i := range items {
			if err := f.take(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	readable := f.ns
	f.ns = "/nonexistent"
	take(later[1:]...)
	if left := time.Until(f.due); !f.doubt || len(gone) > 0 || left > 10*time.Second {
		t.Errorf("after %d that failed at once it is tried in %v, and %q have gone", len(later)-1, left, gone)
	}
	for range 100 { // as where it fails for hours
		f.rest(true)
	}
	f.ns = readable
	take(later[0])
	if left := time.Until(f.due); !f.doubt || left > time.Second {
		t.Errorf("it can be read again, and is compared in %v", left)
	}
	for f.doubt && !t.Failed() {
		if err := f.wait(); err != nil {
			t.Fatal(err)
		}
	}
	if slices.Sort(gone); len(gone) != len(later) || len(slices.Compact(gone)) != len(later) {
		t.Errorf("%d of %d routes have gone: %q", len(gone), len(later), gone)
	}
}

package events

import (
	"testing"
	"time"
)

// TestRest: comparisons that come to nothing are made less and less often, and one that does is soon
// followed by another one, if it is to be.
func TestRest(t *testing.T) {
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

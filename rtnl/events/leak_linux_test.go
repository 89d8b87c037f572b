package events

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
)

// TestFollowEnds follows changes again and again, and ends that in each way that there is: no file
// and no goroutine is left.
func TestFollowEnds(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	follow := func(how int) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		what := Following{Namespace: thisNamespace(), Logger: testLogger(t)}
		switch how {
		case 0: // the context ends, at an event
			what.Present = true
		case 1: // who calls has enough
			what.Present = true
		case 2: // or ends it with an error
			what.Begun = func() error { return context.Canceled }
		case 3: // while all is read
			cancel()
		case 4: // there is no such namespace
			what.Namespace = "/proc/self/ns/none"
		default: // while it waits
			what.Begun = func() error { time.AfterFunc(time.Millisecond, cancel); return nil }
		}
		failed := false
		for _, err := range Follow(ctx, &rtnl.Kernel{}, what) {
			failed = err != nil
			if how == 1 {
				return
			}
			cancel()
		}
		if !failed {
			t.Errorf("way %d ends without an error", how)
		}
	}
	goroutines := runtime.NumGoroutine()
	// files returns how many are open when all goroutines that were begun have ended.
	files := func() int {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > goroutines; {
			if time.Now().After(deadline) {
				t.Fatalf("%d goroutines are left, of %d", runtime.NumGoroutine(), goroutines)
			}
			time.Sleep(time.Millisecond)
		}
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	const ways = 6
	for how := range ways { // what is opened once
		follow(how)
	}
	before := files()
	for i := range 50 {
		follow(i % ways)
	}
	if after := files(); after > before {
		t.Errorf("%d files are open, and were %d", after, before)
	}
}

// TestLinksAreForgotten loses what is told of links that have gone: those are held no more when all
// has been compared.
func TestLinksAreForgotten(t *testing.T) {
	nstest.New(t)
	f := testFollower(t)
	f.begins(t, func(*Event, error) bool { return true })
	for i := range 20 {
		nstest.Veth(t, fmt.Sprint("v", i))
	}
	if err := f.compare(item{}); err != nil {
		t.Fatal(err)
	}
	f.ahead = nil
	if err := f.compare(item{}); err != nil {
		t.Fatal(err)
	}
	held := len(f.state.links)
	for i := range 20 {
		nstest.IP(t, fmt.Sprint("link del v", i))
	}
	if err := f.fence(); err != nil {
		t.Fatal(err)
	}
	f.ahead = nil // lost
	if err := f.compare(item{}); err != nil {
		t.Fatal(err)
	}
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if held <= len(all) || len(f.state.links) != len(all) {
		t.Errorf("%d links are held of %d, and there were %d", len(f.state.links), len(all), held)
	}
}

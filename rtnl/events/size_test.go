package events

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// TestSize compares what events take of memory with what they say.
func TestSize(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	const rounds, last = 4000, "99.0.0.0/8"
	l := Start(&rtnl.Kernel{}, Options{Namespace: thisNamespace()})
	defer l.Close()
	if _, err := l.Events(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	heap := func() int64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	var lines []string
	for i := range rounds {
		lines = append(lines, fmt.Sprintf("route add 20.0.%d.%d via 10.0.0.2", i>>8, i&255),
			fmt.Sprintf("route replace 20.0.%d.%d via 10.0.0.3", i>>8, i&255),
			fmt.Sprintf("route del 20.0.%d.%d", i>>8, i&255), fmt.Sprintf("route add fd20::%x via fd00::2", i),
			fmt.Sprintf("route del fd20::%x", i))
	}
	nstest.Batch(t, "-N", append(lines, "route add blackhole "+last)...)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		all, err := l.Events(t.Context(), 0)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d events, %v", len(all), err)
		}
		if slices.ContainsFunc(all, func(e *Event) bool {
			return e.Kind == object.Routes.Kind && strings.HasPrefix(describe(e.Object), "254 "+last)
		}) {
			break
		}
	}
	grown := heap() - before
	l.mu.Lock()
	said, n := l.size, l.count
	l.mu.Unlock()
	t.Logf("%d events take %d bytes, and say %d", n, grown, said)
	if said < grown*3/4 || said > grown*5/4 {
		t.Errorf("%d events take %d bytes, and say %d", n, grown, said)
	}
}

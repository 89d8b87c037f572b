package survival

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A soakSize is how large the extension was at a time.
type soakSize struct {
	at                  time.Time
	pid                 int
	rss, files, threads int // rss in KiB
}

// soakSizes are taken at an interval.
type soakSizes struct {
	began         time.Time
	interval      time.Duration
	stop, stopped chan struct{}

	mu   sync.Mutex
	pid  int
	held bool // the test has connections open, of which the extension has as many files
	all  []soakSize
}

func newSoakSizes(interval time.Duration) *soakSizes {
	z := &soakSizes{began: time.Now(), interval: interval, stop: make(chan struct{}), stopped: make(chan struct{})}
	go z.run()
	return z
}

func (z *soakSizes) watch(pid int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.pid = pid
}

func (z *soakSizes) hold(held bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.held = held
}

func (z *soakSizes) run() {
	defer close(z.stopped)
	tick := time.NewTicker(z.interval)
	defer tick.Stop()
	for {
		select {
		case <-z.stop:
			return
		case <-tick.C:
		}
		z.mu.Lock()
		size, ok := sizeOf(z.pid)
		if ok && !z.held {
			z.all = append(z.all, size)
		}
		z.mu.Unlock()
	}
}

func (z *soakSizes) end() {
	close(z.stop)
	<-z.stopped
}

// sizeOf returns the size of a process, if there is one.
func sizeOf(pid int) (z soakSize, ok bool) {
	z.at, z.pid = time.Now(), pid
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return z, false
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return z, false
	}
	z.files = len(files)
	for name, v := range map[string]*int{"\nVmRSS:": &z.rss, "\nThreads:": &z.threads} {
		_, rest, found := strings.Cut(string(status), name)
		if _, err := fmt.Sscan(rest, v); err != nil || !found {
			return z, false // it is about to end
		}
	}
	return z, true
}

func medianOf(all []soakSize, of func(soakSize) int) int {
	var values []int
	for _, z := range all {
		values = append(values, of(z))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

func rssOf(z soakSize) int     { return z.rss }
func filesOf(z soakSize) int   { return z.files }
func threadsOf(z soakSize) int { return z.threads }

// longest returns the sizes of the process that lived for the longest time.
func (z *soakSizes) longest() (all []soakSize) {
	for first := 0; first < len(z.all); {
		last := first
		for last < len(z.all) && z.all[last].pid == z.all[first].pid {
			last++
		}
		if last-first > len(all) {
			all = z.all[first:last]
		}
		first = last
	}
	return all
}

// soakWarm is how long the changes that are kept need to be as many as there may be.
const soakWarm = 3 * time.Minute

// compare shows how large the extension was, and fails if a process grew while it lived.
func (z *soakSizes) compare(t *testing.T) {
	for from := 0; from < len(z.all); {
		to, minute := from, z.all[from].at.Sub(z.began)/time.Minute
		for to < len(z.all) && z.all[to].at.Sub(z.began)/time.Minute == minute {
			to++
		}
		part := z.all[from:to]
		t.Logf("minute %2d: pid %d, %d KiB, %d files, %d threads", minute, part[len(part)-1].pid, medianOf(part, rssOf),
			medianOf(part, filesOf), medianOf(part, threadsOf))
		from = to
	}
	all := z.longest()
	if len(all) < 40 {
		t.Log("too short to compare sizes")
		return
	}
	fewest := func(part []soakSize, of func(soakSize) int) int {
		return of(slices.MinFunc(part, func(a, b soakSize) int { return of(a) - of(b) }))
	}
	half := len(all) / 2
	// Peers hold some for a while; what is held for ever shows in the fewest.
	if a, b := fewest(all[:half], filesOf), fewest(all[half:], filesOf); b > a+2 {
		t.Errorf("%d files were open, then never fewer than %d", a, b)
	}
	if a, b := medianOf(all[:half], threadsOf), medianOf(all[half:], threadsOf); b > a+6 {
		t.Errorf("%d threads, then %d", a, b)
	}
	warm := slices.IndexFunc(all, func(s soakSize) bool { return s.at.Sub(all[0].at) > soakWarm })
	if warm < 0 || all[len(all)-1].at.Sub(all[warm].at) < 2*time.Minute {
		t.Log("no life is long enough to compare its memory")
		return
	}
	all = all[warm:]
	third := len(all) / 3
	a, b := medianOf(all[:third], rssOf), medianOf(all[len(all)-third:], rssOf)
	t.Logf("pid %d: %d KiB in the first third of %v after it was warm, %d KiB in the last", all[0].pid, a,
		all[len(all)-1].at.Sub(all[0].at).Round(time.Second), b)
	if b > a+10<<10 {
		t.Errorf("the process grew by %d KiB", b-a)
	}
}

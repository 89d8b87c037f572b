package survival

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kernelroutes/internal/exttest"
	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
)

var (
	soakTime = flag.Duration("soak", 10*time.Second, "how long TestSoak goes on; with -short half of it")
	soakSeed = flag.Uint64("soakseed", 0,
		"what TestSoak makes its random choices by; 0: something new, which is printed")
)

// A soak is a long time of an extension's, compressed.
type soak struct {
	t        *testing.T
	chance   nltest.Chance
	churner  *soakChurner
	model    *soakModel
	manager  *osquerytest.Manager
	folder   string // of the manager's socket
	x        *exttest.Process
	ended    chan struct{} // closed when x has
	began    time.Time
	duration time.Duration

	events  soakEvents
	silent  []interface{ Close() error } // connections that say nothing
	other   *exec.Cmd                    // a process in another namespace
	sizes   *soakSizes
	logs    strings.Builder // of extensions that have ended
	faulted map[string]int
	order   []int  // of the faults that are to come: each comes once, then all again
	latest  string // fault

	queries, rows, parts, slowest atomic.Int64

	refused, starts, marks, checkpoints, replays int // refused: queries, with a reason
	followed, lost, dropped, unknown             int // events; unknown: without an author
}

// TestSoak has the built extension follow a thousand changes a second and answer queries, while
// osquery, its peers and the host misbehave in ways that are chosen at random. A model of all
// routes says whether an answer is right.
func TestSoak(t *testing.T) {
	seed := *soakSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	duration := *soakTime / time.Duration(nstest.Amount(1, 2))
	t.Logf("go test ./internal/survival -run TestSoak -soak %v -soakseed %d", *soakTime, seed)
	nstest.New(t)
	nstest.Sysctl(t, "net.ipv6.conf.default.addr_gen_mode", "1") // no addresses that the kernel makes up
	s := &soak{t: t, chance: nltest.NewChance(seed + 1), churner: newSoakChurner(t, seed), duration: duration,
		faulted: map[string]int{}}
	s.model = s.churner.model
	s.otherNamespace()
	s.churner.fill()
	s.startManager()
	s.start()
	s.sizes = newSoakSizes(min(time.Second, duration/100))
	s.sizes.watch(s.x.Cmd.Process.Pid)
	go s.churner.run()
	s.began = time.Now()
	s.run()
	close(s.churner.stop)
	<-s.churner.stopped
	s.report()
}

// startManager starts a manager, at the same socket as any before.
func (s *soak) startManager() {
	if s.folder == "" {
		s.folder = socketFolder(s.t)
		s.t.Cleanup(func() { s.manager.Close() })
	}
	var err error
	if s.manager, err = osquerytest.New(s.folder); err != nil {
		s.t.Fatal(err)
	}
}

// start starts the extension, as osquery's watcher does.
func (s *soak) start() {
	s.starts++
	x := exttest.StartAt(s.t, s.manager, "")
	ended := make(chan struct{})
	s.x, s.ended, s.events = x, ended, soakEvents{}
	go func() {
		x.Cmd.Wait()
		close(ended)
	}()
	s.t.Cleanup(func() {
		x.Cmd.Process.Kill()
		<-ended
	})
	if s.sizes != nil {
		s.sizes.watch(x.Cmd.Process.Pid)
	}
}

// restart waits until the extension has ended, with a status, and starts another.
func (s *soak) restart(why string, status int) {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		s.t.Fatalf("the extension does not end: %s\n%s", why, s.tail())
	}
	if is := s.x.Cmd.ProcessState.ExitCode(); is != status {
		s.t.Errorf("%s: exit status %d\n%s", why, is, s.tail())
	}
	s.keepLog()
	s.start()
}

func (s *soak) keepLog() {
	log := s.x.Stderr.String()
	s.logs.WriteString(log)
	for _, trace := range []string{"panic:", "goroutine ", "fatal error:", "runtime:"} {
		if strings.Contains(log, trace) {
			s.t.Errorf("the log of an extension has %q:\n%s", trace, log[strings.Index(log, trace):])
		}
	}
}

// tail is the end of the extension's log.
func (s *soak) tail() string {
	log := s.x.Stderr.String()
	return log[max(0, len(log)-1000):]
}

// query asks what is to be answered.
func (s *soak) query(sql string) ([]soakRow, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	rows, err := s.manager.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", sql, err)
	}
	s.queries.Add(1)
	return rows, nil
}

// must asks a query that is to be answered.
func (s *soak) must(q soakQuery) {
	s.t.Helper()
	if err := s.ask(q, time.Minute); err != nil {
		s.t.Errorf("after %q: %v\n%s", s.latest, err, s.tail())
	}
}

// run asks, and has things go wrong, until the time is over. In the middle of it nothing happens for
// which the extension ends, so that one process lives for long.
func (s *soak) run() {
	interval := min(max(s.duration/1200, 50*time.Millisecond), time.Second)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	faults, checkpoints := s.duration/240, s.duration/60
	faults, checkpoints = max(faults, 300*time.Millisecond), max(checkpoints, time.Second)
	var fault, checkpoint time.Duration
	s.must(routesWhere("", nil))
	for !s.t.Failed() {
		<-tick.C
		at := time.Since(s.began)
		if at >= s.duration {
			break
		}
		select {
		case <-s.ended:
			s.t.Fatalf("after %q the extension has ended\n%s", s.latest, s.tail())
		default:
		}
		if s.chance.IntN(4) == 0 {
			s.closeSilent()
		}
		if s.chance.IntN(3) == 0 {
			if err := s.drain(); err != nil {
				s.t.Errorf("%v\n%s", err, s.tail())
			}
		} else {
			s.must(s.someQuery())
		}
		if at >= fault {
			s.fault(at > s.duration/5 && at < s.duration*4/5)
			fault = time.Since(s.began) + faults/2 + time.Duration(s.chance.Int64N(int64(faults)))
		}
		if at >= checkpoint {
			s.checkpoint()
			checkpoint = time.Since(s.began) + checkpoints/2 + time.Duration(s.chance.Int64N(int64(checkpoints)))
		}
	}
	s.closeSilent() // else all that is measured from here on would have them
	s.checkpoint()  // from which events lead to the last one, whatever there was before
	s.churner.burst(500)
	s.checkpoint()
}

// fault has something go wrong.
func (s *soak) fault(live bool) {
	s.closeSilent()
	if len(s.order) == 0 {
		s.order = s.chance.Perm(len(soakFaults))
	}
	at := 0
	if live {
		if at = slices.IndexFunc(s.order, func(i int) bool { return !soakFaults[i].ends }); at < 0 {
			s.order = nil
			s.fault(live)
			return
		}
	}
	f := soakFaults[s.order[at]]
	s.order = slices.Delete(s.order, at, at+1)
	s.faulted[f.name]++
	s.latest = f.name
	before := time.Since(s.began)
	f.do(s)
	if *soakTime < time.Minute {
		s.t.Logf("%v: %s, for %v", before.Round(time.Millisecond), f.name,
			(time.Since(s.began) - before).Round(time.Millisecond))
	}
}

// report says what was done, and fails if the process grew.
func (s *soak) report() {
	s.x.Cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		s.t.Errorf("the extension does not end for SIGTERM\n%s", s.tail())
	}
	s.keepLog()
	s.sizes.end()
	took := time.Since(s.began)
	made := s.churner.made.Load()
	s.t.Logf("%v: %d changes, %.0f a second; %d queries, %d refused, %d rows compared, the slowest %v, "+
		"%d answers not consistent", took.Round(time.Second), made, float64(made)/took.Seconds(),
		s.queries.Load(), s.refused, s.rows.Load(), time.Duration(s.slowest.Load()).Round(time.Millisecond),
		s.parts.Load())
	s.t.Logf("%d checkpoints, to %d of which events led; %d events, %d losses, %d dropped, %d without an author; "+
		"%d starts", s.checkpoints, s.replays, s.followed, s.lost, s.dropped, s.unknown, s.starts)
	s.reportWarnings(took)
	for _, name := range slices.Sorted(maps.Keys(s.faulted)) {
		s.t.Logf("%4d %s", s.faulted[name], name)
	}
	s.sizes.compare(s.t)
	// A slow machine may be at checkpoints, where nothing changes, for most of what it took.
	if float64(made) < 20*s.duration.Seconds() || s.checkpoints == 0 || s.replays == 0 || s.followed == 0 {
		s.t.Error("so little was done that this proves nothing")
	}
	if s.parts.Load()*4 > s.queries.Load() {
		s.t.Errorf("%d of %d answers are not consistent", s.parts.Load(), s.queries.Load())
	}
}

// reportWarnings shows of what the extensions have warned, and fails if that is without end.
func (s *soak) reportWarnings(took time.Duration) {
	warnings, n := map[string]int{}, 0
	for line := range strings.Lines(s.logs.String()) {
		if _, rest, ok := strings.Cut(line, "level=WARN msg="); ok {
			warnings[rest[:min(len(rest), 60)]]++
			n++
		}
	}
	for _, text := range slices.Sorted(maps.Keys(warnings)) {
		s.t.Logf("%4d warnings: %s", warnings[text], text)
	}
	faults := 0
	for _, times := range s.faulted {
		faults += times
	}
	// What a condition is warned of comes once in a life, other things once in a while.
	if most := 10*(faults+s.starts) + 2*int(took/time.Second); n > most {
		s.t.Errorf("%d warnings, after %d faults", n, faults)
	}
}

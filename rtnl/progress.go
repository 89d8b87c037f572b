package rtnl

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"kernelroutes/rtnl/object"
)

// Progress is how far a Kernel is with what it reads, for somebody who waits. The zero value is ready to
// use. Safe for concurrent use. What comes is counted once a datagram.
type Progress struct {
	came [2]atomic.Int64 // routes of IPv4 and IPv6

	mu       sync.Mutex
	readings int // that are under way
	since    time.Time
	what     string
	again    bool
	partial  bool     // the kernel was asked for some of the routes only
	expected [2]int64 // how many there are; 0: that is not known
	guessed  [2]bool  // expected is how many there were the last time
	last     [2]int64 // how many there were when all of the own namespace were read
}

// A Reading is what Progress shows.
type Reading struct {
	Since    time.Time // when it began; zero: it has ended, and nothing is being read
	What     string    // "dump routes": what the kernel is asked for
	Families []FamilyReading
	Again    bool // routes changed while they were read, so that they are read once more
}

// A FamilyReading is how many routes have come of a family.
type FamilyReading struct {
	Family object.Family
	// Read are the routes that have come. As those of Expected, IPv6 routes with several nexthops are
	// counted once for each.
	Read int64
	// Expected is about how many there are, as the kernel counts them (/proc/net/fib_triestat and
	// rt6_stats) or there were the last time; 0: that is not known.
	Expected int64
}

var counted = [2]object.Family{object.IPv4, object.IPv6}

// Now returns what is being read, of several readings at once all together, or was read last.
func (p *Progress) Now() Reading {
	p.mu.Lock()
	defer p.mu.Unlock()
	var r Reading
	if p.readings > 0 {
		r = Reading{Since: p.since, What: p.what, Again: p.again}
	}
	for i, family := range counted {
		f := FamilyReading{Family: family, Read: p.came[i].Load()}
		if !p.partial && !p.again {
			f.Expected = p.expected[i]
		}
		if f.Read > 0 {
			r.Families = append(r.Families, f)
		}
	}
	return r
}

// expectAfter is for how long a reading goes on before the kernel is asked how many routes it has: to
// count those of IPv4 it goes through them all.
const expectAfter = 400 * time.Millisecond

// begin notes that a reading of a namespace begins, whose routes count counts. The function that it
// returns notes that it has ended, and whether that was well.
func (p *Progress) begin(ns Namespace, count func() [2]int64) (end func(ok bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readings++; p.readings == 1 {
		p.since, p.what, p.again, p.partial, p.expected = time.Now(), "", false, false, [2]int64{}
		p.forget()
		for i, n := range p.last {
			if p.guessed[i] = ns == "" && n > 0; p.guessed[i] {
				p.expected[i] = n
			}
		}
	}
	done := make(chan struct{})
	timer := time.AfterFunc(expectAfter, func() {
		defer close(done)
		n := count()
		p.mu.Lock()
		defer p.mu.Unlock()
		for i := range n {
			if n[i] > 0 && p.guessed[i] {
				p.expected[i], p.guessed[i] = 0, false
			}
			p.expected[i] += n[i]
		}
	})
	return func(ok bool) {
		if !timer.Stop() {
			<-done // what is read there is of a namespace that will be let go of
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.readings--; p.readings == 0 && ok && ns == "" && !p.partial {
			for i := range counted {
				if n := p.came[i].Load(); n > 0 {
					p.last[i] = n
				}
			}
		}
	}
}

// Forget has Now tell of nothing that has been read.
func (p *Progress) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readings == 0 {
		p.forget()
	}
}

func (p *Progress) forget() {
	for i := range p.came {
		p.came[i].Store(0)
	}
}

// asks notes what the kernel is asked for.
func (p *Progress) asks(what string) {
	if p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.what = what
	}
}

// rereads notes that all that is missing is read once more.
func (p *Progress) rereads() {
	if p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.again = true
		p.forget()
	}
}

// counter returns what counts the routes that a dump brings; nil: nothing does.
func (p *Progress) counter(k *object.Kind, r object.DumpRequest) func(object.Family, int) {
	if p == nil || k != object.Routes.Kind {
		return nil
	}
	r.Family = 0
	if r != (object.DumpRequest{}) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.partial = true
	}
	return func(f object.Family, n int) {
		for i := range counted {
			if counted[i] == f {
				p.came[i].Add(int64(n))
			}
		}
	}
}

// routesThereAre returns how many routes of IPv4 and IPv6 the kernel counts in a namespace, by the files
// beside rt6_stats; 0: that is not known.
func routesThereAre(ns Namespace, rt6Stats string) (n [2]int64) {
	if rt6Stats == "" {
		return n
	}
	_ = ns.Do(func() error {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(rt6Stats), "fib_triestat"))
		n[0] = prefixes(text)
		return err
	})
	stats := openRT6StatsIn(ns, rt6Stats)
	defer stats.close()
	n[1] = max(int64(stats.entries()), 0)
	return n
}

// prefixes returns how many routes the tables of fib_triestat have together (fib_triestat_seq_show).
func prefixes(triestat []byte) (n int64) {
	name, tables := "", map[string]string{}
	for line := range strings.Lines(string(triestat)) {
		if line[0] > ' ' {
			name = strings.TrimRight(line, ":\n")
			continue
		}
		tables[name] += line
	}
	for name, text := range tables {
		// Until there is a rule they are one (fib_trie_unmerge), which is told of twice.
		if name == "Local" && text == tables["Main"] {
			continue
		}
		_, count, _ := strings.Cut(text, "Prefixes:")
		count, _, _ = strings.Cut(count, "\n")
		routes, _ := strconv.ParseInt(strings.TrimSpace(count), 10, 64)
		n += routes
	}
	return n
}

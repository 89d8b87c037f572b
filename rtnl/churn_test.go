package rtnl

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

var churnTime = flag.Duration("churn", 20*time.Second,
	"how long TestChurn changes routes, for each family; with -short a fortieth of it")

// A churner adds, deletes and replaces routes from another process.
type churner struct {
	changes atomic.Int64
	pause   atomic.Int64 // nanoseconds between two changes
	stop    chan struct{}
	done    chan error
}

// churn writes the lines that next returns to ip -batch, one change each, until
// stopped.
func churn(t *testing.T, family string, next func(i int) string) *churner {
	cmd := exec.Command("ip", family, "-force", "-batch", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &churner{stop: make(chan struct{}), done: make(chan error, 1)}
	go func() {
		w := bufio.NewWriterSize(in, 4<<10)
		for i := 0; ; i++ {
			select {
			case <-c.stop:
				w.Flush()
				in.Close()
				cmd.Wait() // with -force its status is that of the last line
				c.done <- nil
				return
			default:
			}
			fmt.Fprintln(w, next(i))
			c.changes.Add(1)
			if pause := c.pause.Load(); pause > 0 {
				w.Flush()
				time.Sleep(time.Duration(pause))
			}
		}
	}()
	return c
}

// overrun reports whether a snapshot is not consistent only as this machine cannot hear of changes as fast as they
// are made: each try, where one of all these routes takes milliseconds, took longer than overrunTry. Then it has
// changes made more slowly from now on, down to a hundred a second.
func (c *churner) overrun(s *Snapshot, took time.Duration) bool {
	const overrunTry, slowest = 300 * time.Millisecond, 10 * time.Millisecond
	pause := time.Duration(c.pause.Load())
	if s.Consistent || took < overrunTry*time.Duration(s.Tries) || pause >= slowest {
		return false
	}
	c.pause.Store(int64(max(100*time.Microsecond, 3*pause)))
	return true
}

// untouched are routes that nobody touches, and one that is replaced all the time.
type untouched struct {
	family   object.Family
	want     map[netip.Prefix]int
	gateway  string   // of all but the last,
	versions []string // which has one of these
	replaced int
}

// newUntouched adds so many routes.
func newUntouched(t *testing.T, many int, family string, family6 bool, route func(i int) string) *untouched {
	n := &untouched{object.IPv4, map[netip.Prefix]int{}, "10.0.0.9",
		[]string{"10.0.0.2 10.0.0.3 ", "10.0.0.4 10.0.0.5 10.0.0.6 "}, many}
	if family6 {
		n.family, n.gateway = object.IPv6, "fd00::9"
		n.versions = []string{"fd00::2 fd00::3 ", "fd00::4 fd00::5 fd00::6 "}
	}
	var lines []string
	for i := range many {
		dst := route(i)
		n.want[netip.MustParsePrefix(dst)] = i
		lines = append(lines, "route add "+dst+" via "+n.gateway)
	}
	lines = append(lines, "route add "+replaced(family6)+viaEach(n.versions[0]))
	nstest.Batch(t, family, lines...)
	n.want[netip.MustParsePrefix(replaced(family6))] = many
	return n
}

// lookFor returns how many of them a snapshot lacks, and has twice.
func (n *untouched) lookFor(t *testing.T, s *Snapshot) (lost, twice int) {
	seen := make([]int, len(n.want))
	for c := s.Cursor(object.FieldDst | object.FieldTable | object.FieldNexthops); c.Next(); {
		r := c.Route()
		i, ok := n.want[r.Dst]
		if !ok || r.Table != 254 {
			continue
		}
		seen[i]++
		text := ""
		for _, hop := range s.Nexthops(r, nil) {
			text += hop.Gateway.String() + " "
		}
		if i < n.replaced && text != n.gateway+" " || i == n.replaced && !slices.Contains(n.versions, text) {
			t.Errorf("%v has the gateways %s", r.Dst, text)
		}
	}
	for _, times := range seen {
		if times == 0 {
			lost++
		}
		if times > 1 {
			twice++
		}
	}
	return lost, twice
}

// TestChurn reads all routes again and again while another process changes
// routes among them, and looks for those that nobody touched, and for one that is
// replaced all the time.
func TestChurn(t *testing.T) {
	many := nstest.Amount(20000, 5000)
	duration := *churnTime / time.Duration(nstest.Amount(1, 40))
	for _, tc := range []struct {
		name, family string
		family6      bool
		route        func(i int) string // an untouched one
		change       func(i int) string
	}{
		{"ipv4", "-4", false,
			func(i int) string { return fmt.Sprintf("20.%d.%d.0/24", i/200, i%200) },
			func(i int) string {
				n := i / 4 * 7919 % many
				dst := fmt.Sprintf("20.%d.%d.%d/32", n/200, n%200, 1+i/4%200)
				return change(i, dst, false)
			}},
		{"ipv6", "-6", true,
			func(i int) string { return fmt.Sprintf("fd01:%x:%x::/64", i/200, i%200) },
			func(i int) string {
				n := i / 4 * 7919 % many
				dst := fmt.Sprintf("fd01:%x:%x:%x::/80", n/200, n%200, 1+i/4%200)
				return change(i, dst, true)
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nstest.New(t)
			nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
			n := newUntouched(t, many, tc.family, tc.family6, tc.route)
			c := churn(t, tc.family, tc.change)
			k := Kernel{}
			start := time.Now()
			var dumps, overrun, tries, consistent int
			enough := func() bool { // or there is no hope
				return dumps-overrun >= 10 && (c.changes.Load() >= 10*int64(tries) || time.Since(start) > time.Minute)
			}
			for time.Since(start) < duration || !enough() {
				begin := time.Now()
				s, err := k.Read(context.Background(), request(Filter{Families: []object.Family{n.family}}))
				if err != nil {
					t.Fatal(err)
				}
				dumps++
				tries += s.Tries
				if s.Consistent {
					consistent++
				}
				if c.overrun(s, time.Since(begin)) {
					overrun++
				}
				lost, twice := n.lookFor(t, s)
				if twice > 0 || lost > 0 && s.Consistent {
					t.Errorf("dump %d: %d routes lost, %d twice of %d (consistent: %v, tries: %d)", dumps, lost,
						twice, len(n.want), s.Consistent, s.Tries)
				}
				if t.Failed() && dumps > 20 {
					break
				}
			}
			took := time.Since(start)
			close(c.stop)
			<-c.done
			changes := c.changes.Load()
			t.Logf("%d dumps, %d consistent, %d overrun, %.1f tries each, beside %.0f changes a second", dumps,
				consistent, overrun, float64(tries)/float64(dumps), float64(changes)/took.Seconds())
			if consistent*10 < (dumps-overrun)*9 {
				t.Errorf("only %d of %d snapshots are consistent", consistent, dumps-overrun)
			}
			if changes < 10*int64(tries) {
				t.Errorf("only %d changes while routes were read %d times: this proves nothing", changes, tries)
			}
		})
	}
}

func replaced(v6 bool) string {
	if v6 {
		return "fd01:50:50:8000::/65"
	}
	return "20.50.50.128/25"
}

// viaEach makes the arguments of ip for gateways.
func viaEach(gateways string) (args string) {
	for _, g := range strings.Fields(gateways) {
		args += " nexthop via " + g
	}
	return args
}

// change adds and deletes a route in turn, and sometimes replaces the one that
// is always there.
func change(i int, dst string, v6 bool) string {
	gateways := []string{"10.0.0.2 10.0.0.3", "10.0.0.4 10.0.0.5 10.0.0.6"}
	if v6 {
		gateways = []string{"fd00::2 fd00::3", "fd00::4 fd00::5 fd00::6"}
	}
	switch {
	case i%2 == 1:
		return "route replace " + replaced(v6) + viaEach(gateways[i/2%2])
	case i%4 == 0:
		return "route add " + dst + viaEach(gateways[0])
	}
	return "route del " + dst
}

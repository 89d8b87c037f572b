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
)

var churnTime = flag.Duration("churn", 20*time.Second,
	"how long TestChurn changes routes, for each family; with -short a fortieth of it")

// A churner adds, deletes and replaces routes from another process.
type churner struct {
	changes atomic.Int64
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
		}
	}()
	return c
}

// TestChurn reads all routes again and again while another process changes
// routes among them, and looks for those that nobody touched, and for one that is
// replaced all the time.
func TestChurn(t *testing.T) {
	untouched := nstest.Amount(20000, 5000)
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
				n := i / 4 * 7919 % untouched
				dst := fmt.Sprintf("20.%d.%d.%d/32", n/200, n%200, 1+i/4%200)
				return change(i, dst, false)
			}},
		{"ipv6", "-6", true,
			func(i int) string { return fmt.Sprintf("fd01:%x:%x::/64", i/200, i%200) },
			func(i int) string {
				n := i / 4 * 7919 % untouched
				dst := fmt.Sprintf("fd01:%x:%x:%x::/80", n/200, n%200, 1+i/4%200)
				return change(i, dst, true)
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			nstest.New(t)
			nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
			gw, f := "10.0.0.9", IPv4
			selves := []string{"10.0.0.2 10.0.0.3 ", "10.0.0.4 10.0.0.5 10.0.0.6 "} // of the route that is replaced
			if tc.family6 {
				gw, f = "fd00::9", IPv6
				selves = []string{"fd00::2 fd00::3 ", "fd00::4 fd00::5 fd00::6 "}
			}
			var lines []string
			want := map[netip.Prefix]int{}
			for i := range untouched {
				dst := tc.route(i)
				want[netip.MustParsePrefix(dst)] = i
				lines = append(lines, "route add "+dst+" via "+gw)
			}
			lines = append(lines, "route add "+replaced(tc.family6)+viaEach(selves[0]))
			nstest.Batch(t, tc.family, lines...)
			want[netip.MustParsePrefix(replaced(tc.family6))] = untouched

			c := churn(t, tc.family, tc.change)
			k := Kernel{}
			start := time.Now()
			var dumps, tries, consistent int
			seen := make([]int, untouched+1)
			for time.Since(start) < duration {
				s, err := k.Read(context.Background(), Request{Filter: Filter{Families: []Family{f}}})
				if err != nil {
					t.Fatal(err)
				}
				dumps++
				tries += s.Tries
				if s.Consistent {
					consistent++
				}
				clear(seen)
				for c := s.Cursor(FieldDst | FieldTable | FieldNexthops); c.Next(); {
					r := c.Route()
					i, ok := want[r.Dst]
					if !ok || r.Table != 254 {
						continue
					}
					seen[i]++
					text := ""
					for _, n := range s.Nexthops(r, nil) {
						text += n.Gateway.String() + " "
					}
					if i < untouched && text != gw+" " || i == untouched && !slices.Contains(selves, text) {
						t.Errorf("%v has the gateways %s", r.Dst, text)
					}
				}
				lost, twice := 0, 0
				for _, n := range seen {
					if n == 0 {
						lost++
					}
					if n > 1 {
						twice++
					}
				}
				if twice > 0 || lost > 0 && s.Consistent {
					t.Errorf("dump %d: %d routes lost, %d twice of %d (consistent: %v, tries: %d)", dumps, lost, twice, len(seen), s.Consistent, s.Tries)
				}
				if t.Failed() && dumps > 20 {
					break
				}
			}
			took := time.Since(start)
			close(c.stop)
			<-c.done
			rate := float64(c.changes.Load()) / took.Seconds()
			t.Logf("%d dumps, %d consistent, %.1f tries each, beside %.0f changes a second", dumps, consistent, float64(tries)/float64(dumps), rate)
			if consistent*10 < dumps*9 {
				t.Errorf("only %d of %d snapshots are consistent", consistent, dumps)
			}
			if rate < 1000 {
				t.Errorf("only %.0f changes a second: this proves nothing", rate)
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

package events

import (
	"bytes"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// An output is what a process has written so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// monitor runs ip monitor while changes are made, from a first one to a last one which it shows,
// and returns its lines between these.
func monitor(t *testing.T, change func()) []string {
	t.Helper()
	var out output
	cmd := exec.Command("ip", "-rcvbuf", "16777216", "-N", "-o", "monitor", "label", "route", "rule", "nexthop")
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	shows := func(dst string, changes ...string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			for _, change := range changes {
				nstest.IP(t, change)
			}
			if strings.Contains(out.String(), dst+" ") {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("ip monitor does not show %s but\n%s", dst, out.String())
			}
		}
	}
	shows("98.0.0.0/8", "route add blackhole 98.0.0.0/8", "route del blackhole 98.0.0.0/8") // it listens
	nstest.IP(t, "route add blackhole 98.1.0.0/16")
	change()
	nstest.IP(t, "route add blackhole 98.2.0.0/16")
	shows("98.2.0.0/16")
	text := out.String()
	text = text[strings.Index(text, "98.1.0.0/16"):strings.Index(text, "98.2.0.0/16")]
	lines := strings.Split(text, "\n")
	return lines[1 : len(lines)-1]
}

// shown makes of a line what changed: what is common to what ip monitor and an event say.
func shown(t *testing.T, line string) string {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(line, "["), "]")
	words := strings.Fields(rest)
	verb := "is"
	if len(words) > 0 && words[0] == "Deleted" {
		verb, words = "deleted", words[1:]
	}
	after := func(word, none string) string {
		for i, w := range words[:len(words)-1] {
			if w == word {
				return words[i+1]
			}
		}
		return none
	}
	switch kind {
	case "NEXTHOP":
		return verb + " nexthop " + after("id", "")
	case "RULE":
		return verb + " rule " + strings.TrimSuffix(words[0], ":") + " " + after("lookup", "")
	}
	for _, w := range words {
		if w == "default" { // of IPv4; an IPv6 one would need more
			w = "0.0.0.0/0"
		}
		if a, err := netip.ParseAddr(w); err == nil {
			w += fmt.Sprintf("/%d", a.BitLen())
		}
		if p, err := netip.ParsePrefix(w); err == nil {
			return fmt.Sprintf("%s route %s %v %s", verb, after("table", "254"), p, after("metric", "0"))
		}
	}
	t.Errorf("ip monitor shows %q", line)
	return ""
}

// told makes the same of an event.
func told(e *Event) (text string) {
	verb := "is"
	if e.Action == Deleted {
		verb = "deleted"
	}
	var r object.Route
	var n object.NexthopObject
	var u object.Rule
	switch e.Kind {
	case object.Routes.Kind:
		object.Decode(e.Object, object.Routes, &r)
		metric, _ := r.Metric()
		return fmt.Sprintf("%s route %d %v %d", verb, r.Table, r.Dst, metric)
	case object.Rules.Kind:
		object.Decode(e.Object, object.Rules, &u)
		return fmt.Sprintf("%s rule %d %d", verb, u.Priority, u.Table)
	case object.NexthopObjects.Kind:
		object.Decode(e.Object, object.NexthopObjects, &n)
		return fmt.Sprintf("%s nexthop %d", verb, n.ID)
	}
	return ""
}

// silently reports whether an event may be one of which ip monitor shows nothing.
func silently(e *Event) bool {
	groups := e.Action == Replaced && (e.Kind == object.NexthopObjects.Kind || usesObject(e.Object))
	return e.Action == Gone || !e.Told || groups || e.Kind == object.Links.Kind || e.Kind == object.Addresses
}

func usesObject(run object.Run) bool {
	var r object.Route
	return run.Kind() == object.Routes.Kind && object.Decode(run, object.Routes, &r) && r.NexthopID.OK
}

// TestMonitor compares with ip monitor: the same changes, in the same order.
func TestMonitor(t *testing.T) {
	nstest.New(t)
	for _, v := range []string{"0", "1", "2"} {
		nstest.Veth(t, "v"+v, "10."+v+".0.1/24", "fd0"+v+"::1/64")
	}
	c := newChance(seedOf(t))
	var lines []string
	events := following(t, 0, func() {
		lines = monitor(t, func() {
			for range 10 {
				// What the kernel does a while later may be told in another order to another socket.
				var sync []string
				for line := range strings.Lines(c.changes(nstest.Amount(500, 50))) {
					if f := strings.Fields(line); f[0] != "link" || !strings.HasSuffix(f[2], "p") {
						sync = append(sync, line)
					}
				}
				try(t, strings.Join(sync, ""))
				duplicate(t, c)
			}
		})
	})
	var of []*Event
	between := false
	for _, e := range events {
		switch text := told(e); {
		case strings.HasPrefix(text, "is route 254 98."):
			between = strings.Contains(text, "98.1.")
		case between && !background(e):
			of = append(of, e)
		}
	}
	compareMonitor(t, lines, of)
}

// compareMonitor sees that each line has its event, and each event its line, but for those that may
// be silent, in one order.
func compareMonitor(t *testing.T, lines []string, events []*Event) {
	t.Helper()
	is := make([]string, len(events))
	for i, e := range events {
		is[i] = told(e)
	}
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, "proto 2 ") })
	can := map[int]bool{} // how many events may be compared, for the lines so far
	skip := func(n int) {
		for can[n] = true; n < len(events) && silently(events[n]); n++ {
			can[n+1] = true
		}
	}
	skip(0)
	for i, line := range lines {
		want, before := shown(t, line), can
		can = map[int]bool{}
		for n := range before {
			if n == len(events) {
				continue
			}
			hop := events[n].Action == Replaced && strings.Replace(is[n], "is", "deleted", 1) == want // of IPv6
			if events[n].Told && is[n] == want || hop {
				skip(n + 1)
			}
		}
		if n := slices.Max(slices.Collect(maps.Keys(before))); len(can) == 0 {
			t.Fatalf("after\n%s\nip monitor shows\n%s\nbut told is\n%s", strings.Join(lines[max(0, i-9):i], "\n"),
				strings.Join(lines[i:min(len(lines), i+9)], "\n"),
				strings.Join(textsOf(events[n:min(len(events), n+9)]), "\n"))
		}
	}
	if !can[len(events)] {
		t.Errorf("ip monitor does not show the last of %q", textsOf(events[max(0, len(events)-20):]))
	}
	t.Logf("%d lines, %d events", len(lines), len(events))
}

// seedOf returns where a test's random numbers begin: SEED in the environment, or by the clock.
func seedOf(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv("SEED"); v != "" {
		fmt.Sscan(v, &seed)
	}
	t.Logf("SEED=%d", seed)
	return seed
}

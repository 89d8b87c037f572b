package events

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// identityOf returns what tells an object from all others.
func identityOf(run object.Run, twin int) string {
	var r object.Route
	var n object.NexthopObject
	var u object.Rule
	switch run.Kind() {
	case object.Routes.Kind:
		object.Decode(run, object.Routes, &r)
		r.SetTwin(twin)
		return string(r.AppendID(nil))
	case object.Rules.Kind:
		object.Decode(run, object.Rules, &u)
		return "rule " + string(u.AppendID(nil, twin))
	case object.NexthopObjects.Kind:
		object.Decode(run, object.NexthopObjects, &n)
		return fmt.Sprintf("nexthop %d", n.ID)
	}
	return ""
}

// A replay is the state that events lead to.
type replay map[string]string

func (r replay) take(t *testing.T, e *Event) {
	if e.Kind == object.Links.Kind || e.Kind == object.Addresses || e.Kind == nil {
		return
	}
	now := identityOf(e.Object, e.Twin)
	if e.Old.Len() > 0 {
		delete(r, identityOf(e.Old, e.OldTwin))
	}
	switch e.Action {
	case Deleted, Gone:
		delete(r, now)
	default:
		r[now] = describe(e.Object)
	}
}

// stateOf returns the same of a snapshot.
func stateOf(s *rtnl.Snapshot) replay {
	all := replay{}
	for _, k := range followed {
		tw := newTwins(k)
		object.Each(s.Runs(k), func(m *object.Message) bool {
			run := copied(m)
			all[identityOf(run, tw.before(m))] = describe(run)
			return true
		})
	}
	return all
}

func (r replay) compare(t *testing.T, now replay) bool {
	ok := true
	for _, id := range slices.Sorted(maps.Keys(r)) {
		if is, there := now[id]; !there || is != r[id] {
			t.Errorf("there is no %s %s, but %s", id, r[id], is)
			ok = false
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now)) {
		if _, told := r[id]; !told {
			t.Errorf("nothing told of %s %s", id, now[id])
			ok = false
		}
	}
	return ok
}

// randomChange returns a line for ip -batch. Many of them fail.
func randomChange(r *rand.Rand) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	dev := pick("v0", "v1", "v2")
	six := r.IntN(2) == 0
	gw := fmt.Sprintf("10.%s.0.%d", dev[1:], 2+r.IntN(4))
	dst := fmt.Sprintf("20.%d.0.0/16", r.IntN(12))
	if six {
		gw = fmt.Sprintf("fd0%s::%d", dev[1:], 2+r.IntN(4))
		dst = fmt.Sprintf("fd20:%d::/32", r.IntN(12))
	}
	via := "via " + gw + " dev " + dev
	tail := ""
	if r.IntN(3) == 0 {
		tail += fmt.Sprintf(" metric %d", 1+r.IntN(3)*100)
	}
	if r.IntN(4) == 0 {
		tail += " table " + pick("7", "254", "1000")
	}
	if r.IntN(8) == 0 {
		tail += " proto " + pick("static", "bgp", "186")
	}
	if !six && r.IntN(10) == 0 {
		tail += " tos 16"
	}
	verb := pick("add", "add", "append", "prepend", "replace", "replace", "change", "del", "del")
	switch n := r.IntN(40); {
	case n < 20:
		if r.IntN(10) == 0 {
			via = pick("dev "+dev, "blackhole")
		}
		if via == "blackhole" {
			return fmt.Sprintf("route %s blackhole %s%s", verb, dst, tail)
		}
		return fmt.Sprintf("route %s %s %s%s", verb, dst, via, tail)
	case n < 25:
		other := pick("v0", "v1", "v2")
		gw2 := fmt.Sprintf("10.%s.0.%d", other[1:], 2+r.IntN(4))
		if six {
			gw2 = fmt.Sprintf("fd0%s::%d", other[1:], 2+r.IntN(4))
		}
		return fmt.Sprintf("route %s %s%s nexthop %s nexthop via %s dev %s weight %d", verb, dst, tail, via, gw2, other, 1+r.IntN(3))
	case n < 27:
		return fmt.Sprintf("route %s %s nhid %d%s", verb, dst, 1+r.IntN(6), tail)
	case n < 30:
		f := ""
		if six {
			f = "-6 "
		}
		return f + fmt.Sprintf("nexthop %s id %d %s", pick("add", "replace", "del"), 1+r.IntN(4), via)
	case n < 31:
		return fmt.Sprintf("nexthop %s id %d group %d/%d", pick("add", "replace", "del"), 5+r.IntN(2), 1+r.IntN(2), 3+r.IntN(2))
	case n < 35:
		return pick("-6 ", "") + fmt.Sprintf("rule %s pref %d table %d", pick("add", "add", "del"), 100+r.IntN(4), 7+r.IntN(2))
	case n < 37:
		return fmt.Sprintf("route %s %s %s src 10.%s.%d.1", verb, fmt.Sprintf("21.%d.0.0/16", r.IntN(4)),
			fmt.Sprintf("via 10.%s.0.2 dev %s", dev[1:], dev), dev[1:], r.IntN(2)*7)
	case n < 38:
		return fmt.Sprintf("address %s 10.%s.%d.1/24 dev %s", pick("add", "del"), dev[1:], r.IntN(2)*7, dev)
	case n < 39:
		return fmt.Sprintf("link set %s %s", dev, pick("up", "up", "down"))
	default:
		return fmt.Sprintf("route del %s", dst)
	}
}

// TestReplay makes random changes, and sees that the events lead from the first snapshot to the
// last one.
func TestReplay(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if v := os.Getenv("SEED"); v != "" {
		fmt.Sscan(v, &seed)
	}
	for round := range nstest.Amount(10, 2) {
		t.Run(fmt.Sprint(round), func(t *testing.T) { testReplay(t, seed+uint64(round), 1000, false) })
		t.Run(fmt.Sprint(round, " with losses"), func(t *testing.T) { testReplay(t, seed+uint64(round), 3000, true) })
	}
}

func testReplay(t *testing.T, seed uint64, changes int, losses bool) {
	nstest.New(t)
	r := rand.New(rand.NewPCG(seed, 1))
	t.Logf("seed %d", seed)
	for _, v := range []string{"0", "1", "2"} {
		nstest.Veth(t, "v"+v, "10."+v+".0.1/24", "fd0"+v+"::1/64")
	}
	k := &rtnl.Kernel{}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	state := replay{}
	var log []string
	lost := 0
	begun, done := make(chan bool), make(chan bool)
	var mu sync.Mutex
	f := newFollower(k, Following{Namespace: thisNamespace(), Logger: testLogger(t), Present: true})
	if losses {
		f.buffer = 32 << 10
		f.hold = func() { time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) }
	}
	go func() {
		defer close(done)
		f.run(ctx, func(e *Event, err error) bool {
			if err != nil {
				t.Error(err)
				return false
			}
			mu.Lock()
			defer mu.Unlock()
			if e.Action == Lost {
				lost++
			}
			if e.Action != Present {
				log = append(log, textOf(e))
			}
			if begun != nil && e.Action == Present {
				close(begun)
				begun = nil
			}
			state.take(t, e)
			return !strings.HasPrefix(textOf(e), "added route 254 99.0.0.0/8")
		})
	}()
	<-begun
	var lines []string
	for range changes {
		lines = append(lines, randomChange(r))
	}
	run(t, lines)
	time.Sleep(500 * time.Millisecond)
	time.Sleep(time.Second)
	nstest.IP(t, "route add blackhole 99.0.0.0/8")
	<-done
	s, err := k.Read(ctx, rtnl.Request{Kinds: followed})
	if err != nil {
		t.Fatal(err)
	}
	if losses && lost == 0 {
		t.Error("nothing was lost")
	}
	t.Logf("%d events, %d losses", len(log), lost)
	if !state.compare(t, stateOf(s)) {
		t.Logf("%d events:\n%s", len(log), strings.Join(log[max(0, len(log)-400):], "\n"))
	}
}

// run makes changes, of which some may fail.
func run(t *testing.T, lines []string) {
	t.Helper()
	cmd := exec.Command("ip", "-N", "-force", "-batch", "-")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	out, _ := cmd.CombinedOutput()
	_ = out
}

package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kernelroutes/internal/nltest"
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

// A replay is the state that events lead to: by identity, of those that are alike in their order.
type replay map[string][]object.Run

// remove takes away one of those that are alike, which are so many with it.
func (r replay) remove(run object.Run, twin int) (err error) {
	id := identityOf(run, 0)
	list := r[id]
	if len(list) != twin+1 {
		err = fmt.Errorf("%s is there %d times, not %d", id, len(list), twin+1)
	}
	if len(list) == 0 {
		return err
	}
	at := slices.IndexFunc(list, func(o object.Run) bool { return alike(o, run) })
	if at < 0 { // it is told as it was last, as after silent changes
		at = len(list) - 1
	}
	if r[id] = slices.Delete(list, at, at+1); len(r[id]) == 0 {
		delete(r, id)
	}
	return err
}

func alike(a, b object.Run) bool {
	var m, n object.Message
	return a.Next(&m) && b.Next(&n) && object.Alike(&m, &n)
}

// take takes in an event. What does not fit is an error.
func (r replay) take(e *Event) (err error) {
	if e.Kind == object.Links.Kind || e.Kind == object.Addresses || e.Kind == nil {
		return nil
	}
	gone := e.Action == Deleted || e.Action == Gone
	switch {
	case e.Old.Len() > 0:
		err = r.remove(e.Old, e.OldTwin)
	case gone:
		err = r.remove(e.Object, e.Twin)
	case e.Action == Replaced:
		err = errors.New("replaces nothing")
	}
	if gone {
		return err
	}
	id := identityOf(e.Object, 0)
	if e.Twin > len(r[id]) || e.Old.Len() == 0 && e.Twin != len(r[id]) {
		err = cmp.Or(err, fmt.Errorf("%s is there %d times, and comes as %d", id, len(r[id]), e.Twin))
	}
	if e.Old.Len() == 0 && e.Twin < len(r[id]) { // it is told of again, as after a loss
		r[id][e.Twin] = e.Object
	} else {
		r[id] = slices.Insert(r[id], min(e.Twin, len(r[id])), e.Object)
	}
	return err
}

// stateOf returns the same of a snapshot.
func stateOf(s *rtnl.Snapshot) replay {
	all := replay{}
	for _, k := range followed {
		object.Each(s.Runs(k), func(m *object.Message) bool {
			run := copied(m)
			id := identityOf(run, 0)
			all[id] = append(all[id], run)
			return true
		})
	}
	return all
}

// differs says in what it is not as the kernel has it.
func (r replay) differs(now replay) (all []string) {
	for _, id := range slices.Sorted(maps.Keys(r)) {
		for i, told := range r[id] {
			if i >= len(now[id]) && now.hides(told) {
				continue
			}
			if i >= len(now[id]) {
				all = append(all, fmt.Sprintf("there is no %s %d %s", id, i, describe(told)))
			} else if is := now[id][i]; !alike(told, is) {
				all = append(all, fmt.Sprintf("%s %d is %s %x, not %s %x", id, i, describe(is), is.Bytes(),
					describe(told), told.Bytes()))
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(now)) {
		for i := len(r[id]); i < len(now[id]); i++ {
			all = append(all, fmt.Sprintf("nothing told of %s %d %s", id, i, describe(now[id][i])))
		}
	}
	return all
}

// hides reports whether a dump may pass over an IPv6 route: see state.hidden.
func (r replay) hides(run object.Run) bool {
	var one, other object.Route
	if run.Kind() != object.Routes.Kind || !object.Decode(run, object.Routes, &one) || one.Family != object.IPv6 {
		return false
	}
	for _, list := range r {
		for _, o := range list {
			if o.Kind() == object.Routes.Kind && object.Decode(o, object.Routes, &other) && other.Table == one.Table &&
				other.Dst == one.Dst && other.Priority == one.Priority && len(other.Multipath) > 1 {
				return true
			}
		}
	}
	return false
}

// TestReplay makes random changes, and sees that the events lead from the first snapshot to the
// last one.
func TestReplay(t *testing.T) {
	seed := seedOf(t)
	for round := range 6 {
		losses, compat, processes := round%2 == 1, fmt.Sprint(round/2%2), 1+round/4
		name := fmt.Sprintf("losses %v, nexthop_compat_mode %s, processes %d", losses, compat, processes)
		t.Run(name, func(t *testing.T) {
			nstest.New(t)
			nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", compat)
			testReplay(t, seed+uint64(round), nstest.Amount(10_000, 500), processes, losses)
		})
	}
}

// A replayer follows changes, and keeps what they lead to.
type replayer struct {
	mu     sync.Mutex
	state  replay
	log    []string
	lost   int
	odd    []string
	marked chan string
}

func (r *replayer) take(e *Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.state.take(e)
	text := textOf(e)
	if err != nil {
		text += ": " + err.Error()
		r.odd = append(r.odd, text)
	}
	if e.Action == Lost {
		r.lost++
	}
	if e.Action != Present {
		r.log = append(r.log, text)
	}
	if strings.HasPrefix(text, "added route 254 99.") {
		r.marked <- text
	}
}

func testReplay(t *testing.T, seed uint64, changes, processes int, losses bool) {
	t.Logf("SEED=%d", seed)
	for _, v := range []string{"0", "1", "2"} {
		nstest.Veth(t, "v"+v, "10."+v+".0.1/24", "fd0"+v+"::1/64")
	}
	k := &rtnl.Kernel{}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	r := &replayer{state: replay{}, marked: make(chan string, 10)}
	f := testFollower(t)
	f.Present = true
	c := newChance(seed)
	var shut sync.Mutex // while it is locked the socket is not read
	if losses {
		f.buffer = 32 << 10
		hold := newChance(seed)
		f.hold = func() {
			shut.Lock()
			defer shut.Unlock()
			time.Sleep(time.Duration(hold.IntN(3)) * time.Millisecond)
		}
	}
	done := f.inBackground(ctx, func(e *Event, err error) bool {
		if err == nil {
			r.take(e)
		} else if ctx.Err() == nil {
			t.Error(err)
		}
		return err == nil
	})
	for part := range 20 {
		texts := make([]string, processes)
		for i := range texts {
			texts[i] = c.changes(changes / 20 / processes)
			if processes > 1 { // ip ends where another one has just taken the interface away
				texts[i] = withoutLines(texts[i], "link del ", " name ")
			}
		}
		flood := losses && part == 10 // on a slow machine nothing else may be more than the socket has room for
		if flood {
			const line = " blackhole 97.0.0.0/8\n"
			texts = append(texts, strings.Repeat("route add"+line+"route del"+line, 400))
			shut.Lock()
		}
		try(t, texts...)
		if flood {
			shut.Unlock()
		}
		duplicate(t, c)
	}
	nstest.IP(t, "route add blackhole 99.0.0.0/8")
	if !losses {
		<-r.marked // all that came before is told of
	}
	r.settles(t, ctx, k)
	nstest.IP(t, "route add blackhole 99.1.0.0/16")
	<-r.marked
	r.settles(t, ctx, k)
	cancel()
	<-done
	if losses && r.lost == 0 {
		t.Error("nothing was lost")
	}
	// What a route replaced is not told, so that it is guessed where others went silently before.
	if !losses && len(r.odd) > len(r.log)/500 {
		t.Errorf("events that do not fit:\n%s", strings.Join(r.odd, "\n"))
	}
	t.Logf("%d events, %d losses, %d do not fit", len(r.log), r.lost, len(r.odd))
	if t.Failed() {
		t.Logf("the last events:\n%s", strings.Join(r.log[max(0, len(r.log)-200):], "\n"))
	}
}

// withoutLines returns the lines that have none of some words.
func withoutLines(text string, words ...string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !slices.ContainsFunc(words, func(w string) bool { return strings.Contains(line, w) }) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// settles waits until the events lead to what the kernel has.
func (r *replayer) settles(t *testing.T, ctx context.Context, k *rtnl.Kernel) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		s, err := k.Read(ctx, rtnl.Request{Kinds: followed})
		if err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		differences := r.state.differs(stateOf(s))
		r.mu.Unlock()
		if len(differences) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the events do not lead to what there is:\n%s", strings.Join(differences, "\n"))
		}
	}
}

// duplicate adds a rule that there may be already, which ip does not.
func duplicate(t *testing.T, c chance) {
	family := familyOf(c.once(2))
	payload := nltest.AppendRule(nil, &object.Rule{Family: family, Action: 1, Table: 7,
		Priority: 100 + uint32(c.IntN(2))})
	if err := nstest.Send(t, object.Rules.New, 0, payload); err != nil {
		t.Errorf("add a rule: %v", err)
	}
}

func familyOf(six bool) object.Family {
	if six {
		return object.IPv6
	}
	return object.IPv4
}

// try makes changes, of which some may fail, by one process for each text, at a time. All have to
// be understood: ip ends at one that is not. It also ends, now and then, as it takes the kernel for
// one that cannot delete links.
func try(t *testing.T, texts ...string) {
	t.Helper()
	commands := make([]*exec.Cmd, len(texts))
	outs := make([]output, len(texts))
	for i, lines := range texts {
		commands[i] = exec.Command("ip", "-N", "-force", "-batch", "-")
		commands[i].Stdin = strings.NewReader(lines + "end\n")
		commands[i].Stdout, commands[i].Stderr = &outs[i], &outs[i]
		if err := commands[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, cmd := range commands {
		_ = cmd.Wait() // that a line failed
		s := outs[i].String()
		if !strings.Contains(s, `Object "end" is unknown`) && !strings.Contains(s, `try "ip link help"`) {
			t.Errorf("ip has ended before the last line:\n%s", s[max(0, len(s)-1000):])
		}
	}
}

package events

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/object"
)

func TestActions(t *testing.T) {
	for a := Present; a <= Lost; a++ {
		if got, ok := ParseAction(a.String()); !ok || got != a {
			t.Errorf("%v is read as %v, %v", a, got, ok)
		}
	}
	for c := author.Unknown; c <= author.Kernel; c++ {
		if got, ok := author.ParseCertainty(c.String()); !ok || got != c {
			t.Errorf("%v is read as %v, %v", c, got, ok)
		}
	}
	for _, s := range []string{"", "Added", "added ", "unknown?"} {
		if a, ok := ParseAction(s); ok {
			t.Errorf("%q is read as %v", s, a)
		}
		if c, ok := author.ParseCertainty(s); ok {
			t.Errorf("%q is read as %v", s, c)
		}
	}
}

func countOf(runs []object.Run) (n int) {
	object.Each(runs, func(*object.Message) bool {
		n++
		return true
	})
	return n
}

// TestSnapshotOf has what was and what it referred to.
func TestSnapshotOf(t *testing.T) {
	s := newState()
	var m object.Message
	checked(&m, nltest.LinkMessage(1, 3, "v0"))
	s.setLink(&m)
	s.applied(t, "20.0.0.0/8 via 10.0.0.2")
	checked(&m, messageOf(t, "=20.0.0.0/8 via 10.0.0.3"))
	c := s.apply(&m, false)
	e := &Event{Seq: 1, Time: 5, Action: c.action, Kind: object.Routes.Kind, Object: c.object, Old: c.old,
		Referred: s.referred(c.object, c.old)}
	for _, snap := range []*rtnl.Snapshot{e.Snapshot(), e.OldSnapshot()} {
		if n := countOf(snap.Runs(object.Routes.Kind)); n != 1 {
			t.Errorf("%d routes", n)
		}
		if n := countOf(snap.Runs(object.Links.Kind)); n != 1 {
			t.Errorf("%d links", n)
		}
	}
	if !e.At().Equal(time.Unix(0, 5)) || e.Size() < e.Object.Len()+e.Old.Len() {
		t.Errorf("at %v, %d bytes", e.At(), e.Size())
	}
	lost := &Event{Action: Lost}
	if n := countOf(lost.Snapshot().Runs(object.Routes.Kind)); n != 0 {
		t.Errorf("%d routes in what was lost", n)
	}
}

// fixedLog is a Log that nothing is followed for.
func fixedLog(rows int, bytes int64) *Log {
	l := &Log{options: Options{MaxRows: rows, MaxBytes: bytes, Logger: slog.New(slog.DiscardHandler)},
		begun: make(chan struct{})}
	close(l.begun)
	return l
}

// TestLogBounds keeps the newest events, and any number of them is asked for.
func TestLogBounds(t *testing.T) {
	size := int64((&Event{}).Size())
	for _, test := range []struct{ rows, room, kept int }{
		{1, 1000, 1}, {3, 1000, 3}, {64, 1000, 64}, {65, 1000, 65}, {200, 1000, 200}, {1000, 7, 7}, {1000, 0, 1},
	} {
		l := fixedLog(test.rows, int64(test.room)*size)
		for n := range 500 {
			l.add(&Event{})
			last := uint64(n + 1)
			kept := min(n+1, test.kept)
			for after := uint64(0); after <= last+2; after++ {
				got, err := l.Events(t.Context(), after)
				first := max(last-uint64(kept)+1, after+1)
				if want := max(int(last)-int(first)+1, 0); err != nil || len(got) != want {
					t.Fatalf("%v: after %d of %d there are %d, not %d: %v", test, after, last, len(got), want, err)
				}
				for i, e := range got {
					if e.Seq != first+uint64(i) {
						t.Fatalf("%v: after %d of %d comes %d, not %d", test, after, last, e.Seq, first+uint64(i))
					}
				}
				if n > 70 && n < 490 {
					break
				}
			}
		}
		if l.count > test.rows || l.size != int64(l.count)*size {
			t.Errorf("%v: %d events of %d bytes", test, l.count, l.size)
		}
		if got, _ := l.Events(t.Context(), ^uint64(0)); len(got) != 0 {
			t.Errorf("%v: %d after the last that there can be", test, len(got))
		}
	}
}

// TestLogFails tells why changes cannot be followed, and that some are lost.
func TestLogFails(t *testing.T) {
	l := fixedLog(10, 1<<20)
	cause := errors.New("no more")
	l.fail(cause, firstRetry)
	if l.count != 0 {
		t.Error("a loss is told though nothing was followed")
	}
	l.state = newState()
	l.err = nil // followed meanwhile
	l.add(&Event{})
	l.fail(cause, firstRetry)
	l.fail(cause, firstRetry) // again: nothing else is lost
	if got, err := l.Events(t.Context(), 0); !errors.Is(err, cause) || got != nil {
		t.Errorf("got %d events, %v", len(got), err)
	}
	l.err = nil
	if got, _ := l.Events(t.Context(), 0); len(got) != 2 || got[1].Action != Lost || got[1].Seq != 2 {
		t.Errorf("got %d events", len(got))
	}
}

// TestLog follows, and is closed while it does.
func TestLog(t *testing.T) {
	nstest.New(t)
	l := Start(&rtnl.Kernel{}, Options{Namespace: thisNamespace()})
	if got, err := l.Events(t.Context(), 0); len(got) != 0 || err != nil {
		t.Fatalf("got %d events, %v", len(got), err)
	}
	nstest.Batch(t, "-N", "route add blackhole 20.0.0.0/8", "route del blackhole 20.0.0.0/8")
	var got []*Event
	for deadline := time.Now().Add(10 * time.Second); len(got) < 2 && time.Now().Before(deadline); {
		got, _ = l.Events(t.Context(), 0)
	}
	wantEvents(t, got, "added route 254 20.0.0.0/8", "deleted route 254 20.0.0.0/8")
	l.Close()
	l.Close()
	if again, err := l.Events(t.Context(), 1); len(again) != 1 || err != nil {
		t.Errorf("after it was closed there are %d events, %v", len(again), err)
	}
}

// TestLogCannot has no namespace to follow.
func TestLogCannot(t *testing.T) {
	l := Start(&rtnl.Kernel{}, Options{Namespace: "/proc/self/ns/nothing"})
	defer l.Close()
	if got, err := l.Events(t.Context(), 0); got != nil || err == nil {
		t.Errorf("got %d events, %v", len(got), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	waiting := &Log{begun: make(chan struct{})}
	if _, err := waiting.Events(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestQueue hands on in order, and tells of what it has no room for.
func TestQueue(t *testing.T) {
	q := newQueue(3 * (itemSize + 8))
	for i := range 5 {
		q.put(item{time: int64(i), msg: make([]byte, 8)})
	}
	<-q.ready
	got, err := q.take(nil)
	if err != nil || len(got) != 4 || got[2].time != 2 || got[3].msg != nil || got[3].time != 3 {
		t.Fatalf("got %v, %v", got, err)
	}
	if got, err := q.take(got); len(got) != 0 || err != nil {
		t.Errorf("got %v, %v of nothing", got, err)
	}
	q.put(item{msg: make([]byte, 1<<20)}) // one is always taken
	if got, _ := q.take(nil); len(got) != 1 || got[0].msg == nil {
		t.Errorf("got %v", got)
	}
	why := errors.New("the end")
	q.put(item{time: 9, msg: make([]byte, 8)})
	q.close(why)
	q.close(errors.New("another end"))
	if got, err := q.take(nil); len(got) != 1 || err != nil {
		t.Errorf("got %v, %v before the end", got, err)
	}
	if got, err := q.take(nil); len(got) != 0 || err != why {
		t.Errorf("got %v, %v at the end", got, err)
	}
}

// TestLogCountsWhatIsShared counts an author, and what is referred to, once for the events of a row
// that share it.
func TestLogCountsWhatIsShared(t *testing.T) {
	size := int64((&Event{}).Size())
	const long = 4000
	authors := []*author.Author{nil, {Name: "ip", Path: strings.Repeat("a", long)}, {Cgroup: strings.Repeat("b", long)}}
	lists := [][]object.Run{nil, make([]object.Run, 1), make([]object.Run, 100)}
	r := rand.New(rand.NewPCG(1, 2))
	const room = 50_000
	l := fixedLog(100, room)
	byRows, byBytes := false, false
	for i := range 3000 {
		by := 0
		if i/500%2 == 1 {
			by = r.IntN(len(authors))
		}
		l.add(&Event{Author: authors[by], Referred: lists[r.IntN(1+min(by, len(lists)-1))]})
		want := int64(0)
		before := new(Event)
		for n := range l.count {
			e := l.at(n)
			want += size
			if e.Author != before.Author && e.Author != nil {
				want += int64(unsafe.Sizeof(author.Author{})) + int64(len(e.Author.Name)) + long
			}
			if len(e.Referred) > 0 && len(e.Referred) != len(before.Referred) {
				want += int64(len(e.Referred)) * int64(unsafe.Sizeof(object.Run{}))
			}
			before = e
		}
		if l.size != want || l.size > room {
			t.Fatalf("%d events take %d bytes, of %d, not %d", l.count, l.size, room, want)
		}
		byRows = byRows || l.count == 100
		byBytes = byBytes || i > 500 && l.count < 100
	}
	if !byRows || !byBytes {
		t.Errorf("the bound was that of rows: %v, of bytes: %v", byRows, byBytes)
	}
}

// TestLogResumes loses the socket: what is different when there is another one is told after the loss.
func TestLogResumes(t *testing.T) {
	nstest.New(t)
	nstest.IP(t, "link set lo up")
	nstest.IP(t, "route add blackhole 20.0.0.0/8")
	followers := make(chan *follower, 2)
	l := newLog(Options{Namespace: thisNamespace(), Logger: testLogger(t)})
	l.began = func(f *follower) { followers <- f }
	// It is tried again when the routes have changed, however long that takes.
	failed, again := make(chan time.Duration, 1), make(chan time.Time)
	l.after = func(retry time.Duration) <-chan time.Time {
		failed <- retry
		return again
	}
	l.start(&rtnl.Kernel{})
	defer l.Close()
	(<-followers).conn.Close()
	if retry := <-failed; retry != firstRetry {
		t.Errorf("it is tried again after %v", retry)
	}
	nstest.Batch(t, "-N", "route del blackhole 20.0.0.0/8", "route add blackhole 21.0.0.0/8")
	again <- time.Time{}
	<-followers
	want := []string{"lost", "gone route 254 20.0.0.0/8", "added route 254 21.0.0.0/8"}
	deadline := time.Now().Add(30 * time.Second)
	for {
		all, err := l.Events(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range all {
			got = append(got, textOf(e))
		}
		if slices.Equal(got, want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got %q, want %q", got, want)
		}
		time.Sleep(time.Millisecond)
	}
}

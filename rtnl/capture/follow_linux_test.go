package capture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/object"
)

// long is more than a test takes.
const long = time.Hour

// changesOf are made-up changes, after which there are none until the context ends, and then err or,
// if that is nil, the context's error.
func changesOf(all []*events.Event, err error) changes {
	return func(ctx context.Context, begun func() error) iter.Seq2[*events.Event, error] {
		return func(yield func(*events.Event, error) bool) {
			if err := begun(); err != nil {
				yield(nil, err)
				return
			}
			for _, e := range all {
				if !yield(e, nil) {
					return
				}
			}
			if err == nil {
				<-ctx.Done()
				err = ctx.Err()
			}
			yield(nil, err)
		}
	}
}

// followed follows made-up changes.
func followed(ctx context.Context, w io.Writer, d time.Duration, begun func(), from changes) error {
	return (&follower{k: new(rtnl.Kernel), w: w, d: d, begun: begun}).follow(ctx, from)
}

// TestFollow: a capture that was followed has what was there when it began and what changed, however
// it ends.
func TestFollow(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	all := madeUp(t)[1:]
	want := all
	check := func(what string, file []byte) {
		t.Helper()
		c := readTest(t, file)
		sameEvents(t, what, eventsOf(t, c), want)
		kernel, err := new(rtnl.Kernel).Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{}))
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.Read(context.Background(), rtnl.RouteRequest(rtnl.Filter{}))
		if err != nil || !slices.Equal(dump(got), dump(kernel)) || len(c.Notes()) > 0 {
			t.Errorf("%s: %v, notes %q\n got %q\nwant %q", what, err, c.Notes(), dump(got), dump(kernel))
		}
	}
	var b bytes.Buffer
	began := 0
	begun := func() {
		began++
		if b.Len() == 0 {
			t.Error("the snapshot is not written when the rest begins")
		}
	}
	if err := followed(context.Background(), &b, time.Millisecond, begun, changesOf(all, nil)); err != nil {
		t.Fatal(err)
	}
	check("its time is over", b.Bytes())

	b.Reset()
	ctx, cancel := context.WithCancel(context.Background())
	if err := followed(ctx, &b, long, func() { begun(); cancel() }, changesOf(all, nil)); err != nil {
		t.Fatal(err)
	}
	check("its context has ended", b.Bytes())
	if began != 2 {
		t.Errorf("it began %d times", began)
	}

	b.Reset()
	err := followed(ctx, &b, long, func() { t.Error("it begins") }, changesOf(all, nil))
	if !canceled(err) || b.Len() > 0 {
		t.Errorf("ended before it begins: %v and %d bytes", err, b.Len())
	}
	// Nothing is there, and nothing happens.
	b.Reset()
	if err := followed(context.Background(), &b, time.Millisecond, begun, changesOf(nil, nil)); err != nil {
		t.Fatal(err)
	}
	want = nil
	check("nothing happens", b.Bytes())
	broken := errors.New("broken")
	if err := followed(context.Background(), io.Discard, long, nil, changesOf(all, broken)); err != broken {
		t.Errorf("broken changes: %v", err)
	}
}

// A pipe is a file of which is known what it has while it is written.
type pipe struct {
	mu    sync.Mutex
	b     bytes.Buffer
	err   error // of all that is written from now on
	wrote chan struct{}
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	p.b.Write(b)
	select {
	case p.wrote <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (p *pipe) has(text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Contains(p.b.String(), text)
}

func (p *pipe) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// TestFollowStreams: who reads the file while it is written sees each event when it comes, and
// who reads no more ends it.
func TestFollowStreams(t *testing.T) {
	nstest.New(t)
	p := &pipe{wrote: make(chan struct{}, 1)}
	deadline := time.After(time.Minute)
	wait := func(text string) {
		for !p.has(text) {
			select {
			case <-p.wrote:
			case <-deadline:
				t.Errorf("%q is not written", text)
				return
			}
		}
	}
	gone := errors.New("nobody reads")
	err := followed(context.Background(), p, long, nil,
		func(ctx context.Context, begun func() error) iter.Seq2[*events.Event, error] {
			return func(yield func(*events.Event, error) bool) {
				if err := begun(); err != nil {
					yield(nil, err)
					return
				}
				for seq := uint64(1); seq <= 3 && yield(&events.Event{Seq: seq, Action: events.Lost}, nil); seq++ {
					wait(fmt.Sprintf("event\nseq %d\n", seq))
				}
				p.fail(gone)
				for seq := uint64(4); yield(&events.Event{Seq: seq, Action: events.Lost}, nil); seq++ {
				}
			}
		})
	if err != gone {
		t.Errorf("got %v", err)
	}
}

// TestFollowTooMuch: a file that can hold no more ends, and says so.
func TestFollowTooMuch(t *testing.T) {
	all := madeUp(t)[1:]
	for n := range 2 {
		var b, log bytes.Buffer
		w := emptyFollowed(t, &b)
		w.limit = w.kept
		for _, e := range all[:n] {
			w.limit += w.size(e)
		}
		k := &rtnl.Kernel{Logger: slog.New(slog.NewTextHandler(&log, nil))}
		f := follower{k: k, d: long, out: w, consistent: true}
		more := true
		for _, e := range all {
			var err error
			if more, err = f.event(e); err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
		}
		w.end(true)
		if err := w.w.Flush(); err != nil || more {
			t.Fatalf("%v, more %v", err, more)
		}
		c := readTest(t, b.Bytes())
		got := eventsOf(t, c)
		if len(got) < n || len(got) == len(all) {
			t.Errorf("%d events where there is room for %d", len(got), n)
		}
		sameEvents(t, "too much", got, all[:len(got)])
		if !strings.Contains(log.String(), "no file holds more events") || len(c.Notes()) != 1 ||
			!strings.HasPrefix(c.Notes()[0], "more changed than a file holds: ") {
			t.Errorf("%d events: log %s, notes %q", n, &log, c.Notes())
		}
	}
}

// TestFollowKernel: what a process does while a capture is made is in it, with the process.
func TestFollowKernel(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	p := &pipe{wrote: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	begun := make(chan struct{})
	go func() {
		<-begun
		defer cancel()
		deadline := time.After(time.Minute)
		for !p.has("action deleted") {
			select {
			case <-p.wrote:
			case <-deadline:
				return
			}
		}
	}()
	err := Follow(ctx, new(rtnl.Kernel), p, long, func() {
		nstest.Batch(t, "-4", "route add 10.1.0.0/16 via 10.0.0.2 proto 99", "route del 10.1.0.0/16")
		close(begun)
	})
	if err != nil {
		t.Fatal(err)
	}
	all := eventsOf(t, readTest(t, p.b.Bytes()))
	if len(all) != 2 || all[0].Action != events.Added || all[1].Action != events.Deleted {
		t.Fatalf("%d events: %+v", len(all), all)
	}
	for _, e := range all {
		if e.Kind != object.Routes.Kind || !e.Told || e.Certainty != author.Process && e.Certainty != author.Unknown ||
			e.Certainty == author.Process && (e.Author.Name != "ip" || e.Author.PID != e.Port) {
			t.Errorf("%+v by %+v", e, e.Author)
		}
		for r := range e.Snapshot().Routes(object.AllFields) {
			link, _ := e.Snapshot().Link(r.OIF.V)
			if r.Dst.String() != "10.1.0.0/16" || r.Protocol != 99 || link.Name != "v0" {
				t.Errorf("%+v over %+v", r, link)
			}
		}
	}
}

package events

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"kernelroutes/rtnl"
)

// testFollower returns a follower of the test's namespace, which logs to the test.
func testFollower(t *testing.T) *follower {
	return newFollower(&rtnl.Kernel{}, Following{Namespace: thisNamespace(), Logger: testLogger(t)})
}

// begins has a follower begin, of which the test takes the items itself.
func (f *follower) begins(t *testing.T, yield func(*Event, error) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	f.ctx, f.yield = ctx, yield
	if err := f.begin(); err != nil {
		t.Fatal(err)
	}
	f.ahead, f.early = nil, 0
}

// inBackground runs a follower in another goroutine, and returns when it has begun, or has ended in
// vain. done is closed when it has ended.
func (f *follower) inBackground(ctx context.Context, yield func(*Event, error) bool) (done chan bool) {
	begun := make(chan bool)
	done = make(chan bool)
	f.Begun = func() error { close(begun); return nil }
	go func() {
		defer close(done)
		f.run(ctx, yield)
	}()
	select {
	case <-begun:
	case <-done:
	}
	return done
}

// testLogger logs to the test.
func testLogger(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(testWriter{t}, nil))
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(string(b))
	return len(b), nil
}

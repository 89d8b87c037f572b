package extension

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/inorder"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/tables"
)

func TestErrors(t *testing.T) {
	failing := faked(tables.Nexthops, func(context.Context, tables.Source, tables.Query) (tables.Rows, error) {
		return nil, errors.New("not permitted")
	})
	m, uuid, _ := registered(t, oneRow(tables.Routes), failing)
	for _, test := range []struct {
		registry, table string
		request         map[string]string
		want            string
	}{
		{"table", "kernel_route_nexthops", everything, "kernel_route_nexthops: not permitted"},
		{"table", "kernel_routes", map[string]string{"action": "drop"},
			`kernel_routes: unknown action "drop": the table can only be read`},
		{"table", "kernel_routes", nil, `kernel_routes: unknown action "": the table can only be read`},
		{"table", "kernel_routes", map[string]string{"action": "generate", "context": `{"constraints"`},
			"kernel_routes: osquery's request cannot be read: unexpected end of JSON input"},
		{"table", "routes", everything, `kernel_routes has no table "routes"`},
		{"config", "kernel_routes", everything, "kernel_routes has no config plugin, only tables"},
	} {
		err := m.Client(timeLimit(t), uuid, func(c *osquery.ExtensionClient) error {
			r, err := c.Call(timeLimit(t), test.registry, test.table, test.request)
			if err == nil && (r.Status.Code != 1 || r.Status.Message != test.want || len(r.Response) != 0) {
				t.Errorf("%s %s %v: %v, want status 1 %q and no rows", test.registry, test.table, test.request, r,
					test.want)
			}
			return err
		})
		if err != nil {
			t.Errorf("%s %s %v: %v", test.registry, test.table, test.request, err)
		}
	}
	if r := query(t, m, "kernel_routes"); r.Status.Code != 0 || len(r.Response) != 1 {
		t.Errorf("the other table: %v", r)
	}
	for _, action := range []string{"insert", "update", "delete"} {
		r, err := m.Call(timeLimit(t), "kernel_routes", map[string]string{"action": action, "id": "1"})
		if err != nil || r.Status.Code != 0 || fmt.Sprint(r.Response) != "[map[status:readonly]]" {
			t.Errorf("%s: %v, %v", action, r, err)
		}
	}
}

// A connection that talks no Thrift ends, and nothing else does.
func TestGarbage(t *testing.T) {
	m, uuid, _ := registered(t, oneRow(tables.Routes))
	conn, err := net.Dial("unix", fmt.Sprintf("%s.%d", m.Socket(), uuid))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err = io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err = io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Error(err)
	}
	if r := query(t, m, "kernel_routes"); r.Status.Code != 0 || len(r.Response) != 1 {
		t.Errorf("a query after it: %v", r)
	}
}

type panicRows struct{ tables.Rows }

func (panicRows) Next() bool                    { return true }
func (panicRows) RowID() int64                  { panic("a broken row") }
func (panicRows) AppendText([]byte, int) []byte { panic("a broken row") }
func (panicRows) Int(int) (int64, bool)         { panic("a broken row") }
func scanPanics(context.Context, tables.Source, tables.Query) (tables.Rows, error) {
	panic("a broken scan")
}

func TestPanic(t *testing.T) {
	m, _, p := registered(t,
		faked(tables.Routes, scanPanics),
		faked(tables.Nexthops, func(context.Context, tables.Source, tables.Query) (tables.Rows, error) {
			return panicRows{}, nil
		}))
	for range 2 {
		for table, want := range map[string]string{
			"kernel_routes":         "kernel_routes: internal error: a broken scan",
			"kernel_route_nexthops": "kernel_route_nexthops: internal error: a broken row",
		} {
			if r := query(t, m, table); r.Status.Code != 1 || r.Status.Message != want || len(r.Response) != 0 {
				t.Errorf("%s: %v, want status 1 %q", table, r, want)
			}
		}
	}
	if log := p.log.String(); !strings.Contains(log, "a broken scan") || !strings.Contains(log,
		"extension.scanPanics") {
		t.Errorf("no panic with its stack in the log:\n%s", log)
	}
}

// A panic while an answer is being sent breaks the connection off: osquery must
// not take what it has for all.
func TestPanicWhileSending(t *testing.T) {
	broken := func(context.Context, tables.Source, tables.Query) (tables.Rows, error) {
		s := &splitRows{}
		for range 5 * inorder.Ahead() {
			s.parts = append(s.parts, values(tables.Nexthops, map[string]string{"dst": strings.Repeat("x", 1<<16)}))
		}
		s.count = len(s.parts)
		s.parts[s.count-1] = panicRows{}
		return s, nil
	}
	m, _, p := registered(t, faked(tables.Nexthops, broken), oneRow(tables.Routes))
	if r, err := m.Call(timeLimit(t), "kernel_route_nexthops", everything); err == nil {
		t.Errorf("an answer of %d rows, status %v", len(r.Response), r.Status)
	}
	if r := query(t, m, "kernel_routes"); r.Status.Code != 0 || len(r.Response) != 1 {
		t.Errorf("afterwards %v", r)
	}
	p.saw("a broken row")
}

// Requests run side by side, as many as may: each waits for all the others.
func TestParallel(t *testing.T) {
	n := runtime.GOMAXPROCS(0) + 2
	var barrier sync.WaitGroup
	barrier.Add(n)
	meet := faked(tables.Routes, func(ctx context.Context, _ tables.Source, _ tables.Query) (tables.Rows, error) {
		barrier.Done()
		all := make(chan struct{})
		go func() { barrier.Wait(); close(all) }()
		select {
		case <-all:
			return values(tables.Routes, map[string]string{"dst": "here"}), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	m, uuid, p := registered(t, meet, oneRow(tables.Nexthops))
	var calls sync.WaitGroup
	for range n {
		calls.Go(func() {
			r, err := m.Call(timeLimit(t), "kernel_routes", everything)
			if err != nil || r.Status.Code != 0 || len(r.Response) != 1 {
				t.Errorf("%v, %v", r.Status, err)
			}
		})
	}
	// Meanwhile pings are answered; osquery drops an extension that misses one.
	if err := m.Ping(timeLimit(t), uuid); err != nil {
		t.Error(err)
	}
	calls.Wait()
	if len(p.err) > 0 {
		t.Errorf("the extension has ended: %v", p.end())
	}
}

func TestShutdownCall(t *testing.T) {
	m, uuid, p := registered(t, oneRow(tables.Routes))
	if err := m.Shutdown(timeLimit(t), uuid); err != nil {
		t.Error(err)
	}
	if err := p.end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	socketGone(t, m, uuid)
}

func TestManagerDies(t *testing.T) {
	m, uuid, p := registered(t, oneRow(tables.Routes))
	m.Close()
	if err := p.end(); !errors.Is(err, ErrGone) {
		t.Errorf("Run: %v, want %v", err, ErrGone)
	}
	socketGone(t, m, uuid)
}

func TestDeregistered(t *testing.T) {
	m, uuid, p := registered(t, oneRow(tables.Routes))
	m.Deregister(uuid)
	if err := p.end(); !errors.Is(err, ErrDeregistered) {
		t.Errorf("Run: %v, want %v", err, ErrDeregistered)
	}
	socketGone(t, m, uuid)
}

func socketGone(t *testing.T, m *osquerytest.Manager, uuid osquery.ExtensionRouteUUID) {
	t.Helper()
	if _, err := os.Lstat(fmt.Sprintf("%s.%d", m.Socket(), uuid)); !os.IsNotExist(err) {
		t.Errorf("the extension's socket is left: %v", err)
	}
}

func TestDuplicate(t *testing.T) {
	m, _, _ := registered(t, oneRow(tables.Routes))
	// All that osquery is asked has to be answered within the time-out, which may be too short for a slow machine.
	for timeout := 300 * time.Millisecond; ; timeout *= 2 {
		err := start(t, Extension{Socket: m.Socket(), Timeout: timeout, Interval: time.Millisecond,
			Tables: []*tables.Table{oneRow(tables.Nexthops)}}).end()
		if err != nil && strings.Contains(err.Error(), "Duplicate extension registered") {
			break
		}
		if late := net.Error(nil); timeout > patience || !errors.As(err, &late) || !late.Timeout() {
			t.Fatalf("Run: %v, want osquery's message", err)
		}
	}
	if r := query(t, m, "kernel_routes"); r.Status.Code != 0 || len(r.Response) != 1 {
		t.Errorf("the first: %v", r)
	}
}

// The extension waits for a socket that is not there, and for one that nobody
// listens at.
func TestLateSocket(t *testing.T) {
	for _, dead := range []bool{false, true} {
		t.Run(fmt.Sprintf("dead=%v", dead), func(t *testing.T) {
			noLeaks(t)
			dir := socketDir(t)
			path := dir + "/em.sock"
			if dead {
				l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
				if err != nil {
					t.Fatal(err)
				}
				l.SetUnlinkOnClose(false)
				l.Close()
			}
			p := start(t, Extension{Socket: path, Timeout: patience, Tables: []*tables.Table{oneRow(tables.Routes)}})
			p.saw("waiting for osquery")
			os.Remove(path)
			m := newManager(t, dir)
			if _, err := m.WaitRegistered(timeLimit(t)); err != nil {
				t.Fatal(err)
			}
			if r := query(t, m, "kernel_routes"); r.Status.Code != 0 || len(r.Response) != 1 {
				t.Error(r)
			}
			p.cancel()
			if err := p.end(); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

func TestNoSocket(t *testing.T) {
	noLeaks(t)
	path := socketDir(t) + "/em.sock"
	one := []*tables.Table{oneRow(tables.Routes)}
	err := start(t, Extension{Socket: path, Timeout: 30 * time.Millisecond, Tables: one}).end()
	if want := "osquery's socket " + path + " does not answer within 30ms"; err == nil ||
		!strings.HasPrefix(err.Error(), want) {
		t.Errorf("Run: %v, want %s", err, want)
	}

	// A socket that takes connections and does not answer.
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = start(t, Extension{Socket: path, Timeout: 30 * time.Millisecond, Tables: one}).end()
	if want := "does not answer within 30ms"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Run: %v, want %s", err, want)
	}

	// SIGTERM while it waits.
	p := start(t, Extension{Socket: path + "2", Timeout: patience, Tables: one})
	p.saw("waiting for osquery")
	p.cancel()
	if err := p.end(); err != nil {
		t.Errorf("Run: %v", err)
	}

	long := "/" + strings.Repeat("x", 97)
	err = start(t, Extension{Socket: long, Timeout: patience}).end()
	if err == nil || !strings.Contains(err.Error(), long) || !strings.Contains(err.Error(), "at most 97") {
		t.Errorf("Run: %v, want the path and the limit", err)
	}
}

// SIGTERM: the extension deregisters, so that no new query comes, and lets the
// one that is running end.
func TestCancel(t *testing.T) {
	running, release := make(chan struct{}), make(chan struct{})
	slow := faked(tables.Routes, func(ctx context.Context, _ tables.Source, _ tables.Query) (tables.Rows, error) {
		close(running)
		<-release
		return values(tables.Routes, map[string]string{"dst": "here"}), ctx.Err()
	})
	m, uuid, p := registered(t, slow)
	answer := make(chan osquery.ExtensionResponse, 1)
	go func() { answer <- query(t, m, "kernel_routes") }()
	<-running
	p.cancel()
	if err := m.WaitDeregistered(timeLimit(t), uuid); err != nil {
		t.Error(err)
	}
	close(release)
	if r := <-answer; r.Status.Code != 0 || len(r.Response) != 1 || r.Response[0]["dst"] != "here" {
		t.Errorf("the query that was running: %v", r)
	}
	if err := p.end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	socketGone(t, m, uuid)
}

// A query that does not end by itself does not hold the extension up for ever.
func TestCancelGivesUp(t *testing.T) {
	running, ended := make(chan struct{}), make(chan struct{})
	stuck := faked(tables.Routes, func(ctx context.Context, _ tables.Source, _ tables.Query) (tables.Rows, error) {
		close(running)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	})
	m, _, p := startWith(t, Extension{Tables: []*tables.Table{stuck}, grace: 50 * time.Millisecond})
	failed := make(chan bool, 1)
	go func() {
		r, err := m.Call(timeLimit(t), "kernel_routes", everything)
		failed <- err != nil || r.Status.Code == 1
	}()
	<-running
	p.cancel()
	if err := p.end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	<-ended
	if !<-failed {
		t.Error("a query that was given up has an answer")
	}
}

func TestTimeOfRequests(t *testing.T) {
	limits := make(chan time.Duration, 1)
	timed := func(ctx context.Context, _ tables.Source, _ tables.Query) (tables.Rows, error) {
		end, _ := ctx.Deadline()
		limits <- time.Until(end)
		return values(tables.Routes), nil
	}
	m, _, _ := registered(t, faked(tables.Routes, timed))
	if r := query(t, m, "kernel_routes"); r.Status.Code != 0 || len(r.Response) != 0 {
		t.Errorf("%v, want no rows and no error", r)
	}
	if limit := <-limits; limit <= 0 || limit > requestTimeout {
		t.Errorf("a query has %v, want %v", limit, requestTimeout)
	}
}

// The limit of an answer comes to osquery as the query's error.
func TestMaxResponse(t *testing.T) {
	noLeaks(t)
	m := newManager(t, socketDir(t))
	start(t, Extension{Socket: m.Socket(), Tables: []*tables.Table{oneRow(tables.Routes)}, MaxResponse: 1})
	if _, err := m.WaitRegistered(timeLimit(t)); err != nil {
		t.Fatal(err)
	}
	r := query(t, m, "kernel_routes")
	want := "kernel_routes: the answer would take about 1 MB"
	if r.Status.Code != 1 || !strings.HasPrefix(r.Status.Message, want) || len(r.Response) != 0 {
		t.Errorf("%v, want %s", r, want)
	}
}

// Of many changes those that are new can be asked for.
func TestMaxResponseOfEvents(t *testing.T) {
	noLeaks(t)
	m := newManager(t, socketDir(t))
	start(t, Extension{Socket: m.Socket(), Tables: []*tables.Table{oneRow(tables.Events)}, MaxResponse: 1})
	if _, err := m.WaitRegistered(timeLimit(t)); err != nil {
		t.Fatal(err)
	}
	r := query(t, m, "kernel_route_events")
	const want = "WHERE seq > NUMBER, or time >= SECONDS"
	if r.Status.Code != 1 || !strings.Contains(r.Status.Message, want) {
		t.Errorf("%v, want %s", r, want)
	}
}

// An error that begins with the table's name, as those of what is not read of the kernel do, does
// not begin with it twice.
func TestNamedOnce(t *testing.T) {
	fails := func(t *tables.Table, text string) *tables.Table {
		return faked(t, func(context.Context, tables.Source, tables.Query) (tables.Rows, error) {
			return nil, errors.New(text)
		})
	}
	m, _, _ := registered(t, fails(tables.Events, "kernel_route_events: not followed"),
		fails(tables.Routes, "not read"))
	for table, want := range map[string]string{
		"kernel_route_events": "kernel_route_events: not followed",
		"kernel_routes":       "kernel_routes: not read",
	} {
		if r := query(t, m, table); r.Status.Code != 1 || r.Status.Message != want {
			t.Errorf("%v, want %s", r, want)
		}
	}
}

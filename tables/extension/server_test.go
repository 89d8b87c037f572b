package extension

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/logging"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/tables"
)

// blocking is a table whose queries tell that they run and end when they may.
func blocking(t *tables.Table) (table *tables.Table, running chan struct{}, release chan struct{}) {
	running, release = make(chan struct{}, 1000), make(chan struct{})
	return faked(t, func(context.Context, tables.Source, tables.Query) (tables.Rows, error) {
		running <- struct{}{}
		<-release
		return values(t, map[string]string{"dst": "here"}), nil
	}), running, release
}

// startWith starts an extension at a manager of its own.
func startWith(t *testing.T, e Extension) (*osquerytest.Manager, osquery.ExtensionRouteUUID, *process) {
	t.Helper()
	noLeaks(t)
	m := newManager(t, socketDir(t))
	e.Socket, e.Timeout, e.Interval = m.Socket(), patience, 5*time.Millisecond
	p := start(t, e)
	uuid, err := m.WaitRegistered(timeLimit(t))
	if err != nil {
		t.Fatalf("%v; its log:\n%s", err, p.log)
	}
	return m, uuid, p
}

// answers is how many queries are answered at a time.
func answers() int { return runtime.GOMAXPROCS(0) + 2 }

// TestQueue has more queries than are answered at a time. Those that wait are told
// after their time-out, and pings do not wait.
func TestQueue(t *testing.T) {
	table, running, release := blocking(tables.Routes)
	const timeout = 500 * time.Millisecond
	m, uuid, _ := startWith(t, Extension{Tables: []*tables.Table{table}, queryTimeout: timeout})
	results := make(chan osquery.ExtensionResponse, 100)
	ask := func() {
		r, err := m.Call(timeLimit(t), "kernel_routes", everything)
		if err != nil {
			t.Error(err)
		}
		results <- r
	}
	for range answers() {
		go ask()
		<-running
	}
	start := time.Now()
	go ask()
	if err := m.Ping(timeLimit(t), uuid); err != nil {
		t.Error(err)
	}
	r := <-results
	want := fmt.Sprintf("kernel_routes: no answer within 500ms, the extension's own limit for one query: "+
		"it was waiting in line, because %d queries are being answered: %d of kernel_routes, the oldest for ",
		answers(), answers())
	if m := r.Status.Message; r.Status.Code != 1 || !strings.HasPrefix(m, want) ||
		!strings.HasSuffix(m, "s; ask fewer at a time") {
		t.Errorf("%v\nwant %s", r.Status, want)
	}
	if took := time.Since(start); took < timeout || len(running) > 0 {
		t.Errorf("told after %v, %d have run", took, len(running))
	}
	close(release)
	for range answers() { // late as well
		<-results
	}
	if r := query(t, m, "kernel_routes"); r.Status.Code != 0 {
		t.Errorf("afterwards: %v", r.Status)
	}
}

// TestQueueIsInOrder has queries that wait: the first that came is answered first,
// and who hangs up gives the place up.
func TestQueueIsInOrder(t *testing.T) {
	var order []string // one query is answered at a time
	turn := make(chan struct{})
	inTurn := func(_ context.Context, _ tables.Source, q tables.Query) (tables.Rows, error) {
		<-turn
		order = append(order, q.Constraints[0].Expr)
		return values(tables.Routes), nil
	}
	s, _ := listening(t, faked(tables.Routes, inTurn))
	s.mu.Lock()
	s.queue = newQueue(1, 100)
	s.mu.Unlock()
	until := func(running, waiting int) {
		t.Helper()
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			s.queue.mu.Lock()
			r, w := len(s.queue.running), s.queue.waiting
			s.queue.mu.Unlock()
			if r == running && w == waiting && inLine() == waiting {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d queries are answered and %d wait, want %d and %d", r, w, running, waiting)
			}
		}
	}
	var conns []*net.UnixConn
	for i := range 10 {
		conn := connect(t, s)
		context := fmt.Sprintf(`{"constraints":[{"name":"dst","list":[{"op":2,"expr":"%d"}]}]}`, i)
		if _, err := conn.Write(callMessage(map[string]string{"action": "generate", "context": context})); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		until(1, i)
	}
	conns[3].Close()
	until(1, 8)
	conns[4].CloseWrite() // it still reads
	for i, conn := range conns {
		if i == 3 {
			continue
		}
		select {
		case turn <- struct{}{}:
		case <-time.After(patience):
			t.Fatalf("query %d is not answered, after %q", i, order)
		}
		conn.SetReadDeadline(time.Now().Add(patience))
		if n, err := conn.Read(make([]byte, 100)); n == 0 {
			t.Errorf("query %d: %v", i, err)
		}
	}
	if want := []string{"0", "1", "2", "4", "5", "6", "7", "8", "9"}; !slices.Equal(order, want) {
		t.Errorf("answered %v, want %v", order, want)
	}
}

// inLine is how many goroutines have their place in line for an answer, and sleep. They are counted as waiting just
// before.
func inLine() (n int) {
	stacks := make([]byte, 1<<20)
	for one := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		state, frames, _ := strings.Cut(one, "\n")
		if strings.Contains(state, "[select") && strings.Contains(frames, "semaphore.(*Weighted).Acquire(") {
			n++
		}
	}
	return n
}

// TestQueueIsFull has more queries than may wait.
func TestQueueIsFull(t *testing.T) {
	l := newQueue(1, 0)
	leave, err := l.enter(t.Context(), nil, tables.Routes)
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.enter(t.Context(), nil, tables.Nexthops)
	want := "too many queries at once: 0 wait in line already, because 1 query is being answered: 1 of kernel_routes, "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("%v, want %s", err, want)
	}
	leave()
	if leave, err = l.enter(t.Context(), nil, tables.Nexthops); err != nil {
		t.Error(err)
	}
	leave()
}

// TestLate has queries that take too long: whose limit it was comes first.
func TestLate(t *testing.T) {
	slowScan := faked(tables.Routes, func(ctx context.Context, _ tables.Source, _ tables.Query) (tables.Rows, error) {
		<-ctx.Done()
		return nil, &rtnl.ReadError{Op: "receive from the kernel", Kind: rtnl.ErrDeadline, Err: context.Cause(ctx)}
	})
	slowRows := faked(tables.Nexthops, func(ctx context.Context, _ tables.Source, _ tables.Query) (tables.Rows, error) {
		return &lateRows{first: func() tables.Rows {
			<-ctx.Done()
			return values(tables.Nexthops, map[string]string{"dst": "here"})
		}}, nil
	})
	m, _, _ := startWith(t, Extension{Tables: []*tables.Table{slowScan, slowRows}, queryTimeout: 30 * time.Millisecond})
	for table, doing := range map[string]string{
		"kernel_routes":         "reading the kernel's routes; ask for one table or destination",
		"kernel_route_nexthops": "making the rows; select fewer columns, or narrow it with WHERE",
	} {
		want := table + ": no answer within 30ms, the extension's own limit for one query: it was " + doing
		if r := query(t, m, table); r.Status.Code != 1 || r.Status.Message != want {
			t.Errorf("%v\nwant %s", r.Status, want)
		}
	}
}

// listening is a server without a manager.
func listening(t *testing.T, all ...*tables.Table) (s *server, log *strings.Builder) {
	t.Helper()
	noLeaks(t)
	log = &strings.Builder{}
	e := &Extension{Tables: all, Socket: socketDir(t) + "/em", queryTimeout: patience, sendTimeout: patience,
		Counters: new(Counters), Logger: logging.New(log, logging.Options{})}
	s, err := e.listen(t.Context(), 1, &memoryLimit{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s, log
}

// connect connects to a server.
func connect(t *testing.T, s *server) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, s.listener.Addr().(*net.UnixAddr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// TestIdleConnections has more connections than there may be: those without a
// request go, the oldest first, and queries are answered.
func TestIdleConnections(t *testing.T) {
	const most, tooMany = 20, 60
	s, log := listening(t, oneRow(tables.Routes))
	s.mu.Lock()
	s.maxConns = most
	s.mu.Unlock()
	var conns []*net.UnixConn
	for range tooMany {
		conns = append(conns, connect(t, s))
	}
	for range 3 {
		n, err := osquerytest.Exchange(s.listener.Addr().String(), callMessage(everything))
		if err != nil || n < 100 {
			t.Errorf("a query: %d bytes, %v", n, err)
		}
	}
	read := func(i int, limit time.Duration, want error) {
		conns[i].SetReadDeadline(time.Now().Add(limit))
		if _, err := conns[i].Read(make([]byte, 1)); !errors.Is(err, want) {
			t.Errorf("connection %d: %v, want %v", i, err, want)
		}
	}
	for i := range tooMany - most {
		read(i, patience, io.EOF)
	}
	for i := tooMany - most + 3; i < tooMany; i++ { // between are those that went for a query, or did not
		read(i, time.Millisecond, os.ErrDeadlineExceeded)
	}
	s.stop()
	if n := strings.Count(log.String(), "too many connections"); n != 1 {
		t.Errorf("%d lines in the log:\n%s", n, log)
	}
}

// TestLargeRequest sends calls that are too large: they are answered, with what to do.
func TestLargeRequest(t *testing.T) {
	m, _, p := registered(t, oneRow(tables.Routes))
	for _, size := range []int{maxRequest, 5 * maxRequest} {
		r, err := m.Call(timeLimit(t), "kernel_routes",
			map[string]string{"action": "generate", "context": strings.Repeat("x", size)})
		want := "kernel_routes: a request of more than 8388608 bytes: ask for fewer values in IN, or join the tables"
		if err != nil || r.Status.Code != 1 || r.Status.Message != want {
			t.Errorf("%d bytes: %v, %v\nwant %s", size, r.Status, err, want)
		}
	}
	if r := query(t, m, "kernel_routes"); r.Status.Code != 0 || len(r.Response) != 1 {
		t.Errorf("afterwards: %v", r)
	}
	if strings.Contains(p.log.String(), "WARN") {
		t.Errorf("osquery is told, and the log too:\n%s", p.log)
	}
}

// TestSlowReader has a peer that reads a little of a long answer now and then: it
// loses its place in line, and the log says so.
func TestSlowReader(t *testing.T) {
	s, log := listening(t, measuredRows(20_000))
	s.mu.Lock()
	s.sendTimeout = 50 * time.Millisecond
	s.mu.Unlock()
	conn := connect(t, s)
	if _, err := conn.Write(callMessage(everything)); err != nil {
		t.Fatal(err)
	}
	const sip = 1 << 10
	start := time.Now()
	for end := start.Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if n, err := conn.Read(make([]byte, sip)); n == 0 || err != nil {
			break
		}
		s.queue.mu.Lock()
		running := len(s.queue.running)
		s.queue.mu.Unlock()
		if time.Since(start) > time.Second && running == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatal("its answer is still being sent")
		}
	}
	s.stop()
	if n := strings.Count(log.String(), "an answer cannot be sent"); n != 1 {
		t.Errorf("%d lines in the log:\n%s", n, log)
	}
}

// An uncertain source has no routes, and cannot prove it.
type uncertain struct{ *rtnl.Kernel }

func (uncertain) Read(context.Context, rtnl.Request) (*rtnl.Snapshot, error) {
	return rtnl.NewSnapshot(false, nil), nil
}

func (uncertain) Count(context.Context, rtnl.Request) (n int, consistent bool, err error) {
	return 0, false, nil
}

func (uncertain) Names() *iproute2.Names { return iproute2.HostNames() }

// TestWarnings checks that what a table warns of is logged, each text once.
func TestWarnings(t *testing.T) {
	warning := "no table has the name MAIN"
	table := faked(tables.Routes, func(_ context.Context, _ tables.Source, q tables.Query) (tables.Rows, error) {
		q.Warn(warning)
		return values(tables.Routes), nil
	})
	m, _, p := registered(t, table)
	for range 5 {
		query(t, m, "kernel_routes")
	}
	if n := strings.Count(p.log.String(), warning); n != 1 || !strings.Contains(p.log.String(), "table=kernel_routes") {
		t.Errorf("%d warnings in the log:\n%s", n, p.log)
	}

	// Not so that routes changed while they were read, which may be true again.
	said := func(text string) { warning = text }
	if _, err := tables.Routes.Scan(t.Context(), uncertain{}, tables.Query{Warn: said}); err != nil {
		t.Fatal(err)
	}
	query(t, m, "kernel_routes")
	s := server{Extension: &Extension{Logger: slog.New(slog.NewTextHandler(p.log, nil))}}
	for range 2 {
		s.warn(table, warning)
	}
	if n := strings.Count(p.log.String(), warning); n != 3 {
		t.Errorf("%d warnings in the log:\n%s", n, p.log)
	}

	var b strings.Builder
	w := warnings{logger: slog.New(slog.NewTextHandler(&b, nil))}
	for i := range 10 * maxSeenWarnings {
		w.warn(tables.Routes, fmt.Sprint(i))
		if len(w.seen) > maxSeenWarnings {
			t.Fatalf("%d warnings are remembered", len(w.seen))
		}
	}
	if n := strings.Count(b.String(), "\n"); n != maxWarnings {
		t.Errorf("%d lines of %d warnings at once", n, 10*maxSeenWarnings)
	}
	w.begun = time.Now().Add(-warningInterval)
	w.warn(tables.Routes, "the last")
	want := fmt.Sprintf("msg=\"the last\" table=kernel_routes not_logged_before=%d\n", 10*maxSeenWarnings-maxWarnings)
	if !strings.HasSuffix(b.String(), want) {
		t.Errorf("the log:\n%s\nwant %s", &b, want)
	}
}

// TestKilled has an extension that was killed, which osquery still knows: the new
// one waits, and does not fill osquery's log with attempts.
func TestKilled(t *testing.T) {
	m, uuid, p := registered(t, oneRow(tables.Routes))
	second := start(t, Extension{Socket: m.Socket(), Timeout: patience, Tables: []*tables.Table{oneRow(tables.Routes)}})
	second.saw("still has an extension of this name")
	time.Sleep(2 * duplicatePoll)
	m.Deregister(uuid)
	p.end()
	if _, err := m.WaitRegistered(timeLimit(t)); err != nil {
		t.Fatal(err)
	}
	if r := query(t, m, "kernel_routes"); r.Status.Code != 0 || len(r.Response) != 1 {
		t.Error(r)
	}
	if n := m.Refused(); n != 0 {
		t.Errorf("osquery has refused %d registrations", n)
	}
}

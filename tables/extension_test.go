package tables

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/inorder"
	"kernelroutes/internal/osquerytest"
)

// patience is for what happens at once unless something is broken.
const patience = 20 * time.Second

// A scanFunc is Table.scan.
type scanFunc = func(context.Context, Source, Query) (Rows, error)

// faked returns a table with the columns of t and rows from elsewhere.
func faked(t *Table, scan scanFunc) *Table {
	c := *t
	c.scan = scan
	return &c
}

// values are rows that are at hand, by the column's name.
func values(t *Table, rows ...map[string]string) Rows {
	return &valueRows{table: t, rows: rows, at: -1}
}

type valueRows struct {
	table *Table
	rows  []map[string]string
	at    int
	read  int // values
}

func (r *valueRows) Next() bool { r.at++; return r.at < len(r.rows) }

func (r *valueRows) AppendText(b []byte, col int) []byte {
	r.read++
	return append(b, r.rows[r.at][r.table.Columns[col].Name]...)
}

func (r *valueRows) RowID() int64 { return int64(r.at) }

func (r *valueRows) Int(col int) (int64, bool) {
	r.read++
	n, err := strconv.ParseInt(r.rows[r.at][r.table.Columns[col].Name], 10, 64)
	return n, err == nil
}

// oneRow is a table with one row, whose dst is "here".
func oneRow(t *Table) *Table {
	return faked(t, func(context.Context, Source, Query) (Rows, error) {
		return values(t, map[string]string{"dst": "here", "route_id": "r", "metric": "7"}), nil
	})
}

// socketDir is a folder with a name that is short enough for sockets, whatever TMPDIR is.
func socketDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/tmp", "kr")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func newManager(t testing.TB, dir string) *osquerytest.Manager {
	m, err := osquerytest.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// noLeaks fails the test if goroutines are left when everything that was started
// after the call has been cleaned up.
func noLeaks(t testing.TB) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(patience); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				stacks := make([]byte, 1<<20)
				t.Errorf("goroutines are left:\n%s", stacks[:runtime.Stack(stacks, true)])
				return
			}
		}
	})
}

func timeLimit(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// A process is an extension that runs.
type process struct {
	t      testing.TB
	cancel context.CancelFunc // SIGTERM
	err    chan error
	log    *logBuffer
}

// start runs an extension, and ends it with the test.
func start(t testing.TB, e Extension) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{t: t, cancel: cancel, err: make(chan error, 1), log: &logBuffer{seen: make(chan string, 1000)}}
	e.Logger = slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	e.Version = "1.2.3"
	done := make(chan struct{})
	go func() { p.err <- e.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

// end returns what Run returned.
func (p *process) end() error {
	p.t.Helper()
	select {
	case err := <-p.err:
		return err
	case <-time.After(patience):
		p.t.Fatalf("the extension does not end; its log:\n%s", p.log)
		return nil
	}
}

// saw waits for a line in the log.
func (p *process) saw(part string) {
	p.t.Helper()
	for end := time.After(patience); ; {
		select {
		case line := <-p.log.seen:
			if strings.Contains(line, part) {
				return
			}
		case <-end:
			p.t.Fatalf("no %q in the log:\n%s", part, p.log)
		}
	}
}

type logBuffer struct {
	mu   sync.Mutex
	b    bytes.Buffer
	seen chan string
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.seen <- string(p):
	default:
	}
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// registered starts an extension with tables at a manager of its own.
func registered(t testing.TB, tables ...*Table) (*osquerytest.Manager, osquery.ExtensionRouteUUID, *process) {
	noLeaks(t)
	m := newManager(t, socketDir(t))
	p := start(t, Extension{Socket: m.Socket(), Timeout: patience, Interval: 5 * time.Millisecond, Tables: tables})
	uuid, err := m.WaitRegistered(timeLimit(t))
	if err != nil {
		t.Fatalf("%v; its log:\n%s", err, p.log)
	}
	return m, uuid, p
}

var everything = map[string]string{"action": "generate", "context": `{"constraints":[]}`}

// query asks for all rows.
func query(t testing.TB, m *osquerytest.Manager, table string) osquery.ExtensionResponse {
	t.Helper()
	r, err := m.Call(timeLimit(t), table, everything)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRegistration(t *testing.T) {
	m, uuid, _ := registered(t, All()...)
	info := osquery.InternalExtensionInfo{Name: "kernel_routes", Version: "1.2.3"}
	if got := m.Extensions()[uuid]; got != info {
		t.Errorf("registered as %+v, want %+v", got, info)
	}
	got := m.Registry(uuid)
	if len(got) != 1 || len(got["table"]) != len(All()) {
		t.Fatalf("registered %v, want the tables alone", got)
	}
	for _, table := range All() {
		var want osquery.ExtensionPluginResponse
		for _, c := range table.Columns {
			want = append(want, map[string]string{
				"id": "column", "name": c.Name, "type": string(c.Type), "op": fmt.Sprint(c.Options)})
		}
		if !reflect.DeepEqual(got["table"][table.Name], want) {
			t.Errorf("%s: registered %v, want %v", table.Name, got["table"][table.Name], want)
		}
		r, err := m.Call(timeLimit(t), table.Name, map[string]string{"action": "columns"})
		if err != nil || r.Status.Code != 0 || !reflect.DeepEqual(r.Response, want) {
			t.Errorf("%s: columns: %v, %v, want %v", table.Name, r, err, want)
		}
	}
}

// The requests were recorded from osqueryi; each line has the SQL and what it
// came to.
func TestRecordedRequests(t *testing.T) {
	type asked struct {
		source Source
		query  Query
	}
	queries := make(chan asked, 1)
	record := func(table *Table) *Table {
		row := map[string]string{}
		for i, c := range table.Columns {
			row[c.Name] = strconv.Itoa(i)
		}
		return faked(table, func(_ context.Context, src Source, q Query) (Rows, error) {
			queries <- asked{src, q}
			return values(table, row), nil
		})
	}
	m, _, _ := registered(t, record(Routes), record(Nexthops))

	all, err := osquerytest.ReadRecorded("../testdata/osquery-contexts.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	for _, line := range all {
		for _, call := range line.Calls {
			calls++
			r, err := m.Call(timeLimit(t), call.Table, call.Request)
			if err != nil || r.Status.Code != 0 {
				t.Fatalf("%s: %v, %v", line.SQL, r.Status, err)
			}
			table := Routes
			if call.Table == Nexthops.Name {
				table = Nexthops
			}
			constraints, used := understood(t, table, call.Request["context"])
			q := (<-queries).query
			if !slices.Equal(q.Constraints, constraints) {
				t.Errorf("%s: constraints %v, want %v", line.SQL, q.Constraints, constraints)
			}
			if len(r.Response) == 1 && len(used) > 0 {
				if _, err := strconv.ParseInt(r.Response[0]["rowid"], 10, 64); err != nil {
					t.Errorf("%s: no number of the row: %v", line.SQL, err)
				}
				delete(r.Response[0], "rowid")
			}
			if len(r.Response) != 1 || !slices.Equal(slices.Sorted(maps.Keys(r.Response[0])), used) {
				t.Errorf("%s: answer %v, want a row with %v", line.SQL, r.Response, used)
			}
		}
	}
	if calls < 30 {
		t.Errorf("%d requests", calls)
	}
}

// understood reads a request as it is, without a type of its own.
func understood(t *testing.T, table *Table, context string) (constraints []Constraint, used []string) {
	var c map[string]any
	if err := json.Unmarshal([]byte(context), &c); err != nil {
		t.Fatal(err)
	}
	for _, column := range c["constraints"].([]any) {
		column := column.(map[string]any)
		for _, item := range column["list"].([]any) {
			item := item.(map[string]any)
			switch op := item["op"].(float64); op {
			case 2, 4, 8, 16, 32:
				col := table.Column(column["name"].(string))
				constraints = append(constraints, Constraint{col, Op(op), item["expr"].(string)})
			}
		}
	}
	for _, name := range c["colsUsed"].([]any) {
		used = append(used, name.(string))
	}
	slices.Sort(used)
	return constraints, used
}

func TestErrors(t *testing.T) {
	failing := faked(Nexthops, func(context.Context, Source, Query) (Rows, error) {
		return nil, errors.New("not permitted")
	})
	m, uuid, _ := registered(t, oneRow(Routes), failing)
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
				t.Errorf("%s %s %v: %v, want status 1 %q and no rows", test.registry, test.table, test.request, r, test.want)
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
	m, uuid, _ := registered(t, oneRow(Routes))
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

type panicRows struct{ Rows }

func (panicRows) Next() bool                    { return true }
func (panicRows) RowID() int64                  { panic("a broken row") }
func (panicRows) AppendText([]byte, int) []byte { panic("a broken row") }
func (panicRows) Int(int) (int64, bool)         { panic("a broken row") }
func scanPanics(context.Context, Source, Query) (Rows, error) {
	panic("a broken scan")
}

func TestPanic(t *testing.T) {
	m, _, p := registered(t,
		faked(Routes, scanPanics),
		faked(Nexthops, func(context.Context, Source, Query) (Rows, error) { return panicRows{}, nil }))
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
	if log := p.log.String(); !strings.Contains(log, "a broken scan") || !strings.Contains(log, "tables.scanPanics") {
		t.Errorf("no panic with its stack in the log:\n%s", log)
	}
}

// A panic while an answer is being sent breaks the connection off: osquery must
// not take what it has for all.
func TestPanicWhileSending(t *testing.T) {
	m, _, p := registered(t, faked(Nexthops, func(context.Context, Source, Query) (Rows, error) {
		s := &splitRows{}
		for range 5 * inorder.Ahead() {
			s.parts = append(s.parts, values(Nexthops, map[string]string{"dst": strings.Repeat("x", 1<<16)}))
		}
		s.count = len(s.parts)
		s.parts[s.count-1] = panicRows{}
		return s, nil
	}), oneRow(Routes))
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
	meet := faked(Routes, func(ctx context.Context, _ Source, _ Query) (Rows, error) {
		barrier.Done()
		all := make(chan struct{})
		go func() { barrier.Wait(); close(all) }()
		select {
		case <-all:
			return values(Routes, map[string]string{"dst": "here"}), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	})
	m, uuid, p := registered(t, meet, oneRow(Nexthops))
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
	m, uuid, p := registered(t, oneRow(Routes))
	if err := m.Shutdown(timeLimit(t), uuid); err != nil {
		t.Error(err)
	}
	if err := p.end(); err != nil {
		t.Errorf("Run: %v", err)
	}
	socketGone(t, m, uuid)
}

func TestManagerDies(t *testing.T) {
	m, uuid, p := registered(t, oneRow(Routes))
	m.Close()
	if err := p.end(); !errors.Is(err, ErrGone) {
		t.Errorf("Run: %v, want %v", err, ErrGone)
	}
	socketGone(t, m, uuid)
}

func TestDeregistered(t *testing.T) {
	m, uuid, p := registered(t, oneRow(Routes))
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
	m, _, _ := registered(t, oneRow(Routes))
	second := start(t, Extension{Socket: m.Socket(), Timeout: 300 * time.Millisecond, Interval: time.Millisecond,
		Tables: []*Table{oneRow(Nexthops)}})
	if err := second.end(); err == nil || !strings.Contains(err.Error(), "Duplicate extension registered") {
		t.Errorf("Run: %v, want osquery's message", err)
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
			p := start(t, Extension{Socket: path, Timeout: patience, Tables: []*Table{oneRow(Routes)}})
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
	err := start(t, Extension{Socket: path, Timeout: 30 * time.Millisecond, Tables: []*Table{oneRow(Routes)}}).end()
	if want := "osquery's socket " + path + " does not answer within 30ms"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("Run: %v, want %s", err, want)
	}

	// A socket that takes connections and does not answer.
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	err = start(t, Extension{Socket: path, Timeout: 30 * time.Millisecond, Tables: []*Table{oneRow(Routes)}}).end()
	if want := "does not answer within 30ms"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Run: %v, want %s", err, want)
	}

	// SIGTERM while it waits.
	p := start(t, Extension{Socket: path + "2", Timeout: patience, Tables: []*Table{oneRow(Routes)}})
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
	slow := faked(Routes, func(ctx context.Context, _ Source, _ Query) (Rows, error) {
		close(running)
		<-release
		return values(Routes, map[string]string{"dst": "here"}), ctx.Err()
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
	stuck := faked(Routes, func(ctx context.Context, _ Source, _ Query) (Rows, error) {
		close(running)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	})
	m, _, p := startWith(t, Extension{Tables: []*Table{stuck}, grace: 50 * time.Millisecond})
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
	m, _, _ := registered(t, faked(Routes, func(ctx context.Context, _ Source, _ Query) (Rows, error) {
		end, _ := ctx.Deadline()
		limits <- time.Until(end)
		return values(Routes), nil
	}))
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
	start(t, Extension{Socket: m.Socket(), Tables: []*Table{oneRow(Routes)}, MaxResponse: 1})
	if _, err := m.WaitRegistered(timeLimit(t)); err != nil {
		t.Fatal(err)
	}
	r := query(t, m, "kernel_routes")
	want := "kernel_routes: the answer would take about 1 MB"
	if r.Status.Code != 1 || !strings.HasPrefix(r.Status.Message, want) || len(r.Response) != 0 {
		t.Errorf("%v, want %s", r, want)
	}
}

package extension

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/logging"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/tables"
)

// patience is for what happens at once unless something is broken.
const patience = 20 * time.Second

// A scanFunc is Table.scan.
type scanFunc = func(context.Context, tables.Source, tables.Query) (tables.Rows, error)

// faked returns a table with the columns of t and rows from elsewhere.
func faked(t *tables.Table, scan scanFunc) *tables.Table { return t.AnsweredBy(scan) }

// values are rows that are at hand, by the column's name.
func values(t *tables.Table, rows ...map[string]string) tables.Rows {
	return &valueRows{table: t, rows: rows, at: -1}
}

type valueRows struct {
	table *tables.Table
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
func oneRow(t *tables.Table) *tables.Table {
	return faked(t, func(context.Context, tables.Source, tables.Query) (tables.Rows, error) {
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
	e.Logger = logging.New(p.log, logging.Options{Level: slog.LevelDebug})
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
func registered(t testing.TB, all ...*tables.Table) (*osquerytest.Manager, osquery.ExtensionRouteUUID, *process) {
	noLeaks(t)
	m := newManager(t, socketDir(t))
	p := start(t, Extension{Socket: m.Socket(), Timeout: patience, Interval: 5 * time.Millisecond, Tables: all})
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

package extension

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"
	"github.com/osquery/osquery-go/plugin/table"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/internal/osquerytest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// A readyTable has 75 columns, of which 15 are there in each row, with values
// that cost nothing to have.
type readyTable struct {
	tables.Table
	texts   [][]byte // by column
	numbers []int64
	there   []bool
	rows    int
	at      int
}

func newReadyTable(rows int) *readyTable {
	r := &readyTable{Table: tables.Table{Name: "ready"}, rows: rows}
	for i := range 75 {
		c := tables.ColumnInfo{Name: fmt.Sprintf("column_%d", i), Type: tables.Text}
		if i%3 == 0 {
			c.Type = tables.BigInt
		}
		var text []byte
		there := i%5 == 0
		if there {
			text = fmt.Appendf(nil, "10.0.%d.0/24", i)
		}
		r.Columns = append(r.Columns, c)
		r.texts = append(r.texts, text)
		r.numbers = append(r.numbers, int64(i*1000))
		r.there = append(r.there, there)
	}
	r.Table = *r.AnsweredBy(func(context.Context, tables.Source, tables.Query) (tables.Rows, error) {
		again := *r
		return &again, nil
	})
	return r
}

func (r *readyTable) Next() bool                          { r.at++; return r.at <= r.rows }
func (r *readyTable) RowID() int64                        { return 0 }
func (r *readyTable) AppendText(b []byte, col int) []byte { return append(b, r.texts[col]...) }
func (r *readyTable) Int(col int) (int64, bool)           { return r.numbers[col], r.there[col] }

// maps returns the rows as osquery-go wants them.
func (r *readyTable) maps() osquery.ExtensionPluginResponse {
	rows := make(osquery.ExtensionPluginResponse, r.rows)
	for i := range rows {
		rows[i] = map[string]string{}
		for col, c := range r.Columns {
			if b, ok := r.AppendValue(nil, r, col); ok {
				rows[i][c.Name] = string(b)
			}
		}
	}
	return rows
}

// context is what osquery sends for SELECT *.
func (r *readyTable) context() string {
	type list struct {
		Name     string      `json:"name"`
		List     []string    `json:"list"`
		Affinity tables.Type `json:"affinity"`
	}
	var c struct {
		Constraints []list   `json:"constraints"`
		ColsUsed    []string `json:"colsUsed"`
		Bits        uint64   `json:"colsUsedBitset"`
	}
	c.Bits = 1<<64 - 1
	for _, column := range r.Columns {
		c.Constraints = append(c.Constraints, list{column.Name, []string{}, column.Type})
		c.ColsUsed = append(c.ColsUsed, column.Name)
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A readyPlugin is a plug-in made with osquery-go that has its rows before it is
// asked.
type readyPlugin struct{ *table.Plugin }

func newReadyPlugin(rows osquery.ExtensionPluginResponse) readyPlugin {
	return readyPlugin{table.NewPlugin("ready", []table.ColumnDefinition{table.TextColumn("column_0")},
		func(context.Context, table.QueryContext) ([]map[string]string, error) { return rows, nil })}
}

func (readyPlugin) Ping(context.Context) (*osquery.ExtensionStatus, error) {
	return &osquery.ExtensionStatus{Message: "OK"}, nil
}

func (readyPlugin) Shutdown(context.Context) error { return nil }

func (p readyPlugin) Call(ctx context.Context, _, _ string,
	request osquery.ExtensionPluginRequest) (*osquery.ExtensionResponse, error) {
	r := p.Plugin.Call(ctx, request)
	return &r, nil
}

// serveReady serves a readyPlugin as osquery-go does when it is told to buffer.
func serveReady(b *testing.B, path string, rows osquery.ExtensionPluginResponse) {
	server := thrift.NewTSimpleServer4(
		osquery.NewExtensionProcessor(newReadyPlugin(rows)),
		thrift.NewTServerSocketFromAddrTimeout(&net.UnixAddr{Name: path, Net: "unix"}, 0),
		thrift.NewTBufferedTransportFactory(64<<10), thrift.NewTBinaryProtocolFactoryConf(nil))
	if err := server.Listen(); err != nil {
		b.Fatal(err)
	}
	go server.Serve()
	b.Cleanup(func() { server.Stop() })
}

// serveFloor serves what any extension costs at least: a connection is accepted, a
// message is read, and an answer that was ready is written.
func serveFloor(b *testing.B, path string, pong, answer []byte) {
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := make([]byte, 16<<10)
				n, _ := conn.Read(buf)
				if bytes.Contains(buf[:min(n, 20)], []byte("ping")) {
					conn.Write(pong)
				} else {
					conn.Write(answer)
				}
			}()
		}
	}()
}

// received returns what a server answers.
func received(b *testing.B, path string, message []byte) []byte {
	b.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	conn.Write(message)
	first := make([]byte, 1)
	if _, err := conn.Read(first); err != nil {
		b.Fatal(err)
	}
	conn.(*net.UnixConn).CloseWrite()
	rest, err := io.ReadAll(conn)
	if err != nil {
		b.Fatal(err)
	}
	return append(first, rest...)
}

// ask sends a ping and a call as osquery does, each on a connection of its own.
func ask(b *testing.B, path string, call []byte, least int) {
	ping := osquerytest.Message("ping", &osquery.ExtensionPingArgs{})
	b.ReportAllocs()
	var before, after unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &before)
	for b.Loop() {
		if _, err := osquerytest.Exchange(path, ping); err != nil {
			b.Fatal(err)
		}
		n, err := osquerytest.Exchange(path, call)
		if err != nil || n < int64(least) {
			b.Fatalf("%d bytes, %v", n, err)
		}
		b.SetBytes(n)
	}
	unix.Getrusage(unix.RUSAGE_SELF, &after)
	cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(cpu)/float64(b.N)/1e3, "cpu-us/op")
}

// unlimited runs an extension whose answers may have any size.
func unlimited(b *testing.B, e Extension) (path string) {
	b.Helper()
	noLeaks(b)
	m := newManager(b, socketDir(b))
	e.Socket, e.Timeout, e.Interval, e.MaxResponse = m.Socket(), patience, time.Minute, -1
	e.Logger = slog.New(slog.NewTextHandler(io.Discard, nil)) // without debug, as without --verbose
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { e.Run(ctx); close(done) }()
	b.Cleanup(func() { cancel(); <-done })
	uuid, err := m.WaitRegistered(timeLimit(b))
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Sprintf("%s.%d", m.Socket(), uuid)
}

// BenchmarkResponse compares answers with those of a plug-in made with osquery-go
// whose rows are ready-made maps, both over a real socket: a large
// one (100,000 rows), and one of one row with the ping before it, as each row of
// a join costs one; the floor is a server that knows the answer. The CPU is that of
// the client too, which is the same for all.
func BenchmarkResponse(b *testing.B) {
	for _, rows := range []int{100_000, 1} {
		ready := newReadyTable(rows)
		call := osquerytest.Message("call", &osquery.ExtensionCallArgs{Registry: "table", Item: "ready",
			Request: map[string]string{"action": "generate", "context": ready.context()}})
		var pong, answer []byte
		b.Run(fmt.Sprintf("rows=%d/ours", rows), func(b *testing.B) {
			path := unlimited(b, Extension{Tables: []*tables.Table{&ready.Table}})
			pong = received(b, path, osquerytest.Message("ping", &osquery.ExtensionPingArgs{}))
			answer = received(b, path, call)
			ask(b, path, call, rows)
		})
		b.Run(fmt.Sprintf("rows=%d/maps", rows), func(b *testing.B) {
			path := socketDir(b) + "/em.sock"
			serveReady(b, path, ready.maps())
			ask(b, path, call, rows)
		})
		b.Run(fmt.Sprintf("rows=%d/floor", rows), func(b *testing.B) {
			path := socketDir(b) + "/em.sock"
			serveFloor(b, path, pong, answer)
			ask(b, path, call, rows)
		})
	}
}

// BenchmarkRequest asks for the kernel's routes, of which there are forty, as most
// hosts have: all of them, and those to one destination, as each row of a join does.
func BenchmarkRequest(b *testing.B) {
	nstest.IP(b, "link set lo up") // in the namespace of the process
	var lines []string
	for i := range 36 {
		lines = append(lines, fmt.Sprintf("route add 10.%d.0.0/16 dev lo", i))
	}
	nstest.Batch(b, "-4", lines...)
	b.Cleanup(func() { nstest.IP(b, "route flush dev lo table main") })

	columns := newReadyTable(0)
	columns.Columns = tables.Routes.Columns
	all := columns.context()
	one := strings.Replace(all, `{"name":"dst","list":[]`, `{"name":"dst","list":[{"op":2,"expr":"10.7.0.0/16"}]`, 1)
	for name, context := range map[string]string{"all": all, "one": one} {
		call := callMessage(map[string]string{"action": "generate", "context": context})
		b.Run(name, func(b *testing.B) {
			path := unlimited(b, Extension{Source: &rtnl.Cache{}, Tables: []*tables.Table{tables.Routes}})
			ask(b, path, call, 100)
		})
	}
}

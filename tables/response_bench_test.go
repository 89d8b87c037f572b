package tables

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"testing"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/osquerytest"
)

// A readyTable has 75 columns, of which 15 are there in each row, with values
// that cost nothing to have.
type readyTable struct {
	Table
	texts   [][]byte // by column
	numbers []int64
	there   []bool
	rows    int
	at      int
}

func newReadyTable(rows int) *readyTable {
	r := &readyTable{Table: Table{Name: "ready"}, rows: rows}
	for i := range 75 {
		c := ColumnInfo{Name: fmt.Sprintf("column_%d", i), Type: Text}
		if i%3 == 0 {
			c.Type = BigInt
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
	r.scan = func(context.Context, Source, Query) (Rows, error) {
		again := *r
		return &again, nil
	}
	return r
}

func (r *readyTable) Next() bool                          { r.at++; return r.at <= r.rows }
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
		Name     string   `json:"name"`
		List     []string `json:"list"`
		Affinity Type     `json:"affinity"`
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

// A readyPlugin is a plug-in made with osquery-go's generated code that has its
// rows before it is asked.
type readyPlugin struct {
	rows osquery.ExtensionPluginResponse
}

func (readyPlugin) Ping(context.Context) (*osquery.ExtensionStatus, error) {
	return &osquery.ExtensionStatus{Message: "OK"}, nil
}

func (readyPlugin) Shutdown(context.Context) error { return nil }

func (p readyPlugin) Call(_ context.Context, _, _ string, request osquery.ExtensionPluginRequest) (*osquery.ExtensionResponse, error) {
	// What osquery-go's table.Plugin reads of the request.
	var c struct {
		Constraints []struct {
			Name, Affinity string
			List           json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(request["context"]), &c); err != nil {
		return nil, err
	}
	for _, c := range c.Constraints {
		var list []map[string]any
		if err := json.Unmarshal(c.List, &list); err != nil {
			return nil, err
		}
	}
	return &osquery.ExtensionResponse{Status: &osquery.ExtensionStatus{Message: "OK"}, Response: p.rows}, nil
}

// serveReady serves a readyPlugin as osquery-go does when it is told to buffer.
func serveReady(b *testing.B, path string, rows osquery.ExtensionPluginResponse) {
	server := thrift.NewTSimpleServer4(
		osquery.NewExtensionProcessor(readyPlugin{rows}),
		thrift.NewTServerSocketFromAddrTimeout(&net.UnixAddr{Name: path, Net: "unix"}, 0),
		thrift.NewTBufferedTransportFactory(64<<10), thrift.NewTBinaryProtocolFactoryConf(nil))
	if err := server.Listen(); err != nil {
		b.Fatal(err)
	}
	go server.Serve()
	b.Cleanup(func() { server.Stop() })
}

// BenchmarkResponse compares answers with those of a plug-in on osquery-go's
// generated code whose rows are ready-made maps, both over a real socket: a large
// one (100,000 rows), and one of one row with the ping before it, as each row of
// a join costs one.
func BenchmarkResponse(b *testing.B) {
	for _, rows := range []int{100_000, 1} {
		table := newReadyTable(rows)
		ping := osquerytest.Message("ping", &osquery.ExtensionPingArgs{})
		call := osquerytest.Message("call", &osquery.ExtensionCallArgs{Registry: "table", Item: "ready",
			Request: map[string]string{"action": "generate", "context": table.context()}})
		run := func(b *testing.B, path string) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := osquerytest.Exchange(path, ping); err != nil {
					b.Fatal(err)
				}
				n, err := osquerytest.Exchange(path, call)
				if err != nil || n < int64(rows) {
					b.Fatalf("%d bytes, %v", n, err)
				}
				b.SetBytes(n)
			}
		}
		b.Run(fmt.Sprintf("rows=%d/ours", rows), func(b *testing.B) {
			m, uuid, _ := registered(b, &table.Table)
			run(b, fmt.Sprintf("%s.%d", m.Socket(), uuid))
		})
		b.Run(fmt.Sprintf("rows=%d/maps", rows), func(b *testing.B) {
			path := socketDir(b) + "/em.sock"
			serveReady(b, path, table.maps())
			run(b, path)
		})
	}
}

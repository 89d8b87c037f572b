//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	sdk "github.com/osquery/osquery-go"
	"github.com/osquery/osquery-go/gen/osquery"
	"github.com/osquery/osquery-go/plugin/table"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/osquerytest"
	"kernelroutes/tables"
)

// How many routes the extension is asked for, and how many of them have two
// nexthops and are joined with these.
const (
	askedRoutes  = 100_000
	joinedRoutes = 10_000
)

// idleTime is how long the extension is left alone before its memory is looked at.
const idleTime = 10 * time.Second

// extensions measures the program as an extension of osquery.
func (b *bench) extensions() (lines []line, err error) {
	steps := []func() ([]line, error){b.responses, b.counts, b.extensionLookups, b.registration, b.idle, b.size}
	for _, step := range steps {
		more, err := step()
		if err != nil {
			return nil, fmt.Errorf("extension: %w", err)
		}
		lines = append(lines, more...)
	}
	return lines, nil
}

// responses compares answers with those of a plug-in made with osquery-go whose
// rows are ready-made. What is measured is the server: the client reads bytes.
func (b *bench) responses() ([]line, error) {
	ns, err := newNamespace(askedRoutes-joinedRoutes, 0, joinedRoutes)
	if err != nil {
		return nil, err
	}
	ours, err := b.plugIn(ns, b.product)
	if err != nil {
		return nil, err
	}
	defer ours.stop()
	// One for each test, so that the rows of one are no burden on the other.
	var ready [2]*plugIn
	for i, rows := range []string{readyAll, readyJoin} {
		ready[i], err = b.plugIn(ns, func(socket string) *exec.Cmd {
			return exec.Command("/proc/self/exe", "-plugin", rows, socket, ours.socket)
		})
		if err != nil {
			return nil, err
		}
		defer ready[i].stop()
	}

	routes, err := ecmp.call(ours.socket)
	if err != nil {
		return nil, err
	}
	if len(routes) != joinedRoutes {
		return nil, fmt.Errorf("%d routes with several nexthops instead of %d", len(routes), joinedRoutes)
	}
	join, joinReady := [][]byte{ecmp.message(ecmp.table.Name)}, [][]byte{ecmp.message(readyRoutes)}
	for _, r := range routes {
		hops := hopsOf(r["route_id"])
		join = append(join, hops.message(hops.table.Name))
		joinReady = append(joinReady, hops.message(readyHops))
	}
	tests := [2]struct {
		what, whatReady         string
		messages, messagesReady [][]byte
		samples, samplesReady   []sample
	}{{
		what:          "extension: SELECT *, 100,000 routes",
		whatReady:     "plug-in with the same rows ready-made",
		messages:      [][]byte{everything.message(everything.table.Name)},
		messagesReady: [][]byte{everything.message(readyRoutes)},
	}, {
		what:          "extension: join on route_id, 10,001 requests",
		whatReady:     "plug-in with a ready-made row for each request",
		messages:      join,
		messagesReady: joinReady,
	}}
	for range b.rounds {
		for i := range tests {
			t := &tests[i]
			s, n, err := ours.ask(t.messages)
			s2, n2, err2 := ready[i].ask(t.messagesReady)
			if err := errors.Join(err, err2); err != nil {
				return nil, err
			}
			if n < n2*99/100 {
				return nil, fmt.Errorf("%s: %d bytes, fewer than the %d of the plug-in", t.what, n, n2)
			}
			t.samples, t.samplesReady = append(t.samples, s), append(t.samplesReady, s2)
		}
	}
	var lines []line
	for _, t := range tests {
		s, s2 := median(t.samples), median(t.samplesReady)
		l := sampleLine(t.what, s)
		ratio := float64(s.wall) / float64(s2.wall)
		l.ratio = fmt.Sprintf("%.2f x plug-in", ratio)
		l.keeps("1.3 x plug-in", ratio <= 1.3)
		lines = append(lines, l, sampleLine(t.whatReady, s2))
	}
	return lines, nil
}

// registration measures the time from the start of the process.
func (b *bench) registration() ([]line, error) {
	var samples []sample
	for range b.rounds {
		start := time.Now()
		p, err := b.plugIn(b.empty, b.product)
		if err != nil {
			return nil, err
		}
		wall := time.Since(start)
		cpu, err := p.cpu()
		rss, err2 := p.status("VmHWM")
		p.stop()
		if err := errors.Join(err, err2); err != nil {
			return nil, err
		}
		samples = append(samples, sample{wall, cpu, rss})
	}
	s := median(samples)
	l := sampleLine("extension: start to registered", s)
	l.keeps("260 ms", s.wall <= 260*time.Millisecond)
	return []line{l}, nil
}

// idle looks at memory and CPU when nobody asks: on an ordinary host, and after
// an answer of all routes.
func (b *bench) idle() ([]line, error) {
	ordinary, err := b.plugIn(b.empty, b.product)
	if err != nil {
		return nil, err
	}
	defer ordinary.stop()
	full, err := b.plugIn(b.big, b.product)
	if err != nil {
		return nil, err
	}
	defer full.stop()
	ask := [][]byte{everything.message(everything.table.Name)}
	_, _, err = ordinary.ask(ask)
	answer, _, err2 := full.ask(ask)
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	time.Sleep(idleTime)
	before, err := ordinary.cpu()
	idle, err2 := ordinary.status("VmRSS")
	after, err3 := full.status("VmRSS")
	time.Sleep(idleTime)
	cpu, err4 := ordinary.cpu()
	if err := errors.Join(err, err2, err3, err4); err != nil {
		return nil, err
	}
	cpu -= before

	// It looks at osquery each minute here: nothing is due.
	l := sampleLine("extension: idle for 10 s", sample{idleTime, cpu, idle})
	l.keeps("16 MiB, no CPU", idle <= 16*mib && cpu < time.Millisecond)
	all := sampleLine("extension: SELECT *, all routes", answer)
	rest := line{what: "extension: RSS 10 s later", rss: megabytes(after),
		ratio: fmt.Sprintf("idle %+.1f MiB", float64(after-idle)/mib)}
	rest.keeps("idle +20 MiB", after-idle <= 20*mib)
	return []line{l, all, rest}, nil
}

// size is that of the stripped binary.
func (b *bench) size() ([]line, error) {
	fi, err := os.Stat(executable(b.dir))
	if err != nil {
		return nil, err
	}
	l := line{what: fmt.Sprintf("binary, stripped: %.1f MB", float64(fi.Size())/1e6)}
	l.keeps("16 MB", fi.Size() <= 16e6)
	return []line{l}, nil
}

// product is the program as an extension.
func (b *bench) product(socket string) *exec.Cmd {
	cmd := exec.Command(executable(b.dir), "--socket", socket, "--timeout", "10", "--interval", "60")
	cmd.Env = append(os.Environ(), "KERNEL_ROUTES_MAX_RESPONSE_MB=0")
	return cmd
}

// A plugIn is an extension that runs and has registered.
type plugIn struct {
	cmd     *exec.Cmd
	manager *osquerytest.Manager
	socket  string // its own
}

// plugIn starts an extension with a manager of its own.
func (b *bench) plugIn(ns *namespace, command func(socket string) *exec.Cmd) (p *plugIn, err error) {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return nil, err
	}
	m, err := osquerytest.New(dir)
	if err != nil {
		return nil, err
	}
	p = &plugIn{cmd: command(m.Socket()), manager: m}
	if err := ns.start(p.cmd); err != nil {
		m.Close()
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	uuid, err := m.WaitRegistered(ctx)
	if err != nil {
		p.stop()
		return nil, err
	}
	p.socket = fmt.Sprintf("%s.%d", m.Socket(), uuid)
	return p, nil
}

func (p *plugIn) stop() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.manager.Close()
}

// cpu returns what the process has used, user and system.
func (p *plugIn) cpu() (time.Duration, error) {
	const cpuClockSched = 2
	clock := int32(^p.cmd.Process.Pid<<3 | cpuClockSched) // clock_getcpuclockid
	var t unix.Timespec
	err := unix.ClockGettime(clock, &t)
	return time.Duration(t.Nano()), err
}

// status returns a size in the process's /proc/PID/status.
func (p *plugIn) status(name string) (int64, error) {
	text, err := os.ReadFile(p.proc("status"))
	if err != nil {
		return 0, err
	}
	var kib int64
	_, rest, _ := strings.Cut(string(text), name+":")
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return kib << 10, nil
}

func (p *plugIn) proc(file string) string {
	return filepath.Join("/proc", fmt.Sprint(p.cmd.Process.Pid), file)
}

// ask sends messages as osquery does: each on a connection of its own, after a
// ping on another one. It returns also how many bytes the answers have.
func (p *plugIn) ask(messages [][]byte) (s sample, n int64, err error) {
	if err := os.WriteFile(p.proc("clear_refs"), []byte("5"), 0); err != nil { // VmHWM begins anew
		return s, 0, err
	}
	before, err := p.cpu()
	if err != nil {
		return s, 0, err
	}
	ping := osquerytest.Message("ping", &osquery.ExtensionPingArgs{})
	start := time.Now()
	for _, m := range messages {
		if _, err := osquerytest.Exchange(p.socket, ping); err != nil {
			return s, 0, err
		}
		size, err := osquerytest.Exchange(p.socket, m)
		if err != nil {
			return s, 0, err
		}
		n += size
	}
	s.wall = time.Since(start)
	after, err := p.cpu()
	s.cpu = after - before
	rss, err2 := p.status("VmHWM")
	s.rss = rss
	return s, n, errors.Join(err, err2)
}

// A request is one generate request of osquery.
type request struct {
	table  *tables.Table
	used   []string // nil: all columns
	column string   // that has a constraint; "": none
	op     tables.Op
	expr   string
}

// The requests of SELECT * FROM kernel_routes, and of SELECT r.dst, n.gateway,
// n.dev, n.weight FROM kernel_routes r JOIN kernel_route_nexthops n USING
// (route_id) WHERE r.nexthop_count > 1; and the tables of the plug-in that answer
// them.
var (
	everything = request{table: tables.Routes}
	ecmp       = request{tables.Routes, []string{"route_id", "dst", "nexthop_count"},
		"nexthop_count", tables.GreaterThan, "1"}
)

func hopsOf(routeID string) request {
	used := []string{"route_id", "gateway", "dev", "weight"}
	return request{tables.Nexthops, used, "route_id", tables.Equals, routeID}
}

// What a plug-in can have ready, and its tables.
const (
	readyAll, readyJoin    = "all", "join"
	readyRoutes, readyHops = "ready_routes", "ready_nexthops"
)

// args is what osquery sends in a call.
func (r request) args() map[string]string {
	type constraint struct {
		Op   tables.Op `json:"op"`
		Expr string    `json:"expr"`
	}
	type column struct {
		Name     string       `json:"name"`
		List     []constraint `json:"list"`
		Affinity tables.Type  `json:"affinity"`
	}
	var c struct {
		Constraints []column `json:"constraints"`
		ColsUsed    []string `json:"colsUsed"`
	}
	c.ColsUsed = r.used
	for _, col := range r.table.Columns {
		list := []constraint{}
		if col.Name == r.column {
			list = append(list, constraint{r.op, r.expr})
		}
		c.Constraints = append(c.Constraints, column{col.Name, list, col.Type})
		if r.used == nil {
			c.ColsUsed = append(c.ColsUsed, col.Name)
		}
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // it is strings and numbers
	}
	return map[string]string{"action": "generate", "context": string(b)}
}

// message is the call of a table.
func (r request) message(table string) []byte {
	return osquerytest.Message("call", &osquery.ExtensionCallArgs{Registry: "table", Item: table, Request: r.args()})
}

// call returns the rows of the program's answer.
func (r request) call(socket string) ([]map[string]string, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conf := &thrift.TConfiguration{}
	trans := thrift.NewTBufferedTransport(thrift.NewTSocketFromConnConf(conn, conf), 64<<10)
	proto := thrift.NewTBinaryProtocolConf(trans, conf)
	client := osquery.NewExtensionClientProtocol(trans, proto, proto)
	answer, err := client.Call(context.Background(), "table", r.table.Name, r.args())
	if err != nil {
		return nil, err
	}
	if answer.Status.Code != 0 {
		return nil, errors.New(answer.Status.Message)
	}
	return answer.Response, nil
}

// plugin is the role of an extension made with osquery-go. It asks another one
// for the rows that it has ready: those of all routes, or of routes and a nexthop
// for a join.
func plugin(args []string) error {
	what, manager, other := args[0], args[1], args[2]
	// What serves each best: large buffers a large answer, and small ones the many
	// connections of a join.
	req, buffer := everything, 64<<10
	if what == readyJoin {
		req, buffer = ecmp, 4<<10
	}
	server, err := sdk.NewExtensionManagerServer("ready", manager, sdk.ServerTimeout(time.Minute),
		sdk.WithTransportFactory(thrift.NewTBufferedTransportFactory(buffer)))
	if err != nil {
		return err
	}
	register := func(name string, rows []map[string]string) {
		server.RegisterPlugin(table.NewPlugin(name, []table.ColumnDefinition{table.TextColumn("route_id")},
			func(context.Context, table.QueryContext) ([]map[string]string, error) { return rows, nil }))
	}
	routes, err := req.call(other)
	if err != nil {
		return err
	}
	register(readyRoutes, routes)
	if what == readyJoin {
		hops, err := hopsOf(routes[0]["route_id"]).call(other)
		if err != nil {
			return err
		}
		register(readyHops, hops[:1])
	}
	return server.Run()
}

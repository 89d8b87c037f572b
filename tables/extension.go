package tables

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/inorder"
)

// ExtensionName is the name under which the extension registers, which is also
// what osquery's flag extensions_require waits for.
const ExtensionName = "kernel_routes"

// The reasons for which Run ends by itself. After either of them osquery's
// watcher must start the extension again, or its tables are gone for good.
var (
	// ErrGone: osquery does not answer any more.
	ErrGone = errors.New("osquery is gone")
	// ErrDeregistered: osquery answers, but does not know this extension any
	// more, because it once did not answer a ping in time (it was stopped, or the
	// machine slept).
	ErrDeregistered = errors.New("deregistered by osquery")
)

const (
	// Defaults of osquery's flags extensions_timeout and extensions_interval.
	defaultTimeout  = 3 * time.Second
	defaultInterval = 3 * time.Second

	// The extension's socket is osquery's with the extension's number behind it,
	// and has to fit into sockaddr_un. osquery-go has the same limit.
	maxSocketPath = 97

	connectPoll    = 10 * time.Millisecond // between two looks at a socket that is not there yet
	requestTimeout = 60 * time.Second      // for one query, and for one read or write of its connection
	graceTime      = 2 * time.Second       // for running requests, at the end
	restTime       = 5 * time.Second       // without a query, then memory goes back to the kernel
	bufferSize     = 8 << 10               // of a connection, each way; chunks of rows go past it
)

// Extension is the osquery extension: it registers its tables with the manager
// at Socket and answers until osquery goes away.
type Extension struct {
	Socket   string
	Timeout  time.Duration // how long to wait for the socket, and for each answer of osquery; 0: 3 s
	Interval time.Duration // between two pings; 0: 3 s
	Version  string
	Source   Source
	Tables   []*Table     // nil: All()
	Logger   *slog.Logger // nil: none

	// MaxResponse is how many bytes of osquery's memory one answer may be
	// estimated at; 0: no limit. A larger one is an error of its query, because
	// osquery's watchdog would kill osquery for it.
	MaxResponse int64
}

// Run registers and answers. It returns nil after ctx was cancelled and after
// osquery has asked for it to end, and an error when osquery cannot be reached,
// refuses the extension, is gone (ErrGone) or has deregistered the extension
// (ErrDeregistered).
func (e *Extension) Run(ctx context.Context) error {
	x := *e
	if x.Timeout <= 0 {
		x.Timeout = defaultTimeout
	}
	if x.Interval <= 0 {
		x.Interval = defaultInterval
	}
	if x.Tables == nil {
		x.Tables = All()
	}
	if x.Logger == nil {
		x.Logger = slog.New(slog.DiscardHandler)
	}
	if err := x.run(ctx); ctx.Err() == nil {
		return err
	}
	return nil
}

func (e *Extension) run(ctx context.Context) error {
	if n := len(e.Socket); n > maxSocketPath {
		return fmt.Errorf("osquery's socket %s: a path of %d characters is too long, at most %d are possible", e.Socket, n, maxSocketPath)
	}
	m, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer m.Close()

	tables := osquery.ExtensionRouteTable{}
	for _, t := range e.Tables {
		tables[t.Name] = t.routes()
	}
	status, err := m.RegisterExtension(ctx,
		&osquery.InternalExtensionInfo{Name: ExtensionName, Version: e.Version},
		osquery.ExtensionRegistry{"table": tables})
	if err != nil {
		return fmt.Errorf("registering %s: %w", ExtensionName, err)
	}
	if status.Code != 0 {
		return fmt.Errorf("osquery refuses the extension %s: %s", ExtensionName, status.Message)
	}
	uuid := status.UUID

	s, err := e.listen(ctx, uuid)
	if err != nil {
		e.deregister(ctx, uuid)
		return err
	}
	defer s.stop()
	e.Logger.Info("registered with osquery", "socket", e.Socket, "uuid", uuid, "version", e.Version)

	err = e.watch(ctx, m, s)
	if err == nil {
		e.deregister(ctx, uuid)
	}
	return err
}

// watch returns when the extension has to end, an error if not by request.
func (e *Extension) watch(ctx context.Context, m *manager, s *server) error {
	ticker := time.NewTicker(e.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.shutdown:
			e.Logger.Info("osquery asks the extension to end")
			return nil
		case <-ticker.C:
		}
		if err := m.check(ctx, s.uuid); err != nil {
			select {
			case <-ctx.Done(): // which has closed the connection
				return nil
			case <-s.shutdown: // and osquery was faster to go
				return nil
			default:
				return err
			}
		}
	}
}

// connect waits until osquery answers at its socket, which may be there before
// osquery listens, or still be there from an osquery that is dead.
func (e *Extension) connect(ctx context.Context) (*manager, error) {
	wait, cancel := context.WithTimeoutCause(ctx, e.Timeout,
		fmt.Errorf("osquery's socket %s does not answer within %v", e.Socket, e.Timeout))
	defer cancel()
	poll := time.NewTicker(connectPoll)
	defer poll.Stop()
	for try := 0; ; try++ {
		m, err := e.dial(ctx, e.Timeout)
		if err == nil {
			if _, err = m.Ping(ctx); err == nil {
				return m, nil
			}
			m.Close()
		}
		if try == 0 {
			e.Logger.Debug("waiting for osquery", "err", err)
		}
		select {
		case <-wait.Done():
			return nil, fmt.Errorf("%w: %w", context.Cause(wait), err)
		case <-poll.C:
		}
	}
}

// deregister tells osquery that the extension ends, on a connection of its own
// because the other one is closed with ctx. That osquery ends too, and does not
// answer, is usual.
func (e *Extension) deregister(ctx context.Context, uuid osquery.ExtensionRouteUUID) {
	ctx = context.WithoutCancel(ctx)
	m, err := e.dial(ctx, min(e.Timeout, time.Second))
	if err == nil {
		defer m.Close()
		_, err = m.DeregisterExtension(ctx, uuid)
	}
	if err != nil {
		e.Logger.Debug("not deregistered", "err", err)
	}
}

// A manager is a connection to osquery's extension manager.
type manager struct {
	*osquery.ExtensionManagerClient
	conn net.Conn
	stop func() bool
}

// dial connects to osquery. The connection is closed when ctx is cancelled, so
// that nothing waits for osquery then.
func (e *Extension) dial(ctx context.Context, timeout time.Duration) (*manager, error) {
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, "unix", e.Socket)
	if err != nil {
		return nil, err
	}
	trans, proto := open(conn, timeout)
	return &manager{
		ExtensionManagerClient: osquery.NewExtensionManagerClientProtocol(trans, proto, proto),
		conn:                   conn,
		stop:                   context.AfterFunc(ctx, func() { conn.Close() }),
	}, nil
}

func (m *manager) Close() error {
	m.stop()
	return m.conn.Close()
}

// check returns an error if osquery does not answer, or does not know the
// extension any more. To ping is not enough: osquery drops an extension that
// misses one ping of its own, and goes on to answer those of the extension.
func (m *manager) check(ctx context.Context, uuid osquery.ExtensionRouteUUID) error {
	status, err := m.Ping(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	if status.Code != 0 {
		return fmt.Errorf("%w: ping: status %d: %s", ErrGone, status.Code, status.Message)
	}
	extensions, err := m.Extensions(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrGone, err)
	}
	if extensions[uuid] == nil {
		return ErrDeregistered
	}
	return nil
}

// open puts buffers and Thrift's binary protocol on a connection. The timeout is
// for each read and each write. Strict: without a version at the beginning, as
// osquery writes it, the first bytes of a stranger would be a length to wait for.
func open(conn net.Conn, timeout time.Duration) (*thrift.TBufferedTransport, thrift.TProtocol) {
	conf := &thrift.TConfiguration{SocketTimeout: timeout, TBinaryStrictRead: new(true)}
	trans := thrift.NewTBufferedTransport(thrift.NewTSocketFromConnConf(conn, conf), bufferSize)
	return trans, thrift.NewTBinaryProtocolConf(trans, conf)
}

// A server answers osquery on the extension's own socket. osquery opens a
// connection for every call, and another one before it for a ping.
type server struct {
	*Extension
	uuid      osquery.ExtensionRouteUUID
	listener  net.Listener
	processor *osquery.ExtensionProcessor
	shutdown  chan struct{} // closed when osquery asks for it
	once      sync.Once
	rest      *time.Timer

	ctx    context.Context // of all requests
	cancel context.CancelFunc

	mu      sync.Mutex
	conns   map[net.Conn]bool // whether a request is running on it
	stopped bool
	running sync.WaitGroup // goroutines
}

// listen opens the extension's socket and serves it.
func (e *Extension) listen(ctx context.Context, uuid osquery.ExtensionRouteUUID) (*server, error) {
	path := fmt.Sprintf("%s.%d", e.Socket, uuid)
	// osquery gave the number to this process alone, so a socket of that name is
	// the rest of a dead one.
	if fi, err := os.Lstat(path); err == nil && fi.Mode().Type() == os.ModeSocket {
		os.Remove(path)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	s := &server{
		Extension: e,
		uuid:      uuid,
		listener:  l,
		shutdown:  make(chan struct{}),
		rest:      time.AfterFunc(restTime, debug.FreeOSMemory),
		conns:     map[net.Conn]bool{},
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.processor = osquery.NewExtensionProcessor(handler{s})
	s.processor.AddToProcessorMap("call", caller{s})
	s.running.Go(s.accept)
	return s, nil
}

// accept serves each connection on its own, until the listener is closed.
func (s *server) accept() {
	for {
		conn, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // no file descriptors left, for instance
			s.Logger.Warn("accepting a connection", "err", err)
			time.Sleep(connectPoll)
		case s.track(conn, false):
			s.running.Go(func() { s.serve(conn) })
		default:
			conn.Close()
		}
	}
}

// serve answers the requests of one connection.
func (s *server) serve(conn net.Conn) {
	defer s.forget(conn)
	trans, proto := open(conn, requestTimeout)
	for {
		if _, err := trans.Reader.Peek(1); err != nil {
			return
		}
		if !s.track(conn, true) {
			return
		}
		ok, err := s.processor.Process(s.ctx, proto, proto)
		if err != nil && !errors.Is(err, io.EOF) {
			s.Logger.Warn("answering osquery", "err", err)
		}
		if !s.track(conn, false) || !ok || err != nil {
			return
		}
	}
}

// track notes whether a request is running on conn. It returns false when the
// server has stopped and no other request shall begin.
func (s *server) track(conn net.Conn, busy bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.conns[conn] = busy
	}
	return !s.stopped
}

func (s *server) forget(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// closeConns closes the connections without a request, or all of them. No
// request begins after it.
func (s *server) closeConns(all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for conn, busy := range s.conns {
		if all || !busy {
			conn.Close()
		}
	}
}

// stop closes the socket, removes its file and lets requests that are running
// end, but not for long.
func (s *server) stop() {
	s.listener.Close()
	s.closeConns(false)
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(graceTime):
		s.Logger.Warn("giving up requests that are still running")
	}
	s.rest.Stop()
	s.cancel()
	s.closeConns(true)
}

// A handler answers what is no call to a table.
type handler struct{ s *server }

func (h handler) Ping(context.Context) (*osquery.ExtensionStatus, error) {
	return &osquery.ExtensionStatus{Message: "pong", UUID: h.s.uuid}, nil
}

func (h handler) Shutdown(context.Context) error {
	h.s.once.Do(func() { close(h.s.shutdown) })
	return nil
}

// Call is not reached: caller answers it.
func (h handler) Call(context.Context, string, string, osquery.ExtensionPluginRequest) (*osquery.ExtensionResponse, error) {
	return nil, errors.ErrUnsupported
}

// A caller is the Thrift function "call".
type caller struct{ s *server }

func (c caller) Process(ctx context.Context, seq int32, in, out thrift.TProtocol) (bool, thrift.TException) {
	var args osquery.ExtensionCallArgs
	if err := errors.Join(args.Read(ctx, in), in.ReadMessageEnd(ctx)); err != nil {
		return false, thrift.WrapTException(err)
	}
	status := &osquery.ExtensionStatus{Message: "OK", UUID: c.s.uuid}
	defer c.s.rest.Reset(restTime)
	r, err := c.s.answer(ctx, &args)
	if err != nil {
		r, status.Code, status.Message = &response{}, 1, err.Error()
	}
	defer r.free()
	err = r.write(ctx, out, seq, status)
	return err == nil, thrift.WrapTException(err)
}

// answer does what a call asks for. Errors name the table.
func (s *server) answer(ctx context.Context, args *osquery.ExtensionCallArgs) (*response, error) {
	if args.Registry != "table" {
		return nil, fmt.Errorf("%s has no %s plugin, only tables", ExtensionName, args.Registry)
	}
	for _, t := range s.Tables {
		if t.Name != args.Item {
			continue
		}
		switch action := args.Request["action"]; action {
		case "generate":
			r, err := s.generate(ctx, t, args.Request["context"])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.Name, err)
			}
			return r, nil
		case "columns":
			return mapsResponse(t.routes()), nil
		default:
			return nil, fmt.Errorf("%s: unknown action %q: the table can only be read", t.Name, action)
		}
	}
	return nil, fmt.Errorf("%s has no table %q", ExtensionName, args.Item)
}

// generate answers a query. A panic becomes the query's error, because the other
// queries and the other table have done nothing to die of it.
func (s *server) generate(ctx context.Context, t *Table, request string) (r *response, err error) {
	defer func() {
		if p := recover(); p != nil {
			stack := debug.Stack()
			if part, ok := p.(*inorder.Panic); ok {
				p, stack = part.Value, part.Stack
			}
			s.Logger.Error("panic", "table", t.Name, "request", request, "panic", p, "stack", string(stack))
			r, err = nil, fmt.Errorf("internal error: %v", p)
		}
	}()
	ctx, cancel := context.WithTimeoutCause(ctx, requestTimeout, fmt.Errorf("no answer within %v", requestTimeout))
	defer cancel()

	start := time.Now()
	q, err := parseRequest(t, request)
	if err != nil {
		return nil, err
	}
	rows, err := t.Scan(ctx, s.Source, q)
	if err != nil {
		return nil, err
	}
	r, err = newResponse(ctx, t, q, rows, s.MaxResponse)
	if err != nil {
		return nil, err
	}
	s.Logger.Debug("query", "table", t.Name, "constraints", len(q.Constraints), "rows", r.rows, "took", time.Since(start))
	return r, nil
}

// routes describes the table for its registration and for the action "columns",
// as TablePlugin::routeInfo does.
func (t *Table) routes() osquery.ExtensionPluginResponse {
	routes := make(osquery.ExtensionPluginResponse, 0, len(t.Columns))
	for _, c := range t.Columns {
		routes = append(routes, map[string]string{
			"id":   "column",
			"name": c.Name,
			"type": string(c.Type),
			"op":   strconv.Itoa(int(c.Options)),
		})
	}
	return routes
}

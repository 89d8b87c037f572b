package extension

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/tables"
)

// Name is the name under which the extension registers, which is also
// what osquery's flag extensions_require waits for.
const Name = "kernel_routes"

// The reasons for which Run ends by itself, beside ErrSocketLost. After any of them
// osquery's watcher must start the extension again, or its tables are gone for good.
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

	connectPoll   = 10 * time.Millisecond  // between two looks at a socket that is not there yet
	duplicatePoll = 100 * time.Millisecond // between two looks at an extension of the same name
)

// Extension is the osquery extension: it registers its tables with the manager
// at Socket and answers until osquery goes away.
type Extension struct {
	Socket   string
	Timeout  time.Duration // how long to wait for the socket, and for each answer of osquery; 0: 3 s
	Interval time.Duration // between two pings; 0: 3 s
	Version  string
	Source   tables.Source
	Tables   []*tables.Table // nil: tables.All()
	Logger   *slog.Logger    // is told of each failure, however many there are; nil: none
	Counters *Counters       // count what it is asked for; nil: nobody will look

	// MaxResponse is how many bytes of osquery's memory one answer may be
	// estimated at. A larger one is an error of its query, because osquery's
	// watchdog would kill osquery for it. 0: what the watchdog allows, as osquery's
	// flags say; 2 GB where none runs. Negative: no limit.
	MaxResponse int64

	queryTimeout  time.Duration // 0: requestTimeout
	grace         time.Duration // for running requests, at the end; 0: graceTime
	sendTimeout   time.Duration // 0: requestTimeout; of an answer that is short
	flagsInterval time.Duration // 0: a minute; between two looks at osquery's flags
}

// Run registers and answers. It returns nil after ctx was cancelled and after
// osquery has asked for it to end, and an error when osquery cannot be reached,
// refuses the extension, is gone (ErrGone), has deregistered the extension
// (ErrDeregistered) or cannot reach it any more (ErrSocketLost).
func (e *Extension) Run(ctx context.Context) error {
	x := *e
	if x.Timeout <= 0 {
		x.Timeout = defaultTimeout
	}
	if x.Interval <= 0 {
		x.Interval = defaultInterval
	}
	if x.grace == 0 {
		x.grace = graceTime
	}
	if x.queryTimeout == 0 {
		x.queryTimeout = requestTimeout
	}
	if x.sendTimeout == 0 {
		x.sendTimeout = requestTimeout
	}
	if x.flagsInterval == 0 {
		x.flagsInterval = time.Minute
	}
	if x.Tables == nil {
		x.Tables = tables.All()
	}
	if x.Counters == nil {
		x.Counters = new(Counters)
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
		return fmt.Errorf("osquery's socket %s: a path of %d characters is too long, at most %d are possible; "+
			"shorten osquery's flag extensions_socket", e.Socket, n, maxSocketPath)
	}
	if strings.HasPrefix(e.Socket, "@") {
		return fmt.Errorf("osquery's socket %s: the name of an abstract socket, which every user of the host may "+
			"connect to; give a path, ./%s if this is one", e.Socket, e.Socket)
	}
	if err := checkFiles(); err != nil {
		return err
	}
	m, err := e.connect(ctx)
	if err != nil {
		return err
	}
	defer m.Close()

	routes := osquery.ExtensionRouteTable{}
	for _, t := range e.Tables {
		routes[t.Name] = columnRoutes(t)
	}
	limit := e.readLimit(ctx, m, nil)
	uuid, err := e.register(ctx, m, osquery.ExtensionRegistry{"table": routes})
	if err != nil {
		return err
	}

	s, err := e.listen(ctx, uuid, limit)
	if err != nil {
		e.deregister(ctx, uuid)
		return err
	}
	defer s.stop()
	e.tellLimit(limit, nil)
	e.Logger.Info("registered with osquery", "socket", e.Socket, "uuid", uuid, "version", e.Version)

	if who := othersWhoWrite(filepath.Dir(e.Socket)); who != "" {
		e.Logger.Warn("others may put sockets of their own in the place of osquery's and the extension's; "+
			"have osquery's flag extensions_socket in a folder that only osquery's user may write to",
			"folder", filepath.Dir(e.Socket), "who", who)
	}

	err = e.watch(ctx, m, s)
	if err == nil || errors.Is(err, ErrSocketLost) {
		e.deregister(ctx, uuid)
	}
	return err
}

// register waits until osquery has no extension of this name any more, and
// registers. One that was killed is known to osquery until its next ping, which
// comes after an interval; what is refused meanwhile is an error in osquery's log,
// so that its list is asked for and not tried against.
func (e *Extension) register(ctx context.Context, m *manager, registry osquery.ExtensionRegistry) (
	uuid osquery.ExtensionRouteUUID, err error) {
	wait, cancel := context.WithTimeout(ctx, max(e.Timeout, e.Interval+time.Second))
	defer cancel()
	start := time.Now()
	poll := time.NewTicker(duplicatePoll)
	defer poll.Stop()
	for {
		there, err := m.Extensions(ctx)
		if err != nil {
			return 0, fmt.Errorf("asking osquery for its extensions: %w; %s", err, startedAgain)
		}
		if wait.Err() != nil || !isRegistered(there) {
			break
		}
		e.Logger.Debug("osquery still has an extension of this name", "name", Name)
		select {
		case <-wait.Done():
		case <-poll.C:
		}
	}
	info := &osquery.InternalExtensionInfo{Name: Name, Version: e.Version}
	status, err := m.RegisterExtension(ctx, info, registry)
	switch {
	case err != nil:
		return 0, fmt.Errorf("registering %s: %w; %s", Name, err, startedAgain)
	case status.Code != 0:
		return 0, fmt.Errorf("osquery refuses the extension %s: %s (tried for %v)", Name, status.Message,
			time.Since(start).Round(100*time.Millisecond))
	}
	return status.UUID, nil
}

// isRegistered reports whether osquery knows an extension of this name.
func isRegistered(extensions osquery.InternalExtensionList) bool {
	for _, info := range extensions {
		if info.Name == Name {
			return true
		}
	}
	return false
}

// watch returns when the extension has to end, an error if not by request.
func (e *Extension) watch(ctx context.Context, m *manager, s *server) error {
	ticker := time.NewTicker(e.Interval)
	defer ticker.Stop()
	flags := time.Now() // when they were read
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.shutdown:
			e.Logger.Info("osquery asks the extension to end")
			return nil
		case <-ticker.C:
		}
		lost, err := s.listener.check(), m.check(ctx, s.uuid)
		if lost != nil && (err == nil || errors.Is(err, ErrDeregistered)) { // which is then why
			err = lost
		}
		if err != nil {
			select {
			case <-ctx.Done(): // which has closed the connection
				return nil
			case <-s.shutdown: // and osquery was faster to go
				return nil
			default:
				return err
			}
		}
		if time.Since(flags) >= e.flagsInterval {
			old := s.limit.Load()
			limit := e.readLimit(ctx, m, old)
			s.limit.Store(limit)
			e.tellLimit(limit, old)
			flags = time.Now()
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
			return nil, fmt.Errorf("%w: %w; %s", context.Cause(wait), err, whyNot(e.Socket, err))
		case <-poll.C:
		}
	}
}

// deregister tells osquery that the extension ends, on a connection of its own
// because the other one is closed with ctx. That osquery ends too, and does not
// answer, is usual. Where another osquery listens by now, the number may be that of
// an extension which it has.
func (e *Extension) deregister(ctx context.Context, uuid osquery.ExtensionRouteUUID) {
	ctx = context.WithoutCancel(ctx)
	m, err := e.dial(ctx, min(e.Timeout, time.Second))
	if err == nil {
		defer m.Close()
		var there osquery.InternalExtensionList
		if there, err = m.Extensions(ctx); err == nil && there[uuid] != nil && there[uuid].Name == Name {
			_, err = m.DeregisterExtension(ctx, uuid)
		}
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
	trans, proto := open(&boundConn{Conn: conn, timeout: timeout})
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
		return fmt.Errorf("%w: %w; %s", ErrGone, err, startedAgain)
	}
	if status.Code != 0 {
		return fmt.Errorf("%w: ping: status %d: %s; %s", ErrGone, status.Code, status.Message, startedAgain)
	}
	extensions, err := m.Extensions(ctx)
	if err != nil {
		return fmt.Errorf("%w: %w; %s", ErrGone, err, startedAgain)
	}
	if extensions[uuid] == nil {
		return fmt.Errorf("%w, which once had no answer in time; %s", ErrDeregistered, startedAgain)
	}
	return nil
}

// readLimit returns the limit for an answer: the one that is given, or what osquery's
// flags say. Flags that cannot be read are taken for those of before, or for the
// defaults, with a watchdog.
func (e *Extension) readLimit(ctx context.Context, m *manager, old *memoryLimit) *memoryLimit {
	limit := memoryLimit{max(e.MaxResponse, 0), MaxResponseVariable}
	if e.MaxResponse == 0 {
		flags, err := m.Options(ctx)
		if err != nil {
			if old != nil {
				e.Logger.Debug("osquery's flags cannot be read, the limit for an answer stays", "err", err)
				return old
			}
			e.Logger.Warn("osquery's flags cannot be read, its watchdog is taken to run", "err", err)
		}
		limit = watchdogLimit(flags)
	}
	return &limit
}

// tellLimit logs a limit for an answer that is a new one, and holds already.
func (e *Extension) tellLimit(limit, old *memoryLimit) {
	if old == nil || *limit != *old {
		e.Logger.Debug("limit for an answer", "MB", limit.bytes/mb, "from", limit.from)
	}
}

// open puts buffers and Thrift's binary protocol on a connection to osquery. What
// sizes an answer claims is bounded, for memory is made for it before it comes.
func open(conn io.ReadWriter) (thrift.TTransport, thrift.TProtocol) {
	conf := &thrift.TConfiguration{MaxMessageSize: maxClaimed}
	trans := thrift.NewStreamTransportRW(conn)
	return trans, thrift.NewTBinaryProtocolConf(trans, conf)
}

// columnRoutes describes a table for its registration and for the action "columns",
// as TablePlugin::routeInfo does.
func columnRoutes(t *tables.Table) osquery.ExtensionPluginResponse {
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

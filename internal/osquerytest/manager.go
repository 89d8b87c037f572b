// Package osquerytest is osquery's side of an extension, for tests: an extension
// manager on a real unix socket, made of the same generated Thrift code as
// osquery-go. It does what osquery does (ExtensionManagerInterface,
// callExtension), and answers SQL over the tables of extensions as osquery does (Query).
package osquerytest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/ncruces/go-sqlite3"
	"github.com/osquery/osquery-go/gen/osquery"
)

// A Manager is an extension manager: the socket that an extension registers at.
type Manager struct {
	socket   string
	listener net.Listener
	running  sync.WaitGroup

	mu         sync.Mutex
	closed     bool
	conns      map[net.Conn]bool
	last       osquery.ExtensionRouteUUID
	extensions map[osquery.ExtensionRouteUUID]extension
	changed    chan struct{} // closed at each change of the extensions
	flags      map[string]string
	refused    int
	own        []*table                  // osquery's own tables
	define     func(*sqlite3.Conn) error // osquery's own functions
	sent       Cost
}

type extension struct {
	info     osquery.InternalExtensionInfo
	registry osquery.ExtensionRegistry
}

// New opens a manager with its socket in dir, whose name must be short (a socket
// path has at most 107 bytes; t.TempDir is often too long).
func New(dir string) (*Manager, error) {
	m := &Manager{
		socket:     filepath.Join(dir, "em.sock"),
		conns:      map[net.Conn]bool{},
		last:       10000,
		extensions: map[osquery.ExtensionRouteUUID]extension{},
		changed:    make(chan struct{}),
	}
	var err error
	if m.listener, err = net.Listen("unix", m.socket); err != nil {
		return nil, err
	}
	processor := osquery.NewExtensionManagerProcessor(handler{m})
	m.running.Go(func() { m.accept(processor) })
	return m, nil
}

// Socket is the path for an extension's --socket.
func (m *Manager) Socket() string { return m.socket }

// Close is osquery's death: connections break, the socket is gone, extensions
// are not told.
func (m *Manager) Close() {
	m.listener.Close()
	m.mu.Lock()
	m.closed = true
	for conn := range m.conns {
		conn.Close()
	}
	m.mu.Unlock()
	m.running.Wait()
}

// SetFlag sets one of osquery's flags, of which there are none at first.
func (m *Manager) SetFlag(name, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.flags == nil {
		m.flags = map[string]string{}
	}
	m.flags[name] = value
}

// Refused returns how many registrations were refused: osquery logs an error for
// each.
func (m *Manager) Refused() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.refused
}

// Extensions returns the extensions that are registered.
func (m *Manager) Extensions() map[osquery.ExtensionRouteUUID]osquery.InternalExtensionInfo {
	m.mu.Lock()
	defer m.mu.Unlock()
	infos := map[osquery.ExtensionRouteUUID]osquery.InternalExtensionInfo{}
	for uuid, e := range m.extensions {
		infos[uuid] = e.info
	}
	return infos
}

// Registry returns what an extension has registered: for each kind of plugin and
// each plugin's name the columns of its table.
func (m *Manager) Registry(uuid osquery.ExtensionRouteUUID) osquery.ExtensionRegistry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.extensions[uuid].registry
}

// WaitRegistered waits until an extension has registered and answers, as osquery
// does for its flag extensions_require.
func (m *Manager) WaitRegistered(ctx context.Context) (osquery.ExtensionRouteUUID, error) {
	uuid, err := m.wait(ctx, func() (osquery.ExtensionRouteUUID, bool) {
		for uuid := range m.extensions {
			return uuid, true
		}
		return 0, false
	})
	if err != nil {
		return 0, fmt.Errorf("no extension has registered: %w", err)
	}
	// It can listen only after it has been given its number.
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		if err = m.Ping(ctx, uuid); err == nil {
			return uuid, nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("the extension does not answer: %w", err)
		}
	}
}

// WaitDeregistered waits until an extension is not registered any more.
func (m *Manager) WaitDeregistered(ctx context.Context, uuid osquery.ExtensionRouteUUID) error {
	_, err := m.wait(ctx, func() (osquery.ExtensionRouteUUID, bool) {
		_, there := m.extensions[uuid]
		return uuid, !there
	})
	return err
}

// wait waits until done, which is called with m.mu held, returns true.
func (m *Manager) wait(
	ctx context.Context, done func() (osquery.ExtensionRouteUUID, bool),
) (osquery.ExtensionRouteUUID, error) {
	for {
		m.mu.Lock()
		uuid, ok := done()
		changed := m.changed
		m.mu.Unlock()
		if ok {
			return uuid, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// Deregister drops an extension without telling it, as osquery does after a ping
// without an answer. It returns false if there is no such extension.
func (m *Manager) Deregister(uuid osquery.ExtensionRouteUUID) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.extensions[uuid]; !there {
		return false
	}
	delete(m.extensions, uuid)
	m.change()
	return true
}

// change wakes who waits. It is called with m.mu held.
func (m *Manager) change() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// Call calls a table of the extension that has registered it, as osquery does: a
// ping on one connection, the call on another.
func (m *Manager) Call(
	ctx context.Context, table string, request map[string]string,
) (osquery.ExtensionResponse, error) {
	response, _, err := m.call(ctx, table, request)
	return response, err
}

// call is Call that also returns how many bytes came back for the call.
func (m *Manager) call(
	ctx context.Context, table string, request map[string]string,
) (response osquery.ExtensionResponse, bytes int64, err error) {
	m.mu.Lock()
	var uuid osquery.ExtensionRouteUUID
	for u, e := range m.extensions {
		if e.registry["table"][table] != nil {
			uuid = u
		}
	}
	m.mu.Unlock()
	if uuid == 0 {
		return response, 0, fmt.Errorf("no such table: %s", table)
	}
	if err := m.Ping(ctx, uuid); err != nil {
		return response, 0, err
	}
	bytes, err = m.client(ctx, uuid, func(c *osquery.ExtensionClient) error {
		r, err := c.Call(ctx, "table", table, request)
		if err == nil {
			response = *r
		}
		return err
	})
	return response, bytes, err
}

// Ping pings an extension.
func (m *Manager) Ping(ctx context.Context, uuid osquery.ExtensionRouteUUID) error {
	return m.Client(ctx, uuid, func(c *osquery.ExtensionClient) error {
		status, err := c.Ping(ctx)
		if err == nil && status.Code != 0 {
			err = errors.New(status.Message)
		}
		return err
	})
}

// Shutdown asks an extension to end, as osquery does when it ends itself.
func (m *Manager) Shutdown(ctx context.Context, uuid osquery.ExtensionRouteUUID) error {
	return m.Client(ctx, uuid, func(c *osquery.ExtensionClient) error { return c.Shutdown(ctx) })
}

// Client calls f with a connection of its own to an extension. It ends with ctx.
func (m *Manager) Client(
	ctx context.Context, uuid osquery.ExtensionRouteUUID, f func(*osquery.ExtensionClient) error,
) error {
	_, err := m.client(ctx, uuid, f)
	return err
}

// A counted connection counts the bytes that come.
type counted struct {
	net.Conn
	read int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.read += int64(n)
	return n, err
}

// client is Client that also returns how many bytes came.
func (m *Manager) client(
	ctx context.Context, uuid osquery.ExtensionRouteUUID, f func(*osquery.ExtensionClient) error,
) (int64, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unix", fmt.Sprintf("%s.%d", m.socket, uuid))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	count := &counted{Conn: conn}
	_, proto := open(count)
	if err = f(osquery.NewExtensionClientProtocol(nil, proto, proto)); ctx.Err() != nil {
		return count.read, ctx.Err()
	}
	return count.read, err
}

func open(conn net.Conn) (thrift.TTransport, thrift.TProtocol) {
	conf := &thrift.TConfiguration{}
	trans := thrift.NewTBufferedTransport(thrift.NewTSocketFromConnConf(conn, conf), 64<<10)
	return trans, thrift.NewTBinaryProtocolConf(trans, conf)
}

func (m *Manager) accept(processor thrift.TProcessor) {
	for {
		conn, err := m.listener.Accept()
		if err != nil {
			return
		}
		m.mu.Lock()
		if m.closed {
			conn.Close()
		}
		m.conns[conn] = true
		m.mu.Unlock()
		m.running.Go(func() {
			_, proto := open(conn)
			for ok, err := true, error(nil); ok && err == nil; {
				ok, err = processor.Process(context.Background(), proto, proto)
			}
			conn.Close()
			m.mu.Lock()
			delete(m.conns, conn)
			m.mu.Unlock()
		})
	}
}

// A handler is what extensions may ask of the manager.
type handler struct{ m *Manager }

func (h handler) RegisterExtension(
	_ context.Context, info *osquery.InternalExtensionInfo, registry osquery.ExtensionRegistry,
) (*osquery.ExtensionStatus, error) {
	m := h.m
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.extensions {
		if e.info.Name == info.Name {
			m.refused++
			return failed("Duplicate extension registered"), nil
		}
		for table := range registry["table"] {
			if e.registry["table"][table] != nil {
				return failed("Failed adding registry: Registry item " + table +
					" conflicts with another item of the same name."), nil
			}
		}
	}
	m.last++
	m.extensions[m.last] = extension{*info, maps.Clone(registry)}
	m.change()
	return &osquery.ExtensionStatus{Message: "OK", UUID: m.last}, nil
}

func (h handler) DeregisterExtension(
	_ context.Context, uuid osquery.ExtensionRouteUUID,
) (*osquery.ExtensionStatus, error) {
	if !h.m.Deregister(uuid) {
		return failed("No extension UUID found"), nil
	}
	return &osquery.ExtensionStatus{Message: "OK"}, nil
}

func (h handler) Extensions(context.Context) (osquery.InternalExtensionList, error) {
	list := osquery.InternalExtensionList{}
	for uuid, info := range h.m.Extensions() {
		list[uuid] = &info
	}
	return list, nil
}

func (handler) Ping(context.Context) (*osquery.ExtensionStatus, error) {
	return &osquery.ExtensionStatus{Message: "pong"}, nil
}

func (h handler) Options(context.Context) (osquery.InternalOptionList, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	list := osquery.InternalOptionList{}
	for name, value := range h.m.flags {
		list[name] = &osquery.InternalOptionInfo{Value: value}
	}
	return list, nil
}

func (handler) Shutdown(context.Context) error { return nil }

func (handler) Call(
	context.Context, string, string, osquery.ExtensionPluginRequest,
) (*osquery.ExtensionResponse, error) {
	return &osquery.ExtensionResponse{Status: failed("no such plugin")}, nil
}

func (handler) Query(context.Context, string) (*osquery.ExtensionResponse, error) {
	return &osquery.ExtensionResponse{Status: failed("no SQL here")}, nil
}

func (handler) GetQueryColumns(context.Context, string) (*osquery.ExtensionResponse, error) {
	return &osquery.ExtensionResponse{Status: failed("no SQL here")}, nil
}

func failed(message string) *osquery.ExtensionStatus {
	return &osquery.ExtensionStatus{Code: int32(osquery.ExtensionCode_EXT_FAILED), Message: message}
}

package extension

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/rtnl"
)

const (
	requestTimeout = 60 * time.Second              // for a query from its arrival on, to read it, to send an answer
	minSendRate    = 256 << 10                     // bytes/s, which a long answer has more time for
	graceTime      = 2 * time.Second               // see Extension.grace
	restTime       = 5 * time.Second               // without a query, then memory goes back to the kernel
	recallTime     = rtnl.RecallTime + time.Second // the same, when the source remembers no answer any more
	acceptPause    = 10 * time.Millisecond         // where no connection can be accepted
	bufferSize     = 8 << 10                       // of a connection, each way; chunks of rows go past it

	// Connections. osquery has one or two for each query that it runs.
	maxConns = 1000
	minConns = 8
	// answerFiles is how many descriptors a query may need, for netlink sockets, and
	// spareFiles how many are kept for other things.
	answerFiles = 4
	spareFiles  = 8
)

// A server answers osquery on the extension's own socket. osquery opens a
// connection for every call, and another one before it for a ping.
type server struct {
	*Extension
	uuid     osquery.ExtensionRouteUUID
	listener *ownSocket
	shutdown chan struct{} // closed when osquery asks for it
	once     sync.Once
	rests    [2]*time.Timer // of restTime and of recallTime

	limit    atomic.Pointer[memoryLimit] // for an answer
	held     atomic.Int64                // bytes of requests
	queue    *queue
	warnings warnings

	ctx    context.Context // of all requests
	cancel context.CancelFunc

	mu       sync.Mutex
	conns    map[*conn]bool
	maxConns int
	clock    uint64 // counts what happens to connections
	stopped  bool
	running  sync.WaitGroup // goroutines
}

// A conn is a connection of osquery's. The last fields are server.mu's.
type conn struct {
	*net.UnixConn
	in  *bufio.Reader
	out *bufio.Writer

	sendUntil time.Time // the deadline of what is being written

	busy      bool   // a request is running, or waits to
	idleSince uint64 // server.clock
}

// listen opens the extension's socket and serves it.
func (e *Extension) listen(ctx context.Context, uuid osquery.ExtensionRouteUUID, limit *memoryLimit) (*server, error) {
	l, err := listenAt(ctx, fmt.Sprintf("%s.%d", e.Socket, uuid))
	if err != nil {
		return nil, err
	}
	s := &server{
		Extension: e,
		uuid:      uuid,
		listener:  l,
		shutdown:  make(chan struct{}),
		rests:     [2]*time.Timer{time.AfterFunc(restTime, giveMemoryBack), time.AfterFunc(recallTime, giveMemoryBack)},
		warnings:  warnings{logger: e.Logger},
		conns:     map[*conn]bool{},
	}
	files := freeFiles() - spareFiles
	answers := max(1, min(runtime.GOMAXPROCS(0)+2, files/2/answerFiles))
	s.maxConns = max(minConns, min(files-answers*answerFiles, maxConns))
	s.queue = newQueue(answers, (s.maxConns-answers)/2) // so that a ping finds room
	s.limit.Store(limit)
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.running.Go(s.accept)
	return s, nil
}

// giveMemoryBack gives the kernel what nothing uses. A sync.Pool keeps what is in it
// for one collection.
func giveMemoryBack() {
	runtime.GC()
	debug.FreeOSMemory()
}

// accept serves each connection on its own, until the listener is closed.
func (s *server) accept() {
	for {
		c, err := s.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			s.Logger.Warn("no connection can be accepted; the oldest without a request are closed: "+
				"raise the limit of open files, or find out who connects to "+s.listener.Addr().String(), "err", err)
			s.evict()
			time.Sleep(acceptPause)
		default:
			s.add(&conn{UnixConn: c})
		}
	}
}

// add serves a connection. Where there are many it takes the place of the one that
// has had no request for the longest time.
func (s *server) add(c *conn) {
	s.mu.Lock()
	full := len(s.conns) >= s.maxConns
	stopped := s.stopped
	if !stopped {
		s.clock++
		c.idleSince = s.clock
		s.conns[c] = true
	}
	s.mu.Unlock()
	if stopped {
		c.Close()
		return
	}
	if full {
		s.evict()
		s.Logger.Warn("too many connections; the oldest without a request are closed: "+
			"find out who connects to "+s.listener.Addr().String(), "connections", s.maxConns)
	}
	s.running.Go(func() { s.serve(c) })
}

// evict closes the connection that has had no request for the longest time.
func (s *server) evict() {
	s.mu.Lock()
	defer s.mu.Unlock()
	var oldest *conn
	for c := range s.conns {
		if !c.busy && (oldest == nil || c.idleSince < oldest.idleSince) {
			oldest = c
		}
	}
	if oldest != nil {
		delete(s.conns, oldest)
		oldest.Close()
	}
}

// The buffers of connections that have ended.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, bufferSize) }}
var writers = sync.Pool{New: func() any { return bufio.NewWriterSize(nil, bufferSize) }}

// serve answers the requests of one connection.
func (s *server) serve(c *conn) {
	s.Counters.conns.Add(1)
	defer s.Counters.conns.Add(-1)
	c.in, c.out = readers.Get().(*bufio.Reader), writers.Get().(*bufio.Writer)
	c.in.Reset(c.UnixConn)
	c.out.Reset(c)
	defer func() {
		s.forget(c)
		c.in.Reset(nil)
		c.out.Reset(nil)
		readers.Put(c.in)
		writers.Put(c.out)
	}()
	for s.next(c) {
	}
}

// next answers the next request of a connection, and returns whether there may be
// another one.
func (s *server) next(c *conn) bool {
	c.SetReadDeadline(time.Now().Add(requestTimeout))
	r, err := readRequest(c.in, &s.held)
	if err != nil {
		switch {
		case r != nil:
			s.refuse(c, r, err)
		case !closed(err) && !errors.Is(err, os.ErrDeadlineExceeded):
			s.Logger.Warn("a request cannot be read, its connection is closed; find out who but osquery writes to "+
				s.listener.Addr().String(), "err", err)
		}
		return false
	}
	defer r.done()
	if !s.setBusy(c, true) {
		return false
	}
	if err := s.reply(c, r); err != nil {
		if !closed(err) {
			s.Logger.Warn("an answer cannot be sent, its connection is closed and its query fails; "+
				"see whether osquery is stopped, or too busy", "err", err)
		}
		return false
	}
	return s.setBusy(c, false)
}

// closed reports whether an error is only the end of a connection that says nothing.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, errHungUp) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// refuse answers a request that is too large. What is left of it is passed over,
// for osquery reads no answer before it has sent all.
func (s *server) refuse(c *conn, r *request, reason error) {
	status := &osquery.ExtensionStatus{Code: 1, Message: fmt.Sprintf("%s: %v", Name, reason), UUID: s.uuid}
	c.sendUntil = time.Now().Add(s.sendTimeout)
	if (&response{}).write(s.ctx, c.out, r, status) == nil {
		io.Copy(io.Discard, c.in) // until the other end is closed, or the read's time is over
	}
}

// Write allows an answer some time, and more for each byte. Without an end, a peer
// that reads a little now and then would keep its place in line for hours.
func (c *conn) Write(b []byte) (int, error) {
	c.sendUntil = c.sendUntil.Add(time.Duration(len(b)) * time.Second / minSendRate)
	c.SetWriteDeadline(c.sendUntil)
	return c.UnixConn.Write(b)
}

// setBusy notes whether a request is running on a connection. It returns false
// when the connection has been closed, or the server has stopped and no other
// request shall begin.
func (s *server) setBusy(c *conn, busy bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock++
	c.busy, c.idleSince = busy, s.clock
	return !s.stopped && s.conns[c]
}

func (s *server) forget(c *conn) {
	c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// closeConns closes the connections without a request, or all of them. No
// request begins after it.
func (s *server) closeConns(all bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	for c := range s.conns {
		if all || !c.busy {
			c.Close()
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
	case <-time.After(s.grace):
		s.Logger.Warn("the extension ends while requests are still running: their queries fail")
	}
	for _, t := range s.rests {
		t.Stop()
	}
	s.cancel()
	s.closeConns(true)
}

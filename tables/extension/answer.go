package extension

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/inorder"
	"kernelroutes/tables"
)

// reply answers one request.
func (s *server) reply(c *conn, r *request) error {
	status := &osquery.ExtensionStatus{UUID: s.uuid}
	b := c.out.AvailableBuffer()
	switch r.method {
	case "call":
		return s.call(c, r, status)
	case "ping":
		status.Message = "pong"
		b = appendPong(b, r, status)
	case "shutdown":
		s.once.Do(func() { close(s.shutdown) })
		b = appendNothing(b, r)
	default:
		b = appendUnknown(b, r)
	}
	c.sendUntil = time.Now().Add(s.sendTimeout)
	c.out.Write(b)
	return c.out.Flush()
}

// call answers a call of a plugin.
func (s *server) call(c *conn, r *request, status *osquery.ExtensionStatus) error {
	defer func() {
		s.rests[0].Reset(restTime)
		s.rests[1].Reset(recallTime)
	}()
	answer, err := s.answer(c, r)
	switch {
	case errors.Is(err, errHungUp):
		return err
	case err != nil:
		answer, status.Code, status.Message = &response{}, 1, err.Error()
	default:
		status.Message = "OK"
	}
	defer answer.free()
	c.sendUntil = time.Now().Add(s.sendTimeout)
	rows, generated := answer.rows, err == nil && r.action == "generate"
	err = answer.write(s.ctx, c.out, r, status)
	switch {
	case !generated: // no query, or one that was counted among those that failed
	case err != nil:
		s.Counters.failed(err)
	default:
		s.Counters.rows.Add(uint64(rows))
	}
	return err
}

// answer does what a call asks for. Errors name the table.
func (s *server) answer(c *conn, r *request) (*response, error) {
	if r.registry != "table" {
		return nil, fmt.Errorf("%s has no %s plugin, only tables", Name, r.registry)
	}
	for _, t := range s.Tables {
		if t.Name != r.item {
			continue
		}
		switch r.action {
		case "generate":
			answer, err := s.generate(c, t, r.context)
			s.Counters.failed(err)
			if err != nil && !strings.HasPrefix(err.Error(), t.Name+": ") { // which some begin with
				err = fmt.Errorf("%s: %w", t.Name, err)
			}
			return answer, err
		case "columns":
			return mapsResponse(columnRoutes(t)), nil
		case "insert", "update", "delete":
			// So osquery says that the table may not be modified, as for tables of its
			// own SDK (xUpdate of virtual_table.cpp).
			return mapsResponse(osquery.ExtensionPluginResponse{{"status": "readonly"}}), nil
		default:
			return nil, fmt.Errorf("%s: unknown action %q: the table can only be read", t.Name, r.action)
		}
	}
	return nil, fmt.Errorf("%s has no table %q", Name, r.item)
}

// generate answers a query that came on c, when it is its turn.
func (s *server) generate(c *conn, t *tables.Table, request string) (*response, error) {
	s.Counters.queries.Add(1)
	ctx, cancel := context.WithTimeoutCause(s.ctx, s.queryTimeout, errTimeout)
	defer cancel()
	leave, err := s.queue.enter(ctx, c, t)
	if err == errTimeout {
		return nil, s.late(ctx, fmt.Sprintf("waiting in line, because %v; ask fewer at a time", s.queue), err)
	}
	if err != nil {
		return nil, err
	}
	r, err := s.query(ctx, t, request)
	if err != nil {
		leave()
		return nil, err
	}
	r.release = leave
	return r, nil
}

// query answers a query. A panic becomes the query's error, because the other
// queries and the other table have done nothing to die of it.
func (s *server) query(ctx context.Context, t *tables.Table, request string) (r *response, err error) {
	defer func() {
		if p := recover(); p != nil {
			stack := debug.Stack()
			if part, ok := p.(*inorder.Panic); ok {
				p, stack = part.Value, part.Stack
			}
			s.Logger.Error("a query of "+t.Name+" has failed by a fault of the program: report it, with this line",
				"panic", p, "stack", string(stack))
			s.Logger.Debug("the query that has failed by a fault", "table", t.Name, "request", request)
			r, err = nil, fmt.Errorf("internal error: %v", p)
		}
	}()
	start := time.Now()
	q, err := parseRequest(t, request)
	if err != nil {
		return nil, err
	}
	q.Dropped = true
	// osquery makes tables of extensions such that SQLite merges rows by their rowid,
	// and takes the row's place in the answer for it if there is no other (osquery
	// #7066). It does not tell when SQLite will merge.
	q.RowIDs = slices.Contains(q.Used, true)
	q.Warn = func(text string) { s.warn(t, text) }
	rows, err := t.Scan(ctx, s.Source, q)
	if err != nil {
		return nil, s.late(ctx, "reading the kernel's routes; ask for one table or destination", err)
	}
	r, err = newResponse(ctx, t, q, rows, *s.limit.Load())
	if err != nil {
		return nil, s.late(ctx, "making the rows; select fewer columns, or narrow it with WHERE", err)
	}
	if s.Logger.Enabled(ctx, slog.LevelDebug) {
		s.Logger.Debug("query", "table", t.Name, "constraints", len(q.Constraints), "rows", r.rows,
			"took", time.Since(start))
	}
	return r, nil
}

// warn logs what a table says to its user. That an answer is not consistent is news
// each time, and no matter of the condition.
func (s *server) warn(t *tables.Table, text string) {
	if tables.WarnsInconsistent(text) {
		s.Logger.Warn(text, "err", errInconsistent)
		return
	}
	s.warnings.warn(t, text)
}

var errInconsistent = errors.New("snapshot_consistent is 0")

// late returns the error of a query that took too long, if that is why it failed:
// whose limit it was, and not the kernel's or osquery's.
func (s *server) late(ctx context.Context, doing string, err error) error {
	if context.Cause(ctx) != errTimeout {
		return err
	}
	return fmt.Errorf("no answer within %v, %w: it was %s", s.queryTimeout, errTimeout, doing)
}

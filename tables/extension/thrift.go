package extension

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"
)

// This file speaks Thrift's binary protocol as far as an extension is called in
// it (osquery.thrift, service Extension). The generated code reads a call into a
// map of the size that the message claims: 25 bytes made it allocate 620 MB.
// Thrift's own limits do not help, as they bound what is claimed and not what is
// there. Here memory is spent on bytes that have come.

const (
	// maxRequest is how many bytes a request may have. osquery's for a table of 68
	// columns has 5 KB, and one with an IN list of 60,000 identities 5 MB.
	maxRequest = 8 << 20
	// maxHeld is how many bytes all requests may have that have not been answered. One of no more than
	// smallRequest is read nevertheless, or a few who send large ones slowly would keep everybody out.
	maxHeld      = 64 << 20
	smallRequest = 16 << 10
	// maxName is how many bytes the names in a request may have: of its method, plugin
	// and action. They are repeated in answers and in the log.
	maxName = 1000
	// maxNesting is how deep the values may be nested that a request has beside
	// those that are known.
	maxNesting = 16
)

// A request is a message that osquery sends.
type request struct {
	method string
	seq    int32

	// Of the method call: which plugin (registry and item), and the two entries of
	// its request that a table knows.
	registry, item, action, context string

	done func() // to be called when it has been answered
}

// errTooLarge is why a request is not read further.
var errTooLarge = errors.New("ask for fewer values in IN, or join the tables")

// readRequest reads a message, whose bytes are added to held until the request is
// given back by done. The error is io.EOF if there is no message. A call that is too
// large is returned as far as it was read, with errTooLarge, so that it can be answered.
func readRequest(in *bufio.Reader, held *atomic.Int64) (*request, error) {
	if _, err := in.Peek(1); err != nil {
		return nil, err
	}
	m := messageReader{in: in, left: maxRequest, held: held}
	r, err := m.request()
	if err != nil {
		held.Add(-m.kept)
		switch {
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		case errors.Is(err, errTooLarge) && r.method == "call":
			return r, err
		}
		return nil, err
	}
	r.done = func() { held.Add(-m.kept) }
	return r, nil
}

func (m *messageReader) request() (*request, error) {
	version, kind := m.number(2), m.number(2)
	// Without a version, as Thrift once was, the first bytes of a stranger would be
	// a length to wait for.
	if m.err == nil && version != thrift.VERSION_1>>16 {
		return nil, errors.New("this is no message of Thrift's binary protocol")
	}
	if m.err == nil && thrift.TMessageType(kind) != thrift.CALL && thrift.TMessageType(kind) != thrift.ONEWAY {
		return nil, fmt.Errorf("a message of type %d is no call", kind)
	}
	r := &request{method: m.name(), seq: int32(m.number(4))}
	m.fields(func(kind thrift.TType, id uint16) {
		switch {
		case r.method == "call" && kind == thrift.STRING && id == 1:
			r.registry = m.name()
		case r.method == "call" && kind == thrift.STRING && id == 2:
			r.item = m.name()
		case r.method == "call" && kind == thrift.MAP && id == 3:
			m.entries(r)
		default:
			m.skip(kind, 0)
		}
	})
	return r, m.err
}

// A messageReader reads the parts of one message. After an error it reads nothing
// and returns zeros.
type messageReader struct {
	in   *bufio.Reader
	left int // how many bytes the message may still have
	err  error

	held *atomic.Int64 // bytes that all requests keep
	kept int64         // those of this one
}

// spend takes n bytes from what the message may still have.
func (m *messageReader) spend(n int) bool {
	switch {
	case m.err != nil:
	case n > m.left:
		m.err = fmt.Errorf("a request of more than %d bytes: %w", maxRequest, errTooLarge)
	default:
		m.left -= n
		return true
	}
	return false
}

// number reads an integer of some bytes.
func (m *messageReader) number(size int) (v uint64) {
	if !m.spend(size) {
		return 0
	}
	b, err := m.in.Peek(size)
	if err != nil {
		m.err = err
		return 0
	}
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	m.in.Discard(size)
	return v
}

// length reads the length of a string or the number of elements of a container, each
// of which has a byte or more.
func (m *messageReader) length() int {
	n := int(int32(m.number(4)))
	switch {
	case n < 0:
		m.err = fmt.Errorf("a length of %d in a request", n)
	case n > m.left:
		m.spend(n)
	}
	if m.err != nil {
		return 0
	}
	return n
}

func (m *messageReader) kind() thrift.TType { return thrift.TType(m.number(1)) }

// name reads a short string.
func (m *messageReader) name() string {
	n := m.length()
	if n > maxName && m.err == nil {
		m.err = fmt.Errorf("a name of %d bytes in a request", n)
	}
	return m.text(n)
}

// text reads a string of n bytes. Its memory grows with what comes, to twice as
// much as that at most.
func (m *messageReader) text(n int) string {
	if !m.spend(n) {
		return ""
	}
	s := new(strings.Builder)
	for s.Len() < n {
		if _, err := m.in.Peek(1); err != nil {
			m.err = err
			return ""
		}
		b, _ := m.in.Peek(min(n-s.Len(), m.in.Buffered()))
		m.kept += int64(len(b))
		if m.held.Add(int64(len(b))) > maxHeld && m.kept > smallRequest {
			m.err = fmt.Errorf("requests of more than %d bytes at once: %w", maxHeld, errTooLarge)
			return ""
		}
		if have := s.Len() + len(b); have > s.Cap() {
			larger := new(strings.Builder) // exactly: a Builder that grows by itself has too much
			larger.Grow(min(n, 2*have))
			larger.WriteString(s.String())
			s = larger
		}
		s.Write(b)
		m.in.Discard(len(b))
	}
	return s.String()
}

// fields reads a struct.
func (m *messageReader) fields(read func(kind thrift.TType, id uint16)) {
	for m.err == nil {
		kind := m.kind()
		if kind == thrift.STOP {
			return
		}
		read(kind, uint16(m.number(2)))
	}
}

// entries reads the map of a plugin's request. Others than a table's are passed
// over.
func (m *messageReader) entries(r *request) {
	key, value, n := m.kind(), m.kind(), m.length()
	if n != 0 && m.err == nil && (key != thrift.STRING || value != thrift.STRING) {
		m.err = errors.New("a request that is no map of strings")
	}
	r.action, r.context = "", ""
	for ; n != 0 && m.err == nil; n-- {
		switch m.name() {
		case "action":
			r.action = m.name()
		case "context":
			r.context = m.text(m.length())
		default:
			m.skip(thrift.STRING, 0)
		}
	}
}

// skip passes over a value.
func (m *messageReader) skip(kind thrift.TType, depth int) {
	if depth > maxNesting {
		m.err = fmt.Errorf("a request with more than %d values within values", maxNesting)
	}
	switch kind {
	case thrift.BOOL, thrift.BYTE:
		m.pass(1)
	case thrift.I16:
		m.pass(2)
	case thrift.I32:
		m.pass(4)
	case thrift.I64, thrift.DOUBLE:
		m.pass(8)
	case thrift.STRING:
		m.pass(m.length())
	case thrift.STRUCT:
		m.fields(func(kind thrift.TType, _ uint16) { m.skip(kind, depth+1) })
	case thrift.MAP:
		key, value := m.kind(), m.kind()
		for n := m.length(); n != 0 && m.err == nil; n-- {
			m.skip(key, depth+1)
			m.skip(value, depth+1)
		}
	case thrift.SET, thrift.LIST:
		element := m.kind()
		for n := m.length(); n != 0 && m.err == nil; n-- {
			m.skip(element, depth+1)
		}
	default:
		if m.err == nil {
			m.err = fmt.Errorf("a value of the unknown type %d in a request", kind)
		}
	}
}

func (m *messageReader) pass(n int) {
	if m.spend(n) {
		_, m.err = m.in.Discard(n)
	}
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func appendField(b []byte, kind byte, id uint16) []byte {
	return binary.BigEndian.AppendUint16(append(b, kind), id)
}

// appendHeader begins the answer to a request.
func appendHeader(b []byte, r *request, kind thrift.TMessageType) []byte {
	b = binary.BigEndian.AppendUint32(b, thrift.VERSION_1|uint32(kind))
	b = appendText(b, r.method)
	return binary.BigEndian.AppendUint32(b, uint32(r.seq))
}

// appendStatus appends a struct ExtensionStatus.
func appendStatus(b []byte, s *osquery.ExtensionStatus) []byte {
	b = appendField(b, thrift.I32, 1)
	b = binary.BigEndian.AppendUint32(b, uint32(s.Code))
	b = appendField(b, thrift.STRING, 2)
	b = appendText(b, s.Message)
	b = appendField(b, thrift.I64, 3)
	b = binary.BigEndian.AppendUint64(b, uint64(s.UUID))
	return append(b, thrift.STOP)
}

// appendPong answers a ping.
func appendPong(b []byte, r *request, s *osquery.ExtensionStatus) []byte {
	b = appendHeader(b, r, thrift.REPLY)
	b = appendField(b, thrift.STRUCT, 0)
	b = appendStatus(b, s)
	return append(b, thrift.STOP)
}

// appendNothing answers a method that returns nothing.
func appendNothing(b []byte, r *request) []byte {
	return append(appendHeader(b, r, thrift.REPLY), thrift.STOP)
}

// appendUnknown answers a method that does not exist.
func appendUnknown(b []byte, r *request) []byte {
	b = appendHeader(b, r, thrift.EXCEPTION)
	b = appendField(b, thrift.STRING, 1)
	b = appendText(b, "Unknown function "+r.method)
	b = appendField(b, thrift.I32, 2)
	b = binary.BigEndian.AppendUint32(b, thrift.UNKNOWN_METHOD)
	return append(b, thrift.STOP)
}

// write sends the answer to a call: what osquery.ExtensionCallResult would write,
// had it the rows as maps.
func (r *response) write(ctx context.Context, out *bufio.Writer, to *request, status *osquery.ExtensionStatus) error {
	b := appendHeader(out.AvailableBuffer(), to, thrift.REPLY)
	b = appendField(b, thrift.STRUCT, 0) // success, an ExtensionResponse
	b = appendField(b, thrift.STRUCT, 1) // its status
	b = appendStatus(b, status)
	b = appendField(b, thrift.LIST, 2) // its rows
	b = binary.BigEndian.AppendUint32(append(b, thrift.MAP), uint32(r.rows))
	_, err := out.Write(b)
	send := func(made *response) error {
		for _, c := range made.chunks {
			if err == nil {
				_, err = out.Write(c)
			}
		}
		return err
	}
	send(r)
	if r.parts != nil && err == nil {
		err = r.stream(ctx, send)
	}
	if err != nil {
		return err
	}
	out.Write([]byte{thrift.STOP, thrift.STOP}) // of the ExtensionResponse and of the result
	return out.Flush()
}

package extension

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/inorder"
	"kernelroutes/tables"
)

// splitRows are rows in parts.
type splitRows struct {
	tables.Rows
	parts []tables.Rows
	count int // -1: not known
}

func (s *splitRows) Split(n int) []tables.Rows { return s.parts[:min(n, len(s.parts))] }

func (s *splitRows) Count() (int, bool) { return s.count, s.count >= 0 }

// lateRows are the rows that another function makes when they are read.
type lateRows struct {
	tables.Rows
	first func() tables.Rows
}

func (l *lateRows) Next() bool {
	if l.Rows == nil {
		l.Rows = l.first()
	}
	return l.Rows.Next()
}

// numbered are n rows whose bits are numbers.
func numbered(from, n int) tables.Rows {
	var rows []map[string]string
	for i := range n {
		rows = append(rows, map[string]string{"bits": fmt.Sprint(from + i)})
	}
	return values(threeColumns, rows...)
}

var onlyBits = tables.Query{Used: []bool{false, true, false}}

// TestResponseParts makes an answer of parts, in their order, within one limit.
func TestResponseParts(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2)) // as many parts are asked for as there are processors
	rows := &splitRows{parts: []tables.Rows{numbered(0, 1000), numbered(1000, 3000)}, count: 4000}
	r, err := newResponse(t.Context(), threeColumns, onlyBits, rows, memoryLimit{})
	if err != nil || r.rows != 4000 {
		t.Fatalf("%d rows, %v", r.rows, err)
	}
	whole, err := newResponse(t.Context(), threeColumns, onlyBits, numbered(0, 4000), memoryLimit{})
	if err != nil || !bytes.Equal(bytes.Join(r.chunks, nil), bytes.Join(whole.chunks, nil)) {
		t.Errorf("the parts do not make the whole; %v", err)
	}
	rows = &splitRows{parts: []tables.Rows{numbered(0, 1000), numbered(1000, 3000)}, count: 4000}
	limit := memoryLimit{2000 * (rowCost + valueCost), ""}
	_, err = newResponse(t.Context(), threeColumns, onlyBits, rows, limit)
	if err == nil || !strings.Contains(err.Error(), "(4,000 rows") {
		t.Errorf("over the limit: %v", err)
	}
	defer func() {
		if p, ok := recover().(*inorder.Panic); !ok || p.Value != "a broken row" {
			t.Errorf("recovered %v", p)
		}
	}()
	newResponse(t.Context(), threeColumns, onlyBits, &splitRows{parts: []tables.Rows{numbered(0, 1), panicRows{}}},
		memoryLimit{})
	t.Error("the panic is lost")
}

// manyParts are rows in so many parts that they are not held.
func manyParts() *splitRows {
	s := &splitRows{}
	for range 5 * inorder.Ahead() {
		s.parts = append(s.parts, numbered(s.count, 100))
		s.count += 100
	}
	return s
}

// TestResponseMadeWhileSent has rows whose number is known and not limited.
func TestResponseMadeWhileSent(t *testing.T) {
	rows := manyParts()
	whole, err := newResponse(t.Context(), threeColumns, onlyBits, numbered(0, rows.count), memoryLimit{})
	if err != nil {
		t.Fatal(err)
	}
	want := sent(t, whole)
	for _, tc := range []struct {
		name  string
		limit int64
		count int
		held  bool
	}{
		{"known", 0, rows.count, false},
		{"unknown", 0, -1, true},
		{"far from the limit", 1 << 40, rows.count, false},
		{"near the limit", int64(rows.count) * (rowCost + valueCost) * 3 / 2, rows.count, true},
	} {
		rows := manyParts()
		rows.count = tc.count
		if tc.held {
			// As many parts as are asked for, not all.
			rows.parts = []tables.Rows{numbered(0, len(want))}
			for range inorder.Ahead() {
				rows.parts = append(rows.parts, values(threeColumns))
			}
		}
		r, err := newResponse(t.Context(), threeColumns, onlyBits, rows, memoryLimit{tc.limit, ""})
		if err != nil {
			t.Fatal(err)
		}
		if held := r.parts == nil; held != tc.held {
			t.Errorf("%s: held %v", tc.name, held)
		}
		if got := sent(t, r); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %.300v, want %.300v", tc.name, got, want)
		}
	}
}

// A brokenTransport takes some parts of an answer and then no more.
type brokenTransport struct{ left int }

func (b *brokenTransport) Write(p []byte) (int, error) {
	if len(p) > 1000 {
		b.left--
	}
	if b.left < 0 {
		return 0, errors.New("the line is dead")
	}
	return len(p), nil
}

// TestResponseBreaksOff has answers that end in an error in their middle.
func TestResponseBreaksOff(t *testing.T) {
	status := &osquery.ExtensionStatus{}
	write := func(ctx context.Context, rows *splitRows, left int) error {
		r, err := newResponse(t.Context(), threeColumns, onlyBits, rows, memoryLimit{})
		if err != nil || r.parts == nil {
			t.Fatalf("held, %v", err)
		}
		return r.write(ctx, bufio.NewWriterSize(&brokenTransport{left}, 16), &request{method: "call", seq: 7}, status)
	}
	const enough = 1 << 20
	if err := write(t.Context(), manyParts(), enough); err != nil {
		t.Fatal(err)
	}
	rows := manyParts()
	rows.count++
	want := fmt.Sprintf("internal error: %d rows instead of %d", rows.count-1, rows.count)
	if err := write(t.Context(), rows, enough); err == nil || err.Error() != want {
		t.Errorf("a row too few: %v", err)
	}
	rows = manyParts()
	rows.parts[len(rows.parts)-2] = panicRows{}
	err := write(t.Context(), rows, enough)
	if err == nil || !strings.HasPrefix(err.Error(), "internal error: a broken row\n") ||
		!strings.Contains(err.Error(), "extension.panicRows") {
		t.Errorf("a panic: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("no time"))
	if err := write(ctx, manyParts(), enough); err == nil || err.Error() != "no time" {
		t.Errorf("cancelled: %v", err)
	}

	// No more is made than is sent soon.
	var made atomic.Int32
	rows = manyParts()
	for i, part := range rows.parts {
		rows.parts[i] = &lateRows{first: func() tables.Rows { made.Add(1); return part }}
	}
	err = write(t.Context(), rows, 3)
	if err == nil || err.Error() != "the line is dead" {
		t.Errorf("a dead line: %v", err)
	}
	if n := int(made.Load()); n != 3+inorder.Ahead() {
		t.Errorf("%d of %d parts were made, want %d", n, len(rows.parts), 3+inorder.Ahead())
	}
}

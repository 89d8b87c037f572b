package extension

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/apache/thrift/lib/go/thrift"
	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/inorder"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// A chunk has room for some thousand rows, so that an answer of any size is
// written with few system calls and never copied to grow.
const (
	chunkSize  = 256 << 10
	chunkSpare = 8 << 10 // a row is begun in a chunk that has this much left
)

var chunkPool = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// A response is the rows of one answer as they go over the wire: maps of strings
// in Thrift's binary protocol. The rows go from the table straight into it,
// because a Go map for each would cost more than everything else together. They
// are held, because Thrift wants their number before the first, and because they
// may turn out to be too many. Where their number is known they are made while the
// answer is sent, for memory that is used for the first time costs as much time
// as what is written into it. A long answer is even made twice: to count, and to
// send.
type response struct {
	chunks [][]byte
	rows   int

	encoder *encoder
	parts   []tables.Rows // instead of chunks: what is yet to be made

	release func() // nil, or to be called at the end
}

// newResponse answers q with rows, unless osquery would spend more memory on the
// answer than the limit. Only used columns are sent, and of them only values that
// are there: osquery reads an absent TEXT as empty and an absent number as NULL.
// Where there are many rows, each processor makes a part of the answer.
func newResponse(ctx context.Context, t *tables.Table, q tables.Query, rows tables.Rows, limit memoryLimit) (
	*response, error) {
	e := newEncoder(ctx, t, q, rows, limit)
	parts := []tables.Rows{rows}
	s, ok := rows.(tables.PartRows)
	if ok {
		parts = s.Split(math.MaxInt)
		many := len(parts) > inorder.Ahead()
		if many || limit.bytes > 0 && len(parts) > 1 {
			n, counted := s.Count()
			if counted && e.tooMany(n) {
				return nil, tooLarge(t, n, len(e.columns), int64(n)*e.perRow, limit)
			}
			if counted && many && !e.tooMany(2*n) { // long values seldom cost as much again
				return &response{rows: n, encoder: e, parts: parts}, nil
			}
		}
		if many {
			e.maxHeld = maxHeldAnswer
		}
		parts = s.Split(runtime.GOMAXPROCS(0))
	}
	r := &response{}
	inorder.Do(len(parts), func(i int) (part response) {
		e.encode(parts[i], &part)
		return part
	}, func(part response) error {
		r.chunks = append(r.chunks, part.chunks...)
		r.rows += part.rows
		return nil
	})
	if ctx.Err() == nil && !e.full() {
		return r, nil
	}
	r.free()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case e.over(), limit.bytes > 0 && e.estimate(r.rows) > limit.bytes:
		return nil, e.tooLarge(r.rows)
	}
	// Now their number is known.
	return &response{rows: r.rows, encoder: newEncoder(ctx, t, q, rows, limit), parts: s.Split(math.MaxInt)}, nil
}

// An encoder makes answers to one query, or parts of one side by side.
type encoder struct {
	ctx      context.Context
	table    *tables.Table
	columns  []usedColumn
	optional bool // a column is
	limit    memoryLimit
	rowIDs   bool  // they are sent
	perRow   int64 // what a row costs beside long values

	cost, encoded atomic.Int64 // of all parts: bytes of osquery's memory, and rows

	maxHeld int64        // 0: no limit
	held    atomic.Int64 // bytes of all parts
}

// maxHeldAnswer is how many bytes of an answer are held. A larger one is made again
// while it is sent, when its rows have been counted.
const maxHeldAnswer = 4 << 20

// tellEvery is how many rows are encoded before the other parts are told what
// they cost.
const tellEvery = 16

// A usedColumn is a column that is sent.
type usedColumn struct {
	col  int
	text bool
	key  []byte // its name on the wire, with room for the value's length

	requires object.Fields // see tables.OptionalRows
}

func newEncoder(ctx context.Context, t *tables.Table, q tables.Query, rows tables.Rows, limit memoryLimit) *encoder {
	e := &encoder{ctx: ctx, table: t, limit: limit, perRow: rowCost, columns: make([]usedColumn, 0, len(q.Used))}
	keys := make([]byte, 0, 24*len(q.Used))
	for col, is := range q.Used {
		if is {
			c := &t.Columns[col]
			start := len(keys)
			keys = binary.BigEndian.AppendUint32(keys, uint32(len(c.Name)))
			keys = append(append(keys, c.Name...), 0, 0, 0, 0)
			u := usedColumn{col: col, text: c.Type == tables.Text, key: keys[start:]}
			e.perRow += valueCost + stringCost(len(c.Name))
			if s, ok := rows.(tables.OptionalRows); ok {
				u.requires = s.Requires(col)
				e.optional = e.optional || u.requires != 0
			}
			e.columns = append(e.columns, u)
		}
	}
	switch {
	case len(e.columns) == 0:
		e.perRow = countedCost
	case q.RowIDs:
		e.rowIDs = true
		e.perRow += rowIDCost
	}
	return e
}

// over reports whether what has been encoded costs more than the limit.
func (e *encoder) over() bool { return e.limit.bytes > 0 && e.cost.Load() > e.limit.bytes }

// tooMany reports whether n rows cost more than the limit, however short they are.
func (e *encoder) tooMany(n int) bool {
	return e.limit.bytes > 0 && int64(n)*e.perRow > e.limit.bytes
}

// full reports whether no more rows are to be held, only counted.
func (e *encoder) full() bool { return e.over() || e.maxHeld > 0 && e.held.Load() > e.maxHeld }

// estimate returns what n rows cost that are like those that were encoded.
func (e *encoder) estimate(n int) int64 {
	return int64(float64(e.cost.Load()) / float64(e.encoded.Load()) * float64(n))
}

// tooLarge is the error of an answer that would have had n rows.
func (e *encoder) tooLarge(n int) error {
	return tooLarge(e.table, n, len(e.columns), e.estimate(n), e.limit)
}

// encode puts rows into r. When it is full it only counts them.
func (e *encoder) encode(rows tables.Rows, r *response) {
	b := chunkPool.Get().(*[chunkSize]byte)[:0]
	attributes := object.AllFields
	var optional tables.OptionalRows // nil: every column may be there in each row
	if e.optional {
		optional = rows.(tables.OptionalRows)
	}
	var cost, told int64
	for rows.Next() {
		if r.rows%tellEvery == 0 {
			e.cost.Add(cost)
			e.encoded.Add(int64(r.rows) - told)
			cost, told = 0, int64(r.rows)
			if e.full() {
				r.free()
				for r.rows++; rows.Next(); r.rows++ {
				}
				return
			}
			if e.ctx.Err() != nil {
				return
			}
		}
		if cap(b)-len(b) < chunkSpare {
			r.chunks = append(r.chunks, b)
			e.held.Add(int64(len(b)))
			b = chunkPool.Get().(*[chunkSize]byte)[:0]
		}
		var paid int64
		if optional != nil {
			attributes = optional.Attributes()
		}
		b, paid = e.appendRow(b, rows, attributes)
		cost += e.perRow + paid
		r.rows++
	}
	e.cost.Add(cost)
	e.encoded.Add(int64(r.rows) - told)
	r.chunks = append(r.chunks, b)
}

// appendRow appends the current row and returns what its long values cost osquery.
func (e *encoder) appendRow(b []byte, rows tables.Rows, attributes object.Fields) ([]byte, int64) {
	row, values, cost := len(b), 0, int64(0)
	b = append(b, thrift.STRING, thrift.STRING, 0, 0, 0, 0)
	for i := range e.columns {
		c := &e.columns[i]
		if c.requires != 0 && c.requires&attributes == 0 {
			continue
		}
		key := len(b)
		value := key + len(c.key)
		b = slices.Grow(b, len(c.key))[:value]
		if c.text { // as Table.AppendValue, which looks the type up each time
			b = rows.AppendText(b, c.col)
		} else if n, ok := rows.Int(c.col); ok {
			b = strconv.AppendInt(b, n, 10)
		}
		if len(b) == value { // it is not there
			b = b[:key]
			continue
		}
		copy(b[key:], c.key)
		n := len(b) - value
		binary.BigEndian.PutUint32(b[value-4:], uint32(n))
		cost += stringCost(n)
		values++
	}
	if e.rowIDs {
		b = appendText(b, "rowid")
		value := len(b) + 4
		b = strconv.AppendInt(append(b, 0, 0, 0, 0), rows.RowID(), 10)
		binary.BigEndian.PutUint32(b[value-4:], uint32(len(b)-value))
		values++
	}
	binary.BigEndian.PutUint32(b[row+2:], uint32(values))
	return b, cost
}

// mapsResponse is an answer of rows that are maps already, and few.
func mapsResponse(rows osquery.ExtensionPluginResponse) *response {
	var b []byte
	for _, row := range rows {
		b = append(b, thrift.STRING, thrift.STRING)
		b = binary.BigEndian.AppendUint32(b, uint32(len(row)))
		for k, v := range row {
			b = appendText(appendText(b, k), v)
		}
	}
	return &response{chunks: [][]byte{b}, rows: len(rows)}
}

// stream makes the parts and sends one after the other. An error ends the answer in
// its middle, so the connection must be closed: then osquery takes no row of it.
func (r *response) stream(ctx context.Context, send func(*response) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	r.encoder.ctx = ctx
	rows := 0
	err = inorder.Do(len(r.parts), func(i int) (part response) {
		r.encoder.encode(r.parts[i], &part)
		return part
	}, func(part response) error {
		defer part.free()
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx) // the part is incomplete
		case r.encoder.over():
			return r.encoder.tooLarge(r.rows)
		}
		rows += part.rows
		return send(&part)
	})
	if err == nil && rows != r.rows {
		err = fmt.Errorf("internal error: %d rows instead of %d", rows, r.rows)
	}
	return err
}

// free gives the memory to the next answer, and the place in line.
func (r *response) free() {
	for _, c := range r.chunks {
		if cap(c) == chunkSize {
			chunkPool.Put((*[chunkSize]byte)(c[:chunkSize]))
		}
	}
	r.chunks = nil
	if r.release != nil {
		r.release()
		r.release = nil
	}
}

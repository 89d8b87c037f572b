package shell

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"github.com/ncruces/go-sqlite3"
)

// Most time goes into handing values over: each is copied to SQLite, and back.
// Where SQLite's program for a statement does nothing else with a table's rows
// but pass them on (SELECT of columns, without WHERE, ORDER BY, LIMIT, ...), they
// are read from the table instead, once SQLite has found the first one.

// An instruction is one of SQLite's virtual machine.
type instruction struct {
	opcode     string
	p1, p2, p3 int
}

// originColumns returns which column of the table each column of the result is, if
// the program passes a table's rows on; otherwise nil.
func originColumns(program []instruction, columns int) []int {
	count, loop := map[string]int{}, 0
	for i, op := range program {
		count[op.opcode]++
		if op.opcode == "VFilter" {
			loop = i + 1
		}
	}
	if count["VOpen"] != 1 || count["VFilter"] != 1 || count["ResultRow"] != 1 || len(program) < loop+columns+3 {
		return nil
	}
	cursor := program[loop-1].p1
	end := program[loop+columns:]
	if end[0].opcode != "ResultRow" || end[0].p2 != columns ||
		end[1].opcode != "VNext" || end[1].p1 != cursor || end[1].p2 != loop || end[2].opcode != "Halt" {
		return nil
	}
	from := make([]int, columns)
	for i, op := range program[loop : loop+columns] {
		if op.opcode != "VColumn" || op.p1 != cursor || op.p3 != end[0].p1+i {
			return nil
		}
		from[i] = op.p2
	}
	return from
}

// program returns SQLite's program for a statement, nil if there is none.
func (db *database) program(sql string) []instruction {
	stmt, _, err := db.Prepare("EXPLAIN " + sql)
	if err != nil || stmt == nil {
		return nil
	}
	defer stmt.Close()
	var program []instruction
	for stmt.Step() {
		program = append(program, instruction{
			opcode: stmt.ColumnText(1), p1: stmt.ColumnInt(2), p2: stmt.ColumnInt(3), p3: stmt.ColumnInt(4),
		})
	}
	return program
}

// A row is the current row of a statement.
type row struct {
	*sqlite3.Stmt
	db   *database
	from []int   // if it passes rows on: the table's columns
	at   *cursor // and the table's row

	text []byte
}

// next moves to the next row, the first at first.
func (r *row) next() bool {
	if r.at == nil {
		r.db.opened = nil
		ok := r.Step()
		if r.from != nil {
			r.at = r.db.opened // nil: it is not one of the tables of this program
		}
		return ok
	}
	if r.at.row%1024 == 0 && r.db.ctx.Err() != nil {
		return false
	}
	r.at.Next()
	return !r.at.EOF()
}

// err returns why there is no next row, nil if all have come.
func (r *row) err() error {
	if r.db.ctx.Err() != nil {
		return ErrInterrupted
	}
	return r.Err()
}

// appendTo appends a value as it is, nothing for NULL.
func (r *row) appendTo(b []byte, col int) []byte {
	if r.at != nil && r.at.text[r.from[col]] {
		return r.at.rows.AppendText(b, r.from[col])
	}
	switch typ, text, number := r.value(col); typ {
	case sqlite3.NULL:
		return b
	case sqlite3.INTEGER:
		return strconv.AppendInt(b, number, 10)
	default:
		return append(b, text...)
	}
}

// value returns the value of a column, a text unless typ is INTEGER or NULL. The
// text is valid until the next call.
func (r *row) value(col int) (typ sqlite3.Datatype, text []byte, number int64) {
	if r.at != nil {
		col = r.from[col]
		if r.at.text[col] {
			r.text = r.at.rows.AppendText(r.text[:0], col)
			return sqlite3.TEXT, r.text, 0
		}
		if number, ok := r.at.rows.Int(col); ok {
			return sqlite3.INTEGER, nil, number
		}
		return sqlite3.NULL, nil, 0
	}
	switch typ = r.ColumnType(col); typ {
	case sqlite3.NULL:
		return typ, nil, 0
	case sqlite3.INTEGER:
		return typ, nil, r.ColumnInt64(col)
	case sqlite3.FLOAT:
		r.text = appendReal(r.text[:0], r.ColumnFloat(col))
		return typ, r.text, 0
	}
	return typ, r.ColumnRawText(col), 0
}

// appendReal appends a real as osquery's SQLite prints it (%!.15g): newer ones
// print 17 digits.
func appendReal(b []byte, v float64) []byte {
	switch {
	case math.IsInf(v, 1):
		return append(b, "Inf"...)
	case math.IsInf(v, -1):
		return append(b, "-Inf"...)
	case v == 0:
		return append(b, "0.0"...)
	}
	start := len(b)
	b = strconv.AppendFloat(b, v, 'g', 15, 64)
	if bytes.IndexByte(b[start:], '.') >= 0 {
		return b
	}
	if e := bytes.IndexByte(b[start:], 'e'); e >= 0 {
		return slices.Insert(b, start+e, '.', '0')
	}
	return append(b, ".0"...)
}

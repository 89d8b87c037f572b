package shell

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"
)

// A Format is a way to print rows, as osqueryi does.
type Format int

// The formats. All but Pretty print rows as they come.
const (
	Pretty Format = iota // a table with borders; nothing if there are no rows
	JSON                 // an array of objects with text values, keys sorted
	JSONL                // such an object a line
	CSV                  // RFC 4180 with a header, but \n ends a line; '' is "" and NULL nothing
	Line                 // "column = value" lines, an empty line between rows
	List                 // values separated by |, with a header if there are rows
)

// A printer prints rows. NULL is printed as nothing in all formats.
type printer interface {
	// begin and end are called before and after the rows of each statement that
	// can have rows.
	begin(o *output, columns []string)
	row(o *output, s *sqlite3.Stmt)
	end(o *output)
	// finish ends what is shared by several statements.
	finish(o *output)
}

func (f Format) printer() printer {
	switch f {
	case JSON:
		return &jsonPrinter{first: "[\n  ", next: ",\n  ", none: "[\n", last: "\n]\n"}
	case JSONL:
		return &jsonPrinter{next: "\n", last: "\n"}
	case CSV:
		return &csvPrinter{}
	case Line:
		return &linePrinter{}
	case List:
		return &listPrinter{}
	}
	return &prettyPrinter{}
}

// appendColumn appends a value as it is.
func appendColumn(b []byte, s *sqlite3.Stmt, col int) []byte {
	switch s.ColumnType(col) {
	case sqlite3.NULL:
		return b
	case sqlite3.INTEGER:
		return strconv.AppendInt(b, s.ColumnInt64(col), 10)
	}
	return append(b, s.ColumnRawText(col)...)
}

// jsonPrinter prints objects. All statements share one array, as in osqueryi.
type jsonPrinter struct {
	keys                    []jsonKey
	first, next, none, last string
	some                    bool
}

type jsonKey struct {
	col  int
	text []byte // {"key":" or ","key":"
}

// begin sorts the keys; of several columns with one name the last one counts.
func (p *jsonPrinter) begin(o *output, columns []string) {
	p.keys = p.keys[:0]
	for i, name := range columns {
		if slices.Contains(columns[i+1:], name) {
			continue
		}
		p.keys = append(p.keys, jsonKey{i, nil})
	}
	slices.SortFunc(p.keys, func(a, b jsonKey) int { return bytes.Compare([]byte(columns[a.col]), []byte(columns[b.col])) })
	for i := range p.keys {
		text := []byte(`","`)
		if i == 0 {
			text = []byte(`{"`)
		}
		text = appendJSON(text, []byte(columns[p.keys[i].col]))
		p.keys[i].text = append(text, `":"`...)
	}
}

func (p *jsonPrinter) row(o *output, s *sqlite3.Stmt) {
	b := o.buf
	if p.some {
		b = append(b, p.next...)
	} else {
		b = append(b, p.first...)
	}
	p.some = true
	for _, k := range p.keys {
		b = append(b, k.text...)
		switch s.ColumnType(k.col) {
		case sqlite3.NULL:
		case sqlite3.INTEGER:
			b = strconv.AppendInt(b, s.ColumnInt64(k.col), 10)
		default:
			b = appendJSON(b, s.ColumnRawText(k.col))
		}
	}
	o.buf = append(b, `"}`...)
}

func (p *jsonPrinter) end(o *output) {}

func (p *jsonPrinter) finish(o *output) {
	_ = utf8.RuneError
}

func appendJSON(b, s []byte) []byte {
	return append(b, s...)
}

type csvPrinter struct{ columns int }

func (p *csvPrinter) begin(o *output, columns []string) {
	p.columns = len(columns)
	for i, name := range columns {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = appendCSV(o.buf, []byte(name))
	}
	o.buf = append(o.buf, '\n')
}

func (p *csvPrinter) row(o *output, s *sqlite3.Stmt) {
	b := o.buf
	for i := range p.columns {
		if i > 0 {
			b = append(b, ',')
		}
		switch s.ColumnType(i) {
		case sqlite3.NULL:
		case sqlite3.INTEGER:
			b = strconv.AppendInt(b, s.ColumnInt64(i), 10)
		default:
			b = appendCSV(b, s.ColumnRawText(i))
		}
	}
	o.buf = append(b, '\n')
}

func (p *csvPrinter) end(o *output)    {}
func (p *csvPrinter) finish(o *output) {}

func appendCSV(b, s []byte) []byte {
	if len(s) == 0 || bytes.ContainsAny(s, "\",\r\n") {
		b = append(b, '"')
		for _, c := range s {
			if c == '"' {
				b = append(b, '"')
			}
			b = append(b, c)
		}
		return append(b, '"')
	}
	return append(b, s...)
}

type linePrinter struct{ csvPrinter }
type listPrinter struct{ csvPrinter }
type prettyPrinter struct{ csvPrinter }

package shell

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ncruces/go-sqlite3"
)

// A Format is a way to print rows.
type Format int

// The formats, with osqueryi's habits: NULL is printed as nothing, and all but
// Pretty print rows as they come.
const (
	Pretty Format = iota // a table with borders; nothing if there are no rows
	JSON                 // one array of objects with text values, keys sorted
	JSONL                // such an object a line
	CSV                  // a header and RFC 4180, but lines end with \n alone; '' is ""
	Line                 // "column = value" lines, an empty line between rows
	List                 // values separated by |; a header if there are rows
)

// A printer prints what statements return.
type printer interface {
	// begin is called before the first row of a statement that can have rows.
	begin(o *output, columns []string)
	// row prints the current row.
	row(o *output, r *row)
	// end is called after the last row of a statement.
	end(o *output) error
	// finish ends what statements share.
	finish(o *output)
}

// stream is what printers have in common that print row by row.
type stream struct{}

func (stream) end(*output) error { return nil }
func (stream) finish(*output)    {}

func (f Format) printer() printer {
	switch f {
	case JSON:
		return &jsonPrinter{array: true}
	case JSONL:
		return &jsonPrinter{}
	case CSV:
		return &csvPrinter{}
	case Line:
		return &linePrinter{}
	case List:
		return &listPrinter{}
	}
	return &prettyPrinter{}
}

// A jsonPrinter prints objects. If they go into an array, all statements share
// it, as in osqueryi.
type jsonPrinter struct {
	stream
	array bool
	open  bool // the array has been opened
	rows  bool // and has rows
	keys  []jsonKey
}

type jsonKey struct {
	col  int
	text string // with what precedes it: {" or ","
}

// begin sorts the columns by name. Of those with the same name the last one
// counts, as in osqueryi.
func (p *jsonPrinter) begin(o *output, columns []string) {
	if p.array && !p.open {
		o.buf = append(o.buf, "[\n"...)
		p.open, p.rows = true, false
	}
	p.keys = p.keys[:0]
	for i, name := range columns {
		if !slices.Contains(columns[i+1:], name) {
			p.keys = append(p.keys, jsonKey{i, name})
		}
	}
	slices.SortFunc(p.keys, func(a, b jsonKey) int { return strings.Compare(a.text, b.text) })
	for i, k := range p.keys {
		name := string(appendJSON(nil, []byte(k.text))) + `":"`
		if i == 0 {
			p.keys[i].text = `{"` + name
		} else {
			p.keys[i].text = `","` + name
		}
	}
}

func (p *jsonPrinter) row(o *output, r *row) {
	b := o.buf
	if p.array {
		if p.rows {
			b = append(b, ",\n"...)
		}
		b = append(b, "  "...)
	}
	p.rows = true
	for _, k := range p.keys {
		b = append(b, k.text...)
		start := len(b)
		b = r.appendTo(b, k.col)
		b = escapeJSON(b, start)
	}
	b = append(b, `"}`...)
	if !p.array {
		b = append(b, '\n')
	}
	o.buf = b
}

func (p *jsonPrinter) finish(o *output) {
	if p.open {
		o.buf = append(o.buf, "\n]\n"...)
		p.open = false
	}
}

type csvPrinter struct {
	stream
	columns int
}

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

func (p *csvPrinter) row(o *output, r *row) {
	b := o.buf
	for i := range p.columns {
		if i > 0 {
			b = append(b, ',')
		}
		switch typ, text, number := r.value(i); typ {
		case sqlite3.NULL:
			if p.columns == 1 {
				b = append(b, `""`...) // readers skip empty lines
			}
		case sqlite3.INTEGER:
			b = strconv.AppendInt(b, number, 10)
		default:
			b = appendCSV(b, text)
		}
	}
	o.buf = append(b, '\n')
}

// appendCSV appends a value, in quotes where it needs them or is empty.
func appendCSV(b, s []byte) []byte {
	if len(s) > 0 && !bytes.ContainsAny(s, "\",\r\n") {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, bytes.ReplaceAll(s, []byte(`"`), []byte(`""`))...)
	return append(b, '"')
}

type linePrinter struct {
	stream
	names []string // with the padding before them
	rows  bool
}

func (p *linePrinter) begin(_ *output, columns []string) {
	width := 5
	for _, name := range columns {
		width = max(width, len(name))
	}
	p.names, p.rows = p.names[:0], false
	for _, name := range columns {
		p.names = append(p.names, strings.Repeat(" ", width-len(name))+name+" = ")
	}
}

func (p *linePrinter) row(o *output, r *row) {
	if p.rows {
		o.buf = append(o.buf, '\n')
	}
	p.rows = true
	for i, name := range p.names {
		o.buf = append(o.buf, name...)
		o.buf = append(r.appendTo(o.buf, i), '\n')
	}
}

type listPrinter struct {
	stream
	columns []string
	rows    bool
}

func (p *listPrinter) begin(_ *output, columns []string) { p.columns, p.rows = columns, false }

func (p *listPrinter) row(o *output, r *row) {
	if !p.rows {
		o.buf = append(o.buf, strings.Join(p.columns, "|")...)
		o.buf = append(o.buf, '\n')
	}
	p.rows = true
	for i := range p.columns {
		if i > 0 {
			o.buf = append(o.buf, '|')
		}
		o.buf = r.appendTo(o.buf, i)
	}
	o.buf = append(o.buf, '\n')
}

// A prettyPrinter has to see all rows before it knows how wide a column is.
type prettyPrinter struct {
	stream
	columns []string
	widths  []int    // in characters, as osqueryi counts them
	text    []byte   // of all cells
	lengths []uint32 // of each cell
}

func (p *prettyPrinter) begin(_ *output, columns []string) {
	*p = prettyPrinter{columns: columns} // lets the rows of the statement before go
	for _, name := range columns {
		p.widths = append(p.widths, utf8.RuneCountInString(name))
	}
}

func (p *prettyPrinter) row(_ *output, r *row) {
	for i := range p.columns {
		n := len(p.text)
		p.text = r.appendTo(p.text, i)
		p.lengths = append(p.lengths, uint32(len(p.text)-n))
		p.widths[i] = max(p.widths[i], utf8.RuneCount(p.text[n:]))
	}
}

func (p *prettyPrinter) end(o *output) error {
	if len(p.lengths) == 0 {
		return nil
	}
	border := []byte("+")
	for _, w := range p.widths {
		border = append(append(border, strings.Repeat("-", w+2)...), '+')
	}
	border = append(border, '\n')
	o.buf = append(o.buf, border...)
	for i, name := range p.columns {
		p.cell(o, i, []byte(name))
	}
	o.buf = append(o.buf, border...)
	for text := p.text; len(p.lengths) > 0; p.lengths = p.lengths[len(p.columns):] {
		for i, n := range p.lengths[:len(p.columns)] {
			p.cell(o, i, text[:n])
			text = text[n:]
		}
		if err := o.rowDone(); err != nil {
			return err
		}
	}
	o.buf = append(o.buf, border...)
	return nil
}

func (p *prettyPrinter) cell(o *output, col int, text []byte) {
	o.buf = append(o.buf, "| "...)
	o.buf = append(o.buf, text...)
	for range p.widths[col] - utf8.RuneCount(text) + 1 {
		o.buf = append(o.buf, ' ')
	}
	if col == len(p.columns)-1 {
		o.buf = append(o.buf, "|\n"...)
	}
}

package shell

import (
	"bytes"
	"cmp"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/shell/iptext"

	"github.com/ncruces/go-sqlite3"
)

// A Format is a way to print rows.
type Format int

// The formats, with osqueryi's habits: NULL is printed as nothing. In Pretty and
// Line, which are for people, what could drive a terminal is escaped.
const (
	Pretty Format = iota // a table with borders, as wide as its first rows; nothing if there are none
	JSON                 // one array of objects with text values, keys sorted
	JSONL                // such an object a line
	CSV                  // a header and RFC 4180, but lines end with \n alone; '' is ""
	Line                 // "column = value" lines, an empty line between rows
	List                 // values separated by |, a header if there are rows
)

var namesOfFormats = []string{Pretty: "pretty", JSON: "json", JSONL: "jsonl", CSV: "csv", Line: "line", List: "list"}

// FormatNames are the names of the formats, by their numbers.
func FormatNames() []string { return slices.Clone(namesOfFormats) }

// String is the format's name.
func (f Format) String() string { return namesOfFormats[f] }

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

func (o Options) printer() printer {
	separator := func(usual string) []byte { return []byte(cmp.Or(o.Separator, usual)) }
	switch o.Format {
	case JSON:
		return &jsonPrinter{array: true}
	case JSONL:
		return &jsonPrinter{}
	case CSV:
		return &csvPrinter{separator: separator(","), noHeader: o.NoHeader}
	case Line:
		return &linePrinter{style: o.Terminal.style()}
	case List:
		return &listPrinter{separator: separator("|"), noHeader: o.NoHeader}
	}
	return &prettyPrinter{terminal: o.Terminal, set: o.Widths}
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
	b = p.appendObject(b, r)
	if !p.array {
		b = append(b, '\n')
	}
	o.buf = b
}

// A valued is a row whose values are appended as they are, nothing for NULL.
type valued interface {
	appendTo(b []byte, col int) []byte
}

// appendObject appends a row.
func (p *jsonPrinter) appendObject(b []byte, r valued) []byte {
	for _, k := range p.keys {
		b = append(b, k.text...)
		start := len(b)
		b = r.appendTo(b, k.col)
		b = escapeJSON(b, start)
	}
	return append(b, `"}`...)
}

func (p *jsonPrinter) finish(o *output) {
	if p.open {
		o.buf = append(o.buf, "\n]\n"...)
		p.open = false
	}
}

type csvPrinter struct {
	stream
	separator []byte
	noHeader  bool
	columns   int
}

func (p *csvPrinter) begin(o *output, columns []string) {
	p.columns = len(columns)
	if p.noHeader {
		return
	}
	for i, name := range columns {
		if i > 0 {
			o.buf = append(o.buf, p.separator...)
		}
		o.buf = appendCSV(o.buf, []byte(name), p.separator)
	}
	o.buf = append(o.buf, '\n')
}

func (p *csvPrinter) row(o *output, r *row) {
	b := o.buf
	for i := range p.columns {
		if i > 0 {
			b = append(b, p.separator...)
		}
		switch typ, text, number := r.value(i); typ {
		case sqlite3.NULL:
			if p.columns == 1 {
				b = append(b, `""`...) // readers skip empty lines
			}
		case sqlite3.INTEGER:
			b = strconv.AppendInt(b, number, 10)
		default:
			b = appendCSV(b, text, p.separator)
		}
	}
	o.buf = append(b, '\n')
}

// appendCSV appends a value, in quotes where it needs them or is empty.
func appendCSV(b, s, separator []byte) []byte {
	if len(s) > 0 && !bytes.ContainsAny(s, "\"\r\n") && !bytes.Contains(s, separator) {
		return append(b, s...)
	}
	b = append(b, '"')
	b = append(b, bytes.ReplaceAll(s, []byte(`"`), []byte(`""`))...)
	return append(b, '"')
}

type linePrinter struct {
	stream
	style styler
	names []lineName
	rows  bool
	text  []byte
}

// A lineName is the name of a column, and what stands before a value.
type lineName struct{ name, text string }

// lineNames returns the names of columns, aligned.
func lineNames(columns []string) []lineName {
	names, width := make([]lineName, len(columns)), 5
	for i, name := range columns {
		visible := string(iptext.Visible([]byte(name), 0))
		names[i] = lineName{name, visible}
		width = max(width, iptext.Width([]byte(visible)))
	}
	for i, n := range names {
		names[i].text = strings.Repeat(" ", width-iptext.Width([]byte(n.text))) + n.text + " = "
	}
	return names
}

func (p *linePrinter) begin(_ *output, columns []string) {
	p.names, p.rows = lineNames(columns), false
}

func (p *linePrinter) row(o *output, r *row) {
	if p.rows {
		o.buf = append(o.buf, '\n')
	}
	p.rows = true
	for i, n := range p.names {
		p.text = iptext.Visible(r.appendTo(p.text[:0], i), 0)
		o.buf = p.style.of(n.name, p.text).Append(append(o.buf, n.text...), p.text)
		o.buf = append(o.buf, '\n')
	}
}

type listPrinter struct {
	stream
	separator []byte
	noHeader  bool
	columns   []string
	rows      bool
}

func (p *listPrinter) begin(_ *output, columns []string) { p.columns, p.rows = columns, false }

func (p *listPrinter) row(o *output, r *row) {
	if !p.rows && !p.noHeader {
		o.buf = append(o.buf, strings.Join(p.columns, string(p.separator))...)
		o.buf = append(o.buf, '\n')
	}
	p.rows = true
	for i := range p.columns {
		if i > 0 {
			o.buf = append(o.buf, p.separator...)
		}
		o.buf = r.appendTo(o.buf, i)
	}
	o.buf = append(o.buf, '\n')
}

package shell

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"kernelroutes/shell/iptext"
)

// A prettyPrinter holds the first rows back, to know how wide the columns are. Values in later rows
// that are wider stick out, but at a terminal: there they are cut, and what SELECT * has that is empty
// in all of the first rows is left out. If a later row has a value there, another table begins, with
// that column too, so that no value is passed over.
type prettyPrinter struct {
	stream
	terminal *Terminal // nil: none
	set      []int     // see Options.Widths

	style   styler
	columns []prettyColumn
	shown   []int // those of the columns that are in the table
	border  []byte
	lines   []lineName // of the columns that are shown, if there is no room for a table
	rows    bool       // a row has been printed in lines
	begun   bool       // the layout is known: rows are printed as they come
	direct  bool       // whatever comes is printed as it is
	spare   int        // how much wider a line may be than the border; -1: as wide as it is

	text    []byte   // of all cells that are held back, or of one row
	lengths []uint32 // of each of them
}

type prettyColumn struct {
	name    string
	visible []byte
	values  int  // how wide those are that are held back
	natural int  // its width, in columns of a terminal, if there is room
	width   int  // and as it is
	set     bool // the user has said how wide it is
	right   bool // it is aligned to the right
	empty   bool // in all rows so far
	star    bool // it comes from *
}

// What a prettyPrinter holds back at most.
const (
	heldRows  = 1000
	heldBytes = 16 << 20
)

func (p *prettyPrinter) begin(o *output, columns []string) {
	*p = prettyPrinter{terminal: p.terminal, set: p.set, style: p.terminal.style(), text: p.text[:0],
		lengths: p.lengths[:0]}
	for i, name := range columns {
		c := prettyColumn{name: name, visible: iptext.Visible([]byte(name), 0), empty: true}
		c.star = p.terminal.fits() && o.stars.from(i, len(columns))
		c.natural = iptext.Width(c.visible)
		if i < len(p.set) && p.set[i] != 0 {
			c.natural, c.set, c.right = max(p.set[i], -p.set[i]), true, p.set[i] < 0
			c.values = c.natural
		}
		p.columns = append(p.columns, c)
	}
}

func (p *prettyPrinter) row(o *output, r *row) {
	if p.begun && p.direct {
		for i := range p.columns {
			o.buf = append(o.buf, "| "...)
			start := len(o.buf)
			o.buf = iptext.Visible(r.appendTo(o.buf, i), start)
			o.buf = blanks(o.buf, max(p.columns[i].width-iptext.Width(o.buf[start:]), 0)+1)
		}
		o.buf = append(o.buf, "|\n"...)
		return
	}
	if p.begun {
		p.text, p.lengths = p.text[:0], p.lengths[:0]
	}
	first := len(p.lengths)
	at := len(p.text)
	for i := range p.columns {
		start := len(p.text)
		p.text = iptext.Visible(r.appendTo(p.text, i), start)
		p.lengths = append(p.lengths, uint32(len(p.text)-start))
	}
	if p.begun && !p.hides(p.lengths) {
		p.print(o, p.text, p.lengths)
		return
	}
	if p.begun {
		p.again(o)
	}
	for i, n := range p.lengths[first:] {
		c := &p.columns[i]
		c.empty = c.empty && n == 0
		if !c.set {
			c.values = max(c.values, iptext.Width(p.text[at:at+int(n)]))
			c.natural = max(c.natural, c.values)
		}
		at += int(n)
	}
	if len(p.lengths) == heldRows*len(p.columns) || len(p.text) > heldBytes {
		p.release(o)
	}
}

// hides reports whether a row has a value in a column that is not shown.
func (p *prettyPrinter) hides(lengths []uint32) bool {
	if len(p.shown) == len(p.columns) {
		return false
	}
	for i, n := range lengths {
		if n > 0 && p.columns[i].star && p.columns[i].empty {
			return true
		}
	}
	return false
}

// again ends the table and has another one begin, with the row whose text is held.
func (p *prettyPrinter) again(o *output) {
	if p.lines == nil {
		o.buf = append(o.buf, p.border...)
	}
	p.begun = false
	for i := range p.columns {
		if c := &p.columns[i]; !c.set {
			c.natural, c.values = iptext.Width(c.visible), 0
		}
	}
}

// release prints the header and the rows that were held back.
func (p *prettyPrinter) release(o *output) {
	p.choose()
	widths, fit := p.fit()
	switch {
	case !fit && p.lines == nil:
		what := fmt.Sprintf("%d columns do not fit side by side into the terminal's %d, so each is a line",
			len(p.shown), p.terminal.Width)
		if len(p.shown) == 1 {
			what = fmt.Sprintf("the terminal's %d columns have no room for a column", p.terminal.Width)
		}
		p.note(o, what+"; "+p.terminal.remedy()+" shows a table")
		fallthrough
	case !fit || p.lines != nil:
		names := make([]string, len(p.shown))
		for n, i := range p.shown {
			names[n] = p.columns[i].name
		}
		p.lines = lineNames(names)
	default:
		for n, i := range p.shown {
			p.columns[i].width = widths[n]
		}
		p.header(o)
	}
	p.begun = true
	p.direct = p.style == nil && len(p.set) == 0 && p.spare < 0 && p.lines == nil && len(p.shown) == len(p.columns)
	text, n := p.text, len(p.columns)
	for row := range slices.Chunk(p.lengths, n) {
		text = p.print(o, text, row)
	}
}

// choose chooses the columns that are shown: all but the empty ones of SELECT *, unless there are no
// others.
func (p *prettyPrinter) choose() {
	p.shown = p.shown[:0]
	for i, c := range p.columns {
		if !c.star || !c.empty {
			p.shown = append(p.shown, i)
		}
	}
	if len(p.shown) > 0 {
		return
	}
	for i := range p.columns {
		p.columns[i].star = false
		p.shown = append(p.shown, i)
	}
}

// leastWidth is how wide a column is at least when others take its room, if it has that much to show.
const leastWidth = 10

// fit returns how wide the columns are that are shown. false: the terminal has no room for them.
func (p *prettyPrinter) fit() (widths []int, ok bool) {
	p.spare = -1
	bounded := p.terminal.fits() && p.terminal.Width > 0
	total := 1
	for _, i := range p.shown {
		w := p.columns[i].natural
		if bounded {
			w = min(w, p.terminal.Width)
		}
		widths = append(widths, w)
		total += w + 3
	}
	if !bounded {
		return widths, true
	}
	short, names, all := max(total-p.terminal.Width, 0), slices.Clone(widths), slices.Clone(widths)
	for n, i := range p.shown {
		names[n] = min(widths[n], max(p.columns[i].values, leastWidth))
		all[n] = min(widths[n], leastWidth)
	}
	p.spare = max(p.terminal.Width-total, 0)
	short = narrow(widths, names, short) // what is cut are names
	return widths, narrow(widths, all, short) == 0
}

// narrow takes so much from widths, the widest ones first, but none below its least one. It returns how much
// there still is to take.
func narrow(widths, least []int, short int) (left int) {
	to := func(i, most int) int { return max(least[i], min(widths[i], most)) }
	taken := func(most int) (n int) { // if none is wider than that
		for i, w := range widths {
			n += w - to(i, most)
		}
		return n
	}
	tooLittle := func(most int) bool { return taken(most) < short }
	most := max(sort.Search(slices.Max(append(widths, 0))+1, tooLittle)-1, 0)
	left = max(short-taken(most), 0)
	over := taken(most) - short // which the last ones keep
	for i := len(widths) - 1; i >= 0; i-- {
		w := to(i, most)
		if over > 0 && w == most && widths[i] > w {
			w, over = w+1, over-1
		}
		widths[i] = w
	}
	return left
}

func (p *prettyPrinter) header(o *output) {
	p.border = []byte("+")
	for _, i := range p.shown {
		p.border = append(append(p.border, strings.Repeat("-", p.columns[i].width+2)...), '+')
	}
	p.border = append(p.border, '\n')
	o.buf = append(o.buf, p.border...)
	for _, i := range p.shown {
		p.cell(o, i, p.columns[i].visible, "", 0)
	}
	o.buf = append(append(o.buf, "|\n"...), p.border...)
}

// print prints a row and returns the text behind it.
func (p *prettyPrinter) print(o *output, text []byte, lengths []uint32) (rest []byte) {
	if p.lines != nil && p.rows {
		o.buf = append(o.buf, '\n')
	}
	p.rows = true
	at, n, spare := 0, 0, p.spare
	for i, size := range lengths {
		value := text[at : at+int(size)]
		at += int(size)
		if n == len(p.shown) || p.shown[n] != i {
			continue
		}
		style := p.style.of(p.columns[i].name, value)
		if p.lines == nil {
			spare = p.cell(o, i, value, style, spare)
		} else {
			o.buf = append(style.Append(append(o.buf, p.lines[n].text...), value), '\n')
		}
		n++
	}
	if p.lines == nil {
		o.buf = append(o.buf, "|\n"...)
	}
	return text[at:]
}

// cell prints a value, and returns how much wider than the border the rest of the line may be.
func (p *prettyPrinter) cell(o *output, col int, value []byte, style iptext.Style, spare int) (left int) {
	c := &p.columns[col]
	width := iptext.Width(value)
	switch {
	case width <= c.width:
	case c.set || spare >= 0 && width > c.width+spare:
		room := c.width
		if !c.set {
			room, spare = room+spare, 0
		}
		value = iptext.Cut(value, room)
		width = iptext.Width(value)
	case spare > 0:
		spare -= width - c.width
	}
	pad := max(c.width-width, 0)
	o.buf = append(o.buf, "| "...)
	if c.right {
		o.buf = blanks(o.buf, pad)
		pad = 0
	}
	o.buf = blanks(style.Append(o.buf, value), pad+1)
	return spare
}

func blanks(b []byte, n int) []byte {
	for range n {
		b = append(b, ' ')
	}
	return b
}

func (p *prettyPrinter) end(o *output) error {
	if len(p.lengths) == 0 {
		return nil // no rows
	}
	if !p.begun {
		p.release(o)
	}
	if p.lines == nil {
		o.buf = append(o.buf, p.border...)
	}
	var hidden []string
	for _, c := range p.columns {
		if c.star && c.empty && !p.shows(c.name) {
			hidden = append(hidden, string(c.visible))
		}
	}
	if len(hidden) > 0 {
		p.note(o, fmt.Sprintf("not shown, as empty in these rows: %s; %s shows all", strings.Join(hidden, ", "),
			p.terminal.remedy()))
	}
	return nil
}

// shows reports whether a column of a name is shown. Another one of that name, which is empty, is not missed.
func (p *prettyPrinter) shows(name string) bool {
	return slices.ContainsFunc(p.shown, func(i int) bool { return p.columns[i].name == name })
}

// note has the user told what is not shown.
func (p *prettyPrinter) note(o *output, text string) {
	if p.terminal.Note != nil {
		o.notes = append(o.notes, toldLater{p.terminal.Note, text})
	}
}

package shell

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"kernelroutes/tables"
)

// For GROUP BY, SQLite sorts all rows. But of rows that are alike in every column
// that a statement uses only the number matters, and mostly there are few that
// differ: here they are counted, and what differs is sorted.

// maxGroups bounds how many different rows are remembered. A row that is like
// none of them is kept by itself.
var maxGroups = 1 << 16 // a variable for tests

// groupedRows are rows in an order that was asked for. They have the values of
// used columns only.
type groupedRows struct {
	columns []tables.ColumnInfo
	parts   []sqlite3.IndexOrderBy // the columns in the order of their weight
	groups  []group                // sorted; the first one is the current one
	left    int                    // rows of the current group that are yet to come

	// The current row, by column.
	texts   [][]byte
	numbers []int64
	present []bool // the number
}

// A group is a number of rows that are alike.
type group struct {
	key  []byte // the values, in a form that compares like them byte by byte
	rows int
}

// groupRows reads all rows and puts them in order.
func groupRows(rows tables.Rows, columns []tables.ColumnInfo, used []bool, order []sqlite3.IndexOrderBy) *groupedRows {
	g := &groupedRows{columns: columns, parts: slices.Clone(order), texts: make([][]byte, len(columns)),
		numbers: make([]int64, len(columns)), present: make([]bool, len(columns))}
	for i, u := range used {
		if u && !slices.ContainsFunc(order, func(o sqlite3.IndexOrderBy) bool { return o.Column == i }) {
			g.parts = append(g.parts, sqlite3.IndexOrderBy{Column: i})
		}
	}
	var key []byte
	last, known := -1, map[string]int{}
	for rows.Next() {
		key = g.appendKey(key[:0], rows)
		if last < 0 || !bytes.Equal(key, g.groups[last].key) {
			i, ok := known[string(key)]
			if !ok {
				i = len(g.groups)
				g.groups = append(g.groups, group{key: slices.Clone(key)})
				if i < maxGroups {
					known[string(key)] = i
				}
			}
			last = i
		}
		g.groups[last].rows++
	}
	slices.SortFunc(g.groups, func(a, b group) int { return bytes.Compare(a.key, b.key) })
	g.groups = slices.Insert(g.groups, 0, group{}) // the one before the first
	return g
}

// appendKey appends the values of a row: a text with 0 0 behind it, and 0 1 for
// each 0 in it; a number after a 1, big endian and with its sign turned over; 0
// for NULL. What is wanted in descending order has all its bits turned over.
func (g *groupedRows) appendKey(b []byte, rows tables.Rows) []byte {
	for _, p := range g.parts {
		start := len(b)
		if g.columns[p.Column].Type == tables.Text {
			b = rows.AppendText(b, p.Column)
			if bytes.IndexByte(b[start:], 0) >= 0 {
				b = append(b[:start], bytes.ReplaceAll(b[start:], []byte{0}, []byte{0, 1})...)
			}
			b = append(b, 0, 0)
		} else if v, ok := rows.Int(p.Column); ok {
			b = binary.BigEndian.AppendUint64(append(b, 1), uint64(v)^1<<63)
		} else {
			b = append(b, 0)
		}
		if p.Desc {
			invert(b[start:])
		}
	}
	return b
}

func invert(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

// readKey is the inverse of appendKey, and uses the key up.
func (g *groupedRows) readKey(key []byte) {
	for _, p := range g.parts {
		if p.Desc {
			invert(key)
		}
		size := 1
		if g.columns[p.Column].Type == tables.Text {
			size = textSize(key)
			g.texts[p.Column] = bytes.ReplaceAll(key[:size-2], []byte{0, 1}, []byte{0})
		} else if g.present[p.Column] = key[0] == 1; key[0] == 1 {
			size = 9
			g.numbers[p.Column] = int64(binary.BigEndian.Uint64(key[1:]) ^ 1<<63)
		}
		if key = key[size:]; p.Desc {
			invert(key)
		}
	}
}

// textSize is the size of a text in a key, with what ends it.
func textSize(key []byte) int {
	for i := 0; ; i++ {
		if key[i] == 0 {
			if i++; key[i] == 0 {
				return i + 1
			}
		}
	}
}

func (g *groupedRows) Next() bool {
	if g.left > 0 {
		g.left--
		return true
	}
	if g.groups = g.groups[1:]; len(g.groups) == 0 {
		return false
	}
	g.left = g.groups[0].rows - 1
	g.readKey(g.groups[0].key)
	return true
}

func (g *groupedRows) AppendText(b []byte, col int) []byte { return append(b, g.texts[col]...) }

func (g *groupedRows) Int(col int) (int64, bool) { return g.numbers[col], g.present[col] }

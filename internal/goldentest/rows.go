// Package goldentest writes the rows of tables as texts that a person can review,
// for golden files.
package goldentest

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Rows returns rows as text, a value a line with the name of its column. A value that
// is "" is absent and has no line. A row begins with its first column, and its others
// are indented, so that a diff says in which row it is.
//
// What all rows have is said once, above them, and so is what more than half of the
// rows of a family have, where a row says only how it differs ("no COLUMN" if it has
// none). So a column that is added changes a line or two, or the rows that it is about.
// Without a column family all rows are of one. Rows that differ give texts that differ.
func Rows(columns []string, rows [][]string) []byte {
	rows = lines(rows)
	family := slices.Index(columns, "family")
	shared := most(rows, len(columns), len(rows))
	var out []byte
	if slices.ContainsFunc(shared, present) {
		out = block(out, "every row:", columns, shared)
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && (family < 0 || rows[n][family] == rows[0][family]) {
			n++
		}
		usual := most(rows[:n], len(columns), n/2+1)
		for i := range usual {
			if shared[i] != "" {
				usual[i] = ""
			}
		}
		if slices.ContainsFunc(usual, present) {
			heading := "most rows:"
			if family >= 0 {
				heading = "most " + rows[0][family] + " rows:"
			}
			out = block(out, heading, columns, usual)
		}
		for _, row := range rows[:n] {
			out = block(out, columns[0]+" "+row[0], columns[1:], differences(row, shared, usual)[1:])
		}
		rows = rows[n:]
	}
	return out
}

func present(value string) bool { return value != "" }

// differences returns what a row has to say for itself, in the words of block.
func differences(row, shared, usual []string) []string {
	own := slices.Clone(row)
	for i, value := range row {
		switch {
		case shared[i] != "" || value == usual[i]:
			own[i] = ""
		case value == "":
			own[i] = none
		}
	}
	return own
}

// none stands for a value that is absent where most rows have one. No line is like it.
const none = "\x00"

// most returns, by column, the value that at least so many of the rows have, more than
// half of them, "" where there is none. A row alone shares nothing, and the first column
// tells rows apart.
func most(rows [][]string, columns, least int) []string {
	values := make([]string, columns)
	if len(rows) < 2 {
		return values
	}
	for i := 1; i < columns; i++ {
		count := map[string]int{}
		for _, row := range rows {
			if count[row[i]]++; count[row[i]] >= least {
				values[i] = row[i]
			}
		}
	}
	return values
}

// block appends an empty line, a heading and the values that are present.
func block(b []byte, heading string, columns, values []string) []byte {
	if len(b) > 0 {
		b = append(b, '\n')
	}
	b = append(append(b, heading...), '\n')
	for i, value := range values {
		switch value {
		case "":
		case none:
			b = append(b, "  no "+columns[i]+"\n"...)
		default:
			b = append(b, "  "+columns[i]+" "+value+"\n"...)
		}
	}
	return b
}

// lines returns the rows with each value as one line, in quotes where it is none by itself.
func lines(rows [][]string) [][]string {
	all := make([][]string, len(rows))
	for i, row := range rows {
		all[i] = slices.Clone(row)
		for j, value := range row {
			if strings.HasPrefix(value, `"`) || strings.ContainsFunc(value, unprintable) {
				all[i][j] = strconv.Quote(value)
			}
		}
	}
	return all
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }

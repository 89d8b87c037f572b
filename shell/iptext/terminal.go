// Package iptext is text for people: what RTNetlink tells as ip writes it, and what a terminal can show of it.
// The files:
//
//	describe.go  Describer: routes, rules and nexthop objects as ip writes them
//	parts.go     which parts of such a description are others now
//	terminal.go  text that is safe for a terminal, how wide it is, and where it is cut
//	json.go      JSON that is safe for a terminal
//	style.go     text that stands out at a terminal
package iptext

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Visible makes what has been appended to b since start safe for a terminal: what
// is not graphic (control characters, also those that change the direction of
// writing, and bytes that are not UTF-8) is escaped as in Go: \n, \x1b, \u202e.
func Visible(b []byte, start int) []byte {
	for _, c := range b[start:] {
		if c < ' ' || c > '~' {
			return appendVisible(b[:start], slices.Clone(b[start:]))
		}
	}
	return b
}

func appendVisible(b, text []byte) []byte {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && size == 1:
			const hex = "0123456789abcdef"
			b = append(b, '\\', 'x', hex[text[0]>>4], hex[text[0]&15])
		case strconv.IsGraphic(r):
			b = append(b, text[:size]...)
		default:
			quoted := strconv.AppendQuoteRuneToGraphic(nil, r)
			b = append(b, quoted[1:len(quoted)-1]...)
		}
		text = text[size:]
	}
	return b
}

// Width is how many columns of a terminal a visible text takes.
func Width(text []byte) int {
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return uniseg.StringWidth(string(text))
		}
	}
	return len(text)
}

// Fill appends a visible text to a line that is filled up to a column. Between words where it gets wider than a
// width (0: any) it goes on in a line below, from the column indent on.
func Fill(b, text []byte, width, column, indent int) []byte {
	for i, word := range bytes.Split(text, []byte(" ")) {
		n := Width(word)
		switch {
		case i == 0:
		case width > 0 && column+1+n > width:
			b = append(b, '\n')
			b = Pad(b, len(b), indent)
			column = indent
		default:
			b = append(b, ' ')
			column++
		}
		b = append(b, word...)
		column += n
	}
	return b
}

// Pad fills what begins at from with blanks up to a width in columns of a terminal.
func Pad(b []byte, from, width int) []byte {
	for n := Width(b[from:]); n < width; n++ {
		b = append(b, ' ')
	}
	return b
}

// AppendNumber appends a text and a number.
func AppendNumber(b []byte, before string, v uint32) []byte {
	return strconv.AppendUint(append(b, before...), uint64(v), 10)
}

// Cut cuts a visible text that is wider than width columns of a terminal, at the end of what is
// one character to a reader, and ends it with … then. In no column there is nothing.
func Cut(text []byte, width int) []byte {
	if Width(text) <= width {
		return text
	}
	if width < 1 {
		return nil
	}
	const ellipsis = "…"
	kept, columns, state := 0, 0, -1
	for rest := text; len(rest) > 0; {
		var cluster []byte
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeCluster(rest, state)
		if columns += w; columns > width-1 {
			break
		}
		kept += len(cluster)
	}
	return append(slices.Clip(text[:kept]), ellipsis...)
}

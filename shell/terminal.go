package shell

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// visible makes what has been appended to b since start safe for a terminal: what
// is not graphic (control characters, also those that change the direction of
// writing, and bytes that are not UTF-8) is escaped as in Go: \n, \x1b, \u202e.
func visible(b []byte, start int) []byte {
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

// displayWidth is how many columns of a terminal a visible text takes.
func displayWidth(text []byte) int {
	for _, c := range text {
		if c >= utf8.RuneSelf {
			return uniseg.StringWidth(string(text))
		}
	}
	return len(text)
}

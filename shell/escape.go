package shell

import (
	"slices"
	"unicode/utf8"
)

// plainJSON tells the bytes that stand for themselves in a JSON string.
var plainJSON = func() (plain [256]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

// escapeJSON escapes what has been appended to b since start.
func escapeJSON(b []byte, start int) []byte {
	for _, c := range b[start:] {
		if !plainJSON[c] {
			return appendJSON(b[:start], slices.Clone(b[start:]))
		}
	}
	return b
}

// appendJSON appends s escaped for a JSON string, without the quotes. That is
// valid JSON whatever s is: what is no UTF-8 becomes U+FFFD.
func appendJSON(b, s []byte) []byte {
	done := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainJSON[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRune(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		b = append(b, s[done:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b', '\t', '\n', '\f', '\r':
			b = append(b, '\\', "btn-fr"[c-'\b'])
		default:
			const hex = "0123456789ABCDEF"
			if c < ' ' {
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			} else {
				b = append(b, "\uFFFD"...)
			}
		}
		i++
		done = i
	}
	return append(b, s[done:]...)
}

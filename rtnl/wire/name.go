package wire

import (
	"bytes"
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

// String reads a string attribute, which may or may not end with NULs, as AppendName
// has it.
func String(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	if name := string(b); PlainName(name) {
		return name
	}
	return string(AppendName(nil, string(b)))
}

// AppendName appends a name in a form that is valid UTF-8 and unique. The name of
// an interface may hold any byte but NUL, '/', ':' and white space, a name in a
// file of iproute2's any but NUL and white space; JSON, and so osquery, carries
// only text. Each byte that is no part of UTF-8 is appended as \xHH, its value in
// lower-case hexadecimal, and a backslash that could be taken for the beginning of
// such four characters as \x5c. All else, control characters too, stays as it is.
//
// The names that this package returns have that form already.
func AppendName(b []byte, name string) []byte {
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 || isEscape(name) {
			b = hex.AppendEncode(append(b, `\x`...), []byte{name[0]})
		} else {
			b = append(b, name[:n]...)
		}
		name = name[n:]
	}
	return b
}

// PlainName reports whether AppendName would append the name as it is.
func PlainName(name string) bool { return utf8.ValidString(name) && !strings.Contains(name, `\x`) }

// isEscape reports whether s begins with \x and two hexadecimal digits.
func isEscape(s string) bool {
	const digits = "0123456789abcdefABCDEF"
	return len(s) >= 4 && s[:2] == `\x` && strings.IndexByte(digits, s[2]) >= 0 && strings.IndexByte(digits, s[3]) >= 0
}

package iproute2

import (
	"bytes"
	"math"
	"strconv"
)

// maxNameLine is iproute2's buffer for a line, less the NUL.
const maxNameLine = 511

// parseNames calls set for each entry of a file, in the file's order. Lines
// that are no entry are skipped.
func parseNames(data []byte, set func(id uint32, name string)) {
	for line := range bytes.SplitSeq(data, []byte{'\n'}) {
		line = line[:min(len(line), maxNameLine)]
		line, _, _ = bytes.Cut(line, []byte{0}) // a string ends there in C
		if id, name, ok := parseNameLine(line); ok && id >= 0 && id <= math.MaxInt32 {
			set(uint32(id), string(name))
		}
	}
}

// parseNameLine tries the two forms of an entry in iproute2's order. So "0x1f"
// without a name is no malformed line: it names 0 "x1f".
func parseNameLine(line []byte) (id int64, name []byte, ok bool) {
	line = bytes.TrimLeft(line, " \t")
	if hex, found := bytes.CutPrefix(line, []byte("0x")); found {
		if id, name, ok = scanEntry(hex, 16, "0123456789abcdefABCDEF"); ok {
			return id, name, true
		}
	}
	return scanEntry(line, 10, "0123456789")
}

// scanEntry reads a number and a word as sscanf does: white space before the
// number and a sign are allowed, white space after the number is not needed.
// A number that overflows is returned as the nearest one that does not.
func scanEntry(s []byte, base int, digits string) (id int64, name []byte, ok bool) {
	const space = " \t\n\v\f\r"
	s = bytes.TrimLeft(s, space)
	unsigned := s
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		unsigned = s[1:]
	}
	rest := bytes.TrimLeft(unsigned, digits)
	if len(rest) == len(unsigned) {
		return 0, nil, false
	}
	// There are digits, so the only error is one of range.
	id, _ = strconv.ParseInt(string(s[:len(s)-len(rest)]), base, 64)
	name = bytes.TrimLeft(rest, space)
	if end := bytes.IndexAny(name, space); end >= 0 {
		name = name[:end]
	}
	return id, name, len(name) > 0
}

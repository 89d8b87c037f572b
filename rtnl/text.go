package rtnl

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"unicode/utf8"
)

// appendBits appends the names of the bits that are set, lowest first, with
// commas between; a bit without a name is appended as its number.
func appendBits(b []byte, mask uint64, names []string) []byte {
	start := len(b)
	for n := 0; mask != 0; n, mask = n+1, mask>>1 {
		if mask&1 == 0 {
			continue
		}
		b = comma(b, start)
		if n < len(names) && names[n] != "" {
			b = append(b, names[n]...)
		} else {
			b = strconv.AppendInt(b, int64(n), 10)
		}
	}
	return b
}

func appendHex(b, raw []byte) []byte { return hex.AppendEncode(b, raw) }

// cstring reads a string attribute, which may or may not end with NULs, as
// AppendName has it.
func cstring(b []byte) string {
	b, _, _ = bytes.Cut(b, []byte{0})
	if name := string(b); plainName(name) {
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

// plainName reports whether AppendName would append the name as it is.
func plainName(name string) bool { return utf8.ValidString(name) && !strings.Contains(name, `\x`) }

// isEscape reports whether s begins with \x and two hexadecimal digits.
func isEscape(s string) bool {
	const digits = "0123456789abcdefABCDEF"
	return len(s) >= 4 && s[:2] == `\x` && strings.IndexByte(digits, s[2]) >= 0 && strings.IndexByte(digits, s[3]) >= 0
}

// AppendAddr appends an address as iproute2 does, which is the spelling of glibc's
// inet_ntop: that of RFC 5952, but with the last 32 bits of an IPv4-compatible
// address (RFC 4291, 2.5.5.1) in dotted form, ::192.0.2.1, as [netip.Addr] spells
// only IPv4-mapped ones. It appends nothing for the zero Addr.
func AppendAddr(b []byte, a netip.Addr) []byte {
	if a.Is6() {
		// The run of zeros that :: stands for is six words long: ::1 and ::ffff:1.2.3.4 are none of these.
		if w := a.As16(); [12]byte(w[:12]) == [12]byte{} && w[12]|w[13] != 0 {
			return netip.AddrFrom4([4]byte(w[12:])).AppendTo(append(b, "::"...))
		}
	}
	return a.AppendTo(b)
}

// AppendPrefix appends a prefix in CIDR notation, its address as AppendAddr does.
// It appends nothing for a prefix that is not valid.
func AppendPrefix(b []byte, p netip.Prefix) []byte {
	if !p.IsValid() {
		return b
	}
	b = append(AppendAddr(b, p.Addr()), '/')
	return strconv.AppendInt(b, int64(p.Bits()), 10)
}

// flagNames are RTNH_F_* (the low byte) and RTM_F_* in iproute2's words and
// order; those that iproute2 does not print follow.
var flagNames = [...]struct {
	bit  uint32
	name string
}{
	{0x1, "dead"}, {0x4, "onlink"}, {0x2, "pervasive"}, {0x8, "offload"}, {0x40, "trap"}, {0x100, "notify"},
	{0x10, "linkdown"}, {0x20, "unresolved"},
	{0x4000, "rt_offload"}, {0x8000, "rt_trap"}, {0x20000000, "rt_offload_failed"},
	{0x200, "cloned"}, {0x400, "equalize"}, {0x800, "prefix"}, {0x1000, "lookup_table"}, {0x2000, "fib_match"},
}

// AppendFlags appends the names of rtm_flags or rtnh_flags in iproute2's words,
// separated by commas, and what has no name as one hexadecimal number.
func AppendFlags(b []byte, flags uint32) []byte {
	start := len(b)
	for _, f := range flagNames {
		if flags&f.bit != 0 {
			b = append(comma(b, start), f.name...)
			flags &^= f.bit
		}
	}
	if flags != 0 {
		b = append(comma(b, start), "0x"...)
		b = strconv.AppendUint(b, uint64(flags), 16)
	}
	return b
}

// comma separates an element from one that was appended since start.
func comma(b []byte, start int) []byte {
	if len(b) > start {
		b = append(b, ',')
	}
	return b
}

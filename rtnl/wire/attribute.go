package wire

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// AttrHeaderLen is the size of struct nlattr: a u16 length that counts itself,
// and a u16 type.
const AttrHeaderLen = 4

// attrTypeMask clears NLA_F_NESTED and NLA_F_NET_BYTEORDER from an attribute type.
const attrTypeMask = 0x3fff

// Attributes walks a run of netlink attributes (struct nlattr, 4-byte aligned). It
// never looks outside the bytes that it was given.
type Attributes struct {
	Type uint16 // nla_type of the current attribute, without its flags
	Data []byte // payload of the current attribute
	Rest []byte // what comes after it

	bad bool
}

// Walk returns a walk that begins before the first attribute.
func Walk(b []byte) Attributes { return Attributes{Rest: b} }

// Next moves to the next attribute. It returns false at the end, and at the
// first attribute that does not fit; OK tells the two apart.
func (a *Attributes) Next() bool {
	typ, n := Head(a.Rest)
	if n == 0 {
		a.bad = !padding(a.Rest)
		return false
	}
	a.Type, a.Data = typ, a.Rest[AttrHeaderLen:n]
	a.Rest = a.Rest[min(Align(n), len(a.Rest)):]
	return true
}

// Head returns the type and the length, header included, of the attribute that b begins
// with. The length is 0 where none fits.
func Head(b []byte) (typ uint16, n int) {
	if len(b) < AttrHeaderLen {
		return 0, 0
	}
	n = int(U16(b))
	if n < AttrHeaderLen || n > len(b) {
		return 0, 0
	}
	return U16(b[2:]) & attrTypeMask, n
}

// padding reports whether b can come after the last attribute: fewer than four bytes,
// which the kernel writes as zeros.
func padding(b []byte) bool {
	if len(b) >= AttrHeaderLen {
		return false
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// Fit returns whether a run of attributes is well formed, and where the first one begins
// that does not fit.
func Fit(b []byte) (end int, ok bool) {
	for {
		_, n := Head(b[end:])
		if n == 0 {
			return end, padding(b[end:])
		}
		end = min(end+Align(n), len(b))
	}
}

// OK reports, after Next returned false, whether every attribute was well formed.
func (a *Attributes) OK() bool { return !a.bad }

// Align rounds a length up to a multiple of 4 bytes (NLMSG_ALIGN, NLA_ALIGN).
func Align(n int) int { return (n + 3) &^ 3 }

// An Attr is an attribute that is not interpreted: its number or its length is not one
// that the kernel's headers describe.
type Attr struct {
	Type uint16 // nla_type without NLA_F_NESTED and NLA_F_NET_BYTEORDER
	Data []byte // payload, as the kernel sent it
}

// AppendJSON appends {"type":N,"len":N,"hex":"..."}; len counts the payload.
func (a Attr) AppendJSON(b []byte) []byte {
	b = append(b, `{"type":`...)
	b = strconv.AppendUint(b, uint64(a.Type), 10)
	b = append(b, `,"len":`...)
	b = strconv.AppendInt(b, int64(len(a.Data)), 10)
	b = append(b, `,"hex":"`...)
	b = hex.AppendEncode(b, a.Data)
	return append(b, `"}`...)
}

// AppendU32 appends an attribute that holds a u32.
func AppendU32(b []byte, typ uint16, v uint32) []byte {
	b = binary.NativeEndian.AppendUint16(b, AttrHeaderLen+4)
	b = binary.NativeEndian.AppendUint16(b, typ)
	return binary.NativeEndian.AppendUint32(b, v)
}

// AppendAttr appends an attribute with its padding. The data are no longer than 64 KiB.
func AppendAttr(b []byte, typ uint16, data ...byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(AttrHeaderLen+len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, data...)
	return append(b, make([]byte, Align(len(data))-len(data))...)
}

// U16 reads a number in the byte order of the host.
func U16(b []byte) uint16 { return binary.NativeEndian.Uint16(b) }

// U32 reads a number in the byte order of the host.
func U32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }

// U64 reads a number in the byte order of the host.
func U64(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

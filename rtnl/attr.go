package rtnl

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// nlaHeaderLen is the size of struct nlattr: a u16 length that counts itself,
// and a u16 type.
const nlaHeaderLen = 4

// nlaTypeMask clears NLA_F_NESTED and NLA_F_NET_BYTEORDER from an attribute type.
const nlaTypeMask = 0x3fff

// attrs walks a run of netlink attributes (struct nlattr, 4-byte aligned, host
// byte order). It never looks outside the bytes it was given.
type attrs struct {
	rest []byte
	bad  bool

	typ  uint16 // nla_type without its flags
	data []byte // payload of the current attribute
}

func walk(b []byte) attrs { return attrs{rest: b} }

// next moves to the next attribute. It returns false at the end, and at the
// first attribute that does not fit; ok tells the two apart.
func (a *attrs) next() bool {
	if len(a.rest) < nlaHeaderLen {
		// Fewer than four bytes after the last attribute are padding, which the
		// kernel writes as zeros.
		for _, c := range a.rest {
			if c != 0 {
				a.bad = true
			}
		}
		return false
	}
	n := int(binary.NativeEndian.Uint16(a.rest))
	if n < nlaHeaderLen || n > len(a.rest) {
		a.bad = true
		return false
	}
	a.typ = binary.NativeEndian.Uint16(a.rest[2:]) & nlaTypeMask
	a.data = a.rest[nlaHeaderLen:n]
	a.rest = a.rest[min(align4(n), len(a.rest)):]
	return true
}

// at returns where in b, at whose end the walk ends, the current attribute begins.
func (a *attrs) at(b []byte) int { return cap(b) - cap(a.data) - nlaHeaderLen }

// ok reports, after next returned false, whether every attribute was well formed.
func (a *attrs) ok() bool { return !a.bad }

func align4(n int) int { return (n + 3) &^ 3 }

// Attr is a netlink attribute that this package does not interpret: its number
// or its length is not one that the kernel headers describe.
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

func u16(b []byte) uint16 { return binary.NativeEndian.Uint16(b) }
func u32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
func u64(b []byte) uint64 { return binary.NativeEndian.Uint64(b) }

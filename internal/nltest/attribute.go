package nltest

import (
	"bytes"
	"encoding/binary"

	"kernelroutes/rtnl/wire"
)

// Attr makes an attribute, padded, of the parts of its payload.
func Attr(typ uint16, parts ...[]byte) []byte {
	data := bytes.Join(parts, nil)
	b := append(NE(uint16(wire.AttrHeaderLen+len(data))), NE(typ)...)
	b = append(b, data...)
	return append(b, make([]byte, wire.Align(len(data))-len(data))...)
}

// LittleEndian reports whether the host writes the low byte of a number first.
var LittleEndian = wire.U16([]byte{1, 0}) == 1

// NE makes a number in the byte order of the host, BE one in network byte order.
func NE[T uint8 | uint16 | uint32 | uint64](v T) []byte {
	b, _ := binary.Append(nil, binary.NativeEndian, v)
	return b
}

// BE: see NE.
func BE[T uint16 | uint32 | uint64](v T) []byte {
	b, _ := binary.Append(nil, binary.BigEndian, v)
	return b
}

// Str makes a string that ends with a NUL.
func Str(s string) []byte { return append([]byte(s), 0) }

// Labels makes an MPLS label stack of its entries.
func Labels(entries ...uint32) []byte {
	var b []byte
	for _, e := range entries {
		b = append(b, BE(e)...)
	}
	return b
}

// Cat puts parts one after the other.
func Cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// With changes bytes of a copy of b: offset, value, offset, value.
func With(b []byte, changes ...byte) []byte {
	b = bytes.Clone(b)
	for i := 0; i < len(changes); i += 2 {
		b[changes[i]] = changes[i+1]
	}
	return b
}

// MessageOf makes a message without padding.
func MessageOf(typ, flags uint16, seq uint32, payload []byte) []byte {
	return append(wire.AppendHeader(nil, wire.HeaderLen+len(payload), typ, flags, seq), payload...)
}

package wire

import (
	"encoding/binary"
	"iter"
)

// HeaderLen is the size of struct nlmsghdr: u32 length, which counts itself, u16 type,
// u16 flags, u32 sequence number, u32 port.
const HeaderLen = 16

// Types of messages of every protocol.
const (
	NLMSG_NOOP    = 1
	NLMSG_ERROR   = 2
	NLMSG_DONE    = 3
	NLMSG_OVERRUN = 4
)

// Flags of messages.
const (
	NLM_F_REQUEST       = 0x1
	NLM_F_MULTI         = 0x2
	NLM_F_ACK           = 0x4
	NLM_F_DUMP_INTR     = 0x10
	NLM_F_DUMP_FILTERED = 0x20
	NLM_F_DUMP          = 0x300
	NLM_F_CAPPED        = 0x100
	NLM_F_ACK_TLVS      = 0x200
	NLM_F_REPLACE       = 0x100 // of RTM_NEW*
	NLM_F_CREATE        = 0x400 // of RTM_NEW*
	NLM_F_APPEND        = 0x800 // of RTM_NEW*
)

// NETLINK_ROUTE is the protocol of RTNetlink.
const NETLINK_ROUTE = 0

// NLMSGERR_ATTR_MSG is the attribute of NLMSG_ERROR and NLMSG_DONE that holds the
// kernel's own words.
const NLMSGERR_ATTR_MSG = 1

// Len returns nlmsg_len: the length of a message in bytes, header included.
func Len(msg []byte) int { return int(U32(msg)) }

// Type returns nlmsg_type: NLMSG_* or, for RTNetlink, RTM_*.
func Type(msg []byte) uint16 { return U16(msg[4:]) }

// Flags returns nlmsg_flags: NLM_F_*.
func Flags(msg []byte) uint16 { return U16(msg[6:]) }

// Seq returns nlmsg_seq: the number of the request that the message is or answers.
func Seq(msg []byte) uint32 { return U32(msg[8:]) }

// Port returns nlmsg_pid: the port of who asked, 0 for the kernel.
func Port(msg []byte) uint32 { return U32(msg[12:]) }

// Payload returns what follows the header of a message.
func Payload(msg []byte) []byte { return msg[HeaderLen:] }

// Cut returns the first message of a datagram, and what comes after it. ok is false
// where none fits.
func Cut(datagram []byte) (msg, rest []byte, ok bool) {
	if len(datagram) < HeaderLen {
		return nil, datagram, false
	}
	n := int(U32(datagram))
	if n < HeaderLen || n > len(datagram) {
		return nil, datagram, false
	}
	return datagram[:n], datagram[min(Align(n), len(datagram)):], true
}

// Messages yields the messages of a datagram or run that fit.
func Messages(b []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for {
			msg, rest, ok := Cut(b)
			if !ok || !yield(msg) {
				return
			}
			b = rest
		}
	}
}

// AppendHeader appends a header. length is of the whole message.
func AppendHeader(b []byte, length int, typ, flags uint16, seq uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(length))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	return binary.NativeEndian.AppendUint32(b, 0)
}

// AppendMessage appends a message and its padding.
func AppendMessage(b, msg []byte) []byte {
	b = append(b, msg...)
	return append(b, make([]byte, Align(len(msg))-len(msg))...)
}

package object

import (
	"strconv"

	"kernelroutes/rtnl/wire"
)

// Encap is a lightweight tunnel encapsulation of a route or of one of its
// nexthops: RTA_ENCAP_TYPE and the bytes of RTA_ENCAP; Linux 4.3.
type Encap struct {
	Type uint16 // LWTUNNEL_ENCAP_*; 0: none
	Raw  []byte // payload of RTA_ENCAP, as the kernel sent it (aliases the message)
}

// The types of linux/lwtunnel.h.
const (
	LWTUNNEL_ENCAP_NONE       = 0
	LWTUNNEL_ENCAP_MPLS       = 1
	LWTUNNEL_ENCAP_IP         = 2
	LWTUNNEL_ENCAP_ILA        = 3
	LWTUNNEL_ENCAP_IP6        = 4
	LWTUNNEL_ENCAP_SEG6       = 5
	LWTUNNEL_ENCAP_BPF        = 6
	LWTUNNEL_ENCAP_SEG6_LOCAL = 7
	LWTUNNEL_ENCAP_RPL        = 8
	LWTUNNEL_ENCAP_IOAM6      = 9
	LWTUNNEL_ENCAP_XFRM       = 10
)

var encapNames = [...]string{"", "mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm"}

// decodeType reads RTA_ENCAP_TYPE or NHA_ENCAP_TYPE. LWTUNNEL_ENCAP_NONE, which
// the kernel does not send, is not understood.
func (e *Encap) decodeType(d []byte) bool {
	if len(d) != 2 || wire.U16(d) == LWTUNNEL_ENCAP_NONE {
		return false
	}
	e.Type = wire.U16(d)
	return true
}

func (e *Encap) decodeRaw(d []byte) bool {
	e.Raw = d
	return true
}

// appendUntyped appends a payload that came without a type, so that nobody can
// tell what it means.
func (e *Encap) appendUntyped(unknown []wire.Attr, typ uint16) []wire.Attr {
	if e.Type == LWTUNNEL_ENCAP_NONE && e.Raw != nil {
		unknown = append(unknown, wire.Attr{Type: typ, Data: e.Raw})
	}
	return unknown
}

// TypeName returns iproute2's word for the type, such as "mpls" or "seg6local",
// the number as text for a type without one, and "" for no encapsulation.
func (e Encap) TypeName() string {
	if int(e.Type) < len(encapNames) {
		return encapNames[e.Type]
	}
	return strconv.Itoa(int(e.Type))
}

// EncapCounters are the counters of a seg6local action (SEG6_LOCAL_CNT_*).
type EncapCounters struct {
	Packets uint64 // processed
	Bytes   uint64 // processed
	Errors  uint64 // packets that could not be processed
}

// Counters returns the counters of a seg6local action that was made with "count"
// (SEG6_LOCAL_COUNTERS, Linux 5.13). No other encapsulation has any.
func (e Encap) Counters() (c EncapCounters, ok bool) {
	c, _, _, ok = e.CutCounters()
	return c, ok
}

// CutCounters returns the counters, and what comes before and after them in Raw.
func (e Encap) CutCounters() (c EncapCounters, before, after []byte, ok bool) {
	if e.Type != LWTUNNEL_ENCAP_SEG6_LOCAL {
		return c, e.Raw, nil, false
	}
	a, at := wire.Walk(e.Raw), 0
	for ; a.Next(); at = len(e.Raw) - len(a.Rest) {
		if a.Type != seg6LocalCounters {
			continue
		}
		if c, ok = DecodeCounters(a.Data); ok {
			return c, e.Raw[:at], a.Rest, true
		}
	}
	return c, e.Raw, nil, false
}

// seg6LocalCounters is SEG6_LOCAL_COUNTERS.
const seg6LocalCounters = 10

// DecodeCounters reads the nest SEG6_LOCAL_COUNTERS, in which all three must be.
func DecodeCounters(d []byte) (EncapCounters, bool) {
	const pad, packets, bytes, errors = 1, 2, 3, 4 // SEG6_LOCAL_CNT_*
	var values [errors + 1]uint64
	have := 0
	a := wire.Walk(d)
	for a.Next() {
		if a.Type == pad && len(a.Data) == 0 {
			continue
		}
		if a.Type < packets || a.Type > errors || have&(1<<a.Type) != 0 || len(a.Data) != 8 {
			return EncapCounters{}, false
		}
		have |= 1 << a.Type
		values[a.Type] = wire.U64(a.Data)
	}
	if have != 1<<packets|1<<bytes|1<<errors || !a.OK() {
		return EncapCounters{}, false
	}
	return EncapCounters{Packets: values[packets], Bytes: values[bytes], Errors: values[errors]}, true
}

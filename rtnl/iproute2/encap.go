package iproute2

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"unicode"
	"unicode/utf8"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// Links are interfaces by their index.
type Links interface {
	Link(index uint32) (object.Link, bool)
}

// encapNests is indexed by LWTUNNEL_ENCAP_*. Of several nests the first that
// understands the payload is taken.
var encapNests = [...][]*encapNest{
	object.LWTUNNEL_ENCAP_MPLS:       {&mplsNest},
	object.LWTUNNEL_ENCAP_IP:         {&ipNest},
	object.LWTUNNEL_ENCAP_ILA:        {&ilaNest},
	object.LWTUNNEL_ENCAP_IP6:        {&ip6Nest},
	object.LWTUNNEL_ENCAP_SEG6:       {&seg6Nest},
	object.LWTUNNEL_ENCAP_BPF:        {&bpfNest},
	object.LWTUNNEL_ENCAP_SEG6_LOCAL: {&seg6LocalNest},
	object.LWTUNNEL_ENCAP_RPL:        {&rplNest},
	object.LWTUNNEL_ENCAP_IOAM6:      {&ioam6InlineNest, &ioam6TunnelNest},
	object.LWTUNNEL_ENCAP_XFRM:       {&xfrmNest},
}

// AppendEncap appends what `ip -d route` prints after "encap ", without the blank
// at its end: "mpls 100/200", "seg6 mode encap segs 1 [ fd00::9 ]". It appends
// nothing where there is no encapsulation. Words are one blank apart where
// iproute2 puts two, or begins a new line.
//
// Routing tables are named by names, interfaces by links; one that these do not know
// reads as with iproute2: "if7", and "*" for 0. The counters of a seg6local action are
// left out, as without `ip -s`, so that the text does not change with traffic: see
// object.Encap.Counters.
//
// Where any part is not understood (an unknown attribute, a missing one, a wrong
// length, a value without a word), the text is the type and Raw in hexadecimal,
// but for such counters: "mpls hex:08000100". Known fields that iproute2 leaves
// out, such as the tag of a segment routing header, are left out here too.
func AppendEncap(b []byte, e object.Encap, names *Names, links Links) []byte {
	if e.Type == object.LWTUNNEL_ENCAP_NONE {
		return b
	}
	if int(e.Type) >= len(encapNests) {
		return hex.AppendEncode(append(strconv.AppendUint(b, uint64(e.Type), 10), " hex:"...), e.Raw)
	}
	b = append(b, e.TypeName()...)
	for _, n := range encapNests[e.Type] {
		if text, ok := n.append(b, e.Raw, encapNames{names, links}); ok && len(text) > len(b) {
			return text
		}
	}
	b = append(b, " hex:"...)
	_, before, after, _ := e.CutCounters()
	return hex.AppendEncode(hex.AppendEncode(b, before), after)
}

// A textFunc appends the payload of an attribute as text. Where it returns false
// it did not understand the payload, and what it returns and appended is void.
type textFunc func(b, data []byte) ([]byte, bool)

// encapNest describes an attribute that holds attributes.
type encapNest struct {
	pad   uint16      // the empty attribute that aligns a u64 on some machines; 0: none
	attrs []encapAttr // in the order in which iproute2 prints them

	// named are the texts of the attributes whose value has a name, by their
	// number. Only outermost nests have any.
	named [maxEncapAttr + 1]namedFunc
}

// A namedFunc is a textFunc that looks a name up.
type namedFunc func(b, data []byte, n encapNames) ([]byte, bool)

// encapNames knows the names of what an encapsulation refers to by number.
type encapNames struct {
	tables *Names
	links  Links
}

// encapAttr is one attribute of a nest. Where iproute2 prints something between
// two parts of one attribute, each part has its own.
type encapAttr struct {
	typ  uint16
	lead string   // what comes before the value
	text textFunc // nil: see encapNest.named
	need bool
}

const optional, required = false, true

// maxEncapAttr is the highest attribute number in any nest, SEG6_LOCAL_FLAVORS.
const maxEncapAttr = 11

// text is the textFunc of a nest inside another.
func (n *encapNest) text(b, data []byte) ([]byte, bool) { return n.append(b, data, encapNames{}) }

// append appends the text of a nest: every attribute in data must be known and be
// there once, and every required one must be there.
func (n *encapNest) append(b, data []byte, names encapNames) ([]byte, bool) {
	var vals [maxEncapAttr + 1][]byte
	var have, known uint32 // bit masks of attribute numbers
	a := wire.Walk(data)
	for a.Next() {
		if a.Type == n.pad && n.pad != 0 && len(a.Data) == 0 {
			continue
		}
		if a.Type > maxEncapAttr || have&(1<<a.Type) != 0 {
			return b, false
		}
		have |= 1 << a.Type
		vals[a.Type] = a.Data
	}
	if !a.OK() {
		return b, false
	}
	for i := range n.attrs {
		f := &n.attrs[i]
		known |= 1 << f.typ
		if have&(1<<f.typ) == 0 {
			if f.need {
				return b, false
			}
			continue
		}
		b = append(b, f.lead...)
		var ok bool
		if named := n.named[f.typ]; named != nil {
			b, ok = named(b, vals[f.typ], names)
		} else {
			b, ok = f.text(b, vals[f.typ])
		}
		if !ok {
			return b, false
		}
	}
	return b, have&^known == 0
}

// either understands what one of two functions understands.
func either(x, y textFunc) textFunc {
	return func(b, data []byte) ([]byte, bool) {
		if text, ok := x(b, data); ok {
			return text, true
		}
		return y(b, data)
	}
}

// mplsNest: MPLS_IPTUNNEL_*; Linux 4.3.
var mplsNest = encapNest{attrs: []encapAttr{
	{1, " ", object.AppendLabelStack, required}, // DST
	{2, " ttl ", textU8, optional},              // TTL; Linux 4.12
}}

// ipNest: LWTUNNEL_IP_*; Linux 4.3.
var ipNest = encapNest{pad: 7, attrs: []encapAttr{
	{1, " id ", textBE64, optional},    // ID
	{3, " src ", textAddr4, optional},  // SRC
	{2, " dst ", textAddr4, optional},  // DST
	{4, " ttl ", textU8, optional},     // TTL
	{5, " tos ", textU8, optional},     // TOS
	{6, "", textTunnelFlags, optional}, // FLAGS
	{8, "", textTunnelOpts, optional},  // OPTS; Linux 5.5
}}

// ip6Nest: LWTUNNEL_IP6_*; Linux 4.3.
var ip6Nest = encapNest{pad: 7, attrs: []encapAttr{
	{1, " id ", textBE64, optional},     // ID
	{3, " src ", textAddr6, optional},   // SRC
	{2, " dst ", textAddr6, optional},   // DST
	{4, " hoplimit ", textU8, optional}, // HOPLIMIT
	{5, " tc ", textU8, optional},       // TC
	{6, "", textTunnelFlags, optional},  // FLAGS
	{8, "", textTunnelOpts, optional},   // OPTS; Linux 5.5
}}

// textTunnelFlags: LWTUNNEL_IP_FLAGS, a big-endian mask of which iproute2 prints
// TUNNEL_KEY, TUNNEL_CSUM and TUNNEL_SEQ.
func textTunnelFlags(b, data []byte) ([]byte, bool) {
	if len(data) != 2 {
		return b, false
	}
	flags := binary.BigEndian.Uint16(data)
	if flags&0x4 != 0 {
		b = append(b, " key"...)
	}
	if flags&0x1 != 0 {
		b = append(b, " csum"...)
	}
	if flags&0x8 != 0 {
		b = append(b, " seq"...)
	}
	return b, true
}

// textTunnelOpts: LWTUNNEL_IP_OPTS, which holds the options of one kind of tunnel:
// LWTUNNEL_IP_OPTS_GENEVE, _VXLAN or _ERSPAN.
func textTunnelOpts(b, data []byte) ([]byte, bool) {
	a := wire.Walk(data)
	if !a.Next() {
		return b, false
	}
	typ, opts := a.Type, a.Data
	if a.Next() || !a.OK() {
		return b, false
	}
	switch typ {
	case 1:
		return textGeneve(append(b, " geneve_opts"...), opts)
	case 2:
		return vxlanNest.text(append(b, " vxlan_opts"...), opts)
	case 3:
		return textERSPAN(append(b, " erspan_opts"...), opts)
	}
	return b, false
}

// geneveOpt is one option: LWTUNNEL_IP_OPT_GENEVE_CLASS, _TYPE and _DATA.
var geneveOpt = [...]encapAttr{
	{1, ",", textBE16, required},
	{2, ":", textU8, required},
	{3, ":", textGeneveData, required},
}

// textGeneve: LWTUNNEL_IP_OPTS_GENEVE, the attributes of one option after those of
// another.
func textGeneve(b, data []byte) ([]byte, bool) {
	a, n := wire.Walk(data), 0
	for ; a.Next(); n++ {
		f := &geneveOpt[n%len(geneveOpt)]
		if a.Type != f.typ {
			return b, false
		}
		lead := f.lead
		if n == 0 {
			lead = " "
		}
		var ok bool
		if b, ok = f.text(append(b, lead...), a.Data); !ok {
			return b, false
		}
	}
	return b, a.OK() && n > 0 && n%len(geneveOpt) == 0
}

// textGeneveData appends an option's data, which come in words of four bytes.
func textGeneveData(b, data []byte) ([]byte, bool) {
	return hex.AppendEncode(b, data), len(data)%4 == 0
}

// vxlanNest: LWTUNNEL_IP_OPT_VXLAN_GBP.
var vxlanNest = encapNest{attrs: []encapAttr{{1, " ", textU32, required}}}

// LWTUNNEL_IP_OPT_ERSPAN_*, printed as version:index:direction:hardware id. The
// last two are of version 2, the index is of version 1.
var (
	textERSPAN  = either(erspan1Nest.text, erspan2Nest.text)
	erspan1Nest = encapNest{attrs: []encapAttr{
		{1, " ", words{1: "1"}.u8, required}, // VER
		{2, ":", textBE32, required},         // INDEX
		{2, ":0:0", textNone, required},
	}}
	erspan2Nest = encapNest{attrs: []encapAttr{
		{1, " ", words{2: "2:0"}.u8, required}, // VER
		{3, ":", textU8, required},             // DIR
		{4, ":", textU8, required},             // HWID
	}}
)

// ilaNest: ILA_ATTR_*; Linux 4.3.
var ilaNest = encapNest{pad: 6, attrs: []encapAttr{
	{1, " ", textLocator, required},                 // LOCATOR
	{7, " csum-mode ", ilaCsumModes.u8, optional},   // CSUM_MODE
	{8, " ident-type ", ilaIdentTypes.u8, optional}, // IDENT_TYPE
	{9, " hook-type ", ilaHookTypes.u8, optional},   // HOOK_TYPE
}}

// ILA_CSUM_*, ILA_ATYPE_* and ILA_HOOK_*.
var (
	ilaCsumModes  = words{"adj-transport", "neutral-map", "no-action", "neutral-map-auto"}
	ilaIdentTypes = words{"iid", "luid", "virt-v4", "virt-uni-v6", "virt-multi-v6", "nonlocal-addr", 32: "use-format"}
	ilaHookTypes  = words{"output", "input"}
)

// textLocator appends the upper half of an IPv6 address.
func textLocator(b, data []byte) ([]byte, bool) {
	if len(data) != 8 {
		return b, false
	}
	for i := 0; i < len(data); i += 2 {
		if i > 0 {
			b = append(b, ':')
		}
		b = strconv.AppendUint(b, uint64(binary.BigEndian.Uint16(data[i:])), 16)
	}
	return b, true
}

// seg6Nest: SEG6_IPTUNNEL_*, struct seg6_iptunnel_encap; Linux 4.10.
var seg6Nest = encapNest{attrs: []encapAttr{
	{1, " mode ", textSeg6Mode, required}, // SRH, its first part
	{2, " tunsrc ", textAddr6, optional},  // SRC; newer than Linux 6.18
	{1, "", textSeg6SRH, required},        // SRH, its second part
	{3, " lookup ", nil, optional},        // TABLE; Linux 7.3
}, named: [maxEncapAttr + 1]namedFunc{3: namedTable}}

// seg6Modes are SEG6_IPTUN_MODE_*; l2encap Linux 4.14, the reduced ones 6.0.
var seg6Modes = words{"inline", "encap", "l2encap", "encap.red", "l2encap.red"}

// textSeg6Mode appends the mode, which is an int before the header.
func textSeg6Mode(b, data []byte) ([]byte, bool) {
	return seg6Modes.u32(b, data[:min(4, len(data))])
}

func textSeg6SRH(b, data []byte) ([]byte, bool) {
	return textSRH(b, data[min(4, len(data)):])
}

// textSRH appends a segment routing header: struct ipv6_sr_hdr, RFC 8754. Its
// segments are stored last first.
func textSRH(b, srh []byte) ([]byte, bool) {
	const (
		header     = 8
		typeSRH    = 4    // IPV6_SRCRT_TYPE_4
		flagHMAC   = 0x08 // SR6_FLAG1_HMAC
		tlvHMAC    = 5    // SR6_TLV_HMAC
		tlvHMACLen = 38   // struct sr6_tlv_hmac without struct sr6_tlv
	)
	if len(srh) < header || (int(srh[1])+1)*8 != len(srh) || srh[2] != typeSRH {
		return b, false
	}
	end := header + (int(srh[4])+1)*in6Len
	if end > len(srh) {
		return b, false
	}
	b = textSegments(b, srh[header:end])
	tlv := srh[end:]
	if srh[5]&flagHMAC == 0 {
		return b, len(tlv) == 0
	}
	if len(tlv) != 2+tlvHMACLen || tlv[0] != tlvHMAC || tlv[1] != tlvHMACLen {
		return b, false
	}
	b = append(b, " hmac "...)
	key := len(b)
	b = strconv.AppendUint(b, uint64(binary.BigEndian.Uint32(tlv[4:])), 16)
	for i := key; i < len(b); i++ {
		if b[i] >= 'a' {
			b[i] -= 'a' - 'A'
		}
	}
	return b, true
}

// in6Len is the size of struct in6_addr.
const in6Len = 16

// textSegments appends the number of IPv6 addresses, and each, the last one first.
func textSegments(b, segs []byte) []byte {
	b = append(b, " segs "...)
	b = strconv.AppendInt(b, int64(len(segs)/in6Len), 10)
	b = append(b, " [ "...)
	for i := len(segs); i > 0; i -= in6Len {
		b, _ = textAddr6(b, segs[i-in6Len:i])
		b = append(b, ' ')
	}
	return append(b, ']')
}

// seg6LocalNest: SEG6_LOCAL_*; Linux 4.14.
var seg6LocalNest = encapNest{attrs: []encapAttr{
	{1, " action ", seg6Actions.u32, required}, // ACTION
	{2, "", textSRH, optional},                 // SRH
	{3, " table ", nil, optional},              // TABLE
	{9, " vrftable ", nil, optional},           // VRFTABLE; Linux 5.11
	{4, " nh4 ", textAddr4, optional},          // NH4
	{5, " nh6 ", textAddr6, optional},          // NH6
	{6, " iif ", nil, optional},                // IIF
	{7, " oif ", nil, optional},                // OIF
	{8, " endpoint", progNest.text, optional},  // BPF; Linux 4.18
	{10, "", textCounters, optional},           // COUNTERS; Linux 5.13
	{11, "", seg6FlavorsNest.text, optional},   // FLAVORS; Linux 6.1
}, named: [maxEncapAttr + 1]namedFunc{3: namedTable, 9: namedTable, 6: namedLink, 7: namedLink}}

// seg6Actions are SEG6_LOCAL_ACTION_*; End.DT46 Linux 5.14.
var seg6Actions = words{1: "End", "End.X", "End.T", "End.DX2", "End.DX6", "End.DX4", "End.DT6", "End.DT4",
	"End.B6", "End.B6.Encaps", "End.BM", "End.S", "End.AS", "End.AM", "End.BPF", "End.DT46"}

// textCounters says nothing of the counters: see Encap.Counters.
func textCounters(b, data []byte) ([]byte, bool) {
	_, ok := object.DecodeCounters(data)
	return b, ok
}

// seg6FlavorsNest: SEG6_LOCAL_FLV_*.
var seg6FlavorsNest = encapNest{attrs: []encapAttr{
	{1, " flavors ", textFlavors, required}, // OPERATION
	{2, " lblen ", textU8, optional},        // LCBLOCK_BITS
	{3, " nflen ", textU8, optional},        // LCNODE_FN_BITS
}}

// seg6Flavors are the bits SEG6_LOCAL_FLV_OP_*; next-csid Linux 6.1, psp 6.3.
var seg6Flavors = []string{1: "psp", 2: "usp", 3: "usd", 4: "next-csid"}

func textFlavors(b, data []byte) ([]byte, bool) {
	if len(data) != 4 || wire.U32(data) == 0 || wire.U32(data)&^0x1e != 0 {
		return b, false
	}
	return appendBits(b, uint64(wire.U32(data)), seg6Flavors), true
}

// bpfNest: LWT_BPF_*; Linux 4.10. The kernel never sends XMIT_HEADROOM, which
// iproute2 prints without a word before it.
var bpfNest = encapNest{attrs: []encapAttr{
	{1, " in", progNest.text, optional},   // IN
	{2, " out", progNest.text, optional},  // OUT
	{3, " xmit", progNest.text, optional}, // XMIT
	{4, " ", textU32, optional},           // XMIT_HEADROOM
}}

// progNest is a BPF program: LWT_BPF_PROG_*, SEG6_LOCAL_BPF_PROG*. iproute2 prints
// its name alone; its number is an id where the kernel sends it.
var progNest = encapNest{attrs: []encapAttr{
	{1, "", textNone4, optional}, // LWT_BPF_PROG_FD, SEG6_LOCAL_BPF_PROG
	{2, " ", textName, optional}, // LWT_BPF_PROG_NAME, SEG6_LOCAL_BPF_PROG_NAME
}}

// textName appends a string that ends with its only NUL. One that could not be
// printed as it is, is not understood.
func textName(b, data []byte) ([]byte, bool) {
	name, ok := bytes.CutSuffix(data, []byte{0})
	if !ok || !utf8.Valid(name) || bytes.ContainsFunc(name, notPrintable) {
		return b, false
	}
	return append(b, name...), true
}

func notPrintable(r rune) bool { return !unicode.IsPrint(r) }

// rplNest: RPL_IPTUNNEL_SRH, struct ipv6_rpl_sr_hdr; Linux 5.7.
var rplNest = encapNest{attrs: []encapAttr{{1, "", textRPL, required}}}

// textRPL appends the segments of a source routing header for RPL, RFC 6554, whose
// addresses are not compressed: the kernel takes no others.
func textRPL(b, srh []byte) ([]byte, bool) {
	const (
		header  = 8
		typeRPL = 3 // IPV6_SRCRT_TYPE_3
	)
	if len(srh) < header+in6Len || (int(srh[1])+1)*8 != len(srh) || srh[2] != typeRPL || srh[4] != 0 {
		return b, false
	}
	if header+int(srh[3])*in6Len != len(srh) {
		return b, false
	}
	return textSegments(b, srh[header:]), true
}

// IOAM6_IPTUNNEL_*; Linux 5.15, in this form 5.18. The modes that encapsulate have
// a destination and perhaps (Linux 6.12) a source, the inline mode has neither.
var (
	ioam6InlineNest = encapNest{attrs: []encapAttr{
		{4, " freq ", textU32, required},                  // FREQ_K
		{5, "/", textU32, required},                       // FREQ_N
		{1, " mode ", words{1: "inline"}.u8, required},    // MODE
		{3, " trace prealloc ", textIOAM6Trace, required}, // TRACE
	}}
	ioam6TunnelNest = encapNest{attrs: []encapAttr{
		{4, " freq ", textU32, required},                         // FREQ_K
		{5, "/", textU32, required},                              // FREQ_N
		{1, " mode ", words{2: "encap", 3: "auto"}.u8, required}, // MODE
		{6, " tunsrc ", textAddr6, optional},                     // SRC
		{2, " tundst ", textAddr6, required},                     // DST
		{3, " trace prealloc ", textIOAM6Trace, required},        // TRACE
	}}
)

// textIOAM6Trace appends a struct ioam6_trace_hdr: the trace type (24 bits), the
// namespace, and the room for data in bytes, which the header counts in fours.
func textIOAM6Trace(b, trace []byte) ([]byte, bool) {
	if len(trace) != 8 || trace[4]|trace[5]|trace[6] == 0 {
		return b, false
	}
	b = append(b, "type 0x"...)
	b = hex.AppendEncode(b, trace[4:7])
	b = append(b, " ns "...)
	b = strconv.AppendUint(b, uint64(binary.BigEndian.Uint16(trace)), 10)
	b = append(b, " size "...)
	return strconv.AppendUint(b, uint64(trace[3]&0x7f)*4, 10), true
}

// xfrmNest: LWT_XFRM_*; Linux 6.1.
var xfrmNest = encapNest{attrs: []encapAttr{
	{1, " if_id ", textU32, required}, // IF_ID
	{2, " link_dev ", nil, optional},  // LINK
}, named: [maxEncapAttr + 1]namedFunc{2: namedLink}}

// words names the values of an enumeration; a value at "" has no name.
type words []string

func (w words) u8(b, data []byte) ([]byte, bool) {
	if len(data) != 1 {
		return b, false
	}
	return w.word(b, uint32(data[0]))
}

func (w words) u32(b, data []byte) ([]byte, bool) {
	if len(data) != 4 {
		return b, false
	}
	return w.word(b, wire.U32(data))
}

func (w words) word(b []byte, n uint32) ([]byte, bool) {
	if uint64(n) >= uint64(len(w)) || w[n] == "" {
		return b, false
	}
	return append(b, w[n]...), true
}

// textNone says nothing of an attribute.
func textNone(b, _ []byte) ([]byte, bool) { return b, true }

// textNone4 says nothing of a u32.
func textNone4(b, data []byte) ([]byte, bool) { return b, len(data) == 4 }

// Numbers: in host byte order, or with BE in network byte order.
var (
	textU8   = number(1, binary.NativeEndian)
	textU32  = number(4, binary.NativeEndian)
	textBE16 = number(2, binary.BigEndian)
	textBE32 = number(4, binary.BigEndian)
	textBE64 = number(8, binary.BigEndian)
)

// number returns a textFunc for an unsigned integer of so many bytes.
func number(size int, order binary.ByteOrder) textFunc {
	return func(b, data []byte) ([]byte, bool) {
		if len(data) != size {
			return b, false
		}
		var v uint64
		switch size {
		case 1:
			v = uint64(data[0])
		case 2:
			v = uint64(order.Uint16(data))
		case 4:
			v = uint64(order.Uint32(data))
		case 8:
			v = order.Uint64(data)
		}
		return strconv.AppendUint(b, v, 10), true
	}
}

func textAddr4(b, data []byte) ([]byte, bool) {
	if len(data) != 4 {
		return b, false
	}
	return netip.AddrFrom4([4]byte(data)).AppendTo(b), true
}

func textAddr6(b, data []byte) ([]byte, bool) {
	if len(data) != in6Len {
		return b, false
	}
	return object.AppendAddr(b, netip.AddrFrom16([16]byte(data))), true
}

// namedTable appends a routing table by its name (rtnl_rttable_n2a).
func namedTable(b, data []byte, n encapNames) ([]byte, bool) {
	if len(data) != 4 {
		return b, false
	}
	return n.tables.AppendTable(b, wire.U32(data)), true
}

// namedLink appends an interface by its name, or as iproute2 shows one that has
// none (ll_index_to_name).
func namedLink(b, data []byte, n encapNames) ([]byte, bool) {
	if len(data) != 4 {
		return b, false
	}
	index := wire.U32(data)
	if index == 0 {
		return append(b, '*'), true
	}
	if l, ok := n.links.Link(index); ok {
		return append(b, l.Name...), true
	}
	return strconv.AppendUint(append(b, "if"...), uint64(index), 10), true
}

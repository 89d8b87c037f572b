package rtnl

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// encapCaptures are RTA_ENCAP as Linux 6.18 sent it (x86-64) for routes made with
// `ip route add 192.0.2.0/24 ENCAP dev d0`, `ip -6 route add 2001:db8::/64 ENCAP
// dev d0`, and what `ip -d route` of iproute2 7.1 printed for them; the index of
// the device d1 was 5.
var encapCaptures = []struct {
	encap string // arguments of ip route
	typ   uint16
	raw   string
	want  string // "": what follows "encap " in encap
}{
	{"encap ip id 42 dst 10.0.0.2", unix.LWTUNNEL_ENCAP_IP,
		"0c000100000000000000002a080002000a0000020800030000000000050005000000000005000400000000000600060000000000",
		"ip id 42 src 0.0.0.0 dst 10.0.0.2 ttl 0 tos 0"},
	{"encap ip id 0x100000001 src 10.0.0.1 dst 10.0.0.2 ttl 64 tos 0x10 key csum seq", unix.LWTUNNEL_ENCAP_IP,
		"0c0001000000000100000001080002000a000002080003000a0000010500050010000000050004004000000006000600000d0000",
		"ip id 4294967297 src 10.0.0.1 dst 10.0.0.2 ttl 64 tos 16 key csum seq"},
	{"encap ip6 id 42 dst fd00::9", unix.LWTUNNEL_ENCAP_IP6,
		"0c000100000000000000002a14000200fd0000000000000000000000000000091400030000000000000000000000000000000000" +
			"050005000000000005000400000000000600060000000000",
		"ip6 id 42 src :: dst fd00::9 hoplimit 0 tc 0"},
	{"encap ip6 id 7 src fd00::1 dst fd00::9 hoplimit 64 tc 50 key csum seq", unix.LWTUNNEL_ENCAP_IP6,
		"0c000100000000000000000714000200fd00000000000000000000000000000914000300fd000000000000000000000000000001" +
			"0500050032000000050004004000000006000600000d0000", ""},
	{"encap seg6 mode inline segs fd00::9,fd00::a", unix.LWTUNNEL_ENCAP_SEG6,
		"4000010000000000000604020200000000000000000000000000000000000000fd00000000000000000000000000000a" +
			"fd000000000000000000000000000009",
		"seg6 mode inline segs 3 [ fd00::9 fd00::a :: ]"},
	{"encap seg6 mode encap segs fd00::9", unix.LWTUNNEL_ENCAP_SEG6,
		"20000100010000000002040000000000fd000000000000000000000000000009",
		"seg6 mode encap segs 1 [ fd00::9 ]"},
	{"encap seg6 mode l2encap segs fd00::9,fd00::a", unix.LWTUNNEL_ENCAP_SEG6,
		"30000100020000000004040101000000fd00000000000000000000000000000afd000000000000000000000000000009",
		"seg6 mode l2encap segs 2 [ fd00::9 fd00::a ]"},
	{"encap seg6 mode encap.red segs fd00::9,fd00::a", unix.LWTUNNEL_ENCAP_SEG6,
		"30000100030000000004040101000000fd00000000000000000000000000000afd000000000000000000000000000009",
		"seg6 mode encap.red segs 2 [ fd00::9 fd00::a ]"},
	{"encap seg6 mode l2encap.red segs fd00::9,fd00::a", unix.LWTUNNEL_ENCAP_SEG6,
		"30000100040000000004040101000000fd00000000000000000000000000000afd000000000000000000000000000009",
		"seg6 mode l2encap.red segs 2 [ fd00::9 fd00::a ]"},
	{"encap seg6 mode encap segs ::ffff:1.2.3.4,::1.2.3.4,::1:0:0,::,::1", unix.LWTUNNEL_ENCAP_SEG6,
		"6000010001000000000a040404000000000000000000000000000000000000010000000000000000000000000000000000000000" +
			"0000000000000001000000000000000000000000000000000102030400000000000000000000ffff01020304",
		"seg6 mode encap segs 5 [ ::ffff:1.2.3.4 ::1.2.3.4 ::1:0:0 :: ::1 ]"},
	{"encap seg6 mode encap segs fd00::9,fd00::a hmac 0x2a", unix.LWTUNNEL_ENCAP_SEG6,
		"58000100010000000009040101080000fd00000000000000000000000000000afd000000000000000000000000000009" +
			"052600000000002a0000000000000000000000000000000000000000000000000000000000000000",
		"seg6 mode encap segs 2 [ fd00::9 fd00::a ] hmac 2A"},
	{"encap seg6local action End", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, "0800010001000000", ""},
	{"encap seg6local action End.X nh6 fd00::9 oif d1", unix.LWTUNNEL_ENCAP_SEG6_LOCAL,
		"080001000200000014000500fd0000000000000000000000000000090800070005000000",
		"seg6local action End.X nh6 fd00::9 oif if5"},
	{"encap seg6local action End.T table 100", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, "08000100030000000800030064000000", ""},
	{"encap seg6local action End.T table main", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, "080001000300000008000300fe000000", ""},
	{"encap seg6local action End.DX2 oif d1", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, "08000100040000000800070005000000",
		"seg6local action End.DX2 oif if5"},
	{"encap seg6local action End.DX6 nh6 fd00::9", unix.LWTUNNEL_ENCAP_SEG6_LOCAL,
		"080001000500000014000500fd000000000000000000000000000009", ""},
	{"encap seg6local action End.DX4 nh4 10.9.0.2", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, "0800010006000000080004000a090002", ""},
	{"encap seg6local action End.DT6 table 0", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, "08000100070000000800030000000000",
		"seg6local action End.DT6 table unspec"},
	{"encap seg6local action End.B6 srh segs fd00::9", unix.LWTUNNEL_ENCAP_SEG6_LOCAL,
		"08000100090000002c000200000404010100000000000000000000000000000000000000fd000000000000000000000000000009",
		"seg6local action End.B6 segs 2 [ fd00::9 :: ]"},
	{"encap seg6local action End.B6.Encaps srh segs fd00::9 hmac 0x2a", unix.LWTUNNEL_ENCAP_SEG6_LOCAL,
		"080001000a000000440002000007040000080000fd000000000000000000000000000009052600000000002a" +
			"0000000000000000000000000000000000000000000000000000000000000000",
		"seg6local action End.B6.Encaps segs 1 [ fd00::9 ] hmac 2A"},
	{"encap seg6local action End count", unix.LWTUNNEL_ENCAP_SEG6_LOCAL,
		"080001000100000028000a800c00020000000000000000000c00030000000000000000000c0004000000000000000000",
		"seg6local action End"},
	{"encap seg6local action End flavors psp", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, "08000100010000000c000b800800010002000000", ""},
	{"encap seg6local action End flavors psp,next-csid lblen 32 nflen 32 count", unix.LWTUNNEL_ENCAP_SEG6_LOCAL,
		"080001000100000028000a800c00020000000000000000000c00030000000000000000000c00040000000000000000001c000b80" +
			"080001001200000005000200200000000500030020000000",
		"seg6local action End flavors psp,next-csid lblen 32 nflen 32"},
	{"encap seg6local action End.BPF endpoint pinned /sys/fs/bpf/seg6", unix.LWTUNNEL_ENCAP_SEG6_LOCAL,
		"080001000f00000020000800080001006400000012000200736567363a5b2a66736f626a5d000000",
		"seg6local action End.BPF endpoint seg6:[*fsobj]"},
	{"encap bpf in pinned /sys/fs/bpf/in out pinned /sys/fs/bpf/out xmit pinned /sys/fs/bpf/xmit headroom 64",
		unix.LWTUNNEL_ENCAP_BPF,
		"1400010010000200696e3a5b2a66736f626a5d0018000200110002006f75743a5b2a66736f626a5d000000001800030012000200" +
			"786d69743a5b2a66736f626a5d000000",
		"bpf in in:[*fsobj] out out:[*fsobj] xmit xmit:[*fsobj]"},
}

// noLinks is a snapshot that knows no interface.
var noLinks Snapshot

// encapText appends the text with the names of iproute2's stock files, and with
// interfaces that have none.
func encapText(b []byte, e Encap) []byte { return e.AppendText(b, BuiltinNames(), &noLinks) }

func TestEncapCaptured(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the captures are little-endian")
	}
	for _, c := range encapCaptures {
		raw, err := hex.DecodeString(c.raw)
		if err != nil {
			t.Fatalf("%s: %v", c.encap, err)
		}
		want := c.want
		if want == "" {
			want = strings.TrimPrefix(c.encap, "encap ")
		}
		if got := string(encapText(nil, Encap{c.typ, raw})); got != want {
			t.Errorf("%s:\n got %q\nwant %q", c.encap, got, want)
		}
	}
}

// encAttr makes an attribute, padded, encNE and encBE make numbers.
func encAttr(typ uint16, parts ...[]byte) []byte {
	data := bytes.Join(parts, nil)
	b := append(encNE(uint16(4+len(data))), encNE(typ)...)
	b = append(b, data...)
	return append(b, make([]byte, align4(len(data))-len(data))...)
}

func encNE[T uint8 | uint16 | uint32 | uint64](v T) []byte {
	b, _ := binary.Append(nil, binary.NativeEndian, v)
	return b
}

func encBE[T uint16 | uint32 | uint64](v T) []byte {
	b, _ := binary.Append(nil, binary.BigEndian, v)
	return b
}

func encStr(s string) []byte { return append([]byte(s), 0) }

func encCat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

var (
	encAddr9 = []byte{0xfd, 15: 9} // fd00::9
	encAddrA = []byte{0xfd, 15: 10}
	encSRH1  = encCat([]byte{0, 2, 4, 0, 0, 0, 0, 0}, encAddr9)
	encSRH2  = encCat([]byte{0, 4, 4, 1, 1, 0, 0, 0}, encAddrA, encAddr9)
	encHMAC  = encCat([]byte{0, 7, 4, 0, 0, 8, 0, 0}, encAddr9, []byte{5, 38, 0, 0}, encBE(uint32(0xabcdef01)), make([]byte, 32))
	encRPL2  = encCat([]byte{0, 4, 3, 2, 0, 0, 0, 0}, encAddrA, encAddr9)
	encTrace = []byte{0, 123, 0x10, 0x80 | 3, 0x80, 0x10, 0, 0}
	encFreq  = encCat(encAttr(4, encNE(uint32(1))), encAttr(5, encNE(uint32(3))))
	encEnd   = encAttr(1, encNE(uint32(1))) // seg6local action End
	encIPDst = encAttr(2, []byte{10, 0, 0, 2})
)

func encLabels(entries ...uint32) []byte {
	var b []byte
	for _, e := range entries {
		b = append(b, encBE(e)...)
	}
	return b
}

// encGeneve makes one option.
func encGeneve(class uint16, typ uint8, data ...byte) []byte {
	return encCat(encAttr(1, encBE(class)), encAttr(2, encNE(typ)), encAttr(3, data))
}

// encapCrafted are made from the kernel's headers; want is what iproute2 7.1
// prints for them with `ip -d route showdump`.
var encapCrafted = []struct {
	typ  uint16
	raw  []byte
	want string
}{
	{unix.LWTUNNEL_ENCAP_MPLS, encAttr(1, encLabels(100<<12|0x100)), "mpls 100"},
	{unix.LWTUNNEL_ENCAP_MPLS, encAttr(1, encLabels(100<<12, 200<<12|0x100)), "mpls 100/200"},
	{unix.LWTUNNEL_ENCAP_MPLS, encAttr(1, encLabels(0xfffff<<12|0xe00|0x100|0xff)), "mpls 1048575"},
	{unix.LWTUNNEL_ENCAP_MPLS, encCat(encAttr(2, []byte{64}), encAttr(1, encLabels(16<<12|0x100))), "mpls 16 ttl 64"},

	{unix.LWTUNNEL_ENCAP_IP, encIPDst, "ip dst 10.0.0.2"},
	{unix.LWTUNNEL_ENCAP_IP, encCat(encAttr(7), encAttr(1, encBE(uint64(1<<63))), encIPDst), "ip id 9223372036854775808 dst 10.0.0.2"},
	{unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encAttr(6, encBE(uint16(0x4)))), "ip dst 10.0.0.2 key"},
	{unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encAttr(6, encBE(uint16(0x8|0x100)))), "ip dst 10.0.0.2 seq"},
	{unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encAttr(8|unix.NLA_F_NESTED, encAttr(1|unix.NLA_F_NESTED, encGeneve(0x102, 128, 0xab, 1, 2, 3)))),
		"ip dst 10.0.0.2 geneve_opts 258:128:ab010203"},
	{unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encAttr(8, encAttr(1, encGeneve(1, 2, 1, 2, 3, 4), encGeneve(3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc)))),
		"ip dst 10.0.0.2 geneve_opts 1:2:01020304,3:4:05060708090a0b0c"},
	{unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encAttr(8, encAttr(2, encAttr(1, encNE(uint32(456)))))), "ip dst 10.0.0.2 vxlan_opts 456"},
	{unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encAttr(8, encAttr(3, encAttr(1, []byte{1}), encAttr(2, encBE(uint32(123)))))),
		"ip dst 10.0.0.2 erspan_opts 1:123:0:0"},
	{unix.LWTUNNEL_ENCAP_IP6, encCat(encAttr(2, encAddr9), encAttr(8, encAttr(3, encAttr(1, []byte{2}), encAttr(3, []byte{1}), encAttr(4, []byte{48})))),
		"ip6 dst fd00::9 erspan_opts 2:0:1:48"},

	{unix.LWTUNNEL_ENCAP_ILA, encAttr(1, []byte{0x20, 1, 0, 0, 0, 0x87, 0xab, 0xcd}), "ila 2001:0:87:abcd"},
	{unix.LWTUNNEL_ENCAP_ILA, encCat(encAttr(6), encAttr(1, make([]byte, 8)), encAttr(7, []byte{0}), encAttr(8, []byte{1}), encAttr(9, []byte{0})),
		"ila 0:0:0:0 csum-mode adj-transport ident-type luid hook-type output"},
	{unix.LWTUNNEL_ENCAP_ILA, encCat(encAttr(1, make([]byte, 8)), encAttr(7, []byte{3}), encAttr(8, []byte{32}), encAttr(9, []byte{1})),
		"ila 0:0:0:0 csum-mode neutral-map-auto ident-type use-format hook-type input"},

	{unix.LWTUNNEL_ENCAP_SEG6, encCat(encAttr(1, encNE(uint32(1)), encSRH2), encAttr(2, encAddr9)),
		"seg6 mode encap tunsrc fd00::9 segs 2 [ fd00::9 fd00::a ]"},
	{unix.LWTUNNEL_ENCAP_SEG6, encAttr(1, encNE(uint32(4)), encHMAC), "seg6 mode l2encap.red segs 1 [ fd00::9 ] hmac ABCDEF01"},

	{unix.LWTUNNEL_ENCAP_BPF, encAttr(1|unix.NLA_F_NESTED, encAttr(2, encStr("in.o:[one two]"))), "bpf in in.o:[one two]"},
	{unix.LWTUNNEL_ENCAP_BPF, encCat(encAttr(2), encAttr(3, encAttr(1, encNE(uint32(7))))), "bpf out xmit"},
	{unix.LWTUNNEL_ENCAP_BPF, encCat(encAttr(3, encAttr(2, encStr("x"))), encAttr(4, encNE(uint32(256)))), "bpf xmit x 256"},

	{unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(encAttr(1, encNE(uint32(8))), encAttr(9, encNE(uint32(100)))), "seg6local action End.DT4 vrftable 100"},
	{unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(encAttr(1, encNE(uint32(16))), encAttr(9, encNE(uint32(255)))), "seg6local action End.DT46 vrftable local"},
	{unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(encAttr(1, encNE(uint32(13))), encAttr(6, encNE(uint32(0))), encAttr(7, encNE(uint32(1<<31)))),
		"seg6local action End.AS iif * oif if2147483648"},
	{unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(
		encAttr(11, encAttr(1, encNE(uint32(0x1e))), encAttr(2, []byte{32}), encAttr(3, []byte{16})),
		encAttr(10, encAttr(1), encAttr(2, encNE(uint64(1))), encAttr(1), encAttr(3, encNE(uint64(1<<63))), encAttr(1), encAttr(4, encNE(uint64(3)))),
		encAttr(8, encAttr(1, encNE(uint32(7))), encAttr(2, encStr("prog"))), encAttr(7, encNE(uint32(4))), encAttr(6, encNE(uint32(3))),
		encAttr(5, encAddr9), encAttr(4, []byte{10, 0, 0, 2}), encAttr(9, encNE(uint32(253))), encAttr(3, encNE(uint32(256))),
		encAttr(2, encSRH1), encAttr(1, encNE(uint32(10)))),
		"seg6local action End.B6.Encaps segs 1 [ fd00::9 ] table 256 vrftable default nh4 10.0.0.2 nh6 fd00::9 iif if3 oif if4" +
			" endpoint prog flavors psp,usp,usd,next-csid lblen 32 nflen 16"},

	{unix.LWTUNNEL_ENCAP_RPL, encAttr(1, encRPL2), "rpl segs 2 [ fd00::9 fd00::a ]"},

	{unix.LWTUNNEL_ENCAP_IOAM6, encCat(encFreq, encAttr(1, []byte{1}), encAttr(3, encTrace)),
		"ioam6 freq 1/3 mode inline trace prealloc type 0x801000 ns 123 size 12"},
	{unix.LWTUNNEL_ENCAP_IOAM6, encCat(encFreq, encAttr(1, []byte{2}), encAttr(2, encAddr9), encAttr(3, encTrace)),
		"ioam6 freq 1/3 mode encap tundst fd00::9 trace prealloc type 0x801000 ns 123 size 12"},
	{unix.LWTUNNEL_ENCAP_IOAM6, encCat(encFreq, encAttr(1, []byte{3}), encAttr(6, encAddrA), encAttr(2, encAddr9), encAttr(3, []byte{0, 0, 0, 61, 0, 0, 2, 0})),
		"ioam6 freq 1/3 mode auto tunsrc fd00::a tundst fd00::9 trace prealloc type 0x000002 ns 0 size 244"},

	{unix.LWTUNNEL_ENCAP_XFRM, encAttr(1, encNE(uint32(0xffffffff))), "xfrm if_id 4294967295"},
	{unix.LWTUNNEL_ENCAP_XFRM, encCat(encAttr(1, encNE(uint32(7))), encAttr(2, encNE(uint32(9)))), "xfrm if_id 7 link_dev if9"},
}

func TestEncapCrafted(t *testing.T) {
	for _, c := range encapCrafted {
		if got := string(encapText(nil, Encap{c.typ, c.raw})); got != c.want {
			t.Errorf("%x:\n got %q\nwant %q", c.raw, got, c.want)
		}
	}
}

// encWith changes bytes of a copy of b: offset, value, offset, value.
func encWith(b []byte, changes ...byte) []byte {
	b = bytes.Clone(b)
	for i := 0; i < len(changes); i += 2 {
		b[changes[i]] = changes[i+1]
	}
	return b
}

// encapVague are encapsulations of which some part is not understood.
var encapVague = []struct {
	what string
	typ  uint16
	raw  []byte
}{
	{"nothing inside", unix.LWTUNNEL_ENCAP_IP, nil},
	{"padding alone", unix.LWTUNNEL_ENCAP_IP, encAttr(7)},
	{"no attribute", unix.LWTUNNEL_ENCAP_IP, []byte{1, 2}},
	{"truncated attribute", unix.LWTUNNEL_ENCAP_IP, encIPDst[:7]},
	{"attribute of length 0", unix.LWTUNNEL_ENCAP_IP, make([]byte, 8)},
	{"attribute number 0", unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encAttr(0))},
	{"unknown attribute", unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encAttr(9, []byte{1}))},
	{"unknown attribute, large", unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encAttr(maxEncapAttr+1, []byte{1}))},
	{"attribute twice", unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encIPDst)},
	{"padding that is not empty", unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encAttr(7, []byte{1}))},
	{"short id", unix.LWTUNNEL_ENCAP_IP, encAttr(1, encBE(uint32(1)))},
	{"IPv6 in ip", unix.LWTUNNEL_ENCAP_IP, encAttr(2, encAddr9)},
	{"IPv4 in ip6", unix.LWTUNNEL_ENCAP_IP6, encIPDst},
	{"long ttl", unix.LWTUNNEL_ENCAP_IP, encAttr(4, []byte{1, 2})},
	{"long flags", unix.LWTUNNEL_ENCAP_IP, encAttr(6, make([]byte, 4))},
	{"no option", unix.LWTUNNEL_ENCAP_IP, encCat(encIPDst, encAttr(8))},
	{"unknown option", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(4))},
	{"options of two kinds", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(2, encAttr(1, encNE(uint32(1)))), encAttr(1, encGeneve(1, 2)))},
	{"malformed after the options", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(2, encAttr(1, encNE(uint32(1)))), []byte{1})},
	{"empty geneve", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(1))},
	{"geneve without data", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(1, encGeneve(1, 2)[:16]))},
	{"geneve out of order", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(1, encAttr(2, []byte{1}), encAttr(1, encBE(uint16(1))), encAttr(3)))},
	{"geneve data of odd length", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(1, encGeneve(1, 2, 3)))},
	{"geneve class of wrong length", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(1, encAttr(1, []byte{1}), encAttr(2, []byte{1}), encAttr(3)))},
	{"geneve cut off", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(1, encGeneve(1, 2), []byte{1}))},
	{"vxlan without gbp", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(2))},
	{"erspan of version 3", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(3, encAttr(1, []byte{3}), encAttr(2, encBE(uint32(1)))))},
	{"erspan of version 2 with index", unix.LWTUNNEL_ENCAP_IP, encAttr(8, encAttr(3, encAttr(1, []byte{2}), encAttr(2, encBE(uint32(1)))))},

	{"no label", unix.LWTUNNEL_ENCAP_MPLS, encAttr(1)},
	{"ttl alone", unix.LWTUNNEL_ENCAP_MPLS, encAttr(2, []byte{1})},
	{"stack without bottom", unix.LWTUNNEL_ENCAP_MPLS, encAttr(1, encLabels(1<<12, 2<<12))},
	{"bottom above the end", unix.LWTUNNEL_ENCAP_MPLS, encAttr(1, encLabels(1<<12|0x100, 2<<12|0x100))},

	{"short locator", unix.LWTUNNEL_ENCAP_ILA, encAttr(1, make([]byte, 7))},
	{"unknown csum-mode", unix.LWTUNNEL_ENCAP_ILA, encCat(encAttr(1, make([]byte, 8)), encAttr(7, []byte{4}))},
	{"unknown ident-type", unix.LWTUNNEL_ENCAP_ILA, encCat(encAttr(1, make([]byte, 8)), encAttr(8, []byte{6}))},
	{"long hook-type", unix.LWTUNNEL_ENCAP_ILA, encCat(encAttr(1, make([]byte, 8)), encAttr(9, []byte{1, 0}))},

	{"no header", unix.LWTUNNEL_ENCAP_SEG6, encAttr(2, encAddr9)},
	{"empty header", unix.LWTUNNEL_ENCAP_SEG6, encAttr(1)},
	{"mode alone", unix.LWTUNNEL_ENCAP_SEG6, encAttr(1, encNE(uint32(1)))},
	{"unknown mode", unix.LWTUNNEL_ENCAP_SEG6, encAttr(1, encNE(uint32(5)), encSRH1)},
	{"negative mode", unix.LWTUNNEL_ENCAP_SEG6, encAttr(1, encNE(^uint32(0)), encSRH1)},
	{"header longer than it says", unix.LWTUNNEL_ENCAP_SEG6, encAttr(1, encNE(uint32(1)), encWith(encSRH2, 1, 2))},
	{"header of another type", unix.LWTUNNEL_ENCAP_SEG6, encAttr(1, encNE(uint32(1)), encWith(encSRH1, 2, 3))},
	{"more segments than fit", unix.LWTUNNEL_ENCAP_SEG6, encAttr(1, encNE(uint32(1)), encWith(encSRH1, 4, 1))},
	{"TLV without flag", unix.LWTUNNEL_ENCAP_SEG6, encAttr(1, encNE(uint32(1)), encWith(encHMAC, 5, 0))},
	{"HMAC without TLV", unix.LWTUNNEL_ENCAP_SEG6, encAttr(1, encNE(uint32(1)), encWith(encSRH1, 5, 8))},
	{"another TLV", unix.LWTUNNEL_ENCAP_SEG6, encAttr(1, encNE(uint32(1)), encWith(encHMAC, 24, 3))},
	{"HMAC of another length", unix.LWTUNNEL_ENCAP_SEG6, encAttr(1, encNE(uint32(1)), encWith(encHMAC, 25, 37))},
	{"short tunsrc", unix.LWTUNNEL_ENCAP_SEG6, encCat(encAttr(1, encNE(uint32(1)), encSRH1), encAttr(2, encAddr9[:15]))},

	{"name without NUL", unix.LWTUNNEL_ENCAP_BPF, encAttr(1, encAttr(2, []byte("prog")))},
	{"empty name attribute", unix.LWTUNNEL_ENCAP_BPF, encAttr(1, encAttr(2))},
	{"NUL inside a name", unix.LWTUNNEL_ENCAP_BPF, encAttr(1, encAttr(2, encStr("pr\x00og")))},
	{"newline in a name", unix.LWTUNNEL_ENCAP_BPF, encAttr(1, encAttr(2, encStr("prog\n")))},
	{"escape in a name", unix.LWTUNNEL_ENCAP_BPF, encAttr(1, encAttr(2, encStr("\x1b[31m")))},
	{"name in another encoding", unix.LWTUNNEL_ENCAP_BPF, encAttr(1, encAttr(2, encStr("pr\xf6g")))},
	{"name outside its nest", unix.LWTUNNEL_ENCAP_BPF, encAttr(1, encStr("program"))},
	{"short program id", unix.LWTUNNEL_ENCAP_BPF, encAttr(1, encAttr(1, []byte{1}))},

	{"no action", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encAttr(3, encNE(uint32(1)))},
	{"action 0", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encAttr(1, encNE(uint32(0)))},
	{"unknown action", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encAttr(1, encNE(uint32(17)))},
	{"long action", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encAttr(1, encNE(uint64(1)))},
	{"short table", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(encEnd, encAttr(3, []byte{1}))},
	{"short oif", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(encEnd, encAttr(7, []byte{1, 0}))},
	{"short SRH", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(encEnd, encAttr(2, encSRH1[:7]))},
	{"two of three counters", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(encEnd, encAttr(10, encAttr(2, encNE(uint64(1))), encAttr(3, encNE(uint64(1)))))},
	{"counters of 32 bits", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(encEnd, encAttr(10, encAttr(2, encNE(uint32(1))), encAttr(3, encNE(uint32(1))), encAttr(4, encNE(uint32(1)))))},
	{"no flavor", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(encEnd, encAttr(11, encAttr(1, encNE(uint32(0)))))},
	{"unknown flavor", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(encEnd, encAttr(11, encAttr(1, encNE(uint32(1<<5|2)))))},
	{"short flavors", unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(encEnd, encAttr(11, encAttr(1, []byte{2})))},

	{"short RPL header", unix.LWTUNNEL_ENCAP_RPL, encAttr(1, encRPL2[:23])},
	{"RPL header of another length", unix.LWTUNNEL_ENCAP_RPL, encAttr(1, encWith(encRPL2, 1, 2))},
	{"RPL header of another type", unix.LWTUNNEL_ENCAP_RPL, encAttr(1, encWith(encRPL2, 2, 4))},
	{"RPL segments that do not fit", unix.LWTUNNEL_ENCAP_RPL, encAttr(1, encWith(encRPL2, 3, 3))},
	{"compressed RPL segments", unix.LWTUNNEL_ENCAP_RPL, encAttr(1, encWith(encRPL2, 4, 0x10))},

	{"trace in place of the mode", unix.LWTUNNEL_ENCAP_IOAM6, encAttr(1, encTrace)},
	{"no frequency", unix.LWTUNNEL_ENCAP_IOAM6, encCat(encAttr(1, []byte{1}), encAttr(3, encTrace))},
	{"unknown mode", unix.LWTUNNEL_ENCAP_IOAM6, encCat(encFreq, encAttr(1, []byte{4}), encAttr(2, encAddr9), encAttr(3, encTrace))},
	{"inline with tundst", unix.LWTUNNEL_ENCAP_IOAM6, encCat(encFreq, encAttr(1, []byte{1}), encAttr(2, encAddr9), encAttr(3, encTrace))},
	{"encap without tundst", unix.LWTUNNEL_ENCAP_IOAM6, encCat(encFreq, encAttr(1, []byte{2}), encAttr(3, encTrace))},
	{"trace of no type", unix.LWTUNNEL_ENCAP_IOAM6, encCat(encFreq, encAttr(1, []byte{1}), encAttr(3, encWith(encTrace, 4, 0, 5, 0)))},
	{"trace with data", unix.LWTUNNEL_ENCAP_IOAM6, encCat(encFreq, encAttr(1, []byte{1}), encAttr(3, encTrace, make([]byte, 4)))},

	{"no if_id", unix.LWTUNNEL_ENCAP_XFRM, encAttr(2, encNE(uint32(1)))},
	{"unknown attribute", unix.LWTUNNEL_ENCAP_XFRM, encCat(encAttr(1, encNE(uint32(1))), encAttr(3, encNE(uint32(1))))},
	{"short link", unix.LWTUNNEL_ENCAP_XFRM, encCat(encAttr(1, encNE(uint32(1))), encAttr(2, []byte{0}))},

	{"unknown type", 11, encIPDst},
	{"unknown type", 0xffff, nil},
}

func TestEncapNotUnderstood(t *testing.T) {
	for _, c := range encapVague {
		e := Encap{c.typ, c.raw}
		want := e.TypeName() + " hex:" + hex.EncodeToString(c.raw)
		if got := string(encapText([]byte("x "), e)); got != "x "+want {
			t.Errorf("%s (%x):\n got %q\nwant %q", c.what, c.raw, got, "x "+want)
		}
	}
}

func TestEncapTypeName(t *testing.T) {
	want := []string{"", "mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm", "11"}
	for typ, name := range want {
		if got := (Encap{Type: uint16(typ)}).TypeName(); got != name {
			t.Errorf("%d: got %q, want %q", typ, got, name)
		}
	}
	if got := (Encap{Type: 65535}).TypeName(); got != "65535" {
		t.Errorf("65535: got %q", got)
	}
	if got := string(encapText([]byte("x"), Encap{Raw: encIPDst})); got != "x" {
		t.Errorf("no encapsulation: got %q", got)
	}
}

// TestEncapNames has names for what a seg6local action and an xfrm interface
// refer to by number.
func TestEncapNames(t *testing.T) {
	names := newNames()
	names.tables.set(100, "lan")
	names.tables.set(1020, "vrf-blue")
	snap := &Snapshot{links: map[uint32]Link{3: {Index: 3, Name: "d0"}, 4: {Index: 4, Name: "d1"}}}
	const local, xfrm = unix.LWTUNNEL_ENCAP_SEG6_LOCAL, unix.LWTUNNEL_ENCAP_XFRM
	u32 := func(typ uint16, v uint32) []byte { return encAttr(typ, encNE(v)) }
	for _, c := range []struct {
		typ  uint16
		raw  []byte
		want string
	}{
		{local, encCat(encEnd, u32(3, 100)), "seg6local action End table lan"},
		{local, encCat(encEnd, u32(3, 1020)), "seg6local action End table vrf-blue"},
		{local, encCat(encEnd, u32(3, 1021)), "seg6local action End table 1021"},
		{local, encCat(encEnd, u32(9, 1020)), "seg6local action End vrftable vrf-blue"},
		{local, encCat(encEnd, u32(6, 3), u32(7, 4)), "seg6local action End iif d0 oif d1"},
		{local, encCat(encEnd, u32(6, 9), u32(7, 0)), "seg6local action End iif if9 oif *"},
		{xfrm, encCat(u32(1, 3), u32(2, 3)), "xfrm if_id 3 link_dev d0"},
		{xfrm, encCat(u32(1, 3), u32(2, 9)), "xfrm if_id 3 link_dev if9"},
	} {
		if got := string(Encap{c.typ, c.raw}.AppendText(nil, names, snap)); got != c.want {
			t.Errorf("%x:\n got %q\nwant %q", c.raw, got, c.want)
		}
	}
}

// TestEncapCounters has counters of a seg6local action, which have columns of
// their own: its text does not change with them, understood or not.
func TestEncapCounters(t *testing.T) {
	const local, counters, future = unix.LWTUNNEL_ENCAP_SEG6_LOCAL, seg6LocalCounters, 12
	count := func(n uint64) []byte {
		return encAttr(counters|unix.NLA_F_NESTED, encAttr(1), encAttr(2, encNE(n)), encAttr(1), encAttr(3, encNE(n*100)), encAttr(4, encNE(n/2)))
	}
	for _, c := range []struct {
		what string
		raw  func(n uint64) []byte
		text string
	}{
		{"last", func(n uint64) []byte { return encCat(encEnd, count(n)) }, "seg6local action End"},
		{"first", func(n uint64) []byte { return encCat(count(n), encEnd) }, "seg6local action End"},
		{"not understood", func(n uint64) []byte { return encCat(encEnd, count(n), encAttr(future, []byte{1})) },
			"seg6local hex:" + hex.EncodeToString(encCat(encEnd, encAttr(future, []byte{1})))},
		{"alone", count, "seg6local hex:"},
	} {
		for _, n := range []uint64{0, 7, 1 << 63} {
			e := Encap{local, c.raw(n)}
			got, ok := e.Counters()
			if want := (EncapCounters{n, n * 100, n / 2}); !ok || got != want {
				t.Errorf("%s: counters %v, %v, not %v", c.what, got, ok, want)
			}
			if text := string(encapText(nil, e)); text != c.text {
				t.Errorf("%s: %q, not %q", c.what, text, c.text)
			}
		}
	}
	three := encCat(encAttr(2, encNE(uint64(1))), encAttr(3, encNE(uint64(1))), encAttr(4, encNE(uint64(1))))
	for what, e := range map[string]Encap{
		"no counters":      {local, encEnd},
		"another type":     {unix.LWTUNNEL_ENCAP_BPF, count(1)},
		"two of three":     {local, encAttr(counters, three[:24])},
		"one twice":        {local, encAttr(counters, three, three[:12])},
		"one too many":     {local, encAttr(counters, three, encAttr(5, encNE(uint64(1))))},
		"of 32 bits":       {local, encAttr(counters, encAttr(2, encNE(uint32(1))), three[12:])},
		"padding of bytes": {local, encAttr(counters, three, encAttr(1, []byte{1}))},
		"cut off":          {local, encAttr(counters, three, []byte{9, 0, 2, 0})},
		"nothing":          {},
	} {
		if got, ok := e.Counters(); ok || got != (EncapCounters{}) {
			t.Errorf("%s: counters %v", what, got)
		}
		if text := string(encapText(nil, e)); len(e.Raw) > 0 && what != "no counters" && !strings.HasSuffix(text, " hex:"+hex.EncodeToString(e.Raw)) {
			t.Errorf("%s: %q", what, text)
		}
	}
}

func TestAppendMPLS(t *testing.T) {
	if got, ok := appendMPLS([]byte("x "), encLabels(100<<12, 3<<12|0x1ff)); !ok || string(got) != "x 100/3" {
		t.Errorf("got %q, %v", got, ok)
	}
	for _, stack := range [][]byte{nil, {0, 0, 1}, encLabels(1 << 12), encLabels(1<<12|0x100, 2<<12|0x100), append(encLabels(1<<12|0x100), 0)} {
		if got, ok := appendMPLS([]byte("x "), stack); ok || string(got) != "x " {
			t.Errorf("%x: got %q, %v", stack, got, ok)
		}
	}
}

// allEncaps calls fn with the bytes of every test case.
func allEncaps(t testing.TB, fn func(Encap)) {
	t.Helper()
	for _, c := range encapCaptures {
		raw, err := hex.DecodeString(c.raw)
		if err != nil {
			t.Fatal(err)
		}
		fn(Encap{c.typ, raw})
	}
	for _, c := range encapCrafted {
		fn(Encap{c.typ, c.raw})
	}
	for _, c := range encapVague {
		fn(Encap{c.typ, c.raw})
	}
}

func TestEncapAllocs(t *testing.T) {
	buf := make([]byte, 0, 1024)
	allEncaps(t, func(e Encap) {
		if n := testing.AllocsPerRun(20, func() { buf = encapText(buf[:0], e) }); n != 0 {
			t.Errorf("%v allocations for %s", n, buf)
		}
	})
}

func commonPrefix(a, b string) (n int) {
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// checkEncap checks what holds for all bytes.
func checkEncap(t *testing.T, typ uint16, raw []byte) {
	t.Helper()
	const prefix = "prefix "
	e := Encap{typ, raw}
	name := e.TypeName()
	text := string(encapText(nil, e))
	if typ == 0 {
		if text != "" {
			t.Fatalf("type 0: %q", text)
		}
		return
	}
	if !utf8.ValidString(text) || strings.ContainsAny(text, "\x00\n\r\t\x1b") {
		t.Fatalf("type %d, %x: not printable: %q", typ, raw, text)
	}
	rest, ok := strings.CutPrefix(text, name+" ")
	if !ok && text != name {
		t.Fatalf("type %d, %x: no type name: %q", typ, raw, text)
	}
	if strings.HasPrefix(rest, "hex:") {
		got, whole := strings.TrimPrefix(rest, "hex:"), hex.EncodeToString(raw)
		if _, ok := e.Counters(); ok { // which are cut out
			from := commonPrefix(got, whole)
			whole = whole[:from] + whole[from+len(whole)-len(got):]
		}
		if got != whole {
			t.Fatalf("type %d, %x: wrong hex: %q", typ, raw, text)
		}
	} else if rest == "" {
		t.Fatalf("type %d, %x: nothing said", typ, raw)
	}
	// The text depends on no byte outside raw, changes none, and keeps what is
	// in the buffer.
	for _, tail := range []byte{0x00, 0xff} {
		msg := append(bytes.Clone(raw), bytes.Repeat([]byte{tail}, 64)...)
		before := bytes.Clone(msg)
		got := string(encapText(append(make([]byte, 0, 4096), prefix...), Encap{typ, msg[:len(raw)]}))
		if got != prefix+text {
			t.Fatalf("type %d, %x: %q, then %q", typ, raw, text, got)
		}
		if !bytes.Equal(msg, before) {
			t.Fatalf("type %d, %x: message changed", typ, raw)
		}
	}
}

// TestEncapDamaged cuts each test case at every byte, and changes every byte.
func TestEncapDamaged(t *testing.T) {
	allEncaps(t, func(e Encap) {
		for i := range e.Raw {
			checkEncap(t, e.Type, e.Raw[:i:i])
			for _, v := range []byte{0x00, 0x01, 0x80, 0xff} {
				checkEncap(t, e.Type, encWith(e.Raw[:len(e.Raw):len(e.Raw)], byte(i), e.Raw[i]^v))
			}
		}
	})
}

func FuzzEncap(f *testing.F) {
	allEncaps(f, func(e Encap) { f.Add(e.Type, e.Raw) })
	f.Fuzz(checkEncap)
}

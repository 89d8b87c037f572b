package iproute2

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf8"

	. "kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
)

var (
	encEnd   = Attr(1, NE(uint32(1))) // seg6local action End
	encIPDst = Attr(2, []byte{10, 0, 0, 2})
)

// links knows interfaces by their names.
type links map[uint32]string

func (l links) Link(index uint32) (object.Link, bool) {
	name, ok := l[index]
	return object.Link{Index: index, Name: name}, ok
}

var (
	stock   = builtin()
	noLinks = links{}
)

// encapText appends the text with the names of iproute2's stock files, and with
// interfaces that have none.
func encapText(b []byte, e object.Encap) []byte { return AppendEncap(b, e, stock, noLinks) }

func TestEncapCaptured(t *testing.T) {
	if !LittleEndian {
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
		if got := string(encapText(nil, object.Encap{Type: c.typ, Raw: raw})); got != want {
			t.Errorf("%s:\n got %q\nwant %q", c.encap, got, want)
		}
	}
}

var (
	encAddr9 = []byte{0xfd, 15: 9} // fd00::9
	encAddrA = []byte{0xfd, 15: 10}
	encSRH1  = Cat([]byte{0, 2, 4, 0, 0, 0, 0, 0}, encAddr9)
	encSRH2  = Cat([]byte{0, 4, 4, 1, 1, 0, 0, 0}, encAddrA, encAddr9)
	encHMAC  = Cat([]byte{0, 7, 4, 0, 0, 8, 0, 0}, encAddr9, []byte{5, 38, 0, 0}, BE(uint32(0xabcdef01)),
		make([]byte, 32))
	encRPL2  = Cat([]byte{0, 4, 3, 2, 0, 0, 0, 0}, encAddrA, encAddr9)
	encTrace = []byte{0, 123, 0x10, 0x80 | 3, 0x80, 0x10, 0, 0}
	encFreq  = Cat(Attr(4, NE(uint32(1))), Attr(5, NE(uint32(3))))
)

// encGeneve makes one option.
func encGeneve(class uint16, typ uint8, data ...byte) []byte {
	return Cat(Attr(1, BE(class)), Attr(2, NE(typ)), Attr(3, data))
}

func TestEncapCrafted(t *testing.T) {
	for _, c := range encapCrafted {
		if got := string(encapText(nil, object.Encap{Type: c.typ, Raw: c.raw})); got != c.want {
			t.Errorf("%x:\n got %q\nwant %q", c.raw, got, c.want)
		}
	}
}

func TestEncapNotUnderstood(t *testing.T) {
	for _, c := range encapVague {
		e := object.Encap{Type: c.typ, Raw: c.raw}
		want := e.TypeName() + " hex:" + hex.EncodeToString(c.raw)
		if got := string(encapText([]byte("x "), e)); got != "x "+want {
			t.Errorf("%s (%x):\n got %q\nwant %q", c.what, c.raw, got, "x "+want)
		}
	}
}

func TestEncapTypeName(t *testing.T) {
	want := []string{"", "mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm", "11"}
	for typ, name := range want {
		if got := (object.Encap{Type: uint16(typ)}).TypeName(); got != name {
			t.Errorf("%d: got %q, want %q", typ, got, name)
		}
	}
	if got := (object.Encap{Type: 65535}).TypeName(); got != "65535" {
		t.Errorf("65535: got %q", got)
	}
	if got := string(encapText([]byte("x"), object.Encap{Raw: encIPDst})); got != "x" {
		t.Errorf("no encapsulation: got %q", got)
	}
}

// TestEncapNames has names for what a seg6local action and an xfrm interface
// refer to by number.
func TestEncapNames(t *testing.T) {
	names := builtin()
	names.tables.set(100, "lan")
	names.tables.set(1020, "vrf-blue")
	known := links{3: "d0", 4: "d1"}
	const seg6, local, xfrm = object.LWTUNNEL_ENCAP_SEG6, object.LWTUNNEL_ENCAP_SEG6_LOCAL, object.LWTUNNEL_ENCAP_XFRM
	u32 := func(typ uint16, v uint32) []byte { return Attr(typ, NE(v)) }
	for _, c := range []struct {
		typ  uint16
		raw  []byte
		want string
	}{
		{local, Cat(encEnd, u32(3, 100)), "seg6local action End table lan"},
		{local, Cat(encEnd, u32(3, 1020)), "seg6local action End table vrf-blue"},
		{local, Cat(encEnd, u32(3, 1021)), "seg6local action End table 1021"},
		{local, Cat(encEnd, u32(9, 1020)), "seg6local action End vrftable vrf-blue"},
		{seg6, Cat(Attr(1, NE(uint32(1)), encSRH1), u32(3, 1020)),
			"seg6 mode encap segs 1 [ fd00::9 ] lookup vrf-blue"},
		{local, Cat(encEnd, u32(6, 3), u32(7, 4)), "seg6local action End iif d0 oif d1"},
		{local, Cat(encEnd, u32(6, 9), u32(7, 0)), "seg6local action End iif if9 oif *"},
		{xfrm, Cat(u32(1, 3), u32(2, 3)), "xfrm if_id 3 link_dev d0"},
		{xfrm, Cat(u32(1, 3), u32(2, 9)), "xfrm if_id 3 link_dev if9"},
	} {
		if got := string(AppendEncap(nil, object.Encap{Type: c.typ, Raw: c.raw}, names, known)); got != c.want {
			t.Errorf("%x:\n got %q\nwant %q", c.raw, got, c.want)
		}
	}
}

// TestEncapCounters has counters of a seg6local action, which have columns of
// their own: its text does not change with them, understood or not.
func TestEncapCounters(t *testing.T) {
	const local, counters, future = object.LWTUNNEL_ENCAP_SEG6_LOCAL, 10, 12
	count := func(n uint64) []byte {
		return Attr(counters|NLA_F_NESTED, Attr(1), Attr(2, NE(n)), Attr(1), Attr(3, NE(n*100)), Attr(4, NE(n/2)))
	}
	for _, c := range []struct {
		what string
		raw  func(n uint64) []byte
		text string
	}{
		{"last", func(n uint64) []byte { return Cat(encEnd, count(n)) }, "seg6local action End"},
		{"first", func(n uint64) []byte { return Cat(count(n), encEnd) }, "seg6local action End"},
		{"not understood", func(n uint64) []byte { return Cat(encEnd, count(n), Attr(future, []byte{1})) },
			"seg6local hex:" + hex.EncodeToString(Cat(encEnd, Attr(future, []byte{1})))},
		{"alone", count, "seg6local hex:"},
	} {
		for _, n := range []uint64{0, 7, 1 << 63} {
			e := object.Encap{Type: local, Raw: c.raw(n)}
			got, ok := e.Counters()
			if want := (object.EncapCounters{Packets: n, Bytes: n * 100, Errors: n / 2}); !ok || got != want {
				t.Errorf("%s: counters %v, %v, not %v", c.what, got, ok, want)
			}
			if text := string(encapText(nil, e)); text != c.text {
				t.Errorf("%s: %q, not %q", c.what, text, c.text)
			}
		}
	}
	three := Cat(Attr(2, NE(uint64(1))), Attr(3, NE(uint64(1))), Attr(4, NE(uint64(1))))
	for what, e := range map[string]object.Encap{
		"no counters":      {Type: local, Raw: encEnd},
		"another type":     {Type: object.LWTUNNEL_ENCAP_BPF, Raw: count(1)},
		"two of three":     {Type: local, Raw: Attr(counters, three[:24])},
		"one twice":        {Type: local, Raw: Attr(counters, three, three[:12])},
		"one too many":     {Type: local, Raw: Attr(counters, three, Attr(5, NE(uint64(1))))},
		"of 32 bits":       {Type: local, Raw: Attr(counters, Attr(2, NE(uint32(1))), three[12:])},
		"padding of bytes": {Type: local, Raw: Attr(counters, three, Attr(1, []byte{1}))},
		"cut off":          {Type: local, Raw: Attr(counters, three, []byte{9, 0, 2, 0})},
		"nothing":          {},
	} {
		if got, ok := e.Counters(); ok || got != (object.EncapCounters{}) {
			t.Errorf("%s: counters %v", what, got)
		}
		if text := string(encapText(nil, e)); len(e.Raw) > 0 && what != "no counters" &&
			!strings.HasSuffix(text, " hex:"+hex.EncodeToString(e.Raw)) {
			t.Errorf("%s: %q", what, text)
		}
	}
}

// allEncaps calls fn with the bytes of every test case.
func allEncaps(t testing.TB, fn func(object.Encap)) {
	t.Helper()
	for _, c := range encapCaptures {
		raw, err := hex.DecodeString(c.raw)
		if err != nil {
			t.Fatal(err)
		}
		fn(object.Encap{Type: c.typ, Raw: raw})
	}
	for _, c := range encapCrafted {
		fn(object.Encap{Type: c.typ, Raw: c.raw})
	}
	for _, c := range encapVague {
		fn(object.Encap{Type: c.typ, Raw: c.raw})
	}
}

func TestEncapAllocs(t *testing.T) {
	buf := make([]byte, 0, 1024)
	allEncaps(t, func(e object.Encap) {
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
	e := object.Encap{Type: typ, Raw: raw}
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
		got := string(encapText(append(make([]byte, 0, 4096), prefix...), object.Encap{Type: typ, Raw: msg[:len(raw)]}))
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
	allEncaps(t, func(e object.Encap) {
		for i := range e.Raw {
			checkEncap(t, e.Type, e.Raw[:i:i])
			for _, v := range []byte{0x00, 0x01, 0x80, 0xff} {
				checkEncap(t, e.Type, With(e.Raw[:len(e.Raw):len(e.Raw)], byte(i), e.Raw[i]^v))
			}
		}
	})
}

func FuzzEncap(f *testing.F) {
	allEncaps(f, func(e object.Encap) { f.Add(e.Type, e.Raw) })
	f.Fuzz(checkEncap)
}

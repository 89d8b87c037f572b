package object

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"kernelroutes/rtnl/wire"
)

// A sample has an attribute of each type that is decoded. That line is all there is to
// write for one.
type sample struct {
	U8     Opt[uint8]  `x:"1 U8"`
	U16    Opt[uint16] `x:"2 U16"`
	U32    Opt[uint32] `x:"3 U32" column:"u32" doc:"A number"`
	U64    Opt[uint64] `x:"4 U64"`
	U16BE  Opt[uint16] `x:"5 U16BE be"`
	U32BE  Opt[uint32] `x:"6 U32BE be"`
	U64BE  Opt[uint64] `x:"16 U64BE be"`
	N8     uint8       `x:"7 N8"`
	N16    uint16      `x:"8 N16"`
	N32    uint32      `x:"9 N32"`
	Addr   netip.Addr  `x:"10 ADDR"`
	Text   string      `x:"11 TEXT"`
	Flag   bool        `x:"12 FLAG"`
	pad    struct{}    `x:"13 PAD"`
	Asked  Opt[uint32] `x:"14 ASKED be request"`
	Both   []byte      `x:"15 ONE,62 TWO"`
	Number int         // no attribute
}

var sampleFields = attributesOf("x", map[uint16]setter[sample]{
	15: func(s *sample, d []byte) bool { s.Both = append(s.Both, d...); return len(d) == 1 },
	62: func(s *sample, d []byte) bool { s.Both = append(s.Both, d...); return len(d) == 2 },
})

var samples = &Kind{Name: "sample", Struct: "none", Header: 0}

// sampleMessage is one of attributes whose payload is what they are decoded into.
func sampleMessage(t *testing.T, attributes ...[]byte) *Message {
	t.Helper()
	b := make([]byte, wire.HeaderLen)
	for _, a := range attributes {
		b = append(b, a...)
	}
	m := new(Message)
	if err := samples.Check(m, b); err != nil {
		t.Fatal(err)
	}
	return m
}

func attribute(typ uint16, data ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(wire.AttrHeaderLen+len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, data...)
	return append(b, make([]byte, wire.Align(len(b))-len(b))...)
}

func TestFieldTypes(t *testing.T) {
	u16, u32, u64 := binary.NativeEndian.AppendUint16, binary.NativeEndian.AppendUint32,
		binary.NativeEndian.AppendUint64
	for _, c := range []struct {
		number uint16
		data   []byte
		want   sample
		value  Opt[uint64] // of the number, if it is an optional one
	}{
		{1, []byte{7}, sample{U8: Some[uint8](7)}, Some[uint64](7)},
		{2, u16(nil, 0x102), sample{U16: Some[uint16](0x102)}, Some[uint64](0x102)},
		{3, u32(nil, 0x1020304), sample{U32: Some[uint32](0x1020304)}, Some[uint64](0x1020304)},
		{4, u64(nil, 1<<60+2), sample{U64: Some[uint64](1<<60 + 2)}, Some[uint64](1<<60 + 2)},
		{5, []byte{1, 2}, sample{U16BE: Some[uint16](0x102)}, Some[uint64](0x102)},
		{6, []byte{1, 2, 3, 4}, sample{U32BE: Some[uint32](0x1020304)}, Some[uint64](0x1020304)},
		{16, []byte{1, 2, 3, 4, 5, 6, 7, 8}, sample{U64BE: Some[uint64](0x102030405060708)},
			Some[uint64](0x102030405060708)},
		{7, []byte{7}, sample{N8: 7}, Opt[uint64]{}},
		{8, u16(nil, 0x102), sample{N16: 0x102}, Opt[uint64]{}},
		{9, u32(nil, 0x1020304), sample{N32: 0x1020304}, Opt[uint64]{}},
		{10, []byte{10, 0, 0, 1}, sample{Addr: netip.MustParseAddr("10.0.0.1")}, Opt[uint64]{}},
		{10, []byte{0xfd, 15: 1}, sample{Addr: netip.MustParseAddr("fd00::1")}, Opt[uint64]{}},
		{11, []byte("eth0\x00"), sample{Text: "eth0"}, Opt[uint64]{}},
		{12, []byte{}, sample{Flag: true}, Opt[uint64]{}},
		{13, []byte{}, sample{}, Opt[uint64]{}},
		{15, []byte{5}, sample{Both: []byte{5}}, Opt[uint64]{}},
		{62, []byte{5, 6}, sample{Both: []byte{5, 6}}, Opt[uint64]{}},
	} {
		a := sampleAttribute(c.number)
		m := sampleMessage(t, attribute(c.number, c.data...))
		for _, want := range []Fields{a.Field(), a.Field() | 1<<1, AllFields} {
			var got sample
			unknown := sampleFields.decode(&got, m, want, nil)
			if !reflect.DeepEqual(got, c.want) || unknown != nil {
				t.Errorf("%s: got %+v, unknown %v, want %+v", a.Name, got, unknown, c.want)
			}
			if a.IsNumber() != c.value.OK {
				t.Errorf("%s is a number: %v", a.Name, a.IsNumber())
			} else if a.IsNumber() {
				if v, ok := a.get(unsafe.Pointer(&got)); !ok || v != c.value.V {
					t.Errorf("%s is %d, %v, not %d", a.Name, v, ok, c.value.V)
				}
				if v, ok := a.get(unsafe.Pointer(new(sample))); ok || v != 0 {
					t.Errorf("%s is %d where it is absent", a.Name, v)
				}
			}
		}
		if c.number == 11 { // a string has any length
			continue
		}
		// One byte more, and where there is one one less.
		for _, data := range [][]byte{append(c.data, 0), c.data[:max(len(c.data)-1, 0)]} {
			if len(data) == len(c.data) {
				continue
			}
			var got sample
			unknown := sampleFields.decode(&got, sampleMessage(t, attribute(c.number, data...)), AllFields, nil)
			got.Both, got.Flag = nil, false
			if !reflect.DeepEqual(got, sample{}) ||
				!reflect.DeepEqual(unknown, []wire.Attr{{Type: c.number, Data: data}}) {
				t.Errorf("%s of %d bytes: %+v, unknown %v", a.Name, len(data), got, unknown)
			}
		}
	}
	// There is no other type.
	left := maps.Clone(codecs)
	for _, f := range reflect.VisibleFields(reflect.TypeFor[sample]()) {
		delete(left, codecKey{f.Type, strings.Contains(f.Tag.Get("x"), " be")})
	}
	for k := range left {
		t.Errorf("%v (be %v) is not tested", k.Type, k.be)
	}
}

func sampleAttribute(number uint16) *Attribute {
	for i := range sampleFields.list {
		if sampleFields.list[i].Number == number {
			return &sampleFields.list[i]
		}
	}
	return nil
}

// TestFieldOdd has what no dump has.
func TestFieldOdd(t *testing.T) {
	four, three := []byte{1, 2, 3, 4}, []byte{1, 2, 3}
	for _, c := range []struct {
		what       string
		attributes [][]byte
		want       sample
		unknown    []wire.Attr
	}{
		{"an attribute of requests", [][]byte{attribute(14, four...)}, sample{Asked: Some[uint32](0x1020304)},
			[]wire.Attr{{Type: 14, Data: four}}},
		{"one of a wrong length", [][]byte{attribute(14, three...)}, sample{}, []wire.Attr{{Type: 14, Data: three}}},
		{"no number of ours", [][]byte{attribute(16, 1), attribute(63, 2), attribute(64, 3), attribute(0)}, sample{},
			[]wire.Attr{{Type: 16, Data: []byte{1}}, {Type: 63, Data: []byte{2}}, {Type: 64, Data: []byte{3}},
				{Data: []byte{}}}},
		{"one twice", [][]byte{attribute(6, four...), attribute(6, 0, 0, 0, 5)}, sample{U32BE: Some[uint32](5)}, nil},
		{"the last one not understood", [][]byte{attribute(6, four...), attribute(7, 9), attribute(6, three...)},
			sample{U32BE: Some[uint32](0x1020304), N8: 9}, []wire.Attr{{Type: 6, Data: three}}},
		{"a flag that holds something", [][]byte{attribute(12, 1)}, sample{Flag: true},
			[]wire.Attr{{Type: 12, Data: []byte{1}}}},
	} {
		m := sampleMessage(t, c.attributes...)
		var all, known sample
		if unknown := sampleFields.decode(&all, m, AllFields, nil); !reflect.DeepEqual(all, c.want) ||
			!reflect.DeepEqual(unknown, c.unknown) {
			t.Errorf("%s: got %+v, unknown %v", c.what, all, unknown)
		}
		if unknown := sampleFields.decode(&known, m, sampleFields.known, nil); !reflect.DeepEqual(known, c.want) ||
			unknown != nil {
			t.Errorf("%s, known ones alone: got %+v, unknown %v", c.what, known, unknown)
		}
	}
}

// TestMessageTwice has an attribute several times, which no kernel sends.
func TestMessageTwice(t *testing.T) {
	m := sampleMessage(t, attribute(9, 1, 1, 1, 1), attribute(9, 2, 2), attribute(8), attribute(9, 3))
	for size, want := range map[int][]byte{4: {1, 1, 1, 1}, 2: {2, 2}, 1: {3}, 3: nil} {
		if got := m.Sized(9, size); !bytes.Equal(got, want) {
			t.Errorf("of %d bytes: %x, not %x", size, got, want)
		}
	}
	if got := m.U32(9); got != 0x1010101 {
		t.Errorf("u32 %#x", got)
	}
	if got := m.Data(9); !bytes.Equal(got, []byte{3}) {
		t.Errorf("the last one is %x", got)
	}
	var at []int
	bad := errors.New("bad")
	err := m.each(9, func(n int, data []byte) error {
		if at = append(at, n); len(data) == 1 {
			return bad
		}
		return nil
	})
	if !slices.Equal(at, []int{0, 8, 20}) || err != bad {
		t.Errorf("at %d, %v", at, err)
	}
	for _, absent := range []uint16{1, 63, 64, 70} {
		if m.Data(absent) != nil || m.Sized(absent, 0) != nil || m.U32(absent) != 0 {
			t.Errorf("%d is there", absent)
		}
	}
}

// wrongTags are made when the program starts, and what is said of them.
var wrongTags = []struct {
	make func()
	want string
}{
	{func() { attributesOf[struct{ A, B Opt[uint8] }]("x", nil) }, ""},
	{func() {
		attributesOf[struct {
			A Opt[uint8] `x:"1"`
		}]("x", nil)
	}, `A, attribute "1": it needs a number and a name`},
	{func() {
		attributesOf[struct {
			A Opt[uint8] `x:"63 A,X 1"`
		}]("x", nil)
	}, `A, attribute "63 A": its number is none below 63`},
	{func() {
		attributesOf[struct {
			A Opt[uint8] `x:"62 A,X 1"`
		}]("x", nil)
	}, `A, attribute "X 1": its number is none below 63`},
	{func() {
		attributesOf[struct {
			A Opt[uint8] `x:"1 A"`
			B Opt[uint8] `x:"1 B"`
		}]("x", nil)
	}, `B, attribute "1 B": there is another one with its number`},
	{func() {
		attributesOf[struct {
			A Opt[uint32] `x:"1 A BE"`
		}]("x", nil)
	}, `A, attribute "1 A BE": there is no option "BE"`},
	{func() {
		attributesOf[struct {
			A Opt[uint8] `x:"1 A be"`
		}]("x", nil)
	}, `A, attribute "1 A be": none can be decoded into the type object.Opt[uint8] (network byte order: true)`},
	{func() {
		attributesOf[struct {
			A int `x:"1 A"`
		}]("x", nil)
	}, `A, attribute "1 A": none can be decoded into the type int (network byte order: false)`},
	{func() {
		attributesOf[struct {
			A uint8 `x:"1 A" column:"a" doc:"A"`
		}]("x", nil)
	}, `A, attribute "1 A": a column is for an optional number, and needs doc`},
	{func() {
		attributesOf[struct {
			A Opt[uint8] `x:"1 A" column:"a"`
		}]("x", nil)
	}, `A, attribute "1 A": a column is for an optional number, and needs doc`},
	{func() {
		attributesOf[struct {
			A Opt[uint8] `x:"1 A" since:"v5"`
		}]("x", nil)
	}, `A, attribute "1 A": since "v5": that is no version of Linux`},
	{func() {
		type embedded struct {
			A Opt[uint8] `x:"1 A"`
		}
		attributesOf[struct{ embedded }]("x", nil)
	}, `A, attribute "1 A": it is in an embedded struct`},
	{func() {
		type T = struct {
			A Opt[uint8] `x:"1 A request"`
		}
		attributesOf("x", map[uint16]setter[T]{1: func(*T, []byte) bool { return true }})
	}, `A, attribute "1 A request": it has options, but is decoded in its own way`},
	{func() {
		type T = struct {
			A Opt[uint8] `x:"1 A"`
		}
		attributesOf("x", map[uint16]setter[T]{2: func(*T, []byte) bool { return true }})
	}, "has attribute 2"},
}

// TestWrongTags: a wrong tag is found when the program starts.
func TestWrongTags(t *testing.T) {
	for _, c := range wrongTags {
		func() {
			defer func() {
				if got, _ := recover().(string); !strings.HasSuffix(got, c.want) || (got == "") != (c.want == "") {
					t.Errorf("got %q, want %q", got, c.want)
				}
			}()
			c.make()
		}()
	}
}

// TestRouteHasAll: every attribute of linux/rtnetlink.h has its field, but for those that
// are not used any more, and every field has its name. What the kernel adds may follow.
func TestRouteHasAll(t *testing.T) {
	names := strings.Fields("UNSPEC DST SRC IIF OIF GATEWAY PRIORITY PREFSRC METRICS MULTIPATH PROTOINFO FLOW " +
		"CACHEINFO SESSION MP_ALGO TABLE MARK MFC_STATS VIA NEWDST PREF ENCAP_TYPE ENCAP EXPIRES PAD UID " +
		"TTL_PROPAGATE IP_PROTO SPORT DPORT NH_ID FLOWLABEL DEL_REASON")
	var want, got []string
	for i, name := range names {
		switch name {
		case "UNSPEC", "PROTOINFO", "SESSION", "MP_ALGO":
		default:
			want = append(want, fmt.Sprint(i, " RTA_", name))
		}
	}
	var known Fields
	for _, a := range RouteAttributes() {
		if int(a.Number) < len(names) {
			got = append(got, fmt.Sprint(a.Number, " ", a.Name))
		}
		if a.Field()&known != 0 {
			t.Errorf("%s is %#x", a.Name, a.Field())
		}
		known |= a.Field()
	}
	if !slices.Equal(got, want) {
		t.Errorf("fields are\n%v\nnot\n%v", got, want)
	}
	if known != routeFields.known {
		t.Errorf("known are %#x, not %#x", routeFields.known, known)
	}
}

// TestAttributeOf reads the numbers of a route that are shown by themselves.
func TestAttributeOf(t *testing.T) {
	r := Route{Mark: Some[uint32](1), UID: Some[uint32](2), IPProto: Some[uint8](3), SPort: Some[uint16](4),
		DPort: Some[uint16](5)}
	var got []string
	for _, a := range RouteAttributes() {
		if a.Column != "" {
			v, ok := a.Of(&r)
			_, absent := a.Of(new(Route))
			got = append(got, fmt.Sprint(a.Column, v, ok, absent))
		}
	}
	for _, want := range []string{"mark1 true false", "uid2 true false", "ip_proto3 true false", "sport4 true false",
		"dport5 true false"} {
		i := slices.Index(got, want)
		if i < 0 {
			t.Fatalf("got %q, which lack %q", got, want)
		}
		got = slices.Delete(got, i, i+1)
	}
	for _, other := range got { // of which the route has none
		if !strings.HasSuffix(other, "0 false false") {
			t.Errorf("got %q", other)
		}
	}
}

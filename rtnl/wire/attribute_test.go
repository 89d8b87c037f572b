package wire

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// attribute is one without its padding.
func attribute(typ uint16, data ...byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(AttrHeaderLen+len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	return append(b, data...)
}

// TestWalk has runs of attributes, whole and not.
func TestWalk(t *testing.T) {
	one, five := attribute(1, 1, 2, 3, 4), attribute(0x8000|5, 9)
	padded := append(slices.Clone(five), 0, 0, 0)
	for _, c := range []struct {
		what string
		b    []byte
		want []Attr
		end  int // where the first one begins that does not fit; -1: all fit
	}{
		{"nothing", nil, nil, -1},
		{"one", one, []Attr{{1, []byte{1, 2, 3, 4}}}, -1},
		{"flags of the number", padded, []Attr{{5, []byte{9}}}, -1},
		{"no padding at the end", slices.Concat(one, five), []Attr{{1, []byte{1, 2, 3, 4}}, {5, []byte{9}}}, -1},
		{"two", slices.Concat(padded, one), []Attr{{5, []byte{9}}, {1, []byte{1, 2, 3, 4}}}, -1},
		{"an empty one", attribute(0x4000 | 7), []Attr{{7, []byte{}}}, -1},
		{"padding after it", append(slices.Clone(one), 0, 0, 0), []Attr{{1, []byte{1, 2, 3, 4}}}, -1},
		{"no padding after it", append(slices.Clone(one), 0, 1), []Attr{{1, []byte{1, 2, 3, 4}}}, 8},
		{"too short a length", slices.Concat(one, []byte{3, 0, 0, 3}), []Attr{{1, []byte{1, 2, 3, 4}}}, 8},
		{"too long a length", slices.Concat(padded, one[:7]), []Attr{{5, []byte{9}}}, 8},
		{"zeros", make([]byte, 4), nil, 0},
	} {
		b := slices.Clip(c.b)
		var got []Attr
		a := Walk(b)
		for a.Next() {
			got = append(got, Attr{a.Type, a.Data})
		}
		if !slices.EqualFunc(got, c.want, func(x, y Attr) bool {
			return x.Type == y.Type &&
				bytes.Equal(x.Data, y.Data)
		}) ||
			a.OK() != (c.end < 0) || a.Next() {
			t.Errorf("%s: got %v, OK %v", c.what, got, a.OK())
		}
		end, ok := Fit(b)
		if ok != (c.end < 0) || !ok && (end != c.end || len(b)-len(a.Rest) != end) {
			t.Errorf("%s: fit up to %d, %v", c.what, end, ok)
		}
	}
	b := AppendU32([]byte{7}, 3, 0x1020304)
	if a := Walk(b[1:]); !a.Next() || a.Type != 3 || U32(a.Data) != 0x1020304 || a.Next() || !a.OK() {
		t.Errorf("AppendU32 appends %x", b[1:])
	}
	for n := range 9 {
		data := []byte("12345678")[:n]
		b := AppendAttr([]byte{7}, 5, data...)
		if a := Walk(b[1:]); !a.Next() || a.Type != 5 || !bytes.Equal(a.Data, data) || a.Next() || !a.OK() ||
			len(b) != 1+AttrHeaderLen+Align(n) {
			t.Errorf("AppendAttr of %d bytes appends %x", n, b[1:])
		}
	}
}

func TestAttrJSON(t *testing.T) {
	for _, c := range []struct {
		attr Attr
		want string
	}{
		{Attr{99, []byte{0, 1, 0xfe}}, `{"type":99,"len":3,"hex":"0001fe"}`},
		{Attr{16383, nil}, `{"type":16383,"len":0,"hex":""}`},
	} {
		if got := string(c.attr.AppendJSON([]byte("["))); got != "["+c.want {
			t.Errorf("got %s, want [%s", got, c.want)
		}
	}
}

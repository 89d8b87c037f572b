package rtnl

import (
	"errors"
	"slices"
	"testing"
)

// appendLink encodes what Link.UnmarshalBinary decodes.
func appendLink(b []byte, l *Link) []byte {
	b = append(b, make([]byte, 4)...)
	b = append(b, encNE(l.Index)...)
	b = append(b, make([]byte, 8)...)
	b = append(b, encAttr(iflaIfname, encStr(l.Name))...)
	if l.Kind != "" {
		b = append(b, encAttr(iflaLinkInfo, encAttr(iflaInfoKind, encStr(l.Kind)), encAttr(2, []byte{1, 2, 3}))...)
	}
	return append(b, encAttr(iflaOperState, []byte{l.OperState})...)
}

func TestLink(t *testing.T) {
	head := encCat(make([]byte, 4), encNE(uint32(9)), make([]byte, 8))
	for _, c := range []struct {
		name  string
		attrs []byte
		want  Link
		state string
	}{
		{"none", nil, Link{Index: 9}, "UNKNOWN"},
		{"hardware", encCat(encAttr(iflaIfname, encStr("eth0")), encAttr(iflaOperState, []byte{6}), encAttr(1, make([]byte, 6))),
			Link{Index: 9, Name: "eth0", OperState: 6}, "UP"},
		{"veth", encCat(encAttr(iflaIfname, encStr("v0")), encAttr(iflaOperState, []byte{3}),
			encAttr(0x8000|iflaLinkInfo, encAttr(2, []byte{1}), encAttr(iflaInfoKind, encStr("veth")), encAttr(4, encStr("bridge")))),
			Link{Index: 9, Name: "v0", Kind: "veth", OperState: 3}, "LOWERLAYERDOWN"},
		{"kind without NUL", encAttr(iflaLinkInfo, encAttr(iflaInfoKind, []byte("tun"))), Link{Index: 9, Kind: "tun"}, "UNKNOWN"},
		{"a state to come", encAttr(iflaOperState, []byte{7}), Link{Index: 9, OperState: 7}, ""},
		{"a state of a wrong length", encAttr(iflaOperState, []byte{6, 0}), Link{Index: 9}, "UNKNOWN"},
		{"an alternative name", encCat(encAttr(iflaIfname, encStr("a")), encAttr(53, encStr("b"))), Link{Index: 9, Name: "a"}, "UNKNOWN"},
	} {
		b := append(slices.Clone(head), c.attrs...)
		got := Link{Name: "old", Kind: "old", OperState: 99}
		if err := got.UnmarshalBinary(b); err != nil || got != c.want || got.OperStateName() != c.state {
			t.Errorf("%s: %v, got %+v %s, want %+v %s", c.name, err, got, got.OperStateName(), c.want, c.state)
		}
		checkLink(t, b)
	}
	for _, c := range []struct {
		name, what string
		b          []byte
		offset     int
	}{
		{"nothing", "link", nil, 0},
		{"a byte too few", "link", head[:15], 15},
		{"attribute of length 0", "link", append(slices.Clone(head), 0, 0, 0, 0), 16},
		{"attribute cut short", "link", encCat(head, encAttr(1), encAttr(iflaIfname, encStr("v0"))[:6]), 20},
		{"inside", "IFLA_LINKINFO", encCat(head, encAttr(1), encAttr(iflaLinkInfo, encAttr(iflaInfoKind, encStr("tun")), []byte{8, 0, 1, 0})), 8},
	} {
		var l Link
		var m *MalformedError
		if err := l.UnmarshalBinary(c.b); !errors.As(err, &m) || m.What != c.what || m.Offset != c.offset {
			t.Errorf("%s: %v", c.name, err)
		}
		checkLink(t, c.b)
	}
}

func TestOperStateName(t *testing.T) {
	for i, want := range []string{"UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP", ""} {
		if got := (&Link{OperState: uint8(i)}).OperStateName(); got != want {
			t.Errorf("state %d is %q, want %q", i, got, want)
		}
	}
}

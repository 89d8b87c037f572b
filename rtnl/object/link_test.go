package object_test

import (
	"errors"
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

func TestLink(t *testing.T) {
	head := Cat(make([]byte, 4), NE(uint32(9)), make([]byte, 8))
	for _, c := range []struct {
		name  string
		attrs []byte
		want  Link
		state string
	}{
		{"none", nil, Link{Index: 9}, "UNKNOWN"},
		{"hardware", Cat(Attr(IFLA_IFNAME, Str("eth0")), Attr(IFLA_OPERSTATE, []byte{6}), Attr(1, make([]byte, 6))),
			Link{Index: 9, Name: "eth0", OperState: 6}, "UP"},
		{"veth", Cat(Attr(IFLA_IFNAME, Str("v0")), Attr(IFLA_OPERSTATE, []byte{3}),
			Attr(0x8000|IFLA_LINKINFO, Attr(2, []byte{1}), Attr(IFLA_INFO_KIND, Str("veth")), Attr(4, Str("bridge")))),
			Link{Index: 9, Name: "v0", Kind: "veth", OperState: 3}, "LOWERLAYERDOWN"},
		{"kind without NUL", Attr(IFLA_LINKINFO, Attr(IFLA_INFO_KIND, []byte("tun"))), Link{Index: 9, Kind: "tun"},
			"UNKNOWN"},
		{"a state to come", Attr(IFLA_OPERSTATE, []byte{7}), Link{Index: 9, OperState: 7}, ""},
		{"a state of a wrong length", Attr(IFLA_OPERSTATE, []byte{6, 0}), Link{Index: 9}, "UNKNOWN"},
		{"vrf", Attr(IFLA_LINKINFO, Attr(IFLA_INFO_KIND, Str("vrf")),
			Attr(IFLA_INFO_DATA, Attr(IFLA_VRF_TABLE, NE(uint32(1001))))),
			Link{Index: 9, Kind: "vrf", VRFTable: 1001}, "UNKNOWN"},
		{"vrf, data first", Attr(IFLA_LINKINFO, Attr(IFLA_INFO_DATA, Attr(IFLA_VRF_TABLE, NE(uint32(7)))),
			Attr(IFLA_INFO_KIND, Str("vrf"))), Link{Index: 9, Kind: "vrf", VRFTable: 7}, "UNKNOWN"},
		{"vrf whose table has a wrong length", Attr(IFLA_LINKINFO, Attr(IFLA_INFO_KIND, Str("vrf")),
			Attr(IFLA_INFO_DATA, Attr(IFLA_VRF_TABLE, NE(uint16(7))))), Link{Index: 9, Kind: "vrf"}, "UNKNOWN"},
		{"port of a vrf", Attr(IFLA_LINKINFO, Attr(IFLA_INFO_KIND, Str("veth")), Attr(4, Str("vrf")),
			Attr(5, Attr(IFLA_VRF_TABLE, NE(uint32(7))))), Link{Index: 9, Kind: "veth"}, "UNKNOWN"},
		{"data of another kind", Attr(IFLA_LINKINFO, Attr(IFLA_INFO_KIND, Str("can")),
			Attr(IFLA_INFO_DATA, []byte{9, 9, 9, 9})), Link{Index: 9, Kind: "can"}, "UNKNOWN"},
		{"an alternative name", Cat(Attr(IFLA_IFNAME, Str("a")), Attr(53, Str("b"))), Link{Index: 9, Name: "a"},
			"UNKNOWN"},
	} {
		b := append(slices.Clone(head), c.attrs...)
		got := Link{Name: "old", Kind: "old", OperState: 99, VRFTable: 99}
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
		{"attribute cut short", "link", Cat(head, Attr(1), Attr(IFLA_IFNAME, Str("v0"))[:6]), 20},
		{"in a vrf's data", "IFLA_INFO_DATA", Cat(head, Attr(IFLA_LINKINFO, Attr(IFLA_INFO_KIND, Str("vrf")),
			Attr(IFLA_INFO_DATA, NE(uint16(8)), []byte{1, 0, 0, 0}))), 0},
		{"inside", "IFLA_LINKINFO", Cat(head, Attr(1),
			Attr(IFLA_LINKINFO, Attr(IFLA_INFO_KIND, Str("tun")), []byte{8, 0, 1, 0})), 8},
	} {
		var l Link
		var m *wire.MalformedError
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

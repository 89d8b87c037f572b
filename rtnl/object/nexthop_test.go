package object_test

import (
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

func TestNexthopRoundTrip(t *testing.T) {
	for seed := range uint64(1000) {
		want := NewChance(seed).Nexthop()
		b := AppendNexthop(nil, want)
		var got NexthopObject
		if err := got.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(&got, want) {
			t.Fatalf("seed %d: %v\n got %+v\nwant %+v", seed, err, got, *want)
		}
		checkNexthop(t, b)
	}
}

// A nexthopAttrs is attributes of a nexthop object, and what they are decoded as.
type nexthopAttrs struct {
	name  string
	attrs []byte
	set   func(*NexthopObject)
}

// nexthopHead is a struct nhmsg.
var nexthopHead = []byte{byte(IPv6), 253, 186, 0, 0x14, 0, 0, 0}

func checkNexthopAttrs(t *testing.T, all []nexthopAttrs) {
	t.Helper()
	for _, c := range all {
		want := NexthopObject{Family: IPv6, Scope: 253, Protocol: 186, Flags: wire.U32([]byte{0x14, 0, 0, 0})}
		c.set(&want)
		b := append(slices.Clone(nexthopHead), c.attrs...)
		var got NexthopObject
		if err := got.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", c.name, err, got, want)
		}
		checkNexthop(t, b)
	}
}

func TestNexthopAttributes(t *testing.T) {
	checkNexthopAttrs(t, []nexthopAttrs{
		{"none", nil, func(*NexthopObject) {}},
		{"NHA_ID", Attr(NHA_ID, NE(^uint32(0))), func(o *NexthopObject) { o.ID = 1<<32 - 1 }},
		{"NHA_GROUP, empty", Attr(NHA_GROUP), func(*NexthopObject) {}},
		{"NHA_GROUP of a wrong length", Attr(NHA_GROUP, make([]byte, 12)),
			func(o *NexthopObject) { o.Unknown = []wire.Attr{{Type: NHA_GROUP, Data: make([]byte, 12)}} }},
		{"NHA_GROUP_TYPE", Attr(NHA_GROUP_TYPE, NE(uint16(1))), func(o *NexthopObject) { o.GroupType = 1 }},
		{"NHA_BLACKHOLE", Attr(NHA_BLACKHOLE), func(o *NexthopObject) { o.Blackhole = true }},
		{"NHA_BLACKHOLE that holds something", Attr(NHA_BLACKHOLE, []byte{1}), func(o *NexthopObject) {
			o.Blackhole, o.Unknown = true, []wire.Attr{{Type: NHA_BLACKHOLE, Data: []byte{1}}}
		}},
		{"NHA_ENCAP alone", Attr(NHA_ENCAP, []byte{1, 2}), func(o *NexthopObject) {
			o.Encap.Raw, o.Unknown = []byte{1, 2}, []wire.Attr{{Type: NHA_ENCAP, Data: []byte{1, 2}}}
		}},
		{"NHA_OIF", Attr(NHA_OIF, NE(uint32(7))), func(o *NexthopObject) { o.OIF = 7 }},
		{"NHA_GATEWAY of IPv6", Attr(NHA_GATEWAY, bytes6), func(o *NexthopObject) { o.Gateway = addr6 }},
		{"NHA_GATEWAY of IPv4", Attr(NHA_GATEWAY, bytes4), func(o *NexthopObject) { o.Gateway = addr4 }},
		{"NHA_ENCAP", Cat(Attr(NHA_ENCAP_TYPE, NE(uint16(5))), Attr(NHA_ENCAP|0x8000, []byte{1, 2})),
			func(o *NexthopObject) { o.Encap = Encap{5, []byte{1, 2}} }},
		{"wrong lengths", Cat(Attr(NHA_ID, []byte{1}), Attr(NHA_GROUP_TYPE, []byte{1}), Attr(NHA_OIF, []byte{1}),
			Attr(NHA_GATEWAY, []byte{1}), Attr(NHA_ENCAP_TYPE, []byte{1})),
			func(o *NexthopObject) {
				o.Unknown = []wire.Attr{{Type: NHA_ID, Data: []byte{1}}, {Type: NHA_GROUP_TYPE, Data: []byte{1}},
					{Type: NHA_OIF, Data: []byte{1}}, {Type: NHA_GATEWAY, Data: []byte{1}},
					{Type: NHA_ENCAP_TYPE, Data: []byte{1}}}
			}},
	})
}

func TestNexthopGroupAttributes(t *testing.T) {
	weights := Cat(NE(uint32(1)), []byte{0, 0, 0, 0}, NE(uint32(2)), []byte{254, 0, 0, 0}, NE(uint32(3)),
		[]byte{255, 0, 0, 0}, NE(uint32(4)), []byte{0, 1, 0, 0}, NE(uint32(5)), []byte{255, 255, 0, 0})
	resilient := Cat(Attr(0), Attr(1, NE(uint16(32))), Attr(2, NE(uint32(12000))), Attr(3, NE(uint32(0))),
		Attr(4, NE(uint64(1<<33))))
	timers := Resilient{Buckets: Some[uint16](32), IdleTimer: Some[uint32](12000), UnbalancedTimer: Some[uint32](0),
		UnbalancedTime: Some[uint64](1 << 33)}
	unknown := func(a ...wire.Attr) func(*NexthopObject) { return func(o *NexthopObject) { o.Unknown = a } }
	checkNexthopAttrs(t, []nexthopAttrs{
		{"NHA_GROUP", Cat(Attr(NHA_GROUP, weights), Attr(NHA_OP_FLAGS, NE(uint32(1<<31)))), func(o *NexthopObject) {
			o.Group, o.OpFlags = []GroupMember{{1, 1}, {2, 255}, {3, 256}, {4, 257}, {5, 65536}}, Some[uint32](1<<31)
		}},
		{"NHA_GROUP before Linux 6.12", Cat(Attr(NHA_OP_FLAGS, NE(^uint32(1<<31))), Attr(NHA_GROUP, weights)),
			func(o *NexthopObject) {
				o.Group = []GroupMember{{1, 1}, {2, 255}, {3, 256}, {4, 1}, {5, 256}}
				o.OpFlags = Some(^uint32(1 << 31))
			}},
		{"NHA_FDB", Attr(NHA_FDB), func(o *NexthopObject) { o.FDB = true }},
		{"NHA_RES_GROUP", Attr(NHA_RES_GROUP|0x8000, resilient), func(o *NexthopObject) { o.Resilient = timers }},
		{"NHA_RES_GROUP with more", Attr(NHA_RES_GROUP, resilient, Attr(5, NE(uint32(1)))), func(o *NexthopObject) {
			o.Resilient = timers
			o.Unknown = []wire.Attr{{Type: NHA_RES_GROUP, Data: Cat(resilient, Attr(5, NE(uint32(1))))}}
		}},
		{"NHA_RES_GROUP of wrong lengths", Attr(NHA_RES_GROUP, Attr(1, []byte{1}), Attr(3, NE(uint32(7)))),
			func(o *NexthopObject) {
				o.Resilient.UnbalancedTimer = Some[uint32](7)
				o.Unknown = []wire.Attr{{Type: NHA_RES_GROUP, Data: Cat(Attr(1, []byte{1}), Attr(3, NE(uint32(7))))}}
			}},
		{"two of NHA_RES_GROUP", Cat(Attr(NHA_RES_GROUP, resilient), Attr(NHA_RES_GROUP)), func(*NexthopObject) {}},
		{"statistics", Cat(Attr(NHA_HW_STATS_ENABLE, NE(uint32(1))), Attr(NHA_HW_STATS_USED, NE(uint32(0))),
			Attr(NHA_GROUP_STATS, Attr(1, Attr(1, NE(uint32(9))), Attr(2, NE(uint32(5)))),
				Attr(1, Attr(1, NE(uint32(8))), Attr(2, NE(uint64(1<<40))), Attr(3, NE(uint32(0))))),
			Attr(NHA_HW_STATS_ENABLE, NE(uint32(1)))), // twice before 06aaf04ca815
			func(o *NexthopObject) {
				o.HWStats, o.HWStatsUsed = Some[uint32](1), Some[uint32](0)
				o.Stats = []MemberStats{{ID: 9, Packets: Some[uint64](5)},
					{ID: 8, Packets: Some[uint64](1 << 40), PacketsHW: Some[uint64](0)}}
			}},
		{"statistics with more", Attr(NHA_GROUP_STATS, Attr(2, []byte{1, 2}), Attr(1, Attr(4, NE(uint32(5))))),
			func(o *NexthopObject) {
				o.Stats = []MemberStats{{}}
				o.Unknown = []wire.Attr{{Type: NHA_GROUP_STATS, Data: Cat(Attr(2, []byte{1, 2}),
					Attr(1, Attr(4, NE(uint32(5)))))}}
			}},
		{"those of requests and buckets, and what may come",
			Cat(Attr(9), Attr(10, NE(uint32(7))), Attr(13, Attr(1, NE(uint16(3)))), Attr(18, []byte{1})),
			unknown(wire.Attr{Type: 9, Data: []byte{}}, wire.Attr{Type: 10, Data: NE(uint32(7))},
				wire.Attr{Type: 13, Data: Attr(1, NE(uint16(3)))}, wire.Attr{Type: 18, Data: []byte{1}})},
	})
}

func TestNexthopMalformed(t *testing.T) {
	for _, c := range []struct {
		b      []byte
		what   string
		offset int
	}{
		{nil, "nexthop", 0},
		{nexthopHead[:7], "nexthop", 7},
		{append(slices.Clone(nexthopHead), 3, 0, 0, 0), "nexthop", 8},
		{Cat(nexthopHead, Attr(NHA_BLACKHOLE), []byte{9, 0, 5, 0, 1, 2}), "nexthop", 12},
		{Cat(nexthopHead, Attr(NHA_RES_GROUP, Attr(1, NE(uint16(3))), []byte{9, 0, 2, 0})), "NHA_RES_GROUP", 8},
		{Cat(nexthopHead, Attr(NHA_GROUP_STATS, []byte{9, 0, 2, 0})), "NHA_GROUP_STATS", 0},
		{Cat(nexthopHead, Attr(NHA_GROUP_STATS, Attr(1, []byte{9, 0, 2, 0}))), "NHA_GROUP_STATS_ENTRY", 0},
	} {
		var o NexthopObject
		var m *wire.MalformedError
		if err := o.UnmarshalBinary(c.b); !errors.As(err, &m) || m.What != c.what || m.Offset != c.offset {
			t.Errorf("%x: %v", c.b, err)
		}
	}
}

func TestRouteNexthops(t *testing.T) {
	id := func(n uint32) Opt[uint32] { return Some(n) }
	addr := netip.MustParseAddr
	encap := Encap{Type: 5, Raw: []byte{1}}
	more := []wire.Attr{{Type: 18, Data: []byte{1}}}
	objects := map[uint32]*NexthopObject{
		1:  {ID: 1, Family: IPv4, OIF: 3, Gateway: addr("10.0.0.2"), Flags: 0x104},
		2:  {ID: 2, Family: IPv6, OIF: 4, Gateway: addr("fd00::2"), Encap: encap, Flags: 16},
		3:  {ID: 3, Group: []GroupMember{{1, 1}, {2, 65536}}},
		4:  {ID: 4, Group: []GroupMember{{2, 300}}},
		5:  {ID: 5, Blackhole: true},
		6:  {ID: 6, Group: []GroupMember{{1, 5}, {99, 6}}}, // 99 went away
		7:  {ID: 7, Group: []GroupMember{{5, 1}}},
		8:  {ID: 8, OIF: 3, Unknown: more},
		9:  {ID: 9, Group: []GroupMember{{8, 2}}},
		10: {ID: 10, Group: []GroupMember{{8, 2}, {1, 3}}},
	}
	for _, c := range []struct {
		name  string
		route Route
		want  []Nexthop
	}{
		{"blackhole", Route{Type: Blackhole}, nil},
		{"device", Route{OIF: id(3)}, []Nexthop{{OIF: 3, Weight: 1}}},
		{"gateway alone", Route{Gateway: addr("10.0.0.2")}, []Nexthop{{Gateway: addr("10.0.0.2"), Weight: 1}}},
		{"device 0", Route{OIF: id(0)}, []Nexthop{{Weight: 1}}},
		{"all of a single one", Route{OIF: id(3), Gateway: addr("fd00::9"), Flags: 0x4014, Realms: id(7), Encap: encap,
			NewDst: []byte{0, 0, 0x11, 0}},
			[]Nexthop{{OIF: 3, Gateway: addr("fd00::9"), Weight: 1, Flags: 0x14, Realms: id(7), Encap: encap,
				NewDst: []byte{0, 0, 0x11, 0}}}},
		{"multipath", Route{Multipath: []Nexthop{{OIF: 3, Weight: 2}, {OIF: 4, Weight: 256}}},
			[]Nexthop{{OIF: 3, Weight: 2}, {OIF: 4, Weight: 256}}},
		{"object", Route{NexthopID: id(1)},
			[]Nexthop{{OIF: 3, Gateway: addr("10.0.0.2"), Weight: 1, Flags: 4, ID: id(1)}}},
		{"object with encap", Route{NexthopID: id(2)},
			[]Nexthop{{OIF: 4, Gateway: addr("fd00::2"), Weight: 1, Flags: 16, Encap: encap, ID: id(2)}}},
		{"object, copied into the route", Route{NexthopID: id(1), OIF: id(3), Gateway: addr("10.0.0.2"), Flags: 4},
			[]Nexthop{{OIF: 3, Gateway: addr("10.0.0.2"), Weight: 1, Flags: 4, ID: id(1)}}},
		{"group", Route{NexthopID: id(3)},
			[]Nexthop{{OIF: 3, Gateway: addr("10.0.0.2"), Weight: 1, Flags: 4, ID: id(1)},
				{OIF: 4, Gateway: addr("fd00::2"), Weight: 65536, Flags: 16, Encap: encap, ID: id(2)}}},
		{"group, copied with weights of 8 bits",
			Route{NexthopID: id(3), Multipath: []Nexthop{{OIF: 3, Weight: 1}, {OIF: 4, Weight: 256, Flags: 16}}},
			[]Nexthop{{OIF: 3, Weight: 1, ID: id(1)}, {OIF: 4, Weight: 65536, Flags: 16, ID: id(2)}}},
		{"group that changed its size meanwhile", Route{NexthopID: id(3), Multipath: []Nexthop{{OIF: 3, Weight: 1}}},
			[]Nexthop{{OIF: 3, Weight: 1}}},
		{"group of one", Route{NexthopID: id(4)},
			[]Nexthop{{OIF: 4, Gateway: addr("fd00::2"), Weight: 300, Flags: 16, Encap: encap, ID: id(2)}}},
		{"group of one, copied", Route{NexthopID: id(4), OIF: id(4), Gateway: addr("fd00::2")},
			[]Nexthop{{OIF: 4, Gateway: addr("fd00::2"), Weight: 300, ID: id(2)}}},
		{"blackhole object", Route{NexthopID: id(5), Type: Blackhole}, nil},
		{"blackhole object, copied", Route{NexthopID: id(5), Type: Blackhole, OIF: id(1)}, nil},
		{"group of a blackhole", Route{NexthopID: id(7), Type: Blackhole}, nil},
		{"group of a blackhole, copied",
			Route{NexthopID: id(7), Type: Blackhole, Multipath: []Nexthop{{OIF: 1, Weight: 1}}}, nil},
		{"blackhole that names an object", Route{NexthopID: id(1), Type: Blackhole},
			[]Nexthop{{OIF: 3, Gateway: addr("10.0.0.2"), Weight: 1, Flags: 4, ID: id(1)}}},
		{"link gateway alone", Route{LinkGateway: []byte{2, 1}}, []Nexthop{{LinkGateway: []byte{2, 1}, Weight: 1}}},
		{"object with more", Route{NexthopID: id(8)}, []Nexthop{{OIF: 3, Weight: 1, ID: id(8), Unknown: more}}},
		{"object with more, copied", Route{NexthopID: id(8), OIF: id(3)},
			[]Nexthop{{OIF: 3, Weight: 1, ID: id(8), Unknown: more}}},
		{"group of one with more, copied", Route{NexthopID: id(9), OIF: id(3)},
			[]Nexthop{{OIF: 3, Weight: 2, ID: id(8), Unknown: more}}},
		{"member with more, copied", Route{NexthopID: id(10), Multipath: []Nexthop{{OIF: 3, Weight: 2,
			Unknown: []wire.Attr{{Type: 33, Data: nil}}}, {OIF: 3, Weight: 1}}},
			[]Nexthop{{OIF: 3, Weight: 2, ID: id(8), Unknown: append([]wire.Attr{{Type: 33, Data: nil}}, more...)},
				{OIF: 3, Weight: 3, ID: id(1)}}},
		{"group with a member that went away", Route{NexthopID: id(6)},
			[]Nexthop{{OIF: 3, Gateway: addr("10.0.0.2"), Weight: 5, Flags: 4, ID: id(1)}, {Weight: 6, ID: id(99)}}},
		{"object that went away", Route{NexthopID: id(99), Flags: 0x108}, []Nexthop{{Weight: 1, Flags: 8, ID: id(99)}}},
		{"object 0 that is none", Route{NexthopID: Opt[uint32]{V: 1}}, nil},
	} {
		got := c.route.Nexthops(objects, []Nexthop{{OIF: 77, Unknown: []wire.Attr{{Type: 1, Data: nil}}}})
		if len(got)+len(c.want) > 0 && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

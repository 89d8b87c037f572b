package shadow

import (
	"net/netip"
	"testing"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// exceptionCases are some in which few packets are asked by other rules than all the others.
var exceptionCases = []shadowCase{
	{"few packets skip a table, to a rule that is not known", []string{"0 255", "50 goto 200 fwmark", "100 51820",
		"32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 perhaps 50
		51820 10.0.0.0/8`},
	{"few packets skip the route's table too", []string{"0 255", "100 goto 32767 fwmark", "200 51820", "32766 254",
		"32767 253"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1
		253 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 100
		51820 10.0.0.0/8`},
	{"few packets have a table of their own", []string{"0 255", "50 51821 fwmark", "51 51820 fwmark not",
		"32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1
		254 11.0.0.0/8 < 51820 11.0.0.0/8 of 1 but 51
		254 12.0.0.0/8 < 51820 12.0.0.0/8 of 1 but 51
		254 13.0.0.0/8 < 51820 13.0.0.0/8 of 1 but 51
		254 14.0.0.0/8 < 51820 14.0.0.0/8 of 1 but 51
		51820 10.0.0.0/8
		51820 11.0.0.0/8
		51820 12.0.0.0/8
		51820 13.0.0.0/8
		51820 14.0.0.0/8
		51821 10.0.0.0/8
		51821 11.0.0.0/8 throw
		51821 13.0.0.0/9
		51821 14.0.0.0/8 tos 16`},
	{"few packets have a table of their own that accepts no short prefixes", []string{"0 255",
		"50 51821 fwmark longer 8", "51 51820 fwmark not", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 51
		254 11.0.0.0/9 < 51820 11.0.0.0/9 of 1
		254 12.0.0.0/8 < 51820 12.0.0.0/8 of 1 perhaps 51
		51820 10.0.0.0/8
		51820 11.0.0.0/9
		51820 12.0.0.0/8
		51821 10.0.0.0/8 < refused 50
		51821 11.0.0.0/9
		51821 12.0.0.0/8 blackhole`},
	{"few packets are refused before", []string{"0 255", "50 prohibit fwmark", "51 51820 fwmark not", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1
		51820 10.0.0.0/8`},
	{"few packets are led to the same table before", []string{"0 255", "50 51820 fwmark", "51 51820 fwmark not",
		"32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1
		51820 10.0.0.0/8`},
	{"other packets are refused before", []string{"0 255", "50 prohibit from", "51 51820 fwmark not", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 51
		51820 10.0.0.0/8`},
	{"packets of which less is known are refused before", []string{"0 255", "50 prohibit dscp", "51 51820 fwmark not",
		"32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 perhaps 51
		51820 10.0.0.0/8`},
	{"few packets to some destinations", []string{"0 255", "50 prohibit fwmark to 10.0.0.0/9",
		"51 51820 fwmark not", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 51
		254 10.0.0.0/16 < 51820 10.0.0.0/8 of 1
		254 10.128.0.0/16 < 51820 10.0.0.0/8 of 1 but 51
		51820 10.0.0.0/8`},
	{"few packets to some destinations come to the table", []string{"0 255", "50 254 fwmark to 10.0.0.0/9",
		"51 51820", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 50
		254 10.0.0.0/16 < 51820 10.0.0.0/8 of 1 but 50
		254 10.128.0.0/16 < 51820 10.0.0.0/8 of 1
		51820 10.0.0.0/8`},
	{"one rule for few packets comes before another", []string{"0 255", "40 254 fwmark", "50 goto 60 fwmark",
		"51 51820", "60 nop", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 40
		51820 10.0.0.0/8`},
	{"what is more specific decides about few packets", []string{"0 255", "51 51820 fwmark not", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 51
		254 10.0.0.0/9 < 51820 10.0.0.0/8 of 1 but 51
		51820 10.0.0.0/8
		255 10.0.0.0/10 local
		255 10.128.0.0/10 local`},
	{"few packets through an interface", []string{"0 255", "50 51821 iif", "51 51820 iif not", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1
		254 11.0.0.0/8 < 51820 11.0.0.0/8 of 1 but 51
		51820 10.0.0.0/8
		51820 11.0.0.0/8
		51821 10.0.0.0/8`},
	{"few packets after a jump past another table", []string{"0 255", "40 goto 50 fwmark", "45 51820",
		"50 51821 fwmark", "60 nop", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1
		254 11.0.0.0/8 < 51820 11.0.0.0/8 of 1 but 40
		51820 10.0.0.0/8
		51820 11.0.0.0/8
		51821 10.0.0.0/8`},
	{"other packets skip a rule by which few skip the table", []string{"0 255", "30 goto 60 from",
		"50 goto 32767 fwmark", "55 51820", "60 nop", "32766 254", "32767 253"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 30
		51820 10.0.0.0/8`},
	{"few packets, if they have a source", []string{"0 255", "30 254 unsourced", "50 goto 60 fwmark", "55 51820",
		"60 nop", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 30 perhaps 50
		51820 10.0.0.0/8`},
	{"rules that do not accept routes through some interfaces", []string{"0 255", "40 254 ifgroup longer 8",
		"45 51821 ifgroup", "51 51820 fwmark not", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 51
		254 11.0.0.0/9
		254 12.0.0.0/8 < 51820 12.0.0.0/8 of 1 perhaps 51
		51820 10.0.0.0/8
		51820 11.0.0.0/9
		51820 12.0.0.0/8
		51821 12.0.0.0/8`},
	{"few packets, but for routes through some interfaces", []string{"0 255", "40 254 fwmark ifgroup", "51 51820",
		"32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 perhaps 40
		51820 10.0.0.0/8`},
	{"few packets skip a table, and may be in a VRF", []string{"0 255", "30 goto 60 fwmark", "40 51820", "60 l3mdev"}, `
		10 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 perhaps 30
		51820 10.0.0.0/8`},
	{"packets that name an interface", []string{"0 255", "51 51820 oif not", "60 51821 oif", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 perhaps 51
		51820 10.0.0.0/8
		51821 10.0.0.0/8`},
	{"packets without a source skip a rule for few", []string{"0 255", "30 goto 60 unsourced", "50 254 fwmark",
		"55 51820", "60 nop", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 30 perhaps 50
		51820 10.0.0.0/8`},
	{"routes that are alike", []string{"0 255", "51 51820 fwmark not", "32766 254"}, `
		254 0.0.0.0/0 < 51820 0.0.0.0/0 of 1 perhaps 51
		254 0.0.0.0/0 < 51820 0.0.0.0/0 of 1 perhaps 51
		51820 0.0.0.0/0`},
	{"IPv6 routes that are alike, or for some sources", []string{"0 255", "51 51820 fwmark not", "32766 254"}, `
		254 2001:db8::/32 < 51820 ::/0 of 1 but 51
		254 2001:db8::/32 < 51820 ::/0 of 1 perhaps 51
		254 2001:db9::/32 from fd00::/64 < 51820 ::/0 of 1 perhaps 51
		254 2001:db9::/32 < 51820 ::/0 of 1 perhaps 51
		51820 ::/0`},
	{"goto past rules that do not accept a route", []string{"0 255", "40 goto 60", "50 254 longer 8", "60 nop"}, `
		254 10.0.0.0/8 < rule 40
		254 11.0.0.0/9 < rule 40`},
	{"no rule accepts a route", []string{"0 255", "60 254 longer 0", "70 254 longer 8"}, `
		254 0.0.0.0/0 < refused 60 70
		254 10.0.0.0/8`},
}

// TestMeets compares the conditions of two rules: what is certain of all packets that meet the first, and of
// a plain one.
func TestMeets(t *testing.T) {
	prefix, mark := netip.MustParsePrefix, object.Some[uint32]
	all := object.Rule{Family: object.IPv4}
	with := func(set func(*object.Rule)) object.Rule {
		r := all
		set(&r)
		return r
	}
	marked := func(m, mask uint32) object.Rule {
		return with(func(r *object.Rule) { r.Mark, r.Mask = mark(m), mark(mask) })
	}
	from := func(p string) object.Rule { return with(func(r *object.Rule) { r.Src = prefix(p) }) }
	iif := func(name string) object.Rule { return with(func(r *object.Rule) { r.IIF = name }) }
	tos := func(n uint8) object.Rule { return with(func(r *object.Rule) { r.TOS = n }) }
	dscp := with(func(r *object.Rule) { r.DSCP = object.Some[uint8](4) })
	user := with(func(r *object.Rule) { r.UIDs = object.Some(object.UIDRange{Start: 1, End: 2}) })
	from6 := with(func(r *object.Rule) { r.Family, r.Src = object.IPv6, prefix("fd00::/8") })
	found := from6
	found.Flags = object.FIB_RULE_FIND_SADDR
	vrf := with(func(r *object.Rule) { r.L3MDev = object.Some[uint8](1) })
	gone := with(func(r *object.Rule) { r.IIF, r.Flags = "v0", object.FIB_RULE_IIF_DETACHED })
	later := with(func(r *object.Rule) { r.Unknown = []wire.Attr{{Type: 99}} })
	for i, c := range []struct {
		c, r        object.Rule
		want, plain verdict
	}{
		{all, all, surely, surely},
		{marked(1, 0xff), all, surely, surely},
		{all, marked(1, 0xff), perhaps, never},
		{all, marked(0, 0xff), perhaps, surely},
		{marked(1, 0xff), marked(1, 0xff), surely, surely},
		{marked(1, 0xff), marked(1, 0xf), surely, surely},
		{marked(1, 0xff), marked(2, 0xff), never, never},
		{marked(1, 0xf), marked(1, 0xff), perhaps, surely},
		{marked(1, 0xf), marked(0x11, 0xff), perhaps, never},
		{from("10.0.0.0/9"), from("10.0.0.0/8"), surely, surely},
		{from("10.0.0.0/8"), from("10.0.0.0/9"), perhaps, perhaps},
		{from("10.0.0.0/8"), from("11.0.0.0/8"), never, never},
		{all, from("10.0.0.0/8"), perhaps, never},
		{all, from("0.0.0.0/8"), perhaps, surely},
		{iif("v0"), from("10.0.0.0/8"), perhaps, perhaps},
		{marked(1, 1), from6, perhaps, never},
		{marked(1, 1), found, perhaps, perhaps},
		{iif("v0"), iif("v0"), surely, surely},
		{iif("v0"), iif("v1"), perhaps, perhaps},
		{iif("v0"), iif("lo"), never, never},
		{all, iif("v0"), perhaps, never},
		{all, iif("lo"), perhaps, surely},
		{all, gone, never, never},
		{tos(4), tos(8), never, never},
		{all, tos(8), perhaps, never},
		{dscp, tos(16), perhaps, perhaps},
		{tos(16), dscp, perhaps, perhaps},
		{dscp, dscp, surely, surely},
		{all, user, perhaps, perhaps},
		{user, user, surely, surely},
		{all, vrf, perhaps, never},
		{iif("v0"), vrf, perhaps, perhaps},
		{all, later, perhaps, perhaps},
	} {
		if got := meets(&c.c, &c.r, false); got != c.want {
			t.Errorf("%d: for all packets %d, want %d", i, got, c.want)
		}
		if got := meets(&c.c, &c.r, true); got != c.plain {
			t.Errorf("%d: for a plain one %d, want %d", i, got, c.plain)
		}
	}
}

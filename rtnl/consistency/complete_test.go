package consistency

import (
	"net/netip"
	"slices"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// runOf returns the run that messages about routes make.
func runOf(t testing.TB, messages ...[]byte) object.Run {
	t.Helper()
	var m object.Message
	all := slices.Concat(messages...)
	for msg := range wire.Messages(all) {
		if err := object.Routes.Check(&m, msg); err != nil {
			t.Fatal(err)
		}
	}
	if len(all) == 0 {
		return object.Run{}
	}
	return m.RunIn(all)
}

// ipv6Message makes an RTM_NEWROUTE message of an IPv6 route in table main.
func ipv6Message(dst string, oif uint32, gateways ...string) []byte {
	r := object.Route{Family: object.IPv6, Table: 254, Type: object.Unicast, Protocol: 4,
		Dst: netip.MustParsePrefix(dst), Priority: object.Some(uint32(1024))}
	switch {
	case len(gateways) == 0:
		r.OIF = object.Some(oif)
	case len(gateways) == 1:
		r.OIF, r.Gateway = object.Some(oif), netip.MustParseAddr(gateways[0])
	default:
		for _, g := range gateways {
			r.Multipath = append(r.Multipath, object.Nexthop{OIF: oif, Gateway: netip.MustParseAddr(g), Weight: 1})
		}
	}
	return nltest.Padded(object.RTM_NEWROUTE, 0, 0, nltest.AppendRoute(nil, &r))
}

// TestComplete gives a list of routes some that have only some of their nexthops.
func TestComplete(t *testing.T) {
	whole := ipv6Message("fd01::/64", 3, "fd00::2", "fd00::3", "fd00::4")
	one := ipv6Message("fd01::/64", 3, "fd00::2")
	another := object.Filter{Protocols: []uint8{5}}
	for _, tc := range []struct {
		name   string
		route  []byte
		heard  [][]byte
		filter object.Filter
		want   int // nexthops
	}{
		{"one of three", one, [][]byte{whole}, object.Filter{}, 3},
		{"two of three", ipv6Message("fd01::/64", 3, "fd00::2", "fd00::4"), [][]byte{whole}, object.Filter{}, 3},
		{"of the newest that fits", one, [][]byte{ipv6Message("fd01::/64", 3, "fd00::2", "fd00::9"), whole,
			ipv6Message("fd01::/64", 3, "fd00::7", "fd00::8")}, object.Filter{}, 3},
		{"all of them", whole, [][]byte{whole}, object.Filter{}, 3},
		{"as it was before", ipv6Message("fd01::/64", 3, "fd00::9"), [][]byte{whole}, object.Filter{}, 1},
		{"another interface", ipv6Message("fd01::/64", 4, "fd00::2"), [][]byte{whole}, object.Filter{}, 1},
		{"another destination", ipv6Message("fd02::/64", 3, "fd00::2"), [][]byte{whole}, object.Filter{}, 1},
		{"no gateway", ipv6Message("fd01::/64", 3), [][]byte{whole}, object.Filter{}, 1},
		{"as it is now, which is not asked for", one, [][]byte{whole}, another, 1},
		{"nothing heard", one, nil, object.Filter{}, 1},
	} {
		before, after := ipv6Message("fd00:1::/64", 3, "fd00::2"), ipv6Message("fd03::/64", 3, "fd00::2")
		var heard []object.Run
		if tc.heard != nil {
			heard = []object.Run{runOf(t, tc.heard...)}
		}
		list := Complete([]object.Run{runOf(t, before, tc.route, after)}, heard, tc.filter.Match)
		var counts []int
		var r object.Route
		object.Each(list, func(m *object.Message) bool {
			r.Decode(m, object.FieldNexthops)
			counts = append(counts, len(r.Nexthops(nil, nil)))
			return true
		})
		if len(counts) != 3 || counts[0] != 1 || counts[1] != tc.want || counts[2] != 1 {
			t.Errorf("%s: routes with %v nexthops, want 1, %d and 1", tc.name, counts, tc.want)
		}
	}
}

// TestCompleteFew: beside many routes, to complete one takes no memory for each.
func TestCompleteFew(t *testing.T) {
	var all [][]byte
	for i := range 100 {
		all = append(all, ipv6Message(netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, byte(i)}), 64).String(), 3))
	}
	list := []object.Run{runOf(t, all...)}
	heard := []object.Run{runOf(t, ipv6Message("fe01::/64", 3, "fd00::2", "fd00::3"))}
	match := func(*object.Message) bool { return true }
	if n := testing.AllocsPerRun(10, func() { Complete(list, heard, match) }); n > 20 {
		t.Errorf("%v allocations", n)
	}
}

package rtnl

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// ipv6Message makes an RTM_NEWROUTE message of an IPv6 route in table main.
func ipv6Message(dst string, oif uint32, gateways ...string) []byte {
	r := Route{Family: IPv6, Table: 254, Type: Unicast, Protocol: 4, Dst: netip.MustParsePrefix(dst), Priority: some(uint32(1024))}
	switch {
	case len(gateways) == 0:
		r.OIF = some(oif)
	case len(gateways) == 1:
		r.OIF, r.Gateway = some(oif), netip.MustParseAddr(gateways[0])
	default:
		for _, g := range gateways {
			r.Multipath = append(r.Multipath, Nexthop{OIF: oif, Gateway: netip.MustParseAddr(g), Weight: 1})
		}
	}
	payload := appendRoute(nil, &r)
	return append(appendHeader(nil, unix.NLMSG_HDRLEN+len(payload), unix.RTM_NEWROUTE, 0, 0), payload...)
}

// TestSettle gives a snapshot routes that have only some of their nexthops.
func TestSettle(t *testing.T) {
	whole := ipv6Message("fd01::/64", 3, "fd00::2", "fd00::3", "fd00::4")
	for _, tc := range []struct {
		name   string
		route  []byte
		heard  [][]byte
		filter Filter
		want   int // nexthops
	}{
		{"one of three", ipv6Message("fd01::/64", 3, "fd00::2"), [][]byte{whole}, Filter{}, 3},
		{"two of three", ipv6Message("fd01::/64", 3, "fd00::2", "fd00::4"), [][]byte{whole}, Filter{}, 3},
		{"of the newest that fits", ipv6Message("fd01::/64", 3, "fd00::2"), [][]byte{ipv6Message("fd01::/64", 3, "fd00::2", "fd00::9"), whole, ipv6Message("fd01::/64", 3, "fd00::7", "fd00::8")}, Filter{}, 3},
		{"all of them", whole, [][]byte{whole}, Filter{}, 3},
		{"its old self", ipv6Message("fd01::/64", 3, "fd00::9"), [][]byte{whole}, Filter{}, 1},
		{"another interface", ipv6Message("fd01::/64", 4, "fd00::2"), [][]byte{whole}, Filter{}, 1},
		{"another destination", ipv6Message("fd02::/64", 3, "fd00::2"), [][]byte{whole}, Filter{}, 1},
		{"no gateway", ipv6Message("fd01::/64", 3), [][]byte{whole}, Filter{}, 1},
		{"a new self that is not asked for", ipv6Message("fd01::/64", 3, "fd00::2"), [][]byte{whole}, Filter{Protocols: []uint8{5}}, 1},
		{"nothing heard", ipv6Message("fd01::/64", 3, "fd00::2"), nil, Filter{}, 1},
	} {
		before, after := ipv6Message("fd00:1::/64", 3, "fd00::2"), ipv6Message("fd03::/64", 3, "fd00::2")
		run := append(append(append([]byte(nil), before...), tc.route...), after...)
		s := &Snapshot{routes: settle([][]byte{run}, tc.heard, &tc.filter)}
		var counts []int
		for c := s.Cursor(FieldNexthops); c.Next(); {
			counts = append(counts, len(s.Nexthops(c.Route(), nil)))
		}
		if len(counts) != 3 || counts[0] != 1 || counts[1] != tc.want || counts[2] != 1 {
			t.Errorf("%s: routes with %v nexthops, want 1, %d and 1", tc.name, counts, tc.want)
		}
	}
}

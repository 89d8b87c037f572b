package object_test

import (
	"net/netip"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
)

// ipv6Message makes an RTM_NEWROUTE message of an IPv6 route in table main.
func ipv6Message(t *testing.T, dst string, oif uint32, gateways ...string) *Message {
	r := Route{Family: IPv6, Table: 254, Type: Unicast, Protocol: 4, Dst: netip.MustParsePrefix(dst),
		Priority: Some(uint32(1024))}
	switch {
	case len(gateways) == 0:
		r.OIF = Some(oif)
	case len(gateways) == 1:
		r.OIF, r.Gateway = Some(oif), netip.MustParseAddr(gateways[0])
	default:
		for _, g := range gateways {
			r.Multipath = append(r.Multipath, Nexthop{OIF: oif, Gateway: netip.MustParseAddr(g), Weight: 1})
		}
	}
	m, err := check(Routes.Kind, AppendRoute(nil, &r))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRouteWithin has routes that have only some of the nexthops of another.
func TestRouteWithin(t *testing.T) {
	msg := func(dst string, oif uint32, gateways ...string) *Message {
		return ipv6Message(t, dst, oif, gateways...)
	}
	whole := msg("fd01::/64", 3, "fd00::2", "fd00::3", "fd00::4")
	for _, c := range []struct {
		name         string
		route, whole *Message
		want         bool
	}{
		{"one of three", msg("fd01::/64", 3, "fd00::2"), whole, true},
		{"two of three", msg("fd01::/64", 3, "fd00::2", "fd00::4"), whole, true},
		{"one of two", msg("fd01::/64", 3, "fd00::2"), msg("fd01::/64", 3, "fd00::2", "fd00::9"), true},
		{"of none of two", msg("fd01::/64", 3, "fd00::2"), msg("fd01::/64", 3, "fd00::7", "fd00::8"), false},
		{"all of them", whole, whole, false},
		{"as it was before", msg("fd01::/64", 3, "fd00::9"), whole, false},
		{"another interface", msg("fd01::/64", 4, "fd00::2"), whole, false},
		{"no gateway", msg("fd01::/64", 3), whole, false},
		{"the whole in a part", whole, msg("fd01::/64", 3, "fd00::2"), false},
	} {
		if got := Routes.Within(c.route, c.whole); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if Routes.Position(c.route) != Routes.Position(whole) || Routes.Table(c.route) != Routes.Table(whole) {
			t.Errorf("%s: at another place", c.name)
		}
	}
	if Routes.Position(msg("fd02::/64", 3, "fd00::2")) == Routes.Position(whole) {
		t.Error("another destination at the same place")
	}
	if !Routes.Grows(whole) || Routes.Grows(msg("fd01::/64", 3, "fd00::2")) {
		t.Error("multipath routes grow, others do not")
	}
	if m, err := check(Routes.Kind, AppendRoute(nil, ECMP(IPv4))); err != nil || Routes.Grows(m) {
		t.Error("IPv4 routes do not grow", err)
	}
}

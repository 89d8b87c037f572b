package iptext

import (
	"net/netip"
	"strings"
	"testing"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// TestDescribeAsIP: what is compared with `ip rule` and `ip route` side by side is spelt as there.
func TestDescribeAsIP(t *testing.T) {
	d := Describer{Names: &iproute2.Names{}}
	rule := func(r object.Rule) string {
		r.Action, r.Table = object.FR_ACT_TO_TBL, 100
		return strings.Join(d.RuleAsIP(&r), " ")
	}
	for want, got := range map[string]string{
		"from all tos 0x08 lookup 100":          rule(object.Rule{TOS: 8}),
		"from all tos 0x10 lookup 100":          rule(object.Rule{TOS: 16}),
		"from all ipproto tcp lookup 100":       rule(object.Rule{IPProto: object.Some[uint8](6)}),
		"from all ipproto ipv6-icmp lookup 100": rule(object.Rule{IPProto: object.Some[uint8](58)}),
		"from all ipproto 200 lookup 100":       rule(object.Rule{IPProto: object.Some[uint8](200)}),
		"blackhole default tos 0x10": strings.Join(d.Destination(&object.Route{Type: object.Blackhole, TOS: 16,
			Dst: netip.MustParsePrefix("0.0.0.0/0")},
			&rtnl.Snapshot{}), " "),
	} {
		if got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}

// TestState: how a nexthop is follows it, where that is wanted.
func TestState(t *testing.T) {
	const dead, linkdown = 1, 16 // RTNH_F_DEAD, RTNH_F_LINKDOWN
	hop := &object.Nexthop{OIF: 7, Flags: dead | linkdown}
	for want, d := range map[string]Describer{
		"dev 7":               {Names: &iproute2.Names{}},
		"dev 7 dead linkdown": {Names: &iproute2.Names{}, State: true},
	} {
		if got := strings.Join(d.Way(&rtnl.Snapshot{}, hop), " "); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}

// TestMulticast: a multicast route shares no packets out, but lets those through whose TTL is large enough.
func TestMulticast(t *testing.T) {
	d := Describer{Names: &iproute2.Names{}}
	hops := []object.Nexthop{
		{OIF: 7, TTLThreshold: object.Some[uint8](1)},
		{OIF: 8, TTLThreshold: object.Some[uint8](16)},
	}
	r := &object.Route{Family: object.IPMR, Table: 253, Type: object.Multicast, Multipath: hops,
		Dst: netip.MustParsePrefix("239.1.1.1/32")}
	const want = "route ipmr 253 multicast 239.1.1.1/32 nexthop dev 7 ttl 1 nexthop dev 8 ttl 16 proto 0"
	if got := strings.Join(d.Route(r, &rtnl.Snapshot{}), " "); got != want {
		t.Errorf("%q instead of %q", got, want)
	}
	r.Family, hops[0], hops[1] = object.IPv4, object.Nexthop{OIF: 7, Weight: 1}, object.Nexthop{OIF: 8, Weight: 2}
	got := strings.Join(d.Route(r, &rtnl.Snapshot{}), " ")
	if !strings.Contains(got, "dev 7 weight 1 nexthop dev 8 weight 2") {
		t.Errorf("%q", got)
	}
}

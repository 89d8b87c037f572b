// Package eventtest has, for tests, events of every kind, also such as no kernel can be made to
// tell of on demand, and a source that knows them.
package eventtest

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// A Source is one that knows events too. It notes after which it was asked for them.
type Source struct {
	tables.Source
	All   []*events.Event
	Asked []uint64
}

// Events returns those after one.
func (s *Source) Events(_ context.Context, after uint64) ([]*events.Event, error) {
	s.Asked = append(s.Asked, after)
	i := slices.IndexFunc(s.All, func(e *events.Event) bool { return e.Seq > after })
	if i < 0 {
		return nil, nil
	}
	return slices.Clone(s.All[i:]), nil
}

// RunOf returns a message, with its padding, as a run.
func RunOf(k *object.Kind, msg []byte) object.Run {
	var m object.Message
	if err := k.Check(&m, msg); err != nil {
		panic(err)
	}
	return object.RunOf(&m)
}

// Route returns the run of a route.
func Route(r *object.Route) object.Run {
	return RunOf(object.Routes.Kind, nltest.RouteMessage(0, r))
}

// Link returns the run of a link.
func Link(index uint32, name string) object.Run {
	return RunOf(object.Links.Kind, nltest.LinkMessage(0, index, name))
}

// Rule returns the run of a rule.
func Rule(r *object.Rule) object.Run { return RunOf(object.Rules.Kind, nltest.RuleMessage(0, r)) }

// Object returns the run of a nexthop object.
func Object(o *object.NexthopObject) object.Run {
	return RunOf(object.NexthopObjects.Kind, nltest.Padded(object.RTM_NEWNEXTHOP, 0, 0, nltest.AppendNexthop(nil, o)))
}

// Address returns the run of an IPv4 address of a link.
func Address(link uint32, address string) object.Run {
	p := netip.MustParsePrefix(address)
	payload := nltest.Cat([]byte{byte(object.IPv4), byte(p.Bits()), 0, 0}, nltest.NE(link),
		nltest.Attr(2, p.Addr().AsSlice())) // IFA_LOCAL
	return RunOf(object.Addresses, nltest.Padded(object.RTM_NEWADDR, 0, 0, payload))
}

// Default returns a default route of IPv4 by a DHCP client.
func Default(gateway string, dev uint32) *object.Route {
	return &object.Route{Family: object.IPv4, Type: object.Unicast, Protocol: 16, Table: object.RT_TABLE_MAIN,
		Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr(gateway), OIF: object.Some(dev),
		Priority: object.Some(uint32(100))}
}

// To returns a route of IPv4 without a gateway.
func To(dst string, dev uint32) *object.Route {
	return &object.Route{Family: object.IPv4, Type: object.Unicast, Protocol: 3, Scope: 253,
		Table: object.RT_TABLE_MAIN, Dst: netip.MustParsePrefix(dst), OIF: object.Some(dev)}
}

// Shared returns a route of IPv6 with some gateways on one link.
func Shared(dst string, dev uint32, gateways ...string) *object.Route {
	r := &object.Route{Family: object.IPv6, Type: object.Unicast, Protocol: 186, Table: object.RT_TABLE_MAIN,
		Dst: netip.MustParsePrefix(dst), Priority: object.Some(uint32(20))}
	for _, g := range gateways {
		r.Multipath = append(r.Multipath, object.Nexthop{OIF: dev, Weight: 1, Gateway: netip.MustParseAddr(g)})
	}
	if len(gateways) == 1 {
		r.Gateway, r.OIF, r.Multipath = r.Multipath[0].Gateway, object.Some(dev), nil
	}
	return r
}

// Sample returns events of every kind, some seconds before a time but on its day (UTC): what DHCP
// clients, wg-quick, routing daemons and the kernel do, a link that takes a route along, and a loss.
func Sample(now time.Time) []*events.Event {
	start := now.UTC().Add(-10 * time.Second)
	if midnight := now.UTC().Truncate(24 * time.Hour); start.Before(midnight) {
		start = midnight
	}
	eth0, eth1 := Link(2, "eth0"), Link(3, "eth1")
	client := &author.Author{PID: 611, ParentPID: 1, Name: "dhclient", Path: "/usr/sbin/dhclient",
		Cgroup: "/system.slice/networking.service"}
	ip := &author.Author{PID: 701, ParentPID: 700, Name: "ip", Path: "/usr/bin/ip",
		Cgroup: `/system.slice/system-wg\x2dquick.slice/wg-quick@wg0.service`}
	zebra := &author.Author{PID: 702, ParentPID: 1, UID: 92, Name: "zebra", Path: "/usr/lib/frr/zebra",
		Cgroup: "/system.slice/frr.service"}
	felix := &author.Author{PID: 703, ParentPID: 650, Name: "calico-node", Path: "/usr/bin/calico-node",
		Cgroup: "/kubepods.slice/cri-1.scope"}
	rule := &object.Rule{Family: object.IPv4, Action: object.FR_ACT_TO_TBL, Flags: object.FIB_RULE_INVERT,
		Priority: 32765, Table: 1000, Mark: object.Some(uint32(51820)), Mask: object.Some(uint32(1<<32 - 1)),
		Protocol: object.Some(uint8(3))}
	gateway := &object.NexthopObject{Family: object.IPv4, Protocol: 11, Scope: 253, ID: 1, OIF: 2,
		Gateway: netip.MustParseAddr("192.0.2.2")}
	ofObject := To("100.64.0.0/10", 0)
	ofObject.OIF, ofObject.NexthopID, ofObject.Scope = object.Opt[uint32]{}, object.Some(uint32(1)), 0
	all := []*events.Event{
		{Action: events.Added, Kind: object.Routes.Kind, Object: Route(Default("192.0.2.9", 3)),
			Referred: []object.Run{eth1}, Told: true, Port: 4000000001, Author: client,
			Certainty: author.OtherSocket},
		{Action: events.Replaced, Kind: object.Routes.Kind, Object: Route(Default("192.0.2.1", 2)),
			Old: Route(Default("192.0.2.9", 3)), Referred: []object.Run{eth0, eth1}, Told: true, Port: 611,
			Author: client, Certainty: author.Process},
		{Action: events.Added, Kind: object.Rules.Kind, Object: Rule(rule), Told: true, Port: 701, Author: ip,
			Certainty: author.Process},
		{Action: events.Added, Kind: object.NexthopObjects.Kind, Object: Object(gateway),
			Referred: []object.Run{eth0}, Told: true, Port: 702, Author: zebra, Certainty: author.Process},
		{Action: events.Appended, Kind: object.Routes.Kind, Object: Route(ofObject),
			Referred: []object.Run{eth0, Object(gateway)}, Told: true, Port: 702, Author: zebra,
			Certainty: author.Process},
		{Action: events.Added, Kind: object.Routes.Kind, Object: Route(To("198.51.100.0/24", 3)),
			Referred: []object.Run{eth1}, Told: true, Port: 9, Author: felix, Certainty: author.OtherNamespace},
		{Action: events.Deleted, Kind: object.Routes.Kind, Object: Route(To("198.51.100.0/24", 3)),
			Referred: []object.Run{eth1}, Told: true, Port: 802, Certainty: author.Unknown},
		{Action: events.Deleted, Kind: object.Addresses, Object: Address(3, "192.0.2.8/24"),
			Referred: []object.Run{eth1}, Told: true, Port: 701, Author: ip, Certainty: author.Process},
		{Action: events.Gone, Kind: object.Routes.Kind, Object: Route(To("192.0.2.0/24", 3)),
			Referred: []object.Run{eth1}, Told: true, Port: 701, Author: ip, Certainty: author.Process},
		{Action: events.Deleted, Kind: object.Links.Kind, Object: eth1, Told: true, Certainty: author.Kernel},
		{Action: events.Lost, Lost: true},
		{Action: events.Gone, Kind: object.Routes.Kind, Object: Route(To("203.0.113.0/24", 4))},
		{Action: events.Replaced, Kind: object.Routes.Kind,
			Object: Route(Shared("2001:db8:9::/48", 2, "2001:db8::2", "2001:db8::3")),
			Old:    Route(Shared("2001:db8:9::/48", 2, "2001:db8::2", "2001:db8::3", "2001:db8::4")),
			Twin:   1, Referred: []object.Run{eth0}, Told: true, Port: 702, Author: zebra, Certainty: author.Process},
		{Action: events.Added, Kind: object.Routes.Kind, Object: Route(Shared("2001:db8:a::/64", 2, "2001:db8::1")),
			Referred: []object.Run{eth0}, Told: true, Certainty: author.Kernel},
	}
	for i, e := range all {
		e.Seq, e.Time = uint64(i+1), start.Add(time.Duration(i)*10*time.Millisecond).UnixNano()
		e.Uptime = int64(time.Hour) + int64(i)*int64(10*time.Millisecond)
	}
	return all
}

package iptext

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
)

// A Describer describes objects as ip writes them, in parts such as "via 192.0.2.1" and "metric 100".
type Describer struct {
	Names *iproute2.Names
	// Tunnels has what an interface is follow its name, if it is a tunnel or a VRF.
	Tunnels bool
	// State has how a nexthop is follow it: dead, linkdown, onlink.
	State bool
}

// LinkName returns the name of an interface, its number if it had gone away.
func LinkName(snap *rtnl.Snapshot, index uint32) string {
	if l, ok := snap.Link(index); ok {
		return l.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}

// Route describes a route, family, table and destination first, with what it refers to in a snapshot.
func (d Describer) Route(r *object.Route, snap *rtnl.Snapshot) []string {
	p := append([]string{"route", r.Family.String(), d.Names.Table(r.Table)}, d.Destination(r, snap)...)
	switch hops := Nexthops(snap, r, nil); {
	case Several(r, hops):
		for i := range hops {
			p = append(p, NexthopWord+strings.Join(d.Hop(snap, &hops[i]), " "))
		}
	case len(hops) == 1:
		p = append(p, d.Way(snap, &hops[0])...)
	default:
		p = append(p, d.Way(snap, OnlyNexthop(r))...)
	}
	return append(p, d.Properties(r)...)
}

// OnlyNexthop returns what a route itself says of the way that it leads, if there is no list of nexthops.
func OnlyNexthop(r *object.Route) *object.Nexthop {
	return &object.Nexthop{Gateway: r.Gateway, LinkGateway: r.LinkGateway, OIF: r.OIF.V, Encap: r.Encap,
		NewDst: r.NewDst, Flags: r.Flags & 0xff}
}

// Destination describes which packets a route is for, after its type, if it is not unicast.
func (d Describer) Destination(r *object.Route, snap *rtnl.Snapshot) (p []string) {
	if r.Type != object.Unicast {
		p = append(p, r.Type.String())
	}
	if r.Dst.IsValid() {
		p = append(p, Destination(r.Dst))
	} else {
		p = append(p, string(r.AppendDst(nil)))
	}
	if r.Src.IsValid() && r.Src.Bits() > 0 {
		p = append(p, "from "+Prefix(r.Src))
	}
	if r.TOS != 0 {
		p = append(p, "tos "+tos(r.TOS))
	}
	if r.IIF.OK {
		p = append(p, "iif "+LinkName(snap, r.IIF.V))
	}
	return p
}

// Destination returns a prefix as ip spells that of a route.
func Destination(p netip.Prefix) string {
	if p.Bits() == 0 {
		return "default"
	}
	return Prefix(p)
}

// Properties describes what a route is beside where it leads.
func (d Describer) Properties(r *object.Route) (p []string) {
	if r.NexthopID.OK {
		p = append(p, "nhid "+number(r.NexthopID.V))
	}
	p = append(p, "proto "+d.Names.Protocol(r.Protocol))
	if r.Scope != 0 {
		p = append(p, "scope "+d.Names.Scope(r.Scope))
	}
	if r.PrefSrc.IsValid() {
		p = append(p, "src "+Addr(r.PrefSrc))
	}
	if r.Priority.OK {
		p = append(p, "metric "+number(r.Priority.V))
	}
	if mtu, ok := r.Metrics.MTU(); ok {
		p = append(p, "mtu "+number(mtu))
	}
	return p
}

// Way describes where a nexthop leads: encap, as, via, dev; and how it is, if that is wanted.
func (d Describer) Way(snap *rtnl.Snapshot, h *object.Nexthop) (p []string) {
	if h.Encap.Type != 0 {
		p = append(p, "encap "+d.encap(h.Encap, snap))
	}
	if h.NewDst != nil {
		p = append(p, "as to "+string(object.AppendLabels(nil, h.NewDst)))
	}
	switch {
	case h.LinkGateway != nil:
		p = append(p, "via "+string(object.AppendLinkAddr(nil, h.LinkGateway)))
	case h.Gateway.IsValid():
		p = append(p, "via "+Addr(h.Gateway))
	}
	if h.OIF != 0 {
		p = append(p, "dev "+d.device(snap, h.OIF))
	}
	if flags := iproute2.AppendFlags(nil, h.Flags&0xff); d.State && len(flags) > 0 {
		p = append(p, strings.ReplaceAll(string(flags), ",", " "))
	}
	return p
}

// Hop describes one nexthop of several: Way, and what share of the packets it has or, of a multicast route, which
// it lets through.
func (d Describer) Hop(snap *rtnl.Snapshot, h *object.Nexthop) []string {
	if h.TTLThreshold.OK {
		return append(d.Way(snap, h), "ttl "+strconv.Itoa(int(h.TTLThreshold.V)))
	}
	return append(d.Way(snap, h), "weight "+number(h.Weight))
}

// NexthopWord begins the part that is one of several nexthops.
const NexthopWord = "nexthop "

func (d Describer) encap(e object.Encap, snap *rtnl.Snapshot) string {
	return string(iproute2.AppendEncap(nil, e, d.Names, snap))
}

// tunnels are the kinds of interfaces (IFLA_INFO_KIND) whose packets leave in other packets, or in other tables.
var tunnels = map[string]string{
	"amt": "AMT tunnel", "bareudp": "UDP tunnel", "erspan": "ERSPAN tunnel", "geneve": "Geneve tunnel",
	"gre": "GRE tunnel", "gretap": "GRE tunnel", "gtp": "GTP tunnel", "ip6erspan": "ERSPAN tunnel",
	"ip6gre": "GRE tunnel", "ip6gretap": "GRE tunnel", "ip6tnl": "IPv6 tunnel", "ipip": "IPIP tunnel",
	"ovpn": "OpenVPN tunnel", "ppp": "PPP", "sit": "SIT tunnel", "tun": "TUN/TAP", "vrf": "VRF",
	"vti": "IPsec tunnel", "vti6": "IPsec tunnel", "vxlan": "VXLAN tunnel", "wireguard": "WireGuard tunnel",
	"xfrm": "IPsec tunnel",
}

// device returns the name of an interface, and what it is.
func (d Describer) device(snap *rtnl.Snapshot, index uint32) string {
	name := LinkName(snap, index)
	if l, ok := snap.Link(index); ok && d.Tunnels && tunnels[l.Kind] != "" {
		name += " (" + tunnels[l.Kind] + ")"
	}
	return name
}

// Rule describes a policy rule, its family and priority first.
func (d Describer) Rule(r *object.Rule) []string {
	p := append([]string{"rule", r.Family.String(), number(r.Priority)}, d.Conditions(r)...)
	p = append(p, d.does(r)...)
	if r.Protocol.OK {
		p = append(p, "proto "+d.Names.Protocol(r.Protocol.V))
	}
	return p
}

// RuleAsIP describes a policy rule as `ip rule` does behind its priority.
func (d Describer) RuleAsIP(r *object.Rule) []string {
	p := d.Conditions(r)
	if !r.Src.IsValid() {
		at := 0
		if r.Flags&object.FIB_RULE_INVERT != 0 {
			at = 1 // behind not
		}
		p = slices.Insert(p, at, "from all")
	}
	return append(p, d.does(r)...)
}

// does describes what a rule does with the packets that it is for.
func (d Describer) does(r *object.Rule) (p []string) {
	if length, suppressed := r.SuppressedPrefixLen(); suppressed {
		p = append(p, "suppress_prefixlength "+number(length))
	}
	if group, suppressed := r.SuppressedIfGroup(); suppressed {
		p = append(p, "suppress_ifgroup "+number(group))
	}
	switch {
	case r.L3MDev.V != 0:
		return append(p, "lookup l3mdev-table")
	case r.Goto.OK:
		return append(p, "goto "+number(r.Goto.V))
	case r.Table != 0:
		return append(p, "lookup "+d.Names.Table(r.Table))
	}
	return append(p, r.Action.String())
}

// Conditions describes which packets a policy rule is for; nil: all.
func (d Describer) Conditions(r *object.Rule) (p []string) {
	add := func(is bool, word, value string) {
		if is {
			p = append(p, strings.TrimSpace(word+" "+value))
		}
	}
	add(r.Flags&object.FIB_RULE_INVERT != 0, "not", "")
	add(r.Src.IsValid(), "from", Prefix(r.Src))
	add(r.Dst.IsValid(), "to", Prefix(r.Dst))
	add(r.IIF != "", "iif", r.IIF)
	add(r.OIF != "", "oif", r.OIF)
	mark, mask, marked := r.FWMark()
	add(marked, "fwmark", hex(mark)+masked(object.Some(mask), 1<<32-1))
	add(r.TOS != 0, "tos", tos(r.TOS))
	add(r.DSCP.OK, "dscp", strconv.Itoa(int(r.DSCP.V))+masked(r.DSCPMask, 1<<6-1))
	add(r.UIDs.OK, "uidrange", number(r.UIDs.V.Start)+"-"+number(r.UIDs.V.End))
	add(r.IPProto.OK, "ipproto", IPProtocol(r.IPProto.V))
	add(r.SPorts.OK, "sport", ports(r.SPorts.V)+masked(r.SPortMask, 1<<16-1))
	add(r.DPorts.OK, "dport", ports(r.DPorts.V)+masked(r.DPortMask, 1<<16-1))
	add(r.FlowLabel.OK, "flowlabel", hex(r.FlowLabel.V)+masked(r.FlowLabelMask, 1<<20-1))
	add(r.TunID.OK, "tun_id", strconv.FormatUint(r.TunID.V, 10))
	return p
}

// NexthopObject describes a nexthop object or group, with what it refers to in a snapshot.
func (d Describer) NexthopObject(o *object.NexthopObject, snap *rtnl.Snapshot) []string {
	p := []string{"nexthop", number(o.ID)}
	if o.Family != 0 {
		p = append(p, o.Family.String())
	}
	var members []string
	for _, g := range o.Group {
		member := number(g.ID)
		if g.Weight != 1 {
			member += "," + number(g.Weight)
		}
		members = append(members, member)
	}
	if members != nil {
		p = append(p, "group "+strings.Join(members, "/"))
	}
	if o.Blackhole {
		p = append(p, "blackhole")
	}
	p = append(p, d.Way(snap, &object.Nexthop{Gateway: o.Gateway, OIF: o.OIF, Encap: o.Encap})...)
	if o.FDB {
		p = append(p, "fdb")
	}
	return append(p, "proto "+d.Names.Protocol(o.Protocol))
}

// Addr returns an address as the tables spell it.
func Addr(a netip.Addr) string { return string(object.AppendAddr(nil, a)) }

// Prefix returns a prefix as the tables spell it.
func Prefix(p netip.Prefix) string { return string(object.AppendPrefix(nil, p)) }

// masked is what follows a value of which not all bits are compared.
func masked[T uint8 | uint16 | uint32](mask object.Opt[T], all T) string {
	if !mask.OK || mask.V == all {
		return ""
	}
	return "/" + hex(uint32(mask.V))
}

// tos is a type of service as ip spells one without a name.
func tos(n uint8) string { return fmt.Sprintf("0x%02x", n) }

// protocols are those that rules select by their ports, and that tunnels have, with their names in /etc/protocols.
var protocols = map[uint8]string{1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 51: "ah", 58: "ipv6-icmp",
	132: "sctp"}

// IPProtocol returns the name of an IP protocol as ip spells it, its number if it is a rare one.
func IPProtocol(n uint8) string {
	return cmp.Or(protocols[n], strconv.Itoa(int(n)))
}

func hex(n uint32) string { return "0x" + strconv.FormatUint(uint64(n), 16) }

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func ports(r object.PortRange) string {
	first := strconv.Itoa(int(r.Start))
	if r.End == r.Start {
		return first
	}
	return first + "-" + strconv.Itoa(int(r.End))
}

// Nexthops returns the nexthops of a route that has several, or whose only one
// is known to a nexthop object alone; otherwise the route itself says it all.
func Nexthops(snap *rtnl.Snapshot, r *object.Route, buf []object.Nexthop) []object.Nexthop {
	if len(r.Multipath) == 0 && !r.NexthopID.OK {
		return buf[:0]
	}
	return snap.Nexthops(r, buf)
}

// Several reports whether nexthops are listed one by one. A nexthop group of a
// blackhole has none, though the kernel may send RTA_MULTIPATH.
func Several(r *object.Route, hops []object.Nexthop) bool {
	return len(hops) > 1 || len(hops) == 1 && len(r.Multipath) > 0
}

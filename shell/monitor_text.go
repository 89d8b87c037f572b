package shell

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/events"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// A change as text is made of parts, as "via 192.0.2.1" and "metric 100". So what was replaced is
// shown by those parts of it that are others now.

const (
	clock       = "15:04:05.000"
	actionWidth = len("replaced ") // of the longest action, with a blank
)

// appendText appends the event in a line.
func (m *monitor) appendText(b []byte) []byte {
	e := m.event
	b = append(e.At().AppendFormat(b, clock), ' ')
	b = pad(append(b, e.Action.String()...), len(b), actionWidth)
	b = append(b, ' ')
	if e.Action == events.Lost {
		return append(b, "changes before this are not known: they came too fast; what differs now comes next, as "+
			"added and gone"...)
	}
	now := m.parts(e.Object, e.Snapshot())
	b = append(b, strings.Join(now, " ")...)
	if was := othersOf(m.parts(e.Old, e.OldSnapshot()), now); len(was) > 0 {
		b = append(append(b, ", was "...), strings.Join(was, " ")...)
	}
	return appendAuthor(b, e)
}

// nexthopWord begins the part that is one of several nexthops.
const nexthopWord = "nexthop "

// othersOf returns the parts of what was replaced that are others now. Of nexthops these are those
// that went, also where the only one that is left is written otherwise, as "via 192.0.2.1" and
// "dev eth0".
func othersOf(old, now []string) (others []string) {
	only := strings.Join(slices.DeleteFunc(slices.Clone(now), func(part string) bool { return !isWay(part) }), " ")
	for _, part := range old {
		if !slices.Contains(now, part) && (only == "" || !strings.HasPrefix(part, nexthopWord+only+" weight ")) {
			others = append(others, part)
		}
	}
	return others
}

// isWay reports whether a part is one of a single nexthop.
func isWay(part string) bool {
	word, _, _ := strings.Cut(part, " ")
	return slices.Contains([]string{"encap", "as", "via", "dev"}, word)
}

// appendAuthor appends who has done it, and how sure that is.
func appendAuthor(b []byte, e *events.Event) []byte {
	a := e.Author
	switch {
	case e.Action == events.Present:
		return b
	case a == nil && e.Certainty == author.Kernel:
		return append(b, "  by the kernel"...)
	case a == nil && e.Told && e.Port == 0:
		return append(b, "  by a process that is not known, as it was not asked for over netlink"...)
	case a == nil && e.Told:
		return appendNumber(b, "  by a process that is not known, port ", e.Port)
	case a == nil:
		return append(b, "  by whom is not known"...)
	}
	b = append(append(b, "  by "...), a.Name...)
	b = append(appendNumber(b, "[", a.PID), ']')
	b = appendNumber(b, " uid ", a.UID)
	if a.Path != "" {
		b = append(append(append(b, " ("...), a.Path...), ')')
	}
	switch e.Certainty {
	case author.OtherSocket:
		b = append(b, ", by another socket than its first"...)
	case author.OtherNamespace:
		b = append(b, ", in another PID namespace"...)
	case author.Unknown:
		b = append(b, ", which is not certain"...)
	}
	return b
}

// parts describe an object, with what it refers to in a snapshot.
func (m *monitor) parts(of object.Run, snap *rtnl.Snapshot) []string {
	var msg object.Message
	kind := of.Kind()
	if !of.Next(&msg) {
		return nil
	}
	switch kind {
	case object.Routes.Kind:
		c := snap.Cursor(object.AllFields)
		c.Next()
		return m.routeParts(c.Route(), snap)
	case object.Rules.Kind:
		var r object.Rule
		object.Rules.Decode(&r, &msg)
		return m.ruleParts(&r)
	case object.NexthopObjects.Kind:
		var o object.NexthopObject
		object.NexthopObjects.Decode(&o, &msg)
		return m.objectParts(&o, snap)
	case object.Links.Kind:
		var l object.Link
		object.Links.Decode(&l, &msg)
		p := []string{kind.Name, l.Name}
		switch flags := object.LinkFlags(&msg); {
		case m.event.Action == events.Deleted:
		case flags&object.IFF_UP == 0:
			p = append(p, "down")
		case flags&object.IFF_LOWER_UP == 0:
			p = append(p, "without carrier")
		}
		return p
	}
	var a object.InterfaceAddress
	a.Decode(&msg)
	return []string{kind.Name, prefixText(a.Address), "dev " + linkName(snap, a.Link)}
}

// linkName returns the name of an interface, its number if it had gone away.
func linkName(snap *rtnl.Snapshot, index uint32) string {
	if l, ok := snap.Link(index); ok {
		return l.Name
	}
	return strconv.FormatUint(uint64(index), 10)
}

func (m *monitor) routeParts(r *object.Route, snap *rtnl.Snapshot) []string {
	dst := string(r.AppendDst(nil))
	if r.Dst.IsValid() && r.Dst.Bits() == 0 {
		dst = "default"
	}
	p := []string{"route", r.Family.String(), m.names.Table(r.Table)}
	if r.Type != object.Unicast {
		p = append(p, r.Type.String())
	}
	p = append(p, dst)
	if r.Src.IsValid() && r.Src.Bits() > 0 {
		p = append(p, "from "+prefixText(r.Src))
	}
	if r.TOS != 0 {
		p = append(p, "tos "+strconv.Itoa(int(r.TOS)))
	}
	if r.IIF.OK {
		p = append(p, "iif "+linkName(snap, r.IIF.V))
	}
	switch hops := nexthops(snap, r, nil); {
	case several(r, hops):
		for i := range hops {
			way := m.wayParts(snap, &hops[i])
			p = append(p, nexthopWord+strings.Join(append(way, "weight "+number(hops[i].Weight)), " "))
		}
	case len(hops) == 1:
		p = append(p, m.wayParts(snap, &hops[0])...)
	default:
		p = append(p, m.wayParts(snap, &object.Nexthop{Gateway: r.Gateway, LinkGateway: r.LinkGateway, OIF: r.OIF.V,
			Encap: r.Encap, NewDst: r.NewDst})...)
	}
	if r.NexthopID.OK {
		p = append(p, "nhid "+number(r.NexthopID.V))
	}
	p = append(p, "proto "+m.names.Protocol(r.Protocol))
	if r.Scope != 0 {
		p = append(p, "scope "+m.names.Scope(r.Scope))
	}
	if r.PrefSrc.IsValid() {
		p = append(p, "src "+addrText(r.PrefSrc))
	}
	if r.Priority.OK {
		p = append(p, "metric "+number(r.Priority.V))
	}
	if mtu, ok := r.Metrics.MTU(); ok {
		p = append(p, "mtu "+number(mtu))
	}
	return p
}

// wayParts describe a nexthop.
func (m *monitor) wayParts(snap *rtnl.Snapshot, h *object.Nexthop) (p []string) {
	if h.Encap.Type != 0 {
		p = append(p, "encap "+m.encap(h.Encap, snap))
	}
	if h.NewDst != nil {
		p = append(p, "as to "+string(object.AppendLabels(nil, h.NewDst)))
	}
	switch {
	case h.LinkGateway != nil:
		p = append(p, "via "+string(object.AppendLinkAddr(nil, h.LinkGateway)))
	case h.Gateway.IsValid():
		p = append(p, "via "+addrText(h.Gateway))
	}
	if h.OIF != 0 {
		p = append(p, "dev "+linkName(snap, h.OIF))
	}
	return p
}

func (m *monitor) encap(e object.Encap, snap *rtnl.Snapshot) string {
	return string(iproute2.AppendEncap(nil, e, m.names, snap))
}

func (m *monitor) ruleParts(r *object.Rule) []string {
	p := []string{"rule", r.Family.String(), number(r.Priority)}
	add := func(is bool, word, value string) {
		if is {
			p = append(p, strings.TrimSpace(word+" "+value))
		}
	}
	add(r.Flags&object.FIB_RULE_INVERT != 0, "not", "")
	add(r.Src.IsValid(), "from", prefixText(r.Src))
	add(r.Dst.IsValid(), "to", prefixText(r.Dst))
	add(r.IIF != "", "iif", r.IIF)
	add(r.OIF != "", "oif", r.OIF)
	mark, mask, marked := r.FWMark()
	text := "0x" + strconv.FormatUint(uint64(mark), 16)
	if mask != 1<<32-1 {
		text += "/0x" + strconv.FormatUint(uint64(mask), 16)
	}
	add(marked, "fwmark", text)
	add(r.TOS != 0, "tos", strconv.Itoa(int(r.TOS)))
	add(r.DSCP.OK, "dscp", strconv.Itoa(int(r.DSCP.V)))
	add(r.UIDs.OK, "uidrange", number(r.UIDs.V.Start)+"-"+number(r.UIDs.V.End))
	add(r.IPProto.OK, "ipproto", strconv.Itoa(int(r.IPProto.V)))
	add(r.SPorts.OK, "sport", ports(r.SPorts.V))
	add(r.DPorts.OK, "dport", ports(r.DPorts.V))
	add(r.TunID.OK, "tun_id", strconv.FormatUint(r.TunID.V, 10))
	length, suppressed := r.SuppressedPrefixLen()
	add(suppressed, "suppress_prefixlength", number(length))
	group, suppressed := r.SuppressedIfGroup()
	add(suppressed, "suppress_ifgroup", number(group))
	switch {
	case r.L3MDev.V != 0:
		p = append(p, "lookup l3mdev-table")
	case r.Goto.OK:
		p = append(p, "goto "+number(r.Goto.V))
	case r.Table != 0:
		p = append(p, "lookup "+m.names.Table(r.Table))
	default:
		m.text = m.rows.AppendText(m.text[:0], tables.Events.Column("rule_action"))
		p = append(p, string(m.text))
	}
	add(r.Protocol.OK, "proto", m.names.Protocol(r.Protocol.V))
	return p
}

func (m *monitor) objectParts(o *object.NexthopObject, snap *rtnl.Snapshot) []string {
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
	p = append(p, m.wayParts(snap, &object.Nexthop{Gateway: o.Gateway, OIF: o.OIF, Encap: o.Encap})...)
	if o.FDB {
		p = append(p, "fdb")
	}
	return append(p, "proto "+m.names.Protocol(o.Protocol))
}

// The spelling of addresses is that of the tables.

func addrText(a netip.Addr) string { return string(object.AppendAddr(nil, a)) }

func prefixText(p netip.Prefix) string { return string(object.AppendPrefix(nil, p)) }

func number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

func ports(r object.PortRange) string {
	first := strconv.Itoa(int(r.Start))
	if r.End == r.Start {
		return first
	}
	return first + "-" + strconv.Itoa(int(r.End))
}

package get

import (
	"fmt"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/iptext"
)

// appendText appends an explanation in words, a paragraph.
func (e *explainer) appendText(b []byte) []byte {
	b = e.line(b, e.subject())
	switch {
	case !e.Told && e.Consistent:
		b = e.line(b, "  how the kernel comes to its answer cannot be told: rules or routes changed meanwhile, or it "+
			"depends on what the kernel does not tell")
	case !e.Told:
		b = e.line(b, "  how the kernel comes to its answer cannot be told: the answer changed on every try")
	case e.Shortcut != "":
		b = e.line(b, "  no rule is tried: "+string(e.Shortcut))
	default:
		b = e.appendSteps(b)
	}
	b = e.appendRoute(b)
	return e.line(b, e.verdict())
}

// line appends a line of text that is safe for a terminal, and no wider.
func (e *explainer) line(b []byte, text string) []byte {
	return e.fill(b, text, 0, 4+len(text)-len(strings.TrimLeft(text, " ")))
}

// fill is line where there is something up to a column already; what does not fit goes on below, from another
// column on.
func (e *explainer) fill(b []byte, text string, column, indent int) []byte {
	return append(iptext.Fill(b, iptext.Visible([]byte(text), 0), e.width, column, indent), '\n')
}

// subject returns what packet it is.
func (e *explainer) subject() string {
	k := e.packet
	parts := []string{k.address}
	if k.InDev != 0 {
		parts = append(parts, "came in through "+k.names.in+e.inVRF())
	} else {
		parts = append(parts, "from this host")
	}
	switch {
	case hasSource(k):
		parts = append(parts, "source "+iptext.Addr(k.From))
	default:
		parts = append(parts, "no source address yet")
	}
	if k.OutDev != 0 {
		parts = append(parts, "to leave through "+k.names.out+e.inVRF())
	}
	add := func(is bool, format string, args ...any) {
		if is {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(k.Mark.OK, "mark 0x%x", k.Mark.V)
	add(k.TOS.OK, "tos 0x%02x", k.TOS.V)
	add(k.UID.OK, "of user %d", k.UID.V)
	if k.IPProto.OK {
		parts = append(parts, protocolName(k.IPProto.V))
	}
	add(k.SPort.OK, "source port %d", k.SPort.V)
	add(k.DPort.OK, "destination port %d", k.DPort.V)
	return strings.Join(parts, ", ")
}

// inVRF tells of the VRF of the interface that was given.
func (e *explainer) inVRF() string {
	switch e.VRF.Index {
	case 0:
		return ""
	case e.packet.OutDev, e.packet.InDev:
		return " (a VRF)"
	}
	return " (in VRF " + e.VRF.Name + ")"
}

// maxRule is up to how many columns what follows rules stands in one column.
const maxRule = 60

// appendSteps appends a line for each rule that is tried. Where what comes of them does not fit beside all rules it
// goes on below itself, or below the rules if these are wide, which go on below themselves where they have to.
func (e *explainer) appendSteps(b []byte) []byte {
	rules, outcomes := make([]string, len(e.Steps)), make([]string, len(e.Steps))
	width, long, numbers, widest := 0, 0, 0, 0
	for i := range e.Steps {
		r := &e.Steps[i].Rule
		rules[i], outcomes[i] = string(iptext.Visible([]byte(e.rule(r)), 0)), e.step(&e.Steps[i])
		n := iptext.Width([]byte(rules[i]))
		if long = max(long, n); n <= maxRule {
			width = max(width, n)
		}
		numbers = max(numbers, len(fmt.Sprint(r.Priority)))
		widest = max(widest, iptext.Width([]byte(outcomes[i])))
	}
	column := len("  rule ") + numbers + 2 + width + 2
	below := e.width > 0 && (column > e.width/2 && column+widest > e.width || column-2-width+long > e.width)
	b = append(b, '\n')
	for i := range e.Steps {
		b = fmt.Appendf(b, "  rule %-*d  ", numbers, e.Steps[i].Rule.Priority)
		if start := len(b); below {
			const indent = 6
			b = e.fill(b, rules[i], column-2-width, indent+2)
			b = e.fill(iptext.Pad(b, len(b), indent), outcomes[i], indent, indent+2)
		} else {
			b = append(iptext.Pad(append(b, rules[i]...), start, width), "  "...)
			b = e.fill(b, outcomes[i], column+max(0, iptext.Width([]byte(rules[i]))-width), column)
		}
	}
	if n := len(e.Steps); n == 0 || e.Steps[n-1].Outcome != rtnl.Decides {
		b = append(b, "  there are no more rules\n"...)
	}
	return append(b, '\n')
}

// rule describes a rule as `ip rule` does, but for who added it.
func (e *explainer) rule(r *object.Rule) string {
	parts := iptext.Describer{Names: e.names}.RuleAsIP(r)
	return strings.Join(parts, " ")
}

// appendRoute appends the route that decides, and its nexthops.
func (e *explainer) appendRoute(b []byte) []byte {
	r := e.Decisive
	if r == nil {
		r = e.Match
	}
	if r == nil || e.OnLink {
		return b
	}
	table := "table " + e.names.Table(r.Table)
	if vrf := e.ofVRF(r.Table); vrf != "" {
		table += " (of VRF " + vrf + ")"
	}
	var single, nexthops []string
	hops, taken := e.taken()
	for _, part := range (iptext.Describer{Names: e.names, State: true}).Route(r, e.Snapshot)[3:] {
		if strings.HasPrefix(part, iptext.NexthopWord) {
			nexthops = append(nexthops, part)
		} else {
			single = append(single, part)
		}
	}
	if !r.Priority.OK {
		single = append(single, "metric 0")
	}
	b = e.line(b, table+": "+strings.Join(single, " "))
	for i, text := range nexthops {
		if i < len(hops) && hops[i].ID.OK {
			text += fmt.Sprintf(" nhid %d", hops[i].ID.V)
		}
		if i == taken && len(nexthops) > 1 {
			text += "   <- taken"
		}
		b = e.line(b, "    "+text)
	}
	return b
}

// ofVRF returns the VRF whose table it is, "" for none.
func (e *explainer) ofVRF(table uint32) string {
	switch table {
	case e.VRF.VRFTable:
		return e.VRF.Name
	case e.OutVRF.VRFTable:
		return e.OutVRF.Name
	}
	return ""
}

// verdict returns what becomes of the packet.
func (e *explainer) verdict() string {
	if e.Error != "" {
		return e.nowhere()
	}
	a := e.Answer
	where := ", out of " + e.out()
	var text string
	switch {
	case a.Type == object.Local:
		text = "the packet is for this host itself"
	case e.packet.InDev != 0 && e.Shortcut == rtnl.InForAll:
		text = "the packet is a " + a.Type.String() + ", which this host takes in"
	case a.Type == object.Broadcast:
		text = "the packet is a broadcast" + where
	case a.Type == object.Multicast:
		text = "the packet is a multicast" + where
	case a.Type == object.Anycast:
		text = "the packet is for an anycast address of this host" + where
	case e.OnLink:
		text = "no route is found; as an interface was asked for, the kernel takes the destination for a neighbour " +
			"there: the packet goes to " + iptext.Addr(a.Dst.Addr()) + " itself" + where
	case a.Gateway.IsValid():
		text = "the packet goes to the gateway " + iptext.Addr(a.Gateway) + where
	default:
		text = "the packet goes to " + iptext.Addr(a.Dst.Addr()) + " itself" + where
	}
	if a.PrefSrc.IsValid() && !hasSource(e.packet) {
		text += ", with the source " + iptext.Addr(a.PrefSrc)
	}
	return text + e.path()
}

// out describes the interface that the packet leaves through.
func (e *explainer) out() string {
	var what []string
	if e.Out.Kind != "" {
		what = append(what, e.Out.Kind)
	}
	if e.OutVRF.Index != 0 {
		what = append(what, "in VRF "+e.OutVRF.Name)
	}
	name := e.Out.Name
	if name == "" {
		name = fmt.Sprintf("interface %d", e.Answer.OIF.V)
	}
	if what == nil {
		return name
	}
	return name + " (" + strings.Join(what, ", ") + ")"
}

// path tells of the path's MTU and of what was learnt of it.
func (e *explainer) path() (text string) {
	a := e.Answer
	if mtu, ok := a.Metrics.MTU(); ok {
		text = fmt.Sprintf(", with a path MTU of %d", mtu)
	}
	if seconds := a.Cache.V.Expires / object.UserHZ; a.Cache.V.Expires > 0 {
		text += fmt.Sprintf(", as was learnt of the path (for %d more seconds)", seconds)
	}
	if h, taken := e.taken(); taken >= 0 && h[taken].Encap.Type != 0 {
		text += ", in the tunnel of the route (" + h[taken].Encap.TypeName() + ")"
	}
	return text
}

// nowhere returns why the packet goes nowhere.
func (e *explainer) nowhere() string {
	if e.Told && e.Shortcut != "" && e.Shortcut != rtnl.LinkScope {
		return "the packet goes nowhere (" + string(e.Error) + "): " + string(e.Shortcut)
	}
	what, route := "the packet goes nowhere", e.Decisive
	if n := len(e.Steps); e.Told && n > 0 && e.Steps[n-1].Outcome == rtnl.Decides {
		what = "the rule decides"
		if route != nil {
			what = "a route of type " + route.Type.String() + " decides"
		}
	}
	forwards := route == nil || route.Type != object.Unreachable
	switch in := e.packet.names.in; {
	case e.Error == rtnl.Unreachable && e.packet.InDev != 0 && e.packet.Family() == object.IPv4 && forwards:
		return "the packet is dropped: it came in for another host, and forwarding is off for what comes in through " +
			in
	case e.Error == rtnl.Unreachable:
		return what + ": the packet is dropped, and its sender is told that the host is unreachable"
	case e.Error == rtnl.Prohibit:
		return what + ": the packet is dropped, and its sender is told that this is prohibited"
	case e.Error == rtnl.Blackhole, e.Error == rtnl.Invalid && route != nil && route.Type == object.Blackhole:
		return what + ": the packet is dropped silently"
	case e.Error == rtnl.NoRoute && what == "the rule decides":
		return what + ": the packet is dropped, and its sender is told that the network is unreachable"
	case e.Error == rtnl.NoRoute:
		return "there is no route: the packet goes nowhere, and its sender is told that the network is unreachable"
	case e.packet.Family() == object.IPv6:
		return "the packet is dropped: there is no multicast route for it"
	}
	return "the packet is refused (invalid): no packet with that source may come in there (reverse path filter), or " +
		"its addresses are such as none may have"
}

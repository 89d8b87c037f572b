package get

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/iptext"
)

// why returns why a rule is for the packet or not: of the first condition that is not met, or of
// which that is not known, what the packet has instead; "": all conditions are met.
func (e *explainer) why(s *rtnl.Step) string {
	k, r := e.packet, &s.Rule
	switch s.Why {
	case rtnl.ConditionFrom:
		return e.whyFrom(r)
	case rtnl.ConditionTo:
		return k.Destination.Unmap().WithZone("").String() + " is not in " + iptext.Prefix(r.Dst)
	case rtnl.ConditionIIF:
		return e.whyIn(r)
	case rtnl.ConditionOIF:
		return e.whyOut(r)
	case rtnl.ConditionMark:
		return "its mark is 0x" + strconv.FormatUint(uint64(k.Mark.V), 16) + unless(k.Mark.OK, "--mark")
	case rtnl.ConditionTunID:
		return "a packet that is looked up has no tunnel"
	case rtnl.ConditionL3MDev:
		return "it is of no VRF"
	case rtnl.ConditionUID:
		return e.whyUser(s)
	case rtnl.ConditionTOS, rtnl.ConditionDSCP:
		return fmt.Sprintf("its tos is 0x%02x, its dscp %d", k.TOS.V, k.TOS.V>>2) + unless(k.TOS.OK, "--tos")
	case rtnl.ConditionFlowLabel:
		return "its flow label is 0"
	case rtnl.ConditionIPProto:
		return e.whyProtocol()
	case rtnl.ConditionSPort:
		return port("source", k.SPort, "--sport")
	case rtnl.ConditionDPort:
		return port("destination", k.DPort, "--dport")
	case rtnl.ConditionUnknown:
		return "the rule has a condition that this program does not know"
	}
	return ""
}

// unless names the flag that sets what is not set.
func unless(set bool, flag string) string {
	if set {
		return ""
	}
	return " (" + flag + " sets one)"
}

func port(which string, p object.Opt[uint16], flag string) string {
	if p.V == 0 {
		return "no " + which + " port is set" + unless(p.OK, flag)
	}
	return fmt.Sprintf("its %s port is %d", which, p.V)
}

func (e *explainer) whyFrom(r *object.Rule) string {
	switch k := e.packet; {
	case hasSource(k):
		return "its source is " + iptext.Addr(k.From)
	case r.Flags&object.FIB_RULE_FIND_SADDR != 0:
		return "it has no source address yet, and which one it would get decides"
	case k.Family() == object.IPv4 && k.OutDev != 0 && k.Destination.Unmap().IsMulticast():
		return "its source address is chosen first, and is not told"
	}
	return "no source address is set, so that a rule for " + iptext.Prefix(r.Src) +
		" does not apply (--source gives one)"
}

func hasSource(k *packet) bool { return k.From.IsValid() && !k.From.Unmap().IsUnspecified() }

func (e *explainer) whyIn(r *object.Rule) string {
	switch k := e.packet; {
	case r.IIFDetached():
		return "there is no interface " + r.IIF
	case k.InDev != 0:
		return "it came in through " + k.names.in
	}
	return "it is this host's own (--iif has it come in)"
}

func (e *explainer) whyOut(r *object.Rule) string {
	switch k := e.packet; {
	case r.OIFDetached():
		return "there is no interface " + r.OIF
	case k.InDev != 0:
		return "it came in, and is bound to no interface"
	case k.OutDev != 0:
		return "it is to leave through " + k.names.out
	}
	return "it is bound to no interface (--oif binds it)"
}

func (e *explainer) whyUser(s *rtnl.Step) string {
	switch k := e.packet; {
	case k.InDev != 0 && !s.Met.OK:
		return "as a packet that came in it is of the namespace's root, whose number is not known here"
	case k.InDev != 0 && k.Family() == object.IPv4:
		return "as a packet that came in it is of the namespace's root"
	case k.UID.OK:
		return fmt.Sprintf("it is of user %d", k.UID.V)
	case k.InDev != 0:
		return "as a packet that came in it is nobody's"
	}
	return fmt.Sprintf("it is of user %d, who asks (--uid sets another)", os.Getuid())
}

func (e *explainer) whyProtocol() string {
	switch k := e.packet; {
	case k.IPProto.OK:
		return "its protocol is " + protocolName(k.IPProto.V)
	case k.Family() == object.IPv4:
		return "its protocol is udp, as none is set (--ipproto sets one)"
	}
	return "no protocol is set (--ipproto sets one)"
}

func protocolName(n uint8) string {
	for _, name := range []string{"icmp", "tcp", "udp", "icmpv6"} {
		if Protocols[name] == n {
			return name
		}
	}
	return strconv.Itoa(int(n))
}

// step returns what comes of a rule, in words.
func (e *explainer) step(s *rtnl.Step) string {
	why, inverted := e.why(s), s.Rule.Flags&object.FIB_RULE_INVERT != 0
	switch {
	case !s.Met.OK:
		return "whether it is for this packet is not known, and changes nothing: " + why
	case !s.Met.V && inverted:
		return "not for it: the packet is as the rule says, and it is for all others (not)"
	case !s.Met.V:
		return "not for it: " + why
	case inverted:
		return "for this packet (not), for " + why + ": " + e.outcome(s)
	}
	return "for this packet: " + e.outcome(s)
}

// outcome returns what comes of a rule that is for the packet, in words.
func (e *explainer) outcome(s *rtnl.Step) string {
	table := "table " + e.names.Table(s.Table)
	has := table + " has none that is accepted"
	if s.Route != nil {
		has = table + " has " + e.brief(s.Route)
	}
	length, _ := s.Rule.SuppressedPrefixLen()
	group, _ := s.Rule.SuppressedIfGroup()
	switch s.Outcome {
	case rtnl.Decides:
		if s.Table == 0 {
			return "decides"
		}
		return table + " decides"
	case rtnl.NoneFound:
		if s.Route != nil {
			return has + ", which is less specific than what comes next: as long as nobody has added a rule, both " +
				"tables are looked at as one"
		}
		return table + " has no route for it"
	case rtnl.Thrown:
		return table + " has a throw route for it" + ofRoute(s.Route) + ": on with the next rule"
	case rtnl.SuppressedByLength:
		return fmt.Sprintf("%s, which does not count: its prefix is not longer than %d (suppress_prefixlength)", has,
			length)
	case rtnl.SuppressedByGroup:
		return fmt.Sprintf("%s, which does not count: its interface is in group %d (suppress_ifgroup)", has, group)
	case rtnl.Jumps:
		return fmt.Sprintf("on with rule %d", s.Rule.Goto.V)
	case rtnl.NoTarget:
		return fmt.Sprintf("there is no rule %d, so on with the next one", s.Rule.Goto.V)
	}
	return "it does nothing"
}

// ofRoute returns a route's destination in parentheses.
func ofRoute(r *object.Route) string {
	if r == nil {
		return ""
	}
	return " (" + iptext.Destination(r.Dst) + ")"
}

// brief returns the type of a route and its destination.
func (e *explainer) brief(r *object.Route) string {
	if r.Type == object.Unicast {
		return iptext.Destination(r.Dst)
	}
	return strings.Join([]string{r.Type.String(), iptext.Destination(r.Dst)}, " ")
}

package shadow

import (
	"net/netip"
	"strconv"
	"strings"

	"kernelroutes/rtnl/object"
)

// parseRule reads a rule.
func parseRule(f object.Family, text string) object.Rule {
	words := strings.Fields(text)
	r := object.Rule{Family: f, Action: object.FR_ACT_TO_TBL, Priority: number(words[0])}
	for i, word := range words[1:] {
		switch word {
		case "not":
			r.Flags |= object.FIB_RULE_INVERT
		case "fwmark":
			r.Mark, r.Mask = object.Some[uint32](1), object.Some[uint32](1<<32-1)
		case "from":
			r.Src = netip.MustParsePrefix("192.0.2.0/24")
		case "oif":
			r.OIF = "v0"
		case "unsourced":
			r.Src = netip.MustParsePrefix("0.0.0.0/8")
		case "iif":
			r.IIF = "v0"
		case "tos":
			r.TOS = 16
		case "dscp":
			r.DSCP = object.Some[uint8](0)
		case "ifgroup":
			r.SuppressIfGroup = object.Some[uint32](7)
		case "longer":
			r.SuppressPrefixLen = object.Some(number(words[i+2]))
		case "prohibit":
			r.Action = object.FR_ACT_PROHIBIT
		case "to":
			r.Dst = netip.MustParsePrefix(words[i+2])
		case "nop":
			r.Action = object.FR_ACT_NOP
		case "nowhere":
			r.Flags |= object.FIB_RULE_UNRESOLVED
		case "l3mdev":
			r.L3MDev = object.Some[uint8](1)
		case "goto":
			r.Action, r.Goto = object.FR_ACT_GOTO, object.Some(number(words[i+2]))
		default:
			if i == 0 {
				r.Table = number(word)
			}
		}
	}
	return r
}

// parseRoute reads a route.
func parseRoute(text string) *object.Route {
	words := strings.Fields(text)
	r := &object.Route{Type: object.Unicast, Table: number(words[0]), Dst: netip.MustParsePrefix(words[1]).Masked(),
		OIF: object.Some[uint32](3)}
	r.Family = object.IPv6
	if r.Dst.Addr().Is4() {
		r.Family = object.IPv4
	}
	types := map[string]object.RouteType{"blackhole": object.Blackhole, "unreachable": object.Unreachable,
		"prohibit": object.Prohibit, "throw": object.Throw, "local": object.Local}
	for i, word := range words[2:] {
		switch word {
		case "metric":
			r.Priority = object.Some(number(words[i+3]))
		case "tos":
			r.TOS = uint8(number(words[i+3]))
		case "from":
			r.Src = netip.MustParsePrefix(words[i+3])
		case "dead":
			r.Flags = 0x1 | 0x10
		case "expired":
			r.Cache = object.Some(object.CacheInfo{Expires: -1})
		default:
			if typ, ok := types[word]; ok {
				r.Type = typ
			}
		}
	}
	return r
}

func number(s string) uint32 {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		panic(err)
	}
	return uint32(n)
}

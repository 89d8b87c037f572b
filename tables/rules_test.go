package tables_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// anyRule is a random rule, of an action that ip knows too, as the kernel keeps it: what it
// adds of its own is in it.
func anyRule(c nltest.Chance, f object.Family, users uint32, newer bool) *object.Rule {
	some := func(n int) bool { return c.IntN(n) == 0 }
	const none = 1<<32 - 1
	r := &object.Rule{Family: f, Priority: uint32(1 + c.IntN(300)), SuppressPrefixLen: object.Some[uint32](none),
		Protocol: object.Some(byte(c.U32())), Action: object.FR_ACT_TO_TBL}
	switch c.IntN(10) {
	case 0:
		r.Action, r.Goto = object.FR_ACT_GOTO, object.Some(r.Priority+1+c.Uint32N(20))
	case 1:
		r.Action = object.FR_ACT_NOP
	case 2:
		r.Action = []object.RuleAction{object.FR_ACT_BLACKHOLE, object.FR_ACT_UNREACHABLE,
			object.FR_ACT_PROHIBIT}[c.IntN(3)]
	case 3:
		r.L3MDev = object.Some[uint8](1)
	default:
		r.Table = []uint32{254, 255, 1 + c.Uint32N(300), 1 + c.Uint32N(1<<32-2)}[c.IntN(4)]
		if some(4) {
			r.SuppressPrefixLen = object.Some(c.Uint32N(129))
		}
		if some(4) {
			r.SuppressIfGroup = object.Some(c.Uint32N(4))
		}
	}
	if some(3) {
		r.Flags = object.FIB_RULE_INVERT
	}
	for _, p := range []*netip.Prefix{&r.Src, &r.Dst} {
		if n := f.AddrLen(); some(2) {
			*p = netip.PrefixFrom(c.Addr(n), 1+c.IntN(n*8))
		}
	}
	names := []string{"", "", "", "lo", "v0", "gone"}
	r.IIF, r.OIF = names[c.IntN(6)], names[c.IntN(6)]
	if some(3) {
		mark, mask := c.U32(), c.U32()
		r.Mark, r.Mask = object.Opt[uint32]{V: mark, OK: mark != 0}, object.Opt[uint32]{V: mask, OK: mark|mask != 0}
	}
	if some(3) {
		r.TOS = byte(c.IntN(8)) << 2
	}
	if f == object.IPv4 && some(4) {
		if realms := c.U32(); realms != 0 {
			r.Realms = object.Some(realms)
		}
	}
	if some(5) {
		r.TunID = object.Some(1 + c.Uint64N(1<<63))
	}
	if some(4) {
		last := c.Uint32N(users)
		r.UIDs = object.Some(object.UIDRange{Start: c.Uint32N(last + 1), End: last})
	}
	if some(3) {
		r.IPProto = object.Some(uint8(1 + c.IntN(255)))
	}
	r.SPorts, r.SPortMask = anyPorts(c)
	r.DPorts, r.DPortMask = anyPorts(c)
	if newer && some(3) {
		withNewer(c, r)
	}
	return r
}

// anyPorts are one port, a range, or most often any; with the mask that the kernel gives them.
func anyPorts(c nltest.Chance) (p object.Opt[object.PortRange], mask object.Opt[uint16]) {
	first := uint16(1 + c.IntN(60000))
	switch c.IntN(6) {
	case 0:
		return object.Some(object.PortRange{Start: first, End: first}), object.Some[uint16](1<<16 - 1)
	case 1:
		return object.Some(object.PortRange{Start: first, End: first + 1 + uint16(c.IntN(5000))}), mask
	}
	return p, mask
}

// withNewer adds what not every ip and kernel knows.
func withNewer(c nltest.Chance, r *object.Rule) {
	if c.Yes() {
		mask := uint8(1 + c.IntN(63))
		r.TOS, r.DSCP, r.DSCPMask = 0, object.Some(uint8(c.IntN(64))&mask), object.Some(mask)
	}
	if r.Family == object.IPv6 && c.Yes() {
		mask := 1 + c.Uint32N(1<<20-1)
		r.FlowLabel, r.FlowLabelMask = object.Some(c.Uint32N(1<<20)&mask), object.Some(mask)
	}
	for _, p := range []struct {
		ports *object.Opt[object.PortRange]
		mask  *object.Opt[uint16]
	}{{&r.SPorts, &r.SPortMask}, {&r.DPorts, &r.DPortMask}} {
		if c.Yes() {
			port := uint16(1 + c.IntN(60000))
			*p.ports, *p.mask = object.Some(object.PortRange{Start: port, End: port}), object.Some(port|uint16(c.U32()))
		}
	}
}

// usersOf returns how many users the namespace of the test has from 0 on: rules can be for no
// others.
func usersOf(t *testing.T) uint32 {
	r := &object.Rule{Family: object.IPv4, Priority: 5000, Action: object.FR_ACT_NOP,
		UIDs: object.Some(object.UIDRange{End: 1<<32 - 2})}
	if _, ok := probeRule(t, r); !ok {
		return 1
	}
	return 1<<32 - 2
}

// knowsNewer reports whether the kernel knows what withNewer adds (Linux 6.15): an older one
// does not, and says nothing.
func knowsNewer(t *testing.T) bool {
	got, _ := probeRule(t, &object.Rule{Family: object.IPv4, Priority: 5000, Action: object.FR_ACT_NOP,
		SPorts: object.Some(object.PortRange{Start: 8, End: 8}), SPortMask: object.Some[uint16](15)})
	return got["sport_mask"] == "15"
}

// probeRule adds a rule and takes it away again, and returns its row.
func probeRule(t *testing.T, r *object.Rule) (got row, ok bool) {
	t.Helper()
	if err := nstest.Send(t, object.RTM_NEWRULE, 0, nltest.AppendRule(nil, r)); err != nil {
		return nil, false
	}
	rows := scan(t, tables.Rules, new(rtnl.Kernel), where(tables.Rules, "priority", tables.Equals,
		fmt.Sprint(r.Priority)))
	if err := nstest.Send(t, object.RTM_DELRULE, 0, nltest.AppendRule(nil, r)); err != nil || len(rows) != 1 {
		t.Fatal(err, rows)
	}
	return rows[0], true
}

// wantRule is the row of a rule, but for its identity and for what depends on others.
func wantRule(r *object.Rule, names *iproute2.Names) row {
	want := row{"family": r.Family.String(), "priority": fmt.Sprint(r.Priority),
		"inverted": fmt.Sprint(r.Flags & object.FIB_RULE_INVERT / object.FIB_RULE_INVERT),
		"tos":      fmt.Sprint(r.TOS), "protocol": names.Protocol(r.Protocol.V), "l3mdev": fmt.Sprint(r.L3MDev.V),
		"unknown_attrs": "[]", "snapshot_consistent": "1", "iif": r.IIF, "oif": r.OIF,
		"action": map[object.RuleAction]string{
			object.FR_ACT_TO_TBL: "table", object.FR_ACT_GOTO: "goto", object.FR_ACT_NOP: "nop",
			object.FR_ACT_BLACKHOLE: "blackhole", object.FR_ACT_UNREACHABLE: "unreachable",
			object.FR_ACT_PROHIBIT: "prohibit"}[r.Action]}
	put := func(name string, v any, ok bool) {
		if ok {
			want[name] = fmt.Sprint(v)
		}
	}
	put("src", r.Src, r.Src.IsValid())
	put("dst", r.Dst, r.Dst.IsValid())
	if r.Src.IsValid() && r.Src.Addr().Is6() || r.Dst.IsValid() && r.Dst.Addr().Is6() {
		put("src", string(object.AppendPrefix(nil, r.Src)), r.Src.IsValid())
		put("dst", string(object.AppendPrefix(nil, r.Dst)), r.Dst.IsValid())
	}
	put("fwmark", r.Mark.V, r.Mask.OK)
	put("fwmask", r.Mask.V, r.Mask.OK)
	put("dscp", r.DSCP.V, r.DSCP.OK)
	put("dscp_mask", r.DSCPMask.V, r.DSCP.OK)
	put("uid_start", r.UIDs.V.Start, r.UIDs.OK)
	put("uid_end", r.UIDs.V.End, r.UIDs.OK)
	put("ip_proto", r.IPProto.V, r.IPProto.OK)
	put("sport_start", r.SPorts.V.Start, r.SPorts.OK)
	put("sport_end", r.SPorts.V.End, r.SPorts.OK)
	put("sport_mask", r.SPortMask.V, r.SPortMask.OK)
	put("dport_start", r.DPorts.V.Start, r.DPorts.OK)
	put("dport_end", r.DPorts.V.End, r.DPorts.OK)
	put("dport_mask", r.DPortMask.V, r.DPortMask.OK)
	put("table_id", r.Table, r.Table != 0)
	put("table_name", names.Table(r.Table), r.Table != 0)
	put("goto_priority", r.Goto.V, r.Goto.OK)
	put("suppress_prefixlength", r.SuppressPrefixLen.V, r.SuppressPrefixLen.V != 1<<32-1)
	put("suppress_ifgroup", r.SuppressIfGroup.V, r.SuppressIfGroup.OK)
	put("tun_id", int64(r.TunID.V), r.TunID.OK)
	put("realm_from", names.Realm(r.Realms.V>>16), r.Realms.V>>16 != 0)
	put("realm_to", names.Realm(r.Realms.V&0xffff), r.Realms.OK)
	put("flowlabel", r.FlowLabel.V, r.FlowLabel.OK)
	put("flowlabel_mask", r.FlowLabelMask.V, r.FlowLabel.OK)
	addKeys(want)
	return want
}

// ipRule is the row of a rule as ip prints it twice, with names and without, as far as it
// does.
func ipRule(t *testing.T, family string, o, numeric jsonObject) row {
	r := row{"family": family, "inverted": "0", "tos": "0", "l3mdev": "0", "iif_detached": "0", "oif_detached": "0",
		"goto_unresolved": "0", "action": "table"}
	number := func(text string) string {
		n, err := strconv.ParseUint(text, 0, 64)
		if err != nil {
			t.Errorf("ip prints %v", o)
		}
		return strconv.FormatUint(n, 10)
	}
	for i, m := range o {
		v, n := jsonText(m.value), jsonText(numeric[i].value)
		switch m.key {
		case "priority", "iif", "oif", "uid_start", "uid_end", "tun_id", "protocol", "sport_start", "sport_end",
			"dport_start", "dport_end":
			r[m.key] = v
		case "sport", "dport":
			r[m.key+"_start"], r[m.key+"_end"] = v, v
		case "tos", "fwmark", "fwmask", "dscp", "dscp_mask", "sport_mask", "dport_mask", "flowlabel", "flowlabel_mask":
			r[m.key] = number(n)
		case "iif_detached", "oif_detached":
			r[m.key] = "1"
		case "src", "dst":
			if bits := o.text(m.key + "len"); bits != "" {
				r[m.key] = v + "/" + bits
			} else if v != "all" {
				r[m.key] = v + map[string]string{"ipv4": "/32", "ipv6": "/128"}[family]
			}
		case "srclen", "dstlen":
		case "ipproto":
			r["ip_proto"] = strings.TrimPrefix(n, "ipproto-")
		case "table":
			r["table_id"], r["table_name"] = n, v
		case "suppress_prefixlen":
			r["suppress_prefixlength"] = v
		case "suppress_ifgroup":
			r[m.key] = n
		case "flow_from":
			r["realm_from"] = v
		case "flow_to":
			r["realm_to"] = v
		case "goto":
			r["action"], r["goto_priority"] = "goto", v
		case "unresolved":
			r["goto_unresolved"] = "1"
		case "not":
			r["inverted"] = "1"
		case "nop":
			r["action"] = "nop"
		case "l3mdev":
			r["l3mdev"] = "1"
		case "action":
			r["action"] = v
		default:
			t.Errorf("ip prints %q: %v", m.key, o)
		}
	}
	addKeys(r)
	return r
}

// ruleColumnsNotFromIP are those of which ip prints nothing. fwmask it leaves out where all bits
// count. The rest is checked against what was added.
var ruleColumnsNotFromIP = []string{"rule_id", "flags", "unknown_attrs", "snapshot_consistent", "vrf", "netns_id",
	"pid_with_namespace"}

// ruleColumnsOfNewerIP are those of which ip 6.1 prints nothing, 6.15 dscp, sport and dport alone.
var ruleColumnsOfNewerIP = []string{"dscp", "dscp_mask", "sport_mask", "dport_mask", "flowlabel", "flowlabel_mask"}

// compareRules compares rows of a family with what ip prints, one by one in its order.
func compareRules(t *testing.T, family string, rows []row) {
	t.Helper()
	flag := map[string]string{"ipv4": "-4", "ipv6": "-6"}[family]
	named, numeric := ipJSON(t, flag+" -d -j rule"), ipJSON(t, flag+" -N -d -j rule")
	rows = slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r["family"] != family })
	if len(named) != len(rows) || len(numeric) != len(rows) {
		t.Fatalf("%d %s rules, ip prints %d and %d", len(rows), family, len(named), len(numeric))
	}
	for i, o := range named {
		want, got := ipRule(t, family, o, numeric[i]), maps.Clone(rows[i])
		for _, k := range ruleColumnsNotFromIP {
			delete(got, k)
			delete(want, k)
		}
		for _, k := range ruleColumnsOfNewerIP {
			if _, ok := want[k]; !ok {
				delete(got, k)
			}
		}
		if _, ok := want["fwmask"]; !ok && want["fwmark"] != "" {
			want["fwmask"] = "4294967295"
		}
		// It has its own names of some protocols, and of realm 0 (see notFromIP).
		got["protocol"], want["protocol"] = numeric[i].text("protocol"), numeric[i].text("protocol")
		for _, k := range []string{"realm_from", "realm_to"} {
			if v, ok := got[k]; ok {
				got[k] = canonicalRealm(v)
			}
			if v, ok := want[k]; ok {
				want[k] = canonicalRealm(v)
			}
		}
		if got["table_id"] == "" { // ip prints these only beside a table
			delete(got, "suppress_prefixlength")
			delete(got, "suppress_ifgroup")
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s rule %d\n has %v\n  ip %v\nthey differ in %v", family, i, got, want, unlike(got, want))
		}
	}
}

// TestRandomRules compares 2,000 random rules of both families with ip, field by field, and with
// what was added, every column.
func TestRandomRules(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	users, newer, names := usersOf(t), knowsNewer(t), iproute2.HostNames()
	added := map[string]map[string]int{} // by family, rows that must be there, by their text
	refused := map[string]int{}
	for _, f := range []object.Family{object.IPv4, object.IPv6} {
		c := nltest.NewChance(rand.Uint64())
		added[f.String()] = map[string]int{}
		for n := 0; n < nstest.Amount(1000, 200); {
			r := anyRule(c, f, users, newer)
			if err := nstest.Send(t, object.RTM_NEWRULE, 0, nltest.AppendRule(nil, r)); err != nil {
				if refused[err.Error()]++; refused[err.Error()] > 1000 {
					t.Fatalf("%+v: %v", *r, err)
				}
				continue
			}
			added[f.String()][ruleText(wantRule(r, names))]++
			n++
		}
	}
	rows := scan(t, tables.Rules, new(rtnl.Kernel))
	compareRules(t, "ipv4", rows)
	compareRules(t, "ipv6", rows)
	ids, checked := map[string]bool{}, 0
	for _, r := range rows {
		if ids[r["rule_id"]] {
			t.Errorf("two rules have the identity %s", r["rule_id"])
		}
		ids[r["rule_id"]] = true
		if slices.Contains([]string{"0", "32766", "32767"}, r["priority"]) || added[r["family"]] == nil {
			continue // the kernel's own
		}
		text := ruleText(r)
		if added[r["family"]][text] == 0 {
			t.Errorf("nobody added %s", text)
		}
		added[r["family"]][text]--
		checked++
	}
	if t.Logf("%d rules, refused: %v", checked, refused); checked < nstest.Amount(2000, 400) {
		t.Errorf("only %d rules were checked", checked)
	}
	again := scan(t, tables.Rules, new(rtnl.Kernel))
	if !slices.EqualFunc(rows, again, maps.Equal) {
		t.Error("the second answer is another one")
	}
}

// ruleText is a rule's row without its identity and what depends on others, in order.
func ruleText(r row) string {
	r = maps.Clone(r)
	for _, k := range []string{"rule_id", "iif_detached", "oif_detached", "goto_unresolved", "flags", "vrf", "netns_id",
		"pid_with_namespace"} {
		delete(r, k)
	}
	var text []string
	for _, k := range slices.Sorted(maps.Keys(r)) {
		if r[k] != "" {
			text = append(text, k+"="+r[k])
		}
	}
	return strings.Join(text, " ")
}

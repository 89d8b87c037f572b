package object_test

import (
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// ruleUnderstood reports whether an attribute has a place in Rule.
func ruleUnderstood(f Family, typ uint16, d []byte) bool {
	sizes := map[uint16]int{FRA_GOTO: 4, FRA_PRIORITY: 4, FRA_FWMARK: 4, FRA_FLOW: 4, FRA_TUN_ID: 8,
		FRA_SUPPRESS_IFGROUP: 4, FRA_SUPPRESS_PREFIXLEN: 4, FRA_TABLE: 4, FRA_FWMASK: 4, FRA_PAD: 0, FRA_L3MDEV: 1,
		FRA_UID_RANGE: 8, FRA_PROTOCOL: 1, FRA_IP_PROTO: 1, FRA_SPORT_RANGE: 4, FRA_DPORT_RANGE: 4, FRA_DSCP: 1,
		FRA_FLOWLABEL: 4, FRA_FLOWLABEL_MASK: 4, FRA_SPORT_MASK: 2, FRA_DPORT_MASK: 2, FRA_DSCP_MASK: 1}
	switch typ {
	case FRA_IIFNAME, FRA_OIFNAME:
		return true
	case FRA_DST, FRA_SRC:
		return f.AddrLen() > 0 && len(d) == f.AddrLen()
	}
	size, ok := sizes[typ]
	return ok && len(d) == size
}

// checkRule checks what must hold of a rule's payload.
func checkRule(t testing.TB, b []byte) {
	t.Helper()
	b = ExactCopy(b)
	var r Rule
	if err := r.UnmarshalBinary(b); err != nil {
		checkError(t, b, err)
		return
	}
	Inside(t, b, attrData(r.Unknown)...)
	var unknown []wire.Attr
	for _, a := range split(t, b[FibRuleHdrLen:]) {
		if !ruleUnderstood(r.Family, a.Type, a.Data) {
			unknown = append(unknown, a)
		}
	}
	if !reflect.DeepEqual(r.Unknown, unknown) {
		t.Fatalf("%x: unknown are %v, want %v", b, r.Unknown, unknown)
	}
	m, err := check(Rules.Kind, b)
	if err != nil {
		t.Fatalf("%x: %v, but it was decoded", b, err)
	}
	if got := Rules.Table(m); got != (Table{Family: r.Family}) {
		t.Fatalf("%x: in table %+v", b, got)
	}
	if got := Rules.Position(m).Priority; got != r.Priority {
		t.Fatalf("%x: at %d, not %d", b, got, r.Priority)
	}
	if len(b) < 1<<15 && (r.Family.AddrLen() > 0 || !r.Dst.IsValid() && !r.Src.IsValid()) {
		var again Rule
		err := again.UnmarshalBinary(ExactCopy(AppendRule(nil, &r)))
		want := r
		want.IIF, want.OIF = escaped(r.IIF), escaped(r.OIF)
		if err != nil || !reflect.DeepEqual(again, want) {
			t.Fatalf("%x: %v\n was %+v\n  is %+v", b, err, want, again)
		}
		m2, err := check(Rules.Kind, AppendRule(nil, &r))
		if err != nil || r.IIF == want.IIF && r.OIF == want.OIF && Rules.Same(m) != Rules.Same(m2) {
			t.Fatalf("%x: %v, or it is not the same as itself", b, err)
		}
	}
	id := string(r.AppendID(nil, 0))
	if !strings.HasPrefix(id, r.Family.String()+":") || id == string(r.AppendID(nil, 1)) {
		t.Fatalf("%x: identity %s", b, id)
	}
	r.FWMark()
	r.SuppressedIfGroup()
	r.SuppressedPrefixLen()
}

func FuzzRule(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(AppendRule(nil, NewChance(seed).Rule()))
	}
	f.Fuzz(func(t *testing.T, b []byte) { checkRule(t, b) })
}

// rulePayload is struct fib_rule_hdr and attributes.
func rulePayload(f Family, dstLen, srcLen byte, attrs ...[]byte) []byte {
	head := []byte{byte(f), dstLen, srcLen, 0x10, 254, 0, 0, byte(FR_ACT_TO_TBL)}
	return Cat(head, NE[uint32](FIB_RULE_INVERT), Cat(attrs...))
}

// TestRule has each attribute of linux/fib_rules.h.
func TestRule(t *testing.T) {
	head := Rule{Family: IPv4, TOS: 0x10, Table: 254, Action: FR_ACT_TO_TBL, Flags: FIB_RULE_INVERT}
	with := func(change func(*Rule)) Rule {
		r := head
		change(&r)
		return r
	}
	prefix := netip.MustParsePrefix
	for _, c := range []struct {
		payload []byte
		want    Rule
	}{
		{rulePayload(IPv4, 0, 0), head},
		{rulePayload(IPv4, 8, 0, Attr(FRA_DST, []byte{10, 0, 0, 0})),
			with(func(r *Rule) { r.Dst = prefix("10.0.0.0/8") })},
		{rulePayload(IPv4, 0, 32, Attr(FRA_SRC, []byte{10, 0, 0, 1})),
			with(func(r *Rule) { r.Src = prefix("10.0.0.1/32") })},
		{rulePayload(IPv4, 3, 0), with(func(r *Rule) { r.Dst = prefix("0.0.0.0/3") })},
		{rulePayload(IPv4, 0, 0, Attr(FRA_DST, []byte{10, 0, 0, 1})),
			with(func(r *Rule) { r.Dst = prefix("10.0.0.1/0") })},
		{rulePayload(IPv4, 0, 0, Attr(FRA_DST, make([]byte, 16))),
			with(func(r *Rule) { r.Unknown = []wire.Attr{{Type: FRA_DST, Data: make([]byte, 16)}} })},
		{rulePayload(IPv6, 0, 64, Attr(FRA_SRC, []byte{0xfd, 15: 0})),
			with(func(r *Rule) { r.Family, r.Src = IPv6, prefix("fd00::/64") })},
		{rulePayload(IPv4, 0, 0, Attr(FRA_IIFNAME, Str("v0")), Attr(FRA_OIFNAME, []byte("v\xff"))),
			with(func(r *Rule) { r.IIF, r.OIF = "v0", `v\xff` })},
		{rulePayload(IPv4, 0, 0, Attr(FRA_GOTO, NE[uint32](70000)), Attr(FRA_PRIORITY, NE[uint32](1<<32-1))),
			with(func(r *Rule) { r.Goto, r.Priority = Some[uint32](70000), 1<<32-1 })},
		{rulePayload(IPv4, 0, 0, Attr(FRA_FWMARK, NE[uint32](51820)), Attr(FRA_FWMASK, NE[uint32](0xff00))),
			with(func(r *Rule) { r.Mark, r.Mask = Some[uint32](51820), Some[uint32](0xff00) })},
		{rulePayload(IPv4, 0, 0, Attr(FRA_FLOW, NE[uint32](3<<16|4)), Attr(FRA_TUN_ID, BE[uint64](1<<40+2)),
			Attr(FRA_PAD)),
			with(func(r *Rule) { r.Realms, r.TunID = Some[uint32](3<<16|4), Some[uint64](1<<40+2) })},
		{rulePayload(IPv4, 0, 0, Attr(FRA_SUPPRESS_IFGROUP, NE[uint32](5)),
			Attr(FRA_SUPPRESS_PREFIXLEN, NE[uint32](0)), Attr(FRA_TABLE, NE[uint32](70000))),
			with(func(r *Rule) {
				r.SuppressIfGroup, r.SuppressPrefixLen, r.Table = Some[uint32](5), Some[uint32](0), 70000
			})},
		{rulePayload(IPv4, 0, 0, Attr(FRA_L3MDEV, []byte{1}), Attr(FRA_UID_RANGE, NE[uint32](7), NE[uint32](1<<32-2)),
			Attr(FRA_PROTOCOL, []byte{186}), Attr(FRA_IP_PROTO, []byte{6})),
			with(func(r *Rule) {
				r.L3MDev, r.UIDs = Some[uint8](1), Some(UIDRange{7, 1<<32 - 2})
				r.Protocol, r.IPProto = Some[uint8](186), Some[uint8](6)
			})},
		{rulePayload(IPv4, 0, 0, Attr(FRA_SPORT_RANGE, NE[uint16](80), NE[uint16](81)),
			Attr(FRA_DPORT_RANGE, NE[uint16](443), NE[uint16](443)), Attr(FRA_DPORT_MASK, NE[uint16](0xff0f)),
			Attr(FRA_SPORT_MASK, NE[uint16](3))),
			with(func(r *Rule) {
				r.SPorts, r.DPorts = Some(PortRange{80, 81}), Some(PortRange{443, 443})
				r.SPortMask, r.DPortMask = Some[uint16](3), Some[uint16](0xff0f)
			})},
		{rulePayload(IPv4, 0, 0, Attr(FRA_DSCP, []byte{46}), Attr(FRA_DSCP_MASK, []byte{62}),
			Attr(FRA_FLOWLABEL, BE[uint32](0x12345)), Attr(FRA_FLOWLABEL_MASK, BE[uint32](0xfffff))),
			with(func(r *Rule) {
				r.DSCP, r.DSCPMask = Some[uint8](46), Some[uint8](62)
				r.FlowLabel, r.FlowLabelMask = Some[uint32](0x12345), Some[uint32](0xfffff)
			})},
		{rulePayload(IPv4, 0, 0, Attr(5, NE[uint32](1)), Attr(31, []byte{1}), Attr(FRA_TABLE, []byte{1})),
			with(func(r *Rule) {
				r.Unknown = []wire.Attr{{Type: 5, Data: NE[uint32](1)}, {Type: 31, Data: []byte{1}},
					{Type: FRA_TABLE, Data: []byte{1}}}
			})},
	} {
		got := Rule{IIF: "old", Priority: 9, Unknown: []wire.Attr{{Type: 1}}}
		if err := got.UnmarshalBinary(c.payload); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%x: %v\n got %+v\nwant %+v", c.payload, err, got, c.want)
		}
		checkRule(t, c.payload)
	}
	for seed := range uint64(200) {
		checkRule(t, AppendRule(nil, NewChance(seed).Rule()))
	}
}

func TestMalformedRule(t *testing.T) {
	for _, c := range []struct {
		payload []byte
		offset  int
	}{
		{nil, 0},
		{rulePayload(IPv4, 33, 0), 1},
		{rulePayload(IPv6, 0, 129), 2},
		{rulePayload(IPv4, 0, 0, []byte{3, 0, 0, 0}), FibRuleHdrLen},
	} {
		var r Rule
		var m *wire.MalformedError
		if err := r.UnmarshalBinary(c.payload); !errors.As(err, &m) || m.Offset != c.offset || m.What != "rule" {
			t.Errorf("%x: %v", c.payload, err)
		}
	}
	checkRule(t, rulePayload(28, 255, 255, Attr(FRA_DST, make([]byte, 4)))) // of no family that has addresses
}

// TestRuleID checks that every difference makes another identity but what is state, and what
// an older kernel does not send.
func TestRuleID(t *testing.T) {
	base := Rule{Family: IPv4, Priority: 100, Action: FR_ACT_TO_TBL, Table: 254,
		SuppressIfGroup: Some[uint32](1<<32 - 1), SuppressPrefixLen: Some[uint32](1<<32 - 1),
		DSCP: Some[uint8](1), FlowLabel: Some[uint32](1), SPorts: Some(PortRange{1, 1}), DPorts: Some(PortRange{2, 2}),
		Mark: Some[uint32](1)}
	id := string(base.AppendID(nil, 0))
	if want := "ipv4:100:"; !strings.HasPrefix(id, want) || len(id) != len(want)+16 {
		t.Errorf("identity %s", id)
	}
	for name, change := range map[string]func(*Rule){
		"state":       func(r *Rule) { r.Flags = FIB_RULE_UNRESOLVED | FIB_RULE_IIF_DETACHED | FIB_RULE_OIF_DETACHED },
		"attributes":  func(r *Rule) { r.Unknown = []wire.Attr{{Type: 99}} },
		"suppression": func(r *Rule) { r.SuppressIfGroup, r.SuppressPrefixLen = Opt[uint32]{}, Opt[uint32]{} },
		"masks": func(r *Rule) {
			r.DSCPMask, r.FlowLabelMask, r.Mask = Some[uint8](63), Some[uint32](0xfffff), Some[uint32](1<<32-1)
			r.SPortMask, r.DPortMask = Some[uint16](65535), Some[uint16](65535)
		},
	} {
		r := base
		if change(&r); string(r.AppendID(nil, 0)) != id {
			t.Errorf("%s makes another identity", name)
		}
	}
	seen := map[string]string{id: "none"}
	for name, change := range map[string]func(*Rule){
		"family": func(r *Rule) { r.Family = IPv6 }, "priority": func(r *Rule) { r.Priority++ },
		"action": func(r *Rule) { r.Action = FR_ACT_NOP }, "table": func(r *Rule) { r.Table++ },
		"invert": func(r *Rule) { r.Flags |= FIB_RULE_INVERT }, "tos": func(r *Rule) { r.TOS = 4 },
		"dst":  func(r *Rule) { r.Dst = netip.MustParsePrefix("10.0.0.0/8") },
		"src":  func(r *Rule) { r.Src = netip.MustParsePrefix("10.0.0.0/8") },
		"src2": func(r *Rule) { r.Src = netip.MustParsePrefix("10.0.0.0/9") },
		"iif":  func(r *Rule) { r.IIF = "v0" }, "oif": func(r *Rule) { r.OIF = "v0" },
		"goto": func(r *Rule) { r.Goto = Some[uint32](0) }, "mark": func(r *Rule) { r.Mark.V++ },
		"mask": func(r *Rule) { r.Mask = Some[uint32](1) }, "realms": func(r *Rule) { r.Realms = Some[uint32](1) },
		"tunnel": func(r *Rule) { r.TunID = Some[uint64](1) }, "l3mdev": func(r *Rule) { r.L3MDev = Some[uint8](1) },
		"group": func(r *Rule) { r.SuppressIfGroup.V = 0 }, "prefix": func(r *Rule) { r.SuppressPrefixLen.V = 0 },
		"uids": func(r *Rule) { r.UIDs = Some(UIDRange{}) }, "uids2": func(r *Rule) { r.UIDs = Some(UIDRange{0, 1}) },
		"protocol":   func(r *Rule) { r.Protocol = Some[uint8](1) },
		"ip_proto":   func(r *Rule) { r.IPProto = Some[uint8](1) },
		"sport":      func(r *Rule) { r.SPorts = Some(PortRange{1, 2}) },
		"dport":      func(r *Rule) { r.DPorts = Some(PortRange{1, 2}) },
		"sport mask": func(r *Rule) { r.SPortMask = Some[uint16](1) },
		"dport mask": func(r *Rule) { r.DPortMask = Some[uint16](2) },
		"dscp":       func(r *Rule) { r.DSCP.V = 0 }, "no dscp": func(r *Rule) { r.DSCP = Opt[uint8]{} },
		"dscp mask": func(r *Rule) { r.DSCPMask = Some[uint8](1) }, "flow label": func(r *Rule) { r.FlowLabel.V++ },
		"flow label mask": func(r *Rule) { r.FlowLabelMask = Some[uint32](1) },
	} {
		r := base
		change(&r)
		got := string(r.AppendID(nil, 0))
		if other, ok := seen[got]; ok {
			t.Errorf("%s has the identity of %s", name, other)
		}
		seen[got] = name
	}
	var twins RuleTwins
	other := base
	other.Priority++
	for i, c := range []struct {
		rule Rule
		want int
	}{{base, 0}, {base, 1}, {base, 2}, {other, 0}, {base, 0}, {base, 1}} {
		if got := twins.Before(&c.rule); got != c.want {
			t.Errorf("%d: %d are like it, not %d", i, got, c.want)
		}
	}
}

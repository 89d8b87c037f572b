package nltest

import (
	"net/netip"

	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// The attributes of linux/fib_rules.h, which package object has in the tags of its fields.
const (
	FRA_DST                = 1
	FRA_SRC                = 2
	FRA_IIFNAME            = 3
	FRA_GOTO               = 4
	FRA_PRIORITY           = 6
	FRA_FWMARK             = 10
	FRA_FLOW               = 11
	FRA_TUN_ID             = 12
	FRA_SUPPRESS_IFGROUP   = 13
	FRA_SUPPRESS_PREFIXLEN = 14
	FRA_TABLE              = 15
	FRA_FWMASK             = 16
	FRA_OIFNAME            = 17
	FRA_PAD                = 18
	FRA_L3MDEV             = 19
	FRA_UID_RANGE          = 20
	FRA_PROTOCOL           = 21
	FRA_IP_PROTO           = 22
	FRA_SPORT_RANGE        = 23
	FRA_DPORT_RANGE        = 24
	FRA_DSCP               = 25
	FRA_FLOWLABEL          = 26
	FRA_FLOWLABEL_MASK     = 27
	FRA_SPORT_MASK         = 28
	FRA_DPORT_MASK         = 29
	FRA_DSCP_MASK          = 30

	FibRuleHdrLen = 12 // sizeof(struct fib_rule_hdr)
)

// AppendRule encodes what Rule.UnmarshalBinary decodes, as the kernel does
// (fib_nl_fill_rule).
func AppendRule(b []byte, r *object.Rule) []byte {
	table := byte(r.Table)
	if r.Table > 0xff {
		table = object.RT_TABLE_COMPAT
	}
	b = append(b, byte(r.Family), byte(max(r.Dst.Bits(), 0)), byte(max(r.Src.Bits(), 0)), r.TOS, table, 0, 0,
		byte(r.Action))
	b = append(b, NE(r.Flags)...)
	b = append(b, Attr(FRA_TABLE, NE(r.Table))...)
	b = appendOpt(b, FRA_SUPPRESS_PREFIXLEN, r.SuppressPrefixLen)
	b = appendOpt(b, FRA_PROTOCOL, r.Protocol)
	for _, a := range []struct {
		number uint16
		name   string
	}{{FRA_IIFNAME, r.IIF}, {FRA_OIFNAME, r.OIF}} {
		if a.name != "" {
			b = append(b, Attr(a.number, Str(a.name))...)
		}
	}
	if r.Priority != 0 {
		b = append(b, Attr(FRA_PRIORITY, NE(r.Priority))...)
	}
	b = appendOpt(b, FRA_FWMARK, r.Mark)
	b = appendOpt(b, FRA_FWMASK, r.Mask)
	b = appendOpt(b, FRA_GOTO, r.Goto)
	if r.TunID.OK {
		b = append(b, Attr(FRA_TUN_ID, BE(r.TunID.V))...)
	}
	b = appendOpt(b, FRA_L3MDEV, r.L3MDev)
	if u := r.UIDs; u.OK {
		b = append(b, Attr(FRA_UID_RANGE, NE(u.V.Start), NE(u.V.End))...)
	}
	for _, p := range []struct {
		number uint16
		ports  object.Opt[object.PortRange]
	}{{FRA_SPORT_RANGE, r.SPorts}, {FRA_DPORT_RANGE, r.DPorts}} {
		if p.ports.OK {
			b = append(b, Attr(p.number, NE(p.ports.V.Start), NE(p.ports.V.End))...)
		}
	}
	b = appendOpt(b, FRA_SPORT_MASK, r.SPortMask)
	b = appendOpt(b, FRA_DPORT_MASK, r.DPortMask)
	b = appendOpt(b, FRA_IP_PROTO, r.IPProto)
	b = appendOpt(b, FRA_SUPPRESS_IFGROUP, r.SuppressIfGroup)
	for _, p := range []struct {
		number uint16
		prefix netip.Prefix
	}{{FRA_DST, r.Dst}, {FRA_SRC, r.Src}} {
		if p.prefix.IsValid() {
			b = append(b, Attr(p.number, p.prefix.Addr().AsSlice())...)
		}
	}
	b = appendOpt(b, FRA_FLOW, r.Realms)
	b = appendOpt(b, FRA_DSCP, r.DSCP)
	b = appendOpt(b, FRA_DSCP_MASK, r.DSCPMask)
	if r.FlowLabel.OK {
		b = append(b, Attr(FRA_FLOWLABEL, BE(r.FlowLabel.V))...)
	}
	if r.FlowLabelMask.OK {
		b = append(b, Attr(FRA_FLOWLABEL_MASK, BE(r.FlowLabelMask.V))...)
	}
	for _, a := range r.Unknown {
		b = append(b, Attr(a.Type, a.Data)...)
	}
	return b
}

func appendOpt[T uint8 | uint16 | uint32](b []byte, number uint16, o object.Opt[T]) []byte {
	if !o.OK {
		return b
	}
	return append(b, Attr(number, NE(o.V))...)
}

// RuleMessage is a message about a rule.
func RuleMessage(seq uint32, r *object.Rule) []byte {
	return Padded(object.RTM_NEWRULE, wire.NLM_F_MULTI, seq, AppendRule(nil, r))
}

// Rule is a rule that AppendRule can encode.
func (c Chance) Rule() *object.Rule {
	r := &object.Rule{
		Family: []object.Family{object.IPv4, object.IPv6, object.IPMR, object.IP6MR}[c.IntN(4)], TOS: byte(c.U32()),
		Action: object.RuleAction(c.IntN(10)), Flags: c.U32(), Goto: c.opt32(), Priority: c.U32(), Mark: c.opt32(),
		Realms: c.opt32(), TunID: perhaps(c, c.Uint64()), SuppressIfGroup: c.opt32(), SuppressPrefixLen: c.opt32(),
		Table: c.U32(), Mask: c.opt32(), L3MDev: perhaps(c, byte(c.U32())),
		UIDs:     perhaps(c, object.UIDRange{Start: c.U32(), End: c.U32()}),
		Protocol: perhaps(c, byte(c.U32())), IPProto: perhaps(c, byte(c.U32())),
		SPorts: perhaps(c, object.PortRange{Start: uint16(c.U32()), End: uint16(c.U32())}),
		DPorts: perhaps(c, object.PortRange{Start: uint16(c.U32()), End: uint16(c.U32())}),
		DSCP:   perhaps(c, byte(c.U32())), FlowLabel: c.opt32(), FlowLabelMask: c.opt32(),
		SPortMask: perhaps(c, uint16(c.U32())), DPortMask: perhaps(c, uint16(c.U32())),
		DSCPMask: perhaps(c, byte(c.U32())), Unknown: c.unknown(0, 5, 7, 8, 9, 31, 32, 63, 300),
	}
	names := []string{"", "v0", "a b", "no-such-device"}
	r.IIF, r.OIF = names[c.IntN(4)], names[c.IntN(4)]
	n := r.Family.AddrLen()
	for _, p := range []*netip.Prefix{&r.Dst, &r.Src} {
		if c.Yes() {
			*p = netip.PrefixFrom(c.Addr(n), c.IntN(n*8+1))
		}
	}
	return r
}

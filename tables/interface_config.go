package tables

import (
	"math"
	"slices"
	"strings"

	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// InterfaceConfig is the table kernel_interface_config.
var InterfaceConfig = define(Table{
	Name: "kernel_interface_config",
	Description: "Settings of each network interface for IPv4 and IPv6 (/proc/sys/net/ipv4/conf, ipv6/conf), and " +
		"what " +
		"holds where the kernel combines them with those of all.",
	Examples: []Example{
		{"Whether sources of IPv4 packets are checked on each interface, and what holds with the settings of all.",
			"SELECT dev, rp_filter, effective_rp_filter FROM kernel_interface_config WHERE family = 'ipv4'"},
		{"Interfaces that accept ICMP redirects.",
			"SELECT dev, family FROM kernel_interface_config WHERE effective_accept_redirects = 1"},
		{"Interfaces that forward packets, and their VRFs.",
			"SELECT dev, vrf, sum(effective_forwarding) AS forwards FROM kernel_interface_config WHERE dev_index > 0 " +
				"GROUP BY dev_index"},
	},
}, slices.Concat([]column[configRow]{
	text("dev",
		"Name of the interface; all for what is combined with every interface's, default for what new ones begin with",
		nothing, func(r *configRow, b []byte) []byte { return append(b, r.dev()...) }).
		from("IFLA_IFNAME").key().holds(configDevs),
	bigint("dev_index",
		"Index of the interface, absent for all and default",
		nothing, (*configRow).index).
		from("ifi_index").perRow(),
	text("dev_kind",
		"Kind of the interface: veth, bridge, wireguard, tun, ...; empty for hardware, all and default",
		nothing, func(r *configRow, b []byte) []byte {
			return ofLinkText(r, b, func(l *object.LinkConfig) string { return l.Link.Kind })
		}).
		from("IFLA_INFO_KIND"),
	text("dev_operstate",
		"Operational state of the interface: UP, DOWN, UNKNOWN, LOWERLAYERDOWN and others; empty for all and default",
		nothing, func(r *configRow, b []byte) []byte {
			return ofLinkText(r, b, func(l *object.LinkConfig) string { return l.Link.OperStateName() })
		}).
		from("IFLA_OPERSTATE").holds(operStates),
	text("vrf",
		"Name of the VRF device that the interface is in; empty for none, all and default",
		nothing, (*configRow).appendVRF).
		from("IFLA_IFNAME of IFLA_MASTER, if it has IFLA_VRF_TABLE").since(vrfsSince),
	bigint("mtu",
		"MTU of the interface in [bytes], absent for all and default; what IPv6 uses is mtu6",
		nothing, (*configRow).mtu).
		from("IFLA_MTU"),
	text("family",
		"Address family of the settings: ipv4 or ipv6; no row for one that the interface does not have, as with an "+
			"MTU "+
			"below 1280 (ipv6) or 68 (ipv4)",
		nothing, func(r *configRow, b []byte) []byte { return append(b, r.family.String()...) }).
		from("the family in IFLA_AF_SPEC").
		perRow().holds(words(false, noNumber, familyNames(object.IPv4, object.IPv6), ipFamilies)),
}, settingColumns(), []column[configRow]{
	text("inet6_flags",
		"State of IPv6 on the interface, separated by commas: ready, rs_sent, ra_rcvd, ra_managed, ra_otherconf; "+
			"empty for none, ipv4, all and default",
		nothing, (*configRow).appendFlags6).
		from("IFLA_INET6_FLAGS"),
	text("token",
		"Identifier of the interface in addresses that it configures itself, empty for none",
		nothing, (*configRow).appendToken).
		from("IFLA_INET6_TOKEN").holds(addrs),
	bigint("ra_mtu",
		"MTU in [bytes] that a router advertisement told, absent if none did",
		nothing, (*configRow).raMTU).
		from("IFLA_INET6_RA_MTU"),
	unknownAttrs("Further settings of the kernel's array, by number,",
		"IFLA_INET_CONF and IFLA_INET6_CONF, but for what has columns", nothing,
		func(r *configRow) []wire.Attr { return r.conf.Unknown() }),
	consistent[configRow](),
}), source[configRow]{
	kind:  object.Links.Kind,
	needs: needs{along: kindSet(object.Netconfs.Kind)}, // what all has
	rows:  configRows,
	doubts: func(s *rtnl.Snapshot) string {
		for _, value := range s.Sysctls {
			if value != "" {
				return ""
			}
		}
		return "the settings of all and default are not known, but for a few that RTNetlink tells of: " +
			"/proc/sys/net cannot be read, or the capture was made without them; " +
			"effective_... is NULL where it takes others"
	},
})

// configDevs are interfaces, and the two that are none.
var configDevs = &domain{
	can:    func(_ *iproute2.Names, value string) bool { return value == rtnl.ConfAll || value == rtnl.ConfDefault },
	advise: adviseLink,
}

// A configRow is a row of kernel_interface_config: the settings of an interface, of all or of
// default, for one family.
type configRow struct {
	snap   *rtnl.Snapshot
	link   *object.LinkConfig // nil: it is all or default
	name   string             // which of the two
	family object.Family
	conf   object.Conf
	all    *object.Conf // the settings of all
}

// configFamilies are the families of the rows, in their order.
var configFamilies = [...]object.Family{object.IPv4, object.IPv6}

// configRows returns an iterator with a row for each family of each interface, and after
// them for all and default as far as anything is known of these.
func configRows(_ *plan[configRow], at *scope) func() *configRow {
	s := at.snap
	confs, next := s.Confs(), rtnl.Each(s, object.LinkConfigs)
	var lacks [len(configFamilies)]*object.Lacking
	var others []configRow
	for i, f := range configFamilies {
		lacks[i] = s.LackedSettings(f)
	}
	for _, name := range []string{rtnl.ConfAll, rtnl.ConfDefault} {
		for _, f := range configFamilies {
			if conf := confs[rtnl.ConfKey{Conf: name, Family: f}]; conf != nil {
				others = append(others, configRow{snap: s, name: name, family: f, conf: *conf})
			}
		}
	}
	row, left := &configRow{snap: s}, configFamilies[:0]
	return func() *configRow {
		for {
			for ; len(left) > 0; left = left[1:] {
				f := left[0]
				if conf := row.link.Conf(f); conf.Known() {
					row.family, row.all = f, confs[rtnl.ConfKey{Conf: rtnl.ConfAll, Family: f}]
					row.conf = conf.Without(lacks[len(configFamilies)-len(left)])
					left = left[1:]
					return row
				}
			}
			if row.link = next(); row.link == nil {
				break
			}
			left = configFamilies[:]
		}
		if len(others) == 0 {
			return nil
		}
		*row, others = others[0], others[1:]
		next = func() *object.LinkConfig { return nil }
		return row
	}
}

func (r *configRow) dev() string {
	if r.link == nil {
		return r.name
	}
	return r.link.Link.Name
}

func (r *configRow) index() (int64, bool) {
	if r.link == nil {
		return 0, false
	}
	return present(r.link.Link.Index)
}

func ofLinkText(r *configRow, b []byte, f func(*object.LinkConfig) string) []byte {
	if r.link == nil {
		return b
	}
	return append(b, f(r.link)...)
}

// appendVRF: an interface is in a VRF as in a bridge.
func (r *configRow) appendVRF(b []byte) []byte {
	if r.link == nil || r.link.Master == 0 {
		return b
	}
	if master, ok := r.snap.Link(r.link.Master); ok && master.VRFTable != 0 {
		b = append(b, master.Name...)
	}
	return b
}

func (r *configRow) mtu() (int64, bool) {
	if r.link == nil {
		return 0, false
	}
	return opt(r.link.MTU)
}

// ipv6 reports whether the row shows an interface's IPv6.
func (r *configRow) ipv6() bool { return r.link != nil && r.family == object.IPv6 }

// inet6Flags are the bits of IFLA_INET6_FLAGS (IF_* of include/net/if_inet6.h).
var inet6Flags = []struct {
	bit  uint32
	name string
}{{0x80000000, "ready"}, {0x10, "rs_sent"}, {0x20, "ra_rcvd"}, {0x40, "ra_managed"}, {0x80, "ra_otherconf"}}

func (r *configRow) appendFlags6(b []byte) []byte {
	if !r.ipv6() {
		return b
	}
	begin := len(b)
	for _, f := range inet6Flags {
		if r.link.Flags6.V&f.bit != 0 {
			if len(b) > begin {
				b = append(b, ',')
			}
			b = append(b, f.name...)
		}
	}
	return b
}

func (r *configRow) appendToken(b []byte) []byte {
	if !r.ipv6() || !r.link.Token.IsValid() || r.link.Token.IsUnspecified() {
		return b
	}
	return object.AppendAddr(b, r.link.Token)
}

func (r *configRow) raMTU() (int64, bool) {
	if !r.ipv6() {
		return 0, false
	}
	return opt(r.link.RAMTU)
}

// settingColumns are a column for each setting, and one of what holds after each that takes
// more than the interface's own.
func settingColumns() (columns []column[configRow]) {
	for i := range object.Settings {
		s := &object.Settings[i]
		declare, domain := integer[configRow], between(math.MinInt32, math.MaxInt32)
		if s.Unsigned() {
			declare, domain = bigint[configRow], numbersTo(math.MaxUint32)
		}
		value := func(r *configRow) (int64, bool) { return r.conf.Value(s) }
		first, source := settingSince(s), settingSource(s)
		columns = append(columns, declare(s.Name, settingDoc(s), nothing, value).holds(domain).
			from(source).since(first))
		if s.Combined() {
			effective := func(r *configRow) (int64, bool) {
				if r.link == nil {
					return 0, false
				}
				return r.conf.Effective(s, r.all)
			}
			columns = append(columns, declare("effective_"+s.Name, effectiveDoc(s), nothing, effective).holds(domain).
				from(effectiveSource(s)).since(first))
		}
	}
	return columns
}

// settingSource names the constants and the files of a setting.
func settingSource(s *object.Setting) string {
	var each []string
	for _, f := range configFamilies {
		if s.Has(f) {
			each = append(each, s.Constant(f)+", net."+f.String()+".conf.*."+s.File(f))
		}
	}
	return strings.Join(each, "; ")
}

// effectiveSource names the constants of a setting, and the other setting that what holds depends on.
func effectiveSource(s *object.Setting) string {
	source := "worked out from " + strings.Join(constantsIn(settingSource(s)), " and ")
	for _, f := range configFamilies {
		if other := s.Takes(f); other != "" {
			return source + ", and from " + other
		}
	}
	return source
}

// settingSince returns the first Linux that has a setting for any family.
func settingSince(s *object.Setting) string {
	v4, v6 := s.Since(object.IPv4), s.Since(object.IPv6)
	switch {
	case !s.Has(object.IPv4):
		return v6
	case s.Has(object.IPv6) && later(v4, v6):
		return v6
	}
	return v4
}

// settingDoc says what a setting means, and which family has it only since when.
func settingDoc(s *object.Setting) string {
	doc := s.Doc
	if s.Unit != "" {
		doc += ", in [" + s.Unit + "]"
	}
	for _, f := range configFamilies {
		if !s.Has(f) {
			doc += "; absent for " + f.String()
		} else if s.Since(f) != settingSince(s) {
			doc += "; for " + f.String() + " only since Linux " + s.Since(f)
		}
	}
	return doc
}

// effectiveDoc says how the kernel works out what holds.
func effectiveDoc(s *object.Setting) string {
	var each []string
	for _, f := range configFamilies {
		if s.Has(f) {
			each = append(each, f.String()+" "+s.Holds(f))
		}
	}
	how := strings.Join(each, "; ")
	if len(each) == 2 && s.Holds(object.IPv4) == s.Holds(object.IPv6) {
		how = s.Holds(object.IPv4)
	}
	return s.Name + " as it holds: " + how + "; absent for all and default, and where all's is needed and not known"
}

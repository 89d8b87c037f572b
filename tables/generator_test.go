package tables_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A generator makes lines for ip -batch that ip understands and of which the
// kernel accepts most.
type generator struct{ *rand.Rand }

// chance is true once in n times.
func (g generator) chance(n int) bool { return g.IntN(n) == 0 }

func (g generator) pick(words ...string) string { return words[g.IntN(len(words))] }

// maybe returns the text once in n times.
func (g generator) maybe(n int, format string, args ...any) string {
	if !g.chance(n) {
		return ""
	}
	return " " + fmt.Sprintf(format, args...)
}

// objects makes the nexthop objects that routes refer to: ids 1 to 9 are IPv6, 21
// to 29 IPv4, 40 and up groups.
func (g generator) objects(t testing.TB) {
	batch(t, "-6",
		"nexthop add id 1 via fd00::9 dev v0",
		"nexthop add id 2 via fd00::8 dev v0"+g.encap6(),
		"nexthop add id 3 via fe80::8 dev v1 proto 186 onlink",
		"nexthop add id 4 via fd00:1::8 dev v1",
		"nexthop add id 8 dev v1",
		"nexthop add id 9 blackhole",
	)
	batch(t, "-4",
		"nexthop add id 21 via 10.0.0.9 dev v0",
		"nexthop add id 22 via 10.0.1.9 dev v1"+g.encap4(),
		"nexthop add id 23 via 10.77.0.9 dev v1 onlink",
		"nexthop add id 24 dev br0",
		"nexthop add id 28 dev v1",
		"nexthop add id 29 blackhole",
	)
	groups := []string{
		"nexthop add id 40 group 9",
		"nexthop add id 41 group 29",
		"nexthop add id 42 group 1",
		"nexthop add id 43 group 21",
	}
	for id := 44; id < 60; id++ {
		members := [][]string{{"1", "2", "3", "4", "8"}, {"21", "22", "23", "24", "28"},
			{"1", "21", "3", "24"}}[g.IntN(3)]
		g.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		group := ""
		for _, m := range members[:1+g.IntN(len(members))] {
			group += "/" + m
			if g.chance(2) {
				group += fmt.Sprintf(",%d", 1+g.IntN(255)) // 256 since Linux 6.12
			}
		}
		groups = append(groups, fmt.Sprintf("nexthop add id %d group %s%s", id, group[1:],
			g.maybe(4, "type resilient buckets 32")))
	}
	batch(t, "", groups...)
	for id := uint32(60); id < 64; id++ {
		weight := func() uint32 { return 1 + g.Uint32N(maxWeight(t)) }
		addWireGroup(t, id, nhMember{1, weight()}, nhMember{8, weight()}, nhMember{21 + 7*(id%2), weight()})
	}
}

func (g generator) object(ids ...string) string {
	if g.chance(2) {
		return fmt.Sprintf(" nhid %d", 40+g.IntN(24))
	}
	return " nhid " + g.pick(ids...)
}

// common are the parts that both families have.
func (g generator) common() string {
	return g.maybe(2, "table %s", g.pick("main", "main", "local", "default", "100", "252", "256", "1000", "65536",
		"4294967294", "4294967295")) +
		g.maybe(2, "proto %d", g.protocol()) +
		g.maybe(3, "metric %s", g.pick("0", "1", "20", "1024", "2147483648", "4294967295", fmt.Sprint(g.Uint32()))) +
		g.metrics()
}

func (g generator) protocol() int { return g.IntN(256) }

func (g generator) metrics() string {
	if !g.chance(3) {
		return ""
	}
	var b strings.Builder
	for _, m := range []struct {
		name string
		max  int64
		lock bool
	}{{"mtu", 65520, true}, {"advmss", 65495, true}, {"hoplimit", 255, true}, {"window", 1 << 31, true},
		{"rtt", 100000, true}, {"rttvar", 100000, true},
		{"ssthresh", 1000, true}, {"cwnd", 1000, true}, {"initcwnd", 1000, true}, {"initrwnd", 1000, true},
		{"reordering", 300, true}, {"rto_min", 3000, false},
		{"quickack", 1, false}, {"fastopen_no_cookie", 1, false}} {
		if !g.chance(5) {
			continue
		}
		b.WriteString(" " + m.name)
		if m.lock {
			b.WriteString(g.maybe(3, "lock"))
		}
		v := g.Int64N(m.max + 1)
		if g.chance(8) {
			v = 0
		}
		fmt.Fprintf(&b, " %d", v)
		if m.name == "rtt" || m.name == "rttvar" {
			b.WriteString(g.pick("", "ms", "s"))
		}
	}
	b.WriteString(g.maybe(5, "features ecn"))
	b.WriteString(g.maybe(5, "congctl%s %s", g.maybe(2, "lock"), g.pick("cubic", "reno")))
	return b.String()
}

func (g generator) verb() string {
	return "route " + g.pick("add", "add", "add", "append", "prepend", "replace") + " "
}

func (g generator) prefix4() string {
	bits := g.IntN(33)
	if g.chance(2) {
		bits = 24
	}
	// Some prefixes come often.
	addr := g.Uint32() &^ (1<<(32-bits) - 1)
	if g.chance(5) {
		addr, bits = 0x14000000|uint32(g.IntN(20))<<8, 24
	}
	return fmt.Sprintf("%d.%d.%d.%d/%d", addr>>24, addr>>16&255, addr>>8&255, addr&255, bits)
}

func (g generator) realms() string {
	return g.maybe(4, "realm %s", g.pick("0", "5", "7/9", "9/0", "0/9", "255/1", "0x12c0fa0"))
}

func (g generator) hop4() string {
	if g.chance(3) {
		return " dev " + g.pick("v0", "v1", "v2", "br0", "p0", "lo")
	}
	dev := g.IntN(3)
	gw := fmt.Sprintf("10.0.%d.%d", dev, 3+g.IntN(250))
	onlink := ""
	switch g.IntN(6) {
	case 0:
		gw, onlink = fmt.Sprintf("10.77.%d.%d", g.IntN(256), g.IntN(256)), " onlink"
	case 1:
		gw = fmt.Sprintf("inet6 fd00:%d::%x", dev, 3+g.IntN(65000))
		if dev == 0 {
			gw = fmt.Sprintf("inet6 fd00::%x", 3+g.IntN(65000))
		}
	case 2:
		gw, onlink = fmt.Sprintf("inet6 fe80::%x", 3+g.IntN(65000)), " onlink"
	}
	return fmt.Sprintf(" via %s dev v%d%s", gw, dev, onlink)
}

func (g generator) route4() string {
	line := g.verb()
	if typ := g.maybe(5, "%s", g.pick("unicast", "local", "broadcast", "multicast", "blackhole", "unreachable",
		"prohibit", "throw")); typ != "" {
		line += strings.TrimSpace(typ) + " " + g.prefix4() + g.common() + g.maybe(3, "tos 0x%02x", g.tos())
		switch strings.TrimSpace(typ) {
		case "unicast":
			return line + g.hop4()
		case "local", "broadcast", "multicast":
			return line + " dev " + g.pick("v0", "v1", "v2", "lo")
		}
		return line + g.maybe(3, "scope %s", g.pick("global", "site", "link", "host", "nowhere", "33"))
	}
	line += g.prefix4() + g.common() + g.maybe(4, "tos 0x%02x", g.tos()) +
		g.maybe(5, "src %s", g.pick("10.0.0.1", "10.0.0.2", "10.0.1.1", "127.0.0.1"))
	switch g.IntN(6) {
	case 0:
		return line + g.object("21", "22", "23", "24", "28", "29", "1", "3")
	case 1:
		for range 1 + g.IntN(4) {
			line += " nexthop" + g.hop4() + g.maybe(2, "weight %d", 1+g.IntN(256)) + g.realms()
			if g.chance(4) {
				line += g.encap4()
			}
		}
		return line
	}
	line += g.realms()
	if g.chance(5) {
		line += g.encap4()
	}
	return line + g.hop4() + g.maybe(6, "scope %s", g.pick("global", "site", "link", "host", "33"))
}

func (g generator) tos() int { return g.IntN(64) << 2 }

func (g generator) ipTunnel() string {
	return g.maybe(2, "ttl %d", g.IntN(256)) + g.maybe(2, "tos 0x%x", g.IntN(256))
}

func (g generator) tunnelFlags() string {
	return g.maybe(3, "key") + g.maybe(3, "csum") + g.maybe(3, "seq")
}

// encap4 returns an encap for a route of either family. Options of geneve, vxlan
// or erspan are not among them: Linux 6.18 hangs on such a route.
func (g generator) encap4() string {
	switch g.IntN(3) {
	case 0:
		return fmt.Sprintf(" encap ip id %d dst 10.9.%d.%d", g.Uint64(), g.IntN(256), g.IntN(256)) +
			g.maybe(2, "src 10.0.0.%d", g.IntN(256)) + g.ipTunnel() + g.tunnelFlags()
	case 1:
		return fmt.Sprintf(" encap ip6 id %d dst %s", g.IntN(1000), g.address6()) +
			g.maybe(2, "src %s", g.address6()) + g.maybe(2, "hoplimit %d", g.IntN(256)) +
			g.maybe(2, "tc 0x%x", g.IntN(256)) + g.tunnelFlags()
	}
	return g.seg6("encap", "encap.red")
}

func (g generator) seg6(modes ...string) string {
	return fmt.Sprintf(" encap seg6 mode %s segs %s", g.pick(modes...), g.segments()) +
		g.maybe(4, "hmac %d", 1+g.IntN(1<<30))
}

func (g generator) segments() string {
	segments := g.address6()
	for range g.IntN(4) {
		segments += "," + g.address6()
	}
	return segments
}

// encap6 returns an encap for an IPv6 route.
func (g generator) encap6() string {
	switch g.IntN(3) {
	case 0:
		return g.encap4()
	case 1:
		return g.seg6("inline", "encap", "l2encap", "encap.red", "l2encap.red")
	}
	action := " encap seg6local action "
	switch g.IntN(10) {
	case 0:
		return action + "End" + g.maybe(2, "count")
	case 1:
		return action + "End.X nh6 " + g.address6() + g.maybe(2, "count")
	case 2:
		return action + "End.T table " + g.pick("main", "local", "1000")
	case 3:
		return action + "End.DX2 oif " + g.pick("v0", "v1")
	case 4:
		return action + "End.DX6 nh6 " + g.pick("::", g.address6())
	case 5:
		return action + "End.DX4 nh4 " + g.pick("0.0.0.0", "10.0.0.77")
	case 6:
		return action + "End.DT6 table " + g.pick("main", "4294967294") + g.maybe(2, "count")
	case 7:
		return action + "End.B6 srh segs " + g.segments()
	case 8:
		return action + "End.B6.Encaps srh segs " + g.segments() + g.maybe(2, "hmac %d", 1+g.IntN(1000))
	}
	return action + "End flavors next-csid lblen 48 nflen 16"
}

// address6 returns an address, some of the kinds that are written in their own way.
func (g generator) address6() string {
	switch g.IntN(12) {
	case 0:
		return fmt.Sprintf("::ffff:10.9.%d.%d", g.IntN(256), g.IntN(256))
	case 1:
		return fmt.Sprintf("::10.9.%d.%d", g.IntN(256), g.IntN(256))
	case 2:
		return fmt.Sprintf("2001:0:0:%x:0:0:0:%x", g.IntN(65536), g.IntN(65536))
	}
	return fmt.Sprintf("fd00::%x:%x", g.IntN(65536), 1+g.IntN(65535))
}

func (g generator) prefix6() string {
	if g.chance(5) {
		return fmt.Sprintf("fd44:%x::/32", g.IntN(20))
	}
	hi, lo := 0x2000_0000_0000_0000|g.Uint64()>>3, g.Uint64()
	bits := g.IntN(129)
	if g.chance(2) {
		bits = 64
	}
	if g.chance(20) {
		hi, lo, bits = 0, 0xffff_0000_0000|uint64(g.Uint32()), 128 // IPv4-mapped
	}
	if bits < 64 {
		lo = 0
		hi &^= 1<<(64-bits) - 1
	} else if bits < 128 {
		lo &^= 1<<(128-bits) - 1
	}
	return fmt.Sprintf("%x:%x:%x:%x:%x:%x:%x:%x/%d", hi>>48, hi>>32&0xffff, hi>>16&0xffff, hi&0xffff,
		lo>>48, lo>>32&0xffff, lo>>16&0xffff, lo&0xffff, bits)
}

func (g generator) hop6() string {
	if g.chance(3) {
		return " dev " + g.pick("v0", "v1", "v2", "br0", "p0", "lo")
	}
	return g.gateway6()
}

func (g generator) gateway6() string {
	switch g.IntN(5) {
	case 0:
		return fmt.Sprintf(" via fe80::%x dev %s", 2+g.IntN(65000), g.pick("v0", "v1", "v2"))
	case 1:
		return fmt.Sprintf(" via 2001:db8::%x dev v1 onlink", g.IntN(65536))
	case 2:
		return fmt.Sprintf(" via fd00:2::%x dev v2", 3+g.IntN(65000))
	}
	return fmt.Sprintf(" via fd00::%x", 3+g.IntN(65000)) + g.maybe(2, "dev v0")
}

func (g generator) route6() string {
	line := g.verb()
	if g.chance(5) {
		typ := g.pick("unicast", "local", "anycast", "multicast", "broadcast", "blackhole", "unreachable", "prohibit",
			"throw")
		line += typ + " " + g.prefix6() + g.maybe(4, "from %s", g.prefix6()) + g.common() +
			g.maybe(4, "pref %s", g.pick("low", "medium", "high"))
		switch typ {
		case "unicast":
			return line + g.hop6()
		case "local", "anycast", "multicast", "broadcast":
			return line + " dev " + g.pick("v0", "v1", "v2", "lo")
		}
		return line
	}
	line += g.prefix6() + g.maybe(5, "from %s", g.prefix6()) + g.common() +
		g.maybe(5, "src %s", g.pick("fd00::1", "fd00::2", "fd00:1::1")) +
		g.maybe(4, "pref %s", g.pick("low", "medium", "high")) +
		g.maybe(4, "expires %d", 1000+g.IntN(1<<20))
	switch g.IntN(6) {
	case 0:
		return line + g.object("1", "2", "3", "4", "8", "9")
	case 1:
		for range 1 + g.IntN(4) {
			line += " nexthop"
			if g.chance(4) {
				line += g.encap6()
			}
			line += g.gateway6() + g.maybe(2, "weight %d", 1+g.IntN(256))
		}
		return line
	}
	if g.chance(4) {
		line += g.encap6()
	}
	return line + g.hop6()
}

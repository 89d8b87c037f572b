package events

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// A chance makes random changes of three veths v0, v1 and v2, whose peers are v0p, v1p and v2p,
// with 10.N.0.1/24 and fd0N::1/64.
type chance struct{ *rand.Rand }

func newChance(seed uint64) chance { return chance{rand.New(rand.NewPCG(seed, 1))} }

func (c chance) pick(words ...string) string { return words[c.IntN(len(words))] }

func (c chance) once(in int) bool { return c.IntN(in) == 0 }

func (c chance) dev() string { return c.pick("v0", "v1", "v2") }

// hop is a nexthop: through a router, mostly of the route's family, or an interface alone.
func (c chance) hop(six bool) string {
	dev := c.dev()
	four := fmt.Sprintf("via 10.%s.0.%d dev %s", dev[1:], 2+c.IntN(4), dev)
	router := fmt.Sprintf("fd0%s::%d dev %s", dev[1:], 2+c.IntN(4), dev)
	switch {
	case c.once(12):
		return "dev " + dev
	case c.once(24) && six:
		return "encap ip6 id 5 dst fd00::9 via " + router
	case c.once(24) && !six:
		return "encap ip id 5 dst 1.1.1.1 " + four
	case six:
		return "via " + router
	case c.once(12):
		return "via inet6 " + router
	}
	return four
}

func (c chance) dst(six bool) string {
	if six {
		return fmt.Sprintf("fd20:%d::/32", c.IntN(12))
	}
	return fmt.Sprintf("20.%d.0.0/16", c.IntN(12))
}

// tail is what else a route has.
func (c chance) tail(six bool) (s string) {
	add := func(in int, text string, args ...any) {
		if c.once(in) {
			s += fmt.Sprintf(text, args...)
		}
	}
	add(3, " metric %d", 1+c.IntN(3)*100)
	add(4, " table %s", c.pick("7", "254", "1000", "70000"))
	add(8, " proto %s", c.pick("4", "11", "186"))
	add(10, " mtu %d", 1300+c.IntN(2)*100)
	if six {
		add(12, " pref %s", c.pick("high", "low"))
		add(12, " expires %d", 1000+c.IntN(9))
		add(16, " from fd30::/16")
	} else {
		add(10, " tos 0x10")
		add(12, " realm %d", 1+c.IntN(2))
		add(16, " scope %d", 200+c.IntN(2)*53)
	}
	return s
}

func (c chance) verb() string {
	return c.pick("add", "add", "append", "prepend", "replace", "replace", "change", "del", "del")
}

// route changes a route. Many such changes fail.
func (c chance) route() string {
	six := c.once(2)
	head := "route " + c.verb() + " "
	dst := c.dst(six) + c.tail(six)
	switch n := c.IntN(30); {
	case n < 2:
		return head + c.pick("blackhole ", "unreachable ", "throw ") + dst
	case n < 18:
		return head + dst + " " + c.hop(six)
	case n < 25:
		head += dst
		for range 1 + c.IntN(3) {
			head += fmt.Sprintf(" nexthop %s weight %d", c.hop(six), 1+c.IntN(3))
		}
		return head
	case n < 28:
		return head + fmt.Sprintf("%s nhid %d", dst, 1+c.IntN(6))
	}
	return "route del " + c.dst(six)
}

func (c chance) nexthop() string {
	verb := c.pick("add", "replace", "del")
	switch {
	case c.once(5):
		return fmt.Sprintf("nexthop %s id %d group %d,%d/%d", verb, 5+c.IntN(2), 1+c.IntN(2), 1+c.IntN(3), 3+c.IntN(2))
	case c.once(8):
		return fmt.Sprintf("nexthop %s id %d blackhole", verb, 1+c.IntN(4))
	}
	return fmt.Sprintf("nexthop %s id %d %s", verb, 1+c.IntN(4), c.hop(c.once(2)))
}

func (c chance) rule() string {
	s := fmt.Sprintf("rule %s pref %d table %s%s", c.pick("add", "add", "del"), 100+c.IntN(4),
		c.pick("7", "8", "70000"), c.pick("", " from fd40::/16", " from 40.0.0.0/8"))
	for _, more := range []string{" iif v0", " oif v1", " fwmark 7/15", " ipproto 6 dport 80-90", " uidrange 0-0",
		" suppress_prefixlength 3", " dsfield 0x10"} {
		if c.once(8) {
			s += more
		}
	}
	return s
}

// link changes an interface, so that routes may go: for good, or until it is there again.
func (c chance) link() []string {
	dev := c.dev()
	n := dev[1:]
	switch c.IntN(7) {
	case 0:
		return []string{"link set " + dev + " down"}
	case 1, 2:
		return []string{"link set " + dev + " up"}
	case 3:
		return []string{"link set " + dev + "p " + c.pick("up", "up", "down")}
	case 4:
		return []string{"link set " + dev + " name x" + n, "route replace " + c.dst(false) + " dev x" + n,
			"link set x" + n + " name " + dev}
	case 5:
		return []string{"address " + c.pick("add", "del") + " fd0" + n + "::1/64 dev " + dev + c.pick("", " nodad")}
	}
	return append([]string{"link del " + dev}, veth(dev)...)
}

// veth are lines that make an interface and its peer.
func veth(dev string) []string {
	n := dev[1:]
	return []string{
		"link add " + dev + " type veth peer name " + dev + "p",
		"link set " + dev + "p addrgenmode none",
		"link set " + dev + " addrgenmode none",
		"link set " + dev + "p up",
		"link set " + dev + " up",
		"address add 10." + n + ".0.1/24 dev " + dev,
		"address add fd0" + n + "::1/64 dev " + dev + " nodad",
	}
}

// change returns lines for ip -batch. Many of them fail.
func (c chance) change() []string {
	switch n := c.IntN(80); {
	case n < 55:
		return []string{c.route()}
	case n < 62:
		return []string{c.nexthop()}
	case n < 69:
		return []string{c.rule()}
	case n < 73:
		dev := c.dev()
		return []string{fmt.Sprintf("route %s 21.%d.0.0/16 via 10.%s.0.2 dev %s src 10.%s.%d.1", c.verb(), c.IntN(4),
			dev[1:], dev, dev[1:], c.IntN(2)*7)}
	case n < 76:
		dev := c.dev()
		return []string{fmt.Sprintf("address %s 10.%s.%d.1/24 dev %s", c.pick("add", "del"), dev[1:], c.IntN(2)*7, dev)}
	case n < 79:
		return c.link()
	}
	return []string{c.pick("route flush table 7", "route flush table 70000",
		"route flush proto 11", "route flush root 20.0.0.0/14", "route flush root fd20::/30",
		"route flush dev "+c.dev()+" proto 186", "nexthop flush")}
}

// changes returns lines for ip -batch, of so many changes. All interfaces are there at first.
func (c chance) changes(n int) string {
	var lines []string
	for _, dev := range []string{"v0", "v1", "v2"} {
		lines = append(lines, veth(dev)...)
	}
	for range n {
		lines = append(lines, c.change()...)
	}
	return strings.Join(lines, "\n") + "\n"
}

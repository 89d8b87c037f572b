package show

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/rtnl/object"
	"kernelroutes/shell/option"
	"kernelroutes/tables"
)

// shown returns what Write prints, and what it warns of.
func shown(t *testing.T, src tables.Source, opts Options) (text, warned string) {
	t.Helper()
	var out bytes.Buffer
	opts.Warn = func(text string) { warned += text + "\n" }
	if err := Write(t.Context(), &out, src, opts); err != nil {
		t.Fatal(err)
	}
	return out.String(), warned
}

// compare reports the first line that differs.
func compare(t *testing.T, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(strings.TrimPrefix(want, "\n"), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("line %d is not as it should be. It is all:\n%s", i+1, got)
		}
	}
}

// network is a host with a VPN as wg-quick makes it, ECMP, nexthop objects and rules of all sorts.
func network(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "eth0", "192.0.2.10/24", "2001:db8::10/64")
	nstest.Veth(t, "eth1")
	for _, dev := range []string{"eth0p", "eth1", "eth1p"} { // of multicast routes the order would be by chance
		nstest.Sysctl(t, "net.ipv6.conf."+dev+".disable_ipv6", "1")
	}
	nstest.Batch(t, "-4",
		"nexthop add id 1 via 192.0.2.2 dev eth0", "nexthop add id 2 via 192.0.2.3 dev eth0",
		"nexthop add id 9 blackhole")
	nstest.IP(t, "nexthop add id 10 group 1,3/2")
	nstest.Batch(t, "-4",
		"route add default via 192.0.2.1 dev eth0 proto dhcp src 192.0.2.10 metric 100",
		"route add default via 192.0.2.9 dev eth0 metric 200",
		"route add 10.0.0.0/8 proto bgp metric 20 nexthop via 192.0.2.2 weight 3 nexthop via 192.0.2.3",
		"route add 10.0.0.0/8 tos 0x10 dev eth1 metric 30",
		"route add 11.0.0.0/8 via 192.0.2.5 dev eth0 onlink realms 3/4",
		"route add 11.0.0.0/9 dev eth1", "route add throw 11.128.0.0/9",
		"route add 172.16.0.0/12 nhid 10", "route add 172.0.0.0/12 nhid 9",
		"route add blackhole 198.51.100.0/24 proto static", "route add 192.0.2.10/32 dev eth1",
		"route add default dev eth1 table 51820 mtu lock 1420",
		"route add 1.0.0.0/8 dev eth0 table 77", "route append 1.0.0.0/8 dev eth1 table 77",
	)
	nstest.Batch(t, "-4",
		"rule add not fwmark 0xca6c table 51820", "rule add table main suppress_prefixlength 0",
		"rule add priority 50 from 192.0.2.66 blackhole", "rule add priority 60 fwmark 7 goto 4711",
		"rule add priority 70 iif nope lookup 55", "rule add priority 80 to 198.18.0.0/15 dport 53 lookup 56",
		"rule add priority 90 lookup main suppress_prefixlength 8 suppress_ifgroup 3", "rule add priority 95 nop",
	)
	nstest.Batch(t, "-6",
		"route add default via 2001:db8::1 dev eth0 proto ra metric 100 pref high",
		"route add default via 2001:db8::2 dev eth0 metric 1024",
		"route add 2001:db8:ffff::/48 encap seg6 mode encap segs 2001:db8::5 dev eth0",
		"route add 2001:db8:7::/48 from 2001:db8::/64 dev eth0", "rule add prohibit",
	)
	nstest.WaitRoutes(t, "multicast ff00::/8 dev eth0 ", "local 2001:db8::10 dev eth0 ")
}

const wantIPv4 = `
ipv4

table local (255)                   rule 0: from all
  local 127.0.0.0/8             dev lo proto kernel scope host src 127.0.0.1
  local 127.0.0.1/32            dev lo proto kernel scope host src 127.0.0.1
  broadcast 127.255.255.255/32  dev lo proto kernel scope link src 127.0.0.1
  local 192.0.2.10/32           dev eth0 proto kernel scope host src 192.0.2.10
  broadcast 192.0.2.255/32      dev eth0 proto kernel scope link src 192.0.2.10

rule 50: from 192.0.2.66/32 blackhole

rule 60: from all fwmark 0x7 goto 4711 [there is no such rule]

table 55, no routes                 rule 70: from all iif nope [no interface nope]

table 56, no routes                 rule 80: from all to 198.18.0.0/15 dport 53

table main (254)                    rule 90: from all, but only routes longer than /8 and none through interface group 3
                                    rule 32764: from all, but no default route
                                    rule 32766: from all
  default                    via 192.0.2.1 dev eth0 proto dhcp src 192.0.2.10 metric 100
      shadowed by table 51820 default, except for packets fwmark 0xca6c (rule 32765)
  default                    via 192.0.2.9 dev eth0 proto boot metric 200
      shadowed by default metric 100
  10.0.0.0/8 tos 0x10        dev eth1 proto boot scope link metric 30
  10.0.0.0/8                 proto bgp metric 20
      nexthop via 192.0.2.2 dev eth0 weight 3
      nexthop via 192.0.2.3 dev eth0 weight 1
  11.0.0.0/8                 via 192.0.2.5 dev eth0 onlink proto boot realms 3/4
      shadowed by 11.0.0.0/9 and 11.128.0.0/9
  11.0.0.0/9                 dev eth1 proto boot scope link
  throw 11.128.0.0/9         proto boot
  blackhole 172.0.0.0/12     dev lo nhid 9 (blackhole nexthop) proto boot
  172.16.0.0/12              nhid 10 (nexthop group) proto boot
      nexthop via 192.0.2.2 dev eth0 weight 3 nhid 1
      nexthop via 192.0.2.3 dev eth0 weight 1 nhid 2
  192.0.2.0/24               dev eth0 proto kernel scope link src 192.0.2.10
  192.0.2.10/32              dev eth1 proto boot scope link
      shadowed by table local 192.0.2.10/32
  blackhole 198.51.100.0/24  proto static

rule 95: from all nop

table 51820                         rule 32765: not from all fwmark 0xca6c
  default  dev eth1 proto boot scope link mtu 1420 (locked)

table default (253), no routes      rule 32767: from all

no rule consults:

table 77
  1.0.0.0/8  dev eth0 proto boot scope link
  1.0.0.0/8  dev eth1 proto boot scope link
      shadowed by 1.0.0.0/8 metric 0, which was first

20 routes in 4 tables, 4 of them shadowed, 1 of them shadowed except for some packets
`

const wantIPv6 = `
ipv6

table local (255)                   rule 0: from all
  local ::1/128           dev lo proto kernel metric 0
  local 2001:db8::10/128  dev eth0 proto kernel metric 0
  multicast ff00::/8      dev eth0 proto kernel metric 256

rule 32765: from all prohibit

table main (254)                    rule 32766: from all
  no packet comes here: before, rule 32765: from all prohibit
  default                             via 2001:db8::1 dev eth0 proto ra metric 100 pref high
  default                             via 2001:db8::2 dev eth0 proto boot metric 1024
      shadowed by default metric 100
  2001:db8::/64                       dev eth0 proto kernel metric 256
  2001:db8:7::/48 from 2001:db8::/64  dev eth0 proto boot metric 1024
  2001:db8:ffff::/48                  encap seg6 mode encap segs 1 [ 2001:db8::5 ] dev eth0 proto boot metric 1024

8 routes in 2 tables, 5 of them shadowed
`

// TestShow shows a host of today.
func TestShow(t *testing.T) {
	network(t)
	k := &rtnl.Kernel{}
	ipv4, warned := shown(t, k, Options{Family: object.IPv4})
	if warned != "" {
		t.Errorf("warns of %s", warned)
	}
	compare(t, ipv4, wantIPv4)
	ipv6, _ := shown(t, k, Options{Family: object.IPv6})
	compare(t, ipv6, wantIPv6)
	both, _ := shown(t, k, Options{})
	compare(t, both, ipv4+"\n"+ipv6)

	// No route is left out.
	snap, err := k.Read(t.Context(), rtnl.RouteRequest(rtnl.Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(both) {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") && !strings.Contains(line, "no packet") {
			n++
		}
	}
	if all := snap.Count(object.Routes.Kind); n != all {
		t.Errorf("%d routes are shown, there are %d", n, all)
	}
}

// TestParts shows less than all, of which all is compared all the same.
func TestParts(t *testing.T) {
	network(t)
	k := &rtnl.Kernel{}
	for _, c := range []struct {
		opts Options
		want string
	}{
		{Options{Family: object.IPv4, Table: "51820"}, `
ipv4

table 51820                         rule 32765: not from all fwmark 0xca6c
  default  dev eth1 proto boot scope link mtu 1420 (locked)

1 route in 1 table
`},
		{Options{Family: object.IPv4, Table: "main", Dev: "eth1"}, `
ipv4

table main (254)                    rule 90: from all, but only routes longer than /8 and none through interface group 3
                                    rule 32764: from all, but no default route
                                    rule 32766: from all
  10.0.0.0/8 tos 0x10  dev eth1 proto boot scope link metric 30
  11.0.0.0/9           dev eth1 proto boot scope link
  192.0.2.10/32        dev eth1 proto boot scope link
      shadowed by table local 192.0.2.10/32

3 routes in 1 table through eth1, 1 of them shadowed
`},
		{Options{Family: object.IPv6, Dev: "eth1"}, `
ipv6

no routes through eth1
`},
		{Options{Family: object.IPv6, Table: "4711"}, `
ipv6

no routes in table 4711
`},
		{Options{Family: object.IPv4, Dev: "eth1", Table: "main", Width: 46, Color: true}, `
ipv4

table main (254)
      rule 90: from all, but only routes
        longer than /8 and none through
        interface group 3
      rule 32764: from all, but no default
        route
      rule 32766: from all
  10.0.0.0/8 tos 0x10  dev eth1 proto boot
                       scope link metric 30
  11.0.0.0/9           dev eth1 proto boot
                       scope link
  192.0.2.10/32        dev eth1 proto boot
                       scope link
      shadowed by table local 192.0.2.10/32

3 routes in 1 table through eth1, 1 of them
  shadowed
`},
	} {
		text, _ := shown(t, k, c.opts)
		compare(t, text, c.want)
	}
	var bad *option.Error
	err := Write(t.Context(), io.Discard, k, Options{Table: "nosuch"})
	if !errors.As(err, &bad) {
		t.Errorf("a table that has no such name: %v", err)
	}
	err = Write(t.Context(), io.Discard, k, Options{Dev: "eht1"})
	if !errors.As(err, &bad) || err.Error() != `--dev='eht1': there is no such interface: did you mean 'eth1'?` {
		t.Errorf("an interface that there is not: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Write(ctx, io.Discard, k, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// TestColors: what refuses packets, and default routes, stand out; nothing else differs.
func TestColors(t *testing.T) {
	network(t)
	plain, _ := shown(t, &rtnl.Kernel{}, Options{})
	colored, _ := shown(t, &rtnl.Kernel{}, Options{Color: true})
	for _, want := range []string{"\n  \x1b[31mblackhole 198.51.100.0/24\x1b[0m  ",
		"\n  \x1b[1mdefault\x1b[0m  "} {
		if !strings.Contains(colored, want) {
			t.Errorf("there is no %q in %q", want, colored)
		}
	}
	if bare := strings.NewReplacer("\x1b[31m", "", "\x1b[1m", "", "\x1b[0m", "").Replace(colored); bare != plain {
		t.Error("without its colors, the text is another one")
	}
}

// TestMade shows what this kernel may not have: VRFs, tunnels, labels; and names that a terminal must not see.
func TestMade(t *testing.T) {
	dst := netip.MustParsePrefix
	route := func(r object.Route) []byte {
		if r.Type = object.Unicast; r.Protocol == 0 {
			r.Protocol = 4
		}
		return nltest.AppendRoute(nil, &r)
	}
	rule := func(r object.Rule) []byte {
		r.Action = object.FR_ACT_TO_TBL
		return nltest.AppendRule(nil, &r)
	}
	link := func(l object.Link) []byte { return nltest.AppendLink(nil, &l) }
	via := netip.MustParseAddr("192.0.2.1")
	snap := rtnl.NewSnapshot(false, map[*object.Kind][]object.Run{
		object.Routes.Kind: nltest.Runs(t, object.Routes.Kind,
			route(object.Route{Family: object.IPv4, Table: 10, Dst: dst("0.0.0.0/0"), OIF: object.Some[uint32](3)}),
			route(object.Route{Family: object.IPv4, Table: 11, Dst: dst("0.0.0.0/0"), OIF: object.Some[uint32](4)}),
			route(object.Route{Family: object.IPv4, Table: 254, Dst: dst("10.0.0.0/8"), OIF: object.Some[uint32](1)}),
			route(object.Route{Family: object.IPv4, Table: 254, Dst: dst("11.0.0.0/8"), OIF: object.Some[uint32](5),
				Flags: 0x11}),
			route(object.Route{Family: object.IPv4, Table: 254, Dst: dst("12.0.0.0/8"), OIF: object.Some[uint32](99)}),
			route(object.Route{Family: object.MPLS, Table: 254, DstLabel: nltest.Labels(100<<12 | 0x100),
				NewDst: nltest.Labels(200<<12 | 0x100), Gateway: via, OIF: object.Some[uint32](3)})),
		object.Rules.Kind: nltest.Runs(t, object.Rules.Kind,
			rule(object.Rule{Family: object.IPv4, Priority: 1000, L3MDev: object.Some[uint8](1)}),
			rule(object.Rule{Family: object.IPv4, Priority: 1001, Table: 10, IIF: "eth0"}),
			rule(object.Rule{Family: object.IPv4, Priority: 32766, Table: 254, TOS: 8}),
			rule(object.Rule{Family: object.IPv6, Priority: 1000, L3MDev: object.Some[uint8](1)})),
		object.Links.Kind: nltest.Runs(t, object.Links.Kind,
			link(object.Link{Index: 1, Name: "red", Kind: "vrf", VRFTable: 11}),
			link(object.Link{Index: 2, Name: "blue", Kind: "vrf", VRFTable: 10}),
			link(object.Link{Index: 3, Name: "eth0"}), link(object.Link{Index: 4, Name: "wg0", Kind: "wireguard"}),
			link(object.Link{Index: 5, Name: "\x1b[31mgre", Kind: "gre"})),
	})
	text, warned := shown(t, snap.Instant(iproute2.NoNames()), Options{})
	if !strings.Contains(warned, "ask again") {
		t.Errorf("that it is not consistent, it says: %q", warned)
	}
	compare(t, text, wantMade)
}

const wantMade = `
ipv4

table 10, of VRF blue               rule 1000: from all, in VRF blue (l3mdev)
                                    rule 1001: from all iif eth0
  default  dev eth0 proto 4

table 11, of VRF red                rule 1000: from all, in VRF red (l3mdev)
  default  dev wg0 (WireGuard tunnel) proto 4

table 254                           rule 32766: from all tos 0x08
  10.0.0.0/8  dev red (VRF) proto 4
  11.0.0.0/8  dev \x1b[31mgre (GRE tunnel) dead linkdown proto 4
  12.0.0.0/8  dev 99 proto 4

5 routes in 3 tables

ipv6

table 10, of VRF blue, no routes    rule 1000: from all, in VRF blue (l3mdev)

table 11, of VRF red, no routes     rule 1000: from all, in VRF red (l3mdev)

no routes

mpls

table 254
  100  as to 200 via 192.0.2.1 dev eth0 proto 4

1 route in 1 table
`

// TestGoto: to the table of a rule that a goto goes past no packet comes, unless another one jumps to it.
func TestGoto(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "eth0", "192.0.2.10/24")
	nstest.Batch(t, "-4", "route add 10.0.0.0/8 dev eth0 table 54", "route add 11.0.0.0/8 dev eth0 table 54",
		"route add 10.0.0.0/8 dev eth0 table 55", "route flush table main",
		"rule add priority 40 goto 50", "rule add priority 45 lookup 54", "rule add priority 46 goto 50",
		"rule add priority 50 lookup 55")
	got, _ := shown(t, &rtnl.Kernel{}, Options{Family: object.IPv4})
	_, got, _ = strings.Cut(got, "\n\nrule 40")
	compare(t, "rule 40"+got, wantGoto)
	nstest.IP(t, "rule add priority 39 fwmark 1 goto 46")
	if got, _ = shown(t, &rtnl.Kernel{}, Options{Family: object.IPv4}); !strings.Contains(got, "no packet comes here") {
		t.Errorf("as no packet is asked by its rule, none comes to the table. It is all:\n%s", got)
	}
	nstest.IP(t, "rule add priority 38 fwmark 1 goto 45")
	if got, _ = shown(t, &rtnl.Kernel{}, Options{Family: object.IPv4}); strings.Contains(got, "no packet comes here") {
		t.Errorf("some packets jump to the table's rule. It is all:\n%s", got)
	}
}

// TestTo: rules that decide about all packets to some destinations come before the routes to these.
func TestTo(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "eth0", "192.0.2.10/24")
	nstest.Batch(t, "-4", "route add 10.0.0.0/8 dev eth0", "route add 11.1.0.0/16 dev eth0",
		"route add 11.2.0.0/16 dev eth0",
		"route add 12.0.0.0/8 dev eth0", "route add 11.1.0.0/16 dev eth0 table 54",
		"rule add priority 45 to 11.1.0.0/17 prohibit",
		"rule add priority 50 to 12.0.0.0/9 lookup 54", "rule add priority 40 to 10.0.0.0/8 blackhole",
		"rule add priority 41 to 11.0.0.0/8 lookup 54")
	got, _ := shown(t, &rtnl.Kernel{}, Options{Family: object.IPv4, Table: "main"})
	compare(t, got, wantTo)
}

const wantTo = `
ipv4

table main (254)                    rule 32766: from all
  10.0.0.0/8    dev eth0 proto boot scope link
      shadowed by rule 40: from all to 10.0.0.0/8 blackhole
  11.1.0.0/16   dev eth0 proto boot scope link
      shadowed by table 54 11.1.0.0/16
  11.2.0.0/16   dev eth0 proto boot scope link
  12.0.0.0/8    dev eth0 proto boot scope link
  192.0.2.0/24  dev eth0 proto kernel scope link src 192.0.2.10

5 routes in 1 table, 2 of them shadowed
`

const wantGoto = `
rule 40: from all goto 50

table 54                            rule 45: from all
  no packet comes here: before, rule 40: from all goto 50
  10.0.0.0/8  dev eth0 proto boot scope link
  11.0.0.0/8  dev eth0 proto boot scope link

rule 46: from all goto 50

table 55                            rule 50: from all
  10.0.0.0/8  dev eth0 proto boot scope link

table main (254), no routes         rule 32766: from all

table default (253), no routes      rule 32767: from all

8 routes in 3 tables, 2 of them shadowed
`

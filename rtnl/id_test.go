package rtnl

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// idRoute is an ordinary route of a family, with something of all that its
// identity is made of.
func idRoute(f Family) *Route {
	encap := Encap{Type: unix.LWTUNNEL_ENCAP_IP, Raw: encIPDst}
	r := &Route{Family: f, Type: Unicast, Protocol: 4, Scope: 0, Table: 254, OIF: some(uint32(3)), Gateway: addr4,
		Priority: some(uint32(100)), PrefSrc: addr4, Realms: some(uint32(7)), Encap: encap}
	switch f.addrLen() {
	case 4:
		r.Dst = netip.MustParsePrefix("10.0.0.0/8")
	case 16:
		r.Dst, r.Src, r.Gateway = netip.MustParsePrefix("fd00::/64"), netip.MustParsePrefix("fd01::/64"), addr6
	default:
		r.DstLabel, r.NewDst = encLabels(100<<12|0x100), encLabels(200<<12|0x100)
	}
	r.Metrics.has, r.Metrics.values[MetricMTU] = 1<<MetricMTU, 1400
	return r
}

// ecmp is a route with two nexthops.
func ecmp(f Family) *Route {
	r := idRoute(f)
	r.OIF, r.Gateway, r.Encap, r.Realms = Opt[uint32]{}, netip.Addr{}, Encap{}, Opt[uint32]{}
	r.Multipath = []Nexthop{{OIF: 3, Gateway: idRoute(f).Gateway, Weight: 1}, {OIF: 4, Weight: 2, Realms: some(uint32(1)), Encap: Encap{Type: 2, Raw: encIPDst}}}
	return r
}

// mroute is a multicast route, for any source if it has none.
func mroute(f Family, source string) *Route {
	r := &Route{Family: f, Type: Multicast, Protocol: 17, Table: 254, IIF: some(uint32(3)), Multipath: []Nexthop{{OIF: 4, Weight: 2}},
		MFC: some(MFCStats{1, 2, 3}), Expires: some(uint64(100))}
	r.Dst, r.Src = netip.MustParsePrefix("239.1.2.3/32"), netip.MustParsePrefix(source+"/32")
	if f == IP6MR {
		r.Dst, r.Src = netip.MustParsePrefix("ff0e::1/128"), netip.MustParsePrefix(source+"/128")
	}
	return r
}

// viaObject is a route that uses a nexthop object.
func viaObject(f Family) *Route {
	r := idRoute(f)
	r.OIF, r.Gateway, r.Encap, r.Realms = Opt[uint32]{}, netip.Addr{}, Encap{}, Opt[uint32]{}
	r.NexthopID = some(uint32(5))
	return r
}

func v4() *Route { return idRoute(IPv4) }
func v6() *Route { return idRoute(IPv6) }

func TestIDTells(t *testing.T) {
	for _, c := range []struct {
		what   string
		route  func() *Route
		change func(*Route)
		differ bool
	}{
		{"table", v4, func(r *Route) { r.Table = 255 }, true},
		{"destination", v4, func(r *Route) { r.Dst = netip.MustParsePrefix("10.0.0.0/9") }, true},
		{"tos", v4, func(r *Route) { r.TOS = 4 }, true},
		{"type", v4, func(r *Route) { r.Type = Blackhole }, true},
		{"protocol", v4, func(r *Route) { r.Protocol = 16 }, true},
		{"scope", v4, func(r *Route) { r.Scope = 253 }, true},
		{"metric", v4, func(r *Route) { r.Priority.V++ }, true},
		{"no metric", v4, func(r *Route) { r.Priority = Opt[uint32]{} }, true},
		{"prefsrc", v4, func(r *Route) { r.PrefSrc = netip.Addr{} }, true},
		{"mtu", v4, func(r *Route) { r.Metrics.values[MetricMTU]++ }, true},
		{"mtu 0 and none", v4, func(r *Route) { r.Metrics.values[MetricMTU] = 0 }, true},
		{"another metric", v4, func(r *Route) { r.Metrics.has |= 1 << MetricRTT }, true},
		{"lock", v4, func(r *Route) { r.Metrics.has |= 1 << MetricLock; r.Metrics.values[MetricLock] = 4 }, true},
		{"congctl", v4, func(r *Route) { r.Metrics.CC = "reno" }, true},
		{"interface", v4, func(r *Route) { r.OIF.V++ }, true},
		{"gateway", v4, func(r *Route) { r.Gateway = r.Gateway.Next() }, true},
		{"gateway of another family", v4, func(r *Route) { r.Gateway = netip.AddrFrom16(r.Gateway.As16()) }, true},
		{"no gateway", v4, func(r *Route) { r.Gateway = netip.Addr{} }, true},
		{"gateway 0.0.0.0 and none", func() *Route { r := v4(); r.Gateway = netip.Addr{}; return r }, func(r *Route) { r.Gateway = netip.IPv4Unspecified() }, true},
		{"gateway of a link", v4, func(r *Route) { r.Gateway, r.LinkGateway = netip.Addr{}, []byte{10, 0, 0, 2} }, true},
		{"another gateway of a link", func() *Route { r := v4(); r.LinkGateway = []byte{2, 1}; return r }, func(r *Route) { r.LinkGateway = []byte{2, 2} }, true},
		{"gateway of a link, mpls", func() *Route { return idRoute(MPLS) }, func(r *Route) { r.LinkGateway = []byte{2, 1} }, false},
		{"onlink", v4, func(r *Route) { r.Flags |= unix.RTNH_F_ONLINK }, true},
		{"realms", v4, func(r *Route) { r.Realms.V++ }, true},
		{"encap type", v4, func(r *Route) { r.Encap.Type++ }, true},
		{"encap", v4, func(r *Route) { r.Encap.Raw = encAttr(2, []byte{10, 0, 0, 3}) }, true},
		{"linkdown, dead", v4, func(r *Route) { r.Flags |= unix.RTNH_F_LINKDOWN | unix.RTNH_F_DEAD }, false},
		{"offload, trap", v4, func(r *Route) { r.Flags |= unix.RTNH_F_OFFLOAD | unix.RTNH_F_TRAP | 0x4000 | 0x8000 | 0x20000000 }, false},
		{"cache", v4, func(r *Route) { r.Cache = some(CacheInfo{Used: 7}) }, false},
		{"unknown attributes", v4, func(r *Route) { r.Unknown = []Attr{{99, nil}} }, false},
		{"any source and none", v4, func(r *Route) { r.Src = netip.MustParsePrefix("0.0.0.0/0") }, false},

		{"weight", func() *Route { return ecmp(IPv4) }, func(r *Route) { r.Multipath[1].Weight++ }, true},
		{"order", func() *Route { return ecmp(IPv4) }, func(r *Route) { r.Multipath[0], r.Multipath[1] = r.Multipath[1], r.Multipath[0] }, true},
		{"one nexthop less", func() *Route { return ecmp(IPv4) }, func(r *Route) { r.Multipath = r.Multipath[:1] }, true},
		{"realms of a nexthop", func() *Route { return ecmp(IPv4) }, func(r *Route) { r.Multipath[1].Realms = Opt[uint32]{} }, true},
		{"encap of a nexthop", func() *Route { return ecmp(IPv4) }, func(r *Route) { r.Multipath[1].Encap = Encap{} }, true},
		{"a nexthop is down", func() *Route { return ecmp(IPv4) }, func(r *Route) { r.Multipath[1].Flags = unix.RTNH_F_DEAD | unix.RTNH_F_LINKDOWN }, false},

		{"source", v6, func(r *Route) { r.Src = netip.MustParsePrefix("fd01::/65") }, true},
		{"no source", v6, func(r *Route) { r.Src = netip.Prefix{} }, true},
		{"metric", v6, func(r *Route) { r.Priority.V++ }, true},
		{"type", v6, func(r *Route) { r.Type = Local }, true},
		{"gateway", v6, func(r *Route) { r.Gateway = r.Gateway.Next() }, true},
		{"interface", v6, func(r *Route) { r.OIF.V++ }, true},
		{"encap", v6, func(r *Route) { r.Encap.Raw = nil }, true},
		{"pref", v6, func(r *Route) { r.Pref = some(byte(3)) }, false},
		{"route metrics", v6, func(r *Route) { r.Metrics = Metrics{CC: "reno"} }, false},
		{"protocol", v6, func(r *Route) { r.Protocol = 9 }, true},
		{"prefsrc", v6, func(r *Route) { r.PrefSrc = netip.Addr{} }, false},
		{"expires", v6, func(r *Route) { r.Cache = some(CacheInfo{Expires: 5}); r.Expires = some(uint64(5)) }, false},
		{"flags", v6, func(r *Route) { r.Flags = 0x4014 }, false},
		{"weight", func() *Route { return ecmp(IPv6) }, func(r *Route) { r.Multipath[1].Weight++ }, false},
		{"a nexthop", func() *Route { return ecmp(IPv6) }, func(r *Route) { r.Multipath[1].OIF++ }, true},

		{"object", func() *Route { return viaObject(IPv4) }, func(r *Route) { r.NexthopID.V++ }, true},
		{"object or none", func() *Route { return viaObject(IPv4) }, func(r *Route) { r.NexthopID.OK = false }, true},
		{"what the object is (nexthop_compat_mode)", func() *Route { return viaObject(IPv4) }, func(r *Route) { r.OIF, r.Gateway = some(uint32(3)), addr4 }, false},
		{"the object becomes a group", func() *Route { return viaObject(IPv6) }, func(r *Route) { r.Multipath = ecmp(IPv6).Multipath }, false},
		{"the object becomes a blackhole, ipv4", func() *Route { return viaObject(IPv4) }, func(r *Route) { r.Type = Blackhole }, false},
		{"the object becomes a blackhole, ipv6", func() *Route { return viaObject(IPv6) }, func(r *Route) { r.Type = Blackhole }, false},

		{"source", func() *Route { return mroute(IPMR, "10.1.0.7") }, func(r *Route) { r.Src = netip.MustParsePrefix("10.1.0.8/32") }, true},
		{"group", func() *Route { return mroute(IP6MR, "fd00::7") }, func(r *Route) { r.Dst = netip.MustParsePrefix("ff0e::2/128") }, true},
		{"counters, interfaces, age", func() *Route { return mroute(IPMR, "10.1.0.7") }, func(r *Route) {
			r.MFC, r.Expires, r.Multipath, r.IIF = some(MFCStats{7, 8, 9}), some(uint64(1)), nil, some(uint32(9))
		}, false},
		{"resolved", func() *Route { return mroute(IPMR, "10.1.0.7") }, func(r *Route) { r.Flags, r.IIF = unix.RTNH_F_UNRESOLVED, Opt[uint32]{} }, false},
		{"input interface for any source", func() *Route { return mroute(IPMR, "0.0.0.0") }, func(r *Route) { r.IIF.V++ }, true},
		{"input interface for any source", func() *Route { return mroute(IP6MR, "::") }, func(r *Route) { r.IIF.V++ }, true},
		{"output interface for any source", func() *Route { return mroute(IPMR, "0.0.0.0") }, func(r *Route) { r.Multipath = nil }, false},

		{"label", func() *Route { return idRoute(MPLS) }, func(r *Route) { r.DstLabel = encLabels(101<<12 | 0x100) }, true},
		{"where labels go", func() *Route { return idRoute(MPLS) }, func(r *Route) { r.NewDst, r.Gateway, r.OIF = nil, addr6, some(uint32(9)) }, false},
	} {
		before, after := c.route(), c.route()
		c.change(after)
		a, b := string(before.AppendID(nil)), string(after.AppendID(nil))
		if (a != b) != c.differ {
			t.Errorf("%v, %s: %s and %s", before.Family, c.what, a, b)
		}
	}
	seen := map[string]string{}
	for i, r := range []*Route{v4(), v6(), ecmp(IPv4), ecmp(IPv6), viaObject(IPv4), viaObject(IPv6), idRoute(MPLS),
		mroute(IPMR, "10.1.0.7"), mroute(IPMR, "0.0.0.0"), mroute(IP6MR, "::")} {
		id := string(r.AppendID([]byte("x ")))
		if other, ok := seen[id]; ok || !strings.HasPrefix(id, "x ") {
			t.Errorf("%d and %s are both %s", i, other, id)
		}
		seen[id] = fmt.Sprint(i)
	}
}

// TestIDSeg6Local has the counters of a seg6local action, which change with
// traffic.
func TestIDSeg6Local(t *testing.T) {
	route := func(raw ...[]byte) string {
		r := v6()
		r.Encap = Encap{unix.LWTUNNEL_ENCAP_SEG6_LOCAL, encCat(raw...)}
		return string(r.AppendID(nil))
	}
	const vrfTable, counters = 9, 10
	count := func(n uint64) []byte {
		return encAttr(counters, encAttr(2, encNE(n)), encAttr(3, encNE(n*100)), encAttr(4, encNE(n/2)))
	}
	table := func(n uint32) []byte { return encAttr(vrfTable, encNE(n)) }
	if a, b := route(encEnd, count(0)), route(encEnd, count(7)); a != b {
		t.Errorf("counters change %s to %s", a, b)
	}
	if a, b := route(encEnd, count(0)), route(encEnd); a == b {
		t.Errorf("with and without counters: %s", a)
	}
	if a, b := route(encEnd, table(1)), route(encEnd, table(2)); a == b {
		t.Errorf("two tables: %s", a)
	}
	if a, b := route(encEnd), route(encAttr(1, encNE(uint32(2)))); a == b {
		t.Errorf("two actions: %s", a)
	}
	if a, b := route([]byte{1, 2, 3}), route([]byte{1, 2, 4}); a == b {
		t.Errorf("two that are malformed: %s", a)
	}
}

func TestIDText(t *testing.T) {
	for _, c := range []struct {
		route *Route
		want  string
	}{
		{v4(), "ipv4:254:10.0.0.0/8:"},
		{v6(), "ipv6:254:fd00::/64:"},
		{&Route{Family: IPv6, Table: 1<<32 - 1, Dst: netip.MustParsePrefix("::/0")}, "ipv6:4294967295:::/0:"},
		{mroute(IPMR, "10.1.0.7"), "ipmr:254:239.1.2.3/32:"},
		{mroute(IP6MR, "::"), "ip6mr:254:ff0e::1/128:"},
		{idRoute(MPLS), "mpls:254:100:"},
		{&Route{Family: MPLS}, "mpls:0:hex::"},
	} {
		id := string(c.route.AppendID(nil))
		hash, ok := strings.CutPrefix(id, c.want)
		if !ok || len(hash) != 16 || strings.Trim(hash, "0123456789abcdef") != "" {
			t.Errorf("got %s, want %s and 16 digits", id, c.want)
		}
		f, table, dst, ok := ParseID(id)
		if !ok || f != c.route.Family || table != c.route.Table || dst != c.route.Dst {
			t.Errorf("%s is parsed as %v %d %v, %v", id, f, table, dst, ok)
		}
	}
	for _, id := range []string{"", "ipv4", "ipv4:254", "ipv4:254:10.0.0.0/8", "ipv5:254:10.0.0.0/8:00", "ipv4::10.0.0.0/8:00",
		"ipv4:-1:10.0.0.0/8:00", "ipv4:4294967296:10.0.0.0/8:00", "ipv4:254:10.0.0.0:00", "ipv4:254::00", "ipv6:254:x/64:00", "mpls:x:100:00", "2:254:10.0.0.0/8:00"} {
		if f, table, dst, ok := ParseID(id); ok || f != 0 || table != 0 || dst.IsValid() {
			t.Errorf("%q is parsed as %v %d %v, %v", id, f, table, dst, ok)
		}
	}
}

func TestIDDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 256)
	for _, r := range []*Route{v4(), v6(), ecmp(IPv4), ecmp(IPv6), mroute(IPMR, "0.0.0.0")} {
		if n := testing.AllocsPerRun(20, func() { buf = r.AppendID(buf[:0]) }); n > 0 {
			t.Errorf("%v allocations for %s", n, buf)
		}
	}
}

package object_test

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// idCases change a route, and say whether it is another route then.
var idCases = []struct {
	what   string
	route  func() *Route
	change func(*Route)
	differ bool
}{
	{"table", V4, func(r *Route) { r.Table = 255 }, true},
	{"destination", V4, func(r *Route) { r.Dst = netip.MustParsePrefix("10.0.0.0/9") }, true},
	{"tos", V4, func(r *Route) { r.TOS = 4 }, true},
	{"type", V4, func(r *Route) { r.Type = Blackhole }, true},
	{"protocol", V4, func(r *Route) { r.Protocol = 16 }, true},
	{"scope", V4, func(r *Route) { r.Scope = 253 }, true},
	{"metric", V4, func(r *Route) { r.Priority.V++ }, true},
	{"no metric", V4, func(r *Route) { r.Priority = Opt[uint32]{} }, true},
	{"prefsrc", V4, func(r *Route) { r.PrefSrc = netip.Addr{} }, true},
	{"mtu", V4, func(r *Route) { r.Metrics.Set(RTAX_MTU, 1401) }, true},
	{"mtu 0 and none", V4, func(r *Route) { r.Metrics.Set(RTAX_MTU, 0) }, true},
	{"another metric", V4, func(r *Route) { r.Metrics.Set(RTAX_RTT, 0) }, true},
	{"lock", V4, func(r *Route) { r.Metrics.Set(RTAX_LOCK, 4) }, true},
	{"congctl", V4, func(r *Route) { r.Metrics.CC = "reno" }, true},
	{"interface", V4, func(r *Route) { r.OIF.V++ }, true},
	{"gateway", V4, func(r *Route) { r.Gateway = r.Gateway.Next() }, true},
	{"gateway of another family", V4, func(r *Route) { r.Gateway = netip.AddrFrom16(r.Gateway.As16()) }, true},
	{"no gateway", V4, func(r *Route) { r.Gateway = netip.Addr{} }, true},
	{"gateway 0.0.0.0 and none", func() *Route { r := V4(); r.Gateway = netip.Addr{}; return r },
		func(r *Route) { r.Gateway = netip.IPv4Unspecified() }, true},
	{"gateway of a link", V4, func(r *Route) { r.Gateway, r.LinkGateway = netip.Addr{}, []byte{10, 0, 0, 2} },
		true},
	{"another gateway of a link", func() *Route { r := V4(); r.LinkGateway = []byte{2, 1}; return r },
		func(r *Route) { r.LinkGateway = []byte{2, 2} }, true},
	{"gateway of a link, mpls", func() *Route { return Sample(MPLS) },
		func(r *Route) { r.LinkGateway = []byte{2, 1} }, false},
	{"onlink", V4, func(r *Route) { r.Flags |= RTNH_F_ONLINK }, true},
	{"realms", V4, func(r *Route) { r.Realms.V++ }, true},
	{"encap type", V4, func(r *Route) { r.Encap.Type++ }, true},
	{"encap", V4, func(r *Route) { r.Encap.Raw = Attr(2, []byte{10, 0, 0, 3}) }, true},
	{"linkdown, dead", V4, func(r *Route) { r.Flags |= RTNH_F_LINKDOWN | RTNH_F_DEAD }, false},
	{"offload, trap", V4, func(r *Route) { r.Flags |= RTNH_F_OFFLOAD | RTNH_F_TRAP | 0x4000 | 0x8000 | 0x20000000 },
		false},
	{"cache", V4, func(r *Route) { r.Cache = Some(CacheInfo{Used: 7}) }, false},
	{"unknown attributes", V4, func(r *Route) { r.Unknown = []wire.Attr{{Type: 99, Data: nil}} }, false},
	{"any source and none", V4, func(r *Route) { r.Src = netip.MustParsePrefix("0.0.0.0/0") }, false},

	{"weight", func() *Route { return ECMP(IPv4) }, func(r *Route) { r.Multipath[1].Weight++ }, true},
	{"order", func() *Route { return ECMP(IPv4) },
		func(r *Route) { r.Multipath[0], r.Multipath[1] = r.Multipath[1], r.Multipath[0] }, true},
	{"one nexthop less", func() *Route { return ECMP(IPv4) }, func(r *Route) { r.Multipath = r.Multipath[:1] },
		true},
	{"realms of a nexthop", func() *Route { return ECMP(IPv4) },
		func(r *Route) { r.Multipath[1].Realms = Opt[uint32]{} }, true},
	{"encap of a nexthop", func() *Route { return ECMP(IPv4) }, func(r *Route) { r.Multipath[1].Encap = Encap{} },
		true},
	{"a nexthop is down", func() *Route { return ECMP(IPv4) },
		func(r *Route) { r.Multipath[1].Flags = RTNH_F_DEAD | RTNH_F_LINKDOWN }, false},

	{"source", V6, func(r *Route) { r.Src = netip.MustParsePrefix("fd01::/65") }, true},
	{"no source", V6, func(r *Route) { r.Src = netip.Prefix{} }, true},
	{"metric", V6, func(r *Route) { r.Priority.V++ }, true},
	{"type", V6, func(r *Route) { r.Type = Local }, true},
	{"gateway", V6, func(r *Route) { r.Gateway = r.Gateway.Next() }, true},
	{"interface", V6, func(r *Route) { r.OIF.V++ }, true},
	{"encap", V6, func(r *Route) { r.Encap.Raw = nil }, true},
	{"pref", V6, func(r *Route) { r.Pref = Some(byte(3)) }, false},
	{"route metrics", V6, func(r *Route) { r.Metrics = Metrics{CC: "reno"} }, false},
	{"protocol", V6, func(r *Route) { r.Protocol = 9 }, true},
	{"prefsrc", V6, func(r *Route) { r.PrefSrc = netip.Addr{} }, false},
	{"expires", V6, func(r *Route) { r.Cache = Some(CacheInfo{Expires: 5}); r.Expires = Some(uint64(5)) }, false},
	{"flags", V6, func(r *Route) { r.Flags = 0x4014 }, false},
	{"weight", func() *Route { return ECMP(IPv6) }, func(r *Route) { r.Multipath[1].Weight++ }, false},
	{"a nexthop", func() *Route { return ECMP(IPv6) }, func(r *Route) { r.Multipath[1].OIF++ }, true},

	{"object", func() *Route { return ViaObject(IPv4) }, func(r *Route) { r.NexthopID.V++ }, true},
	{"object or none", func() *Route { return ViaObject(IPv4) }, func(r *Route) { r.NexthopID.OK = false }, true},
	{"what the object is (nexthop_compat_mode)", func() *Route { return ViaObject(IPv4) },
		func(r *Route) { r.OIF, r.Gateway = Some(uint32(3)), addr4 }, false},
	{"the object becomes a group", func() *Route { return ViaObject(IPv6) },
		func(r *Route) { r.Multipath = ECMP(IPv6).Multipath }, false},
	{"the object becomes a blackhole, ipv4", func() *Route { return ViaObject(IPv4) },
		func(r *Route) { r.Type = Blackhole }, false},
	{"the object becomes a blackhole, ipv6", func() *Route { return ViaObject(IPv6) },
		func(r *Route) { r.Type = Blackhole }, false},

	{"source", func() *Route { return Mroute(IPMR, "10.1.0.7") },
		func(r *Route) { r.Src = netip.MustParsePrefix("10.1.0.8/32") }, true},
	{"group", func() *Route { return Mroute(IP6MR, "fd00::7") },
		func(r *Route) { r.Dst = netip.MustParsePrefix("ff0e::2/128") }, true},
	{"counters, interfaces, age", func() *Route { return Mroute(IPMR, "10.1.0.7") }, func(r *Route) {
		r.MFC, r.Expires, r.Multipath, r.IIF = Some(MFCStats{7, 8, 9}), Some(uint64(1)), nil, Some(uint32(9))
	}, false},
	{"resolved", func() *Route { return Mroute(IPMR, "10.1.0.7") },
		func(r *Route) { r.Flags, r.IIF = RTNH_F_UNRESOLVED, Opt[uint32]{} }, false},
	{"input interface for any source", func() *Route { return Mroute(IPMR, "0.0.0.0") },
		func(r *Route) { r.IIF.V++ }, true},
	{"input interface for any source", func() *Route { return Mroute(IP6MR, "::") }, func(r *Route) { r.IIF.V++ },
		true},
	{"output interface for any source", func() *Route { return Mroute(IPMR, "0.0.0.0") },
		func(r *Route) { r.Multipath = nil }, false},

	{"label", func() *Route { return Sample(MPLS) }, func(r *Route) { r.DstLabel = Labels(101<<12 | 0x100) }, true},
	{"where labels go", func() *Route { return Sample(MPLS) },
		func(r *Route) { r.NewDst, r.Gateway, r.OIF = nil, addr6, Some(uint32(9)) }, false},
}

func TestIDTells(t *testing.T) {
	for _, c := range idCases {
		before, after := c.route(), c.route()
		c.change(after)
		a, b := string(before.AppendID(nil)), string(after.AppendID(nil))
		if (a != b) != c.differ {
			t.Errorf("%v, %s: %s and %s", before.Family, c.what, a, b)
		}
	}
	seen := map[string]string{}
	for i, r := range []*Route{V4(), V6(), ECMP(IPv4), ECMP(IPv6), ViaObject(IPv4), ViaObject(IPv6), Sample(MPLS),
		Mroute(IPMR, "10.1.0.7"), Mroute(IPMR, "0.0.0.0"), Mroute(IP6MR, "::")} {
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
		r := V6()
		r.Encap = Encap{LWTUNNEL_ENCAP_SEG6_LOCAL, Cat(raw...)}
		return string(r.AppendID(nil))
	}
	const vrfTable, counters = 9, 10
	count := func(n uint64) []byte {
		return Attr(counters, Attr(2, NE(n)), Attr(3, NE(n*100)), Attr(4, NE(n/2)))
	}
	table := func(n uint32) []byte { return Attr(vrfTable, NE(n)) }
	if a, b := route(encEnd, count(0)), route(encEnd, count(7)); a != b {
		t.Errorf("counters change %s to %s", a, b)
	}
	if a, b := route(encEnd, count(0)), route(encEnd); a == b {
		t.Errorf("with and without counters: %s", a)
	}
	if a, b := route(encEnd, table(1)), route(encEnd, table(2)); a == b {
		t.Errorf("two tables: %s", a)
	}
	if a, b := route(encEnd), route(Attr(1, NE(uint32(2)))); a == b {
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
		{V4(), "ipv4:254:10.0.0.0/8:"},
		{V6(), "ipv6:254:fd00::/64:"},
		{&Route{Family: IPv6, Table: 1<<32 - 1, Dst: netip.MustParsePrefix("::/0")}, "ipv6:4294967295:::/0:"},
		{Mroute(IPMR, "10.1.0.7"), "ipmr:254:239.1.2.3/32:"},
		{Mroute(IP6MR, "::"), "ip6mr:254:ff0e::1/128:"},
		{Sample(MPLS), "mpls:254:100:"},
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
	for _, id := range []string{"", "ipv4", "ipv4:254", "ipv4:254:10.0.0.0/8", "ipv5:254:10.0.0.0/8:00",
		"ipv4::10.0.0.0/8:00",
		"ipv4:-1:10.0.0.0/8:00", "ipv4:4294967296:10.0.0.0/8:00", "ipv4:254:10.0.0.0:00", "ipv4:254::00",
		"ipv6:254:x/64:00", "mpls:x:100:00", "2:254:10.0.0.0/8:00"} {
		if f, table, dst, ok := ParseID(id); ok || f != 0 || table != 0 || dst.IsValid() {
			t.Errorf("%q is parsed as %v %d %v, %v", id, f, table, dst, ok)
		}
	}
}

func TestIDDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 256)
	for _, r := range []*Route{V4(), V6(), ECMP(IPv4), ECMP(IPv6), Mroute(IPMR, "0.0.0.0")} {
		if n := testing.AllocsPerRun(20, func() { buf = r.AppendID(buf[:0]) }); n > 0 {
			t.Errorf("%v allocations for %s", n, buf)
		}
	}
}

// TestIDCaptured: the identities of captured routes are those that have been given out.
func TestIDCaptured(t *testing.T) {
	if !LittleEndian {
		t.Skip("the captures are little-endian")
	}
	files, err := filepath.Glob("../../testdata/captures/*.pcap")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(strings.TrimSuffix(file, "pcap") + "routes.txt")
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for line := range strings.Lines(string(text)) {
			if id, ok := strings.CutPrefix(line, "route_id "); ok {
				want = append(want, strings.TrimSpace(id))
			}
		}
		for c := NewCursor(capturedRoutes(t, file), FieldID); c.Next(); {
			got = append(got, string(c.Route().AppendID(nil)))
		}
		slices.Sort(want)
		slices.Sort(got)
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", file, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// capturedRoutes returns the routes in a capture: a file header of 24 bytes, and packets
// with headers of 16 bytes of pcap's and 16 of LINKTYPE_NETLINK.
func capturedRoutes(t *testing.T, file string) []Run {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var log Messages
	for b = b[24:]; len(b) > 0; {
		n := 16 + int(wire.U32(b[8:]))
		for msg := range wire.Messages(b[32:n]) {
			var m Message
			if wire.Type(msg) != RTM_NEWROUTE {
				continue
			}
			if err := Routes.Check(&m, msg); err != nil {
				t.Fatal(err)
			}
			log.Add(&m)
		}
		b = b[n:]
	}
	return log.Runs
}

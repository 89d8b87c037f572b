package rtnl

import (
	"encoding/json"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// ways makes a namespace in which packets go every way that there is.
func ways(t testing.TB) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.0.1.1/24", "fd01::1/64")
	for _, object := range []string{"1 via 10.0.0.5 dev v0", "2 via 10.0.1.5 dev v1", "3 group 1/2",
		"6 via fd00::5 dev v0", "7 via fd01::5 dev v1", "8 group 6/7"} {
		nstest.IP(t, "nexthop add id "+object)
	}
	nstest.Batch(t, "-4",
		"route add default via 10.0.0.2",
		"route add 50.0.0.0/8 via 10.0.0.3 mtu 1400 metric 7 proto 99",
		"route add 30.0.0.0/8 nexthop via 10.0.0.3 weight 3 nexthop via 10.0.1.3",
		"route add 31.0.0.0/8 tos 8 via 10.0.1.4",
		"route add 31.0.0.0/8 via 10.0.0.4",
		"route add 32.0.0.0/8 via inet6 fd00::2 dev v0",
		"route add 33.0.0.0/8 nhid 1", "route add 34.0.0.0/8 nhid 3",
		"route add 35.0.0.0/8 via 10.0.1.9 table 500", "rule add fwmark 7 lookup 500",
		"route add unreachable default table 600", "rule add uidrange 0-0 to 37.0.0.0/8 lookup 600",
		"route add 36.0.0.0/8 via 10.0.1.8 table 700", "rule add ipproto tcp dport 443 lookup 700",
		"route add throw 20.5.0.0/16", "route add blackhole 20.9.0.0/16", "route add prohibit 20.8.0.0/16",
		"route add unreachable 20.11.0.0/16",
		"rule add to 40.9.0.0/16 blackhole", "rule add to 40.8.0.0/16 prohibit", "rule add to 40.11.0.0/16 unreachable",
	)
	nstest.Batch(t, "-6",
		"route add default via fd00::2",
		"route add fd50::/16 via fd00::3 mtu 1400 metric 7 proto 99",
		"route add fd38::/16 from fd00::/64 via fd00::6",
		"route add fd30::/16 nexthop via fd00::3 weight 3 nexthop via fd01::3 nexthop via fd01::4",
		"route add fd33::/16 nhid 6", "route add fd34::/16 nhid 8",
		"route add fd35::/16 via fd01::9 table 500", "rule add fwmark 7 lookup 500",
		"route add fd36::/16 via fd01::8 table 700", "rule add ipproto tcp dport 443 lookup 700",
		"route add throw fd20:5::/32", "route add blackhole fd20:9::/32", "route add prohibit fd20:8::/32",
		"route add unreachable fd20:11::/32",
		"rule add to fd40:9::/32 blackhole", "rule add to fd40:8::/32 prohibit", "rule add to fd40:11::/32 unreachable",
	)
}

// dev returns the index of an interface.
func dev(t testing.TB, name string) uint32 {
	t.Helper()
	var all []struct {
		Index uint32 `json:"ifindex"`
	}
	if err := json.Unmarshal([]byte(nstest.IP(t, "-j link show dev "+name)), &all); err != nil {
		t.Fatal(err)
	}
	return all[0].Index
}

// to is a packet to a destination, changed.
func to(dst string, change ...func(*LookupRequest)) LookupRequest {
	r := LookupRequest{Destination: netip.MustParseAddr(dst)}
	for _, c := range change {
		c(&r)
	}
	return r
}

func from(src string) func(*LookupRequest) {
	return func(r *LookupRequest) { r.From = netip.MustParseAddr(src) }
}

func lookups(t testing.TB) *Lookups {
	t.Helper()
	l, err := new(Kernel).Lookups(t.Context(), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// A lookupErrorCase is a packet that goes nowhere, and what ip says; "": it cannot be asked so.
type lookupErrorCase struct {
	req  LookupRequest
	want LookupError
	ip   string
}

// lookupErrorCases are packets in the namespace of ways, some of which came in through v1.
func lookupErrorCases(v1 uint32) []lookupErrorCase {
	in := func(r *LookupRequest) { r.From, r.InDev = netip.MustParseAddr("10.0.1.9"), v1 }
	const invalid, noHost, network, permission = "Invalid argument", "No route to host", "Network is unreachable",
		"Permission denied"
	return []lookupErrorCase{
		{to("20.9.0.1"), Blackhole, invalid},
		{to("20.11.0.1"), Unreachable, noHost},
		{to("20.8.0.1"), Prohibit, permission},
		{to("20.5.0.1"), NoRoute, network},
		{to("40.9.0.1"), Blackhole, invalid},
		{to("40.11.0.1"), NoRoute, network},
		{to("40.8.0.1"), Prohibit, permission},
		{to("::ffff:20.9.0.1"), Blackhole, ""},
		{to("37.0.0.1"), Unreachable, noHost},
		{to("37.0.0.1", func(r *LookupRequest) { r.UID = object.Some(uint32(0)) }), Unreachable, ""},
		{to("20.9.0.1", from("10.0.0.1")), Blackhole, invalid},
		{to("1.2.3.4", from("10.9.9.9")), NoRoute, network},
		{to("1.2.3.4", from("127.0.0.1")), Invalid, invalid},
		{to("20.9.0.1", from("127.0.0.1")), Blackhole, invalid},
		{to("1.2.3.4", from("224.0.0.1")), Invalid, invalid},
		{to("20.9.0.1", in), Blackhole, invalid},
		{to("20.11.0.1", in), Unreachable, noHost},
		{to("20.8.0.1", in), Prohibit, permission},
		{to("20.5.0.1", in), NoRoute, network},
		{to("40.9.0.1", in), Blackhole, invalid},
		{to("40.8.0.1", in), Prohibit, permission},
		{to("1.2.3.4", in, from("10.0.0.1")), Invalid, invalid},
		{to("1.2.3.4", in, from("224.0.0.1")), Invalid, invalid},
		{to("1.2.3.4", in, from("0.0.0.0")), Invalid, invalid},
		{to("127.0.0.1", in), Invalid, invalid},
		{to("239.1.1.1", in), Invalid, invalid},
		{to("fd20:9::1"), Blackhole, invalid},
		{to("fd20:11::1"), Unreachable, noHost},
		{to("fd20:8::1"), Prohibit, permission},
		{to("fd20:5::1"), NoRoute, network},
		{to("fd40:9::1"), Blackhole, invalid},
		{to("fd40:11::1"), NoRoute, network},
		{to("fd40:8::1"), Prohibit, permission},
		{to("fd20:9::1", func(r *LookupRequest) { r.InDev = v1 }), Blackhole, invalid},
		{to("fd00::9", func(r *LookupRequest) { r.OutDev = v1 }), NoRoute, ""},
		{to("ff0e::1", func(r *LookupRequest) { r.InDev = v1 }), Invalid, "Message too long"},
	}
}

// TestLookupErrors has packets that go nowhere, and what ip says of them.
func TestLookupErrors(t *testing.T) {
	ways(t)
	nstest.Sysctl(t, "net.ipv4.conf.all.forwarding", "1")
	l := lookups(t)
	v1 := dev(t, "v1")
	in := func(r *LookupRequest) { r.From, r.InDev = netip.MustParseAddr("10.0.1.9"), v1 }
	for _, c := range lookupErrorCases(v1) {
		for _, want := range []Want{0, WantAnswer, WantMatch, WantID, WantAnswer | WantID} {
			found, err := l.Lookup(&c.req, want)
			if err != nil || found.Error != c.want || found.Answer != nil || found.Match != nil || found.ID != "" ||
				!found.Consistent {
				t.Errorf("%+v, %d: got %+v, %v, want %s", c.req, want, found, err, c.want)
			}
		}
		args := "route get " + c.req.Destination.String()
		if c.req.From.IsValid() && !c.req.From.IsUnspecified() {
			args += " from " + c.req.From.String()
		}
		if c.req.InDev != 0 {
			args += " iif v1"
		}
		if c.ip != "" {
			if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err == nil ||
				!strings.Contains(string(out), c.ip) {
				t.Errorf("ip %s: %v, %s", args, err, out)
			}
		}
	}
	nstest.Sysctl(t, "net.ipv4.conf.v1.rp_filter", "1")
	nstest.Sysctl(t, "net.ipv4.conf.v0.forwarding", "0")
	v0 := dev(t, "v0")
	for _, c := range []struct {
		req  LookupRequest
		want LookupError
	}{
		{to("1.2.3.4", in, from("99.0.0.1")), Invalid},    // would go out through v0
		{to("20.9.0.1", in, from("99.0.0.1")), Blackhole}, // is looked up first
		{to("1.2.3.4", from("10.0.0.9"), func(r *LookupRequest) { r.InDev = v0 }), Unreachable},
	} {
		if found, err := l.Lookup(&c.req, WantAnswer); err != nil || found.Error != c.want {
			t.Errorf("%+v: got %+v, %v, want %s", c.req, found, err, c.want)
		}
	}
}

// TestLookupRefused has requests that are none, which are no answers.
func TestLookupRefused(t *testing.T) {
	ways(t)
	l := lookups(t)
	for _, c := range []struct {
		req  LookupRequest
		want string
	}{
		{to("1.2.3.4", func(r *LookupRequest) { r.IPProto = object.Some(uint8(47)) }),
			"look up the route to 1.2.3.4: operation not supported: Unsupported ip proto: 47; the kernel looks up 1 "},
		{to("fd00::1", func(r *LookupRequest) { r.IPProto = object.Some(uint8(1)) }), "Unsupported ip proto: 1;"},
		{to("1.2.3.4", from("10.0.0.9"), func(r *LookupRequest) { r.InDev = 9999 }),
			"no such device; the interface that was given has gone away"},
		{to("fd00::1", func(r *LookupRequest) { r.InDev = 9999 }), "no such device"},
		{to("1.2.3.4", from("fd00::1")), "look up the route to 1.2.3.4: the source fd00::1 is an address of another " +
			"family"},
		{to("fd00::1", from("::ffff:10.0.0.1")), "is an address of another family"},
		{LookupRequest{}, "there is no destination"},
	} {
		if found, err := l.Lookup(&c.req, WantAnswer|WantID); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %+v, %v, want %s", c.req, found, err, c.want)
		}
	}
	if found, err := l.Lookup(&LookupRequest{Destination: netip.MustParseAddr("1.2.3.4")}, WantAnswer); err != nil ||
		found.Answer.Gateway.String() != "10.0.0.2" {
		t.Errorf("after requests that failed: %+v, %v", found, err)
	}
}

// A lookupIDCase is a packet and the route that decides, without the hash; "": none does.
type lookupIDCase struct {
	req   LookupRequest
	route string
	dev   string // that it leaves through; "": one of several
}

// lookupIDCases are packets in the namespace of ways.
func lookupIDCases(t *testing.T) []lookupIDCase {
	mark := func(r *LookupRequest) { r.Mark = object.Some(uint32(7)) }
	https := func(r *LookupRequest) { r.IPProto, r.DPort = object.Some(uint8(6)), object.Some(uint16(443)) }
	tos := func(r *LookupRequest) { r.TOS = object.Some(uint8(8)) }
	out := func(name string) func(*LookupRequest) {
		index := dev(t, name)
		return func(r *LookupRequest) { r.OutDev = index }
	}
	return []lookupIDCase{
		{to("1.2.3.4"), "ipv4:254:0.0.0.0/0", "v0"},
		{to("1.2.3.4", tos), "ipv4:254:0.0.0.0/0", "v0"},
		{to("50.1.1.1"), "ipv4:254:50.0.0.0/8", "v0"},
		{to("::ffff:50.1.1.1"), "ipv4:254:50.0.0.0/8", "v0"},
		{to("30.0.0.1"), "ipv4:254:30.0.0.0/8", ""},
		{to("30.0.0.6"), "ipv4:254:30.0.0.0/8", ""},
		{to("31.0.0.1"), "ipv4:254:31.0.0.0/8", "v0"},
		{to("31.0.0.1", tos), "ipv4:254:31.0.0.0/8", "v1"},
		{to("32.0.0.1"), "ipv4:254:32.0.0.0/8", "v0"},
		{to("33.0.0.1"), "ipv4:254:33.0.0.0/8", "v0"},
		{to("34.0.0.1"), "ipv4:254:34.0.0.0/8", ""},
		{to("35.0.0.1"), "ipv4:254:0.0.0.0/0", "v0"},
		{to("35.0.0.1", mark), "ipv4:500:35.0.0.0/8", "v1"},
		{to("37.0.0.1", func(r *LookupRequest) { r.UID = object.Some(uint32(77)) }), "ipv4:254:0.0.0.0/0", "v0"},
		{to("36.0.0.1", https), "ipv4:700:36.0.0.0/8", "v1"},
		{to("10.0.0.77"), "ipv4:254:10.0.0.0/24", "v0"},
		{to("10.0.0.1"), "ipv4:255:10.0.0.1/32", "lo"},
		{to("10.0.0.255"), "ipv4:255:10.0.0.255/32", "v0"},
		{to("127.0.0.1"), "ipv4:255:127.0.0.1/32", "lo"},
		{to("224.0.0.5"), "ipv4:254:0.0.0.0/0", "v0"},
		{to("255.255.255.255"), "ipv4:254:0.0.0.0/0", "v0"},
		{to("224.0.0.5", out("v1")), "", "v1"},
		{to("255.255.255.255", out("v1")), "", "v1"},
		{to("99.0.0.1", out("v1")), "", "v1"},
		{to("20.9.0.1", out("v1")), "", "v1"},
		{to("0.0.0.0"), "", "lo"},
		{to("fd99::1"), "ipv6:254:::/0", "v0"},
		{to("fd50::1"), "ipv6:254:fd50::/16", "v0"},
		{to("fd38::1", from("fd00::1")), "ipv6:254:fd38::/16", "v0"},
		{to("fd33::1"), "ipv6:254:fd33::/16", "v0"},
		{to("fd34::1"), "ipv6:254:fd34::/16", ""},
		{to("fd35::1", mark), "ipv6:500:fd35::/16", "v1"},
		{to("fd36::1", https), "ipv6:700:fd36::/16", "v1"},
		{to("fd00::1"), "ipv6:255:fd00::1/128", "lo"},
		{to("fd00::77"), "ipv6:254:fd00::/64", "v0"},
		{to("ff02::1", out("v1")), "ipv6:255:ff00::/8", "v1"},
		{to("fd30::1"), "ipv6:254:fd30::/16", ""},
		{to("fd30::5"), "ipv6:254:fd30::/16", ""},
		{to("fd30::7"), "ipv6:254:fd30::/16", ""},
		{to("fd30::c"), "ipv6:254:fd30::/16", ""},
	}
}

// TestLookupIDs has routes of all kinds: the identity of the one that decides is that in a
// dump, whatever it is of that is wanted with it.
func TestLookupIDs(t *testing.T) {
	ways(t)
	for _, compat := range []string{"1", "0"} {
		nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", compat)
		testLookupIDs(t)
	}
}

func testLookupIDs(t *testing.T) {
	dumped, err := new(Kernel).Read(t.Context(), RouteRequest(Filter{}))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]*object.Route{}
	for r := range dumped.Routes(object.AllFields) {
		ids[string(r.AppendID(nil))] = r.Clone()
	}
	l := lookups(t)
	for _, c := range lookupIDCases(t) {
		for _, want := range []Want{WantAnswer | WantID, WantID} {
			found, err := l.Lookup(&c.req, want)
			if err != nil || found.Error != "" || !found.Consistent {
				t.Errorf("%+v, %d: got %+v, %v", c.req, want, found, err)
				continue
			}
			route, known := ids[found.ID]
			id := found.ID[:max(strings.LastIndexByte(found.ID, ':'), 0)]
			if id != c.route || known != (c.route != "") || known != (found.Match != nil) {
				t.Errorf("%+v, %d: decided by %s, known %v, want %s", c.req, want, found.ID, known, c.route)
				continue
			}
			if want&WantAnswer == 0 {
				continue
			}
			link, _, err := l.Link(found.Answer.OIF.V)
			if err != nil || link.Name != c.dev && c.dev != "" {
				t.Errorf("%+v: leaves through %+v, %v, want %s", c.req, link, err, c.dev)
			}
			if !known || link.Name == "lo" || route.Dst.Bits() == 0 && c.dev != "" &&
				found.Answer.Type != object.Unicast {
				continue // the kernel answers otherwise than by a nexthop of the route
			}
			hops := dumped.Nexthops(route, nil)
			if !slices.ContainsFunc(hops, func(n object.Nexthop) bool {
				return n.OIF == found.Answer.OIF.V && n.Gateway == found.Answer.Gateway
			}) {
				t.Errorf("%+v: %+v is none of the nexthops %+v", c.req, found.Answer, hops)
			}
		}
	}
}

// TestLookupMatchAmidChanges: answer and route are of one time, however often it changes
// through which way packets go.
func TestLookupMatchAmidChanges(t *testing.T) {
	ways(t)
	var lines []string
	for _, way := range []string{"via 10.0.1.7", "via 10.0.0.7", "via 10.0.1.6"} {
		lines = append(lines, "route replace 60.0.0.0/8 "+way)
	}
	nstest.Batch(t, "-4", lines[:1]...)
	stop := nstest.Every(t, time.Millisecond, lines...)
	l := lookups(t)
	req, seen := to("60.0.0.1"), map[string]int{}
	for n := 0; n < nstest.Amount(20_000, 2000) || len(seen) < 3; n++ {
		found, err := l.Lookup(&req, WantAnswer|WantID)
		if err != nil {
			t.Fatal(err)
		}
		if !found.Consistent {
			continue
		}
		if found.Answer.Gateway != found.Match.Gateway || found.Answer.OIF != found.Match.OIF {
			t.Fatalf("%+v is decided by %+v", found.Answer, found.Match)
		}
		seen[found.Answer.Gateway.String()]++
	}
	if n := stop(); n < 3 {
		t.Fatalf("%d changes", n)
	}
}

// TestLookupLinks looks interfaces up by number and by any of their names.
func TestLookupLinks(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0")
	long := strings.Repeat("n", 127)
	nstest.IP(t, "link property add dev v0 altname other")
	nstest.IP(t, "link property add dev v0 altname "+long)
	l := lookups(t)
	index := dev(t, "v0")
	for name, want := range map[string]uint32{"v0": index, "other": index, long: index, "lo": 1, "v": 0, "": 0,
		"v0 ": 0, long + "n": 0, strings.Repeat("x", 40): 0, "\xff": 0, "%d": 0} {
		link, ok, err := l.LinkByName(name)
		if err != nil || ok != (want != 0) || link.Index != want || want == index && link.Name+link.Kind != "v0veth" {
			t.Errorf("%q: got %+v, %v, %v, want %d", name, link, ok, err, want)
		}
	}
	for n, want := range map[uint32]string{index: "v0", 1: "lo", 0: "", 9999: "", 1<<32 - 1: ""} {
		for range 2 {
			if link, ok, err := l.Link(n); err != nil || ok != (want != "") || link.Name != want {
				t.Errorf("%d: got %+v, %v, %v, want %q", n, link, ok, err, want)
			}
		}
	}
	nstest.IP(t, "link del v0")
	if _, ok, err := l.LinkByName("v0"); ok || err != nil {
		t.Errorf("v0 is still there, %v", err)
	}
}

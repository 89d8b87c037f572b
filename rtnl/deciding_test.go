package rtnl

import (
	"strconv"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/object"
)

// TestLookupSharedObject has IPv6 routes that use one nexthop object, which the kernel takes
// for each other.
func TestLookupSharedObject(t *testing.T) {
	ways(t)
	nstest.Batch(t, "-6", "route add fd60::/16 nhid 6 metric 9", "route add fd60::/16 nhid 6 metric 7",
		"route add fd60:1::/32 nhid 6", "route add fd60:2::/32 nhid 8", "route add fd61::/16 nhid 6 table 500",
		"route add fd62::/16 nhid 6 table 500", "route add fd62::/16 nhid 6")
	l := lookups(t)
	mark := func(r *LookupRequest) { r.Mark = object.Some(uint32(7)) }
	for range 2 {
		for _, c := range []struct {
			req    LookupRequest
			route  string // "": it cannot be told
			metric uint32
		}{
			{to("fd33::1"), "ipv6:254:fd33::/16", 1024},
			{to("fd60::1"), "ipv6:254:fd60::/16", 7},
			{to("fd60:1::1"), "ipv6:254:fd60:1::/32", 1024},
			{to("fd60:2::1"), "ipv6:254:fd60:2::/32", 1024},
			{to("fd34::1"), "ipv6:254:fd34::/16", 1024},
			{to("fd61::1", mark), "ipv6:500:fd61::/16", 1024},
			{to("fd62::1"), "ipv6:254:fd62::/16", 1024}, {to("fd62::1", mark), "ipv6:500:fd62::/16", 1024},
		} {
			for _, want := range []Want{WantAnswer | WantID, WantAnswer | WantMatch, WantID} {
				found, err := l.Lookup(&c.req, want)
				if err != nil || found.Error != "" || !found.Consistent {
					t.Fatalf("%+v: %+v, %v", c.req, found, err)
				}
				if known := found.Match != nil; known != (c.route != "") || known &&
					found.Match.Priority.V != c.metric ||
					want&WantID != 0 && found.ID[:max(strings.LastIndexByte(found.ID, ':'), 0)] != c.route ||
					want&WantAnswer != 0 && (found.Answer.Table != 0) != known {
					t.Errorf("%v, %d: got %s, %+v, want %s", c.req.Destination, want, found.ID, found.Match, c.route)
				}
			}
		}
	}
}

// TestLookupMergedTables has no rules but the first three: IPv4's tables local and main are one
// to the kernel then, which says main.
func TestLookupMergedTables(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24")
	nstest.Batch(t, "-4", "route add default via 10.0.0.2", "route add local 98.0.0.0/8 dev lo table main",
		"route add local 99.0.0.0/8 dev lo", "route add broadcast 97.0.0.0/24 dev v0 table main proto 99")
	l := lookups(t)
	for range 2 {
		dumped, err := new(Kernel).Read(t.Context(), RouteRequest(Filter{}))
		if err != nil {
			t.Fatal(err)
		}
		ids := map[string]bool{}
		for r := range dumped.Routes(object.FieldID) {
			ids[string(r.AppendID(nil))] = true
		}
		for dst, want := range map[string]string{
			"127.0.0.1": "ipv4:255:127.0.0.1/32:", "127.0.0.9": "ipv4:255:127.0.0.0/8:",
			"10.0.0.1":   "ipv4:255:10.0.0.1/32:",
			"10.0.0.255": "ipv4:255:10.0.0.255/32:", "98.0.0.1": "ipv4:254:98.0.0.0/8:",
			"99.0.0.1": "ipv4:255:99.0.0.0/8:",
			"97.0.0.1": "ipv4:254:97.0.0.0/24:", "224.0.0.1": "ipv4:254:0.0.0.0/0:",
			"255.255.255.255": "ipv4:254:0.0.0.0/0:",
			"10.0.0.9":        "ipv4:254:10.0.0.0/24:", "1.2.3.4": "ipv4:254:0.0.0.0/0:",
		} {
			req := to(dst)
			for _, wanted := range []Want{WantAnswer | WantID, WantID, WantAnswer | WantMatch} {
				found, err := l.Lookup(&req, wanted)
				if err != nil || !found.Consistent || wanted&WantID != 0 && (!strings.HasPrefix(found.ID, want) ||
					!ids[found.ID]) {
					t.Errorf("%s, %d: %+v, %v, want %s", dst, wanted, found, err, want)
					continue
				}
				table := uint32(object.RT_TABLE_MAIN)
				if strings.HasPrefix(want, "ipv4:255") {
					table = object.RT_TABLE_LOCAL
				}
				if found.Match.Table != table || found.Answer != nil && found.Answer.Table != table {
					t.Errorf("%s, %d: tables %d, %+v", dst, wanted, found.Match.Table, found.Answer)
				}
			}
		}
		nstest.IP(t, "rule add fwmark 9 lookup 77") // from now on they are two
	}
}

// TestLookupSharedMember has IPv6 routes whose nexthop objects have members in common, which the
// kernel takes for each other too.
func TestLookupSharedMember(t *testing.T) {
	ways(t)
	nstest.IP(t, "nexthop add id 9 group 7/6")
	nstest.Batch(t, "-6", "route add fd60::/16 nhid 9", "route add fd61::/16 nhid 9 metric 9",
		"route add fd61::/16 nhid 7 metric 7")
	l := lookups(t)
	index := map[string]uint32{"v0": dev(t, "v0"), "v1": dev(t, "v1")}
	for n := range 20 {
		for prefix, out := range map[string]string{"fd33": "v0", "fd34": "", "fd60": "", "fd61": "v1"} {
			req := to(prefix + "::" + strconv.Itoa(n))
			for _, want := range []Want{WantAnswer | WantID, WantID} {
				found, err := l.Lookup(&req, want)
				if err != nil || !found.Consistent || found.Match == nil ||
					found.Match.Dst.String() != prefix+"::/16" ||
					!strings.HasPrefix(found.ID, "ipv6:254:"+prefix+"::/16:") {
					t.Fatalf("%v, %d: %+v, %v", req.Destination, want, found, err)
				}
				if want&WantAnswer != 0 && out != "" && found.Answer.OIF.V != index[out] {
					t.Errorf("%v leaves through %d", req.Destination, found.Answer.OIF.V)
				}
			}
		}
	}
}

package object_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"kernelroutes/internal/nstest"
	. "kernelroutes/rtnl/object"
)

// oddAddrs are IPv6 addresses in whose spelling something can go wrong: what ::
// stands for, and what is in dotted form.
var oddAddrs = []string{
	"::2", "::ff", "::1:0", "::1:1", "::ffff", "::5.6.7.8", "::0.1.0.0", "::255.255.255.255", "::1.0.0.0",
	"::ffff:0.0.0.1", "::ffff:5.6.7.8", "::ffff:0:1", "::ffff:0:5.6.7.8", "::fffe:5.6.7.8", "::1:5.6.7.8",
	"0:0:0:0:1:0:0:1",
	"1::", "1::1", "1:0:0:2::", "1:0:0:2:0:0:0:3", "1:0:0:0:2:0:0:3", "1:0:2:0:3:0:4:0", "1:0:0:2:0:0:3:4",
	"0:1:0:0:2:0:0:3",
	"0:1:2:3:4:5:6:7", "1:2:3:4:5:6:7:0", "1:2:3:4:5:6:0:0", "0:0:1:2:3:4:5:6", "0:0:1::2", "64:ff9b::5.6.7.8",
	"2002:506:708::", "2001:db8::5.6.7.8", "::1:0:0:0", "0:0:0:1::", "100::",
	"abcd:ef01:2345:6789:abcd:ef01:2345:6789",
}

// TestAppendAddr compares the spelling of many addresses with ip's.
func TestAppendAddr(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "d0")
	var addrs []netip.Addr
	for _, s := range oddAddrs {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var a [16]byte
		for i := 0; i < 16; i += 2 {
			switch r.IntN(4) { // mostly zeros, so that there are runs of them
			case 0:
				a[i], a[i+1] = byte(r.Uint32()), byte(r.Uint32())
			case 1:
				a[i+1] = byte(r.Uint32())
			}
		}
		if r.IntN(4) == 0 {
			clear(a[:10])
			if r.IntN(2) == 0 {
				a[10], a[11] = 0xff, 0xff
			}
		}
		if addr := netip.AddrFrom16(a); a[0] != 0xff && !addr.IsUnspecified() && !addr.IsLoopback() {
			addrs = append(addrs, addr)
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	addrs = slices.Compact(addrs)
	var lines, want []string
	for _, a := range addrs {
		lines = append(lines, fmt.Sprintf("route add %s/128 dev d0 table 100", a))
	}
	nstest.Batch(t, "-6", lines...)
	var shown []struct{ Dst string }
	if err := json.Unmarshal([]byte(nstest.IP(t, "-6 -j route show table 100")), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown) != len(addrs) {
		t.Fatalf("%d routes, not %d", len(shown), len(addrs))
	}
	for _, s := range shown {
		a := netip.MustParseAddr(s.Dst)
		want = append(want, s.Dst)
		if got := string(AppendAddr([]byte("x"), a)); got != "x"+s.Dst {
			t.Errorf("%s is spelt %s", s.Dst, got)
		}
		if got := string(AppendPrefix(nil, netip.PrefixFrom(a, 128))); got != s.Dst+"/128" {
			t.Errorf("%s/128 is spelt %s", s.Dst, got)
		}
	}
	if !slices.Contains(want, "::5.6.7.8") || !slices.Contains(want, "::ffff:5.6.7.8") {
		t.Error("ip has no dotted forms")
	}
	for _, a := range []string{"::", "::1", "192.0.2.1", "fe80::1%eth0"} {
		if got := string(AppendAddr(nil, netip.MustParseAddr(a))); got != a {
			t.Errorf("%s is spelt %s", a, got)
		}
	}
	if got := string(AppendPrefix(AppendAddr([]byte("x"), netip.Addr{}), netip.Prefix{})); got != "x" {
		t.Errorf("no address is spelt %q", got)
	}
}

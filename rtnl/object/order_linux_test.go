package object_test

import (
	"fmt"
	"net/netip"
	"testing"

	. "kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	. "kernelroutes/rtnl/object"
)

// TestKernelOrder checks that dumps come in the order that Order.Compare knows.
func TestKernelOrder(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	c := NewChance(7)
	var four, six []string
	added := map[string]bool{}
	add := func(list *[]string, line string) {
		if !added[line] {
			added[line] = true
			*list = append(*list, "route add "+line+" table 1000")
		}
	}
	small := func() byte { return byte(c.IntN(4)) }
	for range 400 {
		bits := c.IntN(33)
		addr := [4]byte(Mask([]byte{20, small() << 6, small(), small()}, 4, bits))
		// Not "tos 0": without a file rt_dsfield ip takes that, in a batch, for the last tos that it read.
		add(&four, fmt.Sprintf("%v via 10.0.0.9 metric %d tos 0x%x",
			netip.PrefixFrom(netip.AddrFrom4(addr), bits), 1+c.IntN(3), c.IntN(3)*4))
	}
	for range 600 {
		bits, srcBits := c.IntN(129), max(c.IntN(200)-71, 0)
		addr := [16]byte(Mask([]byte{0x20, small(), small() << 6, 15: small()}, 16, bits))
		line := netip.PrefixFrom(netip.AddrFrom16(addr), bits).String()
		if srcBits > 0 {
			src := [16]byte(Mask([]byte{0x20, small(), 15: 1}, 16, srcBits))
			line += fmt.Sprintf(" from %v", netip.PrefixFrom(netip.AddrFrom16(src), srcBits))
		}
		add(&six, fmt.Sprintf("%s via fd00::9 metric %d", line, 1+c.IntN(3)))
	}
	nstest.Batch(t, "-4", four...)
	nstest.Batch(t, "-6", six...)
	last := map[Table]Position{}
	n := map[Table]int{}
	var m Message
	for _, msg := range dump(t, RTM_GETROUTE, DumpRequest{}.AppendTo(nil)) {
		if err := Routes.Check(&m, msg); err != nil {
			t.Fatal(err)
		}
		table, pos := Routes.Table(&m), Routes.Position(&m)
		if before, ok := last[table]; ok && compare(table.Family, &before, &pos) > 0 {
			t.Errorf("%v: %v comes before %v", table, before, pos)
		}
		last[table] = pos
		n[table]++
	}
	if a, b := n[Table{IPv4, 1000}], n[Table{IPv6, 1000}]; a != len(four) || b != len(six) {
		t.Errorf("%d and %d routes, want %d and %d", a, b, len(four), len(six))
	}
}

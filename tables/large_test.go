package tables_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// largeGateway is the gateway of a nexthop of a large route.
func largeGateway(family string, i int) netip.Addr {
	if family == "ipv6" {
		return netip.AddrFrom16([16]byte{0: 0xfd, 14: byte((i + 16) >> 8), 15: byte(i + 16)})
	}
	return netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)})
}

// addLarge adds a route with many nexthops in one message: ip takes 255 at most.
func addLarge(t testing.TB, dst netip.Prefix, table, dev uint32, n int) {
	t.Helper()
	family, name := byte(unix.AF_INET), "ipv4"
	if dst.Addr().Is6() {
		family, name = unix.AF_INET6, "ipv6"
	}
	var hops []byte
	for i := range n {
		gw := largeGateway(name, i).AsSlice()
		hops = binary.NativeEndian.AppendUint16(hops, uint16(unix.SizeofRtNexthop+unix.SizeofNlAttr+len(gw)))
		hops = append(hops, unix.RTNH_F_ONLINK, byte(i%7)) // rtnh_flags, rtnh_hops
		hops = binary.NativeEndian.AppendUint32(hops, dev)
		hops = binary.NativeEndian.AppendUint16(hops, uint16(unix.SizeofNlAttr+len(gw)))
		hops = binary.NativeEndian.AppendUint16(hops, unix.RTA_GATEWAY)
		hops = append(hops, gw...)
	}
	ae := netlink.NewAttributeEncoder()
	ae.Bytes(unix.RTA_DST, dst.Addr().AsSlice())
	ae.Uint32(unix.RTA_TABLE, table)
	ae.Bytes(unix.RTA_MULTIPATH, hops)
	header := []byte{family, byte(dst.Bits()), 0, 0, 0, unix.RTPROT_STATIC, unix.RT_SCOPE_UNIVERSE, unix.RTN_UNICAST,
		0, 0, 0, 0}
	if err := tellWire(dialWire(t), unix.RTM_NEWROUTE, header, ae); err != nil {
		t.Fatalf("%v with %d nexthops: %v", dst, n, err)
	}
}

// manyRoutes makes 2,000 IPv4 and 200 IPv6 routes, in a namespace of the test's own.
func manyRoutes(t testing.TB) {
	nstest.New(t)
	network(t)
	var lines4, lines6 []string
	for i := range 2000 {
		lines4 = append(lines4, fmt.Sprintf("route add 20.%d.%d.0/24 via 10.0.0.9", i/200, i%200))
	}
	for i := range 200 {
		lines6 = append(lines6, fmt.Sprintf("route add fd02:%x::/32 via fd00::9", i))
	}
	nstest.Batch(t, "-4", lines4...)
	nstest.Batch(t, "-6", lines6...)
}

// TestLargeRoutes has one route that does not fit into the first datagram which
// the kernel makes for a fresh socket: every row is there, whoever asks.
func TestLargeRoutes(t *testing.T) {
	manyRoutes(t)
	v0 := number(newIPView(t).links["v0"]["dev_index"])
	before := scan(t, tables.Routes, &rtnl.Kernel{})
	objects := func(family string, first, n int) {
		var lines []string
		for i := range n {
			lines = append(lines, fmt.Sprintf("nexthop add id %d via %v dev v0 onlink", first+i,
				largeGateway(family, i)))
		}
		nstest.Batch(t, map[string]string{"ipv4": "-4", "ipv6": "-6"}[family], lines...)
	}
	objects("ipv4", 10000, 1500)
	objects("ipv6", 20000, 1100)
	for _, c := range []struct {
		dst   string
		sizes []int
		first uint32
	}{
		{"20.5.128.0/17", []int{250, 1000, 1500}, 10000},
		{"fd02:50:8000::/33", []int{250, 1000, 1100}, 20000},
	} {
		dst := netip.MustParsePrefix(c.dst)
		family, flag := "ipv4", "-4"
		if dst.Addr().Is6() {
			family, flag = "ipv6", "-6"
		}
		for _, n := range c.sizes[nstest.Amount(0, 2):] {
			for _, table := range []uint32{500, 254} {
				addLarge(t, dst, table, v0, n)
				everyRow(t, before, family, c.dst, n)
				nstest.IP(t, fmt.Sprintf("%s route del %s table %d", flag, c.dst, table))

				var members []nhMember
				for i := range n {
					members = append(members, nhMember{c.first + uint32(i), 1 + uint32(i%7)})
				}
				addWireGroup(t, 1, members...)
				nstest.IP(t, fmt.Sprintf("%s route add %s table %d nhid 1", flag, c.dst, table))
				everyRow(t, before, family, c.dst, n)
				nstest.IP(t, "nexthop del id 1")
			}
		}
	}
}

// everyRow checks that all routes are there for each way to ask for families, and
// that the large one has all of its nexthops.
func everyRow(t *testing.T, before []row, family, dst string, n int) {
	t.Helper()
	for _, asked := range []string{"ipv4", "ipv6", ""} {
		var constraints []tables.Constraint
		if asked != "" {
			constraints = append(constraints, where(tables.Routes, "family", tables.Equals, asked))
		}
		bare := bareCount(t, constraints)
		got, large := map[string]bool{}, false
		for _, r := range scan(t, tables.Routes, &rtnl.Kernel{}, constraints...) {
			got[r["route_id"]] = true
			large = large || r["dst"] == dst && r["nexthop_count"] == fmt.Sprint(n)
		}
		if (asked == family || asked == "") && !large {
			t.Errorf("family %q: the route with %d nexthops is not there", asked, n)
		}
		if bare != len(got) {
			t.Errorf("family %q: %d rows, but %d without interfaces", asked, len(got), bare)
		}
		lost := 0
		for _, r := range before {
			if (asked == "" || asked == r["family"]) && !got[r["route_id"]] {
				lost++
			}
		}
		if lost > 0 {
			t.Errorf("family %q: %d routes lost beside one with %d nexthops", asked, lost, n)
		}
	}
	hops := scan(t, tables.Nexthops, &rtnl.Kernel{}, where(tables.Nexthops, "dst", tables.Equals, dst))
	if len(hops) != n {
		t.Errorf("%d nexthops of %d", len(hops), n)
	}
	for i, h := range hops {
		if h["nexthop_index"] != fmt.Sprint(i) || h["gateway"] != largeGateway(family, i).String() ||
			h["weight"] != fmt.Sprint(1+i%7) || h["dev"] != "v0" {
			t.Errorf("nexthop %d of %d: %v", i, n, h)
			break
		}
	}
}

// bareCount counts the rows of a query that reads nothing but routes, so that no
// other dump comes first over the socket.
func bareCount(t *testing.T, constraints []tables.Constraint) int {
	t.Helper()
	rows, err := tables.Routes.Scan(t.Context(), &rtnl.Kernel{}, tables.Query{Constraints: constraints,
		Used: make([]bool, len(tables.Routes.Columns))})
	if err != nil {
		t.Error(err)
		return 0
	}
	n := 0
	for rows.Next() {
		n++
	}
	return n
}

// TestTooLarge has a route that the kernel cannot put into one message: an error,
// and no rows, for everyone who would have to see it.
func TestTooLarge(t *testing.T) {
	manyRoutes(t)
	v0 := number(newIPView(t).links["v0"]["dev_index"])
	before := scan(t, tables.Routes, &rtnl.Kernel{})
	silent := older(t, "6.9") // of an IPv6 route that does not fit
	for _, c := range []struct {
		family, dst string
		n           int
	}{{"ipv4", "20.5.128.0/17", 2500}, {"ipv6", "fd02:50:8000::/33", 1500}} {
		dst := netip.MustParsePrefix(c.dst)
		for _, table := range []uint32{500, 254} {
			addLarge(t, dst, table, v0, c.n)
			for _, tab := range tables.OfRoutes() {
				for _, constraints := range [][]tables.Constraint{
					nil,
					{where(tab, "family", tables.Equals, c.family)},
					{where(tab, "table_id", tables.Equals, fmt.Sprint(table))},
					{where(tab, "table_id", tables.Equals, fmt.Sprint(table)),
						where(tab, "family", tables.Equals, c.family)},
					{where(tab, "dst", tables.Equals, c.dst)},
				} {
					rows, err := scanErr(tab, &rtnl.Kernel{}, constraints...)
					if !errors.Is(err, rtnl.ErrTooLarge) || len(rows) > 0 {
						t.Errorf("%d %s nexthops in table %d, %s: %d rows, %v", c.n, c.family, table,
							(&tester{table: tab}).describe(constraints), len(rows), err)
					}
				}
			}
			// Others may fail too, but not lose a row.
			for _, r := range []struct{ column, value string }{{"family", "ipv4"}, {"family", "ipv6"},
				{"table_id", "254"}, {"table_id", "255"}} {
				rows, err := scanErr(tables.Routes, &rtnl.Kernel{},
					where(tables.Routes, r.column, tables.Equals, r.value))
				want := 0
				for _, b := range before {
					if b[r.column] == r.value {
						want++
					}
				}
				other := r.column == "table_id" && r.value != fmt.Sprint(table)
				if silent && c.family == "ipv6" {
					other = r.column == "family" && r.value == "ipv4" // all IPv6 routes are read for every other query
				}
				if err == nil && len(rows) != want || err != nil && (other || !errors.Is(err, rtnl.ErrTooLarge)) {
					t.Errorf("%d %s nexthops in table %d, %s = %s: %d rows of %d, %v", c.n, c.family, table, r.column,
						r.value, len(rows), want, err)
				}
			}
			nstest.IP(t, fmt.Sprintf("%s route del %s table %d", map[string]string{"ipv4": "-4",
				"ipv6": "-6"}[c.family], c.dst, table))
		}
	}
	if after := scan(t, tables.Routes, &rtnl.Kernel{}); len(after) != len(before) {
		t.Errorf("%d routes, then %d", len(before), len(after))
	}
}

// TestLargeGroup follows the advice that the error gives.
func TestLargeGroup(t *testing.T) {
	manyRoutes(t)
	var lines []string
	var members []nhMember
	for i := range 2500 {
		lines = append(lines, fmt.Sprintf("nexthop add id %d via %v dev v0 onlink", 10000+i, largeGateway("ipv4", i)))
		members = append(members, nhMember{10000 + uint32(i), 1 + uint32(i%7)})
	}
	nstest.Batch(t, "-4", lines...)
	addWireGroup(t, 1, members...)
	nstest.IP(t, "route add 20.5.128.0/17 nhid 1")
	if rows, err := scanErr(tables.Routes, &rtnl.Kernel{}); !errors.Is(err, rtnl.ErrTooLarge) {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", "0")
	all := scan(t, tables.Routes, &rtnl.Kernel{})
	everyRow(t, all, "ipv4", "20.5.128.0/17", len(members))
	if !slices.ContainsFunc(all, func(r row) bool { return r["dst"] == "20.9.199.0/24" }) {
		t.Error("routes are lost")
	}
}

// TestLargeObject has a nexthop group that does not fit into a message itself.
func TestLargeObject(t *testing.T) {
	nstest.New(t)
	network(t)
	var lines []string
	var members []nhMember
	for i := range 4500 {
		lines = append(lines, fmt.Sprintf("nexthop add id %d via %v dev v0 onlink", 10000+i, largeGateway("ipv4", i)))
		members = append(members, nhMember{10000 + uint32(i), 1})
	}
	nstest.Batch(t, "-4", lines...)
	addWireGroup(t, 1, members...)
	nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", "0")
	nstest.IP(t, "route add 20.5.128.0/17 nhid 1")
	for _, table := range tables.OfRoutes() {
		if rows, err := scanErr(table, &rtnl.Kernel{}); !errors.Is(err, rtnl.ErrTooLarge) || len(rows) > 0 {
			t.Errorf("%s: %d rows, %v", table.Name, len(rows), err)
		}
	}
}

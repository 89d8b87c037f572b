package shell

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/goldentest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

var (
	update     = flag.Bool("update", false, "make the captures in testdata again, and what is expected of them")
	updateRows = flag.Bool("update-rows", false, "make again what is expected of the captures in testdata")
)

const captures = "../testdata/captures"

// A goldenCase is a namespace with the interfaces v0 and v1 and the given lines
// of ip -4 -batch, ip -6 -batch and nothing but ip.
type goldenCase struct {
	name       string
	any        []string
	ipv4, ipv6 []string
	sysctl     [2]string
	also       func(testing.TB)
	module     bool // the older module's output is kept too
	config     bool // so are the rows of kernel_interface_config
}

var goldenCases = []goldenCase{
	{name: "interface-config", config: true, any: []string{"link set v1 mtu 1200"}, also: interfaceConfig},
	{name: "basics-ipv4", module: true, ipv4: []string{
		"route add default via 10.0.0.2 dev v0 proto dhcp src 10.0.0.1 metric 100",
		"route add default via 10.0.1.2 dev v1 proto dhcp metric 200",
		"route add 10.1.0.0/16 via 10.0.0.2",
		"route append 10.1.0.0/16 via 10.0.0.3",
		"route add 10.1.2.3 via 10.0.1.2 proto static",
		"route add 10.2.0.0/16 dev v0 proto bgp metric 4294967295",
		"route add 10.2.0.0/16 dev v0 tos 0x10 proto 77",
		"route add 10.3.0.0/16 via 192.0.2.1 dev v1 onlink proto redirect",
		"route add 10.4.0.0/16 dev v1 scope site realms 3/7",
		"route add 10.5.0.0/16 dev v1 scope host realms 9",
	}},
	{name: "basics-ipv6", module: true, ipv6: []string{
		"route add default via fd00::2 dev v0 proto ra metric 1024 pref high",
		"route add default via fe80::2 dev v1 metric 4294967295 pref low",
		"route add fd02::/16 via fd00::2 proto bgp",
		"route append fd02::/16 via fd01::2 metric 2048 proto 77",
		"route add fd02::1 dev v0 src fd00::1",
		"route add fd03::/64 via fd09::1 dev v1 onlink proto static",
		"route add fd04::/64 dev v1 expires 600",
	}},
	{name: "tables", ipv4: []string{
		"route add 10.1.0.0/16 via 10.0.0.2 table main",
		"route add 10.1.0.0/16 via 10.0.0.2 table default",
		"route add 10.1.0.0/16 via 10.0.0.2 table local",
		"route add 10.1.0.0/16 via 10.0.0.2 table 7",
		"route add 10.1.0.0/16 via 10.0.0.2 table 1000",
		"route add 10.1.0.0/16 via 10.0.0.2 table 4294967294",
	}, ipv6: []string{
		"route add fd02::/64 via fd00::2 table main",
		"route add fd02::/64 via fd00::2 table 1000",
		"route add fd02::/64 via fd00::2 table 4294967294",
	}},
	{name: "types", ipv4: []string{
		"route add unicast 10.1.0.0/24 via 10.0.0.2",
		"route add local 10.1.1.0/24 dev lo",
		"route add broadcast 10.1.2.0/24 dev v0",
		"route add multicast 239.1.0.0/24 dev v0",
		"route add blackhole 10.1.4.0/24",
		"route add unreachable 10.1.5.0/24",
		"route add prohibit 10.1.6.0/24",
		"route add throw 10.1.7.0/24",
	}, ipv6: []string{
		"route add unicast fd02:0::/64 via fd00::2",
		"route add local fd02:1::/64 dev lo",
		"route add anycast fd02:2::/64 dev v0",
		"route add multicast ff05::/64 dev v0 table local",
		"route add blackhole fd02:4::/64",
		"route add unreachable fd02:5::/64 metric 4294967295",
		"route add prohibit fd02:6::/64",
		"route add throw fd02:7::/64",
	}},
	{name: "metrics", ipv4: []string{
		"route add 10.1.0.0/16 via 10.0.0.2 mtu 1400 window 1000 rtt 200ms rttvar 100ms ssthresh 20 " +
			"cwnd 10 advmss 1300 reordering 5 hoplimit 33 initcwnd 12 features ecn rto_min 300ms initrwnd 14 " +
			"quickack 1 congctl reno fastopen_no_cookie 1",
		"route add 10.2.0.0/16 via 10.0.0.2 mtu lock 1400 rtt lock 200ms hoplimit lock 64",
		"route add 10.3.0.0/16 via 10.0.0.2 quickack 0",
	}, ipv6: []string{
		"route add fd02::/64 via fd00::2 mtu lock 1300 advmss lock 1240 hoplimit 255 initcwnd 20",
		"route add fd03::/64 via fd00::2 congctl reno features ecn",
	}},
	{name: "ecmp", module: true, ipv4: []string{
		"route add 10.1.0.0/16 nexthop via 10.0.0.2 weight 1 nexthop via 10.0.1.2 weight 256",
		"route add 10.2.0.0/16 proto bgp metric 20 nexthop via 192.0.2.1 dev v0 onlink realms 3/7 nexthop dev v1 " +
			"nexthop via inet6 fd01::2 dev v1",
	}, ipv6: []string{
		"route add fd02::/64 nexthop via fd00::2 weight 3 nexthop via fd01::2 nexthop via fe80::2 dev v1",
		"route add fd03::/64 metric 7 nexthop via fd00::2 dev v0 onlink nexthop via fd01::3",
	}},
	{name: "nexthop-objects", any: objects, ipv4: viaObjects4, ipv6: viaObjects6},
	{name: "nexthop-objects-compat0", any: objects, ipv4: viaObjects4, ipv6: viaObjects6,
		sysctl: [2]string{"net.ipv4.nexthop_compat_mode", "0"}},
	{name: "nexthop-groups", any: append(slices.Clone(objects),
		"nexthop add id 20 group 1,3/2,200/3",
		"nexthop add id 21 group 5,2/6",
		"nexthop add id 22 group 1/2 type resilient buckets 32",
	), ipv4: []string{
		"route add 10.1.0.0/16 nhid 20",
		"route add 10.2.0.0/16 nhid 22 metric 7",
	}, ipv6: []string{
		"route add fd02::/64 nhid 21",
	}, sysctl: [2]string{"net.ipv4.nexthop_compat_mode", "0"}},
	{name: "via-inet6", ipv4: []string{
		"route add default via inet6 fd00::2 dev v0",
		"route add 10.1.0.0/16 via inet6 fe80::2 dev v1 metric 7",
	}},
	{name: "encaps", ipv4: []string{
		"route add 10.1.0.0/24 encap ip id 42 dst 192.0.2.2 src 192.0.2.1 ttl 9 tos 8 dev v0",
		"route add 10.1.1.0/24 encap ip6 id 42 dst fd09::2 src fd09::1 hoplimit 9 tc 8 dev v0",
		"route add 10.1.2.0/24 encap seg6 mode encap segs fd09::1,fd09::2 dev v0",
		"route add 10.1.3.0/24 nexthop encap ip id 1 dst 192.0.2.2 dev v0 " +
			"nexthop encap ip id 2 dst 192.0.2.3 dev v1 weight 2",
	}, ipv6: []string{
		"route add fd02:0::/64 encap ip6 id 42 dst fd09::2 dev v0",
		"route add fd02:1::/64 encap ip id 42 dst 192.0.2.2 dev v0",
		"route add fd02:2::/64 encap seg6 mode inline segs fd09::1 dev v0",
		"route add fd02:3::/64 encap seg6 mode l2encap segs fd09::1,fd09::2 dev v0",
		"route add fd02:4::/64 encap seg6local action End dev v0",
		"route add fd02:5::/64 encap seg6local action End.X nh6 fd00::9 dev v0",
		"route add fd02:6::/64 encap seg6local action End.T table 1000 dev v0",
		"route add fd02:7::/64 encap seg6local action End.DX4 nh4 10.0.0.9 dev v0",
		"route add fd02:8::/64 encap seg6local action End.DX6 nh6 fd00::9 dev v0",
		"route add fd02:9::/64 encap seg6local action End.B6.Encaps srh segs fd09::1,fd09::2 dev v0",
		"route add fd02:a::/64 nexthop via fd00::2 encap seg6 mode encap segs fd09::1 dev v0 nexthop via fd01::2",
	}},
	{name: "multicast-routing", also: multicastRouting},
	{name: "host-names", also: hostNames, ipv4: []string{
		"route add 10.1.0.0/16 via 10.0.0.2 table 100 proto 77",
		"route add 10.2.0.0/16 via 10.0.0.2 table 100000 proto 186 scope 7 realms 3/7",
	}},
	{name: "source-specific", ipv6: []string{
		"route add default from fd02::/64 via fd00::2",
		"route add default from fd02::/48 via fd01::2",
		"route add fd03::/64 from fd02::1 via fd00::2",
		"route add fd03::/64 via fd00::3",
	}},
}

var (
	objects = []string{
		"nexthop add id 1 via 10.0.0.2 dev v0",
		"nexthop add id 2 via 10.0.1.2 dev v1",
		"nexthop add id 3 via fd00::2 dev v0",
		"nexthop add id 4 blackhole",
		"nexthop add id 5 via fd00::2 dev v0 encap seg6 mode encap segs fd09::1",
		"nexthop add id 6 via fd01::2 dev v1 onlink",
		"nexthop add id 7 dev v1 proto bgp",
		"nexthop add id 9 via 10.0.0.9 dev v0 encap ip id 7 dst 192.0.2.2",
		"nexthop add id 10 group 1,2/2,5",
		"nexthop add id 4000000000 group 5/6,2",
		"nexthop add id 11 via 10.0.0.99 dev v0",
	}
	viaObjects4 = []string{
		"route add 10.1.0.0/24 nhid 1",
		"route add 10.1.1.0/24 nhid 3 metric 7",
		"route add 10.1.2.0/24 nhid 4",
		"route add 10.1.3.0/24 nhid 7",
		"route add 10.1.4.0/24 nhid 9",
		"route add 10.1.5.0/24 nhid 10",
		"route add 10.1.6.0/24 via 10.0.0.2",
	}
	viaObjects6 = []string{
		"route add fd02:0::/64 nhid 5",
		"route add fd02:1::/64 nhid 6",
		"route add fd02:2::/64 nhid 4000000000",
	}
)

// build makes the namespace of a case for the calling goroutine.
func (c *goldenCase) build(t testing.TB) {
	nstest.New(t)
	// No link-local addresses: they come from random hardware addresses.
	nstest.Sysctl(t, "net.ipv6.conf.default.addr_gen_mode", "1")
	if c.sysctl[0] != "" {
		nstest.Sysctl(t, c.sysctl[0], c.sysctl[1])
	}
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.0.1.1/24", "fd01::1/64")
	for _, line := range c.any {
		nstest.IP(t, line)
	}
	if c.ipv4 != nil {
		nstest.Batch(t, "-4", c.ipv4...)
	}
	if c.ipv6 != nil {
		nstest.Batch(t, "-6", c.ipv6...)
	}
	if c.also != nil {
		c.also(t)
	}
	// The kernel sets an interface's operational state some time after its carrier.
	for range 100_000 {
		s, err := new(rtnl.Kernel).Read(context.Background(), rtnl.Request{Kinds: []*object.Kind{object.Links.Kind}})
		if err != nil {
			t.Fatal(err)
		}
		if up(s) {
			return
		}
	}
	t.Fatal("interfaces do not come up")
}

func up(s *rtnl.Snapshot) bool {
	const lo, links, operUp = 1, 4, 6
	for i := range uint32(links) {
		if l, _ := s.Link(lo + 1 + i); l.OperState != operUp {
			return false
		}
	}
	return true
}

// multicastRouting adds a multicast route of each family to the namespace.
func multicastRouting(t testing.TB) {
	const (
		initialize, addInterface, addRoute = 200, 202, 204 // MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC and those of MRT6
		useIndex                           = 8             // VIFF_USE_IFINDEX
	)
	set := func(fd, level, option int, value []byte) {
		if err := unix.SetsockoptString(fd, level, option, string(value)); err != nil {
			t.Fatalf("setsockopt %d %d: %v", level, option, err)
		}
	}
	// The routes go away with the socket.
	open := func(family, protocol, level int) int {
		fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		set(fd, level, initialize, binary.NativeEndian.AppendUint32(nil, 1))
		return fd
	}
	ne := binary.NativeEndian
	v0, v1 := uint32(3), uint32(5)

	fd := open(unix.AF_INET, unix.IPPROTO_IGMP, unix.IPPROTO_IP)
	for i, dev := range []uint32{v0, v1} {
		vifctl := ne.AppendUint16(nil, uint16(i))
		vifctl = append(vifctl, useIndex, 1) // flags, threshold
		vifctl = ne.AppendUint32(vifctl, 0)  // rate limit
		vifctl = ne.AppendUint32(vifctl, dev)
		set(fd, unix.IPPROTO_IP, addInterface, ne.AppendUint32(vifctl, 0)) // remote address
	}
	mfcctl := append([]byte{10, 0, 0, 9}, 239, 1, 1, 1) // origin, group
	mfcctl = ne.AppendUint16(mfcctl, 0)                 // parent
	ttls := make([]byte, 32)
	ttls[1] = 1
	mfcctl = append(append(mfcctl, ttls...), make([]byte, 2+16)...)
	set(fd, unix.IPPROTO_IP, addRoute, mfcctl)

	fd = open(unix.AF_INET6, unix.IPPROTO_ICMPV6, unix.IPPROTO_IPV6)
	for i, dev := range []uint32{v0, v1} {
		mif6ctl := ne.AppendUint16(nil, uint16(i))
		mif6ctl = append(mif6ctl, 0, 1) // flags, threshold
		mif6ctl = ne.AppendUint16(mif6ctl, uint16(dev))
		set(fd, unix.IPPROTO_IPV6, addInterface, append(mif6ctl, make([]byte, 2+4)...)) // rate limit
	}
	sockaddr := func(addr string) []byte {
		b := ne.AppendUint16(nil, unix.AF_INET6)
		b = append(b, make([]byte, 2+4)...) // port, flow
		b = append(b, netip.MustParseAddr(addr).AsSlice()...)
		return append(b, make([]byte, 4)...) // scope
	}
	mf6cctl := slices.Concat(
		sockaddr("fd00::9"),
		sockaddr("ff05::1"),
		make([]byte, 4),                              // parent
		ne.AppendUint32(nil, 1<<1), make([]byte, 28)) // interfaces
	set(fd, unix.IPPROTO_IPV6, addRoute, mf6cctl)
}

// hostNames gives the calling thread names of its own. Nothing else is in its /etc.
func hostNames(t testing.TB) {
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", "/etc", "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir("/etc/iproute2", 0o755); err != nil {
		t.Fatal(err)
	}
	for file, lines := range map[string]string{
		"rt_tables": "100 hosta\n100000 large\n254 main\n254 inet\n254 main\n",
		"rt_protos": "77 seventyseven\n186 borderway\n",
		"rt_scopes": "7 near\n",
		"rt_realms": "3 from\n7 to\n",
	} {
		write(t, "/etc/iproute2/"+file, []byte(lines))
	}
}

// expected returns what is expected of a capture, by the ending of the file's name.
func expected(t testing.TB, c *goldenCase, src tables.Source) map[string][]byte {
	all := map[string][]byte{
		".routes.txt":   goldentest.Rows(rows(t, src, tables.Routes)),
		".nexthops.txt": goldentest.Rows(rows(t, src, tables.Nexthops)),
	}
	if c.config {
		columns, rows := rows(t, src, tables.InterfaceConfig)
		family := slices.Index(columns, "family")
		slices.SortStableFunc(rows, func(a, b []string) int { return cmp.Compare(a[family], b[family]) })
		all[".config.txt"] = goldentest.Rows(columns, rows)
	}
	if c.module {
		for ending, opts := range map[string]RoutesOptions{".old.json": {}, ".summary.txt": {Summary: true}} {
			var b bytes.Buffer
			if err := Routes(context.Background(), &b, src, opts); err != nil {
				t.Fatal(err)
			}
			all[ending] = b.Bytes()
		}
	}
	return all
}

// TestGolden compares what is said of the captures in testdata with the files
// beside them.
func TestGolden(t *testing.T) {
	for _, c := range goldenCases {
		t.Run(c.name, func(t *testing.T) {
			name := filepath.Join(captures, c.name)
			if *update {
				c.build(t)
				var b bytes.Buffer
				if err := capture.Write(context.Background(), new(rtnl.Kernel), &b); err != nil {
					t.Fatal(err)
				}
				write(t, name+".pcap", b.Bytes())
			}
			src := openCapture(t, c.name)
			for ending, got := range expected(t, &c, src) {
				if *update || *updateRows {
					write(t, name+ending, got)
					continue
				}
				want, err := os.ReadFile(name + ending)
				if err != nil {
					t.Fatal(err)
				}
				diff(t, c.name+ending, string(got), string(want))
			}
		})
	}
}

// openCapture reads one of the captures that are kept.
func openCapture(t *testing.T, name string) *capture.Capture {
	t.Helper()
	f, err := os.Open(filepath.Join(captures, name) + ".pcap")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := capture.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCapturedRows compares the rows of a capture with those of the kernel.
func TestCapturedRows(t *testing.T) {
	for _, c := range goldenCases {
		t.Run(c.name, func(t *testing.T) {
			c.build(t)
			var b bytes.Buffer
			if err := capture.Write(context.Background(), new(rtnl.Kernel), &b); err != nil {
				t.Fatal(err)
			}
			src, err := capture.Read(&b)
			if err != nil {
				t.Fatal(err)
			}
			live := expected(t, &c, new(rtnl.Kernel))
			for ending, got := range expected(t, &c, src) {
				diff(t, c.name+ending, untimed(got), untimed(live[ending]))
			}
		})
	}
}

// untimed takes out what may change from one second to the next.
func untimed(text []byte) string {
	return regexp.MustCompile(`(expires(":| ))-?\d+`).ReplaceAllString(string(text), "${1}0")
}

func write(t testing.TB, name string, data []byte) {
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// diff reports the first line that differs.
func diff(t testing.TB, name, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		switch {
		case i >= len(g):
			t.Errorf("%s: line %d is missing: %s", name, i+1, w[i])
		case i >= len(w):
			t.Errorf("%s: line %d is too much: %s", name, i+1, g[i])
		case g[i] != w[i]:
			t.Errorf("%s: line %d:\ngot  %s\nwant %s", name, i+1, g[i], w[i])
		default:
			continue
		}
		return
	}
}

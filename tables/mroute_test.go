package tables_test

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// The socket options of linux/mroute.h and linux/mroute6.h that a multicast
// routing daemon uses; the numbers are the same in both.
const (
	mrtInit   = 200 // MRT_INIT, MRT6_INIT
	mrtAddVIF = 202 // MRT_ADD_VIF, MRT6_ADD_MIF
	mrtAddMFC = 204 // MRT_ADD_MFC, MRT6_ADD_MFC
	mrtTable  = 209 // MRT_TABLE, MRT6_TABLE
	mrtAddAny = 210 // MRT_ADD_MFC_PROXY, MRT6_ADD_MFC_PROXY

	vifUseIndex = 8 // VIFF_USE_IFINDEX
)

// A multicastRouter is the socket of a multicast routing daemon. The kernel
// forgets its entries when the socket is closed.
type multicastRouter struct {
	t     testing.TB
	fd    int
	level int
	v6    bool
	ttl   byte // threshold of the outputs of IPv4, at most 254; IPv6 has 1 alone
}

func newMulticastRouter(t testing.TB, v6 bool, table uint32) *multicastRouter {
	t.Helper()
	domain, protocol, level := unix.AF_INET, unix.IPPROTO_IGMP, unix.IPPROTO_IP
	if v6 {
		domain, protocol, level = unix.AF_INET6, unix.IPPROTO_ICMPV6, unix.IPPROTO_IPV6
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	m := &multicastRouter{t, fd, level, v6, 1}
	if table != 0 {
		m.set(mrtTable, binary.NativeEndian.AppendUint32(nil, table))
	}
	m.set(mrtInit, binary.NativeEndian.AppendUint32(nil, 1))
	return m
}

func (m *multicastRouter) set(option int, value []byte) {
	m.t.Helper()
	if err := unix.SetsockoptString(m.fd, m.level, option, string(value)); err != nil {
		m.t.Fatalf("multicast routing, option %d: %v", option, err)
	}
}

// addInterface makes an interface number vif of the router: struct vifctl or mif6ctl.
func (m *multicastRouter) addInterface(vif uint16, index uint32) {
	m.t.Helper()
	b := binary.NativeEndian.AppendUint16(nil, vif)
	if m.v6 {
		b = append(b, 0, 1) // flags, threshold
		b = binary.NativeEndian.AppendUint16(b, uint16(index))
		b = append(b, make([]byte, 6)...)
	} else {
		b = append(b, vifUseIndex, 1)
		b = append(b, 0, 0, 0, 0) // rate limit
		b = binary.NativeEndian.AppendUint32(b, index)
		b = append(b, 0, 0, 0, 0)
	}
	m.set(mrtAddVIF, b)
}

// add makes an entry from one interface to others: struct mfcctl or mf6cctl. An
// unspecified origin is any.
func (m *multicastRouter) add(origin, group string, from uint16, to ...int) {
	m.t.Helper()
	o, g := netip.MustParseAddr(origin), netip.MustParseAddr(group)
	var b []byte
	if m.v6 {
		for _, a := range []netip.Addr{o, g} { // struct sockaddr_in6
			b = binary.NativeEndian.AppendUint16(b, unix.AF_INET6)
			b = append(b, make([]byte, 6)...)
			b = append(b, a.AsSlice()...)
			b = append(b, make([]byte, 4)...)
		}
		b = binary.NativeEndian.AppendUint16(b, from)
		b = append(b, 0, 0)
		set := make([]byte, 32) // struct if_set
		for _, i := range to {
			binary.NativeEndian.PutUint32(set, binary.NativeEndian.Uint32(set)|1<<i)
		}
		b = append(b, set...)
	} else {
		b = append(b, o.AsSlice()...)
		b = append(b, g.AsSlice()...)
		b = binary.NativeEndian.AppendUint16(b, from)
		ttls := make([]byte, 34)
		for _, i := range to {
			ttls[i] = m.ttl
		}
		b = append(b, ttls...)
		b = append(b, make([]byte, 16)...)
	}
	if o.IsUnspecified() {
		m.set(mrtAddAny, b)
	} else {
		m.set(mrtAddMFC, b)
	}
}

// send puts a UDP datagram of 8 bytes onto the wire, out of an interface. A
// unicast one is for the interface at the other end.
func send(t testing.TB, dev, from, to string) {
	t.Helper()
	i, err := net.InterfaceByName(dev)
	if err != nil {
		t.Fatal(err)
	}
	src, dst := netip.MustParseAddr(from), netip.MustParseAddr(to)
	udp := []byte{0x12, 0x34, 0x12, 0x34, 0, 8, 0, 0}
	var frame []byte
	protocol := uint16(unix.ETH_P_IP)
	mac := [8]byte{0: 1, 2: 0x5e}
	if dst.Is4() {
		d := dst.As4()
		copy(mac[3:], d[1:])
		mac[3] &= 0x7f
		frame = []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 9, unix.IPPROTO_UDP, 0, 0}
		frame = append(append(frame, src.AsSlice()...), dst.AsSlice()...)
		sum := uint32(0)
		for i := 0; i < len(frame); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(frame[i:]))
		}
		for sum > 0xffff {
			sum = sum>>16 + sum&0xffff
		}
		binary.BigEndian.PutUint16(frame[10:], ^uint16(sum))
	} else {
		protocol = unix.ETH_P_IPV6
		d := dst.As16()
		mac = [8]byte{0x33, 0x33, d[12], d[13], d[14], d[15]}
		frame = []byte{0x60, 0, 0, 0, 0, 8, unix.IPPROTO_UDP, 9}
		frame = append(append(frame, src.AsSlice()...), dst.AsSlice()...)
	}
	frame = append(frame, udp...)
	if !dst.IsMulticast() {
		peer, err := net.InterfaceByName(strings.TrimSuffix(dev, "p"))
		if err != nil {
			t.Fatal(err)
		}
		copy(mac[:], peer.HardwareAddr)
	}
	big := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, protocol))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Protocol: big, Ifindex: i.Index, Halen: 6,
		Addr: mac}); err != nil {
		t.Fatal(err)
	}
}

// TestMulticastRouting makes entries of the kernel's multicast routing, which a
// dump of all families brings too, and sends packets to see their counters. The
// rows are compared with ip mroute.
func TestMulticastRouting(t *testing.T) {
	nstest.New(t)
	network(t)
	v := newIPView(t)
	index := func(dev string) uint32 { return number(v.links[dev]["dev_index"]) }
	for _, f := range []struct {
		family, origin, group, any string
	}{
		{"ipmr", "10.0.0.9", "239.1.1.", "0.0.0.0"},
		{"ip6mr", "fd00::9", "ff05::", "::"},
	} {
		m := newMulticastRouter(t, f.family == "ip6mr", 0)
		m.addInterface(0, index("v0"))
		m.addInterface(1, index("v1"))
		m.addInterface(2, index("br0"))
		m.add(f.origin, f.group+"1", 0, 1, 2)
		m.ttl = 254
		m.add(f.origin, f.group+"2", 0, 1)
		m.ttl = 2
		m.add(f.any, f.group+"3", 1, 0, 1)
		first := m
		m = newMulticastRouter(t, f.family == "ip6mr", 77)
		m.addInterface(5, index("v1"))
		m.add(f.origin, f.group+"1", 5)
		for range 3 {
			send(t, "v0p", f.origin, f.group+"1")
		}
		send(t, "v1p", f.origin, f.group+"1") // through the wrong interface
		// Nothing is known about this one: unresolved for 10 seconds, which are over sooner than a slow try.
		unresolved := func() { send(t, "v0p", f.origin, f.group+"9") }
		eventually(t, func() string { unresolved(); return multicastCounted(t, f.family, f.group) })
		eventually(t, func() string {
			unresolved()
			before := multicastRoutes(t, f.family)
			want := ipMulticast(t, v, f.family)
			after := multicastRoutes(t, f.family)
			return compareMulticast(before, want, after)
		})
		first.add(f.origin, f.group+"9", 0, 1) // or it would go by itself while what follows compares
	}
	compareAll(t)
}

// eventually tries until there is no complaint.
func eventually(t testing.TB, try func() (complaint string)) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); ; {
		complaint := try()
		if complaint == "" {
			return
		}
		if time.Now().After(limit) {
			t.Fatal(complaint)
		}
	}
}

func multicastRoutes(t testing.TB, family string) []route {
	t.Helper()
	var all []route
	for _, r := range kernelRoutes(t) {
		if r.row["family"] == family {
			all = append(all, r)
		}
	}
	return all
}

// multicastCounted complains unless the packets that were sent have been counted.
func multicastCounted(t testing.TB, family, group string) string {
	t.Helper()
	all := multicastRoutes(t, family)
	counted, unresolved := false, false
	for _, r := range all {
		if strings.HasPrefix(r.row["dst"], group+"1/") && r.row["table_id"] != "77" {
			counted = atoi(r.row["mfc_packets"]) >= 4 && atoi(r.row["mfc_bytes"]) >= 4*28 &&
				atoi(r.row["mfc_wrong_if"]) >= 1
		}
		if strings.HasPrefix(r.row["dst"], group+"9/") {
			unresolved = r.row["flag_names"] == "unresolved" && r.row["iif"] == "" && r.row["mfc_packets"] == ""
		}
	}
	if counted && unresolved && len(all) == 5 {
		return ""
	}
	return fmt.Sprint("counters, or the unresolved one, are missing: ", all)
}

// ipMulticast returns what ip mroute says. Its nexthops are the interfaces that
// packets leave through, with the TTL above which they do.
func ipMulticast(t testing.TB, v *ipView, family string) []route {
	t.Helper()
	flag, of, bits := "-4", "ipv4", "/32"
	if family == "ip6mr" {
		flag, of, bits = "-6", "ipv6", "/128"
	}
	var all []route
	names, numbers := ipJSON(t, flag+" -s -d -j mroute show table all"),
		ipJSON(t, flag+" -N -s -d -j mroute show table all")
	for i, o := range names {
		r := route{row: row{"family": family, "type": "multicast", "table_name": o.text("table"),
			"table_id": numbers[i].text("table")}}
		for _, m := range o {
			s := jsonText(m.value)
			switch m.key {
			case "src", "dst":
				p, _ := v.prefix(of, s+bits)
				r.row[m.key] = p
			case "iif":
				if s != "unresolved" {
					r.row["iif"] = s
				}
			case "packets", "bytes", "wrong_if":
				r.row["mfc_"+m.key] = s
			case "expires": // seconds since the last use, with hundredths
				r.row["expires"], _, _ = strings.Cut(s, ".")
			case "state":
				if s == "unresolved" {
					r.row["flag_names"] = s
				} else if r.row["mfc_wrong_if"] == "" {
					r.row["mfc_wrong_if"] = "0" // not printed
				}
			case "multipath":
				for _, h := range objects(m.value) {
					ttl := cmp.Or(h.text("ttl"), "1")
					hop := row{"dev": h.text("oif"), "ttl_threshold": ttl}
					maps.Copy(hop, v.links[hop["dev"]])
					r.hops = append(r.hops, hop)
				}
			case "table":
			default:
				t.Fatalf("ip mroute printed %q, of which this test knows nothing: %v", m.key, o)
			}
		}
		addKeys(r.row)
		for _, h := range r.hops { // what it tells of its route
			for _, k := range []string{"type", "dst_first", "dst_last", "src_first", "src_last"} {
				h[k] = r.row[k]
			}
			_, h["dst_len"], _ = strings.Cut(bits, "/")
			h["scope"], h["tos"] = "global", "0"
		}
		all = append(all, r)
	}
	return all
}

// compareMulticast complains where rows are not as ip says. Ages grow, so that
// ip's lies between two of ours.
func compareMulticast(before, want, after []route) string {
	if len(before) != len(want) || len(after) != len(want) {
		return fmt.Sprintf("%d, %d and %d rows", len(before), len(want), len(after))
	}
	shown := []string{"family", "type", "table_name", "table_id", "src", "dst", "iif", "mfc_packets", "mfc_bytes",
		"mfc_wrong_if", "flag_names", "nexthop_count", "dst_first", "dst_last", "src_first", "src_last"}
	key := func(r route) string { return r.row.name() }
	for _, w := range want {
		w.row["nexthop_count"] = fmt.Sprint(len(w.hops))
		b := slices.IndexFunc(before, func(r route) bool { return key(r) == key(w) })
		a := slices.IndexFunc(after, func(r route) bool { return key(r) == key(w) })
		if b < 0 || a < 0 {
			return fmt.Sprint("no row for ", w)
		}
		got := before[b]
		for _, k := range shown {
			if got.row[k] != w.row[k] {
				return fmt.Sprintf("%s is %q, ip says %q: %v", k, got.row[k], w.row[k], got.row)
			}
		}
		for i, h := range w.hops {
			for k, v := range h {
				if got.hops[i][k] != v || got.hops[i]["weight"] != "" {
					return fmt.Sprintf("%s of nexthop %v, ip says %v", k, got.hops[i], h)
				}
			}
		}
		age := []string{got.row["expires"], w.row["expires"], after[a].row["expires"]}
		if slices.Contains(age, "") {
			if age[0] != age[1] || age[1] != age[2] {
				return fmt.Sprintf("expires %q", age)
			}
		} else if atoi(age[0]) > atoi(age[1]) || atoi(age[1]) > atoi(age[2]) {
			return fmt.Sprintf("expires %q", age)
		}
	}
	return ""
}

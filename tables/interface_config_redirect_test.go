package tables_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

// sum16 is the checksum of the Internet.
func sum16(b []byte) uint16 {
	sum := uint32(0)
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// icmpPacket is an IP packet with an ICMP message, whose checksum is yet to be worked out.
func icmpPacket(from, to string, message ...byte) []byte {
	src, dst := netip.MustParseAddr(from).AsSlice(), netip.MustParseAddr(to).AsSlice()
	if len(src) == 4 {
		binary.BigEndian.PutUint16(message[2:], sum16(message))
		b := []byte{0x45, 0, 0, byte(20 + len(message)), 0, 0, 0, 0, 64, unix.IPPROTO_ICMP, 0, 0}
		b = append(append(b, src...), dst...)
		binary.BigEndian.PutUint16(b[10:], sum16(b))
		return append(b, message...)
	}
	addrs := append(src, dst...)
	pseudo := append(addrs[:32:32], 0, 0, 0, byte(len(message)), 0, 0, 0, unix.IPPROTO_ICMPV6)
	binary.BigEndian.PutUint16(message[2:], sum16(append(pseudo, message...)))
	b := []byte{0x60, 0, 0, 0, 0, byte(len(message)), unix.IPPROTO_ICMPV6, 255}
	return append(append(b, addrs...), message...)
}

// sendFrame has v0 receive a packet from the other end.
func sendFrame(t *testing.T, protocol uint16, packet []byte) {
	t.Helper()
	v0, err := net.InterfaceByName("v0")
	if err != nil {
		t.Fatal(err)
	}
	v0p, err := net.InterfaceByName("v0p")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	to := &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: v0p.Index, Halen: 6}
	copy(to.Addr[:], v0.HardwareAddr)
	if err := unix.Sendto(fd, packet, 0, to); err != nil {
		t.Fatal(err)
	}
}

// received returns a counter of /proc/net/snmp6, or what /proc/net/snmp has of ICMP.
func received(t *testing.T, name string) string {
	t.Helper()
	file, prefix := "/proc/thread-self/net/snmp6", name+" "
	if name == "" {
		file, prefix = "/proc/thread-self/net/snmp", "IcmpMsg: "
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var lines string
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, prefix) {
			lines += line
		}
	}
	return lines
}

// A hostAdvice is what another host tells v0, and how it shows that it was taken.
type hostAdvice struct {
	family, setting string
	values          int
	protocol        uint16
	packet          func() []byte
	counter         string // that it came
	shown, taken    string // by ip, if it was taken
	forget          string // with ip
}

// redirect4 tells that 50.0.0.1 is better reached through 10.0.0.10, in answer to an echo reply.
func redirect4() []byte {
	about := icmpPacket("10.0.0.1", "50.0.0.1", 0, 0, 0, 0, 0, 1, 0, 1)
	return icmpPacket("10.0.0.9", "10.0.0.1", append([]byte{5, 1, 0, 0, 10, 0, 0, 10}, about...)...)
}

// redirect6 tells that 2001:db8::1 is better reached through fe80::10.
func redirect6() []byte {
	about := icmpPacket("fd00::1", "2001:db8::1", 128, 0, 0, 0, 0, 1, 0, 1)
	b := append(make([]byte, 0, 128), 137, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, netip.MustParseAddr("fe80::10").AsSlice()...)
	b = append(b, netip.MustParseAddr("2001:db8::1").AsSlice()...)
	b = append(b, 2, 1, 2, 0, 0, 0, 0, 10, 4, byte((8+len(about))/8), 0, 0, 0, 0, 0, 0)
	return icmpPacket("fe80::9", "fd00::1", append(b, about...)...)
}

// routerAdvertisement tells of the prefix fd77::/64.
func routerAdvertisement() []byte {
	b := append(make([]byte, 0, 64), 134, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, 3, 4, 64, 0x80, 0, 0, 14, 16, 0, 0, 14, 16, 0, 0, 0, 0)
	return icmpPacket("fe80::9", "fd00::1", append(b, netip.MustParseAddr("fd77::").AsSlice()...)...)
}

// took reports whether advice was taken. If it is to be, it is waited for.
func (a *hostAdvice) took(t *testing.T, expected bool) bool {
	t.Helper()
	before := received(t, a.counter)
	sendFrame(t, a.protocol, a.packet())
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		came := received(t, a.counter) != before
		taken := strings.Contains(nstest.IP(t, a.shown), a.taken)
		if taken || came && !expected {
			return taken
		}
		if late := time.Since(start); late > time.Minute || came && late > 5*time.Second {
			return false
		}
	}
}

// TestEffectiveAdvice has an interface redirected, and advertised to, with every combination of
// what all accepts, of what it accepts itself, and of whether either forwards: what the kernel
// takes is what holds.
func TestEffectiveAdvice(t *testing.T) {
	configNetwork(t)
	for _, neighbour := range []string{"10.0.0.9", "10.0.0.10", "fe80::9", "fe80::10"} {
		nstest.IP(t, "neigh replace "+neighbour+" lladdr 02:00:00:00:00:0a dev v0 nud permanent")
	}
	nstest.IP(t, "route add default via 10.0.0.9 dev v0")
	for _, a := range []hostAdvice{
		{"ipv4", "accept_redirects", 2, unix.ETH_P_IP, redirect4, "", "route get 50.0.0.1", "via 10.0.0.10 ",
			"-4 route flush cache"},
		{"ipv6", "accept_redirects", 2, unix.ETH_P_IPV6, redirect6, "Icmp6InRedirects", "-6 route get 2001:db8::1",
			"via fe80::10 ", "-6 route flush cache"},
		{"ipv6", "accept_ra", 3, unix.ETH_P_IPV6, routerAdvertisement, "Icmp6InRouterAdvertisements",
			"-6 route show table main", "fd77::/64", "-6 route flush fd77::/64"},
	} {
		conf, seen := "net."+a.family+".conf.", map[bool]bool{}
		for n := range 4 * a.values * a.values {
			all, dev := n/4/a.values, n/4%a.values
			nstest.Sysctl(t, conf+"all.forwarding", fmt.Sprint(n&1))
			nstest.Sysctl(t, conf+"v0.forwarding", fmt.Sprint(n>>1&1))
			nstest.Sysctl(t, conf+"all."+a.setting, fmt.Sprint(all))
			nstest.Sysctl(t, conf+"v0."+a.setting, fmt.Sprint(dev))
			nstest.IP(t, "-6 route replace default via fe80::9 dev v0")
			v := effectiveOf(t, a.family, "v0", a.setting)
			taken := a.took(t, v != 0)
			if taken != (v != 0) {
				t.Errorf("%s of %s, all %d, v0 %d, forwarding all %d, v0 %d: %d holds, and it was taken: %v", a.setting,
					a.family, all, dev, n&1, n>>1&1, v, taken)
			}
			seen[taken] = true
			nstest.IP(t, a.forget)
		}
		if len(seen) != 2 {
			t.Errorf("%s of %s makes no difference", a.setting, a.family)
		}
	}
}

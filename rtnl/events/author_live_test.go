package events

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/author"
	"kernelroutes/rtnl/object"
)

// wantEvents compares events with what textOf makes of them.
func wantEvents(t *testing.T, got []*Event, want ...string) {
	t.Helper()
	if !slices.Equal(textsOf(got), want) {
		t.Fatalf("got\n%s\nwant\n%s", strings.Join(textsOf(got), "\n"), strings.Join(want, "\n"))
	}
}

// An rtentry is struct rtentry.
type rtentry struct {
	_                  uintptr
	dst, gateway, mask unix.RawSockaddrInet4
	flags              uint16
	_                  int16
	_, _               uintptr
	metric             int16
	dev, mtu, window   uintptr
	irtt               uint16
}

// TestIoctl changes routes in the old way, so that nobody is named.
func TestIoctl(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ask := func(request uintptr, gateway byte) {
		const up, gatewayed = 1, 2 // RTF_UP, RTF_GATEWAY
		r := rtentry{flags: up | gatewayed, dst: unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{20}},
			gateway: unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{10, 0, 0, gateway}},
			mask:    unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{255}}}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&r))); errno != 0 {
			t.Fatal(errno)
		}
	}
	got := following(t, 3, func() {
		ask(unix.SIOCADDRT, 2)
		ask(unix.SIOCDELRT, 2)
		nstest.IP(t, "route add 21.0.0.0/8 via 10.0.0.2")
	})
	wantEvents(t, got, "added route 254 20.0.0.0/8 10.0.0.2", "deleted route 254 20.0.0.0/8 10.0.0.2",
		"added route 254 21.0.0.0/8 10.0.0.2")
	if e := got[0]; !e.Told || e.Port != 0 || e.Certainty != author.Unknown {
		t.Errorf("told %v by port %d, %v", e.Told, e.Port, e.Certainty)
	}
	if e := got[2]; !e.Told || e.Port == 0 || e.Certainty == author.Kernel {
		t.Errorf("told %v by port %d, %v", e.Told, e.Port, e.Certainty)
	}
}

// advertisement is an Ethernet frame with a router's advertisement, from fe80::1.
func advertisement(source net.HardwareAddr, seconds uint16) []byte {
	icmp := nltest.Cat([]byte{134, 0, 0, 0, 64, 0}, nltest.BE(seconds), make([]byte, 8))
	from, to := netip.MustParseAddr("fe80::1"), netip.MustParseAddr("ff02::1")
	pseudo := nltest.Cat(from.AsSlice(), to.AsSlice(), nltest.BE(uint32(len(icmp))), []byte{0, 0, 0, 58}, icmp)
	var sum uint32
	for i := 0; i < len(pseudo); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(pseudo[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(icmp[2:], ^uint16(sum))
	return nltest.Cat([]byte{0x33, 0x33, 0, 0, 0, 1}, source, []byte{0x86, 0xdd}, []byte{0x60, 0, 0, 0},
		nltest.BE(uint16(len(icmp))), []byte{58, 255}, from.AsSlice(), to.AsSlice(), icmp)
}

// put puts a frame onto the wire, out of an interface.
func put(t *testing.T, dev string, frame func(net.HardwareAddr) []byte) {
	t.Helper()
	i, err := net.InterfaceByName(dev)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, frame(i.HardwareAddr), 0, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
		t.Fatal(err)
	}
}

// TestAdvertisement has the kernel add a route by a router's advertisement, and take it away when
// that has expired and the kernel looks, as it does where an interface goes down.
func TestAdvertisement(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "fd00::1/64")
	nstest.Veth(t, "v1")
	got := following(t, 2, func() {
		put(t, "v0p", func(mac net.HardwareAddr) []byte { return advertisement(mac, 1) })
		for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			nstest.IP(t, "link set v1p down")
			nstest.IP(t, "link set v1p up")
			out := nstest.IP(t, "-6 route show default")
			if out == "" && time.Since(start) > time.Second || time.Since(start) > 8*time.Second {
				return
			}
		}
	})
	// Newer kernels tell of the route's lifetime, too.
	got = slices.DeleteFunc(got, func(e *Event) bool { return e.Action == Replaced })
	wantEvents(t, got, "added route 254 ::/0 metric 1024 fe80::1", "deleted route 254 ::/0 metric 1024 fe80::1")
	for _, e := range got {
		if !e.Told || e.Port != 0 || e.Certainty != author.Kernel {
			t.Errorf("%s: told %v by port %d, %v", textOf(e), e.Told, e.Port, e.Certainty)
		}
	}
}

// TestMulticast has entries that are resolved only after a packet came.
func TestMulticast(t *testing.T) {
	const initRouter, addInterface, addEntry = 200, 202, 204 // MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	nstest.Veth(t, "v1", "10.1.0.1/16")
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_IGMP)
	if err != nil {
		t.Fatal(err)
	}
	open := true
	defer func() {
		if open {
			unix.Close(fd)
		}
	}()
	set := func(option int, value ...[]byte) {
		t.Helper()
		if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, option, string(nltest.Cat(value...))); err != nil {
			t.Fatalf("multicast routing, option %d: %v", option, err)
		}
	}
	set(initRouter, nltest.NE(uint32(1)))
	for vif, index := range []uint32{3, 5} {
		const byIndex = 8 // VIFF_USE_IFINDEX
		set(addInterface, nltest.NE(uint16(vif)), []byte{byIndex, 1, 0, 0, 0, 0}, nltest.NE(index), make([]byte, 4))
	}
	got := following(t, 3, func() {
		origin, group := []byte{10, 0, 0, 9}, []byte{239, 1, 1, 1}
		put(t, "v0p", func(mac net.HardwareAddr) []byte {
			ip := nltest.Cat([]byte{0x45, 0, 0, 20, 0, 0, 0, 0, 9, 253, 0, 0}, origin, group)
			var sum uint32
			for i := 0; i < len(ip); i += 2 {
				sum += uint32(binary.BigEndian.Uint16(ip[i:]))
			}
			binary.BigEndian.PutUint16(ip[10:], ^uint16(sum>>16+sum&0xffff))
			return nltest.Cat([]byte{1, 0, 0x5e, 1, 1, 1}, mac, []byte{8, 0}, ip)
		})
		for start := time.Now(); !strings.Contains(nstest.IP(t, "mroute show"), "unresolved"); {
			if time.Since(start) > 10*time.Second {
				t.Error("no packet came")
				return
			}
		}
		set(addEntry, origin, group, nltest.NE(uint16(0)), nltest.With(make([]byte, 34), 1, 1), make([]byte, 16))
		unix.Close(fd)
		open = false
	})
	for _, e := range got {
		if e.Port != 0 || e.Certainty != author.Kernel {
			t.Errorf("%s: port %d, %v", textOf(e), e.Port, e.Certainty)
		}
	}
	wantEvents(t, got, "added route 253 239.1.1.1/32", "replaced route 253 239.1.1.1/32 if5 was 253 239.1.1.1/32",
		"deleted route 253 239.1.1.1/32")
}

// linkNames returns the names of the links that an event refers to.
func linkNames(e *Event) (names []string) {
	for _, run := range e.Referred {
		var l object.Link
		if run.Kind() == object.Links.Kind && object.Decode(run, object.Links, &l) {
			names = append(names, l.Name)
		}
	}
	return names
}

// TestReferred sees the names that interfaces had when something happened.
func TestReferred(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	nstest.Veth(t, "v1", "10.1.0.1/16")
	got := following(t, 5, func() {
		nstest.Batch(t, "-N",
			"route add 20.0.0.0/8 via 10.0.0.2",
			"link set v0 name x0",
			"nexthop add id 1 via 10.0.0.2 dev x0",
			"route replace 20.0.0.0/8 nhid 1",
			"link del x0",
		)
	})
	var names []string
	for _, e := range got {
		names = append(names, textOf(e)+": "+strings.Join(linkNames(e), " "))
	}
	want := []string{"added route 254 20.0.0.0/8 10.0.0.2: v0", "added nexthop 1 10.0.0.2 []: x0",
		"replaced route 254 20.0.0.0/8 nhid 1 10.0.0.2 was 254 20.0.0.0/8 10.0.0.2: x0",
		"replaced link x0: ", "gone nexthop 1 10.0.0.2 []: x0", "gone route 254 20.0.0.0/8 nhid 1 10.0.0.2: x0"}
	if !slices.Equal(names, want) {
		t.Errorf("got\n%s", strings.Join(names, "\n"))
	}
}

// TestMoved moves an interface to another network namespace.
func TestMoved(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16", "fd00::1/64")
	other := exec.Command("sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	nstest.Batch(t, "-N", "route add 20.0.0.0/8 via 10.0.0.2", "nexthop add id 1 via 10.0.0.2 dev v0",
		"route add 21.0.0.0/8 nhid 1", "route add fd20::/64 via fd00::2")
	got := following(t, 5, func() { nstest.IP(t, "link set v0 netns "+strconv.Itoa(other.Process.Pid)) })
	wantEvents(t, got, "replaced link v0", "gone nexthop 1 10.0.0.2 []", "gone route 254 20.0.0.0/8 10.0.0.2",
		"gone route 254 21.0.0.0/8 nhid 1 10.0.0.2", "deleted route 254 fd20::/64 metric 1024 fd00::2")
	for _, e := range got {
		if e.Kind == object.Routes.Kind && !slices.Equal(linkNames(e), []string{"v0"}) {
			t.Errorf("%s refers to %v", textOf(e), linkNames(e))
		}
	}
}

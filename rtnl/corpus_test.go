package rtnl

import (
	"context"
	"encoding/binary"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
)

var update = flag.Bool("update", false, "write this kernel's messages to testdata/fuzz, where fuzz targets begin")

// TestCorpus makes routes of many kinds, and checks the kernel's messages about
// them as fuzz targets do. With -update it writes them to testdata/fuzz:
//
//	go test ./rtnl -run TestCorpus -update
func TestCorpus(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 && *update {
		t.Fatal("the corpus is little-endian")
	}
	nstest.New(t)
	nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", "0")
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.0.1.1/24", "fd01::1/64")
	nstest.IP(t, "nexthop add id 1 via 10.0.0.2 dev v0 onlink")
	nstest.IP(t, "nexthop add id 2 via 10.0.1.2 dev v1 proto 186")
	nstest.IP(t, "nexthop add id 3 group 1,5/2,255")
	nstest.IP(t, "nexthop add id 4 blackhole")
	nstest.IP(t, "nexthop add id 5 group 2,200 type resilient buckets 8")
	nstest.IP(t, "-6 nexthop add id 6 encap seg6 mode encap segs fd00::9,fd00::a via fd00::2 dev v0")
	four := map[string]string{
		"10.1.0.0/16":  "via 10.0.0.3 mtu lock 1400 advmss 1300 congctl reno features ecn rto_min 200ms quickack 1",
		"10.2.0.0/16":  "nexthop via 10.0.0.2 dev v0 weight 3 onlink nexthop via 10.0.1.2 realm 1/2 nexthop via inet6 fd00::2 dev v0",
		"10.3.0.0/16":  "nhid 1",
		"10.4.0.0/16":  "nhid 3 table 1000",
		"10.5.0.0/16":  "nhid 4",
		"10.6.0.0/16":  "via inet6 fd00::2 dev v0 src 10.0.0.1 metric 7 realm 3 table 4294967294",
		"10.7.0.0/16":  "encap ip id 42 dst 10.0.0.2 ttl 9 dev v0 tos 0x10",
		"10.8.0.0/16":  "nexthop encap seg6 mode encap segs fd00::9 via 10.0.0.2 dev v0 nexthop via 10.0.1.2",
		"10.9.0.0/16":  "table 1000 throw",
		"10.10.0.0/16": "via 10.0.0.2 window 4096 rtt 100ms rttvar 50ms ssthresh 10 cwnd lock 20 reordering 5 hoplimit 9 initcwnd 11 initrwnd 12 fastopen_no_cookie 1",
	}
	six := map[string]string{
		"fd02::/64": "from fd03::/48 via fd00::2 pref high expires 1000",
		"fd04::/64": "nexthop via fd00::2 nexthop via fd01::2 weight 9",
		"fd05::/64": "encap seg6 mode encap segs fd00::9 dev v0 mtu 1300",
		"fd06::/64": "table 1000 unreachable metric 4294967295",
		"fd07::/64": "nhid 6",
		"fd08::/64": "encap seg6local action End.DT6 table 7 count dev v0",
	}
	for _, part := range []struct {
		family string
		routes map[string]string
	}{{"-4", four}, {"-6", six}} {
		var lines []string
		for dst, args := range part.routes {
			typ := ""
			for _, word := range []string{"throw", "unreachable"} {
				if before, after, ok := cutWord(args, word); ok {
					typ, args = word+" ", before+after
				}
			}
			lines = append(lines, "route add "+typ+dst+" "+args)
		}
		nstest.Batch(t, part.family, lines...)
	}
	multicastRoute(t, "v0", "v1")

	s, err := new(Kernel).Read(context.Background(), Request{raw: true})
	if err != nil {
		t.Fatal(err)
	}
	missing := len(four) + len(six) + 1
	for c := s.Cursor(AllFields); c.Next(); {
		r := c.Route()
		checkRoute(t, c.msg)
		checkRouteFields(t, c.msg, 0x00aaaaaa)
		_, is4 := four[r.Dst.String()]
		_, is6 := six[r.Dst.String()]
		if !is4 && !is6 && r.Family != IPMR {
			continue
		}
		missing--
		if len(r.Unknown) > 0 {
			t.Errorf("%v has unknown attributes %v", r.Dst, r.Unknown)
		}
		name := "kernel-" + strings.NewReplacer(":", "_", "/", "-").Replace(r.Family.String()+"-"+r.Dst.String())
		seedFile(t, "FuzzRoute", name, c.msg, uint32(0x00ffffff))
		for _, a := range split(t, c.msg[rtmsgLen:]) {
			switch a.Type {
			case rtaMultipath:
				checkHops(t, a.Data)
				seedFile(t, "FuzzMultipath", name, a.Data)
			case rtaMetrics:
				checkMetrics(t, a.Data)
				seedFile(t, "FuzzMetrics", name, a.Data)
			}
		}
	}
	if missing != 0 {
		t.Errorf("%d routes are missing", missing)
	}
	for b := s.rawObjects; len(b) > 0; b = b[align4(int(u32(b))):] {
		msg := b[unix.NLMSG_HDRLEN:u32(b)]
		checkNexthop(t, msg)
		var o NexthopObject
		if err := o.UnmarshalBinary(msg); err != nil {
			t.Fatal(err)
		}
		seedFile(t, "FuzzNexthop", fmt.Sprint("kernel-", o.ID), msg)
	}
	for b := s.rawLinks; len(b) > 0; b = b[align4(int(u32(b))):] {
		msg := b[unix.NLMSG_HDRLEN:u32(b)]
		checkLink(t, msg)
		var l Link
		if err := l.UnmarshalBinary(msg); err != nil {
			t.Fatal(err)
		}
		if l.Name == "lo" || l.Name == "v0" {
			seedFile(t, "FuzzLink", "kernel-"+l.Name, msg)
		}
	}
	for name, b := range map[string][]byte{
		"routes": answer(t, unix.RTM_GETROUTE, dumpRequest{table: 1000}.appendTo(nil)),
		"error":  answer(t, unix.RTM_GETROUTE, []byte{2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}), // no dump of one destination
	} {
		checkDatagram(t, b, u32(b[8:]))
		seedFile(t, "FuzzDatagram", "kernel-"+name, b, u32(b[8:]))
	}
}

// cutWord cuts a word out of words.
func cutWord(words, word string) (before, after string, ok bool) {
	for i := range words {
		if len(words)-i >= len(word) && words[i:i+len(word)] == word {
			return words[:i], words[i+len(word):], true
		}
	}
	return words, "", false
}

// seedFile writes a file of a fuzz target's corpus.
func seedFile(t *testing.T, target, name string, values ...any) {
	if !*update {
		return
	}
	text := "go test fuzz v1\n"
	for _, v := range values {
		switch v := v.(type) {
		case []byte:
			text += fmt.Sprintf("[]byte(%q)\n", v)
		case uint32:
			text += fmt.Sprintf("uint32(%d)\n", v)
		}
	}
	folder := filepath.Join("testdata", "fuzz", target)
	if err := os.MkdirAll(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// answer returns the first datagram of a dump.
func answer(t *testing.T, typ uint16, data []byte) []byte {
	s, _, err := dialKernel(context.Background(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	m := netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(typ), Flags: netlink.Request | netlink.Dump}, Data: data}
	if _, err := s.send(m); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, maxDatagram)
	n, err := s.receive(buf, false)
	if err != nil {
		t.Fatal(err)
	}
	return buf[:n]
}

// multicastRoute makes a multicast route from one interface to another. It lasts
// as long as the socket that made it.
func multicastRoute(t *testing.T, from, to string) {
	const (
		mrtInit, mrtAddVIF, mrtAddMFC = 200, 202, 204
		vifUseIfindex                 = 8
	)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_IGMP)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, mrtInit, 1); err != nil {
		t.Fatalf("MRT_INIT: %v", err)
	}
	for i, name := range []string{from, to} {
		var vif struct { // struct vifctl
			vif              uint16
			flags, threshold uint8
			rate             uint32
			ifindex          int32
			remote           [4]byte
		}
		vif.vif, vif.flags, vif.threshold, vif.ifindex = uint16(i), vifUseIfindex, 1, ifindex(t, name)
		b := unsafe.String((*byte)(unsafe.Pointer(&vif)), unsafe.Sizeof(vif))
		if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, mrtAddVIF, b); err != nil {
			t.Fatalf("MRT_ADD_VIF: %v", err)
		}
	}
	var mfc struct { // struct mfcctl
		origin, group              [4]byte
		parent                     uint16
		ttls                       [32]uint8
		packets, bytes, wrong, exp uint32
	}
	mfc.origin, mfc.group = netip.MustParseAddr("10.0.0.7").As4(), netip.MustParseAddr("239.1.2.3").As4()
	mfc.ttls[1] = 1
	b := unsafe.String((*byte)(unsafe.Pointer(&mfc)), unsafe.Sizeof(mfc))
	if err := unix.SetsockoptString(fd, unix.IPPROTO_IP, mrtAddMFC, b); err != nil {
		t.Fatalf("MRT_ADD_MFC: %v", err)
	}
}

func ifindex(t *testing.T, name string) int32 {
	s, err := new(Kernel).Read(context.Background(), Request{Links: true})
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range s.links {
		if l.Name == name {
			return int32(i)
		}
	}
	t.Fatalf("no interface %s", name)
	return 0
}

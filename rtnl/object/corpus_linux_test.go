package object_test

import (
	"flag"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	. "kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

var update = flag.Bool("update", false, "write this kernel's messages to testdata/fuzz, where fuzz targets begin")

// TestCorpus makes routes of many kinds, and checks the kernel's messages about
// them as fuzz targets do. With -update it writes them to testdata/fuzz:
//
//	go test ./rtnl/object -run TestCorpus -update
func TestCorpus(t *testing.T) {
	four, six := corpusRoutes(t)
	missing := len(four) + len(six) + 1
	var m Message
	var r Route
	for _, msg := range dump(t, RTM_GETROUTE, DumpRequest{}.AppendTo(nil)) {
		payload := wire.Payload(msg)
		checkRoute(t, payload)
		checkRouteFields(t, payload, 0x00aaaaaa)
		if err := Routes.Check(&m, msg); err != nil {
			t.Fatal(err)
		}
		r.Decode(&m, AllFields)
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
		seed(t, "FuzzRoute", name, payload, uint32(0x00ffffff))
		for _, a := range split(t, m.Attributes()) {
			switch a.Type {
			case RTA_MULTIPATH:
				checkHops(t, a.Data)
				seed(t, "FuzzMultipath", name, a.Data)
			case RTA_METRICS:
				checkMetrics(t, a.Data)
				seed(t, "FuzzMetrics", name, a.Data)
			}
		}
	}
	if missing != 0 {
		t.Errorf("%d routes are missing", missing)
	}
	for _, msg := range dump(t, RTM_GETNEXTHOP, NexthopObjects.Details(0)) {
		payload := wire.Payload(msg)
		checkNexthop(t, payload)
		var o NexthopObject
		if err := o.UnmarshalBinary(payload); err != nil {
			t.Fatal(err)
		}
		if len(o.Unknown) > 0 || o.Resilient.Buckets.OK != (o.GroupType == 1) || o.HWStats.OK != (o.Group != nil) ||
			len(o.Stats) != len(o.Group) || o.FDB != (o.ID >= 8) {
			t.Errorf("%+v", o)
		}
		seed(t, "FuzzNexthop", fmt.Sprint("kernel-", o.ID), payload)
	}
	for _, msg := range dump(t, RTM_GETNETCONF, Netconfs.Request(0)) {
		payload := wire.Payload(msg)
		checkNetconf(t, payload)
		var n Netconf
		if err := n.UnmarshalBinary(payload); err != nil || len(n.Unknown) > 0 || !n.Index.OK {
			t.Fatalf("%v, %+v", err, n)
		}
		switch n.Index.V {
		case NetconfAll, NetconfDefault, 1:
			seed(t, "FuzzNetconf", fmt.Sprintf("kernel-%s-%d", n.Family, int32(n.Index.V)), payload)
		}
	}
	for _, msg := range dump(t, RTM_GETLINK, Links.Request(0)) {
		payload := wire.Payload(msg)
		checkLink(t, payload)
		var l Link
		if err := l.UnmarshalBinary(payload); err != nil {
			t.Fatal(err)
		}
		if l.Name == "lo" || l.Name == "v0" {
			seed(t, "FuzzLink", "kernel-"+l.Name, payload)
		}
	}
}

// corpusRoutes makes a namespace with routes of many kinds, and a multicast route.
func corpusRoutes(t *testing.T) (four, six map[string]string) {
	nstest.New(t)
	nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", "0")
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.0.1.1/24", "fd01::1/64")
	nstest.IP(t, "nexthop add id 1 via 10.0.0.2 dev v0 onlink")
	nstest.IP(t, "nexthop add id 2 via 10.0.1.2 dev v1 proto 186")
	nstest.IP(t, "nexthop add id 3 group 1,5/2,255")
	nstest.IP(t, "nexthop add id 4 blackhole")
	nstest.IP(t, "nexthop add id 5 group 2,200 type resilient buckets 8")
	nstest.IP(t, "nexthop add id 7 group 1,200/2,100 type resilient buckets 32 idle_timer 60 unbalanced_timer 300")
	nstest.IP(t, "nexthop add id 8 via 10.0.0.7 fdb")
	nstest.IP(t, "nexthop add id 9 group 8 fdb")
	nstest.IP(t, "-6 nexthop add id 6 encap seg6 mode encap segs fd00::9,fd00::a via fd00::2 dev v0")
	four = map[string]string{
		"10.1.0.0/16": "via 10.0.0.3 mtu lock 1400 advmss 1300 congctl reno features ecn rto_min 200ms quickack 1",
		"10.2.0.0/16": "nexthop via 10.0.0.2 dev v0 weight 3 onlink nexthop via 10.0.1.2 realm 1/2 nexthop via " +
			"inet6 fd00::2 dev v0",
		"10.3.0.0/16": "nhid 1",
		"10.4.0.0/16": "nhid 3 table 1000",
		"10.5.0.0/16": "nhid 4",
		"10.6.0.0/16": "via inet6 fd00::2 dev v0 src 10.0.0.1 metric 7 realm 3 table 4294967294",
		"10.7.0.0/16": "encap ip id 42 dst 10.0.0.2 ttl 9 dev v0 tos 0x10",
		"10.8.0.0/16": "nexthop encap seg6 mode encap segs fd00::9 via 10.0.0.2 dev v0 nexthop via 10.0.1.2",
		"10.9.0.0/16": "table 1000 throw",
		"10.10.0.0/16": "via 10.0.0.2 window 4096 rtt 100ms rttvar 50ms ssthresh 10 cwnd lock 20 reordering 5 " +
			"hoplimit 9 initcwnd 11 initrwnd 12 fastopen_no_cookie 1",
	}
	six = map[string]string{
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
	return four, six
}

func seed(t *testing.T, target, name string, values ...any) {
	if *update {
		WriteSeed(t, target, name, values...)
	}
}

// dump returns the messages of a dump, which has no more than a few datagrams.
func dump(t *testing.T, typ uint16, payload []byte) (all [][]byte) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, MessageOf(typ, wire.NLM_F_REQUEST|wire.NLM_F_DUMP, 1, payload)); err != nil {
		t.Fatal(err)
	}
	for {
		b := make([]byte, 64<<10)
		n, err := unix.Read(fd, b)
		if err != nil {
			t.Fatal(err)
		}
		for msg := range wire.Messages(b[:n]) {
			switch wire.Type(msg) {
			case wire.NLMSG_DONE:
				return all
			case wire.NLMSG_ERROR:
				t.Fatalf("the kernel answers %x", msg)
			}
			all = append(all, msg)
		}
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
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return int32(i.Index)
}

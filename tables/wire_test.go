package tables_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"kernelroutes/rtnl/object"
)

// This file decodes the kernel's bytes a second time, by other means than rtnl.

// dialWire opens a netlink socket that takes large messages.
func dialWire(t testing.TB) *netlink.Conn {
	t.Helper()
	c, err := netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{MessageBufferSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// dumpWire sends a dump request that begins with header.
func dumpWire(t testing.TB, c *netlink.Conn, typ uint16, header []byte) []netlink.Message {
	t.Helper()
	all, err := c.Execute(netlink.Message{Header: netlink.Header{Type: netlink.HeaderType(typ),
		Flags: netlink.Request | netlink.Dump}, Data: header})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// tellWire sends a request to change something.
func tellWire(c *netlink.Conn, typ uint16, header []byte, attributes *netlink.AttributeEncoder) error {
	b, err := attributes.Encode()
	if err != nil {
		return err
	}
	_, err = c.Execute(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(typ),
			Flags: netlink.Request | netlink.Acknowledge | netlink.Create | netlink.Excl},
		Data: append(header, b...)})
	return err
}

// An nhMember is a member of a nexthop group.
type nhMember struct{ id, weight uint32 }

const sizeofNhmsg = 8

// wireGroups returns the nexthop groups. Weights have 16 bits.
func wireGroups(t testing.TB) map[uint32][]nhMember {
	t.Helper()
	groups := map[uint32][]nhMember{}
	for _, m := range dumpWire(t, dialWire(t), unix.RTM_GETNEXTHOP, make([]byte, sizeofNhmsg)) {
		var id uint32
		var members []nhMember
		wireAttributes(t, m.Data[sizeofNhmsg:], func(ad *netlink.AttributeDecoder) {
			switch ad.Type() {
			case unix.NHA_ID:
				id = ad.Uint32()
			case unix.NHA_GROUP:
				for b := ad.Bytes(); len(b) >= 8; b = b[8:] {
					members = append(members, nhMember{binary.NativeEndian.Uint32(b), uint32(b[4]) + uint32(b[5])<<8 +
						1})
				}
			}
		})
		if members != nil {
			groups[id] = members
		}
	}
	return groups
}

// wireHWStats returns what groups say about counting in hardware (Linux 6.9), as kernel_nexthops has
// it.
func wireHWStats(t testing.TB) map[uint32]string {
	t.Helper()
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(nhaOpFlags, 1) // NHA_OP_FLAG_DUMP_STATS
	b, err := ae.Encode()
	if err != nil {
		t.Fatal(err)
	}
	groups, err := dialWire(t).Execute(netlink.Message{Header: netlink.Header{Type: unix.RTM_GETNEXTHOP,
		Flags: netlink.Request | netlink.Dump}, Data: append(make([]byte, sizeofNhmsg), b...)})
	if err != nil {
		t.Logf("the kernel knows of no counters: %v", err) // and should there be any, they are one too many
	}
	all := map[uint32]string{}
	for _, m := range groups {
		var id uint32
		stats := ""
		wireAttributes(t, m.Data[sizeofNhmsg:], func(ad *netlink.AttributeDecoder) {
			switch ad.Type() {
			case unix.NHA_ID:
				id = ad.Uint32()
			case nhaHWStatsEnable:
				stats = fmt.Sprint(ad.Uint32())
			}
		})
		all[id] = stats
	}
	return all
}

// addWireGroup makes a nexthop group, with weights of up to 65536: iproute2 6.1
// knows 256 at most, as does Linux before 6.12.
func addWireGroup(t testing.TB, id uint32, members ...nhMember) {
	t.Helper()
	var group []byte
	for _, m := range members {
		group = binary.NativeEndian.AppendUint32(group, m.id)
		group = append(group, byte(m.weight-1), byte((m.weight-1)>>8), 0, 0)
	}
	ae := netlink.NewAttributeEncoder()
	ae.Uint32(unix.NHA_ID, id)
	ae.Bytes(unix.NHA_GROUP, group)
	if err := tellWire(dialWire(t), unix.RTM_NEWNEXTHOP, make([]byte, sizeofNhmsg), ae); err != nil {
		t.Fatalf("nexthop group %d: %v", id, err)
	}
}

// maxWeight is the highest weight that the kernel takes in a nexthop group.
func maxWeight(t testing.TB) uint32 {
	t.Helper()
	if !older(t, "6.12") {
		return 65535 // 65536 is taken for an overflow
	}
	return 255
}

func wireAttributes(t testing.TB, b []byte, f func(*netlink.AttributeDecoder)) {
	t.Helper()
	ad, err := netlink.NewAttributeDecoder(b)
	if err != nil {
		t.Fatal(err)
	}
	for ad.Next() {
		f(ad)
	}
	if err := ad.Err(); err != nil {
		t.Fatal(err)
	}
}

// wireColumns are the columns that wireRoutes decodes: those that ip does not
// show, or not right, and enough others to tell routes from each other.
var wireColumns = []string{"family", "table_id", "dst", "dst_len", "src", "src_len", "tos", "flags", "metric",
	"nexthop_id",
	"mtu", "advmss", "window", "hoplimit", "initcwnd", "initrwnd", "rtt", "rttvar", "ssthresh", "cwnd", "reordering",
	"rto_min", "quickack", "congctl", "features", "fastopen_no_cookie", "locked", "mark", "uid",
	"cache_clntref", "cache_last_use", "cache_error", "cache_used", "cache_id", "cache_ts", "cache_tsage",
	"mfc_packets", "mfc_bytes", "mfc_wrong_if", "ip_proto", "sport", "dport"}

const (
	rtnlFamilyIPMR  = 128 // RTNL_FAMILY_IPMR
	rtnlFamilyIP6MR = 129 // RTNL_FAMILY_IP6MR
	rtaNHID         = 30  // RTA_NH_ID
)

// wireRoutes returns what the bytes of all routes say in wireColumns.
func wireRoutes(t testing.TB) []row {
	t.Helper()
	c := dialWire(t)
	// The first datagram of a dump is small on a socket that has received nothing.
	dumpWire(t, c, unix.RTM_GETLINK, make([]byte, unix.SizeofIfInfomsg))
	var all []row
	for _, m := range dumpWire(t, c, unix.RTM_GETROUTE, make([]byte, unix.SizeofRtMsg)) {
		if m.Header.Type == unix.RTM_NEWROUTE {
			all = append(all, wireRoute(t, m.Data))
		}
	}
	return all
}

func wireRoute(t testing.TB, b []byte) row {
	t.Helper()
	dst, src := netip.IPv4Unspecified(), netip.IPv4Unspecified()
	r := row{"family": "ipv4"}
	switch b[0] {
	case unix.AF_INET:
		r["metric"] = "0" // unless the kernel sends another
	case unix.AF_INET6:
		r["family"], r["metric"] = "ipv6", "0"
	case unix.AF_MPLS: // without RTA_TABLE
		r["family"], r["table_id"] = "mpls", fmt.Sprint(b[4])
	case rtnlFamilyIPMR:
		r["family"] = "ipmr"
	case rtnlFamilyIP6MR:
		r["family"] = "ip6mr"
	default:
		t.Fatalf("family %d", b[0])
	}
	if strings.Contains(r["family"], "6") {
		dst, src = netip.IPv6Unspecified(), netip.IPv6Unspecified()
	}
	set := func(column string, v any) { r[column] = fmt.Sprint(v) }
	set("dst_len", b[1])
	set("src_len", b[2])
	set("tos", b[3])
	set("flags", binary.NativeEndian.Uint32(b[8:]))
	hasSrc := b[2] > 0
	wireAttributes(t, b[unix.SizeofRtMsg:], func(ad *netlink.AttributeDecoder) {
		switch d := ad.Bytes(); ad.Type() {
		case unix.RTA_DST:
			dst, _ = netip.AddrFromSlice(d)
		case unix.RTA_SRC:
			src, _ = netip.AddrFromSlice(d)
			hasSrc = true
		case unix.RTA_TABLE:
			set("table_id", ad.Uint32())
		case unix.RTA_PRIORITY:
			set("metric", ad.Uint32())
		case rtaNHID:
			set("nexthop_id", ad.Uint32())
		case unix.RTA_MARK:
			set("mark", ad.Uint32())
		case unix.RTA_UID:
			set("uid", ad.Uint32())
		case unix.RTA_IP_PROTO:
			set("ip_proto", ad.Uint8())
		case unix.RTA_SPORT:
			set("sport", binary.BigEndian.Uint16(d))
		case unix.RTA_DPORT:
			set("dport", binary.BigEndian.Uint16(d))
		case unix.RTA_CACHEINFO:
			for i, k := range []string{"clntref", "last_use", "", "error", "used", "id", "ts", "tsage"} {
				n := binary.NativeEndian.Uint32(d[4*i:])
				if k == "last_use" {
					n /= 100 // USER_HZ
				}
				if k != "" {
					set("cache_"+k, n)
				}
			}
		case unix.RTA_MFC_STATS:
			for i, k := range []string{"packets", "bytes", "wrong_if"} {
				set("mfc_"+k, binary.NativeEndian.Uint64(d[8*i:]))
			}
		case unix.RTA_METRICS:
			wireMetrics(t, d, set)
		}
	})
	if r["dst"] = string(object.AppendPrefix(nil, netip.PrefixFrom(dst, int(b[1])))); r["family"] == "mpls" {
		r["dst"] = fmt.Sprint(binary.BigEndian.Uint32(dst.AsSlice()) >> 12) // struct mpls_shim_hdr
	}
	if hasSrc {
		r["src"] = string(object.AppendPrefix(nil, netip.PrefixFrom(src, int(b[2]))))
	}
	return r
}

// wireMetric is indexed by RTAX_*.
var wireMetric = [...]string{"", "lock", "mtu", "window", "rtt", "rttvar", "ssthresh", "cwnd", "advmss", "reordering",
	"hoplimit",
	"initcwnd", "features", "rto_min", "initrwnd", "quickack", "congctl", "fastopen_no_cookie"}

func wireMetrics(t testing.TB, b []byte, set func(string, any)) {
	t.Helper()
	wireAttributes(t, b, func(ad *netlink.AttributeDecoder) {
		name := wireMetric[ad.Type()]
		switch ad.Type() {
		case unix.RTAX_CC_ALGO:
			set(name, ad.String())
		case unix.RTAX_LOCK:
			set("locked", bitNames(ad.Uint32(), wireMetric[:]))
		case unix.RTAX_FEATURES:
			set(name, bitNames(ad.Uint32(), []string{"ecn", "sack", "timestamp", "allfrag", "tcp_usec_ts"}))
		case unix.RTAX_RTT:
			set(name, ad.Uint32()/8)
		case unix.RTAX_RTTVAR:
			set(name, ad.Uint32()/4)
		default:
			set(name, ad.Uint32())
		}
	})
}

func bitNames(mask uint32, names []string) string {
	var set []string
	for i := range 32 {
		if mask&(1<<i) != 0 {
			set = append(set, names[i])
		}
	}
	return strings.Join(set, ",")
}

func atoi(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

package tables_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// This file has messages that no kernel of a test machine sends: every attribute
// there is, and what needs a module or another kernel.

// nlAttr makes an attribute, padded.
func nlAttr(typ uint16, parts ...[]byte) []byte {
	data := bytes.Join(parts, nil)
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, data...)
	return append(b, make([]byte, (4-len(data)%4)%4)...)
}

func nlU32(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func nlU16(v uint16) []byte { return binary.NativeEndian.AppendUint16(nil, v) }

func nlU64(v uint64) []byte { return binary.NativeEndian.AppendUint64(nil, v) }

func nlMessage(typ uint16, payload ...[]byte) []byte {
	data := bytes.Join(payload, nil)
	b := nlU32(uint32(unix.NLMSG_HDRLEN + len(data)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	return append(append(b, make([]byte, 10)...), data...)
}

// nlRoute makes an RTM_NEWROUTE with the attributes: struct rtmsg without
// addresses, of table main, protocol static, scope global and type unicast.
func nlRoute(family object.Family, attributes ...[]byte) []byte {
	head := []byte{byte(family), 0, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_STATIC, 0, unix.RTN_UNICAST, 0, 0, 0, 0}
	return nlMessage(unix.RTM_NEWROUTE, append([][]byte{head}, attributes...)...)
}

// nlNexthop makes an RTM_NEWNEXTHOP with the attributes.
func nlNexthop(attributes ...[]byte) []byte {
	return nlMessage(unix.RTM_NEWNEXTHOP, append([][]byte{make([]byte, sizeofNhmsg)}, attributes...)...)
}

// nlHop makes a struct rtnexthop with the attributes.
func nlHop(hops byte, index uint32, attributes ...[]byte) []byte {
	body := bytes.Join(attributes, nil)
	b := nlU16(uint16(8 + len(body)))
	return append(append(append(b, 0, hops), nlU32(index)...), body...)
}

// captured makes a capture of the messages.
func captured(messages ...[]byte) (*capture.Capture, error) {
	b := nlU32(0xa1b2c3d4) // pcap 2.4, LINKTYPE_NETLINK
	b = append(append(b, nlU16(2)...), nlU16(4)...)
	b = append(append(append(b, make([]byte, 8)...), nlU32(1<<18)...), nlU32(253)...)
	packet := func(msg []byte) {
		n := uint32(16 + len(msg))
		b = append(append(append(b, make([]byte, 8)...), nlU32(n)...), nlU32(n)...)
		b = append(b, 0, 0, 824>>8, 824&0xff) // ARPHRD_NETLINK
		b = append(append(b, make([]byte, 12)...), msg...)
	}
	for _, msg := range messages {
		packet(msg)
	}
	text := fmt.Sprintf("kernel_routes capture of %d messages\x00", len(messages))
	packet(nlMessage(unix.NLMSG_DONE, nlU32(0), nlAttr(1, []byte(text))))
	return capture.Read(bytes.NewReader(b))
}

// shown returns the rows of both tables for a capture of the messages, as text
// without route_id, or the error that refuses them.
func shown(t *testing.T, messages ...[]byte) string {
	t.Helper()
	c, err := captured(messages...)
	if err != nil {
		return err.Error()
	}
	var all strings.Builder
	for _, table := range tables.OfCaptures() {
		for _, r := range scan(t, table, c) {
			delete(r, "route_id")
			fmt.Fprintln(&all, table.Name, r)
		}
	}
	return all.String()
}

// lengths are those that attributes have, and others.
var lengths = []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 18, 20, 24, 32, 40}

// eachAttribute calls f with every number and length of an attribute, half of the
// lengths with -short.
func eachAttribute(f func(typ uint16, data []byte)) {
	for _, typ := range slices.Concat(numbersTo(63), []uint16{64, 300, 0x3fff}) {
		for _, n := range lengths {
			if testing.Short() && n > 2 && (n%4 != 0 || n > 20) {
				continue
			}
			f(typ, bytes.Repeat([]byte{7}, n))
		}
	}
}

func numbersTo(last uint16) (all []uint16) {
	for n := range last + 1 {
		all = append(all, n)
	}
	return all
}

var families = []object.Family{object.IPv4, object.IPv6, object.MPLS, object.IPMR, object.IP6MR}

// TestEveryAttribute gives a route every attribute in every length: it makes a
// difference to some column, or is in unknown_attrs, or the message is refused.
func TestEveryAttribute(t *testing.T) {
	for _, f := range families {
		plain := shown(t, nlRoute(f))
		if !strings.Contains(plain, "unknown_attrs=[]") {
			t.Fatalf("%v: %s", f, plain)
		}
		eachAttribute(func(typ uint16, data []byte) {
			switch typ {
			case unix.RTA_PAD, unix.RTA_METRICS, unix.RTA_MULTIPATH:
				if len(data) == 0 {
					return // padding, and lists of nothing
				}
			}
			if shown(t, nlRoute(f, nlAttr(typ, data))) == plain {
				t.Errorf("%v: nobody sees attribute %d of %d bytes", f, typ, len(data))
			}
		})
	}
}

// TestEveryMetric does the same for what is inside RTA_METRICS.
func TestEveryMetric(t *testing.T) {
	for _, f := range []object.Family{object.IPv4, object.IPv6} {
		plain := shown(t, nlRoute(f, nlAttr(unix.RTA_METRICS)))
		eachAttribute(func(typ uint16, data []byte) {
			if shown(t, nlRoute(f, nlAttr(unix.RTA_METRICS, nlAttr(typ, data)))) == plain {
				t.Errorf("%v: nobody sees metric %d of %d bytes", f, typ, len(data))
			}
		})
	}
}

// TestEveryNexthopAttribute does the same for what is inside RTA_MULTIPATH, and
// for the fields of struct rtnexthop.
func TestEveryNexthopAttribute(t *testing.T) {
	for _, f := range families {
		route := func(hop []byte) string { return shown(t, nlRoute(f, nlAttr(unix.RTA_MULTIPATH, hop))) }
		plain := route(nlHop(1, 3))
		eachAttribute(func(typ uint16, data []byte) {
			if typ == unix.RTA_PAD && len(data) == 0 {
				return
			}
			if route(nlHop(1, 3, nlAttr(typ, data))) == plain {
				t.Errorf("%v: nobody sees attribute %d of %d bytes in RTA_MULTIPATH", f, typ, len(data))
			}
		})
		for what, hop := range map[string][]byte{"hops": nlHop(2, 3), "interface": nlHop(1, 4)} {
			if route(hop) == plain {
				t.Errorf("%v: nobody sees the %s of a nexthop", f, what)
			}
		}
	}
}

// TestEveryObjectAttribute does the same for nexthop objects, alone, as members of
// a group, and copied into the route.
func TestEveryObjectAttribute(t *testing.T) {
	const single, group = 5, 6
	member := append(nlU32(single), 0, 0, 0, 0)
	id := func(n uint32) []byte { return nlAttr(rtaNHID, nlU32(n)) }
	for what, route := range map[string][]byte{
		"object":         nlRoute(object.IPv4, id(single)),
		"object, copied": nlRoute(object.IPv4, id(single), nlAttr(unix.RTA_OIF, nlU32(3))),
		"group":          nlRoute(object.IPv4, id(group)),
		"group, copied":  nlRoute(object.IPv4, id(group), nlAttr(unix.RTA_MULTIPATH, nlHop(0, 3))),
	} {
		rows := func(attributes ...[]byte) string {
			all := append([][]byte{nlAttr(unix.NHA_ID, nlU32(single)), nlAttr(unix.NHA_OIF, nlU32(3))}, attributes...)
			of := nlNexthop(nlAttr(unix.NHA_ID, nlU32(group)), nlAttr(unix.NHA_GROUP, member))
			return shown(t, nlNexthop(all...), of, route)
		}
		plain := rows()
		copied := strings.HasSuffix(what, "copied")
		eachAttribute(func(typ uint16, data []byte) {
			switch n := len(data); typ {
			case unix.NHA_GROUP_TYPE:
				if n == 2 {
					return // of a group, which is no nexthop
				}
			case unix.NHA_GROUP:
				if n == 0 || n%8 == 0 {
					return // makes a group of it
				}
			case nhaResGroup, nhaGroupStats:
				if n == 0 {
					return // lists of nothing
				}
			case nhaOpFlags, nhaHWStatsUsed:
				if n == 4 {
					return // how NHA_GROUP is to be read, and what comes only if it is asked for
				}
			case unix.NHA_ID, unix.NHA_OIF, unix.NHA_GATEWAY, unix.NHA_ENCAP_TYPE:
				if copied && slices.Contains([]int{4, 16, 2}, n) {
					return // the route's copy is taken
				}
			}
			if rows(nlAttr(typ, data)) == plain {
				t.Errorf("%s: nobody sees attribute %d of %d bytes", what, typ, len(data))
			}
		})
	}
}

// TestLinkGateway has an MPLS route via a link-layer address, as mpls_dump_route
// sends `ip -f mpls route add 100 via link 02:00:00:00:00:01 dev d0`.
func TestLinkGateway(t *testing.T) {
	mac := []byte{2, 0, 0, 0, 0, 1}
	label := nlAttr(unix.RTA_DST, []byte{0, 0x06, 0x41, 0})
	via := nlAttr(unix.RTA_VIA, nlU16(unix.AF_PACKET), mac)
	inet := nlAttr(unix.RTA_VIA, nlU16(unix.AF_INET), []byte{10, 0, 0, 2})
	infiniband := nlAttr(unix.RTA_VIA, nlU16(unix.AF_PACKET), mac, make([]byte, 14))
	for _, c := range []struct {
		what  string
		route []byte
		want  row   // of the route
		hops  []row // of its nexthops
	}{
		{"one", nlRoute(object.MPLS, label, via, nlAttr(unix.RTA_OIF, nlU32(3))),
			row{"dst": "100", "gateway": "02:00:00:00:00:01", "gateway_family": "link", "dev_index": "3"},
			[]row{{"gateway": "02:00:00:00:00:01", "gateway_family": "link", "dev_index": "3"}}},
		{"without an interface", nlRoute(object.MPLS, label, via),
			row{"gateway": "02:00:00:00:00:01", "nexthop_count": "1"}, []row{{"gateway": "02:00:00:00:00:01"}}},
		{"InfiniBand", nlRoute(object.MPLS, label, infiniband),
			row{"gateway": "02:00:00:00:00:01" + strings.Repeat(":00", 14), "gateway_family": "link"}, nil},
		{"several", nlRoute(object.MPLS, label, nlAttr(unix.RTA_MULTIPATH, nlHop(0, 3, via), nlHop(0, 4, inet))),
			row{"dst": "100", "gateway": "", "gateway_family": "", "nexthop_count": "2"},
			[]row{{"gateway": "02:00:00:00:00:01", "gateway_family": "link", "dev_index": "3", "weight": "1"},
				{"gateway": "10.0.0.2", "gateway_family": "ipv4", "dev_index": "4", "weight": "1"}}},
	} {
		source, err := captured(c.route)
		if err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		got := join(t, scan(t, tables.Routes, source), scan(t, tables.Nexthops, source))[0]
		for k, v := range c.want {
			if got.row[k] != v {
				t.Errorf("%s: %s is %q, not %q", c.what, k, got.row[k], v)
			}
		}
		if unknown := got.row["unknown_attrs"]; unknown != "[]" {
			t.Errorf("%s: unknown_attrs %s", c.what, unknown)
		}
		if _, ok := got.row["metric"]; ok {
			t.Errorf("%s: metric %q", c.what, got.row["metric"])
		}
		for i, h := range c.hops {
			h["unknown_attrs"] = "[]"
			for k, v := range h {
				if got.hops[i][k] != v {
					t.Errorf("%s: %s of nexthop %d is %q, not %q", c.what, k, i, got.hops[i][k], v)
				}
			}
		}
	}
}

// TestEncapCountersChange has the counters of a seg6local action change: their
// columns change, the tunnel and the identity do not, even where the tunnel is
// not fully understood.
func TestEncapCountersChange(t *testing.T) {
	const action, counters, future = 1, 10, 60
	for _, more := range [][]byte{nil, nlAttr(future, []byte{1})} {
		rows := func(n uint64) (row, row) {
			count := nlAttr(counters, nlAttr(2, nlU64(n)), nlAttr(3, nlU64(100*n)), nlAttr(4, nlU64(n/2)))
			encap := nlAttr(unix.RTA_ENCAP, nlAttr(action, nlU32(1)), count, more)
			typ := nlAttr(unix.RTA_ENCAP_TYPE, nlU16(unix.LWTUNNEL_ENCAP_SEG6_LOCAL))
			c, err := captured(nlRoute(object.IPv6, nlAttr(unix.RTA_OIF, nlU32(3)), typ, encap))
			if err != nil {
				t.Fatal(err)
			}
			return scan(t, tables.Routes, c)[0], scan(t, tables.Nexthops, c)[0]
		}
		route, hop := rows(7)
		for _, r := range []row{route, hop} {
			if r["encap_packets"] != "7" || r["encap_bytes"] != "700" || r["encap_errors"] != "3" {
				t.Errorf("counters in %v", r)
			}
		}
		route8, hop8 := rows(8)
		want := []string{"encap_bytes", "encap_errors", "encap_packets"}
		if got := unlike(route, route8); !slices.Equal(got, want) {
			t.Errorf("a route changes in %v", got)
		}
		if got := unlike(hop, hop8); !slices.Equal(got, want) {
			t.Errorf("a nexthop changes in %v", got)
		}
	}
}

// BenchmarkRouteID reads 20,000 rows of routes with 250 nexthops.
func BenchmarkRouteID(b *testing.B) {
	var routes [][]byte
	for i := range 80 {
		var hops []byte
		for n := range 250 {
			hops = append(hops, nlHop(0, 3, nlAttr(unix.RTA_GATEWAY, []byte{10, 0, byte(n >> 8), byte(n)}))...)
		}
		metric := nlAttr(unix.RTA_PRIORITY, nlU32(uint32(i)))
		routes = append(routes, nlRoute(object.IPv4, metric, nlAttr(unix.RTA_MULTIPATH, hops)))
	}
	c, err := captured(routes...)
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"gateway", "route_id"} {
		b.Run(name, func(b *testing.B) {
			col := tables.Nexthops.Column(name)
			used := make([]bool, len(tables.Nexthops.Columns))
			used[col] = true
			var value []byte
			for b.Loop() {
				rows, err := tables.Nexthops.Scan(context.Background(), c, tables.Query{Used: used})
				if err != nil {
					b.Fatal(err)
				}
				n := 0
				for ; rows.Next(); n++ {
					value = rows.AppendText(value[:0], col)
				}
				if n != 20_000 || len(value) == 0 {
					b.Fatalf("%d rows, the last is %q", n, value)
				}
			}
		})
	}
}

package tables_test

import ()

// A liveCase is a route, as a line for ip -batch, and what its row must say; ip
// is asked about the columns that are not named here. Nexthops come as rows too.
type liveCase struct {
	line string
	want row
	hops []row
}

// heaviest stands for the highest weight that the kernel takes.
const heaviest = "maxWeight"

// objectLines make the nexthop objects of liveIPv4 and liveIPv6. Group 60 is made
// over netlink, with weights of 16 bits.
var (
	objectLines4 = []string{
		"nexthop add id 21 via 10.0.0.9 dev v0",
		"nexthop add id 22 dev v1",
		"nexthop add id 23 blackhole",
		"nexthop add id 24 via 10.0.1.9 dev v1 encap ip id 42 dst 10.9.9.9",
	}
	objectLines6 = []string{
		"nexthop add id 1 via fd00::9 dev v0",
		"nexthop add id 2 dev v1",
		"nexthop add id 3 blackhole",
		"nexthop add id 4 via fd00:1::9 dev v1 encap seg6 mode encap segs fd00::7",
		"nexthop add id 5 via fe80::5 dev v1 onlink",
	}
	groupLines = []string{
		"nexthop add id 30 group 21,5/24,200",
		"nexthop add id 31 group 21/1,255 type resilient buckets 32 idle_timer 10",
		"nexthop add id 32 group 23",
		"nexthop add id 33 group 21",
		"nexthop add id 10 group 1,5/4,200/5",
		"nexthop add id 11 group 1/2,255 type resilient buckets 32",
		"nexthop add id 12 group 3",
		"nexthop add id 13 group 1",
	}
)

var liveIPv4 = []liveCase{
	// Types.
	{"default via 10.0.0.9", row{"dst": "0.0.0.0/0", "dst_len": "0", "type": "unicast", "gateway": "10.0.0.9",
		"gateway_family": "ipv4", "dev": "v0",
		"dev_kind": "veth", "dev_operstate": "UP", "table_id": "254", "protocol": "boot", "scope": "global",
		"tos": "0", "flags": "0", "src_len": "0"},
		[]row{{"nexthop_index": "0", "gateway": "10.0.0.9", "dev": "v0", "weight": "1"}}},
	{"local 10.1.0.1 dev v0 table 1000", row{"dst": "10.1.0.1/32", "type": "local", "scope": "host",
		"table_name": "1000", "table_id": "1000"}, nil},
	{"broadcast 10.1.0.2 dev v0", row{"dst": "10.1.0.2/32", "type": "broadcast", "scope": "link",
		"table_name": "local", "table_id": "255"}, nil},
	{"multicast 239.1.0.0/16 dev v0", row{"dst": "239.1.0.0/16", "type": "multicast", "dst_len": "16"}, nil},
	{"blackhole 10.1.1.0/24", row{"dst": "10.1.1.0/24", "type": "blackhole", "nexthop_count": "0"}, []row{}},
	{"unreachable 10.1.2.0/24 metric 4294967295", row{"dst": "10.1.2.0/24", "type": "unreachable",
		"metric": "4294967295"}, []row{}},
	{"prohibit 10.1.3.0/24", row{"dst": "10.1.3.0/24", "type": "prohibit"}, []row{}},
	{"throw 10.1.4.0/24 table 4294967294", row{"dst": "10.1.4.0/24", "type": "throw", "table_id": "4294967294",
		"table_name": "4294967294"}, []row{}},
	// Protocols and scopes.
	{"10.1.5.0/24 dev v0 proto 2", row{"dst": "10.1.5.0/24", "protocol": "kernel", "scope": "link"}, nil},
	{"10.1.6.0/24 dev v0 proto 3 scope host", row{"dst": "10.1.6.0/24", "protocol": "boot", "scope": "host"}, nil},
	{"10.1.7.0/24 dev v0 proto 4 scope site", row{"dst": "10.1.7.0/24", "protocol": "static", "scope": "site"}, nil},
	{"10.1.8.0/24 dev v0 proto 16 scope 77", row{"dst": "10.1.8.0/24", "protocol": "dhcp", "scope": "77"}, nil},
	{"10.1.9.0/24 dev v0 proto 186 scope global", row{"dst": "10.1.9.0/24", "protocol": "bgp", "scope": "global"}, nil},
	{"blackhole 10.1.10.0/24 proto 77 scope nowhere", row{"dst": "10.1.10.0/24", "protocol": "77",
		"scope": "nowhere"}, nil},
	// Metrics, with and without a lock.
	{"10.1.11.0/24 dev v0 mtu 1400 advmss 1300 window 9999 hoplimit 7 initcwnd 11 initrwnd 12 rtt 100ms rttvar 50ms " +
		"ssthresh 13 cwnd 14 reordering 15 quickack 1 features ecn congctl cubic fastopen_no_cookie 1",
		row{"dst": "10.1.11.0/24", "mtu": "1400", "advmss": "1300", "window": "9999", "hoplimit": "7",
			"initcwnd": "11", "initrwnd": "12", "rtt": "100", "rttvar": "50",
			"ssthresh": "13", "cwnd": "14", "reordering": "15", "quickack": "1", "features": "ecn",
			"congctl": "cubic", "fastopen_no_cookie": "1", "locked": ""}, nil},
	{"10.1.12.0/24 dev v0 mtu lock 1400 advmss lock 1300 window lock 9999 hoplimit lock 7 initcwnd lock 11 initrwnd " +
		"lock 12 rtt lock 100ms rttvar lock 50ms ssthresh lock 13 cwnd lock 14 reordering lock 15 rto_min 200 " +
		"congctl lock reno",
		row{"dst": "10.1.12.0/24", "mtu": "1400", "rto_min": "200", "congctl": "reno",
			"locked": "mtu,window,rtt,rttvar,ssthresh,cwnd,advmss,reordering,hoplimit,initcwnd,rto_min,initrwnd," +
				"congctl"}, nil},
	{"10.1.13.0/24 dev v0 mtu lock 0", row{"dst": "10.1.13.0/24", "mtu": "", "locked": "mtu"}, nil},
	{"10.1.14.0/24 dev v0 rtt 7 rttvar 3", row{"dst": "10.1.14.0/24", "rtt": "0", "rttvar": "0"}, nil},
	// Several nexthops.
	{"10.1.15.0/24 nexthop via 10.0.0.9 weight 256 nexthop via inet6 fd00::9 dev v0 realm 3 nexthop dev v1 weight 2 " +
		"encap ip id 5 dst 10.9.9.9 nexthop via 10.0.2.9 dev v2 onlink",
		row{"dst": "10.1.15.0/24", "nexthop_count": "4", "gateway": "", "dev": "", "dev_index": "", "encap": ""},
		[]row{{"nexthop_index": "0", "gateway": "10.0.0.9", "weight": "256", "dev": "v0"},
			{"nexthop_index": "1", "gateway": "fd00::9", "gateway_family": "ipv6", "realm_to": "3", "realm_from": "",
				"weight": "1"},
			{"nexthop_index": "2", "gateway": "", "dev": "v1", "weight": "2", "encap_type": "ip",
				"encap": "ip id 5 src 0.0.0.0 dst 10.9.9.9 ttl 0 tos 0"},
			{"nexthop_index": "3", "flags": "20", "flag_names": "onlink,linkdown"}}},
	{"10.1.16.0/24 via inet6 fe80::9 dev v1", row{"dst": "10.1.16.0/24", "gateway": "fe80::9",
		"gateway_family": "ipv6", "dev": "v1"}, nil},
	// Nexthop objects.
	{"10.1.17.0/24 nhid 21", row{"dst": "10.1.17.0/24", "nexthop_id": "21", "gateway": "10.0.0.9", "dev": "v0"},
		[]row{{"nexthop_id": "21", "weight": "1", "gateway": "10.0.0.9"}}},
	{"10.1.18.0/24 nhid 22", row{"dst": "10.1.18.0/24", "nexthop_id": "22", "gateway": "", "dev": "v1"}, nil},
	{"10.1.19.0/24 nhid 23", row{"dst": "10.1.19.0/24", "nexthop_id": "23", "type": "blackhole", "nexthop_count": "0",
		"dev": "", "dev_index": "", "gateway": ""}, []row{}},
	{"10.1.20.0/24 nhid 24", row{"dst": "10.1.20.0/24", "nexthop_id": "24",
		"encap": "ip id 42 src 0.0.0.0 dst 10.9.9.9 ttl 0 tos 0"}, nil},
	{"10.1.21.0/24 nhid 1", row{"dst": "10.1.21.0/24", "nexthop_id": "1", "gateway": "fd00::9",
		"gateway_family": "ipv6"}, nil},
	{"10.1.22.0/24 nhid 30", row{"dst": "10.1.22.0/24", "nexthop_id": "30", "nexthop_count": "2", "gateway": "",
		"dev": ""},
		[]row{{"nexthop_id": "21", "weight": "5", "gateway": "10.0.0.9"},
			{"nexthop_id": "24", "weight": "200", "gateway": "10.0.1.9", "encap_type": "ip"}}},
	{"10.1.23.0/24 nhid 31", row{"dst": "10.1.23.0/24", "nexthop_id": "31", "nexthop_count": "2"},
		[]row{{"nexthop_id": "21", "weight": "1"}, {"nexthop_id": "1", "weight": "255", "gateway": "fd00::9"}}},
	{"10.1.24.0/24 nhid 32", row{"dst": "10.1.24.0/24", "nexthop_id": "32", "type": "blackhole", "nexthop_count": "0",
		"dev": "", "dev_index": "", "gateway": ""}, []row{}},
	{"10.1.25.0/24 nhid 33", row{"dst": "10.1.25.0/24", "nexthop_id": "33", "gateway": "10.0.0.9", "dev": "v0",
		"nexthop_count": "1"}, []row{{"nexthop_id": "21"}}},
	{"10.1.26.0/24 nhid 60", row{"dst": "10.1.26.0/24", "nexthop_id": "60", "nexthop_count": "2"},
		[]row{{"nexthop_id": "21", "weight": heaviest}, {"nexthop_id": "1", "weight": "3"}}},
	// Tunnels.
	{"10.1.27.0/24 via 10.0.0.9 encap ip id 42 src 10.0.0.1 dst 10.9.9.9 ttl 3 tos 0x5 key csum seq",
		row{"dst": "10.1.27.0/24", "encap_type": "ip",
			"encap": "ip id 42 src 10.0.0.1 dst 10.9.9.9 ttl 3 tos 5 key csum seq"}, nil},
	{"10.1.28.0/24 via 10.0.0.9 encap ip6 id 18446744073709551615 src fd00::1 dst ::ffff:10.9.9.9 hoplimit 3 tc 0x5 " +
		"csum",
		row{"dst": "10.1.28.0/24", "encap_type": "ip6",
			"encap": "ip6 id 18446744073709551615 src fd00::1 dst ::ffff:10.9.9.9 hoplimit 3 tc 5 csum"}, nil},
	{"10.1.29.0/24 dev v0 encap seg6 mode encap segs fd00::9,fd00::8",
		row{"dst": "10.1.29.0/24", "encap": "seg6 mode encap segs 2 [ fd00::9 fd00::8 ]"}, nil},
	// The rest.
	{"10.1.30.0/24 via 10.77.0.9 dev v0 onlink", row{"dst": "10.1.30.0/24", "gateway": "10.77.0.9", "flags": "4",
		"flag_names": "onlink"}, nil},
	{"10.1.31.0/24 dev v0 realm 5/7", row{"dst": "10.1.31.0/24", "realm_from": "5", "realm_to": "7"},
		[]row{{"realm_from": "5", "realm_to": "7"}}},
	{"10.1.32.0/24 dev v0 tos 0x28 metric 0", row{"dst": "10.1.32.0/24", "tos": "40", "metric": "0"}, nil},
	{"blackhole 10.1.99.0/24 nhid 21", row{"dst": "10.1.99.0/24", "nexthop_id": "21", "type": "blackhole",
		"nexthop_count": "1", "dev": "v0", "gateway": "10.0.0.9"}, nil},
	{"10.1.33.0/24 dev v0 src 10.0.0.2", row{"dst": "10.1.33.0/24", "prefsrc": "10.0.0.2"}, nil},
	{"10.1.34.0/24 dev p0", row{"dst": "10.1.34.0/24", "dev_kind": "veth", "flag_names": "linkdown"}, nil},
	{"10.1.35.0/24 dev br0", row{"dst": "10.1.35.0/24", "dev_kind": "bridge"}, nil},
	{"10.1.36.0/24 dev lo", row{"dst": "10.1.36.0/24", "dev": "lo", "dev_kind": "", "dev_operstate": "UNKNOWN"}, nil},
}

var liveIPv6 = []liveCase{
	{"default via fd00::9", row{"dst": "::/0", "dst_len": "0", "type": "unicast", "gateway": "fd00::9",
		"gateway_family": "ipv6", "dev": "v0", "metric": "1024",
		"protocol": "boot", "scope": "global", "pref": "medium", "expires": "", "cache_expires": "0",
		"cache_clntref": "0"}, []row{{"nexthop_index": "0", "gateway": "fd00::9", "weight": "1"}}},
	{"local fd01::1 dev v0 table 1000", row{"dst": "fd01::1/128", "type": "local", "table_id": "1000"}, nil},
	{"anycast fd01::2 dev v0", row{"dst": "fd01::2/128", "type": "anycast", "table_id": "255"}, nil},
	{"broadcast fd01::3 dev v0", row{"dst": "fd01::3/128", "type": "broadcast", "table_name": "local"}, nil},
	{"multicast ff05::/16 dev v0 table 4294967294", row{"dst": "ff05::/16", "type": "multicast",
		"table_id": "4294967294"}, nil},
	{"blackhole fd01:1::/32", row{"dst": "fd01:1::/32", "type": "blackhole"}, nil},
	{"unreachable fd01:2::/32 metric 4294967295", row{"dst": "fd01:2::/32", "type": "unreachable",
		"metric": "4294967295"}, nil},
	{"prohibit fd01:3::/32", row{"dst": "fd01:3::/32", "type": "prohibit"}, nil},
	{"throw fd01:4::/32", row{"dst": "fd01:4::/32", "type": "throw"}, nil},
	{"fd01:5::/32 dev v0 proto 4 pref high", row{"dst": "fd01:5::/32", "protocol": "static", "pref": "high"}, nil},
	{"fd01:6::/32 dev v0 proto 77 pref low", row{"dst": "fd01:6::/32", "protocol": "77", "pref": "low"}, nil},
	{"fd01:7::/32 dev v0 mtu lock 1400 hoplimit 7 rtt 100ms features ecn congctl cubic rto_min 300",
		row{"dst": "fd01:7::/32", "mtu": "1400", "hoplimit": "7", "rtt": "100",
			"features": "ecn", "congctl": "cubic", "rto_min": "300", "locked": "mtu,rto_min"}, nil},
	{"fd01:8::/32 nexthop via fd00::9 weight 256 encap ip6 dst fd00::4 nexthop via fe80::8 dev v1 onlink nexthop via " +
		"fd00:2::9 dev v2",
		row{"dst": "fd01:8::/32", "nexthop_count": "3", "gateway": "", "dev": ""},
		[]row{{"gateway": "fd00::9", "weight": "256", "encap": "ip6 id 0 src :: dst fd00::4 hoplimit 0 tc 0"},
			{"gateway": "fe80::8", "flags": "4", "flag_names": "onlink", "dev": "v1"},
			{"gateway": "fd00:2::9", "flag_names": "linkdown", "weight": "1"}}},
	{"fd01:9::/32 nhid 1", row{"dst": "fd01:9::/32", "nexthop_id": "1", "gateway": "fd00::9", "dev": "v0"},
		[]row{{"nexthop_id": "1"}}},
	{"fd01:a::/32 nhid 2", row{"dst": "fd01:a::/32", "nexthop_id": "2", "gateway": "", "dev": "v1"}, nil},
	{"fd01:b::/32 nhid 3", row{"dst": "fd01:b::/32", "nexthop_id": "3", "type": "blackhole", "nexthop_count": "0",
		"dev": "", "dev_index": "", "gateway": ""}, []row{}},
	{"fd01:c::/32 nhid 4", row{"dst": "fd01:c::/32", "nexthop_id": "4",
		"encap": "seg6 mode encap segs 1 [ fd00::7 ]"}, nil},
	{"fd01:d::/32 nhid 10", row{"dst": "fd01:d::/32", "nexthop_id": "10", "nexthop_count": "3"},
		[]row{{"nexthop_id": "1", "weight": "5"}, {"nexthop_id": "4", "weight": "200", "encap_type": "seg6"},
			{"nexthop_id": "5", "flag_names": "onlink"}}},
	{"fd01:e::/32 nhid 11", row{"dst": "fd01:e::/32", "nexthop_id": "11", "nexthop_count": "2"},
		[]row{{"nexthop_id": "1", "weight": "1"}, {"nexthop_id": "2", "weight": "255", "dev": "v1"}}},
	{"fd01:f::/32 nhid 12", row{"dst": "fd01:f::/32", "nexthop_id": "12", "type": "blackhole", "nexthop_count": "0",
		"dev": "", "dev_index": "", "gateway": ""}, []row{}},
	{"blackhole fd01:1b::/32 nhid 1", row{"dst": "fd01:1b::/32", "nexthop_id": "1", "type": "blackhole",
		"nexthop_count": "1", "dev": "v0", "gateway": "fd00::9"}, nil},
	{"fd01:10::/32 nhid 13", row{"dst": "fd01:10::/32", "nexthop_id": "13", "nexthop_count": "1",
		"gateway": "fd00::9", "dev": "v0"}, nil},
	{"fd01:11::/32 nhid 61", row{"dst": "fd01:11::/32", "nexthop_id": "61", "nexthop_count": "2"},
		[]row{{"nexthop_id": "1", "weight": heaviest}, {"nexthop_id": "2", "weight": "3"}}},
	{"fd01:12::/32 via fd00::9 encap seg6 mode encap.red segs fd00::1,::ffff:10.9.9.9 hmac 171",
		row{"dst": "fd01:12::/32", "encap_type": "seg6",
			"encap": "seg6 mode encap.red segs 2 [ fd00::1 ::ffff:10.9.9.9 ] hmac AB"}, nil},
	{"fd01:13::/32 dev v0 encap seg6 mode inline segs fd00::1", row{"dst": "fd01:13::/32",
		"encap": "seg6 mode inline segs 2 [ fd00::1 :: ]"}, nil},
	{"fd01:14::/32 dev v0 encap seg6local action End.DT6 table 1000 count",
		row{"dst": "fd01:14::/32", "encap_type": "seg6local",
			"encap": "seg6local action End.DT6 table 1000", "encap_packets": "0",
			"encap_bytes": "0", "encap_errors": "0"},
		[]row{{"encap": "seg6local action End.DT6 table 1000", "encap_packets": "0", "encap_bytes": "0",
			"encap_errors": "0"}}},
	{"fd01:1c::/32 dev v0 encap seg6local action End.X nh6 fd00::9 oif v1 count",
		row{"dst": "fd01:1c::/32", "encap": "seg6local action End.X nh6 fd00::9 oif v1", "encap_errors": "0"}, nil},
	{"fd01:1d::/32 nexthop via fd00::9 dev v0 encap seg6local action End.DX2 oif v2 nexthop via fd00:1::9 dev v1 " +
		"encap seg6local action End.T table main count",
		row{"dst": "fd01:1d::/32", "encap": "", "encap_packets": ""},
		[]row{{"encap": "seg6local action End.DX2 oif v2", "encap_packets": ""},
			{"encap": "seg6local action End.T table main", "encap_packets": "0"}}},
	{"fd01:15::/32 encap seg6local action End.B6.Encaps srh segs fd00::1,fd00::2 dev v0",
		row{"dst": "fd01:15::/32", "encap": "seg6local action End.B6.Encaps segs 2 [ fd00::1 fd00::2 ]"}, nil},
	{"fd01:16::/32 dev v0 encap seg6local action End flavors next-csid lblen 48 nflen 16",
		row{"dst": "fd01:16::/32", "encap": "seg6local action End flavors next-csid lblen 48 nflen 16"}, nil},
	{"fd01:17::/32 via 2001:db8::9 dev v1 onlink", row{"dst": "fd01:17::/32", "flag_names": "onlink"}, nil},
	{"fd01:18::/32 from fd09::/16 dev v0", row{"dst": "fd01:18::/32", "src": "fd09::/16", "src_len": "16"}, nil},
	{"default from fd09::7 dev v0 metric 7", row{"dst": "::/0", "src": "fd09::7/128", "src_len": "128",
		"metric": "7"}, nil},
	{"fd01:19::/32 dev v0 src fd00::2", row{"dst": "fd01:19::/32", "prefsrc": "fd00::2"}, nil},
	{"fd01:1a::/32 dev v0 expires 100000", row{"dst": "fd01:1a::/32"}, nil},
	{"::10.9.9.9 dev v0", row{"dst": "::10.9.9.9/128"}, nil},
	{"::ffff:10.9.9.9 dev v0", row{"dst": "::ffff:10.9.9.9/128"}, nil},
}

package tables_test

import (
	"testing"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

var mplsCases = []kernelCase{
	{since: "4.1", liveCase: liveCase{"-f mpls route add 100 as 200/300 via inet 10.0.0.9 dev v0",
		row{"dst": "100", "dst_len": "20", "family": "mpls", "newdst": "200/300", "gateway": "10.0.0.9",
			"gateway_family": "ipv4", "dev": "v0", "protocol": "boot", "type": "unicast", "scope": "global",
			"ttl_propagate": "", "metric": "", "table_id": "254", "nexthop_count": "1"},
		[]row{{"gateway": "10.0.0.9", "newdst": "200/300", "weight": "1"}}}},
	{since: "4.1", liveCase: liveCase{"-f mpls route add 101 via inet6 fd00::9 dev v0", row{"dst": "101", "newdst": "",
		"gateway": "fd00::9", "gateway_family": "ipv6"}, nil}},
	{since: "4.12", liveCase: liveCase{"-f mpls route add 102 as 201 via inet 10.0.1.9 dev v1 ttl-propagate disabled",
		row{"dst": "102", "ttl_propagate": "0", "newdst": "201", "dev": "v1"}, nil}},
	{since: "4.12", liveCase: liveCase{"-f mpls route add 103 via inet 10.0.1.9 dev v1 ttl-propagate enabled",
		row{"dst": "103", "ttl_propagate": "1"}, nil}},
	{since: "4.1", liveCase: liveCase{"-f mpls route add 104 via link 02:00:00:00:00:01 dev v0",
		row{"dst": "104", "gateway": "02:00:00:00:00:01", "gateway_family": "link"}, nil}},
	{since: "4.3", liveCase: liveCase{"-f mpls route add 105 nexthop as 200 via inet 10.0.0.9 dev v0 " +
		"nexthop as 201/202 via inet6 fd00:1::9 dev v1 nexthop via link 02:00:00:00:00:02 dev v1",
		row{"dst": "105", "newdst": "", "gateway": "", "nexthop_count": "3"},
		[]row{{"newdst": "200", "gateway": "10.0.0.9", "gateway_family": "ipv4", "dev": "v0", "weight": "1"},
			{"newdst": "201/202", "gateway": "fd00:1::9", "gateway_family": "ipv6", "dev": "v1"},
			{"newdst": "", "gateway": "02:00:00:00:00:02", "gateway_family": "link"}}}},
	{since: "4.1", liveCase: liveCase{"-f mpls route add 106 dev lo", row{"dst": "106", "dev": "lo", "gateway": ""},
		nil}},
	{since: "4.1", liveCase: liveCase{"-f mpls route add 16 dev lo", row{"dst": "16"}, nil}},
	{since: "4.1", liveCase: liveCase{"-f mpls route add 999 as 999 via inet 10.0.0.9 dev v0 proto 186",
		row{"dst": "999", "protocol": "bgp"}, nil}},
	// Labels that packets get.
	{since: "4.3", liveCase: liveCase{"-4 route add 10.40.0.0/24 encap mpls 100/200 via 10.0.0.9 dev v0",
		row{"dst": "10.40.0.0/24", "encap_type": "mpls", "encap": "mpls 100/200", "newdst": ""},
		[]row{{"encap": "mpls 100/200"}}}},
	{since: "4.12", liveCase: liveCase{"-4 route add 10.40.1.0/24 encap mpls 1048575 ttl 7 via 10.0.0.9 dev v0",
		row{"dst": "10.40.1.0/24", "encap": "mpls 1048575 ttl 7"}, nil}},
	{since: "4.3", liveCase: liveCase{"-6 route add fd40::/32 encap mpls 100 via fd00::9 dev v0",
		row{"dst": "fd40::/32", "encap": "mpls 100"}, nil}},
	{since: "4.3", liveCase: liveCase{"-4 route add 10.40.2.0/24 nexthop encap mpls 300 via 10.0.0.9 dev v0 nexthop " +
		"encap mpls 301/302 via 10.0.1.9 dev v1 weight 7", row{"dst": "10.40.2.0/24", "encap": ""},
		[]row{{"encap": "mpls 300"}, {"encap": "mpls 301/302", "weight": "7"}}}},
	{since: "5.3", liveCase: liveCase{"-4 route add 10.40.3.0/24 nhid 71", row{"dst": "10.40.3.0/24",
		"nexthop_id": "71", "encap": "mpls 400/500 ttl 9"}, []row{{"encap": "mpls 400/500 ttl 9"}}}},
	{since: "5.3", liveCase: liveCase{"-4 route add 10.40.4.0/24 nhid 73", row{"dst": "10.40.4.0/24",
		"nexthop_id": "73", "encap": ""}, []row{{"nexthop_id": "71", "encap": "mpls 400/500 ttl 9"},
		{"nexthop_id": "72", "encap": "mpls 401"}}}},
	{since: "5.3", liveCase: liveCase{"-6 route add fd40:1::/32 nhid 72",
		row{"dst": "fd40:1::/32", "encap": "mpls 401"}, nil}},
}

// TestMPLS compares every column of routes of labels, and of labels that packets get, with ip and
// with the bytes.
func TestMPLS(t *testing.T) {
	nstest.New(t)
	needMPLS(t)
	network(t)
	for _, line := range []string{"nexthop add id 71 encap mpls 400/500 ttl 9 via 10.0.0.9 dev v0",
		"nexthop add id 72 encap mpls 401 via fd00::9 dev v0", "nexthop add id 73 group 71/72"} {
		_, err := nstest.Try(line)
		needtest.Kernel(t, "nexthop objects with labels (module mpls_iptunnel)", "5.3", err)
	}
	addCases(mplsCases)
	for _, compat := range []string{"1", "0"} {
		nstest.Sysctl(t, "net.ipv4.nexthop_compat_mode", compat)
		checkCases(t, mplsCases, compareAll(t))
	}
	family := where(tables.Routes, "family", tables.Equals, "mpls")
	if rows := scan(t, tables.Routes, &rtnl.Kernel{}, family); len(rows) != 9 {
		t.Errorf("%d routes of labels", len(rows))
	}
	label := where(tables.Routes, "dst", tables.Equals, "105")
	if rows := scan(t, tables.Routes, &rtnl.Kernel{}, label); len(rows) != 1 || rows[0]["family"] != "mpls" {
		t.Errorf("dst = 105: %v", rows)
	}
	compareObjects(t, newIPView(t))
	checkCaptured(t)
}

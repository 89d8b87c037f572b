package tables_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
)

// A tunnel is a route with an encapsulation: since which Linux, its family, destination and what
// else ip is told, and what encap has. That is "" where kernels leave out what they do not know, so
// that only ip can tell.
type tunnel struct{ since, line, encap string }

// tunnels makes cases of routes.
func tunnels(all []tunnel) (cases []kernelCase) {
	for _, u := range all {
		family, line, _ := strings.Cut(u.line, " ")
		dst, _, _ := strings.Cut(line, " ")
		want := row{"dst": dst}
		if u.encap != "" {
			want["encap"] = u.encap
		}
		cases = append(cases, kernelCase{u.since, liveCase{family + " route add " + line, want, nil}, nil})
	}
	return cases
}

// seg6Tunnels are all actions of seg6local, and what makes packets ready for them. (End.BPF takes a
// program. End.BM, End.S, End.AS and End.AM are in no kernel.)
var seg6Tunnels = []tunnel{
	{"4.14", "-6 fd50:1::/32 encap seg6local action End dev v0", "seg6local action End"},
	{"4.14", "-6 fd50:2::/32 encap seg6local action End.X nh6 fd00::9 dev v0", "seg6local action End.X nh6 fd00::9"},
	{"4.14", "-6 fd50:3::/32 encap seg6local action End.X nh6 fd00::9 oif v1 dev v0", ""},
	{"4.14", "-6 fd50:4::/32 encap seg6local action End.T table 1000 dev v0", "seg6local action End.T table 1000"},
	{"4.14", "-6 fd50:5::/32 encap seg6local action End.T table main dev v0", "seg6local action End.T table main"},
	{"4.14", "-6 fd50:6::/32 encap seg6local action End.DX2 oif v1 dev v0", "seg6local action End.DX2 oif v1"},
	{"4.14", "-6 fd50:7::/32 encap seg6local action End.DX6 nh6 fd00::9 dev v0",
		"seg6local action End.DX6 nh6 fd00::9"},
	{"4.14", "-6 fd50:8::/32 encap seg6local action End.DX4 nh4 10.0.0.9 dev v0",
		"seg6local action End.DX4 nh4 10.0.0.9"},
	{"4.14", "-6 fd50:9::/32 encap seg6local action End.DT6 table 1000 dev v0", "seg6local action End.DT6 table 1000"},
	{"4.14", "-6 fd50:a::/32 encap seg6local action End.B6 srh segs fd00::1,fd00::2 dev v0",
		"seg6local action End.B6 segs 3 [ fd00::1 fd00::2 :: ]"},
	{"4.14", "-6 fd50:b::/32 encap seg6local action End.B6.Encaps srh segs fd00::1,fd00::2 dev v0",
		"seg6local action End.B6.Encaps segs 2 [ fd00::1 fd00::2 ]"},
	{"5.11", "-6 fd50:10::/32 encap seg6local action End.DT6 vrftable 1010 dev v0",
		"seg6local action End.DT6 vrftable 1010"},
	{"5.11", "-6 fd50:11::/32 encap seg6local action End.DT4 vrftable 1010 dev v0",
		"seg6local action End.DT4 vrftable 1010"},
	{"5.14", "-6 fd50:12::/32 encap seg6local action End.DT46 vrftable 1010 dev v0",
		"seg6local action End.DT46 vrftable 1010"},
	{"5.13", "-6 fd50:13::/32 encap seg6local action End.DT6 table 1000 count dev v0",
		"seg6local action End.DT6 table 1000"},
	{"5.13", "-6 fd50:14::/32 encap seg6local action End count dev v0", "seg6local action End"},
	{"6.1", "-6 fd50:15::/32 encap seg6local action End flavors next-csid lblen 48 nflen 16 dev v0",
		"seg6local action End flavors next-csid lblen 48 nflen 16"},
	{"6.6", "-6 fd50:16::/32 encap seg6local action End.X nh6 fd00::9 flavors next-csid lblen 32 nflen 16 dev v0", ""},
	{"6.3", "-6 fd50:17::/32 encap seg6local action End flavors psp dev v0", "seg6local action End flavors psp"},
	{"", "-6 fd50:18::/32 encap seg6local action End flavors psp,usp,usd dev v0",
		"seg6local action End flavors psp,usp,usd"},
	{"4.10", "-6 fd51:1::/32 encap seg6 mode encap segs fd00::9,fd00::8 dev v0",
		"seg6 mode encap segs 2 [ fd00::9 fd00::8 ]"},
	{"4.10", "-6 fd51:2::/32 encap seg6 mode inline segs fd00::9,fd00::8 dev v0",
		"seg6 mode inline segs 3 [ fd00::9 fd00::8 :: ]"},
	{"4.14", "-6 fd51:3::/32 encap seg6 mode l2encap segs fd00::9 dev v0", "seg6 mode l2encap segs 1 [ fd00::9 ]"},
	{"6.0", "-6 fd51:4::/32 encap seg6 mode encap.red segs fd00::9,fd00::8 dev v0",
		"seg6 mode encap.red segs 2 [ fd00::9 fd00::8 ]"},
	{"6.0", "-6 fd51:5::/32 encap seg6 mode l2encap.red segs fd00::9 dev v0",
		"seg6 mode l2encap.red segs 1 [ fd00::9 ]"},
	{"7.1", "-6 fd51:6::/32 encap seg6 mode encap segs fd00::9 tunsrc fd00::1 dev v0",
		"seg6 mode encap tunsrc fd00::1 segs 1 [ fd00::9 ]"},
	{"4.10", "-4 10.51.1.0/24 encap seg6 mode encap segs fd00::9 dev v0", "seg6 mode encap segs 1 [ fd00::9 ]"},
	{"5.3", "-6 fd51:7::/32 nhid 81", "seg6 mode encap segs 1 [ fd00::7 ]"},
}

// otherTunnels are the other encapsulations. (None with the options of geneve, vxlan and erspan,
// with which a dump never ends on kernels of today. ioam6 is in no kernel of Debian.)
var otherTunnels = []tunnel{
	{"4.3", "-4 10.52.1.0/24 encap ip id 42 src 10.0.0.1 dst 10.9.9.9 ttl 3 tos 0x5 dev v0",
		"ip id 42 src 10.0.0.1 dst 10.9.9.9 ttl 3 tos 5"},
	{"4.3", "-6 fd52:1::/32 encap ip id 42 dst 10.9.9.9 dev v0", "ip id 42 src 0.0.0.0 dst 10.9.9.9 ttl 0 tos 0"},
	{"4.3", "-6 fd52:2::/32 encap ip6 id 7 src fd00::1 dst fd00::9 hoplimit 3 tc 0x5 dev v0",
		"ip6 id 7 src fd00::1 dst fd00::9 hoplimit 3 tc 5"},
	{"4.3", "-4 10.52.2.0/24 encap ip6 id 7 dst fd00::9 dev v0", "ip6 id 7 src :: dst fd00::9 hoplimit 0 tc 0"},
	{"4.17", "-6 fd53:1::/64 dev v0 encap ila 1:2:3:4 csum-mode neutral-map ident-type luid",
		"ila 1:2:3:4 csum-mode neutral-map ident-type luid hook-type output"},
	{"4.17", "-6 fd53:2::/64 dev v0 encap ila ffff:0:0:a csum-mode no-action ident-type luid hook-type input",
		"ila ffff:0:0:a csum-mode no-action ident-type luid hook-type input"},
	{"4.17", "-6 fd53:3::/64 dev v0 encap ila 1:2:3:4 csum-mode adj-transport ident-type luid",
		"ila 1:2:3:4 csum-mode adj-transport ident-type luid hook-type output"},
	{"4.17", "-6 fd53:4::/64 dev v0 encap ila 1:2:3:4 csum-mode neutral-map-auto ident-type luid",
		"ila 1:2:3:4 csum-mode neutral-map-auto ident-type luid hook-type output"},
	{"4.17", "-6 fd53::1:2000:0:1:87/128 encap ila 2001:0:87:0 csum-mode no-action via fd00::9 dev v0",
		"ila 2001:0:87:0 csum-mode no-action ident-type use-format hook-type output"},
	{"6.1", "-6 fd54:1::/32 dev v0 encap xfrm if_id 1 link_dev v1", "xfrm if_id 1 link_dev v1"},
	{"6.1", "-6 fd54:2::/32 via fd00::9 encap xfrm if_id 4294967295", "xfrm if_id 4294967295"},
	{"6.1", "-4 10.54.1.0/24 dev v0 encap xfrm if_id 2", "xfrm if_id 2"},
	{"7.2", "-6 fd55:1::/32 encap rpl segs fd00::9,fd00::8 dev v0", "rpl segs 2 [ fd00::9 fd00::8 ]"},
}

// TestTunnels compares every column of routes with every tunnel that there is with ip, and with the
// bytes.
func TestTunnels(t *testing.T) {
	nstest.New(t)
	network(t)
	if _, err := nstest.Try("link add red type vrf table 1010"); err == nil { // for vrftable
		nstest.IP(t, "link set red up")
		if _, err := os.Stat("/proc/sys/net/vrf/strict_mode"); err == nil { // Linux 5.8
			nstest.Sysctl(t, "net.vrf.strict_mode", "1")
		}
	}
	nstest.IP(t, "nexthop add id 81 encap seg6 mode encap segs fd00::7 via fd00::9 dev v0")
	cases := tunnels(slices.Concat(seg6Tunnels, otherTunnels))
	addCases(cases)
	all := compareAll(t)
	checkCases(t, cases, all)
	compareObjects(t, newIPView(t))
	checkCaptured(t)
	for _, r := range all {
		if r.row["unknown_attrs"] != "[]" {
			t.Errorf("not understood: %v", r)
		}
	}
}

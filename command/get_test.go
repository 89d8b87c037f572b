package command

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/internal/ptytest"
)

// explained is what the JSON of get says that these tests look at.
type explained struct {
	Destination string
	Dev         string
	Gateway     string
	PrefSrc     string
	TableName   string `json:"table_name"`
	Error       string
	Explained   bool
	Shortcut    string
	Verdict     string
	VRF         string
	Metric      *int
	Rules       []struct {
		Priority  int
		Matched   *bool
		Condition string
		Outcome   string
		Why       string
		TableName string `json:"table_name"`
		Route     *struct{ Dst, Type string }
	}
	Route    *struct{ Dst, Type string }
	Nexthops []struct {
		Gateway string
		Weight  int
		Taken   *bool
	}
}

// way is the rules that are tried, by priority, each with the condition that is not met or what comes of it.
func (e *explained) way() string {
	var all []string
	for _, r := range e.Rules {
		word := r.Outcome
		if r.Matched == nil {
			word = "?"
		} else if !*r.Matched {
			word = "-" + r.Condition
		}
		all = append(all, strings.Join([]string{jsonNumber(r.Priority), word}, " "))
	}
	return strings.Join(all, ", ")
}

func jsonNumber(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

// getNamespace has a rule of each kind.
func getNamespace(t *testing.T) {
	t.Helper()
	nstest.New(t)
	nstest.Veth(t, "v0", "192.0.2.10/24", "fd00::1/64")
	nstest.Veth(t, "v1", "198.51.100.10/24", "fd01::1/64")
	nstest.Sysctl(t, "net.ipv4.conf.all.forwarding", "1")
	nstest.Sysctl(t, "net.ipv4.conf.v1.forwarding", "0")
	nstest.IP(t, "link set v1 group 7")
	nstest.Batch(t, "-4",
		"rule add priority 100 from 10.0.0.0/8 lookup 100",
		"rule add priority 110 fwmark 0x7/0xf lookup 110", "route add blackhole default table 110",
		"rule add priority 120 iif v0 to 30.0.0.0/8 prohibit",
		"rule add priority 130 oif v1 to 30.0.0.0/8 blackhole",
		"rule add priority 140 not to 0.0.0.0/1 goto 400",
		"rule add priority 150 ipproto tcp dport 443 lookup 150", "route add unreachable default table 150",
		"rule add priority 160 sport 1000-2000 unreachable",
		"rule add priority 170 tos 8 lookup 170", "route add throw 30.0.0.0/8 table 170",
		"rule add priority 180 to 30.0.0.0/8 goto 300",
		"rule add priority 190 lookup main suppress_prefixlength 0",
		"rule add priority 200 goto 201",
		"rule add priority 210 lookup 210 suppress_ifgroup 7", "route add 31.0.0.0/8 dev v1 table 210",
		"rule add priority 300 nop",
		"rule add priority 400 to 200.0.0.0/8 lookup 400", "route add 200.0.0.0/8 via 192.0.2.3 table 400",
		"route add default nexthop via 192.0.2.1 weight 3 nexthop via 198.51.100.1",
	)
	nstest.Batch(t, "-6",
		"route add default via fd00::2 metric 5", "rule add priority 50 from fd00::/16 to fd50::/16 blackhole",
		"route add fd60::/16 via fd01::2 table 60", "rule add priority 60 lookup 60")
}

const last = "32766 decides"

// getCases are packets in that namespace, which rules are tried, and words that are said.
var getCases = []struct{ args, way, says string }{
	{"192.0.2.10", "0 decides", "the packet is for this host itself, with the source 192.0.2.10"},
	{"192.0.2.255", "0 decides", "broadcast, out of v0"},
	{"192.0.2.77", "0 no route, 100 -from, 110 -fwmark, 120 -iif, 130 -oif, 140 goto, 400 -to, " + last,
		"goes to 192.0.2.77 itself, out of v0 (veth), with the source 192.0.2.10"},
	{"30.1.1.1", "0 no route, 100 -from, 110 -fwmark, 120 -iif, 130 -oif, 140 -, 150 -ipproto, 160 -sport, 170 -tos, " +
		"180 goto, 300 nop, 400 -to, " + last, "no source address is set, so that a rule for 10.0.0.0/8 does"},
	{"30.1.1.1 --tos 8", "0 no route, 100 -from, 110 -fwmark, 120 -iif, 130 -oif, 140 -, 150 -ipproto, 160 -sport, " +
		"170 throw, 180 goto, 300 nop, 400 -to, " + last, "table 170 has a throw route for it (30.0.0.0/8)"},
	{"30.1.1.1 --mark 0x17", "0 no route, 100 -from, 110 decides", "blackhole decides: the packet is dropped silently"},
	{"30.1.1.1 --source 192.0.2.9 --iif v0", "0 no route, 100 -from, 110 -fwmark, 120 decides", "this is prohibited"},
	{"30.1.1.1 --oif v1", "0 no route, 100 -from, 110 -fwmark, 120 -iif, 130 decides", "takes the destination for a " +
		"neighbour there"},
	{"31.1.1.1", "0 no route, 100 -from, 110 -fwmark, 120 -iif, 130 -oif, 140 -, 150 -ipproto, 160 -sport, 170 -tos, " +
		"180 -to, 190 suppress_prefixlength, 200 goto nowhere, 210 suppress_ifgroup, 300 nop, 400 -to, " + last,
		"table 210 has 31.0.0.0/8, which does not count: its interface is in group 7"},
	{"31.1.1.1 --ipproto tcp --dport 443",
		"0 no route, 100 -from, 110 -fwmark, 120 -iif, 130 -oif, 140 -, 150 decides",
		"its sender is told that the host is unreachable"},
	{"31.1.1.1 --sport 1500",
		"0 no route, 100 -from, 110 -fwmark, 120 -iif, 130 -oif, 140 -, 150 -ipproto, 160 decides",
		"the network is unreachable"},
	{"200.1.1.1 --source 192.0.2.10", "0 no route, 100 -from, 110 -fwmark, 120 -iif, 130 -oif, 140 goto, 400 decides",
		"goes to the gateway 192.0.2.3, out of v0 (veth)"},
	{"192.0.2.77 --source 198.51.100.7 --iif v1", "0 no route, 100 -from, 110 -fwmark, 120 -iif, 130 -oif, 140 goto, " +
		"400 -to, " + last, "forwarding is off for what comes in through v1"},
	{"224.0.0.9 --oif v1", "", "no rule is tried: it goes out through the interface that was asked for"},
	{"30.1.1.1 --source 1.2.3.4", "", "the source is not an address of this host"},
	{"fd50::1 --source fd00::1", "0 no route, 50 decides", "the rule decides: the packet is dropped silently"},
	{"fd50::1", "0 no route, 50 -from, 60 no route, " + last,
		"goes to the gateway fd00::2, out of v0 (veth), with the source fd00::1"},
	{"fd60::1", "0 no route, 50 -from, 60 decides", "table 60: fd60::/16 via fd01::2 dev v1"},
	{"ff02::1%v1", "0 decides", "the packet is a multicast, out of v1"},
}

// TestGet: which rules are tried, in text and JSON, and that the result is that of ip route get.
func TestGet(t *testing.T) {
	getNamespace(t)
	for _, c := range getCases {
		args := append([]string{"get"}, strings.Fields(c.args)...)
		if text := run(t, "", args...); !strings.Contains(text, c.says) {
			t.Errorf("%s: %q is missing:\n%s", c.args, c.says, text)
		}
		e := getJSON(t, args...)[0]
		if got := e.way(); got != c.way || !e.Explained {
			t.Errorf("%s: got %s\nwant %s\n%+v", c.args, got, c.way, e)
		}
		compareWithIP(t, c.args, &e)
	}
}

// getJSON runs get with --json.
func getJSON(t *testing.T, args ...string) (all []explained) {
	t.Helper()
	for line := range strings.Lines(run(t, "", append(args, "--json")...)) {
		var e explained
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%v: %v in %s", args, err, line)
		}
		all = append(all, e)
	}
	return all
}

// compareWithIP compares an explanation with what ip route get says.
func compareWithIP(t *testing.T, args string, e *explained) {
	t.Helper()
	dst, options, _ := strings.Cut(args, " ")
	dst, zone, zoned := strings.Cut(dst, "%")
	if zoned {
		options = "oif " + zone
	}
	options = strings.NewReplacer("--source", "from", "--tos 8", "tos 0x8", "--", "").Replace(options)
	out, err := exec.Command("ip", strings.Fields("-j route get "+dst+" "+options)...).Output()
	if (err != nil) != (e.Error != "") {
		t.Errorf("%s: error %q, and ip: %v", args, e.Error, err)
	}
	if err != nil {
		return
	}
	var all []struct{ Gateway, Dev, PrefSrc string }
	if err := json.Unmarshal(out, &all); err != nil || len(all) != 1 {
		t.Fatalf("ip %s: %v, %s", args, err, out)
	}
	if e.Gateway != all[0].Gateway || e.Dev != all[0].Dev || e.PrefSrc != all[0].PrefSrc {
		t.Errorf("%s: %+v, and ip says %s", args, e, out)
	}
}

// TestGetNexthops: of several nexthops the one that is taken is marked, and no other.
func TestGetNexthops(t *testing.T) {
	getNamespace(t)
	nstest.IP(t, "nexthop add id 1 via fd00::5 dev v0")
	nstest.IP(t, "nexthop add id 2 via fd01::5 dev v1")
	nstest.IP(t, "nexthop add id 3 group 1,4/2")
	nstest.IP(t, "-6 route add fd70::/16 nhid 3")
	for _, dst := range []string{"8.8.8.8", "9.9.9.9", "1.2.3.4", "fd70::1", "fd70::2"} {
		e := getJSON(t, "get", dst)[0]
		taken := 0
		for _, h := range e.Nexthops {
			if h.Taken != nil && *h.Taken {
				taken++
				if h.Gateway != e.Gateway {
					t.Errorf("%s: %s is marked, and %s is taken", dst, h.Gateway, e.Gateway)
				}
			}
		}
		if taken != 1 || len(e.Nexthops) != 2 || e.Nexthops[0].Weight < 3 {
			t.Errorf("%s: nexthops %+v", dst, e.Nexthops)
		}
		if text := run(t, "", "get", dst); strings.Count(text, "<- taken") != 1 {
			t.Errorf("%s: %s", dst, text)
		}
	}
}

// TestGetSeveral: several addresses are explained in order, each with an object of its own.
func TestGetSeveral(t *testing.T) {
	getNamespace(t)
	all := getJSON(t, "get", "192.0.2.10", "fd00::1", "::ffff:192.0.2.10")
	if len(all) != 3 || all[0].Destination != "192.0.2.10" || all[1].Destination != "fd00::1" ||
		all[2].TableName != "local" {
		t.Errorf("%+v", all)
	}
}

// TestGetMergedTables: as long as nobody has added a rule, a route of table main may be preferred to one of table
// local that is less specific.
func TestGetMergedTables(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "192.0.2.10/24")
	nstest.IP(t, "route add local 50.0.0.0/8 dev v0")
	nstest.IP(t, "route add 50.1.0.0/16 via 192.0.2.1")
	e := getJSON(t, "get", "50.1.1.1")[0]
	if !e.Explained || e.Gateway != "192.0.2.1" || e.way() != "0 no route, 32766 decides" ||
		!strings.Contains(e.Rules[0].Why, "as long as nobody has added a rule") {
		t.Errorf("%+v", e)
	}
	nstest.IP(t, "rule add priority 5 nop")
	if e := getJSON(t, "get", "50.1.1.1")[0]; !e.Explained || e.way() != "0 decides" && e.way() != "0 decides, 5 nop" {
		t.Errorf("with a rule: %+v", e)
	}
}

// TestGetVRF: the rule for VRFs has the table of the packet's VRF looked at.
func TestGetVRF(t *testing.T) {
	getNamespace(t)
	_, err := nstest.Try("link add red type vrf table 300")
	needtest.Kernel(t, "VRFs", "4.3", err)
	nstest.IP(t, "link set red up")
	nstest.Veth(t, "v2")
	nstest.IP(t, "link set v2 master red")
	nstest.IP(t, "addr add 10.9.0.1/24 dev v2")
	nstest.IP(t, "route add default via 10.9.0.2 vrf red")
	nstest.IP(t, "rule add priority 90 l3mdev")
	for _, args := range []string{"--vrf red", "--oif red", "--oif v2"} {
		e := getJSON(t, append([]string{"get", "9.9.9.9"}, strings.Fields(args)...)...)[0]
		if !e.Explained || e.VRF != "red" || e.Gateway != "10.9.0.2" || e.way() != "0 no route, 90 decides" {
			t.Errorf("%s: %s, %+v", args, e.way(), e)
		}
	}
	if e := getJSON(t, "get", "9.9.9.9")[0]; !strings.Contains(e.way(), "90 -l3mdev") {
		t.Errorf("of no VRF: %s", e.way())
	}
	stdout, _, _ := command(t, nil, "__complete", "get", "--vrf", "")
	if !strings.HasPrefix(stdout, "red\n:") {
		t.Errorf("VRFs are completed with %q", stdout)
	}
	_, stderr, status := command(t, nil, "get", "9.9.9.9", "--vrf", "v0")
	if status != exitUsage || !strings.Contains(stderr, "--vrf=v0 is no VRF") {
		t.Errorf("exit status %d, %s", status, stderr)
	}
}

// TestGetZones: the source's zone is the interface as well, and no two are one.
func TestGetZones(t *testing.T) {
	getNamespace(t)
	const another = " is an address at another interface than "
	for args, want := range map[string]string{
		"fe80::9 --source fe80::1%v1":             "v1",
		"fe80::9%v1 --source fe80::1%v1":          "v1",
		"fe80::9 --source fe80::1%v1 --oif v1":    "v1",
		"fd01::9 --source fe80::1%v0 --iif v0":    "",
		"fe80::9%v0 --source fe80::1%v1":          "--source=fe80::1%v1" + another + "fe80::9%v0",
		"fe80::9 --source fe80::1%v1 --oif v0":    "--source=fe80::1%v1" + another + "--oif=v0",
		"fd01::9 --source fe80::1%v1 --iif v0":    "--source=fe80::1%v1" + another + "--iif=v0",
		"fe80::9%v0 --oif v1 --source fe80::1%v1": "through another interface than --oif=v1",
		"fe80::9 fe80::9%v0 --source fe80::1%v1":  "than fe80::9%v0",
		"fe80::9%v0 --source fe80::1%nope":        "the zone of --source='nope': there is no such interface",
	} {
		all := append([]string{"get", "--json"}, strings.Fields(args)...)
		stdout, stderr, status := command(t, nil, all...)
		var e struct {
			OutDev string `json:"out_dev"`
		}
		if len(want) <= 2 {
			if err := json.Unmarshal([]byte(stdout), &e); err != nil || e.OutDev != want || status != exitOK {
				t.Errorf("%s: %v, %s%s", args, err, stdout, stderr)
			}
		} else if status != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit status %d, %s", args, status, stderr)
		}
	}
}

// TestGetCompletion: interfaces of the namespace, and protocols.
func TestGetCompletion(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0")
	for args, want := range map[string]string{"--iif|": "lo\nv0\nv0p\n:4", "--oif|v": "v0\nv0p\n:4",
		"--ipproto|": "icmp\nicmpv6\nipv6-icmp\ntcp\nudp\n:4", "--ipproto|t": "tcp\n:4", "": ":4", "--vrf|": ":4"} {
		stdout, _, status := command(t, nil, append([]string{"__complete", "get"}, strings.Split(args, "|")...)...)
		if !strings.HasPrefix(stdout, want+"\n") || status != exitOK {
			t.Errorf("%s: %q, want %q", args, stdout, want)
		}
	}
}

// TestGetEscapes: names of interfaces do not reach a terminal as they are.
func TestGetEscapes(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "192.0.2.10/24")
	nstest.IP(t, "link set v0 down")
	if err := exec.Command("ip", "link", "set", "v0", "name", "a\x1b[31m").Run(); err != nil {
		t.Fatal(err)
	}
	nstest.IP(t, "link set a\x1b[31m up")
	nstest.IP(t, "rule add iif a\x1b[31m lookup 7")
	text := run(t, "", "get", "192.0.2.7")
	if strings.Contains(text, "\x1b") || !strings.Contains(text, `a\x1b[31m`) {
		t.Errorf("%q", text)
	}
}

// TestGetTerminal: at a terminal an explanation fits, and says the same.
func TestGetTerminal(t *testing.T) {
	getNamespace(t)
	nstest.IP(t, "rule add priority 90 from 10.11.12.0/24 to 10.77.0.0/16 fwmark 0x100/0xff00 iif v0 ipproto tcp "+
		"dport 400-500 lookup 100")
	args := []string{"get", "31.1.1.1", "fd50::1"}
	piped := run(t, "", args...)
	for _, columns := range []uint16{40, 60, 100, 300} {
		x := ptytest.Start(t, ptytest.Size{Rows: 24, Columns: columns}, exec.Command(binary(t), args...))
		if status := x.Wait(); status != exitOK {
			t.Errorf("exit status %d", status)
		}
		written := strings.ReplaceAll(x.Written(), "\r", "")
		for line := range strings.Lines(written) {
			if len(line) > int(columns)+1 {
				t.Errorf("wider than %d: %q", columns, line)
			}
		}
		if columns == 300 && written != piped || !slices.Equal(strings.Fields(written), strings.Fields(piped)) {
			t.Errorf("%s instead of %s", written, piped)
		}
	}
}

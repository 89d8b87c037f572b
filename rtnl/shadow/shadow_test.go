package shadow

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// The kernel's own rules, and rules as the cases have them.
var (
	own4 = []string{"0 255", "32766 254", "32767 253"}
	own6 = []string{"0 255", "32766 254"}
	vpn  = []string{"0 255", "100 51820", "32766 254", "32767 253"}
)

// A shadowCase is rules, as "PRIORITY TABLE CONDITION", and routes, as "TABLE DESTINATION WORD...", each followed by
// what is to come before it, if anything: the table, the first of the routes, and how many they are.
type shadowCase struct {
	name   string
	rules  []string
	routes string
}

var cases = []shadowCase{
	{"halves", own4, `
		254 0.0.0.0/0 metric 100 < 254 0.0.0.0/1 128.0.0.0/1 of 2
		254 0.0.0.0/1
		254 128.0.0.0/1`},
	{"half", own4, `
		254 0.0.0.0/0
		254 0.0.0.0/1`},
	{"quarters, with one in two parts and one less specific", own4, `
		254 10.0.0.0/8 < 254 10.0.0.0/10 10.64.0.0/10 of 5
		254 10.0.0.0/10
		254 10.64.0.0/10 < 254 10.64.0.0/11 blackhole 10.96.0.0/11 throw of 2
		254 10.64.0.0/11 blackhole
		254 10.96.0.0/11 throw
		254 10.128.0.0/11
		254 10.160.0.0/11
		254 10.192.0.0/10`},
	{"metrics", own4, `
		254 10.0.0.0/8
		254 10.0.0.0/8 metric 5 < 254 10.0.0.0/8 of 1
		254 10.0.0.0/8 metric 6 prohibit < 254 10.0.0.0/8 of 1`},
	{"what refuses comes before as well", own4, `
		254 10.0.0.0/8 unreachable
		254 10.0.0.0/8 metric 5 < 254 10.0.0.0/8 unreachable of 1`},
	{"the same metric: the first of a prefix, but not of default routes", own4, `
		254 10.0.0.0/8
		254 10.0.0.0/8 < 254 10.0.0.0/8 of 1
		254 0.0.0.0/0
		254 0.0.0.0/0`},
	{"dead", own4, `
		254 10.0.0.0/8 dead
		254 10.0.0.0/8 metric 5
		254 11.0.0.0/8
		254 11.0.0.0/9 dead
		254 11.128.0.0/9`},
	{"types of service", own4, `
		254 10.0.0.0/8 tos 16 metric 9
		254 10.0.0.0/8 metric 5
		254 10.0.0.0/8 metric 7 < 254 10.0.0.0/8 metric 5 of 1
		254 10.0.0.0/8 tos 16 metric 10 < 254 10.0.0.0/8 tos 16 metric 9 of 1
		254 11.0.0.0/8
		254 11.0.0.0/9 tos 16
		254 11.128.0.0/9`},
	{"a table before", vpn, `
		254 0.0.0.0/0 metric 100 < 51820 0.0.0.0/0 of 1
		254 10.0.0.0/8 < 51820 0.0.0.0/0 of 1
		51820 0.0.0.0/0
		99 10.0.0.0/8`},
	{"a table before, in parts", vpn, `
		254 0.0.0.0/0 < 51820 0.0.0.0/1 128.0.0.0/1 prohibit of 2
		254 10.0.0.0/8 < 51820 0.0.0.0/1 of 1
		51820 0.0.0.0/1
		51820 128.0.0.0/1 prohibit`},
	{"a table before throws some back", vpn, `
		254 0.0.0.0/0 < 51820 0.0.0.0/0 of 1 own 10.0.0.0/8
		254 10.0.0.0/8
		254 10.1.0.0/16
		254 10.1.0.0/17 < 51820 10.1.0.0/17 of 1 own 10.1.3.0/24
		254 10.1.3.0/24
		254 10.1.0.0/24 < 51820 10.1.0.0/24 of 1
		254 10.2.0.0/16 < 51820 10.2.0.0/17 10.2.128.0/17 of 2
		254 11.0.0.0/8 < 51820 0.0.0.0/0 of 1
		51820 0.0.0.0/0
		51820 10.0.0.0/8 throw
		51820 10.1.0.0/17
		51820 10.1.3.0/25 throw
		51820 10.1.3.128/26 throw
		51820 10.1.0.0/24
		51820 10.2.0.0/17
		51820 10.2.128.0/17`},
	{"throw after another of the destination", vpn, `
		254 10.0.0.0/8
		51820 10.0.0.0/8
		51820 10.0.0.0/8 throw metric 5 < 51820 10.0.0.0/8 of 1`},
	{"for some packets only", []string{"0 255", "200 51821 fwmark", "300 51822 from",
		"400 51823 iif", "500 51824 tos", "600 51825 ifgroup", "32766 254"}, `
		254 10.0.0.0/8
		51821 10.0.0.0/8
		51822 10.0.0.0/8
		51823 10.0.0.0/8
		51824 10.0.0.0/8
		51825 10.0.0.0/8`},
	{"tailscale", []string{"0 255", "5210 254 fwmark", "5230 253 fwmark", "5250 prohibit fwmark", "5270 52",
		"32766 254", "32767 253"}, `
		254 0.0.0.0/0
		254 10.0.0.0/9
		254 128.0.0.0/2 < 52 128.0.0.0/1 of 1 but 5210
		253 10.0.0.0/9 < 254 10.0.0.0/9 of 1
		253 11.0.0.0/8 < 52 11.0.0.0/8 of 1
		52 0.0.0.0/1
		52 11.0.0.0/8
		52 128.0.0.0/1
		52 10.0.0.0/8 throw`},
	{"strongSwan", []string{"0 255", "220 220", "32766 254"}, `
		254 0.0.0.0/0 < 220 0.0.0.0/0 of 1 own 192.168.1.0/24
		254 192.168.1.0/24
		254 192.168.1.1/32
		220 0.0.0.0/0
		220 192.168.1.0/24 throw`},
	{"few packets skip a table", []string{"0 255", "50 goto 200 fwmark", "100 51820", "200 nop", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1 but 50
		51820 10.0.0.0/8`},
	{"a kill switch", []string{"0 255", "50 prohibit not fwmark", "32766 254"}, `
		254 10.0.0.0/8 < rule 50 but 50`},
	{"a table for few packets only", []string{"0 255", "50 51820 fwmark", "60 51821", "70 51820 from", "32766 254"}, `
		254 10.0.0.0/8 < 51821 10.0.0.0/8 of 1
		51820 10.0.0.0/8
		51821 10.0.0.0/8`},
	{"wg-quick", []string{"0 255", "32764 254 longer 0", "32765 51820 not fwmark", "32766 254"}, `
		254 0.0.0.0/0 < 51820 0.0.0.0/0 of 1 but 32765
		254 10.0.0.0/8
		51820 0.0.0.0/0
		51820 10.0.0.0/8 < 254 10.0.0.0/8 of 1
		51820 10.1.0.0/16 < 254 10.0.0.0/8 of 1`},
	{"all of a VPN's rules for all", []string{"0 255", "100 254 longer 0", "200 51820", "32766 254"}, `
		254 0.0.0.0/0 < 51820 0.0.0.0/0 of 1
		254 10.0.0.0/8
		51820 0.0.0.0/0
		51820 10.0.0.0/8 < 254 10.0.0.0/8 of 1`},
	{"goto past a table", []string{"0 255", "50 goto 200", "100 51820", "200 51821", "32766 254"}, `
		254 10.0.0.0/8 < 51821 10.0.0.0/8 of 1
		51820 10.0.0.0/8 < rule 50
		51821 10.0.0.0/8`},
	{"goto past one rule of a table", []string{"0 255", "50 goto 200", "100 254", "200 51821", "32766 254"}, `
		254 10.0.0.0/8 < 51821 10.0.0.0/8 of 1
		51821 10.0.0.0/8`},
	{"goto to the first of two rules", []string{"0 255", "50 goto 100", "100 51820", "100 51821", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1
		51820 10.0.0.0/8
		51821 10.0.0.0/8 < 51820 10.0.0.0/8 of 1
		51821 11.0.0.0/8`},
	{"goto, and few packets jump in between", []string{"0 255", "40 goto 100 fwmark", "50 goto 200", "100 51820",
		"200 51821", "32766 254"}, `
		254 10.0.0.0/8 < 51821 10.0.0.0/8 of 1
		51820 10.0.0.0/8
		51821 10.0.0.0/8`},
	{"goto, and a jump that no packet comes to", []string{"0 255", "40 goto 200", "50 goto 100 fwmark", "100 51820",
		"150 goto 250 fwmark", "200 51821", "250 nop", "32766 254"}, `
		254 10.0.0.0/8 < 51821 10.0.0.0/8 of 1
		51820 10.0.0.0/8 < rule 40
		51821 10.0.0.0/8`},
	{"goto for most packets", []string{"0 255", "50 goto 200 not fwmark", "100 51820", "200 nop", "32766 254"}, `
		254 10.0.0.0/8
		51820 10.0.0.0/8`},
	{"goto nowhere", []string{"0 255", "50 goto 300 nowhere", "100 51820", "200 51821", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1
		51820 10.0.0.0/8
		51821 10.0.0.0/8 < 51820 10.0.0.0/8 of 1`},
	{"goto a rule that is not known", []string{"0 255", "50 goto 150", "100 51820", "200 51821", "32766 254"}, `
		254 10.0.0.0/8 < 51821 10.0.0.0/8 of 1
		51820 10.0.0.0/8
		51821 10.0.0.0/8`},
	{"goto past what refuses packets", []string{"0 255", "50 goto 200 fwmark", "100 prohibit", "150 51820", "200 nop",
		"32766 254"}, `
		254 10.0.0.0/8 < rule 100 but 50
		51820 10.0.0.0/8 < rule 100`},
	{"a table before a goto past others", []string{"0 255", "40 51819", "50 goto 200", "100 51820", "200 nop"}, `
		51820 10.0.0.0/8 < 51819 10.0.0.0/8 of 1
		51820 11.0.0.0/8 < rule 50
		51819 10.0.0.0/8`},
	{"a rule refuses all", []string{"0 255", "100 51820", "200 prohibit", "32766 254"}, `
		254 10.0.0.0/8 < 51820 10.0.0.0/8 of 1
		254 11.0.0.0/8 < rule 200
		51820 10.0.0.0/8
		255 10.0.0.1/32 local`},
	{"a rule refuses some", []string{"0 255", "200 prohibit fwmark", "32766 254"}, `
		254 10.0.0.0/8`},
	{"rules for destinations", []string{"0 255", "50 prohibit to 10.0.0.0/8", "60 51820 to 11.0.0.0/8", "32766 254"}, `
		254 0.0.0.0/0
		254 8.0.0.0/6
		254 10.0.0.0/8 < rule 50
		254 10.1.0.0/16 < rule 50
		254 11.0.0.0/8
		254 11.1.0.0/16 < 51820 11.1.0.0/16 of 1
		254 11.1.2.0/24 < 51820 11.1.0.0/16 of 1
		254 11.2.0.0/16
		254 11.3.0.0/16
		254 12.1.0.0/16
		51820 10.0.0.0/8 < rule 50
		51820 11.1.0.0/16
		51820 11.2.0.0/16 throw
		51820 12.1.0.0/16`},
	{"rules for destinations, and for other packets", []string{"0 255", "10 51820 fwmark", "50 prohibit to 10.0.0.0/8",
		"60 prohibit not fwmark", "70 prohibit to 11.0.0.0/8", "80 prohibit to 12.0.0.0/8 not",
		"90 prohibit to 13.0.0.0/8 tos", "95 goto 200 to 14.0.0.0/8", "100 51821", "200 51820", "32766 254"}, `
		254 10.0.0.0/8 < rule 50
		254 11.0.0.0/8 < rule 70
		254 12.0.0.0/8 < rule 60 but 60
		254 13.0.0.0/8 < rule 60
		254 14.0.0.0/8 < rule 60
		254 15.0.0.0/8 < rule 60
		51820 10.0.0.0/8 < rule 50 but 10
		51821 14.0.0.0/8 < rule 60
		51821 15.0.0.0/8 < rule 60`},
	{"local before main where they are two tables", vpn, `
		254 127.1.0.0/16 < 255 127.0.0.0/8 local of 1
		254 192.0.2.1/32 < 255 192.0.2.1/32 local of 1
		255 127.0.0.0/8 local
		255 192.0.2.1/32 local`},
	{"local before main where they may be one table", own4, `
		254 127.1.0.0/16
		254 192.0.2.1/32 < 255 192.0.2.1/32 local of 1
		254 192.0.2.2/31 < 255 192.0.2.2/32 local 192.0.2.3/32 local of 2
		253 192.0.2.1/32
		255 127.0.0.0/8 local
		255 192.0.2.1/32 local
		255 192.0.2.2/32 local
		255 192.0.2.3/32 local`},
	{"no rules", nil, `
		254 192.0.2.1/32
		255 192.0.2.1/32 local`},
	{"VRF", []string{"0 255", "1000 l3mdev", "2000 51820", "3000 10", "32766 254"}, `
		10 10.0.0.0/8
		11 10.0.0.0/8
		51820 0.0.0.0/0
		254 10.0.0.0/8 < 51820 0.0.0.0/0 of 1`},
	{"IPv6 metrics", own6, `
		254 2001:db8::/32 metric 5
		254 2001:db8::/32 metric 5
		254 2001:db8::/32 metric 6 < 254 2001:db8::/32 metric 5 of 1
		254 fe80::/64 metric 5
		254 fe80::/64 metric 6
		254 ff00::/8 metric 5
		254 ff00::/8 metric 6`},
	{"IPv6 dead", own6, `
		254 2001:db8::/32 metric 5 dead
		254 2001:db8::/32 metric 6
		254 2001:db8::/32 metric 7
		254 2001:db9::/32 metric 5 expired
		254 2001:db9::/32 metric 6
		254 2001:dba::/32 metric 5 dead
		254 2001:dba::/32 metric 5
		254 2001:dba::/32 metric 6 < 254 2001:dba::/32 metric 5 of 1`},
	{"IPv6 sources", own6, `
		254 2001:db8::/32 from fd00::/64 metric 5
		254 2001:db8::/32 from fd00::/64 metric 6 < 254 2001:db8::/32 from fd00::/64 metric 5 of 1
		254 2001:db8::/32 from fd01::/64 metric 7
		254 2001:db8::/32 metric 9
		254 2001:db9::/32 from fd01::/64 < 254 2001:db9::/33 2001:db9:8000::/33 of 2
		254 2001:db9::/33
		254 2001:db9:8000::/33
		254 2001:dba::/32
		254 2001:dba::/33 from fd00::/64
		254 2001:dba::/33
		254 2001:dba:8000::/33`},
	{"IPv6 halves", own6, `
		254 ::/0 < 254 ::/1 8000::/1 of 2
		254 ::/1
		254 8000::/1`},
	{"IPv6 a table before", []string{"0 255", "100 51820", "32766 254"}, `
		254 ::/0 < 51820 ::/0 of 1
		254 2001:db8::/128 < 51820 ::/0 of 1
		51820 ::/0`},
	{"the end of all addresses", own4, `
		254 0.0.0.0/0
		254 0.0.0.0/1
		254 128.0.0.0/2
		254 255.255.255.254/31 < 254 255.255.255.254/32 255.255.255.255/32 of 2
		254 255.255.255.254/32
		254 255.255.255.255/32`},
}

// TestShadow says of each route of the cases what comes before it.
func TestShadow(t *testing.T) {
	for _, c := range slices.Concat(cases, exceptionCases) {
		t.Run(c.name, func(t *testing.T) {
			var routes, rules [][]byte
			var want []string
			texts := map[uint8]string{} // of routes, by their protocols
			var family object.Family
			for line := range strings.Lines(strings.TrimSpace(c.routes)) {
				text, by, _ := strings.Cut(strings.TrimSpace(line), " < ")
				r := parseRoute(text)
				r.Protocol = uint8(100 + len(routes))
				routes, want, texts[r.Protocol] = append(routes, nltest.AppendRoute(nil, r)), append(want, by), text
				family = r.Family
			}
			for _, text := range c.rules {
				r := parseRule(family, text)
				rules = append(rules, nltest.AppendRule(nil, &r))
			}
			a, err := Analyze(t.Context(), rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{
				object.Routes.Kind: nltest.Runs(t, object.Routes.Kind, routes...),
				object.Rules.Kind:  nltest.Runs(t, object.Rules.Kind, rules...),
				object.Links.Kind: nltest.Runs(t, object.Links.Kind,
					nltest.AppendLink(nil, &object.Link{Index: 1, Name: "red", Kind: "vrf", VRFTable: 10}),
					nltest.AppendLink(nil, &object.Link{Index: 2, Name: "blue", Kind: "vrf", VRFTable: 11})),
			}))
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for table := range a.Tables() {
				for i := range table.Len() {
					var r object.Route
					table.Route(i, &r, object.AllFields)
					if got, want := shadowText(table, i, texts), want[r.Protocol-100]; got != want {
						t.Errorf("%s: before it comes %q, want %q", texts[r.Protocol], got, want)
					}
					n++
				}
			}
			if n != len(routes) {
				t.Errorf("%d of %d routes are in tables", n, len(routes))
			}
		})
	}
}

// shadowText says what comes before a route as the cases have it.
func shadowText(table *Table, i int, texts map[uint8]string) (text string) {
	by, ok := table.Shadow(i)
	switch {
	case !ok:
		return ""
	case by.Refused != nil:
		text = "refused"
		for _, r := range by.Refused {
			text += fmt.Sprint(" ", r.Priority)
		}
	case by.Table == nil:
		text = fmt.Sprint("rule ", by.Rule.Priority)
	default:
		text = fmt.Sprint(by.Table.ID)
		for _, j := range by.Routes {
			var r object.Route
			by.Table.Route(j, &r, object.AllFields)
			text += strings.TrimPrefix(texts[r.Protocol], fmt.Sprint(by.Table.ID))
		}
		text += fmt.Sprint(" of ", by.Count)
	}
	for _, j := range by.Own {
		var r object.Route
		table.Route(j, &r, object.AllFields)
		text += " own" + strings.TrimPrefix(texts[r.Protocol], fmt.Sprint(table.ID))
	}
	for _, r := range by.Except {
		text += fmt.Sprint(" but ", r.Priority)
	}
	for _, r := range by.Perhaps {
		text += fmt.Sprint(" perhaps ", r.Priority)
	}
	return text
}

// TestNexthopObjects: a route that uses a blackhole refuses packets, and one whose object has gone is no
// certain thing.
func TestNexthopObjects(t *testing.T) {
	var routes [][]byte
	for i, nhid := range []uint32{9, 8, 7} {
		for metric := range uint32(2) {
			r := parseRoute(fmt.Sprintf("254 10.%d.0.0/16 metric %d", i, metric))
			if metric == 0 {
				r.NexthopID, r.OIF = object.Some(nhid), object.Opt[uint32]{}
			}
			routes = append(routes, nltest.AppendRoute(nil, r))
		}
	}
	a, err := Analyze(t.Context(), rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{
		object.Routes.Kind: nltest.Runs(t, object.Routes.Kind, routes...),
		object.NexthopObjects.Kind: nltest.Runs(t, object.NexthopObjects.Kind,
			nltest.AppendNexthop(nil, &object.NexthopObject{ID: 9, Blackhole: true}),
			nltest.AppendNexthop(nil, &object.NexthopObject{ID: 8, Family: object.IPv4, OIF: 3})),
	}))
	if err != nil {
		t.Fatal(err)
	}
	var got []bool
	table := a.Table(object.IPv4, object.RT_TABLE_MAIN)
	for i := range table.Len() {
		_, ok := table.Shadow(i)
		got = append(got, ok)
	}
	if want := []bool{false, true, false, true, false, false}; !slices.Equal(got, want) {
		t.Errorf("shadowed are %v, want %v", got, want)
	}
}

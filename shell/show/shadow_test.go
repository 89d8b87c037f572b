package show

import (
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// TestExcept: packets that a rule singles out are an exception where they come to the route, and where that is not
// certain it says so.
func TestExcept(t *testing.T) {
	for _, c := range []struct{ rules, line, count string }{
		{"51 not fwmark 0xca6c lookup 51820", "table 51820 default, except for packets fwmark 0xca6c (rule 51)",
			"2 of them shadowed except for some packets"},
		{"50 fwmark 5 goto 32767, 51 lookup 51820", "table 51820 default", "2 of them shadowed"},
		{"50 fwmark 0xca6c lookup 200, 51 not fwmark 0xca6c lookup 51820", "table 51820 default", "2 of them shadowed"},
		{"50 fwmark 0xca6c blackhole, 51 not fwmark 0xca6c lookup 51820", "table 51820 default", "2 of them shadowed"},
		{"50 fwmark 0xca6c lookup 51820, 51 not fwmark 0xca6c lookup 51820", "table 51820 default",
			"2 of them shadowed"},
		{"50 ipproto tcp blackhole, 51 not fwmark 0xca6c lookup 51820",
			"table 51820 default, except perhaps for packets fwmark 0xca6c (rule 51)",
			"2 of them shadowed except perhaps for some packets"},
		{"48 from 10.9.9.9 lookup main, 50 ipproto tcp blackhole, 51 not fwmark 0xca6c lookup 51820",
			"table 51820 default, except for packets from 10.9.9.9/32 (rule 48), " +
				"and perhaps for packets fwmark 0xca6c (rule 51)",
			"2 of them shadowed except for some packets"},
		{"50 not fwmark 5 prohibit",
			"no packet comes here but those that a rule leaves out: before, rule 50: not from all fwmark 0x5 prohibit",
			"2 of them shadowed except for some packets"},
		{"49 fwmark 5 blackhole, 50 not fwmark 5 prohibit",
			"no packet comes here: before, rule 50: not from all fwmark 0x5 prohibit", "2 of them shadowed"},
	} {
		t.Run(c.rules, func(t *testing.T) {
			nstest.New(t)
			nstest.Veth(t, "eth0", "192.0.2.10/24")
			nstest.Batch(t, "-4", "route add default via 192.0.2.1", "route add default dev eth0 table 51820",
				"route add default dev eth0 table 200")
			for rule := range strings.SplitSeq(c.rules, ", ") {
				nstest.IP(t, "rule add priority "+rule)
			}
			got, _ := shown(t, &rtnl.Kernel{}, Options{Family: object.IPv4, Table: "main"})
			line, want := "      shadowed by "+c.line+"\n", 2
			if strings.HasPrefix(c.line, "no packet") {
				line, want = "  "+c.line+"\n", 1
			}
			if n := strings.Count(got, line); n != want {
				t.Errorf("it says %d times, not %d, %s:\n%s", n, want, line, got)
			}
			if !strings.HasSuffix(got, "\n2 routes in 1 table, "+c.count+"\n") {
				t.Errorf("it is to count %s:\n%s", c.count, got)
			}
		})
	}
}

// TestRefused: a route that no rule accepts which leads to its table is never used.
func TestRefused(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "eth0", "192.0.2.10/24")
	nstest.Batch(t, "-4", "route add default via 192.0.2.1", "rule add priority 60 lookup main suppress_prefixlength 0",
		"rule add priority 61 lookup main suppress_prefixlength 8", "rule del priority 32766")
	got, _ := shown(t, &rtnl.Kernel{}, Options{Family: object.IPv4, Table: "main"})
	compare(t, got, `
ipv4

table main (254)                    rule 60: from all, but no default route
                                    rule 61: from all, but only routes longer than /8
  default       via 192.0.2.1 dev eth0 proto boot
      shadowed: not accepted by rule 60 (no default route) and rule 61 (only routes longer than /8)
  192.0.2.0/24  dev eth0 proto kernel scope link src 192.0.2.10

2 routes in 1 table, 1 of them shadowed
`)
}

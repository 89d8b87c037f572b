package shadow

import (
	"fmt"
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// TestBarred: a rule that refuses all packets, or all but few, before any other leads to a table.
func TestBarred(t *testing.T) {
	for _, c := range []struct {
		rules []string
		want  string
	}{
		{own4, ""},
		{[]string{"50 prohibit", "32766 254"}, "50"},
		{[]string{"50 prohibit not fwmark", "32766 254"}, "50 but few"},
		{[]string{"40 prohibit not fwmark", "50 prohibit", "32766 254"}, "50"},
		{[]string{"50 prohibit fwmark", "32766 254"}, ""},
		{[]string{"40 254 fwmark", "50 prohibit", "32766 254"}, ""},
		{[]string{"40 goto 60", "50 prohibit", "32766 254"}, ""},
		{[]string{"50 prohibit"}, ""},
		{[]string{"40 goto 60", "50 254", "60 nop"}, "40"},
		{[]string{"40 goto 60", "50 254", "60 nop", "70 254"}, ""},
		{[]string{"40 goto 60", "50 254", "60 254"}, ""},
		{[]string{"40 goto 60 fwmark", "50 254", "60 nop"}, ""},
		{[]string{"40 goto 60 not fwmark", "50 254", "60 nop"}, ""},
		{[]string{"40 goto 70 nowhere", "50 254", "60 nop"}, ""},
		{[]string{"40 goto 70 nowhere", "50 254", "70 nop"}, ""},
		{[]string{"40 goto 70", "50 254", "60 nop"}, ""},
		{[]string{"30 goto 50 fwmark", "40 goto 60", "50 254", "60 nop"}, ""},
		{[]string{"30 goto 50 fwmark", "40 goto 60", "45 254", "50 nop", "60 nop"}, "40"},
		{[]string{"30 goto 50", "40 goto 60 fwmark", "45 254", "50 goto 70", "55 254", "60 254", "70 nop"}, "30"},
		{[]string{"30 goto 60 fwmark", "50 prohibit", "60 nop", "32766 254"}, ""},
		{[]string{"30 goto 60 fwmark", "50 prohibit", "55 254", "60 nop"}, "50"},
		{[]string{"30 goto 60 fwmark", "50 prohibit not fwmark", "60 nop", "32766 254"}, ""},
		{[]string{"30 goto 60", "40 254", "50 prohibit not fwmark", "60 nop", "32766 254"}, ""},
		{[]string{"30 goto 50", "40 254", "50 prohibit not fwmark", "32766 254"}, "50 but few"},
		{[]string{"40 prohibit fwmark", "50 prohibit not fwmark", "32766 254"}, "50"},
		{[]string{"40 prohibit from", "50 prohibit not fwmark", "32766 254"}, "50 but few"},
		{[]string{"40 51820 fwmark", "50 prohibit not fwmark", "32766 254"}, "50"},
		{[]string{"40 51821 fwmark", "50 prohibit not fwmark", "32766 254"}, "50 but few"},
		{[]string{"50 prohibit not fwmark", "60 goto 32767 fwmark", "32766 254", "32767 nop"}, "50"},
		{[]string{"50 prohibit not fwmark to 10.0.0.0/8", "60 51821", "32766 254"}, "50"},
		{[]string{"50 prohibit not fwmark to 10.0.0.0/7", "60 51821", "32766 254"}, "50 but few"},
	} {
		var rules [][]byte
		for _, text := range c.rules {
			r := parseRule(object.IPv4, text)
			rules = append(rules, nltest.AppendRule(nil, &r))
		}
		a, err := Analyze(t.Context(), rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{
			object.Routes.Kind: nltest.Runs(t, object.Routes.Kind,
				nltest.AppendRoute(nil, parseRoute("51820 0.0.0.0/0")),
				nltest.AppendRoute(nil, parseRoute("51821 10.0.0.0/8")),
				nltest.AppendRoute(nil, parseRoute("254 11.0.0.0/8"))),
			object.Rules.Kind: nltest.Runs(t, object.Rules.Kind, rules...),
			object.Links.Kind: nltest.Runs(t, object.Links.Kind, nltest.AppendLink(nil, &object.Link{Index: 1})),
		}))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if r, all := a.Barred(object.IPv4, object.RT_TABLE_MAIN); r != nil {
			if got = fmt.Sprint(r.Priority); !all {
				got += " but few"
			}
		}
		if got != c.want {
			t.Errorf("%q: rule %q, want %q", c.rules, got, c.want)
		}
	}
}

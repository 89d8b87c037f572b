package shadow

import (
	"testing"

	"kernelroutes/internal/nltest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
)

// TestBarred: a rule that refuses all packets, or all but few, before any other leads to a table.
func TestBarred(t *testing.T) {
	for _, c := range []struct {
		rules []string
		want  uint32
	}{
		{own4, 0},
		{[]string{"50 prohibit", "32766 254"}, 50},
		{[]string{"50 prohibit not fwmark", "32766 254"}, 50},
		{[]string{"40 prohibit not fwmark", "50 prohibit", "32766 254"}, 50},
		{[]string{"50 prohibit fwmark", "32766 254"}, 0},
		{[]string{"40 254 fwmark", "50 prohibit", "32766 254"}, 0},
		{[]string{"40 goto 60", "50 prohibit", "32766 254"}, 0},
		{[]string{"50 prohibit"}, 0},
		{[]string{"40 goto 60", "50 254", "60 nop"}, 40},
		{[]string{"40 goto 60", "50 254", "60 nop", "70 254"}, 0},
		{[]string{"40 goto 60", "50 254", "60 254"}, 0},
		{[]string{"40 goto 60 fwmark", "50 254", "60 nop"}, 0},
		{[]string{"40 goto 60 not fwmark", "50 254", "60 nop"}, 0},
		{[]string{"40 goto 70 nowhere", "50 254", "60 nop"}, 0},
		{[]string{"40 goto 70 nowhere", "50 254", "70 nop"}, 0},
		{[]string{"40 goto 70", "50 254", "60 nop"}, 0},
		{[]string{"30 goto 50 fwmark", "40 goto 60", "50 254", "60 nop"}, 0},
		{[]string{"30 goto 50 fwmark", "40 goto 60", "45 254", "50 nop", "60 nop"}, 40},
		{[]string{"30 goto 50", "40 goto 60 fwmark", "45 254", "50 goto 70", "55 254", "60 254", "70 nop"}, 30},
		{[]string{"30 goto 60 fwmark", "50 prohibit", "60 nop", "32766 254"}, 0},
		{[]string{"30 goto 60 fwmark", "50 prohibit", "55 254", "60 nop"}, 50},
		{[]string{"30 goto 60 fwmark", "50 prohibit not fwmark", "60 nop", "32766 254"}, 0},
		{[]string{"30 goto 60", "40 254", "50 prohibit not fwmark", "60 nop", "32766 254"}, 0},
		{[]string{"30 goto 50", "40 254", "50 prohibit not fwmark", "32766 254"}, 50},
	} {
		var rules [][]byte
		for _, text := range c.rules {
			r := parseRule(object.IPv4, text)
			rules = append(rules, nltest.AppendRule(nil, &r))
		}
		a, err := Analyze(t.Context(), rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{
			object.Rules.Kind: nltest.Runs(t, object.Rules.Kind, rules...),
			object.Links.Kind: nltest.Runs(t, object.Links.Kind, nltest.AppendLink(nil, &object.Link{Index: 1})),
		}))
		if err != nil {
			t.Fatal(err)
		}
		var got uint32
		if r := a.Barred(object.IPv4, object.RT_TABLE_MAIN); r != nil {
			got = r.Priority
		}
		if got != c.want {
			t.Errorf("%q: rule %d, want %d", c.rules, got, c.want)
		}
	}
}

package tables_test

import (
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nametest"
	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// plainRule has what the rows of all rules of this test have in common unless they say
// otherwise.
var plainRule = row{"family": "ipv4", "action": "table", "inverted": "0", "iif_detached": "0", "oif_detached": "0",
	"tos": "0", "goto_unresolved": "0", "l3mdev": "0", "protocol": "unspec", "flags": "0", "unknown_attrs": "[]",
	"snapshot_consistent": "1"}

// ruleCases are rules as ip adds them, in the order of their priority, and their rows.
var ruleCases = []struct {
	family, line string
	want         row
}{
	{"-4", "rule add priority 100 from 10.0.0.0/8 to 10.1.2.3 iif v0 oif gone tos 0x10 table 1000 protocol static", row{
		"src": "10.0.0.0/8", "dst": "10.1.2.3/32", "iif": "v0", "oif": "gone", "oif_detached": "1", "flags": "16",
		"tos": "16", "table_id": "1000", "table_name": "azure", "protocol": "static"}},
	{"-4", "rule add priority 101 not fwmark 51820 table 51820", row{"inverted": "1", "flags": "2", "fwmark": "51820",
		"fwmask": "4294967295", "table_id": "51820", "table_name": "51820"}},
	{"-4", "rule add priority 102 table main suppress_prefixlength 0", row{"table_id": "254", "table_name": "main",
		"suppress_prefixlength": "0"}},
	{"-4", "rule add priority 103 fwmark 0/0xff uidrange 0-0 ipproto tcp sport 10 dport 20-30 table local", row{
		"fwmark": "0", "fwmask": "255", "uid_start": "0", "uid_end": "0", "ip_proto": "6", "sport_start": "10",
		"sport_end": "10", "sport_mask": "65535", "dport_start": "20", "dport_end": "30", "table_id": "255",
		"table_name": "local"}},
	{"-4", "rule add priority 104 tun_id 99999999 suppress_ifgroup 5 realms 3/4 table 4294967295", row{
		"tun_id": "99999999", "suppress_ifgroup": "5", "realm_from": "three", "realm_to": "4", "table_id": "4294967295",
		"table_name": "4294967295"}},
	{"-4", "rule add priority 105 realms 4 table 7", row{"realm_to": "4", "table_id": "7", "table_name": "7"}},
	{"-4", "rule add priority 106 goto 107", row{"action": "goto", "goto_priority": "107"}},
	{"-4", "rule add priority 107 nop", row{"action": "nop"}},
	{"-4", "rule add priority 108 goto 5000", row{"action": "goto", "goto_priority": "5000", "goto_unresolved": "1",
		"flags": "4"}},
	{"-4", "rule add priority 109 l3mdev", row{"l3mdev": "1"}},
	{"-4", "rule add priority 110 blackhole", row{"action": "blackhole"}},
	{"-4", "rule add priority 111 unreachable", row{"action": "unreachable"}},
	{"-4", "rule add priority 112 prohibit iif gone", row{"action": "prohibit", "iif": "gone", "iif_detached": "1",
		"flags": "8"}},
	{"-6", "rule add priority 100 from fd00::1/8 fwmark 9/9 dport 20 table 1000", row{"family": "ipv6",
		"src": "fd00::1/8", "fwmark": "9", "fwmask": "9", "dport_start": "20", "dport_end": "20", "dport_mask": "65535",
		"table_id": "1000", "table_name": "azure"}},
	{"-6", "rule add priority 4294967295 to ::1.2.3.4 prohibit", row{"family": "ipv6", "dst": "::1.2.3.4/128",
		"action": "prohibit"}},
}

// newRules makes the rules of the cases.
func newRules(t *testing.T) *namedKernel {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	for _, c := range ruleCases {
		nstest.IP(t, c.family+" "+c.line)
	}
	return newNamedKernel(map[string]string{"rt_tables": "1000 blue\n1000 azure\n", "rt_realms": "3 three\n"})
}

// withoutID leaves what tells a row from all others.
func withoutID(r row) row {
	r = maps.Clone(r)
	for _, k := range []string{"rule_id", "priority", "netns_id", "pid_with_namespace"} {
		delete(r, k)
	}
	return r
}

// TestRuleRows has the rows of rules that ip adds, column by column.
func TestRuleRows(t *testing.T) {
	k := newRules(t)
	rows := scan(t, tables.Rules, k)
	for _, c := range ruleCases {
		want := maps.Clone(plainRule)
		maps.Copy(want, c.want)
		addKeys(want)
		priority := strings.Fields(c.line)[3]
		i := slices.IndexFunc(rows, func(r row) bool {
			return r["priority"] == priority && r["family"] == want["family"]
		})
		if i < 0 {
			t.Errorf("%s: there is no such row", c.line)
			continue
		}
		if got := withoutID(rows[i]); !maps.Equal(got, want) {
			t.Errorf("%s: differs in %v\n got %v\nwant %v", c.line, unlike(got, want), got, want)
		}
	}
	compareRules(t, "ipv4", scan(t, tables.Rules, new(rtnl.Kernel)))
	compareRules(t, "ipv6", scan(t, tables.Rules, new(rtnl.Kernel)))
	// Where the kernel has several tables of multicast routing, a rule says which one.
	families := map[string]bool{}
	for _, r := range rows {
		families[r["family"]] = true
	}
	if families["ipmr"] {
		nstest.IP(t, "mrule add iif v0 table 7 priority 9")
		want := maps.Clone(plainRule)
		maps.Copy(want, row{"family": "ipmr", "iif": "v0", "table_id": "7", "table_name": "7"})
		addKeys(want)
		got := scan(t, tables.Rules, k, where(tables.Rules, "family", tables.Equals, "ipmr"))
		if len(got) != 2 || !maps.Equal(withoutID(got[0]), want) {
			t.Errorf("multicast rules %v", got)
		}
	} else {
		t.Log("the kernel has no rules of multicast routing")
	}
}

// TestRuleIdentity: an identity stays while the state of a rule and others change, and rules
// that are alike have identities of their own.
func TestRuleIdentity(t *testing.T) {
	newRules(t)
	ids := func() (all []string) {
		for _, r := range scan(t, tables.Rules, new(rtnl.Kernel)) {
			all = append(all, r["rule_id"])
		}
		return all
	}
	before := ids()
	nstest.IP(t, "link add gone type veth peer name gonep") // two rules are attached by that
	nstest.IP(t, "rule add priority 5000 nop")              // and one has its target
	after := ids()
	for _, id := range before {
		if !slices.Contains(after, id) {
			t.Errorf("%s is no more", id)
		}
	}
	if len(after) != len(before)+1 {
		t.Errorf("%d rules, then %d", len(before), len(after))
	}
	for _, r := range scan(t, tables.Rules, new(rtnl.Kernel)) {
		if r["iif_detached"] != "0" || r["oif_detached"] != "0" || r["goto_unresolved"] != "0" {
			t.Errorf("still detached: %v", r)
		}
	}
	twin := &object.Rule{Family: object.IPv4, Priority: 110, Action: object.FR_ACT_BLACKHOLE}
	for range 2 {
		if err := nstest.Send(t, object.RTM_NEWRULE, 0, nltest.AppendRule(nil, twin)); err != nil {
			t.Fatal(err)
		}
	}
	withTwins := ids()
	slices.Sort(withTwins)
	if n := len(slices.Compact(slices.Clone(withTwins))); n != len(after)+2 {
		t.Errorf("%d identities of %d rules", n, len(after)+2)
	}
	for _, id := range after {
		if !slices.Contains(withTwins, id) {
			t.Errorf("%s has another identity beside rules that are like it", id)
		}
		got := scan(t, tables.Rules, new(rtnl.Kernel), where(tables.Rules, "rule_id", tables.Equals, id))
		if len(got) != 1 || got[0]["rule_id"] != id {
			t.Errorf("%s is of the rules %v", id, got)
		}
	}
}

// TestRuleConditions asks for rules by what they show, and by other spellings of it.
func TestRuleConditions(t *testing.T) {
	k := newRules(t)
	for _, c := range []struct {
		column, value string
		priorities    string
		families      []object.Family
	}{
		{"family", "ipv4", "", []object.Family{object.IPv4}},
		{"family", "mpls", "none", []object.Family{object.MPLS}},
		{"table_name", "blue", "100 100", nil},
		{"table_id", "1000", "100 100", nil},
		{"src", "FD00:0::1/8", "100", nil},
		{"src", "10.0.0.0/8", "100", nil},
		{"dst", "::102:304/128", "4294967295", nil},
		{"action", "nop", "107", nil},
		{"fwmark", "51820", "101", nil},
		{"realm_from", "three", "104", nil},
		{"goto_unresolved", "1", "108", nil},
		{"iif", "gone", "112", nil},
		{"rule_id", "ipv6:100:0000000000000000", "none", []object.Family{object.IPv6}},
	} {
		constraint := where(tables.Rules, c.column, tables.Equals, c.value)
		var got []string
		for _, r := range scan(t, tables.Rules, k, constraint) {
			if r[c.column] != c.value {
				t.Errorf("%s = %s shows %s", c.column, c.value, r[c.column])
			}
			got = append(got, r["priority"])
		}
		if text := strings.Join(got, " "); c.priorities != "" && text != strings.TrimPrefix(c.priorities, "none") {
			t.Errorf("%s = %s: rules %s, not %s", c.column, c.value, text, c.priorities)
		}
		req := tables.Rules.Request(k.names, tables.Query{Constraints: []tables.Constraint{constraint}})
		if !slices.Equal(req.Families, c.families) || req.None {
			t.Errorf("%s = %s asks for the families %v", c.column, c.value, req.Families)
		}
		for _, text := range warnings(t, k, tables.Rules, c.column, c.value) {
			if c.priorities != "none" {
				t.Errorf("%s = %s: %s", c.column, c.value, text)
			}
		}
	}
	for _, c := range []struct{ column, value, want string }{
		{"family", "inet", "did you mean 'ipv4'?"},
		{"family", "mpls", "the nearest that there are: "},
		{"action", "lookup", "did you mean 'table'?"},
		{"action", "8", "did you mean 'prohibit'?"},
		{"action", "to_tbl", "did you mean 'table'?"},
		{"src", "all", "where any is meant, it is empty: did you mean ''?"},
		{"dst", "::/0", "where any is meant, it is empty: did you mean ''?"},
		{"dst", "10.0.0.1", "a prefix has a length: did you mean '10.0.0.1/32'?"},
		{"dst", "x", "a prefix is like 10.0.0.0/8 or 2001:db8::/32"},
		{"table_name", "254", "did you mean 'main'?"},
		{"table_name", "5182O", "did you mean '51820'?"},
		{"table_id", "main", "did you mean '254'?"},
		{"protocol", "zebr", "did you mean 'zebra'?"},
		{"inverted", "2", "it is a whole number from 0 to 1"},
		{"fwmark", "0xca6c", "did you mean '51820'?"},
		{"dport_start", "70000", "it is a whole number from 0 to 65535"},
		{"suppress_prefixlength", "", "a number that is absent is NULL: write suppress_prefixlength IS NULL"},
		{"rule_id", "x", "a rule_id is like "},
	} {
		all := warnings(t, k, tables.Rules, c.column, c.value)
		if len(all) != 1 || !strings.Contains(all[0], c.want) {
			t.Errorf("%s = %q: %q, want %q", c.column, c.value, all, c.want)
		}
	}
}

// TestRulesOfOlderKernels: what a kernel does not send is absent, or what it stands for.
func TestRulesOfOlderKernels(t *testing.T) {
	attr := nltest.Attr
	payload := nltest.Cat([]byte{byte(object.IPv4), 0, 0, 0, 254, 0, 0, byte(object.FR_ACT_TO_TBL)},
		nltest.NE[uint32](0),
		attr(nltest.FRA_FWMARK, nltest.NE[uint32](1)), attr(nltest.FRA_DSCP, []byte{46}),
		attr(nltest.FRA_SPORT_RANGE, nltest.NE[uint16](80), nltest.NE[uint16](80)),
		attr(nltest.FRA_DPORT_RANGE, nltest.NE[uint16](80), nltest.NE[uint16](81)),
		attr(nltest.FRA_FLOWLABEL, nltest.BE[uint32](5)), attr(99, []byte{1}))
	var m object.Message
	if err := object.Rules.Check(&m, nltest.Padded(object.RTM_NEWRULE, 0, 0, payload)); err != nil {
		t.Fatal(err)
	}
	var log object.Messages
	log.Add(&m)
	s := rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{object.Rules.Kind: log.Runs})
	rows := scan(t, tables.Rules, s.Instant(nametest.New(nil)))
	want := maps.Clone(plainRule)
	maps.Copy(want, row{"table_id": "254", "table_name": "main", "fwmark": "1", "fwmask": "4294967295", "dscp": "46",
		"dscp_mask": "63", "sport_start": "80", "sport_end": "80", "sport_mask": "65535", "dport_start": "80",
		"dport_end": "81", "flowlabel": "5", "flowlabel_mask": "1048575",
		"unknown_attrs": `[{"type":99,"len":1,"hex":"01"}]`})
	delete(want, "protocol")
	addKeys(want)
	if len(rows) != 1 || !maps.Equal(withoutID(rows[0]), want) {
		t.Errorf("got %v\nwant %v\nthey differ in %v", rows, want, unlike(withoutID(rows[0]), want))
	}
}

// TestRulesOfNamespaces: rules are those of the namespace that is asked for, and known again
// by their identity.
func TestRulesOfNamespaces(t *testing.T) {
	ids := namespaces(t, "red", "blue")
	for i, name := range []string{"red", "blue"} {
		add := func() error {
			line := fmt.Sprintf("rule add priority %d table 100", 100+i)
			return exec.Command("ip", strings.Fields(line)...).Run()
		}
		if err := rtnl.Namespace("/run/netns/" + name).Do(add); err != nil {
			t.Fatal(err)
		}
	}
	kernel := new(rtnl.Kernel)
	added := where(tables.Rules, "table_id", tables.Equals, "100")
	for i, name := range []string{"red", "blue"} {
		rows := scan(t, tables.Rules, kernel, added, where(tables.Rules, "netns", tables.Equals, name))
		if len(rows) != 1 || rows[0]["priority"] != fmt.Sprint(100+i) || rows[0]["netns_id"] != fmt.Sprint(ids[name]) {
			t.Fatalf("%s has the rules %v", name, rows)
		}
		id := rows[0]["rule_id"]
		again := scan(t, tables.Rules, kernel, where(tables.Rules, "rule_id", tables.Equals, id))
		if !strings.HasSuffix(id, fmt.Sprint("@", ids[name])) || len(again) != 1 || again[0]["rule_id"] != id {
			t.Errorf("%s: %s is of %v", name, id, again)
		}
	}
	if own := scan(t, tables.Rules, kernel, added); len(own) > 0 {
		t.Errorf("the own namespace has the rules %v", own)
	}
}

// TestRuleVRF names the VRF device whose table a rule consults.
func TestRuleVRF(t *testing.T) {
	var rules [][]byte
	for _, table := range []uint32{0, 254, 300} {
		rules = append(rules, nltest.AppendRule(nil, &object.Rule{Family: object.IPv4, Table: table, Priority: table}))
	}
	src := rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{
		object.Rules.Kind: nltest.Runs(t, object.Rules.Kind, rules...),
		object.Links.Kind: nltest.Runs(t, object.Links.Kind,
			nltest.AppendLink(nil, &object.Link{Index: 5, Name: "blue", Kind: "vrf", VRFTable: 300})),
	}).Instant(nametest.New(nil))
	got := columns(scan(t, tables.Rules, src), "priority", "vrf")
	if !slices.Equal(got, []string{"0 ", "254 ", "300 blue"}) {
		t.Errorf("VRFs %q", got)
	}
}

// shownRule returns the row of a rule with attributes, as text, or the error that refuses it,
// and checks that its columns are appended without allocations.
func shownRule(t *testing.T, f object.Family, attributes ...[]byte) string {
	t.Helper()
	payload := nltest.Cat([]byte{byte(f), 0, 0, 0, 254, 0, 0, byte(object.FR_ACT_TO_TBL)}, nltest.NE[uint32](0),
		nltest.Cat(attributes...))
	var m object.Message
	if err := object.Rules.Check(&m, nltest.Padded(object.RTM_NEWRULE, 0, 0, payload)); err != nil {
		return err.Error()
	}
	src := rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{
		object.Rules.Kind: nltest.Runs(t, object.Rules.Kind, payload)}).Instant(nametest.New(nil))
	rows, err := tables.Rules.Scan(t.Context(), src, tables.Query{})
	if err != nil || !rows.Next() {
		t.Fatal(err)
	}
	value, text := make([]byte, 0, 4<<10), ""
	for col, c := range tables.Rules.Columns {
		if n := testing.AllocsPerRun(2, func() { value, _ = tables.Rules.AppendValue(value[:0], rows, col) }); n != 0 {
			t.Errorf("%v allocations for %s", n, c.Name)
		}
		if c.Name != "rule_id" {
			text += string(value) + " "
		}
	}
	return text
}

// TestEveryRuleAttribute gives a rule every attribute in every length: it makes a difference to
// some column, or is in unknown_attrs, or the message is refused.
func TestEveryRuleAttribute(t *testing.T) {
	for _, f := range []object.Family{object.IPv4, object.IPv6} {
		plain := shownRule(t, f)
		eachAttribute(func(typ uint16, data []byte) {
			switch {
			case typ == nltest.FRA_PAD && len(data) == 0, typ == nltest.FRA_IIFNAME && len(data) == 0,
				typ == nltest.FRA_OIFNAME && len(data) == 0, typ <= nltest.FRA_SRC && len(data) == f.AddrLen():
				return // padding, no name, and an address of no length
			}
			if shownRule(t, f, nltest.Attr(typ, data)) == plain {
				t.Errorf("%v: nobody sees attribute %d of %d bytes", f, typ, len(data))
			}
		})
	}
}

// TestRuleFlagsOfNothing: the kernel keeps the flags that a rule is added with, and those that
// say how things are tell nothing where there is no goto and no interface. ip reads them so too.
func TestRuleFlagsOfNothing(t *testing.T) {
	nstest.New(t)
	state := uint32(object.FIB_RULE_UNRESOLVED | object.FIB_RULE_IIF_DETACHED | object.FIB_RULE_OIF_DETACHED)
	r := object.Rule{Family: object.IPv4, Priority: 100, Action: object.FR_ACT_TO_TBL, Table: 7, Flags: state}
	if err := nstest.Send(t, object.RTM_NEWRULE, 0, nltest.AppendRule(nil, &r)); err != nil {
		t.Fatal(err)
	}
	rows := scan(t, tables.Rules, new(rtnl.Kernel))
	compareRules(t, "ipv4", rows)
	got := rows[slices.IndexFunc(rows, func(r row) bool { return r["priority"] == "100" })]
	if got["flags"] != fmt.Sprint(state) || got["goto_unresolved"]+got["iif_detached"]+got["oif_detached"] != "000" {
		t.Errorf("a rule with flags that tell nothing: %v", got)
	}
}

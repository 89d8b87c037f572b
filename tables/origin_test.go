package tables

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"kernelroutes/rtnl/object"
)

// namesUnit finds the unit that a description names.
var namesUnit = regexp.MustCompile(`\bin (bits|bytes|milliseconds|nanoseconds|packets|seconds|segments)\b|` +
	`^(Bits|Bytes|Milliseconds|Packets|Seconds|Segments) (?:that|since|until|of a multicast route)\b`)

// TestUnits sees that a description names the column's unit, and none where there is none.
func TestUnits(t *testing.T) {
	with := 0
	for _, table := range All() {
		for _, c := range table.Columns {
			named := ""
			if found := namesUnit.FindStringSubmatch(c.Description); found != nil {
				named = strings.ToLower(found[1] + found[2])
			}
			if named != c.Unit {
				t.Errorf("%s.%s: the unit is %q, the description %q", table.Name, c.Name, c.Unit, c.Description)
			}
			if c.Unit != "" {
				with++
				if c.Type == Text {
					t.Errorf("%s.%s: text with the unit %s", table.Name, c.Name, c.Unit)
				}
			}
		}
	}
	if with < 40 {
		t.Errorf("%d columns have a unit", with)
	}
}

// isWord is what a source may have beside the kernel's constants and the members of its structs.
var isWord = regexp.MustCompile(`^([a-z]+|[0-9]+|VRF|net\.ipv[46]\.conf\.\*\.[a-z0-9_]+|` +
	`/proc/(PID/ns/net|net/netlink|self/(fd|status))|/proc/PID/(cgroup|comm|exe|fd|stat|status)|` +
	`(nlmsg|ifa|rtm|nh|rta|mfcs|rtnh|ifi)_[a-z_]+|` +
	`rt_(protos|scopes|tables|realms)|weight_high|` +
	`fib_rule_hdr(\.(family|src_len|dst_len|tos|table|action|flags))?)$`)

// otherConstants are the kernel's constants in sources that are no attributes which values are
// decoded from by their number.
var otherConstants = []string{"RTM_NEWROUTE", "RTM_F_FIB_MATCH", "NLM_F_DUMP_INTR", "RTNH_F_ONLINK", "FIB_RULE_INVERT",
	"FIB_RULE_UNRESOLVED", "FIB_RULE_IIF_DETACHED", "FIB_RULE_OIF_DETACHED",
	"CLOCK_BOOTTIME", "CLOCK_REALTIME", "CLOCK_MONOTONIC", "VmRSS", "VmHWM", "ENOBUFS", "IFA_ADDRESS", "IFA_LOCAL",
	"SEG6_LOCAL_CNT_PACKETS", "SEG6_LOCAL_CNT_BYTES", "SEG6_LOCAL_CNT_ERRORS"}

// TestSources sees that every column says where its values come from, in words that mean something.
func TestSources(t *testing.T) {
	known := slices.Clone(otherConstants)
	for _, m := range object.RouteMetrics {
		known = append(known, m.Constant())
	}
	for i := range object.Settings {
		s := &object.Settings[i]
		known = append(known, s.Name, s.Constant(object.IPv4), s.Constant(object.IPv6))
	}
	for _, table := range All() {
		for _, c := range table.Columns {
			if c.Source == "" {
				t.Errorf("%s.%s: no source", table.Name, c.Name)
			}
			between := func(r rune) bool { return strings.ContainsRune(" ,:;()", r) }
			for _, word := range strings.FieldsFunc(c.Source, between) {
				_, attribute := object.AttributeSince(word)
				if !attribute && !slices.Contains(known, word) && !isWord.MatchString(word) {
					t.Errorf("%s.%s: what is %s in %q?", table.Name, c.Name, word, c.Source)
				}
			}
		}
	}
}

// TestSourcesAreNeeded sees that the attributes of a route in a source are those that are decoded
// for the column.
func TestSourcesAreNeeded(t *testing.T) {
	fields := map[string]object.Fields{}
	for _, a := range object.RouteAttributes() {
		fields[a.Name] = a.Field()
	}
	checked := 0
	for _, c := range routeColumns {
		c.settle("")
		for _, name := range constantsIn(c.Source) {
			if f, ok := fields[name]; ok {
				checked++
				if c.needs.fields&f == 0 {
					t.Errorf("%s: the source is %q, but %s is not decoded", c.Name, c.Source, name)
				}
			}
		}
	}
	if checked < 50 {
		t.Errorf("%d attributes were looked at", checked)
	}
}

// TestEffectiveSources sees that the source of what holds names the other setting that it is worked out
// from, which the description tells of.
func TestEffectiveSources(t *testing.T) {
	others := 0
	for _, c := range InterfaceConfig.Columns {
		own, ok := strings.CutPrefix(c.Name, "effective_")
		if !ok {
			continue
		}
		_, how, _ := strings.Cut(c.Description, "as it holds")
		other := ""
		for i := range object.Settings {
			name := object.Settings[i].Name
			if name != own && regexp.MustCompile(`\b`+name+`\b`).MatchString(how) {
				other = ", and from " + name
				others++
			}
		}
		source := InterfaceConfig.Columns[InterfaceConfig.Column(own)].Source
		source = regexp.MustCompile(`, net[^;]+`).ReplaceAllString(source, "") // its file, which its own column has
		if want := "worked out from " + strings.ReplaceAll(source, "; ", " and ") + other; c.Source != want {
			t.Errorf("%s: the source is %q, want %q", c.Name, c.Source, want)
		}
	}
	if others != 4 {
		t.Errorf("%d depend on another setting", others)
	}
}

// TestSince sees since which Linux columns are there.
func TestSince(t *testing.T) {
	version := regexp.MustCompile(`^[3-9]\.[0-9]+$`)
	for _, table := range All() {
		if said := strings.HasSuffix(table.Description, ". Since Linux "+table.Since+"."); said != (table.Since != "") {
			t.Errorf("%s: since %q, described as %q", table.Name, table.Since, table.Description)
		}
		for _, c := range table.Columns {
			if c.Since != "" && !version.MatchString(c.Since) {
				t.Errorf("%s.%s: since %q", table.Name, c.Name, c.Since)
			}
			suffix := "; since Linux " + c.Since
			rest := strings.TrimSuffix(c.Description, changesWithTime)
			if said := c.Since != "" && strings.HasSuffix(rest, suffix); said != (c.Since != table.Since) {
				t.Errorf("%s.%s: since %q, the table since %q, described as %q", table.Name, c.Name, c.Since,
					table.Since, c.Description)
			}
		}
	}
	for _, tc := range []struct {
		table  *Table
		column string
		want   string
	}{
		{Routes, "dst", ""}, {Routes, "gateway", ""}, {Routes, "pref", "4.1"}, {Routes, "newdst", "4.1"},
		{Routes, "encap", "4.3"}, {Routes, "encap_packets", "5.13"}, {Routes, "uid", "4.10"},
		{Routes, "ttl_propagate", "4.12"}, {Routes, "sport", "4.18"}, {Routes, "nexthop_id", "5.3"},
		{Routes, "congctl", "4.0"}, {Routes, "quickack", "3.11"}, {Routes, "fastopen_no_cookie", "4.15"},
		{Routes, "mfc_bytes", "3.8"}, {Routes, "vrf", "4.3"}, {Routes, "netns_id", "3.8"}, {Routes, "expires", ""},
		{Nexthops, "nexthop_id", "5.3"}, {Nexthops, "weight", ""},
		{NexthopObjects, "nexthop_id", "5.3"}, {NexthopObjects, "dev", "5.3"}, {NexthopObjects, "fdb", "5.8"},
		{NexthopObjects, "idle_timer", "5.13"}, {NexthopObjects, "hw_stats", "6.9"},
		{NexthopObjects, "snapshot_consistent", "5.3"},
		{Rules, "priority", ""}, {Rules, "protocol", "4.17"}, {Rules, "dscp_mask", "6.12"},
		{Rules, "sport_mask", "4.17"}, {Rules, "flowlabel_mask", "6.14"}, {Rules, "suppress_ifgroup", "3.12"},
		{InterfaceConfig, "forwarding", ""}, {InterfaceConfig, "bc_forwarding", "4.19"},
		{InterfaceConfig, "effective_bc_forwarding", "4.19"}, {InterfaceConfig, "ignore_routes_with_linkdown", "4.2"},
		{InterfaceConfig, "disable_policy", ""}, {InterfaceConfig, "force_forwarding", "6.17"},
		{InterfaceConfig, "ra_mtu", "5.15"},
		{Lookups, "mark", ""}, {Lookups, "uid", "4.10"}, {Lookups, "dport", "4.18"}, {Lookups, "route_id", "4.13"},
		{Counts, "routes", ""},
		{Events, "seq", ""}, {Events, "dst", ""}, {Events, "protocol", ""}, {Events, "nexthop_id", "5.3"},
		{Events, "encap_type", "4.3"}, {Events, "del_reason", "7.3"}, {Events, "dscp", "6.12"},
		{Events, "old_gateway", ""},
	} {
		if got := tc.table.Columns[tc.table.Column(tc.column)].Since; got != tc.want {
			t.Errorf("%s.%s: since %q, want %q", tc.table.Name, tc.column, got, tc.want)
		}
	}
	// A value that came later than the column says so too.
	for _, tc := range []struct {
		table          *Table
		column, phrase string
	}{
		{Routes, "family", "mpls (Linux 4.1)"}, {Counts, "family", "mpls (Linux 4.1)"},
		{Routes, "gateway_family", "ipv6 (of an ipv4 route from Linux 5.2 on)"},
		{Routes, "features", "tcp_usec_ts (Linux 6.7)"}, {Routes, "expires", "since its last use (Linux 4.5)"},
		{Routes, "flag_names", "linkdown (4.2)"}, {Nexthops, "flag_names", "trap (5.11)"},
		{Routes, "encap_type", "xfrm (6.1)"}, {NexthopObjects, "encap_type", "xfrm (6.1)"},
		{NexthopObjects, "group_type", "resilient by buckets (Linux 5.13)"},
		{NexthopObjects, "weight", "65535 from Linux 6.12 on"},
	} {
		if c := tc.table.Columns[tc.table.Column(tc.column)]; !strings.Contains(c.Description, tc.phrase) {
			t.Errorf("%s.%s is described as %q, without %q", tc.table.Name, c.Name, c.Description, tc.phrase)
		}
	}
	for _, tc := range []struct{ column, phrase string }{
		{"ignore_routes_with_linkdown", "; for ipv6 only since Linux 4.3; since Linux 4.2"},
		{"disable_policy", "; for ipv6 only since Linux 4.12"},
	} {
		c := InterfaceConfig.Columns[InterfaceConfig.Column(tc.column)]
		if !strings.HasSuffix(c.Description, tc.phrase) {
			t.Errorf("%s is described as %q", c.Name, c.Description)
		}
	}
}

// TestLater compares versions as numbers.
func TestLater(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want bool
	}{{"4.10", "4.9", true}, {"4.9", "4.10", false}, {"5.3", "5.3", false}, {"5.3", "", true}, {"", "5.3", false},
		{"", "", false}, {"5.0", "4.20", true}} {
		if got := later(tc.a, tc.b); got != tc.want {
			t.Errorf("%q later than %q: %v", tc.a, tc.b, got)
		}
	}
}

// TestCutUnit sees what are the brackets of a unit.
func TestCutUnit(t *testing.T) {
	for marked, want := range map[string][2]string{
		"MTU in [bytes], absent":            {"MTU in bytes, absent", "bytes"},
		"[Seconds] until it expires":        {"Seconds until it expires", "seconds"},
		`as JSON: [{"type":N}], [] for one`: {`as JSON: [{"type":N}], [] for one`, ""},
		"none":                              {"none", ""},
		"not [closed":                       {"not [closed", ""},
	} {
		if description, unit := cutUnit(marked); description != want[0] || unit != want[1] {
			t.Errorf("%s: %q, %q", marked, description, unit)
		}
	}
}

// TestMarkdown sees what a page shows of columns.
func TestMarkdown(t *testing.T) {
	table := &Table{Columns: []ColumnInfo{
		{Name: "h", Type: BigInt, Options: Hidden, Description: "a|b", Source: "s"},
		{Name: "r", Type: Text, Options: Required, Description: "of *_x", Source: "net.*.y, z"},
		{Name: "n", Type: Integer, Description: "d; since Linux 5.3; changes with time", Unit: "bytes",
			Source: "IFLA_MTU", Since: "5.3"},
		{Name: "f", Type: Integer, Description: "d; for ipv6 only since Linux 4.20; since Linux 4.2", Source: "s",
			Since: "4.2"},
	}}
	const want = "Minimum kernel is the first Linux that tells the values, 3.2 where the oldest that this\n" +
		"program runs on does. Source is where they come from, in the kernel's words.\n\n" +
		"| Column | Type | Unit | Minimum kernel | Description and source |\n|---|---|---|---|---|\n" +
		"| `r` | TEXT, required |  | 3.2 | of \\*_x<br>Source: net.\\*.y, z |\n" +
		"| `n` | INTEGER | bytes | 5.3 | d; changes with time<br>Source: IFLA_MTU |\n" +
		"| `f` | INTEGER |  | 4.2 | d; for ipv6 only since Linux 4.20<br>Source: s |\n" +
		"| `h` | BIGINT, hidden |  | 3.2 | a\\|b<br>Source: s |\n"
	if got := table.Markdown(); got != want {
		t.Errorf("%s", got)
	}
}

// TestExamplesSay sees that every example says in a sentence what it shows.
func TestExamplesSay(t *testing.T) {
	for _, table := range All() {
		for _, e := range table.Examples {
			if !strings.HasSuffix(e.Shows, ".") || e.Shows[:1] != strings.ToUpper(e.Shows[:1]) ||
				!strings.HasPrefix(e.SQL, "SELECT ") || !strings.Contains(e.SQL, table.Name) {
				t.Errorf("%s: %+v", table.Name, e)
			}
		}
	}
}

package tables_test

import (
	"fmt"
	"slices"
	"testing"

	"kernelroutes/internal/needtest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/tables"
)

// newerRules are rules that not every kernel understands: an older one takes them without what it
// does not know.
var newerRules = []struct {
	since, family, line string
	want                row
}{
	{"3.12", "-4", "table main suppress_prefixlength 0", row{"suppress_prefixlength": "0", "table_name": "main"}},
	{"3.12", "-6", "table main suppress_ifgroup 7", row{"suppress_ifgroup": "7"}},
	{"4.3", "-4", "tun_id 9223372036854775807 table 9", row{"tun_id": "9223372036854775807"}},
	{"4.8", "-6", "l3mdev", row{"l3mdev": "1", "table_id": ""}},
	{"4.10", "-4", "uidrange 0-0 table 9", row{"uid_start": "0", "uid_end": "0"}},
	{"4.17", "-6", "ipproto 6 sport 10 dport 20-30 table 9", row{"ip_proto": "6", "sport_start": "10",
		"dport_start": "20", "dport_end": "30", "sport_mask": "65535", "dport_mask": ""}},
	{"4.17", "-4", "table 9 protocol 186", row{"protocol": "bgp"}},
	{"6.12", "-4", "dscp 10 table 9", row{"dscp": "10", "dscp_mask": "63", "tos": "0"}},
	{"6.12", "-6", "dscp 46 table 9", row{"dscp": "46", "dscp_mask": "63"}},
	{"6.15", "-4", "dscp 0x10/0x30 table 9", row{"dscp": "16", "dscp_mask": "48"}},
	// ip 6.15 knows no masks of ports.
	{"6.15", "-4", "sport 0x10/0xff table 9", row{"sport_start": "16", "sport_end": "16", "sport_mask": "255"}},
	{"6.15", "-6", "dport 80/0xfff0 table 9", row{"dport_start": "80", "dport_end": "80", "dport_mask": "65520"}},
	{"4.17", "-4", "dport 80 table 9", row{"dport_start": "80", "dport_end": "80", "dport_mask": "65535"}},
	{"6.14", "-6", "flowlabel 0x10/0xff table 9", row{"flowlabel": "16", "flowlabel_mask": "255"}},
	{"6.14", "-6", "flowlabel 0xfffff table 9", row{"flowlabel": "1048575", "flowlabel_mask": "1048575"}},
}

// TestNewerRules compares rules with ip, and each with what was added.
func TestNewerRules(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	failed := make([]error, len(newerRules))
	for i, c := range newerRules {
		_, failed[i] = nstest.Try(fmt.Sprintf("%s rule add priority %d %s", c.family, 100+i, c.line))
	}
	rows := scan(t, tables.Rules, new(rtnl.Kernel))
	compareRules(t, "ipv4", rows)
	compareRules(t, "ipv6", rows)
	for i, c := range newerRules {
		t.Run(c.line, func(t *testing.T) {
			needtest.Kernel(t, "rules with "+c.line, c.since, failed[i])
			at := slices.IndexFunc(rows, func(r row) bool { return r["priority"] == fmt.Sprint(100+i) })
			if at < 0 {
				t.Fatal("there is no row")
			}
			for k, v := range c.want {
				if got := rows[at][k]; got != v {
					err := fmt.Errorf("%s of the rule is %q, not %q", k, got, v)
					needtest.Kernel(t, "rules with "+c.line, c.since, err)
				}
			}
			if rows[at]["unknown_attrs"] != "[]" {
				t.Errorf("not understood: %v", rows[at])
			}
		})
	}
}

package nearest

import (
	"slices"
	"strings"
	"testing"
)

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"route", "route", 0}, {"rotue", "route", 1}, {"form", "from", 1},
		{"fromat", "format", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3}, {"ab", "ba", 1}, {"abcd", "badc", 2},
		{"größe", "grosse", 4}, // bytes
	} {
		for _, got := range []int{Distance(test.a, test.b), Distance(test.b, test.a)} {
			if got != test.want {
				t.Errorf("%q, %q: %d, want %d", test.a, test.b, got, test.want)
			}
		}
	}
}

func TestOf(t *testing.T) {
	tables := strings.Fields("kernel_routes kernel_route_nexthops kernel_nexthops kernel_route_rules " +
		"kernel_route_counts kernel_interface_config kernel_route_lookups kernel_route_events kernel_routes_info")
	columns := strings.Fields("route_id family type protocol scope table_id table_name dst dst_len src gateway " +
		"gateway_family dev dev_index metric prefsrc tos flags nexthop_count nexthop_id mtu congctl")
	for _, test := range []struct {
		name  string
		there []string
		want  string
	}{
		{"kernel_route", tables, "kernel_routes"},
		{"kernel_rout", tables, "kernel_routes"},
		{"kernel_routs", tables, "kernel_routes"},
		{"KERNEL_RUOTES", tables, "kernel_routes"},
		{"kernel_rules", tables, "kernel_route_rules"},
		{"kernel_rule", tables, "kernel_route_rules"},
		{"rules", tables, "kernel_route_rules"},
		{"routes", tables, "kernel_routes"},
		{"route_rules", tables, "kernel_route_rules"},
		{"nexthops", tables, "kernel_nexthops"},
		{"interface", tables, "kernel_interface_config"},
		{"processes", tables, ""},
		{"users", tables, ""},
		{"t", tables, ""},
		{"gatewy", columns, "gateway"},
		{"gateway_", columns, "gateway"},
		{"gw", columns, "gateway"},
		{"gtw", columns, "gateway"},
		{"metrics", columns, "metric"},
		{"Metirc", columns, "metric"},
		{"prot", columns, "protocol"},
		{"fam", columns, "family"},
		{"dts", columns, "dst"},
		{"tabel_name", columns, "table_name"},
		{"nope", columns, ""},
		{"x", columns, ""},
		{"", columns, ""},
		{"foo", columns, ""},
		{"ab", []string{"ac", "ad", "ae"}, "ac ad"},
		{strings.Repeat("dst", 1000), columns, ""},
	} {
		if got := strings.Join(Of(test.name, test.there), " "); got != test.want {
			t.Errorf("%q: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestQuestion(t *testing.T) {
	got := []string{Question(nil), Question([]string{"a"}), Question([]string{"a", "b"})}
	if want := []string{"", "did you mean a?", "did you mean a or b?"}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

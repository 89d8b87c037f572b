package tables

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/osquery/osquery-go/plugin/table"
)

// The columns that the tables begin with, in their order; others come after them.
const (
	routesColumns = `
route_id
family
type
protocol
scope
table_id
table_name
dst
dst_len
src
src_len
gateway
gateway_family
dev
dev_index
dev_kind
dev_operstate
metric
prefsrc
tos
flags
flag_names
pref
nexthop_count
nexthop_id
mtu
advmss
window
hoplimit
initcwnd
initrwnd
rtt
rttvar
ssthresh
cwnd
reordering
rto_min
quickack
congctl
features
fastopen_no_cookie
locked
realm_from
realm_to
mark
uid
iif
ttl_propagate
encap_type
encap
encap_packets
encap_bytes
encap_errors
cache_clntref
cache_last_use
cache_expires
cache_error
cache_used
cache_id
cache_ts
cache_tsage
expires
mfc_packets
mfc_bytes
mfc_wrong_if
ip_proto
sport
dport
newdst
unknown_attrs
`
	nexthopsColumns = `
route_id
nexthop_index
family
table_id
table_name
dst
metric
gateway
gateway_family
dev
dev_index
weight
ttl_threshold
flags
flag_names
nexthop_id
realm_from
realm_to
encap_type
encap
encap_packets
encap_bytes
encap_errors
newdst
unknown_attrs
`
)

// TestColumns checks what osquery and its users rely on.
func TestColumns(t *testing.T) {
	for table, first := range map[*Table]string{Routes: routesColumns, Nexthops: nexthopsColumns} {
		var names []string
		for _, c := range table.Columns {
			if c.Options&Hidden == 0 { // which have no place in SELECT *
				names = append(names, c.Name)
			}
		}
		want := strings.Fields(first)
		if len(names) <= len(want) || !slices.Equal(names[:len(want)], want) {
			t.Errorf("%s: columns are\n%s", table.Name, strings.Join(names, "\n"))
		}
	}
	for _, table := range All() {
		// What has happened is not read at one time: what was missed has a row of its own (lost). Nor is what
		// the program knows of itself.
		if has := table.Column("snapshot_consistent") >= 0; has == (table == Events || table == Info) {
			t.Errorf("%s has snapshot_consistent: %v", table.Name, has)
		}
	}
	// osquery's ColumnOptions: INDEX 1, ADDITIONAL 4, OPTIMIZED 8.
	for _, tc := range []struct {
		column string
		want   Option
	}{{"route_id", 1 | 8}, {"table_name", 4 | 8}, {"metric", 4 | 8}} {
		if got := Routes.Columns[Routes.Column(tc.column)].Options; got != tc.want {
			t.Errorf("%s: options %d, want %d", tc.column, got, tc.want)
		}
	}
}

// TestVolatile sees that the columns that change with time say so, in the
// specification too, and no other.
func TestVolatile(t *testing.T) {
	const phrase = "; changes with time"
	for table, want := range map[*Table][]string{
		Routes: {
			"encap_packets", "encap_bytes", "encap_errors",
			"cache_clntref", "cache_last_use", "cache_expires", "cache_error",
			"cache_used", "cache_id", "cache_ts", "cache_tsage",
			"expires",
			"mfc_packets", "mfc_bytes", "mfc_wrong_if",
			"snapshot_consistent",
		},
		Nexthops: {"encap_packets", "encap_bytes", "encap_errors", "snapshot_consistent"},
		Events:   nil, // a differential query sees each row once
	} {
		spec, err := table.Spec()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range table.Columns {
			if c.Volatile {
				got = append(got, c.Name)
			}
			if c.Volatile != strings.HasSuffix(c.Description, phrase) {
				t.Errorf("%s.%s: volatile %v, %q", table.Name, c.Name, c.Volatile, c.Description)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: volatile are %q, want %q", table.Name, got, want)
		}
		if n := strings.Count(string(spec), phrase+`"`); n != len(want) {
			t.Errorf("%s: the specification says of %d columns that they change with time, not of %d",
				table.Name, n, len(want))
		}
	}
}

// TestSpec checks the specification against osquery's conventions.
func TestSpec(t *testing.T) {
	for _, table := range All() {
		data, err := table.Spec()
		if err != nil {
			t.Fatal(err)
		}
		var spec struct {
			Name, Description string
			Platforms         []string
			Examples          []string
			Columns           []struct{ Name, Type, Description string }
		}
		if err := json.Unmarshal(data, &spec); err != nil {
			t.Fatal(err)
		}
		if spec.Name != table.Name || !strings.HasSuffix(spec.Description, ".") || len(spec.Examples) == 0 ||
			!slices.Equal(spec.Platforms, []string{"linux"}) || len(spec.Columns) != len(table.Columns) {
			t.Errorf("%s", data)
		}
		for _, c := range spec.Columns {
			if c.Description == "" || strings.HasSuffix(c.Description, ".") ||
				!slices.Contains([]string{"text", "integer", "bigint"}, c.Type) {
				t.Errorf("%s.%s: %s %q", spec.Name, c.Name, c.Type, c.Description)
			}
		}
	}
}

// TestSpecIsOsqueryGos compares the specification with what osquery-go's own
// package prints of the same table.
func TestSpecIsOsqueryGos(t *testing.T) {
	special := &Table{Name: "special", Columns: []ColumnInfo{
		{Name: "a", Type: Text, Description: "<a & b>", Options: Index | Additional},
		{Name: "b", Type: BigInt, Options: Hidden | Optimized},
		{Name: "c", Type: Text, Options: Required | Optimized},
		{Name: "d", Type: Integer, Options: Hidden | Required | Additional},
	}}
	for _, ours := range append(All(), special) {
		var columns []table.ColumnDefinition
		for _, c := range ours.Columns {
			columns = append(columns, table.ColumnDefinition{
				Name: c.Name, Type: table.ColumnType(c.Type), Description: c.Description,
				Index: c.Options&Index != 0, Required: c.Options&Required != 0, Additional: c.Options&Additional != 0,
				Optimized: c.Options&Optimized != 0, Hidden: c.Options&Hidden != 0,
			})
		}
		opts := []table.TableOpt{table.WithDescription(ours.Description), table.WithPlatforms(table.LinuxPlatform)}
		for _, e := range ours.Examples {
			opts = append(opts, table.WithExample(e.SQL))
		}
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(table.NewPlugin(ours.Name, columns, nil, opts...).Spec()); err != nil {
			t.Fatal(err)
		}
		got, err := ours.Spec()
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s: %v\n%s\nwant\n%s", ours.Name, err, got, &want)
		}
	}
}

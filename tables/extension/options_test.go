package extension

import (
	"context"
	"reflect"
	"strings"
	"testing"

	"kernelroutes/internal/osquerytest"
	"kernelroutes/tables"
)

// TestOptions has a table with hidden and required columns: as osquery knows it, and what of a
// query for it comes to the table.
func TestOptions(t *testing.T) {
	columns := &tables.Table{Name: "special", Columns: []tables.ColumnInfo{
		{Name: "seq", Type: tables.BigInt},
		{Name: "dst", Type: tables.Text, Options: tables.Required | tables.Optimized},
		{Name: "netns", Type: tables.Text, Options: tables.Hidden | tables.Additional | tables.Optimized},
		{Name: "pid", Type: tables.Integer, Options: tables.Hidden | tables.Required},
	}}
	const seq, dst, netns, pid = 0, 1, 2, 3
	var asked tables.Query
	table := columns.AnsweredBy(func(_ context.Context, _ tables.Source, q tables.Query) (tables.Rows, error) {
		asked = q
		return values(columns, map[string]string{"seq": "7", "dst": "here", "netns": "blue", "pid": "1"}), nil
	})
	m, uuid, _ := registered(t, table)
	var options []string
	for _, c := range m.Registry(uuid)["table"]["special"] {
		options = append(options, c["name"]+" "+c["op"])
	}
	if want := []string{"seq 0", "dst 10", "netns 28", "pid 18"}; !reflect.DeepEqual(options, want) {
		t.Errorf("registered with the options %q, want %q", options, want)
	}
	for _, tc := range []struct {
		name        string
		selected    []string
		where       []osquerytest.Term
		constraints []tables.Constraint
		used        []bool
		row         map[string]string
	}{
		{"*", nil, []osquerytest.Term{osquerytest.Is("dst", "here")},
			[]tables.Constraint{where(dst, tables.Equals, "here")}, []bool{true, true, false, false},
			map[string]string{"seq": "7", "dst": "here"}},
		{"hidden by name", []string{"seq"}, []osquerytest.Term{osquerytest.Is("dst", "here", "there"),
			osquerytest.Is("netns", "blue")},
			[]tables.Constraint{where(dst, tables.Equals, "here"), where(dst, tables.Equals, "there"),
				where(netns, tables.Equals, "blue")}, []bool{true, true, true, false},
			map[string]string{"seq": "7", "dst": "here", "netns": "blue"}},
		{"the other that is required", []string{"dst"}, []osquerytest.Term{osquerytest.Is("pid", "1")},
			[]tables.Constraint{where(pid, tables.Equals, "1")}, []bool{false, true, false, true},
			map[string]string{"dst": "here", "pid": "1"}},
		{"empty", []string{"seq"}, []osquerytest.Term{osquerytest.Is("dst", "")}, nil,
			[]bool{true, true, false, false}, map[string]string{"seq": "7", "dst": "here"}},
	} {
		asked = tables.Query{}
		rows, err := m.Select(timeLimit(t), "special", tc.selected, tc.where...)
		if err != nil || len(rows) != 1 {
			t.Errorf("%s: %v, %v", tc.name, rows, err)
			continue
		}
		delete(rows[0], "rowid")
		if !reflect.DeepEqual(rows[0], tc.row) {
			t.Errorf("%s: row %v, want %v", tc.name, rows[0], tc.row)
		}
		if !reflect.DeepEqual(asked.Constraints, tc.constraints) || !reflect.DeepEqual(asked.Used, tc.used) {
			t.Errorf("%s: asked for %v %v, want %v %v", tc.name, asked.Constraints, asked.Used, tc.constraints, tc.used)
		}
	}
	if rows, err := m.Select(timeLimit(t), "special", []string{"seq"}, osquerytest.Is("netns", "blue")); err == nil ||
		!strings.Contains(err.Error(), "without a required column") {
		t.Errorf("without what is required: %v, %v", rows, err)
	}
}

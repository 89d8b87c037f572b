package tables

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
)

// TestInLists asks as osquery asks for dst IN (SELECT dst ...), with one equality for
// each route: what it costs is not the product of routes and values.
func TestInLists(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/16")
	const most = 16_000
	lines := make([]string, most)
	for i := range lines {
		lines[i] = fmt.Sprintf("route add 20.%d.%d.0/24 via 10.0.0.2 proto static", i>>8, i&255)
	}
	nstest.Batch(t, "-4", lines...)
	source := &rtnl.Cache{}
	defer source.Close()
	ask := func(condition string, used ...string) (rows []string) {
		request := fmt.Sprintf(`{"constraints":[%s],"colsUsed":["%s"],"colsUsedBitset":1}`, condition, strings.Join(used, `","`))
		q, err := parseRequest(Routes, request)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Routes.Scan(t.Context(), source, q)
		if err != nil {
			t.Fatal(err)
		}
		for r.Next() {
			value, _ := Routes.AppendValue(nil, r, Routes.Column(used[0]))
			rows = append(rows, string(value))
		}
		return rows
	}
	in := func(column string, values []string) string {
		list := make([]map[string]any, len(values))
		for i, v := range values {
			list[i] = map[string]any{"op": 2, "expr": v}
		}
		b, err := json.Marshal(map[string]any{"name": column, "list": list, "affinity": "TEXT"})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	best := func(work func()) time.Duration {
		least := time.Hour
		for range 3 {
			start := time.Now()
			work()
			least = min(least, time.Since(start))
		}
		return least
	}
	whole := best(func() { ask("", "dst", "dev") })
	for _, tc := range []struct {
		column string
		value  func(i int) string // nil: those of the routes
		found  bool
	}{
		{"dst", nil, true},
		{"route_id", nil, true},
		{"table_id", func(i int) string { return fmt.Sprint(1000 + i) }, false},
		{"table_name", func(i int) string { return fmt.Sprint(1000 + i) }, false},
		{"metric", func(i int) string { return fmt.Sprint(1000 + i) }, false},
		{"dev", func(i int) string { return fmt.Sprint("eth", i) }, false},
		{"dev_index", func(i int) string { return fmt.Sprint(1000 + i) }, false},
		{"gateway", func(i int) string { return fmt.Sprintf("11.0.%d.%d", i>>8, i&255) }, false},
		{"protocol", func(i int) string { return fmt.Sprint("p", i) }, false},
	} {
		values := make([]string, most)
		if tc.value == nil {
			values = ask(in("protocol", []string{"static"}), tc.column)
		}
		for i := range values {
			if tc.value != nil {
				values[i] = tc.value(i)
			}
		}
		condition, want := in(tc.column, values), 0
		if tc.found {
			want = most
		}
		took := best(func() {
			if rows := ask(condition, tc.column, "dev"); len(rows) != want {
				t.Fatalf("%s: %d rows, want %d", tc.column, len(rows), want)
			}
		})
		// Routes x values would be 256 million comparisons.
		if t.Logf("%s: %v, all routes %v", tc.column, took, whole); took > 10*whole+150*time.Millisecond {
			t.Errorf("%s: %v, though reading all routes takes %v", tc.column, took, whole)
		}
	}
}

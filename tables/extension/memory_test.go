package extension

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/osquery/osquery-go/gen/osquery"

	"kernelroutes/internal/thousands"
	"kernelroutes/tables"
)

// TestMeasuredMemory checks that the estimate covers what was measured in osquery
// and is not much more. docs/memory.md has the same table.
func TestMeasuredMemory(t *testing.T) {
	doc, err := os.ReadFile("../../docs/memory.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		what          string
		rows, columns int
		measured      int64 // MB
		most          float64
	}{
		{"`SELECT *`, differential", 29_013, 68, 1145, 1.15},
		{"`SELECT *`, snapshot", 29_013, 68, 779, 1.7},
		{"three columns, scheduled", 200_013, 3, 579, 1.2},
	} {
		table := &tables.Table{Name: "measured"}
		for i := range tc.columns {
			table.Columns = append(table.Columns, tables.ColumnInfo{Name: fmt.Sprint("column_", i),
				Type: tables.BigInt})
		}
		q := allUsed(table)
		q.RowIDs = true // as in every query that uses a column
		e := newEncoder(t.Context(), table, q, nil, memoryLimit{})
		estimate := float64(tc.rows) * float64(e.perRow) / mb
		if ratio := estimate / float64(tc.measured); ratio < 1 || ratio > tc.most {
			t.Errorf("%s: %.0f MB, measured were %d", tc.what, estimate, tc.measured)
		}
		line := fmt.Sprintf("| %s | %s | %d | %s MB | %s MB |", tc.what, thousands.Of(tc.rows), tc.columns,
			thousands.Of(int(tc.measured)), thousands.Of(int(estimate)))
		if !strings.Contains(string(doc), line) {
			t.Errorf("docs/memory.md lacks %s", line)
		}
	}
	// Of seven columns it is known what a row costs in osqueryi.
	seven := &tables.Table{Name: "seven", Columns: make([]tables.ColumnInfo, 7)}
	if e := newEncoder(t.Context(), seven, allUsed(seven), nil, memoryLimit{}); e.perRow < 1700 {
		t.Errorf("%d bytes for a row of seven columns", e.perRow)
	}
}

// TestAdviceOfHidden: a hidden column says of what the rows are, and narrows nothing.
func TestAdviceOfHidden(t *testing.T) {
	table := &tables.Table{Columns: []tables.ColumnInfo{
		{Name: "netns", Type: tables.Text, Options: tables.Hidden | tables.Additional},
		{Name: "metric", Type: tables.BigInt, Options: tables.Additional},
	}}
	err := tooLarge(table, 7, 2, 1000, memoryLimit{})
	if !strings.Contains(err.Error(), "with WHERE metric=... or") {
		t.Error(err)
	}
}

func TestWatchdogLimit(t *testing.T) {
	for flags, want := range map[string]int64{
		"":                      200,
		"disable_watchdog=true": 2048,
		"disable_watchdog=1 watchdog_memory_limit=100":                       2048,
		"disable_watchdog=false":                                             200,
		"disable_watchdog=junk watchdog_level=junk":                          200,
		"disable_watchdog=false watchdog_level=0":                            200,
		"disable_watchdog=false watchdog_level=1":                            100,
		"disable_watchdog=false watchdog_level=-1":                           10000,
		"disable_watchdog=false watchdog_level=1 watchdog_memory_limit=0":    100,
		"disable_watchdog=false watchdog_level=-1 watchdog_memory_limit=350": 350,
		"watchdog_memory_limit=18446744073709551615":                         200,
		"watchdog_memory_limit=9223372036854775807":                          1 << 40,
	} {
		list := osquery.InternalOptionList{}
		for _, flag := range strings.Fields(flags) {
			name, value, _ := strings.Cut(flag, "=")
			list[name] = &osquery.InternalOptionInfo{Value: value, DefaultValue: "unlike it"}
		}
		if got := watchdogLimit(list); got.bytes != want*mb || got.from == "" {
			t.Errorf("%s: %d MB, %s, want %d", flags, got.bytes/mb, got.from, want)
		}
	}
	defaults := osquery.InternalOptionList{
		"watchdog_level": &osquery.InternalOptionInfo{DefaultValue: "1"}, "disable_watchdog": nil}
	if got := watchdogLimit(defaults); got.bytes != watchdogRestrictive {
		t.Errorf("a flag without a value: %d", got.bytes)
	}
}

// measuredRows is a table of n rows with short values.
func measuredRows(n int) *tables.Table {
	return faked(tables.Routes, func(context.Context, tables.Source, tables.Query) (tables.Rows, error) {
		rows := make([]map[string]string, n)
		for i := range rows {
			rows[i] = map[string]string{"dst": "10.0.0.0/8", "metric": "7"}
		}
		return values(tables.Routes, rows...), nil
	})
}

// TestLimitOfFlags asks an extension at an osquery with and without a watchdog,
// whose flags change.
func TestLimitOfFlags(t *testing.T) {
	noLeaks(t)
	m := newManager(t, socketDir(t))
	m.SetFlag("disable_watchdog", "true")
	const rows = 29_013
	p := start(t, Extension{Socket: m.Socket(), Timeout: patience, Interval: 5 * time.Millisecond,
		Tables: []*tables.Table{measuredRows(rows)}, flagsInterval: 10 * time.Millisecond})
	if _, err := m.WaitRegistered(timeLimit(t)); err != nil {
		t.Fatal(err)
	}
	p.saw("limit for an answer")
	if r := query(t, m, "kernel_routes"); r.Status.Code != 0 || len(r.Response) != rows {
		t.Errorf("without a watchdog: %v, %d rows", r.Status, len(r.Response))
	}
	limited := func(flag, value, want string) {
		t.Helper()
		m.SetFlag(flag, value)
		p.saw("limit for an answer")
		r := query(t, m, "kernel_routes")
		if r.Status.Code != 1 || len(r.Response) != 0 || !strings.Contains(r.Status.Message, want) ||
			!strings.Contains(r.Status.Message, fmt.Sprintf("(29,013 rows, %d columns)", len(tables.Routes.Columns))) {
			t.Errorf("%s=%s: %v, %d rows\nwant %s", flag, value, r.Status, len(r.Response), want)
		}
	}
	limited("disable_watchdog", "false", "over the limit of 200 MB (that of osquery's watchdog): "+
		"select fewer columns, or narrow it with WHERE family=..., ")
	limited("watchdog_level", "1", "over the limit of 100 MB (that of osquery's watchdog_level 1): ")
	limited("watchdog_memory_limit", "300", "over the limit of 300 MB (osquery's watchdog_memory_limit): ")
}

// TestFlagsUnknown: flags that cannot be read any more are those of before.
func TestFlagsUnknown(t *testing.T) {
	noLeaks(t)
	e := Extension{Socket: newManager(t, socketDir(t)).Socket(), Timeout: patience,
		Logger: slog.New(slog.DiscardHandler)}
	m, err := e.dial(t.Context(), patience)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
	old := &memoryLimit{350 * mb, "osquery's watchdog_memory_limit"}
	if got := e.readLimit(t.Context(), m, old); *got != *old {
		t.Errorf("limit of %d MB, was %d", got.bytes/mb, old.bytes/mb)
	}
	if got := e.readLimit(t.Context(), m, nil); got.bytes != watchdogNormal {
		t.Errorf("limit of %d MB at first", got.bytes/mb)
	}
}

package shell

import (
	"io"
	"slices"
	"strings"
	"testing"
)

// TestProgress: each statement and command begins with nothing, and has gone through its own rows only.
func TestProgress(t *testing.T) {
	f := newFake("t", []string{"a"}, slices.Repeat([][]any{{"x"}}, 3*countedRows)...)
	var got [][2]int64
	p := new(Progress)
	see := func() { got = append(got, [2]int64{p.Scans.Load(), p.Rows.Load()}) }
	p.Begin = func() {
		if p.Rows.Load() != 0 || p.Scans.Load() != 0 {
			t.Errorf("a statement begins with %d rows of %d scans", p.Rows.Load(), p.Scans.Load())
		}
	}
	s := NewSession(nil, Options{Progress: p})
	s.all = []sqlTable{f.sqlTable}
	defer s.Close()
	for _, sql := range []string{"SELECT count(a) FROM t", "SELECT 1; SELECT count(a) FROM t; SELECT a FROM t LIMIT 1",
		"SELECT 1", "SELECT count(a) FROM t UNION ALL SELECT count(a) FROM t", ".help"} {
		if err := s.Run(t.Context(), io.Discard, sql); err != nil {
			t.Fatal(err)
		}
		see()
	}
	want := [][2]int64{{1, 3 * countedRows}, {1, 0}, {0, 0}, {2, 6 * countedRows}, {0, 0}}
	if !slices.Equal(got, want) {
		t.Errorf("scans and rows: %v, want %v", got, want)
	}
}

// TestTimer: the time that a statement took stands below its rows.
func TestTimer(t *testing.T) {
	var out strings.Builder
	s := NewSession(nil, Options{Format: List, NoHeader: true, Note: func(text string) {
		text, _, _ = strings.Cut(text, ":")
		out.WriteString(text + "\n")
	}})
	s.all = []sqlTable{}
	defer s.Close()
	if err := s.Run(t.Context(), &out, "SELECT 1;\n.timer on\nSELECT 2; SELECT 3;\n.timer off\nSELECT 4"); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "1\n2\nRun Time\n3\nRun Time\n4\n" {
		t.Errorf("%q", got)
	}
}

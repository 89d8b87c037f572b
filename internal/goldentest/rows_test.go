package goldentest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

var columns = []string{"id", "family", "dst", "metric", "dev", "consistent"}

// someRows have values that all share, that most share, and that differ.
func someRows() [][]string {
	return [][]string{
		{"a", "ipv4", "10.0.0.0/8", "0", "v0", "1"},
		{"b", "ipv4", "11.0.0.0/8", "0", "", "1"},
		{"c", "ipv4", "12.0.0.0/8", "7", "v0", "1"},
		{"d", "ipv6", "fd00::/64", "", "", "1"},
		{"e", "ipv6", "fd01::/64", "1024", "v\n0", "1"},
		{"f", "mpls", "16", "", `"v0"`, "1"},
	}
}

func TestRows(t *testing.T) {
	const want = `every row:
  consistent 1

most ipv4 rows:
  family ipv4
  metric 0
  dev v0

id a
  dst 10.0.0.0/8

id b
  dst 11.0.0.0/8
  no dev

id c
  dst 12.0.0.0/8
  metric 7

most ipv6 rows:
  family ipv6

id d
  dst fd00::/64

id e
  dst fd01::/64
  metric 1024
  dev "v\n0"

id f
  family mpls
  dst 16
  dev "\"v0\""
`
	if got := string(Rows(columns, someRows())); got != want {
		t.Errorf("got\n%s", got)
	}
	if got := Rows(columns, nil); len(got) > 0 {
		t.Errorf("of no rows: %s", got)
	}
	const links = `every row:
  state UP

most rows:
  kind veth

dev v0

dev v1

dev br0
  kind bridge
`
	rows := [][]string{{"v0", "veth", "UP"}, {"v1", "veth", "UP"}, {"br0", "bridge", "UP"}}
	if got := string(Rows([]string{"dev", "kind", "state"}, rows)); got != links {
		t.Errorf("without families: %s", got)
	}
}

// TestNothingIsLost: whatever changes in a row, the text does.
func TestNothingIsLost(t *testing.T) {
	texts := map[string]string{}
	add := func(what string, columns []string, rows [][]string) {
		text := string(Rows(columns, rows))
		if before, ok := texts[text]; ok {
			t.Errorf("%s reads as %s", what, before)
		}
		texts[text] = what
	}
	add("what is", columns, someRows())
	for i, row := range someRows() {
		for j, value := range row {
			for _, other := range []string{"", "0", "1", "9", "v0", "ipv4", "no", "\x00", "\"\x00\"", `"\x00"`} {
				if other == value || j == 0 && other == "" {
					continue
				}
				rows := someRows()
				rows[i][j] = other
				add(fmt.Sprintf("%s of %s: %q", columns[j], row[0], other), columns, rows)
			}
		}
		add("without "+row[0], columns, slices.Delete(someRows(), i, i+1))
		if i > 0 {
			rows := someRows()
			rows[i-1], rows[i] = rows[i], rows[i-1]
			add("swapped before "+row[0], columns, rows)
		}
	}
	for j := range columns {
		if columns[j] == "id" || columns[j] == "family" {
			continue
		}
		rows := someRows()
		for i := range rows {
			rows[i] = slices.Delete(rows[i], j, j+1)
		}
		add("without "+columns[j], slices.Delete(slices.Clone(columns), j, j+1), rows)
	}
}

// TestNewColumn counts the lines that a column adds; it changes no other.
func TestNewColumn(t *testing.T) {
	for _, test := range []struct {
		values string // of each row
		want   int    // lines
	}{
		{"......", 0},
		{"xxxxxx", 1},
		{"xxx...", 1},
		{"xxxyy.", 2},
		{"xx.xx.", 3}, // and one that has none
		{"x..y..", 2},
		{".....x", 1},
	} {
		rows := someRows()
		for i := range rows {
			rows[i] = append(rows[i], strings.Trim(test.values[i:i+1], "."))
		}
		lines := slices.Collect(strings.Lines(string(Rows(append(slices.Clone(columns), "new"), rows))))
		n := len(lines)
		lines = slices.DeleteFunc(lines, func(line string) bool {
			return strings.HasPrefix(line, "  new ") || line == "  no new\n"
		})
		if n -= len(lines); n != test.want {
			t.Errorf("%s: %d lines", test.values, n)
		}
		if text := strings.Join(lines, ""); text != string(Rows(columns, someRows())) {
			t.Errorf("%s: other lines changed:\n%s", test.values, text)
		}
	}
}

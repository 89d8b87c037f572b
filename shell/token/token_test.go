package token_test

import (
	"slices"
	"strings"
	"testing"

	"kernelroutes/shell/token"
)

// TestAll has what SQLite's tokenizer makes of quotes, comments and what is not closed.
func TestAll(t *testing.T) {
	for sql, want := range map[string][]string{
		"":                          nil,
		" \t\n":                     nil,
		"SELECT a.b,*":              {"SELECT", "a", ".", "b", ",", "*"},
		"'it''s' \"a\"\"b\" `c`[d]": {"'it''s'", `"a""b"`, "`c`", "[d]"},
		"1--2\n3/*4;*/5":            {"1", "--2\n", "3", "/*4;*/", "5"},
		"a -- b":                    {"a", "-- b"},
		"'a;":                       {"'a;"},
		"/*":                        {"/*"},
		"[a":                        {"[a"},
		"日本=\xff\x00":               {"日本", "=", "\xff", "\x00"},
	} {
		var got []string
		open := false
		for _, one := range token.All(sql) {
			got, open = append(got, sql[one.Start:one.End]), one.Open
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", sql, got, want)
		}
		if closed := !slices.Contains([]string{"a -- b", "'a;", "/*", "[a"}, sql); open == closed {
			t.Errorf("%q: open is %t", sql, open)
		}
	}
}

// FuzzAll: whatever the text is, its tokens are all of it but blanks.
func FuzzAll(f *testing.F) {
	f.Add("SELECT 'a' -- b\n FROM /* c */ d;")
	f.Add("\xff'\x00[")
	f.Fuzz(func(t *testing.T, sql string) {
		at := 0
		for _, one := range token.All(sql) {
			if one.Start < at || one.End <= one.Start || strings.Trim(sql[at:one.Start], " \t\n\f\r") != "" {
				t.Fatalf("%q: %v after %d", sql, one, at)
			}
			at = one.End
		}
		if strings.Trim(sql[at:], " \t\n\f\r") != "" {
			t.Fatalf("%q: ends at %d", sql, at)
		}
	})
}

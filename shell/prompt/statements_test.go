package prompt

import (
	"strings"
	"testing"

	"kernelroutes/shell/token"
)

func TestComplete(t *testing.T) {
	for sql, want := range map[string]bool{
		"":                            false,
		";":                           true,
		"SELECT 1":                    false,
		"SELECT 1;":                   true,
		"SELECT 1; ":                  true,
		"SELECT 1; -- done":           true,
		"SELECT 1; /* done */":        true,
		"SELECT 1; /* not":            false,
		"SELECT 1 -- ;":               false,
		"SELECT 1 -- ;\n;":            true,
		"SELECT 1 /* ; */":            false,
		"SELECT ';":                   false,
		"SELECT ';'":                  false,
		"SELECT 'it''s;":              false,
		"SELECT 'it''s';":             true,
		`SELECT "a;`:                  false,
		`SELECT "a""";`:               true,
		"SELECT `;":                   false,
		"SELECT `;`;":                 true,
		"SELECT [;":                   false,
		"SELECT [a;b'];":              true,
		"SELECT 1; SELECT 2":          false,
		"SELECT 1; SELECT 2;":         true,
		"SELECT '\n;\n":               false,
		"SELECT 1 - -1;":              true,
		"SELECT 4 / 2;":               true,
		"SELECT 'größe', \xff;":       true,
		"SELECT 1;--":                 true,
		"CREATE TABLE trigger(a);":    true,
		"CREATE VIEW v AS SELECT 1;":  true,
		"CREATE TRIGGER t BEGIN END;": false,
		"CREATE TRIGGER t AFTER INSERT ON r BEGIN SELECT 1;":        false,
		"CREATE TRIGGER t AFTER INSERT ON r BEGIN SELECT 1; END":    false,
		"CREATE TRIGGER t AFTER INSERT ON r BEGIN SELECT 1; END;":   true,
		"create temp trigger t after insert on r begin select ';'":  false,
		"EXPLAIN CREATE TEMPORARY TRIGGER t ON r BEGIN SELECT 1;":   false,
		"CREATE TRIGGER t ON r BEGIN SELECT 1; /* x */ END -- y\n;": true,
		"CREATE TRIGGER t ON r BEGIN SELECT 1; END; SELECT 1":       false,
		"CREATE TRIGGER t ON r BEGIN SELECT 1; END; SELECT 1;":      true,
	} {
		if got := complete(sql); got != want {
			t.Errorf("%q is complete: %v", sql, got)
		}
	}
}

func TestEmpty(t *testing.T) {
	for sql, want := range map[string]bool{
		"": true, " \t\n": true, ";": true, " ; ;": true, "-- x": true, "-- x\n;": true, "/* x */": true, "/* x": false,
		"'": false, "SELECT": false, ".": false, "-": false,
	} {
		if got := empty(sql); got != want {
			t.Errorf("%q is empty: %v", sql, got)
		}
	}
}

func TestOneLine(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1;":                               "SELECT 1;",
		"SELECT dst,\n       gateway\nFROM r\n;":  "SELECT dst, gateway FROM r ;",
		"SELECT 1 -- one\n+ 2 -- two\n;":          "SELECT 1 /* one */ + 2 /* two */ ;",
		"SELECT 1; -- end":                        "SELECT 1; /* end */",
		"SELECT 1 -- a */ b\r\n;":                 "SELECT 1 /* a * / b */ ;",
		"SELECT /* a\n b */ 1;":                   "SELECT /* a  b */ 1;",
		"SELECT '--', \"/*\", [--],   `'`\n , 1;": "SELECT '--', \"/*\", [--],   `'` , 1;",
		"SELECT 1--\n;":                           "SELECT 1/* */ ;",
	} {
		got, ok := oneLine(sql)
		if !ok || got != want {
			t.Errorf("%q is %q in one line, %v, want %q", sql, got, ok, want)
		}
		if complete(got) != complete(sql) || strings.ContainsAny(got, "\r\n") {
			t.Errorf("%q is another statement than %q", got, sql)
		}
	}
	if got, ok := oneLine("SELECT 'a\nb';"); ok {
		t.Errorf("a text of two lines became %q", got)
	}
}

// FuzzTokens: what is typed, whatever it is, is cut into pieces that are all of it.
func FuzzTokens(f *testing.F) {
	for _, sql := range []string{
		"SELECT 'a''b', \"c\" -- d\n/* e */ FROM [f];", "'\xff", "CREATE TRIGGER ;END;", "\x00é",
	} {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		at := 0
		for _, tok := range token.All(sql) {
			if tok.End <= tok.Start || strings.Trim(sql[at:tok.Start], " \t\n\f\r") != "" {
				t.Fatalf("%q: %+v after %d", sql, tok, at)
			}
			at = tok.End
		}
		if strings.Trim(sql[at:], " \t\n\f\r") != "" {
			t.Fatalf("%q: nothing after %d", sql, at)
		}
		if line, ok := oneLine(sql); ok && (strings.Contains(line, "\n") || complete(line) != complete(sql)) {
			t.Errorf("%q became %q", sql, line)
		}
	})
}

package shell

import (
	"strconv"
	"strings"
	"testing"
)

// longRegex is one byte longer than osquery's limit.
var longRegex = strings.Repeat("a", 257)

// functionCases are expressions, and what osquery's SQLite makes of them.
var functionCases = map[string]string{
	`split('/foo/bar', '/', 0)`:          "foo",
	`split('/foo/bar', '/', 1)`:          "bar",
	`split('/foo/bar', '/', 2)`:          "NULL",
	`split('/foo/bar', '/', -1)`:         "NULL",
	`split('/foo/bar', '/', 4294967297)`: "bar", // an int
	`split('192.168.0.1', '.0', 2)`:      "1",
	`split('foo;;bar', ';;', 1)`:         "bar",
	`split(' a , b ', ',', 1)`:           "b",
	`split('a, ,b', ',', 1)`:             "",
	`hex(split('größe', 'ö', 1))`:        "9F65", // bytes
	`split('', ',', 0)`:                  "NULL",
	`split('a,b', '', 0)`:                "error: Invalid input to split function",
	`split(NULL, '', 0)`:                 "NULL",
	`split('a', NULL, 0)`:                "NULL",
	`split('a', ',', NULL)`:              "NULL",
	`split(12.5, '.', 1)`:                "5",
	`split('a', ',')`:                    "error: wrong number of arguments to function split()",

	`regex_match('hello world', '(l)(o).*', 0)`:                                "lo world",
	`regex_match('hello world', '(l)(o).*', 2)`:                                "o",
	`regex_match('hello world', '(l)(o).*', 3)`:                                "NULL",
	`regex_match('hello world', '(l)(o).*', -1)`:                               "NULL",
	`regex_match('hello world', 'no match', 0)`:                                "NULL",
	`regex_match('hello world', '(\w+) .*(or|ld)', 2)`:                         "ld",
	`regex_match('/filesystem/path/download.extension.zip', '.+/([^./]+)', 1)`: "download",
	`regex_match('foo/bar', '(/', 0)`:                                          "error: Invalid regex",
	`regex_match('foo/bar', '+', 0)`:                                           "error: Invalid regex",
	`regex_match('foo/bar', '|', 0)`:                                           "",
	`regex_match('ab', 'a|ab', 0)`:                                             "a", // not the longest
	`regex_match('abab', '(ab)\1', 0)`:                                         "abab",
	`regex_match('eth0.100', '^eth(?=\d)', 0)`:                                 "eth",
	`regex_match('xa', '(x)|(a)', 2)`:                                          "", // a group that took no part
	`regex_match('a1', '[[:digit:]]', 0)`:                                      "1",
	`hex(regex_match('ö', '.', 0))`:                                            "C3", // a byte
	`regex_match(char(160), '\s|\w', 0)`:                                       "NULL",
	`regex_match('é', '[à-ü]+', 0)`:                                            "é",
	`regex_match(char(13), '.', 0)`:                                            "NULL",
	`regex_match('a' || char(10), 'a$', 0)`:                                    "NULL",
	`regex_match('_', '\_', 0)`:                                                "error: Invalid regex",
	`regex_match('a', '(?i)A', 0)`:                                             "error: Invalid regex",
	`regex_match('a', '(?<n>a)', 0)`:                                           "error: Invalid regex",
	`regex_match('(?<', '\(\?[<]', 0)`:                                         "(?<",
	`regex_match('ba', '(?<=b)a', 0)`:                                          "error: Invalid regex",
	`regex_match('a', '\p{L}', 0)`:                                             "error: Invalid regex",
	`regex_match('a{', 'a{', 0)`:                                               "error: Invalid regex",
	`regex_match('a{', 'a[{]', 0)`:                                             "a{",
	`regex_match('aa', 'a{2}', 0)`:                                             "aa",

	`regex_match('a', '` + longRegex + `', 0)`:     "error: Invalid regex: too big, max size is 256 bytes",
	`regex_match('a', '` + longRegex[1:] + `', 0)`: "NULL",

	`regex_match('a', NULL, 0)`: "NULL",

	`regex_split('/foo/bar', '/', 0)`:          "",
	`regex_split('/foo/bar', '/', 2)`:          "bar",
	`regex_split('/foo/bar', '/', 3)`:          "NULL",
	`regex_split('foo/bar/', '/', 2)`:          "NULL",
	`regex_split('foo;;bar', ';;', 1)`:         "bar",
	`regex_split('foo;bar//qux', '(;|/)+', 2)`: "qux",
	`regex_split('foo/bar', '|', 0)`:           "",
	`regex_split('foo', ',', 0)`:               "foo",
	`regex_split('', ',', 0)`:                  "",

	`regex_split('foo/bar', '', 0)`:                                         "error: Invalid input to split function",
	`regex_split('foo/bar', '(/', 0)`:                                       "error: Invalid regex",
	`regex_split('foo/bar', '` + longRegex + `', 0)`:                        "error: Invalid regex",
	`regex_split('/a/download.extension.zip', '(.*/)|(.extension.zip)', 1)`: "download",

	`concat()`:                               "NULL",
	`concat(NULL)`:                           "",
	`concat('hello', NULL, 'world', 1, 2.5)`: "helloworld12.5",
	`concat_ws()`:                            "error: Missing separator to concat_ws",
	`concat_ws('')`:                          "NULL",
	`concat_ws(NULL)`:                        "NULL",
	`concat_ws(', ', 'hello', 'world', 1, 2)`: "hello, world, 1, 2",
	`concat_ws(NULL, 'hello', 'world')`:       "helloworld",
	`concat_ws(' ', 'hello', NULL, 'world')`:  "hello world",
	`concat_ws('x', '', '')`:                  "x",
	`concat_ws(',', 'a', NULL)`:               "a,",

	`inet_aton('1.0.1.5')`:         "16777477",
	`inet_aton('255.255.255.255')`: "4294967295",
	`inet_aton('::1')`:             "NULL",
	`inet_aton('1.2.3')`:           "NULL",
	`inet_aton('01.2.3.4')`:        "NULL",
	`inet_aton(NULL)`:              "NULL",
	`typeof(inet_aton('1.2.3.4'))`: "integer",

	`md5('test')`:                           "098f6bcd4621d373cade4e832627b4f6",
	`md5('')`:                               "d41d8cd98f00b204e9800998ecf8427e",
	`md5(NULL)`:                             "NULL",
	`md5(1) = md5('1')`:                     "1",
	`md5(0.1+0.2)=md5('0.3')`:               "1",
	`md5('a' || char(0) || 'b') = md5('a')`: "1",
	`sha1('test')`:                          "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3",
	`sha256('test')`:                        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	`sha256('test', 256)`:                   "error: wrong number of arguments to function sha256()",

	`to_base64('test')`:                "dGVzdA==",
	`to_base64('')`:                    "",
	`to_base64(NULL)`:                  "NULL",
	`to_base64(x'00ff')`:               "AP8=",
	`conditional_to_base64('test ~')`:  "test ~",
	`conditional_to_base64('悪因悪果')`:    "5oKq5Zug5oKq5p6c",
	`conditional_to_base64(char(127))`: "fw==",
	`from_base64('dGVzdA==')`:          "test",
	`from_base64('dGVzdA')`:            "test",
	`from_base64('dGV' || char(13,10) || 'z' || char(10) || 'dA==')`: "test",
	`from_base64('dGVzd')`:                "", // a character is missing
	`from_base64('dGV*')`:                 "",
	`from_base64('dGVzdA== ')`:            "",
	`from_base64('d' || char(13) || 'A')`: "",
	`hex(from_base64('d=Vz'))`:            "740573",
	`from_base64(NULL)`:                   "NULL",

	`version_compare('1.0', '1.0')`:                                   "0",
	`version_compare('1:2.0-10', '1:2.0-10', 'DPKG')`:                 "0",
	`version_compare('4:1.1.0', '4:1.1.0-3', 'arCH')`:                 "0",
	`version_compare('50.4.1b', '50.4.1c')`:                           "-1",
	`version_compare('1.0.8-4', '1.0.8-6', 'arch')`:                   "-1",
	`version_compare('1.0.0~rc2^2021', '1.0.0', 'RHEL')`:              "-1",
	`version_compare('1.1.0~BETA2^1', '1.1.0~CR1', 'RhEl')`:           "-1",
	`version_compare('1.0.1.1', '1.0.1^2021', 'rhel')`:                "1",
	`version_compare('1.9.9-1ubuntu2.4', '1.9.9-1ubuntu2.3', 'dpkg')`: "1",
	`version_compare('1:1.2.13-2', '4.2.1', 'ARCH')`:                  "1",
	`version_compare('106.32.1', '106:32.1')`:                         "0",
	`version_compare('', '1')`:                                        "-1",

	`version_compare('1.0')`:         "error: Must provide two version strings to compare.",
	`version_compare(1.0, '1')`:      "error: Must provide two version strings to compare.",
	`version_compare('1', '1', 5)`:   "error: The optional third parameter is not a string.",
	`version_compare('1', '1', 'x')`: "error: The optional third parameter does not match one of: (ARCH, DPKG, RHEL).",

	`'1.6.1-9' < '1.6.1-10' COLLATE version_arch`:                     "1",
	`'41.1-2' < '43alpha+r8+g1de47dbc-1' COLLATE version_arch`:        "1",
	`'4:2' = '4:2-1' COLLATE version_arch`:                            "1",
	`'3.0.2-0ubuntu1.10' > '3.0.2-0ubuntu1.8' COLLATE version_dpkg`:   "1",
	`'1.0.1^2021' < '1.0.1.security1' COLLATE version_rhel`:           "1",
	`'1.0.1' < 'pkg-1.0.1.security1' COLLATE version_rhel`:            "1",
	`'1.0.0~rc2^20210101gf00fabd' > '1.0.0~rc2' COLLATE version_rhel`: "1",
	`'1.10' > '1.9' COLLATE version`:                                  "1",

	`community_id_v1('66.35.250.204', '128.232.110.120', 80, 34855, 6)`:    "1:LQU9qZlK+B5F3KDmev6m5PMibrg=",
	`community_id_v1('128.232.110.120', '66.35.250.204', 34855, 80, 6, 1)`: "1:3V71V58M3Ksw/yuFALMcW0LAHvc=",
	`community_id_v1('127.0.0.1', 'fe80::14b0:de4a:f8e8:522f', 64, 10, 6)`: "1:Jww+Ua4pSUNl9TvSUwvSHL4n93w=",
	`community_id_v1('192.168.170.56', '192.168.170.8', 80, 7, 132)`:       "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=",
	`community_id_v1('192.168.1.52', '8.8.8.8', 54585, 53, 17, 1)`:         "1:Q9We8WO3piVF8yEQBNJF4uiSVrI=",
	`community_id_v1('192.168.1.52', 'foo', 10, 53, 17, 0)`:                "NULL",

	`community_id_v1_strict('192.168.1.52', 'foo', 10, 53, 17, 0)`: "error: Community ID daddr cannot be parsed as IP",

	`community_id_v1_strict('192.168.1.52', '192.168.1.1', 10, 53, 17, 100000000)`: "error: Community ID seed must " +
		"fit in 2 bytes",

	`community_id_v1_strict('192.168.1.52', '192.168.1.1', 10, 65536, 17)`: "error: Community ID ports must " +
		"fit in 2 bytes",
	`community_id_v1_strict('192.168.1.52', '192.168.1.1', '10', 5, 17)`: "error: Community ID ports must " +
		"be integers",
	`community_id_v1_strict('192.168.1.52', '192.168.1.1', 10, 5, 256)`: "error: Community ID protocol must " +
		"fit in 1 byte",

	`sqrt(16)`:           "4.0",
	`sqrt(-1)`:           "error: Numerical argument out of domain",
	`sqrt(NULL)`:         "NULL",
	`sqrt('16')`:         "4.0",
	`log(10)`:            "2.30258509299405",
	`log(0)`:             "error: Numerical result out of range",
	`log(-1)`:            "error: Numerical argument out of domain",
	`log(2, 8)`:          "error: wrong number of arguments to function log()",
	`log10(1000)`:        "3.0",
	`exp(1)`:             "2.71828182845905",
	`exp(1000)`:          "Inf",
	`exp(20000)`:         "error: Numerical result out of range",
	`power(2, 10)`:       "1024.0",
	`power(-1, 0.5)`:     "error: Numerical argument out of domain",
	`power(0, -1)`:       "error: Numerical result out of range",
	`power(10, 400)`:     "error: Numerical result out of range",
	`power(10, -400)`:    "error: Numerical result out of range",
	`power(NULL, 1)`:     "NULL",
	`ceil(1.2)`:          "2",
	`ceil('1.2')`:        "2",
	`floor(-1.2)`:        "-2",
	`floor(7)`:           "7",
	`typeof(floor(7.5))`: "integer",
	`ceil(NULL)`:         "NULL",
	`pi()`:               "3.14159265358979",
	`sin(0)`:             "0.0",
	`cos(0)`:             "1.0",
	`sin(9e999)`:         "error: Numerical argument out of domain",
	`tan(1)`:             "1.5574077246549",
	`cot(1)`:             "0.642092615934331",
	`cot(0)`:             "Inf",
	`asin(1)`:            "1.5707963267949",
	`asin(2)`:            "error: Numerical argument out of domain",
	`acos(1)`:            "0.0",
	`atan(1)`:            "0.785398163397448",
	`degrees(pi())`:      "180.0",
	`radians(180)`:       "3.14159265358979",

	`parent_directory('/a/b')`: "/a",
	`parent_directory('a')`:    "NULL",
	`parent_directory(1)`:      "error: Invalid inputs to parent_directory, TEXT was expected",
	`sleep(0)`:                 "0",
	`sleep(-1)`:                "0",
}

// TestFunctions: osquery's functions give what osquery gives, errors included.
// Most cases are those of its documentation and tests.
func TestFunctions(t *testing.T) {
	for expression, want := range functionCases {
		if got := evaluate(expression); got != want {
			t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
}

// evaluate returns the value of an expression as it is printed.
func evaluate(expression string) string {
	out, err := ask(List, "SELECT x, x IS NULL FROM (SELECT "+expression+" AS x)")
	if err != nil {
		return "error: " + err.Error()
	}
	value, isNull, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(out, "x|x IS NULL\n"), "\n"), "|")
	if isNull == "1" {
		return "NULL"
	}
	return value
}

// TestNewerFunctions: what is in SQLite's list of functions is in osquery's
// SQLite too, or cannot be called.
func TestNewerFunctions(t *testing.T) {
	for _, call := range []string{
		"pow(2, 3)", "mod(5, 3)", "ln(2)", "log2(8)", "trunc(1.5)", "atan2(1, 2)", "sinh(1)", "acosh(1)",
		"ceiling(1.5)",
		"string_agg('a', ',')", "jsonb('[]')", "jsonb_extract('[1]', '$[0]')", "jsonb_group_array(1)", "if(1, 2, 3)",
		"unhex('61')", "octet_length('a')", "timediff('2020-01-01', '2021-01-01')", "json_pretty('[]')",
		"json_error_position('[')",
		"unistr('a')", "unistr_quote('a')", "json_array_insert('[]', '$[0]', 1)", "regexp('a', 'a')",
		"regexpi('a', 'a')",
		"base64('a')", "decimal('1')", "ieee754(1)", "load_extension('x')", "readfile('x')", "median(1)",
		"percentile(1, 2)",
	} {
		name, _, _ := strings.Cut(call, "(")
		if got, want := evaluate(call), "error: no such function: "+name; got != want {
			t.Errorf("%s is %s, want %s", call, got, want)
		}
	}
	const noTable, noTables = "error: no such table: ", "; the tables are ; osquery's own are not here"
	for expression, want := range map[string]string{
		"'a' REGEXP 'a'":      "error: no such function: REGEXP",
		"Pow(1, 2)":           "error: no such function: Pow",
		"iif(1, 2)":           "error: wrong number of arguments to function iif()",
		"iif(0, 1, 0, 2, 3)":  "error: wrong number of arguments to function iif()",
		"iif(0, 1, 2)":        "2",
		"json_valid('1', 1)":  "error: wrong number of arguments to function json_valid()",
		"json_valid('1')":     "1",
		`'{"a":5}' ->> '$.a'`: "5",
		"(SELECT count(*) FROM generate_series(1, 3))": noTable + "generate_series" + noTables,

		"(SELECT 1 FROM jsonb_each('[1]'))": noTable + "jsonb_each" + noTables,
		"(SELECT 1 FROM jsonb_tree('[1]'))": noTable + "jsonb_tree" + noTables,

		"(WITH generate_series(value) AS (VALUES (7)) SELECT value FROM generate_series)": "7",
		"POWER(2, 2)":  "4.0",
		"soundex('a')": "A000",
		"(SELECT max(value) OVER () FROM json_each('[1,2]'))": "2",
	} {
		if got := evaluate(expression); got != want {
			t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
	// What a later version of SQLite adds is refused as well.
	list := mustAsk(t, CSV, "SELECT name, max(narg) AS n FROM pragma_function_list GROUP BY name")
	refused := 0
	for line := range strings.Lines(list) {
		name, args, _ := strings.Cut(strings.TrimSpace(line), ",")
		n, err := strconv.Atoi(args)
		if err != nil || functions()[name] {
			continue
		}
		refused++
		got := evaluate(name + "(" + strings.TrimPrefix(strings.Repeat(", 1", max(n, -n-1, 0)), ", ") + ")")
		if want := "error: no such function: " + name; got != want {
			t.Errorf("%s is not in osquery, and here it is %s", name, got)
		}
	}
	if refused < 30 {
		t.Errorf("only %d functions are refused", refused)
	}
}

// TestReals: 15 digits, as SQLite 3.40 prints.
func TestReals(t *testing.T) {
	for expression, want := range map[string]string{
		"1e15": "1.0e+15", "1e14": "100000000000000.0", "999999999999999.0": "999999999999999.0", "0.1 + 0.2": "0.3",
		"1 / 3.0": "0.333333333333333",
		"1e100":   "1.0e+100", "1.5e-7": "1.5e-07", "0.0001": "0.0001", "0.00001": "1.0e-05",
		"123456789.125": "123456789.125", "-0.0": "0.0", "9e999": "Inf", "-9e999": "-Inf",
		"2.0": "2.0", "-2.5e-300": "-2.5e-300",
		"9007199254740993.0": "9.00719925474099e+15", "1e3": "1000.0", "5e-324": "4.94065645841247e-324",
	} {
		if got := evaluate(expression); got != want {
			t.Errorf("%s is %s, want %s", expression, got, want)
		}
	}
}

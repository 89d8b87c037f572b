package command

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nstest"
	"kernelroutes/tables"
)

// command runs the program and returns its exit status.
func command(t *testing.T, stdin io.Reader, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errs
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// TestBadInput: one line that says what is wrong and what to do, nothing printed.
func TestBadInput(t *testing.T) {
	for _, test := range badInput {
		t.Run(test.args, func(t *testing.T) {
			t.Parallel()
			var args []string
			if test.args != "" {
				args = strings.Split(test.args, "|")
			}
			stdout, stderr, status := command(t, strings.NewReader(test.stdin), args...)
			if status != test.status || stdout != "" {
				t.Errorf("exit status %d, want %d; printed %q", status, test.status, stdout)
			}
			line, more, _ := strings.Cut(stderr, "\n")
			if !strings.HasPrefix(line, program+": ") || more != "" {
				t.Errorf("not one line of %s: %q", program, stderr)
			}
			for _, want := range test.want {
				if !strings.Contains(line, want) {
					t.Errorf("%q is missing: %s", want, line)
				}
			}
		})
	}
}

// badInput are command lines that mean nothing, or cannot be done.
var badInput = []struct {
	args   string // separated by |
	stdin  string
	status int
	want   []string // parts of the line
}{
	{"", "", exitUsage, []string{"nothing to do", "query, routes", "--help"}},
	{"--verbose", "", exitUsage, []string{"nothing to do"}},
	{"frobnicate", "", exitUsage, []string{`unknown command "frobnicate"`, "query, routes"}},
	{"SELECT 1", "", exitUsage, []string{`unknown command "SELECT 1"`, "query, routes"}},
	{"--frobnicate", "", exitUsage, []string{"unknown flag: --frobnicate", "--help"}},
	{"-x", "", exitUsage, []string{"unknown shorthand flag", "--help"}},
	{"--timeout|x|query|SELECT 1", "", exitUsage, []string{"unknown flag: --timeout"}},

	{"--interval|x", "", exitUsage, []string{"--interval=x means nothing: give a whole number of seconds; see"}},

	{"query", "", exitUsage, []string{"no SQL", "standard input", "query --help"}},
	{"query", " \n", exitUsage, []string{"no SQL"}},
	{"query|", "", exitUsage, []string{"no SQL"}},
	{"query|SELECT|1", "", exitUsage, []string{"more than one argument", "quotes"}},
	{"query|--frobnicate|SELECT 1", "", exitUsage, []string{"unknown flag: --frobnicate", "query --help"}},
	{"query|--socket|x|SELECT 1", "", exitUsage, []string{"unknown flag: --socket"}},
	{"query|--json|--csv|SELECT 1", "", exitUsage, []string{"--json", "--csv", "choose one"}},
	{"query|SELECT * FROM routes", "", exitFailed, []string{"no such table: routes", "kernel_routes"}},
	{"query|SELECT nope FROM kernel_routes", "", exitFailed, []string{"no such column: nope", ".schema"}},
	{"query|--json|SELEC 1", "", exitFailed, []string{"syntax error", "SELEC"}},
	{"query|--jsonl|SELECT 1; SELECT", "", exitFailed, []string{"incomplete input"}},
	{"query", "SELECT * FROM\nnope", exitFailed, []string{"no such table: nope"}},
	{"query|SELECT 'not\nended", "", exitFailed, []string{"unrecognized token", "quote"}},
	{"query|SELECT abs(-9223372036854775807 - v) FROM (SELECT 0 AS v UNION ALL SELECT 1)", "", exitFailed,
		[]string{"overflow"}},
	{"query|.frobnicate", "", exitFailed, []string{`".frobnicate"`, ".tables"}},

	{"rotues", "", exitUsage, []string{`unknown command "rotues"`, "did you mean routes?", "query, routes"}},
	{"help|montior", "", exitUsage, []string{"did you mean monitor?"}},
	{"WITH t AS (SELECT 1) SELECT * FROM t", "", exitUsage, []string{"SQL is an argument of query"}},
	{"query|--jsn|SELECT 1", "", exitUsage, []string{"unknown flag: --jsn", "did you mean --json? See"}},
	{"query|-json|SELECT 1", "", exitUsage, []string{"in -json", "did you mean --json?"}},
	{"query|-j|SELECT 1", "", exitUsage, []string{"'j' in -j; did you mean --json? See"}},
	{"query|-4|SELECT 1", "", exitUsage, []string{"'4' in -4; see"}},
	{"show|-4", "", exitUsage, []string{"'4' in -4; did you mean --ipv4?"}},
	{"show|-6", "", exitUsage, []string{"'6' in -6; did you mean --ipv6?"}},
	{"query|--fromat|json|SELECT 1", "", exitUsage, []string{"did you mean --format?"}},
	{"query|--mode|json|SELECT 1", "", exitUsage, []string{"--mode: formats are chosen by --json, --jsonl, --csv"}},
	{"query|--json=maybe|SELECT 1", "", exitUsage, []string{"--json=maybe means nothing", "--json=false"}},
	{"query|--format|xml|SELECT 1", "", exitUsage, []string{`unknown format "xml"`, "pretty, json, jsonl"}},
	{"query|--format|jsn|SELECT 1", "", exitUsage, []string{`unknown format "jsn"`, "did you mean json?"}},
	{"query|--format|", "", exitUsage, []string{`unknown format ""`}},
	{"query|--format|json|--csv|SELECT 1", "", exitUsage, []string{"--csv and --format json", "choose one"}},
	{"query|--format|pretty|--csv|SELECT 1", "", exitUsage, []string{"--csv and --format pretty", "choose one"}},
	{"query|--format|csv|--format=list|SELECT 1", "", exitUsage, []string{"--format csv and --format list"}},
	{"query|--format|pretty|--format|csv|SELECT 1", "", exitUsage, []string{"--format pretty and --format csv"}},
	{"query|--format|csv|--format|xml|SELECT 1", "", exitUsage, []string{`unknown format "xml"`}},
	{"query|SELECT gw FROM kernel_routes", "", exitFailed, []string{"no such column: gw", "did you mean gateway?"}},
	{"query|.schema kernel_rules", "", exitFailed, []string{"no such table: kernel_rules", "mean kernel_route_rules?"}},
	{"routes|--json", "", exitUsage, []string{"unknown flag: --json", "it prints JSON", "--summary"}},
	{"routes|--format|json", "", exitUsage, []string{"unknown flag: --format", "it prints JSON", "--summary"}},
	{"routes|--tabel|main", "", exitUsage, []string{"did you mean --table?"}},
	{"routes|--table|mian", "", exitUsage, []string{`unknown table "mian"`, "did you mean main?", "rt_tables"}},
	{"routes|--table|LCOAL", "", exitUsage, []string{"did you mean local?"}},
	{"routes|--summary|--no-unknown-attrs", "", exitUsage, []string{"--summary and --no-unknown-attrs exclude"}},
	{"routes|--from|/", "", exitFailed, []string{"capture /: is a directory; name a file"}},
	{"routes|--from|/nonexistent", "", exitFailed, []string{"capture /nonexistent: no such file or directory; name a"}},
	{"routes|--from|go.mod", "", exitFailed, []string{"capture go.mod: it is no pcap file"}},
	{"monitor|--tabel|main", "", exitUsage, []string{"did you mean --table?"}},
	{"monitor|--from|x", "", exitUsage, []string{"--from, which is one of query, routes and show"}},
	{"spec|kernel_rules", "", exitUsage, []string{"did you mean kernel_route_rules?", "the tables are kernel_"}},

	{"diff", "", exitUsage, []string{"give a capture", "diff --help"}},
	{"diff|", "", exitUsage, []string{"is empty"}},
	{"diff|a|b|c", "", exitUsage, []string{`unexpected argument "c"`}},
	{"diff|-|-", "", exitUsage, []string{"only one", "standard input"}},
	{"diff|--ipv4|--ipv6|a", "", exitUsage, []string{"--ipv4 and --ipv6"}},
	{"diff|--table||a", "", exitUsage, []string{"--table is empty"}},
	{"diff|--table|mian|testdata/captures/interface-config.pcap", "", exitUsage, []string{"did you mean main?"}},
	{"diff|/nonexistent", "", exitFailed, []string{"capture /nonexistent: no such file"}},
	{"diff|go.mod", "", exitFailed, []string{"capture go.mod: it is no pcap file"}},
	{"diff|-", "no capture", exitFailed, []string{"from standard input"}},
	{"diff|--from|a", "", exitUsage, []string{"unknown flag: --from"}},

	{"routes|--ipv4|--ipv6", "", exitUsage, []string{"--ipv4 and --ipv6", "both"}},
	{"routes|--table|nope", "", exitUsage, []string{`unknown table "nope"`, "number", "rt_tables"}},
	{"routes|--table|-1", "", exitUsage, []string{`unknown table "-1"`}},
	{"routes|--table|4294967296", "", exitUsage, []string{`unknown table "4294967296"`, "4294967295"}},
	{"routes|--table|", "", exitUsage, []string{"--table is empty"}},
	{"routes|--table", "", exitUsage, []string{"needs an argument: --table"}},
	{"routes|main", "", exitUsage, []string{`unexpected argument "main"`}},
	{"routes|--frobnicate", "", exitUsage, []string{"unknown flag: --frobnicate"}},

	{"show|--ipv4|--ipv6", "", exitUsage, []string{"--ipv4 and --ipv6", "both"}},
	{"show|--table|nope", "", exitUsage, []string{`unknown table "nope"`, "number", "rt_tables"}},
	{"show|--table|", "", exitUsage, []string{"--table is empty"}},
	{"show|--dev|", "", exitUsage, []string{"--dev is empty"}},
	{"show|--dev|nope", "", exitUsage, []string{"--dev='nope'", "no such interface", "'lo'"}},
	{"show|--netns|", "", exitUsage, []string{"--netns is empty", "/run/netns"}},
	{"show|--netns|a/b", "", exitUsage, []string{"--netns='a/b'", "a path begins with /"}},
	{"show|--netns|nope", "", exitFailed, []string{"/run/netns/nope"}},
	{"show|--netns|blue|--from|x.pcap", "", exitUsage, []string{"--netns and --from", "one network namespace"}},
	{"show|--from|/nonexistent", "", exitFailed, []string{"/nonexistent"}},
	{"show|main", "", exitUsage, []string{`unexpected argument "main"`}},

	{"monitor|--ipv4|--ipv6", "", exitUsage, []string{"--ipv4 and --ipv6", "both"}},
	{"monitor|--table|nope", "", exitUsage, []string{`unknown table "nope"`, "number", "rt_tables"}},
	{"monitor|--table|", "", exitUsage, []string{"--table is empty"}},
	{"monitor|--netns|", "", exitUsage, []string{"--netns is empty", "/run/netns"}},
	{"monitor|--netns|a/b", "", exitUsage, []string{"--netns='a/b'", "a path begins with /"}},
	{"monitor|--netns|nope", "", exitFailed, []string{"/run/netns/nope"}},
	{"monitor|--netns|/dev/null", "", exitFailed, []string{"/dev/null"}},
	{"monitor|route", "", exitUsage, []string{`unexpected argument "route"`}},

	{"get", "", exitUsage, []string{"which address?", "192.0.2.1", "get --help"}},
	{"get|10.0.0.0/8", "", exitUsage, []string{"'10.0.0.0/8' is no IP address", "of that prefix, as 10.0.0.0"}},
	{"get|example.org", "", exitUsage, []string{"'example.org' is no IP address", "names are not looked up"}},
	{"get|", "", exitUsage, []string{"'' is no IP address"}},
	{"get|127.0.0.1|nope", "", exitUsage, []string{"'nope' is no IP address"}},
	{"get|127.0.0.1%nope", "", exitUsage, []string{"no IP address"}},
	{"get|fe80::1%nope", "", exitUsage, []string{"zone of ADDRESS='nope'", "no such interface"}},
	{"get|127.0.0.1|--source|x", "", exitUsage, []string{"'x' is no IP address for --source"}},
	{"get|127.0.0.1|--source|::1", "", exitUsage, []string{"--source ::1", "another family than 127.0.0.1"}},
	{"get|fe80::9%lo|--source|fe80::1%nope", "", exitUsage, []string{"zone of --source='nope'", "no such interface"}},
	{"get|fe80::9|--source|fe80::1%nope", "", exitUsage, []string{"zone of --source='nope'", "no such interface"}},
	{"get|127.0.0.1|--source|", "", exitUsage, []string{"--source is empty"}},
	{"get|127.0.0.1|--iif|nope|--source|192.0.2.1", "", exitUsage, []string{"--iif='nope'", "no such interface"}},
	{"get|127.0.0.1|--iif|lo", "", exitUsage, []string{"--iif needs --source"}},
	{"get|127.0.0.1|--iif|lo|--oif|lo", "", exitUsage, []string{"--iif excludes --oif"}},
	{"get|127.0.0.1|--vrf|lo|--oif|lo", "", exitUsage, []string{"--vrf and --oif exclude each other"}},
	{"get|127.0.0.1|--vrf|lo", "", exitUsage, []string{"--vrf=lo is no VRF"}},
	{"get|127.0.0.1|--mark|x", "", exitUsage, []string{`--mark="x" is no number`, "from 0 to 4294967295"}},
	{"get|127.0.0.1|--mark|1/0xff", "", exitUsage, []string{`"1/0xff" is no number: give one without a mask`}},
	{"get|127.0.0.1|--mark|0x", "", exitUsage, []string{`--mark="0x" is no number`}},
	{"get|127.0.0.1|--dport|http", "", exitUsage, []string{`--dport="http" is no number: give one from 0 to 65535`}},
	{"get|127.0.0.1|--tos|1.5", "", exitUsage, []string{`--tos="1.5" is no number: give one from 0 to 255`}},
	{"get|127.0.0.1|--mark|99999999999999999999", "", exitUsage, []string{"out of range"}},
	{"get|127.0.0.1|--mark|0x100000000", "", exitUsage, []string{"out of range"}},
	{"get|127.0.0.1|--mark|-1", "", exitUsage, []string{"out of range"}},
	{"get|127.0.0.1|--tos|256", "", exitUsage, []string{"0 to 255"}},
	{"get|127.0.0.1|--dport|65536", "", exitUsage, []string{`--dport="65536"`, "0 to 65535"}},
	{"get|127.0.0.1|--ipproto|sctp", "", exitUsage, []string{`--ipproto="sctp"`, "icmp, tcp, udp or icmpv6"}},
	{"get|127.0.0.1|--ipproto|132", "", exitFailed, []string{"132", "the kernel looks up 1 (icmp)"}},
	{"get|127.0.0.1|--from|x", "", exitUsage, []string{"unknown flag: --from", "captures", "--source ADDRESS"}},
	{"get|127.0.0.1|--jsno", "", exitUsage, []string{"unknown flag: --jsno", "did you mean --json?"}},
	{"get|127.0.0.1|--vfr|red", "", exitUsage, []string{"unknown flag: --vfr", "did you mean --vrf?"}},
	{"get|127.0.0.1|-json", "", exitUsage, []string{"in -json", "did you mean --json?"}},
	{"get|127.0.0.1|--format|json", "", exitUsage, []string{"--format: formats are chosen by --json;"}},
	{"get|127.0.0.1|--table|main", "", exitUsage, []string{"--table, which is one of diff, monitor, routes and show"}},
	{"get|--json=maybe|127.0.0.1", "", exitUsage, []string{"--json=maybe means nothing", "--json=false"}},
	{"get|127.0.0.1|--netns|", "", exitUsage, []string{"--netns is empty"}},
	{"get|127.0.0.1|--netns|a/b", "", exitUsage, []string{"--netns='a/b'", "a path begins with /"}},
	{"get|127.0.0.1|--netns|nope", "", exitFailed, []string{"/run/netns/nope"}},

	{"help|nope", "", exitUsage, []string{`unknown command "nope"`, "query, routes"}},
	{"help|query|nope", "", exitUsage, []string{`unknown command "query nope"`}},
	{"completion", "", exitUsage, []string{"give one shell: bash", "completion --help"}},
	{"completion|nope", "", exitUsage, []string{"give one shell: bash", "completion --help"}},
	{"completion|bash|x", "", exitUsage, []string{"x"}},

	{"spec|nope", "", exitUsage, []string{`unknown table "nope"`, "kernel_routes"}},
	{"spec|kernel_routes|kernel_routes", "", exitUsage, []string{"more than one table"}},

	{"--socket", "", exitUsage, []string{"--socket needs a value"}},
	{"--socket=", "", exitUsage, []string{"--socket needs a value"}},
	{"--socket|/nonexistent|--timeout|1", "", exitFailed, []string{"/nonexistent", "1s"}},
}

func TestGoodInput(t *testing.T) {
	var names []string
	for _, table := range tables.All() {
		names = append(names, table.Name)
	}
	completions := strings.Join(names, "\n") + "\n"
	slices.Sort(names)
	list := "  => " + strings.Join(names, "\n  => ") + "\n"
	for _, test := range []struct{ args, stdin, want string }{
		{"query|--csv|SELECT 1 AS a", "SELECT 2", "a\n1\n"},
		{"query|--csv", "SELECT 1 AS a;\n-- comment\n.tables\nSELECT 'x\ny' AS b",
			"a\n1\n" + list + "b\n\"x\ny\"\n"},
		{"query", "-- nothing\n", ""},
		{"query|-- first comment\nSELECT 1 AS a|--csv", "", "a\n1\n"},
		{"query|--line|--line|SELECT 1 AS a", "", "    a = 1\n"},
		{"query|--format|csv|SELECT 1 AS a", "", "a\n1\n"},
		{"query|--csv|--format=csv|SELECT 1 AS a", "", "a\n1\n"},
		{"query|--format=csv|--format=csv|SELECT 1 AS a", "", "a\n1\n"},
		{"routes|--table|4294967295", "", "[]\n"},
	} {
		stdout, stderr, status := command(t, strings.NewReader(test.stdin), strings.Split(test.args, "|")...)
		if stdout != test.want || stderr != "" || status != exitOK {
			t.Errorf("%s: exit status %d, printed %q, %q", test.args, status, stdout, stderr)
		}
	}
	for args, want := range map[string]string{
		"--help":           "osqueryi --extension",
		"query|--help":     "in_cidr_block",
		"routes|--help":    "--no-unknown-attrs",
		"show|--help":      "0.0.0.0/1 and 128.0.0.0/1",
		"monitor|--help":   "--since-snapshot",
		"get|--help":       "--ipproto protocol",
		"diff|--help":      "exit\nstatus is 0",
		"spec|--help":      "osquery's format",
		"help":             "osqueryi --extension",
		"help|routes":      "--no-unknown-attrs",
		"completion|bash":  "__complete",
		"__complete|spec|": completions,
	} {
		stdout, _, status := command(t, nil, strings.Split(args, "|")...)
		if status != exitOK || !strings.Contains(stdout, want) {
			t.Errorf("%s: exit status %d, printed %s", args, status, stdout)
		}
	}
}

func TestSpec(t *testing.T) {
	type spec struct {
		Name, Description string
		Columns           []struct{ Name, Type, Description string }
		Examples          []string
	}
	check := func(s spec, want *tables.Table) {
		if s.Name != want.Name || s.Description != want.Description || len(s.Examples) != len(want.Examples) ||
			len(s.Columns) != len(want.Columns) {
			t.Errorf("spec %s: got %+v", want.Name, s)
		}
	}
	all := tables.All()
	stdout, _, _ := command(t, nil, "spec")
	var specs []spec
	if err := json.Unmarshal([]byte(stdout), &specs); err != nil || len(specs) != len(all) {
		t.Fatal(err, stdout)
	}
	for i, table := range all {
		check(specs[i], table)
		stdout, _, _ := command(t, nil, "spec", table.Name)
		var one spec
		if err := json.Unmarshal([]byte(stdout), &one); err != nil {
			t.Fatal(err)
		}
		check(one, table)
	}
}

// TestLimits: with little memory there is an answer or one line. (Below 0.75 GB of
// address space, and around 1.2 GB, Go's runtime ends before main: it reserves 0.7 GB, and
// 0.5 GB more, for its scavenger, where it can. See fatal_linux.go and internal/survival.)
func TestLimits(t *testing.T) {
	t.Parallel()
	const sort = "WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n LIMIT 200000) " +
		"SELECT max(v) AS m FROM (SELECT v FROM n ORDER BY -v)"
	limits := []string{"-v 5000000", "-v 1200000", "-v 700000", "-v 100000", "-v 3000000", "-v 2000000",
		"-v 1400000", "-v 1000000", "-v 920000", "-v 850000",
		"-d 100000"}
	for _, limit := range limits {
		for sql, want := range map[string]string{
			"SELECT count(*) AS m FROM kernel_routes": "m\n",
			sort: "m\n200000\n",
			"SELECT length(hex(zeroblob(450000000)))": "",
		} {
			cmd := exec.Command("sh", "-c", "ulimit "+limit+`; exec "$0" query --csv "$1"`, binary(t), sql)
			var out, errs bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &errs
			err := cmd.Run()
			if err == nil && want != "" && strings.HasPrefix(out.String(), want) {
				continue
			}
			line, more, _ := strings.Cut(errs.String(), "\n")
			status := cmd.ProcessState.ExitCode()
			if status != exitFailed || out.Len() > 0 || more != "" || !strings.Contains(line, "memory") {
				t.Errorf("ulimit %s: %s: %v, printed %.100q and %.300s", limit, sql, err, &out, &errs)
			}
		}
	}
}

// TestLongInput: SQL of any size gives an answer or one line.
func TestLongInput(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", nstest.Amount(20_000_000, 4_000_000))
	for name, sql := range map[string]string{
		"a column's name":        "SELECT '" + long[:1_000_000] + "'",
		"a comment in such":      "SELECT 1 /*" + long + "*/ + 1",
		"a name that is chosen":  `SELECT 1 AS "` + long + `"`,
		"a column that is not":   "SELECT " + long,
		"a table that is not":    "SELECT * FROM " + long,
		"a function that is not": "SELECT " + long + "()",
		"a pragma that is not":   "PRAGMA " + long,
		"a table":                `CREATE TABLE "` + long + `"(a); SELECT * FROM "` + long + `"`,
		"an expression":          "SELECT 1" + strings.Repeat("+1", 100_000),
		"parentheses":            "SELECT " + strings.Repeat("(", 1_000_000),
		"columns":                "SELECT 1" + strings.Repeat(",1", 100_000),
		"a list":                 "SELECT * FROM kernel_routes WHERE dst IN (1" + strings.Repeat(",1", 100_000) + ")",
		"tables":                 "SELECT * FROM kernel_routes" + strings.Repeat(",kernel_routes", 100),
		"statements":             strings.Repeat("SELECT 1 WHERE 0;", 10_000),
		"a command":              ".schema " + long,
	} {
		stdout, stderr, status := command(t, strings.NewReader(sql), "query")
		line, more, _ := strings.Cut(stderr, "\n")
		if status == exitOK && stderr == "" {
			continue
		}
		if status != exitFailed || stdout != "" || more != "" || len(line) > 1000 ||
			!strings.HasPrefix(line, program+": ") {
			t.Errorf("%s: exit status %d, printed %.100q and %.1000s", name, status, stdout, stderr)
		}
	}
}

// TestNoFiles: no statement writes a file, whatever it is and however much it
// sorts. Memory that is written to a file for a while would be one in TMPDIR.
func TestNoFiles(t *testing.T) {
	t.Parallel()
	sort := fmt.Sprintf("WITH RECURSIVE n(v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n LIMIT %d) "+
		"SELECT hex(randomblob(100)) AS x FROM n ORDER BY x", nstest.Amount(300_000, 60_000))
	for sql, refused := range map[string]string{
		"ATTACH 'a.db' AS a": "ATTACH",
		"ATTACH 'file:a.db?mode=rwc' AS a; CREATE TABLE a.t(x)": "ATTACH",
		"ATTACH '' AS a":     "ATTACH",
		"SELECT 1; VACUUM":   "VACUUM",
		"VACUUM INTO 'b.db'": "VACUUM",
		"CREATE TABLE t AS SELECT 1; VACUUM main INTO 'b' || '.db'": "VACUUM",
		"DETACH main":                                  "DETACH",
		"PRAGMA temp_store_directory = '.'":            "PRAGMA temp_store_directory",
		"PRAGMA temp_store = file":                     "PRAGMA temp_store",
		"PRAGMA encoding = 'UTF-16le'":                 "PRAGMA encoding",
		"SELECT * FROM pragma_database_list":           "PRAGMA database_list",
		"PRAGMA wal_checkpoint":                        "PRAGMA wal_checkpoint",
		"PRAGMA journal_mode = wal; CREATE TABLE t(x)": "",
		"SELECT load_extension('./c.so')":              "no such function: load_extension",
		"SELECT writefile('c', 'x')":                   "no such function: writefile",
		"SELECT readfile('/etc/passwd')":               "no such function: readfile",
		"CREATE TABLE t(x); CREATE INDEX i ON t(x)":    "CREATE INDEX",
		"CREATE TABLE t(x); CREATE TRIGGER i AFTER INSERT ON t BEGIN SELECT 1; END": "CREATE TRIGGER",
		"CREATE VIRTUAL TABLE v USING fts5(x)":                                      "no such module: fts5",
		"CREATE VIRTUAL TABLE v USING csv(filename='x')":                            "no such module: csv",
		sort:                             "",
		"CREATE TEMP TABLE t AS " + sort: "",
		"CREATE TABLE t(a); INSERT INTO t VALUES (1), (2); UPDATE t SET a = 3; DELETE FROM t; DROP TABLE t":     "",
		"CREATE TEMP TABLE t AS SELECT 1; CREATE TEMP VIEW v AS SELECT * FROM t; SELECT * FROM v; DROP VIEW v":  "",
		"CREATE VIEW v AS SELECT * FROM kernel_routes; SELECT * FROM v; DROP VIEW v":                            "",
		"BEGIN; CREATE TABLE t(a); ROLLBACK; PRAGMA table_info(t); PRAGMA function_list; PRAGMA collation_list": "",
		"WITH RECURSIVE n(v) AS (VALUES (1) UNION ALL SELECT v + 1 FROM n LIMIT 3) SELECT * FROM n":             "",
	} {
		dir := t.TempDir()
		cmd := exec.Command(binary(t), "query", "--csv", sql)
		var errs bytes.Buffer
		cmd.Dir, cmd.Stderr = dir, &errs
		cmd.Env = append(os.Environ(), "TMPDIR="+dir+"/none", "SQLITE_TMPDIR="+dir+"/none")
		err := cmd.Run()
		if (err == nil) != (refused == "") || !strings.Contains(errs.String(), refused) {
			t.Errorf("%s: %v, %s", sql, err, &errs)
		}
		if files, _ := os.ReadDir(dir); len(files) > 0 {
			t.Errorf("%s: made %v", sql, files)
		}
	}
}

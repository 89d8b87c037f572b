package shell

import (
	"bytes"
	"strings"
	"testing"
)

// TestTeaching: errors name what was probably meant.
func TestTeaching(t *testing.T) {
	const help = "see query --help for examples"
	const own = "osquery's own are not here"
	for _, test := range [][2]string{
		{"SELECT gw FROM kernel_routes", "no such column: gw; did you mean gateway? " +
			".schema kernel_routes lists the columns"},
		{"SELECT r.gw FROM kernel_routes AS r", "no such column: r.gw; did you mean r.gateway? .schema"},
		{"SELECT r.gw FROM kernel_routes r JOIN kernel_nexthops n",
			"no such column: r.gw; did you mean r.gateway? .schema"},
		{"SELECT kernel_routes.nh FROM kernel_routes", "did you mean kernel_routes.gateway? .schema kernel_routes"},
		{"SELECT dst, gatewy FROM kernel_routes WHERE metric > 1",
			"no such column: gatewy; did you mean gateway? .schema"},
		{"SELECT dst FROM kernel_routes ORDER BY metirc", "no such column: metirc; did you mean metric? .schema"},
		{"SELECT dst FROM kernel_routes WHERE iface = 'eth0'", "no such column: iface; did you mean dev? .schema"},
		{"SELECT dst FROM kernel_routes WHERE INTERFACE = 'eth0'",
			"no such column: INTERFACE; did you mean dev? .schema"},
		{"SELECT proto FROM kernel_routes", "did you mean protocol? "},
		{"SELECT prefix FROM kernel_routes", "did you mean dst? "},
		{"SELECT pref FROM kernel_route_rules", "did you mean priority? .schema kernel_route_rules"},
		{"SELECT metric FROM kernel_route_rules", "did you mean priority? "},
		{"SELECT dst FROM kernel_route_lookups", "did you mean destination? "},
		{"SELECT priority FROM kernel_routes", "did you mean metric? "},
		{"SELECT forwardin FROM kernel_routes, kernel_interface_config", "did you mean forwarding? " +
			".schema kernel_interface_config lists"},
		{"SELECT xyzzy FROM kernel_routes", "no such column: xyzzy; .schema kernel_routes lists the columns"},
		{"SELECT rr.dst FROM kernel_routes r", "no such column: rr.dst; did you mean r.dst? "},
		{"SELECT xyzzy", "no such column: xyzzy; .schema lists the columns"},
		{"SELECT x.gw FROM (SELECT dst FROM kernel_routes) x", "no such column: x.gw; x has only the columns that it "},
		{"SELECT gw FROM kernel_routes; SELECT priority FROM kernel_route_rules",
			"did you mean gateway? .schema kernel_routes "},
		{"SELECT 1; SELECT 'kernel_route_rules', prio FROM kernel_routes", "did you mean metric? .schema"},
		{"SELECT table FROM kernel_routes", `near "table": syntax error; did you mean table_name or table_id? ` + help},
		{"SELECT 1 FROM kernel_routes JOIN kernel_route_nexthops USING (route_id) WHERE kernel_routes.gate = 1",
			"mean " +
				"kernel_routes.gateway? .schema kernel_routes"},
		{"SELECT dst FROM kernel_routes r JOIN kernel_route_nexthops n ON r.route_id = n.route_id",
			"ambiguous column name: " +
				"dst; write r.dst or n.dst"},
		{"SELECT * FROM kernel_route",
			"no such table: kernel_route; did you mean kernel_routes? the tables are kernel_"},
		{"SELECT * FROM kernel_routs", "did you mean kernel_routes? the tables are kernel_interface_config, "},
		{"SELECT * FROM kernel_rules", "did you mean kernel_route_rules? the tables are "},
		{"SELECT * FROM routes", "no such table: routes; did you mean kernel_routes? the tables are "},
		{"SELECT * FROM processes", "no such table: processes; the tables are "},
		{"SELECT * FROM interface_addresses", own},
		{".schema kernel_rules", "did you mean kernel_route_rules? the tables are "},
		{"SELECT in_cidr_blok('10.0.0.0/8', dst) FROM kernel_routes",
			"no such function: in_cidr_blok; did you mean in_cidr_block?"},
		{"SELECT cuont(*) FROM kernel_routes", "did you mean count?"},
		{"SELECT frobnicate(1)", "no such function: frobnicate"},
		{"SELEC dst FROM kernel_routes", `near "SELEC": syntax error; did you mean SELECT for SELEC? ` + help},
		{"SELECT * FORM kernel_routes", `near "FORM": syntax error; did you mean FROM for FORM? ` + help},
		{"SELECT dst FORM kernel_routes", "did you mean FROM for FORM? "},
		{"select dst form kernel_routes", "did you mean FROM for form? "},
		{"SELECT dst FROM kernel_routes WEHRE metric = 1", "did you mean WHERE for WEHRE? "},
		{"SELECT dst FROM kernel_routes ODER BY dst", "did you mean ORDER for ODER? "},
		{"SELECT dst FROM kernel_routes LIMTI 1", "did you mean LIMIT for LIMTI? "},
		{"SELECT dst FROM kernel_routes WHER dst = ''", "did you mean WHERE for WHER? "}, // not WHEN
		{"SELECT dst FRM kernel_routes", "did you mean FROM for FRM? "},
		{"SELECT dst, FROM kernel_routes", `near "FROM": syntax error; ` + help}, // a comma too many
		{"SELECT dst, from FROM kernel_routes", "did you mean src? "},
		{"SELECT * FROM main.kernel_rout", "no such table: main.kernel_rout; did you mean kernel_routes? "},
		{"CREATE VIEW v AS SELECT dst AS target FROM kernel_routes; SELECT tragte FROM v",
			"no such column: tragte; did you mean target? .schema v lists the columns"},
		{"CREATE TABLE mine(alpha); SELECT x.alhpa FROM mine x", "did you mean x.alpha? .schema mine lists"},
		{"CREATE TABLE mine(alpha); INSERT INTO mine(alhpa) VALUES (1)", "no such column: alhpa; did you mean alpha?"},
		{"CREATE TABLE mine(Alpha); SELECT alpha FROM mine, (SELECT 1) x JOIN mine y", "ambiguous column name: alpha"},
		{"CREATE TABLE mine(alpha); SELECT alpha FROM mien", "no such table: mien; did you mean mine? "},
		{"SELECT 'FORM' dst dst", `near "dst": syntax error; ` + help},
		{"SELECT dst FROM kernel_routes WHERE ORDER", `syntax error; ` + help},
	} {
		sql, want := test[0], test[1]
		err := Query(t.Context(), &bytes.Buffer{}, nil, sql, Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", sql, err, want)
		}
	}
}

// TestReads: what is said of a column is of the tables that are read where it stands, and never the name itself.
func TestReads(t *testing.T) {
	const noColumn = "no such column: "
	for _, test := range [][2]string{
		{"SELECT kernel_routes.dst FROM kernel_routes r",
			"kernel_routes.dst; did you mean r.dst? .schema kernel_routes "},
		{"SELECT main.kernel_routes.dst FROM kernel_routes r", "main.kernel_routes.dst; did you mean r.dst? "},
		{"SELECT dst kernel_routes", "dst; FROM is missing before kernel_routes"},
		{"SELECT 1 FROM kernel_routes WHERE metric = (SELECT id kernel_nexthops)",
			"id; FROM is missing before kernel_nexthops"},
		{"SELECT dst", "dst; .schema lists the columns"},
		{"SELECT dst FROM (SELECT gateway FROM kernel_routes)", "dst; a subquery has only the columns that it selects"},
		{"SELECT dst FROM (SELECT gateway FROM kernel_routes) AS s", "dst; s has only the columns that it selects"},
		{"WITH t AS (SELECT dst AS d FROM kernel_routes) SELECT dst FROM t",
			"dst; t has only the columns that it selects"},
		{"WITH t AS NOT MATERIALIZED (SELECT dst AS d FROM kernel_routes) SELECT dd FROM t",
			"dd; t has only the columns"},
		{"WITH t(a, b) AS (VALUES (1, 2)) SELECT gw FROM t", "gw; t has only the columns that it selects"},
		{"WITH kernel_routes AS (SELECT 1 AS a) SELECT gw FROM kernel_routes",
			"gw; kernel_routes has only the columns that it"},
		{"WITH t AS (SELECT gw FROM kernel_routes) SELECT a FROM t", "gw; did you mean gateway? .schema kernel_routes"},
		{"WITH t AS (SELECT 1 AS a) SELECT gw FROM t, kernel_routes",
			"gw; did you mean gateway? .schema kernel_routes"},
		{"SELECT kernel_nexthops.gateway FROM kernel_routes",
			"kernel_nexthops.gateway; kernel_nexthops is not in FROM"},
		{"SELECT prio FROM kernel_routes UNION SELECT priority FROM kernel_route_rules", "prio; did you mean metric? "},
		{"SELECT metric FROM kernel_routes UNION SELECT prio FROM kernel_route_rules", "prio; did you mean priority? "},
		{"SELECT 1 FROM (kernel_route_rules JOIN kernel_nexthops n) WHERE n.gatewy > 0",
			"n.gatewy; did you mean n.gateway? "},
		{"SELECT 1 FROM kernel_route_rules WHERE EXISTS (SELECT 1 FROM kernel_nexthops WHERE prio > 0)",
			"prio; did you mean priority? "},
		{"SELECT prio FROM kernel_route_rules WHERE 1 IN (SELECT metric FROM kernel_routes)",
			"prio; did you mean priority? "},
		{"SELECT dst, (SELECT max(prio) FROM kernel_route_rules) FROM kernel_routes",
			"prio; did you mean priority or metric? "},
		{"SELECT 1 FROM kernel_routes a RIGHT JOIN kernel_nexthops b ON a.nhid = b.nexthop_id",
			"a.nhid; did you mean a.nexthop_id? "},
		{"SELECT 1 FROM pragma_table_info('kernel_routes') WHERE xyzzy > 1", "xyzzy; .schema lists the columns"},
		{"SELECT 1 FROM kernel_routes JOIN kernel_route_nexthops USING (routeid)", "did you mean route_id?"},
		{"SELECT 1 FROM kernel_routes JOIN kernel_route_rules USING (xyzzy)", "not present in both tables"},
	} {
		sql, want := test[0], test[1]
		err := Query(t.Context(), &bytes.Buffer{}, nil, sql, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", sql, err, want)
			continue
		}
		said, meant, _ := strings.Cut(strings.TrimPrefix(err.Error(), noColumn), "; ")
		if strings.HasPrefix(meant, "did you mean "+said+"?") {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestTexts: what is no column, and is compared with one, is taken for a text.
func TestTexts(t *testing.T) {
	for condition, want := range map[string]string{
		"table_name = main":                  "no such column: main; texts are in quotes: 'main'",
		"scope=link":                         "'link'",
		"dev = v0 AND metric > 1":            "'v0'",
		"dev != br-lan":                      "'br-lan'",
		"dev <> br-lan--":                    "'br-lan'",
		"dev = eth0.100":                     "'eth0.100'",
		"dev == eth0.x":                      "'eth0.x'",
		"dev LIKE v0":                        "'v0'",
		"dev IS NOT v0":                      "'v0'",
		"lower(type) = throw":                "'throw'",
		"protocol IN ('bgp', bird, zebra)":   "'bird'",
		"protocol NOT IN (bgp)":              "'bgp'",
		"dst = 10.0.0.0/8":                   "syntax error; texts are in quotes: '10.0.0.0/8'; see query --help",
		"dst IN (10.0.0.0/8, 1.0.0.0/8)":     "'10.0.0.0/8'",
		"in_cidr_block(10.0.0.0/8, gateway)": "'10.0.0.0/8'",
		"gateway = 192.0.2.1;":               "'192.0.2.1'",
		"dst = ::/0":                         "token: \":\"; texts are in quotes: '::/0'",
		"dst = fe80::/10":                    "'fe80::/10'",
		"gateway = 2001:db8::1":              "'2001:db8::1'",
		"dst = default":                      "syntax error; texts are in quotes: 'default'; ",
		"gateway = prefsrcc":                 "did you mean prefsrc? ", // very near
		"r.dev = r.device":                   "did you mean r.dev? ",
		"dev = interfac":                     "'interfac'",
		"device = 'main'":                    "did you mean dev? ",
		"'main' = tabel":                     "did you mean table_id or table_name? ",
		"metric > metirc + 1":                "did you mean metric? ",
		"metric = ORDER":                     "near \"ORDER\": syntax error; see query",
		"metric = ":                          "incomplete input",
		"metric = 'main":                     "is a quote missing?",
		"EXISTS (SELECT 1 FROM (SELECT 1) JOIN (SELECT 2) ON r.route_id = rotueid)": "did you mean r",
		"EXISTS (SELECT 1 FROM (SELECT 1) JOIN (SELECT 2) ON r.dev = iface)":        "did you mean dev? ",
		"EXISTS (SELECT 1 FROM (SELECT 1) JOIN (SELECT 2) ON r.table_name = main)":  "'main'",
		"EXISTS (SELECT 1 FROM (SELECT 1) JOIN (SELECT 2) ON 1) AND scope = link":   "'link'",
	} {
		sql := "SELECT dst FROM kernel_routes r WHERE " + condition
		err := Query(t.Context(), &bytes.Buffer{}, nil, sql, Options{})
		if err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "in quotes") != strings.Contains(want, "'") {
			t.Errorf("%s: %v, want %s", condition, err, want)
		}
	}
	// No value that a column has is taken for the name of another one.
	for _, name := range strings.Fields(`unicast local broadcast anycast multicast blackhole unreachable prohibit throw
		universe site link host nowhere kernel boot static redirect ra dhcp bgp ospf isis rip eigrp babel zebra bird
		main local_table ipv4 ipv6 mpls eth0 lo wg0 tun0 veth bridge vlan reno cubic bbr`) {
		sql := "SELECT dst FROM kernel_routes WHERE dev = " + name
		err := Query(t.Context(), &bytes.Buffer{}, nil, sql, Options{})
		want := "no such column: " + name + "; texts are in quotes: '" + name + "'"
		if err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestOtherPrograms: where another program has a statement for it, or the dot is missing, the command is named.
func TestOtherPrograms(t *testing.T) {
	for sql, want := range map[string]string{
		"SHOW TABLES":            `near "SHOW": syntax error; did you mean .tables? see query --help for examples`,
		"show tables;":           "did you mean .tables? ",
		"tables":                 "did you mean .tables? ",
		" Schema kernel_routes":  "did you mean .schema? ",
		"DESCRIBE kernel_routes": "did you mean .schema kernel_routes? ",
		"desc nothing":           "did you mean .schema? ",
		"SELECT 1; SHOW TABLES":  "did you mean .tables? ",
		"SELECT 1 show tables":   `near "tables": syntax error; did you mean TABLE for tables? `,
	} {
		err := Query(t.Context(), &bytes.Buffer{}, nil, sql, Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", sql, err, want)
		}
	}
}

// TestOtherNames: no column is called otherwise by its own name, where the statement has it.
func TestOtherNames(t *testing.T) {
	s := NewSession(nil, Options{})
	known := map[string]bool{}
	for _, table := range s.all {
		for _, c := range table.Columns {
			known[c.Name] = true
		}
	}
	for name, columns := range otherNames {
		for _, c := range columns {
			if !known[c] || c == name {
				t.Errorf("%s is said to mean %s", name, c)
			}
		}
	}
}

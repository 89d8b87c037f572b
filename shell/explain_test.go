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
		{"SELECT x.gw FROM (SELECT dst FROM kernel_routes) x", "no such column: x.gw; .schema lists the columns"},
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

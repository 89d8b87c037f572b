package shell

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"kernelroutes/internal/nametest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
)

// A namedKernel is the kernel on a host with name files of its own.
type namedKernel struct {
	rtnl.Kernel
	names *iproute2.Names
}

func (k *namedKernel) Names() *iproute2.Names { return k.names }

// hostWithNames makes routes in a namespace of the test's own, on a host where some
// numbers have several names.
func hostWithNames(t *testing.T) *namedKernel {
	names := nametest.New(map[string]string{
		"rt_tables": "254 main\n254 inet\n100 blue\n100 azure\n200 azure\n77 caf\\xe9\n",
		"rt_protos": "16 lease\n187 isis\n187 is-is\n",
		"rt_scopes": "200 place\n100 a\n100 x\n101 x\n",
		"rt_realms": "5 five\n5 cinq\n",
	})
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.IP(t, "link add \xff1 type veth peer name \xff1p")
	nstest.IP(t, `link add \xff1 type veth peer name \xff1p`)
	nstest.IP(t, "link set \xff1 up")
	nstest.IP(t, `link set \xff1 up`)
	nstest.Batch(t, "-4",
		"route add 10.1.0.0/16 via 10.0.0.9 proto dhcp realm 5/5",
		"route add 10.2.0.0/16 via 10.0.0.9 table 100 proto 187",
		"route add 10.3.0.0/16 via 10.0.0.9 table 200 scope 100",
		"route add 10.4.0.0/16 via 10.0.0.9 table 77 scope 101",
		"route add 10.5.0.0/16 dev \xff1 table 201",
		`route add 10.6.0.0/16 dev \xff1 table 201`,
		"route add 10.7.0.0/16 table 202 nexthop via 10.0.0.9 realm 5/5 nexthop via 10.0.0.10",
	)
	nstest.Batch(t, "-6",
		"route add ::5.6.7.8/128 via fd00::9 table 210",
		"route add ::1.2.0.0/112 via fd00::9 src fd00::1 table 210",
		"route add 2001:db8::/32 from 2001:db8:1::/48 via fd00::9 table 210",
		"route add 2001:db8:2::/48 table 210 nexthop via fd00::9 nexthop via fd00::a",
	)
	return &namedKernel{names: names}
}

// spellings are columns|condition, and the rows of kernel_routes that are then shown.
var spellings = map[string]string{
	// Names.
	"dst, table_name|table_name='main' AND dst='10.1.0.0/16'":             "10.1.0.0/16|main",
	"dst, table_name|table_name='inet' AND dst='10.1.0.0/16'":             "10.1.0.0/16|inet",
	"dst, table_name|dst='10.1.0.0/16'":                                   "10.1.0.0/16|inet",
	"dst, table_name|table_name IN ('main','inet') AND dst='10.1.0.0/16'": "10.1.0.0/16|inet",
	"dst, table_name|table_name='blue'":                                   "10.2.0.0/16|blue",
	"dst, table_name|table_name='azure' ORDER BY 1":                       "10.2.0.0/16|azure 10.3.0.0/16|azure",
	"dst, table_name|table_name IN ('blue', 'azure') ORDER BY 1":          "10.2.0.0/16|azure 10.3.0.0/16|azure",
	"dst, table_name|table_name='MAIN'":                                   "",
	"dst, table_name|table_name='100'":                                    "",
	"dst, table_name|table_name='201' AND dst='10.5.0.0/16'":              "10.5.0.0/16|201",
	`dst, table_name|table_name='caf\xe9'`:                                `10.4.0.0/16|caf\xe9`,
	"dst, protocol|protocol='dhcp'":                                       "10.1.0.0/16|dhcp",
	"dst, protocol|protocol='lease'":                                      "10.1.0.0/16|lease",
	"dst, protocol|protocol='isis'":                                       "10.2.0.0/16|isis",
	"dst, scope|scope='x' ORDER BY 1":                                     "10.3.0.0/16|x 10.4.0.0/16|x",
	"dst, scope|scope='a'":                                                "10.3.0.0/16|a", // 101 is x, not a
	"dst, realm_from, realm_to|realm_from='five'":                         "10.1.0.0/16|five|cinq",
	"dst, realm_from, realm_to|realm_from='five' AND realm_to='cinq'":     "10.1.0.0/16|five|cinq",
	"count(*), table_name|table_name='blue' GROUP BY table_name":          "1|blue",
	"DISTINCT table_name|table_name='blue'":                               "blue",
	// Addresses.
	"dst|dst='::5.6.7.8/128'":                                  "::5.6.7.8/128",
	"dst|dst='::506:708/128'":                                  "::506:708/128",
	"dst|dst='0:0:0:0:0:0:0506:0708/128'":                      "0:0:0:0:0:0:0506:0708/128",
	"dst|dst IN ('::506:708/128','::5.6.7.8/128')":             "::5.6.7.8/128",
	"dst|dst='::102:0/112'":                                    "::102:0/112",
	"dst, src|src='2001:DB8:1::/48'":                           "2001:db8::/32|2001:DB8:1::/48",
	"dst, gateway|gateway='FD00::0:9' AND dst='2001:DB8::/32'": "2001:DB8::/32|FD00::0:9",
	"dst, prefsrc|prefsrc='FD00::1'":                           "::1.2.0.0/112|FD00::1",
	"dst|gateway='fd00::9%v0'":                                 "",
	// Names of interfaces.
	`dst, dev|dev='\xff1'`:    `10.5.0.0/16|\xff1`,
	`dst, dev|dev='\x5cxff1'`: `10.6.0.0/16|\x5cxff1`,
}

// TestSpellings asks for values in other spellings than the one that rows show.
func TestSpellings(t *testing.T) {
	src := hostWithNames(t)
	id := func(dst string) string {
		return ask1(t, src, "SELECT route_id FROM kernel_routes WHERE dst='"+dst+"'")
	}
	oldID := strings.Replace(id("::5.6.7.8/128"), "::5.6.7.8", "::506:708", 1)
	if got := ask1(t, src, "SELECT route_id FROM kernel_routes WHERE route_id='"+oldID+"'"); got != oldID {
		t.Errorf("an identity in an older spelling: %s, not %s", got, oldID)
	}
	for where, want := range spellings {
		columns, condition, _ := strings.Cut(where, "|")
		sql := "SELECT " + columns + " FROM kernel_routes WHERE " + condition
		if got := ask1(t, src, sql); got != want {
			t.Errorf("%s: %s, not %s", sql, got, want)
		}
	}
	for where, want := range map[string]string{
		"dst, gateway|gateway='FD00::A'":                                         "2001:db8:2::/48|FD00::A",
		"dst, gateway|gateway IN ('FD00::A', 'fd00::a')":                         "2001:db8:2::/48|fd00::a",
		"dst, nexthop_index, realm_from|realm_from='five' AND dst='10.7.0.0/16'": "10.7.0.0/16|0|five",
		"dst, table_name|table_name='blue'":                                      "10.2.0.0/16|blue",
		"dst|dst='::506:708/128'":                                                "::506:708/128",
		`dst, dev|dev='\xff1'`:                                                   `10.5.0.0/16|\xff1`,
	} {
		columns, condition, _ := strings.Cut(where, "|")
		sql := "SELECT " + columns + " FROM kernel_route_nexthops WHERE " + condition
		if got := ask1(t, src, sql); got != want {
			t.Errorf("%s: %s, not %s", sql, got, want)
		}
	}
	// In a join each row asks in its own way.
	sql := "WITH asked(a) AS (VALUES ('::506:708/128'), ('::5.6.7.8/128'), ('::0506:708/128'), ('::506:709/128')) " +
		"SELECT dst FROM asked JOIN kernel_routes ON dst = a"
	if got, want := ask1(t, src, sql), "::506:708/128 ::5.6.7.8/128 ::0506:708/128"; got != want {
		t.Errorf("%s: %s, not %s", sql, got, want)
	}
	// Identities join whatever they were asked by.
	sql = "SELECT r.dst, n.dst FROM kernel_routes r JOIN kernel_route_nexthops n USING (route_id) " +
		"WHERE r.dst='::506:708/128'"
	if got, want := ask1(t, src, sql), "::506:708/128|::5.6.7.8/128"; got != want {
		t.Errorf("%s: %s, not %s", sql, got, want)
	}
	// The JSON of routes has the same forms.
	var out bytes.Buffer
	if err := Routes(context.Background(), &out, src, RoutesOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"dst":"::5.6.7.8/128"`, `"dev":"\\xff1"`, `"dev":"\\x5cxff1"`, `"table":"CAF\\XE9"`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("routes prints no %s", want)
		}
	}
}

// ask1 returns the rows of a query with blanks between.
func ask1(t *testing.T, src *namedKernel, sql string) string {
	t.Helper()
	var out bytes.Buffer
	if err := Query(context.Background(), &out, src, sql, Options{Format: List}); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	_, rows, _ := strings.Cut(out.String(), "\n")
	return strings.Join(strings.Fields(rows), " ")
}

// TestWarnings: what is written wrongly is spoken of, values of rows are not, nor a
// list of which one is right.
func TestWarnings(t *testing.T) {
	src := hostWithNames(t)
	for _, c := range []struct {
		sql  string
		want int
	}{
		{"SELECT * FROM kernel_routes WHERE dst='default'", 1},
		{"SELECT * FROM kernel_routes WHERE dst='default' OR table_name='BLUE'", 2},
		{"SELECT * FROM kernel_routes WHERE dst IN ('default', '0.0.0.0')", 2},
		{"SELECT NOT EXISTS (SELECT 1 FROM kernel_routes WHERE type='BLACKHOLE')", 1},
		{"SELECT * FROM kernel_routes r JOIN kernel_route_nexthops n USING (dst) WHERE r.type='BLACKHOLE'", 1},
		{"SELECT * FROM kernel_routes WHERE dst IN ('default', '0.0.0.0/0')", 0},
		{"SELECT * FROM kernel_routes WHERE dst='default' OR dst='0.0.0.0/0'", 0},
		{"SELECT * FROM kernel_routes r LEFT JOIN kernel_routes g ON g.dst = r.gateway || '/32'", 0},
		{"SELECT * FROM kernel_routes r WHERE EXISTS (SELECT 1 FROM kernel_routes g WHERE g.gateway = r.dst)", 0},
		{"WITH a(t) AS (VALUES ('MAIN'), ('main')) SELECT * FROM a JOIN kernel_routes ON table_name = t", 0},
		{"SELECT * FROM kernel_routes WHERE table_name = 'MAIN' COLLATE NOCASE", 0},
		{"SELECT * FROM kernel_routes WHERE table_name LIKE 'MAIN' AND dst <> 'default' AND type GLOB 'B*'", 0},
	} {
		var told []string
		opts := Options{Format: List, Warn: func(text string) { told = append(told, text) }}
		if err := Query(t.Context(), new(bytes.Buffer), src, c.sql, opts); err != nil {
			t.Errorf("%s: %v", c.sql, err)
		}
		if len(told) != c.want {
			t.Errorf("%s: %d warnings %q, not %d", c.sql, len(told), told, c.want)
		}
	}
}

// TestTableOption: --table takes what ip takes.
func TestTableOption(t *testing.T) {
	src := hostWithNames(t)
	for option, want := range map[string]string{
		"main": "10.1.0.0/16", "inet": "10.1.0.0/16", "254": "10.1.0.0/16", "INET": "10.1.0.0/16",
		"blue": "10.2.0.0/16", "100": "10.2.0.0/16", "0x64": "10.2.0.0/16", "0X64": "10.2.0.0/16",
		"0144": "10.2.0.0/16",
		"+100": "10.2.0.0/16", " 100": "10.2.0.0/16", "0xc8": "10.3.0.0/16", `caf\xe9`: "10.4.0.0/16",
		"caf\xe9": "10.4.0.0/16", // the very byte, as for ip
	} {
		var out bytes.Buffer
		if err := Routes(context.Background(), &out, src, RoutesOptions{Table: option}); err != nil {
			t.Errorf("--table %s: %v", option, err)
			continue
		}
		if !strings.Contains(out.String(), `"dst":"`+want+`"`) {
			t.Errorf("--table %s: no %s", option, want)
		}
		if want != "10.1.0.0/16" && strings.Contains(out.String(), "10.1.0.0") {
			t.Errorf("--table %s: routes of other tables", option)
		}
	}
}

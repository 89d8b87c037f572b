package command

import (
	"bytes"
	"encoding/csv"
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/buildtest"
	"kernelroutes/internal/goldentest"
	"kernelroutes/internal/nstest"
	"kernelroutes/tables"
)

func TestMain(m *testing.M) {
	// Tests read files of the whole project, by their paths in it. A test that runs itself again is there already.
	if _, err := os.Stat("go.mod"); err != nil {
		if err := os.Chdir(".."); err != nil {
			panic(err)
		}
	}
	if signal.Ignored(os.Interrupt) { // as in a shell's background
		signal.Notify(make(chan os.Signal, 1), os.Interrupt) // so that programs begin as they do elsewhere
	}
	nstest.Main(m, buildtest.Remove)
}

// binary returns the path of the built program.
func binary(t testing.TB) string { return buildtest.Program(t) }

var update = flag.Bool("update", false, "write the golden files anew")

// fixedNamespace moves the test into a network namespace that is the same in
// every run, interface indexes included: a host with a DHCP lease, a BGP
// multipath route, a VPN with a table of its own, and a blackhole.
func fixedNamespace(t *testing.T) {
	t.Helper()
	nstest.New(t)
	for _, name := range []string{"eth0", "vpn0"} {
		nstest.IP(t, "link add "+name+" type veth peer name "+name+"p")
		// No link-local addresses, which come from random MAC addresses, and no
		// multicast routes but one, whose order would be by chance.
		nstest.IP(t, "link set "+name+" addrgenmode none")
		nstest.Sysctl(t, "net.ipv6.conf."+name+"p.disable_ipv6", "1")
		if name != "eth0" {
			nstest.Sysctl(t, "net.ipv6.conf."+name+".disable_ipv6", "1")
		}
		nstest.IP(t, "link set "+name+" up")
		nstest.IP(t, "link set "+name+"p up")
		nstest.WaitUp(t, name, name+"p")
	}
	nstest.IP(t, "addr add 192.0.2.10/24 dev eth0")
	nstest.IP(t, "addr add 203.0.113.2/32 peer 203.0.113.1 dev vpn0")
	nstest.IP(t, "addr add 2001:db8::10/64 dev eth0 nodad")
	nstest.Batch(t, "-4",
		"route add default via 192.0.2.1 dev eth0 proto dhcp src 192.0.2.10 metric 100",
		"route add 198.18.0.0/15 via 192.0.2.1 dev eth0 proto dhcp metric 100",
		"route add 10.0.0.0/8 proto bgp metric 20 nexthop via 192.0.2.2 weight 3 nexthop via 192.0.2.3",
		"route add blackhole 198.51.100.0/24 proto static",
		"route add default via 203.0.113.1 dev vpn0 table 1000 mtu lock 1420",
		"route add 172.16.0.0/12 via inet6 2001:db8::1 dev eth0 proto bgp metric 20",
	)
	nstest.Batch(t, "-4",
		"nexthop add id 1 via 192.0.2.2 dev eth0 proto zebra",
		"nexthop add id 2 via 192.0.2.3 dev eth0 proto zebra",
		"nexthop add id 3 via 192.0.2.4 dev eth0 proto zebra",
	)
	nstest.IP(t, "nexthop add id 10 group 1,3/2 proto zebra") // which has no family
	nstest.IP(t, "route add 100.64.0.0/10 nhid 10 proto bgp metric 20")
	nstest.Batch(t, "-6",
		"route add default via 2001:db8::1 dev eth0 proto ra metric 100 pref high",
		"route add 2001:db8:ffff::/48 encap seg6 mode encap segs 2001:db8::5 dev eth0",
	)
	// As wg-quick has it.
	nstest.Batch(t, "-4",
		"rule add not fwmark 0xca6c table 1000",
		"rule add table main suppress_prefixlength 0",
	)
	nstest.WaitRoutes(t, "multicast ff00::/8 dev eth0 ", "local 2001:db8::10 dev eth0 ")
	fixedSettings(t)
}

// fixedSettings are those that documents show: IPv4 begins with the host's.
func fixedSettings(t *testing.T) {
	for _, setting := range []string{"accept_redirects", "accept_source_route", "log_martians"} {
		for _, conf := range []string{"all", "default", "eth0", "vpn0"} {
			nstest.Sysctl(t, "net.ipv4.conf."+conf+"."+setting, "0")
		}
	}
	nstest.Sysctl(t, "net.ipv4.conf.eth0.accept_redirects", "1")
	nstest.Sysctl(t, "net.ipv4.conf.eth0.accept_source_route", "1")
	nstest.Sysctl(t, "net.ipv4.conf.all.log_martians", "1")
}

// run runs the program and returns what it printed.
func run(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, &stderr)
	}
	return string(out)
}

// TestGolden compares what the commands print about the fixed namespace. The formats
// show a few columns with what matters to them: texts, numbers, both also absent, and
// names that are not in the order of the alphabet.
func TestGolden(t *testing.T) {
	fixedNamespace(t)
	const some = "SELECT dst, gateway, dev, dev_index, metric, mtu, encap FROM kernel_routes"
	for name, args := range map[string][]string{
		"query.txt": {"query", "SELECT family, table_name, type, protocol, dst, gateway, dev, metric " +
			"FROM kernel_routes WHERE table_name <> 'local'"},
		"query.json":  {"query", "--json", some},
		"query.jsonl": {"query", "--jsonl", some},
		"query.csv":   {"query", "--csv", some},
		"query.line":  {"query", "--line", some + " WHERE dst = '10.0.0.0/8'"},
		"query.list":  {"query", "--list", some + " WHERE table_name = 'main'"},
		"nexthops.json": {"query", "--json", "SELECT route_id, nexthop_index, dst, gateway, dev, weight, " +
			"ttl_threshold, encap FROM kernel_route_nexthops"},
		"join.txt": {"query", "SELECT r.dst, n.nexthop_index, n.gateway, n.dev, n.weight FROM kernel_routes r " +
			"JOIN kernel_route_nexthops n USING (route_id) WHERE r.nexthop_count > 1"},
		"routes.json":         {"routes"},
		"routes-ipv4.json":    {"routes", "--ipv4"},
		"routes-ipv6.json":    {"routes", "--ipv6"},
		"routes-main.json":    {"routes", "--table", "main", "--no-unknown-attrs"},
		"routes-1000.json":    {"routes", "--table", "1000"},
		"routes-summary.txt":  {"routes", "--summary"},
		"routes-4-main.txt":   {"routes", "--ipv4", "--table", "main", "--summary"},
		"routes-no-table.txt": {"routes", "--table", "77"},
		"show.txt":            {"show"},
	} {
		golden(t, filepath.Join("testdata", "golden", name), run(t, "", args...))
	}
	// Whole rows, reviewable: a column more is a line or two here, and none above.
	for _, table := range tables.All() {
		if table == tables.InterfaceConfig {
			continue // the settings are this kernel's, and this host's: testdata/captures has fixed ones
		}
		if table == tables.Events {
			continue // a command has not listened: TestEventRows of tables has rows of all kinds
		}
		if table == tables.Info {
			continue // it is another process each time: TestInfo has its row
		}
		sql := "SELECT * FROM " + table.Name
		if table == tables.Lookups {
			sql += " WHERE destination IN (" + goldenDestinations + ")"
		}
		out := run(t, "", "query", "--csv", sql)
		all, err := csv.NewReader(strings.NewReader(out)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		var shown []string
		for _, c := range table.Columns {
			if c.Options&tables.Hidden == 0 {
				shown = append(shown, c.Name)
			}
		}
		if !slices.Equal(shown, all[0]) {
			t.Fatalf("%s: SELECT * has the columns %s", table.Name, all[0])
		}
		golden(t, filepath.Join("testdata", "golden", table.Name+".txt"), string(goldentest.Rows(all[0], all[1:])))
	}
}

// golden compares with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s:\n%s", path, firstDifference(string(want), got))
	}
}

// firstDifference shows the first line that differs.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "(nothing)", "(nothing)"
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if a != b {
			return "want: " + a + "\n got: " + b
		}
	}
	return ""
}

// goldenDestinations are looked up for the golden rows. None is reached in more than one way.
const goldenDestinations = "'172.16.0.1', '192.0.2.1', '198.18.0.1', '198.51.100.1', '127.0.0.1', '::1', '2001:db9::1'"

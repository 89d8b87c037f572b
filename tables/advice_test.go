package tables_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kernelroutes/internal/nametest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/iproute2"
	"kernelroutes/tables"
)

// A namedKernel is the kernel on a host with name files of its own. It counts what
// it is asked.
type namedKernel struct {
	rtnl.Kernel
	names *iproute2.Names
	asked int
}

func (k *namedKernel) Names() *iproute2.Names { return k.names }

func (k *namedKernel) Read(ctx context.Context, r rtnl.Request) (*rtnl.Snapshot, error) {
	k.asked++
	return k.Kernel.Read(ctx, r)
}

// newNamedKernel has the names in files of iproute2 with these lines.
func newNamedKernel(files map[string]string) *namedKernel {
	return &namedKernel{names: nametest.New(files)}
}

// warnings returns what is said of equalities on a column.
func warnings(t *testing.T, src tables.Source, table *tables.Table, column string, values ...string) (all []string) {
	t.Helper()
	var constraints []tables.Constraint
	for _, v := range values {
		constraints = append(constraints, where(table, column, tables.Equals, v))
	}
	warn := func(text string) { all = append(all, text) }
	_, err := table.Scan(t.Context(), src, tables.Query{Constraints: constraints, Warn: warn})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Conditions that no row can meet, and what is said of them: in every table of routes,
// and in kernel_routes.
var (
	advice = []struct{ column, value, want string }{
		{"table_name", "MAIN", "did you mean 'main'?"},
		{"table_name", "main ", "did you mean 'main'?"},
		{"table_name", "254", "did you mean 'main'?"},
		{"table_name", "0x64", "did you mean 'blue'?"},
		{"table_name", "100", "did you mean 'blue'?"},
		{"table_name", "0x4d2", "did you mean '1234'?"},
		{"table_name", "01234", "did you mean '1234'?"},
		{"table_name", "l234", "did you mean '1234'?"}, // known by its routes alone
		{"table_name", "azur", "did you mean 'azure'?"},
		{"table_name", "customers", "the nearest that there are: "},
		{"table_name", "", "the nearest that there are: "},
		{"covers", "10.0.0.0/33", "it is an address or a prefix, like 192.0.2.1 or 2001:db8::/32"},
		{"covers", "0.0.0.0/", "it is an address or a prefix, like 192.0.2.1 or 2001:db8::/32"},
		{"covers", " 10.0.0.1", "did you mean '10.0.0.1'?"},
		{"dst", "default", "did you mean '0.0.0.0/0' or '::/0'?"},
		{"dst", "Default", "did you mean '0.0.0.0/0' or '::/0'?"},
		{"dst", "10.0.0.0", "a destination has a prefix length: did you mean '10.0.0.0/24'?"},
		{"dst", "0.0.0.0", "a destination has a prefix length: did you mean '0.0.0.0/0'?"},
		{"dst", "::", "a destination has a prefix length: did you mean '::/0'?"},
		{"dst", "10.9.9.9", "a destination has a prefix length: did you mean '10.9.9.9/32'? " +
			"The nearest that there is: '10.0.0.0/8'"},
		{"dst", "2001:db8:6::1", "a destination has a prefix length: did you mean '2001:db8:6::1/128'?"},
		{"dst", "all", "did you mean '0.0.0.0/0' or '::/0'?"},
		{"dst", "2001:DB8:5::", "a destination has a prefix length: did you mean '2001:db8:5::/48'?"},
		{"dst", "10.1.2.3/8", "bits after the prefix length are 0: did you mean '10.0.0.0/8'?"},
		{"dst", "::5.6.7.8/112", "bits after the prefix length are 0: did you mean '::5.6.0.0/112'?"},
		{"dst", "10.0.0.0/255.0.0.0", "a prefix has a length: did you mean '10.0.0.0/8'?"},
		{"dst", "10/8", "did you mean '10.0.0.0/8'?"},
		{"dst", "0/0", "did you mean '0.0.0.0/0'?"},
		{"dst", "10.1.7/16", "did you mean '10.1.0.0/16'?"},
		{"dst", "10.1/x", "a destination is like 10.0.0.0/8, 2001:db8::/32 or, for mpls, 100"},
		{"dst", "x", "a destination is like 10.0.0.0/8, 2001:db8::/32 or, for mpls, 100"},
		{"dst", "", "a destination is like 10.0.0.0/8, 2001:db8::/32 or, for mpls, 100"},
		{"family", "inet", "did you mean 'ipv4'?"},
		{"family", "IPv6", "did you mean 'ipv6'?"},
		{"gateway", "x", "an address is like 192.0.2.1 or 2001:db8::1"},
		{"gateway", "192.0.2.9/32", "an address stands alone: did you mean '192.0.2.9'?"},
		{"gateway", "fe80::1%eth0", "an address stands alone: did you mean 'fe80::1'?"},
		{"gateway_family", "inet6", "did you mean 'ipv6'?"},
		{"dev", "ethO", "there is no such interface: did you mean 'eth0'?"},
		{"route_id", "x", "a route_id is like "},
		{"table_id", "-1", "it is a whole number from 0 to 4294967295"},
		{"table_id", "4294967296", "it is a whole number from 0 to 4294967295"},
		{"table_id", "main", "did you mean '254'?"},
		{"table_id", "nosuch", "it is a whole number from 0 to 4294967295"},
		{"family", "6", "did you mean 'ipv6'?"},
		{"table_id", "254.5", "it is a whole number from 0 to 4294967295"},
		{"table_id", "0xfe", "did you mean '254'?"},
		{"metric", "", "a number that is absent is NULL: write metric IS NULL"},
		{"realm_from", "FIVE", "did you mean 'five'?"},
		{"realm_from", "5", "did you mean 'five'?"},
		{"gateway", "0.0.0.0", "where there is none, it is empty: did you mean ''?"},
		{"gateway", "::", "where there is none, it is empty: did you mean ''?"},
		{"table_name", "b\xff", `did you mean 'b\xff'?`}, // which is four more characters
		{"flag_names", "ONLINK", "did you mean 'onlink'?"},
		{"flag_names", "onlink,", "did you mean 'onlink'?"},
		{"flag_names", "onlink, dead", "did you mean 'dead,onlink'?"},
		{"flag_names", "up", "the nearest that there are: 'trap', "},
		{"flag_names", "onlink,dead", "did you mean 'dead,onlink'?"},
		{"flag_names", "dead,onlnk", "there is no 'onlnk': did you mean 'onlink'?"},
		{"encap_type", "MPLS", "did you mean 'mpls'?"},
		{"snapshot_consistent", "2", "it is a whole number from 0 to 1"},
	}
	adviceOfRoutes = []struct{ column, value, want string }{
		{"type", "BLACKHOLE", "did you mean 'blackhole'?"},
		{"type", "gateway", "did you mean 'unicast'?"},
		{"type", "6", "did you mean 'blackhole'?"},
		{"pref", "3", "did you mean 'low'?"},
		{"dev_operstate", "6", "the nearest that there are: "},
		{"protocol", "DHCP", "did you mean 'dhcp'?"},
		{"protocol", "16", "did you mean 'dhcp'?"},
		{"protocol", "999", "the nearest that there are: "},
		{"scope", "universe", "did you mean 'global'?"},
		{"scope", "Link", "did you mean 'link'?"},
		{"src", "10.0.0.0", "a prefix has a length: did you mean '10.0.0.0/32'?"},
		{"src", "::/0", "for any source it is empty: did you mean ''?"},
		{"src", "Any", "for any source it is empty: did you mean ''?"},
		{"src", "default", "for any source it is empty: did you mean ''?"},
		{"features", "ECN", "did you mean 'ecn'?"},
		{"features", "sack,ecn", "did you mean 'ecn,sack'?"},
		{"locked", "MTU", "did you mean 'mtu'?"},
		{"locked", "mtu rtt", "the nearest that there are: "},
		{"src", "x", "a source is like 10.0.0.0/8 or 2001:db8::/32"},
		{"prefsrc", "192.0.2.1/24", "an address stands alone: did you mean '192.0.2.1'?"},
		{"iif", "ethO", "there is no such interface: did you mean 'eth0'?"},
		{"pref", "Medium", "did you mean 'medium'?"},
		{"dev_operstate", "up", "did you mean 'UP'?"},
		{"dst_len", "129", "it is a whole number from 0 to 128"},
		{"tos", "0x10", "did you mean '16'?"},
	}
)

// TestAdvice asks for what no row can have.
func TestAdvice(t *testing.T) {
	nstest.New(t)
	nstest.Veth(t, "eth0", "192.0.2.1/24", "2001:db8::1/64")
	nstest.Batch(t, "-4", "route add default via 192.0.2.9", "route add 10.0.0.0/8 via 192.0.2.9",
		"route add 10.0.0.0/24 via 192.0.2.9", "route add 10.1.0.0/16 via 192.0.2.9 table 1234",
		"route add 10.1.0.0/16 via 192.0.2.9 table 100")
	nstest.Batch(t, "-6", "route add 2001:db8:5::/48 via 2001:db8::9")
	src := newNamedKernel(map[string]string{
		"rt_tables": "100 azure\n100 blue\n101 b\\xff\n", "rt_realms": "5 five\n",
	})
	for _, c := range advice {
		for _, table := range tables.OfRoutes() {
			checkAdvice(t, src, table, c.column, c.value, c.want)
		}
	}
	for _, c := range adviceOfRoutes {
		checkAdvice(t, src, tables.Routes, c.column, c.value, c.want)
	}
}

func checkAdvice(t *testing.T, src *namedKernel, table *tables.Table, column, value, want string) {
	t.Helper()
	fresh := &namedKernel{names: src.names}
	tables.ForgetAdvice()
	got := warnings(t, fresh, table, column, value)
	whole := fmt.Sprintf("%s: no row can have %s='%s': %s", table.Name, column,
		strings.ToValidUTF8(value, "\ufffd"), want)
	if len(got) != 1 || got[0] != whole && !(strings.HasPrefix(got[0], whole) && strings.HasSuffix(want, " ")) {
		t.Errorf("got %q, not %q", got, whole)
	}
	if fresh.asked > 2 {
		t.Errorf("%s: %d requests", whole, fresh.asked)
	}
	// The same is said again for nothing.
	before := fresh.asked
	if again := warnings(t, fresh, table, column, value); !slices.Equal(again, got) || fresh.asked != before+1 {
		t.Errorf("then %q, for %d requests", again, fresh.asked-before)
	}
}

// TestNoAdvice asks for every value that there is, by each of its names, and for
// such as just do not happen to be there.
func TestNoAdvice(t *testing.T) {
	live(t)
	src := newNamedKernel(map[string]string{"rt_tables": "254 inet\n"})
	for _, table := range tables.Whole() {
		tried := map[[2]string]bool{}
		for _, r := range scan(t, table, src) {
			for _, col := range table.Columns {
				v, there := r[col.Name]
				if tried[[2]string{col.Name, v}] || !there && col.Type != tables.Text {
					continue // NULL equals nothing
				}
				tried[[2]string{col.Name, v}] = true
				if got := warnings(t, src, table, col.Name, v); got != nil {
					t.Fatalf("%s", got)
				}
			}
		}
	}
	for _, table := range tables.OfRoutes() {
		for _, c := range [][2]string{
			{"table_name", "main"}, {"table_name", "inet"}, {"table_name", "4711"}, {"table_id", "4711"},
			{"table_id", "254.0"},
			{"dst", "192.0.2.0/24"}, {"dst", "FD00:0::/64"}, {"dst", "::506:708/128"}, {"dst", "100"},
			{"dst", "::ffff:1.2.3.4/128"},
			{"gateway", "FD00::0:9"}, {"gateway", ""}, {"gateway", "192.0.2.1"}, {"dev", ""}, {"dev", "v0"},
			{"flag_names", "dead,onlink,0x40000000"},
			{"realm_to", "77"}, {"family", "mpls"}, {"encap_type", "77"},
			{"route_id", "ipv6:254:::506:708/128:0123456789abcdef"},
			{"route_id", "mpls:254:100:0123456789abcdef"},
		} {
			if got := warnings(t, src, table, c[0], c[1]); got != nil {
				t.Errorf("%s", got)
			}
		}
	}
	for _, c := range [][2]string{
		{"type", "xresolve"}, {"type", "77"}, {"protocol", "77"}, {"protocol", "bgp"}, {"scope", "77"},
		{"scope", "site"},
		{"src", "2001:DB8::/32"}, {"src", ""}, {"prefsrc", "192.0.2.1"}, {"iif", "v0"}, {"iif", "77"},
		{"iif", ""}, {"pref", "2"}, {"cache_expires", "-5"}, {"mfc_bytes", "99999999999"},
		{"dev_kind", "NOSUCH"}, {"features", "ecn,sack,9"}, {"locked", "mtu,congctl,20"}, {"locked", ""},
		{"congctl", "cubic"}, {"encap", "x"}, {"metric", "1e3"},
	} {
		if got := warnings(t, src, tables.Routes, c[0], c[1]); got != nil {
			t.Errorf("%s", got)
		}
	}
	// Conditions that are no equalities say what they say.
	for _, op := range operators[1:] {
		for i := range tables.Routes.Columns {
			one := []tables.Constraint{{Column: i, Op: op, Expr: "junk"}}
			warn := func(text string) { t.Error(text) }
			_, err := tables.Routes.Scan(t.Context(), src, tables.Query{Constraints: one, Warn: warn})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestAdviceOfMany: a list or a join does not say everything, nor cost much.
func TestAdviceOfMany(t *testing.T) {
	nstest.New(t)
	src := newNamedKernel(nil)
	tables.ForgetAdvice()
	if got := warnings(t, src, tables.Routes, "table_name", "a", "b", "c", "d", "e"); len(got) != 3 {
		t.Errorf("of a list: %q", got)
	}
	// A list with a value that there can be is one that rows can meet.
	for _, c := range [][]string{
		{"table_name", "a", "main", "b"}, {"dev", "nosuch", "lo"}, {"dst", "default", "0.0.0.0/0"},
		{"metric", "x", "0"},
	} {
		if got := warnings(t, src, tables.Routes, c[0], c[1:]...); got != nil {
			t.Errorf("of a list with a good one: %q", got)
		}
	}
	// Nothing is read where a table that is not there makes the query empty: then
	// it is not known whether the interface is there.
	none, err := tables.Routes.Scan(t.Context(), src, tables.Query{
		Constraints: []tables.Constraint{
			where(tables.Routes, "table_name", tables.Equals, "MAIN"),
			where(tables.Routes, "dev", tables.Equals, "lo"),
		},
		Warn: func(text string) {
			if strings.Contains(text, "dev=") {
				t.Error(text)
			}
		},
	})
	if err != nil || none.Next() {
		t.Error(none, err)
	}
	src.asked = 0
	said := map[string]bool{}
	for i := range 1000 {
		for _, text := range warnings(t, src, tables.Routes, "table_name", fmt.Sprintf("customer %d", i)) {
			said[text] = true
		}
	}
	if len(said) == 0 || len(said) > 64 || src.asked > 1064 {
		t.Errorf("%d warnings and %d requests for 1000 rows of a join", len(said), src.asked)
	}
	// What is said stands on one line, and is not long.
	tables.ForgetAdvice()
	got := warnings(t, src, tables.Routes, "type", "a\n\x1b[1m'"+strings.Repeat("x", 1<<20))
	if len(got) != 1 || len(got[0]) > 400 || strings.ContainsAny(got[0], "\n\x1b") || !strings.Contains(got[0], "''") ||
		!strings.Contains(got[0], "the nearest that there are") {
		t.Errorf("%.500q", got)
	}
}

// An unsteady source has no consistent snapshot.
type unsteady struct{ rtnl.Kernel }

func (s *unsteady) Read(ctx context.Context, r rtnl.Request) (*rtnl.Snapshot, error) {
	snapshot, err := s.Kernel.Read(ctx, r)
	if err == nil {
		snapshot.Consistent = false
	}
	return snapshot, err
}

func TestInconsistentIsSaid(t *testing.T) {
	nstest.New(t)
	got := warnings(t, &unsteady{}, tables.Routes, "dst", "192.0.2.0/24") // no row, which could say so itself
	if len(got) != 1 || !strings.Contains(got[0], "kernel_routes: routes changed") {
		t.Errorf("%q", got)
	}
}

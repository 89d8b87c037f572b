package tables_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nltest"
	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl"
	"kernelroutes/rtnl/capture"
	"kernelroutes/rtnl/object"
	"kernelroutes/tables"
)

// noColumn are the files in /proc/sys/net/ipv6/conf that no column shows, and why.
var noColumn = map[string]string{
	"stable_secret":      "a secret, which the kernel does not send (ipv6_store_devconf) and root alone may read",
	"regen_min_advance":  "not among DEVCONF_*, so that the kernel does not send it (Linux 6.8)",
	"ra_honor_pio_life":  "the same (Linux 6.8)",
	"ra_honor_pio_pflag": "the same (Linux 6.10)",
}

// configKey tells the rows of kernel_interface_config apart.
type configKey struct{ family, dev string }

// configs returns the rows, each once.
func configs(t testing.TB, src tables.Source) map[configKey]row {
	t.Helper()
	all := map[configKey]row{}
	for _, r := range scan(t, tables.InterfaceConfig, src) {
		key := configKey{r["family"], r["dev"]}
		if all[key] != nil {
			t.Errorf("%v comes twice", key)
		}
		if r["snapshot_consistent"] != "1" || r["unknown_attrs"] != "[]" {
			t.Errorf("%v: consistent %s, unknown %s", key, r["snapshot_consistent"], r["unknown_attrs"])
		}
		all[key] = r
	}
	return all
}

// configNetwork has interfaces of several kinds; the last has no IPv6.
func configNetwork(t testing.TB) {
	nstest.New(t)
	nstest.Veth(t, "v0", "10.0.0.1/24", "fd00::1/64")
	nstest.Veth(t, "v1", "10.1.0.1/24", "fd01::1/64")
	if f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0); err == nil {
		f.Close()
		nstest.IP(t, "tuntap add dev tun0 mode tun")
	} else { // which only root may open on some hosts
		nstest.Veth(t, "tun0")
	}
	nstest.Veth(t, "small")
	nstest.IP(t, "link set small mtu 1000")
}

const confFolder = "/proc/sys/net/"

// randomize writes random values to files of settings, of which the kernel takes some.
func randomize(t *testing.T, r *rand.Rand) (written int) {
	files, err := filepath.Glob(confFolder + "ipv[46]/conf/*/*")
	if err != nil {
		t.Fatal(err)
	}
	r.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
	for _, file := range files[:len(files)/2] {
		if filepath.Base(file) == "stable_secret" {
			continue
		}
		value := []int64{-1, 0, 0, 1, 1, 2, 3, 8, 64, 1280, 1400, 86400, 65535, 4294967294, 1<<31 - 1,
			-1 << 31}[r.IntN(16)]
		if strings.HasPrefix(filepath.Base(file), "router_") {
			value = r.Int64N(40_000_000) - 10_000_000 // in seconds, which are sent in milliseconds
		}
		if os.WriteFile(file, []byte(strconv.FormatInt(value, 10)), 0) == nil {
			written++
		}
	}
	return written
}

// checkConf compares the rows with every file that there is.
func checkConf(t *testing.T, rows map[configKey]row) (compared int) {
	t.Helper()
	shown := map[configKey]bool{}
	for _, family := range []string{"ipv4", "ipv6"} {
		folders, err := os.ReadDir(confFolder + family + "/conf")
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range folders {
			key := configKey{family, folder.Name()}
			r := rows[key]
			if r == nil {
				t.Errorf("there is no row for %v", key)
				continue
			}
			shown[key] = true
			compared += checkFiles(t, key, r)
		}
	}
	for key := range rows {
		if !shown[key] {
			t.Errorf("there is a row for %v", key)
		}
	}
	return compared
}

func checkFiles(t *testing.T, key configKey, r row) (compared int) {
	t.Helper()
	folder := confFolder + key.family + "/conf/" + key.dev
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, file := range files {
		name := file.Name()
		if name == "mtu" && key.family == "ipv6" {
			name = "mtu6" // mtu is the interface's
		}
		if tables.InterfaceConfig.Column(name) < 0 {
			if noColumn[name] == "" {
				t.Errorf("%s/%s has no column", folder, file.Name())
			}
			continue
		}
		b, err := os.ReadFile(filepath.Join(folder, file.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.TrimSpace(string(b)); r[name] != want {
			t.Errorf("%s of %v is %q, want %s", name, key, r[name], want)
		}
		has[name] = true
		compared++
	}
	for i := range object.Settings {
		if name := object.Settings[i].Name; r[name] != "" && !has[name] {
			t.Errorf("%s of %v is %s, and there is no such file", name, key, r[name])
		}
	}
	return compared
}

// TestInterfaceConfig compares random settings of every interface, of all and of default with all
// files that there are in /proc/sys/net/ipv4/conf and ipv6/conf.
func TestInterfaceConfig(t *testing.T) {
	configNetwork(t)
	r := rand.New(rand.NewPCG(6, 10))
	for range nstest.Amount(30, 5) {
		written := randomize(t, r)
		rows := configs(t, &rtnl.Kernel{})
		if compared := checkConf(t, rows); compared < 700 || written < 100 {
			t.Errorf("%d settings were written, %d compared", written, compared)
		}
		if rows[configKey{"ipv6", "small"}] != nil || rows[configKey{"ipv4", "small"}] == nil {
			t.Error("an interface with an MTU of 1000 has IPv6")
		}
		if t.Failed() {
			return
		}
	}
	nstest.IP(t, "link set lo mtu 67") // nor is there IPv4 then, and of lo there is IPv6 with any
	rows := configs(t, &rtnl.Kernel{})
	checkConf(t, rows)
	if rows[configKey{"ipv4", "lo"}] != nil || rows[configKey{"ipv6", "lo"}] == nil {
		t.Error("lo with an MTU of 67 has IPv4, or no IPv6")
	}
}

// TestInterfaceConfigLinks compares what is not a setting with ip.
func TestInterfaceConfigLinks(t *testing.T) {
	configNetwork(t)
	nstest.IP(t, "token set ::5/64 dev v0")
	var links []struct {
		Name  string `json:"ifname"`
		Index int    `json:"ifindex"`
		MTU   int    `json:"mtu"`
		State string `json:"operstate"`
		Info  struct {
			Kind string `json:"info_kind"`
		} `json:"linkinfo"`
	}
	if err := json.Unmarshal([]byte(nstest.IP(t, "-j -d link")), &links); err != nil {
		t.Fatal(err)
	}
	rows := configs(t, &rtnl.Kernel{})
	for _, l := range links {
		for _, family := range []string{"ipv4", "ipv6"} {
			r := rows[configKey{family, l.Name}]
			if r == nil {
				continue // as TestInterfaceConfig has it
			}
			want := row{"dev_index": fmt.Sprint(l.Index), "dev_kind": l.Info.Kind, "dev_operstate": l.State,
				"mtu": fmt.Sprint(l.MTU)}
			if family == "ipv6" && l.Name == "v0" {
				want["token"] = "::5"
			}
			for _, name := range []string{"dev_index", "dev_kind", "dev_operstate", "mtu", "token", "vrf"} {
				if r[name] != want[name] {
					t.Errorf("%s of %s, %s, is %q, want %q", name, l.Name, family, r[name], want[name])
				}
			}
		}
	}
	for _, name := range []string{"all", "default"} {
		for i := range tables.InterfaceConfig.Columns {
			column := tables.InterfaceConfig.Columns[i].Name
			absent := strings.HasPrefix(column, "effective_") || strings.HasPrefix(column, "dev_") || column == "mtu"
			if v := rows[configKey{"ipv6", name}][column]; absent && v != "" {
				t.Errorf("%s of %s is %s", column, name, v)
			}
		}
	}
}

// TestInterfaceConfigUnprivileged reads without any capability what root reads.
func TestInterfaceConfigUnprivileged(t *testing.T) {
	configNetwork(t)
	nstest.Sysctl(t, "net.ipv4.conf.all.rp_filter", "2")
	want := configs(t, &rtnl.Kernel{})
	none := make([]unix.CapUserData, 2) // the thread ends with the test
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
		t.Fatal(err)
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); !errors.Is(err, unix.EPERM) {
		t.Fatalf("there are capabilities: %v", err)
	}
	sameConfigs(t, configs(t, &rtnl.Kernel{}), want)
}

func sameConfigs(t *testing.T, got, want map[configKey]row) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	for key, r := range want {
		if !maps.Equal(got[key], r) {
			t.Errorf("%v differs in %v", key, unlike(got[key], r))
		}
	}
}

// TestInterfaceConfigCaptured: a capture has the rows that the kernel had.
func TestInterfaceConfigCaptured(t *testing.T) {
	configNetwork(t)
	randomize(t, rand.New(rand.NewPCG(1, 2)))
	var b bytes.Buffer
	if err := capture.Write(t.Context(), &rtnl.Kernel{}, &b); err != nil {
		t.Fatal(err)
	}
	c, err := capture.Read(&b)
	if err != nil {
		t.Fatal(err)
	}
	sameConfigs(t, configs(t, c), configs(t, &rtnl.Kernel{}))
}

// TestInterfaceConfigWithoutProc: where /proc/sys cannot be read there is of all and default what
// RTNetlink tells, and of what holds what can be worked out with it.
func TestInterfaceConfigWithoutProc(t *testing.T) {
	configNetwork(t)
	nstest.Sysctl(t, "net.ipv4.conf.all.rp_filter", "2")
	nstest.Sysctl(t, "net.ipv4.conf.v0.log_martians", "1")
	s, err := (&rtnl.Kernel{}).Read(t.Context(), rtnl.Request{Kinds: object.Kinds})
	if err != nil {
		t.Fatal(err)
	}
	s.Sysctls = nil
	rows := configs(t, s.Instant(nil))
	for _, tc := range []struct {
		family, dev, column, want string
	}{
		{"ipv4", "all", "rp_filter", "2"}, {"ipv4", "all", "log_martians", ""}, {"ipv6", "default", "forwarding", "0"},
		{"ipv4", "v0", "log_martians", "1"}, {"ipv4", "v0", "effective_log_martians", ""},
		{"ipv4", "v0", "effective_rp_filter", "2"}, {"ipv4", "v0", "effective_forwarding", "0"},
		{"ipv6", "v0", "effective_forwarding", "0"}, {"ipv6", "v0", "effective_accept_source_route", ""},
		{"ipv6", "v0", "effective_accept_ra", "1"},
	} {
		if got := rows[configKey{tc.family, tc.dev}][tc.column]; got != tc.want {
			t.Errorf("%s of %s, %s, is %q, want %q", tc.column, tc.dev, tc.family, got, tc.want)
		}
	}
	// It is said, and nothing where all is known.
	if said := warnings(t, s.Instant(nil), tables.InterfaceConfig, "family", "ipv4"); len(said) != 1 ||
		!strings.Contains(said[0], "the settings of all and default are not known") {
		t.Errorf("what is said is %q", said)
	}
	if said := warnings(t, &namedKernel{}, tables.InterfaceConfig, "family", "ipv4"); len(said) > 0 {
		t.Errorf("what is said is %q", said)
	}
	// A recording need not have netconf settings either.
	s = rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{object.Links.Kind: s.Runs(object.Links.Kind)})
	rows = configs(t, s.Instant(nil))
	if v0 := rows[configKey{"ipv4", "v0"}]; rows[configKey{"ipv4", "all"}] != nil || v0["log_martians"] != "1" ||
		v0["effective_rp_filter"] != "" {
		t.Errorf("got %v", rows)
	}
}

// snapshotOf has some links.
func snapshotOf(t *testing.T, links ...[]byte) *rtnl.Snapshot {
	t.Helper()
	var log object.Messages
	var m object.Message
	for _, payload := range links {
		if err := object.Links.Check(&m, nltest.Padded(object.RTM_NEWLINK, 0, 0, payload)); err != nil {
			t.Fatal(err)
		}
		log.Add(&m)
	}
	return rtnl.NewSnapshot(true, map[*object.Kind][]object.Run{object.Links.Kind: log.Runs})
}

// TestInterfaceConfigVRF: an interface in a VRF names it, one in a bridge does not; and what a
// newer kernel sends is shown by its number.
func TestInterfaceConfigVRF(t *testing.T) {
	link := func(l object.Link, master uint32, ipv4 ...uint32) []byte {
		b := nltest.AppendLinkConfig(nil, &l, ipv4, nil)
		return append(b, nltest.Attr(nltest.IFLA_MASTER, nltest.NE(master))...)
	}
	s := snapshotOf(t, link(object.Link{Index: 1, Name: "red", Kind: "vrf", VRFTable: 10}, 0, 1),
		link(object.Link{Index: 2, Name: "br0", Kind: "bridge"}, 0, 1), link(object.Link{Index: 3, Name: "a"}, 1, 1),
		link(object.Link{Index: 4, Name: "b"}, 2, 1), link(object.Link{Index: 5, Name: "c"}, 9, make([]uint32, 34)...))
	got := map[string]string{}
	for _, r := range scan(t, tables.InterfaceConfig, s.Instant(nil)) {
		if got[r["dev"]] += r["vrf"] + ";" + r["unknown_attrs"]; r["family"] == "ipv6" {
			t.Errorf("%s has IPv6", r["dev"])
		}
	}
	want := map[string]string{"red": ";[]", "br0": ";[]", "a": "red;[]", "b": ";[]",
		"c": `;[{"type":34,"len":4,"hex":"00000000"}]`}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestInterfaceConfigColumns: every setting has a column, and each that the kernel combines with
// all another one that says how.
func TestInterfaceConfigColumns(t *testing.T) {
	for i := range object.Settings {
		s := &object.Settings[i]
		at := tables.InterfaceConfig.Column(s.Name)
		effective := tables.InterfaceConfig.Column("effective_" + s.Name)
		if at < 0 || s.Combined() != (effective == at+1) {
			t.Errorf("%s is column %d, effective %d", s.Name, at, effective)
		}
	}
	// What CIS 3.3 asks for.
	for _, name := range strings.Fields("rp_filter accept_redirects secure_redirects send_redirects " +
		"accept_source_route " +
		"log_martians proxy_arp forwarding accept_ra") {
		if !slices.ContainsFunc(tables.InterfaceConfig.Columns, func(c tables.ColumnInfo) bool {
			return c.Name == "effective_"+name
		}) {
			t.Errorf("there is no effective_%s", name)
		}
	}
}

package rtnl

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kernelroutes/internal/nstest"
	"kernelroutes/rtnl/conn"
	"kernelroutes/rtnl/object"
)

var configRequest = Request{Kinds: []*object.Kind{object.Links.Kind}, Along: []*object.Kind{object.Netconfs.Kind}}

// TestSysctls reads the settings of all and default of the namespace that is asked for, and
// nothing where netconf settings are not.
func TestSysctls(t *testing.T) {
	ns, _ := twoNamespaces(t, func() { nstest.Sysctl(t, "net.ipv4.conf.all.rp_filter", "2") })
	nstest.Sysctl(t, "net.ipv4.conf.all.log_martians", "1")
	nstest.Sysctl(t, "net.ipv6.conf.default.hop_limit", "77")
	read := func(ns Namespace, req Request) *Snapshot {
		t.Helper()
		req.Namespace = ns
		s, err := (&Kernel{}).Read(t.Context(), req)
		if err != nil || !s.Consistent {
			t.Fatal(err)
		}
		return s
	}
	own, other := read("", configRequest), read(ns, configRequest)
	for name, want := range map[string][2]string{
		"net.ipv4.conf.all.log_martians": {"1", "0"}, "net.ipv4.conf.all.rp_filter": {"0", "2"},
		"net.ipv6.conf.default.hop_limit": {"77", "64"}, "net.ipv6.conf.all.stable_secret": {"", ""},
	} {
		if own.Sysctls[name] != want[0] || other.Sysctls[name] != want[1] {
			t.Errorf("%s is %q and %q, want %q", name, own.Sysctls[name], other.Sysctls[name], want)
		}
	}
	if none := read("", Request{Kinds: []*object.Kind{object.Links.Kind}}); none.Sysctls != nil {
		t.Error("settings that nobody asked for")
	}
	for _, tc := range []struct {
		conf    string
		f       object.Family
		setting string
		want    int64
	}{{ConfAll, object.IPv4, "log_martians", 1}, {ConfDefault, object.IPv4, "log_martians", 0},
		{ConfDefault, object.IPv6, "hop_limit", 77}} {
		for i := range object.Settings {
			s := &object.Settings[i]
			if v, ok := own.Confs()[ConfKey{tc.conf, tc.f}].Value(s); s.Name == tc.setting && (v != tc.want || !ok) {
				t.Errorf("%s of %s, %s, is %d, want %d", tc.setting, tc.conf, tc.f, v, tc.want)
			}
		}
	}
	// An instant has them for those who ask.
	i := own.Instant(nil)
	again, err := i.Read(t.Context(), configRequest)
	if err != nil || !maps.Equal(again.Sysctls, own.Sysctls) || len(again.Sysctls) < 100 {
		t.Error(err, len(again.Sysctls))
	}
	if links, err := i.Read(t.Context(), Request{Kinds: []*object.Kind{object.Links.Kind}}); err != nil ||
		links.Sysctls != nil {
		t.Error(err, links)
	}
}

// TestSysctlsUnreadable: without /proc/sys what RTNetlink tells of all and default is there, and
// nothing else.
func TestSysctlsUnreadable(t *testing.T) {
	nstest.New(t)
	nstest.Sysctl(t, "net.ipv4.conf.all.rp_filter", "2")
	nstest.Sysctl(t, "net.ipv4.conf.all.log_martians", "1")
	k := Kernel{dial: conn.Dial, stats: rt6StatsPath, sysctls: t.TempDir()}
	s, err := k.Read(t.Context(), configRequest)
	if err != nil || !s.Consistent || len(s.Sysctls) != 0 {
		t.Fatal(err, s)
	}
	all, lacks := s.Confs()[ConfKey{ConfAll, object.IPv4}], s.LackedSettings(object.IPv4)
	for i := range object.Settings {
		setting := &object.Settings[i]
		switch v, ok := all.Value(setting); setting.Name {
		case "rp_filter":
			if v != 2 || !ok {
				t.Errorf("rp_filter is %d, %v", v, ok)
			}
		case "log_martians":
			if ok {
				t.Errorf("log_martians is %d", v)
			}
		}
	}
	if lacks != nil {
		t.Errorf("the kernel lacks %v", *lacks)
	}
	// Nor is there anything of what has none.
	if none := NewSnapshot(true, nil).Confs(); len(none) != 0 {
		t.Error("settings out of nothing")
	}
}

// TestSysctlsMasked: files that may not be read, or are others, as a container may have them, are
// neither waited for nor taken for settings that the kernel does not have.
func TestSysctlsMasked(t *testing.T) {
	nstest.New(t)
	root := t.TempDir()
	folder := filepath.Join(root, "net/ipv4/conf/all")
	if err := errors.Join(os.MkdirAll(filepath.Join(folder, "rp_filter"), 0o755),
		unix.Mkfifo(filepath.Join(folder, "log_martians"), 0o600),
		os.WriteFile(filepath.Join(folder, "tag"), []byte("1\n"), 0),
		os.WriteFile(filepath.Join(folder, "shared_media"), []byte("two\nlines\n"), 0o644),
		os.WriteFile(filepath.Join(folder, "arp_filter"), []byte("1\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	none := make([]unix.CapUserData, 2) // the thread ends with the test
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]); err != nil {
		t.Fatal(err)
	}
	all, err := readSysctls(root, "")
	want := Sysctls{}
	for _, name := range []string{"rp_filter", "log_martians", "tag", "shared_media", "arp_filter"} {
		want["net.ipv4.conf.all."+name] = ""
	}
	want["net.ipv4.conf.all.arp_filter"] = "1"
	if err != nil || !maps.Equal(all, want) {
		t.Errorf("%v: got %v, want %v", err, all, want)
	}
	s := NewSnapshot(true, nil)
	s.Sysctls = all
	lacks := s.LackedSettings(object.IPv4)
	for i := range object.Settings {
		setting := &object.Settings[i]
		if _, there := want["net.ipv4.conf.all."+setting.Name]; there && (*lacks)[setting] {
			t.Errorf("the kernel lacks %s", setting.Name)
		}
	}
}

// TestSysctlsLacked: a setting without a file is one that the kernel does not have.
func TestSysctlsLacked(t *testing.T) {
	s := NewSnapshot(true, nil)
	s.Sysctls = Sysctls{"net.ipv6.conf.all.mtu": "1280"}
	lacks := s.LackedSettings(object.IPv6)
	if lacks == nil || s.LackedSettings(object.IPv4) != nil {
		t.Fatal("it is not known what is lacked")
	}
	for i := range object.Settings {
		setting := &object.Settings[i]
		if want := setting.Has(object.IPv6) && setting.Name != "mtu6"; (*lacks)[setting] != want {
			t.Errorf("%s is lacked: %v", setting.Name, !want)
		}
	}
}

// TestSysctlsChange: settings that change while interfaces are read have all read again, and if
// they always do, it is said.
func TestSysctlsChange(t *testing.T) {
	nstest.New(t)
	for _, always := range []bool{false, true} {
		root := t.TempDir()
		file := filepath.Join(root, "net/ipv4/conf/all/log_martians")
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		write := func(value string) {
			if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		write("0")
		opened := 0
		k := Kernel{stats: rt6StatsPath, sysctls: root}
		k.dial = func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
			if opened++; groups == 0 && (always || opened == 2) { // that of the dumps: settings have been read
				write(strings.Repeat("1", opened))
			}
			return conn.Dial(ctx, ns, groups)
		}
		s, err := k.Read(t.Context(), configRequest)
		if err != nil {
			t.Fatal(err)
		}
		tries, value := 2, "11"
		if always {
			tries, value = MaxTries, strings.Repeat("1", MaxTries+1)
		}
		if s.Consistent == always || s.Tries != tries || s.Sysctls["net.ipv4.conf.all.log_martians"] != value {
			t.Errorf("always %v: consistent %v, %d tries, %v", always, s.Consistent, s.Tries, s.Sysctls)
		}
	}
}

// TestNetconfChange: a change that RTNetlink tells of while interfaces are read has all read
// again.
func TestNetconfChange(t *testing.T) {
	nstest.New(t)
	opened := 0
	k := Kernel{stats: rt6StatsPath, sysctls: t.TempDir()}
	k.dial = func(ctx context.Context, ns Namespace, groups uint32) (conn.Socket, bool, error) {
		if opened++; opened == 2 { // the listener is there
			nstest.Sysctl(t, "net.ipv6.conf.all.forwarding", "1")
		}
		return conn.Dial(ctx, ns, groups)
	}
	s, err := k.Read(t.Context(), configRequest)
	if err != nil || !s.Consistent || s.Tries != 2 {
		t.Fatalf("%v, %+v", err, s)
	}
	for i := range object.Settings {
		setting := &object.Settings[i]
		if v, _ := s.Confs()[ConfKey{ConfAll, object.IPv6}].Value(setting); setting.Name == "forwarding" && v != 1 {
			t.Errorf("forwarding is %d", v)
		}
	}
}

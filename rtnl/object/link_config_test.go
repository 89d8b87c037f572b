package object_test

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	. "kernelroutes/internal/nltest"
	. "kernelroutes/rtnl/object"
	"kernelroutes/rtnl/wire"
)

// valuesOf returns the settings that there are.
func valuesOf(c *Conf) map[string]int64 {
	all := map[string]int64{}
	for i := range Settings {
		if v, ok := c.Value(&Settings[i]); ok {
			all[Settings[i].Name] = v
		}
	}
	return all
}

func linkConfig(t *testing.T, attrs ...[]byte) *LinkConfig {
	t.Helper()
	var c LinkConfig
	b := Cat(make([]byte, 4), NE(uint32(9)), make([]byte, 8), Cat(attrs...))
	if err := c.UnmarshalBinary(b); err != nil {
		t.Fatal(err)
	}
	checkLink(t, b)
	return &c
}

func TestLinkConfig(t *testing.T) {
	c := linkConfig(t, Attr(IFLA_IFNAME, Str("v0")), Attr(IFLA_MTU, NE(uint32(1400))), Attr(IFLA_MASTER, NE(uint32(7))),
		Attr(IFLA_AF_SPEC,
			Attr(AF_INET, Attr(IFLA_INET_CONF, NE(uint32(1)), NE(uint32(2)), NE(^uint32(0)))),
			Attr(45, []byte{1, 2, 3}), // AF_MCTP
			Attr(NLA_F_NESTED|AF_INET6, Attr(IFLA_INET6_FLAGS, NE(uint32(0x80000000))),
				Attr(IFLA_INET6_CACHEINFO, NE(uint32(65535)), NE(uint32(11)), NE(uint32(30000)), NE(uint32(1000))),
				Attr(IFLA_INET6_CONF, NE(uint32(0)), NE(uint32(64)), NE(uint32(1280))),
				Attr(IFLA_INET6_TOKEN, netip.MustParseAddr("::5").AsSlice()), Attr(IFLA_INET6_RA_MTU,
					NE(uint32(9000))))))
	if c.Link != (Link{Index: 9, Name: "v0"}) || c.MTU != Some(uint32(1400)) || c.Master != 7 ||
		c.Flags6 != Some(uint32(0x80000000)) || c.Times6 != Some(LinkTimes{65535, 11, 30000, 1000}) ||
		c.Token != netip.MustParseAddr("::5") || c.RAMTU != Some(uint32(9000)) {
		t.Errorf("got %+v", c)
	}
	want := map[string]int64{"forwarding": 1, "mc_forwarding": 2, "proxy_arp": -1}
	if got := valuesOf(&c.IPv4); !c.IPv4.Known() || !maps.Equal(got, want) || c.Conf(IPv4) != &c.IPv4 {
		t.Errorf("ipv4: %v", got)
	}
	want = map[string]int64{"forwarding": 0, "hop_limit": 64, "mtu6": 1280}
	if got := valuesOf(&c.IPv6); !c.IPv6.Known() || !maps.Equal(got, want) || c.Conf(IPv6) != &c.IPv6 {
		t.Errorf("ipv6: %v", got)
	}
	// What is not sent is absent, and nothing of the link before is left.
	for _, c := range []*LinkConfig{linkConfig(t), linkConfig(t, Attr(IFLA_AF_SPEC)),
		linkConfig(t, Attr(IFLA_AF_SPEC, Attr(AF_INET6, Attr(IFLA_INET6_FLAGS, []byte{1}),
			Attr(IFLA_INET6_CACHEINFO, make([]byte, 12)), Attr(IFLA_INET6_TOKEN, make([]byte, 4)))))} {
		if !reflect.DeepEqual(c, &LinkConfig{Link: Link{Index: 9}}) || c.IPv4.Known() || c.IPv6.Known() {
			t.Errorf("got %+v of nothing", c)
		}
	}
	// A number that is cut short is none.
	c = linkConfig(t, Attr(IFLA_AF_SPEC, Attr(AF_INET, Attr(IFLA_INET_CONF, NE(uint32(1)), []byte{1, 2, 3}))))
	if got := valuesOf(&c.IPv4); !maps.Equal(got, map[string]int64{"forwarding": 1}) {
		t.Errorf("got %v of a part", got)
	}
}

// TestLinkConfigOfPort: in the message about a bridge's port the attribute holds something
// else, with the numbers of families: IFLA_BRIDGE_VLAN_INFO is 2.
func TestLinkConfigOfPort(t *testing.T) {
	b := Cat([]byte{7, 0, 0, 0}, NE(uint32(9)), make([]byte, 8), Attr(IFLA_AF_SPEC, Attr(2, []byte{6, 0, 1, 0})))
	var c LinkConfig
	if err := c.UnmarshalBinary(b); err != nil || c.IPv4.Known() || c.Link.Index != 9 {
		t.Errorf("%v, %+v", err, c)
	}
	checkLink(t, b)
}

func TestLinkConfigMalformed(t *testing.T) {
	for what, spec := range map[string][]byte{
		"IFLA_AF_SPEC":         {8, 0, 2, 0},
		"IFLA_AF_SPEC of ipv4": Attr(AF_INET, []byte{8, 0, 1, 0}),
		"IFLA_AF_SPEC of ipv6": Attr(AF_INET6, []byte{3, 0, 1, 0}),
	} {
		b := Cat(make([]byte, 16), Attr(IFLA_AF_SPEC, spec))
		var m *wire.MalformedError
		var c LinkConfig
		if err := c.UnmarshalBinary(b); !errors.As(err, &m) || m.What != what {
			t.Errorf("%s: %v", what, err)
		}
		checkLink(t, b)
	}
}

// TestConfForms: milliseconds are seconds where /proc/sys shows these, and what cannot be
// negative is not.
func TestConfForms(t *testing.T) {
	sent := make([]uint32, 60)
	for i := range sent {
		sent[i] = ^uint32(0) - 1999 // -2000
	}
	got := valuesOf(&linkConfig(t, AppendLinkConfig(nil, &Link{}, nil, sent)[IfinfomsgLen:]).IPv6)
	seconds := []string{"router_solicitation_interval", "router_solicitation_delay", "router_solicitation_max_interval",
		"router_probe_interval"}
	positive := []string{"ra_defrtr_metric", "ioam6_id", "ioam6_id_wide"}
	for name, v := range got {
		want := int64(-2000)
		switch {
		case slices.Contains(seconds, name):
			want = -2
		case slices.Contains(positive, name):
			want = 1<<32 - 2000
		}
		if v != want {
			t.Errorf("%s is %d, want %d", name, v, want)
		}
	}
	if len(got) != 59 { // all but stable_secret, which is never sent
		t.Errorf("%d settings", len(got))
	}
}

// TestConfSeconds: seconds of which the milliseconds do not fit are what they were.
func TestConfSeconds(t *testing.T) {
	for _, want := range []int64{0, 1, -1, 3600, 2147483, 2147484, -2147484, 4294967, 4294968, 8589934, 21474836,
		-21474836, 89478485, -89478485} {
		sent := make([]uint32, 60)
		sent[8] = uint32(want * 1000)
		conf := linkConfig(t, AppendLinkConfig(nil, &Link{}, nil, sent)[IfinfomsgLen:]).IPv6
		if got, ok := conf.Value(setting(t, "router_solicitation_interval")); got != want || !ok {
			t.Errorf("%d s are %d", want, got)
		}
	}
}

// TestConfMilliseconds: the highest that can be written are rounded up to whole jiffies, and from
// there on they are below 0.
func TestConfMilliseconds(t *testing.T) {
	for value, want := range map[uint32]int64{0: 0, 1000: 1000, 1<<31 - 1: 1<<31 - 1, 1 << 31: 1 << 31,
		1<<31 + 2: 1<<31 + 2, 1<<31 + 42: -1<<31 + 42, 1<<32 - 4: -4, 1<<32 - 1: -1} {
		sent := make([]uint32, 60)
		sent[30], sent[31] = value, value
		conf := linkConfig(t, AppendLinkConfig(nil, &Link{}, nil, sent)[IfinfomsgLen:]).IPv6
		for _, name := range []string{"mldv1_unsolicited_report_interval", "mldv2_unsolicited_report_interval"} {
			if got, ok := conf.Value(setting(t, name)); got != want || !ok {
				t.Errorf("%s: %d is %d, want %d", name, value, got, want)
			}
		}
	}
}

// TestConfUnknown: what a newer kernel sends has the number that it will have there.
func TestConfUnknown(t *testing.T) {
	c := linkConfig(t, AppendLinkConfig(nil, &Link{}, make([]uint32, 35), append(make([]uint32, 60), 7))[IfinfomsgLen:])
	want := []wire.Attr{{Type: 34, Data: NE(uint32(0))}, {Type: 35, Data: NE(uint32(0))}}
	if got := c.IPv4.Unknown(); !reflect.DeepEqual(got, want) {
		t.Errorf("ipv4: %v", got)
	}
	if got := c.IPv6.Unknown(); !reflect.DeepEqual(got, []wire.Attr{{Type: 60, Data: NE(uint32(7))}}) {
		t.Errorf("ipv6: %v", got)
	}
	c = linkConfig(t, AppendLinkConfig(nil, &Link{}, make([]uint32, 33), nil)[IfinfomsgLen:])
	if c.IPv4.Unknown() != nil {
		t.Errorf("%v is unknown of what is known", c.IPv4.Unknown())
	}
}

// TestConfWithout: a kernel that was built without something sends 0 for it.
func TestConfWithout(t *testing.T) {
	c := linkConfig(t, AppendLinkConfig(nil, &Link{}, make([]uint32, 33), nil)[IfinfomsgLen:])
	lacks := Lacking{setting(t, "mc_forwarding"): true}
	conf := c.IPv4.Without(&lacks)
	if _, ok := conf.Value(setting(t, "mc_forwarding")); ok || len(valuesOf(&conf)) != 32 {
		t.Error("mc_forwarding is there")
	}
}

// TestSettings: each setting has a name, words, and a number that no other one of the family
// has, and every number is one's but that of stable_secret.
func TestSettings(t *testing.T) {
	names := map[string]bool{}
	for _, f := range []Family{IPv4, IPv6} {
		files := map[string]bool{}
		sent := make([]uint32, 60)
		for i := range sent {
			sent[i] = uint32(i+1) * 1000
		}
		c := linkConfig(t, AppendLinkConfig(nil, &Link{}, sent[:33], sent)[IfinfomsgLen:])
		seen := map[int64]string{}
		for i := range Settings {
			s := &Settings[i]
			v, ok := c.Conf(f).Value(s)
			if ok != s.Has(f) {
				t.Errorf("%s of %s: %v", s.Name, f, ok)
			}
			if !ok {
				continue
			}
			if v < 1000 { // of seconds
				v *= 1000
			}
			if names[fmt.Sprint(f, s.Name)] || files[s.File(f)] || seen[v] != "" {
				t.Errorf("%s of %s has what %s has", s.Name, f, seen[v])
			}
			seen[v], names[fmt.Sprint(f, s.Name)], files[s.File(f)] = s.Name, true, true
			if s.Doc == "" || s.Doc[len(s.Doc)-1] == '.' || s.Holds(f) == "" {
				t.Errorf("%s is described as %q", s.Name, s.Doc)
			}
		}
		if want := map[Family]int{IPv4: 33, IPv6: 59}[f]; len(seen) != want || seen[37000] != "" && f == IPv6 {
			t.Errorf("%s has %d settings, want %d", f, len(seen), want)
		}
	}
}

func setting(t testing.TB, name string) *Setting {
	t.Helper()
	i := slices.IndexFunc(Settings, func(s Setting) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("there is no setting %s", name)
	}
	return &Settings[i]
}

func TestNetconf(t *testing.T) {
	head := []byte{AF_INET, 0, 0, 0}
	full := Netconf{Family: IPv4, Index: Some(uint32(NetconfAll)), Forwarding: Some(uint32(1)),
		RPFilter:     Some(uint32(2)),
		MCForwarding: Some(uint32(3)), ProxyNeigh: Some(uint32(4)), IgnoreLinkdown: Some(uint32(5)),
		Input:        Some(uint32(6)),
		BCForwarding: Some(uint32(7)), ForceForwarding: Some(^uint32(0)),
		Unknown: []wire.Attr{{Type: 10, Data: NE(uint32(8))}}}
	for _, c := range []struct {
		name string
		b    []byte
		want Netconf
	}{
		{"empty", head, Netconf{Family: IPv4}},
		{"default", Cat(head, Attr(1, NE(^uint32(1)))), Netconf{Family: IPv4, Index: Some(uint32(NetconfDefault))}},
		{"all there is", AppendNetconf(nil, &full), full},
		{"of a wrong length", Cat(head, Attr(2, []byte{1})),
			Netconf{Family: IPv4, Unknown: []wire.Attr{{Type: 2, Data: []byte{1}}}}},
	} {
		var got Netconf
		if err := got.UnmarshalBinary(c.b); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, got %+v, want %+v", c.name, err, got, c.want)
		}
		checkNetconf(t, c.b)
	}
	want := map[string]int64{"forwarding": 1, "rp_filter": 2, "mc_forwarding": 3, "proxy_arp": 4, "proxy_ndp": 4,
		"ignore_routes_with_linkdown": 5, "bc_forwarding": 7, "force_forwarding": -1}
	got := map[string]int64{}
	for i := range Settings {
		if v, ok := full.Value(&Settings[i]); ok {
			got[Settings[i].Name] = v
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
